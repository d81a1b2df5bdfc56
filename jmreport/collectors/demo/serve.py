"""The built-in server over HTTP, on this machine only."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Protocol, Self, cast

from .api import BASE, Demo

_LARGEST_BODY = 10_000_000
_PATIENCE = 60  # seconds that a silent connection is kept


class Responder(Protocol):
    """What can be served: `Demo`, or something that stands before one."""

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, /
    ) -> tuple[int, dict[str, str], bytes]: ...


class Server:
    """A running server. `with serve(demo, port=0) as server:` answers until the block ends.

    `serve_forever()` answers in this thread instead, until `close()` or an interrupt.
    """

    def __init__(
        self,
        demo: Responder,
        *,
        port: int,
        host: str,
        clock: Callable[[], datetime] | None,
    ) -> None:
        self.demo = demo
        self._http = _Http((host, port), _Handler)
        self._http.demo = demo
        self._http.clock = clock
        self._thread: Thread | None = None
        self._served = False
        self._closed = False

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """The API's address, such as `http://127.0.0.1:4010/api/v1`."""
        return f"http://{self._http.server_address[0]!s}:{self.port}{BASE}"

    def start(self) -> Self:
        """Answers from a background thread."""
        if self._thread is None:
            self._thread = Thread(target=self.serve_forever, daemon=True)
            self._served = True
            self._thread.start()
        return self

    def serve_forever(self) -> None:
        """Answers in this thread."""
        self._served = True
        self._http.serve_forever(0.05)

    def close(self) -> None:
        """Stops answering and frees the port. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        if self._served:
            # Waits until whichever thread answers has stopped; for ever, if none ever began.
            self._http.shutdown()
        if self._thread is not None:
            self._thread.join()
        self._http.server_close()
        self._http.hang_up()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def serve(
    demo: Responder,
    *,
    port: int,
    host: str = "127.0.0.1",
    clock: Callable[[], datetime] | None = None,
) -> Server:
    """A server that answers with `demo` on a port; 0 picks a free one.

    Its time stands still at the demo's `now`, unless a `clock` is given that tells it before each
    request.
    """
    return Server(demo, port=port, host=host, clock=clock)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    demo: Responder
    clock: Callable[[], datetime] | None = None

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Ends connections that clients keep open: a closed server must not answer."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is none of our business; all else is a fault."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one packet
    timeout = _PATIENCE

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _answer(self) -> None:
        http = cast(_Http, self.server)
        body = self._body()
        if body is None:
            self.close_connection = True
            self._send(400, {"Content-Length": "0", "Connection": "close"}, b"")
            return
        if http.clock is not None and isinstance(http.demo, Demo):
            http.demo.now = http.clock()
        headers = dict(self.headers.items())
        status, answered, raw = http.demo.respond(self.command, self.path, headers, body)
        self._send(status, answered, raw)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815

    def _body(self) -> bytes | None:
        """The request's body, or None if it can't be told where it ends."""
        if self.headers.get("Transfer-Encoding"):
            return self._chunks()
        length = self.headers.get("Content-Length", "0").strip()
        if not (length.isascii() and length.isdigit()) or int(length) > _LARGEST_BODY:
            return None
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    def _chunks(self) -> bytes | None:
        """A body sent in pieces, as a proxy may send it on."""
        found = b""
        while True:
            line = self.rfile.readline(100).partition(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError:
                return None
            if size < 0 or len(found) + size > _LARGEST_BODY:
                return None
            if size == 0:
                while self.rfile.readline(1_000).strip():
                    continue
                return found
            found += self.rfile.read(size)
            self.rfile.readline(10)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        lower = {name.lower(): value for name, value in headers.items()}
        gunicorn = lower.get("server", "").startswith("gunicorn")
        reason = self.responses.get(status, ("", ""))[0]
        self.send_response_only(status, reason.upper() if gunicorn and status >= 400 else reason)
        for name, value in headers.items():
            self.send_header(name, value)
        if "date" not in lower:
            self.send_header("date" if lower.get("server") == "uvicorn" else "Date", self._date())
        if "content-length" not in lower and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _date(self) -> str:
        """The server's own time, as it has told it in its answers."""
        demo = cast(_Http, self.server).demo
        if isinstance(demo, Demo):
            return format_datetime(demo.now, usegmt=True)
        return self.date_time_string()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Quiet: `demo.requests` tells what arrived."""
