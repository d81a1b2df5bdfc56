"""What the site's pages were made of: `.jmreport/pages`, by which unchanged pages are left alone.

    pages:  owner | content | kept | files
            jobs/a1-….html | 5f0c… | 1 | [[8, "html", 20481, 77ab…], [8, "json", 9120, 01fe…]]

    nights: run | settings | summary | body
    diffs:  name | body
    seals:  body
    briefs: job | row | mark | short id | archived | submitted
    lists:  name | look | pages
    strangers: owner
    seen:   body
    settled: number | body
    jobs, links, words: jmreport/remembered.py; ids: render/spelled.py

A job's page owns the files beside it. `content` is the digest of what went into the owner, `kept`
is 1 for what is never removed, and 2 where a page only leads to the one that a job has now.
`files` are, of each, how many characters of its address the owner's begins with, the rest of it,
its size and the digest of its own bytes: a line a page, since most of what is known of 100,000 jobs
would be addresses otherwise. `nights` keeps what the page of each night is made of, as it was told
then; `settings` is the digest of those that it depends on. `diffs` keeps what the pages of
differences that somebody asked for are made of; `seals` holds one at most (render/seal.py). `seen`
says what all pages of jobs were made of (render/looking.py), and the tables of
jmreport/remembered.py with what; `briefs` keep what lists show of each listed job, `lists` how the
full pages of a list look and how many it has (render/standing.py); `strangers` are pages of jobs
that no snapshot tells of any more. `settled` is what was counted of jobs that change no more
(analysis/settled.py): 0 says as of which state, 1 is its head, and its batches follow. One
transaction a run: its end is the commit point, and a run that is killed leaves the ledger of the
run before.

Of a ledger of another version only that is kept which nobody could make again: `nights`, `diffs`,
and the lines of pages, as far as they can be read, with their ids. Columns that are not known here
are left out of `nights` and `diffs`. All else tells of pages that another program may have written
since, and would have them left as they are.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, takewhile
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from jmreport.errors import DamagedError, JmreportError, LockedError
from jmreport.remembered import TABLES, After, Memory
from jmreport.render import mending, spelled
from jmreport.render.files import WrittenFile

_TABLE = """
CREATE TABLE IF NOT EXISTS pages (
  owner TEXT PRIMARY KEY, content TEXT NOT NULL, kept INTEGER NOT NULL, files BLOB NOT NULL
) WITHOUT ROWID
"""
_NIGHTS = """
CREATE TABLE IF NOT EXISTS nights (
  run TEXT PRIMARY KEY, settings TEXT NOT NULL, summary BLOB NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID
"""
_DIFFS = """
CREATE TABLE IF NOT EXISTS diffs (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID
"""
_SEALS = "CREATE TABLE IF NOT EXISTS seals (body BLOB NOT NULL)"
_BRIEFS = """
CREATE TABLE IF NOT EXISTS briefs (
  number INTEGER PRIMARY KEY, job TEXT NOT NULL, row BLOB, mark BLOB, short TEXT,
  archived INTEGER, submitted REAL
)
"""
_BRIEF = "row, mark, short, archived, submitted"
_LISTS = """
CREATE TABLE IF NOT EXISTS lists (
  name TEXT PRIMARY KEY, look TEXT NOT NULL, pages INTEGER NOT NULL
) WITHOUT ROWID
"""
_STRANGERS = "CREATE TABLE IF NOT EXISTS strangers (owner TEXT PRIMARY KEY) WITHOUT ROWID"
_SEEN = "CREATE TABLE IF NOT EXISTS seen (body BLOB NOT NULL)"
_SETTLED = "CREATE TABLE IF NOT EXISTS settled (number INTEGER PRIMARY KEY, body BLOB NOT NULL)"
_BY_JOB = (
    "CREATE UNIQUE INDEX briefs_by_job ON briefs (job)",
    "CREATE INDEX briefs_archived ON briefs (job) WHERE archived",
)
#: Pages of it that are kept in memory, in KiB: those of 100,000 jobs are written in no order.
_CACHE = "PRAGMA cache_size = -8192"
#: How it is laid out.
VERSION = 2
#: The version that had a line a file.
_OLD = 1
#: What tells of pages, with its columns.
_OF_PAGES = {"pages": ["owner", "content", "kept", "files"], "ids": ["owner", "id"]}
#: What was told once, with its columns.
_TOLD = {
    "nights": (_NIGHTS, ["run", "settings", "summary", "body"]),
    "diffs": (_DIFFS, ["name", "body"]),
}
#: What saves time, as long as the pages are those that it was told with.
_SAVING = ("seals", "briefs", "lists", "strangers", "seen", "settled", *TABLES)
#: Its name within the site's own folder.
NAME = "pages"


#: What `kept` is of a page that leads to where a job's page is now.
_MOVED = 2
#: Which lines are of jobs' pages, and of those that lead to them.
_OF_JOBS = "pages.kept = 1 AND pages.owner >= 'jobs/' AND pages.owner < 'jobs0'"
_OF_MOVED = f"pages.kept = {_MOVED} AND pages.owner >= 'jobs/' AND pages.owner < 'jobs0'"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[tuple[int, str, int, bytes], ...]).decode


def _moved_to(now: str) -> str:
    """Whether a line of `now` is of the page that a job has, and that of `pages` of the one that it
    had: where its id is too long for its address, that has 8 digits more."""
    was = "substr(pages.owner, 1, length(pages.owner) - 5)"  # without .html
    return (
        f"{now}.owner > {was} || '/' AND {now}.owner < {was} || 'g' "
        f"AND length({now}.owner) = length(pages.owner) + 8"
    )


def _grouped(rows: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for owner, other in rows:
        found.setdefault(owner, []).append(other)
    return found


def packed(owner: str, files: Iterable[WrittenFile]) -> bytes:
    """An owner's files as its line keeps them."""
    return _encode([_packed(owner, file) for file in files])


def _packed(owner: str, file: WrittenFile) -> tuple[int, str, int, bytes]:
    # What a page owns is called as it is, but for what comes behind the last dot.
    same = owner.removesuffix("html")
    alike = len(same) if file.address.startswith(same) else 0
    return alike, file.address[alike:], file.size, bytes.fromhex(file.sum)


def unpacked(owner: str, files: bytes) -> Iterator[WrittenFile]:
    """An owner's files, in the order in which they were put; sqlite3.DatabaseError for no such."""
    try:
        found = _decode(files)
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
        raise sqlite3.DatabaseError(f"the files of {owner} cannot be told: {error}") from error
    for alike, rest, size, total in found:
        yield WrittenFile(address=owner[:alike] + rest, size=size, sum=total.hex())


def _told(owner: str, files: bytes) -> tuple[WrittenFile, ...] | None:
    """The same; None where that cannot be told, so that the page is made again."""
    try:
        return tuple(unpacked(owner, files))
    except sqlite3.DatabaseError:
        return None


#: The lines of a ledger that had a line a file, brought together by their owners.
_OF_FILES = "SELECT owner, content, kept, address, size, sum FROM files ORDER BY owner, address"
_Line = tuple[str, str, int, bytes]


def _lines_of_files(database: sqlite3.Connection) -> Iterator[_Line]:
    for (owner, content, kept), files in groupby(database.execute(_OF_FILES), itemgetter(0, 1, 2)):
        try:
            found = [
                WrittenFile(address=name, size=size, sum=total) for *_, name, size, total in files
            ]
            yield owner, content, kept, packed(owner, found)
        except ValueError as error:  # a sum that is none
            raise sqlite3.DatabaseError(f"the files of {owner} cannot be told") from error


def _bring_forward(database: sqlite3.Connection) -> None:
    """A line a page of what had a line a file: pages of jobs long gone are told of nowhere else."""
    lines = [*_lines_of_files(database)]
    database.executemany("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?)", lines)
    database.execute("DROP TABLE files")


def _forget_but_told(database: sqlite3.Connection, version: int) -> None:
    """Leaves of a ledger of another version what nobody could make again."""
    # No line of which nobody knows what it says. Whatever else a line of a page may say, a page
    # that is not as it was is made again.
    going = {table for table, columns in _OF_PAGES.items() if _columns(database, table) != columns}
    if version == _OLD:  # beside a line a file, it is what a later version left there
        going.add("pages")
    for table in (*going, *_SAVING):
        database.execute(f"DROP TABLE IF EXISTS {table}")
    database.execute(_TABLE)
    database.execute(spelled.TABLE)
    if version == _OLD and _columns(database, "files"):  # none of one that was mended
        _bring_forward(database)
    for table, (made, columns) in _TOLD.items():
        _take_over(database, table, made, columns)
    # A page's address says whose it is: what was remembered of its id holds as long as the page.
    database.execute("DELETE FROM ids WHERE owner NOT IN (SELECT owner FROM pages)")


def _take_over(database: sqlite3.Connection, table: str, made: str, columns: Sequence[str]) -> None:
    """What can be read of a table that another version made, in a table of this one's."""
    there = _columns(database, table)
    if there in ([], columns):
        return
    database.execute(f"ALTER TABLE {table} RENAME TO former")
    database.execute(made)
    if {*columns} <= {*there}:
        names = ", ".join(columns)
        database.execute(f"INSERT OR IGNORE INTO {table} SELECT {names} FROM former")  # noqa: S608 - names of ours
    database.execute("DROP TABLE former")


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    """The names of a table's columns; none where there is no such table."""
    return [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]


def files_of(database: sqlite3.Connection) -> Iterator[tuple[str, WrittenFile]]:
    """(owner, file) of every file that a ledger of either version tells of, sorted by owners."""
    rows: Iterable[tuple[str, bytes]]
    if database.execute("PRAGMA user_version").fetchone()[0] == _OLD:
        rows = ((owner, files) for owner, _, _, files in _lines_of_files(database))
    else:
        rows = database.execute("SELECT owner, files FROM pages ORDER BY owner")
    for owner, files in rows:
        for file in unpacked(owner, files):
            yield owner, file


class Brief(NamedTuple):
    """What is remembered of a listed job for lists.

    `row` is the digest of all by which it stands in one and not in another. `mark` is that of what
    they show of it, its `short` id among it, None where that is not known; `submitted` is in
    seconds since 1970, None where nobody says when it was.
    """

    row: bytes
    mark: bytes | None
    short: str
    archived: bool
    submitted: float | None


class Ledger:
    """The ledger, open for one run; leaving the context without `commit` changes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = self._open()
        self._no_jobs = False

    def _open(self) -> sqlite3.Connection:
        try:
            return self._begun()
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise LockedError(
                    f"another run is writing {self._path.parent.parent}",
                    hint="wait until it is done",
                ) from error
            raise JmreportError(
                f"{self._path} cannot be opened: {error}",
                hint="let this user write there",
            ) from error
        except sqlite3.DatabaseError:
            # Without what cannot be read of it pages are written again, and nights are told again.
            mending.mend(self._path)
            return self._begun()

    def _begun(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=0.2, isolation_level=None)
        try:
            database.execute(_CACHE)
            database.execute("BEGIN IMMEDIATE")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                _forget_but_told(database, version)
            database.execute(_TABLE)
            database.execute(f"PRAGMA user_version = {VERSION}")
            database.execute(_NIGHTS)
            database.execute(_DIFFS)
            for table in (_SEALS, _BRIEFS, _LISTS, _STRANGERS, _SEEN, _SETTLED, spelled.TABLE):
                database.execute(table)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        """Raises DamagedError where the ledger turned out to be damaged; it is mended then."""
        self._database.close()
        if isinstance(error, sqlite3.DatabaseError) and mending.is_damaged(self._path):
            mending.mend(self._path)
            raise DamagedError(
                f"{self._path} was damaged ({error})",
                hint="what could be read of it is kept: run the same again",
            ) from error

    def files(self, owner: str) -> tuple[str, tuple[tuple[str, int], ...]]:
        """What an owner was made of, and its files with their sizes; "" where it isn't known."""
        return self.known((owner,)).get(owner, ("", ()))

    def known(self, owners: Sequence[str]) -> dict[str, tuple[str, tuple[tuple[str, int], ...]]]:
        """The same of those of some hundred owners that are known."""
        marks = ", ".join("?" * len(owners))
        rows = self._database.execute(
            f"SELECT owner, content, files FROM pages WHERE owner IN ({marks})",  # noqa: S608
            owners,
        )
        return {
            owner: (content, tuple((file.address, file.size) for file in told))
            for owner, content, files in rows
            if (told := _told(owner, files)) is not None
        }

    def put(self, owner: str, content: str, files: Iterable[WrittenFile], *, kept: bool) -> None:
        """Remembers an owner's files in place of those that it had."""
        self._put(owner, content, files, int(kept))

    def _put(self, owner: str, content: str, files: Iterable[WrittenFile], kept: int) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?)",
            (owner, content, kept, packed(owner, files)),
        )

    def removable(self) -> Iterator[str]:
        """Owners of what may go when nothing plans it any more."""
        rows = self._database.execute("SELECT owner FROM pages WHERE NOT kept").fetchall()
        yield from (owner for (owner,) in rows)

    def lasting(self, *prefixes: str) -> list[str]:
        """Pages that are never removed, whose addresses begin with one of these."""
        found = set[str]()
        for beginning in prefixes:  # a range each: most of such pages are jobs'
            rows = self._database.execute(
                "SELECT owner FROM pages WHERE kept AND owner >= ? ORDER BY owner", (beginning,)
            )
            owners = (owner for (owner,) in rows)
            found.update(takewhile(lambda owner: owner.startswith(beginning), owners))  # noqa: B023 - used at once
        return sorted(found)

    def has_jobs(self) -> bool:
        """Whether any page of a job is known."""
        query = f"SELECT 1 FROM pages WHERE {_OF_JOBS} LIMIT 1"  # noqa: S608 - words of ours
        return self._database.execute(query).fetchone() is not None

    def expect_jobs(self) -> None:
        """Makes room for the jobs that are known now. On disk if many, and for this run only."""
        # Of pages that are all of this run none can be of a job that nobody knows.
        self._no_jobs = not self.has_jobs()
        self._database.execute("CREATE TEMP TABLE known (owner TEXT PRIMARY KEY) WITHOUT ROWID")

    def note_job(self, owner: str) -> None:
        """A job is known, whose page this is."""
        if not self._no_jobs:
            self._database.execute("INSERT OR IGNORE INTO known VALUES (?)", (owner,))

    def jobs_gone(self) -> frozenset[str]:
        """Pages of jobs that were not noted since `expect_jobs`."""
        if self._no_jobs:
            return frozenset()
        rows = self._database.execute(
            f"SELECT owner FROM pages WHERE {_OF_JOBS} "  # noqa: S608 - words of ours
            "AND owner NOT IN (SELECT owner FROM known)"
        ).fetchall()
        return frozenset(owner for (owner,) in rows)

    def moved(self) -> dict[str, list[str]]:
        """Of pages of jobs that were not noted, those whose jobs have a page elsewhere since, with
        where that is: of jobs that shared one there are several."""
        if self._no_jobs:
            return {}
        return _grouped(
            self._database.execute(
                f"SELECT pages.owner, known.owner FROM pages JOIN known ON {_moved_to('known')} "  # noqa: S608 - words of ours
                f"WHERE {_OF_JOBS} AND pages.owner NOT IN (SELECT owner FROM known) "
                "ORDER BY known.owner"
            )
        )

    def put_moved(self, owner: str, file: WrittenFile) -> None:
        """Remembers a page that leads to where a job's page is now."""
        self._put(owner, file.sum, (file,), _MOVED)

    def led_to(self) -> dict[str, list[str]]:
        """Pages that lead to where a job's page is now, and where that is."""
        return _grouped(
            self._database.execute(
                f"SELECT pages.owner, now.owner FROM pages JOIN pages AS now ON {_moved_to('now')} "  # noqa: S608 - words of ours
                f"WHERE {_OF_MOVED} AND now.kept = 1"
            )
        )

    def memory(self) -> Memory:
        """What is remembered of the jobs that pages were made of, in this ledger's transaction."""
        return Memory(self._database)

    def ids(self, going: Collection[str] = ()) -> spelled.Ids:
        """The jobs that have a page, but for those that are going, in this ledger's transaction."""
        return spelled.Ids(self._database, going)

    def sizes_of_jobs(self, behind: str = "") -> Iterator[tuple[str, list[tuple[str, int]]]]:
        """(owner, [(address, size) …]) of the files of jobs' pages, in the order of their owners.

        From those `behind` a page on. The size is -1 for a page of which the files cannot be told:
        no file is as large.
        """
        query = f"SELECT owner, files FROM pages WHERE {_OF_JOBS} AND owner > ? ORDER BY owner"  # noqa: S608
        for owner, files in self._database.execute(query, (behind,)):
            try:
                told = _decode(files)
            except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
                yield owner, [(owner, -1)]
                continue
            yield owner, [(owner[:alike] + rest, size) for alike, rest, size, _ in told]

    def strangers(self) -> frozenset[str]:
        """Pages of jobs of which nothing was known any more."""
        return frozenset(owner for (owner,) in self._database.execute("SELECT * FROM strangers"))

    def set_strangers(self, owners: Iterable[str]) -> None:
        """Remembers these in place of those."""
        self._database.execute("DELETE FROM strangers")
        self._database.executemany(
            "INSERT INTO strangers VALUES (?)", ((owner,) for owner in owners)
        )

    def seen(self) -> bytes:
        """What all pages of jobs were made of; b"" where nobody knows."""
        found = self._database.execute("SELECT body FROM seen").fetchone()
        return b"" if found is None else bytes(found[0])

    def set_seen(self, body: bytes) -> None:
        """Remembers that in place of what it was; b"" forgets it."""
        self._database.execute("DELETE FROM seen")
        if body:
            self._database.execute("INSERT INTO seen VALUES (?)", (body,))

    def set_settled(self, told: bytes, after: After) -> None:
        """Remembers what was counted of jobs that settled; `told` says as of which state."""
        if after.anew:
            self.forget_settled()
        self._database.executemany(
            "INSERT OR REPLACE INTO settled VALUES (?, ?)", ((0, told), (1, after.head))
        )
        if after.batch:
            # Behind the last of them.
            self._database.execute("INSERT INTO settled (body) VALUES (?)", (after.batch,))

    def forget_settled(self) -> None:
        """Every job is to be counted again."""
        self._database.execute("DELETE FROM settled")

    def begin_briefs(self) -> None:
        """Forgets what lists show: of each listed job it is to be put once, before `end_briefs`."""
        self._database.execute("DROP TABLE briefs")
        self._database.execute(_BRIEFS)

    def end_briefs(self) -> None:
        """All of them were put."""
        for statement in _BY_JOB:
            self._database.execute(statement)

    def put_brief(self, job: str, brief: Brief) -> None:
        """Remembers what lists show of a job, in place of what it was."""
        self._database.execute(
            f"INSERT OR REPLACE INTO briefs (job, {_BRIEF}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
            (job, *brief),
        )

    def mark_brief(self, job: str, mark: bytes, short: str) -> None:
        """Remembers the digest of what lists show of a job of which all else is there."""
        query = "UPDATE briefs SET mark = ?, short = ? WHERE job = ?"
        self._database.execute(query, (mark, short, job))

    def forget_brief(self, job: str) -> None:
        """A job is listed no more."""
        self._database.execute("DELETE FROM briefs WHERE job = ?", (job,))

    def forget_marks(self) -> None:
        """Lists show something else of all jobs."""
        self._database.execute("UPDATE briefs SET mark = NULL")

    def briefs(self, jobs: Sequence[str]) -> dict[str, Brief]:
        """What is remembered of those of some hundred jobs that are listed."""
        marks = ", ".join("?" * len(jobs))
        query = f"SELECT job, {_BRIEF} FROM briefs WHERE job IN ({marks})"  # noqa: S608
        return {
            job: Brief(row, mark, short, bool(archived), submitted)
            for job, row, mark, short, archived, submitted in self._database.execute(query, jobs)
        }

    def archived(self) -> Iterator[str]:
        """The listed jobs that somebody has put aside."""
        rows = self._database.execute("SELECT job FROM briefs WHERE archived").fetchall()
        yield from (job for (job,) in rows)

    def listed(self) -> int:
        """How many jobs are listed."""
        (number,) = self._database.execute("SELECT count(*) FROM briefs").fetchone()
        return int(number)

    def lists(self) -> dict[str, tuple[str, int]]:
        """What full pages of a list begin with -> how they look, and how many there are."""
        rows = self._database.execute("SELECT name, look, pages FROM lists")
        return {name: (look, pages) for name, look, pages in rows}

    def set_lists(self, lists: Mapping[str, tuple[str, int]]) -> None:
        """Remembers these in place of those."""
        self._database.execute("DELETE FROM lists")
        self._database.executemany(
            "INSERT INTO lists VALUES (?, ?, ?)", ((name, *of) for name, of in lists.items())
        )

    def sizes_of(self, beginning: str) -> Iterator[tuple[str, int]]:
        """(address, size) of the files of owners that begin like this."""
        rows = self._database.execute(
            "SELECT owner, files FROM pages WHERE owner >= ? AND owner < ?",
            (beginning, f"{beginning}\U0010ffff"),
        )
        for owner, files in rows:
            yield from ((file.address, file.size) for file in _told(owner, files) or ())

    def nights(self) -> Iterator[str]:
        """The runs whose nights are remembered."""
        rows = self._database.execute("SELECT run FROM nights ORDER BY run").fetchall()
        yield from (run for (run,) in rows)

    def night(self, run: str) -> bytes | None:
        """What a night's page is made of; None where it is not known.

        Asked of this connection: another one can be locked out while much is being written.
        """
        found = self._database.execute("SELECT body FROM nights WHERE run = ?", (run,)).fetchone()
        return None if found is None else bytes(found[0])

    def forget_night(self, run: str) -> None:
        """Drops what a night's page was made of."""
        self._database.execute("DELETE FROM nights WHERE run = ?", (run,))

    def forget_diff(self, name: str) -> None:
        """Drops what the page of a difference was made of."""
        self._database.execute("DELETE FROM diffs WHERE name = ?", (name,))

    def forget(self, owner: str) -> None:
        """Drops a page whose files were removed."""
        for table in ("pages", "ids"):
            self._database.execute(f"DELETE FROM {table} WHERE owner = ?", (owner,))  # noqa: S608

    def put_night(self, run: str, settings: str, summary: bytes, body: bytes) -> None:
        """Remembers what a night's page is made of."""
        self._database.execute(
            "INSERT OR REPLACE INTO nights VALUES (?, ?, ?, ?)", (run, settings, summary, body)
        )

    def put_diff(self, name: str, body: bytes) -> None:
        """Remembers what the page of two runs' difference is made of."""
        self._database.execute("INSERT OR REPLACE INTO diffs VALUES (?, ?)", (name, body))

    def diffs(self) -> Iterator[bytes]:
        """What each page of a difference is made of, in the order of their names."""
        rows = self._database.execute("SELECT body FROM diffs ORDER BY name").fetchall()
        yield from (body for (body,) in rows)

    def diff_names(self) -> list[str]:
        """The pages of which `diffs` tells."""
        return [name for (name,) in self._database.execute("SELECT name FROM diffs")]

    def all_sizes(self) -> Iterator[tuple[str, int]]:
        """(address, size) of every file; -1 for a page of which the files cannot be told."""
        for owner, files in self._database.execute("SELECT owner, files FROM pages"):
            told = _told(owner, files)
            if told is None:
                yield owner, -1
                continue
            for file in told:
                yield file.address, file.size

    def seal(self) -> bytes:
        """The site's seal as it was set; b"" where it is broken."""
        found = self._database.execute("SELECT body FROM seals").fetchone()
        return b"" if found is None else bytes(found[0])

    def set_seal(self, body: bytes) -> None:
        """Seals the site, in place of the seal that it has; b"" breaks that."""
        self._database.execute("DELETE FROM seals")
        if body:
            self._database.execute("INSERT INTO seals VALUES (?)", (body,))

    def commit(self) -> None:
        """Makes everything since the ledger was opened last: the run's commit point."""
        try:
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise JmreportError(
                f"{self._path} cannot be written: {error}", hint="free some space and run it again"
            ) from error
