"""What later nights lean on: jobs of runs that are to go with which those that stay are told.

gone                      |  stays
… F F S F F               |  F          still failing since the first of two: told with S and F
                                        that only the runs before the line know
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from jmreport import attempts
from jmreport.analysis.causes import cause_of
from jmreport.analysis.flaky import RUNS
from jmreport.analysis.keys import Key, key_of, verdict
from jmreport.analysis.nights import KEPT, KEPT_NIGHTS, Nights
from jmreport.analysis.siblings import Together, array_of, together
from jmreport.analysis.usual import MOST_RUNS, Success, Workflow, success, workflow_of
from jmreport.records import Entry, JobRow, Run

_NEVER = datetime.max.replace(tzinfo=UTC)
#: How far before the runs that stay the end of a job may lie to be told with what was usual then.
_USUAL_BACK = timedelta(days=30)


def leaned_on(
    entries: Sequence[Entry], runs: Sequence[Run], gone: Iterable[str], identity: Sequence[str]
) -> frozenset[str]:
    """Ids of jobs that nights of the runs which stay are told with, those of such runs included.

    `runs` are all, oldest first, also those pruned before; `gone` are the ids of those that go now.
    """
    going = frozenset(gone)
    staying = [run for run in runs if not run.pruned and run.id not in going]
    nights = Nights(runs)
    own = frozenset(run.id for run in staying)
    leaning = _Leaning(nights, staying, own)
    known = [entry for entry in entries if entry.row.listed]
    found = {entry.row.id for entry in entries if leaning.stays(entry)}
    found.update(entry.row.id for entry in known if leaning.is_recent(entry))
    found.update(_of_keys(known, nights, leaning, identity))
    found.update(_of_workflows(entries, leaning))
    found.update(_of_causes(known, nights, found))
    return frozenset(found)


class _Leaning:
    """Which jobs belong to runs that stay, and which came shortly before."""

    def __init__(self, nights: Nights, staying: Sequence[Run], own: frozenset[str]) -> None:
        self._nights, self._own = nights, own
        usable = [run for run in staying if run.usable]
        self._first = next(
            (place for place, run in enumerate(nights.runs) if run.id in own), nights.tonight
        )
        self._frame = min(
            (run.asked.since for run in usable if run.asked.since is not None), default=None
        )
        #: The night before the first that stays is compared with it, and looks as far back.
        self._before = nights.runs[max(self._first - 1, 0)].now

    @property
    def earliest_end(self) -> datetime:
        """Jobs that ended earlier are not told with what was usual then."""
        return self._before - _USUAL_BACK

    def stays(self, entry: Entry) -> bool:
        """Whether a run that stays found or stored it, or it may still change."""
        return entry.row.active or entry.run in self._own or entry.last_run in self._own

    def is_recent(self, entry: Entry) -> bool:
        """Whether a night that stays looks at it though it was over before."""
        submitted = entry.row.submission
        if self._frame is not None and submitted is not None and submitted >= self._frame:
            return True
        ended = self._nights.ended(entry)
        return any(at is not None and self._keeps(at) for at in (ended, self._nights.seen(entry)))

    def _keeps(self, at: datetime) -> bool:
        """As Nights.keeps, seen by the night before the first that stays."""
        back = self._first - 1 - self._nights.index(at)
        return back <= KEPT_NIGHTS or self._before - at <= KEPT


class _Told(NamedTuple):
    """A job that tells how its key stands, in the order of their ends."""

    ended: datetime
    id: str
    row: JobRow
    stays: bool
    recent: bool

    @property
    def failed(self) -> bool:
        return self.row.status == "Failed"


def _of_keys(
    listed: Iterable[Entry], nights: Nights, leaning: _Leaning, identity: Sequence[str]
) -> Iterator[str]:
    """For each key that is still told of: the jobs by which its state and its history are known."""
    keys: defaultdict[Key, list[_Told]] = defaultdict(list)
    alive: set[Key] = set()
    for entry in listed:
        key, ended = key_of(entry.row, identity), nights.ended(entry)
        stays = leaning.stays(entry)
        if stays:
            alive.add(key)
        if ended is not None and verdict(entry.row):
            recent = leaning.is_recent(entry)
            keys[key].append(_Told(ended, entry.row.id, entry.row, stays, recent))
    for key, told in keys.items():
        told.sort(key=lambda one: one[:2])
        first = next((place for place, one in enumerate(told) if one.stays), len(told))
        if key in alive:
            yield from (one.id for one in told[max(0, first - RUNS) :])
        elif not told[-1].recent:
            continue
        if any(array_of(one.id) for one in told):
            yield from _of_arrays(told, first)
        yield from _streak(told[:first])


def _of_arrays(told: Sequence[_Told], first: int) -> Iterator[str]:
    """The same where arrays did the work, whose tasks tell together, however many there are.

    The last to end, and those of which tasks stay, may have others that are still to fail, or to
    succeed: whatever they say does not hide what came before.
    """
    parts, staying = together(told[:first]), {array_of(one.id) for one in told[first:]}
    yield from (one.newest.id for one in parts[-RUNS:])
    oldest: Together[_Told] | None = None
    for place, one in enumerate(reversed(parts)):
        is_open = place == 0 or array_of(one.newest.id) in staying - {None}
        if is_open:
            yield from _of_failed_tasks(one, told[:first])
        if one.failed:
            oldest = one
            continue
        yield one.newest.id
        if not is_open:
            break
        if oldest is not None:
            yield from _of_failed_tasks(oldest, told[:first])
    if oldest is not None:
        yield from _of_failed_tasks(oldest, told[:first])


def _of_failed_tasks(part: Together[_Told], told: Iterable[_Told]) -> Iterator[str]:
    """All that tasks tell of which an attempt failed: it may have been mended by the next."""
    tasks = {_task(one.id) for one in part.failures}
    return (one.id for one in told if _task(one.id) in tasks)


def _task(job: str) -> tuple[str, str]:
    where = attempts.place(job)
    return (where.submission, where.task) if where and where.task else (job, "")


def _streak(told: Sequence[_Told]) -> Iterator[str]:
    """The newest success, and the failure that came first behind it."""
    first = None
    for one in reversed(told):
        if one.row.status == "Succeeded":
            yield one.id
            break
        first = one.id
    if first is not None:
        yield first
    if told:
        yield told[-1].id


def _of_workflows(entries: Iterable[Entry], leaning: _Leaning) -> Iterator[str]:
    """The successful runs by which it is known how long a job that stays usually takes."""
    runs: defaultdict[Workflow, list[Success]] = defaultdict(list)
    since: dict[Workflow, datetime] = {}
    for entry in entries:
        flow = workflow_of(entry.row)
        if one := success(entry.row):
            runs[flow].append(one)
        if leaning.stays(entry):
            end = max(entry.row.end, leaning.earliest_end) if entry.row.end else _NEVER
            since[flow] = min(since.get(flow, _NEVER), end)
    for flow, from_then in since.items():
        ordered = sorted(runs[flow])
        first = bisect_left(ordered, (from_then,))
        yield from (one.id for one in ordered[max(0, first - MOST_RUNS) :])


def _of_causes(listed: Iterable[Entry], nights: Nights, found: set[str]) -> list[str]:
    """The first job of each cause that a job has which is needed anyway."""
    first: dict[str, tuple[datetime, str]] = {}
    needed: set[str] = set()
    for entry in listed:
        ended, cause = nights.ended(entry), cause_of(entry.row)
        if ended is None or cause is None:
            continue
        here = (ended, entry.row.id)
        first[cause.id] = min(first.get(cause.id, here), here)
        if entry.row.id in found:
            needed.add(cause.id)
    return [first[cause][1] for cause in sorted(needed)]
