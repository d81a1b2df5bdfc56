"""Whether a job passes the filters of a run, as far as its row can tell."""

from datetime import datetime

from jmreport.records import Filters, JobRow


def matches(row: JobRow, filters: Filters) -> bool:
    """Whether a job passes filters for sure: what its row does not say is no match."""
    told = filters.submission is None or row.submission is not None
    return told and filters.user_id in (None, row.user) and may_match(row, filters)


def may_match(row: JobRow, filters: Filters) -> bool:
    """Whether a run with these filters keeps a job where its list has it: also one of which a row
    says neither whose it is nor when it was submitted."""
    if filters.hide_archived and row.archived:
        return False
    wanted = (
        (filters.name, row.name),
        (filters.job_id, row.id),
        *((value, row.labels.get(key)) for key, value in filters.labels.items()),
    )
    if any(asked is not None and asked != value for asked, value in wanted):
        return False
    if filters.user_id is not None and row.user not in (None, filters.user_id):
        return False
    if filters.status and row.status not in filters.status:
        return False
    if filters.submission and row.submission and row.submission < filters.submission:
        return False
    return _not_before(row.start, filters.start) and (
        filters.end is None or (row.end is not None and row.end <= filters.end)
    )


def _not_before(at: datetime | None, earliest: datetime | None) -> bool:
    return earliest is None or (at is not None and at >= earliest)
