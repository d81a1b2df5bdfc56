"""What was asked, what could not be read, and what is odd about what came."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from jmreport.gaps import Gap
from jmreport.models import JOB_STATUSES
from jmreport.records import Entry, JobRow, Run
from jmreport.report.quality import Quality

#: Nights that the page of data quality looks back for runs that brought nothing.
LATELY = 14
#: Clocks differ, and zones are left out.
_SKEW = timedelta(days=1)


def quality(
    run: Run,
    *,
    jobs: Sequence[Entry],
    lost: Iterable[str],
    failed_runs: Sequence[Run],
    failed_lately: Sequence[Run] = (),
    gaps: Iterable[Gap],
    beyond: tuple[tuple[str, Any], ...] = (),
) -> Quality:
    """`jobs` are the report's jobs and their sub-workflows; `gaps` are those found by analysis.

    `beyond` is what the server's aggregations hold that the API does not name.
    What all that is known says beside it, the caller adds.
    """
    rows = [entry.row for entry in jobs]
    unread = [row for row in rows if not row.readable]
    unknown_fields = Counter(path for row in rows for path in row.unknown_fields)
    # A job of which nothing came has no status: that is a gap, and no word of the server's.
    unknown_statuses = Counter(
        row.status
        for row in rows
        if row.status not in JOB_STATUSES and (row.readable or row.status != "Unknown")
    )
    unknown_words = Counter(word for row in rows for word in row.unknown_words)
    own = (gap for row in rows for gap in row.gaps)
    return Quality(
        run=run,
        operations=run.operations,
        # A gap of tonight's is in the run and in the job's row: it is told once.
        gaps=tuple(dict.fromkeys((*run.gaps, *gaps, *own))),
        unreadable=tuple(sorted(row.id for row in unread if row.listed)),
        unreadable_below=tuple(sorted(row.id for row in unread if not row.listed)),
        lost=tuple(sorted(lost)),
        unknown_fields=_most_first(unknown_fields),
        beyond=beyond,
        unknown_statuses=_most_first(unknown_statuses),
        unknown_words=_most_first(unknown_words),
        odd_dates=sum(row.odd_dates for row in rows),
        backwards=tuple(row.id for row in rows if row.listed and _is_backwards(row)),
        ahead=tuple(row.id for row in rows if row.listed and _is_ahead(row, run.now + _SKEW)),
        notes=run.notes,
        failed_runs=tuple(failed_runs),
        failed_lately=tuple(failed_lately),
    )


def _is_backwards(row: JobRow) -> bool:
    """Whether it ended before it started."""
    return row.start is not None and row.end is not None and row.end < row.start


def _is_ahead(row: JobRow, latest: datetime) -> bool:
    """Whether one of its times is still to come."""
    times = (row.submission, row.start, row.end)
    return any(at is not None and at > latest for at in times)


def failed_since(runs: Sequence[Run], previous: Run | None) -> tuple[Run, ...]:
    """Runs that brought nothing usable since the previous one that did."""
    since = runs.index(previous) + 1 if previous else 0
    return tuple(run for run in runs[since:] if run.brought_nothing)


def failed_lately(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The same of the last nights: since the report before the first of them."""
    usable = [run for run in runs if run.usable]
    before = usable[-1 - LATELY] if len(usable) > LATELY else None
    return tuple(run for run in failed_since(runs, before) if not run.pruned)


def _most_first(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
