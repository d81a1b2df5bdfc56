"""Job pages made by the workers of a dask cluster: real processes, on this machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import site_cases
from site_cases import contents, entries, runs, write

from jmreport.cli import main
from jmreport.errors import Exit, JmreportError, UsageError
from jmreport.records import JobRow, Record
from jmreport.render import cluster
from jmreport.render.making import base_of
from jmreport.render.theme import Theme
from jmreport.settings import ReportSettings, Settings, Site

OVER = runs(2)
JOBS = entries(400, OVER)
NOBODY = "dask://127.0.0.1:1"


class Cluster:
    """A scheduler and its workers, each a process of its own with one thread."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scheduler.json"
        self._folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._started("scheduler", "--port", "0", "--scheduler-file", self._file)
        # It is there before it says anything, and is written in one go.
        until(lambda: self._file.exists() and self._file.read_text().endswith("}"))
        self.address = json.loads(self._file.read_text())["address"].replace("tcp:", "dask:")

    def add(self, number: int) -> None:
        """Starts workers, and waits until the scheduler knows them."""
        for _ in range(number):
            known = len(self.workers)
            options = ("--no-nanny", "--nthreads", "1", "--name", str(known))
            self.workers.append(self._started("worker", "--scheduler-file", self._file, *options))
        logs = [self._folder / f"worker-{at}.log" for at in range(1, len(self.workers) + 1)]
        until(lambda: all("Registered to" in log.read_text() for log in logs))

    def called(self) -> None:
        """Waits until somebody has come who wants work done."""
        log = self._folder / "scheduler.log"
        until(lambda: "Receive client connection" in log.read_text())

    def _started(self, what: str, *options: object) -> "subprocess.Popen[bytes]":
        name = what if what == "scheduler" else f"worker-{len(self.workers) + 1}"
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - the dask of these tests
                [sys.executable, "-m", "dask", what, "--host", "127.0.0.1", "--no-dashboard"]
                + [str(each) for each in options],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )

    def stop(self) -> None:
        for each in (*self.workers, self.scheduler):
            each.kill()
            each.wait()


def until(there: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def a_cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    folder.mkdir()
    started = Cluster(folder)
    try:
        started.add(workers)
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, for tests that leave them alive."""
    with a_cluster(tmp_path_factory.mktemp("pair") / "dask", 2) as started:
        yield started


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as one process makes it."""
    where = tmp_path_factory.mktemp("built") / "site"
    write(where, JOBS, OVER)
    return where


def pages(where: Path) -> int:
    """How many pages of jobs there are."""
    return len(list((where / "jobs").glob("*.html"))) if (where / "jobs").exists() else 0


def in_the_background(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    came: list[object] = []

    def done() -> None:
        try:
            came.append(work())
        except JmreportError as error:
            came.append(error)

    thread = threading.Thread(target=done)
    thread.start()
    return thread, came


def test_a_cluster_makes_the_same_bytes_as_one_process(
    tmp_path: Path, pair: Cluster, built: Path
) -> None:
    written = write(tmp_path, JOBS, OVER, executor=pair.address)
    assert contents(tmp_path) == contents(built)
    assert written.rewritten == written.pages_total


def test_a_command_makes_the_same_bytes_with_a_cluster(
    tmp_path: Path, pair: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a store, by the program; where nothing changed nobody is called."""
    common = ["-q", "--snapshots", str(tmp_path / "snapshots"), "--site", "site"]
    for folder, executor in (("one", ""), ("cluster", pair.address), ("cluster", NOBODY)):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        if not executor:
            asked = ["--demo", "--jobs", "60", "--now", "2026-11-23T02:14:00Z"]
            assert main(["build", *asked, *common, "--workers", "1"]) == Exit.DONE
        else:
            assert main(["render", *common, "--executor", executor]) == Exit.DONE
    assert contents(tmp_path / "cluster" / "site") == contents(tmp_path / "one" / "site")


def test_a_worker_killed_in_the_middle_costs_no_page(tmp_path: Path, built: Path) -> None:
    """It is stopped with work in its hands, others go on, it is killed: its work is done again."""
    where = tmp_path / "site"
    with a_cluster(tmp_path / "dask", 2) as dask:
        dask.workers[0].send_signal(signal.SIGSTOP)
        writing, came = in_the_background(lambda: write(where, JOBS, OVER, executor=dask.address))
        # The other one works off what it has, and what it is given; results come in order.
        time.sleep(3.0)
        assert writing.is_alive()
        assert pages(where) < len(JOBS)
        dask.workers[0].kill()
        writing.join(60)
    assert not writing.is_alive()
    assert not isinstance(came[0], JmreportError), came
    assert contents(where) == contents(built)


def test_a_cluster_that_is_slow_slows_the_reading(tmp_path: Path, built: Path) -> None:
    """No more is read than two batches for each thread, and the one that waits to be sent."""
    noted = tmp_path / "read"
    noted.touch()

    def noting(stored: dict[tuple[str, int], JobRow], *wanted: Any) -> Iterator[Record]:
        for record in site_cases.read(stored, *wanted):
            with noted.open("a") as file:
                file.write("read\n")
            yield record

    where = tmp_path / "site"
    with a_cluster(tmp_path / "dask", 1) as dask:
        dask.workers[0].send_signal(signal.SIGSTOP)
        writing, came = in_the_background(
            lambda: write(where, JOBS, OVER, executor=dask.address, reader=noting)
        )
        time.sleep(4.0)
        read = len(noted.read_text().splitlines())
        assert writing.is_alive()
        assert cluster.BATCH <= read <= 3 * cluster.BATCH
        dask.workers[0].send_signal(signal.SIGCONT)
        writing.join(60)
    assert not isinstance(came[0], JmreportError), came
    assert len(noted.read_text().splitlines()) == len(JOBS)
    assert contents(where) == contents(built)


@pytest.mark.parametrize("ended", [signal.SIGKILL, signal.SIGSTOP])
def test_a_cluster_that_is_lost_is_told_and_the_next_run_completes(
    tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch, ended: signal.Signals
) -> None:
    """The scheduler dies in the middle, or answers no more; what was written stays."""
    monkeypatch.setattr(cluster, "CONNECTING", 2.0)
    monkeypatch.setattr(cluster, "_LOOK", 0.5)
    where = tmp_path / "site"
    with a_cluster(tmp_path / "dask", 1) as dask:
        dask.workers[0].send_signal(signal.SIGSTOP)
        writing, came = in_the_background(lambda: write(where, JOBS, OVER, executor=dask.address))
        dask.called()
        dask.scheduler.send_signal(ended)
        dask.workers[0].send_signal(signal.SIGCONT)
        writing.join(60)
    assert isinstance(came[0], JmreportError)
    assert "has gone away" in came[0].message
    assert pages(where) < len(JOBS)
    write(where, JOBS, OVER)
    assert contents(where) == contents(built)


def test_a_cluster_without_workers_is_told(tmp_path: Path) -> None:
    with (
        a_cluster(tmp_path / "dask", 0) as dask,
        pytest.raises(JmreportError, match="has no workers"),
    ):
        write(tmp_path / "site", JOBS, OVER, executor=dask.address)


def test_workers_that_all_go_are_waited_for_and_then_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "WITHOUT_WORKERS", 1.0)
    monkeypatch.setattr(cluster, "_LOOK", 0.5)
    with a_cluster(tmp_path / "dask", 1) as dask:
        dask.workers[0].send_signal(signal.SIGSTOP)
        writing, came = in_the_background(
            lambda: write(tmp_path / "site", JOBS, OVER, executor=dask.address)
        )
        dask.called()
        dask.workers[0].kill()
        writing.join(60)
    assert isinstance(came[0], JmreportError)
    assert "has no workers" in came[0].message


def test_a_scheduler_that_does_not_answer_is_told_and_changes_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "CONNECTING", 1.0)
    monkeypatch.chdir(tmp_path)
    asked = ["--demo", "--jobs", "20", "--now", "2026-11-23T02:14:00Z"]
    assert main(["build", "-q", *asked, "--executor", NOBODY]) == Exit.FAILED
    assert "no dask scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err
    assert pages(tmp_path / "site") == 0


def test_a_scheduler_that_takes_the_call_and_is_silent_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night that waits for it without end would lock out all others."""
    monkeypatch.setattr(cluster, "CONNECTING", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        asking, came = in_the_background(
            lambda: write(tmp_path / "site", JOBS, OVER, executor=f"dask://{address}")
        )
        asking.join(30)
    assert came, "it is still waiting"
    assert isinstance(came[0], JmreportError)
    assert came[0].message == f"no dask scheduler answers at tcp://{address}"


@pytest.mark.parametrize(
    "executor", ["dask", "dask://", "dask://host", "tcp://127.0.0.1:8786", "dask://a b:1", "local"]
)
def test_what_is_no_executor_is_refused_before_a_server_is_asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    executor: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("build", "nightly"):
        assert main([command, "-q", "--demo", "--executor", executor]) == Exit.USAGE
        assert "write dask://HOST:PORT" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []  # noqa: PTH208 (nothing was made at all)


def test_without_dask_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError) as caught:
        cluster.scheduler("dask://127.0.0.1:8786")
    assert "jmreport[dask]" in caught.value.hint


def test_a_worker_with_another_jmreport_refuses(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would make other pages, though it is of the same version: the digest of its code tells."""
    kit = cluster.Kit(
        site=Site(),
        report=ReportSettings(),
        actions=None,
        version="0.1.0",
        labels=(),
        workflows=(),
        commands_need="",
        base=base_of(Theme(Settings(), version="0.1.0")),
    )
    module, read = root / "jmreport/calltimes.py", Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"#" * (path == module) + read(path))
    with pytest.raises(JmreportError, match="another jmreport"):
        cluster.make(msgspec.msgpack.encode(kit), [b""])
