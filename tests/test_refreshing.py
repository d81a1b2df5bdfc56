"""`jmreport build --job ID`: one job is read again, and the night stays as it was told."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import analysis_cases
import pytest
from msgspec.structs import replace

from jmreport.cli import main
from jmreport.collectors.demo import Demo, serve
from jmreport.pipeline import rendering
from jmreport.records import Counts, RunState
from jmreport.render import addresses

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)


def at(moment: datetime) -> str:
    return moment.isoformat()


def rows() -> dict[str, dict[str, object]]:
    lines = Path("site/data/jobs.ndjson").read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def title(page: str = "site/index.html") -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", Path(page).read_text(), re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("state", "stored", "over"),
    [("refreshed", 0, True), ("interrupted", 0, True), ("failed", 4, True), ("failed", 0, False)],
)
def test_a_night_is_told_for_good_once_a_run_behind_it_read_a_job(
    state: RunState, stored: int, over: bool
) -> None:
    """Be it one that failed in the middle: what it read is for the coming night to tell."""
    behind = replace(analysis_cases.run(2, state=state), counts=Counts(stored=stored))
    is_over = rendering._is_over
    assert is_over([*analysis_cases.runs(2), behind]) is over
    assert not is_over([*analysis_cases.runs(2), behind, analysis_cases.run(3)])


def test_one_job_is_read_again_and_the_verdict_stays_that_of_the_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    demo = Demo(now=NOW, jobs=60)
    with serve(demo, port=0) as server:
        common = ["--api-url", server.url, "--workers", "1"]
        assert main(["build", "-q", "--now", at(NOW), *common]) == 0
        job = next(each for each, row in rows().items() if row["status"] == "Running")
        told, before = title(), rows()
        pages = {path: path.read_bytes() for path in Path("site/jobs").glob("*-????????.html")}

        assert main(["abort", job, "--yes", "--api-url", server.url]) == 0
        demo.now = later = NOW + timedelta(hours=8)
        seen = demo.requests.total
        capsys.readouterr()
        assert main(["build", "--job", job, "--now", at(later), *common]) == 0
        assert "read 1 job again" in capsys.readouterr().out
        assert demo.requests.total - seen < 12

        # The job, and the lists that show it; no other job's page.
        assert rows()[job]["status"] == "Aborted"
        assert {each: row for each, row in rows().items() if each != job} == {
            each: row for each, row in before.items() if each != job
        }
        # Its own sub-workflows end with it; no page of another job changes.
        listed = {Path("site", addresses.job(each)) for each in before}
        changed = [p for p in pages if p in listed and p.read_bytes() != pages[p]]
        assert changed == [Path("site", addresses.job(job))]
        assert "Aborted</span>" in changed[0].read_text()
        assert title() == told
        assert "brought no report" not in Path("site/index.html").read_text()
        assert len(list(Path("site/nights").glob("2*"))) == 1
        assert main(["check"]) == 0

        # The next night goes on from there, and asks nothing again of what has ended.
        demo.now = NOW + timedelta(days=1)
        assert main(["build", "-q", "--now", at(demo.now), *common]) == 0
        assert rows()[job]["status"] == "Aborted"
        assert main(["check"]) == 0
        capsys.readouterr()
        assert main(["snapshots", "list"]) == 0
        assert "refreshed" in capsys.readouterr().out


def test_a_job_is_read_again_by_a_machine_with_the_mirror_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On top of what others pushed; and they know of it then."""

    def on(machine: str) -> None:
        (tmp_path / machine).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / machine)
        Path("jmreport.toml").write_text('snapshots.mirror = "../mirror"\n')

    on("one")
    demo = Demo(now=NOW, jobs=60)
    with serve(demo, port=0) as server:
        common = ["--api-url", server.url, "--workers", "1"]
        assert main(["build", "-q", "--now", at(NOW), *common]) == 0
        job = next(each for each, row in rows().items() if row["status"] == "Running")
        assert main(["abort", job, "--yes", "--api-url", server.url]) == 0
        demo.now = later = NOW + timedelta(hours=8)

        on("two")
        capsys.readouterr()
        assert main(["build", "--job", job, "--now", at(later), *common]) == 0
        steps = "pulled 1 run|read 1 job|pushed 1 run|rendered"
        assert re.findall(steps, capsys.readouterr().out) == steps.split("|")
        assert rows()[job]["status"] == "Aborted"
        assert main(["check"]) == 0

        on("one")
        demo.now = NOW + timedelta(days=1)
        assert main(["collect", "--now", at(demo.now), "--api-url", server.url]) == 0
        assert "pulled 1 run" in capsys.readouterr().out


def told_of_the_night(site: str = "site") -> dict[str, object]:
    """What the overview and the night's own page say, as machines read it."""
    (night,) = Path(site, "nights").glob(f"{NOW:%Y%m%d}*/report.json")
    page = night.with_name("index.html").read_bytes()
    said = json.loads(Path(site, "data/report.json").read_text())
    return {"counts": said["counts"], "night": night.read_bytes(), "page": page}


def files(site: str) -> dict[str, bytes]:
    """All that readers see; about names the site's own folder."""
    return {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in Path(site).rglob("*")
        if path.is_file() and ".jmreport" not in path.parts and path.name != "about.html"
    }


@pytest.mark.parametrize("rendered", [True, False])
def test_what_a_run_that_read_a_job_again_found_changes_nothing_that_the_night_told(
    rendered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor in a site that is made anew, nor where the night had no pages yet."""
    monkeypatch.chdir(tmp_path)
    demo = Demo(now=NOW, jobs=60)
    with serve(demo, port=0) as server:
        common = ["-q", "--api-url", server.url, "--workers", "1"]
        assert main(["collect", "-q", "--api-url", server.url, "--now", at(NOW)]) == 0
        assert main(["render", "-q", "--workers", "1", "--site", "before"]) == 0
        if rendered:
            assert main(["render", "-q", "--workers", "1"]) == 0
        running = Path("before/data/jobs.ndjson").read_text().splitlines()
        job = next(row["id"] for row in map(json.loads, running) if row["status"] == "Running")
        assert main(["abort", job, "--yes", "--api-url", server.url]) == 0
        demo.now = NOW + timedelta(hours=8)
        assert main(["build", "--job", job, "--now", at(demo.now), *common]) == 0

        assert rows()[job]["status"] == "Aborted"
        assert told_of_the_night() == told_of_the_night("before")
        assert main(["render", "-q", "--workers", "1", "--site", "anew"]) == 0
        assert files("anew") == files("site")

        demo.now = NOW + timedelta(days=1)
        assert main(["build", "--now", at(demo.now), *common]) == 0
        assert rows()[job]["status"] == "Aborted"
        assert told_of_the_night()["night"] == told_of_the_night("before")["night"]
        assert main(["render", "-q", "--workers", "1", "--site", "later"]) == 0
        assert files("later") == files("site")
        assert main(["check"]) == 0


def test_new_labels_of_a_finished_job_are_on_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the list is slow to show them, as Cromwell's is."""
    monkeypatch.chdir(tmp_path)
    with serve(Demo(now=NOW, jobs=60, like="cromwell"), port=0) as server:
        common = ["--api-url", server.url, "--workers", "1", "--now", at(NOW)]
        assert main(["build", "-q", *common]) in (0, 3)
        job = next(each for each, row in rows().items() if row["status"] == "Succeeded")
        assert main(["label", job, "comment=kept", "--api-url", server.url]) == 0
        assert main(["build", "-q", "--job", job, *common]) in (0, 3)
        assert "<bdi>kept</bdi>" in Path("site", addresses.job(job)).read_text()


def test_a_server_that_lists_by_project_is_asked_for_a_job_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    demo = Demo(now=NOW, jobs=60)
    with serve(demo, port=0) as server:
        common = ["--api-url", server.url, "--workers", "1", "--now", at(NOW)]
        assert main(["build", "-q", *common]) in (0, 3)
        job = next(iter(rows()))
        main(["build", "-q", "--job", job, "--project-id", "genomes", *common])
    asked = [json.loads(each.body) for each in demo.requests.last if each.operation == "QueryJobs"]
    assert asked[-1] == {"id": job, "pageSize": 1, "extensions": {"projectId": "genomes"}}


@pytest.mark.parametrize("known", [True, False])
def test_a_job_that_no_snapshot_knows_cannot_be_read_again(
    known: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """However the server's address is written."""
    monkeypatch.chdir(tmp_path)
    with serve(Demo(now=NOW, jobs=50), port=0) as server:
        if known:
            assert main(["collect", "-q", "--api-url", server.url, "--now", at(NOW)]) == 0
        common = ["--api-url", server.url.removesuffix("/api/v1"), "--now", at(NOW)]
        assert main(["build", "-q", "--job", "nobody", *common]) == (2 if known else 4)
    assert ("no job 'nobody' in snapshots" if known else "no snapshot") in capsys.readouterr().err


def test_a_run_that_read_one_job_again_makes_no_mail_and_no_night_to_prune(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The newest night is still the one before it: its mail says what it said."""
    monkeypatch.chdir(tmp_path)
    Path("jmreport.toml").write_text(
        '[mail]\nsender = "r@example.org"\n[[teams]]\nname = "all"\nto = ["a@example.org"]\n'
    )
    with serve(Demo(now=NOW, jobs=60), port=0) as server:
        common = ["--api-url", server.url, "--workers", "1"]
        assert main(["build", "-q", "--now", at(NOW), *common]) in (0, 3)
        capsys.readouterr()
        main(["mail", "--dry-run", "--now", at(NOW)])
        told = capsys.readouterr().out
        job = next(iter(rows()))
        later = at(NOW + timedelta(hours=8))
        assert main(["build", "-q", "--job", job, "--now", later, *common]) in (0, 3)
    capsys.readouterr()
    assert main(["mail", "--dry-run", "--now", later]) == 0
    assert capsys.readouterr().out == told
    assert "FAILED" not in told
    assert main(["prune", "--keep", "1d", "--now", at(NOW + timedelta(days=9))]) == 0
    assert "nothing to prune" in capsys.readouterr().out
    assert main(["check"]) == 0
