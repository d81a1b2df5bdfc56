"""Differences: what two runs say otherwise, each as it was known then, and the list of them all.

    diffs/index.html                                   those that were asked for and kept
    diffs/20261122T021400Z-20261123T021400Z.html       one of them

A page is made of a Difference and of nothing else, so it stays as it was told. Its numbers lead to
lists on the page itself.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta, tzinfo
from typing import Generic, TypeVar

from msgspec import Struct

from jmreport.compared import (
    CauseDifference,
    Difference,
    DiffJob,
    FlowDifference,
    Side,
    TaskDifference,
)
from jmreport.render import addresses, filtered, words
from jmreport.render.joblists import NO_NAME
from jmreport.render.page import Page, digest

#: Whether a page is there, by its address.
Known = Callable[[str], bool]
#: Workflows, causes and tasks of a table that are seen at once, and that are on the page at most.
ROWS = 100
MOST = 1_000
S = TypeVar("S")
T = TypeVar("T")


class Link(Struct, frozen=True):
    """A text and where it leads; no link where there is no page."""

    text: str
    href: str = ""


class SideRow(Struct, frozen=True, kw_only=True):
    """One of the two runs."""

    name: str
    when: words.Moment | None
    href: str
    since: words.Moment | None
    complete: bool
    ended: str
    failed: str
    failing: str
    unknown: str
    filtered: str


class Number(Struct, frozen=True, kw_only=True):
    """A number of the verdict, and the part of the page that lists what it counts."""

    n: str
    what: str
    kind: str
    href: str


class Group(Struct, frozen=True, kw_only=True):
    """A workflow's keys of one kind, each by its newest job that tells."""

    count: str
    workflow: Link
    since: words.Moment | None
    jobs: tuple[Link, ...]


class Part(Struct, frozen=True, kw_only=True):
    """A list of the page: its anchor, heading, what it holds, and the groups."""

    anchor: str
    heading: str
    note: str
    groups: tuple[Group, ...]


class CauseRow(Struct, frozen=True, kw_only=True):
    """A cause of more or fewer keys than before."""

    title: str
    href: str
    cause_class: str
    before: str
    after: str
    change: str


class FlowRow(Struct, frozen=True, kw_only=True):
    """A workflow on both sides."""

    workflow: Link
    failed_before: str
    failed_after: str
    took_before: str
    took_after: str


class TaskRow(Struct, frozen=True, kw_only=True):
    """A task that takes much longer, or much less long."""

    task: str
    workflow: Link
    before: str
    after: str
    attempts_before: str
    attempts_after: str
    ratio: str


class Table(Struct, Generic[T], frozen=True, kw_only=True):
    """The rows of a table, those that are folded below it, and how many more there are."""

    rows: tuple[T, ...] = ()
    folded: tuple[T, ...] = ()
    more: str = ""
    left: str = ""


class DiffView(Struct, frozen=True, kw_only=True):
    """What diff.html prints."""

    title: str
    lede: str
    backwards: bool
    sides: tuple[SideRow, ...]
    numbers: tuple[Number, ...]
    parts: tuple[Part, ...]
    causes: Table[CauseRow]
    slower: Table[TaskRow]
    faster: Table[TaskRow]
    flows: Table[FlowRow]
    #: What tells of those for which the page has no room.
    command: str
    nights: str
    diffs: str
    zone: str


class DiffLine(Struct, frozen=True, kw_only=True):
    """A difference in the list of them."""

    before: words.Moment | None
    after: words.Moment | None
    href: str
    verdict: str


class DiffsView(Struct, frozen=True, kw_only=True):
    """What diffs.html prints."""

    lines: tuple[DiffLine, ...]
    title: str
    nights: str


def pages(found: Sequence[Difference], known: Known, zone: tzinfo) -> Iterator[Page]:
    """A page for each difference, and the list of them, the newest first."""
    for one in found:
        yield _page(
            addresses.diff(one.before.run, one.after.run), "diff.html", view(one, known, zone)
        )
    yield _page(addresses.DIFFS, "diffs.html", _list(found, zone))


def _page(address: str, template: str, view: DiffView | DiffsView) -> Page:
    return Page(address=address, template=template, content=digest(view), view=lambda _: view)


def view(found: Difference, known: Known, zone: tzinfo) -> DiffView:
    """A difference's page."""
    return _Diff(found, known, zone).view()


class _Diff:
    """One difference: its parts share where it is, and which pages are there."""

    def __init__(self, found: Difference, known: Known, zone: tzinfo) -> None:
        self.found, self.known, self.zone = found, known, zone
        self.here = addresses.diff(found.before.run, found.after.run)

    def view(self) -> DiffView:
        found = self.found
        parts = tuple(part for part in self._parts() if part.groups)
        causes = [cause for cause in found.causes if cause.before != cause.after]
        return DiffView(
            title=title(found),
            lede=_lede(found, self.zone),
            backwards=found.after.now < found.before.now,
            sides=tuple(
                self._side(name, side) for name, side in (("A", found.before), ("B", found.after))
            ),
            numbers=tuple(self._numbers({part.anchor for part in parts})),
            parts=parts,
            causes=_table(causes, self._cause, "cause"),
            slower=_table([task for task in found.tasks if task.slower], self._task, "task"),
            faster=_table([task for task in found.tasks if not task.slower], self._task, "task"),
            flows=_table(found.flows, self._flow, "workflow"),
            command=f"jmreport diff {found.before.run} {found.after.run} --format json",
            nights=addresses.relative(self.here, addresses.NIGHTS),
            diffs=addresses.relative(self.here, addresses.DIFFS),
            zone=words.zone_name(found.after.now, self.zone),
        )

    def _link(self, text: str, address: str) -> Link:
        return Link(text, addresses.relative(self.here, address) if self.known(address) else "")

    def _side(self, name: str, side: Side) -> SideRow:
        night = addresses.night(side.run)
        return SideRow(
            name=name,
            when=words.when(side.now, self.zone),
            href=self._link("", night).href,
            since=words.short_when(side.since, self.zone, near=side.now),
            complete=side.complete,
            ended=words.number(side.ended.total),
            failed=words.number(side.ended.failed),
            failing=words.number(side.failing),
            unknown=words.number(side.unknown),
            filtered=words.cut_middle(filtered.named(side.filters), 200) if side.filters else "",
        )

    def _numbers(self, anchors: set[str]) -> Iterator[Number]:
        found = self.found
        for what, jobs, kind, anchor in (
            ("New failures", found.new, "failed", "new"),
            ("Fixed", found.fixed, "succeeded", "fixed"),
            ("Still failing", found.still_failing, "aborted", "still-failing"),
            ("Not run", found.not_run, "aborted", "not-run"),
            ("First seen", found.first_seen, "running", "first-seen"),
            ("Unknown", found.unknown, "aborted", "unknown"),
        ):
            if anchor == "unknown" and not jobs:
                continue
            yield Number(
                n=words.number(len(jobs)),
                what=what,
                kind=kind if jobs else f"{kind} zero",
                href=f"#{anchor}" if anchor in anchors else "",
            )

    def _parts(self) -> Iterator[Part]:
        found = self.found
        for anchor, heading, note, jobs in (
            ("new", "New failures", "Failing in B, and not in A", found.new),
            ("fixed", "Fixed", "Failed in A, and succeeded since", found.fixed),
            ("still-failing", "Still failing", "Failing in A and in B", found.still_failing),
            (
                "lapsed",
                "Failed in A, unknown in B",
                "They did not run for so long that nobody can say whether they are fixed",
                found.lapsed,
            ),
            (
                "not-run",
                "Not run in B",
                "Ran in the night of A, and not in that of B",
                found.not_run,
            ),
            ("first-seen", "First seen in B", "Not known to A", found.first_seen),
            (
                "unknown",
                "Unknown in B",
                "Could not be read, or were lost while they ran",
                found.unknown,
            ),
        ):
            yield Part(anchor=anchor, heading=heading, note=note, groups=self._by_workflow(jobs))

    def _by_workflow(self, jobs: Sequence[DiffJob]) -> tuple[Group, ...]:
        flows: dict[str, list[DiffJob]] = {}
        for job in jobs:
            flows.setdefault(job.workflow, []).append(job)
        return tuple(self._group(name, flows[name]) for name in sorted(flows))

    def _group(self, workflow: str, jobs: Sequence[DiffJob]) -> Group:
        since = min((job.since for job in jobs if job.since), default=None)
        return Group(
            count=words.plural(len(jobs), "job"),
            workflow=self._workflow(workflow),
            since=words.when(since, self.zone),
            jobs=tuple(
                self._link(words.cut_end(job.short_id, 60), addresses.job(job.id)) for job in jobs
            ),
        )

    def _workflow(self, name: str) -> Link:
        return self._link(words.cut_middle(name, 120) or NO_NAME, addresses.workflow(name))

    def _cause(self, cause: CauseDifference) -> CauseRow:
        change = "came" if not cause.before else "went" if not cause.after else ""
        return CauseRow(
            title=words.cut_middle(cause.title, 300),
            href=self._link("", addresses.cause(cause.id)).href,
            cause_class=cause.cause_class,
            before=words.number(cause.before),
            after=words.number(cause.after),
            change=change or ("more" if cause.after > cause.before else "fewer"),
        )

    def _flow(self, flow: FlowDifference) -> FlowRow:
        return FlowRow(
            workflow=self._workflow(flow.name),
            failed_before=_of(flow.before.failed, flow.before.total),
            failed_after=_of(flow.after.failed, flow.after.total),
            took_before=_took(flow.took_before),
            took_after=_took(flow.took_after),
        )

    def _task(self, task: TaskDifference) -> TaskRow:
        ratio = task.after / task.before if task.before else float("inf")
        return TaskRow(
            task=words.cut_middle(task.task, 100) or "(the whole job)",
            workflow=self._workflow(task.workflow),
            before=_took(task.before),
            after=_took(task.after),
            attempts_before=words.plural(task.attempts_before, "attempt"),
            attempts_after=words.plural(task.attempts_after, "attempt"),
            ratio=f"{min(ratio, 9999):.1f} ×",
        )


def title(found: Difference) -> str:
    """The verdict: "3 new failures, 2 fixed"."""
    if found.new and found.fixed:
        return (
            f"{words.plural(len(found.new), 'new failure')}, {words.number(len(found.fixed))} fixed"
        )
    if found.new:
        return words.plural(len(found.new), "new failure")
    if found.fixed:
        return f"{words.number(len(found.fixed))} fixed, no new failures"
    return "Nothing differs" if found.nothing else "No new failures, nothing fixed"


def _lede(found: Difference, zone: tzinfo) -> str:
    before, after = (words.day(side.now, zone) for side in (found.before, found.after))
    if before and after and before.text == after.text:
        before, after = (words.when(side.now, zone) for side in (found.before, found.after))
    start = f"{before.text if before else ''} compared with {after.text if after else ''}"
    said = [
        f"{words.number(count)} {what}"
        for count, what in (
            (len(found.still_failing), "still failing"),
            (len(found.not_run), "not run"),
            (len(found.first_seen), "first seen"),
            (sum(task.slower for task in found.tasks), "slower tasks"),
        )
        if count
    ]
    said = [text.replace("1 slower tasks", "1 slower task") for text in said]
    return f"{start}: {', '.join(said)}." if said else f"{start}."


def _of(failed: int, ended: int) -> str:
    return f"{words.number(failed)} of {words.number(ended)}" if ended else ""


def _took(seconds: float | None) -> str:
    return "" if seconds is None else words.duration(timedelta(seconds=min(seconds, 1e12)))


def _table(found: Sequence[S], row: Callable[[S], T], noun: str) -> Table[T]:
    """The page stays as it was told, so what has no room at once is folded on the page itself."""
    beyond, left = len(found) - ROWS, len(found) - MOST
    return Table(
        rows=tuple(map(row, found[:ROWS])),
        folded=tuple(map(row, found[ROWS:MOST])),
        more=f"and {words.plural(beyond, f'more {noun}')}" if beyond > 0 else "",
        left=words.plural(left, f"more {noun}") if left > 0 else "",
    )


def _list(found: Sequence[Difference], zone: tzinfo) -> DiffsView:
    newest = sorted(found, key=lambda one: (one.after.run, one.before.run), reverse=True)
    return DiffsView(
        lines=tuple(
            DiffLine(
                before=words.when(one.before.now, zone),
                after=words.when(one.after.now, zone),
                href=addresses.relative(
                    addresses.DIFFS, addresses.diff(one.before.run, one.after.run)
                ),
                verdict=title(one),
            )
            for one in newest
        ),
        title=words.plural(len(found), "comparison") if found else "No comparisons yet",
        nights=addresses.relative(addresses.DIFFS, addresses.NIGHTS),
    )
