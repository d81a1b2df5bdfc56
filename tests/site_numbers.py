"""Every number of a page that is a link, against the rows of the list behind it."""

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

from jmreport.render import addresses, linkcheck

#: A number that begins a link, or that stands behind the tag of a status in it.
_SAID = re.compile(
    r"\s*(?:All |\+ |(?:Submitted|On hold|Running|Aborting|Failed|Succeeded|Aborted|Unknown.*?) )?"
    r"([\d\u202f]+)(?:\s|$)"
)


class _Numbers(HTMLParser):
    """Links that say a number, as (number, address)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self._href: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # A job's short id can be all digits, and is no number.
        if tag == "a" and "id" not in (dict(attrs).get("class") or "").split():
            self._href, self._text = dict(attrs).get("href"), ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._href and "#" not in self._href:
            said = _SAID.match(self._text)
            if said:
                self.found.append((int(said[1].replace("\u202f", "")), self._href))
            self._href = None


def jobs_behind(site: Path, address: str) -> int:
    """How many jobs a list says and shows, archived ones included; a job's own page is one."""
    text = (site / address).read_text()
    if re.search(r"<h1>[\d\u202f]+ ", text) is None:
        return 1
    beside = re.search(r'<p class="beside"><a href="([^"]*)">\+ ([\d\u202f]+) archived', text)
    shown = _listed(site, address)
    if beside:
        more = _listed(site, f"jobs/{beside[1]}")
        assert more == int(beside[2].replace("\u202f", "")), address
        shown += more
    return shown


def _listed(site: Path, address: str) -> int:
    """The rows of a list over all its pages, which are as many as its heading says."""
    text = (site / address).read_text()
    heading = re.search(r"<h1>([\d\u202f]+) ", text)
    assert heading, address
    said = int(heading[1].replace("\u202f", ""))
    shown = text.count("<tr><td")
    for name in _further(site, address, text, -(-said // 100)):
        shown += (site / "jobs" / name).read_text().count("<tr><td")
    assert said == shown, address
    return shown


def _further(site: Path, address: str, text: str, pages: int) -> Iterator[str]:
    """The pages behind a list's first: numbered, or from "Oldest" on by "Newer" up to "Older"."""
    older = _linked(text, "Older")
    if not older:
        yield from (f"{address[5:-5]}-page-{n}.html" for n in range(2, pages + 1))
        return
    page = _linked(text, "Oldest") or older
    yield page
    while page != older:
        page = _linked((site / "jobs" / page).read_text(), "Newer")
        assert page, address
        yield page


def _linked(text: str, words: str) -> str:
    """The page that a pager's words lead to, "" where it has none of them."""
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{words}</a>', text)
    return found[1] if found else ""


def numbers_checked(site: Path, pages: Iterable[str]) -> int:
    """Holds each number of these pages against its list; how many there were."""
    checked = 0
    counted: dict[str, int] = {}
    for address in pages:
        numbers = _Numbers()
        numbers.feed((site / address).read_text())
        for number, href in numbers.found:
            target, _ = linkcheck._target(address, href)
            if not target or not target.startswith("jobs/") or "page-" in target:
                continue
            if target == addresses.JOBS:
                continue
            if target not in counted:
                counted[target] = jobs_behind(site, target)
            assert counted[target] == number, (address, href)
            checked += 1
    return checked
