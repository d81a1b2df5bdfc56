"""A server on a wire that fails: refusals, resets, answers that are cut, slow, or too late."""

import socket
import struct
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self, cast

from jmreport.collectors.demo.serve import Responder

#: Fault -> how often it comes, among all faults.
FAULTS = {
    "429": 4, "503": 4, "502 as HTML": 2, "reset": 4, "reset midway": 3, "cut": 4,
    "cut in chunks": 3, "slow": 4, "too late": 1,
}  # fmt: skip
#: Seconds until an answer that is too late, and between the parts of a slow one.
LATE, SLOW = 1.4, 0.03


class Faulty:
    """Serves `upstream`, and spoils a share of its answers on their way."""

    def __init__(self, upstream: Responder, *, seed: int, share: float) -> None:
        self.upstream = upstream
        self.share = share
        self.counts: Counter[str] = Counter()
        self._seed = seed
        self._asked: Counter[tuple[str, str, bytes]] = Counter()
        self._lock = Lock()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.faulty = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/api/v1"

    def __enter__(self) -> Self:
        Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def fault(self, method: str, target: str, body: bytes) -> str:
        """What happens to this request: the same for the same number of times it was asked."""
        key = (method, target, body)
        with self._lock:
            self._asked[key] += 1
            chance = Random(f"{self._seed} {key} {self._asked[key]}")  # noqa: S311 - to be repeated
            which = ""
            if chance.random() < self.share:
                (which,) = chance.choices([*FAULTS], [*FAULTS.values()])
            self.counts[which] += 1
        return which


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    faulty: Faulty

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none of our business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing is printed."""

    def _answer(self) -> None:
        faulty = cast(_Http, self.server).faulty
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        fault = faulty.fault(self.command, self.path, body)
        if fault == "reset":
            self._reset()
            return
        if fault in ("429", "503", "502 as HTML"):
            self._refuse(fault)
            return
        if fault == "too late":
            time.sleep(LATE)
        headers = dict(self.headers.items())
        status, answered, raw = faulty.upstream.respond(self.command, self.path, headers, body)
        kept = {k: v for k, v in answered.items() if k.lower() not in ("content-length", "date")}
        self._send(status, kept, raw, fault)

    do_GET = do_POST = _answer  # noqa: N815 - the base's names

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault == "cut in chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            half = body[: len(body) // 2]
            self.wfile.write(f"{len(half):x}\r\n".encode() + half + b"\r\n")
            self.close_connection = True
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault in ("cut", "reset midway"):
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            if fault == "reset midway":
                self._reset()
            return
        step = max(1, len(body) // 3) if fault == "slow" else max(1, len(body))
        for at in range(0, len(body), step):
            if fault == "slow":
                time.sleep(SLOW)
            self.wfile.write(body[at : at + step])

    def _refuse(self, fault: str) -> None:
        html = fault == "502 as HTML"
        body = b"<html><h1>Bad Gateway</h1></html>" if html else b"busy"
        self.send_response(int(fault[:3]))
        self.send_header("Content-Type", "text/html" if html else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if fault == "429":
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        """The connection ends at once, with a RST."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
