"""What a host shows though no page links to it: 404.html and robots.txt."""

from pathlib import Path
from urllib.parse import urljoin

import pytest
from published import links_of
from site_cases import contents, entries, runs, write

from jmreport.settings import Settings, Site

URL = "https://reports.example.org/jobs"


def site(where: Path, url: str | None) -> dict[str, bytes]:
    over = runs(1)
    write(where, entries(3, over), over, settings=Settings(site=Site(dir=str(where), url=url)))
    return contents(where)


def test_robots_are_asked_to_stay_away(tmp_path: Path) -> None:
    assert site(tmp_path, None)["robots.txt"] == b"User-agent: *\nDisallow: /\n"


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_404_page_leads_back_from_any_depth(tmp_path: Path, slash: str) -> None:
    """A host shows it in the place of any page, so each of its links must be whole."""
    files = site(tmp_path, URL + slash)
    page = files["404.html"].decode()
    found = [part.split('"')[0] for part in page.split('href="')[1:]]
    assert len(found) == 4
    for depth in ("/jobs/x", "/jobs/nights/a/b/c.html"):
        for link in found:
            whole = urljoin(f"https://reports.example.org{depth}", link)
            assert whole.removeprefix(f"{URL}/") in files


def test_without_an_address_the_404_page_has_no_links(tmp_path: Path) -> None:
    page = site(tmp_path, None)["404.html"]
    assert links_of("404.html", page) == set()
    assert b"href" not in page
    assert b"There is no such page" in page


def test_the_404_page_is_made_anew_when_the_address_changes(tmp_path: Path) -> None:
    site(tmp_path, None)
    assert f'href="{URL}/index.html"' in site(tmp_path, URL)["404.html"].decode()
