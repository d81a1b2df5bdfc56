"""Answers of a server, spoilt in every way that we could think of: trees, and the bytes of them.

What JSON can't say (1e400, five thousand brackets) stands in a tree as a mark, and is put in its
place when the tree becomes bytes. The same chance makes the same answer.
"""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any, NamedTuple

#: Names of properties whose values mean something to whoever reads them.
DATES = ("submission", "start", "end", "timestamp", "time", "lastUpdate")
WORDS = ("status", "executionStatus", "fieldType", "field", "nextPageToken")
JSON = {"Content-Type": "application/json"}
#: What no encoder writes, by the mark that stands for it until the end.
MARKS = {
    "@1e400@": b"1e400",
    "@-1e999@": b"-1e999",
    "@NaN@": b"NaN",
    "@Infinity@": b"-Infinity",
    "@deep lists@": b"[" * 5_000 + b"]" * 5_000,
    "@deep objects@": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "@deepest allowed@": b"[" * 60 + b"]" * 60,
    "@long integer@": b"9" * 5_000,
}
BAD_DATES = (
    "yesterday", "", "2026-02-30T00:00:00Z", "0000-00-00T00:00:00Z", "2026-11-23T02:14:00",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "2026-11-23", "24:00",
    "+275760-09-13T00:00:00Z", "2026-11-23T02:14:00+99:99", "2026-W47-1", "1890-01-01T00:00:00Z",
    "2026-11-23T02:14:60Z", "\uff12\uff10\uff12\uff16-11-23T02:14:00Z", 1_795_000_000, 0,
)  # fmt: skip
WRONG: tuple[Any, ...] = (
    "text", "", 7, -1, 0, 3.5, True, False, [], {}, [[]], [None], ["a", 1, None], {"a": {"b": 1}},
    [{"id": 1}], {"": ""}, [{}], "None", "[]",
)  # fmt: skip
HUGE = (2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, -(10**40), 10**300, 1e308, -1e-320)
ODD_TEXT = (
    "\x00", "a\x00b", "\x1b[31m\x07", "\u202etxt.exe", "\u2028\u2029", "\ufeff", "\U000e0041",
    "\ufffe", "e\u0301" * 90, "\r\n\r\n", "..", "../../x", "%00%2f", "=1+1", "</script><b>", "&#0;",
    "{{ 7 * 7 }}", " ", "\t", "\U0001f9ec" * 40, "a" * 300, "\x85", "gs://", "gs://b/\x00?#",
)  # fmt: skip


class Sent(NamedTuple):
    """An answer as it is sent; `how` names what was done to it, "" where nothing was."""

    status: int
    headers: dict[str, str]
    body: bytes
    how: str = ""


class Spot(NamedTuple):
    """A value in a tree: what holds it, and by which key or index."""

    whole: Any
    key: Any

    @property
    def value(self) -> Any:
        return self.whole[self.key]

    def put(self, value: Any) -> None:
        self.whole[self.key] = value


def spots(tree: Any) -> Iterator[Spot]:
    """Every value below the top of a tree."""
    waiting = [tree]
    while waiting:
        whole = waiting.pop()
        for key in list(whole) if isinstance(whole, dict) else range(len(whole)):
            yield Spot(whole, key)
            if isinstance(whole[key], dict | list):
                waiting.append(whole[key])


def _pick(tree: Any, chance: Random, *names: str) -> Spot | None:
    """A value somewhere, near the top as often as deep; of these names where there are any."""
    found = list(spots(tree))
    named = [spot for spot in found if spot.key in names]
    if named:
        return chance.choice(named)
    if isinstance(tree, dict) and tree and chance.random() < 0.5:
        return Spot(tree, chance.choice(list(tree)))
    return chance.choice(found) if found else None


Change = Callable[[Any, Random], None]


def _setting(*values: Any, names: tuple[str, ...] = ()) -> Change:
    def change(tree: Any, chance: Random) -> None:
        if spot := _pick(tree, chance, *names):
            spot.put(deepcopy(chance.choice(values)))

    return change


def _missing(tree: Any, chance: Random) -> None:
    if spot := _pick(tree, chance):
        del spot.whole[spot.key]


def _all_missing(tree: Any, _: Random) -> None:
    tree.clear()


def _extra(tree: Any, chance: Random) -> None:
    objects = [tree, *(spot.value for spot in spots(tree) if isinstance(spot.value, dict))]
    name = chance.choice(("newField", "", "__class__", "id ", "\ud800", "a" * 2_000, "x\x00y"))
    chance.choice(objects)[name] = deepcopy(chance.choice((*WRONG, *HUGE, *ODD_TEXT)))


def _twice(tree: Any, chance: Random) -> None:
    """A list with its parts twice over: two tasks of one name, two shards of one index."""
    lists = [spot for spot in spots(tree) if isinstance(spot.value, list) and spot.value]
    if not lists:
        return _extra(tree, chance)
    spot = chance.choice(lists)
    return spot.put([*spot.value, *deepcopy(spot.value)])


def _exchanged(tree: Any, chance: Random) -> None:
    """Two values in each other's place."""
    top = list(tree) if isinstance(tree, dict) else []
    if len(top) < 2:
        return _extra(tree, chance)
    one, other = chance.sample(top, 2)
    tree[one], tree[other] = tree[other], tree[one]
    return None


def _renamed(tree: Any, chance: Random) -> None:
    """A key in another case: JSON knows no such thing as the same key."""
    if (spot := _pick(tree, chance)) and isinstance(spot.key, str):
        spot.whole[spot.key.upper()] = spot.whole.pop(spot.key)


#: What can be done to an object, by the name under which it is counted.
TREES: dict[str, Change] = {
    "null": _setting(None),
    "wrong type": _setting(*WRONG),
    "missing": _missing,
    "all missing": _all_missing,
    "unknown word": _setting("Paused", "FAILED", "", "succeeded ", "\u2702", names=WORDS),
    "bad date": _setting(*BAD_DATES, names=DATES),
    "twice in a list": _twice,
    "huge number": _setting(*HUGE),
    "1e400": _setting("@1e400@", "@-1e999@"),
    "NaN": _setting("@NaN@", "@Infinity@"),
    "integer of 5,000 digits": _setting("@long integer@"),
    "nested 5,000 deep": _setting("@deep lists@", "@deep objects@"),
    "nested 60 deep": _setting("@deepest allowed@"),
    "lone surrogate": _setting("\ud800", "a\udfffb", "\udc00\ud800"),
    "odd text": _setting(*ODD_TEXT),
    "a text of 1 MB": _setting("x" * 1_000_000, "long line\n" * 100_000, "<" * 1_000_000),
    "extra field": _extra,
    "exchanged": _exchanged,
    "key in another case": _renamed,
}


def encoded(tree: Any) -> bytes:
    """A tree as bytes, with what its marks stand for."""
    body = json.dumps(tree).encode()
    for mark, said in MARKS.items():
        body = body.replace(b'"' + mark.encode() + b'"', said)
    return body


def changed(tree: Any, chance: Random, *, changes: dict[str, Change] = TREES) -> tuple[Any, str]:
    """A copy of an object with something done to it, and what; now and then several things."""
    copy = deepcopy(tree)
    names = chance.choices(list(changes), k=1 if chance.random() < 0.8 else 3)
    for name in names:
        changes[name](copy, chance)
    return copy, names[0] if len(names) == 1 else "several at once"


def _cut(body: bytes, chance: Random) -> Sent:
    return Sent(200, JSON, body[: chance.randrange(1, max(len(body), 2))], "cut JSON")


def _bad_utf8(body: bytes, chance: Random) -> Sent:
    """A byte that can't be, within a text where there is one."""
    at = body.find(b'": "', chance.randrange(max(len(body) // 2, 1)))
    at = at + 4 if at >= 0 else len(body) // 2
    bad = chance.choice((b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\x80"))
    return Sent(200, JSON, body[:at] + bad + body[at:], "bad UTF-8")


def _keys_again(body: bytes, chance: Random) -> Sent:
    """The object's keys a second time, with other values: the last ones count."""
    more = chance.choice((b'"id": "another", ', b'"status": "Failed", "status": 1, ', b'"": 0, '))
    return Sent(200, JSON, body.replace(b"{", b"{" + more, chance.randint(1, 5)), "keys repeated")


def _keys_after(body: bytes, chance: Random) -> Sent:
    more = chance.choice((b"null", b'"other"', b"[]"))
    key = chance.choice((b"id", b"status", b"results", b"extensions", b"contents", b"attempts"))
    last = body.rstrip().removesuffix(b"}")
    comma = b"" if last.rstrip().endswith(b"{") else b", "
    return Sent(200, JSON, last + comma + b'"' + key + b'": ' + more + b"}", "keys repeated")


def _typed(body: bytes, chance: Random) -> Sent:
    types = ("text/html", "text/plain", "application/octet-stream", "", "image/png", "json; \x7f")
    return Sent(200, {"Content-Type": chance.choice(types)}, body, "wrong content type")


def _whole(status: int, headers: dict[str, str], body: bytes, how: str) -> Any:
    return lambda _body, _chance: Sent(status, headers, body, how)


_HTML = b"<!DOCTYPE html><title>Sign in</title><form action=/login><input name=password></form>"
#: What can be done to a body as a whole.
BODIES: tuple[Callable[[bytes, Random], Sent], ...] = (
    _cut, _cut, _bad_utf8, _keys_again, _keys_after, _typed,
    _whole(200, JSON, b"", "empty"),
    _whole(200, {}, b"", "empty"),
    _whole(200, JSON, b" \n", "empty"),
    _whole(204, {}, b"", "empty"),
    _whole(200, {"Content-Type": "text/html"}, _HTML, "HTML"),
    _whole(200, JSON, _HTML, "HTML"),
    _whole(502, {"Content-Type": "text/html; charset=x"}, _HTML, "HTML"),
    lambda body, _: Sent(200, JSON, b"\xef\xbb\xbf" + body, "byte order mark"),
    lambda body, _: Sent(200, JSON, body.decode("utf-8", "replace").encode("utf-16"), "UTF-16"),
    lambda body, _: Sent(200, JSON, body + b"}", "more behind the end"),
    lambda body, _: Sent(200, JSON, body + b"\n" + body, "more behind the end"),
    lambda body, _: Sent(200, JSON, b"[" + body + b"]", "no object"),
    lambda _, chance: Sent(
        200, JSON, chance.choice((b"null", b"7", b'"x"', b"[]", b"true", b"1e400")), "no object"
    ),
    lambda body, _: Sent(200, JSON, json.dumps(body.decode("utf-8", "replace")).encode(), "quoted"),
)  # fmt: skip


def spoilt(body: bytes, chance: Random, *, others: tuple[bytes, ...] = ()) -> Sent:
    """An answer of status 200 with something done to it; `others` are bodies of other operations.

    Two of three times to its tree, else to its bytes or in exchange for another's.
    """
    way = chance.random()
    if way < 0.67:
        tree, how = changed(json.loads(body), chance)
        return Sent(200, JSON, encoded(tree), how)
    if way < 0.75 and others:
        return Sent(200, JSON, chance.choice(others), "another operation's")
    return chance.choice(BODIES)(body, chance)


def read(sent: Sent) -> Any:
    """The object that an answer holds, read by the letter; None where it holds none.

    Written apart from the program's own reader, so that the two can be held against each other.
    """
    if sent.status != 200 or "html" in sent.headers.get("Content-Type", ""):
        return None

    def finite(digits: str) -> float | str:
        return digits if abs(number := float(digits)) == float("inf") else number

    def whole(digits: str) -> int | str:
        return int(digits) if len(digits.lstrip("-")) <= 4_300 else digits

    try:
        tree = json.loads(
            sent.body.decode("utf-8"),
            parse_constant=lambda _: None, parse_float=finite, parse_int=whole,
        )  # fmt: skip
        tree = _mended(tree)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) and _depth(tree) <= 100 else None


def _mended(tree: Any) -> Any:
    """Half a character is a replacement mark."""
    if isinstance(tree, str):
        return "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in tree)
    if isinstance(tree, list):
        return [_mended(part) for part in tree]
    if isinstance(tree, dict):
        return {_mended(key): _mended(part) for key, part in tree.items()}
    return tree


def _depth(tree: Any) -> int:
    level, depth = [tree], 0
    while level:
        depth += 1
        inside = [list(part.values()) if isinstance(part, dict) else part for part in level]
        level = [part for parts in inside for part in parts if isinstance(part, dict | list)]
    return depth
