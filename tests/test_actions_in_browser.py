"""The whole way in a browser without JavaScript, with the program as people start it.

the site -> a job -> abort -> what came of it; labels of one job, a flag on twenty
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from jmreport import pipeline
from jmreport.collectors.demo import Demo, serve
from jmreport.pipeline import Source
from jmreport.progress import SilentProgress
from jmreport.settings import Actions, Api, Collect, Settings, Site, Snapshots

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
ACTIONS = ("AbortJob", "UpdateJobLabels")


class Running(Struct, frozen=True):
    """The program as it was started, and the Job Manager behind it."""

    start: str
    demo: Demo
    process: "subprocess.Popen[str]"
    folder: Path

    @property
    def origin(self) -> str:
        return self.start.partition("/start")[0]

    def arrived(self) -> list[tuple[str, Any, int]]:
        return [
            (each.target, json.loads(each.body) if each.body else None, each.status)
            for each in self.demo.requests.last
            if each.operation in ACTIONS
        ]

    def audit(self, event: str) -> list[dict[str, Any]]:
        lines = (self.folder / "audit.jsonl").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["event"] == event]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder, port = tmp_path_factory.mktemp("serve"), free_port()
    demo = Demo(now=NOW, jobs=1500)
    with serve(demo, port=0) as manager:
        settings = Settings(
            api=Api(url=manager.url),
            site=Site(dir=str(folder / "site")),
            snapshots=Snapshots(dir=str(folder / "snapshots")),
            collect=Collect(timeframe="HOURS_24"),
            actions=Actions(url=f"http://127.0.0.1:{port}"),
        )
        pipeline.build(
            settings,
            now=NOW,
            source=Source(url=manager.url),
            environ={},
            progress=SilentProgress(),
            workers=1,
        )
        (folder / "jmreport.toml").write_text(
            f'[api]\nurl = "{manager.url}"\n'
            f'[actions]\nurl = "http://127.0.0.1:{port}"\nport = {port}\naudit = "audit.jsonl"\n'
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "jmreport", "serve", "--mode", "local"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("JMREPORT_")},
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith(f"open http://127.0.0.1:{port}/start?token="), line
            yield Running(line.split()[1], demo, process, folder)
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def session(running: Running, browser: Any) -> list[Any]:
    """The cookie of local mode, of which there is one: the start address is good once."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(running.start)
    assert page.url == f"{running.origin}/"
    found: list[Any] = context.cookies()
    context.close()
    return found


def test_the_whole_way_without_javascript(
    running: Running, session: list[Any], browser: Any
) -> None:
    """What arrived at the Job Manager, in its order, is what was clicked, each once."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    context.add_cookies(session)
    page.goto(f"{running.origin}/")

    # From the list of jobs to a job that runs, and to its abort.
    page.get_by_role("navigation").get_by_role("link", name="Jobs", exact=True).click()
    page.goto(f"{running.origin}/jobs/status-running.html")
    page.locator(".c-job a").first.click()
    page.get_by_role("link", name="Abort this job").click()
    page.get_by_role("heading", name="Abort this job?").wait_for()
    job = page.url.partition("job=")[2]
    page.get_by_role("button", name="Abort it").click()
    page.wait_for_url("**/actions/outcome*")
    page.get_by_text("the server took it (200); the job is Aborting").wait_for()
    page.reload()
    page.get_by_text("the server took it (200)").wait_for()

    # A label of a job that failed.
    page.goto(f"{running.origin}/actions/jobs?status=Failed")
    failed = page.locator("input[name=job]").first.get_attribute("value")
    page.locator("input[name=job]").first.check()
    page.get_by_role("button", name="Labels of the chosen").click()
    page.get_by_label("Comment").fill("seen; <b>disk</b> was full")
    page.get_by_role("button", name="Save labels").click()
    page.wait_for_url("**/actions/outcome*")
    page.get_by_text("seen; <b>disk</b> was full").wait_for()

    # Twenty at once.
    page.goto(f"{running.origin}/actions/jobs?status=Succeeded")
    boxes = page.locator("input[name=job]")
    chosen = [boxes.nth(at).get_attribute("value") for at in range(20)]
    for at in range(20):
        boxes.nth(at).check()
    page.get_by_role("button", name="Labels of the chosen").click()
    page.get_by_role("button", name="Flag: archive").click()
    page.wait_for_url("**/actions/outcome*")
    page.get_by_role("heading", name="20 of 20 jobs done").wait_for()
    context.close()

    assert running.arrived() == [
        (f"/api/v1/jobs/{job}/abort", None, 200),
        (
            f"/api/v1/jobs/{failed}/updateLabels",
            {"labels": {"comment": "seen; <b>disk</b> was full"}},
            200,
        ),
        *(
            (f"/api/v1/jobs/{each}/updateLabels", {"labels": {"flag": "archive"}}, 200)
            for each in chosen
        ),
    ]
    assert len(running.audit("asked")) == len(running.audit("came")) == 22
    assert complaints == []


@pytest.mark.parametrize("script", [True, False])
def test_enter_in_a_field_saves_what_was_typed_and_sets_no_flag(
    running: Running, session: list[Any], browser: Any, script: bool
) -> None:
    """A browser then presses the first button of the form, which must not be a flag's."""
    context = browser.new_context(java_script_enabled=script)
    context.add_cookies(session)
    page = context.new_page()
    before = len(running.arrived())
    page.goto(f"{running.origin}/actions/jobs?status=Failed")
    job = page.locator("input[name=job]").last.get_attribute("value")
    page.goto(f"{running.origin}/actions/labels?job={job}")
    # What is wrong with a form is where the keyboard is, with nothing to be pressed.
    page.get_by_role("button", name="Save labels").click()
    page.locator("[role=alert]:focus").wait_for()
    page.get_by_label("Comment").fill(f"typed with {script}")
    page.get_by_label("Comment").press("Enter")
    page.wait_for_url("**/actions/outcome*")
    context.close()
    assert running.arrived()[before:] == [
        (
            f"/api/v1/jobs/{job}/updateLabels",
            {"labels": {"comment": f"typed with {script}"}},
            200,
        )
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_a_phone_and_have_no_fault_for_those_who_hear_them(
    running: Running, session: list[Any], browser: Any, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, bypass_csp=True
    )
    context.add_cookies(session)
    page = context.new_page()
    page.goto(f"{running.origin}/actions/jobs?status=Succeeded")
    kinds = {"": "jobs", "Labels of the chosen": "labels", "Abort the chosen": "abort"}
    for name, kind in kinds.items():
        page.goto(f"{running.origin}/actions/jobs?status=Running")
        if name:
            for at in range(2):
                page.locator("input[name=job]").nth(at).check()
            page.get_by_role("button", name=name).click()
        # A click comes back when the next page has begun, which may have no element yet.
        page.wait_for_url(f"**/actions/{kind}*")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, f"{kind} is {width} wide"
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    context.close()


class Elsewhere:
    """A page of another server on this machine: of the same site, which sends strict cookies."""

    def __init__(self, body: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/"


def test_no_page_elsewhere_frames_it_or_sends_its_forms(
    running: Running, session: list[Any], browser: Any
) -> None:
    """Also not one whose requests bring the cookie along, as those of the same machine do."""
    context = browser.new_context()
    context.add_cookies(session)
    before = running.arrived()
    refused = len(running.audit("refused"))
    target = f"{running.origin}/actions/jobs"
    tags = (
        f'<iframe name="f" src="{target}"></iframe>',
        f'<object data="{target}"></object>',
        f'<embed src="{target}">',
        f'<img src="{running.origin}/"><script src="{target}"></script>',
    )
    elsewhere = Elsewhere("".join(tags))
    page = context.new_page()
    page.goto(elsewhere.url, wait_until="networkidle")
    assert all("Act on jobs" not in frame.content() for frame in page.frames)
    assert len(running.audit("refused")) >= refused + len(tags)
    elsewhere.http.shutdown()

    page.goto(f"{running.origin}/actions/jobs?status=Running")
    job = page.locator("input[name=job]").first.get_attribute("value")
    post = f"{running.origin}/actions/abort?job={job}"
    script = "<script>document.forms[0].submit()</script>"
    elsewhere = Elsewhere(f'<form method="post" action="{post}"><input name="csrf"></form>{script}')
    page.goto(elsewhere.url)
    page.wait_for_url("**/actions/abort*")
    assert "the Origin is not ours" in page.content()
    elsewhere.http.shutdown()

    fetch = f'<script>fetch("{post}", {{method: "POST", credentials: "include"}})</script>'
    elsewhere = Elsewhere(fetch)
    page.goto(elsewhere.url, wait_until="networkidle")
    elsewhere.http.shutdown()
    context.close()
    assert running.arrived() == before


def test_a_signal_ends_it_well(running: Running) -> None:
    running.process.send_signal(signal.SIGTERM)
    out, err = running.process.communicate(timeout=20)
    assert (running.process.returncode, out, err) == (0, "", "")
