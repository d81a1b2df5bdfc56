"""Which of a server's times can be believed.

The Cromwell shim fills in its own process's start time wherever a time is lacking: as `start` of
jobs that have not started, in lists also of those that ended without ever having started, and as
`end` of attempts that still run. So a start counts only once a job has started, one of a list only
where no detail tells otherwise, and an end only once it has ended. Where an end lies before its
start, nobody can say how long the job took (`JobRow.took`).
"""

from datetime import datetime

from jmreport.records import instant, is_terminal, moment

#: Statuses of a job that has not started, whatever its `start` says.
WAITING_STATUSES = ("Submitted", "OnHold")


def believed_start(status: str, start: object) -> datetime | None:
    """The start of a job of this status, in UTC; None while it waits."""
    return None if status in WAITING_STATUSES else moment(start)


def believed_end(status: str, end: object) -> datetime | None:
    """The end of a job of this status, in UTC; None while it may still change."""
    return moment(end) if is_terminal(status) else None


def is_odd(date: object) -> bool:
    """Whether a date that a server sent names no zone, or no time that can be believed at all.

    >>> is_odd("2026-11-23T17:11:43+00:00"), is_odd("2026-11-23T17:11:43"), is_odd("soon")
    (False, True, True)
    >>> is_odd("1970-01-01T00:00:00+00:00")
    True
    """
    if not isinstance(date, str) or instant(date) is None:
        return True
    try:
        return datetime.fromisoformat(date).tzinfo is None
    except (ValueError, OverflowError):
        return True
