"""For good: what the server forgets stays, says so, and reads in two years from a folder alone."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from jmreport import pipeline
from jmreport.collectors.demo import Demo, serve
from jmreport.errors import Exit
from jmreport.progress import SilentProgress
from jmreport.records import run_id
from jmreport.settings import Collect, Settings, Site, Snapshots

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


class Forgetful:
    """A server that no longer lists some jobs, and answers 404 or 500 for some details."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.forgotten: set[str] = set()
        self.unreadable: set[str] = set()

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        path = target.partition("?")[0]
        job = unquote(path.removeprefix("/api/v1/jobs/"))
        if job in self.forgotten:
            return 404, {"Content-Type": "text/plain"}, b"unknown"
        if job in self.unreadable:
            return 500, {"Content-Type": "text/plain"}, b"archived"
        status, answered, raw = self.demo.respond(method, target, headers, body)
        if path.endswith("/jobs/query") and status == 200:
            tree = json.loads(raw)
            rows = tree["results"]
            tree["results"] = [row for row in rows if row["id"] not in self.forgotten]
            for row in tree["results"]:
                if row["id"] in self.unreadable:
                    row.setdefault("labels", {})["flag"] = "archive"
            if "totalSize" in tree:
                tree["totalSize"] -= len(self.forgotten)
            answered = {k: v for k, v in answered.items() if k.lower() != "content-length"}
            raw = json.dumps(tree).encode()
        return status, answered, raw


@pytest.fixture
def server() -> Iterator[tuple[Forgetful, str]]:
    forgetful = Forgetful(Demo(now=NOW, jobs=40, like="cromwell", archived=0.0))
    with serve(forgetful, port=0) as running:
        running.start()
        yield forgetful, running.url


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        site=Site(dir=str(tmp_path / "site")),
        snapshots=Snapshots(dir=str(tmp_path / "snapshots")),
        collect=Collect(timeframe="ALL_TIME"),
    )


def build(settings: Settings, url: str, now: datetime) -> pipeline.Outcome:
    return pipeline.build(
        settings,
        now=now,
        source=pipeline.Source(url=url),
        environ={},
        progress=SilentProgress(),
        workers=1,
    )


def rows(settings: Settings) -> dict[str, dict[str, Any]]:
    lines = Path(settings.site.dir, "data/jobs.ndjson").read_text().split("\n")
    return {row["id"]: row for row in map(json.loads, filter(None, lines))}


def page(settings: Settings, job: str) -> str:
    return Path(settings.site.dir, rows(settings)[job]["page"]).read_text()


def quality(settings: Settings) -> str:
    return " ".join(Path(settings.site.dir, "quality.html").read_text().split())


def ended(settings: Settings) -> list[str]:
    return sorted(
        job
        for job, row in rows(settings).items()
        if row["status"] in ("Succeeded", "Failed", "Aborted")
    )


def test_what_the_server_forgot_stays_and_says_when_it_was_last_seen(
    server: tuple[Forgetful, str], settings: Settings
) -> None:
    """Its page, the lists and the quality page know; a job that comes back is there again."""
    forgetful, url = server
    build(settings, url, NOW)
    forgetful.forgotten = set(ended(settings)[:7])
    build(settings, url, LATER)
    assert forgetful.forgotten <= rows(settings).keys()
    for job in forgetful.forgotten:
        assert "The server no longer knows this job." in page(settings, job)
        assert "23 Nov 2026, 02:14 UTC" in page(settings, job)
    kept = next(job for job in ended(settings) if job not in forgetful.forgotten)
    assert "no longer knows" not in page(settings, kept)
    assert "Jobs that the server no longer has" in quality(settings)
    assert "Last seen there" in quality(settings)
    assert pipeline.check(settings) == ()

    back = sorted(forgetful.forgotten)[0]
    forgetful.forgotten.discard(back)
    forgetful.forgotten.add(kept)
    build(settings, url, LATER + timedelta(days=1))
    assert "no longer knows" not in page(settings, back)
    assert "The first of them was last seen there" in quality(settings)
    assert all("no longer knows" in page(settings, job) for job in forgetful.forgotten)


def test_a_report_does_not_pass_over_what_lay_in_a_run_that_is_gone(
    settings: Settings,
) -> None:
    """Listed jobs of which nothing is stored make it incomplete, until the next run reads them."""
    with serve(Demo(now=NOW, jobs=12, like="dsub"), port=0) as running:
        running.start()
        for at in (NOW, LATER):
            build(settings, running.url, at)
        kept = rows(settings).keys()
        shutil.rmtree(Path(settings.snapshots.dir, "runs", run_id(NOW)))
        outcome = pipeline.render(settings, progress=SilentProgress(), workers=1)
        lost = len(kept - rows(settings).keys())
        told = f"{lost} jobs of the newest list"
        assert lost > 0
        assert outcome.exit == Exit.INCOMPLETE
        assert told in outcome.summary[1]
        assert told in quality(settings)
        healed = build(settings, running.url, LATER + timedelta(days=1))
    assert healed.exit == Exit.DONE
    assert rows(settings).keys() == kept
    assert told not in quality(settings)


def test_an_archived_job_keeps_the_detail_that_was_read(
    server: tuple[Forgetful, str], settings: Settings
) -> None:
    """Still listed, detail gone: not lost, and its older detail stays, which its page says."""
    forgetful, url = server
    build(settings, url, NOW)
    archived = ended(settings)[3]
    forgetful.unreadable = {archived}
    assert build(settings, url, LATER).exit == Exit.INCOMPLETE
    html = " ".join(page(settings, archived).split())
    assert "no longer knows" not in html
    assert "detail could not be read again" in html
    assert "those of an earlier reading" in html


def test_a_folder_of_two_years_ago_makes_its_pages_without_a_network(
    server: tuple[Forgetful, str], settings: Settings, tmp_path: Path
) -> None:
    """The snapshots alone, copied somewhere; no network library is even there."""
    _, url = server
    build(settings, url, NOW)
    site = {path.name for path in Path(settings.site.dir, "jobs").rglob("*.html")}
    moved = tmp_path / "attic"
    moved.mkdir()
    Path(settings.snapshots.dir).rename(moved / "snapshots")
    (moved / "snapshots/index.sqlite").unlink()
    blocked = "import sys\nfor name in ('httpx', 'httpcore', 'google', 'tenacity', 'socket'):\n"
    program = blocked.replace(", 'socket'", "") + (
        "    sys.modules[name] = None\n"
        "from jmreport.cli import main\n"
        "raise SystemExit(main(['render', '-q', '--workers', '1']))"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], cwd=moved, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (Exit.DONE, "")
    assert {path.name for path in (moved / "site/jobs").rglob("*.html")} == site
