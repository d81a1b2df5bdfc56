"""Secrets are looked for in everything that a whole run leaves behind: none is there.

A server gives secrets away in every place there is; the whole program reads it, with all that it
can say. Then each file is searched, and what was said. That a search would find them is shown by
the same run with nothing taken out.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import canary_server as told
import pytest
from canary_server import Canaries
from snapshot_cases import NOW, opened, run_of

from jmreport import cli, snapshots
from jmreport.client.authority import Authority
from jmreport.collectors.demo.serve import serve
from jmreport.records import Asked, Filters, Record, Run
from jmreport.settings import Redact
from jmreport.snapshots import files

BUILD = ("build", "--now", "2026-11-23T02:14:00Z", "--workers", "1", "-vv")
FORMATS = ("text", "json")
#: A pattern that is a secret itself.
WRITTEN_OUT = "canary-of-the-settings"
PAIR = base64.b64encode(f"ada:{told.PASSWORD}".encode()).decode()


class Left(NamedTuple):
    """What a run left: its exit code, and every text by where it was found."""

    code: int
    texts: dict[str, str]

    def holds(self, canary: str) -> list[str]:
        """Where a canary can be read: as it is, in base64, or percent-encoded."""
        forms = {canary, quote(canary, safe=""), *_in_base64(canary)}
        return [where for where, text in self.texts.items() if any(form in text for form in forms)]


def _in_base64(canary: str) -> Iterator[str]:
    """Its middle as base64 writes it, wherever it begins in what is written."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + canary.encode()).decode()
        yield whole[4:-4]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jmreport.toml").write_text(
        f"""
[api]
headers = {{ X-Team-Key = "{told.HEADER}", Authorization = "Basic {PAIR}" }}
tries = 1
[redact]
hash = ["sample"]
keys = ["{told.WORD}"]
patterns = ['{told.PATTERN}', '{WRITTEN_OUT}']
"""
    )
    monkeypatch.setenv("JMREPORT_API_TOKEN", told.TOKEN)
    return tmp_path


def run(server: Canaries, folder: Path, capfd: Any, *args: str) -> Left:
    """The whole program against a real server, and every text that it leaves."""
    with serve(server, port=0) as http:
        http.start()
        code = cli.main([*args, "--api-url", http.url])
    return left(folder, capfd, code)


def left(folder: Path, capfd: Any, code: int) -> Left:
    out, err = capfd.readouterr()
    texts = {"stdout": out, "stderr": err}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "jmreport.toml":
            body = b"".join(files.lines(path)) if path.suffix == ".zst" else path.read_bytes()
            texts[str(path.relative_to(folder))] = body.decode("utf-8", "replace")
    return Left(code, texts)


def canaries(server: Canaries) -> dict[str, str]:
    return {
        **server.planted.all,
        "own token": told.TOKEN,
        "own header": told.HEADER,
        "own password": told.PASSWORD,
        "sample": told.SAMPLE,
        "sample of a group": told.SAMPLE_OF_GROUP,
        "own pattern": "canary-mrn-12345",
    }


def leaks(server: Canaries, found: Left) -> dict[str, list[str]]:
    return {
        name: where for name, canary in canaries(server).items() if (where := found.holds(canary))
    }


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_whole_build_leaves_no_secret_behind(
    folder: Path, capfd: pytest.CaptureFixture[str], log_format: str
) -> None:
    """Rows, details, attempts, logs, operations, counts, errors, redirects, labels, names."""
    server = Canaries()
    found = run(server, folder, capfd, *BUILD, "--log-format", log_format)
    assert found.code == 3
    assert len(server.planted.all) > 35
    assert leaks(server, found) == {}
    assert found.holds(WRITTEN_OUT) == []
    assert "[taken out]" in found.texts["site/data/jobs.ndjson"]


class NothingTakenOut(snapshots.Redaction):
    """A redaction that lets everything pass, as if it had been forgotten."""

    def record(self, record: Record) -> Record:
        return record

    def row(self, row: Any) -> Any:
        return row

    def asked(self, asked: Asked) -> Asked:
        return asked

    def run(self, run: Run) -> Run:
        return run

    def tree(self, tree: Any) -> tuple[Any, int]:
        return tree, 0

    def text(self, text: str) -> tuple[str, int]:
        return text, 0


@pytest.fixture
def nothing_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "Redaction", NothingTakenOut)
    monkeypatch.setattr(Authority, "clean", lambda _, answer, __: answer)


@pytest.mark.usefixtures("nothing_taken_out")
def test_the_search_finds_what_is_not_taken_out(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same run with nothing taken out: each canary was sent, and each can be read again.

    But for where a redirect points: that is cut whether secrets are taken out or not.
    """
    server = Canaries()
    found = run(server, folder, capfd, *BUILD)
    assert set(canaries(server)) - set(leaks(server, found)) == {"redirect", "to"}
    sent = Left(0, {"sent": server.sent_all()})
    assert set(leaks(server, sent)) == set(canaries(server))


FAILURES = {"401": 4, "500": 4, "redirect": 4, "html": 4}


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("mode", FAILURES)
def test_a_build_that_fails_tells_no_secret(
    folder: Path, capfd: pytest.CaptureFixture[str], mode: str, log_format: str
) -> None:
    """A server that repeats the token when it refuses, breaks, redirects, or wants a login."""
    server = Canaries(mode)
    found = run(server, folder, capfd, *BUILD, "--log-format", log_format)
    assert found.code == FAILURES[mode]
    assert leaks(server, found) == {}
    if mode != "401":
        assert "run.json" in "".join(found.texts)


@pytest.mark.usefixtures("nothing_taken_out")
@pytest.mark.parametrize("mode", ["401", "500"])
def test_the_search_finds_what_a_failed_build_tells(
    folder: Path, capfd: pytest.CaptureFixture[str], mode: str
) -> None:
    server = Canaries(mode)
    found = run(server, folder, capfd, *BUILD)
    own = {"own token", "own header", "outage" if mode == "500" else "refusal"}
    assert own <= set(leaks(server, found))


def test_other_commands_tell_no_secret_either(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """init, render and check, in the folder of a whole build, with all that they can say."""
    server = Canaries()
    run(server, folder, capfd, *BUILD)
    for command in (("render", "--workers", "1"), ("check",), ("init", "--config", "new.toml")):
        for log_format in FORMATS:
            force = ("--force",) if command[0] == "init" else ()
            code = cli.main([*command, *force, "-vv", "--log-format", log_format])
            found = left(folder, capfd, code)
            assert code in (0, 3)
            assert leaks(server, found) == {}


def test_a_password_in_the_address_is_refused_and_not_repeated(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Secrets are never settings: what was typed is in no message and no file."""
    for log_format in FORMATS:
        url = f"http://ada:{told.PASSWORD}@127.0.0.1:9"
        code = cli.main([*BUILD, "--log-format", log_format, "--api-url", url])
        found = left(folder, capfd, code)
        assert code == 2
        assert found.holds(told.PASSWORD) == []


def test_a_bug_tells_no_secret(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said of a bug may quote what a server sent."""

    def broken(*_: Any, **__: Any) -> None:
        raise ValueError(f"cannot read token={told.TOKEN} password=canary-of-a-bug")

    monkeypatch.setattr("jmreport.pipeline.build", broken)
    for log_format in FORMATS:
        found = left(
            folder, capfd, cli.main([*BUILD, "--log-format", log_format, "--api-url", "http://x"])
        )
        assert found.code == 1
        assert "bug" in found.texts["stderr"]
        assert found.holds(told.TOKEN) == []
        assert found.holds("canary-of-a-bug") == []


def test_a_killed_run_holds_no_secret(folder: Path) -> None:
    """What a run notes before it asks anything holds its filters, and those may name a sample."""
    asked = Asked(
        server=f"http://u:{told.PASSWORD}@h",
        timeframe="DAYS_7",
        filters=Filters(labels={"sample": told.SAMPLE, "api_token": told.TOKEN}),
    )
    redaction = snapshots.Redaction.of(Redact(hash=("sample",)))
    with opened(folder / "store") as store:
        writer = store.begin(NOW, redaction, asked=asked)
        begun = next((folder / "store").rglob("begun.json")).read_text()
        writer.fail(run_of(writer))
    assert "hash:" in begun
    for canary in (told.PASSWORD, told.SAMPLE, told.TOKEN):
        assert canary not in begun
