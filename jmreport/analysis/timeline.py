"""Jobs over time: how many ran and waited at once, when they were submitted, how long they waited.

A job waits from its submission to its start and runs from its start to its end; what is active now
does so until now. Only listed jobs count: sub-workflows run inside them.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import NamedTuple

from jmreport.analysis.usual import percentile
from jmreport.models import TERMINAL_STATUSES
from jmreport.records import JobRow
from jmreport.report import Slot, Timeline, TimelineDay

#: Lengths of a slot that divide a day, and those that are days.
_STEPS = tuple(timedelta(minutes=n) for n in (1, 5, 10, 30, 60, 180, 360, 1440))
_WEEK = timedelta(days=7)
#: Slots at most: more are no wider than a line.
MOST_SLOTS = 200
#: Days of the table, the newest of those that the timeline shows.
MOST_DAYS = 31
#: The longest waits that are named.
MOST_WAITS = 10


class Stretch(NamedTuple):
    """A job between two instants, sortable by the first."""

    start: datetime
    end: datetime
    id: str


class Jobs(NamedTuple):
    """The stretches of a report's jobs, each sorted, and the jobs of which some are not known."""

    waiting: list[Stretch]
    running: list[Stretch]
    submitted: list[tuple[datetime, str]]
    #: From submission to a known start; how long jobs that run or ran have waited.
    begun: list[Stretch]
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
    jobs = _placed((row for row in rows if touches(row, since, lost=row.id in lost)), now, lost)
    first = since or _first(jobs)
    if first is None or first >= now or not (jobs.submitted or jobs.running or jobs.unplaced):
        return None
    start, step, count = _slots(first, now, zone)
    slots = tuple(_filled(jobs, start, step, count))
    days = tuple(_days(jobs, max(first, start), now, zone))
    peak = _peak(jobs.running, first, now)
    return Timeline(
        since=first,
        until=now,
        step=step,
        slots=slots,
        days=days,
        peak=peak,
        most=len(at_once(jobs.running, peak)) if peak else 0,
        at_peak=at_once(jobs.running, peak) if peak else (),
        longest=_longest(jobs.begun, first),
        unplaced=tuple(jobs.unplaced),
        whole=covered is None or covered < first,
    )


def touches(row: JobRow, since: datetime | None, *, lost: bool) -> bool:
    """Whether anything is known of the job since then."""
    if since is None or (row.active and not lost):
        return True
    return any(at is not None and at >= since for at in (row.submission, row.start, row.end))


def _placed(rows: Iterable[JobRow], now: datetime, lost: frozenset[str]) -> Jobs:
    found = Jobs([], [], [], [], [])
    for row in rows:
        ended = row.status in TERMINAL_STATUSES
        until = row.end if ended else (None if row.id in lost else now)
        if row.submission is not None:
            found.submitted.append((row.submission, row.id))
            waited_until = row.start or until
            if waited_until is not None and waited_until > row.submission:
                found.waiting.append(Stretch(row.submission, waited_until, row.id))
            if row.start is not None:
                begun = max(row.start, row.submission)
                found.begun.append(Stretch(row.submission, begun, row.id))
        if row.start is not None and until is not None:
            if until > row.start:
                found.running.append(Stretch(row.start, until, row.id))
        elif row.start is not None or until is None or row.submission is None:
            found.unplaced.append(row.id)
    for each in (found.waiting, found.running, found.submitted, found.begun):
        each.sort()
    found.unplaced.sort()
    return found


def _first(jobs: Jobs) -> datetime | None:
    firsts = [each[0][0] for each in (jobs.submitted, jobs.running) if each]
    return min(firsts, default=None)


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


def _filled(jobs: Jobs, start: datetime, step: timedelta, count: int) -> Iterator[Slot]:
    running, waiting = Level(jobs.running), Level(jobs.waiting)
    submissions = [at for at, _ in jobs.submitted]
    waits: defaultdict[int, list[float]] = defaultdict(list)
    for submitted, begun, _ in jobs.begun:
        waits[(begun - start) // step].append((begun - submitted).total_seconds())
    for place in range(count):
        since, until = start + place * step, start + (place + 1) * step
        seconds = sorted(waits.get(place, ()))
        yield Slot(
            start=since,
            running=running.most(since, until),
            waiting=waiting.most(since, until),
            submitted=bisect_left(submissions, until) - bisect_left(submissions, since),
            started=len(seconds),
            wait=percentile(seconds, 50) if seconds else None,
            wait_p90=percentile(seconds, 90) if seconds else None,
        )


class Level:
    """How many stretches there are at once: at any instant, and at most between two."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        steps: defaultdict[datetime, int] = defaultdict(int)
        for stretch in stretches:
            steps[stretch.start] += 1
            steps[stretch.end] -= 1
        self.times = sorted(steps)
        self.levels: list[int] = []
        level = 0
        for at in self.times:
            level += steps[at]
            self.levels.append(level)

    def at(self, when: datetime) -> int:
        """How many there are at an instant: from its first moment on, and not at its end."""
        place = bisect_right(self.times, when)
        return self.levels[place - 1] if place else 0

    def most(self, since: datetime, until: datetime) -> int:
        """The most at once in [since, until)."""
        inside = self.levels[bisect_right(self.times, since) : bisect_left(self.times, until)]
        return max(self.at(since), max(inside, default=0))

    def peak(self, since: datetime, until: datetime) -> datetime | None:
        """The first instant in [since, until) with the most at once; None where there are none."""
        first, last = bisect_right(self.times, since), bisect_left(self.times, until)
        most, at = self.at(since), since
        for place in range(first, last):
            if self.levels[place] > most:
                most, at = self.levels[place], self.times[place]
        return at if most else None


def at_once(stretches: Sequence[Stretch], when: datetime) -> tuple[str, ...]:
    """Ids of those that there are at an instant."""
    return tuple(each.id for each in stretches if each.start <= when < each.end)


def _peak(stretches: Sequence[Stretch], since: datetime, until: datetime) -> datetime | None:
    return Level(stretches).peak(since, until)


def _days(jobs: Jobs, first: datetime, now: datetime, zone: tzinfo) -> Iterator[TimelineDay]:
    """The newest days, oldest first; each from midnight to midnight, the last up to now."""
    running = Level(jobs.running)
    for day, since, until in _newest_days(first, now, zone):
        submitted = [each for each in jobs.submitted if since <= each[0] < until]
        waits = sorted(
            (each.end - each.start).total_seconds()
            for each in jobs.begun
            if since <= each.end < until
        )
        peak = running.peak(since, until)
        yield TimelineDay(
            day=day.isoformat(),
            submitted=tuple(job for _, job in submitted),
            peak=peak,
            running=at_once(jobs.running, peak) if peak else (),
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


def _longest(begun: Sequence[Stretch], since: datetime) -> tuple[tuple[str, float], ...]:
    """The jobs that started since then and had waited longest, and how many seconds each."""
    waits = [
        ((each.end - each.start).total_seconds(), each.id) for each in begun if each.end >= since
    ]
    waits.sort(key=lambda each: (-each[0], each[1]))
    return tuple((job, seconds) for seconds, job in waits[:MOST_WAITS] if seconds > 0)
