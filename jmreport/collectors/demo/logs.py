"""What lies behind a failure: the end of a log file, and what the cloud says of an operation."""

from __future__ import annotations

import json
import re
from typing import Any, Literal
from zlib import crc32

from . import causes, events, places
from .look import Look
from .plan import Attempt, Call, TaskRun
from .timeline import SECOND, iso
from .workflows import command

_TAIL_LINES = 120

_CHATTER = {
    "picard": "INFO\t{time}\t{task}\tProcessed {n:>10,} records.  Elapsed time: {clock}s.  "
    "Last read position: chr{chrom}:{pos:,}",
    "gatk": "{time} INFO  ProgressMeter -  chr{chrom}:{pos:<12} {minutes:>8.1f} {n:>12} "
    "{rate:>10.1f}",
    "bwa": "[M::mem_process_seqs] Processed {n} reads in {rate:.3f} CPU sec",
    "star": "{time} ..... mapped {n:,} reads, {rate:.1f} M/hr",
    "samtools": "[bam_sort_core] {time} wrote block {n}, {pos:,} records",
    "bcftools": "[{time}] chr{chrom}:{pos} lines total/split/realigned/skipped: {n}/0/12/0",
    "beagle": "Window {chrom} [chr{chrom}:{pos}-{pos}]  Iteration {n}  {rate:.1f} s",
    "gsutil": "Copying gs://demo-lab-inputs/part-{n}.gz... [{minutes:.1f} MiB/s, {n} files done]",
}
_PLAIN = "{time} {task}: step {n} done (chr{chrom}, {rate:.1f} s)"


def tail(look: Look, task: TaskRun, call: Call, attempt: Attempt, file: str) -> tuple[str, bool]:
    """The end of a file of an attempt, and whether that isn't all of it."""
    scene = look.scene(task, call, attempt)
    if file == "rc":
        code = attempt.cause.code if attempt.cause else 0
        return f"{code or 0}\n", False
    if file == "script":
        return (
            f"#!/bin/bash\nset -euo pipefail\ncd {scene.call_root}\n{command(task.task)}\n",
            False,
        )
    seen = min(attempt.end, look.cut)
    lines = 30 + scene.dice % 171
    head = [
        f"{_stamp(attempt.start)} INFO starting {scene.tag} on {scene.image}",
        f"{_stamp(attempt.start)} INFO $ {command(task.task)}",
    ]
    chatter = _CHATTER.get(task.task.tool, _PLAIN)
    body = []
    for line in range(lines):
        at = attempt.start + (seen - attempt.start) * (line + 1) // (lines + 2)
        odd = (scene.dice * (line + 3)) >> 5
        body.append(
            chatter.format(
                time=_stamp(at),
                task=task.task.name,
                n=(line + 1) * (1_000 + scene.dice % 9_000),
                clock=f"{(at - attempt.start) // SECOND // 60:02}:{line % 60:02}:00",
                chrom=1 + line * 22 // lines,
                pos=odd % 240_000_000,
                minutes=(at - attempt.start) / SECOND / 60,
                rate=odd % 9_973 / 37,
            )
        )
    last: list[str] = []
    if attempt.end <= look.cut:
        if attempt.cause is not None:
            last = attempt.cause.log(scene)
        elif attempt.preempted:
            last = causes.preemption_log(scene)
        else:
            last = [f"{_stamp(attempt.end)} INFO {task.task.name} done.", "rc: 0"]
    whole = [*head, *body, *last]
    if file == "stdout":
        whole = [*head, f"records: {scene.dice % 99_999}"]
    return "\n".join(whole[-_TAIL_LINES:]) + "\n", len(whole) > _TAIL_LINES


Oddity = Literal["", "empty", "not UTF-8"]


def oddity(name: str, share: float) -> Oddity:
    """Whether the file of this name is empty or no text: `share` of all are, half of them each."""
    dice = crc32(name.encode("utf-8", "replace"))
    if (dice >> 1) / (1 << 31) >= share:
        return ""
    return "empty" if dice & 1 else "not UTF-8"


def workflow_log(look: Look) -> str:
    """The engine's own log of a job."""
    run = look.run
    lines = [f"{_stamp(run.start)} INFO  {run.workflow.name} {look.id} started"]
    for task in look.tasks:
        for call in task.calls:
            attempt = look.shown(call)[-1]
            shard = "NA" if call.shard < 0 else call.shard
            tag = f"{run.workflow.name}.{task.task.name}:{shard}:{attempt.number}"
            lines.append(f"{_stamp(attempt.start)} INFO  {tag} {look.state(attempt)}")
    if look.now >= run.end:
        lines.append(f"{_stamp(run.end)} INFO  {look.id} is {run.fate}")
    return "\n".join(sorted(lines)[-_TAIL_LINES:]) + "\n"


WORKFLOW_LOG = re.compile(
    r"(?P<job>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?:workflow\.[0-9a-f-]{36}|controller)\.log$"
)


def find_attempt(look: Look, name: str, shard: int, number: int) -> _Found | None:
    """An attempt that has begun, by its place."""
    for task in look.tasks:
        if task.task.name == name and task.task.sub is None:
            for call in task.calls:
                if call.shard == shard:
                    for attempt in call.attempts:
                        if attempt.number == number and attempt.start <= look.cut:
                            return task, call, attempt
    return None


def find_operation(look: Look, operation: str) -> _Found | None:
    """The attempt that an operation ran."""
    for task in look.tasks:
        for call in task.calls:
            for attempt in call.attempts:
                dice = places.mix(look.run, task.place, call.shard, attempt.number)
                if (
                    attempt.start <= look.cut
                    and task.task.sub is None
                    and places.operation(look.run, dice) == operation
                ):
                    return task, call, attempt
    return None


_Found = tuple[TaskRun, Call, Attempt]


def operation_details(look: Look, found: _Found, operation: str) -> str:
    """What the cloud says of an operation: JSON as text, since the API carries it in a string."""
    task, call, attempt = found
    scene = look.scene(task, call, attempt)
    steps: list[dict[str, Any]] = []
    events.add(
        steps,
        kind="cloud",
        start=attempt.start,
        end=attempt.end,
        seen=min(attempt.end, look.cut),
        taken=attempt.preempted,
        number=attempt.number,
        shard=call.shard,
        image=task.task.image,
        zone=look.run.routine.zone,
        dice=scene.dice,
    )
    steps.sort(key=lambda step: str(step["start"]), reverse=True)
    machine = (
        f"n1-standard-{task.task.cpu}" if task.task.memory < 16 else f"n2-highmem-{task.task.cpu}"
    )
    metadata: dict[str, Any] = {
        "createTime": iso(attempt.start - attempt.start % 1_000),
        "startTime": iso(attempt.start - attempt.start % SECOND + SECOND),
        "labels": {"cromwell-workflow-id": f"cromwell-{look.id}", "wdl-task-name": task.task.name},
        "pipeline": {
            "actions": [{"imageUri": task.task.image, "commands": [command(task.task)]}],
            "resources": {
                "regions": ["us-central1"],
                "zones": [f"us-central1-{'abcf'[scene.dice >> 9 & 3]}"],
                "virtualMachine": {
                    "machineType": machine,
                    "preemptible": task.task.preemptible and attempt.number < 3,
                    "bootDiskSizeGb": 20,
                    "disks": [
                        {"name": "local-disk", "sizeGb": 100 + scene.dice % 300, "type": "pd-ssd"}
                    ],
                },
            },
        },
        "events": [{"description": s["name"], "timestamp": s["start"]} for s in steps],
    }
    details: dict[str, Any] = {"name": operation, "metadata": metadata, "done": False}
    if attempt.end <= look.cut:
        details["done"] = True
        metadata["endTime"] = iso(attempt.end - attempt.end % 1_000)
        text = look.message(task, call, attempt)
        if text is None:
            details["response"] = {}
        else:
            details["error"] = {"code": 10 if attempt.preempted else 9, "message": text}
    return json.dumps(details, indent=2)


def _stamp(instant: int) -> str:
    return iso(instant - instant % SECOND)[:19].replace("T", " ")
