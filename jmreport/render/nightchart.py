"""The chart of a night's own page: what ended in each of the last nights, for a template to draw.

Two panels, each on its own scale: failed and aborted jobs above, succeeded ones below, as on the
overview. That one is drawn by a library, in a tenth of a second; a site that is made again has a
page for each of its nights, so theirs are plain bars that cost nothing.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from jmreport.render import words
from jmreport.render.lastnights import day_words, ended, unreported
from jmreport.report.counts import Day

#: Pixels of the drawing's own: left of the bars, above and below each panel's, and their height.
_LEFT, _RIGHT, _HEAD, _HEIGHT, _FOOT = 32, 8, 44, 76, 18
#: A bar's share of its night's width.
_BAR = 0.72
#: Width, and nights that are named, of the drawing for wide and for narrow pages.
_WIDE, _NARROW = (835, 6), (330, 3)


class Bar(Struct, frozen=True, kw_only=True):
    """A part of a bar. `kind` is a status' key, or "band" for a night without a report."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str


class Text(Struct, frozen=True, kw_only=True):
    """Words in the drawing; `anchor` is SVG's: start, middle or end. `turned` ones go upwards."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    bold: bool = False
    turned: bool = False


class NightChart(Struct, frozen=True, kw_only=True):
    """A drawing. `lines` are the panels' grounds, which run from `left` to `right`."""

    width: int
    height: int
    left: int
    right: int
    lines: tuple[float, ...]
    bars: tuple[Bar, ...]
    texts: tuple[Text, ...]


def charts(days: Sequence[Day]) -> tuple[NightChart, ...]:
    """The drawing for wide and for narrow pages; none where nothing ended."""
    if not any(ended(day) for day in days):
        return ()
    return tuple(_chart(days, width, named) for width, named in (_WIDE, _NARROW))


def _chart(days: Sequence[Day], width: int, named: int) -> NightChart:
    step = (width - _LEFT - _RIGHT) / len(days)
    above = _Panel(0, step, [(day.failed, day.aborted) for day in days], ("failed", "aborted"))
    below = _Panel(above.end, step, [(day.succeeded,) for day in days], ("succeeded",))
    silent = [place for place, day in enumerate(days) if unreported(day)]
    texts = [
        *above.texts("Failed and aborted jobs a night"),
        *below.texts("Succeeded jobs a night"),
        *above.names(),
        *(above.silence(place) for place in silent),
        *(_name(days, place, step, width) for place in _named(len(days), named)),
    ]
    return NightChart(
        width=width,
        height=below.end + 8,
        left=_LEFT,
        right=width - _RIGHT,
        lines=(above.ground, below.ground),
        bars=(
            *(panel.gap(place, days[place]) for panel in (above, below) for place in silent),
            *above.bars(days),
            *below.bars(days),
            *above.squares(),
        ),
        texts=tuple(texts),
    )


def _named(number: int, most: int) -> Iterator[int]:
    """Places of nights that are named: the last, and others evenly before it."""
    every = max(-(-number // most), 1)
    yield from range(number - 1, -1, -every)


def _name(days: Sequence[Day], place: int, step: float, width: int) -> Text:
    """A day below its bar; the last one ends with the drawing, or it would be cut."""
    y, text = 2 * (_HEAD + _HEIGHT + _FOOT), day_words(days[place].day)
    if place == len(days) - 1:
        return Text(x=width - _RIGHT, y=y, text=text, anchor="end")
    return Text(x=_middle(place, step), y=y, text=text)


def _middle(place: int, step: float) -> float:
    return round(_LEFT + (place + 0.5) * step, 1)


class _Panel:
    """Bars of one or of several statuses upon one another, from `top` on."""

    def __init__(
        self, top: int, step: float, counts: Sequence[tuple[int, ...]], kinds: Sequence[str]
    ) -> None:
        self._top, self._step, self._counts, self._kinds = top, step, counts, kinds
        self._sums = [sum(each) for each in counts]
        self._most = max(self._sums)
        self.ground = top + _HEAD + _HEIGHT
        self.end = self.ground + _FOOT

    def bars(self, days: Sequence[Day]) -> Iterator[Bar]:
        for place, (day, counts) in enumerate(zip(days, self._counts, strict=True)):
            y = float(self.ground)
            for kind, count in zip(self._kinds, counts, strict=True):
                if not count:
                    continue
                # One of very many is still to be seen.
                height = max(round(_HEIGHT * count / self._most, 1), 1.0)
                y = round(y - height, 1)
                title = f"{day_words(day.day)}: {words.number(count)} {kind}"
                yield self._bar(kind, place, y, height, title)

    def squares(self) -> Iterator[Bar]:
        """Which colour is which: a square of each, below the bars."""
        for x, kind in self._named():
            yield Bar(kind=kind, x=x, y=self.ground + 8, width=9, height=9, title=kind)

    def names(self) -> Iterator[Text]:
        """The words behind them."""
        for x, kind in self._named():
            yield Text(x=x + 13, y=self.ground + 16, text=kind, anchor="start")

    def _named(self) -> Iterator[tuple[float, str]]:
        some = [kind for at, kind in enumerate(self._kinds) if any(of[at] for of in self._counts)]
        yield from ((_LEFT + 62.0 * place, kind) for place, kind in enumerate(some))

    def gap(self, place: int, day: Day) -> Bar:
        """Where a night brought no report: a bar that is not there would look like a quiet one."""
        said = f"{day_words(day.day)}: no report"
        return self._bar("band", place, self.ground - _HEIGHT, _HEIGHT, said)

    def silence(self, place: int) -> Text:
        """The words for it."""
        y = self.ground - _HEIGHT / 2
        return Text(x=_middle(place, self._step) + 4, y=y, text="no report", turned=True)

    def _bar(self, kind: str, place: int, y: float, height: float, title: str) -> Bar:
        width = round(self._step * _BAR, 1)
        x = round(_LEFT + place * self._step + self._step * (1 - _BAR) / 2, 1)
        return Bar(kind=kind, x=x, y=y, width=width, height=height, title=title)

    def texts(self, heading: str) -> Iterator[Text]:
        """The heading, the scale, and the numbers of the highest bar and of the last night."""
        yield Text(x=_LEFT, y=self._top + 18, text=heading, anchor="start", bold=True)
        yield Text(x=_LEFT - 8, y=self.ground, text="0", anchor="end")
        if not self._most:
            return
        last = len(self._sums) - 1
        for place in dict.fromkeys((self._sums.index(self._most), last)):
            if count := self._sums[place]:
                height = max(_HEIGHT * count / self._most, 1.0)
                yield Text(
                    x=_middle(place, self._step),
                    y=round(self.ground - height - 4, 1),
                    text=words.number(count),
                    bold=True,
                )
