"""A figure with its goal, and the words that figures are said in."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from bench.measuring import Spent, middle


class Row(Struct, frozen=True, kw_only=True):
    """A figure with its goal; `holds` is None where nothing is aimed at, or a peer is missing.

    `lost` is for what no noise explains: another order of magnitude, or another count than there
    should be. `runs` holds the single runs that a median is of: {"Hugo wall": (9.61, 9.58, …)}.
    """

    what: str
    figure: str
    goal: str = ""
    holds: bool | None = None
    lost: bool = False
    runs: dict[str, tuple[float, ...]] = {}

    @property
    def word(self) -> str:
        """Whether the goal is reached."""
        if self.lost:
            return "lost"
        return {None: "", True: "holds", False: "not yet"}[self.holds]


def missing(what: str, lacks: str, goal: str = "") -> Row:
    """A row for what cannot be measured here."""
    return Row(what=what, figure=f"not measured: {lacks}", goal=goal)


def runs_of(sides: Mapping[str, Sequence[Spent]]) -> dict[str, tuple[float, ...]]:
    """The single runs of some sides, wall and CPU."""
    return {
        f"{side} {kind}": tuple(round(getattr(one, kind), 4) for one in spent)
        for side, spent in sides.items()
        for kind in ("wall", "cpu")
    }


def seconds(spent: Sequence[Spent]) -> str:
    """The median of wall and CPU: "0.53 s, CPU 0.51 s"."""
    one = middle(spent)
    return f"{one.wall:.2f} s, CPU {one.cpu:.2f} s"


def mb(size: float) -> str:
    """Bytes as megabytes."""
    return f"{size / 1e6:.1f} MB"


def kb(size: float) -> str:
    """Bytes as kilobytes."""
    return f"{size / 1e3:.1f} KB"
