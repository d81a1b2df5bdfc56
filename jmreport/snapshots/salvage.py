"""What a killed run left of the shard that it was writing: read, made whole, and known.

runs/20261123T021400Z/jobs-0003.jsonl.zst.5e0c11d2.tmp  ->  jobs-0003.jsonl.zst
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec

from jmreport.records import Record
from jmreport.snapshots import files, runs
from jmreport.snapshots.files import LineFile

_record = msgspec.json.Decoder(Record)


def salvage(folder: Path) -> None:
    """Make shards of what a killed run left, and remove the rest. May be killed itself.

    Raises JmreportError where nothing can be written; then what was left still lies there.
    """
    for left in sorted(files.leftovers((folder,)), key=_largest_first):
        name = left.name.rsplit(".", 2)[0]
        # A shard that stands has what its leftover has: whoever made it was killed thereafter.
        if runs.is_shard(name) and not (folder / name).exists():
            _make_whole(left, folder / name)
        files.remove(left)


def _largest_first(path: Path) -> tuple[int, str]:
    """Of two leftovers of one shard the larger is the writer's, the other a salvager's."""
    return -path.stat().st_size, path.name


def _make_whole(left: Path, place: Path) -> None:
    lines = _records(left)
    first = next(lines, None)
    if first is None:
        return
    shard = LineFile(place)
    try:
        for line in chain((first,), lines):
            shard.write(line)
    except BaseException:
        shard.discard()
        raise
    shard.commit()


def _records(left: Path) -> Iterator[bytes]:
    """Lines that are records, up to the first that is none: a power cut leaves anything."""
    for line in files.readable_lines(left):
        try:
            _record.decode(line)
        except (msgspec.DecodeError, RecursionError):
            return
        yield line
