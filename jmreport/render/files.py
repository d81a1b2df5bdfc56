"""Files of the site: each is written beside its place and moved in, so none is ever half there."""

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from jmreport.errors import JmreportError

#: What jmreport keeps for itself below the site's directory.
OWN = ".jmreport"


class WrittenFile(Struct, frozen=True, kw_only=True, gc=False):
    """A file as it was written: its address, its size in bytes and the digest of its bytes."""

    address: str
    size: int
    sum: str


class Files:
    """A site's directory. Temporary files all lie in `.jmreport/tmp`, to be found after a kill."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.own = root / OWN
        self._temporary = self.own / "tmp"
        self._root, self._parts = str(root), str(self._temporary)
        self._made: set[str] = set()
        self._number = 0

    def prepare(self) -> None:
        """Makes the directories and clears what a killed run left; JmreportError where it can't."""
        try:
            self._temporary.mkdir(parents=True, exist_ok=True)
            for left in self._temporary.iterdir():
                left.unlink()
            # Every write needs it, so a directory that takes no file is found before any work.
            probe = self._temporary / "probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise cannot_write(self.root, error) from error

    def spool(self, name: str) -> Path:
        """A temporary file's path, gone after the run."""
        return self._temporary / name

    def write(self, address: str, data: bytes) -> WrittenFile:
        """Puts a file in its place, whole; JmreportError naming it where that can't be done."""
        # Plain names, and the system's own calls: a file object takes half as long again.
        self._number += 1
        place, part = f"{self._root}/{address}", f"{self._parts}/{os.getpid()}-{self._number}"
        try:
            self._folder(address)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                written = os.write(descriptor, data)
                while written < len(data):
                    written += os.write(descriptor, memoryview(data)[written:])
            finally:
                os.close(descriptor)
            os.replace(part, place)  # noqa: PTH105
        except OSError as error:
            with suppress(OSError):
                Path(part).unlink(missing_ok=True)
            raise cannot_write(Path(place), error) from error
        return WrittenFile(address=address, size=len(data), sum=sum_of(data))

    def take(self, address: str, source: Path) -> None:
        """Moves a whole file in from another folder; JmreportError where that can't be done."""
        try:
            self._folder(address)
            os.replace(source, f"{self.root}/{address}")  # noqa: PTH105
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise cannot_write(self.root / address, error) from error
            self.write(address, source.read_bytes())  # it lies on another disk

    def _folder(self, address: str) -> None:
        folder = address.rpartition("/")[0]
        if folder not in self._made:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)

    def size(self, address: str) -> int | None:
        """A file's size; None where there is none."""
        try:
            return os.stat(f"{self.root}/{address}").st_size  # noqa: PTH116 (each page is asked)
        except OSError:
            return None

    def remove(self, address: str) -> None:
        """Takes a file away, and its folder if that is empty then; a file gone is no mistake."""
        place = self.root / address
        try:
            place.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(place, error) from error
        folder = address.rpartition("/")[0]
        if folder:
            with suppress(OSError):
                place.parent.rmdir()
                self._made.discard(folder)


def sum_of(data: bytes) -> str:
    """The digest of a file's bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def cannot_write(place: Path, error: OSError) -> JmreportError:
    """A failed write, in words: on what, and what to do."""
    reason = error.strerror or str(error)
    hints = {
        28: "free some space, or choose another directory with --site",
        122: "the quota is used up; choose another directory with --site",
    }
    hint = hints.get(
        error.errno or 0, "check its permissions, or choose another directory with --site"
    )
    return JmreportError(f"{place} cannot be written: {reason}", hint=hint)
