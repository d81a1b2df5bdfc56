"""The pages of a plan, which wait until they are made: those of lists in a file.

    place     order            the page
        0     -1795996800.0    bytes 0 to 611 of the file: jobs/label-owner-8cd88e595b.html
        1     -1795996740.0    bytes 611 to 1204: jobs/failed.html
     2548     inf              itself: index.html

A job stands in some twenty lists, and a label may have a value for each job: there are nearly as
many pages of lists as jobs, of which each would take 1 KB. They are packed as workers are sent
them, and read when they are due. What is asked of all of them stays at hand, 21 bytes of each.
"""

import os
import pickle
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

from jmreport.render.page import Page


class Waiting(Sequence[Page]):
    """Pages by their places: in their `order`, those that share one as they came."""

    def __init__(self, path: Path, pages: Iterable[Page]) -> None:
        """Takes each page as it is planned. Raises OSError where the file cannot be written."""
        #: What is not read again: it is made of the report, by this process.
        self._held: dict[int, Page] = {}
        #: Of each page in the order in which they came: where what is in the file ends, the order,
        #: how many jobs have to be lent for it, and whether others can make it.
        self._ends, self._orders = array("Q", [0]), array("d")
        self._lent, self._apart = array("I"), bytearray()
        #: The first job that has to be lent, for those pages that have one.
        self._first: dict[int, str] = {}
        # Nobody else is to write what is unpacked here, or to find it once this process is gone.
        path.unlink(missing_ok=True)  # of a process of this number that was killed
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        path.unlink()
        with open(self._file, "wb", closefd=False) as out:
            for page in pages:
                self._take(page, 0 if page.sheet is None else out.write(pickle.dumps(page)))
        self._in_order = array("I", sorted(range(len(self._orders)), key=self._orders.__getitem__))

    def _take(self, page: Page, size: int) -> None:
        number = len(self._orders)
        if not size:
            self._held[number] = page
        self._ends.append(self._ends[-1] + size)
        self._orders.append(page.order)
        self._lent.append(len(page.jobs))
        self._apart.append(page.is_apart)
        if page.jobs:
            self._first[number] = page.jobs[0]

    def __len__(self) -> int:
        return len(self._in_order)

    @overload
    def __getitem__(self, which: int) -> Page: ...

    @overload
    def __getitem__(self, which: slice) -> list[Page]: ...

    def __getitem__(self, which: int | slice) -> Page | list[Page]:
        if isinstance(which, slice):
            return [*map(self._page, self._in_order[which])]
        return self._page(self._in_order[which])

    def _page(self, number: int) -> Page:
        if (held := self._held.get(number)) is not None:
            return held
        start, end = self._ends[number : number + 2]
        # By its place: processes that were forked share where a file was read last.
        packed = os.pread(self._file, end - start, start)
        found: Page = pickle.loads(packed)  # noqa: S301 (of this process)
        return found

    def held(self) -> Iterator[tuple[int, Page]]:
        """The pages that are in no file, with their places."""
        for place, number in enumerate(self._in_order):
            if (page := self._held.get(number)) is not None:
                yield place, page

    def order(self, place: int) -> float:
        """What a page is made in the order of."""
        return self._orders[self._in_order[place]]

    def lent(self, place: int) -> int:
        """How many jobs have to be lent for a page."""
        return self._lent[self._in_order[place]]

    def first(self, place: int) -> str:
        """The newest job that has to be lent for a page; "" where none has."""
        return self._first.get(self._in_order[place], "")

    def is_apart(self, place: int) -> bool:
        """The same as of the page (render/page.py)."""
        return bool(self._apart[self._in_order[place]])

    def close(self) -> None:
        """No page is asked for any more."""
        os.close(self._file)
