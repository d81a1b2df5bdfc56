"""Slower tasks: tonight's median against the median of the last 14 nights.

A task is slower where tonight took at least half as long again and at least 5 minutes longer, with
at least 5 successful attempts on both sides, none of them from the cache. A night in which it was
slower already says nothing about what is usual, so the news does not fade while it lasts; after 14
such nights it is what is usual.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jmreport.analysis.measures import median, merged
from jmreport.records import Sketch
from jmreport.report import NightSummary, SlowerTask

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
    """A night of a task: what was usual before it, and whether it was slower than that."""

    usual: Sketch
    nights: int
    slower: bool


def slower(nights: Sequence[NightSummary]) -> tuple[SlowerTask, ...]:
    """Tasks that are slower in the newest of the nights, the largest ratio first; no jobs yet."""
    if not nights:
        return ()
    by_night = [_sketches(night) for night in nights]
    found = []
    for task, tonight in by_night[-1].items():
        if _may_be_slower(task, tonight, by_night):
            series = [night.get(task, Sketch()) for night in by_night]
            if told := _told(task, series, nights):
                found.append(told)
    return tuple(sorted(found, key=lambda one: (-one.ratio, one.workflow, one.task)))


def is_slower(tonight: Sketch, usual: Sketch) -> bool:
    """The rule itself."""
    if tonight.count < FEWEST or usual.count < FEWEST:
        return False
    now, before = median(tonight), median(usual)
    return now >= before * RATIO and now - before >= SECONDS


def judged(series: Sequence[Sketch]) -> list[Judged]:
    """Every night of a task, oldest first: what was usual as of then, and whether it was slower."""
    found: list[Judged] = []
    for at, tonight in enumerate(series):
        first = max(0, at - NIGHTS)
        plain = [series[n] for n in range(first, at) if not found[n].slower]
        usual = merged(plain)
        if usual.count < FEWEST:
            # It has been slower for all of them: that is what is usual now.
            plain = list(series[first:at])
            usual = merged(plain)
        counted = sum(one.count > 0 for one in plain)
        found.append(Judged(usual, counted, is_slower(tonight, usual)))
    return found


def _sketches(night: NightSummary) -> Mapping[Task, Sketch]:
    return {(one.workflow, one.measure.task): one.measure.took for one in night.tasks}


def _may_be_slower(task: Task, tonight: Sketch, by_night: Sequence[Mapping[Task, Sketch]]) -> bool:
    """Whether some night before was so much faster: what most tasks are not is not weighed up."""
    if tonight.count < FEWEST or median(tonight) < SECONDS:
        return False
    before = (night[task] for night in by_night[-1 - NIGHTS : -1] if task in night)
    fastest = min((one.at[0] for one in before if one.count), default=float("inf"))
    now = median(tonight)
    return now >= fastest * RATIO and now - fastest >= SECONDS


def _told(
    task: Task, series: Sequence[Sketch], nights: Sequence[NightSummary]
) -> SlowerTask | None:
    told = judged(series)
    last = told[-1]
    if not last.slower:
        return None
    since = _since(told, series)
    return SlowerTask(
        workflow=task[0],
        task=task[1],
        tonight=median(series[-1]),
        usual=median(last.usual),
        attempts=series[-1].count,
        usual_attempts=last.usual.count,
        nights=last.nights,
        since=nights[since].now,
        since_run=nights[since].run,
    )


def _since(told: Sequence[Judged], series: Sequence[Sketch]) -> int:
    """The first of the slower nights up to the newest; `OVER` others in a row came before it."""
    since, plain = len(told) - 1, 0
    for at in range(len(told) - 1, -1, -1):
        if told[at].slower:
            since, plain = at, 0
        elif series[at].count:
            plain += 1
            if plain == OVER:
                break
    return since
