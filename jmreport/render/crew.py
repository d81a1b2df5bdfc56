"""Processes that are forked while there is little to copy, and make pages later.

To look at an object is to write to its count of references, and a new one fills a hole among those
that are there. A process that is forked from one which holds a report comes to copy the memory of
it, and so does the one that it was forked from: of 100,000 jobs each had as much again. So a crew
is forked before jobs are read, and what it makes pages with comes with each piece of its work.
"""

import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Self

from msgspec import Struct

from jmreport.render import jobpage
from jmreport.render.making import Maker, give_back
from jmreport.render.theme import Theme

#: Processes at most, whatever was asked for: more only wait for one another.
MOST_WORKERS = 64
#: Objects that there are more of, when the collector looks for rings among them: a page makes and
#: lets go of thousands, and no rings.
_NEW_OBJECTS = 10_000
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: PR_SET_PDEATHSIG of prctl(2).
_PARENT_DEATH_SIGNAL = 1


class Kit(Struct, frozen=True):
    """What a crew makes pages with: a maker, packed, and which of those that it was handed."""

    number: int
    packed: bytes


class _Member(Struct):
    """What a process of a crew has from its beginning, and the maker that it was handed last."""

    theme: Theme
    turn: AbstractContextManager[object]
    kit: int = 0
    maker: Maker | None = None


#: This process as one of a crew; nobody's in a process that is none.
_member: list[_Member] = []


def _begin(parent: int, member: _Member) -> None:
    _die_with(parent)
    # By this a pool ends the rest of itself where one of them was killed.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
    _member[:] = [member]


def _die_with(parent: int) -> None:
    """Ends a worker as soon as the run that forked it is killed.

    One that lived on would write its pages over those of the next run. Linux does it by a signal;
    elsewhere nothing does, and a worker ends with its batch.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def maker_of(kit: Kit) -> Maker:
    """In a process of a crew: the maker that it is handed."""
    mine = _member[0]
    if mine.maker is None or mine.kit != kit.number:
        if mine.maker is not None:
            mine.maker.files.close()
        give_back()
        maker: Maker = pickle.loads(kit.packed)  # noqa: S301 (from the run that forked this)
        maker.theme, maker.turn = mine.theme, mine.turn
        mine.kit, mine.maker = kit.number, maker
    return mine.maker


class Crew:
    """A few processes that can make the pages of a site, whatever its jobs will be.

    They are forked when they are asked for, or have work to do; 1 worker is this process.
    """

    def __init__(self, theme: Theme, workers: int) -> None:
        self.theme, self.workers = theme, min(workers or os.cpu_count() or 1, MOST_WORKERS)
        self._pool: ProcessPoolExecutor | None = None
        self._kits = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def fork(self) -> Executor | None:
        """Who takes their work; they are forked unless they were.

        None where a system has no room for them: this process makes the pages then.
        """
        if self._pool is None and self.workers > 1:
            self.theme.load(jobpage.TEMPLATES)  # each of them would load them by itself
            gc.collect()
            give_back()
            with left_alone(), _unheard():  # which they inherit
                self._pool = _forked(self.theme, self.workers)
        return self._pool

    def hand(self, maker: Maker) -> Kit:
        """A maker as it is given to them with each piece of work."""
        self._kits += 1
        return Kit(self._kits, pickle.dumps(maker))

    def end(self) -> None:
        """Lets them go, and what they were given; whoever has work for them forks others."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _forked(theme: Theme, workers: int) -> ProcessPoolExecutor | None:
    """So many processes; None where there is no room for all of them."""
    processes = multiprocessing.get_context("fork")
    there = {each.pid for each in multiprocessing.active_children()}
    try:
        pool = ProcessPoolExecutor(
            workers,
            mp_context=processes,
            initializer=_begin,
            initargs=(os.getpid(), _Member(theme, processes.Lock())),
        )
        pool.submit(os.getpid).result()
    except OSError:
        # Those that did come would wait for work as long as this process lives, and it for them.
        for each in multiprocessing.active_children():
            if each.pid not in there:
                each.kill()
                each.join()
        return None
    return pool


@contextmanager
def left_alone() -> Iterator[None]:
    """The collector looks at nothing that is there now: it would walk through the whole report.

    And it comes more seldom.
    """
    often = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *often[1:])
    try:
        yield
    finally:
        gc.set_threshold(*often)
        gc.unfreeze()


@contextmanager
def _unheard() -> Iterator[None]:
    """Whoever tells a run to stop is heard when this is over.

    A terminal tells all of its processes. Those that are forked meanwhile never hear it: the one
    that reads and plans ends them then.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
