"""The bucket: one behaviour, be it Google's or a folder; what fails in passing is healed."""

import hashlib
import json
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import pytest
from campaigns import publishing
from gcs_server import BUCKET, Gcs, served
from hypothesis import given
from hypothesis import strategies as st
from mail_cases import certified

from jmreport.bucket import Bucket, Headers, open_bucket
from jmreport.bucket.opening import split
from jmreport.errors import ChangedError, DeliveryError, UnreadableError, UsageError

PAGE = Headers(content_type="text/html; charset=utf-8", cache="private, no-cache")


@pytest.fixture(scope="module")
def server() -> Iterator[Gcs]:
    with served() as gcs:
        yield gcs


@pytest.fixture
def gcs(server: Gcs) -> Iterator[Gcs]:
    """The server of this module, in good health and empty."""
    yield server
    server.healthy()
    for name in server.objects():
        server.delete(name)


@pytest.fixture(params=["gcs", "folder"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    """Each kind of bucket, empty."""
    if request.param == "folder":
        return open_bucket(str(tmp_path / "www"), environ={})
    return of(request.getfixturevalue("gcs"))


def of(gcs: Gcs, *, patience: float = 5.0, prefix: str = "nightly") -> Bucket:
    return open_bucket(f"gs://{BUCKET}/{prefix}", environ=gcs.environ, patience=patience)


# --- the same for all ---


def test_what_was_written_is_read_and_listed(bucket: Bucket) -> None:
    generation = bucket.write("jobs/a.html", b"<p>a", generation=0, headers=PAGE)
    read = bucket.read("jobs/a.html")
    assert read is not None
    assert (read.data, read.generation) == (b"<p>a", generation)
    [held] = bucket.objects()
    assert held == bucket.look("jobs/a.html")
    assert (held.name, held.size, held.generation) == ("jobs/a.html", 4, generation)
    assert held.md5 == hashlib.md5(b"<p>a", usedforsecurity=False).hexdigest()
    assert held.updated is not None


def test_what_is_not_there_is_none(bucket: Bucket) -> None:
    assert bucket.read("a") is None
    assert bucket.look("a") is None
    assert bucket.delete("a", generation=None) is False
    assert list(bucket.objects()) == []


def test_objects_are_listed_below_a_name(bucket: Bucket) -> None:
    for name in ("runs/1/a", "runs/2/b", "other"):
        bucket.write(name, b"x", generation=0)
    assert [held.name for held in bucket.objects("runs/")] == ["runs/1/a", "runs/2/b"]
    for under in ("runs/", "runs/1/", "o", "none/", ""):
        assert [*bucket.names(under)] == [held.name for held in bucket.objects(under)]
    assert [*bucket.names()] == ["other", "runs/1/a", "runs/2/b"]


def test_a_write_holds_only_for_the_generation_that_was_read(bucket: Bucket) -> None:
    first = bucket.write("a", b"1", generation=0)
    with pytest.raises(ChangedError):
        bucket.write("a", b"2", generation=0)
    second = bucket.write("a", b"2", generation=first)
    assert second != first
    with pytest.raises(ChangedError):
        bucket.write("a", b"3", generation=first)
    read = bucket.read("a")
    assert read is not None
    assert read.data == b"2"


def test_a_deletion_holds_only_for_the_generation_that_was_read(bucket: Bucket) -> None:
    first = bucket.write("a", b"1", generation=0)
    second = bucket.write("a", b"2", generation=first)
    with pytest.raises(ChangedError):
        bucket.delete("a", generation=first)
    assert bucket.delete("a", generation=second) is True
    assert bucket.look("a") is None


def test_a_copy_has_the_same_bytes_and_holds_only_for_what_was_read(bucket: Bucket) -> None:
    source = bucket.write("a", b"1", generation=0, headers=PAGE)
    bucket.copy("a", "b", source_generation=source, generation=0)
    copied, original = bucket.look("b"), bucket.look("a")
    assert copied is not None
    assert original is not None
    assert (copied.md5, copied.cache) == (original.md5, original.cache)
    other = bucket.write("c", b"other", generation=0)
    with pytest.raises(ChangedError):
        bucket.copy("a", "c", source_generation=source, generation=0)
    with pytest.raises(ChangedError):
        bucket.copy("a", "d", source_generation=source + 1, generation=0)
    held = bucket.look("c")
    assert held is not None
    assert held.generation == other


def test_a_copy_of_what_is_gone_is_of_what_was_changed(bucket: Bucket) -> None:
    source = bucket.write("a", b"1", generation=0)
    bucket.delete("a", generation=source)
    for generation in (source, None):
        with pytest.raises(ChangedError, match="/a is gone"):
            bucket.copy("a", "b", source_generation=generation, generation=0)
    assert bucket.look("b") is None


def test_of_many_that_make_the_same_object_one_does(bucket: Bucket) -> None:
    """Each has bytes of its own: nobody takes another's for them."""
    made: list[int] = []
    refused: list[int] = []

    def make(number: int) -> None:
        try:
            bucket.write("claim", b"mine %d" % number, generation=0)
            made.append(number)
        except ChangedError:
            refused.append(number)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 7)
    read = bucket.read("claim")
    assert read is not None
    assert read.data == b"mine %d" % made[0]


# --- a folder ---


@pytest.mark.parametrize(
    "name", ["../a", "/etc/a", "a/../../b", "", "a//b", "a/./b", "a\0b", "..\\a"]
)
def test_no_name_leads_out_of_a_folder(tmp_path: Path, name: str) -> None:
    folder = open_bucket(str(tmp_path / "www"), environ={})
    folder.write("a", b"1", generation=0)
    for attempt in (
        lambda: folder.write(name, b"x", generation=None),
        lambda: folder.delete(name, generation=None),
        lambda: folder.copy("a", name, source_generation=None, generation=None),
        lambda: folder.read(name),
    ):
        with pytest.raises(DeliveryError):
            attempt()
    outside = [path for path in tmp_path.rglob("*") if "www" not in path.parts]
    assert outside == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "www").write_text("a file")
    with pytest.raises(DeliveryError, match="www"):
        open_bucket(str(tmp_path / "www"), environ={}).write("a", b"1", generation=0)


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is one below it; what each disk has at its root is none of ours."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    folder = open_bucket("www", environ={})
    folder.write("runs/1/a", b"1", generation=0)
    Path("www/lost+found").mkdir(mode=0)
    for names in (folder.names, folder.objects):
        with anybody():
            assert len([*names()]) == 1
        Path("www/runs").chmod(0)
        with anybody(), pytest.raises(DeliveryError, match="www/runs: Permission denied") as caught:
            list(names())
        Path("www/runs").chmod(0o755)
        assert "may read there" in caught.value.hint
    with pytest.raises(DeliveryError, match="Not a directory"):
        list(open_bucket("www/runs/1/a", environ={}).names())


@contextmanager
def anybody() -> Iterator[None]:
    """A user who may read only what is for everybody."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_left_empty_is_taken_away(tmp_path: Path) -> None:
    folder = open_bucket(str(tmp_path / "www"), environ={})
    folder.write("nights/1/index.html", b"1", generation=0)
    folder.write("nights/2/index.html", b"1", generation=0)
    folder.delete("nights/1/index.html", generation=None)
    assert sorted(path.name for path in (tmp_path / "www/nights").iterdir()) == ["2"]


def test_what_a_killed_run_left_on_its_way_into_a_folder_goes(tmp_path: Path) -> None:
    parts = tmp_path / "www/.jmreport/parts"
    parts.mkdir(parents=True)
    (parts / "old").write_text("half")
    os.utime(parts / "old", (0, 0))
    (parts / "young").write_text("half")
    open_bucket(str(tmp_path / "www"), environ={}).write("a", b"1", generation=0)
    assert [path.name for path in parts.iterdir()] == ["young"]


# --- Google's ---


def test_headers_are_served(gcs: Gcs) -> None:
    of(gcs).write("a.html", b"<p>", generation=0, headers=PAGE)
    status, headers, body = gcs.get("nightly/a.html")
    assert (status, body) == (200, b"<p>")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 504, "reset", "lost"])
def test_what_fails_in_passing_is_tried_again(gcs: Gcs, fault: int | str) -> None:
    """A lost answer is of something that was done: done twice it is right all the same."""
    bucket = of(gcs, patience=20.0)
    failed: set[str] = set()

    def once(method: str, _path: str) -> int | str | None:
        if method in failed:
            return None
        failed.add(method)
        return fault

    gcs.fault = once
    generation = bucket.write("a", b"1", generation=0)
    read = bucket.read("a")
    assert read is not None
    assert read.generation == generation
    failed.clear()
    copied = bucket.copy("a", "b", source_generation=generation, generation=0)
    failed.clear()
    bucket.delete("b", generation=copied)
    assert sorted(gcs.objects()) == ["nightly/a"]


def test_a_network_that_is_gone_is_said_after_its_time(gcs: Gcs) -> None:
    gcs.stop_after(0)
    with pytest.raises(DeliveryError, match=r"gs://team-reports/nightly/a: ") as caught:
        of(gcs, patience=1.0).write("a", b"1", generation=0)
    assert "run it again" in caught.value.hint


@pytest.mark.parametrize(("status", "words"), [(403, "refused"), (404, "no such")])
def test_a_refusal_says_what_to_do(gcs: Gcs, status: int, words: str) -> None:
    gcs.fault = lambda _method, _path: status
    with pytest.raises(DeliveryError, match=words) as caught:
        of(gcs).write("a", b"1", generation=0)
    assert caught.value.hint


def test_a_large_object_is_written_in_one_piece_or_many(gcs: Gcs) -> None:
    data = b"0123456789abcdef" * 600_000
    bucket = of(gcs)
    bucket.write("large", data, generation=0)
    read = bucket.read("large")
    assert read is not None
    assert read.data == data


def test_a_bucket_says_who_may_read_it(gcs: Gcs) -> None:
    gcs.members = ["allUsers", "user:ana@example.org"]
    assert of(gcs).readers() == ("allUsers", "user:ana@example.org")
    gcs.members = None
    with pytest.raises(UnreadableError, match="cannot be read"):
        of(gcs).readers()


def test_without_credentials_it_says_where_they_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(DeliveryError) as caught:
        open_bucket("gs://team-reports", environ={})
    assert "GOOGLE_APPLICATION_CREDENTIALS" in caught.value.hint


# --- whom it trusts ---


class Secured:
    """A storage with no objects, and a token endpoint, behind TLS."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                outer.asked.append(self.path.partition("?")[0])
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(b'{"access_token": "t", "expires_in": 3600, "items": []}')

            do_GET = do_POST = _answer  # noqa: N815 - names of the base class

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing."""

        class Server(ThreadingHTTPServer):
            tries = 0

            def process_request(self, request: Any, client_address: Any) -> None:
                self.tries += 1
                super().process_request(request, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Nothing: a client that does not trust us goes away."""

        self.server = Server(("127.0.0.1", 0), Handler)
        with certified(folder) as (certificate, key):
            self.certificate = certificate
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account_key: str) -> Iterator[Secured]:
    """The one that an account's key and the environment lead to."""
    made = Secured(tmp_path)
    account = {
        "type": "service_account",
        "client_email": "reports@genomics.iam.gserviceaccount.com",
        "private_key": account_key,
        "private_key_id": "1",
        "project_id": "genomics",
        "token_uri": f"{made.url}/token",
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", made.url)
    for name in ("STORAGE_EMULATOR_HOST", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def account_key() -> str:
    return publishing.service_account_key()


def test_certificates_that_the_environment_names_count_for_the_bucket_and_its_token(
    secured: Secured,
) -> None:
    """One variable for the server, for mail and for buckets."""
    bucket = open_bucket("gs://team-reports", environ={"SSL_CERT_FILE": str(secured.certificate)})
    assert list(bucket.names()) == []
    assert {"/token", "/storage/v1/b/team-reports/o"} <= set(secured.asked)


@pytest.mark.parametrize("anyway", ["by all", "in REQUESTS_CA_BUNDLE"])
def test_they_count_beside_those_that_are_trusted_anyway(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, anyway: str
) -> None:
    """The file is often that of the server's own authority, and the bucket is Google's."""
    if anyway == "by all":
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(secured.certificate))
    else:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secured.certificate))
    bucket = open_bucket("gs://team-reports", environ={"SSL_CERT_FILE": certifi.where()})
    assert list(bucket.names()) == []


@pytest.mark.parametrize(
    ("emulator", "where"), [(False, "no token from Google"), (True, "gs://team-reports/listed")]
)
def test_a_certificate_that_is_not_trusted_is_said_and_not_tried_again(
    secured: Secured, *, emulator: bool, where: str
) -> None:
    environ = {"STORAGE_EMULATOR_HOST": secured.url} if emulator else {}
    bucket = open_bucket("gs://team-reports", environ=environ)
    with pytest.raises(DeliveryError) as caught:
        list(bucket.names())
    assert caught.value.message.startswith(f"{where}: its certificate is not trusted (self")
    assert "SSL_CERT_FILE" in caught.value.hint
    assert secured.server.tries < 10


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file or directory"), ("", "no certificate is in it")]
)
def test_certificates_that_cannot_be_read_are_named(
    secured: Secured, tmp_path: Path, content: str | None, why: str
) -> None:
    file = tmp_path / "trusted.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DeliveryError) as caught:
        open_bucket("gs://team-reports", environ={"SSL_CERT_FILE": str(file)})
    said = f"the certificates that SSL_CERT_FILE names cannot be read: {file}: {why}"
    assert caught.value.message == said
    assert secured.asked == []


def test_a_bundle_for_requests_that_is_not_there_is_said(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with pytest.raises(DeliveryError, match=r"certificate bundle, invalid path: /nowhere\.pem"):
        list(open_bucket("gs://team-reports", environ={}).names())
    assert secured.asked == []


# --- names ---


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("gs://team-reports", ("team-reports", "")),
        ("gs://team-reports/", ("team-reports", "")),
        ("gs://team-reports/a//b/", ("team-reports", "a/b/")),
        ("gs://a.b_c-d/Ä ö", ("a.b_c-d", "Ä ö/")),
    ],
)
def test_a_bucket_and_a_prefix_are_told_apart(to: str, expected: tuple[str, str]) -> None:
    assert split(to) == expected


@pytest.mark.parametrize("to", ["gs://", "gs:///a", "gs://A/b", "gs://ab/../c", "gs://abc/a\nb"])
def test_what_names_no_bucket_is_a_mistake(to: str) -> None:
    with pytest.raises(UsageError):
        split(to)


@given(st.text(max_size=30))
def test_any_text_names_a_bucket_or_is_a_mistake(text: str) -> None:
    try:
        name, prefix = split(f"gs://{text}")
    except UsageError:
        return
    assert name
    assert "/" not in name
    assert prefix == "" or (prefix.endswith("/") and "//" not in prefix and prefix[0] != "/")
