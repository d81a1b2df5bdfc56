"""Listing jobs: paging that ends, rows that come once, filters that hold whatever a server does."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jmreport.client import Client
from jmreport.collectors.query import Listing, wanted
from jmreport.errors import UnreadableError
from jmreport.models import CapabilitiesResponse
from jmreport.records import Asked, Filters
from jmreport.settings import Api

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
Answer = tuple[int, dict[str, str], bytes]
Page = Callable[[dict[str, Any]], Any]


def row(number: int, **changes: Any) -> dict[str, Any]:
    submitted = NOW - timedelta(minutes=number + 1)
    return {
        "id": f"job-{number:04}",
        "status": "Succeeded",
        "submission": submitted.isoformat(),
    } | changes


class Server:
    """A Job Manager whose list is scripted: `page` maps a query's body to an answer's."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.queries: list[dict[str, Any]] = []

    def respond(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        assert (method, target) == ("POST", "/api/v1/jobs/query"), (method, target, headers)
        query = json.loads(body)
        self.queries.append(query)
        answer = self.page(query)
        if isinstance(answer, int):
            return answer, {"Content-Type": "text/plain"}, b"broken"
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def listing(
    server: Server,
    filters: Filters | None = None,
    *,
    days: int | None = 7,
    offers: Any = (),
    **more: Any,
) -> Listing:
    asked = Asked(
        server="test",
        timeframe="DAYS_7",
        since=NOW - timedelta(days=days) if days else None,
        filters=filters or Filters(),
    )
    client = Client(Api(url="http://test.invalid/api/v1", tries=1), respond=server.respond)
    capabilities = CapabilitiesResponse(query_extensions=tuple(offers))
    return Listing(client, asked, capabilities, page_size=2, **more)


def ids(found: Listing) -> list[str]:
    return [row["id"] for row in found.rows()]


def paged(rows: list[dict[str, Any]], *, total: bool = True, trailing: bool = False) -> Page:
    """Pages by offset, as the Cromwell shim makes them; `trailing` adds its empty last page."""

    def page(query: dict[str, Any]) -> Any:
        at = int(query.get("pageToken", "0"))
        size = query["pageSize"]
        some = [r for r in rows if not query.get("status") or r["status"] in query["status"]]
        answer: dict[str, Any] = {"results": some[at : at + size]}
        if total:
            answer["totalSize"] = len(some)
        if at + size < len(some) or (trailing and at < len(some)):
            answer["nextPageToken"] = str(at + size)
        return answer

    return page


def test_every_page_is_followed_with_one_page_size() -> None:
    """Five rows in pages of two come once each, and each page is asked for with the same size."""
    server = Server(paged([row(n) for n in range(5)]))
    found = listing(server, days=None)
    assert ids(found) == [f"job-{n:04}" for n in range(5)]
    assert {query["pageSize"] for query in server.queries} == {2}
    assert not found.gaps


def test_the_first_page_is_asked_for_without_a_token() -> None:
    """Both shims answer 500 to an empty token."""
    server = Server(paged([row(0)]))
    ids(listing(server))
    assert all("pageToken" not in query for query in server.queries)


def test_an_empty_page_in_the_middle_ends_nothing() -> None:
    """Its token leads on, and no job behind it is lost."""
    pages = {None: [row(0)], "a": [], "b": [], "c": [row(1)]}
    after = {None: "a", "a": "b", "b": "c"}

    def page(query: dict[str, Any]) -> Any:
        token = query.get("pageToken")
        follow = {"nextPageToken": after[token]} if token in after else {}
        return {"results": pages[token]} | follow

    found = listing(Server(page), days=None)
    assert ids(found) == ["job-0000", "job-0001"]
    assert not found.gaps


def test_empty_pages_without_end_are_left_and_said() -> None:
    """Nobody knows what would have come."""
    count = iter(range(10**9))
    server = Server(lambda _: {"results": [], "nextPageToken": f"t{next(count)}"})
    found = listing(server, days=None)
    assert ids(found) == []
    assert "sent empty pages" in found.gaps[0].why
    assert len(server.queries) == 3


@pytest.mark.parametrize("total", [None, 3])
def test_new_rows_without_end_are_left_and_the_oldest_reached_is_said(total: int | None) -> None:
    """New rows and a new token with each page, for ever; a count of the server's ends it sooner."""
    count = iter(range(10**9))

    def page(_: dict[str, Any]) -> Any:
        rows = [row(next(count)), row(next(count))]
        answer = {"results": rows, "nextPageToken": f"t{rows[1]['id']}"}
        return answer if total is None else answer | {"totalSize": total}

    server = Server(page)
    found = listing(server, days=None, most_pages=50)
    assert len(ids(found)) == 2 * len(server.queries) == (100 if total is None else 14)
    assert "do not end" in found.gaps[0].why
    assert f"of {row(2 * len(server.queries) - 1)['submission'][:19]}" in found.gaps[0].why


def test_a_trailing_empty_page_is_not_asked_for_where_all_have_come() -> None:
    """The Cromwell shim's count says so before."""
    server = Server(paged([row(n) for n in range(3)], trailing=True))
    assert len(ids(listing(server, days=None))) == 3
    assert len(server.queries) == 2


def test_an_empty_page_with_a_token_is_the_end() -> None:
    """The Cromwell shim's last page carries a token unless the total is a multiple of the size."""
    server = Server(paged([row(n) for n in range(3)], trailing=True))
    found = listing(server, days=None)
    assert len(ids(found)) == 3
    assert not found.gaps


def test_a_page_that_repeats_the_one_before_brings_no_job_twice() -> None:
    """Rows move while the Cromwell shim is read by offset."""
    pages = {None: [row(0), row(1)], "a": [row(1), row(2)], "b": [row(2), row(3)]}
    after = {None: "a", "a": "b"}
    server = Server(
        lambda q: {
            "results": pages[q.get("pageToken")],
            **({"nextPageToken": after[q.get("pageToken")]} if q.get("pageToken") != "b" else {}),
        }
    )
    assert ids(listing(server, days=None)) == ["job-0000", "job-0001", "job-0002", "job-0003"]


def test_a_token_that_never_changes_ends_the_walk_and_is_said() -> None:
    """dsub's tokens hold whole seconds: more jobs in a second than a page holds jam its paging."""
    server = Server(lambda _: {"results": [row(0), row(1)], "nextPageToken": "again"})
    found = listing(server, days=None)
    assert ids(found) == ["job-0000", "job-0001"]
    assert "same page token" in found.gaps[0].why
    assert len(server.queries) < 40


def test_tokens_without_end_that_bring_nothing_new_end_the_walk() -> None:
    """A server that hands out a new token for the same page for ever is left."""
    count = iter(range(10**9))
    server = Server(lambda _: {"results": [row(0)], "nextPageToken": f"t{next(count)}"})
    found = listing(server, days=None)
    assert ids(found) == ["job-0000"]
    assert found.gaps


def test_a_jam_is_passed_by_asking_for_each_status() -> None:
    """Where one status alone does not jam, the list is whole, and the detour is noted."""
    rows = [row(n, status="Failed" if n % 2 else "Succeeded") for n in range(4)]

    def page(query: dict[str, Any]) -> Any:
        if not query.get("status"):
            return {"results": rows[:2], "nextPageToken": "again"}
        return {"results": [r for r in rows if r["status"] in query["status"]]}

    found = listing(Server(page), days=None)
    assert sorted(ids(found)) == [f"job-{n:04}" for n in range(4)]
    assert not found.gaps
    assert "repeated a token" in found.notes[0]


def test_a_later_page_that_cannot_be_read_is_a_gap_with_its_number() -> None:
    """What came before is kept."""
    rows = paged([row(n) for n in range(5)])
    server = Server(lambda q: 400 if q.get("pageToken") == "2" else rows(q))
    found = listing(server, days=None)
    assert ids(found) == ["job-0000", "job-0001"]
    assert found.gaps[0].what == "page 2 of the list"


def test_a_list_of_active_jobs_that_cannot_be_read_is_named_as_that() -> None:
    """All of the time frame came; what has run for longer is not known."""
    server = Server(lambda q: {"results": [row(0)]} if "submission" in q else 400)
    found = listing(server)
    assert ids(found) == ["job-0000"]
    assert [gap.what for gap in found.gaps] == ["page 1 of the list of active jobs"]
    assert found.gaps[0].kind == "list"


def test_a_last_page_that_cannot_be_read_is_no_gap_where_all_have_come() -> None:
    """The Cromwell shim's last page has a token, and an empty one behind it."""

    def page(query: dict[str, Any]) -> Any:
        if query.get("pageToken"):
            return 400
        return {"results": [row(0), row(1)], "totalSize": 2, "nextPageToken": "more"}

    found = listing(Server(page), days=None)
    assert ids(found) == ["job-0000", "job-0001"]
    assert not found.gaps


def test_a_second_look_that_cannot_be_read_leaves_what_the_first_missed() -> None:
    looks = iter([{"results": [row(0)], "totalSize": 3}, 400])
    found = listing(Server(lambda _: next(looks)), days=None)
    assert ids(found) == ["job-0000"]
    assert [gap.what for gap in found.gaps] == ["the list of jobs"]
    assert "2 never came" in found.gaps[0].why


def test_a_first_page_that_cannot_be_read_stops_the_run() -> None:
    """Without a list there is nothing to report on."""
    with pytest.raises(UnreadableError):
        ids(listing(Server(lambda _: 400)))


def test_fewer_rows_than_the_servers_own_total_is_a_gap() -> None:
    """A list that shrank while it was read lost rows between its pages."""
    server = Server(lambda _: {"results": [row(0)], "totalSize": 3})
    found = listing(server, days=None)
    ids(found)
    assert "counts 3" in found.gaps[0].why


@pytest.mark.parametrize("every", [1, 2, 3])
def test_jobs_that_are_submitted_while_the_list_is_read_are_the_next_runs(every: int) -> None:
    """They stand before all pages that are still to come, and push rows onto them once more."""
    rows = [row(n) for n in range(20)]
    asked = iter(range(10**9))

    def page(query: dict[str, Any]) -> Any:
        if (number := next(asked)) % every == 0 and number:
            rows.insert(0, row(number, id=f"new-{number}"))
        return paged(rows)(query)

    server = Server(page)
    found = listing(server, days=None)
    assert [job for job in ids(found) if job.startswith("job")] == [
        f"job-{n:04}" for n in range(20)
    ]
    assert not found.gaps
    assert len({query.get("pageToken") for query in server.queries}) == len(server.queries)


def test_a_row_that_slips_past_among_new_ones_is_found_by_a_second_walk() -> None:
    """One that left the list takes the next page's first row onto a page that was read."""
    rows = [row(n) for n in range(20)]
    asked = iter(range(10**9))

    def page(query: dict[str, Any]) -> Any:
        number = next(asked)
        if number == 2:
            del rows[1]
        if number == 4:
            rows.insert(0, row(0, id="new"))
        return paged(rows)(query)

    found = listing(Server(page), days=None)
    assert {*ids(found)} >= {f"job-{n:04}" for n in range(20)}
    assert not found.gaps


def test_a_row_without_an_id_is_a_gap_and_the_rest_stays() -> None:
    """One bad row never hides the others."""
    server = Server(lambda _: {"results": [{"status": "Failed"}, None, row(1)]})
    found = listing(server, days=None)
    assert ids(found) == ["job-0001"]
    assert [gap.why for gap in found.gaps] == ["it has no job id"] * 2


@pytest.mark.parametrize("answer", [[], "text", {"results": None}, {"results": {}}, {}])
def test_an_answer_that_is_not_a_list_of_jobs_is_never_taken_for_an_empty_one(answer: Any) -> None:
    """Missing data never looks like good news."""
    found = listing(Server(lambda _: answer), days=None)
    try:
        assert ids(found) == []
    except UnreadableError:
        return
    assert found.gaps


def test_jobs_still_active_are_listed_whenever_they_were_submitted() -> None:
    """The window is by submission; a job that has run for a month is still news."""
    old = row(1, status="Running", submission=(NOW - timedelta(days=30)).isoformat())

    def page(query: dict[str, Any]) -> Any:
        return {"results": [old] if "submission" not in query else [row(0)]}

    assert ids(listing(Server(page))) == ["job-0000", "job-0001"]


def test_labels_are_never_sent_and_always_applied() -> None:
    """A non-empty label filter is 500 on the Cromwell shim."""
    server = Server(paged([row(0, labels={"owner": "ana"}), row(1, labels={"owner": "li"})]))
    found = listing(server, Filters(labels={"owner": "ana"}))
    assert ids(found) == ["job-0000"]
    assert all("labels" not in query for query in server.queries)


def test_extensions_are_sent_only_where_the_server_offers_them() -> None:
    """dsub's local provider answers 400 to any project."""
    wish = Filters(project_id="p", user_id="u", hide_archived=True)
    server = Server(paged([]))
    ids(listing(server, wish))
    assert all("extensions" not in query for query in server.queries)
    server = Server(paged([]))
    ids(listing(server, wish, offers=("projectId", "hideArchived")))
    assert server.queries[0]["extensions"] == {"projectId": "p", "hideArchived": True}


def test_a_query_refused_for_its_filters_is_asked_again_without_them() -> None:
    """dsub answers 500 to another user's id; the filter is applied here, and the detour noted."""
    mine, other = row(0, extensions={"userId": "u"}), row(1, extensions={"userId": "v"})
    server = Server(lambda q: 500 if "extensions" in q else {"results": [mine, other]})
    found = listing(server, Filters(user_id="u"), days=None, offers=("userId",))
    assert ids(found) == ["job-0000"]
    assert found.notes == [
        "Filter userId: refused by the server (server error 500: broken); applied here, which "
        "left out 1 job."
    ]


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        (Filters(status=("Failed",)), False),
        (Filters(status=("Succeeded",)), True),
        (Filters(name="align"), True),
        (Filters(name="other"), False),
        (Filters(job_id="job-0000"), True),
        (Filters(job_id="job-0001"), False),
        (Filters(labels={"attempt": "2"}), True),
        (Filters(labels={"attempt": "3"}), False),
        (Filters(labels={"gone": "x"}), False),
        (Filters(user_id="ana"), True),
        (Filters(user_id="li"), False),
        (Filters(hide_archived=True), False),
        (Filters(start=NOW - timedelta(hours=1)), True),
        (Filters(start=NOW), False),
        (Filters(end=NOW), False),
        (Filters(submission=NOW - timedelta(hours=1)), True),
        (Filters(submission=NOW), False),
    ],
)
def test_every_filter_is_applied_here_too(filters: Filters, kept: bool) -> None:
    """Cromwell ignores projectId and userId, dsub ignores id and hideArchived, without a word."""
    job = row(
        0,
        name="align",
        labels={"attempt": 2, "flag": "archive"},
        extensions={"userId": "ana"},
        start=(NOW - timedelta(minutes=1)).isoformat(),
    )
    asked = Asked(server="test", timeframe="DAYS_7", filters=filters)
    assert wanted(job, asked) is kept


def test_a_finished_job_from_before_the_window_is_not_wanted_and_a_running_one_is() -> None:
    """A server may ignore `submission`; a job without a readable one is kept."""
    asked = Asked(server="test", timeframe="HOURS_1", since=NOW - timedelta(hours=1))
    old = {"submission": (NOW - timedelta(days=2)).isoformat()}
    assert not wanted(row(0, **old), asked)
    assert wanted(row(0, status="Running", **old), asked)
    assert wanted(row(0, status="Paused", **old), asked)
    assert wanted(row(0, submission="long ago"), asked)
