"""A night in which hundreds of jobs fail, each with a message of its own: pages have an end."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from mail_cases import job, night, one, seen, settings, store
from site_cases import contents

from jmreport import pipeline
from jmreport.progress import SilentProgress
from jmreport.records import JobRow
from jmreport.render import addresses, causepages, kept, linkcheck, mails, overviewrows
from jmreport.render.mailviews import Size

#: New and old failures, of which one of each has the same cause; and so few rows that these are
#: many: in a table, and on a page of a list.
NEW, OLD = 8, 9
CAUSES, ROWS = 5, 4
#: What is said behind the first of them, of which one has an old job too.
MORE = "11 more causes with 11 jobs, 3 of them new, and 1 more job of those above"
GERMLINE, ALIGN = addresses.workflow("germline"), addresses.workflow("align")
LAST, BEFORE, QUIET = (addresses.night(night(ago)) for ago in range(3))


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
        patch.setattr(overviewrows, "CAUSES", CAUSES)
        rendered(folder)
        yield folder / "site"


def rendered(folder: Path) -> None:
    pipeline.render(settings(folder), progress=SilentProgress(), workers=1)


def text(site: Path, address: str) -> str:
    return (site / address).read_text()


def part(page: str, heading: str) -> str:
    """What stands below a heading."""
    return page.split(f">{heading}</h", 1)[1].split("<h2", 1)[0]


def rows(page: str) -> list[str]:
    """The states of the causes in a table, as its rows have them."""
    return re.findall(r"</svg>(New|Failing|Still failing)</span>", page)


def links(page: str) -> list[str]:
    return re.findall(r'href="([^"]+)"', page)


def more(page: str) -> list[tuple[str, str]]:
    """The ways to causes that are left out, with what is said of them."""
    return re.findall(r'<p class="note"><a href="([^"]+)">and ([^<]* more cause[^<]*)</a>', page)


def test_the_overview_shows_the_first_causes_and_how_many_more_there_are(site: Path) -> None:
    """New ones first, so that none is behind one that was told of before; all else stays near."""
    page = text(site, "index.html")
    said = MORE
    assert rows(part(page, "Needs attention")) == ["New"] * CAUSES
    assert more(page) == [("causes/index.html", said)]
    assert "8 new failures" in page
    assert page.index(said) < page.index(">Stuck</h2>")


def test_a_workflows_page_shows_as_many_of_its_causes(site: Path) -> None:
    for address, said in (
        (GERMLINE, "3 more causes with 3 jobs, 3 of them new"),
        (ALIGN, "4 more causes with 4 jobs"),
    ):
        page = text(site, address)
        assert len(rows(part(page, "Causes"))) == CAUSES
        assert more(page) == [("../causes/index.html", said)]


def test_a_workflows_page_leads_to_all_of_its_jobs_that_fail(site: Path) -> None:
    for address, jobs in (GERMLINE, NEW), (ALIGN, OLD):
        said = f">All {jobs} jobs of this workflow failing now</a>"
        [link] = re.findall(f'href="([^"]+)"{said}', text(site, address))
        listed = (site / address).parent.joinpath(link).read_text()
        name = "germline" if address == GERMLINE else "align"
        assert len(set(re.findall(rf"{name}-\d+-0(?=<)", listed))) == jobs
    assert "failing now</a>" not in text(site, addresses.workflow("slow"))


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
    assert ">16 causes</h1>" in text(site, addresses.night_causes(night(0)))
    assert not (site / addresses.causes_page(5)).exists()


def test_a_cause_with_new_and_with_old_jobs_is_one_wherever_causes_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [[failed(1, ago, name=name) for name in ("align", "call")] for ago in (1, 0)]
    both = [failed(0, ago, name="align") for ago in (1, 0)]
    new = failed(0, 0, name="germline")
    store(tmp_path / "snapshots", [*old[0], both[0]], [*old[1], both[1], new])
    monkeypatch.setattr(overviewrows, "CAUSES", 2)
    monkeypatch.setattr(mails, "SIZES", (Size(2, 5, 5),))
    rendered(tmp_path)
    site, said = tmp_path / "site", "1 more job of these causes"
    assert "2 causes failing now</h1>" in text(site, addresses.CAUSES)
    assert ">2 causes</h1>" in text(site, addresses.night_causes(night(0)))
    for address in ("index.html", LAST):
        page = text(site, address)
        assert rows(part(page, "Needs attention")) == ["New", "Still failing"]
        assert f">and {said}</a>" in page
    mail = seen(one(tmp_path))
    assert said in mail
    assert "more cause" not in mail


def test_a_nights_page_leads_to_pages_of_all_its_causes(site: Path) -> None:
    """Which are as frozen as the night. They name each cause as often as it has states, and each
    job; a number of the page leads on where the page's own list ends."""
    page = text(site, LAST)
    assert rows(part(page, "Needs attention")) == ["New"] * CAUSES
    pages = [addresses.night_causes(night(0), number) for number in range(1, 6)]
    assert sorted(path.name for path in (site / LAST).parent.glob("causes*")) == sorted(
        Path(address).name for address in pages
    )
    states = [rows(text(site, address)) for address in pages]
    assert [len(found) for found in states] == [4, 4, 4, 4, 1]
    assert [*chain.from_iterable(states)] == ["New"] * NEW + ["Still failing"] * OLD
    named = [
        job
        for address in pages
        for job in re.findall(r"(?:align|germline)-\d+-0(?=<)", text(site, address))
    ]
    assert len(set(named)) == len(named) == NEW + OLD
    told, new, still = more(page)
    assert told == (new[0], MORE)
    assert still[1] == "4 more causes with 4 jobs"
    assert new[1] == "3 more causes with 3 jobs, 3 of them new"


def test_what_a_nights_page_leads_to_is_there(site: Path) -> None:
    """Also the places on its pages."""
    assert linkcheck.check(site) == ()
    for address in (LAST, BEFORE):
        for link in links(text(site, address)):
            name, _, anchor = link.partition("#")
            if anchor and "/" not in name:
                there = (
                    text(site, f"{Path(address).parent}/{name}") if name else text(site, address)
                )
                assert f'id="{anchor}"' in there, link


def test_a_night_that_shows_all_its_causes_has_no_other_page(site: Path) -> None:
    assert {path.name for path in (site / QUIET).parent.iterdir()} == {"index.html", "report.json"}


def test_a_prune_counts_all_pages_of_a_night(site: Path) -> None:
    pages = [*(site / LAST).parent.iterdir(), *(site / "jobs").glob(f"night-{night(0).lower()}-*")]
    files, size = kept.taken_by(site, (), (night(0),))
    assert (files, size) == (len(pages), sum(page.stat().st_size for page in pages))


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
    assert linkcheck.check(site) == ()
    (folder / "aside").rename(folder / "snapshots/runs" / night(0))
    rendered(folder)
    assert contents(site) == whole
