"""What a server sends, refuses with, and remembers of what was asked."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from threading import Lock
from typing import Any
from urllib.parse import parse_qs

from msgspec import Struct

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""

LAST = 500
"""How many requests are remembered whole."""

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    412: "Precondition Failed",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}

#: What both real servers say whenever their own code stumbles, be it over an outage or over what
#: the client sent (backends habit 17).
STUMBLED = (
    "The server encountered an internal error and was unable to complete your request. Either the "
    "server is overloaded or there is an error in the application."
)


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of this program
    """An answer other than success, raised from wherever it becomes clear."""

    def __init__(self, status: int, detail: str = STUMBLED) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail

    @property
    def problem(self) -> dict[str, Any]:
        """The body in the form of `application/problem+json`."""
        return {
            "type": "about:blank",
            "title": _TITLES.get(self.status, "Error"),
            "detail": self.detail,
            "status": self.status,
        }


class Request(Struct, frozen=True, kw_only=True):
    """A request that arrived, and the status that it was answered with.

    `operation` is the API's operationId, such as `GetJob`, or `""` for a path that the API lacks.
    """

    operation: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    status: int


class Call(Struct, frozen=True, kw_only=True):
    """One request for one operation, at one moment."""

    params: Mapping[str, str]
    query: str
    headers: Mapping[str, str]
    body: bytes
    now: int
    healthy: bool

    def argument(self, name: str) -> str | None:
        """A query parameter, or None."""
        found = parse_qs(self.query, keep_blank_values=True).get(name)
        return found[0] if found else None


class Requests:
    """What arrived at a server: a count for each operation, and the last requests whole."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self._last: deque[Request] = deque(maxlen=LAST)

    def add(self, request: Request) -> None:
        """Takes note of a request."""
        with self._lock:
            self._counts[request.operation] += 1
            self._last.append(request)

    def count(self, operation: str) -> int:
        """How often an operation was asked for, by its operationId."""
        return self._counts[operation]

    @property
    def counts(self) -> dict[str, int]:
        """How often each operation was asked for."""
        with self._lock:
            return dict(self._counts)

    @property
    def total(self) -> int:
        """How many requests arrived."""
        with self._lock:
            return sum(self._counts.values())

    @property
    def last(self) -> tuple[Request, ...]:
        """The last requests, oldest first."""
        with self._lock:
            return tuple(self._last)

    def clear(self) -> None:
        """Forgets all that arrived."""
        with self._lock:
            self._counts.clear()
            self._last.clear()
