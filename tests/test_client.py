"""The client: what it sends, what it makes of any answer, what it tries again, and what never."""

# A server, a session with it and what it raises are three things, on three lines.
# ruff: noqa: SIM117

import gzip
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from doses import dose
from hypothesis import given, settings
from hypothesis import strategies as st

from jmreport import credentials
from jmreport.client import Client, Patience, authority, send
from jmreport.client.answers import Answer, retry_after
from jmreport.errors import (
    ActionError,
    Exit,
    JmreportError,
    NotOfferedError,
    RefusedError,
    ServerError,
    UnreadableError,
    UsageError,
)
from jmreport.models import QueryJobsRequest
from jmreport.settings import Api

TOKEN = "ya29.canary-token"  # noqa: S105 - a canary that no message may hold
HASTE = Patience(first_wait=0.001, longest_wait=0.01, longest_retry_after=0.05)
JSON = {"Content-Type": "application/json"}
PROBLEM = {"Content-Type": "application/problem+json"}
Reply = tuple[int, Mapping[str, str], bytes]


class Seen:
    """A request as a server saw it."""

    def __init__(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method, self.target, self.body = method, target, body
        self.headers = {name.lower(): value for name, value in headers.items()}


class Served:
    """A real server on loopback: `answer` maps a request to a reply."""

    def __init__(self, answer: Callable[[Seen], Reply]) -> None:
        self.seen: list[Seen] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                seen = Seen(self.command, self.path, dict(self.headers), self.rfile.read(length))
                outer.seen.append(seen)
                status, headers, body = answer(seen)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(b"" if status == 204 else body)

            do_GET = do_POST = _serve  # noqa: N815 - names of the base class

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def served(answer: Callable[[Seen], Reply]) -> Iterator[Served]:
    server = Served(answer)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def raw(*scripts: bytes | None) -> Iterator[str]:
    """A server that answers each connection in turn with these bytes and closes; None resets it."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)

    def serve() -> None:
        for script in scripts:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    connection.recv(65536)
                    if script is None:
                        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    else:
                        connection.sendall(script)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def always(status: int, body: object = b"", headers: Mapping[str, str] = JSON) -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _seen: (status, headers, text)


def in_turn(*replies: Reply) -> Callable[[Seen], Reply]:
    """Each reply once, the last for ever."""
    left = list(replies)
    return lambda _seen: left.pop(0) if len(left) > 1 else left[0]


def client(url: str, *, token: str = "", patience: Patience = HASTE, **api: Any) -> Client:
    credentials = Fixed(token) if token else None
    return Client(Api(url=url, **api), credentials=credentials, patience=patience)


class Fixed:
    """Credentials with tokens in a row; `renew` goes to the next."""

    scopes = ()

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.renewals = 0

    @property
    def held(self) -> str:
        return self._tokens[0]

    def token(self, _send: Any) -> str:
        return self._tokens[0]

    def renew(self, _send: Any, _wait: Any) -> bool:
        self.renewals += 1
        if len(self._tokens) > 1:
            self._tokens.pop(0)
            return True
        return False


@pytest.fixture(scope="module")
def fields() -> Any:
    """The API's facts as a table."""
    return json.loads((Path(__file__).parent / "data" / "fields.json").read_text())


OK: Reply = (200, JSON, b'{"id": "a"}')


# Where the API lies


@pytest.mark.parametrize("given", ["", "/", "/api/v1", "/api/v1/"])
def test_the_address_may_be_given_with_or_without_its_prefix(given: str) -> None:
    def answer(seen: Seen) -> Reply:
        if seen.target == "/api/v1/capabilities":
            return 200, JSON, b'{"displayFields": []}'
        return 404, {"Content-Type": "text/html"}, b"<html>nothing</html>"

    with served(answer) as server, client(server.url + given) as session:
        assert session.probe() == server.url + "/api/v1" == session.address


def test_a_page_that_answers_everything_is_no_job_manager() -> None:
    """A user interface answers 200 with HTML for every address; each one tried is named."""
    page = always(200, b"<!doctype html>", {"Content-Type": "text/html; charset=utf-8"})
    with served(page) as server, client(server.url) as session:
        with pytest.raises(ServerError) as caught:
            session.probe()
    assert f"{server.url}/capabilities: answer is not JSON (text/html)" in caught.value.message
    assert f"{server.url}/api/v1/capabilities: answer is not JSON" in caught.value.message
    assert caught.value.hint


def test_an_api_below_a_root_that_refuses_is_found() -> None:
    def answer(seen: Seen) -> Reply:
        if seen.target.startswith("/api/v1"):
            return 200, JSON, b"{}"
        return 403, {}, b""

    with served(answer) as server, client(server.url) as session:
        assert session.probe().endswith("/api/v1")


def test_a_server_that_lists_jobs_is_one_though_its_capabilities_are_broken() -> None:
    def answer(seen: Seen) -> Reply:
        if seen.target == "/api/v1/jobs/query":
            return 200, JSON, b'{"results": []}'
        return 500, {}, b""

    with served(answer) as server, client(server.url) as session:
        assert session.probe().endswith("/api/v1")
        with pytest.raises(UnreadableError, match="server error 500"):
            session.capabilities()


def test_what_the_probe_read_is_not_asked_for_again() -> None:
    with served(always(200, {"authentication": {"scopes": ["s1"]}})) as server:
        with client(server.url) as session:
            assert not session.scopes
            session.probe()
            assert session.capabilities()["authentication"] == {"scopes": ["s1"]}
            assert session.scopes == ("s1",)
    assert len(server.seen) == 1


def test_a_stopped_server_is_named_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with client(url, tries=2) as session, pytest.raises(ServerError, match="connection refused"):
        session.probe()
    assert session.requests == 2


@pytest.mark.parametrize(
    "url",
    [None, "", "localhost:8190", "ftp://h/", "http://", "http://[::1", "http://h/?q=1",
     "http://h/#/jobs", "http://h:99999"],
)  # fmt: skip
def test_an_address_that_is_none_is_a_usage_error(url: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        Client(Api(url=url))
    assert caught.value.hint


def test_a_password_in_the_address_signs_in_and_is_never_shown() -> None:
    with served(always(401, b"no", {"Content-Type": "text/plain"})) as server:
        url = server.url.replace("http://", "http://me:pass%20word@")
        with client(url) as session, pytest.raises(RefusedError) as caught:
            session.probe()
        assert session.address == server.url
    assert server.seen[0].headers["authorization"] == "Basic bWU6cGFzcyB3b3Jk"
    assert "pass" not in caught.value.message.replace("password", "")


# What is sent


def test_a_token_goes_into_both_headers_and_only_when_there_is_one() -> None:
    with served(always(200, {"results": []})) as server:
        with client(server.url, token=TOKEN) as session:
            session.query(QueryJobsRequest())
        with client(server.url) as session:
            session.query(QueryJobsRequest())
    with_token, without = (seen.headers for seen in server.seen)
    assert with_token["authentication"] == with_token["authorization"] == f"Bearer {TOKEN}"
    assert "authentication" not in without
    assert "authorization" not in without


def test_headers_of_the_settings_are_sent_and_win() -> None:
    own = {"X-Team": "genomes", "authorization": "Basic abc"}
    with served(always(200, {})) as server:
        with client(server.url, token=TOKEN, headers=own) as session:
            session.job("a")
    seen = server.seen[0].headers
    assert seen["x-team"] == "genomes"
    assert seen["authorization"] == "Basic abc"
    assert seen["authentication"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("headers", [{"X-A": "a\r\nX-B: b"}, {"a b": "c"}, {"": "x"}, {"A": "ü"}])
def test_a_header_that_http_cannot_carry_is_a_usage_error(headers: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"api\.headers") as caught:
        client("http://127.0.0.1:1", headers=headers)
    assert "X-B" not in caught.value.message


def test_a_query_leaves_unset_keys_out_and_says_it_is_json() -> None:
    with served(always(200, {"results": []})) as server, client(server.url) as session:
        session.query(QueryJobsRequest(page_size=256, status=("Running",)))
    (seen,) = server.seen
    assert (seen.method, seen.target) == ("POST", "/jobs/query")
    assert seen.headers["content-type"] == "application/json"
    assert json.loads(seen.body) == {"pageSize": 256, "status": ["Running"]}


HOSTILE = ["..", ".", "a/../b", "%2f", "a+b/c", "nul\x00", "é", "a?b#c", "\ud800", "a b", ";", "\\"]


@pytest.mark.parametrize("name", HOSTILE)
def test_an_id_stays_one_segment_of_the_path_whatever_it_holds(name: str) -> None:
    from urllib.parse import unquote_to_bytes

    with served(always(200, {})) as server, client(server.url + "/api/v1") as session:
        session.task_attempts(name, name)
    parts = server.seen[0].target.split("/")
    assert parts[:4] == ["", "api", "v1", "jobs"]
    assert len(parts) == 7
    assert not {"..", "."} & set(parts)
    assert unquote_to_bytes(parts[4]) == name.encode("utf-8", "surrogatepass")


@settings(max_examples=dose(60), deadline=None)
@given(name=st.text(min_size=1, max_size=40), value=st.text(max_size=40))
def test_no_text_leaves_its_place_in_an_address(name: str, value: str) -> None:
    from urllib.parse import parse_qsl, urlsplit

    targets: list[str] = []

    def respond(_m: str, target: str, _h: dict[str, str], _b: bytes) -> Any:
        targets.append(target)
        return 200, dict(JSON), b"{}"

    with Client(Api(url="http://in.invalid"), respond=respond) as session:
        session.job(name)
        session.tail_file(name, value)
    assert targets[0].count("/") == 2
    assert targets[0] not in ("/jobs/..", "/jobs/.")
    pairs = parse_qsl(urlsplit(targets[1]).query, keep_blank_values=True, errors="surrogatepass")
    assert pairs == [("bucket", name), ("object", value)]


def test_an_empty_id_asks_for_nothing() -> None:
    with served(always(200, {})) as server, client(server.url) as session:
        with pytest.raises(UnreadableError, match="empty"):
            session.job("")
    assert server.seen == []


def test_each_operation_asks_where_the_api_says(fields: Any) -> None:
    """Method, path and query of every operation, against the API's own table."""
    with served(always(200, {"labels": {}})) as server, client(server.url) as session:
        session.capabilities()
        session.operation_details("J", "O")
        session.tail_file("B", "F")
        session.query(QueryJobsRequest())
        session.abort("J")
        session.update_labels("J", {"k": "v"})
        session.job("J")
        session.task_attempts("J", "T")
        session.shard_attempts("J", "T", -1)
        session.aggregations("DAYS_7", "P")
        session.health()
    asked = []
    for operation in fields["operations"]:
        path = operation["path"].format(id="J", task="T", index="-1")
        values = {"job": "J", "operation": "O", "bucket": "B", "object": "F",
                  "timeFrame": "DAYS_7", "projectId": "P"}  # fmt: skip
        query = "&".join(
            f"{p['name']}={values[p['name']]}"
            for p in operation["parameters"]
            if p["in"] == "query"
        )
        asked.append((operation["method"], f"{path}?{query}" if query else path))
    assert [(seen.method, seen.target) for seen in server.seen] == asked
    assert {o.name for o in session.operations} == {o["operationId"] for o in fields["operations"]}
    assert all(o.offer == "offered" and o.requests == 1 for o in session.operations)


def test_a_project_is_sent_only_where_one_is_configured() -> None:
    with served(always(200, {})) as server, client(server.url) as session:
        session.aggregations("DAYS_7", None)
    assert server.seen[0].target == "/aggregations?timeFrame=DAYS_7"


# What is made of answers


def why(answer: Callable[[Seen], Reply], **api: Any) -> str:
    with served(answer) as server, client(server.url, tries=1, **api) as session:
        with pytest.raises(UnreadableError) as caught:
            session.job("a")
    return caught.value.message


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((500, JSON, b""), "server error 500"),
        ((500, PROBLEM, b'{"detail": "The server encountered an internal error and x"}'),
         "server error 500"),
        ((500, PROBLEM, b'{"detail": "<Response [401]>"}'), "server error 500"),
        ((404, PROBLEM, b'{"detail": "Unrecognized workflow ID: a"}'),
         "not found (404): Unrecognized workflow ID: a"),
        ((400, {"Content-Type": "text/plain"}, b"bad\x1b[31m uuid\r\n\xe2\x80\xae"),
         "bad request (400): bad [31m uuid"),
        ((502, {"Content-Type": "text/html"}, b"<html><h1>502</h1>"), "bad gateway (502)"),
        ((502, {}, b"<html><h1>502</h1>"), "bad gateway (502)"),
        ((599, {}, b""), "server error 599"),
        ((418, {}, b""), "unexpected status 418"),
        ((403, PROBLEM, b"\xff{"), "access refused (403)"),
        ((404, PROBLEM, b'{"detail": 5, "message": "gone"}'), "not found (404): gone"),
        ((204, JSON, b""), "the server answered nothing (204)"),
        ((200, JSON, b""), "the answer is empty (200)"),
        ((200, JSON, b"  \n"), "the answer is empty (200)"),
        ((200, {"Content-Type": "text/html"}, b"{}"), "answer is not JSON (text/html)"),
        ((200, {"Content-Type": "text/plain"}, b"hello"), "answer is not JSON (text/plain)"),
        ((200, {}, b"hello"), "answer is not JSON (no type)"),
        ((200, JSON, b"[1]"), "answer is JSON, but not an object"),
        ((200, JSON, b"null"), "answer is JSON, but not an object"),
        ((200, JSON, b'{"a": NaN'), "answer is not valid JSON at byte 6"),
        ((200, JSON, b'{"a": 1e400'), "answer is not usable JSON: number out of range"),
        ((200, JSON, b'{"a": "\xff"}'), "answer is not UTF-8 (byte 7)"),
        ((200, JSON, b'{"a":1'), "answer was cut short"),
        ((200, JSON, b'{"a":' + b"[" * 200 + b"]" * 200 + b"}"), "nested more than 100 deep"),
        ((200, JSON, b'{"a":' + b"[" * 99999), "nested more than 100 deep"),
        ((200, {**JSON, "Content-Encoding": "gzip"}, b"not gzip"), "answer cannot be unpacked"),
        ((302, {"Location": "https://u:p@login.example/in?token=x#y"}, b""),
         "redirected (302): to https://login.example/in"),
        ((304, {}, b""), "redirected (304)"),
    ],
)  # fmt: skip
def test_a_useless_answer_says_in_words_why(reply: Reply, words: str) -> None:
    said = why(in_turn(reply))
    assert said == words or (words in said and said.startswith("answer"))


def test_a_long_text_of_a_server_is_cut() -> None:
    assert len(why(always(400, {"detail": "x" * 5000}, PROBLEM))) < 230


@pytest.mark.parametrize(
    ("reply", "tree"),
    [
        ((200, {}, b'{"a": 1}'), {"a": 1}),
        ((200, {"Content-Type": "text/plain"}, b'{"a": 1}'), {"a": 1}),
        ((203, JSON, b' {"a": 1}\n'), {"a": 1}),
        ((200, JSON, b'{"a": 1, "a": 2}'), {"a": 2}),
        ((200, JSON, b'{"a": 1234567890123456789012}'), {"a": 1234567890123456789012}),
        ((200, {**JSON, "Content-Encoding": "gzip"}, gzip.compress(b'{"a": 1}')), {"a": 1}),
    ],
)  # fmt: skip
def test_an_object_is_an_object_whatever_surrounds_it(reply: Reply, tree: Any) -> None:
    with served(in_turn(reply)) as server, client(server.url) as session:
        assert session.job("a") == tree


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b'{"a": "cut \\ud83e"}', "cut \ufffd"),
        (b'{"a": "\\uDD8C half"}', "\ufffd half"),
        (b'{"a": "\\ud83e\\ud83e\\uddec"}', "\ufffd\U0001f9ec"),
        (b'{"a": "\\\\ud83e \\ud83e"}', "\\ud83e \ufffd"),
    ],
    ids=["first half", "second half", "before a whole one", "after an escaped backslash"],
)
def test_half_a_character_costs_no_more_than_itself(sent: bytes, read: str) -> None:
    """Python's servers write half of a cut emoji as an escape; the page is still read."""
    with served(always(200, sent, JSON)) as server, client(server.url) as session:
        assert session.job("a") == {"a": read}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("1e400", "1e400"),
        ("-1e400", "-1e400"),
        ("9" * 400 + ".5", "9" * 400 + ".5"),
        ("9" * 5_000, "9" * 5_000),
        ("NaN", None),
        ("-Infinity", None),
        ('[NaN, "\\ud83e", 2, 0.5, NaN]', [None, "\ufffd", 2, 0.5, None]),
    ],
    ids=["large", "negative", "with a point", "long", "none", "endless", "with half a character"],
)
def test_a_number_that_is_none_costs_no_more_than_itself(sent: str, read: object) -> None:
    """One in a label's value would else take the whole page of the list along."""
    body = f'{{"a": {sent}, "b": [1, 1.5, "NaN"]}}'.encode()
    with served(always(200, body, JSON)) as server, client(server.url) as session:
        assert session.job("a") == {"a": read, "b": [1, 1.5, "NaN"]}


@pytest.mark.parametrize("body", [b"{'a': NaN}", b'{"a": NaN}}', b'{"a": nan}', b'{"a": NaN,}'])
def test_what_is_no_json_is_none_because_of_its_numbers_either(body: bytes) -> None:
    assert "answer is not valid JSON" in why(always(200, body, JSON))


GZIP = {**JSON, "Content-Encoding": "gzip"}


@pytest.mark.parametrize("kept", [1, 5, 12, 25, -9, -1])
def test_a_gzip_that_was_cut_is_no_empty_answer_and_is_asked_for_again(kept: int) -> None:
    """A proxy that lost its upstream ends the body where it is, with a length that fits."""
    packed = gzip.compress(b'{"a": "' + bytes(range(97, 123)) + b'"}')
    replies = in_turn((200, GZIP, packed[:kept]), (200, GZIP, packed))
    with served(replies) as server, client(server.url) as session:
        assert session.job("a") == {"a": "abcdefghijklmnopqrstuvwxyz"}
    assert len(server.seen) == 2
    with served(always(200, packed[:kept], GZIP)) as server, client(server.url) as session:
        with pytest.raises(UnreadableError, match=r"^answer was cut short$"):
            session.job("a")


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b'{"a": ') + gzip.compress(b"1}"),
        gzip.compress(b'{"a": 1}') + b"\0" * 9,
        gzip.compress(b'{"a": 1') + gzip.compress(b" ") * 1200 + gzip.compress(b"}"),
    ],
    ids=["two parts", "a tail of zeros", "many parts"],
)
def test_a_gzip_of_several_parts_or_with_a_tail_is_whole(body: bytes) -> None:
    with served(always(200, body, GZIP)) as server, client(server.url) as session:
        assert session.job("a") == {"a": 1}


def test_what_follows_a_gzip_is_not_waited_for() -> None:
    """It could be of any size; the next request goes over another connection."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 999999999\r\n\r\n"
    answer = head + gzip.compress(b'{"a": 1}') + b"tail"
    with raw(answer, answer, answer) as url, client(url) as session:
        assert [session.job("a"), session.job("a")] == [{"a": 1}, {"a": 1}]


@pytest.mark.parametrize("cut", [1, 2, -21, -20, -19, -10])
def test_a_gzip_may_come_in_any_pieces(cut: int) -> None:
    """Where its second part begins, too."""
    packed = gzip.compress(b'{"a": ') + gzip.compress(b"1}")
    pieces = (packed[:cut], packed[cut:])
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw(*[head + chunks] * 3) as url, client(url) as session:
        assert session.job("a") == {"a": 1}


def test_a_gzip_of_endless_empty_parts_is_refused() -> None:
    """None of them would ever make it too large."""
    with served(always(200, gzip.compress(b"") * 1002, GZIP)) as server:
        with client(server.url) as session:
            with pytest.raises(UnreadableError, match="answer is of too many parts"):
                session.job("a")


@pytest.mark.parametrize("packing", ["gzip, gzip", "deflate", "identity, BR", "deflate,gzip"])
def test_an_answer_is_unpacked_only_as_it_was_asked_for(packing: str) -> None:
    """A gzip within a gzip of 3 KB holds gigabytes, which nothing unpacks piece by piece."""
    twice = gzip.compress(gzip.compress(b'{"a": "' + b"x" * 3_000_000 + b'"}'))
    headers = {**JSON, "Content-Encoding": packing}
    with served(always(200, twice, headers)) as server, client(server.url) as session:
        words = f"answer is packed in a way that was not asked for: {packing}"
        with pytest.raises(UnreadableError, match=f"^{words}$"):
            session.job("a")


def test_what_is_no_success_is_told_by_its_status_however_it_is_packed() -> None:
    replies = in_turn((503, {"Content-Encoding": "br"}, b"x"), (200, JSON, b"{}"))
    with served(replies) as server, client(server.url) as session:
        assert session.job("a") == {}
    with served(always(401, b"x", {"Content-Encoding": "deflate"})) as server:
        with client(server.url) as session, pytest.raises(RefusedError, match="token refused"):
            session.query(QueryJobsRequest())


@pytest.mark.parametrize("packing", ["identity", "utf-8", "", "none"])
def test_an_answer_that_is_not_packed_is_read_as_it_is(packing: str) -> None:
    """Whatever its header calls that."""
    headers = {**JSON, "Content-Encoding": packing}
    with served(always(200, {"a": 1}, headers)) as server, client(server.url) as session:
        assert session.job("a") == {"a": 1}


def test_what_is_no_gzip_though_it_says_so_cannot_be_unpacked() -> None:
    with served(always(200, b'{"a": 1}', GZIP)) as server, client(server.url) as session:
        with pytest.raises(UnreadableError, match="answer cannot be unpacked"):
            session.job("a")


@given(tree=st.dictionaries(st.text(), st.text(max_size=50)), at=st.integers(0, 400))
@settings(max_examples=dose(60), deadline=None)
def test_a_gzip_is_whole_or_it_is_said(tree: dict[str, str], at: int) -> None:
    """Cut anywhere, it is never taken for a shorter answer."""
    packed = gzip.compress(json.dumps(tree).encode())
    with Client(
        Api(url="http://x.invalid/api/v1", tries=1),
        respond=lambda *_: (200, GZIP, packed[:at]),
    ) as session:
        if at >= len(packed):
            assert session.job("a") == tree
            return
        with pytest.raises(UnreadableError) as caught:
            session.job("a")
    assert caught.value.message == ("answer was cut short" if at else "the answer is empty (200)")


def test_a_body_that_is_too_large_is_refused_while_it_comes() -> None:
    small = Patience(largest_body=1024 * 1024)
    bomb = gzip.compress(b'{"a": "' + b"x" * 3_000_000 + b'"}')
    with served(always(200, bomb, {**JSON, "Content-Encoding": "gzip"})) as server:
        with client(server.url, patience=small) as session:
            with pytest.raises(UnreadableError, match="answer is larger than 1 MB"):
                session.job("a")


@settings(max_examples=dose(150), deadline=None)
@given(
    status=st.integers(200, 599),
    media=st.sampled_from(["application/json", "application/problem+json", "text/html", "", ";;"]),
    body=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
            max_leaves=8,
        ).map(lambda tree: json.dumps(tree).encode()),
    ),
)
def test_no_answer_makes_anything_but_an_object_or_a_reason(
    status: int, media: str, body: bytes
) -> None:
    def respond(*_: Any) -> Any:
        return status, {"Content-Type": media}, body

    api = Api(url="http://in.invalid", tries=1)
    with Client(api, respond=respond, patience=HASTE) as session:
        said = [outcome(session.job, "a"), outcome(session.tail_file, "b", "c")]
    assert all(isinstance(one, dict) or 0 < len(one) < 400 for one in said)
    assert all(isinstance(one, dict) or one.isprintable() for one in said)


def outcome(ask: Callable[..., dict[str, Any]], *arguments: str) -> Any:
    """The object, or the reason why there is none."""
    try:
        return ask(*arguments)
    except UnreadableError as error:
        return error.message


@settings(max_examples=40, deadline=None)
@given(junk=st.binary(max_size=120))
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nSet-Cookie: "])
def test_no_bytes_on_the_wire_make_a_traceback(start: bytes, junk: bytes) -> None:
    with raw(start + junk) as url, client(url, tries=1, timeout=5, detail_timeout=5) as session:
        with pytest.raises(UnreadableError):
            session.job("a")


# What is tried again


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    with served(in_turn((status, {}, b""), (status, {}, b""), OK)) as server:
        with client(server.url) as session:
            assert session.job("a") == {"id": "a"}
    assert len(server.seen) == 3
    (job,) = [o for o in session.operations if o.name == "GetJob"]
    assert (job.offer, job.requests, job.failed) == ("offered", 3, 2)


def test_it_gives_up_after_the_tries_it_was_given() -> None:
    with served(always(503)) as server, client(server.url, tries=3) as session:
        with pytest.raises(UnreadableError, match="server unavailable") as caught:
            session.job("a")
    assert len(server.seen) == 3
    assert caught.value.status == 503


@pytest.mark.parametrize("status", [500])
def test_a_500_is_tried_once_more_at_most(status: int) -> None:
    with served(always(status)) as server, client(server.url) as session:
        with pytest.raises(UnreadableError):
            session.job("a")
        with pytest.raises(UnreadableError):
            session.query(QueryJobsRequest())
    assert len(server.seen) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 412, 501])
def test_what_will_not_pass_is_asked_once(status: int) -> None:
    with served(always(status)) as server, client(server.url) as session:
        with pytest.raises(UnreadableError):
            session.job("a")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "broken",
    [b"", None, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"HTTP/1.1 200 OK\r\n\r\n{"],
    ids=["closed", "reset", "cut", "cut without a length"],
)
def test_a_broken_connection_is_tried_again(broken: bytes | None) -> None:
    whole = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"id": "a"}'
    if broken and broken.endswith(b"\r\n\r\n{") and b"Length" not in broken:
        broken = broken.replace(b"OK\r\n", b"OK\r\nContent-Type: application/json\r\n")
    with raw(broken, whole) as url, client(url) as session:
        assert session.job("a") == {"id": "a"}
    assert session.requests == 2


def test_a_server_names_how_long_to_wait() -> None:
    """The server's wish is honoured up to a limit; here the limit is 0.05 s."""
    with served(in_turn((429, {"Retry-After": "3600"}, b""), OK)) as server:
        with client(server.url) as session:
            assert session.job("a") == {"id": "a"}


def test_a_server_that_asks_to_wait_for_a_day_is_waited_for_once() -> None:
    """Over all tries of a request the limit holds, and the reason names both lengths."""
    with served(always(503, b"", {"Retry-After": "86400"})) as server:
        with client(server.url, tries=20) as session:
            began = time.monotonic()
            with pytest.raises(UnreadableError) as caught:
                session.job("a")
    assert len(server.seen) == 2
    assert time.monotonic() - began < 2
    assert caught.value.message == (
        "server unavailable (503); it asks to wait 86400 s, and 0.05 s are waited at most"
    )


def test_the_first_answer_of_all_cannot_hold_up_a_run_for_long() -> None:
    """Only the first address is waited for; the run ends with exit code 4 and says why."""
    patience = Patience(first_wait=0.001, longest_wait=0.01, longest_retry_after=0.3)
    with served(always(503, b"", {"Retry-After": "86400"})) as server:
        with client(server.url, patience=patience) as session:
            began = time.monotonic()
            with pytest.raises(ServerError, match="it asks to wait 86400 s") as caught:
                session.probe()
    assert 0.3 <= time.monotonic() - began < 0.6
    assert caught.value.code == 4


def test_a_server_that_puts_everything_off_is_not_waited_for_by_every_job() -> None:
    """It answers, but as one that has stopped answering."""
    put_off = Patience(first_wait=0.001, longest_retry_after=0.02, outage=0.0, outage_requests=4)
    with served(always(429, b"", {"Retry-After": "3600"})) as server:
        with client(server.url, patience=put_off) as session:
            said = []
            for number in range(20):
                with pytest.raises(UnreadableError) as caught:
                    session.job(f"job-{number}")
                said.append(caught.value.message)
    assert said[0].startswith("too many requests (429); it asks to wait 3600 s")
    assert said[-1] == "the server asks to be left alone for longer than is waited"
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "0"}, 0),
        ({"retry-after": " 12 "}, 12),
        ({"retry-after": "9" * 30}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 02:15:00 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 02:15:00 GMT",
          "date": "Mon, 23 Nov 2026 02:14:00 GMT"}, 60),
        ({"retry-after": "Mon, 23 Nov 2026 02:13:00 GMT",
          "date": "Mon, 23 Nov 2026 02:14:00 GMT"}, 0),
        ({"retry-after": "Mon, 99 Nov 2026", "date": "x"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_silent_server_is_given_up_on() -> None:
    """A time-out may be the work itself, so it is tried once more and not four times."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with client(url, detail_timeout=0.05) as session:
            with pytest.raises(UnreadableError, match=r"no answer within 0\.05 s"):
                session.job("a")
    assert session.requests == 2


def test_an_answer_that_drips_for_ever_is_cut() -> None:
    """Each byte comes in time, the whole never would."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-")
                while not stop.wait(0.02):
                    connection.sendall(b"a")
            except OSError:
                return

    threading.Thread(target=drip, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with client(url, detail_timeout=0.5, patience=Patience(drip=1.0)) as session:
        with pytest.raises(UnreadableError, match=r"answer was not whole within 0\.5 s"):
            session.job("a")
    stop.set()
    listener.close()


def test_a_server_that_went_away_is_not_waited_for_by_every_job() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    gone = Patience(first_wait=0.001, outage=0.0, outage_requests=5)
    with client(url, patience=gone, tries=2) as session:
        said = []
        for number in range(50):
            with pytest.raises(UnreadableError) as caught:
                session.job(f"job-{number}")
            said.append(caught.value.message)
    assert said[0] == "connection refused"
    assert said[-1] == "the server has stopped answering"
    assert session.requests == 5


def test_an_outage_ends_with_the_first_answer() -> None:
    with served(always(200, {})) as server:
        port = server.url
        patience = Patience(first_wait=0.001, outage=0.0, outage_requests=2, outage_look=0.0)
        with client(port, patience=patience, tries=1) as session:
            outage = session._asking._outage  # the state itself: a flapping port is no test
            for _ in range(5):
                outage.unheard()
            assert session.job("a") == {}
            assert session.job("b") == {}


# Redirects


def test_no_redirect_is_followed_and_no_other_host_is_asked() -> None:
    with served(always(200, {"id": "elsewhere"})) as other:
        for status in (301, 302, 303, 307, 308):
            there = always(status, b"", {"Location": other.url + "/jobs/a"})
            with served(there) as server, client(server.url, token=TOKEN) as session:
                with pytest.raises(UnreadableError, match=rf"redirected \({status}\): to http"):
                    session.job("a")
                assert len(server.seen) == 1
        assert other.seen == []


# What the server offers


def details(session: Client) -> dict[str, Any]:
    return session.operation_details("job", "operation")


@pytest.mark.parametrize("status", [204, 405, 501])
def test_what_is_not_offered_is_learnt_at_once_and_not_asked_again(status: int) -> None:
    with served(always(status)) as server, client(server.url) as session:
        for _ in range(5):
            with pytest.raises(NotOfferedError):
                details(session)
    assert len(server.seen) == 1
    (operation,) = [o for o in session.operations if o.name == "GetOperationDetails"]
    assert operation.offer == "not offered"
    assert str(status) in operation.why


@pytest.mark.parametrize("status", [404, 500])
def test_three_failures_in_a_row_with_no_success_mean_not_offered(status: int) -> None:
    with served(always(status)) as server, client(server.url, tries=1) as session:
        for kind in (UnreadableError, UnreadableError, NotOfferedError, NotOfferedError):
            with pytest.raises(UnreadableError) as caught:
                details(session)
            assert type(caught.value) is kind
    assert len(server.seen) == 3


def test_one_success_proves_an_operation_for_good() -> None:
    bad: Reply = (404, {}, b"")
    with served(in_turn(bad, bad, OK, bad, (204, {}, b""), bad)) as server:
        with client(server.url) as session:
            for kind in (UnreadableError, UnreadableError, None, *[UnreadableError] * 6):
                if kind is None:
                    details(session)
                    continue
                with pytest.raises(UnreadableError) as caught:
                    details(session)
                assert type(caught.value) is kind
    assert len(server.seen) == 9


def test_another_refusal_between_breaks_the_row() -> None:
    lost: Reply = (404, {}, b"")
    with served(in_turn(lost, lost, (403, {}, b""), lost, lost, OK)) as server:
        with client(server.url) as session:
            for _ in range(5):
                with pytest.raises(UnreadableError) as caught:
                    details(session)
                assert not isinstance(caught.value, NotOfferedError)
            assert details(session) == {"id": "a"}


def test_a_job_is_never_not_offered() -> None:
    with served(always(404)) as server, client(server.url) as session:
        for _ in range(5):
            with pytest.raises(UnreadableError) as caught:
                session.job("a")
            assert not isinstance(caught.value, NotOfferedError)
    assert len(server.seen) == 5


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((200, JSON, b'{"available": true}'), "available"),
        ((200, JSON, b'{"available": false}'), "not available"),
        ((503, JSON, b'{"available": false}'), "server unavailable (503)"),
        ((500, {"Content-Type": "text/plain"}, b"engine down"), "server error 500: engine down"),
        ((200, JSON, b"{}"), "it does not say whether it is available"),
    ],
)
def test_health_is_a_word_and_asked_once(reply: Reply, words: str) -> None:
    with served(in_turn(reply)) as server, client(server.url) as session:
        assert session.health()[0] == words
    assert len(server.seen) == 1


# Tokens


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_names_headers_and_scopes_and_never_itself(status: int) -> None:
    def answer(seen: Seen) -> Reply:
        if seen.target.endswith("/capabilities"):
            return 200, JSON, b'{"authentication": {"isRequired": true, "scopes": ["openid"]}}'
        said = json.dumps({"detail": f"bad {seen.headers['authentication']}"})
        return status, PROBLEM, said.encode()

    with served(answer) as server, client(server.url, token=TOKEN) as session:
        session.probe()
        with pytest.raises(RefusedError) as caught:
            session.query(QueryJobsRequest())
    message = caught.value.message
    assert "refuses the token" in message
    assert "Authentication and Authorization" in message
    assert "openid" in message
    assert TOKEN not in message
    assert "[taken out]" in message
    assert "JMREPORT_API_TOKEN" in caught.value.hint


def test_a_server_that_asks_for_a_token_is_told_from_one_that_refuses_it() -> None:
    with served(always(401)) as server, client(server.url) as session:
        with pytest.raises(RefusedError, match="asks for a token"):
            session.probe()


def accepting(good: str) -> Callable[[Seen], Reply]:
    return lambda seen: OK if seen.headers["authentication"] == f"Bearer {good}" else (401, {}, b"")


def test_an_expired_token_is_renewed_once_and_the_request_goes_on() -> None:
    credentials = Fixed("old", "new")
    with served(accepting("new")) as server:
        with Client(Api(url=server.url), credentials=credentials, patience=HASTE) as session:
            assert session.job("a") == {"id": "a"}
            assert session.job("b") == {"id": "a"}
    assert credentials.renewals == 1
    assert len(server.seen) == 3


def test_a_token_that_stays_refused_is_not_renewed_for_every_job() -> None:
    credentials = Fixed("one", "two", "three", "four")
    with served(always(401)) as server:
        with Client(Api(url=server.url), credentials=credentials, patience=HASTE) as session:
            for _ in range(5):
                with pytest.raises(UnreadableError, match="token refused"):
                    session.job("a")
    assert credentials.renewals == 1
    assert len(server.seen) == 6


def test_a_token_that_is_written_too_late_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused until then is lost, and nothing more."""
    monkeypatch.setattr(authority, "_BETWEEN", 0.0)
    monkeypatch.setattr(credentials, "_WRITING", 0.0)
    file = tmp_path / "token"
    file.write_text("old")
    found = credentials.find(Api(token_file=str(file)), {}, scopes=())
    with served(accepting("new")) as server:
        with Client(Api(url=server.url), credentials=found, patience=HASTE) as session:
            for content in ("old", ""):
                file.write_text(content)
                with pytest.raises(UnreadableError, match="token refused"):
                    session.job("a")
            file.write_text("new")
            assert session.job("a") == {"id": "a"}


def test_no_token_is_waited_for_beyond_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_WRITING", 60.0)
    file = tmp_path / "token"
    file.write_text("old")
    found = credentials.find(Api(token_file=str(file)), {}, scopes=())
    with served(always(401)) as server:
        with Client(
            Api(url=server.url), credentials=found, until=time.monotonic() + 0.2
        ) as session:
            began = time.monotonic()
            with pytest.raises(UnreadableError, match="token refused"):
                session.job("a")
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("second", ["second-token", 'to/k"e\\n=2+', "first-token-and-more"])
def test_a_token_that_took_anothers_place_is_taken_out_of_every_answer(second: str) -> None:
    """However the server writes it. What takes the first one out knows only that."""

    def answer(seen: Seen) -> Reply:
        given = seen.headers["authorization"]
        if given == "Bearer first-token":
            return 401, {}, b""
        escaped = "".join(c if c.isalnum() else f"\\u{ord(c):04X}" for c in given)
        slashed = json.dumps(given).replace("/", "\\/")
        return 200, JSON, f'{{"a": {slashed}, "b": ["{escaped}", "{given[:9]}"]}}'.encode()

    with served(answer) as server:
        found = Fixed("first-token", second)
        with Client(Api(url=server.url), credentials=found, patience=HASTE) as session:
            for _ in range(2):
                said = {
                    "a": "Bearer [taken out]",
                    "b": ["Bearer [taken out]", f"Bearer {second[:2]}"],
                }
                assert session.job("a") == said


class Meanwhile(str):
    """A token that has something done in another thread when it is next looked at."""

    __slots__ = ("does",)
    does: Callable[[], object] | None

    def _look(self) -> None:
        does, self.does = self.does, None
        if does is not None:
            thread = threading.Thread(target=does, daemon=True)
            thread.start()
            thread.join(0.05)

    def __eq__(self, other: object) -> bool:
        self._look()
        return str.__eq__(self, other)

    __hash__ = str.__hash__

    def __len__(self) -> int:
        self._look()
        return str.__len__(self)


def test_tokens_may_change_while_others_are_looked_for() -> None:
    """Many threads send them and clean what came, one of which renews at any moment."""
    asked = authority.Authority({}, basic="", credentials=None)
    token = Meanwhile("token-of-now")
    token.does = None
    for sent in ("token-at-first", "token-later", token):
        asked.headers(sent, json=False)
    token.does = lambda: asked.headers("token-beside-it", json=False)
    asked.headers("token-after-it", json=False)
    token.does = lambda: asked.headers("token-of-others", json=False)
    answer = Answer(status=200, headers={}, body=b"token-of-now token-later")
    assert asked.clean(answer, token).body == b"[taken out] [taken out]"


def test_secrets_of_headers_are_taken_out_of_what_a_server_repeats() -> None:
    def answer(seen: Seen) -> Reply:
        return 400, {"Content-Type": "text/plain"}, f"key {seen.headers['x-key']}".encode()

    with served(answer) as server, client(server.url, headers={"X-Key": "hush-hush"}) as session:
        with pytest.raises(UnreadableError) as caught:
            session.job("a")
    assert caught.value.message == "bad request (400): key [taken out]"


# Actions


@pytest.mark.parametrize("status", [200, 204])
def test_an_abort_needs_no_body_to_have_worked(status: int) -> None:
    with served(always(status)) as server, client(server.url) as session:
        session.abort("p+j")
    assert (server.seen[0].method, server.seen[0].target) == ("POST", "/jobs/p%2Bj/abort")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 412, 429, 501])
def test_a_refused_action_says_so_and_is_sent_once(status: int) -> None:
    with served(always(status)) as server, client(server.url, token=TOKEN) as session:
        with pytest.raises(ActionError, match="the server refused"):
            session.abort("a")
        with pytest.raises(ActionError, match="the server refused"):
            session.update_labels("a", {"k": "v"})
    assert len(server.seen) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_action_whose_outcome_is_unknown_says_so_and_is_sent_once(status: int) -> None:
    with served(always(status)) as server, client(server.url) as session:
        with pytest.raises(ActionError, match="nobody knows whether it was done") as caught:
            session.abort("a")
    assert len(server.seen) == 1
    assert "read the job again" in caught.value.hint


def test_an_action_cut_off_by_the_network_is_sent_once() -> None:
    with raw(None, b"HTTP/1.1 200 OK\r\n\r\n") as url, client(url) as session:
        with pytest.raises(ActionError, match="nobody knows"):
            session.abort("a")
    assert session.requests == 1


def test_labels_come_back_as_the_server_merged_them() -> None:
    with served(always(200, {"labels": {"k": "v", "attempt": 2}})) as server:
        with client(server.url) as session:
            assert session.update_labels("a", {"k": "v"})[1] == {"k": "v", "attempt": 2}
    assert json.loads(server.seen[0].body) == {"labels": {"k": "v"}}


# Many at a time


def test_threads_share_a_session_and_every_request_is_counted() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with served(always(200, {})) as server, client(server.url) as session:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: session.job(str(n)), range(200)))
    assert session.requests == len(server.seen) == 200
    assert {seen.target for seen in server.seen} == {f"/jobs/{n}" for n in range(200)}


def test_connections_are_used_again() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with served(always(200, {})) as server, client(server.url) as session:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda n: session.job(str(n)), range(60)))
        assert 1 <= len(session._asking._wire._idle) <= 3


def test_a_rate_spaces_requests_evenly() -> None:
    """Ten requests at a hundred a second take nine gaps at least, whatever the machine."""
    with served(always(200, {})) as server, client(server.url, rate=100.0) as session:
        began = time.monotonic()
        for _ in range(10):
            session.job("a")
        assert time.monotonic() - began >= 0.09


def test_closing_wakes_what_waits_and_cuts_what_is_under_way() -> None:
    """A retry an hour away and an answer that never comes both end at once, with a reason."""
    said: list[str] = []
    waiting = threading.Barrier(3)

    def ask(session: Client, name: str) -> None:
        try:
            session.job(name)
        except UnreadableError as error:
            said.append(error.message)

    def answer(seen: Seen) -> Reply:
        waiting.wait(10)
        if seen.target.endswith("later"):
            return 503, {"Retry-After": "3600"}, b""
        threading.Event().wait(60)
        return OK

    patient = Patience(longest_retry_after=3600)
    with served(answer) as server:
        session = client(server.url, patience=patient)
        threads = [
            threading.Thread(target=ask, args=(session, name), daemon=True)
            for name in ("later", "never")
        ]
        for thread in threads:
            thread.start()
        waiting.wait(10)
        while not any(operation.failed for operation in session.operations):
            time.sleep(0.01)
        time.sleep(0.1)  # by now the refused one waits for its next try
        session.close()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
    assert len(said) == 2
    with pytest.raises(UnreadableError, match="stopped"):
        session.job("more")


def test_an_interruption_is_not_swallowed() -> None:
    def respond(*_: Any) -> Any:
        raise KeyboardInterrupt

    with Client(Api(url="http://in.invalid"), respond=respond) as session:
        with pytest.raises(KeyboardInterrupt):
            session.job("a")
        with pytest.raises(KeyboardInterrupt):
            session.probe()


# In process, and by itself


def test_a_server_in_process_is_asked_as_one_behind_a_socket_is() -> None:
    asked: list[tuple[str, str, bytes]] = []

    def respond(method: str, target: str, headers: dict[str, str], body: bytes) -> Any:
        asked.append((method, target, body))
        assert headers["content-type"] == "application/json"
        return 200, {"Content-Type": "application/json"}, b'{"results": []}'

    with Client(Api(url="http://in.invalid/api/v1"), respond=respond) as session:
        assert session.query(QueryJobsRequest(page_size=2)) == {"results": []}
    assert asked == [("POST", "/api/v1/jobs/query", b'{"pageSize":2}')]


def test_the_environments_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with served(always(200, {"id": "by proxy"})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        with client("http://jobs.invalid/api/v1") as session:
            assert session.job("a") == {"id": "by proxy"}
    assert proxy.seen[0].target == "http://jobs.invalid/api/v1/jobs/a"


@pytest.mark.parametrize(
    "text", ["[" * 300, "{" * 300, '\\"[' * 300, "]" * 300, "\\\\", "[]{}" * 300]
)
def test_brackets_in_a_text_make_no_answer_too_deep(text: str) -> None:
    body = b'{"id":"a","name":"%s"}' % text.encode()
    with served(always(200, body)) as server, client(server.url) as session:
        assert session.job("a") == json.loads(body)


def test_an_answer_may_be_a_hundred_deep() -> None:
    """But no deeper, whatever stands beside it."""

    def nested(depth: int) -> bytes:
        inner = depth - 1
        return b'{"a":' + b"[" * inner + b"1" + b"]" * inner + b',"b":"]]"}'

    with served(in_turn((200, JSON, nested(100)), (200, JSON, nested(101)))) as server:
        with client(server.url) as session:
            assert session.job("a")["b"] == "]]"
            with pytest.raises(UnreadableError, match="nested more than 100 deep"):
                session.job("a")


def test_an_address_that_no_proxy_is_for_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with served(always(200, {"id": "by proxy"})) as proxy, served(always(200, {"id": "a"})) as own:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url)
        with client(own.url) as session:
            assert session.job("a") == {"id": "a"}
    assert proxy.seen == []


@pytest.mark.parametrize("proxied", [False, True])
def test_a_balancers_cookie_is_sent_back_over_the_connection_that_got_it(
    monkeypatch: pytest.MonkeyPatch, *, proxied: bool
) -> None:
    """By it a balancer tells which of its servers has answered so far."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with served(always(200, {"id": "a"}, {"Set-Cookie": "to=server-2; Path=/"})) as server:
        if proxied:
            for name in ("HTTP_PROXY", "http_proxy"):
                monkeypatch.setenv(name, server.url)
        with client(server.url) as session:
            assert session.job("a") == session.job("a") == {"id": "a"}
    assert [seen.headers.get("cookie") for seen in server.seen] == [None, "to=server-2"]


def test_a_proxy_that_cannot_be_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://p")
    monkeypatch.setenv("http_proxy", "gopher://p")
    with client("http://jobs.invalid") as session, pytest.raises(UsageError, match="proxy"):
        session.job("a")


def test_send_makes_one_request_and_follows_nothing() -> None:
    with served(always(307, b"x", {"Location": "/b", "X-A": "1"})) as server:
        status, headers, body = send("POST", server.url + "/a", {"X-B": "2"}, b"hello", 5.0)
    assert (status, headers["x-a"], body) == (307, "1", b"x")
    assert server.seen[0].body == b"hello"
    assert len(server.seen) == 1
    with pytest.raises(UnreadableError, match="connection refused"):
        send("GET", server.url, {}, None, 5.0)


# https


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file, signed by nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def secured(server: Served, certificate: Path) -> str:
    """The server's address once it speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listening = server._server.socket
    server._server.socket = context.wrap_socket(
        listening, server_side=True, do_handshake_on_connect=False
    )
    return server.url.replace("http:", "https:")


def test_a_certificate_that_is_not_trusted_is_named_and_not_tried_again(certificate: Path) -> None:
    with served(always(200, {})) as server, client(secured(server, certificate)) as session:
        with pytest.raises(UnreadableError, match="its certificate is not trusted"):
            session.job("a")
        assert session.requests == 1
        with pytest.raises(ServerError, match="its certificate is not trusted") as caught:
            session.probe()
    assert caught.value.hint == "name the file of whoever signed it in SSL_CERT_FILE"
    assert server.seen == []


def test_a_certificate_that_the_environment_trusts_is_trusted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with served(always(200, {"id": "a"})) as server:
        with client(secured(server, certificate), token=TOKEN) as session:
            assert session.job("a") == session.job("a") == {"id": "a"}


def test_certificates_that_were_renewed_are_read_again(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are read once by all who ask, until then."""
    trusted = tmp_path / "trusted.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    trusted.write_text(Path(certifi.where()).read_text())
    with served(always(200, {"id": "a"})) as server:
        address = secured(server, certificate)
        with client(address, tries=1) as session:
            with pytest.raises(UnreadableError, match="its certificate is not trusted"):
                session.job("a")
        trusted.write_bytes(certificate.read_bytes())
        with client(address) as session:
            assert session.job("a") == {"id": "a"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere.pem", "No such file or directory"),
        ("empty.pem", "no certificate is in it"),
        ("", "Is a directory"),
    ],
)
def test_certificates_that_cannot_be_read_are_named(
    name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.pem").write_text("none yet\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / name))
    words = f"SSL_CERT_FILE names cannot be read: .*{why}"
    with pytest.raises(JmreportError, match=words) as caught:
        client("http://127.0.0.1:9")
    assert caught.value.code == Exit.FAILED


def test_of_several_folders_of_certificates_those_that_are_there_are_trusted(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = tmp_path / "none", tmp_path / "some"
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(map(str, folders)))
    folders[1].mkdir()
    with served(always(200, {"id": "a"})) as server:
        address = secured(server, certificate)
        with client(address, tries=1) as session:
            with pytest.raises(UnreadableError, match="its certificate is not trusted"):
                session.job("a")
        # By the name that OpenSSL looks for.
        asked = ["openssl", "x509", "-noout", "-hash", "-in", str(certificate)]
        name = subprocess.check_output(asked, text=True).strip()  # noqa: S603
        (folders[1] / f"{name}.0").write_bytes(certificate.read_bytes())
        with client(address) as session:
            assert session.job("a") == {"id": "a"}


def test_an_https_address_of_a_plain_server_says_so() -> None:
    with served(always(200, {})) as server:
        with client(server.url.replace("http:", "https:"), tries=1) as session:
            with pytest.raises(UnreadableError, match="no secure connection"):
                session.job("a")


def test_what_httpx_shows_on_a_terminal_is_not_loaded() -> None:
    """It takes a tenth of a second before the first request. Others may load it all the same."""
    import subprocess
    import sys

    code = (
        "import sys, jmreport.client.wire; print({'rich', 'pygments', 'click'} & {*sys.modules}); "
        "import httpx._main; print(callable(httpx._main.main))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert done.stdout.split() == ["set()", "True"]


def test_importing_the_client_loads_no_network_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys, jmreport.client, jmreport.credentials; "
        "print([m for m in ('httpx', 'httpcore', 'google.auth', 'tenacity') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert done.stdout.strip() == "[]"
