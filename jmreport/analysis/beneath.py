"""Why a job failed that failed in a sub-workflow: what the sub-workflow's own record says.

    a job's record         JobRow.blames: sub-workflows that may say more (analysis/rows.py)
    the store              keeps each row as its own record has it, whichever came first
    Beneath(store)         tells a failed job with the failure of the deepest that was read

Of a job that failed in a sub-workflow Cromwell may say no more than "Workflow failed", so all such
jobs would have one cause. What is told depends on what is known alone: a record that comes in a
later run is told of from then on, and a night of the past is told as it was known then.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from jmreport.history import History
from jmreport.records import Entry, Failure, JobRow, name_below
from jmreport.remembered import Growing

#: Sub-workflows that are looked at for one job, however its ids point at one another.
MOST_FOLLOWED = 30


class _Found(NamedTuple):
    """A failure, and the workflow that its task is one of."""

    failure: Failure
    of: JobRow


class Beneath:
    """A history whose jobs are told with the failures of their sub-workflows."""

    def __init__(self, history: History) -> None:
        self._history = history

    def by_run(self, *, oldest_first: bool = False) -> Iterator[Entry]:
        """Every job by the run that wrote its newest record."""
        return self.told(self._history.by_run(oldest_first=oldest_first))

    def by_submission(self) -> Iterator[Entry]:
        """Every job, the oldest submission first."""
        return self.told(self._history.by_submission())

    def of(self, jobs: Iterable[str]) -> dict[str, Entry]:
        """Those of these jobs that are known, by their ids."""
        return {job: self._told(entry) for job, entry in self._history.of(jobs).items()}

    def below(self, jobs: Iterable[str]) -> Iterator[Entry]:
        """The jobs that no list names and whose parent is one of these."""
        return self.told(self._history.below(jobs))

    def short_ids(self, jobs: Iterable[str]) -> dict[str, str]:
        """Whole id -> as much of it as tells it apart from all that are known."""
        return self._history.short_ids(jobs)

    def told(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The same jobs, one by one, told with what failed below them."""
        return map(self._told, entries)

    def _told(self, entry: Entry) -> Entry:
        row = entry.row
        # Few jobs blame any, and of those nearly all need one look.
        found = self._deepest(row, {row.id}) if row.blames else None
        return entry if found is None else replace(entry, row=_explained(row, found))

    def _deepest(self, row: JobRow, met: set[str]) -> _Found | None:
        """What the first of the blamed that tells anything says, or the first of those it blames.

        None where none was read that failed and says why: then what the job itself says stands.
        """
        for job in row.blames:
            if job in met or len(met) > MOST_FOLLOWED:
                continue
            met.add(job)
            entry = self._history.of((job,)).get(job)
            if entry is None or not _failed_below(entry.row, row):
                continue
            below = entry.row
            found = self._deepest(below, met)
            if found is None and below.failure is not None:
                found = _Found(below.failure, below)
            if found is not None:
                return _placed(found, row)
        return None


class GrowingBeneath(Beneath):
    """The same of a history that can be asked what may have changed since it was read last."""

    def __init__(self, history: Growing) -> None:
        super().__init__(history)
        self._growing = history

    def active(self) -> Sequence[Entry]:
        """The jobs that may still change."""
        return self._growing.active()

    def missed(self, run: str, since: datetime | None) -> Iterator[Entry]:
        """The jobs that were submitted since then, and that this run did not find."""
        return self.told(self._growing.missed(run, since))

    def submitted(self, since: float, before: float, *, upto: str | None = None) -> Iterator[Entry]:
        """The jobs submitted from then until before then, the oldest first."""
        return self.told(self._growing.submitted(since, before, upto=upto))

    def submitted_before(self, at: float) -> int:
        """How many jobs were submitted before then."""
        return self._growing.submitted_before(at)

    def found_by(self, runs: Iterable[str]) -> int:
        """How many jobs one of these runs was the last to find."""
        return self._growing.found_by(runs)

    def ids_between(self, since: str, before: str) -> list[str]:
        """The ids from one on until before another, sorted."""
        return self._growing.ids_between(since, before)

    def alike(self, jobs: Iterable[str]) -> set[str]:
        """Ids of all jobs that look like one of these at their shortest."""
        return self._growing.alike(jobs)


def _failed_below(below: JobRow, above: JobRow) -> bool:
    """Whether it failed, and belongs to the job above by both their words.

    Else nobody could say, when its record is another, which jobs are told otherwise.
    """
    return below.status == "Failed" and not below.listed and below.parent == above.id


def _placed(found: _Found, above: JobRow) -> _Found:
    """One that names no task happened in the call that the job above names."""
    if found.failure.task or above.failure is None or not above.failure.task:
        return found
    call = above.failure
    return _Found(replace(found.failure, task=call.task, shard=call.shard), above)


def _explained(row: JobRow, found: _Found) -> JobRow:
    failure, of = found
    tasks = row.failed_tasks
    if failure.task and of.id != row.id:
        failure = replace(failure, task=name_below(of, failure.task))
        tasks = tuple(dict.fromkeys((*tasks, failure.task or "")))
    return replace(row, failure=failure, failed_tasks=tasks, blames=())
