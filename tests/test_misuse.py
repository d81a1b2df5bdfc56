"""Misuse: each mistake is told in one line that names it, with a hint on what to do instead."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from jmreport.cli import main
from jmreport.collectors.demo import Demo, serve
from jmreport.errors import Exit

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
TOKEN = "the-right-token"  # noqa: S105 - of the built-in server


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JMREPORT_API_TOKEN", raising=False)
    return tmp_path


def _said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """The one line that says what is wrong, and its hint."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2, lines
    assert lines[0].startswith("jmreport: ")
    assert lines[1].startswith("  hint: ")
    return lines[0].removeprefix("jmreport: "), lines[1].removeprefix("  hint: ")


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["build", "--demo", "--api-url", "http://x"], "--demo and --api-url"),
        (["build", "--demo", "--now", "9999-12-31T23:59:59-01:00"], "--now 9999"),
        (["build", "--demo", "--nights", "2", "--now", "9999-12-31T23:59:59Z"], "--now 9999"),
        (["collect", "--demo", "--now", "0001-01-01T00:00:00Z"], "--now 0001"),
        (["demo", "--now", "1969-12-31T23:59:59Z"], "a time that cannot be reckoned with"),
        (["build", "--demo", "--start", "0001-01-01T00:00:00+05:00"], "--start: '0001-01-01T"),
        (["build", "--demo", "--end", "9999-12-31T23:59:59-05:00"], "out of the calendar's range"),
        (["build", "--like", "dsub", "--api-url", "http://x"], "--like"),
        (["build", "-q", "-v", "--demo"], "--quiet and --verbose"),
        (["build", "--demo", "--status", "Nope"], "--status: 'Nope' is no status"),
        (["build", "--demo", "--status", "failed"], "did you mean Failed?"),
        (
            ["build", "--demo", "--start", "2026-11-23T00:00:00Z", "--end", "2026-11-20T00:00:00Z"],
            "collect.start (2026-11-23T00:00:00Z) is after collect.end",
        ),
        (
            [
                *("build", "--demo", "--submission", "2026-11-23T00:00:00Z"),
                *("--end", "2026-11-20T00:00:00Z"),
            ],
            "collect.submission (2026-11-23T00:00:00Z) is after collect.end",
        ),
    ],
)
def test_flags_that_make_no_sense_end_with_2_and_a_hint(
    args: list[str], named: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == Exit.USAGE
    message, hint = _said(capsys)
    assert named in message
    assert hint
    assert not list(folder.iterdir())


_HERE = ("--api-url", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("args", "other"),
    [
        (["build", *_HERE, "--job", "a", "--status", "Failed"], "--status"),
        (["build", *_HERE, "--job", "a", "--timeframe", "DAYS_7"], "--timeframe"),
        (["build", *_HERE, "--job", "a", "--label", "owner=ana"], "--label"),
        (["build", *_HERE, "--job", "a", "--job-id", "b"], "--job-id"),
        (["build", *_HERE, "--job", "a", "--hide-archived"], "--hide-archived"),
        (["build", *_HERE, "--job", "a", "--page-size", "5"], "--page-size"),
        (["collect", "--demo", "--like", "dsub", "--shards", "9"], "--shards"),
        (["demo", "--like", "dsub", "--shards", "9"], "--shards"),
        (["render", "--shard", "1/2", "--max-new", "3"], "--max-new"),
        (["render", "--shard", "1/2", "--fail-on", "incomplete"], "--fail-on"),
        (["render", "--shard", "1/2", "--format", "multiqc"], "--format"),
        (["merge", "parts/1-of-1", "--now", "2026-11-23T02:14:00Z"], "--now"),
        (["diff", "--no-page", "--site", "site"], "--site"),
        (["mail", "--again", "--write", "mails"], "--again"),
        (["publish", "there", "--public"], "--public"),
        (["abort", "a", *_HERE, "--snapshots", "snapshots"], "--snapshots"),
        (["label", "a", "flag=x", *_HERE, "--snapshots", "snapshots"], "--snapshots"),
    ],
)
def test_an_option_that_another_leaves_without_a_meaning_is_refused(
    args: list[str], other: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is never read and forgotten: whoever gave it meant something by it."""
    assert main(args) == Exit.USAGE
    said, hint = _said(capsys)
    assert other in said
    assert said.endswith("contradict each other")
    assert hint.endswith("leave one of the two out")
    assert list(folder.iterdir()) == []


def test_what_the_settings_say_may_stand_beside_an_option_that_does_not_need_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are there for all commands."""
    monkeypatch.setenv("JMREPORT_GATE_MAX_NEW", "3")
    assert main(["render", "--shard", "1/2"]) == Exit.NOTHING_USABLE
    assert "no snapshot" in _said(capsys)[0]


@pytest.mark.parametrize("where", ["snapshots/site", "snapshots/runs", "snapshots/runs/deep/site"])
def test_pages_never_go_among_the_snapshots(
    where: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor do mails that wait."""
    assert main(["build", "--demo", "--site", where]) == Exit.USAGE
    said, hint = _said(capsys)
    assert said == f"site.dir is {where}, in the folder of the snapshots (snapshots)"
    assert "beside the snapshots" in hint
    assert list(folder.iterdir()) == []
    Path("jmreport.toml").write_text(f'[mail]\nspool = "{where}"\n')
    assert main(["check"]) == Exit.USAGE
    assert "mail.spool is " in _said(capsys)[0]


@pytest.mark.parametrize("where", ["snapshots/runs/x", "site/x"])
def test_what_is_written_for_somebody_goes_elsewhere_than_snapshots_and_pages(
    where: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", "--demo", "--jobs", "5", "-q"]) == Exit.DONE
    for args in (["snapshots", "export", where], ["mail", "--write", where]):
        assert main(args) == Exit.USAGE
        assert _said(capsys)[0].startswith(f"{where} is in the folder of the ")
    assert not (folder / where).exists()


def test_a_site_that_is_named_and_not_there_is_not_called_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["collect", "--demo", "--jobs", "5", "-q"]) == Exit.DONE
    assert main(["check", "--site", "reports"]) == Exit.USAGE
    assert _said(capsys)[0] == "--site reports: no such folder"
    assert main(["check"]) == Exit.DONE
    assert capsys.readouterr().out == "snapshots are whole; there is no site in site yet\n"


@pytest.mark.parametrize("now", ["1970-01-01T00:00:00Z", "9998-12-31T23:59:59Z"])
def test_from_the_first_and_the_last_time_that_is_taken_a_report_is_made(now: str) -> None:
    done = (Exit.DONE, Exit.INCOMPLETE)
    asked = ["--demo", "--nights", "2", "--now", now, "--timeframe", "HOURS_24"]
    assert main(["build", "-q", *asked, "--workers", "1"]) in done
    assert main(["check", "-q"]) == Exit.DONE


@pytest.mark.parametrize(
    "content",
    [b"api = 3\n", b"\xff\xfe", b'[site]\ndir = "a\\u0000b"\n', b'[collect]\nstatus = ["Done"]\n'],
)
def test_a_settings_file_that_cannot_be_used_ends_with_2_and_a_hint(
    content: bytes, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "jmreport.toml").write_bytes(content)
    assert main(["build", "--demo"]) == Exit.USAGE
    message, _ = _said(capsys)
    assert message.startswith("jmreport.toml: ")


def test_a_folder_in_place_of_the_settings_file_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "--demo", "--config", str(folder)]) == Exit.USAGE
    message, hint = _said(capsys)
    assert message == f"{folder}: is a folder"
    assert "jmreport.toml" in hint


@contextmanager
def _server(**options: Any) -> Iterator[str]:
    server = serve(Demo(now=NOW, jobs=50, **options), port=0)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.url
    finally:
        server.close()
        thread.join()


def test_a_server_that_needs_a_project_says_which_flag_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """dsub on Google names projectId among its extensions, and lists nothing without one."""
    monkeypatch.setenv("JMREPORT_API_TOKEN", TOKEN)
    with _server(like="dsub", token=TOKEN) as url:
        code = main(["build", "--api-url", url, "--now", NOW.isoformat(), "-q"])
    assert code == Exit.NOTHING_USABLE
    message, hint = _said(capsys)
    assert "projectId" in message
    assert "--project-id" in hint


def test_a_refused_token_tells_of_scopes_and_of_signing_in_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JMREPORT_API_TOKEN", "a-wrong-token")
    with _server(like="cromwell", token=TOKEN, outside_auth=True) as url:
        code = main(["build", "--api-url", url, "--now", NOW.isoformat(), "-q"])
    assert code == Exit.NOTHING_USABLE
    message, hint = _said(capsys)
    assert "refuses the token" in message
    assert "a service of its own" in message
    assert "a-wrong-token" not in message + hint


def test_a_port_that_is_taken_is_named_with_another_to_try(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serve(Demo(now=NOW, jobs=5), port=0) as server:
        assert main(["demo", "--port", str(server.port)]) == Exit.USAGE
        said, hint = _said(capsys)
    assert said == f"cannot listen on 127.0.0.1 port {server.port}: Address already in use"
    assert hint == "give another --port, or 0 for any free one"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("no/such/a.toml", "cannot write no/such/a.toml: there is no folder no/such"),
        (".", ". is a folder"),
    ],
)
def test_settings_are_written_into_a_folder_that_is_there(
    file: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--config", file]) == Exit.USAGE
    assert _said(capsys)[0] == said
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "url", "named"),
    [
        ("HTTP_PROXY", "http://jobs.invalid", "HTTP_PROXY"),
        ("https_proxy", "https://jobs.invalid", "HTTPS_PROXY"),
        ("ALL_PROXY", "https://jobs.invalid", "ALL_PROXY"),
        ("HTTPS_PROXY", "http://127.0.0.1:9", ""),
    ],
)
def test_a_proxy_that_does_not_answer_is_named_where_the_server_seems_not_to(
    variable: str,
    url: str,
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for each in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(each, raising=False)
        monkeypatch.delenv(each.lower(), raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("JMREPORT_API_TRIES", "1")
    assert main(["collect", "-q", "--api-url", url]) == Exit.NOTHING_USABLE
    said, hint = _said(capsys)
    assert said.endswith("connection refused")
    assert ("the proxy that" in hint) == bool(named)
    assert named in hint
    assert "check --api-url" in hint


@pytest.mark.parametrize("place", ["mirror", "mirror/pages", "."])
def test_a_site_is_never_published_among_all_that_was_read(
    place: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The argument takes the place of the setting, which is held to the same."""
    (folder / "jmreport.toml").write_text('[snapshots]\nmirror = "mirror"\n')
    (folder / "site").mkdir()
    assert main(["publish", place]) == Exit.USAGE
    said, hint = _said(capsys)
    assert "are one within the other" in said
    assert "a place of its own" in hint or "a folder of its own" in hint
    assert not (folder / "mirror").exists()
