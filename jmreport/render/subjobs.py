"""The sub-jobs of a job, as rows of its page: failed ones first, then those not read."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from jmreport.models import JobMetadataResponse, TaskMetadata
from jmreport.records import JobRow
from jmreport.render import addresses, lacks, words
from jmreport.render.jobfacts import Link, Making
from jmreport.render.lacks import Lacks
from jmreport.report.jobs import JobContext
from jmreport.short_ids import form

#: The rank of a sub-job of which nothing has to be said.
_SOUND = 2
#: Rows of the table; what is beyond is named in one line each.
MOST = 300
#: Of a sub-job without a record: the reason is a run's, and a job's page outlasts the run.
NOT_READ = "Not read; the data quality page says why."


class SubJob(Struct, frozen=True, kw_only=True):
    """A sub-job: `status` is None where it could not be read."""

    job: Link
    name: str
    status: words.StatusWord | None
    started: words.Moment | None
    took: str
    lacks: Lacks
    message: str


class SubJobs(Struct, frozen=True, kw_only=True):
    """The rows, and how many sub-jobs there are in all."""

    rows: tuple[SubJob, ...]
    count: int


def read(
    row: JobRow, tasks: Iterable[TaskMetadata], context: JobContext, making: Making
) -> SubJobs:
    """The sub-jobs that a job's tasks and shards name, and those that name it as their parent."""
    known = sorted(context.children, key=_rank)
    first = sum(_rank(child) < _SOUND for child in known)
    ids = {child.id for child in known}
    lacking = [name for name in dict.fromkeys((*row.children, *_named(tasks))) if name not in ids]
    # What nobody knows of could have failed, so it is not left for the end of a long table.
    rows = [_row(child, making) for child in known[: min(first, MOST)]]
    rows += [_not_read(name) for name in lacking[: MOST - len(rows)]]
    rows += [_row(child, making) for child in known[first : first + MOST - len(rows)]]
    return SubJobs(rows=tuple(rows), count=len(known) + len(lacking))


def unread(row: JobRow, detail: JobMetadataResponse | None, context: JobContext) -> Iterator[str]:
    """Ids of the sub-jobs of which nothing is known: without a record, or with an empty one."""
    known = {child.id: child for child in context.children}
    tasks = detail.extensions.tasks if detail else ()
    for name in dict.fromkeys((*row.children, *_named(tasks), *known)):
        if name not in known or known[name].unread:
            yield name


def _rank(child: JobRow) -> int:
    """Failed ones before those that could not be read, and both before the others."""
    if child.status == "Failed":
        return 0
    return 1 if child.unread else _SOUND


def _named(tasks: Iterable[TaskMetadata]) -> Iterator[str]:
    for task in tasks:
        if task.job_id:
            yield task.job_id
        yield from (shard.job_id for shard in task.shards if shard.job_id)


def _row(child: JobRow, making: Making) -> SubJob:
    return SubJob(
        job=Link(form(child.id), making.link(addresses.job(child.id))),
        name=words.cut_middle(child.name, 120),
        status=words.status(child.status),
        started=making.short(child.start),
        took=words.duration(child.took)
        if child.end or child.unread
        else making.took(child.start, None, child.status),
        # It is a job of its own, which may go on after this one, or be lost.
        lacks=lacks.of(child.status, sure=False),
        message=words.cut_middle(_message(child), 200),
    )


def _message(child: JobRow) -> str:
    """Why it failed, or why it could not be read."""
    if child.failure:
        return child.failure.message
    return "" if child.readable else why_unread(child)


def why_unread(child: JobRow | None) -> str:
    """Why a sub-job could not be read; None is one without a record."""
    gaps = child.gaps if child else ()
    return next((f"Not read: {gap.why}" for gap in gaps if gap.kind == "job"), NOT_READ)


def _not_read(job: str) -> SubJob:
    link = Link(words.cut_middle(job, 80), None)
    return SubJob(
        job=link, name="", status=None, started=None, took="", lacks=Lacks(), message=NOT_READ
    )
