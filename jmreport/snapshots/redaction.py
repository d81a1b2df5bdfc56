"""Secrets taken out of JSON trees and texts, before anything is written.

    {"inputs": {"wf.db_password": "hunter2"}}  ->  {"inputs": {"wf.db_password": "[taken out]"}}

By whole words in the names of keys (`[redact] keys`, `keep`, `hash`), and by shapes inside any text
(`[redact] patterns`). Only texts, and texts inside containers, are taken out; numbers, structure
and the ids of jobs stay. What comes out can always be written as JSON, whatever came in.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

import msgspec

from jmreport.errors import UsageError
from jmreport.records import Gap, Record, Run
from jmreport.settings import Redact
from jmreport.snapshots.shapes import (
    NAME_FRAGMENTS,
    SHAPES,
    TAKEN_OUT,
    Shape,
    assignments,
    is_harmless_value,
    is_secret_name,
    words,
)

#: Deeper than any job: what lies below is replaced, so that every reader can read it back.
MAX_DEPTH = 200
TOO_DEEP = "[nested more than 200 deep]"
#: Names decided upon that are remembered, at most; task names and inputs repeat from job to job.
_REMEMBERED = 50_000
#: Longest JSON inside a text that is looked into as JSON.
_INNER = 1_000_000

#: A shape, and those of its fragments of which one is in a text that it matches.
_Suspect = tuple[Shape, tuple[str, ...]]
_Fate = Literal["keep", "take", "take all", "hash"]
_HASHED = re.compile(r"hash:[0-9a-f]{16}")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_encode = msgspec.json.Encoder().encode


class Redaction:
    """What is taken out, as the settings say. Safe to share among threads.

    `salt` keys the hashes of `[redact] hash`, so that they are stable within a store and tell
    nothing outside of it. Raises UsageError for a pattern that is no regular expression.
    """

    def __init__(self, settings: Redact | None = None, *, salt: bytes = b"") -> None:
        self.settings = settings or Redact()
        self._salt = salt
        self._own = tuple(words(name) for name in self.settings.keys if words(name))
        self._keep = frozenset(map(_bare, self.settings.keep))
        self._hash = frozenset(map(_bare, self.settings.hash))
        self._keys: dict[str, tuple[_Fate, str, int]] = {}
        self._patterns = tuple(
            map(_compiled, range(len(self.settings.patterns)), self.settings.patterns)
        )
        fragments = (*NAME_FRAGMENTS, *(name[0] for name in self._own))
        self._names = assignments(lambda name: self._fate(name).startswith("take"), fragments)
        self._shapes = (*SHAPES, self._names, *self._patterns)
        self._all = tuple((shape, shape.fragments) for shape in self._shapes)
        self._fragments = tuple(sorted({f for shape in self._shapes for f in shape.fragments}))

    @classmethod
    def of(cls, settings: Redact) -> Self:
        """The redaction that the settings ask for."""
        return cls(settings)

    @property
    def hashes(self) -> bool:
        """Whether values are hashed, for which a salt is needed."""
        return bool(self._hash)

    def salted(self, salt: bytes) -> "Redaction":
        """The same redaction with a store's salt."""
        return Redaction(self.settings, salt=salt)

    def record(self, record: Record) -> Record:
        """The record without secrets; `taken_out` counts them. Its id stays as it is.

        Names of tasks, logs and operations are names, not keys: only shapes apply to them.
        """
        cleaning = _Cleaning(self)
        return Record(
            id=whole(record.id),
            row=_identified(cleaning.tree(record.row), record.row),
            detail=_identified(cleaning.tree(record.detail), record.detail),
            parent=record.parent,
            attempts=cleaning.named(record.attempts, cleaning.tree),
            shard_attempts=cleaning.named(
                record.shard_attempts, lambda shards: cleaning.named(shards, cleaning.tree)
            ),
            logs=cleaning.named(record.logs, cleaning.tree),
            operations=cleaning.named(record.operations, cleaning.tree),
            gaps=cleaning.gaps(record.gaps),
            taken_out=record.taken_out + cleaning.count,
            detail_from=record.detail_from,
        )

    def row(self, row: Any) -> Any:
        """A list row without secrets; its id stays as it is."""
        return _identified(_Cleaning(self).tree(row), row)

    def run(self, run: Run) -> Run:
        """A run without secrets: in what the server said of itself, in errors, in its address."""
        cleaning = _Cleaning(self)
        filters = run.asked.filters
        asked = msgspec.structs.replace(
            run.asked,
            server=cleaning.text(run.asked.server),
            filters=msgspec.structs.replace(filters, labels=cleaning.tree(filters.labels)),
        )
        return msgspec.structs.replace(
            run,
            asked=asked,
            reason=cleaning.text(run.reason),
            health=cleaning.text(run.health),
            capabilities=cleaning.tree(run.capabilities),
            operations=tuple(
                msgspec.structs.replace(one, why=cleaning.text(one.why)) for one in run.operations
            ),
            gaps=cleaning.gaps(run.gaps),
            notes=tuple(map(cleaning.text, run.notes)),
        )

    def tree(self, tree: Any) -> tuple[Any, int]:
        """A JSON tree without secrets, and how many were taken out. Never raises."""
        cleaning = _Cleaning(self)
        return cleaning.tree(tree), cleaning.count

    def text(self, text: str) -> tuple[str, int]:
        """A text without secrets, and how many were taken out."""
        cleaning = _Cleaning(self)
        return cleaning.text(text), cleaning.count

    def hashed(self, value: object) -> str:
        """What stands for a value that is hashed: equal for equal values of one store."""
        text = value if isinstance(value, str) else _encode(value).decode()
        digest = hmac.new(self._salt, text.encode("utf-8", "replace"), hashlib.sha256)
        return f"hash:{digest.hexdigest()[:16]}"

    def _fate(self, name: str) -> _Fate:
        return self._key(name)[0]

    def _key(self, name: str) -> tuple[_Fate, str, int]:
        """What becomes of a key's value, the key without secrets, and how many it held."""
        known = self._keys.get(name)
        if known is None:
            if len(self._keys) >= _REMEMBERED:
                self._keys.clear()
            known = self._keys[name] = (self._decide(name), *self._clean_key(name))
        return known

    def _clean_key(self, name: str) -> tuple[str, int]:
        clean = name
        for shape in self._shapes:
            clean = shape.pattern.sub(shape.replacement, clean)
        return whole(clean), clean.count(TAKEN_OUT) - name.count(TAKEN_OUT)

    def _decide(self, name: str) -> _Fate:
        bare = {_bare(name), _bare(name.rpartition(".")[2])}
        if bare & self._keep:
            return "keep"
        if bare & self._hash:
            return "hash"
        parts = words(name)
        if any(_contains(parts, own) for own in self._own):
            return "take all"
        return "take" if is_secret_name(name) else "keep"

    def _suspects(self, tree: Any) -> tuple[bool, tuple[_Suspect, ...]]:
        """Whether a tree needs a closer look, and which shapes can be in it at all."""
        try:
            body = _encode(tree).lower()
        except (UnicodeEncodeError, RecursionError, TypeError, ValueError, OverflowError):
            return True, self._all
        if _is_deep(body):
            return True, self._all
        there = {fragment for fragment in self._fragments if fragment.encode() in body}
        suspects = tuple(
            (shape, tuple(there.intersection(shape.fragments)))
            for shape in self._shapes
            if not shape.fragments or not there.isdisjoint(shape.fragments)
        )
        return bool(suspects) or bool(self._own) or self.hashes, suspects


class _Cleaning:
    """One walk through the trees of one record, counting what it takes out."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._fate = redaction._fate
        self._suspects: tuple[_Suspect, ...] = ()
        self.count = 0

    def tree(self, tree: Any) -> Any:
        suspicious, self._suspects = self._redaction._suspects(tree)
        return self._walk(tree, 0) if suspicious else tree

    def text(self, text: str) -> str:
        return str(self.tree(text))

    def gaps(self, gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
        return tuple(Gap(what=self.text(g.what), why=self.text(g.why), job=g.job) for g in gaps)

    def named(self, named: Mapping[str, Any], clean: Callable[[Any], Any]) -> dict[str, Any]:
        return {self.text(name): clean(value) for name, value in named.items()}

    def _walk(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self._clean_text(value)
        if kind is dict or kind is list:
            if depth > MAX_DEPTH:
                return TOO_DEEP
            if kind is dict:
                return self._walk_dict(value, depth + 1)
            return [self._walk(item, depth + 1) for item in value]
        if kind is tuple:
            return [self._walk(item, depth + 1) for item in value]
        return value

    def _walk_dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        key_of, keys = self._redaction._key, self._redaction._keys
        for key, item in value.items():
            fate, name, secrets = keys.get(key) or key_of(str(key))
            if name in out:
                name = _another(name, out)
            self.count += secrets
            if fate != "keep":
                out[name] = self._replace(str(key), item, fate, depth)
            elif type(item) is str:
                out[name] = self._clean_text(item)
            else:
                out[name] = self._walk(item, depth)
        if "value" in value:
            self._walk_pair(value, out)
        return out

    def _walk_pair(self, value: dict[Any, Any], out: dict[str, Any]) -> None:
        """{"name": "DB_PASSWORD", "value": "x"}: how environments are listed."""
        name = value.get("name", value.get("key"))
        if isinstance(name, str) and self._fate(name) != "keep":
            out["value"] = self._replace(name, out["value"], self._fate(name), 1)

    def _replace(self, name: str, value: Any, fate: _Fate, depth: int) -> Any:
        """The value of a key that is taken out or hashed: its texts, wherever they are in it."""
        if isinstance(value, dict | list | tuple):
            if depth > MAX_DEPTH:
                return TOO_DEEP
            if isinstance(value, dict):
                return self._replace_dict(name, value, fate, depth + 1)
            return [self._replace(name, item, fate, depth + 1) for item in value]
        if value is None or isinstance(value, bool):
            return value
        if fate == "hash":
            return self._hash(value)
        if isinstance(value, str):
            if fate == "take" and is_harmless_value(name, value):
                return value
            return self._take(value)
        return self._take(str(value)) if fate == "take all" else value

    def _replace_dict(
        self, name: str, value: dict[Any, Any], fate: _Fate, depth: int
    ) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, item in value.items():
            _, inner, secrets = self._redaction._key(str(key))
            self.count += secrets
            out[_another(inner, out)] = self._replace(name, item, fate, depth)
        return out

    def _hash(self, value: Any) -> str:
        if isinstance(value, str) and _HASHED.fullmatch(value):
            return value
        self.count += 1
        return self._redaction.hashed(value)

    def _take(self, value: str) -> str:
        if value != TAKEN_OUT:
            self.count += 1
        return TAKEN_OUT

    def _clean_text(self, text: str) -> str:
        lowered = text.lower()
        for shape, fragments in self._suspects:
            for fragment in fragments:
                if fragment in lowered:
                    text = self._apply(shape, text)
                    break
            else:
                if not fragments:
                    text = self._apply(shape, text)
        return whole(text)

    def _apply(self, shape: Shape, text: str) -> str:
        if shape is self._redaction._names and text[:1] in ("{", "["):
            text = self._clean_inner(text)
        clean = shape.pattern.sub(shape.replacement, text)
        if clean != text:
            self.count += clean.count(TAKEN_OUT) - text.count(TAKEN_OUT)
        return clean

    def _clean_inner(self, text: str) -> str:
        """JSON inside a text, as operation details are: looked into, rewritten only if need be."""
        if len(text) > _INNER:
            return text
        try:
            inner = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return text
        before, suspects = self.count, self._suspects
        clean = self.tree(inner)
        self._suspects = suspects
        return text if self.count == before else _encode(clean).decode()


def _another(name: str, taken: Mapping[str, Any]) -> str:
    """The name, marked where another key looks alike without its secrets."""
    while name in taken:
        name += "·"
    return name


def _identified(clean: Any, raw: Any) -> Any:
    """A job keeps its id, whatever it looks like: everything else hangs on it."""
    identified = isinstance(raw, dict) and isinstance(raw.get("id"), str)
    if identified and isinstance(clean, dict) and clean.get("id") != raw["id"]:
        clean["id"] = whole(raw["id"])
    return clean


def _is_deep(body: bytes) -> bool:
    """Whether JSON may be nested deeper than can be read back anywhere: sure only of its no.

    Brackets are taken away from the inside out; those in texts can only make it seem deeper.
    """
    brackets = body.translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH // 2):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


def whole(text: str) -> str:
    """The text with half surrogate pairs replaced, which no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _contains(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    size = len(wanted)
    return any(parts[at : at + size] == wanted for at in range(len(parts) - size + 1))


def _bare(name: str) -> str:
    """A name as it is compared: sampleName, sample_name and "Sample name" are one.

    >>> {_bare(n) for n in ("sampleName", "sample_name", "Sample name")}
    {'samplename'}
    """
    return re.sub(r"[\s._-]+", "", name).lower()


def _compiled(at: int, pattern: str) -> Shape:
    try:
        return Shape((), re.compile(pattern), TAKEN_OUT)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"redact.patterns[{at}] is no regular expression: {error}",
            hint=f"mend the pattern in the settings: {pattern}",
        ) from error
