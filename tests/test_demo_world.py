"""The laboratory behind the built-in server: always the same one, and worth a report."""

import json
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from demo_cases import NOW, detail, get, in_status, post, query, rows, tasks_of, when
from hypothesis import given
from hypothesis import strategies as st

from jmreport.collectors.demo import LIKES, Demo, Like
from jmreport.collectors.demo.ids import Uuids
from jmreport.collectors.demo.timeline import Timeline, iso, micros, moment

WEEK_AGO = (NOW - timedelta(days=7)).isoformat().replace("+00:00", "Z")


@pytest.fixture(scope="module")
def demo() -> Demo:
    return Demo(now=NOW)


@pytest.fixture(scope="module")
def details(demo: Demo) -> list[Any]:
    """The details of all jobs of the last week."""
    return [detail(demo, row["id"]) for row in rows(demo, submission=WEEK_AGO, pageSize=500)]


# The same world each time.


@pytest.mark.parametrize("like", LIKES)
def test_the_same_seed_and_now_give_the_same_bytes(like: Like) -> None:
    one, other = Demo(now=NOW, jobs=120, like=like), Demo(now=NOW, jobs=120, like=like)
    for server in (one, other):
        assert len(rows(server, pageSize=256)) == 120
    first = [post(server, "/jobs/query", {"pageSize": 120}) for server in (one, other)]
    assert first[0] == first[1]
    for row in first[0].json["results"]:
        path = f"/jobs/{row['id'].replace('+', '%2B')}"
        assert get(one, path) == get(other, path)


def test_another_seed_is_another_world() -> None:
    ids = [{row["id"] for row in rows(Demo(now=NOW, jobs=50, seed=seed))} for seed in (1, 2)]
    assert ids[0].isdisjoint(ids[1])


def test_a_job_is_made_alone_in_whatever_order_jobs_are_asked_for() -> None:
    whole = {row["id"]: row for row in rows(Demo(now=NOW, jobs=80))}
    fresh = Demo(now=NOW, jobs=80)
    for job_id in reversed(whole):
        assert detail(fresh, job_id)["submission"] == whole[job_id]["submission"]


def test_later_the_same_jobs_are_further_along() -> None:
    """Six hours on: same ids and submissions, and no job goes back to an earlier status."""
    order = {"OnHold": 0, "Submitted": 1, "Running": 2, "Aborting": 3}
    before = {row["id"]: row for row in rows(Demo(now=NOW, jobs=900))}
    after = {row["id"]: row for row in rows(Demo(now=NOW + timedelta(hours=6), jobs=900))}
    both = before.keys() & after.keys()
    assert len(both) > 850
    moved = 0
    for job_id in both:
        old, new = before[job_id], after[job_id]
        assert old["submission"] == new["submission"]
        assert order.get(old["status"], 9) <= order.get(new["status"], 9)
        moved += old["status"] != new["status"]
        if "end" in old:
            assert old["end"] == new["end"]
    assert moved >= 2


def test_time_may_be_moved_on_under_a_running_server() -> None:
    demo = Demo(now=NOW, jobs=300)
    running = in_status(demo, "Running")
    demo.now = NOW + timedelta(days=4)
    assert detail(demo, running)["status"] in ("Succeeded", "Failed", "Aborted")


@pytest.mark.parametrize("jobs", [0, 1, 7, 200])
def test_it_holds_as_many_jobs_as_it_was_told_all_from_the_last_35_days(jobs: int) -> None:
    found = rows(Demo(now=NOW, jobs=jobs), pageSize=50)
    assert len({row["id"] for row in found}) == jobs
    for row in found:
        assert NOW - timedelta(days=36) < when(row["submission"]) <= NOW


def test_a_million_jobs_need_no_list_of_jobs() -> None:
    """Nothing is made ahead: the newest page and any single job are there at once."""
    demo = Demo(now=NOW, jobs=1_000_000)
    page = query(demo, pageSize=10)
    assert page["totalSize"] == 1_000_000
    assert detail(demo, page["results"][3]["id"])["id"] == page["results"][3]["id"]
    late = query(demo, submission="2026-11-23T02:13:00Z", pageSize=1000)
    assert 5 < late["totalSize"] < 200


# What is in it.


def test_every_status_is_there_and_about_one_job_in_fifteen_failed(demo: Demo) -> None:
    counts = Counter(row["status"] for row in rows(demo, pageSize=500))
    assert set(counts) == {
        "Submitted", "OnHold", "Running", "Aborting", "Failed", "Succeeded", "Aborted",
    }  # fmt: skip
    assert 0.05 < counts["Failed"] / 2000 < 0.09


def test_there_are_a_dozen_workflows_with_three_to_nine_tasks(details: list[Any]) -> None:
    sizes: dict[str, int] = {}
    for job in details:
        sizes[job["name"]] = max(sizes.get(job["name"], 0), len(job["extensions"]["tasks"]))
    assert len(sizes) >= 10
    assert all(3 <= size <= 9 for size in sizes.values())


@pytest.mark.parametrize("day", range(14))
def test_scatters_of_200_and_300_shards_are_among_the_jobs_of_any_week(day: int) -> None:
    now = NOW + timedelta(days=day, hours=3 * day)
    since = (now - timedelta(days=7)).isoformat().replace("+00:00", "Z")
    found = {
        len(task["shards"])
        for _, task in tasks_of(Demo(now=now, jobs=200), submission=since)
        if "shards" in task
    }
    assert {200, 300} <= found


def test_a_dozen_reasons_for_failures() -> None:
    messages = set()
    for row in rows(Demo(now=NOW), status=["Failed"], pageSize=500):
        for failure in detail(Demo(now=NOW), row["id"])["failures"]:
            messages.add(failure["failure"])
    whole = "\n".join(messages)
    for part in (
        "java.lang.OutOfMemoryError: Java heap space",
        "exited with return code 137",
        "exited with return code 1 ",
        "403 Forbidden",
        "quota CPUS exceeded",
        "manifest unknown",
        "does not exist",
        "Sample swap suspected",
        "PAPI error code 9",
        "PAPI error code 10",
        "time limit",
        "(Caused by [reason 1 of 2]:",
    ):
        assert part in whole, part


def test_one_night_most_jobs_of_one_batch_failed_alike() -> None:
    """The outage: a workflow, a batch, one cause, within a night; in any week."""
    demo = Demo(now=NOW)
    found: Counter[tuple[str, str, str]] = Counter()
    for row in rows(demo, status=["Failed"], submission=WEEK_AGO, pageSize=500):
        for failure in detail(demo, row["id"])["failures"][:1]:
            text = failure["failure"].partition("\n")[0]
            found[row["name"], row["labels"]["batch"], text] += 1
    (workflow, batch, text), jobs = found.most_common(1)[0]
    assert text == "java.lang.OutOfMemoryError: Java heap space"
    assert jobs >= 4
    all_of_it = rows(demo, name=workflow, labels={"batch": batch}, pageSize=500)
    assert jobs / len(all_of_it) > 0.4


def test_routine_work_comes_back_every_night(demo: Demo) -> None:
    """The same sample of the same workflow on most nights, so that a report can compare."""
    nights: dict[tuple[str, str], set[str]] = {}
    for row in rows(demo, submission=WEEK_AGO, pageSize=500):
        subject = row["labels"].get("sample") or row["labels"]["cohort"]
        night = (when(row["submission"]) - timedelta(hours=12)).date().isoformat()
        nights.setdefault((row["name"], subject), set()).add(night)
    assert sum(len(seen) >= 6 for seen in nights.values()) >= 40


def test_routine_work_has_the_same_inputs_every_night(demo: Demo) -> None:
    """So that a report knows it again even where no label says so."""
    found: dict[str, set[str]] = {}
    for row in rows(demo, submission=WEEK_AGO, name="rna_align_star", pageSize=500):
        inputs = json.dumps(detail(demo, row["id"])["inputs"])
        found.setdefault(row["labels"]["sample"], set()).add(inputs)
    assert {len(inputs) for inputs in found.values()} == {1}
    assert len({next(iter(inputs)) for inputs in found.values()}) == len(found) > 5


def test_one_job_runs_far_too_long_and_one_has_waited_half_a_day(demo: Demo) -> None:
    running = rows(demo, status=["Running"], pageSize=500)
    assert max(NOW - when(row["start"]) for row in running) > timedelta(hours=24)
    waiting = rows(demo, status=["Submitted"], pageSize=500)
    assert max(NOW - when(row["submission"]) for row in waiting) > timedelta(hours=12)


def test_times_are_in_order_everywhere(details: list[Any]) -> None:
    """Submission, start, end; tasks within their job, attempts' events within their task."""
    for job in details:
        assert job["submission"] <= job.get("start", "9")
        last = when(job["end"]) if "end" in job else NOW
        for task in job["extensions"]["tasks"]:
            for part in (task, *task.get("shards", ())):
                if "start" in part:
                    assert when(job["start"]) <= when(part["start"]) <= last
                if "end" in part:
                    assert when(part["start"]) <= when(part["end"]) <= last
            for event in task["executionEvents"]:
                end = when(event["end"]) if "end" in event else last
                assert when(job["start"]) <= when(event["start"]) <= end <= last


def test_events_cover_every_attempt_of_every_shard(details: list[Any]) -> None:
    """Without gaps, so that a timing diagram needs nothing else."""
    for job in details:
        for task in job["extensions"]["tasks"]:
            seen: dict[tuple[int, int], list[Any]] = {}
            for event in task["executionEvents"]:
                seen.setdefault((event["shardIndex"], event["attemptNumber"]), []).append(event)
            wanted = {
                (shard.get("shardIndex", -1), number)
                for shard in task.get("shards", [task])
                if "start" in shard
                for number in range(1, shard["attempts"] + 1)
            }
            assert set(seen) == wanted
            for events in seen.values():
                events.sort(key=lambda event: event["start"])
                for one, following in pairwise(events):
                    assert one["end"] == following["start"]


def agrees(
    demo: Demo, job_id: str, parent: str | None, earliest: datetime, latest: datetime
) -> None:
    """Asserts that a job and all below it agree with each other: times, statuses, parents."""
    job = detail(demo, job_id)
    assert job["extensions"].get("parentJobId") == parent
    last = when(job["end"]) if "end" in job else latest
    if "start" in job:
        assert earliest <= when(job["start"]) <= last <= latest
    over = job["status"] in ("Succeeded", "Failed", "Aborted")
    tasks = job["extensions"]["tasks"]
    states = {task["executionStatus"] for task in tasks}
    if over:
        assert states <= {"Succeeded", "Failed", "Aborted"}
    if job["status"] == "Succeeded":
        assert states == {"Succeeded"}
    if job["status"] == "Failed" and tasks:
        assert "Failed" in states
        assert job["failures"]
    for task in tasks:
        for part in (task, *task.get("shards", ())):
            ended = when(part["end"]) if "end" in part else last
            if "start" in part:
                assert when(job["start"]) <= when(part["start"]) <= ended <= last
                assert "end" in part or not over
                if "jobId" in part:
                    agrees(demo, part["jobId"], job_id, when(part["start"]), ended)


@pytest.mark.parametrize("seed", [2, 6, -3])
def test_jobs_agree_with_all_that_is_below_them_also_when_aborted(seed: int) -> None:
    """In any world, at any moment, whatever was aborted in the middle."""
    now = NOW + timedelta(hours=31 * seed, minutes=7)
    demo = Demo(now=now, seed=seed, jobs=500)
    listed = rows(demo, pageSize=1000)
    active = [row for row in listed if row["status"] in ("Running", "Submitted", "OnHold")]
    for row in active[::2]:
        assert post(demo, f"/jobs/{row['id']}/abort").status == 200
    for row in listed:
        agrees(demo, row["id"], None, when(row["submission"]), now)
    demo.now = now + timedelta(minutes=5)
    for row in active:
        agrees(demo, row["id"], None, when(row["submission"]), demo.now)


def test_preempted_attempts_leave_a_job_that_succeeds(demo: Demo) -> None:
    """Their attempts are Failed with the cloud's text, the task is not."""
    for job_id, task in tasks_of(demo, status=["Succeeded"], submission=WEEK_AGO):
        if "shards" not in task and task["attempts"] > 1:
            attempts = get(demo, f"/jobs/{job_id}/{task['name']}/attempts").json["attempts"]
            assert [a["attemptNumber"] for a in attempts] == list(range(1, len(attempts) + 1))
            assert attempts[0]["executionStatus"] == "Failed"
            assert "PAPI error code 10" in attempts[0]["failureMessages"][0]
            assert "preempted" in attempts[0]["failureMessages"][0]
            assert attempts[-1]["executionStatus"] == task["executionStatus"] == "Succeeded"
            return
    pytest.fail("no job had a preempted attempt")


def test_sub_workflows_go_three_deep(demo: Demo) -> None:
    """Children name their parents, are Gettable and aren't listed."""
    listed = {row["id"] for row in rows(demo, pageSize=500)}

    def depth(job_id: str, parent: str | None) -> int:
        job = detail(demo, job_id)
        assert job["extensions"].get("parentJobId") == parent
        children = [
            part["jobId"]
            for task in job["extensions"]["tasks"]
            for part in (task, *task.get("shards", ()))
            if "jobId" in part
        ]
        assert listed.isdisjoint(children)
        return 1 + max((depth(child, job_id) for child in children), default=0)

    nested = query(demo, name="cohort_panel", status=["Succeeded"])["results"][0]
    assert depth(nested["id"], None) == 4


def test_a_failure_below_is_told_above_with_its_own_words() -> None:
    """The parent's failure carries the deepest message and the id of the job that it came from."""
    for seed in range(1, 12):
        demo = Demo(now=NOW, seed=seed)
        for row in rows(demo, name="cohort_panel", status=["Failed"], pageSize=500):
            for failure in detail(demo, row["id"])["failures"]:
                if "jobId" in failure:
                    child = detail(demo, failure["jobId"])
                    assert child["status"] == "Failed"
                    assert failure["failure"] in [f["failure"] for f in child["failures"]]
                    return
    pytest.fail("no cohort_panel failed below in any of these worlds")


def test_call_caching_shows_where_work_was_not_done_again(details: list[Any]) -> None:
    tasks = [task for job in details for task in job["extensions"]["tasks"]]
    cached = [task for task in tasks if task["callCached"]]
    assert 0 < len(cached) < len(tasks) / 4
    assert all("operationId" not in task for task in cached)


def test_inputs_and_outputs_hold_any_json(details: list[Any]) -> None:
    """Numbers, null, lists, objects: not "stringified values" (backends habit 24)."""
    job = next(job for job in details if job["status"] == "Succeeded")
    kinds = {type(value) for value in (*job["inputs"].values(), *job["outputs"].values())}
    assert {str, int, float, bool, list, dict, type(None)} <= kinds


def test_some_failed_jobs_give_no_reason_at_all() -> None:
    """`failures` is empty though the status is Failed (backends habit 25)."""
    demo = Demo(now=NOW)
    silent = [
        row
        for row in rows(demo, status=["Failed"], pageSize=500)
        if not detail(demo, row["id"])["failures"]
    ]
    assert silent


def test_labels_may_hold_any_unicode(demo: Demo) -> None:
    """(backends habit 27)"""
    keys = {key for row in rows(demo, pageSize=500) for key in row["labels"]}
    assert {"owner", "batch", "project", "sample", "cohort", "panel", "flag", "comment"} <= keys
    assert any(not key.isascii() for key in keys)


def test_folders_are_in_a_bucket_or_on_a_disk_and_operations_of_three_kinds(
    details: list[Any],
) -> None:
    """Pipelines API, GCP Batch, and a process's number (backends habit 28)."""
    parts = [
        part
        for job in details
        for task in job["extensions"]["tasks"]
        for part in (task, *task.get("shards", ()))
    ]
    roots = {part["callRoot"].partition("/")[0] for part in parts if "callRoot" in part}
    assert roots == {"gs:", ""}
    operations = [part["operationId"] for part in parts if "operationId" in part]
    assert any("/operations/" in name for name in operations)
    assert any("/jobs/job-" in name for name in operations)
    assert any(name.isdigit() for name in operations)
    assert any("callRoot" in part and "backendLog" not in part for part in parts)


def test_a_typical_detail_weighs_5_to_40_kilobytes(demo: Demo, details: list[Any]) -> None:
    sizes = sorted(len(get(demo, f"/jobs/{job['id']}").raw) for job in details)
    assert 5_000 < sizes[len(sizes) // 2] < 40_000


# The parts that make it up.


@given(seed=st.integers(-(2**60), 2**60), k=st.integers(-(2**32), 2**32), path=st.lists(
    st.integers(1, 15), max_size=3).map(tuple))  # fmt: skip
def test_an_id_leads_back_to_its_job(seed: int, k: int, path: tuple[int, ...]) -> None:
    ids = Uuids(seed)
    assert ids.find(ids.of(k, path)) == ids.find(ids.of(k, path).upper()) == (k, path)


@given(text=st.uuids(version=4).map(str))
def test_an_id_of_another_world_leads_nowhere(text: str) -> None:
    assert Uuids(1).find(text) is None


@given(
    jobs=st.integers(1, 1_000_000),
    together=st.sampled_from([1, 1, 1, 3, 600]),
    at=st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - taken as UTC
)
def test_the_first_job_at_a_moment_is_found_without_a_search(
    jobs: int, together: int, at: datetime
) -> None:
    """`first_at` is the inverse of `time`, and time never runs backwards."""
    timeline = Timeline(seed=1, jobs=jobs, step=1_000, same_second=together)
    instant = micros(at)
    k = timeline.first_at(instant)
    assert timeline.time(k - 1) < instant <= timeline.time(k)
    times = [timeline.time(n) for n in range(k - 5, k + 6)]
    assert times == sorted(times)


@given(at=st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 - taken as UTC
def test_moments_are_written_as_both_servers_write_them(at: datetime) -> None:
    """An offset, never a Z; a fraction only where there is one (backends habit 21)."""
    text = iso(micros(at))
    assert datetime.fromisoformat(text) == moment(micros(at))
    assert text.endswith("+00:00")
    assert ("." in text) == bool(at.microsecond)


def test_every_answer_is_json_that_any_reader_reads(details: list[Any]) -> None:
    assert json.loads(json.dumps(details, allow_nan=False)) == details
