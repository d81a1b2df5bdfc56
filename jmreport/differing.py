"""The difference of two runs as a terminal shows it, at most 80 columns wide, and as JSON.

A part that has nothing to say is left out; lists name the first jobs and say how many more.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from jmreport.compared import (
    CauseDifference,
    Difference,
    DiffJob,
    FlowDifference,
    Side,
    TaskDifference,
)
from jmreport.render.filtered import named
from jmreport.sizes import counted

#: What `--format` may be.
FORMATS = ("text", "json")
#: Raised when the JSON means something else than before.
FORMAT = 1
#: Jobs named of each kind, workflows, causes and tasks.
MOST_LINES = 20
COLUMNS = 80
_NAME = 30


def tree(found: Difference) -> dict[str, Any]:
    """The whole difference as JSON holds it; lists are not cut. `docs/report-json.md` tells it."""
    whole: dict[str, Any] = msgspec.to_builtins(found)
    return {"format": FORMAT, **whole}


def lines(found: Difference) -> Iterator[str]:
    """The whole difference, line by line. Times are UTC."""
    yield from _heads(found.before, found.after)
    if found.nothing:
        yield "nothing differs"
    for title, jobs in (
        ("new failures", found.new),
        ("fixed", found.fixed),
        ("still failing", found.still_failing),
        ("failed in A, and too long ago to tell in B", found.lapsed),
        ("not run in B", found.not_run),
        ("first seen in B", found.first_seen),
        ("unknown in B: could not be read, or lost", found.unknown),
    ):
        yield from _jobs(title, jobs)
    yield from _causes([cause for cause in found.causes if cause.before != cause.after])
    yield from _tasks("slower tasks", [task for task in found.tasks if task.slower])
    yield from _tasks("faster tasks", [task for task in found.tasks if not task.slower])
    if not found.nothing:
        yield from _flows(found.flows)


def _heads(before: Side, after: Side) -> Iterator[str]:
    for name, side in (("A", before), ("B", after)):
        whole = "" if side.complete else ", incomplete"
        since = f"since {_minute(side.since)} UTC" if side.since else "in its whole window"
        yield f"{name}  {side.run}  {counted(side.ended.total, 'job')} ended {since}{whole}"
        unknown = f", {counted(side.unknown, 'job')} unknown" if side.unknown else ""
        yield f"   {side.failing} failing{unknown}"
        if side.filters:
            # What it left out is in no number.
            yield _cut(f"   only jobs of the filter: {named(side.filters)}", COLUMNS)
    if after.now < before.now:
        yield "B is the earlier of the two: new and fixed are told backwards in time"


def _jobs(title: str, jobs: Sequence[DiffJob]) -> Iterator[str]:
    if not jobs:
        return
    yield ""
    yield f"{title}: {len(jobs)}"
    widest = max(len(_name(job.workflow)) for job in jobs[:MOST_LINES])
    for job in jobs[:MOST_LINES]:
        name = _name(job.workflow).ljust(widest)
        yield _cut(f"  {name}  {job.short_id}  {job.status}{_since(job)}", COLUMNS)
    yield from _more(len(jobs))


def _since(job: DiffJob) -> str:
    return f" since {_minute(job.since)}" if job.since else ""


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def _causes(causes: Sequence[CauseDifference]) -> Iterator[str]:
    came = [cause for cause in causes if not cause.before]
    went = [cause for cause in causes if not cause.after]
    other = [cause for cause in causes if cause.before and cause.after]
    for title, some in (
        ("causes that came", came),
        ("causes that went", went),
        ("causes of more or fewer", other),
    ):
        if not some:
            continue
        yield ""
        yield f"{title}: {len(some)} (failing keys A -> B)"
        for cause in some[:MOST_LINES]:
            counts = f"{cause.before} -> {cause.after}"
            text = " ".join(cause.title.split())
            yield _cut(f"  {counts:>11}  {cause.cause_class}: {text}", COLUMNS)
        yield from _more(len(some))


def _tasks(title: str, tasks: Sequence[TaskDifference]) -> Iterator[str]:
    if not tasks:
        return
    yield ""
    yield f"{title}: {len(tasks)} (medians A -> B)"
    for task in tasks[:MOST_LINES]:
        took = f"{_took(task.before)} -> {_took(task.after)}"
        name = f"{_name(task.workflow)}: {_cut(task.task or '(the whole job)', _NAME)}"
        yield _cut(f"  {took:>21}  {name}", COLUMNS)
    yield from _more(len(tasks))


def _flows(flows: Sequence[FlowDifference]) -> Iterator[str]:
    """Every workflow of both nights: failed of ended, and the median of those that succeeded."""
    if not flows:
        return
    yield ""
    widest = max(len("workflow"), *(len(_name(flow.name)) for flow in flows[:MOST_LINES]))
    yield f"{'workflow'.ljust(widest)}  {'failed/ended A -> B':>21}  {'median A -> B':>21}"
    for flow in flows[:MOST_LINES]:
        counts = (
            f"{flow.before.failed}/{flow.before.total} -> {flow.after.failed}/{flow.after.total}"
        )
        took = f"{_took(flow.took_before)} -> {_took(flow.took_after)}"
        yield f"{_name(flow.name).ljust(widest)}  {counts:>21}  {took:>21}".rstrip()
    yield from _more(len(flows))


def _took(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _more(count: int) -> Iterator[str]:
    if count > MOST_LINES:
        yield f"  and {count - MOST_LINES} more (--format json names all)"


def _name(workflow: str) -> str:
    return _cut(workflow or "(no name)", _NAME)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
