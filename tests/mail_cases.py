"""Nights of a few jobs in a store, and a real SMTP server that takes, refuses, hangs or breaks off.

The nights: ana's and li's work, a sample each. `python -m tests.mail_cases FOLDER` writes the mails
that `pictures` shows.
"""

import asyncio
import base64
import email
import email.policy
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from html import unescape
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from msgspec import Struct
from site_cases import record

from jmreport import pipeline
from jmreport.analysis import measure, summarise
from jmreport.gaps import Gap
from jmreport.models import TimeFrame
from jmreport.progress import SilentProgress
from jmreport.records import (
    FRAME_LENGTHS,
    Asked,
    Counts,
    Failure,
    Filters,
    JobRow,
    Run,
    RunState,
    run_id,
)
from jmreport.settings import Mail, ReportSettings, Settings, Site, Snapshots, Team
from jmreport.snapshots import Redaction, Store

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
DAY = timedelta(days=1)
HEAP = "java.lang.OutOfMemoryError: Java heap space"
URL = "https://reports.example.org/jobs"
SENDER = "Batch reports <reports@example.org>"
ANA = Team(name="germline", to=("ana@example.org", "bo@example.org"), labels={"owner": "ana"})
ALL = Team(name="everybody", to=("all@example.org",))


# nights


def job(
    sample: str,
    ago: int,
    status: str = "Succeeded",
    *,
    owner: str = "ana",
    name: str = "germline",
    message: str = HEAP,
    labels: Mapping[str, str] | None = None,
    task: str = "Align",
) -> JobRow:
    """A sample's job of the night so many days before the newest run."""
    end = NOW - ago * DAY - timedelta(hours=2)
    active = status in ("Running", "Submitted")
    return JobRow(
        id=f"{name}-{sample}-{ago}",
        name=name,
        status=status,
        submission=end - timedelta(hours=1),
        start=end - timedelta(hours=1),
        end=None if active else end,
        labels={"owner": owner, "sample": sample, **(labels or {})},
        failure=Failure(message=message, task=task) if status == "Failed" else None,
        failed_tasks=(task,) if status == "Failed" else (),
    )


def night(ago: int) -> str:
    """The id of the run so many days before the newest."""
    return run_id(NOW - ago * DAY)


def store(
    root: Path,
    *nights: Sequence[JobRow],
    state: RunState = "complete",
    gaps: tuple[Gap, ...] = (),
    filters: Filters | None = None,
    left_out: int | None = None,
    timeframe: TimeFrame = "DAYS_7",
) -> None:
    """A run for each night, a day apart; `state` and `gaps` are those of the last one, now.

    All asked with the same filters, which left out so many jobs, and for the same time frame.
    """
    with Store.open(root, summarise=summarise, measure=measure, create=True) as opened:
        for ago, rows in zip(reversed(range(len(nights))), nights, strict=True):
            how = (state, gaps) if not ago else ("complete", ())
            run(opened, rows, ago, *how, filters, left_out, timeframe)


def run(
    opened: Store,
    rows: Sequence[JobRow],
    ago: int,
    state: RunState,
    gaps: tuple[Gap, ...],
    filters: Filters | None = None,
    left_out: int | None = None,
    timeframe: TimeFrame = "DAYS_7",
) -> None:
    now, length = NOW - ago * DAY, FRAME_LENGTHS[timeframe]
    asked = Asked(
        server="https://jobs.example.org",
        timeframe=timeframe,
        since=now - length if length else None,
        filters=filters or Filters(),
    )
    writer = opened.begin(now, Redaction(), asked=asked, version="1")
    with writer:
        for row in rows:
            one = record(row)
            writer.list_row(one.row)
            writer.add(one)
        writer.finish(
            Run(
                id=writer.id,
                now=now,
                state=state,
                asked=asked,
                gaps=gaps,
                counts=Counts(listed=len(rows), left_out=left_out),
                reason="the server does not answer" if state == "failed" else "",
            )
        )


def usual(root: Path) -> None:
    """Two nights: of ana's four, one is new, one fixed, one still fails; li has a new one too."""
    store(
        root,
        [
            job("a1", 1),
            job("a2", 1, "Failed"),
            job("a3", 1, "Failed", message="Could not localize gs://b/x.bam: 403 Forbidden"),
            job("a4", 1),
            job("l1", 1, owner="li"),
        ],
        [
            job("a1", 0, "Failed"),
            job("a2", 0),
            job("a3", 0, "Failed", message="Could not localize gs://b/y.bam: 403 Forbidden"),
            job("a4", 0),
            job("l1", 0, "Failed", owner="li"),
        ],
    )


def fine(root: Path) -> None:
    """Two nights in which all went well."""
    store(root, [job("a1", 1), job("l1", 1, owner="li")], [job("a1", 0), job("l1", 0, owner="li")])


def settings(folder: Path, *teams: Team, port: int = 1, **more: Any) -> Settings:
    """Settings of mails to 127.0.0.1, with no second try unless `patience` says so."""
    about = {"smtp": f"127.0.0.1:{port}", "starttls": False, "sender": SENDER}
    return Settings(
        site=Site(dir=str(folder / "site"), url=URL),
        snapshots=Snapshots(dir=str(folder / "snapshots")),
        report=ReportSettings(identity_labels=("sample",)),
        mail=Mail(**{**about, "timeout": 5.0, "patience": 0.0, **more}),
        teams=teams or (ANA,),
    )


def send(told: Settings, **options: Any) -> pipeline.Outcome:
    return pipeline.mail(told, now=NOW, progress=SilentProgress(), **options)


def written(told: Settings, folder: Path, **options: Any) -> dict[str, EmailMessage]:
    """The mails that would be sent, by the team's name as files have it."""
    send(told, write=folder, **options)
    return {
        path.stem.split("-", 1)[1].rsplit("-", 1)[0]: parsed(path.read_bytes())
        for path in sorted(folder.glob("*.eml"))
    }


def collect(folder: Path, ago: float, *rows: JobRow, state: Any = "complete") -> None:
    """A run so many days before the newest night."""
    with Store.open(
        folder / "snapshots", summarise=summarise, measure=measure, create=True
    ) as opened:
        run(opened, rows, ago, state, ())  # type: ignore[arg-type]  # half a day ago will do


def one(folder: Path, team: Team = ANA, **more: Any) -> Any:
    """The mail of a team, made and not sent."""
    [mail] = written(settings(folder, team, **more), folder / "mails" / team.name).values()
    return mail


# mails


def parsed(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def html(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def seen(mail: Any) -> str:
    """What a reader of the HTML sees, on one line."""
    body = html(mail)
    body = body[body.index("<body") :]
    plain = re.sub(r"<style.*?</style>|<!--.*?-->|<[^>]+>", " ", body, flags=re.DOTALL)
    return " ".join(unescape(plain).split())


def page(mail: EmailMessage) -> str:
    """The HTML with its pictures in it, as a mailbox shows them."""
    made = html(mail)
    for part in mail.walk():
        if part["Content-ID"]:
            data = base64.b64encode(part.get_payload(decode=True)).decode()  # type: ignore[arg-type]  # bytes
            made = made.replace(
                f'"cid:{part["Content-ID"].strip("<>")}"', f'"data:image/png;base64,{data}"'
            )
    return made


# the server


class Arrived(Struct, frozen=True):
    """A mail as it came: the sender and recipients that the server was told, and its bytes."""

    sender: str
    to: tuple[str, ...]
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        return parsed(self.raw)


class Mailboxes:
    """A server on 127.0.0.1 that gives the answers in its lists, one after another, then 250."""

    def __init__(
        self,
        *,
        recipients: Mapping[str, list[str]] | None = None,
        answers: Sequence[str] = (),
        users: Mapping[str, str] | None = None,
        certificate: tuple[Path, Path] | None = None,
        implicit: bool = False,
    ) -> None:
        self.arrived: list[Arrived] = []
        self.recipients = dict(recipients or {})
        self.answers = list(answers)
        self.during: Callable[[], None] = lambda: None
        self.sessions = 0
        self.logins: list[tuple[str, str]] = []
        self.plain: list[bool] = []
        self._users = users
        tls = None
        if certificate:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(*map(str, certificate))
        self.port = free_port()
        more: dict[str, Any] = {"ssl_context": tls} if implicit else {"tls_context": tls}
        if users is not None:
            more |= {"authenticator": self._authenticate, "auth_required": True}
            more["auth_require_tls"] = bool(tls) and not implicit
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            # Without a name of its own it asks for one on the network.
            server_hostname="mail.test",
            require_starttls=bool(tls) and not implicit,
            **more,
        )

    def __enter__(self) -> "Mailboxes":
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def _authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = data.login.decode(), data.password.decode()
        self.logins.append(given)
        right = self._users is not None and self._users.get(given[0]) == given[1]
        # Without `handled=False` a wrong password is never answered.
        return AuthResult(success=right, handled=right)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's own name
        self, _server: Any, session: Session, _envelope: Envelope, name: str, answers: list[str]
    ) -> list[str]:
        session.host_name = name
        self.sessions += 1
        self.plain.append(session.ssl is None)
        return answers

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's own name
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        answers = self.recipients.get(address, [])
        answer = answers.pop(0) if answers else "250 ok"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's own name
        answer = self.answers.pop(0) if self.answers else "250 ok"
        if answer[0] in "2dh":
            assert isinstance(envelope.content, bytes)
            self.arrived.append(
                Arrived(envelope.mail_from or "", tuple(envelope.rcpt_tos), envelope.content)
            )
        await asyncio.get_running_loop().run_in_executor(None, self.during)
        if answer == "drop":
            server.transport.abort()
        if answer == "hang":
            await asyncio.sleep(60)
        return answer


def subjects(boxes: Mailboxes) -> list[str]:
    return [arrived.mail["Subject"].partition(": ")[2] for arrived in boxes.arrived]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def certified(folder: Path, name: str = "127.0.0.1") -> Iterator[tuple[Path, Path]]:
    """A certificate for a host that is signed by itself, and its key, as files."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    try:
        names: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        names = x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - DAY)
        .not_valid_after(datetime.now(UTC) + DAY)
        .add_extension(x509.SubjectAlternativeName([names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    yield certificate, secret
