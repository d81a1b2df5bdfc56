"""What the newest run lists and of which nothing is stored: the run that had read it is gone.

A job that did not change is not stored again, so a run leans on those before it. Where one of their
folders was moved away, its jobs would be missing from a report that calls itself complete.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from jmreport.errors import SnapshotError
from jmreport.records import Gap, Run
from jmreport.snapshots import runs
from jmreport.snapshots.index import Index

#: Ids that are looked up together.
_AT_ONCE = 500


def told(root: Path, known: Index, ended: Sequence[Run]) -> tuple[Run, ...]:
    """The runs, the newest usable one with a gap where it lacks what it lists."""
    newest = next((run for run in reversed(ended) if run.usable), None)
    if newest is None or newest.state != "complete":
        return tuple(ended)
    count = _lacking(root / runs.RUNS / newest.id, known)
    if not count:
        return tuple(ended)
    jobs = "1 job" if count == 1 else f"{count} jobs"
    gap = Gap(
        what=f"records of {jobs} of the list",
        why="the run that had read them is gone from the snapshots",
    )
    less = replace(newest, state="incomplete", gaps=(*newest.gaps, gap))
    return tuple(less if run is newest else run for run in ended)


def _lacking(folder: Path, known: Index) -> int:
    """How many of the jobs that a run lists are not known; 0 where its list cannot be read, which
    `check` tells."""
    listed, count = runs.listed(folder), 0
    try:
        while some := frozenset(islice(listed, _AT_ONCE)):
            count += len(some) - known.knows(some)
    except SnapshotError:
        return 0
    return count
