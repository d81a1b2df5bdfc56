"""The filter of a run in words, and what it let not through: what was never read is no good news.

status Failed, label batch=b17
"""

from collections.abc import Iterator, Mapping

from jmreport.models import ACTIVE_STATUSES, JOB_STATUSES
from jmreport.records import Filters
from jmreport.render import words
from jmreport.report import Report
from jmreport.report.counts import StatusSplit


def named(filters: Filters) -> str:
    """The filters in use; "" where there is none."""
    return ", ".join(_each(filters))


def _each(filters: Filters) -> Iterator[str]:
    if filters.status:
        yield f"status {words.listed(list(filters.status))}"
    for key, value in sorted(filters.labels.items()):
        yield f"label {key}={value}"
    for name, asked in (
        ("name", filters.name),
        ("job", filters.job_id),
        ("project", filters.project_id),
        ("user", filters.user_id),
    ):
        if asked:
            yield f"{name} {asked}"
    for said, at in (
        ("started since", filters.start),
        ("ended by", filters.end),
        ("submitted since", filters.submission),
    ):
        if moment := words.when(at):
            yield f"{said} {moment.text}"
    if filters.hide_archived:
        yield "archived jobs hidden"


def narrows(filters: Filters | None) -> bool:
    """Whether jobs may be left out: a project is whom one asks. None is not known, and no filter.

    >>> narrows(Filters(status=("Failed",))), narrows(Filters(project_id="p")), narrows(None)
    (True, False, False)
    """
    return filters is not None and filters.narrows


def hides_failures(filters: Filters | None) -> bool:
    """Whether no job that failed can be seen, so that their absence says nothing."""
    return filters is not None and filters.hides_failures


def hides_anew(report: Report, labels: Mapping[str, str]) -> bool:
    """Whether some jobs with these labels may be left out that the report before would have told
    of: behind a filter that stays the same there never were others."""
    run, before = report.run, report.previous
    if before is None or before.asked.filters == run.asked.filters or run.counts.left_out == 0:
        return False
    return not run.asked.filters.shows(labels, *JOB_STATUSES)


def unseen(filters: Filters | None) -> frozenset[str]:
    """Counts, as ReportCounts names them, that are 0 whatever happened.

    >>> sorted(unseen(Filters(status=("Failed", "Running"))))
    ['fixed', 'missing', 'not_run']
    """
    if filters is None:
        return frozenset()
    found: set[str] = set()
    if hides_failures(filters):
        found |= {"new", "still_failing", "failing", "not_run"}
    if filters.status and "Succeeded" not in filters.status:
        found.add("fixed")
    if filters.status:  # what did not come may have ended otherwise
        found |= {"missing", "not_run"}
    # What still runs has no end, so a filter by it leaves all of that out.
    if filters.end or (filters.status and not {*filters.status}.intersection(ACTIVE_STATUSES)):
        found |= {"stuck", "running", "unjudged"}
    return frozenset(found)


def rate(split: StatusSplit, filters: Filters) -> float | None:
    """The failure rate of a report's jobs; None where some were left out by how they ended."""
    return split.failure_rate if filters.tells_rates else None


def maybe(filters: Filters) -> str:
    """What to say behind a sentence that there is nothing; "" where no filter can be why."""
    return f" The filter ({_short(filters)}) may be why." if narrows(filters) else ""


def no_rate(filters: Filters) -> str:
    """What stands where there is no rate."""
    return "none ended" if filters.tells_rates else UNSEEN


#: What stands beside a count that nobody could see.
UNSEEN = "not asked for"


def note(filters: Filters | None, left_out: int | None) -> str:
    """A sentence for a report of what is left; "" where nothing was filtered."""
    if filters is None or not narrows(filters):
        return ""
    of = f"Only jobs that the filter let through are in this report ({_short(filters)})"
    if left_out is None:
        return f"{of}; how many others there are is not known."
    return f"{of}; it left out {words.plural(left_out, 'job') if left_out else 'none'}."


def nothing(filters: Filters, left_out: int | None) -> str:
    """The sentence for a report that has no job, where the filter may be why."""
    of = f"The filter ({_short(filters)})"
    if left_out is None:
        return f"{of} let no job through; how many others there are is not known."
    if left_out:
        return f"{of} let none of {words.plural(left_out, 'job')} through."
    return (
        "No job was submitted in the time frame that was asked for, and none was active; "
        f"{of[0].lower()}{of[1:]} left none out."
    )


def _short(filters: Filters) -> str:
    return words.cut_middle(named(filters), 200)
