"""Slower tasks: tonight's median against the median of the last 14 nights.

A task is slower where tonight took at least half as long again and at least 5 minutes longer, with
at least 5 successful attempts on both sides, none of them from the cache. A night in which it was
slower already says nothing about what is usual, so the news does not fade while it lasts; after 14
such nights it is what is usual.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

from jmreport.analysis.measures import median, merged
from jmreport.records import Sketch
from jmreport.report.costs import SlowerTask
from jmreport.report.nights import NightSummary

#: The rule's numbers: nights that are compared with, ratio, seconds, attempts on both sides.
NIGHTS = 14
RATIO = 1.5
SECONDS = 300.0
FEWEST = 5
#: Nights in a row that were not slower, after which it was over: a single one may be chance.
OVER = 2

#: (workflow, task)
Task = tuple[str, str]


class Judged(NamedTuple):
    """A night of a task: whether it was slower than what was usual before it, over some nights."""

    usual: Sketch
    nights: int
    slower: bool


_NOTHING = Sketch()
#: A night that was not slower, whatever was usual.
_PLAIN = Judged(_NOTHING, 0, slower=False)
#: Seconds by which a sketch may be off: it is rounded.
_ROUNDED = 0.1


def slower(nights: Sequence[NightSummary]) -> tuple[SlowerTask, ...]:
    """Tasks that are slower in the newest of the nights, the largest ratio first; no jobs yet."""
    if not nights:
        return ()
    tonight, by_night = len(nights) - 1, _ByNight(nights)
    series = (_Series(by_night, task) for task in by_night[tonight])
    told = (_told(one, nights) for one in series if one.may_be_slower(tonight))
    found = [one for one in told if one]
    return tuple(sorted(found, key=lambda one: (-one.ratio, one.workflow, one.task)))


def is_slower(tonight: Sketch, usual: Sketch) -> bool:
    """The rule itself."""
    if tonight.count < FEWEST or usual.count < FEWEST:
        return False
    now, before = median(tonight), median(usual)
    return now >= before * RATIO and now - before >= SECONDS


class _ByNight(dict[int, Mapping[Task, Sketch]]):
    """How long tasks took in each of the nights, read of those alone that somebody asks for."""

    def __init__(self, nights: Sequence[NightSummary]) -> None:
        super().__init__()
        self._nights = nights

    def __missing__(self, at: int) -> Mapping[Task, Sketch]:
        tasks = self._nights[at].tasks
        self[at] = {(one.workflow, one.measure.task): one.measure.took for one in tasks}
        return self[at]


class _Series:
    """A task in all nights, oldest first."""

    def __init__(self, by_night: _ByNight, task: Task) -> None:
        self.task = task
        self._by_night = by_night
        self._medians: dict[int, float | None] = {}

    def __getitem__(self, at: int) -> Sketch:
        return self._by_night[at].get(self.task, _NOTHING)

    def may_be_slower(self, at: int) -> bool:
        """Whether some night before was so much faster: what most nights are not is not weighed up.

        Nights together have no lower median than the fastest of them, but for rounding.
        """
        now = self._median(at)
        if now is None or self[at].count < FEWEST:
            return False
        before = map(self._median, range(max(at - NIGHTS, 0), at))
        fastest = min((one for one in before if one is not None), default=inf) - _ROUNDED
        return now >= fastest * RATIO and now - fastest >= SECONDS

    def _median(self, at: int) -> float | None:
        if at not in self._medians:
            took = self[at]
            self._medians[at] = median(took) if took.count else None
        return self._medians[at]

    def beginning(self, last: int) -> int:
        """The night from which on it is judged: none before it changes what is told of the last.

        So many nights in a row that cannot be slower are all that says what is usual behind them,
        and whatever came before them was over.
        """
        plain = ran = 0
        for at in range(last, -1, -1):
            if self.may_be_slower(at):
                plain = ran = 0
                continue
            plain, ran = plain + 1, ran + (self[at].count > 0)
            if plain >= NIGHTS and ran >= OVER:
                return at
        return 0

    def judged(self, last: int) -> dict[int, Judged]:
        """The last nights by their numbers, the oldest first."""
        found: dict[int, Judged] = {}
        begin = self.beginning(last)
        for at in range(begin, last + 1):
            if not self.may_be_slower(at):
                found[at] = _PLAIN
                continue
            before = range(max(begin, at - NIGHTS), at)
            plain = [self[n] for n in before if not found[n].slower]
            usual = merged(plain)
            if usual.count < FEWEST:
                # It has been slower for all of them: that is what is usual now.
                plain = [self[n] for n in before]
                usual = merged(plain)
            counted = sum(one.count > 0 for one in plain)
            found[at] = Judged(usual, counted, is_slower(self[at], usual))
        return found


def _told(series: _Series, nights: Sequence[NightSummary]) -> SlowerTask | None:
    tonight = len(nights) - 1
    told = series.judged(tonight)
    last = told[tonight]
    if not last.slower:
        return None
    since = _since(told, series)
    return SlowerTask(
        workflow=series.task[0],
        task=series.task[1],
        tonight=median(series[tonight]),
        usual=median(last.usual),
        attempts=series[tonight].count,
        usual_attempts=last.usual.count,
        nights=last.nights,
        since=nights[since].now,
        since_run=nights[since].run,
    )


def _since(told: Mapping[int, Judged], series: _Series) -> int:
    """The first of the slower nights up to the newest; `OVER` others in a row came before it."""
    since, plain = max(told), 0
    for at in sorted(told, reverse=True):
        if told[at].slower:
            since, plain = at, 0
        elif series[at].count:
            plain += 1
            if plain == OVER:
                break
    return since
