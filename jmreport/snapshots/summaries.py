"""What was made of each record when it was stored, run by run: what the index is rebuilt from.

summaries/runs.20261123T021400Z.3f9c01d2a4b5c6d7.zst    kind, run, what made it
    for each shard of the run, in order: a zstd frame that readers skip, which says how long the
    next is, and one of msgpack: [made by, "jobs-0000.jsonl.zst", its SHA-256, [[id, …], …]]

It is a cache beside the runs, which stay the only truth. What is missing, damaged, made by another
version, or about another shard than the one that run.json names, is passed over, and the records
are read instead; so is what is at odds with itself, lest nonsense end every night. So the
files are made where they are missing, whoever reads the runs.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import msgspec

from jmreport.errors import JmreportError, SnapshotError
from jmreport.records import JobRow, Measure, Record, run_order
from jmreport.short_ids import form
from jmreport.snapshots import contents, files, measured, runs
from jmreport.snapshots.files import Written
from jmreport.snapshots.measured import Measuring, unmeasured

NAME = "summaries"
#: Makes the row of a job from its record.
Summarise = Callable[[Record], JobRow]
#: The head of a skippable frame of four bytes: the length of the frame behind it.
_SKIPPED = b"\x50\x2a\x4d\x18\x04\x00\x00\x00"
_HEAD = len(_SKIPPED) + 4
#: How much of what made it stands in a file's name.
_MARK = 16
#: Bytes that a frame may hold: a shard is of 64 MB, and its lines are a small part of it.
LARGEST = 128 * 1024 * 1024
_encode = msgspec.msgpack.Encoder().encode


class Line(NamedTuple):
    """A record as the index keeps it, but for where it lies and what was known before it.

    Digests are bytes; `parts`, `row` and `measures` msgpack, the last empty where there are none.
    `submitted` is seconds since 1970, `above` the parent of a job that no list names.
    """

    id: str
    digest: bytes
    row_digest: bytes
    active: bool
    parts: bytes
    row: bytes
    outcome: str
    submitted: float | None
    above: str | None
    form: str
    measures: bytes


class _Block(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The lines of one shard."""

    made_by: str
    shard: str
    sha256: str
    lines: list[Line]


_decode = msgspec.msgpack.Decoder(_Block).decode


class _Named(msgspec.Struct, frozen=True):
    """No more of a row than whose it is."""

    id: str


_row = msgspec.msgpack.Decoder(_Named).decode


def line_of(record: Record, row: JobRow, digest: str, measures: tuple[Measure, ...] = ()) -> Line:
    """What the index keeps of a record, with what was made of it."""
    return Line(
        id=record.id,
        digest=bytes.fromhex(digest),
        row_digest=bytes.fromhex(contents.row_digest(record.row)),
        active=row.active,
        parts=_encode(sorted(contents.parts(record))),
        row=_encode(row),
        outcome=outcome(row),
        submitted=row.submission.timestamp() if row.submission else None,
        above=None if row.listed else row.parent or None,
        form=form(record.id),
        measures=measured.encode(measures) if measures else b"",
    )


def outcome(row: JobRow) -> str:
    """How a job ended, "" where that is not known. One that is listed as Failed did fail."""
    return row.status if row.status == "Failed" or (row.readable and not row.active) else ""


# Where lines come from


class Source(Protocol):
    """Gives the shards of a run, or of what is left of pruned ones, in order, with their lines.

    Raises SnapshotError for a shard that cannot be read.
    """

    def shards(self, folder: Path) -> Iterator[tuple[Path, Sequence[Line]]]: ...


class Records(msgspec.Struct, frozen=True):
    """The records themselves."""

    summarise: Summarise
    measure: Measuring = unmeasured

    def shards(self, folder: Path) -> Iterator[tuple[Path, Sequence[Line]]]:
        for shard in runs.shards(folder):
            yield shard, self.of(shard)

    def of(self, shard: Path) -> list[Line]:
        """The lines of one shard."""
        return [
            line_of(record, self.summarise(record), contents.digest(record), self.measure(record))
            for record in runs.records(shard)
        ]


class Kept(msgspec.Struct, frozen=True):
    """What is kept of them, as far as it holds; the records where it does not, to be kept then."""

    root: Path
    made_by: str
    records: Records

    def shards(self, folder: Path) -> Iterator[tuple[Path, Sequence[Line]]]:
        place = place_of(self.root, folder, self.made_by)
        anew = None if place.exists() else Writing(self.root, folder, self.made_by)
        spoilt = False
        try:
            for shard, lines in self._found(place, folder):
                there = self.records.of(shard) if lines is None else lines
                spoilt = spoilt or lines is None
                if anew is not None:
                    with suppress(SnapshotError):
                        anew.add(shard.name, files.sha256(shard), there)
                yield shard, there
            if anew is not None:
                anew.commit()
            elif spoilt:
                files.remove_quietly(place)  # it is made anew by whoever reads the run next
        finally:
            if anew is not None:
                anew.discard()

    def _found(self, place: Path, folder: Path) -> Iterator[tuple[Path, list[Line] | None]]:
        """Every shard, with its lines where they are kept."""
        written = manifest(folder)
        blocks = itertools.chain(_blocks(place), itertools.repeat(None))
        for shard, block in zip(runs.shards(folder), blocks, strict=False):
            fits = block is not None and self._fits(block, shard, written.get(shard.name))
            yield shard, block.lines if block is not None and fits else None

    def _fits(self, block: _Block, shard: Path, written: Written | None) -> bool:
        return (
            written is not None
            and (block.made_by, block.shard) == (self.made_by, shard.name)
            and (block.sha256, len(block.lines)) == (written.sha256, written.lines)
            and _size(shard) == written.bytes
            and all(map(_is_one_jobs, block.lines))
        )


class Compared(msgspec.Struct):
    """The records themselves, and which files of what is kept of them say something else."""

    kept: Kept
    differing: list[Path] = msgspec.field(default_factory=list)

    def shards(self, folder: Path) -> Iterator[tuple[Path, Sequence[Line]]]:
        place = place_of(self.kept.root, folder, self.kept.made_by)
        for shard, lines in self.kept._found(place, folder):
            there = self.kept.records.of(shard)
            if lines not in (None, there) and place not in self.differing:
                self.differing.append(place)
            yield shard, there


def manifest(folder: Path) -> Mapping[str, Written]:
    """The files that belong to a run, or to what is left of pruned ones; none where unknown."""
    for name in (runs.RUN, runs.PRUNE):
        with suppress(SnapshotError, msgspec.DecodeError, RecursionError):
            return msgspec.json.decode(files.read(folder / name), type=_Manifest).files
    return {}


def _is_one_jobs(line: Line) -> bool:
    """Whether a line's id, its short form and its row are of one job."""
    try:
        return line.id == _row(line.row).id and line.form == form(line.id)
    except (msgspec.DecodeError, RecursionError):
        return False


class _Manifest(msgspec.Struct, frozen=True):
    """What run.json and pruned.json have in common."""

    files: dict[str, Written] = msgspec.field(default_factory=dict)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _blocks(place: Path) -> Iterator[_Block | None]:
    """What a file holds, block by block; None for one that is damaged."""
    try:
        with place.open("rb") as file:
            left = place.stat().st_size
            while (body := _next(file, left)) is not None:
                left -= _HEAD + len(body)
                yield _block(body)
    except OSError:
        return


def _next(file: BinaryIO, left: int) -> bytes | None:
    head = file.read(_HEAD)
    length = int.from_bytes(head[len(_SKIPPED) :], "little")
    known = head.startswith(_SKIPPED) and 0 < length <= left - _HEAD
    return file.read(length) if known else None


def _block(body: bytes) -> _Block | None:
    text = files.unpacked(body, most=LARGEST)
    try:
        return None if text is None else _decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None


# Files


def place_of(root: Path, folder: Path, made_by: str) -> Path:
    """Where what is kept of a folder of runs/ or pruned/ lies."""
    return root / NAME / f"{folder.parent.name}.{folder.name}.{made_by[:_MARK]}.zst"


def about(name: str) -> str:
    """The folder that a file of this name is about: "runs/20261123T021400Z"; "" for another's."""
    kind, _, rest = name.partition(".")
    run, _, end = rest.partition(".")
    mark, _, suffix = end.partition(".")
    known = kind in (runs.RUNS, runs.PRUNED) and run_order(run)[0] and suffix == "zst"
    return f"{kind}/{run}" if known and len(mark) == _MARK else ""


def everything(root: Path) -> list[Path]:
    """What lies in the folder; nothing where there is none."""
    try:
        return sorted((root / NAME).iterdir())
    except OSError:
        return []


def tidy(root: Path, living: Sequence[Path]) -> None:
    """Remove what a killed run left, and what is about folders that are gone."""
    names = {path.relative_to(root).as_posix() for path in living}
    for path in everything(root):
        if about(path.name) not in names:
            files.remove_quietly(path)


class Writing:
    """What is kept of a run, while it is made. What hinders it is no matter: it is a cache."""

    def __init__(self, root: Path, folder: Path, made_by: str) -> None:
        self._place = place_of(root, folder, made_by)
        self._folder, self._made_by = f"{folder.parent.name}/{folder.name}", made_by
        self._file: files.Pending | None = None
        self._over = False

    def add(self, shard: str, sha256: str, lines: Sequence[Line]) -> None:
        """Keep the lines of the next shard."""
        body = files.packed(_encode((self._made_by, shard, sha256, lines)))
        if self._over:
            return
        try:
            if self._file is None:
                files.make_directory(self._place.parent)
                self._file = files.Pending(self._place)
            self._file.write(_SKIPPED + len(body).to_bytes(4, "little") + body)
        except JmreportError:
            self.discard()

    def commit(self) -> None:
        """Put it in its place, instead of what another version made of the run."""
        if self._over or self._file is None:
            return
        try:
            self._file.commit()
        except JmreportError:
            self.discard()
            return
        self._over = True
        for path in everything(self._place.parent.parent):
            if path != self._place and about(path.name) == self._folder:
                files.remove_quietly(path)

    def discard(self) -> None:
        """Leave no trace of it, unless it is in its place."""
        if not self._over and self._file is not None:
            self._file.discard()
        self._over = True
