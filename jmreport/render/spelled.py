"""Which jobs have a page, in the order of how addresses spell their ids: asked of the ledger.

    ids:  owner | id
          jobs/align-root-261123-195941-1f9a3c77.html | align--root--261123-195941

A job's page is called after its id (render/addresses.py), so those that begin alike lie together
among the ledger's pages, of jobs too that no snapshot tells of any more. `ids` keeps an id where
the address does not spell it, as that of a Cromwell workflow does. A page that a job had at another
address once is none of them.
"""

import sqlite3
from collections.abc import Collection
from typing import NamedTuple

from jmreport.render import addresses, words

TABLE = "CREATE TABLE IF NOT EXISTS ids (owner TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID"
#: An id is shown with as many characters, as cells of tables are.
_SHOWN = 120
_FOLDER = addresses.JOBS.removesuffix("index.html")
#: What comes behind all that an address can hold.
END = "~"
_FROM = (
    "FROM pages LEFT JOIN ids USING (owner) "
    "WHERE kept = 1 AND owner >= ? AND owner < ? {but} ORDER BY owner"
)
_BUT = "AND owner NOT IN (SELECT owner FROM going)"


class Spelled(NamedTuple):
    """A job that has a page: how its address spells it, and its id as it is shown."""

    stem: str
    id: str


def _spelled(owner: str) -> str:
    """A job's id as the address of its page spells it: all but the digest behind it."""
    return owner[len(_FOLDER) :].rpartition("-")[0]


class Ids:
    """The jobs that have a page, but for those that are `going`; in a transaction of the ledger."""

    def __init__(self, database: sqlite3.Connection, going: Collection[str] = ()) -> None:
        self._database = database
        self._from = _FROM.format(but=_BUT if going else "")
        if going:
            database.execute("CREATE TEMP TABLE going (owner TEXT PRIMARY KEY) WITHOUT ROWID")
            database.executemany("INSERT INTO going VALUES (?)", ((owner,) for owner in going))

    def put(self, job: str) -> None:
        """Remembers an id that its page's address does not spell."""
        owner = addresses.job(job)
        if job != _spelled(owner):
            shown = words.cut_middle(job, _SHOWN).encode("utf-8", "replace").decode()
            self._database.execute("INSERT OR REPLACE INTO ids VALUES (?, ?)", (owner, shown))

    @property
    def respelled(self) -> bool:
        """Whether any id is not what its page's address spells."""
        return self._database.execute("SELECT 1 FROM ids LIMIT 1").fetchone() is not None

    def first(self, beginning: str, most: int) -> list[Spelled]:
        """The first of those whose stems begin so."""
        rows = self._read("owner, id", beginning, beginning, f"LIMIT {most}")
        return [
            Spelled(owner[len(_FOLDER) : -len(".html")], told or _spelled(owner))
            for owner, told in rows
        ]

    def told(self, beginning: str, most: int) -> tuple[int, str]:
        """How many the first ones are, and what they say in one text: of all jobs it is read."""
        query = (
            "SELECT count(*), group_concat(owner || coalesce(id, '')) "  # noqa: S608 - words of ours
            f"FROM (SELECT owner, id {self._from} LIMIT {most})"
        )
        ((number, text),) = self._database.execute(query, self._bounds(beginning, beginning))
        return number, text or ""

    def next(self, beginning: str, behind: str) -> str:
        """The first stem that begins so and does not come before `behind`; "" where none does."""
        return self._one(beginning, behind, "")

    def last(self, beginning: str) -> str:
        """The last stem that begins so; "" where none does."""
        return self._one(beginning, beginning, "DESC")

    def _one(self, beginning: str, behind: str, order: str) -> str:
        rows = self._read("owner", beginning, behind, f"{order} LIMIT 1")
        return next((owner[len(_FOLDER) : -len(".html")] for (owner,) in rows), "")

    def _read(self, what: str, beginning: str, behind: str, end: str) -> sqlite3.Cursor:
        query = f"SELECT {what} {self._from} {end}"
        return self._database.execute(query, self._bounds(beginning, behind))

    def _bounds(self, beginning: str, behind: str) -> tuple[str, str]:
        return f"{_FOLDER}{behind}", f"{_FOLDER}{beginning}{END}"
