"""What a site is made of, as one digest: whoever renders the same again can leave it as it is."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

import msgspec

from jmreport import __version__
from jmreport.guidance import Guidance
from jmreport.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Settings that no page depends on: of whom is asked, and of what becomes of a site.
_UNSEEN = frozenset(("api", "collect", "nightly", "mail", "publish", "prune", "teams"))


def made_of(stamp: str, settings: Settings, guidance: Guidance) -> str:
    """Changes when the code, a setting, a note or the snapshots do, of which `stamp` tells."""
    made = (made_with(settings), guidance, stamp)
    return hashlib.blake2b(msgspec.msgpack.encode(made), digest_size=16).hexdigest()


def made_with(settings: Settings) -> str:
    """Changes when the code or a setting does that pages are made with."""
    shown = {
        name: getattr(settings, name) for name in settings.__struct_fields__ if name not in _UNSEEN
    }
    whole = hashlib.blake2b(digest_size=16)
    whole.update(msgspec.msgpack.encode((__version__, shown)))
    for name, body in _code():
        whole.update(f"{name} {len(body)}\n".encode())
        whole.update(body)
    return whole.hexdigest()


def _code() -> Iterator[tuple[str, bytes]]:
    """Every module, template and asset of jmreport, by its place."""
    waiting: list[tuple[str, Traversable]] = [("", files("jmreport"))]
    while waiting:
        place, at = waiting.pop()
        for one in sorted(at.iterdir(), key=lambda each: each.name):
            name = f"{place}{one.name}"
            if one.is_dir():
                waiting.append((f"{name}/", one))
            elif not name.endswith(".pyc"):
                yield name, one.read_bytes()
