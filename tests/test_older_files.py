"""What an earlier jmreport left on a disk is read, and gone on from: `data/older` has some of it.

Each folder was made by the jmreport of its day with the commands in its `made-by`. What is in them
is never made again: a format that changes has a folder added.
"""

import io
import shutil
from contextlib import chdir, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from jmreport.cli import main
from jmreport.errors import Exit
from jmreport.mail import heard
from jmreport.mail import kept as kept_mails
from jmreport.records import run_id
from jmreport.render import addresses, kept
from jmreport.render.past import diff_pages
from jmreport.snapshots.unattended import account

HERE = Path(__file__).parent / "data/older"
FOLDERS = sorted(path for path in HERE.iterdir() if path.is_dir())


class Older:
    """A copy of such a folder, the run whose parts lie in it, and the moment it is gone on at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (parts,) = (folder / "snapshots-parts").iterdir()
        self.run = parts.name
        self.now = datetime.strptime(parts.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        self.pruned = [path.name for path in (folder / "snapshots/pruned").iterdir()]
        self.differences = [*diff_pages(folder / "site/.jmreport/pages")]
        self.there = sorted(path.name for path in (folder / "snapshots/runs").iterdir())

    def says(self, *args: str, code: Exit = Exit.DONE) -> str:
        """What a command says that ends so."""
        with chdir(self.folder), redirect_stdout(io.StringIO()) as said:
            assert main(args) == code
        return said.getvalue()

    def at(self, *, minutes: int = 0) -> tuple[str, str]:
        """As of when a command works."""
        return "--now", (self.now + timedelta(minutes=minutes)).isoformat()


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def untouched(request: pytest.FixtureRequest, tmp_path: Path) -> Older:
    return Older(Path(shutil.copytree(request.param, tmp_path / "older")))


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda path: path.name)
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Older:
    """One whose parts were merged, and whose site was rendered then."""
    older = Older(Path(shutil.copytree(request.param, tmp_path_factory.mktemp("files") / "older")))
    older.says("merge", *older.at())
    assert "no list leads to it" not in older.says("render", "--workers", "1")
    return older


def test_snapshots_of_an_older_jmreport_are_whole_but_for_the_run_that_was_killed(
    untouched: Older,
) -> None:
    shutil.rmtree(untouched.folder / "site")
    killed = untouched.there[-1]
    told = f"runs/{killed}: interrupted, or still being written; the next run ends it\n"
    assert untouched.says("check", code=Exit.FAILED) == told
    listed = untouched.says("snapshots", "list")
    assert all(run in listed for run in untouched.there)


def test_the_night_that_an_older_jmreport_had_to_leave_is_known(untouched: Older) -> None:
    with account(untouched.folder / "snapshots", untouched.now) as nights:
        assert nights.left is not None
        assert run_id(nights.left.begun) == untouched.there[-2]
        assert nights.left.done == ("collect",)


def test_the_parts_of_an_older_jmreport_are_merged_and_all_its_nights_have_a_page(
    rendered: Older,
) -> None:
    killed = rendered.there[-1]
    site = rendered.folder / "site"
    nights = {path.parent.name for path in site.glob("nights/*/index.html")}
    assert nights == {*rendered.there, rendered.run} - {killed}
    assert rendered.says("check") == "snapshots and pages are whole\n"


def test_a_difference_that_an_older_jmreport_kept_is_listed(rendered: Older) -> None:
    (page,) = (page for page in rendered.differences if addresses.runs_of(page))
    site = rendered.folder / "site"
    assert f'href="{page.removeprefix("diffs/")}"' in (site / addresses.DIFFS).read_text()
    assert (site / page).exists()
    assert kept.unlisted(site) == []


def test_a_spool_of_an_older_jmreport_says_what_waits_and_who_has_heard_of_what(
    rendered: Older,
) -> None:
    spool = rendered.folder / "snapshots-mail"
    known = heard(spool)
    told = rendered.says("mail", "--dry-run", *rendered.at(minutes=6))
    for team, runs in known.items():
        assert runs[-1] in rendered.there
        assert f"would send to {team} " in told
    waiting = [parcel for parcel in kept_mails(spool).parcels if parcel.waits]
    assert waiting
    for parcel in waiting:
        (to,) = parcel.recipients
        assert f"{parcel.team}: a mail of run {parcel.night} waits for {to.address}" in told


def test_a_place_that_an_older_jmreport_published_to_is_published_to(rendered: Older) -> None:
    """By its manifest; and the claim of one that was killed is taken over."""
    told = rendered.says("publish", "--dry-run", *rendered.at(minutes=6))
    of = msgspec.json.decode((rendered.folder / "bucket/.jmreport/manifest.json").read_bytes())
    assert "unchanged" in told
    assert f"({len(of['files'])} new" not in told
    rendered.says("publish", *rendered.at(minutes=6))
    bucket, site = rendered.folder / "bucket", rendered.folder / "site"
    assert (bucket / "index.html").read_bytes() == (site / "index.html").read_bytes()
    assert not (bucket / ".jmreport/claim.json").exists()


def test_what_an_older_jmreport_had_pruned_stays_and_the_rest_can_be(rendered: Older) -> None:
    folder = rendered.folder
    told = rendered.says("prune", "--keep", "2d", *rendered.at(minutes=6))
    assert f"{rendered.there[0]} to" in told
    assert rendered.says("check") == "snapshots and pages are whole\n"
    assert f"pruned, from {rendered.pruned[0]} to" in rendered.says("snapshots", "list")
    assert not (folder / "snapshots/runs" / rendered.there[0]).exists()
