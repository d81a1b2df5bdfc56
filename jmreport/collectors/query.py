"""The list of jobs: the window by submission, and every job still active whenever submitted.

Paging is where servers lie most. The dsub shim's tokens hold whole seconds, so pages repeat jobs,
drop jobs or return one token for ever; the Cromwell shim pages by offset over rows that move while
it is read, and ends with an empty page. So a walk keeps its page size, knows ids it has seen, ends
when a token comes back or a page brings nothing new, and says so when the total is doubtful.
Every filter is applied here as well: each shim ignores some of them without a word.
"""

import re
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from jmreport.client import Client
from jmreport.errors import UnreadableError
from jmreport.models import (
    ACTIVE_STATUSES,
    JOB_STATUSES,
    CapabilitiesResponse,
    ExtendedQueryFields,
    QueryJobsRequest,
)
from jmreport.records import Asked, Filters, Gap, is_terminal, moment, utc_text

#: Names the Cromwell shim takes; it refuses the hyphen that the API allows.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]+")
#: A walk is ended after this many pages that brought nothing new, whatever its tokens say.
_BARREN_PAGES = 2


class Listing:
    """The jobs a server lists, each once: iterate over `rows()`; afterwards `gaps` and `notes`.

    `listed` counts the rows that were wanted. Raises the client's ServerError or RefusedError, and
    UnreadableError when not even the first page could be read; a later page is a gap.
    """

    def __init__(
        self, client: Client, asked: Asked, capabilities: CapabilitiesResponse, *, page_size: int
    ) -> None:
        self.gaps: list[Gap] = []
        self.notes: list[str] = []
        self.listed = 0
        #: How many the server says there are, before filters of ours; None where it does not say.
        self.total: int | None = None
        self._client = client
        self.asked = asked
        self._page_size = page_size
        self._extensions = capabilities.query_extensions
        self._seen: set[str] = set()
        self._pages = 0

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every wanted row as received, newest submission first within a walk."""
        filters = self.asked.filters
        window = self._request(self.asked.since, filters)
        yield from self._wanted(self._walk_or_slice(window))
        active = tuple(
            word for word in ACTIVE_STATUSES if not filters.status or word in filters.status
        )
        if self.asked.since is not None and active and filters.submission is None:
            request = self._request(None, replace(filters, status=active))
            yield from self._wanted(self._walk_or_slice(request))

    def _request(self, since: datetime | None, filters: Filters) -> QueryJobsRequest:
        """The filters that servers take; labels never, a non-empty filter is 500 on Cromwell."""
        name = filters.name if filters.name and _NAME.fullmatch(filters.name) else None
        job = filters.job_id if filters.job_id and _ID.fullmatch(filters.job_id) else None
        # A start before the submissions asked for says nothing, and servers answer 400 to it.
        start = filters.start if filters.start and not (since and since > filters.start) else None
        return QueryJobsRequest(
            start=utc_text(start) if start else None,
            end=utc_text(filters.end) if filters.end else None,
            submission=utc_text(since) if since else None,
            status=filters.status or None,
            id=job,
            name=name,
            page_size=self._page_size,
            extensions=self._extended(filters),
        )

    def _extended(self, filters: Filters) -> ExtendedQueryFields | None:
        """What the server says it can filter by: dsub's local provider refuses any project."""
        offered = self._extensions
        fields = ExtendedQueryFields(
            project_id=filters.project_id if "projectId" in offered else None,
            user_id=filters.user_id if "userId" in offered else None,
            hide_archived=True if filters.hide_archived and "hideArchived" in offered else None,
        )
        return fields if fields != ExtendedQueryFields() else None

    def _wanted(self, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            if wanted(row, self.asked):
                self.listed += 1
                yield row

    def _walk_or_slice(self, request: QueryJobsRequest) -> Iterator[dict[str, Any]]:
        """A walk; where it jams, one walk for each status, which reaches past the jam."""
        jammed = yield from self._walk(request)
        if not jammed:
            return
        statuses = request.status or JOB_STATUSES
        stuck = list(statuses)
        if len(statuses) > 1:
            for status in statuses:
                if not (yield from self._walk(replace(request, status=(status,)))):
                    stuck.remove(status)
        if stuck:
            self.gaps.append(
                Gap(
                    what="pages of the list",
                    why="the server returned the same page token again, so older jobs that are "
                    + " or ".join(stuck)
                    + " may be missing",
                )
            )
        else:
            self.notes.append(
                "The server's paging repeated a token; the list was read again for each status."
            )

    def _walk(self, request: QueryJobsRequest) -> Generator[dict[str, Any], None, bool]:
        """Follow the tokens to the end. Its value: whether the walk jammed before the end."""
        tokens: set[str] = set()
        distinct: set[str] = set()
        barren = 0
        last_second = ""
        doubtful = False
        page = 0
        while True:
            page += 1
            answer = self._page(request, first=not tokens)
            if answer is None:
                self.gaps.append(Gap(what=f"page {page} of the list", why=self._why))
                return False
            self._note_total(answer.get("totalSize"))
            results = answer.get("results")
            if not isinstance(results, list):
                self.gaps.append(
                    Gap(what=f"page {page} of the list", why="the answer holds no list of results")
                )
                results = []
            fresh = 0
            for row in results:
                job = job_id(row)
                if job is None:
                    self.gaps.append(
                        Gap(what=f"a row on page {page} of the list", why="it has no job id")
                    )
                    continue
                if job not in distinct:
                    distinct.add(job)
                    fresh += 1
                if job not in self._seen:
                    self._seen.add(job)
                    yield row
            seconds = [_second(row) for row in results if isinstance(row, dict)]
            doubtful = doubtful or (page > 1 and bool(seconds) and seconds[0] == last_second)
            last_second = seconds[-1] if seconds else last_second
            token = answer.get("nextPageToken")
            if not isinstance(token, str) or not token:
                self._compare_total(answer.get("totalSize"), len(distinct), doubtful=doubtful)
                return False
            barren = 0 if fresh else barren + 1
            if not results:
                # The Cromwell shim's last page carries a token too: an empty page is the end.
                self._compare_total(answer.get("totalSize"), len(distinct), doubtful=doubtful)
                return False
            if token in tokens or barren >= _BARREN_PAGES:
                return True
            tokens.add(token)
            request = replace(request, page_token=token)

    _why = ""

    def _page(self, request: QueryJobsRequest, *, first: bool) -> dict[str, Any] | None:
        """A page's body; None when it could not be read. The very first page must be read."""
        try:
            answer = self._client.query(request)
        except UnreadableError as error:
            if first and self._bare(request) != request:
                return self._page_without_filters(request, error)
            if self._pages == 0:
                raise
            self._why = error.message
            return None
        if not isinstance(answer, dict):
            if self._pages == 0:
                raise UnreadableError("the list of jobs is not an object of the API")
            self._why = "the answer is not an object"
            return None
        self._pages += 1
        return answer

    def _page_without_filters(
        self, request: QueryJobsRequest, error: UnreadableError
    ) -> dict[str, Any] | None:
        """The page without the filters servers trip over; they are applied here anyway."""
        page = self._page(self._bare(request), first=False)
        if page is not None:
            self.notes.append(
                f"The server refused the query's filters ({error.message}); they were applied to "
                "the whole list here."
            )
        return page

    def _bare(self, request: QueryJobsRequest) -> QueryJobsRequest:
        return replace(request, id=None, name=None, start=None, end=None, extensions=None)

    def _note_total(self, total: Any) -> None:
        if isinstance(total, int) and total > (self.total or 0):
            self.total = total

    def _compare_total(self, total: Any, distinct: int, *, doubtful: bool) -> None:
        if isinstance(total, int | float) and distinct < total:
            missing = int(total) - distinct
            self.gaps.append(
                Gap(
                    what="the list of jobs",
                    why=f"the server counts {int(total)} and its pages brought {distinct}: "
                    f"{missing} never came",
                )
            )
        elif total is None and doubtful:
            self.notes.append(
                "The list's pages met in the middle of a second and the server gives no total, so "
                "a job submitted in that second may be missing."
            )


def job_id(row: Any) -> str | None:
    """The id of a list row or detail; None where there is none."""
    found = row.get("id") if isinstance(row, dict) else None
    return found if isinstance(found, str) and found else None


def wanted(row: dict[str, Any], asked: Asked) -> bool:
    """Whether a row is in the window (or active) and passes every filter.

    A row that can't be judged, because its field is absent or unreadable, is kept where the filter
    is the window, and left out where somebody asked for a value that it doesn't have.
    """
    filters = asked.filters
    status = row.get("status")
    submission = moment(row.get("submission"))
    ended = isinstance(status, str) and is_terminal(status)
    since = filters.submission or asked.since
    if since and submission and submission < since and (ended or filters.submission):
        return False
    labels, extensions = _map(row, "labels"), _map(row, "extensions")
    start, end = moment(row.get("start")), moment(row.get("end"))
    return (
        (not filters.status or status in filters.status)
        and (filters.name is None or row.get("name") == filters.name)
        and (filters.job_id is None or row.get("id") == filters.job_id)
        and (filters.start is None or (start is not None and start >= filters.start))
        and (filters.end is None or (end is not None and end <= filters.end))
        and all(label_text(labels.get(key)) == value for key, value in filters.labels.items())
        and (filters.user_id is None or extensions.get("userId") in (None, filters.user_id))
        and not (filters.hide_archived and labels.get("flag") == "archive")
    )


def label_text(value: Any) -> str | None:
    """A label's value as text: dsub's are integers too."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def _map(row: dict[str, Any], key: str) -> dict[str, Any]:
    found = row.get(key)
    return found if isinstance(found, dict) else {}


def _second(row: dict[str, Any]) -> str:
    text = row.get("submission")
    return text[:19] if isinstance(text, str) else ""
