"""Render: pages of the newest usable run, from the snapshots alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from jmreport import __version__
from jmreport.errors import DamagedError, Exit, first
from jmreport.pipeline import gate, guiding, sealing
from jmreport.pipeline.keeping import open_store, told_runs
from jmreport.pipeline.values import Outcome
from jmreport.progress import Progress
from jmreport.records import newest_usable
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.guidance import Guidance
    from jmreport.night import Night
    from jmreport.records import Run
    from jmreport.render.crew import Crew
    from jmreport.render.sharing import Share
    from jmreport.render.telling import Telling
    from jmreport.report.nights import NightSummary
    from jmreport.snapshots import Store

#: Reasons why a report is incomplete that are said on one line.
MOST_HOLES = 3


def render(
    settings: Settings,
    *,
    progress: Progress,
    workers: int = 0,
    crew: Crew | None = None,
    executor: str = "",
    shard: str = "",
    parts: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Outcome:
    """Write the pages of the newest usable run; the same snapshots make the same bytes.

    `workers` is the number of processes that render pages; 0 is one for each core. A `crew` of them
    may have been forked before jobs were collected (`early`).
    `executor` names a cluster that makes the pages of jobs instead ("dask://10.0.0.5:8786").
    With `shard` ("2/4") only the pages of some jobs are made, into a folder beside the site, and
    with `parts` the pages that lie in such folders are taken from there. `environ` says where
    compiled templates are kept for the next time; None keeps none.
    Raises SnapshotError when there is no run to make pages of.
    """
    check_executor(executor)
    make = partial(
        _render,
        settings,
        progress=progress,
        workers=workers,
        crew=crew,
        executor=executor,
        shard=shard,
        parts=parts,
        environ=environ,
    )
    try:
        return make()
    except DamagedError:  # and mended: what the site lacks now is made again
        return make()


def _render(
    settings: Settings,
    *,
    progress: Progress,
    workers: int,
    crew: Crew | None,
    executor: str,
    shard: str,
    parts: bool,
    environ: Mapping[str, str] | None,
) -> Outcome:
    from jmreport.errors import SnapshotError
    from jmreport.render import seal
    from jmreport.render.seal import Seal

    with ExitStack() as held:
        store = held.enter_context(open_store(settings, create=False))
        stamp = store.stamp()  # before anything is read: a run that ends meanwhile breaks the seal
        runs = told_runs(store)
        newest = newest_usable(runs)
        if newest is None:
            why = f": {runs[-1].reason}" if runs and runs[-1].reason else ""
            raise SnapshotError(
                f"no usable run in {settings.snapshots.dir}{why}",
                hint=_first_steps(store.count()),
            )
        guidance = guiding.read(settings.report)
        made_of = sealing.made_of(stamp, settings, guidance) if stamp and not shard else ""
        if made_of and (found := seal.unbroken(Path(settings.site.dir), made_of)):
            again = _line(settings, pages=found.pages, rewritten=0)
            return Outcome(exit=Exit(found.exit), summary=(again, *found.lines), run=newest)
        # Only now, since they take longer to load than it takes to see that nothing has changed.
        from jmreport.render import following, promises, site, verdict
        from jmreport.render.hands import Hands

        crew = crew or held.enter_context(early(settings, workers=workers, environ=environ))
        every = (*store.pruned(), *runs)
        with progress.step("analyse", None):
            telling = _telling(settings, store, every, guidance, whole=not shard)
        unknown = tuple(_unknown(settings, every))
        report = telling.report
        code = Exit.DONE if report.complete else Exit.INCOMPLETE
        stopped = gate.exceeded(report, settings.gate, settings.slo)
        if stopped:
            code = first(code, Exit.GATE)
        lines = (
            *_lacking(settings, verdict.holes(report)),
            *guidance.mistakes,
            *promises.mistakes(settings.slo, report),
            *following.advice(report),
            *_unlisted(Path(settings.site.dir), every),
            *stopped,
        )
        share = _share(settings, newest, shard, parts=parts)
        written = site.write(
            Path(settings.site.dir),
            telling,
            settings=settings,
            hands=Hands(crew=crew, executor=executor, share=share),
            sealed=Seal(made_of=made_of, exit=code, lines=lines) if made_of else None,
            progress=progress,
        )
    if share.place is not None:
        made = f"part {shard} of the pages of jobs of run {newest.id}"
        counts = f"{written.rewritten} files written, {written.unchanged} were there"
        return Outcome(summary=(f"{made} is in {share.place}: {counts}",), run=newest)
    line = _line(settings, pages=written.pages, rewritten=written.rewritten)
    return Outcome(exit=code, summary=(line, *unknown, *lines), run=newest)


def early(settings: Settings, *, workers: int, environ: Mapping[str, str] | None) -> Crew:
    """Who makes the pages of a site, forked before there is much in memory that they would copy."""
    from jmreport.render import compiled, site

    crew = site.crew_of(
        Path(settings.site.dir),
        settings=settings,
        version=__version__,
        workers=workers,
        compiled=compiled.place(environ) if environ else None,
    )
    crew.fork()
    return crew


def _telling(
    settings: Settings, store: Store, runs: Sequence[Run], guidance: Guidance, *, whole: bool
) -> Telling:
    """What pages tell of the newest usable one of these runs.

    Of jobs that settled a `whole` site remembers what was counted; a part of one remembers nothing.
    """
    from jmreport import analysis
    from jmreport.render import kept
    from jmreport.render.telling import AsOf, Telling
    from jmreport.snapshots import read_records

    over, usable = _is_over(runs), [run for run in runs if run.usable and not run.pruned]
    newest = usable[-1]
    wanted = [run.id for run in (usable if over else usable[:-1])]
    past, told = _nights(settings, wanted, store, guidance)
    as_of = AsOf(made_of=sealing.made_with(settings), store=store.told())
    history = analysis.GrowingBeneath(store)
    with kept.settled(Path(settings.site.dir), as_of, history) as before:
        remembering = analysis.Remembering(before if whole else None)
        report = analysis.analyse(
            history,
            runs,
            store.aggregations(newest.id),
            settings=settings.report,
            past=past[:-1] if over else past,
            slos=settings.slo,
            measures=store.measures,
            prices=settings.prices,
            remembering=remembering,
        )
    night = _told_already(settings, newest, told) if over else None
    if night is None:
        night = analysis.frozen(
            report,
            history,
            guidance=guidance,
            timezone=settings.report.timezone,
            currency=settings.prices.currency,
        )
        told = (*told, night)
    else:
        report = analysis.as_told(report, night, history)
    return Telling(
        report=report,
        contexts=analysis.contexts(history, runs, identity=settings.report.identity_labels),
        history=history,
        read_records=partial(read_records, Path(settings.snapshots.dir)),
        nights=told,
        guidance=guidance,
        as_of=as_of,
        settled=remembering.after,
    )


def _line(settings: Settings, *, pages: int, rewritten: int) -> str:
    """What a render came to."""
    return (
        f"rendered {settings.site.dir}/index.html: {pages} pages, "
        f"{rewritten} rewritten, {pages - rewritten} unchanged"
    )


def _lacking(settings: Settings, holes: Sequence[str]) -> Iterator[str]:
    """Why a report is incomplete, in a line; none of one that lacks nothing."""
    if holes:
        more = "; and more" if len(holes) > MOST_HOLES else ""
        told = "; ".join(holes[:MOST_HOLES])
        yield f"incomplete: {told}{more} (see {settings.site.dir}/quality.html)"


def _unknown(settings: Settings, runs: Sequence[Run]) -> Iterator[str]:
    """Nights that this site told and that the snapshots know no more, nor that they were pruned: an
    older copy of them was put back, perhaps. It is said once, since their pages go."""
    from jmreport.render import kept

    if lost := kept.nights_beyond(Path(settings.site.dir), [run.id for run in runs]):
        named = ", ".join(lost[:MOST_HOLES]) + (", …" if len(lost) > MOST_HOLES else "")
        count, verb = ("1 night", "is") if len(lost) == 1 else (f"{len(lost)} nights", "are")
        yield (
            f"{count} that this site told {verb} not in the snapshots any more "
            f"({named}): the pages go too; put those runs back from a newer copy and render again, "
            "before the next publish takes them away"
        )


def _unlisted(site_dir: Path, runs: Sequence[Run]) -> Iterator[str]:
    """Which kept pages of differences stand in no list, and how each is made anew."""
    from jmreport.render import addresses, kept

    gone = {run.id for run in runs if run.pruned}
    usable = {run.id for run in runs if run.usable} - gone
    for before, after in kept.unlisted(site_dir):
        if {before, after} <= gone:
            continue  # its page goes with this render
        how = (
            f"`jmreport diff {before} {after}` makes it anew"
            if {before, after} <= usable
            else "it cannot be made anew, since one of its runs is gone"
        )
        page = f"{site_dir}/{addresses.diff(before, after)}"
        yield f"{page} was kept by another jmreport, and no list leads to it: {how}"


def _share(settings: Settings, run: Run, shard: str, *, parts: bool) -> Share:
    """What is written, or taken from others: all parts of one run lie in one folder."""
    from jmreport.render.sharing import Share
    from jmreport.snapshots.parts import shard_from

    folder = parts_of(settings, run.id)
    if shard:
        found = shard_from(shard)
        return Share(place=folder / found.folder, holds=found.holds)
    return Share(parts=tuple(sorted(folder.glob("*-of-*"))) if parts else ())


def parts_of(settings: Settings, run: str) -> Path:
    """Where pages of jobs lie that were made in parts: site-parts/20261123T021400Z."""
    site = Path(settings.site.dir)
    return site.with_name(f"{site.name}-parts") / run


def check_executor(executor: str) -> None:
    """Raises UsageError for one that cannot be, before anything is asked of a server for it."""
    if executor:
        from jmreport.render.cluster import scheduler

        scheduler(executor)


def _first_steps(known: int) -> str:
    """What to do where no run ended; what runs that were stopped had read is not lost."""
    if not known:
        return "run `jmreport collect` first"
    jobs = "1 job is" if known == 1 else f"{known} jobs are"
    return f"{jobs} safe there: run the same `jmreport collect` again to go on"


def _is_over(runs: Sequence[Run]) -> bool:
    """Whether the newest night has been told for good: a run behind it read jobs, and ended none.

    One read a few jobs again, was stopped, or failed in the middle. What it found is for the coming
    night to tell.
    """
    behind = takewhile(lambda run: not run.usable, reversed(runs))
    return any(run.state in ("refreshed", "interrupted") or run.counts.stored for run in behind)


def _told_already(settings: Settings, run: Run, told: Sequence[Night]) -> Night | None:
    """The newest night as it was told: just now, or by this site; None where it is damaged."""
    from jmreport.render import kept

    now = next((night for night in told if night.summary.run == run.id), None)
    return now or kept.told_before(Path(settings.site.dir), run.id)


def _nights(
    settings: Settings, usable: Sequence[str], store: Store, guidance: Guidance
) -> tuple[tuple[NightSummary, ...], tuple[Night, ...]]:
    """Each night that one of these runs ended, and those of them that were told just now.

    A night is told once and remembered by the site. What this site never told, since it was lost or
    its settings changed, is told from the snapshots as they were then.
    """
    from jmreport import analysis
    from jmreport.render import kept
    from jmreport.snapshots import replay

    known = kept.remembered(Path(settings.site.dir), settings)
    lacking = frozenset(usable) - known.keys()
    if not lacking:
        return tuple(known[run] for run in usable), ()
    told = []
    with analysis.Retelling(settings.report.identity_labels) as retelling:
        for then in replay(
            Path(settings.snapshots.dir),
            summarise=analysis.summarise,
            measure=analysis.measure,
            wanted=lacking,
        ):
            run = then.runs[-1].id
            history = analysis.GrowingBeneath(then.history)
            remembering = retelling.begin(history, then.runs)
            night = analysis.retold(
                history,
                then.runs,
                store.aggregations(run),
                settings=settings.report,
                # The oldest comes first, so all of them are told by now.
                past=tuple(known[each] for each in usable[: usable.index(run)]),
                slos=settings.slo,
                measures=then.measures,
                prices=settings.prices,
                guidance=guidance,
                remembering=remembering,
            )
            retelling.keep(remembering)
            known[run] = night.summary
            told.append(night)
    return tuple(known[run] for run in usable), tuple(told)
