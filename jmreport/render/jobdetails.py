"""The closed parts at the end of a job's page: every value that has no place further up."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from jmreport.records import Record, moment
from jmreport.render import addresses, beyond, listed, values, words
from jmreport.render.jobfacts import Making
from jmreport.render.reading import Reading
from jmreport.render.values import Values

#: Longer names are cut in the heading and stand whole among the details.
LONG_NAME = 200


class EventLine(Struct, frozen=True):
    """Something that a server says happened to the job."""

    at: words.Moment | None
    text: str


class Events(Struct, frozen=True, kw_only=True):
    """The job's own events in the server's order, and how many are not shown."""

    rows: tuple[EventLine, ...]
    left_out: int


def tables(record: Record, read: Reading, making: Making) -> tuple[Values, ...]:
    """The closed tables; each property of the API has a title of its own."""
    made = (
        values.table(
            addresses.slug(title), title, held, links=making.facts.links, budget=making.budget
        )
        for title, held in _held(record, read)
        if held
    )
    return tuple(table for table in made if table)


def _held(record: Record, read: Reading) -> Iterator[tuple[str, Mapping[str, Any]]]:
    source, detail = read.detail or read.row, read.detail
    if source is None:
        return
    extensions = source.extensions
    if len(source.name or "") > LONG_NAME:
        yield "Name", {"name": source.name}
    yield "Inputs", detail.inputs if detail else {}
    yield "Outputs", detail.outputs if detail else {}
    yield "Labels", source.labels
    yield "Environment", extensions.envs
    yield "Logs", extensions.logs
    if extensions.source_file:
        yield "Source file", {"sourceFile": extensions.source_file}
    if extensions.status_detail:
        yield "Status detail", {"statusDetail": extensions.status_detail}
    yield "Other fields of this server", beyond.of_job(record)
    yield "Said otherwise by the list", listed.otherwise(record)


def events(read: Reading, making: Making) -> Events:
    """The job's own events, such as dsub's."""
    source = read.detail or read.row
    told = source.extensions.events if source else ()
    given = making.budget.rows(len(told), values.MOST_ROWS)
    rows = tuple(
        EventLine(
            words.when_exactly(moment(event.time), making.facts.zone),
            making.budget.take(event.content or "", 2_000),
        )
        for event in told[:given]
    )
    return Events(rows=rows, left_out=len(told) - given)


def misfits(read: Reading, making: Making) -> tuple[values.Value, ...]:
    """What does not have the shape that the API gives it, with its path."""
    return tuple(
        values.value(
            f"{misfit.path}: {misfit.why}",
            misfit.value,
            links=making.facts.links,
            budget=making.budget,
        )
        for misfit in read.misfits
    )
