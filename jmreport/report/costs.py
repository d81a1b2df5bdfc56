"""What attempts came to, and tasks that took longer than they do."""

from datetime import datetime

from msgspec import Struct

from jmreport.records import Spent
from jmreport.report.usual import Range


class SlowerTask(Struct, frozen=True, kw_only=True):
    """A task that took much longer tonight than it usually does; both medians in seconds.

    `usual` is of the last 14 nights without those in which it was slower already: `usual_attempts`
    over `nights` nights. `since` is the now of the first of the slower nights up to tonight,
    `since_run` its run. `jobs` are the ids of tonight's listed jobs in which it ran, `ran_in` of
    them; a night does not keep them.
    """

    workflow: str
    task: str
    tonight: float
    usual: float
    attempts: int
    usual_attempts: int
    nights: int
    since: datetime
    since_run: str
    ran_in: int = 0
    jobs: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        return self.tonight / self.usual if self.usual else float("inf")


class Cost(Struct, frozen=True, kw_only=True):
    """What attempts came to. `jobs` are the listed jobs in which some led to no success.

    `lost_money` is what those hours cost, None where no price is known of any of them; `unpriced`
    says that some have none. `untimed` are those lost attempts of which no time is known, and
    `unread` is of how many jobs attempts could not be read.
    """

    attempts: int = 0
    retried: int = 0
    preempted: int = 0
    failed: int = 0
    aborted: int = 0
    untimed: int = 0
    spent: Spent = Spent()
    jobs: tuple[str, ...] = ()
    lost_money: float | None = None
    unpriced: bool = False
    unread: int = 0

    @property
    def lost(self) -> int:
        """Attempts that led to no success."""
        return self.retried + self.preempted + self.failed + self.aborted


class TaskCost(Struct, frozen=True, kw_only=True):
    """What a task of a workflow came to; `task` is "" for a job without tasks."""

    workflow: str
    task: str
    cost: Cost


class LabelCost(Struct, frozen=True, kw_only=True):
    """What the jobs with each value of a label came to; None are those without it."""

    key: str
    title: str
    values: tuple[tuple[str | None, Cost], ...]


class Waste(Struct, frozen=True, kw_only=True):
    """Hours in attempts that led to no success: of the report's jobs and all below them.

    Only what was lost is listed, the most first; of workflows behind them those of which something
    could not be read. `unmeasured` are listed jobs that ended and could
    not be read, themselves or a sub-workflow of theirs; the total's `unread` is their number, and
    tonight's of those that ended then. `tonight` is the newest night alone, and `usual` what such
    a night loses, in seconds.
    """

    total: Cost
    tonight: Cost
    usual: Range | None = None
    tasks: tuple[TaskCost, ...] = ()
    workflows: tuple[tuple[str, Cost], ...] = ()
    labels: tuple[LabelCost, ...] = ()
    unmeasured: tuple[str, ...] = ()
