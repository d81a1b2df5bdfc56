"""Sending: one session with an SMTP server after another, until all is sent or patience ends.

What a server answers decides: 2 is taken, 4 is tried again, 5 is refused. Between the 354 to DATA
and the answer to the mail's end nobody knows, so that moment stands in the spool before it begins.
"""

import base64
import re
import smtplib
import socket
import ssl
import time
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from jmreport.errors import DeliveryError
from jmreport.mail.spool import Parcel, Spool
from jmreport.mailboxes import MailServer

#: How TLS begins: asked for, from the first byte, or never.
Tls = Literal["starttls", "from the start", "none"]
#: Seconds between the first two tries; each pause is twice the one before it, up to a minute.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
#: Characters of a server's answer that are told.
_ANSWER = 200
#: A message too large for the server, which no other session will change.
_TOO_LARGE = 552
_GO_ON = 354
_LEAVING = 421


class Server(Struct, frozen=True, kw_only=True):
    """The server, and whom to log in as: `password` is in no message and no log."""

    at: MailServer
    tls: Tls = "starttls"
    user: str = ""
    password: str = ""
    timeout: float = 30.0

    def __repr__(self) -> str:
        return f"Server({self.at})"


class TroubleError(DeliveryError):
    """Why a server takes no mails now; `passing` is worth another try in this run."""

    def __init__(self, why: str, *, passing: bool) -> None:
        super().__init__(why)
        self.passing = passing


class Delivered(Struct, frozen=True, kw_only=True):
    """What came of it: the mails as they are now, and why the last session brought no more."""

    parcels: tuple[Parcel, ...]
    trouble: str = ""


def deliver(
    spool: Spool,
    server: Server,
    parcels: Sequence[Parcel],
    *,
    patience: float,
    told: Callable[[str], None],
) -> Delivered:
    """Send what waits; try again what may pass, for `patience` seconds. Keeps every step."""
    until, pause = time.monotonic() + patience, FIRST_PAUSE
    left = {parcel.name: parcel for parcel in parcels}
    while any(parcel.waits for parcel in left.values()):
        trouble = _round(spool, server, left)
        if not any(parcel.waits for parcel in left.values()):
            break
        why = trouble.message if trouble else "it asks to be tried later"
        if (trouble and not trouble.passing) or time.monotonic() + pause > until:
            return Delivered(
                parcels=tuple(left.values()), trouble=trouble.message if trouble else ""
            )
        told(f"{server.at}: {why}; tried again in {pause:.0f} s")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    return Delivered(parcels=tuple(left.values()))


def probe(server: Server) -> str:
    """What the server calls itself, after TLS and a login, and with nothing sent.

    Raises TroubleError.
    """
    with _Session(server) as session:
        return session.greeting


def _round(spool: Spool, server: Server, left: dict[str, Parcel]) -> TroubleError | None:
    """One session with the server for everything that waits; what hindered it."""
    try:
        with _Session(server) as session:
            for name, parcel in left.items():
                if parcel.waits:
                    _Sending(session, spool, left, name).send()
    except TroubleError as trouble:
        return trouble
    return None


class _Session:
    """A connection that mails can be given to. Raises TroubleError wherever it cannot be had."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._smtp: smtplib.SMTP | None = None
        self.greeting = ""

    def __enter__(self) -> "_Session":
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def smtp(self) -> smtplib.SMTP:
        assert self._smtp is not None  # it is open
        return self._smtp

    def close(self) -> None:
        if self._smtp is not None:
            try:
                self._smtp.quit()
            except (OSError, smtplib.SMTPException):
                self._smtp.close()
            self._smtp = None

    def _open(self) -> None:
        server = self._server
        try:
            smtp = self._smtp = self._made()
            # The constructor does not connect without a host, so that a half-open one is closed.
            code, reply = smtp.connect(server.at.host, server.at.port)
            self._expect(code, reply, "greets with")
            self.greeting = said(reply)
            smtp.ehlo_or_helo_if_needed()
            if server.tls == "starttls":
                smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo()
            if server.user:
                smtp.login(server.user, server.password)
        except (OSError, smtplib.SMTPException) as error:
            raise self.trouble(error) from None

    def _made(self) -> smtplib.SMTP:
        server = self._server
        if server.tls == "from the start":
            context = ssl.create_default_context()
            made: smtplib.SMTP = smtplib.SMTP_SSL(
                local_hostname=_own_name(), timeout=server.timeout, context=context
            )
        else:
            made = smtplib.SMTP(local_hostname=_own_name(), timeout=server.timeout)
        # What smtplib checks a certificate's name against, where connect is called by itself.
        made._host = server.at.host  # type: ignore[attr-defined]  # set by its constructor only
        return made

    def _expect(self, code: int, reply: bytes, what: str) -> None:
        if not 200 <= code < 300:
            raise TroubleError(f"{what} {self.answer(code, reply)}", passing=not 500 <= code < 600)

    def answer(self, code: int, reply: bytes | str) -> str:
        """A server's answer as a message may show it."""
        return self.clean(f"{code} {said(reply)}".strip())

    def clean(self, text: str) -> str:
        """Text without the password, in any form in which it was sent."""
        password = self._server.password
        if not password:
            return text
        user = self._server.user
        raw = password.encode("utf-8", "surrogatepass")
        plain = b"\0" + user.encode("utf-8", "surrogatepass") + b"\0" + raw
        forms = (password, *(base64.b64encode(form).decode().rstrip("=") for form in (raw, plain)))
        for form in forms:
            text = text.replace(form, "[taken out]")
        return text

    def trouble(self, error: OSError | smtplib.SMTPException) -> TroubleError:
        """An error of the connection in words; nothing of what we said is in them."""
        match error:
            case smtplib.SMTPAuthenticationError():
                return TroubleError(
                    f"refuses the login of mail.user: {self._told(error)}",
                    passing=400 <= error.smtp_code < 500,
                )
            case smtplib.SMTPResponseException():
                return TroubleError(
                    f"answers {self._told(error)}", passing=not 500 <= error.smtp_code < 600
                )
            case smtplib.SMTPServerDisconnected() if isinstance(error.__context__, TimeoutError):
                return TroubleError(self._silence, passing=True)
            case smtplib.SMTPServerDisconnected():
                return TroubleError("the connection was closed", passing=True)
            case smtplib.SMTPNotSupportedError():
                what = "login" if "AUTH" in str(error) or "authent" in str(error) else "STARTTLS"
                return TroubleError(f"offers no {what}", passing=False)
            case ssl.SSLCertVerificationError():
                return TroubleError(
                    f"its certificate is not right: {error.verify_message}", passing=False
                )
            case ssl.SSLError():
                return TroubleError(f"TLS fails: {error.reason or error}", passing=False)
            case socket.gaierror():
                return TroubleError(f"host not found: {error.strerror}", passing=True)
            case TimeoutError():
                return TroubleError(self._silence, passing=True)
            case OSError():
                return TroubleError((error.strerror or "connection failed").lower(), passing=True)
        return TroubleError(self.clean(said(str(error))), passing=False)

    @property
    def _silence(self) -> str:
        return f"no answer in {self._server.timeout:g} s"

    def _told(self, error: smtplib.SMTPResponseException) -> str:
        return self.answer(error.smtp_code, error.smtp_error)


class _Sending:
    """One mail on its way: after each answer the spool knows of it."""

    def __init__(self, session: _Session, spool: Spool, left: dict[str, Parcel], name: str) -> None:
        self._session, self._spool, self._left, self._name = session, spool, left, name
        self._smtp = session.smtp

    @property
    def parcel(self) -> Parcel:
        return self._left[self._name]

    def _keep(self, parcel: Parcel) -> None:
        self._spool.record(parcel)
        self._left[self._name] = parcel

    def send(self) -> None:
        mail = self._spool.mail(self.parcel)
        self._keep(replace(self.parcel, tries=self.parcel.tries + 1))
        try:
            if not self._sender(len(mail)) or not (taken := self._recipients()):
                self._smtp.rset()
                return
            code, reply = self._smtp.docmd("DATA")
            if code != _GO_ON:
                self._refused(taken, code, reply)
                self._smtp.rset()
                return
        except (OSError, smtplib.SMTPException) as error:
            raise self._session.trouble(error) from None
        self._data(mail, taken)

    def _sender(self, size: int) -> bool:
        options = [f"size={size}"] if self._smtp.has_extn("size") else []
        code, reply = self._smtp.mail(self.parcel.sender, options)
        if code == _TOO_LARGE:
            self._refused([each.address for each in self.parcel.in_state("waiting")], code, reply)
            return False
        if not 200 <= code < 300:
            raise TroubleError(
                f"refuses the sender {self.parcel.sender}: {self._session.answer(code, reply)}",
                passing=not 500 <= code < 600,
            )
        return True

    def _recipients(self) -> list[str]:
        """Addresses that the server takes; what it says of the others is kept."""
        taken = []
        for each in self.parcel.in_state("waiting"):
            code, reply = self._smtp.rcpt(each.address)
            if 200 <= code < 300:
                taken.append(each.address)
            else:
                self._refused([each.address], code, reply)
            if code == _LEAVING:
                raise TroubleError(self._session.answer(code, reply), passing=True)
        return taken

    def _refused(self, addresses: Sequence[str], code: int, reply: bytes) -> None:
        """For good by a 5, for now by anything else."""
        state: Literal["refused", "waiting"] = "refused" if 500 <= code < 600 else "waiting"
        self._keep(self.parcel.turned(addresses, state, self._session.answer(code, reply)))

    def _data(self, mail: bytes, taken: Sequence[str]) -> None:
        try:
            self._keep(
                self.parcel.turned(taken, "sending", "stopped before the server had answered")
            )
            self._smtp.send(_dotted(mail))
            code, reply = self._smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            trouble = self._session.trouble(error)
            why = f"{trouble.message} before the server had answered"
            self._keep(self.parcel.turned(taken, "sending", why))
            raise trouble from None
        except BaseException:
            # A farewell would become a line of the mail that is under way.
            self._smtp.close()
            raise
        if 200 <= code < 300:
            self._keep(self.parcel.turned(taken, "sent"))
        elif 400 <= code < 600:
            self._refused(taken, code, reply)
        else:
            self._keep(self.parcel.turned(taken, "sending", self._session.answer(code, reply)))
            raise TroubleError(f"answers {self._session.answer(code, reply)}", passing=True)


def said(reply: bytes | str) -> str:
    """A server's words on one line, with nothing in them that could disturb a reader."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    unfit = ("Cc", "Cf", "Cs", "Zl", "Zp")
    shown = " ".join("".join(" " if unicodedata.category(c) in unfit else c for c in text).split())
    return shown if len(shown) <= _ANSWER else f"{shown[: _ANSWER - 1]}…"


def _dotted(mail: bytes) -> bytes:
    """The mail as DATA sends it: lines that begin with a dot have one more, and a dot ends it."""
    body = mail if mail.endswith(b"\r\n") else mail + b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", body) + b".\r\n"


def _own_name() -> str:
    """What we call ourselves: a name with a dot in it, for servers that want one."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name) else "[127.0.0.1]"
