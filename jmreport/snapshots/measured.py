"""What tasks cost, job by job: a table of index.sqlite beside the rows.

    measures(number, body)      a job's measures, msgpack; no row where there are none

It is apart from the rows because nearly everybody reads all rows, and few read these.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import msgspec

from jmreport.records import Measure, Record

#: What a record's tasks cost, made by the analysis as its row is.
Measuring = Callable[[Record], tuple[Measure, ...]]

TABLE = "CREATE TABLE measures (number INTEGER PRIMARY KEY, body BLOB);\n"
encode = msgspec.msgpack.Encoder().encode
#: Jobs that are asked for together.
_AT_ONCE = 200
_decode = msgspec.msgpack.Decoder(tuple[Measure, ...]).decode


def unmeasured(_record: Record) -> tuple[Measure, ...]:
    """Nothing: for a store of which only rows are wanted."""
    return ()


def put(connection: sqlite3.Connection, number: int, body: bytes) -> None:
    """Keep what a job's newest record says, encoded; nothing where it is empty."""
    if body:
        connection.execute("INSERT OR REPLACE INTO measures VALUES (?, ?)", (number, body))
    else:
        connection.execute("DELETE FROM measures WHERE number = ?", (number,))


def read(
    connection: sqlite3.Connection, jobs: Iterable[str]
) -> Iterator[tuple[str, tuple[Measure, ...]]]:
    """(id, measures) of those of the jobs that have any, in the order given."""
    for some in together(jobs):
        # The cross join has SQLite begin with the ids.
        query = "SELECT id, body FROM entries CROSS JOIN measures USING (number) WHERE id IN "
        marks = ", ".join("?" * len(some))
        found = dict(connection.execute(f"{query}({marks})", some).fetchall())
        for job in some:
            if (body := found.get(job)) is not None:
                yield job, _decode(body)


def together(jobs: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Some of the jobs at a time, as they are asked for."""
    waiting = iter(jobs)
    while some := tuple(islice(waiting, _AT_ONCE)):
        yield some
