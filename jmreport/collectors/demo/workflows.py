"""The workflows of the demo laboratory: their tasks, how long these take, and their sources.

A workflow runs its stages one after the other; tasks of one stage run side by side. A `share` is
the part of the workflow's time that the task's stage takes.
"""

from __future__ import annotations

from functools import cache
from itertools import accumulate

from msgspec import Struct


class Task(Struct, frozen=True, kw_only=True, eq=False):
    """One step of a workflow, or a sub-workflow called in its place."""

    name: str
    stage: int
    share: float
    tool: str = "bash"
    image: str = "ubuntu:24.04"
    scatter: tuple[int, int] | None = None  # fewest and most shards
    preemptible: bool = True
    cpu: int = 2
    memory: int = 8
    sub: str | None = None


class Workflow(Struct, frozen=True, kw_only=True, eq=False):
    """What is run again and again under one name. `minutes` is its usual time.

    Compared by identity (`eq=False`), which also makes it a cheap key of caches.
    """

    name: str
    minutes: int
    tasks: tuple[Task, ...]
    weight: int = 0
    local: bool = False
    subject: str = "sample"

    @property
    def stages(self) -> int:
        return self.tasks[-1].stage + 1


_PICARD = "us.gcr.io/broad-gotc-prod/picard-cloud:3.1.1"
_GATK = "us.gcr.io/broad-gatk/gatk:4.6.0.0"
_BIO = "quay.io/biocontainers"
_SAMTOOLS = f"{_BIO}/samtools:1.20"
_BCFTOOLS = f"{_BIO}/bcftools:1.20"


def _task(
    name: str,
    stage: int,
    share: float,
    tool: str = "bash",
    image: str = "ubuntu:24.04",
    scatter: tuple[int, int] | None = None,
    *,
    preemptible: bool = True,
    cpu: int = 2,
    memory: int = 8,
    sub: str | None = None,
) -> Task:
    return Task(
        name=name,
        stage=stage,
        share=share,
        tool=tool,
        image=image,
        scatter=scatter,
        preemptible=preemptible,
        cpu=cpu,
        memory=memory,
        sub=sub,
    )


TOP = (
    Workflow(
        name="germline_joint_calling",
        weight=26,
        minutes=185,
        tasks=(
            _task("FastqToBam", 0, 0.12, "gatk", _GATK, (4, 12), cpu=4, memory=16),
            _task("AlignBwa", 1, 0.30, "bwa", f"{_BIO}/bwa:0.7.18", (4, 24), cpu=16),
            _task("MarkDuplicates", 2, 0.22, "picard", _PICARD, (4, 12), memory=14),
            _task("CollectMetrics", 2, 0.10, "picard", _PICARD),
            _task("BaseRecalibrator", 3, 0.10, "gatk", _GATK),
            _task("HaplotypeCaller", 4, 0.18, "gatk", _GATK, (10, 50), memory=7),
            _task("JointGenotype", 5, 0.08, "gatk", _GATK, preemptible=False, memory=26),
        ),
    ),
    Workflow(
        name="rna_align_star",
        weight=18,
        minutes=75,
        tasks=(
            _task("FetchReads", 0, 0.12, "gsutil", "google/cloud-sdk:slim"),
            _task("StarAlign", 1, 0.50, "star", f"{_BIO}/star:2.7.11b", (2, 8), cpu=16),
            _task("SortBam", 2, 0.16, "samtools", _SAMTOOLS, cpu=8),
            _task("FeatureCounts", 3, 0.12, "subread", f"{_BIO}/subread:2.0.6"),
            _task("RnaQc", 3, 0.08, "picard", _PICARD),
        ),
    ),
    Workflow(
        name="imputation_beagle",
        weight=12,
        minutes=140,
        subject="cohort",
        tasks=(
            _task("SplitChromosomes", 0, 0.08, "bcftools", _BCFTOOLS),
            _task("Phase", 1, 0.46, "beagle", f"{_BIO}/beagle:5.4", (22, 22), memory=32),
            _task("Impute", 2, 0.36, "beagle", f"{_BIO}/beagle:5.4", (22, 22), memory=32),
            _task("MergeVcf", 3, 0.10, "bcftools", _BCFTOOLS, preemptible=False),
        ),
    ),
    Workflow(
        name="cnv_somatic",
        weight=11,
        minutes=95,
        tasks=(
            _task("CollectReadCounts", 0, 0.30, "gatk", _GATK, (2, 6)),
            _task("DenoiseCounts", 1, 0.20, "gatk", _GATK, memory=13),
            _task("CallSegments", 2, 0.38, "gatk", _GATK, memory=13),
            _task("PlotSegments", 3, 0.12, "rscript", "rocker/r-ver:4.4", preemptible=False),
        ),
    ),
    Workflow(
        name="methyl_qc",
        weight=9,
        minutes=110,
        tasks=(
            _task("TrimReads", 0, 0.15, "trimgalore", f"{_BIO}/trim-galore:0.6.10"),
            _task("BismarkAlign", 1, 0.55, "bismark", f"{_BIO}/bismark:0.24.2", (2, 6)),
            _task("CallMethylation", 2, 0.20, "bismark", f"{_BIO}/bismark:0.24.2"),
            _task("Fingerprint", 3, 0.10, "picard", _PICARD),
        ),
    ),
    Workflow(
        name="sv_merge",
        weight=9,
        minutes=130,
        subject="cohort",
        tasks=(
            _task("MantaCall", 0, 0.48, "manta", f"{_BIO}/manta:1.6.0", (4, 40), cpu=8),
            _task("FilterCalls", 1, 0.14, "bcftools", _BCFTOOLS),
            _task("MergeVcfs", 2, 0.26, "survivor", f"{_BIO}/survivor:1.0.7", (8, 40)),
            _task("AnnotateSv", 3, 0.12, "bcftools", _BCFTOOLS),
        ),
    ),
    Workflow(
        name="cram_to_fastq",
        weight=11,
        minutes=50,
        tasks=(
            _task("IndexCram", 0, 0.15, "samtools", _SAMTOOLS),
            _task("CramToFastq", 1, 0.65, "samtools", _SAMTOOLS, (4, 16), cpu=4),
            _task("ValidateFastq", 2, 0.20, "fastqc", f"{_BIO}/fastqc:0.12.1"),
        ),
    ),
    Workflow(
        name="ancestry_pca",
        weight=6,
        minutes=24,
        local=True,
        subject="cohort",
        tasks=(
            _task("ThinVariants", 0, 0.35, "plink", "local", preemptible=False),
            _task("ProjectPca", 1, 0.50, "plink", "local", preemptible=False),
            _task("PlotPca", 2, 0.15, "rscript", "local", preemptible=False),
        ),
    ),
    Workflow(
        name="cohort_panel",
        weight=2,
        minutes=220,
        subject="cohort",
        tasks=(
            _task("PreparePanel", 0, 0.06, "bcftools", _BCFTOOLS),
            _task("sample_pipeline", 1, 0.82, scatter=(2, 5), sub="sample_pipeline"),
            _task("CohortReport", 2, 0.12, "rscript", "rocker/r-ver:4.4"),
        ),
    ),
    Workflow(
        name="vcf_annotate",
        weight=6,
        minutes=65,
        subject="cohort",
        tasks=(
            _task("SplitVcf", 0, 0.12, "bcftools", _BCFTOOLS),
            _task("VepAnnotate", 1, 0.70, "vep", "ensemblorg/ensembl-vep:release_112.0", (8, 30)),
            _task("GatherVcf", 2, 0.18, "bcftools", _BCFTOOLS),
        ),
    ),
    Workflow(
        name="fusion_scan",
        weight=5,
        minutes=90,
        tasks=(
            _task("StageReads", 0, 0.10, "gsutil", "google/cloud-sdk:slim"),
            _task(
                "StarFusion", 1, 0.60, "star", "trinityctat/starfusion:1.13.0", cpu=16, memory=48
            ),
            _task("FusionInspector", 2, 0.20, "star", "trinityctat/starfusion:1.13.0", (2, 5)),
            _task("SummarizeFusions", 3, 0.10, "rscript", "rocker/r-ver:4.4"),
        ),
    ),
    Workflow(
        name="wgs_coverage",
        weight=1,
        minutes=260,
        tasks=(
            _task("MakeIntervals", 0, 0.05, "gatk", _GATK),
            _task("CountCoverage", 1, 0.75, "gatk", _GATK, (60, 160)),
            _task("MergeCoverage", 2, 0.15, "bcftools", _BCFTOOLS),
            _task("PublishCoverage", 3, 0.05, "gsutil", "google/cloud-sdk:slim"),
        ),
    ),
)

SUB = {
    workflow.name: workflow
    for workflow in (
        Workflow(
            name="sample_pipeline",
            minutes=170,
            tasks=(
                _task("StageSample", 0, 0.10, "gsutil", "google/cloud-sdk:slim"),
                _task("lane_alignment", 1, 0.60, scatter=(2, 3), sub="lane_alignment"),
                _task("CallVariants", 2, 0.30, "gatk", _GATK, (3, 8)),
            ),
        ),
        Workflow(
            name="lane_alignment",
            minutes=100,
            subject="lane",
            tasks=(
                _task("AlignLane", 0, 0.75, "bwa", f"{_BIO}/bwa:0.7.18", cpu=16),
                _task("lane_qc", 1, 0.25, sub="lane_qc"),
            ),
        ),
        Workflow(
            name="lane_qc",
            minutes=20,
            subject="lane",
            tasks=(
                _task("CountReads", 0, 0.45, "samtools", _SAMTOOLS),
                _task("CheckContamination", 1, 0.55, "gatk", _GATK),
            ),
        ),
    )
}

BY_NAME = {workflow.name: workflow for workflow in TOP} | SUB


@cache
def shares(workflow: Workflow) -> tuple[float, ...]:
    """The part of the workflow's time that each stage takes; together 1."""
    longest = [0.0] * workflow.stages
    for task in workflow.tasks:
        longest[task.stage] = max(longest[task.stage], task.share)
    whole = sum(longest)
    return tuple(part / whole for part in longest)


@cache
def reached(workflow: Workflow) -> tuple[float, ...]:
    """How far through its time the workflow is when each stage ends."""
    return tuple(accumulate(shares(workflow)))


@cache
def source(workflow: Workflow) -> str:
    """The workflow as WDL, as far as a reader of a job page wants to see it."""
    lines = ["version 1.0", ""]
    lines += [
        f'import "{task.sub}.wdl" as {task.sub}' for task in workflow.tasks if task.sub is not None
    ]
    lines += [f"workflow {workflow.name} {{", "  input {", f"    String {workflow.subject}"]
    lines += ["    File reference_fasta", "    Array[File] inputs_list", "    Int? limit", "  }"]
    for task in workflow.tasks:
        call = f"{task.sub}.{task.sub}" if task.sub else task.name
        if task.scatter:
            lines += [f"  scatter (part in {task.name}_parts) {{", f"    call {call} {{"]
            lines += ["      input: part = part", "    }", "  }"]
        else:
            lines += [f"  call {call}"]
    lines += ["}", ""]
    for task in workflow.tasks:
        if task.sub is None:
            lines += [f"task {task.name} {{", "  command <<<", "    set -euo pipefail"]
            lines += [f"    {command(task)}", "  >>>", "  runtime {", f'    docker: "{task.image}"']
            lines += [f"    cpu: {task.cpu}", f'    memory: "{task.memory} GiB"']
            lines += [f"    preemptible: {2 if task.preemptible else 0}", "  }", "}", ""]
    return "\n".join(lines)


_COMMANDS = {
    "bash": "run.sh ~{part}",
    "bcftools": "bcftools concat --allow-overlaps -Oz -o merged.vcf.gz ~{sep=' ' parts}",
    "beagle": "java -Xmx30g -jar beagle.jar gt=~{vcf} ref=~{panel} map=~{genetic_map} out=phased",
    "bismark": "bismark --genome ~{genome} -1 ~{reads_1} -2 ~{reads_2} --parallel 4",
    "bwa": "bwa mem -K 100000000 -t 16 ~{ref} ~{reads} | samtools view -b -o aligned.bam -",
    "fastqc": "fastqc --outdir . ~{sep=' ' reads}",
    "gatk": 'gatk --java-options "-Xmx6g" ~{tool} -R ~{ref} -I ~{bam} -O out.vcf.gz',
    "gsutil": "gsutil -m cp ~{sep=' ' files} ./staged/",
    "manta": "configManta.py --bam ~{bam} --referenceFasta ~{ref} && ./runWorkflow.py -j 8",
    "picard": "java -Xmx7g -jar /usr/picard/picard.jar ~{tool} I=~{bam} O=out.bam M=metrics.txt",
    "plink": "plink2 --pfile ~{prefix} --indep-pairwise 200kb 0.2 --out thinned",
    "rscript": "Rscript plot.R --input ~{table} --output report.pdf",
    "samtools": "samtools sort -@ 8 -m 2G -o sorted.bam ~{bam}",
    "star": "STAR --runThreadN 16 --genomeDir index --readFilesIn ~{reads_1} ~{reads_2}",
    "subread": "featureCounts -p -T 4 -a ~{gtf} -o counts.txt ~{bam}",
    "survivor": "SURVIVOR merge calls.txt 1000 2 1 1 0 50 merged.vcf",
    "trimgalore": "trim_galore --paired --cores 4 ~{reads_1} ~{reads_2}",
    "vep": "vep --cache --offline --vcf --fork 4 -i ~{vcf} -o annotated.vcf",
}


def command(task: Task) -> str:
    """The line that the task's script is about."""
    return _COMMANDS[task.tool]
