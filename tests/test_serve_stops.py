"""The program `jmreport serve` while a form is under way: a signal, a closed terminal, a kill."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from actions_cases import FORM, NOW, stored
from started import heeding

from jmreport.collectors.demo import Demo, serve

PATIENCE = 60.0


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored(tmp_path_factory.mktemp("stored"))


class Holding:
    """The built-in server, which keeps whoever asks for an action waiting."""

    def __init__(self) -> None:
        self.demo = Demo(now=NOW, jobs=400)
        self.held, self.go_on = threading.Event(), threading.Event()
        self.actions: list[str] = []

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if target.endswith(("/abort", "/updateLabels")):
            self.actions.append(target)
            self.held.set()
            self.go_on.wait(PATIENCE)
        return self.demo.respond(method, target, headers, body)

    def jobs(self) -> list[str]:
        body = json.dumps({"pageSize": 400, "status": ["Running", "OnHold", "Submitted"]}).encode()
        _, _, answer = self.demo.respond(
            "POST", "/api/v1/jobs/query", {"Content-Type": "application/json"}, body
        )
        rows = json.loads(answer)["results"]
        return [row["id"] for row in rows if row["submission"] >= "2026-11-16T02:14"][:3]


class Program:
    """`jmreport serve` in local mode, and the one browser that it let in."""

    def __init__(self, day: Path, folder: Path, url: str) -> None:
        self.folder, self.cookie = folder, ""
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            heeding(
                *("serve", "--mode", "local", "--port", "0", "--api-url", url),
                *("--site", str(day / "site"), "--snapshots", str(day / "snapshots")),
            ),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("JMREPORT_")},
        )
        assert self.process.stdout is not None
        start = urlsplit(self.process.stdout.readline().split()[1])
        self.host = start.netloc
        _, headers, _ = self.ask("GET", f"{start.path}?{start.query}")
        self.cookie = headers["set-cookie"].partition(";")[0]

    def ask(
        self, method: str, target: str, fields: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        headers = {"Cookie": self.cookie}
        if fields is not None:
            headers |= {"Origin": f"http://{self.host}", "Content-Type": FORM}
        body = None if fields is None else urlencode(fields)
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read().decode()

    def send(self, jobs: list[str], into: list[Any]) -> threading.Thread:
        """The abort form of these jobs, on its way."""
        target = f"/actions/abort?{urlencode([('job', job) for job in jobs])}"
        _, _, page = self.ask("GET", target)
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)
        form = {name: unescape(value) for name, value in hidden}

        def post() -> None:
            try:
                into.append(self.ask("POST", target, form))
            except (OSError, http.client.HTTPException) as error:
                into.append(error)

        thread = threading.Thread(target=post)
        thread.start()
        return thread

    def audit(self) -> list[tuple[str, str, str]]:
        lines = (self.folder / "actions-audit.jsonl").read_text().splitlines()
        told = [json.loads(line) for line in lines]
        return [(x["event"], x["job"], x.get("came", "")) for x in told if "job" in x]


@contextmanager
def at_work(day: Path, folder: Path) -> Iterator[tuple[Holding, Program, list[str], list[Any]]]:
    """The program with a form under way, of which the first job is at the Job Manager."""
    held = Holding()
    with serve(held, port=0) as server:
        program = Program(day, folder, server.url)
        answers: list[Any] = []
        jobs = held.jobs()
        try:
            sending = program.send(jobs, answers)
            assert held.held.wait(PATIENCE)
            yield held, program, jobs, answers
        finally:
            held.go_on.set()
            sending.join(PATIENCE)
            program.process.kill()
            program.process.communicate()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_lets_the_job_under_way_end_and_the_rest_is_told_as_not_sent(
    day: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    with at_work(day, tmp_path) as (held, program, jobs, answers):
        program.process.send_signal(sent)
        # It waits for what is under way, and lets nobody in any more.
        with pytest.raises(subprocess.TimeoutExpired):
            program.process.wait(0.5)
        held.go_on.set()
        out, err = program.process.communicate(timeout=PATIENCE)
        assert (program.process.returncode, out, err) == (0, "", "")
    [(status, _, page)] = answers
    assert status == 200
    assert "1 of 3 jobs done" in page
    assert page.count("jmreport was stopped before") == 2
    assert len(held.actions) == 1
    one, two, three = jobs
    assert program.audit() == [
        ("asked", one, ""),
        ("came", one, "done"),
        ("left out", two, "not sent"),
        ("left out", three, "not sent"),
    ]


def test_a_kill_leaves_what_was_asked_and_the_next_start_says_that_nobody_knows(
    day: Path, tmp_path: Path
) -> None:
    with at_work(day, tmp_path) as (held, program, jobs, answers):
        program.process.kill()
        program.process.communicate(timeout=PATIENCE)
        assert program.audit() == [("asked", jobs[0], "")]
        held.go_on.set()
    assert isinstance(answers[0], (OSError, http.client.HTTPException))
    with serve(Demo(now=NOW, jobs=400), port=0) as server:
        again = Program(day, tmp_path, server.url)
        again.process.terminate()
        again.process.communicate(timeout=PATIENCE)
    assert again.audit() == [("asked", jobs[0], ""), ("came", jobs[0], "unknown")]
    assert len(held.actions) == 1
