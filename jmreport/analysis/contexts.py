"""What a job's page shows beside its record: only what belongs to the job."""

from collections.abc import Iterator, Mapping, Sequence

from jmreport.analysis import attention
from jmreport.analysis.causes import cause_of
from jmreport.analysis.history import histories
from jmreport.analysis.nights import Nights
from jmreport.analysis.short_ids import short_ids
from jmreport.analysis.usual import Asking, Workflow, as_of_each, workflow_of
from jmreport.analysis.window import Window
from jmreport.errors import SnapshotError
from jmreport.records import Entry, JobRow, Run
from jmreport.report import JobContext

#: How many of the sub-workflows in which a failure began a job's page tells of.
MOST_FAILED_BELOW = 30


def contexts(
    entries: Sequence[Entry], runs: Sequence[Run], *, identity: Sequence[str] = ()
) -> Iterator[JobContext]:
    """A context for every known job, sub-workflows too, in the order in which records are stored.

    `identity` names the labels that tell pieces of work apart.

    Raises SnapshotError when no run is usable.
    """
    if not any(run.usable for run in runs):
        raise SnapshotError("no run brought anything usable", hint="run `jmreport collect` again")
    nights = Nights(runs)
    window = Window(nights)
    rows = {entry.row.id: entry.row for entry in entries}
    known = {entry.row.id: entry for entry in entries}
    usual = as_of_each(entries, (_asking(entry, nights) for entry in entries))
    before = histories(entries, nights, identity)
    short = short_ids(rows)
    for entry in sorted(entries, key=lambda entry: (entry.run, entry.shard, entry.line)):
        cause = cause_of(entry.row)
        lost = window.lost(_top(entry, known))
        active_for = attention.time_active(entry.row, nights.seen(entry))
        yield JobContext(
            entry=entry,
            usual=usual.get(entry.row.id),
            parent=rows.get(entry.row.parent or ""),
            children=_children(entry.row, rows),
            failed_below=_failed_below(entry.row, rows),
            last_seen=nights.seen(entry) if lost else None,
            cause=cause.id if cause else None,
            cause_class=cause.cause_class if cause else None,
            history=before.get(entry.row.id),
            active_for=active_for,
            stuck=active_for is not None
            and not lost
            and attention.too_long(entry.row, active_for, usual.get(entry.row.id)),
            short_id=short[entry.row.id],
        )


def _asking(entry: Entry, nights: Nights) -> tuple[Workflow, Asking]:
    """As of a finished job's own end; an active one is compared with what is known by now."""
    row = entry.row
    ended = nights.ended(entry)
    if ended is None:
        return workflow_of(row), Asking(entry.last_run, nights.seen(entry), row.id)
    return workflow_of(row), Asking(entry.run, row.end or ended, row.id)


def _top(entry: Entry, known: Mapping[str, Entry]) -> Entry:
    """The listed job that a sub-workflow belongs to: with it the server loses them all."""
    met: set[str] = set()
    while not entry.row.listed and entry.row.id not in met:
        met.add(entry.row.id)
        entry = known.get(entry.row.parent or "", entry)
    return entry


def _failed_below(row: JobRow, rows: dict[str, JobRow]) -> tuple[JobRow, ...]:
    """Failed sub-workflows none of whose own failed, in the order of their calls.

    However their ids point at one another, each is looked at once.
    """
    found: list[JobRow] = []
    met = {row.id}
    waiting = [child for child in reversed(_children(row, rows)) if child.status == "Failed"]
    while waiting and len(found) < MOST_FAILED_BELOW:
        job = waiting.pop()
        if job.id in met:
            continue
        met.add(job.id)
        below = [
            child
            for child in reversed(_children(job, rows))
            if child.status == "Failed" and child.id not in met
        ]
        waiting += below
        if not below:
            found.append(job)
    return tuple(found)


def _children(row: JobRow, rows: dict[str, JobRow]) -> tuple[JobRow, ...]:
    return tuple(rows[child] for child in row.children if child in rows)
