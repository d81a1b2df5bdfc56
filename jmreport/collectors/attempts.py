"""Attempts of a job's tasks: one call a task, and only where it adds something.

A task's own row holds its latest attempt; the earlier ones are asked for where there was a retry,
and not where they came inline. Each call makes the server load the whole workflow, so a scatter is
asked for as a whole, and its answer regrouped by shard; only where that is impossible its retried
shards are asked for one by one, failed ones first, up to a limit.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from msgspec import Struct

from jmreport import regrouping
from jmreport.client import Client
from jmreport.errors import NotOfferedError, UnreadableError
from jmreport.gaps import ATTEMPTS, Gap, attempts_of, not_offered
from jmreport.models import is_failure
from jmreport.regrouping import Scattered, Tried


class Found(Struct, frozen=True, kw_only=True):
    """What the calls brought, by task and by task and shard; gaps; what was left on purpose."""

    bodies: dict[str, Any]
    by_shard: dict[str, dict[str, Any]]
    gaps: tuple[Gap, ...]
    notes: tuple[Gap, ...]


def read(client: Client, job: str, detail: Any, *, shard_limit: int) -> Found:
    """The attempts of a job's retried tasks, and what could not be read.

    At most `shard_limit` shards of the job are asked for one by one.
    """
    asking = _Asking(client, job, shard_limit)
    for task in retried_tasks(detail):
        if not asking.task(task):
            break
    return Found(
        bodies=asking.bodies,
        by_shard=asking.by_shard,
        gaps=tuple(asking.gaps),
        notes=tuple(asking.notes),
    )


class _Asking:
    """The calls for one job, and what came of them."""

    def __init__(self, client: Client, job: str, shard_limit: int) -> None:
        self.bodies: dict[str, Any] = {}
        self.by_shard: dict[str, dict[str, Any]] = {}
        self.gaps: list[Gap] = []
        self.notes: list[Gap] = []
        self._client, self._job = client, job
        self._left = self._limit = shard_limit

    def task(self, task: dict[str, Any]) -> bool:
        """Ask for a task's attempts; False where this server offers none."""
        name: str = task["name"]
        what = attempts_of(name)
        body, offered = self._one(
            partial(self._client.task_attempts, self._job, name), what, "GetTaskAttempts"
        )
        if body is not None:
            self.bodies[name] = body
            if shards_of(task) and not _regrouped(body, task):
                self._shards(name, _retried_shards(task))
        return offered

    def _shards(self, name: str, indexes: list[int]) -> None:
        """Ask for shards one by one, as many as the job still has a right to."""
        for at, index in enumerate(indexes):
            if self._left < 1:
                why = (
                    f"{len(indexes) - at} retried shards were not asked for one by one; "
                    f"[collect] shard_attempts = {self._limit} is the limit"
                )
                self.notes.append(Gap(what=attempts_of(name), why=why, job=self._job))
                return
            self._left -= 1
            body, offered = self._one(
                partial(self._client.shard_attempts, self._job, name, index),
                attempts_of(name, index),
                "GetShardAttempts",
            )
            if body is not None:
                self.by_shard.setdefault(name, {})[str(index)] = body
            if not offered:
                return

    def _one(self, ask: Callable[[], Any], what: str, operation: str) -> tuple[Any, bool]:
        """One call's body, or None with a gap; and whether the server still offers such calls."""
        try:
            return ask(), True
        except NotOfferedError as error:
            why = not_offered(error.message)
            self.notes.append(Gap(what=ATTEMPTS, why=why, job=self._job))
            return None, False
        except UnreadableError as error:
            self.gaps.append(
                Gap(
                    what=what,
                    why=error.message,
                    job=self._job,
                    operation=operation,
                    status=error.status,
                )
            )
            return None, True


def retried_tasks(detail: Any) -> list[dict[str, Any]]:
    """The tasks that ran more than once and did not tell of it inline; of each name the first."""
    found: dict[str, dict[str, Any]] = {}
    for task in tasks_of(detail):
        name = task.get("name")
        if isinstance(name, str) and name and name not in found and _untold(task):
            found[name] = task
    return list(found.values())


def tasks_of(detail: Any) -> list[dict[str, Any]]:
    """The tasks of a job's detail, whatever shape the answer has."""
    extensions = detail.get("extensions") if isinstance(detail, dict) else None
    tasks = extensions.get("tasks") if isinstance(extensions, dict) else None
    return _objects(tasks)


def shards_of(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The shards of a task."""
    return _objects(task.get("shards"))


def _untold(task: dict[str, Any]) -> bool:
    """Whether something ran again of which no attempts came with the detail.

    A scattered task's `attempts` is its number of shards, so its shards decide.
    """
    if task.get("attemptsData"):
        return False
    return any(
        _count(part.get("attempts")) > 1 and not part.get("attemptsData")
        for part in shards_of(task) or [task]
    )


def _retried_shards(task: dict[str, Any]) -> list[int]:
    """Indexes of the shards that ran more than once, failed ones first."""
    retried = [
        shard
        for shard in shards_of(task)
        if _index(shard) is not None
        and _count(shard.get("attempts")) > 1
        and not shard.get("attemptsData")
    ]
    retried.sort(key=lambda shard: not is_failure(shard.get("executionStatus")))
    return list(dict.fromkeys(index for shard in retried if (index := _index(shard)) is not None))


def _regrouped(body: Any, task: dict[str, Any]) -> bool:
    """Whether each attempt of a scatter's answer can be told to be some shard's."""
    tried = _objects(body.get("attempts")) if isinstance(body, dict) else []
    return bool(tried) and None not in regrouping.places(
        list(_tried(tried)), list(_scattered(shards_of(task)))
    )


def _tried(attempts: Iterable[dict[str, Any]]) -> Iterator[Tried]:
    for attempt in attempts:
        number, folder = attempt.get("attemptNumber"), attempt.get("callRoot")
        yield Tried(_count(number) or None, folder if isinstance(folder, str) else "")


def _scattered(shards: Iterable[dict[str, Any]]) -> Iterator[Scattered]:
    for shard in shards:
        index = _index(shard)
        if index is not None:
            yield Scattered(index, _count(shard.get("attempts")) or None)


def _index(shard: dict[str, Any]) -> int | None:
    index = shard.get("shardIndex")
    return index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _objects(values: Any) -> list[dict[str, Any]]:
    return (
        [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
    )
