"""One run in parts, each collected by another machine, and joined into what one would have made."""

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from counting_server import Counting
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from site_cases import contents
from snapshot_cases import before_each_write, count_writes, die_at

from jmreport import pipeline
from jmreport.cli import main
from jmreport.client.offers import joined
from jmreport.collectors.demo import Demo, serve
from jmreport.errors import (
    Exit,
    LockedError,
    NothingUsableError,
    SnapshotError,
    StoppedError,
    UsageError,
)
from jmreport.pipeline.asking import asked_of
from jmreport.pipeline.keeping import open_folder
from jmreport.progress import Progress, SilentProgress, Step
from jmreport.records import Operation, Record, Run
from jmreport.settings import Api, Collect, Redact, Settings, Site, Snapshots
from jmreport.snapshots import Shard, parts
from jmreport.snapshots.lock import WritersLock

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
NIGHT = "20261123T021400Z"


JOBS = 20


def a_demo(like: Any = "spec", *, jobs: int = JOBS) -> Demo:
    return Demo(now=NOW, jobs=jobs, like=like, archived=0.0)


def settings(machine: Path, *, hashed: tuple[str, ...] = (), depth: int = 10) -> Settings:
    return Settings(
        api=Api(tries=1, concurrency=3),
        site=Site(dir="site"),
        snapshots=Snapshots(dir=str(machine / "snapshots")),
        collect=Collect(timeframe="ALL_TIME", max_depth=depth),
        redact=Redact(hash=hashed),
    )


def collect(
    of: Settings,
    url: str,
    shard: str = "",
    *,
    days: int = 0,
    progress: Progress | None = None,
    in_file: bool = False,
) -> pipeline.Outcome:
    options: dict[str, Any] = {
        "now": NOW + timedelta(days=days),
        "source": pipeline.Source(url=url, in_file=in_file),
        "environ": {},
        "progress": progress or SilentProgress(),
    }
    if shard:
        return pipeline.collect_part(of, shard, **options)
    return pipeline.collect(of, **options)


def merge(of: Settings, *folders: Path, days: int = 0) -> pipeline.Outcome:
    now = None if folders else NOW + timedelta(days=days)
    return pipeline.merge(of, folders, now=now, environ={}, progress=SilentProgress())


def in_parts(of: Settings, url: str, number: int, *, days: int = 0) -> pipeline.Outcome:
    for shard in range(1, number + 1):
        collect(of, url, f"{shard}/{number}", days=days)
    return merge(of, days=days)


def folder(of: Settings, shard: str, *, days: int = 0) -> Path:
    return parts.place(Path(of.snapshots.dir), NOW + timedelta(days=days), parts.shard_from(shard))


def records(of: Settings) -> dict[str, Record]:
    with open_folder(Path(of.snapshots.dir), create=False) as store:
        return {record.id: record for record in store.records()}


def without_times(value: Any) -> Any:
    """A record without times: those that Cromwell makes up are others in each answer."""
    if isinstance(value, Record):
        return without_times(msgspec.to_builtins(value))
    if isinstance(value, dict):
        return {
            key: without_times(each) for key, each in value.items() if key not in ("start", "end")
        }
    return [*map(without_times, value)] if isinstance(value, list | tuple) else value


def without_digits(page: bytes) -> bytes:
    """A page but for its numbers and days, for minutes go by between two answers.

    A job that has not ended is stored again in a night, or is not, as another minute is made up for
    it or the same: its page tells of the night that it was read in last. Where its diagram ends is
    said once, or beside where it begins.
    """
    page = re.sub(rb"<figcaption>[^<]*", b"<figcaption>", page)
    return re.sub(rb"[0-9]+", b"0", re.sub(rb"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b", b"day", page))


def newest(of: Settings) -> Run:
    return pipeline.runs(of)[0][-1]


def without_costs(run: Run) -> Run:
    """A run but for what it cost: requests and seconds."""
    return replace(
        run,
        seconds=dict.fromkeys(run.seconds, 0.0),
        counts=replace(run.counts, requests=0),
        operations=tuple(replace(one, requests=0, failed=0, seconds=0.0) for one in run.operations),
    )


def without_stored(run: Run) -> Run:
    """The same without the number of records that were new."""
    run = without_costs(run)
    return replace(run, counts=replace(run.counts, stored=0))


def rows(of: Settings) -> list[Any]:
    with open_folder(Path(of.snapshots.dir), create=False) as store:
        return [row for _, row in store.rows(newest(of).id)]


def pages(of: Settings, machine: Path) -> dict[str, bytes]:
    """The pages made of it, without the numbers of requests and their seconds."""
    here = replace(of, site=replace(of.site, dir=str(machine / "site")))
    pipeline.render(here, progress=SilentProgress(), workers=1)
    found = contents(machine / "site")
    found["about.html"] = found["about.html"].replace(str(machine).encode(), b"MACHINE")
    found["quality.html"] = re.sub(
        rb'data-label="(Requests|Failed|Took)">[^<]*<|<dt>Requests</dt><dd>[^<]*<',
        b"",
        found["quality.html"],
    )
    return found


# The same as one machine makes


@pytest.mark.parametrize(
    ("like", "number"), [("cromwell", 2), ("cromwell", 4), ("dsub", 3), ("spec", 2)]
)
def test_parts_make_what_one_machine_makes(tmp_path: Path, like: str, number: int) -> None:
    """The same rows in the same order, the same records, the same run, the same bytes of pages."""
    one, many = settings(tmp_path / "one"), settings(tmp_path / "many")
    with serve(a_demo(like), port=0) as server:
        server.start()
        for days in (0, 1):
            alone = collect(one, server.url, days=days)
            together = in_parts(many, server.url, number, days=days)
            assert together.exit == alone.exit
            if like == "cromwell":  # what has not ended is another record each time
                made_up = [without_stored(newest(of)) for of in (one, many)]
                assert made_up[0] == made_up[1]
                assert without_times(rows(many)) == without_times(rows(one))
                read, wanted = records(many), records(one)
                assert read.keys() == wanted.keys()
                for job in read:
                    if read[job] != wanted[job]:
                        assert without_times(read[job]) == without_times(wanted[job])
            else:
                assert without_costs(newest(many)) == without_costs(newest(one))
                assert rows(many) == rows(one)
                assert records(many) == records(one)
    made, expected = pages(many, tmp_path / "many"), pages(one, tmp_path / "one")
    assert made.keys() == expected.keys()
    raw = {name for name in made if name.startswith("jobs/") and name.endswith(".json")}
    for name in made.keys() - (raw if like == "cromwell" else set()):
        if like == "cromwell" and made[name] != expected[name]:
            # It makes up times, and pages tell them.
            assert without_digits(made[name]) == without_digits(expected[name]), name
        else:
            assert made[name] == expected[name], name
    assert pipeline.check(replace(many, site=Site(dir=str(tmp_path / "many" / "site")))) == ()


def test_parts_know_as_one_machine_does_how_many_jobs_a_filter_left_out(tmp_path: Path) -> None:
    """Each part reads the whole list, so that none of them counts for the others."""
    by_label = Collect(timeframe="ALL_TIME", labels={"batch": "none"})
    by_status = Collect(timeframe="ALL_TIME", status=("Succeeded",))
    for at, wish in enumerate((by_label, by_status)):
        one, many = (
            replace(settings(tmp_path / f"{number}-{at}"), collect=wish) for number in (1, 2)
        )
        with serve(a_demo(), port=0) as server:
            server.start()
            collect(one, server.url)
            in_parts(many, server.url, 2)
        left_out = [newest(of).counts.left_out for of in (one, many)]
        assert left_out == ([JOBS, JOBS] if not at else [None, None])


def test_the_second_night_asks_only_for_what_may_have_changed(tmp_path: Path) -> None:
    """Of jobs no part asks for more than one machine would, and no two for the same."""
    one, many = settings(tmp_path / "one"), settings(tmp_path / "many")
    with serve(Counting(a_demo()), port=0) as server:
        server.start()
        for of, number in ((one, 0), (many, 3)):
            for days in (0, 1):
                if number:
                    in_parts(many, server.url, number, days=days)
                else:
                    collect(of, server.url, days=days)
    asked = [
        {each.name: each.requests for each in newest(of).operations if "Job" in each.name}
        for of in (one, many)
    ]
    assert asked[0]["GetJob"] == asked[1]["GetJob"]
    assert asked[0]["GetJob"] < newest(one).counts.listed / 2
    assert asked[0]["GetJobAggregations"] == asked[1]["GetJobAggregations"]


@given(st.text(max_size=40), st.integers(1, 50))
def test_every_job_belongs_to_one_part(job: str, of: int) -> None:
    assert sum(Shard(number, of).holds(job) for number in range(1, of + 1)) == 1


def test_parts_are_of_about_the_same_size() -> None:
    held = Counter(
        next(n for n in range(1, 9) if Shard(n, 8).holds(f"job-{at}")) for at in range(8000)
    )
    assert all(900 < count < 1100 for count in held.values())


def test_hashes_agree_and_nothing_is_hashed_twice(tmp_path: Path) -> None:
    """Parts hash with the key of the snapshots, which the first of them makes."""
    one = settings(tmp_path / "one", hashed=("owner",))
    many = settings(tmp_path / "many", hashed=("owner",))
    with serve(a_demo(), port=0) as server:
        server.start()
        in_parts(many, server.url, 2)
        Path(one.snapshots.dir).mkdir(parents=True)
        shutil.copy(tmp_path / "many/snapshots/salt", tmp_path / "one/snapshots/salt")
        collect(one, server.url)
    assert records(many) == records(one)
    assert b'"hash:' in msgspec.json.encode(records(many))


def test_what_a_server_lacks_is_learnt_by_all_parts_together() -> None:
    """Three failures in a row tell; parts that met one each do not know, and all together do."""

    def session(offer: Any, why: str, failed: int) -> tuple[Operation, ...]:
        name = "TailFileContents"
        return (Operation(name=name, offer=offer, why=why, requests=failed, failed=failed),)

    def told(*sessions: tuple[Operation, ...], doubtful: int) -> tuple[str, str, int]:
        found = joined(sessions, {"TailFileContents": doubtful})
        one = next(each for each in found if each.name == "TailFileContents")
        return one.offer, one.why, one.requests

    unsure = session("not asked", "server error 500", 1)
    assert told(unsure, unsure, doubtful=2) == ("not asked", "server error 500", 2)
    assert told(unsure, unsure, unsure, doubtful=3) == (
        "not offered",
        "server error 500 (3 times in a row, and never a success)",
        3,
    )
    sure = session("not offered", "not implemented (501)", 1)
    assert told(unsure, sure, doubtful=1)[:2] == ("not offered", "not implemented (501)")
    assert told(unsure, sure, session("offered", "", 0), doubtful=9)[:2] == ("offered", "")


class WithoutLogs:
    """A server whose every log is a 500: one cannot say of one failure whether logs are offered."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if "/tailFile" in target:
            return 500, {"Content-Type": "text/plain"}, b"no such thing"
        return self._demo.respond(method, target, headers, body)


@pytest.mark.parametrize("hashed", [(), ("owner",)])
def test_gaps_that_are_none_are_none_in_parts_too(tmp_path: Path, hashed: tuple[str, ...]) -> None:
    """No part meets enough failures to know, all together do: the run is that of one machine."""
    one, many = (
        replace(of, collect=replace(of.collect, log_tails=1))
        for of in (settings(tmp_path / name, hashed=hashed) for name in ("one", "many"))
    )
    with serve(WithoutLogs(a_demo("spec", jobs=30)), port=0) as server:
        server.start()
        for shard in ("1/3", "2/3", "3/3"):
            collect(many, server.url, shard)
        shutil.copytree(tmp_path / "many/snapshots", tmp_path / "one/snapshots")  # its salt
        collect(one, server.url)
    met = []
    for shard in ("1/3", "2/3", "3/3"):
        with open_folder(folder(many, shard), create=False) as store:
            gaps = [gap for record in store.records() for gap in record.gaps]
        met.append([(gap.operation, gap.status) for gap in gaps])
    of_two = [("TailFileContents", 500)] * 2
    assert met == [of_two, [], of_two]
    merge(many)
    logs = next(each for each in newest(one).operations if each.name == "TailFileContents")
    assert logs.offer == "not offered"
    assert without_costs(newest(many)).operations == without_costs(newest(one)).operations
    assert (newest(many).state, newest(many).gaps) == ("complete", ())
    # Which of a job's logs were beyond `log_tails` only those count that do not know yet.
    read, wanted = (
        {job: replace(record, notes=()) for job, record in records(of).items()}
        for of in (many, one)
    )
    assert read == wanted


# What goes wrong


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both parts of a run, not merged yet."""
    machine = tmp_path_factory.mktemp("collected")
    with serve(a_demo(), port=0) as server:
        server.start()
        for shard in ("1/2", "2/2"):
            collect(settings(machine), server.url, shard)
    return machine


@pytest.fixture
def two(collected: Path, tmp_path: Path) -> Settings:
    """The same, to be merged and spoilt."""
    shutil.copytree(collected, tmp_path, dirs_exist_ok=True)
    return settings(tmp_path)


def test_a_part_that_is_there_is_not_collected_again(tmp_path: Path) -> None:
    of, counting = settings(tmp_path), Counting(a_demo())
    with serve(counting, port=0) as server:
        server.start()
        first = collect(of, server.url, "1/2")
        before = dict(counting.details)
        # Which server to ask may be said to each machine in its own way.
        again = collect(of, server.url, "1/2", in_file=True)
    assert dict(counting.details) == before
    assert again.exit == first.exit
    assert "was collected before" in again.summary[0]


def test_parts_are_merged_once(two: Settings) -> None:
    first = merge(two)
    again = merge(two)
    assert again.exit == first.exit
    assert "were merged before" in again.summary[0]
    assert len(pipeline.runs(two)[0]) == 1


def told(caught: Any) -> str:
    return f"{caught.value.message} ({caught.value.hint})"


def test_a_missing_part_is_refused(two: Settings) -> None:
    shutil.rmtree(folder(two, "2/2"))
    with pytest.raises(UsageError, match="part 2/2 of run 20261123T021400Z is missing") as caught:
        merge(two)
    assert "--shard 2/2 --now 2026-11-23T02:14:00+00:00" in caught.value.hint
    assert "with the same options as the others" in caught.value.hint
    assert pipeline.runs(two)[0] == ()


def test_the_same_part_twice_is_refused(two: Settings, tmp_path: Path) -> None:
    shutil.copytree(folder(two, "1/2"), tmp_path / "copy")
    with pytest.raises(UsageError, match="are both part 1/2"):
        merge(two, folder(two, "1/2"), folder(two, "2/2"), tmp_path / "copy")


@pytest.mark.parametrize(
    ("change", "days", "words"),
    [
        ({"depth": 3}, 0, "with other settings"),
        ({}, 1, "for 2026-11-24T02:14:00"),
        ({"hashed": ("owner",)}, 0, "with other settings"),
    ],
)
def test_parts_of_two_runs_are_refused(
    two: Settings, tmp_path: Path, change: dict[str, Any], days: int, words: str
) -> None:
    other = settings(tmp_path / "other", **change)
    with serve(a_demo(), port=0) as server:
        server.start()
        # Of the same server, whose port is another one each time.
        collect(settings(tmp_path / "same"), server.url, "1/2")
        collect(other, server.url, "2/2", days=days)
    same = folder(settings(tmp_path / "same"), "1/2")
    with pytest.raises(UsageError) as caught:
        merge(two, same, folder(other, "2/2", days=days))
    assert words in told(caught)
    with pytest.raises(UsageError) as caught:
        merge(two, folder(two, "1/2"), folder(settings(tmp_path / "other"), "2/2", days=days))
    assert "was collected from http://127.0.0.1" in told(caught) or words in told(caught)


@pytest.mark.parametrize(
    ("wish", "would", "was"),
    [
        ({"status": ("Failed", "Aborted")}, "--status Failed --status Aborted", "out --status"),
        ({"labels": {"owner": "ana", "batch": "7"}}, "--label batch=7 --label owner=ana", "out --"),
        ({"hide_archived": True}, "--hide-archived", "out --hide-archived"),
        ({"submission": "2026-11-20T00:00:00Z"}, "--submission 2026-11-20T00:00:00", "out --sub"),
        ({"timeframe": "DAYS_7"}, "--timeframe DAYS_7", " --timeframe ALL_TIME"),
    ],
)
def test_what_tells_parts_apart_is_named_with_both_its_values(
    two: Settings, wish: dict[str, Any], would: str, was: str
) -> None:
    """Where they are merged, and where one is to be collected again with other options."""
    there = parts.read(folder(two, "1/2"))
    assert there
    url = there.asked.server
    other = replace(two, collect=replace(two.collect, **wish))
    with pytest.raises(UsageError) as caught:
        collect(other, url, "1/2")
    assert f"was collected with{was}" in caught.value.message
    assert f"; now it would be with {would}" in caught.value.message
    part = parts.read(folder(two, "2/2"))
    assert part
    filters = asked_of(other, now=NOW, source=pipeline.Source(url=url))
    parts.write(folder(two, "2/2"), replace(part, asked=filters))
    with pytest.raises(UsageError) as caught:
        merge(two)
    assert f"2-of-2 was collected with {would}" in caught.value.message
    assert f"1-of-2 with{was}" in caught.value.message


def test_a_night_that_was_begun_again_in_another_number_of_parts_is_merged(two: Settings) -> None:
    """Those that are whole in number are taken, and the others are told of."""
    with serve(a_demo(), port=0) as server:
        server.start()
        collect(two, server.url, "3/3")
    with pytest.raises(UsageError, match=r"is part 1/2 and .* is part 3/3"):
        merge(two, folder(two, "1/2"), folder(two, "3/3"))
    aside = folder(two, "3/3").with_name("aside")
    folder(two, "2/2").rename(aside)
    with pytest.raises(UsageError, match="whole in no number of parts: 1/2, 3/3 are") as caught:
        merge(two)
    assert "--shard 2/2 --now 2026-11-23T02:14:00+00:00` collects" in caught.value.hint
    aside.rename(folder(two, "2/2"))
    left_out, merged = merge(two).summary
    assert left_out == f"left out, since run {NIGHT} is whole in 2 parts: 3/3"
    assert merged.startswith("merged 2 parts")


def test_of_two_numbers_of_parts_those_on_top_of_the_newest_run_are_merged(
    two: Settings, tmp_path: Path
) -> None:
    """The others were merged before. Where nothing tells, it is said which to remove."""
    with serve(a_demo(), port=0) as server:
        server.start()
        collect(two, server.url, "1/1")
        twin = replace(two.snapshots, mirror=f"{tmp_path}/twin/")
        with pytest.raises(UsageError, match=f"{NIGHT} is there in 1 part and in 2") as caught:
            merge(replace(two, snapshots=twin))
        here, there = folder(two, "1/1").parent, tmp_path / "twin/parts" / NIGHT
        for of, state in ((1, "1 part"), (2, "2 parts")):
            named = f"{here}/*-of-{of} and {there}/*-of-{of} ({state}: collected)"
            assert named in caught.value.hint
        shutil.rmtree(folder(two, "1/1"))
        merge(two)
        collect(two, server.url, "1/1")
    again = merge(two)
    assert again.summary[0] == f"left out, since run {NIGHT} is whole in 1 part: 1/2, 2/2"
    assert [run.id for run in pipeline.runs(two)[0]] == [NIGHT, f"{NIGHT}-0002"]
    assert merge(two).summary[-1] == f"the parts of run {NIGHT}-0002 were merged before"


@pytest.mark.parametrize(("lost", "state"), [(("1/3", "2/3", "3/3"), "failed"), (("3/3",), "")])
def test_of_two_numbers_of_parts_those_that_brought_something_are_merged(
    two: Settings, lost: tuple[str, ...], state: str
) -> None:
    """Parts that failed, or of which one was killed, stand in the way of none that are whole."""
    with serve(a_demo(), port=0) as server:
        server.start()
        for shard in {"1/3", "2/3", "3/3"}.difference(lost):
            collect(two, server.url, shard)
        if not state:
            killed(two, server.url, *lost)
    for shard in lost if state else ():
        with pytest.raises(NothingUsableError):
            collect(two, server.url, shard)
    aside = spoilt(folder(two, "2/2"))
    with pytest.raises(UsageError, match=f"{NIGHT} is there in 2 parts and in 3") as caught:
        merge(two)
    assert "*-of-2 (2 parts: 1 collected, 1 damaged); " in caught.value.hint
    said = f"3 parts: {state or '2 collected, 1 interrupted'}"
    assert f"*-of-3 ({said})" in caught.value.hint
    aside.rename(aside.with_name("query.jsonl.zst"))
    left_out, merged = merge(two).summary
    assert left_out == f"left out, since run {NIGHT} is whole in 2 parts: 1/3, 2/3, 3/3"
    assert merged.startswith("merged 2 parts")


def killed(of: Settings, url: str, shard: str) -> None:
    """A part whose machine went away, with all of it read but what ends its run."""
    collect(of, url, shard)
    part = folder(of, shard)
    (part / f"runs/{NIGHT}/run.json").unlink()
    (part / "index.sqlite").unlink()


def spoilt(part: Path) -> Path:
    """A part of which a file went away; where that is."""
    return (part / f"runs/{NIGHT}/query.jsonl.zst").rename(part / f"runs/{NIGHT}/aside")


def test_parts_are_merged_only_where_they_were_read_for(two: Settings) -> None:
    """What need not be read again was said by these snapshots, and by none that came later."""
    with serve(a_demo(), port=0) as server:
        server.start()
        collect(two, server.url, days=1)
    with pytest.raises(UsageError, match="on top of no run, and the newest"):
        merge(two)
    assert len(pipeline.runs(two)[0]) == 1


def test_a_part_is_no_store_to_make_pages_of(
    two: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    part = str(folder(two, "1/2"))
    for command in ("render", "collect --demo", "prune --keep 9d", "nightly --demo"):
        assert main([*command.split(), "-q", "--snapshots", part]) == Exit.USAGE
        assert "is part 1/2 of run 20261123T021400Z" in capsys.readouterr().err
    assert main(["check", "-q", "--snapshots", part]) == Exit.DONE
    assert main(["snapshots", "list", "--snapshots", part]) == Exit.DONE


def test_a_part_that_failed_makes_the_run_incomplete(tmp_path: Path) -> None:
    """It is told with its reason, and what only it would have listed is not taken for lost."""
    of = settings(tmp_path)
    with serve(a_demo(), port=0) as server:
        server.start()
        collect(of, server.url)
        collect(of, server.url, "1/2", days=1)
    with pytest.raises(NothingUsableError):
        collect(of, server.url, "2/2", days=1)
    outcome = merge(of, days=1)
    assert outcome.exit == Exit.INCOMPLETE
    assert "part 2/2 failed: no Job Manager answers" in outcome.summary[-1]
    run = newest(of)
    assert run.state == "incomplete"
    assert [gap.what for gap in run.gaps if not gap.job] == ["a part of the list of jobs"]
    assert "part 2/2 of the collecting failed: no Job Manager answers" in run.gaps[0].why
    before = pipeline.runs(of)[0][0]
    assert 0 < run.counts.listed < before.counts.listed
    made = pages(of, tmp_path)
    assert b"part 2/2 of the collecting failed" in made["quality.html"]
    report = msgspec.json.decode(made["data/report.json"])
    assert report["complete"] is False


class Stopping(SilentProgress):
    """Somebody who stops what is under way once so many jobs were read."""

    def __init__(self, after: int) -> None:
        self.left = after

    def step(self, name: str, total: int | None) -> AbstractContextManager[Step]:  # noqa: ARG002 - the Protocol's names
        return nullcontext(self)

    def expect(self, total: int) -> None:
        """Whatever there is."""

    def advance(self, n: int = 1) -> None:
        self.left -= n
        if self.left < 0:
            raise KeyboardInterrupt


def test_what_a_stopped_part_had_listed_counts_though_it_was_tried_again_in_vain(
    tmp_path: Path,
) -> None:
    of = settings(tmp_path)
    with serve(a_demo(jobs=60), port=0) as server:
        server.start()
        collect(of, server.url, "1/2")
        with pytest.raises(StoppedError):
            collect(of, server.url, "2/2", progress=Stopping(after=20))
    with pytest.raises(NothingUsableError):
        collect(of, server.url, "2/2")
    assert merge(of).exit == Exit.INCOMPLETE
    with open_folder(folder(of, "2/2"), create=False) as part:
        read = {record.id for record in part.records() if record.row is not None}
    assert read
    assert read <= {row["id"] for row in rows(of)}
    assert newest(of).counts.listed == len(rows(of))
    assert "part 2/2 of the collecting failed: no Job Manager answers" in newest(of).gaps[0].why


@pytest.mark.parametrize("cut", [False, True], ids=["missing", "cut short"])
@pytest.mark.parametrize("name", ["jobs-0000.jsonl.zst", "query.jsonl.zst", "order.jsonl.zst"])
def test_a_part_that_lacks_a_file_is_not_merged(two: Settings, name: str, cut: bool) -> None:
    """A copy that was broken off, without the caches that could tell of what is lacking."""
    part = folder(two, "2/2")
    (run,) = (part / "runs").iterdir()
    whole = (run / name).read_bytes()
    (part / "index.sqlite").unlink()
    shutil.rmtree(part / "summaries")
    (run / name).unlink()
    if cut:
        (run / name).write_bytes(whole[:-1])
    with pytest.raises(SnapshotError) as caught:
        merge(two)
    assert f"{run / name} {'has' if cut else 'is missing'}" in caught.value.message
    assert "collect this part again: --shard" in caught.value.hint
    assert pipeline.runs(two)[0] == ()
    (run / name).write_bytes(whole)
    assert merge(two).exit == Exit.DONE


def test_where_all_parts_failed_nothing_is_usable(tmp_path: Path) -> None:
    """As where one machine fails: the run says why, and the old one stands."""
    of = settings(tmp_path)
    with serve(a_demo(), port=0) as server:
        server.start()
        collect(of, server.url)
    for shard in ("1/2", "2/2"):
        with pytest.raises(NothingUsableError):
            collect(of, server.url, shard, days=1)
    with pytest.raises(NothingUsableError, match="all parts failed: no Job Manager answers"):
        merge(of, days=1)
    first, last = pipeline.runs(of)[0]
    assert (first.usable, last.state) == (True, "failed")


def test_a_part_that_is_being_written_is_not_merged(two: Settings) -> None:
    lock = WritersLock(folder(two, "2/2"), NOW)
    try:
        with pytest.raises(LockedError):
            merge(two)
    finally:
        lock.release()
    assert merge(two).run is not None


# Interrupted


def collecting(of: Settings, url: str, shard: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - our own program
        [
            sys.executable, "-m", "jmreport", "collect", "-q", "--timeframe", "ALL_TIME",
            "--api-url", url, "--now", NOW.isoformat(), "--shard", shard,
            "--snapshots", of.snapshots.dir,
        ],
        env=os.environ | {"JMREPORT_API_CONCURRENCY": "3", "JMREPORT_API_TRIES": "1"},
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_part_that_was_stopped_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    """What it had read is not asked for again, and the run says what an undisturbed one says."""
    one, many = settings(tmp_path / "one"), settings(tmp_path / "many")
    counting = Counting(a_demo(jobs=60), seconds=0.005)
    with serve(counting, port=0) as server:
        server.start()
        process = collecting(many, server.url, "1/2")
        deadline = time.monotonic() + 60
        while counting.details.total() < 24:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(number)
        process.wait(60)
        before = Counter(counting.details)
        for shard in ("1/2", "2/2"):
            assert collect(many, server.url, shard).exit in (Exit.DONE, Exit.INCOMPLETE)
        again = [job for job in before if counting.details[job] > 1]
        asked = counting.details.total()
        counting.details.clear()
        alone = collect(one, server.url)
        assert asked - counting.details.total() == len(again)
    # Killed, what was not on the disk yet is lost: at most a block of text.
    assert len(again) < len(before) / 2
    merged = merge(many)
    assert merged.exit == alone.exit
    assert without_costs(newest(many)) == without_costs(newest(one))
    assert rows(many) == rows(one)
    assert records(many) == records(one)


def dying(work: Callable[[], object], at: int) -> None:
    """Does it in a process of its own that kills itself at the Nth write."""

    def child() -> None:
        with before_each_write(die_at(at)):
            work()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def test_a_merge_that_is_killed_anywhere_is_completed_by_the_next(
    two: Settings, tmp_path: Path
) -> None:
    """The next one makes the run that an undisturbed merge makes."""
    place = Path(two.snapshots.dir)
    shutil.copytree(place, tmp_path / "before")

    def act(_: Path) -> None:
        merge(two)

    writes = count_writes(tmp_path, act)
    whole, run = records(two), without_costs(newest(two))
    assert writes > 30
    for at in (2, writes // 4, writes // 2, 3 * writes // 4, writes - 12, writes - 3):
        shutil.rmtree(place)
        shutil.copytree(tmp_path / "before", place)
        dying(lambda: merge(two), at)
        merge(two)
        again = without_costs(newest(two))
        assert records(two) == whole
        # What the one that died had stored is not stored, and counted, once more.
        of = run.counts
        stored = replace(again.counts, stored=of.stored, taken_out=of.taken_out, cut=of.cut)
        assert replace(again, id=run.id, counts=stored) == run
        left = [fault.what for fault in pipeline.check(two)]
        assert all(what.endswith(".tmp") for what in left), left


# The command


def test_the_commands_make_a_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["--demo", "--jobs", "60", "--now", NOW.isoformat()]
    for shard in ("1/2", "2/2"):
        assert main(["collect", *asked, "--shard", shard]) in (Exit.DONE, Exit.INCOMPLETE)
    assert sorted(path.name for path in Path("snapshots-parts", NIGHT).iterdir()) == [
        "1-of-2",
        "2-of-2",
    ]
    named = [str(path) for path in Path("snapshots-parts", NIGHT).iterdir()]
    assert main(["merge", *named]) in (Exit.DONE, Exit.INCOMPLETE)
    assert "merged 2 parts of DAYS_7 into run 20261123T021400Z" in "".join(capsys.readouterr())
    assert main(["render", "-q", "--workers", "1"]) in (Exit.DONE, Exit.INCOMPLETE)
    assert main(["merge", "--now", NOW.isoformat()]) in (Exit.DONE, Exit.INCOMPLETE)


@pytest.mark.parametrize(
    "shard",
    [
        "",
        "0/2",
        "3/2",
        "2",
        "a/b",
        "1/2/3",
        "-1/2",
        "1/1001",
        "1/0",
        "+1/2",
        " 1/2",
        "1/1_0",
        "1/\uff12",
    ],
)
def test_what_is_no_part_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    shard: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["collect", "-q", "--demo", "--now", NOW.isoformat()]
    assert main([*asked, f"--shard={shard}"]) == Exit.USAGE
    assert "no part of a whole" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["collect", "--demo", "--shard", "1/2"], "--shard needs --now"),
        (
            ["collect", "--demo", "--shard", "1/2", "--nights", "3", "--now", NOW.isoformat()],
            "--shard and --nights contradict each other",
        ),
        (["merge"], "no parts to merge are named"),
        (["merge", "--now", NOW.isoformat()], "no parts in"),
        (["merge", "elsewhere"], "elsewhere is no part of a run"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(options) == Exit.USAGE
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_parts_of_a_night_before_the_newest_were_not_merged_as_far_as_anybody_knows(
    tmp_path: Path,
) -> None:
    """Of the newest it is said that it is there, since it may never have been in parts."""
    of = settings(tmp_path)
    with serve(a_demo(jobs=8), port=0) as server:
        server.start()
        collect(of, server.url)
        told = f"run {NIGHT} is there, and there are no parts of it to merge"
        assert merge(of).summary == (told,)
        collect(of, server.url, days=1)
    with pytest.raises(UsageError, match="no parts in"):
        merge(of)
