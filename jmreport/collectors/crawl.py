"""Many jobs at a time: details in a bounded pool, sub-workflows as they are found.

The list is read page by page while details are fetched, and no more are under way than the pool
takes, so a slow store slows the fetching and never fills the memory.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Condition
from typing import Any, Protocol

from msgspec import Struct

from jmreport.client import Client
from jmreport.collectors import metadata
from jmreport.errors import JmreportError
from jmreport.gaps import Gap
from jmreport.records import Record
from jmreport.settings import Collect
from jmreport.sizes import counted


class Wanted(Struct, frozen=True, kw_only=True):
    """A job to be read: its list row where a list named it, its parent where a job did."""

    id: str
    row: Any = None
    parent: str | None = None
    root: str
    depth: int = 0


class Known(Protocol):
    """What the store has: the children of a job that need not be read again, else None."""

    def __call__(self, job: str, row: Any) -> tuple[str, ...] | None: ...


class Crawl:
    """Reads jobs and what they name. After `records()`: `unchanged`, `sub_workflows`, `gaps`.

    `limits` say how deep sub-workflows are followed, how many of one listed job, and how much is
    read of each.
    """

    def __init__(
        self,
        client: Client,
        *,
        known: Known,
        seen: Callable[[str], None],
        concurrency: int,
        limits: Collect,
    ) -> None:
        self.unchanged = 0
        self.sub_workflows = 0
        self.gaps: list[Gap] = []
        self._client = client
        self._known = known
        self._seen = seen
        self._concurrency = concurrency
        self._limits = limits
        self._met: set[str] = set()
        self._cut: set[str] = set()
        self._of_root: dict[str, int] = {}
        self._waiting: deque[Wanted] = deque()
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="jmreport-fetch")
        self._under_way: dict[Future[Record], Wanted] = {}
        #: What is being asked for, and what came and was not handed on; guarded by `_turn`.
        self._turn = Condition()
        self._busy: set[str] = set()
        self._answers: dict[str, Record] = {}

    def records(
        self, jobs: Iterable[Wanted], others: Callable[[], Iterable[Wanted]] = tuple
    ) -> Iterator[Record]:
        """A record for each job that may have changed, and for each new sub-workflow.

        When all of them have come, `others` says which jobs are lacking, until none is.
        """
        source = iter(jobs)
        stopped = False
        try:
            while True:
                while len(self._under_way) < 2 * self._concurrency and (job := self._next(source)):
                    self._under_way[self._pool.submit(self._fetch, job)] = job
                if not self._under_way:
                    source = iter(others())
                    if (job := self._next(source)) is None:
                        return
                    self._under_way[self._pool.submit(self._fetch, job)] = job
                done, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    record = future.result()
                    self._follow(self._under_way[future], metadata.children_of(record.detail))
                    yield record
                    # Only now, since whoever stops a run while it is kept is given it once more.
                    del self._under_way[future]
                    self._answers.pop(record.id, None)
        except (KeyboardInterrupt, JmreportError):
            stopped = True  # `rest` gives what is under way
            raise
        except BaseException:
            # Requests under way end at once, so nobody who stops a run waits for their answers.
            self._client.close()
            raise
        finally:
            self._pool.shutdown(wait=not stopped, cancel_futures=True)

    def rest(self, seconds: float) -> Iterator[Record]:
        """What was under way when `records` was stopped, as far as it comes within `seconds`.

        By Ctrl-C, or by a list that cannot be read on. Nothing more is asked for, but what belongs
        to the jobs that were begun.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + seconds
        while True:
            with self._turn:
                while not (self._answers or until <= time.monotonic() or not self._asking()):
                    self._turn.wait(min(1.0, max(0.0, until - time.monotonic())))
                ready, self._answers = self._answers, {}
            if not ready:
                return
            yield from ready.values()

    def has_met(self, job: str) -> bool:
        """Whether a job was named, be it that it need not be read."""
        return job in self._met

    def left_out_below(self, job: str) -> bool:
        """Whether a limit kept sub-workflows of a job from being read, as a gap says."""
        return job in self._cut

    def _asking(self) -> bool:
        """Whether an answer may still come. Also one that was asked for while the stop came in."""
        begun = (future for future in self._under_way if not future.cancelled())
        return bool(self._busy) or any(not future.done() for future in begun)

    def _next(self, source: Iterator[Wanted]) -> Wanted | None:
        """The next job that must be read; those that the store knows are passed over."""
        while True:
            job = self._waiting.popleft() if self._waiting else next(source, None)
            if job is None:
                return None
            if job.id in self._met:
                continue
            self._met.add(job.id)
            children = self._known(job.id, job.row)
            if children is None:
                return job
            self._seen(job.id)
            if job.depth == 0:
                self.unchanged += 1
            self._follow(job, children)

    def _fetch(self, job: Wanted) -> Record:
        """Read a job, and note its answer: a stop may come before anybody waits for it."""
        with self._turn:
            self._busy.add(job.id)
        try:
            record = metadata.read(
                self._client, job.id, row=job.row, parent=job.parent, limits=self._limits
            )
            with self._turn:
                self._answers[job.id] = record
            return record
        finally:
            with self._turn:
                self._busy.discard(job.id)
                self._turn.notify_all()

    def _follow(self, job: Wanted, children: tuple[str, ...]) -> None:
        """Queue a job's sub-workflows, within the limits."""
        for position, child in enumerate(children):
            if child in self._met:
                continue
            if why := self._refusal(job):
                left = len(children) - position
                self.gaps.append(Gap(what=counted(left, "sub-workflow"), why=why, job=job.id))
                self._cut.add(job.id)
                return
            self._of_root[job.root] = self._of_root.get(job.root, 0) + 1
            self.sub_workflows += 1
            self._waiting.append(
                Wanted(id=child, parent=job.id, root=job.root, depth=job.depth + 1)
            )

    def _refusal(self, job: Wanted) -> str:
        if job.depth >= self._limits.max_depth:
            levels = counted(self._limits.max_depth, "level")
            return f"more than {levels} deep; [collect] max_depth is the limit"
        if self._of_root.get(job.root, 0) >= self._limits.max_sub_workflows:
            return (
                f"more than {self._limits.max_sub_workflows} below one job; "
                "[collect] max_sub_workflows is the limit"
            )
        return ""
