"""The data files beside the pages: jobs.ndjson with its schema, and jobs.csv.

What their fields are is said in docs/report-json.md. They are written piece by piece: a file's
text is never in memory as a whole.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from jmreport.records import Entry, JobRow, utc_text
from jmreport.settings import Settings

#: Columns of jobs.csv before its labels, named `label:<key>`, and a server's own fields, named
#: `field:extensions.lastUpdate`; behind them `more labels` and `more fields` where there are more.
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
    "retried_by",
    "page",
)

#: A cell that begins with one of these is run as a formula by spreadsheets.
_FORMULA = frozenset("=+-@\t\r")
#: Where a cell begins for those that separate by semicolons, as spreadsheets in most of Europe do,
#: or by tabs. They take our quotes for letters, and so end a line within them.
_WITHIN = re.compile(r"([;\t\r\n]\"*)(?=[=+\-@])")
#: Columns of labels at most, and of a server's own fields. Every job has a cell in each: where each
#: had a key of its own, a file would grow with the square of its jobs.
MOST_COLUMNS = 200
#: Jobs that are written together.
_AT_ONCE = 200


def ndjson(entries: Iterable[Entry], page: Callable[[str], str]) -> Iterator[bytes]:
    r"""A line of JSON for each job: its row's fields, and the address of its `page` in the site.

        {"id":"…","name":"germline","status":"Failed","labels":{"owner":"ana"},…,"page":"jobs/….html"}

    Times are ISO 8601 in UTC. What is as by default is left out: a count of 0, a text of "", a flag
    that says what is usual.
    """
    encode = msgspec.json.Encoder().encode
    for some in _together(entries):
        yield b"".join(
            # A row is never empty: it has an id.
            b'%b,"page":%b}\n' % (encode(entry.row)[:-1], encode(page(entry.row.id)))
            for entry in some
        )


def schema() -> bytes:
    """jobs.schema.json: JSON Schema (2020-12) of a line of jobs.ndjson."""
    tree: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    tree |= msgspec.json.schema(JobRow)
    line = tree["$defs"][JobRow.__name__]
    line["description"] = "A job of the report. What is as by default is left out."
    line["properties"]["page"] = {"type": "string"}
    line["required"] = [*line["required"], "page"]
    return msgspec.json.format(msgspec.json.encode(tree), indent=2) + b"\n"


def named(settings: Settings) -> frozenset[str]:
    """The labels that settings name: they have a column wherever any job has them."""
    return frozenset(
        [
            *settings.report.identity_labels,
            *settings.report.labels,
            *(slo.label.partition("=")[0] for slo in settings.slo),
            *(key for team in settings.teams for key in team.labels),
        ]
    )


def table(
    entries: Iterable[Entry], page: Callable[[str], str], first: Collection[str] = ()
) -> Iterator[bytes]:
    """The same jobs as CSV (RFC 4180, UTF-8, a header line), safe to open in a spreadsheet.

    `entries` is read twice: for the names of labels and of a server's own fields, then for lines.
    Labels in `first` have a column before those that more jobs have.
    """
    entries = tuple(entries)
    labels = _Columns("label", [entry.row.labels for entry in entries], first)
    fields = _Columns("field", [entry.row.extra for entry in entries])
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    names = (*COLUMNS, *labels.names, *fields.names, *labels.more, *fields.more)
    writer.writerow(_safe(names))
    yield _taken(out)
    for some in _together(entries):
        writer.writerows(_line(entry.row, page(entry.row.id), labels, fields) for entry in some)
        yield _taken(out)


class _Columns:
    """A column for each key that most jobs have, by name; one for what else they have, as JSON."""

    def __init__(
        self, what: str, told: Iterable[Mapping[str, str]], first: Collection[str] = ()
    ) -> None:
        counts = Counter(key for each in told for key in each)
        often = sorted(counts, key=lambda key: (key not in first, -counts[key], key))
        self._keys = sorted(often[:MOST_COLUMNS])
        self._known = frozenset(self._keys)
        self.names = [f"{what}:{key}" for key in self._keys]
        self.more = [f"more {what}s"] if len(often) > MOST_COLUMNS else []

    def cells(self, own: Mapping[str, str]) -> list[str]:
        return [own.get(key, "") for key in self._keys]

    def rest(self, own: Mapping[str, str]) -> list[str]:
        """The cell of all others, "" where there are none; no cell where no job has any."""
        if not self.more:
            return []
        others = {key: own[key] for key in sorted(own.keys() - self._known)}
        return [json.dumps(others, ensure_ascii=False) if others else ""]


def whole(pieces: Iterable[bytes], *, most: int) -> bytes | None:
    """All pieces together; None, and no more of them are made, once they are too large."""
    held, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            return None
        held.append(piece)
    return b"".join(held)


def _together(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Some at a time, whose lines are one piece."""
    waiting = iter(entries)
    while some := list(islice(waiting, _AT_ONCE)):
        yield some


def _taken(out: io.StringIO) -> bytes:
    """What was written, which leaves nothing there."""
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    # A lone surrogate can't be encoded; it comes from a server's broken JSON.
    return text.encode("utf-8", "replace")


def _safe(cells: Sequence[str]) -> list[str]:
    """Texts that no spreadsheet takes for formulas.

    >>> _safe(["=1+1", "ana", "\\tx", "", "x;=1"])
    ["'=1+1", 'ana', "'\\tx", '', "x;'=1"]
    """
    # Nearly no line needs more than one look.
    if _WITHIN.search("".join(cells)):
        cells = [_WITHIN.sub(r"\1'", cell) for cell in cells]
    return [f"'{cell}" if cell[:1] in _FORMULA else cell for cell in cells]


def _line(row: JobRow, page: str, labels: _Columns, fields: _Columns) -> list[str]:
    failure, took, own, extra = row.failure, row.took, row.labels, row.extra
    # Of a job that could not be read nobody counts them: 0 would be good news. What an earlier
    # detail counted is known.
    counts = (row.tasks, row.shards, row.retries, row.preempted, row.cached)
    counted = ["" if row.unread and not count else str(count) for count in counts]
    said = (
        row.id,
        row.name,
        row.status,
        utc_text(row.submission) if row.submission else "",
        utc_text(row.start) if row.start else "",
        utc_text(row.end) if row.end else "",
        "" if took is None else f"{took.total_seconds():.0f}",
        row.user or "",
        row.parent or "",
        (failure.task or "") if failure else "",
        failure.message if failure else "",
        *counted,
        "yes" if row.archived else "no",
        "yes" if row.readable else "no",
        row.retried_by,
        page,
        *labels.cells(own),
        *fields.cells(extra),
        *labels.rest(own),
        *fields.rest(extra),
    )
    return _safe(said)
