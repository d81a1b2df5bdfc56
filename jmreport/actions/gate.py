"""The gate before every page: whatever is not plainly a request of ours is turned away here.

Nothing behind it, and no Job Manager, hears of what it turns away.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

#: Bytes of a form, and of an address with its query.
LARGEST_FORM = 256 * 1024
LONGEST_TARGET = 32 * 1024
FORM = "application/x-www-form-urlencoded"
_SITE_METHODS = ("GET", "HEAD")
_ACTION_METHODS = ("GET", "HEAD", "POST")
#: Every address of ours: no escapes, no dots but within names, nothing a file system could misread.
_PATH = re.compile(r"/(?:[A-Za-z0-9][A-Za-z0-9._-]*/?)*")
#: What a browser may load from another site: a page in a tab of its own.
_DOCUMENT = ("document", "")
#: What is loaded for a page of ours.
_PARTS = ("document", "image", "style", "script", "")
#: Pages that take forms.
FORM_PAGES = ("/actions/abort", "/actions/labels")
HEALTH = "/healthz"


class Refusal(Exception):  # noqa: N818 - an answer, not an error of this program
    """A request that is turned away: the status, and why in words for a log."""

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why = status, why
        self.headers = dict(headers or {})


class Gate(Struct, frozen=True, kw_only=True):
    """The hosts by which we are reached, and the one origin that forms come from."""

    hosts: tuple[str, ...]
    origins: tuple[str, ...]

    def check(
        self,
        method: str,
        raw_path: bytes,
        query: bytes,
        headers: Sequence[tuple[bytes, bytes]],
    ) -> None:
        """Raises Refusal for a request that is not plainly one of ours."""
        path = raw_path.decode("ascii", "replace")
        if len(raw_path) + len(query) > LONGEST_TARGET:
            raise Refusal(414, "the address is too long")
        if not _PATH.fullmatch(path) or ".." in path or "//" in path:
            raise Refusal(400, "the address is not one of ours")
        found = _once(headers)
        # A health check comes from whoever routes to us, under any name, and learns nothing.
        if path == HEALTH and method in _SITE_METHODS:
            return
        if found.get("host", "").lower() not in self.hosts:
            raise Refusal(421, "the Host is not ours")
        allowed = _ACTION_METHODS if path in FORM_PAGES else _SITE_METHODS
        if method not in allowed:
            raise Refusal(405, f"{method[:20]} is not allowed here", {"Allow": ", ".join(allowed)})
        if method == "POST":
            self._form(found)
        else:
            _page(path, found)

    def _form(self, headers: Mapping[str, str]) -> None:
        """A form that our own page sent, from its own window."""
        origin = headers.get("origin")
        if origin is None:
            raise Refusal(403, "no Origin came along")
        if origin.lower() not in self.origins:
            raise Refusal(403, "the Origin is not ours")
        if urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
            raise Refusal(403, "the Origin is not that of the Host")
        _fetched(headers, sites=("same-origin",), modes=("navigate",), dests=("document",))
        media = [part.strip().lower() for part in headers.get("content-type", "").split(";")]
        if media[0] != FORM or any(part != "charset=utf-8" for part in media[1:]):
            raise Refusal(415, "the body is not a form's")
        if "transfer-encoding" in headers:
            raise Refusal(411, "the body's length is not told")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refusal(415, "the body is packed")
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 10):
            raise Refusal(411, "the body's length is not told")
        if int(length) > LARGEST_FORM:
            raise Refusal(413, "the body is too large")


def _page(path: str, headers: Mapping[str, str]) -> None:
    """A page that is looked at, or a part of one of ours; never one inside another's frame."""
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise Refusal(400, "a page is asked for with a body")
    origin = headers.get("origin")
    if origin is not None and headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Refusal(403, "a script of another site asks")
    own = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    if own and not path.startswith("/actions"):
        _fetched(headers, sites=(), modes=(), dests=_PARTS)
    else:
        _fetched(headers, sites=(), modes=("navigate",), dests=_DOCUMENT)


def _fetched(
    headers: Mapping[str, str],
    *,
    sites: tuple[str, ...],
    modes: tuple[str, ...],
    dests: tuple[str, ...],
) -> None:
    """What the browser says of where a request comes from and what it is for, if it says so."""
    for name, good in (
        ("sec-fetch-site", sites),
        ("sec-fetch-mode", modes),
        ("sec-fetch-dest", dests),
    ):
        sent = headers.get(name)
        if sent is not None and good and sent.lower() not in good:
            raise Refusal(403, f"{name} is {sent[:20]!r}")


def _once(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name in small letters; one that decides must not come twice."""
    found: dict[str, str] = {}
    for raw, value in headers:
        name = raw.decode("ascii", "replace").lower()
        if name in found and name in _DECIDING:
            raise Refusal(400, f"the header {name} comes twice")
        found[name] = value.decode("latin-1")
    return found


_DECIDING = frozenset(
    (
        "host", "origin", "content-type", "content-length", "content-encoding", "authorization",
        "cookie", "x-goog-iap-jwt-assertion", "sec-fetch-site", "sec-fetch-mode",
        "sec-fetch-dest", "idempotency-key", "transfer-encoding",
    )
)  # fmt: skip


def plain_headers(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers of a request that has passed, by name in small letters."""
    return _once(headers)
