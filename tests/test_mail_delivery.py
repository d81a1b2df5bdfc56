"""Mails on their way: sent once, or known not to be, whatever a server or a signal does."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mail_cases import (
    ALL,
    ANA,
    DAY,
    NOW,
    Mailboxes,
    certified,
    collect,
    fine,
    free_port,
    job,
    night,
    run,
    send,
    settings,
    text,
    usual,
)
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.analysis import measure, summarise
from jmreport.cli import main
from jmreport.errors import DeliveryError, Exit, LockedError, UsageError
from jmreport.mail import NewerError, Spool, probe
from jmreport.mail import Server as MailboxServer
from jmreport.mailboxes import MailServer
from jmreport.progress import SilentProgress
from jmreport.settings import Settings
from jmreport.snapshots import Store


def states(folder: Path) -> dict[str, str]:
    """What the spool says of each recipient of the newest night."""
    found = {}
    for path in (folder / "snapshots-mail").glob(f"{night(0)}-*.json"):
        for each in json.loads(path.read_text())["recipients"]:
            found[each["address"]] = each.get("state", "waiting")
    return found


def test_a_mail_that_a_newer_jmreport_kept_is_left_and_none_is_sent_beside_it(
    tmp_path: Path,
) -> None:
    """Whether it was sent is not known here: its name, and what to do, are said."""
    usual(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        told = settings(tmp_path, port=boxes.port)
        send(told)
        [kept] = (tmp_path / "snapshots-mail").glob("*.json")
        assert b'"format"' not in kept.read_bytes()
        newer = b'{"format":2,"recipients":"in another shape"}'
        kept.write_bytes(newer)
        said = rf"{kept.name} was written by a newer jmreport \(format 2, this one reads 1\)"
        for how in ({}, {"again": True}, {"unattended": True}, {"dry_run": True}):
            with pytest.raises(NewerError, match=said):
                send(replace(told, teams=(ANA, ALL)), **how)
        assert send(told, write=tmp_path / "files").exit == Exit.DONE
        assert len(boxes.arrived) == 1
    assert kept.read_bytes() == newer


def test_a_mail_arrives_and_is_sent_once(tmp_path: Path) -> None:
    """The same team and night never again, unless --again says so."""
    usual(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        told = settings(tmp_path, port=boxes.port)
        first, second = send(told), send(told)
        assert (first.exit, second.exit) == (Exit.DONE, Exit.DONE)
        assert len(boxes.arrived) == 1
        assert "was sent already" in second.summary[0]
        send(told, again=True)
    one, other = boxes.arrived
    assert one.to == ("ana@example.org", "bo@example.org")
    assert one.sender == "reports@example.org"
    assert one.mail["Subject"].startswith("[jm] germline · Mon 23 Nov: 1 new, 1 fixed, 1 still")
    assert one.mail["Message-ID"] == other.mail["Message-ID"]
    assert one.raw == other.raw


def test_the_headers_are_those_of_a_list_that_threads(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        told = settings(tmp_path, port=boxes.port, reply_to="team@example.org")
        send(told)
    mail = boxes.arrived[0].mail
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"].endswith(".jmreport.example.org>")
    assert mail["Reply-To"] == "team@example.org"
    assert mail["From"] == "Batch reports <reports@example.org>"
    assert mail["Date"].datetime == NOW
    thread, before = mail["References"].split()
    assert mail["In-Reply-To"] == before
    assert mail["Message-ID"] == before.replace(night(1), night(0))
    assert thread == before.replace(night(1), "thread")
    assert boxes.arrived[0].raw.isascii()
    assert max(map(len, boxes.arrived[0].raw.split(b"\r\n"))) <= 200
    assert mail.defects == []


def test_two_teams_get_a_mail_each(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        outcome = send(settings(tmp_path, ANA, ALL, port=boxes.port))
    assert [arrived.to for arrived in boxes.arrived] == [
        ("ana@example.org", "bo@example.org"),
        ("all@example.org",),
    ]
    ids = {arrived.mail["Message-ID"] for arrived in boxes.arrived}
    assert len(ids) == 2
    assert len(outcome.summary) == 2


def test_one_refused_recipient_is_told_and_the_others_get_the_mail(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    with Mailboxes(recipients={"bo@example.org": ["550 5.1.1 no such user here"]}) as boxes:
        outcome = send(settings(tmp_path, port=boxes.port))
        assert outcome.exit == Exit.NOT_DELIVERED
        assert (
            "germline: bo@example.org was refused: 550 5.1.1 no such user here" in outcome.summary
        )
        again = send(settings(tmp_path, port=boxes.port))
    assert [arrived.to for arrived in boxes.arrived] == [("ana@example.org",)]
    assert again.exit == Exit.NOT_DELIVERED
    assert states(tmp_path) == {"ana@example.org": "sent", "bo@example.org": "refused"}


def test_a_refused_mail_is_told_and_not_sent_again(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    with Mailboxes(answers=["554 looks like spam"]) as boxes:
        told = settings(tmp_path, port=boxes.port)
        outcome, again = send(told), send(told)
    assert boxes.arrived == []
    assert outcome.exit == again.exit == Exit.NOT_DELIVERED
    assert any("554 looks like spam" in line for line in again.summary)
    assert boxes.sessions == 1


@pytest.mark.parametrize("where", ["recipients", "mail"])
def test_what_may_pass_is_tried_again(tmp_path: Path, where: str) -> None:
    """A 451, as greylists give it, costs a second and no mail."""
    usual(tmp_path / "snapshots")
    given: dict[str, Any] = (
        {"recipients": {"bo@example.org": ["451 try later"]}}
        if where == "recipients"
        else {"answers": ["451 try later"]}
    )
    with Mailboxes(**given) as boxes:
        outcome = send(settings(tmp_path, port=boxes.port, patience=20.0))
    assert outcome.exit == Exit.DONE
    to = [address for arrived in boxes.arrived for address in arrived.to]
    assert sorted(to) == ["ana@example.org", "bo@example.org"]


def test_what_does_not_pass_waits_for_the_next_run(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    with Mailboxes(recipients={"bo@example.org": ["451 try later"] * 2}) as boxes:
        told = settings(tmp_path, port=boxes.port)
        first = send(told)
        assert first.exit == Exit.NOT_DELIVERED
        assert any("waits for bo@example.org: 451 try later" in line for line in first.summary)
        assert send(told).exit == Exit.NOT_DELIVERED
        third = send(told)
    assert third.exit == Exit.DONE
    assert [arrived.to for arrived in boxes.arrived] == [("ana@example.org",), ("bo@example.org",)]


def test_with_no_network_nothing_is_lost(tmp_path: Path) -> None:
    """The spool keeps the mail, and the next run sends it."""
    usual(tmp_path / "snapshots")
    told = settings(tmp_path, port=free_port())
    with pytest.raises(DeliveryError, match="connection refused; 1 mail waits in"):
        send(told)
    assert states(tmp_path) == {"ana@example.org": "waiting", "bo@example.org": "waiting"}
    with Mailboxes() as boxes:
        assert send(settings(tmp_path, port=boxes.port)).exit == Exit.DONE
    assert len(boxes.arrived) == 1


def test_a_server_that_comes_back_in_time_gets_the_mail(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    boxes = Mailboxes()
    timer = threading.Timer(1.5, boxes.__enter__)
    timer.start()
    try:
        outcome = send(settings(tmp_path, port=boxes.port, patience=30.0))
    finally:
        timer.join()
        boxes.__exit__()
    assert outcome.exit == Exit.DONE
    assert len(boxes.arrived) == 1


def test_a_server_that_never_answers_is_left_in_time(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(DeliveryError, match=r"no answer in 0\.5 s"):
            send(settings(tmp_path, port=silent.getsockname()[1], timeout=0.5))
        assert time.monotonic() - began < 10
    assert set(states(tmp_path).values()) == {"waiting"}


@pytest.mark.parametrize("how", ["drop", "hang"])
def test_a_mail_whose_end_was_not_answered_may_have_been_sent(tmp_path: Path, how: str) -> None:
    """It is told, never silently lost or doubled, and --again sends it once more."""
    usual(tmp_path / "snapshots")
    with Mailboxes(answers=[how]) as boxes:
        told = settings(tmp_path, port=boxes.port, timeout=1.0, patience=5.0)
        first = send(told)
        second = send(told)
        assert len(boxes.arrived) == 1
        for outcome in (first, second):
            assert outcome.exit == Exit.NOT_DELIVERED
            assert any(
                "may have been sent to ana@example.org" in line and "--again" in line
                for line in outcome.summary
            )
        assert send(told, again=True).exit == Exit.DONE
    assert len(boxes.arrived) == 2
    assert boxes.arrived[0].mail["Message-ID"] == boxes.arrived[1].mail["Message-ID"]


def program(folder: Path, port: int, *more: str) -> list[str]:
    file = folder / "jmreport.toml"
    file.write_text(
        f'[site]\ndir = "site"\n[snapshots]\ndir = "snapshots"\n'
        '[report]\nidentity_labels = ["sample"]\n'
        f'[mail]\nsmtp = "127.0.0.1:{port}"\nstarttls = false\nsender = "r@example.org"\n'
        'patience = 0\n[[teams]]\nname = "germline"\nto = ["ana@example.org"]\n'
    )
    return [sys.executable, "-m", "jmreport", "mail", "--config", str(file), *more]


def test_killed_between_the_mails_end_and_its_record_it_says_so(tmp_path: Path) -> None:
    """A kill -9 at the worst moment: the next run says that the mail may have been sent."""
    usual(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        command = program(tmp_path, boxes.port)
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - this program
        boxes.during = lambda: os.kill(running.pid, signal.SIGKILL)
        assert running.wait(60) == -signal.SIGKILL
        boxes.during = lambda: None
        assert states(tmp_path) == {"ana@example.org": "sending"}
        next_ = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        assert next_.returncode == Exit.NOT_DELIVERED
        assert "germline: may have been sent to ana@example.org: stopped before" in next_.stdout
        assert "--again" in next_.stdout
        assert len(boxes.arrived) == 1
        done = subprocess.run([*command, "--again"], check=False, capture_output=True)  # noqa: S603
        assert done.returncode == Exit.DONE
    assert len(boxes.arrived) == 2


def test_killed_before_the_server_could_take_it_the_next_run_sends_it_once(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = program(tmp_path, silent.getsockname()[1])
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - this program
        silent.accept()
        running.kill()
        running.wait(60)
    assert states(tmp_path) == {"ana@example.org": "waiting"}
    with Mailboxes() as boxes:
        done = subprocess.run(program(tmp_path, boxes.port), check=False, capture_output=True)  # noqa: S603
    assert done.returncode == Exit.DONE
    assert len(boxes.arrived) == 1


def test_of_two_that_send_at_once_the_second_stops(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        told = settings(tmp_path, port=boxes.port)
        caught: list[LockedError] = []

        def second() -> None:
            with pytest.raises(LockedError) as raised:
                send(told)
            caught.append(raised.value)

        boxes.during = second
        assert send(told).exit == Exit.DONE
        assert caught
        assert caught[0].code == Exit.LOCKED
    assert len(boxes.arrived) == 1


# earlier nights


def _a_night_earlier(folder: Path, told: Settings) -> None:
    """A first night whose mail could not be sent, and then a second run of the store."""
    with Store.open(
        folder / "snapshots", summarise=summarise, measure=measure, create=True
    ) as opened:
        run(opened, [job("a1", 1, "Failed")], 1, "complete", ())
        with pytest.raises(DeliveryError):
            send(told)
    with Store.open(folder / "snapshots", summarise=summarise, measure=measure) as opened:
        run(opened, [job("a1", 0)], 0, "complete", ())


def test_a_mail_that_waits_gives_way_to_tonights_which_says_so(tmp_path: Path) -> None:
    _a_night_earlier(tmp_path, settings(tmp_path, port=free_port()))
    with Mailboxes() as boxes:
        outcome = send(settings(tmp_path, port=boxes.port))
    assert outcome.exit == Exit.DONE
    assert any("tonight's takes its place" in line for line in outcome.summary)
    [arrived] = boxes.arrived
    body = arrived.mail.get_body(("plain",))
    assert body is not None
    told = " ".join(body.get_content().split())
    assert (
        "The mail of Sun 22 Nov could not be sent; it said: first report, 1 failing of 1." in told
    )


def test_no_news_is_lost_of_several_mails_in_a_row_that_nobody_took(tmp_path: Path) -> None:
    """The one that comes through says what each said since the last that did."""
    away = settings(tmp_path, port=free_port())
    nights = [[job("a1", 2)], [job("a1", 1, "Failed")], [job("a1", 0)]]
    with Mailboxes() as boxes:
        for ago, rows in zip((3, 2, 1), nights, strict=True):
            with Store.open(
                tmp_path / "snapshots", summarise=summarise, measure=measure, create=ago == 3
            ) as opened:
                run(opened, rows, ago - 1, "complete", ())
            if ago == 3:
                send(settings(tmp_path, port=boxes.port))
                continue
            with suppress(DeliveryError):
                assert send(away).exit == Exit.NOT_DELIVERED
        with Store.open(tmp_path / "snapshots", summarise=summarise, measure=measure) as opened:
            run(opened, [], -1, "complete", ())
        send(settings(tmp_path, port=boxes.port))
    last = " ".join(text(boxes.arrived[-1].mail).split())
    assert "The mail of Sun 22 Nov could not be sent; it said: 1 new of 2." in last
    assert "The mail of Mon 23 Nov could not be sent; it said: 1 fixed of 3." in last
    assert "Sat 21 Nov could not" not in last


def test_a_mail_that_waits_is_sent_where_tonight_has_none(tmp_path: Path) -> None:
    """A team that hears of failures alone gets last night's mail, and none of a night without."""
    team = replace(ANA, send="on-failure")
    _a_night_earlier(tmp_path, settings(tmp_path, team, port=free_port()))
    with Store.open(tmp_path / "snapshots", summarise=summarise, measure=measure) as opened:
        run(opened, [job("a1", 0)], -1, "complete", ())
    with Mailboxes() as boxes:
        told = settings(tmp_path, team, port=boxes.port)
        first, second = send(told), send(told)
    assert first.exit == second.exit == Exit.DONE
    assert [arrived.mail["Subject"] for arrived in boxes.arrived] == [
        "[jm] germline · Sun 22 Nov: first report, 1 failing of 1"
    ]


def test_again_sends_nothing_that_was_not_due(tmp_path: Path) -> None:
    fine(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        told = settings(tmp_path, replace(ANA, send="on-failure"), port=boxes.port)
        outcome = send(told, again=True)
    assert outcome.summary == ("germline: nothing to send (on-failure, and nothing fails)",)
    assert boxes.arrived == []


def test_who_left_the_settings_gets_no_mail_that_waited(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    with Mailboxes(recipients={"bo@example.org": ["451 later"]}) as boxes:
        send(settings(tmp_path, port=boxes.port))
        alone = replace(ANA, to=("ana@example.org",))
        outcome = send(settings(tmp_path, alone, port=boxes.port))
    assert [arrived.to for arrived in boxes.arrived] == [("ana@example.org",)]
    said = "germline: is not sent to bo@example.org: the settings name no such recipient any more"
    assert said in outcome.summary


def test_a_chosen_team_alone_gets_its_mail(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        send(settings(tmp_path, ANA, ALL, port=boxes.port), teams=("everybody",))
    assert [arrived.to for arrived in boxes.arrived] == [("all@example.org",)]


def test_a_team_that_left_the_settings_gets_nothing_that_waited(tmp_path: Path) -> None:
    _a_night_earlier(tmp_path, settings(tmp_path, ANA, port=free_port()))
    with Mailboxes() as boxes:
        outcome = send(settings(tmp_path, ALL, port=boxes.port))
    assert [arrived.to for arrived in boxes.arrived] == [("all@example.org",)]
    assert any("the settings name no such recipient any more" in line for line in outcome.summary)


def test_a_doubt_of_an_earlier_night_is_told_once(tmp_path: Path) -> None:
    with Mailboxes(answers=["drop"]) as boxes:
        told = settings(tmp_path, port=boxes.port)
        with Store.open(
            tmp_path / "snapshots", summarise=summarise, measure=measure, create=True
        ) as opened:
            run(opened, [job("a1", 1, "Failed")], 1, "complete", ())
            send(told)
        with Store.open(tmp_path / "snapshots", summarise=summarise, measure=measure) as opened:
            run(opened, [job("a1", 0)], 0, "complete", ())
        outcome, after = send(told), send(told)
    assert outcome.exit == Exit.NOT_DELIVERED
    assert any(f"the mail of run {night(1)} may have been sent" in line for line in outcome.summary)
    assert after.exit == Exit.DONE
    assert len(boxes.arrived) == 2


# TLS and logins


def test_tls_from_the_start_is_spoken_where_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As servers on port 465 want it; any other port begins in plain words."""
    with certified(tmp_path) as pair:
        monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
        with Mailboxes(certificate=pair, implicit=True) as boxes:
            at = MailServer("127.0.0.1", boxes.port)
            assert probe(MailboxServer(at=at, tls="from the start")).startswith("mail.test ")
            with pytest.raises(DeliveryError):
                probe(MailboxServer(at=at, timeout=2.0))


def test_tls_and_a_login_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual(tmp_path / "snapshots")
    (tmp_path / "password").write_text("canary-hunter2\n")
    with certified(tmp_path) as pair:
        monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
        with Mailboxes(users={"ana": "canary-hunter2"}, certificate=pair) as boxes:
            told = settings(
                tmp_path,
                port=boxes.port,
                starttls=True,
                user="ana",
                password_file=str(tmp_path / "password"),
            )
            assert send(told).exit == Exit.DONE
            assert pipeline.try_mailbox(told).startswith("mail.test ")
    assert boxes.logins[0] == ("ana", "canary-hunter2")
    assert boxes.plain[:2] == [True, False]
    assert len(boxes.arrived) == 1


@pytest.mark.parametrize("name", ["127.0.0.1", "other.example.org"])
def test_a_certificate_that_is_not_right_gets_no_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Signed by nobody that is known, or another host's."""
    usual(tmp_path / "snapshots")
    (tmp_path / "password").write_text("canary-hunter2\n")
    with certified(tmp_path, name) as pair:
        if name != "127.0.0.1":
            monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
        with Mailboxes(users={"ana": "canary-hunter2"}, certificate=pair) as boxes:
            told = settings(
                tmp_path,
                port=boxes.port,
                starttls=True,
                user="ana",
                password_file=str(tmp_path / "password"),
                patience=30.0,
            )
            with pytest.raises(DeliveryError, match="its certificate is not right"):
                send(told)
    assert boxes.logins == []
    assert boxes.arrived == []


def test_a_server_without_tls_gets_no_mail_unless_that_is_meant(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    with Mailboxes() as boxes, pytest.raises(DeliveryError, match="offers no STARTTLS"):
        send(settings(tmp_path, port=boxes.port, starttls=True, patience=30.0))
    assert boxes.arrived == []


def test_a_wrong_password_is_told_and_never_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the error, with -vv, in the spool, or in anything that the server repeats."""
    usual(tmp_path / "snapshots")
    secret = "-".join(("canary", "hunter2"))
    (tmp_path / "password").write_text(secret + "\n")
    with certified(tmp_path) as pair:
        monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
        with Mailboxes(users={"ana": "another"}, certificate=pair) as boxes:
            file = tmp_path / "jmreport.toml"
            file.write_text(
                f'[snapshots]\ndir = "snapshots"\n'
                f'[mail]\nsmtp = "127.0.0.1:{boxes.port}"\nsender = "r@example.org"\n'
                'user = "ana"\npassword_file = "password"\npatience = 0\n'
                '[[teams]]\nname = "g"\nto = ["ana@example.org"]\n'
            )
            assert main(["mail", "--config", str(file), "-vv"]) == Exit.NOT_DELIVERED
    said = "".join(capsys.readouterr())
    assert "refuses the login of mail.user: 535" in said
    kept = b"".join(path.read_bytes() for path in (tmp_path / "snapshots-mail").iterdir())
    assert secret not in said
    assert secret.encode() not in kept
    assert boxes.logins[0][1] == secret


@pytest.mark.parametrize(
    "form", ["canary-hunter2", "Y2FuYXJ5LWh1bnRlcjI", "AGFuYQBjYW5hcnktaHVudGVyMg"]
)
def test_what_a_server_repeats_of_a_password_is_taken_out(tmp_path: Path, form: str) -> None:
    usual(tmp_path / "snapshots")
    (tmp_path / "password").write_text("canary-hunter2")
    answer = f"550 you said {form}== to me"
    with Mailboxes(
        users={"ana": "canary-hunter2"}, recipients={"bo@example.org": [answer]}
    ) as boxes:
        told = settings(
            tmp_path, port=boxes.port, user="ana", password_file=str(tmp_path / "password")
        )
        outcome = send(told)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "snapshots-mail").glob("*.json"))
    assert "550 you said [taken out]" in "\n".join(outcome.summary)
    assert form not in "\n".join(outcome.summary)
    assert form.encode() not in kept


# What cannot be read of the spool


def spoil(path: Path, how: str) -> None:
    path.unlink()
    if how == "empty":
        path.touch()
    else:  # as nobody can read it, whoever he is
        path.mkdir()


@pytest.mark.parametrize("how", ["empty", "unreadable"])
def test_a_record_that_cannot_be_read_keeps_no_other_mail_back(tmp_path: Path, how: str) -> None:
    """Not on any night: of this one mail nobody can say whether it was sent, and that is told."""
    usual(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        told = settings(tmp_path, ANA, ALL, port=boxes.port)
        send(told)
        [bad] = (tmp_path / "snapshots-mail").glob(f"{night(0)}-germline-*.json")
        spoil(bad, how)
        collect(tmp_path, -1, job("a1", -1, status="Failed"))
        said = send(told, dry_run=True)
        assert said.exit == Exit.NOT_DELIVERED
        assert str(bad) in said.summary[-1]
        later = pipeline.mail(told, now=NOW + DAY, progress=SilentProgress())
        assert later.exit == Exit.NOT_DELIVERED
        assert str(bad) in later.summary[-1]
        assert "nobody can say whether this mail was sent" in later.summary[-1]
    assert len(boxes.arrived) == 4
    assert {arrived.to for arrived in boxes.arrived[2:]} == {
        arrived.to for arrived in boxes.arrived[:2]
    }


def test_a_mail_whose_record_cannot_be_read_is_held_back_until_somebody_says_so(
    tmp_path: Path,
) -> None:
    """It may have been sent: other teams get theirs, and --again sends it."""
    usual(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        told = settings(tmp_path, port=boxes.port)
        send(told)
        [bad] = (tmp_path / "snapshots-mail").glob(f"{night(0)}-germline-*.json")
        spoil(bad, "empty")
        both = replace(told, teams=(ANA, ALL))
        outcome = send(both)
        assert outcome.exit == Exit.NOT_DELIVERED
        assert any(
            "germline: its mail on this run is held back" in line for line in outcome.summary
        )
        assert [arrived.to for arrived in boxes.arrived[1:]] == [("all@example.org",)]
        dry = send(both, dry_run=True)
        assert "germline: its mail on this run is held back" in dry.summary[0]
        send(both, again=True)
        assert len(boxes.arrived) == 4
        assert send(both).exit == Exit.DONE


@pytest.mark.parametrize("touched", [True, False])
def test_a_mail_that_waits_and_cannot_be_read_keeps_no_other_mail_back(
    tmp_path: Path, touched: bool
) -> None:
    """It is told, and held back where some have it; one that nobody got is made anew."""
    usual(tmp_path / "snapshots")
    later = "451 try later"
    refused: dict[str, Any] = (
        {"recipients": {"bo@example.org": [later]}} if touched else {"answers": [later]}
    )
    with Mailboxes(**refused) as boxes:
        told = settings(tmp_path, port=boxes.port)
        send(told)
        [bad] = (tmp_path / "snapshots-mail").glob("*.eml")
        spoil(bad, "unreadable")
        both = replace(told, teams=(ANA, ALL))
        dry = send(both, dry_run=True)
        assert dry.exit == Exit.NOT_DELIVERED
        assert f"{bad} cannot be read: Is a directory" in dry.summary[-1]
        assert f"make it and {bad.stem}.json readable" in dry.summary[-1]
        bad.rmdir()
        outcome = send(both)
    held = any("its mail on this run is held back" in line for line in outcome.summary)
    assert held == touched
    assert outcome.exit == (Exit.NOT_DELIVERED if touched else Exit.DONE)
    arrived = {address for one in boxes.arrived for address in one.to}
    assert ("bo@example.org" in arrived) != touched
    assert arrived >= {"ana@example.org", "all@example.org"}


def test_a_mail_of_an_earlier_night_that_cannot_be_read_is_not_sent(tmp_path: Path) -> None:
    """Where tonight has none of its team it is told each night; else tonight's says so."""
    quiet = replace(ANA, send="on-failure")
    _a_night_earlier(tmp_path, settings(tmp_path, quiet, port=free_port()))
    [bad] = (tmp_path / "snapshots-mail").glob("*.eml")
    bad.unlink()
    with Mailboxes() as boxes:
        told = settings(tmp_path, quiet, ALL, port=boxes.port)
        for _ in range(2):
            outcome = send(told)
            assert outcome.exit == Exit.NOT_DELIVERED
            assert any(f"{bad} cannot be read" in line for line in outcome.summary)
        assert [arrived.to for arrived in boxes.arrived] == [("all@example.org",)]
        send(replace(told, teams=(ANA,)), again=True)
    body = boxes.arrived[-1].mail.get_body(("plain",))
    assert body is not None
    assert "The mail of Sun 22 Nov could not be sent" in " ".join(body.get_content().split())


# without sending


def test_a_dry_run_says_what_and_to_whom_and_does_nothing(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    quiet = replace(ALL, name="quiet", labels={"owner": "nobody-yet"}, send="on-failure")
    outcome = send(settings(tmp_path, ANA, quiet, port=1), dry_run=True)
    assert outcome.summary[0] == (
        "would send to germline (ana@example.org, bo@example.org): "
        "[jm] germline · Mon 23 Nov: 1 new, 1 fixed, 1 still failing of 8"
    )
    assert not (tmp_path / "snapshots-mail").exists()


def test_mails_are_written_as_files_and_not_sent(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    told = settings(tmp_path, ANA, ALL, port=1)
    outcome = send(told, write=tmp_path / "mails")
    files = sorted((tmp_path / "mails").glob("*.eml"))
    assert len(files) == 2
    assert all(str(path) in "\n".join(outcome.summary) for path in files)
    assert not (tmp_path / "snapshots-mail").exists()
    before = [path.read_bytes() for path in files]
    send(told, write=tmp_path / "mails")
    assert [path.read_bytes() for path in files] == before


def test_what_was_sent_is_kept_for_a_month(tmp_path: Path) -> None:
    """Also where the clock of one night is ahead by a year."""
    fine(tmp_path / "snapshots")
    with Mailboxes() as boxes:
        told = settings(tmp_path, port=boxes.port)
        send(told)
        with Spool(tmp_path / "snapshots-mail") as spool:
            [parcel] = spool.kept().parcels
            old = replace(parcel, night=night(40), made=NOW - timedelta(days=40))
            spool.put(old, b"x")
        send(told)
        left = {path.name for path in (tmp_path / "snapshots-mail").glob("*.eml")}
        assert len(left) == 1
        assert left.pop().startswith(night(0))
        collect(tmp_path, -365, job("a1", 0))
        pipeline.mail(told, now=NOW + 365 * DAY, progress=SilentProgress())
    assert len([*(tmp_path / "snapshots-mail").glob("*.eml")]) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sender": None}, "mail.sender is not set"),
        ({"smtp": None}, "mail.smtp is not set"),
        ({"user": "ana"}, "mail.password_file is not set"),
        ({"password_file": "x"}, "mail.user is not set"),
        (
            {"smtp": "192.0.2.1:25", "user": "ana", "password_file": "x"},
            "would be sent for all to read",
        ),
        ({"user": "ana", "password_file": "/nowhere/x"}, "mail.password_file /nowhere/x: No such"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_done(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    usual(tmp_path / "snapshots")
    with pytest.raises(UsageError, match=message):
        send(settings(tmp_path, **change))
    assert not (tmp_path / "snapshots-mail").exists()


def test_the_command_tells_that_a_night_brought_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not without a reason: a script whose variable is empty means no other mail."""
    file = tmp_path / "jmreport.toml"
    with Mailboxes() as boxes:
        file.write_text(
            f'[snapshots]\ndir = "snapshots"\n[mail]\nsmtp = "127.0.0.1:{boxes.port}"\n'
            'starttls = false\nsender = "r@example.org"\n'
            '[[teams]]\nname = "g"\nto = ["ana@example.org"]\n'
        )
        command = ["mail", "-q", "--config", str(file), "--failed"]
        assert main([*command, "a part is missing"]) == Exit.DONE
        assert main([*command, ""]) == Exit.USAGE
    assert "--failed: no reason is given" in capsys.readouterr().err
    [arrived] = boxes.arrived
    assert "a part is missing" in text(arrived.mail)
