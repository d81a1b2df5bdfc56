"""The list of workflows: which of them it has room for, and what it says of the others."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import inf

from msgspec import Struct

from jmreport.records import Filters
from jmreport.render import addresses, filtered, labelpages, sparklines, words
from jmreport.render.joblists import NO_NAME, Lists
from jmreport.render.leads import Link
from jmreport.render.page import Page, digest
from jmreport.render.workflowfacts import (
    LACKS,
    Lacking,
    Window,
    in_a_sentence,
    jobs_link,
    new_and_before,
    what_lacks,
    windows,
)
from jmreport.report import Report
from jmreport.report.counts import WorkflowReport

#: Workflows in each of the two tables of their list.
ROWS = 300


class WorkflowLine(Struct, frozen=True, kw_only=True):
    """A workflow on the list of workflows."""

    name: str
    href: str
    jobs: labelpages.Count
    failed: labelpages.Count
    rate: str
    no_rate: str
    usual: str
    segments: tuple[sparklines.Segment, ...]
    split: str
    verdict: str


class WorkflowsView(Struct, frozen=True, kw_only=True):
    """The list of workflows: those of this report first.

    Where a table has not room for all, `shown` or `shown_earlier` says so, and `all` leads to them.
    """

    title: str
    lines: tuple[WorkflowLine, ...]
    earlier: tuple[WorkflowLine, ...]
    none: str
    shown: str
    shown_earlier: str
    all: Link


def pages(report: Report, lists: Lists, *, as_of: words.Moment | None) -> Iterator[Page]:
    """The list of workflows, those of earlier reports below the others."""
    by_name, filters, lacking = windows(report), report.run.asked.filters, what_lacks(report)
    shown = [flow for flow in report.workflows if flow.split.total]
    earlier = [flow for flow in report.workflows if not flow.split.total]

    def lines(flows: Sequence[WorkflowReport]) -> tuple[WorkflowLine, ...]:
        ordered = sorted(flows, key=lambda flow: _worst_first(flow, lacking))
        return tuple(
            _line(flow, by_name.get(flow.name, {}), filters, lists, lacking[flow.name])
            for flow in ordered
        )

    few, cut = _few(shown, lacking)
    few_earlier, cut_earlier = _few(earlier, lacking)
    view = WorkflowsView(
        title=_title(shown, earlier, lacking, first=report.previous is None),
        lines=lines(few),
        earlier=lines(few_earlier),
        none=f"No job of any workflow in this time frame.{filtered.maybe(filters)}",
        shown=_room(few, cut, lacking),
        shown_earlier=_room(few_earlier, cut_earlier, lacking),
        all=_all(report.workflows),
    )
    yield Page(
        address=addresses.WORKFLOWS,
        template="workflows.html",
        content=digest(view, as_of),
        view=lambda _charts: view,
        as_of=as_of,
    )


def _few(
    flows: Sequence[WorkflowReport], lacking: Lacking
) -> tuple[list[WorkflowReport], list[WorkflowReport]]:
    """As many workflows as a table has room for, and the others: those that need somebody come
    first, then the last that ran.

    The jobs without a workflow are among them, since no page of a label leads to theirs.
    """

    def order(flow: WorkflowReport) -> tuple[bool, int, int, int, float, str]:
        new, failing, lacks, name = _worst_first(flow, lacking)
        ended = flow.durations[-1][0].timestamp() if flow.durations else -inf
        return bool(name), new, failing, lacks, -ended, name

    ordered = sorted(flows, key=order)
    return ordered[:ROWS], ordered[ROWS:]


def _room(few: Sequence[WorkflowReport], cut: Sequence[WorkflowReport], lacking: Lacking) -> str:
    """That a table does not show all of its workflows, and which; "" where it does."""
    if not cut:
        return ""
    said = f"{words.number(len(few))} of {words.plural(len(few) + len(cut), 'workflow')}"
    wrong = "fails, is missing, stuck or unknown"
    needing = sum(any(_worst_first(flow, lacking)[:3]) for flow in cut)
    if not needing:
        timed = "a job of known duration ended last"
        return f"{said}: those of which something {wrong}, and then those of which {timed}."
    new, _ = _needing(cut)
    newly = f" ({words.number(new)} with new failures)" if new else ""
    return f"{said}, the worst first: of {words.number(needing)} more{newly} something {wrong} too."


def _all(flows: Sequence[WorkflowReport]) -> Link:
    """The pages that have all workflows with the jobs that are known of each, a hundred on each."""
    to = f"{addresses.label('name')}#{labelpages.frame_anchor('ALL_TIME')}"
    return Link(
        text=f"All {words.plural(len(flows), 'workflow')}",
        href=addresses.relative(addresses.WORKFLOWS, to),
    )


def _worst_first(flow: WorkflowReport, lacking: Lacking) -> tuple[int, int, int, str]:
    """What is new first, then what still fails, then what lacks otherwise, the rest by name."""
    new, failing = new_and_before(flow)
    return -new, -failing, -lacking[flow.name].total(), flow.name


def _title(
    shown: Sequence[WorkflowReport],
    earlier: Sequence[WorkflowReport],
    lacking: Lacking,
    *,
    first: bool,
) -> str:
    """How many workflows the report has, and how many need somebody, be they of earlier ones."""
    new, failing = _needing(shown)
    new_earlier, failing_earlier = _needing(earlier)
    still = "failing" if first else "still failing"
    said = (
        _needing_words(new, new_earlier, "with new failures"),
        _needing_words(failing, failing_earlier, still),
        *_quiet_words(shown, earlier, lacking),
    )
    return ", ".join((words.plural(len(shown), "workflow"), *filter(None, said)))


def _needing(flows: Sequence[WorkflowReport]) -> tuple[int, int]:
    """How many workflows have new failures, and how many others still fail."""
    counts = [new_and_before(flow) for flow in flows]
    new = sum(fresh > 0 for fresh, _ in counts)
    return new, sum(fresh == 0 and old > 0 for fresh, old in counts)


def _quiet_words(
    shown: Sequence[WorkflowReport], earlier: Sequence[WorkflowReport], lacking: Lacking
) -> Iterator[str]:
    """How many workflows of which nothing fails need somebody all the same, by what it is."""
    for what in LACKS:
        of, of_earlier = (
            sum(new_and_before(flow) == (0, 0) and lacking[flow.name][what] > 0 for flow in flows)
            for flows in (shown, earlier)
        )
        yield _needing_words(of, of_earlier, f"with {what} jobs")


def _needing_words(shown: int, earlier: int, what: str) -> str:
    if not shown + earlier:
        return ""
    said = f"{words.number(shown + earlier)} {what}"
    if not earlier:
        return said
    return f"{said} ({f'{words.number(earlier)} ' if shown else ''}not in this report)"


def _line(
    flow: WorkflowReport, by_status: Window, filters: Filters, lists: Lists, lacks: Counter[str]
) -> WorkflowLine:
    at = addresses.WORKFLOWS
    split = flow.split
    return WorkflowLine(
        name=words.breakable(words.cut_middle(flow.name, 100) or NO_NAME),
        href=addresses.relative(at, addresses.workflow(flow.name)),
        jobs=labelpages.Count(
            label="Jobs",
            text=words.number(split.total),
            href=jobs_link(flow, by_status, "", lists, at),
        ),
        failed=labelpages.Count(
            label="Failed",
            text=words.MISSING
            if filters.hides_failures and not split.failed
            else words.number(split.failed),
            href=jobs_link(flow, by_status, "Failed", lists, at) if split.failed else "",
        ),
        rate=words.percent(filtered.rate(split, filters)),
        no_rate=filtered.no_rate(filters),
        usual=words.duration(flow.usual.median) if flow.usual else "",
        segments=labelpages.bar(split),
        split=labelpages.split_words(split.counts),
        verdict=in_a_sentence(flow, filters, lacks),
    )
