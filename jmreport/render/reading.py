"""A record as typed views, whatever its trees hold: what does not fit is set aside and named.

A part of the wrong type is taken out, with its path and reason, and the rest is read: one odd
shard index hides one shard, not the job.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from jmreport.models import (
    FileContents,
    JobAttemptsResponse,
    JobMetadataResponse,
    JobOperationResponse,
    QueryJobsResult,
)
from jmreport.records import Record

_Model = TypeVar("_Model", bound=Struct)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
#: After so many misfits the answer is another thing than the API's.
MOST_MISFITS = 50


class Misfit(Struct, frozen=True):
    """A part of an answer that the API does not know in this shape: where, why, and the part."""

    path: str
    why: str
    value: Any


class Reading(Struct, frozen=True, kw_only=True):
    """What could be read of a record; `detail` is None when there is none, or none that fits."""

    row: QueryJobsResult | None
    detail: JobMetadataResponse | None
    attempts: Mapping[str, JobAttemptsResponse]
    shard_attempts: Mapping[tuple[str, str], JobAttemptsResponse]
    logs: Mapping[str, FileContents]
    operations: Mapping[str, JobOperationResponse]
    misfits: tuple[Misfit, ...]


def read(record: Record) -> Reading:
    """The record's trees as views. Never raises for what a tree holds."""
    misfits: list[Misfit] = []
    known = {"id": record.id, "status": "", "submission": ""}
    row = _fit(record.row, QueryJobsResult, "row", misfits, known)
    detail = _fit(record.detail, JobMetadataResponse, "detail", misfits, known)
    by_shard = {
        (task, index): body
        for task, bodies in record.shard_attempts.items()
        for index, body in bodies.items()
    }
    return Reading(
        row=row,
        detail=detail,
        attempts=_fit_each(record.attempts, JobAttemptsResponse, "attempts", misfits),
        shard_attempts=_fit_each(by_shard, JobAttemptsResponse, "shardAttempts", misfits),
        logs=_fit_each(record.logs, FileContents, "logs", misfits),
        operations=_fit_each(record.operations, JobOperationResponse, "operations", misfits),
        misfits=tuple(misfits),
    )


_Key = TypeVar("_Key")


def _fit_each(
    trees: Mapping[_Key, Any], model: type[_Model], what: str, misfits: list[Misfit]
) -> dict[_Key, _Model]:
    read = {}
    for key, tree in trees.items():
        fitted = _fit(tree, model, f"{what}[{key}]", misfits, {})
        if fitted is not None:
            read[key] = fitted
    return read


def _fit(
    tree: Any, model: type[_Model], what: str, misfits: list[Misfit], known: Mapping[str, Any]
) -> _Model | None:
    """The tree as a view: parts that do not fit are dropped, what must be there is made up."""
    if tree is None:
        return None
    for _ in range(MOST_MISFITS):
        try:
            return msgspec.convert(tree, model)
        except msgspec.ValidationError as error:
            why, _, place = str(error).rpartition(" - at `")
            path = place.rstrip("`") if why else "$"
            if path == "$" and isinstance(tree, dict) and (lacking := known.keys() - tree.keys()):
                misfits.append(Misfit(f"{what}: $", why or str(error), None))
                tree = {**tree, **{key: known[key] for key in lacking}}
                continue
            part, tree = _without(tree, path)
            misfits.append(Misfit(f"{what}: {path}", why or str(error), part))
            if tree is None:
                return None
        except (RecursionError, OverflowError) as error:
            misfits.append(Misfit(f"{what}: $", str(error), None))
            return None
    return None


def _without(tree: Any, path: str) -> tuple[Any, Any]:
    """The part at a path, and a copy of the tree without it (None where that cannot be)."""
    steps = [name or int(index) for name, index in _STEP.findall(path)]
    if not steps:
        return tree, None
    return _cut(tree, steps)


def _cut(tree: Any, steps: list[str | int]) -> tuple[Any, Any]:
    first, rest = steps[0], steps[1:]
    if isinstance(tree, dict) and first in tree:
        copy: Any = dict(tree)
    elif isinstance(tree, list) and isinstance(first, int) and first < len(tree):
        copy = list(tree)
    else:  # a path this program does not understand: the nearest part that it does goes
        return tree, None
    if not rest:
        return copy.pop(first), copy
    part, child = _cut(copy[first], rest)
    if child is None:
        copy.pop(first)
    else:
        copy[first] = child
    return part, copy
