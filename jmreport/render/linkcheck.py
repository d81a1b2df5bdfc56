"""Whether a site is whole: every link leads somewhere, every file is as it was written."""

import os
import re
import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from pathlib import Path
from posixpath import dirname, normpath
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from jmreport.render.files import OWN, is_sum_of
from jmreport.render.past import all_files


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


class _Page(Struct, frozen=True):
    """The links of a page and the names in it that links can lead to."""

    links: list[str]
    anchors: set[str]


#: What is text whatever it looks like, but for the tag that begins it.
_TEXT = re.compile(
    r"<!--.*?-->|(<(?:script|style)\b[^>]*>).*?(?=</(?:script|style)\b)", re.S | re.I
)
#: The name of a tag that has attributes, and all of them: values are in quotes of one kind or the
#: other, or in none. An HTMLParser takes longer to find them than it takes to make the page.
_TAG = re.compile(r"""<([a-zA-Z][^\s<>/]*)\s([^<>"']*(?:(?:"[^"]*"|'[^']*')[^<>"']*)*)>""")
_ATTRIBUTE = re.compile(
    r"""(?<![^\s"'/])(href|src|id|name)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"""
    r"""|"[^"]*"|'[^']*'""",
    re.IGNORECASE,
)
_ASKED_FOR = re.compile(r"href|src|id|name", re.IGNORECASE).search


def _found(page: str) -> _Page:
    links: list[str] = []
    anchors: set[str] = set()
    if "<!--" in page or "<style" in page or page.count("<script") > page.count("></script>"):
        page = _TEXT.sub(r"\1", page)
    for tag, inside in _TAG.findall(page):
        if not _ASKED_FOR(inside):
            continue
        for name, *values in _ATTRIBUTE.findall(inside):
            value = unescape("".join(values))
            match name.lower():
                case "href" | "src":
                    links.append(value)
                case "id" if value:
                    anchors.add(value)
                case "name" if value and tag in ("a", "A"):
                    anchors.add(value)
    return _Page(links, anchors)


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
    return _found(path.read_text("utf-8", "replace"))


def _target(address: str, link: str) -> tuple[str | None, str]:
    """The file below the site that a link leads to, and its anchor; None for one that leaves it."""
    target, anchor = _from(dirname(address), link)
    return (address if target == "" else target), anchor


@lru_cache(maxsize=10_000)  # pages of a folder have most links in common
def _from(folder: str, link: str) -> tuple[str | None, str]:
    """The same from any page of a folder, "" for one that stays on its page."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return None, ""
    if parts.scheme or parts.netloc:
        return None, ""
    if not parts.path:
        return "", unquote(parts.fragment)
    path = normpath(f"{folder}/{unquote(parts.path)}".lstrip("/"))
    return path, unquote(parts.fragment)
