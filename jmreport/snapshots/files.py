"""Files that are whole or absent: written beside their place, synced, and moved in.

A kill at any moment leaves the file as it was before, and at most one `*.tmp` beside it, which the
next run removes. Lines of JSON are kept in zstd frames with a checksum (`zstdcat` reads them), and
are handed to the system block by block, so that even of a `*.tmp` the next run can read most lines.
"""

import errno
import hashlib
import io
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from jmreport.errors import JmreportError, SnapshotError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: What a file is called until it is whole.
TEMPORARY = ".tmp"
#: Bytes of text that are compressed at a time: what a kill can take away of a file under way. For
#: bodies of 60 KB each is a block of its own, which makes files 1.4 % larger.
BLOCK = 16 * 1024
#: Bytes of text that are read at a time.
_LINES = 256 * 1024
_PARAMETERS = {
    int(zstd.CompressionParameter.compression_level): 3,
    int(zstd.CompressionParameter.checksum_flag): 1,
}
_BLOCK: Literal[1] = 1  # zstd's own FLUSH_BLOCK and FLUSH_FRAME, which are typed as any number
_LAST: Literal[2] = 2
_HINTS = {
    errno.ENOSPC: "free some space and run again; what was written before is untouched",
    errno.EDQUOT: "free some space and run again; what was written before is untouched",
    errno.EACCES: "check who owns the folder, or name another with --snapshots",
    errno.EPERM: "check who owns the folder, or name another with --snapshots",
    errno.EROFS: "the disk is read-only: name another folder with --snapshots",
    errno.ENOTDIR: "name a folder with --snapshots",
}


class Written(Struct, frozen=True, kw_only=True):
    """A file as it was written, so that damage shows: its lines, its bytes and their SHA-256."""

    lines: int
    bytes: int
    sha256: str


def failed(path: Path, error: OSError) -> JmreportError:
    """A write that failed, in one line that names the file, with what to do about it."""
    hint = _HINTS.get(error.errno or 0, "run again once the cause is mended; the store is whole")
    return JmreportError(f"cannot write {path}: {error.strerror or error}", hint=hint)


def temporary(path: Path) -> Path:
    """A name beside `path` that no other process uses."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY}")


def sync_directory(path: Path) -> None:
    """Make the names in a folder last through a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, *, parents: bool = False) -> None:
    """A folder that lasts through a power cut; one that exists is fine."""
    try:
        path.mkdir(parents=parents, exist_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise failed(path, error) from error


def write(path: Path, body: bytes, *, mode: int = 0o644) -> Written:
    """Write a whole file at once. Raises JmreportError, and then the old file still stands."""
    pending = Pending(path, mode)
    try:
        pending.write(body)
        pending.commit()
    except BaseException:
        pending.discard()
        raise
    return Written(lines=body.count(b"\n"), bytes=len(body), sha256=_sha256(body))


def overwrite(path: Path, body: bytes) -> None:
    """Replace what a file of at least this size begins with, for disks without room for another.

    Whoever is killed meanwhile leaves half of it. Raises JmreportError.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.pwrite(descriptor, body, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise failed(path, error) from error


def write_first(path: Path, body: bytes) -> None:
    """Write a whole file for its owner's eyes, unless somebody else has. Raises JmreportError."""
    whole = temporary(path)
    write(whole, body, mode=0o600)
    try:
        path.hardlink_to(whole)
        sync_directory(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise failed(path, error) from error
    finally:
        remove_quietly(whole)


def remove(path: Path) -> None:
    """Remove a file that may be gone already."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise failed(path, error) from error


def remove_quietly(path: Path) -> None:
    """Remove a temporary file if that can be done; the next run removes what is left."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def move_in(temporary_path: Path, path: Path) -> None:
    """Sync a finished temporary file and put it in its place. Raises JmreportError."""
    try:
        descriptor = os.open(temporary_path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary_path.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise failed(path, error) from error


class Pending:
    """A file on its way: `commit` moves it into its place, `discard` leaves no trace of it.

    Raises JmreportError where something cannot be written.
    """

    def __init__(self, path: Path, mode: int = 0o644) -> None:
        self.path = path
        self._temporary = temporary(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            self._descriptor = os.open(self._temporary, flags, mode)
        except OSError as error:
            raise failed(path, error) from error

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except OSError as error:
                raise failed(self.path, error) from error

    def commit(self) -> None:
        try:
            os.fsync(self._descriptor)
            self._close()
            self._temporary.replace(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            raise failed(self.path, error) from error

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        try:
            self._close()
        except OSError:  # what hinders the closing hindered the write, which is what is told
            self._descriptor = -1
        remove_quietly(self._temporary)


class Nowhere:
    """A file that is not written: for those who want to know how large it would be."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, data: bytes) -> None:
        """Keep nothing."""

    def commit(self) -> None:
        """Keep nothing."""

    def discard(self) -> None:
        """There is nothing to be discarded."""


class LineFile:
    """A `.jsonl.zst` being written: lines are compressed as they come, the file appears when whole.

    Holds back at most a block of text. A write that failed or was interrupted half-way leaves the
    file `broken`: it can only be discarded.
    """

    def __init__(self, path: Path, *, into: type[Pending] | type[Nowhere] = Pending) -> None:
        self.path = path
        self.lines = 0
        self.text_bytes = 0
        self.broken = False
        self._bytes = 0
        self._digest = hashlib.sha256()
        self._buffer = bytearray()
        self._compressor = zstd.ZstdCompressor(options=_PARAMETERS)
        self._file = into(path)

    def write(self, line: bytes) -> int:
        """Append a line (without its newline) and return its number, from 0."""
        if self.broken:
            raise ValueError(f"{self.path} is half written")  # a caller's mistake, not a user's
        self.broken = True
        self._buffer += line
        self._buffer += b"\n"
        if len(self._buffer) >= BLOCK:
            self._compress()
        self.lines += 1
        self.text_bytes += len(line) + 1
        self.broken = False
        return self.lines - 1

    def _compress(self, *, last: bool = False) -> None:
        if last:
            data = self._compressor.compress(bytes(self._buffer), mode=_LAST)
        else:
            data = self._compressor.compress(bytes(self._buffer), mode=_BLOCK)
        self._buffer.clear()
        self._digest.update(data)
        self._bytes += len(data)
        self._file.write(data)

    def commit(self) -> Written:
        """Put the whole file in its place. Raises JmreportError, and then there is no file."""
        try:
            self._compress(last=True)
            self._file.commit()
        except BaseException:
            self.discard()
            raise
        return Written(lines=self.lines, bytes=self._bytes, sha256=self._digest.hexdigest())

    def discard(self) -> None:
        """Leave no trace of it."""
        self.broken = True
        self._file.discard()


def read(path: Path) -> bytes:
    """A whole file. Raises SnapshotError."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _gone(path) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


class _Pieces(io.RawIOBase):
    """What a compressed file holds, as much at a time as there is.

    A buffer around the file itself would ask for all that it has room for, and lose the lines that
    stand before a break: those that a killed run had written.
    """

    def __init__(self, file: zstd.ZstdFile) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        return self._file.readinto1(room)


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a `.jsonl.zst`, streamed: all that stand before a break, where it is damaged.

    Raises SnapshotError there.
    """
    try:
        # A buffer's lines are cut without a step of Python's for each.
        with zstd.open(path, "rb") as file, io.BufferedReader(_Pieces(file), _LINES) as text:
            yield from text
    except FileNotFoundError as error:
        raise _gone(path) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except (zstd.ZstdError, EOFError) as error:
        raise _unreadable(path, str(error)) from error


def readable_lines(path: Path) -> Iterator[bytes]:
    """The lines of a `.jsonl.zst` up to where it ends too early: of a writer that was killed."""
    reader = zstd.ZstdDecompressor()
    rest = b""
    for chunk in _chunks(path):
        try:
            rest += reader.decompress(chunk)
        except (zstd.ZstdError, EOFError):
            return
        *whole, rest = rest.split(b"\n")
        yield from whole
        if reader.eof:
            return


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(BLOCK):
                yield chunk
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def measure(path: Path) -> Written:
    """What a file holds, read from it. Raises SnapshotError where it is damaged."""
    body = read(path)
    count = sum(1 for _ in lines(path)) if path.suffix == ".zst" else body.count(b"\n")
    return Written(lines=count, bytes=len(body), sha256=_sha256(body))


def packed(body: bytes) -> bytes:
    """A zstd frame with a checksum."""
    return zstd.compress(body, options=_PARAMETERS)


def unpacked(frame: bytes, *, most: int) -> bytes | None:
    """What a frame holds; None where it is damaged, or holds more than `most` bytes."""
    reader = zstd.ZstdDecompressor()
    try:
        text = reader.decompress(frame, max_length=most)
    except zstd.ZstdError:
        return None
    return text if reader.eof and not reader.unused_data else None


def sha256(path: Path) -> str:
    """The SHA-256 of a file. Raises SnapshotError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def duplicate(path: Path, place: Path) -> None:
    """The same bytes in a new file, copied or shared by the system itself. Raises JmreportError."""
    try:
        with path.open("rb") as source, place.open("xb") as copy:
            if not _copied_by_the_system(source.fileno(), copy.fileno()):
                source.seek(0)
                copy.seek(0)
                shutil.copyfileobj(source, copy, 1024 * 1024)
    except OSError as error:
        remove_quietly(place)
        raise failed(place, error) from error


def _copied_by_the_system(source: int, copy: int) -> bool:
    """Whether it could: it shares blocks where the disk can (btrfs, XFS), so nothing is copied."""
    try:
        while os.copy_file_range(source, copy, 1 << 30):
            pass
    except (AttributeError, OSError):  # another system than Linux, or two disks
        return False
    return True


def leftovers(folders: Iterable[Path]) -> Iterator[Path]:
    """Files of writers that were stopped, in these folders."""
    for folder in folders:
        yield from sorted(folder.glob(f"*{TEMPORARY}"))


def remove_folder(path: Path) -> None:
    """Remove a folder of files; a kill leaves some of them, and the next call removes those."""
    for file in sorted(path.iterdir()):
        remove(file)
    try:
        path.rmdir()
        sync_directory(path.parent)
    except OSError as error:
        raise failed(path, error) from error


def size_of_folder(path: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in path.iterdir())


def _gone(path: Path) -> SnapshotError:
    return SnapshotError(
        f"cannot read {path}: it is not there",
        hint="if `jmreport prune` ran meanwhile, run this again; else restore the file from a copy",
    )


def _unreadable(path: Path, why: str) -> SnapshotError:
    return SnapshotError(
        f"cannot read {path}: {why}",
        hint="run `jmreport check` to see what else is damaged; restore the file from a copy",
    )


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
