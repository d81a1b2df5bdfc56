"""What a job's page shows beside its record: only what belongs to the job."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from jmreport.analysis import attention
from jmreport.analysis.causes import cause_of
from jmreport.analysis.history import Histories
from jmreport.analysis.nights import Nights
from jmreport.analysis.usual import Answers, Asking, Learning, Workflow, workflow_of
from jmreport.analysis.window import Window
from jmreport.errors import SnapshotError
from jmreport.history import History
from jmreport.records import Entry, JobRow, Run, run_order
from jmreport.report import JobContext, Usual
from jmreport.spill import Spill

#: How many of the sub-workflows in which a failure began a job's page tells of.
MOST_FAILED_BELOW = 30
#: Jobs that are looked at together, and near ones that are kept for the next.
_AT_ONCE = 500
_KEPT = 5_000


def contexts(
    history: History, runs: Sequence[Run], *, identity: Sequence[str] = ()
) -> Iterator[JobContext]:
    """A context for every known job, sub-workflows too, in the order in which records are stored.

    `identity` names the labels that tell pieces of work apart. What a job's page says of the jobs
    before it is worked out on the disk, so memory holds a few jobs at a time.

    Raises SnapshotError when no run is usable.
    """
    if not any(run.usable for run in runs):
        raise SnapshotError("no run brought anything usable", hint="run `jmreport collect` again")
    nights = Nights(runs)
    with Spill() as spill:
        learning, before = Learning(spill), Histories(spill, nights, identity)
        active: list[tuple[Workflow, Asking]] = []
        for entry in history.by_run():
            learning.tell(entry)
            before.tell(entry)
            if entry.row.active:
                active.append(_asking(entry, nights))
        before.work_out()
        asked = learning.answers()
        waiting = {
            one.id: found
            for workflow, one in sorted(active, key=lambda asking: run_order(asking[1].run))
            if (found := asked.of(workflow, one)) is not None
        }
        yield from _contexts(history, nights, learning.answers(), before, waiting)


def _contexts(
    history: History,
    nights: Nights,
    answers: Answers,
    before: Histories,
    active: Mapping[str, Usual],
) -> Iterator[JobContext]:
    """`active` is what is usual for jobs that have not ended."""
    window, near = Window(nights), _Near(history)
    stored = history.by_run(oldest_first=True)
    while some := list(islice(stored, _AT_ONCE)):
        ids = [entry.row.id for entry in some]
        short, told = history.short_ids(ids), before.of(ids)
        for entry in some:
            row = entry.row
            cause = cause_of(row)
            lost = window.lost(near.top(entry))
            active_for = attention.time_active(row, nights.seen(entry))
            usual = active.get(row.id) if row.active else answers.of(*_asking(entry, nights))
            yield JobContext(
                entry=entry,
                usual=usual,
                parent=near.row(row.parent) if row.parent else None,
                children=near.children(row),
                failed_below=near.failed_below(row),
                last_seen=nights.seen(entry) if lost else None,
                cause=cause.id if cause else None,
                cause_class=cause.cause_class if cause else None,
                history=told.get(row.id),
                active_for=active_for,
                stuck=active_for is not None
                and not lost
                and attention.too_long(row, active_for, usual),
                short_id=short[row.id],
            )
        near.forget()


def _asking(entry: Entry, nights: Nights) -> tuple[Workflow, Asking]:
    """As of a finished job's own end; an active one is compared with what is known by now."""
    row = entry.row
    ended = nights.ended(entry)
    if ended is None:
        return workflow_of(row), Asking(entry.last_run, nights.seen(entry), row.id)
    return workflow_of(row), Asking(entry.run, row.end or ended, row.id)


class _Near:
    """The jobs above and below others, read as they are asked for."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._known: dict[str, Entry] = {}

    def forget(self) -> None:
        """Lets go of what was read; jobs of one tree are stored near one another."""
        if len(self._known) > _KEPT:
            self._known.clear()

    def _read(self, jobs: Iterable[str]) -> list[Entry]:
        """Those of the jobs that are known, in their order."""
        wanted = tuple(jobs)
        lacking = [job for job in wanted if job not in self._known]
        self._known.update(self._history.of(lacking))
        return [self._known[job] for job in wanted if job in self._known]

    def row(self, job: str) -> JobRow | None:
        """A job's row, None for one that is not known."""
        return next((entry.row for entry in self._read((job,))), None)

    def top(self, entry: Entry) -> Entry:
        """The listed job that a sub-workflow belongs to: with it the server loses them all."""
        met: set[str] = set()
        while not entry.row.listed and entry.row.id not in met:
            met.add(entry.row.id)
            parent = entry.row.parent
            entry = next(iter(self._read((parent,) if parent else ())), entry)
        return entry

    def children(self, row: JobRow) -> tuple[JobRow, ...]:
        """The rows of its sub-workflows, in the order of their calls."""
        return tuple(entry.row for entry in self._read(row.children)) if row.children else ()

    def failed_below(self, row: JobRow) -> tuple[JobRow, ...]:
        """Failed sub-workflows none of whose own failed, in the order of their calls.

        However their ids point at one another, each is looked at once.
        """
        found: list[JobRow] = []
        met = {row.id}
        waiting = [child for child in reversed(self.children(row)) if child.status == "Failed"]
        while waiting and len(found) < MOST_FAILED_BELOW:
            job = waiting.pop()
            if job.id in met:
                continue
            met.add(job.id)
            below = [
                child
                for child in reversed(self.children(job))
                if child.status == "Failed" and child.id not in met
            ]
            waiting += below
            if not below:
                found.append(job)
        return tuple(found)
