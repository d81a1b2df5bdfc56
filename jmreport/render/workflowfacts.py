"""What the list of workflows and the page of each say of one alike: its jobs, what is wrong."""

from collections import Counter, defaultdict
from itertools import chain

from jmreport.records import Filters
from jmreport.render import addresses, words
from jmreport.render.joblists import NO_NAME, Lists, list_name, status_adjective, status_order
from jmreport.report import Report
from jmreport.report.counts import WorkflowReport

#: Workflow -> what is wrong beside its failures -> how many jobs, in the newest night.
Lacking = defaultdict[str, Counter[str]]
#: What may be wrong, in the order in which it is said.
LACKS = ("missing", "stuck", "unknown")
#: Status -> ids of a workflow's jobs in this report.
Window = dict[str, list[str]]


def windows(report: Report) -> dict[str, Window]:
    """The report's jobs by workflow and status."""
    found: dict[str, Window] = {}
    for entry in report.jobs:
        by_status = found.setdefault(entry.row.name, {})
        by_status.setdefault(entry.row.counts_as, []).append(entry.row.id)
    return found


def what_lacks(report: Report) -> Lacking:
    """What is missing, stuck or unknown of each workflow."""
    found: Lacking = defaultdict(Counter)
    for flow in chain.from_iterable(night.flows for night in report.nights[-1:]):
        found[flow.name].update(missing=flow.missing, stuck=flow.stuck or 0)
    lost = frozenset(report.unknown)
    for entry in report.jobs:
        found[entry.row.name]["unknown"] += entry.row.id in lost
    return found


def jobs_link(flow: WorkflowReport, by_status: Window, status: str, lists: Lists, at: str) -> str:
    """The list of a workflow's jobs of one status ("" for all); "" where it isn't these jobs."""
    jobs = (
        by_status.get(status, [])
        if status
        else [job for word in sorted(by_status, key=status_order) for job in by_status[word]]
    )
    if len(jobs) != (flow.split.counts.get(status, 0) if status else flow.split.total):
        return ""
    said = f"{status_adjective(words.status(status))} jobs" if status else "jobs"
    address = lists.link_or_job(
        list_name("workflow", flow.name, status),
        f"{said} of {words.cut_apart(flow.name, 80) or NO_NAME}",
        jobs,
        back=(words.cut_middle(flow.name, 80) or NO_NAME, addresses.workflow(flow.name)),
    )
    return addresses.relative(at, address) if address else ""


def new_and_before(flow: WorkflowReport) -> tuple[int, int]:
    """How much of a workflow's work fails newly, and how much did before."""
    new = sum(len(group.new_jobs) for group in flow.causes)
    return new, sum(len(group.jobs) for group in flow.causes) - new


def in_a_sentence(flow: WorkflowReport, filters: Filters, lacks: Counter[str]) -> str:
    """A workflow in a sentence: what fails, or that nothing does, and what else is wrong."""
    more = (f"{words.number(lacks[what])} {what}" for what in LACKS if lacks[what])
    return ", ".join((_failures(flow, filters), *more))


def _failures(flow: WorkflowReport, filters: Filters) -> str:
    new, failing = new_and_before(flow)
    if new:
        after = f", {words.number(failing)} still failing" if failing else ""
        return words.plural(new, "new failure") + after
    if failing:
        return f"{words.number(failing)} failing"
    if not flow.split.total:
        return "No run in this report"
    if filters.hides_failures:
        return "Failed jobs were not asked for"
    return "No failures" if not flow.split.failed else "Nothing is failing now"
