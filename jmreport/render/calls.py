"""The runs of a task: one for each attempt of each shard, put together from whatever tells of them.

Servers tell of attempts in four ways, each with holes: `executionEvents` (all attempts and shards,
unsorted), `attemptsData` inline, an answer to an attempts call (for a scatter flattened and without
the shard), and the task's or shard's own row (its latest attempt).
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from jmreport import callcache
from jmreport.calltimes import WAITING_STATUSES, JobSpan, Span, believed
from jmreport.messages import was_preempted
from jmreport.models import (
    ACTIVE_STATUSES,
    TERMINAL_STATUSES,
    ExecutionEvent,
    IndividualAttempt,
    JobAttemptsResponse,
    Shard,
    TaskMetadata,
    is_failure,
)
from jmreport.records import instant, is_terminal
from jmreport.regrouping import Scattered, Tried, places
from jmreport.render.reading import Reading

Kind = Literal["waiting", "preparing", "running", "finishing"]

#: Which part of a run an event is, by the words backends use; the first that matches.
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("finishing", re.compile(r"delocali|updating|upload|complete|cleanup|release|poll", re.I)),
    ("waiting", re.compile(r"pending|waiting|queue|token|quota|hold|throttl", re.I)),
    ("preparing", re.compile(r"prepar|pull|locali|cache|fetch|assign|setup|start|worker", re.I)),
)


class Part(Struct, frozen=True, gc=False):
    """A stretch of a run; `end` is None where it has not ended, or is not known to have."""

    kind: Kind
    start: datetime
    end: datetime | None


_Events = dict[int | None, dict[int, list[Part]]]


class Call(Struct, frozen=True, kw_only=True, gc=False):
    """One attempt of a task or of one of its shards. `end` is None while running or if unknown."""

    shard: int | None
    attempt: int
    status: str
    start: datetime | None
    end: datetime | None
    parts: tuple[Part, ...] = ()
    preempted: bool = False
    cached: bool = False
    data: IndividualAttempt | None = None
    #: Whether the job has ended, and with it all that still runs by its own word.
    ended: bool = False

    @property
    def over(self) -> bool:
        """Whether it has ended, by its status or with its job, known or not when."""
        return self.ended or self.status not in ACTIVE_STATUSES


def of_task(task: TaskMetadata, reading: Reading, job: JobSpan | None = None) -> tuple[Call, ...]:
    """Every attempt known of a task, by shard and then by attempt; `job` is the job's own time."""
    events = _by_attempt(task.execution_events)
    read = _read(task.execution_events)
    job = job or job_span(reading)
    if not task.shards and (task.attempts_data or set(events) <= {None}):
        known = task.attempts_data or _answered(reading, task.name)
        return tuple(_attempts(task, None, known, events.get(None, {}), job, read.get(None, ())))
    if not task.shards and (known := _answered(reading, task.name)):
        of_all = {at: parts for own in events.values() for at, parts in own.items()}
        # Its `attempts` may be its number of shards, though it names none.
        row = replace(task, attempts=None)
        return tuple(_attempts(row, None, known, of_all, job, read.get(None, ())))
    flat = regroup(_answered(reading, task.name), task.shards)
    found: list[Call] = []
    for shard in _shards(task, events):
        index = shard.shard_index
        answered = reading.shard_attempts.get((task.name or "", str(index)))
        known = shard.attempts_data or (answered.attempts if answered else flat.get(index, ()))
        own = events.get(index, {})
        found.extend(_attempts(shard, index, known, own, job, read.get(index, ())))
    unplaced = _unplaced(flat, task, reading)
    found.extend(_call(task, None, a.attempt_number or 1, a, (), job, last=False) for a in unplaced)
    return tuple(found)


def cached(task: TaskMetadata, found: Sequence[Call]) -> bool:
    """Whether a task's result came from the call cache: of a scatter, that of each shard."""
    of_all = bool(task.shards) and bool(found) and all(call.cached for call in found)
    return task.call_cached or of_all


def rank(status: str | None) -> int:
    """By which tasks are shown first: failed ones, what is active or was aborted, then the rest."""
    if is_failure(status):
        return 0
    return 1 if status in ("Running", "Aborting", "Aborted") else 2


def span(found: Sequence[Call]) -> Span:
    """From the first start to the last end; no end while the latest attempt has none."""
    starts = [call.start for call in found if call.start]
    last = found[-1] if found else None
    return min(starts, default=None), last.end if last else None


def job_span(reading: Reading) -> JobSpan:
    """The job's own time, by which that of its calls is judged."""
    job = reading.detail or reading.row
    if job is None:
        return JobSpan()
    waits = job.status in WAITING_STATUSES
    return JobSpan(
        None if waits else instant(job.start), instant(job.end) if is_terminal(job.status) else None
    )


def regroup(
    attempts: tuple[IndividualAttempt, ...], shards: tuple[Shard, ...]
) -> Mapping[int | None, tuple[IndividualAttempt, ...]]:
    """A scatter's flattened attempts by shard; those that nothing places are under None."""
    tried = [Tried(one.attempt_number, one.call_root or "") for one in attempts]
    scattered = [
        Scattered(shard.shard_index, shard.attempts)
        for shard in shards
        if shard.shard_index is not None
    ]
    groups: dict[int | None, list[IndividualAttempt]] = {}
    for attempt, shard in zip(attempts, places(tried, scattered), strict=True):
        groups.setdefault(shard, []).append(attempt)
    return {shard: tuple(group) for shard, group in groups.items()}


def _unplaced(
    flat: Mapping[int | None, tuple[IndividualAttempt, ...]], task: TaskMetadata, reading: Reading
) -> tuple[IndividualAttempt, ...]:
    """Attempts of nobody knows which shard, unless the shards were asked one by one."""
    left = flat.get(None, ()) if task.shards else ()
    asked = left and any(
        (task.name or "", str(shard.shard_index)) in reading.shard_attempts for shard in task.shards
    )
    return () if asked else left


def _answered(reading: Reading, name: str | None) -> tuple[IndividualAttempt, ...]:
    answer: JobAttemptsResponse | None = reading.attempts.get(name or "")
    return answer.attempts if answer else ()


def _shards(task: TaskMetadata, events: _Events) -> Iterable[Shard]:
    """The task's shards, and those that only its events know."""
    known = {shard.shard_index for shard in task.shards}
    more = sorted({shard for shard in events if shard is not None} - known)
    return (*task.shards, *(Shard(shard_index=index) for index in more))


def _by_attempt(events: Iterable[ExecutionEvent]) -> _Events:
    found: _Events = {}
    parts: list[Part] = []
    last = None
    for event in events:
        start = instant(event.start)
        if start is None:
            continue
        shard = event.shard_index
        which = (None if shard is None or shard < 0 else shard, event.attempt_number or 1)
        if which != last:  # those of one attempt mostly stand together
            parts = found.setdefault(which[0], {}).setdefault(which[1], [])
            last = which
        parts.append(Part(kind_of(event.name), start, instant(event.end)))
    return found


def _read(events: Iterable[ExecutionEvent]) -> callcache.Read:
    """Shard -> its attempts that by their events came from the call cache."""
    return callcache.read(
        (
            None if one.shard_index is None or one.shard_index < 0 else one.shard_index,
            one.attempt_number or 1,
            one.name,
        )
        for one in events
    )


@lru_cache(maxsize=1024)
def kind_of(event: str | None) -> Kind:
    """Which part of a run an event tells of, by its name.

    >>> [kind_of(n) for n in ("Pending", "PreparingJob", "RunningJob", "UpdatingJobStore")]
    ['waiting', 'preparing', 'running', 'finishing']
    """
    name = event or ""
    return next((kind for kind, words in _KINDS if words.search(name)), "running")


def _attempts(
    row: TaskMetadata | Shard,
    shard: int | None,
    known: tuple[IndividualAttempt, ...],
    events: Mapping[int, list[Part]],
    job: JobSpan,
    read: Collection[int],
) -> Iterable[Call]:
    """The attempts of one shard (or of a task without shards): known ones, and those of events."""
    by_number = _numbered(known) if known else {}
    untold = _untold(row, by_number) if known else ()
    numbers = sorted({*by_number, *events, *untold}) or [_latest(row)]
    for number in numbers:
        last = number == numbers[-1]
        parts = tuple(sorted(events.get(number, ()), key=lambda part: part.start))
        data, was_read = by_number.get(number), number in read
        yield _call(row, shard, number, data, parts, job, last=last, was_read=was_read)


def _numbered(known: tuple[IndividualAttempt, ...]) -> dict[int, IndividualAttempt]:
    """Attempts by their numbers; one without a number, or with another's, gets the next free one.

    A server that counts from 0 has its attempts counted from 1.
    """
    told = [attempt.attempt_number for attempt in known]
    shift = 1 if 0 in told else 0
    found: dict[int, IndividualAttempt] = {}
    for at, attempt in enumerate(known, 1):
        number = at if attempt.attempt_number is None else attempt.attempt_number + shift
        while number in found:
            number += 1
        found[number] = attempt
    return found


def _untold(row: TaskMetadata | Shard, known: Mapping[int, IndividualAttempt]) -> set[int]:
    """The latest attempt, where others are told of without it: the row itself tells of that."""
    latest = _latest(row)
    return {latest} if known and latest > max(known) else set()


def _latest(row: TaskMetadata | Shard) -> int:
    """A task's own row is its latest attempt; `attempts` of a scatter counts shards instead."""
    scattered = isinstance(row, TaskMetadata) and row.shards
    return max(1, min(row.attempts or 1, 10_000)) if not scattered else 1


def _call(
    row: TaskMetadata | Shard,
    shard: int | None,
    number: int,
    data: IndividualAttempt | None,
    parts: tuple[Part, ...],
    job: JobSpan,
    *,
    last: bool,
    was_read: bool = False,
) -> Call:
    own = row if last else None
    status = _status(data, own)
    told = data or own
    start, end = _believed(told, status, job, parts) if told else (None, None)
    if start is None or (parts and parts[0].start < start):
        start = parts[0].start if parts else None
    if end is None and status not in ACTIVE_STATUSES:
        end = _last(parts, over=status in TERMINAL_STATUSES)
    messages = data.failure_messages if data else own.failure_messages if own else ()
    return Call(
        shard=shard,
        attempt=number,
        status=status,
        start=start,
        end=end,
        parts=parts,
        preempted=was_preempted(status, messages),
        cached=_cached(data, own, was_read=was_read),
        data=data,
        ended=job.end is not None,
    )


def _cached(
    data: IndividualAttempt | None, own: TaskMetadata | Shard | None, *, was_read: bool
) -> bool:
    row = own.call_cached if isinstance(own, TaskMetadata) else None
    told = data or own
    if told is None or row:
        return row is True
    return callcache.cached(
        data.call_cached if data else row,
        told.execution_status,
        was_read=was_read,
        operation=told.operation_id,
    )


def _last(parts: tuple[Part, ...], *, over: bool) -> datetime | None:
    """When the last part ended; None where one may still go on."""
    ends = [part.end for part in parts if part.end]
    return max(ends) if ends and (over or len(ends) == len(parts)) else None


def _believed(
    told: TaskMetadata | Shard | IndividualAttempt,
    status: str,
    job: JobSpan,
    parts: tuple[Part, ...],
) -> Span:
    ran = bool(parts or told.operation_id or told.backend_log or getattr(told, "job_id", None))
    return believed(status, instant(told.start), instant(told.end), job=job, ran=ran)


def _status(data: IndividualAttempt | None, own: TaskMetadata | Shard | None) -> str:
    """An attempt that was followed by another has failed, where nothing else tells."""
    if data and data.execution_status:
        return data.execution_status
    if own:
        return own.execution_status or ""
    return "Failed"
