"""Which shard each of a scatter's attempts belongs to, where a server doesn't say.

The Cromwell shim answers the attempts of a scatter flattened, shard after shard, without an index.
Their folders tell (`…/shard-4/attempt-2`); without folders a shard begins where the attempt number
restarts at 1, and that counts only where it fits the number of shards and of their attempts.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

_FOLDER = re.compile(r"/shard-(\d{1,9})(?=/|$)")


class Tried(Struct, frozen=True, gc=False):
    """An attempt as far as it tells where it belongs: its number and its folder."""

    number: int | None
    folder: str


class Scattered(Struct, frozen=True, gc=False):
    """A shard as far as it tells what belongs to it: its index, and how often it was tried."""

    index: int
    attempts: int | None


def places(tried: Sequence[Tried], shards: Sequence[Scattered]) -> list[int | None]:
    """The shard of each attempt, in their order; None where nothing tells.

    >>> shards = [Scattered(0, 2), Scattered(4, 1)]
    >>> places([Tried(1, ""), Tried(2, ""), Tried(1, "")], shards)
    [0, 0, 4]
    >>> places([Tried(1, "gs://b/call-A/shard-4"), Tried(1, "")], shards)
    [4, None]
    """
    known = {shard.index for shard in shards}
    found = [_by_folder(one.folder, known) for one in tried]
    left = [at for at, shard in enumerate(found) if shard is None]
    placed = {shard for shard in found if shard is not None}
    free = [shard for shard in shards if shard.index not in placed]
    groups = _runs(tried, left)
    if len(groups) == len(free) and all(map(_fits, free, groups)):
        for shard, group in zip(free, groups, strict=True):
            for at in group:
                found[at] = shard.index
    return found


def _by_folder(folder: str, known: set[int]) -> int | None:
    """The last folder that names one of the shards: a scatter may lie within another's shard."""
    named = (int(number) for number in reversed(_FOLDER.findall(folder)))
    return next((shard for shard in named if shard in known), None)


def _runs(tried: Sequence[Tried], left: Sequence[int]) -> list[list[int]]:
    """Places of attempts, cut where the number begins again. Numbers with holes fit nothing."""
    groups: list[list[int]] = []
    for at in left:
        number = tried[at].number
        if number in (None, 1):
            groups.append([at])
        elif groups and number == len(groups[-1]) + 1:
            groups[-1].append(at)
        else:
            return []
    return groups


def _fits(shard: Scattered, group: Sequence[int]) -> bool:
    return shard.attempts in (None, 0, len(group))
