"""The built-in server on a port: keep-alive, several clients, and no request that breaks it."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from demo_cases import NOW, get, in_status, query

from jmreport.collectors.demo import Demo, Server, serve


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(Demo(now=NOW, jobs=60), port=0) as running:
        yield running


def fetch(url: str, body: bytes | None = None) -> tuple[int, Mapping[str, str], bytes]:
    request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - http, ours
    try:
        with urlopen(request, timeout=10) as answer:  # noqa: S310 - http, ours
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as error:
        return error.code, dict(error.headers), error.read()


def say(server: Server, raw: bytes) -> bytes:
    """What comes back for raw bytes, until the server hangs up or has nothing more to say."""
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        found = b""
        while part := connection.recv(65_536):
            found += part
    return found


def test_it_answers_under_its_url(server: Server) -> None:
    assert server.url == f"http://127.0.0.1:{server.port}/api/v1"
    status, headers, raw = fetch(f"{server.url}/health")
    assert (status, json.loads(raw)) == (200, {"available": True})
    assert headers["Content-Type"] == "application/json"
    status, _, raw = fetch(f"{server.url}/jobs/query", b'{"pageSize": 3}')
    assert len(json.loads(raw)["results"]) == 3


def test_the_bytes_are_those_of_the_callable(server: Server) -> None:
    fresh = Demo(now=NOW, jobs=60)
    job_id = in_status(fresh, "Failed")
    assert fetch(f"{server.url}/jobs/{job_id}")[2] == get(fresh, f"/jobs/{job_id}").raw


def test_its_date_is_the_demos_now(server: Server) -> None:
    """So that a client which compares clocks finds them agreeing."""
    date = fetch(f"{server.url}/health")[1]["Date"]
    assert parsedate_to_datetime(date) == NOW


def test_a_clock_moves_its_time_on() -> None:
    times = iter(NOW + timedelta(hours=n) for n in range(10))
    demo = Demo(now=NOW, jobs=60)
    with serve(demo, port=0, clock=lambda: next(times)) as server:
        for _ in range(4):
            fetch(f"{server.url}/health")
    assert demo.now == NOW + timedelta(hours=3)


def test_a_connection_is_kept_for_many_requests(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    sockets = set()
    for _ in range(20):
        connection.request("POST", "/api/v1/jobs/query", b"{}")
        assert connection.getresponse().read()
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1


def test_small_answers_are_not_held_back(server: Server) -> None:
    """Nothing waits for the other side's delayed acknowledgement (40 ms each)."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    fastest = 1.0
    for _ in range(30):
        begun = time.perf_counter()
        connection.request("POST", "/api/v1/jobs/query", b'{"pageSize": 1}')
        connection.getresponse().read()
        fastest = min(fastest, time.perf_counter() - begun)
    connection.close()
    assert fastest < 0.03


def test_dsub_closes_each_connection_and_shouts_its_reasons() -> None:
    with serve(Demo(now=NOW, jobs=5, like="dsub"), port=0) as server:
        raw = say(server, b"GET /api/v1/jobs/x HTTP/1.1\r\nHost: a\r\n\r\n")
        head = raw.partition(b"\r\n\r\n")[0]
        assert head.startswith(b"HTTP/1.1 400 BAD REQUEST\r\n")
        assert b"Server: gunicorn/19.8.1" in head
        assert b"Connection: close" in head


def test_cromwell_writes_lower_case_and_204_without_a_body() -> None:
    with serve(Demo(now=NOW, jobs=5, like="cromwell"), port=0) as server:
        request = b"GET /api/v1/jobs/tailFile?bucket=a&object=b HTTP/1.1\r\nHost: a\r\n\r\n"
        head, _, body = say(server, request).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 204 No Content\r\n")
        assert {line.partition(b":")[0] for line in head.splitlines()[1:]} == {
            b"server", b"content-type", b"date",
        }  # fmt: skip
        assert body == b""


def test_redirects_name_the_address_that_was_asked() -> None:
    with serve(Demo(now=NOW, jobs=5, like="cromwell"), port=0) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("GET", "/api/v1/capabilities/")
        answer = connection.getresponse()
        connection.close()
        assert answer.status == 307
        assert answer.headers["location"] == f"{server.url}/capabilities"


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /api/v1/health HTTP/9.9\r\n\r\n",
        b"GET /api/v1/health HTTP/x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"GET /\xff\xfe\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /api/v1/jobs/query HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /api/v1/jobs/query HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/jobs/query HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST /api/v1/jobs/query HTTP/1.1\r\nContent-Length: 50\r\n\r\n{}",
        b"POST /api/v1/jobs/query HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /api/v1/jobs/query HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"BREW /api/v1/health HTTP/1.1\r\n\r\n",
    ],
)
def test_a_malformed_request_is_refused_and_the_next_one_answered(
    server: Server, raw: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """Never with a traceback, to the client or on the terminal, and never with a success."""
    answer = say(server, raw)
    assert b"Traceback" not in answer
    assert not answer.startswith(b"HTTP/1.1 200")
    assert fetch(f"{server.url}/health")[0] == 200
    assert capfd.readouterr().err == ""


def test_bodies_sent_in_pieces_are_read(server: Server) -> None:
    raw = (
        b"POST /api/v1/jobs/query HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'5\r\n{"pag\r\n9;x=y\r\neSize": 2\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n'
    )
    body = say(server, raw).partition(b"\r\n\r\n")[2]
    assert len(json.loads(body)["results"]) == 2


def test_a_client_that_leaves_in_the_middle_is_nobodys_fault(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.sendall(b"POST /api/v1/jobs/query HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert fetch(f"{server.url}/health")[0] == 200
    assert capfd.readouterr().err == ""


def test_many_clients_at_once_get_their_own_answers(server: Server) -> None:
    ids = [row["id"] for row in query(Demo(now=NOW, jobs=60))["results"]]
    wrong: list[str] = []

    def client(number: int) -> None:
        for job_id in ids[number::4]:
            answered = json.loads(fetch(f"{server.url}/jobs/{job_id}")[2])["id"]
            wrong.extend([answered] * (answered != job_id))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert wrong == []
    assert isinstance(server.demo, Demo)
    assert server.demo.requests.count("GetJob") == 60


def test_anything_that_responds_can_be_served() -> None:
    """Something that stands before a demo, such as one that breaks every third answer."""

    class Teapot:
        def respond(
            self, method: str, target: str, _: Mapping[str, str], body: bytes, /
        ) -> tuple[int, dict[str, str], bytes]:
            return 418, {"Content-Type": "text/plain"}, f"{method} {target}".encode() + body

    with serve(Teapot(), port=0) as server:
        status, headers, raw = fetch(f"http://127.0.0.1:{server.port}/pot?size=2", b"x")
    assert (status, raw) == (418, b"POST /pot?size=2x")
    assert headers["Content-Length"] == "17"
    assert abs(parsedate_to_datetime(headers["Date"]) - datetime.now(UTC)) < timedelta(minutes=1)


def ask_again(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/api/v1/health")
    connection.getresponse()


def test_a_closed_server_answers_nobody_and_its_port_is_free() -> None:
    with serve(Demo(now=NOW, jobs=5), port=0) as server:
        port = urlsplit(server.url).port or 0
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        kept.request("GET", "/api/v1/health")
        kept.getresponse().read()
    server.close()
    with pytest.raises((OSError, http.client.HTTPException)):
        ask_again(kept)
    kept.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 1)
    with serve(Demo(now=NOW, jobs=5), port=port) as again:
        assert fetch(f"{again.url}/health")[0] == 200


def test_it_can_answer_in_the_callers_own_thread() -> None:
    server = serve(Demo(now=NOW, jobs=5), port=0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert fetch(f"{server.url}/health")[0] == 200
    server.close()
    thread.join(5)
    assert not thread.is_alive()
