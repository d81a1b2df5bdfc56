"""How far back everything was read: what the runs' windows cover together."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from jmreport.records import Asked, Filters, Run

_BEGINNING = datetime.min.replace(tzinfo=UTC)
#: How far back a run asks, at most, for what those before it did not list.
FARTHEST = timedelta(days=31)
#: For so long a list that lacks something is asked for again as far back as that.
PATIENCE = timedelta(days=7)


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
        same = run.asked.address == newest.asked.address
        if same and run.whole_list and counts(run.asked.filters):
            reach = min(reach, run.asked.since or _BEGINNING)
    return reach


def listed_until(runs: Sequence[Run], asked: Asked, now: datetime) -> datetime | None:
    """Up to when usable runs listed every job that is asked for; None where none of them says.

    The last that had all pages of its list, with the same filters or none. One from behind `now` is
    of a clock that was set back, and says nothing.
    """
    return max((run.now for run in _telling(runs, asked, now) if run.whole_list), default=None)


def reach(runs: Sequence[Run], asked: Asked, now: datetime) -> datetime | None:
    """Since when a run must ask behind these to leave out nothing, as far back as it may.

    None where nothing was left out, as no run came before. A server whose list never comes whole is
    not asked for more each night: a week of it is enough.
    """
    until = listed_until(runs, asked, now)
    if until is None:
        return None
    lacking = [run for run in _telling(runs, asked, now) if run.now > until]
    patient = not lacking or now - lacking[-1].now <= PATIENCE
    return max(until, now - (FARTHEST if patient else PATIENCE))


def leaves_out(runs: Sequence[Run], asked: Asked, now: datetime) -> datetime | None:
    """Since when jobs were submitted that neither usable runs nor one that asks so behind them
    listed; None where there are none but those that a filter leaves out."""
    until = listed_until(runs, asked, now)
    since = asked.since
    if until is None or since is None or since <= until or since == asked.filters.submission:
        return None
    return until


def _telling(runs: Sequence[Run], asked: Asked, now: datetime) -> Iterator[Run]:
    """The usable runs that asked for these jobs at least, newest first.

    Of whichever server: most often it is the same that is reached by another name, and another one
    that is asked for more has only more to tell. Invented jobs say nothing of real ones.
    """
    for run in reversed(runs):
        counts = run.asked.filters in (Filters(), asked.filters)
        alike = run.asked.built_in == asked.built_in
        if run.usable and alike and counts and run.now <= now:
            yield run


def frame_start(now: datetime, length: timedelta | None) -> datetime:
    """The beginning of a time frame that ends now; of all time where it has no length."""
    return _BEGINNING if length is None else now - length
