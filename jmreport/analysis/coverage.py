"""How far back everything was read: what the runs' windows cover together."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from jmreport.analysis.window import whole_list
from jmreport.records import Filters, Run

_BEGINNING = datetime.min.replace(tzinfo=UTC)


def covered_since(runs: Sequence[Run]) -> datetime:
    """The instant since which every job submitted is known, as of the newest of usable runs.

    A run covers from its window's beginning to its own now, and an older run adds to it where the
    two touch. The newest run's now where pages of its list are missing: then nothing is certain.
    What pruned runs covered is forgotten for the most part.
    """
    newest = runs[-1]
    if not whole_list(newest):
        return newest.now
    reach = newest.asked.since or _BEGINNING
    for run in reversed(runs[:-1]):
        if run.now < reach or run.pruned:
            break
        if _as_wide(run, newest):
            reach = min(reach, run.asked.since or _BEGINNING)
    return reach


def _as_wide(run: Run, newest: Run) -> bool:
    """Whether a run read everything in its window that the newest would have asked for."""
    same = run.asked.server == newest.asked.server
    filters = run.asked.filters
    return same and whole_list(run) and filters in (Filters(), newest.asked.filters)


def frame_start(now: datetime, length: timedelta | None) -> datetime:
    """The beginning of a time frame that ends now; of all time where it has no length."""
    return _BEGINNING if length is None else now - length
