"""What a report and a night say first: nothing that is wrong is left out of it."""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import site_cases
from analysis_cases import night, run, runs
from held import Held
from msgspec.structs import replace

from jmreport.analysis import analyse
from jmreport.records import Counts, Filters, run_id
from jmreport.render import addresses, causewords, verdict
from jmreport.report import Report
from jmreport.report.causes import NO_MESSAGE, NOT_READ, CauseClass, CauseGroup
from jmreport.report.counts import ReportCounts, StatusSplit
from jmreport.report.nights import NightSummary
from jmreport.settings import ReportSettings

SPLIT = StatusSplit(counts={"Succeeded": 5, "Failed": 2})


def report(
    counts: dict[str, int],
    *,
    first: bool = False,
    split: StatusSplit = SPLIT,
    filters: Filters | None = None,
    left_out: int | None = None,
) -> Report:
    """A report of such numbers, of a run that asked with such filters."""
    known = ReportCounts(**{"total": split.total, **counts})
    empty = analyse(Held([]), runs(1 if first else 2), {}, settings=ReportSettings())
    asked = run(1, filters=filters)
    return replace(
        empty,
        counts=known,
        split=split,
        run=replace(asked, counts=Counts(left_out=left_out)),
    )


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
        ({}, "7 jobs finished in the last 7 days, 0 still failing."),
        (
            {"still_failing": 1, "missing": 1},
            "7 jobs finished in the last 7 days, 1 still failing, 1 missing.",
        ),
        ({"stuck": 4}, "7 jobs finished in the last 7 days, 0 still failing, 4 stuck."),
        (
            {"fixed": 2, "still_failing": 3},
            "7 jobs finished in the last 7 days, 2 fixed, 3 still failing.",
        ),
        ({"new": 1, "missing": 2, "stuck": 1}, "2 missing; 1 stuck."),
        ({"hidden": 2}, "7 jobs finished in the last 7 days, 0 still failing, 2 hidden."),
        (
            {"still_failing": 3, "not_run": 2, "lapsed": 1},
            "7 jobs finished in the last 7 days, 3 still failing (2 not run tonight), "
            "1 no longer counted.",
        ),
    ],
)
def test_a_report_names_all_that_is_wrong_be_anything_new_or_not(
    counts: dict[str, int], said: str
) -> None:
    assert verdict.rest(report(counts)) == said


def test_so_does_a_night() -> None:
    told = verdict.night_rest(summary(still_failing=1, missing=1, stuck=2))
    assert told == "7 jobs finished in this night; 1 still failing; 1 missing; 2 stuck."
    idle = verdict.night_rest(summary(still_failing=2, not_run=1))
    assert idle == "7 jobs finished in this night; 2 still failing (1 not run in this night)."


@pytest.mark.parametrize(
    ("window", "filters", "span"),
    [
        (timedelta(days=7), Filters(), "in the last 7 days"),
        (timedelta(days=2), Filters(submission=night(-1)), "in the time frame that was asked for"),
        (None, Filters(), "up to this run"),
    ],
)
def test_a_number_of_finished_jobs_says_which_time_it_is_of(
    window: timedelta | None, filters: Filters, span: str
) -> None:
    """A report counts those of its window, a night those that ended in it."""
    told = replace(report({}), run=run(1, window=window, filters=filters))
    assert verdict.rest(told) == f"7 jobs finished {span}, 0 still failing."
    first = replace(report({}, first=True), run=run(1, window=window, filters=filters))
    assert verdict.rest(first).endswith(f"7 jobs finished {span}.")
    assert verdict.night_rest(summary()) == "7 jobs finished in this night."
    assert verdict.night_rest(replace(summary(), since=None)).endswith(
        "7 jobs finished up to this run."
    )


@pytest.mark.parametrize(
    ("counts", "title"),
    [({"Succeeded": 5, "Failed": 2}, "Nothing is failing now"), ({"Succeeded": 5}, "No failures")],
)
def test_a_first_report_says_that_nothing_failed_only_where_that_is_so(
    counts: dict[str, int], title: str
) -> None:
    """Jobs may have failed whose work succeeded later."""
    assert verdict.title(report({}, first=True, split=StatusSplit(counts=counts))) == title


def test_a_title_without_failures_says_of_how_many_jobs_nobody_knows() -> None:
    """A tab, or a link that somebody shares, shows no banner."""
    assert verdict.title(report({"unknown": 3})) == "No new failures, 3 jobs unknown"
    fine = StatusSplit(counts={"Succeeded": 5})
    told = report({"unknown": 1}, first=True, split=fine)
    assert verdict.title(told) == "No failures, 1 job unknown"
    assert verdict.title(report({"unknown": 3, "new": 2})) == "2 new failures"


def test_what_is_failing_comes_first() -> None:
    assert verdict.title(report({"failing": 2}, first=True)) == "2 failing"
    assert verdict.title(report({"new": 1, "failing": 2})) == "1 new failure"
    assert verdict.title(report({"failing": 2})) == "No new failures"


NONE = StatusSplit()
BATCH = Filters(labels={"batch": "b17"})
LINE = "in the time frame that was asked for, and none was active"


@pytest.mark.parametrize(
    ("filters", "left_out", "title", "rest"),
    [
        (Filters(), None, "No jobs in this time frame", f"No job was submitted {LINE}."),
        (
            Filters(project_id="p"),
            None,
            "No jobs in this time frame",
            f"No job of project p was submitted {LINE}.",
        ),
        (
            BATCH,
            120,
            "No job passed the filter",
            "The filter (label batch=b17) let none of 120 jobs through.",
        ),
        (
            BATCH,
            0,
            "No jobs in this time frame",
            f"No job was submitted {LINE}; the filter (label batch=b17) left none out.",
        ),
        (
            Filters(status=("Failed", "Aborted"), name="align"),
            None,
            "No job passed the filter",
            "The filter (status Failed and Aborted, name align) let no job through; "
            "how many others there are is not known.",
        ),
    ],
)
def test_a_report_without_jobs_says_whether_a_filter_is_why(
    filters: Filters, left_out: int | None, title: str, rest: str
) -> None:
    empty = report({}, split=NONE, filters=filters, left_out=left_out)
    assert (verdict.title(empty), verdict.rest(empty)) == (title, rest)


def test_a_report_without_jobs_hides_nothing_of_what_was_before() -> None:
    """What failed still fails, and what should have come did not, though no job came tonight."""
    empty = report({"still_failing": 2, "failing": 2, "missing": 1}, split=NONE)
    assert verdict.rest(empty) == f"No job was submitted {LINE}. 2 still failing, 1 missing."


@pytest.mark.parametrize(
    ("left_out", "others"),
    [
        (120, "it left out 120 jobs"),
        (1, "it left out 1 job"),
        (0, "it left out none"),
        (None, "how many others there are is not known"),
    ],
)
def test_a_filtered_report_names_the_filter_and_what_it_left_out(
    left_out: int | None, others: str
) -> None:
    told = report({}, filters=BATCH, left_out=left_out)
    said = f"Only jobs that the filter let through are in this report (label batch=b17); {others}."
    assert verdict.filter_note(told) == said
    noted = replace(summary(), filters=BATCH, left_out=left_out)
    assert verdict.night_filter_note(noted) == said


def test_good_news_of_a_filtered_report_says_that_it_is_filtered() -> None:
    assert verdict.title(report({}, filters=BATCH)) == "No new failures (filtered)"
    assert verdict.night_words(replace(summary(), filters=BATCH)) == "No new failures (filtered)"
    assert verdict.title(report({"new": 1, "failing": 1}, filters=BATCH)) == "1 new failure"
    assert verdict.nothing_failing(report({}, filters=BATCH)) == (
        "Nothing that the filter let through is failing."
    )


def test_where_failed_jobs_were_not_asked_for_nothing_says_that_none_failed() -> None:
    told = report({}, filters=Filters(status=("Succeeded", "Running")))
    assert verdict.title(told) == verdict.nothing_failing(told)[:-1]
    assert verdict.title(told) == "Failed jobs were not asked for"
    assert "still failing" not in verdict.rest(told)


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        (4, "4 failed in earlier reports; nobody asked whether they still do."),
        (1, "1 failed in earlier reports; nobody asked whether it still does."),
    ],
)
def test_what_failed_before_and_was_not_asked_for_counts_and_is_told(
    failing: int, said: str
) -> None:
    jobs = tuple(f"job-{number}" for number in range(failing))
    for asked in (Filters(status=("Succeeded",)), Filters(labels={"batch": "b17"})):
        told = report({"failing": 7, "still_failing": 7}, filters=asked, left_out=3)
        assert verdict.filter_note(told).endswith("; it left out 3 jobs.")
        some = replace(told, unasked=jobs)
        assert verdict.filter_note(some).endswith(f"; it left out 3 jobs. {said}")


def test_a_night_that_noted_no_filter_says_nothing_of_one() -> None:
    """One of an older version: it stays as it was told."""
    assert verdict.night_filter_note(summary()) == ""
    assert verdict.night_words(summary()) == "No new failures"


def test_that_nothing_fails_is_said_only_of_what_could_be_read() -> None:
    assert verdict.nothing_failing(report({})) == "Nothing is failing."
    said = "Nothing that could be read is failing; of 3 jobs that is not known."
    assert verdict.nothing_failing(report({"unknown": 3})) == said
    lacks = replace(report({}, filters=BATCH), complete=False)
    said = "Nothing that the filter let through and that could be read is failing."
    assert verdict.nothing_failing(lacks) == said


def test_the_overview_counts_jobs_of_which_nobody_knows_how_they_stand(tmp_path: Path) -> None:
    """One that the server lost while it ran is no running job; its tile leads to it."""
    over = site_cases.runs(2)
    first, second, *others = site_cases.entries(12, over)
    known = [
        replace(each, row=replace(each.row, status="Succeeded", readable=True)) for each in others
    ]
    ran = replace(
        first.row, status="Running", end=None, submission=over[0].now - timedelta(hours=1)
    )
    lost = replace(
        first, row=ran, run=over[0].id, first_run=over[0].id, last_run=over[0].id, told_run=""
    )
    unread = replace(second, row=replace(second.row, status="Succeeded", readable=False))
    site_cases.write(tmp_path, [lost, unread, *known], over)
    page = (tmp_path / "index.html").read_text()
    tile = r'href="([^"]+)"><span class="n">2</span> <span class="what">Unknown'
    (at,) = re.findall(tile, page)
    listed = (tmp_path / at).read_text()
    for job in (lost, unread):
        assert addresses.job(job.row.id).rpartition("/")[2] in listed
    assert "; the status is the one that the list told" in listed
    assert "By the list it succeeded" in (tmp_path / addresses.job(unread.row.id)).read_text()
    assert re.search(r'"n">0</span> <span class="what">Running now', page)
    site_cases.write(tmp_path, known, over)
    assert 'class="what">Unknown' not in (tmp_path / "index.html").read_text()


def the_largest(
    jobs: Sequence[int], cause: CauseClass, *, title: str = "", rule: str = "", **more: Any
) -> str:
    """The sentence of a report of new failures, so many of each cause."""
    groups = [
        CauseGroup(
            id=str(number),
            state="new",
            cause_class=cause,
            title=title,
            rule=rule,
            jobs=tuple(f"{number}-{job}" for job in range(some)),
            new_jobs=tuple(f"{number}-{job}" for job in range(some)),
            workflows=("wf",),
            **more,
        )
        for number, some in enumerate(jobs)
    ]
    counts = ReportCounts(total=99, new=sum(jobs))
    found = causewords.largest(groups, counts)
    return " ".join(found) if found else ""


def test_a_cause_of_which_nobody_knows_its_kind_is_not_called_unknown() -> None:
    """Below its message that would say nothing, or that the message is unknown."""
    assert causewords.class_words("unknown") == ""
    assert causewords.class_words("out of memory") == "out of memory"


@pytest.mark.parametrize("cause", causewords.CLASS_VERBS)
def test_of_one_failure_is_spoken_as_of_one(cause: CauseClass) -> None:
    said = the_largest([1], cause)
    assert said.startswith("It ")
    assert not set(said.split()) & {"were", "their", "one"}
    assert the_largest([2], cause).startswith(f"All of them {causewords.CLASS_VERBS[cause]} ")


@pytest.mark.parametrize(
    ("rule", "why"),
    [(NO_MESSAGE, "the server gave no reason"), (NOT_READ, "why could not be read")],
)
def test_no_message_is_told_of_where_nobody_read_one(rule: str, why: str) -> None:
    assert the_largest([1], "unknown", rule=rule) == f"It failed wf , and {why}."
    shared = the_largest([2], "unknown", rule=rule, shared=(("batch", "b17"),))
    assert shared == f"All of them failed wf , all with batch b17, and {why}."
    assert "with one message" in the_largest([2], "unknown", title="Segfault", rule="other")


def test_the_largest_cause_is_told_by_its_share_and_only_where_one_stands_out() -> None:
    assert the_largest([5, 3], "quota") == "Most of them (5) met a quota wf ."
    assert the_largest([4, 3, 3], "quota") == "The most with one cause: 4 met a quota wf ."
    assert the_largest([1, 1], "quota") == ""
    assert the_largest([], "quota") == ""


def test_what_all_its_jobs_share_is_part_of_the_sentence_but_of_one_job() -> None:
    shared = (("batch", "b17"),)
    assert the_largest([2], "aborted", shared=shared).endswith("wf , all with batch b17.")
    assert the_largest([1], "aborted", shared=shared) == "It was aborted wf ."
