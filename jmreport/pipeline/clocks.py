"""How far a clock is believed by what takes things away unattended."""

from collections.abc import Sequence
from datetime import datetime

from jmreport.records import Run

#: So many runs in a row must have told a time: a clock that is wrong over a weekend is put right.
PROOF = 3


def proven(runs: Sequence[Run], now: datetime) -> datetime:
    """The instant that has come for certain: the earliest of the last runs before the newest.

    A clock that leaps ahead by a year makes every run look old. One that is set back only makes
    things stay for some runs longer. `now` where no run tells.
    """
    return min((now, *(run.now for run in runs[-1 - PROOF : -1])))
