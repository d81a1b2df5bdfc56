"""One job as JSON: its tasks, shards, attempts and failures, as far as they can be seen at a moment.

Everything here is as the API's definition has it. What a particular server does differently is
applied afterwards (`cromwell`) or built otherwise (`dsub`).
"""

from __future__ import annotations

from typing import Any

from . import causes, events, places
from .causes import Scene
from .ids import Path, Uuids
from .plan import Attempt, Call, Run, TaskRun, of_child, tasks
from .timeline import iso
from .workflows import Task
from .world import NEVER

JSON = dict[str, Any]


class Look:
    """A run seen at one moment, with its plan worked out."""

    def __init__(self, run: Run, *, ids: Uuids, now: int) -> None:
        self.run = run
        self.ids = ids
        self.now = now
        self.cut = run.cut(now)
        self.id = ids.of(run.k, run.path)
        self.root = places.root(run, self.id)
        self.tasks = [task for task in tasks(run) if _begun(task) <= self.cut]
        self.cloud = not run.workflow.local

    def state(self, attempt: Attempt) -> str:
        """An attempt's status. A preempted one is Failed: servers have no word of its own for it
        (backends habit 34)."""
        if attempt.start > self.cut:
            # Nothing is ever Submitted in a job that has stopped.
            return "Aborted" if self.now >= self.run.end else "Submitted"
        if attempt.end <= self.cut:
            return "Failed" if attempt.cause or attempt.preempted else "Succeeded"
        if self.run.aborting <= self.now:
            return "Aborted" if self.now >= self.run.end else "Aborting"
        return "Running"

    def ended(self, attempt: Attempt) -> str | None:
        """When an attempt ended, or None as long as it hasn't."""
        if attempt.end <= self.cut:
            return iso(attempt.end - attempt.end % 1_000)
        if self.now >= self.run.end and attempt.start <= self.cut:
            return iso(self.run.end)
        return None

    def shown(self, call: Call) -> list[Attempt]:
        """The attempts that have begun; the first one always counts."""
        return [call.attempts[0]] + [x for x in call.attempts[1:] if x.start <= self.cut]

    def scene(self, task: TaskRun, call: Call, attempt: Attempt) -> Scene:
        """Where an attempt happened, for messages and logs."""
        folder = places.call_root(self.root, task.task.name, call.shard, attempt.number)
        return Scene(
            workflow=self.run.workflow.name,
            task=task.task.name,
            shard=call.shard,
            attempt=attempt.number,
            call_root=folder,
            log=f"{folder}/{places.log_name(task.task.name, call.shard)}",
            sample=self.run.subject,
            image=task.task.image,
            dice=places.mix(self.run, task.place, call.shard, attempt.number),
        )

    def message(self, task: TaskRun, call: Call, attempt: Attempt) -> str | None:
        """Why an attempt failed, or None if it didn't (yet)."""
        if attempt.end > self.cut:
            return None
        if attempt.cause is not None:
            if task.task.sub is not None:
                return self._below(task, call)
            return attempt.cause.message(self.scene(task, call, attempt))
        if attempt.preempted:
            return causes.preemption(self.scene(task, call, attempt))
        return None

    def child(self, task: TaskRun, call: Call) -> Look:
        """The sub-workflow behind a call."""
        return Look(of_child(self.run, task.task, call), ids=self.ids, now=self.now)

    def _below(self, task: TaskRun, call: Call) -> str:
        """The message of the sub-workflow that failed: the deepest one, as only that says why."""
        child = self.child(task, call)
        for inner in child.tasks:
            for each in inner.calls:
                attempt = each.attempts[-1]
                if attempt.cause is not None:
                    return child.message(inner, each, attempt) or ""
        return f"Sub-workflow {child.run.workflow.name} failed"


def _begun(task: TaskRun) -> int:
    return task.calls[0].attempts[0].start


def job(look: Look, *, status: str, labels: JSON, extensions: JSON, submitted: str) -> JSON:
    """The whole answer to GET /jobs/{id} for a job that runs workflows."""
    run = look.run
    started = run.start <= look.cut
    detail: JSON = {
        "id": look.id,
        "status": status,
        "submission": submitted,
        "name": run.workflow.name,
    }
    if started:
        detail["start"] = iso(run.start)
    if look.now >= run.end:
        detail["end"] = iso(run.end)
    detail["inputs"] = inputs(run)
    detail["outputs"] = outputs(look) if status == "Succeeded" else {}
    if labels:
        detail["labels"] = labels
    detail["failures"] = failures(look)
    detail["extensions"] = {
        **extensions,
        "tasks": [task_json(look, t) for t in look.tasks if started],
    }
    return detail


def status_of(run: Run, now: int) -> str:
    """The status of a run that is no longer held."""
    if now >= run.end:
        return run.fate
    if now >= run.aborting:
        return "Aborting"
    return "Running" if now >= run.start else "Submitted"


def inputs(run: Run) -> JSON:
    """A job's inputs: any JSON, not only text (backends habit 24)."""
    dice = run.dice
    found: JSON = {
        run.workflow.subject: run.subject,
        "reference_fasta": "gs://demo-lab-reference/hg38/Homo_sapiens_assembly38.fasta",
        "inputs_list": [
            f"gs://demo-lab-inputs/{run.subject}/{run.subject}_{lane}.fastq.gz"
            for lane in range(1, 2 + dice % 3)
        ],
        "intervals": ["chr1:1-248956422", "chr2:1-242193529", "chr3:1-198295559"],
        "min_quality": 10 + dice % 20,
        "max_missing": (dice >> 8) % 50 / 1000,
        "skip_qc": bool(dice & 64),
        "limit": None,
        "tags": {"caller": "v4", "read_length": 151, "lanes": [1, 2], "note": None},
    }
    if run.workflow.name == "imputation_beagle":
        found["panel"] = run.routine.panel
    return found


def outputs(look: Look) -> JSON:
    """A job's outputs."""
    last = look.run.workflow.tasks[-1].name
    return {
        "report": f"{look.root}/call-{last}/report.html",
        "files": [f"{look.root}/call-{last}/{look.run.subject}.{n}.out.gz" for n in range(3)],
        "reads": 1_000_000 + look.run.dice % 900_000_000,
        "passed": True,
        "warnings": [],
        "metrics": {"mean_coverage": 20 + look.run.dice % 400 / 10, "contamination": None},
    }


def failures(look: Look) -> list[JSON]:
    """The reasons that a Failed job gives: every last failed attempt, but no preempted ones
    (backends habit 33)."""
    run = look.run
    if run.fate != "Failed" or look.now < run.end or run.cause is None:
        return []
    if run.task is None:
        if run.cause is causes.SILENT:
            return []
        scene = Scene(
            workflow=run.workflow.name,
            task="",
            shard=-1,
            attempt=1,
            call_root="",
            log="",
            sample=run.subject,
            image="",
            dice=run.dice,
        )
        return [
            {
                "taskName": "Workflow Error",
                "failure": run.cause.message(scene),
                "timestamp": iso(run.end),
            }
        ]
    found = []
    for task in look.tasks:
        if task.task is not run.task:
            continue
        for call in task.calls:
            attempt = call.attempts[-1]
            text = look.message(task, call, attempt) if attempt.cause else None
            if text is not None:
                failure: JSON = {
                    "taskName": task.task.name,
                    "failure": text,
                    "timestamp": iso(attempt.end - attempt.end % 1_000),
                }
                failure |= where(look, task, call, attempt)
                failure["shardIndex"] = call.shard
                found.append(failure)
    return found


def where(look: Look, task: TaskRun, call: Call, attempt: Attempt) -> JSON:
    """The files and the operation of an attempt, or the job behind it."""
    if task.task.sub is not None:
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
    """The inputs of a call. Only attempts keep the workflow's name before them (backends habit 32)."""
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


def extras(look: Look, *, status: str, user: str, source: str) -> JSON:
    """The extended fields that the API's definition has beside the tasks."""
    run, now = look.run, look.now
    last = min(now, run.end)
    found: JSON = {
        "userId": user,
        "statusDetail": _status_detail(run, status),
        "lastUpdate": iso(last - last % 1_000),
        "sourceFile": source,
        "envs": {"REGION": "us-central1", "THREADS": "8", "SAMPLE": run.subject},
        "events": [{"time": iso(run.submitted), "content": "submitted"}],
    }
    if run.start <= look.cut:
        found["logs"] = {
            "Workflow Log": f"{look.root}/workflow.{look.id}.log",
            "Controller Log": f"{look.root}/controller.log",
        }
        found["events"].append({"time": iso(run.start), "content": "started"})
    if NEVER > run.aborting <= now:
        found["events"].append(
            {"time": iso(run.aborting - run.aborting % 1_000), "content": "abort requested"}
        )
    if now >= run.end:
        found["events"].append({"time": iso(run.end), "content": run.fate.lower()})
    return found


def _status_detail(run: Run, status: str) -> str:
    if status == "Failed" and run.task is not None:
        return f"Task {run.task.name} failed"
    return {
        "OnHold": "Held back by its submitter",
        "Submitted": "Waiting for a place among the running workflows",
        "Running": f"Running {run.workflow.name} for {run.subject}",
        "Aborting": "Waiting for running tasks to stop",
        "Failed": "The workflow failed before any task was started",
        "Succeeded": "All tasks are done",
        "Aborted": "Stopped on request",
    }[status]


def child_path(look: Look, path: Path) -> Look | None:
    """The sub-workflow at a path below a job, or None if it doesn't exist (yet)."""
    for place in path:
        inner = next((task for task in look.tasks if task.task.sub is not None), None)
        if inner is None or place > len(inner.calls):
            return None
        call = inner.calls[place - 1]
        if call.attempts[0].start > look.cut:
            return None
        look = look.child(inner, call)
    return look
