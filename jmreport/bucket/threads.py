"""Several objects at a time, in threads that nobody who stops a command waits for."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")
#: Seconds between looks for Ctrl-C, and those that an object under way is waited for after it.
_GLANCE, _LAST = 0.2, 5.0


def in_threads(work: Iterable[_T], do: Callable[[_T], object], *, threads: int) -> None:
    """Does each piece of work, several at a time; the first error stops the rest and is raised.

    Ctrl-C is heard at once, and leaves behind at most an object that is under way in each thread.
    """
    pieces = tuple(work)
    todo = iter(pieces)
    lock, stop = threading.Lock(), threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        for piece in _shared(todo, lock):
            if stop.is_set():
                return
            try:
                do(piece)
            except BaseException as error:  # noqa: BLE001 - raised again below, in the one thread that is waited in
                with lock:
                    errors.append(error)
                stop.set()

    # Not a pool: its threads would hold up the end of the program while they try again, or wait
    # for a bucket that is silent.
    running = [
        threading.Thread(target=run, name=f"bucket-{number}", daemon=True)
        for number in range(min(threads, len(pieces)))
    ]
    for thread in running:
        thread.start()
    try:
        for thread in running:
            while thread.is_alive():
                thread.join(_GLANCE)
    except BaseException:
        stop.set()
        for thread in running:
            thread.join(_LAST / len(running))
        raise
    if errors:
        raise errors[0]


def _shared(todo: Iterator[_T], lock: threading.Lock) -> Iterator[_T]:
    while True:
        with lock:
            try:
                piece = next(todo)
            except StopIteration:
                return
        yield piece
