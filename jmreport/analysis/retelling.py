"""Nights that are told again one after the other, each with what the one before left.

    with Retelling(identity) as nights:
        remembering = nights.begin(history, runs)        the oldest night first
        retold(…, remembering=remembering)
        nights.keep(remembering)

As a site does from night to night (analysis/settled.py): else each of a year's nights would read
all jobs of all nights before it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import NamedTuple, Self

from jmreport.analysis.history import told_by
from jmreport.analysis.making import Remembering
from jmreport.analysis.nights import Nights
from jmreport.analysis.settled import settling
from jmreport.records import Run
from jmreport.remembered import Growing, Works, microseconds
from jmreport.spill import room, unnamed

_TABLES = (
    "CREATE TABLE batches (number INTEGER PRIMARY KEY, body BLOB)",
    "CREATE TABLE told (work BLOB, ended INTEGER, id TEXT, failed INTEGER)",
    "CREATE INDEX told_of ON told (work, ended, id)",
)
#: Jobs that are put together.
_AT_ONCE = 500


class Retelling:
    """What nights leave to one another, on the disk for as long as they are told.

    `identity` are the labels by which work is known again. Raises JmreportError where there is no
    room.
    """

    def __init__(self, identity: Sequence[str]) -> None:
        self._identity = identity
        self._database = unnamed()
        self._database.execute("BEGIN")
        for table in _TABLES:
            self._database.execute(table)
        self._head = b""
        #: Jobs submitted before then have told what they say of their work.
        self._until = float("-inf")
        self._known: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._database.close()

    def begin(self, history: Growing, runs: Sequence[Run]) -> Remembering:
        """What is left to the night that the newest of `runs` ended."""
        every = frozenset(run.id for run in runs)
        since, self._known = every - self._known, every
        if not self._head:
            return Remembering()
        self._take(history, Nights(runs))
        return Remembering(_Left(self._database, history, self._head, since))

    def keep(self, remembering: Remembering) -> None:
        """What that night leaves to the next."""
        after = remembering.after
        with room():
            if after.anew:
                self._until = float("-inf")
                for table in ("batches", "told"):
                    self._database.execute(f"DELETE FROM {table}")  # noqa: S608 (names of ours)
            if after.batch:
                self._database.execute("INSERT INTO batches (body) VALUES (?)", (after.batch,))
        self._head = after.head

    def _take(self, history: Growing, nights: Nights) -> None:
        """Notes what jobs say of their work that settle in this night."""
        until = settling(self._head)
        told = (
            (one.work, microseconds(one.ended), one.id, one.failed)
            for entry in history.submitted(self._until, until)
            if (one := told_by(entry, nights, self._identity))
        )
        with room():
            while some := [*islice(told, _AT_ONCE)]:
                self._database.executemany("INSERT INTO told VALUES (?, ?, ?, ?)", some)
        self._until = max(until, self._until)


class _Left(NamedTuple):
    """What is remembered of jobs that settled, as of the night before."""

    database: sqlite3.Connection
    history: Growing
    head: bytes
    since: frozenset[str]

    @property
    def works(self) -> Works:
        return Works(self.database.execute, "told")

    def batches(self) -> Iterator[bytes]:
        rows = self.database.execute("SELECT body FROM batches ORDER BY number")
        return (body for (body,) in rows)
