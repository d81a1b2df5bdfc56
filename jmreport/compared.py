"""The difference of two runs: what `jmreport diff A B` tells as text, as data and as a page.

    before: run A, as it was known then  --+
                                           +--> Difference
    after:  run B, as it was known then  --+

Both sides are told from the snapshots as they were after each run, so a job that the server changed
or forgot later changes nothing.
"""

from datetime import datetime

from msgspec import Struct

from jmreport.records import Filters
from jmreport.report.causes import CauseClass
from jmreport.report.counts import StatusSplit


class Side(Struct, frozen=True, kw_only=True):
    """One of the two runs, and the night that it ended: `since` is None where that is its window.

    `unknown` counts jobs of which nobody could say then how they ended. `filters` are those that it
    asked with, None where there were none, or nobody noted them.
    """

    run: str
    now: datetime
    since: datetime | None
    complete: bool
    failing: int
    unknown: int
    ended: StatusSplit
    filters: Filters | None = None


class DiffJob(Struct, frozen=True, kw_only=True):
    """A key, by its newest job that tells. `since` is when its failures began."""

    id: str
    workflow: str
    short_id: str
    status: str
    since: datetime | None = None
    last_success: datetime | None = None


class CauseDifference(Struct, frozen=True, kw_only=True):
    """A cause, and how many keys failed of it on both sides."""

    id: str
    title: str
    cause_class: CauseClass
    before: int
    after: int


class FlowDifference(Struct, frozen=True, kw_only=True):
    """A workflow: its jobs that ended in both nights, and how long the successful ones took.

    Medians are in seconds, None where no job succeeded in the night.
    """

    name: str
    before: StatusSplit
    after: StatusSplit
    took_before: float | None = None
    took_after: float | None = None


class TaskDifference(Struct, frozen=True, kw_only=True):
    """A task that took much longer on one side, by the rule of slower tasks: medians in seconds.

    Of attempts that succeeded in each night, without those from the cache.
    """

    workflow: str
    task: str
    before: float
    after: float
    attempts_before: int
    attempts_after: int

    @property
    def slower(self) -> bool:
        return self.after > self.before


class Difference(Struct, frozen=True, kw_only=True):
    """What differs between two runs, key by key; jobs are sorted by workflow and id.

    `new`, `fixed` and `still_failing` are keys by their state on both sides. `lapsed` failed on the
    first side and have no state on the second: nobody can say that they are mended. `not_run` are
    keys that ran in the first night and not in the second, `first_seen` are those that the first
    side did not know; both may be counted as failing, too. `unknown` are jobs that the second side
    could not read or tell.
    """

    before: Side
    after: Side
    new: tuple[DiffJob, ...] = ()
    fixed: tuple[DiffJob, ...] = ()
    still_failing: tuple[DiffJob, ...] = ()
    lapsed: tuple[DiffJob, ...] = ()
    not_run: tuple[DiffJob, ...] = ()
    first_seen: tuple[DiffJob, ...] = ()
    unknown: tuple[DiffJob, ...] = ()
    causes: tuple[CauseDifference, ...] = ()
    flows: tuple[FlowDifference, ...] = ()
    #: Slower ones first, then those that became faster; the largest ratio first.
    tasks: tuple[TaskDifference, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether nothing differs: the same keys in the same states, the same jobs."""
        keys = (self.new, self.fixed, self.lapsed, self.not_run, self.first_seen)
        return (
            not any(keys)
            and all(cause.before == cause.after for cause in self.causes)
            and all(
                (flow.before, flow.took_before) == (flow.after, flow.took_after)
                for flow in self.flows
            )
        )
