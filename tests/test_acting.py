"""`jmreport abort` and `jmreport label`: what a server's answer means, and what is never sent."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jmreport.actions_commands import _this_user
from jmreport.cli import main
from jmreport.collectors.demo import Demo, serve
from jmreport.collectors.demo.api import Like
from jmreport.collectors.demo.serve import Server
from jmreport.errors import UsageError
from jmreport.pipeline import acting
from jmreport.records import JobRow

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
SENT = ("AbortJob", "UpdateJobLabels")


@contextmanager
def serving(like: Like = "spec", **options: Any) -> Iterator[Server]:
    with serve(Demo(now=NOW, like=like, jobs=400, **options), port=0) as server:
        yield server


def ids(server: Server, *statuses: str) -> list[str]:
    body = json.dumps({"pageSize": 200, "status": statuses}).encode()
    headers = {"Content-Type": "application/json"}
    _, _, answer = server.demo.respond("POST", "/api/v1/jobs/query", headers, body)
    return [row["id"] for row in json.loads(answer)["results"]]


def sent(server: Server) -> list[tuple[str, Any, int]]:
    """What actions arrived: operation, body, the answer's status."""
    assert isinstance(server.demo, Demo)
    return [
        (each.operation, json.loads(each.body) if each.body else None, each.status)
        for each in server.demo.requests.last
        if each.operation in SENT
    ]


class Between:
    """The built-in server with other answers to actions: what a proxy or an outage makes of it."""

    def __init__(
        self,
        demo: Demo,
        *answers: tuple[int, bytes],
        passed: bool,
        slow: float = 0.0,
        media: str = "text/plain",
    ):
        self.demo, self.answers, self.passed, self.slow = demo, list(answers), passed, slow
        self.media = media
        self.actions = 0

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if not target.endswith(("/abort", "/updateLabels")):
            return self.demo.respond(method, target, headers, body)
        self.actions += 1
        if self.passed:
            self.demo.respond(method, target, headers, body)
        time.sleep(self.slow)
        status, text = self.answers.pop(0) if self.answers else (204, b"")
        return status, {"Content-Type": self.media}, text


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_abort_is_done_on_every_kind_of_server(capsys: pytest.CaptureFixture[str]) -> None:
    """200, 204 and an empty 200 are all the same: it was taken."""
    for like, status in (("spec", 200), ("cromwell", 204), ("dsub", 200)):
        with serving(like) as server:  # type: ignore[arg-type]  # one of the three
            [job, *_] = ids(server, "Running")
            assert main(["abort", job, "--yes", "--api-url", server.url]) == 0
            assert [(each[0], each[2]) for each in sent(server)] == [("AbortJob", status)]
        assert (
            f"{job}: done: the server took it ({status}); the job is Abort"
            in capsys.readouterr().out
        )


def test_a_finished_job_is_told_as_finished_by_404_and_by_412(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Cromwell answers 404 and dsub a bare 412; both are read again and say how it ended."""
    for like, status in (("spec", 412), ("cromwell", 404), ("dsub", 412)):
        with serving(like) as server:  # type: ignore[arg-type]  # one of the three
            job = ids(server, "Succeeded")[-1]
            assert main(["abort", job, "--yes", "--api-url", server.url]) == 8
            assert [each[2] for each in sent(server)] == [status]
        assert f"{job}: refused: already finished: Succeeded 2026-1" in capsys.readouterr().out


def test_a_job_that_nobody_knows_is_told_as_unknown_to_the_server(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stranger = "11111111-1111-4111-8111-111111111111"
    with serving("cromwell") as server:
        assert main(["abort", stranger, "--yes", "--api-url", server.url]) == 8
        assert main(["label", "no-uuid", "flag=archive", "--api-url", server.url]) == 8
    said, hints = capsys.readouterr()
    assert hints.count("jobs are named by their whole ids: `jmreport snapshots show ID`") == 2
    assert f"{stranger}: refused: the server knows no such job (404)" in said
    assert "no-uuid: refused: the server knows no such job: bad request (400)" in said


def test_labels_are_changed_without_a_question_and_without_a_snapshot(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for like in ("spec", "cromwell"):
        with serving(like) as server:
            jobs = ids(server, "Failed")[:2]
            labels = ["flag=archive", "comment=a=b, ok"]
            assert main(["label", *jobs, *labels, "--api-url", server.url]) == 0
            assert [each[:2] for each in sent(server)] == [
                ("UpdateJobLabels", {"labels": {"flag": "archive", "comment": "a=b, ok"}})
            ] * 2
        said = capsys.readouterr().out
        assert said.count(" (flag=archive comment=a=b, ok)\n") == 2
        assert "2 of 2 done" in said
    assert not Path("snapshots").exists()


def test_a_server_that_has_no_labels_is_told_as_such_and_not_asked_for_every_job(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """dsub answers 500 to each change of labels: after three of them the rest is not sent."""
    with serving("dsub") as server:
        jobs = ids(server, "Running", "Failed")[:5]
        assert main(["label", *jobs, "flag=archive", "--api-url", server.url]) == 8
        assert len(sent(server)) == 3
    lines = capsys.readouterr().out.splitlines()
    offered = "not offered: this server does not offer it: server error 500; it shows no flag"
    assert [offered in line for line in lines] == [True] * 3 + [False] * 3
    assert "not sent: what the server answered before holds for every job" in lines[3]


@pytest.mark.parametrize(
    ("answer", "passed", "code", "said"),
    [
        ((501, b""), False, 8, "not offered: this server does not offer it: not implemented (501)"),
        ((405, b""), False, 8, "not offered: this server does not offer it: method not allowed"),
        ((500, b""), False, 8, "unknown: nobody knows whether it was done: server error 500; the"),
        ((500, b""), True, 0, "done: server error 500; but the job was read again, and is Abort"),
        ((504, b""), False, 8, "unknown: nobody knows whether it was done: gateway timed out"),
        ((504, b""), True, 0, "done: gateway timed out (504); but the job was read again, and is"),
        ((302, b""), False, 8, "refused: the server refused: redirected (302); the job is Running"),
        ((403, b""), False, 8, "refused: the server refused: access refused (403); the job is"),
    ],
)
def test_what_an_answer_means_is_told_after_reading_the_job_again(
    answer: tuple[int, bytes],
    passed: bool,
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    demo = Demo(now=NOW, jobs=400)
    between = Between(demo, answer, passed=passed)
    with serve(between, port=0) as server:
        [job, *_] = ids(server, "Running")
        assert main(["abort", job, "--yes", "--api-url", server.url]) == code
    assert said in capsys.readouterr().out
    assert between.actions == 1


@pytest.mark.parametrize("passed", [True, False])
def test_a_timeout_is_unknown_until_the_job_that_is_read_again_shows_it(
    passed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """And it is never sent again."""
    Path("jmreport.toml").write_text("[api]\ndetail_timeout = 0.3\n")
    between = Between(Demo(now=NOW, jobs=400), passed=passed, slow=1.0)
    with serve(between, port=0) as server:
        [job, *_] = ids(server, "Running")
        code = main(["abort", job, "--yes", "--api-url", server.url])
        labelled = main(["label", job, "flag=archive", "--api-url", server.url])
    assert (code, labelled) == ((0, 0) if passed else (8, 8))
    out = capsys.readouterr().out
    if passed:
        assert out.count("no answer within 0.3 s; but the job was read again, and ") == 2
    else:
        unknown = "nobody knows whether it was done: no answer within 0.3 s; the job was read again"
        assert f"{unknown}: it is Running" in out
        assert f"{unknown}: it shows no flag" in out
    assert between.actions == 2


def test_a_server_that_says_yes_and_shows_something_else_is_not_believed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = json.dumps({"labels": {"flag": "follow-up"}}).encode()
    between = Between(Demo(now=NOW, jobs=400), (200, answer), passed=False)
    with serve(between, port=0) as server:
        [job, *_] = ids(server, "Running")
        assert main(["label", job, "flag=archive", "--api-url", server.url]) == 8
    assert "unknown: the server answered well, but with flag=follow-up" in capsys.readouterr().out


@pytest.mark.parametrize("passed", [True, False])
def test_a_login_page_with_200_is_no_yes_until_the_job_that_is_read_again_shows_it(
    passed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proxies that ask for a sign-in answer so, and no Job Manager hears of what they answer."""
    page = (200, b"<!doctype html><title>Sign in</title>")
    between = Between(
        Demo(now=NOW, jobs=400), page, page, passed=passed, media="text/html; charset=utf-8"
    )
    with serve(between, port=0) as server:
        [job, *_] = ids(server, "Running")
        aborted = main(["abort", job, "--yes", "--api-url", server.url])
        labelled = main(["label", job, "flag=archive", "--api-url", server.url])
    assert (aborted, labelled) == ((0, 0) if passed else (8, 8))
    out = capsys.readouterr().out
    said = "done: the answer is a web page" if passed else "unknown: nobody knows whether it was do"
    assert out.count(f"{job}: {said}") == 2
    assert between.actions == 2


@pytest.mark.parametrize(("status", "asked"), [(401, 1), (429, 1), (403, 3), (500, 3), (503, 3)])
def test_no_more_is_sent_where_what_came_before_was_in_vain(
    status: int, asked: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refused token and "not now" hold for all; a 403, a 500 or silence only three times."""
    between = Between(Demo(now=NOW, jobs=400), *[(status, b"")] * 9, passed=False)
    with serve(between, port=0) as server:
        jobs = ids(server, "Failed")[:5]
        assert main(["label", *jobs, "flag=archive", "--api-url", server.url]) == 8
    assert between.actions == asked
    lines = capsys.readouterr().out.splitlines()
    assert [": not sent: " in line for line in lines] == [False] * asked + [True] * (5 - asked) + [
        False
    ]


def test_what_came_of_it_is_there_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        running, done = ids(server, "Running")[0], ids(server, "Succeeded")[0]
        assert main(["abort", running, done, "--yes", "--json", "--api-url", server.url]) == 8
        told = json.loads(capsys.readouterr().out)
        assert [(each["job"], each["outcome"], each["answer"]) for each in told] == [
            (running, "done", 200),
            (done, "refused", 412),
        ]
        assert told[1]["job_status"] == "Succeeded"
        assert main(["label", done, "flag=archive", "--json", "--api-url", server.url]) == 0
        [told] = json.loads(capsys.readouterr().out)
        assert (told["outcome"], told["answer"]) == ("done", 200)
        assert told["labels"] == {"flag": "archive"}
        assert told["job_labels"]["flag"] == "archive"


def test_ids_come_from_a_file_or_the_input_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also such as hold an equals sign; each is sent once."""
    with serving() as server:
        one, two, three = ids(server, "Failed")[:3]
        (tmp_path / "ids.txt").write_text(f"# of tonight\n{two}\n\n  {three}\n{two}\n")
        url = ["--api-url", server.url]
        assert main(["label", one, "flag=archive", "--from-file", "ids.txt", *url]) == 0
        assert len(sent(server)) == 3
        (tmp_path / "ids.txt").write_text("a=b\n")
        assert main(["label", "flag=archive", "--from-file", "ids.txt", *url]) == 8
        import io

        monkeypatch.setattr("sys.stdin", io.StringIO(one))
        assert main(["label", "flag=", "--from-file", "-", *url]) == 0
    assert sent(server)[-1][1] == {"labels": {"flag": ""}}


def test_where_means_jobs_of_the_last_snapshot_and_shows_them_before_it_asks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving() as server:
        url = ["--api-url", server.url]
        assert main(["collect", "-q", "--now", "2026-11-23T02:14:00Z", *url]) == 0
        body = {"pageSize": 200, "status": ["Failed"]}
        _, _, answer = server.demo.respond(
            "POST",
            "/api/v1/jobs/query",
            {"Content-Type": "application/json"},
            json.dumps(body).encode(),
        )
        rows = [r for r in json.loads(answer)["results"] if r["submission"] >= "2026-11-16T02:14"]
        owner = rows[0]["labels"]["owner"]
        meant = {row["id"] for row in rows if row["labels"]["owner"] == owner}
        which = ["--where", "status=failed", "--where", f"label.owner={owner}"]
        # Nobody can be asked: nothing is sent.
        assert main(["label", *which, "flag=archive", *url]) == 2
        shown = capsys.readouterr().err
        assert all(job in shown for job in meant)
        assert sent(server) == []
        assert main(["label", *which, "flag=archive", "--yes", *url]) == 0
        assert len(sent(server)) == len(meant)
        assert main(["label", "--where", "status=Failed", "--where", "name=x", "a=b", *url]) == 2
        assert main(["label", "--where", "colour=red", "a=b", *url]) == 2
        capsys.readouterr()
        assert main(["label", "--where", "status=Faild", "a=b", *url]) == 2
        said = "--where status=Faild: 'Faild' is no status of the API; did you mean Failed? There"
        assert said in capsys.readouterr().err


def test_where_may_ask_for_a_status_that_only_this_server_has() -> None:
    """A new word of a server is no mistake where a job has it."""
    row = JobRow(id="a", name="n", status="Paused")
    acting.refuse_no_status(["status=paused", "status=onhold"], [row])
    with pytest.raises(UsageError):
        acting.refuse_no_status(["status=paused"], [])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["abort"], "no job is named"),
        (["abort", "a"], "nobody can be asked whether to abort 1 job"),
        (["label", "a"], "no label is given"),
        (["label", "flag=archive"], "no job is named"),
        (["label", "a", "flag=x", "flag=y"], "flag is given two values"),
        (["label", "a", f"k={'x' * 256}"], "a label's value has 255 characters at most, not 256"),
        (["label", "a", "=x"], "a label needs a name"),
        (["label", "a=b", "--from-file", "none.txt"], "--from-file none.txt: No such file"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as server:
        assert main([*args, "--api-url", server.url]) == 2
        assert sent(server) == []
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("word", ["status=Failed", "label.owner=ana", "user=", "id=1", "name=a=b"])
def test_a_condition_that_stands_without_where_is_no_label_to_be_set(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever means such a label names the jobs."""
    with serving() as server:
        url = ["--api-url", server.url]
        assert main(["label", "--where", "name=x", word, "flag=archive", "--yes", *url]) == 2
        assert sent(server) == []
        said = capsys.readouterr().err
        assert f"jmreport: {word} stands beside --where" in said
        assert f"hint: for a condition write --where {word};" in said
        [job] = ids(server, "Failed")[:1]
        assert main(["label", job, word, *url]) == 0
        assert f" ({word})\n" in capsys.readouterr().out


def test_no_command_that_acts_offers_the_built_in_server(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They have no --demo."""
    for args in (["abort", "a"], ["label", "a", "b=c"], ["serve", "--mode", "local"]):
        assert main(args) == 2
        assert "--demo" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mode", "said"),
    [("local", "no snapshot in snapshots"), ("iap", "actions.url is not set")],
)
def test_a_user_id_without_a_name_serves_as_its_number(
    mode: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As in a container; who proves themselves need not know who serves."""
    monkeypatch.chdir(tmp_path)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 987_654_321)
    assert _this_user() == "uid-987654321"
    assert main(["serve", "--mode", mode, "--port", "0", "--api-url", "http://127.0.0.1:1"]) != 1
    assert said in capsys.readouterr().err


def test_a_server_that_is_down_is_told_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving() as server:
        url = server.url
    assert main(["abort", "a", "--yes", "--api-url", url]) == 4
    assert "no Job Manager answers" in capsys.readouterr().err


def test_the_token_goes_with_an_action_and_is_never_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JMREPORT_API_TOKEN", "canary-4711-canary")
    with serving("cromwell", token="canary-4711-canary") as server:  # noqa: S106 - a canary
        body = b'{"status": ["Running"]}'
        headers = {
            "Content-Type": "application/json",
            "Authentication": "Bearer canary-4711-canary",
        }
        _, _, answer = server.demo.respond("POST", "/api/v1/jobs/query", headers, body)
        job = json.loads(answer)["results"][0]["id"]
        assert main(["abort", job, "--yes", "-vv", "--api-url", server.url]) == 0
        monkeypatch.setenv("JMREPORT_API_TOKEN", "canary-4712-canary")
        assert main(["abort", job, "--yes", "-vv", "--api-url", server.url]) == 8
    said = capsys.readouterr()
    assert "canary" not in said.out + said.err
    assert "refused: the server refused: token refused (401)" in said.out
