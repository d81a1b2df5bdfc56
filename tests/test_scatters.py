"""Scatters: their attempts find their shards, their times are believed with care, and ten thousand
shards are many small pages."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from campaigns import scatter
from hypothesis import given
from hypothesis import strategies as st
from test_collectors_crawl import Server, crawl, job

from jmreport.calltimes import JobSpan, believed
from jmreport.models import TaskMetadata
from jmreport.records import Record
from jmreport.regrouping import Scattered, Tried, places
from jmreport.render import calls, reading
from jmreport.settings import Collect

START = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
JOB = JobSpan(START, START + timedelta(hours=2))


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def iso(minutes: float) -> str:
    return at(minutes).isoformat()


# --- which shard an attempt is of


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=30),
    st.sampled_from(["folders", "numbers", "both", "half"]),
)
def test_attempts_flattened_shard_after_shard_find_their_shards(
    tries: list[int], told: str
) -> None:
    """By their folders, by where their numbers restart, or by what is left of either."""
    shards = [Scattered(3 * n, count) for n, count in enumerate(tries)]
    expected = [shard.index for shard in shards for _ in range(shard.attempts or 0)]
    flat = []
    for shard in shards:
        for number in range(1, (shard.attempts or 0) + 1):
            tail = f"/attempt-{number}" if number > 1 else ""
            tells = told in ("folders", "both") or (told == "half" and shard.index % 2)
            folder = f"gs://b/wf/call-A/shard-{shard.index}{tail}" if tells else ""
            flat.append(Tried(None if told == "folders" else number, folder))
    assert places(flat, shards) == expected


@pytest.mark.parametrize(
    "numbers",
    [(1, 1, 1), (1, 2), (2, 1), (1, 1, 2), (1, 3, 1), ()],
    ids=["too many", "too few", "no first", "other counts", "a hole", "none"],
)
def test_numbers_that_do_not_fit_the_shards_place_nothing(numbers: tuple[int, ...]) -> None:
    """A guess that gives a shard another's failure is worse than none."""
    shards = [Scattered(0, 2), Scattered(1, 1)]
    assert set(places([Tried(n, "") for n in numbers], shards)) <= {None}


def test_a_scatter_within_a_shard_of_another_goes_by_its_own_folder() -> None:
    folder = "gs://b/top/call-sub/shard-7/sub/call-A/shard-1/attempt-2"
    assert places([Tried(2, folder)], [Scattered(1, 2), Scattered(7, 1)]) == [1]


# --- which calls are made for it


def scattered(*counts: int, failed: tuple[int, ...] = (), **more: Any) -> dict[str, Any]:
    shards = [
        {"shardIndex": n, "attempts": count, "executionStatus": "Failed" if n in failed else "Done"}
        for n, count in enumerate(counts)
    ]
    return {"name": "A", "attempts": len(counts), "shards": shards} | more


MUDDLE = {"attempts": [{"attemptNumber": 2}, {"attemptNumber": 1}, {"attemptNumber": 1}]}


def test_one_call_is_enough_where_the_answer_can_be_regrouped() -> None:
    """Each call makes the server load the whole workflow, so there is no loop over shards."""
    flat = [
        {"attemptNumber": n, "callRoot": f"/x/shard-{shard}"} for shard in range(9) for n in (1, 2)
    ]
    server = Server(
        {"/jobs/a": job("a", tasks=[scattered(*[2] * 9)]), "/jobs/a/A/attempts": {"attempts": flat}}
    )
    crawl(server, "a")
    assert server.asked == ["/jobs/a", "/jobs/a/A/attempts"]


def test_shards_are_asked_one_by_one_where_nothing_else_tells_failed_ones_first() -> None:
    """Only those that were tried again, and no more than the settings say; the rest is noted."""
    task = scattered(2, 1, 2, 3, failed=(3,))
    answer = {"attempts": [{"attemptNumber": 1}, {"attemptNumber": 2}]}
    server = Server(
        {
            "/jobs/a": job("a", tasks=[task]),
            "/jobs/a/A/attempts": MUDDLE,
            **{f"/jobs/a/A/{n}/attempts": answer for n in range(4)},
        }
    )
    records, _ = crawl(
        server, "a", limits=Collect(log_tails=0, operation_details=0, shard_attempts=2)
    )
    assert server.asked[2:] == ["/jobs/a/A/3/attempts", "/jobs/a/A/0/attempts"]
    assert set(records["a"].shard_attempts["A"]) == {"3", "0"}
    (note,) = records["a"].notes
    assert (note.what, records["a"].gaps) == ("attempts of A", ())
    assert "1 retried shards" in note.why
    assert "shard_attempts = 2" in note.why


def test_a_shard_that_cannot_be_read_is_a_gap_of_its_own() -> None:
    server = Server(
        {
            "/jobs/a": job("a", tasks=[scattered(2, 2)]),
            "/jobs/a/A/attempts": MUDDLE,
            "/jobs/a/A/0/attempts": 500,
            "/jobs/a/A/1/attempts": {"attempts": [{"attemptNumber": 1}]},
        }
    )
    records, _ = crawl(server, "a")
    (gap,) = records["a"].gaps
    assert (gap.what, gap.operation, gap.status) == (
        "attempts of A, shard 0",
        "GetShardAttempts",
        500,
    )
    assert set(records["a"].shard_attempts["A"]) == {"1"}


def test_what_came_inline_is_not_asked_for() -> None:
    """Neither for a task nor for a scatter whose retried shards all told; else the task once."""
    inline = {"attemptsData": [{"attemptNumber": 1}, {"attemptNumber": 2}]}
    whole, part = scattered(2, 1), scattered(2, 2, name="B")
    whole["shards"][0] |= inline
    part["shards"][0] |= inline
    server = Server({"/jobs/a": job("a", tasks=[whole, part])})
    crawl(server, "a")
    assert server.asked == ["/jobs/a", "/jobs/a/B/attempts"]


# --- which times are believed


@pytest.mark.parametrize(
    ("status", "start", "end", "ran", "expected"),
    [
        ("Succeeded", 5, 9, False, (5, 9)),
        ("Submitted", 5, None, False, (None, None)),
        ("Running", 5, 2, True, (5, None)),
        ("Running", -600, -900, False, (None, None)),
        ("Aborted", 5, None, False, (None, None)),
        ("Aborted", 5, 9, True, (5, 9)),
        ("Submitted", 7, 7, False, (7, 7)),
        ("QueuedInCromwell", 5, None, False, (None, None)),
        ("Paused", 5, 9, True, (5, 9)),
        ("Failed", -600, 9, True, (None, 9)),
        ("Failed", 900, 9, True, (None, 9)),
    ],
)
def test_times_that_a_server_made_up_are_not_shown_as_facts(
    status: str,
    start: float | None,
    end: float | None,
    ran: bool,
    expected: tuple[float | None, float | None],
) -> None:
    """The Cromwell shim's own start stands in for whatever it lacks; status, the job's time and
    what else is known of the call decide. A bypassed call is Submitted with an end."""
    times = [None if minutes is None else at(minutes) for minutes in (start, end)]
    found = believed(status, times[0], times[1], job=JOB, ran=ran)
    assert found == tuple(None if minutes is None else at(minutes) for minutes in expected)


def test_an_attempt_that_still_runs_has_no_end_even_where_its_job_is_over_by_its_row() -> None:
    tree = {
        "name": "A",
        "executionStatus": "Running",
        "attemptsData": [
            {"attemptNumber": 1, "executionStatus": "Running", "start": iso(5), "end": iso(-300)}
        ],
    }
    detail = job("a", status="Running", start=iso(0))
    (call,) = calls.of_task(
        msgspec.convert(tree, TaskMetadata), reading.read(Record(id="a", detail=detail))
    )
    assert (call.start, call.end) == (at(5), None)


def test_a_shard_without_a_start_of_its_own_takes_that_of_its_first_event() -> None:
    event = {"name": "RunningJob", "start": iso(3), "end": iso(8), "attemptNumber": 1}
    tree = {
        "name": "A",
        "executionStatus": "Succeeded",
        "shards": [{"shardIndex": 0, "executionStatus": "Succeeded", "start": iso(-999)}],
        "executionEvents": [{**event, "shardIndex": 0}],
    }
    detail = job("a", start=iso(0), end=iso(60))
    (call,) = calls.of_task(
        msgspec.convert(tree, TaskMetadata), reading.read(Record(id="a", detail=detail))
    )
    assert (call.shard, call.start, call.end) == (0, at(3), at(8))


# --- many shards


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read in /proc")
def test_a_wide_scatter_is_many_pages_below_a_megabyte(tmp_path: Path) -> None:
    """A small dose of `python -m tests.campaigns.scatter 10187`."""
    found = scatter.weigh(tmp_path, shards=600)
    assert found.code == 0, (tmp_path / "log").read_text()
    assert found.shard_pages >= 3
    assert found.largest[1] < scatter.MOST_PAGE
    assert 0 < found.memory < scatter.MOST_MEMORY
