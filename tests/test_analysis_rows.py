"""A row says what a job's trees say, and no tree makes it raise."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doses import dose
from hypothesis import given, settings
from hypothesis import strategies as st

from jmreport import models
from jmreport.analysis import measure, summarise
from jmreport.records import JobRow, Record

RECORDED = Path(__file__).parents[2] / "shared" / "recorded"
NOON = "2026-11-23T12:00:00+00:00"


def detail(**more: Any) -> dict[str, Any]:
    return {"id": "j", "status": "Failed", "submission": NOON, "name": "wf", **more}


def row_of(tree: Any, **more: Any) -> JobRow:
    return summarise(Record(id="j", row={"id": "j"}, detail=tree, **more))


def test_labels_are_text_whatever_a_server_puts_there() -> None:
    """dsub sends integers; JSON's own words stand for the rest."""
    row = row_of(
        detail(labels={"attempt": 2, "ok": True, "none": None, "list": ["a", 1], "t": "x"})
    )
    assert row.labels == {"attempt": "2", "ok": "true", "none": "null", "list": '["a",1]', "t": "x"}


@pytest.mark.parametrize("status", ["Submitted", "OnHold"])
def test_a_job_that_waits_has_no_start_though_cromwell_sends_one(status: str) -> None:
    assert row_of(detail(status=status, start=NOON)).start is None


def test_a_job_that_never_started_has_no_start_though_cromwells_list_sends_one() -> None:
    """The shim invents one wherever it lacks one; details leave it out."""
    listed = detail(status="Aborted", start="2026-11-09T12:00:00+00:00", end=NOON)
    read = Record(id="j", row=listed, detail=detail(status="Aborted", end=NOON))
    assert summarise(read).start is None
    # Where nothing else is known of it, no start can be long before the submission.
    assert summarise(Record(id="j", row=listed)).start is None
    soon = {**listed, "start": "2026-11-23T11:59:30+00:00"}
    assert summarise(Record(id="j", row=soon)).start is not None


def test_a_start_that_a_detail_tells_wrongly_is_the_lists() -> None:
    listed = detail(start=NOON)
    for told in (detail(start="soon"), "no detail at all"):
        assert summarise(Record(id="j", row=listed, detail=told)).start is not None


def test_a_list_that_is_newer_than_the_detail_tells_the_start() -> None:
    listed = detail(status="Running", start=NOON)
    # With a start that the shim invented, while the job waited.
    read = detail(status="Submitted", start="2026-11-20T08:00:00+00:00")
    record = Record(id="j", row=listed, detail=read, detail_from="20261122T021400Z")
    assert summarise(record).start == datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_job_that_runs_has_no_end_though_a_server_sends_one() -> None:
    assert row_of(detail(status="Running", start=NOON, end=NOON)).end is None
    assert row_of(detail(start=NOON, end=NOON)).end == datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_body_that_does_not_fit_is_a_gap_with_the_path_and_still_a_row() -> None:
    row = row_of(detail(failures=[{"failure": "boom", "shardIndex": "x"}]))
    assert not row.readable
    assert row.name == "wf"
    assert row.failure is not None
    assert row.failure.message == "boom"
    assert "$.failures[0].shardIndex" in row.gaps[0].why


def test_a_detail_that_could_not_be_read_leaves_the_list_row() -> None:
    row = summarise(Record(id="j", row=detail(labels={"a": "b"}), detail=None))
    assert (row.status, row.name, row.labels, row.readable) == ("Failed", "wf", {"a": "b"}, False)


def test_a_detail_of_an_older_run_gives_way_to_the_newer_list_row() -> None:
    """The list says that it failed; the detail of last night says that it runs."""
    row = summarise(
        Record(id="j", row=detail(end=NOON), detail=detail(status="Running"), detail_from="r0")
    )
    assert (row.status, row.readable) == ("Failed", False)
    ended = detail(inputs={"a": 1})
    assert summarise(Record(id="j", row=detail(), detail=ended, detail_from="r0")).readable


def test_inputs_in_another_order_are_the_same_work() -> None:
    one = row_of(detail(inputs={"a": 1, "b": [None, 2]}))
    assert one.key == row_of(detail(inputs={"b": [None, 2], "a": 1})).key
    assert one.key != row_of(detail(inputs={"a": 2, "b": [None, 2]})).key


@pytest.mark.parametrize(
    "other", [{"a": 1.0}, {"a": "1"}, {"a": [1]}, {"a": {"1": None}}, {"a": 10**30}, {"a": -0.0}]
)
def test_other_inputs_are_other_work(other: dict[str, Any]) -> None:
    assert row_of(detail(inputs=other)).key not in ("", row_of(detail(inputs={"a": 1})).key)


def test_inputs_nested_beyond_reading_are_no_work_to_be_compared() -> None:
    inputs: dict[str, Any] = {}
    for _ in range(100_000):
        inputs = {"a": inputs}
    assert row_of(detail(inputs=inputs)).key == ""


def test_the_failure_of_a_task_is_told_before_that_of_the_workflow() -> None:
    failures = [
        {"taskName": "Workflow Error", "failure": "Workflow failed"},
        {"taskName": "Align", "failure": "disk full", "shardIndex": 0},
        {"taskName": "Sort", "failure": "later", "shardIndex": -1},
    ]
    row = row_of(detail(failures=failures))
    assert row.failure is not None
    assert (row.failure.message, row.failure.task, row.failure.shard) == ("disk full", "Align", 0)
    assert row.failed_tasks == ("Align", "Sort")


def test_without_failures_a_shard_or_dsubs_last_error_line_tells() -> None:
    shard = {"executionStatus": "Failed", "shardIndex": 3, "failureMessages": ["no end"]}
    row = row_of(detail(extensions={"tasks": [{"name": "s", "shards": [shard]}]}))
    assert row.failure is not None
    assert (row.failure.message, row.failure.task, row.failure.shard) == ("no end", "s", 3)
    lines = "2026-11-23 19:59:42 I: a\n2026-11-23 19:59:43 E: exit code 137"
    row = row_of(detail(extensions={"statusDetail": lines}))
    assert row.failure is not None
    assert row.failure.message == "2026-11-23 19:59:43 E: exit code 137"


def test_a_scattered_tasks_attempts_are_its_shards_and_no_retries() -> None:
    """Cromwell's habit: `attempts` of a scatter is its number of shards."""
    shards = [{"attempts": 3, "jobId": "c1"}, {"attempts": 1, "jobId": "c2"}]
    tasks = [
        {"name": "s", "attempts": 2, "shards": shards},
        {"name": "t", "attempts": 2, "callCached": True, "jobId": "c1"},
    ]
    row = row_of(detail(extensions={"tasks": tasks}))
    assert (row.tasks, row.shards, row.retries, row.cached) == (2, 2, 3, 1)
    assert row.children == ("c1", "c2")


def blames(*tasks: dict[str, Any], failures: Any = (), **more: Any) -> tuple[str, ...]:
    tree = detail(failures=list(failures), extensions={"tasks": list(tasks)}, **more)
    return row_of(tree).blames


def test_a_job_that_says_no_more_than_that_it_failed_blames_its_failed_sub_workflows() -> None:
    """Three of them, those of failed calls first; all may tell where no call says how it ended."""
    shards = [
        {"shardIndex": n, "jobId": f"s{n}", "executionStatus": "Failed" if n == 7 else "Done"}
        for n in range(10)
    ]
    calls = ({"name": "one", "jobId": "a"}, {"name": "many", "shards": shards})
    workflow = {"taskName": "Workflow Error", "failure": "Workflow failed"}
    for failures in ([], [workflow], [{"failure": "Workflow failed"}]):
        assert blames(*calls, failures=failures) == ("s7", "a", "s0")


def test_the_sub_workflow_that_a_failure_names_is_blamed_first() -> None:
    """By its id, else by the call that started it, whole or by a part of it, and its shard."""
    shards = [{"shardIndex": n, "jobId": f"s{n}", "executionStatus": "Failed"} for n in range(9)]
    calls = (
        {"name": "one", "jobId": "a", "executionStatus": "Failed"},
        {"name": "many", "shards": shards},
    )
    told = {"failure": "Workflow failed"}
    assert blames(*calls, failures=[{**told, "jobId": "s5"}])[0] == "s5"
    assert blames(*calls, failures=[{**told, "taskName": "x", "jobId": "s5"}])[0] == "s5"
    assert blames(*calls, failures=[{**told, "taskName": "many"}])[0] == "s0"
    assert blames(*calls, failures=[{**told, "taskName": "wf.many", "shardIndex": 8}])[0] == "s8"
    own = {"name": "Align", "executionStatus": "Failed"}
    for task in ("one.Sort", "wf.one.Sort"):
        assert blames(own, *calls, failures=[{**told, "taskName": task}])[0] == "a"


def test_a_job_that_failed_in_a_task_of_its_own_or_did_not_fail_blames_nobody() -> None:
    call = {"name": "one", "jobId": "a", "executionStatus": "Failed"}
    own = {"name": "Align", "executionStatus": "Failed", "failureMessages": ["disk full"]}
    assert blames(call, own, failures=[{"taskName": "Align", "failure": "disk full"}]) == ()
    assert blames(own, call) == ()
    assert blames(call, status="Succeeded") == ()
    assert blames({**call, "jobId": "j"}) == ()
    # Its detail names none: nobody else is asked.
    assert blames(own, failures=[{"failure": "failed", "jobId": "elsewhere"}]) == ()


def test_preempted_attempts_are_no_retries() -> None:
    attempts = [
        {"executionStatus": "Failed", "failureMessages": ["the VM was preempted"]},
        {"executionStatus": "Failed", "failureMessages": ["boom"]},
        {"executionStatus": "Succeeded"},
    ]
    tree = detail(extensions={"tasks": [{"name": "t", "attempts": 3}]})
    row = row_of(tree, attempts={"t": {"attempts": attempts}})
    assert (row.preempted, row.retries) == (1, 1)


def test_a_preempted_attempt_that_no_other_followed_takes_no_retry_of_another_task_away() -> None:
    """One task ran out of memory and was tried again; of the other the machine was taken away."""
    preempted = {"executionStatus": "Failed", "failureMessages": ["the worker was preempted"]}
    tried = [{"executionStatus": "Failed", "failureMessages": ["oom"]}, {}]
    inline = [
        {"name": "a", "attempts": 2, "attemptsData": tried},
        {"name": "b", "attempts": 1, **preempted, "attemptsData": [preempted]},
    ]
    asked = [{key: task[key] for key in task if key != "attemptsData"} for task in inline]
    row = row_of(detail(extensions={"tasks": inline}))
    assert (row.retries, row.preempted) == (1, 1)
    row = row_of(detail(extensions={"tasks": asked}), attempts={"a": {"attempts": tried}})
    assert (row.retries, row.preempted) == (1, 1)
    # Of shards, too, whose attempts come in one answer.
    shards = [
        {"shardIndex": 0, "attempts": 2, "executionStatus": "Succeeded"},
        {"shardIndex": 1, "attempts": 1, **preempted},
    ]
    numbered = [
        {"attemptNumber": 1, "callRoot": "wf/call-s/shard-0", "executionStatus": "Failed"},
        {"attemptNumber": 2, "callRoot": "wf/call-s/shard-0/attempt-2"},
        {"attemptNumber": 1, "callRoot": "wf/call-s/shard-1", **preempted},
    ]
    tree = detail(extensions={"tasks": [{"name": "s", "attempts": 2, "shards": shards}]})
    row = row_of(tree, attempts={"s": {"attempts": numbered}})
    assert (row.retries, row.preempted) == (1, 1)


def _attempt(number: int, status: str, message: str) -> dict[str, Any]:
    told = {"failureMessages": [message]} if status == "Failed" else {}
    return {"attemptNumber": number, "executionStatus": status, **told}


def _call(outcomes: list[str], *, inline: bool) -> dict[str, Any]:
    """A call of which each attempt but the last failed, of these messages."""
    last = "Succeeded" if outcomes[-1] == "fine" else "Failed"
    attempts = [_attempt(number, "Failed", why) for number, why in enumerate(outcomes[:-1], 1)]
    attempts.append(_attempt(len(outcomes), last, outcomes[-1]))
    told = {**attempts[-1], "attempts": len(outcomes)}
    del told["attemptNumber"]
    return {**told, "attemptsData": attempts} if inline else told


_OUTCOMES = st.lists(
    st.sampled_from(["boom", "the worker was preempted", "fine"]), min_size=1, max_size=4
)


@given(st.lists(st.lists(_OUTCOMES, min_size=1, max_size=3), max_size=3), st.booleans())
def test_retries_and_preemptions_of_a_job_are_those_that_the_measures_of_its_tasks_have(
    told: list[list[list[str]]], inline: bool
) -> None:
    tasks = [
        {
            "name": f"t{number}",
            "attempts": len(calls),
            "shards": [
                {**_call(each, inline=inline), "shardIndex": at} for at, each in enumerate(calls)
            ],
        }
        if len(calls) > 1
        else {"name": f"t{number}", **_call(calls[0], inline=inline)}
        for number, calls in enumerate(told)
    ]
    record = Record(id="j", detail=detail(extensions={"tasks": tasks}))
    row, measured = summarise(record), measure(record)
    assert row.retries == sum(one.retried for one in measured)
    assert row.preempted == sum(one.preempted for one in measured)


@pytest.mark.parametrize("word", ["Running", "Aborting"])
def test_a_call_that_runs_by_its_word_in_a_job_that_is_over_is_counted_without_hours(
    word: str,
) -> None:
    """Cromwell leaves the word for good. Of an aborted job it is waste, of others nobody knows.

    What waits by its word never ran.
    """
    tasks = [
        {"name": "t", "executionStatus": word, "start": NOON, "operationId": "9"},
        {"name": "w", "executionStatus": "Submitted", "start": NOON},
    ]
    over = {"start": NOON, "end": "2026-11-23T17:00:00+00:00", "extensions": {"tasks": tasks}}
    for status, aborted in (("Aborted", 1), ("Failed", 0), ("Running", 0)):
        ran, waits = measure(Record(id="j", detail=detail(status=status, **over)))
        assert (ran.attempts, ran.aborted, ran.lost, ran.spent.total) == (1, aborted, aborted, 0)
        assert ran.untimed == aborted
        assert waits.lost == 0


#: What Cromwell tells of a call: all of one from its cache, and what a run has before and behind.
_BEFORE = ("Pending", "RequestingExecutionToken", "WaitingForValueStore", "PreparingJob")
_FOUND = (*_BEFORE, "CallCacheReading", "UpdatingCallCache", "UpdatingJobStore")
_OLD = (*_BEFORE, "CheckingCallCache", "FetchingCachedOutputsFromDatabase",
        "BackendIsCopyingCachedOutputs", "UpdatingJobStore")  # fmt: skip


def _scatter(names: tuple[str, ...], **shard: Any) -> Record:
    """A job with a scatter of one shard that ended after 8 seconds, with such events."""
    events = [
        {"name": name, "attemptNumber": 1, "shardIndex": 0,
         "start": f"2026-11-23T12:00:0{at}+00:00", "end": f"2026-11-23T12:00:0{at + 1}+00:00"}
        for at, name in enumerate(names)
    ]  # fmt: skip
    told = {"executionStatus": "Succeeded", "shardIndex": 0, "attempts": 1, **shard}
    told |= {"start": NOON, "end": "2026-11-23T12:00:08+00:00"}
    task = {"name": "s", "attempts": 1, "callCached": False, "shards": [told]}
    tree = detail(status="Succeeded", extensions={"tasks": [{**task, "executionEvents": events}]})
    return Record(id="j", row={"id": "j"}, detail=tree)


@pytest.mark.parametrize("names", [_FOUND, _OLD])
def test_a_shard_whose_events_are_those_of_the_call_cache_did_not_run(
    names: tuple[str, ...],
) -> None:
    """The Cromwell shim never says so itself, and its 8 seconds say nothing of how long it runs."""
    read = _scatter(names)
    (told,) = measure(read)
    assert (told.attempts, told.cached, told.took.count) == (1, 1, 0)
    assert summarise(read).cached == 1


@pytest.mark.parametrize(
    "read",
    [
        _scatter((*_BEFORE, "CallCacheReading", "RunningJob", "UpdatingJobStore")),
        # A backend's own words are of a run, whatever they are.
        _scatter((*_BEFORE, "CallCacheReading", "Pulling image", "UpdatingJobStore")),
        _scatter(_FOUND[:4]),
        _scatter(()),
        # After a restart Cromwell finds what the call itself had left in the cache.
        _scatter(("CheckingJobStore", "CallCacheReading", "UpdatingJobStore"), operationId="9"),
        _scatter(_FOUND, callCached=False),
    ],
    ids=["a run", "a backend's words", "no cache", "no events", "a restart", "it says so"],
)
def test_a_shard_of_which_anything_says_that_it_ran_did_run(read: Record) -> None:
    (told,) = measure(read)
    assert (told.cached, told.took.count) == (0, 1)
    assert summarise(read).cached == 0


def test_unknown_properties_are_named_and_the_users_own_are_not() -> None:
    task = {"name": "t", "cost": 1, "inputs": {"x": 1}}
    tree = detail(region="eu", inputs={"y": 1}, labels={"z": "1"}, extensions={"tasks": [task]})
    row = row_of(tree)
    assert row.unknown_fields == ("extensions.tasks.cost", "region")
    assert row.extra == {"region": "eu"}


def test_unknown_properties_of_attempts_logs_and_operations_are_named_too() -> None:
    row = row_of(
        detail(),
        attempts={"t": {"attempts": [{"zone": "a", "inputs": {"x": 1}}], "page": 1}},
        shard_attempts={"s": {"0": {"attempts": [{"machine": "m"}]}}},
        logs={"gs://b/o": {"contents": "x", "etag": "e"}},
        operations={"o": {"details": "{}", "cost": 1}},
    )
    assert row.unknown_fields == (
        "attempts.attempts.machine",
        "attempts.attempts.zone",
        "attempts.page",
        "log.etag",
        "operation.cost",
    )


def test_dates_of_attempts_are_counted_where_they_are_odd() -> None:
    assert row_of(detail(), attempts={"t": {"attempts": [{"start": "soon"}]}}).odd_dates == 1


def test_dates_without_a_zone_or_meaning_are_counted() -> None:
    assert row_of(detail(start="2026-11-23T12:00:00", end="soon")).odd_dates == 2


@pytest.mark.parametrize(
    "empty", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00", "1969-12-31T19:00:00"]
)
def test_a_date_that_a_server_left_empty_is_no_time_and_counted_as_odd(empty: str) -> None:
    """A failed job that ended in 1970 would be of no night and no window."""
    row = row_of(detail(status="Failed", end=empty))
    assert (row.end, row.odd_dates) == (None, 1)


def test_counts_beyond_reason_still_fit_a_row() -> None:
    tree = detail(extensions={"tasks": [{"name": "t", "attempts": 10**40}]})
    msgspec.json.encode(row_of(tree))


DEFINITIONS = (
    models.JobMetadataResponse,
    models.ExtendedFields,
    models.TaskMetadata,
    models.Shard,
    models.FailureMessage,
    models.JobAttemptsResponse,
    models.IndividualAttempt,
    models.ExecutionEvent,
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    sorted({field.encode_name for model in DEFINITIONS for field in msgspec.structs.fields(model)})
)
WORDS = st.sampled_from(["Failed", "Running", "Paused", NOON, "(Caused by [reason 1 of 1]: ("])
LIKE_JOBS = st.recursive(
    TREES | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=8),
    max_leaves=30,
)


@settings(max_examples=dose(300), deadline=None)
@given(LIKE_JOBS, LIKE_JOBS, LIKE_JOBS)
def test_no_tree_makes_it_raise(tree: Any, listed: Any, attempts: Any) -> None:
    """And what comes of it can be stored."""
    bodies = attempts if isinstance(attempts, dict) else {}
    row = summarise(Record(id="j", row=listed, detail=tree, attempts=bodies))
    assert msgspec.json.decode(msgspec.json.encode(row), type=JobRow) == row


@pytest.mark.parametrize("depth", [500, 5_000, 100_000])
def test_a_tree_nested_beyond_reading_is_a_row_all_the_same(depth: int) -> None:
    nested: Any = 1
    for _ in range(depth):
        nested = [nested]
    row = row_of(detail(inputs={"x": nested}, labels={"deep": nested}))
    assert row.status == "Failed"


@pytest.mark.skipif(not RECORDED.exists(), reason="recorded answers are not here")
@pytest.mark.parametrize("path", sorted(RECORDED.glob("*-job_*.txt")), ids=lambda path: path.stem)
def test_recorded_answers_become_rows(path: Path) -> None:
    head, body = path.read_text().split("\n\n", 1)
    tree = json.loads(body)
    row = row_of(tree)
    assert row.readable == (" 200 " in head.splitlines()[0])
    if row.readable:
        assert row.status == tree["status"]
        assert (row.failure is not None) == bool(tree.get("failures"))
        assert row.unknown_fields == ()


def test_a_sub_jobs_scatter_without_times_of_its_own_has_those_of_its_shards() -> None:
    """The diagram of the job above draws it from there."""
    shards = [
        {"executionStatus": "Succeeded", "start": f"2026-11-22T22:1{n}:00Z",
         "end": f"2026-11-22T22:2{n}:00Z"}
        for n in range(3)
    ]  # fmt: skip
    tree = {
        "id": "child", "status": "Failed", "submission": "2026-11-22T22:00:00Z",
        "start": "2026-11-22T22:00:00Z", "end": "2026-11-22T23:00:00Z",
        "extensions": {"parentJobId": "top", "tasks": [
            {"name": "Align", "executionStatus": "Failed", "shards": shards},
            {"name": "Going", "executionStatus": "Running", "shards": shards},
            {"name": "Open", "executionStatus": "Failed",
             "shards": [*shards, {"executionStatus": "Failed"}]},
        ]},
    }  # fmt: skip
    spans = {span.name: span for span in summarise(Record(id="child", detail=tree)).spans}
    began = datetime(2026, 11, 22, 22, 10, tzinfo=UTC)
    assert (spans["Align"].start, spans["Align"].end) == (began, began.replace(minute=22))
    assert (spans["Going"].start, spans["Going"].end) == (began, None)
    assert (spans["Open"].start, spans["Open"].end) == (began, None)
