"""Values that are hashed under their key, hashed in the other texts of the same job too.

    {"inputs": {"sample": "NA12878"}, "callRoot": "gs://b/NA12878/call-A"}
    {"inputs": {"sample": "hash:4f…"}, "callRoot": "gs://b/hash:4f…/call-A"}

As a whole word: "NA12878" in "NA12878_R1.bam" is one, in "NA128789" none. Ids, statuses and dates
stay as they are, since everything hangs on them; so do the API's own keys, and the words that gaps
are made of, whatever a label's value is.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import fields, replace

from jmreport import models
from jmreport.gaps import Gap, Spans
from jmreport.snapshots.cleaning import another

#: What the API itself gives a meaning to, outside of the maps that people fill.
_MEANT = frozenset(
    ("id", "jobId", "parentJobId", "status", "executionStatus", "submission", "start", "end")
)
#: The maps that people fill: their keys are names.
_FREE = frozenset(("inputs", "outputs", "labels", "envs", "logs"))
#: The API's own keys, in all that a record holds.
_KEYS = frozenset(
    field.encode_name
    for model in (
        *(models.QueryJobsResult, models.JobMetadataResponse, models.ExtendedFields),
        *(models.FailureMessage, models.EventDetail, models.TaskMetadata, models.ExecutionEvent),
        *(models.Shard, models.IndividualAttempt, models.JobAttemptsResponse),
        *(models.FileContents, models.JobOperationResponse),
    )
    for field in fields(model)
)
#: Values that would be found in texts that do not speak of them.
_COMMON = frozenset(
    [
        *("true", "false", "null", "none", "yes", "no"),
        *("submitted", "running", "failed", "succeeded", "aborted", "aborting", "onhold"),
    ]
)
_SHORTEST, _SHORTEST_NUMBER = 3, 6
_encode = msgspec.json.Encoder().encode


def elsewhere(tree: Any, hashes: Mapping[str, str], *, names: int = 0) -> Any:
    """The tree with each of these values replaced by its hash, wherever it is a whole word.

    The keys of the outermost `names` maps are names, as of tasks. Values of fewer than 3
    characters, numbers of fewer than 6 digits, and words such as "true" stay: they would be found
    in texts that do not speak of them.
    """
    text = _replacing(tree, hashes)
    if text is None:
        return tree

    def named(value: dict[str, Any], levels: int) -> Any:
        if not levels:
            return walk(value, ours=True, free=False)
        out: dict[str, Any] = {}
        for name, item in value.items():
            out[another(text(name), out)] = named(item, levels - 1)
        return out

    def walk(value: Any, *, ours: bool, free: bool) -> Any:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, list):
            return [walk(item, ours=ours, free=free) for item in value]
        if isinstance(value, dict):
            return mapping(value, ours=ours, free=free)
        return value

    def mapping(value: dict[str, Any], *, ours: bool, free: bool) -> dict[str, Any]:
        """`ours`: the API names its keys; `free`: people do. Those of others are neither."""
        out: dict[str, Any] = {}
        for key, item in value.items():
            known, people = ours and key in _KEYS, free or key in _FREE
            name = another(key if known else text(key), out)
            stays = key in _MEANT and not free
            out[name] = item if stays else walk(item, ours=known and not people, free=people)
        return out

    return named(tree, names)


def in_gaps(gaps: tuple[Gap, ...], hashes: Mapping[str, str]) -> tuple[Gap, ...]:
    """The same of gaps: in what they name, and in what a server said."""
    text = _replacing([[gap.what, gap.why] for gap in gaps], hashes)
    if text is None:
        return gaps
    return tuple(
        replace(gap, what=text(gap.what, what), why=text(gap.why, why))
        for gap in gaps
        for what, why in (gap.own_words,)
    )


def _replacing(tree: Any, hashes: Mapping[str, str]) -> Callable[..., str] | None:
    """What replaces the values in a text of the tree but for the `own` words; None without any."""
    telling = [value for value in hashes if _is_telling(value)]
    if not telling:
        return None
    body = _encode(tree)
    there = [value for value in telling if _encode(value)[1:-1] in body]
    if not there:
        return None
    longest_first = sorted(there, key=lambda value: (-len(value), value))
    pattern = re.compile(
        r"(?<![^\W_])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![^\W_])"
    )

    def text(found: str, own: Spans = ()) -> str:
        def instead(match: re.Match[str]) -> str:
            for start, end in own:
                if start <= match.start() < end:
                    beyond = hashes[match[0]] if match.end() > end else ""
                    return found[match.start() : min(match.end(), end)] + beyond
            return hashes[match[0]]

        return pattern.sub(instead, found)

    return text


def _is_telling(value: str) -> bool:
    if value.isdigit():
        return len(value) >= _SHORTEST_NUMBER
    return len(value.strip()) >= _SHORTEST and value.casefold() not in _COMMON
