"""What servers send beyond the API: properties that no definition names, by their path.

The API's names are read off the models, so there is one list of them. Maps that belong to people
(inputs, outputs, labels, envs, logs) are not looked into: every key is theirs.
"""

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

#: What no value of JSON equals.
_NONE = object()


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
    listed: dict[str, Any] = {}
    _find(record.detail, JobMetadataResponse, "", found)
    _find(record.row, JobMetadataResponse, "", listed)
    # The list repeats the detail: only what is its own is told again.
    read = isinstance(record.detail, dict) and record.detail
    own = {path: value for path, value in listed.items() if found.get(path, _NONE) != value}
    for path, value in own.items():
        found.setdefault(f"list.{path}" if read else path, value)
    for task, body in record.attempts.items():
        _find(body, JobAttemptsResponse, f"attempts[{task}].", found)
    for task, bodies in record.shard_attempts.items():
        for index, body in bodies.items():
            _find(body, JobAttemptsResponse, f"attempts[{task}][{index}].", found)
    for address, body in record.logs.items():
        _find(body, FileContents, f"log[{address}].", found)
    for operation, body in record.operations.items():
        _find(body, JobOperationResponse, f"operation[{operation}].", found)
    return found


def _find(tree: Any, model: type[Struct], path: str, found: dict[str, Any]) -> None:
    """Adds what is beyond a definition; the first of two that have the same path stays."""
    if not isinstance(tree, dict):
        return
    names, parts = _shape(model)
    if not names.issuperset(tree):
        for key in tree:
            if key not in names:
                found.setdefault(f"{path}{key}", tree[key])
    for name, part in parts:
        value = tree.get(name)
        if not value:
            continue
        if isinstance(value, list):
            known, below = _shape(part)
            for at, item in enumerate(value):
                # Most items are what they should be, and need no path.
                if below or not (isinstance(item, dict) and known.issuperset(item)):
                    _find(item, part, f"{path}{name}[{at}].", found)
        else:
            _find(value, part, f"{path}{name}.", found)
