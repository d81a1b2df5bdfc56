"""What tasks cost, job by job: a table of index.sqlite beside the rows.

    measures(number, body)      a job's measures, msgpack; no row where there are none

It is apart from the rows because nearly everybody reads all rows, and few read these.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator

import msgspec

from jmreport.records import Measure, Record

#: What a record's tasks cost, made by the analysis as its row is.
Measuring = Callable[[Record], tuple[Measure, ...]]

TABLE = "CREATE TABLE measures (number INTEGER PRIMARY KEY, body BLOB);\n"
encode = msgspec.msgpack.Encoder().encode
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
    for job in jobs:
        row = connection.execute(
            "SELECT body FROM entries JOIN measures USING (number) WHERE id = ?", (job,)
        ).fetchone()
        if row is not None:
            yield job, _decode(row[0])
