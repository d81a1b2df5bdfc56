"""Job pages made by the workers of a dask cluster, through dask's own executor.

    dask://10.0.0.5:8786    the scheduler's address

A worker needs jmreport and nothing else: no folder is shared. It is sent records and what their
pages show beside them, and answers with the bytes of the files, which are put in their places
here. So a worker that is killed leaves nothing half done, and its work is given to another. All
other pages are made by this machine: they are made of the report, which is here.
"""

import logging
import re
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from functools import lru_cache
from typing import Any, Self

import msgspec
from msgspec import Struct

from jmreport.errors import JmreportError, UsageError
from jmreport.records import Record
from jmreport.render import addresses, jobpage
from jmreport.render.jobfacts import SiteFacts, site_facts
from jmreport.render.making import Done, JobTask, Maker, base_of
from jmreport.render.theme import Theme
from jmreport.settings import Actions, ReportSettings, Settings, Site
from jmreport.settings_reach import PAGES_OF_JOBS, values

SCHEME = "dask://"
#: Jobs, and bytes of their records, that a worker is sent at a time: pages come back as a whole.
BATCH, BATCH_BYTES = 40, 4 << 20
#: Batches under way for each thread of the cluster, and at most: what bounds memory.
AHEAD, MOST_AHEAD = 2, 64
#: Seconds to wait for the scheduler, and for a worker where none is left.
CONNECTING, WITHOUT_WORKERS = 15.0, 60.0
#: Seconds more for a client that knows by itself that nobody is there.
_SPARE = 1.0
#: Seconds between two looks at a cluster that is waited for.
_LOOK = 5.0
_ADDRESS = re.compile(r"dask://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):([0-9]{1,5})")


class Kit(Struct, frozen=True, array_like=True):
    """What a worker makes a maker from; `base` is the digest of our code and theme.

    No setting is among it that pages do not show: neither headers nor names of files.
    """

    site: Site
    report: ReportSettings
    actions: str | None
    version: str
    labels: tuple[str, ...]
    workflows: tuple[str, ...]
    commands_need: str
    base: str


class Sent(Struct, frozen=True, array_like=True):
    """A job for a worker: what its page shows, and its record as JSON."""

    task: JobTask
    record: bytes


class Made(Struct, frozen=True, array_like=True):
    """What came back: an owner's files, to be put in their places."""

    owner: str
    content: str
    files: tuple[tuple[str, bytes], ...]


def scheduler(executor: str) -> str:
    """The scheduler's address as dask writes it.

    Raises UsageError for anything else, and where dask is not installed.

    >>> scheduler("dask://10.0.0.5:8786")
    'tcp://10.0.0.5:8786'
    """
    found = _ADDRESS.fullmatch(executor)
    if found is None:
        raise UsageError(
            f"--executor {executor}: no executor is called so",
            hint="write dask://HOST:PORT, the address that `dask scheduler` says",
        )
    try:
        import distributed  # noqa: F401 (only whether it is there)
    except ImportError as error:
        raise UsageError(
            f"--executor {executor}: dask is not installed",
            hint="pip install 'jmreport[dask]', here and where its workers run",
        ) from error
    return f"tcp://{found[1]}:{found[2]}"


# --- on a worker -------------------------------------------------------------------------------


def make(kit: bytes, sent: Sequence[bytes]) -> list[bytes]:
    """On a worker: the files of some jobs. Raises JmreportError where it is another jmreport."""
    return [msgspec.msgpack.encode(_made(kit, each)) for each in sent]


def _made(kit: bytes, packed: bytes) -> Made:
    settings, theme, facts = _tools(kit)
    one = msgspec.msgpack.decode(packed, type=Sent)
    record = msgspec.json.decode(one.record, type=Record)
    pages = jobpage.pages(record, one.task.context, theme=theme, settings=settings, facts=facts)
    return Made(addresses.job(record.id), one.task.content, tuple(pages))


@lru_cache(maxsize=2)
def _tools(packed: bytes) -> tuple[Settings, Theme, SiteFacts]:
    """What pages are made with, once for each site that this process works for."""
    kit = msgspec.msgpack.decode(packed, type=Kit)
    settings = Settings(site=kit.site, report=kit.report, actions=Actions(url=kit.actions))
    theme = Theme(settings, version=kit.version)
    if base_of(theme) != kit.base:
        raise JmreportError(
            "a worker of the cluster has another jmreport than this machine",
            hint="install the same one on all of them: other code makes other pages",
        )
    facts = site_facts(
        settings,
        labels=kit.labels,
        workflows=kit.workflows,
        commands_need=kit.commands_need,
    )
    return settings, theme, facts


# --- here --------------------------------------------------------------------------------------


class ClusterWorkers:
    """The workers of a cluster; results come in the order in which work was given.

    Nobody is called before there is work. Raises JmreportError where the cluster cannot be reached,
    is lost, or has nobody left who works.
    """

    batch = BATCH

    def __init__(self, maker: Maker, executor: str) -> None:
        self._maker, self._address = maker, scheduler(executor)
        #: dask's Client, whose functions say no types.
        self._client: Any = None
        self._pool: Executor | None = None
        self._most = 1
        self._waiting: deque[Future[list[bytes]]] = deque()
        facts = maker.facts
        site, report, actions = values(maker.settings, PAGES_OF_JOBS)
        self._kit = msgspec.msgpack.encode(
            Kit(
                site=site,
                report=report,
                actions=actions,
                version=maker.theme.version,
                labels=tuple(sorted(facts.labels)),
                workflows=tuple(sorted(facts.workflows)),
                commands_need=facts.commands_need,
                base=maker.base,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            with suppress(OSError, TimeoutError):  # one that is gone has nothing to be told
                self._client.close(timeout=CONNECTING)

    def jobs(self, shard: str, tasks: Sequence[JobTask]) -> Iterator[Done]:
        """Has the pages of some jobs made whose records lie in one shard; gives what is ready."""
        sent: list[bytes] = []
        size = 0
        for task, record in self._maker.read(shard, tasks):
            one = msgspec.msgpack.encode(Sent(task, msgspec.json.encode(record)))
            if sent and size + len(one) > BATCH_BYTES:
                yield from self._give(sent)
                sent, size = [], 0
            sent.append(one)
            size += len(one)
        yield from self._give(sent)

    def rest(self) -> Iterator[Done]:
        """What is still under way."""
        while self._waiting:
            yield from self._next()

    def _give(self, sent: list[bytes]) -> Iterator[Done]:
        while len(self._waiting) >= self._most:
            yield from self._next()
        self._waiting.append(self._executor().submit(make, self._kit, sent))

    def _next(self) -> Iterator[Done]:
        for packed in self._result(self._waiting.popleft()):
            made = msgspec.msgpack.decode(packed, type=Made)
            written = tuple(self._maker.files.write(*file) for file in made.files)
            yield Done(owner=made.owner, content=made.content, files=written)

    def _executor(self) -> Executor:
        if self._pool is None:
            self._client = client = self._connected()
            threads = self._threads()
            if not threads:
                raise self._idle()
            self._most = min(AHEAD * threads, MOST_AHEAD)
            # Not pure: a result that a scheduler remembers would stay in its memory.
            pool: Executor = client.get_executor(pure=False)
            self._pool = pool
        return self._pool

    def _connected(self) -> Any:
        import distributed

        # It logs how it tried; what came of it is said here.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        connect: Any = distributed.Client
        came: list[Any] = []

        def call() -> None:
            try:
                came.append(
                    connect(
                        self._address, timeout=CONNECTING, set_as_default=False, name="jmreport"
                    )
                )
            except (OSError, ValueError) as error:
                came.append(error)

        # A client that was taken and hears nothing waits without end, whatever its timeout.
        calling = threading.Thread(target=call, name="connecting", daemon=True)
        calling.start()
        calling.join(CONNECTING + _SPARE)
        if not came or isinstance(came[0], Exception):
            raise JmreportError(
                f"no dask scheduler answers at {self._address}",
                hint="start one with `dask scheduler`, or leave out --executor",
            ) from (came[0] if came else None)
        return came[0]

    def _result(self, work: "Future[list[bytes]]") -> list[bytes]:
        from distributed.scheduler import KilledWorker

        alone = 0.0
        while True:
            try:
                return work.result(timeout=_LOOK)
            except NotYet:
                alone = 0.0 if self._threads() else alone + _LOOK
                if alone >= WITHOUT_WORKERS:
                    raise self._idle() from None
            except CancelledError as error:
                raise self._lost() from error
            except KilledWorker as error:
                raise JmreportError(
                    "workers of the cluster died one after another over the same jobs",
                    hint="they may have too little memory: `dask worker --memory-limit` says how "
                    "much; or leave out --executor",
                ) from error

    def _threads(self) -> int:
        """How many threads the cluster has; Client.nthreads would wait for them without end."""
        client = self._client
        try:
            found: dict[str, int] = client.sync(
                client.scheduler.ncores, callback_timeout=CONNECTING
            )
        except (OSError, TimeoutError) as error:
            raise self._lost() from error
        return sum(found.values())

    def _idle(self) -> JmreportError:
        return JmreportError(
            f"the dask cluster at {self._address} has no workers",
            hint=f"start some with `dask worker {self._address}`, or leave out --executor",
        )

    def _lost(self) -> JmreportError:
        return JmreportError(
            f"the dask scheduler at {self._address} has gone away",
            hint="run it again: pages that were written stay",
        )
