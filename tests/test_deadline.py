"""A run that is given so much time ends with what it has, says so, and the next one goes on."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from counting_server import Counting
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.analysis import summarise
from jmreport.client import Client
from jmreport.collectors.demo import Demo, serve
from jmreport.errors import Exit, ServerError, UnreadableError
from jmreport.gaps import TIME_UP
from jmreport.progress import SilentProgress
from jmreport.settings import Api, Collect, Settings, Site, Snapshots
from jmreport.snapshots import Store

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[tuple[Counting, str]]:
    demo = Demo(now=NOW, jobs=240, like="cromwell", archived=0.0)
    counting = Counting(demo, seconds=0.03)
    with serve(counting, port=0) as running:
        running.start()
        yield counting, running.url


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        api=Api(concurrency=2, tries=2, page_size=20),
        site=Site(dir=str(tmp_path / "site")),
        snapshots=Snapshots(dir=str(tmp_path / "snapshots")),
        collect=Collect(timeframe="DAYS_7"),
    )


def build(
    settings: Settings, url: str, *, minutes: int = 0, seconds: float | None = None
) -> pipeline.Outcome:
    return pipeline.build(
        settings,
        now=NOW + timedelta(minutes=minutes),
        source=pipeline.Source(url=url),
        environ={},
        progress=SilentProgress(),
        workers=1,
        until=None if seconds is None else time.monotonic() + seconds,
    )


def test_what_there_was_no_time_for_is_told_and_comes_with_the_next_run(
    server: tuple[Counting, str], settings: Settings
) -> None:
    """Listed, with the reason on the quality page; nothing that was read is asked for again."""
    counting, url = server
    outcome = build(settings, url, seconds=1.5)
    assert outcome.exit == Exit.INCOMPLETE
    assert outcome.run is not None
    read = len(counting.details)
    assert {gap.why.partition(" before")[0] for gap in outcome.run.gaps} == {TIME_UP}
    assert "run the same command again" in " ".join(outcome.summary)
    assert TIME_UP in Path(settings.site.dir, "quality.html").read_text()
    with Store.open(Path(settings.snapshots.dir), summarise=summarise) as store:
        unread = {entry.row.id for entry in store.entries() if entry.row.gaps}
    before = dict(counting.details)
    ample = replace(settings, api=replace(settings.api, concurrency=8))
    assert build(ample, url, minutes=5).exit == Exit.DONE
    assert 0 < read < len(counting.details)
    again = {job for job, times in counting.details.items() if times > before.get(job, 0)}
    with Store.open(Path(settings.snapshots.dir), summarise=summarise) as store:
        entries = tuple(store.entries())
    active = {entry.row.id for entry in entries if entry.row.active}
    below = {entry.row.id for entry in entries if not entry.row.listed}
    assert again & before.keys() <= unread | active | below
    assert not any(entry.row.gaps for entry in entries)
    assert pipeline.check(settings) == ()


def test_a_list_that_took_too_long_is_a_hole_and_no_list_at_all_is_nothing_usable(
    server: tuple[Counting, str], settings: Settings
) -> None:
    counting, url = server
    with pytest.raises(ServerError, match=TIME_UP):
        build(settings, url, seconds=0.0)
    assert not Path(settings.site.dir).exists()
    assert not counting.details


def test_an_answer_under_way_and_a_wait_end_with_the_time() -> None:
    """A server that asks to wait for a minute is not waited for beyond the time there is."""
    asked = 0

    def busy(*_: object) -> tuple[int, dict[str, str], bytes]:
        nonlocal asked
        asked += 1
        return 503, {"Retry-After": "60", "Content-Type": "text/plain"}, b"busy"

    began = time.monotonic()
    with Client(Api(url="http://x.invalid"), respond=busy, until=began + 0.3) as client:
        with pytest.raises(UnreadableError, match=TIME_UP):
            client.job("a")
        assert asked == 1
        with pytest.raises(UnreadableError, match=TIME_UP):
            client.job("b")
    assert asked == 1
    assert 0.3 <= time.monotonic() - began < 30
