"""What a job's page shows of its sub-workflows: where they failed, and when their tasks ran."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from jmreport.models import Shard, TaskMetadata, is_failure
from jmreport.records import JobRow, name_below
from jmreport.render import addresses, calls, subjobs, words
from jmreport.render.calls import Call
from jmreport.render.jobfacts import Link, Making
from jmreport.render.timing import TaskCalls
from jmreport.report.jobs import BlamedBelow, JobContext

#: Sub-workflows drawn below one call, and tasks of sub-workflows drawn on a page.
MOST_DRAWN = 3
MOST_LANES = 48
#: Failed calls whose sub-workflows could not be read that are told of on a page.
MOST_UNREAD = 30
_MESSAGE = 1_500


class FailureBelow(Struct, frozen=True, kw_only=True):
    """A sub-workflow in which a failure began: its page, the task there, and what it said.

    `unread` is why nothing is known of it but that the call which started it failed. `blamed` are
    sub-workflows of its own in which it may have begun, each with why it was not read.
    """

    workflow: str
    job: Link
    task: Link | None
    where: str
    message: str
    unread: str = ""
    blamed: tuple[tuple[Link, str], ...] = ()


def failures(
    tasks: Iterable[TaskMetadata], context: JobContext, making: Making
) -> tuple[FailureBelow, ...]:
    """The deepest failed sub-workflows, since that is where the failure of this job began.

    After them those of failed calls that could not be read: it may have begun there as well.
    """
    read = tuple(
        _failure(row, [each for each in context.blamed_below if each.above == row.id], making)
        for row in context.failed_below
    )
    return (*read, *islice(_unread(tasks, context, making), MOST_UNREAD))


def _failure(row: JobRow, blamed: Iterable[BlamedBelow], making: Making) -> FailureBelow:
    told = row.failure
    task = making.budget.name(told.task, 200) if told and told.task else ""
    return FailureBelow(
        workflow=making.budget.name(row.name or row.id, 120),
        job=Link(making.budget.name(row.id[:8], 80), making.link(addresses.job(row.id))),
        task=Link(task, _failures_of(row, making)) if task else None,
        where=f"shard {told.shard}" if told and told.shard is not None else "",
        message=making.budget.take(told.message, _MESSAGE) if told else "",
        blamed=tuple(
            (_page_of(each.id, each.row, making), _why_unread(each.row, making)) for each in blamed
        ),
    )


def _page_of(job: str, row: JobRow | None, making: Making) -> Link:
    """The page of a job that could not be read; one without a record has none."""
    href = making.link(addresses.job(job)) if row else None
    return Link(making.budget.name(job[:8], 80), href)


def _why_unread(row: JobRow | None, making: Making) -> str:
    return making.budget.take(subjobs.why_unread(row), _MESSAGE)


def began(context: JobContext, making: Making) -> dict[str, str]:
    """Where the task is told of that the job's failure names, if it is a sub-workflow's own."""
    failure = context.entry.row.failure
    name = failure.task if failure else None
    if failure is None or name is None:
        return {}
    for row in context.failed_below:
        told = row.failure
        if told is None or (told.task and name_below(row, told.task) != name):
            continue
        # One that names no task is told as the call in which it happened.
        shard = told.shard if told.task else failure.shard
        if replace(told, task=name, shard=shard) == failure:
            return {name: _failures_of(row, making)}
    return {}


def _failures_of(row: JobRow, making: Making) -> str:
    return f"{making.link(addresses.job(row.id))}#failures"


def _unread(
    tasks: Iterable[TaskMetadata], context: JobContext, making: Making
) -> Iterator[FailureBelow]:
    rows = {child.id: child for child in context.children}
    told: set[str] = set()
    for task, call in _calls(tasks):
        job = call.job_id or ""
        if job not in making.unread or job in told or not is_failure(call.execution_status):
            continue
        told.add(job)
        shard = call.shard_index if isinstance(call, Shard) else None
        yield FailureBelow(
            workflow=making.budget.name(task.name or "(no name)", 120),
            job=_page_of(job, rows.get(job), making),
            task=None,
            where=f"shard {shard}" if shard is not None and shard >= 0 else "",
            message="",
            unread=_why_unread(rows.get(job), making),
        )


def _calls(tasks: Iterable[TaskMetadata]) -> Iterator[tuple[TaskMetadata, TaskMetadata | Shard]]:
    for task in tasks:
        yield task, task
        yield from ((task, shard) for shard in task.shards)


def drawn(
    tasks: Sequence[tuple[TaskMetadata, str, tuple[Call, ...]]],
    context: JobContext,
    making: Making,
) -> list[TaskCalls]:
    """Each task with its calls, and below it those of the sub-workflows that it started."""
    rows = {child.id: child for child in context.children}
    found: list[TaskCalls] = []
    room = MOST_LANES
    for task, anchor, own in tasks:
        named = [(job, shard) for job, shard in _named(task) if job in rows]
        named.sort(key=lambda pair: rows[pair[0]].status != "Failed")
        below = [
            lane
            for job, shard in named[:MOST_DRAWN]
            for lane in _lanes(rows[job], shard if len(named) > 1 else None, making)
        ][:room]
        room -= len(below)
        left = len(named) - (MOST_DRAWN if below else 0)
        found.append(
            TaskCalls(
                name=task.name or "(no name)",
                href=f"#{anchor}" if anchor else "",
                status=task.execution_status or "",
                calls=own,
                cached=calls.cached(task, own),
                more=f"{words.plural(left, 'sub-workflow')} not drawn" if left > 0 else "",
            )
        )
        found += below
    return found


def _named(task: TaskMetadata) -> Iterator[tuple[str, int | None]]:
    """The sub-workflows that a task and its shards started, each once."""
    seen: dict[str, int | None] = {}
    if task.job_id:
        seen[task.job_id] = None
    for shard in task.shards:
        if shard.job_id:
            seen.setdefault(shard.job_id, shard.shard_index)
    yield from seen.items()


def _lanes(row: JobRow, shard: int | None, making: Making) -> Iterator[TaskCalls]:
    page = making.link(addresses.job(row.id))
    which = "" if shard is None else f"shard {shard}: "
    for span in row.spans:
        call = Call(shard=None, attempt=1, status=span.status, start=span.start, end=span.end)
        yield TaskCalls(
            name=f"{which}{span.name or '(no name)'}",
            href=page,
            status=span.status,
            calls=(call,),
            below=True,
        )
