"""Render: pages of the newest usable run, from the snapshots alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from jmreport import __version__
from jmreport.errors import Exit
from jmreport.pipeline.keeping import open_store
from jmreport.pipeline.values import Outcome
from jmreport.progress import Progress
from jmreport.settings import Settings


def render(settings: Settings, *, progress: Progress, workers: int = 0) -> Outcome:
    """Write the pages of the newest usable run; the same snapshots make the same bytes.

    `workers` is the number of processes that render job pages; 0 is one for each core.
    Raises SnapshotError when there is no run to make pages of.
    """
    from jmreport import analysis
    from jmreport.errors import SnapshotError
    from jmreport.render import site
    from jmreport.snapshots import read_records

    with open_store(settings, create=False) as store:
        runs = store.runs()
        newest = next((run for run in reversed(runs) if run.usable), None)
        if newest is None:
            why = f": {runs[-1].reason}" if runs and runs[-1].reason else ""
            raise SnapshotError(
                f"no usable run in {settings.snapshots.dir}{why}",
                hint="run `jmreport collect` first",
            )
        with progress.step("analyse", None):
            entries = tuple(store.entries())
            report = analysis.analyse(
                entries, runs, store.aggregations(newest.id), settings=settings.report
            )
        written = site.write(
            Path(settings.site.dir),
            report,
            analysis.contexts(entries, runs),
            partial(read_records, Path(settings.snapshots.dir)),
            settings=settings,
            version=__version__,
            workers=workers,
            progress=progress,
        )
    line = (
        f"rendered {settings.site.dir}/index.html: {written.pages} pages, "
        f"{written.rewritten} rewritten, {written.unchanged} unchanged"
    )
    code = Exit.DONE if report.complete else Exit.INCOMPLETE
    return Outcome(exit=code, summary=(line,), run=newest)
