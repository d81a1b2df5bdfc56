"""Links and anchors are found in a page as an HTML parser finds them."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from site_cases import HOSTILE, entries, runs, write

from jmreport.render import linkcheck

PAGES = (
    '<a href="a.html#b">x</a><img src="c.png"><h2 id="d">',
    "<a class='y' href='a.html'>x</a><A HREF=b.html ID=c>",
    '<a href="a.html?b=1&amp;c=2#d&#34;">x</a>',
    '<a name="b"><input name="c"><meta name="d">',
    '<a href="">x</a><a href>y</a><a id="" name="">z</a>',
    '<a title="x > y" href="a.html">x</a><a href = "b.html" />',
    '<p title="a href=b.html" data-href="c.html" data-id="d">no href="e.html" here',
    "<!-- <a href='a.html'> --><a href='b.html'>",
    '<script>let a = \'<a href="b.html">\';</script><script src="c.js"></script><a href="d.html">',
    '<style>a::after { content: "<a href=b.html>"; }</style><a href="c.html">',
    '1 < 2 and "3" > 2 <br> <a\nhref="a.html"\n id="b">',
    '<svg><a href="a.html" id="b"><title>c</title></a></svg><use href="#d"/>',
)


class Parsed(HTMLParser):
    """What the library of Python reads."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.links.append(value)
            elif (name == "id" or (name == "name" and tag == "a")) and value:
                self.anchors.add(value)

    handle_startendtag = handle_starttag


def differences(page: str) -> tuple[set[str], set[str]]:
    """Links and anchors that only one of the two found."""
    found, parsed = linkcheck._found(page), Parsed(page)
    return set(found.links) ^ set(parsed.links), found.anchors ^ parsed.anchors


@pytest.mark.parametrize("page", PAGES)
def test_what_is_a_link_is_found_and_what_only_looks_like_one_is_not(page: str) -> None:
    assert differences(page) == (set(), set())


def test_on_pages_of_hostile_jobs_all_links_are_found_and_no_other(tmp_path: Path) -> None:
    over = runs()
    write(tmp_path, entries(60, over, text=HOSTILE), over)
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 100
    for page in pages:
        assert differences(page.read_text("utf-8", "replace")) == (set(), set()), page
