"""The eleven operations of the built-in server, as the API's definition has them."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from demo_cases import NOBODY, NOW, detail, get, in_status, pages, post, query, rows, when
from doses import dose
from hypothesis import given, settings
from hypothesis import strategies as st

from jmreport.collectors.demo import LIKES, Demo

SERVERS = [Demo(now=NOW, jobs=20, like=like) for like in LIKES]
IDS = [row["id"] for server in SERVERS for row in query(server)["results"][:2]]
WORDS = ["jobs", "attempts", "abort", "updateLabels", "tailFile", "operationDetails", "0", "-1"]
ACTIVE = {"Submitted", "OnHold", "Running", "Aborting"}


@pytest.fixture(scope="module")
def demo() -> Demo:
    """A server that no test of this file changes."""
    return Demo(now=NOW, jobs=1000)


@pytest.fixture(scope="module")
def all_rows(demo: Demo) -> list[dict[str, Any]]:
    return rows(demo, pageSize=1000)


# Capabilities, health.


def test_capabilities_name_fields_labels_extensions_and_time_frames(demo: Demo) -> None:
    found = get(demo, "/capabilities").json
    assert "authentication" not in found
    assert {"id", "name", "status", "submission"} <= {f["field"] for f in found["displayFields"]}
    assert found["queryExtensions"] == ["projectId", "userId", "hideArchived"]
    assert len(found["aggregationTimeFrames"]) == 6


def test_health_is_available_or_503() -> None:
    demo = Demo(now=NOW, jobs=1)
    assert get(demo, "/health").json == {"available": True}
    demo.healthy = False
    answer = get(demo, "/health")
    assert (answer.status, answer.json) == (503, {"available": False})


# Lists.


def test_rows_come_newest_first_with_a_total(demo: Demo) -> None:
    page = query(demo)
    times = [row["submission"] for row in page["results"]]
    assert len(times) == 64
    assert times == sorted(times, reverse=True)
    assert page["totalSize"] == 1000


@pytest.mark.parametrize("size", [1, 7, 64, 250, 1000])
def test_pages_of_any_size_hold_each_job_once(size: int) -> None:
    demo = Demo(now=NOW, jobs=100)
    found = list(pages(demo, pageSize=size))
    ids = [row["id"] for page in found for row in page["results"]]
    assert len(ids) == len(set(ids)) == 100
    assert all(len(page["results"]) == size for page in found[:-1])
    assert found[-1]["results"]
    assert "nextPageToken" not in found[-1]


def test_pages_stay_whole_while_time_goes_on() -> None:
    """A token names a job, not a place: what is submitted meanwhile shifts nothing."""
    demo = Demo(now=NOW, jobs=1000)
    first = query(demo, pageSize=300)
    demo.now = NOW + timedelta(hours=20)
    second = query(demo, pageSize=300, pageToken=first["nextPageToken"])
    assert second["results"][0]["submission"] < first["results"][-1]["submission"]


def test_a_page_holds_at_most_1000_rows() -> None:
    assert len(query(Demo(now=NOW, jobs=1500), pageSize=5000)["results"]) == 1000


@pytest.mark.parametrize("status", sorted(ACTIVE | {"Failed", "Succeeded", "Aborted"}))
def test_status_filter(demo: Demo, all_rows: list[Any], status: str) -> None:
    wanted = [row for row in all_rows if row["status"] == status]
    assert rows(demo, status=[status], pageSize=1000) == wanted


def test_several_statuses_are_any_of_them(demo: Demo, all_rows: list[Any]) -> None:
    wanted = [row for row in all_rows if row["status"] in ACTIVE]
    assert rows(demo, status=sorted(ACTIVE)) == wanted


def test_name_filter(demo: Demo, all_rows: list[Any]) -> None:
    wanted = [row for row in all_rows if row["name"] == "sv_merge"]
    assert wanted
    assert rows(demo, name="sv_merge", pageSize=1000) == wanted


def test_id_filter(demo: Demo, all_rows: list[Any]) -> None:
    assert rows(demo, id=all_rows[77]["id"]) == [all_rows[77]]
    assert rows(demo, id=NOBODY) == []


def test_labels_filter_is_all_of_them_exactly(demo: Demo, all_rows: list[Any]) -> None:
    labels = {"owner": "ana", "project": "rare-disease"}
    wanted = [row for row in all_rows if row["labels"].items() >= labels.items()]
    assert wanted
    assert rows(demo, labels=labels, pageSize=1000) == wanted
    assert rows(demo, labels={"owner": "an"}) == []


def test_submission_filter(demo: Demo, all_rows: list[Any]) -> None:
    at = all_rows[333]["submission"]
    assert rows(demo, submission=at, pageSize=1000) == all_rows[:334]


def test_start_and_end_filters_leave_out_jobs_without_them(demo: Demo, all_rows: list[Any]) -> None:
    """(backends habit 10)"""
    at = when("2026-11-20T02:14:00+00:00")
    started = [row for row in all_rows if "start" in row and when(row["start"]) >= at]
    ended = [row for row in all_rows if "end" in row and when(row["end"]) <= at]
    assert rows(demo, start="2026-11-20T02:14:00Z", pageSize=1000) == started
    assert rows(demo, end="2026-11-20T02:14:00Z", pageSize=1000) == ended
    assert rows(demo, end="2026-11-20T04:14:00+02:00", pageSize=1000) == ended


def test_extension_filters(demo: Demo, all_rows: list[Any]) -> None:
    user = [row for row in all_rows if row["extensions"]["userId"] == "li@example.org"]
    assert rows(demo, extensions={"userId": "li@example.org"}, pageSize=1000) == user
    project = [row for row in all_rows if row["labels"]["project"] == "biobank"]
    assert rows(demo, extensions={"projectId": "biobank"}, pageSize=1000) == project
    shown = [row for row in all_rows if row["labels"].get("flag") != "archive"]
    assert 0 < len(shown) < len(all_rows)
    assert rows(demo, extensions={"hideArchived": True}, pageSize=1000) == shown


def test_filters_page_like_everything_else(demo: Demo, all_rows: list[Any]) -> None:
    wanted = [row for row in all_rows if row["status"] == "Failed"]
    found = list(pages(demo, status=["Failed"], pageSize=10))
    assert [row for page in found for row in page["results"]] == wanted
    assert {page["totalSize"] for page in found} == {len(wanted)}


@pytest.mark.parametrize(
    "body",
    [
        {"name": None},
        {"name": "9 lives"},
        {"id": "a+b"},
        {"status": ["Paused"]},
        {"status": "Running"},
        {"labels": ["a"]},
        {"labels": {"a": {}}},
        {"pageSize": "10"},
        {"pageSize": 0},
        {"pageSize": True},
        {"pageToken": ""},
        {"pageToken": "bm9uc2Vuc2U="},
        {"start": "yesterday"},
        {"start": "2026-11-23T00:00:00Z", "end": "2026-11-22T00:00:00Z"},
        {"start": "2026-11-20T00:00:00Z", "submission": "2026-11-21T00:00:00Z"},
        {"extensions": {"hideArchived": "yes"}},
        ["a list"],
    ],
)
def test_a_question_that_the_definition_rules_out_is_400(demo: Demo, body: Any) -> None:
    answer = post(demo, "/jobs/query", body)
    assert answer.status == 400
    assert answer.json["status"] == 400


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_is_400(demo: Demo, raw: bytes) -> None:
    assert demo.respond("POST", "/api/v1/jobs/query", {}, raw)[0] == 400


# Details, attempts.


def test_a_detail_agrees_with_its_row(demo: Demo, all_rows: list[Any]) -> None:
    for row in all_rows[::7]:
        job = detail(demo, row["id"])
        same = ("id", "name", "status", "submission", "start", "end", "labels")
        assert {key: job.get(key) for key in same} == {key: row.get(key) for key in same}
        assert job["extensions"]["userId"] == row["extensions"]["userId"]


def test_a_detail_has_all_extended_fields(demo: Demo) -> None:
    found = detail(demo, in_status(demo, "Failed"))["extensions"]
    assert found.keys() >= {
        "userId", "statusDetail", "lastUpdate", "sourceFile", "envs", "events", "logs", "tasks",
    }  # fmt: skip
    assert found["sourceFile"].startswith("version 1.0")


@pytest.mark.parametrize("job_id", [NOBODY, "no-uuid", "%2e%2e%2f", "a%00b"])
def test_an_unknown_job_is_404(demo: Demo, job_id: str) -> None:
    assert get(demo, f"/jobs/{job_id}").status == 404


def test_attempts_of_a_task_and_of_a_shard(demo: Demo) -> None:
    job = next(
        job
        for row in rows(demo, name="imputation_beagle", status=["Succeeded"])
        if len((job := detail(demo, row["id"]))["extensions"]["tasks"]) == 4
    )
    phase = job["extensions"]["tasks"][1]
    flat = get(demo, f"/jobs/{job['id']}/Phase/attempts").json["attempts"]
    assert len(flat) == sum(shard["attempts"] for shard in phase["shards"])
    by_shard = [
        attempt
        for shard in phase["shards"]
        for attempt in get(demo, f"/jobs/{job['id']}/Phase/{shard['shardIndex']}/attempts").json[
            "attempts"
        ]
    ]
    assert by_shard == flat
    assert flat[0]["callRoot"] == phase["shards"][0]["callRoot"].removesuffix("/attempt-2")
    last = get(demo, f"/jobs/{job['id']}/MergeVcf/-1/attempts").json["attempts"][-1]
    assert last["executionStatus"] == "Succeeded"
    assert all(key.startswith("imputation_beagle.") for key in last["inputs"])


def test_unknown_tasks_and_shards_are_404(demo: Demo) -> None:
    job_id = in_status(demo, "Succeeded")
    task = detail(demo, job_id)["extensions"]["tasks"][0]["name"]
    for path in (
        "Nobody/attempts",
        "Nobody/0/attempts",
        f"{task}/99/attempts",
        f"{task}/x/attempts",
    ):
        assert get(demo, f"/jobs/{job_id}/{path}").status == 404


# Logs, operations.


def failed_call(demo: Demo) -> tuple[str, dict[str, Any]]:
    for row in rows(demo, status=["Failed"], name="cnv_somatic"):
        for failure in detail(demo, row["id"])["failures"]:
            if "backendLog" in failure:
                return row["id"], failure
    raise AssertionError("no failed call")


def log(demo: Demo, path: str) -> Any:
    bucket, name = path.removeprefix("gs://").split("/", 1)
    return get(demo, f"/jobs/tailFile?{urlencode({'bucket': bucket, 'object': name})}")


def test_a_log_tail_ends_with_the_error(demo: Demo) -> None:
    _, failure = failed_call(demo)
    for path in (failure["backendLog"], f"{failure['callRoot']}/stderr"):
        found = log(demo, path).json
        assert found["truncated"] in ("true", "false")
        lines = found["contents"].splitlines()
        assert 30 <= len(lines) <= 200
        assert "USER ERROR" in "\n".join(lines[-6:])


def test_every_failed_call_has_a_log_that_says_more_than_its_message() -> None:
    """Of whatever kind its failure is; and its script, return code and standard output."""
    demo = Demo(now=NOW)
    seen = 0
    for row in rows(demo, status=["Failed"], pageSize=500):
        for failure in detail(demo, row["id"])["failures"]:
            if "backendLog" in failure:
                seen += 1
                assert len(log(demo, failure["backendLog"]).json["contents"].splitlines()) > 30
                folder = failure["callRoot"]
                assert log(demo, f"{folder}/script").json["contents"].startswith("#!/bin/bash")
                assert log(demo, f"{folder}/rc").json["contents"].strip().isdigit()
                assert "records: " in log(demo, f"{folder}/stdout").json["contents"]
                assert log(demo, f"{folder}/core").status == 404
                assert log(demo, f"gs://elsewhere/{folder[5:]}/rc").status == 404
    assert seen > 50


def test_a_preempted_attempts_log_just_stops(demo: Demo, all_rows: list[Any]) -> None:
    for row in all_rows:
        for task in detail(demo, row["id"])["extensions"]["tasks"]:
            if task["attempts"] > 1 and "backendLog" in task and "shards" not in task:
                name = f"/jobs/{row['id']}/{task['name']}/attempts"
                first = get(demo, name).json["attempts"][0]
                if "preempted" in first["failureMessages"][0]:
                    assert "rc:" not in log(demo, first["backendLog"]).json["contents"]
                    return
    raise AssertionError("no preempted attempt")


def test_the_engines_own_log_tells_of_every_call(demo: Demo) -> None:
    job = detail(demo, in_status(demo, "Failed"))
    found = log(demo, job["extensions"]["logs"]["Workflow Log"]).json
    assert f"{job['id']} is Failed" in found["contents"]
    for task in job["extensions"]["tasks"]:
        assert f".{task['name']}:" in found["contents"]


def test_long_logs_are_cut_from_the_front(demo: Demo, all_rows: list[Any]) -> None:
    cut = set()
    for row in all_rows[:60]:
        for task in detail(demo, row["id"])["extensions"]["tasks"]:
            if "backendLog" in task:
                found = log(demo, task["backendLog"]).json
                cut.add(found["truncated"])
                whole = " INFO starting " in found["contents"].splitlines()[0]
                assert whole == (found["truncated"] == "false")
    assert cut == {"true", "false"}


@pytest.mark.parametrize("name", ["nowhere.log", "../../etc/passwd", f"{NOBODY}/call-A/A.log"])
def test_files_that_are_not_there_are_404(demo: Demo, name: str) -> None:
    assert log(demo, f"gs://demo-lab-ana/{name}").status == 404


def test_operation_details_are_json_in_a_string(demo: Demo) -> None:
    job_id, failure = failed_call(demo)
    which = urlencode({"job": job_id, "operation": failure["operationId"]})
    found = get(demo, f"/jobs/operationDetails?{which}").json
    assert found["id"] == failure["operationId"]
    details = json.loads(found["details"])
    assert details["error"]["message"] == failure["failure"]
    machine = details["metadata"]["pipeline"]["resources"]["virtualMachine"]["machineType"]
    assert machine.startswith("n")
    assert details["metadata"]["events"]


def test_operations_that_are_not_there_are_404(demo: Demo) -> None:
    job_id = in_status(demo, "Succeeded")
    assert get(demo, f"/jobs/operationDetails?job={job_id}&operation=1").status == 404
    assert get(demo, f"/jobs/operationDetails?job={NOBODY}").status == 404
    assert get(demo, "/jobs/operationDetails").status == 400
    assert get(demo, "/jobs/tailFile?bucket=demo-lab-ana").status == 400


# Aggregations.


@pytest.mark.parametrize(
    ("frame", "hours"),
    [("HOURS_1", 1), ("HOURS_8", 8), ("HOURS_24", 24), ("DAYS_7", 168), ("DAYS_30", 720)],
)
def test_aggregations_count_the_jobs_of_their_time_frame(
    demo: Demo, all_rows: list[Any], frame: str, hours: int
) -> None:
    inside = [r for r in all_rows if when(r["submission"]) >= NOW - timedelta(hours=hours)]
    found = get(demo, f"/aggregations?timeFrame={frame}").json
    assert sum(count["count"] for count in found["summary"]["counts"]) == len(inside)
    names: Any = next((a for a in found["aggregations"] if a["key"] == "name"), {"entries": []})
    for entry in names["entries"]:
        for count in entry["statusCounts"]["counts"]:
            alike = [r for r in inside if r["name"] == entry["label"]]
            assert count["count"] == sum(r["status"] == count["status"] for r in alike) > 0


def test_aggregations_of_all_time_and_of_one_project(demo: Demo, all_rows: list[Any]) -> None:
    whole = get(demo, "/aggregations?timeFrame=ALL_TIME").json
    assert sum(count["count"] for count in whole["summary"]["counts"]) == len(all_rows)
    one = get(demo, "/aggregations?timeFrame=ALL_TIME&projectId=biobank").json
    projects = next(a for a in one["aggregations"] if a["key"] == "project")
    assert [entry["label"] for entry in projects["entries"]] == ["biobank"]


@pytest.mark.parametrize("query_string", ["", "?timeFrame=", "?timeFrame=DAYS_8"])
def test_another_time_frame_is_400(demo: Demo, query_string: str) -> None:
    assert get(demo, f"/aggregations{query_string}").status == 400


# What clients change.


def test_an_aborted_job_is_aborting_and_then_aborted() -> None:
    """After a minute of the server's time, and what was running ends with it."""
    demo = Demo(now=NOW, jobs=500)
    job_id = in_status(demo, "Running")
    assert post(demo, f"/jobs/{job_id}/abort").status == 200
    assert detail(demo, job_id)["status"] == "Aborting"
    assert query(demo, id=job_id)["results"][0]["status"] == "Aborting"
    demo.now = NOW + timedelta(minutes=2)
    job = detail(demo, job_id)
    assert job["status"] == "Aborted"
    assert when(job["end"]) == NOW + timedelta(minutes=1)
    states = {task["executionStatus"] for task in job["extensions"]["tasks"]}
    assert "Running" not in states
    assert "Aborted" in states


def test_an_abort_comes_to_an_end_even_where_time_stands_still() -> None:
    """The third look at the job finds it Aborted, and so does the list."""
    demo = Demo(now=NOW, jobs=500)
    job_id = in_status(demo, "Running")
    post(demo, f"/jobs/{job_id}/abort")
    looks = [detail(demo, job_id)["status"] for _ in range(4)]
    assert looks == ["Aborting", "Aborting", "Aborting", "Aborted"]
    assert query(demo, id=job_id)["results"][0]["status"] == "Aborted"


def test_a_job_that_is_aborted_before_it_starts_never_does() -> None:
    demo = Demo(now=NOW, jobs=2000)
    job_id = in_status(demo, "Submitted")
    post(demo, f"/jobs/{job_id}/abort")
    demo.now = NOW + timedelta(days=3)
    job = detail(demo, job_id)
    assert job["status"] == "Aborted"
    assert "start" not in job
    assert job["extensions"]["tasks"] == []


@pytest.mark.parametrize("status", ["Succeeded", "Failed", "Aborted"])
def test_a_job_that_has_ended_cannot_be_aborted(status: str) -> None:
    demo = Demo(now=NOW, jobs=500)
    job_id = in_status(demo, status)
    assert post(demo, f"/jobs/{job_id}/abort").status == 412
    assert detail(demo, job_id)["status"] == status


def test_aborting_twice_changes_nothing_and_a_stranger_is_404() -> None:
    demo = Demo(now=NOW, jobs=500)
    job_id = in_status(demo, "Running")
    assert [post(demo, f"/jobs/{job_id}/abort").status for _ in range(2)] == [200, 200]
    assert post(demo, f"/jobs/{NOBODY}/abort").status == 404


def test_labels_are_merged_and_stay() -> None:
    demo = Demo(now=NOW, jobs=100)
    row = query(demo)["results"][5]
    new = {"flag": "archive", "owner": "somebody", "größe": ""}
    answer = post(demo, f"/jobs/{row['id']}/updateLabels", {"labels": new})
    assert answer.json["labels"] == {**row["labels"], **new}
    assert detail(demo, row["id"])["labels"] == answer.json["labels"]
    assert query(demo, id=row["id"])["results"][0]["labels"] == answer.json["labels"]
    assert query(demo, labels={"owner": "somebody"})["totalSize"] == 1
    more = post(demo, f"/jobs/{row['id']}/updateLabels", {"labels": {"flag": "follow-up"}})
    assert more.json["labels"] == {**answer.json["labels"], "flag": "follow-up"}


@pytest.mark.parametrize("labels", [{"a": None}, {"a": 1}, {"a": "x" * 256}, {"": "x"}, ["a"]])
def test_labels_that_nobody_can_have_are_400(labels: Any) -> None:
    demo = Demo(now=NOW, jobs=10)
    job_id = query(demo)["results"][0]["id"]
    before = detail(demo, job_id)["labels"]
    assert post(demo, f"/jobs/{job_id}/updateLabels", {"labels": labels}).status == 400
    assert detail(demo, job_id)["labels"] == before


def test_a_sub_workflow_takes_labels_of_its_own() -> None:
    demo = Demo(now=NOW)
    parent = query(demo, name="cohort_panel", status=["Succeeded"])["results"][0]["id"]
    child = detail(demo, parent)["extensions"]["tasks"][1]["shards"][0]["jobId"]
    post(demo, f"/jobs/{child}/updateLabels", {"labels": {"seen": "yes"}})
    assert detail(demo, child)["labels"] == {"seen": "yes"}
    assert "seen" not in detail(demo, parent)["labels"]


# Around the operations.


@pytest.mark.parametrize("header", ["Authorization", "Authentication", "authorization"])
def test_a_token_is_wanted_for_all_but_health_and_capabilities(header: str) -> None:
    demo = Demo(now=NOW, jobs=5, token="t-1")  # noqa: S106 - opens nothing
    assert get(demo, "/capabilities").json["authentication"]["isRequired"] is True
    assert get(demo, "/health").status == 200
    assert post(demo, "/jobs/query", {}).status == 401
    assert post(demo, "/jobs/query", {}, **{header: "Bearer t-2"}).status == 401
    assert post(demo, "/jobs/query", {}, **{header: "Basic t-1"}).status == 401
    assert post(demo, "/jobs/query", {}, **{header: "Bearer t-1"}).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/elsewhere", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/jobs/a/b/c/d/e", 404),
        ("GET", "/api/v1/jobs/", 404),
        ("POST", "/api/v1/capabilities", 405),
        ("DELETE", f"/api/v1/jobs/{NOBODY}", 405),
        ("GET", f"/api/v1/jobs/{NOBODY}/abort", 405),
    ],
)
def test_other_paths_are_404_and_other_methods_405(
    demo: Demo, method: str, path: str, status: int
) -> None:
    assert demo.respond(method, path, {}, b"")[0] == status


@settings(max_examples=dose(300), deadline=None)
@given(data=st.data())
def test_no_request_makes_it_raise(data: st.DataObject) -> None:
    """Whatever is asked of whichever server, there is an answer with a status."""
    demo = data.draw(st.sampled_from(SERVERS))
    known = data.draw(st.sampled_from([*IDS, NOBODY, "query", "..", "%00", "é", "+a+b+c"]))
    part = st.one_of(st.just(quote(known, safe="")), st.sampled_from(WORDS), st.text(max_size=8))
    path = "/".join(data.draw(st.lists(part, max_size=5)))
    target = f"/api/v1/{path}{data.draw(st.sampled_from(['', '?', '?timeFrame=DAYS_7', '?a=%ff']))}"
    value = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=6,
    )
    key = st.sampled_from(["name", "status", "labels", "start", "pageSize", "pageToken", "id"])
    body = data.draw(st.dictionaries(key, value) | value)
    method = data.draw(st.sampled_from(["GET", "POST", "PUT", ""]))
    kind = {"content-type": "application/json"}
    status, headers, raw = demo.respond(method, target, kind, json.dumps(body).encode())
    assert 200 <= status < 600
    assert isinstance(raw, bytes)
    assert all(isinstance(item, str) for pair in headers.items() for item in pair)


@settings(max_examples=dose(200), deadline=None)
@given(data=st.data())
def test_no_question_makes_it_raise(data: st.DataObject) -> None:
    """Filters at their edges: far dates, odd labels, huge pages, tokens of other servers."""
    demo = data.draw(st.sampled_from(SERVERS))
    dates = st.datetimes().map(lambda at: f"{at.isoformat()}Z") | st.just("x")
    labels = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=2)
    known = {
        "start": dates,
        "end": dates,
        "submission": dates,
        "status": st.lists(st.sampled_from(["Running", "Failed", "OnHold", "Paused"])),
        "labels": labels,
        "pageSize": st.integers(),
        "pageToken": st.sampled_from(
            ["eyJvZiI6IDk5OTk5OTk5OTk5OX0", "eyJjYiI6IDE3OTU0NjQwMTJ9", "é"]
        ),
        "extensions": st.just({"hideArchived": True, "userId": "ana"}),
    }
    body = data.draw(st.fixed_dictionaries({}, optional=known))
    assert post(demo, "/jobs/query", body).status in (200, 400, 500)


def test_requests_are_counted_by_operation() -> None:
    demo = Demo(now=NOW, jobs=5)
    ids = [row["id"] for row in query(demo)["results"]]
    for job_id in ids:
        detail(demo, job_id)
    get(demo, f"/jobs/{NOBODY}")
    assert demo.requests.count("GetJob") == 6
    assert demo.requests.counts == {"QueryJobs": 1, "GetJob": 6}
    assert demo.requests.total == 7
    assert demo.requests.last[0].body == b"{}"
    assert demo.requests.last[-1].status == 404
    assert demo.requests.last[-1].target.endswith(quote(NOBODY))
    demo.requests.clear()
    assert demo.requests.total == 0


def test_only_the_last_requests_are_kept_whole() -> None:
    demo = Demo(now=NOW, jobs=1)
    for _ in range(600):
        get(demo, "/health")
    assert demo.requests.count("Health") == 600
    assert len(demo.requests.last) == 500


def test_a_part_of_the_details_can_be_made_to_fail_and_their_rows_stay() -> None:
    demo = Demo(now=NOW, jobs=400, archived=0.2)
    states = [get(demo, f"/jobs/{row['id']}").status for row in rows(demo)]
    assert set(states) == {200, 500}
    assert 40 < states.count(500) < 120


@pytest.mark.parametrize(
    "wrong", [{"like": "other"}, {"jobs": -1}, {"same_second": 0}, {"jobs": 10**9}]
)
def test_a_server_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Demo(now=NOW, **wrong)
