"""Nights: each is told once, stays as it was told, and can be told again from the snapshots."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import site_cases
from analysis_cases import job, run, runs
from analysis_cases import night as at_night
from held import Held
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jmreport.analysis import analyse, measure, night, summarise
from jmreport.analysis.failednights import failed_nights
from jmreport.cli import main
from jmreport.errors import Exit
from jmreport.records import Filters, Measure, Run, RunState, Spent, run_id
from jmreport.render import kept, nightcalendar, nightpages, words
from jmreport.render.files import WrittenFile
from jmreport.render.joblists import Jobs, Lists
from jmreport.render.ledger import Ledger
from jmreport.report.counts import ReportCounts, StatusSplit
from jmreport.report.nights import FailedNight, NightFlow, NightSummary, NightTask
from jmreport.report.usual import Range
from jmreport.settings import ReportSettings, Settings
from jmreport.snapshots import Redaction, Store

FIRST = datetime(2026, 11, 19, 2, 14, tzinfo=UTC)


def _build(folder: Path, nights: int, *, start: int = 0) -> None:
    for number in range(start, nights):
        now = (FIRST + timedelta(days=number)).isoformat()
        _run(folder, "build", "--demo", "--jobs", "50", "--now", now)


def _run(folder: Path, *args: str) -> None:
    """In the folder itself: its pages name the places that they were made in."""
    with chdir(folder):
        assert main([*args, "-q"]) == 0


def _fail(folder: Path, now: datetime) -> None:
    """A run that brings nothing: the built-in server never fails."""
    with Store.open(folder / "snapshots", summarise=summarise, measure=measure) as store:
        asked = store.runs()[-1].asked
        with store.begin(now, Redaction(), asked=asked, version="1") as writer:
            why = "the server does not answer"
            writer.finish(Run(id=writer.id, now=now, state="failed", asked=asked, reason=why))


def _files(folder: Path) -> Mapping[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".jmreport" not in path.parts
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of three nights of the built-in server."""
    folder = tmp_path_factory.mktemp("nights")
    _build(folder, 3)
    return folder


def test_each_night_has_a_page_of_its_own_and_a_row_in_the_calendar(site: Path) -> None:
    calendar = (site / "site/nights/index.html").read_text()
    for number in range(3):
        run = f"{FIRST + timedelta(days=number):%Y%m%dT%H%M%SZ}"
        assert f'href="{run}/index.html"' in calendar
        assert (site / "site/nights" / run / "index.html").exists()


def test_a_site_that_was_lost_comes_back_with_the_same_bytes_nights_included(
    site: Path, tmp_path: Path
) -> None:
    shutil.copytree(site / "snapshots", tmp_path / "snapshots")
    _run(tmp_path, "render")
    assert _files(tmp_path / "site") == _files(site / "site")


def test_one_more_night_leaves_the_older_nights_as_they_were_told(tmp_path: Path) -> None:
    """Only the newest of them changes, for it now has a night after it."""
    _build(tmp_path, 3)
    before = _files(tmp_path / "site/nights")
    _build(tmp_path, 4, start=3)
    after = _files(tmp_path / "site/nights")
    newest = f"{FIRST + timedelta(days=2):%Y%m%dT%H%M%SZ}/index.html"
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"index.html", newest}


def test_a_run_that_failed_behind_a_night_is_told_of_by_the_next_one(
    site: Path, tmp_path: Path
) -> None:
    """The site of a night that was made again behind it is the one that is made of nothing."""
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    _fail(tmp_path, FIRST + timedelta(days=2, hours=6))
    _run(tmp_path, "render")
    said = "The run of Sat 21 Nov 2026, 08:14 UTC brought no report"
    overview = (tmp_path / "site/index.html").read_text()
    assert said in overview
    assert "before it" not in _between(overview, said, "</")
    _build(tmp_path, 4, start=3)
    grown = _files(tmp_path / "site")
    shutil.rmtree(tmp_path / "site")
    _run(tmp_path, "render")
    assert _files(tmp_path / "site") == grown
    told, mentions = tmp_path / "site/nights", "08:14"
    nights = [f"{FIRST + timedelta(days=number):%Y%m%dT%H%M%SZ}/index.html" for number in (2, 3)]
    assert [mentions in (told / each).read_text() for each in nights] == [False, True]


def test_a_night_without_a_report_stands_in_calendar_grid_feed_and_quality_at_once_and_stays(
    site: Path, tmp_path: Path
) -> None:
    """A site that was sealed is made again; nothing of a night that was told changes."""
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    frozen = {name: page for name, page in _files(tmp_path / "site/nights").items() if "/" in name}
    for hours in (0, 1):
        _fail(tmp_path, FIRST + timedelta(days=3, hours=hours))
    run = f"{FIRST + timedelta(days=3):%Y%m%dT%H%M%SZ}"

    def check() -> list[str]:
        calendar = (tmp_path / "site/nights/index.html").read_text()
        row = _between(calendar, f'id="failed-{run}"', "</tr>")
        assert "Sun 22 Nov 2026, 03:14 UTC" in row
        assert "<b>No report.</b> 2 runs brought nothing, the last one: " in row
        assert "<a " not in row
        grid = (tmp_path / "site/grid.html").read_text()
        assert f'<a href="nights/index.html#failed-{run}"' in grid
        assert '<span class="vh">no report</span>' in grid
        quality = (tmp_path / "site/quality.html").read_text()
        brought_nothing = _between(quality, "<h2>Runs that brought nothing</h2>", "</table>")
        assert brought_nothing.index("03:14 UTC") < brought_nothing.index("02:14 UTC")
        feed = (tmp_path / "site/data/feed.xml").read_text()
        (entry,) = [one for one in feed.split("<entry>") if "REPORT FAILED: " in one]
        assert "<updated>2026-11-22T03:14:00Z</updated>" in entry
        with chdir(tmp_path):
            assert main(["check"]) == Exit.DONE
        return [_between(entry, "<id>", "</id>")]

    _run(tmp_path, "render")
    ids = check()
    assert {name: (tmp_path / "site/nights" / name).read_bytes() for name in frozen} == frozen
    _build(tmp_path, 6, start=4)
    assert check() == ids
    grown = _files(tmp_path / "site")
    shutil.rmtree(tmp_path / "site")
    _run(tmp_path, "render")
    assert _files(tmp_path / "site") == grown


def _came(*told: tuple[int, int, RunState]) -> list[Run]:
    """Runs of these days and hours, as they came."""
    return [replace(run(day), **_at(day, hour), state=state) for day, hour, state in told]


def _at(day: int, hour: int) -> dict[str, Any]:
    now = at_night(day) + timedelta(hours=hour)
    return {"id": run_id(now), "now": now}


@pytest.mark.parametrize(
    ("told", "failed", "tries"),
    [
        ([(0, 0, "complete"), (1, 0, "failed"), (2, 0, "complete")], [(1, 1)], []),
        ([(0, 0, "complete"), (1, 0, "failed"), (1, 3, "interrupted")], [(1, 2)], []),
        ([(0, 0, "failed"), (0, 1, "failed"), (0, 2, "incomplete")], [], [2]),
        ([(0, 0, "failed"), (1, 0, "failed"), (1, 2, "complete")], [(0, 1)], [1]),
        ([(0, 0, "complete"), (0, 5, "failed"), (1, 0, "complete")], [(0, 1)], []),
        ([(0, 0, "failed"), (0, 1, "complete"), (0, 2, "failed")], [(0, 1)], [1]),
        ([(0, 0, "complete"), (1, 0, "refreshed"), (2, 0, "complete")], [], []),
        (
            [(0, 0, "complete"), (1, 0, "failed"), (1, 1, "refreshed"), (1, 2, "failed")],
            [(1, 2)],
            [],
        ),
    ],
    ids=[
        "one of its own",
        "tried again in vain",
        "tried again",
        "and the day before",
        "behind its report",
        "before and behind",
        "no night",
        "read again between",
    ],
)
def test_runs_of_a_day_that_brought_nothing_are_one_night_unless_a_report_follows_on_it(
    told: list[tuple[int, int, RunState]], failed: list[tuple[int, int]], tries: list[int]
) -> None:
    nights, tried = failed_nights(_came(*told), UTC)
    days = [at_night(day).date().isoformat() for day, _ in failed]
    assert [(night.day, night.runs) for night in nights] == list(
        zip(days, [number for _, number in failed], strict=True)
    )
    assert list(tried.values()) == tries


def test_a_night_without_a_report_is_called_by_its_first_run_and_tells_the_last() -> None:
    first, last = _came((1, 0, "failed"), (1, 5, "interrupted"))
    (night,), _ = failed_nights([first, replace(last, reason="killed before it ended")], UTC)
    assert (night.run, night.now, night.reason) == (first.id, last.now, "killed before it ended")


def test_a_day_is_one_of_the_reports_zone() -> None:
    """23:00 and 01:00 UTC are two days there and one in Tokyo."""
    runs = _came((0, 21, "failed"), (0, 23, "complete"))
    assert [len(failed_nights(runs, ZoneInfo(zone))[0]) for zone in ("UTC", "Asia/Tokyo")] == [1, 0]


def test_a_day_without_a_report_is_marked_only_where_its_run_failed() -> None:
    came = _came((0, 0, "complete"), (1, 0, "failed"), (3, 0, "complete"))
    ended_first = job("j", at_night(0) - timedelta(hours=1), found=0)
    found = analyse(Held([ended_first]), came, {}, settings=ReportSettings())
    assert [day.unreported for day in found.days] == [False, True, False, False]


def test_runs_that_were_pruned_take_the_nights_with_them_that_they_did_not_bring() -> None:
    gone, stays = _came((0, 0, "failed"), (5, 0, "failed"))
    assert [night.run for night in failed_nights([replace(gone, pruned=True), stays], UTC)[0]] == [
        stays.id
    ]


def test_the_page_of_data_quality_looks_back_fourteen_nights_for_runs_that_brought_nothing() -> (
    None
):
    runs = _came(*((day, 0, "failed" if day in (1, 6, 18) else "complete") for day in range(22)))
    found = analyse(Held([]), runs, {}, settings=ReportSettings()).quality
    assert found is not None
    assert [each.now for each in found.failed_lately] == [at_night(6), at_night(18)]
    assert found.failed_runs == ()


def test_a_calendar_of_nights_without_a_report_alone_is_one() -> None:
    failed = FailedNight(run=run_id(FIRST), day="2026-11-19", now=FIRST, runs=1)
    found = replace(analyse(Held([]), runs(1), {}, settings=ReportSettings()), nights=())
    lists = Lists(Jobs(found, zone=UTC, pages=set()))
    view = nightcalendar.calendar(replace(found, failed_nights=(failed,)), lists, UTC)
    assert (view.count, view.failed) == ("0 nights", "1 more night brought no report.")
    (month,) = view.months
    assert (month.name, [row.href for row in month.rows]) == ("November 2026", [""])


def test_why_a_night_brought_no_report_is_cut_and_stays_text(tmp_path: Path) -> None:
    """In the calendar, the grid's heads and on the page of data quality."""
    over = site_cases.runs(2)
    attack = f"{site_cases.HOSTILE}\u202e<script>boom()</script>" + "x" * 5000
    stopped = replace(over[-1], **_id_of(over[-1], hours=-5), state="failed", reason=attack)
    runs = (*over[:1], stopped, *over[1:])
    site_cases.write(tmp_path, site_cases.entries(20, runs), runs)
    for name in ("nights/index.html", "grid.html", "quality.html"):
        page = (tmp_path / name).read_text()
        assert "&lt;/script&gt;" in page, name
        assert "boom()<" not in page, name
        assert "x" * 400 not in page, name


def _id_of(run: Run, *, hours: int) -> dict[str, Any]:
    now = run.now + timedelta(hours=hours)
    return {"id": run_id(now), "now": now}


def test_the_newest_nights_page_says_what_the_overview_says(site: Path) -> None:
    run = f"{FIRST + timedelta(days=2):%Y%m%dT%H%M%SZ}"
    page = (site / "site/nights" / run / "index.html").read_text()
    overview = (site / "site/index.html").read_text()
    assert _between(page, "<h1>", "</h1>") == _between(overview, "<h1>", "</h1>")


def _rows(nights: list[NightSummary]) -> list[nightcalendar.Row]:
    """The rows of the calendar of some nights, oldest first."""
    found = analyse(Held([]), runs(1), {}, settings=ReportSettings())
    known = replace(found, nights=tuple(nights))
    lists = Lists(Jobs(known, zone=UTC, pages=set()))
    return [
        row
        for month in nightcalendar.calendar(known, lists, UTC).months
        for row in month.rows
        if isinstance(row, nightcalendar.Row)
    ][::-1]


def test_the_calendar_tells_of_stuck_and_missing_work_and_leads_to_it() -> None:
    counts = ReportCounts(stuck=2, missing=3, total=5)
    row = _rows([*map(_summary, range(6)), replace(_summary(6), counts=counts)])[-1]
    page = "20261125T021400Z/index.html"
    assert row.stuck == nightcalendar.Counted("2", f"{page}#stuck")
    assert row.missing == nightcalendar.Counted("3", f"{page}#missing")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (2, ""),
        (5, ": 2 of 5 are still known"),
        (1, ": its report counted 1"),
    ],
)
def test_a_count_of_the_calendar_leads_to_the_jobs_that_are_known_and_says_how_many_those_are(
    told: int, said: str
) -> None:
    jobs = [job(f"j{n}", at_night(0) - timedelta(hours=1), "Failed", found=0) for n in range(2)]
    found = analyse(Held(jobs), runs(1), {}, settings=ReportSettings())
    (night,) = found.nights
    counted = replace(night, split=StatusSplit(counts={"Failed": told}))
    known = replace(found, nights=(counted,))
    held = Jobs(known, zone=UTC, pages=set())
    lists = Lists(held)
    (month,) = nightcalendar.calendar(known, lists, UTC).months
    (row,) = month.rows
    assert isinstance(row, nightcalendar.Row)
    assert (row.ended.text, row.failed.text) == (str(told), str(told))
    titles = {page.address: page.sheet.shown(held).title for page in lists.pages() if page.sheet}
    for cell, noun in ((row.ended, "jobs"), (row.failed, "failed jobs")):
        title = titles[cell.href.removeprefix("../")]
        assert title == f"2 {noun} that ended in the night up to Sun 1 Nov 2026, 02:00 UTC{said}"


def test_too_few_nights_say_nothing_about_what_is_missing() -> None:
    """Work is missing that ran on five nights before: 0 is only known behind them."""
    rows = _rows([*map(_summary, range(7))])
    assert [row.missing.text for row in rows] == [""] * 5 + ["0"] * 2
    assert {row.missing.why for row in rows[:5]} == {"too few nights before"}
    assert {row.stuck.text for row in rows} == {"0"}
    # Of nights that were pruned nobody knows how many there were.
    assert {row.missing.text for row in _rows([*map(_summary, range(1, 4))])} == {"0"}


def test_what_may_be_missing_is_no_0_in_the_calendar() -> None:
    """Nobody knows of which work the job is that could not be read."""
    nights = [_summary(number) for number in range(8)]
    unsure = replace(nights[6], counts=ReportCounts(maybe_missing=2))
    some = replace(nights[7], counts=ReportCounts(maybe_missing=2, missing=1))
    *_, told, besides = _rows([*nights[:6], unsure, some])
    assert (told.missing.text, told.missing.why) == ("", "a job could not be read")
    assert besides.missing.text == "1"


def test_a_count_that_a_nights_filter_hid_is_no_0_in_the_calendar() -> None:
    hidden = replace(_summary(1), filters=Filters(status=("Succeeded",)))
    row = _rows([_summary(0), hidden])[-1]
    told = (row.failed, row.new, row.still_failing, row.stuck)
    assert {(one.text, one.why) for one in told} == {("", "not asked for")}
    assert row.fixed.text == "0"


def test_a_night_of_before_that_did_not_note_its_filter_or_what_is_stuck_is_still_read() -> None:
    """As a site of an older version remembers it."""
    flow = NightFlow(name="wf", split=StatusSplit(counts={"Succeeded": 1}), stuck=1)
    whole = replace(_summary(1), flows=(flow,), filters=Filters(name="wf"), left_out=3)
    kept_then = msgspec.to_builtins(whole)
    del kept_then["filters"], kept_then["left_out"], kept_then["flows"][0]["stuck"]
    for count in ("not_run", "lapsed", "unjudged", "maybe_missing"):
        del kept_then["counts"][count]
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(kept_then), type=NightSummary)
    assert (read.filters, read.left_out, read.flows[0].stuck) == (None, None, None)
    assert "filter" not in nightpages.view(nightpages.lost(read), UTC).filtered


def test_how_a_night_is_kept_is_told_alike_by_every_process() -> None:
    """Else each render would tell all nights again."""
    code = "from jmreport.render import kept; from jmreport.settings import Settings; "
    code += "print(kept.told_under(Settings()))"
    other = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == kept.told_under(Settings())


def test_the_calendars_page_has_a_dash_where_nothing_is_known(site: Path) -> None:
    calendar = (site / "site/nights/index.html").read_text()
    assert '<th scope="col" class="num">Stuck</th>' in calendar
    dash = '<span aria-hidden="true">—</span><span class="vh">too few nights before</span>'
    assert calendar.count(dash) == 3


def test_on_a_phone_a_nights_numbers_stand_side_by_side_and_only_those_that_are_some(
    site: Path, browser: Any
) -> None:
    """A line for each 0 made a screen of three nights; what nobody knows is no 0, and stays."""
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto((site / "site/nights/index.html").as_uri())
    cells = page.locator(".nights td.num").all()
    told = [cell.text_content().split()[0][0] for cell in cells]
    shown = [cell.bounding_box() for cell in cells]
    assert {"0", "—"} <= set(told)
    assert [number for number, box in zip(told, shown, strict=True) if box] == [
        number for number in told if number != "0"
    ]
    lines = {box["y"] // 24 for box in shown if box}
    assert len(lines) <= len(told) / 3
    page.close()


def _between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


def _summary(number: int, *, new: int = 0, complete: bool = True) -> NightSummary:
    now = FIRST + timedelta(days=number)
    return NightSummary(
        run=f"{now:%Y%m%dT%H%M%SZ}",
        now=now,
        since=now - timedelta(days=1) if number else None,
        complete=complete,
        counts=ReportCounts(new=new),
        split=StatusSplit(),
    )


def test_the_usual_night_is_the_median_of_the_fourteen_before_and_never_tonight() -> None:
    nights = [_summary(number, new=number) for number in range(20)]
    usual = night.usual_night(nights, lambda each: each.counts.new, UTC)
    assert usual is not None
    # Nights 5 to 18: the last fourteen before night 19.
    assert (usual.median, usual.nights) == (11.5, 14)


def test_fewer_than_five_nights_say_nothing_about_what_is_usual() -> None:
    nights = [_summary(number) for number in range(6)]
    # The first night is its whole window, so five nights before tonight are four to compare with.
    assert night.usual_night(nights, lambda each: each.counts.new, UTC) is None
    assert night.usual_night([*nights, _summary(6)], lambda each: each.counts.new, UTC) is not None


def test_an_incomplete_night_is_compared_with_none() -> None:
    nights = [_summary(number, complete=number != 3) for number in range(10)]
    assert nights[3] not in night.comparable(nights, UTC)


def test_a_night_of_another_filter_is_compared_with_none() -> None:
    """They are of other jobs. One that noted no filter may have had the same."""
    nights = [replace(_summary(number), filters=Filters()) for number in range(10)]
    nights[3] = replace(nights[3], filters=Filters(labels={"owner": "ana"}))
    nights[4] = replace(nights[4], filters=None)
    assert nights[3] not in night.comparable(nights, UTC)
    assert nights[4] in night.comparable(nights, UTC)
    assert [*night.comparable([*nights[:3], nights[3]], UTC)] == []


def test_with_twenty_eight_nights_a_weekend_is_compared_with_weekends() -> None:
    nights = [_summary(number) for number in range(40)]
    kinds = {each.now.weekday() >= 5 for each in night.comparable(nights, UTC)}
    assert kinds == {nights[-1].now.weekday() >= 5}


def _behind(state: RunState) -> Run:
    """A run eight hours behind the second night's, which ends no night."""
    now = at_night(1) + timedelta(hours=8)
    return replace(run(1), id=run_id(now), now=now, state=state)


@pytest.mark.parametrize("state", ["refreshed", "interrupted"])
@pytest.mark.parametrize("hours", [-1, 7])
@pytest.mark.parametrize("status", ["Failed", "Succeeded"])
def test_how_a_job_ended_that_a_run_behind_the_night_tells_first_is_for_the_coming_night(
    state: RunState, hours: int, status: str
) -> None:
    """Also where it had ended when the night's run read it, and its server still had it running."""
    before = job("old", at_night(0), "Failed" if status == "Succeeded" else "Succeeded", found=0)
    behind = _behind(state)
    ended = at_night(1) + timedelta(hours=hours)
    late = replace(job("late", ended, status, found=0, last=1), run=behind.id, told_run=behind.id)
    still = replace(late, row=replace(late.row, status="Running", end=None), told_run="")
    still = replace(still, run=run(1).id)
    of = [*runs(2), behind]
    settings = ReportSettings()
    then = analyse(Held([before, still], of[:2]), of[:2], {}, settings=settings)
    now = analyse(Held([before, late], of), of, {}, settings=settings)
    assert then.counts.running == 1
    assert (now.counts, now.split, now.running) == (then.counts, then.split, then.running)
    assert (now.days, now.attention, now.nights) == (then.days, then.attention, then.nights)
    # Its page says how it ended, and leads to the cause, which is there.
    assert [cause.window for cause in now.causes if "late" in cause.jobs] == (
        [("late",)] if status == "Failed" else []
    )
    of = [*of, run(2)]
    late = replace(late, last_run=run(2).id)
    coming = analyse(Held([before, late], of), of, {}, settings=settings)
    assert (coming.counts.new, coming.counts.fixed) == ((1, 0) if status == "Failed" else (0, 1))


def _lasting(hours: int) -> Measure:
    return Measure("t", calls=1, attempts=1, failed=1, spent=Spent(failed=3600.0 * hours))


@pytest.mark.parametrize(
    ("timezone", "hour"), [("Asia/Tokyo", 22), ("America/Los_Angeles", 5), ("UTC", 2)]
)
def test_which_nights_are_a_weekends_is_told_by_the_days_of_the_readers_zone(
    timezone: str, hour: int
) -> None:
    """At seven in the morning of a Monday in Tokyo it is Sunday in UTC."""
    readers = ZoneInfo(timezone)
    nights = []
    for number in range(1, 47):
        now = datetime(2026, 10, 1, hour, tzinfo=UTC) + timedelta(days=number)
        new = 1 if now.astimezone(readers).weekday() >= 5 else 10
        tasks = (NightTask("wf", _lasting(new)),)
        told = replace(_summary(number, new=new), run=run_id(now), now=now, tasks=tasks)
        nights.append(told)
    for last in range(36, len(nights)):
        tonight = nights[last]
        report = analyse(
            Held([job("a", tonight.now, found=0)]),
            [replace(run(0), id=tonight.run, now=tonight.now)],
            {},
            settings=ReportSettings(timezone=timezone),
            past=nights[:last],
            measures=lambda jobs: ((each, (_lasting(1),)) for each in jobs),
        )
        assert report.usual["new"].median == tonight.counts.new
        assert report.waste is not None
        assert report.waste.usual is not None
        assert report.waste.usual.median == 3600 * tonight.counts.new


@given(st.lists(st.integers(0, 1000), max_size=60))
def test_what_is_usual_lies_between_its_tenth_and_ninetieth_percentile(new: list[int]) -> None:
    nights = [_summary(number, new=value) for number, value in enumerate(new)]
    usual = night.usual_night(nights, lambda each: each.counts.new, UTC)
    assert usual is None or usual.p10 <= usual.median <= usual.p90


@given(
    st.one_of(
        st.lists(st.booleans(), max_size=30),
        st.lists(st.sampled_from([True, True, True, False]), min_size=45, max_size=120),
    )
)
def test_the_nights_that_are_compared_are_the_same_however_many_came_before(
    complete: list[bool],
) -> None:
    """The last fourteen complete ones, of the same kind of day once there are 28 of them."""
    nights = [_summary(number, complete=each) for number, each in enumerate(complete)]
    before = [each for each in nights[1:-1] if each.complete]
    if len(before) >= night.SAME_KIND_OF_DAY:
        kind = nights[-1].now.weekday() >= 5
        before = [each for each in before if (each.now.weekday() >= 5) == kind]
    assert night.comparable(nights, UTC) == tuple(before[-night.COMPARABLE :])


def test_every_count_has_a_usual_night_once_there_are_five() -> None:
    """But for those that older nights did not note."""
    nights = [_summary(number, new=number % 3) for number in range(8)]
    usual = night.usual_counts(nights, UTC)
    unnoted = {"not_run", "lapsed", "unjudged", "hidden", "maybe_missing"}
    assert set(usual) == set(ReportCounts.__struct_fields__) - unnoted
    assert (usual["new"].median, usual["new"].nights, usual["fixed"].median) == (1, 6, 0)
    assert night.usual_counts(nights[:5], UTC) == {}


@pytest.mark.parametrize(
    ("usual", "said"),
    [
        ((8, 2, 14), "usual night: 8 (2 to 14)"),
        ((0, 0, 0), "usual night: 0"),
        # A range is said in whole jobs, and never narrower than it is.
        ((1.5, 0.4, 2.1), "usual night: 1.5 (0 to 3)"),
        ((1203, 1100.5, 1300), "usual night: 1\u202f203 (1\u202f100 to 1\u202f300)"),
    ],
)
def test_a_usual_night_is_said_with_its_range(usual: tuple[float, float, float], said: str) -> None:
    median, p10, p90 = usual
    known = Range(median=median, p10=p10, p90=p90, nights=14)
    assert words.usual_night(known) == said


def test_the_overview_says_nothing_of_usual_nights_before_there_are_five(site: Path) -> None:
    assert "usual night" not in (site / "site/index.html").read_text()
    assert json.loads((site / "site/data/report.json").read_text())["usual"] == {}


def test_a_night_is_remembered_while_a_ledger_writes_more_than_memory_keeps_of_it(
    site: Path, tmp_path: Path
) -> None:
    """Another connection would be locked out by then, and the night's page would lose its jobs."""
    run = f"{FIRST + timedelta(days=2):%Y%m%dT%H%M%SZ}"
    path = Path(shutil.copy(site / "site/.jmreport/pages", tmp_path / "pages"))
    with Ledger(path) as ledger:
        before = kept.night(ledger, run)
        for number in range(120_000):
            address = f"jobs/{number}.html"
            file = WrittenFile(address=address, size=1, sum="0" * 32)
            ledger.put(address, "0" * 64, (file,), kept=True)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite3.connect(path, timeout=0).execute("SELECT run FROM nights").fetchall()
        again = kept.night(ledger, run)
    assert before is not None
    assert before.jobs
    assert again == before
