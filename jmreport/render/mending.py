"""A ledger that is damaged: what can still be read of it is kept in a new one.

Nights as they were told, and differences that somebody asked for, are nowhere else; and by its
lines it is known which files are pages of ours. All else is only what saves time.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from jmreport.errors import JmreportError

#: What is kept, by its first column; `files` are those of a former version's pages.
_KEPT = {"pages": "owner", "files": "address", "nights": "run", "diffs": "name"}


def is_damaged(path: Path) -> bool:
    """Whether a ledger cannot be read as a whole."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
    except sqlite3.OperationalError:  # it is not there, or no file of ours
        return False
    except sqlite3.DatabaseError:
        return True


def mend(path: Path) -> None:
    """Puts a ledger in its place that has all that can be read of it; none where that is nothing.

    Nobody else may have it open. Raises JmreportError where there is no room for the new one: the
    old one stays as it is then.
    """
    new = path.with_name(f"{path.name}.tmp")
    _remove(new)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as old:
            tables, version = _tables(old)
            if tables:
                with closing(sqlite3.connect(new)) as kept:
                    _copy(old, kept, tables, version)
        if tables:
            new.replace(path)
        else:
            _remove(path)
        _remove(path.with_name(f"{path.name}-journal"))
    except (sqlite3.Error, OSError) as error:
        _remove(new)
        raise JmreportError(
            f"{path} is damaged and cannot be mended: {error}", hint="free some space there"
        ) from error


def _remove(path: Path) -> None:
    for each in (path, path.with_name(f"{path.name}-journal")):
        each.unlink(missing_ok=True)


def _tables(database: sqlite3.Connection) -> tuple[dict[str, str], int]:
    """The tables of a ledger with their statements, and its version; none of what is no ledger."""
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        found = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        return dict(found), version
    except sqlite3.DatabaseError:
        return {}, 0


def _copy(
    old: sqlite3.Connection, new: sqlite3.Connection, tables: dict[str, str], version: int
) -> None:
    with new:
        for table, by in _KEPT.items():
            if table in tables:
                new.execute(tables[table])
                for row in chain(_rows(old, table, by), _rows(old, table, f"{by} DESC")):
                    marks = ", ".join("?" * len(row))
                    new.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608 - names of ours
    new.execute(f"PRAGMA user_version = {version:d}")


def _rows(database: sqlite3.Connection, table: str, order: str) -> Iterator[tuple[Any, ...]]:
    """The rows from one end on, as far as they can be read."""
    with suppress(sqlite3.DatabaseError):
        yield from database.execute(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608 - names of ours
