"""`jmreport snapshots …`: the runs of a store, what it holds of a job, and all of it as JSON."""

from collections.abc import Iterable, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jmreport.errors import Exit
from jmreport.flags import SNAPSHOTS
from jmreport.options import Given, command
from jmreport.sizes import counted

if TYPE_CHECKING:
    from jmreport.records import Run

app = typer.Typer(
    help="Show what is stored, or export it as plain JSON.",
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        context.obj.answer(*context.get_help().splitlines())
        raise typer.Exit(Exit.USAGE)


@command(app, SNAPSHOTS, name="list")
def list_runs(given: Given) -> None:
    """List the runs: when, of what, and what came of each."""
    from jmreport import pipeline
    from jmreport.records import run_id

    runs, jobs = pipeline.runs(given.settings)
    there = [run for run in runs if not run.pruned]
    head, rows = ["run", "state", "asked", "listed", "read", "gaps"], [*map(_row, there)]
    # One whose clock was set back is called by the run before it.
    if any(not run.id.startswith(run_id(run.now)) for run in there):
        head.insert(1, "now")
        nows = [f"{run.now.astimezone(UTC):%Y-%m-%d %H:%M} UTC" for run in there]
        rows = [(row[0], now, *row[1:]) for now, row in zip(nows, rows, strict=True)]
    given.console.say(*table(head, rows))
    given.console.say(f"{counted(len(there), 'run')}, {counted(jobs, 'job')}")
    gone = [run for run in runs if run.pruned]
    if gone:
        were = "1 run before them was" if len(gone) == 1 else f"{len(gone)} runs before them were"
        given.console.say(f"{were} pruned, from {gone[0].id} to {gone[-1].id}")


@command(app, SNAPSHOTS)
def show(
    given: Given,
    *,
    job: Annotated[str, typer.Argument(metavar="ID", help="A job's id, or how it begins.")],
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="As it was known after this run."),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="All on one line.")] = False,
) -> None:
    """Print what is stored of a job, as JSON."""
    import msgspec

    from jmreport import pipeline

    stored = pipeline.show(given.settings, job, run=run)
    if stored.record.detail_from:
        given.console.note(
            f"run {stored.run} could not read the detail; it is of run {stored.record.detail_from}"
        )
    tree = msgspec.json.decode(msgspec.json.encode(stored.record))
    given.console.data({"run": stored.run, **tree}, indent=None if raw else 1)


@command(app, SNAPSHOTS)
def export(
    given: Given,
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    history: Annotated[
        bool, typer.Option("--history", help="Earlier states of jobs too, run by run.")
    ] = False,
) -> None:
    """Write plain JSON, one file a job; again, to bring it up to date."""
    from jmreport import pipeline

    given.end(
        pipeline.export(given.settings, folder, history=history, progress=given.console.progress())
    )


def _row(run: "Run") -> tuple[str, ...]:
    counts = run.counts
    return (
        run.id,
        run.state,
        f"{run.asked.timeframe} of {run.asked.server}",
        _listed(run),
        str(counts.read),
        str(len(run.gaps)) if not run.reason else f"{len(run.gaps)}  {run.reason}",
    )


def _listed(run: "Run") -> str:
    """Jobs listed; of a run that was stopped, only that there were so many at least."""
    if run.state != "interrupted":
        return str(run.counts.listed)
    return f"{run.counts.listed}+" if run.counts.listed else "?"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows in columns as wide as their widest cell.

    >>> table(("run", "state"), [("20261123T021400Z", "complete")])
    ['run               state', '20261123T021400Z  complete']
    """
    cells = [tuple(head), *map(tuple, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
