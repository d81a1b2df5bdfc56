"""A night's own page: what its overview told, for good, with links to what lasts."""

import json
import re
from contextlib import chdir
from datetime import UTC, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from analysis_cases import HOUR, job, runs
from analysis_cases import night as at_night
from analysis_cases import run as one_run
from campaigns import year
from held import Held
from msgspec.structs import replace
from site_cases import contents, entries, report
from site_cases import runs as site_runs

from jmreport.analysis import analyse, frozen, retold
from jmreport.cli import main
from jmreport.guidance import Guidance, KnownIssue
from jmreport.night import Night, NightJob, kept
from jmreport.records import Entry
from jmreport.render import addresses, linkcheck, nightchart, nightpages, overview, reportjson
from jmreport.render.causewords import whose_words
from jmreport.render.guides import Guides
from jmreport.render.joblists import Jobs, Lists
from jmreport.render.leads import ToLists
from jmreport.render.theme import Theme
from jmreport.report import FEW, MOST_GAPS, MULTIPLES, TOP_VALUES, Report
from jmreport.report.costs import SlowerTask
from jmreport.report.counts import Day, ReportCounts
from jmreport.report.usual import Range
from jmreport.settings import Prices, ReportSettings, Settings, Site, Slo, Snapshots

GUIDANCE = Guidance(issues=(KnownIssue(match="OutOfMemory", title="Heap", owner="ops", note="n"),))
SETTINGS = Settings(slo=(Slo(label="owner", target=99.9, days=7),))


@cache
def told() -> tuple[Report, Night]:
    """A report of every kind of job, eight nights, a broken promise; and what stays of it."""
    over = site_runs(8)
    jobs = entries(150, over)
    found = report(jobs, over, SETTINGS)
    slow = SlowerTask(
        workflow="sv_merge",
        task="Merge",
        tonight=900,
        usual=300,
        attempts=6,
        usual_attempts=40,
        nights=9,
        since=found.now,
        since_run=found.run.id,
        ran_in=2,
        jobs=tuple(entry.row.id for entry in jobs[:2]),
    )
    usual = {"new": Range(median=8, p10=2, p90=14, nights=14)}
    found = replace(found, slower=(slow,), usual=usual)
    return found, frozen(found, Held(jobs), guidance=GUIDANCE, currency="EUR")


def _tree(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value, enc_hook=str))


def _told_words(view: overview.OverviewView) -> Any:
    """All that a page says, without where it leads to, and without its chart."""
    places = {"quality", "workflows", "figures", "anchor"}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            kept = {key: plain(each) for key, each in value.items() if key not in places}
            return {key: each for key, each in kept.items() if not key.endswith("href")}
        return [plain(each) for each in value] if isinstance(value, list) else value

    names = overview.OverviewView.__struct_fields__
    fields = {name: getattr(view, name) for name in names}
    return plain(_tree(fields))


def test_a_nights_page_says_all_that_the_overview_said() -> None:
    found, night = told()
    guides = Guides(GUIDANCE, found.now.date())
    lists = Lists(Jobs(found, zone=UTC, pages={flow.name for flow in found.workflows}))
    newest = overview.told_view(
        found,
        ToLists(found, lists, addresses.OVERVIEW),
        Prices(currency="EUR"),
        known=[guides.name(group.title, group.example) for group in found.attention],
        failed_run="",
        days={},
    )
    page = nightpages.view(night, UTC)
    assert _told_words(page) == _told_words(newest)
    assert {row.known for row in page.attention} == {"", "Heap (ops)"}
    assert page.promises.rows
    assert page.multiples
    assert page.label
    assert page.work.slower
    for whose in (row.whose for rows in (page.attention, page.stuck, page.fixed) for row in rows):
        assert whose.startswith("owner ")
    assert page.tiles[0].usual_night == "usual night: 8 (2 to 14)"
    assert page.days


def _links(view: Any) -> set[str]:
    """Every address that a view leads to."""
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                if key.endswith("href") and each:
                    found.add(each)
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    look(_tree(view))
    return found


def test_its_numbers_lead_to_lists_of_its_own_and_its_names_to_pages_that_last() -> None:
    found, night = told()
    label = found.label
    assert label
    around = nightpages.Around(
        causes=tuple(group.id for group in night.attention), labels=(label.key,)
    )
    page = nightpages.view(night, UTC, around)
    links = _links(page)
    anchors = {f"#{part.anchor}" for part in page.parts}
    anchors |= {f"#{group.anchor}" for part in page.parts for group in part.groups}
    inside = {link for link in links if link.startswith("#")}
    assert {"#new", "#stuck"} & inside
    assert inside <= anchors
    for kind in ("jobs/", "workflows/", "causes/", "labels/"):
        assert any(link.startswith(f"../../{kind}") for link in links), kind
    # Lists of the newest report come and go with its window.
    others = {link.removeprefix("../../") for link in links - inside}
    jobs = {addresses.job(each.id) for each in night.jobs}
    assert {other for other in others if other.startswith("jobs/")} <= jobs
    listed = {each.href for part in page.parts for one in part.groups for each in one.jobs}
    assert len(listed) == len({job for group in night.attention for job in group.jobs}) + len(
        {*night.fixed, *night.missing, *night.unknown, *night.lapsed, *night.unjudged}
        | {each.job for each in night.stuck}
    )


def test_what_has_no_page_any_more_is_named_without_a_link() -> None:
    _, night = told()
    page = nightpages.view(night, UTC, known=lambda _address: False)
    assert {link for link in _links(page) if not link.startswith("#")} == set()
    assert _told_words(page) == _told_words(nightpages.view(night, UTC))


def test_nights_lead_no_longer_to_one_whose_run_is_gone_and_do_once_it_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its page goes in the same run; only what led to it is made again, and once."""
    snapshots, site = tmp_path / "snapshots", tmp_path / "site"
    stored = Settings(snapshots=Snapshots(dir=str(snapshots)), site=Site(dir=str(site)))
    year.written(stored, 6, 6, 1)

    def rendered() -> dict[str, bytes]:
        with chdir(tmp_path):
            assert main(["render"]) == 0
        assert linkcheck.check(site) == ()
        return contents(site)

    rendered()
    with chdir(tmp_path):
        assert main(["diff", "latest~3", "latest", "-q"]) == 0
    whole = rendered()
    first, _, gone, *later = sorted(path.name for path in (snapshots / "runs").iterdir())
    link = f'"../../{addresses.night(gone)}"'.encode()
    for run in later:
        assert link in whole[addresses.night(run)]
    (snapshots / "runs" / gone).rename(tmp_path / "aside")
    without = rendered()
    assert addresses.night(gone) not in without
    assert without[addresses.night(first)] == whole[addresses.night(first)]
    capsys.readouterr()
    assert rendered() == without
    assert " 0 rewritten, " in capsys.readouterr().out
    (tmp_path / "aside").rename(snapshots / "runs" / gone)
    again = rendered()
    for run in (first, gone, *later[:-1]):
        assert again[addresses.night(run)] == whole[addresses.night(run)]


def test_a_night_says_which_nights_it_leads_to() -> None:
    """Those of its days, and the first in which a task was slower, however long ago."""
    found, _ = told()
    (slow,) = found.slower
    slower = replace(slow, since_run="20260101T021400Z")
    night = frozen(replace(found, slower=(slower,)), Held([]))
    days = [day.run for day in found.days if day.run not in ("", found.run.id)]
    assert days
    assert night.summary.nights == (*days, slower.since_run)
    around = nightpages.Around(nights=night.summary.nights)
    linked = _links(nightpages.view(night, UTC, around))
    assert {f"../../{addresses.night(run)}" for run in night.summary.nights} <= linked
    assert not any("nights/" in link for link in _links(nightpages.view(night, UTC)))


def _ended(count: int) -> Night:
    jobs = [
        job(f"j{n}", at_night(1) - timedelta(hours=1), found=1, labels={"owner": f"o{n % 3}"})
        for n in range(count)
    ]
    return _night(jobs, 2, slos=(Slo(label="owner", target=95, days=7),))


def _night(jobs: list[Entry], nights: int, **more: Any) -> Night:
    history = Held(jobs)
    return frozen(analyse(history, runs(nights), {}, settings=ReportSettings(), **more), history)


def test_what_is_kept_of_a_night_does_not_grow_with_its_jobs() -> None:
    few, many = (len(msgspec.msgpack.encode(_ended(count))) for count in (30, 3000))
    assert many - few < 100
    assert few < 6000


def test_whose_a_job_is_is_kept_where_a_row_names_it_alone_and_as_much_as_a_row_holds() -> None:
    """Not of each of many jobs with one cause. What was taken out says nothing."""
    labels = {"owner": "o" * 5000, "secret": "[taken out]", "batch": "b17", "site": "x"}
    jobs = [
        job(f"j{n}", at_night(1) - HOUR, "Failed", found=1, key=f"k{n}", labels=labels)
        for n in range(30)
    ]
    history, settings = Held(jobs), ReportSettings(labels=("secret", "labels.owner", "batch"))
    night = frozen(analyse(history, runs(2), {}, settings=settings), history)
    (told,) = [each for each in night.jobs if each.whose]
    assert told.whose == (("owner", "o" * 59 + "…"), ("batch", "b17"))
    assert whose_words(told, {kept("owner", "o" * 5000), kept("batch", "b1")}) == "batch b17"
    (row,) = nightpages.view(night, UTC).attention
    assert row.whose.startswith("owner ooo")
    assert row.whose.endswith(", batch b17")


def test_a_job_is_whose_the_settings_or_else_the_servers_common_labels_say() -> None:
    """Its user once. What dsub's server calls common is its own, and nobody's."""
    labels = {"owner": "li", "sample": "NA12829", "flag": "archive", "job-id": "x", "attempt": "2"}
    one = job("j", at_night(1) - HOUR, found=1, labels=labels, user="li@x").row
    owner, user = ("owner", "li"), ("user", "li@x")
    for common, keys, whose in (
        (("labels.flag", "name", "owner"), (), (owner, user)),
        (("owner",), ("owner", "sample"), (owner, ("sample", "NA12829"))),
        (("owner",), ("userId",), (user,)),
        (("extensions.userId",), (), (user,)),
        (("job-id", "task-id", "attempt"), (), (user,)),
        ((), ("job-id",), (("job-id", "x"), user)),
    ):
        server = one_run(1, capabilities={"displayFields": [], "commonLabels": list(common)})
        settings = ReportSettings(labels=keys)
        found = analyse(Held([]), [one_run(0), server], {}, settings=settings)
        assert NightJob.of(one, "j", found.whose).whose == whose


def test_of_many_promises_gaps_and_workflows_as_many_are_kept_as_are_shown() -> None:
    """And how many there were is said, on the page and in its data."""
    jobs = [
        job(
            f"j{n}",
            at_night(1) - timedelta(hours=1),
            found=1,
            name=f"wf{n}",
            labels={"owner": f"o{n // 2}"},
            readable=n >= 100,
        )
        for n in range(200)
    ]
    night = _night(jobs, 2, slos=(Slo(label="owner", target=95, days=7),))
    totals = replace(night.totals, gaps=MOST_GAPS + 7)
    assert night.label
    assert (len(night.slos), len(night.rates), len(night.label.values)) == (
        FEW,
        MULTIPLES,
        TOP_VALUES,
    )
    page = nightpages.view(replace(night, totals=totals), UTC)
    assert page.promises.left_out == "45 more promises with more left."
    assert page.multiples_more == "188 more workflows"
    assert "The first 10 of 100 values." in page.label_note
    left_out = json.loads(reportjson.night_json(night))["left_out"]
    assert left_out == {"gaps": 0, "slos": 45, "slower": 0, "flaky": 0}


def _ran(name: str, *nights: int, status: str = "Succeeded") -> list[Entry]:
    """A workflow's jobs, one a night."""
    return [
        job(f"{name}{at}", at_night(at) - HOUR, status, found=at, name=name, key=name)
        for at in nights
    ]


def _small_charts(jobs: list[Entry]) -> tuple[overview.OverviewView, str]:
    """The page of night 6 with them, and what its reader sees."""
    page = nightpages.view(_night(jobs, 7), UTC)
    theme = Theme(Settings(), version="1")
    html = theme.render("night.html", page, address=addresses.night("20261107T020000Z"))
    return page, " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_small_charts_are_of_the_workflows_that_fail_most() -> None:
    """Whatever they are called: a dozen clean ones must not say that none failed."""
    clean = [entry for n in range(MULTIPLES) for entry in _ran(f"wf{n:02}", *range(1, 7))]
    now = _ran("zz_broken", *range(1, 6)) + _ran("zz_broken", 6, status="Failed")
    page, shown = _small_charts(clean + now)
    assert [each.workflow.text for each in page.multiples][:2] == ["zz_broken", "wf00"]
    assert page.multiples[0].rate == "100 %"
    assert "100 %, above usual" in shown
    assert "None of these workflows failed in these nights." not in shown
    assert "None of these workflows failed in these nights." in _small_charts(clean)[1]


def test_a_small_chart_has_room_for_nights_without_a_rate() -> None:
    """What failed four nights ago stands four nights before what ran last."""
    page, _ = _small_charts(_ran("old", 2, status="Failed") + _ran("wf", *range(1, 7)))
    old, wf = (each.line.last for each in page.multiples)
    assert old is not None
    assert wf is not None
    step = 172 / (len(page.days) - 1)
    assert wf[0] == 176
    assert old[0] == pytest.approx(176 - 4 * step, abs=0.1)


def test_its_data_is_the_reports_as_far_as_it_is_kept() -> None:
    found, night = told()
    schema = json.loads(reportjson.schema())
    newest = json.loads(reportjson.report_json(found, Guides(GUIDANCE, found.now.date())))
    kept = json.loads(reportjson.night_json(night))
    for tree in (newest, kept):
        jsonschema.validate(tree, schema)
    assert kept["left_out"] == {"gaps": 0, "slos": 0, "slower": 0, "flaky": 0}
    assert [one["jobs"] for one in kept["slower"]] == [None]
    assert any(cause["known"] for cause in kept["causes"])
    differing = {key for key in newest if newest[key] != kept[key]}
    assert differing == {"left_out", "slower"}
    same = [{**one, "jobs": None} for one in newest["slower"]]
    assert same == kept["slower"]


@pytest.mark.parametrize("nights", [1, 2, 7])
def test_a_night_told_again_is_the_one_that_its_report_left(nights: int) -> None:
    """What a report of these snapshots would leave, whatever was told of it before."""
    over = site_runs(nights)
    jobs = entries(120, over)
    history = Held(jobs)
    past = tuple(
        retold(history, over[: n + 1], {}, settings=ReportSettings(), past=()).summary
        for n in range(nights - 1)
    )
    how: dict[str, Any] = {"settings": ReportSettings(), "past": past, "slos": SETTINGS.slo}
    found = analyse(history, over, {}, **how)
    left = frozen(found, history, currency=Prices().currency)
    assert retold(history, over, {}, **how) == left


def test_a_cause_was_seen_first_when_its_first_job_failed_whatever_nights_are_known() -> None:
    """Though the work that fails of it now began to fail later, and a prune took the night."""
    early = job("a", at_night(0) - timedelta(hours=1), "Failed", found=0, key="a", **_failure())
    ended = job("b", at_night(1) - timedelta(hours=1), found=1, key="a")
    late = job("c", at_night(2) - timedelta(hours=1), "Failed", found=2, key="c", **_failure())
    history = Held([early, ended, late])
    first = retold(Held([early]), runs(1), {}, settings=ReportSettings(), past=())
    how: dict[str, Any] = {"settings": ReportSettings()}
    for past in ((first.summary,), ()):
        report = analyse(history, runs(3), {}, past=past, **how)
        (group,), (cause,) = report.attention, report.causes
        assert (group.first_seen, group.last_seen) == (early.row.end, late.row.end)
        assert (cause.first_seen, cause.last_seen) == (early.row.end, late.row.end)
        assert group.since == late.row.end
    # Nor where it is known only by the night that told of it.
    (group,) = analyse(Held([ended, late]), runs(3), {}, past=(first.summary,), **how).attention
    assert group.first_seen == at_night(0)


def _failure() -> dict[str, Any]:
    from jmreport.records import Failure

    return {"failure": Failure(message="out of disk")}


def test_a_night_of_which_only_the_numbers_are_left_does_not_say_that_nothing_failed() -> None:
    _, night = told()
    counts = ReportCounts(new=3, failing=3, total=9)
    page = nightpages.view(nightpages.lost(replace(night.summary, counts=counts)), UTC)
    assert page.title == "3 new failures"
    assert page.attention_none == "Which jobs these were is not known any more."
    # What led to the jobs leads to their number.
    assert [tile.anchor for tile in page.tiles if tile.n == "3"] == ["new"]


def test_a_quiet_night_and_one_without_a_report_are_told_apart_in_its_chart() -> None:
    days = [
        Day(day="2026-11-20", run="a", succeeded=3, failed=1, aborted=1),
        Day(day="2026-11-21", unreported=True),
        Day(day="2026-11-22"),
        Day(day="2026-11-23", run="b", succeeded=6),
    ]
    wide, narrow = nightchart.charts(days)
    for chart in (wide, narrow):
        said = [bar.title for bar in chart.bars]
        assert said.count("Sat 21 Nov: no report") == 2
        assert not any(title.startswith("Sun 22 Nov") for title in said)
        assert sum(text.text == "no report" for text in chart.texts) == 1
        heights = {bar.title: bar.height for bar in chart.bars}
        assert heights["Mon 23 Nov: 6 succeeded"] == 2 * heights["Fri 20 Nov: 3 succeeded"]
        assert heights["Fri 20 Nov: 1 failed"] == heights["Fri 20 Nov: 1 aborted"]
        for bar in chart.bars:
            assert chart.left <= bar.x
            assert bar.x + bar.width <= chart.right
    assert wide.width > narrow.width
    assert nightchart.charts(days[1:3]) == ()


def test_a_flaky_keys_strip_is_kept_without_its_jobs() -> None:
    outcomes = ["Succeeded", "Failed"] * 4
    jobs = [
        job(f"j{n}", at_night(n) - timedelta(hours=1), status, found=n)
        for n, status in enumerate(outcomes)
    ]
    night = _night(jobs, len(outcomes))
    (key,) = night.flaky
    assert (key.jobs, key.outcomes, key.failed) == (("j7",), tuple(outcomes), ())
    (row,) = nightpages.view(night, UTC).flaky.rows
    assert (row.failed.text, row.failed.href, row.runs.text, row.runs.href) == ("4", "", "8", "")
    assert "j7" in {each.id for each in night.jobs}


def test_a_night_of_before_still_says_which_jobs_its_page_leads_to() -> None:
    """As a site of an older version remembers it, of which a prune asks what it has to keep."""
    _, night = told()
    before = {name: getattr(night, name) for name in ("summary", "attention", "jobs", "fixed")}
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(before), type=Night)
    assert (read.jobs, read.attention) == (night.jobs, night.attention)


def test_a_night_is_read_as_it_was_written() -> None:
    _, night = told()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(night), type=Night) == night
