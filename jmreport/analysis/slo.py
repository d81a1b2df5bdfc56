"""Promises kept: of the jobs with a label that ended, how many succeeded, and what may still fail.

A promise of 95 % over 28 days lets 5 in 100 fail: that is its budget. Jobs that were aborted, and
those of which nobody knows how they ended, count on neither side.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from jmreport.analysis.nights import Nights, verdict
from jmreport.records import Entry
from jmreport.report import SloReport
from jmreport.settings import Slo


def promises(
    slos: Sequence[Slo], entries: Iterable[Entry], nights: Nights, *, covered: datetime
) -> tuple[SloReport, ...]:
    """A report for each promise and value, in the order of the settings; those broken most first.

    `covered` is since when every job is known: a promise that looks back further says so.
    """
    ended = [(at, entry) for entry in entries if entry.row.listed and (at := nights.ended(entry))]
    return tuple(report for slo in slos for report in _reports(slo, ended, nights, covered))


def _reports(
    slo: Slo, ended: Sequence[tuple[datetime, Entry]], nights: Nights, covered: datetime
) -> list[SloReport]:
    key, equals, wanted = slo.label.partition("=")
    since = nights.now - timedelta(days=slo.days)
    good: defaultdict[str, list[str]] = defaultdict(list)
    bad: defaultdict[str, list[str]] = defaultdict(list)
    for at, entry in ended:
        value = entry.row.labels.get(key)
        if value is None or (equals and value != wanted) or not since < at <= nights.now:
            continue
        told = verdict(entry.row)
        if told is not None:
            (good if told == "Succeeded" else bad)[value].append(entry.row.id)
    values = sorted({*good, *bad})
    if equals and not values:
        values = [wanted]
    reports = [
        _report(slo, key, value, good[value], bad[value], whole=covered <= since)
        for value in values
    ]
    return sorted(reports, key=lambda report: (report.left, report.value))


def _report(
    slo: Slo, key: str, value: str, good: Sequence[str], bad: Sequence[str], *, whole: bool
) -> SloReport:
    return SloReport(
        key=key,
        value=value,
        target=slo.share,
        days=slo.days,
        succeeded=len(good),
        failed=tuple(bad),
        whole=whole,
    )
