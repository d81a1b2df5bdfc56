"""An actions server with a Job Manager behind it that remembers, and whoever comes to it.

with bench(folder, stored, mode="iap", allow=[…]) as at:
    at.get("/actions/abort?job=…", as_="ana@example.org")
"""

import base64
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from html import unescape
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from msgspec import Struct, field
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.collectors.demo import Demo, serve
from jmreport.collectors.demo.answers import Request
from jmreport.pipeline import ActionsServer, Source
from jmreport.progress import SilentProgress
from jmreport.settings import Actions, Allow, Api, Mode, Redact, Settings, Site, Snapshots

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
AUDIENCE = "/projects/1/global/backendServices/2"
PUBLIC = "https://reports.example.org"
ANA, OMAR, EVE = "ana@example.org", "omar@example.org", "eve@elsewhere.example"
FORM = "application/x-www-form-urlencoded"
ACTIONS = ("AbortJob", "UpdateJobLabels")


def stored(folder: Path, *, jobs: int = 400) -> Path:
    """Snapshots of a day of the built-in server, and a site of one page."""
    with serve(Demo(now=NOW, jobs=jobs), port=0) as server:
        settings = Settings(
            api=Api(url=server.url), snapshots=Snapshots(dir=str(folder / "snapshots"))
        )
        pipeline.collect(
            settings,
            now=NOW,
            source=Source(url=server.url),
            environ={},
            progress=SilentProgress(),
        )
    (folder / "site" / "jobs").mkdir(parents=True)
    (folder / "site" / "index.html").write_text("<!doctype html><title>The report</title>")
    (folder / "site" / "jobs" / "a.json").write_text("{}")
    (folder / "site" / ".jmreport").mkdir()
    (folder / "site" / ".jmreport" / "pages").write_text("not for readers")
    return folder


class Answer(Struct, frozen=True):
    """An answer of the server."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def hidden(self, name: str) -> str:
        """The value of a field that a page's form holds."""
        found = re.search(rf'name="{re.escape(name)}" value="([^"]*)"', self.text)
        return unescape(found[1]) if found else ""

    def form(self) -> dict[str, str]:
        """The last form of a page as a browser sends it when nobody touched it: fields of text
        have no line ends, and others end lines by two characters."""
        form = self.text[self.text.rindex("<form") :]
        found: dict[str, str] = {}
        for tag in re.findall(r"<input[^>]*>", form):
            said = {name: unescape(value) for name, value in re.findall(r'([a-z]+)="([^"]*)"', tag)}
            if said["type"] == "text":
                said["value"] = re.sub(r"[\r\n]", "", said["value"])
            if said["type"] != "checkbox":
                found[said["name"]] = re.sub(r"\r\n|\r|\n", "\r\n", said["value"])
        for name, options in re.findall(r'<select[^>]*name="([^"]*)">(.*?)</select>', form, re.S):
            chosen = re.search(r'<option value="([^"]*)" selected>', options)
            found[name] = re.sub(r"\r\n|\r|\n", "\r\n", unescape(chosen[1]) if chosen else "")
        return found


class Issuer:
    """Signs tokens as Google does, and serves its public keys on this machine."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.algorithm = "ES256" if kind == "iap" else "RS256"
        self.key: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if kind == "iap"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        self.fetched = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched += 1
                body = json.dumps({"key-1": issuer.public}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "max-age=600")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/keys"

    @property
    def public(self) -> str:
        return str(
            self.key.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )

    def claims(self, who: str, **more: Any) -> dict[str, Any]:
        now = int(time.time())
        issuer = (
            "https://cloud.google.com/iap" if self.kind == "iap" else "https://accounts.google.com"
        )
        found = {
            "iss": issuer, "aud": AUDIENCE, "email": who, "email_verified": True,
            "sub": "1", "iat": now - 5, "exp": now + 600,
        }  # fmt: skip
        return {key: value for key, value in (found | more).items() if value is not None}

    def token(self, who: str, *, head: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token for somebody; `claims` and `head` spoil it, None takes a claim out."""
        header = {"alg": self.algorithm, "kid": "key-1", "typ": "JWT"} | dict(head or {})
        header = {key: value for key, value in header.items() if value is not None}
        signed = f"{segment(header)}.{segment(self.claims(who, **claims))}"
        return f"{signed}.{encoded(self.sign(signed.encode()))}"

    def sign(self, text: bytes) -> bytes:
        if self.kind == "iap":
            r, s = decode_dss_signature(self.key.sign(text, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return bytes(self.key.sign(text, padding.PKCS1v15(), hashes.SHA256()))

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def segment(tree: object) -> str:
    return encoded(json.dumps(tree).encode())


class Bench(Struct, kw_only=True):
    """The server, its Job Manager, and how to come to it."""

    server: ActionsServer
    demo: Demo
    settings: Settings
    issuer: Issuer | None
    port: int
    folder: Path
    cookie: str = ""
    #: The whole Set-Cookie of the start.
    started: str = ""
    #: What a test's own Job Manager saw.
    came: list[str] = field(default_factory=list)
    #: Changes of labels by somebody else.
    others: list[Request] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return PUBLIC if self.issuer else f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return urlsplit(self.origin).netloc

    def who(self, as_: str) -> dict[str, str]:
        """The headers that prove who somebody is; none for nobody."""
        if not as_:
            return {}
        if self.issuer is None:
            return {"Cookie": self.cookie}
        token = self.issuer.token(as_)
        if self.issuer.kind == "iap":
            return {"x-goog-iap-jwt-assertion": token}
        return {"Authorization": f"Bearer {token}"}

    def get(self, target: str, *, as_: str = ANA, **headers: str | None) -> Answer:
        return self.send("GET", target, as_=as_, headers=headers)

    def send(
        self,
        method: str,
        target: str,
        *,
        as_: str = ANA,
        body: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """One request, with the headers that a browser would send; None takes one away."""
        sent: dict[str, str | None] = {"Host": self.host, **self.who(as_)}
        if method == "POST":
            sent |= {"Origin": self.origin, "Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}
            body = body or b""
        given = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        sent = {k: v for k, v in sent.items() if k.lower() not in {g.lower() for g in given}}
        sent |= given
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            if body is not None and "content-length" not in {name.lower() for name in sent}:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def form(
        self, action: str, jobs: Sequence[str], *, as_: str = ANA, **fields: str
    ) -> tuple[str, dict[str, str]]:
        """The confirm page's form: where it goes, and its fields as a browser would send them."""
        target = f"/actions/{action}?{urlencode([('job', job) for job in jobs])}"
        page = self.get(target, as_=as_)
        assert page.status == 200, page.text
        hidden = {name: page.hidden(name) for name in ("csrf", "idempotency-key")}
        return target, hidden | fields

    def post(
        self,
        target: str,
        fields: Mapping[str, str],
        *,
        as_: str = ANA,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        body = urlencode(fields).encode()
        return self.send("POST", target, as_=as_, body=body, headers=headers)

    def outcome(self, posted: Answer, *, as_: str = ANA) -> Answer:
        """The page that a form which was taken leads to."""
        assert posted.status == 303, posted.text
        return self.get(posted.headers["location"], as_=as_)

    def jobs(self, *statuses: str, **labels: str) -> list[str]:
        """Ids of jobs as the Job Manager lists them; what that takes is not remembered."""
        demo = Demo(now=NOW, jobs=400)
        body = json.dumps({"pageSize": 400, "status": statuses}).encode()
        headers = {"Content-Type": "application/json"}
        _, _, answer = demo.respond("POST", "/api/v1/jobs/query", headers, body)
        return [
            row["id"]
            for row in json.loads(answer)["results"]
            if row["submission"] >= "2026-11-16T02:14"
            and all(row["labels"].get(key) == value for key, value in labels.items())
        ]

    def label(self, job: str, **labels: str) -> None:
        """Somebody else changes labels of a job."""
        headers = {"Content-Type": "application/json"}
        body = json.dumps({"labels": labels}).encode()
        self.demo.respond("POST", f"/api/v1/jobs/{job}/updateLabels", headers, body)
        self.others.append(self.demo.requests.last[-1])

    def arrived(self) -> list[Request]:
        """What the Job Manager saw of anybody's actions."""
        seen = [each for each in self.demo.requests.last if each.operation in ACTIONS]
        return [each for each in seen if all(each is not other for other in self.others)]

    def audit(self, event: str = "") -> list[dict[str, Any]]:
        text = Path(self.settings.actions.audit).read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        return [line for line in lines if event in ("", line["event"])]


@contextmanager
def bench(
    folder: Path,
    stored_at: Path,
    *,
    mode: Mode = "local",
    allow: Sequence[Allow] = (),
    behind: Any = None,
    api: Mapping[str, Any] | None = None,
    redact: Redact | None = None,
    environ: Mapping[str, str] | None = None,
    **actions: Any,
) -> Iterator[Bench]:
    """A server of one mode. `behind` makes something that stands before the Job Manager."""
    copytree(stored_at, folder, dirs_exist_ok=True)
    demo = Demo(now=NOW, jobs=400)
    issuer = None if mode == "local" else Issuer(mode)
    settings = Settings(
        site=Site(dir=str(folder / "site")),
        snapshots=Snapshots(dir=str(folder / "snapshots")),
        redact=redact or Redact(),
        actions=Actions(
            mode=mode,
            port=0,
            audit=str(folder / "audit.jsonl"),
            allow=tuple(allow),
            audience=AUDIENCE if issuer else None,
            keys_url=issuer.url if issuer else None,
            **{"url": PUBLIC if issuer else None, **actions},
        ),
    )
    with serve(behind(demo) if behind else demo, port=0) as manager:
        settings = replace(settings, api=Api(url=manager.url, **(api or {})))
        server = pipeline.actions_server(
            settings,
            user=ANA,
            now=lambda: datetime.now(UTC),
            source=Source(url=manager.url),
            environ=environ or {},
        )
        with server:
            thread = threading.Thread(target=server.run)
            thread.start()
            try:
                at = Bench(
                    server=server,
                    demo=demo,
                    settings=settings,
                    issuer=issuer,
                    port=server.port,
                    folder=folder,
                )
                if issuer is None:
                    started = at.get(at.server.start.partition(at.host)[2], as_="")
                    at.started = started.headers["set-cookie"]
                    at.cookie = at.started.partition(";")[0]
                yield at
            finally:
                server.stop()
                thread.join()
                if issuer:
                    issuer.close()


def path_of(action: str, *jobs: str) -> str:
    return f"/actions/{action}?" + "&".join(f"job={quote(job, safe='')}" for job in jobs)
