"""A night when nobody looks: every step in its order, one lock, one exit code, and nothing lost."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from counting_server import Counting
from mail_cases import Mailboxes, free_port, text
from msgspec.structs import replace
from snapshot_cases import small_disk

from jmreport import pipeline
from jmreport.cli import main
from jmreport.collectors.demo import Demo, serve
from jmreport.errors import Exit, LockedError, SnapshotError
from jmreport.pipeline.heartbeat import EVERY, Beating, Heartbeat
from jmreport.progress import SilentProgress
from jmreport.records import run_id
from jmreport.settings import (
    Api,
    Collect,
    Mail,
    Nightly,
    Prune,
    Publish,
    Settings,
    Site,
    Slo,
    Snapshots,
    Team,
)
from jmreport.snapshots.unattended import account

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
JOBS = 12


@pytest.fixture
def server() -> Iterator[tuple[Counting, str]]:
    counting = Counting(Demo(now=NOW, jobs=JOBS, like="cromwell", archived=0.0))
    with serve(counting, port=0) as running:
        running.start()
        yield counting, running.url


@pytest.fixture
def post() -> Iterator[Mailboxes]:
    with Mailboxes() as running:
        yield running


def settings(folder: Path, port: int, **more: Any) -> Settings:
    return Settings(
        api=Api(tries=1, page_size=40),
        collect=Collect(timeframe="ALL_TIME"),
        site=Site(dir=str(folder / "site"), url="https://reports.example.org/jobs"),
        snapshots=Snapshots(dir=str(folder / "snapshots")),
        publish=Publish(to=str(folder / "www")),
        mail=Mail(
            smtp=f"127.0.0.1:{port}", starttls=False, sender="r@example.org", patience=0, timeout=5
        ),
        teams=(Team(name="everybody", to=("all@example.org",)),),
        nightly=Nightly(heartbeat=str(folder / "heartbeat.json")),
        **more,
    )


def night(of: Settings, url: str, *, days: int = 0, **more: Any) -> pipeline.Outcome:
    return pipeline.nightly(
        of,
        now=NOW + timedelta(days=days),
        source=pipeline.Source(url=url),
        environ=more.pop("environ", {}),
        progress=SilentProgress(),
        clock=lambda: NOW,
        workers=1,
        **more,
    )


def beat(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "heartbeat.json").read_text())
    return found


def published(folder: Path) -> set[str]:
    return {
        path.relative_to(folder / "www").as_posix()
        for path in (folder / "www").rglob("*.html")
        if ".jmreport" not in path.parts
    }


def test_a_night_collects_renders_publishes_and_mails(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """One summary and one exit code; the mail leads to a page that is there when it comes."""
    _, url = server
    seen: list[bool] = []
    post.during = lambda: seen.append((tmp_path / "www/nights/20261123T021400Z").is_dir())
    outcome = night(settings(tmp_path, post.port), url)
    assert outcome.exit == Exit.DONE
    said = "\n".join(outcome.summary)
    steps = ["collected ALL_TIME", "rendered ", "published to ", "sent to everybody"]
    assert [said.index(step) for step in steps] == sorted(said.index(step) for step in steps)
    assert "index.html" in published(tmp_path)
    assert len(post.arrived) == 1
    assert seen == [True]
    assert beat(tmp_path) == {
        "at": "2026-11-23T02:14:00Z", "state": "ended", "exit": 0, "run": "20261123T021400Z",
    }  # fmt: skip
    assert pipeline.check(settings(tmp_path, post.port)) == ()


def test_a_dead_server_still_makes_a_mail_and_leaves_the_site(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    counting, url = server
    of = settings(tmp_path, post.port)
    night(of, url)
    page = (tmp_path / "www/index.html").read_bytes()
    counting.gone = (503, {"Content-Type": "text/plain"}, b"gone")
    outcome = night(of, url, days=1)
    assert outcome.exit == Exit.NOTHING_USABLE
    assert "collect: " in outcome.summary[0]
    assert len(post.arrived) == 2
    assert "REPORT FAILED" in post.arrived[-1].mail["Subject"]
    assert (tmp_path / "www/index.html").read_bytes() == page
    assert beat(tmp_path)["exit"] == Exit.NOTHING_USABLE
    assert beat(tmp_path)["why"].startswith("collect: ")


def test_a_metadata_server_that_is_busy_still_makes_a_mail(
    server: tuple[Counting, str],
    post: Mailboxes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No token can be had, for a while; nothing that is set is wrong."""
    # As it is installed for users; with it google-auth would look for Google's machines itself.
    monkeypatch.setitem(sys.modules, "google.auth.transport.requests", None)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    of = replace(settings(tmp_path, post.port), api=Api(tries=1, google_auth=True))
    busy = Counting(Demo(now=NOW, jobs=0))
    busy.gone = (503, {"Metadata-Flavor": "Google"}, b"")
    with serve(busy, port=0) as metadata:
        metadata.start()
        host = metadata.url.split("/")[2]
        outcome = night(of, server[1], environ={"GCE_METADATA_HOST": host})
    assert outcome.exit == Exit.NOTHING_USABLE
    why = "no token from Google: its metadata server answers 503"
    assert why in outcome.summary[0]
    assert why in text(post.arrived[-1].mail)


def newer(run: Path) -> None:
    (run.parent.parent / "format.json").write_text('{"format": 99}')


def cut_short(run: Path) -> None:
    (run / "run.json").write_bytes((run / "run.json").read_bytes()[:100])


def half_copied(run: Path) -> None:
    """As a copy that broke off leaves it: the index is not there either."""
    (run / "jobs-0000.jsonl.zst").unlink()
    (run.parent.parent / "index.sqlite").unlink()


def read_only(run: Path) -> None:
    """Snapshots under a lock that no other night holds and nobody may take."""
    lock = run.parent.parent / "nightly.lock"
    lock.unlink()
    lock.mkdir()


@pytest.mark.parametrize("damaged", [newer, cut_short, half_copied, read_only])
def test_snapshots_that_cannot_be_opened_are_mailed_and_found_by_the_doctor(
    server: tuple[Counting, str],
    post: Mailboxes,
    tmp_path: Path,
    damaged: Callable[[Path], None],
) -> None:
    """Each night: a team that hears of failures alone takes silence for good news."""
    _, url = server
    of = settings(tmp_path, post.port)
    of = replace(of, teams=(replace(of.teams[0], send="on-failure"),))
    first = night(of, url)
    page = (tmp_path / "www/index.html").read_bytes()
    sent = len(post.arrived)
    damaged(tmp_path / "snapshots/runs" / run_id(NOW))
    outcome = night(of, url, days=1)
    assert first.exit == Exit.DONE
    assert outcome.exit == (Exit.FAILED if damaged is read_only else Exit.NOTHING_USABLE)
    assert len(post.arrived) == sent + 1
    mail = post.arrived[-1].mail
    assert "REPORT FAILED" in mail["Subject"]
    said = "stands" if damaged is read_only else "the snapshots cannot be read"
    assert said in mail["Subject"]
    assert "No run has brought a report yet" not in text(mail)
    assert (tmp_path / "www/index.html").read_bytes() == page
    assert beat(tmp_path)["state"] == "ended"
    assert beat(tmp_path)["exit"] == outcome.exit
    assert night(of, url, days=2).exit == outcome.exit
    assert len(post.arrived) == sent + 2
    if damaged is not read_only:
        found = looked(of, url)["snapshots"]
        assert (found.state, found.code) == ("wrong", Exit.NOTHING_USABLE)


def test_the_mail_of_a_failed_night_takes_no_place_of_one_that_comes(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """A scheduler tries the same night once more, and somebody has put the file back."""
    _, url = server
    of = settings(tmp_path, post.port)
    night(of, url)
    about = tmp_path / "snapshots/format.json"
    whole = about.read_bytes()
    about.write_text('{"format": 99}')
    assert night(of, url, days=1).exit == Exit.NOTHING_USABLE
    about.write_bytes(whole)
    assert night(of, url, days=1).exit == Exit.DONE
    assert ["REPORT FAILED" in mail.mail["Subject"] for mail in post.arrived] == [0, 1, 0]


def test_a_list_that_is_damaged_keeps_no_mail_back(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """By it alone it is told which jobs have other labels since: that is not known, then."""
    _, url = server
    of = settings(tmp_path, post.port)
    night(of, url)
    rows = tmp_path / "snapshots/runs" / run_id(NOW) / "query.jsonl.zst"
    rows.write_bytes(b"0" * rows.stat().st_size)
    assert night(of, url, days=1).exit == Exit.DONE
    said = " ".join(text(post.arrived[-1].mail).split())
    assert "Which failed jobs were handed to other teams is not known (cannot read" in said


def test_nights_that_a_restored_copy_lacks_are_named_once(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """Their pages go from the site at once, and from the published one a day later."""
    _, url = server
    of = settings(tmp_path, post.port)
    night(of, url)
    shutil.copytree(tmp_path / "snapshots", tmp_path / "copy")
    night(of, url, days=1)
    shutil.rmtree(tmp_path / "snapshots")
    (tmp_path / "copy").rename(tmp_path / "snapshots")
    outcomes = [night(of, url, days=2), rendered(of), rendered(of), night(of, url, days=3)]
    said = [[line for line in each.summary if "not in the snapshots" in line] for each in outcomes]
    assert [len(lines) for lines in said] == [1, 0, 0, 0]
    assert said[0][0].startswith("1 night that this site told is")
    assert run_id(NOW + timedelta(days=1)) in said[0][0]


def rendered(of: Settings) -> pipeline.Outcome:
    return pipeline.render(of, progress=SilentProgress(), workers=1, environ={})


def test_a_night_whose_run_is_put_back_is_told_as_it_was(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """With the promises of then, though there are others by now."""
    _, url = server
    of = settings(tmp_path, post.port, slo=(Slo(label="owner", target=0.5),))
    for day in range(3):
        night(of, url, days=day)
    run = run_id(NOW + timedelta(days=1))
    page = tmp_path / "site/nights" / run / "index.html"
    told, folder = page.read_text(), tmp_path / "snapshots/runs" / run
    folder.rename(tmp_path / "aside")
    rendered(of)
    assert not page.exists()
    (tmp_path / "aside").rename(folder)
    rendered(replace(of, slo=(Slo(label="owner", target=0.99),)))
    promised = re.findall("<td[^>]*>50 %", told)
    assert promised == re.findall("<td[^>]*>50 %", page.read_text())


def test_certificates_that_cannot_be_read_still_make_a_mail(
    server: tuple[Counting, str],
    post: Mailboxes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    outcome = night(settings(tmp_path, post.port), server[1])
    assert outcome.exit == Exit.FAILED
    assert "SSL_CERT_FILE names cannot be read" in outcome.summary[0]
    assert "REPORT FAILED" in post.arrived[-1].mail["Subject"]


def test_a_bucket_that_refuses_still_makes_a_mail(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """Exit 5; the next night publishes what this one could not."""
    _, url = server
    of = settings(tmp_path, post.port)
    (tmp_path / "www").write_text("a file where the folder should be")
    outcome = night(of, url)
    assert outcome.exit == Exit.NOT_DELIVERED
    [why] = [line for line in outcome.summary if line.startswith("publish: ")]
    [came] = post.arrived
    said = " ".join(text(came.mail).split())
    assert f"This night’s pages are not there yet ({why}); what was there before still is." in said
    assert "nights/20261123T021400Z" not in said
    assert "Open the pages of before" in said
    (tmp_path / "www").unlink()
    assert night(of, url, days=1).exit == Exit.DONE
    assert "nights/20261123T021400Z/index.html" in published(tmp_path)


def test_a_mail_that_nobody_took_is_told_of_by_the_next_night(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """Exit 5, and it waits; the next night's takes its place and says which night it was."""
    _, url = server
    away = settings(tmp_path, 1)
    outcome = night(away, url)
    assert outcome.exit == Exit.NOT_DELIVERED
    assert any(line.startswith("mail: ") for line in outcome.summary)
    assert "index.html" in published(tmp_path)
    assert night(settings(tmp_path, post.port), url, days=1).exit == Exit.DONE
    [came] = post.arrived
    assert "The mail of Mon 23 Nov could not be sent; it said: " in " ".join(
        text(came.mail).split()
    )


def test_a_night_of_which_no_mail_could_be_made_is_told_of_by_the_next_one(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """A secret that is gone, or a full disk: nothing waits in the spool to be sent later."""
    _, url = server
    of = settings(tmp_path, post.port)
    without = replace(of, mail=replace(of.mail, user="r", password_file=str(tmp_path / "gone")))
    came = night(without, url)
    assert came.exit == Exit.USAGE
    assert "index.html" in published(tmp_path)
    assert post.arrived == []
    assert night(of, url, days=1).exit == Exit.DONE
    first, then = (each.mail["Subject"] for each in post.arrived)
    assert "Mon 23 Nov" in first
    assert "Tue 24 Nov" in then
    assert night(of, url, days=2).exit == Exit.DONE
    assert len(post.arrived) == 3


def test_a_night_without_a_mail_ends_whatever_its_team_is_called(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """Else the next one would deliver it first, and tell of it once more."""
    _, url = server
    of = settings(tmp_path, post.port)
    night(of, url)
    rows = map(json.loads, (tmp_path / "site/data/jobs.ndjson").read_text().splitlines())
    fine = next(row["labels"] for row in rows if row["status"] == "Succeeded")
    quiet = Team(name="mail", to=("m@example.org",), send="on-failure", labels=fine)
    outcome = night(replace(of, teams=(quiet,)), url, days=1)
    assert outcome.summary[-1].startswith("mail: nothing to send"), outcome.summary
    assert json.loads((tmp_path / "snapshots/nightly.json").read_text())["ended"]


def test_a_disk_that_is_full_is_mailed_all_the_same(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be kept of the mail, which says what failed; with room again nights go on."""
    _, url = server
    disk = tmp_path / "disk"
    with small_disk(disk, 4):
        of = replace(
            settings(tmp_path, post.port), snapshots=Snapshots(dir=str(disk / "snapshots"))
        )
        night(of, url)
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        with suppress(OSError), (disk / "others").open("wb", buffering=0) as others:
            while others.write(bytes(4096)):
                pass
        outcome = night(of, url, days=1)
        assert outcome.exit == Exit.FAILED
        assert beat(tmp_path)["exit"] == Exit.FAILED
        said = "\n".join(outcome.summary)
        assert f"mails could not be kept: {disk}/snapshots-mail: No space left" in said
        assert "sent to everybody (all@example.org): " in said
        mail = post.arrived[-1].mail
        assert "REPORT FAILED" in mail["Subject"]
        assert "No space left on device" in text(mail)
        (disk / "others").unlink()
        assert night(of, url, days=2).exit == Exit.DONE
        assert "Wed 25 Nov" in post.arrived[-1].mail["Subject"]
        assert len(post.arrived) == 3


def test_where_neither_a_night_nor_its_mails_can_be_kept_they_are_sent_once(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """Whatever the reason; a server that takes none either is told of with it."""
    _, url = server
    of = settings(tmp_path, post.port)
    of = replace(of, mail=replace(of.mail, spool=str(tmp_path / "spool")))
    (tmp_path / "spool").write_text("no folder")
    (tmp_path / "snapshots/nightly.json").mkdir(parents=True)
    (tmp_path / "snapshots/nightly.json/of-others").touch()
    away = replace(of, mail=replace(of.mail, smtp=f"127.0.0.1:{free_port()}"))
    outcome = night(away, url)
    said = "\n".join(outcome.summary)
    assert outcome.exit == Exit.FAILED
    assert "; 1 mail waits and cannot be kept (" in said
    assert f"{tmp_path}/spool: " in said
    assert f"cannot write {tmp_path}/snapshots/nightly.json: " in said
    post.answers = ["450 4.2.0 later"]
    said = "\n".join(night(of, url, days=1).summary)
    assert "waits for all@example.org: 450 4.2.0 later; nothing keeps it" in said
    assert post.arrived == []
    assert night(of, url, days=2).exit == Exit.FAILED
    assert len(post.arrived) == 1


def test_two_nights_of_one_second_are_two_nights(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """As after a clock that was set back; the mail that waits for the first is told of."""
    _, url = server
    assert night(settings(tmp_path, 1), url).exit == Exit.NOT_DELIVERED
    assert night(settings(tmp_path, 1), url).exit == Exit.NOT_DELIVERED
    assert night(settings(tmp_path, post.port), url).exit == Exit.DONE
    assert len(post.arrived) == 1


def test_a_night_that_was_killed_is_delivered_before_the_next_one_asks(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """What changed in it is news of one night only, so its mail must go out on its own."""
    counting, url = server
    of = settings(tmp_path, post.port)
    night(of, url, days=-1)
    pipeline.collect(
        of, now=NOW, source=pipeline.Source(url=url), environ={}, progress=SilentProgress()
    )
    with account(Path(of.snapshots.dir), NOW) as kept:
        kept.begin(NOW)
    asked: list[int] = []
    post.during = lambda: asked.append(counting.details.total())
    before = counting.details.total()
    outcome = night(of, url, days=1)
    assert outcome.exit == Exit.DONE
    assert len(post.arrived) == 3
    # The mail of the killed night went out before the server was asked for anything.
    assert asked[0] == before
    assert "nights/20261123T021400Z/index.html" in published(tmp_path)
    # And it went out once: the night after that brings its own and no other.
    night(of, url, days=2)
    assert len(post.arrived) == 4


def test_an_account_of_a_newer_jmreport_is_left_as_it_is(tmp_path: Path) -> None:
    """A night left over there would be in no mail, were it written anew."""
    newer = b'{"format":2,"begun":["another shape"]}\n'
    (tmp_path / "nightly.json").write_bytes(newer)
    said = r"nightly.json was written by a newer jmreport \(format 2, this one reads 1\)"
    with pytest.raises(SnapshotError, match=said), account(tmp_path, NOW):
        pass
    assert (tmp_path / "nightly.json").read_bytes() == newer
    (tmp_path / "nightly.json").unlink()
    with account(tmp_path, NOW) as kept:
        kept.begin(NOW)
    assert b"format" not in (tmp_path / "nightly.json").read_bytes()


def test_a_night_that_is_killed_anywhere_leaves_the_lock_free_and_the_next_one_completes(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """kill -9 while it asks, renders or publishes."""
    counting, url = server
    counting.seconds = 0.02
    of = settings(tmp_path, post.port)
    (tmp_path / "jmreport.toml").write_text(toml(of, url))
    moments: tuple[Callable[[], bool], ...] = (
        lambda: counting.details.total() > 3,
        (tmp_path / "site/.jmreport").exists,
        (tmp_path / "www/.jmreport").exists,
    )
    for under_way in moments:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "jmreport", "nightly", "-q", "--now", NOW.isoformat()],
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
        )
        while not under_way() and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        process.wait()
    counting.seconds = 0.0
    outcome = night(of, url, days=1)
    # Of a mail that was under way when the night was killed nobody knows whether it came.
    unsure = any("may have been sent" in line for line in outcome.summary)
    assert outcome.exit == (Exit.NOT_DELIVERED if unsure else Exit.DONE), outcome.summary
    assert pipeline.check(of) == ()
    assert "index.html" in published(tmp_path)
    assert 1 <= len(post.arrived) <= 5


def test_a_night_that_was_killed_before_its_jobs_were_read_owes_nobody_a_mail(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    _, url = server
    of = settings(tmp_path, post.port)
    night(of, url, days=-1)
    with account(Path(of.snapshots.dir), NOW) as kept:
        kept.begin(NOW)
    assert night(of, url, days=1).exit == Exit.DONE
    assert len(post.arrived) == 2


def test_a_claim_goes_by_the_clock_and_not_by_when_the_night_began(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """Collecting may take hours: a claim of that age would be taken for a dead run's."""
    _, url = server
    of = settings(tmp_path, post.port)
    seen: list[dict[str, Any]] = []

    def clock() -> datetime:
        found = tmp_path / "www/.jmreport/claim.json"
        if found.exists():
            seen.append(json.loads(found.read_text()))
        return NOW + timedelta(hours=2)

    outcome = pipeline.nightly(
        of, now=NOW, source=pipeline.Source(url=url), environ={}, progress=SilentProgress(),
        clock=clock, workers=1,
    )  # fmt: skip
    assert outcome.exit == Exit.DONE
    assert {each["since"] for each in seen} == {"2026-11-23T04:14:00Z"}


def test_the_second_of_two_meets_the_lock(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """Exit 7 at once, with who is at work; nothing is asked, sent or written by it."""
    counting, url = server
    counting.seconds = 0.2
    of = settings(tmp_path, post.port)
    (tmp_path / "jmreport.toml").write_text(toml(of, url))
    first = subprocess.Popen([sys.executable, "-m", "jmreport", "nightly", "-q"], cwd=tmp_path)
    try:
        until = time.monotonic() + 60
        while not counting.details and time.monotonic() < until:
            time.sleep(0.01)
        second = subprocess.run(
            [sys.executable, "-m", "jmreport", "nightly", "-q"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        first.send_signal(signal.SIGTERM)
        first.wait()
    assert second.returncode == Exit.LOCKED
    assert f"another night is at work on {of.snapshots.dir} (process {first.pid}" in second.stderr
    assert first.returncode == Exit.INTERRUPTED
    assert beat(tmp_path)["exit"] == Exit.INTERRUPTED


def toml(of: Settings, url: str) -> str:
    """The same settings as a file."""
    return (
        f'[api]\nurl = "{url}"\ntries = 1\npage_size = 40\n'
        '[collect]\ntimeframe = "ALL_TIME"\n'
        f'[site]\ndir = "{of.site.dir}"\nurl = "{of.site.url}"\n'
        f'[snapshots]\ndir = "{of.snapshots.dir}"\n'
        f'[publish]\nto = "{of.publish.to}"\n'
        f'[mail]\nsmtp = "{of.mail.smtp}"\nstarttls = false\nsender = "r@example.org"\n'
        f'patience = 0\n[[teams]]\nname = "everybody"\nto = ["all@example.org"]\n'
        f'[nightly]\nheartbeat = "{of.nightly.heartbeat}"\n'
    )


def test_a_deadline_delivers_what_there_is_and_says_what_is_missing(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    counting, url = server
    counting.seconds = 0.15
    of = settings(tmp_path, post.port)
    of = replace(of, api=replace(of.api, concurrency=1))
    outcome = night(of, url, within=timedelta(seconds=2))
    assert outcome.exit == Exit.INCOMPLETE
    counts = pipeline.runs(of)[0][-1].counts
    assert counts.unreadable > 0
    assert f" {counts.fetched - counts.unreadable} read, " in outcome.summary[0]
    assert 0 < len(counting.details) < JOBS
    assert "INCOMPLETE" in post.arrived[0].mail["Subject"]
    assert "ncomplete" in (tmp_path / "www/index.html").read_text()


def test_a_night_prunes_what_is_old(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """The night after, its page is gone from the site; a day later from where it is published.

    A clock that is ahead by a year lets go of no more than the last three runs before it would.
    """
    _, url = server
    of = settings(tmp_path, post.port, prune=Prune(keep="3d"))
    first = "nights/20261113T021400Z/index.html"
    night(of, url, days=-10)
    assert first in published(tmp_path)
    for day in range(3):
        pipeline.collect(
            of,
            now=NOW + timedelta(days=day),
            source=pipeline.Source(url=url),
            environ={},
            progress=SilentProgress(),
        )
    ahead = night(of, url, days=365)
    assert any("pruned 1 run" in line for line in ahead.summary), ahead.summary
    for day in (3, 4, 5):
        assert night(of, url, days=day).exit == Exit.DONE
    assert "first report" not in text(post.arrived[1].mail).lower()
    kept = [run.id for run in pipeline.runs(of)[0] if not run.pruned]
    assert kept[0] == "20261123T021400Z"
    assert first not in published(tmp_path)
    assert pipeline.check(of) == ()


def test_without_a_server_nothing_is_begun(tmp_path: Path) -> None:
    code = subprocess.run(
        [sys.executable, "-m", "jmreport", "nightly"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert code.returncode == Exit.USAGE
    assert "neither --api-url nor --demo" in code.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_heart_that_cannot_beat_costs_no_report_and_is_told(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """Exit 1, since a file could not be written; all the rest was done."""
    _, url = server
    of = settings(tmp_path, post.port)
    (tmp_path / "heartbeat.json").mkdir()
    outcome = night(of, url)
    assert outcome.exit == Exit.FAILED
    assert any("heartbeat.json cannot be written" in line for line in outcome.summary)
    assert len(post.arrived) == 1
    assert "index.html" in published(tmp_path)
    assert [path.name for path in tmp_path.glob(".heartbeat*")] == []


def test_a_long_step_beats_every_ten_seconds(tmp_path: Path) -> None:
    at = NOW

    def clock() -> datetime:
        return at

    heart = Heartbeat(tmp_path / "beat", clock)
    with Beating(SilentProgress(), heart).step("read jobs", None) as step:
        for _ in range(25):
            step.advance()
            at += timedelta(seconds=1)
        told = json.loads((tmp_path / "beat").read_text())
    assert told["step"] == "read jobs"
    assert told["done"] in (20, 21)
    assert timedelta(seconds=10) == EVERY


def test_a_store_that_somebody_writes_is_waited_for_by_nobody(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """A `jmreport build` under way: the night ends with 7, and nobody gets a mail."""
    from jmreport.analysis import summarise
    from jmreport.snapshots import Redaction, Store

    _, url = server
    of = settings(tmp_path, post.port)
    with (
        Store.open(Path(of.snapshots.dir), summarise=summarise, create=True) as store,
        store.begin(NOW, Redaction()),
        pytest.raises(LockedError, match="another run is writing"),
    ):
        night(of, url)
    assert post.arrived == []


# The doctor


def looked(
    of: Settings, url: str | None, environ: dict[str, str] | None = None
) -> dict[str, pipeline.Finding]:
    of = replace(of, api=replace(of.api, url=url))
    found = pipeline.doctor(of, environ=environ or {}, progress=SilentProgress())
    return {each.what: each for each in found}


def test_the_doctor_finds_a_whole_night_well_and_sends_nothing(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    counting, url = server
    found = looked(settings(tmp_path, post.port), url)
    found.pop("memory", None)  # where the folders of tests are in memory
    assert {what: each.state for what, each in found.items()} == dict.fromkeys(
        ("server", "list", "snapshots", "site", "bucket", "mail", "heartbeat"), "ok"
    )
    assert post.arrived == []
    assert post.sessions == 1
    assert not counting.details
    assert list(tmp_path.iterdir()) == []
    assert pipeline.worst(tuple(found.values())) == Exit.DONE


def test_a_quiet_doctor_says_only_what_is_wrong(
    server: tuple[Counting, str],
    post: Mailboxes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, url = server
    file = tmp_path / "jmreport.toml"
    file.write_text(toml(settings(tmp_path, post.port), url))
    assert main(["doctor", "-q", "--config", str(file)]) == Exit.DONE
    assert "ok " not in capsys.readouterr().out
    (tmp_path / "site").write_text("a file")
    assert main(["doctor", "-q", "--config", str(file)]) == Exit.FAILED
    assert capsys.readouterr().out.startswith("wrong   site: ")


@pytest.mark.parametrize("folder", ["/dev/shm", "/", "/proc"])  # noqa: S108 - nothing is written
def test_the_doctor_warns_of_folders_that_take_memory(folder: str) -> None:
    """As the system itself says where they are; on Cloud Run all but mounted volumes do."""
    kind = subprocess.run(  # noqa: S603 - a program of the system
        ["/usr/bin/stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True
    ).stdout.strip()
    site = f"{folder}/site-that-is-not-there".replace("//", "/")
    of = replace(Settings(), site=Site(dir=site), snapshots=Snapshots(dir=site))
    found = looked(of, None).get("memory")
    assert (found is not None) == (kind in ("tmpfs", "ramfs"))
    if found is not None:
        assert (found.state, found.code) == ("warning", Exit.DONE)
        assert found.said.startswith(f"{site}: ")
    there = looked(of, None, {"CLOUD_RUN_JOB": "jmreport"}).get("memory")
    assert (there is not None) == (folder == "/" or found is not None)


def test_the_doctor_says_what_is_wrong_in_plain_words(
    server: tuple[Counting, str], tmp_path: Path
) -> None:
    counting, url = server
    counting.gone = (401, {"Content-Type": "text/plain"}, b"no")
    (tmp_path / "snapshots").write_text("a file")
    found = looked(settings(tmp_path, 1), url)
    assert found["server"].state == "wrong"
    assert "token" in found["server"].said
    assert found["server"].hint
    assert found["snapshots"].state == "wrong"
    assert "is no folder" in found["snapshots"].said
    assert found["mail"].state == "wrong"
    assert found["mail"].hint
    assert pipeline.worst(tuple(found.values())) == Exit.FAILED
    assert looked(settings(tmp_path, 1), None)["server"].code == Exit.USAGE


@pytest.mark.parametrize(
    ("changed", "what", "said"),
    [
        ({"publish": {"to": "site/pub"}}, "bucket", "one within the other"),
        ({"mail": {"smtp": "127.0.0.1:1", "starttls": False}}, "mail", "mail.sender is not set"),
        ({"mail": {"sender": "r@example.org", "spool": "spool"}}, "mail", "cannot wait in"),
        ({"nightly": {"heartbeat": "folder"}}, "heartbeat", "cannot be written"),
    ],
)
def test_the_doctor_finds_what_would_end_a_night(
    server: tuple[Counting, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, dict[str, Any]],
    what: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "spool").write_text("a file")
    _, url = server
    of = settings(tmp_path, 1)
    [(section, values)] = changed.items()
    kind = type(getattr(of, section))
    found = looked(replace(of, **{section: kind(**values)}), url)
    assert found[what].state == "wrong"
    assert said in found[what].said


def test_the_doctor_finds_pages_of_somebody_else_where_a_night_would_publish(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """The usual root of a host; behind a first night the pages there are ours."""
    _, url = server
    of = settings(tmp_path, post.port)
    (tmp_path / "www").mkdir()
    (tmp_path / "www/index.html").write_text("ours")
    found = looked(of, url)["bucket"]
    assert (found.state, found.code) == ("wrong", Exit.USAGE)
    assert "index.html is there already" in found.said
    assert night(of, url).exit == Exit.USAGE
    (tmp_path / "www/index.html").unlink()
    assert night(of, url, days=1).exit == Exit.DONE
    assert looked(of, url)["bucket"].state == "ok"


@pytest.mark.parametrize(
    ("record", "said", "code"),
    [("", "is damaged", Exit.NOT_DELIVERED), ('{"format":2}', "by a newer jmreport", Exit.FAILED)],
)
def test_the_doctor_finds_a_mail_whose_record_cannot_be_read(
    server: tuple[Counting, str],
    post: Mailboxes,
    tmp_path: Path,
    record: str,
    said: str,
    code: Exit,
) -> None:
    _, url = server
    of = settings(tmp_path, post.port)
    (tmp_path / "snapshots-mail").mkdir()
    kept = tmp_path / "snapshots-mail/20261122T021400Z-everybody-1a2b3c4d.json"
    kept.write_text(record)
    found = looked(of, url)["mail"]
    assert (found.state, found.code) == ("wrong", code)
    assert f"{kept}" in found.said
    assert said in found.said


@pytest.mark.parametrize(
    ("what", "there"),
    [
        ("site", "nights/20261122T021400Z"),
        ("site", ".jmreport/pages"),
        ("snapshots", "runs"),
        ("snapshots", "lock"),
    ],
)
def test_the_doctor_finds_what_somebody_else_left_where_a_night_writes(
    what: str, there: str
) -> None:
    """Root ran it once by hand: the folder itself is still this user's. What is not of a night is
    no concern of it."""
    if os.geteuid() != 0:
        pytest.skip("needs root to be two users")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        of = settings(Path(folder), free_port())
        path = Path(folder) / what / there
        path.parent.mkdir(parents=True)
        path.touch() if there in ("lock", ".jmreport/pages") else path.mkdir()
        (Path(folder) / what / "format.json").write_text('{"format": 1}')
        for other in ("lost+found", ".snapshot/hourly", "somebody/s"):
            (Path(folder) / what / other).mkdir(parents=True)
        for each in (Path(folder), *Path(folder).rglob("*")):
            os.chown(each, 65534, -1)
        for other in ("lost+found", ".snapshot", ".snapshot/hourly", "somebody", "somebody/s"):
            os.chown(Path(folder) / what / other, 0, -1)
        before = [each.state for each in looked_by(65534, of) if each.what == what]
        os.chown(path, 0, -1)
        path.chmod(0o755 if path.is_dir() else 0o644)
        found = next(each for each in looked_by(65534, of) if each.what == what)
    assert before == ["ok"]
    assert (found.state, found.code) == ("wrong", Exit.FAILED)
    assert found.said == f"{path} may not be written by this user"


@pytest.mark.parametrize(("name", "state"), [("lock", "wrong"), ("heard", "warning")])
def test_the_doctor_finds_what_somebody_else_left_in_the_spool(
    post: Mailboxes, name: str, state: str
) -> None:
    """Without the lock nothing can be kept there, and without the other mails compare badly."""
    if os.geteuid() != 0:
        pytest.skip("needs root to be two users")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "snapshots-mail" / name
        path.parent.mkdir()
        path.touch(0o600)
        for each in (Path(folder), path.parent):
            os.chown(each, 65534, -1)
        of = settings(Path(folder), post.port)
        [said, *well] = [each for each in looked_by(65534, of) if each.what == "mail"]
    assert said.state == state
    assert f"{path} may not be" in said.said
    assert said.code == (Exit.FAILED if state == "wrong" else Exit.DONE)
    assert [each.state for each in well] == ([] if state == "wrong" else ["ok"])


@pytest.mark.parametrize(
    ("there", "what", "code"),
    [
        ("snapshots/nightly.json", "snapshots", Exit.NOTHING_USABLE),
        ("www/.jmreport/claim.json", "bucket", Exit.USAGE),
    ],
)
def test_the_doctor_finds_what_a_newer_jmreport_left(
    server: tuple[Counting, str],
    post: Mailboxes,
    tmp_path: Path,
    there: str,
    what: str,
    code: Exit,
) -> None:
    """It ends as the night then does."""
    _, url = server
    of = settings(tmp_path, post.port)
    (tmp_path / there).parent.mkdir(parents=True)
    (tmp_path / there).write_text('{"format": 2}')
    found = looked(of, url)[what]
    assert (found.state, found.code) == ("wrong", code)
    assert f"{there} was written by a newer jmreport" in found.said
    assert night(of, url).exit == code


def looked_by(user: int, of: Settings) -> tuple[pipeline.Finding, ...]:
    """What the doctor finds when another user asks."""
    looked(of, None)  # so that nothing is left to import, which that user may not read
    os.seteuid(user)
    try:
        return pipeline.doctor(of, environ={}, progress=SilentProgress())
    finally:
        os.seteuid(0)


def test_the_doctor_says_of_a_bucket_what_publishing_and_the_mirror_would(
    post: Mailboxes, tmp_path: Path
) -> None:
    """Whether everybody may read it is asked of the mirror always, and of pages but for a public
    report; where it is not told there is a warning."""
    from gcs_server import BUCKET, served

    of = settings(tmp_path, post.port)
    of = replace(of, publish=replace(of.publish, to=f"gs://{BUCKET}/pages"))
    of = replace(of, snapshots=replace(of.snapshots, mirror=f"gs://{BUCKET}/jobs"))
    public = replace(of, publish=replace(of.publish, public=True))
    with served() as gcs:
        gcs.members = ["allUsers"]
        found = looked(of, None, gcs.environ)
        for what, hint in (("bucket", "set publish.public"), ("mirror", "the bucket's policy")):
            assert (found[what].state, found[what].code) == ("wrong", Exit.USAGE)
            assert found[what].said.endswith("can be read by allUsers")
            assert found[what].hint.endswith(hint)
        found = looked(public, None, gcs.environ)
        assert [found[what].state for what in ("bucket", "mirror")] == ["ok", "wrong"]
        gcs.members = None
        found = looked(of, None, gcs.environ)
        assert [found[what].state for what in ("bucket", "mirror")] == ["warning"] * 2
        found = looked(public, None, gcs.environ)
        assert [found[what].state for what in ("bucket", "mirror")] == ["ok", "warning"]


def test_what_cannot_be_meant_so_is_published_and_mailed_to_nobody(
    server: tuple[Counting, str], post: Mailboxes, tmp_path: Path
) -> None:
    """Exit 2: nothing was done. Here the built-in server over the snapshots of another."""
    _, url = server
    of = settings(tmp_path, post.port, prune=Prune(keep="1d"))
    night(of, url)
    shutil.rmtree(tmp_path / "www")
    outcome = pipeline.nightly(
        of,
        now=NOW + timedelta(days=9),
        source=pipeline.Source(demo=pipeline.DemoOptions()),
        environ={},
        progress=SilentProgress(),
        clock=lambda: NOW,
    )
    assert outcome.exit == Exit.USAGE
    assert "snapshots" in outcome.summary[0]
    assert not (tmp_path / "www").exists()
    assert len(post.arrived) == 1
    assert len(pipeline.runs(of)[0]) == 1
    assert not pipeline.runs(of)[0][0].pruned


def test_invented_jobs_are_not_told_of_where_a_real_servers_are(
    post: Mailboxes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither published nor mailed; a file that names no server may rehearse both."""
    monkeypatch.chdir(tmp_path)
    of = settings(tmp_path, post.port)
    named = toml(of, "https://jobs.example.org")
    nobody = named.replace('url = "https://jobs.example.org"\n', "")
    for settings_file, code in ((named, Exit.USAGE), (nobody, Exit.DONE)):
        (tmp_path / "jmreport.toml").write_text(settings_file)
        assert main(["nightly", "--demo", "--jobs", "20"]) == code
        assert (tmp_path / "www").exists() == (code == Exit.DONE)
        assert len(post.arrived) == (code == Exit.DONE)


def test_a_mail_setting_that_is_missing_is_a_usage_error(
    server: tuple[Counting, str], tmp_path: Path
) -> None:
    _, url = server
    of = settings(tmp_path, 1)
    found = looked(replace(of, mail=Mail(sender="r@example.org")), url)
    assert found["mail"].code == Exit.USAGE
    assert "mail.smtp is not set" in found["mail"].said
