"""Servers that list sub-workflows beside the jobs that run them: each failure counts once."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from listing_server import Jobs
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.collectors.demo import serve
from jmreport.pipeline import Source
from jmreport.progress import SilentProgress
from jmreport.settings import Api, Collect, Settings, Site, Snapshots

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def server() -> Iterator[tuple[Jobs, str]]:
    jobs = Jobs()
    with serve(jobs, port=0) as running:
        running.start()
        yield jobs, running.url


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


def settings_in(folder: Path) -> Settings:
    return Settings(
        api=Api(tries=1, page_size=2),
        collect=Collect(timeframe="DAYS_7"),
        site=Site(dir=str(folder / "site")),
        snapshots=Snapshots(dir=str(folder / "snapshots")),
    )


def put(jobs: Jobs, job: str, *, parent: str = "", ran: str = "", status: str = "Failed") -> None:
    """A job that ended an hour before the night, and the one that runs it or that it runs."""
    extensions: dict[str, Any] = {"parentJobId": parent} if parent else {}
    if ran:
        extensions["tasks"] = [{"name": "wgs.part", "jobId": ran, "executionStatus": status}]
    # The newest submission comes first, so a sub-workflow before the job that runs it.
    at = NOW - 2 * HOUR + timedelta(minutes=len(jobs.rows))
    jobs.put(job, status, at.isoformat(), (NOW - HOUR).isoformat(), extensions=extensions)


def build(settings: Settings, url: str, now: datetime = NOW) -> dict[str, Any]:
    """The report."""
    pipeline.build(
        settings, now=now, source=Source(url=url), environ={}, progress=SilentProgress(), workers=1
    )
    found: dict[str, Any] = json.loads(Path(settings.site.dir, "data/report.json").read_text())
    return found


def listed(settings: Settings) -> set[str]:
    """The jobs of the list of jobs."""
    lines = Path(settings.site.dir, "data/jobs.ndjson").read_text().splitlines()
    return {json.loads(line)["id"] for line in lines}


def test_a_sub_workflow_that_is_listed_counts_with_the_job_that_runs_it(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    jobs, url = server
    put(jobs, "top", ran="mid")
    put(jobs, "mid", parent="top", ran="low")
    put(jobs, "low", parent="mid")
    report = build(settings, url)
    assert listed(settings) == {"top"}
    assert (report["counts"]["failing"], report["counts"]["total"]) == (1, 1)
    # Each was asked for once, and what lies below has its page.
    assert sorted(jobs.details) == ["low", "mid", "top"]
    quality = Path(settings.site.dir, "quality.html").read_text()
    assert "The list names sub-workflows too." in quality
    assert any(page.name.startswith("low") for page in Path(settings.site.dir, "jobs").iterdir())
    # The next night asks for nothing again.
    build(settings, url, NOW + DAY)
    assert sorted(jobs.details) == ["low", "mid", "top"]
    assert listed(settings) == {"top"}


@pytest.mark.parametrize("parent", ["elsewhere", "low"])
def test_a_job_whose_parent_nobody_knows_stays_a_job(
    server: tuple[Jobs, str], settings: Settings, parent: str
) -> None:
    jobs, url = server
    put(jobs, "low", parent=parent)
    assert build(settings, url)["counts"]["failing"] == 1
    assert listed(settings) == {"low"}


def test_a_job_that_its_parent_knows_nothing_of_stays_a_job(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    """Whoever told of its failure below a parent that does not name it would tell of it nowhere."""
    jobs, url = server
    put(jobs, "top", status="Succeeded")
    put(jobs, "mid", parent="top", ran="low")
    put(jobs, "low", parent="mid")
    report = build(settings, url)
    assert (report["counts"]["failing"], report["counts"]["total"]) == (1, 2)
    assert listed(settings) == {"top", "mid"}
    assert sorted(jobs.details) == ["low", "mid", "top"]
    # Also where the parent had been read before, and is not read again.
    put(jobs, "late", parent="top")
    assert build(settings, url, NOW + HOUR)["counts"]["failing"] == 2
    assert listed(settings) == {"top", "mid", "late"}
    assert jobs.details[3:] == ["late"]


def test_what_a_limit_leaves_out_below_a_job_is_a_gap_and_no_job(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    jobs, url = server
    put(jobs, "top", ran="low")
    put(jobs, "low", parent="top")
    put(jobs, "far", parent="low")
    jobs.rows["low"]["extensions"]["tasks"] = [{"name": "wgs.part", "jobId": "far"}]
    report = build(replace(settings, collect=replace(settings.collect, max_depth=1)), url)
    assert not report["complete"]
    assert listed(settings) == {"top"}


def test_jobs_that_name_one_another_stay_jobs(server: tuple[Jobs, str], settings: Settings) -> None:
    jobs, url = server
    put(jobs, "a", parent="b")
    put(jobs, "b", parent="c")
    put(jobs, "c", parent="b")
    build(settings, url)
    assert listed(settings) == {"a", "b", "c"}


def test_one_whose_parent_only_the_store_knows_is_told_below_it(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    jobs, url = server
    put(jobs, "top", status="Running")
    build(settings, url)
    jobs.unlisted.add("top")
    put(jobs, "low", parent="top")
    build(settings, url, NOW + HOUR)
    assert "low" not in listed(settings)
    assert any(page.name.startswith("low") for page in Path(settings.site.dir, "jobs").iterdir())


def test_one_that_counted_as_a_job_of_its_own_goes_on_as_one(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    """Nothing that a store knows of a job is given up, its row of a list neither."""
    jobs, url = server
    put(jobs, "top", ran="low")
    put(jobs, "low")
    build(settings, url)
    jobs.rows["low"]["extensions"] = {"parentJobId": "top"}
    build(settings, url, NOW + HOUR)
    assert listed(settings) == {"low", "top"}


def test_parts_tell_the_same_of_them(server: tuple[Jobs, str], tmp_path: Path) -> None:
    """Whichever part a sub-workflow's own id would belong to."""
    jobs, url = server
    for number in range(4):
        put(jobs, f"top{number}", ran=f"low{number}")
        put(jobs, f"low{number}", parent=f"top{number}")
    whole, parts = settings_in(tmp_path / "whole"), settings_in(tmp_path / "parts")
    more: dict[str, Any] = {"now": NOW, "environ": {}, "progress": SilentProgress()}
    for shard in ("1/2", "2/2"):
        pipeline.collect_part(parts, shard, source=Source(url=url), **more)
    merged = pipeline.merge(parts, (), **more).run
    asked = sorted(jobs.details)
    jobs.details.clear()
    run = pipeline.collect(whole, source=Source(url=url), **more).run
    assert sorted(jobs.details) == asked == sorted(jobs.rows)
    assert merged
    assert run
    assert merged.notes == run.notes
    sites = []
    for one in (whole, parts):
        where = replace(one, site=Site(dir=str(tmp_path / "site")))
        pipeline.render(where, progress=SilentProgress(), workers=1)
        assert listed(where) == {f"top{number}" for number in range(4)}
        sites.append(Path(where.site.dir, "data/report.json").read_bytes())
    assert sites[0] == sites[1]
