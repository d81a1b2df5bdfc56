"""What is done whole: Ctrl-C and other signals to stop come right behind it.

A record that is half written would cost the shard that it belongs to.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Signals that ask a program to stop.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopping:
    """Holds signals to stop back while something is `undisturbed`.

    Who hears a signal is changed for as long as that lasts. Between `begin` and `end` it is changed
    once for all of it, since that costs more than most of what is to be done whole; what comes
    meanwhile between two such things is heard at once by whoever heard it before.
    """

    def __init__(self) -> None:
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int] = {}
        self._hearing = False
        self._depth = 0
        self._came: list[int] = []

    def begin(self) -> None:
        """Hear the signals from now on. Only the main thread is told of them, so only in it."""
        if not _in_main_thread():
            return
        self._hearing = True
        try:
            for number in STOPPING:
                heard = signal.getsignal(number)
                # What is ignored, as by nohup, stays so for the programs that are started too.
                if heard is not None and heard is not signal.SIG_IGN:
                    self._before[number] = heard
                    signal.signal(number, self._hear)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Let those hear them again who did before `begin`."""
        for number, heard in self._before.items():
            signal.signal(number, heard)
        self._before.clear()
        self._hearing = False

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """What is done in it is done whole, and signals come behind it."""
        if not _in_main_thread():
            yield
            return
        own = not self._hearing
        self._depth += 1
        try:
            if own:
                self.begin()
            yield
        finally:
            self._depth -= 1
            if own:
                self.end()
            if self._came and not self._depth:
                number = self._came[0]
                self._came.clear()
                signal.raise_signal(number)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._depth:
            self._came.append(number)
            return
        self._came.clear()
        heard = self._before.get(number, signal.SIG_DFL)
        if callable(heard):
            heard(number, frame)
        else:  # it ends the program
            signal.signal(number, heard)
            signal.raise_signal(number)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
