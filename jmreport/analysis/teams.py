"""A team's part of what is known: its jobs, all below them, and what of a run concerns it."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from jmreport.history import History
from jmreport.records import Entry, JobRow, Run

#: Sub-workflows of which is kept whether they are the team's.
_KEPT = 50_000


class OfTeam:
    """A history of the listed jobs that have all of some labels, and of everything below them.

    Without labels it is the whole history. Short ids tell jobs apart from those of others too.
    """

    def __init__(self, history: History, labels: Mapping[str, str]) -> None:
        self._history, self._labels = history, labels
        self._below: dict[str, bool] = {}

    def by_run(self, *, oldest_first: bool = False) -> Iterator[Entry]:
        """The team's jobs by the run that wrote their newest record."""
        return filter(self.has, self._history.by_run(oldest_first=oldest_first))

    def by_submission(self) -> Iterator[Entry]:
        """The team's jobs, the oldest submission first."""
        return filter(self.has, self._history.by_submission())

    def of(self, jobs: Iterable[str]) -> dict[str, Entry]:
        """Those of these jobs that are the team's."""
        found = self._history.of(jobs)
        return {job: entry for job, entry in found.items() if self.has(entry)}

    def below(self, jobs: Iterable[str]) -> Iterator[Entry]:
        """What lies below some jobs of the team."""
        return filter(self.has, self._history.below(jobs))

    def short_ids(self, jobs: Iterable[str]) -> dict[str, str]:
        """Whole id -> as much of it as tells it apart from all that are known."""
        return self._history.short_ids(jobs)

    def has(self, entry: Entry) -> bool:
        """Whether a job is the team's."""
        if not self._labels:
            return True
        if entry.row.listed:
            return has(entry.row.labels, self._labels)
        job = entry.row.id
        if job not in self._below:
            if len(self._below) >= _KEPT:
                self._below.clear()
            self._below[job] = has(self._root(entry).labels, self._labels)
        return self._below[job]

    def _root(self, entry: Entry) -> JobRow:
        """The listed job above a sub-workflow; the highest that is known where none is listed."""
        met = {entry.row.id}
        while not entry.row.listed and entry.row.parent and entry.row.parent not in met:
            above = self._history.of((entry.row.parent,)).get(entry.row.parent)
            if above is None:
                break
            entry = above
            met.add(entry.row.id)
        return entry.row


def has(known: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a job that has the one labels has all of the others."""
    return all(known.get(key) == value for key, value in labels.items())


def runs_of_team(runs: Sequence[Run], history: History, own: OfTeam) -> tuple[Run, ...]:
    """The runs as far as they concern a team: without gaps of jobs of others.

    One that lacks more than those stays incomplete: nobody knows whose the jobs were that a list
    lacked.
    """
    known = history.of(sorted({gap.job for run in runs for gap in run.gaps if gap.job}))
    others = {job for job, entry in known.items() if not own.has(entry)}
    return tuple(_without(run, others) for run in runs)


def _without(run: Run, others: Container[str | None]) -> Run:
    """A run without the gaps of others' jobs, and complete where it has no other."""
    gaps = tuple(gap for gap in run.gaps if gap.job not in others)
    whole = run.state == "incomplete" and bool(run.gaps) and not gaps
    return replace(run, gaps=gaps, state="complete" if whole else run.state)
