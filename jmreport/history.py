"""Every job that is known, read as it is asked for: a history of months is larger than memory.

    history.by_run()            what the newest run wrote, then what the run before it did …
    history.by_submission()     the oldest first
    history.of(ids)             some of them
    history.submitted(a, b)     those submitted in between, the oldest first
    history.below(ids)          their sub-workflows
    history.short_ids(ids)      how pages name them

A store of snapshots is one.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from jmreport.records import Entry


class History(Protocol):
    """Every job that is known, in one state. Each way of reading it can be taken many times."""

    def by_run(self, *, oldest_first: bool = False) -> Iterator[Entry]:
        """Every job by the run that wrote its newest record, the newest run's first.

        From the oldest on it is the order in which records are stored.
        """
        ...

    def by_submission(self) -> Iterator[Entry]:
        """Every job, the oldest submission first and those without one before; ids decide.

        Backwards it is the order of lists.
        """
        ...

    def of(self, jobs: Iterable[str]) -> dict[str, Entry]:
        """Those of these jobs that are known, by their ids."""
        ...

    def below(self, jobs: Iterable[str]) -> Iterator[Entry]:
        """The jobs that no list names and whose parent is one of these, each once."""
        ...

    def short_ids(self, jobs: Iterable[str]) -> dict[str, str]:
        """Whole id -> as much of it as tells it apart from all that are known."""
        ...


def newness(entry: Entry) -> tuple[float, str]:
    """What jobs are sorted by to have the newest submission first."""
    row = entry.row
    # Seconds, since datetimes of year 1 can't be negated.
    return -row.submission.timestamp() if row.submission else float("inf"), row.id
