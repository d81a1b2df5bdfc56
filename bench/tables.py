"""Figures as a table in Markdown, with what they were measured on, for docs/performance.md."""

from collections.abc import Sequence

from msgspec import Struct

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


def markdown(found: Figures) -> str:
    """A paragraph on the machine, then the rows."""
    machine = found.machine
    lines = [
        f"`python -m bench --size {found.size}` on {machine.at}: {machine.cores} cores of "
        f"{machine.processor}, {machine.memory}, {machine.kernel}; load {found.load_before} at the "
        f"beginning, {found.load_after} at the end, {found.seconds / 60:.0f} minutes.",
        "",
        f"jmreport {machine.jmreport}, {machine.python}; {_versions(machine.programs)}; "
        f"{_versions(machine.libraries)}.",
        "",
        "| what | figure | goal | |",
        "|---|---|---|---|",
        *map(line, found.rows),
    ]
    return "\n".join(lines) + "\n"


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
