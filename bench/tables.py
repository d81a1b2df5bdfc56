"""Figures as a table in Markdown, with what they were measured on, for docs/performance.md.

python -m bench.tables A.json B.json     one table of figures that were measured in pieces
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, json

from bench.machine import Machine
from bench.rows import Row


class Figures(Struct, frozen=True, kw_only=True):
    """All that one run of the bench found: `--out` writes it as JSON, and as a table beside it."""

    machine: Machine
    size: str
    load_before: str
    load_after: str
    seconds: float
    rows: tuple[Row, ...]


def markdown(*pieces: Figures) -> str:
    """A paragraph on the machine, one on the versions, then the rows.

    Cases that were measured one after the other, in commands of their own, make one table.
    """
    first = pieces[0]
    machine = first.machine
    lines = [
        f"`python -m bench --size {first.size}` on {machine.cores} cores of {machine.processor}, "
        f"{machine.memory}, {machine.kernel}; {'; '.join(map(_when, pieces))}.",
        "",
        f"jmreport {machine.jmreport}, {machine.python}; {_versions(machine.programs)}; "
        f"{_versions(machine.libraries)}.",
        "",
        "| what | figure | goal | |",
        "|---|---|---|---|",
        *(line(row) for piece in pieces for row in piece.rows),
    ]
    return "\n".join(lines) + "\n"


def _when(piece: Figures) -> str:
    return (
        f"{piece.machine.at}, {piece.seconds / 60:.0f} minutes, load {piece.load_before} before "
        f"and {piece.load_after} after"
    )


def line(row: Row) -> str:
    """A row of the table."""
    cells = (row.what, row.figure, row.goal, row.word)
    return "".join(f"| {cell.replace('|', '/')} " if cell else "| " for cell in cells) + "|"


def progress(rows: Sequence[Row]) -> str:
    """How many of the goals are reached."""
    aimed = [row for row in rows if row.holds is not None]
    return f"{sum(bool(row.holds) for row in aimed)} of {len(aimed)} goals reached"


def _versions(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


def main(*files: str) -> None:
    """Prints the table of what `--out` wrote."""
    if not files:
        sys.exit("usage: python -m bench.tables FIGURES.json [FIGURES.json ...]")
    pieces = [json.decode(Path(name).read_bytes(), type=Figures) for name in files]
    sys.stdout.write(markdown(*pieces))


if __name__ == "__main__":
    main(*sys.argv[1:])
