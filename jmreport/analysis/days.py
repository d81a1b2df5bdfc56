"""Jobs by the calendar day on which they ended, in the report's zone."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jmreport.errors import UsageError
from jmreport.models import TERMINAL_STATUSES
from jmreport.records import Entry
from jmreport.report import Day

#: Days that charts and tables look back.
MOST_DAYS = 21


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
    """The days up to now, as far back as was looked and at most 21, with a row for each of them."""

    def __init__(self, now: datetime, since: datetime | None, zone: tzinfo) -> None:
        self._zone = zone
        self.last = self.day(now)
        earliest = self.last - timedelta(days=MOST_DAYS - 1)
        self.first = earliest if since is None else min(self.last, max(earliest, self.day(since)))

    def day(self, at: datetime) -> date:
        """The day of an instant; the edges of the calendar have no zone."""
        try:
            return at.astimezone(self._zone).date()
        except OverflowError:
            return at.date()

    def days(self, entries: Iterable[Entry]) -> tuple[Day, ...]:
        """A Day for every day, those on which nothing ended included; oldest first."""
        found: defaultdict[date, dict[str, list[str]]] = defaultdict(dict)
        for row in (entry.row for entry in entries):
            if row.status not in TERMINAL_STATUSES:
                continue
            if row.end is not None and self.first <= (day := self.day(row.end)) <= self.last:
                found[day].setdefault(row.status, []).append(row.id)
        return tuple(
            _made(day, found.get(day, {}))
            for day in (
                self.first + timedelta(days=number)
                for number in range((self.last - self.first).days + 1)
            )
        )


def _made(day: date, jobs: dict[str, list[str]]) -> Day:
    return Day(
        day=day.isoformat(),
        succeeded=len(jobs.get("Succeeded", ())),
        failed=len(jobs.get("Failed", ())),
        aborted=len(jobs.get("Aborted", ())),
        jobs={status: tuple(ids) for status, ids in jobs.items()},
    )
