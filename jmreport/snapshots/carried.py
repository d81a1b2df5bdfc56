"""What is left of runs that were pruned: the records that later runs lean on, and where from.

pruned/20251018T021400Z/     named for the last run that went
  pruned.json                what this is; written last, it is the commit
  runs.jsonl.zst             a line for each run that ever went: when, what it asked for, its state
  jobs-0000.jsonl.zst ..     records, their lines as the runs had stored them
  carried.jsonl.zst          a line for each record, in the same order: what was known of its job
                             {"id": "…", "run": "…", "first_run": "…", "last_run": "…", …}

All of it was known after the run that the folder is named for, and is read before the runs behind
it. There is one such folder; another beside it is what a prune that was killed left.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Struct, field

from jmreport.errors import SnapshotError
from jmreport.records import SNAPSHOT_FORMAT, Record, Run
from jmreport.snapshots import files, runs
from jmreport.snapshots.files import Written

RUNS = "runs.jsonl.zst"
ORIGINS = "carried.jsonl.zst"


class Prune(Struct, frozen=True, kw_only=True):
    """pruned.json: which run was the last to go, and the files of this folder.

    `now` is when that was decided, `dropped` how many jobs were forgotten in this and all earlier
    prunes.
    """

    upto: str
    now: datetime
    format: int = SNAPSHOT_FORMAT
    version: str = ""
    dropped: int = 0
    files: dict[str, Written] = field(default_factory=dict)


class Origin(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was known of a job beside its record: an Entry's words, as of the last run that went."""

    id: str
    run: str
    first_run: str
    last_run: str
    told_run: str
    ended_run: str = ""


class Carried(NamedTuple):
    """A record that is carried, and its place."""

    origin: Origin
    record: Record
    shard: str
    line: int


class _Named(Protocol):
    """What is about a job."""

    @property
    def id(self) -> str: ...


_T = TypeVar("_T")
_Told = TypeVar("_Told", bound=_Named)
_origin = msgspec.json.Decoder(Origin)
_run = msgspec.json.Decoder(Run)


def about(folder: Path) -> Prune:
    """What a folder's pruned.json says. Raises SnapshotError for garbage and newer formats."""
    path = folder / runs.PRUNE
    try:
        found = msgspec.json.decode(files.read(path), type=Prune)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SnapshotError(
            f"cannot read {path}: {error}", hint="restore the file from a copy"
        ) from error
    if found.format > SNAPSHOT_FORMAT:
        raise runs.newer(path, found.format)
    return found


def stamp(root: Path) -> str:
    """Changes when runs are pruned; "" where none was."""
    folder = runs.pruned_folder(root)
    if folder is None:
        return ""
    return hashlib.blake2b(files.read(folder / runs.PRUNE), digest_size=16).hexdigest()


def gone(root: Path) -> tuple[Run, ...]:
    """The runs that were pruned, oldest first, as far as later ones lean on them."""
    folder = runs.pruned_folder(root)
    if folder is None:
        return ()
    path = folder / RUNS
    return tuple(_decoded(_run, line, path) for line in files.lines(path))


def left_of(run: Run) -> Run:
    """What is kept of a run that goes: when it was, what it asked for, and whether that came."""
    return Run(
        id=run.id,
        now=run.now,
        state=run.state,
        asked=run.asked,
        reason=run.reason,
        gaps=tuple(gap for gap in run.gaps if gap.job is None),
        pruned=True,
    )


def origins(folder: Path) -> Iterator[Origin]:
    """What is known of each carried record, in the order of the shards."""
    path = folder / ORIGINS
    for line in files.lines(path):
        yield _decoded(_origin, line, path)


def carried(root: Path, folder: Path) -> Iterator[Carried]:
    """Every record that is carried. Raises SnapshotError where one has not its own line."""
    told = origins(folder)
    for shard in runs.shards(folder):
        name = shard.relative_to(root).as_posix()
        for line, record in enumerate(runs.records(shard)):
            origin = next(told, None)
            if origin is None or origin.id != record.id:
                raise _mixed(folder)
            yield Carried(origin, record, name, line)
    if next(told, None) is not None:
        raise _mixed(folder)


def beside(
    folder: Path, shards: Iterable[tuple[Path, Sequence[_Told]]]
) -> Iterator[tuple[Path, Sequence[tuple[Origin, _Told]]]]:
    """Lines of its shards, each with what is known beside it.

    Raises SnapshotError where one has not its own.
    """
    told = origins(folder)
    for shard, lines in shards:
        found = [*zip(islice(told, len(lines)), lines, strict=False)]
        if len(found) < len(lines) or any(origin.id != line.id for origin, line in found):
            raise _mixed(folder)
        yield shard, found
    if next(told, None) is not None:
        raise _mixed(folder)


def record_of(root: Path, folder: Path, job: str) -> Carried | None:
    """A job's record among those that are carried; only that one is decoded."""
    told = origins(folder)
    for shard in runs.shards(folder):
        for at, (line, origin) in enumerate(zip(files.lines(shard), told, strict=False)):
            if origin.id == job:
                name = shard.relative_to(root).as_posix()
                return Carried(origin, runs.decode_record(line, shard, at), name, at)
    return None


def _mixed(folder: Path) -> SnapshotError:
    return SnapshotError(
        f"{folder / ORIGINS} is not about the records beside it",
        hint="restore the folder from a copy",
    )


def _decoded(decoder: msgspec.json.Decoder[_T], line: bytes, path: Path) -> _T:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SnapshotError(
            f"cannot read {path}: {error}", hint="restore the file from a copy"
        ) from error
