"""Writing the site: only what changed, whole files, and one commit point."""

import ast
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import site_cases
from msgspec.structs import replace
from site_cases import NOW, contents, entries, of_former_times, runs, write

from jmreport.errors import JmreportError, LockedError
from jmreport.records import Entry, JobRow, Record, Run
from jmreport.render import addresses, linkcheck, seal
from jmreport.render.files import Files, Sum, is_sum_of, sum_of
from jmreport.render.ledger import Ledger
from jmreport.render.making import base_of
from jmreport.render.past import all_files, sizes
from jmreport.render.sharing import Share
from jmreport.render.theme import Theme
from jmreport.settings import Settings

OVER = runs(2)
JOBS = entries(48, OVER)
#: More than a page of a list has.
MANY = entries(160, OVER)
#: Those that lists show at once: archived ones are put aside.
LISTED = tuple(entry for entry in MANY if not entry.row.archived)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that was written once; tests read it."""
    where = tmp_path_factory.mktemp("built") / "site"
    write(where, JOBS, OVER)
    return where


def test_every_job_has_its_page_and_every_link_leads_somewhere(built: Path) -> None:
    """Each known job has a page, and the site's own check finds nothing."""
    for entry in JOBS:
        assert (built / addresses.job(entry.row.id)).is_file()
    assert linkcheck.check(built) == ()


def test_the_folders_of_a_site_are_named(built: Path) -> None:
    """By their names the doctor tells what of a folder is the site's."""
    there = {path.name for path in built.iterdir() if path.is_dir()}
    assert there == addresses.FOLDERS | {".jmreport"}


def test_writing_twice_changes_no_byte(tmp_path: Path) -> None:
    """The second run rewrites nothing, and counts every page as unchanged."""
    first = write(tmp_path, JOBS, OVER)
    before = contents(tmp_path)
    second = write(tmp_path, JOBS, OVER)
    assert contents(tmp_path) == before
    assert (second.rewritten, second.removed) == (0, 0)
    assert second.unchanged == second.pages_total == first.pages_total == len(before)


def test_workers_change_the_time_and_not_a_byte(tmp_path: Path, built: Path) -> None:
    """Forked processes make the same files as one process does."""
    write(tmp_path, JOBS, OVER, workers=2)
    assert contents(tmp_path) == contents(built)


def slowly(noted: Path, stored: dict[tuple[str, int], JobRow], *wanted: Any) -> Iterator[Record]:
    """Records, each read in half a second of which is noted when it begins and ends."""
    for read in site_cases.read(stored, *wanted):
        for word in ("begun", "done"):
            with noted.open("a") as file:
                file.write(f"{time.monotonic()} {word}\n")
            time.sleep(0.5 if word == "begun" else 0)
        yield read


@pytest.mark.parametrize(("shards", "at_once"), [(5_000, 1), (5, 2)])
def test_processes_take_turns_with_wide_scatters(tmp_path: Path, shards: int, at_once: int) -> None:
    """One is read at a time, whatever the number of processes: each takes much memory."""
    each = [
        replace(
            entry, row=replace(entry.row, shards=shards), shard=f"runs/{entry.run}/{at}", line=0
        )
        for at, entry in enumerate(JOBS[:4])
    ]
    noted = tmp_path / "reading"
    write(tmp_path / "site", each, OVER, workers=3, reader=partial(slowly, noted))
    busy = most = 0
    for line in sorted(noted.read_text().splitlines(), key=lambda line: float(line.split()[0])):
        busy += 1 if line.endswith("begun") else -1
        most = max(most, busy)
    assert most == 1 if at_once == 1 else most >= at_once


def test_the_order_of_jobs_changes_nothing(tmp_path: Path, built: Path) -> None:
    """The same jobs in another order are the same site."""
    shuffled = list(JOBS)
    Random(3).shuffle(shuffled)  # noqa: S311 (the same order in every run)
    write(tmp_path, shuffled, OVER)
    assert contents(tmp_path) == contents(built)


def test_one_more_night_leaves_the_pages_of_finished_jobs_as_they_lie(tmp_path: Path) -> None:
    """Jobs that the newest run brought get pages; those that ended before are not touched."""
    earlier = [entry for entry in JOBS if entry.run == OVER[0].id and not entry.row.active]
    later = [entry for entry in JOBS if entry.run == OVER[1].id]
    write(tmp_path, earlier, OVER)
    pages = [addresses.job(entry.row.id) for entry in earlier]
    before = {page: (tmp_path / page).stat().st_mtime_ns for page in pages}
    write(tmp_path, [*earlier, *later], OVER)
    assert {page: (tmp_path / page).stat().st_mtime_ns for page in pages} == before
    assert all((tmp_path / addresses.job(entry.row.id)).is_file() for entry in later)
    assert linkcheck.check(tmp_path) == ()


def test_a_changed_record_rewrites_its_page(tmp_path: Path) -> None:
    """A job that ended is shown as ended."""
    running = next(entry for entry in JOBS if entry.row.status == "Running")
    ended = replace(running, digest="other", row=replace(running.row, status="Succeeded", end=NOW))
    write(tmp_path, JOBS, OVER)
    page = tmp_path / addresses.job(running.row.id)
    before = page.read_text()
    write(tmp_path, [ended if entry is running else entry for entry in JOBS], OVER)
    assert page.read_text() != before
    assert "Succeeded" in page.read_text()


def made_with(root: Path) -> set[Path]:
    """The modules that pages are made with: all of their room, and what those import of ours."""
    found: set[Path] = set()
    waiting = set((root / "jmreport/render").glob("*.py"))
    while waiting:
        module = waiting.pop()
        found.add(module)
        imported = [
            f"{node.module}.{name.name}".split(".")
            for node in ast.walk(ast.parse(module.read_text()))
            if isinstance(node, ast.ImportFrom)
            for name in node.names
        ]
        for *package, last in imported:
            folder = root.joinpath(*package)
            places = {folder / f"{last}.py", folder.with_suffix(".py"), folder / "__init__.py"}
            waiting |= {place for place in places - found if place.is_file()}
    return found


def test_every_module_that_pages_are_made_with_makes_them_others(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change to one that is forgotten would leave the pages of finished jobs as they were."""
    theme = Theme(Settings(), version="0.1.0")
    looked_at: set[Path] = set()
    read = Path.read_bytes

    def noting(path: Path) -> bytes:
        looked_at.add(path)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", noting)
    base_of(theme)
    modules = made_with(root)
    assert {module.parent.name for module in modules} == {"jmreport", "render", "report"}
    assert modules <= looked_at


def test_pages_that_other_code_made_are_made_again(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only how long a call took is reckoned otherwise, by a noun that pages share."""
    other: dict[Path, bytes] = {}
    made: list[int] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + other.get(path, b""))

    def noting(stored: dict[tuple[str, int], JobRow], shard: str, lines: Any) -> Iterator[Record]:
        made.extend(lines)
        return site_cases.read(stored, shard, lines)

    share = Share(place=tmp_path / "part", holds=lambda _: True)  # pages of jobs alone
    write(tmp_path, JOBS[:9], OVER, share=share)
    write(tmp_path, JOBS[:9], OVER, share=share, reader=noting)
    assert made == []
    other[root / "jmreport/calltimes.py"] = b"# another"
    write(tmp_path, JOBS[:9], OVER, share=share, reader=noting)
    assert len(made) == 9


def test_a_file_that_was_cut_or_lost_is_written_again(tmp_path: Path) -> None:
    """After a power cut a page can be empty though it is remembered: its size tells."""
    write(tmp_path, JOBS, OVER)
    whole = contents(tmp_path)
    (tmp_path / addresses.job(JOBS[0].row.id)).write_bytes(b"")
    (tmp_path / addresses.OVERVIEW).unlink()
    assert {fault.what for fault in linkcheck.check(tmp_path)} >= {
        addresses.job(JOBS[0].row.id),
        addresses.OVERVIEW,
    }
    assert write(tmp_path, JOBS, OVER).rewritten >= 2
    assert contents(tmp_path) == whole


def test_lists_past_their_end_go_and_pages_of_jobs_stay(tmp_path: Path) -> None:
    """Fewer jobs need fewer lists; a link to a job lasts."""
    write(tmp_path, MANY, OVER)
    assert (tmp_path / "jobs/page-2.html").exists()
    assert write(tmp_path, MANY[:50], OVER).removed > 0
    assert not (tmp_path / "jobs/page-2.html").exists()
    assert all((tmp_path / addresses.job(entry.row.id)).exists() for entry in MANY)


def test_a_damaged_ledger_costs_time_and_nothing_else(tmp_path: Path) -> None:
    """It only remembers digests: every page is written again."""
    write(tmp_path, JOBS, OVER)
    before = contents(tmp_path)
    (tmp_path / ".jmreport/pages").write_bytes(b"no database at all" * 100)
    assert write(tmp_path, JOBS, OVER).rewritten > len(JOBS)
    assert contents(tmp_path) == before
    assert linkcheck.check(tmp_path) == ()


def test_what_cannot_be_told_from_a_damaged_ledger_is_a_fault_of_the_site(tmp_path: Path) -> None:
    """The check says what to do instead of ending in a traceback."""
    write(tmp_path, JOBS[:20], OVER)
    (tmp_path / ".jmreport/pages").write_bytes(b"no database at all" * 100)
    (found,) = linkcheck.check(tmp_path)
    assert found.what == ".jmreport/pages"
    assert found.why == "cannot be read; run `jmreport render`"


@pytest.mark.parametrize("files", [b"", b"\x00", b"\x91\x94\x00\xa1\xff\x01\xc4\x00", "text"])
def test_a_line_of_the_ledger_that_tells_nothing_costs_its_page(
    tmp_path: Path, built: Path, files: bytes | str
) -> None:
    """The next render makes it again; until then checks say that it cannot be told."""
    site = Path(shutil.copytree(built, tmp_path / "site"))
    path = site / ".jmreport/pages"
    with closing(sqlite3.connect(path)) as database, database:
        owners = (addresses.job(JOBS[3].row.id), addresses.OVERVIEW)
        database.executemany(
            "UPDATE pages SET files = ? WHERE owner = ?", [(files, each) for each in owners]
        )
    assert {fault.what for fault in linkcheck.check(site)} == {".jmreport/pages"}
    assert [*sizes(path)] == []
    with pytest.raises(sqlite3.DatabaseError):
        tuple(all_files(path))
    written = write(site, JOBS, OVER)
    assert written.rewritten == 3  # the job's page, the JSON beside it, and the overview
    assert contents(site) == contents(built)
    assert linkcheck.check(site) == ()


def test_a_ledger_with_a_line_a_file_is_brought_forward(tmp_path: Path, built: Path) -> None:
    """So an older site is known whole, pages of jobs that were long forgotten too."""
    path = Path(shutil.copy(built / ".jmreport/pages", tmp_path / "pages"))
    known, taken = tuple(all_files(path)), tuple(sizes(path))
    lines = "SELECT owner, content, kept FROM pages"
    with closing(sqlite3.connect(path)) as database, database:
        before = database.execute(lines).fetchall()
        owner = next(owner for owner, _, _ in before if owner.startswith("jobs/"))
        ids = [(owner, "as it was"), ("jobs/gone-1f9a3c77.html", "gone")]
        database.execute("DELETE FROM ids")
        database.executemany("INSERT INTO ids VALUES (?, ?)", ids)
    of_former_times(path)
    # Whoever only reads it needs no render first.
    assert sorted(all_files(path)) == sorted(known)
    assert sorted(sizes(path)) == sorted(taken)
    with Ledger(path) as ledger:
        ledger.commit()
    assert len(known) > 2 * len(JOBS)
    assert sorted(all_files(path)) == sorted(known)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute(lines).fetchall() == before
        # Of jobs that have a page: of one that no snapshot tells of, its id is told nowhere else.
        assert database.execute("SELECT * FROM ids").fetchall() == ids[:1]


def test_a_sum_tells_of_whole_files_of_files_in_pieces_and_of_those_of_former_ledgers() -> None:
    pieces = [bytes([n]) * n for n in range(1, 90)]
    data, total = b"".join(pieces), Sum()
    for piece in pieces:
        total.add(piece)
    former = hashlib.blake2b(data, digest_size=16).hexdigest()
    assert (total.total, total.size) == (sum_of(data), len(data))
    assert is_sum_of(sum_of(data), data)
    assert is_sum_of(former, data)
    assert not is_sum_of(sum_of(data), data[:-1])
    assert not is_sum_of(former, data[:-1])


def test_what_a_later_version_left_beside_an_older_ledger_is_not_taken_for_it(
    tmp_path: Path, built: Path
) -> None:
    """Who went back to an older jmreport for a while has a table that nobody kept up."""
    path = Path(shutil.copy(built / ".jmreport/pages", tmp_path / "pages"))
    known = tuple(all_files(path))
    of_former_times(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE pages (owner TEXT PRIMARY KEY, content, kept, files)")
        database.execute("INSERT INTO pages VALUES ('diffs/gone.html', 'x', 1, x'90')")
    with Ledger(path) as ledger:
        ledger.commit()
    assert sorted(all_files(path)) == sorted(known)
    with closing(sqlite3.connect(path)) as database:
        gone = database.execute("SELECT * FROM pages WHERE owner = 'diffs/gone.html'").fetchall()
    assert gone == []


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path) -> None:
    """Two runs would mix their pages."""
    write(tmp_path, JOBS[:20], OVER)
    with Ledger(tmp_path / ".jmreport/pages"), pytest.raises(LockedError):
        write(tmp_path, JOBS[:20], OVER)


@pytest.mark.parametrize("second", [write, lambda where, *_: seal.unbroken(where, "another")])
def test_a_run_that_is_refused_takes_nothing_from_the_one_that_writes(
    tmp_path: Path, second: Callable[..., object]
) -> None:
    write(tmp_path, JOBS[:20], OVER)
    with Ledger(tmp_path / ".jmreport/pages"):
        being_written = tmp_path / ".jmreport/tmp/rows"
        being_written.write_bytes(b"what lists show of jobs")
        with pytest.raises(LockedError):
            second(tmp_path, JOBS[:20], OVER)
        assert being_written.exists()


def test_at_its_end_a_run_takes_away_its_own_temporary_files_alone(tmp_path: Path) -> None:
    """The lock is free by then, and another run may have begun."""
    files = Files(tmp_path)
    files.prepare()
    files.spool("rows").write_bytes(b"ours")
    theirs = tmp_path / ".jmreport/tmp/1-rows"
    theirs.write_bytes(b"theirs")
    files.clear()
    assert list(theirs.parent.iterdir()) == [theirs]


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing_half(tmp_path: Path) -> None:
    """A folder lies where a page belongs: the error names it, and no temporary file is left."""
    write(tmp_path, JOBS[:20], OVER)
    before = (tmp_path / addresses.OVERVIEW).read_bytes()
    place = tmp_path / addresses.job(JOBS[21].row.id)
    place.mkdir()
    with pytest.raises(JmreportError) as error:
        write(tmp_path, JOBS[:30], OVER)
    assert str(place) in error.value.message
    assert error.value.hint
    assert list((tmp_path / ".jmreport/tmp").iterdir()) == []
    assert (tmp_path / addresses.OVERVIEW).read_bytes() == before
    place.rmdir()
    write(tmp_path, JOBS[:30], OVER)
    assert linkcheck.check(tmp_path) == ()


def reachable(where: Path) -> Iterator[str]:
    """Links that a reader who starts at the overview can follow and that lead nowhere."""
    seen, todo = set(), [addresses.OVERVIEW]
    while todo:
        address = todo.pop()
        if address in seen or not address.endswith((".html", ".json", ".csv", ".ndjson")):
            continue
        seen.add(address)
        place = where / address
        if not place.is_file():
            yield address
        elif address.endswith(".html"):
            for link in linkcheck._read(place).links:
                target, _ = linkcheck._target(address, link)
                if target:
                    todo.append(target)


@pytest.mark.parametrize("stop", [1, 7, 59, 100, 164, 200, 230, 244])
def test_stopped_after_any_file_no_reader_meets_a_dead_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """One more night with new jobs and a new workflow, stopped after some files were moved in."""
    write(tmp_path, JOBS[:18], OVER)
    grown = [
        *JOBS[:18],
        *(replace(entry, row=replace(entry.row, name="new_flow")) for entry in JOBS[18:]),
    ]
    from jmreport.render.files import Files

    real, left = Files.write, [stop]

    def write_until(self: Files, address: str, data: bytes) -> object:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return real(self, address, data)

    monkeypatch.setattr(Files, "write", write_until)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, grown, OVER)
    monkeypatch.undo()
    assert list(reachable(tmp_path)) == []
    write(tmp_path, grown, OVER)
    assert linkcheck.check(tmp_path) == ()


def test_killed_at_any_moment_the_next_run_completes(tmp_path: Path, root: Path) -> None:
    """SIGKILL while two processes write pages: every file is whole, the next run is clean."""
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from site_cases import entries, runs, write
        write(Path(sys.argv[1]), entries(int(sys.argv[2]), runs(2)), runs(2), workers=2)
    """)
    path = os.pathsep.join((str(root / "tests"), str(root)))
    started = [sys.executable, "-c", program, str(tmp_path / "site"), "160"]
    for delay in (0.7, 1.1):
        process = subprocess.Popen(  # noqa: S603
            started, env={**os.environ, "PYTHONPATH": path}, start_new_session=True
        )
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    write(tmp_path / "site", MANY, OVER)
    assert linkcheck.check(tmp_path / "site") == ()


def test_nothing_changed_loads_no_drawing_and_no_network_library(
    tmp_path: Path, root: Path
) -> None:
    """matplotlib and httpx cost the better part of a second each."""
    write(tmp_path, JOBS, OVER)
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from site_cases import entries, runs, write
        print(write(Path(sys.argv[1]), entries(48, runs(2)), runs(2)).rewritten)
        print({"matplotlib", "httpx", "markdown", "google.auth"} & sys.modules.keys())
    """)
    path = os.pathsep.join((str(root / "tests"), str(root)))
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["0", "set()"]


def test_an_empty_window_says_so_and_loses_no_page(tmp_path: Path) -> None:
    """Nothing was submitted: the verdict says it, and what was written before stays."""
    write(tmp_path, (), OVER)
    assert "No jobs in this time frame" in (tmp_path / addresses.OVERVIEW).read_text()
    assert linkcheck.check(tmp_path) == ()


def test_report_json_names_the_jobs_behind_its_numbers(built: Path) -> None:
    """Its causes hold the ids of exactly as many jobs as its counts say."""
    tree = json.loads((built / "data/report.json").read_bytes())
    assert tree["format"] == 1
    assert tree["counts"]["new"] == sum(len(cause["new_jobs"]) for cause in tree["causes"])
    known = {entry.row.id for entry in JOBS}
    assert all(set(cause["jobs"]) <= known for cause in tree["causes"])


@pytest.mark.parametrize("jobs", [LISTED[:0], LISTED[:1], LISTED[:100], LISTED[:101]])
def test_lists_of_any_length_are_paged(tmp_path: Path, jobs: tuple[Entry, ...]) -> None:
    """None, one, a full page, and one row more."""
    write(tmp_path, jobs, OVER)
    assert (tmp_path / "jobs/page-2.html").exists() == (len(jobs) > 100)
    assert linkcheck.check(tmp_path) == ()


def test_a_first_run_has_nothing_to_compare_with(tmp_path: Path) -> None:
    """Nothing is called new, and the page says why."""
    first: tuple[Run, ...] = runs(1)
    write(tmp_path, entries(60, first), first)
    page = (tmp_path / addresses.OVERVIEW).read_text()
    assert "First report: nothing to compare with yet." in page
    assert "new failure" not in page
