"""A job's detail with its attempts, log tails and operations, as the record that is stored."""

from typing import Any

import msgspec
from msgspec.structs import replace

from jmreport.client import Client
from jmreport.collectors import attempts, logs
from jmreport.errors import UnreadableError
from jmreport.gaps import JOB, Gap, does_not_fit
from jmreport.models import JobMetadataResponse
from jmreport.records import Record
from jmreport.settings import Collect

# msgspec learns a Struct's fields when they are first needed, and two threads that do so at once
# crash the interpreter (seen with 0.22 on Python 3.11): so it is done here, before any thread.
msgspec.json.Decoder(JobMetadataResponse)


def read(client: Client, job: str, *, row: Any, parent: str | None, limits: Collect) -> Record:
    """Everything about one job. What can't be read is a gap in the record; never raises for it.

    `limits` say how much is read of a failed job, and how many shards are asked for one by one.
    """
    try:
        detail = client.job(job)
    except UnreadableError as error:
        gap = Gap(what=JOB, why=error.message, job=job)
        return Record(id=job, row=row, parent=parent, gaps=(gap,))
    if not isinstance(detail, dict):
        gap = Gap(what=JOB, why="the answer is not an object", job=job)
        return Record(id=job, row=row, detail=detail, parent=parent, gaps=(gap,))
    own = detail.get("id")
    if isinstance(own, str) and own.casefold() != job.casefold():
        # A proxy that mixes answers up must not put another job's failures on this job's page.
        gap = Gap(what=JOB, why="the answer is about another job", job=job)
        return Record(id=job, row=row, parent=parent, gaps=(gap,))
    tried = attempts.read(client, job, detail, shard_limit=limits.shard_attempts)
    record = Record(
        id=job,
        row=row,
        detail=detail,
        parent=parent or parent_of(detail),
        attempts=tried.bodies,
        shard_attempts=tried.by_shard,
        gaps=(*tried.gaps, *_misfits(job, detail)),
        notes=tried.notes,
    )
    return _explained(client, record, limits) if logs.tells_of_failure(detail) else record


def _misfits(job: str, detail: Any) -> tuple[Gap, ...]:
    """Where a body differs from the API's model: it is stored raw, and counts as unknown."""
    try:
        msgspec.convert(detail, JobMetadataResponse)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        return (Gap(what=JOB, why=does_not_fit(error), job=job),)
    return ()


def _explained(client: Client, record: Record, limits: Collect) -> Record:
    """A job that tells of a failure, with the ends of its logs and its operations' details."""
    job, detail = record.id, record.detail
    tried = (
        *record.attempts.values(),
        *(body for shards in record.shard_attempts.values() for body in shards.values()),
    )
    tails = logs.tails(
        client, job, detail, tried, limit=limits.log_tails, most_bytes=limits.log_bytes
    )
    details = logs.operations(client, job, detail, tried, limit=limits.operation_details)
    return replace(
        record,
        logs=tails.bodies,
        operations=details.bodies,
        gaps=(*record.gaps, *tails.gaps, *details.gaps),
        notes=(*record.notes, *tails.notes, *details.notes),
    )


def parent_of(detail: dict[str, Any]) -> str | None:
    """The job that this one is a sub-workflow of, by its own word."""
    extensions = detail.get("extensions")
    found = extensions.get("parentJobId") if isinstance(extensions, dict) else None
    return found if isinstance(found, str) and found else None


def children_of(detail: Any) -> tuple[str, ...]:
    """Ids of the sub-workflows that a job's tasks and shards name, in order, each once."""
    found: dict[str, None] = {}
    for task in attempts.tasks_of(detail):
        for part in (task, *attempts.shards_of(task)):
            child = part.get("jobId")
            if isinstance(child, str) and child:
                found[child] = None
    return tuple(found)
