"""The headers every request carries, and the secrets among them.

Both shims read `Authentication: Bearer …`; a proxy in front reads `Authorization`. So a token goes
into both, and headers from the settings come last and win.
"""

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec.structs import replace

from jmreport import __version__
from jmreport.client.answers import Answer, Trouble
from jmreport.errors import UnreadableError, UsageError

HOW_TO_SIGN_IN = (
    "give a token in JMREPORT_API_TOKEN, by [api] token_file, or by [api] google_auth = true"
)
#: Names and values of headers as HTTP allows them.
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")
#: Shorter values of headers say too little to be secrets, and would blank whole texts.
_SHORTEST_SECRET = 6
#: Seconds between renewals: ten thousand jobs that are refused would each ask for one.
_BETWEEN = 5.0
#: So many tokens that took another's place are remembered; older ones have long expired.
_KEPT = 100
_GONE = "[taken out]"
#: What no JSON writes in another way than it is.
_PLAIN = re.compile("[A-Za-z0-9]+")
#: One request to whoever gives tokens: method, URL, headers, body and timeout to the answer.
Send = Callable[
    [str, str, Mapping[str, str], bytes | None, float], tuple[int, dict[str, str], bytes]
]
#: Waits for so many seconds, or until there is nothing more to wait for.
Wait = Callable[[float], object]


class Credentials(Protocol):
    """Where a bearer token comes from."""

    @property
    def scopes(self) -> tuple[str, ...]: ...

    @property
    def held(self) -> str: ...

    def token(self, send: Send, /) -> str: ...

    def renew(self, send: Send, wait: Wait, /) -> bool: ...


class Authority:
    """What this session says it is. Thread-safe."""

    def __init__(
        self, headers: Mapping[str, str], *, basic: str, credentials: Credentials | None
    ) -> None:
        self._own = {"accept": "application/json", "accept-encoding": "gzip"}
        self._own["user-agent"] = f"jmreport/{__version__}"
        if basic:
            self._own["authorization"] = basic
        self._extra = _checked(headers)
        self._basic = basic
        self._credentials = credentials
        self._renewing = threading.Lock()
        #: The token that was sent first, and the last ones of those that took its place.
        self._first = ""
        self._later: deque[str] = deque(maxlen=_KEPT)
        self._entering = threading.Lock()
        #: Until then no token is renewed, as `time.monotonic` tells it.
        self._not_before = 0.0

    def token(self, send: Send) -> str:
        """The token to send, "" where none is configured; a Trouble when none is to be had."""
        if self._credentials is None:
            return ""
        try:
            return self._credentials.token(send)
        except UnreadableError as error:
            raise Trouble(error.message, again="as often as allowed") from error

    def headers(self, token: str, *, json: bool) -> dict[str, str]:
        """All headers of a request that is sent; `json` says that it has a JSON body."""
        with self._entering:
            if token and token != self._first and token not in self._later:
                if self._first:
                    self._later.append(token)
                else:
                    self._first = token
        return self._headers(token, json=json)

    def _headers(self, token: str, *, json: bool) -> dict[str, str]:
        headers = dict(self._own)
        if json:
            headers["content-type"] = "application/json"
        if token:
            headers["authentication"] = f"Bearer {token}"
            headers.setdefault("authorization", f"Bearer {token}")
        return headers | self._extra

    def renewed(self, token: str, send: Send, wait: Wait) -> bool:
        """Whether there is another token than this refused one.

        It is looked for every few seconds at most, and as long as any is refused: whoever writes
        tokens may be late.
        """
        if self._credentials is None or not token:
            return False
        with self._renewing:
            if self.token(send) != token:
                return True
            if time.monotonic() < self._not_before:
                return False
            try:
                return self._credentials.renew(send, wait) and self.token(send) != token
            except UnreadableError:
                return False
            finally:
                self._not_before = time.monotonic() + _BETWEEN

    def clean(self, answer: Answer, token: str) -> Answer:
        """An answer without the secrets that were sent, should the server repeat them.

        One that succeeded keeps those that are known when a run begins: they are taken out of all
        that is written. Of tokens that came later nobody else knows.
        """
        if 200 <= answer.status < 300 and not self._later:
            return answer
        with self._entering:
            later = tuple(self._later)
        secrets = [each for each in later if len(each) >= _SHORTEST_SECRET]
        if not 200 <= answer.status < 300:
            secrets += self._secrets(token)
        body, headers = answer.body, answer.headers
        for secret in sorted(secrets, key=len, reverse=True):
            body = _without(secret, body)
            headers = {name: value.replace(secret, _GONE) for name, value in headers.items()}
        return replace(answer, body=body, headers=headers)

    def sent(self) -> str:
        """Which headers told the server who asks, in words: "Authentication and Authorization"."""
        carried = self._headers("token" if self._credentials else "", json=False)
        names = [n.title() for n in ("authentication", "authorization", "cookie") if n in carried]
        names += sorted(name.title() for name in self._extra if name.title() not in names)
        return " and ".join(names)

    def scopes(self) -> tuple[str, ...]:
        """What Google's token was asked for; nothing of any other token."""
        return self._credentials.scopes if self._credentials else ()

    def _secrets(self, token: str) -> list[str]:
        values = [token, self._basic, *self._extra.values()]
        values += [value.partition(" ")[2] for value in values]
        return [value for value in values if len(value) >= _SHORTEST_SECRET]


def _without(secret: str, body: bytes) -> bytes:
    """A body without a secret, written as it is or as JSON may have it."""
    longest = max(_PLAIN.findall(secret), key=len, default="")
    # Nearly always that is all.
    if longest.encode() not in body:
        return body
    return re.sub(_as_json(secret), _GONE.encode(), body)


def _as_json(secret: str) -> bytes:
    """A pattern for a text, some characters of which may be escaped.

    >>> re.fullmatch(_as_json("a/b="), rb"a\\/b\\u003D") is not None
    True
    """
    parts = (
        each if _PLAIN.fullmatch(each) else rf"(?:\\?{re.escape(each)}|\\u00(?i:{ord(each):02x}))"
        for each in secret
    )
    return "".join(parts).encode()


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers from the settings, names in lower case; a UsageError for what HTTP cannot carry."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise UsageError(f"api.headers: {name!r} is not a header's name")
        if not _VALUE.fullmatch(value):
            raise UsageError(
                f"api.headers.{name}: its value holds a character that no header may",
                hint="headers are one line of ASCII",
            )
    return {name.lower(): value for name, value in headers.items()}
