"""What each task of a job cost: attempts and hours by outcome, and how long successes took.

    shards, attempts, events  ->  _Try (one an attempt)  ->  Measure (one a task)

Servers tell of attempts in four ways, each with holes: in answers to attempts calls, inline, in
events, and in a task's or shard's own row, which is its latest attempt. Here they become one. The
quantiles of many jobs are put together without their durations.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from msgspec.structs import astuple

from jmreport import callcache, calltimes
from jmreport.analysis import timing, trees
from jmreport.analysis.trees import Tree
from jmreport.analysis.usual import percentile
from jmreport.calltimes import JobSpan
from jmreport.models import ACTIVE_STATUSES
from jmreport.records import Measure, Record, Sketch, Spent, is_terminal, moment
from jmreport.regrouping import Scattered, Tried, places

#: Quantiles that a sketch keeps: the ends and every 5 %.
QUANTILES = 21
#: The longest name of a task that is kept.
LONGEST_NAME = 300
#: Points from which many sketches are put together before more come.
_MANY = 4_000

_COUNTS = ("calls", "attempts", "retried", "preempted", "failed", "aborted", "cached", "untimed")

Outcome = Literal["succeeded", "preempted", "retried", "failed", "aborted", "unknown"]
_OUTCOMES: dict[str, Outcome] = {
    "Succeeded": "succeeded",
    "Preempted": "preempted",
    "Failed": "failed",
    "Aborted": "aborted",
}
#: Those that led to no success.
_LOST = frozenset(("preempted", "retried", "failed", "aborted"))


def measure(record: Record) -> tuple[Measure, ...]:
    """What a job's tasks cost, in the server's order; () where its detail could not be read.

    Never raises: what a server words in another way than the API is left out.
    """
    detail = trees.tree(record.detail)
    own = trees.tree(detail.get("extensions"))
    if not detail:
        return ()
    status = trees.text(detail, "status") or "Unknown"
    job = _Job(
        JobSpan(
            timing.believed_start(status, detail.get("start")),
            timing.believed_end(status, detail.get("end")),
        ),
        status,
    )
    if "tasks" not in own:
        return _itself(detail, job)
    found: dict[str, list[Measure]] = {}
    for task in trees.trees(own.get("tasks")):
        name = (trees.text(task, "name") or "")[:LONGEST_NAME]
        if calls := _tries(task, record, job):
            found.setdefault(name, []).append(_measured(name, calls))
    return tuple(together(name, several) for name, several in found.items())


def together(task: str, measures: Sequence[Measure]) -> Measure:
    """Several measures of one task as one."""
    if len(measures) == 1 and measures[0].task == task:
        return measures[0]
    total = Total()
    for one in measures:
        total.add(one)
    return total.measure(task)


class Total:
    """Measures of one task added up, one after another, in bounded memory."""

    def __init__(self) -> None:
        self._counts = [0] * len(_COUNTS)
        self._spent = [0.0] * len(Spent.__struct_fields__)
        self._points: list[tuple[float, float]] = []
        self._count = 0

    def add(self, one: Measure) -> None:
        for at, name in enumerate(_COUNTS):
            self._counts[at] += getattr(one, name)
        for at, seconds in enumerate(astuple(one.spent)):
            self._spent[at] += seconds
        self._count += one.took.count
        self._points.extend(_points(one.took))
        if len(self._points) > _MANY:
            self._points = list(_points(_sketch(self._points, self._count)))

    def measure(self, task: str) -> Measure:
        """All of them as one."""
        spent = Spent(*(round(seconds, 3) for seconds in self._spent))
        took = _sketch(self._points, self._count)
        return Measure(
            task, **dict(zip(_COUNTS, self._counts, strict=True)), spent=spent, took=took
        )


def sketch(seconds: Iterable[float]) -> Sketch:
    """What is kept of durations.

    >>> sketch([3.0, 1.0, 2.0])
    Sketch(count=3, at=(1.0, 2.0, 3.0))
    """
    ordered = sorted(seconds)
    if len(ordered) <= QUANTILES:
        return Sketch(len(ordered), tuple(round(one, 1) for one in ordered))
    step = 100 / (QUANTILES - 1)
    kept = (percentile(ordered, at * step) for at in range(QUANTILES))
    return Sketch(len(ordered), tuple(round(one, 1) for one in kept))


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """What is kept of all the durations of several."""
    several = [one for one in sketches if one.count]
    points = [point for one in several for point in _points(one)]
    return _sketch(points, sum(one.count for one in several))


def median(kept: Sketch) -> float:
    """The middle of the durations, in seconds. Raises IndexError where there are none."""
    return percentile(kept.at, 50)


def _points(kept: Sketch) -> Iterator[tuple[float, float]]:
    """(seconds, weight): for how many durations each quantile stands; the ends for half as many."""
    if kept.count <= len(kept.at):
        yield from ((one, 1.0) for one in kept.at)
        return
    weight = kept.count / (len(kept.at) - 1) if len(kept.at) > 1 else float(kept.count)
    last = len(kept.at) - 1
    for at, one in enumerate(kept.at):
        yield one, weight / 2 if last and at in (0, last) else weight


def _sketch(points: list[tuple[float, float]], count: int) -> Sketch:
    if count <= QUANTILES and len(points) == count:
        return Sketch(count, tuple(sorted(one for one, _ in points)))
    points = sorted(points)
    reached = list(accumulate(weight for _, weight in points))
    middles = [end - weight / 2 for end, (_, weight) in zip(reached, points, strict=True)]
    wanted = (reached[-1] * at / (QUANTILES - 1) for at in range(QUANTILES))
    return Sketch(count, tuple(_between(points, middles, place) for place in wanted))


def _between(points: Sequence[tuple[float, float]], middles: Sequence[float], at: float) -> float:
    """The duration at a place among weighted ones, between two of them by linear interpolation."""
    above = bisect_left(middles, at)
    if above == 0:
        return points[0][0]
    if above == len(points):
        return points[-1][0]
    low, high = middles[above - 1], middles[above]
    part = (at - low) / (high - low)
    return round(points[above - 1][0] + (points[above][0] - points[above - 1][0]) * part, 1)


# --- attempts ----------------------------------------------------------------------------------


class _Job(NamedTuple):
    """The job itself."""

    span: JobSpan
    status: str

    @property
    def left(self) -> Outcome | None:
        """What became of a call that runs by its own word; None as long as the job goes on."""
        if self.span.end is None:
            return None
        return "aborted" if self.status == "Aborted" else "unknown"


class _Try(NamedTuple):
    """An attempt: what became of it (None while it is active), and for how long it ran.

    `times` is how many attempts it stands for: more than one where a server only counts them.
    """

    outcome: Outcome | None
    seconds: float | None = None
    cached: bool = False
    times: int = 1


#: Shard -> attempt -> its first event's start and its last one's end.
_Events = Mapping[int | None, Mapping[int, tuple[datetime, datetime | None]]]

_NONE: Mapping[int | None, Any] = MappingProxyType({})


class _Call(NamedTuple):
    """A task that is not scattered, or a shard: its row, its attempts, and its events' spans."""

    row: Tree
    known: list[Tree]
    events: Mapping[int, tuple[datetime, datetime | None]]
    read: Collection[int] = ()


def _measured(task: str, calls: Sequence[Sequence[_Try]]) -> Measure:
    tries = [one for call in calls for one in call]
    counted: dict[Outcome | None, int] = {}
    spent: dict[Outcome, float] = {}
    for one in tries:
        counted[one.outcome] = counted.get(one.outcome, 0) + one.times
        if one.outcome and one.seconds is not None:
            spent[one.outcome] = spent.get(one.outcome, 0.0) + one.seconds
    return Measure(
        task,
        calls=len(calls),
        attempts=sum(counted.values()),
        retried=counted.get("retried", 0),
        preempted=counted.get("preempted", 0),
        failed=counted.get("failed", 0),
        aborted=counted.get("aborted", 0),
        cached=sum(one.cached for one in tries),
        untimed=sum(one.times for one in tries if one.outcome in _LOST and one.seconds is None),
        spent=Spent(**{outcome: round(seconds, 3) for outcome, seconds in spent.items()}),
        took=sketch(
            one.seconds
            for one in tries
            if one.outcome == "succeeded" and not one.cached and one.seconds is not None
        ),
    )


def _itself(detail: Tree, job: _Job) -> tuple[Measure, ...]:
    """A job of a server without tasks (dsub), where each attempt is a job of its own."""
    if not is_terminal(job.status):
        return ()
    start, end = job.span.start, job.span.end
    seconds = (end - start).total_seconds() if start and end else None
    outcome = _OUTCOMES.get(job.status, "unknown")
    failures = trees.trees(detail.get("failures"))
    told = [str(one["failure"]) for one in failures if trees.text(one, "failure")]
    told.append(trees.text(trees.tree(detail.get("extensions")), "statusDetail") or "")
    if outcome == "failed" and trees.preempted({"failureMessages": told}):
        outcome = "preempted"
    return (_measured("", [[_Try(outcome, seconds if seconds is None else max(seconds, 0.0))]]),)


def _tries(task: Tree, record: Record, job: _Job) -> list[list[_Try]]:
    """The attempts of each call of a task; none of sub-workflows, whose own records tell."""
    if trees.text(task, "jobId"):
        return []
    calls = _calls(task, record, _events(task), _read(task))
    return [list(_of_call(call, job)) for call in calls if not trees.text(call.row, "jobId")]


def retried(task: Tree, record: Record) -> int:
    """How many attempts of a task failed and were followed by another: none that was preempted.

    As its measure counts them, and those of calls of sub-workflows. Events are not looked at: they
    name no attempt that the server does not count.
    """
    return sum(map(_retried, _calls(task, record)))


def reused(task: Tree, record: Record) -> int:
    """How many attempts of a scatter came from the call cache, as its measure counts them."""
    return sum(
        _from_cache(call, number, told)
        for call in _calls(task, record, read=_read(task))
        for number, told in (_by_number(call) or {_latest(call.row): call.row}).items()
    )


def _retried(call: _Call) -> int:
    told = trees.count(call.row.get("attempts"))
    if not call.known:
        return max(0, told - 1)
    if told <= 1 and len(call.known) == 1:
        return 0
    known = _by_number(call)
    last = max(known)
    before = (one for number, one in known.items() if number != last)
    tried_again = sum(
        _outcome(trees.text(one, "executionStatus") or "", one, last=False) == "retried"
        for one in before
    )
    return tried_again + max(0, told - len(known))


def _calls(
    task: Tree, record: Record, events: _Events = _NONE, read: callcache.Read = _NONE
) -> Iterator[_Call]:
    name = trees.text(task, "name") or ""
    shards = trees.trees(task.get("shards"))
    if not shards:
        known = list(trees.attempts(task, [], name, record))
        # A call without shards may have events that name one all the same.
        every = {at: own for held in events.values() for at, own in held.items()}
        yield _Call(task, known, every, read.get(None, ()))
        return
    flat = _regrouped(trees.trees(trees.tree(record.attempts.get(name)).get("attempts")), shards)
    asked = record.shard_attempts.get(name, {})
    for shard in shards:
        index = trees.shard(shard)
        answered = trees.trees(trees.tree(asked.get(str(index))).get("attempts"))
        known = trees.trees(shard.get("attemptsData")) or answered or flat.get(index, [])
        yield _Call(shard, known, events.get(index, {}), read.get(index, ()))


def _regrouped(attempts: list[Tree], shards: list[Tree]) -> dict[int | None, list[Tree]]:
    """A scatter's attempts by shard. Those that nothing places are counted by their shard's row."""
    if not attempts:
        return {}
    tried = [Tried(_number(one), trees.text(one, "callRoot") or "") for one in attempts]
    scattered = [
        Scattered(index, trees.count(shard.get("attempts")) or None)
        for shard in shards
        if (index := trees.shard(shard)) is not None
    ]
    groups: dict[int | None, list[Tree]] = {}
    for attempt, place in zip(attempts, places(tried, scattered), strict=True):
        if place is not None:
            groups.setdefault(place, []).append(attempt)
    return groups


def _events(task: Tree) -> _Events:
    found: dict[int | None, dict[int, tuple[datetime, datetime | None]]] = {}
    for event in trees.trees(task.get("executionEvents")):
        start, end = moment(event.get("start")), moment(event.get("end"))
        if start is None:
            continue
        own = found.setdefault(trees.shard(event), {})
        number = _number(event) or 1
        first, last = own.get(number, (start, end))
        ends = [at for at in (last, end) if at]
        own[number] = (min(first, start), max(ends, default=None))
    return found


def _read(task: Tree) -> callcache.Read:
    """Shard -> its attempts that by their events came from the call cache."""
    return callcache.read(
        (trees.shard(one), _number(one) or 1, trees.text(one, "name"))
        for one in trees.trees(task.get("executionEvents"))
    )


def _number(attempt: Tree) -> int | None:
    return trees.count(attempt.get("attemptNumber")) or None


def _latest(row: Tree) -> int:
    return max(1, trees.count(row.get("attempts")))


def _by_number(call: _Call) -> dict[int, Tree]:
    return {_number(one) or at: one for at, one in enumerate(call.known, 1)}


def _of_call(call: _Call, job: _Job) -> Iterator[_Try]:
    by_number = _by_number(call)
    numbers = sorted({*by_number, *call.events})
    told = trees.count(call.row.get("attempts"))
    if not numbers:
        numbers = [_latest(call.row)]
    for number in numbers:
        data = by_number.get(number)
        yield _try(call, number, data, job, last=number == numbers[-1])
    if missing := max(0, told - len(numbers)):
        # The server counts them and says no more; each was followed by another.
        yield _Try("retried", times=missing)


def _try(call: _Call, number: int, data: Tree | None, job: _Job, *, last: bool) -> _Try:
    row = call.row if last else None
    told: Tree = data or row or {}
    status = (
        trees.text(told, "executionStatus")
        or (trees.text(row, "executionStatus") if row else "Failed")
        or ""
    )
    outcome = _outcome(status, told, last=last)
    if outcome is None and status in ("Running", "Aborting"):
        # Cromwell leaves these words for good where it was not told of an end.
        outcome = job.left
    cached = row is not None and row.get("callCached") is True
    event = call.events.get(number)
    took = _took(status, told, event, job.span)
    return _Try(outcome, took, cached or _from_cache(call, number, told))


def _from_cache(call: _Call, number: int, told: Tree) -> bool:
    return callcache.cached(
        told.get("callCached"),
        trees.text(told, "executionStatus"),
        was_read=number in call.read,
        operation=told.get("operationId"),
    )


def _outcome(status: str, told: Tree, *, last: bool) -> Outcome | None:
    if status == "Succeeded":
        return "succeeded"
    if trees.preempted(told):
        return "preempted"
    if not last:
        return "retried"
    if status in ACTIVE_STATUSES:
        return None
    return _OUTCOMES.get(status, "unknown")


def _took(
    status: str, told: Tree, event: tuple[datetime, datetime | None] | None, job: JobSpan
) -> float | None:
    """Seconds from its start to its end, as far as both can be believed."""
    ran = event is not None or any(told.get(key) for key in ("operationId", "backendLog"))
    start, end = calltimes.believed(
        status, moment(told.get("start")), moment(told.get("end")), job=job, ran=ran
    )
    if event is not None:
        start = min(start, event[0]) if start else event[0]
        if end is None and status not in ACTIVE_STATUSES:
            end = event[1]
    return max((end - start).total_seconds(), 0.0) if start and end else None
