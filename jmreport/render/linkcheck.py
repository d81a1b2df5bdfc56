"""Whether a site is whole: every link leads somewhere, every file is as it was written."""

import os
import sqlite3
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, normpath
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from jmreport.render.files import OWN, is_sum_of
from jmreport.render.ledger import all_files


class Fault(Struct, frozen=True, kw_only=True):
    """Something that is wrong with a site: a page or file, and why."""

    what: str
    why: str


def check(site_dir: Path) -> tuple[Fault, ...]:
    """Every fault of a site: dead links and anchors, files that were changed, cut short or left.

    Each page is read once; of other pages only the names of their anchors are kept, and only while
    someone links to them.
    """
    return (*_files(site_dir), *_left(site_dir), *_links(site_dir))


def _files(site: Path) -> Iterator[Fault]:
    ledger = site / OWN / "pages"
    if not ledger.is_file():
        yield Fault(what=f"{OWN}/pages", why="is missing; run `jmreport render`")
        return
    try:
        known = tuple(all_files(ledger))
    except sqlite3.DatabaseError:
        yield Fault(what=f"{OWN}/pages", why="cannot be read; run `jmreport render`")
        return
    for address, size, total in known:
        try:
            data = (site / address).read_bytes()
        except OSError:
            yield Fault(what=address, why="is missing, though it was written")
            continue
        if len(data) != size:
            yield Fault(what=address, why=f"has {len(data)} bytes, though {size} were written")
        elif not is_sum_of(total, data):
            yield Fault(what=address, why="is not what was written")


def _left(site: Path) -> Iterator[Fault]:
    temporary = site / OWN / "tmp"
    for path in sorted(temporary.glob("*")) if temporary.is_dir() else ():
        yield Fault(
            what=path.relative_to(site).as_posix(),
            why="was left by a run that was killed; the next run removes it",
        )


class _Page(HTMLParser):
    """The links of a page and the names in it that links can lead to."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.links.append(value)
            elif (name == "id" or (name == "name" and tag == "a")) and value:
                self.anchors.add(value)

    handle_startendtag = handle_starttag


def _links(site: Path) -> Iterator[Fault]:
    there = _there(site)
    wanted: dict[str, dict[str, str]] = {}
    anchors: dict[str, set[str]] = {}
    for address in sorted(there):
        if not address.endswith(".html"):
            continue
        page = _read(site / address)
        anchors[address] = page.anchors
        for link in dict.fromkeys(page.links):
            target, anchor = _target(address, link)
            if target is None:
                continue
            if target not in there:
                yield Fault(what=address, why=f"links to {target}, which is not there")
            # The list's own hash is the state of its filter, which the script reads.
            elif anchor and target.endswith(".html") and "=" not in anchor:
                wanted.setdefault(target, {}).setdefault(anchor, address)
    for target, names in sorted(wanted.items()):
        for anchor, address in sorted(names.items()):
            if anchor not in anchors[target]:
                yield Fault(what=address, why=f"links to #{anchor} in {target}, which is not there")


def _there(site: Path) -> set[str]:
    found: set[str] = set()
    for folder, folders, names in os.walk(site):
        folders[:] = sorted(name for name in folders if name != OWN)
        here = Path(folder).relative_to(site).as_posix()
        found.update(name if here == "." else f"{here}/{name}" for name in names)
    return found


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text("utf-8", "replace"))
    page.close()
    return page


def _target(address: str, link: str) -> tuple[str | None, str]:
    """The file below the site that a link leads to, and its anchor; None for one that leaves it."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return None, ""
    if parts.scheme or parts.netloc:
        return None, ""
    if not parts.path:
        return address, unquote(parts.fragment)
    path = normpath(f"{dirname(address)}/{unquote(parts.path)}".lstrip("/"))
    return path, unquote(parts.fragment)
