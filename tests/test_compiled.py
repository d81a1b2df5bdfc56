"""Compiled templates are code: kept for the next start, and read only from where we alone write."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from site_cases import contents, entries, runs, write

from jmreport.analysis import summarise
from jmreport.records import Entry, Record
from jmreport.render import jobpage
from jmreport.render.compiled import Compiled, is_ours_alone, place
from jmreport.render.theme import Theme
from jmreport.report.jobs import JobContext
from jmreport.settings import Settings

CODE = compile("found.append('ours')", "a.html", "exec")


def kept(folder: Path, made_by: bytes = b"1") -> Compiled:
    found = Compiled.of(folder, made_by)
    assert found is not None
    return found


def text(folder: Path | None) -> str:
    theme = Theme(Settings(), version="1", compiled=folder)
    return theme.render("gone.html", _Gone(), address="jobs/a.html")


class _Gone:
    def __getattr__(self, name: str) -> str:
        return f"the {name}"


def compiling(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of templates that are compiled from now on."""
    from jmreport.render.theme import Templates

    names: list[str] = []
    compiled: Callable[..., object] = Templates.compile

    def noted(self: object, source: str, name: str, *more: object) -> object:
        names.append(name)
        return compiled(self, source, name, *more)

    monkeypatch.setattr(Templates, "compile", noted)
    return names


def test_a_second_start_compiles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = compiling(monkeypatch)
    first = text(tmp_path / "c")
    assert {"gone.html", "base.html"} <= set(names)
    names.clear()
    assert text(tmp_path / "c") == first
    assert names == []
    assert text(None) == first


def test_a_process_without_a_folder_compiles_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = text(None)
    names = compiling(monkeypatch)
    assert text(None) == first
    assert names == []


def test_processes_that_make_jobs_pages_find_every_template_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a page is printed with is named in one place, and loaded before they are forked."""
    theme = Theme(Settings(), version="1", compiled=tmp_path / "c")
    theme.load(jobpage.TEMPLATES)
    names = compiling(monkeypatch)
    job = Record(id="a", row={"id": "a"}, detail=None)
    context = JobContext(
        entry=Entry(
            row=summarise(job), run="20261123T021400Z", shard="jobs-0000", line=0, digest="d",
            row_digest="r", first_run="20261123T021400Z", last_run="20261123T021400Z",
        ),
        short_id="a",
    )  # fmt: skip
    assert dict(jobpage.pages(job, context, theme=theme, settings=Settings()))
    assert names == []


def test_the_folder_is_for_us_alone(tmp_path: Path) -> None:
    text(tmp_path / "cache/c")
    assert (tmp_path / "cache/c").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "cache/c").iterdir()} == {0o600}


def test_what_was_kept_comes_back_for_the_same_source_and_maker_only(tmp_path: Path) -> None:
    kept(tmp_path).write("a.html", "source", CODE)
    assert kept(tmp_path).read("a.html", "source") == CODE
    assert kept(tmp_path).read("a.html", "other source") is None
    assert kept(tmp_path).read("b.html", "source") is None
    assert kept(tmp_path, b"2").read("a.html", "source") is None


def test_another_version_makes_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text(tmp_path / "c")
    names = compiling(monkeypatch)
    Theme(Settings(), version="2", compiled=tmp_path / "c").render(
        "gone.html", _Gone(), address="jobs/a.html"
    )
    assert "gone.html" in names


@pytest.mark.parametrize("spoil", ["cut", "empty", "turned", "noise", "folder", "link", "fifo"])
def test_a_spoilt_file_does_no_harm(tmp_path: Path, spoil: str) -> None:
    folder = tmp_path / "c"
    whole = text(folder)
    for file in sorted(folder.iterdir()):
        body = file.read_bytes()
        file.unlink()
        match spoil:
            case "cut":
                file.write_bytes(body[:-9])
            case "empty":
                file.write_bytes(b"")
            case "turned":
                middle = len(body) // 2
                file.write_bytes(body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :])
            case "noise":
                file.write_bytes(bytes(range(256)) * 40)
            case "folder":
                file.mkdir()
            case "link":
                other = tmp_path / file.name
                other.write_bytes(body)
                file.symlink_to(other)
            case "fifo":
                os.mkfifo(file)
    assert text(folder) == whole
    assert text(folder) == whole


def test_nothing_is_read_from_a_file_that_others_can_write(tmp_path: Path) -> None:
    ours = kept(tmp_path)
    ours.write("a.html", "source", CODE)
    (file,) = tmp_path.iterdir()
    for mode in (0o620, 0o602):
        file.chmod(mode)
        assert ours.read("a.html", "source") is None
    file.chmod(0o644)
    assert ours.read("a.html", "source") == CODE


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_nothing_is_read_from_a_folder_that_others_can_write_to(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "c"
    kept(folder).write("a.html", "source", CODE)
    folder.chmod(mode)
    assert Compiled.of(folder, b"1") is None


@pytest.mark.parametrize(("mode", "safe"), [(0o777, False), (0o775, False), (0o1777, True)])
def test_nor_from_one_that_others_could_put_in_its_place(
    tmp_path: Path, mode: int, safe: bool
) -> None:
    """A sticky folder, as /tmp is, lets nobody rename what belongs to somebody else."""
    folder = tmp_path / "above/cache/c"
    folder.mkdir(parents=True, mode=0o700)
    (tmp_path / "above").chmod(mode)
    assert is_ours_alone(folder) is safe


def test_nor_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "c").symlink_to(tmp_path / "real")
    assert Compiled.of(tmp_path / "c", b"1") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand a folder to somebody else")
def test_nor_from_what_belongs_to_somebody_else(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    ours = kept(folder)
    ours.write("a.html", "source", CODE)
    (file,) = folder.iterdir()
    os.chown(file, 12345, -1)
    assert ours.read("a.html", "source") is None
    os.chown(folder, 12345, -1)
    assert Compiled.of(folder, b"1") is None


def test_where_nothing_can_be_kept_pages_are_made_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "file/c", tmp_path / "gone/gone/c", Path("/proc/self/c")):
        assert text(folder) == text(None)
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"HOME": "/home/ana"}, "/home/ana/.cache/jmreport"),
        ({"HOME": "/home/ana", "XDG_CACHE_HOME": "/c"}, "/c/jmreport"),
        ({"HOME": "/home/ana", "XDG_CACHE_HOME": ""}, "/home/ana/.cache/jmreport"),
        ({"XDG_CACHE_HOME": "here"}, None),
        ({"HOME": ""}, None),
        ({}, None),
    ],
)
def test_the_place_is_the_users_cache(environ: dict[str, str], found: str | None) -> None:
    assert place(environ) == (Path(found) if found else None)


def test_the_command_line_keeps_them_there_and_nothing_in_the_site(tmp_path: Path) -> None:
    caches = tmp_path / "caches"
    command = [sys.executable, "-m", "jmreport", "build", "--demo", "--jobs", "3", "-q"]
    command += ["--now", "2026-11-23T02:14:00Z", "--site", "site", "--snapshots", "snapshots"]
    for where in (str(caches), str(tmp_path / "site/c")):
        subprocess.run(  # noqa: S603 (our own)
            command, cwd=tmp_path, env={**os.environ, "XDG_CACHE_HOME": where}, check=False
        )
        assert (tmp_path / "site/index.html").is_file()
    assert sum(1 for _ in (caches / "jmreport").glob("*.template")) > 20
    assert list(tmp_path.glob("site/**/*.template")) == []
    assert not (tmp_path / "site/c").exists()


def test_pages_are_the_same_with_and_without(tmp_path: Path) -> None:
    over = runs(2)
    write(tmp_path / "a", entries(20, over), over)
    write(tmp_path / "b", entries(20, over), over, compiled=tmp_path / "c")
    write(tmp_path / "d", entries(20, over), over, compiled=tmp_path / "c")
    made = [contents(tmp_path / site) for site in "abd"]
    assert made[0] == made[1] == made[2]
