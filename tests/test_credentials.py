"""Where tokens come from: environment, file, Google; and that none is ever said aloud."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from jmreport.client import Client, Patience, send
from jmreport.client.patience import Deadline
from jmreport.credentials import Credentials, find
from jmreport.errors import RefusedError, ServerError, UnreadableError, UsageError
from jmreport.gaps import JOB, TIME_UP, Gap
from jmreport.models import QueryJobsRequest
from jmreport.pipeline import Source
from jmreport.pipeline.asking import credentials_for, hider, without_own_secrets
from jmreport.settings import Api, Settings
from jmreport.snapshots import Redaction

CANARY = "ya29.canary"
SCOPES = ("openid", "https://www.googleapis.com/auth/genomics")
Reply = tuple[int, Mapping[str, str], bytes]


def unasked(*_: Any) -> tuple[int, dict[str, str], bytes]:
    raise AssertionError("nothing may be sent")


def unwaited(_seconds: float) -> None:
    """Whoever writes a token has written it."""


def found(
    api: Api, environ: Mapping[str, str] | None = None, *, scopes: tuple[str, ...] = ()
) -> Credentials:
    credentials = find(api, environ or {}, scopes=scopes)
    assert credentials is not None
    return credentials


# The environment and files


def test_nothing_configured_is_no_credentials() -> None:
    assert find(Api(), {}, scopes=()) is None
    assert find(Api(), {"JMREPORT_API_TOKEN": "  "}, scopes=()) is None


def test_the_environment_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file")
    api = Api(token_file=str(file), google_auth=True)
    credentials = found(api, {"JMREPORT_API_TOKEN": f" {CANARY}\n"})
    assert credentials.token(unasked) == CANARY
    assert credentials.renew(unasked, unwaited) is False


def test_the_token_that_is_sent_is_taken_out_whatever_else_is_configured() -> None:
    settings = Settings(api=Api(google_auth=True))
    held = found(settings.api, {"JMREPORT_API_TOKEN": "opaque-token"})
    redaction = Redaction.of(without_own_secrets(settings, held))
    assert redaction.text("sent opaque-token")[0] == "sent [taken out]"


def test_a_file_is_read_again_when_its_token_was_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    credentials = found(Api(token_file=str(file)))
    assert credentials.token(unasked) == "first"
    assert credentials.renew(unasked, unwaited) is False
    file.write_text("Bearer second\n")
    assert credentials.token(unasked) == "first"
    assert credentials.renew(unasked, unwaited) is True
    assert credentials.token(unasked) == "second"
    file.unlink()
    assert credentials.renew(unasked, unwaited) is False
    assert credentials.token(unasked) == "second"


@pytest.mark.parametrize("before", ["first", "", None])
def test_a_file_that_is_being_written_is_read_once_more_a_little_later(
    tmp_path: Path, before: str | None
) -> None:
    """Agents replace a token as it expires, or a second later."""
    file = tmp_path / "token"
    file.write_text("first")
    credentials = found(Api(token_file=str(file)))
    if before is None:
        file.unlink()
    else:
        file.write_text(before)
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        file.write_text("second")

    assert credentials.renew(unasked, wait) is True
    assert credentials.token(unasked) == "second"
    assert waits == [1.0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"Bearer \n", "is empty"),
        (b"canary-one\ncanary-two\n", "more than one line"),
        (b'{\n "private_key": "canary"\n}', "more than one line"),
        (b"canary two words", "a character that no header may"),
        (b"canary\x00", "a character that no header may"),
        ("canary-ü".encode(), "a character that no header may"),
        (b"\xff\xfecanary", "a character that no header may"),
    ],
)
def test_a_file_without_a_token_is_named_and_not_quoted(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        found(Api(token_file=str(file)))
    assert str(file) in caught.value.message
    assert "canary" not in caught.value.message + caught.value.hint
    assert caught.value.hint


def test_a_directory_is_no_token_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"api\.token_file .* cannot be read"):
        found(Api(token_file=str(tmp_path)))


def test_a_variable_that_is_no_token_is_named_and_not_quoted() -> None:
    with pytest.raises(UsageError, match="JMREPORT_API_TOKEN") as caught:
        found(Api(), {"JMREPORT_API_TOKEN": "canary\r\nX-Evil: 1"})
    assert "canary" not in caught.value.message


def test_no_token_is_in_a_repr(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(CANARY)
    for credentials in (
        found(Api(), {"JMREPORT_API_TOKEN": CANARY}),
        found(Api(token_file=str(file))),
    ):
        assert CANARY not in repr(credentials) + str(credentials)


# Google


class Seen:
    def __init__(self, target: str, headers: Mapping[str, str], body: bytes) -> None:
        self.target, self.body = target, body
        self.headers = {name.lower(): value for name, value in headers.items()}


class Issuer:
    """Google's token endpoint and metadata server on loopback; None is no answer."""

    def __init__(self, answer: Callable[[Seen], Reply | None]) -> None:
        self.seen: list[Seen] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                seen = Seen(self.path, dict(self.headers), self.rfile.read(length))
                outer.seen.append(seen)
                reply = answer(seen)
                if reply is None:
                    return
                status, headers, body = reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _serve  # noqa: N815 - names of the base class

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def issuing(answer: Callable[[Seen], Reply | None]) -> Iterator[Issuer]:
    issuer = Issuer(answer)
    try:
        yield issuer
    finally:
        issuer.close()


@contextmanager
def silent() -> Iterator[Issuer]:
    """One that takes each request and says nothing."""
    over = threading.Event()

    def answer(_seen: Seen) -> None:
        over.wait(60)

    with issuing(answer) as issuer:
        yield issuer
        over.set()


def granting(seconds: int) -> Callable[[Seen], Reply]:
    """A new token each time, good for so many seconds."""
    given = iter(range(1, 1000))
    headers = {"Content-Type": "application/json", "Metadata-Flavor": "Google"}

    def answer(_seen: Seen) -> Reply:
        grant = {"access_token": f"{CANARY}-{next(given)}", "expires_in": seconds}
        return 200, headers, json.dumps(grant).encode()

    return answer


@pytest.fixture(scope="module")
def private_key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def key_file(
    tmp_path: Path, private_key: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """Writes a service account's key whose tokens come from this host, and makes it the default."""

    def write(host: str) -> Path:
        key = {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "1",
            "private_key": private_key,
            "client_email": "reporter@p.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"http://{host}/token",
        }
        path = tmp_path / "key.json"
        path.write_text(json.dumps(key))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        return path

    return write


def google(scopes: tuple[str, ...] = SCOPES, environ: Mapping[str, str] | None = None) -> Any:
    return find(Api(google_auth=True), environ or {}, scopes=scopes)


def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to hold")


def claims(seen: Seen) -> dict[str, Any]:
    """What the signed assertion says."""
    assertion = parse_qs(seen.body.decode())["assertion"][0]
    payload = assertion.split(".")[1]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return said


def test_a_service_account_asks_for_the_scopes_that_the_server_names(
    key_file: Callable[[str], Path],
) -> None:
    with issuing(granting(3600)) as issuer:
        key_file(issuer.host)
        credentials = google()
        assert issuer.seen == []
        assert credentials.token(send) == credentials.token(send) == f"{CANARY}-1"
    assert len(issuer.seen) == 1
    assert claims(issuer.seen[0])["scope"].split() == list(SCOPES)


def test_a_token_about_to_expire_is_refreshed_before_it_does(
    key_file: Callable[[str], Path],
) -> None:
    """google-auth counts a token as expired 3 min 45 s early, so 60 s are none."""
    with issuing(granting(60)) as issuer:
        key_file(issuer.host)
        credentials = google()
        assert [credentials.token(send), credentials.token(send)] == [f"{CANARY}-1", f"{CANARY}-2"]


def test_a_refused_token_is_renewed_at_google(key_file: Callable[[str], Path]) -> None:
    with issuing(granting(3600)) as issuer:
        key_file(issuer.host)
        credentials = google()
        assert credentials.token(send) == f"{CANARY}-1"
        assert credentials.renew(send, unwaited) is True
        assert credentials.token(send) == f"{CANARY}-2"


def test_many_threads_ask_google_once(key_file: Callable[[str], Path]) -> None:
    with issuing(granting(3600)) as issuer:
        key_file(issuer.host)
        credentials = google()
        with ThreadPoolExecutor(8) as pool:
            tokens = set(pool.map(lambda _: credentials.token(send), range(40)))
    assert tokens == {f"{CANARY}-1"}
    assert len(issuer.seen) == 1


def test_google_refusing_is_refused_for_good(key_file: Callable[[str], Path]) -> None:
    said = json.dumps({"error": "invalid_scope", "error_description": "no such scope"}).encode()
    with issuing(lambda _: (400, {"Content-Type": "application/json"}, said)) as issuer:
        key_file(issuer.host)
        with pytest.raises(RefusedError, match="invalid_scope") as caught:
            google().token(send)
    assert "openid" in caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "said", [b"<html>Sign in</html>", b'"a"', b"[1]", b"{}", b'{"expires_in": "x"}']
)
def test_an_answer_of_somebody_between_is_no_token(
    key_file: Callable[[str], Path], said: bytes
) -> None:
    """As of a proxy that wants people to sign in: told, and no bug."""
    with issuing(lambda _: (200, {"Content-Type": "text/html"}, said)) as issuer:
        key_file(issuer.host)
        with pytest.raises((UnreadableError, RefusedError), match="no token"):
            google().token(send)


def test_google_not_answering_may_pass(key_file: Callable[[str], Path]) -> None:
    with issuing(granting(1)) as issuer:
        host = issuer.host
    key_file(host)
    with pytest.raises(UnreadableError, match="connection refused"):
        google().token(send)


# A Google that gives no token


def session_of(issuer: Issuer, **more: Any) -> Client:
    """One that asks no server: there is no token to show it."""
    return Client(Api(url=f"http://{issuer.host}/never", tries=2), credentials=google(), **more)


def test_no_token_is_asked_for_once_the_time_is_up(key_file: Callable[[str], Path]) -> None:
    with issuing(granting(3600)) as issuer:
        key_file(issuer.host)
        session = session_of(issuer, until=time.monotonic())
        with session, pytest.raises(UnreadableError, match=TIME_UP):
            session.job("a")
    assert issuer.seen == []


def test_a_google_that_says_nothing_is_not_waited_for_beyond_the_time(
    key_file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import google.oauth2.service_account  # noqa: F401 - it takes some of the time

    monkeypatch.setattr(Deadline, "GRACE", 0.0)
    with silent() as issuer:
        key_file(issuer.host)
        session = session_of(issuer, until=time.monotonic() + 1.0)
        with session, pytest.raises(UnreadableError, match=TIME_UP):
            session.job("a")
    assert len(issuer.seen) == 1


def test_who_waits_for_google_is_woken_when_the_session_ends(
    key_file: Callable[[str], Path],
) -> None:
    """And none of those that waited asks it again."""
    with silent() as issuer, ThreadPoolExecutor(4) as pool:
        key_file(issuer.host)
        session = session_of(issuer)
        waiting = [pool.submit(session.job, str(at)) for at in range(4)]
        until(lambda: bool(issuer.seen))
        session.close()
        for each in waiting:
            assert isinstance(each.exception(timeout=20), UnreadableError)
    assert len(issuer.seen) == 1


def test_those_who_wait_for_a_token_share_that_there_is_none(
    key_file: Callable[[str], Path],
) -> None:
    """One after another they would wait as often as there are threads."""

    def briefly(
        method: str, url: str, headers: Mapping[str, str], body: bytes | None, _seconds: float
    ) -> tuple[int, dict[str, str], bytes]:
        return send(method, url, headers, body, 0.5)

    with silent() as issuer, ThreadPoolExecutor(8) as pool:
        key_file(issuer.host)
        credentials = google()
        waiting = [pool.submit(credentials.token, briefly) for _ in range(8)]
        for each in waiting:
            assert isinstance(each.exception(), UnreadableError)
    assert len(issuer.seen) <= 4


def test_a_google_that_gives_no_token_is_an_outage(key_file: Callable[[str], Path]) -> None:
    """It is asked now and then, and not for each of ten thousand jobs."""
    patience = Patience(first_wait=0.0, outage=0.0, outage_requests=2)
    with issuing(lambda _: None) as issuer:
        key_file(issuer.host)
        with session_of(issuer, patience=patience) as session:
            for job in "abc":
                with pytest.raises(UnreadableError) as caught:
                    session.job(job)
                why = "no token from Google: connection was closed without an answer"
                assert caught.value.message == why
                assert Gap(what=JOB, why=why).is_cut_short
    assert len(issuer.seen) == 2


def test_a_server_that_is_not_asked_for_want_of_a_token_is_not_blamed(
    key_file: Callable[[str], Path],
) -> None:
    with issuing(lambda _: None) as issuer:
        key_file(issuer.host)
        with session_of(issuer) as session, pytest.raises(ServerError) as caught:
            session.probe()
    assert "/never/capabilities: no token from Google: connection was" in caught.value.message
    assert caught.value.hint == "see whether Google, or the machine's metadata server, answers"


def test_a_server_is_not_asked_for_its_scopes_once_the_time_is_up() -> None:
    with issuing(granting(3600)) as issuer:
        url = f"http://{issuer.host}"
        settings = Settings(api=Api(url=url, google_auth=True))
        with pytest.raises(ServerError, match=TIME_UP):
            credentials_for(settings, source=Source(url=url), environ={}, until=time.monotonic())
    assert issuer.seen == []


@pytest.mark.parametrize("content", ["not json", "{}", '{"type": "service_account"}'])
def test_a_key_that_is_none_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    key = tmp_path / "key.json"
    key.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    with pytest.raises(UsageError, match=r"api\.google_auth finds no credentials: ") as caught:
        google(environ={"NO_GCE_CHECK": "true"}).token(send)
    assert "\n" not in caught.value.message


# What a server may have a token for


PLATFORM = "https://www.googleapis.com/auth/cloud-platform"


def asked_of_google(
    key_file: Callable[[str], Path], named: Any, *, pinned: tuple[str, ...] = ()
) -> tuple[list[str], list[str]]:
    """The scopes that Google is asked for when a server names these, and what the server saw."""
    grant = granting(3600)

    def answer(seen: Seen) -> Reply:
        if seen.target == "/token":
            return grant(seen)
        said = {"authentication": {"isRequired": True, "scopes": named}} if named else {}
        return 200, {"Content-Type": "application/json"}, json.dumps(said).encode()

    with issuing(answer) as issuer:
        key_file(issuer.host)
        url = f"http://{issuer.host}"
        settings = Settings(api=Api(url=url, google_auth=True, google_scopes=pinned))
        credentials = credentials_for(settings, source=Source(url=url), environ={})
        assert credentials is not None
        credentials.token(send)
    *seen, token = issuer.seen
    return claims(token)["scope"].split(), [each.target for each in seen]


@pytest.mark.parametrize(
    "named",
    [
        ("openid", "email", "profile"),  # Cromwell's
        (
            "https://www.googleapis.com/auth/genomics",  # dsub's
            "https://www.googleapis.com/auth/devstorage.read_only",
            "https://www.googleapis.com/auth/cloudplatformprojects.readonly",
        ),
    ],
)
def test_what_the_real_servers_name_is_asked_for(
    key_file: Callable[[str], Path], named: tuple[str, ...]
) -> None:
    assert asked_of_google(key_file, named)[0] == list(named)


def test_a_server_that_names_nothing_is_told_who_asks_and_no_more(
    key_file: Callable[[str], Path],
) -> None:
    """A machine's account, asked for no scope, gives a token for all that it may do."""
    asked, _ = asked_of_google(key_file, ())
    assert asked == ["openid", "https://www.googleapis.com/auth/userinfo.email"]


def test_no_token_of_more_power_is_asked_for_at_a_servers_word(
    key_file: Callable[[str], Path],
) -> None:
    """It says so without proof, and is sent the token."""
    with pytest.raises(RefusedError, match=f"names the scope {PLATFORM}, which") as caught:
        asked_of_google(key_file, ("openid", PLATFORM))
    assert "api.google_scopes" in caught.value.hint


def test_a_refusal_says_what_google_was_asked_for(key_file: Callable[[str], Path]) -> None:
    """The server may need more than it named."""
    grant = granting(3600)

    def answer(seen: Seen) -> Reply:
        return grant(seen) if seen.target == "/token" else (403, {}, b"")

    with issuing(answer) as issuer:
        key_file(issuer.host)
        api = Api(url=f"http://{issuer.host}", google_auth=True)
        for held, said in ((google(), ", ".join(SCOPES)), (None, "asks for a token")):
            with Client(api, credentials=held) as session, pytest.raises(RefusedError) as caught:
                session.query(QueryJobsRequest())
            assert said in hider()(caught.value.message)
            assert hider()(caught.value.hint).endswith("set api.google_scopes")


def test_scopes_of_the_settings_are_asked_for_whatever_the_server_names(
    key_file: Callable[[str], Path],
) -> None:
    asked, seen = asked_of_google(key_file, ("openid",), pinned=(PLATFORM,))
    assert (asked, seen) == ([PLATFORM], [])


@pytest.mark.parametrize("url", ["http://jobs.example.org", "HTTP://10.0.0.1:8190/api/v1"])
def test_no_token_of_googles_is_sent_for_others_to_read(url: str) -> None:
    settings = Settings(api=Api(url=url, google_auth=True))
    with pytest.raises(RefusedError) as caught:
        credentials_for(settings, source=Source(url=url), environ={})
    host = url.split("/")[2]
    said = f"Google's token is not sent to http://{host}: it could be read on the way"
    assert hider(settings)(caught.value.message) == said
    assert "api.google_scopes" in hider(settings)(caught.value.hint)
    # Whoever says what it may do has said that it may go there.
    pinned = Settings(api=Api(url=url, google_auth=True, google_scopes=("openid",)))
    assert credentials_for(pinned, source=Source(url=url), environ={}) is not None
    # Another token is its owner's to send where they like; then nothing of Google's is.
    environ = {"JMREPORT_API_TOKEN": CANARY}
    assert credentials_for(settings, source=Source(url=url), environ=environ) is not None


# The machine's own account. google-auth reads these variables when it is imported, so each runs in
# an interpreter of its own, away from the keys of whoever runs the tests.

PROGRAM = """
import os, time
from jmreport.client import send
from jmreport.credentials import find
from jmreport.errors import JmreportError
from jmreport.settings import Api
found = find(Api(google_auth=True), os.environ, scopes=("a", "b c"))
try:
    print(found.token(send), found.token(send), found.renew(send, time.sleep), found.token(send))
except JmreportError as error:
    print(type(error).__name__, error.message, "|", error.hint)
"""


IN_TIME = """
import os, time
import google.auth.compute_engine, httpx
from jmreport.client import Client
from jmreport.client.patience import Deadline
from jmreport.credentials import find
from jmreport.errors import JmreportError
from jmreport.settings import Api
Deadline.GRACE = 0.0
api = Api(url="http://127.0.0.1:9", google_auth=True)
found = find(api, os.environ, scopes=("a",))
try:
    Client(api, credentials=found, until=time.monotonic() + 1.0).job("a")
except JmreportError as error:
    print(type(error).__name__, error.message)
"""


def on_a_machine(home: Path, program: str = PROGRAM, **environ: str) -> str:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent.parent,
        env=kept | {"HOME": str(home), "CLOUDSDK_CONFIG": str(home)} | environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_machine_of_googles_has_its_own_account(tmp_path: Path) -> None:
    with issuing(granting(3600)) as issuer:
        said = on_a_machine(tmp_path, GCE_METADATA_HOST=issuer.host)
    assert said == f"{CANARY}-1 {CANARY}-1 True {CANARY}-2"
    asked = [seen for seen in issuer.seen if "/token" in seen.target]
    assert asked[0].target.endswith("/service-accounts/default/token?scopes=a%2Cb%20c")
    assert asked[0].headers["metadata-flavor"] == "Google"


@pytest.mark.parametrize("answer", [(404, b"none"), (200, b"<html>")])
def test_a_machine_without_an_account_says_how_to_get_one(
    tmp_path: Path, answer: tuple[int, bytes]
) -> None:
    status, body = answer
    with issuing(lambda _: (status, {}, body)) as issuer:
        said = on_a_machine(tmp_path, GCE_METADATA_HOST=issuer.host)
    assert said.startswith("UsageError api.google_auth finds no credentials: ")
    assert "gcloud auth application-default login" in said


@pytest.mark.parametrize(
    ("status", "body", "why"), [(503, b"busy", "answers 503"), (200, b"{}", "gives none")]
)
def test_a_machines_account_that_cannot_be_had_now_may_be_had_later(
    tmp_path: Path, status: int, body: bytes, why: str
) -> None:
    """Nothing is wrong with the settings."""
    with issuing(lambda _: (status, {"Metadata-Flavor": "Google"}, body)) as issuer:
        said = on_a_machine(tmp_path, GCE_METADATA_HOST=issuer.host)
    assert said.startswith(f"UnreadableError no token from Google: its metadata server {why}")


def test_a_metadata_server_that_is_away_may_come_back(tmp_path: Path) -> None:
    """One whose name nobody knows is none: then it is no machine of Google's."""
    with issuing(granting(1)) as issuer:
        host = issuer.host
    said = on_a_machine(tmp_path, GCE_METADATA_HOST=host)
    why = "no token from Google: its metadata server: connection refused"
    assert said.startswith(f"UnreadableError {why}")
    said = on_a_machine(tmp_path, GCE_METADATA_HOST="no-such-host.invalid")
    assert said.startswith("UsageError api.google_auth finds no credentials: ")


def test_no_machine_is_asked_where_that_is_switched_off(tmp_path: Path) -> None:
    with issuing(granting(3600)) as issuer:
        said = on_a_machine(tmp_path, GCE_METADATA_HOST=issuer.host, NO_GCE_CHECK="true")
    assert said.startswith("UsageError api.google_auth finds no credentials: ")
    assert issuer.seen == []


def test_a_machine_of_googles_that_says_nothing_is_not_waited_for_beyond_the_time(
    tmp_path: Path,
) -> None:
    """google-auth by itself asks it again and again."""
    with silent() as issuer:
        said = on_a_machine(tmp_path, IN_TIME, GCE_METADATA_HOST=issuer.host)
    assert said.startswith(f"UnreadableError {TIME_UP}")
    assert len(issuer.seen) == 1
