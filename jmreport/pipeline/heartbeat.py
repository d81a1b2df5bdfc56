"""A sign of life for a watchdog: one small file, written anew whenever something gets done.

{"at": "2026-11-23T02:15:07Z", "state": "running", "step": "read jobs", "done": 1200}
{"at": "2026-11-23T02:31:44Z", "state": "ended", "exit": 3, "run": "20261123T021400Z"}
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

from jmreport.progress import Progress, Step

#: So often at most while one step goes on.
EVERY = timedelta(seconds=10)


class Heartbeat:
    """The file. `clock` says what time it is, in UTC; without a path nothing is written."""

    def __init__(self, path: Path | None, clock: Callable[[], datetime]) -> None:
        self._path, self._clock = path, clock
        self._lock = Lock()
        #: Why the last beat could not be written; "" where all were.
        self.trouble = ""
        self._last: datetime | None = None

    def beat(self, state: str, **more: object) -> None:
        """Say that it goes on, and with what. What hinders that is remembered, no more."""
        if self._path is None:
            return
        with self._lock:
            self._last = now = self._clock()
            at = now.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
            part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                part.write_text(json.dumps({"at": at, "state": state, **more}) + "\n")
                part.replace(self._path)
            except OSError as error:
                self.trouble = f"{self._path} cannot be written: {error.strerror or error}"
                with suppress(OSError):
                    part.unlink(missing_ok=True)

    def due(self) -> bool:
        """Whether the last beat was long enough ago."""
        return self._last is None or abs(self._clock() - self._last) >= EVERY


class Beating:
    """Progress that somebody else listens to, and that beats on the way."""

    def __init__(self, progress: Progress, heart: Heartbeat) -> None:
        self._progress, self._heart = progress, heart

    @contextmanager
    def step(self, name: str, total: int | None) -> Iterator[Step]:
        self._heart.beat("running", step=name)
        with self._progress.step(name, total) as step:
            yield _BeatingStep(step, self._heart, name)

    def note(self, text: str) -> None:
        self._progress.note(text)


class _BeatingStep:
    def __init__(self, step: Step, heart: Heartbeat, name: str) -> None:
        self._step, self._heart, self._name = step, heart, name
        self._done = 0

    def advance(self, n: int = 1) -> None:
        self._step.advance(n)
        self._done += n
        if self._heart.due():
            self._heart.beat("running", step=self._name, done=self._done)

    def expect(self, total: int) -> None:
        self._step.expect(total)
