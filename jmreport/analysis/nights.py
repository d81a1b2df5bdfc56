"""Nights: the time between two usable runs.

A job belongs to the night in which it ended. What a run behind the newest usable one told first, as
one that read a few jobs again, belongs to the coming night: until then the job counts as it did.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from statistics import median

from jmreport.analysis.coverage import leaves_out
from jmreport.analysis.matching import may_match
from jmreport.records import Entry, JobRow, Run

#: A key that did not run keeps its state for this long.
KEPT_NIGHTS = 7
KEPT = timedelta(days=7)


class Nights:
    """The usable runs, oldest first, and the nights between them. At least one run is usable."""

    def __init__(self, runs: Sequence[Run], *, listed: Sequence[Run] | None = None) -> None:
        """`listed` are all runs, where some that are not to be compared with are none of `runs`."""
        self.runs = [run for run in runs if run.usable]
        #: Those that say what was asked for.
        self.listed = [run for run in listed or runs if run.usable]
        self.run = self.runs[-1]
        self.now = self.run.now
        self.previous = self.runs[-2] if len(self.runs) > 1 else None
        #: When each ended. One with a clock that was set back found what it found no earlier than
        #: the run before: else what failed since would be older than a success that it came after.
        self._nows = list(accumulate((run.now for run in self.runs), max))
        self._ids = [run.id for run in self.runs]
        #: The same of all that are listed, by which states are kept: whoever compares with the
        #: report of last week keeps what those between keep, and no more.
        self._every_now = list(accumulate((run.now for run in self.listed), max))
        self._listed_ids = [run.id for run in self.listed]
        self._places = {run: place for place, run in enumerate(self._listed_ids)}
        #: When each run's report told of what it found.
        self._told_by = dict(zip(self._ids, self._nows, strict=True))
        self._now_of_all = {run.id: run.now for run in runs}
        self._may_keep: dict[str, bool] = {}
        self.tonight = len(self.runs) - 1
        #: Whether work that is not there did not run: not where a filter may be why. One by status
        #: has work come and go with how it ended, and behind another one others come. Nor where a
        #: part of the list did not come, in the afternoon after a night, or where the window
        #: leaves out what was submitted since the run before.
        filters = self.run.asked.filters
        last = self.runs[-1 - KEPT_NIGHTS :]
        before = [run for run in self.listed if run.id != self.run.id]
        left_out = leaves_out(before, self.run.asked, self.run.now)
        can_tell = not (filters.status or left_out) and self.run.whole_list and _is_long(last)
        self.can_miss = can_tell and all(run.asked.filters == filters for run in last)
        #: The same of tonight alone, of work whose own row passes the filter. Another project's
        #: was not asked for.
        one_project = len({run.asked.filters.project_id for run in last}) == 1
        self.knows_idle = can_tell and one_project

    def ended(self, entry: Entry) -> datetime | None:
        """When a finished job ended, None for one that has not.

        Never after the run that first told how it ended, whatever the server's clock says, and
        however often its record was written since: a night has it for good. A server that gives no
        end is taken to mean its latest other time; of a job that a run saw active, what follows
        upon the last run that may have seen it so.
        """
        row = entry.row
        if row.active:
            return None
        if row.end is None and entry.ended_run:
            return self._soonest(entry)
        told = self._told_at(entry.told_run or entry.run)
        return min(row.end or row.start or row.submission or told, told)

    def _soonest(self, entry: Entry) -> datetime:
        """When a job may have ended at the soonest that a run found ended, and others active.

        So it is of the night of that run, and what began since, as the work run again, came behind
        it. Of several that a run found so a failure is the later one: none is hidden by a success
        of which nobody knows whether it came before.
        """
        told = self._told_at(entry.ended_run)
        place = self._places.get(entry.ended_run)
        if place is None:
            place = bisect_left(self._listed_ids, entry.ended_run)
        if place == 0:
            return told
        behind = 2 if entry.row.status == "Failed" else 1
        return min(told, self._every_now[place - 1] + behind * timedelta.resolution)

    def _told_at(self, run: str) -> datetime:
        """When a run told of something: one that was stopped, by the first usable one behind it.

        While none has come, by what it said itself.
        """
        known = self._told_by.get(run)
        if known is None:
            later = bisect_left(self._ids, run)
            if later < len(self._nows):
                known = self._nows[later]
            else:
                known = max(self.now, self._now_of_all.get(run, self.now))
            self._told_by[run] = known
        return known

    def is_coming(self, entry: Entry) -> bool:
        """Whether a job's outcome is for the coming night to tell: the newest did not know it.

        A run behind it was the first to tell: one that read a few jobs again, or was stopped.
        """
        return not entry.row.active and (entry.told_run or entry.run) > self._ids[-1]

    def knew(self, entry: Entry) -> bool:
        """Whether the newest usable run, or one before it, saw a job."""
        return entry.first_run <= self._ids[-1]

    def seen(self, entry: Entry) -> datetime:
        """When a run found this job on the server for the last time, be it one that was stopped."""
        if entry.last_run in self._now_of_all:
            return self._now_of_all[entry.last_run]
        last = bisect_right(self._ids, entry.last_run) - 1
        return self._nows[max(last, 0)]

    def index(self, at: datetime) -> int:
        """The night of an instant: 0 is everything up to the first run."""
        return bisect_left(self._nows, at)

    def keeps(self, ended: datetime, *, back: int = 0) -> bool:
        """Whether a state from then still holds, as seen by the run `back` runs before the newest.

        For seven nights, and for seven days where nights are shorter than that.
        """
        now = self.now if not back else self._nows[-1 - back]
        nights = self._places[self._ids[-1 - back]] - bisect_left(self._every_now, ended)
        return nights <= KEPT_NIGHTS or now - ended <= KEPT

    def reports_since(self, night: int) -> int:
        """How many runs there were since one night, its own and the newest among them."""
        return len(self.listed) - self._places[self._ids[night]]

    def may_keep(self, entry: Entry) -> bool:
        """Whether a job that ended may still hold tonight, or for the run before.

        Told by the run that wrote its record, before which it ended.
        """
        run = entry.run
        if run not in self._may_keep:
            self._may_keep[run] = self._keeps_from(self._now_of_all.get(run, self.now))
        return self._may_keep[run]

    def keeps_of_run(self, run: Run) -> bool:
        """The same of all jobs whose records a run wrote."""
        return self._keeps_from(run.now)

    def _keeps_from(self, recorded: datetime) -> bool:
        return self.keeps(recorded, back=1 if self.previous else 0)

    def known_before(self, entry: Entry, ended: datetime) -> bool | None:
        """Whether the previous run counted this finished job; None where no run asked for it yet.

        One that ended before it, though first seen now, is news tonight where a run should have
        listed it and missed it, or would have told of it and left it out by its filter: no report
        told of it. So is what a run saw and could not tell: a job whose detail it could not read,
        or that the server's list still had as running.
        """
        previous = self.previous
        if previous is None or ended > self._nows[-2]:
            return False
        if entry.first_run <= previous.id:
            return (entry.told_run or entry.first_run) <= previous.id
        return False if any(self._asked_for(run, entry.row) for run in self._lately()) else None

    def _lately(self) -> Sequence[Run]:
        """The runs before the newest whose states may still hold."""
        return self.runs[-2 - KEPT_NIGHTS : -1]

    def _asked_for(self, run: Run, row: JobRow) -> bool:
        """Whether a run asked for such a job, of which it could not know everything yet."""
        asked, newest, submitted = run.asked, self.run.asked, row.submission
        return (
            asked.address == newest.address
            and asked.filters.project_id in (None, newest.filters.project_id)
            and (asked.since is None or (submitted is not None and submitted >= asked.since))
            and may_match(row, asked.filters)
        )

    def told_in(self, entry: Entry, ended: datetime) -> int:
        """The first night whose report told of a finished job; that in which it ended for those
        that are too old to be asked about."""
        night = self.index(ended)
        if not self.may_keep(entry):
            return night
        found = bisect_left(self._ids, entry.told_run or entry.first_run)
        return max(night, min(found, self.tonight))


def _is_long(runs: Sequence[Run]) -> bool:
    """Whether the last of some nights took at least three quarters as long as those before it."""
    lengths = [(then.now - first.now).total_seconds() for first, then in pairwise(runs)]
    return len(lengths) < 2 or 4 * lengths[-1] >= 3 * median(lengths[:-1])
