"""Three weeks of nights with planted stories: each is told where a reader would look, in the right
words, and nothing is told that was not planted.

The stories stand here once more, by hand, so that neither the server nor the report can change
them alone. A key is a workflow and its n-th sample, from 0.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import chdir
from datetime import timedelta
from html import unescape
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest
from planted import LAST, NIGHTS, OUTAGE, PARTIAL, Planted, end_of

from jmreport.analysis import measure, summarise
from jmreport.cli import main
from jmreport.collectors.demo import Demo
from jmreport.errors import Exit
from jmreport.records import JobRow, Measure
from jmreport.render import addresses
from jmreport.snapshots import Store

WAVE = 11
WORKFLOWS = {
    "ancestry_pca",
    "cnv_somatic",
    "cram_to_fastq",
    "fusion_scan",
    "germline_joint_calling",
    "imputation_beagle",
    "methyl_qc",
    "rna_align_star",
    "sv_merge",
    "vcf_annotate",
}
Key = tuple[str, int]
BROKEN: Key = ("methyl_qc", 0)
RECOVERING: Key = ("rna_align_star", 1)
MISSING: Key = ("cnv_somatic", 5)
STUCK: Key = ("sv_merge", 4)
FLAKY = {
    ("fusion_scan", 0): {4, 7, 8, 12, 19, 21},
    ("fusion_scan", 1): {5, 10, 13, 14, 20},
}
#: Whatever should have run in the zone that was out.
HIT = {(workflow, sample) for workflow in WORKFLOWS for sample in (2, 3)}


def failing() -> dict[int, set[Key]]:
    """Night -> the keys that fail in it, as far as anybody can know then."""
    nights: dict[int, set[Key]] = {night: set() for night in range(NIGHTS + 1)}
    for night in range(3, NIGHTS + 1):
        nights[night].add(BROKEN)
    for key, of_key in FLAKY.items():
        for night in of_key:
            nights[night].add(key)
    nights[OUTAGE] |= HIT
    for night in (10, 11, PARTIAL):  # in the partial one it succeeds, and nobody can see it
        nights[night].add(RECOVERING)
    return nights


def planted() -> set[tuple[int, Key, str]]:
    """All that may be told: (night, key, what)."""
    nights = failing()
    told = {(night, MISSING, "missing") for night in (17, 18)}
    told |= {(night, STUCK, "stuck") for night in (20, 21)}
    for night in range(2, NIGHTS + 1):
        told |= {(night, key, "new") for key in nights[night] - nights[night - 1]}
        told |= {(night, key, "still-failing") for key in nights[night] & nights[night - 1]}
        told |= {(night, key, "fixed") for key in nights[night - 1] - nights[night]}
    told |= {(PARTIAL, ("rna_align_star", sample), "unknown") for sample in range(6)}
    return told


def run_of(night: int) -> str:
    return f"{end_of(night):%Y%m%dT%H%M%SZ}"


class Site(NamedTuple):
    """The site after the last night, and its pages but for the jobs' as they were after the partial
    one. The task that became slow is slow in both; only there that is news.
    """

    folder: Path
    rows: Mapping[str, JobRow]

    def page(self, address: str) -> str:
        return (self.folder / "site" / address).read_text(encoding="utf-8")

    def partial(self, address: str) -> str:
        return (self.folder / "partial" / address).read_text(encoding="utf-8")

    def night(self, night: int) -> str:
        return self.page(addresses.night(run_of(night)))

    @property
    def report(self) -> Any:
        return json.loads(self.page("data/report.json"))


def build(folder: Path, command: str, nights: int) -> int:
    now = end_of(nights).isoformat()
    with chdir(folder):
        return main([command, "--demo", "--nights", str(nights), "--now", now, "-q"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, planted: Planted) -> Site:
    """Made as far as the partial night, and then on to the last."""
    folder = tmp_path_factory.mktemp("planted")
    for nights, done in ((PARTIAL, Exit.INCOMPLETE), (NIGHTS, Exit.DONE)):
        planted.into(folder / "snapshots", nights)
        with chdir(folder):
            assert main(["render", "-q"]) == done
        if nights == PARTIAL:
            without = shutil.ignore_patterns("jobs", ".jmreport")
            shutil.copytree(folder / "site", folder / "partial", ignore=without)
    with Store(folder / "snapshots", summarise=summarise) as store:
        rows = {entry.row.id: entry.row for entry in store.entries()}
    return Site(folder, rows)


def words(html: str) -> str:
    """What a page says, its charts and its frame left out."""
    main_part = html[html.index("<main") :]
    main_part = main_part.replace("<wbr>", "")
    without = re.sub(r"<svg.*?</svg>", " ", main_part, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", without)).split())


def title(html: str) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", html, re.DOTALL)
    assert found
    return words(f"<main>{found[1]}")


def parts(html: str) -> Iterator[tuple[str, str]]:
    """(anchor, HTML) of each list of a night's page."""
    behind = html.partition("<h2>The jobs behind the numbers</h2>")[2]
    pieces = re.split(r'<h3 id="([^"]+)">', behind)
    yield from zip(pieces[1::2], pieces[2::2], strict=True)


def part(html: str, anchor: str) -> str:
    return words(f"<main>{dict(parts(html))[anchor]}")


class Keys:
    """Which key a job, or a link to its page, is of."""

    def __init__(self, rows: Mapping[str, JobRow]) -> None:
        samples: dict[str, set[str]] = {}
        for row in rows.values():
            samples.setdefault(row.name, set()).add(row.labels["sample"])
        self._order = {name: sorted(of_name) for name, of_name in samples.items()}
        self._rows = rows
        self._pages = {addresses.job(row.id): row.id for row in rows.values()}

    def of(self, job: str) -> Key:
        row = self._rows[job]
        return row.name, self._order[row.name].index(row.labels["sample"])

    def linked(self, html: str) -> set[Key]:
        names = re.findall(r'href="(?:\.\./)*(jobs/[^"]+)"', html)
        return {self.of(self._pages[name]) for name in names if name in self._pages}


@pytest.fixture(scope="module")
def keys(site: Site) -> Keys:
    return Keys(site.rows)


@pytest.fixture(scope="module")
def measured(site: Site) -> Mapping[tuple[int, str, str], list[Measure]]:
    """What jobs cost, by night, workflow and task."""
    found: dict[tuple[int, str, str], list[Measure]] = {}
    with Store(site.folder / "snapshots", summarise=summarise, measure=measure) as store:
        for job, measures in store.measures(site.rows):
            for one in measures:
                place = (night_of(site.rows[job]), site.rows[job].name, one.task)
                found.setdefault(place, []).append(one)
    return found


def night_of(row: JobRow) -> int:
    assert row.submission is not None
    return NIGHTS - (LAST - row.submission).days


# Nothing but what was planted.


def test_every_night_has_the_same_work_but_for_what_is_planted(site: Site, keys: Keys) -> None:
    """Ten workflows of six samples; one of the sixty left out for two nights."""
    by_night: dict[int, set[Key]] = {}
    for row in site.rows.values():
        by_night.setdefault(night_of(row), set()).add(keys.of(row.id))
    whole = {(workflow, sample) for workflow in WORKFLOWS for sample in range(6)}
    for night in range(-5, NIGHTS + 1):
        assert whole - by_night[night] == ({MISSING} if night in (17, 18) else set()), night


def test_the_nights_pages_tell_all_that_was_planted_and_nothing_else(
    site: Site, keys: Keys
) -> None:
    told = {
        (night, key, what)
        for night in range(1, NIGHTS + 1)
        for what, html in parts(site.night(night))
        for key in keys.linked(html)
    }
    assert told - planted() == set()
    assert planted() - told == set()


def test_the_last_nights_data_says_the_same_as_its_page(site: Site, keys: Keys) -> None:
    report = site.report
    told = {(keys.of(job), "new") for cause in report["causes"] for job in cause["new_jobs"]}
    told |= {
        (keys.of(job), "still-failing")
        for cause in report["causes"]
        for job in cause["jobs"]
        if job not in cause["new_jobs"]
    }
    wanted = {(key, what) for night, key, what in planted() if night == NIGHTS}
    assert told == {(key, what) for key, what in wanted if what in ("new", "still-failing")}
    counts = {name: number for name, number in report["counts"].items() if name != "total"}
    assert counts == {
        "new": 1,
        "still_failing": 1,
        "fixed": 1,
        "failing": 2,
        "hidden": 0,
        "stuck": 1,
        "missing": 0,
        "running": 1,
        "unknown": 0,
        "not_run": 0,
        "lapsed": 0,
        "unjudged": 0,
        "maybe_missing": 0,
    }


def test_a_night_without_a_story_says_so_in_its_title(site: Site) -> None:
    assert title(site.night(1)) == "No failures"
    assert title(site.night(2)) == "No new failures"
    assert title(site.night(9)) == "No new failures"


# Each story, where a reader would look.


def test_the_outage_is_one_cause_of_twenty_keys_in_the_zone_that_was_out(
    site: Site, keys: Keys
) -> None:
    html = site.night(OUTAGE)
    assert title(html) == "20 new failures in 10 workflows"
    new = dict(parts(html))["new"]
    assert keys.linked(new) == HIT
    # The number of jobs and the one cause that they have in common.
    assert new.count("<li") == 1
    told = words(f"<main>{new}")
    assert "New 20 jobs Execution failed: allocating: zone us-central1-b" in told
    assert "quota" in words(html)


def test_the_night_after_the_outage_says_that_all_of_it_is_fixed(site: Site, keys: Keys) -> None:
    html = site.night(OUTAGE + 1)
    assert keys.linked(dict(parts(html))["fixed"]) == HIT
    assert "20 fixed" in words(html)


def test_the_calendar_shows_the_outage_as_the_worst_night(site: Site) -> None:
    calendar = words(site.page(addresses.NIGHTS))
    assert "Sun 8 Nov 2026, 02:14 UTC 20 new failures 60 21 20" in calendar


def test_every_number_of_the_calendar_leads_to_exactly_what_it_counts(
    site: Site, keys: Keys
) -> None:
    calendar = site.page(addresses.NIGHTS)
    numbers = re.findall(
        r'data-label="(Failed|New|Still failing|Fixed)">(?:<a href="([^"]+)">)?(?:<span>)?(\d+)',
        calendar,
    )
    assert len(numbers) == 4 * NIGHTS - 3  # the first night has nothing to compare with
    led = 0
    for what, href, number in numbers:
        assert bool(href) == bool(int(number)), (what, href, number)
        if href:
            address, _, anchor = href.partition("#")
            html = (site.folder / "site/nights" / address).resolve().read_text("utf-8")
            if anchor:
                listed = keys.linked(dict(parts(html))[anchor])
            else:  # a list, beside its jobs; or, of a single job, the job's own page
                rows = html.partition("<tbody")[2] if "-failed" in address else ""
                listed = keys.linked(rows.replace('href="', 'href="jobs/') or f'href="{href}"')
            assert len(listed) == int(number), (what, href)
            led += 1
    assert led > NIGHTS


def test_what_fails_since_the_third_night_is_still_failing_on_the_last(
    site: Site, keys: Keys
) -> None:
    overview = site.page("index.html")
    attention = words(overview)
    assert "Still failing 1 methyl_qc" in attention
    assert "Sample swap suspected" in attention
    # Since the evening before the third night's end.
    assert f"{end_of(3) - timedelta(hours=8):%-d %b} 18:" in attention
    (cause,) = [each for each in site.report["causes"] if each["state"] == "still failing"]
    assert {keys.of(job) for job in cause["jobs"]} == {BROKEN}
    assert cause["first_seen"].startswith(f"{end_of(3) - timedelta(days=1):%Y-%m-%d}")


def test_a_key_that_did_not_run_is_missing_for_two_nights_and_then_forgotten(
    site: Site, keys: Keys
) -> None:
    for night in (17, 18):
        html = site.night(night)
        assert keys.linked(dict(parts(html))["missing"]) == {MISSING}
        assert "1 Missing" in words(html)
    assert "missing" not in dict(parts(site.night(19)))


def test_the_chart_has_a_bar_for_each_night_and_last_night_is_the_last(site: Site) -> None:
    """At 02:14 the calendar's day is two hours old: last night is what ended since 02:14 before."""
    overview = site.page("index.html")
    told = words(overview)
    assert "Last 21 nights" in told
    last = failing()[NIGHTS]
    assert f"Mon 23 Nov: {len(last)} failed, 0 aborted, {60 - len(last)} succeeded." in told
    rows = re.findall(
        r'<tr><th scope="row"><a href="nights/(\w+)/index\.html">.*?</th>'
        r'<td class="num">(?:<[^>]+>)*(\d+)',
        overview,
    )
    wanted = {run_of(night): len(failing()[night]) for night in range(1, NIGHTS + 1)}
    # What fails in the partial night is known by now: one fewer than was told then.
    wanted[run_of(PARTIAL)] -= 1
    assert {run: int(failed) for run, failed in rows} == wanted


def test_tonights_numbers_stand_beside_those_of_a_usual_night(site: Site) -> None:
    """Of the fourteen complete nights before the last, all but the partial one."""
    told = words(site.page("index.html"))
    fresh = sorted(
        len(failing()[night] - failing()[night - 1])
        for night in range(NIGHTS - 15, NIGHTS)
        if night != PARTIAL
    )
    usual = site.report["usual"]["new"]
    assert (usual["median"], usual["nights"]) == (median(fresh), 14)
    assert f"1 New failures usual night: {median(fresh):g} (0 to " in told
    assert f"1 New failures usual night: {median(fresh):g} (0 to " in words(site.night(NIGHTS))


def test_a_nights_page_says_what_was_usual_by_then_and_leads_to_its_causes(site: Site) -> None:
    """The first nights know of nothing usual; what came after is in none of them."""
    assert "usual night" not in words(site.night(OUTAGE))
    assert "1 New failures usual night: " in words(site.night(OUTAGE + 1))
    linked = set(re.findall(r'href="../../(causes/[0-9a-f]+\.html)"', site.night(OUTAGE)))
    assert linked
    assert all((site.folder / "site" / name).exists() for name in linked)


def test_the_job_that_hangs_is_told_with_its_usual_time_and_its_task(
    site: Site, keys: Keys
) -> None:
    told = words(site.page("index.html"))
    assert re.search(
        r"Running sv_merge \w+ owner omar, batch \w+ 32 h \d+ min 1 h \d+ min "
        r"\(longest 1 h \d+ min\) MergeVcfs",
        told,
    )
    assert "1 stuck" in told
    # Its own page says so too, and no other's does.
    pages = {page.name: page.read_text("utf-8") for page in (site.folder / "site/jobs").glob("*-*")}
    stuck = [html for html in pages.values() if 'class="lede">Stuck: ' in html]
    (own,) = [words(html) for html in stuck]
    assert re.search(
        r"Stuck: running for 32 h \d+ min when last read, in MergeVcfs; such jobs usually take "
        r"1 h \d+ min\. 2 of 3 tasks succeeded\.",
        own,
    )
    assert re.search(r"Took 32 h \d+ min so far", own)
    # And so do its task, its attempt and its diagram.
    assert len(re.findall(r"3\d h \d+ min so far", own)) >= 4
    assert re.search(r"Critical path, by time and not by dependency: 3\d h \d+ min so far", own)
    night = site.night(20)
    assert keys.linked(dict(parts(night))["stuck"]) == {STUCK}
    # The night's own page keeps how long it had hung by then.
    assert re.search(
        r"\d+ h \d+ min sv_merge running MergeVcfs · usually 1 h \d+ min", words(night)
    )


def test_a_wave_of_preemptions_is_no_failure(site: Site, keys: Keys) -> None:
    """Nearly every job of the night lost machines, and all of them got through."""
    html = site.night(WAVE)
    assert title(html) == "No new failures"
    # But for the hours that they took.
    told = words(html)
    assert re.search(r"Waste: [^)]* of all hours\), (?:all )?of it .*? ?preempted", told)
    assert told.lower().count("preempt") == 1
    hit = {keys.of(row.id): row for row in site.rows.values() if row.preempted}
    assert len(hit) == 60
    for key in (BROKEN, RECOVERING):  # fail anyway, and of something else
        del hit[key]
    assert all(row.status == "Succeeded" and row.failure is None for row in hit.values())


def test_the_partial_night_says_first_what_it_could_not_read(site: Site) -> None:
    overview = words(site.partial("index.html"))
    assert "6 of 420 jobs could not be read whole" in overview
    assert "server error 500" in overview
    report = json.loads(site.partial("data/report.json"))
    assert not report["complete"]
    assert report["counts"]["unknown"] == 6
    assert len(report["gaps"]) == 6
    assert words(site.partial("quality.html")).count("server error 500") >= 1


def test_the_partial_nights_own_page_keeps_saying_so(site: Site) -> None:
    html = site.night(PARTIAL)
    assert "Data is incomplete. 6 of 420 jobs could not be read whole." in words(html)
    assert part(html, "unknown").startswith("Unknown 6 jobs rna_align_star")


def test_a_recovery_that_nobody_could_read_is_told_the_night_after(site: Site, keys: Keys) -> None:
    """A partial run is never read as recovery, and what it hid is not lost either."""
    assert "fixed" not in dict(parts(site.night(PARTIAL)))
    assert RECOVERING in keys.linked(dict(parts(site.night(PARTIAL)))["still-failing"])
    assert RECOVERING in keys.linked(dict(parts(site.night(PARTIAL + 1)))["fixed"])


def test_one_task_takes_twice_as_long_from_the_ninth_night_on_and_no_other_does(
    measured: Mapping[tuple[int, str, str], list[Measure]],
) -> None:
    """What the pages of tasks are made of; the wave of preemptions is left aside."""
    nights = [night for night in range(1, NIGHTS + 1) if night != WAVE]
    for workflow, task in {(workflow, task) for _, workflow, task in measured}:
        before, after = (
            median(
                seconds
                for night in nights
                if (night >= 9) == slow
                for one in measured.get((night, workflow, task), ())
                for seconds in one.took.at
            )
            for slow in (False, True)
        )
        ratio = after / before
        if task == "VepAnnotate":
            assert ratio == pytest.approx(2, abs=0.2)
            assert after - before > 300
        else:
            assert ratio == pytest.approx(1, abs=0.2), (workflow, task)


def test_machines_are_taken_away_in_one_night_only(
    measured: Mapping[tuple[int, str, str], list[Measure]],
) -> None:
    """From every task but the last ones, which run where nobody takes them."""
    hit = {
        (night, workflow, task)
        for (night, workflow, task), measures in measured.items()
        if any(one.preempted for one in measures)
    }
    assert {night for night, _, _ in hit} == {WAVE}
    assert {workflow for _, workflow, _ in hit} == WORKFLOWS
    assert sum(one.preempted for key in hit for one in measured[key]) > 200


def slower_part(html: str) -> str:
    return html.partition("Slower tasks</h2>")[2].partition("<h2")[0]


def test_the_task_that_became_slow_is_told_as_slower_since_its_first_slow_night(
    site: Site,
) -> None:
    """Twice its median: 42 minutes and more, so over the five minutes that count."""
    for tasks in (site.partial(addresses.TASKS), site.page(addresses.TASKS)):
        assert title(tasks).startswith("1 slower task, ")
        told = words(f"<main>{slower_part(tasks)}")
        assert re.search(r"VepAnnotate vcf_annotate .* (1\.9|2\.0|2\.1) × 11 Nov 02:14 6", told)
        assert f"nights/{run_of(9)}/index.html" in slower_part(tasks)


def test_the_slow_tasks_workflow_says_so_too_and_no_other_does(site: Site) -> None:
    told = slower_part(site.partial(addresses.workflow("vcf_annotate")))
    assert "VepAnnotate" in told
    for name in WORKFLOWS - {"vcf_annotate"}:
        assert not slower_part(site.partial(addresses.workflow(name))), name


def test_the_wave_of_preemptions_stands_among_the_waste(site: Site) -> None:
    assert re.search(r"of it \d+ h \d+ min preempted", words(site.partial(addresses.TASKS)))
    assert "min preempted" not in words(site.page(addresses.TASKS))


def page_of(folder: Path, name: str) -> str:
    """A page that stands alone or in a folder of its own."""
    alone = folder / f"{name}.html"
    return (alone if alone.exists() else folder / name / "index.html").read_text(encoding="utf-8")


def test_the_workflow_that_crashes_now_and_then_is_called_flaky_and_no_other_is(
    site: Site,
) -> None:
    flaky = {
        name for name in WORKFLOWS if "flaky" in words(site.page(addresses.workflow(name))).lower()
    }
    assert flaky == {"fusion_scan"}


def test_the_outages_cause_has_a_page_that_says_what_its_jobs_share_and_when_it_was_seen(
    site: Site,
) -> None:
    pages = [path.read_text("utf-8") for path in (site.folder / "site/causes").rglob("*.html")]
    (told,) = [words(page) for page in pages if "does not have enough resources" in title(page)]
    assert "us-central1-b" in told
    assert "7 Nov 2026" in told
    assert "20 jobs" in told
    # Of the six samples of each workflow only two were in the zone, whatever night it is by now.
    assert "Label zone us-central1-b 0 of 40 others" in told
    assert "20 8 Nov" in told


def test_the_grid_shows_every_workflow_by_night(site: Site) -> None:
    # A long name may break between its words.
    grid = page_of(site.folder / "site", "grid").replace("<wbr>", "")
    assert all(name in grid for name in WORKFLOWS)
    assert len(set(re.findall(r"nights/(\w+)/index\.html", grid))) == NIGHTS
    # The outage hit two of six everywhere; the key that did not run was missed on two nights.
    outage = re.findall(r'">2</a>/(?:<a [^>]*>)?6(?:</a>)?<', grid)
    assert len(outage) == len(WORKFLOWS) - 1
    # In its cell, and below the day of each.
    assert grid.count("1 missing") == 4
    # A job of the last two nights hangs: neither those nor the two without the key are green there.
    assert grid.count('class="g g-lacking"><span aria-hidden="true">!') == 4


def test_the_timeline_shows_concurrency_and_waiting(site: Site) -> None:
    told = words(page_of(site.folder / "site", "timeline")).lower()
    assert "at the same time" in told or "concurren" in told
    assert "wait" in told


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_overview_is_two_sheets_of_paper_at_most(site: Site, browser: Any, paper: str) -> None:
    """A night with news, a stuck job, a slower task and flaky work, in letters of 8 points."""
    page = browser.new_page()
    page.goto((site.folder / "site/index.html").as_uri())
    sheets = re.findall(rb"/Type\s*/Page\b", page.pdf(format=paper))
    page.close()
    assert 1 <= len(sheets) <= 2


# The command itself.


def test_the_same_command_goes_on_where_it_was_stopped(tmp_path: Path, planted: Planted) -> None:
    """Two nights and then one more are three, and three again are nothing to do."""
    planted.into(tmp_path / "whole/snapshots", 3)  # as one command tells them
    (tmp_path / "parts").mkdir()
    for nights in (2, 3, 3):
        assert build(tmp_path / "parts", "collect", nights) == Exit.DONE
    whole, in_parts = (_known(tmp_path / name / "snapshots") for name in ("whole", "parts"))
    assert len(whole) == 9 * 60
    assert whole == in_parts


def _known(snapshots: Path) -> set[tuple[str, str, str, str]]:
    with Store(snapshots, summarise=summarise) as store:
        return {
            (entry.row.id, entry.digest, entry.first_run, entry.last_run)
            for entry in store.entries()
        }


def test_other_runs_in_the_same_folder_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chdir(tmp_path):
        assert main(["collect", "--demo", "--jobs", "5", "-q"]) == Exit.DONE
    assert build(tmp_path, "collect", 2) == Exit.USAGE
    assert "snapshots holds runs that are none of these nights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--jobs", "5"], "--nights and --jobs contradict each other"),
        (["--shards", "500"], "--nights and --shards contradict each other"),
        (["--like", "dsub"], "--nights and --like dsub contradict each other"),
    ],
)
def test_options_that_mean_nothing_for_planted_nights_are_refused(
    args: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chdir(tmp_path):
        assert main(["build", "--demo", "--nights", "2", *args]) == Exit.USAGE
    assert said in capsys.readouterr().err


def test_the_same_jobs_stand_behind_any_of_the_nights() -> None:
    """A server at its fifth night lists what one at its third lists, and two nights more."""
    first, later = (Demo(now=end_of(night), nights=night) for night in (3, 5))
    ids = [
        {row["id"] for row in _listed(demo, since=end_of(2).isoformat())} for demo in (first, later)
    ]
    assert len(ids[0]) == 60
    assert ids[0] < ids[1]
    assert len(ids[1]) == 180


def _listed(demo: Demo, *, since: str) -> list[dict[str, Any]]:
    body = json.dumps({"submission": since, "pageSize": 500}).encode()
    status, _, raw = demo.respond("POST", "/api/v1/jobs/query", {}, body)
    assert status == 200
    return list(json.loads(raw)["results"])
