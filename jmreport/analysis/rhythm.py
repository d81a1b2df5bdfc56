"""When the next report is due, by when those before it came."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from jmreport.records import Run

#: Times between reports that are looked at, and how many are needed to call them regular.
_LATELY, _LEAST = 10, 4
#: The share of them that are about as long as the one in the middle: of a report each weekday two
#: in ten are longer.
_ALIKE = 0.7
#: How far from it such a one may be, and how late a report may be, both as a part of it.
_ABOUT = 0.25
#: How many times as long as the one in the middle it is over a long weekend.
_WEEKEND = 4


def due(runs: Sequence[Run], now: datetime) -> datetime | None:
    """The time by which another report should have come in the place of this one, made at `now`.

    `runs` are usable ones, oldest first. None where they kept no regular hours, as where somebody
    makes reports by hand, and for those of the built-in server: nobody waits for another one.
    """
    if not runs or runs[-1].asked.built_in:
        return None
    ends = [run.now for run in runs if run.state != "refreshed"]
    gaps = [(after - before).total_seconds() for before, after in pairwise(ends[-1 - _LATELY :])]
    if len(gaps) < _LEAST or min(gaps) <= 0:
        return None
    usual = median(gaps)
    alike = sum(abs(gap - usual) <= usual * _ABOUT for gap in gaps)
    if alike < _ALIKE * len(gaps):
        return None
    # The longest is that of a weekend, or of a night without a report, when nobody is alarmed: not
    # of weeks in which nobody looked after it.
    longest = min(max(gaps), usual * _WEEKEND)
    return now + timedelta(seconds=longest + usual * _ABOUT)
