"""Why jobs fail: causes, what their jobs have in common, and work that fails now and then."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

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


#: What names a cause that has no title: no message came, or the job's detail was not read.
NO_MESSAGE = "no message"
NOT_READ = "detail not readable"


State = Literal["new", "still failing", "failing", "fixed"]


class CauseGroup(Struct, frozen=True, kw_only=True):
    """Failing keys with one cause: one row of "Needs attention".

    `title` is the normalised message, its varying parts as <path>, <id>, <n> …; `shared` are the
    labels all its jobs have and others of the workflows don't, as (key, value). On a first run the
    state is "failing". `jobs` are ids of the newest significant job of each key. `nights` and
    `last_success` are those of the key that fails since `since`: so many reports told of it, and it
    succeeded then (None: never, as far as is known). `first_seen` is that, or when the first job
    of the cause failed that is known, where that is earlier; `last_seen` is when the newest of its
    jobs ended. `flaky` are jobs of keys that are flaky, `not_run` those of keys of which nothing
    ran in this night, so that they keep their state.
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

    @property
    def shown(self) -> str:
        """The job that a row of it names."""
        return (self.new_jobs or self.jobs)[0]


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
