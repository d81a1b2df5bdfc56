"""Full pages of lists that stand as they are: after one more night nearly all of them do.

A list of all time is paged from its oldest job on, so nothing can change a full page but a job that
is another, or that nobody knew, and none that was submitted later than those of the page. Full
pages that are older than all such jobs are not even planned. The ledger remembers of each list how
its pages looked, and how many of them were full.
"""

from collections.abc import Iterable
from math import inf, nextafter

from jmreport.placed import Placed
from jmreport.render.files import Files
from jmreport.render.ledger import Ledger


class Standing:
    """Full pages that are left alone, list by list. Their files are looked at all the same."""

    def __init__(
        self, ledger: Ledger, files: Files, since: float | None, renamed: Iterable[float] = ()
    ) -> None:
        """No job is another that was submitted before `since`, in seconds since 1970.

        None where nobody knows: then no page stands. Those submitted at one of the `renamed`
        instants are where they were, under another name.
        """
        self._ledger, self._files, self._since = ledger, files, since
        self._renamed = sorted(renamed)
        self._before = {} if since is None else ledger.lists()
        self._now: dict[str, tuple[str, int]] = {}
        #: Addresses of the pages that stand.
        self.pages: set[str] = set()

    def of(self, name: str, look: str, jobs: object, full: int, rows: int) -> frozenset[str]:
        """Those of a list, which has so many full pages of so many rows.

        `name` is what their addresses begin with (jobs/label-owner-a157d2d6b4-older-).
        """
        self._now[name] = look, full
        then, pages = self._before.get(name, ("", 0))
        if self._since is None or then != look or not isinstance(jobs, Placed):
            return frozenset()
        # The newest of the full pages says so, by leading to none that is newer.
        last = min(pages - 1, full - 1, jobs.older(self._since) // rows)
        if last < 1:
            return frozenset()
        other = {page for at in self._renamed for page in _showing(jobs, at, rows)}
        wanted = {f"{name}{page}.html" for page in range(1, last + 1) if page not in other}
        size = self._files.size
        found = frozenset(
            address
            for address, known in self._ledger.sizes_of(name)
            if address in wanted and size(address) == known
        )
        self.pages |= found
        return found

    def done(self) -> None:
        """All lists were planned."""
        self._ledger.set_lists(self._now)


def _showing(jobs: Placed, at: float, rows: int) -> range:
    """The full pages of a list that show jobs submitted at an instant."""
    first, end = jobs.older(at), jobs.older(nextafter(at, inf))
    return range(first // rows + 1, (end - 1) // rows + 2) if first < end else range(0)
