"""The work of the planted world: ten workflows, and the samples that each runs on every night.

Small and steady beside the ordinary laboratory's, so that what changes from night to night is what
`planted_stories` says and nothing else.
"""

from __future__ import annotations

from .workflows import Task, Workflow
from .world import Routine

SAMPLES = 6
"""How many samples each workflow runs on: two in each zone."""

ZONES = ("us-central1-a", "us-central1-b", "us-central1-c")


def _flow(
    name: str, minutes: int, *tasks: tuple[str, float, str] | tuple[str, float, str, int]
) -> Workflow:
    """A workflow whose tasks run one after the other: (name, part of the time, tool, shards).

    The last task runs on a machine that nobody takes away.
    """
    made = []
    for stage, (task, share, tool, *shards) in enumerate(tasks):
        made.append(
            Task(
                name=task,
                stage=stage,
                share=share,
                tool=tool,
                image=f"quay.io/biocontainers/{tool}:1.0",
                scatter=(shards[0], shards[0]) if shards else None,
                preemptible=stage < len(tasks) - 1,
            )
        )
    return Workflow(name=name, minutes=minutes, tasks=tuple(made))


WORKFLOWS = (
    _flow(
        "germline_joint_calling",
        120,
        ("FastqToBam", 0.15, "gatk"),
        ("AlignBwa", 0.35, "bwa", 3),
        ("MarkDuplicates", 0.2, "picard"),
        ("JointGenotype", 0.3, "gatk"),
    ),
    _flow(
        "rna_align_star",
        75,
        ("FetchReads", 0.15, "gsutil"),
        ("StarAlign", 0.5, "star"),
        ("SortBam", 0.2, "samtools"),
        ("FeatureCounts", 0.15, "subread"),
    ),
    _flow(
        "imputation_beagle",
        110,
        ("SplitChromosomes", 0.1, "bcftools"),
        ("Phase", 0.45, "beagle", 4),
        ("Impute", 0.35, "beagle"),
        ("MergeVcf", 0.1, "bcftools"),
    ),
    _flow(
        "cnv_somatic",
        95,
        ("CollectReadCounts", 0.3, "gatk"),
        ("DenoiseCounts", 0.2, "gatk"),
        ("CallSegments", 0.35, "gatk"),
        ("PlotSegments", 0.15, "rscript"),
    ),
    _flow(
        "methyl_qc",
        80,
        ("TrimReads", 0.2, "trimgalore"),
        ("BismarkAlign", 0.5, "bismark"),
        ("CallMethylation", 0.2, "bismark"),
        ("Fingerprint", 0.1, "picard"),
    ),
    _flow(
        "sv_merge",
        100,
        ("MantaCall", 0.5, "manta", 3),
        ("FilterCalls", 0.2, "bcftools"),
        ("MergeVcfs", 0.3, "survivor"),
    ),
    _flow(
        "cram_to_fastq",
        50,
        ("IndexCram", 0.2, "samtools"),
        ("CramToFastq", 0.6, "samtools"),
        ("ValidateFastq", 0.2, "fastqc"),
    ),
    _flow(
        "vcf_annotate",
        65,
        ("SplitVcf", 0.15, "bcftools"),
        ("VepAnnotate", 0.65, "vep"),
        ("GatherVcf", 0.2, "bcftools"),
    ),
    _flow(
        "fusion_scan",
        90,
        ("StageReads", 0.15, "gsutil"),
        ("StarFusion", 0.6, "star"),
        ("SummarizeFusions", 0.25, "rscript"),
    ),
    _flow(
        "ancestry_pca",
        30,
        ("ThinVariants", 0.35, "plink"),
        ("ProjectPca", 0.45, "plink"),
        ("PlotPca", 0.2, "rscript"),
    ),
)

#: Whose work a workflow is; jana's and wei's runs on another backend than the others'.
_OWNERS = ("ana", "omar", "jana", "ana", "li", "omar", "ana", "wei", "li", "jana")


def routine(number: int, dice: bytes) -> Routine:
    """The piece of work in a place of the night: which workflow, on which sample, in which zone.

    `dice` are eight random bytes that belong to the place: the sample's inputs depend on them.
    """
    which, sample = divmod(number, SAMPLES)
    return Routine(
        workflow=WORKFLOWS[which],
        owner=_OWNERS[which],
        subject=f"NA{12_000 + number * 17 + dice[0] % 17}",
        part=0,
        panel="hrc1",
        speed=0.92 + dice[1] / 1_600,
        phase=0,
        labelled=True,
        dice=int.from_bytes(dice, "big"),
        zone=ZONES[sample * len(ZONES) // SAMPLES],
    )
