"""Where the files of a call are, and what its operation is called; and the way back from a path."""

from __future__ import annotations

import re
from urllib.parse import unquote

from msgspec import Struct

from .plan import Run

#: Owners whose jobs run on GCP Batch; the others' run on the older Pipelines API.
_ON_BATCH = frozenset({"jana", "wei"})
_PROJECT = "projects/138755738452/locations/us-central1"
_MASK = (1 << 64) - 1


def mix(run: Run, place: int, shard: int, attempt: int) -> int:
    """A large number that belongs to one attempt alone."""
    number = run.dice ^ (
        place * 0x1F3D_5B79 + (shard + 2) * 0x0001_0000_01B3 + attempt * 0x85EB_CA6B
    )
    number = (number * 0x9E37_79B9_7F4A_7C15) & _MASK
    number ^= number >> 31
    return (number * 0xBF58_476D_1CE4_E5B9) & _MASK


def on_batch(run: Run) -> bool:
    """Whether the run's calls are GCP Batch jobs."""
    return run.routine.owner in _ON_BATCH


def root(run: Run, job_id: str) -> str:
    """The folder of a job."""
    if run.workflow.local:
        return f"/srv/cromwell-executions/{run.workflow.name}/{job_id}"
    return f"gs://demo-lab-{run.routine.owner}/cromwell-executions/{run.workflow.name}/{job_id}"


def call_root(job_root: str, task: str, shard: int, attempt: int) -> str:
    """The folder of one attempt: its task's, its shard's within that, its own from the second."""
    folder = f"{job_root}/call-{task}"
    if shard >= 0:
        folder += f"/shard-{shard}"
    return f"{folder}/attempt-{attempt}" if attempt > 1 else folder


def log_name(task: str, shard: int) -> str:
    """The file name of the backend's log."""
    return f"{task}.log" if shard < 0 else f"{task}-{shard}.log"


def operation(run: Run, dice: int) -> str:
    """The backend's id of an attempt, in the form of that backend (backends habit 28)."""
    if run.workflow.local:
        return str(1_000 + dice % 31_000)
    if on_batch(run):
        digits = f"{dice:016x}"
        return f"{_PROJECT}/jobs/job-{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-9{digits[1:4]}"
    return f"{_PROJECT}/operations/{dice}"


_PLACE = re.compile(
    r"(?P<job>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"/call-(?P<task>\w+)(?:/shard-(?P<shard>\d{1,6}))?(?:/attempt-(?P<attempt>\d{1,3}))?"
    r"/(?P<file>[\w.-]+)$"
)


class Place(Struct, frozen=True):
    """What a path of the object store names."""

    job: str
    task: str
    shard: int
    attempt: int
    file: str


def read(path: str) -> Place | None:
    """The attempt and file that a path belongs to, or None."""
    found = _PLACE.search(unquote(path))
    if found is None:
        return None
    shard = found["shard"]
    return Place(
        found["job"],
        found["task"],
        -1 if shard is None else int(shard),
        int(found["attempt"] or 1),
        found["file"],
    )
