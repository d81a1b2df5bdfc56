"""Charts as SVG that goes inside a page: one drawing for light and dark, screen and paper.

    Days, Rates, Durations … ->  Charts.svg(...)  ->  Markup        by matplotlib, remembered
    failure rates            ->  sparkline(...)   ->  Sparkline     plain numbers for a template
    jobs by status           ->  segments(...)    ->  Segment, ...  plain numbers for a template

Nothing that a server wrote is drawn here: only days, numbers and addresses that jmreport made.
Colours are written as `var(--token, #hex)`, so that a chart follows its page into the dark. A
drawing is kept under the digest of its data, so matplotlib (0.7 s to import) is only loaded for
data that was never drawn before.
"""

import hashlib
import io
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

import msgspec
from markupsafe import Markup
from msgspec import Struct

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Raised when a drawing changes though its data does not.
DRAWING = 2

#: The colours that are drawn, by the name of their token in site.css.
INK = {
    "succeeded": "#389864",
    "failed": "#a5070a",
    "aborted": "#393d44",
    "running": "#245cc8",
    "submitted": "#8b9097",
    "line": "#d3d8e0",
    "band": "#e3e6eb",
    "text": "#171a21",
    "muted": "#525a69",
}
_TOKENS = {colour: f"var(--{name}, {colour})" for name, colour in INK.items()}

#: The same colours on a dark ground, for pictures, which cannot follow a page by themselves.
DARK = {
    "#389864": "#7dce9e",
    "#a5070a": "#cc4d39",
    "#393d44": "#d3deee",
    "#245cc8": "#4a85ea",
    "#8b9097": "#6d7686",
    "#d3d8e0": "#373f4c",
    "#e3e6eb": "#2a313c",
    "#171a21": "#e8ebf0",
    "#525a69": "#a7b0bf",
}

Width = Literal["wide", "narrow", "mail"]
#: Inches at 72 to the inch. The narrow drawing is for phones, where the wide one's text shrinks;
#: that of mails is for both.
_WIDTHS: dict[Width, float] = {"wide": 11.6, "narrow": 5.2, "mail": 5.8}
#: Dots to the inch of a picture: twice those that it is shown with.
_DOTS = 190


#: Waits that are so many times the usual ones are drawn as an arrow.
_FAR = 5


class Bar(Struct, frozen=True, kw_only=True):
    """A night's jobs, by the day on which it ended.

    `label` is how the day is written; the links lead to lists, "" is none.
    """

    day: str
    label: str
    succeeded: int = 0
    failed: int = 0
    aborted: int = 0
    failed_link: str = ""
    succeeded_link: str = ""


class Days(Struct, frozen=True, kw_only=True, tag=True):
    """Failed and aborted jobs a night above, succeeded ones below, each on its own scale."""

    title: str
    take_away: str
    bars: tuple[Bar, ...]
    width: Width = "wide"


class Rates(Struct, frozen=True, kw_only=True, tag=True):
    """A workflow's failure rate (0 to 1, None where nothing ended) a night, and its usual band."""

    title: str
    take_away: str
    days: tuple[str, ...]
    rates: tuple[float | None, ...]
    band: tuple[float, float] | None = None


class Run(Struct, frozen=True, kw_only=True):
    """A finished run: when it ended, how many seconds it took, and how it ended."""

    ended: datetime
    seconds: float
    status: str


class Durations(Struct, frozen=True, kw_only=True, tag=True):
    """How long the last runs took, oldest first, with the usual band in seconds."""

    title: str
    take_away: str
    runs: tuple[Run, ...]
    first_day: str
    last_day: str
    band: tuple[float, float] | None = None
    median: float | None = None


class Flow(Struct, frozen=True, kw_only=True, tag=True):
    """Jobs over time, a number for each step: at once in it, submitted in it, waits that ended.

    `waits` are (median, 90 of 100) in seconds, None where no job started. `ticks` are places (in
    steps from the left) with the words below them, `each` is how long a step is called ("hour").
    """

    title: str
    take_away: str
    running: tuple[int, ...]
    waiting: tuple[int, ...]
    submitted: tuple[int, ...]
    waits: tuple[tuple[float, float] | None, ...]
    ticks: tuple[tuple[float, str], ...]
    each: str
    width: Width = "wide"


Chart = Days | Rates | Durations | Flow


def key(chart: Chart) -> str:
    """The digest of a chart's data: the same data is the same drawing."""
    content = msgspec.msgpack.encode((DRAWING, chart))
    return hashlib.blake2b(content, digest_size=16).hexdigest()


class Charts:
    """Drawings, kept in a folder as `<key>.svg` so that each is only made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def svg(self, chart: Chart) -> Markup:
        """The chart as an `<svg>` element; read where it was drawn before, else drawn and kept."""
        kept = self.folder / f"{key(chart)}.svg"
        try:
            return Markup(kept.read_text("utf-8"))  # noqa: S704 (our own drawing, see _finished)
        except (FileNotFoundError, UnicodeDecodeError):
            drawn = draw(chart)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Two workers may draw the same numbers at once, for pages of two workflows.
        part = kept.with_suffix(f".{os.getpid()}.part")
        part.write_text(drawn, "utf-8")
        part.replace(kept)
        return Markup(drawn)  # noqa: S704

    def lacking(self, keys: Sequence[str]) -> int:
        """How many of these were never drawn."""
        return sum(not (self.folder / f"{each}.svg").exists() for each in keys)

    def forget(self, wanted: set[str]) -> None:
        """Removes the drawings whose keys no page needs."""
        for kept in sorted(self.folder.glob("*.*")):
            if kept.stem not in wanted:
                kept.unlink(missing_ok=True)


def load() -> None:
    """Loads what draws, for processes that are forked from this one to share."""
    from matplotlib import artist

    # A fifth of the time would go into lists of properties for its help texts.
    with _replaced(artist, "kwdoc", lambda _artist: ""):
        from matplotlib.backends import backend_svg  # noqa: F401
        from matplotlib.figure import Figure  # noqa: F401


@contextmanager
def _replaced(module: ModuleType, name: str, by: Any) -> Iterator[None]:
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
    return _finished(out.getvalue(), chart, labels)


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
    from matplotlib.colors import to_hex

    for part in figure.findobj():
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
    above = figure.add_axes((left, 0.57, 1 - left - right, 0.33))
    below = figure.add_axes((left, 0.11, 1 - left - right, 0.24))
    failed = [bar.failed for bar in bars]
    aborted = [bar.aborted for bar in bars]
    labels: dict[str, str] = {}
    _stack(above, bars, failed, "failed", labels)
    _stack(above, bars, aborted, "aborted", labels, bottom=failed)
    _stack(below, bars, [bar.succeeded for bar in bars], "succeeded", labels)
    bad = [a + b for a, b in zip(failed, aborted, strict=True)]
    _dress(above, "Failed and aborted jobs a night", max(bad, default=0))
    _dress(below, "Succeeded jobs a night", max((bar.succeeded for bar in bars), default=0))
    _median(above, bad)
    _say_highest(above, bad)
    for axes in (above, below):
        axes.set_xlim(-0.6, max(len(bars), 1) - 0.4)
    above.set_xticks([])
    _name_days(below, [bar.label for bar in bars], 6 if chart.width == "wide" else 3)
    return labels


def _name_days(axes: "Axes", days: Sequence[str], most: int) -> None:
    """Names under some of the days; the outermost ones keep inside the drawing."""
    ticks = _some(range(len(days)), most)
    axes.set_xticks(ticks, [days[place] for place in ticks])
    labels = axes.get_xticklabels()
    if len(labels) > 1:
        labels[-1].set_horizontalalignment("right")
        if ticks[0] == 0:
            labels[0].set_horizontalalignment("left")


def _stack(
    axes: "Axes",
    bars: Sequence[Bar],
    heights: Sequence[int],
    kind: str,
    labels: dict[str, str],
    bottom: Sequence[int] | None = None,
) -> None:
    drawn = axes.bar(range(len(bars)), heights, 0.72, bottom=bottom, color=INK[kind], linewidth=0)
    for place, (patch, bar, height) in enumerate(zip(drawn, bars, heights, strict=True)):
        if not height:
            patch.set_visible(False)
        name = f"{kind}-{place}"
        patch.set_gid(name)
        labels[name] = f"{bar.label}: {height} {kind}"
        link = bar.succeeded_link if kind == "succeeded" else bar.failed_link
        if link:
            patch.set_url(link)


def _median(axes: "Axes", values: Sequence[int]) -> None:
    """A dashed line at the usual night: the median of the nights before the last one."""
    before = sorted(values[:-1])
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
    axes = figure.add_axes((0.115, 0.13, 0.84, 0.68))
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
        _last_dot(axes, known[-1], line[known[-1]], _outside(chart.rates[known[-1]], chart.band))
    _dress(axes, "Failure rate a night", highest, unit=" %", least=10)
    axes.set_xlim(-0.6, max(len(places), 1) - 0.4)
    _name_days(axes, chart.days, 3)
    return {}


def _last_dot(axes: "Axes", place: float, value: float, outside: bool) -> None:
    colour = INK["failed"] if outside else INK["text"]
    axes.plot([place], [value], "o", color=colour, ms=6.5, mew=0)


def _outside(rate: float | None, band: tuple[float, float] | None) -> bool:
    return rate is not None and band is not None and rate > band[1]


def _durations(figure: "Figure", chart: Durations) -> dict[str, str]:
    figure.set_size_inches(5.4, 2.5)
    axes = figure.add_axes((0.115, 0.13, 0.84, 0.68))
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
        axes = figure.add_axes((left, 0.785 - 0.243 * place, 1 - left - right, 0.155))
        axes.stairs(numbers, range(steps + 1), fill=True, color=INK[colour], linewidth=0)
        _dress(axes, title, max(numbers, default=0))
        axes.set_xlim(0, steps)
        axes.set_xticks([])
    last = figure.add_axes((left, 0.056, 1 - left - right, 0.155))
    _waits(last, chart.waits)
    last.set_xlim(0, steps)
    last.set_xticks([at for at, _ in chart.ticks], [text for _, text in chart.ticks])
    return {}


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


def _dress(axes: "Axes", title: str, highest: float, *, unit: str = "", least: float = 4) -> None:
    top = max(highest, least) * 1.12
    step = _step(max(highest, least))
    ticks = [step * place for place in range(int(top // step) + 1)]
    axes.set_ylim(0, top)
    axes.set_yticks(ticks, [_count(tick) + unit for tick in ticks])
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK["text"], pad=12)
    axes.grid(axis="y", color=INK["band"], linewidth=0.9)
    axes.tick_params(length=0, labelsize=11, labelcolor=INK["muted"])
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(INK["line"])


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


# --- from matplotlib's SVG to a page's ---------------------------------------------------------

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_DECIMALS = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
#: Attributes whose numbers are places on the drawing.
_PLACES = ("d", "x", "y", "width", "height", "transform", "viewBox")
#: Matplotlib's styles that are worth an attribute; the rest are defaults, or the page's to choose.
_STYLES = (
    "fill",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "stroke-dashoffset",
    "opacity",
    "fill-opacity",
    "font-size",
    "font-weight",
    "text-anchor",
)


def _finished(drawn: bytes, chart: Chart, labels: Mapping[str, str]) -> str:
    """Matplotlib's document as an element for a page: no style, no needless id, no fixed size."""
    root = ElementTree.fromstring(drawn)  # noqa: S314 (what matplotlib just made)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{_SVG}metadata" or _is_style(child):
                parent.remove(child)
    mark = key(chart)[:6]
    names = _referenced(root, mark)
    for element in root.iter():
        _restyle(element)
        _rename(element, names, labels)
    linked = any(element.tag == f"{_SVG}a" for element in root.iter())
    _introduce(root, chart, mark, "group" if linked else "img")
    ElementTree.register_namespace("", _SVG[1:-1])
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub(r"\s*\n\s*", " ", text).replace("> <", "><").replace("<g />", "")


def _is_style(element: ElementTree.Element) -> bool:
    return element.tag == f"{_SVG}defs" and any(child.tag == f"{_SVG}style" for child in element)


def _referenced(root: ElementTree.Element, mark: str) -> dict[str, str]:
    """The ids that something refers to, and what they are called on a page of several charts."""
    found: dict[str, str] = {}
    for element in root.iter():
        for name in _references(element.attrib.values()):
            found.setdefault(name, f"c{mark}-{len(found)}")
        if element.tag == f"{_SVG}use":
            found.setdefault(element.attrib[_XLINK][1:], f"c{mark}-{len(found)}")
    return found


def _references(values: Any) -> Iterator[str]:
    for value in values:
        yield from _REFERENCE.findall(value)


def _restyle(element: ElementTree.Element) -> None:
    style = element.attrib.pop("style", "")
    for part in style.split(";"):
        name, _, value = (piece.strip() for piece in part.partition(":"))
        if name in _STYLES:
            element.set(name, _TOKENS.get(value, value))
    for name in _PLACES:
        if name in element.attrib:
            element.set(name, _DECIMALS.sub(_rounded, element.attrib[name]))
    # Text that isn't turned still carries a turn of zero.
    if element.attrib.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]


def _rounded(number: re.Match[str]) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{round(float(number[0]), 2) + 0.0:g}"


def _rename(
    element: ElementTree.Element, names: Mapping[str, str], labels: Mapping[str, str]
) -> None:
    own = element.attrib.pop("id", None)
    if own is not None and own in names:
        element.set("id", names[own])
    for name, value in list(element.attrib.items()):
        if "url(#" in value:
            element.set(name, _REFERENCE.sub(lambda m: f"url(#{names[m[1]]})", value))
    if _XLINK in element.attrib:
        target = element.attrib.pop(_XLINK)
        is_use = element.tag == f"{_SVG}use"
        element.set("href", f"#{names[target[1:]]}" if is_use else target)
    if own is not None and own in labels:
        _label(element, labels[own])


def _label(element: ElementTree.Element, text: str) -> None:
    """A name for a bar: what a pointer shows, and what a linked one is called when it is read."""
    title = ElementTree.Element(f"{_SVG}title")
    title.text = text
    element.insert(0, title)
    for link in element.iter(f"{_SVG}a"):
        link.attrib.pop("target", None)
        link.set("aria-label", text)


def _introduce(root: ElementTree.Element, chart: Chart, mark: str, role: str) -> None:
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("class", "chart")
    root.set("role", role)
    root.set("stroke-linejoin", "round")
    root.set("aria-labelledby", f"c{mark}-title c{mark}-desc")
    for place, (tag, text) in enumerate((("title", chart.title), ("desc", chart.take_away))):
        element = ElementTree.Element(f"{_SVG}{tag}", {"id": f"c{mark}-{tag}"})
        element.text = text
        root.insert(place, element)


# --- small ones, drawn by templates ------------------------------------------------------------


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
    """A line through a few nights, in a box of 180 by 48: `paths` breaks where one is missing."""

    path: str
    dots: tuple[tuple[float, float], ...]
    last: tuple[float, float] | None
    band_y: float
    band_height: float
    outside: bool


SPARK_WIDTH, SPARK_HEIGHT = 180.0, 48.0


def usual_band(rates: Sequence[float | None]) -> tuple[float, float] | None:
    """The middle 80 % of what is known, the newest left out; None below five known days."""
    known = sorted(rate for rate in rates[:-1] if rate is not None)
    if len(known) < 5:
        return None
    last = len(known) - 1
    return known[round(0.1 * last)], known[round(0.9 * last)]


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
    newest = rates[-1] if rates else None
    return Sparkline(
        path=_path(spots),
        dots=tuple(_alone(spots)),
        last=known[-1] if known else None,
        band_y=_height(high, scale),
        band_height=max(1.0, round((high - low) * scale, 1)) if band else 0.0,
        outside=_outside(newest, band),
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
