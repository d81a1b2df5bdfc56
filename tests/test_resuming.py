"""One archive in many runs: stopped anywhere, started again, nothing is fetched twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from counting_server import Counting

from jmreport import pipeline
from jmreport.analysis import summarise
from jmreport.collectors.demo import Demo, serve
from jmreport.errors import Exit, RefusedError, SnapshotError
from jmreport.models import TimeFrame
from jmreport.progress import SilentProgress
from jmreport.settings import Api, Collect, Settings, Site, Snapshots
from jmreport.snapshots import Store

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
#: Of a week's jobs there are 31, and 62 sub-workflows below them.
FRAME: TimeFrame = "DAYS_7"


@pytest.fixture
def server() -> Iterator[tuple[Counting, str]]:
    counting = Counting(a_demo(), seconds=0.005)
    with serve(counting, port=0) as running:
        running.start()
        yield counting, running.url


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        api=Api(concurrency=4, tries=1, page_size=20),
        site=Site(dir=str(tmp_path / "site")),
        snapshots=Snapshots(dir=str(tmp_path / "snapshots")),
        collect=Collect(timeframe=FRAME),
    )


def collect(settings: Settings, url: str, minutes: int = 0) -> pipeline.Outcome:
    return pipeline.collect(
        settings,
        now=NOW + timedelta(minutes=minutes),
        source=pipeline.Source(url=url),
        environ={},
        progress=SilentProgress(),
    )


@contextmanager
def collecting(settings: Settings, url: str) -> Iterator["subprocess.Popen[str]"]:
    """The program itself, in a process of its own."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [
            sys.executable, "-m", "jmreport", "collect", "--timeframe", FRAME,
            "--api-url", url, "--page-size", "20", "--now", NOW.isoformat(),
            "--snapshots", settings.snapshots.dir,
        ],
        env=os.environ | {"JMREPORT_API_CONCURRENCY": "4"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The jobs that an undisturbed run knows."""
    undisturbed = Settings(
        snapshots=Snapshots(dir=str(tmp_path_factory.mktemp("undisturbed") / "snapshots")),
        collect=Collect(timeframe=FRAME),
    )
    with serve(a_demo(), port=0) as running:
        running.start()
        collect(undisturbed, running.url)
    return known(undisturbed)


def a_demo() -> Demo:
    return Demo(now=NOW, jobs=160, like="cromwell", archived=0.0)


def known(settings: Settings) -> set[str]:
    with Store.open(Path(settings.snapshots.dir), summarise=summarise) as store:
        return {entry.row.id for entry in store.entries() if entry.row.readable}


def half_read(settings: Settings) -> set[str]:
    """The jobs whose detail came, and whose attempts did not: they are asked for once more."""
    with Store.open(Path(settings.snapshots.dir), summarise=summarise) as store:
        return {entry.row.id for entry in store.entries() if entry.row.readable and entry.row.gaps}


def wait_for(counting: Counting, details: int) -> None:
    deadline = time.monotonic() + 30
    while counting.details.total() < details:
        assert time.monotonic() < deadline, counting.details.total()
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("after", [1, 30])
def test_a_run_that_is_stopped_goes_on_where_it_was(
    server: tuple[Counting, str],
    settings: Settings,
    everything: set[str],
    number: signal.Signals,
    after: int,
) -> None:
    """Ctrl-C, SIGTERM, a closed terminal: exit 130, a line that says so, and no detail is lost."""
    counting, url = server
    with collecting(settings, url) as process:
        wait_for(counting, after)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert process.returncode == Exit.INTERRUPTED, err
    assert out == ""
    given = len(counting.details)
    assert after <= given < len(everything)
    jobs = "1 job is" if given == 1 else f"{given} jobs are"
    assert f"stopped: {jobs} safe in {settings.snapshots.dir}" in err
    assert "run the same command again" in err
    with pytest.raises(SnapshotError, match="stopped before it ended") as nothing:
        pipeline.render(settings, progress=SilentProgress(), workers=1)
    assert f"{jobs} safe there" in nothing.value.hint
    before = dict(counting.details)
    outcome = collect(settings, url, 1)
    assert outcome.exit == Exit.DONE
    assert counting.twice(Path(settings.snapshots.dir)) == set()
    assert before.keys() <= known(settings)
    assert known(settings) == everything
    assert pipeline.check(settings) == ()


@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_is_killed_costs_what_was_under_way(
    server: tuple[Counting, str], settings: Settings, everything: set[str], seed: int
) -> None:
    """kill -9: again at most what was in flight, and one block of text that was not yet written."""
    counting, url = server
    at = random.Random(seed).randint(5, 60)  # noqa: S311 - when to kill
    with collecting(settings, url) as process:
        wait_for(counting, at)
        process.kill()
        process.communicate()
    outcome = collect(settings, url, 1)
    assert outcome.exit == Exit.DONE
    # Four are fetched at a time, four wait their turn; the demo's bodies fill a block or more.
    assert len(counting.twice(Path(settings.snapshots.dir))) <= 16
    assert known(settings) == everything
    assert pipeline.check(settings) == ()


def test_stopped_again_and_again_it_ends_some_day(
    server: tuple[Counting, str], settings: Settings, everything: set[str]
) -> None:
    """Three runs that are stopped, each a little further, and one that ends."""
    counting, url = server
    for number in range(3):
        with collecting(settings, url) as process:
            wait_for(counting, 15 * (number + 1))
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)
    collect(settings, url, 1)
    assert counting.twice(Path(settings.snapshots.dir)) == set()
    assert known(settings) == everything


def test_a_server_that_goes_away_leaves_what_it_gave(
    server: tuple[Counting, str], settings: Settings, everything: set[str]
) -> None:
    """The first half is shown, with what is missing; the next run asks for the other half only."""
    counting, url = server

    def go(given: int) -> None:
        if given >= len(everything) // 2:
            counting.gone = (503, {"Content-Type": "text/plain"}, b"gone")

    counting.before = go
    outcome = collect(settings, url)
    assert outcome.exit == Exit.INCOMPLETE
    assert outcome.run is not None
    half = len(counting.details)
    assert f"{half} jobs are safe in {settings.snapshots.dir}" in outcome.summary[-1]
    assert "run the same command again" in outcome.summary[-1]
    assert pipeline.render(settings, progress=SilentProgress(), workers=1).exit == Exit.INCOMPLETE
    assert len(list(Path(settings.site.dir, "jobs").rglob("*.html"))) >= half
    assert "ncomplete" in Path(settings.site.dir, "index.html").read_text()

    counting.before, counting.gone = None, None
    unfinished = half_read(settings)
    assert len(unfinished) <= settings.api.concurrency
    assert collect(settings, url, 1).exit == Exit.DONE
    assert counting.twice(Path(settings.snapshots.dir)) <= unfinished
    assert known(settings) == everything


def test_a_token_that_ends_in_the_middle_costs_nothing(
    server: tuple[Counting, str], settings: Settings, everything: set[str]
) -> None:
    """Exit 4, with what is safe and how to go on; the next run asks for the rest only."""
    counting, url = server

    def end(given: int) -> None:
        if given >= len(everything) // 3:
            counting.gone = (401, {"Content-Type": "text/plain"}, b"token expired")

    counting.before = end
    with pytest.raises(RefusedError) as refused:
        collect(settings, url)
    assert f"jobs are safe in {settings.snapshots.dir}" in refused.value.hint
    assert "run the same command again" in refused.value.hint
    counting.before, counting.gone = None, None
    unfinished = half_read(settings)
    assert len(unfinished) <= settings.api.concurrency
    assert collect(settings, url, 1).exit == Exit.DONE
    assert counting.twice(Path(settings.snapshots.dir)) <= unfinished
    assert known(settings) == everything


def test_sub_workflows_that_were_not_reached_are_fetched_by_the_next_run(
    server: tuple[Counting, str], settings: Settings, everything: set[str]
) -> None:
    """A job's own detail was stored, its sub-workflows were not: they are still missing things."""
    counting, url = server
    stored = Settings(
        api=settings.api,
        snapshots=settings.snapshots,
        collect=Collect(timeframe=FRAME, max_depth=0),
    )
    collect(stored, url)
    only_listed = known(settings)
    outcome = collect(settings, url, 1)
    assert outcome.run is not None
    assert outcome.run.counts.sub_workflows > 0
    assert only_listed < known(settings)
    assert counting.twice(Path(settings.snapshots.dir)) == set()
    assert known(settings) == everything
