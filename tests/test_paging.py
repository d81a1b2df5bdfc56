"""Whatever a server's pages do: the walk ends, brings no job twice, and loses none silently.

The pagers here lie in the ways that real servers and broken proxies do, alone and together: pages
repeat, come empty in the middle, shrink and grow while they are read, never end; tokens lead back
or nowhere; the count is absent, stale or wrong.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec import Struct

from jmreport.client import Client
from jmreport.collectors.demo import Demo
from jmreport.collectors.paging import MOST_PAGES
from jmreport.collectors.query import Listing
from jmreport.models import CapabilitiesResponse
from jmreport.records import Asked, Filters
from jmreport.settings import Api

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
WORDS = ("Succeeded", "Failed", "Running", "Aborted")
Answer = tuple[int, dict[str, str], bytes]

#: More requests than any walk over a list this small may take: both passes, and all slices.
MOST_REQUESTS = 2 * 60 + 300


class Lie(Struct, frozen=True, kw_only=True):
    """What a pager does wrong."""

    jobs: int
    size: int
    #: Pages that come empty though more follows; pages that come a second time.
    empty: frozenset[int] = frozenset()
    repeated: frozenset[int] = frozenset()
    #: From this page on the token leads back to this page (a jam), or to a fresh one for ever.
    jam_at: int | None = None
    endless_at: int | None = None
    #: What the count says beside the truth, None where there is none.
    total_off: int | None = None
    #: A job goes, or comes in front, after so many requests: offsets move.
    shift_after: int | None = None
    shift: int = 0
    #: A page that cannot be read.
    broken: int | None = None


class Pager:
    """A list behind offsets, with the lies told."""

    def __init__(self, lie: Lie) -> None:
        self.lie = lie
        self.requests = 0
        self.jobs = [self._row(n) for n in range(lie.jobs)]
        self.ever = {row["id"] for row in self.jobs}

    def _row(self, n: int) -> dict[str, Any]:
        at = NOW - timedelta(minutes=n + 1)
        return {
            "id": f"job-{n}",
            "name": f"w{n % 3}",
            "status": WORDS[n % len(WORDS)],
            "submission": at.isoformat(),
        }

    def respond(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        del headers
        assert (method, target) == ("POST", "/api/v1/jobs/query")
        self.requests += 1
        assert self.requests < MOST_REQUESTS
        self._move()
        query = json.loads(body)
        token = query.get("pageToken") or "0"
        return self._page(query, int(token.split(".")[0]), token)

    def _move(self) -> None:
        lie = self.lie
        if lie.shift_after is None or self.requests != lie.shift_after + 1:
            return
        if lie.shift < 0:
            del self.jobs[: -lie.shift]
        for n in range(lie.shift):
            row = {**self._row(-1), "id": f"late-{n}"}
            self.jobs.insert(0, row)

    def _page(self, query: dict[str, Any], number: int, token: str) -> Answer:
        lie = self.lie
        wanted = [row for row in self.jobs if row["status"] in (query.get("status") or WORDS)]
        size = lie.size
        if number == lie.broken:
            return 500, {"Content-Type": "text/plain"}, b"broken"
        rows = wanted[number * size : (number + 1) * size]
        follow: str | None = f"{number + 1}" if len(wanted) > (number + 1) * size else None
        if number in lie.empty and ".e" not in token:
            rows, follow = [], f"{number}.e"
        elif number in lie.repeated and ".r" not in token:
            follow = f"{number}.r"
        elif lie.jam_at is not None and number >= lie.jam_at and follow:
            follow = f"{number}"
        elif lie.endless_at is not None and number >= lie.endless_at:
            follow = f"{number}.n{self.requests}"
        answer: dict[str, Any] = {"results": rows}
        if follow is not None:
            answer["nextPageToken"] = follow
        if lie.total_off is not None:
            answer["totalSize"] = max(0, len(wanted) + lie.total_off)
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def listing(pager: Any, *, most_pages: int = 60, size: int = 5) -> Listing:
    asked = Asked(server="test", timeframe="ALL_TIME", since=None, filters=Filters())
    client = Client(Api(url="http://test.invalid/api/v1", tries=1), respond=pager.respond)
    return Listing(client, asked, CapabilitiesResponse(), page_size=size, most_pages=most_pages)


def numbers(most: int) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(0, most), max_size=4)


LIES = st.builds(
    Lie,
    jobs=st.integers(1, 60),
    size=st.integers(1, 9),
    empty=numbers(12),
    repeated=numbers(12),
    jam_at=st.none() | st.integers(0, 8),
    endless_at=st.none() | st.integers(0, 8),
    total_off=st.none() | st.sampled_from([0, 0, 0, -3, 4, 1000]),
    shift_after=st.none() | st.integers(1, 12),
    shift=st.sampled_from([-3, -1, 1, 4]),
    broken=st.none() | st.integers(1, 12),
)


@given(LIES)
def test_a_lying_pager_ends_and_loses_nothing_silently(lie: Lie) -> None:
    """No job twice; all that were there all the time have come, or a gap or a note says why not."""
    pager = Pager(lie)
    found = listing(pager)
    came = [row["id"] for row in found.rows()]
    assert len(came) == len(set(came))
    assert found.listed == len(came)
    assert set(came) <= pager.ever | {row["id"] for row in pager.jobs}
    lost = (pager.ever & {row["id"] for row in pager.jobs}) - set(came)
    event(f"lost {bool(lost)}, gaps {bool(found.gaps)}")
    # An offset that moved drops a job that no count can tell of where the server has none.
    hidden = lie.shift_after is not None and lie.total_off != 0
    # A count that is too small, after a page that is not full, is the server's word for the end.
    hidden |= lie.total_off is not None and lie.total_off < 0
    if lost and not hidden:
        assert found.gaps, (lie, lost)


@given(st.integers(1, 80), st.integers(1, 12), st.booleans())
def test_a_sound_server_is_asked_no_more_often_than_it_has_pages(
    jobs: int, size: int, counts: bool
) -> None:
    pager = Pager(Lie(jobs=jobs, size=size, total_off=0 if counts else None))
    found = listing(pager, most_pages=MOST_PAGES, size=size)
    assert len(list(found.rows())) == jobs
    assert pager.requests == -(-jobs // size)
    assert (found.gaps, found.notes) == ([], [])


@pytest.mark.parametrize("going", [-1, 2])
def test_jobs_that_slip_past_an_offset_come_with_the_second_walk(going: int) -> None:
    """Jobs go or come while the list is read: what slid over a page's edge is not lost."""
    pager = Pager(Lie(jobs=40, size=5, total_off=0, shift_after=3, shift=going))
    found = listing(pager)
    came = {row["id"] for row in found.rows()}
    assert {row["id"] for row in pager.jobs} <= came | {"late-0", "late-1"}
    assert found.gaps == []


def test_a_jam_that_ends_nowhere_is_said() -> None:
    """Every question jams, the smaller ones too: what came is kept, what may be missing is told."""
    pager = Pager(Lie(jobs=60, size=5, jam_at=1))
    found = listing(pager)
    came = [row["id"] for row in found.rows()]
    assert 5 < len(came) < 60
    assert any("returned the same page token again" in gap.why for gap in found.gaps)


@pytest.mark.parametrize("size", [3, 5, 8, 16, 32, 64])
@pytest.mark.parametrize("together", [1, 2, 6, 12])
def test_a_dsub_server_is_read_whole_at_any_size_of_page(together: int, size: int) -> None:
    """Its tokens hold whole seconds: pages repeat jobs, drop some, or come for ever."""
    everything, _ = _dsub(together=together, size=256)
    came, gaps = _dsub(together=together, size=size)
    assert came == everything
    assert len(came) == 150
    assert gaps == []


def test_a_batch_of_more_jobs_than_the_largest_page_is_read_in_slices() -> None:
    """By status, name and windows of time; what no smaller question reaches is said, by its time.

    Of three batches of a thousand nearly all come, and what is missing is in the gap.
    """
    came, gaps = _dsub(together=1_000, size=256, jobs=3_000)
    assert 2_600 < len(came) < 3_000
    (gap,) = gaps
    assert "jobs that are Succeeded and were submitted at 2026-11-13T22:40:53 or earlier" in gap
    assert "smaller questions were asked to find them" in gap


def test_jobs_dropped_between_pages_make_the_run_incomplete_where_they_keep_coming() -> None:
    """Each reading in other pages finds some more: nobody knows when that is all."""
    came: set[str] = set()

    class Dropping(Pager):
        """Each page but the last loses a row, another one in each reading."""

        def _page(self, query: dict[str, Any], number: int, token: str) -> Answer:
            status, headers, body = super()._page(query, number, token)
            answer = json.loads(body)
            for row in answer["results"]:
                row["submission"] = f"2026-11-22T10:{59 - int(row['id'][4:]) // 4:02}:00Z"
            if "nextPageToken" in answer:
                del answer["results"][self.requests % len(answer["results"])]
            return status, headers, json.dumps(answer).encode()

    found = listing(Dropping(Lie(jobs=200, size=20)), size=20)
    came = {row["id"] for row in found.rows()}
    assert found.gaps or len(came) == 200


def test_why_a_doubtful_list_could_not_be_read_again_is_said() -> None:
    """The first reading may have dropped jobs; each other one breaks: both are in the one gap."""

    class Breaking(Pager):
        """The pages of its first reading are whole and leave seconds out; no later one ends."""

        def _page(self, query: dict[str, Any], number: int, token: str) -> Answer:
            if self.requests > 5:
                return 503, {"Content-Type": "text/plain"}, b"busy"
            status, headers, body = super()._page(query, number, token)
            answer = json.loads(body)
            for row in answer["results"]:
                row["submission"] = f"2026-11-22T10:{59 - int(row['id'][4:]) // 2:02}:00Z"
            return status, headers, json.dumps(answer).encode()

    found = listing(Breaking(Lie(jobs=50, size=10)), size=10)
    assert len(list(found.rows())) == 50
    (gap,) = found.gaps
    assert gap.what == "the list of jobs"
    assert "jobs that share a second may be missing; reading it again in other pages" in gap.why
    assert "503" in gap.why or "unavailable" in gap.why


def _dsub(*, together: int, size: int, jobs: int = 150) -> tuple[set[str], list[str]]:
    """The jobs that come from a dsub server by pages of a size, and why others did not."""
    demo = Demo(now=NOW, seed=3, jobs=jobs, like="dsub", same_second=together)
    found = listing(demo, most_pages=MOST_PAGES, size=size)
    came = [row["id"] for row in found.rows()]
    assert len(came) == len(set(came))
    return set(came), [gap.why for gap in found.gaps]
