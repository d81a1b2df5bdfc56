"""What the same work did before each job: failures in a row, the last success, the run before."""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from jmreport.analysis.flaky import RUNS, flakiness
from jmreport.analysis.nights import Key, Nights, key_of, verdict
from jmreport.records import Entry, JobRow
from jmreport.report import JobHistory


class _Told(NamedTuple):
    """A job that tells how its key stands, sortable by its end."""

    ended: datetime
    id: str
    row: JobRow


def histories(
    entries: Iterable[Entry], nights: Nights, identity: Sequence[str]
) -> dict[str, JobHistory]:
    """The history of each listed job that Succeeded or Failed, by its id.

    Only of work that can be recognised: not of a job whose inputs and labels say nothing.
    """
    by_key: defaultdict[Key, list[_Told]] = defaultdict(list)
    for entry in entries:
        row = entry.row
        key = key_of(row, identity)
        ended = nights.ended(entry)
        if row.listed and ended is not None and verdict(row) and key != (row.name, "", row.id):
            by_key[key].append(_Told(ended, row.id, row))
    found: dict[str, JobHistory] = {}
    while by_key:  # let go of as it is told, for there are as many as jobs
        _, told = by_key.popitem()
        told.sort(key=lambda one: one[:2])
        found |= _of_key(told)
    return found


def _of_key(told: Sequence[_Told]) -> dict[str, JobHistory]:
    found = {}
    failures, since = 0, None
    success, before = None, ""
    last: deque[str] = deque(maxlen=RUNS)
    for one in told:
        failed = one.row.status == "Failed"
        mended = 0 if failed else failures
        failures = failures + 1 if failed else 0
        since = (since or one.ended) if failed else None
        last.append(one.row.status)
        flaky = flakiness(tuple(last))
        found[one.id] = JobHistory(
            failures=failures,
            since=since,
            mended=mended,
            last_success=success.id if success else "",
            last_success_at=success.ended if success else None,
            before=before,
            flips=flaky.flips if flaky else 0,
            runs=flaky.runs if flaky else 0,
        )
        before = one.id
        success = success if failed else one
    return found
