"""What a job's page says of acting on it: links where there is a server, else commands to copy."""

import html
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
from held import Held
from msgspec.structs import replace
from site_cases import entries, runs

from jmreport.analysis import contexts
from jmreport.collectors.demo import Demo, serve
from jmreport.records import Asked, Entry
from jmreport.render.jobacts import Acts, acts, commands_need

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
HOSTILE = "a'b $(rm -rf ~) ; `x` \"&?=#é"


def of(found: Sequence[Entry], server: str | None, needs: str = "") -> Acts | None:
    [context] = contexts(Held(found), runs(), identity=())
    return acts(context, server, needs)


def entry(status: str, job: str) -> tuple[Entry]:
    found = next(each for each in entries(60, runs()) if each.row.status == status)
    return (replace(found, row=replace(found.row, id=job, parent=None)),)


def test_a_job_that_runs_can_be_aborted_and_labelled_one_that_ended_only_labelled() -> None:
    running, done = of(entry("Running", "a"), None), of(entry("Succeeded", "a"), None)
    assert running == Acts(
        abort="jmreport abort a", labels="jmreport label a flag=follow-up", linked=False
    )
    assert done == Acts(abort="", labels="jmreport label a flag=follow-up", linked=False)


def test_with_a_server_they_are_links_whatever_the_id_holds() -> None:
    found = of(entry("Running", HOSTILE), "https://reports.example.org/")
    assert found is not None
    assert found.linked
    assert found.abort == (
        "https://reports.example.org/actions/abort?job="
        "a%27b%20%24%28rm%20-rf%20~%29%20%3B%20%60x%60%20%22%26%3F%3D%23%C3%A9"
    )


@pytest.mark.parametrize("job", [HOSTILE, "-rf", "+a--b--1+30+", "a b", "$HOME", "x\\y"])
def test_a_command_that_is_copied_names_this_job_and_nothing_else(job: str) -> None:
    """Whatever an id holds, a shell takes it as one word."""
    found = of(entry("Running", job), None)
    assert found is not None
    words = [word for word in shlex.split(found.abort) if word != "--"]
    assert words == ["jmreport", "abort", job]


@pytest.mark.parametrize("job", [HOSTILE, "a=b", "-x=y", "-rf", "a b", "%s=%d"])
def test_a_copied_change_of_labels_reaches_this_job_whatever_its_id_holds(
    job: str, tmp_path: Path
) -> None:
    """Also one that reads like a label: it is run by a shell, and the server hears of its id."""
    found = of(entry("Running", job), None)
    assert found is not None
    demo = Demo(now=NOW, jobs=10)
    with serve(demo, port=0) as server:
        command = found.labels.replace("jmreport label", f"{sys.executable} -m jmreport label")
        environ = {**os.environ, "JMREPORT_API_URL": server.url}
        subprocess.run(  # noqa: S602 - a command is copied into a shell
            command, shell=True, cwd=tmp_path, env=environ, check=False, capture_output=True
        )
    asked = [each for each in demo.requests.last if each.operation == "UpdateJobLabels"]
    assert [unquote(each.target.split("/")[-2]) for each in asked] == [job]
    assert [json.loads(each.body)["labels"] for each in asked] == [{"flag": "follow-up"}]


@pytest.mark.parametrize("job", ["a\nb", "a\u202eb", "a\x1bb"])
def test_an_id_that_a_page_cannot_show_as_it_is_makes_no_command(job: str) -> None:
    assert of(entry("Running", job), None) is None


@pytest.mark.parametrize("job", ["a", "a=b", "-rf"])
def test_what_names_the_server_is_one_word_of_a_shell_without_any_password(job: str) -> None:
    """Before the job, behind which an option may be none; nothing where a settings file says it."""
    asked = Asked(server="https://ana:hunter2@[::1]:8/a b$(x)'@/api/v1", timeframe="DAYS_7")
    found = of(entry("Running", job), None, commands_need(asked))
    assert found is not None
    for command in (found.abort, found.labels):
        words = shlex.split(command)
        at = words.index("--api-url")
        assert words[at - 2] == "jmreport"
        assert words[at + 1] == "https://[::1]:8/a b$(x)'@/api/v1"
        assert "hunter2" not in command
    assert commands_need(replace(asked, in_file=True)) == ""


def built(folder: Path, *, file: str, **environ: str) -> str:
    """A site that the program makes in a folder; the command that aborts a job, as it says."""
    folder.mkdir()
    (folder / "jmreport.toml").write_text(f'[api]\nurl = "{file}"\n')
    build = [sys.executable, "-m", "jmreport", "build", "-q", "--status", "Running"]
    build += ["--now", NOW.isoformat(), "--timeframe", "ALL_TIME"]
    subprocess.run(build, cwd=folder, env=ours(environ), check=True)  # noqa: S603 - our own program
    pages = (path.read_text() for path in folder.glob("site/jobs/*-[0-9a-f]*.html"))
    found = (re.search("<code>(jmreport abort .*?)</code>", page) for page in pages)
    return html.unescape(next(each[1] for each in found if each))


def ours(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that knows no other settings of ours."""
    own = {key: said for key, said in os.environ.items() if not key.startswith("JMREPORT_")}
    return {**own, **environ}


def aborted(command: str, folder: Path, demo: Demo) -> list[str]:
    """Copies a command into a shell there; the jobs that the server was asked to abort."""
    program = command.replace("jmreport", f"{sys.executable} -m jmreport", 1)
    subprocess.run(  # noqa: S602 - a command is copied into a shell
        f"{program} --yes", shell=True, cwd=folder, env=ours({}), check=True
    )
    asked = [each for each in demo.requests.last if each.operation == "AbortJob"]
    return [unquote(each.target.split("/")[-2]) for each in asked]


def test_a_copied_command_reaches_the_server_that_was_named_by_hand(tmp_path: Path) -> None:
    """From anywhere: what the environment said is gone, and the settings file says another."""
    demo = Demo(now=NOW, jobs=80)
    with serve(demo, port=0) as server:
        other = "http://127.0.0.1:9"
        command = built(tmp_path / "a", file=other, JMREPORT_API_URL=server.url)
        job = shlex.split(command)[-1]
        assert command == f"jmreport abort --api-url {server.url} {job}"
        assert aborted(command, tmp_path, demo) == [job]


def test_a_copied_command_leaves_out_the_server_that_the_settings_file_names(
    tmp_path: Path,
) -> None:
    """Where the file is it reaches that server."""
    demo = Demo(now=NOW, jobs=80)
    with serve(demo, port=0) as server:
        command = built(tmp_path / "a", file=server.url)
        job = shlex.split(command)[-1]
        assert command == f"jmreport abort {job}"
        assert aborted(command, tmp_path / "a", demo) == [job]
