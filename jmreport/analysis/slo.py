"""Promises kept: of the jobs with a label that ended, how many succeeded, and what may still fail.

A promise of 95 % over 28 days lets 5 in 100 fail: that is its budget. Jobs that were aborted, and
those of which nobody knows how they ended, count on neither side.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from jmreport.analysis.nights import Verdict, verdict
from jmreport.records import JobRow
from jmreport.report import SloReport
from jmreport.settings import Slo


class Promises:
    """What became of promises, told while jobs stream by."""

    def __init__(self, slos: Sequence[Slo], now: datetime) -> None:
        self._now = now
        self._kept = [_Kept(slo, now) for slo in slos]

    def take(self, row: JobRow, ended: datetime | None) -> None:
        """One more listed job; `ended` is None for one that has not."""
        if not self._kept or ended is None or ended > self._now or (told := verdict(row)) is None:
            return
        for kept in self._kept:
            kept.take(row, ended, told)

    def reports(self, covered: datetime) -> tuple[SloReport, ...]:
        """A report for each promise and value, by the settings; those broken most first.

        `covered` is since when every job is known: a promise that looks back further says so.
        """
        return tuple(report for kept in self._kept for report in kept.reports(covered))


class _Kept:
    """One promise: for each value of its label, how many succeeded and which failed."""

    def __init__(self, slo: Slo, now: datetime) -> None:
        self._slo = slo
        self._key, self._equals, self._wanted = slo.label.partition("=")
        self._since = now - timedelta(days=slo.days)
        self._good: Counter[str] = Counter()
        self._bad: defaultdict[str, list[str]] = defaultdict(list)

    def take(self, row: JobRow, ended: datetime, told: Verdict) -> None:
        value = row.labels.get(self._key)
        if value is None or (self._equals and value != self._wanted) or ended <= self._since:
            return
        if told == "Succeeded":
            self._good[value] += 1
        else:
            self._bad[value].append(row.id)

    def reports(self, covered: datetime) -> list[SloReport]:
        values = sorted({*self._good, *self._bad})
        if self._equals and not values:
            values = [self._wanted]
        reports = [
            SloReport(
                key=self._key,
                value=value,
                target=self._slo.share,
                days=self._slo.days,
                succeeded=self._good[value],
                failed=tuple(self._bad[value]),
                whole=covered <= self._since,
            )
            for value in values
        ]
        return sorted(reports, key=lambda report: (report.left, report.value))
