"""Failed work that was handed to another team: a job of it has other labels than it had.

Whoever looked at a failed job gave it other labels, or the work ran again with others and failed
again. Of it nothing is new. The one team finds work that still fails, the other none at all, and
both would be silent about it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from jmreport.analysis.keys import Verdicts
from jmreport.analysis.nights import KEPT
from jmreport.analysis.rows import labels_of
from jmreport.analysis.teams import has
from jmreport.history import History
from jmreport.records import Entry
from jmreport.report import Report
from jmreport.report.jobs import Handed


class Relabelled(NamedTuple):
    """A failed job, and the labels that two lists gave it, one after the other."""

    entry: Entry
    before: Mapping[str, str]
    now: Mapping[str, str]


def relabelled(
    before: Iterable[Any], now: Iterable[Any], history: History
) -> tuple[Relabelled, ...]:
    """The jobs that failed already in the earlier of two lists, and have other labels in the later.

    Of lists alone, row by row: a job's record may know of labels that no list has, or later ones.
    """
    known = dict(_failed(before))
    others = {job: labels for job, labels in _failed(now) if job in known and labels != known[job]}
    return tuple(
        Relabelled(entry, known[job], others[job])
        for job, entry in sorted(history.of(sorted(others)).items())
        if entry.row.status == "Failed"
    )


def handed(
    found: Iterable[Relabelled], report: Report, labels: Mapping[str, str], whole: Verdicts
) -> Handed:
    """Which jobs became a team's that fail in its report and are not new, and which were its.

    `found` are told of for as long as work that failed keeps its state; of `whole`, what became of
    the work of all, are those whose work failed as another team's by the run before.
    """
    failing = {job for group in report.attention for job in {*group.jobs} - {*group.new_jobs}}
    came, went = list[str](), list[str]()
    for state in whole.failing:
        if state.failed_before is None or state.failed_before.row.id == state.entry.row.id:
            continue
        was, has_now = (has(one.row.labels, labels) for one in (state.failed_before, state.entry))
        if was != has_now:
            (came if has_now else went).append(state.entry.row.id)
    nows = {run.id: run.now for run in report.runs}
    for entry, before, now in found:
        row, was = entry.row, has(before, labels)
        ended = row.end or nows.get(entry.ended_run) or row.start or row.submission
        if row.id in failing and not was:
            came.append(row.id)
        elif was and not has(now, labels) and ended and report.now - ended <= KEPT:
            went.append(row.id)
    return Handed(came=tuple(dict.fromkeys(came)), went=tuple(dict.fromkeys(went)))


def _failed(rows: Iterable[Any]) -> Iterator[tuple[str, dict[str, str]]]:
    for row in rows:
        if isinstance(row, dict) and row.get("status") == "Failed":
            job, labels = row.get("id"), labels_of(row)
            if isinstance(job, str) and labels is not None:
                yield job, labels
