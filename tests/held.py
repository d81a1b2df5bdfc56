"""A history of jobs that are in memory: what a store says of them, without its files."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from jmreport import attempts
from jmreport.history import newness
from jmreport.placed import NEVER
from jmreport.records import Entry, Run, run_order
from jmreport.short_ids import form, short_ids


class Held:
    """A history of jobs that are in memory, and of the runs that read them.

    Where no runs are given, each that is named by a job is taken for one with a report.
    """

    def __init__(self, entries: Iterable[Entry], runs: Iterable[Run] = ()) -> None:
        self._known = {entry.row.id: entry for entry in entries}
        self._ids = sorted(self._known)
        known = tuple(self._known.values())
        usable = {run.id for run in runs if run.usable}
        reported = attempts.reported_by(usable or {one.told_run or one.first_run for one in known})
        told = attempts.Following().told(known, self._first_seen, reported)
        self._known = {entry.row.id: entry for entry in told}
        self._below: dict[str, list[str]] | None = None
        self._forms: dict[str, list[str]] | None = None

    def _first_seen(self, since: str, before: str) -> list[tuple[str, str]]:
        return [(job, self._known[job].first_run) for job in self.ids_between(since, before)]

    def by_run(self, *, oldest_first: bool = False) -> Iterator[Entry]:
        return iter(
            sorted(
                self._known.values(),
                key=lambda entry: (run_order(entry.run), entry.shard, entry.line),
                reverse=not oldest_first,
            )
        )

    def by_submission(self) -> Iterator[Entry]:
        return iter(sorted(self._known.values(), key=newness, reverse=True))

    def of(self, jobs: Iterable[str]) -> dict[str, Entry]:
        return {job: self._known[job] for job in jobs if job in self._known}

    def below(self, jobs: Iterable[str]) -> Iterator[Entry]:
        if self._below is None:
            found: defaultdict[str, list[str]] = defaultdict(list)
            for entry in self._known.values():
                if entry.row.parent and not entry.row.listed:
                    found[entry.row.parent].append(entry.row.id)
            self._below = dict(found)
        for job in dict.fromkeys(jobs):
            yield from (self._known[each] for each in self._below.get(job, ()))

    def short_ids(self, jobs: Iterable[str]) -> dict[str, str]:
        if self._forms is None:
            found: defaultdict[str, list[str]] = defaultdict(list)
            for job in self._known:
                found[form(job)].append(job)
            self._forms = dict(found)
        wanted = list(jobs)
        forms = short_ids(
            other for each in {form(job) for job in wanted} for other in self._forms.get(each, ())
        )
        return {job: forms[job] for job in wanted if job in forms}

    def active(self) -> tuple[Entry, ...]:
        """The jobs that may still change, sorted by id."""
        return tuple(self._known[job] for job in sorted(self._known) if self._known[job].row.active)

    def missed(self, run: str, since: datetime | None) -> Iterator[Entry]:
        """The jobs that were submitted since then, and that this run did not find."""
        for entry in self._known.values():
            at = entry.row.submission
            if entry.last_run != run and (since is None or (at is not None and at >= since)):
                yield entry

    def submitted(self, since: float, before: float, *, upto: str | None = None) -> Iterator[Entry]:
        """The jobs submitted from then until before then that runs up to this one told of."""
        return (
            entry
            for entry in self.by_submission()
            if since <= _submitted(entry) < before
            and (upto is None or run_order(entry.run) <= run_order(upto))
        )

    def submitted_before(self, at: float) -> int:
        """How many jobs were submitted before then."""
        return sum(_submitted(entry) < at for entry in self._known.values())

    def found_by(self, runs: Iterable[str]) -> int:
        """How many jobs one of these runs was the last to find."""
        some = frozenset(runs)
        return sum(entry.last_run in some for entry in self._known.values())

    def ids_between(self, since: str, before: str) -> list[str]:
        """The ids from one on until before another, sorted."""
        return self._ids[bisect_left(self._ids, since) : bisect_left(self._ids, before)]

    def alike(self, jobs: Iterable[str]) -> set[str]:
        """Ids of all jobs that look like one of these at their shortest."""
        forms = {form(job) for job in jobs}
        return {job for job in self._known if form(job) in forms}


def _submitted(entry: Entry) -> float:
    at = entry.row.submission
    return NEVER if at is None else at.timestamp()
