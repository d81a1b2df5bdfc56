"""A night in which hundreds of jobs fail, each with a message of its own: pages have an end."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mail_cases import job, night, settings, store
from site_cases import contents

from jmreport import pipeline
from jmreport.progress import SilentProgress
from jmreport.records import JobRow
from jmreport.render import addresses, causepages

#: New and old failures, of which one of each has the same cause; and so few rows on a page of
#: a list that these are many.
NEW, OLD = 8, 9
ROWS = 4
LAST = addresses.night(night(0))


def failed(number: int, ago: int, *, name: str) -> JobRow:
    """With a message in which nothing can be masked."""
    sheet = "".join("abcdefghij"[int(digit)] for digit in str(number))
    return job(f"{number}", ago, "Failed", name=name, message=f"Sheet {sheet} has no header")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A quiet night, one in which old work fails, and one in which it still does, with new work."""
    folder = tmp_path_factory.mktemp("many")
    fine = [job(f"{number}", 2) for number in range(NEW)]
    before = [failed(100 + number, 1, name="align") for number in range(OLD - 1)]
    last = [failed(100 + number, 0, name="align") for number in range(OLD - 1)]
    new = [failed(number, 0, name="germline") for number in range(NEW)]
    stuck = job("stuck", 1, "Submitted", name="slow")
    same = (failed(0, 1, name="align"), failed(0, 0, name="align"))
    store(folder / "snapshots", fine, [*before, same[0]], [*last, same[1], *new, stuck])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(causepages, "ROWS", ROWS)
        rendered(folder)
        yield folder / "site"


def rendered(folder: Path) -> None:
    pipeline.render(settings(folder), progress=SilentProgress(), workers=1)


def text(site: Path, address: str) -> str:
    return (site / address).read_text()


def part(page: str, heading: str) -> str:
    """What stands below a heading."""
    return page.split(f">{heading}</h", 1)[1].split("<h2", 1)[0]


def links(page: str) -> list[str]:
    return re.findall(r'href="([^"]+)"', page)


def test_every_cause_is_on_a_page_of_the_list(site: Path) -> None:
    """By its pager, as a list of jobs: each page leads to the others around it."""
    pages = [addresses.causes_page(number) for number in range(1, 5)]
    found = [
        link for page in pages for link in links(part(text(site, page), "16 causes failing now"))
    ]
    causes = {path.name for path in (site / "causes").glob("????????????.html")}
    assert len(causes) == NEW + OLD - 1
    assert {link for link in found if link in causes} == causes
    assert "page-2.html" in found
    assert "16 causes failing now</h1>" in text(site, pages[-1])
    assert not (site / addresses.causes_page(5)).exists()


def test_pages_of_causes_go_with_their_night_and_past_the_end_of_the_list(site: Path) -> None:
    """No page of the list says that its cause is gone; told again, all are as they were."""
    whole, folder = contents(site), site.parent
    (folder / "snapshots/runs" / night(0)).rename(folder / "aside")
    rendered(folder)
    assert not (site / LAST).parent.exists() or not [*(site / LAST).parent.iterdir()]
    assert sorted(path.name for path in (site / "causes").glob("page-*")) == [
        "page-2.html",
        "page-3.html",
    ]
    (folder / "aside").rename(folder / "snapshots/runs" / night(0))
    rendered(folder)
    assert contents(site) == whole
