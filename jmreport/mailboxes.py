"""Addresses that mails go to and come from, and the server that takes them: read strictly.

    ana@example.org        Ana Li <ana@example.org>        smtp.example.org:587

They come from settings alone, and nothing that could end a line or begin another address is let in.
"""

import ipaddress
import re
import unicodedata

from msgspec import Struct

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"({_LOCAL})@({_LABEL}(?:\.{_LABEL})*)")
_NAMED = re.compile(r"\s*([^<>]*?)\s*<([^<>]*)>\s*")
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
#: Kinds of characters that no name in a header has: controls, half characters, ends of lines.
_UNFIT = ("Cc", "Cf", "Cs", "Zl", "Zp")
#: The longest address that SMTP knows, and the longest name that is worth a line.
LONGEST_ADDRESS = 254
LONGEST_NAME = 200


class Mailbox(Struct, frozen=True):
    """An address, and the name of whoever reads it ("" where none is given)."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


class MailServer(Struct, frozen=True):
    """Who takes mails."""

    host: str
    port: int

    @property
    def here(self) -> bool:
        """Whether it is this machine, so that nobody else hears what it is told."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def mailbox(text: str) -> Mailbox:
    """The mailbox that a text names. Raises ValueError, which says in words what is wrong.

    >>> mailbox("Ana Li <ana@example.org>")
    Mailbox(address='ana@example.org', name='Ana Li')
    """
    shown = repr(text if len(text) <= 60 else f"{text[:57]}…")
    if any(unicodedata.category(char) in _UNFIT for char in text):
        raise ValueError(f"{shown} holds characters that no address has")
    named = _NAMED.fullmatch(text)
    name, address = (named[1].strip('" '), named[2].strip()) if named else ("", text.strip())
    if not _ADDRESS.fullmatch(address) or len(address) > LONGEST_ADDRESS:
        raise ValueError(
            f"{shown} is not one address, like ana@example.org or Ana Li <ana@example.org>"
        )
    # "=?" begins an encoded word, which may hold whatever else is refused here.
    if len(name) > LONGEST_NAME or re.search(r'["\\,;]|=\?', name):
        raise ValueError(f'the name in {shown} is too long, or holds one of , ; " \\ =?')
    return Mailbox(address, name)


def server(text: str) -> MailServer:
    """The server that a text names. Raises ValueError, which says in words what is wrong.

    >>> server("smtp.example.org:587"), str(server("[::1]:25"))
    (MailServer(host='smtp.example.org', port=587), '[::1]:25')
    """
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        raise ValueError(f"{text[:60]!r} is not a host and a port, like smtp.example.org:587")
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        if not _HOST.fullmatch(host):
            raise ValueError(
                f"{text[:60]!r} is not a host and a port, like smtp.example.org:587"
            ) from None
    return MailServer(bare, int(port))
