"""The account of a writing: what stands as it was, what was made anew, and what goes.

Every file of the site is planned by somebody here, or it goes at the end. The ledger says what each
was made of: what is the same, and has the size that it had, is not written again.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

from msgspec import Struct

from jmreport.render.files import Files, Sum, WrittenFile, cannot_write, sum_of
from jmreport.render.ledger import Ledger
from jmreport.render.making import Done


class Written(Struct, frozen=True, kw_only=True):
    """What writing the site came to. Pages are counted with the files beside them."""

    pages_total: int
    rewritten: int
    unchanged: int
    removed: int
    seconds: float

    @property
    def pages(self) -> int:
        """The same as `pages_total`."""
        return self.pages_total


class Account:
    """What one writing of the site came to so far. `planned` are the files that it has."""

    def __init__(self, files: Files, ledger: Ledger) -> None:
        self._files, self._ledger = files, ledger
        self._rewritten = self._unchanged = self._removed = 0
        self.planned: set[str] = set()

    def written(self, seconds: float = 0.0) -> Written:
        """What it came to, in as much time."""
        return Written(
            pages_total=self._rewritten + self._unchanged,
            rewritten=self._rewritten,
            unchanged=self._unchanged,
            removed=self._removed,
            seconds=seconds,
        )

    def whole(self, files: Sequence[tuple[str, int]]) -> bool:
        """Whether these files are there, each of the size that it had."""
        return all(self._files.size(address) == size for address, size in files)

    def stand(self, files: int) -> None:
        """So many files are as they were."""
        self._unchanged += files

    def done(self, done: Done, *, kept: bool) -> None:
        """A page was made anew; `kept` are pages that stay when nothing plans them."""
        self._ledger.put(done.owner, done.content, done.files, kept=kept)
        self._rewritten += len(done.files)

    def file(self, address: str, content: bytes) -> None:
        """A file named by its content, or one that is cheap to compare by it."""
        self.planned.add(address)
        total = sum_of(content)
        known, files = self._ledger.files(address)
        if known == total and self.whole(files):
            self._unchanged += 1
            return
        self._ledger.put(address, total, (self._files.write(address, content),), kept=False)
        self._rewritten += 1

    def lead_on(self, owner: str, content: bytes) -> None:
        """A page that leads to where a job's page is now, in place of all that it had."""
        _, files = self._ledger.files(owner)
        written = self._files.write(owner, content)
        self._ledger.put_moved(owner, written)
        for address, _ in files:
            if address != owner:
                self._remove(address)

    def stream(self, address: str | Callable[[str], str], pieces: Iterable[bytes]) -> str:
        """A file that is never in memory as a whole, and may be named by the digest of its bytes.

        It is moved in only where it differs. Returns its address.
        """
        part = self._files.spool("stream")
        whole = Sum()
        try:
            with part.open("wb") as out:
                for piece in pieces:
                    whole.add(piece)
                    out.write(piece)
        except OSError as error:
            place = self._files.root / address if isinstance(address, str) else part
            raise cannot_write(place, error) from error
        name = address if isinstance(address, str) else address(whole.total)
        self.planned.add(name)
        written = WrittenFile(address=name, size=whole.size, sum=whole.total)
        known, files = self._ledger.files(name)
        if known == written.sum and self.whole(files):
            self._unchanged += 1
            return name
        self._files.take(name, part)
        self._ledger.put(name, written.sum, (written,), kept=False)
        self._rewritten += 1
        return name

    def clean(self, going: Iterable[str], *, staying: Collection[str] = ()) -> None:
        """Removes what no page links to any more, and what a run that was killed left behind.

        Those that are `staying` are left, though nothing plans them.
        """
        removable = {*self._ledger.removable()}.difference(staying)
        for owner in sorted(removable.union(going) - self.planned):
            for address, _ in self._ledger.files(owner)[1]:
                if address not in self.planned:
                    self._remove(address)
            self._ledger.forget(owner)
        # What a run that was killed had made of a state that never came to be.
        if unsure := self._files.unsure - self.planned:
            for address in sorted(unsure.difference(each for each, _ in self._ledger.all_sizes())):
                self._remove(address)

    def _remove(self, address: str) -> None:
        self._files.remove(address)
        self._removed += 1
