"""Which jobs of dsub's server belong together: its attempts and the tasks of its arrays are jobs.

    +retried--root--261123-200012-502664++1     attempt 1 of a submission without tasks
    +scatter--root--261123-195959-120034+30+    task 30 of an array that retries nothing
    lab+scatter--ana--261123-195959-120034+3+2  project, submission, task, attempt

An id says so itself, whatever became of the labels that say it too (`job-id`, `task-id`,
`attempt`). An attempt has a number only where dsub was told to retry.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from msgspec.structs import replace

from jmreport.at_hand import AtHand
from jmreport.records import Entry, run_order

#: dsub's own name of a submission: the job's name, cut, the user, and when it was submitted.
_ID = re.compile(
    r"(?P<project>[^+]*)\+(?P<job>[^+]+--[^+]+--\d{6}-[^+]+)\+(?P<task>[^+]*)"
    r"\+(?P<attempt>[1-9]\d{0,8})?",
    re.ASCII,
)
_PARTS = 4
#: What dsub's server says of a job's place beside its id.
LABELS = ("job-id", "task-id", "attempt")
#: Characters of an id that is looked at: dsub cuts names, and others could be long to no end.
_LONGEST = 400
#: The sign that follows the one between an id's parts: ids that begin alike lie before it.
_BEHIND = ","
#: Attempts that are kept for those of their tasks that are told next, 24 bytes each beside the runs
#: that saw them first; and how many of them a task itself weighs as much as.
_KEPT, _TASK = 100_000, 20


class Place(NamedTuple):
    """Where a job belongs: `submission` is project and dsub's own name of what was submitted.

    `task` is "" where the submission is no array, `attempt` 0 where dsub counts none.
    """

    submission: str
    task: str
    attempt: int


def place(job: str) -> Place | None:
    """Where a job belongs, by its id; None for the jobs of other servers.

    >>> place("+retried--root--261123-200012-502664++2")
    Place(submission='+retried--root--261123-200012-502664', task='', attempt=2)
    >>> place("03a7491c-76c1-40f4-93d5-222d0ac2be70") is None
    True
    """
    # Counted first, as every job is asked, and only dsub's ids have these signs.
    if job.count("+") != _PARTS - 1 or len(job) > _LONGEST or not (found := _ID.fullmatch(job)):
        return None
    return Place(f"{found['project']}+{found['job']}", found["task"], int(found["attempt"] or 0))


def ids_of_submission(submission: str) -> tuple[str, str]:
    """The ids of a submission's jobs: from the first of these until before the second.

    >>> ids_of_submission("+a--b--261123-200012")
    ('+a--b--261123-200012+', '+a--b--261123-200012,')
    """
    return f"{submission}+", f"{submission}{_BEHIND}"


def ids_of_task(where: Place) -> tuple[str, str]:
    """The same of the attempts of one task."""
    return f"{where.submission}+{where.task}+", f"{where.submission}+{where.task}{_BEHIND}"


def number(task: str) -> int:
    """What tasks are sorted by: dsub numbers them, and its Google provider writes "task-30".

    >>> number("30"), number("task-30"), number("x")
    (30, 30, 0)
    """
    digits = task.removeprefix("task-")
    return int(digits) if digits.isascii() and digits.isdigit() else 0


#: The ids between two, and the run that saw each first.
Between = Callable[[str, str], Iterable[tuple[str, str]]]
#: The place among runs of the first that reported of what a run read; None where none did yet.
Reported = Callable[[str], tuple[str, int] | None]


def reported_by(usable: Iterable[str]) -> Reported:
    """Tells the first of the usable runs that reported of what a run read: itself, if it is one.

    >>> reported_by(["20261101T020000Z", "20261103T020000Z"])("20261102T090000Z")
    ('20261103T020000Z', 1)
    """
    orders = sorted(map(run_order, usable))

    def reported(run: str) -> tuple[str, int] | None:
        place = bisect_left(orders, run_order(run))
        return orders[place] if place < len(orders) else None

    return reported


class Following:
    """Tells, of one state of what is known, which failed attempts another one followed.

    The attempts of a task are read once for all of them, told one after the other or in turns with
    those of other tasks: each of a thousand would else read the thousand.
    """

    def __init__(self) -> None:
        self._tasks = AtHand[tuple[str, str], _Tried](_KEPT)

    def told(
        self, entries: Iterable[Entry], between: Between, reported: Reported
    ) -> Iterator[Entry]:
        """Some jobs; those that are told as retried name the attempt that followed.

        An attempt was retried where the report that first told of its failure knew of a later one.
        What was told as failed stays so, whatever came of it the night after: a night is told once.
        """
        for entry in entries:
            row = entry.row
            where = place(row.id) if row.status == "Failed" else None
            if where is None or not where.attempt:
                yield entry
                continue
            known = reported(entry.told_run or entry.first_run)
            later = self._tried(where, between).after(where.attempt, known)
            followed = later and replace(row, retried_by=f"{ids_of_task(where)[0]}{later}")
            yield replace(entry, row=followed) if followed else entry

    def forget(self) -> None:
        """What is known is another from here on."""
        self._tasks.forget()

    def _tried(self, where: Place, between: Between) -> "_Tried":
        task = where.submission, where.task
        found = self._tasks.get(task)
        if found is None:
            found = _tried(between(*ids_of_task(where)))
            if len(found.numbers) > 1:  # else nobody asks again
                self._tasks.keep(task, found, _TASK + len(found.numbers))
        return found


class _Tried(NamedTuple):
    """The attempts of a task: their numbers, rising; the places among runs of those that saw each
    first; and of each and all behind it the earliest of these."""

    numbers: Sequence[int]
    seen: Sequence[tuple[str, int]]
    earliest: Sequence[tuple[str, int]]

    def after(self, number: int, known: tuple[str, int] | None) -> int:
        """The next attempt that was known then, at last where that is None; 0 for none."""
        at = bisect_right(self.numbers, number)
        if at == len(self.numbers):
            return 0
        if known is None:
            return self.numbers[at]
        if self.earliest[at] > known:  # as of the last one of each night
            return 0
        return next(self.numbers[i] for i in range(at, len(self.numbers)) if self.seen[i] <= known)


def _tried(found: Iterable[tuple[str, str]]) -> _Tried:
    told = sorted((where.attempt, run) for job, run in found if (where := place(job)) is not None)
    orders = {run: run_order(run) for run in {run for _, run in told}}
    seen = [orders[run] for _, run in told]
    earliest = [*accumulate(reversed(seen), min)]
    return _Tried([number for number, _ in told], seen, earliest[::-1])
