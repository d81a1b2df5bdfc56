"""What was submitted together, on servers where attempts and array tasks are jobs (dsub).

    a job's id         ->  the ids beside it             ->  Array, Attempts
    +scatter…+30+          of one submission, of one task    what its page says of them

An array of some thousand tasks has as many pages that say the same of it, so it is looked at once
for all of them, made one after the other or in turns with others, and of its tasks a few are kept;
so are a task's last attempts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import nsmallest
from itertools import groupby, islice

from msgspec.structs import replace

from jmreport import attempts
from jmreport.at_hand import AtHand
from jmreport.attempts import Place
from jmreport.models import TERMINAL_STATUSES
from jmreport.records import Entry, JobRow
from jmreport.remembered import Growing
from jmreport.report.jobs import Array, Attempt, Attempts, Sibling

#: Tasks of an array that a page shows, and attempts of a task.
MOST_TASKS, MOST_ATTEMPTS = 20, 50
#: Characters of a failure.
_MESSAGE = 200
#: Tasks of arrays, and attempts of tasks, that are kept for the next jobs; and how many of them
#: an array, or a task, itself weighs as much as.
_KEPT, _ITSELF = 20_000, 5
#: Jobs that are read together.
_AT_ONCE = 500
#: The rank of a task of which nothing has to be said.
_SOUND = 2


class Submissions:
    """The jobs beside others, read as they are asked for."""

    def __init__(self, history: Growing) -> None:
        self._history = history
        self._arrays = AtHand[str, Array](_KEPT)
        self._attempts = AtHand[tuple[str, str], Attempts](_KEPT)

    def attempts(self, row: JobRow) -> Attempts:
        """The last attempts of a job's task, and itself; none where it is the only one known."""
        where = attempts.place(row.id)
        if where is None or not where.attempt:
            return Attempts()
        task = where.submission, where.task
        known = self._attempts.get(task)
        if known is None:
            known = self._tried(where)
            if known.named:  # else nobody asks again
                self._attempts.keep(task, known, _ITSELF + len(known.named))
        if not known.named or where.attempt >= known.named[0].number:
            return known
        own = Attempt(id=row.id, number=where.attempt, status=row.status)
        return replace(known, named=(own, *known.named[1:]))

    def array(self, row: JobRow) -> Array | None:
        """The array that a job is a task of; None where it is of none."""
        where = attempts.place(row.id)
        if where is None or not where.task:
            return None
        known = self._arrays.get(where.submission)
        if known is None:
            known = self._read(where.submission)
            self._arrays.keep(where.submission, known, _ITSELF + len(known.shown))
        return known

    def _tried(self, where: Place) -> Attempts:
        """The last attempts of a task: of a thousand the others are not read."""
        ids = self._history.ids_between(*attempts.ids_of_task(where))
        tried = sorted(
            (at.attempt, job) for job in ids if (at := attempts.place(job)) and at.attempt
        )
        if len(tried) < 2:
            return Attempts()
        last = tried[-MOST_ATTEMPTS:]
        found = self._history.of([job for _, job in last])
        return Attempts(
            named=tuple(
                Attempt(id=job, number=number, status=found[job].row.status) for number, job in last
            ),
            others=len(tried) - len(last),
        )

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
