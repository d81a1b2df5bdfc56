"""The folders of runs: which there are, what each was, and what it found.

runs/20261123T021400Z/
  run.json                what was asked and what came of it; written last, it is the commit
  query.jsonl.zst         the list rows as received
  order.jsonl.zst         in a part of a run: the places of its rows in the whole list
  seen.jsonl.zst          ids that the server knew and no list named
  aggregations.json       the server's own numbers, by time frame
  jobs-0000.jsonl.zst ..  shards of records whose content is new

Runs up to the one that pruned/ names are gone, be their folders still there (snapshots/carried.py).
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import msgspec.structs
from msgspec import Struct, field

from jmreport.errors import SnapshotError
from jmreport.records import SNAPSHOT_FORMAT, Asked, Record, Run, RunState, run_order
from jmreport.snapshots import files
from jmreport.snapshots.files import Written

RUNS = "runs"
RUN = "run.json"
#: What a run's folder is called.
_NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?", re.ASCII)
#: What a run is about, while it goes on; gone once run.json says it.
BEGUN = "begun.json"
QUERY = "query.jsonl.zst"
SEEN = "seen.jsonl.zst"
ORDER = "order.jsonl.zst"
AGGREGATIONS = "aggregations.json"
SHARDS = "jobs-*.jsonl.zst"
#: What is left of runs that were pruned, in a folder named for the last of them; PRUNE is written
#: last, it is the commit.
PRUNED = "pruned"
PRUNE = "pruned.json"

_record = msgspec.json.Decoder(Record)


class _Named(Struct, frozen=True):
    """As much of a list row as tells whose it is."""

    id: str


_named = msgspec.json.Decoder(_Named)


class StoredRun(Run, frozen=True, kw_only=True, omit_defaults=True):
    """run.json: a Run, and the files that belong to it, so that a missing one shows."""

    files: dict[str, Written] = field(default_factory=dict)


class Begun(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """begun.json: what is known of a run that has not ended.

    `state` and `reason` are those of one that ended without room on the disk for its run.json: they
    are written into the blanks that the file ends with.
    """

    now: datetime
    version: str = ""
    asked: Asked | None = None
    state: RunState = "interrupted"
    reason: str = "killed before it ended"


#: Bytes of blanks in begun.json for what ended the run, and of the reason's letters among them.
_BLANKS, _REASON = 1000, 120


def write_begun(folder: Path, begun: Begun) -> None:
    """Say what a run is about that begins, with blanks behind it. Raises JmreportError."""
    files.write(folder / BEGUN, msgspec.json.encode(begun) + b" " * _BLANKS)


def write_end(folder: Path, begun: Begun, state: RunState, reason: str) -> None:
    """Say there what ended the run, since there is no room to say it elsewhere.

    Nothing where the blanks do not suffice. Raises JmreportError.
    """
    path = folder / BEGUN
    short = reason if len(reason) <= _REASON else f"…{reason[-_REASON:]}"
    body = msgspec.json.encode(msgspec.structs.replace(begun, state=state, reason=short))
    room = len(files.read(path))
    if len(body) <= room:
        files.overwrite(path, body.ljust(room))


def next_id(wanted: str, taken: Sequence[str]) -> str:
    """An id behind all that are taken, so that ids sort as runs were made, whatever clocks say.

    >>> next_id("20261123T021400Z", ["20261122T021400Z", "20261123T021400Z"])
    '20261123T021400Z-0002'
    """
    newest = max(taken, key=run_order, default="")
    if run_order(wanted) > run_order(newest):
        return wanted
    stamp, turn = run_order(newest)
    return f"{stamp}-{turn + 1:04}"


def folders(root: Path) -> list[Path]:
    """All folders of runs, oldest first, those of interrupted runs too; none that was pruned."""
    # What was pruned is looked up last, so that a reader never takes for a run what goes.
    found, pruned = _run_folders(root / RUNS), pruned_folder(root)
    if pruned is None:
        return found
    return [path for path in found if run_order(path.name) > run_order(pruned.name)]


def pruned_folder(root: Path) -> Path | None:
    """The folder of what is left of pruned runs; None where none was."""
    return max(
        (path for path in _folders(root / PRUNED) if (path / PRUNE).exists()),
        key=lambda path: run_order(path.name),
        default=None,
    )


def outlived(root: Path) -> list[Path]:
    """Folders that a prune has not removed yet, or left half made: nobody reads them."""
    pruned = pruned_folder(root)
    others = [path for path in _folders(root / PRUNED) if path != pruned]
    if pruned is None:
        return others
    before = [
        path for path in _run_folders(root / RUNS) if run_order(path.name) <= run_order(pruned.name)
    ]
    return [*before, *others]


def _run_folders(place: Path) -> list[Path]:
    """Those of a place's folders that are called as a run is: others are somebody else's."""
    return [path for path in _folders(place) if _NAME.fullmatch(path.name)]


def _folders(place: Path) -> list[Path]:
    try:
        found = [path for path in place.iterdir() if path.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SnapshotError(
            f"cannot read {place}: {error.strerror}", hint="check who owns the folder"
        ) from error
    return sorted(found, key=lambda path: run_order(path.name))


def committed(root: Path) -> dict[str, str]:
    """The runs that ended, oldest first, each with a stamp that changes when its run.json does."""
    stamps = {}
    for folder in folders(root):
        try:
            stamps[folder.name] = stamp(folder)
        except FileNotFoundError:
            continue
    return stamps


def stamp(folder: Path) -> str:
    """Changes when a run's run.json does. Raises FileNotFoundError where there is none."""
    about = (folder / RUN).stat()
    return f"{about.st_size}-{about.st_mtime_ns}"


def stamp_of_all(root: Path) -> str:
    """Changes when a file of a run that ended does, or of what was pruned: its name, size or time.

    Raises OSError where one goes at this moment.
    """
    whole = hashlib.blake2b(digest_size=16)
    ended = [folder for folder in folders(root) if (folder / RUN).exists()]
    for folder in (*ended, *filter(None, (pruned_folder(root),))):
        whole.update(f"{folder.name}/\n".encode())
        for file in sorted(os.scandir(folder), key=lambda one: one.name):
            about = file.stat()
            whole.update(f"{file.name} {about.st_size} {about.st_mtime_ns}\n".encode())
    return whole.hexdigest()


def decode(body: bytes, path: Path) -> StoredRun:
    """A run from its run.json. Raises SnapshotError for garbage and for newer formats."""
    try:
        run = msgspec.json.decode(body, type=StoredRun)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SnapshotError(
            f"cannot read {path}: {error}",
            hint="restore the file from a copy, or move the run's folder away",
        ) from error
    if run.format > SNAPSHOT_FORMAT:
        raise newer(path, run.format)
    return run


def ended(folder: Path) -> tuple[StoredRun, bytes]:
    """A run that ended, and its run.json.

    Raises SnapshotError where a file that it names is not there, or was cut short: what such a file
    held would be missed nowhere.
    """
    body = files.read(folder / RUN)
    run = decode(body, folder / RUN)
    for name, written in run.files.items():
        try:
            there = (folder / name).stat().st_size
        except FileNotFoundError:
            raise _not_whole(folder / name, "is missing") from None
        if there != written.bytes:
            raise _not_whole(folder / name, f"has {there} bytes instead of {written.bytes}")
    return run, body


def _not_whole(path: Path, why: str) -> SnapshotError:
    return SnapshotError(
        f"{path} {why}",
        hint="run `jmreport check` to see what else is damaged; restore the file from a copy, or "
        "move the run's folder away: what only it held is read again where the server still has it",
    )


def encode(run: Run, written: dict[str, Written]) -> bytes:
    """run.json, indented for those who open it."""
    about = {name: getattr(run, name) for name in Run.__struct_fields__}
    body = msgspec.json.encode(StoredRun(**about, files=written))
    return msgspec.json.format(body, indent=1) + b"\n"


def read_begun(folder: Path) -> Begun:
    """What is known of a run that was killed: at least when it began, by its folder's name."""
    try:
        return msgspec.json.decode(files.read(folder / BEGUN), type=Begun)
    except (SnapshotError, msgspec.DecodeError, RecursionError):
        stamp = run_order(folder.name)[0]
    try:
        now = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        now = datetime(1970, 1, 1, tzinfo=UTC)
    return Begun(now=now, reason="killed as it began, or the disk had no room for it")


def newer(path: Path, number: int) -> SnapshotError:
    """What to say of a format that is not known yet."""
    return SnapshotError(
        f"{path} was made by a newer jmreport (format {number}, this one reads {SNAPSHOT_FORMAT})",
        hint="update jmreport and run again",
    )


def plain(run: StoredRun) -> Run:
    """The run without the store's own notes."""
    return Run(**{name: getattr(run, name) for name in Run.__struct_fields__})


def shards(folder: Path) -> list[Path]:
    """The shards of a run in order."""
    return sorted(folder.glob(SHARDS), key=lambda path: (len(path.name), path.name))


def measured(folder: Path) -> dict[str, Written]:
    """The files of a run as they lie there. Raises SnapshotError where one is damaged."""
    others = [folder / name for name in (QUERY, SEEN, AGGREGATIONS)]
    there = (*shards(folder), *(path for path in others if path.exists()))
    return {path.name: files.measure(path) for path in there}


def is_shard(name: str) -> bool:
    return name.startswith("jobs-") and name.endswith(".jsonl.zst")


def name_of_shard(number: int) -> str:
    return f"jobs-{number:04}.jsonl.zst"


def records(path: Path) -> Iterator[Record]:
    """All records of a shard. Raises SnapshotError where it is damaged."""
    for at, line in enumerate(files.lines(path)):
        yield decode_record(line, path, at)


def decode_record(line: bytes, path: Path, at: int) -> Record:
    try:
        return _record.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SnapshotError(
            f"cannot read line {at + 1} of {path}: {error}",
            hint="run `jmreport check` to see what else is damaged; restore the file from a copy",
        ) from error


def read_records(root: Path, shard: str, lines: Sequence[int]) -> Iterator[Record]:
    """The records on these lines (from 0) of one shard, in the order of the file.

    `shard` is an Entry's: "runs/20261123T021400Z/jobs-0000.jsonl.zst". Only the wanted lines are
    decoded, and reading stops after the last. Raises SnapshotError.
    """
    path, wanted = root / shard, set(lines)
    last = max(wanted, default=-1)
    if last < 0:
        return
    at = -1
    for line in files.lines(path):
        at += 1  # enumerate() would hold on to the line, which can be many megabytes
        if at in wanted:
            wanted.discard(at)
            # Nothing here holds a record while its reader does something else with its memory.
            held = [decode_record(line, path, at)]
            del line
            yield held.pop()
        if at >= last:
            break
    if wanted:
        raise SnapshotError(
            f"{path} has no line {min(wanted) + 1}",
            hint="run `jmreport check`; restore the file from a copy",
        )


def found(folder: Path) -> Iterator[str]:
    """The ids that a run found on the server: listed ones first, then the others."""
    yield from listed(folder)
    yield from unlisted(folder)


def listed(folder: Path) -> Iterator[str]:
    """The ids in a run's list."""
    query = folder / QUERY
    if query.exists():
        for line in files.lines(query):
            name = _id_in(line, query)
            if name is not None:
                yield name


def _id_in(line: bytes, path: Path) -> str | None:
    """The id of a list row; the rest of it is not looked at where there is one."""
    try:
        return _named.decode(line).id
    except (msgspec.DecodeError, RecursionError):
        return id_of(_tree(line, path))


def rows(folder: Path) -> Iterator[tuple[int | None, Any]]:
    """(place in the list, row) of the rows that a run kept; the place is None where all are."""
    query, order = folder / QUERY, folder / ORDER
    if not query.exists():
        return
    places = files.lines(order) if order.exists() else iter(())
    for line in files.lines(query):
        place = next(places, None)
        yield (None if place is None else int(place)), _tree(line, query)


def unlisted(folder: Path) -> Iterator[str]:
    """The ids that a run found on the server though no list named them."""
    seen = folder / SEEN
    if seen.exists():
        for line in files.lines(seen):
            name = _tree(line, seen)
            if isinstance(name, str):
                yield name


def id_of(row: Any) -> str | None:
    """The id of a list row; None where it has none."""
    name = row.get("id") if isinstance(row, dict) else None
    return name if isinstance(name, str) else None


def aggregations(root: Path, run: str) -> dict[str, Any]:
    """The server's answers by time frame; empty where it was not asked or did not answer."""
    path = root / RUNS / run / AGGREGATIONS
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(files.read(path), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise SnapshotError(
            f"cannot read {path}: {error}", hint="restore the file from a copy"
        ) from error


def _tree(line: bytes, path: Path) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SnapshotError(
            f"cannot read {path}: {error}",
            hint="run `jmreport check` to see what else is damaged; restore the file from a copy",
        ) from error
