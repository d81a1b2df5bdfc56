"""What was submitted together, on servers where attempts and array tasks are jobs (dsub).

    a job's id         ->  the ids beside it             ->  Array, Attempts
    +scatter…+30+          of one submission, of one task    what its page says of them

An array of some thousand tasks has as many pages that say the same of it, so it is looked at once
for those that are made one after the other, and of its tasks a few are kept.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from heapq import nsmallest
from itertools import groupby, islice

from jmreport import attempts
from jmreport.attempts import Place
from jmreport.models import TERMINAL_STATUSES
from jmreport.records import Entry, JobRow
from jmreport.remembered import Growing
from jmreport.report.jobs import Array, Attempt, Sibling

#: Tasks of an array that a page shows, and attempts of a task.
MOST_TASKS, MOST_ATTEMPTS = 20, 50
#: Characters of a failure.
_MESSAGE = 200
#: Arrays that are kept for the next job, and jobs that are read together.
_KEPT, _AT_ONCE = 64, 500
#: The rank of a task of which nothing has to be said.
_SOUND = 2


class Submissions:
    """The jobs beside others, read as they are asked for."""

    def __init__(self, history: Growing) -> None:
        self._history = history
        self._arrays: OrderedDict[str, Array] = OrderedDict()

    def attempts(self, row: JobRow) -> tuple[Attempt, ...]:
        """The last attempts of a job's task, and itself; () where it is the only one known."""
        where = attempts.place(row.id)
        if where is None or not where.attempt:
            return ()
        ids = self._history.ids_between(*attempts.ids_of_task(where))
        found = [
            Attempt(id=other.id, number=at.attempt, status=other.status)
            for at, other in self._rows(ids)
            if at.attempt
        ]
        found.sort(key=lambda one: one.number)
        own = [one for one in found[:-MOST_ATTEMPTS] if one.id == row.id]
        return (*own, *found[-MOST_ATTEMPTS:][len(own) :]) if len(found) > 1 else ()

    def array(self, row: JobRow) -> Array | None:
        """The array that a job is a task of; None where it is of none."""
        where = attempts.place(row.id)
        if where is None or not where.task:
            return None
        known = self._arrays.get(where.submission)
        if known is None:
            known = self._arrays[where.submission] = self._read(where.submission)
            if len(self._arrays) > _KEPT:
                self._arrays.popitem(last=False)
        self._arrays.move_to_end(where.submission)
        return known

    def _read(self, submission: str) -> Array:
        counts = Counter[str]()
        ids = self._history.ids_between(*attempts.ids_of_submission(submission))
        shown = nsmallest(MOST_TASKS, self._tasks(ids, counts), key=_rank)
        return Array(tasks=counts.total(), counts=dict(sorted(counts.items())), shown=tuple(shown))

    def _tasks(self, ids: list[str], counts: Counter[str]) -> Iterator[Sibling]:
        """Each task by its last attempt, counted by its status."""
        for task, several in groupby(self._rows(ids), key=lambda one: one[0].task):
            if not task:
                continue
            tried = sorted(several, key=lambda one: one[0].attempt)
            at, last = tried[-1]
            counts[last.status] += 1
            # Of what failed below a job, which another record tells, its own page alone is told.
            failure = None if last.children else last.failure
            yield Sibling(
                id=last.id,
                task=task,
                attempts=max(at.attempt, len(tried)),
                status=last.status,
                start=last.start,
                seconds=last.took.total_seconds() if last.took is not None else None,
                message=failure.message[:_MESSAGE] if failure else "",
            )

    def _rows(self, ids: Iterable[str]) -> Iterator[tuple[Place, JobRow]]:
        waiting = iter([(where, job) for job in ids if (where := attempts.place(job))])
        while some := list(islice(waiting, _AT_ONCE)):
            found = self._history.of([job for _, job in some])
            yield from ((where, found[job].row) for where, job in some if job in found)


def beside(entry: Entry) -> str | None:
    """The submission whose other jobs' pages tell of this one; None where none do."""
    where = attempts.place(entry.row.id)
    return where.submission if where and (where.task or where.attempt) else None


def _rank(task: Sibling) -> tuple[int, int, str]:
    """Failed tasks before those that have not succeeded, and these before others, by number."""
    bad = {"Failed": 0, "Succeeded": _SOUND + 1}
    worth = bad.get(task.status, _SOUND if task.status in TERMINAL_STATUSES else 1)
    return worth, attempts.number(task.task), task.task
