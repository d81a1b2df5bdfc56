"""Whom a report is about: what is kept of a history while it streams by once.

The jobs of the report and all below them, those of its night and of its timeline; and of all others
no more than what says how keys stand, how long workflows take and what jobs failed of.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from jmreport.analysis import timeline
from jmreport.analysis.keys import Keys, Verdicts
from jmreport.analysis.nights import Nights
from jmreport.analysis.settled import Settled
from jmreport.analysis.waste import Above
from jmreport.analysis.workflows import newest_first
from jmreport.history import History
from jmreport.records import Entry, JobRow
from jmreport.sharing import Sharing


class Scope:
    """One pass over a history, as the newest of the nights sees it."""

    def __init__(
        self,
        history: History,
        nights: Nights,
        identity: Sequence[str],
        settled: Settled,
        verdicts: Verdicts | None = None,
    ) -> None:
        """`verdicts` say what became of the work, where it has jobs that this history lacks."""
        self._nights, self._window = nights, settled.window
        self._since = nights.run.asked.since
        keys, sharing = None if verdicts else Keys(nights, identity), Sharing()
        self.overall = settled.overall
        #: Jobs that ended in the newest night, those that no list names too, by id.
        self.tonight: list[Entry] = []
        #: Listed jobs of which anything is known since the window's beginning, by id.
        self.touching: list[JobRow] = []
        #: Of those and of the report's jobs, what the server no longer has.
        self.lost: set[str] = set()
        found = [
            kept
            for entry in settled.others()
            if (kept := self._taken(entry, keys, sharing, settled)) is not None
        ]
        if keys is not None:
            settled.tell(keys)
            verdicts = keys.verdicts(history)
            # What says so is let go of.
            del keys
        assert verdicts is not None  # one or the other
        #: What became of every key.
        self.verdicts = verdicts
        #: The report's jobs, newest submission first.
        self.jobs = tuple(newest_first(found))
        self.tonight.sort(key=lambda entry: entry.row.id)
        self.touching.sort(key=lambda row: row.id)
        #: Everything below the report's jobs.
        self.below = tuple(sorted(_below(self.jobs, history), key=lambda entry: entry.row.id))
        #: Their sub-workflows of which there is no record, each with the job that names it.
        self.unrecorded = _unrecorded((*self.jobs, *self.below), history)
        self.above = Above({entry.row.id: entry for entry in self._with_parents(history)}.values())

    def _taken(
        self, entry: Entry, keys: Keys | None, sharing: Sharing, settled: Settled
    ) -> Entry | None:
        """The entry, if it is one of the report's jobs. What is kept of it is kept once."""
        nights, row = self._nights, entry.row
        ended = nights.ended(entry)
        told = None if nights.is_coming(entry) else ended
        tonight = told is not None and nights.index(told) == nights.tonight
        lost = row.listed and self._window.lost(entry)
        holds = row.listed and self._window.holds(entry)
        touches = row.listed and timeline.touches(row, self._since, lost=lost)
        if lost and (touches or holds):
            self.lost.add(row.id)
        if tonight or touches or holds:
            # What it was made from is a question for the store, not for a report.
            entry = sharing.entry(replace(entry, digest="", row_digest=""))
        if tonight:
            self.tonight.append(entry)
        if touches:
            self.touching.append(entry.row)
        if row.listed:
            if keys is not None:
                keys.take(entry, told)
            self.overall.take(entry, ended)
            settled.meet(entry, lost=lost, kept=touches or holds)
        return entry if holds else None

    def is_lost(self, entry: Entry) -> bool:
        """Whether the server no longer has a job."""
        return self._window.lost(entry)

    def _with_parents(self, history: History) -> Iterator[Entry]:
        """The jobs that cost something in the report, and those that they were run by."""
        yield from self.jobs
        yield from self.below
        yield from self.tonight
        met: set[str] = set()
        waiting = [entry for entry in self.tonight if not entry.row.listed]
        while waiting:
            above = {entry.row.parent for entry in waiting if entry.row.parent} - met
            met |= above
            found = history.of(sorted(above)).values()
            yield from found
            waiting = [entry for entry in found if not entry.row.listed]


def _unrecorded(jobs: Sequence[Entry], history: History) -> dict[str, str]:
    named = {child: entry.row.id for entry in jobs for child in entry.row.children}
    lacking = named.keys() - {entry.row.id for entry in jobs}
    known = history.of(sorted(lacking))
    return {job: named[job] for job in sorted(lacking) if job not in known}


def _below(jobs: Iterable[Entry], history: History) -> Iterator[Entry]:
    """Everything below some jobs, each once, however their ids point at one another."""
    met = {entry.row.id for entry in jobs}
    waiting = sorted(met)
    while waiting:
        found = [entry for entry in history.below(waiting) if entry.row.id not in met]
        met.update(entry.row.id for entry in found)
        waiting = [entry.row.id for entry in found]
        yield from found
