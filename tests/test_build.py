"""The main job, end to end: a real server on a socket, snapshots on disk, a linked site."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from analysis_cases import run
from doses import dose
from listing_server import Jobs
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.analysis import summarise
from jmreport.collectors.demo import Demo, Like, serve
from jmreport.errors import Exit, NothingUsableError, UsageError
from jmreport.models import TIME_FRAMES
from jmreport.pipeline.collecting import keep_invented_jobs_apart
from jmreport.pipeline.values import BUILT_IN
from jmreport.progress import SilentProgress
from jmreport.records import FRAME_LENGTHS, moment
from jmreport.settings import Api, Collect, Settings, Site, Snapshots
from jmreport.snapshots import Store

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)


@pytest.fixture(params=["spec", "cromwell", "dsub"])
def like(request: pytest.FixtureRequest) -> Like:
    return cast(Like, request.param)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        site=Site(dir=str(tmp_path / "site")), snapshots=Snapshots(dir=str(tmp_path / "snapshots"))
    )


def build(settings: Settings, url: str, now: datetime = NOW) -> pipeline.Outcome:
    return pipeline.build(
        settings,
        now=now,
        source=pipeline.Source(url=url),
        environ={},
        progress=SilentProgress(),
        workers=1,
    )


def bytes_of(folder: str) -> dict[str, str]:
    """Address -> digest of every page and file a reader can open."""
    root = Path(folder)
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and ".jmreport" not in path.parts
    }


def listed_ids(demo: Demo, since: datetime) -> set[str]:
    """What a patient client would be told: the whole list in one page, or in many."""
    found: dict[str, Any] = {}
    token = None
    for _ in range(10_000):
        body: dict[str, Any] = {"pageSize": 256}
        if token:
            body["pageToken"] = token
        headers = {"Content-Type": "application/json"}
        status, _, raw = demo.respond(
            "POST", "/api/v1/jobs/query", headers, json.dumps(body).encode()
        )
        assert status == 200
        answer = json.loads(raw)
        before = len(found)
        found.update((row["id"], row) for row in answer["results"])
        token = answer.get("nextPageToken")
        if not token or len(found) == before:
            break
    return {
        job
        for job, row in found.items()
        if (moment(row["submission"]) or NOW) >= since
        or row["status"] not in ("Succeeded", "Failed", "Aborted")
    }


def test_every_listed_job_has_its_page_and_no_link_is_dead(settings: Settings, like: Like) -> None:
    """Pages for all jobs of the window and all active ones, on each kind of server."""
    demo = Demo(now=NOW, jobs=70, like=like)
    with serve(demo, port=0) as server:
        server.start()
        outcome = build(settings, server.url)
    assert outcome.exit in (Exit.DONE, Exit.INCOMPLETE)
    rows = [
        json.loads(line)
        for line in Path(settings.site.dir, "data/jobs.ndjson").read_text().splitlines()
    ]
    assert len({row["id"] for row in rows}) == len(rows)
    assert listed_ids(demo, NOW - timedelta(days=7)) <= {row["id"] for row in rows}
    for row in rows:
        assert Path(settings.site.dir, row["page"]).is_file()
    assert pipeline.check(settings) == ()


def test_a_second_run_asks_for_the_list_and_for_what_is_active(
    settings: Settings, like: Like
) -> None:
    """Finished jobs whose row is unchanged are never fetched again."""
    demo = Demo(now=NOW, jobs=70, like=like, archived=0.0)
    with serve(demo, port=0) as server:
        server.start()
        build(settings, server.url)
        details = demo.requests.count("GetJob")
        again = build(settings, server.url, NOW + timedelta(seconds=1))
    assert again.run is not None
    active = sum(
        1
        for line in Path(settings.site.dir, "data/jobs.ndjson").read_text().splitlines()
        if json.loads(line)["status"] not in ("Succeeded", "Failed", "Aborted")
    )
    assert again.run.counts.unchanged + active == again.run.counts.listed
    assert demo.requests.count("GetJob") - details <= 1.05 * active + again.run.counts.sub_workflows


def test_the_same_night_rendered_twice_changes_no_byte(settings: Settings) -> None:
    """`render` is a pure function of the snapshots; its now is the newest run's.

    It need not be told what the collecting was told: whom to ask, for which time frame.
    """
    demo = Demo(now=NOW, jobs=40)
    with serve(demo, port=0) as server:
        server.start()
        told = replace(settings, api=Api(url=server.url), collect=Collect(timeframe="HOURS_24"))
        build(told, server.url)
    before = bytes_of(settings.site.dir)
    outcome = pipeline.render(settings, progress=SilentProgress(), workers=1)
    assert bytes_of(settings.site.dir) == before
    assert " 0 rewritten" in outcome.summary[-1]


def test_one_process_and_two_write_the_same_bytes(settings: Settings, tmp_path: Path) -> None:
    """How the work is divided never shows."""
    demo = Demo(now=NOW, jobs=40)
    with serve(demo, port=0) as server:
        server.start()
        build(settings, server.url)
    alone = tmp_path / "alone"
    Path(settings.site.dir).rename(alone)
    pipeline.render(settings, progress=SilentProgress(), workers=2)
    assert bytes_of(settings.site.dir) == bytes_of(str(alone))


@pytest.mark.parametrize("frame", TIME_FRAMES)
def test_each_time_frame_builds_and_holds_its_jobs(settings: Settings, frame: Any) -> None:
    """A job is in the report when it was submitted in the frame, or is still active."""
    wish = Settings(
        site=settings.site, snapshots=settings.snapshots, collect=Collect(timeframe=frame)
    )
    # There are some within an hour where there are 400 in five weeks.
    demo = Demo(now=NOW, jobs=30 if frame in ("DAYS_7", "DAYS_30", "ALL_TIME") else 400)
    with serve(demo, port=0) as server:
        server.start()
        build(wish, server.url)
    length = FRAME_LENGTHS[frame]
    since = NOW - length if length else datetime(2000, 1, 1, tzinfo=UTC)
    lines = Path(settings.site.dir, "data/jobs.ndjson").read_text().splitlines()
    assert {json.loads(line)["id"] for line in lines} == listed_ids(demo, since)


def test_a_server_that_is_gone_leaves_the_site_as_it_was(settings: Settings) -> None:
    """Exit 4, nothing touched; the next page tells of the night that brought nothing."""
    demo = Demo(now=NOW, jobs=30)
    with serve(demo, port=0) as server:
        server.start()
        url = server.url
        build(settings, url)
    before = bytes_of(settings.site.dir)
    with pytest.raises(NothingUsableError) as gone:
        build(settings, url, NOW + timedelta(days=1))
    assert gone.value.code == Exit.NOTHING_USABLE
    assert gone.value.hint
    assert bytes_of(settings.site.dir) == before
    with serve(Demo(now=NOW + timedelta(days=2), jobs=30), port=0) as server:
        server.start()
        outcome = build(settings, server.url, NOW + timedelta(days=2))
    assert outcome.exit == Exit.DONE
    assert (
        "24 Nov 2026, 02:14 UTC brought no report"
        in Path(settings.site.dir, "index.html").read_text()
    )


def invent(settings: Settings) -> None:
    """A night of the built-in server, in process."""
    pipeline.collect(
        settings,
        now=NOW + timedelta(minutes=1),
        source=pipeline.Source(demo=pipeline.DemoOptions(jobs=20)),
        environ={},
        progress=SilentProgress(),
    )


def test_invented_jobs_never_go_among_those_of_a_real_server(settings: Settings) -> None:
    """--demo in a folder with real snapshots is refused, and nothing is written."""
    with serve(Demo(now=NOW, jobs=20), port=0) as server:
        server.start()
        build(settings, server.url)
    before = bytes_of(settings.snapshots.dir)
    with pytest.raises(UsageError, match="is for the jobs of a real server"):
        invent(settings)
    assert bytes_of(settings.snapshots.dir) == before


def test_runs_that_failed_say_whose_jobs_are_to_lie_there(settings: Settings) -> None:
    """Teams of a server that did not answer yet hear of no invented jobs."""
    with pytest.raises(NothingUsableError):
        build(settings, "http://127.0.0.1:9")
    with pytest.raises(UsageError, match="is for the jobs of a real server"):
        invent(settings)


def test_a_real_servers_jobs_never_go_among_invented_ones(settings: Settings) -> None:
    """Nor does a part of them, nothing is written, and the doctor says so beforehand."""
    invent(settings)
    before = bytes_of(settings.snapshots.dir)
    with serve(Demo(now=NOW, jobs=20), port=0) as server:
        server.start()
        asked: dict[str, Any] = {
            "now": NOW,
            "source": pipeline.Source(url=server.url),
            "environ": {},
        }
        quiet = SilentProgress()
        for ask in (pipeline.collect, partial(pipeline.collect_part, shard="1/2")):
            with pytest.raises(UsageError, match="holds invented jobs of --demo") as refused:
                ask(settings, **asked, progress=quiet)
            assert "or give --snapshots and --site" in refused.value.hint
        named = replace(settings, api=Api(url=server.url))
        found = pipeline.doctor(named, environ={}, progress=quiet)
    said = [each for each in found if "holds invented jobs of --demo" in each.said]
    assert [(each.what, each.code) for each in said] == [("snapshots", Exit.USAGE)]
    assert bytes_of(settings.snapshots.dir) == before


def test_real_nights_that_lie_among_invented_ones_already_go_on(settings: Settings) -> None:
    """Nobody is told to remove what a server said; a demo that failed keeps nobody away either."""
    real = run(1)
    invented = replace(run(0), asked=replace(run(0).asked, server=BUILT_IN))
    source = pipeline.Source(url="https://other.example.org")
    keep_invented_jobs_apart((invented, real), source, settings)
    keep_invented_jobs_apart((replace(invented, state="failed"),), source, settings)
    with pytest.raises(UsageError):
        keep_invented_jobs_apart((replace(real, state="failed"), invented), source, settings)


class Echo:
    """A server that repeats what it is sent, as debugging proxies do."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo

    def respond(self, method: str, target: str, headers: Any, body: bytes) -> Any:
        status, answered, raw = self.demo.respond(method, target, headers, body)
        said = " ".join(str(value) for value in dict(headers).values())
        text = raw.decode().replace("ana@example.org", json.dumps(said)[1:-1])
        answered = {k: v for k, v in answered.items() if k.lower() != "content-length"}
        return status, answered, text.encode()


def test_a_token_that_the_server_repeats_is_never_written(settings: Settings) -> None:
    """Neither the token nor a configured header is in a snapshot, the index or a page."""
    wish = replace(settings, api=Api(headers={"X-Proxy": "Basic canary-header-77"}))
    with serve(Echo(Demo(now=NOW, jobs=60)), port=0) as server:
        server.start()
        pipeline.build(
            wish,
            now=NOW,
            source=pipeline.Source(url=server.url),
            environ={"JMREPORT_API_TOKEN": "canary-token-4711"},
            progress=SilentProgress(),
            workers=1,
        )
    pages = "".join(
        path.read_bytes().decode(errors="replace")
        for folder in (wish.site.dir, wish.snapshots.dir)
        for path in Path(folder).rglob("*")
        if path.is_file()
    )
    assert "[taken out]" in pages
    assert "canary" not in pages
    with Store.open(Path(wish.snapshots.dir), summarise=summarise) as store:
        kept = "".join(repr(store.record(entry.row.id)) for entry in store.entries())
    assert "[taken out]" in kept
    assert "canary" not in kept


class Emptied:
    """A server that lost its database: alive, polite, and without a job."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo

    def respond(self, method: str, target: str, headers: Any, body: bytes) -> Any:
        if target.endswith("/jobs/query"):
            return 200, {"Content-Type": "application/json"}, b'{"results": []}'
        return self.demo.respond(method, target, headers, body)


def test_a_list_that_is_suddenly_empty_never_replaces_a_good_page(settings: Settings) -> None:
    """Jobs known to be in the window cannot have been unsubmitted."""
    demo = Demo(now=NOW, jobs=30)
    with serve(demo, port=0) as server:
        server.start()
        build(settings, server.url)
    before = bytes_of(settings.site.dir)
    with serve(Emptied(demo), port=0) as server:
        server.start()
        with pytest.raises(NothingUsableError, match="lists no job"):
            build(settings, server.url, NOW + timedelta(minutes=1))
    assert bytes_of(settings.site.dir) == before


def _went_on(jobs: Jobs) -> None:
    jobs.put("long", "Succeeded", "2026-11-20T12:00:00Z", "2026-11-23T01:00:00Z")


def _changed_hands(jobs: Jobs) -> None:
    jobs.rows["long"]["labels"] = {"owner": "li"}


def _archived(jobs: Jobs) -> None:
    _went_on(jobs)
    jobs.rows["long"]["labels"] = {"flag": "archive"}


@pytest.mark.parametrize(
    ("asked", "became"),
    [
        (Collect(timeframe="HOURS_24"), _went_on),
        (Collect(status=("Running",)), _went_on),
        (Collect(labels={"owner": "ana"}), _changed_hands),
        (Collect(name="wgs", hide_archived=True), _archived),
    ],
    ids=["ended", "another status", "another label", "archived"],
)
def test_a_list_is_empty_in_a_quiet_night(
    settings: Settings, asked: Collect, became: Callable[[Jobs], None]
) -> None:
    """The only job of the night before has left it, as jobs do."""
    jobs, wish = Jobs(), replace(settings, collect=asked)
    jobs.put("long", "Running", "2026-11-20T12:00:00Z", labels={"owner": "ana"})
    with serve(jobs, port=0) as server:
        server.start()
        build(wish, server.url)
        became(jobs)
        outcome = build(wish, server.url, NOW + timedelta(days=1))
    assert outcome.exit == Exit.DONE


def test_a_server_that_lists_other_jobs_than_the_filter_lets_through_is_not_empty(
    settings: Settings,
) -> None:
    """One that was forgotten is lost; the others say that the server knows its jobs."""
    jobs, wish = Jobs(), replace(settings, collect=Collect(name="wgs-long"))
    jobs.put("one", "Succeeded", "2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z", name="wgs-long")
    jobs.put("other", "Succeeded", "2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z")
    with serve(jobs, port=0) as server:
        server.start()
        build(wish, server.url)
        del jobs.rows["one"]
        assert build(wish, server.url, NOW + timedelta(minutes=1)).exit == Exit.DONE


def test_a_job_whose_detail_is_gone_is_still_listed(settings: Settings) -> None:
    """The Cromwell shim lists archived workflows and answers 500 in detail; the run exits 3."""
    demo = Demo(now=NOW, jobs=90, like="cromwell", archived=0.2)
    with serve(demo, port=0) as server:
        server.start()
        outcome = build(settings, server.url)
    assert outcome.exit == Exit.INCOMPLETE
    lines = Path(settings.site.dir, "data/jobs.ndjson").read_text().splitlines()
    assert {json.loads(line)["id"] for line in lines} == listed_ids(demo, NOW - timedelta(days=7))
    assert "incomplete" in Path(settings.site.dir, "index.html").read_text().lower()
    assert pipeline.check(settings) == ()
    # Cron reads why, of a render that found nothing to do too.
    said = [line for line in outcome.summary if line.startswith("incomplete: job: ")]
    assert said[0].endswith(f"(see {settings.site.dir}/quality.html)")
    again = pipeline.render(settings, progress=SilentProgress(), workers=1)
    assert again.exit == Exit.INCOMPLETE
    assert said[0] in again.summary


def test_what_was_listed_and_found_below_is_as_much_as_was_read_and_had_not_changed(
    settings: Settings,
) -> None:
    """In a first run, and in one in which nearly nothing has changed."""
    with serve(Demo(now=NOW, jobs=200), port=0) as server:
        server.start()
        for _ in range(2):
            said = build(settings, server.url).summary[0]
            found = {
                word: int(number)
                for number, word in re.findall(r"(\d+) (listed|sub-workflows|read|unchanged)", said)
            }
            assert found["listed"] + found["sub-workflows"] == found["read"] + found["unchanged"]
    assert found["unchanged"] > found["listed"] > 0


def jmreport(*words: str, **options: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "jmreport", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **options,
    )


@pytest.fixture
def served() -> Iterator[str]:
    with serve(Demo(now=NOW, jobs=100), port=0) as server:
        server.start()
        yield server.url


@pytest.mark.parametrize("seed", range(dose(9)))
def test_killed_at_any_moment_the_next_build_completes(
    settings: Settings, served: str, seed: int
) -> None:
    """kill -9 in the middle of a build: nothing is half written, and the next run finishes."""
    words = [
        "build", "--api-url", served, "--timeframe", "DAYS_7", "--now", NOW.isoformat(),
        "--site", settings.site.dir, "--snapshots", settings.snapshots.dir,
    ]  # fmt: skip
    killed = jmreport(*words, env=os.environ | {"PYTHONPATH": str(Path.cwd())})
    time.sleep(random.Random(seed).uniform(0.4, 4.0))  # noqa: S311 - when to kill
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    for page in Path(settings.site.dir).rglob("*.html"):
        if not page.name.startswith("."):
            assert page.read_text().rstrip().endswith("</html>"), page
    outcome = build(settings, served, NOW + timedelta(minutes=1))
    assert outcome.exit == Exit.DONE
    assert pipeline.check(settings) == ()
