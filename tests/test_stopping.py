"""What is done whole: signals to stop come behind it, and in between as ever."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType

import pytest

from jmreport.snapshots.stopping import STOPPING, Stopping


class Heard:
    """Whoever hears signals before the store does."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.numbers.append(number)


@pytest.fixture
def heard() -> Iterator[Heard]:
    found = Heard()
    before = {number: signal.signal(number, found) for number in STOPPING}
    yield found
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
@pytest.mark.parametrize("begun", [True, False])
def test_a_signal_comes_behind_what_is_done_whole(
    heard: Heard, number: signal.Signals, *, begun: bool
) -> None:
    """However deep it came, and once."""
    stopping = Stopping()
    if begun:
        stopping.begin()
    with stopping.undisturbed():
        with stopping.undisturbed():
            os.kill(os.getpid(), number)
            assert heard.numbers == []
        assert heard.numbers == []
    assert heard.numbers == [number]
    with stopping.undisturbed():
        pass
    stopping.end()
    assert heard.numbers == [number]


def test_a_signal_in_between_is_heard_at_once_by_whoever_heard_it_before(heard: Heard) -> None:
    """Each time: a second Ctrl-C stops what the first one began to end."""
    stopping = Stopping()
    stopping.begin()
    os.kill(os.getpid(), signal.SIGINT)
    assert heard.numbers == [signal.SIGINT]
    os.kill(os.getpid(), signal.SIGTERM)
    stopping.end()
    assert heard.numbers == [signal.SIGINT, signal.SIGTERM]


def test_an_error_of_whoever_hears_it_goes_on_from_where_it_came() -> None:
    """As Python's own KeyboardInterrupt does; what is done next is whole again."""
    stopping = Stopping()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        stopping.begin()
        done: list[int] = []
        for at in range(2):
            with pytest.raises(KeyboardInterrupt):
                _stopped_meanwhile(stopping, partial(done.append, at))
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        stopping.end()
        assert done == [0, 1]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def _stopped_meanwhile(stopping: Stopping, work: Callable[[], None]) -> None:
    with stopping.undisturbed():
        os.kill(os.getpid(), signal.SIGINT)
        work()


@pytest.mark.parametrize("begun", [True, False])
def test_signals_are_heard_as_before_when_it_is_over(heard: Heard, *, begun: bool) -> None:
    stopping = Stopping()
    if begun:
        stopping.begin()
    with stopping.undisturbed():
        pass
    stopping.end()
    assert [signal.getsignal(number) for number in STOPPING] == [heard] * 3


def test_what_is_ignored_stays_ignored(heard: Heard) -> None:
    """By nohup, and for the programs that are started meanwhile."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stopping = Stopping()
    stopping.begin()
    with stopping.undisturbed():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGHUP)
    stopping.end()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert heard.numbers == []


def test_another_thread_is_told_of_no_signal_and_changes_nothing(heard: Heard) -> None:
    stopping = Stopping()

    def work() -> None:
        stopping.begin()
        with stopping.undisturbed():
            assert signal.getsignal(signal.SIGINT) is heard

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    os.kill(os.getpid(), signal.SIGINT)
    assert heard.numbers == [signal.SIGINT]


@pytest.mark.parametrize("where", ["with stopping.undisturbed():", "if True:"])
def test_a_signal_that_nobody_hears_ends_the_program_as_ever(where: str) -> None:
    """But behind what is done whole."""
    program = f"""
import os, signal
from jmreport.snapshots.stopping import Stopping
stopping = Stopping()
stopping.begin()
{where}
    os.kill(os.getpid(), signal.SIGTERM)
    print("whole", flush=True)
print("too late")
"""
    ended = subprocess.run(  # noqa: S603 (our own)
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=False
    )
    assert ended.returncode == -signal.SIGTERM
    assert ended.stdout == ("whole\n" if where.startswith("with") else "")
