"""jmreport's own nouns: what travels from the collectors through the store to the pages.

    list row + detail + attempts  ->  Record  ->  JobRow  ->  Report, pages
                                      (stored)    (indexed)

A Record is what is stored of a job: JSON trees as a server sent them, secrets taken out. A JobRow
is what counts, lists and charts need of it, small enough that a hundred thousand fit in memory.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from jmreport.gaps import Gap
from jmreport.models import TERMINAL_STATUSES, TimeFrame

#: Where the API lies below a server's address, unless the address says it already.
API_PREFIX = "/api/v1"
#: The snapshots' format; a newer one is refused, an older one is read.
SNAPSHOT_FORMAT = 1
#: Characters of the name of a workflow, or of a task, where another job tells of it.
LONGEST_NAME = 120

#: What an attempt counts as that failed and was followed by another one.
RETRIED = "Retried"

FRAME_LENGTHS: dict[TimeFrame, timedelta | None] = {
    "HOURS_1": timedelta(hours=1),
    "HOURS_8": timedelta(hours=8),
    "HOURS_24": timedelta(hours=24),
    "DAYS_7": timedelta(days=7),
    "DAYS_30": timedelta(days=30),
    "ALL_TIME": None,
}


#: What a server's empty date says: year 1, or 1970 with a zone's hours before or behind it.
_CLOCKS_BEGIN = datetime(1970, 1, 3, tzinfo=UTC)


def moment(text: object) -> datetime | None:
    """The instant a server's date-time names, in UTC; None where there is none to be read.

    A naive date is read as UTC (the quality page says how many there were). Where the clocks of
    programs begin is no time at which a job did anything: it is a date that was not filled in.

    >>> moment("2026-11-23T17:11:43.638000+00:00").isoformat()
    '2026-11-23T17:11:43.638000+00:00'
    >>> moment("2026-11-23T17:11:43").isoformat()
    '2026-11-23T17:11:43+00:00'
    >>> moment("yesterday") is moment("1970-01-01T00:00:00Z") is moment("0001-01-01T00:00:00Z")
    True
    """
    return instant(text) if isinstance(text, str) else None


@lru_cache(maxsize=4096)  # a job's page asks for most of its dates three times
def instant(text: str | None) -> datetime | None:
    """The same of what is known to be text, or not there."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
        if read.tzinfo is not UTC:
            read = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if read < _CLOCKS_BEGIN else read


def utc_text(at: datetime) -> str:
    """A date-time as requests need it: in UTC with a Z, since both shims drop the offset.

    >>> utc_text(datetime(2026, 11, 23, 2, 14, tzinfo=UTC))
    '2026-11-23T02:14:00Z'
    """
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    style = "milliseconds" if at.microsecond else "seconds"
    return at.isoformat(timespec=style)[: -len("+00:00")] + "Z"


def is_terminal(status: str) -> bool:
    """Whether a job of this status will not change any more; an unknown word may still change."""
    return status in TERMINAL_STATUSES


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is stored of a job: one line of jobs-NNNN.jsonl.zst.

        {"id": "…", "row": {…}, "detail": {…}, "attempts": {"AlignBwa": {"attempts": […]}}}

    `row` is the list row as received (None for a sub-workflow, which no list names), `detail` the
    body of GET /jobs/{id} (None when it could not be read: then `gaps` says why). `attempts` maps a
    task's name to the body of its attempts, `shard_attempts` a task's name to index -> body, `logs`
    a log's gs:// address to the body of tailFile, `operations` an operation's id to the body of
    operationDetails. `taken_out` counts the secrets that were replaced before it was stored.
    `notes` say what was left out on purpose or is not offered, which is no gap: `what` as in a gap,
    or "logs", "operations" and "attempts" for all of a kind.
    `detail_from` is set by the store where this run could not read the detail and an older one is
    kept: the run that read it ("" where row and detail are of one run). The row is then the newer.
    """

    id: str
    row: Any = None
    detail: Any = None
    parent: str | None = None
    attempts: dict[str, Any] = field(default_factory=dict)
    shard_attempts: dict[str, dict[str, Any]] = field(default_factory=dict)
    logs: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, Any] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    notes: tuple[Gap, ...] = ()
    taken_out: int = 0
    detail_from: str = ""


class Failure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The failure that says most about why a job failed: its deepest message, cut for lists.

    `cause` is the message with its varying parts replaced, kept only where the cut would change it.
    """

    message: str
    task: str | None = None
    shard: int | None = None
    cause: str = ""


class TaskSpan(Struct, frozen=True, array_like=True, omit_defaults=True, gc=False):
    """A task of a sub-workflow as the diagram of the job above it draws it; times as believed."""

    name: str
    status: str
    start: datetime | None = None
    end: datetime | None = None


class Spent(Struct, frozen=True, array_like=True, gc=False):
    """Seconds of attempts that ended, by what became of them.

    `retried` failed and were followed by another attempt, `failed` were the last of their call;
    `unknown` ended in a word of the server that tells no outcome.
    """

    succeeded: float = 0.0
    preempted: float = 0.0
    retried: float = 0.0
    failed: float = 0.0
    aborted: float = 0.0
    unknown: float = 0.0

    @property
    def lost(self) -> float:
        """Those that led to no success."""
        return self.preempted + self.retried + self.failed + self.aborted

    @property
    def total(self) -> float:
        return self.succeeded + self.lost + self.unknown

    @property
    def share(self) -> float | None:
        """The part that was lost, from 0 to 1; None where nothing was spent."""
        return min(self.lost / self.total, 1.0) if self.total > 0 else None


class Sketch(Struct, frozen=True, array_like=True):
    """How long things took: how many, and at most 21 evenly spaced quantiles, in seconds.

    The first is the shortest and the last the longest; where there are no more than 21, all of
    them are there.
    """

    count: int = 0
    at: tuple[float, ...] = ()


class Measure(Struct, frozen=True, array_like=True):
    """What one task of a job cost. Each attempt is counted once, however it was told of.

    `task` is "" for a job of a server that knows no tasks: it is its own attempt. `calls` counts
    shards, `retried`, `preempted`, `failed` and `aborted` attempts as in Spent. `took` are the
    attempts that succeeded, without those from the cache; `untimed` those that led to no success
    and of which no time is known. Calls of sub-workflows are not here: the tasks of their own
    records are.
    """

    task: str
    calls: int = 0
    attempts: int = 0
    retried: int = 0
    preempted: int = 0
    failed: int = 0
    aborted: int = 0
    cached: int = 0
    spent: Spent = Spent()
    took: Sketch = Sketch()
    untimed: int = 0

    @property
    def lost(self) -> int:
        """Attempts that led to no success."""
        return self.retried + self.preempted + self.failed + self.aborted


class JobRow(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What lists, counts and charts need of a job. Times in UTC; None is "not known".

    `name` is the workflow's name, "" where the server sent none. `start` is None for a job that has
    not started (the Cromwell shim invents one). `labels` holds scalars as text. `key` tells runs of
    the same work apart from other work: a digest of the inputs. `readable` is False when the detail
    could not be read; `listed` is False for sub-workflows, which no list names.
    """

    id: str
    name: str
    status: str
    submission: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    labels: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    parent: str | None = None
    children: tuple[str, ...] = ()
    key: str = ""
    failure: Failure | None = None
    failed_tasks: tuple[str, ...] = ()
    #: Where its failure is of no task of its own: the sub-workflows that may say more, 3 at most.
    blames: tuple[str, ...] = ()
    tasks: int = 0
    shards: int = 0
    retries: int = 0
    preempted: int = 0
    cached: int = 0
    readable: bool = True
    listed: bool = True
    #: The server's own answers for columns it names and no other field here holds.
    extra: dict[str, str] = field(default_factory=dict)
    unknown_fields: tuple[str, ...] = ()
    #: Words for the status of its tasks, shards and attempts that the API does not name.
    unknown_words: tuple[str, ...] = ()
    odd_dates: int = 0
    #: What a running job is doing: a task's name, or the backend's last event.
    where: str = ""
    gaps: tuple[Gap, ...] = ()
    #: Of a sub-workflow: its tasks, failed ones first where there are too many.
    spans: tuple[TaskSpan, ...] = ()
    #: Of an attempt of dsub that failed: the one that followed it. Told where a row is read.
    retried_by: str = ""

    @property
    def counts_as(self) -> str:
        """The status that it is counted and listed by: the server's word, or RETRIED."""
        return RETRIED if self.retried_by else self.status

    @property
    def active(self) -> bool:
        """Whether the job may still change."""
        return self.status not in TERMINAL_STATUSES

    @property
    def is_silent(self) -> bool:
        """Whether it may still change for all that is known, and its server said nothing of it when
        it was asked last: it may be there all the same."""
        return self.active and any(gap.is_silence for gap in self.gaps)

    @property
    def is_gone(self) -> bool:
        """Whether it may still change for all that is known, and its server said, when it was asked
        for last, that there is no such job."""
        return self.active and any(gap.is_refusal for gap in self.gaps)

    @property
    def unread(self) -> bool:
        """Whether no detail tells of it as it stands: one that does not fit the API was read all
        the same, and so was one of an earlier run where the job had ended by then."""
        return not self.readable and not any(gap.is_misfit for gap in self.gaps)

    @property
    def archived(self) -> bool:
        return self.labels.get("flag") == "archive"

    @property
    def took(self) -> timedelta | None:
        """From start to end; None where one is unknown, or the end lies before the start."""
        start, end = self.start, self.end
        if start is None or end is None or end < start:
            return None
        return end - start


def name_below(row: JobRow, task: str) -> str:
    """What a task of a sub-workflow is called among those of the job above: "Aligning.Sort"."""
    return f"{row.name[:LONGEST_NAME]}.{task}" if row.name else task


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """A job as the index knows it: its row, where its newest record lies, and what came of it.

    `run` wrote the newest record; `digest` is that record's content. `first_run` saw it first,
    `last_run` was the last to find it on the server. `row_digest` is the list row's content, by
    which an unchanged finished job is recognised. `told_run` is the run since which its outcome is
    known as it stands now, which is later than `first_run` for a job that still ran, or could not
    be read, when it was seen first. `ended_run` is the first that found it ended, of a job that an
    earlier run had found active; "" for others.
    """

    row: JobRow
    run: str
    shard: str
    line: int
    digest: str
    row_digest: str
    first_run: str
    last_run: str
    told_run: str = ""
    ended_run: str = ""


Offer = Literal["offered", "not offered", "not asked"]


class Operation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one operation of the API fared in a run: shown on the quality page."""

    name: str
    offer: Offer = "not asked"
    why: str = ""
    requests: int = 0
    failed: int = 0
    seconds: float = 0.0


class Filters(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which jobs are wanted; sent to the server where it honours them, applied here always."""

    status: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    name: str | None = None
    job_id: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    submission: datetime | None = None
    hide_archived: bool = False

    @property
    def hides_failures(self) -> bool:
        """Whether no job that failed comes through, so that their absence says nothing."""
        return bool(self.status) and "Failed" not in self.status

    @property
    def narrows(self) -> bool:
        """Whether jobs may be left out: a project is whom one asks."""
        return replace(self, project_id=None) != Filters()

    def shows(self, labels: Mapping[str, str], *statuses: str) -> bool:
        """Whether every job with these labels comes through, of whatever time: of any status, or as
        long as it has one of these."""
        if self.status and not (statuses and {*statuses} <= {*self.status}):
            return False
        if self.name or self.job_id or self.user_id or self.start or self.end:
            return False
        # Anybody may archive any job: only its flag says that it is not.
        if self.hide_archived and labels.get("flag", "archive") == "archive":
            return False
        return all(labels.get(key) == value for key, value in self.labels.items())

    @property
    def tells_rates(self) -> bool:
        """Whether failed and succeeded jobs both come through, so that shares say something."""
        return not self.status or {"Failed", "Succeeded"} <= {*self.status}


@lru_cache(maxsize=256)
def plain_address(server: str) -> str:
    """A server's address as it is compared (`Asked.address`); the built-in server's name as it is.

    The client finds the API below an address with or without /api/v1.
    """
    scheme, there, rest = server.strip().partition("://")
    path = rest.rstrip("/").removesuffix(API_PREFIX).rstrip("/")
    host, slash, below = path.partition("/")
    return (
        f"{scheme.lower()}://{host.rpartition('@')[2].lower()}{slash}{below}" if there else server
    )


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run asked for: of whom, which window (by submission), which jobs.

    `in_file` says that `jmreport.toml` names the server, so that other commands know it too.
    """

    server: str
    timeframe: TimeFrame
    since: datetime | None = None
    filters: Filters = field(default_factory=Filters)
    in_file: bool = False

    @property
    def address(self) -> str:
        """The server's address as it is compared, so that one server stays one however it is
        written: nothing in it may be left out, or says who asks.

        >>> Asked(server="https://Ana@Jobs.example.org/api/v1/", timeframe="DAYS_7").address
        'https://jobs.example.org'
        """
        return plain_address(self.server)

    @property
    def built_in(self) -> bool:
        """Whether it was the built-in server, which has a name and no address."""
        return "://" not in self.server


class Counts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of it. listed = stored + unchanged + unreadable-and-never-read-before.

    `by_server` is the largest number of jobs that the server counted for what was asked, None where
    it counts none (dsub). `cut` says of how many stored jobs a setting of `[collect]` left
    something out, by its name. `left_out` are jobs of the list that the filters let not through,
    None where nobody can know: the server applied one of them, or there is none.
    """

    listed: int = 0
    fetched: int = 0
    unchanged: int = 0
    followed: int = 0
    sub_workflows: int = 0
    unreadable: int = 0
    stored: int = 0
    requests: int = 0
    taken_out: int = 0
    by_server: int | None = None
    left_out: int | None = None
    cut: dict[str, int] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """Jobs that were asked for and came."""
        return max(self.fetched - self.unreadable, 0)


RunState = Literal["complete", "incomplete", "failed", "interrupted", "refreshed"]


class Run(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run: run.json. Written last; a run directory without it was interrupted.

    `failed` runs brought nothing usable: `reason` says why, and no page is made from them.
    A `pruned` one is gone but for what later runs lean on: no night is told of it any more.
    `refreshed` ones read a few jobs again: what they read counts, and they make no night.
    """

    id: str
    now: datetime
    state: RunState
    asked: Asked
    format: int = SNAPSHOT_FORMAT
    version: str = ""
    reason: str = ""
    capabilities: Any = None
    health: str = ""
    #: What answers about no job hold that the API does not name: path -> value.
    own_fields: dict[str, Any] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()
    counts: Counts = field(default_factory=Counts)
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    pruned: bool = False

    @property
    def usable(self) -> bool:
        """Whether pages may be made from it."""
        return self.state in ("complete", "incomplete")

    @property
    def brought_nothing(self) -> bool:
        """Whether it should have made a report and made none: it failed, or was stopped."""
        return self.state in ("failed", "interrupted")

    @property
    def whole_list(self) -> bool:
        """Whether every page of the list came: else that a job is not in it says nothing."""
        return not any(gap.kind == "list" for gap in self.gaps)


def newest_usable(runs: Sequence[Run]) -> Run | None:
    """The last of these runs, oldest first, that pages may be made from; None where none may."""
    return next((run for run in reversed(runs) if run.usable), None)


def run_id(now: datetime) -> str:
    """The name of a run's directory: its now, sortable.

    >>> run_id(datetime(2026, 11, 23, 2, 14, tzinfo=UTC))
    '20261123T021400Z'
    """
    return now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def run_order(run: str) -> tuple[str, int]:
    """What runs are sorted by: 20261123T021400Z comes before 20261123T021400Z-0002."""
    stamp, _, turn = run.partition("-")
    return stamp, int(turn) if turn.isdigit() else 1
