"""Pages of workflows: what they count, what they lead to, and what is not known of a workflow."""

import re
from pathlib import Path

import pytest
from mail_cases import HEAP, job, night, one, settings, store, text
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.progress import SilentProgress
from jmreport.records import Failure, JobRow
from jmreport.render import addresses, labelpages, workflowlist

PAGE = addresses.workflow("germline")


def rendered(folder: Path, page: str) -> str:
    """What a reader of a page sees, and its links, on one line."""
    pipeline.render(settings(folder), progress=SilentProgress(), workers=1)
    text = (folder / "site" / page).read_text()
    text = re.sub(r"<(?!a |/a).*?>", " ", text[text.index("<h1") :])
    return " ".join(text.split())


def title(page: str) -> str:
    return page.partition(" Workflows of this report")[0]


def test_the_list_counts_failing_workflows_that_did_not_run(tmp_path: Path) -> None:
    """One that runs weekly, in reports of a day: as the overview, the title counts it."""
    weekly = job("w", 2, "Failed", name="weekly")
    store(tmp_path / "snapshots", [weekly], [job("a", 1)], [job("a", 0)], timeframe="HOURS_24")
    page = rendered(tmp_path, "workflows/index.html")
    assert title(page) == "1 workflow, 1 still failing (not in this report)"
    assert "Not in this report" in page


def test_the_list_tells_how_many_of_the_failing_workflows_did_not_run(tmp_path: Path) -> None:
    weekly = job("w", 2, "Failed", name="weekly")
    nights = [[weekly], [job("a", 1, "Failed")], [job("a", 0, "Failed")]]
    store(tmp_path / "snapshots", *nights, timeframe="HOURS_24")
    page = rendered(tmp_path, "workflows/index.html")
    assert title(page) == "1 workflow, 2 still failing (1 not in this report)"


def test_a_workflow_of_which_nothing_fails_says_what_else_is_wrong(tmp_path: Path) -> None:
    """Stuck, missing and unknown jobs are no failures, and no good news: they come first."""
    before = [[job("m", ago, name="lost")] for ago in range(6, 0, -1)]
    waiting = job("s", 1, "Submitted", name="slow")
    last = [job("p", 0, "Paused", name="odd"), job("a", 0, name="aaa"), waiting]
    store(tmp_path / "snapshots", *before, [*before[-1], *last])
    page = rendered(tmp_path, "workflows/index.html")
    said = "4 workflows, 1 with missing jobs, 1 with stuck jobs, 1 with unknown jobs"
    assert title(page) == said
    assert re.findall(r">(\w+)</a> (No [\w, ]+?) <", page) == [
        ("lost", "No failures, 1 missing"),
        ("odd", "No failures, 1 unknown"),
        ("slow", "No failures, 1 stuck"),
        ("aaa", "No failures"),
    ]
    own = (tmp_path / "site" / addresses.workflow("slow")).read_text()
    assert "No failures, 1 stuck. 1 job in this report." in own


def test_of_a_cause_that_is_older_than_what_fails_of_it_rows_say_so(tmp_path: Path) -> None:
    """Work that fails newly may fail of what others failed of for weeks."""
    nights = [[job("a", 3, "Failed")], [job("a", 2)], [job("b", 1)], [job("b", 0, "Failed")]]
    store(tmp_path / "snapshots", *nights)
    said = "last success 22 Nov 00:14 cause first seen 20 Nov 00:14"
    assert said in rendered(tmp_path, PAGE)
    for page in ("index.html", f"nights/{night(0)}/index.html"):
        assert said in " ".join(
            re.sub("<.*?>", " ", (tmp_path / "site" / page).read_text()).split()
        )
    assert "cause first seen 20 Nov 00:14" in text(one(tmp_path))


def test_a_task_leads_to_the_jobs_that_failed_in_it_whatever_others_do(tmp_path: Path) -> None:
    """A job that runs, or succeeded at last, has failed in the task as well, and is not counted."""
    others = [
        replace(job(name, 0, status), failure=Failure(message=HEAP, task="Align"))
        for name, status in (("r", "Running"), ("s", "Succeeded"))
    ]
    store(tmp_path / "snapshots", [*(job(f"f{n}", 0, "Failed") for n in range(3)), *others])
    page = rendered(tmp_path, PAGE)
    [link] = re.findall(r'Align <a href="([^"]+)">3</a>', page)
    listed = (tmp_path / "site" / PAGE).parent / link.partition("#")[0]
    assert listed.is_file()


@pytest.mark.parametrize(
    "jobs",
    [
        [job(f"s{n}", 1) for n in range(4)] + [job(f"f{n}", 0, "Failed") for n in range(50)],
        [replace(each, start=each.end) for each in (job(f"s{n}", 0) for n in range(50))],
        [job("f", 0, "Failed")],
    ],
)
def test_how_often_a_workflow_succeeded_is_not_said_where_nobody_counted(
    tmp_path: Path, jobs: list[JobRow]
) -> None:
    """What is kept of it are the last that ended, however they did."""
    store(tmp_path / "snapshots", jobs)
    page = rendered(tmp_path, PAGE)
    assert "No usual duration yet: it needs 5 successful runs that took a known time." in page
    assert "een to succeed" not in page


def test_a_list_of_very_many_workflows_shows_the_first_and_leads_to_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that need somebody, then those that ran last; the others are on pages of their label.

    Jobs without a workflow, which no label's page leads to, are never left out.
    """
    monkeypatch.setattr(workflowlist, "ROWS", 2)
    monkeypatch.setattr(labelpages, "VALUES", 3)
    # Of the earlier ones `e` fails.
    nights = [[job("s", ago, name=name)] for ago, name in ((5, "c"), (4, "a"), (3, "b"))]
    nights.insert(0, [job("s", 6, "Failed", name="e"), job("s", 6, name="")])
    last = [job("s", 0, name=name) for name in ("v", "w", "x")]
    last.append(job("f", 0, "Failed", name="z"))
    store(tmp_path / "snapshots", *nights, [], [], last, timeframe="HOURS_24")
    page = rendered(tmp_path, addresses.WORKFLOWS)
    listed = r'<a href="([a-z]+-\w+\.html)">([^<]+)</a>'
    assert [name for _, name in re.findall(listed, page)] == ["z", "v", "e", "(no name)"]
    assert "2 of 4 workflows: those of which something fails" in page
    assert "2 of 5 workflows: those of which something fails" in page
    [(to, said)] = set(re.findall(r'<a href="([^"#]+)#frame-all-time">([^<]+)</a>', page))
    assert said == "All 9 workflows"
    site = tmp_path / "site"
    labels = to_follow = {(site / addresses.WORKFLOWS).parent.joinpath(to).resolve()}
    while to_follow:
        found = {
            at.parent.joinpath(to).resolve()
            for at in to_follow
            for to in re.findall('href="(name-[^"#]+)', at.read_text())
        }
        to_follow = found - labels
        labels = labels | found
    leads = re.findall(r"workflows/[a-z]+-\w+\.html", "".join(at.read_text() for at in labels))
    everything = {each.name for each in (site / "workflows").glob("*-*.html")}
    shown = {to for to, _ in re.findall(listed, page)}
    assert len(labels) == 3
    assert shown | {to.partition("/")[2] for to in leads} == everything


def test_of_the_workflows_of_earlier_reports_those_that_ended_last_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflowlist, "ROWS", 2)
    nights = [[job("s", ago, name=name)] for ago, name in ((5, "a"), (3, "c"), (4, "b"))]
    store(tmp_path / "snapshots", *nights, [], [job("s", 0, name="x")], timeframe="HOURS_24")
    page = rendered(tmp_path, addresses.WORKFLOWS)
    assert re.findall(r">(\w)</a> No ", page) == ["x", "b", "c"]


def test_a_list_without_room_for_all_that_fail_says_how_many_more_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both tables; and of those that did not run, that nothing of them is new."""
    monkeypatch.setattr(workflowlist, "ROWS", 2)
    earlier = [job("f", 3, "Failed", name=name) for name in "abc"]
    last = [job("f", 0, "Failed", name=name) for name in "wxyz"]
    store(tmp_path / "snapshots", earlier, [], [], last, timeframe="HOURS_24")
    page = rendered(tmp_path, addresses.WORKFLOWS)
    said = "the worst first: of {} something fails, is missing, stuck or unknown too."
    assert f"2 of 4 workflows, {said.format('2 more (2 with new failures)')}" in page
    assert f"2 of 3 workflows, {said.format('1 more')}" in page
