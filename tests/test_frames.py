"""Labels over the time frames: what is counted while jobs stream by, and what is kept of them."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from analysis_cases import DAY, HOUR, job, night
from held import Held
from hypothesis import given
from hypothesis import strategies as st

from jmreport.analysis.aggregate import Frames
from jmreport.analysis.usual import MOST_RUNS, Lately, usual
from jmreport.analysis.workflows import MOST_JOBS, Newest
from jmreport.models import TIME_FRAMES
from jmreport.records import FRAME_LENGTHS, Entry
from jmreport.report.counts import StatusSplit

NOW = night(40)
BEGINNING = datetime.min.replace(tzinfo=UTC)
#: Hours before now at which jobs were submitted, None for one that says nothing; value, status.
TOLD = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, 8, 9, 24, 30, 168, 169, 720, 721, 5000, None]),
        st.sampled_from(["a", "b", "c", None]),
        st.sampled_from(["Succeeded", "Failed", "Running"]),
    ),
    max_size=30,
)


def told(drawn: list[tuple[int | None, str | None, str]]) -> list[Entry]:
    return [
        job(
            f"job-{number}",
            None,
            status,
            found=0,
            submission=None if hours is None else NOW - hours * HOUR,
            labels={} if value is None else {"sample": value},
        )
        for number, (hours, value, status) in enumerate(drawn)
    ]


def framed(entries: list[Entry]) -> Frames:
    found = Frames(("sample",), NOW, BEGINNING)
    for entry in Held(entries).by_submission():
        found.take(entry.row, reported=True, lost=False)
    return found


@given(TOLD)
def test_each_frame_counts_the_jobs_submitted_in_it_by_value_and_status(
    drawn: list[tuple[int | None, str | None, str]],
) -> None:
    entries = told(drawn)
    found = framed(entries).by_value("sample")
    for name, counted in zip(TIME_FRAMES, found, strict=True):
        length = FRAME_LENGTHS[name]
        within = [
            entry.row
            for entry in entries
            if length is None
            or (entry.row.submission is not None and entry.row.submission >= NOW - length)
        ]
        expected = Counter((row.labels.get("sample"), row.status) for row in within)
        assert {
            (value, status): count
            for value, split in counted.items()
            for status, count in split.counts.items()
        } == expected


@given(TOLD)
def test_a_frames_jobs_are_the_first_of_those_of_all_time(
    drawn: list[tuple[int | None, str | None, str]],
) -> None:
    entries = told(drawn)
    found = framed(entries)
    rows = {entry.row.id: entry.row for entry in entries}
    for counted in found.by_value("sample"):
        for value, split in counted.items():
            first = found.jobs("sample").jobs(value, split.counts)
            assert Counter(rows[each].status for each in first) == split.counts
    in_order = [entry.row.id for entry in Held(entries).by_submission()][::-1]
    for value in ("a", "b", "c", None):
        of_value = [each for each in in_order if rows[each].labels.get("sample") == value]
        counts = found.by_value("sample")[-1].get(value, StatusSplit()).counts
        assert list(found.jobs("sample").jobs(value, counts)) == of_value


@pytest.mark.parametrize("key", ["\x00", " ", "labels", "None"])
def test_a_label_may_be_called_anything(key: str) -> None:
    """Servers let people call labels as they like."""
    found = Frames((key,), NOW, BEGINNING)
    for value in ("a", "b"):
        entry = job(f"job-{value}", None, found=0, submission=NOW - HOUR, labels={key: value})
        found.take(entry.row, reported=True, lost=False)
    assert set(found.by_value(key)[-1]) == {"a", "b"}
    assert found.frames()[-1].counted.split.total == 2


def test_values_that_count_alike_share_what_they_count() -> None:
    """Most values of an id are of one job that succeeded."""
    entries = told([(2, value, "Succeeded") for value in ("a", "b", "c")])
    of_all_time = framed(entries).by_value("sample")[-1]
    assert len({id(split) for split in of_all_time.values()}) == 1


#: Twice as many jobs as are kept of a workflow, most of which end together.
RUNS = [
    job(f"job-{number:03}", night(number // 40), found=0, took=timedelta(minutes=number % 7 + 1))
    for number in range(2 * MOST_JOBS)
]


@given(st.permutations(RUNS))
def test_the_newest_runs_of_a_workflow_are_kept_in_whichever_order_they_come(
    drawn: list[Entry],
) -> None:
    newest = Newest()
    for entry in drawn:
        newest.take(entry)
    by_submission = [entry.row.id for entry in Held(RUNS).by_submission()][::-1]
    assert list(newest.jobs("wf")) == by_submission[:MOST_JOBS]
    by_end = sorted(
        (entry.row.end, entry.row.id, entry.row.took.total_seconds(), entry.row.status)
        for entry in RUNS
        if entry.row.end and entry.row.took
    )
    last = [(end, seconds, status) for end, _, seconds, status in by_end[-MOST_JOBS:]]
    assert list(newest.durations("wf")) == last


@given(st.permutations(RUNS))
def test_what_is_usual_is_told_by_the_last_successes_in_whichever_order_they_come(
    drawn: list[Entry],
) -> None:
    lately = Lately(NOW + DAY)
    for entry in drawn:
        lately.take(entry.row)
    by_end = sorted(
        (entry.row.end, entry.row.took.total_seconds())
        for entry in RUNS
        if entry.row.end and entry.row.took
    )
    assert lately.usual() == {"wf": usual([seconds for _, seconds in by_end[-MOST_RUNS:]])}
