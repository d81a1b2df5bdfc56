"""The page of each workflow: its counts, what fails of it, its tasks and its nights."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from jmreport.records import Filters
from jmreport.render import (
    addresses,
    bands,
    charts,
    filtered,
    flakypages,
    labelpages,
    overviewrows,
    taskpages,
    words,
)
from jmreport.render.causewords import class_words, lasting
from jmreport.render.drawings import Charts
from jmreport.render.guides import Guides
from jmreport.render.joblists import (
    NO_NAME,
    Column,
    Jobs,
    Lines,
    Lists,
    few,
    list_name,
    status_adjective,
    status_order,
)
from jmreport.render.lastnights import day_number, day_rates, day_words, night_words
from jmreport.render.leads import Link, ToLists
from jmreport.render.page import Page, digest
from jmreport.render.workflowfacts import Window, in_a_sentence, jobs_link, what_lacks, windows
from jmreport.report import Report
from jmreport.report.causes import CauseGroup
from jmreport.report.counts import Day, WorkflowReport
from jmreport.settings import Prices


class CauseRow(Struct, frozen=True, kw_only=True):
    """A cause of this workflow's failures."""

    state: str
    state_kind: str
    jobs: Link
    tasks: str
    title: str
    href: str
    known: str
    cause_class: str
    since: words.Moment | None
    lasting: tuple[str, ...]


class TaskRow(Struct, frozen=True, kw_only=True):
    """A task and how many jobs of the window failed in it."""

    task: str
    jobs: Link


class Point(Struct, frozen=True, kw_only=True):
    """A day of the failure rate chart, in its table."""

    day: str
    anchor: str
    failed: Link
    aborted: Link
    succeeded: Link
    rate: str
    no_rate: str


class WorkflowView(Struct, frozen=True, kw_only=True):
    """A workflow's page."""

    name: str
    title: str
    lede: str
    runbook: Markup
    workflows: str
    usual: str
    counts: tuple[labelpages.Count, ...]
    rate: str
    no_rate: str
    causes: tuple[CauseRow, ...]
    causes_more: Link | None
    failing: Link | None
    tasks: tuple[TaskRow, ...]
    work: taskpages.Summary
    flaky: flakypages.Flaky
    days: tuple[Point, ...]
    columns: tuple[Column, ...]
    zone: str
    runs: Lines = Lines()
    figures: tuple[charts.Rates | charts.Durations, ...] = ()
    drawings: tuple[Markup, ...] = ()


def pages(report: Report, lists: Lists, prices: Prices, guides: Guides) -> Iterator[Page]:
    """A page for each workflow, also for those of earlier reports."""
    by_name, lacking = windows(report), what_lacks(report)
    # What its page tells of a cause is known of all workflows, as on the overview.
    first_seen = {cause.id: cause.first_seen for cause in report.causes}
    for flow in report.workflows:
        leads = ToLists(report, lists, addresses.workflow(flow.name))
        work = taskpages.of_flow(flow.name, report, leads, prices)
        flaky = flakypages.of_flow(flow.name, report.flaky, leads)
        causes = tuple(
            replace(group, first_seen=first_seen.get(group.id, group.first_seen))
            for group in flow.causes
        )
        one = _view(
            replace(flow, causes=causes),
            by_name.get(flow.name, {}),
            report,
            lists,
            work,
            flaky,
            guides,
            lacking[flow.name],
        )
        yield _page(one, flow.jobs, lists.jobs)


def _page(view: WorkflowView, runs: Sequence[str], jobs: Jobs) -> Page:
    at = addresses.workflow(view.name)

    def drawn(draw: Charts) -> WorkflowView:
        return replace(
            view,
            runs=jobs.lines(runs, at, without="name"),
            drawings=tuple(draw.svg(chart) for chart in view.figures),
        )

    return Page(
        address=at,
        template="workflow.html",
        content=digest(view, jobs.shown(runs, at)),
        view=drawn,
        figures=view.figures,
    )


def _view(
    flow: WorkflowReport,
    by_status: Window,
    report: Report,
    lists: Lists,
    work: taskpages.Summary,
    flaky: flakypages.Flaky,
    guides: Guides,
    lacks: Counter[str],
) -> WorkflowView:
    at = addresses.workflow(flow.name)
    jobs = lists.jobs
    rates = day_rates(flow.days)
    return WorkflowView(
        name=flow.name,
        title=words.cut_apart(flow.name, 120) or NO_NAME,
        lede=_lede(flow, report.run.asked.filters, lacks),
        runbook=guides.workflow(flow.name),
        workflows=addresses.relative(at, addresses.WORKFLOWS),
        usual=_usual(flow),
        counts=tuple(_counts(flow, by_status, lists, at)),
        rate=words.percent(filtered.rate(flow.split, report.run.asked.filters)),
        no_rate=filtered.no_rate(report.run.asked.filters),
        causes=tuple(
            _cause(group, flow, lists, at, guides) for group in flow.causes[: overviewrows.CAUSES]
        ),
        causes_more=overviewrows.more_causes(flow.causes, ToLists(report, lists, at)),
        failing=_all_failing(flow, lists, at),
        tasks=tuple(_tasks(flow, by_status, lists, at)),
        work=work,
        flaky=flaky,
        days=tuple(
            Point(
                day=day_words(day.day),
                anchor=_day_anchor(day),
                failed=_day(flow, day, "Failed", lists, at),
                aborted=_day(flow, day, "Aborted", lists, at),
                succeeded=_day(flow, day, "Succeeded", lists, at),
                rate=words.percent(rate),
                no_rate="none ended" if day.told else filtered.UNSEEN,
            )
            for day, rate in zip(reversed(flow.days), reversed(rates), strict=True)
        ),
        columns=tuple(column for column in jobs.columns if column.key != "name"),
        zone=words.zone_name(report.now, jobs.zone),
        figures=tuple(_charts(flow, rates, lists)),
    )


def _day(flow: WorkflowReport, day: Day, status: str, lists: Lists, at: str) -> Link:
    """A workflow's jobs of one status that ended in a night."""
    address = _day_list(flow, day, status, lists)
    return Link(
        text=day_number(day, status, len(day.jobs.get(status, ()))),
        href=addresses.relative(at, address) if address else "",
    )


def _day_list(flow: WorkflowReport, day: Day, status: str, lists: Lists) -> str:
    return lists.link_or_job(
        list_name("day", flow.name, day.day, status),
        f"{status_adjective(words.status(status))} jobs of "
        f"{words.cut_apart(flow.name, 80) or NO_NAME} {night_words(day.day)}",
        day.jobs.get(status, ()),
        back=(words.cut_middle(flow.name, 80) or NO_NAME, addresses.workflow(flow.name)),
    )


def day_address(flow: WorkflowReport, day: Day, lists: Lists) -> str:
    """Where the site tells of a workflow's jobs of a night anyway; "" where it does not.

    The list of those of one status, and where there are several the night's row on the workflow's
    page, which leads to the list of each.
    """
    statuses = [status for status, jobs in day.jobs.items() if jobs]
    if len(statuses) == 1:
        return _day_list(flow, day, statuses[0], lists)
    if not statuses or not (_draws_rates(day_rates(flow.days)) or _draws_durations(flow)):
        return ""
    return f"{addresses.workflow(flow.name)}#{_day_anchor(day)}"


def _day_anchor(day: Day) -> str:
    return f"night-{day.day}"


def _draws_rates(rates: Sequence[float | None]) -> bool:
    return sum(rate is not None for rate in rates) > 1


def _draws_durations(flow: WorkflowReport) -> bool:
    return len(flow.durations) > 1


def _counts(
    flow: WorkflowReport, by_status: Window, lists: Lists, at: str
) -> Iterator[labelpages.Count]:
    counts = few(flow.split.counts)
    for status in sorted(counts, key=status_order):
        count = counts[status]
        if count:
            yield labelpages.Count(
                label=words.status(status).text,
                text=words.number(count),
                # Several words have no list of their own.
                href=jobs_link(flow, by_status, status, lists, at)
                if flow.split.counts.get(status) == count
                else "",
            )


def _lede(flow: WorkflowReport, filters: Filters, lacks: Counter[str]) -> str:
    start = f"{in_a_sentence(flow, filters, lacks)}."
    if flow.split.total:
        start += f" {words.plural(flow.split.total, 'job')} in this report."
    return start


def _usual(flow: WorkflowReport) -> str:
    usual = flow.usual
    if usual is None:
        # How many there were is not known: what is drawn are the last that ended, however they did.
        return "No usual duration yet: it needs 5 successful runs that took a known time."
    return (
        f"{words.duration(usual.median)}; the middle 80 % take {words.duration(usual.p10)} to "
        f"{words.duration(usual.p90)}, the longest {words.duration(usual.longest)} "
        f"(last {words.plural(usual.runs, 'successful run')})."
    )


def _cause(
    group: CauseGroup, flow: WorkflowReport, lists: Lists, at: str, guides: Guides
) -> CauseRow:
    href = lists.link_or_job(
        list_name("cause", group.id, flow.name, group.state),
        f"jobs of {words.cut_apart(flow.name, 60) or NO_NAME} failing with: "
        f"{words.cut_apart(group.title, 100) or group.rule}",
        group.jobs,
        back=(words.cut_middle(flow.name, 80) or NO_NAME, addresses.workflow(flow.name)),
    )
    return CauseRow(
        state={"new": "New", "still failing": "Still failing"}.get(group.state, "Failing"),
        state_kind={"new": "new", "still failing": "still"}.get(group.state, "failed"),
        jobs=Link(
            text=words.number(len(group.jobs)), href=addresses.relative(at, href) if href else ""
        ),
        tasks=", ".join(words.cut_middle(task, 60) for task in group.tasks),
        title=words.cut_middle(group.title or group.rule, 300),
        href=addresses.relative(at, addresses.cause(group.id)),
        known=guides.name(group.title, group.example),
        cause_class=class_words(group.cause_class),
        since=words.short_when(group.since, lists.jobs.zone),
        lasting=tuple(lasting(group, lists.jobs.now, lists.jobs.zone)),
    )


def _all_failing(flow: WorkflowReport, lists: Lists, at: str) -> Link | None:
    """The list of all jobs of a workflow that fail; None where its table has all of its causes.

    The causes that are left out are on a list with those of every other workflow.
    """
    if len(flow.causes) <= overviewrows.CAUSES:
        return None
    jobs = [*chain.from_iterable(group.jobs for group in flow.causes)]
    name = words.cut_middle(flow.name, 80) or NO_NAME
    address = lists.link(
        list_name("failing", flow.name),
        f"jobs of {words.cut_apart(flow.name, 80) or NO_NAME} failing now",
        jobs,
        back=(name, addresses.workflow(flow.name)),
    )
    text = f"All {words.plural(len(jobs), 'job')} of this workflow failing now"
    return Link(text=text, href=addresses.relative(at, address))


def _tasks(flow: WorkflowReport, by_status: Window, lists: Lists, at: str) -> Iterator[TaskRow]:
    failed: defaultdict[str, list[str]] = defaultdict(list)
    for job in chain.from_iterable(by_status.values()) if flow.failed_tasks else ():
        row = lists.jobs.row(job)
        # One that runs, or succeeded in the end, may have a failed task too: it is no failed job.
        if row and row.status == "Failed":
            for task in row.failed_tasks:
                failed[task].append(job)
    for task, count in flow.failed_tasks:
        jobs = failed[task]
        href = ""
        if len(jobs) == count:
            address = lists.link_or_job(
                list_name("task", flow.name, task),
                f"jobs of {words.cut_apart(flow.name, 60) or NO_NAME} that failed in "
                f"{words.cut_apart(task, 60)}",
                jobs,
                back=(words.cut_middle(flow.name, 80) or NO_NAME, addresses.workflow(flow.name)),
            )
            href = addresses.relative(at, address) if address else ""
        yield TaskRow(
            task=words.cut_middle(task, 100), jobs=Link(text=words.number(count), href=href)
        )


def _charts(
    flow: WorkflowReport, rates: Sequence[float | None], lists: Lists
) -> Iterator[charts.Rates | charts.Durations]:
    if _draws_rates(rates):
        last = max(place for place, rate in enumerate(rates) if rate is not None)
        band = bands.usual_band(rates[: last + 1])
        yield charts.Rates(
            title="Failure rate by night",
            take_away=_rate_said(flow, rates, last, band),
            days=tuple(day_words(day.day) for day in flow.days),
            rates=tuple(rates),
            band=band,
        )
    if _draws_durations(flow):
        yield _durations(flow, lists)


def _rate_said(
    flow: WorkflowReport,
    rates: Sequence[float | None],
    last: int,
    band: tuple[float, float] | None,
) -> str:
    said = f"{words.percent(rates[last])} failed in the night to {day_words(flow.days[last].day)}"
    if band is None:
        return f"{said}."
    low, high = map(words.percent, band)
    usual = low if low == high else f"{low} to {high} (grey band)"
    return f"{said}; usually {usual}."


def _durations(flow: WorkflowReport, lists: Lists) -> charts.Durations:
    usual = flow.usual
    runs = flow.durations

    def day(place: int) -> str:
        return day_words(runs[place][0].astimezone(lists.jobs.zone).date().isoformat())

    said = f"The last {words.plural(len(runs), 'finished run')}, oldest first"
    band = (
        f"; usually {words.duration(usual.p10)} to {words.duration(usual.p90)} (grey band)"
        if usual
        else ""
    )
    return charts.Durations(
        title="How long its runs took",
        take_away=f"{said}{band}. Dots succeeded, crosses failed, squares were aborted.",
        runs=tuple(charts.Run(ended=at, seconds=took, status=status) for at, took, status in runs),
        first_day=day(0),
        last_day=day(-1),
        band=(usual.p10.total_seconds(), usual.p90.total_seconds()) if usual else None,
        median=usual.median.total_seconds() if usual else None,
    )
