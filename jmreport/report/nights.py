"""Nights in numbers, those without a report among them."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from jmreport.records import Filters, Measure, run_order
from jmreport.report.counts import ReportCounts, StatusSplit


class NightFlow(Struct, frozen=True, kw_only=True):
    """A workflow in one night: its jobs that ended then, by status, and its keys failing after it.

    `missing` counts its keys that ran on most nights and not on this one, `stuck` its jobs that
    were; None in a night that did not note them.
    """

    name: str
    split: StatusSplit
    failing: int = 0
    missing: int = 0
    stuck: int | None = None


class NightCause(Struct, frozen=True, kw_only=True):
    """A cause in one night: how many keys failed of it, and how many of them were new."""

    id: str
    jobs: int
    new: int = 0

    @property
    def groups(self) -> int:
        """In how many groups of its night it is: what was new stands apart from what was not."""
        return (self.new > 0) + (self.jobs > self.new)


class NightTask(Struct, frozen=True, array_like=True):
    """What a task cost in one night: of all jobs of a workflow that ended in it, as one.

    The tasks of a sub-workflow belong to the workflow of the listed job above it, and are called
    `Sub.Task`.
    """

    workflow: str
    measure: Measure


class NightSummary(Struct, frozen=True, kw_only=True):
    """A night in numbers: what trends, usual values, calendar, grid and strips are made of.

    `run` is the run that ended the night at `now`; `since` is when the run before it was, None for
    the first, whose "night" is its whole window. Counts are those that its own report told.
    `content` is the digest of all that its frozen page shows, "" until that is made; `labels` and
    `nights` are the labels, and the runs of the nights before it, that this leads to. `filters` are
    those of its run, None for a night that did not note them, and `left_out` is how many jobs they
    left out, None where nobody knows.
    """

    run: str
    now: datetime
    since: datetime | None
    complete: bool
    counts: ReportCounts
    split: StatusSplit
    flows: tuple[NightFlow, ...] = ()
    causes: tuple[NightCause, ...] = ()
    content: str = ""
    tasks: tuple[NightTask, ...] = ()
    filters: Filters | None = None
    left_out: int | None = None
    labels: tuple[str, ...] = ()
    nights: tuple[str, ...] = ()

    def asked_otherwise(self, other: "NightSummary") -> bool:
        """Whether two nights are known to have other filters, so that they are of other jobs."""
        return None not in (self.filters, other.filters) and self.filters != other.filters


class FailedNight(Struct, frozen=True, kw_only=True):
    """Runs of one calendar day (2026-11-21) that brought nothing, and no report on it behind them.

    `run` is the first of them, so that one that is tried again keeps its name; `now` and `reason`
    are those of the last of these `runs`.
    """

    run: str
    day: str
    now: datetime
    reason: str = ""
    runs: int = 1


def in_order(
    nights: Iterable[NightSummary], failed: Iterable[FailedNight]
) -> list[NightSummary | FailedNight]:
    """Nights with and without a report as their runs came, oldest first."""
    both: list[NightSummary | FailedNight] = [*nights, *failed]
    return sorted(both, key=lambda night: run_order(night.run))
