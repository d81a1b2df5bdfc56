"""Reading jobs: details, sub-workflows, attempts, logs, operations, and what fails of them."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from jmreport.client import Client
from jmreport.collectors import aggregations, capabilities
from jmreport.collectors.crawl import Crawl, Wanted
from jmreport.models import TIME_FRAMES, CapabilitiesResponse
from jmreport.records import Record
from jmreport.settings import Api, Collect

JSON = {"Content-Type": "application/json"}


class Server:
    """A Job Manager of scripted answers by path; whatever has none is 404."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def respond(
        self, _method: str, target: str, _headers: Mapping[str, str], _body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(target)
        path = unquote(parts.path).removeprefix("/api/v1")
        query = parse_qs(parts.query)
        path += "".join(f" {name}={value}" for name, (value, *_) in sorted(query.items()))
        self.asked.append(path)
        answer = self.answers.get(path, 404)
        if isinstance(answer, int):
            return answer, {"Content-Type": "text/plain"}, b""
        return 200, JSON, json.dumps(answer).encode()

    def client(self) -> Client:
        return Client(Api(url="http://test.invalid/api/v1", tries=1), respond=self.respond)


def job(name: str, *, tasks: Any = (), status: str = "Succeeded", **more: Any) -> dict[str, Any]:
    detail = {"id": name, "status": status, "submission": "2026-11-23T00:00:00+00:00"}
    return detail | {"extensions": {"tasks": list(tasks)}} | more


def crawl(
    server: Server,
    *jobs: str,
    known: Any = lambda *_: None,
    limits: Collect | None = None,
) -> tuple[dict[str, Record], Crawl]:
    found = Crawl(
        server.client(),
        known=known,
        seen=lambda _: None,
        concurrency=2,
        limits=limits or Collect(),
    )
    wanted = [Wanted(id=name, root=name) for name in jobs]
    return {record.id: record for record in found.records(wanted)}, found


def test_sub_workflows_are_read_through_tasks_and_shards_to_any_depth() -> None:
    """No list names them: they are found through jobId, and each names its parent."""
    server = Server(
        {
            "/jobs/top": job("top", tasks=[{"name": "t", "jobId": "a"}]),
            "/jobs/a": job("a", tasks=[{"name": "t", "shards": [{"jobId": "b"}, {"jobId": "c"}]}]),
            "/jobs/b": job("b"),
            "/jobs/c": job("c"),
        }
    )
    records, found = crawl(server, "top")
    assert {name: record.parent for name, record in records.items()} == {
        "top": None,
        "a": "top",
        "b": "a",
        "c": "a",
    }
    assert found.sub_workflows == 3


def test_a_job_that_names_itself_or_its_parent_ends() -> None:
    """Cycles are met once."""
    server = Server(
        {
            "/jobs/a": job("a", tasks=[{"name": "t", "jobId": "b"}]),
            "/jobs/b": job("b", tasks=[{"name": "t", "jobId": "a"}, {"name": "u", "jobId": "b"}]),
        }
    )
    records, _ = crawl(server, "a")
    assert sorted(records) == ["a", "b"]
    assert sorted(server.asked) == ["/jobs/a", "/jobs/b"]


def test_depth_and_number_are_limited_and_what_is_left_out_is_said() -> None:
    """The gap names the setting that is the limit."""
    chain = {
        f"/jobs/{n}": job(f"{n}", tasks=[{"name": "t", "jobId": f"{n + 1}"}]) for n in range(9)
    }
    records, found = crawl(Server(chain), "0", limits=Collect(max_depth=3))
    assert sorted(records) == ["0", "1", "2", "3"]
    assert "max_depth" in found.gaps[0].why
    wide = {
        "/jobs/w": job("w", tasks=[{"name": "t", "shards": [{"jobId": f"s{n}"} for n in range(9)]}])
    }
    records, found = crawl(Server(wide), "w", limits=Collect(max_sub_workflows=4))
    assert len(records) == 5
    assert found.gaps[0].what == "5 sub-workflows"
    assert "max_sub_workflows" in found.gaps[0].why


def test_a_job_that_cannot_be_read_is_a_record_with_a_reason_and_the_rest_goes_on() -> None:
    """The Cromwell shim lists archived workflows and answers 500 for their detail."""
    records, _ = crawl(Server({"/jobs/b": job("b")}), "a", "b")
    assert records["a"].detail is None
    assert records["a"].gaps[0].what == "job"
    assert "404" in records["a"].gaps[0].why
    assert records["b"].detail is not None


def test_a_body_that_does_not_fit_the_api_is_kept_and_says_where() -> None:
    """It stays raw, its page shows it, and the job counts as unknown."""
    detail = job("a", failures=[{"failure": "x", "shardIndex": "seven"}])
    records, _ = crawl(Server({"/jobs/a": detail}), "a")
    assert records["a"].detail == detail
    assert "$.failures[0].shardIndex" in records["a"].gaps[0].why


def test_an_answer_about_another_job_is_not_shown_as_this_ones() -> None:
    """A proxy may mix answers up; the case of an id says nothing."""
    server = Server({"/jobs/a": job("b", status="Failed"), "/jobs/C": job("c")})
    records, _ = crawl(server, "a", "C")
    assert records["a"].detail is None
    assert records["a"].gaps[0].why == "the answer is about another job"
    assert server.asked == ["/jobs/a", "/jobs/C"]
    assert records["C"].gaps == ()


def test_a_known_finished_job_is_not_asked_for_and_its_unknown_children_are() -> None:
    """A run that was killed may have stored a job and not yet its sub-workflows."""
    server = Server({"/jobs/child": job("child")})
    records, found = crawl(server, "known", known=lambda j, _: ("child",) if j == "known" else None)
    assert server.asked == ["/jobs/child"]
    assert records["child"].parent == "known"
    assert found.unchanged == 1


def test_attempts_are_asked_once_a_task_and_only_where_there_was_a_retry() -> None:
    """A scattered task's `attempts` counts its shards, so only its shards' attempts tell."""
    tasks = [
        {"name": "once", "attempts": 1},
        {"name": "twice", "attempts": 2},
        {
            "name": "scattered",
            "attempts": 3,
            "shards": [{"shardIndex": n, "attempts": 1} for n in range(3)],
        },
        {"name": "retried", "attempts": 2, "shards": [{"attempts": 1}, {"attempts": 2}]},
        {"name": "inline", "attempts": 2, "attemptsData": [{"attemptNumber": 1}]},
    ]
    server = Server(
        {
            "/jobs/a": job("a", tasks=tasks),
            "/jobs/a/twice/attempts": {"attempts": [{"attemptNumber": 1}]},
            "/jobs/a/retried/attempts": {"attempts": []},
        }
    )
    records, _ = crawl(server, "a")
    assert set(records["a"].attempts) == {"twice", "retried"}
    assert server.asked == ["/jobs/a", "/jobs/a/twice/attempts", "/jobs/a/retried/attempts"]


def test_a_failed_job_brings_the_ends_of_its_logs_and_its_operations() -> None:
    """Failures first, gs:// only, each once, and no more than the settings say."""
    failures = [
        {"failure": "x", "backendLog": f"gs://bucket/log-{n}.txt", "operationId": f"op/{n}"}
        for n in (1, 1, 2, 3)
    ]
    detail = job("a", status="Failed", failures=failures)
    detail["extensions"]["logs"] = {"stdout": "/local/path", "stderr": "gs://bucket/stderr"}
    tail = {"contents": "the end", "truncated": False}
    server = Server(
        {
            "/jobs/a": detail,
            "/jobs/tailFile bucket=bucket object=log-1.txt": tail,
            "/jobs/tailFile bucket=bucket object=log-2.txt": tail,
            "/jobs/operationDetails job=a operation=op/1": {"id": "a", "details": "{}"},
        }
    )
    records, _ = crawl(server, "a", limits=Collect(log_tails=3, operation_details=1))
    assert set(records["a"].logs) == {"gs://bucket/log-1.txt", "gs://bucket/log-2.txt"}
    assert set(records["a"].operations) == {"op/1"}
    assert [gap.what for gap in records["a"].gaps] == ["log gs://bucket/log-3.txt"]


def test_a_job_that_succeeded_asks_for_no_logs() -> None:
    """Its logs are linked; nobody needs their ends at 7:00."""
    detail = job("a", tasks=[{"name": "t", "backendLog": "gs://b/l", "operationId": "o"}])
    server = Server({"/jobs/a": detail})
    crawl(server, "a")
    assert server.asked == ["/jobs/a"]


def test_what_is_not_offered_is_no_gap_and_is_asked_for_once() -> None:
    """The Cromwell shim without its auth service answers 204 to both."""
    detail = {"failures": [{"failure": "x", "backendLog": "gs://b/l", "operationId": "o"}]}
    answers: dict[str, Any] = {f"/jobs/{n}": job(n, status="Failed", **detail) for n in "ab"}
    answers["/jobs/tailFile bucket=b object=l"] = 204
    for n in "ab":
        answers[f"/jobs/operationDetails job={n} operation=o"] = 501
    server = Server(answers)
    client = server.client()
    for name in "ab":
        found = Crawl(
            client,
            known=lambda *_: None,
            seen=lambda _: None,
            concurrency=1,
            limits=Collect(),
        )
        assert [r.gaps for r in found.records([Wanted(id=name, root=name)])] == [()]
    assert len(server.asked) == 4
    assert {o.name for o in client.operations if o.offer == "not offered"} == {
        "TailFileContents",
        "GetOperationDetails",
    }


def test_aggregations_are_asked_for_every_frame_where_none_is_named() -> None:
    """dsub answers though its capabilities name no frame; those that are named limit the asking."""
    answers: dict[str, Any] = {
        f"/aggregations timeFrame={frame}": {"aggregations": []} for frame in TIME_FRAMES
    }
    server = Server(answers)
    bodies, gaps = aggregations.read(server.client(), CapabilitiesResponse(), project_id=None)
    assert tuple(bodies) == TIME_FRAMES
    assert gaps == ()
    one = CapabilitiesResponse(aggregation_time_frames=("DAYS_7",))
    bodies, _ = aggregations.read(server.client(), one, project_id=None)
    assert tuple(bodies) == ("DAYS_7",)


def test_aggregations_that_are_not_offered_are_no_gap() -> None:
    """The Cromwell shim answers 501; a server whose every answer is 500 doesn't offer them."""
    for status in (501, 500, 404):
        server = Server({f"/aggregations timeFrame={frame}": status for frame in TIME_FRAMES})
        bodies, gaps = aggregations.read(server.client(), CapabilitiesResponse(), project_id=None)
        assert (bodies, gaps) == ({}, ())


def test_one_frame_that_cannot_be_read_is_a_gap_by_its_name() -> None:
    """The others stay."""
    answers: dict[str, Any] = {
        f"/aggregations timeFrame={frame}": {"aggregations": []} for frame in TIME_FRAMES
    }
    answers["/aggregations timeFrame=DAYS_30"] = 500
    bodies, gaps = aggregations.read(
        Server(answers).client(), CapabilitiesResponse(), project_id=None
    )
    assert len(bodies) == 5
    assert [gap.what for gap in gaps] == ["aggregation DAYS_30"]


def test_capabilities_that_do_not_fit_keep_what_fits() -> None:
    """One wrong property is named, and hides no other."""
    tree = {"displayFields": [{"field": 1}], "commonLabels": ["owner"]}
    server = Server({"/capabilities": tree, "/health": {"available": True}})
    read = capabilities.read(server.client())
    assert read.view.common_labels == ("owner",)
    assert "displayFields[0]" in read.gaps[0].why
    assert read.health == "available"
