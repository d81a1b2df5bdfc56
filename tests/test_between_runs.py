"""What was submitted between two windows: it is asked for, or the report says what nobody asked."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from listing_server import Jobs
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.analysis.coverage import FARTHEST, PATIENCE, leaves_out, reach
from jmreport.analysis.nights import Nights
from jmreport.collectors.demo import serve
from jmreport.errors import Exit, ServerError
from jmreport.gaps import Gap
from jmreport.pipeline import Source
from jmreport.progress import SilentProgress
from jmreport.records import Asked, Filters, Run, RunState, run_id
from jmreport.settings import Api, Collect, Settings, Site, Snapshots

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
HOUR = timedelta(hours=1)
LACKING = Gap(what="page 2 of the list", why="server error 500")


@pytest.fixture
def server() -> Iterator[tuple[Jobs, str]]:
    jobs = Jobs()
    with serve(jobs, port=0) as running:
        running.start()
        yield jobs, running.url


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        api=Api(tries=1, page_size=2),
        collect=Collect(timeframe="HOURS_24"),
        site=Site(dir=str(tmp_path / "site")),
        snapshots=Snapshots(dir=str(tmp_path / "snapshots")),
    )


def build(settings: Settings, url: str, now: datetime) -> pipeline.Outcome:
    return pipeline.build(
        settings, now=now, source=Source(url=url), environ={}, progress=SilentProgress(), workers=1
    )


def told(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(settings.site.dir, "data", "report.json").read_text())
    return found


def list_of_jobs(settings: Settings) -> str:
    return Path(settings.site.dir, "jobs", "index.html").read_text()


def usual(jobs: Jobs, *nights: datetime) -> None:
    """One job for each of some nights that nothing is wrong with."""
    for at in nights:
        jobs.put(f"ok-{at:%d}", "Succeeded", _text(at - HOUR), _text(at - HOUR / 2))


def _text(at: datetime) -> str:
    return at.isoformat()


def late(jobs: Jobs, after: datetime) -> None:
    """A job that fails in the minute behind a night."""
    jobs.put("late", "Failed", _text(after + MINUTE), _text(after + HOUR))


def test_a_night_that_begins_some_minutes_late_leaves_out_no_job(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    """As cron does, and as the end of summer time does by an hour."""
    jobs, url = server
    usual(jobs, NOW)
    build(settings, url, NOW)
    late(jobs, NOW)
    usual(jobs, NOW + DAY)
    outcome = build(settings, url, NOW + DAY + 3 * MINUTE)
    assert outcome.run
    assert outcome.run.asked.since == NOW
    assert told(settings)["counts"]["new"] == 1
    assert "Submitted in the last 24 hours" in list_of_jobs(settings)


def test_the_night_after_one_that_brought_nothing_asks_for_both(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    jobs, url = server
    usual(jobs, NOW)
    build(settings, url, NOW)
    late(jobs, NOW)
    jobs.broken_from = 0
    with pytest.raises(ServerError):
        build(settings, url, NOW + DAY)
    jobs.broken_from = None
    usual(jobs, NOW + 2 * DAY)
    assert build(settings, url, NOW + 2 * DAY).exit == Exit.DONE
    report = told(settings)
    assert (report["counts"]["new"], report["complete"]) == (1, True)
    assert "Submitted in the last 48 hours" in list_of_jobs(settings)


def test_what_a_list_without_its_last_pages_lacked_comes_with_the_next_run(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    jobs, url = server
    usual(jobs, NOW)
    build(settings, url, NOW)
    late(jobs, NOW)
    usual(jobs, *(NOW + DAY - hour * timedelta(hours=1) for hour in (0, 0)))
    for each in range(3):
        at = NOW + DAY - HOUR
        jobs.put(f"more-{each}", "Succeeded", _text(at), _text(at + MINUTE))
    jobs.broken_from = 2
    assert build(settings, url, NOW + DAY).exit == Exit.INCOMPLETE
    assert "late" not in jobs.details
    jobs.broken_from = None
    outcome = build(settings, url, NOW + 2 * DAY)
    assert outcome.run
    assert outcome.run.asked.since == NOW
    assert told(settings)["counts"]["new"] == 1


def test_a_run_of_one_hour_among_those_of_a_day_asks_for_what_came_since(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    jobs, url = server
    usual(jobs, NOW)
    build(settings, url, NOW)
    late(jobs, NOW)
    short = replace(settings, collect=Collect(timeframe="HOURS_1"))
    build(short, url, NOW + DAY)
    assert told(settings)["counts"]["new"] == 1


def test_what_is_too_long_ago_to_be_asked_for_is_told_and_ends_no_work(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    """Once: the next report is of one night, and lacks nothing."""
    jobs, url = server
    usual(jobs, NOW)
    build(settings, url, NOW)
    after = NOW + 40 * DAY
    usual(jobs, after)
    outcome = build(settings, url, after)
    assert outcome.exit == Exit.INCOMPLETE
    assert outcome.run
    assert outcome.run.asked.since == after - FARTHEST
    (gap,) = outcome.run.gaps
    assert gap.what == "jobs submitted between 2026-11-22 02:00 and 2026-12-01 02:00 UTC"
    assert gap.what in Path(settings.site.dir, "quality.html").read_text()
    usual(jobs, after + DAY)
    assert build(settings, url, after + DAY).exit == Exit.DONE


def test_parts_of_a_run_reach_back_as_the_whole_run_does(
    server: tuple[Jobs, str], settings: Settings
) -> None:
    jobs, url = server
    usual(jobs, NOW)
    build(settings, url, NOW)
    late(jobs, NOW)
    at = NOW + DAY + 3 * MINUTE
    more: dict[str, Any] = {"now": at, "environ": {}, "progress": SilentProgress()}
    for part in ("1/2", "2/2"):
        pipeline.collect_part(settings, part, source=Source(url=url), **more)
    merged = pipeline.merge(settings, (), **more).run
    assert merged
    assert merged.asked.since == NOW
    assert "late" in jobs.details


def run(
    days: float,
    *,
    hours: float = 24,
    state: RunState = "complete",
    whole: bool = True,
    filters: Filters = Filters(),  # noqa: B008 - it is frozen
    server: str = "http://jm",
) -> Run:
    now = NOW + days * DAY
    asked = Asked(
        server=server, timeframe="HOURS_24", since=now - timedelta(hours=hours), filters=filters
    )
    gaps = () if whole else (LACKING,)
    return Run(id=run_id(now), now=now, state=state, asked=asked, gaps=gaps)


def since(*runs: Run) -> datetime | None:
    """How far the last of some runs is to reach back."""
    return reach(runs[:-1], runs[-1].asked, runs[-1].now)


def test_a_run_reaches_back_to_the_last_that_listed_all_that_it_asks_for() -> None:
    named = Filters(name="wgs")
    assert since(run(0)) is None
    assert since(run(0), run(1)) == NOW
    assert since(run(0), run(1, state="failed"), run(2)) == NOW
    assert since(run(0), run(1, whole=False), run(2)) == NOW
    assert since(run(0), run(1, filters=named), run(2)) == NOW
    assert since(run(0), run(1, filters=named)) == NOW
    assert since(run(0, filters=named), run(1, filters=named)) == NOW
    assert since(run(0, filters=named), run(1)) is None
    assert since(run(0, server="http://other"), run(1)) == NOW  # it moved
    assert since(run(9), run(1)) is None  # a clock that was set back
    assert since(run(0), run(40)) == NOW + 40 * DAY - FARTHEST
    always_lacks = [run(day, whole=False) for day in range(1, 20)]
    assert since(run(0), *always_lacks[:8]) == NOW
    assert since(run(0), *always_lacks) == NOW + 19 * DAY - PATIENCE
    assert since(*always_lacks) is None


def test_only_what_was_asked_for_by_no_run_is_left_out() -> None:
    def left_out(*runs: Run) -> datetime | None:
        return leaves_out(runs[:-1], runs[-1].asked, runs[-1].now)

    late_night = NOW + DAY + MINUTE
    by_submission = Filters(submission=late_night - DAY)
    assert left_out(run(0), run(1)) is None
    assert left_out(run(0), run(1, hours=25)) is None
    assert left_out(run(0), run(1 + MINUTE / DAY)) == NOW
    assert left_out(run(1 + MINUTE / DAY)) is None
    assert left_out(run(0), run(1 + MINUTE / DAY, filters=by_submission)) is None


def test_work_is_not_missing_where_the_window_leaves_out_a_part_of_the_night() -> None:
    """As in older snapshots, whose runs asked for no more than their time frame."""
    days = [run(day) for day in range(8)]
    assert Nights(days).can_miss
    assert Nights(days).knows_idle
    short = Nights([*days[:-1], run(7, hours=1)])
    assert not short.can_miss
    assert not short.knows_idle
