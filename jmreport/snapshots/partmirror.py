"""Parts of a run in the bucket that the snapshots have their twin in: for machines without a disk.

    gs://team-snapshots/jobs/parts/20261123T021400Z/2-of-4/format.json, part.json
    gs://team-snapshots/jobs/parts/20261123T021400Z/2-of-4/runs/20261123T021400Z/…, run.json

Who collects a part pushes it; who merges pulls all of them, and drops them once the run that they
made is in the mirror. A run's `run.json` goes behind its files and `part.json` behind all, so
nobody sees half a part.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from jmreport.bucket import Bucket, Held
from jmreport.errors import ChangedError, DeliveryError
from jmreport.snapshots import files, mirror, parts, runs
from jmreport.snapshots.check import FORMAT, INCOMING, SALT
from jmreport.snapshots.lock import WritersLock
from jmreport.snapshots.mirror import PARTS, Mirrored

_FOLDER = re.compile(r"[0-9]{1,4}-of-[0-9]{1,4}")


def is_part(folder: str) -> bool:
    """Whether a folder of the bucket is named as a part is: "2-of-4"."""
    return _FOLDER.fullmatch(folder) is not None


def push(root: Path, bucket: Bucket, *, now: datetime) -> Mirrored:
    """Sends a part: every run of it that has ended, also one that failed. What somebody who was
    killed had sent of one, and not made whole, is replaced.

    Raises LockedError while somebody writes it, DeliveryError for a bucket that cannot be written,
    or in which somebody else's part lies in the same place, or is being put there at this moment.
    """
    part = parts.read(root)
    if part is None:
        return Mirrored()
    lock = WritersLock(root, now)
    try:
        below = f"{PARTS}/{part.run}/{part.shard.folder}"
        there = {*bucket.names(f"{below}/")}
        mirror.put(bucket, f"{below}/{FORMAT}", files.read(root / FORMAT))
        came = []
        for folder in runs.folders(root):
            to = f"{runs.RUNS}/{folder.name}"
            if (folder / runs.RUN).exists() and f"{below}/{to}/{runs.RUN}" not in there:
                # Half a run is none. Whoever was killed over it read other answers than came here.
                for name in sorted(there):
                    if name.startswith(f"{below}/{to}/"):
                        bucket.delete(name, generation=None)
                sure = partial(_only_ours, root, bucket, to, below=below)
                came.append(mirror.folder_out(root, bucket, to, below=below, sure=sure))
        mirror.put(bucket, f"{below}/{parts.PART}", files.read(root / parts.PART))
    finally:
        lock.release()
    return mirror.total(came)


def _only_ours(root: Path, bucket: Bucket, folder: str, *, below: str) -> None:
    """Makes sure that what was sent is what lies there, before it is made whole.

    A machine that was taken for dead may be pushing the same part, from other answers: each has
    replaced what it found of the other. Raises ChangedError where this one's was replaced. Where
    the other has made that whole which is gone since, its `run.json` goes.
    """
    held = {each.name: each for each in bucket.objects(f"{below}/{folder}/")}
    for path in mirror.before_last(root, folder):
        if not _is(bucket, held.get(f"{below}/{folder}/{path.name}"), files.read(path)):
            raise ChangedError(
                f"{bucket.place}/{below} is being pushed by another machine too",
                hint="one at a time collects a part: start this one again if it is missing then",
            )
    last = held.get(f"{below}/{folder}/{runs.RUN}")
    if last is not None and not _is(bucket, last, files.read(root / folder / runs.RUN)):
        bucket.delete(last.name, generation=last.generation)


def _is(bucket: Bucket, held: Held | None, data: bytes) -> bool:
    """Whether an object holds these bytes."""
    if held is None or held.size != len(data):
        return False
    if held.md5:
        return held.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
    found = bucket.read(held.name)
    return found is not None and found.data == data


def pull(
    place: Path,
    bucket: Bucket,
    run: str,
    *,
    only: str = "",
    advance: Callable[[], None] = lambda: None,
) -> Mirrored:
    """Brings every whole part of a run into the folder of its parts; what is there stays.

    `only` is the folder of the one part that is wanted.

    Raises DeliveryError for a bucket that cannot be read, and where what came is not what was
    pushed: then nothing of that part's run is kept.
    """
    there: dict[str, dict[str, set[str]]] = {}
    for each in bucket.names(f"{PARTS}/{run}/"):
        folder, _, name = each.removeprefix(f"{PARTS}/{run}/").partition("/")
        inner, _, file = name.rpartition("/")
        if is_part(folder) and only in ("", folder):
            there.setdefault(folder, {}).setdefault(inner, set()).add(file)
    came = []
    for folder, inside in sorted(there.items()):
        if parts.PART in inside.get("", ()):
            came += _part_in(bucket, f"{PARTS}/{run}/{folder}", place / folder, inside)
            advance()
    return mirror.total(came)


def _part_in(bucket: Bucket, below: str, root: Path, inside: dict[str, set[str]]) -> list[Mirrored]:
    files.make_directory(root / runs.RUNS, parents=True)
    came = []
    for folder, names in sorted(inside.items()):
        wanted = folder.startswith(f"{runs.RUNS}/") and mirror.run_of(folder)
        if wanted and runs.RUN in names and not (root / folder).exists():
            mirror.cleared(root / INCOMING)
            came.append(mirror.folder_in(bucket, folder, root / INCOMING, below=below))
            (root / INCOMING).replace(root / folder)
            files.sync_directory(root / runs.RUNS)
    for name in (FORMAT, parts.PART):
        if not (root / name).exists():
            files.write(root / name, mirror.read(bucket, f"{below}/{name}"))
    return came


def share_salt(root: Path, bucket: Bucket, salt: bytes, *, new: bool) -> None:
    """Agrees with all other machines on the key of the hashes: the first that has one gives it.

    A store is `new` where nothing was hashed in it yet. Raises DeliveryError where it was, with
    another key than theirs.
    """
    try:
        bucket.write(SALT, salt, generation=0, headers=mirror.JSON)
    except ChangedError:
        theirs = mirror.read(bucket, SALT)
        if theirs == salt:
            return
        if not new:
            raise DeliveryError(
                f"{bucket.place}/{SALT} is another key than that of {root}",
                hint="the hashes of the two do not agree: keep one of the two keys on both sides",
            ) from None
        files.write(root / SALT, theirs, mode=0o600)
