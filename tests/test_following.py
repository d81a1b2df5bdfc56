"""Jobs that left the window are asked for until it is known how they ended."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from listing_server import Jobs
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.analysis import summarise
from jmreport.collectors.demo import serve
from jmreport.errors import Exit
from jmreport.pipeline import Source
from jmreport.pipeline.following import Following
from jmreport.progress import SilentProgress
from jmreport.render import addresses
from jmreport.settings import Api, Collect, Settings, Site, Snapshots
from jmreport.snapshots import Shard, Store

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LONG = "11111111-0000-4000-8000-000000000001"
BELOW = "33333333-0000-4000-8000-000000000001"


@pytest.fixture
def server() -> Iterator[tuple[Jobs, str]]:
    """One job has run for two days, and one ends each night."""
    jobs = Jobs()
    for night in range(12):
        at = NOW + night * DAY
        jobs.put(f"ok-{night}", "Succeeded", _text(at - HOUR), _text(at - HOUR / 2))
    jobs.put(LONG, "Running", _text(NOW - 2 * DAY))
    with serve(jobs, port=0) as running:
        running.start()
        yield jobs, running.url


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        api=Api(tries=1),
        collect=Collect(timeframe="HOURS_24"),
        site=Site(dir=str(tmp_path / "site")),
        snapshots=Snapshots(dir=str(tmp_path / "snapshots")),
    )


def collect(settings: Settings, url: str, night: int) -> pipeline.Outcome:
    return pipeline.collect(
        settings,
        now=NOW + night * DAY,
        source=Source(url=url),
        environ={},
        progress=SilentProgress(),
    )


def told(settings: Settings) -> dict[str, Any]:
    """What the report says, and the page of the job that ran long."""
    site = Path(settings.site.dir)
    pipeline.render(settings, progress=SilentProgress(), workers=1)
    report: dict[str, Any] = json.loads((site / "data" / "report.json").read_text())
    return {**report["counts"], "page": (site / addresses.job(LONG)).read_text()}


def ends(jobs: Jobs, **more: Any) -> None:
    jobs.put(LONG, "Failed", _text(NOW - 2 * DAY), _text(NOW + 18 * HOUR), **more)


def _text(at: datetime) -> str:
    return at.isoformat()


def test_a_job_that_could_not_be_read_once_is_told_of_when_it_can(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    """Nobody knows how it ended until then, and nobody says that the server has lost it."""
    jobs, url = server
    collect(settings, url, 0)
    ends(jobs)
    jobs.refused[LONG] = 500
    collect(settings, url, 1)
    report = told(settings)
    assert (report["unknown"], report["running"]) == (1, 0)
    assert "The server no longer knows this job" not in report["page"]
    assert "could not tell how it ended" in report["page"]
    collect(settings, url, 2)
    del jobs.refused[LONG]
    assert collect(settings, url, 3).exit == Exit.DONE
    assert told(settings)["new"] == 1


def test_a_server_whose_address_is_written_otherwise_behind_nights_off_is_the_same(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    """What failed meanwhile is told of, and what could not be read before is asked for again."""
    jobs, url = server
    _fails_while_off(jobs, settings, url)
    outcome = collect(settings, url.replace("/api/v1", "/"), 4)
    assert outcome.run is not None
    assert outcome.run.notes == ()
    assert "late" in jobs.details
    assert told(settings)["new"] == 1


def test_what_failed_before_a_server_moved_is_told_of_behind_it(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    """It may be another one, of which more is read then. Behind a month some of it is a gap."""
    jobs, url = server
    _fails_while_off(jobs, settings, url)
    with serve(jobs, port=0) as elsewhere:
        elsewhere.start()
        outcome = collect(settings, elsewhere.url, 4)
        assert outcome.run is not None
        assert outcome.run.notes == (
            f"The runs before were of {url}; this one is of {elsewhere.url}.",
        )
        assert told(settings)["new"] == 1
    with serve(jobs, port=0) as again:
        again.start()
        assert collect(settings, again.url, 44).exit == Exit.INCOMPLETE


def _fails_while_off(jobs: Jobs, settings: Settings, url: str) -> None:
    """A job that cannot be read in the last night, and one that fails in one that is left out."""
    at = NOW + DAY
    jobs.put("late", "Succeeded", _text(at - 3 * HOUR), _text(at - 2 * HOUR))
    jobs.refused["late"] = 500
    collect(settings, url, 1)
    jobs.put("bad", "Failed", _text(at + 21 * HOUR), _text(at + 22 * HOUR))
    del jobs.refused["late"]
    jobs.details.clear()


def test_a_job_that_its_server_does_not_know_is_asked_for_no_more(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    jobs, url = server
    collect(settings, url, 0)
    del jobs.rows[LONG]
    assert collect(settings, url, 1).exit == Exit.INCOMPLETE
    assert "The server no longer knows this job" in told(settings)["page"]
    ends(jobs)
    jobs.details.clear()
    assert collect(settings, url, 2).exit == Exit.DONE
    assert LONG not in jobs.details


def test_a_job_that_cannot_be_read_is_given_up_when_its_work_has_no_state_any_more(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    jobs, url = server
    collect(settings, url, 0)
    ends(jobs)
    jobs.refused[LONG] = 500
    for night in (1, 4, 7, 8, 9):
        jobs.details.clear()
        collect(settings, url, night)
        assert (LONG in jobs.details) is (night <= 7)


def test_a_run_that_asked_for_other_jobs_ends_no_following(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    """Somebody looks for one workflow in the evening, and the night goes on as before."""
    jobs, url = server
    collect(settings, url, 0)
    collect(replace(settings, collect=Collect(timeframe="HOURS_24", name="other")), url, 1)
    ends(jobs)
    collect(settings, url, 2)
    assert told(settings)["new"] == 1


def test_what_could_not_be_read_of_a_job_that_ended_is_asked_for_when_it_left_the_window(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    """The night that lacks it says so, and not those after it, which lack nothing of their own."""
    jobs, url = server
    jobs.refused["ok-0"] = 500
    assert collect(settings, url, 0).exit == Exit.INCOMPLETE
    jobs.details.clear()
    assert collect(settings, url, 1).exit == Exit.DONE
    assert "ok-0" in jobs.details
    del jobs.refused["ok-0"]
    assert collect(settings, url, 2).exit == Exit.DONE
    with Store.open(Path(settings.snapshots.dir), summarise=summarise) as store:
        entry = store.entry("ok-0")
    assert entry
    assert entry.row.readable
    assert not entry.row.gaps
    jobs.details.clear()
    collect(settings, url, 3)
    assert "ok-0" not in jobs.details


def test_a_sub_workflow_that_could_not_be_read_is_asked_for_without_the_job_above_it(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    jobs, url = server
    call = {"name": "wgs.align", "executionStatus": "Failed", "jobId": BELOW}
    ends(jobs, extensions={"tasks": [call]})
    jobs.put(BELOW, "Failed", _text(NOW - DAY), _text(NOW - 20 * HOUR))
    jobs.unlisted.add(BELOW)
    jobs.refused[BELOW] = 500
    whole = replace(settings, collect=Collect(timeframe="DAYS_7"))
    collect(whole, url, 1)
    del jobs.refused[BELOW]
    jobs.details.clear()
    collect(settings, url, 2)
    assert BELOW in jobs.details
    assert LONG not in jobs.details
    with Store.open(Path(settings.snapshots.dir), summarise=summarise) as store:
        entry = store.entry(BELOW)
    assert entry
    assert entry.row.readable
    assert (entry.row.parent, entry.row.listed) == (LONG, False)


def test_of_several_parts_each_follows_what_is_its_own(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    jobs, url = server
    jobs.refused["ok-0"] = 500
    run = collect(settings, url, 0).run
    assert run
    with Store.open(Path(settings.snapshots.dir), summarise=summarise) as store:
        parts = [
            [
                job.id
                for job in Following(store, run.asked, now=NOW + DAY, shard=Shard(number, 2)).jobs(
                    ()
                )
            ]
            for number in (1, 2)
        ]
    assert sorted(parts[0] + parts[1]) == [LONG, "ok-0"]
