"""The rows of all jobs for tables.js, and which of their fields the filter offers."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from jmreport.models import DisplayField
from jmreport.records import JobRow
from jmreport.render import addresses, words
from jmreport.render.jobcells import (
    CELL_TEXT,
    NO_NAME,
    Column,
    Jobs,
    field_key,
    field_text,
    field_time,
)
from jmreport.report import Report

#: A label with at most this many values is offered in the filter's suggestions.
OFFERED = 40
#: Fields that the filter has a box for; any label can be asked for by its name beside them.
MOST_FILTERS = 6
#: Fields that have a box of their own, or a column that is sorted instead.
_OWN_BOX = {"id", "name", "status", "submission", "start", "end", "labels.flag"}


def rows_script(report: Report, jobs: Jobs, *, zone: str) -> bytes:
    """The rows as a classic script, since fetch is blocked on file://.

        window.jmreportJobs = JSON.parse('{"zone": "UTC", "columns": [{"key": "status", "words":
          ["Failed"], "values": [0, 0, …]}, …], "ids": […], "files": ["+-1f9a3c77", …], …}');

    Browsers read JSON in two thirds of the time that they take for the same as a script's literal.
    Column by column; a text that several jobs share stands once, in `words`. A file is its job's
    id with what follows it ("+"), or a name of its own ("="). `filters` are the fields with a box
    of their own: a label's by `pairs`, any other's with words and values like a column.
    """
    rows = [entry.row for entry in report.jobs]
    pairs: dict[tuple[str, str], int] = {}
    labels = [
        [pairs.setdefault(pair, len(pairs)) for pair in sorted(row.labels.items())] for row in rows
    ]
    causes = _Coded()
    failures = [causes.at(jobs.below(row)) for row in rows]
    shown = [_values(column, rows, jobs) for column in jobs.columns]
    name = next(place for place, column in enumerate(jobs.columns) if column.key == "name")
    tree = {
        "zone": zone,
        "year": jobs.now.astimezone(jobs.zone).year,
        "columns": shown,
        "ids": [row.id for row in rows],
        "files": [_file(row.id) for row in rows],
        "workflows": [
            jobs.workflow_href("" if text == NO_NAME else text, addresses.JOBS)
            for text in shown[name]["words"]
        ],
        "pairs": list(pairs),
        "labels": labels,
        "archived": [place for place, row in enumerate(rows) if row.archived],
        "offered": _offered(pairs),
        "flags": _flags(report.columns, pairs),
        "filters": [_filter(each, rows, pairs) for each in filters(report)],
        "causes": causes.words,
        "failures": failures,
    }
    return b"window.jmreportJobs = JSON.parse(" + _script_text(msgspec.json.encode(tree)) + b");\n"


def filters(report: Report) -> tuple[DisplayField, ...]:
    """The fields that the filter has a box for: the server's common labels, then what it marks.

    Those with a list of values or marked as filterable, in the server's order; at most six.
    """
    named = {field_key(each.field): each for each in reversed(report.columns) if each.field}
    wanted = [f"labels.{key}" for key in report.common_labels]
    wanted += [key for key, each in reversed(named.items()) if each.filterable or _is_list(each)]
    keys = [key for key in dict.fromkeys(map(field_key, wanted)) if not _has_own_box(key)]
    return tuple(
        named.get(key) or DisplayField(field=key, display=key.removeprefix("labels."))
        for key in keys[:MOST_FILTERS]
    )


def _has_own_box(key: str) -> bool:
    return key in _OWN_BOX or key.removeprefix("labels.") in _OWN_BOX


def _is_list(each: DisplayField) -> bool:
    return each.field_type.lower() == "list" and bool(each.valid_field_values)


def _filter(
    each: DisplayField, rows: Sequence[JobRow], pairs: Mapping[tuple[str, str], int]
) -> dict[str, Any]:
    """A field's box: its choices where they are few, else a line to type into."""
    key = field_key(each.field)
    about: dict[str, Any] = {"key": key, "title": words.cut_middle(each.display or key, 40)}
    if key.startswith("labels."):
        known = {value for label, value in pairs if label == key[len("labels.") :]}
    else:
        coded = _Coded()
        about["values"] = [coded.at(field_text(row, key)) for row in rows]
        about["words"] = coded.words
        known = set(coded.words)
    if len(known) <= OFFERED:
        valid = each.valid_field_values if _is_list(each) else ()
        about["choices"] = list(dict.fromkeys((*valid, *sorted(known - {""}))))
    return about


def _flags(fields: Sequence[DisplayField], pairs: Mapping[tuple[str, str], int]) -> list[str]:
    """Values of the label flag: those that the server allows, and those that jobs have."""
    allowed = (
        value
        for each in fields
        if field_key(each.field) == "labels.flag"
        for value in each.valid_field_values
    )
    had = (value for key, value in pairs if key == "flag")
    return [value for value in sorted({*allowed, *had}) if value]


def _offered(pairs: Mapping[tuple[str, str], int]) -> list[int]:
    values: dict[str, int] = {}
    for key, _ in pairs:
        values[key] = values.get(key, 0) + 1
    return [place for (key, _), place in sorted(pairs.items()) if values[key] <= OFFERED]


#: What would end a text in a script, its line, or the script itself.
_ENDS = re.compile(rb"[\\'<]|\xe2\x80[\xa8\xa9]")
_ESCAPED = {
    b"\\": rb"\\",
    b"'": rb"\'",
    b"<": rb"\x3c",
    "\u2028".encode(): rb"\u2028",
    "\u2029".encode(): rb"\u2029",
}


def _script_text(text: bytes) -> bytes:
    r"""A text of one line as a script writes it, between quotes.

    >>> _script_text(b"it's</") == rb"'it\'s\x3c/'"
    True
    """
    return b"'" + _ENDS.sub(lambda found: _ESCAPED[found[0]], text) + b"'"


class _Coded:
    """Texts, each once."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._places: dict[str, int] = {}

    def at(self, text: str) -> int | None:
        if not text:
            return None
        if text not in self._places:
            self._places[text] = len(self.words)
            self.words.append(text)
        return self._places[text]


def _values(column: Column, rows: Sequence[JobRow], jobs: Jobs) -> dict[str, Any]:
    about = {"key": column.key, "title": column.title, "kind": column.kind, "look": column.look}
    match column.kind:
        case "time":
            return {**about, "values": [_time(row, column.key) for row in rows]}
        case "duration":
            lengths = [row.took for row in rows]
            return {
                **about,
                "values": [
                    None if took is None else round(took.total_seconds(), 1) for took in lengths
                ],
            }
        case "job":
            return {**about, "values": [jobs.short(row.id) for row in rows]}
    coded = _Coded()
    texts = [_text(column, row) for row in rows]
    return {**about, "values": [coded.at(text) for text in texts], "words": coded.words}


def _time(row: JobRow, key: str) -> int | str | None:
    """Seconds since 1970; the server's own text where it is no date, None where there is none."""
    at = field_time(row, key)
    return _seconds(at) if at else words.cut_middle(field_text(row, key), CELL_TEXT) or None


def _text(column: Column, row: JobRow) -> str:
    match column.kind:
        case "status":
            return row.status or "Unknown"
        case "workflow":
            return row.name or NO_NAME
    return words.cut_middle(field_text(row, column.key), CELL_TEXT)


def _seconds(at: datetime) -> int:
    """Seconds since 1970, rounded down as clocks show them."""
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1)


def _file(job: str) -> str:
    name = addresses.job(job)[len("jobs/") : -len(".html")]
    return f"+{name[len(job) :]}" if name.startswith(job) else f"={name}"
