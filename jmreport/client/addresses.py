"""Where an operation of the API lies on a server.

Ids, tasks and file names are a server's own text: whatever they hold, they stay one segment of the
path or one value of the query, and choose neither another operation nor another host.
"""

import base64
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from msgspec import Struct

from jmreport.errors import UnreadableError, UsageError
from jmreport.records import API_PREFIX

_HINT = "write it like https://jobs.example.org or https://jobs.example.org/api/v1"


class Address(Struct, frozen=True, kw_only=True):
    """A server's address: `base` without a trailing slash, and what a user:password in it means.

    `basic` is the value of an Authorization header, "" where the address names no user; it is a
    secret, so `base` (which is shown) never holds it.
    """

    base: str
    basic: str = ""

    @property
    def candidates(self) -> tuple[str, ...]:
        """Where the API may lie: at the address as given, and below /api/v1."""
        if self.base.endswith(API_PREFIX):
            return (self.base,)
        return (self.base, self.base + API_PREFIX)


def read(url: str | None) -> Address:
    """The address that `[api] url` or --api-url names; a UsageError where it names none."""
    if not url:
        raise UsageError(
            "no Job Manager is named",
            hint="give --api-url URL, or [api] url in jmreport.toml, or --demo",
        )
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"api.url is not an address: {error}", hint=_HINT) from error
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"api.url: {_shown(url)!r} is not an http address", hint=_HINT)
    if parts.query or parts.fragment:
        raise UsageError("api.url has a ? or # part, which is no address of an API", hint=_HINT)
    host = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    return Address(
        base=origin + parts.path.rstrip("/"), basic=_basic(parts.username, parts.password)
    )


def target(*segments: str, **query: str) -> str:
    """The path below the base, and its query: every part encoded whole.

    >>> target("jobs", "p+j/t", "abort")
    '/jobs/p%2Bj%2Ft/abort'
    >>> target("jobs", "tailFile", bucket="b", object="a b&c")
    '/jobs/tailFile?bucket=b&object=a%20b%26c'
    >>> target("jobs", "..")
    '/jobs/%2E%2E'
    """
    path = "".join("/" + _segment(segment) for segment in segments)
    pairs = "&".join(f"{key}={_encoded(value)}" for key, value in query.items())
    return f"{path}?{pairs}" if pairs else path


def _segment(text: str) -> str:
    if not text:
        raise UnreadableError("its name is empty, so no address can name it")
    encoded = _encoded(text)
    # Left as they are, dots alone would be resolved away: /jobs/../abort is another operation.
    return encoded if text.strip(".") else encoded.replace(".", "%2E")


def _encoded(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


def _basic(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _shown(url: str) -> str:
    """An address for an error's text: nothing before an @, where a password may stand."""
    return url.rpartition("@")[2][:200]


def proxy_for(url: str) -> str:
    """The variable that names the proxy by which an address is asked; "" where none does."""
    parts = urlsplit(url)
    named = getproxies()
    if proxy_bypass(parts.hostname or ""):
        return ""
    return next((f"{each.upper()}_PROXY" for each in (parts.scheme, "all") if named.get(each)), "")
