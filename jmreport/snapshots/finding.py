"""One job among all that are known: by its id, the beginning of it, or its short form on a page.

03a7491c                 the beginning of one id
align--r…1590+30         both ends of one that begins like many others
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from jmreport.records import Record
from jmreport.snapshots import carried, files, runs
from jmreport.snapshots.indexed import Index

#: What stands for the middle of a short id: as pages write it, and as it can be typed.
CUTS = ("…", "...")
#: What both ends of a dsub id may have, and its short form has not.
_EDGES = "+"
_encode = msgspec.json.Encoder().encode


def ids_like(index: Index, wanted: str, *, limit: int) -> tuple[str, ...]:
    """The id itself where it is known; else up to `limit` ids that it may stand for, sorted."""
    if index.entry(wanted) is not None:
        return (wanted,)
    if not wanted:
        return ()
    # UUIDs are shown by some programs in capitals; servers take them in any case.
    text = wanted.lower()
    found: list[str] = []
    for (job,) in index.connection.execute("SELECT id FROM entries ORDER BY id"):
        if _stands_for(text, job.lower()):
            found.append(job)
            if len(found) >= limit:
                break
    return tuple(found)


def _stands_for(text: str, job: str) -> bool:
    for cut in CUTS:
        first, mark, last = text.partition(cut)
        if mark:
            bare = job.strip(_EDGES)
            return bare.startswith(first) and bare.endswith(last) and bool(first or last)
    return job.startswith(text) or job.strip(_EDGES).startswith(text)


def states(root: Path, job: str) -> Iterator[tuple[str, Record]]:
    """Every state of a job that was stored, newest first, each with the run that wrote it.

    Reads the shards of all runs. Raises SnapshotError where one is damaged.
    """
    # A record's id stands first in its line: others need not be decoded.
    start = b'{"id":' + _encode(job) + b","
    for folder in reversed(runs.folders(root)):
        if not (folder / runs.RUN).exists():
            continue
        for shard in reversed(runs.shards(folder)):
            found = [
                runs.decode_record(line, shard, at)
                for at, line in enumerate(files.lines(shard))
                if line.startswith(start)
            ]
            yield from ((folder.name, record) for record in reversed(found))
    pruned = runs.pruned_folder(root)
    left = carried.record_of(root, pruned, job) if pruned is not None else None
    if left is not None:
        yield left.origin.run, left.record
