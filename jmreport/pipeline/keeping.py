"""Looking after what there is: the store and the site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from jmreport.errors import JmreportError, UsageError
from jmreport.gaps import Gap
from jmreport.pipeline.naming import beginning, chosen, counted_back
from jmreport.pipeline.values import Checked, Outcome, Stored
from jmreport.progress import Progress
from jmreport.records import Run, run_order
from jmreport.settings import Settings
from jmreport.sizes import counted

if TYPE_CHECKING:
    from jmreport.report.quality import Hidden, Unrepeated
    from jmreport.snapshots import Store

#: So many ids are named where a beginning may be that of several.
MOST_SHOWN = 10

_GONE = "a run that had read them is gone from the snapshots; the next one reads them again"


def check(settings: Settings) -> tuple[Checked, ...]:
    """What is wrong with the store and with the site's links; empty when both are whole."""
    from jmreport.render import linkcheck

    with open_folder(Path(settings.snapshots.dir), create=False) as store:
        faults = [Checked(what=fault.what, why=fault.why) for fault in store.check()]
    if Path(settings.site.dir).exists():
        found = linkcheck.check(Path(settings.site.dir))
        faults += [Checked(what=fault.what, why=fault.why) for fault in found]
    return tuple(faults)


def runs(settings: Settings) -> tuple[tuple[Run, ...], int]:
    """Every run of the store, oldest first, pruned ones too, and how many jobs are known."""
    with open_folder(Path(settings.snapshots.dir), create=False) as store:
        return (*store.pruned(), *_all_runs(store)), store.count()


def told_runs(store: Store) -> tuple[Run, ...]:
    """Every run that ended or was killed, oldest first, for a report: what the newest usable one
    lists and nobody has read any more, since a folder of runs is gone, is a gap of it."""
    ended = _all_runs(store)
    at = max((at for at, run in enumerate(ended) if run.usable), default=None)
    if at is None or not (lost := store.unstored(ended[at])):
        return ended
    gap = Gap(what=f"{counted(lost, 'job')} of the newest list", why=_GONE)
    lacking = replace(ended[at], state="incomplete", gaps=(*ended[at].gaps, gap))
    return (*ended[:at], lacking, *ended[at + 1 :])


def _all_runs(store: Store) -> tuple[Run, ...]:
    """Also those that were killed and that no later run has ended yet: a night without a report
    is told of by whoever comes next, and that may be a mail."""
    killed = store.killed()  # first, for one that is still being written may end meanwhile
    ended = store.runs()
    known = {run.id for run in ended}
    more = [run for run in killed if run.id not in known]
    return tuple(sorted((*ended, *more), key=lambda run: run_order(run.id))) if more else ended


def proposed_identity(settings: Settings) -> Unrepeated | None:
    """Identity labels that the snapshots propose; None where there are none, or none are needed.

    Never raises for snapshots that cannot be read: others say so.
    """
    from jmreport import analysis

    if settings.report.identity_labels or not Path(settings.snapshots.dir).is_dir():
        return None
    try:
        with open_store(settings, create=False) as store:
            return analysis.known_unrepeated(store, (*store.pruned(), *store.runs()))
    except JmreportError:
        return None


def hidden_lately(settings: Settings) -> Hidden | None:
    """Failed jobs of the last nights that identity labels hide; None where there are none.

    Raises no more than the above.
    """
    from jmreport import analysis

    labels = settings.report.identity_labels
    if not labels or not Path(settings.snapshots.dir).is_dir():
        return None
    try:
        with open_store(settings, create=False) as store:
            return analysis.known_hidden(store, (*store.pruned(), *store.runs()), labels)
    except JmreportError:
        return None


def show(settings: Settings, job: str, *, run: str | None = None) -> Stored:
    """What is stored of a job, named by its id, its beginning, or its short form on a page.

    With `run` (named as for `diff`) as it was known after that run. Raises UsageError where no job
    or run is meant, or several jobs are.
    """
    with open_folder(Path(settings.snapshots.dir), create=False) as store:
        whole = _one_job(store, job, settings)
        if run is None:
            entry = store.entry(whole)
            return Stored(record=store.record(whole), run=entry.run if entry else "")
        until = _one_run(store, run, settings)
        order = [each.id for each in (*store.pruned(), *store.runs())]
        for made_by, record in store.states(whole):
            if order.index(made_by) <= order.index(until):
                return Stored(record=record, run=made_by)
    raise UsageError(
        f"job {whole} was not known yet after run {until}",
        hint="`jmreport snapshots list` names the runs",
    )


def _one_job(store: Store, job: str, settings: Settings) -> str:
    found = store.like(job, limit=MOST_SHOWN + 1)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            f"no job {job!r} in {settings.snapshots.dir}",
            hint="give its id or the beginning of it: a job's page shows both",
        )
    more = " and more" if len(found) > MOST_SHOWN else ""
    raise UsageError(
        f"{job!r} may be any of several jobs in {settings.snapshots.dir}",
        hint=f"one of {', '.join(found[:MOST_SHOWN])}{more}",
    )


def _one_run(store: Store, run: str, settings: Settings) -> str:
    """The newest run whose id begins so, or that is named as for `diff`."""
    ended = store.runs()
    if counted_back(run) is not None:
        return chosen(ended, run).id
    start = beginning(run)
    found = [each.id for each in ended if each.id.startswith(start)]
    gone = [each.id for each in store.pruned() if each.id.startswith(start)]
    if run and gone and not found:
        raise UsageError(
            f"run {gone[-1]} was pruned", hint="`jmreport snapshots list` names the runs that stay"
        )
    if not found or not run:
        raise UsageError(
            f"no run {run!r} in {settings.snapshots.dir}",
            hint="`jmreport snapshots list` names the runs",
        )
    return run if run in found else found[-1]


def export(settings: Settings, folder: Path, *, history: bool, progress: Progress) -> Outcome:
    """Everything that is stored as plain JSON in a folder: one file a job, and the runs.

    Raises UsageError for a folder in that of the snapshots, or of the pages.
    """
    refuse_in_ours(settings, folder)
    with (
        open_folder(Path(settings.snapshots.dir), create=False) as store,
        progress.step("write jobs", store.count()) as step,
    ):
        made = store.export(folder, history=history, advance=step.advance)
    earlier = f", {made.states} earlier states" if history else ""
    gone = f", {made.pruned} that were pruned since stay" if made.pruned else ""
    jobs = counted(made.jobs, "job")
    line = f"exported {jobs}{earlier}{gone} to {folder}/index.ndjson: {made.written} files written"
    return Outcome(summary=(line,))


def refuse_in_ours(settings: Settings, folder: Path) -> None:
    """Raises UsageError for a folder that is somebody's own in that of the snapshots, or the pages.

    It would be taken for a part of the store, or published with the pages.
    """
    place = folder.resolve()
    for what, ours in (("snapshots", settings.snapshots.dir), ("pages", settings.site.dir)):
        if place.is_relative_to(Path(ours).resolve()):
            raise UsageError(
                f"{folder} is in the folder of the {what} ({ours})",
                hint="name a new or empty folder that lies elsewhere",
            )


def open_store(settings: Settings, *, create: bool) -> Store:
    """The store of the settings. Raises UsageError for a part of a run, which tells of a part."""
    from jmreport.snapshots import parts

    place = Path(settings.snapshots.dir)
    part = parts.read(place)
    if part is not None:
        raise UsageError(
            f"{place} is part {part.shard} of run {part.run}",
            hint="`jmreport merge` makes a run of all its parts",
        )
    return open_folder(place, create=create)


def open_folder(place: Path, *, create: bool) -> Store:
    """The store in a folder, a part of a run or a whole one."""
    from jmreport.analysis import measure, summarise
    from jmreport.snapshots import Store

    return Store.open(place, summarise=summarise, measure=measure, create=create)
