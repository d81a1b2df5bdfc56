"""Small charts that templates draw: plain numbers, where lines and bars run.

    failure rates   ->  sparkline(...)  ->  Sparkline
    jobs by status  ->  segments(...)   ->  Segment, ...

There are dozens of them on a page, and they need no axes: no library draws them, and none is kept.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from jmreport.render.bands import outside


class Segment(Struct, frozen=True, kw_only=True):
    """A part of a bar that is 100 wide: one status' share."""

    status: str
    x: float
    width: float


def segments(counts: Mapping[str, int], order: Sequence[str]) -> tuple[Segment, ...]:
    """A bar split by status, in the given order; statuses it doesn't name come last.

    >>> segments({"Failed": 1, "Succeeded": 3}, ("Succeeded", "Failed"))[1]
    Segment(status='Failed', x=75.0, width=25.0)
    """
    total = sum(counts.values())
    if not total:
        return ()
    known = [status for status in order if counts.get(status)]
    rest = sorted(status for status in counts if status not in order and counts[status])
    bars, x = [], 0.0
    for status in (*known, *rest):
        width = 100 * counts[status] / total
        bars.append(Segment(status=status, x=round(x, 2), width=round(width, 2)))
        x += width
    return tuple(bars)


class Sparkline(Struct, frozen=True, kw_only=True):
    """A line through a few nights, in a box of 180 by 48: `path` breaks where one is missing."""

    path: str
    dots: tuple[tuple[float, float], ...]
    last: tuple[float, float] | None
    band_y: float
    band_height: float
    outside: bool


SPARK_WIDTH, SPARK_HEIGHT = 180.0, 48.0


def sparkline(
    rates: Sequence[float | None], band: tuple[float, float] | None, top: float
) -> Sparkline:
    """Where a line through the rates runs when `top` is the highest rate of all its neighbours."""
    # A rate can't be less than one failure among very many.
    scale = (SPARK_HEIGHT - 8) / max(top, 1e-9)
    step = (SPARK_WIDTH - 8) / max(len(rates) - 1, 1)
    spots: list[tuple[float, float] | None] = [
        None if rate is None else (round(4 + step * place, 1), _height(rate, scale))
        for place, rate in enumerate(rates)
    ]
    known = [spot for spot in spots if spot]
    low, high = band or (0.0, 0.0)
    newest = next((rate for rate in reversed(rates) if rate is not None), None)
    return Sparkline(
        path=_path(spots),
        dots=tuple(_alone(spots)),
        last=known[-1] if known else None,
        band_y=_height(high, scale),
        band_height=max(1.0, round((high - low) * scale, 1)) if band else 0.0,
        outside=outside(newest, band),
    )


def _height(rate: float, scale: float) -> float:
    return round(SPARK_HEIGHT - 4 - rate * scale, 1)


def _path(spots: Sequence[tuple[float, float] | None]) -> str:
    parts, before = [], None
    for spot in spots:
        if spot:
            parts.append(f"{'L' if before else 'M'}{spot[0]:g} {spot[1]:g}")
        before = spot
    return "".join(parts)


def _alone(spots: Sequence[tuple[float, float] | None]) -> Iterator[tuple[float, float]]:
    """Days with no known neighbour, which a line would not show."""
    for place, spot in enumerate(spots):
        beside = (*spots[max(place - 1, 0) : place], *spots[place + 1 : place + 2])
        if spot and not any(beside):
            yield spot
