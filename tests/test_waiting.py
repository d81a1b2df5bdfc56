"""Pages that wait: those of lists lie in a file, and of each few bytes are in memory."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from site_cases import entries, report, runs

from jmreport.render.drawings import Charts
from jmreport.render.jobcells import Jobs
from jmreport.render.joblists import Lists
from jmreport.render.page import Page
from jmreport.render.waiting import Waiting
from jmreport.render.words import zone


def of_lists(count: int) -> list[Page]:
    """Pages of lists of so many jobs, some of which have a name that is no text."""
    over = runs(2)
    found = report(entries(count, over), over)
    lists = Lists(Jobs(found, zone=zone("UTC"), pages=set()))
    ids = [entry.row.id for entry in found.jobs]
    for job in ids:
        lists.link(f"of-{job}", "jobs called \ud800", (job,))
    lists.link("all", "jobs", [*ids, "of-another-night"])
    return [*lists.pages()]


def overview() -> Page:
    """A page that only the process can make which has the report."""
    told = "the whole report"
    return Page(address="index.html", template="", content="", view=lambda _charts: told)


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Waiting]:
    found = Waiting(tmp_path / "planned", [*of_lists(30), overview()])
    yield found
    found.close()


def test_pages_wait_in_their_order_and_those_of_one_order_as_they_came(waiting: Waiting) -> None:
    pages = [*of_lists(30), overview()]
    assert [*waiting] == [*sorted(pages[:-1], key=lambda page: page.order), waiting[-1]]
    assert waiting[1:4] == [waiting[1], waiting[2], waiting[3]]
    last = len(pages) - 1
    assert waiting[last].view(Charts(Path())) == "the whole report"
    assert [(place, page.address) for place, page in waiting.held()] == [(last, "index.html")]


def test_what_is_asked_of_all_pages_is_at_hand(waiting: Waiting) -> None:
    for place, page in enumerate(waiting):
        assert waiting.order(place) == page.order
        assert waiting.lent(place) == len(page.jobs)
        assert waiting.first(place) == next(iter(page.jobs), "")
        assert waiting.is_apart(place) == page.is_apart


def test_no_page_of_a_list_is_in_memory_while_it_waits(tmp_path: Path) -> None:
    """Of each no more is there than numbers: 1 KB of every one was."""

    def held() -> int:
        gc.collect()
        return sum(isinstance(one, Page) for one in gc.get_objects())

    before = held()
    found = Waiting(tmp_path / "planned", iter(of_lists(200)))
    assert len(found) > 200
    assert held() == before
    found.close()
