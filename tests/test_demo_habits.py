"""What the two real servers do otherwise than the definition says: each observed habit, as numbered
in the list of habits ("backends habit 22")."""

import json
import time
from base64 import b64decode, b64encode
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from demo_cases import (
    NOBODY,
    NOW,
    detail,
    get,
    in_status,
    pages,
    post,
    query,
    rows,
    tasks_of,
    when,
)

from jmreport.collectors.demo import Demo, Like

SHIMS: list[Like] = ["cromwell", "dsub"]
PROJECT = {"extensions": {"projectId": "demo-genomics"}}


@pytest.fixture(scope="module")
def cromwell() -> Demo:
    return Demo(now=NOW, jobs=600, like="cromwell", archived=0.0)


@pytest.fixture(scope="module")
def dsub() -> Demo:
    return Demo(now=NOW, jobs=600, like="dsub")


def server(like: Like, **more: Any) -> Demo:
    return Demo(now=NOW, jobs=600, like=like, **more)


def token(page: Any) -> Any:
    text = page["nextPageToken"]
    return json.loads(b64decode(text + "=" * (-len(text) % 4)))


# The shape of the service.


def test_health_of_cromwell_with_its_engine_down_is_500_in_plain_text() -> None:
    """Not the 503 JSON of the definition."""
    demo = server("cromwell")
    assert get(demo, "/health").json == {"available": True}
    demo.healthy = False
    answer = get(demo, "/health")
    assert answer.status == 500
    assert answer.headers["content-type"].startswith("text/plain")


def test_health_of_dsub_checks_nothing() -> None:
    demo = server("dsub")
    demo.healthy = False
    assert (get(demo, "/health").status, get(demo, "/health").json) == (200, {"available": True})


@pytest.mark.parametrize("like", SHIMS)
def test_capabilities_name_no_time_frames(like: Like) -> None:
    found = get(server(like), "/capabilities").json
    assert "aggregationTimeFrames" not in found
    assert "authentication" not in found
    assert found["queryExtensions"] == {"cromwell": ["hideArchived"], "dsub": ["userId"]}[like]


def test_capabilities_of_dsub_on_google_name_the_project() -> None:
    found = get(server("dsub", token="t"), "/capabilities").json  # noqa: S106 - opens nothing
    assert "projectId" in found["queryExtensions"]


def test_aggregations_are_501_on_cromwell_and_work_on_dsub(cromwell: Demo, dsub: Demo) -> None:
    assert get(cromwell, "/aggregations?timeFrame=DAYS_7").status == 501
    found = get(dsub, "/aggregations?timeFrame=DAYS_7").json
    assert [a["name"] for a in found["aggregations"]][:2] == ["User Id", "Job Name"]


def test_a_bad_id_is_400_and_an_unknown_one_404(cromwell: Demo, dsub: Demo) -> None:
    assert get(cromwell, "/jobs/no-uuid").status == 400
    assert get(cromwell, f"/jobs/{NOBODY}").status == 404
    assert get(dsub, f"/jobs/{NOBODY}").status == 400
    assert get(dsub, "/jobs/%2Balign--ana--261123-195941-511590%2B%2B").status == 404
    assert get(dsub, "/jobs/%2Balign--ana--269999-999999-511590%2B%2B").status == 404


def test_attempts_of_an_unknown_task_are_500_on_cromwell(cromwell: Demo) -> None:
    job_id = in_status(cromwell, "Succeeded")
    assert get(cromwell, f"/jobs/{job_id}/Nobody/attempts").status == 500
    assert get(cromwell, f"/jobs/{NOBODY}/Nobody/attempts").status == 404


def test_attempts_of_a_job_without_calls_are_500_on_cromwell() -> None:
    demo = Demo(now=NOW, like="cromwell", archived=0.0)
    empty = next(
        row["id"]
        for row in rows(demo, status=["Failed"])
        if not detail(demo, row["id"])["extensions"]["tasks"]
    )
    assert get(demo, f"/jobs/{empty}/Any/attempts").status == 500


def test_an_unknown_shard_has_no_attempts_and_minus_one_is_no_scatter(cromwell: Demo) -> None:
    job_id, task = next(
        (job_id, task)
        for job_id, task in tasks_of(cromwell, status=["Succeeded"])
        if "shards" not in task and task["executionStatus"] == "Succeeded"
    )
    name = f"/jobs/{job_id}/{task['name']}"
    assert get(cromwell, f"{name}/99/attempts").json == {"attempts": []}
    assert len(get(cromwell, f"{name}/-1/attempts").json["attempts"]) == task["attempts"]


def test_dsub_answers_500_to_whatever_it_never_had(dsub: Demo) -> None:
    """Attempts, operation details, log tails and label updates."""
    job_id = quote(in_status(dsub, "Succeeded"), safe="")
    for path in ("align/attempts", "align/0/attempts"):
        assert get(dsub, f"/jobs/{job_id}/{path}").status == 500
    assert get(dsub, f"/jobs/operationDetails?job={job_id}&operation=1").status == 500
    assert get(dsub, "/jobs/tailFile?bucket=a&object=b").status == 500
    assert post(dsub, f"/jobs/{job_id}/updateLabels", {"labels": {"a": "b"}}).status == 500


def test_logs_and_operations_are_an_empty_204_without_their_service(cromwell: Demo) -> None:
    for path in ("/jobs/tailFile?bucket=a&object=b", f"/jobs/operationDetails?job={NOBODY}"):
        answer = get(cromwell, path)
        assert (answer.status, answer.raw) == (204, b"")


def test_logs_and_operations_with_their_service() -> None:
    """The id is the job's; `truncated` is a boolean; no operation is 500 (backends habit 25)."""
    demo = server("cromwell", outside_auth=True)
    job_id, task = next(
        (job_id, task)
        for job_id, task in tasks_of(demo, status=["Succeeded"])
        if "backendLog" in task and "operationId" in task
    )
    which = f"job={job_id}&operation={quote(task['operationId'], safe='')}"
    found = get(demo, f"/jobs/operationDetails?{which}").json
    assert found["id"] == job_id
    assert json.loads(found["details"])["name"] == task["operationId"]
    assert get(demo, f"/jobs/operationDetails?job={job_id}").status == 500
    bucket, name = task["backendLog"].removeprefix("gs://").split("/", 1)
    log = get(demo, f"/jobs/tailFile?bucket={bucket}&object={quote(name, safe='')}").json
    assert isinstance(log["truncated"], bool)


def test_cromwell_aborts_with_204_and_never_412() -> None:
    demo = server("cromwell")
    running = in_status(demo, "Running")
    for _ in range(2):
        answer = post(demo, f"/jobs/{running}/abort")
        assert (answer.status, answer.raw) == (204, b"")
    done = in_status(demo, "Succeeded")
    for job_id in (done, NOBODY):
        refused = post(demo, f"/jobs/{job_id}/abort")
        assert refused.status == 404
        assert "no workflow with that ID is in progress" in refused.json["detail"]
    assert post(demo, "/jobs/no-uuid/abort").status == 400


def test_dsub_aborts_with_an_empty_200_or_a_bare_412() -> None:
    demo = server("dsub")
    running = quote(in_status(demo, "Running"), safe="")
    answer = post(demo, f"/jobs/{running}/abort")
    assert (answer.status, answer.raw) == (200, b"")
    assert get(demo, f"/jobs/{running}").json["status"] == "Aborted"
    refused = post(demo, f"/jobs/{running}/abort")
    assert (refused.status, refused.raw) == (412, b"")
    assert "Content-Type" not in refused.headers


def test_cromwell_takes_labels_that_are_text_and_answers_all_of_them() -> None:
    demo = server("cromwell")
    row = query(demo)["results"][0]
    path = f"/jobs/{row['id']}/updateLabels"
    for wrong in (None, 7, "x" * 256):
        assert post(demo, path, {"labels": {"a": wrong}}).status == 400
    answer = post(demo, path, {"labels": {"empty": "", "größe": "klein"}})
    assert answer.json["labels"] == {**row["labels"], "empty": "", "größe": "klein"}
    assert post(demo, "/jobs/no-uuid/updateLabels", {"labels": {}}).status == 500


# Paging.


def test_1_dsub_tokens_know_only_seconds(dsub: Demo) -> None:
    """Pages that break within a second bring jobs again."""
    found = list(pages(dsub, pageSize=256))
    assert all(list(token(page)) == ["cb"] for page in found[:-1])
    ids = [row["id"] for page in found for row in page["results"]]
    assert len(set(ids)) == 600, "a careful client reaches them all"
    small = Counter(row["id"] for row in rows(dsub, pageSize=9))
    assert max(small.values()) > 1


def test_1_dsub_drops_the_rest_of_a_second_now_and_then() -> None:
    demo = Demo(now=NOW, jobs=600, like="dsub", same_second=4)
    assert len({row["id"] for row in rows(demo, pageSize=5)}) < 600
    assert len({row["id"] for row in rows(demo, pageSize=256)}) == 600


def test_1_dsub_returns_the_same_token_for_ever_where_a_second_is_fuller_than_a_page() -> None:
    demo = Demo(now=NOW, jobs=2000, like="dsub", same_second=600)
    first = query(demo, pageSize=256)
    seen = {row["id"] for row in first["results"]}
    body = {"pageSize": 256, "pageToken": first["nextPageToken"]}
    for _ in range(6):
        page = query(demo, **body)
        seen |= {row["id"] for row in page["results"]}
        body["pageToken"] = page["nextPageToken"]
    assert query(demo, **body)["nextPageToken"] == body["pageToken"]
    assert len(seen) < 2000


@pytest.mark.parametrize(("size", "extra"), [(64, True), (100, False), (600, False), (1000, True)])
def test_2_cromwells_last_page_carries_a_token_unless_the_total_is_a_multiple(
    cromwell: Demo, size: int, extra: bool
) -> None:
    """One extra, empty page follows."""
    found = list(pages(cromwell, pageSize=size))
    assert (found[-1]["results"] == []) == extra
    assert "nextPageToken" not in found[-1]
    assert sum(len(page["results"]) for page in found) == 600


def test_3_page_sizes(dsub: Demo) -> None:
    """Cromwell: 64, no cap. dsub: 32, at most 256 without a word, and no total."""
    cromwell = Demo(now=NOW, jobs=1200, like="cromwell")
    assert len(query(cromwell)["results"]) == 64
    assert len(query(cromwell, pageSize=5000)["results"]) == 1200
    assert len(query(dsub)["results"]) == 32
    page = query(dsub, pageSize=5000)
    assert len(page["results"]) == 256
    assert "totalSize" not in page


@pytest.mark.parametrize("like", SHIMS)
def test_4_a_token_that_is_not_its_own_is_500(like: Like) -> None:
    demo = server(like)
    other = {"cromwell": b'{"cb": 1795464012}', "dsub": b'{"of": 64}'}[like]
    for wrong in ("", "nonsense", "bm9uc2Vuc2U=", "é", b64encode(other).decode(), "W10", "NQ"):
        assert post(demo, "/jobs/query", {"pageToken": wrong}).status == 500


def test_5_cromwell_pages_by_offset_so_new_jobs_shift_the_rows() -> None:
    demo = Demo(now=NOW, jobs=2000, like="cromwell")
    first = query(demo, pageSize=50)
    assert token(first) == {"of": 50}
    demo.now = NOW + timedelta(hours=4)
    second = query(demo, pageSize=50, pageToken=first["nextPageToken"])
    both = {row["id"] for row in first["results"]} & {row["id"] for row in second["results"]}
    assert both, "rows that were on the first page come again"


def test_5_cromwells_order_is_nearly_that_of_submission(cromwell: Demo) -> None:
    times = [row["submission"] for row in rows(cromwell, pageSize=600)]
    assert times != sorted(times, reverse=True)
    steps = sum(a < b for a, b in pairwise(times))
    assert steps < len(times) / 5


# Filters.


def test_6_a_labels_filter_is_500_on_cromwell(cromwell: Demo) -> None:
    assert post(cromwell, "/jobs/query", {"labels": {"owner": "ana"}}).status == 500
    assert query(cromwell, labels={})["totalSize"] == 600


def test_6_labels_filters_of_dsub_work(dsub: Demo) -> None:
    found = rows(dsub, labels={"attempt": "2"}, pageSize=256)
    assert found
    assert {row["labels"]["attempt"] for row in found} == {2}


def test_7_cromwell_ignores_projects_and_users(cromwell: Demo) -> None:
    found = query(cromwell, extensions={"projectId": "nobody's", "userId": "nobody"})
    assert found["totalSize"] == 600


def test_7_dsub_ignores_ids_and_the_archive_flag_and_hates_other_users(dsub: Demo) -> None:
    assert len(query(dsub, id="nobody")["results"]) == 32
    assert len(query(dsub, extensions={"hideArchived": True})["results"]) == 32
    assert post(dsub, "/jobs/query", {"extensions": {"userId": "omar"}}).status == 500
    mine = rows(dsub, extensions={"userId": "ana"}, pageSize=256)
    assert {row["extensions"]["userId"] for row in mine} == {"ana"}


@pytest.mark.parametrize("like", SHIMS)
def test_8_null_is_400_and_no_content_type_500(like: Like) -> None:
    demo = server(like)
    assert post(demo, "/jobs/query", {"name": None}).status == 400
    for headers in ({}, {"Content-Type": "text/plain"}):
        assert demo.respond("POST", "/api/v1/jobs/query", headers, b"{}")[0] == 500
    kind = {"content-type": "application/json; charset=utf-8"}
    assert demo.respond("POST", "/api/v1/jobs/query", kind, b"{}")[0] == 200


@pytest.mark.parametrize("like", SHIMS)
def test_9_offsets_of_dates_are_lost_and_a_non_date_is_500(like: Like) -> None:
    demo = server(like)
    utc = rows(demo, submission="2026-11-22T12:00:00Z", pageSize=256)
    shifted = rows(demo, submission="2026-11-22T12:00:00+09:00", pageSize=256)
    assert [row["id"] for row in utc] == [row["id"] for row in shifted]
    assert post(demo, "/jobs/query", {"start": "yesterday"}).status == 500


@pytest.mark.parametrize("like", SHIMS)
def test_10_end_hides_what_still_runs_and_contradictions_are_400(like: Like) -> None:
    demo = server(like)
    ended = rows(demo, end="2027-01-01T00:00:00Z", pageSize=256)
    assert not {row["status"] for row in ended} & {"Running", "Submitted", "OnHold", "Aborting"}
    early, late = "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"
    assert post(demo, "/jobs/query", {"start": late, "end": early}).status == 400
    assert post(demo, "/jobs/query", {"submission": late, "start": early}).status == 400


def test_11_cromwell_refuses_a_dash_in_a_name(cromwell: Demo) -> None:
    assert post(cromwell, "/jobs/query", {"name": "sv-merge"}).status == 400
    assert query(cromwell, name="sv_merge")["totalSize"] > 0


# Auth.


@pytest.mark.parametrize("like", SHIMS)
def test_12_only_the_authentication_header_counts(like: Like) -> None:
    demo = server(like, token="t")  # noqa: S106 - opens nothing
    assert post(demo, "/jobs/query", PROJECT, Authorization="Bearer t").status == 401
    assert post(demo, "/jobs/query", PROJECT, Authentication="Bearer t").status == 200


@pytest.mark.parametrize("like", SHIMS)
def test_13_health_and_capabilities_need_no_token(like: Like) -> None:
    demo = server(like, token="t")  # noqa: S106 - opens nothing
    assert get(demo, "/health").status == get(demo, "/capabilities").status == 200
    assert get(demo, "/capabilities").json["authentication"]["isRequired"] is True


def test_13_local_dsub_refuses_any_token_and_any_project(dsub: Demo) -> None:
    answer = post(dsub, "/jobs/query", {}, Authentication="Bearer any")
    assert answer.status == 400
    assert answer.json["detail"] == "The Local provider does not support the `authToken` field ."
    assert post(dsub, "/jobs/query", PROJECT).status == 400
    assert get(dsub, "/aggregations?timeFrame=DAYS_7&projectId=demo-genomics").status == 400


def test_13_dsub_on_google_wants_a_project() -> None:
    demo = server("dsub", token="t")  # noqa: S106 - opens nothing
    assert post(demo, "/jobs/query", {}, Authentication="Bearer t").status == 400
    row = post(demo, "/jobs/query", PROJECT, Authentication="Bearer t").json["results"][0]
    assert row["id"].startswith("demo-genomics+")
    assert get(demo, "/aggregations?timeFrame=DAYS_7", Authentication="Bearer t").status == 400


@pytest.mark.parametrize("like", SHIMS)
def test_14_no_answer_speaks_of_caches_origins_retries_or_compression(like: Like) -> None:
    demo = server(like)
    hints = {"Origin": "http://localhost", "Accept-Encoding": "gzip", "If-None-Match": "*"}
    for path in ("/health", "/capabilities", "/jobs/no-such-job", "/aggregations"):
        names = {name.lower() for name in get(demo, path, **hints).headers}
        assert names <= {"server", "content-type", "content-length", "connection"}


@pytest.mark.parametrize("like", SHIMS)
def test_15_a_trailing_slash_is_redirected_to_absolute_http(like: Like) -> None:
    answer = get(server(like), "/capabilities/", Host="jobs.example.org")
    assert answer.status == 307
    lower = {name.lower(): value for name, value in answer.headers.items()}
    assert lower["location"] == "http://jobs.example.org/api/v1/capabilities"


# Errors.


@pytest.mark.parametrize("like", SHIMS)
def test_16_errors_are_problems(like: Like) -> None:
    answer = post(server(like), "/jobs/query", {"name": None})
    kind = {name.lower(): value for name, value in answer.headers.items()}["content-type"]
    assert kind == "application/problem+json"
    assert answer.json.keys() == {"type", "title", "detail", "status"}


def test_16_each_server_writes_in_its_own_style(cromwell: Demo, dsub: Demo) -> None:
    """One line and lower case, or indented and sorted in title case."""
    one, other = get(cromwell, "/health"), get(dsub, "/health")
    assert one.raw == b'{"available": true}'
    assert one.headers["server"] == "uvicorn"
    assert other.raw == b'{\n  "available": true\n}\n'
    assert other.headers["Server"].startswith("gunicorn")
    fields = get(dsub, "/capabilities").json["displayFields"][0]
    assert list(fields) == sorted(fields)


@pytest.mark.parametrize("like", SHIMS)
def test_16_a_body_that_is_no_json_is_a_problem_too(like: Like) -> None:
    kind = {"Content-Type": "application/json"}
    assert server(like).respond("POST", "/api/v1/jobs/query", kind, b"{")[0] == 400


@pytest.mark.parametrize("like", SHIMS)
def test_17_the_same_500_is_for_outages_and_for_mistakes(like: Like) -> None:
    detail = post(server(like), "/jobs/query", {"pageToken": ""}).json["detail"]
    assert "Either the server is overloaded or there is an error" in detail


def test_18_a_refused_token_is_explained_by_an_objects_name() -> None:
    demo = server("cromwell", token="t")  # noqa: S106 - opens nothing
    answer = post(demo, "/jobs/query", {}, Authentication="Bearer wrong")
    assert (answer.status, answer.json["detail"]) == (401, "<Response [401]>")


def test_19_archived_jobs_stay_in_the_list_and_are_500_in_detail() -> None:
    """About one in 200 by default; as many as a test wants."""
    demo = server("cromwell")
    gone = [
        row for row in rows(demo, pageSize=2000) if get(demo, f"/jobs/{row['id']}").status == 500
    ]
    assert 1 <= len(gone) <= 9
    for row in gone:
        assert row["status"] in ("Succeeded", "Failed", "Aborted")
        assert get(demo, f"/jobs/{row['id']}/Any/attempts").status == 500


def test_19_metadata_of_more_rows_than_are_allowed_is_500() -> None:
    """The row stays in the list, and so do smaller jobs; a million rows are allowed by default."""
    demo = server("cromwell", archived=0.0, most_rows=600)
    statuses = {
        row["id"]: get(demo, f"/jobs/{row['id']}").status for row in rows(demo, pageSize=1000)
    }
    large = [job_id for job_id, status in statuses.items() if status == 500]
    assert 0 < len(large) < len(statuses)
    assert set(statuses.values()) == {200, 500}
    assert get(demo, f"/jobs/{large[0]}/Any/attempts").status == 500
    whole = server("cromwell", archived=0.0)
    assert get(whole, f"/jobs/{large[0]}").status == 200


def test_19_a_failure_without_a_cause_makes_the_shim_stumble() -> None:
    """A workflow that was refused as a whole, in the table of endpoints; others are shown."""
    demo = server("cromwell", archived=0.0, bare_failures=1.0)
    known = server("cromwell", archived=0.0)
    bare = 0
    for row in rows(demo, status=["Failed"], pageSize=1000):
        told = detail(known, row["id"])["failures"]
        refused = any("input processing failed" in failure["failure"] for failure in told)
        assert get(demo, f"/jobs/{row['id']}").status == (500 if refused else 200)
        bare += refused
    assert bare > 0


def _logs(demo: Demo) -> list[tuple[int, Any]]:
    found = []
    for row in rows(demo, status=["Failed"], pageSize=1000):
        answer = get(demo, f"/jobs/{row['id']}")
        for failure in answer.json["failures"] if answer.status == 200 else ():
            bucket, _, name = failure.get("backendLog", "").removeprefix("gs://").partition("/")
            if name:
                which = f"bucket={bucket}&object={quote(name, safe='')}"
                log = get(demo, f"/jobs/tailFile?{which}")
                found.append((log.status, log.json.get("contents")))
    return found


def test_logs_that_are_empty_or_no_utf_8_are_500_on_cromwell() -> None:
    """By the definition they are answers: one without text, one with what could not be decoded."""
    told = _logs(server("cromwell", archived=0.0, outside_auth=True, odd_logs=0.5))
    assert {status for status, _ in told} == {200, 500}
    told = _logs(server("spec", odd_logs=1.0))
    assert {status for status, _ in told} == {200}
    assert {contents == "" for _, contents in told} == {True, False}
    assert all("\N{REPLACEMENT CHARACTER}" in contents for _, contents in told if contents)
    assert {status for status, _ in _logs(server("spec"))} == {200}


def test_answers_take_as_long_as_they_are_large() -> None:
    """A page of 600 rows takes longer than health; without `slow` nothing waits."""

    def seconds(demo: Demo, **body: Any) -> float:
        began = time.monotonic()
        query(demo, **body)
        return time.monotonic() - began

    slow, quick = server("cromwell", slow=3.0), server("cromwell")
    large, small = seconds(slow, pageSize=600), seconds(slow, pageSize=1)
    assert small >= 0.015
    assert large > 0.2
    assert seconds(quick, pageSize=1) < 0.015 or seconds(quick, pageSize=1) < small


def test_19_dsub_can_lose_details_too() -> None:
    demo = server("dsub", archived=1.0)
    done = quote(in_status(demo, "Succeeded"), safe="")
    assert get(demo, f"/jobs/{done}").status == 500


def test_20_optional_endpoints_say_so_in_many_ways(cromwell: Demo, dsub: Demo) -> None:
    """204, 405, 500 and 501, all of which mean "not offered"."""
    assert get(cromwell, "/jobs/tailFile?bucket=a&object=b").status == 204
    assert get(cromwell, "/aggregations?timeFrame=DAYS_7").status == 501
    assert get(dsub, "/jobs/tailFile?bucket=a&object=b").status == 500
    assert post(cromwell, "/aggregations", {}).status == 405


# Dates.


@pytest.mark.parametrize("like", SHIMS)
def test_21_dates_have_an_offset_and_never_a_z(like: Like) -> None:
    for row in rows(server(like), pageSize=256):
        for key in ("submission", "start", "end"):
            if key in row:
                assert row[key].endswith("+00:00")
                assert when(row[key]).tzinfo is not None


def test_22_cromwell_invents_the_start_of_jobs_that_have_not_started() -> None:
    """Its own process start, another one in each worker: the same call answers differently."""
    demo = Demo(now=NOW, jobs=2000, like="cromwell")
    starts = [query(demo, status=["OnHold"])["results"][0]["start"] for _ in range(8)]
    assert len(set(starts)) > 1
    row = query(demo, status=["OnHold"])["results"][0]
    assert when(row["start"]) > when(row["submission"])
    assert "start" not in detail(demo, row["id"])


def test_22_cromwell_invents_the_start_of_shards_and_the_end_of_running_attempts() -> None:
    """An invented end can lie before its start."""
    ends_early = waiting = 0
    for hours in range(0, 12, 1):
        demo = Demo(now=NOW - timedelta(hours=hours), like="cromwell", archived=0.0)
        for job_id, task in tasks_of(demo, status=["Running"]):
            waiting += sum(
                shard["executionStatus"] == "Submitted" and "start" in shard
                for shard in task.get("shards", ())
            )
            if task["executionStatus"] == "Running":
                found = get(demo, f"/jobs/{job_id}/{task['name']}/attempts").json["attempts"]
                assert all("start" in one and "end" in one for one in found)
                ends_early += sum(when(one["end"]) < when(one["start"]) for one in found)
    assert ends_early
    assert waiting


def test_23_dsub_cuts_the_lists_submission_to_seconds(dsub: Demo) -> None:
    row = query(dsub)["results"][0]
    job = detail(dsub, row["id"])
    assert when(row["submission"]).microsecond == 0
    assert when(job["submission"]).microsecond != 0
    assert when(row["submission"]) == when(job["submission"]).replace(microsecond=0)


def test_23_cromwells_sub_workflows_are_submitted_when_they_start() -> None:
    demo = Demo(now=NOW, like="cromwell", archived=0.0)
    nested = detail(
        demo, query(demo, name="cohort_panel", status=["Succeeded"])["results"][0]["id"]
    )
    child = detail(demo, nested["extensions"]["tasks"][1]["shards"][0]["jobId"])
    assert child["submission"] == child["start"]
    assert "labels" not in child


# Values.


@pytest.mark.parametrize("like", SHIMS)
def test_24_absent_keys_are_absent_and_never_null(like: Like) -> None:
    demo = server(like)
    for row in rows(demo, pageSize=256)[:100]:
        answer = get(demo, f"/jobs/{quote(row['id'], safe='')}")
        if answer.status == 200:
            assert None not in answer.json.values()
            assert None not in answer.json["extensions"].values()


def test_25_failures_are_empty_on_cromwell_and_absent_on_dsub(cromwell: Demo, dsub: Demo) -> None:
    assert detail(cromwell, in_status(cromwell, "Succeeded"))["failures"] == []
    assert "failures" not in detail(dsub, in_status(dsub, "Succeeded"))
    assert detail(dsub, in_status(dsub, "Failed"))["failures"][0]["failure"]


def test_25_dsub_labels_and_aggregations_hold_integers(dsub: Demo) -> None:
    retried = [row for row in rows(dsub, pageSize=256) if "attempt" in row["labels"]]
    assert {type(row["labels"]["attempt"]) for row in retried} == {int}
    found = get(dsub, "/aggregations?timeFrame=ALL_TIME").json["aggregations"]
    attempts = next(a for a in found if a["key"] == "attempt")
    assert {entry["label"] for entry in attempts["entries"]} <= {1, 2, 3}


def test_25_a_refused_workflow_has_no_name_on_cromwell() -> None:
    demo = Demo(now=NOW, jobs=2000, like="cromwell", archived=0.0)
    unnamed = [row for row in rows(demo, pageSize=2000) if "name" not in row]
    assert unnamed
    assert all("name" not in detail(demo, row["id"]) for row in unnamed)


def test_26_cromwell_ids_are_taken_in_any_case_and_echoed(cromwell: Demo) -> None:
    job_id = in_status(cromwell, "Succeeded").upper()
    assert detail(cromwell, job_id)["id"] == job_id


def test_26_dsub_ids_are_project_job_task_attempt(dsub: Demo) -> None:
    for row in rows(dsub, pageSize=256):
        project, job, task, attempt = row["id"].split("+")
        assert project == ""
        assert job == row["labels"]["job-id"]
        assert task == str(row["labels"].get("task-id", ""))
        assert attempt == str(row["labels"].get("attempt", ""))
        name, user, _ = job.split("--")
        assert row["name"].replace("_", "-").startswith(name)
        assert user == row["extensions"]["userId"]


def test_26_a_dsub_id_that_fits_several_jobs_is_400(dsub: Demo) -> None:
    row = next(row for row in rows(dsub, pageSize=256) if row["labels"].get("attempt") == 2)
    answer = get(dsub, f"/jobs/{quote('+' + row['labels']['job-id'] + '++', safe='')}")
    assert answer.status == 400
    assert "Found more than one job" in answer.json["detail"]


def test_27_label_updates_show_late_in_cromwells_list() -> None:
    demo = server("cromwell")
    job_id = query(demo)["results"][0]["id"]
    post(demo, f"/jobs/{job_id}/updateLabels", {"labels": {"flag": "archive"}})
    assert detail(demo, job_id)["labels"]["flag"] == "archive"
    listed = [query(demo, id=job_id)["results"][0]["labels"].get("flag") for _ in range(2)]
    assert listed[1] == "archive"
    assert listed[0] != "archive"


def test_28_places_and_operations_have_several_forms(cromwell: Demo) -> None:
    parts = [
        part
        for _, task in tasks_of(cromwell)
        for part in (task, *task.get("shards", ()))
        if "callRoot" in part
    ]
    assert {part["callRoot"][:3] for part in parts} == {"gs:", "/sr"}
    assert any("backendLog" not in part for part in parts)


# Tasks, shards, attempts.


def test_29_a_scattered_tasks_attempts_are_its_shards(cromwell: Demo) -> None:
    """It is never call-cached, and has nothing else of its own; shards have no inputs."""
    for _, task in tasks_of(cromwell):
        if "shards" in task:
            assert task["attempts"] == len(task["shards"])
            assert task["callCached"] is False
            assert not task.keys() & {"inputs", "outputs", "returnCode", "backendLog"}
            assert "failureMessages" not in task
            for shard in task["shards"]:
                assert not shard.keys() & {"inputs", "outputs", "callCached"}


def test_30_a_task_shows_its_latest_attempt_and_its_events_show_all(cromwell: Demo) -> None:
    """Unsorted."""
    unsorted = retried = 0
    for _, task in tasks_of(cromwell, status=["Succeeded"]):
        events = task["executionEvents"]
        starts = [event["start"] for event in events]
        unsorted += starts != sorted(starts)
        if "shards" not in task and task["attempts"] > 1:
            retried += 1
            numbers = {event["attemptNumber"] for event in events}
            assert numbers == set(range(1, task["attempts"] + 1))
            assert {event["shardIndex"] for event in events} == {-1}
            assert task["start"] > min(starts)
    assert unsorted
    assert retried


def test_31_attempts_of_a_scatter_come_flattened_without_a_shard(cromwell: Demo) -> None:
    for job_id, task in tasks_of(cromwell, status=["Succeeded"]):
        if "callRoot" in task and any(s["attempts"] > 1 for s in task.get("shards", ())):
            found = get(cromwell, f"/jobs/{job_id}/{task['name']}/attempts").json["attempts"]
            assert len(found) == sum(shard["attempts"] for shard in task["shards"])
            assert all("shardIndex" not in attempt for attempt in found)
            assert all("/shard-" in attempt["callRoot"] for attempt in found)
            firsts = [attempt["attemptNumber"] for attempt in found].count(1)
            assert firsts == len(task["shards"])
            return
    pytest.fail("no scatter had a retried shard")


def test_32_task_names_match_by_their_end_and_attempts_keep_the_prefix(cromwell: Demo) -> None:
    job_id, task = next(
        (job_id, task)
        for job_id, task in tasks_of(cromwell, status=["Succeeded"])
        if task["name"] == "MarkDuplicates"
    )
    whole = get(cromwell, f"/jobs/{job_id}/MarkDuplicates/attempts").json
    assert get(cromwell, f"/jobs/{job_id}/Duplicates/attempts").json == whole
    assert all(key.startswith("germline_joint_calling.") for key in whole["attempts"][0]["inputs"])
    assert task["shards"]


def test_33_failures_leave_preemptions_out_and_workflow_errors_are_nested() -> None:
    demo = Demo(now=NOW, like="cromwell", archived=0.0)
    texts = []
    for row in rows(demo, status=["Failed"], pageSize=2000):
        for failure in detail(demo, row["id"])["failures"]:
            texts.append(failure["failure"])
            if failure["taskName"] == "Workflow Error":
                assert "(Caused by [reason 1 of 2]:" in failure["failure"]
                assert "shardIndex" not in failure
            else:
                assert isinstance(failure["shardIndex"], int)
    assert not any("preempted" in text and "no more are allowed" not in text for text in texts)


def test_34_statuses_that_no_enum_names_and_tasks_that_were_passed_over() -> None:
    """A Succeeded job can hold Submitted tasks, with an end; and words of the engine's own."""
    words: set[str] = set()
    passed_over = 0
    for hours in range(0, 14 * 24, 16):
        demo = Demo(now=NOW - timedelta(hours=hours), like="cromwell", archived=0.0)
        for _, task in tasks_of(demo, status=["Running"]):
            words |= {shard["executionStatus"] for shard in task.get("shards", ())}
        for row in query(demo, status=["Succeeded"], pageSize=60)["results"]:
            for task in detail(demo, row["id"])["extensions"]["tasks"]:
                if task["executionStatus"] == "Submitted":
                    passed_over += 1
                    assert "end" in task
    assert passed_over
    assert words - {"Submitted", "Running", "Aborting", "Failed", "Succeeded", "Aborted"}


def test_35_sub_workflows_are_not_listed_and_name_their_parents() -> None:
    demo = Demo(now=NOW, like="cromwell", archived=0.0)
    parent = query(demo, name="cohort_panel", status=["Succeeded"])["results"][0]["id"]
    child = detail(demo, parent)["extensions"]["tasks"][1]["shards"][0]["jobId"]
    assert detail(demo, child)["extensions"]["parentJobId"] == parent
    assert query(demo, id=child)["results"] == []


def test_36_dsub_has_no_tasks_and_attempts_are_jobs_that_share_a_label(dsub: Demo) -> None:
    groups: dict[str, list[Any]] = {}
    for row in {row["id"]: row for row in rows(dsub, pageSize=256)}.values():
        groups.setdefault(row["labels"]["job-id"], []).append(row)
    arrays = [g for g in groups.values() if len(g) > 3 and "task-id" in g[0]["labels"]]
    assert any("attempt" in group[0]["labels"] for group in arrays)
    assert any("attempt" not in group[0]["labels"] for group in arrays)
    tasks: dict[tuple[str, Any], list[Any]] = {}
    for row in (row for group in groups.values() for row in group if "attempt" in row["labels"]):
        labels = row["labels"]
        tasks.setdefault((labels["job-id"], labels.get("task-id")), []).append(row)
    retried = [group for group in tasks.values() if len(group) > 1]
    assert {"task-id" in group[0]["labels"] for group in retried} == {True, False}
    for group in retried:
        group.sort(key=lambda row: row["labels"]["attempt"])
        for one, following in pairwise(group):
            assert one["status"] == "Failed"
            assert when(one["end"]) <= when(detail(dsub, following["id"])["submission"])


def test_36_dsub_rows_hold_nearly_everything(dsub: Demo) -> None:
    row = query(dsub, status=["Failed"])["results"][0]
    assert row["extensions"].keys() == {
        "events", "envs", "sourceFile", "logs", "statusDetail", "userId", "lastUpdate",
    }  # fmt: skip
    assert row["extensions"]["events"][-1]["content"] == "fail"
    assert row["extensions"]["statusDetail"].endswith("(check stderr).")
    job = detail(dsub, row["id"])
    assert job["extensions"] == row["extensions"]
    assert "tasks" not in job["extensions"]
