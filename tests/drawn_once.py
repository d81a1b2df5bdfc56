"""Pictures for the mails of all tests, made once a session.

    <base temp>/drawings/e680c2…-dark.png a chart as a mail has it

Most of making a mail is its pictures, and most tests make the same few. Whoever asks `plotting`
itself has it drawn there and then, as the tests of drawing do, and where a test puts something else
into `plotting`, mails get that.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from jmreport.render import mails, plotting
from jmreport.render.charts import Days, key

_PICTURE = plotting.picture


@contextmanager
def drawn_once(folder: Path) -> Iterator[None]:
    """While it lasts, mails of this process and its forks share what was drawn."""
    folder.mkdir(exist_ok=True)

    def picture(chart: Days, *, dark: bool) -> bytes:
        if plotting.picture is not _PICTURE:
            return plotting.picture(chart, dark=dark)
        ground = "dark" if dark else "light"
        return _kept(folder / f"{key(chart)}-{ground}.png", lambda: _PICTURE(chart, dark=dark))

    with pytest.MonkeyPatch.context() as patch:
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
