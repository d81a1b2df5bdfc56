"""The recorded answers of the two real servers, served again as they were: what each shows.

`../shared/recorded` holds them with their headers. Where it is absent these tests are skipped.
"""

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from built_sites import build, settings_of

from jmreport import pipeline
from jmreport.client import Client
from jmreport.collectors.demo.serve import serve
from jmreport.errors import ActionError, Exit, NothingUsableError, ServerError, UnreadableError
from jmreport.settings import Api, Collect

FOLDER = Path(__file__).parents[2] / "shared" / "recorded"
FILES = sorted(path.stem for path in FOLDER.glob("*.txt")) if FOLDER.exists() else []
NOW = datetime(2026, 11, 24, 2, 14, tzinfo=UTC)
#: The server that sends an answer says these anew.
HOP = {"connection", "content-length", "transfer-encoding"}
PROBLEM = {"content-type": "application/problem+json"}

pytestmark = pytest.mark.skipif(not FILES, reason="recorded answers are not here")


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def recorded(name: str) -> Answer:
    """A recorded answer; `content-length` of some counts what was cut out of them."""
    head, _, body = (FOLDER / f"{name}.txt").read_bytes().partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    kept = {name: value for name, value in headers.items() if name.lower() not in HOP}
    return Answer(int(first.split()[1]), kept, body.removesuffix(b"\n"))


def tree(name: str) -> Any:
    return json.loads(recorded(name).body)


Route = Answer | Callable[[dict[str, Any]], Answer]


class Replay:
    """Answers with what was recorded, at its own address; 404 for all else."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self.routes = dict(routes)
        self.asked: list[str] = []

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        del headers
        path = unquote(target.partition("?")[0].removeprefix("/api/v1"))
        self.asked.append(f"{method} {path}")
        route = self.routes.get(path, Answer(404, PROBLEM, b'{"status": 404, "detail": "nothing"}'))
        return route(json.loads(body or b"{}")) if callable(route) else route


def page(rows: list[Any], token: str | None) -> Answer:
    """A page of the list, for the jobs of which only the detail was recorded."""
    return made({"results": rows, **({"nextPageToken": token} if token else {})})


def made(body: Any) -> Answer:
    """An answer of our own, where a recorded one needs company."""
    return Answer(200, {"content-type": "application/json"}, json.dumps(body).encode())


def row_of(detail: Any) -> Any:
    kept = ("id", "name", "status", "submission", "start", "end", "labels")
    return {key: detail[key] for key in kept if key in detail}


BROKEN = "00000000-0000-4000-8000-000000000008"
MISSING = "11111111-1111-4111-8111-111111111111"
RETRIED = "00000000-0000-4000-8000-000000000006"
ENDLESS = "00000000-0000-4000-8000-000000000009"
#: The workflow whose attempts were recorded; its detail was not.
GREETING = "9e83cb0d-0347-431e-8ee6-48f535060845"
ON_HOLD = "bc542ee8-8823-42ff-a4b7-205bdf22eed5"


def cromwell() -> Replay:
    """The recorded jobs in one list: its pages are recorded ones, with one of our own between."""
    details = {
        tree(name)["id"]: name
        for name in FILES
        if name.startswith("cromwell-job") and "tasks" in str(recorded(name).body)
    }
    lost = {"submission": "2026-11-23T17:11:43.638000+00:00", "name": "lost", "status": "Failed"}
    listed = [row_of(tree(name)) for name in details.values() if name != "cromwell-job_sub"]
    listed += [{**lost, "id": BROKEN}, {**lost, "id": MISSING}, {**lost, "id": GREETING}]
    greeting = {
        **lost,
        "id": GREETING,
        "extensions": {
            "tasks": [{"name": "WriteGreeting", "executionStatus": "Succeeded", "attempts": 2}]
        },
    }
    pages = {
        None: recorded("cromwell-q_size1"),
        tree("cromwell-q_size1")["nextPageToken"]: page(listed, "ours"),
        "ours": recorded("cromwell-q_status_onhold"),
        tree("cromwell-q_status_onhold")["nextPageToken"]: recorded("cromwell-q_token_beyond"),
    }

    def query(asked: dict[str, Any]) -> Answer:
        if asked.get("labels"):
            return recorded("cromwell-q_labels")
        return pages[asked.get("pageToken")]

    return Replay(
        {
            "/capabilities": recorded("cromwell-capabilities"),
            "/capabilities/": recorded("cromwell-capabilities_trailing_slash"),
            "/health": made({"available": True}),
            "/aggregations": recorded("cromwell-agg"),
            "/jobs/query": query,
            "/jobs/operationDetails": recorded("cromwell-op_details"),
            "/jobs/tailFile": recorded("cromwell-op_details"),
            f"/jobs/{BROKEN}": recorded("cromwell-job_special8"),
            f"/jobs/{MISSING}": recorded("cromwell-job_missing"),
            f"/jobs/{RETRIED}/s/attempts": recorded("cromwell-att_task"),
            f"/jobs/{GREETING}": made(greeting),
            f"/jobs/{GREETING}/WriteGreeting/attempts": recorded("cromwell-att_task"),
            f"/jobs/{RETRIED}/s/0/attempts": recorded("cromwell-att_shard"),
            **{f"/jobs/{job}": recorded(name) for job, name in details.items()},
        }
    )


def dsub() -> Replay:
    names = ("dsub-job_fails", "dsub-job_retried", "dsub-job_running")
    others = [{**tree(name), "inputs": {}} for name in names if name != "dsub-job_retried"]
    first = recorded("dsub-q_size1")

    def query(asked: dict[str, Any]) -> Answer:
        return page(others, None) if asked.get("pageToken") else first

    return Replay(
        {
            "/capabilities": recorded("dsub-capabilities"),
            "/health": made({"available": True}),
            "/aggregations": recorded("dsub-agg_DAYS_30"),
            "/jobs/query": query,
            **{f"/jobs/{tree(name)['id']}": recorded(name) for name in names},
            **{
                f"/jobs/{tree(name)['id']}/align/attempts": recorded("dsub-att_task")
                for name in names
            },
        }
    )


class Built(NamedTuple):
    """A site that was built around recorded answers."""

    server: Replay
    outcome: pipeline.Outcome
    site: Path

    def text(self, name: str) -> str:
        """What a reader sees of a page: no tags, no raw JSON."""
        body = (self.site / name).read_text(encoding="utf-8")
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())

    def job(self, job: str) -> str:
        """What a reader sees of a job's page."""
        slug = re.sub(r"[^a-z0-9]+", "-", job).strip("-")
        (page,) = (self.site / "jobs").glob(f"{slug}-{'[0-9a-f]' * 8}.html")
        return self.text(f"jobs/{page.name}")


def built(server: Replay, folder: Path, **collect: Any) -> Built:
    settings = settings_of(
        folder, collect=Collect(timeframe="ALL_TIME", **collect), api=Api(tries=1)
    )
    return Built(server, build(settings, server, now=NOW), folder / "site")


@pytest.fixture(scope="module")
def of_cromwell(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(cromwell(), tmp_path_factory.mktemp("cromwell"))


@pytest.fixture(scope="module")
def of_dsub(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(dsub(), tmp_path_factory.mktemp("dsub"))


#: What a reader finds of each answer on the pages: a job's id or a page's address, and texts there.
SHOWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "cromwell-agg": (
        "quality.html", ("GetJobAggregations Not offered", "not implemented (501)"),
    ),
    "cromwell-att_shard": (
        RETRIED,
        (
            "Failed shard 0, attempt 1", "operation 10032", "idx 41",
            "exited with return code 1 which has not been declared as a valid return code",
        ),
    ),
    "cromwell-att_task": (
        GREETING, ("I like modifying strings", "operation 9675", "call-WriteGreeting"),
    ),
    "cromwell-capabilities": (
        "jobs/index.html", ("Workflow ID", "Name", "Status", "Submitted", "Flag"),
    ),
    "cromwell-job_missing": (
        MISSING, ("not found (404): Unrecognized workflow ID: 11111111", "comes from the list"),
    ),
    "cromwell-job_special1": (
        "00000000-0000-4000-8000-000000000001",
        (
            "invalid_inputs", "Failed", "Required workflow input 'invalid_inputs.sample'",
            "Failed to import: gs://x.wdl", "NA36142", "gs://ref/hg38.fa",
        ),
    ),
    "cromwell-job_special3": (
        "00000000-0000-4000-8000-000000000003",
        (
            "call_without_start", "a Submitted Not started", "2908227623671141513",
            "NA09623", "opt null", "still active",
        ),
    ),
    "cromwell-job_special6": (
        RETRIED,
        (
            "Aborted", "2 shards · end unknown: 1 aborting, 1 submitted", "waiting for quota",
            "google-pipelines-worker-1195c791b8f92034", "9781319673628583762",
        ),
    ),
    "cromwell-job_special8": (BROKEN, ("server error 500", "what is shown comes from the list")),
    "cromwell-job_special9": (
        ENDLESS,
        ("no end", "s , shard 1", "end unknown", "8848301049351282006", "NA91835"),
    ),
    "cromwell-job_sub": (
        "120e1ad4-be70-437b-ace4-5fd28f7f313e",
        ("Succeeded", "SubWorkflowRunningState", "Parent job", "7dfdd667", "9d28be16"),
    ),
    "cromwell-job_trebly_nested": (
        "03a7491c-76c1-40f4-93d5-222d0ac2be70",
        ("Succeeded", "120e1ad4", "ed5aad2c", "SubWorkflowPendingState"),
    ),
    "cromwell-op_details": (ENDLESS, ("does not offer them: the server answered nothing (204)",)),
    "cromwell-q_size1": (
        "quality.html", ("the server counts 78 and its pages brought 9: 69 never came",),
    ),
    "cromwell-q_status_onhold": (
        ON_HOLD,
        (
            "rna_seq_qc", "On hold", "user dave", "project beta", "Started — not started",
            "Ended — not ended",
        ),
    ),
    "cromwell-q_token_beyond": ("quality.html", ("Jobs listed 9",)),
    "dsub-agg_DAYS_30": ("quality.html", ("last 30 days", "37", "GetJobAggregations Offered")),
    "dsub-capabilities": (
        "jobs/index.html", ("Job ID", "Task ID", "Attempt", "User ID", "Status Detail"),
    ),
    "dsub-job_fails": (
        "+fails--root--261123-195941-511590++",
        ("Docker exit code 137 (check stderr).", "delocalizing-files", "project beta", "User root"),
    ),
    "dsub-job_retried": (
        "+retried--root--261123-200012-502664++2",
        ("Docker exit code 1 (check stderr).", "attempt 2", "-stderr.log", "pulling-image"),
    ),
    "dsub-job_running": (
        "+longrun--root--261123-200008-170621++",
        ("when last read, in running-docker", "Ended — not ended", "Checking image userid"),
    ),
    "dsub-q_size1": ("+retried--root--261123-200012-502664++2", ("retried", "20:00 UTC")),
}  # fmt: skip
#: Answers that no build asks for, or that no page shows: each has a test of its own.
APART = {
    "cromwell-abort_terminal", "cromwell-capabilities_trailing_slash", "cromwell-lab_ok",
    "cromwell-q_labels", "dsub-abort_terminal", "dsub-att_task", "dsub-q_auth",
}  # fmt: skip


def test_every_recorded_answer_has_its_test() -> None:
    assert set(FILES) == SHOWN.keys() | APART
    assert not SHOWN.keys() & APART


@pytest.mark.parametrize("name", SHOWN)
def test_a_recorded_answer_shows_what_it_holds(
    name: str, of_cromwell: Built, of_dsub: Built
) -> None:
    site = of_dsub if name.startswith("dsub") else of_cromwell
    where, texts = SHOWN[name]
    seen = site.text(where) if where.endswith(".html") else site.job(where)
    for text in texts:
        assert text in seen


def test_what_could_not_be_read_is_counted_and_the_rest_is_there(
    of_cromwell: Built, of_dsub: Built
) -> None:
    """Cromwell's list lacks 69 jobs, and four sub-workflows' details were never recorded."""
    assert of_cromwell.outcome.exit is Exit.INCOMPLETE
    assert of_dsub.outcome.exit is Exit.DONE
    run = of_cromwell.outcome.run
    assert run is not None
    assert (run.counts.listed, run.counts.sub_workflows) == (9, 4)
    assert [gap.job for gap in run.gaps if gap.what == "job"].count(BROKEN) == 1


def test_servers_counts_stand_on_label_pages(of_dsub: Built) -> None:
    """Labels of dsub are integers too: attempt 1 and 2."""
    pages = {path.name.rpartition("-")[0]: path for path in (of_dsub.site / "labels").iterdir()}
    for key, words in {
        "project": ("alpha", "gamma"),
        "attempt": ("1", "2"),
        "batch": ("b1",),
    }.items():
        seen = of_dsub.text(f"labels/{pages[key].name}")
        for word in words:
            assert re.search(rf"(?<!\w){word}(?!\w)", seen)


def test_no_page_shows_a_time_that_the_server_made_up(of_cromwell: Built) -> None:
    """20:11:51 is when the shim's processes began; no job started then."""
    for job in (ON_HOLD, "00000000-0000-4000-8000-000000000003", RETRIED):
        assert "20:11" not in of_cromwell.job(job)


def test_a_filter_by_label_never_meets_the_recorded_500(tmp_path: Path) -> None:
    """It is not sent, and applied here: one job of those recorded is dave's."""
    server = cromwell()
    found = built(server, tmp_path, labels={"user": "dave"})
    lines = (found.site / "data/jobs.ndjson").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [ON_HOLD]
    assert recorded("cromwell-q_labels").status == 500


def test_dsubs_local_provider_refuses_a_token_in_words(tmp_path: Path) -> None:
    """The recorded 400 ends the run with the server's own reason."""
    server = dsub()
    server.routes["/jobs/query"] = recorded("dsub-q_auth")
    with pytest.raises(NothingUsableError, match="does not support the `authToken` field"):
        built(server, tmp_path)


@pytest.fixture
def client() -> Iterator[Callable[[Mapping[str, Route]], Client]]:
    """Makes clients of a server with these routes, on a socket."""
    with ExitStack() as stack:

        def made(routes: Mapping[str, Route]) -> Client:
            http = stack.enter_context(serve(Replay(routes), port=0))
            return stack.enter_context(Client(Api(url=http.url, tries=1)))

        yield made


Clients = Callable[[Mapping[str, Route]], Client]
CAPABLE = "/capabilities"


def test_the_recorded_redirect_is_told_and_not_followed(client: Clients) -> None:
    """It names another port: nothing is asked there."""
    session = client({CAPABLE: recorded("cromwell-capabilities_trailing_slash")})
    with pytest.raises(ServerError, match=r"redirected \(307\): to http://127.0.0.1:8190"):
        session.probe()


def test_the_recorded_answer_for_attempts_of_dsub_is_one_gap(client: Clients) -> None:
    """Its text says no more than the status does, and is left out."""
    session = client({"/jobs/x/align/attempts": recorded("dsub-att_task")})
    with pytest.raises(UnreadableError) as told:
        session.task_attempts("x", "align")
    assert told.value.message == "server error 500"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cromwell-abort_terminal", "there is no such job, or it has ended already"),
        ("dsub-abort_terminal", "the job has ended already"),
    ],
)
def test_a_recorded_refusal_to_abort_says_why(client: Clients, name: str, hint: str) -> None:
    """404 with words on Cromwell, a bare 412 on dsub."""
    session = client({"/jobs/x/abort": recorded(name)})
    with pytest.raises(ActionError) as told:
        session.abort("x")
    assert told.value.hint == hint


def test_recorded_labels_come_back_whole(client: Clients) -> None:
    session = client({"/jobs/x/updateLabels": recorded("cromwell-lab_ok")})
    _, found = session.update_labels("x", {"flag": "follow-up"})
    assert found == tree("cromwell-lab_ok")["labels"]
    assert found["Weird Key:é"] == 'v,"1"'
