"""What becomes of each key's value and of each shape in a text, as the settings say."""

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from ahocorasick_rs import BytesAhoCorasick, Implementation

from jmreport.errors import UsageError
from jmreport.settings import Redact
from jmreport.snapshots.shapes import (
    NAME_FRAGMENTS,
    SHAPES,
    TAKEN_OUT,
    Shape,
    assignments,
    is_harmless_value,
    is_secret_name,
    pairs,
    words,
)

#: Deeper than any job: what lies below is replaced, so that every reader can read it back.
MAX_DEPTH = 200
#: Names decided upon that are remembered, at most; task names and inputs repeat from job to job.
_REMEMBERED = 50_000
#: Longer names are decided upon each time: what is remembered stays small whatever is sent.
_LONGEST_REMEMBERED = 200
_HASHED = re.compile(r"hash:[0-9a-f]{16}")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
#: In nearly every job (the first is an event of Cromwell's), and never a secret's name: without
#: them most jobs need no closer look.
_IDLE = ("requestingexecutiontoken", "passed")
_encode = msgspec.json.Encoder().encode

Fate = Literal["keep", "take", "take all", "hash"]
#: A shape, and those of its fragments of which one is in a text that it matches.
Suspect = tuple[Shape, tuple[str, ...]]


class Rules:
    """The settings' words, patterns and salt, ready to be asked. Safe to share among threads.

    Raises UsageError for a pattern that is no regular expression.
    """

    def __init__(self, settings: Redact, *, salt: bytes) -> None:
        self._salt = salt
        self._own = tuple(words(name) for name in settings.keys if words(name))
        self._keep = frozenset(map(_bare, settings.keep))
        self._hash = frozenset(map(_bare, settings.hash))
        #: Keys' names -> what `key` said of them.
        self.keys: dict[str, tuple[Fate, str, int]] = {}
        patterns = tuple(map(_compiled, range(len(settings.patterns)), settings.patterns))
        own = (words(name)[:1] for name in (*settings.keys, *settings.hash))
        fragments = (*NAME_FRAGMENTS, *(first for name in own for first in name))
        #: The shape of names with values: `DB_PASSWORD=x`.
        self.names = assignments(self._instead, fragments)
        self._shapes = (*SHAPES, self.names, pairs(self._instead, fragments), *patterns)
        self._all = tuple((shape, shape.fragments) for shape in self._shapes)
        self._fragments = Fragments(
            (fragment for shape in self._shapes for fragment in shape.fragments), idle=_IDLE
        )

    @property
    def hashes(self) -> bool:
        """Whether values are hashed, for which a salt is needed."""
        return bool(self._hash)

    def hashed(self, value: object) -> str:
        """What stands for a value that is hashed: equal for equal values of one store."""
        text = value if isinstance(value, str) else _encode(value).decode()
        digest = hmac.new(self._salt, text.encode("utf-8", "replace"), hashlib.sha256)
        return f"hash:{digest.hexdigest()[:16]}"

    def fate(self, name: str) -> Fate:
        """What becomes of the value of a key of this name."""
        return self.key(name)[0]

    def key(self, name: str) -> tuple[Fate, str, int]:
        """What becomes of a key's value, the key without secrets, and how many it held."""
        known = self.keys.get(name)
        if known is None:
            clean, secrets = self._clean_key(name)
            fate = self._decide(name)
            if secrets and fate == "keep":  # as it is decided for what is left of it
                fate = self._decide(clean)
            known = (fate, clean, secrets)
            if len(name) <= _LONGEST_REMEMBERED:
                if len(self.keys) >= _REMEMBERED:
                    self.keys.clear()
                self.keys[name] = known
        return known

    def suspects(self, tree: Any) -> tuple[bool, tuple[Suspect, ...]]:
        """Whether a tree needs a closer look, and which shapes can be in it at all."""
        try:
            body = _encode(tree).lower()
        except (UnicodeEncodeError, RecursionError, TypeError, ValueError, OverflowError):
            return True, self._all
        if _is_deep(body):
            return True, self._all
        there = self._fragments.of(body)
        suspects = tuple(
            (shape, tuple(there.intersection(shape.fragments)))
            for shape in self._shapes
            if not shape.fragments or not there.isdisjoint(shape.fragments)
        )
        return bool(suspects) or bool(self._own) or self.hashes, suspects

    def _instead(self, name: str, value: str) -> str | None:
        """What stands for the value that a text gives a name; None where it may stay."""
        match self.fate(name):
            case "keep":
                return None
            case "hash":
                return None if is_hashed(value) else self.hashed(value)
            case _:
                return None if is_harmless_value(name, value) else TAKEN_OUT

    def _clean_key(self, name: str) -> tuple[str, int]:
        clean = name
        for shape in self._shapes:
            clean = shape.pattern.sub(shape.replacement, clean)
        return whole(clean), clean.count(TAKEN_OUT) - name.count(TAKEN_OUT)

    def _decide(self, name: str) -> Fate:
        bare = {_bare(name), _bare(name.rpartition(".")[2])}
        if bare & self._keep:
            return "keep"
        if bare & self._hash:
            return "hash"
        parts = words(name)
        if any(_contains(parts, own) for own in self._own):
            return "take all"
        return "take" if is_secret_name(name) else "keep"


class Fragments:
    """Texts that are looked for in a job's JSON, all at once: one walk, whatever their number.

    What stands inside one of the `idle` texts does not count.
    """

    def __init__(self, texts: Iterable[str], *, idle: Sequence[str] = ()) -> None:
        different = set(texts)
        #: What is in everything.
        self._empty = different & {""}
        self._texts = tuple(sorted(different - {""}))
        #: How often each text stands in each idle one.
        self._idle = tuple(
            {at: each.count(text) for at, text in enumerate(self._texts) if text in each}
            for each in idle
        )
        searched = (*self._texts, *idle)
        self._search = BytesAhoCorasick(
            [text.encode() for text in searched], implementation=Implementation.DFA
        ).find_matches_as_indexes

    def of(self, body: bytes) -> set[str]:
        """Those that are in it."""
        found = self._search(body, overlapping=True)
        if not found:
            return set(self._empty)
        counts = Counter([each[0] for each in found])
        for number, inside in enumerate(self._idle, len(self._texts)):
            if times := counts.pop(number, 0):
                counts.subtract({at: times * often for at, often in inside.items()})
        return self._empty | {self._texts[at] for at, count in counts.items() if count > 0}


def is_hashed(text: object) -> bool:
    """Whether a value stands for another already."""
    return isinstance(text, str) and _HASHED.fullmatch(text) is not None


def whole(text: str) -> str:
    """The text with half surrogate pairs replaced, which no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


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
