"""What the person at a terminal, a cron mail or a log collector reads.

    on a terminal          progress bars, with an estimate
    in cron, in a file     one plain line a step, and one every half a minute of a long one
    --log-format json      {"at": "2026-11-23T02:14:09Z", "event": "step", "step": "read jobs", …}

The outcome goes to stdout; progress, notes and mistakes go to stderr. Text may hold a server's
words, so control characters are shown, never sent.
"""

import errno
import json
import logging
import os
import stat
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Literal, TextIO

from jmreport.errors import Exit
from jmreport.estimate import Estimate, left
from jmreport.progress import Progress, SilentProgress, Step

LogFormat = Literal["text", "json"]

#: Whose log records `-v` shows. Not httpcore's: they hold headers, and so tokens.
LOGGER = "jmreport"


#: Kinds of characters that move a cursor, ring a bell, turn the reading direction or end a line.
_UNSHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def plain(text: str) -> str:
    """Text that cannot move a cursor, ring a bell or turn the reading direction.

    >>> plain("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return "".join(
        ascii(char)[1:-1] if unicodedata.category(char) in _UNSHOWN else char for char in text
    )


def json_text(tree: Any, *, indent: int | None = 1) -> str:
    """JSON for eyes and for programs: as it is, but for what could disturb a terminal.

    >>> json_text({"a": "é\\x9b"}, indent=None)
    '{"a": "é\\\\u009b"}'
    """
    return "".join(
        json.dumps(char)[1:-1] if unicodedata.category(char) in _UNSHOWN and char != "\n" else char
        for char in json.dumps(tree, ensure_ascii=False, indent=indent)
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
        #: Takes secrets out of what is said: a server's errors may hold some. A command sets it to
        #: what its settings say.
        self.hide: Callable[[str], str] | None = None
        #: Why words of the outcome are nowhere to be read; "" as usual.
        self.unsaid = ""
        #: The run that came of it, for programs that read the log.
        self.run = ""
        self._now = now

    def say(self, *lines: str, wrong: bool = False) -> None:
        """The outcome of a command; quiet hides it, unless it tells of something wrong."""
        for line in map(self.hide, lines) if self.hide else lines:
            if self.log_format == "json":
                self.unsaid = self._json(sys.stdout, event="outcome", text=line) or self.unsaid
            elif wrong or self.verbosity >= 0:
                self.unsaid = mention(sys.stdout, plain(line)) or self.unsaid

    def answer(self, *lines: str) -> None:
        """What a command is asked for, as text on stdout, whatever else is said."""
        for line in map(self.hide, lines) if self.hide else lines:
            write(sys.stdout, plain(line))

    def data(self, tree: Any, *, indent: int | None = 1) -> None:
        """What a command is asked for, as JSON on stdout, whatever else is said."""
        write(sys.stdout, json_text(tree, indent=indent))

    def ask_about(self, lines: Sequence[str]) -> None:
        """What somebody is asked about next: to stderr as text, also where all else is quiet."""
        for line in lines:
            write(sys.stderr, plain(self._hidden(line)))

    def note(self, text: str, **more: object) -> None:
        """Something on the way: to stderr, unless quiet."""
        if self.verbosity < 0 and self.log_format != "json":
            return
        text = self._hidden(text)
        if self.log_format == "json":
            self._json(sys.stderr, event="note", text=text, **more)
        else:
            mention(sys.stderr, plain(text))

    def error(self, message: str, *, hint: str = "", code: int = Exit.FAILED) -> None:
        """What went wrong, and what to do next; quiet does not hide it."""
        message, hint = self._hidden(message), self._hidden(hint)
        if self.log_format == "json":
            self._json(sys.stderr, event="error", text=message, hint=hint, exit=int(code))
            return
        mention(sys.stderr, f"jmreport: {plain(message)}")
        if hint:
            mention(sys.stderr, f"  hint: {plain(hint)}")

    def ended(self, code: int) -> None:
        """That a command is over: the last event, for programs; people see the exit code."""
        if self.log_format == "json":
            run = {"run": self.run} if self.run else {}
            self._json(sys.stderr, event="ended", exit=int(code), **run)

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
            mention(
                sys.stderr,
                plain(f"{name}:{count} {'done' if finished else 'stopped'} after {seconds:.1f} s"),
            )

    def under_way(self, name: str, course: Estimate, now: float) -> None:
        """How far a step is that takes long: one line."""
        rate, seconds = course.rate(now), course.seconds_left(now)
        if self.log_format == "json":
            self._json(
                sys.stderr,
                event="progress",
                step=name,
                done=course.done,
                total=course.total,
                per_second=round(rate, 3),
                seconds_left=None if seconds is None else round(seconds),
            )
        else:
            mention(sys.stderr, plain(f"{name}: {', '.join(_course(course, rate, seconds))}"))

    def progress(self) -> Progress:
        """Who listens to the steps of this command."""
        if self.verbosity < 0:
            return SilentProgress()
        if self.log_format == "text" and is_terminal(sys.stderr):
            return Bars(self)
        return Lines(self)

    @contextmanager
    def logs(self) -> Iterator[None]:
        """While it lasts, the program's log goes where notes go; how much of it, -v says."""
        handler = _ToConsole(self)
        level = {1: logging.INFO, 2: logging.DEBUG}.get(min(self.verbosity, 2), logging.WARNING)
        logger = logging.getLogger(LOGGER)
        before = logger.level
        logger.addHandler(handler)
        logger.setLevel(level)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)

    def _hidden(self, text: str) -> str:
        if self.hide is None:
            from jmreport.pipeline.asking import hider  # only where there is something to hide

            self.hide = hider()
        return self.hide(text)

    def _json(self, stream: TextIO | None, **fields: Any) -> str:
        at = self._now().astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
        # ASCII only: no control character and no line separator survives JSON's escapes.
        return mention(stream, json.dumps({"at": f"{at}Z", **fields}))


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody sits at a stream; one that was closed before the command began is None."""
    return stream is not None and stream.isatty()


def write(stream: TextIO | None, line: str) -> None:
    """A line on a stream; a reader that has gone away is no mistake of the command.

    Nor is a stream that was closed before the command began.
    """
    if stream is None:
        return
    try:
        stream.write(line + "\n")
        stream.flush()
    except OSError as error:
        if not _gone(stream, error):
            raise
        _to_nowhere(stream)
    except UnicodeEncodeError:
        stream.write(line.encode("ascii", "backslashreplace").decode() + "\n")
        stream.flush()


def mention(stream: TextIO | None, line: str) -> str:
    """The same of what is said beside the work, which goes on where nothing can be said: why it
    could not, as where the disk of the log is full, and "" as usual."""
    try:
        write(stream, line)
    except OSError as error:
        assert stream is not None  # nothing is written there
        _to_nowhere(stream)
        return error.strerror or str(error)
    return ""


def _to_nowhere(stream: TextIO) -> None:
    """From here on nothing is read of it: what is still buffered would fail again when Python
    flushes at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _gone(stream: TextIO, error: OSError) -> bool:
    """Whether nobody reads any more: the other end of a pipe, or a terminal that was closed.

    Of a file the same error says that its disk is broken.
    """
    if error.errno == errno.EIO:
        with suppress(OSError, ValueError):
            return stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    return isinstance(error, BrokenPipeError)


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


def _course(course: Estimate, rate: float, seconds: float | None) -> Iterator[str]:
    total, percent = course.total, course.percent()
    yield f"{course.done} of {total} ({percent} %)" if total else f"{course.done} so far"
    yield f"{rate:.1f} a second" if rate >= 1 or not rate else f"{60 * rate:.1f} a minute"
    if seconds is not None:
        yield left(seconds)


class Counter:
    """A step that counts, and tells every `EVERY` seconds how far it is; several threads may."""

    EVERY = 30.0

    def __init__(
        self,
        total: int | None,
        tell: Callable[[Estimate, float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell, self._clock = tell, clock
        self._told = clock()
        self.course = Estimate(self._told, total)
        self._lock = Lock()

    def advance(self, n: int = 1) -> None:
        with self._lock:
            now = self._clock()
            self.course.advance(n, now)
            if now - self._told >= self.EVERY:
                self._told = now
                self._tell(self.course, now)

    def expect(self, total: int) -> None:
        with self._lock:
            self.course.total = total


class Lines:
    """One line a step when it is over, and now and then one while it lasts."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, name: str, total: int | None) -> Iterator[Step]:
        """A step whose last line says how many things were done, and how long it took."""
        counter = Counter(total, lambda course, now: self._console.under_way(name, course, now))
        began, finished = time.monotonic(), False
        try:
            yield counter
            finished = True
        finally:
            self._console.step(
                name,
                done=counter.course.done,
                seconds=time.monotonic() - began,
                finished=finished,
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
            TextColumn("{task.fields[left]}", markup=False),
        )
        with RichProgress(*columns, console=RichConsole(stderr=True)) as bars:
            task = bars.add_task(plain(name), total=total, left="")
            yield _Bar(total, lambda **change: bars.update(task, **change))
            done = bars.tasks[0].completed
            bars.update(task, total=done or 1, completed=done or 1, left="")

    def note(self, text: str) -> None:
        self._console.note(text)


class _Bar:
    """A bar's step: how many are done, of how many, and how long it may still take."""

    def __init__(self, total: int | None, change: Callable[..., None]) -> None:
        self._change = change
        self._course = Estimate(time.monotonic(), total)
        self._lock = Lock()

    def advance(self, n: int = 1) -> None:
        with self._lock:
            now = time.monotonic()
            self._course.advance(n, now)
            self._change(completed=self._course.done, left=left(self._course.seconds_left(now)))

    def expect(self, total: int) -> None:
        with self._lock:
            if total != self._course.total:
                self._course.total = total
                self._change(total=total)
