"""Rows of lists of jobs: each is made once for the many pages that show it, and few are kept."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hostile import PAYLOADS
from markupsafe import Markup, escape
from msgspec.structs import replace
from site_cases import NOW, contents, entries, report, runs, write

from jmreport.gaps import Gap
from jmreport.models import DisplayField
from jmreport.records import Entry, Failure, JobRow
from jmreport.render import jobcells, planwriting
from jmreport.render.jobcells import Cell, Jobs, Lent, Line
from jmreport.render.joblists import NO_NAME, Lists, index_pages, rows_script
from jmreport.render.page import LAST
from jmreport.render.words import zone


def known(count: int) -> tuple[Jobs, list[str]]:
    over = runs(2)
    found = report(entries(count, over), over)
    jobs = Jobs(found, zone=zone("UTC"), pages={"wf"})
    return jobs, [entry.row.id for entry in found.jobs]


def line(jobs: Jobs, job: str, at: str, *, without: str = "") -> Line:
    """The row of one job."""
    (found,) = jobs.lines((job,), at, without=without)
    return found


def test_a_row_is_printed_once_for_all_pages_of_a_folder() -> None:
    jobs, (job, *_) = known(3)
    calls: list[int] = []

    def macro(cells: tuple[Cell, ...]) -> Markup:
        calls.append(len(cells))
        return Markup("<tr></tr>")

    for page in ("jobs/a.html", "jobs/b.html", "jobs/a.html"):
        assert line(jobs, job, page).printed(macro) == "<tr></tr>"
    assert calls == [len(jobs.columns)]


#: Columns of every kind: of the job itself, a label, a date, and what only the server knows.
COLUMNS = (
    DisplayField(field="status", display="Status"),
    DisplayField(field="submission", display="Submitted"),
    DisplayField(field="end", display="Ended"),
    DisplayField(field="labels.owner", display="Owner"),
    DisplayField(field="extensions.userId", display="User"),
    DisplayField(field="extensions.lastUpdate", display="Updated", field_type="date"),
    DisplayField(field="extensions.statusDetail", display="Detail"),
)
SHOWN: dict[str, Any] = {
    "status": "Aborted",
    "name": "another",
    "submission": NOW - timedelta(days=3),
    "start": NOW - timedelta(days=2),
    "end": NOW - timedelta(days=1),
    "labels": {"owner": "cleo", "sample": "s"},
    "user": "cleo@example.org",
    "failure": Failure(message="another", task="Align"),
    "extra": {"extensions.lastUpdate": "2026-11-21T02:00:00Z", "extensions.statusDetail": "d"},
}
NOT_SHOWN: dict[str, Any] = {
    "labels": {"owner": "ana", "sample": "another"},
    "extra": {"extensions.statusDetail": "d", "extensions.other": "another"},
    "parent": "another",
    "children": ("another",),
    "key": "another",
    "failed_tasks": ("Another",),
    "tasks": 7,
    "retries": 7,
    "gaps": (Gap(what="log", why="another"),),
    "where": "Another",
}


def marked(
    columns: tuple[DisplayField, ...], row: JobRow, *, last_run: str = ""
) -> tuple[bytes, str]:
    """What a list's page is told of a job that a run found last, and what it shows of it."""
    over = runs(2)
    jobs = Jobs(
        replace(report(entries(30, over), over), columns=columns), zone=zone("UTC"), pages={"wf"}
    )
    entry = Entry(row=row, **{**PLACE, "last_run": last_run})
    jobs.lend({row.id: Lent(entry, "a1")})
    printed = line(jobs, row.id, "jobs/a.html").printed(
        lambda cells: escape(repr(cells).replace("\\xa0", " ").replace("\\n", " "))
    )
    return jobs.mark_of(entry, "a1"), printed


PLACE: dict[str, Any] = dict.fromkeys(
    ("run", "shard", "digest", "row_digest", "first_run", "last_run"), ""
) | {"line": 0}
ROW = JobRow(
    id="a1b2",
    name="wf",
    status="Failed",
    submission=NOW - timedelta(days=5),
    start=NOW - timedelta(days=4, hours=23),
    end=NOW - timedelta(days=4),
    labels={"owner": "ana", "sample": "s"},
    user="ana@example.org",
    failure=Failure(message="m", task="Align"),
    extra={"extensions.statusDetail": "d"},
)


@pytest.mark.parametrize("field", SHOWN)
def test_whatever_a_list_shows_of_a_job_changes_its_pages(field: str) -> None:
    was, now = marked(COLUMNS, ROW), marked(COLUMNS, replace(ROW, **{field: SHOWN[field]}))
    assert was[1] != now[1]
    assert was[0] != now[0]


@pytest.mark.parametrize("field", NOT_SHOWN)
def test_what_no_list_shows_of_a_job_leaves_their_pages_alone(field: str) -> None:
    """A job stands in some twenty lists, and a server tells much of it."""
    was, now = marked(COLUMNS, ROW), marked(COLUMNS, replace(ROW, **{field: NOT_SHOWN[field]}))
    assert was == now


def test_a_list_shows_how_long_a_job_runs_so_far_as_of_the_run_that_found_it_last() -> None:
    """As its own page does: so a list's page is another for each run that finds it, and no more."""
    first, last = runs(2)
    going = replace(ROW, status="Running", start=last.now - timedelta(hours=145), end=None)
    now, then = (marked(COLUMNS, going, last_run=run.id) for run in (last, first))
    assert "6 days 1 h so far" in now[1]
    assert ("so far" in then[1], "6 days 1 h" in then[1]) == (True, False)
    assert now[0] != then[0]
    assert marked(COLUMNS, going, last_run=last.id) == now


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        replace(ROW, status="Submitted", end=None),
        replace(ROW, status="Running", start=None, end=None),
        replace(ROW, status="Odd"),
    ],
    ids=["failed", "waits", "no start", "ended by a word of its own"],
)
def test_nothing_else_runs_so_far(row: JobRow) -> None:
    first, last = runs(2)
    mark, shown = marked(COLUMNS, row, last_run=last.id)
    assert "so far" not in shown
    assert (mark, shown) == marked(COLUMNS, row, last_run=first.id)


def test_the_list_of_all_jobs_sorts_by_how_long_jobs_run_so_far(
    tmp_path: Path, browser: Any
) -> None:
    """Among those that ended, in the words that the page came with."""
    over = runs(2)
    some = [
        replace(each, row=replace(each.row, status="Succeeded", readable=True))
        for each in entries(30, over)
    ]
    row = replace(some[0].row, status="Running", start=NOW - timedelta(days=6, hours=1), end=None)
    some[0] = replace(some[0], row=row, last_run=over[-1].id)
    write(tmp_path, some, over)
    page = browser.new_page()
    page.goto((tmp_path / "jobs/index.html").as_uri())
    was = [text for text in page.locator("#jobs tbody tr").all_inner_texts() if "so\xa0far" in text]
    page.goto((tmp_path / "jobs/index.html").as_uri() + "#sort=-took")
    page.reload()
    page.locator("th[aria-sort]").wait_for()
    texts = page.locator("#jobs tbody tr").all_inner_texts()
    assert ["so\xa0far" in text for text in texts] == [True] + [False] * (len(texts) - 1)
    assert "6\xa0days\xa01\xa0h so\xa0far" in texts[0]
    assert was == texts[:1]
    page.close()


def test_a_job_of_which_no_list_shows_what_changed_has_its_own_files_written(
    tmp_path: Path,
) -> None:
    over = runs(2)
    some = entries(250, over)
    write(tmp_path, some, over)
    old = some[7]
    told = replace(old, row=replace(old.row, where="Another"))
    written = write(tmp_path, [told if each is old else each for each in some], over)
    lists = [name for name in contents(tmp_path) if name.startswith("jobs/label-")]
    assert len(lists) > 20
    # Its page and its raw JSON; and what is told of all jobs.
    assert written.rewritten <= 2 + len(("jobs.ndjson", "jobs.csv", "report.json", "timeline"))


@pytest.mark.parametrize(
    ("status", "start", "took", "end"),
    [
        ("Submitted", "no start known", "no start known", "no end known"),
        ("OnHold", "no start known", "no start known", "no end known"),
        ("Running", "not known", "not known", "no end known"),
        ("Aborting", "not known", "not known", "no end known"),
        ("Aborted", "not known", "not known", "not known"),
        ("Odd", "not known", "not known", "not known"),
    ],
)
def test_a_dash_is_heard_as_what_it_stands_for(
    status: str, start: str, took: str, end: str
) -> None:
    """Whether it started or ended since is left open: its server may have lost it."""
    over = runs(2)
    columns = (
        *(DisplayField(field=each, display=each.capitalize()) for each in ("start", "end")),
        DisplayField(field="labels.owner", display="Owner"),
        DisplayField(field="extensions.userId", display="User"),
    )
    found = replace(report(entries(30, over), over), columns=columns)
    row = JobRow(id="a1b2", name="wf", status=status)
    jobs = Jobs(found, zone=zone("UTC"), pages=set())
    jobs.lend({row.id: Lent(Entry(row=row, **PLACE), "a1")})
    heard: dict[str, str] = {}

    def hear(cells: tuple[Cell, ...]) -> Markup:
        heard.update((cell.label, cell.lacks) for cell in cells)
        return Markup()

    line(jobs, row.id, "jobs/a.html").printed(hear)
    assert heard == {
        "Status": "", "Workflow": "", "Job": "",
        "Start": start, "End": end, "Took": took, "Owner": "none", "User": "not known",
    }  # fmt: skip


def test_the_rows_of_a_page_are_a_line_each() -> None:
    jobs, ids = known(3)
    numbers = jobs.numbered(ids)
    rows = jobs.lines(ids, "jobs/a.html")
    assert rows.printed(lambda _cells: Markup("<tr>&lt;</tr>")) == "\n".join(["<tr>&lt;</tr>"] * 3)
    assert isinstance(rows.printed(lambda _cells: Markup()), Markup)
    assert jobs.lines([], "jobs/a.html").printed(lambda _cells: Markup("x")) == ""
    assert jobs.lines(numbers, "jobs/b.html") == rows


def test_a_row_links_from_where_its_page_lies_and_lacks_only_what_is_left_out() -> None:
    jobs, (job, *_) = known(3)

    def hrefs(cells: tuple[Cell, ...]) -> Markup:
        return Markup(" ").join(cell.href for cell in cells if cell.href)

    assert "../" not in line(jobs, job, "jobs/a.html").printed(hrefs).partition(" ")[0]
    assert "../jobs/" in line(jobs, job, "causes/a.html").printed(hrefs)
    assert "../" in line(jobs, job, "workflows/a.html", without="name").printed(hrefs)
    count = line(jobs, job, "workflows/b.html", without="status").printed(
        lambda cells: Markup("x") * len(cells)
    )
    assert count == "x" * (len(jobs.columns) - 1)


@pytest.mark.parametrize(
    ("before", "after", "another"),
    [
        ("2026-12-31T12:00", "2027-01-01T12:00", True),
        ("2026-10-24T12:00", "2026-10-26T12:00", False),
    ],
)
def test_a_page_of_a_list_is_another_in_a_new_year_and_not_when_the_clocks_change(
    before: str, after: str, another: bool
) -> None:
    """Dates of the year leave it out; the zone is called the same in summer and in winter."""

    def made(now: str) -> dict[str, str]:
        over = runs(2)
        at = datetime.fromisoformat(now).replace(tzinfo=UTC)
        found = replace(report(entries(150, over), over), now=at)
        jobs = Jobs(found, zone=zone("Europe/Berlin"), pages=set())
        lists, ids = Lists(jobs), [entry.row.id for entry in found.jobs]
        lists.link("all", "jobs", ids)
        index = index_pages(found, jobs, lists, rows_file="", incomplete="", none="", as_of=None)
        return {page.address: page.content for page in (*lists.pages(), *index)}

    one, other = made(before), made(after)
    assert {"jobs/all.html", "jobs/index.html", "jobs/page-2.html"} <= one.keys() == other.keys()
    same = {address for address in one if one[address] == other[address]}
    assert same.isdisjoint(one) if another else "jobs/all.html" in same


def test_no_more_rows_are_kept_than_a_number_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobcells, "LINES", 4)
    jobs, ids = known(6)
    made = [line(jobs, job, "jobs/a.html") for job in ids]
    again = [line(jobs, job, "jobs/b.html") for job in reversed(ids)]
    assert [one is other for one, other in zip(made, reversed(again), strict=True)] == [
        False, False, True, True, True, True,
    ]  # fmt: skip


def test_pages_of_lists_are_made_from_the_newest_job_on() -> None:
    jobs, listed = known(400)
    ids = [*jobs.parted(tuple(listed))[0]][:320]
    lists = Lists(jobs)
    lists.link("few", "few jobs", [ids[30], ids[310]])
    lists.link("all", "jobs", ids)
    pages = sorted(lists.pages(), key=lambda page: page.order)
    assert [page.address for page in pages] == [
        "jobs/all.html",
        "jobs/few.html",
        "jobs/all-page-2.html",
        "jobs/all-page-3.html",
        "jobs/all-page-4.html",
    ]
    assert all(page.order < LAST for page in pages)


def test_every_page_that_shows_a_job_shows_the_same_row(tmp_path: Path) -> None:
    over = runs(2)
    write(tmp_path, entries(40, over), over)
    rows: dict[str, set[str]] = {}
    for page in sorted((tmp_path / "jobs").glob("*.html")):
        for row in re.findall(r"<tr><td.*?</tr>", page.read_text("utf-8"), re.DOTALL):
            link = re.search(r'class="id" href="([^"]+)"', row)
            if link:
                rows.setdefault(link[1], set()).add(row)
    assert len(rows) == 40
    assert all(len(same) == 1 for same in rows.values())


NASTY = (
    *PAYLOADS,
    "'",
    "\\",
    "\\'",
    "\\u003c",
    "a\nb",
    "\u2028\u2029",
    "</script>",
    "<!--",
    "`${1}`",
    "\0",
)


def test_texts_of_rows_come_to_a_browser_as_they_are(tmp_path: Path, browser: Any) -> None:
    over = runs(1)
    jobs = [
        replace(entry, row=replace(entry.row, name=text, labels={text: text, "__proto__": text}))
        for entry, text in zip(entries(len(NASTY), over), NASTY, strict=True)
    ]
    found = report(jobs, over)
    jobs_of = Jobs(found, zone=zone("UTC"), pages=set())
    script = b"".join(rows_script(found, jobs_of, zone="UTC"))
    assert script.isascii() or not re.search("[\u2028\u2029]", script.decode())
    assert b"<" not in script
    assert script.count(b"\n") == 1
    (tmp_path / "rows.js").write_bytes(script)
    (tmp_path / "page.html").write_text('<meta charset="utf-8"><script src="rows.js"></script>')
    page = browser.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    rows = page.evaluate("window.jmreportJobs")
    page.close()
    assert wrong == []
    assert {tuple(pair) for pair in rows["pairs"]} == {
        pair for entry in jobs for pair in entry.row.labels.items()
    }
    names = next(column for column in rows["columns"] if column["key"] == "name")["words"]
    assert set(names) == {text or NO_NAME for text in NASTY}


def test_rows_put_aside_are_the_same(tmp_path: Path) -> None:
    """Workers read them from a file, which is gone once pages are made."""
    jobs, ids = known(50)
    again, _ = known(50)

    def said(cells: tuple[Cell, ...]) -> Markup:
        return Markup("|").join(repr(cell) for cell in cells)

    with again.put_aside(tmp_path / "rows"):
        (tmp_path / "rows").unlink()  # an open file is enough
        for job in (*ids, "unknown"):
            mine = line(again, job, "jobs/a.html").printed(said)
            assert mine == line(jobs, job, "jobs/a.html").printed(said)
    assert line(again, ids[0], "causes/a.html").printed(said)


@pytest.mark.parametrize("few", [0, planwriting.FEW_PAGES])
def test_a_site_of_many_lists_is_the_same_whoever_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(planwriting, "FEW_PAGES", few)
    over = runs(3)
    for workers in (1, 2):
        write(tmp_path / str(workers), entries(300, over), over, workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert not list((tmp_path / "2").rglob("rows"))
