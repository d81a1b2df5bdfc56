"""How long a workflow usually takes: its last 30 successful runs, and never fewer than 5."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from jmreport.records import Entry, JobRow
from jmreport.report import Usual

#: The runs that are looked at, and the fewest that say anything.
MOST_RUNS = 30
FEWEST_RUNS = 5
#: More new runs than this are sorted in at once rather than one by one.
_FEW = 64

#: A workflow's jobs, and its runs as a sub-workflow, are two things: (name, listed).
Workflow = tuple[str, bool]


class Success(NamedTuple):
    """A successful run, sortable by its end."""

    end: datetime
    id: str
    seconds: float


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
    if row.status != "Succeeded" or row.end is None or row.took is None or not row.name:
        return None
    seconds = row.took.total_seconds()
    return Success(row.end, row.id, seconds) if seconds > 0 else None


class Successes:
    """The successful runs of one workflow by their end, grown run by run."""

    def __init__(self) -> None:
        self._runs: list[Success] = []
        self._cached: tuple[int, int, Usual | None] = (-1, -1, None)

    def add(self, more: Sequence[Success]) -> None:
        if len(more) <= _FEW:
            for one in more:
                insort(self._runs, one)
        else:
            self._runs.extend(more)
            self._runs.sort()

    def usual_before(self, end: datetime) -> Usual | None:
        """What was usual among the runs that had ended before then."""
        upto = bisect_left(self._runs, (end,))
        place = (len(self._runs), upto)
        if self._cached[:2] != place:
            last = self._runs[max(0, upto - MOST_RUNS) : upto]
            self._cached = (*place, usual([run.seconds for run in last]))
        return self._cached[2]


def as_of(entries: Iterable[Entry], now: datetime) -> dict[str, Usual]:
    """What is usual now, for every workflow of listed jobs with enough successful runs."""
    runs: defaultdict[str, list[Success]] = defaultdict(list)
    for entry in entries:
        if entry.row.listed and (run := success(entry.row)) and run.end <= now:
            runs[entry.row.name].append(run)
    found = (
        (name, usual([run.seconds for run in sorted(of_name)[-MOST_RUNS:]]))
        for name, of_name in runs.items()
    )
    return {name: value for name, value in found if value is not None}


class Asking(NamedTuple):
    """A job whose usual duration is wanted, as of an instant and of a run."""

    run: str
    end: datetime
    id: str


def as_of_each(
    entries: Iterable[Entry], asking: Iterable[tuple[Workflow, Asking]]
) -> dict[str, Usual]:
    """Job id -> what was usual at its end, of the runs that its own run knew.

    So the answer stays the same when older jobs become known later. A workflow's runs are learned
    in the order of the runs that found them, beside the jobs that ask.
    """
    learned: defaultdict[Workflow, list[tuple[str, Success]]] = defaultdict(list)
    for entry in entries:
        if run := success(entry.row):
            learned[workflow_of(entry.row)].append((entry.first_run, run))
    wanted: defaultdict[Workflow, list[Asking]] = defaultdict(list)
    for workflow, one in asking:
        if workflow in learned:
            wanted[workflow].append(one)
    answers: dict[str, Usual] = {}
    while wanted:  # let go of as it is answered, for there are as many as jobs
        workflow, of_workflow = wanted.popitem()
        answers.update(_answer(sorted(learned.pop(workflow)), sorted(of_workflow)))
    return answers


def _answer(learned: Sequence[tuple[str, Success]], wanted: Sequence[Asking]) -> dict[str, Usual]:
    successes, known, answers = Successes(), 0, {}
    for one in wanted:
        upto = bisect_left(learned, (one.run + "\0",))
        if upto > known:
            successes.add([run for _, run in learned[known:upto]])
            known = upto
        if found := successes.usual_before(one.end):
            answers[one.id] = found
    return answers
