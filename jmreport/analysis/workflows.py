"""A report on every workflow ever known: a page lasts when its jobs have left the window."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from jmreport.analysis.attention import groups
from jmreport.analysis.days import Calendar
from jmreport.analysis.nights import KeyState, Verdicts
from jmreport.records import Entry, JobRow
from jmreport.report import StatusSplit, Usual, WorkflowReport

#: Runs that a workflow's page lists and draws.
MOST_JOBS = 50


def reports(
    entries: Iterable[Entry],
    window: Sequence[Entry],
    *,
    verdicts: Verdicts,
    usual: dict[str, Usual],
    calendar: Calendar,
    first: bool,
) -> tuple[WorkflowReport, ...]:
    """Every workflow of listed jobs, by name."""
    known: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.row.listed:
            known[entry.row.name].append(entry)
    in_window: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in window:
        in_window[entry.row.name].append(entry)
    failing: defaultdict[str, list[KeyState]] = defaultdict(list)
    for state in verdicts.failing:
        failing[state.entry.row.name].append(state)
    return tuple(
        WorkflowReport(
            name=name,
            split=split(entry.row for entry in in_window[name]),
            jobs=tuple(entry.row.id for entry in newest_first(known[name])[:MOST_JOBS]),
            days=calendar.days(known[name]),
            usual=usual.get(name),
            causes=groups(failing[name], verdicts, in_window[name], first=first),
            failed_tasks=_failed_tasks(in_window[name]),
            durations=_durations(known[name]),
        )
        for name in sorted(known)
    )


def split(rows: Iterable[JobRow]) -> StatusSplit:
    """Jobs by status, the words in alphabetical order."""
    return StatusSplit(counts=dict(sorted(Counter(row.status for row in rows).items())))


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """By submission, jobs without one last; ids decide between equals."""
    return sorted(entries, key=_newness)


def _newness(entry: Entry) -> tuple[float, str]:
    row = entry.row
    # Seconds, since datetimes of year 1 can't be negated.
    return -row.submission.timestamp() if row.submission else float("inf"), row.id


def _failed_tasks(entries: Iterable[Entry]) -> tuple[tuple[str, int], ...]:
    """Tasks by the number of failed jobs in which they failed, most first."""
    tasks = Counter(
        task for entry in entries if entry.row.status == "Failed" for task in entry.row.failed_tasks
    )
    return tuple(sorted(tasks.items(), key=lambda item: (-item[1], item[0])))


def _durations(entries: Iterable[Entry]) -> tuple[tuple[datetime, float, str], ...]:
    finished = (
        (row.end, row.id, row.took.total_seconds(), row.status)
        for row in (entry.row for entry in entries)
        if row.end is not None and row.took is not None
    )
    return tuple((end, took, status) for end, _, took, status in sorted(finished)[-MOST_JOBS:])
