"""What a job's page shows beside its record: only what belongs to the job."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol

from msgspec.structs import replace

from jmreport.analysis import attention
from jmreport.analysis.causes import cause_of, cause_said
from jmreport.analysis.flaky import RUNS
from jmreport.analysis.history import Histories, Told, of_key, told_by
from jmreport.analysis.near import Near
from jmreport.analysis.nights import Nights
from jmreport.analysis.submissions import Submissions
from jmreport.analysis.touched import Touching, fact_of
from jmreport.analysis.usual import (
    MOST_RUNS,
    Answers,
    Asking,
    Learning,
    Workflow,
    asking_of,
    usual,
)
from jmreport.analysis.window import Window
from jmreport.errors import SnapshotError
from jmreport.records import Entry, JobRow, Run, run_order
from jmreport.remembered import Growing, Memory, instant_of, microseconds
from jmreport.report.jobs import JobContext, JobHistory
from jmreport.report.usual import Usual
from jmreport.spill import Spill

#: Jobs that are looked at together.
_AT_ONCE = 500
#: Of so many touched jobs none are told apart from the others any more, unless they are few of all.
_MANY, _FEW_OF_ALL = 20_000, 4


def contexts(history: Growing, runs: Sequence[Run], *, identity: Sequence[str] = ()) -> "Contexts":
    """The contexts of every known job, sub-workflows too, in the order of stored records.

    `identity` names the labels that tell pieces of work apart. What a job's page says of the jobs
    before it is worked out on the disk, so memory holds a few jobs at a time.

    Reading them raises SnapshotError when no run is usable.
    """
    return Contexts(history, runs, identity)


class Contexts:
    """The contexts of all jobs, or of those that may be others since they were read last."""

    def __init__(self, history: Growing, runs: Sequence[Run], identity: Sequence[str]) -> None:
        self._history, self._runs, self._identity = history, runs, identity

    def __iter__(self) -> Iterator[JobContext]:
        """Those of all jobs."""
        nights = self._nights()
        with Spill() as spill:
            answering = self._learned(spill, nights)
            making = _Making(self._history, nights, answering)
            stored = self._history.by_run(oldest_first=True)
            while some := list(islice(stored, _AT_ONCE)):
                yield from making.made(some)

    def remembered(self, memory: Memory) -> Iterator[JobContext]:
        """Those of all jobs; what is needed to tell of fewer the next time is put into memory."""
        nights = self._nights()
        memory.begin()
        for context in self:
            entry = context.entry
            fact = fact_of(entry, nights, self._identity)
            if context.last_seen is not None:
                fact = fact._replace(seen=microseconds(context.last_seen))
            memory.put(fact)
            memory.link(entry.row.id, entry.row.parent, entry.row.children)
            yield context
        memory.end()

    def touched(
        self, memory: Memory, since: frozenset[str], more: Iterable[str] = ()
    ) -> Iterator[JobContext] | None:
        """Those that may be others since these runs came, and of some `more` jobs.

        Memory is brought forward with them. None where there are so many that all are as quick:
        then all must be remembered anew.
        """
        nights = self._nights()
        touching = Touching(self._history, nights, self._identity, memory)
        found = {*touching.jobs(since), *more}
        if len(found) > _MANY and len(found) * _FEW_OF_ALL > memory.count():
            return None
        return self._some(found, nights, memory)

    def _some(self, jobs: Iterable[str], nights: Nights, memory: Memory) -> Iterator[JobContext]:
        making = _Making(self._history, nights, _Remembered(memory, nights, self._identity))
        waiting = iter(self._in_order(jobs))
        while some := list(islice(waiting, _AT_ONCE)):
            found = self._history.of(some)
            for context in making.made([found[job] for job in some]):
                seen = None if context.last_seen is None else microseconds(context.last_seen)
                memory.saw(context.entry.row.id, seen)
                yield context

    def _in_order(self, jobs: Iterable[str]) -> list[str]:
        """Those of the jobs that are known, in the order in which records are stored."""
        places, waiting = [], iter(jobs)
        while some := list(islice(waiting, _AT_ONCE)):
            for job, entry in self._history.of(some).items():
                places.append((run_order(entry.run), entry.shard, entry.line, job))
        return [job for *_, job in sorted(places)]

    def _nights(self) -> Nights:
        if not any(run.usable for run in self._runs):
            raise SnapshotError(
                "no run brought anything usable", hint="run `jmreport collect` again"
            )
        return Nights(self._runs)

    def _learned(self, spill: Spill, nights: Nights) -> "_Learned":
        """What was usual, and what came before, worked out of all jobs."""
        learning, before = Learning(spill), Histories(spill, nights, self._identity)
        active: list[tuple[Workflow, Asking]] = []
        for entry in self._history.by_run():
            learning.tell(entry)
            before.tell(entry)
            if entry.row.active:
                active.append(asking_of(entry, nights))
        before.work_out()
        asked = learning.answers()
        waiting = {
            one.id: found
            for workflow, one in sorted(active, key=lambda asking: run_order(asking[1].run))
            if (found := asked.of(workflow, one)) is not None
        }
        return _Learned(learning.answers(), before, waiting, nights)


def _above(row: JobRow | None) -> JobRow | None:
    """A job as the pages of those below it tell of it: not why it failed.

    Another of them may say that, in a later run, and then all of them were told of anew.
    """
    return replace(row, failure=None, failed_tasks=(), blames=()) if row else None


class _Answering(Protocol):
    """Whoever knows what was usual for jobs, and what the same work did before them."""

    def usual(self, entry: Entry) -> Usual | None: ...

    def before(self, entries: Sequence[Entry]) -> Mapping[str, JobHistory]: ...


class _Learned:
    """Of all jobs, which ask in the order of their runs; `active` is for those without an end."""

    def __init__(
        self, answers: Answers, before: Histories, active: Mapping[str, Usual], nights: Nights
    ) -> None:
        self._answers, self._before = answers, before
        self._active, self._nights = active, nights

    def usual(self, entry: Entry) -> Usual | None:
        if entry.row.active:
            return self._active.get(entry.row.id)
        return self._answers.of(*asking_of(entry, self._nights))

    def before(self, entries: Sequence[Entry]) -> Mapping[str, JobHistory]:
        return self._before.of([entry.row.id for entry in entries])


class _Remembered:
    """Of what is remembered, for a few jobs."""

    def __init__(self, memory: Memory, nights: Nights, identity: Sequence[str]) -> None:
        self._memory, self._nights, self._identity = memory, nights, identity

    def usual(self, entry: Entry) -> Usual | None:
        workflow, asking = asking_of(entry, self._nights)
        before = asking.end.timestamp()
        return usual(
            self._memory.last_seconds(workflow, before=before, run=asking.run, most=MOST_RUNS)
        )

    def before(self, entries: Sequence[Entry]) -> Mapping[str, JobHistory]:
        by_work: dict[bytes, list[Told]] = {}
        for entry in entries:
            if told := told_by(entry, self._nights, self._identity):
                by_work.setdefault(told.work, []).append(told)
        found: dict[str, JobHistory] = {}
        for work, wanted in by_work.items():
            found.update(self._of_work(work, wanted))
        return found

    def _of_work(self, work: bytes, wanted: Sequence[Told]) -> Iterator[tuple[str, JobHistory]]:
        first = min(wanted, key=lambda told: (told.ended, told.id))
        left = {told.id for told in wanted}
        rows = self._memory.told_of(work, ended=microseconds(first.ended), job=first.id, least=RUNS)
        told = (Told(work, instant_of(ended), job, failed) for ended, job, failed in rows)
        for job, history in of_key(told):
            if job in left:
                left.remove(job)
                yield job, history
            if not left:
                return


class _Making:
    """Contexts of some jobs at a time."""

    def __init__(self, history: Growing, nights: Nights, answering: _Answering) -> None:
        self._history, self._nights, self._answering = history, nights, answering
        self._window, self._near = Window(nights), Near(history)
        self._submissions = Submissions(history)

    def made(self, some: Sequence[Entry]) -> Iterator[JobContext]:
        """The contexts of some hundred jobs, in their order."""
        near, nights = self._near, self._nights
        short = self._history.short_ids([entry.row.id for entry in some])
        told = self._answering.before(some)
        for entry in some:
            row = entry.row
            cause, said = cause_of(row), cause_said(row)
            top = near.top(entry)
            lost = self._window.lost(top)
            active_for = attention.time_active(row, nights.seen(entry))
            usual = self._answering.usual(entry)
            failed_below = near.failed_below(row)
            yield JobContext(
                entry=entry,
                usual=usual,
                parent=_above(near.row(row.parent)) if row.parent else None,
                children=near.children(row),
                failed_below=failed_below,
                blamed_below=near.blamed_below(failed_below),
                last_seen=nights.seen(entry) if lost else None,
                silent=lost and top.row.is_silent,
                cause=cause.id if cause else None,
                cause_class=said.cause_class if said else None,
                history=told.get(row.id),
                attempts=self._submissions.attempts(row),
                array=self._submissions.array(row),
                active_for=active_for,
                stuck=active_for is not None
                and not lost
                and attention.too_long(row, active_for, usual),
                # What lies below a listed job has no baseline of its own.
                unjudged=active_for is not None
                and not lost
                and row.listed
                and attention.lacks_baseline(row, active_for, usual),
                short_id=short[row.id],
            )
        near.forget()
