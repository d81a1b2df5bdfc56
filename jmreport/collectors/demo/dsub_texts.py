"""What dsub itself writes about a job: its events, its runner's last lines, its script."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from . import workflows
from .timeline import SECOND, iso
from .workflows import Workflow
from .world import Job

JSON = dict[str, Any]


def events(job: Job, now: int) -> list[JSON]:
    """dsub's own events, each only with the moment that it began."""
    steps = [("start", 0.01), ("pulling-image", 0.02), ("localizing-files", 0.05)]
    steps += [("running-docker", 0.1), ("delocalizing-files", 0.97)]
    whole = job.end - job.start
    seen = [(name, job.start + int(whole * part)) for name, part in steps]
    seen.append(({"Succeeded": "ok", "Failed": "fail", "Aborted": "canceled"}[job.fate], job.end))
    return [{"content": name, "time": iso(at)} for name, at in seen if at <= now]


def status_detail(job: Job, now: int) -> str:
    """The last lines of the runner's log."""
    if job.start > now:
        return "Waiting for a machine"
    begun = iso(job.start - job.start % SECOND)[:19].replace("T", " ")
    if job.end > now:
        return f"{begun} I: Localizing inputs.\n{begun} I: Running Docker image."
    ended = iso(job.end - job.end % SECOND)[:19].replace("T", " ")
    if job.fate == "Aborted":
        return f"{ended} I: Canceled."
    if job.fate == "Succeeded":
        return f"{ended} I: Copying the logs before cleanup\n{ended} I: Done."
    code = (job.cause.code if job.cause else None) or 1
    return (
        f"{ended} I: Delocalize logs and cleanup.\n{ended} I: Copying the logs before cleanup\n"
        f"{ended} E: Docker exit code {code} (check stderr)."
    )


@cache
def script(workflow: Workflow) -> str:
    """The shell script of a workflow's longest task."""
    task = max(workflow.tasks, key=lambda task: task.share)
    line = re.sub(r"~\{[^}]*?(\w+)\}", r"${\1}", workflows.command(task))
    return f"#!/bin/bash\nset -euo pipefail\n{line}\n"
