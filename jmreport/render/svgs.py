"""Draws a chart as an `<svg>` that goes inside a page, and follows it.

    <path d="M 46 102.17  L 141.36 102.17  … z " fill="var(--failed, #a5070a)" />

Pages allow no styles inside of elements. Colours are written as `var(--token, #hex)`, so that a
chart follows its page into the dark and onto paper; ids begin with the chart's digest, so that
those of two charts on a page are not the same. The library that draws pictures for mails
(render/plotting.py) is not asked: to load it takes as long as to draw hundreds of charts here.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt

from jmreport.render.bands import outside
from jmreport.render.charts import INK, Bar, Chart, Days, Durations, Flow, Rates, key
from jmreport.render.scales import WIDTHS, count, median, named, step, unit

#: Colours as a page understands them.
_TOKENS = {name: f"var(--{name}, {colour})" for name, colour in INK.items()}
#: Points between axes and what is written beside them.
_APART = 3.5
#: Waits that are so many times the usual ones are drawn as an arrow.
_FAR = 5
#: How far words reach above and below their line, in parts of their size: in the font that charts
#: were laid out in, whatever the reader's is.
_ABOVE, _BELOW = 1556 / 2048, 492 / 2048
#: Letters that reach a hair higher, as that font's own hints have it.
_HIGH, _HIGHER = frozenset("bdfhkl"), 4863 / 6400
#: Where upright words that are turned begin, from their middle.
_TURNED = (2.59765625, 23.08828125)
_BOLD = 'font-weight="700" '
#: What a curve that is an eighth of a circle leans out by.
_LEAN = 0.2652031

# Layers, as they lie upon one another.
_GROUND, _GRID, _MARKS, _LINES, _FRAME, _WORDS = range(6)


def draw(chart: Chart) -> str:
    """The chart's SVG: the same bytes for the same data."""
    match chart:
        case Days():
            return _days(chart)
        case Rates():
            return _rates(chart)
        case Durations():
            return _durations(chart)
        case Flow():
            return _flow(chart)


# --- the kinds ---------------------------------------------------------------------------


def _days(chart: Days) -> str:
    width, bars = WIDTHS[chart.width], chart.bars
    drawing = _Drawing(chart, width, 237.6)
    across = (46.0, width - 120)
    span = (-0.6, max(len(bars), 1) - 0.4)
    failed = [bar.failed for bar in bars]
    bad = [bar.failed + bar.aborted for bar in bars]
    good = [bar.succeeded for bar in bars]
    above = drawing.axes(across, (0.57, 0.33), span, max(bad, default=0))
    below = drawing.axes(across, (0.11, 0.24), span, max(good, default=0))
    _stack(above, bars, "failed", failed)
    _stack(above, bars, "aborted", [bar.aborted for bar in bars], failed)
    _stack(below, bars, "succeeded", good)
    above.dress("Failed and aborted jobs a night")
    below.dress("Succeeded jobs a night")
    usual = median([number for number, bar in zip(bad[:-1], bars[:-1], strict=True) if bar.told])
    if usual is not None:
        above.level(usual)
        above.say(f"median {count(usual)}", above.left + 1.005 * above.width, above.y(usual))
    _say_highest(above, bad)
    kinds = {"failed": any(failed), "aborted": any(bar.aborted for bar in bars)}
    _name_colours(above, [kind for kind, are in kinds.items() if are])
    for place, bar in enumerate(bars):
        if bar.unreported:
            # No bar would look like a night without a failure.
            for axes in (above, below):
                edges = axes.box(place - 0.36, place + 0.36)
                axes.put(_GROUND, axes.named(f"{bar.label}: no report", "", edges, "band"))
            above.turned("no report", above.x(place), (above.top + above.foot) / 2)
    _name_days(below, [bar.label for bar in bars], 6 if chart.width == "wide" else 3)
    return drawing.done()


def _stack(
    axes: "_Axes", bars: Sequence[Bar], kind: str, heights: Sequence[int], under: Sequence[int] = ()
) -> None:
    for place, (bar, height) in enumerate(zip(bars, heights, strict=True)):
        if not height:
            continue
        low = under[place] if under else 0
        x = place - 0.36
        edges = axes.box(x, x + 0.72, low, low + height)
        links = {"failed": bar.failed_link, "aborted": bar.aborted_link}
        link = links.get(kind, bar.succeeded_link)
        axes.put(_MARKS, axes.named(f"{bar.label}: {height} {kind}", link, edges, kind))


def _say_highest(axes: "_Axes", values: Sequence[int]) -> None:
    """Numbers on the highest bar and on the last one; the others are read from the grid."""
    if not any(values):
        return
    highest = max(range(len(values)), key=lambda place: values[place])
    for place in sorted({highest, len(values) - 1}):
        if value := values[place]:
            axes.bold(count(value), axes.x(place), axes.y(value) - 3, 12, "middle")


def _name_colours(axes: "_Axes", kinds: Sequence[str]) -> None:
    """Which colour is which, below the bars.

    Each word begins behind its square, so that its width, which is the reader's font's, is nobody's
    concern.
    """
    for place, kind in enumerate(kinds):
        left = axes.left + place * 62
        square = _box(left, axes.foot + 17, left + 9, axes.foot + 8)
        axes.put(_MARKS, f'<g><path d="{square}" fill="{_TOKENS[kind]}" /></g>')
        axes.say(kind, left + 13, axes.foot + 13)


def _name_days(axes: "_Axes", days: Sequence[str], most: int) -> None:
    """Names under some of the days."""
    for place, side in named(len(days), most):
        axes.below(days[place], place, side)


def _rates(chart: Rates) -> str:
    percents = [None if rate is None else 100 * rate for rate in chart.rates]
    highest = max((rate for rate in percents if rate is not None), default=0.0)
    band = (100 * chart.band[0], 100 * chart.band[1]) if chart.band else None
    drawing, axes = _small(chart, len(percents), max(highest, band[1] if band else 0.0), least=10)
    if band:
        axes.band(band)
    line, begun = "", False
    for place, rate in enumerate(percents):
        if rate is not None:
            line += f"{'L' if begun else 'M'} {_n(axes.x(place))} {_n(axes.y(rate))}  "
        begun = rate is not None
    if line:
        axes.put(_LINES, f"<g>{axes.line(line, 'muted', 1.6)}</g>")
    known = [(place, rate) for place, rate in enumerate(percents) if rate is not None]
    axes.marks(known, _circle(1.6), "muted")
    if known:
        unusual = outside(chart.rates[known[-1][0]], chart.band)
        axes.marks(known[-1:], _circle(3.25), "failed" if unusual else "text")
    axes.dress("Failure rate a night", unit=" %")
    _name_days(axes, chart.days, 3)
    return drawing.done()


def _durations(chart: Durations) -> str:
    longest = max((run.seconds for run in chart.runs), default=0.0)
    size, name = unit(max(longest, chart.band[1] if chart.band else 0.0))
    band = (chart.band[0] / size, chart.band[1] / size) if chart.band else None
    longest = max(longest, chart.band[1]) if chart.band else longest
    drawing, axes = _small(chart, len(chart.runs), longest / size)
    if band:
        axes.band(band)
    if chart.median is not None:
        axes.level(chart.median / size)
    marks = {"Succeeded": (_circle(2.5), "succeeded"), "Failed": (_cross(6.0), "failed")}
    for status in sorted({run.status for run in chart.runs}):
        mark, colour = marks.get(status, (_box(-2.25, 2.25, 2.25, -2.25), "aborted"))
        spots = [
            (place, run.seconds / size)
            for place, run in enumerate(chart.runs)
            if run.status == status
        ]
        axes.marks(spots, mark, colour)
    axes.dress(f"How long its runs took, in {name}")
    last = len(chart.runs) - 1
    _name_days(axes, [chart.first_day, *[""] * (last - 1), chart.last_day][-last - 1 :], 2)
    return drawing.done()


def _small(
    chart: Chart, places: int, highest: float, *, least: float = 4
) -> "tuple[_Drawing, _Axes]":
    """A drawing with axes for a workflow's page."""
    drawing = _Drawing(chart, 388.8, 180)
    across = (0.115 * 388.8, 0.84 * 388.8)
    span = (-0.6, max(places, 1) - 0.4)
    return drawing, drawing.axes(across, (0.13, 0.68), span, highest, least)


def _flow(chart: Flow) -> str:
    width, steps = WIDTHS[chart.width], len(chart.running)
    drawing = _Drawing(chart, width, 446.4)
    across, span = (46.0, width - 56), (0, steps)
    levels = [
        ("Jobs running at the same time", chart.running, "running"),
        ("Jobs waiting at the same time", chart.waiting, "submitted"),
        (f"Jobs submitted, by {chart.each}", chart.submitted, "muted"),
    ]
    for place, (title, numbers, colour) in enumerate(levels):
        highest = max(numbers, default=0)
        axes = drawing.axes(across, (0.785 - 0.243 * place, 0.155), span, highest)
        line = f"M {_n(axes.x(0))} {_n(axes.y(0))}  "
        for at, number in enumerate(numbers):
            y = _n(axes.y(number))
            line += f"L {_n(axes.x(at))} {y}  L {_n(axes.x(at + 1))} {y}  "
        line += f"L {_n(axes.x(steps))} {_n(axes.y(0))}  "
        axes.put(_MARKS, f"<g>{axes.filled(line, colour)}</g>")
        _rule(axes, chart.ticks)
        axes.dress(title)
    axes = _waits(drawing, across, span, chart.waits)
    _rule(axes, chart.ticks)
    for tick, text in chart.ticks:
        axes.below(text, tick, "start")
    return drawing.done()


def _rule(axes: "_Axes", ticks: Sequence[tuple[float, str]]) -> None:
    """Lines where days begin: what follows one is of the day whose name begins there."""
    if ticks:
        lines = (_line(axes.x(at), axes.foot, axes.x(at), axes.top) for at, _ in ticks)
        drawn = "".join(axes.line(line, "band", 0.9) for line in lines)
        axes.put(_GROUND, f"<g>{drawn}</g>")


def _waits(
    drawing: "_Drawing",
    across: tuple[float, float],
    span: tuple[float, float],
    waits: Sequence[tuple[float, float] | None],
) -> "_Axes":
    """A dot at each step's median, and a line up to where 90 of 100 were done with waiting.

    One job that waited for days would press all others to the ground: lines that are much longer
    than most end in an arrow at the top.
    """
    known = [(place + 0.5, *wait) for place, wait in enumerate(waits) if wait]
    highs = sorted(high for _, _, high in known)
    most = min(highs[-1], _FAR * max(highs[len(highs) // 2], 1.0)) if highs else 0.0
    size, name = unit(most)
    axes = drawing.axes(across, (0.056, 0.155), span, most / size, 2)
    lines = [
        _line(axes.x(at), axes.y(min(low, most) / size), axes.x(at), axes.y(min(high, most) / size))
        for at, low, high in known
    ]
    if lines:
        axes.put(_MARKS, f"<g>{''.join(axes.line(line, 'submitted', 1.6) for line in lines)}</g>")
    dots = [(at, low / size) for at, low, _ in known if low <= most]
    axes.marks(dots, _circle(1.3), "text", edge=True)
    beyond = [(at, most / size) for at, _, high in known if high > most]
    axes.marks(beyond, f"M 0 -2.5  {'L -2.5 2.5  L 2.5 2.5  '}z ", "failed")
    axes.dress(f"Wait before the start, in {name}")
    return axes


# --- what all share ----------------------------------------------------------------------------


class _Drawing:
    """A drawing of so many points, and the axes that stand in it."""

    def __init__(self, chart: Chart, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._chart, self._mark = chart, f"c{key(chart)[:6]}"
        self._ids = 0
        self._marks: dict[str, str] = {}
        self._axes: list[_Axes] = []

    def axes(
        self,
        across: tuple[float, float],
        upright: tuple[float, float],
        span: tuple[float, float],
        highest: float,
        least: float = 4,
    ) -> "_Axes":
        """Axes that begin at points from the left, and at a part of the height from below.

        Both with how long they are. They show a `span`, up to the highest of all numbers.
        """
        made = _Axes(self, across, upright, span, max(highest, least))
        self._axes.append(made)
        return made

    def id(self) -> str:
        """One that no other part has."""
        self._ids += 1
        return f"{self._mark}-{self._ids - 1}"

    def named(self, mark: str) -> tuple[str, bool]:
        """The id of a mark, and whether it was never asked for."""
        known = len(self._marks)
        name = self._marks.get(mark) or self._marks.setdefault(mark, self.id())
        return name, len(self._marks) > known

    def done(self) -> str:
        chart, mark = self._chart, self._mark
        drawn = "".join(f"<g>{axes.drawn()}</g>" for axes in self._axes)
        role = "group" if "<a " in drawn else "img"
        clips = "".join(axes.clipped() for axes in self._axes)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {_n(self.width)} {_n(self.height)}" class="chart" role="{role}" '
            f'stroke-linejoin="round" aria-labelledby="{mark}-title {mark}-desc">'
            f'<title id="{mark}-title">{_text(chart.title)}</title>'
            f'<desc id="{mark}-desc">{_text(chart.take_away)}</desc>'
            f"<g>{drawn}</g><defs>{clips}</defs></svg>"
        )


class _Axes:
    """A part of a drawing in which numbers are places."""

    def __init__(
        self,
        drawing: _Drawing,
        across: tuple[float, float],
        upright: tuple[float, float],
        span: tuple[float, float],
        highest: float,
    ) -> None:
        self._drawing, self._highest = drawing, highest
        self.left, self.width = across
        bottom, height = (part * drawing.height for part in upright)
        self.foot = drawing.height - bottom
        self.top = self.foot - height
        self._first, self._span = span[0], span[1] - span[0]
        self._unit = height / (highest * 1.12)
        self._clip = drawing.id()
        self._layers: list[list[str]] = [[] for _ in range(_WORDS + 1)]
        self._title = ""

    def x(self, at: float) -> float:
        return self.left + (at - self._first) / self._span * self.width

    def y(self, number: float) -> float:
        return self.foot - number * self._unit

    def put(self, layer: int, drawn: str) -> None:
        self._layers[layer].append(drawn)

    def drawn(self) -> str:
        parts = "".join(part for layer in self._layers for part in layer)
        return f"{parts}{_words(self._title, self.left, self.top - 12, 13, 'start', 'text', _BOLD)}"

    def clipped(self) -> str:
        """Beyond which nothing is seen."""
        height = self.foot - self.top
        return (
            f'<clipPath id="{self._clip}"><rect x="{_n(self.left)}" y="{_n(self.top)}" '
            f'width="{_n(self.width)}" height="{_n(height)}" /></clipPath>'
        )

    # --- shapes ---

    def box(self, x: float, until: float, low: float | None = None, high: float = 0) -> str:
        """The edges of a box; over the whole height where it says none."""
        foot, top = (self.foot, self.top) if low is None else (self.y(low), self.y(high))
        return _box(self.x(x), foot, self.x(until), top)

    def filled(self, edges: str, colour: str) -> str:
        return f'<path d="{edges}" clip-path="url(#{self._clip})" fill="{_TOKENS[colour]}" />'

    def line(self, way: str, colour: str, width: float, dashes: str = "") -> str:
        return (
            f'<path d="{way}" clip-path="url(#{self._clip})" fill="none" {dashes}'
            f'stroke="{_TOKENS[colour]}" stroke-width="{width}" />'
        )

    def named(self, label: str, link: str, edges: str, colour: str) -> str:
        """A box that says what it is, and leads to it."""
        shape = self.filled(edges, colour)
        if link:
            shape = f'<a aria-label="{_quoted(label)}" href="{_quoted(link)}">{shape}</a>'
        return f"<g><title>{_text(label)}</title>{shape}</g>"

    def band(self, band: tuple[float, float]) -> None:
        """What is usual, in grey."""
        low, high = map(self.y, band)
        edges = _box(self.left, low, self.left + self.width, high)
        self.put(_MARKS, f"<g>{self.filled(edges, 'band')}</g>")

    def level(self, number: float) -> None:
        """A dashed line at what is usual."""
        dashes = 'stroke-dasharray="2.7,2.7" stroke-dashoffset="0" '
        way = self._across(self.y(number))
        self.put(_LINES, f"<g>{self.line(way, 'muted', 0.9, dashes)}</g>")

    def _across(self, y: float) -> str:
        return _line(self.left, y, self.left + self.width, y)

    def marks(
        self, spots: Sequence[tuple[float, float]], mark: str, colour: str, *, edge: bool = False
    ) -> None:
        """A mark at each of some places; with an `edge` it has a line around it."""
        if not spots:
            return
        ink = _TOKENS[colour]
        stroke = f'stroke="{ink}" ' if edge else ""
        name, is_new = self._drawing.named(mark)
        made = f'<defs><path d="{mark}" {stroke}id="{name}" /></defs>' if is_new else ""
        uses = "".join(
            f'<use x="{_n(self.x(at))}" y="{_n(self.y(number))}" fill="{ink}" {stroke}'
            f'href="#{name}" />'
            for at, number in spots
        )
        self.put(_LINES, f'<g>{made}<g clip-path="url(#{self._clip})">{uses}</g></g>')

    # --- words ---

    def dress(self, title: str, *, unit: str = "") -> None:
        """The grid, what its heights are called, and what all of it is."""
        by = step(self._highest)
        heights = [by * place for place in range(int(self._highest * 1.12 // by) + 1)]
        grid = "".join(self.line(self._across(self.y(each)), "band", 0.9) for each in heights)
        self.put(_GRID, f"<g>{grid}</g>")
        foot = f'<path d="{self._across(self.foot)}" fill="none" stroke="{_TOKENS["line"]}"'
        self.put(_FRAME, f'<g>{foot} stroke-width="0.8" /></g>')
        for each in heights:
            text, y = count(each) + unit, self.y(each)
            self._say(text, self.left - _APART, y + _above(text, 11) / 2, "end")
        self._title = title

    def say(self, text: str, x: float, y: float) -> None:
        """Words that begin there, their middle at a height."""
        self._say(text, x, y + (_above(text, 11) - _BELOW * 11) / 2, "start")

    def below(self, text: str, at: float, side: str) -> None:
        """What a place is called, below the axes."""
        if text:
            self._say(text, self.x(at), self.foot + _APART + _above(text, 11), side)

    def _say(self, text: str, x: float, y: float, side: str) -> None:
        self.put(_WORDS, _words(text, x, y, 11, side, "muted"))

    def bold(self, text: str, x: float, y: float, size: int, side: str) -> None:
        self.put(_WORDS, _words(text, x, y, size, side, "text", _BOLD))

    def turned(self, text: str, x: float, y: float) -> None:
        """Words that go upwards, around a place."""
        right, down = _TURNED
        place = f"translate({_n(x + right)} {_n(y + down)}) rotate(-90)"
        words = f'<text transform="{place}" font-size="10px" fill="{_TOKENS["muted"]}">'
        self.put(_WORDS, f"<g>{words}{_text(text)}</text></g>")


def _words(
    text: str, x: float, y: float, size: int, side: str, colour: str, weight: str = ""
) -> str:
    return (
        f'<g><text x="{_n(x)}" y="{_n(y)}" {weight}font-size="{size}px" '
        f'text-anchor="{side}" fill="{_TOKENS[colour]}">{_text(text)}</text></g>'
    )


def _above(text: str, size: float) -> float:
    """How far words reach above their line."""
    return size * (_ABOVE if _HIGH.isdisjoint(text) else _HIGHER)


def _line(x: float, y: float, to_x: float, to_y: float) -> str:
    return f"M {_n(x)} {_n(y)}  L {_n(to_x)} {_n(to_y)}  "


def _box(left: float, foot: float, right: float, top: float) -> str:
    x, to_x, y, to_y = _n(left), _n(right), _n(foot), _n(top)
    return f"M {x} {y}  L {to_x} {y}  L {to_x} {to_y}  L {x} {to_y}  z "


def _circle(radius: float) -> str:
    """A circle around nothing, of eight curves, from its foot on."""
    half = radius * sqrt(0.5)
    lean, less = radius * _LEAN, half * _LEAN
    quarter = [
        *((lean, radius), (half - less, half + less), (half, half)),
        *((half + less, half - less), (radius, lean), (radius, 0.0)),
    ]
    points: list[tuple[float, float]] = []
    for _ in range(4):
        points += quarter
        quarter = [(y, -x) for x, y in quarter]
    curves = (points[at : at + 3] for at in range(0, len(points), 3))
    return f"M 0 {_n(radius)}  {''.join(map(_curve, curves))}z "


def _curve(points: Sequence[tuple[float, float]]) -> str:
    return f"C {' '.join(f'{_n(x)} {_n(y)}' for x, y in points)}  "


def _cross(size: float) -> str:
    """A fat cross around nothing."""
    far, near = _n(size / 2), _n(size / 4)
    return (
        f"M -{near} {far}  L 0 {near}  L {near} {far}  L {far} {near}  L {near} 0  "
        f"L {far} -{near}  L {near} -{far}  L 0 -{near}  L -{near} -{far}  L -{far} -{near}  "
        f"L -{near} 0  L -{far} {near}  z "
    )


@lru_cache(maxsize=4096)
def _n(number: float) -> str:
    """A place, to a hundredth of a point: one of a millionth is none."""
    # Adding zero turns -0.0 into 0.0.
    return f"{round(float(f'{number:f}'), 2) + 0.0:g}"


def _text(text: str) -> str:
    """Words inside of an element, on one line."""
    plain = " ".join(part.strip() for part in text.split("\n")) if "\n" in text else text
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(text: str) -> str:
    """Words of an attribute."""
    return _text(text).replace('"', "&quot;")
