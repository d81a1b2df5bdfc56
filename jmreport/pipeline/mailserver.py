"""The server that takes mails, and who they come from, as the settings say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jmreport.errors import DeliveryError, UsageError
from jmreport.mailboxes import Mailbox, mailbox, server
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport import mail as post

#: Port on which TLS begins with the first byte.
SMTPS = 465


def try_mailbox(settings: Settings) -> str:
    """What the server of the settings calls itself after TLS and a login; nothing is sent.

    Raises DeliveryError where it cannot be used, UsageError where none is named.
    """
    from jmreport import mail as post

    found = mail_server(settings)
    try:
        return post.probe(found)
    except DeliveryError as error:
        raise DeliveryError(f"{found.at}: {error.message}", hint=_HINT) from error


_HINT = "check mail.smtp, and whether this machine may reach it"


def sender_of(settings: Settings) -> Mailbox:
    """Whom mails come from; UsageError where it is not set."""
    if not settings.mail.sender:
        raise UsageError("mail.sender is not set", hint="it is the address that mails come from")
    return mailbox(settings.mail.sender)


def mail_server(settings: Settings) -> post.Server:
    """The server of the settings, with its password read; UsageError for what does not fit."""
    from jmreport import mail as post

    about = settings.mail
    if not about.smtp:
        raise UsageError(
            "mail.smtp is not set",
            hint='name the server that takes mails, as in smtp = "smtp.example.org:587"; '
            "--dry-run and --write DIR need none",
        )
    at = server(about.smtp)
    if (about.user is None) != (about.password_file is None):
        lacking = "mail.password_file" if about.user is not None else "mail.user"
        raise UsageError(f"{lacking} is not set", hint="a user and a password go together")
    if about.user is not None and not about.starttls and not at.here:
        raise UsageError(
            "mail.starttls is false, and the password of mail.user would be sent for all to read",
            hint="leave mail.starttls out, or mail.user and mail.password_file",
        )
    return post.Server(
        at=at,
        tls="none" if not about.starttls else "from the start" if at.port == SMTPS else "starttls",
        user=about.user or "",
        password=_password(about.password_file) if about.password_file else "",
        timeout=about.timeout,
    )


def _password(file: str) -> str:
    try:
        found = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(
            f"mail.password_file {file}: {why}", hint="check its name, and who may read it"
        ) from None
    if not found or not found.isascii() or not found.isprintable():
        raise UsageError(
            f"mail.password_file {file}: holds no password",
            hint="it holds the password alone, on one line, in ASCII",
        )
    return found
