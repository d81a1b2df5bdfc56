"""Values that are hashed under their key, hashed in the other texts of the same job too.

    {"inputs": {"sample": "NA12878"}, "callRoot": "gs://b/NA12878/call-A"}
    {"inputs": {"sample": "hash:4f…"}, "callRoot": "gs://b/hash:4f…/call-A"}

As a whole word: "NA12878" in "NA12878_R1.bam" is one, in "NA128789" none. Ids, statuses and dates
stay as they are, since everything hangs on them.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from jmreport.snapshots.cleaning import another

#: What the API itself gives a meaning to, outside of the maps that people fill.
_MEANT = frozenset(
    ("id", "jobId", "parentJobId", "status", "executionStatus", "submission", "start", "end")
)
_FREE = frozenset(("inputs", "outputs", "labels", "envs"))
#: Values that would be found in texts that do not speak of them.
_COMMON = frozenset(
    [
        *("true", "false", "null", "none", "yes", "no"),
        *("submitted", "running", "failed", "succeeded", "aborted", "aborting", "onhold"),
    ]
)
_SHORTEST, _SHORTEST_NUMBER = 3, 6
_encode = msgspec.json.Encoder().encode


def elsewhere(tree: Any, hashes: Mapping[str, str]) -> Any:
    """The tree with each of these values replaced by its hash, wherever it is a whole word.

    Values of fewer than 3 characters, numbers of fewer than 6 digits, and words such as "true"
    stay: they would be found in texts that do not speak of them.
    """
    telling = [value for value in hashes if _is_telling(value)]
    if not telling:
        return tree
    body = _encode(tree)
    there = [value for value in telling if _encode(value)[1:-1] in body]
    if not there:
        return tree
    longest_first = sorted(there, key=lambda value: (-len(value), value))
    pattern = re.compile(
        r"(?<![^\W_])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![^\W_])"
    )

    def text(found: str) -> str:
        return pattern.sub(lambda match: hashes[match[0]], found)

    def walk(value: Any, *, free: bool) -> Any:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, list):
            return [walk(item, free=free) for item in value]
        if isinstance(value, dict):
            return mapping(value, free=free)
        return value

    def mapping(value: dict[str, Any], *, free: bool) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, item in value.items():
            stays = key in _MEANT and not free
            out[another(text(key), out)] = item if stays else walk(item, free=free or key in _FREE)
        return out

    return walk(tree, free=False)


def _is_telling(value: str) -> bool:
    if value.isdigit():
        return len(value) >= _SHORTEST_NUMBER
    return len(value.strip()) >= _SHORTEST and value.casefold() not in _COMMON
