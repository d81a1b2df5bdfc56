"""Which jobs a report is about, and which of them the server has lost.

A run asks for the jobs of a window, for those still active, and for those that were active before.
What it finds is in the report. What it should have found and did not is in the report too, and is
named as lost: unless pages of the list are missing, or a filter looks at what may change (labels),
for then absence proves nothing. A job of which its server said itself that it is not there is lost
however that run asked.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from jmreport.analysis.matching import matches
from jmreport.analysis.nights import Nights
from jmreport.records import Asked, Entry, Filters, JobRow, Run

_BEGINNING = datetime.min.replace(tzinfo=UTC)
#: Filters (encoded, decoded) -> the earliest submission that runs with these filters asked for.
_Earliest = dict[bytes, tuple[Filters, datetime]]


class Window:
    """The newest usable run's jobs, among everything ever known. `runs` are the usable ones."""

    def __init__(self, nights: Nights) -> None:
        self.run = nights.run
        self._nights = nights
        self._ids = [run.id for run in nights.runs]
        self._after = [tuple(asked.values()) for asked in _asked_after(nights.runs)]
        #: Whether a job that the run did not find may have left its list in some other way.
        self._unsure = self.run.whole_list and _may_change(self.run.asked.filters)

    def holds(self, entry: Entry) -> bool:
        """Whether the report is about this job. Sub-workflows belong to their parent's page."""
        if not entry.row.listed:
            return False
        if entry.last_run == self.run.id:
            return True
        asked = self.run.asked
        if self._unsure and not _is_gone(entry):
            return False
        if not _asks_for(entry.row, asked.filters, asked.since or _BEGINNING):
            return False
        return _in_frame(entry.row, asked) or self._nights.keeps(self._nights.seen(entry))

    def lost(self, entry: Entry) -> bool:
        """Whether a run after the last one that found this job asked for it in vain."""
        if not entry.row.listed:
            return False
        if _is_gone(entry):
            return True
        last = bisect_right(self._ids, entry.last_run) - 1
        for filters, since in self._after[last + 1]:  # noqa: SIM110 (asked of every job: `any` of a generator takes twice the time)
            if _asks_for(entry.row, filters, since):
                return True
        return False


def _is_gone(entry: Entry) -> bool:
    """Whether its server said that there is no such job, and no list named it then or since."""
    return entry.row.is_gone and entry.last_run < entry.run


def _may_change(filters: Filters) -> bool:
    """Whether a job may leave the list because somebody relabelled or archived it."""
    return bool(filters.labels) or filters.hide_archived


def _in_frame(row: JobRow, asked: Asked) -> bool:
    return asked.since is None or (row.submission is not None and row.submission >= asked.since)


def _asked_after(runs: Sequence[Run]) -> list[_Earliest]:
    """For each position i, what runs[i:] asked for of the server that runs[i - 1] asked.

    Position 0 is for jobs of runs that are gone. Another server's jobs are not lost when this one
    does not list them.
    """
    of_server: dict[str, _Earliest] = {}
    after: list[_Earliest] = []
    for position in range(len(runs), -1, -1):
        if position < len(runs):
            _add(of_server, runs[position])
        server = runs[position - 1].asked.address
        after.append(dict(of_server.get(server, {})))
    return after[::-1]


def _add(of_server: dict[str, _Earliest], run: Run) -> None:
    """Note what a run asked for, if it proves that a job is gone when it did not come."""
    asked = run.asked
    if not run.whole_list or _may_change(asked.filters):
        return
    earliest = of_server.setdefault(asked.address, {})
    code = msgspec.json.encode(asked.filters, order="sorted")
    since = asked.since or _BEGINNING
    if code in earliest:
        since = min(since, earliest[code][1])
    earliest[code] = (asked.filters, since)


def _asks_for(row: JobRow, filters: Filters, since: datetime) -> bool:
    """Whether a run would list this job: active ones whenever they were submitted."""
    return (row.active or (row.submission is not None and row.submission >= since)) and (
        matches(row, filters)
    )
