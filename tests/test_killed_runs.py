"""A run that was killed brought no report, and whoever comes next says so: nobody has to collect
again for that, or write anything."""

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest
from mail_cases import (
    ANA,
    DAY,
    NOW,
    Mailboxes,
    fine,
    job,
    night,
    run,
    send,
    settings,
    text,
    written,
)
from msgspec.structs import replace
from site_cases import record
from snapshot_cases import a_night, count_writes, killed_at, opened

from jmreport import pipeline
from jmreport.analysis import measure, summarise
from jmreport.cli import main
from jmreport.progress import SilentProgress
from jmreport.records import Asked, Run
from jmreport.settings import Settings
from jmreport.snapshots import Redaction, Store

WHY = "killed before it ended"
ASKED = Asked(server="https://jobs.example.org", timeframe="DAYS_7", since=NOW)


def in_a_process(does: Callable[[], None]) -> int | None:
    process = get_context("fork").Process(target=does)
    process.start()
    process.join()
    return process.exitcode


def kill_a_run(root: Path, ago: int = -1) -> None:
    """A run so many days before the newest that has read a job when it is killed."""

    def until_killed() -> None:
        with (
            Store.open(root, summarise=summarise, measure=measure, create=True) as store,
            store.begin(NOW - ago * DAY, Redaction(), asked=ASKED) as writer,
        ):
            writer.add(record(job("a1", ago)))
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_process(until_killed) == -signal.SIGKILL


def everything(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in root.rglob("*")
        if path.is_file()
    }


def pages(of: Settings) -> dict[str, bytes]:
    site = Path(of.site.dir)
    return {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in site.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.parts)
    }


def render(of: Settings) -> pipeline.Outcome:
    return pipeline.render(of, progress=SilentProgress(), workers=1)


@pytest.mark.parametrize("how", ["always", "on-change", "on-failure"])
def test_a_mail_says_of_a_run_that_was_killed_that_it_failed(tmp_path: Path, how: str) -> None:
    """`build -q; mail -q`, where the build was killed."""
    fine(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        told = settings(tmp_path, replace(ANA, send=how), port=boxes.port)
        send(told)
        boxes.arrived.clear()
        kill_a_run(tmp_path / "snapshots")
        send(told)
        [arrived] = boxes.arrived
        send(told)
        assert len(boxes.arrived) == 1
    assert arrived.mail["Subject"] == (
        "[jm] REPORT FAILED · germline · Tue 24 Nov: the report of Mon 23 Nov stands"
    )
    assert f"Reason: {WHY}" in text(arrived.mail)


def test_the_first_run_of_all_that_was_killed_makes_a_mail(tmp_path: Path) -> None:
    kill_a_run(tmp_path / "snapshots")
    [mail] = written(settings(tmp_path), tmp_path / "mails").values()
    assert mail["Subject"] == "[jm] REPORT FAILED · germline · Tue 24 Nov: no report yet"


def test_pages_tell_of_a_run_that_was_killed_also_where_nothing_else_changed(
    tmp_path: Path,
) -> None:
    fine(tmp_path / "snapshots")
    of = settings(tmp_path)
    render(of)
    before = pages(of)
    kill_a_run(tmp_path / "snapshots")
    render(of)
    told = pages(of)
    assert b"brought no report" not in before["index.html"]
    assert WHY.encode() in told["index.html"]
    assert "0 rewritten" in render(of).summary[0]
    # The next run ends it, and tells the same as a site that never saw it lie there.
    with Store.open(tmp_path / "snapshots", summarise=summarise, measure=measure) as store:
        run(store, [job("a1", -2)], -2, "complete", ())
    render(of)
    grown = pages(of)
    (tmp_path / "site").rename(tmp_path / "grown")
    render(of)
    assert pages(of) == grown
    assert WHY.encode() in grown["quality.html"]


def test_the_list_of_runs_has_one_that_was_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fine(tmp_path / "snapshots")
    kill_a_run(tmp_path / "snapshots")
    assert main(["snapshots", "list", "--snapshots", str(tmp_path / "snapshots")]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if night(-1) in line]
    assert [row.split()[1] for row in rows] == ["interrupted"]
    assert WHY in rows[0]


def test_whoever_reads_of_a_run_that_was_killed_writes_nothing(tmp_path: Path) -> None:
    """The snapshots may be a folder that only somebody else may write."""
    fine(tmp_path / "snapshots")
    of = settings(tmp_path)
    render(of)
    kill_a_run(tmp_path / "snapshots")
    before = everything(tmp_path / "snapshots")
    render(of)
    written(of, tmp_path / "mails")
    pipeline.runs(of)
    assert everything(tmp_path / "snapshots") == before


def test_a_run_that_goes_on_is_not_taken_for_a_killed_one(tmp_path: Path) -> None:
    fine(tmp_path / "snapshots")
    of = settings(tmp_path)
    with Store.open(tmp_path / "snapshots", summarise=summarise, measure=measure) as store:
        with store.begin(NOW.replace(day=24), Redaction(), asked=ASKED) as writer:
            assert [each.id for each in pipeline.runs(of)[0]] == [night(1), night(0)]
            [mail] = written(of, tmp_path / "mails").values()
            assert "REPORT FAILED" not in mail["Subject"]
            writer.fail(Run(id=writer.id, now=writer.now, state="failed", asked=ASKED, reason="x"))
        assert store.killed() == ()


def test_killed_at_any_write_a_run_is_told_as_the_next_run_ends_it(tmp_path: Path) -> None:
    a_night(tmp_path / "first")
    for wanted in range(1, count_writes(tmp_path / "count") + 1, 3):
        root = tmp_path / f"killed-{wanted}"
        a_night(root)
        assert killed_at(wanted, a_night, root) in (0, -signal.SIGKILL)
        with opened(root) as store:
            told = [(each.id, each.now, each.reason) for each in (*store.runs(), *store.killed())]
            store.settle(NOW)
            assert [(each.id, each.now, each.reason) for each in store.runs()] == told
            assert store.killed() == ()
