"""Letting old runs go: what later runs lean on is written beside them first, then they go.

    runs/20251017T…/ runs/20251018T…/ runs/20251019T…/    ->    pruned/20251018T…/ runs/20251019T…/

1  everything that stays known of the runs that go, into a new folder (snapshots/carried.py)
2  its pruned.json: from here on nobody reads the runs that go, nor the folder of the last prune
3  the index, which is only a cache
4  those runs and that folder are removed

Stopped before 2 nothing has changed, stopped behind it all is done but for the room on the disk.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
from msgspec import Struct

from jmreport.errors import JmreportError
from jmreport.records import Run
from jmreport.snapshots import carried, files, filling, index, runs, writing
from jmreport.snapshots.carried import Origin, Prune
from jmreport.snapshots.files import LineFile, Nowhere, Written
from jmreport.snapshots.indexed import Index
from jmreport.snapshots.summaries import Source

#: (runs that go, oldest first) -> ids of jobs that what stays is told with.
Leaning = Callable[[tuple[Run, ...]], Iterable[str]]
_encode = msgspec.json.Encoder().encode


class Pruned(Struct, frozen=True, kw_only=True):
    """What a prune came to: runs that went, jobs that are forgotten, records that were carried.

    `freed` are bytes on the disk, less than nothing where the new folder takes more.
    """

    runs: tuple[str, ...] = ()
    dropped: frozenset[str] = frozenset()
    carried: int = 0
    freed: int = 0


class Cut(NamedTuple):
    """The runs that go, oldest first, and those that stay."""

    going: tuple[Run, ...]
    staying: frozenset[str]


def cut(known: Index, before: datetime, *, now: datetime) -> Cut | None:
    """Where the runs are cut in two; None where none is from before that instant.

    The newest usable run stays however old it is, and so does what came behind a run that stays:
    what is left of the runs that go is what was known after the last of them. One from after `now`
    is of a clock that was wrong, and keeps nothing that is old behind it.
    """
    told = [runs.plain(runs.decode(body, Path(run))) for run, body in known.runs()]
    newest = max((place for place, run in enumerate(told) if run.usable), default=0)
    going = 0
    for place, run in enumerate(told[:newest], 1):
        if run.now < before:
            going = place
        elif run.now <= now:
            break
    if not going:
        return None
    return Cut(tuple(told[:going]), frozenset(run.id for run in told[going:]))


class Pruning:
    """A prune that is worked out, to be written or only weighed. Close it, or use it in `with`."""

    def __init__(
        self,
        root: Path,
        known: Index,
        at: Cut,
        leaning: Leaning,
        source: Source,
    ) -> None:
        self._root, self._known, self._cut = root, known, at
        self._before = runs.pruned_folder(root)
        self._place = root / runs.PRUNED / at.going[-1].id
        self._needed = needed(known, at, leaning)
        #: What was known after the last run that goes.
        self._then = filling.rebuilt(
            root, known.made_by(), source, only=[run.id for run in at.going]
        )
        self._moved: list[tuple[str, int, str, str, int]] = []
        self._written: dict[str, Written] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._then.close()

    def weigh(self) -> Pruned:
        """What it would come to."""
        self._copy(lambda path: LineFile(path, into=Nowhere))
        return self._outcome()

    def write(self, *, now: datetime, version: str) -> Pruned:
        """All of it but for the removal of what nobody reads any more: `runs.outlived`."""
        files.make_directory(self._root / runs.PRUNED)
        files.make_directory(self._place)
        try:
            self._copy(LineFile)
            done = self._outcome()
            files.write(self._place / runs.PRUNE, self._about(done, now=now, version=version))
        except BaseException:
            # A disk that is full has its room back at once; else the next run removes it.
            with suppress(JmreportError):
                if not (self._place / runs.PRUNE).exists():
                    files.remove_folder(self._place)
            raise
        self._bring_forward(done.dropped)
        return done

    def _about(self, done: Pruned, *, now: datetime, version: str) -> bytes:
        earlier = carried.about(self._before).dropped if self._before else 0
        about = Prune(
            upto=self._place.name,
            now=now,
            version=version,
            dropped=earlier + len(done.dropped),
            files=self._written,
        )
        return msgspec.json.format(_encode(about), indent=1) + b"\n"

    def _outcome(self) -> Pruned:
        goes = [self._root / runs.RUNS / run.id for run in self._cut.going]
        if self._before is not None:
            goes.append(self._before)
        takes = sum(written.bytes for written in self._written.values())
        return Pruned(
            runs=tuple(run.id for run in self._cut.going),
            dropped=frozenset(job for job in self._then.ids() if job not in self._needed),
            carried=self._written[carried.ORIGINS].lines,
            freed=sum(map(files.size_of_folder, goes)) - takes,
        )

    def _copy(self, make: Callable[[Path], LineFile]) -> None:
        """The records that are needed, their lines as they lie there, and what goes with them."""
        copying = _Copying(self._root, self._place, make)
        try:
            for run in (*carried.gone(self._root), *map(carried.left_of, self._cut.going)):
                copying.tell(run)
            for shard in self._shards():
                for line, origin, body in self._of_shard(shard):
                    place = copying.add(origin, body)
                    self._moved.append((*place, origin.id, shard, line))
            self._written = copying.commit()
        except BaseException:
            copying.discard()
            raise

    def _shards(self) -> Iterator[str]:
        """In the order in which they are read: what was carried before, then run by run."""
        folders = [self._root / runs.RUNS / run.id for run in self._cut.going]
        for folder in (*((self._before,) if self._before else ()), *folders):
            for path in runs.shards(folder):
                yield path.relative_to(self._root).as_posix()

    def _of_shard(self, shard: str) -> Iterator[tuple[int, Origin, bytes]]:
        wanted = {
            line: origin for line, origin in self._then.origins(shard) if origin.id in self._needed
        }
        if not wanted:
            return
        last = max(wanted)
        for line, body in enumerate(files.lines(self._root / shard)):
            if line in wanted:
                yield line, wanted[line], body.removesuffix(b"\n")
            if line >= last:
                return

    def _bring_forward(self, dropped: Iterable[str]) -> None:
        """The index as it will be read from now on; where that fails it is made anew later."""
        with suppress(JmreportError, index.Error):
            fresh = index.copy(self._root, self._known)
            try:
                for job in dropped:
                    fresh.forget(job)
                fresh.move(self._moved)
                fresh.forget_runs(run.id for run in self._cut.going)
                fresh.note_prune(carried.stamp(self._root), carried.gone(self._root))
                fresh.shrink()
                fresh.commit(self._root / index.NAME)
            finally:
                fresh.discard()


class _Copying:
    """Files of what is carried: shards as runs have them, and the lines beside them."""

    def __init__(self, root: Path, place: Path, make: Callable[[Path], LineFile]) -> None:
        self._root, self._place, self._make = root, place, make
        self._written: dict[str, Written] = {}
        self._shard: LineFile | None = None
        self._shards = 0
        self._open: list[LineFile] = []
        self._runs = self._opened(carried.RUNS)
        self._origins = self._opened(carried.ORIGINS)

    def _opened(self, name: str) -> LineFile:
        file = self._make(self._place / name)
        self._open.append(file)
        return file

    def tell(self, run: Run) -> None:
        self._runs.write(_encode(run))

    def add(self, origin: Origin, body: bytes) -> tuple[str, int]:
        """Keep a record's line, and say where."""
        if self._shard is None:
            self._shard = self._opened(runs.name_of_shard(self._shards))
            self._shards += 1
        shard, line = self._shard, self._shard.write(body)
        self._origins.write(_encode(origin))
        if shard.lines >= writing.SHARD_RECORDS or shard.text_bytes >= writing.SHARD_BYTES:
            self._commit(shard)
            self._shard = None
        return shard.path.relative_to(self._root).as_posix(), line

    def _commit(self, file: LineFile) -> None:
        self._open.remove(file)
        self._written[file.path.name] = file.commit()

    def commit(self) -> dict[str, Written]:
        """Every file whole and in its place; what each holds, by its name."""
        for file in tuple(self._open):
            self._commit(file)
        return dict(sorted(self._written.items()))

    def discard(self) -> None:
        for file in self._open:
            file.discard()


def needed(known: Index, at: Cut, leaning: Leaning) -> frozenset[str]:
    """Ids of jobs that stay known.

    Those that a run which stays found on the server or stored, those that may still change, those
    that it leans on, and every job of one tree with any of them.
    """
    found = set(leaning(at.going))
    near: defaultdict[str, list[str]] = defaultdict(list)
    for entry in known.by_run():
        row = entry.row
        if row.active or entry.run in at.staying or entry.last_run in at.staying:
            found.add(row.id)
        for other in (*row.children, *((row.parent,) if row.parent else ())):
            near[row.id].append(other)
            near[other].append(row.id)
    waiting = list(found)
    while waiting:
        for job in near.get(waiting.pop(), ()):
            if job not in found:
                found.add(job)
                waiting.append(job)
    return frozenset(found)
