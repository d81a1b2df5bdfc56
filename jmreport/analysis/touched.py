"""Which jobs' pages may be others since they were made: those that new runs touched.

    what differs from what is remembered         whose page may be another
    a record that is new                         its job's, that of the job above it, of all above
                                                 that and of all below it
    how long a success took, or when it ended    of the same workflow, those that ended later
    how a piece of work stood                    of the same work, those that ended later
    an id that looks like others                 the others', whose short ids may grow
    a record of one of dsub's attempts or tasks  those of all jobs that were submitted with it
    whether a run found it, as it had asked      its own and those of all below it

Pages of jobs that have not ended tell how long they have run, so each of them may be another.

Whoever is not among them has the same context as before, to the last byte. More may be among them.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, takewhile
from typing import TypeVar

from jmreport import attempts
from jmreport.analysis import submissions
from jmreport.analysis.history import told_by
from jmreport.analysis.near import Near
from jmreport.analysis.nights import Nights
from jmreport.analysis.usual import asking_of, success, workflow_of
from jmreport.analysis.window import Window
from jmreport.records import Entry
from jmreport.remembered import Fact, Growing, Memory, microseconds

K = TypeVar("K")
N = TypeVar("N", int, float)
#: Jobs that are looked at together.
_AT_ONCE = 500


def fact_of(entry: Entry, nights: Nights, identity: Sequence[str]) -> Fact:
    """What pages of other jobs are told with of a job, whether it is lost left open."""
    row = entry.row
    learned, told = success(row), told_by(entry, nights, identity)
    _, asking = asking_of(entry, nights)
    return Fact(
        row.id,
        entry.first_run,
        workflow_of(row),
        asked=None if row.active else asking.end.timestamp(),
        ends=learned.end.timestamp() if learned else None,
        seconds=learned.seconds if learned else None,
        work=told.work if told else None,
        ended=microseconds(told.ended) if told else None,
        failed=told is not None and told.failed,
        unsure=nights.is_coming(entry),
    )


class Touching:
    """Looks for the jobs that new runs touched, and brings forward what is remembered."""

    def __init__(
        self, history: Growing, nights: Nights, identity: Sequence[str], memory: Memory
    ) -> None:
        self._history, self._nights, self._identity = history, nights, identity
        self._memory = memory
        self._window = Window(nights)
        #: Jobs that were not remembered.
        self._new: set[str] = set()
        #: Those whose row is another.
        self._changed: set[str] = set()
        #: Since when pages of a piece of work, or of a workflow, tell of something that is another.
        #: Asked for once at the end: a thousand new jobs may have done one piece of work.
        self._works: dict[bytes, int] = {}
        self._workflows: dict[tuple[str, bool], float] = {}
        #: What they were submitted with.
        self._submissions: set[str] = set()

    def jobs(self, since: frozenset[str]) -> set[str]:
        """The jobs that may be others since these runs came, which came behind all others."""
        self._take(takewhile(lambda entry: entry.run in since, self._history.by_run()))
        self._take(self._read(self._memory.unsure()))
        # Behind a run that nobody reported of, a new attempt makes a retried one of that before it.
        self._take(self._read(sorted(self._attempts_beside())))
        self._memory.write()
        found = self._telling()
        active = self._history.active()
        lost = {*self._lost_now(since, active), *self._lost_otherwise()}
        above = self._closed(self._changed, below=True)
        beneath = self._closed(self._changed | lost, below=False)
        alike = self._history.alike(self._new) if self._new else set()
        own = {entry.row.id for entry in active}
        beside = self._beside()
        return {*found, *self._changed, *own, *lost, *above, *beneath, *alike, *beside}

    def _take(self, entries: Iterator[Entry]) -> None:
        """Jobs with new records, or such whose end may be another by now."""
        while some := list(islice(entries, _AT_ONCE)):
            known = self._memory.known([entry.row.id for entry in some])
            for entry in some:
                row = entry.row
                fact, before = fact_of(entry, self._nights, self._identity), known.get(row.id)
                self._changed.add(row.id)
                if (submission := submissions.beside(entry)) is not None:
                    self._submissions.add(submission)
                if before is None:
                    self._new.add(row.id)
                self._compare(fact, before)
                self._memory.put(fact._replace(seen=before.seen if before else None))
                self._memory.link(row.id, row.parent, row.children)
            self._memory.write()

    def _compare(self, fact: Fact, before: Fact | None) -> None:
        """Notes since when pages of other jobs tell of something that is another now."""
        known = (fact,) if before is None else (fact, before)
        if before is not None and fact.success != before.success:
            # A success that is new is learned by no older run.
            for each in known:
                if each.ends is not None:
                    _begin(self._workflows, each.workflow, each.ends)
        if before is None or fact.told != before.told:
            for each in known:
                if each.work is not None and each.ended is not None:
                    _begin(self._works, each.work, each.ended)

    def _telling(self) -> set[str]:
        """The jobs whose pages tell of it."""
        found: set[str] = set()
        for workflow, ends in self._workflows.items():
            found.update(self._memory.asking_after(workflow, ends))
        for work, ended in self._works.items():
            found.update(self._memory.telling_from(work, ended))
        return found

    def _attempts_beside(self) -> set[str]:
        """The other attempts of tasks of which one was not known."""
        places = filter(None, map(attempts.place, self._new))
        tasks = {attempts.ids_of_task(where) for where in places if where.attempt}
        return {job for task in tasks for job in self._history.ids_between(*task)} - self._changed

    def _beside(self) -> Iterator[str]:
        """The jobs that were submitted with those whose row is another."""
        for submission in sorted(self._submissions):
            yield from self._history.ids_between(*attempts.ids_of_submission(submission))

    def _lost_now(self, since: frozenset[str], active: Sequence[Entry]) -> Iterator[str]:
        """Jobs that new runs asked for in vain, and that were not lost before."""
        asked = [run.asked.since for run in self._nights.runs if run.id in since]
        if not asked:
            return
        before = self._memory.lost()
        earliest = min((at for at in asked if at is not None), default=None)
        missed = self._history.missed(self._nights.run.id, None if None in asked else earliest)
        for entry in chain(active, missed):
            if entry.row.id not in before and self._window.lost(entry):
                yield entry.row.id

    def _lost_otherwise(self) -> Iterator[str]:
        """Jobs that were lost, and are not, or were seen since."""
        before, near = self._memory.lost(), Near(self._history)
        for entry in self._read(before):
            lost = self._window.lost(near.top(entry))
            seen = microseconds(self._nights.seen(entry)) if lost else None
            if seen != before[entry.row.id]:
                yield entry.row.id
            near.forget()

    def _read(self, jobs: Iterable[str]) -> Iterator[Entry]:
        waiting = iter(jobs)
        while some := list(islice(waiting, _AT_ONCE)):
            yield from self._history.of(some).values()

    def _closed(self, jobs: Iterable[str], *, below: bool) -> set[str]:
        """The jobs that name these, those that name them, and so on."""
        found: set[str] = set()
        waiting = list(jobs)
        while waiting:
            more = [
                job for job in self._memory.naming(waiting.pop(), below=below) if job not in found
            ]
            found.update(more)
            waiting += more
        return found


def _begin(since: dict[K, N], what: K, at: N) -> None:
    """Notes the earliest instant of each."""
    since[what] = min(at, since.get(what, at))
