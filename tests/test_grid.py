"""The grid: workflows by night, with the worst outcome, and what was expected and did not come."""

import re
from collections.abc import Sequence
from contextlib import chdir
from datetime import UTC, timedelta
from pathlib import Path

import pytest
import site_cases
from analysis_cases import FIRST, HOUR, job, night, runs
from held import Held
from msgspec.structs import replace

from jmreport import analysis
from jmreport.cli import main
from jmreport.errors import Exit
from jmreport.records import Entry, Filters
from jmreport.render import gridpage, linkcheck
from jmreport.render.gridpage import Cell, GridView
from jmreport.render.joblists import Jobs, Lists
from jmreport.render.plan import told_of
from jmreport.report import Report
from jmreport.report.counts import ReportCounts, StatusSplit
from jmreport.report.nights import FailedNight, NightFlow, NightSummary
from jmreport.settings import ReportSettings

Counts = dict[str, int]


def summary(
    number: int,
    flows: dict[str, Counts],
    *,
    complete: bool = True,
    missing: int = 0,
    stuck: int | None = 0,
) -> NightSummary:
    """A night; `missing` and `stuck` are those of each of its workflows, None is not noted."""
    now = FIRST + timedelta(days=number)
    return NightSummary(
        run=f"{now:%Y%m%dT%H%M%SZ}",
        now=now,
        since=now - timedelta(days=1) if number else None,
        complete=complete,
        counts=ReportCounts(missing=missing, stuck=stuck or 0),
        split=StatusSplit(),
        flows=tuple(
            NightFlow(name=name, split=StatusSplit(counts=counts), missing=missing, stuck=stuck)
            for name, counts in flows.items()
        ),
    )


def grid(
    nights: list[NightSummary],
    jobs: list[Entry] | None = None,
    failed: Sequence[FailedNight] = (),
) -> tuple[GridView, Report]:
    """The grid of some nights; `jobs` are known now."""
    found = analysis.analyse(Held(jobs or []), runs(len(nights)), {}, settings=ReportSettings())
    report = replace(found, nights=tuple(nights), failed_nights=tuple(failed))
    (page,) = gridpage.pages(report, Lists(Jobs(report, zone=UTC, pages=set())), as_of=None)
    view = page.view(None)  # type: ignore[arg-type]  # it draws nothing
    assert isinstance(view, GridView)
    return view, report


def cells(view: GridView, name: str = "wf") -> tuple[Cell, ...]:
    return next(row.cells for row in view.rows if row.name == name)


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        (320, "and 20 more workflows, 20 of which did not always succeed"),
        (301, "and 20 more workflows, 1 of which did not always succeed"),
        (300, "and 20 more workflows without a failure"),
    ],
)
def test_what_has_no_row_is_said_to_be_well_only_where_it_is(failing: int, said: str) -> None:
    flows = {f"wf{n}": {"Failed" if n < failing else "Succeeded": 1} for n in range(320)}
    view, _ = grid([summary(0, flows)])
    assert (len(view.rows), view.more) == (300, said)


@pytest.mark.parametrize(
    ("counts", "letter", "kind"),
    [
        ({"Succeeded": 3}, "S", "succeeded"),
        ({"Succeeded": 3, "Failed": 1}, "F", "failed"),
        ({"Aborted": 1, "Failed": 1}, "F", "failed"),
        ({"Succeeded": 3, "Aborted": 1}, "A", "aborted"),
        ({"Succeeded": 3, "Paused": 1}, "?", "unknown"),
    ],
)
def test_a_cell_tells_the_worst_outcome_and_failed_of_all(
    counts: Counts, letter: str, kind: str
) -> None:
    view, _ = grid([summary(0, {"wf": counts})])
    (cell,) = cells(view)
    assert (cell.letter, cell.kind) == (letter, kind)
    assert (cell.failed, cell.total) == (str(counts.get("Failed", 0)), str(sum(counts.values())))


def test_the_newest_night_comes_first_and_workflows_with_a_failure_before_others() -> None:
    good, bad = {"Succeeded": 1}, {"Failed": 1}
    view, _ = grid(
        [
            summary(0, {"a": good, "b": bad, "c": good, "d": good}),
            summary(1, {"a": good, "b": good, "c": bad, "d": {"Aborted": 1}}),
        ]
    )
    assert [row.name for row in view.rows] == ["c", "d", "b", "a"]
    assert [head.date for head in view.heads] == ["2 Nov", "1 Nov"]
    assert [cell.kind for cell in cells(view, "c")] == ["failed", "succeeded"]


def test_a_run_that_was_expected_and_did_not_come_is_hatched() -> None:
    """It ran on five of the seven nights before; the first night is a whole window, and no sign."""
    ran = {"wf": {"Succeeded": 1}, "other": {"Succeeded": 1}}
    without = {"other": {"Succeeded": 1}}
    view, _ = grid([*(summary(n, ran) for n in range(6)), summary(6, without), summary(7, without)])
    assert [cell.kind for cell in cells(view)[:3]] == ["expected", "expected", "succeeded"]
    fewer, _ = grid([*(summary(n, ran) for n in range(5)), summary(5, without)])
    assert cells(fewer)[0].kind == "none"


def test_nothing_is_expected_where_a_filter_may_have_kept_it_out() -> None:
    """Another filter than before, or any by status; a night that noted none is like any."""
    ran, without = {"wf": {"Succeeded": 1}, "other": {"Succeeded": 1}}, {"other": {"Succeeded": 1}}

    def kind(before: Filters | None, now: Filters | None) -> str:
        nights = [replace(summary(n, ran), filters=before) for n in range(6)]
        return cells(grid([*nights, replace(summary(6, without), filters=now)])[0])[0].kind

    owner, failed = Filters(labels={"owner": "ana"}), Filters(status=("Failed",))
    assert kind(None, owner) == kind(owner, owner) == "expected"
    assert kind(Filters(), owner) == kind(failed, failed) == "none"


def test_a_night_with_a_filter_says_so_and_what_was_not_asked_for() -> None:
    """A cell without a failure is no success of all where failed jobs were left out."""
    ran = {"wf": {"Succeeded": 1}}

    def told(filters: Filters | None) -> tuple[str, str]:
        view, _ = grid([summary(0, ran), replace(summary(1, ran), filters=filters)])
        return view.heads[0].note, cells(view)[0].said

    assert told(None) == told(Filters()) == ("", "all succeeded")
    assert told(Filters(labels={"owner": "ana"})) == ("filtered", "all succeeded")
    hidden = ("filtered", "all succeeded; failed jobs were not asked for")
    assert told(Filters(status=("Succeeded",))) == hidden


def test_in_an_incomplete_night_nobody_can_say_that_a_run_did_not_come() -> None:
    ran = {"wf": {"Succeeded": 1}}
    view, _ = grid([*(summary(n, ran) for n in range(8)), summary(8, {}, complete=False)])
    assert cells(view)[0].kind == "none"
    assert view.heads[0].note == "incomplete"
    assert view.heads[-1].note == "whole window"


@pytest.mark.parametrize(
    ("counts", "missing", "stuck", "kind", "said"),
    [
        ({"Succeeded": 3}, 2, 0, "lacking", "2 missing"),
        ({"Succeeded": 3}, 0, 1, "lacking", "1 stuck"),
        ({}, 0, 1, "lacking", "1 stuck"),
        ({"Succeeded": 3, "Failed": 1}, 2, 1, "failed", "2 missing, 1 stuck"),
        ({"Succeeded": 3}, 0, 0, "succeeded", ""),
        ({"Succeeded": 3}, 0, None, "succeeded", ""),
    ],
)
def test_a_night_in_which_work_is_missing_or_stuck_is_none_in_which_all_succeeded(
    counts: Counts, missing: int, stuck: int | None, kind: str, said: str
) -> None:
    """A sign of its own and words, so that no colour is needed; the night's head says it too."""
    view, _ = grid([summary(0, {"wf": counts}, missing=missing, stuck=stuck)])
    (cell,) = cells(view)
    assert (cell.kind, cell.lacks) == (kind, said)
    assert (cell.letter == "!") == (kind == "lacking")
    assert view.heads[0].note == ", ".join(filter(None, ("whole window", said)))


def test_a_workflow_that_lacks_something_comes_before_those_that_lack_nothing() -> None:
    told = summary(0, {"a": {"Succeeded": 1}, "b": {"Succeeded": 1}})
    flows = (told.flows[0], replace(told.flows[1], stuck=1))
    view, _ = grid([replace(told, flows=flows)])
    assert [row.name for row in view.rows] == ["b", "a"]


def test_an_incomplete_night_lacks_in_the_grid_what_its_own_page_says_is_missing() -> None:
    """Nothing is, where a page of the list is what did not come."""
    view, _ = grid([summary(0, {"wf": {"Succeeded": 1}}, missing=2, complete=False)])
    assert cells(view)[0].kind == "lacking"
    assert "2 missing" in view.heads[0].note


def test_a_night_notes_of_which_workflow_its_stuck_jobs_are() -> None:
    waiting = job("w", None, "Submitted", found=0, name="slow", submission=night(0) - 20 * HOUR)
    done = job("d", night(0) - HOUR, found=0)
    told = analysis.analyse(Held([waiting, done]), runs(1), {}, settings=ReportSettings())
    assert [each.job for each in told.stuck] == ["w"]
    assert {flow.name: flow.stuck for flow in told.nights[-1].flows} == {"slow": 1, "wf": 0}


def test_a_count_leads_to_its_jobs_only_while_they_are_what_the_night_told() -> None:
    jobs = [job(f"j{n}", night(0) - HOUR, "Failed", found=0) for n in range(2)]
    same, _ = grid([summary(0, {"wf": {"Failed": 2}})], jobs)
    assert cells(same)[0].href.startswith("jobs/night-wf-")
    other, _ = grid([summary(0, {"wf": {"Failed": 3}})], jobs)
    assert cells(other)[0].href == ""


def test_a_total_leads_to_a_list_that_the_site_has_anyway_of_exactly_these_jobs() -> None:
    """Of one outcome to the list of the day; of several to the workflow's page, which has each."""
    jobs = [job(f"a{n}", night(1) - HOUR, found=1, name="good") for n in range(2)]
    jobs += [
        job(f"b{status}", night(1) - HOUR, status, found=1, name="mixed", first=0)
        for status in ("Succeeded", "Failed")
    ]
    jobs += [job("c", night(0) - HOUR, found=0, name="mixed")]
    nights = [
        summary(0, {}),
        summary(1, {"good": {"Succeeded": 2}, "mixed": {"Succeeded": 1, "Failed": 1}}),
    ]
    view, _ = grid(nights, jobs)
    assert cells(view, "good")[0].total_href.startswith("jobs/day-good-")
    assert cells(view, "mixed")[0].total_href.endswith("#night-2026-11-02")
    other = replace(nights[1], flows=summary(1, {"good": {"Succeeded": 3}}).flows)
    assert cells(grid([nights[0], other], jobs)[0], "good")[0].total_href == ""


def test_a_cell_without_a_failure_is_one_link_and_its_jobs_get_no_page_for_it(
    tmp_path: Path,
) -> None:
    over = site_cases.runs(4)
    site_cases.write(tmp_path, site_cases.entries(60, over), over)
    page = (tmp_path / "grid.html").read_text()
    linked = re.findall(r'class="of"><a href="(?:jobs/([^"]*)|workflows/[^"]*)">0/\d+</a>', page)
    assert linked
    pages = "".join(each.read_text() for each in (tmp_path / "workflows").glob("*.html"))
    assert all(f'href="../jobs/{name}"' in pages for name in linked if name)
    assert [fault for fault in linkcheck.check(tmp_path) if fault.what == "grid.html"] == []


def test_many_nights_are_cut_with_a_count() -> None:
    view, _ = grid([summary(n, {"wf": {"Succeeded": 1}}) for n in range(40)])
    assert len(view.heads) == len(cells(view)) == gridpage.NIGHTS
    assert view.older == "9 older nights"


def test_two_nights_of_one_day_are_told_apart_by_their_time(tmp_path: Path) -> None:
    with chdir(tmp_path):
        for hour in (2, 14):
            args = [
                "build",
                "-q",
                "--demo",
                "--jobs",
                "300",
                "--now",
                f"2026-11-23T{hour:02}:14:00Z",
            ]
            assert main([*args, "--workers", "1"]) == Exit.DONE
        html = Path("site/grid.html").read_text()
        assert re.findall(r"23 Nov<br>(\d\d:14)", html) == ["14:14", "02:14"]
        # Every count of failed jobs leads to a list, or to the one job, that is there.
        assert main(["check"]) == Exit.DONE
        assert re.search(r'class="of"><a href="jobs/', html)


def _failed(number: int, hours: int = 0) -> FailedNight:
    now = FIRST + timedelta(days=number, hours=hours)
    return FailedNight(run=f"{now:%Y%m%dT%H%M%SZ}", day=f"{now:%Y-%m-%d}", now=now, reason="gone")


def test_a_night_without_a_report_is_a_column_that_says_so_and_leads_to_why() -> None:
    """Neither green nor empty, in every row; a second one of a day is told apart by its time."""
    ran = {"wf": {"Succeeded": 1}, "other": {"Succeeded": 1}}
    nights = [summary(0, ran), summary(2, ran)]
    view, _ = grid(nights, failed=[_failed(1), _failed(2, 5)])
    assert [(head.date, head.clock, head.note) for head in view.heads] == [
        ("3 Nov", "07:00", "no report"),
        ("3 Nov", "02:00", ""),
        ("2 Nov", "", "no report"),
        ("1 Nov", "", "whole window"),
    ]
    assert view.heads[2].href == f"nights/index.html#failed-{_failed(1).run}"
    assert "gone" in view.heads[2].said
    for name in ran:
        kinds = [cell.kind for cell in cells(view, name)]
        assert kinds == ["unreported", "succeeded", "unreported", "succeeded"]
    assert (cells(view)[0].letter, cells(view)[0].said) == ("×", "no report")


def test_nights_without_a_report_take_no_place_of_those_with_one() -> None:
    """They are cut with the nights around them, and are no more than these themselves."""
    ran = {"wf": {"Succeeded": 1}}
    nights = [summary(n, ran) for n in range(0, 80, 2)]
    view, _ = grid(nights, failed=[_failed(n) for n in range(1, 80, 2)])
    shown = [cell.kind for cell in cells(view)]
    assert (shown.count("succeeded"), shown.count("unreported")) == (gridpage.NIGHTS, 31)
    assert view.older == "18 older nights"
    long, _ = grid(nights[:1], failed=[_failed(n) for n in range(1, 60)])
    assert (len(long.heads), long.older) == (32, "28 older nights")


def test_a_workflow_is_not_put_first_for_a_night_without_a_report() -> None:
    nights = [summary(0, {"a": {"Succeeded": 1}, "b": {"Failed": 1}})]
    view, _ = grid(nights, failed=[_failed(1)])
    assert [row.name for row in view.rows] == ["b", "a"]


def test_jobs_that_the_grid_only_counts_are_not_read_for_it() -> None:
    """Of 31 nights with hundreds of failures each: a list that shows them asks for its own."""
    known = job("known", night(0) - HOUR, "Failed", found=0)
    found = analysis.analyse(Held([known]), runs(1), {}, settings=ReportSettings())
    assert {each for of in found.failed_by_night.values() for jobs in of.values() for each in jobs}
    only_counted = replace(found, failed_by_night={found.run.id: {"align": ("counted",)}})
    assert told_of(only_counted) == {"known"}
