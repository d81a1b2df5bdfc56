"""One walk through the trees of one record: what is taken out of them, hashed, and counted."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from jmreport.gaps import Gap
from jmreport.snapshots.rules import MAX_DEPTH, Fate, Rules, Suspect, is_hashed, whole
from jmreport.snapshots.shapes import TAKEN_OUT, Shape, is_harmless_value, is_secret_number

TOO_DEEP = "[nested more than 200 deep]"
#: Longest JSON inside a text that is looked into as JSON.
_INNER = 1_000_000
#: How lists of names with values call the two.
_NAMES = ("name", "key", "Name", "Key", "NAME", "KEY")
_VALUES = ("value", "Value", "VALUE", "val")
#: Longer texts are no flags of a command.
_LONGEST_FLAG = 100
_encode = msgspec.json.Encoder().encode


class Cleaning:
    """A walk. After it: `count` is how many were replaced, `hashes` which texts became which."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._suspects: tuple[Suspect, ...] = ()
        self.count = 0
        self.hashes: dict[str, str] = {}

    def tree(self, tree: Any) -> Any:
        suspicious, self._suspects = self._rules.suspects(tree)
        return self._walk(tree, 0) if suspicious else tree

    def text(self, text: str) -> str:
        return str(self.tree(text))

    def gaps(self, gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
        return tuple(
            msgspec.structs.replace(gap, what=self.text(gap.what), why=self.text(gap.why))
            for gap in gaps
        )

    def named(self, named: Mapping[str, Any], clean: Callable[[Any], Any]) -> dict[str, Any]:
        """A mapping whose keys are names: only shapes apply to them."""
        out: dict[str, Any] = {}
        for name, value in named.items():
            out[another(self.text(name), out)] = clean(value)
        return out

    def _walk(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self._clean_text(value)
        if kind is dict or kind is list:
            if depth > MAX_DEPTH:
                return TOO_DEEP
            if kind is dict:
                return self._walk_dict(value, depth + 1)
            return self._walk_list(value, depth + 1)
        if kind is tuple:
            return self._walk_list(value, depth + 1)
        return value

    def _walk_list(self, value: Iterable[Any], depth: int) -> list[Any]:
        """A list, which may be a command: ["--token", "x"] is a flag with its value."""
        out: list[Any] = []
        flag = ""
        fate: Fate = "keep"
        for item in value:
            if fate != "keep" and isinstance(item, str) and item[:1] != "-":
                out.append(self._replace(flag, item, fate, depth))
                fate = "keep"
                continue
            out.append(self._walk(item, depth))
            if isinstance(item, str) and item[:1] == "-" and len(item) <= _LONGEST_FLAG:
                flag = item.lstrip("-")
                fate = self._rules.fate(flag)
            else:
                fate = "keep"
        return out

    def _walk_dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        key_of, keys = self._rules.key, self._rules.keys
        for key, item in value.items():
            fate, clean, secrets = keys.get(key) or key_of(str(key))
            name = another(clean, out) if clean in out else clean
            self.count += secrets
            if fate != "keep":
                own = _both(str(key), clean, secrets)
                out[name] = self._replace_own(own, item, fate, depth)
            elif type(item) is str:
                out[name] = self._clean_text(item)
            else:
                out[name] = self._walk(item, depth)
        for held in _VALUES:
            if held in value:
                self._walk_pair(value, out, held)
                return out
        if "entries" in value:
            self._walk_group(value, out)
        return out

    def _walk_pair(self, value: dict[Any, Any], out: dict[str, Any], held: str) -> None:
        """{"name": "DB_PASSWORD", "value": "x"}: how environments are listed."""
        name = next((value[key] for key in _NAMES if key in value), None)
        if isinstance(name, str) and (fate := self._rules.fate(name)) != "keep":
            raw = value if fate == "hash" else out
            out[held] = self._replace_own(name, raw[held], fate, 1)

    def _walk_group(self, value: dict[Any, Any], out: dict[str, Any]) -> None:
        """{"key": "owner", "entries": [{"label": "ana", …}]}: how aggregations are listed."""
        name, entries = value.get("key", value.get("name")), value["entries"]
        if not isinstance(name, str) or not isinstance(entries, list):
            return
        if (fate := self._rules.fate(name)) == "keep":
            return
        for entry, clean in zip(entries, out["entries"], strict=False):
            if isinstance(entry, dict) and isinstance(clean, dict) and "label" in entry:
                raw = entry if fate == "hash" else clean
                clean["label"] = self._replace(name, raw["label"], fate, 1)

    def _replace_own(self, name: str, value: Any, fate: Fate, depth: int) -> Any:
        """The value of a key itself, which may be a number: a password of digits."""
        if fate == "take" and type(value) in (int, float) and is_secret_number(name):
            return self._take(str(value))
        return self._replace(name, value, fate, depth)

    def _replace(self, name: str, value: Any, fate: Fate, depth: int) -> Any:
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
        self, name: str, value: dict[Any, Any], fate: Fate, depth: int
    ) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, item in value.items():
            own, inner, secrets = self._rules.key(str(key))
            self.count += secrets
            if own == "take":  # a password of digits within something that is secret as a whole
                both = _both(str(key), inner, secrets)
                made = self._replace_own(both, item, own, depth)
            else:
                made = self._replace(name, item, fate, depth)
            out[another(inner, out)] = made
        return out

    def _hash(self, value: Any) -> str:
        if is_hashed(value):
            return str(value)
        self.count += 1
        found = self._rules.hashed(value)
        self.hashes[whole(str(value))] = found
        return found

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
        if shape is self._rules.names and text[:100].lstrip()[:1] in ("{", "["):
            text = self._clean_inner(text)
        clean = shape.pattern.sub(shape.replacement, text)
        if clean != text:
            self.count += _replaced(clean) - _replaced(text)
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


def _both(key: str, clean: str, secrets: int) -> str:
    """A key's words, and those of what is left of it where it held secrets: by either its value is
    a secret, or what was cleaned once would be cleaned further the next time."""
    return f"{key} {clean}" if secrets else key


def another(name: str, taken: Mapping[str, Any]) -> str:
    """The name, marked where another key looks alike without its secrets."""
    while name in taken:
        name += "·"
    return name


def _replaced(text: str) -> int:
    return text.count(TAKEN_OUT) + text.count("hash:")
