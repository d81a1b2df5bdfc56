"""The site's files, from where they lie: a folder, or a bucket.

Whoever serves them needs `find` alone, so another place is another class with that method.
"""

import mimetypes
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from jmreport.bucket import Bucket, Read

#: Bytes that are read at once, and bytes of a bucket's objects that are kept at most.
PIECE, KEPT = 256 * 1024, 64 * 1024 * 1024
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
        """The file at an address below the site, such as jobs/index.html; None where none is.

        Raises DeliveryError where a bucket cannot be read now.
        """


class OnDisk:
    """A site in a folder. What is hidden there, and what leads out of it, is not part of it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, address: str) -> File | None:
        if _hidden(address):
            return None
        try:
            root = self._root.resolve()
            path = root.joinpath(*address.split("/")).resolve()
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


class InBucket:
    """A site as it was published to a bucket. Thread-safe.

    Each time it is looked whether an object is still the one that was read, so that nobody sees an
    older page than the bucket holds; the bytes of those read last are kept.
    """

    def __init__(self, bucket: Bucket, *, kept: int = KEPT) -> None:
        self._bucket, self._most = bucket, kept
        self._lock = threading.Lock()
        self._size = 0
        self._kept: OrderedDict[str, Read] = OrderedDict()

    def find(self, address: str) -> File | None:
        if _hidden(address):
            return None
        held = self._bucket.look(address)
        if held is None:
            return None
        with self._lock:
            read = self._kept.get(address)
            if read is not None:
                self._kept.move_to_end(address)
        if read is None or read.generation != held.generation:
            read = self._bucket.read(address)
            if read is None:
                return None
            self._keep(address, read)
        data = read.data
        return File(len(data), f"{read.generation:x}", media_of(address), lambda: iter((data,)))

    def _keep(self, address: str, read: Read) -> None:
        with self._lock:
            before = self._kept.pop(address, None)
            self._size -= len(before.data) if before else 0
            if len(read.data) > self._most // 8:
                return
            self._kept[address] = read
            self._size += len(read.data)
            while self._size > self._most:
                _, oldest = self._kept.popitem(last=False)
                self._size -= len(oldest.data)


def _hidden(address: str) -> bool:
    """Whether an address is none of a page: jmreport's own files begin with a dot."""
    return not address or any(not part or part.startswith(".") for part in address.split("/"))


def media_of(address: str) -> str:
    """The type by which a browser is told what a file is."""
    suffix = Path(address).suffix.lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(address)[0] or "application/octet-stream"
