"""Publishing for the tests: small sites a night apart, and what a reader of the bucket meets."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, normpath
from typing import Any
from urllib.parse import unquote, urlsplit

from gcs_server import BUCKET, Gcs
from held import Held
from site_cases import entries, read, runs

from jmreport import pipeline
from jmreport.analysis import analyse, contexts, frozen
from jmreport.pipeline import Outcome
from jmreport.progress import SilentProgress
from jmreport.render import site
from jmreport.render.hands import Hands
from jmreport.render.past import all_files
from jmreport.render.telling import Telling
from jmreport.settings import Publish, Settings, Site, Snapshots

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
PREFIX = "nightly"
TO = f"gs://{BUCKET}/{PREFIX}"


def write_night(where: Path, night: int, *, jobs: int = 4, seed: int = 7) -> None:
    """The site as it is after so many nights, each with jobs of its own and some that changed."""
    over = runs(night + 1)
    known = entries(jobs + 3 * night, over, seed=seed)
    settings = settings_of(where)
    report = analyse(Held(known), over, {}, settings=settings.report)
    site.write(
        where,
        Telling(
            report=report,
            contexts=contexts(Held(known), over),
            history=Held(known),
            read_records=partial(read, {(entry.shard, entry.line): entry.row for entry in known}),
            nights=(frozen(report, Held(known)),),
        ),
        settings=settings,
        hands=Hands(crew=site.crew_of(where, settings=settings, version="0.1.0", workers=1)),
        progress=SilentProgress(),
    )


def settings_of(where: Path, to: str = TO, **publish: Any) -> Settings:
    """Settings to publish a site by."""
    return Settings(
        site=Site(dir=str(where)),
        snapshots=Snapshots(dir=str(where.parent / "snapshots")),
        publish=Publish(to=to, **{"patience": 5.0, "threads": 4, **publish}),
    )


def publish(
    gcs: Gcs | None,
    where: Path,
    *,
    hours: float = 0,
    to: str = TO,
    dry_run: bool = False,
    relist: bool = False,
    **more: Any,
) -> Outcome:
    """Publishes a site, so many hours after the first night."""
    return pipeline.publish(
        settings_of(where, to, **more),
        now=NOW + timedelta(hours=hours),
        environ=gcs.environ if gcs else {},
        progress=SilentProgress(),
        dry_run=dry_run,
        relist=relist,
    )


def files_of(where: Path) -> dict[str, bytes]:
    """The files of a site, as the ledger names them."""
    found = all_files(where / ".jmreport/pages")
    return {address: (where / address).read_bytes() for address, _, _ in found}


def shown(gcs: Gcs, prefix: str = f"{PREFIX}/") -> dict[str, bytes]:
    """What the bucket shows below a prefix, but for jmreport's own objects."""
    found = {}
    for name in gcs.objects(prefix):
        if not name.startswith(f"{PREFIX}/.jmreport/"):
            status, headers, body = gcs.get(name, gzip=True)
            assert status == 200, name
            packed = headers.get("content-encoding") == "gzip"
            found[name.removeprefix(prefix)] = gzip.decompress(body) if packed else body
    return found


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [value for name in ("href", "src") if (value := found.get(name))]
        if tag == "meta" and found.get("http-equiv") == "refresh":
            self.links.append((found["content"] or "").partition("url=")[2])

    handle_startendtag = handle_starttag


def links_of(name: str, page: bytes) -> set[str]:
    """The objects that a page's links name, as a browser resolves them; no other hosts."""
    parser = _Links()
    parser.feed(page.decode())
    found = set()
    for link in parser.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or not parts.path:
            continue
        path = normpath(f"{dirname(name)}/{unquote(parts.path)}".lstrip("/"))
        found.add(path + "/" if parts.path.endswith("/") else path)
    return found


class Reader:
    """Who follows every link of what a bucket serves, again and again while it changes."""

    def __init__(self, gcs: Gcs, *, prefix: str = PREFIX) -> None:
        self._gcs = gcs
        self.front = f"{prefix}/index.html"
        self._links: dict[tuple[str, str], set[str]] = {}
        #: Pages that somebody has open, or a bookmark of.
        self.bookmarks: set[str] = set()
        self.looks = self.pages = 0
        self.dead: list[str] = []

    def look(self, _name: str = "") -> None:
        """Follows all links from the overview and from every bookmark."""
        self.looks += 1
        there = self._gcs.objects()
        todo = [self.front] if self.front in there else []
        todo += sorted(self.bookmarks)
        seen = set(todo)
        while todo:
            page = todo.pop()
            if page not in there:
                self.dead.append(f"look {self.looks}: {page} is not there any more")
                continue
            if not page.endswith(".html"):
                continue
            self.pages += 1
            for link in self._links_of(page, there[page]["generation"]):
                if link not in there:
                    self.dead.append(f"look {self.looks}: {page} links to {link}")
                elif link not in seen:
                    seen.add(link)
                    todo.append(link)

    def bookmark(self) -> None:
        """Remembers every page that is there now."""
        self.bookmarks = {
            name
            for name in self._gcs.objects()
            if name.endswith(".html") and not name.endswith("404.html")
        }

    def _links_of(self, name: str, generation: str) -> set[str]:
        known = self._links.get((name, generation))
        if known is None:
            status, headers, body = self._gcs.get(name)
            assert status == 200, name
            assert headers["content-type"].startswith("text/html"), name
            known = self._links[name, generation] = links_of(name, body)
        return known


def faults_of(gcs: Gcs, where: Path, *, build: str = "") -> Iterator[str]:
    """Where the bucket is not just this site, to a byte."""
    wanted, there = files_of(where), shown(gcs, f"{PREFIX}/{build}")
    yield from (f"{name} is missing" for name in sorted(wanted.keys() - there.keys()))
    yield from (f"{name} is too much" for name in sorted(there.keys() - wanted.keys()))
    for name in sorted(wanted.keys() & there.keys()):
        if wanted[name] != there[name]:
            yield f"{name} is another"
