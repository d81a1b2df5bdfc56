"""Jobs by the night in which they ended, a row for each day on which nights end.

A report of 02:14 knows two hours of its own day, so days by the calendar would show every morning
that nothing ran and nothing failed. Nights that end on one day are one row: a team that reports
every hour sees its days. What ended before the first report falls into nights that would have ended
at that report's time of day.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jmreport.analysis.nights import Nights
from jmreport.errors import UsageError
from jmreport.models import TERMINAL_STATUSES
from jmreport.placed import Order
from jmreport.records import Filters, JobRow, Run
from jmreport.report.counts import Day

#: Days that charts and tables look back.
MOST_DAYS = 21
_DAY = timedelta(days=1)
#: The statuses whose jobs a day counts.
_COUNTED = ("Succeeded", "Failed", "Aborted")


def zone(name: str) -> tzinfo:
    """The zone of an IANA name. UsageError for a name that nobody knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"[report] timezone: no zone is called {name!r}",
            hint='use an IANA name such as "Europe/Berlin" or "UTC"',
        ) from error


class Calendar:
    """The days on which nights ended, as far back as was looked and at most 21."""

    def __init__(self, nights: Nights, zone: tzinfo) -> None:
        self._nights = nights
        self._walls = [_wall(run.now, zone) for run in nights.runs]
        self._zone = zone
        self.last = self._walls[-1].date()
        earliest = self.last - (MOST_DAYS - 1) * _DAY
        self._earliest = earliest
        #: For each night, the day on which it ends; None where that is too long ago.
        self._days = [self._lately(wall.date()) for wall in self._walls]
        self._filters: dict[date, list[Filters]] = {}
        #: The last report of each day.
        self._reported = {
            wall.date(): run for wall, run in zip(self._walls, nights.runs, strict=True)
        }

    def day(self, ended: datetime) -> date:
        """The day on which the night of an end ends."""
        night = self._nights.index(ended)
        if night:
            return self._walls[min(night, self._nights.tonight)].date()
        return self._before_the_first(_wall(ended, self._zone))

    def holds(self, ended: datetime) -> date | None:
        """The day on which the night of an end ends, None where that is too long ago."""
        night = self._nights.index(ended)
        if night:
            return self._days[min(night, self._nights.tonight)]
        return self._lately(self.day(ended))

    def _lately(self, day: date) -> date | None:
        return day if self._earliest <= day <= self.last else None

    def first(self, since: datetime | None) -> date:
        """The first of these days, where what was read begins then; None where nothing ended."""
        first = None if since is None else self.day(since)
        return self._earliest if first is None else min(self.last, max(self._earliest, first))

    def made(
        self, found: Mapping[date, Mapping[str, Sequence[str]]], first: date
    ) -> tuple[Day, ...]:
        """A Day for every day, those on which nothing ended included; oldest first."""
        number = (self.last - first).days + 1
        return tuple(
            self._made(day, found.get(day, {}))
            for day in (first + place * _DAY for place in range(number))
        )

    def _made(self, day: date, jobs: Mapping[str, Sequence[str]]) -> Day:
        run, asked = self._reported.get(day), self._asked(day)
        return Day(
            day=day.isoformat(),
            run=run.id if run else "",
            succeeded=len(jobs.get("Succeeded", ())),
            failed=len(jobs.get("Failed", ())),
            aborted=len(jobs.get("Aborted", ())),
            jobs={status: tuple(ids) for status, ids in jobs.items()},
            unseen=tuple(
                status
                for status in _COUNTED
                if all(each.status and status not in each.status for each in asked)
            ),
            filtered=all(each.narrows for each in asked),
        )

    def _asked(self, day: date) -> list[Filters]:
        """The filters of the runs that read a day: its own last one, or the next where it has none,
        and all later ones whose windows reach back behind it."""
        if day not in self._filters:
            own = self._reported.get(day)
            later = [
                run
                for wall, run in zip(self._walls, self._nights.runs, strict=True)
                if wall.date() > day
                and run.asked.address == self._nights.run.asked.address
                and run.whole_list
            ]
            first = own or (later[0] if later else self._nights.run)
            self._filters[day] = [
                run.asked.filters
                for run in (first, *later)
                if run is first or self._reaches(run, day)
            ]
        return self._filters[day]

    def _reaches(self, run: Run, day: date) -> bool:
        """Whether a run asked for what was submitted since the day before."""
        since = run.asked.since
        return since is None or _wall(since, self._zone).date() < day

    def _before_the_first(self, wall: datetime) -> date:
        first = self._walls[0]
        try:
            return first.date() - max((first - wall) // _DAY, 0) * _DAY
        except OverflowError:
            return date.min


class DayTally:
    """Jobs by the days of a calendar, in all and by workflow, told while they stream by."""

    def __init__(self, calendar: Calendar, order: Order) -> None:
        self._calendar, self._order = calendar, order
        #: The first day to be told of.
        self._first = calendar.first(None)
        #: Workflow -> day -> status -> places.
        self.of: defaultdict[str, _ByDay] = defaultdict(lambda: defaultdict(dict))

    def take(self, row: JobRow, place: int, ended: datetime | None) -> None:
        """One more listed job, by its place; `ended` is None for one that has not."""
        if ended is None or row.status not in TERMINAL_STATUSES:
            return
        day = self._calendar.holds(ended)
        if day is not None:
            self.of[row.name][day].setdefault(row.counts_as, []).append(place)

    def begin(self, since: datetime | None) -> None:
        """`since` is when what was read begins; None where nothing ended."""
        self._first = self._calendar.first(since)

    def days(self, workflow: str | None = None) -> tuple[Day, ...]:
        """The days of all jobs, or of a workflow's, newest submission first."""
        flows = [*self.of] if workflow is None else [workflow]
        found: defaultdict[date, dict[str, list[int]]] = defaultdict(dict)
        for flow in flows:
            for day, by_status in self.of.get(flow, {}).items():
                for status, places in by_status.items():
                    found[day].setdefault(status, []).extend(places)
        ids = self._order.ids
        return self._calendar.made(
            {
                day: {
                    status: [ids[place] for place in sorted(places, reverse=True)]
                    for status, places in sorted(by_status.items())
                }
                for day, by_status in found.items()
            },
            self._first,
        )


#: Day -> status -> places of jobs.
_ByDay: TypeAlias = "defaultdict[date, dict[str, list[int]]]"


def _wall(at: datetime, zone: tzinfo) -> datetime:
    """What a clock on the wall showed, without its zone; the edges of the calendar have none."""
    try:
        return at.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        return at.replace(tzinfo=None)
