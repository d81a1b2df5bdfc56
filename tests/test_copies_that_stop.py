"""One signal ends a command that copies to or from a mirror, though the bucket is silent."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gcs_server import BUCKET, Gcs, served

from jmreport.cli import main
from jmreport.collectors.demo import Demo, serve
from jmreport.errors import Exit
from jmreport.records import moment

NOW = "2026-11-23T02:14:00Z"
#: Seconds for which the bucket is silent, unless the test is over.
SILENT = 30.0


class Silent:
    """A bucket that says nothing more to some requests; the first of them brings the signal."""

    def __init__(self, to: Callable[[str, str], bool]) -> None:
        self._to = to
        self._first = threading.Lock()
        self.over = threading.Event()
        self.begun, self.waited_for = 0, 0

    def __call__(self, method: str, path: str) -> None:
        if not self._to(method, path):
            return
        with self._first:
            self.begun += 1
            if self.begun == 1:
                os.kill(os.getpid(), signal.SIGTERM)
        if not self.over.wait(SILENT):
            self.waited_for += 1


@pytest.fixture(scope="module")
def gcs() -> Iterator[Gcs]:
    with served() as found:
        yield found


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    now = moment(NOW)
    assert now is not None
    with serve(Demo(now=now, jobs=20), port=0) as server:
        yield server.url


@pytest.fixture
def machine(
    gcs: Gcs, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], None]]:
    """Begins a new machine with the mirror alone."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
    # What is under way is waited for: long enough for nothing to be left out.
    monkeypatch.setattr("jmreport.bucket.threads._LAST", 0.5)

    def new(name: str) -> None:
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        Path("jmreport.toml").write_text(
            f'api.url = "{url}"\nsnapshots.mirror = "gs://{BUCKET}/jobs"\n'
        )

    # As the command line would by itself, were a signal to come too late.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield new
    signal.signal(signal.SIGTERM, before)
    gcs.healthy()
    for name in gcs.objects():
        gcs.delete(name)


def a_file(method: str, path: str) -> bool:
    return method == "GET" and "alt=media" in path and "zst" in path


def a_page(method: str, path: str) -> bool:
    return method == "GET" and "alt=media" in path and "html" in path


def an_upload(method: str, path: str) -> bool:
    return method == "POST" and path.startswith("/upload/")


COLLECT = ("collect", "-q", "--now", NOW)
#: Of a mirror that has a run there is no upload but by threads.
LATER = ("collect", "-q", "--now", "2026-11-23T05:14:00Z")
RENDER = ("render", "-q", "--workers", "1")


@pytest.mark.parametrize(
    ("before", "stopped", "to"),
    [
        ([COLLECT], COLLECT, a_file),
        ([COLLECT], LATER, an_upload),
        ([COLLECT, (*RENDER, "--shard", "1/1")], (*RENDER, "--parts"), a_page),
        ([COLLECT], (*RENDER, "--shard", "1/1"), an_upload),
    ],
    ids=["snapshots pulled", "snapshots pushed", "pages pulled", "pages pushed"],
)
def test_one_signal_ends_it_and_nobody_waits_for_the_bucket(
    machine: Callable[[str], None],
    gcs: Gcs,
    before: list[tuple[str, ...]],
    stopped: tuple[str, ...],
    to: Callable[[str, str], bool],
) -> None:
    """A job on Cloud Run has ten seconds, in which a night still says how it ended. No thread that
    is left behind holds up the end of the program, and the next command goes on from there."""
    machine("one")
    for command in before:
        assert main(command) == 0
    machine("two")
    gcs.fault = silent = Silent(to)
    try:
        assert main(stopped) == Exit.INTERRUPTED
        assert (silent.begun > 0, silent.waited_for) == (True, 0)
        assert [thread for thread in left_behind() if not thread.daemon] == []
    finally:
        silent.over.set()
    for thread in left_behind():
        thread.join(SILENT)
    gcs.healthy()
    assert main(stopped) == 0
    assert main(["check"]) == 0


def left_behind() -> list[threading.Thread]:
    """The threads of copies that still wait for an answer."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("bucket-")]
