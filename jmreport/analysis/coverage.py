"""How far back everything was read: what the runs' windows cover together."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from jmreport.records import Filters, Run

_BEGINNING = datetime.min.replace(tzinfo=UTC)


def covered_since(runs: Sequence[Run]) -> datetime:
    """The instant since which every job submitted is known, as of the newest of usable runs.

    A run covers from its window's beginning to its own now, and an older run adds to it where the
    two touch. The newest run's now where pages of its list are missing: then nothing is certain.
    What pruned runs covered is forgotten for the most part.
    """
    return _reach(runs, lambda filters: filters in (Filters(), runs[-1].asked.filters))


def reached_since(runs: Sequence[Run]) -> datetime:
    """The same whatever filters they had: behind it runs read nothing at all, up to where
    `covered_since` is they did not read all."""
    return _reach(runs, lambda _: True)


def _reach(runs: Sequence[Run], counts: Callable[[Filters], bool]) -> datetime:
    """How far back the windows of runs whose filters count touch one another."""
    newest = runs[-1]
    if not newest.whole_list:
        return newest.now
    reach = newest.asked.since or _BEGINNING
    for run in reversed(runs[:-1]):
        if run.now < reach or run.pruned:
            break
        same = run.asked.server == newest.asked.server
        if same and run.whole_list and counts(run.asked.filters):
            reach = min(reach, run.asked.since or _BEGINNING)
    return reach


def frame_start(now: datetime, length: timedelta | None) -> datetime:
    """The beginning of a time frame that ends now; of all time where it has no length."""
    return _BEGINNING if length is None else now - length
