"""Why jobs fail in the demo laboratory: the message a server shows, and the end of its log.

Numbers, paths and ids inside the messages vary from job to job, as they do in real ones, so that a
reader has something to see through.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class Scene(Struct, frozen=True, kw_only=True):
    """Where a failure happened; `dice` is a large number that belongs to this attempt alone."""

    workflow: str
    task: str
    shard: int
    attempt: int
    call_root: str
    log: str
    sample: str
    image: str
    dice: int

    @property
    def tag(self) -> str:
        """The call as Cromwell names it in messages: `wf.Task:3:1`, with NA when not scattered."""
        shard = "NA" if self.shard < 0 else str(self.shard)
        return f"{self.workflow}.{self.task}:{shard}:{self.attempt}"


class Cause(Struct, frozen=True, kw_only=True, eq=False):
    """One kind of failure. `tries` is how many attempts it uses up; `code` the return code, if any.

    `whole` failures belong to the workflow: no task ever starts, and there is no log.
    """

    name: str
    message: Callable[[Scene], str]
    log: Callable[[Scene], list[str]] = lambda scene: []  # noqa: ARG005 - no log has no use for it
    code: int | None = None
    tries: int = 1
    whole: bool = False


def _exited(scene: Scene, code: int) -> str:
    return (
        f"Job {scene.tag} exited with return code {code} which has not been declared as a valid "
        "return code. See 'continueOnReturnCode' runtime attribute for more details."
    )


def _pick(scene: Scene, low: int, high: int, turn: int = 0) -> int:
    """A number of this scene's own between two bounds."""
    return low + (scene.dice >> (7 * turn)) % (high - low + 1)


def _java_heap(scene: Scene) -> str:
    return (
        "java.lang.OutOfMemoryError: Java heap space\n"
        f"\tat picard.sam.markduplicates.{scene.task}.buildSortedReadEndLists"
        f"({scene.task}.java:{_pick(scene, 503, 519)})"
    )


def _java_heap_log(scene: Scene) -> list[str]:
    pairs = _pick(scene, 9_000_000, 19_000_000, 1)
    return [
        f"INFO  {scene.task}  Tracking {pairs:,} as yet unmatched pairs.",
        'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space',
        f"\tat picard.sam.markduplicates.{scene.task}.doWork({scene.task}.java:262)",
        "\tat picard.cmdline.CommandLineProgram.instanceMain(CommandLineProgram.java:280)",
        "Runtime.totalMemory()=7516192768",
    ]


def _killed_log(scene: Scene) -> list[str]:
    pid = _pick(scene, 17, 420)
    return [
        f"/cromwell_root/script: line {_pick(scene, 24, 41, 1)}: {pid} Killed    "
        f"{scene.task.lower()} --threads 8",
        "rc: 137",
    ]


def _forbidden(scene: Scene) -> str:
    return (
        f"Could not localize gs://omar-raw-reads/incoming/{scene.sample}/"
        f"{scene.sample}_{_pick(scene, 1, 8)}.fastq.gz: 403 Forbidden. "
        f"pet-{_pick(scene, 100_000_000, 999_999_999, 1)}@demo-genomics.iam.gserviceaccount.com "
        "does not have storage.objects.get access to the Google Cloud Storage object."
    )


def _forbidden_log(scene: Scene) -> list[str]:
    reads = f"gs://omar-raw-reads/incoming/{scene.sample}/{scene.sample}_1.fastq.gz"
    return [
        f"Localizing input {reads} -> /cromwell_root/incoming/{scene.sample}_1.fastq.gz",
        f"AccessDeniedException: 403 Forbidden: no storage.objects.get access to {reads}",
        "CommandException: 1 file/object could not be transferred.",
        "Localization failed after 3 tries, giving up.",
    ]


def _disk_full(scene: Scene) -> str:
    return (
        f"{_exited(scene, 1)}\n[E::bgzf_flush] File write failed (wrote "
        f"{_pick(scene, 1_000, 60_000)} of 65280 bytes): No space left on device"
    )


def _disk_full_log(scene: Scene) -> list[str]:
    return [
        f"[bam_sort_core] merging from {_pick(scene, 20, 90)} files and 8 in-memory blocks...",
        "[E::bgzf_flush] File write failed (wrong size)",
        f"samtools sort: failed to write to sorted.{_pick(scene, 1000, 9999, 1)}.bam: "
        "No space left on device",
        "df: /dev/sdb  392G  392G     0 100% /cromwell_root",
    ]


def _quota(scene: Scene) -> str:
    asked = _pick(scene, 2_404, 2_960)
    return (
        f"Execution failed: allocating: quota CPUS exceeded in region us-central1: limit 2400, "
        f"{asked} would be in use. PAPI error code 8."
    )


def _image(scene: Scene) -> str:
    return (
        f'Execution failed: pulling image: docker pull "{scene.image}": manifest for '
        f"{scene.image} not found: manifest unknown (after {_pick(scene, 3, 5)} tries)"
    )


def _missing(scene: Scene) -> str:
    return (
        f"Input file gs://demo-lab-inputs/cohorts/{scene.sample}/calls/"
        f"{scene.sample}.part{_pick(scene, 0, 31):03}.g.vcf.gz does not exist"
    )


def _missing_log(scene: Scene) -> list[str]:
    return [
        f"Localizing input gs://demo-lab-inputs/cohorts/{scene.sample}/calls/",
        "CommandException: No URLs matched: the object is not there.",
    ]


def _assertion_log(scene: Scene) -> list[str]:
    return [
        "Traceback (most recent call last):",
        f'  File "/opt/lab/{scene.task.lower()}.py", line {_pick(scene, 61, 188)}, in <module>',
        "    assert header.contigs == reference.contigs, "
        f'"contig {_pick(scene, 1, 22, 1)} differs from the reference"',
        f"AssertionError: contig {_pick(scene, 1, 22, 1)} differs from the reference",
        "rc: 1",
    ]


def _swap(scene: Scene) -> str:
    lod = -_pick(scene, 31, 290) / 10
    return f"Sample swap suspected: LOD {lod} below threshold -3.0 for {scene.sample}"


def _swap_log(scene: Scene) -> list[str]:
    return [
        f"CrosscheckFingerprints: comparing {scene.sample} with its genotypes",
        f"LOD {-_pick(scene, 31, 290) / 10} (threshold -3.0), "
        f"{_pick(scene, 12, 88, 1)} of 96 sites disagree",
        "ERROR: UNEXPECTED MISMATCH, stopping before anything is published",
    ]


def preemption(scene: Scene) -> str:
    """What is said of an attempt whose machine was taken away."""
    return (
        f"Task {scene.tag} failed. The job was stopped before the command finished. PAPI error "
        f"code 10. VM ended unexpectedly: the assigned worker "
        f"google-pipelines-worker-{scene.dice & 0xFFFF_FFFF_FFFF:012x} has failed to complete the "
        "operation: it was preempted"
    )


def preemption_log(scene: Scene) -> list[str]:
    """The last lines of such an attempt's log: it just stops."""
    return [f"INFO  {scene.task}  Processed {_pick(scene, 10, 600)},000 records."]


def _papi9(scene: Scene) -> str:
    return (
        f"Task {scene.tag} failed. Job exit code 2. PAPI error code 9. "
        f"Please check the log file for more details: {scene.log}."
    )


def _papi9_log(scene: Scene) -> list[str]:
    return [
        "A USER ERROR has occurred: Bad input: Sample does not match the panel of normals: "
        f"{_pick(scene, 180_000, 190_000)} intervals, the panel has 191204",
        "Set the system property GATK_STACKTRACE_ON_USER_EXCEPTION to print the stack trace.",
        "rc: 2",
    ]


def _timeout(scene: Scene) -> str:
    return (
        f"Execution failed: worker {scene.dice & 0xFFFF_FFFF:08x} reached the time limit of "
        "12 h 0 min and was stopped (DEADLINE_EXCEEDED)"
    )


def _timeout_log(scene: Scene) -> list[str]:
    return [
        f"still waiting for lock /cromwell_root/index.lock held by pid {_pick(scene, 20, 99)}",
        "Terminated: time limit reached",
    ]


def _inputs(scene: Scene) -> str:
    return (
        f"Workflow input processing failed (Caused by [reason 1 of 2]: Required workflow input "
        f"'{scene.workflow}.reference_fasta' not specified) (Caused by [reason 2 of 2]: Failed to "
        f"import 'gs://demo-lab-wdl/tasks_v{_pick(scene, 2, 9)}.wdl' (Caused by [reason 1 of 1]: "
        f"404 Not Found: gs://demo-lab-wdl/tasks_v{_pick(scene, 2, 9)}.wdl))"
    )


JAVA_HEAP = Cause(name="java_heap", message=_java_heap, log=_java_heap_log, code=1, tries=3)
KILLED = Cause(name="killed", message=lambda s: _exited(s, 137), log=_killed_log, code=137, tries=2)
FORBIDDEN = Cause(name="forbidden", message=_forbidden, log=_forbidden_log)
DISK_FULL = Cause(name="disk_full", message=_disk_full, log=_disk_full_log, code=1, tries=2)
QUOTA = Cause(
    name="quota",
    message=_quota,
    log=lambda s: [f"waiting for quota CPUS in us-central1 ({_pick(s, 10, 40)} min)", _quota(s)],
)
IMAGE = Cause(name="image", message=_image, log=lambda s: [f"Pulling image {s.image}", _image(s)])
MISSING_INPUT = Cause(name="missing_input", message=_missing, log=_missing_log)
ASSERTION = Cause(name="assertion", message=lambda s: _exited(s, 1), log=_assertion_log, code=1)
SWAP = Cause(name="swap", message=_swap, log=_swap_log, code=3)
PREEMPTED = Cause(
    name="preempted",
    message=lambda s: f"{preemption(s)} (attempt {s.attempt} of {s.attempt}, no more are allowed)",
    log=preemption_log,
    tries=3,
)
PAPI9 = Cause(name="papi9", message=_papi9, log=_papi9_log, code=2)
TIMEOUT = Cause(name="timeout", message=_timeout, log=_timeout_log)
INPUTS = Cause(name="inputs", message=_inputs, whole=True)
SILENT = Cause(name="silent", message=lambda s: f"no reason given for {s.workflow}", whole=True)
"""A Failed job that reports no failure at all (backends habit 25)."""

EVERYDAY = (
    KILLED,
    ASSERTION,
    DISK_FULL,
    MISSING_INPUT,
    JAVA_HEAP,
    PREEMPTED,
    QUOTA,
    IMAGE,
    TIMEOUT,
    INPUTS,
    FORBIDDEN,
    ASSERTION,
    KILLED,
    SWAP,
    SILENT,
    PAPI9,
)
"""What goes wrong on an ordinary night; what is here twice goes wrong twice as often."""
