"""Jobs to measure with, the same ones whenever they are made: as records, or in a store.

    job 0   34 KB of JSON    3 tasks, a list of 235 files    a page of 25 KB and 5 KB of diagram
    job 1   the same, another workflow; each tenth failed, with a log's end

A number chooses a job whole: no generator's state runs from one to the next, so that any part of
the corpus can be made alone.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from jmreport.analysis import measure, summarise
from jmreport.records import Asked, Counts, Record, Run
from jmreport.snapshots import Redaction, Store

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
WORKFLOWS = ("germline_calling", "rna_quantify", "imputation", "sv_merge", "methylation_qc")
OWNERS = ("li", "moreau", "okafor", "sato", "vogel")
TASKS = ("AlignReads", "MarkDuplicates", "CallVariants")
#: (event, its share of a task's time) in the order in which Cromwell's backends tell of them.
EVENTS = (
    ("Pending", 0.02),
    ("PreparingJob", 0.05),
    ("Localization", 0.13),
    ("RunningJob", 0.7),
    ("Delocalization", 0.1),
)
_MESSAGE = (
    "Job {task}:NA:1 exited with return code 137 which has not been declared as a valid return "
    "code. See 'continueOnReturnCode' runtime attribute for more details."
)
#: Labels that tell jobs apart in groups, and so have pages.
GROUPS = ("owner", "project", "batch")
Tree = dict[str, Any]
#: Seconds over which submissions are spread: some five days, or one night.
WIDE, NIGHT = 400_000, 60_000


def record(number: int, *, state: int = 0, seen: bool = True, now: datetime = NOW) -> Record:
    """A job of 34 KB of JSON; with another `state` it is the same job, told of otherwise.

    It ends so many minutes later then, which lists show, or if it is not `seen` has its details
    told of otherwise alone.
    """
    job = _Job(number, now, later=timedelta(minutes=state if seen else 0))
    row = job.row()
    detail = {
        **row,
        "inputs": job.inputs(),
        "outputs": job.outputs(),
        "failures": job.failures(),
        "extensions": {
            "userId": job.owner,
            "statusDetail": f"state {state}" if state else "",
            "envs": {"REGION": "us-central1", "SAMPLE": job.sample},
            "tasks": [job.task(at) for at in range(len(TASKS))],
        },
    }
    logs = {job.log(2): {"contents": job.log_end(), "truncated": True}} if job.failed else {}
    return Record(id=job.id, row=row, detail=detail, logs=logs)


def small(number: int, *, now: datetime = NOW, spread: int = WIDE) -> Record:
    """A job of 2 KB of JSON, submitted in the last 6 hours before `now` and `spread` seconds."""
    job = _Job(number, now, spread)
    row = job.row()
    task = {**job.task(0), "inputs": {}, "outputs": {}, "executionEvents": []}
    detail = {
        **row,
        "inputs": {"sample": job.sample, "reads": job.file(0)},
        "failures": [],
        "extensions": {"userId": job.owner, "tasks": [task]},
    }
    return Record(id=job.id, row=row, detail=detail)


def fill(
    root: Path, records: Iterable[Record], *, now: datetime = NOW, since: datetime | None = None
) -> Run:
    """A run of the store in `root`, which is made where it is missing, that brought these."""
    asked = Asked(
        server="https://jobs.example.org/api/v1",
        timeframe="HOURS_24" if since else "ALL_TIME",
        since=since,
    )
    listed = 0
    with (
        Store.open(root, summarise=summarise, measure=measure, create=True) as store,
        store.begin(now, Redaction(), asked=asked, version="bench") as writer,
    ):
        for listed, each in enumerate(records, 1):  # noqa: B007 (how many there were)
            writer.list_row(each.row)
            writer.add(each)
        counts = Counts(listed=listed, fetched=listed)
        run = Run(id=writer.id, now=now, state="complete", asked=asked, counts=counts)
        return writer.finish(run)


def many(jobs: int, *, first: int = 0) -> Iterator[Record]:
    """So many jobs of 34 KB, one at a time."""
    return (record(number) for number in range(first, first + jobs))


class _Job:
    """What the parts of one job have in common."""

    def __init__(
        self, number: int, now: datetime, spread: int = WIDE, *, later: timedelta = timedelta()
    ) -> None:
        self.random = Random(number)  # noqa: S311 (the same jobs in every run)
        self.id = str(UUID(bytes=sha256(b"job %d" % number).digest()[:16], version=4))
        self.name = WORKFLOWS[number % len(WORKFLOWS)]
        self.owner = OWNERS[number // 3 % len(OWNERS)]
        self.sample = f"NA{number % 90_000 + 10_000}"
        self.failed = number % 10 == 7
        self.submitted = now - timedelta(seconds=3_600 * 6 + number * 7919 % spread)
        self.started = self.submitted + timedelta(seconds=self.random.randint(5, 900))
        lengths = [self.random.randint(300, 4_000) for _ in TASKS]
        self.starts = [self.started + timedelta(seconds=2 + sum(lengths[:at])) for at in range(3)]
        self.lengths = [timedelta(seconds=length) for length in lengths]
        self.ended = self.starts[-1] + self.lengths[-1] + timedelta(seconds=3) + later
        self.folder = f"gs://lab-{self.owner}/cromwell-executions/{self.name}/{self.id}"

    def row(self) -> Tree:
        return {
            "id": self.id,
            "name": self.name,
            "status": "Failed" if self.failed else "Succeeded",
            "submission": _text(self.submitted),
            "start": _text(self.started),
            "end": _text(self.ended),
            "labels": {
                "owner": self.owner,
                "project": f"project-{self.random.randint(1, 12)}",
                "batch": f"b{self.random.randint(1, 60)}",
                "sample": self.sample,
                "cromwell-workflow-id": f"cromwell-{self.id}",
            },
            "extensions": {"userId": self.owner},
        }

    def inputs(self) -> Tree:
        return {
            "sample": self.sample,
            "reference": "gs://reference/hg38/Homo_sapiens_assembly38.fasta",
            "intervals": [self.file(at) for at in range(235)],
            "min_quality": self.random.randint(10, 40),
            "max_missing": self.random.randint(1, 99) / 1000,
            "skip_qc": False,
            "limit": None,
            "tags": {"caller": "v4", "read_length": 151, "note": "R&D <pilot>"},
        }

    def outputs(self) -> Tree:
        if self.failed:
            return {}
        return {
            "vcf": f"{self.folder}/call-CallVariants/{self.sample}.vcf.gz",
            "files": [self.file(at, "call-CallVariants") for at in range(3)],
            "reads": self.random.randint(10**8, 10**9),
            "passed": True,
        }

    def file(self, at: int, call: str = "inputs") -> str:
        return f"{self.folder}/{call}/{self.sample}.{at:04}.g.vcf.gz"

    def log(self, at: int) -> str:
        return f"{self.folder}/call-{TASKS[at]}/{TASKS[at]}.log"

    def log_end(self) -> str:
        return "\n".join(
            f"2026/11/22 23:{at:02}:17 worker: chunk {self.random.randint(1, 4000)} of 4000 done"
            for at in range(60)
        )

    def failures(self) -> list[Tree]:
        if not self.failed:
            return []
        return [
            {
                "failure": _MESSAGE.format(task=f"{self.name}.{TASKS[2]}"),
                "taskName": TASKS[2],
                "timestamp": _text(self.starts[2] + self.lengths[2]),
                "backendLog": self.log(2),
                "callRoot": f"{self.folder}/call-{TASKS[2]}",
            }
        ]

    def task(self, at: int) -> Tree:
        start, length = self.starts[at], self.lengths[at]
        failed = self.failed and at == 2
        own: Tree = {
            "name": TASKS[at],
            "executionStatus": "Failed" if failed else "Succeeded",
            "start": _text(start),
            "end": _text(start + length),
            "returnCode": 137 if failed else 0,
            "backendLog": self.log(at),
            "callRoot": f"{self.folder}/call-{TASKS[at]}",
            "operationId": f"projects/lab/operations/{self.random.randint(10**18, 10**19)}",
            "attempts": 1,
            "callCached": False,
            "inputs": {
                "reads": f"{self.folder}/call-{TASKS[at]}/inputs/{self.sample}.bam",
                "threads": 2 + at,
                "memory_gb": 8,
                "extra_args": None,
            },
            "outputs": {}
            if failed
            else {"out": f"{self.folder}/call-{TASKS[at]}/{self.sample}.out.gz"},
            "executionEvents": self._events(start, length),
        }
        if failed:
            own["failureMessages"] = [_MESSAGE.format(task=f"{self.name}.{TASKS[at]}")]
        return own

    def _events(self, start: datetime, length: timedelta) -> list[Tree]:
        events: list[Tree] = []
        at = start
        for name, share in EVENTS:
            until = at + length * share
            events.append(
                {
                    "name": name,
                    "start": _text(at),
                    "end": _text(until),
                    "attemptNumber": 1,
                    "shardIndex": -1,
                }
            )
            at = until
        return events


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
