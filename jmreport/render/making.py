"""Pages in the making: from a job's record, or a planned page, to files in their places.

A `Maker` does it in whatever process it is: in the one that plans the site, or in a worker.
"""

import ctypes
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import tzinfo
from itertools import starmap
from pathlib import Path
from typing import Any

from msgspec import Struct

from jmreport.records import Record
from jmreport.render import addresses, jobpage, words
from jmreport.render.drawings import Charts
from jmreport.render.files import Files, WrittenFile
from jmreport.render.jobcells import Jobs, Lent
from jmreport.render.jobfacts import SiteFacts
from jmreport.render.page import Page, digest
from jmreport.render.theme import Theme
from jmreport.report.jobs import JobContext
from jmreport.settings import Settings

ReadRecords = Callable[[str, Sequence[int]], Iterator[Record]]

#: A job of so many shards takes memory worth counting.
_MANY_SHARDS = 1_000
#: M_MMAP_THRESHOLD of mallopt(3), and bytes from which a piece of memory is one of its own, which
#: goes back as soon as it is let go. Left to itself, GNU's library ends that after the first.
_MMAP_THRESHOLD, _LARGE = -3, 1 << 20


class JobTask(Struct, frozen=True):
    """A job's page to be made: its context and the digest of what goes into it."""

    context: JobContext
    content: str


class Done(Struct, frozen=True):
    """An owner's files, written."""

    owner: str
    content: str
    files: tuple[WrittenFile, ...]


class Maker:
    """Makes pages and puts them in their places: in this process, or in forked ones."""

    def __init__(
        self,
        files: Files,
        theme: Theme,
        read_records: ReadRecords,
        settings: Settings,
        facts: SiteFacts,
        base: str,
    ) -> None:
        self.files, self.theme, self.settings = files, theme, settings
        self.read_records, self.facts, self.base = read_records, facts, base
        self.zone: tzinfo = words.zone(settings.report.timezone)
        self.charts = Charts(files.own / "charts")
        #: What rows of jobs look like on planned pages.
        self.rows: Jobs | None = None
        #: Held while a job of many shards is read and shown: several at once would take as many
        #: times its memory as there are processes.
        self.turn: AbstractContextManager[object] = nullcontext()

    def read(self, shard: str, tasks: Sequence[JobTask]) -> Iterator[tuple[JobTask, Record]]:
        """Some jobs with their records, which lie in one shard, in the order of the file."""
        by_line = {task.context.entry.line: task for task in tasks}
        lines = sorted(by_line)
        for line, record in zip(lines, self.read_records(shard, lines), strict=True):
            yield by_line[line], record

    def jobs(self, shard: str, tasks: Sequence[JobTask]) -> list[Done]:
        """Makes the pages of some jobs whose records lie in one shard."""
        by_line = {task.context.entry.line: task for task in tasks}
        lines = sorted(by_line)
        reading = self.read_records(shard, lines)
        done: list[Done] = []
        for line in lines:
            task = by_line[line]
            if task.context.entry.row.shards <= _MANY_SHARDS:
                done.append(self._next_job(task, reading, trim=not done))
                continue
            with self.turn:
                done.append(self._next_job(task, reading, trim=True))
                give_back()
        return done

    def _next_job(self, task: JobTask, reading: Iterator[Record], *, trim: bool) -> Done:
        """Reads the next record and makes its job's pages; nothing keeps either afterwards."""
        record = next(reading)
        if trim:
            give_back()  # what reading the lines before it took, and its own
        pages = jobpage.pages(
            record,
            task.context,
            theme=self.theme,
            settings=self.settings,
            facts=self.facts,
        )
        # No name holds a page once it is written: raw JSON can be many megabytes.
        made = tuple(starmap(self.files.write, pages))
        return Done(owner=addresses.job(record.id), content=task.content, files=made)

    def __getstate__(self) -> dict[str, Any]:
        """As it is sent to a process that has a theme, and is given each page that it makes."""
        rows = self.rows.apart() if self.rows else None
        own: dict[str, Any] = {"rows": rows, "theme": None, "turn": nullcontext()}
        return self.__dict__ | own

    def others(self, pages: Sequence[Page], lent: Mapping[str, Lent]) -> list[Done]:
        """Makes some of the planned pages, which show the jobs that are lent."""
        if self.rows is not None:
            self.rows.lend(lent)
        try:
            return [self._other(page) for page in pages]
        finally:
            if self.rows is not None:
                self.rows.lend({})

    def _other(self, page: Page) -> Done:
        view = page.view(self.charts) if page.sheet is None else page.sheet.shown(self.rows)
        made = put(page, view, self.theme, self.files)
        return Done(owner=page.address, content=self.content(page), files=made)

    def content(self, page: Page) -> str:
        """The digest of all that goes into a page, the theme included."""
        return f"{self.base}{page.content}"


def put(page: Page, view: object, theme: Theme, files: Files) -> tuple[WrittenFile, ...]:
    """A planned page and what stands beside it, made and put in their places."""
    data = theme.file(page.template, view, address=page.address, as_of=page.as_of)
    return (files.write(page.address, data), *starmap(files.write, page.beside()))


def base_of(theme: Theme) -> str:
    """The digest of the theme and of the code that makes pages: another jmreport makes others.

    That is this room and all of the nouns below it, which it shows and reckons with.
    """
    code = hashlib.blake2b(digest_size=16)
    room = Path(__file__).parent
    for folder in (room, room.parent, room.parent / "report"):
        for path in sorted(folder.glob("*.py")):
            body = path.read_bytes()
            code.update(f"{folder.name}/{path.name} {len(body)}\n".encode())
            code.update(body)
    return digest(theme.digest, code.hexdigest())


def encoded(text: str) -> bytes:
    """A page's bytes; a lone surrogate, which broken JSON can hold, becomes a question mark."""
    return text.encode("utf-8", "replace")


def give_back() -> None:
    """Hands memory that is free back to the system, where the C library can.

    What collecting took for a large scatter would otherwise stay with the process while its workers
    take theirs.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # other C libraries than GNU's lack it
            library = ctypes.CDLL(None)
            library.mallopt(_MMAP_THRESHOLD, _LARGE)
            library.malloc_trim(0)
