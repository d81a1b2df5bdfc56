"""Jobs that no list names any more, and that are asked for all the same.

it ran when it was seen last              until it has ended, or its server says that it does
                                          not know it, or for as long as its work has a state
it ended, and some of it was not read     as long, since another try may bring it
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from jmreport.gaps import Gap
from jmreport.records import Asked, Entry, JobRow, newest_usable

if TYPE_CHECKING:
    from jmreport.collectors.crawl import Wanted
    from jmreport.snapshots import Shard, Store


class Following:
    """What is to be asked for behind a list; of a part only what is its."""

    def __init__(self, store: Store, asked: Asked, *, now: datetime, shard: Shard | None) -> None:
        """`asked` is as the store keeps it."""
        self._store, self._now, self._shard = store, now, shard
        self._asked = replace(asked, since=None)
        self._runs = store.runs()
        self._last = newest_usable(self._runs)
        self._seen = {run.id: run.now for run in (*store.pruned(), *self._runs)}
        #: Jobs that ended and are tried once more.
        self._again: set[str] = set()

    def jobs(self, listed: Collection[str]) -> Iterator[Wanted]:
        """Those that the list did not name."""
        from jmreport.collectors.crawl import Wanted

        met = set(listed)
        for entry in self._store.active():
            row = entry.row
            if row.id not in met and row.listed and self._goes_on(entry) and self._is_ours(row):
                met.add(row.id)
                yield Wanted(id=row.id, root=row.id)
        for entry in self._lacking(met):
            top, depth = self._top(entry)
            if top.row.id not in met and top.row.listed and self._is_ours(top.row):
                self._again.add(entry.row.id)
                parent = entry.row.parent if depth else None
                yield Wanted(id=entry.row.id, parent=parent, root=top.row.id, depth=depth)

    def untold(self, job: str, gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
        """The gaps of a record that are this run's: one that a job which ended long ago still has
        was told by the run that met it first, but for what there was no time to ask for."""
        if job not in self._again:
            return gaps
        return tuple(gap for gap in gaps if gap.is_unasked)

    def _goes_on(self, entry: Entry) -> bool:
        """Whether a job that was active may tell more.

        The last run has found it, or got no answer, or did not ask for it, as its filters were
        others.
        """
        if self._last is None or entry.last_run >= self._last.id:
            return True
        refused = any(gap.is_refusal for gap in entry.row.gaps)
        return not refused and self._is_late(entry)

    def _lacking(self, met: Collection[str]) -> Iterator[Entry]:
        """Jobs that ended, and sub-workflows, of which a run of this week lacked something."""
        from jmreport.analysis.nights import KEPT

        named = {
            gap.job
            for run in self._runs
            if run.usable
            and run.asked.address == self._asked.address
            and self._now - run.now <= KEPT
            for gap in run.gaps
            if gap.job and gap.job not in met and gap.may_come
        }
        for entry in self._store.of(sorted(named)).values():
            row = entry.row
            lacks = any(gap.may_come for gap in row.gaps)
            # Of a sub-workflow that was never read nobody knows whether it has ended.
            if lacks and not (row.active and row.listed) and self._is_late(entry):
                yield entry

    def _is_late(self, entry: Entry) -> bool:
        """Whether it was found so lately that its work has a state."""
        from jmreport.analysis.nights import KEPT

        seen = self._seen.get(entry.last_run)
        return seen is not None and self._now - seen <= KEPT

    def _is_ours(self, row: JobRow) -> bool:
        """Whether a listed job passes the filters, and is one of this part's."""
        from jmreport.collectors.query import wanted

        ours = self._shard is None or self._shard.holds(row.id)
        return ours and wanted(as_row(row), self._asked)

    def _top(self, entry: Entry) -> tuple[Entry, int]:
        """The listed job that a sub-workflow is below, and how deep below it."""
        met = {entry.row.id}
        while not entry.row.listed and entry.row.parent and entry.row.parent not in met:
            above = self._store.entry(entry.row.parent)
            if above is None:
                break
            met.add(above.row.id)
            entry = above
        return entry, len(met) - 1


def as_row(row: JobRow) -> dict[str, Any]:
    """A JobRow as the list row that filters are applied to."""
    return {
        "id": row.id,
        "name": row.name or None,
        "status": row.status,
        "submission": row.submission.isoformat() if row.submission else None,
        "start": row.start.isoformat() if row.start else None,
        "end": row.end.isoformat() if row.end else None,
        "labels": row.labels,
        "extensions": {"userId": row.user} if row.user else {},
    }
