"""What a chart is: its kinds as plain data, the digest that tells two apart, and their colours.

    Days, Rates, Durations, Flow  ->  drawings.Charts.svg(...)  ->  Markup  kept, for pages
    Days                          ->  plotting.picture(...)     ->  PNG     for mails

Nothing that a server wrote is drawn: only days, numbers and addresses that jmreport made. The
small charts that templates draw by themselves are in `sparklines`.
"""

import hashlib
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

#: Raised when a drawing changes though its data does not.
DRAWING = 3

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


class Bar(Struct, frozen=True, kw_only=True):
    """A night's jobs, by the day on which it ended.

    `label` is how the day is written; the links lead to lists, "" is none. `unreported` says that
    it has no jobs since its run brought no report.
    """

    day: str
    label: str
    succeeded: int = 0
    failed: int = 0
    aborted: int = 0
    failed_link: str = ""
    aborted_link: str = ""
    succeeded_link: str = ""
    unreported: bool = False
    #: Whether failed and aborted jobs were asked for in it: else it says nothing of what is usual.
    told: bool = True


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
