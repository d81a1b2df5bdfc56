"""Rows of an overview's tables: causes that need attention, jobs that are stuck, and fixed ones."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from jmreport.render import causewords, words
from jmreport.render.leads import Leads, Link, job_link, more, workflow_link
from jmreport.report.causes import CauseGroup
from jmreport.report.jobs import StuckJob

#: Causes that a table shows. A bad night has thousands, and what follows must stay in reach.
CAUSES = 20
#: Workflows of a cause that are named.
_FLOWS = 3


class AttentionRow(Struct, frozen=True, kw_only=True):
    """A cause: how many jobs, where, since when, and what they share."""

    state: str
    state_kind: str
    jobs: Link
    new: Link | None
    not_run: Link | None
    workflows: tuple[Link, ...]
    more_workflows: str
    tasks: str
    title: str
    cause_href: str
    known: str
    cause_class: str
    rule: str
    since: words.Moment | None
    lasting: tuple[str, ...]
    flaky: Link | None
    shared: str
    example: Link
    whose: str


class StuckRow(Struct, frozen=True, kw_only=True):
    """A job that has been active for too long."""

    status: words.StatusWord
    workflow: Link
    job: Link
    active_for: str
    usual: str
    where: str
    whose: str


class FixedRow(Struct, frozen=True, kw_only=True):
    """A job of a key that failed before and succeeded now."""

    workflow: Link
    job: Link
    ended: words.Moment | None
    took: str
    whose: str


def cause_list(group: CauseGroup) -> str:
    """What the list of a group's jobs is called."""
    return f"cause-{group.id}-{group.state.replace(' ', '-')}"


_HOW = {"new": "newly ", "still failing": "still "}


def more_causes(groups: Sequence[CauseGroup], leads: Leads) -> Link | None:
    """The way to the causes behind the first ones; None where a table shows all."""
    shown, rest = groups[:CAUSES], groups[CAUSES:]
    if not rest:
        return None
    return Link(text=f"and {causewords.left_out(shown, rest)}", href=leads.causes(rest[0]))


def attention(group: CauseGroup, now: datetime, leads: Leads, known: str) -> AttentionRow:
    """A cause's row. `known` names the issue that it is an example of."""
    name = cause_list(group)
    cause = f"failing with: {words.cut_apart(group.title, 120) or group.rule}"
    # A cause may be new for some work while other work has it still: that is two groups.
    title = f"jobs {_HOW.get(group.state, '')}{cause}"
    href = leads.jobs(name, title, group.jobs)
    mixed = group.new_jobs and len(group.new_jobs) < len(group.jobs)
    return AttentionRow(
        state={"new": "New", "still failing": "Still failing"}.get(group.state, "Failing"),
        state_kind={"new": "new", "still failing": "still"}.get(group.state, "failed"),
        jobs=Link(text=words.number(len(group.jobs)), href=href),
        new=Link(
            text=f"{words.number(len(group.new_jobs))} new",
            href=leads.jobs(f"{name}-new", f"new jobs {cause}", group.new_jobs),
        )
        if mixed
        else None,
        not_run=Link(
            text=causewords.not_run(group),
            href=leads.jobs(f"{name}-not-run", f"{title}, not run tonight", group.not_run),
        )
        if group.not_run
        else None,
        workflows=tuple(workflow_link(flow, leads) for flow in group.workflows[:_FLOWS]),
        more_workflows=more(len(group.workflows) - _FLOWS, "workflow"),
        tasks=causewords.task_words(group.tasks),
        title=words.cut_middle(group.title or group.rule, 200),
        cause_href=leads.cause(group.id),
        known=known,
        cause_class=causewords.class_words(group.cause_class),
        rule=group.rule,
        since=words.short_when(group.since, leads.zone, near=now),
        lasting=tuple(causewords.lasting(group, now, leads.zone)),
        flaky=Link(
            text=f"{words.number(len(group.flaky))} flaky",
            href=leads.jobs(f"{name}-flaky", f"flaky {title}", group.flaky),
        )
        if group.flaky
        else None,
        shared=causewords.shared_words(group),
        example=job_link(group.shown, leads),
        whose=causewords.whose_words(leads.row(group.shown)),
    )


def stuck(each: StuckJob, leads: Leads) -> StuckRow:
    """A stuck job's row."""
    row = leads.row(each.job)
    return StuckRow(
        status=words.status(row.status if row else ""),
        workflow=workflow_link(row.workflow if row else "", leads),
        job=job_link(each.job, leads),
        active_for=words.duration(each.active_for),
        usual=causewords.usual_range(each.usual),
        where=each.where or ("waiting" if each.waiting else ""),
        whose=causewords.whose_words(row),
    )


def fixed(job: str, now: datetime, leads: Leads) -> FixedRow:
    """The row of a job that succeeded where the same work failed before."""
    row = leads.row(job)
    return FixedRow(
        workflow=workflow_link(row.workflow if row else "", leads),
        job=job_link(job, leads),
        ended=words.short_when(row.ended if row else None, leads.zone, near=now),
        took=words.duration(timedelta(seconds=row.took) if row and row.took is not None else None),
        whose=causewords.whose_words(row),
    )
