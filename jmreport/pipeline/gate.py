"""The gate: what a report must not say. Asked after everything is written, so nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jmreport.settings import Gate, Slo

if TYPE_CHECKING:
    from jmreport.report import Report


def exceeded(report: Report, gate: Gate, slos: Sequence[Slo]) -> tuple[str, ...]:
    """A line for each limit that the report exceeds; none where it may pass.

    On a first report nothing is new: there is nothing to compare with, so only a limit on new
    failures that names none of them passes. Where the filter of the run leaves out whatever failed,
    nobody knows of new failures, and a limit on them does not pass; nor does it where failures are
    hidden that no report told of, and would be too many with them. No more do promises of jobs that
    a filter may have left out, or of a label that no job has.
    """
    found = []
    new, most = report.counts.new, gate.max_new
    hidden = report.hidden.news if report.hidden else 0
    if most is None and "new-failures" in gate.fail_on:
        most = 0
    filters = report.run.asked.filters
    if most is not None and filters.hides_failures:
        asked = ", ".join(filters.status)
        found.append(f"gate: new failures cannot be told: status {asked} leaves out Failed")
    elif most is not None and new > most:
        allowed = f", and at most {most} may be" if most else ""
        found.append(f"gate: {new} new failure{'s' if new != 1 else ''}{allowed}")
    elif most is not None and report.previous and hidden + new > most:
        jobs = "1 job that failed is" if hidden == 1 else f"{hidden} jobs that failed are"
        found.append(f"gate: new failures cannot be told: {jobs} hidden by other work")
    if "incomplete" in gate.fail_on and not report.complete:
        found.append("gate: the report is incomplete")
    if "slo" in gate.fail_on and not slos:
        found.append("gate: there is no promise to keep: the settings hold no [[slo]]")
    if "slo" in gate.fail_on:
        found += _broken(report)
        found += _untold(report, slos)
    return tuple(found)


def _broken(report: Report) -> Iterator[str]:
    """Promises that were not kept, in the numbers of pages and mails."""
    from jmreport.render import promises

    for one in report.slos:
        if one.broken:
            yield (
                f"gate: {one.key}={one.value} succeeded in {promises.achieved(one)} of "
                f"{one.ended} jobs, and {promises.promised(one)} are promised"
                f"{'' if one.whole else promises.NOT_WHOLE}"
            )


def _untold(report: Report, slos: Sequence[Slo]) -> Iterator[str]:
    """Promises of which nobody can say that they were kept."""
    from jmreport.render import promises

    hidden = [f"{one.key}={one.value}" for one in report.slos if not one.told]
    empty = [slo.label for slo in promises.of_nobody(slos, report) if slo.label not in hidden]
    if report.run.asked.filters.narrows:
        hidden, empty = [*hidden, *empty], []
    for labels, why in (
        (hidden, "a filter may have left out jobs"),
        (empty, "no job that ended has this label"),
    ):
        if labels:
            more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
            yield f"gate: the promise of {labels[0]}{more} cannot be told: {why}"
