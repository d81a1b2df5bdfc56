"""Serving the application: one port, patience for nobody who dawdles, and an end that is whole."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from jmreport.actions.server import App
from jmreport.errors import UsageError

#: Seconds a connection may take for the head of its first request, and be idle between two.
HEAD_SECONDS, IDLE_SECONDS = 10.0, 15
#: Connections at a time; more are told to come again.
MOST_CONNECTIONS = 1_000
_HEAD_BYTES = 64 * 1024


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UsageError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot listen on {host} port {port}: {why}",
            hint="give another --port, or 0 for any free one",
        ) from error
    listening.listen(256)
    return listening


class Serving:
    """A server on a socket that listens already.

    `refused` hears of what is no HTTP (why, and of whom), `stopping` that no new work is to begin.
    Forms under way end first when it is stopped, for `patience` seconds at most.
    """

    def __init__(
        self,
        app: App,
        listening: socket.socket,
        *,
        refused: Callable[[str, str], None],
        stopping: Callable[[], None],
        patience: float,
    ) -> None:
        # Its lines name addresses with their queries, and so start tokens.
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        config = uvicorn.Config(
            app,
            http=_impatient(refused),
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=round(patience) + 1,
            h11_max_incomplete_event_size=_HEAD_BYTES,
        )
        self._listening, self._stopping = listening, stopping
        self._server = _Server(config, stopping)

    def run(self) -> None:
        """Answer until `stop`, or until SIGINT, SIGTERM or SIGHUP comes."""
        with closing(self._listening), self._hung_up():
            try:
                self._server.run(sockets=[self._listening])
            except KeyboardInterrupt:
                return  # uvicorn raises the signal again once everything has ended

    def stop(self) -> None:
        """End it from another thread."""
        self._stopping()
        self._server.should_exit = True

    @contextmanager
    def _hung_up(self) -> Iterator[None]:
        """A terminal that is closed ends it as well as Ctrl-C does."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGHUP)
        if before != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, lambda *_: self.stop())
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._stopping()
        super().handle_exit(sig, frame)


def _impatient(refused: Callable[[str, str], None]) -> type[H11Protocol]:
    """Connections that say what they want at once, or are closed."""

    class Impatient(H11Protocol):
        _waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its base
            super().connection_made(transport)
            self._waiting = self.loop.call_later(HEAD_SECONDS, self._too_slow)

        def connection_lost(self, exc: Exception | None) -> None:
            self._heard()
            super().connection_lost(exc)

        def handle_events(self) -> None:
            super().handle_events()
            if self.scope is not None:
                self._heard()

        def send_400_response(self, msg: str) -> None:
            self._heard()
            refused("it is not HTTP", self._peer())
            super().send_400_response(msg)

        def _heard(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _too_slow(self) -> None:
            refused("its head did not come in time", self._peer())
            self.transport.close()

        def _peer(self) -> str:
            return self.client[0] if self.client else ""

    return Impatient
