"""Causes: a page for each that lasts, what its jobs share, what is known of it, and how long it is
there already."""

import json
import re
from contextlib import chdir
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
import site_cases
from analysis_cases import HOUR, job, night, runs
from held import Held
from hostile import PAYLOADS
from hypothesis import given
from hypothesis import strategies as st

from jmreport import analysis
from jmreport.analysis.causes import cause_of
from jmreport.cli import main
from jmreport.errors import Exit
from jmreport.guidance import LARGEST_NOTE, Guidance, KnownIssue
from jmreport.pipeline import guiding
from jmreport.records import Entry, Failure
from jmreport.render.prose import prose
from jmreport.report import Report
from jmreport.report.causes import CauseReport
from jmreport.settings import ReportSettings

DISK = "No space left on device: /data/{n}/x.bam"


def failed(name: str, at: int, *, message: str = DISK, **row: Any) -> Entry:
    failure = Failure(
        message=message.format(n=at), task=row.pop("task", None), shard=row.pop("shard", None)
    )
    return job(
        f"{name}-{at}", night(at) - HOUR, "Failed", found=at, key=name, failure=failure, **row
    )


def fine(name: str, at: int, **row: Any) -> Entry:
    return job(f"{name}-{at}", night(at) - HOUR, found=at, key=name, **row)


def report(entries: list[Entry], nights: int) -> Report:
    return analysis.analyse(Held(entries), runs(nights), {}, settings=ReportSettings())


def only(found: Report) -> CauseReport:
    (cause,) = found.causes
    return cause


def test_a_cause_counts_all_jobs_that_ever_failed_of_it_and_those_failing_now() -> None:
    cause = only(report([failed("a", 0), fine("a", 1), failed("b", 1), failed("c", 2)], 3))
    assert set(cause.jobs) == {"a-0", "b-1", "c-2"}
    assert (set(cause.failing), set(cause.new), cause.tonight) == (
        {"b-1", "c-2"},
        {"c-2"},
        ("c-2",),
    )
    assert (cause.first_seen, cause.last_seen) == (night(0) - HOUR, night(2) - HOUR)


def test_a_cause_of_which_nothing_fails_any_more_is_still_known() -> None:
    cause = only(report([failed("a", 0), *(fine("a", at) for at in range(1, 30))], 30))
    assert cause.failing == cause.window == ()
    assert cause.jobs == ("a-0",)


def test_causes_with_new_jobs_come_before_those_of_which_more_jobs_still_fail() -> None:
    """Then those failing, and those that were seen before, the newest first."""
    gone = {name: f"{name} went wrong" for name in ("early", "late")}
    entries = [failed("early", 0, message=gone["early"]), fine("early", 1)]
    entries += [failed("late", 1, message=gone["late"]), fine("late", 2)]
    entries += [failed(name, 1, message="Old one") for name in "abc"]
    entries += [fine(name, 1) for name in "xyz"]
    entries += [failed(name, 2, message="New ones") for name in "xy"]
    entries += [failed(name, at, message="Mixed") for name in "def" for at in (1, 2)]
    entries.append(failed("z", 2, message="Mixed"))
    titles = [cause.title for cause in report(entries, 3).causes]
    assert titles == ["New ones", "Mixed", "Old one", gone["late"], gone["early"]]


def test_what_all_its_jobs_share_and_others_do_not_is_named() -> None:
    """The zone of both; not the owner, whom everybody has, nor the sample, in which they differ."""

    def labels(sample: str, zone: str) -> dict[str, str]:
        return {"sample": sample, "zone": zone, "owner": "ana"}

    entries = [
        failed("a", 1, labels=labels("A", "b"), task="Sort", shard=3),
        failed("b", 1, labels=labels("B", "b"), task="Sort", shard=9),
        *(fine(name, 1, labels=labels(name, "c")) for name in "cde"),
        # Another night tells nothing of this one.
        *(fine(name, 0, labels=labels(name, "b")) for name in "cdefgh"),
    ]
    shared = {one.key: (one.value, one.others, one.of) for one in only(report(entries, 2)).shared}
    assert shared == {"zone": ("b", 0, 3), "task": ("Sort", 0, 0), "shard": ("3 to 9", 0, 0)}


def test_one_job_shares_nothing_with_nobody() -> None:
    assert only(report([failed("a", 0, labels={"x": "y"}, task="Sort")], 1)).shared == ()


def test_what_was_shared_stays_as_the_window_moves_on() -> None:
    entries = [failed(name, 1, labels={"zone": "b"}) for name in "ab"]
    entries += [fine(name, 1, labels={"zone": "c"}) for name in "cd"]
    later = [fine(name, at, labels={"zone": "b"}) for at in range(2, 12) for name in "abcd"]
    assert only(report(entries, 2)).shared == only(report(entries + later, 12)).shared != ()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.sampled_from("sDQ"))))
def test_every_failed_job_has_one_cause_and_failing_ones_are_among_them(
    given_jobs: list[tuple[str, int, str]],
) -> None:
    messages = {"D": DISK, "Q": "Quota exceeded for {n} cpus"}
    jobs = {
        f"{name}-{at}": fine(name, at) if what == "s" else failed(name, at, message=messages[what])
        for name, at, what in given_jobs
    }
    found = report(list(jobs.values()), 6)
    told = [job for cause in found.causes for job in cause.jobs]
    assert sorted(told) == sorted(one.row.id for one in jobs.values() if one.row.status == "Failed")
    for cause in found.causes:
        assert set(cause.new) <= set(cause.failing) <= set(cause.jobs)
        ids = {each.id for job in cause.jobs if (each := cause_of(jobs[job].row))}
        assert ids == {cause.id}
    failing = [job for cause in found.causes for job in cause.failing]
    assert len(failing) == found.counts.failing


# Known issues, by what matches and until when.


TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("issues", "named"),
    [
        ([KnownIssue(match="no space LEFT")], "no space LEFT"),
        ([KnownIssue(match="quota")], None),
        ([KnownIssue(match=r"/data/\d+"), KnownIssue(match="space")], r"/data/\d+"),
        ([KnownIssue(match="space", until=TODAY)], "space"),
        # Over, but nothing else is known: the cause's page says that it was.
        ([KnownIssue(match="space", until=TODAY - timedelta(days=1))], "space"),
        ([KnownIssue(match="space", until=date(2026, 1, 1)), KnownIssue(match="left")], "left"),
    ],
)
def test_the_first_issue_that_holds_and_matches_is_the_known_one(
    issues: list[KnownIssue], named: str | None
) -> None:
    found = Guidance(issues=tuple(issues)).known(
        TODAY, "No space left on device: <path>", DISK.format(n=7)
    )
    assert (found.name if found else None) == named


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[[issue]\n", "is not TOML"),
        ("[issue]\nmatch = 'x'", "issue: write [[issue]]"),
        ("[[issue]]\nmatch = '('", "issue 1: match is no regular expression"),
        ("[[issue]]\ntitle = 'x'", "issue 1: it has no match"),
        (
            "[[issue]]\nmatch = 'x'\nlink = 'javascript:alert(1)'",
            "issue 1: link: expected an https:// address of 2000 characters at most",
        ),
        (
            "[[issue]]\nmatch = 'x'\nuntill = 2026-01-01",
            ": untill: no such key; did you mean until?",
        ),
        ("[[issue]]\nmatch = 'x'\nseverity = 1", "severity: no such key; there are match, title,"),
        ("[[issue]]\nmatch = 'x'\nuntil = 'soon'", "1: until: expected a day, like 2026-12-31"),
        ("[[issue]]\nmatch = 'x'\ntitle = 3", "title: expected text of 300 characters at most"),
        ("issue = ['x']", "issue 1: expected a table, as in [[issue]]"),
        (
            "[[issue]]\nmatch = ''",
            "1: match: expected a regular expression of 1 to 1000 characters",
        ),
        ("[[bug]]\nmatch = 'x'", "bug: no such key"),
    ],
)
def test_a_mistake_in_the_file_is_named_and_the_other_issues_hold(
    tmp_path: Path, text: str, mistake: str
) -> None:
    file = tmp_path / "known_issues.toml"
    file.write_text(text)
    found = guiding.read(ReportSettings(known_issues=str(file)))
    assert found.issues == ()
    assert len(found.mistakes) == 1
    assert mistake in found.mistakes[0]
    assert found.mistakes[0].startswith(str(file))
    if text.startswith("[[issue]]"):
        file.write_text(f"{text}\n[[issue]]\nmatch = 'whole'\n")
        assert [
            issue.match for issue in guiding.read(ReportSettings(known_issues=str(file))).issues
        ] == ["whole"]


def test_notes_are_found_by_workflow_and_cause_and_others_are_named(tmp_path: Path) -> None:
    for name in ("intro", "workflows/a b", "workflows/org/flow", "causes/cd47a0e05f49", "other/x"):
        (tmp_path / f"{name}.md").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.md").write_text(f"of {name}")
    (tmp_path / "workflows/latin.md").write_bytes(b"\xff")
    (tmp_path / "workflows/large.md").write_text("x" * (LARGEST_NOTE + 1))
    found = guiding.read(ReportSettings(notes=str(tmp_path)))
    assert found.intro
    assert found.intro.text == "of intro"
    assert set(found.workflows) == {"a b", "org/flow"}
    assert set(found.causes) == {"cd47a0e05f49"}
    assert [mistake.partition(": ")[0] for mistake in found.mistakes] == [
        str(tmp_path / name) for name in ("other/x.md", "workflows/large.md", "workflows/latin.md")
    ]


def test_a_folder_or_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    found = guiding.read(ReportSettings(notes=missing, known_issues=missing))
    assert found == Guidance(
        mistakes=(
            f"{missing}: no such folder of notes",
            f"{missing}: cannot be read: No such file or directory",
        )
    )


# Markdown.


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# Title", "<h3>Title</h3>"),
        ("**bold** `code`", "<p><strong>bold</strong> <code>code</code></p>"),
        ("[a](https://x.org)", '<p><a href="https://x.org" rel="noopener noreferrer">a</a></p>'),
        ("[a](../jobs/x.html)", '<p><a rel="noopener noreferrer">a</a></p>'),
        ("[a](http://x.org)", '<p><a rel="noopener noreferrer">a</a></p>'),
        ("![a](https://x.org/a.png)", "<p></p>"),
        ("<script>alert(1)</script>x", "x"),
        ("<b onclick='alert(1)' style='x'>x</b>", "<p>x</p>"),
        ("|a|\n|-|\n|1|", "<td>1</td>"),
        ("```\n<b>\n```", "<pre><code>&lt;b&gt;\n</code></pre>"),
    ],
)
def test_markdown_becomes_plain_elements_and_nothing_else(text: str, html: str) -> None:
    assert html in str(prose(text))


class Elements(HTMLParser):
    """What elements a text holds, each with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_note_brings_a_script_a_handler_or_a_foreign_link(payload: str) -> None:
    for tag, attributes in Elements(str(prose(payload))).found:
        assert tag in {
            "p",
            "a",
            "em",
            "strong",
            "code",
            "pre",
            "ul",
            "li",
            "blockquote",
            "br",
            "hr",
        }
        assert set(attributes) <= {"href", "rel"}
        assert (attributes.get("href") or "https://").startswith(("https://", "mailto:"))


def test_text_that_nests_too_deeply_is_shown_as_it_is() -> None:
    made = str(prose("> " * 5000 + "<b>deep"))
    assert "deep" in made
    assert "<b>" not in made


# On the pages.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine planted nights with notes, known issues, and mistakes in both."""
    folder = tmp_path_factory.mktemp("guided")
    (folder / "notes/workflows").mkdir(parents=True)
    (folder / "notes/intro.md").write_text("On call: **Wei**")
    (folder / "notes/workflows/methyl_qc.md").write_text("# Swaps\nAsk the lab.")
    (folder / "notes/workflows/gone.md").write_text("No such workflow.")
    (folder / "known_issues.toml").write_text(
        '[[issue]]\nmatch = "sample swap"\ntitle = "Swapped at the lab"\nowner = "lab"\n'
        'note = "Comes **again**"\nlink = "https://tracker.example.org/77"\nuntil = 2026-12-01\n'
        '[[issue]]\nmatch = "("\n'
    )
    (folder / "jmreport.toml").write_text(
        '[report]\nnotes = "notes"\nknown_issues = "known_issues.toml"\n'
    )
    with chdir(folder):
        args = ["--demo", "--nights", "9", "--now", "2026-11-11T02:14:00Z"]
        args += ["--timeframe", "HOURS_24"]
        assert main(["build", "-q", *args]) == Exit.DONE
    return folder


def read(folder: Path, address: str) -> str:
    return (folder / "site" / address).read_text(encoding="utf-8")


def swap(folder: Path) -> str:
    """The address of the page of the cause that is known."""
    (cause,) = [
        one for one in json.loads(read(folder, "data/report.json"))["causes"] if one["known"]
    ]
    assert cause["known"] == {
        "title": "Swapped at the lab",
        "owner": "lab",
        "link": "https://tracker.example.org/77",
        "until": "2026-12-01",
    }
    return f"causes/{cause['id']}.html"


def test_a_known_issue_stands_beside_its_cause_and_in_full_on_its_page(folder: Path) -> None:
    page = read(folder, swap(folder))
    assert "Known: Swapped at the lab" in page
    assert "<strong>again</strong>" in page
    assert 'href="https://tracker.example.org/77"' in page
    assert "until Tue 1 Dec 2026" in page
    overview = read(folder, "index.html")
    assert "Known: Swapped at the lab (lab)" in overview
    assert f'href="{swap(folder)}"' in overview
    assert overview.count("Known: ") == 1


def test_varying_parts_of_a_message_are_marked(folder: Path) -> None:
    assert "below threshold -<mark>&lt;n&gt;</mark> for <mark>&lt;id&gt;</mark></h1>" in read(
        folder, swap(folder)
    )


def test_notes_stand_where_they_are_needed(folder: Path) -> None:
    assert "<p>On call: <strong>Wei</strong></p>" in read(folder, "index.html")
    pages = [path.read_text() for path in (folder / "site/workflows").glob("*.html")]
    told = [page for page in pages if "Runbook" in page]
    assert len(told) == 1
    assert "<h3>Swaps</h3>" in told[0]


def test_mistakes_in_notes_are_named_on_the_quality_page(folder: Path) -> None:
    quality = read(folder, "quality.html")
    assert "known_issues.toml: issue 2: match is no regular expression" in quality
    assert "workflows/gone.md: no page is about it" in quality


def test_a_changed_note_changes_only_its_own_pages(folder: Path) -> None:
    def files() -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted((folder / "site").rglob("*"))
            if path.is_file() and ".jmreport" not in path.parts
        }

    before = files()
    cause = swap(folder)
    note = folder / "notes/causes" / f"{Path(cause).stem}.md"
    note.parent.mkdir()
    note.write_text("Look at the *plate*.")
    with chdir(folder):
        assert main(["render", "-q"]) == Exit.DONE
        assert main(["check"]) == Exit.DONE
    after = files()
    assert {name for name in after if after[name] != before.get(name)} == {f"site/{cause}"}
    assert "Look at the <em>plate</em>." in read(folder, cause)


def test_a_failed_jobs_page_leads_to_its_cause(folder: Path) -> None:
    link = f'<a href="../{swap(folder)}">Jobs with the same cause</a>'
    pages = (folder / "site/jobs").glob("*-????????.html")
    assert sum(link in path.read_text() for path in pages) == 7


def test_the_overview_counts_the_nights_and_names_the_last_success(folder: Path) -> None:
    overview = read(folder, "index.html")
    assert '7 nights</span><span class="sub">last success 3 Nov 18:19</span>' in overview


def test_a_failed_jobs_page_leads_to_its_last_success_and_the_run_before(folder: Path) -> None:
    pages = [path.read_text() for path in (folder / "site/jobs").glob("*-????????.html")]
    told = [
        page
        for page in pages
        if ">Jobs with the same cause</a>. 7 failures in a row, since " in page
    ]
    assert len(told) == 1
    assert '">Last success</a>: ' in told[0]
    assert '" rel="prev">Run before</a>' in told[0]


def test_failures_without_a_message_are_called_so_on_every_list(tmp_path: Path) -> None:
    """A heading that ends with "failing with:" would look like a broken page."""
    over = site_cases.runs()
    jobs = [
        msgspec.structs.replace(one, row=msgspec.structs.replace(one.row, failure=None))
        for one in site_cases.entries(60, over)
    ]
    site_cases.write(tmp_path, jobs, over)
    headings = [
        found
        for path in tmp_path.glob("jobs/*.html")
        for found in re.findall(r"<h1>(.*?)</h1>", path.read_text())
        if "with:" in found
    ]
    assert headings
    assert all(" with: no message" in found for found in headings)
