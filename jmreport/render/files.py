"""Files of the site: each is written beside its place and moved in, so none is ever half there.

    .jmreport/tmp/       what is being written
    .jmreport/journal    addresses of what was put in its place since the ledger was committed last

A run that is killed leaves its journal: of those files the ledger knows nothing, whatever their
sizes are, so the next run makes them again, or takes away what belongs to no page.
"""

import errno
import hashlib
import os
import stat
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

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
        #: Of temporary files; several threads may write.
        self._numbers = count(1)
        self._journal_path = self.own / "journal"
        self._journal: int | None = None
        self._journals = False
        self._opening = Lock()
        #: What anybody may do with a file that this process makes here, by its umask.
        self._mode: int | None = None
        #: Addresses of files of which nobody knows what they hold, since a run was killed.
        self.unsure: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """As it is sent to another process, which notes in the journal by itself."""
        return {**self.__dict__, "_journal": None, "_opening": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _opening=Lock())

    def reach(self) -> None:
        """Makes the directories; JmreportError where no file can be put there."""
        try:
            self._temporary.mkdir(parents=True, exist_ok=True)
            # Every write needs it, so a directory that takes no file is found before any work.
            probe = self._temporary / f"probe-{os.getpid()}"
            probe.touch()
            self._mode = probe.stat().st_mode
            probe.unlink(missing_ok=True)  # whoever has the site may clear it away
        except OSError as error:
            raise cannot_write(self.root, error) from error

    def prepare(self) -> None:
        """The same, and clears what a killed run left: only while nobody else can write here.

        From here on it is noted which files are put in their places.
        """
        self.reach()
        try:
            for left in self._temporary.iterdir():
                left.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.root, error) from error
        self.doubt()
        self._journals = True

    def doubt(self) -> None:
        """Learns which files a run that was killed had put in their places."""
        try:
            found = self._journal_path.read_bytes().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot_write(self._journal_path, error) from error
        self.unsure = {
            address for address in found if ".." not in address and not address.startswith("/")
        }

    def settled(self) -> None:
        """The ledger was committed: it knows all files again."""
        self.close()
        with suppress(OSError):  # then they are made once more
            self._journal_path.unlink(missing_ok=True)
        self.unsure.clear()

    def close(self) -> None:
        """Notes nothing more."""
        if self._journal is not None:
            os.close(self._journal)
        self._journal, self._journals = None, False

    def note(self, address: str) -> None:
        """Notes that a file is about to be put in its place. Raises OSError."""
        if self._journals and self._journal is None:
            with self._opening:
                if self._journal is None:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                    self._journal = os.open(self._journal_path, flags, 0o666)
        if self._journal is not None:
            os.write(self._journal, f"{address}\n".encode("utf-8", "replace"))

    def spool(self, name: str) -> Path:
        """A temporary file's path, gone after the run."""
        return self._temporary / f"{os.getpid()}-{name}"

    def clear(self) -> None:
        """Takes away the temporary files of this process: others may write here by now."""
        with suppress(OSError):
            for left in self._temporary.glob(f"{os.getpid()}-*"):
                left.unlink(missing_ok=True)

    def write(self, address: str, data: bytes) -> WrittenFile:
        """Puts a file in its place, whole; JmreportError naming it where that can't be done."""
        # Plain names, and the system's own calls: a file object takes half as long again.
        part = f"{self._parts}/{os.getpid()}-{next(self._numbers)}"
        place = f"{self._root}/{address}"
        try:
            self._folder(address)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                written = os.write(descriptor, data)
                while written < len(data):
                    written += os.write(descriptor, memoryview(data)[written:])
            finally:
                os.close(descriptor)
            self.note(address)
            os.replace(part, place)  # noqa: PTH105
        except OSError as error:
            with suppress(OSError):
                Path(part).unlink(missing_ok=True)
            raise cannot_write(Path(place), error) from error
        self.unsure.discard(address)
        return WrittenFile(address=address, size=len(data), sum=sum_of(data))

    def take(self, address: str, source: Path) -> None:
        """Moves a whole file in from another folder; JmreportError where that can't be done.

        Whoever made it may have had another umask: it may be read as a file that is written here.
        """
        try:
            self._folder(address)
            self.note(address)
            if self._mode is not None and source.stat().st_mode != self._mode:
                source.chmod(stat.S_IMODE(self._mode))
            os.replace(source, f"{self.root}/{address}")  # noqa: PTH105
            self.unsure.discard(address)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM):
                raise cannot_write(self.root / address, error) from error
            # It lies on another disk, or belongs to somebody else.
            self.write(address, source.read_bytes())

    def _folder(self, address: str) -> None:
        folder = address.rpartition("/")[0]
        if folder not in self._made:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)

    def size(self, address: str) -> int | None:
        """A file's size; None where there is none, and -1 where nobody knows what it holds."""
        try:
            size = os.stat(f"{self._root}/{address}").st_size  # noqa: PTH116 (each page is asked)
        except OSError:
            return None
        return -1 if address in self.unsure else size

    def folder(self, address: str) -> int:
        """When a file came to a folder or went last, in nanoseconds; 0 where it is not there."""
        try:
            return os.stat(f"{self._root}/{address}").st_mtime_ns  # noqa: PTH116
        except OSError:
            return 0

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


#: Hexadecimal digits of SHA-256 that tell files apart.
_DIGITS = 32


def sum_of(data: bytes) -> str:
    """The digest of a file's bytes.

    By SHA-256, which processors have a step of their own for: BLAKE2b took 2.5 times as long.
    """
    return hashlib.sha256(data).hexdigest()[:_DIGITS]


def is_sum_of(total: str, data: bytes) -> bool:
    """Whether it is the digest of these bytes, be it one of those that ledgers had before."""
    return total == sum_of(data) or total == hashlib.blake2b(data, digest_size=16).hexdigest()


class Sum:
    """The digest of a file that comes piece by piece."""

    def __init__(self) -> None:
        self._whole, self.size = hashlib.sha256(), 0

    def add(self, piece: bytes) -> None:
        """The next bytes."""
        self._whole.update(piece)
        self.size += len(piece)

    @property
    def total(self) -> str:
        """What `sum_of` says of all of them."""
        return self._whole.hexdigest()[:_DIGITS]


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
