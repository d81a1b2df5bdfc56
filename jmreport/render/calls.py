"""The runs of a task: one for each attempt of each shard, put together from whatever tells of them.

Servers tell of attempts in four ways, each with holes: `executionEvents` (all attempts and shards,
unsorted), `attemptsData` inline, an answer to an attempts call (for a scatter flattened and without
the shard), and the task's or shard's own row (its latest attempt).
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from jmreport.models import (
    ACTIVE_STATUSES,
    ExecutionEvent,
    IndividualAttempt,
    JobAttemptsResponse,
    Shard,
    TaskMetadata,
)
from jmreport.records import moment
from jmreport.render.reading import Reading

Kind = Literal["waiting", "preparing", "running", "finishing"]

_SHARD = re.compile(r"/shard-(\d{1,9})(?:/|$)")
_PREEMPTED = re.compile(r"preempt", re.IGNORECASE)
#: Which part of a run an event is, by the words backends use; the first that matches.
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("finishing", re.compile(r"delocali|updating|upload|complete|cleanup|release|poll", re.I)),
    ("waiting", re.compile(r"pending|waiting|queue|token|quota|hold|throttl", re.I)),
    ("preparing", re.compile(r"prepar|pull|locali|cache|fetch|assign|setup|start|worker", re.I)),
)


class Part(Struct, frozen=True):
    """A stretch of a run; `end` is None where it has not ended, or is not known to have."""

    kind: Kind
    start: datetime
    end: datetime | None


class Call(Struct, frozen=True, kw_only=True):
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


def of_task(task: TaskMetadata, reading: Reading) -> tuple[Call, ...]:
    """Every attempt known of a task, by shard and then by attempt."""
    events = _by_attempt(task.execution_events)
    if not task.shards:
        known = task.attempts_data or _answered(reading, task.name)
        if known or len(events) < 2 or all(shard is None for shard, _ in events):
            only_events = {at: found for (_, at), found in events.items()}
            return tuple(_attempts(task, None, known, only_events))
    flat = regroup(_answered(reading, task.name), task.shards)
    found: list[Call] = []
    for shard in _shards(task, events):
        index = shard.shard_index
        answered = reading.shard_attempts.get((task.name or "", str(index)))
        known = shard.attempts_data or (answered.attempts if answered else flat.get(index, ()))
        mine = {at: seen for (of, at), seen in events.items() if of == index}
        found.extend(_attempts(shard, index, known, mine))
    unplaced = flat.get(None, ()) if task.shards else ()
    found.extend(_call(task, None, a.attempt_number or 1, a, (), last=False) for a in unplaced)
    return tuple(found)


def regroup(
    attempts: tuple[IndividualAttempt, ...], shards: tuple[Shard, ...]
) -> Mapping[int | None, tuple[IndividualAttempt, ...]]:
    """A scatter's flattened attempts by shard: by `/shard-N` in their folder, or by place.

    By place: a new shard begins where the attempt number restarts at 1, if that gives as many
    groups as there are shards. Attempts that remain are under None.
    """
    groups: dict[int | None, list[IndividualAttempt]] = {}
    unplaced: list[IndividualAttempt] = []
    for attempt in attempts:
        found = _SHARD.search(attempt.call_root or "")
        if found:
            groups.setdefault(int(found[1]), []).append(attempt)
        else:
            unplaced.append(attempt)
    runs: list[list[IndividualAttempt]] = []
    for attempt in unplaced:
        if not runs or attempt.attempt_number in (None, 1):
            runs.append([])
        runs[-1].append(attempt)
    free = [shard.shard_index for shard in shards if shard.shard_index not in groups]
    if runs and len(runs) == len(free):
        groups.update(zip(free, runs, strict=True))
    elif unplaced:
        groups[None] = unplaced
    return {shard: tuple(group) for shard, group in groups.items()}


def _answered(reading: Reading, name: str | None) -> tuple[IndividualAttempt, ...]:
    answer: JobAttemptsResponse | None = reading.attempts.get(name or "")
    return answer.attempts if answer else ()


def _shards(
    task: TaskMetadata, events: Mapping[tuple[int | None, int], list[Part]]
) -> Iterable[Shard]:
    """The task's shards, and those that only its events know."""
    known = {shard.shard_index for shard in task.shards}
    more = sorted({shard for shard, _ in events if shard is not None} - known)
    return (*task.shards, *(Shard(shard_index=index) for index in more))


def _by_attempt(
    events: Iterable[ExecutionEvent],
) -> dict[tuple[int | None, int], list[Part]]:
    found: dict[tuple[int | None, int], list[Part]] = {}
    for event in events:
        start = moment(event.start)
        if start is None:
            continue
        shard = event.shard_index if event.shard_index is not None else -1
        key = (None if shard < 0 else shard, event.attempt_number or 1)
        found.setdefault(key, []).append(Part(kind_of(event.name), start, moment(event.end)))
    return found


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
) -> Iterable[Call]:
    """The attempts of one shard (or of a task without shards): known ones, and those of events."""
    by_number = {attempt.attempt_number or at: attempt for at, attempt in enumerate(known, 1)}
    numbers = sorted(by_number.keys() | events.keys()) or [_latest(row)]
    for number in numbers:
        last = number == numbers[-1]
        parts = tuple(sorted(events.get(number, ()), key=lambda part: part.start))
        yield _call(row, shard, number, by_number.get(number), parts, last=last)


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
    *,
    last: bool,
) -> Call:
    own = row if last else None
    status = _status(data, own)
    begun = status not in ("Submitted", "OnHold")
    ended = status not in ACTIVE_STATUSES
    told = data or own
    start = (moment(told.start) if told and begun else None) or (parts[0].start if parts else None)
    end = moment(told.end) if told and ended else None
    if end is None and ended and parts:
        end = max((part.end for part in parts if part.end), default=None)
    if start and parts:
        start = min(start, parts[0].start)
    messages = data.failure_messages if data else own.failure_messages if own else ()
    return Call(
        shard=shard,
        attempt=number,
        status=status,
        start=start,
        end=end,
        parts=parts,
        preempted="preempt" in status.lower() or any(map(_PREEMPTED.search, messages)),
        cached=bool(data.call_cached if data else getattr(own, "call_cached", False)),
        data=data,
    )


def _status(data: IndividualAttempt | None, own: TaskMetadata | Shard | None) -> str:
    """An attempt that was followed by another has failed, where nothing else tells."""
    if data and data.execution_status:
        return data.execution_status
    if own:
        return own.execution_status or ""
    return "Failed"
