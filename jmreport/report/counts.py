"""Jobs in numbers: by status, day and workflow, the verdict, and promises that were kept or not."""

from datetime import datetime

from msgspec import Struct, field

from jmreport.records import RETRIED
from jmreport.report.causes import CauseGroup
from jmreport.report.usual import Usual


class Day(Struct, frozen=True, kw_only=True):
    """Jobs of the nights that ended on one calendar day (2026-11-23) of the report's zone.

    `run` is the last report of that day, "" where there was none. `jobs` are the ids of those that
    the three numbers count, by status ("Failed"). `filtered` says that its last report
    had a filter, as all later ones that reach back to it, and `unseen` are those of the three
    statuses that none of these asked for.
    """

    day: str
    run: str = ""
    succeeded: int = 0
    failed: int = 0
    aborted: int = 0
    jobs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
    filtered: bool = False
    #: Whether its runs brought nothing, and there is no report of it for that.
    unreported: bool = False

    @property
    def failure_rate(self) -> float | None:
        """Of the jobs that ended by themselves; None where none did, or where not all were seen."""
        ended = self.failed + self.succeeded
        return self.failed / ended if ended and self.told else None

    @property
    def told(self) -> bool:
        """Whether failed and succeeded jobs were asked for, so that shares say something."""
        return not {"Failed", "Succeeded"}.intersection(self.unseen)


class StatusSplit(Struct, frozen=True, kw_only=True):
    """Jobs by the server's word for their status, but for Retried, which is ours.

    failure rate = failed / (failed + succeeded).
    """

    counts: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        return self.counts.get("Failed", 0)

    @property
    def as_server(self) -> dict[str, int]:
        """The same by the server's own words, to which an attempt that was retried has failed."""
        if RETRIED not in self.counts:
            return self.counts
        found = {word: count for word, count in self.counts.items() if word != RETRIED}
        found["Failed"] = self.failed + self.counts[RETRIED]
        return dict(sorted(found.items()))

    @property
    def failure_rate(self) -> float | None:
        """Of the jobs that ended by themselves; None where none did."""
        ended = self.failed + self.counts.get("Succeeded", 0)
        return self.failed / ended if ended else None


class WorkflowReport(Struct, frozen=True, kw_only=True):
    """A workflow: everything known of it, also from before the window (its page lasts).

    `jobs` are the ids of its last 50 runs, newest first; `split` counts the window's jobs;
    `days` its last 21 days; `usual` as of now.
    """

    name: str
    split: StatusSplit
    jobs: tuple[str, ...]
    days: tuple[Day, ...] = ()
    usual: Usual | None = None
    causes: tuple[CauseGroup, ...] = ()
    failed_tasks: tuple[tuple[str, int], ...] = ()
    #: (ended, seconds, status) of its last finished runs, oldest first, for the duration chart.
    durations: tuple[tuple[datetime, float, str], ...] = ()


class FlowRates(Struct, frozen=True, kw_only=True):
    """A workflow's failure rate (0 to 1) on each of a report's days; None where nobody can say."""

    name: str
    rates: tuple[float | None, ...]


class ReportCounts(Struct, frozen=True, kw_only=True):
    """The verdict in numbers: keys, except stuck, unjudged, hidden, running, unknown and total,
    which are jobs.

    `not_run` are some of `still_failing`: nothing of them ran in this night. `lapsed` failed in the
    report before, and did not run for so long that nobody can say how they stand. `unjudged` run
    for long, and no baseline says whether they are stuck. `hidden` failed, and a success of other
    work with the same identity labels hides them. `maybe_missing` would be missing, and a job of
    their workflow may be theirs that could not be read. Nights that did not note them have 0.
    """

    new: int = 0
    still_failing: int = 0
    fixed: int = 0
    failing: int = 0
    missing: int = 0
    stuck: int = 0
    running: int = 0
    unknown: int = 0
    total: int = 0
    not_run: int = 0
    lapsed: int = 0
    unjudged: int = 0
    hidden: int = 0
    maybe_missing: int = 0


class SloReport(Struct, frozen=True, kw_only=True):
    """A promise for one value of a label, over the last `days`: `failed` jobs did not succeed.

    `jobs` are the ids of those, newest first; a night does not keep them. `whole` is False where
    less was read than the promise looks back, and `told` where a filter may have left out some of
    these jobs: then nobody can say whether it is kept.
    """

    key: str
    value: str
    target: float
    days: int
    succeeded: int
    failed: int
    jobs: tuple[str, ...] = ()
    whole: bool = True
    told: bool = True

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed

    @property
    def rate(self) -> float | None:
        """The share that succeeded; None where nothing ended, or nobody can say."""
        return self.succeeded / self.ended if self.ended and self.told else None

    @property
    def allowed(self) -> float:
        """How many of the jobs that ended may fail: 5 in 100 for a promise of 95 %."""
        return (1 - self.target) * self.ended

    @property
    def left(self) -> float:
        """What is left of the budget, from 1 (nothing failed) through 0 (used up) to below it."""
        if not self.failed:
            return 1.0
        # Rounded, for 5 of 5 allowed failures are all of them, whatever (1 - 0.95) * 100 is.
        return round(1 - self.failed / self.allowed, 9) if self.allowed else float("-inf")

    @property
    def broken(self) -> bool:
        """Whether fewer succeeded than were promised."""
        return self.rate is not None and self.rate < self.target

    @property
    def order(self) -> tuple[int, float, str, str]:
        """Broken ones first, then those that are kept, and at last those of which nothing ended."""
        rank = 2 if self.rate is None else 1 - self.broken
        return rank, self.left, self.key, self.value
