"""Prune: let the snapshots' old runs go, and with the next render the pages that told of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jmreport import __version__, sizes
from jmreport.errors import UsageError
from jmreport.pipeline import clocks, mirroring
from jmreport.pipeline.keeping import open_store
from jmreport.pipeline.values import Outcome
from jmreport.progress import Progress
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.records import Run
    from jmreport.snapshots import Pruned, Store


def prune(
    settings: Settings,
    *,
    now: datetime,
    keep: timedelta | None = None,
    dry_run: bool = False,
    unattended: bool = False,
    environ: Mapping[str, str] | None = None,
    progress: Progress,
) -> Outcome:
    """Let the runs go that are older than `keep`, but for what later ones lean on.

    They go from the store's mirror too, which `environ` is for.
    `keep` is that of the settings unless given. A dry run only says what would go.
    `unattended` counts it from what the clock told for some runs (clocks.py): nobody is there to
    see that it is wrong. Raises UsageError where nothing says how long runs are kept, LockedError
    while another run writes.
    """
    keep = settings.prune.kept if keep is None else keep
    if keep is None:
        raise UsageError(
            "nothing says how long to keep runs: neither --keep nor prune.keep is given",
            hint="give --keep 400d, or set prune.keep in jmreport.toml",
        )
    with open_store(settings, create=False) as store, progress.step("prune", None):
        usable = [run for run in store.runs() if run.usable]
        before = _long_before(clocks.proven(usable, now) if unattended else now, keep)

        def leaning(gone: tuple[Run, ...]) -> Iterable[str]:
            return _leaned_on(settings, store, gone)

        if dry_run:
            found = store.would_prune(before, now=now, leaning=leaning)
        else:
            found = store.prune(before, now=now, leaning=leaning, version=__version__)
    summary = tuple(_summary(settings, found, before, dry_run=dry_run))
    if dry_run or not found.runs:
        return Outcome(summary=summary)
    pushed = mirroring.push(settings, now=now, environ=environ or {}, progress=progress)
    return Outcome(exit=pushed.exit, summary=(*summary, *pushed.summary))


def _long_before(now: datetime, keep: timedelta) -> datetime:
    try:
        return now - keep
    except OverflowError:
        return datetime.min.replace(tzinfo=now.tzinfo)


def _leaned_on(settings: Settings, store: Store, gone: tuple[Run, ...]) -> Iterable[str]:
    """Jobs that nights which stay are told with, and those that kept pages of the site link to."""
    from jmreport import analysis
    from jmreport.render import kept

    going = frozenset(run.id for run in gone)
    runs = store.runs()
    staying = frozenset(run.id for run in runs) - going
    return analysis.leaned_on(
        # By the causes that reports tell: the first job of each is named by them.
        tuple(analysis.Beneath(store).told(store.entries())),
        (*store.pruned(), *runs),
        going,
        settings.report.identity_labels,
    ) | kept.named(Path(settings.site.dir), staying)


def _summary(
    settings: Settings, found: Pruned, before: datetime, *, dry_run: bool
) -> Iterable[str]:
    from jmreport.render import kept

    place = settings.snapshots.dir
    if not found.runs:
        yield f"nothing to prune in {place}: no run from before {before:%Y-%m-%d %H:%M} UTC can go"
        return
    runs = sizes.counted(len(found.runs), "run")
    first, last = found.runs[0], found.runs[-1]
    span = first if first == last else f"{first} to {last}"
    begins = "would prune" if dry_run else "pruned"
    yield (
        f"{begins} {runs} of {place} ({span}): {sizes.counted(len(found.dropped), 'job')} "
        f"forgotten, {sizes.counted(found.carried, 'record')} carried on, {_freed(found.freed)}"
    )
    number, size = kept.taken_by(Path(settings.site.dir), found.dropped, found.runs)
    if number:
        yield (
            f"the next `jmreport render` takes {sizes.counted(number, 'file')} out of "
            f"{settings.site.dir} ({sizes.in_words(size)}), and lists and causes that are left "
            "without a job"
        )


def _freed(freed: int) -> str:
    if freed < 0:
        return f"{sizes.in_words(-freed)} more on the disk"
    return f"{sizes.in_words(freed)} freed"
