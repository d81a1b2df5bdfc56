"""The labels of a job and its row in the list: cheap, as a list may have a million of them."""

from __future__ import annotations

from typing import Any

from .timeline import iso
from .world import PROJECTS, TERMINAL, Job

JSON = dict[str, Any]

_COMMENTS = (
    "rerun with more memory",
    "asked the sequencing lab about this one",
    "known, see runbook",
    "Probe nachgereicht — läuft Donnerstag",
    "do not delete before the audit",
)


def user(job: Job) -> str:
    """Who submitted a job."""
    return f"{job.routine.owner}@example.org"


def labels(job: Job, now: int) -> dict[str, str]:
    """A job's labels, as long as nobody has changed them."""
    routine, dice = job.routine, job.dice
    found = {"batch": f"b{(2 * job.night + routine.part) % 100:02}"}
    if routine.labelled:
        found["owner"] = routine.owner
    found["project"] = PROJECTS[routine.owner]
    found[routine.workflow.subject] = routine.subject
    if routine.zone:
        found["zone"] = routine.zone
    if routine.workflow.name == "imputation_beagle":
        found["panel"] = routine.panel
    if dice[25] < 14 and job.status(now) in TERMINAL:
        # People look at a job after it has ended: at a failed one to come back to it.
        if job.fate == "Failed":
            found["flag"] = "follow-up"
            found["comment"] = _COMMENTS[dice[26] % len(_COMMENTS)]
        elif dice[25] < 6:
            found["flag"] = "archive"
        elif dice[25] < 9:
            found["label"] = f"paper-{dice[26] % 4}"
    if dice[25] == 255:
        found["Größe / 样本: é"] = 'v,"1" <ok>'
    return found


def row(job: Job, *, job_id: str, labels: JSON, status: str, extensions: JSON, now: int) -> JSON:
    """One entry of `results`."""
    found: JSON = {
        "id": job_id,
        "name": job.routine.workflow.name,
        "status": status,
        "submission": iso(job.submitted),
    }
    if job.start <= now and job.start <= job.aborting:
        found["start"] = iso(job.start)
    if job.end <= now:
        found["end"] = iso(job.end)
    found["labels"] = labels
    found["extensions"] = extensions
    return found
