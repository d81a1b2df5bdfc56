"""Whether a store is whole: every file read, every line decoded, everything compared."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

import msgspec

from jmreport.errors import JmreportError, SnapshotError
from jmreport.records import SNAPSHOT_FORMAT
from jmreport.sizes import counted
from jmreport.snapshots import carried, files, filling, index, parts, runs, summaries, unattended
from jmreport.snapshots.indexed import Index
from jmreport.snapshots.lock import NAME as LOCK
from jmreport.snapshots.measured import Measuring, unmeasured
from jmreport.snapshots.summaries import Compared, Summarise

FORMAT = "format.json"
SALT = "salt"
#: Where runs come in from a mirror, until they are whole.
INCOMING = "incoming"
OF_ROOT = frozenset(
    {
        FORMAT,
        SALT,
        LOCK,
        parts.PART,
        INCOMING,
        runs.RUNS,
        runs.PRUNED,
        index.NAME,
        summaries.NAME,
        unattended.LOCK,
        unattended.ACCOUNT,
    }
)


_DAMAGED = "is damaged; delete it, it is only a cache"
_DIFFERS = "differs from the runs; delete it, it is only a cache"


class Format(msgspec.Struct, frozen=True):
    """format.json: {"format": 1, "about": "…"}."""

    format: int
    about: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong with a store: which file, and why it matters."""

    what: str
    why: str


def check_format(root: Path) -> None:
    """Raises SnapshotError unless the folder holds a store that can be read."""
    path = root / FORMAT
    if root.exists() and not root.is_dir():
        raise SnapshotError(f"{root} is not a folder", hint="name a folder with --snapshots")
    if not path.exists() and runs.folders(root):
        known = f'{{"format": {SNAPSHOT_FORMAT}}}'
        raise SnapshotError(
            f"{path} is missing, beside runs that are there",
            hint=f"restore the file from a copy, or write {known} into it; "
            "`jmreport collect` writes it, too",
        )
    if not path.exists():
        raise SnapshotError(f"no snapshot in {root}", hint="run `jmreport collect` first")
    try:
        found = msgspec.json.decode(files.read(path), type=Format)
    except (msgspec.DecodeError, RecursionError) as error:
        known = f'{{"format": {SNAPSHOT_FORMAT}}}'
        raise SnapshotError(
            f"cannot read {path}: {error}",
            hint=f"restore the file from a copy; this jmreport writes {known}",
        ) from error
    if found.format > SNAPSHOT_FORMAT:
        raise runs.newer(root, found.format)
    if found.format < 1:
        raise SnapshotError(f"{path} names no format", hint="restore the file from a copy")


def check(root: Path, summarise: Summarise, measure: Measuring = unmeasured) -> tuple[Fault, ...]:
    """Everything that is wrong with a store, also with one that cannot be opened.

    Changes nothing. Leftovers of a killed run are named too, though the next run removes them.
    """
    try:
        check_format(root)
    except SnapshotError as error:
        return (Fault(what=FORMAT, why=error.message),)
    found = [*_strangers(root), *_outlived(root), *_check_pruned(root)]
    if not (root / runs.RUNS).is_dir():
        found.append(Fault(what=runs.RUNS, why="is missing, and with it all runs"))
    for folder in runs.folders(root):
        found.extend(_check_run(root, folder))
    if not any(fault.what.startswith((runs.RUNS, runs.PRUNED)) for fault in found):
        found.extend(_check_index(root, summarise, measure))
    return tuple(found)


def _strangers(root: Path) -> Iterator[Fault]:
    for path in sorted(root.iterdir()):
        yield from _stranger(root, path, OF_ROOT)
    for path in summaries.everything(root):
        if not summaries.about(path.name):
            yield from _stranger(root, path, frozenset())


def _stranger(root: Path, path: Path, known: frozenset[str]) -> Iterator[Fault]:
    name = path.relative_to(root).as_posix()
    if path.name.endswith(files.TEMPORARY):
        yield Fault(what=name, why="left by a run that was killed; the next run takes it up")
    elif path.name not in known:
        yield Fault(what=name, why="no file of a snapshot store")


def _outlived(root: Path) -> Iterator[Fault]:
    for folder in runs.outlived(root):
        name = folder.relative_to(root).as_posix()
        yield Fault(what=name, why="left by a prune that was killed; the next run removes it")


def _check_pruned(root: Path) -> Iterator[Fault]:
    """What is left of pruned runs: its files, and that each record is the one that is told of."""
    folder = runs.pruned_folder(root)
    if folder is None:
        return
    name = folder.relative_to(root).as_posix()
    try:
        about = carried.about(folder)
    except SnapshotError as error:
        yield Fault(what=f"{name}/{runs.PRUNE}", why=error.message)
        return
    if about.upto != folder.name:
        yield Fault(what=f"{name}/{runs.PRUNE}", why=f"is of run {about.upto}")
    known = frozenset({runs.PRUNE, *about.files})
    for path in sorted(folder.iterdir()):
        yield from _stranger(root, path, known)
    faults = [
        fault
        for file, written in about.files.items()
        for fault in _check_file(root, folder / file, written)
    ]
    yield from faults
    if not faults:
        yield from _check_carried(root, folder)


def _check_carried(root: Path, folder: Path) -> Iterator[Fault]:
    try:
        carried.gone(root)
        for _ in carried.carried(root, folder):
            pass
    except SnapshotError as error:
        yield Fault(what=folder.relative_to(root).as_posix(), why=error.message)


def _check_run(root: Path, folder: Path) -> Iterator[Fault]:
    name = folder.relative_to(root).as_posix()
    if not (folder / runs.RUN).exists():
        yield Fault(what=name, why="interrupted, or still being written; the next run ends it")
        return
    try:
        run = runs.decode(files.read(folder / runs.RUN), folder / runs.RUN)
    except SnapshotError as error:
        yield Fault(what=f"{name}/{runs.RUN}", why=error.message)
        return
    if run.id != folder.name:
        yield Fault(what=f"{name}/{runs.RUN}", why=f"is of run {run.id}")
    known = frozenset({runs.RUN, runs.BEGUN, *run.files})
    for path in sorted(folder.iterdir()):
        yield from _stranger(root, path, known)
    for file, written in run.files.items():
        yield from _check_file(root, folder / file, written)


def _check_file(root: Path, path: Path, written: files.Written) -> Iterator[Fault]:
    what = path.relative_to(root).as_posix()
    try:
        if not path.exists():
            yield Fault(what=what, why="is missing")
            return
        there = files.measure(path)
        if there != written:
            yield Fault(what=what, why=f"changed: {_difference(written, there)}")
        if path.match(runs.SHARDS):
            for _ in runs.records(path):
                pass
        elif path.suffix == ".zst":
            for line in files.lines(path):
                msgspec.json.decode(line)
        else:
            msgspec.json.decode(files.read(path))
    except SnapshotError as error:
        yield Fault(what=what, why=error.message)
    except (msgspec.DecodeError, RecursionError) as error:
        yield Fault(what=what, why=f"is no JSON: {error}")


def _difference(before: files.Written, now: files.Written) -> str:
    if before.lines != now.lines:
        return f"{now.lines} lines instead of {before.lines}"
    if before.bytes != now.bytes:
        return f"{now.bytes} bytes instead of {before.bytes}"
    return "other contents of the same length"


def _check_index(root: Path, summarise: Summarise, measure: Measuring) -> Iterator[Fault]:
    """The caches must be what the records make of them; asked only where the runs are whole.

    What is missing, damaged or older is made anew when next needed.
    """
    records = Compared(filling.kept_of(root, summarise, measure))
    there = index.existing(root, records.kept.made_by)
    if there is not None and not there.is_sound():
        there.close()
        yield Fault(what=index.NAME, why=_DAMAGED)
        return
    if there is not None and there.prune() != carried.stamp(root):
        there.close()
        there = None
    try:
        stamps = runs.committed(root) if there is None else there.stamps()
        made = filling.rebuilt(root, records.kept.made_by, records, only=tuple(stamps))
    except JmreportError as error:
        yield Fault(what=index.NAME, why=error.message)
        return
    else:
        if there is not None and not same(there, made):
            yield Fault(what=index.NAME, why=_DIFFERS)
        if not (root / parts.PART).exists():  # it leans on the snapshots beside it
            yield from _check_lists(root, frozenset(made.ids()), stamps)
        made.close()
    finally:
        if there is not None:
            there.close()
    for path in records.differing:
        yield Fault(what=path.relative_to(root).as_posix(), why=_DIFFERS)


def _check_lists(root: Path, known: frozenset[str], ended: Iterable[str]) -> Iterator[Fault]:
    """What a run lists that lacked nothing was read by it, or by one before it."""
    for name in ended:
        folder = root / runs.RUNS / name
        if runs.decode(files.read(folder / runs.RUN), folder / runs.RUN).state != "complete":
            continue
        if lacking := sum(job not in known for job in runs.listed(folder)):
            yield Fault(
                what=f"{runs.RUNS}/{name}",
                why=f"lists {counted(lacking, 'job')} of which nothing is stored: "
                "a run that had read them is gone",
            )


def same(one: Index, other: Index) -> bool:
    """Whether two indexes say the same of every job and run."""
    return all(left == right for left, right in zip_longest(one.dump(), other.dump()))
