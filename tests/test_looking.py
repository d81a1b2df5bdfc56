"""One more night: few jobs are looked at, and the site is the same as where all of them are."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from analysis_cases import DAY, job, night, run
from growing_cases import Growing
from held import Held
from msgspec.structs import replace
from site_cases import contents, read, report

from jmreport.analysis import GrowingBeneath, contexts
from jmreport.progress import SilentProgress, Step
from jmreport.records import Entry, JobRow, Run
from jmreport.remembered import Contexts, Memory, StoreState
from jmreport.render import addresses, listpages, looking, site
from jmreport.render.account import Written
from jmreport.render.files import Files
from jmreport.render.hands import Hands
from jmreport.render.telling import AsOf, Telling
from jmreport.report.jobs import JobContext
from jmreport.settings import ReportSettings, Settings, Site

#: Where templates are kept from one site to the next, if anywhere.
COMPILED: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    COMPILED.append(tmp_path_factory.mktemp("compiled"))
    yield
    COMPILED.clear()


class Counted:
    """Contexts, and of how many jobs they were."""

    def __init__(self, found: Contexts) -> None:
        self._found = found
        self.looked = 0

    def __iter__(self) -> Iterator[JobContext]:
        return self._count(self._found)

    def remembered(self, memory: Memory) -> Iterator[JobContext]:
        return self._count(self._found.remembered(memory))

    def touched(
        self, memory: Memory, since: frozenset[str], more: Iterable[str]
    ) -> Iterator[JobContext] | None:
        found = self._found.touched(memory, since, more)
        return None if found is None else self._count(found)

    def _count(self, found: Iterable[JobContext]) -> Iterator[JobContext]:
        for context in found:
            self.looked += 1
            yield context


def write(
    where: Path,
    jobs: Sequence[Entry],
    over: Sequence[Run],
    *,
    pruned: str = "",
    settings: Settings | None = None,
    progress: SilentProgress | None = None,
    remembers: bool = True,
) -> tuple[Written, int]:
    """What came of a site of these jobs, and how many of them were looked at."""
    settings = settings or Settings()
    history = GrowingBeneath(Held(jobs))
    counted = Counted(contexts(history, over, identity=settings.report.identity_labels))
    state = StoreState(
        made_by="",
        pruned=pruned,
        runs=tuple((each.id, each.state) for each in over if not each.pruned),
    )
    compiled = COMPILED[-1] if COMPILED else None
    crew = site.crew_of(where, settings=settings, version="0.1.0", workers=1, compiled=compiled)
    written = site.write(
        where,
        Telling(
            report=report(jobs, over, settings),
            contexts=counted,
            history=history,
            read_records=partial(read, {(entry.shard, entry.line): entry.row for entry in jobs}),
            as_of=AsOf(made_of=settings.site.title, store=state) if remembers else None,
        ),
        settings=settings,
        hands=Hands(crew=crew),
        progress=progress or SilentProgress(),
    )
    return replace(written, seconds=0.0), counted.looked


def spoil(where: Path, world: Growing) -> None:
    """Takes a page away, or cuts it short."""
    pages = sorted((where / "jobs").glob("*.html"))
    page = world.random.choice(pages)
    if world.random.random() < 0.5:
        page.unlink()
    elif looking.MANY_FILES:
        page.write_bytes(page.read_bytes()[:-1])
    else:  # as most programs do, or it would be found within a week of nights only
        part = where / "part"
        part.write_bytes(page.read_bytes()[:-1])
        part.replace(page)


def grown(seed: int, folder: Path, *, nights: int = 6) -> tuple[int, int]:
    """Two sites of the same nights; one of them remembers. Says how many jobs each looked at.

    With every other seed their files are looked at by turns, as those of very many are.
    """
    world = Growing(seed)
    quick, slow = folder / "quick", folder / "slow"
    sums = (0, 0)
    # Pages of lists are short, or none would be full.
    with (
        patch.object(listpages, "ROWS", 3),
        patch.object(looking, "MANY_FILES", seed % 2 * looking.MANY_FILES),
    ):
        for _ in range(nights):
            world.grow()
            chance = world.random.random()
            if chance >= 0.1:
                looked, known = one_night(world, quick, slow, seed, chance)
                sums = sums[0] + looked, sums[1] + known
    return sums


def one_night(world: Growing, quick: Path, slow: Path, seed: int, chance: float) -> tuple[int, int]:
    """Writes both sites, and says how many jobs each looked at."""
    jobs = tuple(world.held().by_run(oldest_first=True))
    if chance < 0.2 and quick.exists():
        again = world.random.getstate()
        spoil(quick, world)
        world.random.setstate(again)
        spoil(slow, world)
    settings = Settings(
        site=Site(title="another" if 0.3 < chance < 0.35 else "one"),
        report=ReportSettings(identity_labels=("sample",) if seed % 2 else ()),
    )
    own = partial(write, settings=settings)
    told, looked = own(quick, jobs, world.runs)
    wanted, known = own(slow, jobs, world.runs, remembers=False)
    assert told == wanted
    assert contents(quick) == contents(slow)
    return looked, known


@pytest.mark.parametrize("seed", [1, 2])
def test_a_site_that_goes_on_is_the_same_to_the_byte_and_so_is_what_is_said_of_it(
    seed: int, tmp_path: Path
) -> None:
    looked, known = grown(seed, tmp_path)
    assert looked < known


def nightly(nights: int) -> tuple[list[Entry], list[Run]]:
    """Three pieces of work, each of them done every night."""
    over = [run(number) for number in range(nights)]
    jobs = [
        job(
            f"{number:04}{work:04}-77aa-4344-b248-13abb73e7a7f",
            night(number) - DAY / (2 + work),
            "Failed" if number == 2 else "Succeeded",
            found=number,
            last=nights - 1,
            key=f"k{work}",
            labels={"owner": "ana"},
        )
        for number in range(nights)
        for work in range(3)
    ]
    return [
        replace(each, shard=each.run, line=number % 3) for number, each in enumerate(jobs)
    ], over


def test_only_the_jobs_of_the_new_night_are_looked_at(tmp_path: Path) -> None:
    assert write(tmp_path, *nightly(6))[1] == 18
    assert write(tmp_path, *nightly(7))[1] == 3
    assert write(tmp_path, *nightly(7))[1] == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda row: replace(row, submission=row.submission + 12 * DAY),
        lambda row: replace(row, listed=False, parent="x"),
        lambda row: replace(row, submission=None),
    ],
    ids=["submitted later", "listed no more", "submitted nobody knows when"],
)
def test_an_old_job_that_the_new_night_tells_of_otherwise_moves_in_all_lists(
    change: Callable[[JobRow], JobRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record is the new run's, but it is not new: lists showed it before."""
    monkeypatch.setattr(listpages, "ROWS", 3)
    quick, slow = tmp_path / "quick", tmp_path / "slow"
    for _ in range(2):
        write(quick, *nightly(20))
    jobs, over = nightly(21)
    last = over[-1].id
    old = replace(jobs[9], row=change(jobs[9].row), run=last, shard=last, line=50, digest="ff")
    more = sorted((*jobs[:9], old, *jobs[10:]), key=lambda each: (each.run, each.line))
    write(quick, more, over)
    write(slow, more, over)
    assert contents(quick) == contents(slow)


def test_another_setting_or_a_prune_or_another_store_has_all_looked_at(tmp_path: Path) -> None:
    jobs, over = nightly(6)
    write(tmp_path, jobs, over)
    assert write(tmp_path, jobs, over, settings=Settings(site=Site(title="x")))[1] == 18
    assert write(tmp_path, jobs, over, settings=Settings(site=Site(title="x")))[1] == 0
    assert write(tmp_path, jobs, over)[1] == 18
    assert write(tmp_path, jobs, over, pruned="of tonight")[1] == 18
    others = [replace(each, state="incomplete") for each in over]
    assert write(tmp_path, jobs, others, pruned="of tonight")[1] == 18
    assert write(tmp_path, jobs, over[1:])[1] == 18


def test_what_was_rendered_without_remembering_has_all_looked_at(tmp_path: Path) -> None:
    write(tmp_path, *nightly(6))
    write(tmp_path, *nightly(6), remembers=False)
    assert write(tmp_path, *nightly(6))[1] == 18


def test_a_page_that_is_missing_or_cut_short_is_made_again(tmp_path: Path) -> None:
    jobs, over = nightly(6)
    write(tmp_path, jobs, over)
    before = contents(tmp_path)
    (tmp_path / addresses.job(jobs[0].row.id)).unlink()
    (tmp_path / addresses.job_raw(jobs[5].row.id)).write_text("{}")
    written, looked = write(tmp_path, jobs, over)
    assert (written.rewritten, looked) == (4, 2)
    assert contents(tmp_path) == before


def counted(
    monkeypatch: pytest.MonkeyPatch, where: Path, jobs: Any, over: Any, *, pruned: str = ""
) -> tuple[int, int]:
    """How many files of jobs' pages were looked at, and how many files were written."""
    asked: list[str] = []
    own = {of(entry.row.id) for entry in jobs for of in (addresses.job, addresses.job_raw)}
    size = Files.size

    def noted(files: Files, address: str) -> int | None:
        if address in own:
            asked.append(address)
        return size(files, address)

    with monkeypatch.context() as patching:
        patching.setattr(Files, "size", noted)
        written, _ = write(where, jobs, over, pruned=pruned)
    return len(asked), written.rewritten


@pytest.mark.parametrize("known", [42, 15])
def test_very_many_files_are_looked_at_by_turns_and_each_within_a_week_of_nights(
    known: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nobody knows most jobs any more, whose pages stay."""
    monkeypatch.setattr(looking, "MANY_FILES", 20)
    jobs, over = nightly(14)
    write(tmp_path, jobs, over)
    jobs = jobs[-known:]
    write(tmp_path, jobs, over, pruned="" if known == 42 else "1")
    counted(monkeypatch, tmp_path, jobs, over, pruned="" if known == 42 else "1")
    before = contents(tmp_path)
    page = tmp_path / addresses.job(jobs[9].row.id)
    page.write_bytes(page.read_bytes()[:-1])
    looked, made = zip(
        *(
            counted(monkeypatch, tmp_path, jobs, over, pruned="" if known == 42 else "1")
            for _ in range(looking.TURNS + 1)
        ),
        strict=True,
    )
    # A sixth, those of the page at the end, and what is looked at again once.
    assert max(looked) <= known * 2 // looking.TURNS + 8, looked
    # The page and what lies beside it, once.
    assert sorted(made) == [0] * looking.TURNS + [2]
    assert contents(tmp_path) == before


def test_each_of_very_many_files_is_looked_at_within_a_week_while_there_come_to_be_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MANY_FILES", 20)
    for first in (14, 18):
        where = tmp_path / str(first)
        write(where, *nightly(first))
        for entry in nightly(first)[0][::3]:
            page = where / addresses.job(entry.row.id)
            page.write_bytes(b"")
        for count in range(first + 1, first + 8):
            write(where, *nightly(count))
        assert all(
            (where / addresses.job(each.row.id)).stat().st_size for each in nightly(first)[0]
        )


def long_lists(where: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Entry], list[Run]]:
    """A site whose lists have many full pages, which are looked at by turns."""
    monkeypatch.setattr(looking, "MANY_FILES", 20)
    monkeypatch.setattr(listpages, "ROWS", 3)
    jobs, over = nightly(40)
    for _ in range(2):
        write(where, jobs, over)
    return jobs, over


def test_full_pages_of_lists_are_looked_at_by_turns_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, over = long_lists(tmp_path, monkeypatch)
    before = contents(tmp_path)
    full = {
        path.relative_to(tmp_path).as_posix() for path in (tmp_path / "jobs").glob("*-older-*.html")
    }
    assert len(full) > 30
    spoilt = sorted(full)[:: len(full) // 6]
    for address in spoilt:
        (tmp_path / address).write_bytes(b"")
    size, asked, mended = Files.size, Counter[str](), 0

    def noted(files: Files, address: str) -> int | None:
        asked[address] += address in full
        return size(files, address)

    for _ in range(looking.TURNS):
        asked.clear()
        with monkeypatch.context() as patching:
            patching.setattr(Files, "size", noted)
            written, _ = write(tmp_path, jobs, over)
        mended += written.rewritten
        # Of each list a sixth, those that never stand, and what is planned since it is spoilt.
        assert 0 < asked.total() < len(full) / 2
    assert mended == len(spoilt)
    assert contents(tmp_path) == before


def test_a_full_page_that_is_missing_or_that_the_ledger_does_not_know_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one at once, the other in its turn."""
    jobs, over = long_lists(tmp_path, monkeypatch)
    before = contents(tmp_path)
    missing, unknown, *_ = sorted((tmp_path / "jobs").glob("label-name-*-older-*.html"))
    missing.unlink()
    assert write(tmp_path, jobs, over)[0].rewritten == 1
    assert contents(tmp_path) == before
    with closing(sqlite3.connect(tmp_path / ".jmreport" / "pages")) as ledger, ledger:
        address = unknown.relative_to(tmp_path).as_posix()
        assert ledger.execute("DELETE FROM pages WHERE owner = ?", (address,)).rowcount == 1
    unknown.write_bytes(b"")
    made = [write(tmp_path, jobs, over)[0].rewritten for _ in range(looking.TURNS)]
    assert sorted(made) == [0] * (looking.TURNS - 1) + [1]
    assert contents(tmp_path) == before


def test_all_files_are_looked_at_once_the_machine_was_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written just before the power went may be empty, under its name."""
    monkeypatch.setattr(looking, "MANY_FILES", 20)
    for started in ("another", ""):
        jobs, over = nightly(14)
        where = tmp_path / (started or "nobody can tell")
        write(where, jobs, over)
        before = contents(where)
        for entry in jobs[::4]:
            (where / addresses.job(entry.row.id)).write_bytes(b"")
        with monkeypatch.context() as patching:
            patching.setattr(looking, "_started", lambda started=started: started)
            write(where, jobs, over)
        assert contents(where) == before


def test_a_file_of_very_many_that_is_missing_is_made_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MANY_FILES", 20)
    jobs, over = nightly(14)
    write(tmp_path, jobs, over)
    before = contents(tmp_path)
    for entry in jobs[::9]:
        (tmp_path / addresses.job_raw(entry.row.id)).unlink()
        written, looked = write(tmp_path, jobs, over)
        assert (written.rewritten, looked) == (2, 1)
        assert contents(tmp_path) == before


def test_files_are_counted_alike_whether_all_or_some_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for many in (0, 10**6):
        monkeypatch.setattr(looking, "MANY_FILES", many)
        told.append([write(tmp_path / str(many), *nightly(count))[0] for count in (5, 6, 6, 8)])
    assert told[0] == told[1]


def batch(entry: Entry) -> Entry:
    """The same job, with a label that stands for two jobs once there are some more."""
    return replace(entry, row=replace(entry.row, labels={**entry.row.labels, "batch": "b"}))


def test_where_a_label_gets_pages_all_jobs_that_have_it_are_looked_at(tmp_path: Path) -> None:
    quick, slow = tmp_path / "quick", tmp_path / "slow"
    for where, remembers in ((quick, True), (slow, False)):
        jobs, over = nightly(6)
        write(where, [*jobs[:4], batch(jobs[4]), *jobs[5:]], over, remembers=remembers)
        jobs, over = nightly(7)
        more = [*jobs[:4], batch(jobs[4]), *jobs[5:18], *map(batch, jobs[18:])]
        looked = write(where, more, over, remembers=remembers)[1]
        assert looked == (4 if remembers else len(more))
    assert (quick / addresses.label("batch")).exists()
    assert contents(quick) == contents(slow)


class _Stopping(SilentProgress):
    """Stops the run when it comes to pages other than the jobs'."""

    def step(self, name: str, total: int | None) -> "AbstractContextManager[Step]":
        if name == "write other pages":
            raise KeyboardInterrupt
        return super().step(name, total)


def test_a_render_that_was_stopped_is_as_if_it_had_not_been(tmp_path: Path) -> None:
    """The jobs that it looked at are looked at again."""
    write(tmp_path, *nightly(6))
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, *nightly(7), progress=_Stopping())
    assert write(tmp_path, *nightly(8))[1] == 6
    write(tmp_path / "scratch", *nightly(8))
    here, wanted = contents(tmp_path), contents(tmp_path / "scratch")
    assert {name: here.get(name) for name in wanted} == wanted


def test_a_page_of_a_job_that_nobody_knows_any_more_is_not_counted(tmp_path: Path) -> None:
    """Its page stays, as when the snapshots were lost, and counts again once it is known again."""
    jobs, over = nightly(6)
    later = [*over, run(6)]
    known = [replace(jobs[0], run=later[-1].id, first_run=later[-1].id), *jobs[1:]]
    told = []
    for where, remembers in ((tmp_path / "quick", True), (tmp_path / "slow", False)):
        own = partial(write, where, remembers=remembers)
        own(jobs, over)
        told.append((own(jobs[1:], over, pruned="1")[0], own(jobs[1:], over, pruned="1")[0]))
        assert (where / addresses.job(jobs[0].row.id)).exists()
        told.append((own(known, later, pruned="1")[0], own(known, later, pruned="1")[0]))
    assert told[:2] == told[2:]
    assert contents(tmp_path / "quick") == contents(tmp_path / "slow")
