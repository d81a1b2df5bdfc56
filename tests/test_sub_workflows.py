"""Sub-workflows over HTTP: followed within limits, told of on the page of the job above them."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import built_sites
import mail_cases
import pytest
import site_cases
from msgspec.structs import replace
from test_collectors_crawl import job

from jmreport import pipeline
from jmreport.errors import Exit
from jmreport.progress import SilentProgress
from jmreport.records import Failure, run_id
from jmreport.render import addresses, jobpage
from jmreport.render.jobfacts import site_facts
from jmreport.report.jobs import JobContext
from jmreport.settings import Api, Collect, Settings

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
WHEN = {
    "submission": "2026-11-22T22:00:00+00:00",
    "start": "2026-11-22T22:00:05+00:00",
    "end": "2026-11-22T23:00:00+00:00",
}


class Jobs:
    """A server that lists jobs, one if nothing else is said, and answers with what a function makes
    of any job's id."""

    def __init__(self, root: str, detail: Callable[[str], Any], *others: str) -> None:
        self.listed, self.detail = (root, *others), detail
        self.asked: list[str] = []

    def respond(
        self, method: str, target: str, _headers: Mapping[str, str], _body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        kind = {"Content-Type": "application/json"}
        path = target.removeprefix("/api/v1")
        if path == "/capabilities":
            return 200, kind, b"{}"
        if path == "/health":
            return 200, kind, b'{"available": true}'
        if path == "/jobs/query" and method == "POST":
            row = {"name": "top", "status": "Failed", **WHEN}
            rows = [{"id": each, **row} for each in self.listed]
            return 200, kind, json.dumps({"results": rows}).encode()
        name = path.removeprefix("/jobs/")
        found = self.detail(name) if path.startswith("/jobs/") and "/" not in name else 404
        if isinstance(found, int):
            return found, {"Content-Type": "text/plain"}, b""
        self.asked.append(name)
        return 200, kind, json.dumps(found).encode()


def build(folder: Path, jobs: Jobs, *, now: datetime = NOW, **collect: int) -> pipeline.Outcome:
    own = Collect(**collect)  # type: ignore[arg-type]  # the keywords are Collect's own
    settings = built_sites.settings_of(folder, api=Api(tries=1), collect=own)
    return built_sites.build(settings, jobs, now=now)


def page(folder: Path, name: str) -> str:
    return (folder / "site" / addresses.job(name)).read_text()


def calling(name: str, *children: str, **more: Any) -> dict[str, Any]:
    tasks = [{"name": f"call_{child}", "jobId": child} for child in children]
    return job(name, tasks=tasks, **WHEN, **more)


@pytest.mark.parametrize("children", [("top",), ("a", "top"), ("a", "a")])
def test_children_that_point_at_themselves_and_their_ancestors_end(
    tmp_path: Path, children: tuple[str, ...]
) -> None:
    """Each job is read once, however often it is named."""
    jobs = Jobs("top", lambda name: calling(name, *children, status="Failed"))
    assert build(tmp_path, jobs).exit in (Exit.DONE, Exit.INCOMPLETE)
    assert sorted(jobs.asked) == sorted({"top", *children})


def test_a_thousand_levels_are_followed_to_the_limit_and_the_rest_is_told(tmp_path: Path) -> None:
    """The run is incomplete, and says which setting is the limit."""

    def deeper(name: str) -> Any:
        level = int(name)
        return calling(name, *([str(level + 1)] if level < 1_000 else []))

    jobs = Jobs("0", deeper)
    outcome = build(tmp_path, jobs, max_depth=10)
    assert outcome.exit == Exit.INCOMPLETE
    assert sorted(map(int, jobs.asked)) == list(range(11))
    assert "max_depth" in (tmp_path / "site/quality.html").read_text()


def test_very_many_children_are_read_to_the_limit_and_the_rest_is_told(
    tmp_path: Path,
) -> None:
    def wide(name: str) -> Any:
        if name != "top":
            return calling(name)
        shards = [{"shardIndex": n, "jobId": f"s{n}"} for n in range(3_000)]
        return job("top", tasks=[{"name": "t", "shards": shards}], **WHEN)

    jobs = Jobs("top", wide)
    outcome = build(tmp_path, jobs, max_sub_workflows=20)
    assert outcome.exit == Exit.INCOMPLETE
    assert len(jobs.asked) == 21
    quality = (tmp_path / "site/quality.html").read_text()
    assert "max_sub_workflows" in quality
    assert len(page(tmp_path, "top")) < 250_000


def failing(name: str) -> Any:
    """top calls middle and lost; middle calls inner, in which it begins."""
    if name == "lost":
        return 500
    if name == "inner":
        task = {
            "name": "Align",
            "executionStatus": "Failed",
            "operationId": "op",
            "start": "2026-11-22T22:10:00+00:00",
            "end": "2026-11-22T22:30:00+00:00",
            "failureMessages": ["No space left on device"],
        }
        return job("inner", tasks=[task], status="Failed", **WHEN)
    children = {"top": ("middle", "lost"), "middle": ("inner",)}[name]
    return calling(name, *children, status="Failed", failures=[{"failure": "a child failed"}])


def test_where_a_failure_began_stands_first_on_the_page_of_the_job_above(tmp_path: Path) -> None:
    """Its message, and links to the page of the sub-workflow: before the job's own failures."""
    build(tmp_path, Jobs("top", failing))
    html = page(tmp_path, "top")
    assert html.index("No space left on device") < html.index("a child failed</pre>")
    inner = addresses.job("inner").removeprefix("jobs/")
    assert f'<a href="{inner}">' in html
    assert f'<a href="{inner}#failures">Align</a>' in html
    assert addresses.job("top").removeprefix("jobs/") in page(tmp_path, "middle")


def test_the_tasks_of_a_sub_workflow_are_drawn_below_the_call_that_started_it(
    tmp_path: Path,
) -> None:
    build(tmp_path, Jobs("top", failing))
    html = page(tmp_path, "middle")
    lane = html.index('<li class="below">')
    assert html.index(">call_inner</a>") < lane < html.index(">Align</a>", lane)


def test_a_sub_workflow_that_could_not_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    build(tmp_path, Jobs("top", failing))
    html = page(tmp_path, "top")
    rows = html[html.index('id="sub-jobs"') :]
    assert addresses.job("lost").removeprefix("jobs/") in rows
    assert "500" in rows[: rows.index("</table>")]


def test_failed_sub_workflows_come_first_then_those_not_read_then_the_others(
    tmp_path: Path,
) -> None:
    """What nobody knows of could have failed, so it never stands below what went well."""

    def detail(name: str) -> Any:
        if name == "lost":
            return 500
        if name == "top":
            return calling("top", "fine", "lost", "broken", "beyond", status="Failed")
        return job(name, status="Failed" if name == "broken" else "Succeeded", **WHEN)

    jobs = Jobs("top", detail)
    assert build(tmp_path, jobs, max_sub_workflows=3).exit == Exit.INCOMPLETE
    _, _, rest = page(tmp_path, "top").partition('id="sub-jobs"')
    rows = rest.partition("</table>")[0]
    places = [rows.index(word) for word in (">broken<", ">lost<", ">beyond<", ">fine<")]
    assert places == sorted(places)
    assert "Not read: server error 500" in rows
    assert "Not read; the data quality page says why." in rows


def test_waste_is_not_told_as_none_where_a_sub_workflow_could_not_be_read(tmp_path: Path) -> None:
    """On the pages of tasks and of its workflow, on the overview and in report.json."""

    def detail(name: str) -> Any:
        ran = {"executionStatus": "Succeeded", "start": WHEN["start"], "end": WHEN["end"]}
        call = {"name": "call", "jobId": f"{name}-below"} if name == "top" else {"name": "Sort"}
        return 500 if name == "top-below" else job(name, tasks=[call | ran], **WHEN)

    build(tmp_path, Jobs("top", detail, "sound"))
    tasks = (tmp_path / "site/tasks/index.html").read_text()
    assert "every one of 1 h that could be read led to a success." in tasks
    said = r"<b>Not all is counted.</b> The attempts of <a [^>]*>1 job</a> could not all be read."
    assert re.search(said, tasks)
    unread = "none that is known: the attempts of 1 job could not all be read"
    assert unread in (tmp_path / "site/index.html").read_text()
    assert unread in (tmp_path / "site" / addresses.workflow("top")).read_text()
    assert "waste-workflows" not in tasks
    waste = report_of(tmp_path)["waste"]
    assert [waste[part]["unread_jobs"] for part in ("night", "report")] == [1, 1]


def test_no_hours_are_all_of_success_beside_an_attempt_with_no_time_known(tmp_path: Path) -> None:
    """Such as a call that Cromwell left running in a job that was aborted."""

    def detail(name: str) -> Any:
        left = {"name": "Cut", "executionStatus": "Running"}
        ran = {"executionStatus": "Succeeded", "start": WHEN["start"], "end": WHEN["end"]}
        return job(name, tasks=[left, {"name": "Sort", **ran}], status="Aborted", **WHEN)

    build(tmp_path, Jobs("top", detail))
    tasks = (tmp_path / "site/tasks/index.html").read_text()
    assert "<p>In this report: 1 attempt with no time known.</p>" in tasks
    assert "Cut of top lost 1 attempt with no time known." in tasks
    waste = report_of(tmp_path)["waste"]
    assert [waste[part]["untimed_attempts"] for part in ("night", "report")] == [1, 1]


def test_sub_workflows_that_could_not_be_read_are_counted_apart_from_the_jobs(
    tmp_path: Path,
) -> None:
    """On the overview and its night's page, in mails, and on the page of data quality: there a
    list of them says whose they are."""

    def detail(name: str) -> Any:
        return 500 if name != "top" else calling("top", *(f"lost{n}" for n in range(5)))

    build(tmp_path, Jobs("top", detail))
    site, said = tmp_path / "site", "0 of 1 job and 5 of its sub-workflows could not be read whole."
    for place in ("index.html", "quality.html", addresses.night(run_id(NOW))):
        assert said in (site / place).read_text()
    mail = mail_cases.text(mail_cases.one(tmp_path, replace(mail_cases.ANA, labels={})))
    assert said in mail
    assert "not known: the attempts of 1 job could not all be read" in mail
    quality = (site / "quality.html").read_text()
    (href,) = re.findall(r'href="(jobs/unreadable[^"]*)"', quality)
    listed = (site / href).read_text()
    assert "<h1>5 sub-workflows that could not be read whole</h1>" in listed
    assert listed.count("sub-workflow of top") == 5


@pytest.mark.parametrize("why", ["Not read: server error 500", "Not read; the data quality page"])
def test_a_failure_that_may_have_begun_deeper_says_what_was_not_read_there(
    tmp_path: Path, why: str
) -> None:
    """Though all that lies right below the job was read."""

    def detail(name: str) -> Any:
        return 500 if name == "top1-inner" else heaps(name)

    limits: dict[str, Any] = {} if "500" in why else {"max_depth": 1}
    build(tmp_path, Jobs("top1", detail), **limits)
    html = page(tmp_path, "top1")
    assert "<b>Not everything could be read.</b> 1 sub-job of its failed sub-workflows was" in html
    below = html[html.index('id="failed-below"') :]
    link = re.search(r"<p>It may have begun in its sub-job (.*?)\. (.*?)</p>", below)
    assert link is not None
    assert ("href" in link[1]) == ("500" in why)
    assert link[2].startswith(why)


HEAP = "java.lang.OutOfMemoryError: Java heap space"
TOPS = ("top1", "top2", "top3")


def heaps(name: str) -> Any:
    """Each top calls a middle, and that an inner, in which Sort runs out of memory.

    Of this Cromwell says no more above than that the workflow failed.
    """
    top, _, level = name.partition("-")
    named: dict[str, Any]
    if level == "inner":
        sort = {"name": "Sort", "executionStatus": "Failed", "failureMessages": [HEAP]}
        told = [{"taskName": "Sort", "failure": HEAP, "shardIndex": -1}]
        named = {"name": "inner", "status": "Failed", "failures": told}
        return job(name, tasks=[sort], **WHEN) | named
    said = {"status": "Failed", "failures": [{"taskName": "Workflow Error", "failure": "failed"}]}
    below = f"{top}-inner" if level else f"{top}-middle"
    call = {"name": f"call_{below[5:]}", "jobId": below, "executionStatus": "Failed"}
    named = {"name": level or "top", "inputs": {"sample": top}}
    return job(name, tasks=[call], **WHEN) | said | named


def report_of(folder: Path) -> Any:
    return json.loads((folder / "site/data/report.json").read_text())


def told_of(folder: Path) -> list[tuple[str, list[str], list[str]]]:
    """Title, tasks and jobs of each cause."""
    return [
        (cause["title"], cause["tasks"], sorted(cause["jobs"]))
        for cause in report_of(folder)["causes"]
    ]


def test_jobs_have_the_cause_that_the_deepest_failed_sub_workflow_tells(tmp_path: Path) -> None:
    """With its task, on the overview, in lists and on the job's own page, which leads there."""
    build(tmp_path, Jobs(TOPS[0], heaps, *TOPS[1:]))
    assert told_of(tmp_path) == [(HEAP, ["inner.Sort"], [*TOPS])]
    (cause,) = report_of(tmp_path)["causes"]
    assert cause["class"] == "out of memory"
    html = page(tmp_path, "top1")
    assert "ran out of memory" in html
    inner = addresses.relative(addresses.job("top1"), addresses.job("top1-inner"))
    assert f'<a href="{inner}#failures">inner.Sort</a> ran out of memory' in html
    assert addresses.cause(cause["id"]).rpartition("/")[2] in html
    for place in ("index.html", "causes/index.html", addresses.cause(cause["id"])):
        assert HEAP in (tmp_path / "site" / place).read_text()
    assert "inner.Sort" in (tmp_path / "site/data/jobs.csv").read_text()


def test_a_failure_of_a_call_between_leads_to_the_sub_workflow_that_tells_of_it() -> None:
    """Where that names no task, as for an input that is missing; and nowhere where none says so."""
    (entry,) = site_cases.entries(1, site_cases.runs(1))
    said = Failure(message="no such input", task="middle.call_inner", shard=2)
    row = replace(entry.row, status="Failed", failure=said)
    inner = replace(row, id="inner", listed=False, failure=Failure(message="no such input"))
    other = replace(inner, id="other", failure=Failure(message="disk full"))
    for below, href in (((other, inner), "#failures"), ((other,), "")):
        context = JobContext(entry=replace(entry, row=row), failed_below=below)
        view = jobpage.view(site_cases.record(row), context, site_facts(Settings()))
        page = addresses.relative(view.address, addresses.job("inner")) if href else ""
        assert (view.verdict.task, view.verdict.href) == (said.task, f"{page}{href}")


def test_where_a_sub_workflow_was_not_read_the_cause_is_what_the_deepest_above_it_says(
    tmp_path: Path,
) -> None:
    """Whether the server gave no answer, or it lies below the limit."""

    def silent(name: str) -> Any:
        return 500 if name.endswith("-inner") else heaps(name)

    build(tmp_path / "gap", Jobs("top1", silent))
    build(tmp_path / "limit", Jobs("top1", heaps), max_depth=1)
    for folder in ("gap", "limit"):
        assert told_of(tmp_path / folder) == [("failed", [], ["top1"])]


def test_a_sub_workflow_that_comes_in_a_later_run_tells_from_then_on(tmp_path: Path) -> None:
    """The night before stays as it was told, also where all nights are told again at once."""

    def later(name: str) -> Any:
        return 500 if name.endswith("-inner") else heaps(name)

    build(tmp_path, Jobs("top1", later))
    assert told_of(tmp_path) == [("failed", [], ["top1"])]
    (cause_of_night,) = report_of(tmp_path)["causes"]
    build(tmp_path, Jobs("top1", heaps), now=NOW + timedelta(days=1))
    assert told_of(tmp_path) == [(HEAP, ["inner.Sort"], ["top1"])]
    assert "ran out of memory" in page(tmp_path, "top1")
    grown = site_cases.contents(tmp_path / "site")
    (tmp_path / "site").rename(tmp_path / "former")
    settings = built_sites.settings_of(tmp_path, api=Api(tries=1))
    pipeline.render(settings, progress=SilentProgress(), workers=1)
    # The page of the cause that nobody has any more stays where it was made.
    former = addresses.cause(cause_of_night["id"])
    assert grown.pop(former)
    assert site_cases.contents(tmp_path / "site") == grown


def failed_tasks(folder: Path) -> dict[str, str]:
    """The row of each failed task on the page of tasks."""
    html = (folder / "site/tasks/index.html").read_text()
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', html)
    return {re.sub(r"<[^>]*>", "", name): row for name, row in rows if "Cause now" in row}


def test_a_task_and_the_call_of_its_sub_workflow_fail_now_while_the_job_does(
    tmp_path: Path,
) -> None:
    build(tmp_path, Jobs(TOPS[0], heaps, *TOPS[1:]))
    rows = failed_tasks(tmp_path)
    assert rows.keys() == {"call_middle", "inner.Sort"}
    assert all(HEAP in row for row in rows.values())
    assert all(
        'data-label="Cause now" class="long"><a href="../causes/' in row for row in rows.values()
    )


def test_a_task_has_no_cause_of_another_in_which_the_same_job_failed(tmp_path: Path) -> None:
    """A job has one cause; that of its other tasks is not known, and their rows say so."""

    def broad(name: str) -> Any:
        told = [{"taskName": f"T{n}", "failure": f"broke as only {n} can"} for n in "abc"]
        own = [{"name": f"T{n}", "executionStatus": "Failed"} for n in "abc"]
        return job(name, tasks=own, failures=told, status="Failed", **WHEN)

    build(tmp_path, Jobs("top1", broad))
    rows = failed_tasks(tmp_path)
    assert [("as only" in row, "another task" in row) for row in rows.values()] == [
        (True, False), (False, True), (False, True),
    ]  # fmt: skip


def test_a_task_that_fails_without_a_message_fails_now(tmp_path: Path) -> None:
    """Its row leads to the cause of those of which none came."""

    def silent(name: str) -> Any:
        return job(
            name, tasks=[{"name": "Cut", "executionStatus": "Failed"}], status="Failed", **WHEN
        )

    build(tmp_path, Jobs("top", silent))
    (row,) = failed_tasks(tmp_path).values()
    assert re.search(r'<a href="\.\./causes/[^"]+"><code>no message</code></a>', row)


def test_a_call_whose_sub_workflow_was_not_read_fails_now_while_the_job_does(
    tmp_path: Path,
) -> None:
    build(tmp_path, Jobs("top1", heaps), max_depth=0)
    assert "<code>failed</code>" in failed_tasks(tmp_path)["call_middle"]
