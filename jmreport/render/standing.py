"""Full pages of lists that stand as they are: after one more night nearly all of them do.

A list of all time is paged from its oldest job on, so nothing can change a full page but a job that
is another, or that nobody knew, and none that was submitted later than those of the page. Full
pages that are older than all such jobs are not even planned. Nor are those of a list that has the
same jobs as before, none of which is another: those of past nights. The ledger remembers of each
list how its pages looked, and how many of them were full.
"""

import hashlib
from collections.abc import Iterable, Sequence, Set
from math import inf, nextafter

from jmreport.placed import Placed
from jmreport.render.files import Files
from jmreport.render.ledger import Ledger
from jmreport.render.looking import TURNS

#: Pages that the ledger is asked for together.
_AT_ONCE = 200


class Standing:
    """Full pages that are left alone, list by list. Their files are looked at all the same.

    All of them, or some each night, as those of jobs' pages are (render/looking.py).
    """

    def __init__(
        self,
        ledger: Ledger,
        files: Files,
        since: float | None,
        renamed: Iterable[float] = (),
        others: Set[str] | None = None,
        turn: int | None = None,
    ) -> None:
        """No job is another that was submitted before `since`, in seconds since 1970.

        None where nobody knows: then no page stands. Those submitted at one of the `renamed`
        instants are where they were, under another name. `others` are the jobs that are others,
        None where they may be any. `turn` says which of the pages are looked at, None for all.
        """
        self._ledger, self._files, self._since = ledger, files, since
        self._renamed, self._others, self._turn = sorted(renamed), others, turn
        self._before = {} if since is None else ledger.lists()
        self._now: dict[str, tuple[str, int]] = {}
        #: Addresses of the pages that stand.
        self.pages: set[str] = set()

    def of(self, name: str, look: str, jobs: Sequence[str], full: int, rows: int) -> frozenset[str]:
        """Those of a list, which has so many full pages of so many rows.

        `name` is what their addresses begin with (jobs/label-owner-8cd88e595b-older-).
        """
        # What places say of a list is asked below; of any other its jobs must be the same.
        look = look if isinstance(jobs, Placed) else f"{look} {_digest(jobs)}"
        self._now[name] = look, full
        then, pages = self._before.get(name, ("", 0))
        if then != look:
            return frozenset()
        if isinstance(jobs, Placed):
            wanted = self._older(jobs, min(pages, full), rows)
        else:
            wanted = set(range(1, full + 1)) if self._same(jobs) else set()
        found = frozenset(f"{name}{page}.html" for page in wanted) if wanted else frozenset[str]()
        found -= self._damaged(name, wanted)
        self.pages |= found
        return found

    def _damaged(self, name: str, pages: Set[int]) -> frozenset[str]:
        """Those of a list's pages that are missing, or cut short, as far as it is looked."""
        if not pages:
            return frozenset()
        size = self._files.size
        if self._turn is None:
            sizes = dict(self._ledger.sizes_of(name))
            every = (f"{name}{page}.html" for page in pages)
            return frozenset(
                each for each in every if each not in sizes or size(each) != sizes[each]
            )
        some = [f"{name}{page}.html" for page in pages if page % TURNS == self._turn]
        bad = set[str]()
        for start in range(0, len(some), _AT_ONCE):
            asked = some[start : start + _AT_ONCE]
            told = self._ledger.known(asked)
            for address in asked:
                _, files = told.get(address, ("", ()))
                if not files or any(size(at) != known for at, known in files):
                    bad.add(address)
        return frozenset(bad)

    def _older(self, jobs: Placed, full: int, rows: int) -> set[int]:
        """The full pages that are older than all that changed."""
        if self._since is None:
            return set()
        # The newest of the full pages says so, by leading to none that is newer.
        last = min(full - 1, jobs.older(self._since) // rows)
        other = {page for at in self._renamed for page in _showing(jobs, at, rows)}
        return set(range(1, last + 1)) - other

    def _same(self, jobs: Sequence[str]) -> bool:
        """Whether none of the jobs is another."""
        return self._others is not None and self._others.isdisjoint(jobs)

    def done(self) -> None:
        """All lists were planned."""
        self._ledger.set_lists(self._now)


def _digest(jobs: Iterable[str]) -> str:
    """Which jobs a list has, and in which order."""
    body = "\n".join(jobs).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def _showing(jobs: Placed, at: float, rows: int) -> range:
    """The full pages of a list that show jobs submitted at an instant."""
    first, end = jobs.older(at), jobs.older(nextafter(at, inf))
    return range(first // rows + 1, (end - 1) // rows + 2) if first < end else range(0)
