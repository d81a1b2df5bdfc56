"""One request over one connection: the only module that makes anything of httpx.

A pool's cost a request grows with its connections, so there is one small transport for each request
under way, handed back when it is done and used again. Requests go to the transport itself, since a
httpx.Client around it costs half as much again for each; only where the environment names a proxy
is there one, which finds the way. Nothing follows a redirect.
"""

import os
import socket
import ssl
import threading
import time
import urllib.request
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from jmreport.client.answers import UNTRUSTED, Answer, Respond, Trouble, plain
from jmreport.client.lean import httpx
from jmreport.client.patience import STOPPED, Deadline, Patience
from jmreport.errors import JmreportError, UnreadableError, UsageError
from jmreport.gaps import CONNECTION, NO_HOST, TIME_UP, UNREACHED

#: How often answers are looked at for having taken too long, in seconds.
_WATCH = 0.5
#: zlib's number for gzip with its header and checksum.
_GZIP = 16 + zlib.MAX_WBITS
#: What each part of a gzip begins with.
_MAGIC = b"\x1f\x8b"
#: Empty parts of a gzip in a row, at most: they would take time without end and never be too large.
_MOST_EMPTY = 1000
#: Words for packed answers. We ask for gzip, once.
_PACKINGS = frozenset(("gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"))
#: Bytes that are unpacked at once: a small answer may hide a large one.
_PIECE = 1024 * 1024
_LIMITS = httpx.Limits(max_connections=1, max_keepalive_connections=1)
#: What every request says unless it says something else.
_HEADERS = {
    "accept": "*/*",
    # Whether an answer is whole can be told of no other packing.
    "accept-encoding": "gzip",
    "connection": "keep-alive",
    "user-agent": f"python-httpx/{httpx.__version__}",
}


class _InProcess(httpx.BaseTransport):
    """A server without a socket; everything else on the way is the same."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        status, headers, body = self._respond(
            request.method,
            request.url.raw_path.decode("ascii"),
            dict(request.headers),
            request.read(),
        )
        # As a stream, so that it is unpacked where every answer is.
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


def _trust() -> ssl.SSLContext:
    """Whom secure connections trust, as the environment says."""
    file = os.environ.get("SSL_CERT_FILE") or ""
    if not file:
        folders = os.environ.get("SSL_CERT_DIR") or ""
        return _trusted(folders, *map(_changed, folders.split(os.pathsep)))
    try:
        return _trusted(file, Path(file).stat().st_mtime_ns)
    except OSError as error:
        why = "no certificate is in it" if isinstance(error, ssl.SSLError) else error.strerror
        # No mistake of whoever asks: a night that fails by it is told of.
        raise JmreportError(
            f"the certificates that SSL_CERT_FILE names cannot be read: {file}: {why}",
            hint="it names a file of trusted certificates; folders of them are for SSL_CERT_DIR",
        ) from error


def _changed(folder: str) -> int:
    """When it changed; 0 for one that is not there, which OpenSSL passes over."""
    try:
        return Path(folder).stat().st_mtime_ns if folder else 0
    except OSError:
        return 0


@lru_cache(maxsize=1)
def _trusted(_place: str, *_changes: int) -> ssl.SSLContext:
    """The same of what lies there since a change. To read it takes longer than one request."""
    return httpx.create_ssl_context()


class _Proxied(httpx.BaseTransport):
    """By the proxies that the environment names, or past them: httpx's own client knows which."""

    def __init__(self, trust: ssl.SSLContext | bool) -> None:
        self._client = httpx.Client(verify=trust, limits=_LIMITS)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._client.send(request, stream=True, follow_redirects=False)

    def close(self) -> None:
        self._client.close()


class _Lane:
    """A connection: its transport, the socket beneath it, and when its answer is overdue.

    Cookies that a server sets are sent back over the same connection: balancers tell by them where
    it led.
    """

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self.transport = transport
        self.cookies = httpx.Cookies()
        self.until = float("inf")
        self.overdue = False
        self._stream: Any = None

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the socket when httpcore has opened one (its documented trace extension)."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._stream = info.get("return_value")

    def cut(self) -> None:
        """Wake whoever waits on the socket. A close from another thread would not."""
        found = self._stream.get_extra_info("socket") if self._stream is not None else None
        if isinstance(found, socket.socket):
            try:
                # Past ssl's own shutdown, which would change an object that is being read.
                socket.socket.shutdown(found, socket.SHUT_RDWR)
            except OSError:
                return  # closed already


class Wire:
    """Sends requests, each over a connection of its own. Thread-safe; `close` ends what waits."""

    def __init__(
        self,
        *,
        respond: Respond | None,
        patience: Patience,
        stopping: threading.Event,
        deadline: Deadline,
    ) -> None:
        self._respond = respond
        self._patience = patience
        self._stopping = stopping
        self._deadline = deadline
        self._idle: deque[_Lane] = deque()
        self._busy: set[_Lane] = set()
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None
        self._trust = _trust() if respond is None else None

    def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout: float,
        fresh: bool = False,
    ) -> Answer:
        """The answer to one request, whatever its status; a Trouble when no whole answer came.

        `timeout` is how long the server may be silent, in seconds. `fresh` takes a new connection,
        for what must not be sent into one that the server has just given up.
        """
        with self._lane(timeout, fresh=fresh) as lane:
            try:
                return self._over(lane, method, url, headers, body, timeout)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                raise self._trouble(error, lane, timeout) from error

    def close(self) -> None:
        """Close what is idle and cut what is under way; its threads soon hear of it."""
        with self._lock:
            idle, busy = list(self._idle), list(self._busy)
            self._idle.clear()
        for lane in busy:
            lane.cut()
        for lane in idle:
            lane.transport.close()

    def _over(
        self,
        lane: _Lane,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> Answer:
        request = httpx.Request(
            method,
            url,
            headers=_with_own(headers),
            content=body,
            extensions={"trace": lane.trace, "timeout": httpx.Timeout(timeout).as_dict()},
        )
        if lane.cookies.jar:
            lane.cookies.set_cookie_header(request)
        response = lane.transport.handle_request(request)
        try:
            if "set-cookie" in response.headers:
                response.request = request
                lane.cookies.extract_cookies(response)
            return Answer(
                status=response.status_code,
                headers=_headers(response.headers),
                body=b"".join(self._chunks(response)),
            )
        finally:
            response.close()

    def _chunks(self, response: httpx.Response) -> Iterator[bytes]:
        """The body as it comes, unpacked; refused as soon as it is too large."""
        size = 0
        for chunk in _unpacked(response):
            size += len(chunk)
            if size > self._patience.largest_body:
                limit = self._patience.largest_body // (1024 * 1024)
                raise Trouble(f"answer is larger than {limit} MB")
            yield chunk

    @contextmanager
    def _lane(self, timeout: float, *, fresh: bool) -> Iterator[_Lane]:
        lane = self._take(fresh=fresh)
        lane.overdue = False
        lane.until = time.monotonic() + self._deadline.within(timeout * self._patience.drip)
        with self._lock:
            self._busy.add(lane)
            self._start_watching()
        try:
            yield lane
        finally:
            with self._lock:
                self._busy.discard(lane)
                kept = not (lane.overdue or self._stopping.is_set())
                if kept:
                    self._idle.append(lane)
            if not kept:
                lane.transport.close()

    def _take(self, *, fresh: bool) -> _Lane:
        if not fresh:
            try:
                return self._idle.pop()
            except IndexError:
                pass  # all are under way
        return _Lane(self._new_transport())

    def _new_transport(self) -> httpx.BaseTransport:
        if self._respond is not None:
            return _InProcess(self._respond)
        trust = self._trust or True
        if not _names_proxies():
            return httpx.HTTPTransport(verify=trust, limits=_LIMITS)
        try:
            return _Proxied(trust)
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise UsageError(
                f"the proxy that the environment names cannot be used: {error}",
                hint="see HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY",
            ) from error

    def _start_watching(self) -> None:
        if self._watch is None and self._respond is None:
            self._watch = threading.Thread(
                target=self._watch_busy, name="jmreport-overdue", daemon=True
            )
            self._watch.start()

    def _watch_busy(self) -> None:
        """Cut answers that drip: httpx's timeout is for silence, and begins anew with each byte."""
        while not self._stopping.wait(_WATCH):
            now = time.monotonic()
            with self._lock:
                late = [lane for lane in self._busy if now > lane.until]
                for lane in late:
                    lane.overdue = True
                    lane.cut()

    def _trouble(self, error: Exception, lane: _Lane, timeout: float) -> Trouble:
        if self._stopping.is_set():
            return Trouble(STOPPED)
        if lane.overdue:
            if self._deadline.within(1.0) < 1.0:
                return Trouble(f"{TIME_UP} before the answer was whole")
            return Trouble(f"answer was not whole within {timeout * self._patience.drip:g} s")
        return trouble(error, timeout)


def _names_proxies() -> bool:
    """Whether the environment, or the system, names any proxy."""
    named = urllib.request.getproxies()
    return any(named.get(scheme) for scheme in ("http", "https", "all"))


def _with_own(headers: Mapping[str, str]) -> dict[str, str]:
    """What is to be said, behind what every request says."""
    given = {name.lower() for name in headers}
    own = {name: value for name, value in _HEADERS.items() if name not in given}
    return own | dict(headers)


def _headers(sent: httpx.Headers) -> dict[str, str]:
    """The headers of an answer, names in lower case; what is sent twice joined by a comma."""
    found: dict[str, str] = {}
    encoding = sent.encoding
    for raw, value in sent.raw:
        name, text = raw.decode(encoding).lower(), value.decode(encoding)
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def _unpacked(response: httpx.Response) -> Iterator[bytes]:
    """The body as it comes, out of its gzip where it is in one; a Trouble where that was cut.

    httpx takes a gzip that ends too early for a whole one, so that a cut answer looked empty; and
    it unpacks a gzip within a gzip all at once, so that a small answer took all memory.
    """
    said = response.headers.get("content-encoding", "")
    # What else stands there packs nothing: "identity", or the name of a character set.
    packings = [word for word in said.lower().replace(",", " ").split() if word in _PACKINGS]
    if not packings:
        yield from response.iter_raw()
    elif packings in (["gzip"], ["x-gzip"]):
        yield from _out_of_gzip(response.iter_raw())
    # What is no success is told by its status, whatever stands in it.
    elif response.status_code < 300 and any(response.iter_raw()):
        raise Trouble(
            "answer is packed in a way that was not asked for",
            status=response.status_code,
            text=plain(said),
        )


def _out_of_gzip(raws: Iterator[bytes]) -> Iterator[bytes]:
    """What a gzip holds, which may be of several parts; what else follows them is not read."""
    packed = zlib.decompressobj(_GZIP)
    begun, between, empty = False, b"", 0
    try:
        for raw in raws:
            begun = begun or bool(raw)
            rest = between + raw
            between = b""
            while rest:
                if packed.eof:
                    if len(rest) < len(_MAGIC):
                        between = rest
                        break
                    if not rest.startswith(_MAGIC):
                        return
                    packed, empty = zlib.decompressobj(_GZIP), empty + 1
                    if empty > _MOST_EMPTY:
                        raise Trouble("answer is of too many parts")
                if piece := packed.decompress(rest, _PIECE):
                    empty = 0
                    yield piece
                rest = packed.unused_data if packed.eof else packed.unconsumed_tail
        yield packed.flush()
    except zlib.error:
        raise Trouble("answer cannot be unpacked") from None
    if begun and not packed.eof:
        raise Trouble("answer was cut short", again="as often as allowed")


def trouble(error: Exception, timeout: float) -> Trouble:
    """Why no answer came, in words, and whether it may pass."""
    match error:
        case httpx.ConnectTimeout():
            return Trouble(f"{UNREACHED} within {timeout:g} s", again="as often as allowed")
        case httpx.TimeoutException():
            # It may have been the work itself that took too long; then it does so every time.
            return Trouble(f"no answer within {timeout:g} s", again="once")
        case httpx.ConnectError():
            return _unconnected(error)
        case httpx.RemoteProtocolError():
            return Trouble(_broken(str(error)), again="as often as allowed")
        case httpx.NetworkError():
            return Trouble(f"{CONNECTION} was reset", again="as often as allowed")
        case httpx.DecodingError():
            return Trouble("answer cannot be unpacked")
        case httpx.ProxyError():
            return Trouble("the proxy refused the connection", again="as often as allowed")
        case httpx.LocalProtocolError():
            return Trouble("the request cannot be sent: a header holds what no header may")
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return Trouble("its address is not one that can be asked for")
        case _:
            return Trouble(f"no answer ({type(error).__name__})")


def _broken(message: str) -> str:
    if "without sending a response" in message:
        return f"{CONNECTION} was closed without an answer"
    if "without sending complete message" in message or "incomplete" in message:
        return "answer was cut short"
    return "answer is not HTTP"


def _unconnected(error: BaseException) -> Trouble:
    """The reason beneath httpx's and httpcore's: the operating system's, or that of TLS."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Trouble(f"{UNTRUSTED} ({cause.verify_message})")
    for cause in causes:
        match cause:
            case ssl.SSLError():
                return Trouble("no secure connection (is it an https address?)")
            case socket.gaierror():
                return Trouble(NO_HOST, again="as often as allowed")
            case ConnectionRefusedError():
                return Trouble(f"{CONNECTION} refused", again="as often as allowed")
            case ConnectionResetError():
                return Trouble(f"{CONNECTION} was reset", again="as often as allowed")
    return Trouble(UNREACHED, again="as often as allowed")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def send(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
) -> tuple[int, dict[str, str], bytes]:
    """One request to any server, without retries and redirects; UnreadableError with why not."""
    wire = Wire(
        respond=None, patience=Patience(), stopping=threading.Event(), deadline=Deadline(None)
    )
    try:
        answer = wire.exchange(method, url, headers, body, timeout=timeout)
    except Trouble as error:
        raise UnreadableError(error.why) from error
    finally:
        wire.close()
    return answer.status, answer.headers, answer.body
