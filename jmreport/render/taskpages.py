"""Tasks: those that failed, those that are slower, and the hours that led to no success.

    tasks/index.html        failed tasks, slower tasks, waste by task, workflow and label

The overview and the pages of workflows show a part of it (`summary`, `of_flow`). Money is shown
where the settings name a price of an hour.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from msgspec import Struct

from jmreport.night import Told
from jmreport.records import Filters
from jmreport.render import addresses, causewords, filtered, words
from jmreport.render.joblists import NO_NAME, Lists, list_name
from jmreport.render.leads import Leads, Link, ToLists, workflow_link
from jmreport.render.page import Page, digest
from jmreport.render.wastewords import (
    hours,
    lost_words,
    money_words,
    tonight_words,
    usual_words,
    waste_words,
)
from jmreport.report import FEW, Report
from jmreport.report.causes import CauseGroup
from jmreport.report.costs import Cost, LabelCost, SlowerTask, TaskCost, Waste
from jmreport.report.counts import WorkflowReport
from jmreport.settings import Prices

#: Rows of a table; what is left out is said with a count.
ROWS = 25
#: Rows of a label's table, labels with a table, and rows on pages that only show a part.
VALUES = 10
LABELS = 8
#: What a job of a server without tasks is called where tasks are listed.
ITSELF = "(the whole job)"


class FailedRow(Struct, frozen=True, kw_only=True):
    """A task with the jobs of the report that failed in it."""

    task: str
    workflow: Link
    jobs: Link
    new: str
    cause: str
    cause_href: str
    cause_class: str
    #: Where the cause is told of jobs that fail in it now, if it is not this task's.
    elsewhere: str


class SlowerRow(Struct, frozen=True, kw_only=True):
    """A task that took much longer than it usually does."""

    task: str
    workflow: Link
    tonight: str
    attempts: str
    usual: str
    usual_of: str
    ratio: str
    since: words.Moment | None
    since_href: str
    jobs: Link


class Lost(Struct, frozen=True, kw_only=True):
    """Hours of one outcome, and how many attempts; "" for none."""

    label: str
    hours: str
    attempts: str


class CostRow(Struct, frozen=True, kw_only=True):
    """What a task, a workflow or a value of a label lost."""

    name: Link
    absent: bool
    workflow: Link | None
    lost: str
    share: str
    split: tuple[Lost, ...]
    jobs: Link
    money: str


class CostTable(Struct, frozen=True, kw_only=True):
    """Costs, the most first. `money` says what the column holds, "" where there is none."""

    heading: str
    caption: str
    anchor: str
    rows: tuple[CostRow, ...]
    more: str
    money: str
    href: str = ""


class Summary(Struct, frozen=True, kw_only=True):
    """The part of it for the overview, or for a workflow's page."""

    slower: tuple[SlowerRow, ...]
    slower_more: str
    waste: str
    usual: str
    tasks: CostTable | None
    href: str


class TasksView(Struct, frozen=True, kw_only=True):
    """The page."""

    title: str
    lede: str
    failed: tuple[FailedRow, ...]
    failed_more: str
    failed_none: str
    slower: tuple[SlowerRow, ...]
    slower_note: str
    slower_none: str
    waste: tuple[str, ...]
    tables: tuple[CostTable, ...]
    unmeasured: Link | None
    zone: str


def pages(
    report: Report, lists: Lists, prices: Prices, *, as_of: words.Moment | None
) -> Iterator[Page]:
    """The one page."""
    view = _Tasks(report, ToLists(report, lists, addresses.TASKS), prices).view()
    yield Page(
        address=addresses.TASKS,
        template="tasks.html",
        content=digest(view, as_of),
        view=lambda _charts: view,
        as_of=as_of,
    )


def summary(told: Told, leads: Leads, prices: Prices) -> Summary:
    """Slower tasks and last night's waste, for an overview."""
    return Summary(
        slower=tuple(_slower(one, leads) for one in told.slower[:FEW]),
        slower_more=_more(told.totals.slower - FEW, "slower task"),
        waste=tonight_words(told, prices),
        usual=usual_words(told.waste),
        tasks=None,
        href=leads.newest(addresses.TASKS),
    )


def of_flow(flow: str, report: Report, leads: Leads, prices: Prices) -> Summary:
    """Slower tasks and waste of one workflow, for its page."""
    slower = [one for one in report.slower if one.workflow == flow]
    waste = report.waste
    cost = next((cost for name, cost in waste.workflows if name == flow), None) if waste else None
    tasks = [one for one in waste.tasks if one.workflow == flow] if waste else []
    return Summary(
        slower=tuple(_slower(one, leads) for one in slower[:ROWS]),
        slower_more=_more(len(slower) - ROWS, "slower task"),
        waste=waste_words(cost, prices) if cost else "",
        usual="",
        tasks=_Tasks(report, leads, prices).task_table(tasks, flows=False) if tasks else None,
        href=leads.newest(addresses.TASKS),
    )


def mistakes(prices: Prices, report: Report) -> tuple[str, ...]:
    """Prices of tasks that nobody has: written wrong, the task costs what every other does.

    None behind a filter, which may be why, nor where no job has a task.
    """
    ran = {one.measure.task for night in report.nights for one in night.tasks}
    if report.waste:
        ran.update(one.task for one in report.waste.tasks)
    names = {name for task in ran for name in (task, task.rpartition(".")[2]) if name}
    if not names or filtered.narrows(report.run.asked.filters):
        return ()
    return tuple(
        f"[prices] tasks: {words.cut_middle(task, 100)}: no job that ended has such a task"
        + next((f"; did you mean {near}?" for near in get_close_matches(task, names, n=1)), "")
        for task in prices.tasks
        if task not in names
    )


def task_name(task: str) -> str:
    return words.cut_middle(task, 100) or ITSELF


def _more(count: int, noun: str) -> str:
    return f"and {words.plural(count, f'more {noun}')}" if count > 0 else ""


def _cause_now(flow: WorkflowReport, task: str, alone: set[str]) -> CauseGroup | None:
    """Why a task fails now: the cause that most jobs have which fail of it.

    Else the one of the jobs that failed in it `alone` and fail now, though another task is told of:
    as of the call of a sub-workflow, whose own task says why.
    """
    told = [group for group in flow.causes if task in group.tasks]
    if told:
        return max(told, key=lambda group: len(group.jobs))
    most = max(flow.causes, key=lambda group: len(alone.intersection(group.jobs)), default=None)
    return most if most and not alone.isdisjoint(most.jobs) else None


def _elsewhere(told: Sequence[CauseGroup]) -> str:
    """Where the causes of jobs are told that also failed in another task; "" where none fails."""
    if any(group.tasks for group in told):
        return "Told of under another task"
    return "Told of the jobs as a whole" if told else ""


def _own(tasks: Sequence[str]) -> Sequence[str]:
    """The failed tasks of a job itself: those of its sub-workflows are behind the calls' names."""
    return [task for task in tasks if "." not in task] or tasks


def _slower(one: SlowerTask, leads: Leads) -> SlowerRow:
    name = words.cut_apart(one.workflow, 60) or NO_NAME
    task = words.cut_apart(one.task, 100) or ITSELF
    return SlowerRow(
        task=words.breakable_task(task_name(one.task)),
        workflow=workflow_link(one.workflow, leads),
        tonight=hours(one.tonight),
        attempts=words.plural(one.attempts, "attempt"),
        usual=hours(one.usual),
        usual_of=f"{words.plural(one.usual_attempts, 'attempt')} in "
        f"{words.plural(one.nights, 'night')}",
        ratio=f"{min(one.ratio, 9999):.1f} ×",
        since=words.short_when(one.since, leads.zone, near=leads.now),
        since_href=leads.night(one.since_run),
        jobs=Link(
            text=words.number(one.ran_in),
            href=_jobs(
                list_name("slower", one.workflow, one.task),
                f"jobs of {name} that ran the slower task {task} last night",
                one.jobs,
                leads,
            ).href,
        ),
    )


def _jobs(name: str, title: str, jobs: Sequence[str], leads: Leads) -> Link:
    """How many jobs, and the list of exactly these."""
    return Link(
        text=words.number(len(jobs)),
        href=leads.job_or_jobs(name, title, jobs, back=("Tasks", addresses.TASKS)),
    )


class _Tasks:
    """One report's tasks as a page shows them."""

    def __init__(self, report: Report, leads: Leads, prices: Prices) -> None:
        self.report, self.leads, self.prices = report, leads, prices
        self.filters = report.run.asked.filters
        self.money = prices.hour is not None or bool(prices.tasks)

    def view(self) -> TasksView:
        report, waste = self.report, self.report.waste
        failed = list(self._failed())
        failed.sort(key=lambda pair: (-pair[0], pair[1].task, pair[1].workflow.text))
        return TasksView(
            title=_title(report),
            lede=_lede(report),
            failed=tuple(row for _, row in failed[:ROWS]),
            failed_more=_more(len(failed) - ROWS, "failed task"),
            failed_none="Failed jobs were not asked for."
            if self.filters.hides_failures
            else "No job of this report failed in a task.",
            slower=tuple(_slower(one, self.leads) for one in report.slower),
            slower_note=_slower_note(report),
            slower_none=_slower_none(self.filters),
            waste=tuple(self._waste_said(waste)) if waste else (),
            tables=tuple(self._tables(waste)) if waste else (),
            unmeasured=self._unmeasured(waste) if waste else None,
            zone=words.zone_name(report.now, self.leads.zone),
        )

    # --- failed tasks ---

    def _failed(self) -> Iterator[tuple[int, FailedRow]]:
        new = {job for group in self.report.attention for job in group.new_jobs}
        failed: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        alone: set[str] = set()
        for entry in self.report.jobs:
            if entry.row.status == "Failed":
                for task in entry.row.failed_tasks:
                    failed[entry.row.name, task].append(entry.row.id)
                if len(_own(entry.row.failed_tasks)) == 1:
                    alone.add(entry.row.id)
        for flow in self.report.workflows:
            told = {job: group for group in flow.causes for job in group.jobs}
            for task, _ in flow.failed_tasks:
                jobs = failed[flow.name, task]
                cause = _cause_now(flow, task, alone.intersection(jobs))
                elsewhere = "" if cause else _elsewhere([told[job] for job in jobs if job in told])
                yield len(jobs), self._failed_row(flow, task, jobs, new, cause, elsewhere)

    def _failed_row(
        self,
        flow: WorkflowReport,
        task: str,
        jobs: Sequence[str],
        new: set[str],
        cause: CauseGroup | None,
        elsewhere: str,
    ) -> FailedRow:
        fresh = sum(job in new for job in jobs)
        return FailedRow(
            task=words.breakable_task(task_name(task)),
            workflow=workflow_link(flow.name, self.leads),
            jobs=_jobs(
                list_name("task-failed", flow.name, task),
                f"failed jobs of {words.cut_apart(flow.name, 60) or NO_NAME} "
                f"that failed in {words.cut_apart(task, 100) or ITSELF}",
                jobs,
                self.leads,
            ),
            new=f"{words.number(fresh)} new" if fresh else "",
            cause=words.cut_middle(cause.title or cause.rule, 200) if cause else "",
            cause_href=self.leads.cause(cause.id) if cause else "",
            cause_class=causewords.class_words(cause.cause_class) if cause else "",
            elsewhere=elsewhere,
        )

    # --- waste ---

    def _waste_said(self, waste: Waste) -> Iterator[str]:
        total, tonight = waste.total, waste.tonight
        if total.lost:
            yield f"In this report: {lost_words(total, self.prices)}."
        elif total.spent.total:
            of = " that the filter let through" if filtered.narrows(self.filters) else ""
            read = " that could be read" if total.unread else ""
            spent = hours(total.spent.total)
            yield f"In this report every one of {spent}{of}{read} led to a success."
        night = tonight_words(self.report, self.prices)
        if self.report.previous is not None and night:
            usual = usual_words(waste)
            said = f"Last night: {night}"
            yield f"{said} ({usual})." if usual else f"{said}."
        if total.spent.unknown:
            yield (
                f"Of {hours(total.spent.unknown)} the server does not say what came of them; "
                "they are in all hours and not in the waste."
            )
        if self.filters.hides_failures:
            yield "What failed jobs lost is not among it: they were not asked for."
        if self.money and (total.unpriced or tonight.unpriced):
            yield "Tasks without a price are left out of the money."

    def _tables(self, waste: Waste) -> Iterator[CostTable]:
        if waste.tasks:
            yield self.task_table(waste.tasks, flows=True)
        if flows := [(name, cost) for name, cost in waste.workflows if cost.jobs]:
            yield self._table(
                "Waste by workflow",
                "Hours of attempts that led to no success, by workflow",
                "waste-workflows",
                (self._flow_row(name, cost) for name, cost in flows[:ROWS]),
                _more(len(flows) - ROWS, "workflow"),
            )
        # A label that none of these jobs has would say of all of them that they lack it.
        told = [
            label for label in waste.labels if any(value is not None for value, _ in label.values)
        ]
        for at, label in enumerate(told[:LABELS], 1):
            yield self._label_table(label, at)

    def task_table(self, tasks: Sequence[TaskCost], *, flows: bool) -> CostTable:
        """Waste by task; `flows` adds which workflow each belongs to."""
        return self._table(
            "Waste by task",
            "Hours of attempts that led to no success, by task",
            "waste-tasks",
            (self._task_row(one, flows=flows) for one in tasks[:ROWS]),
            _more(len(tasks) - ROWS, "task"),
        )

    def _table(
        self, heading: str, caption: str, anchor: str, rows: Iterable[CostRow], more: str
    ) -> CostTable:
        return CostTable(
            heading=heading,
            caption=caption,
            anchor=anchor,
            rows=tuple(rows),
            more=more,
            money=f"Lost {self.prices.currency}" if self.money else "",
        )

    def _label_table(self, label: LabelCost, at: int) -> CostTable:
        title = words.cut_middle(label.title, 60)
        return self._table(
            f"Waste by {title}",
            f"Hours of attempts that led to no success, by {title}",
            f"waste-label-{at}",
            (self._value_row(label, value, cost) for value, cost in label.values[:VALUES]),
            _more(len(label.values) - VALUES, "value"),
        )

    def _task_row(self, one: TaskCost, *, flows: bool) -> CostRow:
        name = words.cut_apart(one.workflow, 60) or NO_NAME
        task = words.cut_apart(one.task, 100) or ITSELF
        return self._row(
            Link(text=words.breakable_task(task_name(one.task))),
            one.cost,
            list_name("waste-task", one.workflow, one.task),
            f"jobs of {name} with attempts of {task} that led to no success",
            workflow=workflow_link(one.workflow, self.leads) if flows else None,
        )

    def _flow_row(self, flow: str, cost: Cost) -> CostRow:
        name = words.cut_apart(flow, 60) or NO_NAME
        return self._row(
            workflow_link(flow, self.leads),
            cost,
            list_name("waste-workflow", flow),
            f"jobs of {name} with attempts that led to no success",
        )

    def _value_row(self, label: LabelCost, value: str | None, cost: Cost) -> CostRow:
        title = words.cut_apart(label.title, 40)
        said = "without" if value is None else "with"
        shown = "" if value is None else f" {words.cut_apart(value, 60) or '(empty)'}"
        return self._row(
            Link(
                text=words.cut_middle(value or "", 80),
                href=self.leads.label(label.key),
            ),
            cost,
            list_name("waste-label", label.key, "" if value is None else f"={value}"),
            f"jobs {said} {title}{shown} with attempts that led to no success",
            absent=value is None,
        )

    def _row(
        self,
        name: Link,
        cost: Cost,
        list_of: str,
        title: str,
        *,
        workflow: Link | None = None,
        absent: bool = False,
    ) -> CostRow:
        # Attempts of which no time is known cost what nobody knows, and not nothing.
        timed = cost.spent.lost > 0 or not cost.lost
        money = money_words(cost, self.prices).replace(f" {self.prices.currency}", "")
        return CostRow(
            name=name,
            absent=absent,
            workflow=workflow,
            lost=hours(cost.spent.lost) if timed else "",
            share=words.percent(cost.spent.share) if timed else "",
            split=tuple(_split(cost)),
            jobs=_jobs(list_of, title, cost.jobs, self.leads),
            money=money if timed else "",
        )

    def _unmeasured(self, waste: Waste) -> Link | None:
        if not waste.unmeasured:
            return None
        what = "jobs whose attempts could not all be read"
        link = _jobs("unmeasured", what, waste.unmeasured, self.leads)
        return Link(text=words.plural(len(waste.unmeasured), "job"), href=link.href)


def _split(cost: Cost) -> Iterator[Lost]:
    spent = cost.spent
    for label, seconds, attempts in (
        ("Preempted", spent.preempted, cost.preempted),
        ("Retried", spent.retried, cost.retried),
        ("Failed", spent.failed, cost.failed),
        ("Aborted", spent.aborted, cost.aborted),
    ):
        yield Lost(
            label=label,
            hours=hours(seconds) if seconds else "",
            attempts=words.plural(attempts, "attempt") if attempts else "",
        )


def _title(report: Report) -> str:
    said = []
    if report.slower:
        said.append(words.plural(len(report.slower), "slower task"))
    if (waste := report.waste) and waste.total.spent.lost:
        said.append(f"{words.percent(waste.total.spent.share)} of all hours led to no success")
    if not said:
        failed = sum(len(flow.failed_tasks) for flow in report.workflows)
        filters = report.run.asked.filters
        none = f"No task failed or is slower{_of(filters)}"
        if filters.hides_failures:
            none = "Failed jobs were not asked for"
        return words.plural(failed, "failed task") if failed else none
    return ", ".join(said)


def _lede(report: Report) -> str:
    if report.slower:
        worst = report.slower[0]
        return (
            f"{task_name(worst.task)} of {words.cut_middle(worst.workflow, 80) or NO_NAME} took "
            f"{hours(worst.tonight)} last night, {min(worst.ratio, 9999):.1f} times its usual "
            f"{hours(worst.usual)}."
        )
    if report.waste and report.waste.tasks:
        most = report.waste.tasks[0]
        flow = words.cut_middle(most.workflow, 80) or NO_NAME
        lost = words.plural(most.cost.lost, "attempt")
        if not most.cost.spent.lost:
            return f"{task_name(most.task)} of {flow} lost {lost} with no time known."
        return (
            f"{task_name(most.task)} of {flow} lost most: {hours(most.cost.spent.lost)} in {lost}."
        )
    return ""


def _slower_none(filters: Filters) -> str:
    """Why no task is slower: it may be that nobody looked."""
    if filters.status and "Succeeded" not in filters.status:
        return "Jobs that succeeded, which tell how long tasks take, were not asked for."
    return f"No task is slower than usual{_of(filters)}."


def _of(filters: Filters) -> str:
    return " (filtered)" if filtered.narrows(filters) else ""


def _slower_note(report: Report) -> str:
    rule = (
        "Median of last night’s successful attempts against that of the last 14 nights: at least "
        "1.5 times and 5 minutes longer, with 5 attempts on both sides"
    )
    if report.previous is None:
        return f"{rule}. This is the first report: there is nothing to compare with yet."
    return f"{rule}. Nights in which it was slower already do not count as usual."
