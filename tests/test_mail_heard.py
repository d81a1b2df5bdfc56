"""What a mail compares with: the last report of which its team heard, whatever came between."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
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
    text,
    written,
)
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.errors import DeliveryError, Exit
from jmreport.mail import heard
from jmreport.progress import SilentProgress
from jmreport.settings import Settings, Team

CHANGE = replace(ANA, send="on-change")
#: How many days before the newest night somebody built by hand, after work that failed by then.
NOON = 0.5
FAILED = replace(job("a1", 0, "Failed"), id="day", end=NOW - NOON * (NOW - NOW.replace(day=22)))


def last(boxes: Mailboxes) -> str:
    return " ".join(text(boxes.arrived[-1].mail).split())


@pytest.mark.parametrize("between", [(NOON,), (NOON, 0.25), (NOON, 0.25, 0.1)])
@pytest.mark.parametrize("team", [ANA, CHANGE])
def test_what_is_new_in_a_build_between_two_mails_is_news_in_the_next_mail(
    tmp_path: Path, team: Team, between: Sequence[float]
) -> None:
    with Mailboxes() as boxes:
        told = settings(tmp_path, team, port=boxes.port)
        collect(tmp_path, 2, job("a1", 2))
        send(told)
        collect(tmp_path, 1, job("a1", 1))
        send(told)
        boxes.arrived.clear()
        for ago in between:
            collect(tmp_path, ago, job("a1", 1), FAILED)
        collect(tmp_path, 0, job("a1", 1), FAILED, job("a2", 0))
        send(told)
        assert subjects(boxes) == ["1 new of 4"]
        said = last(boxes)
        assert "New, fixed and missing are meant since Sun 22 Nov 2026, 02:14" in said
        assert "that of Sun 22 Nov 2026" in said
        assert "of which this team was not told" in said
        # And it is news once.
        collect(tmp_path, -1, job("a1", 1), FAILED, job("a2", 0))
        send(told)
        assert subjects(boxes)[1:] == ([] if team == CHANGE else ["0 new, 1 still failing of 4"])


def test_what_is_fixed_in_a_build_between_two_mails_is_in_the_next_mail(tmp_path: Path) -> None:
    with Mailboxes() as boxes:
        told = settings(tmp_path, CHANGE, port=boxes.port)
        collect(tmp_path, 1, job("a1", 1, "Failed"))
        send(told)
        collect(tmp_path, 0.01, job("a1", 1, "Failed"), job("a1", 0))
        collect(tmp_path, 0, job("a1", 1, "Failed"), job("a1", 0))
        send(told)
        assert subjects(boxes)[1:] == ["1 fixed of 2"]


def test_a_failed_job_that_was_handed_over_between_two_mails_is_in_the_next_mail(
    tmp_path: Path,
) -> None:
    with Mailboxes() as boxes:
        li = Team(name="li", to=("li@example.org",), labels={"owner": "li"}, send="on-change")
        told = settings(tmp_path, li, port=boxes.port)
        mine, theirs = job("a1", 1, "Failed"), job("a1", 1, "Failed", owner="li")
        collect(tmp_path, 1, mine, job("l1", 1, owner="li"))
        send(told)
        collect(tmp_path, NOON, theirs, job("l1", 1, owner="li"))
        collect(tmp_path, 0, theirs, job("l1", 1, owner="li"))
        send(told)
        assert len(boxes.arrived) == 2
        assert "now this team’s: 1 job" in last(boxes).lower()


def test_a_run_of_which_a_team_was_rightly_not_mailed_is_compared_with(tmp_path: Path) -> None:
    """Else each mail after a month of silence would tell the month."""
    with Mailboxes() as boxes:
        told = settings(tmp_path, CHANGE, port=boxes.port)
        for ago in (3, 2, 1):
            collect(tmp_path, ago, job("a1", 3))
            send(told)
        collect(tmp_path, 0, job("a1", 3), FAILED)
        send(told)
        assert subjects(boxes) == ["first report, 1 job", "1 new of 2"]
        assert "compared with Sun 22 Nov 2026, 02:14" in last(boxes)
        assert "are meant since" not in last(boxes)
    assert heard(tmp_path / "snapshots-mail") == {
        "germline": (night(3), night(2), night(1), night(0))
    }


def test_the_mail_of_a_run_that_failed_leaves_the_news_to_the_next(tmp_path: Path) -> None:
    """It says that the old report stands, and names none of its jobs."""
    with Mailboxes() as boxes:
        told = settings(tmp_path, CHANGE, port=boxes.port)
        collect(tmp_path, 1, job("a1", 1))
        send(told)
        collect(tmp_path, NOON, job("a1", 1), FAILED)
        collect(tmp_path, 0.1, state="failed")
        send(told)
        collect(tmp_path, 0, job("a1", 1), FAILED)
        send(told)
        assert subjects(boxes)[1:] == ["the report of Sun 22 Nov stands", "1 new of 2"]
        assert "brought no report" in last(boxes)


def test_the_same_mail_made_again_compares_with_the_same_report(tmp_path: Path) -> None:
    with Mailboxes() as boxes:
        told = settings(tmp_path, port=boxes.port)
        collect(tmp_path, 1, job("a1", 1))
        send(told)
        collect(tmp_path, NOON, job("a1", 1), FAILED)
        collect(tmp_path, 0, job("a1", 1), FAILED)
        send(told)
        send(told, again=True)
        first, again = boxes.arrived[1:]
        assert first.raw == again.raw
        [file] = written(told, tmp_path / "files").values()
        assert file["Subject"] == first.mail["Subject"]


def test_a_mail_that_waits_is_told_of_and_its_news_are_not_new_twice(tmp_path: Path) -> None:
    with Mailboxes() as boxes:
        told = settings(tmp_path, port=boxes.port)
        collect(tmp_path, 2, job("a1", 2))
        send(told)
        collect(tmp_path, 0.1, job("a1", 2), FAILED)
        with suppress(DeliveryError):
            send(settings(tmp_path, port=free_port()))
        collect(tmp_path, 0, job("a1", 2), FAILED)
        send(told)
        assert subjects(boxes)[1:] == ["0 new, 1 still failing of 2"]
        assert "could not be sent; it said: 1 new of 2." in last(boxes)


def test_each_team_hears_of_what_it_has_not_heard_of(tmp_path: Path) -> None:
    """One that was left out by --team, and one that is new, of which nobody knows what it knows."""
    with Mailboxes() as boxes:
        told = settings(tmp_path, ANA, ALL, port=boxes.port)
        collect(tmp_path, 1, job("a1", 1))
        send(told)
        collect(tmp_path, NOON, job("a1", 1), FAILED)
        send(told, teams=("everybody",))
        collect(tmp_path, 0, job("a1", 1), FAILED)
        boxes.arrived.clear()
        new = replace(ALL, name="new")
        send(replace(told, teams=(*told.teams, new)))
        assert sorted(subjects(boxes)) == [
            "0 new, 1 still failing of 2",
            "0 new, 1 still failing of 2",
            "1 new of 2",
        ]


@pytest.mark.parametrize("lost", ["gone", "garbage", "of other runs"])
def test_where_nobody_knows_what_was_told_a_mail_compares_with_the_run_before(
    tmp_path: Path, lost: str
) -> None:
    with Mailboxes() as boxes:
        told = settings(tmp_path, port=boxes.port)
        collect(tmp_path, 1, job("a1", 1))
        send(told)
        collect(tmp_path, NOON, job("a1", 1), FAILED)
        collect(tmp_path, 0, job("a1", 1), FAILED)
        known = tmp_path / "snapshots-mail/heard"
        if lost == "gone":
            known.unlink()
        else:
            other = json.dumps({"germline": ["20300101T000000Z"]})
            known.write_text("{" if lost == "garbage" else other)
        send(told)
        assert subjects(boxes)[1:] == ["0 new, 1 still failing of 2"]


def test_a_mail_whose_maker_was_killed_before_it_could_note_it_counts_as_heard(
    tmp_path: Path,
) -> None:
    with Mailboxes() as boxes:
        told = settings(tmp_path, port=boxes.port)
        collect(tmp_path, 1, job("a1", 1))
        send(told)
        known = (tmp_path / "snapshots-mail/heard").read_bytes()
        collect(tmp_path, NOON, job("a1", 1), FAILED)
        send(told)
        (tmp_path / "snapshots-mail/heard").write_bytes(known)
        collect(tmp_path, 0, job("a1", 1), FAILED)
        send(told)
        assert subjects(boxes)[1:] == ["1 new of 2", "0 new, 1 still failing of 2"]


def test_mails_of_runs_that_failed_push_nothing_out_of_what_was_heard(tmp_path: Path) -> None:
    """A weekend of a server that is gone, an hourly cron, and somebody who tries by hand."""
    with Mailboxes() as boxes:
        told = settings(tmp_path, CHANGE, port=boxes.port)
        collect(tmp_path, 2, job("a1", 2))
        send(told)
        for hour in range(11):
            collect(tmp_path, 1.9 - hour / 24, state="failed")
            send(told)
        collect(tmp_path, NOON, job("a1", 1), FAILED)
        collect(tmp_path, 0, job("a1", 1), FAILED)
        send(told)
        assert subjects(boxes)[-1].startswith("1 new of ")


@pytest.mark.parametrize(
    "body", [b'{"germline": ["2026\xff"]}', '{"germline": ["z-²"]}'.encode(), b"\x00", b"[]"]
)
def test_what_was_heard_and_cannot_be_read_keeps_no_mail_back(tmp_path: Path, body: bytes) -> None:
    with Mailboxes() as boxes:
        told = settings(tmp_path, ANA, port=boxes.port)
        collect(tmp_path, 1, job("a1", 1))
        send(told)
        (tmp_path / "snapshots-mail" / "heard").write_bytes(body)
        collect(tmp_path, 0, job("a1", 1), job("a1", 0, "Failed"))
        send(told)
        assert subjects(boxes)[1:] == ["1 new of 2"]


def test_what_was_heard_and_cannot_be_noted_keeps_no_mail_back(tmp_path: Path) -> None:
    (tmp_path / "snapshots-mail" / "heard" / "in the way").mkdir(parents=True)
    with Mailboxes() as boxes:
        collect(tmp_path, 1, job("a1", 1))
        send(settings(tmp_path, ANA, port=boxes.port))
        assert len(boxes.arrived) == 1


def test_a_team_that_heard_of_nothing_for_weeks_is_told_what_pages_tell(tmp_path: Path) -> None:
    """What failed long ago has no state any more: it is neither new nor failing."""
    long_ago = job("a1", 20, "Failed")
    with Mailboxes() as boxes:
        told = settings(tmp_path, ANA, port=boxes.port)
        collect(tmp_path, 22, job("a2", 22))
        send(told)
        for ago in range(20, -1, -1):
            collect(tmp_path, ago, long_ago, job("a2", ago))
        send(told)
        assert subjects(boxes)[1:] == ["8 jobs"]


def test_a_new_team_is_told_once_what_fails_already(tmp_path: Path) -> None:
    """One that hears of changes alone; where nothing of it fails it waits for something to."""
    with Mailboxes() as boxes:
        told = settings(tmp_path, ALL, port=boxes.port)
        old = job("a1", 2, "Failed"), job("l1", 2, owner="li")
        for ago in (2, 1):
            collect(tmp_path, ago, *old)
            send(told)
        boxes.arrived.clear()
        li = Team(name="li", to=("li@example.org",), labels={"owner": "li"}, send="on-change")
        told = replace(told, teams=(CHANGE, li))
        collect(tmp_path, 0, *old)
        again = [send(told).exit, send(told, again=True).exit]
        assert again == [Exit.DONE, Exit.DONE]
        assert subjects(boxes) == ["0 new, 1 still failing of 1"] * 2
        assert boxes.arrived[0].raw == boxes.arrived[1].raw
        assert "This is the first mail to this team" in last(boxes)
        collect(tmp_path, -1, *old)
        send(told)
        assert len(boxes.arrived) == 2


@pytest.mark.parametrize("lost", [True, False])
def test_no_team_is_new_where_nobody_knows_what_any_heard(tmp_path: Path, *, lost: bool) -> None:
    """Behind an update from before that was noted, and in a night that is told again."""
    with Mailboxes() as boxes:
        told = settings(tmp_path, CHANGE, ALL, port=boxes.port)
        for ago in (1, 0):
            collect(tmp_path, ago, job("a1", 2, "Failed"))
            if ago:
                send(told)
        if lost:
            (tmp_path / "snapshots-mail/heard").unlink()
        boxes.arrived.clear()
        send(told)
        send(told, again=True)
        assert {arrived.to for arrived in boxes.arrived} == {ALL.to}


def test_a_build_by_hand_does_not_take_the_news_from_pages_either(tmp_path: Path) -> None:
    """Each page compares with the run before it, and the mail says that it does not."""
    told: Settings = settings(tmp_path)
    with Mailboxes() as boxes:
        told = settings(tmp_path, port=boxes.port)
        collect(tmp_path, 1, job("a1", 1))
        send(told)
        collect(tmp_path, NOON, job("a1", 1), FAILED)
        pipeline.render(told, progress=SilentProgress(), workers=1)
        at_noon = json.loads((tmp_path / "site/data/report.json").read_text())
        collect(tmp_path, 0, job("a1", 1), FAILED)
        pipeline.render(told, progress=SilentProgress(), workers=1)
        at_night = json.loads((tmp_path / "site/data/report.json").read_text())
        send(told)
    assert (at_noon["counts"]["new"], at_night["counts"]["new"]) == (1, 0)
    assert subjects(boxes)[1:] == ["1 new of 2"]
    assert "The page of this one compares with that of Sun 22 Nov 2026, 14:14" in last(boxes)
