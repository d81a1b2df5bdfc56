"""Many jobs against few: whether time and memory stay in proportion."""

import os
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from bench import corpus
from bench.commands import cold, empty, folders
from bench.measuring import JMREPORT, Side, Spent, alternating, middle, run, yardstick
from bench.rows import Row, kb, mb, runs_of, seconds
from bench.sizes import Size

#: The part of the disk's free room that a site may take.
ROOM = 0.8


def memory(size: Size, work: Path) -> Iterable[Row]:
    """Cold renders of few and of many small jobs, by turns."""
    sides: dict[str, Side] = {}
    for jobs in (size.few, size.many):
        where = empty(work / f"memory-{jobs}")
        corpus.fill(where / "snapshots", map(corpus.small, range(jobs)))
        sides[str(jobs)] = partial(_cold, where)
    unit = yardstick()
    found = alternating(sides, size.runs)
    few, many = (middle(spent) for spent in found.values())
    a_job = {
        kind: (getattr(many, kind) / size.many) / (getattr(few, kind) / size.few)
        for kind in ("wall", "cpu")
    }
    yield Row(
        what=f"cold render of {size.many} small jobs, a job against {size.few}",
        figure=f"{a_job['wall']:.2f} x the wall, {a_job['cpu']:.2f} x the CPU "
        f"({seconds(found[str(size.many)])})",
        goal="1.15 x",
        holds=max(a_job.values()) <= 1.15,
        lost=a_job["cpu"] > 10 or many.cpu > (700 + size.many) * unit,
        runs=runs_of(found),
    )
    yield Row(
        what="memory of all processes",
        figure=f"{mb(few.memory)} for {size.few}, {mb(many.memory)} for {size.many}",
        goal="400 MB",
        holds=many.memory < 400e6,
        lost=many.memory > 2e9,
    )
    for side in sides:
        shutil.rmtree(work / f"memory-{side}")


def _cold(where: Path, weigh: bool) -> Spent:
    os.sync()  # what the runs before wrote is no work of this one
    return cold(where, weigh=weigh)


def million(size: Size, work: Path) -> Iterable[Row]:
    """Jobs of the built-in server in process, collected and rendered in one run.

    It is the server that takes after dsub: its jobs are 3 KB of JSON, those of the others 37 KB.
    """
    where, unit = empty(work / "million"), yardstick()
    few = min(size.many, size.million // 10)
    small, a_job = _built(where, few)
    room = int(shutil.disk_usage(where).free * ROOM / a_job)
    jobs = min(size.million, room)
    large, _ = _built(where, jobs)
    cut = "" if jobs == size.million else ", as many as the disk holds"
    yield Row(
        what=f"{jobs} jobs of the built-in server in process (3 KB each{cut}): built in one run",
        figure=f"{mb(large.memory)}, {mb(small.memory)} for {few}: "
        f"{large.memory / small.memory:.2f} x; {large.wall:.0f} s, "
        f"{large.cpu / jobs * 1000:.2f} ms of CPU and {kb(a_job)} of the disk a job",
        goal="512 MB, 1.1 x",
        holds=jobs == size.million and large.memory < min(512e6, 1.1 * small.memory),
        lost=large.memory > 2e9 or large.cpu > (700 + 2 * jobs) * unit,
        runs=runs_of({str(few): [small], str(jobs): [large]}),
    )


def _built(where: Path, jobs: int) -> tuple[Spent, float]:
    """What it takes, and the bytes of the disk that a job comes to; nothing of it stays."""
    command = (
        *(*JMREPORT, "build", "-q", "--demo", "--like", "dsub", "--jobs", str(jobs)),
        *("--timeframe", "ALL_TIME", "--now", corpus.NOW.isoformat(), *folders(where)),
    )
    spent = run(command, where=where, weigh=True)
    taken = sum(path.stat().st_blocks * 512 for path in where.rglob("*"))
    shutil.rmtree(where / "site")
    shutil.rmtree(where / "snapshots")
    return spent, taken / jobs
