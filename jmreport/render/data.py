"""The data files beside the pages: jobs.ndjson and jobs.csv.

They are written piece by piece: a file's text is never in memory as a whole.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from jmreport.records import Entry, JobRow, utc_text

#: Columns of jobs.csv before its labels, named `label:<key>`, and a server's own fields, named
#: `field:extensions.lastUpdate`.
COLUMNS = (
    "id",
    "name",
    "status",
    "submission",
    "start",
    "end",
    "seconds",
    "user",
    "parent",
    "failed_task",
    "failure",
    "tasks",
    "shards",
    "retries",
    "preempted",
    "cached",
    "archived",
    "readable",
    "page",
)

#: A cell that begins with one of these is run as a formula by spreadsheets.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def ndjson(entries: Iterable[Entry], page: Callable[[str], str]) -> Iterator[bytes]:
    r"""A line of JSON for each job: its row's fields, and the address of its `page` in the site.

        {"id":"…","name":"germline","status":"Failed","labels":{"owner":"ana"},…,"page":"jobs/….html"}

    Times are ISO 8601 in UTC; what is not known is left out.
    """
    for entry in entries:
        row: dict[str, Any] = msgspec.to_builtins(entry.row)
        row["page"] = page(entry.row.id)
        yield msgspec.json.encode(row) + b"\n"


def table(entries: Iterable[Entry], page: Callable[[str], str]) -> Iterator[bytes]:
    """The same jobs as CSV (RFC 4180, UTF-8, a header line), safe to open in a spreadsheet.

    `entries` is read twice: for the names of labels and of a server's own fields, then for lines.
    """
    entries = tuple(entries)
    labels = sorted({key for entry in entries for key in entry.row.labels})
    fields = sorted({key for entry in entries for key in entry.row.extra})
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    named = (*(f"label:{key}" for key in labels), *(f"field:{key}" for key in fields))
    yield from _line(writer, out, (*COLUMNS, *named))
    for entry in entries:
        row = entry.row
        cells = (
            *_cells(row, page(row.id)),
            *(row.labels.get(key, "") for key in labels),
            *(row.extra.get(key, "") for key in fields),
        )
        yield from _line(writer, out, cells)


def _line(writer: Any, out: io.StringIO, cells: Iterable[str]) -> Iterator[bytes]:
    writer.writerow([_safe(cell) for cell in cells])
    # A lone surrogate can't be encoded; it comes from a server's broken JSON.
    yield out.getvalue().encode("utf-8", "replace")
    out.seek(0)
    out.truncate()


def _safe(cell: str) -> str:
    """A text that no spreadsheet takes for a formula.

    >>> _safe("=1+1"), _safe("ana"), _safe("\\tx")
    ("'=1+1", 'ana', "'\\tx")
    """
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cells(row: JobRow, page: str) -> tuple[str, ...]:
    failure = row.failure
    return (
        row.id,
        row.name,
        row.status,
        utc_text(row.submission) if row.submission else "",
        utc_text(row.start) if row.start else "",
        utc_text(row.end) if row.end else "",
        f"{row.took.total_seconds():.0f}" if row.took is not None else "",
        row.user or "",
        row.parent or "",
        (failure.task or "") if failure else "",
        failure.message if failure else "",
        str(row.tasks),
        str(row.shards),
        str(row.retries),
        str(row.preempted),
        str(row.cached),
        "yes" if row.archived else "no",
        "yes" if row.readable else "no",
        page,
    )
