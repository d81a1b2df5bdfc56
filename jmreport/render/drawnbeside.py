"""Drawings that a process of its own makes while others make pages.

What draws takes a third of a second to load and 45 MB, and draws on one core. Left to the end, all
other cores would wait for it; so it is forked as soon as it is known what is to be drawn, and ends
with the last drawing. It changes nothing but when a drawing is there: one that it could not make is
made, or its error told, by whoever makes the page.
"""

import gc
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection

from jmreport.render.charts import Chart
from jmreport.render.drawings import Charts
from jmreport.render.workers import die_with

#: Where the library that draws keeps what it knows of this machine's fonts.
_FOLDER = "MPLCONFIGDIR"
#: Seconds between looks for a drawing that is waited for.
_MOMENT = 0.005


@contextmanager
def drawn_beside(charts: Charts, figures: Sequence[Chart]) -> Iterator["Beside"]:
    """Has these drawn meanwhile, if there are any."""
    beside = Beside(charts, figures)
    try:
        yield beside
        beside.wait()
    finally:
        beside.stop()


class Beside:
    """The process that draws."""

    def __init__(self, charts: Charts, figures: Sequence[Chart]) -> None:
        self._charts = charts
        self._process = multiprocessing.get_context("fork").Process(
            target=_draw, args=(charts, figures, os.getpid()), daemon=True
        )
        self._runs = False
        if figures:
            # Where there is no room for one more, they are drawn where they are shown.
            with suppress(OSError):
                self._process.start()
                self._runs = True

    @property
    def at_work(self) -> bool:
        """Whether it has anything to draw, or had."""
        return self._runs

    def wait_for(self, keys: Sequence[str]) -> None:
        """Returns when it has drawn these, or can draw no more."""
        # Not by asking whether it is alive: that is not told where a parent ignores its children.
        while self._charts.lacking(keys) and not connection.wait([self._process.sentinel], _MOMENT):
            pass

    def wait(self) -> None:
        """Returns when it has drawn all, or can draw no more."""
        if self._runs:
            self._process.join()

    def stop(self) -> None:
        """Ends it at once: what it has not drawn nobody waits for."""
        if self._runs:
            self._process.kill()
            self._process.join()


def _draw(charts: Charts, figures: Sequence[Chart], parent: int) -> None:
    die_with(parent)
    # What was there before is left alone by the collector, and so its memory stays shared.
    gc.freeze()
    # Why a drawing fails is told by the process that asks for it next.
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        sys.stderr = nowhere
        os.dup2(nowhere.fileno(), 2)
        own = os.environ.get(_FOLDER)
        try:
            for figure in figures:
                charts.svg(figure)
        finally:
            # Where it may not write at home the library makes a folder for a while, which it would
            # take away itself at an end that a forked process does not have.
            if (made := os.environ.get(_FOLDER)) and made != own:
                shutil.rmtree(made, ignore_errors=True)
