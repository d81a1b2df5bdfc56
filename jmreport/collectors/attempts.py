"""Attempts of a job's tasks: one call a task, and only where they add something.

A task's own row holds its latest attempt; the earlier ones are asked for where there was a retry.
Each call makes the server load the whole workflow, so there is never one for each shard; answers
without a shard's index are regrouped by `callRoot` when they are shown.
"""

from typing import Any

from jmreport.client import Client
from jmreport.errors import NotOfferedError, UnreadableError
from jmreport.records import Gap


def read(client: Client, job: str, detail: Any) -> tuple[dict[str, Any], tuple[Gap, ...]]:
    """Task name -> the body of its attempts, and what could not be read."""
    bodies: dict[str, Any] = {}
    gaps: list[Gap] = []
    for task in retried_tasks(detail):
        try:
            bodies[task] = client.task_attempts(job, task)
        except NotOfferedError:
            break
        except UnreadableError as error:
            gaps.append(
                Gap(
                    what=f"attempts of {task}",
                    why=error.message,
                    job=job,
                    operation="GetTaskAttempts",
                    status=error.status,
                )
            )
    return bodies, tuple(gaps)


def retried_tasks(detail: Any) -> tuple[str, ...]:
    """Names of the tasks that ran more than once and whose attempts did not come inline."""
    names: dict[str, None] = {}
    for task in tasks_of(detail):
        name = task.get("name")
        if isinstance(name, str) and name and _retried(task) and not _inline(task):
            names[name] = None
    return tuple(names)


def tasks_of(detail: Any) -> list[dict[str, Any]]:
    """The tasks of a job's detail, whatever shape the answer has."""
    extensions = detail.get("extensions") if isinstance(detail, dict) else None
    tasks = extensions.get("tasks") if isinstance(extensions, dict) else None
    return _objects(tasks)


def shards_of(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The shards of a task."""
    return _objects(task.get("shards"))


def _retried(task: dict[str, Any]) -> bool:
    """A scattered task's `attempts` is its number of shards, so its shards decide."""
    if shards := shards_of(task):
        return any(_more_than_one(shard.get("attempts")) for shard in shards)
    return _more_than_one(task.get("attempts"))


def _inline(task: dict[str, Any]) -> bool:
    return bool(task.get("attemptsData")) or any(
        bool(shard.get("attemptsData")) for shard in shards_of(task)
    )


def _more_than_one(count: Any) -> bool:
    return isinstance(count, int) and count > 1


def _objects(values: Any) -> list[dict[str, Any]]:
    return (
        [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
    )
