"""Where the list's row of a job says something else than its detail.

Servers make the two at different times and from different tables: dsub's rows hold what its details
lack, and Cromwell's labels change in the list late.
"""

from collections.abc import Iterator
from typing import Any

from jmreport.models import TERMINAL_STATUSES
from jmreport.records import Record, moment

_MISSING = object()
_DATES = frozenset(("submission", "start", "end", "lastUpdate", "time"))


def otherwise(record: Record) -> dict[str, Any]:
    """Path -> value of what only the list says, or says in another way; {} without a detail."""
    if not isinstance(record.row, dict) or not isinstance(record.detail, dict):
        return {}
    found: dict[str, Any] = {}
    for path, value in _differing(record.row, record.detail, ""):
        if path in ("start", "end") and not _believable(path, record.row.get("status")):
            continue
        found[path] = value
    return found


def _believable(date: str, status: Any) -> bool:
    """The Cromwell shim's list gives a start to jobs that have none, another one each time."""
    return status not in ("Submitted", "OnHold") and (
        date == "start" or status in TERMINAL_STATUSES
    )


def _differing(mine: Any, other: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The leaves of one tree that are not so in the other."""
    if mine is other or mine == other:
        return
    if isinstance(mine, dict) and (isinstance(other, dict) or other is _MISSING) and mine:
        for key, value in mine.items():
            below = other.get(key, _MISSING) if isinstance(other, dict) else _MISSING
            yield from _differing(value, below, f"{path}.{key}" if path else str(key))
    elif isinstance(mine, list) and (isinstance(other, list) or other is _MISSING) and mine:
        for at, value in enumerate(mine):
            theirs = other[at] if isinstance(other, list) and at < len(other) else _MISSING
            yield from _differing(value, theirs, f"{path}[{at}]")
    elif not _same_second(path, mine, other) and mine not in ({}, [], None, ""):
        yield path, mine


def _same_second(path: str, mine: Any, other: Any) -> bool:
    """dsub's list cuts dates to seconds that its detail does not."""
    if path.rpartition(".")[2] not in _DATES:
        return False
    ours, theirs = moment(mine), moment(other)
    if ours is None or theirs is None:
        return False
    return ours.replace(microsecond=0) == theirs.replace(microsecond=0)
