"""A site's seal: what it was made of, so that nothing is made where nothing can have changed.

    made of     a digest of the code, the settings, the notes and the state of the snapshots
    pages, exit, lines    what its render came to, to be said again

A seal is set with the ledger's commit and holds while every file is there with its size; whoever
changes a site in another way breaks it. It is only a short way: without it every page is compared.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from jmreport.render.files import Files
from jmreport.render.ledger import NAME, Ledger


class Seal(Struct, frozen=True, kw_only=True):
    """What a site was made of, and what making it came to: `exit` code and `lines` behind it."""

    made_of: str
    pages: int = 0
    exit: int = 0
    lines: tuple[str, ...] = ()


def unbroken(site_dir: Path, made_of: str) -> Seal | None:
    """The seal of a site that was made of this and of which no file is missing; None for another.

    Raises JmreportError where the site cannot be written, and LockedError while another run writes.
    """
    files = Files(site_dir)
    path = files.own / NAME
    if not path.is_file():
        return None
    files.reach()
    with Ledger(path) as ledger:
        files.prepare()
        body = ledger.seal()
        try:
            seal = msgspec.msgpack.decode(body, type=Seal) if body else None
        except msgspec.DecodeError:  # of another version
            return None
        if seal is None or seal.made_of != made_of:
            return None
        whole = all(files.size(address) == size for address, size in ledger.all_sizes())
        return seal if whole and not files.unsure else None


def encoded(seal: Seal) -> bytes:
    """As the ledger keeps it."""
    return msgspec.msgpack.encode(seal)
