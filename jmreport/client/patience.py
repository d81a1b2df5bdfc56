"""What is asked again, after how long, and how many requests a second there may be."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from jmreport.client.answers import Trouble
from jmreport.errors import UnreadableError
from jmreport.gaps import SILENT, TIME_UP

T = TypeVar("T")
#: Why nothing more is asked once a session is closed.
STOPPED = "the run was stopped"


class Patience(Struct, frozen=True, kw_only=True):
    """How long a session waits, in seconds, and how much it takes in, in bytes."""

    #: Before the second try; doubled before each further one, with up to as much again by chance.
    first_wait: float = 0.5
    longest_wait: float = 30.0
    #: A server's own Retry-After is honoured up to this, over all tries of one request.
    longest_retry_after: float = 120.0
    #: A timeout is for silence; an answer that drips has this many timeouts to be whole.
    drip: float = 5.0
    largest_body: int = 512 * 1024 * 1024
    #: A server silent for this long, and for so many requests in a row, is asked only now and then.
    outage: float = 120.0
    outage_requests: int = 8
    outage_look: float = 30.0


class Deadline:
    """The end of the time that a session was given, as `time.monotonic` tells it; None is no end.

    What is not asked by then is not asked at all. What is under way then has `GRACE` more seconds.
    """

    GRACE = 15.0

    def __init__(self, until: float | None) -> None:
        self._until = float("inf") if until is None else until

    def check(self) -> None:
        """Return when a request may still be sent; else a Trouble that never passes."""
        if time.monotonic() >= self._until:
            raise Trouble(TIME_UP)

    def within(self, seconds: float) -> float:
        """As much of so many seconds as there is left, with the grace."""
        return max(0.0, min(seconds, self._until + self.GRACE - time.monotonic()))

    def before(self, seconds: float) -> float:
        """As much of a wait of so many seconds as ends with the time."""
        return max(0.0, min(seconds, self._until - time.monotonic()))


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
        self._why = SILENT
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
        raise Trouble(self._why)

    def heard(self) -> None:
        """An answer came, whatever it was."""
        with self._lock:
            self._silent = 0
            self._heard = time.monotonic()

    def unheard(self, why: str = SILENT) -> None:
        """A request brought no answer, or one that puts it off for longer than anybody waits."""
        with self._lock:
            self._why = why
            self._silent += 1
            self._looked = time.monotonic()


def persist(
    attempt: Callable[[], T],
    *,
    tries: int,
    patience: Patience,
    stopping: threading.Event,
    deadline: Deadline,
) -> T:
    """What `attempt` returns, tried again after a Trouble that may pass; else the last Trouble.

    A wait ends at once when the run is stopped, and when its time is up.
    """
    try:
        # Nearly always this is all: what repeats it is made only once there is something to repeat.
        return attempt()
    except Trouble as trouble:
        if trouble.again == "never":
            raise
        first = trouble

    import tenacity

    backoff = tenacity.wait_exponential_jitter(
        multiplier=patience.first_wait, max=patience.longest_wait, jitter=patience.first_wait
    )
    allowance = _Allowance(patience.longest_retry_after)

    def wait(state: tenacity.RetryCallState) -> float:
        return deadline.before(max(allowance.take(_trouble(state).after or 0.0), backoff(state)))

    retrying = tenacity.Retrying(
        retry=_MayPass(allowance),
        wait=wait,
        stop=tenacity.stop_any(
            tenacity.stop_after_attempt(max(tries, 1)), tenacity.stop_when_event_set(stopping)
        ),
        sleep=tenacity.sleep_using_event(stopping),
        reraise=True,
    )
    troubles = [first]

    def again() -> T:
        """The first try's Trouble, then what further ones bring."""
        if troubles:
            raise troubles.pop()
        return attempt()

    try:
        return retrying(again)
    except Trouble as trouble:
        if allowance.spent and trouble.after:
            raise _put_off(trouble, patience) from trouble
        raise


def _put_off(trouble: Trouble, patience: Patience) -> Trouble:
    """The same, with how long the server asks to wait and how long it was waited for."""
    asked, most = trouble.after or 0.0, patience.longest_retry_after
    said = f"{trouble.short}; it asks to wait {asked:g} s, and {most:g} s are waited at most"
    return Trouble(
        said,
        status=trouble.status,
        after=trouble.after,
        text=trouble.text,
    )


class _Allowance:
    """Seconds that one request may wait because the server asks it to, over all its tries."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    @property
    def spent(self) -> bool:
        """Whether all of it was waited, so that nothing more is granted."""
        return self._left <= 0

    def take(self, asked: float) -> float:
        """As much of what is asked for as there is left."""
        given = min(asked, self._left)
        self._left -= given
        return given


class _MayPass:
    """Whether a Trouble may pass; a kind that is tried once more is so once in all."""

    def __init__(self, allowance: _Allowance) -> None:
        self._once = True
        self._allowance = allowance

    def __call__(self, state: object) -> bool:
        trouble = _trouble(state)
        if trouble.after and self._allowance.spent:
            return False
        if trouble.again == "once":
            once, self._once = self._once, False
            return once
        return trouble.again == "as often as allowed"


def _trouble(state: object) -> Trouble:
    """What went wrong; anything that is no Trouble will not pass."""
    outcome = getattr(state, "outcome", None)
    found = outcome.exception() if outcome is not None else None
    return found if isinstance(found, Trouble) else Trouble("")
