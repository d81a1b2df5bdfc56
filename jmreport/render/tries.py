"""Attempts as rows that only need printing."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct

from jmreport.models import IndividualAttempt
from jmreport.render import values, words
from jmreport.render.calls import Call
from jmreport.render.jobfacts import Link, Making
from jmreport.render.lacks import NOT_KNOWN, Lacks
from jmreport.render.values import Value

#: Where what a page has no room for is found.
IN_RAW = "in the raw JSON"
_MESSAGE = 1_500
_MOST_MESSAGES = 20
_MOST_VALUES = 20
#: A machine that was taken away is no failure of the work, and the next attempt goes on with it.
PREEMPTED = words.StatusWord("aborted", "Preempted", "i-aborted")


class AttemptRow(Struct, frozen=True, kw_only=True, gc=False):
    """One attempt of a task or a shard; `values` are its inputs and outputs."""

    of: str
    status: words.StatusWord
    note: str
    started: words.Moment | None
    ended: words.Moment | None
    took: str
    lacks: Lacks
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
        note=note(call, making),
        started=making.short(call.start),
        ended=making.short(call.end),
        took=making.took(call.start, call.end, call.status),
        lacks=making.lacks(call.status),
        links=making.places(data.backend_log, data.call_root, data.operation_id),
        messages=messages(data.failure_messages, making),
        values=tuple(value for kind, mapping in held for value in _values(kind, mapping, making)),
    )


def note(call: Call, making: Making) -> str:
    """What else is to be said of an attempt: "cached", "end unknown"."""
    said = ["cached"] if call.cached else []
    if call.start and call.end is None and making.lacks(call.status).end == NOT_KNOWN:
        said.append("end unknown")
    return ", ".join(said)


def _values(kind: str, mapping: Mapping[str, Any], making: Making) -> Iterator[Value]:
    """An attempt's inputs or outputs, the first ones; the last row says how many more there are."""
    for name, content in islice(mapping.items(), _MOST_VALUES):
        yield values.value(
            f"{kind} {name}", content, links=making.facts.links, budget=making.budget
        )
    left = len(mapping) - _MOST_VALUES
    if left > 0:
        yield Value(f"{words.number(left)} more {kind.lower()}s", IN_RAW, None, block=False)


def messages(texts: Sequence[str], making: Making) -> tuple[str, ...]:
    """Failure messages, the first ones, as far as the page has room; the last says what is left."""
    shown = tuple(making.budget.take(text, _MESSAGE) for text in texts[:_MOST_MESSAGES])
    left = len(texts) - len(shown)
    return (*shown, f"… {words.plural(left, 'more message')}: {IN_RAW}") if left else shown
