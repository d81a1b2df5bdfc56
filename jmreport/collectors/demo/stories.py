"""What happened in the demo laboratory on which nights: the failures that a report should find.

Stories repeat on fixed nights of the timeline, so every window of a week has one to tell, and two
servers at two moments tell the same ones.
"""

from __future__ import annotations

from msgspec import Struct

from . import causes
from .causes import Cause
from .workflows import Task, Workflow


class Story(Struct, frozen=True, kw_only=True, eq=False):
    """On `nights` nights out of every `every`, jobs of one workflow that share a label fail alike.

    `odds` of 256 jobs are hit, all in `task`.
    """

    workflow: str
    task: str
    cause: Cause
    every: int
    since: int
    nights: int
    owner: str | None = None
    part: int | None = None  # which of the night's two batches
    odds: int = 230


STORIES = (
    # A batch with deeper sequencing than ever: one night, nearly all jobs of one batch.
    Story(
        workflow="germline_joint_calling",
        task="MarkDuplicates",
        cause=causes.JAVA_HEAP,
        every=6,
        since=3,
        nights=1,
        part=1,
    ),
    # Somebody tidied up a bucket's permissions.
    Story(
        workflow="rna_align_star",
        task="StarAlign",
        cause=causes.FORBIDDEN,
        every=11,
        since=7,
        nights=2,
        owner="omar",
    ),
    # A panel of normals that no longer fits, noticed late.
    Story(
        workflow="cnv_somatic",
        task="CallSegments",
        cause=causes.PAPI9,
        every=14,
        since=10,
        nights=4,
        owner="ana",
    ),
    # Two tubes exchanged in the wet lab: the same samples fail night after night.
    Story(
        workflow="methyl_qc",
        task="Fingerprint",
        cause=causes.SWAP,
        every=21,
        since=19,
        nights=9,
        owner="li",
        odds=128,
    ),
)

# The nights on which a workflow's main stage is slow: (workflow, stage, every, nights, factor).
_SLOW = {"imputation_beagle": (1, 10, 2, 1.7), "sv_merge": (2, 17, 3, 1.6)}

_BY_WORKFLOW = {
    name: tuple(story for story in STORIES if story.workflow == name)
    for name in {story.workflow for story in STORIES}
}


def told(workflow: str, *, night: int, owner: str, part: int, dice: int) -> Story | None:
    """The story that a job is part of, if any. `dice` is below 256."""
    for story in _BY_WORKFLOW.get(workflow, ()):
        if (
            (night - story.since) % story.every < story.nights
            and story.owner in (None, owner)
            and story.part in (None, part)
            and dice < story.odds
        ):
            return story
    return None


def slow(workflow: str, night: int) -> tuple[int, float] | None:
    """The stage that is slow tonight and by how much, if any."""
    found = _SLOW.get(workflow)
    if found is None:
        return None
    stage, every, nights, factor = found
    return (stage, factor) if night % every < nights else None


# Which tools can fail for a reason; for all other reasons any task can.
_TOOLS: dict[str, frozenset[str]] = {
    "java_heap": frozenset({"picard"}),
    "disk_full": frozenset({"samtools", "bcftools", "star", "bismark"}),
    "papi9": frozenset({"gatk"}),
    "swap": frozenset({"picard"}),
}


def culprit(workflow: Workflow, cause: Cause, dice: int) -> tuple[Task, Cause]:
    """The task in which a job fails, and why: a reason that fits none of its tools becomes an exit
    code 137, which any tool can come to."""
    tools = _TOOLS.get(cause.name)
    able = [task for task in workflow.tasks if tools is None or task.tool in tools]
    if cause.name == "preempted":
        able = [task for task in able if task.preemptible]
    if workflow.local or not able:
        # No cloud machine to be taken away, no quota and no image where tasks run on the server.
        cause = causes.KILLED if cause.name != "missing_input" else cause
        able = list(workflow.tasks)
    return able[dice % len(able)], cause


def everyday(dice: int) -> Cause:
    """The reason of a failure that belongs to no story."""
    return causes.EVERYDAY[dice % len(causes.EVERYDAY)]
