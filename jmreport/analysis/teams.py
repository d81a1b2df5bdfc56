"""A team's part of what is known: its jobs, all below them, and what of a run concerns it.

    Teams          whose each job is, told by one reading of all that is known
    OwnJobs        a team's jobs by their places among those: 4 bytes a job
    OfTeam         the history that these are

A team's history reads its own jobs by their ids, so that forty teams do not read all forty times.
"""

from array import array
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from jmreport.history import History
from jmreport.placed import NEVER
from jmreport.records import Entry, JobRow, Run

#: Sub-workflows of which is kept whether they are the team's.
_KEPT = 50_000
#: Jobs that are read together.
_AT_ONCE = 500


class OwnJobs(NamedTuple):
    """The jobs of a team by their places among those of all teams, rising.

    `ids` are those of the newest run first, `submitted` seconds since 1970.
    """

    ids: Sequence[str]
    submitted: Sequence[float]
    places: Sequence[int]

    def by_run(self, *, oldest_first: bool) -> Iterator[str]:
        """Their ids by the run that wrote their newest record."""
        places = reversed(self.places) if oldest_first else iter(self.places)
        return map(self.ids.__getitem__, places)

    def by_submission(self) -> Iterator[str]:
        """Their ids, the oldest submission first."""
        # As histories sort them: those of one instant by id, from the last.
        places = array("I", sorted(self.places, key=self.ids.__getitem__, reverse=True))
        return map(self.ids.__getitem__, sorted(places, key=self.submitted.__getitem__))


class Teams:
    """Whose all jobs are that a history knows, as it is read once for all teams.

    Teams are found by the values that a job has of their labels' keys, however many they are.
    """

    def __init__(self, history: History, teams: Iterable[Mapping[str, str]]) -> None:
        """`teams` are the labels that all jobs of each have."""
        self._ids: list[str] = []
        self._submitted = array("d")
        self._places: dict[tuple[str, ...], dict[tuple[str | None, ...], array[int]]] = {}
        for labels in teams:
            keys, values = _split(labels)
            self._places.setdefault(keys, {}).setdefault(values, array("I"))
        entries = history.by_run()
        while some := list(islice(entries, _AT_ONCE)):
            for entry, root in zip(some, _roots(history, some), strict=True):
                self._take(entry.row, root.labels)

    def jobs(self, labels: Mapping[str, str]) -> OwnJobs:
        """Those of one of the teams."""
        keys, values = _split(labels)
        return OwnJobs(self._ids, self._submitted, self._places[keys][values])

    def _take(self, row: JobRow, labels: Mapping[str, str]) -> None:
        known = len(self._ids)
        for keys, by_values in self._places.items():
            places = by_values.get(tuple(map(labels.get, keys)))
            if places is None:
                continue
            places.append(known)
            if len(self._ids) == known:
                at = row.submission
                self._ids.append(row.id)
                self._submitted.append(NEVER if at is None else at.timestamp())


class OfTeam:
    """A history of the listed jobs that have all of some labels, and of everything below them.

    Without labels it is the whole history. Short ids tell jobs apart from those of others too.
    """

    def __init__(
        self, history: History, labels: Mapping[str, str], jobs: OwnJobs | None = None
    ) -> None:
        """`jobs` are the team's, where they are known; else all are looked through for them."""
        self._history, self._labels, self._jobs = history, labels, jobs
        self._below: dict[str, bool] = {}

    def by_run(self, *, oldest_first: bool = False) -> Iterator[Entry]:
        """The team's jobs by the run that wrote their newest record."""
        if self._jobs is not None:
            return self._read(self._jobs.by_run(oldest_first=oldest_first))
        return filter(self.has, self._history.by_run(oldest_first=oldest_first))

    def by_submission(self) -> Iterator[Entry]:
        """The team's jobs, the oldest submission first."""
        if self._jobs is not None:
            return self._read(self._jobs.by_submission())
        return filter(self.has, self._history.by_submission())

    def _read(self, jobs: Iterator[str]) -> Iterator[Entry]:
        while some := list(islice(jobs, _AT_ONCE)):
            yield from self._history.of(some).values()

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
            [root] = _roots(self._history, (entry,))
            self._below[job] = has(root.labels, self._labels)
        return self._below[job]


def has(known: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a job that has the one labels has all of the others."""
    return all(known.get(key) == value for key, value in labels.items())


def _split(labels: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys of a team's labels, sorted, and their values."""
    keys = tuple(sorted(labels))
    return keys, tuple(labels[key] for key in keys)


def _roots(history: History, entries: Sequence[Entry]) -> list[JobRow]:
    """The listed job above each, be it itself; the highest that is known where none is listed."""
    found = [entry.row for entry in entries]
    met = {at: {row.id} for at, row in enumerate(found) if not row.listed}
    while met:
        parents = {at: found[at].parent for at in met}
        known = history.of({parent for parent in parents.values() if parent})
        for at, parent in parents.items():
            above = known.get(parent) if parent and parent not in met[at] else None
            if above is None:
                del met[at]
                continue
            found[at] = above.row
            met[at].add(above.row.id)
            if above.row.listed:
                del met[at]
    return found


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
