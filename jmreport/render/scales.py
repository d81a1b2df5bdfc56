"""How numbers are laid out on the axes of charts, whoever draws them."""

from collections.abc import Sequence
from typing import Literal

from jmreport.render.charts import Width

#: Which part of a name stands at its place.
Side = Literal["start", "middle", "end"]
#: Points. The narrow drawing is for phones, where the wide one's text shrinks; that of mails is
#: for both.
WIDTHS: dict[Width, float] = {"wide": 835.2, "narrow": 374.4, "mail": 417.6}


def median(nights: Sequence[int]) -> int | None:
    """The usual night, of those before the last one; None where they are too few to tell.

    Of those alone that tell: no report of a night is no night without a failure.
    """
    before = sorted(nights)
    return before[len(before) // 2] if len(before) >= 5 else None


def step(highest: float) -> float:
    """A round distance between two or three lines of the grid.

    >>> [step(highest) for highest in (4, 10, 42, 131, 2598)]
    [2, 5, 20, 50, 1000]
    """
    size = 1.0
    while size * 10 <= highest:
        size *= 10
    found = next(size * by for by in (0.2, 0.5, 1, 2, 5) if highest / (size * by) <= 3.2)
    return int(found) if found >= 1 else found


def some(places: Sequence[int], most: int) -> list[int]:
    """Evenly spaced places, the last one always among them.

    >>> some(range(21), 6)
    [0, 4, 8, 12, 16, 20]
    """
    if not places:
        return []
    every = max(1, -(-(len(places) - 1) // (most - 1)))
    return sorted(places[::-1][::every])


def named(places: int, most: int) -> list[tuple[int, Side]]:
    """Some of so many places, and which part of its name stands at each.

    The outermost names keep inside the drawing.

    >>> named(7, 3)
    [(0, 'start'), (3, 'middle'), (6, 'end')]
    """
    found = some(range(places), most)
    sides: list[Side] = ["middle"] * len(found)
    if len(found) > 1:
        sides[-1] = "end"
        if found[0] == 0:
            sides[0] = "start"
    return [*zip(found, sides, strict=True)]


def unit(seconds: float) -> tuple[int, str]:
    """What durations up to this many seconds are best drawn in."""
    if seconds >= 3 * 3600:
        return 3600, "hours"
    return (60, "minutes") if seconds >= 180 else (1, "seconds")


def count(value: float) -> str:
    """A number on an axis: thousands apart, no needless decimals."""
    return f"{value:,.0f}".replace(",", "\u202f") if value == int(value) else f"{value:g}"
