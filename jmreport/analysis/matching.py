"""Whether a job passes the filters of a run, as far as its row can tell."""

from datetime import datetime

from jmreport.records import Filters, JobRow


def matches(row: JobRow, filters: Filters) -> bool:
    """Whether a job passes filters, as far as its row can tell."""
    if filters.hide_archived and row.archived:
        return False
    wanted = (
        (filters.name, row.name),
        (filters.job_id, row.id),
        (filters.user_id, row.user),
        *((value, row.labels.get(key)) for key, value in filters.labels.items()),
    )
    if any(asked is not None and asked != value for asked, value in wanted):
        return False
    if filters.status and row.status not in filters.status:
        return False
    return (
        _not_before(row.start, filters.start)
        and _not_before(row.submission, filters.submission)
        and (filters.end is None or (row.end is not None and row.end <= filters.end))
    )


def _not_before(at: datetime | None, earliest: datetime | None) -> bool:
    return earliest is None or (at is not None and at >= earliest)
