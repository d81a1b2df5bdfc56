"""Drawings for the sites and mails of all tests, made once a session.

    <base temp>/drawings/e680c2….svg      a chart as pages hold it
    <base temp>/drawings/e680c2…-dark.png the same as a mail has it

Four fifths of making a small site is drawing, and most tests make the same few. Whoever asks
`plotting` itself has it drawn there and then, as the tests of drawing do, and where a test puts
something else into `plotting`, pages and mails get that.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from jmreport.render import drawings, mails, plotting
from jmreport.render.charts import Chart, key

_DRAW, _PICTURE = plotting.draw, plotting.picture


@contextmanager
def drawn_once(folder: Path) -> Iterator[None]:
    """While it lasts, pages and mails of this process and its forks share what was drawn."""
    folder.mkdir(exist_ok=True)

    def draw(chart: Chart) -> str:
        if plotting.draw is not _DRAW:
            return plotting.draw(chart)
        return _kept(folder / f"{key(chart)}.svg", lambda: _DRAW(chart).encode()).decode()

    def picture(chart: Chart, *, dark: bool) -> bytes:
        if plotting.picture is not _PICTURE:
            return plotting.picture(chart, dark=dark)
        ground = "dark" if dark else "light"
        return _kept(folder / f"{key(chart)}-{ground}.png", lambda: _PICTURE(chart, dark=dark))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawings, "plotting", SimpleNamespace(draw=draw))
        patch.setattr(mails, "plotting", SimpleNamespace(picture=picture))
        yield


def _kept(place: Path, make: Callable[[], bytes]) -> bytes:
    try:
        return place.read_bytes()
    except FileNotFoundError:
        made = make()
    # Another worker, or a fork of this one, may draw the same at once.
    part = place.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(made)
    part.replace(place)
    return made
