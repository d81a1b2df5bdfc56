"""What a dash stands for where a time is lacking: for all tables of lists and of jobs' pages.

Only what there may be is not known. What waits has not started, and what goes on has not ended; of
a job that its server has lost nobody knows whether that still holds.
"""

from msgspec import Struct

from jmreport.calltimes import WAITING_STATUSES
from jmreport.models import ACTIVE_STATUSES

NOT_KNOWN = "not known"


class Lacks(Struct, frozen=True, gc=False):
    """What is heard where a start or an end is lacking; a duration lacks the first of them."""

    start: str = NOT_KNOWN
    end: str = NOT_KNOWN


_UNKNOWN = Lacks()
_WAITS = Lacks("not started", "not ended")
_GOES = Lacks(end="not ended")
_MAY_WAIT = Lacks("no start known", "no end known")
_MAY_GO = Lacks(end="no end known")


def of(status: str | None, *, sure: bool, over: bool = False) -> Lacks:
    """What is lacking of a job, a task, a shard or an attempt, by the word of its server.

    `sure`: what it says still holds. `over`: the job that it belongs to has ended, and with it what
    runs by its own word; when, nobody told. What waits by its word never started.

    >>> of("Running", sure=True).end, of("Running", sure=False).end
    ('not ended', 'no end known')
    >>> of("Running", sure=True, over=True).end, of("Submitted", sure=True, over=True).start
    ('not known', 'not started')
    """
    if status in WAITING_STATUSES:
        return _WAITS if sure else _MAY_WAIT
    if status in ACTIVE_STATUSES and not over:
        return _GOES if sure else _MAY_GO
    return _UNKNOWN
