"""Renders that begin with a site: nothing has changed, or a twentieth of the jobs."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from bench import corpus
from bench.commands import empty, filled, render, rewritten
from bench.measuring import middle, yardstick
from bench.rows import Row, runs_of, seconds
from bench.sizes import Size
from jmreport.records import Record

#: One part in so many changes each time.
_PARTS = 20


def again(size: Size, work: Path) -> Iterable[Row]:
    """Nothing changed, and 5 % changed, each with the start of the program."""
    where = filled(empty(work / "again"), size.jobs)
    render(where)
    unit = yardstick()
    still = [render(where) for _ in range(size.runs)]
    written = rewritten(still[-1])
    yield Row(
        what=f"nothing changed of {size.jobs} jobs",
        figure=f"{written} pages rewritten, {seconds(still)}",
        goal="0 pages, 0.6 s",
        holds=written == 0 and middle(still).wall <= 0.6,
        lost=written > 0 or middle(still).cpu > (80 + size.jobs / 40) * unit,
        runs=runs_of({"nothing changed": still}),
    )
    for of, what in enumerate(("in what no list shows", "all lists with them")):
        spent = []
        for turn in range(of * size.runs + 1, (of + 1) * size.runs + 1):
            change(where / "snapshots", size.jobs, turn, quiet=size.runs)
            spent.append(render(where))
        yield Row(
            what=f"5 % changed of {size.jobs} jobs, {what}",
            figure=f"{rewritten(spent[-1])} pages rewritten, {seconds(spent)}",
            goal="1.2 s",
            holds=middle(spent).wall <= 1.2,
            lost=middle(spent).cpu > (700 + size.jobs / 2) * unit,
            runs=runs_of({"5 % changed": spent}),
        )


def change(snapshots: Path, jobs: int, turn: int, *, quiet: int = 0) -> None:
    """A night later another twentieth of the jobs is told of otherwise; all are still there.

    Up to the turn `quiet` no list shows it.
    """
    now = corpus.NOW + timedelta(days=turn)
    corpus.fill(snapshots, _told(jobs, turn, quiet), now=now)


def _told(jobs: int, turn: int, quiet: int) -> Iterable[Record]:
    for number in range(jobs):
        # The last turn up to this one that changed the job: from then on it stays as it is.
        state = max(turn - (turn - number) % _PARTS, 0)
        yield corpus.record(number, state=state, seen=state > quiet)
