"""The grid: workflows by night, each cell with its worst outcome and failed of ended jobs.

Counts are those that each night told. A count leads to the list of exactly these jobs where they
are still what is known of that night; that of all jobs leads only where there is one anyway. A
night's head leads to its own page. A night that brought no report is a column without counts, and
its head leads to why.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from jmreport.records import RETRIED
from jmreport.render import addresses, filtered, verdict, words, workflowpages
from jmreport.render.joblists import NO_NAME, Lists, list_name
from jmreport.render.page import Page, digest
from jmreport.report import Report
from jmreport.report.nights import FailedNight, NightFlow, NightSummary, in_order

#: Nights and workflows that are shown; what is left out is said with a count.
NIGHTS = 31
ROWS = 300
#: Nights without a report that are shown between them, the newest.
FAILED_NIGHTS = 31
#: A workflow is expected in a night when it ran in so many of the last seven before it.
BEFORE = 7
EXPECTED = 5

CellKind = Literal[
    "failed", "aborted", "unknown", "lacking", "succeeded", "expected", "none", "unreported"
]
#: What is no success, the worst first.
_BAD: dict[CellKind, int] = {"failed": 0, "expected": 1, "lacking": 2, "aborted": 3, "unknown": 4}
_LETTERS: dict[CellKind, str] = {
    "failed": "F",
    "aborted": "A",
    "unknown": "?",
    "lacking": "!",
    "succeeded": "S",
    "expected": "",
    "none": "",
    "unreported": "×",
}
_WORDS: dict[CellKind, str] = {
    "failed": "some failed",
    "aborted": "some were aborted",
    "unknown": "some are unknown",
    "lacking": "none failed, and work is missing or stuck",
    "succeeded": "all succeeded",
    "expected": "expected, and none came",
    "none": "no job ended",
    "unreported": "no report",
}
_SUCCEEDED_OF_ASKED = "all succeeded; failed jobs were not asked for"


class Head(Struct, frozen=True, kw_only=True):
    """A night's column: its day, and what a reader must know of it."""

    weekday: str
    date: str
    clock: str
    href: str
    note: str
    said: str
    unreported: bool = False


class Cell(Struct, frozen=True, kw_only=True):
    """A workflow in a night."""

    kind: CellKind
    letter: str
    said: str
    failed: str
    href: str
    total: str
    total_href: str
    lacks: str


#: What every workflow has in a night of which nobody knows anything.
_UNREPORTED = Cell(
    kind="unreported",
    letter=_LETTERS["unreported"],
    said=_WORDS["unreported"],
    failed="",
    href="",
    total="",
    total_href="",
    lacks="",
)


class Row(Struct, frozen=True, kw_only=True):
    """A workflow, newest night first."""

    name: str
    href: str
    cells: tuple[Cell, ...]


class GridView(Struct, frozen=True, kw_only=True):
    """What grid.html prints."""

    title: str
    heads: tuple[Head, ...]
    rows: tuple[Row, ...]
    older: str
    more: str
    nights: str
    zone: str
    #: Whether a night brought no report, so that its sign is explained.
    unreported: bool


def pages(report: Report, lists: Lists, *, as_of: words.Moment | None) -> Iterator[Page]:
    """The one page, grid.html."""
    view = _Grid(report, lists).view()
    yield Page(
        address=addresses.GRID,
        template="grid.html",
        content=digest(view, as_of),
        view=lambda _: view,
        as_of=as_of,
    )


class _Grid:
    """A report's nights, oldest first, as the grid needs them."""

    def __init__(self, report: Report, lists: Lists) -> None:
        self.report, self.lists = report, lists
        self.zone = lists.jobs.zone
        self.shown = report.nights[-NIGHTS:]
        # Those before the first that is shown tell whether a workflow was expected in it.
        self.nights = report.nights[-NIGHTS - BEFORE :]
        self.columns = self._columns()
        self.told = {flow.name: flow for flow in report.workflows}
        self.days = {
            (flow.name, day.day): day for flow in report.workflows for day in flow.days if day.jobs
        }
        self.flows = [{flow.name: flow for flow in night.flows} for night in self.nights]

    def _columns(self) -> list[NightSummary | FailedNight]:
        """The nights that are shown and those without a report among them, newest first."""
        failed = in_order((), self.report.failed_nights)
        both = in_order(self.shown, self.report.failed_nights)
        if len(self.shown) < len(self.report.nights):
            both = both[both.index(self.shown[0]) :]
        hidden = {night.run for night in failed[:-FAILED_NIGHTS]}
        return [night for night in reversed(both) if night.run not in hidden]

    def view(self) -> GridView:
        names = {name for flows in self.flows[-len(self.shown) :] for name in flows}
        kinds = {name: self._kinds(name) for name in names}
        order = sorted(names, key=lambda name: (_rank(kinds[name]), name))
        left = len(self.report.nights) + len(self.report.failed_nights) - len(self.columns)
        count = len(self.shown)
        return GridView(
            title=f"{words.plural(len(names), 'workflow')} in {words.plural(count, 'night')}",
            heads=tuple(
                self._failed_head(night) if isinstance(night, FailedNight) else self._head(night)
                for night in self.columns
            ),
            rows=tuple(self._row(name, kinds[name]) for name in order[:ROWS]),
            older=f"{words.plural(left, 'older night')}" if left else "",
            more=_more([kinds[name] for name in order[ROWS:]]),
            nights=addresses.NIGHTS,
            zone=words.zone_name(self.report.now, self.zone),
            unreported=any(isinstance(night, FailedNight) for night in self.columns),
        )

    def _failed_head(self, night: FailedNight) -> Head:
        weekday, date = self._date(night)
        return Head(
            weekday=weekday,
            date=date,
            clock=self._clock(night),
            href=addresses.failed_night(night.run),
            note=_WORDS["unreported"],
            said=verdict.failed_night(night),
            unreported=True,
        )

    def _head(self, night: NightSummary) -> Head:
        moment, (weekday, date) = words.when(night.now, self.zone), self._date(night)
        notes = [] if night.complete else ["incomplete"]
        notes += ["whole window"] if night.since is None else []
        notes += ["filtered"] if filtered.narrows(night.filters) else []
        # Of a night that did not note whose they are only this tells.
        notes += _lacks(night.counts.missing, night.counts.stuck)
        return Head(
            weekday=weekday,
            date=date,
            clock=self._clock(night),
            href=addresses.night(night.run),
            note=", ".join(notes),
            said=moment.text if moment else night.run,
        )

    def _date(self, night: NightSummary | FailedNight) -> tuple[str, str]:
        day = words.day(night.now, self.zone)
        weekday, _, date = day.text.rpartition(" ")[0].partition(" ") if day else ("", "", "")
        return weekday, date

    def _clock(self, night: NightSummary | FailedNight) -> str:
        """Its time, where another night of the grid has the same day: it tells them apart."""
        at = night.now.astimezone(self.zone)
        alike = sum(each.now.astimezone(self.zone).date() == at.date() for each in self.columns)
        return words.clock(at) if alike > 1 else ""

    def _kinds(self, name: str) -> tuple[CellKind, ...]:
        """What each night that is shown says of a workflow, newest first."""
        start = len(self.nights) - len(self.shown)
        places = range(len(self.nights) - 1, start - 1, -1)
        return tuple(self._kind(name, place) for place in places)

    def _kind(self, name: str, place: int) -> CellKind:
        flow = self.flows[place].get(name)
        counts = flow.split.counts if flow else {}
        if counts.get("Failed"):
            return "failed"
        if counts.get("Aborted"):
            return "aborted"
        if any(counts[status] for status in counts.keys() - {"Succeeded", RETRIED}):
            return "unknown"
        lacking = flow is not None and bool(flow.missing or flow.stuck)
        if counts.get("Succeeded"):
            return "lacking" if lacking else "succeeded"
        if counts.get(RETRIED):  # what followed has not ended, or nobody knows how
            return "unknown"
        if self._expected(name, place):
            return "expected"
        return "lacking" if lacking else "none"

    def _expected(self, name: str, place: int) -> bool:
        """Whether a workflow that ran on most nights should have run; not where that is unknown.

        Where a filter by status, or another one than before, may be why it did not, it is.
        """
        night = self.nights[place]
        if not night.complete or (night.filters and night.filters.status):
            return False
        before = range(max(0, place - BEFORE), place)
        if any(night.asked_otherwise(self.nights[at]) for at in before):
            return False
        ran = sum(bool(self._ended(name, at)) for at in before if self.nights[at].since is not None)
        return ran >= EXPECTED

    def _ended(self, name: str, place: int) -> int:
        flow = self.flows[place].get(name)
        return flow.split.total if flow else 0

    def _row(self, name: str, kinds: Sequence[CellKind]) -> Row:
        flows = dict(zip(self._runs(), reversed(self.flows[-len(self.shown) :]), strict=True))
        told = dict(zip(self._runs(), kinds, strict=True))
        return Row(
            name=words.cut_middle(name, 80) or NO_NAME,
            href=self.lists.jobs.workflow_href(name, addresses.GRID),
            cells=tuple(
                _UNREPORTED
                if isinstance(night, FailedNight)
                else self._cell(name, night, flows[night.run].get(name), told[night.run])
                for night in self.columns
            ),
        )

    def _runs(self) -> Iterator[str]:
        """The runs of the nights that are shown, newest first."""
        return (night.run for night in reversed(self.shown))

    def _cell(self, name: str, night: NightSummary, flow: NightFlow | None, kind: CellKind) -> Cell:
        total = flow.split.total if flow else 0
        failed = flow.split.failed if flow else 0
        missing, stuck = (flow.missing, flow.stuck or 0) if flow else (0, 0)
        # Of work that was expected and did not come at all the cell itself tells.
        lacks = _lacks(0 if kind == "expected" else missing, stuck)
        return Cell(
            kind=kind,
            letter=_LETTERS[kind],
            said=_SUCCEEDED_OF_ASKED
            if kind == "succeeded" and filtered.hides_failures(night.filters)
            else _WORDS[kind],
            failed=words.number(failed) if total else "",
            href=self._failed(name, night, failed),
            total=words.number(total) if total else "",
            total_href=self._total(night, flow) if flow and total else "",
            lacks=", ".join(lacks),
        )

    def _failed(self, name: str, night: NightSummary, count: int) -> str:
        """The list of the failed jobs that a night counted; "" where it is not these any more."""
        jobs = self.report.failed_by_night.get(night.run, {}).get(name, ())
        if not count or len(jobs) != count:
            return ""
        when = words.when(night.now, self.zone)
        return self.lists.link_or_job(
            list_name("night", name, night.run),
            f"failed jobs of {words.cut_apart(name, 80) or NO_NAME} that ended in the night up to "
            f"{when.text if when else night.run}",
            jobs,
            back=("Grid", addresses.GRID),
        )

    def _total(self, night: NightSummary, flow: NightFlow) -> str:
        """Where all jobs are that a night counted; "" where those of its day are others."""
        day = self.days.get((flow.name, night.now.astimezone(self.zone).date().isoformat()))
        known = {status: len(jobs) for status, jobs in day.jobs.items() if jobs} if day else {}
        if day is None or known != {status: n for status, n in flow.split.counts.items() if n}:
            return ""
        return workflowpages.day_address(self.told[flow.name], day, self.lists)


def _more(left_out: Sequence[Sequence[CellKind]]) -> str:
    """What is said of workflows that have no row, by their cells."""
    if not left_out:
        return ""
    more = f"and {words.plural(len(left_out), 'more workflow')}"
    bad = sum(not _BAD.keys().isdisjoint(kinds) for kinds in left_out)
    if not bad:
        return f"{more} without a failure"
    return f"{more}, {words.number(bad)} of which did not always succeed"


def _lacks(missing: int, stuck: int) -> list[str]:
    said = ((missing, "missing"), (stuck, "stuck"))
    return [f"{words.number(count)} {what}" for count, what in said if count]


def _rank(kinds: Sequence[CellKind]) -> tuple[int, int]:
    """Workflows that did not succeed in all come first, those of the newest nights before others.

    An expected run that did not come is no success.
    """
    for place, kind in enumerate(kinds):
        if kind in _BAD:
            return place, _BAD[kind]
    return len(kinds), 0
