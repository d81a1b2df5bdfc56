"""What the tasks of one array say together, where they are one piece of work (dsub).

    told by their ends    task 1 succeeded, task 2 failed, task 3 succeeded
    what tells            task 2 failed

Labels of a submission are those of all its tasks. So where labels tell work apart, or tasks differ
by nothing that is looked at, a success of one would hide the failure of another.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from jmreport import attempts


class Said(Protocol):
    """A job that tells how its work stands."""

    @property
    def id(self) -> str: ...

    @property
    def failed(self) -> bool: ...


T = TypeVar("T", bound=Said)


class _Last(NamedTuple):
    """A task's last attempt."""

    attempt: int
    failed: bool


def telling(told: Sequence[T]) -> Sequence[T]:
    """Those that tell, of the jobs of one piece of work in the order of their ends.

    Where the newest is a task of an array and any task of it failed at last, its successes tell
    nothing.
    """
    submission = array_of(told[-1].id) if told else None
    if submission is None:
        return told
    last: dict[str, _Last] = {}
    for one in told:
        where = attempts.place(one.id)
        if where is None or where.submission != submission:
            continue
        known = last.get(where.task)
        if known is None or where.attempt >= known.attempt:
            last[where.task] = _Last(where.attempt, one.failed)
    if not any(task.failed for task in last.values()):
        return told
    return [one for one in told if one.failed or array_of(one.id) != submission]


def array_of(job: str) -> str | None:
    """The submission that a job is a task of; None where it is of none."""
    where = attempts.place(job)
    return where.submission if where is not None and where.task else None


def arrays_of(told: Iterable[Said]) -> set[str]:
    """The submissions that jobs are tasks of."""
    found = (array_of(one.id) for one in told)
    return {submission for submission in found if submission is not None}
