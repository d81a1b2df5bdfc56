"""`jmreport prune`: what it says, and what is left of nights and pages."""

import json
import re
import shutil
from contextlib import chdir
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from campaigns import year

from jmreport import analysis, pipeline
from jmreport.cli import main
from jmreport.durations import long as length
from jmreport.errors import Exit
from jmreport.night import Night
from jmreport.progress import SilentProgress
from jmreport.records import Entry
from jmreport.render import addresses, linkcheck
from jmreport.settings import Settings, Site, Snapshots
from jmreport.snapshots import Store, replay

NIGHTS, KEPT = 40, 6
NOW = f"{year.NOW:%Y-%m-%dT%H:%M:%SZ}"
PRUNE = ("prune", "--keep", f"{KEPT - 1}d", "--now", NOW)


def settings(folder: Path) -> Settings:
    return Settings(snapshots=Snapshots(dir=f"{folder}/snapshots"), site=Site(dir=f"{folder}/site"))


def run(folder: Path, *args: str) -> int:
    """In the folder itself: its pages name the places that they were made in."""
    with chdir(folder):
        return main(args)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty nights and their site, with two differences that somebody asked for."""
    folder = tmp_path_factory.mktemp("whole")
    year.written(settings(folder), NIGHTS, 6, 1)
    assert run(folder, "render", "-q") == 0
    for first, second in (("latest~30", "latest~29"), ("latest~20", "previous")):
        assert run(folder, "diff", first, second, "-q") == 0
    assert run(folder, "render", "-q") == 0
    return folder


@pytest.fixture(scope="module")
def pruned(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, pruned and rendered again."""
    folder = tmp_path_factory.mktemp("pruned") / "copy"
    shutil.copytree(whole, folder)
    assert run(folder, *PRUNE, "-q") == 0
    assert run(folder, "check") == 0
    assert run(folder, "render", "-q") == 0
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".jmreport" not in path.parts
    }


def opened(folder: Path) -> Store:
    return Store.open(folder / "snapshots", summarise=analysis.summarise, measure=analysis.measure)


def entries(folder: Path) -> dict[str, Entry]:
    with opened(folder) as store:
        return {entry.row.id: entry for entry in store.entries()}


def usable(folder: Path) -> list[str]:
    with opened(folder) as store:
        return [run.id for run in store.runs() if run.usable]


def told(folder: Path, wanted: list[str]) -> list[Night]:
    """Nights, told from the snapshots as they are now."""
    return [
        analysis.told(
            then.history, then.runs, {}, settings=settings(folder).report, measures=then.measures
        )
        for then in replay(
            folder / "snapshots",
            summarise=analysis.summarise,
            measure=analysis.measure,
            wanted=frozenset(wanted),
        )
    ]


def test_it_says_what_goes_and_a_dry_run_says_the_same_and_changes_nothing(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    before = files(folder)
    assert run(folder, *PRUNE, "--dry-run") == 0
    would = capsys.readouterr().out
    assert files(folder) == before
    assert run(folder, *PRUNE) == 0
    did = capsys.readouterr().out
    assert would.replace("would prune", "pruned") == did
    said = re.match(
        r"pruned (\d+) runs of snapshots \(\S+ to \S+\): (\d+) jobs forgotten, (\d+) records "
        r"carried on, ([\d.]+) KB freed\n",
        did,
    )
    assert said is not None
    assert (int(said[1]), int(said[2])) == (
        NIGHTS - KEPT,
        len(entries(whole)) - len(entries(folder)),
    )
    assert int(said[2]) > 20
    assert int(said[3]) > 100
    there = re.search(r"takes (\d+) files out of site \(", did)
    assert there is not None
    site = files(folder / "site")
    assert run(folder, "render", "-q") == 0
    gone = site.keys() - files(folder / "site").keys()
    # A list of a day, a label or a task. Differences, and what tells of one night, are counted.
    uncounted = {
        name for name in gone if re.fullmatch(r"jobs/(day|ended|label|night-work).*", name)
    }
    assert int(there[1]) == len(gone - uncounted) > NIGHTS - KEPT + 2 * int(said[2])
    assert any(name.startswith("diffs/") for name in gone)
    assert any(re.match(r"jobs/night-2\d+t\d+z-failed", name) for name in gone)
    assert run(folder, *PRUNE) == 0
    assert capsys.readouterr().out.startswith("nothing to prune in snapshots: no run from before")
    assert run(folder, "snapshots", "list") == 0
    assert f"{NIGHTS - KEPT} runs before them were pruned" in capsys.readouterr().out


def test_each_night_that_stays_is_told_as_before(whole: Path, pruned: Path) -> None:
    """From the snapshots alone: its numbers, causes, lists, since when, for how many nights."""
    staying = usable(pruned)
    assert len(staying) == KEPT
    assert usable(whole)[-KEPT:] == staying
    nights = told(pruned, staying)
    assert nights == told(whole, staying)
    assert any(group.nights > KEPT for night in nights for group in night.attention)
    assert any(night.fixed for night in nights)


#: What the oldest nights that stay no longer lead to: the night before them, and earlier ones.
LESS = re.compile(
    rb' \xc2\xb7 <a [^>]*rel="prev"[^<]*</a>|<a href="../../nights/2[^"]*">|</?span>|</a>'
)


def test_pages_of_nights_and_jobs_that_stay_keep_their_bytes(whole: Path, pruned: Path) -> None:
    before, after = files(whole / "site"), files(pruned / "site")
    nights = [f"nights/{run}" for run in usable(pruned)]
    assert {name for name in after if re.match(r"nights/\d", name)} == {
        f"{night}/{file}" for night in nights for file in ("index.html", "report.json")
    }
    for night in nights[:-1]:
        page, data = f"{night}/index.html", f"{night}/report.json"
        assert LESS.sub(b"", after[page]) == LESS.sub(b"", before[page])
        assert after[data] == before[data]
    # The newest is told anew by each render, as the overview is, and compared with what is there.
    ours, theirs = (json.loads(of[f"{nights[-1]}/report.json"]) for of in (after, before))
    assert _alone(ours) == _alone(theirs)
    for job in entries(pruned):
        page = addresses.job(job)
        assert page in after
        if job in stays(whole, pruned):
            assert after[page] == before[page]


def stays(whole: Path, pruned: Path) -> set[str]:
    """Jobs that a run which stays found: no history that went is counted on their pages."""
    first = usable(pruned)[0]
    return {job for job, entry in entries(whole).items() if entry.last_run >= first}


def test_pages_of_what_went_go_and_nothing_leads_to_them(whole: Path, pruned: Path) -> None:
    """0 dead links; those that were written are all there, and what is left has no empty folder."""
    after = files(pruned / "site")
    forgotten = entries(whole).keys() - entries(pruned).keys()
    assert forgotten
    for job in forgotten:
        assert addresses.job(job) not in after
        assert addresses.job_raw(job) not in after
    for name in usable(whole)[:-KEPT]:
        assert not (pruned / "site/nights" / name).exists()
    assert linkcheck.check(pruned / "site") == ()
    assert pipeline.check(settings(pruned)) == ()


def test_a_site_that_was_lost_comes_back_with_the_same_bytes(pruned: Path, tmp_path: Path) -> None:
    """But for the differences, and what a night said of those before it: the site remembers it."""
    shutil.copytree(pruned / "snapshots", tmp_path / "snapshots")
    assert run(tmp_path, "render", "-q") == 0
    ours, theirs = files(tmp_path / "site"), files(pruned / "site")
    others = {name for name in theirs if ours.get(name) != theirs[name]}
    nights = {name for name in others if re.match(r"nights/\d", name)}
    assert others - nights == {name for name in theirs if name.startswith("diffs/")}
    assert ours.keys() <= theirs.keys()
    data = {name for name in nights if name.endswith(".json")}
    assert data
    for name in data:
        assert _alone(json.loads(ours[name])) == _alone(json.loads(theirs[name]))
    for name in nights - data:
        assert len(SAID.findall(theirs[name])) == 4
        assert SAID.findall(ours[name]) == SAID.findall(theirs[name])


#: What a night's page says whatever was before it: its verdict, its own day, and all their jobs.
SAID = re.compile(
    rb'<h1\b.*?</h1>|<svg class="chart"[^>]*>|<h2>The jobs behind the numbers.*?</main>', re.DOTALL
)


def _alone(tree: Any) -> Any:
    """What a night says of itself, without what it says of the nights before."""
    return {**tree, "usual": None, "slower": None}


def test_a_difference_goes_with_the_later_of_its_runs(whole: Path, pruned: Path) -> None:
    """One that stays leads to the pages of all its jobs, and no longer to the night that went."""
    names = usable(whole)
    old, mixed = (
        addresses.diff(names[NIGHTS - 31], names[NIGHTS - 30]),
        addresses.diff(names[NIGHTS - 21], names[-2]),
    )
    before, after = files(whole / "site"), files(pruned / "site")
    assert old in before
    assert old not in after
    jobs = re.findall(rb'href="(\.\./jobs/[^"]+)"', before[mixed])
    assert jobs
    assert re.findall(rb'href="(\.\./jobs/[^"]+)"', after[mixed]) == jobs
    assert names[NIGHTS - 21].encode() + b"/index.html" in before[mixed]
    assert names[NIGHTS - 21].encode() + b"/index.html" not in after[mixed]


def test_rendering_again_and_one_more_night_change_only_what_they_should(
    pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(pruned, folder)
    assert run(folder, "render") == 0
    assert " 0 rewritten, " in capsys.readouterr().out
    year.written(settings(folder), NIGHTS + 1, 6, 1, after=NIGHTS)
    assert run(folder, "render", "-q") == 0
    assert len(usable(folder)) == KEPT + 1
    assert pipeline.check(settings(folder)) == ()


def test_a_run_that_was_pruned_is_named_as_such(
    whole: Path, pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, job = usable(whole)[3], next(iter(entries(pruned)))
    assert run(pruned, "snapshots", "show", job, "--run", gone) == Exit.USAGE
    assert f"run {gone} was pruned" in capsys.readouterr().err
    assert run(pruned, "diff", gone, "latest") == Exit.USAGE
    assert "no run" in capsys.readouterr().err
    assert run(pruned, "snapshots", "show", job, "--run", usable(pruned)[0]) == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("prune",), "nothing says how long to keep runs: neither --keep nor prune.keep is given"),
        (("prune", "--keep", "5m"), "--keep: '5m' is no length of time, such as 400d, 13w or 2y"),
        (("prune", "--keep", "0d"), "--keep: '0d' is no length of time"),
        (("prune", "--keep", "101y"), "(100 years at most)"),
    ],
)
def test_without_a_length_of_time_nothing_is_pruned(
    args: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, *args) == Exit.USAGE
    told = capsys.readouterr().err
    assert said in told
    assert list(tmp_path.iterdir()) == []


def test_a_length_of_time_comes_from_the_settings_and_a_flag_goes_before_it(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole / "snapshots", tmp_path / "snapshots")
    (tmp_path / "jmreport.toml").write_text('[prune]\nkeep = "2y"\n')
    assert run(tmp_path, "prune", "--now", NOW) == 0
    assert capsys.readouterr().out.startswith("nothing to prune")
    assert run(tmp_path, "prune", "--now", NOW, "--keep", "5w", "--dry-run") == 0
    assert capsys.readouterr().out.startswith("would prune 4 runs")
    assert (
        pipeline.prune(
            settings(tmp_path), now=year.NOW, keep=timedelta(days=38), progress=SilentProgress()
        )
        .summary[0]
        .startswith("pruned 1 run ")
    )


@pytest.mark.parametrize(
    ("text", "days"),
    [("1d", 1), ("400d", 400), ("13w", 91), ("2y", 730), ("100y", 36_500), ("36501d", None)]
    + [(text, None) for text in ("", "d", "00d", "1.5d", "-1d", "1 d", "1D", "1m", "٣d", "1d\n")],
)
def test_a_length_of_time_is_a_number_of_days_weeks_or_years(text: str, days: int | None) -> None:
    assert length(text) == (None if days is None else timedelta(days=days))
