"""A night by itself, in numbers, and what is usual of nights.

The numbers are made once, when the night's run is rendered first, and stand for what was known
then. So a job that the server changes or forgets later changes no night of the past.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, tzinfo
from itertools import islice

from jmreport.analysis.keys import Verdicts
from jmreport.analysis.nights import Nights
from jmreport.analysis.usual import percentile
from jmreport.analysis.workflows import split
from jmreport.placed import Order
from jmreport.records import JobRow
from jmreport.report.causes import CauseGroup
from jmreport.report.counts import ReportCounts
from jmreport.report.nights import NightCause, NightFlow, NightSummary, NightTask
from jmreport.report.usual import Range

#: Nights that a night is compared with, and how many there must be to keep to its kind of day.
COMPARABLE = 14
SAME_KIND_OF_DAY = 28
#: Fewer nights than this say nothing about what is usual.
FEWEST_NIGHTS = 5
_SATURDAY = 5
#: Counts that nights of the past may not have noted.
_NOT_COMPARED = ("not_run", "lapsed", "unjudged", "hidden", "maybe_missing")
#: Nights whose jobs are named.
NAMED_NIGHTS = 31


class Ended:
    """The listed jobs that ended in each of the last nights, told while they stream by."""

    def __init__(self, nights: Nights, order: Order) -> None:
        self._nights, self._order = nights, order
        self.places: defaultdict[int, list[int]] = defaultdict(list)

    def take(self, place: int, ended: datetime | None) -> None:
        """One more listed job, by its place; `ended` is None for one that has not."""
        if ended is not None:
            night = self._nights.index(ended)
            if self._nights.tonight - NAMED_NIGHTS < night <= self._nights.tonight:
                self.places[night].append(place)

    def lately(self) -> dict[int, list[int]]:
        """Of each of the last nights the places of its jobs, so far."""
        first = self._nights.tonight - NAMED_NIGHTS
        return {night: places for night, places in sorted(self.places.items()) if night > first}

    def by_night(self) -> dict[str, tuple[str, ...]]:
        """Run -> ids of its jobs, newest submission first."""
        ids = self._order.ids
        return {
            self._nights.runs[night].id: tuple(ids[place] for place in sorted(places, reverse=True))
            for night, places in self.lately().items()
        }


def summary(
    nights: Nights,
    rows: Iterable[JobRow],
    verdicts: Verdicts,
    attention: Iterable[CauseGroup],
    *,
    stuck: Iterable[str],
    counts: ReportCounts,
    complete: bool,
    tasks: tuple[NightTask, ...] = (),
) -> NightSummary:
    """The newest night in numbers. `rows` are the listed jobs that ended in it.

    `stuck` names the workflow of each job that is stuck.
    """
    rows = tuple(rows)
    return NightSummary(
        run=nights.run.id,
        now=nights.now,
        since=nights.previous.now if nights.previous else None,
        complete=complete,
        counts=counts,
        split=split(rows),
        flows=_flows(rows, verdicts, Counter(stuck)),
        causes=_causes(attention),
        tasks=tasks,
        filters=nights.run.asked.filters,
        left_out=nights.run.counts.left_out,
    )


def _flows(
    rows: Iterable[JobRow], verdicts: Verdicts, stuck: Counter[str]
) -> tuple[NightFlow, ...]:
    ended: defaultdict[str, list[JobRow]] = defaultdict(list)
    for row in rows:
        ended[row.name].append(row)
    failing = Counter(state.entry.row.name for state in verdicts.failing)
    missing = Counter(entry.row.name for entry in verdicts.missing)
    return tuple(
        NightFlow(
            name=name,
            split=split(ended[name]),
            failing=failing[name],
            missing=missing[name],
            stuck=stuck[name],
        )
        for name in sorted({*ended, *failing, *missing, *stuck})
    )


def _causes(attention: Iterable[CauseGroup]) -> tuple[NightCause, ...]:
    """Causes of both states together: a cause with new and with old jobs is one."""
    jobs, new = Counter[str](), Counter[str]()
    for group in attention:
        jobs[group.id] += len(group.jobs)
        new[group.id] += len(group.new_jobs)
    return tuple(NightCause(id=cause, jobs=jobs[cause], new=new[cause]) for cause in sorted(jobs))


def comparable(nights: Sequence[NightSummary], zone: tzinfo) -> tuple[NightSummary, ...]:
    """The nights that the newest is compared with: complete ones, at most 14, newest last.

    The first night is its whole window, so it compares with none, and no night with those of
    another filter. Where 28 nights are there, a weekend's night is compared with weekends' and a
    working day's with working days', by the days of the readers' zone.
    """
    if not nights:
        return ()
    kind = _weekend(nights[-1].now, zone)
    every, alike = list[NightSummary](), list[NightSummary]()
    # Backwards, for of a year of nights no more than the last few weeks matter.
    for night in islice(reversed(nights), 1, None):
        if not night.complete or night.since is None or night.asked_otherwise(nights[-1]):
            continue
        every.append(night)
        if _weekend(night.now, zone) == kind:
            alike.append(night)
        if len(every) >= SAME_KIND_OF_DAY and len(alike) >= COMPARABLE:
            break
    found = alike if len(every) >= SAME_KIND_OF_DAY else every
    return tuple(found[:COMPARABLE][::-1])


def usual_counts(nights: Sequence[NightSummary], zone: tzinfo) -> dict[str, Range]:
    """What each count of the newest night usually is, by its name; empty where nobody can say."""
    before = comparable(nights, zone)
    names = (name for name in ReportCounts.__struct_fields__ if name not in _NOT_COMPARED)
    found = {name: _usual(before, _count(name)) for name in names}
    return {name: usual for name, usual in found.items() if usual is not None}


def _count(name: str) -> Callable[[NightSummary], float]:
    return lambda night: float(getattr(night.counts, name))


def _weekend(at: datetime, zone: tzinfo) -> bool:
    return at.astimezone(zone).weekday() >= _SATURDAY


def usual_night(
    nights: Sequence[NightSummary], pick: Callable[[NightSummary], float], zone: tzinfo
) -> Range | None:
    """What a number usually is: median and P10 to P90 of comparable nights; None below five."""
    return _usual(comparable(nights, zone), pick)


def _usual(before: Sequence[NightSummary], pick: Callable[[NightSummary], float]) -> Range | None:
    values = sorted(map(pick, before))
    if len(values) < FEWEST_NIGHTS:
        return None
    return Range(
        median=percentile(values, 50),
        p10=percentile(values, 10),
        p90=percentile(values, 90),
        nights=len(values),
    )
