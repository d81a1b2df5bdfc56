"""What a bucket is to those who use one, and the values that it hands over."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class Headers(Struct, frozen=True, kw_only=True):
    """How an object is served. `encoding` says how its bytes are packed: "gzip", or "" for not."""

    content_type: str = "application/octet-stream"
    encoding: str = ""
    #: Cache-Control.
    cache: str = ""


class Held(Struct, frozen=True, kw_only=True):
    """An object that is there. `name` is below the prefix; `md5` is of the bytes as they are kept,
    in hexadecimal digits, "" where nobody knows it."""

    name: str
    size: int
    generation: int
    updated: datetime | None = None
    md5: str = ""
    cache: str = ""


class Read(Struct, frozen=True, kw_only=True):
    """An object's bytes, unpacked, and the generation that they are of."""

    data: bytes
    generation: int


class Bucket(Protocol):
    """Objects below a prefix. May be used by several threads at a time.

    Where a generation is asked for, None is "whatever is there" and 0 is "nothing". An object that
    is of another generation raises ChangedError, and whatever else a bucket refuses DeliveryError.
    """

    @property
    def place(self) -> str:
        """Where it is, as a message names it: gs://bucket/prefix, or a folder."""

    @property
    def encodes(self) -> bool:
        """Whether objects are served with their headers. A folder holds bytes and nothing else."""

    def objects(self, under: str = "") -> Iterator[Held]:
        """Every object whose name begins so, in the order of their names."""

    def names(self, under: str = "") -> Iterator[str]:
        """The name of every object whose name begins so, in their order. A folder reads none."""

    def look(self, name: str) -> Held | None:
        """One object's facts; None where there is none."""

    def read(self, name: str) -> Read | None:
        """One object's bytes; None where there is none."""

    def write(
        self, name: str, data: bytes, *, generation: int | None, headers: Headers = ...
    ) -> int:
        """Puts an object in its place, whole, and says its new generation.

        A repeated write that finds these very bytes there, served in this very way, has succeeded.
        """

    def copy(
        self, source: str, name: str, *, source_generation: int | None, generation: int | None
    ) -> int:
        """Puts a copy of an object, headers and all, in a place; says its generation.

        One that is not there is another than the one that was read.
        """

    def delete(self, name: str, *, generation: int | None) -> bool:
        """Takes an object away; False where there is none."""

    def readers(self) -> tuple[str, ...]:
        """Everybody who may do something with it, as its policy names them ("allUsers").

        Raises UnreadableError where the policy cannot be read. A folder has none.
        """

    def lacking(self) -> tuple[str, ...]:
        """What this account would need to publish here and may not do, in the host's words.

        Raises UnreadableError where nobody can tell, and DeliveryError where it cannot be reached.
        """

    def close(self) -> None:
        """Lets its connections go."""
