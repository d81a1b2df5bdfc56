"""Every property of the API reaches a page, under a name of its own and outside the raw JSON.

A server in which every value is another one is read by the whole program. `PLACES` says for each
property on which page and under which label it stands; a property that is added to the API's table
and has no place there fails here.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from built_sites import build, settings_of
from labelled import Node, read, said
from unique_server import DEFINITIONS, JOB, NOW, TABLE, Unique, inner, parts

from jmreport.render import addresses
from jmreport.settings import Api, Collect

#: Properties whose values are on no page, and why.
NOWHERE = {
    "QueryJobsResponse.nextPageToken": "it only fetches the next page, and may hold a secret",
    "UpdateJobLabelsResponse.labels": "answers a change of labels, which this program does not ask",
}

JOB_PAGE, QUALITY = "job", "quality"
_CALL = {
    "executionStatus": "Status",
    "start": "Started",
    "end": "Ended",
    "backendLog": "log",
    "callRoot": "folder",
    "operationId": "operation",
}
_ATTEMPT = {
    **_CALL,
    "attemptNumber": "Attempt",
    "callCached": "Status",
    "inputs": "Inputs and outputs",
    "outputs": "Inputs and outputs",
    "failureMessages": "Links and messages",
}
#: Label of each property on its page; a definition's name, then the way down to the property.
PLACES: dict[str, dict[str, dict[str, str]]] = {
    JOB_PAGE: {
        "JobMetadataResponse": {
            "id": "Job ID", "status": "Status", "submission": "Submitted", "name": "h1",
            "start": "Started", "end": "Ended", "inputs": "Inputs", "outputs": "Outputs",
            "labels": "Labels",
        },
        "JobMetadataResponse.failures": {
            "taskName": "Failures", "failure": "Failures", "timestamp": "Failures",
            "backendLog": "log", "callRoot": "folder", "operationId": "Operation",
            "shardIndex": "Failures", "jobId": "Failures",
        },
        "JobMetadataResponse.extensions": {
            "userId": "User", "statusDetail": "Status detail", "logs": "Logs",
            "lastUpdate": "Last update", "envs": "Environment", "sourceFile": "Source file",
            "parentJobId": "Parent job",
        },
        "JobMetadataResponse.extensions.events": {"time": "Time", "content": "Event"},
        "JobMetadataResponse.extensions.tasks": {
            **_CALL, "name": "Task", "inputs": "Inputs", "outputs": "Outputs",
            "failureMessages": "Messages", "returnCode": "Return code", "attempts": "Attempts",
            "jobId": "sub-job", "callCached": "Task",
        },
        "JobMetadataResponse.extensions.tasks.shards": {
            **_CALL, "shardIndex": "Shard", "attempts": "Attempts",
            "failureMessages": "Links and messages", "jobId": "sub-job",
        },
        "JobMetadataResponse.extensions.tasks.shards.attemptsData": _ATTEMPT,
        "JobMetadataResponse.extensions.tasks.attemptsData": _ATTEMPT,
        "JobMetadataResponse.extensions.tasks.executionEvents": {
            "name": "Event", "start": "Start", "end": "End", "attemptNumber": "Of",
            "shardIndex": "Of",
        },
        "JobAttemptsResponse.attempts": _ATTEMPT,
        "JobOperationResponse": {"details": "Operation", "id": "ID"},
        "FileContents": {"contents": "End of the log", "truncated": "End of the log"},
    },
    QUALITY: {
        "CapabilitiesResponse": {
            "commonLabels": "Common labels", "queryExtensions": "Filters beyond the usual",
            "aggregationTimeFrames": "Counts offered for",
        },
        "CapabilitiesResponse.authentication": {
            "isRequired": "Token required", "scopes": "Scopes",
            "forcedLogoutDomains": "Signs out at", "forcedLogoutTime": "Signs out after",
            "outsideAuth": "Signs in elsewhere",
        },
        "CapabilitiesResponse.displayFields": {
            "field": "Field", "display": "Shown as", "editable": "Editable",
            "bulkEditable": "Editable in bulk", "fieldType": "Type", "validFieldValues": "Values",
            "primary": "Primary", "filterable": "Filterable",
        },
        "QueryJobsResponse": {"totalSize": "Jobs by the server’s count"},
        "HealthResponse": {"available": "Health"},
        "AggregationResponse.summary.counts": {"status": "Status", "count": "Server"},
        "AggregationResponse.aggregations": {
            "name": "The server’s counts by", "key": "The server’s counts by"
        },
        "AggregationResponse.aggregations.entries": {"label": "Value"},
        "AggregationResponse.aggregations.entries.statusCounts.counts": {
            "status": "By status", "count": "By status"
        },
    },

}  # fmt: skip


def answered() -> Iterator[str]:
    """Every property that can stand in an answer, by its way down; no objects, only values."""
    names = {
        kind
        for operation in TABLE["operations"]
        for kind in operation["responses"].values()
        if kind in DEFINITIONS
    }
    for name in sorted(names):
        yield from _down(name, name)


def _down(definition: str, path: str) -> Iterator[str]:
    for name, kind in parts(definition):
        below, here = inner(kind), f"{path}.{name}"
        if below:
            yield from _down(below, below if below == "QueryJobsResult" else here)
        else:
            yield here


def _indexed(path: str) -> str:
    """The path to the first of each list: "extensions.tasks[0].shards[0].start"."""
    for part in ("tasks", "shards", "attemptsData", "executionEvents", "events"):
        path = path.replace(f".{part}.", f".{part}[0].")
    return path


def place_of(path: str) -> tuple[str, str] | None:
    """Page and label of a property."""
    way, _, name = path.rpartition(".")
    if path == "QueryJobsResult.id":
        return JOB_PAGE, "Job ID"
    if path.startswith("QueryJobsResult."):
        # What the list says otherwise than the detail stands there by its path.
        return JOB_PAGE, _indexed(path.partition(".")[2])
    for page, definitions in PLACES.items():
        if name in definitions.get(way, {}):
            return page, definitions[way][name]
    return None


@pytest.fixture(scope="module")
def server() -> Unique:
    return Unique(beyond=True)


@pytest.fixture(scope="module")
def site(server: Unique, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the whole program makes of it."""
    root = tmp_path_factory.mktemp("unique")
    settings = settings_of(root, api=Api(tries=1), collect=Collect(timeframe="DAYS_30"))
    build(settings, server, now=NOW)
    return root / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Node]:
    found = {
        JOB_PAGE: addresses.job(JOB),
        QUALITY: addresses.QUALITY,
    }
    return {name: read((site / address).read_text()) for name, address in found.items()}


def test_every_property_of_an_answer_has_a_place_or_a_reason() -> None:
    """A property that is added to the API's table fails here until it has one."""
    lacking = [path for path in answered() if path not in NOWHERE and place_of(path) is None]
    assert lacking == []


def test_a_property_that_is_added_to_the_api_is_missed_until_it_has_a_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The list above is no list of what somebody remembered: it follows the table."""
    for name in ("Shard", "CapabilitiesResponse", "QueryJobsResult"):
        grown = {**DEFINITIONS[name], "shoeSize": {"type": "string"}}
        monkeypatch.setitem(DEFINITIONS, name, grown)
    lacking = {path for path in answered() if path not in NOWHERE and place_of(path) is None}
    assert lacking == {
        "JobMetadataResponse.extensions.tasks.shards.shoeSize",
        "CapabilitiesResponse.shoeSize",
    }


def test_the_table_is_the_apis_own(root: Path) -> None:
    theirs = root.parent / "shared" / "spec" / "fields.json"
    if not theirs.exists():
        pytest.skip("the API's table lies beside the checkout only where it is developed")
    assert json.loads(theirs.read_text()) == TABLE


@pytest.mark.parametrize("path", [path for path in answered() if path not in NOWHERE])
def test_the_value_is_on_its_page_under_its_label(
    path: str, server: Unique, pages: dict[str, Node]
) -> None:
    page, label = place_of(path) or ("", "")
    assert server.sent[path] in said(pages[page], label)


def test_what_no_api_names_is_shown_as_the_servers_own(
    server: Unique, pages: dict[str, Node]
) -> None:
    """At every level of a job by its path; of the capabilities on the quality page."""
    job = said(pages[JOB_PAGE], "Other fields of this server")
    listed = said(pages[JOB_PAGE], "Said otherwise by the list")
    told = said(pages[QUALITY], "What it says that the API does not name")
    own = {path: value for path, value in server.sent.items() if path.endswith("ownField")}
    places = {
        "CapabilitiesResponse": told,
        "QueryJobsResult.extensions": listed,
        "QueryJobsResult": job,
        "JobMetadataResponse": job,
        "JobAttemptsResponse": job,
        "JobOperationResponse": job,
        "FileContents": job,
        "AggregationResponse": told,
        "QueryJobsResponse": told,
        "HealthResponse": told,
    }
    for start, where in places.items():
        for path, value in own.items():
            if path.startswith(f"{start}."):
                assert value in where or value in listed, path
    counted = said(pages[QUALITY], "Fields that the API does not name")
    assert "extensions.tasks.shards.attemptsData.ownField" in counted


def test_a_value_is_not_found_under_another_label(pages: dict[str, Node]) -> None:
    assert JOB in said(pages[JOB_PAGE], "Job ID")
    assert JOB not in said(pages[JOB_PAGE], "User")
    assert said(pages[JOB_PAGE], "Colour of the server") == ""
