"""Templates as Python's bytecode, kept between starts in the cache folder of who runs jmreport.

    ~/.cache/jmreport/5c9b0e….template    digest of what follows and of all it was made from | code

Whoever could write there could have code of theirs run, so only what is ours alone is read: a
folder that nobody else can write to or put another in the place of, and files of our own in it.
Where there is none such, or nothing can be written, templates are compiled at every start. A file
that is cut, spoilt or of another version is as good as none.
"""

import hashlib
import marshal
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import Self

#: What others have to be unable to do.
_WRITTEN_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
#: A template is some tens of KB; what is larger is not one.
_LARGEST = 4 << 20
_DIGEST = hashlib.sha256().digest_size


def place(environ: Mapping[str, str]) -> Path | None:
    """Where compiled templates may be kept: $XDG_CACHE_HOME/jmreport, else ~/.cache/jmreport.

    >>> place({"HOME": "/home/ana"})
    PosixPath('/home/ana/.cache/jmreport')
    >>> place({"HOME": "/home/ana", "XDG_CACHE_HOME": "relative"}) is None
    True
    """
    caches = environ.get("XDG_CACHE_HOME") or ""
    home = environ.get("HOME") or ""
    if not caches and home:
        caches = f"{home}/.cache"
    return Path(caches) / "jmreport" if caches.startswith("/") else None


class Compiled:
    """The folder, once it is known to be ours alone."""

    def __init__(self, folder: Path, made_by: bytes) -> None:
        self._folder, self._made_by = folder, made_by

    @classmethod
    def of(cls, folder: Path, made_by: bytes) -> Self | None:
        """The folder, made where it is missing; None where others could put something into it.

        `made_by` tells everything apart that makes code from a template.
        """
        try:
            # A home or a cache that isn't there is not made: who has none wants none.
            with suppress(FileExistsError):
                if folder.parent.parent.is_dir():
                    folder.parent.mkdir(mode=0o700)
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            return cls(folder, made_by) if is_ours_alone(folder) else None
        except OSError:
            return None

    def read(self, name: str, source: str) -> CodeType | None:
        """What was kept of a template that has this source."""
        try:
            kept = self._bytes(self._path(name))
        except OSError:
            return None
        if kept[:_DIGEST] != self._digest(source, kept[_DIGEST:]):
            return None
        code = marshal.loads(kept[_DIGEST:])  # noqa: S302 (written by us, and whole)
        return code if isinstance(code, CodeType) else None

    def write(self, name: str, source: str, code: CodeType) -> None:
        """Keeps a template's code, where that can be done."""
        body = marshal.dumps(code)
        with suppress(OSError):
            handle, part = tempfile.mkstemp(dir=self._folder, suffix=".part")  # of mode 0600
            try:
                with os.fdopen(handle, "wb") as out:
                    out.write(self._digest(source, body) + body)
                Path(part).replace(self._path(name))
            except OSError:
                Path(part).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.template"

    def _digest(self, source: str, body: bytes) -> bytes:
        whole = hashlib.sha256(self._made_by)
        for part in (source.encode("utf-8", "surrogatepass"), body):
            whole.update(len(part).to_bytes(8, "big") + part)
        return whole.digest()

    @staticmethod
    def _bytes(path: Path) -> bytes:
        """A file's content; an OSError where others could have written it, or it is none."""
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as kept:
            about = os.fstat(kept.fileno())
            if not stat.S_ISREG(about.st_mode) or not _ours(about) or about.st_size > _LARGEST:
                raise PermissionError(f"{path} is not ours alone")
            return kept.read(_LARGEST)


def is_ours_alone(folder: Path) -> bool:
    """Whether a folder belongs to us, and nobody else can write to it or put another in its place.

    Folders above it may also be the system's, or sticky as /tmp is.
    """
    if not hasattr(os, "geteuid"):
        return False
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or not _ours(about):
        return False
    for above in folder.resolve(strict=True).parents:
        about = above.stat()
        theirs = about.st_mode & _WRITTEN_BY_OTHERS and not about.st_mode & stat.S_ISVTX
        if theirs or about.st_uid not in (0, os.geteuid()):
            return False
    return True


def _ours(about: os.stat_result) -> bool:
    return about.st_uid == os.geteuid() and not about.st_mode & _WRITTEN_BY_OTHERS
