"""A store's twin in a bucket, for machines without a disk: pulled before a run, pushed after.

    gs://team-snapshots/jobs/format.json, salt
    gs://team-snapshots/jobs/runs/20261123T021400Z/jobs-0000.jsonl.zst, …, run.json
    gs://team-snapshots/jobs/pruned/20251018T021400Z/…, pruned.json
    gs://team-snapshots/jobs/summaries/runs.20261123T021400Z.3f9c01d2a4b5c6d7.zst

Runs are written once and never changed, so only what one side lacks is copied. A run's `run.json`
goes last, there as here, so nobody ever sees half a run. What is pulled is compared with the sums
in its `run.json` before it is moved in. The index is not copied: it is made anew from what is kept
of the records (snapshots/summaries.py), which goes along behind the runs.
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from jmreport.bucket import Bucket, Headers, in_threads
from jmreport.errors import ChangedError, DeliveryError
from jmreport.records import run_id, run_order
from jmreport.snapshots import carried, files, runs, summaries
from jmreport.snapshots.check import FORMAT, INCOMING, SALT
from jmreport.snapshots.lock import WritersLock
from jmreport.snapshots.parts import PART

#: Files copied at a time.
THREADS = 8
#: What machines that share no disk keep here of a run until one of them joins it: parts of the run
#: itself, and of its pages (parts/20261123T021400Z/2-of-4/…).
PARTS, PAGES = "parts", "pages"
#: What makes one of those whole: of pages what each was made of, written last.
LEDGER = "ledger"
_WHOLE = (PART, LEDGER)
_RUN = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]+)?")
_FILE = re.compile(r"[a-z0-9-]+(\.[a-z]+)+")
JSON = Headers(content_type="application/json", cache="no-store")
_PACKED = Headers(content_type="application/zstd", cache="no-store")


class Mirrored(Struct, frozen=True, kw_only=True):
    """What a copy came to: runs, files, bytes; `removed` are runs that were pruned here."""

    runs: int = 0
    files: int = 0
    bytes: int = 0
    removed: int = 0


class _Manifest(Struct, frozen=True):
    """What run.json and pruned.json have in common."""

    files: dict[str, files.Written]


def pull(
    root: Path, bucket: Bucket, *, now: datetime, advance: Callable[[], None] = lambda: None
) -> Mirrored:
    """Brings every run that the bucket has and the store lacks.

    Raises LockedError while somebody writes the store, DeliveryError for a bucket that cannot be
    read, and where what came is not what was pushed: then nothing of that run is kept.
    """
    lock = WritersLock(root, now)
    try:
        incoming = root / INCOMING
        cleared(incoming)
        there = _names(bucket)
        came = [*_salt_here(root, bucket, there)]
        for folder in _wanted(root, there):
            came.append(folder_in(bucket, folder, incoming / "run"))
            place = root / folder
            files.make_directory(place.parent)
            (incoming / "run").replace(place)
            files.sync_directory(place.parent)
            advance()
        cleared(incoming)
        came.append(_summaries_in(root, bucket, there))
    finally:
        lock.release()
    return total(came)


def push(
    root: Path, bucket: Bucket, *, now: datetime, advance: Callable[[], None] = lambda: None
) -> Mirrored:
    """Sends every run that the store has and the bucket lacks, and removes there what was pruned.

    Raises LockedError while somebody writes the store, and DeliveryError for a bucket that cannot
    be written. One that holds another run of the same name gets all others, and then raises
    ChangedError; that a run which is there whole is another one is seen of the newest.
    """
    lock = WritersLock(root, now)
    try:
        there = _names(bucket)
        if FORMAT not in there.get("", ()):
            put(bucket, FORMAT, files.read(root / FORMAT))
        came = [*_salt_there(root, bucket, there)]
        newest, another = _newest_of_both(root, there), None
        for folder in _whole(root):
            try:
                if _last(folder) not in there.get(folder, ()):
                    came.append(folder_out(root, bucket, folder, there=there.get(folder, ())))
                    advance()
                elif folder == newest:
                    _compared(root, bucket, f"{folder}/{runs.RUN}")
            except ChangedError as error:
                another = another or error
        came.append(_summaries_out(root, bucket, there))
        removed = sum(_removed(bucket, folder, there[folder]) for folder in _pruned(root, there))
        _drop_pruned(root, bucket, there)
    finally:
        lock.release()
    if another:
        raise another
    return msgspec.structs.replace(total(came), removed=removed)


# What there is


def _names(bucket: Bucket) -> dict[str, tuple[str, ...]]:
    """Folder -> names of its objects; "" is the root."""
    found: dict[str, list[str]] = {}
    for each in bucket.names():
        folder, _, name = each.rpartition("/")
        found.setdefault(folder, []).append(name)
    return {folder: tuple(names) for folder, names in found.items()}


def _last(folder: str) -> str:
    """The file that makes a folder whole."""
    return runs.PRUNE if folder.startswith(f"{runs.PRUNED}/") else runs.RUN


def _wanted(root: Path, there: dict[str, tuple[str, ...]]) -> list[str]:
    """Whole folders of the bucket that the store lacks: what was pruned, then runs by age."""
    pruned = runs.pruned_folder(root)
    upto = run_order(pruned.name) if pruned else None
    found = []
    for folder, names in there.items():
        name = run_of(folder)
        if not name or _last(folder) not in names:
            continue
        if (upto is None or run_order(name) > upto) and not (root / folder).exists():
            found.append(folder)
    ends = [run_order(run_of(each)) for each in found if each.startswith(runs.PRUNED)]
    if ends:  # what a prune elsewhere took away is not brought back
        newest = max(ends)
        found = [
            each
            for each in found
            if run_order(run_of(each)) > newest
            or (each.startswith(runs.PRUNED) and run_order(run_of(each)) == newest)
        ]
    return sorted(found, key=lambda each: (each.startswith(runs.RUNS), run_order(run_of(each))))


def run_of(folder: str) -> str:
    """The run that a folder of the bucket is named for; "" where it is none of a store's.

    Whoever can write to the bucket names its objects, and no name may lead out of the store.
    """
    kind, _, name = folder.partition("/")
    return name if kind in (runs.RUNS, runs.PRUNED) and _RUN.fullmatch(name) else ""


def _whole(root: Path) -> Iterator[str]:
    """Whole folders of the store, what was pruned first, then oldest first."""
    pruned = runs.pruned_folder(root)
    if pruned is not None:
        yield f"{runs.PRUNED}/{pruned.name}"
    for folder in runs.folders(root):
        if (folder / runs.RUN).exists():
            yield f"{runs.RUNS}/{folder.name}"


def _newest_of_both(root: Path, there: dict[str, tuple[str, ...]]) -> str:
    """The folder of the newest run that is whole here and there; "" where none is."""
    mine = (folder for folder in _whole(root) if folder.startswith(f"{runs.RUNS}/"))
    return max((each for each in mine if runs.RUN in there.get(each, ())), key=_age, default="")


def _age(folder: str) -> tuple[str, int]:
    return run_order(run_of(folder))


def _pruned(root: Path, there: dict[str, tuple[str, ...]]) -> list[str]:
    """Folders of the bucket that a prune has made an end of here."""
    pruned = runs.pruned_folder(root)
    if pruned is None:
        return []
    upto = run_order(pruned.name)
    return [
        folder
        for folder in there
        if run_of(folder)
        and run_order(run_of(folder)) <= upto
        and folder != f"{runs.PRUNED}/{pruned.name}"
    ]


# One folder


def folder_in(bucket: Bucket, folder: str, place: Path, *, below: str = "") -> Mirrored:
    """A folder, whole and as it was pushed, in a place of its own; `below` is where it lies."""
    files.make_directory(place, parents=True)
    last = _last(folder)
    folder = f"{below}/{folder}" if below else folder
    about = read(bucket, f"{folder}/{last}")
    try:
        wanted = msgspec.json.decode(about, type=_Manifest).files
    except msgspec.DecodeError as error:
        raise _spoilt(bucket, f"{folder}/{last}") from error
    if not all(map(_FILE.fullmatch, wanted)):
        raise _spoilt(bucket, f"{folder}/{last}")

    sizes = [len(about)]

    def fetch(name: str) -> None:
        data = read(bucket, f"{folder}/{name}")
        if hashlib.sha256(data).hexdigest() != wanted[name].sha256:
            raise _spoilt(bucket, f"{folder}/{name}")
        files.write(place / name, data)
        sizes.append(len(data))

    in_threads(sorted(wanted), fetch, threads=THREADS)
    files.write(place / last, about)
    return Mirrored(runs=1, files=len(sizes), bytes=sum(sizes))


def folder_out(
    root: Path,
    bucket: Bucket,
    folder: str,
    *,
    below: str = "",
    there: Collection[str] = (),
    sure: Callable[[], None] = lambda: None,
) -> Mirrored:
    """Sends a folder, the file that makes it whole last, to its place or `below` another.

    Files that are `there` already come first: where one is another's, nothing is put beside it.
    `sure` is asked before the last one, and raises ChangedError where that would make nothing
    whole.
    """
    last = _last(folder)
    to = f"{below}/{folder}" if below else folder
    sizes: list[int] = []

    def send(path: Path) -> None:
        data = files.read(path)
        put(bucket, f"{to}/{path.name}", data)
        sizes.append(len(data))

    others = before_last(root, folder)
    begun = [path for path in others if path.name in there]
    rest = [path for path in others if path not in begun]
    for some in (begun, rest):
        in_threads(some, send, threads=THREADS)
    sure()
    send(root / folder / last)
    return Mirrored(runs=1, files=len(sizes), bytes=sum(sizes))


def before_last(root: Path, folder: str) -> list[Path]:
    """The files of a folder that are sent before the one that makes it whole."""
    last = _last(folder)
    return [path for path in sorted((root / folder).iterdir()) if _belongs(path, last)]


def _belongs(path: Path, last: str) -> bool:
    return path.name not in (last, runs.BEGUN) and not path.name.endswith(files.TEMPORARY)


def _removed(bucket: Bucket, folder: str, names: Iterable[str]) -> int:
    """Takes a folder away, first the file that makes it whole."""
    last = _last(folder)
    for name in sorted(names, key=lambda name: name != last):
        bucket.delete(f"{folder}/{name}", generation=None)
    return int(folder.startswith(runs.RUNS))


def drop(bucket: Bucket, kind: str, run: str) -> None:
    """Takes away the PARTS, or PAGES, of a run that were joined, and those of all runs before it.

    Nobody joins these any more: parts are merged only into what they were collected on top of, and
    a site is made of the newest run.
    """
    _drop(bucket, kind, run, bucket.names(f"{kind}/"))


def _drop_pruned(root: Path, bucket: Bucket, there: dict[str, tuple[str, ...]]) -> None:
    """The same for runs from before the last one that a prune took away here, by its own now:
    behind a run of a clock that was ahead it is called as though it were of that time."""
    gone = carried.gone(root)
    if gone:
        names = [f"{folder}/{name}" for folder in there for name in there[folder]]
        upto = min((gone[-1].id, run_id(gone[-1].now)), key=run_order)
        for kind in (PARTS, PAGES):
            _drop(bucket, kind, upto, names)


def _drop(bucket: Bucket, kind: str, run: str, names: Iterable[str]) -> None:
    found: tuple[list[str], list[str]] = [], []
    for name in names:
        top, _, rest = name.partition("/")
        of, _, inner = rest.partition("/")
        if top == kind and _RUN.fullmatch(of) and run_order(of) <= run_order(run):
            found[inner.rpartition("/")[2] not in _WHOLE].append(name)
    for each in found:  # first what makes a part whole
        in_threads(each, lambda name: bucket.delete(name, generation=None), threads=THREADS)


# What is kept of the records: a cache, so nothing of it is a mistake


def _summaries_in(root: Path, bucket: Bucket, there: dict[str, tuple[str, ...]]) -> Mirrored:
    """Brings what there is of runs of which nothing is kept here."""
    kept = {summaries.about(path.name) for path in summaries.everything(root)}
    wanted = []
    for name in there.get(summaries.NAME, ()):
        folder = summaries.about(name)
        if run_of(folder) and folder not in kept and (root / folder).exists():
            wanted.append(name)
    sizes: list[int] = []

    def fetch(name: str) -> None:
        found = bucket.read(f"{summaries.NAME}/{name}")
        if found is not None:
            files.write(root / summaries.NAME / name, found.data)
            sizes.append(len(found.data))

    if wanted:
        files.make_directory(root / summaries.NAME)
    in_threads(wanted, fetch, threads=THREADS)
    return Mirrored(files=len(sizes), bytes=sum(sizes))


def _summaries_out(root: Path, bucket: Bucket, there: dict[str, tuple[str, ...]]) -> Mirrored:
    """Sends what is kept here and not there; takes away what it stands for, and what is pruned."""
    whole, held = {*_whole(root)}, {*there.get(summaries.NAME, ())}
    here = {
        path.name: summaries.about(path.name)
        for path in summaries.everything(root)
        if summaries.about(path.name) in whole
    }

    sizes: list[int] = []

    def send(name: str) -> None:
        data = files.read(root / summaries.NAME / name)
        with suppress(ChangedError):  # somebody else has just sent it
            bucket.write(f"{summaries.NAME}/{name}", data, generation=0, headers=_PACKED)
        sizes.append(len(data))

    in_threads(sorted(here.keys() - held), send, threads=THREADS)
    gone = {*here.values(), *_pruned(root, there)}
    for name in sorted(held - here.keys()):
        if summaries.about(name) in gone:
            bucket.delete(f"{summaries.NAME}/{name}", generation=None)
    return Mirrored(files=len(sizes), bytes=sum(sizes))


# The key of the hashes, without which a name would have another hash on each machine


def _salt_here(root: Path, bucket: Bucket, there: dict[str, tuple[str, ...]]) -> Iterator[Mirrored]:
    if SALT in there.get("", ()):
        data = read(bucket, SALT)
        if not (root / SALT).exists():
            files.write(root / SALT, data, mode=0o600)
            yield Mirrored(files=1, bytes=len(data))
        elif files.read(root / SALT) != data:
            raise DeliveryError(
                f"{bucket.place}/{SALT} is another key than that of {root}",
                hint="the hashes of the two do not agree: keep one of the two keys on both sides",
            )


def _salt_there(
    root: Path, bucket: Bucket, there: dict[str, tuple[str, ...]]
) -> Iterator[Mirrored]:
    if (root / SALT).exists() and SALT not in there.get("", ()):
        data = files.read(root / SALT)
        put(bucket, SALT, data)
        yield Mirrored(files=1, bytes=len(data))


# Objects


def read(bucket: Bucket, name: str) -> bytes:
    """An object's bytes. Raises DeliveryError where it is gone."""
    found = bucket.read(name)
    if found is None:
        raise DeliveryError(
            f"{bucket.place}/{name} is gone",
            hint="run it again: somebody may have pruned meanwhile",
        )
    return found.data


def put(bucket: Bucket, name: str, data: bytes) -> None:
    """Writes what must not be there yet, else ChangedError; these very bytes are no mistake."""
    headers = _PACKED if name.endswith(".zst") else JSON
    try:
        bucket.write(name, data, generation=0, headers=headers)
    except ChangedError as error:
        found = bucket.read(name)
        if found is None or found.data != data:
            raise _another(bucket, name) from error


def _compared(root: Path, bucket: Bucket, name: str) -> None:
    """Raises ChangedError where an object is another than the file here."""
    found = bucket.read(name)
    if found is not None and found.data != files.read(root / name):
        raise _another(bucket, name)


def _another(bucket: Bucket, name: str) -> ChangedError:
    return ChangedError(
        f"{bucket.place}/{name} is another one than here",
        hint="two machines made a run in the same second, or the mirror is of another store: give "
        "each store a mirror of its own. Half a run whose machine is gone may be removed there",
    )


def _spoilt(bucket: Bucket, name: str) -> DeliveryError:
    return DeliveryError(
        f"{bucket.place}/{name} is not what was pushed",
        hint="restore it from a copy, or remove its run from the mirror",
    )


def cleared(folder: Path) -> None:
    """Removes what another pull left half done."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise files.failed(folder, error) from error


def total(came: Iterable[Mirrored]) -> Mirrored:
    """What several copies came to."""
    whole = [*came]
    return Mirrored(
        runs=sum(each.runs for each in whole),
        files=sum(each.files for each in whole),
        bytes=sum(each.bytes for each in whole),
    )
