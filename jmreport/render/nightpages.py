"""A night's own page: its overview as it was told then, frozen.

    nights/20261123T021400Z/index.html          the page
    nights/20261123T021400Z/report.json         the same for machines
    nights/20261123T021400Z/causes.html         all its causes, where the page shows the first of
    nights/20261123T021400Z/causes-page-2.html  each state

It is made of a Night and of nothing else, by the parts that the overview is made of, so what the
server changes or forgets later leaves it alone; links from mails lead there. Its numbers lead to
lists on the page itself, names to pages that last, as far as they are still there. How many pages
a night has its summary tells, so that none is asked for of the hundreds that stand as they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jmreport.night import Night, NightJob
from jmreport.records import Asked, Filters
from jmreport.render import (
    addresses,
    causepages,
    causewords,
    guides,
    nightchart,
    overview,
    overviewrows,
    reportjson,
    words,
)
from jmreport.render.drawings import Charts
from jmreport.render.joblists import NO_NAME
from jmreport.render.labellists import ValueLinks
from jmreport.render.leads import Leads, Link
from jmreport.render.listpages import PageLink, pager
from jmreport.render.overview import OverviewView
from jmreport.render.overviewrows import cause_list, more_causes
from jmreport.render.page import Page, digest
from jmreport.report import Report
from jmreport.report.causes import CauseGroup
from jmreport.report.jobs import StuckJob
from jmreport.report.labels import ShownLabel
from jmreport.report.nights import NightSummary
from jmreport.settings import Prices

#: How a night is had when its page must be made again.
Remember = Callable[[str], Night | None]
#: Whether a page is there, by its address.
Known = Callable[[str], bool]


def _always(_address: str) -> bool:
    return True


#: What is said where counts name jobs, and a night is no more than its counts.
_LOST = "Which jobs these were is not known any more."


class Around(Struct, frozen=True, kw_only=True):
    """What a night's page shows beside its night: nothing of it changes with the nights after it.

    But for `newer`, the run of the night after it ("" for the newest, as `older` for the first).
    `causes`, `labels` and `nights`, by their runs, are those that it leads to and that have pages.
    """

    older: str = ""
    newer: str = ""
    causes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    nights: tuple[str, ...] = ()


class JobLink(Struct, frozen=True):
    """A job's short id and its page; no link where there is none any more."""

    text: str
    href: str


class Group(Struct, frozen=True, kw_only=True):
    """A cause, or a workflow's jobs of one kind, with all its jobs."""

    state: str
    kind: str
    count: str
    title: str
    note: str
    jobs: tuple[JobLink, ...]
    href: str = ""
    anchor: str = ""


class Part(Struct, frozen=True, kw_only=True):
    """A list of the page: its anchor, heading and groups."""

    anchor: str
    heading: str
    groups: tuple[Group, ...]
    more: Link | None = None


class NightCausesView(Struct, frozen=True, kw_only=True):
    """What nightcauses.html prints: a page of all causes of a night, with their jobs."""

    title: str
    none: str
    when: words.Moment | None
    parts: tuple[Part, ...]
    page: int
    pages: tuple[PageLink, ...]
    night: str
    calendar: str


class NightView(OverviewView, frozen=True, kw_only=True):
    """What night.html prints: the overview, and the jobs behind its numbers."""

    when: words.Moment | None
    compared: words.Moment | None
    charts: tuple[nightchart.NightChart, ...]
    parts: tuple[Part, ...]
    older: str
    newer: str
    calendar: str
    overview: str
    data: str


def pages(
    report: Report,
    fresh: Mapping[str, Night],
    remember: Remember,
    *,
    zone: tzinfo,
    known: Known = _always,
    going: frozenset[str] = frozenset(),
) -> Iterator[Page]:
    """Every night's page. `fresh` are nights that no ledger knows yet.

    `known` says whether a page is there, or will be; `going` are those that are removed this time.
    """
    nights, causes = report.nights, frozenset(cause.id for cause in report.causes)
    labels = frozenset(label.key for label in report.labels)
    runs = frozenset(night.run for night in nights)
    for place, told in enumerate(nights):
        new = fresh.get(told.run)
        summary = new.summary if new else told
        around = Around(
            older=nights[place - 1].run if place else "",
            newer=nights[place + 1].run if place + 1 < len(nights) else "",
            causes=tuple(cause.id for cause in summary.causes if cause.id in causes),
            labels=tuple(key for key in summary.labels if key in labels),
            nights=tuple(run for run in summary.nights if run in runs),
        )
        stale = bool(going) and _loses(new or remember(told.run), going)
        for page in _frozen(summary, new, remember, around, zone, known):
            yield replace(page, stale=True) if stale else page


def _loses(night: Night | None, going: frozenset[str]) -> bool:
    """Whether pages are removed that a night's own leads to: then it is made without the links."""
    return night is not None and not going.isdisjoint(_leads_to(night))


def _leads_to(night: Night) -> Iterator[str]:
    """Pages that a night's own leads to, beside those that `Around` names."""
    yield from (addresses.job(job.id) for job in night.jobs)
    flows = {job.workflow for job in night.jobs} | {flow.name for flow in night.rates}
    flows.update(flow for group in night.attention for flow in group.workflows)
    flows.update(one.workflow for one in night.slower)
    yield from (addresses.workflow(flow) for flow in sorted(flows))


def _frozen(
    summary: NightSummary,
    fresh: Night | None,
    remember: Remember,
    around: Around,
    zone: tzinfo,
    known: Known,
) -> Iterator[Page]:
    """A night's page: made again only where its neighbours, the look or its own night changed.

    Before it, where there are more causes than it shows, the pages of all.
    """

    def night() -> Night:
        # Only a ledger that was damaged while it was read has lost it.
        return fresh or remember(summary.run) or lost(summary)

    groups = sum(cause.groups for cause in summary.causes)
    last = _last_page(groups) if groups > overviewrows.CAUSES else 0
    for page in range(1, last + 1):
        yield Page(
            address=addresses.night_causes(summary.run, page),
            template="nightcauses.html",
            # Nothing of the nights around it.
            content=digest(summary.content, around.causes, str(zone), page),
            view=_listed(night, page, zone, around, known),
            as_of=words.when(summary.now, zone),
            here=True,
        )
    yield Page(
        address=addresses.night(summary.run),
        template="night.html",
        content=digest(summary.content, around, str(zone)),
        view=lambda _charts: view(night(), zone, around, known),
        as_of=words.when(summary.now, zone),
        here=True,
        beside=lambda: ((addresses.night_data(summary.run), reportjson.night_json(night())),),
    )


def _listed(
    night: Callable[[], Night], page: int, zone: tzinfo, around: Around, known: Known
) -> Callable[[Charts], NightCausesView]:
    return lambda _charts: causes_view(night(), page, zone, around, known)


def lost(summary: NightSummary) -> Night:
    """A night of which no more is known than its numbers."""
    filters = summary.filters or Filters()
    asked = Asked(server="", timeframe="ALL_TIME", filters=filters)
    return Night(summary=summary, asked=asked, split=summary.split)


def view(
    night: Night, zone: tzinfo, around: Around | None = None, known: Known = _always
) -> NightView:
    """A night's page, alone or with what stands around it; it links to pages that are known."""
    around = around or Around()
    summary = night.summary
    here = addresses.night(summary.run)
    bare = _Lasting(night, zone, around, known)
    parts = tuple(part for part in _parts(night, bare) if part.groups)
    leads = _Lasting(night, zone, around, known, _anchors(parts))
    told = overview.told_view(
        night,
        leads,
        Prices(currency=night.currency),
        known=[guides.issue_name(issue) for issue in night.known] or [""] * len(night.attention),
        failed_run=overview.failed_runs(night.failed_runs, zone),
        days={},
    )
    told = replace(
        told,
        tiles=tuple(replace(tile, anchor="" if tile.href else tile.name) for tile in told.tiles),
        # Of what is lost nobody can say that it was nothing.
        attention_none=_LOST if not night.jobs and any(_named(summary)) else told.attention_none,
    )
    return NightView(
        **msgspec.structs.asdict(told),
        when=words.when(summary.now, zone),
        compared=words.when(summary.since, zone),
        charts=nightchart.charts(night.days),
        parts=parts,
        older=addresses.relative(here, addresses.night(around.older)) if around.older else "",
        newer=addresses.relative(here, addresses.night(around.newer)) if around.newer else "",
        calendar=addresses.relative(here, addresses.NIGHTS),
        overview=addresses.relative(here, addresses.OVERVIEW),
        data=addresses.relative(here, addresses.night_data(summary.run)),
    )


def causes_view(
    night: Night, page: int, zone: tzinfo, around: Around | None = None, known: Known = _always
) -> NightCausesView:
    """A page of all causes of a night, counted from 1."""
    here = addresses.night_causes(night.summary.run, page)
    leads = _Lasting(night, zone, around or Around(), known)
    start, causes = (page - 1) * causepages.ROWS, causewords.count(night.attention)
    shown = night.attention[start : start + causepages.ROWS]

    def other(page: int) -> str:
        return addresses.relative(here, addresses.night_causes(night.summary.run, page))

    return NightCausesView(
        title=words.plural(causes, "cause") if causes else "Causes",
        none="" if causes else _LOST,
        when=words.when(night.now, zone),
        parts=tuple(part for part in _causes(shown, leads) if part.groups),
        page=page,
        pages=pager(page, _last_page(len(night.attention)), other),
        night=addresses.relative(here, addresses.night(night.summary.run)),
        calendar=addresses.relative(here, addresses.NIGHTS),
    )


def _last_page(groups: int) -> int:
    return -(-groups // causepages.ROWS)


def _named(summary: NightSummary) -> Iterator[int]:
    """The counts whose jobs a night's page names."""
    counts = summary.counts
    yield from (counts.failing, counts.fixed, counts.stuck, counts.missing, counts.unknown)
    yield from (counts.lapsed, counts.unjudged, counts.hidden)


# --- where it leads to -------------------------------------------------------------------------


class _Nowhere:
    """A label's value, of whose jobs no list lasts."""

    def to(self, _status: str) -> str:
        return ""

    def workflow(self) -> str:
        return ""


class _Lasting:
    """From a night's page to its own lists, and to pages that last. `anchors` are its lists."""

    def __init__(
        self,
        night: Night,
        zone: tzinfo,
        around: Around,
        known: Known,
        anchors: frozenset[str] = frozenset(),
    ) -> None:
        self.at, self.zone, self.now = addresses.night(night.summary.run), zone, night.now
        self._rows = {job.id: job for job in night.jobs}
        self._around, self._known, self._anchors = around, known, anchors
        self._run = night.summary.run
        self._places = {cause_list(group): place for place, group in enumerate(night.attention)}

    def jobs(self, name: str, _title: str, jobs: Sequence[str], /, **_how: Any) -> str:
        return f"#{name}" if jobs and name in self._anchors else ""

    def job_or_jobs(self, _name: str, _title: str, _jobs: Sequence[str], /, **_how: Any) -> str:
        return ""

    def row(self, job: str) -> NightJob | None:
        return self._rows.get(job)

    def short(self, job: str) -> str:
        row = self.row(job)
        return words.cut_end(row.short_id if row else job[:8], 60)

    def job(self, job: str) -> str:
        return self._there(addresses.job(job))

    def workflow(self, name: str) -> str:
        return self._there(addresses.workflow(name))

    def cause(self, cause: str) -> str:
        return self._to(addresses.cause(cause)) if cause in self._around.causes else ""

    def causes(self, first: CauseGroup) -> str:
        name = cause_list(first)
        page = addresses.night_causes(self._run, self._places[name] // causepages.ROWS + 1)
        return f"{self._to(page)}#{name}"

    def label(self, key: str) -> str:
        return self._to(addresses.label(key)) if key in self._around.labels else ""

    def night(self, run: str) -> str:
        return self._to(addresses.night(run)) if run in self._around.nights else ""

    def values(self, label: ShownLabel) -> Sequence[ValueLinks]:
        return [_Nowhere()] * len(label.values)

    def newest(self, _address: str) -> str:
        return ""

    def _there(self, address: str) -> str:
        return self._to(address) if self._known(address) else ""

    def _to(self, address: str) -> str:
        return addresses.relative(self.at, address)


# --- the jobs behind its numbers ---------------------------------------------------------------

#: States of causes with the anchors and the headings of their lists.
_STATES = (
    ("new", "new", "New failures"),
    ("failing", "failing", "Failing"),
    ("still failing", "still-failing", "Still failing"),
)


def _anchors(parts: Sequence[Part]) -> frozenset[str]:
    """What a number of the page can lead to."""
    lists = {part.anchor for part in parts}
    return frozenset(lists.union(group.anchor for part in parts for group in part.groups))


def _parts(night: Night, leads: Leads) -> Iterator[Part]:
    yield from _causes(night.attention, leads, most=overviewrows.CAUSES)
    yield Part(
        anchor="stuck", heading="Stuck", groups=tuple(_stuck(each, leads) for each in night.stuck)
    )
    lists = (
        ("unjudged", "Cannot be judged", night.unjudged),
        ("fixed", "Fixed", night.fixed),
        ("missing", "Missing", night.missing),
        ("lapsed", "No longer counted", night.lapsed),
        ("hidden", "Hidden", night.hidden.jobs if night.hidden else ()),
        ("unknown", "Unknown", night.unknown),
    )
    for anchor, heading, jobs in lists:
        yield Part(anchor=anchor, heading=heading, groups=_by_workflow(jobs, leads))


def _causes(
    attention: Sequence[CauseGroup], leads: Leads, *, most: int | None = None
) -> Iterator[Part]:
    """Causes by their state, of each so many at `most`."""
    for state, anchor, heading in _STATES:
        groups = [group for group in attention if group.state == state]
        yield Part(
            anchor=anchor,
            heading=heading,
            groups=tuple(_cause(group, leads) for group in groups[:most]),
            more=more_causes(groups, leads) if most is not None else None,
        )


def _cause(group: CauseGroup, leads: Leads) -> Group:
    flows = words.listed([words.cut_middle(name, 60) for name in group.workflows[:3]])
    idle = causewords.not_run(group)
    return Group(
        state={"new": "New", "still failing": "Still failing"}.get(group.state, "Failing"),
        kind={"new": "new", "still failing": "still"}.get(group.state, "failed"),
        count=words.plural(len(group.jobs), "job"),
        title=words.cut_middle(group.title, 300) or group.rule,
        note=" · ".join(filter(None, (flows, causewords.task_words(group.tasks), idle))),
        jobs=_links(group.jobs, leads),
        href=leads.cause(group.id),
        anchor=cause_list(group),
    )


def _by_workflow(jobs: Sequence[str], leads: Leads) -> tuple[Group, ...]:
    flows: dict[str, list[str]] = {}
    for job in jobs:
        row = leads.row(job)
        flows.setdefault(row.workflow if row else "", []).append(job)
    return tuple(
        Group(
            state="",
            kind="",
            count=words.plural(len(of_flow), "job"),
            title=words.cut_middle(name, 120) or NO_NAME,
            note="",
            jobs=_links(of_flow, leads),
        )
        for name, of_flow in sorted(flows.items())
    )


def _stuck(each: StuckJob, leads: Leads) -> Group:
    """With how long it ran or waited by then."""
    row = leads.row(each.job)
    return Group(
        state="",
        kind="",
        count=words.duration(each.active_for),
        title=words.cut_middle(row.workflow if row else "", 120) or NO_NAME,
        note=" · ".join(filter(None, (_doing(each), causewords.usual_duration(each.usual)))),
        jobs=_links((each.job,), leads),
    )


def _doing(each: StuckJob) -> str:
    if each.waiting:
        return "waiting"
    return f"running {words.cut_middle(each.where, 60)}" if each.where else "running"


def _links(jobs: Sequence[str], leads: Leads) -> tuple[JobLink, ...]:
    return tuple(JobLink(leads.short(job), leads.job(job)) for job in jobs)
