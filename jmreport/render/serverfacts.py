"""What a server says of itself, for the page of data quality: all of its capabilities, in words.

Read from the tree as it came: what has another shape than the API's is shown as JSON, and what the
API does not name at all is counted among the server's own fields.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from jmreport.models import AuthenticationCapability, CapabilitiesResponse, DisplayField
from jmreport.render import values, words

#: Columns shown; no list is as wide.
MOST_COLUMNS = 200
_LONGEST = 600


class ServerFact(Struct, frozen=True):
    """Something that the server says of itself; "" where it does not say."""

    name: str
    text: str


class ColumnRow(Struct, frozen=True, kw_only=True):
    """A column that the server proposes for lists of jobs."""

    field: str
    display: str
    kind: str
    values: str
    editable: str
    in_bulk: str
    filterable: str
    primary: str


class ServerFacts(Struct, frozen=True, kw_only=True):
    """Capabilities: facts, columns, and what no API names; `said` where there are none."""

    facts: tuple[ServerFact, ...]
    columns: tuple[ColumnRow, ...]
    columns_left_out: int
    own: tuple[ServerFact, ...]
    said: str


def read(tree: Any, beyond: Sequence[tuple[str, Any]] = ()) -> ServerFacts:
    """The capabilities of a server, whatever it answered.

    `beyond` has path and value of what its other answers hold that the API does not name.
    """
    others = tuple(ServerFact(words.cut_middle(path, 120), _text(each)) for path, each in beyond)
    if not isinstance(tree, dict):
        said = "The server did not say what it offers." if tree is None else _text(tree)
        return ServerFacts(facts=(), columns=(), columns_left_out=0, own=others, said=said)
    told = tree.get("displayFields")
    columns = told if isinstance(told, list) else []
    return ServerFacts(
        facts=tuple(_facts(tree, columns=told)),
        columns=tuple(_column(each) for each in columns[:MOST_COLUMNS]),
        columns_left_out=max(0, len(columns) - MOST_COLUMNS),
        own=(*_own(tree), *others),
        said="",
    )


def _facts(tree: dict[str, Any], *, columns: Any) -> Iterator[ServerFact]:
    yield ServerFact("Common labels", _text(tree.get("commonLabels")))
    yield ServerFact("Filters beyond the usual", _text(tree.get("queryExtensions")))
    yield ServerFact("Counts offered for", _text(tree.get("aggregationTimeFrames")))
    signing = tree.get("authentication")
    if signing is not None and not isinstance(signing, dict):
        yield ServerFact("Authentication", _text(signing))
    known = signing if isinstance(signing, dict) else {}
    yield ServerFact("Token required", _text(known.get("isRequired")))
    for name, key in (
        ("Scopes", "scopes"),
        ("Signs in elsewhere", "outsideAuth"),
        ("Signs out at", "forcedLogoutDomains"),
        ("Signs out after", "forcedLogoutTime"),
    ):
        if key in known:
            yield ServerFact(name, _text(known[key]))
    if columns is not None and not isinstance(columns, list):
        yield ServerFact("Columns", _text(columns))


def _column(told: Any) -> ColumnRow:
    tree = told if isinstance(told, dict) else {"field": told}
    return ColumnRow(
        field=_text(tree.get("field")),
        display=_text(tree.get("display")),
        kind=_text(tree.get("fieldType")),
        values=_text(tree.get("validFieldValues")),
        editable=_text(tree.get("editable")),
        in_bulk=_text(tree.get("bulkEditable")),
        filterable=_text(tree.get("filterable")),
        primary=_text(tree.get("primary")),
    )


def _own(tree: dict[str, Any]) -> Iterator[ServerFact]:
    """What no API names, by its path."""
    yield from _beyond(tree, CapabilitiesResponse, "")
    yield from _beyond(tree.get("authentication"), AuthenticationCapability, "authentication.")
    columns = tree.get("displayFields")
    for at, column in enumerate(columns[:MOST_COLUMNS] if isinstance(columns, list) else ()):
        yield from _beyond(column, DisplayField, f"displayFields[{at}].")


def _beyond(tree: Any, model: type[Struct], path: str) -> Iterator[ServerFact]:
    known = {field.encode_name for field in fields(model)}
    for key in tree if isinstance(tree, dict) else ():
        if key not in known:
            yield ServerFact(words.cut_middle(f"{path}{key}", 120), _text(tree[key]))


def _text(told: Any) -> str:
    """yes, no, a text, a list of texts, or JSON; "" for what was not said."""
    if told is None:
        return ""
    if isinstance(told, bool):
        return "yes" if told else "no"
    if isinstance(told, list) and all(isinstance(each, str) for each in told):
        return words.cut_middle(", ".join(told) or "none", _LONGEST)
    return words.cut_middle(values.pretty(told), _LONGEST)
