"""A report in whose place another one should have come says so by itself."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from analysis_cases import run
from msgspec.structs import replace
from site_cases import NOW, entries, runs, write

from jmreport.analysis.rhythm import due
from jmreport.records import Run

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def of(*hours: float, state: Any = "complete") -> Sequence[Run]:
    """Runs so many hours before now, and one now."""
    return [
        *(replace(run(0), now=NOW - ago * HOUR, state=state) for ago in hours),
        replace(run(0), now=NOW),
    ]


def test_a_nights_report_is_old_once_the_next_night_and_six_hours_have_passed() -> None:
    assert due(of(96, 72, 48, 24), NOW) == NOW + 30 * HOUR


def test_one_of_each_hour_is_old_after_an_hour_and_a_quarter() -> None:
    assert due(of(4, 3, 2, 1), NOW) == NOW + 1.25 * HOUR


def test_a_weekend_without_one_and_a_night_that_failed_alarm_nobody() -> None:
    """Of ten times between reports of weekdays two are three days long."""
    weekdays = [24 * ago for ago in (14, 11, 10, 9, 8, 7, 4, 3, 2, 1)]
    assert due(of(*weekdays), NOW) == NOW + 78 * HOUR
    assert due(of(*(24 * ago for ago in (8, 7, 6, 4, 3, 2, 1))), NOW) == NOW + 54 * HOUR


def test_after_weeks_without_one_the_next_is_looked_for_as_soon_as_ever() -> None:
    """Just then it is likeliest to stop again."""
    assert due(of(*(24 * ago for ago in (50, 49, 48, 47, 4, 3, 2, 1))), NOW) == NOW + 102 * HOUR


def test_nobody_waits_for_another_report_of_the_built_in_server() -> None:
    asked = replace(run(0).asked, server="the built-in demo server")
    assert due([replace(one, asked=asked) for one in of(96, 72, 48, 24)], NOW) is None


def test_runs_that_read_a_few_jobs_again_are_no_reports() -> None:
    again = [replace(one, state="refreshed") for one in of(5, 4, 3, 2, 1)]
    nights = of(96, 72, 48, 24)
    assert due([*nights[:-1], *again[:-1], nights[-1]], NOW) == NOW + 30 * HOUR


@pytest.mark.parametrize(
    "hours",
    [(), (24,), (72, 48, 24), (90, 50, 48, 3, 1), (200, 100, 30, 10, 2), (96, 72, 72, 24)],
    ids=["the first", "two", "few", "by hand", "ever more often", "at the same time"],
)
def test_nothing_is_due_where_reports_keep_no_hours(hours: tuple[float, ...]) -> None:
    assert due(of(*hours), NOW) is None


@pytest.fixture(scope="module")
def nightly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The overview of a site that is made every night."""
    over = runs(5)
    where = tmp_path_factory.mktemp("nightly")
    write(where, entries(3, over), over)
    return where / "index.html"


@pytest.mark.parametrize(
    ("opened", "shown"),
    [(NOW + 29 * HOUR, False), (NOW + 31 * HOUR, True), (NOW + 730 * DAY, True)],
    ids=["in time", "a morning later", "two years later"],
)
def test_an_old_overview_says_that_it_is_old(
    nightly: Path, browser: Any, opened: datetime, shown: bool
) -> None:
    page = browser.new_page()
    page.clock.set_fixed_time(opened)
    page.goto(nightly.as_uri())
    said = page.get_by_text("This report is old.")
    assert said.is_visible() is shown
    if shown:
        assert "due by Tue 24 Nov 2026, 08:14 UTC" in said.locator("..").inner_text()
    page.close()


def test_no_other_page_and_no_report_made_by_hand_speaks_of_it(
    nightly: Path, tmp_path: Path
) -> None:
    """A night's own page is of that night for good."""
    over = runs(2)
    write(tmp_path, entries(3, over), over)
    assert "This report is old" not in (tmp_path / "index.html").read_text()
    others = [path for path in nightly.parent.rglob("*.html") if path != nightly]
    assert others
    assert not [path for path in others if "This report is old" in path.read_text()]
