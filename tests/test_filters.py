"""Every filter of the query, as a flag and as a setting, over HTTP on all three kinds of server.

A filter is sent where the server honours it, and applied here whatever the server does; the notes
of the run, which stand on the quality page, say what became of it.
"""

import html
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jmreport import analysis
from jmreport.cli import main
from jmreport.collectors.demo import Demo, serve
from jmreport.records import moment
from jmreport.render import addresses
from jmreport.snapshots import Store

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
JOBS = 45
Row = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]


class Heard:
    """A server that keeps what it was asked for."""

    def __init__(self, like: Any, **more: Any) -> None:
        self.demo = Demo(now=NOW, seed=5, jobs=JOBS, like=like, **more)
        self.queries: list[dict[str, Any]] = []

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, /
    ) -> Answer:
        if target.endswith("/jobs/query"):
            self.queries.append(json.loads(body))
        return self.demo.respond(method, target, headers, body)


@contextmanager
def served(like: str, **more: Any) -> Iterator[tuple[Heard, str]]:
    heard = Heard(like, **more)
    with serve(heard, port=0) as http:
        http.start()
        yield heard, http.url


def every(heard: Heard) -> list[Row]:
    """All rows of the server, asked for without a filter."""
    status, _, body = heard.demo.respond(
        "POST", "/api/v1/jobs/query", {"content-type": "application/json"}, b'{"pageSize": 256}'
    )
    assert status == 200, body
    rows: list[Row] = json.loads(body)["results"]
    assert len(rows) == JOBS
    return rows


class Case(NamedTuple):
    """A filter: its flag, its setting, and what it keeps, said once more in the plainest words."""

    name: str
    flag: Callable[[Row], list[str]]
    setting: Callable[[Row], str]
    keeps: Callable[[Row, Row], bool]
    #: Server -> what the notes must say of it.
    fate: dict[str, str]


HONOURED = "sent, and honoured by the server"
CASES = [
    Case(
        "status",
        lambda _: ["--status", "Failed", "--status", "Aborted"],
        lambda _: 'status = ["Failed", "Aborted"]',
        lambda row, _: row["status"] in ("Failed", "Aborted"),
        dict.fromkeys(("spec", "cromwell", "dsub"), HONOURED),
    ),
    Case(
        "name",
        lambda one: ["--name", one["name"]],
        lambda one: f"name = {json.dumps(one['name'])}",
        lambda row, one: row["name"] == one["name"],
        dict.fromkeys(("spec", "cromwell"), HONOURED),
    ),
    Case(
        "id",
        lambda one: ["--job-id", one["id"]],
        lambda one: f"job_id = {json.dumps(one['id'])}",
        lambda row, one: row["id"] == one["id"],
        {"spec": HONOURED, "cromwell": HONOURED},
    ),
    Case(
        "labels",
        lambda one: ["--label", f"batch={one['labels']['batch']}"],
        lambda one: f"labels = {{ batch = {json.dumps(one['labels']['batch'])} }}",
        lambda row, one: row["labels"].get("batch") == one["labels"]["batch"],
        dict.fromkeys(("spec", "cromwell", "dsub"), "not sent (servers break on it)"),
    ),
    Case(
        "start",
        lambda one: ["--start", one["start"]],
        lambda one: f"start = {json.dumps(one['start'])}",
        lambda row, one: started(row) and at(row["start"]) >= at(one["start"]),
        {"spec": HONOURED, "cromwell": HONOURED},
    ),
    Case(
        "end",
        lambda one: ["--end", one["end"]],
        lambda one: f"end = {json.dumps(one['end'])}",
        lambda row, one: "end" in row and at(row["end"]) <= at(one["end"]),
        {"spec": HONOURED, "cromwell": HONOURED},
    ),
    Case(
        "submission",
        lambda one: ["--submission", one["submission"]],
        lambda one: f"submission = {json.dumps(one['submission'])}",
        lambda row, one: at(row["submission"]) >= at(one["submission"]),
        dict.fromkeys(("spec", "cromwell", "dsub"), HONOURED),
    ),
    Case(
        "userId",
        lambda one: ["--user-id", user(one)],
        lambda one: f"user_id = {json.dumps(user(one))}",
        lambda row, one: row.get("extensions", {}).get("userId", user(one)) == user(one),
        {
            "spec": HONOURED,
            "cromwell": f"{JOBS} jobs could not be judged, as their rows do not tell it: kept",
        },
    ),
    Case(
        "hideArchived",
        lambda _: ["--hide-archived"],
        lambda _: "hide_archived = true",
        lambda row, _: row["labels"].get("flag") != "archive",
        {"spec": HONOURED, "dsub": "not sent (the server does not offer it)"},
    ),
]


def user(row: Row) -> str:
    """Who submitted a job; the Cromwell shim's rows do not tell, so anybody may have."""
    found = row.get("extensions", {}).get("userId", "nobody")
    assert isinstance(found, str)
    return found


def started(row: Row) -> bool:
    """Whether a job has started: the Cromwell shim invents a start for those that have not."""
    return "start" in row and row["status"] not in ("OnHold", "Submitted")


def at(text: str) -> datetime:
    found = moment(text)
    assert found
    return found


def collected(
    folder: Path, url: str, args: list[str], setting: str = ""
) -> tuple[set[str], list[str]]:
    """The ids that a run found in the list, and its notes of filters."""
    config = folder / "jmreport.toml"
    config.write_text(f'[collect]\ntimeframe = "ALL_TIME"\nlog_tails = 0\n{setting}\n')
    where = ["--config", str(config), "--snapshots", str(folder / "snapshots")]
    asking = ["--api-url", url, f"--now={NOW.isoformat()}", "-q"]
    assert main(["collect", *where, *asking, *args]) == 0
    store = Store.open(folder / "snapshots", summarise=analysis.summarise)
    (run,) = store.runs()
    ids = {entry.row.id for entry in store.entries() if entry.row.listed}
    return ids, [note for note in run.notes if note.startswith("Filter ")]


def one_of(rows: list[Row], case: Case) -> Row:
    """A row for whose values the filter keeps some jobs and leaves out others, if there is one."""
    whole = [row for row in rows if {"start", "end"} <= row.keys() and "batch" in row["labels"]]
    telling = (
        row for row in whole[3:] if 0 < sum(case.keeps(each, row) for each in rows) < len(rows)
    )
    return next(telling, whole[3])


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
@pytest.mark.parametrize("like", ["spec", "cromwell", "dsub"])
def test_a_filter_holds_on_every_server_whatever_the_server_does_with_it(
    like: str, case: Case, tmp_path: Path
) -> None:
    with served(like) as (heard, url):
        rows = every(heard)
        one = one_of(rows, case)
        ids, notes = collected(tmp_path, url, case.flag(one))
    assert ids == {row["id"] for row in rows if case.keeps(row, one)}
    (note,) = notes
    assert note.startswith(f"Filter {case.name}: ")
    assert case.fate.get(like, "") in note


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_setting_is_the_same_as_its_flag(case: Case, tmp_path: Path) -> None:
    with served("spec") as (heard, url):
        rows = every(heard)
        one = one_of(rows, case)
        ids, _ = collected(tmp_path, url, [], case.setting(one))
    assert ids == {row["id"] for row in rows if case.keeps(row, one)}


def test_what_a_server_ignores_is_said_with_the_number_left_out_here(tmp_path: Path) -> None:
    """dsub answers a question for one id with all jobs."""
    with served("dsub") as (heard, url):
        rows = every(heard)
        ids, notes = collected(tmp_path, url, ["--job-id", "no-such-job"])
    assert ids == set()
    assert notes == [
        "Filter id: sent, and ignored by the server; applied here, which left out "
        f"{len(rows)} jobs."
    ]


def test_a_filter_that_breaks_a_server_is_left_out_alone(tmp_path: Path) -> None:
    """dsub answers 500 to another user's id: the status is still sent, and both hold."""
    with served("dsub") as (heard, url):
        rows = every(heard)
        args = ["--user-id", "somebody", "--status", "Failed"]
        ids, notes = collected(tmp_path, url, args)
        assert heard.queries[-1]["status"] == ["Failed"]
        assert "extensions" not in heard.queries[-1]
    assert ids == {
        row["id"]
        for row in rows
        if row["status"] == "Failed" and row["extensions"].get("userId", "somebody") == "somebody"
    }
    assert notes[0].startswith("Filter userId: refused by the server (")
    assert "Filter status: sent, and honoured by the server." in notes


def test_every_filter_is_told_on_the_quality_page(tmp_path: Path) -> None:
    with served("cromwell") as (_, url):
        code = main(
            [
                *("build", "--api-url", url, f"--now={NOW.isoformat()}", "-q"),
                *("--timeframe=ALL_TIME", "--config", os.devnull),
                *("--snapshots", str(tmp_path / "snapshots"), "--site", str(tmp_path / "site")),
                *("--status", "Failed", "--label", "owner=ana", "--user-id", "u"),
            ]
        )
    assert code in (0, 3)
    page = (tmp_path / "site" / addresses.QUALITY).read_text()
    for said in (
        "Filter status: sent, and honoured by the server.",
        "Filter labels: not sent (servers break on it); applied here, which left out",
        "Filter userId: not sent (the server does not offer it)",
    ):
        assert said in page


def test_the_about_page_has_the_command_that_asks_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every filter, and each word as a shell takes it: copied, it makes the same run."""
    monkeypatch.chdir(tmp_path)
    places = ["--snapshots", "it's here/snapshots", "--site", "it's here/site"]
    (tmp_path / "it's here").mkdir()
    filters = ["--status", "Failed", "--status", "Aborted", "--label", "owner=ana li", "--name"]
    filters += [
        "wgs cover",
        "--user-id",
        "ana",
        "--hide-archived",
        "--start",
        "2026-11-01T00:00:00Z",
    ]
    with served("spec") as (_, url):
        asking = ["--api-url", url, "--timeframe", "DAYS_30", "--config", os.devnull, "-q"]
        assert main(["build", *asking, f"--now={NOW.isoformat()}", *places, *filters]) in (0, 3)
        page = Path("it's here/site", addresses.ABOUT).read_text()
        said = html.unescape(re.findall(r"jmreport build [^<]*", page)[0])
        assert main([*shlex.split(said)[1:], f"--now={NOW.isoformat()}", "-q"]) in (0, 3)
    first, again = Store.open(Path("it's here/snapshots"), summarise=analysis.summarise).runs()
    assert again.asked == first.asked
    assert again.asked.filters.labels == {"owner": "ana li"}


def built(folder: Path, url: str, *args: str) -> dict[str, str]:
    """The files of a site in which anybody reads of a filter, by their names."""
    site = folder / "site"
    places = ["--snapshots", str(folder / "snapshots"), "--site", str(site)]
    asking = ["--api-url", url, f"--now={NOW.isoformat()}", "--timeframe=ALL_TIME", "-q"]
    assert main(["build", *asking, "--config", os.devnull, *places, *args]) in (0, 3)
    (night,) = site.glob("nights/2*/index.html")
    files = {name: site / name for name in ("index.html", "jobs/index.html", "data/feed.xml")}
    files |= {"night": night, "quality.html": site / addresses.QUALITY}
    files |= {"report.json": site / "data/report.json"}
    return {name: path.read_text() for name, path in files.items()}


def test_a_filter_that_lets_nothing_through_is_no_quiet_night(tmp_path: Path) -> None:
    """A label is judged here, so that the others were seen and are counted."""
    with served("spec") as (_, url):
        told = built(tmp_path, url, "--label", "batch=misspelt")
    for page in ("index.html", "jobs/index.html"):
        assert f"The filter (label batch=misspelt) let none of {JOBS} jobs through." in told[page]
    for page in ("index.html", "night", "data/feed.xml"):
        assert "No job passed the filter" in told[page]
        assert "No job was submitted" not in told[page]
    assert json.loads(told["report.json"])["filter"] == {
        "said": "label batch=misspelt",
        "left_out": JOBS,
        "unseen": [],
    }
    assert f"<dt>Jobs that the filters left out</dt><dd>{JOBS}</dd>" in told["quality.html"]


def test_what_a_server_left_out_is_not_known_and_never_0(tmp_path: Path) -> None:
    with served("spec") as (_, url):
        told = built(tmp_path, url, "--status", "Succeeded")
    for page in ("index.html", "night", "data/feed.xml"):
        assert "(status Succeeded); how many others there are is not known." in told[page]
        assert "Failed jobs were not asked for" in told[page]
    for page in ("index.html", "night"):
        tiles = re.findall(r'class="n">([^<]*)</span> <span class="what">([^<]*)', told[page])
        assert {what: n for n, what in tiles}["Failing"] == "—"
        assert {what: n for n, what in tiles}["Stuck"] == "—"
        assert "not asked for" in told[page]
    found = json.loads(told["report.json"])["filter"]
    assert found["left_out"] is None
    counts = {"failing", "new", "still_failing", "stuck", "running", "missing"}
    counts |= {"not_run", "unjudged"}
    assert {*found["unseen"]} == counts
    assert "<dt>Jobs that the filters left out</dt><dd>not known</dd>" in told["quality.html"]


def test_no_page_counts_0_failures_where_failed_jobs_were_not_asked_for(tmp_path: Path) -> None:
    """No number of them, no rate that is made of them, and no promise that looks kept."""
    settings = tmp_path / "jmreport.toml"
    settings.write_text('[[slo]]\nlabel = "owner"\ntarget = 0.9\n[gate]\nfail_on = ["slo"]\n')
    site = tmp_path / "site"
    with served("spec") as (_, url):
        code = main(
            [
                *("build", "--api-url", url, f"--now={NOW.isoformat()}", "--timeframe=ALL_TIME"),
                *("-q", "--config", str(settings), "--status", "Succeeded"),
                *("--snapshots", str(tmp_path / "snapshots"), "--site", str(site)),
            ]
        )
    assert code == 6, "a gate on promises passes none that nobody can tell"
    overview = (site / "index.html").read_text()
    assert "failed and aborted jobs not asked for" in overview
    assert "Not told" in overview
    assert "Kept" not in overview
    pages = {addresses.WORKFLOWS, addresses.LABELS, "index.html"}
    pages |= {str(page.relative_to(site)) for page in site.glob("labels/owner*.html")}
    pages |= {str(page.relative_to(site)) for page in site.glob("workflows/*.html")}
    for name in sorted(pages):
        page = (site / name).read_text()
        assert not re.search(r"(?<![.\d])0 %|100 %", page), name
        assert "No failures" not in page, name
        assert "none of their jobs failed" not in page, name
    (flow, *_) = site.glob("workflows/[!i]*.html")
    assert "Failed jobs were not asked for" in flow.read_text()
    tasks = (site / addresses.TASKS).read_text()
    assert "Failed jobs were not asked for." in tasks
    assert "What failed jobs lost is not among it: they were not asked for." in tasks
    assert "No task failed" not in tasks
    told = json.loads((site / "data/report.json").read_text())["slos"]
    assert told
    assert {(one["told"], one["broken"], one["left"]) for one in told} == {(False, False, None)}


def test_pages_without_a_job_name_the_filter_that_may_be_why(tmp_path: Path) -> None:
    with served("spec") as (_, url):
        built(tmp_path, url, "--label", "batch=misspelt")
    for name in (addresses.WORKFLOWS, addresses.label("name")):
        page = (tmp_path / "site" / name).read_text()
        assert "The filter (label batch=misspelt) may be why." in page
    for name in (addresses.CAUSES, addresses.TASKS, addresses.GRID, addresses.JOBS):
        page = (tmp_path / "site" / name).read_text()
        assert "02:14 UTC, filtered</time>" in page


def test_without_a_filter_nothing_is_said_of_one(tmp_path: Path) -> None:
    with served("spec") as (_, url):
        told = built(tmp_path, url)
    assert not any("Filtered." in page or "the filter let" in page for page in told.values())
    assert json.loads(told["report.json"])["filter"] is None
