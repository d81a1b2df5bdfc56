"""The data files beside the pages: jobs.ndjson, jobs.csv and report.json.

They are written piece by piece: a file's text is never in memory as a whole.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from jmreport.records import Entry, JobRow, utc_text
from jmreport.render import verdict
from jmreport.report import CauseGroup, Report

#: The format of report.json; raised when a key changes its meaning or goes.
REPORT_FORMAT = 1

#: Columns of jobs.csv before its labels, which are named `label:<key>`.
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

    `entries` is read twice: once to find the labels, once for the lines.
    """
    entries = tuple(entries)
    labels = sorted({key for entry in entries for key in entry.row.labels})
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    yield from _line(writer, out, (*COLUMNS, *(f"label:{key}" for key in labels)))
    for entry in entries:
        cells = _cells(entry.row, page(entry.row.id))
        yield from _line(writer, out, (*cells, *(entry.row.labels.get(key, "") for key in labels)))


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


def report_json(report: Report) -> bytes:
    """The verdict for machines.

        {"format": 1, "verdict": "4 new failures in 2 workflows", "now": "…Z", "previous": "…Z",
         "complete": true, "counts": {"new": 4, …}, "causes": [{"id": …}], "gaps": [{"what": …}]}

    `previous` is null on a first run. `first_seen` is when the oldest job of a cause began to fail,
    null where that is not known; `last_seen` when the newest one ended.
    """
    ends = {entry.row.id: entry.row.end for entry in report.jobs}
    counts = report.counts
    tree = {
        "format": REPORT_FORMAT,
        "verdict": verdict.title(report),
        "now": utc_text(report.now),
        "previous": utc_text(report.previous.now) if report.previous else None,
        "complete": report.complete,
        "counts": {
            "new": counts.new,
            "still_failing": counts.still_failing,
            "fixed": counts.fixed,
            "failing": counts.failing,
            "stuck": counts.stuck,
            "missing": counts.missing,
            "running": counts.running,
            "unknown": counts.unknown,
            "total": counts.total,
        },
        "causes": [_cause(group, ends) for group in report.attention],
        "gaps": [
            {"what": gap.what, "why": gap.why, "job": gap.job}
            for gap in (report.quality.gaps if report.quality else report.run.gaps)
        ],
    }
    return msgspec.json.format(msgspec.json.encode(tree), indent=2) + b"\n"


def _cause(group: CauseGroup, ends: dict[str, Any]) -> dict[str, Any]:
    known = [end for job in group.jobs if (end := ends.get(job))]
    return {
        "id": group.id,
        "state": group.state,
        "title": group.title,
        "class": group.cause_class,
        "jobs": list(group.jobs),
        "new_jobs": list(group.new_jobs),
        "workflows": list(group.workflows),
        "tasks": list(group.tasks),
        "first_seen": utc_text(group.since) if group.since else None,
        "last_seen": utc_text(max(known)) if known else None,
    }
