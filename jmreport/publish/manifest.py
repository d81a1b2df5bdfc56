"""The manifest: what a published site consists of. `.jmreport/manifest.json` in the bucket:

    {"format": 1, "rules": 1, "at": "2026-11-23T02:20:00Z", "build": "",
     "files": {"index.html": ["77ab…", "private, no-cache", 20481, 1764000000000001]},
     "gone": {"jobs/page-9.html": ["2026-11-22T02:20:00Z", "01fe…", "private, no-cache", 9120, 1]}}

`files` maps an object to the sum of the file it was made of, its Cache-Control, the file's size and
the object's generation; `gone` the same for objects that no page links to any more, and since when.
"""

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct, field

from jmreport.errors import DeliveryError, UsageError
from jmreport.publish.serving import RULES

FORMAT = 1
OWN = ".jmreport/"
MANIFEST = f"{OWN}manifest.json"
CLAIM = f"{OWN}claim.json"
#: Names of the objects that a run is about to make: what it leaves where it dies.
PENDING = f"{OWN}pending.json"
#: Made by a run that lost its claim: what it wrote may stand among what another published.
MIXED = f"{OWN}mixed.json"
_NAME = re.compile(r"(?!.*(?:^|/)\.)[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")


class Shown(Struct, frozen=True, array_like=True):
    """An object of the site."""

    sum: str
    cache: str
    size: int
    generation: int


class Gone(Struct, frozen=True, array_like=True):
    """An object that no page links to any more."""

    since: datetime
    sum: str
    cache: str
    size: int
    generation: int

    def shown(self) -> Shown:
        return Shown(self.sum, self.cache, self.size, self.generation)


class Manifest(Struct, frozen=True, kw_only=True):
    """What was published last. Without a date it stands for nothing at all."""

    format: int = FORMAT
    rules: int = RULES
    at: datetime | None = None
    #: Where the pages of a build of its own lie ("builds/20261123T021400Z/"), "" at the root.
    build: str = ""
    files: Mapping[str, Shown] = field(default_factory=dict)
    gone: Mapping[str, Gone] = field(default_factory=dict)


class _Head(Struct, frozen=True):
    format: int


def encode(manifest: Manifest) -> bytes:
    """Its bytes, the same for the same content."""
    return msgspec.json.encode(manifest, order="deterministic")


def decode(data: bytes, *, place: str) -> Manifest:
    """A manifest as it was written; whoever may write to the bucket may have written this one.

    Raises UsageError for one of a newer version, and DeliveryError where it is none.
    """
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.format > FORMAT:
            raise UsageError(
                f"{place}/{MANIFEST} was written by a newer jmreport (format {head.format})",
                hint="publish with that version, or to another place",
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DeliveryError(
            f"{place}/{MANIFEST} is damaged: {error}",
            hint="`jmreport publish --relist` looks at every object instead, and writes it anew",
        ) from error
    wrong = next((name for name in (*manifest.files, *manifest.gone) if not is_name(name)), None)
    if wrong is not None:
        raise DeliveryError(
            f"{place}/{MANIFEST} names {wrong!r}, which no file of a site is called",
            hint="somebody else wrote it; `jmreport publish --relist` looks at every object "
            "instead, and writes it anew",
        )
    return manifest


def is_name(name: str) -> bool:
    """Whether a site can have a file of this name: no hidden one, and none outside of it.

    >>> is_name("jobs/a-1.html"), is_name("../a"), is_name("a//b"), is_name(".jmreport/claim.json")
    (True, False, False, False)
    """
    return len(name) < 900 and _NAME.fullmatch(name) is not None
