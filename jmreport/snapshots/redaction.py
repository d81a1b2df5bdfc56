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

_Fate = Literal["keep", "take", "take all", "hash"]
_HASHED = re.compile(r"hash:[0-9a-f]{16}")
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
        self._fates: dict[str, _Fate] = {}
        self._patterns = tuple(
            map(_compiled, range(len(self.settings.patterns)), self.settings.patterns)
        )
        fragments = (*NAME_FRAGMENTS, *(name[0] for name in self._own))
        self._names = assignments(lambda name: self._fate(name).startswith("take"), fragments)
        self._shapes = (*SHAPES, self._names, *self._patterns)
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
        fate = self._fates.get(name)
        if fate is None:
            if len(self._fates) >= _REMEMBERED:
                self._fates.clear()
            fate = self._fates[name] = self._decide(name)
        return fate

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

    def _suspects(self, tree: Any) -> tuple[bool, tuple[Shape, ...]]:
        """Whether a tree needs a closer look, and which shapes can be in it at all."""
        try:
            body = _encode(tree).lower()
        except (UnicodeEncodeError, RecursionError, TypeError, ValueError, OverflowError):
            return True, self._shapes
        there = {fragment for fragment in self._fragments if fragment.encode() in body}
        shapes = tuple(
            s for s in self._shapes if not s.fragments or not there.isdisjoint(s.fragments)
        )
        named = self._names in shapes or bool(self._own) or self.hashes
        return named or bool(shapes), shapes


class _Cleaning:
    """One walk through the trees of one record, counting what it takes out."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._fate = redaction._fate
        self._shapes: tuple[Shape, ...] = ()
        self.count = 0

    def tree(self, tree: Any) -> Any:
        suspicious, self._shapes = self._redaction._suspects(tree)
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
        for key, item in value.items():
            name = key if type(key) is str else str(key)
            fate = self._fate(name)
            if fate == "keep":
                clean = self._walk(item, depth)
            else:
                clean = self._replace(name, item, fate, depth)
            if self._shapes:
                name = self._clean_text(name)
                while name in out:  # two secret keys that now look alike
                    name += "·"
            out[name] = clean
        self._walk_pair(value, out)
        return out

    def _walk_pair(self, value: dict[Any, Any], out: dict[str, Any]) -> None:
        """{"name": "DB_PASSWORD", "value": "x"}: how environments are listed."""
        name = value.get("name", value.get("key"))
        if "value" in value and isinstance(name, str) and self._fate(name) != "keep":
            out["value"] = self._replace(name, out["value"], self._fate(name), 1)

    def _replace(self, name: str, value: Any, fate: _Fate, depth: int) -> Any:
        """The value of a key that is taken out or hashed: its texts, wherever they are in it."""
        if isinstance(value, dict | list | tuple):
            if depth > MAX_DEPTH:
                return TOO_DEEP
            if isinstance(value, dict):
                return {
                    self._clean_text(str(key)): self._replace(name, item, fate, depth + 1)
                    for key, item in value.items()
                }
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
        if not self._shapes:
            return text
        lowered = text.lower()
        for shape in self._shapes:
            if not shape.fragments or any(f in lowered for f in shape.fragments):
                if shape is self._redaction._names and lowered[:1] in ("{", "["):
                    text = self._clean_inner(text)
                text = self._apply(shape, text)
        return whole(text)

    def _apply(self, shape: Shape, text: str) -> str:
        clean, times = shape.pattern.subn(shape.replacement, text)
        if times and clean != text:
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
        before, shapes = self.count, self._shapes
        clean = self.tree(inner)
        self._shapes = shapes
        return text if self.count == before else _encode(clean).decode()


def _identified(clean: Any, raw: Any) -> Any:
    """A job keeps its id, whatever it looks like: everything else hangs on it."""
    identified = isinstance(raw, dict) and isinstance(raw.get("id"), str)
    if identified and isinstance(clean, dict) and clean.get("id") != raw["id"]:
        clean["id"] = whole(raw["id"])
    return clean


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
