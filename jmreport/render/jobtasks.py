"""A job's tasks, their shards and their attempts, as rows that only need printing."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from msgspec import Struct

from jmreport import calltimes
from jmreport.calltimes import JobSpan, Span
from jmreport.models import IndividualAttempt, Shard, TaskMetadata, is_failure
from jmreport.records import instant
from jmreport.render import addresses, calls, shardpages, tries, values, words
from jmreport.render.calls import Call
from jmreport.render.jobfacts import Link, Making
from jmreport.render.lacks import NOT_KNOWN, Lacks
from jmreport.render.reading import Reading
from jmreport.render.shardpages import Scatter, ShardGroup, ShardRow
from jmreport.render.tries import AttemptRow
from jmreport.render.values import Values

#: Shards shown at once, shards on the job's own page, and shards of all its tasks together there.
FIRST_SHARDS = 50
MOST_SHARDS = 500
MOST_SHARDS_TOGETHER = 500
#: Shards of a failed scatter that stand open at least, and rows that are too few to fold.
LEAST_SHARDS = 5
FEW_ROWS = 10
#: Tasks with a part of their own below the table; attempts and events shown of each.
MOST_TASKS = 200
#: Characters of a task's log, folder or operation, where it has no link.
LONGEST_PLACE = 400
MOST_ATTEMPTS = 100
MOST_EVENTS = 24


class EventRow(Struct, frozen=True, gc=False):
    """A step of the backend: when, for how long, and for which shard and attempt."""

    name: str
    of: str
    start: words.Moment | None
    end: words.Moment | None


class TaskView(Struct, frozen=True, kw_only=True, gc=False):
    """A task: its row in the table, and its part below."""

    anchor: str
    name: str
    status: words.StatusWord
    note: str
    started: words.Moment | None
    ended: words.Moment | None
    took: str
    lacks: Lacks
    attempts: str
    code: str
    links: tuple[Link, ...]
    job: Link | None
    cached: bool
    messages: tuple[str, ...]
    summary: str
    rows: tuple[ShardRow, ...]
    more_rows: tuple[ShardRow, ...]
    slowest: tuple[ShardRow, ...]
    shard_pages: tuple[ShardGroup, ...]
    tries: tuple[AttemptRow, ...]
    tries_left_out: int
    tries_folded: bool
    events: tuple[EventRow, ...]
    events_left_out: int
    tables: tuple[Values, ...]


class Tasks(Struct, frozen=True, kw_only=True):
    """All tasks of a job, failed ones first, with the calls their timing is drawn from.

    `ordered` has each with its anchor, "" where it has no part of its own.
    """

    rows: tuple[TaskView, ...]
    left_out: int
    ordered: tuple[tuple[TaskMetadata, str, tuple[Call, ...]], ...]
    scatters: tuple[Scatter, ...]


def read(tasks: Sequence[TaskMetadata], reading: Reading, making: Making) -> Tasks:
    """The tasks of a job in words. Anchors follow the server's order: `task-1`, `task-2` …"""
    placed = _placed(tasks)
    room = MOST_SHARDS_TOGETHER
    rows: list[TaskView] = []
    scatters: list[Scatter] = []
    job = calls.job_span(reading)
    ordered: list[tuple[TaskMetadata, str, tuple[Call, ...]]] = []
    # Before those of any shard: three hundred shards leave no room for the links of a task.
    places = [
        making.places(task.backend_log, task.call_root, task.operation_id, longest=LONGEST_PLACE)
        for _, task in placed[:MOST_TASKS]
    ]
    for position, task in placed:
        found = calls.of_task(task, reading, job)
        if len(rows) >= MOST_TASKS:
            ordered.append((task, "", found))
            continue
        ordered.append((task, addresses.anchor("task", position), found))
        own_pages = len(task.shards) > min(MOST_SHARDS, room, making.budget.rows_left)
        most = min(FIRST_SHARDS, max(room, 0)) if own_pages else MOST_SHARDS
        if own_pages:
            scatters.append(Scatter(position, task, found))
        room -= min(len(task.shards), most, max(room, 0))
        rows.append(
            _task(
                position,
                task,
                found,
                job,
                making,
                links=places[len(rows)],
                most_shards=most,
                own_pages=own_pages,
            )
        )
    return Tasks(
        rows=tuple(rows),
        left_out=len(tasks) - len(rows),
        ordered=tuple(sorted(ordered, key=lambda entry: entry[0].start or "~")),
        scatters=tuple(scatters),
    )


def parts(tasks: Sequence[TaskMetadata]) -> frozenset[int]:
    """Which tasks have a part of their own to link to, by their places in the server's order."""
    return frozenset(at for at, _ in _placed(tasks)[:MOST_TASKS])


def _placed(tasks: Sequence[TaskMetadata]) -> list[tuple[int, TaskMetadata]]:
    """Tasks with their places, failed ones first."""
    placed = list(enumerate(tasks, 1))
    placed.sort(key=lambda pair: (calls.rank(pair[1].execution_status), pair[1].start or "~"))
    return placed


def _task(
    position: int,
    task: TaskMetadata,
    found: tuple[Call, ...],
    job: JobSpan,
    making: Making,
    *,
    links: tuple[Link, ...],
    most_shards: int,
    own_pages: bool,
) -> TaskView:
    anchor = addresses.anchor("task", position)
    start, end = _span(task, found, job)
    lacks = making.lacks(_status(task, found))
    tried = shardpages.by_shard(found) if task.shards else {}
    shards = shardpages.failed_first(task.shards) if task.shards else []
    shown = shards[: making.budget.rows(len(shards), most_shards)]
    standing = _standing(task, shown)
    rows = shardpages.distinct(shardpages.row(anchor, shard, tried, making) for shard in shown)
    slowest = shardpages.slowest(task.shards, tried) if own_pages else []
    told = _told(task, found)
    told_of = told[: making.budget.rows(len(told), MOST_ATTEMPTS)]
    events = _events(task, making)
    return TaskView(
        anchor=anchor,
        name=making.budget.name(task.name or "(no name)", 200),
        status=words.status(task.execution_status),
        note=_note(task, found, start, end, lacks),
        started=making.short(start),
        ended=making.short(end),
        took=making.took(start, end, _status(task, found)),
        lacks=lacks,
        attempts=_attempts(task, found),
        code="" if task.return_code is None else words.number(task.return_code),
        links=links,
        job=making.job(task.job_id),
        cached=calls.cached(task, found),
        messages=tries.messages(task.failure_messages, making),
        summary=shardpages.summary(shards),
        rows=rows[:standing],
        more_rows=rows[standing:],
        slowest=tuple(shardpages.row("", shard, tried, making) for shard in slowest),
        shard_pages=shardpages.links(position, task, making) if own_pages else (),
        tries=tuple(tries.row(call, making, of=_of(call.shard, call.attempt)) for call in told_of),
        tries_left_out=len(told) - len(told_of),
        tries_folded=len(told) > FEW_ROWS,
        events=events,
        events_left_out=len(task.execution_events) - len(events),
        tables=_tables(anchor, task, making),
    )


def _standing(task: TaskMetadata, shards: Sequence[Shard]) -> int:
    """How many shards stand open, of those shown, failed ones first.

    A failed task is open on the page: of a hundred shards that did their work and one that did not
    a phone would have twenty screens.
    """
    if not is_failure(task.execution_status) or len(shards) <= FEW_ROWS:
        return FIRST_SHARDS
    short = sum(shard.execution_status != "Succeeded" for shard in shards)
    return min(max(short, LEAST_SHARDS), FIRST_SHARDS)


def _span(task: TaskMetadata, found: Sequence[Call], job: JobSpan) -> Span:
    """A task's own times, by the same rules as those of its attempts."""
    start, end = calltimes.believed(
        task.execution_status or "",
        instant(task.start),
        instant(task.end),
        job=job,
        ran=any(call.start for call in found),
    )
    if start is None:
        start = min((call.start for call in found if call.start), default=None)
    return start, end


def _told(task: TaskMetadata, found: Sequence[Call]) -> list[Call]:
    """The attempts worth a row: several, or one that says more than the task's own row.

    Those of shards that were tried again come first.
    """
    told = [call for call in found if call.data is not None]
    if not told:
        return told
    retried = Counter(call.shard for call in told)
    told.sort(key=lambda call: retried[call.shard] < 2)
    return told if len(told) > 1 or any(_says_more(call.data, task) for call in told) else []


def _tables(anchor: str, task: TaskMetadata, making: Making) -> tuple[Values, ...]:
    links, budget = making.facts.links, making.budget
    inputs = values.table(f"{anchor}-inputs", "Inputs", task.inputs, links=links, budget=budget)
    outputs = values.table(f"{anchor}-outputs", "Outputs", task.outputs, links=links, budget=budget)
    return tuple(table for table in (inputs, outputs) if table)


def _status(task: TaskMetadata, found: Sequence[Call]) -> str:
    """A task's status, by which it may go on: the Cromwell shim calls a scatter Failed as soon as
    one of its shards is, though others run."""
    going = (call.status for call in found if not call.over)
    return next(going, task.execution_status or "")


def _note(
    task: TaskMetadata,
    found: Sequence[Call],
    start: datetime | None,
    end: datetime | None,
    lacks: Lacks,
) -> str:
    said = []
    if task.shards:
        said.append(words.plural(len(task.shards), "shard"))
    elif (task.attempts or 1) > 1:
        said.append(f"attempt {words.number(task.attempts or 1)}")
    preempted = sum([call.preempted for call in found])
    if preempted:
        said.append(words.plural(preempted, "preemption"))
    if calls.cached(task, found):
        said.append("cached")
    if task.execution_status in calltimes.WAITING_STATUSES and end:
        said.append("passed over")
    elif start and end is None and lacks.end == NOT_KNOWN:
        said.append("end unknown")
    return " · ".join(said)


def _attempts(task: TaskMetadata, found: Sequence[Call]) -> str:
    """Runs of the task. A scatter's own count is its number of shards, so its calls are counted."""
    if task.shards:
        return words.number(max(len(found), sum(shard.attempts or 1 for shard in task.shards)))
    return words.number(task.attempts) if task.attempts is not None else ""


def _says_more(data: IndividualAttempt | None, task: TaskMetadata) -> bool:
    """Whether an attempt tells what its task's row does not: the row is the latest attempt."""
    if data is None:
        return False
    names = ("backend_log", "call_root", "operation_id", "inputs", "outputs", "failure_messages")
    told = ((getattr(data, name), getattr(task, name)) for name in names)
    return any(mine and mine != theirs for mine, theirs in told)


def _events(task: TaskMetadata, making: Making) -> tuple[EventRow, ...]:
    ordered = sorted(task.execution_events, key=lambda event: event.start or "")
    budget, zone, near = making.budget, making.facts.zone, making.near
    rows = [
        EventRow(
            budget.name(event.name or "", 120),
            _of(event.shard_index, event.attempt_number),
            words.told_exactly(event.start, zone, near),
            words.told_exactly(event.end, zone, near),
        )
        for event in ordered[: budget.rows(len(ordered), MOST_EVENTS)]
    ]
    return tuple(rows)


@lru_cache(maxsize=1024)
def _of(shard: int | None, attempt: int | None) -> str:
    parts = []
    if shard is not None and shard >= 0:
        parts.append(f"shard {shard}")
    if attempt is not None:
        parts.append(f"attempt {attempt}")
    return ", ".join(parts)
