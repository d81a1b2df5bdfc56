"""A job's tasks, their shards and their attempts, as rows that only need printing."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct, structs

from jmreport.models import ACTIVE_STATUSES, IndividualAttempt, Shard, TaskMetadata
from jmreport.records import moment
from jmreport.render import addresses, calls, values, words
from jmreport.render.calls import Call
from jmreport.render.jobfacts import Link, Making
from jmreport.render.reading import Reading
from jmreport.render.values import Budget, Value, Values

#: Shards shown at once, shards on the job's own page, and shards of all its tasks together there.
FIRST_SHARDS = 50
MOST_SHARDS = 500
MOST_SHARDS_TOGETHER = 500
#: Tasks with a part of their own below the table; attempts and events shown of each.
MOST_TASKS = 200
MOST_ATTEMPTS = 100
MOST_EVENTS = 24
_MESSAGE = 1_500


class AttemptRow(Struct, frozen=True, kw_only=True):
    """One attempt of a task or a shard; `values` are its inputs and outputs."""

    of: str
    status: words.StatusWord
    note: str
    started: words.Moment | None
    ended: words.Moment | None
    took: str
    links: tuple[Link, ...]
    messages: tuple[str, ...]
    values: tuple[Value, ...] = ()


class ShardRow(Struct, frozen=True, kw_only=True):
    """A shard; `anchor` is "" where nothing points at it."""

    anchor: str
    index: str
    status: words.StatusWord
    started: words.Moment | None
    ended: words.Moment | None
    took: str
    attempts: str
    links: tuple[Link, ...]
    job: Link | None
    messages: tuple[str, ...]


class EventRow(Struct, frozen=True):
    """A step of the backend: when, for how long, and for which shard and attempt."""

    name: str
    of: str
    start: words.Moment | None
    end: words.Moment | None


class TaskView(Struct, frozen=True, kw_only=True):
    """A task: its row in the table, and its part below."""

    anchor: str
    name: str
    status: words.StatusWord
    note: str
    started: words.Moment | None
    ended: words.Moment | None
    took: str
    attempts: str
    code: str
    links: tuple[Link, ...]
    job: Link | None
    cached: bool
    messages: tuple[str, ...]
    summary: str
    rows: tuple[ShardRow, ...]
    more_rows: tuple[ShardRow, ...]
    shard_pages: tuple[Link, ...]
    tries: tuple[AttemptRow, ...]
    tries_left_out: int
    events: tuple[EventRow, ...]
    events_left_out: int
    tables: tuple[Values, ...]


class ShardsPage(Struct, frozen=True, kw_only=True):
    """A page of a large scatter, at an address of its own."""

    address: str
    title: str
    task: str
    job: Link
    rows: tuple[ShardRow, ...]
    said: str
    pages: tuple[Link, ...]


class Tasks(Struct, frozen=True, kw_only=True):
    """All tasks of a job, failed ones first, with the calls their timing is drawn from."""

    rows: tuple[TaskView, ...]
    left_out: int
    ordered: tuple[tuple[TaskMetadata, str, tuple[Call, ...]], ...]
    scatters: tuple[tuple[int, TaskMetadata], ...]


def read(tasks: Sequence[TaskMetadata], reading: Reading, making: Making) -> Tasks:
    """The tasks of a job in words. Anchors follow the server's order: `task-1`, `task-2` …"""
    placed = list(enumerate(tasks, 1))
    placed.sort(key=lambda pair: (_rank(pair[1]), pair[1].start or "~"))
    room = MOST_SHARDS_TOGETHER
    rows: list[TaskView] = []
    scatters: list[tuple[int, TaskMetadata]] = []
    ordered: list[tuple[TaskMetadata, str, tuple[Call, ...]]] = []
    for position, task in placed:
        found = calls.of_task(task, reading)
        ordered.append((task, addresses.anchor("task", position), found))
        if len(rows) >= MOST_TASKS:
            continue
        own_pages = len(task.shards) > min(MOST_SHARDS, room, making.budget.rows_left)
        most = min(FIRST_SHARDS, max(room, 0)) if own_pages else MOST_SHARDS
        if own_pages:
            scatters.append((position, task))
        room -= min(len(task.shards), FIRST_SHARDS if own_pages else MOST_SHARDS, max(room, 0))
        rows.append(_task(position, task, found, making, most))
    return Tasks(
        rows=tuple(rows),
        left_out=len(tasks) - len(rows),
        ordered=tuple(sorted(ordered, key=lambda entry: entry[0].start or "~")),
        scatters=tuple(scatters),
    )


def _rank(part: TaskMetadata | Shard) -> int:
    """Failed first, then what is active, then the rest."""
    if part.execution_status == "Failed":
        return 0
    return 1 if part.execution_status in ("Running", "Aborting", "Aborted") else 2


def span(part: TaskMetadata | Shard) -> tuple[datetime | None, datetime | None]:
    """When it started and ended, as far as that can be believed.

    The Cromwell shim fills in its own process's start where a time is lacking: a start before
    anything has started, an end while it still runs.
    """
    status = part.execution_status or ""
    start = None if status in ("Submitted", "OnHold") else moment(part.start)
    end = None if status in ACTIVE_STATUSES else moment(part.end)
    return start, end


def took(start: datetime | None, end: datetime | None) -> str:
    """How long; "" where an end is lacking or lies before the start."""
    return words.duration(end - start) if start and end and end >= start else ""


def _task(
    position: int, task: TaskMetadata, found: tuple[Call, ...], making: Making, most_shards: int
) -> TaskView:
    anchor = addresses.anchor("task", position)
    start, end = span(task)
    shards = sorted(task.shards, key=_order)
    shown = shards[: making.budget.rows(len(shards), most_shards)]
    rows = tuple(_shard(anchor, shard, making) for shard in shown)
    told = [call for call in found if call.data is not None]
    retried = Counter(call.shard for call in told)
    told.sort(key=lambda call: retried[call.shard] < 2)
    tries = told if len(told) > 1 or any(_says_more(call.data, task) for call in told) else []
    told_of = tuple(
        _try(call, making) for call in tries[: making.budget.rows(len(tries), MOST_ATTEMPTS)]
    )
    events = _events(task, making)
    pages = _shard_pages(position, task, making) if len(shown) < len(shards) else ()
    return TaskView(
        anchor=anchor,
        name=making.budget.name(task.name or "(no name)", 200),
        status=words.status(task.execution_status),
        note=_note(task, found),
        started=making.short(start),
        ended=making.short(end),
        took=took(start, end),
        attempts=_attempts(task, found),
        code="" if task.return_code is None else words.number(task.return_code),
        links=making.places(task.backend_log, task.call_root, task.operation_id),
        job=making.job(task.job_id),
        cached=task.call_cached,
        messages=_messages(task.failure_messages, making),
        summary=_summary(shards),
        rows=rows[:FIRST_SHARDS],
        more_rows=rows[FIRST_SHARDS:],
        shard_pages=pages,
        tries=told_of,
        tries_left_out=len(tries) - len(told_of),
        events=events,
        events_left_out=len(task.execution_events) - len(events),
        tables=_tables(anchor, task, making),
    )


def _tables(anchor: str, task: TaskMetadata, making: Making) -> tuple[Values, ...]:
    tables = (
        values.table(
            f"{anchor}-{title.lower()}",
            title,
            held,
            links=making.facts.links,
            budget=making.budget,
        )
        for title, held in (("Inputs", task.inputs), ("Outputs", task.outputs))
    )
    return tuple(table for table in tables if table)


def _order(shard: Shard) -> tuple[int, int]:
    return (_rank(shard), shard.shard_index if shard.shard_index is not None else -1)


def _summary(shards: Sequence[Shard]) -> str:
    """How many shards stand how: "1 failed, 23 succeeded"."""
    counts = Counter(words.status(shard.execution_status).text for shard in shards)
    if len(counts) < 2:
        return ""
    return ", ".join(f"{words.number(n)} {text.lower()}" for text, n in counts.most_common())


def _note(task: TaskMetadata, found: Sequence[Call]) -> str:
    said = []
    if task.shards:
        said.append(words.plural(len(task.shards), "shard"))
    elif (task.attempts or 1) > 1:
        said.append(f"attempt {words.number(task.attempts or 1)}")
    preempted = sum(1 for call in found if call.preempted)
    if preempted:
        said.append(words.plural(preempted, "preemption"))
    if task.call_cached:
        said.append("cached")
    return " · ".join(said)


def _attempts(task: TaskMetadata, found: Sequence[Call]) -> str:
    """Runs of the task. A scatter's own count is its number of shards, so its calls are counted."""
    if task.shards:
        return words.number(max(len(found), sum(shard.attempts or 1 for shard in task.shards)))
    return words.number(task.attempts) if task.attempts is not None else ""


def _says_more(data: IndividualAttempt | None, task: TaskMetadata) -> bool:
    return bool(data and (data.inputs or data.outputs) and not (task.inputs or task.outputs))


def _messages(texts: Sequence[str], making: Making) -> tuple[str, ...]:
    return tuple(making.budget.take(text, _MESSAGE) for text in texts[:20])


def _try(call: Call, making: Making) -> AttemptRow:
    data = call.data
    if data is None:  # only calls with data are shown, so that nothing is said twice
        data = IndividualAttempt()
    shard = f"shard {call.shard}, " if call.shard is not None else ""
    note = "preempted" if call.preempted else "cached" if call.cached else ""
    held = [("Input", data.inputs), ("Output", data.outputs)]
    return AttemptRow(
        of=f"{shard}attempt {call.attempt}",
        status=words.status(call.status),
        note=note,
        started=making.short(call.start),
        ended=making.short(call.end),
        took=took(call.start, call.end),
        links=making.places(data.backend_log, data.call_root, data.operation_id),
        messages=_messages(data.failure_messages, making),
        values=tuple(
            values.value(f"{kind} {name}", content, links=making.facts.links, budget=making.budget)
            for kind, mapping in held
            for name, content in list(mapping.items())[:20]
        ),
    )


def _shard(anchor: str, shard: Shard, making: Making) -> ShardRow:
    start, end = span(shard)
    index = "" if shard.shard_index is None else str(shard.shard_index)
    return ShardRow(
        anchor=f"{anchor}-shard-{index}" if index else "",
        index=index,
        status=words.status(shard.execution_status),
        started=making.short(start),
        ended=making.short(end),
        took=took(start, end),
        attempts=words.number(shard.attempts) if shard.attempts is not None else "",
        links=making.places(shard.backend_log, shard.call_root, shard.operation_id),
        job=making.job(shard.job_id),
        messages=_messages(shard.failure_messages, making),
    )


def _events(task: TaskMetadata, making: Making) -> tuple[EventRow, ...]:
    ordered = sorted(task.execution_events, key=lambda event: event.start or "")
    return tuple(
        EventRow(
            making.budget.name(event.name or "", 120),
            _of(event.shard_index, event.attempt_number),
            making.short(moment(event.start)),
            making.short(moment(event.end)),
        )
        for event in ordered[: making.budget.rows(len(ordered), MOST_EVENTS)]
    )


def _of(shard: int | None, attempt: int | None) -> str:
    parts = []
    if shard is not None and shard >= 0:
        parts.append(f"shard {shard}")
    if attempt is not None:
        parts.append(f"attempt {attempt}")
    return ", ".join(parts)


def _page_count(task: TaskMetadata) -> int:
    return -(-len(task.shards) // MOST_SHARDS)


def _shard_pages(position: int, task: TaskMetadata, making: Making) -> tuple[Link, ...]:
    return tuple(
        Link(
            f"{words.number((page - 1) * MOST_SHARDS + 1)} to "
            f"{words.number(min(page * MOST_SHARDS, len(task.shards)))}",
            making.link(addresses.job_shards(making.id, position, task.name or "", page)),
        )
        for page in range(1, _page_count(task) + 1)
    )


def shards_pages(scatters: Sequence[tuple[int, TaskMetadata]], making: Making) -> list[ShardsPage]:
    """The pages of the scatters that are too large for the job's own."""
    found = []
    for position, task in scatters:
        ordered = sorted(task.shards, key=_order)
        count = _page_count(task)
        for page in range(1, count + 1):
            address = addresses.job_shards(making.id, position, task.name or "", page)
            first = (page - 1) * MOST_SHARDS
            here = structs.replace(making, address=address, budget=Budget(150_000))
            name = words.cut_middle(task.name or "(no name)", 200)
            part = ordered[first : first + MOST_SHARDS]
            which = f"{words.number(first + 1)} to {words.number(first + len(part))}"
            found.append(
                ShardsPage(
                    address=address,
                    title=f"{name}: shards {which}",
                    task=name,
                    job=Link(making.short_id, here.link(addresses.job(making.id))),
                    rows=tuple(_shard(f"task-{position}", shard, here) for shard in part),
                    said=f"Shards {which} of {words.number(len(ordered))}, failed ones first: "
                    f"{_summary(ordered) or 'all of one status'}.",
                    pages=_shard_pages(position, task, here) if count > 1 else (),
                )
            )
    return found
