"""Waste: hours in attempts that led to no success, by task, workflow and label, and in money.

What jobs cost is read by their ids, one after another: of the jobs that ended tonight for the
night, of the report's jobs and all below them for its pages, and never of all that are known.
"""

import math
import operator
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import TypeVar

from msgspec.structs import astuple, replace

from jmreport.analysis.measures import Total
from jmreport.analysis.night import usual_night
from jmreport.records import Entry, JobRow, Measure, Spent, name_below
from jmreport.report.costs import Cost, LabelCost, SlowerTask, TaskCost, Waste
from jmreport.report.labels import LabelReport
from jmreport.report.nights import NightSummary, NightTask
from jmreport.settings import Prices

#: What jobs cost, by their ids: (id, measures) of those that are measured.
ReadMeasures = Callable[[Iterable[str]], Iterator[tuple[str, tuple[Measure, ...]]]]

K = TypeVar("K")

_HOUR = timedelta(hours=1).total_seconds()
_NONE_SPENT = astuple(Spent())
#: Values of a label whose costs are kept: those that lost most.
MOST_VALUES = 100


def nothing(_jobs: Iterable[str]) -> Iterator[tuple[str, tuple[Measure, ...]]]:
    """No measures: for a report that is made from rows alone."""
    return iter(())


def night_tasks(
    tonight: Iterable[Entry], above: "Above", read: ReadMeasures
) -> tuple[NightTask, ...]:
    """What each task cost in the newest night, by workflow and task.

    `tonight` are the jobs that ended in it, those that no list names too.
    """
    ended = {entry.row.id: entry.row for entry in tonight}
    totals: defaultdict[tuple[str, str], Total] = defaultdict(Total)
    for job, measures in read(sorted(ended)):
        for one in measures:
            row = ended[job]
            totals[above.task(row, one.task)].add(told_as(row, one))
    return tuple(
        NightTask(workflow, totals[workflow, task].measure(task))
        for workflow, task in sorted(totals)
    )


def told_as(row: JobRow, one: Measure) -> Measure:
    """What a job cost, its failure told as one that was tried again where it was.

    On servers where each attempt is a job of its own no record says so of itself.
    """
    if not row.retried_by or not one.failed:
        return one
    spent = replace(one.spent, failed=0.0, retried=one.spent.retried + one.spent.failed)
    return replace(one, failed=0, retried=one.retried + one.failed, spent=spent)


def lost(night: NightSummary) -> float:
    """Seconds of a night's attempts that led to no success."""
    return math.fsum(one.measure.spent.lost for one in night.tasks)


class Above:
    """Which listed job each sub-workflow belongs to."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._rows: dict[str, JobRow] = {}
        self._parents: dict[str, str] = {}
        for entry in entries:
            self._rows[entry.row.id] = entry.row
            if entry.row.parent and not entry.row.listed:
                self._parents[entry.row.id] = entry.row.parent

    def row(self, job: str) -> JobRow:
        """The row of one of the jobs."""
        return self._rows[job]

    def root(self, row: JobRow) -> JobRow:
        """The listed job above it; itself where it is one, or where that is not known."""
        seen, job = {row.id}, row.id
        while (parent := self._parents.get(job)) and parent in self._rows and parent not in seen:
            seen.add(parent)
            job = parent
        return self._rows.get(job, row)

    def task(self, row: JobRow, task: str) -> tuple[str, str]:
        """The workflow that a task belongs to, and what it is called there."""
        return task_of(self.root(row), row, task)


def task_of(root: JobRow, row: JobRow, task: str) -> tuple[str, str]:
    """The same of a job whose listed job is known."""
    if root is row or root.id == row.id:
        return root.name, task
    return root.name, name_below(row, task)


class Costs:
    """What the report's jobs cost, added up while their measures stream by."""

    def __init__(
        self,
        jobs: Sequence[Entry],
        below: Sequence[Entry],
        tonight: Iterable[Entry],
        above: Above,
        labels: Sequence[LabelReport],
        prices: Prices,
        *,
        unrecorded: Mapping[str, str] | None = None,
    ) -> None:
        """`jobs` are the report's and `below` their sub-workflows; `tonight` ended in its night.

        `unrecorded` are sub-workflows of which there is no record, each with the job that names it.
        """
        self._above = above
        self._prices = prices
        self._labels = [label for label in labels if not label.distinct and label.key != "name"]
        #: What an hour of each task costs, once it was asked for.
        self._price_of: dict[str, float | None] = {}
        self._order = {entry.row.id: at for at, entry in enumerate(jobs)}
        self._wanted = sorted(
            entry.row.id for entry in (*jobs, *below) if above.root(entry.row).id in self._order
        )
        self._tonight = frozenset(entry.row.id for entry in tonight)
        #: Jobs that could not be read, with the listed job that is over to which each belongs,
        #: until something tells what they cost.
        self._unmeasured = dict(self._unread((*jobs, *below), unrecorded or {}))
        self._total = _Adding()
        self._tasks: defaultdict[tuple[str, str], _Adding] = defaultdict(_Adding)
        self._flows: defaultdict[str, _Adding] = defaultdict(_Adding)
        self._values: dict[str, defaultdict[str | None, _Adding]] = {
            label.key: defaultdict(_Adding) for label in self._labels
        }
        self._ran_tonight: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)

    def _unread(
        self, entries: Iterable[Entry], unrecorded: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        lacking = {entry.row.id: entry.row for entry in entries if not entry.row.readable}
        lacking |= {job: self._above.row(parent) for job, parent in unrecorded.items()}
        for job, row in lacking.items():
            root = self._above.root(row)
            if root.id in self._order and not root.active:
                yield job, root.id

    def read(self, read: ReadMeasures) -> None:
        """Adds what the report's jobs cost, and all below them."""
        for job, measures in read(self._wanted):
            row = self._above.row(job)
            root = self._above.root(row)
            self._unmeasured.pop(job, None)
            whole = self._of_tasks(measures, row, root, tonight=job in self._tonight)
            self._total.join(whole)
            self._flows[root.name].join(whole)
            for label in self._labels:
                self._values[label.key][_value(root, label.key)].join(whole)

    def _of_tasks(
        self, measures: Iterable[Measure], row: JobRow, root: JobRow, *, tonight: bool
    ) -> "_Adding":
        """Adds what each task of a job cost, and says what all of them did."""
        whole = _Adding()
        for measure in measures:
            one = told_as(row, measure) if row.retried_by else measure
            task = task_of(root, row, one.task)
            price, spent = self._price(task[1]), astuple(one.spent)
            whole.add(one, spent, root.id, price)
            self._tasks[task].add(one, spent, root.id, price)
            if tonight and one.took.count:
                self._ran_tonight[task][root.id] = None
        return whole

    def _price(self, task: str) -> float | None:
        """An hour's price: the task's by its whole name, by its own, or everybody's."""
        if task not in self._price_of:
            prices = self._prices.tasks
            of_its_own = prices.get(task.rpartition(".")[2], self._prices.hour)
            self._price_of[task] = prices.get(task, of_its_own)
        return self._price_of[task]

    def with_jobs(self, slower: Iterable[SlowerTask]) -> tuple[SlowerTask, ...]:
        """The same tasks with tonight's jobs in which each ran."""
        ran = (
            (one, self._ordered(self._ran_tonight.get((one.workflow, one.task), ())))
            for one in slower
        )
        return tuple(replace(one, jobs=jobs, ran_in=len(jobs)) for one, jobs in ran)

    def waste(self, nights: Sequence[NightSummary], zone: tzinfo) -> Waste | None:
        """What came of it, the newest of the nights by itself too; None where nothing ran.

        By the days of `zone` a night is compared with others of its kind.
        """
        night = _Adding()
        for one in nights[-1].tasks:
            spent = astuple(one.measure.spent)
            night.add(one.measure, spent, "", self._price(one.measure.task))
        unmeasured = self._ordered(set(self._unmeasured.values()))
        unread = Counter(self._above.row(job).name for job in unmeasured)
        if not self._total.attempts and not night.attempts and not unmeasured:
            return None
        return Waste(
            total=replace(self._cost(self._total), unread=len(unmeasured)),
            tonight=replace(
                self._cost(night),
                jobs=(),
                unread=sum(job in self._tonight for job in unmeasured),
            ),
            usual=usual_night(nights, lost, zone),
            tasks=tuple(
                TaskCost(workflow=flow, task=task, cost=self._cost(adding))
                for (flow, task), adding in _most_first(self._tasks)
            ),
            workflows=tuple(
                (name, replace(self._cost(adding), unread=unread[name]))
                for name, adding in _most_first(
                    {name: _Adding() for name in unread} | self._flows, unread
                )
            ),
            labels=tuple(self._label(label) for label in self._labels),
            unmeasured=unmeasured,
        )

    def _label(self, label: LabelReport) -> LabelCost:
        values = _most_first(self._values[label.key])[:MOST_VALUES]
        return LabelCost(
            key=label.key,
            title=label.title,
            values=tuple((value, self._cost(adding)) for value, adding in values),
        )

    def _ordered(self, jobs: Iterable[str]) -> tuple[str, ...]:
        """In the report's order, newest first; jobs that are not in the report are left out."""
        return tuple(sorted((job for job in jobs if job in self._order), key=self._order.get))  # type: ignore[arg-type]  # each is in it

    def _cost(self, adding: "_Adding") -> Cost:
        return adding.cost(self._ordered(adding.jobs))


class _Adding:
    """Measures of several tasks added up. A label of samples has one for each of its values."""

    __slots__ = (
        *("aborted", "attempts", "failed", "jobs", "money", "preempted", "retried", "spent"),
        *("unpriced", "untimed"),
    )

    def __init__(self) -> None:
        self.attempts = self.retried = self.preempted = self.failed = self.aborted = 0
        self.untimed = 0
        #: Seconds as in Spent.
        self.spent = array("d", _NONE_SPENT)
        self.jobs: dict[str, None] = {}
        self.money: float | None = None
        self.unpriced = False

    def add(self, one: Measure, spent: tuple[float, ...], job: str, price: float | None) -> None:
        """Adds what a task cost; `spent` are the seconds that it has."""
        self.attempts += one.attempts
        self.untimed += one.untimed
        self.spent = array("d", map(operator.add, self.spent, spent))
        if one.lost:  # of most tasks nothing
            self.retried += one.retried
            self.preempted += one.preempted
            self.failed += one.failed
            self.aborted += one.aborted
            self.jobs[job] = None
        if price is not None:
            self.money = (self.money or 0.0) + one.spent.lost / _HOUR * price
        elif one.spent.lost:
            self.unpriced = True

    def join(self, other: "_Adding") -> None:
        """Adds what others came to."""
        self.attempts += other.attempts
        self.untimed += other.untimed
        self.spent = array("d", map(operator.add, self.spent, other.spent))
        if other.jobs:  # only where anything was lost
            self.retried += other.retried
            self.preempted += other.preempted
            self.failed += other.failed
            self.aborted += other.aborted
            self.jobs.update(other.jobs)
        self.unpriced |= other.unpriced
        if other.money is not None:
            self.money = (self.money or 0.0) + other.money

    @property
    def lost(self) -> float:
        return Spent(*self.spent).lost

    def cost(self, jobs: tuple[str, ...]) -> Cost:
        return Cost(
            attempts=self.attempts,
            retried=self.retried,
            preempted=self.preempted,
            failed=self.failed,
            aborted=self.aborted,
            untimed=self.untimed,
            spent=Spent(*(round(seconds, 3) for seconds in self.spent)),
            jobs=jobs,
            lost_money=None if self.money is None else round(self.money, 6),
            unpriced=self.unpriced,
        )


def _most_first(adding: Mapping[K, _Adding], also: Container[K] = ()) -> list[tuple[K, _Adding]]:
    """Those of which anything was lost, the most first, and these others behind them."""
    some = [(key, each) for key, each in adding.items() if each.jobs or key in also]
    return sorted(some, key=lambda pair: (-pair[1].lost, str(pair[0])))


def _value(row: JobRow, key: str) -> str | None:
    return row.user if key == "userId" else row.labels.get(key)
