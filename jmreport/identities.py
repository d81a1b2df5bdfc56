"""Who a reader is, by a token that Google signed: that of IAP, or an ID token.

    iap     x-goog-iap-jwt-assertion   ES256, issued by https://cloud.google.com/iap
    google  Authorization: Bearer …    RS256, issued by accounts.google.com, a verified address

google-auth checks signature, time and audience; the rest is checked here, before and after. Keys
are fetched by a callable that is handed in, and kept as long as their server says. No token and no
part of one is in any message.
"""

import hashlib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from jmreport.credentials import Send
from jmreport.errors import UnreadableError

#: Seconds: how far clocks may differ, how long keys are kept at least and at most, how often they
#: are asked for because a token names one that is not there, and how long a verdict is remembered.
SKEW = 10
_KEPT = (60.0, 86_400.0)
_AGAIN = 30.0
_REMEMBERED = 30.0
_MOST_REMEMBERED = 2_000
_LONGEST_TOKEN = 8_000
_TIMEOUT = 10.0
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_EMAIL = re.compile(r"[^\s@]{1,128}@[^\s@]{1,190}")


class Kind(Struct, frozen=True):
    """What one issuer's tokens look like."""

    algorithm: str
    issuers: tuple[str, ...]
    keys_url: str
    verified: bool


KINDS = {
    "iap": Kind(
        "ES256",
        ("https://cloud.google.com/iap",),
        "https://www.gstatic.com/iap/verify/public_key",
        False,
    ),
    "google": Kind(
        "RS256",
        ("accounts.google.com", "https://accounts.google.com"),
        "https://www.googleapis.com/oauth2/v1/certs",
        True,
    ),
}


class UnprovenError(Exception):
    """A token that proves nothing: `why` in words for a log, without any part of it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Identities:
    """Whose tokens these are. Thread-safe."""

    def __init__(
        self,
        kind: str,
        *,
        audience: str,
        send: Send,
        keys_url: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kind = KINDS[kind]
        self._audience = audience
        self._clock = clock
        self._keys = _Keys(keys_url or self._kind.keys_url, send, clock)
        self._known: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def email(self, token: str) -> str:
        """The address a token proves, in small letters. Raises UnprovenError."""
        if len(token) > _LONGEST_TOKEN or not _TOKEN.fullmatch(token):
            raise UnprovenError("it is not a token")
        mark = hashlib.sha256(token.encode()).digest()
        now = self._clock()
        with self._lock:
            until, found = self._known.get(mark, (0.0, ""))
        if now < until:
            return found
        found = self._read(token)
        with self._lock:
            self._known[mark] = (now + _REMEMBERED, found)
            while len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return found

    def _read(self, token: str) -> str:
        claims = self._verified(token)
        if claims.get("iss") not in self._kind.issuers:
            raise UnprovenError("somebody else issued the token")
        if claims.get("aud") != self._audience:
            raise UnprovenError("the token is for another audience")
        email = claims.get("email")
        if not isinstance(email, str) or not _EMAIL.fullmatch(email):
            raise UnprovenError("the token names no address")
        if self._kind.verified and claims.get("email_verified") is not True:
            raise UnprovenError("the token's address is not verified")
        return email.lower()

    def _verified(self, token: str) -> Mapping[str, Any]:
        from google.auth import jwt
        from google.auth.exceptions import GoogleAuthError

        try:
            header = jwt.decode_header(token)  # type: ignore[no-untyped-call] # google-auth's
            if header.get("alg") != self._kind.algorithm:
                # Not left to the token: it could name one by which our public key is a password.
                raise UnprovenError(f"the token is not signed by {self._kind.algorithm}")
            name = header.get("kid")
            if not isinstance(name, str):
                raise UnprovenError("the token names no key")
            claims: Mapping[str, Any] = jwt.decode(  # type: ignore[no-untyped-call] # as above
                token,
                certs=self._keys.named(name),
                audience=self._audience,
                clock_skew_in_seconds=SKEW,
            )
        except (GoogleAuthError, ValueError, TypeError, KeyError, OverflowError) as error:
            # Their messages may hold the token.
            raise UnprovenError(_why(error)) from None
        expires = claims.get("exp")
        if isinstance(expires, bool) or not isinstance(expires, int | float):
            raise UnprovenError("the token never expires")
        return claims


def _why(error: Exception) -> str:
    """Which of the checks a token failed, by the beginning of google-auth's message."""
    text = str(error.args[0]) if error.args else ""
    for begin, why in (
        ("Token expired", "the token has expired"),
        ("Token used too early", "the token is not valid yet"),
        ("Token has wrong audience", "the token is for another audience"),
        ("Could not verify", "the token's signature is wrong"),
        ("Certificate for key id", "the token names a key that nobody knows"),
    ):
        if text.startswith(begin):
            return why
    return "it is not a token that can be read"


class _Keys:
    """The issuer's public keys by their names, fetched again when they are old or one is new."""

    def __init__(self, url: str, send: Send, clock: Callable[[], float]) -> None:
        self._url, self._send, self._clock = url, send, clock
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}
        self._until = self._asked = float("-inf")

    def named(self, name: str) -> dict[str, str]:
        """The key of this name, as google-auth takes it. Raises UnprovenError where none is had."""
        with self._lock:
            now = self._clock()
            lacking = now >= self._until or name not in self._held
            if lacking and now - self._asked >= _AGAIN:
                self._asked = now
                self._fetch(now)
            if not self._held or now >= self._until + _KEPT[1]:
                raise UnprovenError("the keys of the issuer cannot be had")
            if name not in self._held:
                raise UnprovenError("the token names a key that nobody knows")
            return {name: self._held[name]}

    def _fetch(self, now: float) -> None:
        """New keys where they can be had; else the old ones go on for a while."""
        try:
            status, headers, body = self._send("GET", self._url, {}, None, _TIMEOUT)
            if status != 200:
                return
            self._held = msgspec.json.decode(body, type=dict[str, str])
        except (UnreadableError, msgspec.MsgspecError, UnicodeDecodeError):
            return
        self._until = now + _age(headers)


def _age(headers: Mapping[str, str]) -> float:
    """How long an answer may be kept, in seconds, by its Cache-Control."""
    lower = {name.lower(): value for name, value in headers.items()}
    found = re.search(r"max-age=(\d{1,9})", lower.get("cache-control", ""))
    least, most = _KEPT
    return min(max(float(found[1]) if found else 3_600.0, least), most)
