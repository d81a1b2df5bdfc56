"""What draws a chart as a picture for a mail. Owner of matplotlib.

    Days  ->  picture(...)  ->  bytes  PNG: on a light or a dark ground

Charts on pages are drawn by `svgs`, the same but for letters. Matplotlib is imported inside of
functions: who imports this and draws nothing doesn't wait for it.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jmreport.render.charts import DARK, INK, Days
from jmreport.render.scales import WIDTHS, count, median, named, step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

#: Dots to the inch of a picture: twice those that it is shown with.
_DOTS = 190

#: Points between axes and what is written beside them.
_APART = 3.5
#: What the library calls the part of a name that stands at its place.
_SIDES = {"start": "left", "middle": "center", "end": "right"}


def load() -> None:
    """Loads what draws."""
    from matplotlib import artist

    # A fifth of the time would go into lists of properties for its help texts.
    with _replaced(artist, "kwdoc", lambda _artist: ""):
        from matplotlib.backends import backend_agg  # noqa: F401
        from matplotlib.figure import Figure  # noqa: F401


@contextmanager
def _replaced(module: object, name: str, by: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, by)
    try:
        yield
    finally:
        setattr(module, name, before)


def picture(chart: Days, *, dark: bool) -> bytes:
    """The chart as a PNG on a light or on a dark ground: the same bytes for the same data."""
    load()
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with _drawing() as figure:
        FigureCanvasAgg(figure)
        _days(figure, chart)
        figure.patch.set_facecolor("#12151b" if dark else "#ffffff")
        if dark:
            _darken(figure)
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=_DOTS, metadata={"Software": None})
    return out.getvalue()


@contextmanager
def _drawing() -> "Iterator[Figure]":
    """A figure to plot on, whatever this machine's own settings for figures are."""
    import matplotlib
    from matplotlib.figure import Figure

    # It tells of font caches on stderr, which is nobody's news in a nightly run.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with matplotlib.rc_context():
        # Its own settings, found to be right once: to look at them takes longer than a small chart.
        now: Any = matplotlib.rcParams
        dict.update(now, _settings())
        yield Figure(dpi=72)


@lru_cache(maxsize=1)
def _settings() -> dict[str, Any]:
    """All settings for figures, which are the library's own but for one."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["axes.axisbelow"] = True
        now: Any = matplotlib.rcParams
        found: dict[str, Any] = dict(now.copy())
    found.pop("backend", None)  # to touch it is to choose one
    return found


def _darken(figure: "Figure") -> None:
    """Every colour of the light drawing as the dark one has it."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_hex

    for part in figure.findobj():
        if isinstance(part, LineCollection):  # one has as many colours as lines
            colours: Any = part.get_color()
            part.set_color([DARK.get(to_hex(colour), colour) for colour in colours])
            continue
        for name in ("color", "facecolor", "edgecolor"):
            get, set_ = getattr(part, f"get_{name}", None), getattr(part, f"set_{name}", None)
            colour = get() if get else None
            if set_ and isinstance(colour, str | tuple) and (dark := DARK.get(to_hex(colour))):
                set_(dark)


def _days(figure: "Figure", chart: Days) -> None:
    width = WIDTHS[chart.width] / 72
    figure.set_size_inches(width, 3.3)
    left, right = 46 / (72 * width), 74 / (72 * width)
    bars = chart.bars
    above = _axes(figure, (left, 0.57, 1 - left - right, 0.33))
    below = _axes(figure, (left, 0.11, 1 - left - right, 0.24))
    failed = [bar.failed for bar in bars]
    aborted = [bar.aborted for bar in bars]
    _stack(above, failed, "failed")
    _stack(above, aborted, "aborted", bottom=failed)
    _stack(below, [bar.succeeded for bar in bars], "succeeded")
    bad = [a + b for a, b in zip(failed, aborted, strict=True)]
    _dress(above, "Failed and aborted jobs a night", max(bad, default=0))
    _dress(below, "Succeeded jobs a night", max((bar.succeeded for bar in bars), default=0))
    usual = median([n for n, bar in zip(bad[:-1], bars[:-1], strict=True) if bar.told])
    if usual is not None:
        above.axhline(usual, color=INK["muted"], linewidth=0.9, dashes=(3, 3))
        _beside(above, usual, f"median {count(usual)}")
    _say_highest(above, bad)
    kinds = [kind for kind, counts in (("failed", failed), ("aborted", aborted)) if any(counts)]
    _name_colours(above, kinds, (72 * width - 46 - 74, 0.33 * 72 * 3.3))
    for place, bar in enumerate(bars):
        if bar.unreported:
            _unreported(above, below, place)
    for axes in (above, below):
        axes.set_xlim(-0.6, max(len(bars), 1) - 0.4)
    _name_days(below, [bar.label for bar in bars], 3)


def _name_colours(axes: "Axes", kinds: Sequence[str], size: tuple[float, float]) -> None:
    """Which colour is which, below the bars, whose axes are of this size in points.

    Each word begins behind its square, so that its width, which is the reader's font's, is nobody's
    concern.
    """
    from matplotlib.patches import Rectangle

    width, height = size
    for place, kind in enumerate(kinds):
        left, across = place * 62 / width, axes.transAxes
        square = Rectangle(
            (left, -17 / height), 9 / width, 9 / height, transform=across, color=INK[kind]
        )
        square.set(linewidth=0, clip_on=False)
        axes.add_artist(square)
        at = (left + 13 / width, -13 / height)
        axes.text(*at, kind, transform=across, fontsize=11, color=INK["muted"], va="center")


def _unreported(above: "Axes", below: "Axes", place: int) -> None:
    """A grey column with words in it: no bar would look like a night without a failure."""
    for axes in (above, below):
        axes.axvspan(place - 0.36, place + 0.36, color=INK["band"], linewidth=0, zorder=0)
    above.text(
        *(place, 0.5),
        "no report",
        transform=above.get_xaxis_transform(),
        rotation=90,
        fontsize=10,
        color=INK["muted"],
        ha="center",
        va="center",
    )


def _name_days(axes: "Axes", days: Sequence[str], most: int) -> None:
    """Names under some of the days."""
    for place, side in named(len(days), most):
        _below(axes, place, days[place], _SIDES[side])


def _stack(
    axes: "Axes", heights: Sequence[int], kind: str, bottom: Sequence[int] | None = None
) -> None:
    from matplotlib.patches import Rectangle

    under = bottom or (0,) * len(heights)
    for place, (height, low) in enumerate(zip(heights, under, strict=True)):
        if height:
            # What `axes.bar` does, but for looking how far each bar makes its axes reach.
            patch = Rectangle((place - 0.36, low), 0.72, height, color=INK[kind], linewidth=0)
            axes.add_artist(patch)


def _beside(axes: "Axes", at: float, text: str) -> None:
    where = (1.005, at)
    transform = axes.get_yaxis_transform()
    axes.text(
        *where, text, transform=transform, fontsize=11, color=INK["muted"], va="center", ha="left"
    )


def _say_highest(axes: "Axes", values: Sequence[int]) -> None:
    """Numbers on the highest bar and on the last one; the others are read from the grid."""
    if not any(values):
        return
    highest = max(range(len(values)), key=lambda place: values[place])
    for place in sorted({highest, len(values) - 1}):
        if values[place]:
            axes.annotate(
                count(values[place]),
                (place, values[place]),
                (0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=12,
                fontweight="bold",
                color=INK["text"],
            )


# --- the axes ----------------------------------------------------------------------------------


def _axes(figure: "Figure", place: tuple[float, float, float, float]) -> "Axes":
    """Axes at a place of the figure, without the library's marks.

    To make four marks that nobody sees takes the greater part of what axes take.
    """
    from matplotlib.axis import Axis

    with _replaced(Axis, "majorTicks", ()), _replaced(Axis, "minorTicks", ()):
        return figure.add_axes(place)


def _dress(axes: "Axes", title: str, highest: float) -> None:
    top = max(highest, 4) * 1.12
    by = step(max(highest, 4))
    ticks = [by * place for place in range(int(top // by) + 1)]
    axes.set_ylim(0, top)
    # What an axis makes for each of its marks takes as long as all the rest of a chart.
    axes.xaxis.set_visible(False)
    axes.yaxis.set_visible(False)
    _grid(axes, ticks)
    for tick in ticks:
        _before(axes, tick, count(tick))
    # Where titles and the names of axes stand is said, or all words beside them would be measured
    # to find it out.
    font: dict[str, Any] = {"fontsize": 13, "fontweight": "bold", "color": INK["text"]}
    axes.set_title(title, font, loc="left", y=1, pad=12)
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(INK["line"])


def _grid(axes: "Axes", heights: Sequence[float]) -> None:
    """Lines across, below all that is drawn."""
    from matplotlib.collections import LineCollection

    across = axes.get_yaxis_transform()
    lines = [((0, height), (1, height)) for height in heights]
    axes.add_artist(
        LineCollection(lines, colors=INK["band"], linewidths=0.9, transform=across, zorder=0.5)
    )


def _before(axes: "Axes", at: float, text: str) -> None:
    """What a height is called, before the axes."""
    _say(axes, (0, at), text, axes.get_yaxis_transform(), (-_APART, 0), "right", "center_baseline")


def _below(axes: "Axes", at: float, text: str, side: str) -> None:
    """What a place is called, below the axes."""
    _say(axes, (at, 0), text, axes.get_xaxis_transform(), (0, -_APART), side, "top")


def _say(
    axes: "Axes",
    at: tuple[float, float],
    text: str,
    transform: "Transform",
    moved: tuple[float, float],
    across: str,
    upright: str,
) -> None:
    from matplotlib.transforms import ScaledTranslation

    x, y = moved
    shifted = transform + ScaledTranslation(x / 72, y / 72, axes.figure.dpi_scale_trans)
    axes.text(*at, text, transform=shifted, fontsize=11, color=INK["muted"], ha=across, va=upright)
