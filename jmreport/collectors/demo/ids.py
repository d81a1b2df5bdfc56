"""Ids that lead back to their job: a server that keeps no list can still find any job by its id.

A UUID's first 48 bits are the job's number and its place among the sub-workflows, scrambled by a
reversible mix; the rest is a digest that proves the id was given out by this very world.
"""

from __future__ import annotations

import re
from hashlib import blake2b

Path = tuple[int, ...]
"""Where a sub-workflow hangs: one number a level, counted from 1; `()` is the job itself."""

#: How many bits each level of a path has: up to 63 children, then 15, then 15.
_LEVELS = (6, 4, 4)
#: How many sub-workflows a listed job may have.
MOST_CHILDREN = (1 << _LEVELS[0]) - 1
_NODE_BITS = sum(_LEVELS)
_NUMBER_BITS = 48 - _NODE_BITS
_OFFSET = 1 << (_NUMBER_BITS - 1)
_MASK = (1 << 48) - 1
_ODD = 0x9E37_79B9_7F4B
_ODD_BACK = pow(_ODD, -1, 1 << 48)
_OTHER = 0xC2B2_AE3D_27D5
_OTHER_BACK = pow(_OTHER, -1, 1 << 48)

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def is_uuid(text: str) -> bool:
    """Whether a text has the form of a UUID, in any case."""
    return _UUID.fullmatch(text) is not None


class Uuids:
    """The UUIDs of one world."""

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(16, "big", signed=True)
        self._mix = int.from_bytes(blake2b(b"ids", key=self._key, digest_size=6).digest(), "big")

    def of(self, k: int, path: Path = ()) -> str:
        """The id of job `k`, or of the sub-workflow at `path` below it."""
        node = 0
        for level, bits in enumerate(_LEVELS):
            place = path[level] if level < len(path) else 0
            node = (node << bits) | place
        plain = (((k + _OFFSET) << _NODE_BITS) | node) & _MASK
        mixed = ((plain ^ self._mix) * _ODD) & _MASK
        mixed ^= mixed >> 24
        mixed = (mixed * _OTHER) & _MASK
        mixed ^= mixed >> 24
        proof = blake2b(mixed.to_bytes(6, "big"), key=self._key, digest_size=10).hexdigest()
        head = f"{mixed:012x}"
        variant = "89ab"[int(proof[3], 16) & 3]
        tail = f"4{proof[:3]}-{variant}{proof[4:7]}-{proof[7:19]}"
        return f"{head[:8]}-{head[8:]}-{tail}"

    def find(self, uuid: str) -> tuple[int, Path] | None:
        """The job number and path of an id in any case, or None for an id of some other world."""
        uuid = uuid.lower()
        mixed = int(uuid[:8] + uuid[9:13], 16)
        mixed ^= mixed >> 24
        mixed = (mixed * _OTHER_BACK) & _MASK
        mixed ^= mixed >> 24
        plain = ((mixed * _ODD_BACK) & _MASK) ^ self._mix
        k = (plain >> _NODE_BITS) - _OFFSET
        node = plain & ((1 << _NODE_BITS) - 1)
        path: list[int] = []
        for bits in reversed(_LEVELS):
            path.append(node & ((1 << bits) - 1))
            node >>= bits
        path.reverse()
        while path and path[-1] == 0:
            path.pop()
        # A path with a hole in it was never given out, nor was an id whose proof differs.
        if 0 in path or self.of(k, tuple(path)) != uuid:
            return None
        return k, tuple(path)
