"""The execution events of one attempt: from waiting for a machine to giving it back."""

from __future__ import annotations

from typing import Any

from .timeline import SECOND, iso

# Name, seconds, and share of the time that is left over. What comes before and after the command
# itself takes seconds; moving files takes longer the longer the command runs.
_Step = tuple[str, int, float]
_CLOUD: tuple[_Step, ...] = (
    ("Pending", 1, 0),
    ("RequestingExecutionToken", 3, 0),
    ("WaitingForValueStore", 1, 0),
    ("PreparingJob", 4, 0),
    ("CallCacheReading", 2, 0),
    ("waiting for quota", 35, 0.03),
    ("Worker {worker} assigned in {zone}", 18, 0),
    ("Pulling {image}", 32, 0),
    ("ContainerSetup", 6, 0),
    ("Localization", 12, 0.09),
    ("UserAction", 2, 0.83),
    ("Delocalization", 6, 0.05),
    ("Worker released", 1, 0),
    ("Complete in GCE / Cromwell Poll Interval", 20, 0),
    ("UpdatingJobStore", 1, 0),
)
_SHARD: tuple[_Step, ...] = (
    ("Pending", 2, 0),
    ("PreparingJob", 5, 0),
    ("waiting for quota", 55, 0.04),
    ("Localization", 50, 0.1),
    ("UserAction", 2, 0.81),
    ("Delocalization", 25, 0.05),
)
_WIDE: tuple[_Step, ...] = (
    ("waiting for quota", 62, 0.05),
    ("Localization", 50, 0.1),
    ("UserAction", 2, 0.8),
    ("Delocalization", 25, 0.05),
)
_BATCH: tuple[_Step, ...] = (
    ("Pending", 1, 0),
    ("RequestingExecutionToken", 3, 0),
    ("WaitingForValueStore", 1, 0),
    ("PreparingJob", 95, 0.03),
    ("RunningJob", 60, 0.97),
    ("UpdatingJobStore", 1, 0),
)
_LOCAL: tuple[_Step, ...] = (
    ("Pending", 1, 0),
    ("RequestingExecutionToken", 1, 0),
    ("PreparingJob", 1, 0),
    ("RunningJob", 2, 1),
    ("UpdatingJobStore", 1, 0),
)
_CACHED: tuple[_Step, ...] = (
    ("Pending", 1, 0),
    ("PreparingJob", 1, 0),
    ("CallCacheReading", 5, 1),
    ("UpdatingJobStore", 1, 0),
)
_SUB: tuple[_Step, ...] = (
    ("SubWorkflowPendingState", 1, 0),
    ("WaitingForValueStore", 1, 0),
    ("SubWorkflowPreparingState", 1, 0),
    ("SubWorkflowRunningState", 1, 1),
)
#: What an attempt whose machine was taken away never gets to.
_AFTER = frozenset({"Delocalization", "Worker released", "UpdatingJobStore"})
_NAMED = frozenset({"Worker {worker} assigned in {zone}", "Pulling {image}"})

KINDS = {
    "cloud": _CLOUD,
    "shard": _SHARD,
    "wide": _WIDE,
    "batch": _BATCH,
    "local": _LOCAL,
    "cached": _CACHED,
    "sub": _SUB,
}
_SECONDS = {kind: sum(step[1] for step in steps) for kind, steps in KINDS.items()}


def add(
    found: list[dict[str, Any]],
    *,
    kind: str,
    start: int,
    end: int,
    seen: int,
    taken: bool,
    number: int,
    shard: int,
    image: str,
    zone: str,
    dice: int,
) -> None:
    """Appends the events of one attempt from `start` to `end`, as far as can be seen at `seen`.

    `taken`: its machine was preempted. An event still going on has no end. The last events come
    first, since real servers don't sort them either (backends habit 30).
    """
    whole = end - start
    fixed = _SECONDS[kind] * SECOND
    scale = 1.0 if fixed <= whole // 3 else whole / 3 / fixed
    rest = whole - int(fixed * scale)
    at, written = start, iso(start)
    events: list[dict[str, Any]] = []
    for name, seconds, share in KINDS[kind]:
        if at >= seen and events:
            break
        if taken and name in _AFTER:
            break
        if name in _NAMED:
            name = name.format(
                worker=f'"google-pipelines-worker-{dice & 0xFFFF_FFFF_FFFF:012x}"',
                zone=f'"{zone or "us-central1-" + "abcf"[dice >> 9 & 3]}"',
                image=f'"{image}"',
            )
        then = at + int(seconds * SECOND * scale + rest * share)
        then -= then % 1_000
        if then > seen:
            events.append(
                {"name": name, "start": written, "attemptNumber": number, "shardIndex": shard}
            )
            break
        begin = written
        at, written = then, iso(then)
        events.append(
            {
                "name": name,
                "start": begin,
                "end": written,
                "attemptNumber": number,
                "shardIndex": shard,
            }
        )
    found += events[::-2]
    found += events[len(events) % 2 :: 2] if len(events) > 1 else []
