"""What a job's JSON holds beyond the API: properties it does not name, and dates that are odd.

The API's names are read off the models, so there is one list of them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import fields

from jmreport import models
from jmreport.analysis.timing import is_odd
from jmreport.records import Record


class Oddities(NamedTuple):
    """Dotted paths of unknown properties (sorted, without indexes), and the number of odd dates.

    `words` are statuses of calls that the API does not name, sorted.
    """

    unknown_fields: tuple[str, ...]
    dates: int
    words: tuple[str, ...] = ()


class _Shape(NamedTuple):
    """A definition of the API: its property names, its dates, and its parts by their property."""

    names: frozenset[str]
    dates: tuple[str, ...]
    parts: tuple[tuple[str, "_Shape"], ...] = ()


def _names(model: type[Struct]) -> frozenset[str]:
    return frozenset(field.encode_name for field in fields(model))


_ATTEMPT = _Shape(_names(models.IndividualAttempt), ("start", "end"))
_SHARD = _Shape(_names(models.Shard), ("start", "end"), (("attemptsData", _ATTEMPT),))
_EXECUTION_EVENT = _Shape(_names(models.ExecutionEvent), ("start", "end"))
_TASK = _Shape(
    _names(models.TaskMetadata),
    ("start", "end"),
    (("shards", _SHARD), ("attemptsData", _ATTEMPT), ("executionEvents", _EXECUTION_EVENT)),
)
_EXTENSIONS = _Shape(
    _names(models.ExtendedFields),
    ("lastUpdate",),
    (("tasks", _TASK), ("events", _Shape(_names(models.EventDetail), ("time",)))),
)
_FAILURE = _Shape(_names(models.FailureMessage), ("timestamp",))
#: A server that makes up names has made its point by then, and a row stays small.
MOST_PATHS = 50
LONGEST_WORD = 100
#: Statuses of calls: the jobs' own, and one that both shims send.
_STATUSES = frozenset((*models.JOB_STATUSES, "Preempted"))
#: Properties of a job, as the list and the detail name them.
JOB_FIELDS = _names(models.JobMetadataResponse)
_JOB = _Shape(
    JOB_FIELDS,
    ("submission", "start", "end"),
    (("failures", _FAILURE), ("extensions", _EXTENSIONS)),
)


_ATTEMPTS = _Shape(_names(models.JobAttemptsResponse), (), (("attempts", _ATTEMPT),))
_LOG = _Shape(_names(models.FileContents), ())
_OPERATION = _Shape(_names(models.JobOperationResponse), ())
_COUNTED = _Shape(
    _names(models.StatusCounts), (), (("counts", _Shape(_names(models.StatusCount), ())),)
)
_ENTRY = _Shape(_names(models.AggregationEntry), (), (("statusCounts", _COUNTED),))
_AGGREGATIONS = _Shape(
    _names(models.AggregationResponse),
    (),
    (
        ("summary", _COUNTED),
        ("aggregations", _Shape(_names(models.Aggregation), (), (("entries", _ENTRY),))),
    ),
)


def oddities(detail: Any, row: Any, answers: Record | None = None) -> Oddities:
    """What is odd about a job's detail and list row, and about the answers beside them.

    Maps that belong to the user (inputs, outputs, labels, envs, logs) are not looked into. The
    list's dates count only where there is no detail: they are the same dates.
    """
    found = _Found(set(), set())
    dates = _look(detail, _JOB, "", found)
    listed = _look(row, _JOB, "", found)
    counted = dates if isinstance(detail, Mapping) else listed
    if answers is not None:
        counted += sum(_look(body, shape, path, found) for body, shape, path in _beside(answers))
    return Oddities(
        tuple(sorted(found.paths)[:MOST_PATHS]), counted, tuple(sorted(found.words)[:MOST_PATHS])
    )


def of_aggregations(answers: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Path and first value of each property of the server's counts that the API does not name.

    `answers` has a body for each time frame; the paths begin with "aggregations." and are sorted.
    """
    found: dict[str, Any] = {}
    for tree in answers.values():
        for path, value in _beyond(tree, _AGGREGATIONS, "aggregations."):
            found.setdefault(path, value)
    return tuple(sorted(found.items())[:MOST_PATHS])


def _beyond(tree: Any, shape: _Shape, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, dict):
        return
    for name in tree.keys() - shape.names:
        yield f"{path}{name}", tree[name]
    for name, part in shape.parts:
        value = tree.get(name)
        for item in value if isinstance(value, list) else (value,):
            yield from _beyond(item, part, f"{path}{name}.")


def _beside(record: Record) -> Iterator[tuple[Any, _Shape, str]]:
    """The answers about parts of a job, each with its definition and what its paths begin with."""
    for body in record.attempts.values():
        yield body, _ATTEMPTS, "attempts."
    for bodies in record.shard_attempts.values():
        for body in bodies.values():
            yield body, _ATTEMPTS, "attempts."
    for body in record.logs.values():
        yield body, _LOG, "log."
    for body in record.operations.values():
        yield body, _OPERATION, "operation."


class _Found(NamedTuple):
    """What a look through a job's trees brings up."""

    paths: set[str]
    words: set[str]


def _look(tree: Any, shape: _Shape, path: str, found: _Found) -> int:
    """Adds the unknown properties of one object and its parts; the number of its odd dates."""
    if not isinstance(tree, dict):
        return 0
    if not tree.keys() <= shape.names:
        found.paths.update(f"{path}{name}" for name in tree.keys() - shape.names)
    word = tree.get("executionStatus")
    if isinstance(word, str) and word and word not in _STATUSES:
        found.words.add(word[:LONGEST_WORD])
    odd = 0
    for name in shape.dates:
        date = tree.get(name)
        if date is not None and is_odd(date):
            odd += 1
    for name, part in shape.parts:
        value = tree.get(name)
        if not value:
            continue
        for item in value if isinstance(value, list) else (value,):
            odd += _look(item, part, f"{path}{name}.", found)
    return odd
