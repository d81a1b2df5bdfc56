"""What is asked again, after how long, and how many requests a second there may be."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from jmreport.client.answers import Trouble
from jmreport.errors import UnreadableError

T = TypeVar("T")
#: Why nothing more is asked once a session is closed.
STOPPED = "the run was stopped"


class Patience(Struct, frozen=True, kw_only=True):
    """How long a session waits, in seconds, and how much it takes in, in bytes."""

    #: Before the second try; doubled before each further one, with up to as much again by chance.
    first_wait: float = 0.5
    longest_wait: float = 30.0
    #: A server's own Retry-After is honoured up to this.
    longest_retry_after: float = 120.0
    #: A timeout is for silence; an answer that drips has this many timeouts to be whole.
    drip: float = 5.0
    largest_body: int = 512 * 1024 * 1024
    #: A server silent for this long, and for so many requests in a row, is asked only now and then.
    outage: float = 120.0
    outage_requests: int = 8
    outage_look: float = 30.0


class Pace:
    """At most `rate` requests a second, evenly spaced, whichever threads they come from."""

    def __init__(self, rate: float, stopping: threading.Event) -> None:
        self._gap = 1 / rate if rate > 0 else 0.0
        self._stopping = stopping
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when it is this request's turn; UnreadableError when the run is stopped."""
        if self._gap:
            with self._lock:
                now = time.monotonic()
                turn = max(now, self._next)
                self._next = turn + self._gap
            self._stopping.wait(turn - now)
        if self._stopping.is_set():
            raise UnreadableError(STOPPED)


class Outage:
    """Whether the server has stopped answering, so that ten thousand jobs don't wait for it each.

    Any answer at all ends an outage; one request in a while is let through to find out.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._silent = 0
        self._heard = self._looked = time.monotonic()

    def check(self) -> None:
        """Return when the request may be sent; a Trouble during an outage."""
        now, patience = time.monotonic(), self._patience
        with self._lock:
            if self._silent < patience.outage_requests or now - self._heard < patience.outage:
                return
            if now - self._looked >= patience.outage_look:
                self._looked = now
                return
        raise Trouble("the server has stopped answering")

    def heard(self) -> None:
        """An answer came, whatever it was."""
        with self._lock:
            self._silent = 0
            self._heard = time.monotonic()

    def unheard(self) -> None:
        """A request brought no answer."""
        with self._lock:
            self._silent += 1
            self._looked = time.monotonic()


def persist(
    attempt: Callable[[], T], *, tries: int, patience: Patience, stopping: threading.Event
) -> T:
    """What `attempt` returns, tried again after a Trouble that may pass; else the last Trouble.

    A wait ends at once when the run is stopped.
    """
    import tenacity

    backoff = tenacity.wait_exponential_jitter(
        multiplier=patience.first_wait, max=patience.longest_wait, jitter=patience.first_wait
    )

    def wait(state: tenacity.RetryCallState) -> float:
        after = _trouble(state).after or 0.0
        return max(min(after, patience.longest_retry_after), backoff(state))

    retrying = tenacity.Retrying(
        retry=_MayPass(),
        wait=wait,
        stop=tenacity.stop_any(
            tenacity.stop_after_attempt(max(tries, 1)), tenacity.stop_when_event_set(stopping)
        ),
        sleep=tenacity.sleep_using_event(stopping),
        reraise=True,
    )
    return retrying(attempt)


class _MayPass:
    """Whether a Trouble may pass; a kind that is tried once more is so once in all."""

    def __init__(self) -> None:
        self._once = True

    def __call__(self, state: object) -> bool:
        trouble = _trouble(state)
        if trouble.again == "once":
            once, self._once = self._once, False
            return once
        return trouble.again == "as often as allowed"


def _trouble(state: object) -> Trouble:
    """What went wrong; anything that is no Trouble will not pass."""
    outcome = getattr(state, "outcome", None)
    found = outcome.exception() if outcome is not None else None
    return found if isinstance(found, Trouble) else Trouble("")
