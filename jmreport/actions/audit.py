"""The audit: a line of JSON for what was asked, before it is sent, and one for what came of it.

    {"at": "2026-11-23T02:14:09.120Z", "event": "asked", "form": "kD3…", "who": "ana@example.org",
     "job": "0a1b…", "action": "labels", "labels": {"flag": "archive"}, "before": {"flag": ""}}
    {"at": "2026-11-23T02:14:09.190Z", "event": "came", "form": "kD3…", "job": "0a1b…",
     "came": "done", "said": "the server took it"}
    {"at": "2026-11-23T02:14:09.200Z", "event": "left out", "form": "kD3…", "job": "4e5f…",
     "came": "not sent", "said": "jmreport was stopped before", …}
    {"at": "2026-11-23T02:15:00.000Z", "event": "refused", "status": 403, "why": "…", …}

A line of "asked" is on the disk before the Job Manager hears of it. One without its "came" tells of
a server that was killed in between; the next one that starts says so in a line of its own.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jmreport.errors import JmreportError

#: Refusals told in a line of their own: so many at once, and so many a second. Others are counted,
#: so that nobody who is refused can fill the disk.
BURST, EACH_SECOND = 2_000, 20.0
#: What a line is of, by which lines are found.
_WHOSE = frozenset(("event", "form", "who", "job"))


class Audit:
    """The file, open for appending. Thread-safe. Raises JmreportError where it cannot be had."""

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime],
        clean: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        self._path, self._now, self._clean = path, now, clean
        self._lock = threading.Lock()
        self._room, self._filled, self._left_out = float(BURST), time.monotonic(), 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._mend()
        except OSError as error:
            raise _failed(path, error) from error

    def asked(self, **fields: Any) -> None:
        """What is about to be sent; on the disk when this returns. Raises JmreportError."""
        self._append({"event": "asked", **fields}, sync=True)

    def came(self, **fields: Any) -> None:
        """What came of it. Raises JmreportError."""
        self._append({"event": "came", **fields}, sync=True)

    def left_out(self, **fields: Any) -> None:
        """A job of a form that the Job Manager was not asked about. Raises JmreportError."""
        self._append({"event": "left out", **fields}, sync=True)

    def refused(self, **fields: Any) -> None:
        """A request that was turned away before anything was sent."""
        with self._lock:
            now = time.monotonic()
            self._room = min(BURST, self._room + (now - self._filled) * EACH_SECOND)
            self._filled = now
            if self._room < 1:
                self._left_out += 1
                return
            self._room -= 1
            more = {"not_told_before": self._left_out} if self._left_out else {}
            self._left_out = 0
        self._append({"event": "refused", **fields, **more}, sync=False)

    def close(self) -> None:
        with self._lock:
            os.close(self._file)

    def _append(self, fields: dict[str, Any], *, sync: bool) -> None:
        at = self._now().astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
        # ASCII only, so that no character ends a line or moves a cursor.
        line = json.dumps({"at": f"{at}Z", **self._without_secrets(fields)}) + "\n"
        with self._lock:
            try:
                self._write(line.encode())
                if sync:
                    os.fsync(self._file)
            except OSError as error:
                raise _failed(self._path, error) from error

    def _write(self, line: bytes) -> None:
        size = os.fstat(self._file).st_size
        written = os.write(self._file, line)
        if written != len(line):
            os.ftruncate(self._file, size)
            raise OSError(28, "No space left on device")

    def _without_secrets(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields without secrets that a server or a person put into them.

        Who asked, and of which job, stays: a line that does not say so tells nothing.
        """
        told = {key: value for key, value in fields.items() if key not in _WHOSE}
        return fields | dict(zip(told, self._clean(told).values(), strict=True))

    def _mend(self) -> None:
        """End a line that was cut, and say of what was asked and never told that nobody knows."""
        open_: dict[tuple[str, str], dict[str, Any]] = {}
        last = b"\n"
        with self._path.open("rb") as lines:
            for line in lines:
                last = line[-1:]
                try:
                    told = json.loads(line)
                    mark = (str(told["form"]), str(told["job"]))
                except (ValueError, KeyError, TypeError):
                    continue
                if told.get("event") == "asked":
                    open_[mark] = told
                elif told.get("event") == "came":
                    open_.pop(mark, None)
        if last != b"\n":
            self._write(b"\n")
        for form, job in open_:
            said = "the actions server was stopped before it knew"
            self.came(form=form, job=job, came="unknown", said=said)


def _failed(path: Path, error: OSError) -> JmreportError:
    return JmreportError(
        f"cannot write the audit {path}: {error.strerror}",
        hint="nothing is sent that cannot be audited: free some space, or name another file by "
        "actions.audit",
    )
