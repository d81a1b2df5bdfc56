"""The server's counts beside ours: for each label and time frame, with the difference explained."""

import re
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from held import Held
from msgspec.structs import replace
from site_cases import NOW, entries, runs, write
from site_numbers import numbers_checked

from jmreport.analysis import analyse
from jmreport.analysis.aggregate import Frames
from jmreport.analysis.beside import Known, why, why_not
from jmreport.cli import main
from jmreport.gaps import Gap
from jmreport.records import Entry, Filters, Operation, Run
from jmreport.render import addresses, joblists, labelpages, workflowpages
from jmreport.render.joblists import MOST_STATUSES, Jobs, Lists
from jmreport.render.labelpages import VALUES, FrameView, pages
from jmreport.render.words import zone
from jmreport.render.workflowfacts import windows
from jmreport.report import Report
from jmreport.report.counts import StatusSplit
from jmreport.report.labels import LabelReport, LabelValue
from jmreport.settings import ReportSettings

OVER = runs(2)
DAY = timedelta(days=1)
JOBS = entries(120, OVER)


def known(run: Run, **more: Any) -> Known:
    facts = {"read_since": NOW - timedelta(days=7), "lost": frozenset(), "now": run.now}
    return Known(run=run, **{**facts, **more})


def counted(
    jobs: Sequence[Entry], change: dict[str, int], frame: str = "DAYS_7", **more: Any
) -> str:
    """Why a server that counts so many more or fewer does so."""
    about = known(more.pop("run", OVER[-1]), **more)
    found = Frames((), about.now, about.read_since)
    for entry in Held(jobs).by_submission():
        found.take(entry.row, reported=True, lost=entry.row.id in about.lost)
    ours = next(each.counted for each in found.frames() if each.name == frame)
    theirs = {
        status: ours.split.counts.get(status, 0) + change.get(status, 0)
        for status in sorted({*ours.split.counts, *change})
    }
    counts = {status: count for status, count in theirs.items() if count}
    return why(frame, ours, StatusSplit(counts=counts), about)


def test_equal_counts_need_no_reason() -> None:
    assert counted(JOBS, {}) == ""


def test_archived_jobs_explain_as_many_as_they_are() -> None:
    archived = sum(entry.row.archived for entry in JOBS)
    said = counted(JOBS, {"Succeeded": -archived}, frame="ALL_TIME")
    assert said.startswith(f"The server counts {archived} jobs fewer. {archived} jobs here are")
    assert "cannot be explained" not in said
    far = counted(JOBS, {"Succeeded": -archived - 2}, frame="ALL_TIME")
    assert "The other 2 cannot be explained from what was read" in far


def test_jobs_that_the_server_lost_are_counted() -> None:
    lost = frozenset(entry.row.id for entry in JOBS[:3] if not entry.row.archived)
    said = counted(JOBS, {"Succeeded": -len(lost)}, frame="ALL_TIME", lost=lost)
    assert f"{len(lost)} jobs here are no longer on the server." in said


def test_jobs_at_the_edge_of_the_frame_are_counted() -> None:
    start = NOW - timedelta(days=7)
    jobs = [
        replace(
            entry,
            row=replace(entry.row, labels={}, submission=start + timedelta(minutes=minutes)),
        )
        for minutes, entry in zip((1, 9, 11, 600), JOBS, strict=False)
    ]
    said = counted(jobs, {jobs[0].row.status: -1})
    assert "2 jobs here were submitted within 10 minutes of the frame's beginning" in said


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (
            replace(OVER[-1], asked=replace(OVER[-1].asked, filters=Filters(name="x"))),
            "This report reads only jobs that pass its filters.",
        ),
        (
            replace(OVER[-1], gaps=(Gap(what="page 3 of the list", why="500"),)),
            "1 page of the list could not be read.",
        ),
        (OVER[-1], "Only jobs since 16 Nov 2026, 02:14 UTC were read."),
    ],
    ids=["filters", "missing page", "window"],
)
def test_more_jobs_on_the_server_have_a_reason(run: Run, expected: str) -> None:
    said = counted(JOBS, {"Failed": 9}, frame="ALL_TIME", run=run)
    assert said.startswith(f"The server counts 9 jobs more. {expected}")


def test_a_project_that_was_asked_for_is_no_filter_of_ours() -> None:
    """The server was told of it, and counts the same jobs."""
    asked = replace(OVER[-1].asked, filters=Filters(project_id="p"))
    said = counted(JOBS, {"Failed": 1}, run=replace(OVER[-1], asked=asked))
    assert "filters" not in said
    assert "The 1 cannot be explained" in said


def test_jobs_that_went_on_meanwhile_are_named_as_such() -> None:
    said = counted(JOBS, {"Running": -2, "Succeeded": 2})
    assert said.startswith(
        "The same number of jobs. 2 jobs have another status there: jobs went on"
    )


def test_a_frame_without_the_servers_numbers_says_why() -> None:
    """501, a frame not offered, and an answer that could not be read are three things."""
    run = OVER[-1]
    off = replace(
        run, operations=(Operation(name="GetJobAggregations", offer="not offered", why="501"),)
    )
    assert why_not("DAYS_7", off, None).startswith("The server does not count jobs by label (501)")
    assert "does not offer this time frame" in why_not("DAYS_30", run, ("DAYS_7",))
    gap = replace(run, gaps=(Gap(what="aggregation DAYS_7", why="server error 500"),))
    assert why_not("DAYS_7", gap, None) == (
        "The server's own numbers could not be read: server error 500."
    )


# --- values ------------------------------------------------------------------------------------

VALUES_SEEN = ["", "2", "ä" * 255, "\u202e<b>", "x" * 255]


def answer(*groups: tuple[Any, int], key: str = "labels.odd") -> dict[str, Any]:
    """A server's answer for one label, all jobs Succeeded."""
    told = [
        {"label": label, "statusCounts": {"counts": [{"status": "Succeeded", "count": count}]}}
        for label, count in groups
    ]
    total = sum(count for _, count in groups)
    return {
        "summary": {"counts": [{"status": "Succeeded", "count": total}]},
        "aggregations": [{"key": key, "name": "Odd", "entries": told}],
    }


def labelled(values: Sequence[str | None]) -> tuple[Entry, ...]:
    """A succeeded job for each value of the label `odd`."""
    return tuple(
        replace(
            entry,
            row=replace(
                entry.row,
                status="Succeeded",
                submission=NOW - timedelta(hours=2),
                labels={} if value is None else {"odd": value},
            ),
        )
        for value, entry in zip(values, entries(len(values), OVER), strict=True)
    )


def odd(found: Report) -> LabelReport:
    (label,) = [label for label in found.labels if label.key == "odd"]
    return label


def test_values_of_any_kind_meet_the_servers_own() -> None:
    """Integers, nothing, an empty text and 255 characters are the same values on both sides."""
    jobs = labelled([*VALUES_SEEN, None])
    trees = {"HOURS_8": answer(*((v, 1) for v in ["", 2, *VALUES_SEEN[2:], None]))}
    found = analyse(Held(jobs), OVER, trees, settings=ReportSettings())
    frame = next(each for each in odd(found).frames if each.frame == "HOURS_8")
    assert {value.value for value in frame.values} == {*VALUES_SEEN, None}
    assert all(value.server == value.split for value in frame.values)
    assert frame.beside
    assert frame.beside.why == ""


def test_a_label_that_the_server_never_counts_has_no_column_of_dashes() -> None:
    """It is said once for the frame; a frame in which it counts some has the column."""
    trees = {
        "HOURS_8": answer(("x", 1), key="labels.other"),
        "DAYS_7": answer(("x", 1)),
    }
    found = analyse(Held(labelled(["x", "y"])), OVER, trees, settings=ReportSettings())
    lists = Lists(Jobs(found, zone=zone("UTC"), pages=set()))
    made = [page for page in pages(found, lists, as_of=None) if "labels/odd" in page.address]
    frames = {frame.title: frame for frame in made[0].view(None).frames}  # type: ignore[arg-type]
    assert not frames["Last 8 hours"].table.server_asked
    assert frames["Last 8 hours"].server.endswith("It does not count jobs by Odd.")
    assert frames["Last 7 days"].table.server_asked
    assert "does not count" not in frames["Last 7 days"].server
    assert "does not count" not in frames["All time"].server


def test_jobs_without_a_label_are_counted_in_every_frame_that_has_some() -> None:
    """A frame with none of the label's jobs is not one without jobs; a failure there is said."""
    with_it, without = labelled(["x", None])
    old = replace(with_it, row=replace(with_it.row, submission=NOW - timedelta(days=3)))
    bad = replace(without, row=replace(without.row, status="Failed"))
    found = analyse(Held((old, bad)), OVER, {}, settings=ReportSettings(labels=("labels.odd",)))
    counted = {frame.frame: [value.value for value in frame.values] for frame in odd(found).frames}
    assert counted["HOURS_1"] == []
    assert counted["HOURS_8"] == [None]
    assert counted["DAYS_7"] == ["x", None]
    lists = Lists(Jobs(found, zone=zone("UTC"), pages=set()))
    made = [page for page in pages(found, lists, as_of=None) if "labels/odd" in page.address]
    view = made[0].view(None)  # type: ignore[arg-type]
    assert "none of their jobs failed, but 1 without odd did." in view.lede
    totals = {frame.title: frame.total for frame in view.frames}
    assert totals["Last hour"] == "no job"
    assert totals["Last 8 hours"] == "1 job, 0 values"
    assert totals["All time"].endswith("; not all was read")


def test_a_label_of_many_values_has_small_pages_and_reaches_all() -> None:
    """The first page says how many more there are; every value is on some page."""
    jobs = labelled([f"NA{number:05}" for number in range(1_200)])
    found = analyse(Held(jobs), OVER, {}, settings=ReportSettings(labels=("labels.odd",)))
    lists = Lists(Jobs(found, zone=zone("UTC"), pages=set()))
    made = [page for page in pages(found, lists, as_of=None) if "labels/odd" in page.address]
    assert len(made) == 1_200 // VALUES
    views = [page.view(None) for page in made]  # type: ignore[arg-type]
    week = [next(f for f in view.frames if f.title == "Last 7 days") for view in views]
    assert {row.text for frame in week for row in frame.table.rows} == {
        f"NA{number:05}" for number in range(1_200)
    }
    assert week[0].more
    assert week[0].more.text == "1\u202f100 more values with 1\u202f100 jobs"
    assert week[-1].more is None
    assert len(msgspec.json.encode(views[0])) < 800_000


def of_statuses(*statuses: Sequence[str]) -> tuple[Entry, ...]:
    """Jobs of each of the values a, b … of the label `odd`, by the statuses of each."""
    named = [(name, word) for name, told in zip("abc", statuses, strict=False) for word in told]
    jobs = labelled([name for name, _ in named])
    return tuple(
        replace(job, row=replace(job.row, status=word))
        for job, (_, word) in zip(jobs, named, strict=True)
    )


def test_statuses_that_nobody_knows_are_one_column_where_they_are_many() -> None:
    """The numbers add up; one leads to a list where all of its jobs have one word."""
    many = [f"Word{number}" for number in range(MOST_STATUSES)]
    jobs = of_statuses([*many, "Unknown", "Failed"], ["Word0", "Word0", "Failed", "Failed"])
    frame = week_of(jobs)
    assert [status.text for status in frame.table.statuses] == ["Failed", "Unknown"]
    b, a = frame.table.rows
    assert [(each.text, bool(each.href)) for each in a.counts] == [("1", True), ("13", False)]
    assert [(each.text, bool(each.href)) for each in b.counts] == [("2", True), ("2", True)]
    assert (a.total.text, b.total.text) == ("14", "4")
    assert a.split == "1 failed, 13 unknown"
    assert len(a.segments) == 2


def test_a_few_statuses_that_nobody_knows_stand_each_for_itself() -> None:
    few = [f"Word{number}" for number in range(MOST_STATUSES - 1)]
    frame = week_of(of_statuses([*few, "Failed"]))
    assert len(frame.table.statuses) == MOST_STATUSES
    assert all(each.text == "1" and each.href for each in frame.table.rows[0].counts)


def test_lists_and_bars_count_many_statuses_that_nobody_knows_together() -> None:
    many = {"Failed": 2, **{f"Word{number}": 1 for number in range(MOST_STATUSES)}}
    assert labelpages.split_words(many) == "2 failed, 12 unknown"
    assert len(labelpages.bar(StatusSplit(counts=many))) == 2
    told_of = of_statuses(["Failed", *many])
    jobs = [replace(job, row=replace(job.row, name="align")) for job in told_of]
    report = analyse(Held(jobs), OVER, {}, settings=ReportSettings())
    lists = Lists(Jobs(report, zone=zone("UTC"), pages=set()))
    told = [*joblists._statuses([job.row.id for job in jobs], lists.jobs, lists)]
    assert [(one.status.text, one.jobs, bool(one.href)) for one in told] == [
        ("Failed", 2, True),
        ("Unknown", 12, True),
    ]
    assert sum(page.address.startswith("jobs/") for page in lists.pages()) == 2
    (flow,) = report.workflows
    window = windows(report)[flow.name]
    counts = [*workflowpages._counts(flow, window, lists, addresses.WORKFLOWS)]
    assert [(one.text, bool(one.href)) for one in counts] == [("2", True), ("12", False)]


def week_of(jobs: Sequence[Entry]) -> FrameView:
    """The last 7 days on the page of the label `odd`."""
    found = analyse(Held(jobs), OVER, {}, settings=ReportSettings(labels=("labels.odd",)))
    lists = Lists(Jobs(found, zone=zone("UTC"), pages=set()))
    (page,) = [page for page in pages(found, lists, as_of=None) if "labels/odd" in page.address]
    frames: Sequence[FrameView] = page.view(None).frames  # type: ignore[arg-type]
    return next(frame for frame in frames if frame.title == "Last 7 days")


class Counted(tuple[LabelValue, ...]):
    """A frame's values, and how many of them were looked at, each as often as it was."""

    looks = 0

    def __iter__(self) -> Iterator[LabelValue]:
        Counted.looks += len(self)
        return super().__iter__()

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        Counted.looks += len(found) if isinstance(place, slice) else 1
        return found


def looks(jobs: Sequence[Entry]) -> int:
    """How many values were looked at while the pages of a label were planned, one for each job."""
    found = analyse(Held(jobs), OVER, {}, settings=ReportSettings(labels=("labels.odd",)))
    label = odd(found)
    frames = tuple(replace(frame, values=Counted(frame.values)) for frame in label.frames)
    found = replace(found, labels=(replace(label, frames=frames),))
    Counted.looks = 0
    list(pages(found, Lists(Jobs(found, zone=zone("UTC"), pages=set())), as_of=None))
    return Counted.looks


def test_no_page_of_a_label_goes_through_the_values_of_the_others() -> None:
    """Three times the values make three times the pages, and not nine times the work."""
    jobs = labelled([f"NA{number:05}" for number in range(3 * VALUES)])
    assert looks(jobs) == 3 * looks(jobs[:VALUES])


def test_what_a_label_shows_takes_little_memory_until_its_pages_are_made() -> None:
    """All pages are planned at once, and there may be a value for each job."""
    jobs = labelled([f"NA{number:05}" for number in range(500)])
    found = analyse(Held(jobs), OVER, {}, settings=ReportSettings(labels=("labels.odd",)))
    lists = Lists(Jobs(found, zone=zone("UTC"), pages=set()))
    tracemalloc.start()
    try:
        made = [page for page in pages(found, lists, as_of=None) if "labels/odd" in page.address]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(made) == 500 // VALUES
    assert taken / 500 < 800


def test_a_frame_longer_than_what_was_read_says_how_long_that_is(tmp_path: Path) -> None:
    """As far as the runs' windows reach together, not only the newest one's."""
    over = runs(3)
    write(tmp_path, entries(50, over), over)
    label = next(tmp_path.glob("labels/owner-*.html")).read_text()
    assert "Only the last 9 days were read (since Sat 14 Nov 2026, 02:14 UTC)" in label
    assert label.count("Not all of this time frame was read.") == 2


def test_times_that_cannot_be_are_counted_and_listed(tmp_path: Path) -> None:
    """An end before its start, and a time to come; not one that is hours ahead, as zones are."""
    one, other, third, fourth = labelled(["x"] * 4)
    jobs = (
        replace(one, row=replace(one.row, start=NOW - DAY, end=NOW - DAY - timedelta(seconds=1))),
        replace(other, row=replace(other.row, submission=NOW + 400 * DAY, start=None, end=None)),
        replace(third, row=replace(third.row, end=NOW + timedelta(hours=14))),
        fourth,
    )
    found = analyse(Held(jobs), OVER, {}, settings=ReportSettings())
    assert found.quality
    assert (found.quality.backwards, found.quality.ahead) == ((one.row.id,), (other.row.id,))
    write(tmp_path, jobs, OVER)
    page = (tmp_path / addresses.QUALITY).read_text()
    for name, job in (("backwards", one), ("ahead", other)):
        address = f"jobs/{name}.html"
        assert f'<a href="{address}">1</a>' in page
        assert addresses.job(job.row.id).partition("/")[2] in (tmp_path / address).read_text()


def test_the_servers_words_for_a_label_are_on_its_page() -> None:
    """Which values it allows, that people change it, and which project was asked for."""
    flag = {
        "field": "label.odd",
        "display": "Oddity",
        "editable": True,
        "fieldType": "list",
        "validFieldValues": ["a", "b"],
    }
    asked = replace(OVER[-1].asked, filters=Filters(project_id="genome-42"))
    run = replace(OVER[-1], capabilities={"displayFields": [flag]}, asked=asked)
    found = analyse(Held(labelled(["a"] * 3)), [run], {}, settings=ReportSettings())
    lists = Lists(Jobs(found, zone=zone("UTC"), pages=set()))
    (page,) = [page for page in pages(found, lists, as_of=None) if "labels/odd" in page.address]
    view = page.view(None)  # type: ignore[arg-type]
    assert view.title == "Oddity"
    assert view.about[0] == "The server allows the values a and b."
    assert view.about[1].startswith("People can change it on the server")
    assert view.about[2] == "Only jobs of project genome-42 were asked for."


# --- the built-in server -----------------------------------------------------------------------


@pytest.mark.parametrize("like", ["spec", "cromwell", "dsub"])
def test_every_number_of_a_built_site_leads_to_exactly_its_jobs(
    tmp_path: Path, like: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overview, every workflow, every label and the list of jobs, for each kind of server."""
    monkeypatch.chdir(tmp_path)
    options = ["--demo", "--like", like, "--jobs", "120", "--workers", "1", "-q"]
    main(["build", *options, "--now", "2026-11-22T02:14:00Z"])
    main(["build", *options, "--now", "2026-11-23T02:14:00Z"])
    site = tmp_path / "site"
    asked = [addresses.OVERVIEW, addresses.JOBS, addresses.WORKFLOWS, addresses.LABELS]
    asked += [
        path.relative_to(site).as_posix()
        for pattern in ("workflows/*-*.html", "labels/*-*.html")
        for path in sorted(site.glob(pattern))
    ]
    assert numbers_checked(site, asked) > 200
    said = re.findall(r"<dt>([^<]*)</dt><dd>([^<]+)</dd>", (site / addresses.LABELS).read_text())
    assert len(said) == (1 if like == "cromwell" else 6)
    assert all("erver" in note for _, note in said)
