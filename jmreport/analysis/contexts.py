"""What a job's page shows beside its record: only what belongs to the job."""

from collections.abc import Iterator, Sequence

from jmreport.analysis.causes import cause_of
from jmreport.analysis.nights import Nights
from jmreport.analysis.short_ids import short_ids
from jmreport.analysis.usual import Asking, Workflow, as_of_each, workflow_of
from jmreport.analysis.window import Window
from jmreport.errors import SnapshotError
from jmreport.records import Entry, JobRow, Run
from jmreport.report import JobContext


def contexts(entries: Sequence[Entry], runs: Sequence[Run]) -> Iterator[JobContext]:
    """A context for every known job, sub-workflows too, in the order in which records are stored.

    Raises SnapshotError when no run is usable.
    """
    if not any(run.usable for run in runs):
        raise SnapshotError("no run brought anything usable", hint="run `jmreport collect` again")
    nights = Nights(runs)
    window = Window(nights)
    rows = {entry.row.id: entry.row for entry in entries}
    short = short_ids(rows)
    usual = as_of_each(entries, (_asking(entry, nights) for entry in entries))
    for entry in sorted(entries, key=lambda entry: (entry.run, entry.shard, entry.line)):
        cause = cause_of(entry.row)
        yield JobContext(
            entry=entry,
            usual=usual.get(entry.row.id),
            parent=rows.get(entry.row.parent or ""),
            children=_children(entry.row, rows),
            last_seen=window.last_seen(entry),
            cause=cause.id if cause else None,
            cause_class=cause.cause_class if cause else None,
            short_id=short[entry.row.id],
        )


def _asking(entry: Entry, nights: Nights) -> tuple[Workflow, Asking]:
    """As of a finished job's own end; an active one is compared with what is known by now."""
    row = entry.row
    ended = nights.ended(entry)
    if ended is None:
        return workflow_of(row), Asking(entry.last_run, nights.seen(entry), row.id)
    return workflow_of(row), Asking(entry.run, row.end or ended, row.id)


def _children(row: JobRow, rows: dict[str, JobRow]) -> tuple[JobRow, ...]:
    return tuple(rows[child] for child in row.children if child in rows)
