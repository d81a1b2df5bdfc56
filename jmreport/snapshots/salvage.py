"""What a killed run left of the shard and the list that it was writing: read, and made whole.

runs/20261123T021400Z/jobs-0003.jsonl.zst.5e0c11d2.tmp  ->  jobs-0003.jsonl.zst
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from msgspec.json import Decoder

from jmreport.records import Record
from jmreport.snapshots import files, runs
from jmreport.snapshots.files import LineFile

_record = msgspec.json.Decoder(Record)
_row = msgspec.json.Decoder(Any)


def salvage(folder: Path) -> None:
    """Make shards and the list of what a killed run left, and remove the rest.

    May be killed itself.
    Raises JmreportError where nothing can be written; then what was left still lies there.
    """
    for left in sorted(files.leftovers((folder,)), key=_largest_first):
        name = left.name.rsplit(".", 2)[0]
        # A shard that stands has what its leftover has: whoever made it was killed thereafter.
        if not (folder / name).exists():
            if runs.is_shard(name):
                _make_whole(_lines(left, _record), folder / name)
            elif name == runs.QUERY:
                _make_whole(_lines(left, _row), folder / name)
        files.remove(left)


def _largest_first(path: Path) -> tuple[int, str]:
    """Of two leftovers of one shard the larger is the writer's, the other a salvager's."""
    return -path.stat().st_size, path.name


def _make_whole(lines: Iterator[bytes], place: Path) -> None:
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


def _lines(left: Path, decoder: Decoder[Any]) -> Iterator[bytes]:
    """Lines that are whole, up to the first that is not: a power cut leaves anything."""
    for line in files.readable_lines(left):
        try:
            decoder.decode(line)
        except (msgspec.DecodeError, RecursionError):
            return
        yield line
