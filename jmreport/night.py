"""A night's overview as it was told then: what its frozen page is made of, for good.

Of what grows with the jobs it names those that its verdict counts, and keeps numbers of all others:
a few KB for each night. Words are chosen by `render`, as for a Report.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Self, TypeAlias

from msgspec import Struct

from jmreport.gaps import Gap
from jmreport.records import Asked, Filters, JobRow
from jmreport.report import Report, Totals
from jmreport.report.causes import CauseGroup, FlakyKey
from jmreport.report.costs import SlowerTask, Waste
from jmreport.report.counts import Day, FlowRates, ReportCounts, SloReport, StatusSplit
from jmreport.report.jobs import StuckJob
from jmreport.report.labels import ShownLabel
from jmreport.report.nights import NightSummary
from jmreport.report.quality import Hidden, Hole, Unrepeated
from jmreport.report.usual import Range

#: How many labels say whose a job is, and so many characters of each: nights keep them for good.
_LABELS, _LABEL_LENGTH = 2, 60
#: Labels that a server may call common and that say nothing of whose a job is: its workflow, which
#: is named anyway, and what readers mark it with.
_NOBODYS = {"name", "flag"}


class NightJob(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job as a night's frozen page names it. `took` is in seconds.

    `whose` are the first labels of the report's that it has; a night keeps them of jobs that rows
    name one by one.
    """

    id: str
    workflow: str
    status: str
    short_id: str
    ended: datetime | None = None
    took: float | None = None
    task: str = ""
    whose: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, row: JobRow, short_id: str, whose: Sequence[str] = ()) -> Self:
        """A job as its row tells of it. `whose` are the labels that say whose it may be."""
        return cls(
            id=row.id,
            workflow=row.name,
            status=row.counts_as,
            short_id=short_id,
            ended=row.end,
            took=row.took.total_seconds() if row.took is not None else None,
            task=(row.failure.task or "") if row.failure else "",
            whose=tuple(islice(_labels(row, whose), _LABELS)),
        )


def _labels(row: JobRow, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    for key in keys:
        value = row.user if key == "userId" else row.labels.get(key)
        if value and key not in _NOBODYS and "[taken out]" not in value:
            yield kept("user" if key == "userId" else key, value)


def kept(key: str, value: str) -> tuple[str, str]:
    """A label as nights keep it."""
    return _cut(key), _cut(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LABEL_LENGTH else f"{text[: _LABEL_LENGTH - 1]}…"


class NightIssue(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A known issue as it was on the day of a night, without its note, which may be long."""

    name: str
    owner: str = ""
    link: str = ""
    until: date | None = None


class Night(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A night's overview as it was told then: what its frozen page is made of, for good.

    What it shares with a Report is called as there, and is of what was known then. `jobs` are the
    rows of all jobs that its numbers name: of the work that is failing, fixed, missing, lapsed,
    stuck, unjudged, hidden or unknown, and the newest of each flaky key. Of all else it keeps as
    much as an overview shows, which does not grow with the jobs: `totals` say how many there were.
    Days, promises, waste and slower tasks have no ids. `failed_runs` brought nothing since the
    night before: when, and why. `known` is the issue that each of `attention` is an example of,
    `currency` that of what was lost.
    """

    summary: NightSummary
    asked: Asked = Asked(server="", timeframe="ALL_TIME")
    split: StatusSplit = StatusSplit()
    attention: tuple[CauseGroup, ...] = ()
    known: tuple[NightIssue | None, ...] = ()
    stuck: tuple[StuckJob, ...] = ()
    unjudged: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    lapsed: tuple[str, ...] = ()
    hidden: Hidden | None = None
    jobs: tuple[NightJob, ...] = ()
    active: StatusSplit = StatusSplit()
    not_asked: int = 0
    oldest_failing: datetime | None = None
    usual: dict[str, Range] = {}
    days: tuple[Day, ...] = ()
    rates: tuple[FlowRates, ...] = ()
    label: ShownLabel | None = None
    slos: tuple[SloReport, ...] = ()
    slower: tuple[SlowerTask, ...] = ()
    flaky: tuple[FlakyKey, ...] = ()
    waste: Waste | None = None
    currency: str = ""
    unrepeated: Unrepeated | None = None
    unreadable: int = 0
    unreadable_below: int = 0
    gaps: tuple[Gap, ...] = ()
    holes: tuple[Hole, ...] = ()
    failed_runs: tuple[tuple[datetime, str], ...] = ()
    totals: Totals = Totals()

    @property
    def now(self) -> datetime:
        return self.summary.now

    @property
    def since(self) -> datetime | None:
        return self.summary.since

    @property
    def complete(self) -> bool:
        return self.summary.complete

    @property
    def counts(self) -> ReportCounts:
        return self.summary.counts

    @property
    def filters(self) -> Filters:
        return self.asked.filters

    @property
    def left_out(self) -> int | None:
        return self.summary.left_out

    @property
    def running(self) -> tuple[str, ...]:
        """Which jobs were active it does not keep."""
        return ()


#: What an overview is made of: the newest report, or a night of the past.
Told: TypeAlias = Report | Night
