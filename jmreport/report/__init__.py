"""What the analysis found: the values pages, mails and data files are made of.

Numbers and rows only: words are chosen by `render`. Everything here is a pure function of the
snapshots and `now`. Counts always come with the ids of exactly the jobs that they count.
"""

from datetime import datetime

from msgspec import Struct, field

from jmreport.gaps import Gap
from jmreport.models import DisplayField
from jmreport.records import Asked, Entry, Filters, Run
from jmreport.report.causes import CauseGroup, CauseReport, FlakyKey
from jmreport.report.costs import SlowerTask, Waste
from jmreport.report.counts import (
    Day,
    FlowRates,
    ReportCounts,
    SloReport,
    StatusSplit,
    WorkflowReport,
)
from jmreport.report.jobs import StuckJob
from jmreport.report.labels import LabelReport, ShownLabel
from jmreport.report.nights import FailedNight, NightSummary
from jmreport.report.quality import Hidden, Hole, Quality, Unrepeated, holes_of
from jmreport.report.timeline import Timeline
from jmreport.report.usual import Range

#: How much an overview shows of flaky work, slower tasks, and promises beside broken ones.
FEW = 5
#: How many promises it shows at most, workflows with small charts, and values of its label.
MOST_PROMISES, MULTIPLES, TOP_VALUES = 100, 12, 10
#: Rows of its tables of stuck and fixed jobs.
ROWS = 15
#: Gaps that a night keeps.
MOST_GAPS = 50


class Totals(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many there are of what an overview shows the first of, and a night keeps no more."""

    flaky: int = 0
    slower: int = 0
    promises: int = 0
    workflows: int = 0
    gaps: int = 0


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
    #: Id of the newest job of each key that is fixed.
    fixed: tuple[str, ...] = ()
    #: Id of the newest job of each key that ran on 5 of the last 7 nights and not tonight.
    missing: tuple[str, ...] = ()
    #: Id of the newest job of each key that failed in the report before and has no state any more.
    lapsed: tuple[str, ...] = ()
    #: Jobs that failed and that a success of other work hides; None where there are none.
    hidden: Hidden | None = None
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
    #: By what rows say whose a job is: the labels of the settings, or else these, and `userId`.
    whose: tuple[str, ...] = ()
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
    #: Every cause that is known: those with new jobs first, then those failing, then the newest.
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
        """How many of the jobs could not be read whole."""
        return len(self.quality.unreadable) if self.quality else 0

    @property
    def unreadable_below(self) -> int:
        """The same of their sub-workflows."""
        return len(self.quality.unreadable_below) if self.quality else 0

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
