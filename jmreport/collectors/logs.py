"""What says why a job failed: the ends of its logs, and the details of its operations.

Logs lie in buckets (`gs://`) that the server reads for us; nothing is ever asked of another host.
The first failures come first, and there is a limit for each job.
"""

from collections.abc import Iterator
from typing import Any

from jmreport.client import Client
from jmreport.collectors.attempts import shards_of, tasks_of
from jmreport.errors import NotOfferedError, UnreadableError
from jmreport.records import Gap


def tails(
    client: Client, job: str, detail: Any, *, limit: int
) -> tuple[dict[str, Any], tuple[Gap, ...]]:
    """Address of a log -> the body of its tail, and which could not be read."""
    bodies: dict[str, Any] = {}
    gaps: list[Gap] = []
    for address in _first(_logs(detail), limit):
        bucket, _, object_ = address.removeprefix("gs://").partition("/")
        try:
            bodies[address] = client.tail_file(bucket, object_)
        except NotOfferedError:
            break
        except UnreadableError as error:
            gaps.append(Gap(what=f"log {address}", why=error.message, job=job))
    return bodies, tuple(gaps)


def operations(
    client: Client, job: str, detail: Any, *, limit: int
) -> tuple[dict[str, Any], tuple[Gap, ...]]:
    """Id of an operation -> the body of its details, and which could not be read."""
    bodies: dict[str, Any] = {}
    gaps: list[Gap] = []
    for operation in _first(_named(detail, "operationId"), limit):
        try:
            bodies[operation] = client.operation_details(job, operation)
        except NotOfferedError:
            break
        except UnreadableError as error:
            gaps.append(Gap(what=f"operation {operation}", why=error.message, job=job))
    return bodies, tuple(gaps)


def _logs(detail: Any) -> Iterator[str]:
    """Addresses in buckets of the logs that tell of failures, most telling first."""
    for address in _named(detail, "backendLog"):
        if _in_a_bucket(address):
            yield address
    extensions = detail.get("extensions") if isinstance(detail, dict) else None
    logs = extensions.get("logs") if isinstance(extensions, dict) else None
    for address in logs.values() if isinstance(logs, dict) else ():
        if isinstance(address, str) and _in_a_bucket(address):
            yield address


def _named(detail: Any, key: str) -> Iterator[str]:
    """A property of each failure, then of each failed task and shard."""
    failures = detail.get("failures") if isinstance(detail, dict) else None
    parts = (
        [part for part in failures if isinstance(part, dict)] if isinstance(failures, list) else []
    )
    for task in tasks_of(detail):
        parts += [part for part in (task, *shards_of(task)) if _failed(part)]
    for part in parts:
        value = part.get(key)
        if isinstance(value, str) and value:
            yield value


def _failed(part: dict[str, Any]) -> bool:
    return part.get("executionStatus") == "Failed"


def _in_a_bucket(address: str) -> bool:
    bucket, slash, object_ = address.removeprefix("gs://").partition("/")
    return address.startswith("gs://") and bool(bucket and slash and object_)


def _first(values: Iterator[str], limit: int) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for value in values:
        if len(found) >= limit:
            break
        found[value] = None
    return tuple(found)
