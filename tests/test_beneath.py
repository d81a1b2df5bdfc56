"""Why jobs failed that failed in sub-workflows: told by the deepest that was read."""

from collections.abc import Callable
from typing import Any

import pytest
from analysis_cases import HOUR, job, night, runs
from held import Held

from jmreport.analysis import Beneath, GrowingBeneath, analyse
from jmreport.analysis.beneath import MOST_FOLLOWED
from jmreport.analysis.near import Near
from jmreport.gaps import JOB, Gap
from jmreport.records import Entry, Failure, JobRow, Measure, Spent
from jmreport.settings import ReportSettings

HEAP = "java.lang.OutOfMemoryError: Java heap space"


def top(*blames: str, name: str = "top", message: str = "Workflow failed", **row: Any) -> Entry:
    """A listed job that failed, and says no more of it."""
    failure = Failure(message=message, task=row.pop("task", None)) if message else None
    own = {"name": "wf", "key": name, "failure": failure, "blames": blames, **row}
    return job(name, night(0) - HOUR, "Failed", found=0, **own)


def below(job_id: str, above: str, /, *blames: str, message: str = "", **row: Any) -> Entry:
    """A sub-workflow that failed."""
    place = {"task": row.pop("task", None), "shard": row.pop("shard", None)}
    own = {"name": "inner", "parent": above, "listed": False, "blames": blames, **row}
    own["failure"] = Failure(message=message, **place) if message else None
    return job(job_id, night(0) - HOUR, own.pop("status", "Failed"), found=0, **own)


def told(*entries: Entry, name: str = "top") -> JobRow:
    return Beneath(Held(entries)).of([name])[name].row


def said(row: JobRow) -> tuple[str, str | None, int | None]:
    assert row.failure is not None
    return row.failure.message, row.failure.task, row.failure.shard


def test_a_job_is_told_with_the_failure_of_the_deepest_below_it() -> None:
    """With its task behind its workflow's name, and its shard; the job's own tasks stay."""
    row = told(
        top("a", failed_tasks=("call_middle",)),
        below("a", "top", "b", message="Workflow failed", name="middle"),
        below("b", "a", message=HEAP, task="Sort", shard=3),
    )
    assert said(row) == (HEAP, "inner.Sort", 3)
    assert row.failed_tasks == ("call_middle", "inner.Sort")


def test_the_middle_is_told_so_too_and_its_own_task_is_none_of_another_workflow() -> None:
    entries = (
        top("a"),
        below("a", "top", "b", message="failed", name="middle"),
        below("b", "a", message=HEAP, task="Sort"),
    )
    assert said(told(*entries, name="a")) == (HEAP, "inner.Sort", None)
    assert said(told(*entries, name="b")) == (HEAP, "Sort", None)


def test_what_was_not_read_leaves_what_was() -> None:
    """The job's own failure where nothing below it was, else that of the deepest that was."""
    assert said(told(top("a"))) == ("Workflow failed", None, None)
    middle = below("a", "top", "b", message="no middle", name="middle", task="call_b")
    assert said(told(top("a"), middle)) == ("no middle", "middle.call_b", None)
    unread = job("a", None, "Unknown", found=0, parent="top", listed=False, readable=False)
    assert said(told(top("a"), unread)) == ("Workflow failed", None, None)


def test_a_sub_workflow_of_which_an_older_reading_tells_is_none_that_was_not_read() -> None:
    gap = (Gap(what=JOB, why="server error 500", job="a"),)
    for readable in (True, False):
        near = Near(Held([top("a"), below("a", "top", gaps=gap, readable=readable)]))
        blamed = [each.id for each in near.blamed_below([top("a").row])]
        assert blamed == ([] if readable else ["a"])


def test_a_job_that_says_nothing_itself_is_told_with_what_failed_below_it() -> None:
    assert said(told(top("a", message=""), below("a", "top", message=HEAP)))[0] == HEAP


def test_the_first_that_says_anything_tells() -> None:
    row = told(
        top("silent", "fine", "a", "b"),
        below("silent", "top"),
        below("fine", "top", message="an old one", status="Succeeded"),
        below("a", "top", message=HEAP, task="Sort"),
        below("b", "top", message="disk full"),
    )
    assert said(row) == (HEAP, "inner.Sort", None)


def test_a_failure_of_no_task_happened_in_the_call_above_it() -> None:
    """Of the job itself by its own name, of one between them behind that one's."""
    inner = below("b", "a", message="no such input")
    for task, place in (("call_a", "call_a"), (None, None)):
        row = told(top("b", task=task), below("b", "top", message="no such input"))
        assert said(row) == ("no such input", place, None)
    middle = below("a", "top", "b", message="failed", task="call_b", name="middle")
    assert said(told(top("a", task="call_a"), middle, inner))[1] == "middle.call_b"


@pytest.mark.parametrize("other", [{"parent": "another"}, {"parent": None}, {"listed": True}])
def test_a_job_that_is_not_below_it_by_both_their_words_tells_nothing(
    other: dict[str, Any],
) -> None:
    row = told(top("a"), below("a", "top", message=HEAP, **other))
    assert said(row)[0] == "Workflow failed"


def test_ids_that_point_at_one_another_end() -> None:
    """Also where they go on for longer than anybody looks: what was met last tells."""
    assert said(told(top("top", "a"), below("a", "top", "a", "top")))[0] == "Workflow failed"
    deep = [below("0", "top", "1", message="0")]
    deep += [below(str(n), str(n - 1), str(n + 1), message=str(n)) for n in range(1, 1_000)]
    assert said(told(top("0"), *deep))[0] == str(MOST_FOLLOWED - 1)


READINGS: dict[str, Callable[[GrowingBeneath], Any]] = {
    "by run": lambda history: history.by_run(),
    "by run, the oldest first": lambda history: history.by_run(oldest_first=True),
    "by submission": lambda history: history.by_submission(),
    "submitted": lambda history: history.submitted(float("-inf"), float("inf")),
    "missed": lambda history: history.missed("another", None),
    "some": lambda history: history.of(["top"]).values(),
    "told": lambda history: history.told([top("a")]),
}


@pytest.mark.parametrize("reading", READINGS)
def test_a_job_is_told_alike_whichever_way_it_is_read(reading: str) -> None:
    history = GrowingBeneath(Held([top("a"), below("a", "top", message=HEAP, task="Sort")]))
    rows = {entry.row.id: entry.row for entry in READINGS[reading](history)}
    assert said(rows["top"]) == (HEAP, "inner.Sort", None)


def test_what_lies_below_a_job_is_told_with_what_lies_below_that() -> None:
    history = Beneath(
        Held([top("a"), below("a", "top", "b", message="failed"), below("b", "a", message=HEAP)])
    )
    (found,) = history.below(["top"])
    assert said(found.row)[0] == HEAP


def test_jobs_that_died_alike_in_sub_workflows_are_one_cause() -> None:
    """With a job that died so in a task of its own."""
    entries = [top(f"s{n}", name=f"t{n}") for n in range(40)]
    entries += [below(f"s{n}", f"t{n}", message=HEAP, task="Sort") for n in range(40)]
    entries.append(top(name="own", message=HEAP, task="Align"))
    history = Beneath(Held(entries))
    report = analyse(history, runs(1), {}, settings=ReportSettings())
    (group,) = report.attention
    assert (group.title, len(group.jobs)) == (HEAP, 41)
    assert group.tasks == ("inner.Sort", "Align")
    (cause,) = report.causes
    assert (len(cause.failing), cause.tasks) == (41, (("inner.Sort", 40), ("Align", 1)))


@pytest.mark.parametrize("lacking", ["unread", "unrecorded"])
@pytest.mark.parametrize("measured", [True, False])
def test_a_job_is_not_all_counted_until_all_below_it_is(lacking: str, measured: bool) -> None:
    """What one sub-workflow cost tells nothing of another, and nothing at all is not no waste."""
    unread: dict[str, Any] = {"parent": "mid", "listed": False, "readable": False}
    entries = [
        top("mid", "read", children=("mid", "read")),
        below("mid", "top", children=("deep",)),
        below("read", "top"),
        top(name="sound"),
        job("lost", night(0) - HOUR, "Failed", found=0, name="wf", key="l", readable=False),
        job("runs", None, "Running", found=0, name="wf", key="r", children=("later",)),
    ]
    if lacking == "unread":
        entries.append(job("deep", None, "Unknown", found=0, **unread))
    one = Measure("Sort", calls=1, attempts=1, spent=Spent(succeeded=3600.0))
    costs = {name: (one,) for name in ("mid", "read", "sound", "runs") if measured}
    waste = analyse(
        Held(entries),
        runs(1),
        {},
        settings=ReportSettings(),
        measures=lambda ids: ((name, costs[name]) for name in ids if name in costs),
    ).waste
    assert waste is not None
    assert sorted(waste.unmeasured) == ["lost", "top"]
    assert (waste.total.unread, waste.tonight.unread) == (2, 2)
    assert sum(cost.unread for _, cost in waste.workflows) == 2
