"""Values a server sent, as rows of two: inputs, outputs, labels, environment, logs, unknown fields.

A page stays small whatever a job holds: long values are cut in the middle, long tables at their
end, and each says how much is left out. The whole is in the job's raw JSON.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct

from jmreport.render import words
from jmreport.render.links import Links

#: Characters shown of one value, and rows shown of one table.
LONGEST_VALUE = 4_000
MOST_ROWS = 200
#: Bytes of links on a page, beside those of text.
LINKS = 120_000
#: What stands in a record for a secret, and for a value that was hashed (docs/security.md).
_TAKEN_OUT = "[taken out]"
_HASHED = re.compile(r"\bhash:[0-9a-f]{16}\b")
#: Texts below this length are never looked at: they count twice their length.
_LITTLE = 40
#: What a character comes to at most, in the way of `_size`.
_MOST_BYTES = 7
#: Booleans are whole numbers, too.
_SCALARS = (str, int)
_WORDS = {None: "null", True: "true", False: "false"}
#: Values up to this length stand in their line; longer ones get a box.
_SHORT = 160


class Value(Struct, frozen=True, gc=False):
    """A name and what it holds: `block` is for a box of its own, `href` where it may lead.

    `said` tells of a secret that was taken out of it, or of a value that was hashed.
    """

    name: str
    text: str
    href: str | None
    block: bool
    said: str = ""


class Values(Struct, frozen=True, kw_only=True, gc=False):
    """A closed table of values: `title`, how many there are, and how many are not shown."""

    id: str
    title: str
    rows: tuple[Value, ...]
    count: str
    left_out: int = 0


class Budget:
    """How much of a server's text a page still takes, in bytes of HTML, and how many rows.

    Hardly any page comes near its limit. So a text counts as the most that it can come to, and only
    where that is too much it is looked at.
    """

    def __init__(self, size: int, rows: int = 900) -> None:
        #: What is left at least: more, where the texts that wait come to less than their most.
        self._left = size
        self._waiting: list[str] = []
        self._links = LINKS
        self._rows = rows

    @property
    def rows_left(self) -> int:
        """How many rows there are still to give."""
        return self._rows

    def take(self, text: str, longest: int) -> str:
        """The text, cut in the middle to `longest` and to what is left on this page."""
        length = len(text)
        if length <= longest and length * 2 <= self._left:  # nearly always
            if length < _LITTLE:
                self._left -= length * 2
            else:
                self._left -= length * _MOST_BYTES
                self._waiting.append(text)
            return text
        left = self._left if longest * 2 <= self._left else self._exactly_left()
        longest = min(longest, max(left // 2, 0))
        if longest < 60 < length:
            return f"… {words.number(length)} characters left out …"
        if length > longest:
            gone, half = words.number(length - longest), longest // 2
            text = f"{text[:half]}\n… {gone} characters left out …\n{text[length - half :]}"
        self._count(text)
        return text

    def name(self, text: str, longest: int) -> str:
        """A name in one line, cut in the middle; short where the page is full."""
        length = len(text)
        if length < _LITTLE and length <= longest and self._left > 0:  # nearly always
            self._left -= length * 2
            return text
        if length > longest or self._left <= 0:
            full = self._exactly_left() <= 0
            text = words.cut_middle(text, min(longest, 30) if full else longest)
        self._count(text)
        return text

    def _count(self, text: str) -> None:
        length = len(text)
        if length < _LITTLE:
            self._left -= length * 2
        else:
            self._left -= length * _MOST_BYTES
            self._waiting.append(text)

    def _exactly_left(self) -> int:
        """What is left, once each text that waits counts as what it comes to."""
        self._left += sum(len(text) * _MOST_BYTES - _size(text) for text in self._waiting)
        self._waiting.clear()
        return self._left

    def affords(self, href: str) -> bool:
        """Whether a link still finds its place; it is taken if so.

        Links have room of their own: a page of shards with long paths keeps them.
        """
        left = self._links - len(href)
        if left < 0:
            return False
        self._links = left
        return True

    def rows(self, wanted: int, most: int) -> int:
        """How many of the rows wanted are given, at most `most`."""
        given = wanted if wanted <= most else most
        if given > self._rows:
            given = self._rows
        self._rows -= given
        return given


def _size(text: str) -> int:
    """Bytes of a text as HTML: what is escaped becomes five, and most letters but ASCII three."""
    return (len(text) if text.isascii() else len(text) * 3) + 4 * _escapes(text)


def _escapes(text: str) -> int:
    return text.count("<") + text.count(">") + text.count("&") + text.count('"') + text.count("'")


def table(
    anchor: str, title: str, held: Mapping[str, Any], *, links: Links, budget: Budget
) -> Values | None:
    """The table of a mapping in the server's order; None where it is empty."""
    if not held:
        return None
    given = budget.rows(len(held), MOST_ROWS)
    rows = [value(name, content, links, budget) for name, content in islice(held.items(), given)]
    return Values(
        id=anchor,
        title=title,
        rows=tuple(rows),
        count=words.plural(len(held), "value"),
        left_out=len(held) - given,
    )


def value(name: str, content: Any, links: Links, budget: Budget) -> Value:
    """One name and its value: text as it is, anything else as JSON."""
    shown, href = budget.name(name, 300), None
    if isinstance(content, str):
        text = budget.take(content, LONGEST_VALUE)
        href = links.href(content)
        if href and not budget.affords(href):
            href = None
    else:
        said = str(content) if type(content) is int else pretty(content)
        text = budget.take(said, LONGEST_VALUE)
    return Value(shown, text, href, len(text) > _SHORT or "\n" in text, _said(text))


def _said(text: str) -> str:
    """What a reader must know of a value that is not as the server sent it."""
    if _TAKEN_OUT in text:
        return "A secret was taken out here before anything was stored."
    if "hash:" in text and _HASHED.search(text):
        return "Hashed before anything was stored: the same value has the same hash everywhere."
    return ""


def pretty(content: Any) -> str:
    """JSON as people read it, one value a line; the same tree gives the same text."""
    if content is None or isinstance(content, _SCALARS):
        return plain(content)
    try:
        return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError):
        return repr(content)


def plain(content: Any) -> str:
    """A scalar as JSON writes it; text without its quotes."""
    if isinstance(content, str):
        return content
    if content is None or isinstance(content, bool):
        return _WORDS[content]
    return pretty(content) if not isinstance(content, int) else str(content)
