"""Who makes the pages: this process, or a crew of a few.

Work is given in batches and comes back in the order in which it was given. Only so much is under
way at a time, which is what bounds memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Protocol

import msgspec

from jmreport.render.crew import Crew, Kit, left_alone, maker_of
from jmreport.render.jobcells import Lent
from jmreport.render.making import Done, JobTask, Maker, give_back
from jmreport.render.page import Page

#: Jobs that a worker is given at a time: few at first, so that a small site has work for all.
BATCH = 200
#: Jobs that it is given once there were `FIRST` for each worker. A file of records is unpacked
#: from its beginning for each batch of it: half a file at a time half as often as a fifth.
LARGE_BATCH, FIRST = 500, 500
#: Batches under way for each worker: what bounds memory.
AHEAD = 3
#: What is handed to nobody.
_NO_KIT = Kit(0, b"")

#: Jobs on their way to a worker, and what came of them, in a tenth of the time that pickle takes.
_packed = msgspec.msgpack.Encoder().encode
_tasks = msgspec.msgpack.Decoder(list[JobTask]).decode
_done = msgspec.msgpack.Decoder(list[Done]).decode
_lent = msgspec.msgpack.Decoder(dict[str, Lent]).decode


def _jobs_of_kit(kit: Kit, shard: str, tasks: bytes) -> bytes:
    return _packed(maker_of(kit).jobs(shard, _tasks(tasks)))


def _others_of_kit(kit: Kit, pages: Sequence[Page], lent: bytes) -> bytes:
    return _packed(maker_of(kit).others(pages, _lent(lent)))


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
    """A crew, or this process: results come in the order in which work was given."""

    def __init__(
        self, maker: Maker, pool: Executor | None = None, *, workers: int = 1, kit: Kit = _NO_KIT
    ) -> None:
        """Those of a pool know nothing but what is in the kit, and sent with their work."""
        self._maker, self._pool, self._kit = maker, pool, kit
        self._given, self.number = 0, workers
        self._most, self._first = workers * AHEAD, workers * FIRST
        self._waiting: list[Future[bytes]] = []

    @property
    def are_apart(self) -> bool:
        """Whether they are other processes, which have no report."""
        return self._pool is not None

    @property
    def batch(self) -> int:
        """How many jobs they are given at a time."""
        return BATCH if self._given < self._first else LARGE_BATCH

    def jobs(self, shard: str, tasks: Sequence[JobTask]) -> Iterator[Done]:
        self._given += len(tasks)
        if self._pool is None:
            yield from self._maker.jobs(shard, tasks)
        else:
            work = self._pool.submit(_jobs_of_kit, self._kit, shard, _packed(tasks))
            yield from self._give(work)

    def others(self, pages: Sequence[Page], lent: Mapping[str, Lent]) -> Iterator[Done]:
        """Give some of the planned pages to be made, which show the jobs that are lent."""
        if self._pool is None:
            yield from self._maker.others(pages, lent)
        else:
            work = self._pool.submit(_others_of_kit, self._kit, pages, _packed(lent))
            yield from self._give(work)

    def _give(self, work: "Future[bytes]") -> Iterator[Done]:
        self._waiting.append(work)
        while len(self._waiting) > self._most:
            yield from _done(self._waiting.pop(0).result())

    def rest(self) -> Iterator[Done]:
        """What is still under way."""
        while self._waiting:
            yield from _done(self._waiting.pop(0).result())


@contextmanager
def working(maker: Maker, crew: Crew | None) -> Iterator[Workers]:
    """Workers for a while: a crew, or this process where there is none or no room for one."""
    pool = crew.fork() if crew else None
    if crew is None or pool is None:
        with left_alone():
            yield Workers(maker)
        return
    give_back()  # what this process took to read and to plan, since others take theirs now
    try:
        with left_alone():
            yield Workers(maker, pool, workers=crew.workers, kit=crew.hand(maker))
    except BaseException:
        crew.end()  # whatever they were given is not worth doing any more
        raise


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
