"""The store as it was after each run: what a night of the past knew.

    for runs, entries in replay(Path("snapshots"), summarise=summarise, wanted=ids):
        ...

Made from the runs' own files, oldest first, into an index of this process. It costs a reading of
all runs, so it is for what cannot be had otherwise: nights that were never rendered here, and the
difference of any two runs.
"""

from collections.abc import Iterator
from pathlib import Path

from jmreport.records import Entry, Run
from jmreport.snapshots import index, runs
from jmreport.snapshots.check import check_format
from jmreport.snapshots.index import Summarise


def replay(
    root: Path, *, summarise: Summarise, wanted: frozenset[str]
) -> Iterator[tuple[tuple[Run, ...], tuple[Entry, ...]]]:
    """For each wanted run, oldest first: the runs up to it, and every job as it was known then.

    Raises SnapshotError for a run that cannot be read.
    """
    check_format(root)
    state = index.rebuilt(root, summarise, only=())
    try:
        left = set(wanted)
        for run in runs.committed(root):
            if not left:
                return
            state.take_in(root, run, summarise)
            if run in left:
                left.remove(run)
                folder = root / runs.RUNS
                so_far = tuple(
                    runs.plain(runs.decode(body, folder / each / runs.RUN))
                    for each, body in state.runs()
                )
                yield so_far, tuple(state.entries())
    finally:
        state.close()
