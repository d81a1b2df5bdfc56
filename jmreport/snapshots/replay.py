"""The store as it was after each run: what a night of the past knew.

    for then in replay(Path("snapshots"), summarise=summarise, measure=measure, wanted=ids):
        then.runs, then.history.by_run(), then.measures(ids) ...

Made from the runs' own files, oldest first, into an index of this process. It costs a reading of
all runs, so it is for what cannot be had otherwise: nights that were never rendered here, and the
difference of any two runs.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from jmreport.records import Measure, Run
from jmreport.remembered import Growing
from jmreport.snapshots import carried, filling, runs
from jmreport.snapshots.check import check_format
from jmreport.snapshots.measured import Measuring, unmeasured
from jmreport.snapshots.summaries import Summarise


class Then(NamedTuple):
    """What was known after a run: the runs up to it, those that were pruned first, and every job.

    `history` has the jobs and `measures` what they cost; both can be asked until the next state is.
    """

    runs: tuple[Run, ...]
    history: Growing
    measures: Callable[[Iterable[str]], Iterator[tuple[str, tuple[Measure, ...]]]]


def replay(
    root: Path,
    *,
    summarise: Summarise,
    measure: Measuring = unmeasured,
    wanted: frozenset[str],
) -> Iterator[Then]:
    """What was known after each wanted run, oldest first.

    Raises SnapshotError for a run that cannot be read.
    """
    check_format(root)
    gone = carried.gone(root)
    kept = filling.kept_of(root, summarise, measure)
    state = filling.rebuilt(root, kept.made_by, kept, only=())
    try:
        left = set(wanted)
        for run in runs.committed(root):
            if not left:
                return
            state.take_in(root, run, kept)
            if run in left:
                left.remove(run)
                folder = root / runs.RUNS
                so_far = tuple(
                    runs.plain(runs.decode(body, folder / each / runs.RUN))
                    for each, body in state.runs()
                )
                yield Then((*gone, *so_far), state, state.measures)
    finally:
        state.close()
