"""A ledger that is damaged, or of another version, is mended, and its render goes on."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mail_cases import collect, job, night, settings, store
from msgspec.structs import replace
from site_cases import contents, of_former_times

from jmreport import pipeline
from jmreport.errors import DamagedError
from jmreport.progress import SilentProgress
from jmreport.render import linkcheck, mending
from jmreport.render.ledger import Ledger
from jmreport.render.past import all_files, night_bodies
from jmreport.settings import Settings

#: So many bytes SQLite reads and writes together.
PAGE = 4096
NIGHTS = 4


def render(told: Settings) -> None:
    pipeline.render(told, progress=SilentProgress(), workers=1)


def settings_of(folder: Path) -> Settings:
    """Those of a site in this folder, which is told apart by nothing."""
    told = settings(folder)
    return replace(told, site=replace(told.site, url=None))


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of some nights, with another one that is collected and not rendered."""
    folder = tmp_path_factory.mktemp("nights")
    rows = [
        [
            job(f"a{number}", ago, "Failed" if number % 7 == ago % 7 else "Succeeded")
            for number in range(30)
        ]
        for ago in range(NIGHTS, 0, -1)
    ]
    store(folder / "snapshots", *rows)
    render(settings_of(folder))
    collect(folder, -1, *rows[-1], job("a1", 0, "Failed"))
    return folder


@pytest.fixture(scope="module")
def whole(nights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The site with that night, where nothing was damaged."""
    folder = tmp_path_factory.mktemp("whole") / "whole"
    shutil.copytree(nights, folder)
    return made(folder)


def made(folder: Path) -> dict[str, bytes]:
    """A site that is rendered, wherever it lies."""
    render(settings_of(folder))
    found = contents(folder / "site")
    return {name: body.replace(str(folder).encode(), b"") for name, body in found.items()}


def of_a_later_version(path: Path) -> None:
    """Makes a ledger one of a version that is not known yet."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA user_version = 3")


def written_by_a_former_version(path: Path) -> None:
    """Pages as somebody left them who went back to a former version: it knows but its own tables.

    They name a style sheet that went with it.
    """
    site = path.parent.parent
    of_former_times(path)
    with closing(sqlite3.connect(path)) as database, database:
        for page in site.glob("jobs/germline-*.html"):
            page.write_bytes(page.read_bytes().replace(b"assets/site-", b"assets/former-"))
            told = page.stat().st_size, page.relative_to(site).as_posix()
            database.execute("UPDATE files SET size = ? WHERE address = ?", told)
        database.execute("UPDATE files SET content = 'former'")


def later(folder: Path) -> dict[str, bytes]:
    """A site that is rendered after one more night."""
    collect(folder, -2, job("a2", 0, "Failed"))
    return made(folder)


def ledger_of(folder: Path) -> Path:
    return folder / "site/.jmreport/pages"


def damage(path: Path, part: float) -> None:
    """Garbage in place of one of the ledger's pages, so far behind its first one."""
    size = path.stat().st_size // PAGE
    with path.open("r+b") as file:
        file.seek(max(1, int(size * part)) * PAGE)
        file.write(b"\xa5" * PAGE)


@pytest.mark.parametrize("part", [place / 10 for place in range(10)])
def test_a_render_goes_on_wherever_its_ledger_is_damaged(
    nights: Path, whole: dict[str, bytes], tmp_path: Path, part: float
) -> None:
    folder = Path(shutil.copytree(nights, tmp_path / "damaged"))
    damage(ledger_of(folder), part)
    # What was nobody's any more and is not remembered stays where it is.
    assert made(folder).items() >= whole.items()
    assert linkcheck.check(folder / "site") == ()
    collect(folder, -2, job("a1", 0, "Failed"))
    render(settings_of(folder))
    assert linkcheck.check(folder / "site") == ()


def test_a_site_that_a_former_version_wrote_has_everything_looked_at_again(
    nights: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """What its ledger says of pages that need no look is of other pages; and so is its seal."""
    folder = Path(shutil.copytree(nights, tmp_path / "former"))
    made(folder)
    written_by_a_former_version(ledger_of(folder))
    assert made(folder) == whole
    assert {address for address, _, _ in all_files(ledger_of(folder))} == whole.keys()
    assert linkcheck.check(folder / "site") == ()


def test_no_page_is_forgotten_that_a_later_version_knew(
    nights: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(nights, tmp_path / "later"))
    of_a_later_version(ledger_of(folder))
    assert made(folder) == whole
    assert {address for address, _, _ in all_files(ledger_of(folder))} == whole.keys()


def test_nights_behind_a_site_of_a_former_version_are_as_if_it_had_been_of_this_one(
    nights: Path, tmp_path: Path
) -> None:
    """Also the one after that: what was counted of jobs that settled is counted again whole."""
    here, there = (Path(shutil.copytree(nights, tmp_path / name)) for name in ("here", "there"))
    made(there)
    written_by_a_former_version(ledger_of(here))
    assert made(here) == made(there)
    night = later(here)
    assert night == later(there)
    assert {address for address, _, _ in all_files(ledger_of(here))} == night.keys()


def test_a_line_a_page_of_another_shape_is_not_read(
    nights: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """All pages are made again, and none is forgotten but those that nobody plans any more."""
    folder = Path(shutil.copytree(nights, tmp_path / "other"))
    of_a_later_version(ledger_of(folder))
    with closing(sqlite3.connect(ledger_of(folder))) as database, database:
        database.execute("ALTER TABLE pages ADD COLUMN made REAL")
        database.execute("ALTER TABLE ids RENAME COLUMN owner TO page")
    assert made(folder).items() >= whole.items()
    assert {address for address, _, _ in all_files(ledger_of(folder))} == whole.keys()


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE {} ADD COLUMN cost REAL NOT NULL DEFAULT 0", "ALTER TABLE {} DROP COLUMN body"],
)
def test_nights_and_differences_of_a_later_version_are_read_as_far_as_they_can_be(
    nights: Path, whole: dict[str, bytes], tmp_path: Path, change: str
) -> None:
    """A night of which too little is left is told again."""
    folder = Path(shutil.copytree(nights, tmp_path / "later"))
    path = ledger_of(folder)
    of_a_later_version(path)
    before = dict(night_bodies(path))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO diffs VALUES ('diff', x'01')")
        for table in ("nights", "diffs"):
            database.execute(change.format(table))
    assert made(folder) == whole
    assert dict(night_bodies(path)).items() >= before.items()
    with Ledger(path) as ledger:
        assert [*ledger.diffs()] == [b"\x01"] * ("ADD" in change)


def test_a_night_that_is_damaged_is_told_again(
    nights: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """The page of the last one is made again, since another night came behind it."""
    folder = Path(shutil.copytree(nights, tmp_path / "damaged"))
    path = ledger_of(folder)
    before = dict(night_bodies(path))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE nights SET body = x'81a372756e01' WHERE run = ?", (night(0),))
    assert made(folder) == whole
    assert dict(night_bodies(path)).items() >= before.items()


def test_a_ledger_of_a_former_version_that_is_damaged_is_mended_too(
    nights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "pages"
    shutil.copy(ledger_of(nights), path)
    of_former_times(path)
    known = {*all_files(path)}
    with closing(sqlite3.connect(path)) as database:
        database.execute("VACUUM")
    damage(path, 0.5)
    mending.mend(path)
    with Ledger(path) as ledger:
        ledger.commit()
    found = {*all_files(path)}
    assert found <= known
    assert len(found) > len(known) / 4
    assert [*night_bodies(path)]


def test_what_can_be_read_of_a_damaged_ledger_is_kept(nights: Path, tmp_path: Path) -> None:
    """From both ends of each table on: of many nights that were told long ago few are lost."""
    path = tmp_path / "pages"
    shutil.copy(ledger_of(nights), path)
    with closing(sqlite3.connect(path)) as database, database:
        body = b"n" * 20_000
        database.executemany(
            "INSERT INTO nights VALUES (?, '', ?, ?)",
            [(f"2025{number:04}", bytes([number % 250]) * 300, body) for number in range(100)],
        )
        database.execute("INSERT INTO diffs VALUES ('diff', x'01')")
    before = dict(night_bodies(path))
    damage(path, 0.5)
    assert mending.is_damaged(path)
    with pytest.raises(DamagedError, match="was damaged"), Ledger(path) as ledger:
        assert all(map(ledger.night, before))
    assert not mending.is_damaged(path)
    after = dict(night_bodies(path))
    assert after.items() <= before.items()
    assert len(after) >= len(before) - 20
    with Ledger(path) as ledger:
        assert [*ledger.diffs()] == [b"\x01"]


def test_a_ledger_that_cannot_be_mended_for_lack_of_room_stays_as_it_is(
    nights: Path, tmp_path: Path
) -> None:
    """What can be read of it is nowhere else."""
    path = tmp_path / "pages"
    shutil.copy(ledger_of(nights), path)
    damage(path, 0.5)
    before = path.read_bytes()
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from jmreport.render import mending\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "mending.mend(Path(sys.argv[1]))"
    )
    run = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert "is damaged and cannot be mended" in run.stderr
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["pages"]
    mending.mend(path)
    assert not mending.is_damaged(path)


def test_an_error_that_is_none_of_the_ledgers_file_passes(nights: Path, tmp_path: Path) -> None:
    path = tmp_path / "pages"
    shutil.copy(ledger_of(nights), path)
    before = path.read_bytes()
    with pytest.raises(sqlite3.DatabaseError, match="cannot be told"), Ledger(path):
        raise sqlite3.DatabaseError("the files of x cannot be told")
    assert path.read_bytes() == before
