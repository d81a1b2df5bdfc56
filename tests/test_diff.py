"""`jmreport diff A B`: what differs between two runs, each as it was known then."""

import json
import re
import shutil
import sqlite3
from contextlib import chdir, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from held import Held
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from planted import Planted
from snapshot_cases import NOW, opened, record, write_run

from jmreport import analysis, differing
from jmreport.cli import main
from jmreport.compared import (
    CauseDifference,
    Difference,
    DiffJob,
    FlowDifference,
    Side,
    TaskDifference,
)
from jmreport.errors import Exit
from jmreport.records import Asked, Entry, Failure, Filters, JobRow, Run
from jmreport.render import addresses, diffpages
from jmreport.render.theme import Theme
from jmreport.report.counts import StatusSplit
from jmreport.settings import ReportSettings, Settings

FIRST, SECOND, THIRD = (f"2026112{day}T021400Z" for day in (3, 4, 5))
Jobs = dict[str, str]
NO_FILTERS = Filters()


# Rules, from rows alone: a night is the keys that ended in it, each with its status.


def run_at(night: int, state: Any = "complete", filters: Filters = NO_FILTERS) -> Run:
    now = NOW + timedelta(days=night)
    asked = Asked(server="http://127.0.0.1:8190", timeframe="DAYS_7", filters=filters)
    return Run(id=f"{now:%Y%m%dT%H%M%SZ}", now=now, state=state, asked=asked)


def entry(key: str, status: str, night: int) -> Entry:
    """The job of a key that ended an hour before a night's run; "?" could not be read."""
    run = run_at(night)
    active = status == "Running"
    row = JobRow(
        id=f"{key}-{night}",
        name="germline",
        key=key,
        status="Succeeded" if status == "?" else status,
        readable=status != "?",
        submission=run.now - timedelta(hours=3),
        start=run.now - timedelta(hours=2),
        end=None if active else run.now - timedelta(hours=1),
        failure=Failure(message="No space left on device") if status == "Failed" else None,
        tasks=0,
    )
    return Entry(
        row=row,
        run=run.id,
        shard="jobs-0000",
        line=0,
        digest=row.id,
        row_digest=row.id,
        first_run=run.id,
        last_run=run.id,
    )


def after(*nights: Jobs, filters: Filters = NO_FILTERS) -> Any:
    """What is known after the last of some nights, which asked with these filters."""
    runs = [run_at(night) for night in range(len(nights))]
    runs[-1] = run_at(len(runs) - 1, filters=filters)
    entries = [
        entry(key, status, night)
        for night, jobs in enumerate(nights)
        for key, status in jobs.items()
    ]
    told = analysis.told(Held(entries), runs, {}, settings=ReportSettings())
    return analysis.known(told, Held(entries), runs, ())


def of(*nights: Jobs, a: int = 1) -> Difference:
    """The difference of night `a`, counted from 1, and the last."""
    return analysis.difference(after(*nights[:a]), after(*nights))


def keys(jobs: tuple[DiffJob, ...]) -> set[str]:
    return {job.id.rpartition("-")[0] for job in jobs}


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ("Succeeded", "Failed", {"new"}),
        ("Failed", "Succeeded", {"fixed"}),
        ("Failed", "Failed", {"still_failing"}),
        ("Succeeded", "Succeeded", set()),
        # A run that could not be read is no recovery.
        ("Failed", "?", {"still_failing", "unknown"}),
        ("Failed", "Running", {"still_failing"}),
        ("Failed", "Aborted", {"still_failing"}),
        ("Succeeded", "?", {"unknown"}),
        ("Succeeded", None, {"not_run"}),
        ("Failed", None, {"still_failing", "not_run"}),
        (None, "Failed", {"new", "first_seen"}),
        (None, "Succeeded", {"first_seen"}),
    ],
)
def test_a_key_is_told_by_its_state_on_both_sides(
    before: str | None, now: str | None, told: set[str]
) -> None:
    nights = [
        {"other": "Succeeded"} | ({"key": status} if status else {}) for status in (before, now)
    ]
    found = of(*nights)
    names = ("new", "fixed", "still_failing", "lapsed", "not_run", "first_seen", "unknown")
    assert {name for name in names if "key" in keys(getattr(found, name))} == told


@pytest.mark.parametrize(
    ("filters", "not_run"),
    [
        (Filters(name="germline"), {"gone"}),
        (Filters(name="other"), set()),
        (Filters(labels={"owner": "li"}), set()),
        (Filters(status=("Succeeded",)), set()),
    ],
)
def test_what_a_filter_left_out_is_no_difference(filters: Filters, not_run: set[str]) -> None:
    """That it did not run nobody knows; and the filter is told of the side that had it."""
    before, then = {"gone": "Succeeded", "stays": "Failed"}, {"stays": "Failed"}
    found = analysis.difference(after(before), after(before, then, filters=filters))
    assert keys(found.not_run) == not_run
    assert found.after.filters == filters
    back = analysis.difference(after(then, filters=filters), after(then, before))
    assert keys(back.first_seen) == not_run
    text = "\n".join(differing.lines(found))
    assert text.count("only jobs of the filter: ") == 1
    assert differing.tree(found)["before"]["filters"] is None


def test_nights_between_the_two_change_nothing_but_since_when() -> None:
    """Failed, fixed and failed again is still failing, since the last failure began."""
    found = of({"a": "Failed"}, {"a": "Succeeded"}, {"a": "Failed"})
    assert keys(found.still_failing) == {"a"}
    assert found.still_failing[0].since == NOW + timedelta(days=2, hours=-1)
    assert found.still_failing[0].last_success == NOW + timedelta(days=1, hours=-1)


def test_a_failure_of_long_ago_is_neither_fixed_nor_still_failing() -> None:
    nights = [{"a": "Failed", "b": "Succeeded"}, *({"b": "Succeeded"} for _ in range(9))]
    found = of(*nights)
    assert keys(found.lapsed) == {"a"}
    assert not found.fixed
    assert not found.still_failing


def test_backwards_new_and_fixed_change_places() -> None:
    nights = [{"a": "Failed", "b": "Succeeded"}, {"a": "Succeeded", "b": "Failed"}]
    found = analysis.difference(after(*nights), after(nights[0]))
    assert (keys(found.new), keys(found.fixed)) == ({"a"}, {"b"})
    assert any("backwards in time" in line for line in differing.lines(found))


def test_causes_are_counted_on_both_sides() -> None:
    found = of({"a": "Failed", "b": "Succeeded"}, {"a": "Failed", "b": "Failed"})
    (cause,) = found.causes
    assert (cause.before, cause.after, cause.cause_class) == (1, 2, "disk full")


STATUSES = st.sampled_from(["Succeeded", "Failed", "Aborted", "Running", "?"])
NIGHTS = st.lists(
    st.dictionaries(st.sampled_from("abcde"), STATUSES, max_size=5), min_size=2, max_size=6
)


@given(NIGHTS)
def test_new_and_still_failing_are_all_that_fails_and_nothing_fixed_does(
    nights: list[Jobs],
) -> None:
    nights = [{"z": "Succeeded"} | night for night in nights]
    found = of(*nights)
    assert len(found.new) + len(found.still_failing) == found.after.failing
    before = len(found.fixed) + len(found.still_failing) + len(found.lapsed)
    assert before == found.before.failing
    assert not keys(found.fixed) & (keys(found.new) | keys(found.still_failing))


@given(NIGHTS)
def test_a_run_does_not_differ_from_itself(nights: list[Jobs]) -> None:
    same = analysis.difference(after(*nights), after(*nights))
    assert same.nothing
    assert same.new == same.fixed == same.not_run == same.first_seen == ()
    assert same.tasks == ()


# The command.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three nights: job-1 failed and succeeded, job-2 the other way round, job-3 came last."""
    monkeypatch.chdir(tmp_path)
    store = Path("snapshots")
    write_run(store, [of_night(1, "Failed", 0), of_night(2, "Succeeded", 0)])
    write_run(store, [of_night(1, "Succeeded", 1), of_night(2, "Succeeded", 1)], days=1)
    write_run(store, [of_night(2, "Failed", 2), of_night(3, "Succeeded", 2)], days=2)
    return tmp_path


def of_night(sample: int, status: str, night: int) -> Any:
    """A job whose inputs tell which sample it is of, and which ended before a night's run."""
    one = record(sample, status)
    ended = (NOW + timedelta(days=night, minutes=-30)).isoformat()
    row = {**(one.row or {}), "id": f"job-{sample}-{night}", "start": ended, "end": ended}
    detail = {**row, "inputs": {"sample": f"NA{sample}"}}
    return record(sample, status, id=row["id"], row=row, detail=detail)


def diff(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["diff", *args]) == Exit.DONE
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    return json.loads(diff(capsys, *args, "--format", "json"))


@pytest.mark.usefixtures("folder")
def test_the_text_says_what_is_new_fixed_first_seen_and_gone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert diff(capsys, FIRST, THIRD, "-q").splitlines() == [
        f"A  {FIRST}  2 jobs ended in its whole window",
        "   1 failing",
        f"B  {THIRD}  2 jobs ended since 2026-11-24 02:14 UTC",
        "   1 failing",
        "",
        "new failures: 1",
        "  germline  job-2-2  Failed since 2026-11-25 01:44",
        "",
        "fixed: 1",
        "  germline  job-1-1  Succeeded",
        "",
        "not run in B: 1",
        "  germline  job-1-0  Failed",
        "",
        "first seen in B: 1",
        "  germline  job-3-2  Succeeded",
        "",
        "workflow    failed/ended A -> B          median A -> B",
        "germline             1/2 -> 1/2             0 s -> 0 s",
    ]


@pytest.mark.usefixtures("folder")
def test_json_holds_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, FIRST, THIRD, "-q")
    assert found["format"] == 1
    assert (found["before"]["run"], found["after"]["run"]) == (FIRST, THIRD)
    assert [job["id"] for job in found["new"]] == ["job-2-2"]
    assert [job["id"] for job in found["fixed"]] == ["job-1-1"]
    assert set(found) - {"format"} == set(Difference.__struct_fields__)


@pytest.mark.parametrize(
    ("args", "runs"),
    [
        ((), (SECOND, THIRD)),
        ((FIRST,), (FIRST, THIRD)),
        (("latest~2", "latest"), (FIRST, THIRD)),
        (("latest~0", "latest~1"), (THIRD, SECOND)),
        (("2026-11-23", "20261124"), (FIRST, SECOND)),
        (("previous", FIRST), (SECOND, FIRST)),
    ],
)
@pytest.mark.usefixtures("folder")
def test_runs_are_named_by_id_date_or_how_far_back(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], runs: tuple[str, str]
) -> None:
    found = as_json(capsys, *args)
    assert (found["before"]["run"], found["after"]["run"]) == runs


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("latest~3",), "no run 'latest~3': there are 3 usable runs"),
        (("2025",), "no run '2025'"),
        (("2026",), "'2026' may be any of several runs"),
        (("",), "no run ''"),
        ((FIRST, "--format", "xml"), "--format xml: no such format"),
        (("--page",), "no site in site to keep a page in"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_compared_is_named_with_what_to_do(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], complaint: str
) -> None:
    assert main(["diff", *args]) == Exit.USAGE
    said = capsys.readouterr().err
    assert complaint in said
    assert "hint: " in said


def test_a_store_without_a_usable_run_is_nothing_usable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for `jmreport render`."""
    with chdir(tmp_path), opened(Path("snapshots")):
        pass
    with chdir(tmp_path):
        assert main(["diff"]) == main(["render"]) == Exit.NOTHING_USABLE
    assert "no usable run: none brought anything" in capsys.readouterr().err


def test_a_job_that_the_server_changed_later_is_told_as_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same comparison says the same after one more night, whatever that night brought."""
    before = diff(capsys, FIRST, SECOND, "-q")
    changed = record(2, "Failed")
    write_run(folder / "snapshots", [changed, of_night(1, "Failed", 3)], days=3)
    assert diff(capsys, FIRST, SECOND, "-q") == before


def test_a_job_of_the_earlier_run_is_told_apart_from_those_that_came_later(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its id was the only one to begin so; that of a job which fails in the later run does too."""
    store, alike = folder / "alike", "03a7491c-77aa-4344-b248-13abb73e7a"
    jobs = [(f"{alike}1f", 1, "Succeeded"), ("other", 1, "Succeeded"), (f"{alike}2f", 2, "Failed")]
    for night, (job, sample, status) in enumerate(jobs):
        one = of_night(sample, status, night)
        row, detail = {**one.row, "id": job}, {**one.detail, "id": job}
        write_run(store, [record(sample, id=job, row=row, detail=detail)], days=night)
    found = as_json(capsys, FIRST, THIRD, "--snapshots", str(store))
    (gone,), (new,) = found["not_run"], found["new"]
    assert (gone["short_id"], new["short_id"]) == (f"{alike}1", f"{alike}2")


# The page.


@pytest.fixture
def site(folder: Path) -> Path:
    assert main(["render", "-q", "--workers", "1"]) == Exit.DONE
    return folder / "site"


def read(site: Path, address: str) -> str:
    return (site / address).read_text(encoding="utf-8")


def test_where_there_is_a_site_a_page_is_kept_with_links_to_jobs_and_nights(site: Path) -> None:
    assert main(["diff", FIRST, THIRD, "-q"]) == Exit.DONE
    html = read(site, addresses.diff(FIRST, THIRD))
    assert "<h1>1 new failure, 1 fixed</h1>" in html
    for job in ("job-2-2", "job-1-1", "job-3-2"):
        assert f'href="../{addresses.job(job)}"' in html
    for run in (FIRST, THIRD):
        assert f'href="../nights/{run}/index.html"' in html
    assert f'href="{FIRST}-{THIRD}.html"' in read(site, addresses.DIFFS)
    assert main(["check"]) == Exit.DONE


def test_a_page_that_cannot_be_kept_is_told_behind_all_that_differs(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(site / "diffs", ignore_errors=True)
    (site / "diffs").write_text("in the way")
    assert main(["diff", FIRST, THIRD]) == Exit.FAILED
    told = capsys.readouterr()
    assert "workflow    failed/ended A -> B" in told.out
    assert "hint: what differs was told whole; `--no-page` keeps no page of it" in told.err
    assert main(["diff", FIRST, THIRD, "--no-page"]) == Exit.DONE


def test_without_a_site_or_with_no_page_none_is_written(folder: Path) -> None:
    assert main(["diff", "-q"]) == Exit.DONE
    assert not (folder / "site").exists()
    assert main(["render", "-q", "--workers", "1"]) == Exit.DONE
    assert main(["diff", "-q", "--no-page"]) == Exit.DONE
    assert main(["diff", "-q", "--site", "elsewhere"]) == Exit.USAGE
    assert [page.name for page in (folder / "site/diffs").iterdir()] == ["index.html"]


def test_a_kept_page_stays_as_it_is_when_the_next_night_is_rendered(
    site: Path, folder: Path
) -> None:
    assert main(["diff", FIRST, THIRD, "-q"]) == Exit.DONE
    page = read(site, addresses.diff(FIRST, THIRD))
    listed = read(site, addresses.DIFFS)
    write_run(folder / "snapshots", [of_night(2, "Succeeded", 3)], days=3)
    assert main(["render", "-q", "--workers", "1"]) == Exit.DONE
    assert read(site, addresses.diff(FIRST, THIRD)) == page
    assert read(site, addresses.DIFFS) == listed
    assert main(["check"]) == Exit.DONE


def test_a_page_that_another_jmreport_kept_in_its_own_way_is_told_of_and_made_anew(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = f"diffs/{FIRST}-{SECOND}.html"
    diff(capsys, FIRST, SECOND, "-q")
    assert main(["render", "-q", "--workers", "1"]) == Exit.DONE
    whole = read(site, "diffs/index.html")
    with closing(sqlite3.connect(site / ".jmreport/pages")) as database, database:
        database.execute("UPDATE diffs SET body = x'80'")
        database.execute("DELETE FROM seals")
    capsys.readouterr()
    assert main(["render", "--workers", "1"]) == Exit.DONE
    told = f"site/{page} was kept by another jmreport, and no list leads to it: `jmreport diff"
    assert f"{told} {FIRST} {SECOND}` makes it anew\n" in capsys.readouterr().out
    assert (site / page).exists()
    assert read(site, "diffs/index.html") != whole
    diff(capsys, FIRST, SECOND, "-q")
    assert main(["render", "--workers", "1"]) == Exit.DONE
    assert told not in capsys.readouterr().out
    assert read(site, "diffs/index.html") == whole


def test_a_page_of_another_jmreports_goes_with_the_later_of_its_runs(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for page in ((FIRST, SECOND), (SECOND, THIRD)):
        diff(capsys, *page, "-q")
    with closing(sqlite3.connect(site / ".jmreport/pages")) as database, database:
        database.execute("UPDATE diffs SET body = x'80'")
    assert main(["prune", "-q", "--keep", "1d", "--now", "2026-11-26T02:00:00Z"]) == Exit.DONE
    capsys.readouterr()
    assert main(["render", "--workers", "1"]) == Exit.DONE
    assert not (site / f"diffs/{FIRST}-{SECOND}.html").exists()
    assert (site / f"diffs/{SECOND}-{THIRD}.html").exists()
    told = [line for line in capsys.readouterr().out.splitlines() if "no list leads" in line]
    assert len(told) == 1
    assert told[0].endswith("it cannot be made anew, since one of its runs is gone")
    assert f"{SECOND}-{THIRD}.html" in told[0]


def test_a_run_that_was_not_rendered_yet_has_no_dead_links(site: Path, folder: Path) -> None:
    """Its jobs are named; once they have pages, the page of the difference links to them."""
    write_run(folder / "snapshots", [of_night(2, "Succeeded", 3)], days=3)
    assert main(["diff", "-q"]) == Exit.DONE
    run = f"{NOW + timedelta(days=3):%Y%m%dT%H%M%SZ}"
    address = addresses.diff(THIRD, run)
    link = f'href="../{addresses.job("job-2-3")}"'
    assert "job-2-3" in read(site, address)
    assert link not in read(site, address)
    assert main(["check"]) == Exit.DONE
    assert main(["render", "-q", "--workers", "1"]) == Exit.DONE
    assert link in read(site, address)


def test_the_page_that_is_kept_is_the_one_that_rendering_makes(site: Path) -> None:
    """Asking for it writes the same bytes as the next rendering would."""
    assert main(["diff", FIRST, THIRD, "-q"]) == Exit.DONE
    pages = [addresses.diff(FIRST, THIRD), addresses.DIFFS]
    before = [read(site, page) for page in pages]
    for page in pages:
        (site / page).unlink()
    assert main(["render", "-q", "--workers", "1"]) == Exit.DONE
    assert [read(site, page) for page in pages] == before


def test_what_a_table_has_no_room_for_is_folded_below_it_up_to_a_thousand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No other page has it: lists of causes and workflows are of today, and this page stays."""
    monkeypatch.setattr(diffpages, "ROWS", 2)
    monkeypatch.setattr(diffpages, "MOST", 4)
    one = TaskDifference(
        workflow="w", task="", before=1, after=9, attempts_before=5, attempts_after=5
    )
    found = Difference(
        before=SIDE,
        after=replace(SIDE, run=SECOND),
        causes=tuple(
            CauseDifference(id=f"{n}", title=f"cause {n}", cause_class="quota", before=n, after=0)
            for n in range(1, 7)
        ),
        flows=tuple(
            FlowDifference(name=f"flow {n}", before=StatusSplit(), after=StatusSplit())
            for n in range(3)
        ),
        tasks=tuple(
            replace(one, task=f"{kind} {n}", after=after)
            for kind, after in (("slow", 9.0), ("fast", 0.1))
            for n in range(5)
        ),
    )
    shown = diffpages.view(found, lambda _: False, UTC)
    html = Theme(Settings(), version="0").render("diff.html", shown, address="diffs/a.html")
    whole = re.split(r"(?=<details)|</details>", html)
    folded = [each for each in whole if each.startswith("<details")]
    said = [re.findall(r"<summary>(.*?)</summary>", each)[0] for each in folded]
    assert said == ["and 4 more causes", *["and 3 more tasks"] * 2, "and 1 more workflow"]
    assert re.findall(r"cause \d", "".join(set(whole) - set(folded))) == ["cause 1", "cause 2"]
    assert re.findall(r"cause \d", folded[0]) == ["cause 3", "cause 4"]
    assert re.findall(r"(?:slow|fast) \d", folded[1] + folded[2]) == [
        "slow 2", "slow 3", "fast 2", "fast 3",
    ]  # fmt: skip
    assert "flow 2" in folded[3]
    left = re.findall(r"This page has no room for (.*?): <code>(.*?)</code> tells of all", html)
    command = f"jmreport diff {FIRST} {SECOND} --format json"
    assert left == [("2 more causes", command), *[("1 more task", command)] * 2]


# The words.


SIDE = Side(
    run=FIRST,
    now=datetime(2026, 11, 23, tzinfo=UTC),
    since=None,
    complete=False,
    failing=0,
    unknown=2,
    ended=StatusSplit(counts={"Failed": 1}),
)


def test_long_lists_name_the_first_and_say_how_many_more() -> None:
    jobs = tuple(
        DiffJob(id=f"job-{n:02}", workflow="w" * 60, short_id=f"job-{n:02}", status="Failed")
        for n in range(25)
    )
    said = list(differing.lines(Difference(before=SIDE, after=SIDE, new=jobs)))
    assert said[0] == f"A  {FIRST}  1 job ended in its whole window, incomplete"
    assert said[1] == "   0 failing, 2 jobs unknown"
    assert "  and 5 more (--format json names all)" in said
    assert sum("Failed" in line for line in said) == 20
    assert max(map(len, said)) <= differing.COLUMNS


def test_a_task_that_became_slow_is_named_with_both_medians(
    tmp_path: Path, planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    """The planted nights' slow task; read backwards it became faster."""
    planted.into(tmp_path / "snapshots", 10)
    with chdir(tmp_path):
        forth = diff(capsys, "latest~2", "latest~1", "-q")
        back = diff(capsys, "latest~1", "latest~2", "-q")
    assert "slower tasks: 1 (medians A -> B)\n" in forth
    assert "min -> 1 h " in forth.partition("slower tasks")[2].splitlines()[1]
    assert "vcf_annotate: VepAnnotate" in forth
    assert "faster tasks: 1 (medians A -> B)\n" in back
    assert "slower tasks" not in back
