"""What a site is made of, as one digest: whoever renders the same again can leave it as it is."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from jmreport import __version__
from jmreport.guidance import Guidance
from jmreport.render import data
from jmreport.settings import Settings
from jmreport.settings_reach import NO_PAGE, PLACES, values, without

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def made_of(stamp: str, settings: Settings, guidance: Guidance) -> str:
    """Changes when the code, a setting, a note or the snapshots do, of which `stamp` tells."""
    columns = sorted(data.named(settings))  # those of teams are labels, too
    made = (made_with(settings), values(settings, PLACES), columns, guidance, stamp)
    return hashlib.blake2b(_told(made), digest_size=16).hexdigest()


def made_with(settings: Settings) -> str:
    """Changes when the code or a setting does that pages of jobs are made with.

    It does not where the folders are others: a site that was moved is the same site.
    """
    shown = without(settings, (*NO_PAGE, *PLACES))
    made = _told((__version__, shown, _code()))
    return hashlib.blake2b(made, digest_size=16).hexdigest()


def _told(made: object) -> bytes:
    """All of it as bytes, names of files too that are no text."""
    return repr(msgspec.to_builtins(made)).encode("utf-8", "surrogatepass")


@cache
def _code() -> str:
    """Of jmreport as this process first met it: what is installed over it later makes no page of
    this one.
    """
    return digest_of(files("jmreport"))


def digest_of(package: Traversable) -> str:
    """Changes with every module, template and asset of a package, and with its place."""
    whole = hashlib.blake2b(digest_size=16)
    waiting = [("", package)]
    while waiting:
        place, at = waiting.pop()
        for one in sorted(at.iterdir(), key=lambda each: each.name):
            name = f"{place}{one.name}"
            if one.is_dir():
                waiting.append((f"{name}/", one))
            elif not name.endswith(".pyc"):
                body = one.read_bytes()
                whole.update(f"{name} {len(body)}\n".encode())
                whole.update(body)
    return whole.hexdigest()
