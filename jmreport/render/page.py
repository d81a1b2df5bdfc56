"""A page that is planned: where it lies, what goes into it, and how it is made when it must be."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any, Protocol

import msgspec
from markupsafe import Markup
from msgspec import Struct

from jmreport.render.charts import Chart, key
from jmreport.render.drawings import Charts
from jmreport.render.words import Moment

#: The order of pages that wait for those with rows of jobs.
LAST = inf


def _nothing(_charts: Charts) -> None:
    """What a page shows that has a sheet."""


def _alone() -> tuple[tuple[str, bytes], ...]:
    """What stands beside a page that has no files beside it."""
    return ()


class Sheet(Protocol):
    """What a page of a list is made of beside its jobs; it can be kept, and sent to a process."""

    @property
    def chunk(self) -> Sequence[str | int]:
        """The jobs that it shows: their numbers, or ids of those that have none."""

    def shown(self, jobs: Any) -> Any:
        """What the template sees. `jobs` know what rows look like (render/jobcells.py)."""


class Page(Struct, frozen=True, kw_only=True):
    """A page other than a job's.

    `content` is the digest of everything that the page shows (the theme's digest not included);
    `view` makes what the template sees, with the drawings it asks for: those of `figures`. `beside`
    makes files that belong to the page, and come and go with it: (address, bytes). A page
    of a list has a `sheet` instead, from which whoever makes it reads what is to be seen: it waits
    in a file (render/waiting.py), and is sent to a worker.

    `jobs` are those that the page shows and that have to be lent for it. Pages with rows of jobs
    are made in the `order` of the newest of them, so that those that many pages show are at hand;
    all others come after them. `here` is for those whose view asks the ledger, which only the
    process that has it open may. A `stale` one is made again though its content is the same.
    """

    address: str
    template: str
    content: str
    view: Callable[[Charts], Any] = _nothing
    beside: Callable[[], Iterable[tuple[str, bytes]]] = _alone
    sheet: "Sheet | None" = None
    as_of: Moment | None = None
    figures: tuple[Chart, ...] = ()
    jobs: tuple[str, ...] = ()
    order: float = LAST
    here: bool = False
    stale: bool = False

    @property
    def is_apart(self) -> bool:
        """Whether it can be made where nothing is known but rows in a file and what is lent."""
        if self.sheet is None:
            return False
        return {job for job in self.sheet.chunk if isinstance(job, str)}.issubset(self.jobs)

    @property
    def charts(self) -> tuple[str, ...]:
        """The keys of its drawings."""
        return tuple(map(key, self.figures))


def digest(*parts: Any) -> str:
    """What tells two contents apart: Structs, texts, numbers and collections of them."""
    try:
        packed = msgspec.msgpack.encode(parts, enc_hook=_text_of)
    except UnicodeEncodeError:  # the name of a folder that is no text
        told = msgspec.to_builtins(parts, enc_hook=_text_of)
        packed = repr(told).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(packed, digest_size=16).hexdigest()


def _text_of(value: Any) -> bytes:
    """HTML that stands in a view."""
    if isinstance(value, Markup):
        return value.encode("utf-8", "surrogatepass")
    raise NotImplementedError(f"{type(value)} has no digest")
