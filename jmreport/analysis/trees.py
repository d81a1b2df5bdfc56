"""Looks into a tree that a server sent: a value only where it has the type that is asked for."""

from collections.abc import Iterator, Mapping
from typing import Any

from jmreport.messages import was_preempted
from jmreport.records import Record

#: Counts and indexes beyond this are a server's mistake, and no column or chart could show them.
LARGEST = 1_000_000_000

Tree = Mapping[str, Any]
_NOTHING: Tree = {}


def tree(value: Any) -> Tree:
    """An object; an empty one for anything else."""
    return value if isinstance(value, dict) else _NOTHING


def trees(value: Any) -> list[Tree]:
    """The objects of a list; none for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(held: Tree, name: str) -> str | None:
    value = held.get(name)
    return value if isinstance(value, str) and value else None


def count(value: object) -> int:
    """A count as a server may send it: within 0 and LARGEST, 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(value, 0), LARGEST)


def shard(call: Tree) -> int | None:
    """A shard's index; None where nothing is scattered (Cromwell says -1)."""
    index = call.get("shardIndex")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index <= LARGEST:
        return None
    return index


def messages(call: Tree) -> list[str]:
    held = call.get("failureMessages")
    if not isinstance(held, list):
        return []
    return [message for message in held if isinstance(message, str)]


def preempted(call: Tree) -> bool:
    """Whether a call or an attempt ended because its machine was taken away."""
    return was_preempted(text(call, "executionStatus"), messages(call))


def attempts(task: Tree, shards: list[Tree], name: str | None, record: Record) -> Iterator[Tree]:
    """The attempts of a task as far as they were read: once each, from where they are whole."""
    body = tree(record.attempts.get(name or ""))
    by_shard = record.shard_attempts.get(name or "", {})
    if body:
        yield from trees(body.get("attempts"))
    elif by_shard:
        for answer in by_shard.values():
            yield from trees(tree(answer).get("attempts"))
    else:
        for call in (task, *shards):
            yield from trees(call.get("attemptsData"))
