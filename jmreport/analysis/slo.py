"""Promises kept: of the jobs with a label that ended, how many succeeded, and what may still fail.

A promise of 95 % over 28 days lets 5 in 100 fail: that is its budget. Jobs that were aborted, and
those of which nobody knows how they ended, count on neither side.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from jmreport.analysis.keys import Verdict, verdict
from jmreport.placed import Order
from jmreport.records import Filters, JobRow
from jmreport.report.counts import SloReport
from jmreport.settings import Slo


class Outcome(NamedTuple):
    """How a job ended, by its place."""

    ended: datetime
    place: int
    value: str
    good: bool


class Promises:
    """What became of promises, told while jobs stream by."""

    def __init__(self, slos: Sequence[Slo], now: datetime, order: Order) -> None:
        self._now = now
        self._kept = [_Kept(slo, now, order) for slo in slos]

    def take(self, row: JobRow, place: int, ended: datetime | None) -> None:
        """One more listed job, by its place; `ended` is None for one that has not."""
        if not self._kept or ended is None or ended > self._now or (told := verdict(row)) is None:
            return
        for kept in self._kept:
            kept.take(row, place, ended, told)

    def settle(self, row: JobRow, place: int, ended: datetime | None) -> None:
        """The same of a job that settled: it is told of as long as a promise looks back so far."""
        if self._kept and ended is not None and (told := verdict(row)) is not None:
            for kept in self._kept:
                kept.settle(row, place, ended, told)

    def kept(self) -> list[list[Outcome]]:
        """What was settled of each promise, to go on with."""
        return [kept.lately() for kept in self._kept]

    def restore(self, settled: Sequence[Sequence[Outcome]]) -> None:
        """Goes on with that; there is nothing where no job has settled yet."""
        for kept, outcomes in zip(self._kept, settled, strict=bool(settled)):
            kept.settled += outcomes

    def reports(
        self, covered: datetime, *, reached: datetime, filters: Filters
    ) -> tuple[SloReport, ...]:
        """A report for each promise and value, by the settings; those broken most first.

        `covered` is since when every job is known: a promise that looks back further says so.
        `reached` is since when runs read anything at all, and `filters` are those of the newest:
        what they left out may have been kept or broken.
        """
        return tuple(
            each for kept in self._kept for each in kept.reports(covered, reached, filters)
        )


class _Kept:
    """One promise: for each value of its label, how many succeeded and which failed."""

    def __init__(self, slo: Slo, now: datetime, order: Order) -> None:
        self._slo, self._order = slo, order
        self._key, self._equals, self._wanted = slo.label.partition("=")
        self._since = now - timedelta(days=slo.days)
        self._good: Counter[str] = Counter()
        #: Value -> places.
        self._bad: defaultdict[str, list[int]] = defaultdict(list)
        #: Those of jobs that settled, in the order of their places, all before others.
        self.settled: list[Outcome] = []

    def _value(self, row: JobRow, ended: datetime) -> str | None:
        value = row.labels.get(self._key)
        if (self._equals and value != self._wanted) or ended <= self._since:
            return None
        return value

    def settle(self, row: JobRow, place: int, ended: datetime, told: Verdict) -> None:
        if (value := self._value(row, ended)) is not None:
            self.settled.append(Outcome(ended, place, value, told == "Succeeded"))

    def lately(self) -> list[Outcome]:
        return [one for one in self.settled if one.ended > self._since]

    def take(self, row: JobRow, place: int, ended: datetime, told: Verdict) -> None:
        value = self._value(row, ended)
        if value is None:
            return
        if told == "Succeeded":
            self._good[value] += 1
        else:
            self._bad[value].append(place)

    def reports(self, covered: datetime, reached: datetime, filters: Filters) -> list[SloReport]:
        whole = covered <= self._since
        # Who hides archived jobs promises nothing of them: else no promise could ever be told.
        filters = replace(filters, hide_archived=False)
        settled = self.lately()
        good = self._good + Counter(one.value for one in settled if one.good)
        bad: defaultdict[str, list[int]] = defaultdict(list)
        for one in settled:
            if not one.good:
                bad[one.value].append(one.place)
        for value, places in self._bad.items():
            bad[value] += places
        values = sorted({*good, *bad})
        if self._equals and not values:
            values = [self._wanted]
        reports = [
            SloReport(
                key=self._key,
                value=value,
                target=self._slo.share,
                days=self._slo.days,
                succeeded=good[value],
                failed=len(bad[value]),
                jobs=tuple(self._order.ids[at] for at in sorted(bad[value], reverse=True)),
                whole=whole,
                told=(whole or reached >= covered)
                and filters.shows({self._key: value}, "Succeeded", "Failed"),
            )
            for value in values
        ]
        return sorted(reports, key=lambda report: (report.left, report.value))
