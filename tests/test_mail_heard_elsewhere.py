"""What teams heard is known to machines without a disk too: the mirror carries it."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from gcs_server import BUCKET, served
from mail_cases import (
    ALL,
    ANA,
    NOW,
    Mailboxes,
    collect,
    free_port,
    job,
    night,
    send,
    settings,
    subjects,
    written,
)
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.bucket import open_bucket
from jmreport.errors import DeliveryError, Exit
from jmreport.mail import Spool
from jmreport.pipeline import mirroring
from jmreport.pipeline.hearing import Hearing
from jmreport.progress import SilentProgress
from jmreport.records import JobRow
from jmreport.settings import Settings, Snapshots, Team

CHANGE = replace(ANA, send="on-change")
FINE, BROKEN = job("a1", 2), job("a2", 1, "Failed")


def task(folder: Path, ago: int, *rows: JobRow, port: int, team: Team = CHANGE) -> Settings:
    """A night on a machine of its own, as far as its run: pulled, collected and pushed."""
    here = folder / f"task-{ago}"
    told = settings(here, team, port=port)
    told = replace(
        told, snapshots=Snapshots(dir=str(here / "snapshots"), mirror=str(folder / "mirror"))
    )
    mirroring.pull(told, now=NOW, environ={}, progress=SilentProgress())
    collect(here, ago, *rows)
    mirroring.push(told, now=NOW, environ={}, progress=SilentProgress())
    return told


def known(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((folder / "mirror/heard.json").read_bytes())
    return found


@pytest.mark.parametrize("lost", ["killed", "unsent"])
def test_what_one_task_could_not_tell_is_news_in_the_mail_of_the_next(
    tmp_path: Path, lost: str
) -> None:
    """It was killed behind its run, or no mail server took its mail: both are gone with it."""
    with Mailboxes() as boxes:
        send(task(tmp_path, 2, FINE, port=boxes.port))
        unsent = task(tmp_path, 1, FINE, BROKEN, port=free_port())
        if lost == "unsent":
            with suppress(DeliveryError):
                send(unsent)
        assert known(tmp_path) == {"germline": [night(2)]}
        shutil.rmtree(tmp_path / "task-1")
        last = task(tmp_path, 0, FINE, BROKEN, port=boxes.port)
        [mail] = written(last, tmp_path / "files").values()
        assert "1 new of 2" in mail["Subject"]
        [said] = send(last, dry_run=True).summary
        assert "would send" in said
        assert known(tmp_path) == {"germline": [night(2)]}
        assert send(last).exit == Exit.DONE
        assert subjects(boxes)[1:] == ["1 new of 2"]
        assert known(tmp_path) == {"germline": [night(2), night(0)]}


def test_a_night_that_is_no_news_counts_as_heard_by_all_machines(tmp_path: Path) -> None:
    """It is compared with, and it is no run of the store to whoever pulls or prunes."""
    with Mailboxes() as boxes:
        send(task(tmp_path, 2, FINE, port=boxes.port))
        send(task(tmp_path, 1, FINE, port=boxes.port))
        last = task(tmp_path, 0, FINE, port=boxes.port)
        assert len(boxes.arrived) == 1
    assert known(tmp_path) == {"germline": [night(2), night(1)]}
    pipeline.prune(
        last, now=NOW, keep=(NOW - NOW.replace(day=22)) / 2, environ={}, progress=SilentProgress()
    )
    assert known(tmp_path) == {"germline": [night(2), night(1)]}
    assert pipeline.check(last) == ()


def test_machines_add_to_what_each_other_told_in_a_bucket(tmp_path: Path) -> None:
    with Mailboxes() as boxes, served() as gcs:
        for team, name in ((ANA, "one"), (ALL, "two")):
            collect(tmp_path / name, 0, FINE)
            told = settings(tmp_path / name, team, port=boxes.port)
            told = replace(told, snapshots=replace(told.snapshots, mirror=f"gs://{BUCKET}/jobs"))
            assert send(told, environ=gcs.environ).exit == Exit.DONE
        with closing(open_bucket(f"gs://{BUCKET}/jobs", environ=gcs.environ)) as bucket:
            found = bucket.read("heard.json")
    assert found is not None
    assert json.loads(found.data) == {"everybody": [night(0)], "germline": [night(0)]}


def test_machines_that_tell_it_at_one_moment_lose_nothing(tmp_path: Path) -> None:
    told = settings(tmp_path)
    told = replace(told, snapshots=replace(told.snapshots, mirror=str(tmp_path / "mirror")))

    def share(name: str) -> None:
        with Spool(tmp_path / name) as spool:
            spool.hear([name], night(0))
        Hearing(told, tmp_path / name, {}, SilentProgress()).share()

    names = ["a", "b", "c", "d"]
    with ThreadPoolExecutor(len(names)) as pool:
        [*pool.map(share, names)]
    assert known(tmp_path) == {name: [night(0)] for name in names}


@pytest.mark.parametrize("away", ["read", "written"])
def test_a_mirror_that_does_not_take_it_keeps_no_mail_back(tmp_path: Path, away: str) -> None:
    """The mail goes, the command ends with 5, and says what is lacking."""
    if away == "read":
        (tmp_path / "mirror/heard.json").mkdir(parents=True)
    else:
        (tmp_path / "mirror").write_text("a file")
    with Mailboxes() as boxes:
        collect(tmp_path, 0, FINE)
        told = settings(tmp_path, port=boxes.port)
        told = replace(told, snapshots=replace(told.snapshots, mirror=str(tmp_path / "mirror")))
        done = send(told)
        assert len(boxes.arrived) == 1
    assert done.exit == Exit.NOT_DELIVERED
    pushed = "pulled" if away == "read" else "pushed"
    assert f"mirror: what teams have heard could not be {pushed}: " in " ".join(done.summary)


@pytest.mark.parametrize("body", [b"{", '{"germline": ["z-²"]}'.encode(), b"[]"])
def test_what_the_mirror_says_and_nobody_can_read_is_written_anew(
    tmp_path: Path, body: bytes
) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/heard.json").write_bytes(body)
    with Mailboxes() as boxes:
        assert send(task(tmp_path, 0, FINE, port=boxes.port)).exit == Exit.DONE
    assert known(tmp_path) == {"germline": [night(0)]}


def test_a_task_sends_no_second_mail_of_a_run_that_another_one_told_of(tmp_path: Path) -> None:
    """It was started again, or its own night came to nothing: the newest run is an old one then."""
    with Mailboxes() as boxes:
        send(task(tmp_path, 1, FINE, BROKEN, port=boxes.port, team=ANA))
        fresh = settings(tmp_path / "again", ANA, port=boxes.port)
        mirror = Snapshots(dir=str(tmp_path / "again/snapshots"), mirror=str(tmp_path / "mirror"))
        fresh = replace(fresh, snapshots=mirror)
        mirroring.pull(fresh, now=NOW, environ={}, progress=SilentProgress())
        assert "another machine told it of run" in " ".join(send(fresh).summary)
        assert len(boxes.arrived) == 1
        send(fresh, again=True)
        assert len(boxes.arrived) == 2


def test_a_new_team_is_told_once_what_fails_already_whichever_machine_tells_it(
    tmp_path: Path,
) -> None:
    old = job("a1", 3, "Failed")
    with Mailboxes() as boxes:
        send(task(tmp_path, 2, old, port=boxes.port, team=ALL))
        for ago in (1, 0):
            send(task(tmp_path, ago, old, port=boxes.port))
        assert subjects(boxes)[1:] == ["0 new, 1 still failing of 1"]


def test_a_spool_that_knows_a_team_goes_by_its_own_word(tmp_path: Path) -> None:
    """Two machines with readers of their own share a mirror."""
    with Mailboxes() as boxes:
        first = task(tmp_path, 2, FINE, port=boxes.port)
        send(first)
        other = task(tmp_path, 1, FINE, BROKEN, port=boxes.port)
        send(other)
        mirroring.pull(first, now=NOW, environ={}, progress=SilentProgress())
        send(first)
        assert subjects(boxes)[1:] == ["1 new of 2", "1 new of 2"]
