"""Attempts as rows that only need printing."""

from collections.abc import Iterable

from msgspec import Struct

from jmreport.models import IndividualAttempt
from jmreport.render import values, words
from jmreport.render.calls import Call
from jmreport.render.jobfacts import Link, Making
from jmreport.render.values import Value

_MESSAGE = 1_500
_MOST_MESSAGES = 20
_MOST_VALUES = 20
#: A machine that was taken away is no failure of the work, and the next attempt goes on with it.
PREEMPTED = words.StatusWord("aborted", "Preempted", "i-aborted")


class AttemptRow(Struct, frozen=True, kw_only=True):
    """One attempt of a task or a shard; `values` are its inputs and outputs."""

    of: str
    status: words.StatusWord
    note: str
    started: words.Moment | None
    ended: words.Moment | None
    took: str
    links: tuple[Link, ...]
    messages: tuple[str, ...]
    values: tuple[Value, ...] = ()


def row(call: Call, making: Making, *, of: str) -> AttemptRow:
    """An attempt in words; `of` says which one it is."""
    data = call.data or IndividualAttempt()
    held = [("Input", data.inputs), ("Output", data.outputs)]
    return AttemptRow(
        of=of,
        status=PREEMPTED if call.preempted else words.status(call.status),
        note=note(call),
        started=making.short(call.start),
        ended=making.short(call.end),
        took=words.between(call.start, call.end),
        links=making.places(data.backend_log, data.call_root, data.operation_id),
        messages=messages(data.failure_messages, making),
        values=tuple(
            values.value(f"{kind} {name}", content, links=making.facts.links, budget=making.budget)
            for kind, mapping in held
            for name, content in list(mapping.items())[:_MOST_VALUES]
        ),
    )


def note(call: Call) -> str:
    """What else is to be said of an attempt: "cached", "end unknown"."""
    said = ["cached"] if call.cached else []
    if call.start and call.end is None and call.over:
        said.append("end unknown")
    return ", ".join(said)


def messages(texts: Iterable[str], making: Making) -> tuple[str, ...]:
    """Failure messages, the first ones, as far as the page has room."""
    return tuple(making.budget.take(text, _MESSAGE) for text in list(texts)[:_MOST_MESSAGES])
