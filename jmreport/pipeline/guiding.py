"""Read what the site's owner wrote down: a broken file is a mistake with a name, and no more."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import fields

from jmreport.guidance import LARGEST_NOTE, Guidance, KnownIssue, Note
from jmreport.settings import ReportSettings

_PARTS = ("workflows", "causes")
_SUFFIX = ".md"
#: The keys of an issue, and what each wants to be.
_EXPECTED = {
    "match": "a regular expression of 1 to 1000 characters",
    "title": "text of 300 characters at most",
    "owner": "text of 300 characters at most",
    "note": f"text of {LARGEST_NOTE} characters at most",
    "link": "an https:// address of 2000 characters at most",
    "until": "a day, like 2026-12-31",
}


def read(settings: ReportSettings) -> Guidance:
    """Notes and known issues that the settings name; nothing where they name none."""
    mistakes: list[str] = []
    notes = _notes(Path(settings.notes), mistakes) if settings.notes else {}
    file = settings.known_issues
    return Guidance(
        intro=notes.get("intro"),
        workflows=_part(notes, "workflows"),
        causes=_part(notes, "causes"),
        issues=tuple(_issues(Path(file), mistakes)) if file else (),
        mistakes=tuple(mistakes),
    )


def _part(notes: dict[str, Note], part: str) -> dict[str, Note]:
    start = f"{part}/"
    return {name[len(start) :]: note for name, note in notes.items() if name.startswith(start)}


def _notes(folder: Path, mistakes: list[str]) -> dict[str, Note]:
    """Notes by their path below the folder, without its end: "workflows/germline"."""
    if not folder.is_dir():
        mistakes.append(f"{folder}: no such folder of notes")
        return {}
    found = {}
    for path in sorted(folder.rglob(f"*{_SUFFIX}")):
        place = path.relative_to(folder).as_posix()
        name = place[: -len(_SUFFIX)]
        if name != "intro" and place.partition("/")[0] not in _PARTS:
            mistakes.append(
                f"{path}: is shown nowhere; notes are intro.md, workflows/NAME.md, causes/ID.md"
            )
        elif (text := _text(path, mistakes)) is not None:
            found[name] = Note(path=place, text=text)
    return found


def _text(path: Path, mistakes: list[str]) -> str | None:
    try:
        raw = path.read_bytes()
        if len(raw) > LARGEST_NOTE:
            mistakes.append(f"{path}: has {len(raw)} bytes; a note has {LARGEST_NOTE} at most")
            return None
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        mistakes.append(f"{path}: is not UTF-8")
    except OSError as error:
        mistakes.append(f"{path}: cannot be read: {error.strerror or error}")
    return None


def _issues(path: Path, mistakes: list[str]) -> Iterator[KnownIssue]:
    text = _text(path, mistakes)
    if text is None:
        return
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        mistakes.append(f"{path}: is not TOML: {error}")
        return
    found = tree.pop("issue", [])
    mistakes += [f"{path}: {key}: no such key; issues are [[issue]]" for key in sorted(tree)]
    if not isinstance(found, list):
        mistakes.append(f"{path}: issue: write [[issue]], since there may be several")
        return
    for number, one in enumerate(found, 1):
        issue = _issue(one, f"{path}: issue {number}", mistakes)
        if issue is not None:
            yield issue


def _issue(tree: Any, place: str, mistakes: list[str]) -> KnownIssue | None:
    if wrong := list(_wrong(tree)):
        mistakes += [f"{place}: {words}" for words in wrong]
        return None
    issue = msgspec.convert(tree, KnownIssue)
    try:
        re.compile(issue.match)
    except re.error as error:
        mistakes.append(f"{place}: match is no regular expression: {error}")
        return None
    return issue


def _wrong(tree: Any) -> Iterator[str]:
    """What is wrong with an issue's keys and values, each by its key."""
    if not isinstance(tree, dict):
        yield "expected a table, as in [[issue]]"
        return
    for key in (key for key in tree if key not in _EXPECTED):
        near = get_close_matches(key, _EXPECTED, n=1)
        guess = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(_EXPECTED)}"
        yield f"{key}: no such key{guess}"
    if "match" not in tree:
        yield "it has no match, which is what it looks for"
    for field in fields(KnownIssue):
        try:
            if field.name in tree:
                msgspec.convert(tree[field.name], field.type)
        except msgspec.ValidationError:
            yield f"{field.name}: expected {_EXPECTED[field.name]}"
