"""The timeline: jobs at the same time, submissions and waits, and the page that shows them."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from analysis_cases import DAY, HOUR, job, night, run, runs
from held import Held
from hypothesis import given
from hypothesis import strategies as st

from jmreport import analysis
from jmreport.analysis.timeline import MOST_DAYS, MOST_SLOTS, Level, Stretches, timeline
from jmreport.records import Entry, JobRow
from jmreport.remembered import microseconds
from jmreport.render import charts, svgs, timelinepage
from jmreport.render.drawings import Charts
from jmreport.render.joblists import Jobs, Lists
from jmreport.render.timelinepage import TimelineView
from jmreport.report.timeline import Timeline
from jmreport.settings import ReportSettings

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def row(
    job_id: str,
    submission: datetime | None,
    start: datetime | None = None,
    end: datetime | None = None,
    status: str = "Succeeded",
) -> JobRow:
    return JobRow(id=job_id, name="wf", status=status, submission=submission, start=start, end=end)


def made(*rows: JobRow, since: datetime | None = NOW - DAY, **how: object) -> Timeline:
    found = timeline(rows, since=since, now=NOW, zone=UTC, **how)  # type: ignore[arg-type]
    assert found is not None
    return found


# What is counted.


def test_a_job_waits_until_its_start_and_runs_until_its_end() -> None:
    one = row("a", NOW - 5 * HOUR, NOW - 4 * HOUR, NOW - HOUR)
    found = made(one)
    by_start = {slot.start: slot for slot in found.slots}
    assert by_start[NOW - 5 * HOUR].waiting == 1
    assert by_start[NOW - 5 * HOUR].running == 0
    assert by_start[NOW - 5 * HOUR].submitted == 1
    assert by_start[NOW - 4 * HOUR].running == 1
    assert by_start[NOW - 4 * HOUR].waiting == 0
    assert by_start[NOW - 4 * HOUR].wait == HOUR.total_seconds()
    assert by_start[NOW - HOUR].running == 0
    assert (found.most, found.peak, found.at_peak) == (1, NOW - 4 * HOUR, ("a",))
    assert found.longest == (("a", 3600.0),)


def test_jobs_that_follow_each_other_at_once_are_never_two_at_the_same_time() -> None:
    noon = NOW - 3 * HOUR
    found = made(row("a", noon - HOUR, noon - HOUR, noon), row("b", noon, noon, noon + HOUR))
    assert found.most == 1


def test_what_is_active_runs_and_waits_until_now() -> None:
    found = made(
        row("a", NOW - 3 * HOUR, NOW - 2 * HOUR, status="Running"),
        row("b", NOW - 3 * HOUR, status="Submitted"),
    )
    assert (found.slots[-1].running, found.slots[-1].waiting) == (1, 1)
    assert found.unplaced == ()


def test_a_job_that_ended_without_a_start_waited_and_never_ran() -> None:
    found = made(row("a", NOW - 3 * HOUR, None, NOW - 2 * HOUR, status="Aborted"))
    assert max(slot.waiting for slot in found.slots) == 1
    assert (found.most, found.peak, found.unplaced) == (0, None, ())


@pytest.mark.parametrize(
    ("one", "lost"),
    [
        (row("a", NOW - 3 * HOUR, NOW - 2 * HOUR), frozenset()),
        (row("a", NOW - 3 * HOUR, NOW - 2 * HOUR, status="Running"), frozenset({"a"})),
        (row("a", None, None, NOW - HOUR), frozenset()),
    ],
)
def test_a_job_of_which_a_start_or_an_end_is_not_known_is_named(
    one: JobRow, lost: frozenset[str]
) -> None:
    """It ran, and nobody knows until when: it is not drawn as if it had not."""
    assert made(one, lost=lost).unplaced == ("a",)


def test_a_job_of_before_the_window_counts_while_it_runs_in_it() -> None:
    old = row("old", NOW - 9 * DAY, NOW - 9 * DAY, NOW - 6 * HOUR)
    gone = row("gone", NOW - 9 * DAY, NOW - 9 * DAY, NOW - 8 * DAY)
    forgotten = row("forgotten", NOW - 9 * DAY, NOW - 9 * DAY)
    found = made(old, gone, forgotten)
    assert (found.slots[0].running, found.slots[0].submitted) == (1, 0)
    assert found.unplaced == ()


def test_an_end_before_its_start_is_no_time_at_all() -> None:
    assert made(row("a", NOW - HOUR, NOW - HOUR, NOW - 2 * HOUR)).most == 0


def test_there_is_no_timeline_without_a_time() -> None:
    assert timeline([], since=None, now=NOW, zone=UTC) is None
    assert timeline([row("a", None)], since=None, now=NOW, zone=UTC) is None


@pytest.mark.parametrize(
    ("span", "step"),
    [
        (HOUR, MINUTE),
        (8 * HOUR, 5 * MINUTE),
        (DAY, 10 * MINUTE),
        (7 * DAY, HOUR),
        (30 * DAY, 6 * HOUR),
        (150 * DAY, DAY),
        (700 * DAY, 7 * DAY),
        (20_000 * DAY, 105 * DAY),
    ],
)
def test_steps_are_as_long_as_the_window_wants(span: timedelta, step: timedelta) -> None:
    found = made(row("a", NOW - span, NOW - span, NOW), since=None)
    assert found.step == step
    assert len(found.slots) <= MOST_SLOTS
    assert found.slots[0].start <= NOW - span
    assert found.slots[-1].start < NOW <= found.slots[-1].start + step


def test_days_are_those_of_the_reports_zone() -> None:
    """At 2026-11-22 23:30 UTC it is the 23rd in Berlin."""
    at = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    one = row("a", at, at + MINUTE, at + 2 * MINUTE)
    berlin = timeline([one], since=NOW - DAY, now=NOW, zone=ZoneInfo("Europe/Berlin"))
    assert berlin is not None
    assert [(day.day, day.submitted) for day in berlin.days] == [
        ("2026-11-22", ()),
        ("2026-11-23", ("a",)),
    ]
    assert [day.submitted for day in made(one).days] == [("a",), ()]


def test_only_the_newest_days_are_in_the_table() -> None:
    found = made(row("a", NOW - 90 * DAY, NOW - 90 * DAY, NOW), since=None)
    assert len(found.days) == MOST_DAYS
    assert found.days[-1].day == "2026-11-23"


MOMENTS = st.integers(0, 500)
ROWS = st.lists(
    st.tuples(MOMENTS, st.integers(0, 90), st.integers(0, 300)).map(
        lambda it: (it[0], it[0] + it[1], it[0] + it[1] + it[2])
    ),
    min_size=1,
    max_size=30,
)


@given(ROWS)
def test_steps_and_days_agree_with_counting_by_hand(minutes: list[tuple[int, int, int]]) -> None:
    """Each submission is in one step and one day; a step holds what its busiest minute holds."""
    start = NOW - timedelta(minutes=1_000)
    rows = [
        row(str(place), start + a * MINUTE, start + b * MINUTE, start + c * MINUTE)
        for place, (a, b, c) in enumerate(minutes)
    ]
    found = timeline(rows, since=start, now=NOW, zone=UTC)
    assert found is not None
    assert sum(slot.submitted for slot in found.slots) == len(rows)
    assert sum(len(day.submitted) for day in found.days) == len(rows)
    assert sum(slot.started for slot in found.slots) == len(rows)

    def at_once(first: int, last: int, minute: int) -> int:
        return sum(times[first] <= minute < times[last] for times in minutes)

    for slot in found.slots:
        since = int((slot.start - start) / MINUTE)
        inside = range(max(since, 0), since + int(found.step / MINUTE))
        assert slot.running == max((at_once(1, 2, minute) for minute in inside), default=0)
        assert slot.waiting == max((at_once(0, 1, minute) for minute in inside), default=0)
    most = max((at_once(1, 2, minute) for minute in range(1_000)), default=0)
    assert found.most == len(found.at_peak) == most
    assert max((len(day.running) for day in found.days), default=0) == most


@given(st.lists(st.tuples(MOMENTS, MOMENTS), max_size=30), MOMENTS, MOMENTS)
def test_the_peak_is_where_the_most_are(
    pairs: list[tuple[int, int]], first: int, length: int
) -> None:
    stretches = Stretches(
        (
            microseconds(NOW + min(pair) * MINUTE),
            microseconds(NOW + max(pair) * MINUTE),
            str(place),
        )
        for place, pair in enumerate(pairs)
        if pair[0] != pair[1]
    )
    since, until = NOW + first * MINUTE, NOW + (first + length + 1) * MINUTE
    level = Level(stretches)
    peak = level.peak(since, until)
    assert level.most(since, until) == (level.at(peak) if peak else 0)
    if peak:
        assert since <= peak < until
        assert len(stretches.at_once(peak)) == level.at(peak)


# The page.


def page(jobs: list[Entry], tmp_path: Path, *, nights: int = 1) -> tuple[TimelineView, str]:
    report = analysis.analyse(Held(jobs), runs(nights), {}, settings=ReportSettings())
    (made,) = timelinepage.pages(report, Lists(Jobs(report, zone=UTC, pages=set())), as_of=None)
    view = made.view(Charts(tmp_path))
    assert isinstance(view, TimelineView)
    return view, str(view.wide)


def test_the_page_says_how_many_ran_and_leads_to_them(tmp_path: Path) -> None:
    end = night(0) - HOUR
    view, drawing = page([job("a", end, found=0), job("b", end, found=0)], tmp_path)
    assert view.title == "At most 2 jobs at the same time"
    assert (view.peak.text, view.peak.href) == ("2", "jobs/timeline-most.html")
    assert view.days[0].running.href == "jobs/timeline-2026-11-01-running.html"
    assert view.days[0].submitted.text == "2"
    assert "Jobs waiting at the same time" in drawing
    assert 'role="img"' in drawing


def test_a_first_report_says_that_older_jobs_were_not_read(tmp_path: Path) -> None:
    (note,) = page([job("a", night(0) - HOUR, found=0)], tmp_path)[0].notes
    assert "were not read" in note


def test_a_later_report_that_knows_what_came_before_says_nothing_of_it(tmp_path: Path) -> None:
    assert page([job("a", night(1) - HOUR, found=1)], tmp_path, nights=2)[0].notes == ()


def test_a_report_without_times_has_a_page_that_says_so(tmp_path: Path) -> None:
    view, drawing = page([], tmp_path)
    assert drawing == ""
    assert "time" in view.title


def test_one_very_long_wait_leaves_the_others_their_room() -> None:
    """It ends in an arrow; the axis is that of the others."""
    usual = tuple((60.0, 120.0) for _ in range(9))
    flow = charts.Flow(
        title="t",
        take_away="s",
        running=(1,) * 10,
        waiting=(0,) * 10,
        submitted=(1,) * 10,
        waits=(*usual, (60.0, 200_000.0)),
        ticks=((1.0, "Mon 23 Nov"),),
        each="hour",
    )
    drawn = svgs.draw(flow)
    assert "Wait before the start, in minutes" in drawn
    assert drawn == svgs.draw(flow)
    assert "var(--running, #245cc8)" in drawn
    assert not re.search(r'style="', drawn)


def test_the_report_of_a_run_without_a_window_begins_with_its_first_job() -> None:
    entries = [job("a", night(0) - 40 * DAY, found=0), job("b", night(0) - HOUR, found=0)]
    whole = run(0, window=None)
    report = analysis.analyse(Held(entries), [whole], {}, settings=ReportSettings())
    assert report.timeline is not None
    assert report.timeline.since == entries[0].row.submission
    assert report.timeline.whole
