"""What the cloud says of a job's operations: JSON inside a string, as a tree one can read.

What clouds say first stands first: the state, the error and the events of Google's Batch and of its
older Pipelines. The rest is a tree of names and values; what is no JSON is shown as it came.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from jmreport.models import JobOperationResponse
from jmreport.records import moment
from jmreport.render import values, words
from jmreport.render.jobfacts import Making

#: Nodes of one tree, events of one operation, and how deep a tree is shown as one.
MOST_NODES = 250
MOST_EVENTS = 30
DEEPEST = 12
_LONGEST = 1_500


class Node(Struct, frozen=True, kw_only=True, gc=False):
    """A name with a text, or with nodes within it; `href` where the text leads somewhere."""

    name: str
    text: str = ""
    href: str | None = None
    count: str = ""
    nodes: tuple["Node", ...] = ()


class Event(Struct, frozen=True, gc=False):
    """Something that happened to the operation."""

    at: words.Moment | None
    text: str


class OperationView(Struct, frozen=True, kw_only=True):
    """An operation: `id` is what the answer calls it, "" where that is the job's own, and `raw` its
    details where they are no JSON."""

    anchor: str
    name: str
    href: str | None
    id: str
    facts: tuple[tuple[str, str], ...]
    times: tuple[tuple[str, words.Moment | None], ...]
    error: str
    events: tuple[Event, ...]
    events_left_out: int
    nodes: tuple[Node, ...]
    left_out: int
    raw: str
    why_not: str


def read(
    operations: Mapping[str, JobOperationResponse], making: Making
) -> tuple[OperationView, ...]:
    """The operations whose details were read, in the order in which they were asked for."""
    return tuple(_operation(name, answer, making) for name, answer in operations.items())


def _operation(name: str, answer: JobOperationResponse, making: Making) -> OperationView:
    details = answer.details or ""
    tree, parsed = _decoded(details)
    events = list(_events(tree))
    shown = events[: making.budget.rows(len(events), MOST_EVENTS)]
    branch = _Branch(making, told=_event_lists(tree) if len(shown) == len(events) else ())
    nodes = tuple(branch.nodes(tree)) if parsed else ()
    return OperationView(
        anchor=making.operations[name],
        name=making.budget.name(name, 200),
        href=making.facts.links.operation(name),
        # The shim answers with the job's id, which would read as the operation's.
        id=making.budget.name(answer.id or "", 200) if answer.id != making.id else "",
        facts=tuple((key, making.budget.name(text, 200)) for key, text in _facts(tree)),
        times=tuple((key, words.when(at, making.facts.zone)) for key, at in _times(tree)),
        error=making.budget.take(_error(tree), _LONGEST),
        events=tuple(
            Event(words.when(moment(at), making.facts.zone), making.budget.take(text, _LONGEST))
            for at, text in shown
        ),
        events_left_out=len(events) - len(shown),
        nodes=nodes,
        left_out=branch.left_out,
        raw="" if parsed or not details.strip() else making.budget.take(details, 20_000),
        why_not="" if details.strip() else "The server gave no details.",
    )


def _decoded(details: str) -> tuple[Any, bool]:
    """What the string holds, and whether it is JSON; a string within the string is opened too."""
    try:
        tree = msgspec.json.decode(details)
        if isinstance(tree, str) and tree.lstrip()[:1] in ("{", "["):
            tree = msgspec.json.decode(tree)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None, False
    return tree, True


# What clouds say first


def _at(tree: Any, *path: str) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _facts(tree: Any) -> Iterator[tuple[str, str]]:
    """State, machine and zone, wherever one of the two clouds has them."""
    done = _at(tree, "done")
    state = _at(tree, "status", "state") or {True: "done", False: "not done"}.get(done, "")
    machine = (
        _at(tree, "metadata", "pipeline", "resources", "virtualMachine", "machineType")
        or _at(_first(_at(tree, "allocationPolicy", "instances")), "policy", "machineType")
    )  # fmt: skip
    named = (
        ("State", state),
        ("Exit code", _at(tree, "metadata", "exitCode")),
        ("Machine", machine),
        ("Zone", _first(_at(tree, "metadata", "pipeline", "resources", "zones"))),
        ("Run duration", _at(tree, "status", "runDuration")),
    )
    for name, value in named:
        if isinstance(value, str | int) and value != "":
            yield name, str(value)


def _times(tree: Any) -> Iterator[tuple[str, datetime]]:
    for name, value in (
        ("Created", _at(tree, "metadata", "createTime") or _at(tree, "createTime")),
        ("Started", _at(tree, "metadata", "startTime")),
        ("Ended", _at(tree, "metadata", "endTime")),
    ):
        if at := moment(value):
            yield name, at


def _first(found: Any) -> Any:
    return found[0] if isinstance(found, list) and found else None


def _error(tree: Any) -> str:
    """The error in one line: "error 9: …"."""
    error = _at(tree, "error") or _at(tree, "metadata", "error")
    if isinstance(error, dict):
        code, message = error.get("code"), error.get("message")
        said = message if isinstance(message, str) else values.pretty(error)
        return f"error {code}: {said}" if isinstance(code, str | int) else said
    return error if isinstance(error, str) else ""


def _event_lists(tree: Any) -> tuple[Any, ...]:
    """Where the two clouds keep their events."""
    return (_at(tree, "metadata", "events"), _at(tree, "status", "statusEvents"))


def _events(tree: Any) -> Iterator[tuple[Any, str]]:
    """Times and words of what happened, newest first as the clouds give them."""
    for events, time in zip(_event_lists(tree), ("timestamp", "eventTime"), strict=True):
        for event in events if isinstance(events, list) else ():
            said = _at(event, "description")
            if isinstance(said, str):
                yield _at(event, time), said


# The rest


class _Branch:
    """Makes nodes of a tree within its allowance; what finds no room is counted.

    `told` are lists that the page tells already.
    """

    def __init__(self, making: Making, *, told: Iterable[Any]) -> None:
        self._making = making
        self._told = [part for part in told if _only_events(part)]
        self._room = making.budget.rows(MOST_NODES, MOST_NODES)
        self.left_out = 0

    def nodes(self, tree: Any, depth: int = 0) -> Iterator[Node]:
        """The parts of an object or a list; a single node for anything else."""
        parts: Iterable[tuple[str, Any]] = [("", tree)]
        if isinstance(tree, dict):
            parts = tree.items()
        elif isinstance(tree, list):
            parts = ((f"#{at}", part) for at, part in enumerate(tree, 1))
        for name, part in parts:
            if self._room <= 0:
                self.left_out += 1
                continue
            self._room -= 1
            yield self._node(name, part, depth)

    def _node(self, name: str, part: Any, depth: int) -> Node:
        budget = self._making.budget
        shown = budget.name(name, 200)
        if any(part is told for told in self._told):
            return Node(name=shown, count=f"{words.plural(len(part), 'event')}, shown above")
        if isinstance(part, dict | list) and part and depth < DEEPEST:
            noun = "value" if isinstance(part, dict) else "item"
            return Node(
                name=shown,
                count=words.plural(len(part), noun),
                nodes=tuple(self.nodes(part, depth + 1)),
            )
        text = budget.take(values.pretty(part), _LONGEST)
        href = self._making.facts.links.href(part)
        return Node(name=shown, text=text, href=href if href and budget.affords(href) else None)


def _only_events(events: Any) -> bool:
    """Whether a list holds nothing that the table of events leaves out."""
    known = {"timestamp", "eventTime", "description"}
    return isinstance(events, list) and all(
        isinstance(event, dict)
        and event.keys() <= known
        and isinstance(_at(event, "description"), str)
        for event in events
    )
