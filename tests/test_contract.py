"""The client and the collectors keep to the API's definition, as read by somebody else: Prism.

A whole build goes through Prism as a validating proxy. It answers with an error of its own where
the request or the answer breaks the definition, so one violation would be a gap or a failure here.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import prism as prism_proxy
import pytest
from conftest import lacking
from msgspec.structs import replace

from jmreport import credentials, pipeline
from jmreport.client import Client
from jmreport.collectors.demo import Demo, serve
from jmreport.errors import Exit
from jmreport.models import TIME_FRAMES, QueryJobsRequest, TimeFrame
from jmreport.progress import SilentProgress
from jmreport.settings import Api, Collect, Settings, Site, Snapshots

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
TOKEN = "let-me-in"  # noqa: S105 - opens nothing


@pytest.fixture(scope="module")
def demo() -> Demo:
    return Demo(now=NOW, jobs=600, token=TOKEN)


@pytest.fixture(scope="module")
def judged(prism: str, root: Path, demo: Demo) -> Iterator[str]:
    """The address of the built-in server behind Prism."""
    definition = prism_proxy.definition(root) or lacking("the API's definition", "beside it")
    with serve(demo, port=0) as server:
        server.start()
        with prism_proxy.judge(prism, Path(definition), upstream=server.url) as url:
            yield url


def test_a_whole_build_breaks_the_definition_nowhere(
    judged: str, demo: Demo, tmp_path: Path
) -> None:
    """Every operation that reads is used, and nothing is missing afterwards."""
    settings = Settings(
        site=Site(dir=str(tmp_path / "site")), snapshots=Snapshots(dir=str(tmp_path / "snapshots"))
    )
    outcome = pipeline.build(
        settings,
        now=NOW,
        source=pipeline.Source(url=judged),
        environ={"JMREPORT_API_TOKEN": TOKEN},
        progress=SilentProgress(),
        workers=1,
    )
    assert outcome.run is not None
    assert (outcome.exit, outcome.run.gaps, outcome.run.notes) == (Exit.DONE, (), ())
    for operation in (
        "GetCapabilities", "Health", "QueryJobs", "GetJob", "GetTaskAttempts",
        "GetOperationDetails", "TailFileContents", "GetJobAggregations",
    ):  # fmt: skip
        assert demo.requests.count(operation), operation


@pytest.mark.parametrize("frame", TIME_FRAMES)
def test_every_filter_is_sent_as_the_definition_says(
    judged: str, frame: TimeFrame, tmp_path: Path
) -> None:
    """Dates in UTC, unset keys left out, extensions as they are offered."""
    wish = Collect(
        timeframe=frame,
        status=("Failed", "Running"),
        labels={"owner": "ana"},
        name="sv_merge",
        user_id="ana@example.org",
        start="2026-10-01T00:00:00+02:00",
        submission="2026-10-01T00:00:00Z",
        hide_archived=True,
    )
    settings = Settings(
        api=Api(project_id="rare-disease"),
        collect=wish,
        site=Site(dir=str(tmp_path / "site")),
        snapshots=Snapshots(dir=str(tmp_path / "snapshots")),
    )
    outcome = pipeline.collect(
        settings,
        now=NOW,
        source=pipeline.Source(url=judged),
        environ={"JMREPORT_API_TOKEN": TOKEN},
        progress=SilentProgress(),
    )
    assert outcome.run is not None
    assert (outcome.exit, outcome.run.gaps) == (Exit.DONE, ())
    assert all(note.startswith("Filter ") for note in outcome.run.notes)
    assert not any("refused" in note for note in outcome.run.notes)


def test_actions_and_shards_are_asked_as_the_definition_says(judged: str, demo: Demo) -> None:
    """The operations that a build does not need."""
    api = replace(Api(), url=judged)
    found = credentials.find(api, {"JMREPORT_API_TOKEN": TOKEN}, scopes=())
    with Client(api, credentials=found) as client:
        client.probe()
        running = client.query(QueryJobsRequest(status=("Running",), page_size=1))["results"][0]
        client.update_labels(running["id"], {"comment": "seen"})
        client.abort(running["id"])
        rows = client.query(QueryJobsRequest(status=("Succeeded",), page_size=50))["results"]
        job, task = next(
            (row["id"], task["name"])
            for row in rows
            for task in client.job(row["id"])["extensions"].get("tasks", ())
            if task.get("shards")
        )
        assert client.shard_attempts(job, task, 0)["attempts"]
    for operation in ("AbortJob", "UpdateJobLabels", "GetShardAttempts"):
        assert demo.requests.count(operation), operation
