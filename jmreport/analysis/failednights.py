"""Nights that brought no report: runs that failed or were stopped, by the days that lack one."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from itertools import groupby

from msgspec.structs import replace

from jmreport.records import Run
from jmreport.report.counts import Day
from jmreport.report.nights import FailedNight


def failed_nights(
    runs: Iterable[Run], zone: tzinfo
) -> tuple[tuple[FailedNight, ...], dict[str, int]]:
    """The nights that brought no report, oldest first; and how often others were tried in vain.

    Runs that failed are told of as one night where they are of one calendar day of the zone, and
    as none where a usable run follows on that day: then they were tries of its own night. A usable
    run stands between the nights before and behind it. Those that were pruned are gone.
    """
    failed, tries = list[FailedNight](), dict[str, int]()
    waiting = list[Run]()
    for run in runs:
        if run.pruned:
            continue
        if run.brought_nothing:
            waiting.append(run)
        elif run.usable:
            today = _day(run, zone)
            others = [each for each in waiting if _day(each, zone) != today]
            if others != waiting:
                tries[run.id] = len(waiting) - len(others)
            failed += _nights(others, zone)
            waiting = []
    return (*failed, *_nights(waiting, zone)), tries


def _nights(runs: Sequence[Run], zone: tzinfo) -> Iterator[FailedNight]:
    """Runs between two reports, each day's as one night."""
    for day, of_day in groupby(runs, lambda run: _day(run, zone)):
        first, *others = of_day
        last = others[-1] if others else first
        yield FailedNight(
            run=first.id,
            day=day,
            now=last.now,
            reason=last.reason,
            runs=1 + len(others),
        )


def _day(run: Run, zone: tzinfo) -> str:
    return run.now.astimezone(zone).date().isoformat()


def marked(days: Sequence[Day], failed: Iterable[FailedNight]) -> tuple[Day, ...]:
    """The days, those marked that have no report because their runs failed."""
    without = {night.day for night in failed}
    return tuple(
        replace(day, unreported=True) if not day.run and day.day in without else day for day in days
    )
