"""Parts of a run, each collected by another machine, until they are merged into one.

snapshots-parts/20261123T021400Z/2-of-4/
  part.json        which part of which run this is: {"shard": {"number": 2, "of": 4}, "now": …}
  format.json, runs/…    a store like any other, with what this machine read

A job belongs to one part by a hash of its id, a sub-workflow to that of the job it was found by. So
parts hold nothing twice, whatever each of them is listed, and agree on it without a word.
"""

import hashlib
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from jmreport.errors import SnapshotError, UsageError
from jmreport.records import SNAPSHOT_FORMAT, Asked, run_id
from jmreport.snapshots import files, runs
from jmreport.snapshots.redaction import whole

#: What makes a store a part.
PART = "part.json"
#: Parts of one run, at most: each reads the whole list.
MOST = 1000


class Shard(Struct, frozen=True):
    """Which part of how many: 2 of 4."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def folder(self) -> str:
        """What its folder is called: "2-of-4"."""
        return f"{self.number}-of-{self.of}"

    def holds(self, job: str) -> bool:
        """Whether a job that a list names belongs to this part; to no other then."""
        digest = hashlib.blake2b(whole(job).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.of == self.number - 1


class Part(Struct, frozen=True, kw_only=True):
    """part.json: which part of which run this is, and on top of what it was read.

    `base` is the newest run of the store that said which jobs need not be read again; "" for none.
    `settings` is the digest of those that decide what is read and what is taken out.
    """

    shard: Shard
    now: datetime
    asked: Asked
    base: str
    settings: str
    version: str
    format: int = SNAPSHOT_FORMAT

    @property
    def run(self) -> str:
        """The run that it is a part of, by its time."""
        return run_id(self.now)


def shard_from(text: str) -> Shard:
    """A shard as it is written, "2/4"; UsageError for anything else.

    >>> shard_from("2/4")
    Shard(number=2, of=4)
    """
    number, _, of = text.partition("/")
    # int() also takes signs, spaces, underscores and the digits of any script.
    plain = all(each.isascii() and each.isdigit() and len(each) < 9 for each in (number, of))
    found = Shard(int(number), int(of)) if plain else Shard(0, 0)
    if not 1 <= found.number <= found.of <= MOST:
        raise UsageError(
            f"--shard {text}: no part of a whole",
            hint=f"write 1/4 to 4/4 for the four parts of a run; there are {MOST} parts at most",
        )
    return found


def place(snapshots: Path, now: datetime, shard: Shard) -> Path:
    """The folder of a part, beside the snapshots: snapshots-parts/20261123T021400Z/2-of-4."""
    return places(snapshots, now) / shard.folder


def places(snapshots: Path, now: datetime) -> Path:
    """The folder of all parts of a run."""
    return snapshots.with_name(f"{snapshots.name}-parts") / run_id(now)


def read(root: Path) -> Part | None:
    """Which part a store is; None for one that is whole. Raises SnapshotError for garbage."""
    path = root / PART
    if not path.exists():
        return None
    try:
        part = msgspec.json.decode(files.read(path), type=Part)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SnapshotError(
            f"cannot read {path}: {error}", hint="remove its folder, and collect this part again"
        ) from error
    if part.format > SNAPSHOT_FORMAT:
        raise runs.newer(path, part.format)
    return part


def write(root: Path, part: Part) -> None:
    """Makes a store a part. Raises JmreportError where that cannot be written."""
    files.write(root / PART, msgspec.json.format(msgspec.json.encode(part), indent=1) + b"\n")
