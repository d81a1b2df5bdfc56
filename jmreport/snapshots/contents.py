"""What a record holds: its digest, its parts, and how a later record takes up an earlier one's.

A record only grows: what an earlier run read of a job and a later one did not is kept, so that
nothing which was read is lost to a gap.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from jmreport.records import Record

_canonical = msgspec.json.Encoder(order="sorted").encode


def digest(record: Record) -> str:
    """The content of a record, but for how many secrets were replaced: 32 hexadecimal digits."""
    return _digest(msgspec.structs.replace(record, taken_out=0))


def row_digest(row: Any) -> str:
    """The content of a list row without secrets; "" where there is none."""
    return "" if row is None else _digest(row)


def _digest(value: Any) -> str:
    return hashlib.blake2b(_canonical(value), digest_size=16).hexdigest()


def is_read(detail: Any) -> bool:
    """Whether a detail is one: a job is an object, anything else is a server's mistake."""
    return isinstance(detail, dict)


def parts(record: Record) -> frozenset[str]:
    """Names of everything that a record holds, to see at a glance what a later one lacks."""
    return frozenset(_parts(record))


def _parts(record: Record) -> Iterator[str]:
    if record.row is not None:
        yield "row"
    if is_read(record.detail):
        yield "detail"
    elif record.detail is not None:
        yield "raw detail"
    if record.parent is not None:
        yield "parent"
    yield from (f"attempts {task}" for task in record.attempts)
    for task, shards in record.shard_attempts.items():
        yield from (f"attempts {task} {index}" for index in shards)
    yield from (f"log {address}" for address in record.logs)
    yield from (f"operation {operation}" for operation in record.operations)


def grown(record: Record, earlier: Record, *, earlier_run: str) -> Record:
    """The record with what only the earlier one holds; `detail_from` names whose detail it is."""
    keeps_detail = not is_read(record.detail) and (is_read(earlier.detail) or record.detail is None)
    kept_from = earlier.detail_from or earlier_run
    return msgspec.structs.replace(
        record,
        row=earlier.row if record.row is None else record.row,
        detail=earlier.detail if keeps_detail else record.detail,
        detail_from=kept_from if keeps_detail and earlier.detail is not None else "",
        parent=earlier.parent if record.parent is None else record.parent,
        attempts=_joined(record.attempts, earlier.attempts),
        shard_attempts={
            task: _joined(record.shard_attempts.get(task, {}), earlier.shard_attempts.get(task, {}))
            for task in _joined(record.shard_attempts, earlier.shard_attempts)
        },
        logs=_joined(record.logs, earlier.logs),
        operations=_joined(record.operations, earlier.operations),
    )


def _joined(newer: Mapping[str, Any], older: Mapping[str, Any]) -> dict[str, Any]:
    return {**newer, **{key: value for key, value in older.items() if key not in newer}}
