"""Processes that are forked before jobs are read, and make pages of what they are handed later."""

import errno
import multiprocessing
import os
import pickle
import re
import signal
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from site_cases import contents, entries, runs, write
from test_lists_by_age import nightly

from jmreport import pipeline
from jmreport.errors import JmreportError
from jmreport.progress import SilentProgress, Step
from jmreport.render import addresses, planwriting, site
from jmreport.render.crew import Crew, Kit
from jmreport.render.files import Files, WrittenFile
from jmreport.render.making import Maker
from jmreport.settings import Settings, Site, Snapshots

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)


def crew_of(where: Path) -> Crew:
    """Two processes, as soon as they are forked."""
    return site.crew_of(where, settings=Settings(), version="0.1.0", workers=2)


def noting(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file that is written is told of, with the process that wrote it."""
    put = Files.write

    def noted(files: Files, address: str, data: bytes) -> WrittenFile:
        with told.open("a") as out:
            out.write(f"{os.getpid()} {address}\n")
        return put(files, address, data)

    monkeypatch.setattr(Files, "write", noted)


def who_wrote(told: Path) -> dict[str, int]:
    """Address -> the process that wrote it."""
    lines = (line.split(" ", 1) for line in told.read_text().splitlines())
    return {address: int(process) for process, address in lines}


def test_a_site_is_the_same_that_a_crew_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes pages of jobs, and lists, also those that go back beyond the window: their jobs are
    lent. What is made of the whole report is made by the process that has it."""
    monkeypatch.setattr(planwriting, "FEW_PAGES", 0)
    jobs, over = nightly(2)
    write(tmp_path / "one", jobs, over)
    noting(tmp_path / "told", monkeypatch)
    with crew_of(tmp_path / "site") as crew:
        crew.fork()
        forked = {each.pid for each in multiprocessing.active_children()}
        write(tmp_path / "site", jobs, over, crew=crew)
    assert contents(tmp_path / "one") == contents(tmp_path / "site")
    assert not list((tmp_path / "site/.jmreport/tmp").iterdir())
    by = who_wrote(tmp_path / "told")
    assert {at for at in by if at.startswith("jobs/") and by[at] not in forked} == {addresses.IDS}
    assert {by["index.html"], by["workflows/index.html"]} == {os.getpid()}


def test_what_a_crew_knows_of_rows_does_not_grow_with_the_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lie in a file; jobs and pages come with each piece of work."""
    handed: list[int] = []
    hand = Crew.hand

    def noted(crew: Crew, maker: Maker) -> Kit:
        if maker.rows and (rows := maker.rows.apart()):
            handed.append(len(pickle.dumps(rows)))
        return hand(crew, maker)

    monkeypatch.setattr(planwriting, "FEW_PAGES", 0)
    monkeypatch.setattr(Crew, "hand", noted)
    over = runs(2)
    for jobs in ("05", "20"):
        write(tmp_path / jobs, entries(int(jobs), over), over, workers=2)
    assert len(handed) >= 2
    assert max(handed) - min(handed) < 100


def test_who_stops_a_run_at_a_terminal_is_heard_by_one_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ends the others; by themselves they would say where they were."""
    with crew_of(tmp_path) as crew:
        pool = crew.fork()
        assert pool is not None
        for process in multiprocessing.active_children():
            assert process.pid
            os.kill(process.pid, signal.SIGINT)
            os.kill(process.pid, signal.SIGHUP)
        assert pool.submit(os.getppid).result() == os.getpid()
    assert multiprocessing.active_children() == []
    assert "".join(capfd.readouterr()) == ""


def test_a_crew_whose_work_failed_does_no_more_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes the site anew forks others: none of these may write beside them."""

    def full(*_args: object) -> None:
        raise JmreportError("the disk is full")

    over = runs(2)
    with crew_of(tmp_path / "site") as crew:
        with monkeypatch.context() as broken:
            broken.setattr(Files, "write", full)
            crew.fork()
        with pytest.raises(JmreportError, match="full"):
            write(tmp_path / "site", entries(3, over), over, crew=crew)
        assert multiprocessing.active_children() == []
        write(tmp_path / "site", entries(3, over), over, crew=crew)
    assert multiprocessing.active_children() == []


def test_where_a_system_has_no_room_for_all_of_them_one_process_makes_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that did come end: they would wait for work that nobody gives them."""
    fork, forked = os.fork, [0]

    def full() -> int:
        if forked[0]:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        forked[0] = fork()
        return forked[0]

    monkeypatch.setattr(os, "fork", full)
    over = runs(2)
    with crew_of(tmp_path / "site") as crew:
        assert crew.fork() is None
        assert forked[0]
        assert multiprocessing.active_children() == []
        write(tmp_path / "site", entries(3, over), over, crew=crew)
    write(tmp_path / "one", entries(3, over), over)
    assert contents(tmp_path / "one") == contents(tmp_path / "site")


def test_a_build_forks_before_it_reads_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noting(tmp_path / "told", monkeypatch)
    watching = Watching("read jobs")
    pipeline.build(
        settings_in(tmp_path),
        now=NOW,
        source=pipeline.Source(demo=pipeline.DemoOptions(jobs=3)),
        environ={},
        progress=watching,
        workers=2,
    )
    by = who_wrote(tmp_path / "told")
    pages = {at for at in by if re.match(r"jobs/.*-[0-9a-f]{8}\.html$", at)}
    assert pages
    assert {by[at] for at in pages} <= watching.there
    assert multiprocessing.active_children() == []


def test_a_render_forks_before_it_analyses_jobs(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    pipeline.collect(
        settings,
        now=NOW,
        source=pipeline.Source(demo=pipeline.DemoOptions(jobs=3)),
        environ={},
        progress=SilentProgress(),
    )
    watching = Watching("analyse")
    pipeline.render(settings, progress=watching, workers=2)
    assert len(watching.there) == 2
    assert multiprocessing.active_children() == []


def settings_in(where: Path) -> Settings:
    return Settings(
        site=Site(dir=str(where / "site")), snapshots=Snapshots(dir=str(where / "snapshots"))
    )


class Watching(SilentProgress):
    """Sees which processes there are when a step begins."""

    def __init__(self, step: str) -> None:
        self._step = step
        self.there: set[int | None] = set()

    def step(self, name: str, total: int | None) -> AbstractContextManager[Step]:
        if name == self._step:
            self.there = {each.pid for each in multiprocessing.active_children()}
        return super().step(name, total)
