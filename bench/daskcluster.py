"""A dask cluster on this machine: a scheduler and workers of one thread, each a process."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, json

from bench.measuring import ENVIRONMENT

#: Seconds that a scheduler or a worker has to be there.
_PATIENCE = 60.0


class Cluster(Struct, frozen=True):
    """Where its scheduler is, as `--executor` wants it, and its processes."""

    address: str
    pids: tuple[int, ...]


@contextmanager
def running(folder: Path, *, workers: int) -> Iterator[Cluster]:
    """A cluster whose workers the scheduler knows; its logs are in `folder`."""
    told = folder / "scheduler.json"
    options = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(told))
    started = [_started(folder, "scheduler", *options, "--port", "0")]
    try:
        _until(told.exists)
        for at in range(workers):
            own = ("--no-nanny", "--nthreads", "1", "--name", str(at))
            started.append(_started(folder, "worker", *options, *own))
        logs = [folder / f"worker-{at}.log" for at in range(1, workers + 1)]
        _until(lambda: all("Registered to" in log.read_text() for log in logs))
        address = json.decode(told.read_bytes())["address"].replace("tcp:", "dask:")
        yield Cluster(address, tuple(each.pid for each in started))
    finally:
        for each in reversed(started):
            each.kill()
            each.wait()


def _started(folder: Path, what: str, *options: str) -> "subprocess.Popen[bytes]":
    number = len(list(folder.glob("*.log")))
    with (folder / (f"{what}-{number}.log" if number else f"{what}.log")).open("wb") as log:
        return subprocess.Popen(  # noqa: S603 (dask's own command)
            [sys.executable, "-m", "dask", what, *options],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=ENVIRONMENT,
        )


def _until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not there():
        if time.monotonic() > end:
            raise TimeoutError("no dask cluster came up on this machine")
        time.sleep(0.02)
