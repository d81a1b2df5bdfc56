"""Pages of jobs made in parts, each in a folder of its own, and taken into the site from there."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import site_cases
from msgspec.structs import replace
from site_cases import contents, entries, runs, write

from jmreport.cli import main
from jmreport.errors import Exit, JmreportError
from jmreport.records import Record
from jmreport.render import addresses
from jmreport.render.files import WrittenFile
from jmreport.render.ledger import packed
from jmreport.render.sharing import Made, Share
from jmreport.snapshots import Shard

OVER = runs(2)
JOBS = entries(120, OVER)
NOW = "2026-11-23T02:14:00Z"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as one machine makes it."""
    where = tmp_path_factory.mktemp("built") / "site"
    write(where, JOBS, OVER)
    return where


def share(folder: Path, number: int, of: int) -> Share:
    return Share(place=folder / f"{number}-of-{of}", holds=Shard(number, of).holds)


def in_parts(folder: Path, of: int, *, site: Path, **options: Any) -> tuple[Path, ...]:
    """The pages of all parts, made by as many machines that see the site."""
    for number in range(1, of + 1):
        write(site, JOBS, OVER, share=share(folder, number, of), **options)
    return tuple(sorted(folder.iterdir()))


def nobody_reads(*_: Any) -> Iterator[Record]:
    """Whoever makes a page of a job reads its record."""
    raise AssertionError("a record was read")


def counting(read: list[str]) -> Any:
    def reader(*wanted: Any) -> Iterator[Record]:
        for record in site_cases.read(*wanted):
            read.append(record.id)
            yield record

    return reader


@pytest.mark.parametrize(("of", "workers"), [(2, 1), (4, 1), (2, 2)])
def test_a_site_made_in_parts_is_the_same_to_the_byte(
    tmp_path: Path, built: Path, of: int, workers: int
) -> None:
    """And no page of a job is made where the site is: all are taken."""
    site = tmp_path / "site"
    parts = in_parts(tmp_path / "parts", of, site=site, workers=workers)
    assert not site.exists()
    written = write(site, JOBS, OVER, share=Share(parts=parts), reader=nobody_reads)
    assert contents(site) == contents(built)
    assert written.rewritten == written.pages_total
    again = write(site, JOBS, OVER, share=Share(parts=parts), reader=nobody_reads)
    assert (again.rewritten, again.removed) == (0, 0)


def test_parts_hold_each_page_once_and_nothing_but_pages_of_jobs(tmp_path: Path) -> None:
    parts = in_parts(tmp_path / "parts", 3, site=tmp_path / "site")
    names = [name for part in parts for name in contents(part)]
    assert len(names) == len(set(names))
    assert {name for name in names if name.endswith(".html")} == {
        addresses.job(entry.row.id) for entry in JOBS
    }


def test_what_parts_lack_is_made(tmp_path: Path, built: Path) -> None:
    """A part that was never begun, a page that is gone, cut, or damaged, one in no ledger."""
    folder, site = tmp_path / "parts", tmp_path / "site"
    write(site, JOBS, OVER, share=share(folder, 1, 3))
    write(site, JOBS, OVER, share=share(folder, 2, 3))
    pages = sorted((folder / "1-of-3/jobs").glob("*.html"))
    pages[0].unlink()
    pages[1].write_bytes(pages[1].read_bytes()[:-1])
    pages[2].write_bytes(pages[2].read_bytes().replace(b"Job", b"Jxb"))
    (folder / "2-of-3/.jmreport/pages").unlink()
    read: list[str] = []
    parts = (*sorted(folder.iterdir()), folder / "3-of-3")
    write(site, JOBS, OVER, share=Share(parts=parts), reader=counting(read))
    lacking = sum(not Shard(1, 3).holds(entry.row.id) for entry in JOBS) + 3
    assert len(read) == lacking
    assert contents(site) == contents(built)


def test_pages_of_another_state_are_not_taken(tmp_path: Path, built: Path) -> None:
    """Parts of snapshots as they were before: what changed since is made."""
    before = tuple(
        replace(entry, digest="before", row=replace(entry.row, status="Running", end=None))
        if at % 2
        else entry
        for at, entry in enumerate(JOBS)
    )
    write(tmp_path / "site", before, OVER, share=share(tmp_path / "parts", 1, 1))
    write(tmp_path / "site", JOBS, OVER, share=Share(parts=(tmp_path / "parts/1-of-1",)))
    assert contents(tmp_path / "site") == contents(built)


def test_what_the_site_has_no_part_makes_again(tmp_path: Path) -> None:
    """One more night costs each part what is new."""
    site, one, read = tmp_path / "site", tmp_path / "one", list[str]()
    write(one, JOBS[:100], OVER)
    write(one, JOBS, OVER)
    write(site, JOBS[:100], OVER)
    parts = in_parts(tmp_path / "parts", 2, site=site, reader=counting(read))
    assert {entry.row.id for entry in JOBS[100:]} <= set(read)
    assert len(read) < len(JOBS)
    write(site, JOBS, OVER, share=Share(parts=parts), reader=nobody_reads)
    assert contents(site) == contents(one)


def test_a_part_that_was_stopped_is_completed_by_the_next(tmp_path: Path, built: Path) -> None:
    def failing(*wanted: Any) -> Iterator[Record]:
        for at, record in enumerate(site_cases.read(*wanted)):
            if at == 20:
                raise JmreportError("stopped")
            yield record

    site, folder = tmp_path / "site", tmp_path / "parts"
    with pytest.raises(JmreportError, match="stopped"):
        write(site, JOBS, OVER, share=share(folder, 1, 1), reader=failing)
    assert len(list((folder / "1-of-1/jobs").glob("*.html"))) == 20
    write(site, JOBS, OVER, share=share(folder, 1, 1))
    again = write(site, JOBS, OVER, share=share(folder, 1, 1), reader=nobody_reads)
    assert again.rewritten == 0
    write(site, JOBS, OVER, share=Share(parts=(folder / "1-of-1",)), reader=nobody_reads)
    assert contents(site) == contents(built)


def test_a_site_that_was_stopped_while_it_took_pages_is_completed_by_the_next(
    tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was moved in already is there; nothing tells what it was made of, so it is made."""
    site, folder = tmp_path / "site", tmp_path / "parts"
    write(site, JOBS, OVER, share=share(folder, 1, 1))
    parts = Share(parts=(folder / "1-of-1",))
    real, moved = os.replace, list[str]()

    def stopping(source: Any, place: Any) -> None:
        if "1-of-1" in str(source):
            moved.append(str(place))
            if len(moved) == 51:
                raise KeyboardInterrupt
        real(source, place)

    monkeypatch.setattr(os, "replace", stopping)
    with pytest.raises(KeyboardInterrupt):
        write(site, JOBS, OVER, share=parts)
    monkeypatch.undo()
    read: list[str] = []
    write(site, JOBS, OVER, share=parts, reader=counting(read))
    assert 25 <= len(read) <= 26
    assert contents(site) == contents(built)


def test_a_part_on_another_disk_is_copied(
    tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file cannot be moved from one disk to another."""
    site, folder = tmp_path / "site", tmp_path / "parts"
    write(site, JOBS, OVER, share=share(folder, 1, 1))
    real = os.replace

    def other_disk(source: Any, place: Any) -> None:
        if "1-of-1" in str(source):
            raise OSError(18, "Invalid cross-device link")
        real(source, place)

    monkeypatch.setattr(os, "replace", other_disk)
    parts = Share(parts=(folder / "1-of-1",))
    write(site, JOBS, OVER, share=parts, reader=nobody_reads)
    assert contents(site) == contents(built)


@pytest.mark.parametrize("own", [True, False])
def test_pages_of_a_part_may_be_read_as_those_that_are_made_here(
    tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch, *, own: bool
) -> None:
    """A machine whose umask is tighter made them, as the same user or another."""
    site, folder = tmp_path / "site", tmp_path / "parts"
    before = os.umask(0o077)
    try:
        write(site, JOBS, OVER, share=share(folder, 1, 1))
        os.umask(0o022)
        if not own:
            monkeypatch.setattr(Path, "chmod", not_ours)
        parts = Share(parts=(folder / "1-of-1",))
        write(site, JOBS, OVER, share=parts, reader=nobody_reads)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (site / "jobs").iterdir() if path.is_file()}
    assert modes == {0o644}
    assert contents(site) == contents(built)


def not_ours(*_: object, **__: object) -> None:
    """The system's answer to who does not own a file."""
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("address", ["../outside.html", "jobs/../../outside.html", "index.html"])
def test_no_part_names_files_elsewhere(tmp_path: Path, built: Path, address: str) -> None:
    site, part = tmp_path / "site", tmp_path / "parts/1-of-1"
    write(site, JOBS, OVER, share=share(tmp_path / "parts", 1, 1))
    (tmp_path / "parts/outside.html").write_text("x")
    (part / "index.html").write_text("x")
    with sqlite3.connect(part / ".jmreport/pages") as ledger:
        owner = addresses.job(JOBS[0].row.id)
        files = packed(owner, [WrittenFile(address=address, size=1, sum="00" * 16)])
        ledger.execute("UPDATE pages SET files = ? WHERE owner = ?", (files, owner))
    write(site, JOBS, OVER, share=Share(parts=(part,)))
    assert contents(site) == contents(built)
    assert not (tmp_path / "outside.html").exists()


def test_a_part_that_tells_nothing_of_its_files_costs_time(tmp_path: Path, built: Path) -> None:
    """Whoever made it: a name that is no text is as good as no line."""
    site, part = tmp_path / "site", tmp_path / "parts/1-of-1"
    write(site, JOBS, OVER, share=share(tmp_path / "parts", 1, 1))
    with sqlite3.connect(part / ".jmreport/pages") as ledger:
        ledger.execute("UPDATE pages SET files = x'919400a1ff01c400'")
    assert Made(part).files() == []
    write(site, JOBS, OVER, share=Share(parts=(part,)))
    assert contents(site) == contents(built)


def test_the_commands_make_a_site_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["--demo", "--jobs", "60", "--now", NOW]
    assert main(["build", "-q", *asked, "--workers", "1"]) in (Exit.DONE, Exit.INCOMPLETE)
    os.rename("site", "one")  # noqa: PTH104
    for shard in ("1/2", "2/2"):
        assert main(["render", "--shard", shard, "--workers", "1"]) == Exit.DONE
        assert f"part {shard} of the pages of jobs of run 20261123T021400Z is in" in "".join(
            capsys.readouterr()
        )
    assert sorted(path.name for path in Path("site-parts/20261123T021400Z").iterdir()) == [
        "1-of-2",
        "2-of-2",
    ]
    assert main(["render", "--parts", "--workers", "1"]) in (Exit.DONE, Exit.INCOMPLETE)
    assert contents(Path("site")) == contents(Path("one"))
    left = [name for name in contents(Path("site-parts")) if name.endswith(".html")]
    assert left == []
    for shard in ("3/2", ""):
        assert main(["render", f"--shard={shard}"]) == Exit.USAGE
        assert "no part of a whole" in capsys.readouterr().err
    assert main(["render", "--shard", "1/2", "--parts"]) == Exit.USAGE
    assert "--shard and --parts contradict each other" in capsys.readouterr().err
