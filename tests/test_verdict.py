"""What a report and a night say first: nothing that is wrong is left out of it."""

import pytest
from analysis_cases import night, run, runs
from msgspec.structs import replace

from jmreport.analysis import analyse
from jmreport.history import Held
from jmreport.records import run_id
from jmreport.render import verdict
from jmreport.report import NightSummary, Report, ReportCounts, StatusSplit
from jmreport.settings import ReportSettings

SPLIT = StatusSplit(counts={"Succeeded": 5, "Failed": 2})


def report(counts: dict[str, int], *, first: bool = False, split: StatusSplit = SPLIT) -> Report:
    """A report of such numbers."""
    known = ReportCounts(**{"total": split.total, **counts})
    empty = analyse(Held([]), runs(1 if first else 2), {}, settings=ReportSettings())
    return replace(empty, counts=known, split=split)


def summary(**counts: int) -> NightSummary:
    return NightSummary(
        run=run_id(night(1)),
        now=night(1),
        since=run(0).now,
        complete=True,
        counts=ReportCounts(**{"total": SPLIT.total, **counts}),
        split=SPLIT,
    )


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "7 jobs finished, 0 still failing."),
        ({"still_failing": 1, "missing": 1}, "7 jobs finished, 1 still failing, 1 missing."),
        ({"stuck": 4}, "7 jobs finished, 0 still failing, 4 stuck."),
        ({"fixed": 2, "still_failing": 3}, "7 jobs finished, 2 fixed, 3 still failing."),
        ({"new": 1, "missing": 2, "stuck": 1}, "2 missing; 1 stuck."),
    ],
)
def test_a_report_names_all_that_is_wrong_be_anything_new_or_not(
    counts: dict[str, int], said: str
) -> None:
    assert verdict.rest(report(counts)) == said


def test_so_does_a_night() -> None:
    told = verdict.night_rest(summary(still_failing=1, missing=1, stuck=2))
    assert told == "7 jobs finished; 1 still failing; 1 missing; 2 stuck."


@pytest.mark.parametrize(
    ("counts", "title"),
    [({"Succeeded": 5, "Failed": 2}, "Nothing is failing now"), ({"Succeeded": 5}, "No failures")],
)
def test_a_first_report_says_that_nothing_failed_only_where_that_is_so(
    counts: dict[str, int], title: str
) -> None:
    """Jobs may have failed whose work succeeded later."""
    assert verdict.title(report({}, first=True, split=StatusSplit(counts=counts))) == title


def test_what_is_failing_comes_first() -> None:
    assert verdict.title(report({"failing": 2}, first=True)) == "2 failing"
    assert verdict.title(report({"new": 1, "failing": 2})) == "1 new failure"
    assert verdict.title(report({"failing": 2})) == "No new failures"
