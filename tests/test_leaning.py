"""What nights that stay lean on: with it alone they are told as they were with everything."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from doses import dose
from held import Held
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from snapshot_cases import NOW

from jmreport.analysis import contexts, leaned_on, told
from jmreport.night import Night
from jmreport.records import Asked, Entry, Failure, JobRow, Run
from jmreport.settings import ReportSettings

STATUSES = {".": "", "s": "Succeeded", "f": "Failed", "a": "Aborted", "r": "Running"}


def run_at(night: int, *, window: int = 1, state: Any = "complete") -> Run:
    now = NOW + timedelta(days=night)
    asked = Asked(server="x", timeframe="DAYS_7", since=now - timedelta(days=window))
    return Run(id=f"{now:%Y%m%dT%H%M%SZ}", now=now, state=state, asked=asked)


def entry(key: str, night: int, status: str, last: int, runs: Sequence[Run]) -> Entry:
    """A key's job of a night, found by the server's list up to the night `last`."""
    run = runs[night]
    minutes = 10 + (night * 37 + len(key) * 11) % 90
    active = status == "Running"
    row = JobRow(
        id=f"{key}-{night:03}",
        name=f"flow-{key[0]}",
        key=key,
        status=status,
        submission=run.now - timedelta(hours=4),
        start=run.now - timedelta(hours=3),
        end=None if active else run.now - timedelta(hours=3) + timedelta(minutes=minutes),
        failure=Failure(message=f"No space left on {key[0]}") if status == "Failed" else None,
    )
    return Entry(
        row=row,
        run=run.id,
        shard="jobs-0000",
        line=0,
        digest=row.id,
        row_digest="",
        first_run=run.id,
        last_run=runs[max(night, min(last, len(runs) - 1))].id,
        told_run=run.id,
    )


def known_at(entries: Sequence[Entry], run: Run) -> list[Entry]:
    """What was known after a run: its jobs and those before, last found then or before."""
    return [
        replace(one, last_run=min(one.last_run, run.id)) for one in entries if one.run <= run.id
    ]


def night_of(entries: Sequence[Entry], runs: Sequence[Run]) -> Night:
    """A night, but for short ids, which depend on everything that is known."""
    night = told(Held(known_at(entries, runs[-1])), runs, {}, settings=ReportSettings())
    return replace(
        night,
        jobs=tuple(replace(job, short_id="") for job in night.jobs),
        summary=replace(night.summary, content=""),
    )


def split(
    entries: Sequence[Entry], runs: Sequence[Run], gone: int
) -> tuple[list[Entry], list[Run]]:
    """What a prune of the first so many runs leaves: of jobs, and the runs as they are then."""
    ids = {run.id for run in runs[:gone]}
    needed = leaned_on(entries, runs, ids, ())
    # The store keeps these itself; that they are named here too is part of the promise.
    own = {
        one.row.id
        for one in entries
        if one.row.active or one.run not in ids or one.last_run not in ids
    }
    assert own <= needed
    left = [one for one in entries if one.row.id in needed]
    return left, [*(replace(run, pruned=True) for run in runs[:gone]), *runs[gone:]]


_history = st.text(alphabet=".ssffar", min_size=30, max_size=30)


@settings(max_examples=dose(80), deadline=None)
@given(
    keys=st.dictionaries(st.sampled_from(("a", "ab", "b", "bcd")), _history, min_size=1),
    lingering=st.integers(0, 3),
    gone=st.integers(1, 29),
    failed=st.sets(st.integers(1, 28), max_size=3),
)
def test_each_night_that_stays_is_told_as_with_everything(
    keys: dict[str, str], lingering: int, gone: int, failed: set[int]
) -> None:
    """Law: for any histories of keys, wherever they are cut; jobs' pages too, where they stay."""
    runs = [run_at(night, state="failed" if night in failed else "complete") for night in range(30)]
    entries = [
        entry(key, night, STATUSES[sign], night + lingering, runs)
        for key, history in keys.items()
        for night, sign in enumerate(history)
        if sign != "." and night not in failed
    ]
    left, after = split(entries, runs, gone)
    for place in range(gone, 30):
        if runs[place].usable:
            assert night_of(left, after[: place + 1]) == night_of(entries, runs[: place + 1])
    staying = {run.id for run in runs[gone:]}
    before = {one.entry.row.id: one for one in contexts(Held(entries), runs)}
    for one in contexts(Held(left), after):
        was = before[one.entry.row.id]
        if one.entry.last_run in staying and was.history and one.history:
            assert less(one.history) == less(was.history)
            assert one.usual == was.usual


def less(history: Any) -> Any:
    """A job's history, but for how many failures were in a row: more than 20 are not counted."""
    return msgspec.structs.replace(
        history, failures=min(history.failures, 1), mended=min(history.mended, 1)
    )


def test_an_arrays_task_that_failed_stays_however_many_tasks_succeeded_since() -> None:
    """An array that is one piece of work fails with it, and is mended by its next attempt."""
    runs = [run_at(night) for night in range(20)]
    ends = [
        (1, 1, "Failed"),
        *((n, 2 * n + turn, "Succeeded") for n in range(2, 20) for turn in (0, 1)),
    ]
    tasks = [task_of(night, f"{number}+1", status, runs) for night, number, status in ends]
    for entries in (tasks, [*tasks, task_of(19, "1+2", "Succeeded", runs)]):
        left, after = split(entries, runs, 15)
        told_of = night_of(entries, runs)
        assert night_of(left, after) == told_of
        assert told_of.summary.counts.failing == (1 if entries is tasks else 0)


def task_of(night: int, task: str, status: str, runs: Sequence[Run]) -> Entry:
    one = entry("a", night, status, night, runs)
    job = f"+align--ana--261101-200000-000001+{task}"
    return replace(one, row=replace(one.row, id=job))


def test_a_key_that_nobody_runs_any_more_goes() -> None:
    runs = [run_at(night) for night in range(40)]
    entries = [
        *(entry("old", night, "Succeeded", night, runs) for night in range(10)),
        *(entry("new", night, "Succeeded", night, runs) for night in range(10, 40)),
    ]
    left, _ = split(entries, runs, 30)
    assert {one.row.key for one in left} == {"new"}
    assert {one.row.id for one in left if one.run < runs[30].id} == {
        f"new-{night:03}" for night in range(10, 30)
    }


def test_a_failure_leans_on_the_success_before_it_however_long_ago() -> None:
    """And on where the failures began; what lies between is only counted."""
    runs = [run_at(night) for night in range(100)]
    signs = ["Succeeded"] * 5 + ["Failed"] * 95
    entries = [entry("k", night, sign, night, runs) for night, sign in enumerate(signs)]
    # What would stay for other reasons is of another key: the cause's first job, usual durations.
    others = ["Failed", *["Succeeded"] * 99]
    entries += [entry("kk", night, sign, night, runs) for night, sign in enumerate(others)]
    left, after = split(entries, runs, 90)
    assert {one.row.id for one in left if one.row.key == "k" and one.run < runs[90].id} == {
        "k-004",
        "k-005",
        *(f"k-{night:03}" for night in range(70, 90)),
    }
    [group] = night_of(left, after).attention
    assert group.nights == 95
    assert group.since == entries[5].row.end
    assert group.last_success == entries[4].row.end


@pytest.mark.parametrize("sign", ["Succeeded", "Aborted", "Failed"])
def test_jobs_of_the_nights_just_before_stay(sign: str) -> None:
    """A key that ran on every night and then no more is missing in the first nights that stay."""
    runs = [run_at(night) for night in range(20)]
    entries = [
        *(entry("k", night, sign, night, runs) for night in range(10)),
        *(entry("other", night, "Succeeded", night, runs) for night in range(20)),
    ]
    left, after = split(entries, runs, 10)
    missing = [night_of(left, after[: place + 1]).missing for place in range(10, 20)]
    assert missing[0] == ("k-009",)
    assert missing == [night_of(entries, runs[: place + 1]).missing for place in range(10, 20)]


def test_the_first_job_of_a_cause_stays_so_that_it_is_known_since_when() -> None:
    runs = [run_at(night) for night in range(60)]
    entries = [
        entry("a", 3, "Failed", 3, runs),
        entry("ab", 5, "Failed", 5, runs),
        entry("b", 4, "Failed", 4, runs),
        *(
            entry("abc", night, "Failed" if night == 55 else "Succeeded", night, runs)
            for night in range(50, 60)
        ),
    ]
    left, _ = split(entries, runs, 52)
    assert {one.row.id for one in left if one.run < runs[50].id} == {"a-003"}
