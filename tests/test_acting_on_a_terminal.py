"""`jmreport abort` and `label` on a terminal, which is asked, types Ctrl-C, and can be closed."""

import json
import os
import pty
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from started import heeding

from jmreport.cli import main
from jmreport.collectors.demo import Demo, serve
from jmreport.collectors.demo.serve import Server
from jmreport.errors import Exit

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
PATIENCE = 60.0


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *args: str, folder: Path) -> None:
        self._mine, its = pty.openpty()
        self.said = ""
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            heeding(*args),
            cwd=folder,
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("JMREPORT_")},
        )
        os.close(its)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def until(self, text: str) -> None:
        """Wait for it to say so."""
        self._read(lambda: text in self.said)

    def type(self, keys: str) -> None:
        # No person is faster. A Ctrl-C between the question's last letter and the wait for an
        # answer is lost to Python's own `input`, which then waits for the next key.
        time.sleep(0.5)
        os.write(self._mine, keys.encode())

    def close(self) -> None:
        """Close its window."""
        os.close(self._mine)

    def end(self) -> int:
        """All that it says until it ends, and its exit code."""
        self._read(lambda: False)
        self.close()
        return self.process.wait(PATIENCE)

    def _read(self, enough: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not enough():
            assert time.monotonic() < until, f"it only said {self.said!r}"
            if not select.select([self._mine], [], [], 0.2)[0]:
                continue
            try:
                came = os.read(self._mine, 65536)
            except OSError:  # Linux's word for a terminal that nobody writes to any more
                return
            if not came:
                return
            self.said += came.decode()


class Holding:
    """The built-in server, which keeps whoever asks for an action waiting, or for what else is
    named by how its address ends."""

    def __init__(self, *ends: str) -> None:
        self.ends = ends or ("/abort", "/updateLabels")
        self.demo = Demo(now=NOW, jobs=400)
        self.held = threading.Event()
        self.go_on = threading.Event()
        self.actions: list[str] = []

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        # Before it is let go: the thread that answers may outlast the command, and the test.
        if target.endswith(("/abort", "/updateLabels")):
            self.actions.append(target)
        if target.endswith(self.ends):
            self.held.set()
            self.go_on.wait(PATIENCE)
        return self.demo.respond(method, target, headers, body)


@contextmanager
def holding(*ends: str) -> Iterator[tuple[Holding, str]]:
    held = Holding(*ends)
    with serve(held, port=0) as server:
        try:
            yield held, server.url
        finally:
            held.go_on.set()


def ids(demo: Demo, *statuses: str) -> list[str]:
    body = json.dumps({"pageSize": 200, "status": statuses}).encode()
    _, _, answer = demo.respond(
        "POST", "/api/v1/jobs/query", {"Content-Type": "application/json"}, body
    )
    return [row["id"] for row in json.loads(answer)["results"]]


def asked_for(server: Server) -> list[str]:
    assert isinstance(server.demo, Demo)
    return [
        each.target
        for each in server.demo.requests.last
        if each.operation in ("AbortJob", "UpdateJobLabels")
    ]


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("y\n", 0, ""),
        ("n\n", 0, "nothing was sent"),
        ("\n", 0, "nothing was sent"),
        ("\x04", 130, "stopped: nothing was sent"),
        ("\x03", 130, "stopped: nothing was sent"),
    ],
)
def test_an_abort_shows_the_job_as_it_is_now_and_is_sent_only_on_a_yes(
    typed: str, code: int, said: str, tmp_path: Path
) -> None:
    """No snapshot is needed, and nothing but y or yes is one."""
    with serve(Demo(now=NOW, jobs=400), port=0) as server:
        [job, *_] = ids(server.demo, "Running")  # type: ignore[arg-type]  # it is the Demo above
        with Terminal("-q", "abort", job, "--api-url", server.url, folder=tmp_path) as terminal:
            terminal.until("abort 1 job? [y/N]: ")
            assert f"{job}  Running" in terminal.said
            assert asked_for(server) == []
            terminal.type(typed)
            assert terminal.end() == code
            assert said in terminal.said
            assert len(asked_for(server)) == (typed == "y\n")


def test_every_job_that_where_means_is_shown_before_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with serve(Demo(now=NOW, jobs=400), port=0) as server:
        url = ["--api-url", server.url]
        assert main(["collect", "-q", "--now", "2026-11-23T02:14:00Z", *url]) == 0
        with Terminal(
            "label", "--where", "status=Succeeded", "a=b", *url, folder=tmp_path
        ) as terminal:
            terminal.until("? [y/N]: ")
            shown = [line for line in terminal.said.splitlines() if "  Succeeded  " in line]
            assert len(shown) > 60
            assert f"set a=b on {len(shown)} jobs?" in terminal.said
            terminal.type("n\n")
            assert terminal.end() == 0
            assert asked_for(server) == []


@pytest.mark.parametrize("how", ["typed", signal.SIGTERM, signal.SIGHUP])
def test_what_ctrl_c_cuts_short_is_told_as_unknown_and_the_rest_as_not_sent(
    how: str | signal.Signals, tmp_path: Path
) -> None:
    with holding() as (held, url):
        one, two, three = ids(held.demo, "Running", "OnHold", "Submitted")[:3]
        with Terminal(
            "abort", one, two, three, "--yes", "--api-url", url, folder=tmp_path
        ) as terminal:
            assert held.held.wait(PATIENCE)
            if isinstance(how, str):
                terminal.type("\x03")
            else:
                terminal.process.send_signal(how)
            assert terminal.end() == 130
    assert f"{one}: unknown: nobody knows whether it was done: jmreport was stop" in terminal.said
    assert f"{two}: not sent: jmreport was stopped before" in terminal.said
    assert f"{three}: not sent: jmreport was stopped before" in terminal.said
    assert "0 of 3 done" in terminal.said
    assert "look at the job that is unknown before you try once more" in terminal.said
    assert len(held.actions) == 1


def test_ctrl_c_before_anything_was_sent_is_told_of_each_job(tmp_path: Path) -> None:
    with holding("/capabilities") as (held, url):
        jobs = ids(held.demo, "Running", "OnHold", "Submitted")[:2]
        with Terminal("abort", *jobs, "--yes", "--api-url", url, folder=tmp_path) as terminal:
            assert held.held.wait(PATIENCE)
            terminal.type("\x03")
            assert terminal.end() == 130
    for job in jobs:
        assert f"{job}: not sent: jmreport was stopped before" in terminal.said
    assert held.actions == []


def test_ctrl_c_while_the_server_is_silent_about_a_job_ends_it_at_once(tmp_path: Path) -> None:
    """Nobody was asked yet, and nobody waits for the answers that are under way."""
    demo = Demo(now=NOW, jobs=400)
    jobs = ids(demo, "Running", "OnHold", "Submitted")[:2]
    with (
        holding(*jobs) as (held, url),
        Terminal("abort", *jobs, "--api-url", url, folder=tmp_path) as terminal,
    ):
        assert held.held.wait(PATIENCE)
        terminal.type("\x03")
        assert terminal.process.wait(PATIENCE / 3) == Exit.INTERRUPTED
    assert held.actions == []


def test_a_program_that_reads_json_hears_of_what_was_cut_short_too(tmp_path: Path) -> None:
    with holding() as (held, url):
        one, two = ids(held.demo, "Running", "OnHold", "Submitted")[:2]
        process = subprocess.Popen(  # noqa: S603 - our own program
            heeding("abort", one, two, "--yes", "--json", "--api-url", url),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert held.held.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert [(each["job"], each["outcome"]) for each in json.loads(out)] == [
        (one, "unknown"),
        (two, "not sent"),
    ]


def test_a_terminal_that_is_closed_stops_it_after_the_job_under_way(tmp_path: Path) -> None:
    with holding() as (held, url):
        one, two = ids(held.demo, "Running", "OnHold", "Submitted")[:2]
        with Terminal("abort", one, two, "--yes", "--api-url", url, folder=tmp_path) as terminal:
            assert held.held.wait(PATIENCE)
            terminal.close()
            assert terminal.process.wait(PATIENCE) == Exit.INTERRUPTED
    assert len(held.actions) == 1


def test_a_terminal_that_is_closed_over_a_question_is_no_answer(tmp_path: Path) -> None:
    """Nothing is sent, and it counts as interrupted, though nobody can be told so any more."""
    with holding() as (held, url):
        (one,) = ids(held.demo, "Running", "OnHold", "Submitted")[:1]
        with Terminal("abort", one, "--api-url", url, folder=tmp_path) as terminal:
            terminal.until("[y/N]: ")
            terminal.close()
            assert terminal.process.wait(PATIENCE) == Exit.INTERRUPTED
    assert held.actions == []
