"""What draws a chart: as SVG for a page, or as a picture for a mail. Owner of matplotlib.

    Days, Rates, Durations, Flow  ->  draw(...)     ->  str    SVG: for light, dark, screen, paper
                                  ->  picture(...)  ->  bytes  PNG: on a light or a dark ground

Matplotlib is imported inside of functions: who imports this and draws nothing doesn't wait for it.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jmreport.render.bands import outside
from jmreport.render.charts import DARK, INK, Bar, Chart, Days, Durations, Flow, Rates, Width
from jmreport.render.svgs import finished

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

#: Inches at 72 to the inch. The narrow drawing is for phones, where the wide one's text shrinks;
#: that of mails is for both.
_WIDTHS: dict[Width, float] = {"wide": 11.6, "narrow": 5.2, "mail": 5.8}
#: Dots to the inch of a picture: twice those that it is shown with.
_DOTS = 190

#: Points between axes and what is written beside them.
_APART = 3.5
#: Waits that are so many times the usual ones are drawn as an arrow.
_FAR = 5


def load() -> None:
    """Loads what draws, for processes that are forked from this one to share."""
    from matplotlib import artist

    # A fifth of the time would go into lists of properties for its help texts.
    with _replaced(artist, "kwdoc", lambda _artist: ""):
        from matplotlib.backends import backend_svg  # noqa: F401
        from matplotlib.figure import Figure  # noqa: F401


@contextmanager
def _replaced(module: object, name: str, by: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, by)
    try:
        yield
    finally:
        setattr(module, name, before)


def draw(chart: Chart) -> str:
    """The chart's SVG: the same bytes for the same data."""
    load()
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    with _drawing() as figure:
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        labels = _plot(figure, chart)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return finished(out.getvalue(), chart, labels)


def picture(chart: Chart, *, dark: bool) -> bytes:
    """The chart as a PNG on a light or on a dark ground: the same bytes for the same data."""
    load()
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with _drawing() as figure:
        FigureCanvasAgg(figure)
        _plot(figure, chart)
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
    """All settings for figures, which are the library's own but for three."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {"svg.fonttype": "none", "svg.hashsalt": "jmreport", "axes.axisbelow": True}
        )
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


def _plot(figure: "Figure", chart: Chart) -> dict[str, str]:
    match chart:
        case Days():
            return _days(figure, chart)
        case Rates():
            return _rates(figure, chart)
        case Durations():
            return _durations(figure, chart)
        case Flow():
            return _flow(figure, chart)


# --- the kinds ---------------------------------------------------------------------------


def _days(figure: "Figure", chart: Days) -> dict[str, str]:
    width = _WIDTHS[chart.width]
    figure.set_size_inches(width, 3.3)
    left, right = 46 / (72 * width), 74 / (72 * width)
    bars = chart.bars
    above = _axes(figure, (left, 0.57, 1 - left - right, 0.33))
    below = _axes(figure, (left, 0.11, 1 - left - right, 0.24))
    failed = [bar.failed for bar in bars]
    aborted = [bar.aborted for bar in bars]
    labels: dict[str, str] = {}
    _stack(above, bars, failed, "failed", labels)
    _stack(above, bars, aborted, "aborted", labels, bottom=failed)
    _stack(below, bars, [bar.succeeded for bar in bars], "succeeded", labels)
    bad = [a + b for a, b in zip(failed, aborted, strict=True)]
    _dress(above, "Failed and aborted jobs a night", max(bad, default=0))
    _dress(below, "Succeeded jobs a night", max((bar.succeeded for bar in bars), default=0))
    _median(above, [n for n, bar in zip(bad[:-1], bars[:-1], strict=True) if bar.told])
    _say_highest(above, bad)
    kinds = [kind for kind, counts in (("failed", failed), ("aborted", aborted)) if any(counts)]
    _name_colours(above, kinds, (72 * width - 46 - 74, 0.33 * 72 * 3.3))
    for place, bar in enumerate(bars):
        if bar.unreported:
            _unreported(above, below, place, bar, labels)
    for axes in (above, below):
        axes.set_xlim(-0.6, max(len(bars), 1) - 0.4)
    _name_days(below, [bar.label for bar in bars], 6 if chart.width == "wide" else 3)
    return labels


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


def _unreported(above: "Axes", below: "Axes", place: int, bar: Bar, labels: dict[str, str]) -> None:
    """A grey column with words in it: no bar would look like a night without a failure."""
    for name, axes in (("above", above), ("below", below)):
        patch = axes.axvspan(place - 0.36, place + 0.36, color=INK["band"], linewidth=0, zorder=0)
        patch.set_gid(f"unreported-{name}-{place}")
        labels[f"unreported-{name}-{place}"] = f"{bar.label}: no report"
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
    """Names under some of the days; the outermost ones keep inside the drawing."""
    places = _some(range(len(days)), most)
    sides = ["center"] * len(places)
    if len(places) > 1:
        sides[-1] = "right"
        if places[0] == 0:
            sides[0] = "left"
    for place, side in zip(places, sides, strict=True):
        _below(axes, place, days[place], side)


def _stack(
    axes: "Axes",
    bars: Sequence[Bar],
    heights: Sequence[int],
    kind: str,
    labels: dict[str, str],
    bottom: Sequence[int] | None = None,
) -> None:
    from matplotlib.patches import Rectangle

    under = bottom or (0,) * len(bars)
    for place, (bar, height, low) in enumerate(zip(bars, heights, under, strict=True)):
        if not height:
            continue
        # What `axes.bar` does, but for looking how far each bar makes its axes reach.
        patch = Rectangle((place - 0.36, low), 0.72, height, color=INK[kind], linewidth=0)
        name = f"{kind}-{place}"
        patch.set_gid(name)
        labels[name] = f"{bar.label}: {height} {kind}"
        links = {"failed": bar.failed_link, "aborted": bar.aborted_link}
        if link := links.get(kind, bar.succeeded_link):
            patch.set_url(link)
        axes.add_artist(patch)


def _median(axes: "Axes", nights: Sequence[int]) -> None:
    """A dashed line at the usual night: the median of the nights before the last one.

    Of those alone that tell: no report of a night is no night without a failure.
    """
    before = sorted(nights)
    if len(before) < 5:
        return
    usual = before[len(before) // 2]
    axes.axhline(usual, color=INK["muted"], linewidth=0.9, dashes=(3, 3))
    _beside(axes, usual, f"median {_count(usual)}")


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
                _count(values[place]),
                (place, values[place]),
                (0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=12,
                fontweight="bold",
                color=INK["text"],
            )


def _rates(figure: "Figure", chart: Rates) -> dict[str, str]:
    figure.set_size_inches(5.4, 2.5)
    axes = _axes(figure, (0.115, 0.13, 0.84, 0.68))
    percents = [None if rate is None else 100 * rate for rate in chart.rates]
    highest = max((rate for rate in percents if rate is not None), default=0.0)
    if chart.band:
        axes.axhspan(100 * chart.band[0], 100 * chart.band[1], color=INK["band"], linewidth=0)
        highest = max(highest, 100 * chart.band[1])
    places = list(range(len(percents)))
    line = [float("nan") if rate is None else rate for rate in percents]
    axes.plot(places, line, color=INK["muted"], linewidth=1.6)
    known = [place for place in places if percents[place] is not None]
    axes.plot(known, [line[place] for place in known], "o", color=INK["muted"], ms=3.2, mew=0)
    if known:
        _last_dot(axes, known[-1], line[known[-1]], outside(chart.rates[known[-1]], chart.band))
    _dress(axes, "Failure rate a night", highest, unit=" %", least=10)
    axes.set_xlim(-0.6, max(len(places), 1) - 0.4)
    _name_days(axes, chart.days, 3)
    return {}


def _last_dot(axes: "Axes", place: float, value: float, unusual: bool) -> None:
    colour = INK["failed"] if unusual else INK["text"]
    axes.plot([place], [value], "o", color=colour, ms=6.5, mew=0)


def _durations(figure: "Figure", chart: Durations) -> dict[str, str]:
    figure.set_size_inches(5.4, 2.5)
    axes = _axes(figure, (0.115, 0.13, 0.84, 0.68))
    longest = max((run.seconds for run in chart.runs), default=0.0)
    size, unit = _unit(max(longest, chart.band[1] if chart.band else 0.0))
    if chart.band:
        low, high = chart.band
        axes.axhspan(low / size, high / size, color=INK["band"], linewidth=0)
        longest = max(longest, high)
    if chart.median is not None:
        axes.axhline(chart.median / size, color=INK["muted"], linewidth=0.9, dashes=(3, 3))
    marks = {"Succeeded": ("o", "succeeded", 5.0), "Failed": ("X", "failed", 6.0)}
    for status in sorted({run.status for run in chart.runs}):
        mark, colour, wide = marks.get(status, ("s", "aborted", 4.5))
        spots = [(place, run) for place, run in enumerate(chart.runs) if run.status == status]
        axes.plot(
            [place for place, _ in spots],
            [run.seconds / size for _, run in spots],
            mark,
            color=INK[colour],
            ms=wide,
            mew=0,
        )
    _dress(axes, f"How long its runs took, in {unit}", longest / size)
    axes.set_xlim(-0.6, max(len(chart.runs), 1) - 0.4)
    last = len(chart.runs) - 1
    _name_days(axes, [chart.first_day, *[""] * (last - 1), chart.last_day][-last - 1 :], 2)
    return {}


def _flow(figure: "Figure", chart: Flow) -> dict[str, str]:
    from matplotlib.patches import StepPatch

    width = _WIDTHS[chart.width]
    figure.set_size_inches(width, 6.2)
    left, right = 46 / (72 * width), 10 / (72 * width)
    levels = [
        ("Jobs running at the same time", chart.running, "running"),
        ("Jobs waiting at the same time", chart.waiting, "submitted"),
        (f"Jobs submitted, by {chart.each}", chart.submitted, "muted"),
    ]
    steps = len(chart.running)
    for place, (title, numbers, colour) in enumerate(levels):
        axes = _axes(figure, (left, 0.785 - 0.243 * place, 1 - left - right, 0.155))
        # What `axes.stairs` does, but for looking how far each step makes its axes reach.
        edges = range(steps + 1)
        axes.add_artist(StepPatch(numbers, edges, fill=True, facecolor=INK[colour], linewidth=0))
        _dress(axes, title, max(numbers, default=0))
        axes.set_xlim(0, steps)
        _rule(axes, chart.ticks)
    last = _axes(figure, (left, 0.056, 1 - left - right, 0.155))
    _waits(last, chart.waits)
    last.set_xlim(0, steps)
    _rule(last, chart.ticks)
    for at, text in chart.ticks:
        _below(last, at, text, "left")
    return {}


def _rule(axes: "Axes", ticks: Sequence[tuple[float, str]]) -> None:
    """Lines where days begin: what follows one is of the day whose name begins there."""
    at = [place for place, _ in ticks]
    across = axes.get_xaxis_transform()
    axes.vlines(at, 0, 1, transform=across, color=INK["band"], linewidth=0.9, zorder=0)


def _waits(axes: "Axes", waits: Sequence[tuple[float, float] | None]) -> None:
    """A dot at each step's median, and a line up to where 90 of 100 were done with waiting.

    One job that waited for days would press all others to the ground: lines that are much longer
    than most end in an arrow at the top.
    """
    known = [(place + 0.5, *wait) for place, wait in enumerate(waits) if wait]
    highs = sorted(high for _, _, high in known)
    most = min(highs[-1], _FAR * max(highs[len(highs) // 2], 1.0)) if highs else 0.0
    size, unit = _unit(most)
    axes.vlines(
        [at for at, _, _ in known],
        [min(low, most) / size for _, low, _ in known],
        [min(high, most) / size for _, _, high in known],
        color=INK["submitted"],
        linewidth=1.6,
    )
    dots = [(at, low / size) for at, low, _ in known if low <= most]
    axes.plot([at for at, _ in dots], [low for _, low in dots], "o", color=INK["text"], ms=2.6)
    beyond = [at for at, _, high in known if high > most]
    axes.plot(beyond, [most / size] * len(beyond), "^", color=INK["failed"], ms=5, mew=0)
    _dress(axes, f"Wait before the start, in {unit}", most / size, least=2)


# --- what all share ----------------------------------------------------------------------------


def _axes(figure: "Figure", place: tuple[float, float, float, float]) -> "Axes":
    """Axes at a place of the figure, without the library's marks.

    To make four marks that nobody sees takes the greater part of what axes take.
    """
    from matplotlib.axis import Axis

    with _replaced(Axis, "majorTicks", ()), _replaced(Axis, "minorTicks", ()):
        return figure.add_axes(place)


def _dress(axes: "Axes", title: str, highest: float, *, unit: str = "", least: float = 4) -> None:
    top = max(highest, least) * 1.12
    step = _step(max(highest, least))
    ticks = [step * place for place in range(int(top // step) + 1)]
    axes.set_ylim(0, top)
    # What an axis makes for each of its marks takes as long as all the rest of a chart.
    axes.xaxis.set_visible(False)
    axes.yaxis.set_visible(False)
    _grid(axes, ticks)
    for tick in ticks:
        _before(axes, tick, _count(tick) + unit)
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


def _step(highest: float) -> float:
    """A round distance between two or three lines of the grid.

    >>> [_step(highest) for highest in (4, 10, 42, 131, 2598)]
    [2, 5, 20, 50, 1000]
    """
    size = 1.0
    while size * 10 <= highest:
        size *= 10
    step = next(size * by for by in (0.2, 0.5, 1, 2, 5) if highest / (size * by) <= 3.2)
    return int(step) if step >= 1 else step


def _some(places: Sequence[int], most: int) -> list[int]:
    """Evenly spaced places, the last one always among them.

    >>> _some(range(21), 6)
    [0, 4, 8, 12, 16, 20]
    """
    if not places:
        return []
    every = max(1, -(-(len(places) - 1) // (most - 1)))
    return sorted(places[::-1][::every])


def _unit(seconds: float) -> tuple[int, str]:
    """What durations up to this many seconds are best drawn in."""
    if seconds >= 3 * 3600:
        return 3600, "hours"
    return (60, "minutes") if seconds >= 180 else (1, "seconds")


def _count(value: float) -> str:
    """A number on an axis: thousands apart, no needless decimals."""
    return f"{value:,.0f}".replace(",", "\u202f") if value == int(value) else f"{value:g}"
