"""The jobs above and below others: what of them a job's page shows."""

from collections.abc import Iterable

from jmreport.history import History
from jmreport.records import Entry, JobRow
from jmreport.report.jobs import BlamedBelow

#: How many of the sub-workflows in which a failure began a job's page tells of.
MOST_FAILED_BELOW = 30
#: Near jobs that are kept for the next.
_KEPT = 5_000


class Near:
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

    def blamed_below(self, failed: Iterable[JobRow]) -> tuple[BlamedBelow, ...]:
        """The sub-workflows that these jobs may have failed in, and that could not be read."""
        return tuple(
            BlamedBelow(id=job, above=row.id, row=known)
            for row in failed
            for job in row.blames
            if (known := self.row(job)) is None or known.unread
        )
