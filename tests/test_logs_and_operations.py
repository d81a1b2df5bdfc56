"""What is read to say why a job failed: the ends of logs and operations, in which order, and how
much; and what is said where there is none."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmreport.cli import main
from jmreport.client import Client
from jmreport.collectors import logs, metadata
from jmreport.collectors.doubts import MOST_HELD, Settling
from jmreport.gaps import Gap
from jmreport.records import Record
from jmreport.settings import Api, Collect, Redact
from jmreport.snapshots import Redaction

JSON = {"Content-Type": "application/json"}
TAIL = {"contents": "the end\n", "truncated": False}


class Server:
    """Every job, log and operation there is; `refuse` maps an object's name to a status."""

    def __init__(self, *, jobs: Mapping[str, Any] | None = None, **refuse: Any) -> None:
        self.jobs = jobs or {}
        self.refuse: dict[str, int] = refuse.get("refuse", {})
        self.always: int | None = refuse.get("always")
        self.tail: Any = refuse.get("tail", TAIL)
        self.hosts: set[str] = set()
        self.targets: list[str] = []
        self.logs: list[tuple[str, str]] = []
        self.operations: list[str] = []

    def respond(
        self, _method: str, target: str, headers: Mapping[str, str], _body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.hosts.add(headers.get("host", ""))
        self.targets.append(target)
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/api/v1/jobs/")
        if path == "tailFile":
            self.logs.append((query["bucket"], query["object"]))
            return self._answer(query["object"], self.tail)
        if path == "operationDetails":
            self.operations.append(query["operation"])
            return self._answer(query["operation"], {"id": query["job"], "details": "{}"})
        return self._answer(unquote(path), self.jobs.get(unquote(path)))

    def _answer(self, name: str, body: Any) -> tuple[int, dict[str, str], bytes]:
        status = self.refuse.get(name)
        status = self.always if status is None and body in (self.tail,) else status
        if status is not None or body is None:
            return status or 404, {"Content-Type": "text/plain"}, b""
        return 200, JSON, json.dumps(body).encode()

    def client(self) -> Client:
        return Client(Api(url="http://test.invalid/api/v1", tries=1), respond=self.respond)

    def names(self) -> list[str]:
        return [name for _, name in self.logs]


def job(*failures: str, **extensions: Any) -> dict[str, Any]:
    """A failed job whose failures have these objects as logs."""
    told = [{"failure": "x", "backendLog": f"gs://bucket/{name}"} for name in failures]
    detail: dict[str, Any] = {
        "id": "a",
        "status": "Failed",
        "submission": "2026-11-23T00:00:00+00:00",
    }
    return {**detail, "failures": told, "extensions": extensions}


def tails(server: Server, detail: Any, *attempts: Any, **limits: int) -> logs.Found:
    return logs.tails(
        server.client(), "a", detail, attempts, **{"limit": 10, "most_bytes": 100_000, **limits}
    )


# Which, and in which order


def test_failures_come_first_then_failed_calls_then_the_jobs_logs_then_earlier_attempts() -> None:
    """Where a limit cuts, what says most is there."""
    detail = job(
        "failure",
        tasks=[
            {"name": "fine", "executionStatus": "Succeeded", "backendLog": "gs://bucket/fine"},
            {"name": "t", "executionStatus": "Failed", "backendLog": "gs://bucket/task",
             "attemptsData": [
                 {"attemptNumber": 1, "executionStatus": "Failed", "backendLog": "gs://bucket/t-1"},
                 {"attemptNumber": 2, "executionStatus": "Failed", "backendLog": "gs://bucket/t-2"},
             ]},
            {"name": "s", "executionStatus": "Failed", "shards": [
                {"shardIndex": 0, "executionStatus": "Succeeded", "backendLog": "gs://bucket/s0"},
                {"shardIndex": 1, "executionStatus": "Failed", "backendLog": "gs://bucket/s1",
                 "attemptsData": [{"attemptNumber": 1, "executionStatus": "Failed",
                                   "backendLog": "gs://bucket/s1-1"}]},
            ]},
        ],
        logs={"stderr": "gs://bucket/own"},
    )  # fmt: skip
    answered = {"attempts": [
        {"attemptNumber": 1, "executionStatus": "Failed", "backendLog": "gs://bucket/asked-1"},
        {"attemptNumber": 2, "executionStatus": "Succeeded", "backendLog": "gs://bucket/asked-2"},
    ]}  # fmt: skip
    server = Server()
    found = tails(server, detail, answered)
    assert server.names() == ["failure", "task", "s1", "own", "t-2", "t-1", "s1-1", "asked-1"]
    assert list(found.bodies) == [f"gs://bucket/{name}" for name in server.names()]
    assert found.notes == ()


def test_a_preempted_attempt_is_no_failure_and_its_log_is_not_asked_for() -> None:
    """By the words of all causes of that class: a path in a message tells nothing."""
    said = ["VM was preempted", "PAPI error code 10. 14: VM x stopped unexpectedly.", "code 50001"]
    failed = {"executionStatus": "Failed", "failureMessages": ["gs://b/preemptible-x/stderr: 1"]}
    attempts = [
        failed | {"failureMessages": [each], "backendLog": "gs://bucket/taken"} for each in said
    ]
    server = Server()
    answered = {"attempts": [*attempts, failed | {"backendLog": "gs://bucket/failed"}]}
    tails(server, job("failure"), answered)
    assert server.names() == ["failure", "failed"]


def test_files_beside_the_log_are_asked_for_where_the_server_names_them() -> None:
    """No address is made up: a sibling that nobody named may be anything."""
    detail = job("one", "two")
    detail["failures"][0]["stderr"] = "gs://bucket/one.stderr"
    server = Server()
    tails(server, detail)
    assert server.names() == ["one", "two", "one.stderr"]


@pytest.mark.parametrize(
    "name",
    ["a b", "a#b", "a?b=c&object=d", "100%", "%2e%2e", "é/日本語", "..", "../../etc/passwd", "a//b",
     "a\nb", "+", "\N{GRINNING FACE}"],
)  # fmt: skip
def test_an_objects_name_arrives_as_it_is_whatever_it_holds(name: str) -> None:
    """It is one value of the query, and chooses neither operation nor host."""
    server = Server()
    found = tails(server, job(name))
    assert server.logs == [("bucket", name)]
    assert set(found.bodies) == {f"gs://bucket/{name}"}
    assert server.targets == [f"/api/v1/jobs/tailFile?bucket=bucket&object={quote(name, safe='')}"]


@pytest.mark.parametrize(
    "address",
    ["/local/stderr", "s3://bucket/x", "https://evil.example/x", "gs:/bucket/x", "gs://bucket",
     "gs://bucket/", "gs:///x", "file:///etc/passwd", "GS://bucket/x", " gs://bucket/x",
     "gs://user@host/x", "gs://host:80/x", "gs://buc ket/x", "gs://../x", "gs://b?x/y"],
)  # fmt: skip
def test_only_objects_in_buckets_are_asked_for(address: str) -> None:
    detail: dict[str, Any] = job()
    detail["failures"] = [{"failure": "x", "backendLog": address}]
    server = Server()
    assert tails(server, detail) == logs.Found(bodies={}, gaps=(), notes=())
    assert server.targets == []


@given(address=st.text(), name=st.text(min_size=1))
def test_no_address_leads_to_another_host_or_operation(address: str, name: str) -> None:
    detail: dict[str, Any] = job()
    detail["failures"] = [
        {"failure": "x", "backendLog": text}
        for text in (address, f"gs://{address}", f"gs://bucket/{name}", name)
    ]
    server = Server()
    tails(server, detail)
    assert server.hosts <= {"test.invalid"}
    assert all(t.startswith("/api/v1/jobs/tailFile?bucket=") for t in server.targets)


def test_a_detail_of_any_shape_brings_what_it_can() -> None:
    """Lists where objects are meant, numbers where texts are."""
    details: tuple[Any, ...] = (
        [], "x", None, 7, {}, {"failures": {}}, {"failures": [7, None, {"backendLog": 7}]},
        {"extensions": []}, {"extensions": {"logs": ["gs://b/x"], "tasks": [{"shards": 7}]}},
        {"extensions": {"tasks": [{"executionStatus": "Failed", "attemptsData": [7, {}]}]}},
    )  # fmt: skip
    for detail in details:
        assert tails(Server(), detail, 7, {"attempts": 7}).bodies == {}


# How much


def test_the_limit_cuts_and_says_how_many_were_not_asked_for() -> None:
    server = Server()
    found = tails(server, job("a", "b", "b", "c", "d"), limit=2)
    assert server.names() == ["a", "b"]
    assert found.gaps == ()
    (note,) = found.notes
    assert note.what == "logs"
    assert note.why == "only 2 were asked for, 2 more were not; [collect] log_tails is the limit"


def test_a_limit_of_none_asks_for_none_and_says_so() -> None:
    server = Server()
    found = tails(server, job("a"), limit=0)
    assert server.targets == []
    assert found.notes[0].why.startswith("none was asked for; [collect] ")


def test_ten_thousand_failed_shards_are_one_note() -> None:
    shards = [
        {"shardIndex": n, "executionStatus": "Failed", "backendLog": f"gs://bucket/{n}"}
        for n in range(10_000)
    ]
    detail = job(tasks=[{"name": "t", "executionStatus": "Failed", "shards": shards}])
    found = tails(Server(), detail, limit=5)
    assert len(found.bodies) == 5
    assert ["9995 more were not" in note.why for note in found.notes] == [True]


def test_a_long_log_is_cut_at_its_front_at_a_line_and_says_so() -> None:
    text = "".join(f"line {n}\n" for n in range(1_000))
    server = Server(tail={"contents": text, "truncated": "false", "more": 1})
    found = tails(server, job("a"), most_bytes=1_000)
    body = found.bodies["gs://bucket/a"]
    assert body["contents"].startswith("line ")
    assert text.endswith(body["contents"])
    assert 900 < len(body["contents"]) <= 1_000
    assert body["truncated"] is True
    assert body["more"] == 1
    (note,) = found.notes
    left = len(text) - len(body["contents"])
    assert note.what == "log gs://bucket/a"
    assert note.why == (
        f"{left} bytes at its beginning were not kept; [collect] log_bytes = 1000 is the limit"
    )


@pytest.mark.parametrize(
    ("ended", "kept"), [("-----END RSA PRIVATE KEY-----\nafter\n", "\nafter\n"), ("", "")]
)
def test_a_log_is_not_cut_inside_a_private_key(ended: str, kept: str) -> None:
    """What begins inside a key could not be told from any other text; so it begins after it."""
    key = "canary".ljust(64, "A") + "\n"
    text = "-----BEGIN RSA PRIVATE KEY-----\n" + key * 100 + ended
    server = Server(tail={"contents": "before\n" + text, "truncated": False})
    found = tails(server, job("a"), most_bytes=1_000)
    assert found.bodies["gs://bucket/a"]["contents"] == kept
    earlier = "-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----\n" + "line\n" * 500
    found = tails(Server(tail={"contents": earlier}), job("a"), most_bytes=1_000)
    assert found.bodies["gs://bucket/a"]["contents"] == "line\n" * 199


@given(text=st.text(max_size=300), most=st.integers(1, 100))
def test_what_is_kept_is_an_end_of_the_log_within_the_limit(text: str, most: int) -> None:
    """Also where letters take several bytes, and where no line ends."""
    kept = logs._cut(
        logs.Found(bodies={"l": {"contents": text}}, gaps=(), notes=()), "a", most
    ).bodies["l"]["contents"]
    assert text.endswith(kept)
    assert len(kept.encode()) <= most
    assert kept == text or len(text.encode()) > most


# What can't be had


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_log_that_cannot_be_had_is_a_gap_with_its_reason_and_the_rest_goes_on(
    status: int,
) -> None:
    """500 is a log that is empty or not UTF-8, on the server that is still maintained."""
    server = Server(refuse={"bad": status})
    found = tails(server, job("good", "bad", "other"))
    assert set(found.bodies) == {"gs://bucket/good", "gs://bucket/other"}
    (gap,) = found.gaps
    assert (gap.what, gap.job, gap.status) == ("log gs://bucket/bad", "a", status)
    assert str(status) in gap.why


@pytest.mark.parametrize("status", [204, 405, 501])
def test_what_is_not_offered_is_a_note_and_no_gap(status: int) -> None:
    server = Server(always=status)
    found = tails(server, job("a", "b"))
    assert server.names() == ["a"]
    assert found.gaps == ()
    assert found.notes[0].what == "logs"
    assert found.notes[0].why.startswith("this server does not offer them: ")


def read(client: Client, name: str) -> Record:
    return metadata.read(client, name, row=None, parent=None, limits=Collect(log_bytes=1_000))


def failed(*names: str) -> dict[str, Any]:
    """Failed jobs with a log and an operation each."""
    return {
        name: {
            **job(f"log-{name}"),
            "id": name,
            "failures": [
                {"failure": "x", "backendLog": f"gs://bucket/log-{name}", "operationId": f"o{name}"}
            ],
        }
        for name in names
    }


@pytest.mark.parametrize("status", ["Running", "Aborted", "Succeeded"])
def test_a_job_with_failed_tasks_is_asked_for_their_logs_whatever_became_of_it(status: str) -> None:
    """Who waits for a job wants to know now why its task failed; nobody asks where none did."""
    task = {"name": "A", "executionStatus": "RetryableFailure", "backendLog": "gs://bucket/a"}
    fine = {**task, "executionStatus": "Succeeded", "backendLog": "gs://bucket/b"}
    jobs = {
        "bad": {"id": "bad", "status": status, "extensions": {"tasks": [task, fine]}},
        "fine": {"id": "fine", "status": status, "extensions": {"tasks": [fine]}},
    }
    client = Server(jobs=jobs).client()
    assert set(read(client, "bad").logs) == {"gs://bucket/a"}
    assert read(client, "fine").logs == {}


def test_the_first_failures_of_what_turns_out_not_to_be_offered_are_no_gaps() -> None:
    """Two jobs had a gap each before the third 500 told; none of the five has one at the end."""
    names = "abcde"
    server = Server(jobs=failed(*names), always=500, refuse={f"o{n}": 404 for n in names})
    client = server.client()
    records = list(Settling(client).records(read(client, name) for name in names))
    assert sorted(record.id for record in records) == list(names)
    assert [record.gaps for record in records] == [()] * 5
    for record in records:
        whats = {note.what: note.why for note in record.notes}
        assert "this server does not offer them: server error 500" in whats["logs"]
        assert "this server does not offer them: not found (404)" in whats["operations"]


def test_a_success_makes_what_was_in_doubt_a_gap() -> None:
    server = Server(jobs=failed("a", "b", "c"), refuse={"log-a": 500})
    client = server.client()
    records = list(Settling(client).records(read(client, name) for name in "abc"))
    assert {record.id: [gap.what for gap in record.gaps] for record in records} == {
        "a": ["log gs://bucket/log-a"],
        "b": [],
        "c": [],
    }


def test_what_is_in_doubt_to_the_end_is_a_gap() -> None:
    """One failure out of one proves nothing."""
    server = Server(jobs=failed("a"), always=500)
    client = server.client()
    (record,) = Settling(client).records([read(client, "a")])
    assert [gap.what for gap in record.gaps] == ["log gs://bucket/log-a"]


def test_a_refusal_stays_a_gap_though_the_operation_is_not_offered() -> None:
    """403 is a matter of rights, which somebody can give."""
    server = Server(jobs=failed(*"abcd"), always=500, refuse={"log-a": 403})
    client = server.client()
    records = list(Settling(client).records(read(client, name) for name in "abcd"))
    assert [len(record.gaps) for record in records] == [1, 0, 0, 0]


def test_records_in_doubt_wait_in_bounded_number_and_none_is_lost() -> None:
    """An operation that answers 500 and 403 in turn is never decided."""
    names = [f"j{n}" for n in range(4 * MOST_HELD)]
    refuse = {f"log-{name}": 500 if at % 2 else 403 for at, name in enumerate(names)}
    server = Server(jobs=failed(*names), refuse=refuse)
    client = server.client()
    settling = Settling(client)
    passed = []
    came = 0

    def records() -> Any:
        nonlocal came
        for name in names:
            came += 1
            yield read(client, name)

    for record in settling.records(records()):
        passed.append(record.id)
        assert came - len(passed) <= MOST_HELD + 1
    assert sorted(passed) == sorted(names)


def test_notes_are_stored_without_secrets_and_with_what_they_know() -> None:
    """A log's address may hold a signature."""
    gap = Gap(what="log gs://b/x?token=ya29.canary-canary-canary-canary-canary",
              why="no", job="a", operation="TailFileContents", status=404)  # fmt: skip
    stored = Redaction.of(Redact()).record(Record(id="a", gaps=(gap,), notes=(gap,)))
    assert stored.notes == stored.gaps
    (note,) = stored.notes
    assert "canary" not in note.what
    assert (note.operation, note.status) == ("TailFileContents", 404)


def test_the_quality_page_says_which_limits_cut_and_of_how_many_jobs(tmp_path: Path) -> None:
    (tmp_path / "jmreport.toml").write_text(
        "[collect]\nlog_tails = 0\noperation_details = 0\n"
        '[snapshots]\ndir = "snapshots"\n[site]\ndir = "site"\n'
    )
    asked = ["--demo", "--like=cromwell", "--jobs=40", "--timeframe=ALL_TIME"]
    config = ["--config", str(tmp_path / "jmreport.toml")]
    assert main(["build", *asked, *config, "-q", "--workers=1", "--now=2026-11-23T02:14:00Z"]) in (
        0,
        3,
    )
    page = (tmp_path / "site/quality.html").read_text()
    said = re.search(r"<dt>Limits that cut</dt><dd>([^<]*)</dd>", page)
    assert said
    found = re.fullmatch(r"log_tails, of (\d+) jobs?; operation_details, of (\d+) jobs?", said[1])
    assert found
    failed = sum(
        "none was asked for; [collect] log_tails is the limit" in job.read_text()
        for job in (tmp_path / "site/jobs").glob("*-*.html")
    )
    assert int(found[1]) >= failed > 0
