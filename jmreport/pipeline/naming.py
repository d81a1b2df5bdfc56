"""Which run is meant: by its id, the beginning of it, a date, or how far back it is."""

import re
from collections.abc import Sequence

from jmreport.errors import NothingUsableError, UsageError
from jmreport.records import Run

#: So many runs are named where none, or several, are meant.
MOST_SHOWN = 8

#: "latest~2": two usable runs before the latest.
_BACK = re.compile(r"latest~(\d{1,6})")


def chosen(runs: Sequence[Run], name: str) -> Run:
    """The run that is meant by its id, the beginning of it, a date, or how far back it is.

        20261120T021400Z   20261120   2026-11-20   latest   previous   latest~2

    Of a date with several runs, the newest usable one. Raises UsageError that lists what there is,
    and NothingUsableError where there is none.
    """
    usable = [run for run in runs if run.usable]
    if not usable:
        raise NothingUsableError(
            "no usable run: none brought anything", hint="run `jmreport collect` first"
        )
    back = counted_back(name)
    if back is not None:
        if back >= len(usable):
            are = "is 1 usable run" if len(usable) == 1 else f"are {len(usable)} usable runs"
            raise UsageError(f"no run {name!r}: there {are}", hint=_what_there_is(usable))
        return usable[-1 - back]
    return _by_id(runs, usable, name)


def counted_back(name: str) -> int | None:
    """How many usable runs lie behind the one that is meant; None where it is named otherwise.

    >>> counted_back("latest"), counted_back("previous"), counted_back("latest~2")
    (0, 1, 2)
    """
    back = {"latest": 0, "previous": 1}.get(name)
    if back is None and (found := _BACK.fullmatch(name)):
        return int(found[1])
    return back


def beginning(name: str) -> str:
    """What ids of runs begin with that are meant by the beginning of one, or by a date.

    >>> beginning("2026-11-20"), beginning("20261120T02")
    ('20261120', '20261120T02')
    """
    is_date = len(name) == len("2026-11-20") and name.count("-") == len("--")
    return name.replace("-", "") if is_date else name


def _by_id(runs: Sequence[Run], usable: Sequence[Run], name: str) -> Run:
    start = beginning(name)
    found = [run for run in usable if start and run.id.startswith(start)]
    exact = [run for run in found if run.id == start]
    if len(found) == 1 or exact:
        return (exact or found)[0]
    if found and start != name:
        return found[-1]
    if found:
        raise UsageError(f"{name!r} may be any of several runs", hint=_what_there_is(found))
    failed = [run for run in runs if start and run.id.startswith(start)]
    if failed:
        why = f": {failed[-1].reason}" if failed[-1].reason else f" ({failed[-1].state})"
        raise UsageError(
            f"run {failed[-1].id} brought nothing to compare{why}", hint=_what_there_is(usable)
        )
    raise UsageError(f"no run {name!r}", hint=_what_there_is(usable))


def _what_there_is(runs: Sequence[Run]) -> str:
    named = ", ".join(run.id for run in reversed(runs[-MOST_SHOWN:]))
    more = len(runs) - MOST_SHOWN
    return f"one of {named}" + (f" and {more} more: `jmreport snapshots list`" if more > 0 else "")
