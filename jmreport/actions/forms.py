"""Forms that only this server made, for one person, one action and these jobs; each counts once.

A form carries its key (the Idempotency-Key) and a mark over all that it is for. Whoever sends a key
again is told what came of it, and nothing is sent again.
"""

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from msgspec import Struct

from jmreport.deeds import Action, Told

#: Seconds that a form is good for.
GOOD_FOR = 3600.0
#: Outcomes that are remembered.
MOST_KEPT = 5_000
_KEY_LENGTH = 32


class Person(Struct, frozen=True):
    """Who is asking, as an address or a name; `session` tells two browsers of one person apart."""

    who: str
    session: str = ""


class Forms:
    """The forms of one run of the server. Thread-safe; others' forms are as good as forged."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._secret = secrets.token_bytes(32)
        self._clock = clock
        self._lock = threading.Lock()
        #: When each key came; kept for as long as its form is good.
        self._keys: OrderedDict[str, float] = OrderedDict()
        self._told: OrderedDict[str, Told] = OrderedDict()

    def new(self, person: Person, action: Action, jobs: Sequence[str]) -> tuple[str, str]:
        """A mark and a key for a form."""
        key = secrets.token_urlsafe(24)
        at = int(self._clock())
        return f"{at}.{self._mark(at, key, person, action, jobs)}", key

    def digest(self, text: str) -> str:
        """What stands for a text in a form: equal for equal texts, and telling nothing of them."""
        whole = text.encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, b"text\0" + whole, hashlib.sha256).hexdigest()

    def why_not(
        self, csrf: str, key: str, person: Person, action: Action, jobs: Sequence[str]
    ) -> str:
        """Why a form that came back is not one of ours; "" where it is."""
        if len(key) != _KEY_LENGTH or len(csrf) > 200:
            return "the form's mark or key is missing"
        at, _, mark = csrf.partition(".")
        if not (at.isascii() and at.isdigit() and len(at) < 12):
            return "the form's mark is not one of ours"
        whole = self._mark(int(at), key, person, action, jobs)
        if not hmac.compare_digest(whole.encode(), mark.encode("utf-8", "replace")):
            return "the form's mark is not of this form, these jobs and this person"
        if not 0 <= self._clock() - int(at) <= GOOD_FOR:
            return "the form is more than an hour old"
        return ""

    def begin(self, key: str) -> bool:
        """Whether a key comes for the first time; from then on it never does again."""
        now = self._clock()
        with self._lock:
            while self._keys and next(iter(self._keys.values())) < now - 2 * GOOD_FOR:
                self._keys.popitem(last=False)
            if key in self._keys:
                return False
            self._keys[key] = now
            return True

    def end(self, key: str, told: Told) -> None:
        """Remember what came of a form, so far."""
        with self._lock:
            self._told[key] = told
            self._told.move_to_end(key)
            while len(self._told) > MOST_KEPT:
                self._told.popitem(last=False)

    def told(self, key: str, person: Person) -> Told | None:
        """What came of a form of this person; None where there is nothing to tell."""
        with self._lock:
            told = self._told.get(key)
        return told if told is not None and told.who == person.who else None

    def _mark(self, at: int, key: str, person: Person, action: Action, jobs: Sequence[str]) -> str:
        whole = json.dumps([at, key, person.who, person.session, action, *jobs]).encode()
        return hmac.new(self._secret, whole, hashlib.sha256).hexdigest()


class Rate:
    """How many jobs a person may act on in a minute. Thread-safe."""

    def __init__(self, a_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(a_minute)
        self._clock = clock
        self._lock = threading.Lock()
        self._room: dict[str, tuple[float, float]] = {}

    def wait(self, who: str, jobs: int) -> float:
        """Seconds until so many jobs may be acted on; 0 takes them now.

        A form of more jobs than a minute allows is let through once nothing else was done.
        """
        with self._lock:
            now = self._clock()
            room, at = self._room.get(who, (self._most, now))
            room = min(self._most, room + (now - at) * self._most / 60)
            needed = min(float(jobs), self._most)
            if room < needed:
                self._room[who] = (room, now)
                return (needed - room) * 60 / self._most
            self._room[who] = (room - jobs, now)
            return 0.0
