"""What is remembered of all jobs from one night to the next, so that few of them are looked at.

    jobs     what there is to know of a job: a `Fact`
             "5f0c-…", first found by run 1, germline, 1795486440.0, 812.5 seconds, …
    links    jobs that name another as a part of them (below), or as what they are a part of
             "5f0c-…", below, named by "31aa-…"
    words    runs and workflows, which `jobs` names by number

These are tables of a database that somebody else opens and commits: a site's ledger. Of each job
they hold what pages of other jobs are told with, as it was when the pages were made: how long it
took, how the work stood that it did, and when it was seen last where the server has lost it. What
of that differs from what is known by now says whose pages may be others.
"""

import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from jmreport.attempts import place
from jmreport.history import History
from jmreport.records import Entry, run_order
from jmreport.report.jobs import JobContext

#: The tables by their names.
TABLES = ("jobs", "links", "words")
_TABLES = (
    "CREATE TABLE IF NOT EXISTS jobs (number INTEGER PRIMARY KEY, id TEXT NOT NULL, "
    "first INTEGER, workflow INTEGER, asked REAL, ends REAL, seconds REAL, "
    "work BLOB, ended INTEGER, failed INTEGER, seen INTEGER, unsure INTEGER)",
    "CREATE TABLE IF NOT EXISTS links (target TEXT, below INTEGER, job TEXT, "
    "PRIMARY KEY (target, below, job)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS words (number INTEGER PRIMARY KEY, word TEXT UNIQUE)",
)
_INDEXES = (
    "CREATE UNIQUE INDEX jobs_by_id ON jobs (id)",
    "CREATE INDEX jobs_by_asked ON jobs (workflow, asked) WHERE asked IS NOT NULL",
    "CREATE INDEX jobs_by_success ON jobs (workflow, ends, seconds) WHERE ends IS NOT NULL",
    "CREATE INDEX jobs_by_work ON jobs (work, ended) WHERE work IS NOT NULL",
    "CREATE INDEX jobs_lost ON jobs (id) WHERE seen IS NOT NULL",
    "CREATE INDEX jobs_unsure ON jobs (id) WHERE unsure",
)
_COLUMNS = "id, first, workflow, asked, ends, seconds, work, ended, failed, seen, unsure"
#: Rows that are written, and jobs that are asked for, together.
_ROWS = 500
#: More than the jobs of any work.
_ALL = 2**62
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class StoreState(Struct, frozen=True, kw_only=True):
    """A state of a store: what made its rows, its last prune, and (id, digest) of its runs."""

    made_by: str
    pruned: str
    runs: tuple[tuple[str, str], ...]

    def since(self, before: "StoreState") -> frozenset[str] | None:
        """The runs that came behind those of a former state; None where anything else changed."""
        known = len(before.runs)
        if (self.made_by, self.pruned) != (before.made_by, before.pruned):
            return None
        if self.runs[:known] != before.runs:
            return None
        return frozenset(run for run, _ in self.runs[known:])


class Fact(NamedTuple):
    """What pages of other jobs are told with of a job.

    `workflow` is (name, listed). `asked` is the end as of which its usual duration is told, None
    for one that has not ended. `ends` and `seconds` are those of a success to learn from; `work`,
    `ended` and `failed` tell how the work stands that it did, None where it does not tell. Times
    are seconds since 1970, `ended` and `seen` microseconds: exact in every year. `seen` is when a
    job was seen last that the server has lost. `unsure` is one whose end depends on the clock of
    the newest run.
    """

    id: str
    first: str
    workflow: tuple[str, bool]
    asked: float | None = None
    ends: float | None = None
    seconds: float | None = None
    work: bytes | None = None
    ended: int | None = None
    failed: bool = False
    seen: int | None = None
    unsure: bool = False

    @property
    def success(self) -> tuple[object, ...] | None:
        """What others learn from it; None where that is nothing."""
        return None if self.ends is None else (self.workflow, self.first, self.ends, self.seconds)

    @property
    def told(self) -> tuple[object, ...] | None:
        """What it says of its work; None where that is nothing."""
        return None if self.work is None else (self.work, self.ended, self.failed)


def microseconds(at: datetime) -> int:
    """An instant as a whole number, in the order of time.

    >>> microseconds(datetime(2026, 11, 23, 2, 14, 0, 5, tzinfo=UTC))
    1795400040000005
    """
    return (at - _BEGINNING) // _MICROSECOND


def instant_of(number: int) -> datetime:
    """The instant of such a number.

    >>> instant_of(1795400040000005).isoformat()
    '2026-11-23T02:14:00.000005+00:00'
    """
    return _BEGINNING + number * _MICROSECOND


class Unsettled(Exception):  # noqa: N818 (no error, but a way out: everything is read again)
    """Something that had settled may be another by now, or what was counted cannot be read."""


class Works(NamedTuple):
    """What jobs said of the work that they did, in a table with `work`, `ended`, `id`, `failed`.

    Pieces of work are named by their digests; `rows` answers a query, and raises what it raises.
    """

    rows: Callable[[str, Sequence[bytes]], Iterable[tuple[Any, ...]]]
    table: str

    def done(self, works: Iterable[bytes], others: Container[str]) -> Iterator[bytes]:
        """Those of the works that any job but these others may have done."""
        waiting = iter(works)
        while some := [*islice(waiting, _ROWS)]:
            marks = ", ".join("?" * len(some))
            query = (
                f"SELECT work, count(*), max(id) FROM {self.table} "  # noqa: S608 - names and marks
                f"WHERE work IN ({marks}) GROUP BY 1"
            )
            found = self.rows(query, some)
            yield from (work for work, number, job in found if number > 1 or job not in others)

    def told(self, work: bytes) -> Iterator[tuple[datetime, str, bool]]:
        """(ended, id, failed) of the jobs that did a piece of work, the last first."""
        query = (
            f"SELECT ended, id, failed FROM {self.table} "  # noqa: S608 - a name of ours
            "WHERE work = ? ORDER BY ended DESC, id DESC"
        )
        for ended, job, failed in self.rows(query, (work,)):
            yield instant_of(ended), job, bool(failed)


class Before(Protocol):
    """What is remembered of jobs that settled (analysis/settled.py), as of a former state.

    `history` is the one that is told of now, and `since` are the runs that came behind that state;
    `works` is what those jobs said of theirs. Whatever cannot be read raises Unsettled.
    """

    @property
    def history(self) -> "Growing": ...

    @property
    def head(self) -> bytes: ...

    @property
    def since(self) -> frozenset[str]: ...

    @property
    def works(self) -> Works: ...

    def batches(self) -> Iterator[bytes]:
        """What each night added, one after the other."""
        ...


class After(NamedTuple):
    """What is to be remembered next: a `batch` behind all others, b"" for none.

    `anew` says that there are no others any more.
    """

    head: bytes
    batch: bytes
    anew: bool


class Memory:
    """The tables, in a transaction of somebody else."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._numbers: dict[str, int] = {}
        self._words: dict[int, str] = {}
        #: Runs by their numbers, as they are sorted.
        self._orders: dict[int, tuple[str, int]] = {}
        self._waiting: list[tuple[object, ...]] = []
        for table in _TABLES:
            database.execute(table)

    def begin(self) -> None:
        """Forgets everything: all jobs are to be put again, each once, and then `end` is called."""
        for table in TABLES:
            self._database.execute(f"DROP TABLE {table}")
        for table in _TABLES:
            self._database.execute(table)
        for held in (self._numbers, self._words, self._orders, self._waiting):
            held.clear()

    def end(self) -> None:
        """All are there: from here on they are found, and put in place of what was known."""
        self.write()
        for statement in _INDEXES:
            self._database.execute(statement)

    def put(self, fact: Fact) -> None:
        """What is to be remembered of a job."""
        job, first, workflow, *rest = fact
        numbers = self._number(f"run:{first}"), self._number(_workflow(workflow))
        self._waiting.append((job, *numbers, *rest))
        if len(self._waiting) >= _ROWS:
            self.write()

    def write(self) -> None:
        """What was put is found from here on."""
        marks = ", ".join("?" * len(Fact._fields))
        self._database.executemany(
            f"INSERT OR REPLACE INTO jobs ({_COLUMNS}) VALUES ({marks})",  # noqa: S608 - names of ours
            self._waiting,
        )
        self._waiting.clear()

    def link(self, job: str, parent: str | None, children: Iterable[str]) -> None:
        """Which jobs a job names. Links that were stay: they say too much, never too little."""
        links = [(child, 1, job) for child in children]
        if parent:
            links.append((parent, 0, job))
        if links:
            self._database.executemany("INSERT OR IGNORE INTO links VALUES (?, ?, ?)", links)

    def saw(self, job: str, seen: int | None) -> None:
        """When a job was seen last that is lost; None for one that is not."""
        self._database.execute("UPDATE jobs SET seen = ? WHERE id = ?", (seen, job))

    def known(self, jobs: Sequence[str]) -> dict[str, Fact]:
        """What is remembered of some hundred jobs."""
        marks = ", ".join("?" * len(jobs))
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE id IN ({marks})",  # noqa: S608 - names and marks
            jobs,
        )
        return {row[0]: self._fact(row) for row in rows.fetchall()}

    def ids(self) -> Iterator[str]:
        """All jobs of which anything is remembered."""
        return (job for (job,) in self._database.execute("SELECT id FROM jobs"))

    def count(self) -> int:
        """How many they are."""
        (number,) = self._database.execute("SELECT count(*) FROM jobs").fetchone()
        return int(number)

    def lost(self) -> dict[str, int]:
        """The jobs that were lost, and when each was seen last."""
        return dict(self._database.execute("SELECT id, seen FROM jobs WHERE seen IS NOT NULL"))

    def unsure(self) -> list[str]:
        """The jobs whose end depends on the clock of the newest run."""
        return [job for (job,) in self._database.execute("SELECT id FROM jobs WHERE unsure")]

    def asking_after(self, workflow: tuple[str, bool], ends: float) -> Iterator[str]:
        """The jobs of a workflow that are told what was usual as of later than this."""
        rows = self._database.execute(
            "SELECT id FROM jobs WHERE workflow = ? AND asked > ?",
            (self._number(_workflow(workflow)), ends),
        )
        return (job for (job,) in rows.fetchall())

    def telling_from(self, work: bytes, ended: int) -> Iterator[str]:
        """The jobs that did the same work and ended then or later."""
        rows = self._database.execute(
            "SELECT id FROM jobs WHERE work = ? AND ended >= ?", (work, ended)
        )
        return (job for (job,) in rows.fetchall())

    def naming(self, job: str, *, below: bool) -> list[str]:
        """The jobs that name this one as a part of them (`below`), or as what they are part of."""
        rows = self._database.execute(
            "SELECT job FROM links WHERE target = ? AND below = ?", (job, int(below))
        )
        return [other for (other,) in rows]

    def last_seconds(
        self, workflow: tuple[str, bool], *, before: float, run: str, most: int
    ) -> list[float]:
        """How long the last successes took that ended before then, the latest last.

        Of those that runs up to this one found first.
        """
        rows = self._database.execute(
            "SELECT seconds, first FROM jobs WHERE workflow = ? AND ends < ? "
            "ORDER BY ends DESC, seconds DESC",
            (self._number(_workflow(workflow)), before),
        )
        order, orders = run_order(run), self._orders
        found: list[float] = []
        for seconds, first in rows:
            if first not in orders:
                orders[first] = run_order(self._word(first))
            if orders[first] <= order:
                found.append(seconds)
                if len(found) == most:
                    break
        return found[::-1]

    def told_of(
        self, work: bytes, *, ended: int, job: str, least: int
    ) -> Iterator[tuple[int, str, bool]]:
        """(ended, id, failed) of jobs that did the same work, in the order of their ends.

        From a success on, or the first of all, so many before this one at least, to the last. All
        of dsub's: an array's tasks tell together, however far apart they ended.
        """
        begin = (-(2**63), "")
        least = _ALL if place(job) else least
        before = self._database.execute(
            "SELECT ended, id, failed FROM jobs WHERE work = ? AND (ended, id) < (?, ?) "
            "ORDER BY ended DESC, id DESC",
            (work, ended, job),
        )
        for behind, (at, other, failed) in enumerate(before, 1):
            if behind >= least and not failed:
                begin = (at, other)
                break
        rows = self._database.execute(
            "SELECT ended, id, failed FROM jobs WHERE work = ? AND (ended, id) >= (?, ?) "
            "ORDER BY ended, id",
            (work, *begin),
        )
        return ((at, other, bool(failed)) for at, other, failed in rows)

    def _number(self, word: str) -> int:
        """The number of a word, which gets one where it has none."""
        number = self._numbers.get(word) or self._found(word)
        if not number:
            cursor = self._database.execute("INSERT INTO words (word) VALUES (?)", (word,))
            number = int(cursor.lastrowid or 0)
        self._numbers[word] = number
        return number

    def _found(self, word: str) -> int:
        found = self._database.execute("SELECT number FROM words WHERE word = ?", (word,))
        return next((int(number) for (number,) in found), 0)

    def _whole(self, number: int) -> str:
        if number not in self._words:
            self._words = dict(self._database.execute("SELECT number, word FROM words"))
        return self._words[number]

    def _word(self, number: int) -> str:
        """A word without its kind."""
        return self._whole(number).partition(":")[2]

    def _fact(self, row: Sequence[Any]) -> Fact:
        job, first, workflow, *rest, failed, seen, unsure = row
        kind, _, name = self._whole(workflow).partition(":")
        asked, ends, seconds, work, ended = rest
        return Fact(
            job,
            self._word(first),
            (name, kind == "listed"),
            asked=asked,
            ends=ends,
            seconds=seconds,
            work=work,
            ended=ended,
            failed=bool(failed),
            seen=seen,
            unsure=bool(unsure),
        )


def _workflow(workflow: tuple[str, bool]) -> str:
    name, listed = workflow
    return f"{'listed' if listed else 'below'}:{name}"


class Growing(History, Protocol):
    """A history that can be asked what may have changed since it was read last."""

    def active(self) -> Sequence[Entry]:
        """The jobs that may still change."""
        ...

    def missed(self, run: str, since: datetime | None) -> Iterator[Entry]:
        """The jobs that were submitted since then, and that this run did not find."""
        ...

    def submitted(self, since: float, before: float, *, upto: str | None = None) -> Iterator[Entry]:
        """The jobs submitted from then until before then, the oldest first.

        Of those alone that no run behind `upto` told of, if it is given.

        In seconds since 1970; those that do not say when were submitted at minus infinity.
        """
        ...

    def submitted_before(self, at: float) -> int:
        """How many jobs were submitted before then."""
        ...

    def found_by(self, runs: Iterable[str]) -> int:
        """How many jobs one of these runs was the last to find."""
        ...

    def ids_between(self, since: str, before: str) -> list[str]:
        """The ids from one on until before another, sorted."""
        ...

    def alike(self, jobs: Iterable[str]) -> set[str]:
        """Ids of all jobs that look like one of these at their shortest."""
        ...


class Contexts(Protocol):
    """What the pages of jobs are told with beside their records."""

    def __iter__(self) -> Iterator[JobContext]:
        """Those of all jobs."""
        ...

    def remembered(self, memory: Memory) -> Iterator[JobContext]:
        """Those of all jobs; what is needed to tell of fewer the next time is put into memory."""
        ...

    def touched(
        self, memory: Memory, since: frozenset[str], more: Iterable[str]
    ) -> Iterator[JobContext] | None:
        """Those that may be others since these runs came, and of some `more` jobs.

        Memory is brought forward with them. None where there are so many that all are as quick:
        then all must be remembered anew.
        """
        ...
