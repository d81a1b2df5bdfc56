"""Mails as values: what `render` writes and `jmreport.mail` sends, and no address in them."""

from msgspec import Struct


class Picture(Struct, frozen=True, kw_only=True):
    """A PNG that the HTML names as `cid:` and its name, which has an @ in it as ids have."""

    name: str
    data: bytes


class Attachment(Struct, frozen=True, kw_only=True):
    """A file that comes with a mail: its name, its type ("text/csv") and its bytes."""

    name: str
    type: str
    data: bytes


class Letter(Struct, frozen=True, kw_only=True):
    """What a team is told: the same words as HTML and as plain text.

    `subject` and `text` hold nothing that ends a line of a header or is half a character.
    """

    subject: str
    text: str
    html: str
    pictures: tuple[Picture, ...] = ()
    attachments: tuple[Attachment, ...] = ()
