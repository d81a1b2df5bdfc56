"""Who makes the pages: this process, or a few that are forked from it.

Work is given in batches and comes back in the order in which it was given. Only so much is under
way at a time, which is what bounds memory.
"""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Protocol

import msgspec

from jmreport.render import jobpage
from jmreport.render.jobcells import Lent
from jmreport.render.making import Done, JobTask, Maker, give_back
from jmreport.render.page import Page

#: Jobs that a worker is given at a time: few at first, so that a small site has work for all.
BATCH = 200
#: Jobs that it is given once there were `FIRST` for each worker. A file of records is unpacked
#: from its beginning for each batch of it: half a file at a time half as often as a fifth.
LARGE_BATCH, FIRST = 500, 500
#: Processes at most, whatever was asked for: more only wait for one another.
MOST_WORKERS = 64
#: Batches under way for each worker: what bounds memory.
AHEAD = 3
#: Objects that there are more of, when the collector looks for rings among them: a page makes and
#: lets go of thousands, and no rings.
_NEW_OBJECTS = 10_000
#: PR_SET_PDEATHSIG of prctl(2).
_PARENT_DEATH_SIGNAL = 1

#: The maker of the process that was forked; set just before, so that nothing has to be pickled.
_forked: list[Maker] = []
#: Jobs on their way to a worker, and what came of them, in a tenth of the time that pickle takes.
_packed = msgspec.msgpack.Encoder().encode
_tasks = msgspec.msgpack.Decoder(list[JobTask]).decode
_done = msgspec.msgpack.Decoder(list[Done]).decode
_lent = msgspec.msgpack.Decoder(dict[str, Lent]).decode


def _jobs_in_fork(shard: str, tasks: bytes) -> bytes:
    return _packed(_forked[-1].jobs(shard, _tasks(tasks)))


def _others_in_fork(pages: Sequence[int | Page], lent: bytes) -> bytes:
    return _packed(_forked[-1].others(pages, _lent(lent)))


def die_with(parent: int) -> None:
    """Ends a worker as soon as the run that forked it is killed.

    One that lived on would write its pages over those of the next run. Linux does it by a signal;
    elsewhere nothing does, and a worker ends with its batch.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class JobWorkers(Protocol):
    """Whoever makes the pages of jobs."""

    @property
    def batch(self) -> int:
        """How many jobs they are given at a time."""

    def jobs(self, shard: str, tasks: Sequence[JobTask]) -> Iterator[Done]:
        """Give the pages of some jobs to be made, whose records lie in one shard."""

    def rest(self) -> Iterator[Done]:
        """What is still under way."""


class Workers:
    """A few forked processes, or none: results come in the order in which work was given."""

    def __init__(self, maker: Maker, pool: Executor | None, workers: int) -> None:
        self._maker, self._pool = maker, pool
        self._given = 0
        self._most, self._first = workers * AHEAD, workers * FIRST
        self._waiting: list[Future[bytes]] = []

    @property
    def batch(self) -> int:
        """How many jobs they are given at a time."""
        return BATCH if self._given < self._first else LARGE_BATCH

    def jobs(self, shard: str, tasks: Sequence[JobTask]) -> Iterator[Done]:
        first = not self._given
        self._given += len(tasks)
        if self._pool is None:
            yield from self._maker.jobs(shard, tasks)
            return
        if first:  # the pool forks its processes now, and each of them would load them by itself
            self._maker.theme.load(jobpage.TEMPLATES)
        yield from self._give(self._pool.submit(_jobs_in_fork, shard, _packed(tasks)))

    def others(self, places: Sequence[int], lent: Mapping[str, Lent]) -> Iterator[Done]:
        """Give some of the planned pages to be made, which show the jobs that are lent."""
        if self._pool is None:
            yield from self._maker.others(places, lent)
        else:
            pages = [self._maker.sendable(place) for place in places]
            yield from self._give(self._pool.submit(_others_in_fork, pages, _packed(lent)))

    def _give(self, work: "Future[bytes]") -> Iterator[Done]:
        self._waiting.append(work)
        while len(self._waiting) > self._most:
            yield from _done(self._waiting.pop(0).result())

    def rest(self) -> Iterator[Done]:
        """What is still under way."""
        while self._waiting:
            yield from _done(self._waiting.pop(0).result())


@contextmanager
def working(maker: Maker, workers: int) -> Iterator[Workers]:
    if workers == 1:
        with left_alone():
            yield Workers(maker, None, 1)
        return
    _forked.append(maker)
    gc.collect()
    give_back()
    processes = multiprocessing.get_context("fork")
    maker.turn = processes.Lock()
    pool = ProcessPoolExecutor(
        workers,
        mp_context=processes,
        initializer=die_with,
        initargs=(os.getpid(),),
    )
    try:
        with left_alone():  # so the children share its memory
            yield Workers(maker, pool, workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        maker.turn = nullcontext()
        _forked.pop()


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


def batched(tasks: Iterable[JobTask], workers: JobWorkers) -> Iterator[Done]:
    """Makes jobs' pages a batch at a time, each batch of one shard."""
    batch: list[JobTask] = []
    place = ("", "")
    for task in tasks:
        entry = task.context.entry
        here = (entry.run, entry.shard)
        if batch and (here != place or len(batch) >= workers.batch):
            yield from workers.jobs(place[1], batch)
            batch = []
        place = here
        batch.append(task)
    if batch:
        yield from workers.jobs(place[1], batch)
    yield from workers.rest()
