"""A letter as the bytes of a mail: RFC 5322, ASCII only, lines of at most 78 characters.

    multipart/mixed
      multipart/alternative
        text/plain
        multipart/related      text/html, image/png …
      text/csv …

The same letter in the same envelope is the same bytes. Nothing a server of jobs said is in a
header: only counts, dates and what the settings say.
"""

import hashlib
import unicodedata
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from msgspec import Struct

from jmreport.letters import Letter
from jmreport.mail.spool import slug
from jmreport.mailboxes import Mailbox

#: Encoded words fold at spaces only where there are some; no subject needs to be longer.
_LONGEST_SUBJECT = 250


class Envelope(Struct, frozen=True, kw_only=True):
    """Whom a letter goes to, and which mails it belongs to.

    `night` is the run that it tells of and `previous` the run before it ("" for the first);
    `origin` tells this report from others of the same sender.
    """

    team: str
    night: str
    previous: str
    origin: str
    sender: Mailbox
    to: tuple[Mailbox, ...]
    reply_to: Mailbox | None = None

    @property
    def message_id(self) -> str:
        """The same for a team and night, however often the mail is made."""
        return self._id(self.night)

    def _id(self, what: str) -> str:
        return f"<{what}.{self._digest}.jmreport@{self.sender.domain}>"

    @property
    def _digest(self) -> str:
        whole = f"{self.origin}\0{self.team}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(whole, digest_size=6).hexdigest()

    @property
    def references(self) -> tuple[str, ...]:
        """What nights thread by: an id that all mails of a team name, and the night before."""
        thread = self._id("thread")
        return (thread, self._id(self.previous)) if self.previous else (thread,)

    @property
    def list_id(self) -> str:
        team = slug(self.team)
        return f"<{team}{'-' if team else ''}{self._digest}.jmreport.{self.sender.domain}>"


def message(letter: Letter, envelope: Envelope, *, now: datetime) -> bytes:
    """The whole mail, with CRLF at the end of each line."""
    made = EmailMessage(policy=SMTP)
    made["From"] = _address(envelope.sender)
    made["To"] = [_address(each) for each in envelope.to]
    if envelope.reply_to:
        made["Reply-To"] = _address(envelope.reply_to)
    made["Subject"] = _line(letter.subject)[:_LONGEST_SUBJECT]
    made["Date"] = now
    made["Message-ID"] = envelope.message_id
    made["In-Reply-To"] = envelope.references[-1]
    made["References"] = " ".join(envelope.references)
    made["List-Id"] = envelope.list_id
    made["Auto-Submitted"] = "auto-generated"
    # Out-of-office replies of one kind of server come all the same without it.
    made["X-Auto-Response-Suppress"] = "All"
    _fill(made, letter)
    _bound(made, letter)
    return made.as_bytes()


def _fill(made: EmailMessage, letter: Letter) -> None:
    made.set_content(_whole(letter.text), cte="quoted-printable")
    made.add_alternative(_whole(letter.html), subtype="html", cte="quoted-printable")
    html = made.get_payload()[1]  # type: ignore[index]  # the alternative that was just added
    for picture in letter.pictures:
        html.add_related(  # type: ignore[union-attr]  # an EmailMessage
            picture.data,
            "image",
            "png",
            cid=f"<{picture.name}>",
            filename=f"{picture.name.partition('@')[0]}.png",
            disposition="inline",
        )
    for file in letter.attachments:
        kind, _, subtype = file.type.partition("/")
        made.add_attachment(file.data, kind, subtype, filename=file.name)


def _bound(made: EmailMessage, letter: Letter) -> None:
    """Boundaries that follow from all that is in the mail: the same each time, and in none of it.

    Nobody who words a part of it can foresee them.
    """
    whole = hashlib.blake2b(digest_size=18)
    for part in (letter.text, letter.html):
        whole.update(part.encode("utf-8", "surrogatepass"))
    for picture in letter.pictures:
        whole.update(picture.data)
    for file in letter.attachments:
        whole.update(file.data)
    several = [part for part in made.walk() if part.is_multipart()]
    for place, multipart in enumerate(several):
        multipart.set_boundary(f"=_{whole.hexdigest()}_{place}")


def _address(mailbox: Mailbox) -> Address:
    return Address(display_name=mailbox.name, addr_spec=mailbox.address)


def _line(text: str) -> str:
    """Text that stays on one line of a header, and can be encoded.

    What looks like an encoded word would be decoded by those who read the header, and by
    EmailMessage itself: a line's end in it would begin another header.
    """
    kept = ("" if unicodedata.category(c) in ("Cf", "Cs") else c for c in text)
    shown = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in kept)
    return " ".join(shown.replace("=?", "= ?").split())


def _whole(text: str) -> str:
    """Text that can be encoded."""
    return text.encode("utf-8", "replace").decode("utf-8")
