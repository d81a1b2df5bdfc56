"""A report on every workflow ever known: a page lasts when its jobs have left the window."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from heapq import heappush, heappushpop
from typing import Any, NamedTuple, TypeVar

from jmreport.analysis.attention import groups
from jmreport.analysis.keys import KeyState, Verdicts
from jmreport.history import newness
from jmreport.records import Entry, JobRow
from jmreport.report.counts import Day, FlowRates, StatusSplit, WorkflowReport
from jmreport.report.usual import Usual

T = TypeVar("T", bound=Any)

#: Runs that a workflow's page lists and draws.
MOST_JOBS = 50


class Finished(NamedTuple):
    """A finished job, sortable by its end."""

    end: datetime
    id: str
    seconds: float
    status: str


class Newest:
    """The newest runs of every workflow, told while jobs stream by, in any order."""

    def __init__(self) -> None:
        self._newest: defaultdict[str, list[_Newest]] = defaultdict(list)
        self._ended: defaultdict[str, list[Finished]] = defaultdict(list)

    def take(self, entry: Entry) -> None:
        """One more listed job."""
        row = entry.row
        newest, last = self._newest[row.name], self._ended[row.name]
        # Most jobs of a long history are older than all that are kept.
        one = newness(entry)
        if len(newest) < MOST_JOBS or newest[0].behind(one):
            _keep(newest, _Newest(one))
        if row.end is None or row.retried_by or (len(last) == MOST_JOBS and row.end < last[0].end):
            return
        took = row.took
        if took is not None:
            _keep(last, Finished(row.end, row.id, took.total_seconds(), row.status))

    def kept(self) -> tuple[dict[str, list[tuple[float, str]]], dict[str, list[Finished]]]:
        """All that was told, to go on with: the newness of jobs, and those that finished."""
        newest = {name: [one.newness for one in found] for name, found in self._newest.items()}
        return newest, {name: [*found] for name, found in self._ended.items()}

    def restore(
        self,
        newest: Mapping[str, Iterable[tuple[float, str]]],
        finished: Mapping[str, list[Finished]],
    ) -> None:
        """Goes on with what was told, before anything else is."""
        for name, found in newest.items():
            self._newest[name] = [_Newest(one) for one in found]
        self._ended.update(finished)

    def names(self) -> list[str]:
        """Every workflow, in order."""
        return sorted(self._newest)

    def jobs(self, name: str) -> tuple[str, ...]:
        """Ids of a workflow's last runs, newest first."""
        return tuple(one.job for one in sorted(self._newest[name], reverse=True))

    def durations(self, name: str) -> tuple[tuple[datetime, float, str], ...]:
        """(ended, seconds, status) of its last finished runs, oldest first."""
        return tuple((one.end, one.seconds, one.status) for one in sorted(self._ended[name]))


class _Newest:
    """A job, sortable from the oldest to the newest submission."""

    __slots__ = ("newness",)

    def __init__(self, newness: tuple[float, str]) -> None:
        self.newness = newness

    @property
    def job(self) -> str:
        return self.newness[1]

    def behind(self, newness: tuple[float, str]) -> bool:
        """Whether it was submitted before a job of this newness."""
        return self.newness > newness

    def __lt__(self, other: "_Newest") -> bool:
        return self.behind(other.newness)


def _keep(heap: list[T], one: T) -> None:
    """Puts one among the last, and lets go of the first where they are too many."""
    (heappush if len(heap) < MOST_JOBS else heappushpop)(heap, one)


def reports(
    newest: Newest,
    window: Sequence[Entry],
    *,
    verdicts: Verdicts,
    usual: Mapping[str, Usual],
    days: Callable[[str], tuple[Day, ...]],
    first: bool,
) -> tuple[WorkflowReport, ...]:
    """Every workflow of listed jobs, by name. `days` gives those of a workflow."""
    in_window: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in window:
        in_window[entry.row.name].append(entry)
    failing: defaultdict[str, list[KeyState]] = defaultdict(list)
    for state in verdicts.failing:
        failing[state.entry.row.name].append(state)
    return tuple(
        WorkflowReport(
            name=name,
            split=split(entry.row for entry in in_window[name]),
            jobs=newest.jobs(name),
            days=days(name),
            usual=usual.get(name),
            causes=groups(failing[name], verdicts, in_window[name], first=first),
            failed_tasks=_failed_tasks(in_window[name]),
            durations=newest.durations(name),
        )
        for name in newest.names()
    )


def rates(window: Iterable[Entry], days: Callable[[str], tuple[Day, ...]]) -> tuple[FlowRates, ...]:
    """How the workflows of the window failed over the last days.

    The highest rate comes first, the newest decides between equals, then the name: an overview
    shows the first.
    """
    found = (
        FlowRates(name=name, rates=tuple(day.failure_rate for day in days(name)))
        for name in {entry.row.name for entry in window}
    )
    return tuple(sorted(found, key=_highest_first))


def _highest_first(flow: FlowRates) -> tuple[float, float, str]:
    known = [rate for rate in flow.rates if rate is not None] or [-1.0]
    return -max(known), -known[-1], flow.name


def split(rows: Iterable[JobRow]) -> StatusSplit:
    """Jobs by status, the words in alphabetical order."""
    return StatusSplit(counts=dict(sorted(Counter(row.counts_as for row in rows).items())))


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """By submission, jobs without one last; ids decide between equals."""
    return sorted(entries, key=newness)


def _failed_tasks(entries: Iterable[Entry]) -> tuple[tuple[str, int], ...]:
    """Tasks by the number of failed jobs in which they failed, most first."""
    tasks = Counter(
        task for entry in entries if entry.row.status == "Failed" for task in entry.row.failed_tasks
    )
    return tuple(sorted(tasks.items(), key=lambda item: (-item[1], item[0])))
