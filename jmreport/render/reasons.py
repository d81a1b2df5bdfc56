"""A failure's message as readable lines: Cromwell nests reasons in one line (backends habit 33).

Workflow failed (Caused by [reason 1 of 2]: No input) (Caused by [reason 2 of 2]: A (Caused by…))
"""

import re
from collections.abc import Iterator

from msgspec import Struct

#: Reasons that are told apart; nobody nests them deeper, and what does is shown as it came.
MOST = 60
_TOKEN = re.compile(r"\s*\(Caused by \[reason (\d{1,6}) of (\d{1,6})\]: ?|[()]")


class Reason(Struct, frozen=True):
    """One reason: how deep it lies (0 is the message itself), "1 of 2", and its words."""

    depth: int
    label: str
    text: str


def chain(message: str) -> tuple[Reason, ...]:
    """The reasons of a message, each after the one that it caused; () where it nests none.

    >>> [(r.depth, r.label, r.text) for r in chain("A (b) (Caused by [reason 1 of 1]: C (d))")]
    [(0, '', 'A (b)'), (1, '1 of 1', 'C (d)')]
    """
    if "(Caused by [reason " not in message:
        return ()
    parts = list(_parts(message))
    return tuple(parts) if 1 < len(parts) <= MOST else ()


def deepest(reasons: tuple[Reason, ...]) -> str:
    """The innermost first reason: what it all began with."""
    found = reasons[0]
    for reason in reasons[1:]:
        if reason.depth <= found.depth:
            break
        found = reason
    return found.text


def _parts(message: str) -> Iterator[Reason]:
    """In the order in which reasons begin; the words of one may go on behind those within it."""
    found: list[tuple[int, str, list[str]]] = [(0, "", [])]
    # What is open: the place of a reason in `found`, and how many plain parentheses are within it.
    stack: list[list[int]] = [[0, 0]]
    at = 0
    for token in _TOKEN.finditer(message):
        place, depth = stack[-1]
        if token[1]:
            found[place][2].append(message[at : token.start()])
            found.append((len(stack), f"{token[1]} of {token[2]}", []))
            stack.append([len(found) - 1, 0])
            at = token.end()
        elif token.group() == "(":
            stack[-1][1] += 1
        elif depth:
            stack[-1][1] -= 1
        elif len(stack) > 1:
            found[place][2].append(message[at : token.start()])
            stack.pop()
            at = token.end()
    found[stack[-1][0]][2].append(message[at:])
    for level, label, pieces in found:
        yield Reason(level, label, "".join(pieces).strip())
