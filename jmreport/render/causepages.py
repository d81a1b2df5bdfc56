"""Causes: the list of them, and a page for each with what its jobs share and what to do.

    causes/index.html           new ones first, then those failing now, then the newest seen
    causes/page-2.html …        where there are many
    causes/cd47a0e05f49.html    one of them, also when nothing fails of it any more

A cause's page lasts: its address is the digest of its message without what varies.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from jmreport.render import addresses, causewords, words
from jmreport.render.guides import Guides, Known
from jmreport.render.joblists import NO_NAME, Column, Jobs, Lines, Lists
from jmreport.render.listpages import PageLink, pager
from jmreport.render.page import Page, digest
from jmreport.report import Report
from jmreport.report.causes import NOT_READ, CauseReport, Shared
from jmreport.report.nights import NightSummary

#: Causes on a page of the list, jobs and nights on a cause's page, names in a row.
ROWS = 200
JOBS = 50
NIGHTS = 31
FEW = 5
#: Parts of a message that vary: <path>, <id>, <n>, <shard> …
_VARYING = re.compile(r"(<[a-z][a-z ]{0,20}>)")


class Link(Struct, frozen=True, kw_only=True):
    """A text and where it leads; no link where there is nothing to see."""

    text: str
    href: str = ""
    count: str = ""


class Piece(Struct, frozen=True):
    """A part of a message; `varies` for what is different in each job."""

    text: str
    varies: bool


class SharedRow(Struct, frozen=True, kw_only=True):
    """Something that all jobs of the cause have, and how many others have it."""

    what: str
    value: Link
    others: str


class NightCell(Struct, frozen=True, kw_only=True):
    """A night of the strip: how many keys were failing of the cause."""

    day: str
    href: str
    jobs: str
    said: str


class CauseView(Struct, frozen=True, kw_only=True):
    """What cause.html prints."""

    title: str
    id: str
    lede: str
    state: str
    state_kind: str
    cause_class: str
    rule: str
    pieces: tuple[Piece, ...]
    known: Known | None
    runbook: Markup
    counts: tuple[Link, ...]
    first_seen: words.Moment | None
    last_seen: words.Moment | None
    workflows: tuple[Link, ...]
    more_workflows: str
    tasks: tuple[Link, ...]
    more_tasks: str
    shared: tuple[SharedRow, ...]
    shared_of: str
    nights: tuple[NightCell, ...]
    example: str
    no_example: str
    example_job: Link | None
    columns: tuple[Column, ...]
    listed: str
    causes: str
    zone: str
    rows: Lines = Lines()


class CauseLine(Struct, frozen=True, kw_only=True):
    """A cause on the list."""

    title: str
    href: str
    cause_class: str
    known: str
    state: str
    state_kind: str
    failing: Link
    window: Link
    workflows: str
    first_seen: words.Moment | None
    last_seen: words.Moment | None


class CausesView(Struct, frozen=True, kw_only=True):
    """What causes.html prints."""

    title: str
    now: tuple[CauseLine, ...]
    earlier: tuple[CauseLine, ...]
    page: int
    pages: tuple[PageLink, ...]
    zone: str


def pages(
    report: Report, lists: Lists, guides: Guides, *, as_of: words.Moment | None
) -> Iterator[Page]:
    """The list, and a page for every cause that is known."""
    making = _Causes(report, lists, guides)
    yield from (_list(view, as_of) for view in making.listed())
    for cause in report.causes:
        yield _page(making.view(cause), cause.jobs[:JOBS], lists.jobs)


def _list(view: CausesView, as_of: words.Moment | None) -> Page:
    """A page of the list. Only the first says as of when: the others change as seldom as can be."""
    at = as_of if view.page == 1 else None
    return Page(
        address=addresses.causes_page(view.page),
        template="causes.html",
        content=digest(view, at),
        view=lambda _: view,
        as_of=at,
    )


def _page(view: CauseView, newest: Sequence[str], jobs: Jobs) -> Page:
    at = addresses.cause(view.id)
    return Page(
        address=at,
        template="cause.html",
        content=digest(view, jobs.shown(newest, at)),
        view=lambda _: replace(view, rows=jobs.lines(newest, at)),
    )


class _Causes:
    """A report's causes: their pages share the lists, the notes and the nights."""

    def __init__(self, report: Report, lists: Lists, guides: Guides) -> None:
        self.report, self.lists, self.guides = report, lists, guides
        self.jobs, self.zone = lists.jobs, lists.jobs.zone
        self.told = [
            (night, {cause.id: cause.jobs for cause in night.causes})
            for night in report.nights[-NIGHTS:]
        ]

    # --- the list ---

    def listed(self) -> Iterator[CausesView]:
        """Its pages."""
        causes = self.report.causes
        now = sum(1 for cause in causes if cause.failing)
        last = -(-len(causes) // ROWS)
        for page in range(1, max(last, 1) + 1):
            shown = causes[(page - 1) * ROWS : page * ROWS]
            yield CausesView(
                title=f"{words.plural(now, 'cause')} failing now" if now else "Nothing is failing",
                now=tuple(self._line(cause) for cause in shown if cause.failing),
                earlier=tuple(self._line(cause) for cause in shown if not cause.failing),
                page=page,
                pages=pager(page, last, _at_list),
                zone=words.zone_name(self.report.now, self.zone),
            )

    def _line(self, cause: CauseReport) -> CauseLine:
        at = addresses.CAUSES
        state, kind = self._state(cause)
        return CauseLine(
            title=words.cut_middle(cause.title or cause.rule, 200),
            href=addresses.relative(at, addresses.cause(cause.id)),
            cause_class=causewords.class_words(cause.cause_class),
            known=self.guides.name(cause.title, cause.example),
            state=state,
            state_kind=kind,
            failing=self._count(cause, "failing", cause.failing, at),
            window=self._count(cause, "report", cause.window, at),
            workflows=words.listed([_name(name) for name, _ in cause.workflows[:3]])
            + (f" and {len(cause.workflows) - 3} more" if len(cause.workflows) > 3 else ""),
            first_seen=words.short_when(cause.first_seen, self.zone, near=self.report.now),
            last_seen=words.short_when(cause.last_seen, self.zone, near=self.report.now),
        )

    def _state(self, cause: CauseReport) -> tuple[str, str]:
        if not cause.failing:
            return "Not failing now", ""
        if self.report.previous is None:
            return "Failing", "failed"
        if len(cause.new) == len(cause.failing):
            return "New", "new"
        if cause.new:
            return "New and still failing", "new"
        return "Still failing", "still"

    # --- a cause's page ---

    def view(self, cause: CauseReport) -> CauseView:
        at = addresses.cause(cause.id)
        state, kind = self._state(cause)
        example = cause.jobs[0]
        return CauseView(
            title=words.cut_apart(cause.title or cause.rule, 160),
            id=cause.id,
            lede=self._lede(cause),
            state=state,
            state_kind=kind,
            cause_class=cause.cause_class,
            rule=cause.rule,
            pieces=tuple(_pieces(cause.title)),
            known=self.guides.known(cause.title, cause.example),
            runbook=self.guides.cause(cause.id),
            counts=tuple(self._counts(cause, at)),
            first_seen=words.when(cause.first_seen, self.zone),
            last_seen=words.when(cause.last_seen, self.zone),
            workflows=tuple(
                Link(
                    text=_name(name),
                    href=self.jobs.workflow_href(name, at),
                    count=words.plural(count, "job"),
                )
                for name, count in cause.workflows[:FEW]
            ),
            more_workflows=_more(len(cause.workflows), "workflow"),
            tasks=tuple(
                Link(text=words.cut_middle(name, 100), count=words.plural(count, "job"))
                for name, count in cause.tasks[:FEW]
            ),
            more_tasks=_more(len(cause.tasks), "task"),
            shared=tuple([self._shared(one, at) for one in cause.shared] + self._time(cause)),
            shared_of=words.plural(len(cause.recent), "job"),
            nights=tuple(
                self._night(night, causes.get(cause.id, 0), at) for night, causes in self.told
            ),
            example=cause.example,
            no_example="What its jobs say could not be read."
            if cause.rule == NOT_READ
            else "The server gave no message.",
            example_job=self._job(example, at),
            columns=self.jobs.columns,
            listed=f"The newest {JOBS} of {words.number(len(cause.jobs))}"
            if len(cause.jobs) > JOBS
            else "",
            causes=addresses.relative(at, addresses.CAUSES),
            zone=words.zone_name(self.report.now, self.zone),
        )

    def _lede(self, cause: CauseReport) -> str:
        flows = words.plural(len(cause.workflows), "workflow")
        jobs = words.plural(len(cause.jobs), "job")
        ever = f"{jobs} of {flows} failed with it so far."
        if not cause.failing:
            return f"Nothing fails with it now. {ever}"
        new = f", {words.number(len(cause.new))} of them new" if cause.new else ""
        fails = "fails" if len(cause.failing) == 1 else "fail"
        return f"{words.plural(len(cause.failing), 'job')} {fails} with it now{new}. {ever}"

    def _counts(self, cause: CauseReport, at: str) -> Iterator[Link]:
        for name, text, jobs in (
            ("failing", "Failing now", cause.failing),
            ("new", "New", cause.new),
            ("tonight", "Ended in this night", cause.tonight),
            ("report", "In this report", cause.window),
        ):
            link = self._count(cause, name, jobs, at)
            yield Link(text=text, count=link.text, href=link.href)

    def _count(self, cause: CauseReport, name: str, jobs: Sequence[str], at: str) -> Link:
        said = {
            "failing": "jobs failing now with",
            "new": "newly failing jobs with",
            "tonight": "jobs of the newest night that failed with",
            "report": "jobs of this report that failed with",
        }[name]
        address = self.lists.link_or_job(
            f"cause-{cause.id}-all-{name}",
            f"{said}: {words.cut_apart(cause.title or cause.rule, 120)}",
            jobs,
            back=("Cause", addresses.cause(cause.id)),
        )
        return Link(
            text=words.number(len(jobs)), href=addresses.relative(at, address) if address else ""
        )

    def _shared(self, one: Shared, at: str) -> SharedRow:
        href = ""
        if one.kind == "label" and any(label.key == one.key for label in self.report.labels):
            href = addresses.relative(at, addresses.label(one.key))
        others = f"{words.number(one.others)} of {words.number(one.of)} others" if one.of else ""
        what = words.cut_middle(one.key, 60)
        return SharedRow(
            what=f"Label {what}" if one.kind == "label" else what.capitalize(),
            value=Link(text=words.cut_middle(one.value, 120), href=href),
            others=others or ("there are none" if one.kind == "label" else ""),
        )

    def _time(self, cause: CauseReport) -> list[SharedRow]:
        """When tonight's jobs failed, from the first to the last."""
        ends = [row.end for job in cause.tonight if (row := self.jobs.row(job)) and row.end]
        if len(ends) < 2:
            return []
        first, last = min(ends), max(ends)
        return [
            SharedRow(
                what="Time",
                value=Link(text=f"{self._at(first)} to {self._at(last)}"),
                others=f"within {words.duration(last - first)}, last night",
            )
        ]

    def _at(self, at: datetime) -> str:
        moment = words.short_when(at, self.zone, near=self.report.now)
        return moment.text if moment else ""

    def _night(self, night: NightSummary, jobs: int, at: str) -> NightCell:
        day = words.day(night.now, self.zone)
        text = day.text if day else night.run
        return NightCell(
            day=text.rpartition(" ")[0].partition(" ")[2],
            href=addresses.relative(at, addresses.night(night.run)),
            jobs=words.number(jobs) if jobs else "",
            said=f"{text}: {words.number(jobs)} failing" if jobs else f"{text}: none",
        )

    def _job(self, job: str, at: str) -> Link | None:
        if self.jobs.row(job) is None:
            return None
        return Link(text=self.jobs.short(job), href=addresses.relative(at, addresses.job(job)))


def _at_list(page: int) -> str:
    """A page of the list, from another."""
    return addresses.relative(addresses.CAUSES, addresses.causes_page(page))


def _pieces(title: str) -> Iterator[Piece]:
    for text in _VARYING.split(title):
        if text:
            yield Piece(text, bool(_VARYING.fullmatch(text)))


def _name(workflow: str) -> str:
    return words.cut_middle(workflow, 80) or NO_NAME


def _more(count: int, noun: str) -> str:
    return f"and {words.plural(count - FEW, f'more {noun}')}" if count > FEW else ""
