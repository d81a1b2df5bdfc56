"""One state of the index: what it is asked, and what is put into it.

Its file, and the tables in it, are of `index`.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from math import inf
from pathlib import Path

import msgspec

from jmreport import attempts
from jmreport.errors import JmreportError
from jmreport.records import Entry, JobRow, Measure, Run, run_order
from jmreport.remembered import StoreState
from jmreport.sharing import Sharing
from jmreport.short_ids import form, short_ids
from jmreport.snapshots import files, measured, runs
from jmreport.snapshots.carried import Origin
from jmreport.snapshots.summaries import Line, Source

#: Pages that are kept, in KiB: who only reads goes through them in order, or looks for few.
READING = "PRAGMA cache_size = -1024"
#: Rows that are read at a time: what streaming takes.
_ROWS = 500


# The cross join has SQLite go through the entries in the order that is asked for.
_ENTRY = (
    "SELECT run, shard, line, digest, row_digest, row, first_run, last_run, told_run, "
    "ended_run FROM entries CROSS JOIN seen USING (number) "
)
#: The same, in the order in which jobs were seen: of few among all of them.
_SEEN = _ENTRY.replace("entries CROSS JOIN seen", "seen CROSS JOIN entries")
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
        self._numbers: dict[str, int] = {}
        self._names = _Names(connection)
        #: Whether a run is usable; and what tells which reported, while no run comes or goes.
        self._usable: dict[str, bool] = {}
        self._reported: attempts.Reported | None = None
        #: What jobs are told as, while none comes or goes.
        self._following = attempts.Following()

    def close(self) -> None:
        self.connection.close()

    def runs(self) -> list[tuple[str, bytes]]:
        """(id, run.json) of every run, oldest first."""
        rows = self.connection.execute("SELECT id, body FROM runs").fetchall()
        return sorted(rows, key=lambda row: run_order(row[0]))

    def stamps(self) -> dict[str, str]:
        return dict(self.connection.execute("SELECT id, stamp FROM runs"))

    def entry(self, job: str) -> Entry | None:
        return next(self._read("WHERE entries.id = ?", (job,)), None)

    def has(self, job: str) -> bool:
        """Whether a job is known."""
        query = "SELECT 1 FROM entries WHERE id = ?"
        return self.connection.execute(query, (job,)).fetchone() is not None

    def count(self) -> int:
        """How many jobs are known."""
        (number,) = self.connection.execute("SELECT count(*) FROM entries").fetchone()
        return int(number)

    def places(self) -> Iterator[tuple[str, int, str]]:
        """(shard, line, id) of every job's newest record, in the order of the files."""
        found = self.connection.execute("SELECT DISTINCT shard FROM entries").fetchall()
        for name in sorted(self.name(number) for (number,) in found):
            yield from self.connection.execute(
                "SELECT ?, line, id FROM entries WHERE shard = ? ORDER BY line",
                (name, self.number(name)),
            )

    def lines_of(self, shard: str) -> frozenset[int]:
        """The lines of a shard that are jobs' newest records."""
        rows = self.connection.execute(
            "SELECT line FROM entries WHERE shard = ?", (self.number(shard),)
        )
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
        for run in sorted(self._writers(), key=run_order, reverse=not oldest_first):
            number = self.number(run)
            yield from self._read(f"WHERE run = ? ORDER BY shard {way}, line {way}", (number,))

    def _writers(self) -> list[str]:
        """The runs that wrote the newest record of any job."""
        written = self.connection.execute("SELECT DISTINCT run FROM entries").fetchall()
        return [self.name(number) for (number,) in written]

    def by_submission(self) -> Iterator[Entry]:
        """Every job, the oldest submission first and those without one before; backwards by id."""
        return self._read("ORDER BY submitted, entries.id DESC")

    def submitted(self, since: float, before: float, *, upto: str | None = None) -> Iterator[Entry]:
        """The jobs submitted from then until before then, the oldest first.

        Of those alone that no run behind `upto` wrote the newest record of, if it is given.
        """
        runs = self._writers() if upto is not None else []
        edge = run_order(upto or "")
        numbers = [self.number(run) for run in runs if run_order(run) > edge]
        early = f"run NOT IN ({', '.join('?' * len(numbers))})"
        if since == -inf < before:
            which = f"WHERE submitted IS NULL AND {early} ORDER BY entries.id DESC"
            yield from self._read(which, numbers)
        which = f"WHERE submitted >= ? AND submitted < ? AND {early} "
        order = "ORDER BY submitted, entries.id DESC"
        yield from self._read(which + order, (since, before, *numbers))

    def submitted_before(self, at: float) -> int:
        """How many jobs were submitted before then, or do not say when."""
        if at == -inf:
            return 0
        query = "SELECT count(*) FROM entries WHERE submitted < ?"
        silent = "SELECT count(*) FROM entries WHERE submitted IS NULL"
        found = (
            *self.connection.execute(query, (at,)).fetchone(),
            *self.connection.execute(silent).fetchone(),
        )
        return sum(map(int, found))

    def found_by(self, runs: Iterable[str]) -> int:
        """How many jobs one of these runs was the last to find."""
        numbers = [self.number(run) for run in runs]
        marks = ", ".join("?" * len(numbers))
        query = f"SELECT count(*) FROM seen WHERE last_run IN ({marks})"  # noqa: S608 - only marks
        (found,) = self.connection.execute(query, numbers).fetchone()
        return int(found)

    def knows(self, job: str) -> bool:
        """Whether anything is stored of a job."""
        found = self.connection.execute("SELECT 1 FROM entries WHERE id = ?", (job,))
        return found.fetchone() is not None

    def of(self, jobs: Iterable[str]) -> dict[str, Entry]:
        """Those of these jobs that are known, by their ids."""
        wanted = list(dict.fromkeys(jobs))
        found = {
            entry.row.id: entry
            for some, marks in _by_the_hundred(wanted)
            for entry in self._read(f"WHERE entries.id IN ({marks})", some)
        }
        return {job: found[job] for job in wanted if job in found}

    def below(self, jobs: Iterable[str]) -> Iterator[Entry]:
        """The jobs that no list names and whose parent is one of these."""
        for some, marks in _by_the_hundred(list(dict.fromkeys(jobs))):
            found: dict[str | None, list[Entry]] = {}
            which = f"WHERE above IN ({marks}) AND above IS NOT NULL ORDER BY entries.id"
            for entry in self._read(which, some):
                found.setdefault(entry.row.parent, []).append(entry)
            for job in some:
                yield from found.get(job, ())

    def short_ids(self, jobs: Iterable[str]) -> dict[str, str]:
        """Whole id -> its short form; found among the ids of the same form."""
        wanted = list(jobs)
        found = short_ids(self.alike(wanted))
        return {job: found[job] for job in wanted if job in found}

    def alike(self, jobs: Iterable[str]) -> set[str]:
        """Ids of all jobs that have the same shortest form as one of these."""
        found = set[str]()
        for some, marks in _by_the_hundred(sorted({form(job) for job in jobs})):
            query = f"SELECT id FROM entries WHERE form IN ({marks})"  # noqa: S608 - only marks
            found.update(one for (one,) in self.connection.execute(query, some))
        return found

    def ids_between(self, since: str, before: str) -> list[str]:
        """The ids from one on until before another, sorted."""
        found = self.connection.execute(
            "SELECT id FROM entries WHERE id >= ? AND id < ? ORDER BY id", (since, before)
        )
        return [job for (job,) in found]

    def missed(self, run: str, since: datetime | None) -> Iterator[Entry]:
        """The jobs that were submitted since then, and that this run did not find."""
        number = self.number(run)
        if since is not None:
            return self._read(
                "WHERE submitted >= ? AND last_run <> ? ORDER BY submitted DESC, entries.id",
                (since.timestamp(), number),
            )
        which = "WHERE last_run <> ? ORDER BY entries.id"
        return self._read(which, (number,), entries=_SEEN)

    def _read(
        self, which: str, values: Sequence[object] = (), *, entries: str = _ENTRY
    ) -> Iterator[Entry]:
        cursor = self.connection.execute(entries + which, values)
        while rows := cursor.fetchmany(_ROWS):
            some = [*map(self._entry, rows)]
            yield from self._following.told(some, self._first_seen, self._reporting)

    def _first_seen(self, since: str, before: str) -> list[tuple[str, str]]:
        """(id, the run that saw it first) of the jobs whose ids lie in between."""
        found = self.connection.execute(
            "SELECT id, first_run FROM entries JOIN seen USING (number) WHERE id >= ? AND id < ?",
            (since, before),
        )
        return [(job, self._names[first]) for job, first in found]

    def _reporting(self, run: str) -> tuple[str, int] | None:
        """The place among runs of the first usable one from a run on; None where there is none."""
        if self._reported is None:
            found = self.connection.execute("SELECT id FROM runs").fetchall()
            usable = [run for (run,) in found if self._is_usable(run)]
            self._reported = attempts.reported_by([*self._gone(), *usable])
        return self._reported(run)

    def _is_usable(self, run: str) -> bool:
        if run not in self._usable:
            found = self.connection.execute("SELECT body FROM runs WHERE id = ?", (run,))
            self._usable[run] = runs.decode(found.fetchone()[0], Path(run)).usable
        return self._usable[run]

    def _gone(self) -> list[str]:
        """The usable ones of the runs that were pruned."""
        found = self.connection.execute("SELECT value FROM meta WHERE key = 'gone'").fetchone()
        return [] if found is None else str(found[0]).split()

    def _entry(self, row: tuple[int, int, int, bytes, bytes, bytes, int, int, int, int]) -> Entry:
        run, shard, line, digest, row_digest, body, first_run, last_run, told_run, ended_run = row
        names = self._names
        return Entry(
            row=_decode_row(body),
            run=names[run],
            shard=names[shard],
            line=line,
            digest=digest.hex(),
            row_digest=row_digest.hex(),
            first_run=names[first_run],
            last_run=names[last_run],
            told_run=names[told_run],
            ended_run=names[ended_run] if ended_run else "",
        )

    def name(self, number: int) -> str:
        """The run or the shard of a number; "" where it has none."""
        return self._names[number]

    def number(self, name: str) -> int:
        """The number of a run or a shard; 0 where it has none."""
        if name not in self._numbers:
            found = self.connection.execute("SELECT number FROM names WHERE name = ?", (name,))
            for (number,) in found:
                self._numbers[name] = number
        return self._numbers.get(name, 0)

    def numbered(self, name: str) -> int:
        """The number of a run or a shard, which gets one where it has none. They grow."""
        number = self.number(name)
        if not number:
            cursor = self.connection.execute("INSERT INTO names (name) VALUES (?)", (name,))
            number = self._numbers[name] = int(cursor.lastrowid or 0)
        return number

    def measures(self, jobs: Iterable[str]) -> Iterator[tuple[str, tuple[Measure, ...]]]:
        """(id, what its tasks cost) of those of the jobs that are measured, in their order."""
        return measured.read(self.connection, jobs)

    def active(self) -> list[Entry]:
        """The jobs whose newest record says that they may still change."""
        return [*self._read("WHERE active ORDER BY entries.id")]

    def dump(self) -> Iterator[tuple[object, ...]]:
        """Everything it says but for the stamps of files, an empty row behind each table."""
        for query in (
            "SELECT id, body FROM runs ORDER BY id",
            "SELECT id, run.name, shard.name, line, digest, row_digest, active, parts, row, "
            "outcome, told.name, ended.name, submitted, above, form FROM entries "
            "JOIN names AS run ON run.number = run JOIN names AS shard ON shard.number = shard "
            "JOIN names AS told ON told.number = told_run "
            "LEFT JOIN names AS ended ON ended.number = ended_run ORDER BY id",
            "SELECT id, first.name, last.name FROM entries JOIN seen USING (number) "
            "JOIN names AS first ON first.number = first_run "
            "JOIN names AS last ON last.number = last_run ORDER BY id",
            "SELECT id, body FROM entries JOIN measures USING (number) ORDER BY id",
        ):
            yield from self.connection.execute(query)
            yield ()

    def put(self, told: Line, *, run: str, shard: str, line: int) -> None:
        """Take in a record that was written."""
        self._following.forget()
        wrote = self.numbered(run)
        number, since, was_active, ended = self._known_of(told.id, told.outcome)
        ended = ended_since(told.active, wrote, was_active=was_active, before=ended)
        values = (number, told.id, wrote, self.numbered(shard), line, *told[1:7], since or wrote)
        cursor = self.connection.execute(
            "INSERT OR REPLACE INTO entries "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, ended, told.submitted, told.above, told.form),
        )
        if number is None:
            number = int(cursor.lastrowid or 0)
            self.connection.execute("INSERT INTO seen VALUES (?, ?, ?)", (number, wrote, wrote))
        measured.put(self.connection, number, told.measures)

    def _known_of(self, job: str, told: str) -> tuple[int | None, int, bool, int]:
        """A job's number, the run since which its outcome is this, whether it was active, and the
        run that found it ended; None, zeros and False where it is new."""
        found = self.connection.execute(
            "SELECT number, CASE outcome WHEN ? THEN told_run ELSE 0 END, active, ended_run "
            "FROM entries WHERE id = ?",
            (told, job),
        ).fetchone()
        return (None, 0, False, 0) if found is None else found

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
                "UPDATE seen SET last_run = ? WHERE number IN "
                "(SELECT number FROM found CROSS JOIN entries USING (id))",
                (self.numbered(run),),
            )
        self.add_run(run, stamp, body)

    def mark_found(self, jobs: Iterable[str], run: str) -> None:
        """These jobs were found on the server by a run that is usable."""
        number = self.numbered(run)
        self.connection.executemany(
            "UPDATE seen SET last_run = ? WHERE number = (SELECT number FROM entries WHERE id = ?)",
            ((number, job) for job in jobs),
        )

    def take_in(self, root: Path, run: str, source: Source) -> None:
        """Take in a run from its files."""
        folder = root / runs.RUNS / run
        stored, body = runs.ended(folder)
        for shard, lines in source.shards(folder):
            name = shard.relative_to(root).as_posix()
            for line, told in enumerate(lines):
                self.put(told, run=run, shard=name, line=line)
        if stored.usable:
            self.mark_found(runs.found(folder), run)
        self.add_run(run, runs.stamp(folder), body)

    def is_sound(self) -> bool:
        """Whether its file is whole, as far as SQLite can tell without a look at every value."""
        try:
            return bool(self.connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
        except sqlite3.DatabaseError:
            return False

    def state(self) -> tuple[object, ...]:
        """Which runs, as of when, and who made it: two of the same say the same."""
        return (
            self.connection.execute("SELECT * FROM meta ORDER BY key").fetchall(),
            self.connection.execute("SELECT id, stamp FROM runs ORDER BY id").fetchall(),
        )

    def told(self) -> StoreState:
        """What made its rows, its last prune, and its runs as their run.json is."""
        return StoreState(
            made_by=self.made_by(),
            pruned=self.prune(),
            runs=tuple((run, _digest(body)) for run, body in self.runs()),
        )

    def made_by(self) -> str:
        """What made its rows."""
        (maker,) = self.connection.execute(
            "SELECT value FROM meta WHERE key = 'made by'"
        ).fetchone()
        return str(maker)

    def prune(self) -> str:
        """The stamp of the prune that it begins with; "" where nothing was pruned."""
        found = self.connection.execute("SELECT value FROM meta WHERE key = 'prune'").fetchone()
        return "" if found is None else str(found[0])

    def note_prune(self, stamp: str, gone: Iterable[Run]) -> None:
        """What was known of pruned runs is in; `gone` are all of these."""
        usable = " ".join(run.id for run in gone if run.usable)
        self.connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", (("prune", stamp), ("gone", usable))
        )
        self._reported = None

    def origins(self, shard: str) -> Iterator[tuple[int, Origin]]:
        """(line, what is known beside it) of the jobs whose newest record lies in a shard."""
        rows = self.connection.execute(
            "SELECT line, entries.id, run, first_run, last_run, told_run, ended_run "
            "FROM entries JOIN seen USING (number) WHERE shard = ? ORDER BY line",
            (self.number(shard),),
        )
        for line, job, *numbers, ended in rows:
            run, first_run, last_run, told_run = map(self.name, numbers)
            yield (
                line,
                Origin(
                    id=job,
                    run=run,
                    first_run=first_run,
                    last_run=last_run,
                    told_run=told_run,
                    ended_run=self.name(ended) if ended else "",
                ),
            )

    def ids(self) -> Iterator[str]:
        """The ids of all jobs that are known."""
        return (job for (job,) in self.connection.execute("SELECT id FROM entries"))

    def forget(self, job: str) -> None:
        """A job is known no more."""
        self._following.forget()
        found = self.connection.execute("SELECT number FROM entries WHERE id = ?", (job,))
        for each in found.fetchall():
            for table in ("entries", "seen", "measures"):
                self.connection.execute(f"DELETE FROM {table} WHERE number = ?", each)  # noqa: S608 - names of ours

    def forget_runs(self, gone: Iterable[str]) -> None:
        """These runs are known no more; what they had read of jobs stays."""
        self.connection.executemany("DELETE FROM runs WHERE id = ?", ((run,) for run in gone))
        self._reported = None

    def move(self, moved: Iterable[tuple[str, int, str, str, int]]) -> None:
        """(new shard, new line, job, shard, line): records that lie elsewhere now."""
        self.connection.executemany(
            "UPDATE entries SET shard = ?, line = ? WHERE id = ? AND shard = ? AND line = ?",
            (
                (self.numbered(to), at, job, self.number(shard), line)
                for to, at, job, shard, line in moved
            ),
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
        self._reported = None

    def commit(self, place: Path) -> None:
        """Make the copy the index. It stays open for reading. Raises JmreportError."""
        try:
            self.connection.commit()
            self.connection.execute(READING)
            self.connection.execute("PRAGMA shrink_memory")
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


class _Names(dict[int, str]):
    """Runs and shards by their numbers, read where one is asked for that is not there yet."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, number: int) -> str:
        self.update(self._connection.execute("SELECT number, name FROM names"))
        return self.get(number, "")


def ended_since(active: bool, run: int, *, was_active: bool, before: int) -> int:
    """The run that found a job ended after another had found it active; 0 where none did.

    `run` wrote its newest record, `before` is what was known by the one before that.
    """
    if active:
        return 0
    return run if was_active else before


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _by_the_hundred(values: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Some of the values at a time, and as many question marks."""
    for start in range(0, len(values), _ROWS):
        some = values[start : start + _ROWS]
        yield some, ", ".join("?" * len(some))


def broken(place: Path, error: sqlite3.Error) -> JmreportError:
    """The index could not be written, in one line."""
    # SQLite says so of a path that is too long for it, 512 bytes, as of one that is forbidden.
    unopened = "unable to open" in str(error)
    mend = "let this user write there, or choose a shorter path," if unopened else "free some space"
    return JmreportError(
        f"cannot write {place}: {error}",
        hint=f"{mend} and run again; the index is only a cache, the runs are whole",
    )
