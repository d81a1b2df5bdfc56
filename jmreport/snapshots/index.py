"""index.sqlite: a cache of what the runs say of each job, rebuilt from them at will.

It is never changed in its place: a copy is brought up to date and moved in, so a reader sees one
state from beginning to end, no lock is needed, and a kill leaves the old file. Tables:

    meta(key, value)                      the schema and the summariser that made the rows; which
                                          prune it begins with
    runs(id, stamp, body)                 run.json as it is; which runs the index knows
    entries(id, run, shard, line, digest, row_digest, active, parts, row, outcome, told_run,
            submitted, above, form)       when, in seconds since 1970; the parent of a job that no
                                          list names; the shortest form of the id
    seen(id, first_run, last_run)         apart, since every run touches nearly all of it
    measures(id, body)                    what its tasks cost (snapshots/measured.py)
"""

import hashlib
import inspect
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import msgspec

from jmreport import models
from jmreport import records as nouns
from jmreport.errors import JmreportError
from jmreport.records import Entry, JobRow, Measure, Record, run_order
from jmreport.sharing import Sharing
from jmreport.short_ids import form, short_ids
from jmreport.snapshots import carried, contents, files, measured, runs
from jmreport.snapshots.carried import Origin
from jmreport.snapshots.measured import Measuring, unmeasured

NAME = "index.sqlite"
#: What the database itself raises.
Error = sqlite3.Error
SCHEMA = 5
#: Rows that are read at a time: what streaming takes.
_ROWS = 500
Summarise = Callable[[Record], JobRow]

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE runs (id TEXT PRIMARY KEY, stamp TEXT, body BLOB) WITHOUT ROWID;
CREATE TABLE entries (
    id TEXT PRIMARY KEY, run TEXT, shard TEXT, line INTEGER, digest TEXT, row_digest TEXT,
    active INTEGER, parts BLOB, row BLOB, outcome TEXT, told_run TEXT,
    submitted REAL, above TEXT, form TEXT
) WITHOUT ROWID;
CREATE INDEX active ON entries (id) WHERE active;
CREATE INDEX by_run ON entries (run, shard, line);
CREATE INDEX by_submission ON entries (submitted DESC, id);
CREATE INDEX by_parent ON entries (above, id) WHERE above IS NOT NULL;
CREATE INDEX by_form ON entries (form);
CREATE TABLE seen (id TEXT PRIMARY KEY, first_run TEXT, last_run TEXT) WITHOUT ROWID;
"""
_ENTRY = (
    "SELECT entries.id, run, shard, line, digest, row_digest, row, first_run, last_run, told_run "
    "FROM entries JOIN seen USING (id) "
)
_encode_row = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(JobRow).decode
_decode_parts = msgspec.msgpack.Decoder(frozenset[str]).decode


class Known(msgspec.Struct, frozen=True):
    """What the writer must know of a job's newest record."""

    entry: Entry
    parts: frozenset[str]


class Index:
    """One state of the index, open for reading, or a copy of it that is being brought forward."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None = None) -> None:
        self.connection = connection
        self._path = path

    def close(self) -> None:
        self.connection.close()

    def runs(self) -> list[tuple[str, bytes]]:
        """(id, run.json) of every run, oldest first."""
        rows = self.connection.execute("SELECT id, body FROM runs").fetchall()
        return sorted(rows, key=lambda row: run_order(row[0]))

    def stamps(self) -> dict[str, str]:
        return dict(self.connection.execute("SELECT id, stamp FROM runs"))

    def entry(self, job: str) -> Entry | None:
        row = self.connection.execute(_ENTRY + "WHERE entries.id = ?", (job,)).fetchone()
        return None if row is None else _entry(row)

    def count(self) -> int:
        """How many jobs are known."""
        (number,) = self.connection.execute("SELECT count(*) FROM entries").fetchone()
        return int(number)

    def places(self) -> Iterator[tuple[str, int, str]]:
        """(shard, line, id) of every job's newest record, in the order of the files."""
        return self.connection.execute("SELECT shard, line, id FROM entries ORDER BY shard, line")

    def lines_of(self, shard: str) -> frozenset[int]:
        """The lines of a shard that are jobs' newest records."""
        rows = self.connection.execute("SELECT line FROM entries WHERE shard = ?", (shard,))
        return frozenset(line for (line,) in rows)

    def known(self, job: str) -> Known | None:
        entry = self.entry(job)
        if entry is None:
            return None
        (parts,) = self.connection.execute(
            "SELECT parts FROM entries WHERE id = ?", (job,)
        ).fetchone()
        return Known(entry, _decode_parts(parts))

    def entries(self, after: str = "") -> Iterator[Entry]:
        """Every job behind `after`, sorted by id; the whole of one state, sharing its values."""
        sharing = Sharing()
        found = self._read("WHERE entries.id > ? ORDER BY entries.id", (after,))
        return (sharing.entry(entry) for entry in found)

    def by_run(self, *, oldest_first: bool = False) -> Iterator[Entry]:
        """Every job by the run that wrote its newest record, the newest run's first.

        From the oldest on it is the order in which records are stored.
        """
        way = "ASC" if oldest_first else "DESC"
        written = self.connection.execute("SELECT DISTINCT run FROM entries").fetchall()
        for (run,) in sorted(written, key=lambda row: run_order(row[0]), reverse=not oldest_first):
            yield from self._read(f"WHERE run = ? ORDER BY shard {way}, line {way}", (run,))

    def by_submission(self) -> Iterator[Entry]:
        """Every job, the newest submission first and those without one last."""
        return self._read("ORDER BY submitted DESC, entries.id")

    def of(self, jobs: Iterable[str]) -> dict[str, Entry]:
        """Those of these jobs that are known, by their ids."""
        return {job: entry for job in jobs for entry in self._read("WHERE entries.id = ?", (job,))}

    def below(self, jobs: Iterable[str]) -> Iterator[Entry]:
        """The jobs that no list names and whose parent is one of these."""
        for job in dict.fromkeys(jobs):
            yield from self._read(
                "WHERE above = ? AND above IS NOT NULL ORDER BY entries.id", (job,)
            )

    def short_ids(self, jobs: Iterable[str]) -> dict[str, str]:
        """Whole id -> its short form; found among the ids of the same form."""
        found: dict[str, str] = {}
        for job in jobs:
            rows = self.connection.execute(
                "SELECT id FROM entries WHERE form = ?", (form(job),)
            ).fetchall()
            found[job] = short_ids(one for (one,) in rows).get(job, "")
        return {job: short for job, short in found.items() if short}

    def _read(self, which: str, values: tuple[object, ...] = ()) -> Iterator[Entry]:
        cursor = self.connection.execute(_ENTRY + which, values)
        while rows := cursor.fetchmany(_ROWS):
            yield from map(_entry, rows)

    def measures(self, jobs: Iterable[str]) -> Iterator[tuple[str, tuple[Measure, ...]]]:
        """(id, what its tasks cost) of those of the jobs that are measured, in their order."""
        return measured.read(self.connection, jobs)

    def active(self) -> list[Entry]:
        """The jobs whose newest record says that they may still change."""
        rows = self.connection.execute(_ENTRY + "WHERE active ORDER BY entries.id").fetchall()
        return [_entry(row) for row in rows]

    def dump(self) -> Iterator[tuple[object, ...]]:
        """Everything it says but for the stamps of files, an empty row behind each table."""
        for query in (
            "SELECT id, body FROM runs ORDER BY id",
            "SELECT * FROM entries ORDER BY id",
            "SELECT * FROM seen ORDER BY id",
            "SELECT * FROM measures ORDER BY id",
        ):
            yield from self.connection.execute(query)
            yield ()

    def put(
        self,
        record: Record,
        row: JobRow,
        *,
        run: str,
        shard: str,
        line: int,
        digest: str,
        measures: tuple[Measure, ...] = (),
    ) -> None:
        """Take in a record that was written."""
        measured.put(self.connection, record.id, measures)
        self.connection.execute(
            "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record.id,
                run,
                shard,
                line,
                digest,
                contents.row_digest(record.row),
                row.active,
                _encode_row(sorted(contents.parts(record))),
                _encode_row(row),
                outcome(row),
                self._told_since(record.id, outcome(row)) or run,
                row.submission.timestamp() if row.submission else None,
                None if row.listed else row.parent or None,
                form(record.id),
            ),
        )
        self.connection.execute(
            "INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (record.id, run, run)
        )

    def _told_since(self, job: str, told: str) -> str:
        """The run since which a job's outcome is known to be this; "" where it is new."""
        found = self.connection.execute(
            "SELECT told_run FROM entries WHERE id = ? AND outcome = ?", (job, told)
        ).fetchone()
        return "" if found is None else str(found[0])

    def expect_found(self) -> None:
        """Make room for the jobs that a run finds. On disk if many, and for this process only."""
        self.connection.execute(
            "CREATE TEMP TABLE found (id TEXT PRIMARY KEY, listed INTEGER) WITHOUT ROWID"
        )

    def note_found(self, job: str, *, listed: bool) -> None:
        """A job was found on the server."""
        self.connection.execute(
            "INSERT INTO found VALUES (?, ?) "
            "ON CONFLICT (id) DO UPDATE SET listed = max(listed, excluded.listed)",
            (job, listed),
        )

    def is_listed(self, job: str) -> bool:
        """Whether a list named the job in this run."""
        found = self.connection.execute("SELECT 1 FROM found WHERE id = ? AND listed", (job,))
        return found.fetchone() is not None

    def found_unlisted(self) -> Iterator[str]:
        """The jobs that were found though no list named them, sorted."""
        rows = self.connection.execute("SELECT id FROM found WHERE NOT listed ORDER BY id")
        return (job for (job,) in rows)

    def end_run(self, run: str, stamp: str, body: bytes, *, usable: bool) -> None:
        """The run that was being written is over: what it found was last seen by it."""
        if usable:
            self.connection.execute(
                "UPDATE seen SET last_run = ? WHERE id IN (SELECT id FROM found)", (run,)
            )
        self.add_run(run, stamp, body)

    def mark_found(self, jobs: Iterable[str], run: str) -> None:
        """These jobs were found on the server by a run that is usable."""
        self.connection.executemany(
            "UPDATE seen SET last_run = ? WHERE id = ?", ((run, job) for job in jobs)
        )

    def take_in(
        self, root: Path, run: str, summarise: Summarise, measure: Measuring = unmeasured
    ) -> None:
        """Take in a run from its files."""
        folder = root / runs.RUNS / run
        body = files.read(folder / runs.RUN)
        stored = runs.decode(body, folder / runs.RUN)
        for shard in runs.shards(folder):
            for line, record in enumerate(runs.records(shard)):
                self.put(
                    record,
                    summarise(record),
                    run=run,
                    shard=shard.relative_to(root).as_posix(),
                    line=line,
                    digest=contents.digest(record),
                    measures=measure(record),
                )
        if stored.usable:
            self.mark_found(runs.found(folder), run)
        self.add_run(run, runs.stamp(folder), body)

    def take_in_carried(
        self, root: Path, summarise: Summarise, measure: Measuring = unmeasured
    ) -> None:
        """Take in what is left of the runs that were pruned: before any run."""
        folder = runs.pruned_folder(root)
        if folder is None:
            return
        self.note_prune(carried.stamp(root))
        for origin, record, shard, line in carried.carried(root, folder):
            self.put(
                record,
                summarise(record),
                run=origin.run,
                shard=shard,
                line=line,
                digest=contents.digest(record),
                measures=measure(record),
            )
            self.connection.execute(
                "UPDATE entries SET told_run = ? WHERE id = ?", (origin.told_run, origin.id)
            )
            self.connection.execute(
                "INSERT OR REPLACE INTO seen VALUES (?, ?, ?)",
                (origin.id, origin.first_run, origin.last_run),
            )

    def prune(self) -> str:
        """The stamp of the prune that it begins with; "" where nothing was pruned."""
        found = self.connection.execute("SELECT value FROM meta WHERE key = 'prune'").fetchone()
        return "" if found is None else str(found[0])

    def note_prune(self, stamp: str) -> None:
        """What was known of pruned runs is in."""
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES ('prune', ?)", (stamp,))

    def origins(self, shard: str) -> Iterator[tuple[int, Origin]]:
        """(line, what is known beside it) of the jobs whose newest record lies in a shard."""
        rows = self.connection.execute(
            "SELECT line, entries.id, run, first_run, last_run, told_run "
            "FROM entries JOIN seen USING (id) WHERE shard = ? ORDER BY line",
            (shard,),
        )
        for line, job, run, first_run, last_run, told_run in rows:
            yield (
                line,
                Origin(id=job, run=run, first_run=first_run, last_run=last_run, told_run=told_run),
            )

    def ids(self) -> Iterator[str]:
        """The ids of all jobs that are known."""
        return (job for (job,) in self.connection.execute("SELECT id FROM entries"))

    def forget(self, job: str) -> None:
        """A job is known no more."""
        self.connection.execute("DELETE FROM entries WHERE id = ?", (job,))
        self.connection.execute("DELETE FROM seen WHERE id = ?", (job,))
        self.connection.execute("DELETE FROM measures WHERE id = ?", (job,))

    def forget_runs(self, gone: Iterable[str]) -> None:
        """These runs are known no more; what they had read of jobs stays."""
        self.connection.executemany("DELETE FROM runs WHERE id = ?", ((run,) for run in gone))

    def move(self, moved: Iterable[tuple[str, int, str, str, int]]) -> None:
        """(new shard, new line, job, shard, line): records that lie elsewhere now."""
        self.connection.executemany(
            "UPDATE entries SET shard = ?, line = ? WHERE id = ? AND shard = ? AND line = ?", moved
        )

    def shrink(self) -> None:
        """Give back the room of what was forgotten, where it is much."""
        ((free,), (all_of_it,)) = (
            self.connection.execute(f"PRAGMA {what}").fetchone()
            for what in ("freelist_count", "page_count")
        )
        if 4 * free > all_of_it:
            self.connection.commit()
            self.connection.execute("VACUUM")

    def add_run(self, run: str, stamp: str, body: bytes) -> None:
        """Note that a run is in: the last step of taking it in."""
        self.connection.execute("INSERT INTO runs VALUES (?, ?, ?)", (run, stamp, body))

    def commit(self, place: Path) -> None:
        """Make the copy the index. It stays open for reading. Raises JmreportError."""
        try:
            self.connection.commit()
        except sqlite3.Error as error:
            raise broken(place, error) from error
        if self._path is not None:
            files.move_in(self._path, place)
            self._path = None

    def forget_place(self) -> None:
        """Go on with the copy under no name: it vanishes when it is closed."""
        if self._path is not None:
            files.remove_quietly(self._path)
            self._path = None

    def discard(self) -> None:
        """Leave no trace of the copy."""
        self.connection.close()
        if self._path is not None:
            files.remove_quietly(self._path)


def outcome(row: JobRow) -> str:
    """How a job ended, "" where that is not known. One that is listed as Failed did fail."""
    return row.status if row.status == "Failed" or (row.readable and not row.active) else ""


def broken(place: Path, error: sqlite3.Error) -> JmreportError:
    """The index could not be written, in one line."""
    return JmreportError(
        f"cannot write {place}: {error}",
        hint="free some space and run again; the index is only a cache, the runs are whole",
    )


def current(root: Path, summarise: Summarise, measure: Measuring = unmeasured) -> Index:
    """The index as the runs say, brought up to date where it is not.

    Costs what the runs cost that it does not know. Where the folder cannot be written the newer
    state is private to this process. Raises SnapshotError for a run that cannot be read.
    """
    stamps = runs.committed(root)
    index = existing(root, made_by(summarise, measure))
    if index is None:
        return _anew(root, stamps, summarise, measure)
    try:
        known = index.stamps()
        if index.prune() != carried.stamp(root) or not _continues(root, index, known, stamps):
            index.close()
            return _anew(root, stamps, summarise, measure)
        missing = [run for run in stamps if run not in known]
        return _forward(root, index, missing, summarise, measure) if missing else index
    except (sqlite3.DatabaseError, msgspec.DecodeError):
        index.close()
        return _anew(root, stamps, summarise, measure)


def rebuilt(
    root: Path,
    summarise: Summarise,
    measure: Measuring = unmeasured,
    *,
    only: Iterable[str] | None = None,
) -> Index:
    """A private index made from the runs alone: all of them, or only some, and what was pruned."""
    index = _private(made_by(summarise, measure))
    index.take_in_carried(root, summarise, measure)
    for run in runs.committed(root) if only is None else sorted(only, key=run_order):
        index.take_in(root, run, summarise, measure)
    index.connection.commit()
    return index


def copy(root: Path, index: Index) -> Index:
    """A copy beside the index's place, to be brought forward. Raises JmreportError."""
    path = files.temporary(root / NAME)
    try:
        fresh = Index(_connect(str(path)), path)
    except sqlite3.Error as error:
        raise broken(root / NAME, error) from error
    try:
        index.connection.backup(fresh.connection)
        _prepare(fresh.connection)
    except sqlite3.Error as error:
        fresh.discard()
        raise broken(root / NAME, error) from error
    return fresh


def made_by(summarise: Summarise, measure: Measuring = unmeasured) -> str:
    """What made the rows: another schema, version or summariser makes them anew.

    The summariser is known by its source and that of the modules beside it, so that a change to it
    is never forgotten.
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
    own = [Path(source) for source in (nouns.__file__, models.__file__) if source]
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
        connection = _connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1")
    except sqlite3.Error:
        return None
    try:
        made = connection.execute("SELECT value FROM meta WHERE key = 'made by'").fetchone()
    except sqlite3.Error:
        made = None
    if made != (maker,):
        connection.close()
        return None
    return Index(connection)


def _continues(
    root: Path, index: Index, known: Mapping[str, str], stamps: Mapping[str, str]
) -> bool:
    """Whether the runs on disk begin with those in the index, unchanged.

    A store that was copied has other times and the same contents, so contents decide.
    """
    if list(stamps)[: len(known)] != sorted(known, key=run_order):
        return False
    return all(stamps[run] == known[run] or _same_body(root, index, run) for run in known)


def _same_body(root: Path, index: Index, run: str) -> bool:
    (body,) = index.connection.execute("SELECT body FROM runs WHERE id = ?", (run,)).fetchone()
    return bool(body == files.read(root / runs.RUNS / run / runs.RUN))


def _forward(
    root: Path, index: Index, missing: list[str], summarise: Summarise, measure: Measuring
) -> Index:
    try:
        fresh = copy(root, index)
    except JmreportError:
        fresh = Index(_connect(""))
        index.connection.backup(fresh.connection)
    index.close()
    return _filled(root, fresh, missing, summarise, measure)


def _anew(root: Path, stamps: Iterable[str], summarise: Summarise, measure: Measuring) -> Index:
    maker, path = made_by(summarise, measure), files.temporary(root / NAME)
    try:
        fresh = Index(_fresh(str(path), maker), path)
    except sqlite3.Error:
        fresh = _private(maker)
    return _filled(root, fresh, stamps, summarise, measure, anew=True)


def _filled(
    root: Path,
    fresh: Index,
    missing: Iterable[str],
    summarise: Summarise,
    measure: Measuring,
    *,
    anew: bool = False,
) -> Index:
    try:
        if anew:
            fresh.take_in_carried(root, summarise, measure)
        for run in missing:
            fresh.take_in(root, run, summarise, measure)
        fresh.connection.commit()
    except BaseException:
        fresh.discard()
        raise
    try:
        fresh.commit(root / NAME)
    except JmreportError:
        # A cache that cannot be kept is still a cache: this process goes on with it.
        fresh.forget_place()
    return fresh


def _private(maker: str) -> Index:
    return Index(_fresh("", maker))


def _fresh(path: str, maker: str) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        connection.executescript(_TABLES + measured.TABLE)
        connection.execute("INSERT INTO meta VALUES ('made by', ?)", (maker,))
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, uri=path.startswith("file:"), check_same_thread=False)
    _prepare(connection)
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    # Nothing is ever rolled back: a copy that was not finished is thrown away.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -16384")


def _entry(row: tuple[str, str, str, int, str, str, bytes, str, str, str]) -> Entry:
    _, run, shard, line, digest, row_digest, body, first_run, last_run, told_run = row
    return Entry(
        row=_decode_row(body),
        run=run,
        shard=shard,
        line=line,
        digest=digest,
        row_digest=row_digest,
        first_run=first_run,
        last_run=last_run,
        told_run=told_run,
    )
