"""The tasks, shards and attempts of a job as JSON, as the API's definition has them."""

from __future__ import annotations

from typing import Any

from . import events, places
from .look import Look
from .plan import Attempt, Call, TaskRun
from .timeline import iso
from .workflows import Task

JSON = dict[str, Any]


def task_json(look: Look, task: TaskRun) -> JSON:
    """One entry of `extensions.tasks`."""
    if task.task.scatter is not None:
        return _scattered(look, task)
    call = task.calls[0]
    shown = look.shown(call)
    attempt = shown[-1]
    state = look.state(attempt)
    found: JSON = {
        "inputs": _call_inputs(look, task, call, ""),
        "outputs": _call_outputs(look, task, call) if state == "Succeeded" else {},
        "executionStatus": state,
        "name": task.task.name,
    }
    if attempt.start <= look.cut:
        found["start"] = iso(attempt.start - attempt.start % 1_000)
    ended = look.ended(attempt)
    if ended is not None:
        found["end"] = ended
        if state == "Succeeded" and task.task.sub is None:
            found["returnCode"] = 0
        elif attempt.cause is not None and attempt.cause.code is not None:
            found["returnCode"] = attempt.cause.code
    text = look.message(task, call, attempt)
    if text is not None:
        found["failureMessages"] = [text]
    found |= where(look, task, call, attempt)
    found["attempts"] = len(shown)
    found["callCached"] = call.cached
    found["executionEvents"] = _events(look, task)
    return found


def _scattered(look: Look, task: TaskRun) -> JSON:
    """A scattered task. Its `attempts` is the number of its shards and it is never call-cached
    (backends habit 29), which the API's definition neither asks for nor rules out."""
    shards = [_shard(look, task, call) for call in task.calls]
    states = {shard["executionStatus"] for shard in shards}
    found: JSON = {"executionStatus": _summary(states), "name": task.task.name}
    starts = [shard["start"] for shard in shards if "start" in shard]
    if starts:
        found["start"] = min(starts)
    if not states & {"Running", "Submitted", "Aborting"}:
        ends = [shard["end"] for shard in shards if "end" in shard]
        if ends:
            found["end"] = max(ends)
    found["shards"] = shards
    if task.task.sub is None:
        found["callRoot"] = f"{look.root}/call-{task.task.name}"
    found["attempts"] = len(shards)
    found["callCached"] = False
    found["executionEvents"] = _events(look, task)
    return found


def _summary(states: set[str]) -> str:
    for state in ("Aborting", "Running", "Submitted", "Failed", "Aborted"):
        if state in states:
            return "Running" if state == "Submitted" and "Succeeded" in states else state
    return "Succeeded"


def _shard(look: Look, task: TaskRun, call: Call) -> JSON:
    shown = look.shown(call)
    attempt = shown[-1]
    found: JSON = {"executionStatus": look.state(attempt)}
    if attempt.start <= look.cut:
        found["start"] = iso(attempt.start - attempt.start % 1_000)
    ended = look.ended(attempt)
    if ended is not None:
        found["end"] = ended
    found["shardIndex"] = call.shard
    found |= where(look, task, call, attempt)
    found["attempts"] = len(shown)
    text = look.message(task, call, attempt)
    if text is not None:
        found["failureMessages"] = [text]
    return found


def _call_inputs(look: Look, task: TaskRun, call: Call, prefix: str) -> JSON:
    """The inputs of a call. Only attempts keep the workflow's name before them (habit 32)."""
    run = look.run
    found: JSON = {
        f"{prefix}{run.workflow.subject}": run.subject,
        f"{prefix}reads": f"{look.root}/call-{task.task.name}/inputs/{run.subject}.bam",
        f"{prefix}threads": task.task.cpu,
        f"{prefix}memory_gb": task.task.memory,
        f"{prefix}extra_args": None,
        f"{prefix}options": {"strict": True, "regions": ["chr1", "chr2"]},
    }
    if call.shard >= 0:
        found[f"{prefix}part"] = call.shard
    return found


def _call_outputs(look: Look, task: TaskRun, call: Call) -> JSON:
    folder = places.call_root(look.root, task.task.name, call.shard, 1)
    return {"out": f"{folder}/{look.run.subject}.out.gz", "records": look.run.dice % 9_999_999}


def _events(look: Look, task: TaskRun) -> list[JSON]:
    """The events of all shards and attempts of a task (backends habit 30)."""
    kind = _kind(look, task.task, len(task.calls))
    found: list[JSON] = []
    for call in task.calls:
        for attempt in call.attempts:
            if attempt.start > look.cut:
                break
            end = attempt.end
            if end > look.cut and look.now >= look.run.end:
                # What was running when the job was told to stop ran until the job had stopped.
                end = look.run.end
            events.add(
                found,
                kind="cached" if call.cached else kind,
                start=attempt.start - attempt.start % 1_000,
                end=end,
                seen=end if end <= look.cut or look.now >= look.run.end else look.now,
                taken=attempt.preempted,
                number=attempt.number,
                shard=call.shard,
                image=task.task.image,
                zone=look.run.routine.zone,
                dice=places.mix(look.run, task.place, call.shard, attempt.number),
            )
    return found


def _kind(look: Look, task: Task, calls: int) -> str:
    if task.sub is not None:
        return "sub"
    if not look.cloud:
        return "local"
    if places.on_batch(look.run):
        return "batch"
    if task.scatter is None:
        return "cloud"
    return "shard" if calls <= 50 else "wide"


def attempts(look: Look, task: TaskRun, shard: int | None = None) -> list[JSON]:
    """All attempts of a task: one shard's, or every shard's one after the other, without saying
    whose they are (backends habit 31)."""
    prefix = f"{look.run.workflow.name}."
    found = []
    for call in task.calls:
        if shard is not None and call.shard != shard:
            continue
        for attempt in look.shown(call):
            state = look.state(attempt)
            each: JSON = {
                "attemptNumber": attempt.number,
                "executionStatus": state,
                "callCached": call.cached,
            }
            each |= {k: v for k, v in where(look, task, call, attempt).items() if k != "jobId"}
            each["inputs"] = _call_inputs(look, task, call, prefix)
            if state == "Succeeded":
                each["outputs"] = _call_outputs(look, task, call)
            if attempt.start <= look.cut:
                each["start"] = iso(attempt.start - attempt.start % 1_000)
            ended = look.ended(attempt)
            if ended is not None:
                each["end"] = ended
            text = look.message(task, call, attempt)
            if text is not None:
                each["failureMessages"] = [text]
            found.append(each)
    return found


def where(look: Look, task: TaskRun, call: Call, attempt: Attempt) -> JSON:
    """The files and the operation of an attempt, or the job behind it."""
    if task.task.sub is not None:
        if call.attempts[0].start > look.cut:
            return {}  # no job is behind it yet
        place = (*look.run.path, max(call.shard, 0) + 1)
        return {"jobId": look.ids.of(look.run.k, place)}
    folder = places.call_root(look.root, task.task.name, call.shard, attempt.number)
    found: JSON = {}
    if look.cloud and not call.cached:
        found["backendLog"] = f"{folder}/{places.log_name(task.task.name, call.shard)}"
    found["callRoot"] = folder
    if attempt.start <= look.cut and not call.cached:
        dice = places.mix(look.run, task.place, call.shard, attempt.number)
        found["operationId"] = places.operation(look.run, dice)
    return found
