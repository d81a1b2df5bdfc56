"""Starting up."""

import sys
from collections.abc import Iterable
from pathlib import Path

from bench.commands import empty, filled, render
from bench.measuring import JMREPORT, Side, alternating, middle, ratio, run, yardstick
from bench.rows import Row, runs_of
from bench.sizes import Size


def start(size: Size, work: Path) -> Iterable[Row]:
    """Starting up, against a Python that does nothing."""
    where = filled(empty(work / "start"), 20)
    render(where)
    sides: dict[str, Side] = {
        "python": lambda _: run((sys.executable, "-c", "pass"), where=where),
        "help": lambda _: run((*JMREPORT, "--help"), where=where),
        "render": lambda _: render(where),
    }
    unit = yardstick()
    found = alternating(sides, size.runs, weigh=False)
    for side, goal, most in (("help", 0.25, 50), ("render", 0.6, 80)):
        spent = middle(found[side])
        times = ratio(found[side], found["python"], "cpu")
        yield Row(
            what="`--help`" if side == "help" else "`render` with nothing to do",
            figure=f"{spent.wall:.2f} s, CPU {spent.cpu:.2f} s, {times:.1f} x bare Python",
            goal=f"{goal} s",
            holds=spent.wall <= goal,
            lost=spent.cpu > most * unit,
            runs=runs_of({side: found[side]}),
        )
