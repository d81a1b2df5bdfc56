"""The rows of all jobs for tables.js, and which of their fields the filter offers."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import msgspec

from jmreport.models import DisplayField
from jmreport.records import JobRow
from jmreport.render import addresses, words
from jmreport.render.columns import Column, field_key, field_text, field_time
from jmreport.render.jobcells import CELL_TEXT, NO_NAME, Jobs
from jmreport.report import Report

#: A label with at most this many values is offered in the filter's suggestions.
OFFERED = 40
#: Fields that the filter has a box for; any label can be asked for by its name beside them.
MOST_FILTERS = 6
#: Characters of what a box is called.
_TITLE = 40
#: What the boxes are called that every list has, in small letters (templates/jobs.html).
_CALLED = frozenset(("text", "status", "workflow", "any label", "flag", "show archived"))
#: Fields that have a box of their own, or a column that is sorted instead.
_OWN_BOX = {"id", "name", "status", "submission", "start", "end", "labels.flag"}


def rows_script(report: Report, jobs: Jobs, *, zone: str) -> Iterator[bytes]:
    """The rows as a classic script, since fetch is blocked on file://; piece by piece.

        window.jmreportJobs = JSON.parse('{"zone": "UTC", "columns": [{"key": "status", "values":
          [0, 0, …], "words": ["Failed"]}, …], "ids": […], "files": ["+-1f9a3c77", …], …}');

    `going` are the places of jobs whose duration is what it came to so far.

    Browsers read JSON in two thirds of the time that they take for the same as a script's literal.
    Column by column; a text that several jobs share stands once, in `words`. A file is its job's
    id with what follows it ("+"), or a name of its own ("="). `filters` are the fields with a box
    of their own: a label's by `pairs`, any other's with words and values like a column.
    """
    yield b"window.jmreportJobs = JSON.parse('"
    for piece in _object(_rows(report, jobs, zone)):
        yield _script_text(piece)
    yield b"');\n"


def _rows(report: Report, jobs: Jobs, zone: str) -> Iterator[tuple[str, Iterable[bytes]]]:
    rows = [entry.row for entry in report.jobs]
    pairs = _Pairs()
    labels = ([pairs.at(key, row.labels[key]) for key in sorted(row.labels)] for row in rows)
    causes, workflows = _Coded(), _Coded()
    name = next(column for column in jobs.columns if column.key == "name")
    for row in rows:
        workflows.at(_text(name, row))
    yield "zone", _value(zone)
    yield "year", _value(jobs.now.astimezone(jobs.zone).year)
    yield "columns", _list(_object(_column(column, rows, jobs)) for column in jobs.columns)
    yield "ids", _array(row.id for row in rows)
    yield "files", _array(_file(row.id) for row in rows)
    yield (
        "workflows",
        _array(
            jobs.workflow_href("" if text == NO_NAME else text, addresses.JOBS)
            for text in workflows.words
        ),
    )
    # What stands once is known when all was read that it stands for.
    yield "labels", _array(labels)
    yield "pairs", _array(zip(pairs.keys, pairs.values, strict=True))
    yield "archived", _array(place for place, row in enumerate(rows) if row.archived)
    yield "offered", _array(pairs.offered)
    yield "flags", _array(_flags(report.columns, pairs))
    yield (
        "filters",
        _list(_object(_filter(*each, rows, pairs)) for each in _titled(filters(report))),
    )
    yield "failures", _array(causes.at(jobs.below(row)) for row in rows)
    yield "causes", _array(causes.words)


#: Values that are written together.
_AT_ONCE = 2_000


def _value(value: Any) -> Iterator[bytes]:
    yield msgspec.json.encode(value)


def _array(values: Iterable[Any]) -> Iterator[bytes]:
    """A list that is never there as a whole."""
    waiting, before = iter(values), b"["
    while some := list(islice(waiting, _AT_ONCE)):
        yield before + msgspec.json.encode(some)[1:-1]
        before = b","
    yield b"[]" if before == b"[" else b"]"


def _list(values: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    yield b"["
    for place, value in enumerate(values):
        yield b"," if place else b""
        yield from value
    yield b"]"


def _object(fields: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    yield b"{"
    for place, (key, value) in enumerate(fields):
        yield (b"," if place else b"") + msgspec.json.encode(key) + b":"
        yield from value
    yield b"}"


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


def _titled(fields: Iterable[DisplayField]) -> Iterator[tuple[DisplayField, str]]:
    """Each field with what its box is called: no two boxes are called alike."""
    taken = {*_CALLED}
    for each in fields:
        key = field_key(each.field)
        title = words.cut_middle(each.display or key, _TITLE)
        others = (f"{title} ({which})" for which in (words.cut_middle(key, _TITLE), *range(2, 99)))
        found = next(one for one in (title, *others) if one.lower() not in taken)
        taken.add(found.lower())
        yield each, found


def _has_own_box(key: str) -> bool:
    return key in _OWN_BOX or key.removeprefix("labels.") in _OWN_BOX


def _is_list(each: DisplayField) -> bool:
    return each.field_type.lower() == "list" and bool(each.valid_field_values)


def _filter(
    each: DisplayField, title: str, rows: Sequence[JobRow], pairs: "_Pairs"
) -> Iterator[tuple[str, Iterable[bytes]]]:
    """A field's box: its choices where they are few, else a line to type into."""
    key = field_key(each.field)
    yield "key", _value(key)
    yield "title", _value(title)
    if key.startswith("labels."):
        known = {*pairs.of(key[len("labels.") :])}
    else:
        coded = _Coded()
        yield "values", _array(coded.at(field_text(row, key)) for row in rows)
        yield "words", _array(coded.words)
        known = set(coded.words)
    if len(known) <= OFFERED:
        valid = each.valid_field_values if _is_list(each) else ()
        yield "choices", _array(dict.fromkeys((*valid, *sorted(known - {""}))))


def _flags(fields: Sequence[DisplayField], pairs: "_Pairs") -> list[str]:
    """Values of the label flag: those that the server allows, and those that jobs have."""
    allowed = (
        value
        for each in fields
        if field_key(each.field) == "labels.flag"
        for value in each.valid_field_values
    )
    return [value for value in sorted({*allowed, *pairs.of("flag")}) if value]


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
    r"""A text of one line as a script writes it between quotes.

    >>> _script_text(b"it's</") == rb"it\'s\x3c/"
    True
    """
    return _ENDS.sub(lambda found: _ESCAPED[found[0]], text)


class _Pairs:
    """Labels with a value, each once. Nearly every job may have some that no other has."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.values: list[str] = []
        self._places: dict[str, dict[str, int]] = {}

    def at(self, key: str, value: str) -> int:
        """The place of a pair."""
        places = self._places.setdefault(key, {})
        place = places.get(value)
        if place is None:
            place = places[value] = len(self.keys)
            self.keys.append(key)
            self.values.append(value)
        return place

    def of(self, key: str) -> Collection[str]:
        """The values of a label."""
        return self._places.get(key, {}).keys()

    @property
    def offered(self) -> Iterator[int]:
        """The pairs of labels with few values, in order."""
        for _, places in sorted(self._places.items()):
            if len(places) <= OFFERED:
                yield from (place for _, place in sorted(places.items()))


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


def _column(
    column: Column, rows: Sequence[JobRow], jobs: Jobs
) -> Iterator[tuple[str, Iterable[bytes]]]:
    for key in ("key", "title", "kind", "look"):
        yield key, _value(getattr(column, key))
    match column.kind:
        case "time":
            yield "values", _array(_time(row, column.key) for row in rows)
        case "duration":
            so_far = [jobs.so_far(jobs.entries[row.id]) for row in rows]
            lengths = (
                row.took.total_seconds() if now is None and row.took is not None else now
                for row, now in zip(rows, so_far, strict=True)
            )
            yield "values", _array(None if each is None else round(each, 1) for each in lengths)
            yield "going", _array(place for place, now in enumerate(so_far) if now is not None)
        case "job":
            yield "values", _array(jobs.short(row.id) for row in rows)
        case _:
            coded = _Coded()
            yield "values", _array(coded.at(_text(column, row)) for row in rows)
            yield "words", _array(coded.words)


def _time(row: JobRow, key: str) -> int | str | None:
    """Seconds since 1970; the server's own text where it is no date, None where there is none."""
    at = field_time(row, key)
    return _seconds(at) if at else words.cut_middle(field_text(row, key), CELL_TEXT) or None


def _text(column: Column, row: JobRow) -> str:
    match column.kind:
        case "status":
            return row.counts_as or "Unknown"
        case "workflow":
            return row.name or NO_NAME
    return words.cut_middle(field_text(row, column.key), CELL_TEXT)


def _seconds(at: datetime) -> int:
    """Seconds since 1970, rounded down as clocks show them."""
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1)


def _file(job: str) -> str:
    name = addresses.job(job)[len("jobs/") : -len(".html")]
    return f"+{name[len(job) :]}" if name.startswith(job) else f"={name}"
