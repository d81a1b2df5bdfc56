"""How the Client asks: paced, counted, with a token that is renewed once, and again where it helps.

read   an object, from an operation that may be repeated
once   the bare answer, sent a single time over a fresh connection: for actions
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from jmreport.client import answers
from jmreport.client.answers import Answer, Respond, Trouble
from jmreport.client.authority import Authority
from jmreport.client.offers import Name, Offers
from jmreport.client.patience import STOPPED, Deadline, Outage, Pace, Patience, persist
from jmreport.errors import UnreadableError
from jmreport.gaps import PUT_OFF

_log = logging.getLogger("jmreport.client")


class Asking:
    """One session's requests. Thread-safe."""

    def __init__(
        self,
        authority: Authority,
        *,
        tries: int,
        rate: float,
        respond: Respond | None,
        patience: Patience,
        deadline: Deadline,
    ) -> None:
        # Here and not above: a program that only renders pages never loads a network library.
        from jmreport.client.wire import Wire

        self.offers = Offers()
        self._authority = authority
        self._tries = tries
        self._patience = patience
        self._deadline = deadline
        self._stopping = threading.Event()
        self._pace = Pace(rate, self._stopping)
        self._outage = Outage(patience)
        self._wire = Wire(
            respond=respond, patience=patience, stopping=self._stopping, deadline=deadline
        )

    def close(self) -> None:
        """Wake whoever waits, cut what is under way; nothing more is sent."""
        self._stopping.set()
        self._wire.close()

    def read(
        self,
        name: Name,
        method: str,
        url: str,
        *,
        timeout: float,
        body: bytes | None = None,
        tries: int | None = None,
    ) -> dict[str, Any]:
        """The object that an operation answers with; a Trouble when it never does."""

        def attempt() -> dict[str, Any]:
            return self._attempt(name, method, url, body, timeout)

        return persist(
            attempt,
            tries=tries or self._tries,
            patience=self._patience,
            stopping=self._stopping,
            deadline=self._deadline,
        )

    def once(
        self, name: Name, method: str, url: str, *, timeout: float, body: bytes | None
    ) -> Answer:
        """The answer to an action if it succeeded; a Trouble when it did not, or nobody knows.

        Never sent again, not even with another token: an action might then happen twice.
        """
        self._pace.wait()
        began = time.monotonic()
        try:
            token = self._authority.token(self._for_a_token)
            answer = self._sent(token, method, url, body, timeout, fresh=True)
            if not 200 <= answer.status < 300:
                raise answers.refused(answer)
        except Trouble:
            self.offers.sent(name, seconds=time.monotonic() - began, usable=False)
            raise
        self.offers.sent(name, seconds=time.monotonic() - began, usable=True)
        return answer

    def _attempt(
        self, name: Name, method: str, url: str, body: bytes | None, timeout: float
    ) -> dict[str, Any]:
        """One try: with a token that was refused, and its renewal, it is two requests."""
        token = self._token()
        try:
            return self._counted(name, token, method, url, body, timeout)
        except Trouble as trouble:
            if trouble.status != 401 or not self._renewed(token):
                raise
        return self._counted(name, self._token(), method, url, body, timeout)

    def _token(self) -> str:
        """The token to send, when it is this request's turn; a Trouble where nothing may be sent.

        Whoever gives tokens may be silent too: nobody waits for one that there is no time to use,
        and an outage of theirs is one of the server's.
        """
        self._deadline.check()
        self._pace.wait()
        self._outage.check()
        self._deadline.check()
        try:
            return self._authority.token(self._for_a_token)
        except Trouble as trouble:
            self._outage.unheard(trouble.why)
            raise

    def _renewed(self, token: str) -> bool:
        """Whether there is another token than this refused one."""

        def wait(seconds: float) -> None:
            self._stopping.wait(self._deadline.before(seconds))

        return self._authority.renewed(token, self._for_a_token, wait)

    def _for_a_token(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> tuple[int, dict[str, str], bytes]:
        """One request to whoever gives tokens; UnreadableError with why it brought nothing.

        A session that is stopped, or whose time is up, is a Trouble, which no library that asks for
        tokens takes for one of the network: such are tried again.
        """
        self._may_go_on()
        try:
            answer = self._wire.exchange(method, url, headers, body, timeout=timeout)
        except Trouble as trouble:
            self._may_go_on()
            raise UnreadableError(trouble.why) from trouble
        return answer.status, answer.headers, answer.body

    def _may_go_on(self) -> None:
        if self._stopping.is_set():
            raise Trouble(STOPPED)
        self._deadline.check()

    def _counted(
        self, name: Name, token: str, method: str, url: str, body: bytes | None, timeout: float
    ) -> dict[str, Any]:
        self._deadline.check()
        began = time.monotonic()
        try:
            tree = answers.tree(self._sent(token, method, url, body, timeout))
        except Trouble as trouble:
            took = time.monotonic() - began
            self.offers.sent(name, seconds=took, usable=False)
            # Without the query: it names files, and they are named after samples.
            shown = answers.plain(url.partition("?")[0])
            _log.debug("%s %s: %s", method, shown, trouble.why)
            raise
        self.offers.sent(name, seconds=time.monotonic() - began, usable=True)
        return tree

    def _sent(
        self,
        token: str,
        method: str,
        url: str,
        body: bytes | None,
        timeout: float,
        *,
        fresh: bool = False,
    ) -> Answer:
        headers = self._authority.headers(token, json=body is not None)
        try:
            answer = self._wire.exchange(method, url, headers, body, timeout=timeout, fresh=fresh)
        except Trouble:
            self._outage.unheard()
            raise
        self._hear(answer)
        return self._authority.clean(answer, token)

    def _hear(self, answer: Answer) -> None:
        """An answer came; one that puts everything off is no better than none."""
        after = answers.retry_after(answer.headers) if answer.status in (429, 503) else None
        if (after or 0.0) > self._patience.longest_retry_after:
            self._outage.unheard(PUT_OFF)
        else:
            self._outage.heard()
