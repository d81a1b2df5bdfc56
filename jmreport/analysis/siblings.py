"""What the tasks of one array say together, where they are one piece of work (dsub).

    told by their ends      task 1 succeeded, task 2 failed, task 3 succeeded
    what they say together  failed, as task 2 did

Labels of a submission are those of all its tasks. So where labels tell work apart, or tasks differ
by nothing that is looked at, a success of one would hide the failure of another.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from jmreport import attempts


class Said(Protocol):
    """A job that tells how its work stands."""

    @property
    def id(self) -> str: ...

    @property
    def ended(self) -> datetime: ...

    @property
    def failed(self) -> bool: ...


T = TypeVar("T", bound=Said)


class Together(Generic[T]):
    """What was submitted together: one job, or the tasks of an array, as far as they ended.

    `failures` are all of it that failed, by their ends, those too that a later attempt mended.
    """

    __slots__ = ("_attempts", "_failing", "_last", "failures")

    def __init__(self, first: T) -> None:
        self._last = first
        self._attempts: dict[str, int] = {}
        self._failing: dict[str, T] = {}
        self.failures: list[T] = []
        self.add(first)

    def add(self, one: T) -> None:
        """One more of its jobs, which ended last."""
        self._last = one
        if one.failed:
            self.failures.append(one)
        where = attempts.place(one.id)
        task, attempt = (where.task, where.attempt) if where else ("", 0)
        if attempt < self._attempts.get(task, attempt):
            return
        self._attempts[task] = attempt
        self._failing.pop(task, None)
        if one.failed:
            self._failing[task] = one

    @property
    def failed(self) -> bool:
        """Whether any task failed at last."""
        return bool(self._failing)

    @property
    def newest(self) -> T:
        """The job that tells how it stands: the last that ended, of those that failed if any."""
        return next(reversed(self._failing.values()), self._last)


def together(told: Sequence[T]) -> Sequence[Together[T]]:
    """The jobs of one piece of work, told in the order of their ends, by what was submitted.

    In the order in which each ended.
    """
    if len(told) == 1:  # as for most work
        return [Together(told[0])]
    found: dict[str, Together[T]] = {}
    for one in told:
        name = array_of(one.id) or one.id
        known = found.pop(name, None)
        if known is None:
            found[name] = Together(one)
        else:
            known.add(one)
            found[name] = known
    return list(found.values())


def array_of(job: str) -> str | None:
    """The submission that a job is a task of; None where it is of none."""
    where = attempts.place(job)
    return where.submission if where is not None and where.task else None
