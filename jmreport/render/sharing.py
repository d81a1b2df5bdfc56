"""Pages of jobs made in parts: by several machines, each into a folder of its own.

    site-parts/20261123T021400Z/2-of-4/jobs/germline-….html, .json
    site-parts/20261123T021400Z/2-of-4/.jmreport/pages       what each was made of: a ledger

A page that is made of the same is the same wherever it is made, so whoever writes the whole site
takes from the parts what fits, and makes the rest. What a part lacks, or holds of another state of
the snapshots or by another jmreport, costs time and nothing else.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from msgspec import Struct

from jmreport.render import addresses, ledger
from jmreport.render.files import Files, WrittenFile, is_sum_of
from jmreport.render.making import Done, JobTask
from jmreport.render.workers import JobWorkers


class Share(Struct, frozen=True, kw_only=True):
    """What is written of a site: all of it, unless `place` and `holds` say a part and its folder.

    `parts` are folders of parts that pages of jobs are taken from.
    """

    place: Path | None = None
    holds: Callable[[str], bool] | None = None
    parts: tuple[Path, ...] = ()


WHOLE = Share()


class Made:
    """Pages of jobs that lie in another folder, by what they were made of."""

    def __init__(self, root: Path) -> None:
        self._files = Files(root)
        self._files.doubt()
        #: Where it is told what they were made of.
        self.ledger = path = self._files.own / ledger.NAME
        address = f"{path.resolve().as_uri()}?mode=ro"
        there = path.is_file()
        self._database = sqlite3.connect(address, uri=True) if there else None

    def close(self) -> None:
        """Lets the ledger go."""
        if self._database is not None:
            self._database.close()

    def files(self) -> list[WrittenFile]:
        """Every file of them, those with names that no page of a job has left out."""
        if self._database is None:
            return []
        try:
            rows = self._database.execute("SELECT owner, files FROM pages").fetchall()
            found = [file for owner, files in rows for file in ledger.unpacked(owner, files)]
        except sqlite3.DatabaseError:
            return []
        return [file for file in found if _is_of_jobs(file.address)]

    def of(self, owner: str, content: str) -> tuple[WrittenFile, ...]:
        """The files of a job's page that was made of this, the page last; () where there is none.

        None of which anything is missing, or has another size.
        """
        if self._database is None:
            return ()
        query = "SELECT files FROM pages WHERE owner = ? AND content = ?"
        try:
            rows = self._database.execute(query, (owner, content)).fetchall()
            found = [file for (files,) in rows for file in ledger.unpacked(owner, files)]
        except sqlite3.DatabaseError:
            return ()  # only a memory: what it does not tell is made
        if not all(_is_of_jobs(one.address) for one in found):
            return ()
        if any(self._files.size(one.address) != one.size for one in found):
            return ()
        return tuple(sorted(found, key=lambda one: one.address == owner))

    def whole(self, files: Iterable[WrittenFile]) -> bool:
        """Whether they hold what was written: a copy may be damaged, and nobody looks later."""
        try:
            return all(is_sum_of(one.sum, self.place(one).read_bytes()) for one in files)
        except OSError:
            return False

    def place(self, file: WrittenFile) -> Path:
        """Where a file lies."""
        return self._files.root / file.address


def _is_of_jobs(address: str) -> bool:
    """Whoever made a part named its files: none leads elsewhere."""
    return address.startswith("jobs/") and ".." not in address


class Sharing:
    """Workers who are given only what nobody has made yet.

    `parts` are those whose pages are moved into `files`; what the `site` itself has is left out.
    """

    def __init__(
        self, inner: JobWorkers, files: Files, parts: Sequence[Made], site: Made | None
    ) -> None:
        self._inner, self._files = inner, files
        self._parts, self._site = parts, site

    @property
    def batch(self) -> int:
        """As many as those are given who make them."""
        return self._inner.batch

    def jobs(self, shard: str, tasks: Sequence[JobTask]) -> Iterator[Done]:
        """What lies there already, and what is ready of the others."""
        left = []
        for task in tasks:
            owner = addresses.job(task.context.entry.row.id)
            if self._site is not None and self._site.of(owner, task.content):
                continue
            taken = self._taken(owner, task.content)
            if taken is None:
                left.append(task)
            else:
                yield taken
        if left:
            yield from self._inner.jobs(shard, left)

    def rest(self) -> Iterator[Done]:
        """What is still under way."""
        yield from self._inner.rest()

    def _taken(self, owner: str, content: str) -> Done | None:
        for part in self._parts:
            if (found := part.of(owner, content)) and part.whole(found):
                for file in found:
                    self._files.take(file.address, part.place(file))
                return Done(owner=owner, content=content, files=found)
        return None


class Others:
    """The folders that others made pages in, open while a site is written."""

    def __init__(self, parts: Iterable[Path], site: Path | None) -> None:
        self._parts = [Made(part) for part in parts]
        self._site = None if site is None else Made(site)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for made in (*self._parts, *((self._site,) if self._site else ())):
            made.close()

    def spare(self, workers: JobWorkers, files: Files) -> JobWorkers:
        """The workers, given only what is not there."""
        if not self._parts and self._site is None:
            return workers
        return Sharing(workers, files, self._parts, self._site)
