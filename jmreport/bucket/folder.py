"""A folder as a bucket: for a web server's root, a disk that others mount, and for tests.

    /srv/www/jobs/index.html
    /srv/www/jobs/.jmreport/lock       held while a condition is looked at and the write is made
    /srv/www/jobs/.jmreport/parts/4711-3 a file on its way

An object is a file and its generation the file's time of change in nanoseconds, which each write
moves on. Headers are the web server's affair.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from jmreport.bucket.values import Headers, Held, Read
from jmreport.errors import ChangedError, DeliveryError

_OWN = ".jmreport"
_PARTS = f"{_OWN}/parts"
#: Besides, what each disk has at its root, and only its administrator may look into.
_NOT_OURS = (_PARTS, "lost+found")
#: Seconds after which nobody is writing a part any more.
_LEFT = 6 * 3600
_PLAIN = Headers()
_READ = "read"


class Folder:
    """Files below a folder. Names that lead out of it are refused."""

    encodes = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = count()
        self._swept = False

    @property
    def place(self) -> str:
        return str(self._root)

    def objects(self, under: str = "") -> Iterator[Held]:
        for name in self.names(under):
            if held := self.look(name):
                yield held

    def names(self, under: str = "") -> Iterator[str]:
        found = []
        for folder, folders, names in os.walk(self._root / under.rpartition("/")[0], onerror=_hid):
            here = Path(folder).relative_to(self._root)
            folders[:] = [name for name in folders if (here / name).as_posix() not in _NOT_OURS]
            found += [(here / name).as_posix() for name in names]
        for name in sorted(found):
            if name.startswith(under) and name != f"{_OWN}/lock":
                yield name

    def look(self, name: str) -> Held | None:
        path = self._path(name)
        try:
            with path.open("rb") as file:
                facts = os.fstat(file.fileno())
                md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed(path, error, _READ) from error
        return Held(
            name=name,
            size=facts.st_size,
            generation=facts.st_mtime_ns,
            updated=datetime.fromtimestamp(facts.st_mtime, UTC),
            md5=md5.hexdigest(),
        )

    def read(self, name: str) -> Read | None:
        path = self._path(name)
        try:
            with path.open("rb") as file:
                generation = os.fstat(file.fileno()).st_mtime_ns
                return Read(data=file.read(), generation=generation)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed(path, error, _READ) from error

    def write(
        self,
        name: str,
        data: bytes,
        *,
        generation: int | None,
        headers: Headers = _PLAIN,  # noqa: ARG002 - a folder has none
    ) -> int:
        part = self._part()
        try:
            part.write_bytes(data)
            self._sweep(part)
            return self._move_in(part, name, generation)
        except OSError as error:
            raise _failed(self._path(name), error) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def copy(
        self, source: str, name: str, *, source_generation: int | None, generation: int | None
    ) -> int:
        part = self._part()
        try:
            try:
                shutil.copyfile(self._path(source), part)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise ChangedError(f"{self._path(source)} is gone") from error
            if source_generation is not None and self._is(source) != source_generation:
                raise ChangedError(f"{self._path(source)} was changed meanwhile")
            return self._move_in(part, name, generation)
        except OSError as error:
            raise _failed(self._path(name), error) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def delete(self, name: str, *, generation: int | None) -> bool:
        path = self._path(name)
        try:
            with self._alone():
                if self._is(name) == 0:
                    return False
                self._expect(name, generation)
                path.unlink()
        except OSError as error:
            raise _failed(path, error) from error
        with suppress(OSError):  # a folder that still holds something stays
            for folder in path.relative_to(self._root).parents[:-1]:
                (self._root / folder).rmdir()
        return True

    def readers(self) -> tuple[str, ...]:
        return ()

    def lacking(self) -> tuple[str, ...]:
        there = next((at for at in (self._root, *self._root.parents) if at.exists()), self._root)
        if there.is_dir() and os.access(there, os.R_OK | os.W_OK | os.X_OK):
            return ()
        return (f"write in {there}",)

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, name: str) -> Path:
        if not name or name.startswith("/") or "\\" in name or "\0" in name:
            raise DeliveryError(f"{name!r} cannot be a file below {self._root}")
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise DeliveryError(f"{name!r} leads out of {self._root}")
        return self._root / name

    def _part(self) -> Path:
        folder = self._root / _PARTS
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _failed(folder, error) from error
        return folder / f"{os.getpid()}-{id(self):x}-{next(self._numbers)}"

    def _sweep(self, part: Path) -> None:
        """Once, takes away what runs that were killed left on its way, hours before this part."""
        if self._swept:
            return
        self._swept = True
        newest = part.stat().st_mtime - _LEFT
        for other in part.parent.iterdir():
            with suppress(OSError):
                if other.stat().st_mtime < newest:
                    other.unlink()

    def _move_in(self, part: Path, name: str, generation: int | None) -> int:
        path = self._path(name)
        with self._alone():
            before = self._expect(name, generation)
            facts = part.stat()
            if facts.st_mtime_ns <= before:  # a clock that is coarse, or was set back
                os.utime(part, ns=(facts.st_atime_ns, before + 1))
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
            return path.stat().st_mtime_ns

    def _expect(self, name: str, generation: int | None) -> int:
        """The generation that is there, which is the one that is wanted."""
        there = self._is(name)
        if generation is not None and there != generation:
            raise ChangedError(f"{self._path(name)} is not what it was expected to be")
        return there

    def _is(self, name: str) -> int:
        try:
            return self._path(name).stat().st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return 0

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else looks or writes meanwhile; the system frees it when its holder dies."""
        import fcntl

        path = self._root / _OWN / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _hid(error: OSError) -> None:
    """A folder that cannot be listed raises DeliveryError, for it hides what it holds; one that is
    gone holds nothing."""
    if not isinstance(error, FileNotFoundError):
        raise _failed(Path(error.filename), error, _READ) from error


def _failed(path: Path, error: OSError, does: str = "write") -> DeliveryError:
    reason = error.strerror or str(error)
    hints = {errno.ENOSPC: "free some space there", errno.EDQUOT: "the quota there is used up"}
    hint = hints.get(error.errno or 0, f"check that this user may {does} there")
    return DeliveryError(f"{path}: {reason}", hint=f"{hint}, then run it again")
