"""A team's part of what is known: its jobs, all below them, and what of a run concerns it."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from jmreport.analysis.waste import Above
from jmreport.records import Entry, JobRow, Run


def of_team(entries: Iterable[Entry], labels: Mapping[str, str]) -> tuple[Entry, ...]:
    """Listed jobs that have all of the labels, and everything below them; without labels all."""
    known = tuple(entries)
    if not labels:
        return known
    above = Above(known)
    return tuple(entry for entry in known if has(above.root(entry.row), labels))


def has(row: JobRow, labels: Mapping[str, str]) -> bool:
    """Whether a job has all of the labels."""
    return all(row.labels.get(key) == value for key, value in labels.items())


def runs_of_team(
    runs: Sequence[Run], entries: Iterable[Entry], own: Iterable[Entry]
) -> tuple[Run, ...]:
    """The runs as far as they concern a team's `own` jobs: without gaps of jobs of others.

    A run that is incomplete stays so: nobody knows whose the jobs were that a list lacked.
    """
    others = {entry.row.id for entry in entries} - {entry.row.id for entry in own}
    return tuple(
        replace(run, gaps=tuple(gap for gap in run.gaps if gap.job not in others)) for run in runs
    )
