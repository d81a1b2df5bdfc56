"""Who is asking: one of three ways, chosen by name when the server starts.

local   a start token, good once, is exchanged for a cookie that no other site can send
iap     the header that Google's Identity-Aware Proxy signs
google  an ID token of Google's in `Authorization: Bearer …`
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Protocol

from jmreport.actions.forms import Person
from jmreport.identities import Identities, UnprovenError

IAP_HEADER = "x-goog-iap-jwt-assertion"


class Readers(Protocol):
    """How a mode knows its readers. `headers` have names in small letters."""

    def person(self, headers: Mapping[str, str]) -> Person:
        """Who sent these headers. Raises UnprovenError."""

    def start(self, token: str) -> str:
        """A cookie for a start token that is good; "" for any other."""


class Local:
    """One reader: whoever can read the line that the server printed when it started."""

    def __init__(self, who: str) -> None:
        self._who = who
        self.token = secrets.token_urlsafe(32)
        self._good: str | None = self.token
        self._session = secrets.token_urlsafe(32)
        self.cookie = f"jmreport-{secrets.token_hex(4)}"

    def person(self, headers: Mapping[str, str]) -> Person:
        # Any program of this host sets cookies for all its ports, in whatever form it likes.
        pairs = (pair.partition("=") for pair in headers.get("cookie", "").split(";"))
        sent = [value.strip() for name, _, value in pairs if name.strip() == self.cookie]
        if not any(_same(value, self._session) for value in sent):
            raise UnprovenError("no cookie of this server came along")
        return Person(self._who, session=self._session)

    def start(self, token: str) -> str:
        good = self._good
        if good is None or not _same(token, good):
            return ""
        self._good = None
        return f"{self.cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"


class Proven:
    """Readers whose token somebody else has signed."""

    def __init__(self, identities: Identities, take: Callable[[Mapping[str, str]], str]) -> None:
        self._identities, self._take = identities, take

    def person(self, headers: Mapping[str, str]) -> Person:
        token = self._take(headers)
        if not token:
            raise UnprovenError("no token came along")
        return Person(self._identities.email(token))

    def start(self, token: str) -> str:  # noqa: ARG002 - there is none to be good
        return ""


def of_iap(headers: Mapping[str, str]) -> str:
    """The token that IAP adds. What it says in plain headers proves nothing."""
    return headers.get(IAP_HEADER, "")


def of_bearer(headers: Mapping[str, str]) -> str:
    """The token of an Authorization header."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
