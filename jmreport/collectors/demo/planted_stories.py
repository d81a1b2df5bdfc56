"""What is planted in three weeks of nights: the stories that a report of them must tell, and no
others.

Nights are counted from 1, the first that a report is made of; before it everything went well. A
sample is its workflow's n-th, from 0.
"""

from __future__ import annotations

from . import causes
from .causes import Cause, Scene

#: As many nights as the stories last.
NIGHTS = 21


def _no_machines(scene: Scene) -> str:
    return (
        "Execution failed: allocating: zone us-central1-b does not have enough resources available "
        f"to fulfill the request (ZONE_RESOURCE_POOL_EXHAUSTED, request {scene.dice % 10**9:09}). "
        "PAPI error code 8."
    )


def _crashed(scene: Scene) -> str:
    return (
        f"Job {scene.tag} exited with return code 139 which has not been declared as a valid "
        "return code. See 'continueOnReturnCode' runtime attribute for more details."
    )


NO_MACHINES = Cause(
    name="no_machines",
    message=_no_machines,
    log=lambda scene: ["waiting for a machine in us-central1-b", _no_machines(scene)],
)
CRASHED = Cause(
    name="crashed",
    message=_crashed,
    log=lambda scene: [f"{scene.task}: Segmentation fault (core dumped)", "rc: 139"],
    code=139,
)

# One night a zone has no machines: whatever should run there fails in its first task.
OUTAGE_NIGHT, OUTAGE_ZONE = 6, "us-central1-b"

# A new annotation database: this task takes twice as long from now on.
SLOW_SINCE, SLOW_WORKFLOW, SLOW_STAGE, SLOW_TIMES = 9, "vcf_annotate", 1, 2.0

# A tool that crashes now and then, on these nights of these samples: never three in a row.
FLAKY_WORKFLOW, FLAKY_TASK = "fusion_scan", "StarFusion"
FLAKY_NIGHTS = {
    0: frozenset({4, 7, 8, 12, 19, 21}),
    1: frozenset({5, 10, 13, 14, 20}),
}

# Two tubes exchanged in the wet lab, and nobody looks after it.
BROKEN_SINCE, BROKEN_WORKFLOW, BROKEN_SAMPLE, BROKEN_TASK = 3, "methyl_qc", 0, "Fingerprint"

# Somebody takes a sample out of the nightly list, and puts it back.
MISSING_NIGHTS, MISSING_WORKFLOW, MISSING_SAMPLE = frozenset({17, 18}), "cnv_somatic", 5

# A job that hangs in its last task, from this night until well after the last one.
STUCK_NIGHT, STUCK_WORKFLOW, STUCK_SAMPLE = 20, "sv_merge", 4

# One night many machines are taken away; everything is tried again, and succeeds.
WAVE_NIGHT, WAVE_TIMES = 11, 1.3

# One night the server cannot show some of that night's jobs. One of them had failed twice and
# succeeds now, which nobody can know before the next night.
PARTIAL_NIGHT, PARTIAL_WORKFLOW = 12, "rna_align_star"
RECOVERING_SAMPLE, RECOVERING_TASK = 1, "SortBam"
RECOVERING_NIGHTS = frozenset({10, 11})


def failure(workflow: str, sample: int, *, zone: str, night: int) -> tuple[Cause, str] | None:
    """Why a job of a night fails, and in which task ("" is its first); None where it doesn't."""
    if (workflow, sample) == (BROKEN_WORKFLOW, BROKEN_SAMPLE) and night >= BROKEN_SINCE:
        return causes.SWAP, BROKEN_TASK
    if night == OUTAGE_NIGHT and zone == OUTAGE_ZONE:
        return NO_MACHINES, ""
    if workflow == FLAKY_WORKFLOW and night in FLAKY_NIGHTS.get(sample, ()):
        return CRASHED, FLAKY_TASK
    recovering = (workflow, sample) == (PARTIAL_WORKFLOW, RECOVERING_SAMPLE)
    if recovering and night in RECOVERING_NIGHTS:
        return causes.DISK_FULL, RECOVERING_TASK
    return None


def slow(workflow: str, night: int) -> tuple[int, float] | None:
    """The stage of a workflow that is slow tonight, and by how much, if any."""
    if workflow == SLOW_WORKFLOW and night >= SLOW_SINCE:
        return SLOW_STAGE, SLOW_TIMES
    return None


def runs(workflow: str, sample: int, night: int) -> bool:
    """Whether a sample is run at all in a night."""
    missing = (workflow, sample) == (MISSING_WORKFLOW, MISSING_SAMPLE)
    return not (missing and night in MISSING_NIGHTS)


def hangs(workflow: str, sample: int, night: int) -> bool:
    """Whether a job hangs."""
    return (workflow, sample, night) == (STUCK_WORKFLOW, STUCK_SAMPLE, STUCK_NIGHT)


def lost_attempts(workflow: str, sample: int, night: int) -> int:
    """How many attempts of each of a job's calls lose their machine before one gets through."""
    if night != WAVE_NIGHT:
        return 0
    return 1 + (sample + len(workflow)) % 2


def withheld(workflow: str, night: int, *, tonight: int) -> bool:
    """Whether the server cannot show a job of a night, when asked tonight."""
    return workflow == PARTIAL_WORKFLOW and night == tonight == PARTIAL_NIGHT
