"""What servers send beyond the API: properties that no definition names, by their path.

The API's names are read off the models, so there is one list of them. Maps that belong to people
(inputs, outputs, labels, envs, logs) are not looked into: every key is theirs.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple, get_args

from msgspec import Struct
from msgspec.structs import fields

from jmreport.models import (
    FileContents,
    JobAttemptsResponse,
    JobMetadataResponse,
    JobOperationResponse,
)
from jmreport.records import Record


class _Shape(NamedTuple):
    """A definition: its property names, and the definitions of its parts by their property."""

    names: frozenset[str]
    parts: tuple[tuple[str, type[Struct]], ...]


@lru_cache
def _shape(model: type[Struct]) -> _Shape:
    found = fields(model)
    parts = ((field.encode_name, _part(field.type)) for field in found)
    return _Shape(
        frozenset(field.encode_name for field in found),
        tuple((name, part) for name, part in parts if part is not None),
    )


def _part(kind: Any) -> type[Struct] | None:
    """The definition that a property holds, alone or in a list."""
    for one in (kind, *get_args(kind)):
        if isinstance(one, type) and issubclass(one, Struct):
            return one
    return None


def of_job(record: Record) -> dict[str, Any]:
    """Path -> value of each property that no definition names, at every level of a job."""
    found: dict[str, Any] = {}
    for path, value in _of_record(record):
        found.setdefault(path, value)
    return found


def _of_record(record: Record) -> Iterator[tuple[str, Any]]:
    own = dict(_beyond(record.detail, JobMetadataResponse, ""))
    yield from own.items()
    # The list repeats the detail: only what is its own is told again.
    read = isinstance(record.detail, dict) and record.detail
    for path, value in _beyond(record.row, JobMetadataResponse, ""):
        if path not in own or own[path] != value:
            yield (f"list.{path}" if read else path), value
    for task, body in record.attempts.items():
        yield from _beyond(body, JobAttemptsResponse, f"attempts[{task}].")
    for task, bodies in record.shard_attempts.items():
        for index, body in bodies.items():
            yield from _beyond(body, JobAttemptsResponse, f"attempts[{task}][{index}].")
    for address, body in record.logs.items():
        yield from _beyond(body, FileContents, f"log[{address}].")
    for operation, body in record.operations.items():
        yield from _beyond(body, JobOperationResponse, f"operation[{operation}].")


def _beyond(tree: Any, model: type[Struct], path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, dict):
        return
    shape = _shape(model)
    if not shape.names.issuperset(tree):
        for key in tree:
            if key not in shape.names:
                yield f"{path}{key}", tree[key]
    for name, part in shape.parts:
        value = tree.get(name)
        if isinstance(value, list):
            for at, item in enumerate(value):
                yield from _beyond(item, part, f"{path}{name}[{at}].")
        elif value:
            yield from _beyond(value, part, f"{path}{name}.")
