"""The built-in server keeps to the API's definition, as read by somebody else: Prism."""

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import prism as prism_proxy
import pytest
from conftest import lacking

from jmreport.collectors.demo import Demo, serve

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
TOKEN = "let-me-in"  # noqa: S105 - opens nothing


def everything(row: dict[str, Any]) -> dict[str, Any]:
    """A question with every filter set, to which a row of the list is an answer."""
    return {
        "submission": "2026-11-16T02:14:00Z",
        "start": "2026-11-16T02:14:00Z",
        "end": "2026-11-23T02:14:00Z",
        "status": ["Succeeded", "Failed"],
        "labels": row["labels"],
        "id": row["id"],
        "name": row["name"],
        "pageSize": 7,
        "extensions": {
            "projectId": row["labels"]["project"],
            "userId": row["extensions"]["userId"],
            "hideArchived": True,
        },
    }


class Answer(NamedTuple):
    status: int
    body: Any
    violations: list[str]


class Asker:
    """Asks through the judge, and never lets a violation pass."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url)
        self.asked: set[str] = set()

    def __call__(self, method: str, path: str, body: Any = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.address.port or 0, timeout=30)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            raw = json.dumps(body) if body is not None else None
            connection.request(method, path, raw, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        found = prism_proxy.violations(dict(answer.getheaders()), content)
        return Answer(answer.status, json.loads(content) if content else None, found)

    def good(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        answer = self(method, path, body)
        assert answer.violations == []
        assert answer.status == status
        return answer.body


@pytest.fixture(scope="module")
def definition() -> Path:
    found = prism_proxy.definition(Path(__file__).parent.parent)
    return found or lacking("the API's definition", "put it in ../shared/spec/jobs.prism.yaml")


@pytest.fixture(scope="module")
def ask(prism: str, definition: Path) -> Iterator[Asker]:
    demo = Demo(now=NOW, jobs=300, token=TOKEN)
    with (
        serve(demo, port=0) as server,
        prism_proxy.judge(prism, definition, upstream=server.url) as url,
    ):
        yield Asker(url)


def test_what_the_server_is_and_whether_it_is_well(ask: Asker) -> None:
    assert ask.good("GET", "/health") == {"available": True}
    assert ask.good("GET", "/capabilities")["authentication"]["isRequired"] is True


def test_lists_with_every_filter_and_over_every_page(ask: Asker) -> None:
    week: dict[str, Any] = {"status": ["Succeeded"], "submission": "2026-11-17T00:00:00Z"}
    week["extensions"] = {"hideArchived": True}
    row = ask.good("POST", "/jobs/query", week)["results"][0]
    assert ask.good("POST", "/jobs/query", everything(row))["results"] == [row]
    ids, token = [], None
    while True:
        page = {"pageSize": 64} | ({"pageToken": token} if token else {})
        answer = ask.good("POST", "/jobs/query", page)
        ids += [row["id"] for row in answer["results"]]
        token = answer.get("nextPageToken")
        if token is None:
            break
    assert len(set(ids)) == 300


def test_a_job_of_every_kind_with_its_attempts_logs_and_operations(ask: Asker) -> None:
    """A job of each workflow in each status; failed, scattered, retried and nested tasks."""
    rows = ask.good("POST", "/jobs/query", {"pageSize": 300})["results"]
    kinds = {(row["name"], row["status"]): row for row in rows}
    seen = set()
    for row in kinds.values():
        detail = ask.good("GET", f"/jobs/{row['id']}")
        for task in detail["extensions"]["tasks"]:
            name = f"/jobs/{row['id']}/{quote(task['name'], safe='')}"
            if task["name"] not in seen:
                seen.add(task["name"])
                assert ask.good("GET", f"{name}/attempts")["attempts"]
                index = task["shards"][0]["shardIndex"] if "shards" in task else -1
                assert ask.good("GET", f"{name}/{index}/attempts")["attempts"]
            child = next((s["jobId"] for s in task.get("shards", ()) if "jobId" in s), None)
            if child is not None:
                parent = ask.good("GET", f"/jobs/{child}")["extensions"]["parentJobId"]
                assert parent == row["id"]
        for failure in detail["failures"]:
            if "backendLog" in failure:
                bucket, name = failure["backendLog"].removeprefix("gs://").split("/", 1)
                where = urlencode({"bucket": bucket, "object": name})
                log = ask.good("GET", f"/jobs/tailFile?{where}")
                assert log["truncated"] in ("true", "false")
                which = urlencode({"job": row["id"], "operation": failure["operationId"]})
                details = ask.good("GET", f"/jobs/operationDetails?{which}")["details"]
                assert json.loads(details)["done"] is True
    assert len({status for _, status in kinds}) >= 5


@pytest.mark.parametrize(
    "frame", ["HOURS_1", "HOURS_8", "HOURS_24", "DAYS_7", "DAYS_30", "ALL_TIME"]
)
def test_aggregations_for_every_time_frame(ask: Asker, frame: str) -> None:
    assert "summary" in ask.good("GET", f"/aggregations?timeFrame={frame}")


def test_aborts_and_labels(ask: Asker) -> None:
    running = ask.good("POST", "/jobs/query", {"status": ["Running"]})["results"][0]["id"]
    done = ask.good("POST", "/jobs/query", {"status": ["Succeeded"]})["results"][0]["id"]
    assert ask.good("POST", f"/jobs/{running}/abort") is None
    assert ask.good("GET", f"/jobs/{running}")["status"] == "Aborting"
    ask.good("POST", f"/jobs/{done}/abort", status=412)
    labels = {"labels": {"flag": "archive", "ключ": "значение"}}
    answer = ask.good("POST", f"/jobs/{done}/updateLabels", labels)
    assert answer["labels"] | labels["labels"] == answer["labels"]


def test_refusals_are_those_of_the_definition(ask: Asker) -> None:
    missing = "/jobs/11111111-1111-4111-8111-111111111111"
    ask.good("GET", missing, status=404)
    ask.good("GET", f"{missing}/Task/attempts", status=404)
    ask.good("POST", f"{missing}/abort", status=404)
    ask.good("POST", "/jobs/query", {"pageToken": "no such token"}, status=400)


def test_the_judge_would_have_noticed(prism: str, definition: Path) -> None:
    """A server that says `truncated: false` instead of `"false"` is caught, so is one with a job
    that has no status."""

    class Wrong:
        def respond(self, *_: object) -> tuple[int, dict[str, str], bytes]:
            body = b'{"contents": "", "truncated": false, "results": [{"id": "a"}]}'
            return 200, {"Content-Type": "application/json"}, body

    with (
        serve(Wrong(), port=0) as server,
        prism_proxy.judge(prism, definition, upstream=server.url) as url,
    ):
        ask = Asker(url)
        assert ask("GET", "/jobs/tailFile?bucket=a&object=b").violations
        assert ask("POST", "/jobs/query", {}).violations
        assert ask("POST", "/jobs/query", {"status": "Running"}).violations, "the client's fault"
