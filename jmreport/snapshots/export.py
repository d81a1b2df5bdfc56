"""Snapshots as plain JSON, one file a job: for whoever has neither jmreport nor zstd.

export/
  export.json                          what this is, and whether it is whole; written last
  index.ndjson                         {"id": …, "file": "jobs/3f/…json", "run": …}, a line a job
  jobs/3f/03a7491c-…-3f9c01d2a4b5c6d7.json
  history/20261123T021400Z/3f/….json   earlier states of jobs, if wanted
  runs/20261123T021400Z/run.json, list.ndjson, seen.ndjson, aggregations.json
  pruned.ndjson                        runs that were pruned, a line each
"""

import filecmp
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import msgspec
from msgspec.structs import replace

from jmreport.errors import JmreportError, UsageError
from jmreport.records import Record
from jmreport.snapshots import carried, files, runs
from jmreport.snapshots.indexed import Index

ABOUT = "export.json"
INDEX = "index.ndjson"
EXPORT_FORMAT = 1
_TEXT = (
    "What jmreport read of a Job Manager, as plain JSON. index.ndjson says which file is of which "
    "job; a job's file holds its row of the server's list (row), the body of GET /jobs/{id} "
    "(detail), attempts, log ends (logs) and operation details (operations); gaps says what could "
    "not be read. detail is newer than row and tells the job's status, unless detail_from names "
    "the run that detail is of: then row is the newer. runs/ holds what each run asked, the list "
    "as the server gave it, and the server's own counts. Secrets were taken out before anything "
    "was stored."
)
_encode = msgspec.json.Encoder().encode


class About(msgspec.Struct, frozen=True, kw_only=True):
    """export.json."""

    format: int
    whole: bool
    about: str
    jobs: int = 0
    pruned: int = 0
    states: int = 0
    runs: tuple[str, ...] = ()


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of index.ndjson: a job, its file, the run that stored it, and the last to find it.

    `pruned` is one that the store no longer has, and an earlier export had: its file stands.
    """

    id: str
    file: str
    run: str
    last_run: str
    name: str = ""
    status: str = ""
    submission: str = ""
    pruned: bool = False


_decode = msgspec.json.Decoder(Line).decode


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What an export came to: jobs, earlier states, and files that had to be written.

    `pruned` are jobs that the store no longer has, of which files of an earlier export stand.
    """

    jobs: int
    pruned: int
    states: int
    written: int


def export(
    root: Path, index: Index, folder: Path, *, history: bool, advance: Callable[[], None]
) -> Exported:
    """Write every job and every run into a folder, and nothing that is there already as it is.

    Stopped at any moment, the same call completes it. `advance` is called for each job. Raises
    UsageError for a folder with other files, JmreportError where it cannot be written, and
    SnapshotError where the store is damaged. Memory does not grow with the bodies of jobs.
    """
    writing = _Writing(folder)
    writing.begin()
    known = tuple(index.stamps())
    lines = files.temporary(folder / INDEX)
    try:
        jobs, pruned = _jobs(root, index, writing, lines, advance)
        writing.move(lines, folder / INDEX)
    finally:
        files.remove_quietly(lines)
    states = _history(root, index, writing) if history else 0
    _pruned(root, writing)
    for run in known:
        _run(root, run, writing)
    writing.end(jobs=jobs, pruned=pruned, states=states, runs=known)
    return Exported(jobs=jobs, pruned=pruned, states=states, written=writing.written)


def name_of(job: str) -> str:
    """A job's file below jobs/: told by its id, never chosen by it.

    >>> name_of("../../etc/passwd")
    'e5/etc-passwd-e5e710ea784151b5.json'
    """
    digest = hashlib.blake2b(job.encode(errors="surrogatepass"), digest_size=8).hexdigest()
    readable = re.sub(r"[^a-z0-9]+", "-", job.lower())[:40].strip("-")
    return f"{digest[:2]}/{readable or 'job'}-{digest}.json"


def _jobs(
    root: Path, index: Index, writing: "_Writing", lines: Path, advance: Callable[[], None]
) -> tuple[int, int]:
    """How many there are, and how many are told of that were pruned.

    One shard at a time, in order, so that each is read once.
    """
    count = 0
    with writing.opened(lines) as out:
        for shard, group in groupby(index.places(), key=lambda place: place[0]):
            wanted = {line: job for _, line, job in group}
            for record in runs.read_records(root, shard, tuple(wanted)):
                place = f"jobs/{name_of(record.id)}"
                writing.put(place, _pretty(record))
                out.write(_encode(_line(record, place, index)) + b"\n")
                count += 1
                advance()
        pruned = 0
        for line in _lines(writing.folder / INDEX):
            if not index.has(line.id) and writing.stands(line.file):
                out.write(_encode(replace(line, pruned=True)) + b"\n")
                pruned += 1
    return count, pruned


def _lines(path: Path) -> Iterator[Line]:
    """What an earlier export told of jobs, as far as it can be read; no file but a job's own."""
    with _told(path), suppress(FileNotFoundError), path.open("rb") as file:
        for text in file:
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                line = _decode(text)
                if line.file == f"jobs/{name_of(line.id)}":
                    yield line


def _line(record: Record, place: str, index: Index) -> Line:
    entry = index.entry(record.id)
    if entry is None:
        return Line(id=record.id, file=place, run="", last_run="")
    row = entry.row
    return Line(
        id=record.id,
        file=place,
        run=entry.run,
        last_run=entry.last_run,
        name=row.name,
        status=row.status,
        submission=row.submission.isoformat() if row.submission else "",
    )


def _history(root: Path, index: Index, writing: "_Writing") -> int:
    """Every record that is not a job's newest."""
    count = _carried_history(root, index, writing)
    for run in index.stamps():
        for shard in runs.shards(root / runs.RUNS / run):
            name = shard.relative_to(root).as_posix()
            newest = index.lines_of(name)
            for line, record in enumerate(runs.records(shard)):
                if line not in newest:
                    writing.put(f"history/{run}/{name_of(record.id)}", _pretty(record))
                    count += 1
    return count


def _carried_history(root: Path, index: Index, writing: "_Writing") -> int:
    """What is left of pruned runs and is not a job's newest record."""
    folder, count = runs.pruned_folder(root), 0
    if folder is None:
        return 0
    for name, of_shard in groupby(carried.carried(root, folder), key=lambda each: each.shard):
        newest = index.lines_of(name)
        for origin, record, _, line in of_shard:
            if line not in newest:
                writing.put(f"history/{origin.run}/{name_of(record.id)}", _pretty(record))
                count += 1
    return count


def _pruned(root: Path, writing: "_Writing") -> None:
    folder = runs.pruned_folder(root)
    if folder is not None:
        writing.stream("pruned.ndjson", files.lines(folder / carried.RUNS))


def _run(root: Path, run: str, writing: "_Writing") -> None:
    folder, same = root / runs.RUNS / run, False
    for name in (runs.RUN, runs.AGGREGATIONS):
        if (folder / name).exists():
            written = writing.put(f"runs/{run}/{name}", files.read(folder / name))
            # It is written last, and has the sums of the others: they are what they were.
            same = same or (name == runs.RUN and not written and run in writing.had)
    for name, plain in ((runs.QUERY, "list.ndjson"), (runs.SEEN, "seen.ndjson")):
        place = f"runs/{run}/{plain}"
        if (folder / name).exists() and not (same and writing.stands(place)):
            writing.stream(place, files.lines(folder / name))


def _pretty(record: Record) -> bytes:
    return msgspec.json.format(_encode(record), indent=1) + b"\n"


class _Writing:
    """Files below one folder: each moved into its place when it is whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0
        #: Runs of which an earlier export had everything.
        self.had = frozenset[str]()
        self._made: set[Path] = set()

    def begin(self) -> None:
        """Take a folder that is new, empty, or an export's."""
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is not a folder", hint="name a new or empty one")
        with _told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            others = [path.name for path in self.folder.iterdir() if not _ours(path.name)]
        if others and not (self.folder / ABOUT).exists():
            raise UsageError(
                f"{self.folder} holds other files ({sorted(others)[0]}) and no export",
                hint="name a new or empty folder",
            )
        self.had = _had(self.folder / ABOUT)
        self._about(whole=False)

    def end(self, *, jobs: int, pruned: int, states: int, runs: tuple[str, ...]) -> None:
        self._about(whole=True, jobs=jobs, pruned=pruned, states=states, runs=runs)

    def stands(self, place: str) -> bool:
        """Whether there is such a file."""
        return (self.folder / place).is_file()

    def put(self, place: str, body: bytes) -> bool:
        """A whole file; one that holds the same is left as it is. Whether it was written."""
        path = self.folder / place
        with _told(path):
            with suppress(FileNotFoundError):
                if path.stat().st_size == len(body) and path.read_bytes() == body:
                    return False
            self._folder_of(path)
            beside = files.temporary(path)
            try:
                beside.write_bytes(body)
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
        self.written += 1
        return True

    def stream(self, place: str, lines: Iterator[bytes]) -> None:
        """A file of lines, however many; one that holds the same is left as it is."""
        path = self.folder / place
        self._folder_of(path)
        beside = files.temporary(path)
        try:
            with self.opened(beside) as out:
                for line in lines:
                    out.write(line)
            with _told(path):
                if self.stands(place) and filecmp.cmp(beside, path, shallow=False):
                    return
            self.move(beside, path)
            self.written += 1
        finally:
            files.remove_quietly(beside)

    def opened(self, path: Path) -> "_Out":
        return _Out(path)

    def move(self, beside: Path, path: Path) -> None:
        files.move_in(beside, path)

    def _folder_of(self, path: Path) -> None:
        if path.parent not in self._made:
            with _told(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)

    def _about(self, **more: object) -> None:
        about = About(format=EXPORT_FORMAT, about=_TEXT, **more)  # type: ignore[arg-type]  # above
        files.write(self.folder / ABOUT, msgspec.json.format(_encode(about), indent=1) + b"\n")


class _Out:
    """A file that is written in one go, whose failures are told in the store's words."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _told(path):
            self._file = path.open("wb")

    def write(self, data: bytes) -> None:
        with _told(self._path):
            self._file.write(data)

    def __enter__(self) -> "_Out":
        return self

    def __exit__(self, *_: object) -> None:
        with _told(self._path):
            self._file.close()


class _told:  # noqa: N801 - reads as a word
    """Failures of the system as a JmreportError that names the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        if isinstance(error, OSError):
            told = files.failed(self._path, error)
            raise JmreportError(
                told.message, hint="name another folder, or see that this one can be written"
            ) from error


def _had(about: Path) -> frozenset[str]:
    """The runs of which an export that was whole has everything; none of what cannot be read."""
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        found = msgspec.json.decode(about.read_bytes(), type=About)
        return frozenset(found.runs if found.whole else ())
    return frozenset()


def _ours(name: str) -> bool:
    return name.endswith(files.TEMPORARY)
