"""Planted nights: three weeks of the built-in server, collected night by night in one command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from jmreport.errors import Exit, UsageError
from jmreport.pipeline.collecting import collect
from jmreport.pipeline.keeping import open_store
from jmreport.pipeline.values import DemoOptions, Outcome, Source
from jmreport.progress import Progress
from jmreport.records import Run
from jmreport.settings import Settings
from jmreport.sizes import counted


def collect_nights(
    settings: Settings,
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
    progress: Progress,
) -> Outcome:
    """A run for each of the demo's planted nights, a day apart, the last one at `now`.

    Nights that the store has are not collected again, so a command that was stopped goes on, and
    one that asks for more nights of the same ones goes on where the last one ended. What came of
    it is what came of the last night. Raises UsageError for a store with other runs in it.
    """
    wanted = tuple(_nights(source.demo or DemoOptions(), now))
    have = _collected(settings, [at for at, _ in wanted])
    outcome = Outcome()
    incomplete = []
    for at, demo in wanted[have:]:
        progress.note(f"night {demo.nights} of {len(wanted)}")
        outcome = collect(
            settings,
            now=at,
            source=replace(source, demo=demo),
            environ=environ,
            progress=progress,
        )
        if outcome.exit == Exit.INCOMPLETE and outcome.run:
            incomplete.append(outcome.run)
    return replace(outcome, summary=(_summary(wanted, have), *map(_told, incomplete)))


def _nights(demo: DemoOptions, now: datetime) -> Iterator[tuple[datetime, DemoOptions]]:
    """When each night ends, and the server that then stands at its end."""
    for night in range(1, demo.nights + 1):
        yield now - timedelta(days=demo.nights - night), replace(demo, nights=night)


def _collected(settings: Settings, wanted: list[datetime]) -> int:
    """How many of the nights are in the store."""
    with open_store(settings, create=True) as store:
        have = [run.now for run in store.runs() if run.usable]
    if have != wanted[: len(have)]:
        raise UsageError(
            f"{settings.snapshots.dir} holds runs that are none of these nights",
            hint="give the --now and the --seed of the last time, or other directories with "
            "--snapshots and --site",
        )
    return len(have)


def _summary(wanted: tuple[tuple[datetime, DemoOptions], ...], have: int) -> str:
    new = len(wanted) - have
    first, last = wanted[0][0], wanted[-1][0]
    there = f", {have} were there" if have else ""
    return (
        f"collected {counted(new, 'night')} of the built-in server{there}: "
        f"{first:%Y-%m-%d} to {last:%Y-%m-%d}, {last:%H:%M} UTC each"
    )


def _told(run: Run) -> str:
    return f"run {run.id}: {counted(len(run.gaps), 'thing')} could not be read, as planned"
