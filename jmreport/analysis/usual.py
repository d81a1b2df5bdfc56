"""How long a workflow usually takes: its last 30 successful runs, and never fewer than 5."""

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from heapq import heappush, heappushpop
from typing import NamedTuple

import msgspec

from jmreport.analysis.nights import Nights
from jmreport.records import Entry, JobRow, run_order
from jmreport.report.usual import Usual
from jmreport.spill import Spill

#: The runs that are looked at, and the fewest that say anything.
MOST_RUNS = 30
FEWEST_RUNS = 5

#: A workflow's jobs, and its runs as a sub-workflow, are two things: (name, listed).
Workflow = tuple[str, bool]


class Success(NamedTuple):
    """A successful run, sortable by its end.

    Of runs that ended together the longer counts as the later: so whoever keeps the last of them,
    in whichever order they came, is told the same durations.
    """

    end: datetime
    seconds: float
    id: str


def usual(seconds: Sequence[float]) -> Usual | None:
    """What these durations say together; None where they are too few."""
    if len(seconds) < FEWEST_RUNS:
        return None
    ordered = sorted(seconds)
    return Usual(
        median=timedelta(seconds=percentile(ordered, 50)),
        p10=timedelta(seconds=percentile(ordered, 10)),
        p90=timedelta(seconds=percentile(ordered, 90)),
        p95=timedelta(seconds=percentile(ordered, 95)),
        longest=timedelta(seconds=ordered[-1]),
        runs=len(ordered),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """A percentile of sorted numbers, between two of them by linear interpolation.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 50)
    2.5
    """
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def workflow_of(row: JobRow) -> Workflow:
    return row.name, row.listed


def success(row: JobRow) -> Success | None:
    """A job as a run to learn from; None where it did not succeed in a time that is known."""
    took = row.took
    if row.status != "Succeeded" or row.end is None or took is None or not row.name:
        return None
    seconds = took.total_seconds()
    return Success(row.end, seconds, row.id) if seconds > 0 else None


class Successes:
    """The successful runs of one workflow by their end, grown run by run: 16 bytes for each."""

    def __init__(self) -> None:
        self._ends, self._seconds = array("d"), array("d")
        self._cached: tuple[int, int, Usual | None] = (-1, -1, None)

    def add(self, one: Success) -> None:
        """One more; most of them end later than all before."""
        end = one.end.timestamp()
        first, behind = bisect_left(self._ends, end), bisect_right(self._ends, end)
        place = bisect_right(self._seconds, one.seconds, first, behind)
        self._ends.insert(place, end)
        self._seconds.insert(place, one.seconds)

    def usual_before(self, end: datetime) -> Usual | None:
        """What was usual among the runs that had ended before then."""
        upto = bisect_left(self._ends, end.timestamp())
        place = (len(self._ends), upto)
        if self._cached[:2] != place:
            self._cached = (*place, usual(self._seconds[max(0, upto - MOST_RUNS) : upto]))
        return self._cached[2]


class Lately:
    """The last successful runs of each workflow of listed jobs, told while jobs stream by."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self.runs: defaultdict[str, list[Success]] = defaultdict(list)

    def take(self, row: JobRow) -> None:
        """One more listed job."""
        runs = self.runs[row.name]
        # Most jobs of a long history ended before all that are kept.
        if len(runs) == MOST_RUNS and row.end is not None and row.end < runs[0].end:
            return
        if (run := success(row)) and run.end <= self._now:
            (heappush if len(runs) < MOST_RUNS else heappushpop)(runs, run)

    def usual(self) -> dict[str, Usual]:
        """What is usual now, for every workflow with enough successful runs."""
        found = (
            (name, usual([run.seconds for run in sorted(runs)])) for name, runs in self.runs.items()
        )
        return {name: value for name, value in found if value is not None}


class Asking(NamedTuple):
    """A job whose usual duration is wanted, as of an instant and of a run."""

    run: str
    end: datetime
    id: str


def asking_of(entry: Entry, nights: Nights) -> tuple[Workflow, Asking]:
    """As of a finished job's own end; an active one is compared with what is known by now."""
    row = entry.row
    ended = nights.ended(entry)
    if ended is None:
        return workflow_of(row), Asking(entry.last_run, nights.seen(entry), row.id)
    return workflow_of(row), Asking(entry.run, row.end or ended, row.id)


class Learning:
    """What was usual at a job's end, of the runs that its own run knew.

    So the answer stays the same when older jobs become known later: successful runs are learned in
    the order of the runs that found them, beside the jobs that ask. All are told first, in any
    order, and lie on the disk.
    """

    def __init__(self, spill: Spill) -> None:
        self._spill = spill

    def tell(self, entry: Entry) -> None:
        """One more job that may be learned from, a listed one or not."""
        if run := success(entry.row):
            first = run_order(entry.first_run)
            learned = _Learned(*first, workflow_of(entry.row), run)
            self._spill.add("learned", (*first, run.id), _encode(learned))

    def answers(self) -> "Answers":
        """All were told: from here on jobs can ask, in the order of their runs."""
        return Answers(_decode(body) for body in self._spill.ordered("learned"))


class Answers:
    """What was usual, asked for in the order of runs."""

    def __init__(self, told: "Iterator[_Learned]") -> None:
        self._told = told
        self._waiting = next(told, None)
        self._known: defaultdict[Workflow, Successes] = defaultdict(Successes)

    def of(self, workflow: Workflow, asking: Asking) -> Usual | None:
        """What was usual for a job; None where nobody can say."""
        order = run_order(asking.run)
        while self._waiting is not None and (self._waiting.stamp, self._waiting.turn) <= order:
            self._known[self._waiting.workflow].add(self._waiting.success)
            self._waiting = next(self._told, None)
        return self._known[workflow].usual_before(asking.end) if workflow in self._known else None


class _Learned(NamedTuple):
    """A successful run, and the run that found it first."""

    stamp: str
    turn: int
    workflow: Workflow
    success: Success


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Learned).decode
