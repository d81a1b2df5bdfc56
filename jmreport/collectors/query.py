"""The list of jobs: the window by submission, and every job still active whenever submitted.

Paging is where servers lie most, so each walk tells how it ended (paging), and what is doubtful is
asked again: a count that was not reached by walking once more, a jam in slices (slices), a refused
filter without it (filters). What is still doubtful after that is a gap.
"""

from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from jmreport.client import Client
from jmreport.collectors import filters, paging
from jmreport.collectors.capabilities import own_fields
from jmreport.collectors.filters import wanted
from jmreport.collectors.paging import End, job_id
from jmreport.collectors.slices import Slicer
from jmreport.errors import UnreadableError
from jmreport.gaps import LIST, PAGES, Gap, page_of_list
from jmreport.models import (
    ACTIVE_STATUSES,
    CapabilitiesResponse,
    QueryJobsRequest,
    QueryJobsResponse,
)
from jmreport.records import Asked, Filters

__all__ = ["Listing", "job_id", "wanted"]

#: Answers that may be about a filter; any other failure is about the server.
_REFUSALS = (400, 422, 500)
#: The page that is largest on servers that cap it (the dsub shim): the fewer pages, the fewer lost.
LARGEST_PAGE = 256
#: What a server may say beside the rows; more are names that vary from page to page.
MOST_OWN_FIELDS = 20
#: A doubtful list has come when so many walks in a row, in other pages, brought nothing new.
BARREN_WALKS = 2


class Listing:
    """The jobs a server lists, each once: iterate over `rows()`; afterwards `gaps` and `notes`.

    `listed` counts the rows that were wanted. Raises the client's ServerError or RefusedError, and
    UnreadableError when not even the first page could be read; a later page is a gap.
    """

    def __init__(
        self,
        client: Client,
        asked: Asked,
        capabilities: CapabilitiesResponse,
        *,
        page_size: int,
        most_pages: int = paging.MOST_PAGES,
    ) -> None:
        self.gaps: list[Gap] = []
        self.notes: list[str] = []
        self.listed = 0
        #: What pages hold beside their rows that the API does not name: path -> first value.
        self.own_fields: dict[str, Any] = {}
        #: How many the server says there are, before filters of ours; None where it does not say.
        self.total: int | None = None
        self.asked = asked
        self._client = client
        self._page_size = page_size
        self._most_pages = most_pages
        self._extensions = capabilities.query_extensions
        self._account = filters.Account(asked, self._extensions)
        self._refused: set[str] = set()
        self._seen: set[str] = set()
        self._pages = 0
        #: Whether the question is which jobs are active, whenever they were submitted.
        self._of_active = False
        #: What could not be used of the pages, by question: that of the walk that brought most.
        self._bad: dict[QueryJobsRequest, list[Gap]] = {}

    @property
    def left_out(self) -> int | None:
        """How many jobs that were listed no filter let through; None where nobody can know."""
        return self._account.left_out

    @property
    def is_empty(self) -> bool:
        """Whether the server named no job at all, be it that a filter would keep out."""
        return not self._seen

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every wanted row as received, newest submission first within a walk."""
        wish = self.asked.filters
        yield from self._whole(self._request(self.asked.since, wish))
        active = tuple(word for word in ACTIVE_STATUSES if not wish.status or word in wish.status)
        # What is still active has no end, so an end asked for leaves none of it.
        if self.asked.since and active and wish.submission is None and wish.end is None:
            self._of_active = True
            yield from self._whole(self._request(None, replace(wish, status=active)))
        self.gaps += [gap for bad in self._bad.values() for gap in bad]
        self.notes += self._account.notes()

    def _request(self, since: datetime | None, wish: Filters) -> QueryJobsRequest:
        asking = filters.request(wish, since, self._extensions, page_size=self._page_size)
        return filters.without(asking, *self._refused)

    # One question, read until nothing more can be had

    def _whole(self, request: QueryJobsRequest) -> Iterator[dict[str, Any]]:
        """All of a question: walked again where rows are missing, in slices where it jams."""
        end = yield from self._walk(request)
        request = filters.without(request, *self._refused)
        if end.how == "unread" and end.pages > 1 and filters.holds(request):
            # Some servers trip over a filter only where it matters.
            why, bare = end.why, filters.without(request, *filters.NAMES)
            again = yield from self._walk(bare)
            if again.how == "ended" and not again.missing:
                self._bad.pop(_question(request), None)
                self.notes.append(
                    f"Page {end.pages} of the list could not be read ({why}); the whole list was "
                    "read without filters instead."
                )
                return
        if (
            end.how == "jammed"
            and not self._reached(end)
            and (request.page_size or 0) < LARGEST_PAGE
        ):
            # The more a page holds, the fewer seconds have more jobs than that.
            request = replace(request, page_size=LARGEST_PAGE)
            end = yield from self._walk(request)
        if end.how == "ended" and end.missing:
            # Rows move while they are read by offset: those that slipped past come now.
            again = yield from self._walk(request)
            if again.how != "unread":  # else the first one tells what is missing
                if again.missing:
                    again.distinct |= end.distinct
                end = again
        elif end.how == "ended" and end.doubtful:
            yield from self._otherwise_paged(request)
        if end.how == "jammed" and not self._reached(end):
            yield from self._sliced(request)
        else:
            self._judge(end)

    def _walk(self, request: QueryJobsRequest) -> Generator[dict[str, Any], None, End]:
        """A walk: the wanted rows that no walk brought before."""
        sent: tuple[str, ...] = ()

        def ask(asking: QueryJobsRequest) -> dict[str, Any] | str:
            nonlocal sent
            answer = self._page(filters.without(asking, *self._refused))
            sent = filters.holds(filters.without(asking, *self._refused))
            self._account.answered(sent)
            return answer

        # Twice as many pages as one list may have, whatever has to be asked again.
        left = max(1, min(self._most_pages, 2 * self._most_pages - self._pages))
        walk = paging.walk(ask, request, most_pages=left)
        while True:
            try:
                row = next(walk)
            except StopIteration as stop:
                end: End = stop.value
                # Two rows without an id are two gaps; the same ones on a second walk are none.
                asked = _question(filters.without(request, *self._refused))
                self._bad[asked] = max(self._bad.get(asked, []), end.bad, key=len)
                if end.total is not None:
                    self.total = max(end.total, self.total or 0)
                return end
            job = job_id(row)
            if job is None or job in self._seen:
                continue
            self._seen.add(job)
            if self._account.row(row, sent):
                self.listed += 1
                yield row

    def _otherwise_paged(self, request: QueryJobsRequest) -> Iterator[dict[str, Any]]:
        """The list again in pages that meet elsewhere, until two walks bring no new job."""
        barren, unread = 0, ""
        for size in _other_sizes(request.page_size or LARGEST_PAGE):
            before = len(self._seen)
            end = yield from self._walk(replace(request, page_size=size))
            unread = end.why if end.how == "unread" else unread
            whole = end.how == "ended" and len(self._seen) == before
            barren = barren + 1 if whole else 0
            if barren == BARREN_WALKS:
                note = (
                    "The server's tokens hold whole seconds and it gives no total, so the list was "
                    "read again in pages of other sizes, until that brought no further job."
                )
                if note not in self.notes:
                    self.notes.append(note)
                return
        self._lacks(
            LIST,
            "the server's tokens hold whole seconds and drop jobs between pages, and it gives no "
            "total: jobs that share a second may be missing"
            + (f"; reading it again in other pages broke off ({unread})" if unread else ""),
        )

    def _sliced(self, request: QueryJobsRequest) -> Iterator[dict[str, Any]]:
        slicer = Slicer(self._slice, refused=self._refused)
        yield from slicer.rows(request)
        if not slicer.stuck:
            self.notes.append(
                "The server's paging repeated a token; the list was read again for each status."
            )
            return
        stuck = [(asking.status or ("",))[0] for asking, _ in slicer.stuck]
        seconds = [second for _, second in slicer.stuck if second]
        self._lacks(
            PAGES,
            "the server returned the same page token again, so jobs that are "
            + " or ".join(dict.fromkeys(stuck))
            + (f" and were submitted at {max(seconds)} or earlier" if seconds else "")
            + f" may be missing; {slicer.slices} smaller questions were asked to find them",
        )

    def _slice(self, request: QueryJobsRequest) -> Generator[dict[str, Any], None, End]:
        end = yield from self._walk(request)
        if end.how != "jammed":
            self._judge(end)
        elif self._reached(end):
            end.how = "ended"
        if end.how == "ended" and end.doubtful:
            yield from self._otherwise_paged(request)
        return end

    # What is doubtful

    def _reached(self, end: End) -> bool:
        """Whether all came that the server counts, whatever its tokens say."""
        return end.total is not None and not end.missing

    def _judge(self, end: End) -> None:
        """Say what a walk leaves in doubt."""
        if end.how == "unread":
            if not self._reached(end):
                self._lacks(page_of_list(end.pages, active=self._of_active), end.why)
        elif end.how == "endless":
            self._lacks(
                PAGES,
                f"the server's pages do not end: left after {end.pages} of them and "
                f"{len(end.distinct)} jobs; the oldest that was reached is of {end.oldest[:19]}",
            )
        elif end.missing:
            self._lacks(
                LIST,
                f"the server counts {len(end.distinct) + end.missing} and its pages brought "
                f"{len(end.distinct)}: "
                f"{end.missing} never came",
            )
        elif end.how == "empty" and end.total is None:
            self._lacks(
                PAGES,
                f"the server said {paging.EMPTY_PAGES} times in a row that more follows, and sent "
                "empty pages; how many jobs are missing is not known",
            )

    def _lacks(self, what: str, why: str) -> None:
        gap = Gap(what=what, why=why)
        if gap not in self.gaps:
            self.gaps.append(gap)

    # One page

    def _page(self, request: QueryJobsRequest) -> dict[str, Any] | str:
        """A page's body, or words for why not. The very first page must be read."""
        try:
            return self._read(request)
        except UnreadableError as error:
            sent = filters.holds(request)
            if request.page_token is None and sent and error.status in _REFUSALS:
                answer = self._without(request, sent, error)
                if answer is not None:
                    return answer
            if self._pages == 0:
                raise
            return error.message

    def _read(self, request: QueryJobsRequest) -> dict[str, Any]:
        answer: Any = self._client.query(request)
        if not isinstance(answer, dict):
            raise UnreadableError("the list of jobs is not an object of the API")
        self._pages += 1
        for path, value in own_fields(answer, QueryJobsResponse, "query.").items():
            if len(self.own_fields) < MOST_OWN_FIELDS:
                self.own_fields.setdefault(path, value)
        return answer

    def _without(
        self, request: QueryJobsRequest, sent: tuple[str, ...], error: UnreadableError
    ) -> dict[str, Any] | None:
        """The first page without the filter that the server trips over: one, or else all."""
        for names in (*((name,) for name in sent), sent):
            try:
                answer = self._read(filters.without(request, *names))
            except UnreadableError:
                continue
            self._refused.update(names)
            for name in names:
                self._account.refuse(name, error.message)
            return answer
        return None


def _question(request: QueryJobsRequest) -> QueryJobsRequest:
    """What is asked for, in whichever pages."""
    return replace(request, page_token=None, page_size=None)


def _other_sizes(size: int) -> tuple[int, ...]:
    """Sizes of pages that meet elsewhere than those of this size, the largest first."""
    smaller = (size * 5 // 6, size * 2 // 3, size // 2, size // 3)
    sizes = (LARGEST_PAGE, LARGEST_PAGE * 5 // 6, *smaller) if size < LARGEST_PAGE else smaller
    return tuple(dict.fromkeys(each for each in sizes if each > 0 and each != size))
