"""Jobs by the calendar day on which they ended, in the report's zone."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jmreport.errors import UsageError
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
        counts: defaultdict[date, Counter[str]] = defaultdict(Counter)
        for row in (entry.row for entry in entries):
            if row.end is not None and self.first <= (day := self.day(row.end)) <= self.last:
                counts[day][row.status] += 1
        return tuple(
            self._made(self.first + timedelta(days=number), counts)
            for number in range((self.last - self.first).days + 1)
        )

    def _made(self, day: date, counts: dict[date, Counter[str]]) -> Day:
        of_day = counts.get(day, Counter())
        return Day(
            day=day.isoformat(),
            succeeded=of_day["Succeeded"],
            failed=of_day["Failed"],
            aborted=of_day["Aborted"],
        )
