"""Many jobs at a time: details in a bounded pool, sub-workflows as they are found.

The list is read page by page while details are fetched, and no more are under way than the pool
takes, so a slow store slows the fetching and never fills the memory.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Protocol

from msgspec import Struct

from jmreport.client import Client
from jmreport.collectors import metadata
from jmreport.records import Gap, Record


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


class Limits(Struct, frozen=True, kw_only=True):
    """How deep sub-workflows are followed, and how many of one listed job."""

    depth: int
    sub_workflows: int


class Crawl:
    """Reads jobs and what they name. After `records()`: `unchanged`, `sub_workflows`, `gaps`."""

    def __init__(
        self,
        client: Client,
        *,
        known: Known,
        seen: Callable[[str], None],
        concurrency: int,
        limits: Limits,
        depth: metadata.Depth,
    ) -> None:
        self.unchanged = 0
        self.sub_workflows = 0
        self.gaps: list[Gap] = []
        self._client = client
        self._known = known
        self._seen = seen
        self._concurrency = concurrency
        self._limits = limits
        self._depth = depth
        self._met: set[str] = set()
        self._of_root: dict[str, int] = {}
        self._waiting: deque[Wanted] = deque()

    def records(self, jobs: Iterable[Wanted]) -> Iterator[Record]:
        """A record for each job that may have changed, and for each new sub-workflow."""
        source = iter(jobs)
        done: SimpleQueue[tuple[Wanted, Record | BaseException]] = SimpleQueue()
        under_way = 0
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="jmreport-fetch")
        try:
            while True:
                while under_way < 2 * self._concurrency and (job := self._next(source)):
                    pool.submit(self._fetch, job, done)
                    under_way += 1
                if not under_way:
                    return
                job, outcome = done.get()
                under_way -= 1
                if isinstance(outcome, BaseException):
                    raise outcome
                self._follow(job, metadata.children_of(outcome.detail))
                yield outcome
        except BaseException:
            # Requests under way end at once, so nobody who stops a run waits for their answers.
            self._client.close()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

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

    def _fetch(
        self, job: Wanted, done: "SimpleQueue[tuple[Wanted, Record | BaseException]]"
    ) -> None:
        try:
            outcome: Record | BaseException = metadata.read(
                self._client, job.id, row=job.row, parent=job.parent, depth=self._depth
            )
        except BaseException as error:  # noqa: BLE001 - raised again where the records are read
            outcome = error
        done.put((job, outcome))

    def _follow(self, job: Wanted, children: tuple[str, ...]) -> None:
        """Queue a job's sub-workflows, within the limits."""
        for position, child in enumerate(children):
            if child in self._met:
                continue
            if why := self._refusal(job):
                left = len(children) - position
                self.gaps.append(Gap(what=f"{left} sub-workflows", why=why, job=job.id))
                return
            self._of_root[job.root] = self._of_root.get(job.root, 0) + 1
            self.sub_workflows += 1
            self._waiting.append(
                Wanted(id=child, parent=job.id, root=job.root, depth=job.depth + 1)
            )

    def _refusal(self, job: Wanted) -> str:
        if job.depth >= self._limits.depth:
            return f"more than {self._limits.depth} levels deep; [collect] max_depth is the limit"
        if self._of_root.get(job.root, 0) >= self._limits.sub_workflows:
            return (
                f"more than {self._limits.sub_workflows} below one job; "
                "[collect] max_sub_workflows is the limit"
            )
        return ""
