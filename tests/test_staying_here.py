"""Tests stay on this machine, and say plainly what they lack."""

import socket
import urllib.request

import pytest
from conftest import OutsideError, is_here, lacking


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("8.8.8.8", 53), ("::ffff:192.0.2.1", 80)])
def test_no_socket_leaves_this_machine(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as connection, pytest.raises(OutsideError):
        connection.connect(address)
    with socket.socket(family) as connection, pytest.raises(OutsideError):
        connection.connect_ex(address)
    with socket.socket(family, socket.SOCK_DGRAM) as datagrams, pytest.raises(OutsideError):
        datagrams.sendto(b"x", address)


def test_no_name_is_looked_up() -> None:
    with pytest.raises(OutsideError):
        socket.getaddrinfo("example.org", 80)
    with pytest.raises(OutsideError):
        urllib.request.urlopen("http://example.org/")


def test_loopback_is_open() -> None:
    """Real servers on 127.0.0.1 are what most tests talk to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
        socket.create_connection(("localhost", server.getsockname()[1])).close()


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        (b"127.0.0.1", True),
        (None, True),
        ("127.0.0.1.example.org", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound
        ("10.0.0.1", False),
    ],
)
def test_only_loopback_is_here(host: object, here: bool) -> None:
    assert is_here(host) is here


def test_what_is_lacking_is_skipped_with_a_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JMREPORT_TESTS_COMPLETE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs a piano: buy one"):
        lacking("a piano", "buy one")


def test_what_is_lacking_fails_where_everything_must_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JMREPORT_TESTS_COMPLETE", "1")
    with pytest.raises(pytest.fail.Exception, match="piano"):
        lacking("a piano", "buy one")
