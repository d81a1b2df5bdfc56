"""Habits of the two real servers, met by whole builds over HTTP; and the table of all of them.

What each habit is and which tests meet it stands in tests/README.md.
"""

import ast
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jmreport import pipeline
from jmreport.collectors.demo import Demo, Like, serve
from jmreport.errors import Exit
from jmreport.progress import SilentProgress
from jmreport.records import moment
from jmreport.settings import Api, Collect, Settings, Site, Snapshots

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
HABITS = range(1, 37)
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
LINK = re.compile(r"\[`([\w.]+)::(\w+)`\]\(([\w.]+)\)")


def table() -> dict[int, tuple[str, list[tuple[str, str, str]]]]:
    """Number -> what the habit is, and its tests: file, name, link."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    return {int(n): (what, LINK.findall(tests)) for n, what, tests in ROW.findall(text)}


@cache
def names_of(name: str) -> frozenset[str]:
    nodes = ast.walk(ast.parse((HERE / name).read_text(encoding="utf-8")))
    return frozenset(n.name for n in nodes if isinstance(n, ast.FunctionDef))


def test_every_habit_is_in_the_table_once() -> None:
    text = (HERE / "README.md").read_text(encoding="utf-8")
    assert [int(row[0]) for row in ROW.findall(text)] == list(HABITS)


@pytest.mark.parametrize("habit", HABITS)
def test_every_habit_is_met_by_tests_that_exist(habit: int) -> None:
    """At least one of them is about the program that reads, not about the built-in server."""
    what, tests = table()[habit]
    assert what.strip()
    for file, name, link in tests:
        assert file == link
        assert name.startswith("test_")
        assert name in names_of(file), f"{file}::{name}"
    assert any(not file.startswith("test_demo") for file, _, _ in tests)


class Asked(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class Ear:
    """Stands before a server, hears what is asked, and may answer first."""

    def __init__(
        self, demo: Demo, first: Callable[[Asked], tuple[int, dict[str, str], bytes] | None]
    ) -> None:
        self.demo, self.first = demo, first
        self.heard: list[Asked] = []

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        asked = Asked(method, target, headers, json.loads(body) if body else None)
        self.heard.append(asked)
        return self.first(asked) or self.demo.respond(method, target, headers, body)

    def queries(self) -> list[Any]:
        return [one.body for one in self.heard if one.path.endswith("/jobs/query")]


class Built(NamedTuple):
    ear: Ear
    outcome: pipeline.Outcome
    site: Path

    @property
    def rows(self) -> dict[str, Any]:
        lines = (self.site / "data/jobs.ndjson").read_text(encoding="utf-8").splitlines()
        return {row["id"]: row for row in map(json.loads, lines)}

    def page(self, job: str) -> str:
        return (self.site / str(self.rows[job]["page"])).read_text(encoding="utf-8")

    @property
    def quality(self) -> str:
        return (self.site / "quality.html").read_text(encoding="utf-8")


def built(
    folder: Path,
    like: Like,
    *,
    jobs: int = 60,
    first: Callable[[Asked], Any] = lambda _: None,
    api: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    **collect: Any,
) -> Built:
    """A whole build over HTTP of a server with these habits."""
    ear = Ear(Demo(now=NOW, jobs=jobs, like=like), first)
    settings = Settings(
        site=Site(dir=str(folder / "site")),
        snapshots=Snapshots(dir=str(folder / "snapshots")),
        collect=Collect(**collect),
        api=Api(tries=1, **(api or {})),
    )
    with serve(ear, port=0) as http:
        http.start()
        outcome = pipeline.build(
            settings,
            now=NOW,
            source=pipeline.Source(url=http.url),
            environ=environ or {},
            progress=SilentProgress(),
            workers=1,
        )
    return Built(ear, outcome, folder / "site")


@pytest.mark.parametrize("like", ["cromwell", "dsub"])
def test_9_dates_of_requests_are_in_utc_with_a_z(tmp_path: Path, like: Like) -> None:
    """One server drops an offset, the other takes its own: only a Z is read right by both."""
    found = built(tmp_path, like, submission="2026-11-20T01:00:00+01:00")
    dates = [
        body[key]
        for body in found.ear.queries()
        for key in ("submission", "start", "end")
        if key in body
    ]
    assert dates
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", date) for date in dates)
    assert "2026-11-20T00:00:00Z" in dates
    assert all(
        (moment(row["submission"]) or NOW) >= datetime(2026, 11, 20, tzinfo=UTC)
        for row in found.rows.values()
    )


def test_10_end_is_sent_only_when_asked_for_so_what_runs_is_listed(tmp_path: Path) -> None:
    """A report of the week holds what still runs; one of what ended does not."""
    whole = built(tmp_path / "whole", "cromwell", jobs=100)
    assert all("end" not in body for body in whole.ear.queries())
    assert any(row["status"] == "Running" for row in whole.rows.values())
    ended = built(tmp_path / "ended", "cromwell", jobs=100, end="2026-11-23T00:00:00Z")
    assert ended.rows
    assert all(row["end"] for row in ended.rows.values())


def test_11_a_name_with_a_dash_never_meets_cromwells_refusal(tmp_path: Path) -> None:
    """It is not sent, and applied here: nothing is refused, and no other job is listed."""
    dashed = built(tmp_path / "dashed", "cromwell", name="sv-merge")
    assert dashed.rows == {}
    assert not any("-" in body.get("name", "") for body in dashed.ear.queries())
    assert dashed.outcome.run is not None
    assert dashed.outcome.run.gaps == ()
    plain = built(tmp_path / "plain", "cromwell", jobs=100, name="sv_merge")
    assert {row["name"] for row in plain.rows.values()} == {"sv_merge"}


@pytest.mark.parametrize("like", ["cromwell", "dsub"])
def test_13_nothing_is_sent_that_was_not_configured(tmp_path: Path, like: Like) -> None:
    """No token, no project, no user: dsub's local provider refuses any."""
    found = built(tmp_path, like)
    for one in found.ear.heard:
        assert not {"authorization", "authentication"} & {name.lower() for name in one.headers}
        assert "projectId" not in str(one.body) + one.path
    assert found.rows


def test_23_a_lists_cut_submission_gives_way_to_the_details(tmp_path: Path) -> None:
    """dsub's list knows whole seconds only: what is shown is what the detail says."""
    found = built(tmp_path, "dsub")
    demo = found.ear.demo
    job = next(iter(found.rows))
    detail = json.loads(demo.respond("GET", f"/api/v1/jobs/{job.replace('+', '%2B')}", {}, b"")[2])
    assert moment(found.rows[job]["submission"]) == moment(detail["submission"])


def test_36_attempts_of_dsub_are_jobs_each_with_a_page_that_names_its_group(
    tmp_path: Path,
) -> None:
    """They share a label, which has a page of its own for them."""
    found = built(tmp_path, "dsub", jobs=100)
    groups: dict[str, list[str]] = {}
    for job, row in found.rows.items():
        groups.setdefault(row["labels"].get("job-id", job), []).append(job)
    name, several = next((name, jobs) for name, jobs in groups.items() if len(jobs) > 1)
    for job in several:
        assert name in found.page(job)
        array = "task-id" in found.rows[job]["labels"]
        said = "Tasks of its array" if array else "answer names none"
        assert said in found.page(job)


def test_36_a_dsub_job_without_its_detail_shows_what_its_row_holds(tmp_path: Path) -> None:
    """Its row says nearly everything: how it went, by whom, and where its logs lie."""

    def no_detail(asked: Asked) -> tuple[int, dict[str, str], bytes] | None:
        return (500, {}, b"") if "/jobs/%2B" in asked.path or "/jobs/proj" in asked.path else None

    found = built(tmp_path, "dsub", jobs=200, first=no_detail)
    assert found.outcome.exit is Exit.INCOMPLETE
    failed = next(job for job, row in found.rows.items() if row["status"] == "Failed")
    page = found.page(failed)
    assert "could not be read" in page
    assert "running-docker" in page
