"""What was asked, what failed, and what is odd about what came."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Struct

from jmreport.gaps import Gap
from jmreport.records import Operation, Run
from jmreport.report.labels import FrameDifference


class Unrepeated(Struct, frozen=True, kw_only=True):
    """Workflows whose work never comes back by its inputs, and labels by which it does."""

    labels: tuple[str, ...]
    workflows: tuple[str, ...]


class Hidden(Struct, frozen=True, kw_only=True):
    """Jobs that failed, and that a success of other work hides: `labels` make one of both.

    So many of them are `news` of the night: no report before told of them.
    """

    labels: tuple[str, ...]
    jobs: tuple[str, ...]
    news: int = 0


class Hole(NamedTuple):
    """A reason why a report is incomplete, and how often it was met."""

    what: str
    why: str
    times: int


#: Reasons that are told: those that were met most often.
_MOST_HOLES = 5


def holes_of(gaps: Iterable[Gap]) -> tuple[Hole, ...]:
    """The reasons behind gaps, the most frequent first.

    "attempts of AlignBwa" and "attempts of Phase" are one, and so are two logs; what follows a
    reason's first colon names the one thing.
    """
    counted = Counter((_kind(gap), gap.why.split(": ", 1)[0]) for gap in gaps)
    return tuple(Hole(what, why, times) for (what, why), times in counted.most_common(_MOST_HOLES))


def _kind(gap: Gap) -> str:
    return gap.kind if gap.kind in ("attempts", "log", "operation") else gap.what


class Quality(Struct, frozen=True, kw_only=True):
    """What was asked, what failed, and what is odd about what came."""

    run: Run
    operations: tuple[Operation, ...] = ()
    gaps: tuple[Gap, ...] = ()
    #: Listed jobs that could not be read whole, and sub-workflows of the report's jobs.
    unreadable: tuple[str, ...] = ()
    unreadable_below: tuple[str, ...] = ()
    #: The report's jobs that the server no longer has; `gone` are all, also from before its window.
    lost: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    #: When the first and the last of them was last seen on the server.
    gone_seen: tuple[datetime, datetime] | None = None
    unknown_fields: tuple[tuple[str, int], ...] = ()
    #: Path and value of what the server's aggregations hold that the API does not name.
    beyond: tuple[tuple[str, Any], ...] = ()
    unknown_statuses: tuple[tuple[str, int], ...] = ()
    #: The same of tasks, shards and attempts, with the number of jobs that have some.
    unknown_words: tuple[tuple[str, int], ...] = ()
    odd_dates: int = 0
    #: Listed jobs that ended before they started, and those of which a time is over a day behind
    #: the run's.
    backwards: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    #: Runs that brought nothing since the report before this one; those of the last 14 nights.
    failed_runs: tuple[Run, ...] = ()
    failed_lately: tuple[Run, ...] = ()
    differences: tuple[FrameDifference, ...] = ()
    unrepeated: Unrepeated | None = None
