"""What is told of single jobs beside their records."""

from datetime import datetime, timedelta

from msgspec import Struct

from jmreport.records import Entry, JobRow
from jmreport.report.causes import CauseClass
from jmreport.report.usual import Usual


class JobHistory(Struct, frozen=True, kw_only=True):
    """What the same work did before a finished job, as of its end.

    `failures` counts failures in a row up to this job, itself included, the first of them at
    `since`; 0 for a success, of which `mended` says how many failures in a row came before.
    `last_success` and `before` are jobs: the last that succeeded, and the run before this one.
    `flips` of `runs` are those of a flaky key, 0 where it was not.
    """

    failures: int = 0
    since: datetime | None = None
    mended: int = 0
    last_success: str = ""
    last_success_at: datetime | None = None
    before: str = ""
    flips: int = 0
    runs: int = 0


class Attempt(Struct, frozen=True, kw_only=True, gc=False):
    """A job that is one of several attempts of a task: its number, and the server's status."""

    id: str
    number: int
    status: str


class Attempts(Struct, frozen=True, kw_only=True):
    """The last attempts of a task that are known, at most 50, and a page's own; and how many more
    there are. None of a task that was tried once."""

    named: tuple[Attempt, ...] = ()
    others: int = 0


class Sibling(Struct, frozen=True, kw_only=True, gc=False):
    """A task of an array, by its last known attempt; so many were made of it."""

    id: str
    task: str
    attempts: int
    status: str
    start: datetime | None = None
    seconds: float | None = None
    message: str = ""


class Array(Struct, frozen=True, kw_only=True):
    """The tasks that were submitted together: how many are known, by the status of the last
    attempt of each, and some of them: failed ones first, at most 20."""

    tasks: int
    counts: dict[str, int]
    shown: tuple[Sibling, ...]


class BlamedBelow(Struct, frozen=True, kw_only=True):
    """A sub-workflow that could not be read, and that a job `above` may have failed in.

    `row` is None for one without a record.
    """

    id: str
    above: str
    row: JobRow | None = None


class JobContext(Struct, frozen=True, kw_only=True):
    """What a job's page shows beside its record: only what belongs to the job.

    `usual` is as of the job's own end and of the run that recorded it, so that it never changes
    afterwards; `last_seen` is set only once the server no longer lists or knows the job, and
    `silent` says that it did not answer for it then, so that it may know it all the same. `parent`
    is its row where known; `children` are the rows of its sub-workflows (unknown ones are absent).
    `cause` is the id of the cause that it counts for, `cause_class` the class of what it failed of,
    be it an attempt that was retried. `history` is None
    for a job that has not ended, or whose work nobody can recognise. `active_for` is how long a job
    that has not ended ran or waited when it was last read, `stuck` whether that is too long,
    and `unjudged` that it is long and nobody can say whether it is, for lack of a baseline.
    """

    entry: Entry
    usual: Usual | None = None
    parent: JobRow | None = None
    children: tuple[JobRow, ...] = ()
    #: The deepest failed sub-workflows below it, where its failure began; at most 30.
    failed_below: tuple[JobRow, ...] = ()
    #: What lies below those and was not read: it may have begun there.
    blamed_below: tuple[BlamedBelow, ...] = ()
    last_seen: datetime | None = None
    silent: bool = False
    cause: str | None = None
    cause_class: CauseClass | None = None
    history: JobHistory | None = None
    #: Of a server where attempts are jobs: those of its task, where it is not the only one; and
    #: the array that it is a task of.
    attempts: Attempts = Attempts()
    array: Array | None = None
    short_id: str = ""
    active_for: timedelta | None = None
    stuck: bool = False
    unjudged: bool = False


class Handed(Struct, frozen=True, kw_only=True):
    """Ids of failed jobs whose work had other labels as the last report told of it.

    `came` are a team's by now and still fail; `went` were its own.
    """

    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.came or self.went)


class StuckJob(Struct, frozen=True, kw_only=True):
    """A job active longer than max(P95 x 1.5, P95 + 1 h) of its workflow, or waiting over 12 h."""

    job: str
    active_for: timedelta
    waiting: bool
    usual: Usual | None = None
    where: str = ""
