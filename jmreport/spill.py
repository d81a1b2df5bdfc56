"""More than memory should hold, kept on the disk for as long as it is needed.

    with Spill() as spill:
        spill.add("told", (key, ended), body)          …
        for body in spill.ordered("told"): ...         sorted by what they were added under

        spill.put("of job", "03a7491c-…", body)        …
        spill.get("of job", ("03a7491c-…", …))         {"03a7491c-…": body, …}

A database of SQLite's own without a name: it is gone when it is closed, or the process ends.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from jmreport.errors import JmreportError

Place = tuple[str | float, ...]
#: Rows that are handed over at once.
_ROWS = 2_000
#: The most parts of a place.
_PARTS = 3


class Spill:
    """Named heaps of bytes on the disk. Raises JmreportError where there is no room for them."""

    def __init__(self) -> None:
        # A stream that nobody reads to its end is closed by whichever thread tidies up.
        self._database = unnamed(check_same_thread=False)
        self._database.execute("CREATE TABLE heap (name TEXT, a, b, c, body BLOB)")
        self._database.execute(
            "CREATE TABLE kept (name TEXT, id TEXT, body BLOB, PRIMARY KEY (name, id)) "
            "WITHOUT ROWID"
        )
        self._database.execute("BEGIN")
        self._waiting: list[tuple[object, ...]] = []
        self._to_keep: list[tuple[str, str, bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._database.close()

    def add(self, name: str, place: Place, body: bytes) -> None:
        """One more of a heap, to be sorted by its place: at most three texts or numbers."""
        parts = (*place, *(None,) * (_PARTS - len(place)))
        self._waiting.append((name, *parts, body))
        if len(self._waiting) >= _ROWS:
            self._hand_over()

    def ordered(self, name: str) -> Iterator[bytes]:
        """All of a heap, by their places."""
        with room():
            self._hand_over()
            found = self._database.execute(
                "SELECT body FROM heap WHERE name = ? ORDER BY a, b, c", (name,)
            )
            while rows := found.fetchmany(_ROWS):
                yield from (body for (body,) in rows)

    def put(self, name: str, key: str, body: bytes) -> None:
        """Keeps something under a key, in place of what was there."""
        self._to_keep.append((name, key, body))
        if len(self._to_keep) >= _ROWS:
            self._hand_over()

    def get(self, name: str, keys: Sequence[str]) -> dict[str, bytes]:
        """What is kept under some keys, at most a thousand of them."""
        marks = ", ".join("?" * len(keys))
        with room():
            self._hand_over()
            found = self._database.execute(
                f"SELECT id, body FROM kept WHERE name = ? AND id IN ({marks})",  # noqa: S608
                (name, *keys),
            ).fetchall()
        return dict(found)

    def _hand_over(self) -> None:
        with room():
            self._database.executemany("INSERT INTO heap VALUES (?, ?, ?, ?, ?)", self._waiting)
            self._database.executemany(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", self._to_keep
            )
        self._waiting.clear()
        self._to_keep.clear()


def unnamed(*, check_same_thread: bool = True) -> sqlite3.Connection:
    """A database on the disk that is gone when it is closed, or the process ends."""
    database = sqlite3.connect("", isolation_level=None, check_same_thread=check_same_thread)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    # Negative: so many KiB of it may stay in memory.
    database.execute("PRAGMA cache_size = -1024")
    return database


@contextmanager
def room() -> Iterator[None]:
    """Says what to do where the disk has none for what is kept there. Raises JmreportError."""
    try:
        yield
    except sqlite3.Error as error:
        raise JmreportError(
            f"no room for what memory cannot hold: {error}",
            hint="free some space where temporary files are kept (SQLITE_TMPDIR names the folder)",
        ) from error
