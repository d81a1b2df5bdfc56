"""Stores to test with: a summariser, jobs, whole runs, and disks that fail.

Run as a program it writes one run into a store and kills itself at the Nth thing that it asks the
system to write: `python snapshot_cases.py STORE N`; without N it prints how many there are. With
`prune` behind N it prunes instead.
"""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jmreport.records import Asked, JobRow, Record, Run
from jmreport.snapshots import Redaction, RunWriter, Store, writing

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
ASKED = Asked(server="http://127.0.0.1:8190", timeframe="DAYS_7")
#: What a store asks of the system to write; files are changed in no other way.
WRITES = ("mkdir", "open", "write", "fsync", "replace", "unlink", "rmdir")
#: How many days behind NOW the runs of `nights_to_prune` are cut in two.
PRUNE_BEFORE = 2


def summarise(record: Record) -> JobRow:
    """The row of a job; which trees there are shows in it."""
    trees = (tree for tree in (record.detail, record.row) if isinstance(tree, dict))
    tree = {key: value for one in trees for key, value in one.items()}
    return JobRow(
        id=record.id,
        name=str(tree.get("name", "")),
        status=str(tree.get("status", "Unknown")),
        parent=record.parent,
        readable=record.detail is not None,
        gaps=record.gaps,
    )


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """A disk of its own at a new folder; the test is skipped where none may be mounted."""
    import pytest

    place.mkdir()
    mount, size = shutil.which("mount"), f"size={megabytes}m"
    asked = [str(mount), "-t", "tmpfs", "-o", size, "tmpfs", str(place)]
    if mount is None or subprocess.run(asked, capture_output=True, check=False).returncode:  # noqa: S603 - our own program
        pytest.skip("may not mount a small disk here")
    try:
        yield
    finally:
        subprocess.run([str(shutil.which("umount")), str(place)], check=True)  # noqa: S603 - our own program


def row(number: int, status: str = "Succeeded") -> dict[str, Any]:
    return {
        "id": f"job-{number}",
        "name": "germline",
        "status": status,
        "submission": "2026-11-23T01:00:00+00:00",
    }


def record(number: int, status: str = "Succeeded", **more: Any) -> Record:
    listed = row(number, status)
    detail = {**listed, "inputs": {"sample": f"NA{number}", "db_password": "canary-hunter2"}}
    return Record(**{"id": f"job-{number}", "row": listed, "detail": detail, **more})


def run_of(writer: RunWriter, *, state: Any = "complete") -> Run:
    return Run(id=writer.id, now=writer.now, state=state, asked=ASKED)


@contextmanager
def opened(root: Path) -> Iterator[Store]:
    with Store.open(root, summarise=summarise, create=True) as store:
        yield store


def write_run(root: Path, records: list[Record], *, days: int = 0) -> Run:
    """A whole run that lists and reads these jobs."""
    with opened(root) as store, begun(store, days=days) as writer:
        for one in records:
            if one.row is not None:
                writer.list_row(one.row)
            writer.add(one)
        return writer.finish(run_of(writer))


def begun(store: Store, *, days: int = 0) -> RunWriter:
    return store.begin(NOW + timedelta(days=days), Redaction(), asked=ASKED, version="1")


def a_night(root: Path, jobs: int = 23) -> None:
    """A run in several shards, in which a few jobs changed since the last."""
    with opened(root) as store, small_shards():
        night = len(store.runs())
        with begun(store, days=night) as writer:
            for number in range(jobs):
                writer.list_row(row(number))
                changed = night if number % 4 == 0 else 0
                writer.add(record(number, attempts={"Align": {"attempts": [changed]}}))
            writer.seen("job-of-nobody")
            writer.aggregations({"DAYS_7": {"summary": {"counts": []}}})
            writer.finish(run_of(writer))


@contextmanager
def small_shards(size: int = 5) -> Iterator[None]:
    """Shards of a few records, so that a run has several."""
    usual, writing.SHARD_RECORDS = writing.SHARD_RECORDS, size
    try:
        yield
    finally:
        writing.SHARD_RECORDS = usual


@contextmanager
def before_each_write(act: Callable[[int, str], None]) -> Iterator[None]:
    """Calls `act(n, name)` before the nth time the system is asked to write."""
    count = 0
    real = {name: getattr(os, name) for name in WRITES}

    def counting(name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal count
            if name == "open" and not args[1] & (os.O_CREAT | os.O_WRONLY):
                return real[name](*args, **options)
            count += 1
            act(count, name)
            return real[name](*args, **options)

        return call

    for name in WRITES:
        setattr(os, name, counting(name))
    try:
        yield
    finally:
        for name in WRITES:
            setattr(os, name, real[name])


def nights_to_prune(root: Path) -> None:
    """Three nights, an old prune among them, and jobs that only the first of them knew."""
    write_run(root, [record(number) for number in range(100, 112)], days=-2)
    write_run(root, [record(number) for number in range(106, 116)], days=-1)
    a_prune(root, days=-1)
    for _ in range(3):
        a_night(root)


def a_prune(root: Path, *, days: int = PRUNE_BEFORE) -> None:
    with opened(root) as store, small_shards():
        store.prune(NOW + timedelta(days=days), now=NOW, leaning=lambda _: ("job-100",))


def temporaries(root: Path) -> list[Path]:
    return list(root.rglob("*.tmp"))


def count_writes(root: Path, act: Callable[[Path], None] = a_night) -> int:
    seen = 0

    def note(number: int, _: str) -> None:
        nonlocal seen
        seen = number

    with before_each_write(note):
        act(root)
    return seen


def die_at(wanted: int) -> Callable[[int, str], None]:
    def act(number: int, _: str) -> None:
        if number == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def killed_at(wanted: int, act: Callable[[Path], None], root: Path) -> int | None:
    """How a fork of this process ended that kills itself at the Nth write: no other start takes as
    little, and there are many writes.
    """

    def until_killed() -> None:
        with before_each_write(die_at(wanted)):
            act(root)

    process = multiprocessing.get_context("fork").Process(target=until_killed)
    process.start()
    process.join()
    return process.exitcode


if __name__ == "__main__":
    if len(sys.argv) > 2:
        with before_each_write(die_at(int(sys.argv[2]))):
            (a_prune if sys.argv[3:] == ["prune"] else a_night)(Path(sys.argv[1]))
    else:
        sys.stdout.write(f"{count_writes(Path(sys.argv[1]))}\n")
