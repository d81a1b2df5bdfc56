"""Rendering what was rendered already: nothing is read or made, unless anything may be another."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.analysis.contexts import Contexts
from jmreport.errors import Exit, LockedError
from jmreport.pipeline import DemoOptions, Outcome, Source, sealing
from jmreport.progress import SilentProgress, Step
from jmreport.records import run_id
from jmreport.render import data
from jmreport.render.ledger import Ledger
from jmreport.render.seal import Seal, encoded
from jmreport.settings import Api, Gate, Mail, Settings, Site, Slo, Snapshots, Team

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
DEMO = Source(demo=DemoOptions(jobs=90))
#: What the ledger is called below a site.
LEDGER = ".jmreport/pages"


class Steps(SilentProgress):
    """Remembers what was done: nothing, where a seal was found unbroken."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @contextlib.contextmanager
    def step(self, name: str, total: int | None) -> Iterator[Step]:
        self.names.append(name)
        with super().step(name, total) as step:
            yield step


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with snapshots and their site."""
    folder = tmp_path_factory.mktemp("rendered")
    with contextlib.chdir(folder):
        pipeline.build(
            Settings(), now=NOW, source=DEMO, environ={}, progress=SilentProgress(), workers=1
        )
    return folder


@pytest.fixture
def folder(rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, to be changed, as the folder that commands work in: pages name it as it is told."""
    place = tmp_path / "own"
    shutil.copytree(rendered, place)
    monkeypatch.chdir(place)
    return place


def render(how: Settings) -> tuple[Outcome, bool]:
    """What came of it, and whether anything was looked at but the seal."""
    steps = Steps()
    return pipeline.render(how, progress=steps, workers=1), bool(steps.names)


@pytest.mark.usefixtures("folder")
def test_what_is_sealed_is_left_alone_and_told_as_before() -> None:
    """With its exit code and the lines behind it: what stopped a night stops it again."""
    broken = Slo(label="owner=li", target=1.0)
    how = Settings(gate=Gate(fail_on=("slo",)), slo=(broken, Slo(label="nobody", target=0.5)))
    first, looked = render(how)
    assert looked
    assert first.exit is Exit.GATE
    again, looked = render(how)
    assert not looked
    assert " 0 rewritten" in again.summary[0]
    assert first.summary[0].split(",")[0] == again.summary[0].split(",")[0]
    assert len(first.summary) > 2
    assert (again.exit, again.summary[1:], again.run) == (first.exit, first.summary[1:], first.run)


def test_a_site_that_was_moved_has_no_job_told_of_anew(folder: Path) -> None:
    """Nor do snapshots that were: only the page that names the folders is another."""
    render(Settings())
    folder.joinpath("site").rename(folder / "public")
    folder.joinpath("snapshots").rename(folder / "read")
    how = Settings(site=Site(dir="public"), snapshots=Snapshots(dir="read"))
    with patch.object(Contexts, "remembered", side_effect=AssertionError("all are told anew")):
        moved, looked = render(how)
    assert looked
    assert " 1 rewritten" in moved.summary[0]
    assert "--site public --snapshots read" in folder.joinpath("public/about.html").read_text()


@pytest.mark.usefixtures("folder")
def test_how_the_server_was_asked_and_who_gets_mail_breaks_no_seal() -> None:
    """No page depends on it."""
    api, mail = Api(url="https://jobs.example.org"), Mail(smtp="mx.example.org:25")
    team = Team(name="night watch", to=("watch@example.org",))
    assert not render(Settings(api=api, mail=mail, teams=(team,)))[1]


def test_a_label_of_a_team_breaks_the_seal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a column in jobs.csv where there are too many for all."""
    monkeypatch.setattr(data, "MOST_COLUMNS", 1)
    team = Team(name="night watch", to=("watch@example.org",), labels={"sample": "NA1"})
    how = Settings(teams=(team,))
    assert render(how)[1]
    table = (folder / "site/data/jobs.csv").read_bytes()
    assert table.partition(b"\r\n")[0].count(b",label:") == 1
    assert b",label:sample," in table
    assert not render(replace(how, teams=(replace(team, to=("others@example.org",)),)))[1]


def _page_gone(folder: Path) -> None:
    next((folder / "site/jobs").glob("*.html")).unlink()


def _page_cut(folder: Path) -> None:
    page = folder / "site/index.html"
    page.write_bytes(page.read_bytes()[:100])


def _raw_gone(folder: Path) -> None:
    next((folder / "site/jobs").glob("*.json")).unlink()


def _asset_gone(folder: Path) -> None:
    next((folder / "site/assets").iterdir()).unlink()


def _seal_spoilt(folder: Path) -> None:
    with Ledger(folder / "site" / LEDGER) as ledger:
        ledger.set_seal(b"\xc1")
        ledger.commit()


def _another_code(folder: Path) -> None:
    """As another jmreport would have sealed it."""
    with Ledger(folder / "site" / LEDGER) as ledger:
        sealed = msgspec.msgpack.decode(ledger.seal(), type=Seal)
        ledger.set_seal(encoded(replace(sealed, made_of="0" * 32)))
        ledger.commit()


def _ledger_gone(folder: Path) -> None:
    (folder / "site" / LEDGER).unlink()


def _ledger_of_before(folder: Path) -> None:
    """One that knows of no seals."""
    with sqlite3.connect(folder / "site" / LEDGER) as database:
        database.execute("DROP TABLE seals")


def _snapshots_restored(folder: Path) -> None:
    """From a copy, which is not known to hold the same."""
    found = next(folder.glob("snapshots/runs/*/aggregations.json"))
    found.write_bytes(found.read_bytes())


def _another_night(_folder: Path) -> None:
    pipeline.collect(
        Settings(),
        now=NOW + timedelta(days=1),
        source=DEMO,
        environ={},
        progress=SilentProgress(),
    )


def _difference(folder: Path) -> None:
    """A page that others lead to."""
    _another_night(folder)
    render(Settings())
    first, second = sorted(path.name for path in (folder / "snapshots/runs").iterdir())
    found = pipeline.diff(Settings(), first, second, progress=SilentProgress())
    pipeline.keep_diff(Settings(), found)


@pytest.mark.parametrize(
    "change",
    [
        _page_gone,
        _page_cut,
        _raw_gone,
        _asset_gone,
        _seal_spoilt,
        _another_code,
        _ledger_gone,
        _ledger_of_before,
        _snapshots_restored,
        _another_night,
        _difference,
    ],
)
def test_whatever_a_page_may_depend_on_breaks_the_seal(
    folder: Path, change: Callable[[Path], None]
) -> None:
    """And the site is whole afterwards, and sealed again."""
    assert not render(Settings())[1]
    change(folder)
    assert render(Settings())[1]
    assert pipeline.check(Settings()) == ()
    assert not render(Settings())[1]


def test_a_setting_that_pages_show_and_a_note_break_the_seal(folder: Path) -> None:
    """Also a note's text, with the same settings."""
    how = Settings()
    title = replace(how, site=Site(title="Night jobs"))
    assert render(title)[1]
    assert "Night jobs" in (folder / "site/index.html").read_text()
    (folder / "notes").mkdir()
    note = folder / "notes/intro.md"
    note.write_text("Call Ana.")
    noted = replace(title, report=replace(how.report, notes=str(folder / "notes")))
    assert render(noted)[1]
    assert not render(noted)[1]
    note.write_text("Call Ben.")
    assert render(noted)[1]
    assert "Call Ben." in (folder / "site/index.html").read_text()


def test_every_file_of_the_code_tells_and_nothing_that_python_keeps_of_it(tmp_path: Path) -> None:
    """Its name, its place and what is in it."""
    (tmp_path / "templates").mkdir()
    for name in ("a.py", "b.py", "templates/a.html"):
        (tmp_path / name).write_text(name)
    digests = [sealing.digest_of(tmp_path)]
    (tmp_path / "a.pyc").touch()
    assert sealing.digest_of(tmp_path) in digests
    for change in (
        lambda: (tmp_path / "templates/a.html").write_text("another"),
        lambda: (tmp_path / "a.py").rename(tmp_path / "templates/a.py"),
        lambda: (tmp_path / "b.py").rename(tmp_path / "c.py"),
        (tmp_path / "c.py").unlink,
    ):
        change()
        digests.append(sealing.digest_of(tmp_path))
    assert len({*digests}) == 5


@pytest.mark.usefixtures("folder")
def test_a_process_reads_the_code_once_however_much_it_renders() -> None:
    """It is a fifth of a small render; and what is installed meanwhile is not what makes pages."""
    render(Settings())
    with patch.object(sealing, "files", side_effect=AssertionError("the code is read again")):
        assert render(Settings(site=Site(title="Night jobs")))[1]


@pytest.mark.usefixtures("folder")
def test_a_part_of_a_site_is_made_though_the_site_is_sealed() -> None:
    """It is for a folder of its own."""
    steps = Steps()
    pipeline.render(Settings(), progress=steps, workers=1, shard="1/2")
    assert "write job pages" in steps.names


def test_a_sealed_site_that_another_run_writes_is_locked(folder: Path) -> None:
    """Whoever asks is told so, as ever."""
    with Ledger(folder / "site" / LEDGER), pytest.raises(LockedError):
        render(Settings())


def test_an_unbroken_seal_is_found_without_loading_what_makes_pages(folder: Path) -> None:
    """Templates, analysis and drawing take longer to load than to see that nothing changed."""
    program = (
        "import sys; from jmreport.cli import main\n"
        "code = main(['render'])\n"
        "print(code, {'jinja2', 'matplotlib', 'httpx', 'jmreport.render.site'} & {*sys.modules})"
    )
    done = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert " 0 rewritten" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 set()"


class _Killed(BaseException):
    """What a test has in the place of SIGKILL."""


def stopped_at_its_commit(how: Settings) -> None:
    """A render that is killed when all files are in their places and the ledger does not know."""

    def commit(_ledger: Ledger) -> None:
        raise _Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "commit", commit)
        with pytest.raises(_Killed):
            pipeline.render(how, progress=SilentProgress(), workers=1)


def site_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / "site").rglob("*"))
        if path.is_file() and ".jmreport" not in path.parts
    }


def test_what_a_render_that_was_killed_wrote_is_not_taken_for_what_was_there(folder: Path) -> None:
    """The pages of two titles of one length are as large as one another, and sizes tell nothing."""
    ours, theirs = (Settings(site=Site(title=title)) for title in ("ours", "others"[:4]))
    render(ours)
    before = site_of(folder)
    stopped_at_its_commit(theirs)
    assert site_of(folder) != before
    outcome, looked = render(ours)
    assert looked
    assert "0 rewritten" not in outcome.summary[0]
    assert site_of(folder) == before
    again, looked = render(ours)
    assert not looked
    assert " 0 rewritten" in again.summary[0]


def test_files_that_only_a_killed_render_had_are_gone_after_the_next(folder: Path) -> None:
    render(Settings())
    before = site_of(folder)
    stopped_at_its_commit(Settings(site=Site(formats=("multiqc",))))
    assert site_of(folder).keys() > before.keys()
    render(Settings())
    assert site_of(folder) == before


def test_a_difference_that_is_asked_for_leaves_a_killed_render_to_be_seen_to(folder: Path) -> None:
    ours, theirs = (Settings(site=Site(title=title)) for title in ("ours", "them"))
    later = NOW + timedelta(days=1)
    pipeline.build(ours, now=later, source=DEMO, environ={}, progress=SilentProgress(), workers=1)
    stopped_at_its_commit(theirs)
    found = pipeline.diff(ours, run_id(NOW), run_id(later), progress=SilentProgress())
    pipeline.keep_diff(ours, found)
    render(ours)
    titles = {body.partition(b"<title>")[2][:400] for body in site_of(folder).values()}
    assert not any(b"them</title>" in title for title in titles)
