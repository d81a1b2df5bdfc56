"""What the analysis found: the values pages, mails and data files are made of.

Numbers and rows only: words are chosen by `render`. Everything here is a pure function of the
snapshots and `now`. Counts always come with the ids of exactly the jobs that they count.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field

from jmreport.models import DisplayField
from jmreport.placed import ByValue, nobody
from jmreport.records import (
    RETRIED,
    Asked,
    Entry,
    Filters,
    Gap,
    JobRow,
    Measure,
    Operation,
    Run,
    Spent,
    run_order,
)


class Usual(Struct, frozen=True, kw_only=True):
    """How long a workflow's successful runs usually take: the last `runs` of them, at most 30."""

    median: timedelta
    p10: timedelta
    p90: timedelta
    p95: timedelta
    longest: timedelta
    runs: int


CauseClass = Literal[
    "preempted",
    "out of memory",
    "disk full",
    "quota",
    "permission",
    "missing input",
    "image",
    "return code",
    "aborted",
    "unknown",
]


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


class JobContext(Struct, frozen=True, kw_only=True):
    """What a job's page shows beside its record: only what belongs to the job.

    `usual` is as of the job's own end and of the run that recorded it, so that it never changes
    afterwards; `last_seen` is set only once the server no longer lists or knows the job. `parent`
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
    last_seen: datetime | None = None
    cause: str | None = None
    cause_class: CauseClass | None = None
    history: JobHistory | None = None
    #: Of a server where attempts are jobs: those of its task, where it is not the only one; and
    #: the array that it is a task of.
    attempts: tuple[Attempt, ...] = ()
    array: Array | None = None
    short_id: str = ""
    active_for: timedelta | None = None
    stuck: bool = False
    unjudged: bool = False


State = Literal["new", "still failing", "failing", "fixed"]


class CauseGroup(Struct, frozen=True, kw_only=True):
    """Failing keys with one cause: one row of "Needs attention".

    `title` is the normalised message, its varying parts as <path>, <id>, <n> …; `shared` are the
    labels all its jobs have and others of the workflows don't, as (key, value). On a first run the
    state is "failing". `jobs` are ids of the newest significant job of each key. `nights` and
    `last_success` are those of the key that fails since `since`: so many reports told of it, and it
    succeeded then (None: never, as far as is known). `first_seen` is that, or the first night that
    told of the cause where that is earlier; `last_seen` is when the newest of its jobs ended.
    `flaky` are jobs of keys that are flaky, `not_run` those of keys of which nothing ran in this
    night, so that they keep their state.
    """

    id: str
    state: State
    cause_class: CauseClass
    title: str
    rule: str
    jobs: tuple[str, ...]
    new_jobs: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    since: datetime | None = None
    shared: tuple[tuple[str, str], ...] = ()
    example: str = ""
    nights: int = 0
    last_success: datetime | None = None
    flaky: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    first_seen: datetime | None = None
    last_seen: datetime | None = None


class Shared(Struct, frozen=True, kw_only=True):
    """Something that all jobs of a cause have: a label, the task, or a range of shards.

    A label is told where fewer than half `of` the other jobs of their workflows and nights have it:
    `others` do.
    """

    key: str
    value: str
    kind: Literal["label", "task", "shard"]
    others: int = 0
    of: int = 0


class CauseReport(Struct, frozen=True, kw_only=True):
    """A cause: everything known of it, also from before the window (its page lasts).

    `jobs` are all listed jobs that ever failed of it, newest first, `window` those of the report
    and `tonight` those of the newest night; `failing` are keys failing of it now, by their newest
    job that tells, and `new` some of them. `shared` is what all of `recent` have in common: those
    of the seven nights up to the last that it was seen in.
    """

    id: str
    cause_class: CauseClass
    title: str
    rule: str
    example: str
    jobs: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    window: tuple[str, ...] = ()
    tonight: tuple[str, ...] = ()
    recent: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    workflows: tuple[tuple[str, int], ...] = ()
    tasks: tuple[tuple[str, int], ...] = ()
    shared: tuple[Shared, ...] = ()


class FlakyKey(Struct, frozen=True, kw_only=True):
    """A key that fails now and then: the jobs that were looked at, oldest first, and their ends.

    `flips` counts those that ended otherwise than the one before; `labels` are those that tell the
    key apart, where settings name some. A night keeps only the newest of the jobs.
    """

    workflow: str
    jobs: tuple[str, ...]
    outcomes: tuple[str, ...]
    flips: int
    labels: tuple[tuple[str, str], ...] = ()
    last_failed: datetime | None = None

    @property
    def job(self) -> str:
        """Its newest job that tells."""
        return self.jobs[-1]

    @property
    def failures(self) -> int:
        return self.outcomes.count("Failed")

    @property
    def failed(self) -> tuple[str, ...]:
        """Its jobs that failed; none where only the newest job is kept."""
        if len(self.jobs) < len(self.outcomes):
            return ()
        ends = zip(self.jobs, self.outcomes, strict=True)
        return tuple(job for job, end in ends if end == "Failed")

    @property
    def score(self) -> float:
        """Flips for each run that was looked at, from 0 to 1."""
        return self.flips / len(self.outcomes)


class StuckJob(Struct, frozen=True, kw_only=True):
    """A job active longer than max(P95 x 1.5, P95 + 1 h) of its workflow, or waiting over 12 h."""

    job: str
    active_for: timedelta
    waiting: bool
    usual: Usual | None = None
    where: str = ""


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


class LabelValue(Struct, frozen=True, kw_only=True, gc=False):
    """One value of a label (None: the jobs without it) and its jobs by status."""

    value: str | None
    split: StatusSplit
    #: The server's own numbers for it, where it was asked and answered.
    server: StatusSplit | None = None


class FrameReport(Struct, frozen=True, kw_only=True):
    """A label's values in one time frame. `covered` is False where less was read than the frame.

    Values with most failures first, then most jobs; the jobs without the label last. Empty where no
    job has it. `read_since` is the instant since which everything was read, None where that is the
    beginning; it is the report's now where pages of the list are missing.
    """

    frame: str
    values: tuple[LabelValue, ...]
    covered: bool = True
    server_asked: bool = False
    read_since: datetime | None = None
    #: The server's number of jobs in this frame beside ours, whatever their labels.
    beside: "FrameDifference | None" = None
    #: Why the server's numbers are not there; "" where they are.
    why_not: str = ""

    @property
    def split(self) -> StatusSplit:
        """The jobs of all its values."""
        counts = Counter[str]()
        for value in self.values:
            counts.update(value.split.counts)
        return StatusSplit(counts=dict(counts))

    @property
    def counted(self) -> bool:
        """Whether the server counts jobs by the label in it: a value of it, at least."""
        return self.server_asked and any(value.server is not None for value in self.values)


class LabelReport(Struct, frozen=True, kw_only=True):
    """The aggregation of one label, or of `name` or `userId`, over the six time frames.

    `jobs` are those that each value of the last frame counts, newest submission first. Those of a
    shorter frame are the first of them.
    """

    key: str
    title: str
    frames: tuple[FrameReport, ...]
    jobs: ByValue = field(default_factory=nobody)
    #: Every job has a value of its own (an id): only there because the server or settings name it.
    distinct: bool = False
    #: What the server says of the label itself, where it names it as a field.
    shown_as: DisplayField | None = None


class ShownLabel(Struct, frozen=True, kw_only=True):
    """The label that an overview tells, in the time frame of its report: its first values.

    It has `number` values in all, whose jobs `split` counts; `counted` says that the server counts
    jobs by it too.
    """

    key: str
    title: str
    frame: str
    values: tuple[LabelValue, ...]
    number: int
    split: StatusSplit
    counted: bool = False


class FrameDifference(Struct, frozen=True, kw_only=True):
    """The server's count of a frame's jobs and ours. `why` says in sentences why they differ.

    "" where they are the same, status by status.
    """

    frame: str
    ours: StatusSplit
    server: StatusSplit
    why: str = ""


class Unrepeated(Struct, frozen=True, kw_only=True):
    """Workflows whose work never comes back by its inputs, and labels by which it does."""

    labels: tuple[str, ...]
    workflows: tuple[str, ...]


class Hole(NamedTuple):
    """A reason why a report is incomplete, and how often it was met."""

    what: str
    why: str
    times: int


#: Reasons that are told: those that were met most often.
_MOST_HOLES = 5


def holes_of(gaps: Iterable[Gap]) -> tuple[Hole, ...]:
    """The reasons behind gaps, the most frequent first.

    "attempts of AlignBwa" and "attempts of Phase" are one; what follows a reason's first colon
    names the one thing.
    """
    counted = Counter((_kind(gap.what), gap.why.split(": ", 1)[0]) for gap in gaps)
    return tuple(Hole(what, why, times) for (what, why), times in counted.most_common(_MOST_HOLES))


def _kind(what: str) -> str:
    return what.split(" of ", 1)[0] if what.startswith(("attempts of", "log of")) else what


class Quality(Struct, frozen=True, kw_only=True):
    """What was asked, what failed, and what is odd about what came."""

    run: Run
    operations: tuple[Operation, ...] = ()
    gaps: tuple[Gap, ...] = ()
    unreadable: tuple[str, ...] = ()
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


class ReportCounts(Struct, frozen=True, kw_only=True):
    """The verdict in numbers: keys, except stuck, unjudged, running, unknown and total, which are
    jobs.

    `not_run` are some of `still_failing`: nothing of them ran in this night. `lapsed` failed in the
    report before, and did not run for so long that nobody can say how they stand. `unjudged` run
    for long, and no baseline says whether they are stuck. Nights that did not note them have 0.
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


class Range(Struct, frozen=True, kw_only=True):
    """What a number usually is: over `nights` comparable nights, at most 14."""

    median: float
    p10: float
    p90: float
    nights: int


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
    says that some have none.
    """

    attempts: int = 0
    retried: int = 0
    preempted: int = 0
    failed: int = 0
    aborted: int = 0
    spent: Spent = Spent()
    jobs: tuple[str, ...] = ()
    lost_money: float | None = None
    unpriced: bool = False

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

    Only what was lost is listed, the most first. `unmeasured` are listed jobs that ended and of
    which nothing could be read. `tonight` is the newest night alone, and `usual` what such a night
    loses, in seconds.
    """

    total: Cost
    tonight: Cost
    usual: Range | None = None
    tasks: tuple[TaskCost, ...] = ()
    workflows: tuple[tuple[str, Cost], ...] = ()
    labels: tuple[LabelCost, ...] = ()
    unmeasured: tuple[str, ...] = ()


#: How much an overview shows of flaky work, slower tasks, and promises beside broken ones.
FEW = 5
#: How many promises it shows at most, workflows with small charts, and values of its label.
MOST_PROMISES, MULTIPLES, TOP_VALUES = 100, 12, 10
#: Gaps that a night keeps.
MOST_GAPS = 50


class Totals(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many there are of what an overview shows the first of, and a night keeps no more."""

    flaky: int = 0
    slower: int = 0
    promises: int = 0
    workflows: int = 0
    gaps: int = 0


class Slot(Struct, frozen=True, kw_only=True):
    """A step of a timeline: the most jobs at once, and what began in it.

    `wait` and `wait_p90` are of the jobs that started in it, in seconds; None where none did.
    """

    start: datetime
    running: int = 0
    waiting: int = 0
    submitted: int = 0
    started: int = 0
    wait: float | None = None
    wait_p90: float | None = None


class TimelineDay(Struct, frozen=True, kw_only=True):
    """A calendar day (2026-11-23) of a timeline, with the ids of the jobs that it counts.

    `running` are those that ran at `peak`, the first instant with the most of them; waits are in
    seconds, of the jobs that started on it.
    """

    day: str
    submitted: tuple[str, ...] = ()
    peak: datetime | None = None
    running: tuple[str, ...] = ()
    wait: float | None = None
    wait_p90: float | None = None


class Timeline(Struct, frozen=True, kw_only=True):
    """The report's jobs over time: slots of `step` up to `until`, and the days, oldest first.

    `most` jobs ran at once at `peak`: `at_peak`. `longest` are the longest waits: a job, and
    seconds. `unplaced` are jobs that ran until nobody knows when. `whole` is False where jobs
    submitted before `since` may have run in it and were not read.
    """

    since: datetime
    until: datetime
    step: timedelta
    slots: tuple[Slot, ...]
    days: tuple[TimelineDay, ...] = ()
    peak: datetime | None = None
    most: int = 0
    at_peak: tuple[str, ...] = ()
    longest: tuple[tuple[str, float], ...] = ()
    unplaced: tuple[str, ...] = ()
    whole: bool = True

    def jobs(self) -> Iterator[str]:
        """Ids of all jobs that it names, some of them more than once."""
        yield from (*self.at_peak, *self.unplaced, *(job for job, _ in self.longest))
        for day in self.days:
            yield from (*day.submitted, *day.running)


class Report(Struct, frozen=True, kw_only=True):
    """A run, read: what the pages show. `now` is the newest usable run's now, never the clock's.

    `jobs` are the window's jobs, newest submission first: those listed now, those followed, and
    those listed before that the server has lost. Sub-workflows are not among them.
    """

    now: datetime
    run: Run
    previous: Run | None
    runs: tuple[Run, ...]
    counts: ReportCounts
    jobs: tuple[Entry, ...]
    split: StatusSplit
    attention: tuple[CauseGroup, ...] = ()
    stuck: tuple[StuckJob, ...] = ()
    #: Jobs that may still change by status, as far as anybody knows, and their ids.
    active: StatusSplit = StatusSplit()
    running: tuple[str, ...] = ()
    #: Ids of jobs that run for long and of which no baseline says whether they are stuck.
    unjudged: tuple[str, ...] = ()
    #: (job id, workflow) of the newest job of each key that is fixed.
    fixed: tuple[str, ...] = ()
    #: Id of the newest job of each key that ran on 5 of the last 7 nights and not tonight.
    missing: tuple[str, ...] = ()
    #: Id of the newest job of each key that failed in the report before and has no state any more.
    lapsed: tuple[str, ...] = ()
    #: Ids of jobs whose outcome nobody knows: unreadable, of an unknown status, lost while active.
    unknown: tuple[str, ...] = ()
    #: Ids of jobs that failed in earlier reports, of failing keys that the filter left out now.
    unasked: tuple[str, ...] = ()
    oldest_failing: datetime | None = None
    days: tuple[Day, ...] = ()
    workflows: tuple[WorkflowReport, ...] = ()
    #: Those of the workflows that have jobs in the window, by name.
    rates: tuple[FlowRates, ...] = ()
    labels: tuple[LabelReport, ...] = ()
    #: What the overview tells of one of them.
    label: ShownLabel | None = None
    quality: Quality | None = None
    columns: tuple[DisplayField, ...] = ()
    #: Labels that the server calls common, without those that are fields of a job.
    common_labels: tuple[str, ...] = ()
    #: Whole id -> its first 8 characters, lengthened until unique.
    short_ids: dict[str, str] = field(default_factory=dict)
    #: When another report should have taken this one's place; None where none comes regularly.
    due: datetime | None = None
    #: Whether everything asked for was read; runs that failed before it are in `quality`.
    complete: bool = True
    #: Every night that is known, oldest first; the last is this one.
    nights: tuple[NightSummary, ...] = ()
    #: Those that brought no report, oldest first, also from behind this one.
    failed_nights: tuple[FailedNight, ...] = ()
    #: Run of a night -> how many runs brought nothing on its day before it came.
    tries_before: dict[str, int] = field(default_factory=dict)
    #: Run -> workflow -> ids of its jobs that failed in the night of that run, as known now.
    failed_by_night: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    #: Run -> ids of the jobs that ended in the night of that run, as known now, newest first.
    ended_by_night: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: What the counts usually are, by their names in ReportCounts; none below five such nights.
    usual: dict[str, Range] = field(default_factory=dict)
    slos: tuple[SloReport, ...] = ()
    slower: tuple[SlowerTask, ...] = ()
    #: Every cause that is known: those failing now first, then the newest seen.
    causes: tuple[CauseReport, ...] = ()
    #: Keys that fail now and then, the flakiest first.
    flaky: tuple[FlakyKey, ...] = ()
    waste: Waste | None = None
    #: None where no job of the report has a time.
    timeline: Timeline | None = None
    #: Whether there were runs before `runs`, of which nights are no longer told.
    pruned: bool = False
    #: Which these were, where they are known, and when each read what it found.
    pruned_at: dict[str, datetime] = field(default_factory=dict)

    @property
    def asked(self) -> Asked:
        return self.run.asked

    @property
    def filters(self) -> Filters:
        return self.run.asked.filters

    @property
    def left_out(self) -> int | None:
        """How many listed jobs the filters left out; None where nobody knows."""
        return self.run.counts.left_out

    @property
    def since(self) -> datetime | None:
        """When the report that it is compared with was made; None for a first one."""
        return self.previous.now if self.previous else None

    @property
    def not_asked(self) -> int:
        """How many jobs failed in earlier reports that nobody asked for now."""
        return len(self.unasked)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return self.quality.gaps if self.quality else self.run.gaps

    @property
    def holes(self) -> tuple[Hole, ...]:
        return holes_of(self.gaps)

    @property
    def unreadable(self) -> int:
        """How many jobs could not be read whole."""
        return len(self.quality.unreadable) if self.quality else 0

    @property
    def unrepeated(self) -> Unrepeated | None:
        return self.quality.unrepeated if self.quality else None

    @property
    def totals(self) -> Totals:
        return Totals(
            flaky=len(self.flaky),
            slower=len(self.slower),
            promises=len(self.slos),
            workflows=len(self.rates),
            gaps=len(self.gaps),
        )
