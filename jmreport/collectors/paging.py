"""One walk through the pages of a list, which ends whatever a server's tokens say.

Servers lie about their end in many ways. The Cromwell shim's last page carries a token, and one
empty page without a token follows. The dsub shim's tokens hold whole seconds, so that pages repeat
jobs, or the same token comes for ever. A broken proxy can bring one new row a page without end, or
an empty page in the middle. So a walk tells how it ended, and never takes a doubtful end for a
good one.
"""

from collections.abc import Callable, Generator
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from jmreport.gaps import Gap, page_of_list, row_of_list
from jmreport.models import QueryJobsRequest

#: A walk has jammed after this many full pages in a row that brought nothing new.
BARREN_PAGES = 2
#: An empty page may come in the middle; after so many in a row nothing more is expected.
EMPTY_PAGES = 3
#: A walk is no longer than this, whatever its tokens say: two and a half million jobs by default.
MOST_PAGES = 10_000

#: Asks for a page: its body, or words for why it could not be read.
Ask = Callable[[QueryJobsRequest], dict[str, Any] | str]


class End(Struct, kw_only=True):
    """How a walk ended.

    `how`: "ended" is the server's own end, "jammed" a token that leads nowhere, "endless" a bound
    of ours, "empty" tokens that lead to empty pages only, "unread" a page that could not be read:
    number `pages`, for the reason `why`. `total` is the largest count that the server gave, None
    where it gave none, and `counted` the first: what was submitted while pages were read stands
    before all of them, and is for the next walk. `distinct` are the ids that came. `oldest` is the
    earliest submission reached, `second` that of the last row, both as the server wrote them.
    """

    how: Literal["ended", "jammed", "endless", "empty", "unread"] = "ended"
    why: str = ""
    pages: int = 0
    total: int | None = None
    counted: int | None = None
    distinct: set[str] = field(default_factory=set)
    oldest: str = ""
    second: str = ""
    #: All submissions were of whole seconds; some jobs shared one; a page began before the second
    #: in which the one before it ended.
    whole_seconds: bool = True
    shared: bool = False
    skipped: bool = False
    bad: list[Gap] = field(default_factory=list)

    @property
    def doubtful(self) -> bool:
        """Whether a token of whole seconds may have dropped jobs between two pages.

        The dsub shim's does, and no count tells of it. Where no two jobs share a second, or each
        page begins with the second in which the last one ended, nothing can have been dropped.
        """
        return self.total is None and self.whole_seconds and self.shared and self.skipped

    @property
    def missing(self) -> int:
        """How many jobs the server counted and never sent.

        By its first count where it ended the list itself; any other end explains no growth.
        """
        counted = self.counted if self.how == "ended" else self.total
        return max(0, (counted or 0) - len(self.distinct))


def walk(
    ask: Ask, request: QueryJobsRequest, *, most_pages: int = MOST_PAGES
) -> Generator[dict[str, Any], None, End]:
    """Every row that has an id, once. Its value: how the walk ended.

    At least one page is asked for, and at most `most_pages`.
    """
    end = End()
    tokens: set[str] = set()
    barren = empty = 0
    while True:
        end.pages += 1
        answer = ask(request)
        if isinstance(answer, str):
            end.how, end.why = "unread", answer
            return end
        results = _results(answer, end)
        before = len(end.distinct)
        yield from _fresh(results, end)
        fresh = len(end.distinct) - before
        barren = 0 if fresh or not results else barren + 1
        empty = 0 if results else empty + 1
        token = answer.get("nextPageToken")
        if not isinstance(token, str) or not token or _complete(end, len(results), request):
            return end
        if token in tokens or barren >= BARREN_PAGES:
            end.how = "jammed"
        elif empty >= EMPTY_PAGES:
            end.how = "empty"
        elif end.pages >= most_pages or _beyond(end, request):
            end.how = "endless"
        if end.how != "ended":
            return end
        tokens.add(token)
        request = replace(request, page_token=token)


def job_id(row: Any) -> str | None:
    """The id of a list row or detail; None where there is none."""
    found = row.get("id") if isinstance(row, dict) else None
    return found if isinstance(found, str) and found else None


def _results(answer: dict[str, Any], end: End) -> list[Any]:
    """A page's rows; what is no list is a gap. Notes the server's count."""
    total = answer.get("totalSize")
    if isinstance(total, int | float) and not isinstance(total, bool) and 0 <= total < 1e15:
        end.total = max(int(total), end.total or 0)
        end.counted = int(total) if end.counted is None else end.counted
    results = answer.get("results")
    if isinstance(results, list):
        return results
    end.bad.append(Gap(what=page_of_list(end.pages), why="the answer holds no list of results"))
    return []


def _fresh(results: list[Any], end: End) -> Generator[dict[str, Any], None, None]:
    seconds: list[str] = []
    for row in results:
        job = job_id(row)
        if job is None:
            end.bad.append(Gap(what=row_of_list(end.pages), why="it has no job id"))
            continue
        submission = row.get("submission")
        if isinstance(submission, str) and submission:
            end.shared = end.shared or (job not in end.distinct and submission[:19] in seconds[-1:])
            end.whole_seconds = end.whole_seconds and "." not in submission
            seconds.append(submission[:19])
            end.oldest = min(end.oldest or submission, submission)
        if job not in end.distinct:
            end.distinct.add(job)
            yield row
    if seconds:
        end.skipped = end.skipped or (bool(end.second) and seconds[0] != end.second)
        end.second = seconds[-1]


def _complete(end: End, rows: int, request: QueryJobsRequest) -> bool:
    """Whether a token is not worth following: all that the server counts has come.

    Only after a page that is not full, as Cromwell's last one is; a full one may belong to a server
    whose count is wrong.
    """
    return 0 < rows < (request.page_size or 0) and len(end.distinct) == end.total


def _beyond(end: End, request: QueryJobsRequest) -> bool:
    """Whether far more came than the server counts: new rows would come for ever."""
    if end.total is None:
        return False
    return len(end.distinct) > end.total + end.total // 2 + 4 * (request.page_size or 0)
