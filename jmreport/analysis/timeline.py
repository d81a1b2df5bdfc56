"""Jobs over time: how many ran and waited at once, when they were submitted, how long they waited.

A job waits from its submission to its start and runs from its start to its end; what is active now
does so until now. Only listed jobs count: sub-workflows run inside them.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from heapq import nsmallest
from itertools import pairwise
from typing import NamedTuple

from jmreport.analysis.usual import percentile
from jmreport.models import TERMINAL_STATUSES
from jmreport.records import JobRow
from jmreport.remembered import instant_of, microseconds
from jmreport.report.timeline import Slot, Timeline, TimelineDay

#: Lengths of a slot that divide a day, and those that are days.
_STEPS = tuple(timedelta(minutes=n) for n in (1, 5, 10, 30, 60, 180, 360, 1440))
_WEEK = timedelta(days=7)
#: Slots at most: more are no wider than a line.
MOST_SLOTS = 200
#: Days of the table, the newest of those that the timeline shows.
MOST_DAYS = 31
#: The longest waits that are named.
MOST_WAITS = 10


_MICRO, _SECOND = timedelta(microseconds=1), 1_000_000


class Stretches:
    """Jobs between two instants, sorted by the first, then by the second and by their ids.

    Instants are microseconds since 1970: a report of 100,000 jobs has four of these, and a tuple
    for each job would take five times the memory.
    """

    def __init__(self, found: Iterable[tuple[int, int, str]]) -> None:
        ordered = sorted(found)
        self.starts = array("q", (start for start, _, _ in ordered))
        self.ends = array("q", (end for _, end, _ in ordered))
        self.ids = [job for _, _, job in ordered]

    def __iter__(self) -> Iterator[tuple[int, int, str]]:
        return zip(self.starts, self.ends, self.ids, strict=True)

    def at_once(self, when: datetime) -> tuple[str, ...]:
        """Ids of those that there are at an instant."""
        at = microseconds(when)
        return tuple(job for start, end, job in self if start <= at < end)

    def begun(self, since: datetime, until: datetime) -> tuple[str, ...]:
        """Ids of those that begin in [since, until)."""
        first, last = (bisect_left(self.starts, microseconds(at)) for at in (since, until))
        return tuple(self.ids[first:last])


class Jobs(NamedTuple):
    """The stretches of a report's jobs, and the jobs of which some are not known."""

    waiting: Stretches
    running: Stretches
    #: From submission to itself.
    submitted: Stretches
    #: From submission to a known start; how long jobs that run or ran have waited.
    waited: Stretches
    unplaced: list[str]


def timeline(
    rows: Iterable[JobRow],
    *,
    since: datetime | None,
    now: datetime,
    zone: tzinfo,
    lost: frozenset[str] = frozenset(),
    covered: datetime | None = None,
) -> Timeline | None:
    """The jobs from `since` (None: the first submission) up to now; None where there are none.

    `lost` are jobs that the server no longer has: what was active then has an end that nobody
    knows. `covered` is the instant since which every submission is known.
    """
    touched = [row for row in rows if touches(row, since, lost=row.id in lost)]
    jobs = _placed(touched, now, lost)
    first = since or _first(jobs)
    known = jobs.submitted.ids or jobs.running.ids or jobs.unplaced
    if first is None or first >= now or not known:
        return None
    start, step, count = _slots(first, now, zone)
    running = Level(jobs.running)
    slots = tuple(_filled(jobs, running, start, step, count))
    days = tuple(_days(jobs, running, max(first, start), now, zone))
    peak = running.peak(first, now)
    at_peak = jobs.running.at_once(peak) if peak else ()
    return Timeline(
        since=first,
        until=now,
        step=step,
        slots=slots,
        days=days,
        peak=peak,
        most=len(at_peak),
        at_peak=at_peak,
        longest=_longest(jobs.waited, first),
        unplaced=tuple(jobs.unplaced),
        whole=covered is None or covered < first,
    )


def touches(row: JobRow, since: datetime | None, *, lost: bool) -> bool:
    """Whether anything is known of the job since then."""
    if since is None or (row.active and not lost):
        return True
    return (
        (row.end is not None and row.end >= since)
        or (row.start is not None and row.start >= since)
        or (row.submission is not None and row.submission >= since)
    )


#: An instant that nobody knows, before all others.
_UNKNOWN = -(2**63)


def _placed(rows: Sequence[JobRow], now: datetime, lost: frozenset[str]) -> Jobs:
    def until(row: JobRow) -> datetime | None:
        if row.status in TERMINAL_STATUSES:
            return row.end
        return None if row.id in lost else now

    # Each is reckoned once, and looked at for all four.
    submissions = array("q", (_number(row.submission) for row in rows))
    starts = array("q", (_number(row.start) for row in rows))
    ends = array("q", (_number(until(row)) for row in rows))

    def known() -> Iterator[tuple[int, int, int, str]]:
        return zip(submissions, starts, ends, (row.id for row in rows), strict=True)

    def waiting() -> Iterator[tuple[int, int, str]]:
        for at, start, end, job in known():
            over = end if start == _UNKNOWN else start
            if over > at != _UNKNOWN:
                yield at, over, job

    def unplaced() -> Iterator[str]:
        for at, start, end, job in known():
            if _UNKNOWN in (start, end):
                # One that ended without having begun only waited.
                only_waited = start == _UNKNOWN and _UNKNOWN not in (end, at)
                if not only_waited:
                    yield job

    return Jobs(
        Stretches(waiting()),
        Stretches((start, end, job) for _, start, end, job in known() if end > start != _UNKNOWN),
        Stretches((at, at, job) for at, *_, job in known() if at != _UNKNOWN),
        Stretches(
            (at, max(start, at), job)
            for at, start, _, job in known()
            if _UNKNOWN not in (at, start)
        ),
        sorted(unplaced()),
    )


def _number(at: datetime | None) -> int:
    return _UNKNOWN if at is None else microseconds(at)


def _first(jobs: Jobs) -> datetime | None:
    firsts = [each.starts[0] for each in (jobs.submitted, jobs.running) if each.ids]
    return instant_of(min(firsts)) if firsts else None


def _slots(first: datetime, now: datetime, zone: tzinfo) -> tuple[datetime, timedelta, int]:
    """Where the slots begin (counted from a midnight of the zone), their length and number."""
    span = now - first
    step = next((each for each in _STEPS if span <= each * (MOST_SLOTS - 2)), None)
    if step is None:
        step = _WEEK * -(-span // (_WEEK * (MOST_SLOTS - 2)))
    midnight = _midnight(first, zone)
    start = midnight + step * ((first - midnight) // step)
    return start, step, -(-(now - start) // step)


def _midnight(at: datetime, zone: tzinfo) -> datetime:
    """The last midnight of the zone, in UTC."""
    try:
        local = at.astimezone(zone)
        return datetime(local.year, local.month, local.day, tzinfo=zone).astimezone(UTC)
    except OverflowError:  # at the edges of the calendar
        return at


def _filled(
    jobs: Jobs, running: "Level", start: datetime, step: timedelta, count: int
) -> Iterator[Slot]:
    waiting, first, length = Level(jobs.waiting), microseconds(start), step // _MICRO
    waits: defaultdict[int, list[float]] = defaultdict(list)
    for submitted, begun, _ in jobs.waited:
        waits[(begun - first) // length].append((begun - submitted) / _SECOND)
    for place in range(count):
        since, until = start + place * step, start + (place + 1) * step
        seconds = sorted(waits.get(place, ()))
        yield Slot(
            start=since,
            running=running.most(since, until),
            waiting=waiting.most(since, until),
            submitted=len(jobs.submitted.begun(since, until)),
            started=len(seconds),
            wait=percentile(seconds, 50) if seconds else None,
            wait_p90=percentile(seconds, 90) if seconds else None,
        )


class Level:
    """How many stretches there are at once: at any instant, and at most between two.

    Kept as numbers, 12 bytes for each instant at which it changes.
    """

    def __init__(self, stretches: Stretches) -> None:
        starts, ends = stretches.starts, array("q", sorted(stretches.ends))
        self._times, self._levels = array("q"), array("i")
        begun = ended = 0
        while ended < len(ends):
            at = ends[ended] if begun == len(starts) else min(starts[begun], ends[ended])
            begun, ended = bisect_right(starts, at, begun), bisect_right(ends, at, ended)
            self._times.append(at)
            self._levels.append(begun - ended)

    def at(self, when: datetime) -> int:
        """How many there are at an instant: from its first moment on, and not at its end."""
        place = bisect_right(self._times, microseconds(when))
        return self._levels[place - 1] if place else 0

    def most(self, since: datetime, until: datetime) -> int:
        """The most at once in [since, until)."""
        first, last = self._between(since, until)
        return max(self.at(since), max(self._levels[first:last], default=0))

    def peak(self, since: datetime, until: datetime) -> datetime | None:
        """The first instant in [since, until) with the most at once; None where there are none."""
        first, last = self._between(since, until)
        most, at = self.at(since), since
        for place in range(first, last):
            if self._levels[place] > most:
                most, at = self._levels[place], instant_of(self._times[place])
        return at if most else None

    def _between(self, since: datetime, until: datetime) -> tuple[int, int]:
        """The places of the changes behind an instant and before another."""
        return (
            bisect_right(self._times, microseconds(since)),
            bisect_left(self._times, microseconds(until)),
        )


def _days(
    jobs: Jobs, running: Level, first: datetime, now: datetime, zone: tzinfo
) -> Iterator[TimelineDay]:
    """The newest days, oldest first; each from midnight to midnight, the last up to now."""
    for day, since, until in _newest_days(first, now, zone):
        midnight, end = microseconds(since), microseconds(until)
        waits = sorted(
            (begun - submitted) / _SECOND
            for submitted, begun, _ in jobs.waited
            if midnight <= begun < end
        )
        peak = running.peak(since, until)
        yield TimelineDay(
            day=day.isoformat(),
            submitted=jobs.submitted.begun(since, until),
            peak=peak,
            running=jobs.running.at_once(peak) if peak else (),
            wait=percentile(waits, 50) if waits else None,
            wait_p90=percentile(waits, 90) if waits else None,
        )


def _newest_days(
    first: datetime, now: datetime, zone: tzinfo
) -> list[tuple[date, datetime, datetime]]:
    """A day of the zone and the instants between which it is, at most MOST_DAYS."""
    try:
        last = now.astimezone(zone).date()
        oldest = max(first.astimezone(zone).date(), last - timedelta(days=MOST_DAYS - 1))
    except OverflowError:  # at the edges of the calendar
        return []
    days = [oldest + timedelta(days=number) for number in range((last - oldest).days + 1)]
    ends = [datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) for day in days]
    ends.append(now + timedelta(microseconds=1))
    return [
        (day, max(since, first), until)
        for day, (since, until) in zip(days, pairwise(ends), strict=True)
    ]


def _longest(waited: Stretches, since: datetime) -> tuple[tuple[str, float], ...]:
    """The jobs that started since then and had waited longest, and how many seconds each."""
    first = microseconds(since)
    waits = (
        (submitted - begun, job)
        for submitted, begun, job in waited
        if begun >= first and begun > submitted
    )
    return tuple((job, -waited / _SECOND) for waited, job in nsmallest(MOST_WAITS, waits))
