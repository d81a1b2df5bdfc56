"""A job among those it was submitted with: attempts of its task, and tasks of its array (dsub)."""

from datetime import timedelta

from msgspec import Struct

from jmreport.attempts import LABELS, place
from jmreport.records import JobRow
from jmreport.render import addresses, lacks, words
from jmreport.render.jobfacts import Link, Making
from jmreport.render.joblists import filter_state, status_adjective, status_order
from jmreport.render.lacks import Lacks
from jmreport.report.jobs import Array, Attempt, JobContext, Sibling

_SUBMISSION = LABELS[0]


class Other(Struct, frozen=True, kw_only=True):
    """Another attempt: "attempt 2", and how it stands."""

    link: Link
    status: str


class Attempts(Struct, frozen=True, kw_only=True):
    """Which attempt this is, the others, how many more there are, and what it counts for.

    `more` is None where all are named; it leads nowhere where no list tells them apart.
    """

    said: str
    others: tuple[Other, ...]
    more: Link | None
    note: str


class Task(Struct, frozen=True, kw_only=True):
    """A task of the array; `own` is the one of the page."""

    job: Link
    status: words.StatusWord
    attempts: str
    started: words.Moment | None
    took: str
    lacks: Lacks
    message: str
    own: bool


class Tasks(Struct, frozen=True, kw_only=True):
    """The array in a sentence, some of its tasks, and where all are; "" where no list tells.

    `failures` says whether any of the rows has a message.
    """

    count: str
    said: str
    rows: tuple[Task, ...]
    href: str
    failures: bool


def attempts(context: JobContext, making: Making) -> Attempts | None:
    """None for a job that is the only attempt that is known."""
    known, row = context.attempts.named, context.entry.row
    own = next((one for one in known if one.id == row.id), None)
    if own is None:
        return None
    return Attempts(
        said=f"Attempt {words.number(own.number)} of {words.number(known[-1].number)}.",
        others=tuple(_other(one, making) for one in known if one.id != row.id),
        more=_more(context, making),
        note=_note(context, own),
    )


def _other(one: Attempt, making: Making) -> Other:
    href = making.link(addresses.job(one.id))
    return Other(
        link=Link(f"Attempt {words.number(one.number)}", href),
        status=status_adjective(words.status(one.status)),
    )


def _more(context: JobContext, making: Making) -> Link | None:
    number = context.attempts.others
    if not number:
        return None
    said = words.plural(number, "more attempt")
    return Link(said, _list_of(context.entry.row, making) or None)


def _list_of(row: JobRow, making: Making) -> str:
    """The list of what was submitted with a job; "" where no label tells it."""
    label = row.labels.get(_SUBMISSION)
    state = filter_state(label=f"{_SUBMISSION}={label}") if label else ""
    return f"{making.link(addresses.JOBS)}#{state}" if state else ""


def _note(context: JobContext, own: Attempt) -> str:
    """What a failed attempt counts for, where another one followed."""
    row = context.entry.row
    if row.retried_by:
        return "It was followed by another attempt, so it counts as retried and not as failed."
    if row.status == "Failed" and own.number < context.attempts.named[-1].number:
        return "It counts as failed: the report that first told of it knew of no later attempt."
    return ""


def tasks(context: JobContext, making: Making) -> Tasks | None:
    """None for a job that is no task of an array."""
    array, row = context.array, context.entry.row
    where = place(row.id)
    if array is None or where is None:
        return None
    return Tasks(
        count=words.number(array.tasks),
        said=_said(array),
        rows=tuple(_task(one, making, own=one.task == where.task) for one in array.shown),
        href=_list_of(row, making),
        failures=any(one.message for one in array.shown),
    )


def _said(array: Array) -> str:
    split = ", ".join(
        f"{words.number(array.counts[status])} {status_adjective(words.status(status))}"
        for status in sorted(array.counts, key=status_order)
    )
    said = f"{split}: each by its last attempt that is known."
    if array.tasks > len(array.shown):
        first = words.number(len(array.shown))
        said += f" The first {first} are shown, those that failed before others."
    return said


def _task(one: Sibling, making: Making, *, own: bool) -> Task:
    name = f"Task {words.cut_middle(one.task, 40)}"
    return Task(
        job=Link(name, None if one.id == making.id else making.link(addresses.job(one.id))),
        status=words.status(one.status),
        attempts=words.number(one.attempts),
        started=making.short(one.start),
        took="" if one.seconds is None else words.duration(timedelta(seconds=one.seconds)),
        lacks=lacks.of(one.status, sure=False),
        message=words.cut_middle(" ".join(one.message.split()), 200),
        own=own,
    )
