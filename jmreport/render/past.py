"""A ledger as it was left, asked by its path: nothing is locked while another run writes it."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

from jmreport.remembered import Unsettled, Works
from jmreport.render.files import WrittenFile
from jmreport.render.ledger import VERSION, files_of


def told_nights(path: Path, settings: str) -> Iterator[tuple[str, bytes, bytes]]:
    """(run, summary, body) of each night that was told under these settings; nothing is locked."""
    yield from _rows(path, "SELECT run, summary, body FROM nights WHERE settings = ?", settings)


def _rows(path: Path, query: str, *values: str) -> list[Any]:
    """What a query finds, as far as it can be read; nothing where there is no ledger."""
    found = list[Any]()
    if path.exists():
        with (
            closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database,
            suppress(sqlite3.DatabaseError),
        ):
            found.extend(database.execute(query, values))
    return found


class Past:
    """A ledger as it was left, to be asked while a report is made; nothing is locked."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def settled(self) -> tuple[bytes, bytes] | None:
        """What is remembered of jobs that settled: as of which state, and its head.

        None for a ledger of another version: whoever writes it next forgets that.
        """
        query = "SELECT body FROM settled WHERE number < 2 ORDER BY number"
        try:
            if self._database.execute("PRAGMA user_version").fetchone() != (VERSION,):
                return None
            rows = self._database.execute(query).fetchall()
        except sqlite3.DatabaseError:
            return None
        told, head = [body for (body,) in rows] or (b"", b"")
        return (told, head) if head else None

    def batches(self) -> Iterator[bytes]:
        """Its batches, in their order: of a year they are larger than all else."""
        query = "SELECT body FROM settled WHERE number > 1 ORDER BY number"
        return (body for (body,) in self._read(query))

    @property
    def works(self) -> Works:
        """What jobs said of the work that they did."""
        return Works(self._read, "jobs")

    def _read(self, query: str, values: Sequence[bytes] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows, one at a time. Raises Unsettled where the ledger is damaged."""
        try:
            yield from self._database.execute(query, values)
        except sqlite3.DatabaseError as error:
            raise Unsettled from error


def night_bodies(path: Path) -> Iterator[tuple[str, bytes]]:
    """(run, what its page is made of) of each night that is remembered; nothing is locked."""
    for (run,) in _rows(path, "SELECT run FROM nights ORDER BY run"):
        yield from ((run, body) for body in night_body(path, run))


def night_body(path: Path, run: str) -> list[bytes]:
    """What the page of a night is made of; none where it is not known; nothing is locked."""
    return [body for (body,) in _rows(path, "SELECT body FROM nights WHERE run = ?", run)]


def diff_bodies(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, what it is made of) of each page of a difference; nothing is locked."""
    yield from _rows(path, "SELECT name, body FROM diffs ORDER BY name")


def diff_pages(path: Path) -> Iterator[str]:
    """The pages of differences that are kept; nothing is locked."""
    query = "SELECT owner FROM pages WHERE kept AND owner >= 'diffs/' AND owner < 'diffs0'"
    return (owner for (owner,) in _rows(path, query))


def sizes(path: Path) -> Iterator[tuple[str, int]]:
    """(owner, size) of every remembered file, none where nothing can be read; nothing is locked."""
    try:
        yield from [(owner, file.size) for owner, file in _read_files(path)]
    except sqlite3.DatabaseError:
        return


def all_files(path: Path) -> Iterator[tuple[str, int, str]]:
    """Every remembered file: its address, size and sum. For checks; nothing is locked.

    Raises sqlite3.DatabaseError where that cannot be told.
    """
    for _, file in _read_files(path):
        yield file.address, file.size, file.sum


def _read_files(path: Path) -> Iterator[tuple[str, WrittenFile]]:
    if not path.exists():
        return
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        yield from files_of(database)
