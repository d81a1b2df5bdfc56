"""The program from outside: arguments in, lines and an exit code out."""

import errno
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from doses import dose
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jmreport import __version__, commands, errors, pipeline
from jmreport.cli import after_command, main
from jmreport.console import Console, Counter, plain
from jmreport.errors import Exit, JmreportError
from jmreport.estimate import Estimate
from jmreport.flags import ASKING, SITE, SNAPSHOTS
from jmreport.models import TIME_FRAMES
from jmreport.options import now_from
from jmreport.settings import Settings
from jmreport.settings_keys import KEYS

COMMANDS = (
    "build", "collect", "render", "merge", "publish", "mail", "nightly", "diff", "check", "prune",
    "abort", "label", "serve", "demo", "init", "doctor", "snapshots",
)  # fmt: skip
NOW = "2026-11-23T02:14:00Z"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `pipeline.build` was asked for, when all that matters is how it was asked."""
    got: dict[str, Any] = {}

    def build(settings: Settings, **rest: Any) -> pipeline.Outcome:
        got.update(settings=settings, **rest)
        return pipeline.Outcome(exit=got.get("exit", Exit.DONE), summary=("a line",))

    monkeypatch.setattr(pipeline, "build", build)
    return got


def program(*args: str, folder: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """The program as a process of its own."""
    return subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-m", "jmreport", *args],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


# Help


@pytest.mark.parametrize("args", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_reads_well_on_eighty_columns(
    args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == Exit.DONE
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "Usage: jmreport" in out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    out = capsys.readouterr().out
    assert re.findall(r"^  ([a-z]+)  ", out, re.MULTILINE)[-len(COMMANDS) :] == list(COMMANDS)


def test_without_a_command_help_is_shown_and_nothing_was_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On as many lines as where it is asked for."""
    assert main([]) == Exit.USAGE
    shown = capsys.readouterr().out
    assert "Usage: jmreport" in shown
    main(["--help"])
    assert capsys.readouterr().out.strip() == shown.strip()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == Exit.DONE
    assert capsys.readouterr().out == f"jmreport {__version__}\n"


def test_the_module_is_the_same_program(folder: Path) -> None:
    done = program("--version", folder=folder)
    assert (done.returncode, done.stdout) == (0, f"jmreport {__version__}\n")


# Mistakes


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["bild"], "no such command 'bild'; did you mean 'build'?"),
        (["build", "--timefrme", "DAYS_7"], "no such option: --timefrme; did you mean --timeframe"),
        (["build", "extra"], "got unexpected extra argument"),
        (["build", "--timeframe"], "option '--timeframe' requires an argument"),
        (["build", "--jobs", "many"], "invalid value for '--jobs'"),
        (["build", "--page-size", "0"], "--page-size: expected a whole number from 1 to 10000, no"),
        (["build", "--timeframe", "DAYS_8"], f"--timeframe: expected one of {TIME_FRAMES[0]}, "),
        (["build", "--api-url", "jobs.example"], "--api-url: not an address with http:// or http"),
        (["build", "--label", "owner"], "--label: 'owner' is not a label and a value"),
        (["build", "--start", "monday"], "--start: 'monday' is not a date with an offset"),
        (["build", "--log-format", "xml"], "--log-format xml: no such format"),
        (["build", "-q", "-v"], "--quiet and --verbose contradict each other"),
        (["build", "--config", "no.toml"], "no settings file no.toml"),
        (["build"], "no Job Manager to ask: neither --api-url nor --demo is given"),
        (["collect"], "no Job Manager to ask: neither --api-url nor --demo is given"),
        (["build", "--seed", "3"], "--seed is about the built-in server, and --demo was not given"),
        (["build", "--demo", "--api-url", "http://x"], "--demo and --api-url contradict each oth"),
        (["build", "--demo", "--like", "nextflow"], "--like nextflow: no such server"),
        (["build", "--demo", "--now", "today"], "--now today: not a date"),
        (["build", "--demo", "--now", "2026-11-23T02:14"], "--now 2026-11-23T02:14: says no offs"),
        (["demo", "--port", "70000"], "invalid value for '--port'"),
    ],
)
def test_a_mistake_is_one_line_and_a_hint(
    args: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, nothing on stdout, nothing written."""
    assert main(args) == Exit.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"jmreport: {message}")
    assert len(err.splitlines()) <= 2
    assert all(line.startswith("  hint: ") for line in err.splitlines()[1:])
    assert list(folder.iterdir()) == []


def test_the_hint_for_a_day_without_an_offset_is_a_time_that_is_taken(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "--demo", "--now", "2026-11-23"]) == Exit.USAGE
    hinted = re.search(r"write (\S+Z),", capsys.readouterr().err)
    assert hinted
    assert now_from(hinted[1]) == datetime(2026, 11, 23, tzinfo=UTC)
    assert list(folder.iterdir()) == []


def test_an_unknown_time_frame_lists_the_six(capsys: pytest.CaptureFixture[str]) -> None:
    main(["build", "--demo", "--timeframe", "WEEK"])
    assert ", ".join(TIME_FRAMES) in capsys.readouterr().err


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=dose(60))
@given(st.lists(st.text(max_size=12).filter(lambda text: text not in COMMANDS), max_size=4))
def test_no_arguments_make_a_traceback(capsys: pytest.CaptureFixture[str], args: list[str]) -> None:
    assert main(args) in (Exit.DONE, Exit.USAGE)
    assert "Traceback" not in capsys.readouterr().err


# Flags and settings


def test_every_flag_of_the_window_reaches_the_settings(asked: dict[str, Any]) -> None:
    assert (
        main(
            "build --api-url http://127.0.0.1:1 --timeframe HOURS_8 --status Failed"
            " --status Aborted --label owner=ana --label"
            " x=a=b --name n --job-id j --project-id p --user-id u"
            f" --start {NOW} --end {NOW} --submission {NOW} --hide-archived --page-size 5"
            " --snapshots a --site b --workers 3".split()
        )
        == Exit.DONE
    )
    found: Settings = asked["settings"]
    assert found.api.url == "http://127.0.0.1:1"
    assert found.api.project_id == "p"
    assert found.api.page_size == 5
    assert found.collect.timeframe == "HOURS_8"
    assert found.collect.status == ("Failed", "Aborted")
    assert found.collect.labels == {"owner": "ana", "x": "a=b"}
    assert (found.collect.name, found.collect.job_id, found.collect.user_id) == ("n", "j", "u")
    assert (found.collect.start, found.collect.end, found.collect.submission) == (NOW, NOW, NOW)
    assert found.collect.hide_archived is True
    assert (found.snapshots.dir, found.site.dir, asked["workers"]) == ("a", "b", 3)
    assert asked["source"] == pipeline.Source(url="http://127.0.0.1:1")


def test_every_flag_for_a_setting_has_its_key() -> None:
    for flag in (*ASKING, SNAPSHOTS, SITE):
        assert flag.key in KEYS
        assert KEYS[flag.key].meaning in flag.help


def test_hidden_archived_jobs_can_be_shown_again(asked: dict[str, Any], folder: Path) -> None:
    """A switch that a settings file turns on is left on where the flag is not given."""
    (folder / "jmreport.toml").write_text(
        '[api]\nurl = "http://x"\n[collect]\nhide_archived = true\n'
    )
    main(["build"])
    assert asked["settings"].collect.hide_archived is True


def test_demo_goes_before_a_server_of_the_settings(asked: dict[str, Any], folder: Path) -> None:
    (folder / "jmreport.toml").write_text('[api]\nurl = "http://x"\n')
    assert main(["build", "--demo", "--jobs", "5", "--seed", "2", "--like", "dsub"]) == Exit.DONE
    assert asked["source"] == pipeline.Source(
        demo=pipeline.DemoOptions(jobs=5, seed=2, like="dsub")
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-23T02:14:00Z", datetime(2026, 11, 23, 2, 14, tzinfo=UTC)),
        ("2026-11-23T02:14:00+01:00", datetime(2026, 11, 23, 1, 14, tzinfo=UTC)),
    ],
)
def test_now_can_be_given(asked: dict[str, Any], text: str, meant: datetime) -> None:
    main(["build", "--demo", "--now", text])
    assert asked["now"] == meant


def test_now_is_the_clock_where_it_is_not_given(asked: dict[str, Any]) -> None:
    main(["build", "--demo"])
    assert abs((datetime.now(UTC) - asked["now"]).total_seconds()) < 60


def test_options_of_all_commands_may_stand_before_the_command(
    asked: dict[str, Any], folder: Path
) -> None:
    (folder / "a.toml").write_text('[api]\nurl = "http://x"\n')
    assert main(["-q", "--config", "a.toml", "build", "--timeframe", "HOURS_1"]) == Exit.DONE
    assert asked["settings"].collect.timeframe == "HOURS_1"
    assert after_command(["--config=a", "-vv", "x", "y"]) == ["x", "--config=a", "-vv", "y"]
    assert after_command(["--version", "x"]) == ["--version", "x"]
    assert after_command(["-v"]) == ["-v"]


# Exit codes


@pytest.mark.parametrize("code", list(Exit))
def test_the_outcome_is_the_exit_code(
    asked: dict[str, Any], code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typer ignores what a command returns, so this goes through main."""
    asked["exit"] = code
    assert main(["build", "--demo"]) == code
    assert capsys.readouterr().out == "a line\n"


ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, JmreportError)
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_is_its_line_its_hint_and_its_code(
    kind: type[JmreportError],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise kind("it failed on this", hint="do that")

    monkeypatch.setattr(pipeline, "build", fails)
    assert main(["build", "--demo"]) == kind.code
    assert capsys.readouterr().err == "jmreport: it failed on this\n  hint: do that\n"


def test_a_bug_is_one_line_that_says_so_and_v_shows_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("odd")

    monkeypatch.setattr(pipeline, "build", fails)
    assert main(["build", "--demo"]) == Exit.FAILED
    out, err = capsys.readouterr()
    assert err.startswith("jmreport: this is a bug: ZeroDivisionError: odd\n  hint: please report")
    assert "Traceback" not in out + err
    assert main(["build", "--demo", "-v"]) == Exit.FAILED
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "site/a"), "site/a: No space left"),
        (PermissionError(errno.EACCES, "Permission denied", "site"), "site: Permission denied"),
        (OSError(errno.EXDEV, "Cross-device link", "a", None, "b"), "a -> b: Cross-device link"),
        (OSError("odd"), "odd"),
    ],
)
def test_a_disk_that_refuses_is_no_bug(
    error: OSError,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(pipeline, "build", fails)
    assert main(["build", "--demo"]) == Exit.FAILED
    assert capsys.readouterr().err.startswith(f"jmreport: {message}")


def test_an_interruption_is_one_line_and_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "build", stopped)
    assert main(["build", "--demo"]) == Exit.INTERRUPTED
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_reader_that_goes_away_is_no_mistake(folder: Path) -> None:
    """As in `jmreport --help | head -1`: no traceback, also when Python ends."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "jmreport", "--version"],
        cwd=folder,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "args",
    ["init", "init --log-format json", "abort --from-file - --api-url http://127.0.0.1:9"],
)
def test_streams_that_were_closed_beforehand_are_no_bug(folder: Path, args: str) -> None:
    """As by `jmreport init >&-`: what would be said there is said to nobody."""
    line = f"exec {sys.executable} -m jmreport {args} <&- >&- 2>said"
    done = subprocess.run(["/bin/sh", "-c", line], cwd=folder, check=False)  # noqa: S603 - ours
    said = (folder / "said").read_text()
    assert "bug" not in said
    if "json" in args:
        assert json.loads(said)["exit"] == done.returncode == 0
        return
    wanted = (0, "") if args.startswith("init") else (2, "jmreport: no job is named\n")
    assert (done.returncode, said.partition("  hint")[0]) == wanted


# What is said, and how


def test_in_cron_a_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Console().progress()
    with progress.step("read jobs", 3) as step:
        step.advance()
        step.advance(2)
    progress.note("and this")
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"read jobs: 3 done after 0\.0 s\nand this\n", err)


def test_a_long_step_tells_now_and_then_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Every half a minute: how many of how many, how fast, and about how long it still takes."""
    at = [0.0]
    console = Console()
    counter = Counter(
        None, lambda course, now: console.under_way("read jobs", course, now), clock=lambda: at[0]
    )
    counter.advance(5)
    assert capsys.readouterr().err == ""
    for second in range(1, 61):
        at[0] = second
        counter.expect(1000 if second > 30 else 0)
        counter.advance(2)
    assert capsys.readouterr().err == (
        "read jobs: 65 so far, 2.2 a second\n"
        "read jobs: 125 of 1000 (12 %), 2.1 a second, about 7 min left\n"
    )
    console.log_format = "json"
    at[0] = 90
    counter.advance()
    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["done"], event["total"]) == ("progress", 126, 1000)
    assert event["seconds_left"] > 420
    assert event["per_second"] > 1


def test_an_estimate_follows_the_pace_of_late() -> None:
    """A run that is taken up again passes over a thousand known jobs in a second."""
    course = Estimate(0, 2000)
    course.advance(1000, 1)
    assert course.seconds_left(1) is None
    for second in range(2, 202):
        course.advance(1, second)
    assert course.seconds_left(201) == pytest.approx(800, rel=0.02)
    assert course.percent() == 60
    course.advance(799, 202)
    assert course.percent() == 99
    course.advance(500, 203)
    assert course.percent() == 100
    assert course.seconds_left(203) == 0


def test_a_step_that_was_not_finished_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="x"), Console().progress().step("read", None):
        raise ValueError("x")
    assert "read: stopped after" in capsys.readouterr().err


def test_quiet_says_only_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(verbosity=-1)
    console.say("fine")
    with console.progress().step("read", None) as step:
        step.advance()
    console.error("not fine", hint="do that")
    assert capsys.readouterr() == ("", "jmreport: not fine\n  hint: do that\n")


def test_quiet_still_says_that_a_report_is_incomplete(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Silence in cron never looks like success."""
    assert main(["build", "--demo", "-q"]) == Exit.DONE
    assert capsys.readouterr() == ("", "")
    asked["exit"] = Exit.INCOMPLETE
    assert main(["build", "--demo", "-q"]) == Exit.INCOMPLETE
    assert capsys.readouterr().out == "a line\n"


@pytest.mark.usefixtures("asked")
def test_json_is_an_event_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def at() -> datetime:
        return datetime(2026, 11, 23, 2, 14, tzinfo=UTC)

    console = Console(log_format="json", now=at)
    with console.progress().step("read jobs", None) as step:
        step.advance(2)
    console.error("a\nb\u2028", hint="h", code=4)
    events = [json.loads(line) for line in capsys.readouterr().err.split("\n")[:-1]]
    assert events[0].pop("seconds") >= 0
    assert events == [
        {
            "at": "2026-11-23T02:14:00.000Z",
            "event": "step",
            "step": "read jobs",
            "done": 2,
            "finished": True,
        },
        {
            "at": "2026-11-23T02:14:00.000Z",
            "event": "error",
            "text": "a\nb\u2028",
            "hint": "h",
            "exit": 4,
        },
    ]
    assert main(["build", "--demo", "--log-format", "json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out)["text"] == "a line"


@pytest.mark.parametrize("code", [Exit.DONE, Exit.NOTHING_USABLE])
def test_the_last_event_says_how_a_command_ended(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str], code: Exit
) -> None:
    """A failed night is told from a good one by its log, whether it raised an error or not."""
    asked["exit"] = code
    assert main(["build", "--demo", "--log-format", "json"]) == code
    event = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (event["event"], event["exit"]) == ("ended", code)
    for args in (
        ["build", "--now", "x", "--log-format", "json"],
        ["--log-format", "json", "build", "--bogus"],
        ["build", "--bogus", "--log-format=json"],
    ):
        assert main(args) == Exit.USAGE
        error, ended = map(json.loads, capsys.readouterr().err.splitlines())
        assert (error["event"], ended["event"], ended["exit"]) == ("error", "ended", Exit.USAGE)


@pytest.mark.parametrize(
    ("stream", "args", "code"),
    [
        ("2", "build --demo --jobs 1 --workers 1", 0),
        ("1", "init", 1),
        ("1", "init --log-format json", 1),
    ],
)
def test_a_full_disk_of_the_log_costs_no_report(
    folder: Path, stream: str, args: str, code: int
) -> None:
    """Nor anything else that the command does; that its outcome is nowhere to be read is told."""
    line = f"exec {sys.executable} -m jmreport {args} 1>out 2>err {stream}>/dev/full"
    done = subprocess.run(["/bin/sh", "-c", line], cwd=folder, check=False)  # noqa: S603 - ours
    made = "site/index.html" if args.startswith("build") else "jmreport.toml"
    assert (folder / made).exists()
    assert done.returncode == code
    if stream == "1":
        said = (folder / "err").read_text()
        assert "what came of it could not be written: No space left on device" in said


def test_a_step_may_be_advanced_by_many_threads(capsys: pytest.CaptureFixture[str]) -> None:
    with Console().progress().step("read", None) as step:

        def work() -> None:
            for _ in range(500):
                step.advance()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "read: 4000 done" in capsys.readouterr().err


@given(st.text())
def test_no_text_moves_the_cursor_or_breaks_the_line(text: str) -> None:
    """A server's words may hold escape sequences, line ends and changes of direction."""
    said = plain(text)
    assert len(said.splitlines()) <= 1
    assert not set(said) & set("\x1b\x07\x9b\u202e\u2066\u200f\r\n")


def on_a_terminal(folder: Path, args: list[str], typed: bytes, *, at: str = "") -> tuple[int, str]:
    """The program on a terminal, with what is typed there once it shows `at`.

    Its exit code, and what it showed; killed when it shows nothing for half a minute.
    """
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - another process
        os.chdir(folder)
        os.execv(sys.executable, [sys.executable, "-m", "jmreport", *args])  # noqa: S606
    shown, waiting = b"", True
    while True:
        if waiting and at.encode() in shown:
            # As late as a person: between a question and the wait for its answer Python's own
            # `input` loses a Ctrl-C.
            time.sleep(0.5)
            os.write(terminal, typed)
            waiting = False
        if not select.select([terminal], [], [], 30)[0]:
            os.kill(child, signal.SIGKILL)
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other side has closed
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()


# init


def test_init_writes_a_file_that_can_be_used_at_once(
    folder: Path, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init"]) == Exit.DONE
    assert capsys.readouterr().out == "wrote jmreport.toml\n"
    assert [path.name for path in folder.iterdir()] == ["jmreport.toml"]
    assert main(["build", "--demo"]) == Exit.DONE
    assert asked["settings"] == Settings()


def test_init_never_writes_over_a_file_unless_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine.toml").write_text("# mine\n")
    assert main(["init", "--config", "mine.toml"]) == Exit.USAGE
    assert "--force" in capsys.readouterr().err
    assert (folder / "mine.toml").read_text() == "# mine\n"
    assert main(["init", "--config", "mine.toml", "--force"]) == Exit.DONE
    assert "[api]" in (folder / "mine.toml").read_text()


def test_init_asks_on_a_terminal_and_asks_again_where_an_answer_cannot_be(folder: Path) -> None:
    typed = b"jobs.example\nhttp://jobs.example\nNightly\nEurope/Berlin\nout\n\n"
    code, shown = on_a_terminal(folder, ["init"], typed, at="Address")
    assert code == 0, shown
    assert "not an address with http:// or https://" in shown
    text = (folder / "jmreport.toml").read_text()
    assert '\nurl = "http://jobs.example"\n' in text
    assert '\ntitle = "Nightly"\n' in text
    assert '\ntimezone = "Europe/Berlin"\n' in text
    assert '\ndir = "out"\n' in text


def test_init_interrupted_while_asking_writes_nothing(folder: Path) -> None:
    code, _ = on_a_terminal(folder, ["init"], b"\x03", at="Address")
    assert code == Exit.INTERRUPTED
    assert list(folder.iterdir()) == []


# With the built-in server


def test_the_demo_answers_over_http_until_it_is_interrupted(folder: Path) -> None:
    import urllib.request

    server = subprocess.Popen(  # noqa: S603 - this Python
        [sys.executable, "-m", "jmreport", "demo", "--jobs", "5", "--now", NOW],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout
    url = server.stdout.readline().split()[-1]
    with urllib.request.urlopen(f"{url.removesuffix('/api/v1')}/api/v1/health") as answer:  # noqa: S310
        assert json.load(answer)["available"] is True
    server.send_signal(signal.SIGINT)
    _, err = server.communicate(timeout=20)
    assert server.returncode == Exit.INTERRUPTED
    assert len(err.splitlines()) == 1


def test_a_demo_report_is_built_checked_and_rendered_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The main job through the program; the second rendering rewrites nothing."""
    assert main(["build", "--demo", "--jobs", "40", "--now", NOW, "--workers", "1"]) == Exit.DONE
    assert "rendered site/index.html" in capsys.readouterr().out
    assert main(["check"]) == Exit.DONE
    assert capsys.readouterr().out == "snapshots and pages are whole\n"
    assert main(["render", "--workers", "1"]) == Exit.DONE
    assert " 0 rewritten" in capsys.readouterr().out
    next((folder / "site" / "jobs").glob("index.html")).unlink()
    assert main(["check"]) == Exit.FAILED
    assert "jobs/index.html" in capsys.readouterr().out


def test_folders_may_have_names_that_are_no_text(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As disks have them that are older than UTF-8."""
    name = os.fsdecode(b"gr\xfc\xdfe")
    for key in ("SNAPSHOTS_DIR", "SITE_DIR", "REPORT_NOTES"):
        (folder / name / key).mkdir(parents=True)
        monkeypatch.setenv(f"JMREPORT_{key}", f"{name}/{key}")
    assert main(["build", "--demo", "--jobs", "3", "--now", NOW, "--workers", "1"]) == Exit.DONE
    assert main(["check"]) == Exit.DONE
    assert main(["render", "--workers", "1"]) == Exit.DONE
    assert " 0 rewritten" in capsys.readouterr().out


def test_bars_are_drawn_on_a_terminal(folder: Path) -> None:
    args = ["collect", "--demo", "--jobs", "10", "--now", NOW]
    code, shown = on_a_terminal(folder, args, b"")
    assert code == Exit.DONE, shown
    assert "read jobs" in shown
    assert "━" in shown


def test_a_server_that_does_not_answer_is_exit_4_and_leaves_no_site(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JMREPORT_API_TRIES", "1")
    assert main(["build", "--api-url", "http://127.0.0.1:9"]) == Exit.NOTHING_USABLE
    assert "127.0.0.1:9" in capsys.readouterr().err
    assert not (folder / "site").exists()


def test_rendering_nothing_says_what_to_run_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render"]) == Exit.NOTHING_USABLE
    assert "jmreport collect" in capsys.readouterr().err


def test_the_help_of_commands_is_all_that_typer_knows() -> None:
    """No option is taken and then ignored: each is of a flag, the command, or all commands."""
    single = {info.callback.__name__ for info in commands.app.registered_commands if info.callback}
    assert single | {info.name for info in commands.app.registered_groups} == set(COMMANDS)


@pytest.mark.parametrize("site", [".", "/"])
def test_a_folder_that_holds_more_than_pages_is_refused(
    folder: Path, site: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever publishes the site would publish the snapshots, or the whole machine."""
    assert main(["render", "--site", site]) == Exit.USAGE
    assert "holds more than pages" in capsys.readouterr().err
    assert list(folder.iterdir()) == []
