"""Counts of all listed jobs, kept while they stream by, the oldest submission first."""

from collections.abc import Sequence
from datetime import datetime

from jmreport.analysis.aggregate import Frames
from jmreport.analysis.days import Calendar, DayTally
from jmreport.analysis.night import Ended
from jmreport.analysis.nights import Nights
from jmreport.analysis.slo import Promises
from jmreport.records import Entry
from jmreport.settings import Slo


class Tallies:
    """By label and time frame, by day, by night and by promise. `keys` are the labels counted."""

    def __init__(
        self,
        keys: Sequence[str],
        covered: datetime,
        nights: Nights,
        calendar: Calendar,
        slos: Sequence[Slo],
    ) -> None:
        """`covered` is since when everything was read."""
        self.keys = tuple(keys)
        self.frames = Frames(keys, nights.now, covered)
        order = self.frames.order
        self.days = DayTally(calendar, order)
        self.promises = Promises(slos, nights.now, order)
        self.ended = Ended(nights, order)
        self.gone = Gone(nights)

    def take(
        self,
        entry: Entry,
        ended: datetime | None,
        *,
        place: int | None,
        gone: bool,
        reported: bool,
        lost: bool,
    ) -> None:
        """One more listed job, behind all others where no place was kept for it.

        `gone` says that the server no longer has it, `reported` that it is one of the report's,
        and `lost` both.
        """
        row = entry.row
        if place is None:
            place = self.frames.take(row, reported=reported, lost=lost)
        else:
            self.frames.take_kept(row, place, reported=reported, lost=lost)
        self.days.take(row, place, ended)
        self.promises.take(row, place, ended)
        self.ended.take(place, ended)
        if gone:
            self.gone.take(entry)


class Gone:
    """Jobs that the server no longer has, and when they were last seen there."""

    def __init__(self, nights: Nights) -> None:
        self._nights = nights
        self.ids: list[str] = []
        self.seen: tuple[datetime, datetime] | None = None

    def take(self, entry: Entry) -> None:
        """One more of them."""
        at = self._nights.seen(entry)
        self.add((entry.row.id,), (at, at))

    def add(self, ids: Sequence[str], seen: tuple[datetime, datetime] | None) -> None:
        """Some more, and when the first and the last of them was last seen."""
        self.ids.extend(ids)
        if seen:
            first, last = self.seen or seen
            self.seen = min(first, seen[0]), max(last, seen[1])

    def jobs(self) -> tuple[str, ...]:
        """Their ids, in order."""
        return tuple(sorted(self.ids))
