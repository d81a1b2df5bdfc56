"""The program: from arguments to an exit code, whatever happens on the way.

    jmreport build --timeframe DAYS_7 --api-url https://jobs.example.org

The commands themselves are in `jmreport.commands`.
"""

import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import typer

from jmreport.commands import app
from jmreport.console import Console
from jmreport.errors import Exit, JmreportError


def run() -> None:
    """The console script."""
    sys.exit(main())


def main(argv: Sequence[str] | None = None) -> int:
    """The whole program: runs a command and answers its exit code (docs/exit-codes.md)."""
    args = after_command(sys.argv[1:] if argv is None else argv)
    # Also a command line that cannot be understood is answered in the form that it asks for.
    console = Console(log_format="json" if _asks_for_json(args) else "text")
    code = _come_to(args, console)
    console.ended(code)
    return code


def _come_to(args: Sequence[str], console: Console) -> int:
    """What a command came to, with what went wrong in words."""
    try:
        with asked_to_stop():
            code = _run(args, console)
        if console.unsaid and code == Exit.DONE:
            console.error(f"what came of it could not be written: {console.unsaid}")
            return Exit.FAILED
        return code
    except JmreportError as error:
        console.error(error.message, hint=error.hint, code=error.code)
        return error.code
    except typer.TyperException as error:
        return _misused(error, console)
    except (KeyboardInterrupt, typer.Abort):
        console.error("interrupted; what was written before is whole", code=Exit.INTERRUPTED)
        return Exit.INTERRUPTED
    except OSError as error:
        return _failed(error, console)
    except Exception as error:  # noqa: BLE001 - the one place where a bug becomes a line
        return _bug(error, console)


@contextmanager
def asked_to_stop() -> Iterator[None]:
    """While it lasts, SIGTERM and a terminal that is closed stop the command as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGHUP)
    # Whoever ignores a signal, as nohup does, or handles it, keeps it so.
    mine = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in mine:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def _run(args: Sequence[str], console: Console) -> int:
    command = typer.main.get_command(app)
    try:
        code = command.main(args, prog_name="jmreport", standalone_mode=False, obj=console)
    except SystemExit as stop:  # Typer's answer to a reader of --help that has gone away
        return stop.code if isinstance(stop.code, int) else Exit.FAILED
    if code == Exit.INTERRUPTED:
        raise KeyboardInterrupt  # Typer turned it into a returned number
    return code if isinstance(code, int) else Exit.DONE


def after_command(args: Sequence[str]) -> list[str]:
    """Arguments with the options that every command has moved behind the command's name.

    >>> after_command(["-v", "--config", "a.toml", "build", "--demo"])
    ['build', '-v', '--config', 'a.toml', '--demo']
    >>> after_command(["-q", "snapshots", "list"])
    ['snapshots', 'list', '-q']
    """
    args = list(args)
    at = 0
    while at < len(args) and args[at].startswith("-"):
        if args[at] in ("--config", "--log-format"):
            at += 2
        elif args[at] in ("-v", "-vv", "-q", "--verbose", "--quiet") or args[at].startswith(
            ("--config=", "--log-format=")
        ):
            at += 1
        else:
            return args
    words = 2 if args[at : at + 1] == ["snapshots"] and args[at + 1 : at + 2] else 1
    return [*args[at : at + words], *args[:at], *args[at + words :]]


def _asks_for_json(args: Sequence[str]) -> bool:
    """Whether events are to be written, as the last of such options says.

    >>> _asks_for_json(["nightly", "--bogus", "--log-format=json"])
    True
    """
    last = ""
    for arg, behind in pairwise([*args, ""]):
        if arg == "--":
            break
        if arg == "--log-format":
            last = behind
        elif arg.startswith("--log-format="):
            last = arg.partition("=")[2]
    return last == "json"


# What went wrong


def _misused(error: typer.TyperException, console: Console) -> int:
    """Typer's own complaints, in the words of all others."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "jmreport"
    message = error.format_message().rstrip(".")
    message = (message[:1].lower() + message[1:]).replace(". Did you mean", "; did you mean")
    near = getattr(error, "possibilities", None)
    if near:
        message = f"{message.partition(' (Possible')[0]}; did you mean {' or '.join(near)}?"
    console.error(message, hint=f"see `{path} --help`", code=Exit.USAGE)
    return Exit.USAGE


def _failed(error: OSError, console: Console) -> int:
    """A disk that is full, a folder that may not be written: no bug."""
    what = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    why = error.strerror or str(error)
    hints: dict[type[OSError], str] = {
        PermissionError: "let this user write there, or choose another folder",
        NotADirectoryError: "a file stands where a folder is needed",
        FileExistsError: "a file stands where a folder is needed",
    }
    console.error(
        f"{what}: {why}" if what else why,
        hint=hints.get(
            type(error), "what was written before is whole; run again once it is mended"
        ),
        code=Exit.FAILED,
    )
    if console.verbosity > 0:
        console.note(traceback.format_exc())
    return Exit.FAILED


def _bug(error: Exception, console: Console) -> int:
    console.error(
        f"this is a bug: {type(error).__name__}: {error}",
        hint="please report it where you got jmreport from, with what the same command says "
        "with -v",
        code=Exit.FAILED,
    )
    if console.verbosity > 0:
        for line in traceback.format_exc().splitlines():
            console.note(line)
    return Exit.FAILED
