"""The columns of a job list: those that a server asks for, and what a job says in each.

A server names its columns in `displayFields`: of the job itself (`submission`), of its labels
(`labels.owner`, in the API's text also `label.owner`) and of its extensions (`extensions.userId`).
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from jmreport.models import DisplayField
from jmreport.records import JobRow, moment
from jmreport.render import lacks, words

#: Columns of a list at most; what a server names beyond them is in data/jobs.csv.
MOST_COLUMNS = 12
#: Columns that a phone shows, where a row is a block of lines.
ON_A_PHONE = 8
#: Fields named in a list's note of those that no job has.
MOST_UNSAID = 3
#: A column of a label or an extension stands where at least one job in so many has it.
SPARSE = 10

Kind = Literal["status", "job", "workflow", "time", "duration", "number", "text"]


class Column(Struct, frozen=True, kw_only=True):
    """A column of every list: how it is called, and which field it shows (the server's words).

    `look` holds classes: "num" for what stands right, "minor" for what a phone leaves out, "c-…"
    for what a phone shows first.
    """

    key: str
    title: str
    kind: Kind
    look: str = ""


_STANDARD = (
    Column(key="status", title="Status", kind="status", look="c-status"),
    Column(key="name", title="Workflow", kind="workflow", look="c-name"),
    Column(key="id", title="Job", kind="job", look="c-job"),
    Column(key="submission", title="Submitted", kind="time", look="num"),
    Column(key="start", title="Started", kind="time", look="num"),
    Column(key="end", title="Ended", kind="time", look="num"),
)
_TOOK = Column(key="took", title="Took", kind="duration", look="num")
#: Dates by the API, of those that have no column of their own here.
_DATES = frozenset(("extensions.lastUpdate",))
_BY_KEY = {column.key: column for column in _STANDARD}


def field_key(field: str) -> str:
    """A field's path in one spelling: the API writes `label.owner` too.

    >>> field_key("label.owner"), field_key("labels.owner"), field_key("label")
    ('labels.owner', 'labels.owner', 'label')
    """
    return f"labels.{field[len('label.') :]}" if field.startswith("label.") else field


def columns(
    fields: Sequence[DisplayField], without: Collection[str] = frozenset()
) -> tuple[Column, ...]:
    """The columns a server asks for, the primary ones first, else in its order.

    Status, workflow and job are always there, and how long a job took. A field named twice is one
    column; one in `without` is none. With no wish of a server: what every job has, and who ran it.
    """
    named: dict[str, Column] = {}
    minor: dict[str, Column] = {}
    for shown in fields:
        column = _column(shown)
        if not column.key or column.key in without or column.key in named or column.key in minor:
            continue
        if shown.primary or column.key in _BY_KEY:
            named[column.key] = column
        else:
            minor[column.key] = column
    wanted = [*named.values(), *minor.values()]
    if not wanted:
        wanted = [*_STANDARD, Column(key="extensions.userId", title="User", kind="text")]
    have = {column.key for column in wanted}
    first = [column for column in _STANDARD[:3] if column.key not in have]
    shown_columns = _with_took([*first, *wanted])
    return tuple(_narrowed(_fitting(shown_columns), set(minor)))


def _column(shown: DisplayField) -> Column:
    """A field's column. What the API calls a date is one whatever type the server says."""
    key = field_key(shown.field)
    title = " ".join(shown.display.split()) or shown.field
    if known := _BY_KEY.get(key):
        return replace(known, title=words.cut_middle(title, 40))
    date = shown.field_type.lower() == "date" or key in _DATES
    return Column(
        key=key,
        title=words.cut_middle(title, 40),
        kind="time" if date else "text",
        look="num" if date else "",
    )


def _with_took(wanted: list[Column]) -> list[Column]:
    """How long a job took stands behind the last of its own times."""
    times = [
        place for place, column in enumerate(wanted) if column.key in ("submission", "start", "end")
    ]
    at = times[-1] + 1 if times else len(wanted)
    return [*wanted[:at], _TOOK, *wanted[at:]]


def _fitting(wanted: list[Column]) -> list[Column]:
    """As many as a screen takes: the first ones, and those without which a row says nothing."""
    needed = {"status", "name", "id", "took"}
    room = MOST_COLUMNS - sum(column.key in needed for column in wanted)
    kept = []
    for column in wanted:
        if column.key not in needed:
            if room <= 0:
                continue
            room -= 1
        kept.append(column)
    return kept


def _narrowed(wanted: Sequence[Column], minor: set[str]) -> list[Column]:
    """Marks the columns that a phone leaves out: not primary, or beyond the first eight."""
    return [
        replace(column, look=f"{column.look} minor".strip())
        if column.key in minor or place >= ON_A_PHONE
        else column
        for place, column in enumerate(wanted)
    ]


def sparse(fields: Sequence[DisplayField], rows: Sequence[JobRow]) -> tuple[Column, ...]:
    """Fields of which few jobs say anything, though the server asks for a column each.

    They stand below a job's name where it has them. What every job has, and dates, stay columns.
    """
    found = {}
    for shown in fields:
        column = _column(shown)
        own = column.key in _BY_KEY or column.kind == "time"
        said = 0 if own else sum(bool(field_text(row, column.key)) for row in rows)
        if rows and column.key and not own and said * SPARSE < len(rows):
            found[column.key] = column
    return tuple(found.values())


def left_out(fields: Sequence[DisplayField], shown: Sequence[Column]) -> int:
    """How many of the fields that a server names are not shown."""
    keys = {field_key(each.field) for each in fields if each.field}
    return len(keys - {column.key for column in shown})


def field_text(row: JobRow, key: str) -> str:
    """A job's own answer for a field that a server names; "" where it has none."""
    key = field_key(key)
    if key.startswith("labels."):
        return row.labels.get(key[len("labels.") :], "")
    match key:
        case "id":
            return row.id
        case "name":
            return row.name
        case "status":
            return row.status
        case "extensions.userId":
            return row.user or ""
        case "extensions.parentJobId":
            return row.parent or ""
    return row.extra.get(key, "")


def field_time(row: JobRow, key: str) -> datetime | None:
    """The instant that a field holds; None where it holds none, or what is no date."""
    if key in ("submission", "start", "end"):
        found: datetime | None = getattr(row, key)
        return found
    return moment(field_text(row, key))


def read_by(column: Column) -> Callable[[JobRow], object] | None:
    """What reads all that a column's cells are made of; None for what every mark is made of."""
    match column.kind:
        case "status" | "job" | "workflow":
            return None
        case "duration":
            return attrgetter("start", "end")
        case "time" if column.key in _BY_KEY:
            return attrgetter(column.key)
    return partial(field_text, key=column.key)


def duration_words(row: JobRow, so_far: float | None) -> str:
    """How long a job took, or takes so far; "" where nobody knows."""
    if so_far is None:
        return words.duration(row.took)
    # On paper it stands in two lines, and breaks nowhere else; on a screen the break is a space.
    took = words.duration(timedelta(seconds=so_far)).replace(" ", "\xa0")
    return f"{took}\nso\xa0far"


def lacking(key: str, row: JobRow) -> str:
    """What a job says in a column where a dash is seen, for those who hear it: as tables.js has it.

    By the status that stands beside it: a server may tell a job's end and no start. It holds for a
    job that its server has lost too: nobody knows whether that one has started or ended since.
    """
    if key.startswith("labels."):
        return "none"
    of = lacks.of(row.status, sure=False)
    if key == "end":
        return of.end
    return of.start if key in ("start", "took") else lacks.NOT_KNOWN


def failure_words(row: JobRow) -> str:
    """Why a job failed, short enough for a list; "" where nothing is known."""
    if row.failure is None or row.status == "Succeeded":
        return ""
    task = f"{words.cut_middle(row.failure.task, 40)}: " if row.failure.task else ""
    return words.cut_end(task + " ".join(row.failure.message.split()), 110)
