"""One job as JSON: its facts, inputs, outputs and failures, as the API's definition has them.

What a particular server does differently is applied afterwards (`cromwell`) or built otherwise
(`dsub`).
"""

from __future__ import annotations

from typing import Any

from . import calls, causes
from .causes import Scene
from .look import Look
from .plan import Run
from .timeline import iso
from .world import NEVER

JSON = dict[str, Any]


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
        "tasks": [calls.task_json(look, t) for t in look.tasks if started],
    }
    return detail


def inputs(run: Run) -> JSON:
    """A job's inputs: any JSON, not only text (backends habit 24).

    The same every night for the same routine work, so that a reader can tell that it is the same.
    """
    dice = run.routine.dice
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
                failure |= calls.where(look, task, call, attempt)
                failure["shardIndex"] = call.shard
                found.append(failure)
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
