"""The site's files, from where they lie: the disk now, a bucket where one is given.

Whoever serves them needs `find` alone, so another place is another class with that method.
"""

import mimetypes
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from msgspec import Struct

#: Bytes that are read at once.
PIECE = 256 * 1024
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".csv": "text/csv; charset=utf-8",
    ".svg": "image/svg+xml",
    ".xml": "application/atom+xml",
}


class File(Struct, frozen=True):
    """A file of the site: its size, a mark that changes with it, its type, and how it is read."""

    size: int
    mark: str
    media: str
    pieces: Callable[[], Iterator[bytes]]


class SiteFiles(Protocol):
    """Where the site lies."""

    def find(self, address: str) -> File | None:
        """The file at an address below the site, such as jobs/index.html; None where none is."""


class OnDisk:
    """A site in a folder. What is hidden there, and what leads out of it, is not part of it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, address: str) -> File | None:
        parts = address.split("/")
        if not address or any(not part or part.startswith(".") for part in parts):
            return None
        try:
            root = self._root.resolve()
            path = root.joinpath(*parts).resolve()
            if not path.is_relative_to(root):
                return None
            about = path.stat()
            if not stat.S_ISREG(about.st_mode):
                return None
        except (OSError, ValueError):
            return None

        def pieces() -> Iterator[bytes]:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece

        mark = f"{about.st_mtime_ns:x}-{about.st_size:x}"
        return File(about.st_size, mark, media_of(address), pieces)


def media_of(address: str) -> str:
    """The type by which a browser is told what a file is."""
    suffix = Path(address).suffix.lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(address)[0] or "application/octet-stream"
