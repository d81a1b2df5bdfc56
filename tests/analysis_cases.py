"""Rows, entries and runs for the tests of the analysis: a night is a day, at 02:00 UTC."""

from datetime import UTC, datetime, timedelta
from typing import Any

from jmreport.gaps import Gap
from jmreport.records import Asked, Entry, Filters, JobRow, Run, RunState, run_id

FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def night(number: int) -> datetime:
    """The now of a night's run."""
    return FIRST + number * DAY


def run(
    number: int,
    *,
    state: RunState = "complete",
    window: timedelta | None = 7 * DAY,
    filters: Filters | None = None,
    server: str = "http://jm",
    gaps: tuple[Gap, ...] = (),
    capabilities: Any = None,
) -> Run:
    now = night(number)
    asked = Asked(
        server=server,
        timeframe="DAYS_7" if window else "ALL_TIME",
        since=now - window if window else None,
        filters=filters or Filters(),
    )
    return Run(
        id=run_id(now), now=now, state=state, asked=asked, gaps=gaps, capabilities=capabilities
    )


def runs(count: int) -> list[Run]:
    return [run(number) for number in range(count)]


def job(
    job_id: str,
    ended: datetime | None,
    status: str = "Succeeded",
    *,
    found: int,
    last: int | None = None,
    first: int | None = None,
    told: int | None = None,
    behind: int | None = None,
    took: timedelta = HOUR,
    **row: Any,
) -> Entry:
    """A job's entry: written in night `found`, on the server from `first` until `last`.

    `told` is the night since which its outcome is known; `first` unless given. `behind` is the one
    that found it ended, of a job that nights before had seen active.
    """
    values: dict[str, Any] = {"name": "wf", "key": "k", **row}
    if ended is not None:
        values = {"submission": ended - took, "start": ended - took, "end": ended, **values}
    return Entry(
        row=JobRow(id=job_id, status=status, **values),
        run=run_id(night(found)),
        shard="jobs-0000",
        line=0,
        digest="",
        row_digest="",
        first_run=run_id(night(found if first is None else first)),
        last_run=run_id(night(found if last is None else last)),
        told_run="" if told is None else run_id(night(told)),
        ended_run="" if behind is None else run_id(night(behind)),
    )
