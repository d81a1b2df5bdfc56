"""index.sqlite: a cache of what the runs say of each job, rebuilt from them at will.

It is never changed in its place: a copy is brought up to date and moved in, so a reader sees one
state from beginning to end, no lock is needed, and a kill leaves the old file. Tables:

    meta(key, value)                      the schema and the summariser that made the rows; which
                                          prune it begins with
    runs(id, stamp, body)                 run.json as it is; which runs the index knows
    names(number, name)                   runs and shards, which the others name by number
    entries(number, id, run, shard, line, digest, row_digest, active, parts, row, outcome, told_run,
            ended_run,                    the run that found it ended after others had found it
                                          active, 0 where none had
            submitted, above, form)       when, in seconds since 1970; the parent of a job that no
                                          list names; the shortest form of the id
    seen(number, first_run, last_run)     apart, since every run touches nearly all of it
    measures(number, body)                what its tasks cost (snapshots/measured.py)

A job has a number, by which it stands in the last three: they grow at their end as runs come, so
that what was stored together lies together.
"""

import hashlib
import inspect
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

from jmreport import attempts, callcache, calltimes, gaps, messages, models, regrouping
from jmreport import records as nouns
from jmreport import short_ids as forms
from jmreport.records import JobRow
from jmreport.snapshots import contents, files, measured, summaries
from jmreport.snapshots.indexed import READING, Index, broken
from jmreport.snapshots.measured import Measuring, unmeasured
from jmreport.snapshots.summaries import Summarise

NAME = "index.sqlite"
#: What the database itself raises.
Error = sqlite3.Error
SCHEMA = 8
#: What rows are made with beside the summariser's own room.
_MAKING = (
    nouns,
    models,
    attempts,
    callcache,
    calltimes,
    gaps,
    messages,
    regrouping,
    forms,
    contents,
    summaries,
)

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE runs (id TEXT PRIMARY KEY, stamp TEXT, body BLOB) WITHOUT ROWID;
CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE entries (
    number INTEGER PRIMARY KEY, id TEXT, run INTEGER, shard INTEGER, line INTEGER,
    digest BLOB, row_digest BLOB, active INTEGER, parts BLOB, row BLOB, outcome TEXT,
    told_run INTEGER, ended_run INTEGER, submitted REAL, above TEXT, form TEXT
);
CREATE TABLE seen (number INTEGER PRIMARY KEY, first_run INTEGER, last_run INTEGER);
"""
BY_ID = "CREATE INDEX by_id ON entries (id)"
OTHER_INDEXES = (
    "CREATE INDEX active ON entries (id) WHERE active",
    "CREATE INDEX by_run ON entries (run, shard, line)",
    "CREATE INDEX by_place ON entries (shard, line)",
    "CREATE INDEX by_submission ON entries (submitted DESC, id)",
    "CREATE INDEX by_parent ON entries (above, id) WHERE above IS NOT NULL",
    "CREATE INDEX by_form ON entries (form)",
)


def copy(root: Path, index: Index) -> Index:
    """A copy beside the index's place, to be brought forward. Raises JmreportError."""
    path = files.temporary(root / NAME)
    fresh = _duplicate(root / NAME, index, path)
    if fresh is not None:
        return fresh
    try:
        fresh = Index(connect(str(path)), path)
    except sqlite3.Error as error:
        raise broken(root / NAME, error) from error
    try:
        index.connection.backup(fresh.connection)
        _prepare(fresh.connection)
    except sqlite3.Error as error:
        fresh.discard()
        raise broken(root / NAME, error) from error
    return fresh


def _duplicate(place: Path, index: Index, path: Path) -> Index | None:
    """The file itself, copied by the system, where it says what this index says; else None.

    What stands there never changes, but another process may have moved its own in.
    """
    if not place.exists():
        return None
    files.duplicate(place, path)
    try:
        fresh = Index(connect(str(path)), path)
    except sqlite3.Error:
        files.remove_quietly(path)
        return None
    try:
        if fresh.state() == index.state():
            return fresh
    except sqlite3.Error:
        pass  # it was damaged since it was opened
    fresh.discard()
    return None


def made_by(summarise: Summarise, measure: Measuring = unmeasured) -> str:
    """What made the rows: another schema, summariser or measure makes them anew.

    The summariser is known by its source and that of the modules beside it and below it, so that a
    change to it is never forgotten.
    """
    function = summarise.func if isinstance(summarise, partial) else inspect.unwrap(summarise)
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{SCHEMA} {function.__module__} {function.__qualname__}".encode())
    digest.update(f"{measure.__module__} {measure.__qualname__}".encode())
    for path in _sources(function):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _sources(function: Callable[..., JobRow]) -> list[Path]:
    module = inspect.getmodule(function)
    own = [Path(str(each.__file__)) for each in _MAKING]
    if module is None or not getattr(module, "__file__", None):
        return own
    at = Path(str(module.__file__))
    beside = sorted(at.parent.glob("*.py")) if module.__package__ else [at]
    return [path for path in (*own, *beside) if path.is_file()]


def existing(root: Path, maker: str) -> Index | None:
    """The index as it lies there; None where it is missing, damaged, or made by another version."""
    path = root / NAME
    if not path.exists():
        return None
    try:
        connection = connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1")
    except sqlite3.Error:
        return None
    try:
        connection.execute(READING)
        made = connection.execute("SELECT value FROM meta WHERE key = 'made by'").fetchone()
    except sqlite3.Error:
        made = None
    if made != (maker,):
        connection.close()
        return None
    return Index(connection)


def fresh(path: str, maker: str) -> sqlite3.Connection:
    """The tables of an index that knows nothing yet; "" is a file of this process alone."""
    connection = connect(path)
    try:
        connection.executescript(_TABLES + measured.TABLE)
        connection.execute("INSERT INTO meta VALUES ('made by', ?)", (maker,))
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect(path: str) -> sqlite3.Connection:
    """A database that is open. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, uri=path.startswith("file:"), check_same_thread=False)
    _prepare(connection)
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    # Nothing is ever rolled back: a copy that was not finished is thrown away.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -65536")
