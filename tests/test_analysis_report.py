"""The numbers of a report by their definitions, and the laws that hold for any history."""

import random
from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from itertools import permutations
from typing import Any

import msgspec
import pytest
from analysis_cases import DAY, HOUR, job, night, run, runs
from doses import dose
from held import Held
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from jmreport.analysis import analyse, contexts
from jmreport.analysis.coverage import listed_until
from jmreport.analysis.nights import Nights
from jmreport.analysis.rows import NO_INPUTS
from jmreport.errors import SnapshotError, UsageError
from jmreport.gaps import Gap
from jmreport.placed import ByValue
from jmreport.records import Entry, Failure, Filters, Run
from jmreport.report import Report
from jmreport.report.labels import FrameReport
from jmreport.settings import ReportSettings, Slo
from jmreport.short_ids import short_ids


def report(entries: list[Entry], of: list[Run], **more: Any) -> Report:
    chosen = ReportSettings(**{"identity_labels": ("sample",), **more})
    return analyse(Held(entries), of, {}, settings=chosen)


def verdict(found: Report) -> tuple[int, int, int, int]:
    """new, still failing, fixed, failing."""
    counts = found.counts
    return counts.new, counts.still_failing, counts.fixed, counts.failing


def ended(number: int, status: str, *, as_id: str = "", **row: Any) -> Entry:
    """A job that ended an hour before a night's run, and was found by it."""
    return job(as_id or f"{status}-{number}", night(number) - HOUR, status, found=number, **row)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["Failed"], (0, 0, 0, 1)),
        (["Succeeded", "Failed"], (1, 0, 0, 1)),
        ([None, "Failed"], (1, 0, 0, 1)),
        (["Failed", "Failed"], (0, 1, 0, 1)),
        (["Failed", None], (0, 1, 0, 1)),
        (["Failed", "Succeeded"], (0, 0, 1, 0)),
        (["Failed", "Aborted"], (0, 1, 0, 1)),
        (["Failed", "Succeeded", "Failed"], (1, 0, 0, 1)),
        (["Failed", "Succeeded", "Succeeded"], (0, 0, 0, 0)),
        (["Failed", *[None] * 7], (0, 1, 0, 1)),
        (["Failed", *[None] * 8], (0, 0, 0, 0)),
    ],
)
def test_a_keys_verdict_follows_from_its_nights(
    statuses: list[str | None], expected: tuple[int, ...]
) -> None:
    """One status a night, None where it did not run; a state is kept for seven nights."""
    entries = [ended(number, status) for number, status in enumerate(statuses) if status]
    assert verdict(report(entries, runs(len(statuses)))) == expected


def test_of_several_jobs_in_one_night_the_newest_counts() -> None:
    entries = [
        job("early", night(1) - 5 * HOUR, "Failed", found=1),
        job("late", night(1) - HOUR, found=1),
    ]
    assert verdict(report(entries, runs(2))) == (0, 0, 0, 0)


def test_a_job_that_runs_leaves_the_state_as_it_was() -> None:
    active = job("now", None, "Running", found=1, submission=night(1) - HOUR)
    assert verdict(report([ended(0, "Failed"), active], runs(2))) == (0, 1, 0, 1)


def test_a_job_that_cannot_be_read_fixes_nothing() -> None:
    """It is unknown and named, and the key goes on failing until a success was read."""
    found = report([ended(0, "Failed"), ended(1, "Succeeded", readable=False)], runs(2))
    assert verdict(found) == (0, 1, 0, 1)
    assert found.unknown == ("Succeeded-1",)
    assert found.counts.unknown == 1


def test_a_job_listed_as_failed_counts_though_its_detail_cannot_be_read() -> None:
    found = report([ended(1, "Failed", readable=False, key="")], runs(2))
    assert verdict(found) == (1, 0, 0, 1)
    assert found.counts.unknown == 0


def test_identity_labels_tell_keys_apart_and_inputs_do_where_there_are_none() -> None:
    entries = [
        ended(1, "Failed", as_id="a", labels={"sample": "A"}, key="x"),
        ended(1, "Failed", as_id="b", labels={"sample": "B"}, key="x"),
        ended(1, "Failed", as_id="c", labels={"sample": "B"}, key="y"),
    ]
    assert report(entries, runs(2)).counts.failing == 2
    assert report(entries, runs(2), identity_labels=()).counts.failing == 2
    assert report(entries, runs(2), identity_labels=("none",)).counts.failing == 2


def test_what_the_previous_run_missed_in_its_window_is_new() -> None:
    missed = job("missed", night(0) - HOUR, "Failed", found=1)
    assert verdict(report([missed], runs(2))) == (1, 0, 0, 1)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [("Succeeded", "Failed", (1, 0, 0, 1)), ("Failed", "Succeeded", (0, 0, 1, 0))],
)
def test_what_the_previous_run_saw_and_could_not_tell_is_news(
    before: str, now: str, told: tuple[int, ...]
) -> None:
    """Its detail could not be read then, or the server's list still had it as running."""
    late = job("late", night(1) - HOUR, now, found=2, first=1, told=2)
    assert verdict(report([ended(0, before), late], runs(3))) == told
    known = job("known", night(1) - HOUR, now, found=2, first=1, told=1)
    assert verdict(report([ended(0, before), known], runs(3))) == (
        0,
        now == "Failed",
        0,
        now == "Failed",
    )


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [("Succeeded", "Failed", (1, 0, 0, 1)), ("Failed", "Succeeded", (0, 0, 1, 0))],
)
@pytest.mark.parametrize(
    "left_out_by",
    [Filters(labels={"owner": "li"}), Filters(status=("Running",)), Filters(name="other")],
    ids=["label", "status", "name"],
)
def test_what_a_filter_left_out_the_night_before_is_news_when_it_is_read(
    left_out_by: Filters, before: str, now: str, told: tuple[int, ...]
) -> None:
    """No report told of it: it is compared with the last that would have."""
    nights = [run(0), run(1, filters=left_out_by), run(2)]
    late = job("late", night(1) - HOUR, now, found=2)
    found = report([ended(0, before), late], nights)
    assert verdict(found) == told
    if now == "Failed":
        assert found.attention[0].nights == 1
    # A day later it is as old as any other.
    later = report([ended(0, before), late], [*nights, run(3)])
    assert verdict(later) == (0, now == "Failed", 0, now == "Failed")


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [("Succeeded", "Failed", (1, 0, 0, 1)), ("Failed", "Succeeded", (0, 0, 1, 0))],
)
def test_what_a_night_saw_run_ended_behind_it_though_its_server_tells_no_end(
    before: str, now: str, told: tuple[int, ...]
) -> None:
    """Not when it started: other jobs of its work had ended since, and would tell instead."""
    since: dict[str, Any] = {"submission": night(1) - 4 * HOUR, "start": night(1) - 3 * HOUR}
    late = job("late", None, now, found=2, first=1, told=2, behind=2, **since)
    found = report([ended(1, before), late], runs(3))
    assert verdict(found) == told
    assert found.nights[-1].split.counts == {now: 1}
    seen = [group.first_seen for group in found.attention]
    assert len(seen) == (now == "Failed")
    assert all(at and night(1) < at <= night(2) for at in seen)
    # A night has it for good, whatever is learned of the job later.
    later = replace(late, run=run(3).id, told_run=run(3).id, last_run=run(3).id)
    assert report([ended(1, before), later], runs(4)).nights[-1].split.counts == {}


@pytest.mark.parametrize("end", [None, night(1) + 10 * HOUR])
@pytest.mark.parametrize(
    ("late", "again", "told"),
    [("Succeeded", "Failed", (1, 0, 0, 1)), ("Failed", "Succeeded", (0, 0, 0, 0))],
)
def test_what_was_run_again_since_comes_behind_a_job_whose_server_tells_no_end(
    late: str, again: str, told: tuple[int, ...], end: datetime | None
) -> None:
    """Also the night after: a night has it for good."""
    since: dict[str, Any] = {"submission": night(1) - 4 * HOUR, "start": night(1) - 3 * HOUR}
    since |= {"first": 1, "told": 2, "behind": 2}
    then: dict[str, Any] = {"submission": night(1) + 8 * HOUR, "start": night(1) + 9 * HOUR}
    jobs = [
        job("z-late", None, late, found=2, **since),
        job("again", end, again, found=2, first=2, told=2, **then),
    ]
    assert verdict(report(jobs, runs(3))) == told
    assert verdict(report(jobs, runs(4))) == (0, told[0], 0, told[3])


@pytest.mark.parametrize("failed", ["a", "b"])
def test_of_jobs_that_were_seen_running_and_tell_no_end_none_hides_one_that_failed(
    failed: str,
) -> None:
    since: dict[str, Any] = {"start": night(1) - HOUR, "first": 1, "told": 2, "behind": 2}
    jobs = [
        job(name, None, "Failed" if name == failed else "Succeeded", found=2, **since)
        for name in ("a", "b")
    ]
    assert verdict(report(jobs, runs(3))) == (1, 0, 0, 1)


def test_a_job_that_no_night_saw_run_and_that_tells_no_end_ended_when_it_started() -> None:
    """Also one that could not be read at first: it may have ended long before it was."""
    started = night(1) - 3 * HOUR
    unread = job("unread", None, found=2, first=1, told=2, start=started)
    failed = ended(1, "Failed")
    assert verdict(report([failed, unread], runs(3))) == (0, 1, 0, 1)


HALF = Filters(status=("Succeeded",))
OF_LI = Filters(labels={"owner": "li"})


@pytest.mark.parametrize(
    ("filters", "window", "told"),
    [
        ((None, None, None), 1, True),
        ((None, HALF, None), 1, False),  # nobody read again what the second left out
        ((None, HALF, None), 7, True),  # the third did
        ((None, None, HALF), 7, False),
        ((None, None, OF_LI), 7, False),
        ((None, OF_LI, None), 1, False),
        ((None, None, Filters(labels={"owner": "ana"})), 7, True),
        ((None, None, Filters(status=("Failed", "Succeeded"))), 7, True),
        # They are of jobs that nobody archived, where these are hidden.
        ((None, None, Filters(hide_archived=True)), 7, True),
    ],
)
def test_a_promise_is_told_only_where_no_filter_left_out_jobs_of_it(
    filters: tuple[Filters | None, ...], window: int, told: bool
) -> None:
    entries = [ended(number, "Succeeded", labels={"owner": "ana"}) for number in range(3)]
    nights = [run(n, filters=each, window=window * DAY) for n, each in enumerate(filters)]
    promise = Slo(label="owner=ana", target=0.95, days=7)
    (one,) = analyse(Held(entries), nights, {}, settings=ReportSettings(), slos=(promise,)).slos
    assert (one.told, one.rate) == (told, 1.0 if told else None)
    assert not one.broken


def test_a_day_says_what_was_not_asked_for_until_somebody_asks() -> None:
    entries = [ended(number, "Succeeded") for number in range(3)]

    def days(*filters: Filters | None, window: int) -> list[tuple[Any, ...]]:
        nights = [run(n, filters=each, window=window * DAY) for n, each in enumerate(filters)]
        return [
            (day.unseen, day.filtered, day.failure_rate) for day in report(entries, nights).days
        ]

    plain, hidden = ((), False, 0.0), (("Failed", "Aborted"), True, None)
    assert days(None, None, None, window=1)[-2:] == [plain, plain]
    # Days behind which not everything was read are none of the report's.
    assert days(None, HALF, None, window=1) == [plain]
    assert days(None, HALF, None, window=7)[-2:] == [plain, plain]
    assert days(None, None, HALF, window=1)[-2:] == [plain, hidden]
    assert days(None, None, OF_LI, window=1)[-1] == ((), True, 0.0)


def test_another_project_brings_no_flood_of_new_failures() -> None:
    """What the runs of another project did not list nobody had asked for."""
    nights = [*(run(n, filters=Filters(project_id="p")) for n in range(2))]
    old = [job(f"old{n}", night(0) - HOUR, "Failed", found=2, key=f"k{n}") for n in range(5)]
    for then in (Filters(project_id="q"), Filters()):
        found = report(old, [*nights, run(2, filters=then)], identity_labels=())
        assert verdict(found) == (0, 5, 0, 5)
    same = report(old, [*nights, run(2, filters=Filters(project_id="p"))], identity_labels=())
    assert verdict(same) == (5, 0, 0, 5)


def test_what_a_run_missed_is_new_also_where_rows_name_no_user() -> None:
    """Such rows are kept whoever was asked for."""
    asked = Filters(user_id="ana")
    missed = job("missed", night(0) - HOUR, "Failed", found=2)
    found = report([missed], [run(number, filters=asked) for number in range(3)])
    assert verdict(found) == (1, 0, 0, 1)


def test_a_run_whose_window_does_not_reach_a_job_did_not_ask_for_it() -> None:
    nights = [run(0, window=DAY), run(1, window=DAY, filters=Filters(name="other"))]
    late = job("late", night(1) - HOUR, "Failed", found=3)
    found = report([late], [*nights, run(2, window=DAY), run(3)])
    assert verdict(found) == (1, 0, 0, 1)


@pytest.mark.parametrize(
    ("asked", "told", "now", "expected"),
    [
        ("Failed", "Failed", "Succeeded", (0, 0, 1, 0)),
        ("Succeeded", "Succeeded", "Failed", (1, 0, 0, 1)),
    ],
)
def test_what_no_run_asked_for_says_nothing_of_what_reports_told(
    asked: str, told: str, now: str, expected: tuple[int, ...]
) -> None:
    """Its state is compared with the one that reports told of it."""
    nights = [run(number, filters=Filters(status=(asked,))) for number in range(3)]
    late = job("late", night(2) - HOUR, now, found=3)
    assert verdict(report([ended(0, told), late], [*nights, run(3)])) == expected


def test_nights_are_the_reports_in_a_row_that_told_of_it() -> None:
    nights = [run(0), *(run(number, filters=Filters(name="other")) for number in (1, 2))]
    late = job("late", night(1) - HOUR, "Failed", found=3)
    for behind in range(3, 6):
        found = report([ended(0, "Succeeded"), late], [*nights, *map(run, range(3, behind + 1))])
        assert found.attention[0].nights == behind - 2


@pytest.mark.parametrize(
    ("filters", "unasked"),
    [
        (Filters(labels={"owner": "li"}), {"Failed-0"}),
        (Filters(labels={"owner": "ana"}), set()),
        (Filters(status=("Succeeded",)), {"Failed-0"}),
        (Filters(), set()),
    ],
)
def test_what_fails_and_was_left_out_is_named(filters: Filters, unasked: set[str]) -> None:
    failed = ended(0, "Failed", labels={"owner": "ana"})
    found = report([failed], [run(0), run(1, filters=filters)], identity_labels=())
    assert found.counts.still_failing == 1
    assert {*found.unasked} == unasked


def test_what_no_run_asked_for_before_brings_no_flood_of_new_failures() -> None:
    """A site of one owner's jobs that asks for all of them for once."""
    nights = [*(run(number, filters=Filters(labels={"owner": "ana"})) for number in range(3))]
    old = job("old", night(1) - HOUR, "Failed", found=3)
    assert verdict(report([old], [*nights, run(3)])) == (0, 1, 0, 1)


def test_a_wider_window_brings_no_flood_of_new_failures() -> None:
    old = job("old", night(0) - 20 * DAY, "Failed", found=1)
    assert report([old], [run(0), run(1, window=None)]).counts.new == 0


def test_a_servers_clock_ahead_of_ours_hides_no_failure() -> None:
    ahead = job("ahead", night(1) + 400 * DAY, "Failed", found=1)
    assert report([ahead], runs(2)).counts.new == 1
    assert report([ahead], runs(3)).counts.still_failing == 1


@pytest.mark.parametrize("back", [HOUR, 25 * HOUR, 400 * DAY])
def test_a_run_whose_clock_was_set_back_hides_no_failure(back: timedelta) -> None:
    """What it found failed after the success that the run before told of."""
    first = ended(1, "Succeeded")
    slow = replace(run(1), id=f"{run(1).id}-0002", now=night(1) - back)
    failed = replace(
        job("failed", night(1) + HOUR, "Failed", found=1), run=slow.id, first_run=slow.id
    )
    failed = replace(failed, last_run=slow.id)
    entries = [first, failed]
    assert verdict(report(entries, [*runs(2), slow]))[0] == 1
    assert verdict(report(entries, [*runs(2), slow, run(2)])) == (0, 1, 0, 1)


@pytest.mark.parametrize(("status", "before"), [("Failed", "Succeeded"), ("Succeeded", "Failed")])
@pytest.mark.parametrize("later", [timedelta(minutes=2), 400 * DAY])
def test_what_was_told_once_is_no_news_when_its_record_is_written_anew(
    status: str, before: str, later: timedelta
) -> None:
    """It ended after the run that told of it, by the server's clock; then somebody labels it."""
    first = ended(0, before, as_id="first")
    then = job("then", night(1) + later, status, found=1, told=1)
    news, again = (
        report([first, then], runs(2)),
        report([first, replace(then, run=run(2).id)], runs(3)),
    )
    assert verdict(news)[0] + verdict(news)[2] == 1
    assert verdict(again)[0] + verdict(again)[2] == 0
    assert again.counts.still_failing == (status == "Failed")
    assert again.nights[-1].split.total == 0


def test_a_failure_that_lapsed_and_is_back_is_told_of_for_the_first_time() -> None:
    back = [ended(0, "Failed"), ended(9, "Failed")]
    found = report(back, runs(10))
    assert verdict(found) == (1, 0, 0, 1)
    assert found.attention[0].nights == 1
    assert found.oldest_failing is None
    other = ended(8, "Failed", as_id="other", key="other")
    assert report([*back, other], runs(10)).oldest_failing == night(8) - HOUR


def not_run(found: Report) -> tuple[str, ...]:
    """Jobs of keys that still fail and did not run, of which there are as many as are counted."""
    jobs = tuple(job for group in found.attention for job in group.not_run)
    assert len(jobs) == found.counts.not_run
    return jobs


@pytest.mark.parametrize(
    ("tonight", "idle"),
    [
        ([], ("Failed-0",)),
        ([ended(2, "Failed")], ()),
        ([ended(2, "Aborted")], ()),
        ([job("active", None, "Running", found=2, start=night(2) - HOUR)], ()),
        ([ended(2, "Succeeded", key="", readable=False)], ()),
        ([ended(2, "Succeeded", name="other")], ("Failed-0",)),
        ([job("late", night(1) - HOUR, "Failed", found=2)], ()),
    ],
    ids=["nothing", "failed", "aborted", "runs", "any key's", "another's", "told of tonight"],
)
def test_work_that_still_fails_and_did_not_run_tonight_is_marked(
    tonight: list[Entry], idle: tuple[str, ...]
) -> None:
    """An unreadable job may be any key's of its workflow, and what is told of first is no state
    from before."""
    found = report([ended(0, "Failed"), *tonight], runs(3))
    assert (found.counts.still_failing, not_run(found)) == (1, idle)


@pytest.mark.parametrize(
    ("filters", "before", "idle"),
    [
        (Filters(), Filters(), 1),
        (Filters(name="wf"), Filters(), 1),
        (Filters(name="other"), Filters(), 0),
        (Filters(status=("Failed",)), Filters(), 0),
        (Filters(project_id="b"), Filters(project_id="a"), 0),
    ],
)
def test_of_what_was_not_asked_for_nobody_knows_whether_it_ran(
    filters: Filters, before: Filters, idle: int
) -> None:
    """Nor where a page of the list did not come, or so soon after the night before."""
    entries, nights = [ended(0, "Failed")], [run(0, filters=before), run(1, filters=before)]
    assert len(not_run(report(entries, [*nights, run(2, filters=filters)]))) == idle
    lost = Gap(what="page 2 of the list", why="server error 500")
    assert not_run(report(entries, [*runs(2), run(2, gaps=(lost,))])) == ()
    soon = night(2) + 3 * HOUR
    assert not_run(report(entries, [*runs(3), replace(run(3), now=soon)])) == ()


def test_work_that_lapses_is_told_of_in_that_night_alone() -> None:
    """It did not run for seven nights: nobody can say that it is fixed."""
    entries = [ended(0, "Succeeded"), ended(1, "Failed")]
    told = [report(entries, runs(count)) for count in range(8, 12)]
    assert [verdict(found)[1] for found in told] == [1, 1, 0, 0]
    assert [found.lapsed for found in told] == [(), (), ("Failed-1",), ()]
    assert [found.counts.lapsed for found in told] == [0, 0, 1, 0]
    assert [found.counts.fixed for found in told] == [0, 0, 0, 0]


def test_work_that_runs_again_in_the_night_in_which_it_would_lapse_does_not() -> None:
    entries = [ended(0, "Failed"), ended(8, "Failed")]
    assert report(entries, runs(9)).lapsed == ()
    aborted = [ended(0, "Failed"), ended(8, "Aborted")]
    assert report(aborted, runs(9)).lapsed == ("Failed-0",)
    fixed = [ended(0, "Failed"), ended(8, "Succeeded")]
    assert report(fixed, runs(9)).lapsed == ()


@pytest.mark.parametrize(("nights", "missing"), [(4, 0), (5, 1)])
def test_a_key_of_five_of_the_last_seven_nights_is_missed(nights: int, missing: int) -> None:
    entries = [ended(number, "Succeeded") for number in range(8 - nights, 8)]
    found = report(entries, runs(9))
    assert found.counts.missing == missing == len(found.missing)
    again = job("now", None, "Running", found=8, submission=night(8) - HOUR)
    assert report([*entries, again], runs(9)).counts.missing == 0


@pytest.mark.parametrize(
    ("labels", "key", "known"),
    [
        ({"sample": "b", "lane": "1"}, "", True),
        ({}, "inputs that were read", True),
        ({}, "", False),
        ({}, NO_INPUTS, False),
        ({"sample": "b"}, "", False),  # its detail may tell the lane
    ],
)
@pytest.mark.parametrize("status", ["Succeeded", "Running"])
def test_an_unread_job_is_no_other_works_where_it_is_known_whose_it_is(
    labels: dict[str, str], key: str, known: bool, status: str
) -> None:
    """Else it may be that work's, and nobody knows."""
    a = {"sample": "a", "lane": "1"}
    steady = [ended(number, "Succeeded", labels=a) for number in range(1, 8)]
    failing = ended(6, "Failed", labels={"sample": "f", "lane": "1"})
    end = None if status == "Running" else night(8) - HOUR
    row: dict[str, Any] = {"labels": labels, "key": key, "readable": False}
    other = job("other", end, status, found=8, **row)
    counts = report([*steady, failing, other], runs(9), identity_labels=("sample", "lane")).counts
    assert (counts.missing, counts.not_run, counts.maybe_missing) == (
        (1, 1, 0) if known else (0, 0, 1)
    )


def test_a_job_that_was_lost_unread_long_ago_is_nobodys_of_tonight() -> None:
    """For as long as states are kept it may be."""

    def missed(lost: int) -> tuple[int, int]:
        steady = [ended(number, "Succeeded") for number in range(10, 17)]
        gone = job("gone", None, "Running", found=lost, readable=False, key="")
        counts = report([*steady, gone], runs(18)).counts
        return counts.missing, counts.maybe_missing

    assert (missed(9), missed(10)) == ((1, 0), (0, 1))


def test_work_that_a_filter_may_have_kept_out_is_not_missed() -> None:
    """Another filter than in the seven nights before, and any by status, has work come and go."""
    entries = [ended(number, "Succeeded") for number in range(1, 8)]
    owner, failed = Filters(labels={"owner": "ana"}), Filters(status=("Failed",))

    def missed(before: Filters | None, now: Filters | None) -> int:
        nights = [*(run(number, filters=before) for number in range(8)), run(8, filters=now)]
        return report(entries, nights).counts.missing

    assert missed(None, None) == missed(owner, owner) == 1
    assert missed(None, owner) == missed(owner, None) == missed(failed, failed) == 0


def test_where_a_page_of_the_list_did_not_come_nobody_knows_what_is_missing() -> None:
    entries = [ended(number, "Succeeded") for number in range(1, 8)]
    lost = Gap(what="page 2 of the list", why="500")
    assert report(entries, [*runs(8), run(8, gaps=(lost,))]).counts.missing == 0
    detail = Gap(what="job", why="500", job="other")
    assert report(entries, [*runs(8), run(8, gaps=(detail,))]).counts.missing == 1


@pytest.mark.parametrize(("hours", "missing"), [(24, 1), (19, 1), (17, 0), (1, 0), (-20, 0)])
def test_nothing_is_missed_so_soon_after_the_night_before(hours: int, missing: int) -> None:
    """A second run in the afternoon, or a clock that was set back, is no night in which work did
    not come."""
    entries = [ended(number, "Succeeded") for number in range(1, 8)]
    last = run(8)
    soon = replace(last, now=night(7) + hours * HOUR)
    assert report(entries, [*runs(8), soon]).counts.missing == missing


def test_a_group_holds_the_keys_with_one_cause_and_what_they_share() -> None:
    def failed(sample: str, shard: int, batch: str) -> Entry:
        message = f"Job wf.Align:{shard}:1 exited with return code 137"
        return ended(
            1,
            "Failed",
            as_id=f"f{sample}",
            labels={"sample": sample, "batch": batch, "site": "eu"},
            failure=Failure(message=message, task="Align", shard=shard),
        )

    good = [
        ended(
            1,
            "Succeeded",
            as_id=f"g{n}",
            labels={"sample": f"g{n}", "batch": "1", "site": "eu" if n else "us"},
        )
        for n in range(3)
    ]
    (group,) = report([failed("A", 1, "7"), failed("B", 2, "7"), *good], runs(2)).attention
    assert group.title == "Job wf.Align:<shard>:<attempt> exited with return code 137"
    assert (group.state, group.cause_class, group.tasks) == ("new", "out of memory", ("Align",))
    assert sorted(group.jobs) == sorted(group.new_jobs) == ["fA", "fB"]
    assert group.shared == (("batch", "7"),)


def _hours(*hours: float) -> list[Entry]:
    return [
        job(f"s{n}", night(0) - (n + 1) * DAY, found=0, took=timedelta(hours=h))
        for n, h in enumerate(hours)
    ]


@pytest.mark.parametrize(
    ("status", "history", "hours", "told"),
    [
        ("Running", [10.0] * 5, 15.0, ""),
        ("Running", [10.0] * 5, 15.1, "stuck"),
        ("Running", [0.5] * 5, 1.5, ""),
        ("Running", [0.5] * 5, 1.6, "stuck"),
        ("Running", [0.5] * 4, 500.0, "unjudged"),
        ("Running", [], 12.0, ""),
        ("Running", [], 12.1, "unjudged"),
        ("Aborting", [], 12.1, "unjudged"),
        ("Submitted", [], 12.0, ""),
        ("OnHold", [], 12.1, "stuck"),
    ],
)
def test_stuck_is_longer_than_the_workflow_explains(
    status: str, history: list[float], hours: float, told: str
) -> None:
    """max(P95 x 1.5, P95 + 1 h) of at least five successes; waiting, 12 h. With fewer nobody can
    say whether what runs for as long is stuck."""
    since = night(1) - timedelta(hours=hours)
    start = since if status in ("Running", "Aborting") else None
    active = job("a", None, status, found=1, submission=since, start=start)
    found = report([*_hours(*history), active], runs(2))
    assert [one.job for one in found.stuck] == (["a"] if told == "stuck" else [])
    assert found.unjudged == (("a",) if told == "unjudged" else ())
    assert found.counts.unjudged == len(found.unjudged)


def test_what_is_usual_is_interpolated_between_runs() -> None:
    (workflow,) = report(_hours(1, 2, 3, 4, 5), runs(1)).workflows
    assert workflow.usual is not None
    assert workflow.usual.median == timedelta(hours=3)
    assert workflow.usual.p10 == timedelta(hours=1.4)
    assert workflow.usual.p95 == timedelta(hours=4.8)
    assert workflow.usual.runs == 5


@pytest.mark.parametrize("short_first", [True, False])
def test_of_runs_that_ended_in_one_instant_the_same_are_usual_whichever_were_found_first(
    short_first: bool,
) -> None:
    """Twenty took ten minutes and twenty a hundred: the last thirty are all of the long ones."""
    jobs = [
        job(
            f"{number:02}",
            night(1) - HOUR,
            took=timedelta(minutes=100 if number % 2 else 10),
            found=1 if (number % 2 == 0) == short_first else 2,
        )
        for number in range(40)
    ]
    asking = job("asking", night(3) - HOUR, "Failed", found=3)
    found = report([*jobs, asking], runs(4))
    of_page = {one.entry.row.id: one.usual for one in contexts(Held([*jobs, asking]), runs(4))}
    usual = of_page["asking"]
    assert usual is not None
    assert usual == found.workflows[0].usual
    assert usual.median == timedelta(minutes=100)


def test_what_was_usual_for_a_job_never_changes_afterwards() -> None:
    """Neither by later runs nor by older jobs that are found later."""
    before = [*_hours(1, 2, 3, 4, 5), ended(1, "Failed", as_id="j")]
    after = [
        *before,
        *[ended(2, "Succeeded", as_id=f"later{n}", took=9 * HOUR) for n in range(9)],
        *[job(f"old{n}", night(0) - 2 * DAY, found=2, took=9 * HOUR) for n in range(9)],
    ]
    first = {c.entry.row.id: c.usual for c in contexts(Held(before), runs(2))}
    later = {c.entry.row.id: c.usual for c in contexts(Held(after), runs(3))}
    assert first["j"] is not None
    assert first["j"] == later["j"]
    assert first["s0"] is None


def test_a_failed_jobs_context_names_its_cause_and_the_class_of_it() -> None:
    entries = [
        ended(0, "Failed", as_id="bad", failure=Failure(message="Killed")),
        ended(0, "Succeeded", as_id="good", key="other"),
    ]
    (group,) = report(entries, runs(1)).attention
    found = {c.entry.row.id: (c.cause, c.cause_class) for c in contexts(Held(entries), runs(1))}
    assert found == {"bad": (group.id, "out of memory"), "good": (None, None)}


def test_a_job_the_server_no_longer_lists_is_lost_and_stays() -> None:
    gone = ended(0, "Succeeded", as_id="gone")
    here = job("here", night(0) - HOUR, found=0, last=1)
    found = report([gone, here], runs(2))
    assert found.quality is not None
    assert found.quality.lost == ("gone",)
    assert {entry.row.id for entry in found.jobs} == {"gone", "here"}
    for server in ("http://jm", "http://ana@JM/api/v1/"):
        history = [run(0), run(1, server=server)]
        seen = {c.entry.row.id: c.last_seen for c in contexts(Held([gone, here]), history)}
        assert seen == {"gone": night(0), "here": None}


@pytest.mark.parametrize(
    ("filters", "server"),
    [
        (None, "http://jm"),
        (Filters(labels={"owner": "ana"}), "http://jm"),
        (Filters(hide_archived=True), "http://jm"),
        (None, "http://moved"),
    ],
    ids=["all jobs", "a label", "not archived", "another server"],
)
def test_a_running_job_of_which_the_server_says_that_it_is_not_there_is_unknown(
    filters: Filters | None, server: str
) -> None:
    """However the run asked its list, and whichever server told of the job: not gone from view, and
    not running."""
    refused = (Gap(what="job", why="not found (404)", job="long"),)
    began: dict[str, Any] = {
        "submission": night(0) - HOUR,
        "start": night(0) - HOUR,
        "labels": {"owner": "ana"},
    }
    long = job("long", None, "Running", found=1, last=0, first=0, gaps=refused, **began)
    over = [run(0, filters=filters), *(run(n, filters=filters, server=server) for n in (1, 2))]
    for until in (2, 3):
        found = report([long], over[:until])
        assert (found.counts.total, found.counts.running, found.counts.unknown) == (1, 0, 1)
        assert found.quality is not None
        assert found.quality.lost == ("long",)


def test_a_running_job_that_the_list_names_runs_whatever_is_said_of_its_details() -> None:
    """A server that cannot show a job, or has not yet, still says that it runs."""
    refused = (Gap(what="job", why="not found (404)", job="fresh"),)
    began: dict[str, Any] = {"submission": night(1) - HOUR, "start": night(1) - HOUR}
    fresh = job("fresh", None, "Running", found=1, gaps=refused, **began)
    counts = report([fresh], [run(0), run(1)]).counts
    assert (counts.total, counts.running, counts.unknown) == (1, 1, 0)


def test_runs_that_nobody_compares_with_listed_jobs_all_the_same() -> None:
    """A night that is compared with an earlier one leaves out nothing that they had listed."""
    every = [run(number, window=DAY) for number in range(9)]
    few = [*every[:7], every[8]]
    assert not Nights(few).can_miss
    assert Nights(few, listed=every).can_miss


def test_a_run_of_a_clock_that_was_set_back_takes_nothing_from_what_was_listed() -> None:
    early = replace(run(5), now=night(-60))
    assert listed_until([*runs(5), early], run(6).asked, night(6)) == night(4)


def test_invented_jobs_say_nothing_of_what_a_real_server_listed() -> None:
    real, invented = (replace(run(6).asked, server=each) for each in ("http://moved", "the demo"))
    assert listed_until(runs(5), real, night(6)) == night(4)
    assert listed_until(runs(5), invented, night(6)) is None


def test_a_sub_workflow_is_lost_with_the_job_above_it() -> None:
    """No list ever names it, so only its parent's absence tells."""
    gone = ended(0, "Succeeded", as_id="gone")
    child = replace(gone, row=replace(gone.row, id="child", parent="gone", listed=False))
    orphan = replace(gone, row=replace(gone.row, id="orphan", parent="nobody", listed=False))
    found = contexts(Held([gone, child, orphan]), runs(2))
    assert {each.entry.row.id: each.last_seen for each in found} == {
        "gone": night(0),
        "child": night(0),
        "orphan": None,
    }


def test_a_job_that_a_stopped_run_saw_last_was_seen_then() -> None:
    """The run brought no report, and still it found the job on the server."""
    gone = replace(ended(1, "Succeeded", as_id="gone"), first_run=run(1).id, last_run=run(1).id)
    history = [run(0), run(1, state="interrupted"), run(2)]
    assert [each.last_seen for each in contexts(Held([gone]), history)] == [night(1)]


@pytest.mark.parametrize(
    "second",
    [
        run(1, gaps=(Gap(what="page 2 of the list", why="500"),)),
        run(1, filters=Filters(hide_archived=True)),
        run(1, filters=Filters(name="another")),
        run(1, server="http://another"),
        run(1, window=HOUR),
        run(1, state="failed"),
    ],
    ids=["page missing", "archived hidden", "other name", "other server", "window", "failed"],
)
def test_absence_proves_nothing_where_the_job_was_not_looked_for(second: Run) -> None:
    gone = ended(0, "Succeeded", as_id="gone")
    assert [c.last_seen for c in contexts(Held([gone]), [run(0), second])] == [None]


def test_a_failed_run_is_told_by_the_next_report_which_is_whole_itself() -> None:
    """A night that brought nothing is no hole in what the next one read."""
    history = [run(0), run(1, state="failed"), run(2)]
    found = report([], history)
    assert found.complete
    assert found.quality is not None
    assert found.quality.failed_runs == (history[1],)
    assert found.previous == history[0]
    assert report([], [*history, run(3)]).complete
    assert not report([], [*history[:1], run(1, state="incomplete")]).complete


def _failed_days(found: Report) -> list[tuple[str, int]]:
    return [(day.day, day.failed) for day in found.days]


def test_jobs_stand_in_the_night_in_which_they_ended_called_by_the_day_of_its_report() -> None:
    """The report of 02:00 tells of the evening before as of last night, not of yesterday."""
    ends = {
        "long before": night(1) - 24 * HOUR,
        "the evening before": night(1) - 8 * HOUR,
        "tonight": night(1) - HOUR,
    }
    entries = [job(name, at, "Failed", found=1) for name, at in ends.items()]
    found = report(entries, runs(2))
    assert _failed_days(found) == [("2026-11-01", 1), ("2026-11-02", 2)]
    assert set(found.days[-1].jobs["Failed"]) == {"tonight", "the evening before"}
    assert [day.run for day in found.days] == [run(0).id, run(1).id]


def test_before_the_first_report_nights_end_at_its_time_of_day() -> None:
    """A week read at once is seven nights, and the last of them has its whole day."""
    ends = [night(0) - hours * HOUR for hours in (1, 23, 24, 47, 167)]
    entries = [job(f"j{n}", at, "Failed", found=0) for n, at in enumerate(ends)]
    found = report(entries, runs(1))
    assert [count for _, count in _failed_days(found)] == [1, 0, 0, 0, 0, 2, 2]
    assert [day.run for day in found.days] == [*[""] * 6, run(0).id]


def test_reports_of_one_day_share_a_row_and_a_day_without_one_has_its_own() -> None:
    """Whoever reports every hour sees days; what a missed night left is told by the next."""
    hourly = replace(run(3), id="20261104T030000Z", now=night(3) + HOUR)
    history = [run(0), run(1), run(3), hourly]
    ends = [night(1) - HOUR, night(2) - HOUR, night(3) - HOUR, night(3) + HOUR / 2]
    entries = [job(f"j{n}", at, "Failed", found=3) for n, at in enumerate(ends)]
    found = report(entries, history)
    assert _failed_days(found) == [("2026-11-02", 1), ("2026-11-03", 0), ("2026-11-04", 3)]
    assert [day.run for day in found.days] == [run(1).id, "", hourly.id]


def test_nights_are_called_by_the_days_of_the_reports_zone() -> None:
    """02:00 UTC is still the evening before in New York."""
    entries = [ended(1, "Failed")]
    assert _failed_days(report(entries, runs(2))) == [("2026-11-02", 1)]
    found = report(entries, runs(2), timezone="America/New_York")
    assert _failed_days(found) == [("2026-11-01", 1)]


def test_a_zone_that_nobody_knows_is_a_mistake_with_a_hint() -> None:
    with pytest.raises(UsageError, match="Mars"):
        report([], runs(1), timezone="Mars/Base")


def test_without_a_usable_run_there_is_no_report() -> None:
    with pytest.raises(SnapshotError):
        report([], [run(0, state="failed")])


AGGREGATION = {
    "summary": {"counts": [{"status": "Failed", "count": 1}, {"status": "Succeeded", "count": 1}]},
    "aggregations": [
        {
            "key": "attempt",
            "name": "Attempt",
            "entries": [
                {"label": 2, "statusCounts": {"counts": [{"status": "Failed", "count": 1}]}},
                {"label": 9, "statusCounts": {"counts": [{"status": "Failed", "count": 4}]}},
            ],
        }
    ],
}


def _frames(found: Report, key: str) -> dict[str, FrameReport]:
    (label,) = [label for label in found.labels if label.key == key]
    return {frame.frame: frame for frame in label.frames}


def _jobs(found: Report, key: str) -> dict[str | None, tuple[str, ...]]:
    """Value of a label -> its jobs of all time."""
    (label,) = [label for label in found.labels if label.key == key]
    return {
        value.value: tuple(label.jobs.jobs(value.value, value.split.counts))
        for value in label.frames[-1].values
    }


def test_the_servers_numbers_stand_beside_ours() -> None:
    """dsub's integer labels are the same values as our text."""
    entries = [
        ended(1, "Failed", as_id="a", labels={"attempt": "2"}),
        ended(1, "Succeeded", as_id="b"),
        job("c", night(1) - 3 * DAY, found=1),
    ]
    trees = {"HOURS_24": AGGREGATION, "DAYS_7": AGGREGATION, "DAYS_30": {"summary": 7}}
    found = analyse(Held(entries), runs(2), trees, settings=ReportSettings())
    frames = _frames(found, "attempt")
    values = {v.value: v for v in frames["HOURS_24"].values}
    assert values["2"].split == values["2"].server
    assert values["9"].split.total == 0
    assert _jobs(found, "attempt") == {"2": ("a",), None: ("b", "c")}
    assert [f.server_asked for f in frames.values()] == [False, False, True, True, False, False]
    assert found.quality is not None
    assert [d.frame for d in found.quality.differences] == ["DAYS_7"]
    assert "aggregation DAYS_30" in [gap.what for gap in found.quality.gaps]


def test_a_frame_is_covered_where_runs_read_all_of_it() -> None:
    """A first run of a day knows no week; seven of them do, and a hole between them shows."""

    def covered(of: list[Run]) -> list[str]:
        return [frame.frame for frame in _frames(report([], of), "name").values() if frame.covered]

    day = ["HOURS_1", "HOURS_8", "HOURS_24"]
    nights = [run(number, window=DAY) for number in range(8)]
    assert covered(nights[:1]) == day
    assert covered(nights) == [*day, "DAYS_7"]
    assert covered([*nights[:5], *nights[6:]]) == day
    assert covered([run(0, window=None)])[-1] == "ALL_TIME"


def test_labels_with_a_value_a_job_are_marked_and_not_proposed() -> None:
    entries = [
        ended(1, "Succeeded", as_id=f"j{n}", labels={"id": str(n), "own": str(n), "team": "a"})
        for n in range(4)
    ]
    named = run(1, capabilities={"commonLabels": ["id", "own"]})
    found = analyse(Held(entries), [run(0), named], {}, settings=ReportSettings())
    assert [(label.key, label.distinct) for label in found.labels] == [
        ("name", False),
        ("own", True),
        ("team", False),
    ]
    assert "own" not in [label.key for label in report(entries, runs(2)).labels]


def test_the_overview_counts_by_a_label_that_groups_work() -> None:
    """Not by a dsub array's id, though its tasks share it, unless there is no other."""

    def shown(**more: str) -> str:
        labels = [{"job-id": f"a{n // 2}", "task-id": str(n % 2), **more} for n in range(6)]
        if more:
            labels[0] = {**labels[0], "owner": "li"}
        entries = [
            ended(1, "Succeeded", as_id=f"j{n}", labels=each) for n, each in enumerate(labels)
        ]
        named = run(1, capabilities={"commonLabels": ["job-id", "task-id"]})
        found = analyse(Held(entries), [run(0), named], {}, settings=ReportSettings()).label
        assert found is not None
        return found.key

    assert shown(owner="ana") == "owner"
    assert shown() == "job-id"


HISTORIES = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.sampled_from(["Failed", "Succeeded", "Aborted", "Running", "Paused"]),
        st.sampled_from("abc"),
        st.booleans(),
    ),
    max_size=30,
)


def _history(drawn: list[tuple[int, str, str, bool]]) -> list[Entry]:
    made = []
    for place, (number, status, key, readable) in enumerate(drawn):
        at = night(number) - HOUR - timedelta(seconds=place)
        done = at if status in ("Failed", "Succeeded", "Aborted") else None
        made.append(
            job(
                f"j{place}",
                done,
                status,
                found=number,
                last=9,
                readable=readable,
                submission=at - HOUR,
                labels={"sample": key, "team": key},
                key=key,
            )
        )
    return made


def test_failures_of_the_nights_come_in_one_order_however_their_jobs_came() -> None:
    drawn = [(number, "Failed", "a", True) for number in range(4)]
    entries = _history(drawn)
    for some in permutations(entries):
        found = report(list(some), runs(4)).failed_by_night
        assert list(found) == sorted(found)
        assert len(found) == 4


@settings(max_examples=dose(150), deadline=None)
@given(HISTORIES, st.integers(1, 10), st.randoms(use_true_random=False))
def test_the_laws_of_a_report(
    drawn: list[tuple[int, str, str, bool]], nights: int, chance: random.Random
) -> None:
    """Totals add, states exclude each other, and the order of entries changes nothing."""
    entries = [e for e in _history(drawn) if e.run <= runs(nights)[-1].id]
    found = report(entries, runs(nights))
    counts = found.counts
    if nights > 1:
        assert counts.new + counts.still_failing == counts.failing
    else:
        assert counts.new == counts.still_failing == counts.fixed == 0
    in_groups = [job for group in found.attention for job in group.jobs]
    assert len(in_groups) == len(set(in_groups)) == counts.failing
    assert sum(len(group.new_jobs) for group in found.attention) == counts.new
    keys = {e.row.id: e.row.labels["sample"] for e in entries}
    assert not {keys[i] for i in in_groups} & {keys[i] for i in found.fixed}
    assert found.split.total == counts.total == len(found.jobs)
    assert sum(w.split.total for w in found.workflows) == counts.total
    of_all_time = _jobs(found, "name")
    statuses = {e.row.id: e.row.status for e in entries}
    for frame in _frames(found, "name").values():
        for value in frame.values:
            first = of_all_time[value.value][: value.split.total]
            assert Counter(statuses[job] for job in first) == value.split.counts
    everything = _frames(found, "name")["ALL_TIME"]
    assert sum(value.split.total for value in everything.values) == len(entries)
    shuffled = list(entries)
    chance.shuffle(shuffled)
    encode = partial(msgspec.msgpack.encode, enc_hook=ByValue.told)
    assert encode(report(shuffled, runs(nights))) == encode(found)


@settings(max_examples=dose(200), deadline=None)
@given(st.sets(st.one_of(st.text("ab+-…1", max_size=40), st.uuids().map(str), st.text())))
def test_no_two_ids_look_alike(ids: set[str]) -> None:
    forms = short_ids(ids)
    assert forms.keys() == ids
    assert len(set(forms.values())) == len(ids)


def test_a_short_id_is_a_beginning_or_is_cut_in_the_middle() -> None:
    array = "+align--root--261123-195941-511590+{}+"
    assert short_ids(["03a7491c-76c1-40f4-93d5-222d0ac2be70", array.format(30)]) == {
        "03a7491c-76c1-40f4-93d5-222d0ac2be70": "03a7491c",
        array.format(30): "align--r…11590+30",
    }
