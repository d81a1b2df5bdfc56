"""What the person at a terminal, a cron mail or a log collector reads.

    on a terminal          progress bars
    in cron, in a file     one plain line a step
    --log-format json      {"at": "2026-11-23T02:14:09Z", "event": "step", "step": "read jobs", …}

The outcome goes to stdout; progress, notes and mistakes go to stderr. Text may hold a server's
words, so control characters are shown, never sent.
"""

import json
import logging
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Literal, TextIO

from jmreport.errors import Exit
from jmreport.progress import Progress, SilentProgress, Step

LogFormat = Literal["text", "json"]

#: Whose log records `-v` shows. Not httpcore's: they hold headers, and so tokens.
LOGGERS = ("jmreport", "stamina")


def plain(text: str) -> str:
    """Text that cannot move a cursor, ring a bell or turn the reading direction.

    >>> plain("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return "".join(
        ascii(char)[1:-1] if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char
        for char in text
    )


class Console:
    """Where a command's words go, in the form that was asked for."""

    def __init__(
        self,
        *,
        log_format: LogFormat = "text",
        verbosity: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.log_format = log_format
        #: -1 is quiet, 0 as usual, 1 for -v, 2 for -vv.
        self.verbosity = verbosity
        self._now = now

    def say(self, *lines: str, wrong: bool = False) -> None:
        """The outcome of a command; quiet hides it, unless it tells of something wrong."""
        for line in lines:
            if self.log_format == "json":
                self._json(sys.stdout, event="outcome", text=line)
            elif wrong or self.verbosity >= 0:
                write(sys.stdout, plain(line))

    def note(self, text: str, **more: object) -> None:
        """Something on the way: to stderr, unless quiet."""
        if self.log_format == "json":
            self._json(sys.stderr, event="note", text=text, **more)
        elif self.verbosity >= 0:
            write(sys.stderr, plain(text))

    def error(self, message: str, *, hint: str = "", code: int = Exit.FAILED) -> None:
        """What went wrong, and what to do next; quiet does not hide it."""
        if self.log_format == "json":
            self._json(sys.stderr, event="error", text=message, hint=hint, exit=int(code))
            return
        write(sys.stderr, f"jmreport: {plain(message)}")
        if hint:
            write(sys.stderr, f"  hint: {plain(hint)}")

    def step(self, name: str, *, done: int, seconds: float, finished: bool) -> None:
        """A step that is over: one line."""
        if self.log_format == "json":
            self._json(
                sys.stderr,
                event="step",
                step=name,
                done=done,
                seconds=round(seconds, 3),
                finished=finished,
            )
        else:
            count = f" {done}" if done else ""
            write(
                sys.stderr,
                plain(f"{name}:{count} {'done' if finished else 'stopped'} after {seconds:.1f} s"),
            )

    def progress(self) -> Progress:
        """Who listens to the steps of this command."""
        if self.verbosity < 0:
            return SilentProgress()
        if self.log_format == "text" and sys.stderr.isatty():
            return Bars(self)
        return Lines(self)

    @contextmanager
    def logs(self) -> Iterator[None]:
        """While it lasts, the program's log goes where notes go; how much of it, -v says."""
        handler = _ToConsole(self)
        level = {1: logging.INFO, 2: logging.DEBUG}.get(min(self.verbosity, 2), logging.WARNING)
        before = [(name, logging.getLogger(name).level) for name in LOGGERS]
        for name in LOGGERS:
            logging.getLogger(name).addHandler(handler)
            logging.getLogger(name).setLevel(level)
        try:
            yield
        finally:
            for name, old in before:
                logging.getLogger(name).removeHandler(handler)
                logging.getLogger(name).setLevel(old)

    def _json(self, stream: TextIO, **fields: Any) -> None:
        at = self._now().astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
        # ASCII only: no control character and no line separator survives JSON's escapes.
        write(stream, json.dumps({"at": f"{at}Z", **fields}))


def write(stream: TextIO, line: str) -> None:
    """A line on a stream; a reader that has gone away is no mistake of the command."""
    try:
        stream.write(line + "\n")
        stream.flush()
    except BrokenPipeError:
        # What is still buffered would fail again when Python flushes at exit.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except UnicodeEncodeError:
        stream.write(line.encode("ascii", "backslashreplace").decode() + "\n")
        stream.flush()


class _ToConsole(logging.Handler):
    """The program's log, as notes."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        name, level = record.name, record.levelname.lower()
        text = record.getMessage()
        if self._console.log_format == "json":
            self._console.note(text, logger=name, level=level)
        else:
            self._console.note(f"{level}: {text}")


class Counter:
    """A step that counts; several threads may."""

    def __init__(self) -> None:
        self.done = 0
        self._lock = Lock()

    def advance(self, n: int = 1) -> None:
        with self._lock:
            self.done += n


class Lines:
    """One line a step, when it is over."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, name: str, total: int | None) -> Iterator[Step]:  # noqa: ARG002 - a bar's affair
        """A step whose line says how many things were done, and how long it took."""
        counter, began, finished = Counter(), time.monotonic(), False
        try:
            yield counter
            finished = True
        finally:
            self._console.step(
                name, done=counter.done, seconds=time.monotonic() - began, finished=finished
            )

    def note(self, text: str) -> None:
        self._console.note(text)


class Bars:
    """A bar a step, drawn by rich on a terminal; its line stays when it is over."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, name: str, total: int | None) -> Iterator[Step]:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description:<36}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with RichProgress(*columns, console=RichConsole(stderr=True)) as bars:
            task = bars.add_task(plain(name), total=total)
            yield _Bar(lambda n: bars.advance(task, n))
            done = bars.tasks[0].completed
            bars.update(task, total=done or 1, completed=done or 1)

    def note(self, text: str) -> None:
        self._console.note(text)


class _Bar:
    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance

    def advance(self, n: int = 1) -> None:
        self._advance(n)
