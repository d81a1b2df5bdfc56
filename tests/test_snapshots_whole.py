"""The store stays whole: killed, out of disk, beside other writers, read-only, damaged."""

import errno
import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from campaigns import kills
from doses import dose, each
from msgspec.structs import replace
from snapshot_cases import (
    NOW,
    a_night,
    before_each_write,
    begun,
    count_writes,
    opened,
    record,
    row,
    run_of,
    small_disk,
    summarise,
    temporaries,
    write_run,
)

from jmreport.errors import Exit, JmreportError, LockedError, SnapshotError
from jmreport.records import JobRow, Record
from jmreport.snapshots import Redaction, Store, check, files, index


@pytest.mark.parametrize("seed", range(dose(20)))
def test_killed_at_a_random_moment_the_store_is_whole_and_the_next_run_completes(
    tmp_path: Path, seed: int
) -> None:
    """SIGKILL before any write; what was whole is still known; nothing is left lying about."""
    a_night(tmp_path / "store")
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not secret
    process = kills.writer(tmp_path / "store", str(chance.randint(1, 30)))
    assert process.wait() == -signal.SIGKILL
    assert kills.damage(tmp_path / "store") == []
    assert kills.mended(tmp_path / "store") == []


def test_a_path_that_is_too_long_for_the_index_is_no_lack_of_space(tmp_path: Path) -> None:
    root = tmp_path.joinpath(*["x" * 200] * 3)
    with pytest.raises(JmreportError, match=r"index\.sqlite: unable to open") as caught:
        a_night(root)
    assert "choose a shorter path" in caught.value.hint
    assert "space" not in caught.value.hint


@pytest.mark.parametrize("stays_full", [False, True])
def test_every_write_may_fail_and_the_store_stays_whole(tmp_path: Path, stays_full: bool) -> None:
    """The Nth write fails: an error that names a file, no half file, all readable.

    Each third N, of which each of both has others, or every N in a whole dose.
    """
    writes = count_writes(tmp_path / "count")
    assert writes > 25
    for wanted in each(writes, first=2 if stays_full else 1):
        root = tmp_path / f"{wanted}"

        def full(number: int, name: str, wanted: int = wanted) -> None:
            due = number >= wanted if stays_full else number == wanted
            if due and name != "unlink":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        error = failure_of(root, full)
        if error is not None:
            assert error.code is Exit.FAILED
            assert str(root) in error.message
            assert "No space left" in error.message
            assert "free some space" in error.hint
        else:
            assert kills.damage(root) == []  # only the cache could not be written
        assert not root.exists() or temporaries(root) == []
        assert kills.damage(root) == []
        assert kills.mended(root) == []


def failure_of(root: Path, act: Callable[[int, str], None]) -> JmreportError | None:
    """What a night says when writes fail."""
    try:
        with before_each_write(act):
            a_night(root)
    except JmreportError as error:
        return error
    return None


def test_an_interrupted_run_is_ended_by_the_next_and_its_whole_shards_are_known(
    tmp_path: Path,
) -> None:
    """Its run.json says so, with what it asked; its records need not be fetched again."""
    root = tmp_path / "store"
    code = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from snapshot_cases import *; writing.SHARD_RECORDS = 5\n"
        "store = Store.open(Path(sys.argv[1]), summarise=summarise, create=True)\n"
        "writer = begun(store)\n"
        "for n in range(13): writer.list_row(row(n)); writer.add(record(n))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, str(root), here], check=False)  # noqa: S603 - our own program
    assert done.returncode == -signal.SIGKILL
    with opened(root) as store:
        assert store.runs() == ()
        with begun(store, days=1) as writer:
            assert {entry.row.id for entry in store.entries()} == {f"job-{n}" for n in range(10)}
            before = store.entry("job-3")
            assert before is not None
            assert before.row_digest == store.row_digest(row(3))
            writer.finish(run_of(writer))
        first, second = store.runs()
        assert (first.state, first.asked.server, first.now) == (
            "interrupted",
            "http://127.0.0.1:8190",
            NOW,
        )
        assert (first.counts.fetched, first.counts.stored) == (10, 10)
        assert second.state == "complete"
        assert store.check() == ()


@pytest.mark.parametrize("seed", range(8))
def test_a_shard_that_was_cut_anywhere_gives_every_record_before_the_cut(
    tmp_path: Path, seed: int
) -> None:
    """Killed or out of power: a prefix of the records is known, whole ones, and the store whole."""
    root, chance = tmp_path / "store", random.Random(seed)  # noqa: S311 - to be repeated
    write_run(root, [record(0)])
    folder = root / "runs/20261124T021400Z"
    folder.mkdir()
    shard = files.LineFile(folder / "jobs-0000.jsonl.zst")
    for number in range(1, 31):
        noise = chance.randbytes(chance.randint(10, 4000)).hex()
        shard.write(msgspec.json.encode(record(number, detail={"noise": noise})))
    [left] = temporaries(root)
    there = left.read_bytes()
    assert len(there) > 50_000
    cut = chance.choice([0, 1, len(there), chance.randrange(len(there))])
    left.write_bytes(there[:cut] + (b"\0" * 4096 if chance.random() < 0.5 else b""))
    with opened(root) as store:
        with begun(store, days=3) as writer:
            known = {entry.row.id for entry in store.entries()}
            writer.finish(run_of(writer))
        assert known == {f"job-{number}" for number in range(len(known))}
        if cut == len(there):
            assert len(known) > 24  # one block of 16 KB may be missing
        assert store.check() == ()
    assert temporaries(root) == []


@pytest.mark.parametrize(
    ("error", "state"),
    [(ValueError("the list broke off"), "failed"), (KeyboardInterrupt(), "interrupted")],
)
def test_a_run_that_ends_by_an_exception_says_why(
    tmp_path: Path, error: BaseException, state: str
) -> None:
    """What it read until then is kept, and the lock is free."""

    def stopped(store: Store) -> None:
        with begun(store) as writer:
            writer.list_row(row(1))
            writer.list_row(row(2))
            writer.add(record(1))
            raise error

    with opened(tmp_path / "store") as store:
        with pytest.raises(type(error)):
            stopped(store)
        (run,) = store.runs()
        assert run.state == state
        assert run.reason in ("the list broke off", "stopped before it ended")
        assert (run.counts.listed, run.counts.fetched, run.counts.stored) == (2, 1, 1)
        assert store.entry("job-1") is not None
        begun(store, days=1).__exit__(None, None, None)
        assert store.check() == ()


def test_a_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    with opened(tmp_path) as first, opened(tmp_path) as second, begun(first):
        with pytest.raises(LockedError) as told:
            begun(second)
        assert told.value.code is Exit.LOCKED
        assert f"process {os.getpid()}, since 2026-11-23 02:14 UTC" in told.value.message


def test_of_eight_writers_at_once_one_runs_and_seven_say_so(tmp_path: Path) -> None:
    """All of them start with no store at all; the lock is free after the winner was killed."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from snapshot_cases import *; from jmreport.errors import LockedError\n"
        "store = Store.open(Path(sys.argv[1]), summarise=summarise, create=True)\n"
        "sys.stdin.readline()\n"
        "try: writer = begun(store)\n"
        "except LockedError: print('locked', flush=True); sys.exit(7)\n"
        "print('runs', flush=True); sys.stdin.readline()\n"
    )
    here = str(Path(__file__).parent)
    pipe = subprocess.PIPE
    eight = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), here], stdin=pipe, stdout=pipe)  # noqa: S603 - our own program
        for _ in range(8)
    ]
    for one in eight:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    said = [one.stdout.readline().strip() for one in eight if one.stdout]
    assert sorted(said) == [b"locked"] * 7 + [b"runs"]
    for one in eight:
        one.kill()
        one.communicate()
    assert kills.mended(tmp_path) == []


def test_the_lock_does_not_live_on_in_a_child(tmp_path: Path) -> None:
    """A worker forked while a run goes on would keep the lock, were it not given up by name."""
    with opened(tmp_path) as store:
        writer = begun(store)
        kept = os.dup(writer_lock(tmp_path))
        writer.finish(run_of(writer))
        os.close(kept)
        begun(store, days=1).__exit__(None, None, None)


def writer_lock(root: Path) -> int:
    """The descriptor with which this process holds the lock."""
    wanted = (root / "lock").stat().st_ino
    return next(fd for fd in range(3, 200) if inode(fd) == wanted)


def inode(descriptor: int) -> int | None:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return None


def test_a_reader_sees_the_runs_that_ended_and_no_more(tmp_path: Path) -> None:
    write_run(tmp_path, [record(1)])
    with opened(tmp_path) as store, opened(tmp_path) as reader, begun(store, days=1) as writer:
        stream = reader.entries()
        assert next(stream).row.id == "job-1"
        writer.add(record(2))
        assert reader.entry("job-2") is None
        writer.finish(run_of(writer))
        assert list(stream) == []
        assert len(reader.runs()) == 1
        with opened(tmp_path) as later:
            assert len(later.runs()) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"garbage" * 4096),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + bytes(path.stat().st_size - 4096)),
    ],
    ids=["missing", "empty", "garbage", "cut", "zeros"],
)
def test_a_spoilt_index_is_made_anew_in_silence(tmp_path: Path, spoil: object) -> None:
    write_run(tmp_path, [record(n) for n in range(300)])
    with opened(tmp_path) as store:
        before = list(store.entries())
    assert callable(spoil)
    spoil(tmp_path / index.NAME)
    with opened(tmp_path) as store:
        assert list(store.entries()) == before
        assert store.check() == ()


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize(
    "use",
    [
        lambda store, _: list(store.entries()),
        lambda store, _: store.runs(),
        lambda store, _: store.count(),
        lambda store, _: store.like("job-29"),
        lambda store, _: [one.id for one in store.records()],
        lambda store, to: (store.export(to).jobs, to.rename(f"{to}-{time.monotonic_ns()}"))[0],
        lambda store, _: store.would_prune(NOW, now=NOW, leaning=lambda *_: ()),
    ],
    ids=["entries", "runs", "count", "like", "records", "export", "prune"],
)
def test_any_page_of_an_index_may_be_spoilt(tmp_path: Path, use: Any, zeros: bool) -> None:
    """It is a cache: whatever is asked, nobody notices; and `check` names it, and nothing else."""
    root, to = tmp_path / "store", tmp_path / "to"
    write_run(root, [record(n) for n in range(300)])
    whole = (root / index.NAME).read_bytes()
    with opened(root) as store:
        before = use(store, to)
    for page in range(2, len(whole) // 4096, 3):
        bad = bytes(4096) if zeros else random.Random(page).randbytes(4096)  # noqa: S311 - to be repeated
        (root / index.NAME).write_bytes(whole[: page * 4096] + bad + whole[(page + 1) * 4096 :])
        assert {fault.what for fault in check(root, summarise)} <= {index.NAME}
        with opened(root) as store:
            assert use(store, to) == before


@pytest.mark.parametrize("page", range(2, 30, 3))
def test_a_run_does_not_carry_on_an_index_that_is_spoilt(tmp_path: Path, page: int) -> None:
    write_run(tmp_path, [record(n) for n in range(300)])
    with (tmp_path / index.NAME).open("r+b") as file:
        file.seek(page * 4096)
        file.write(bytes(4096))
    write_run(tmp_path, [record(n) for n in range(300, 310)], days=1)
    with opened(tmp_path) as store:
        assert store.count() == 310
        assert len(store.runs()) == 2
        assert store.check() == ()


def test_another_summariser_makes_the_rows_anew(tmp_path: Path) -> None:
    write_run(tmp_path, [record(1)])

    def other(one: Record) -> JobRow:
        return replace(summarise(one), status="Paused")

    with Store.open(tmp_path, summarise=other) as store:
        entry = store.entry("job-1")
        assert entry is not None
        assert entry.row.status == "Paused"


def test_a_store_that_cannot_be_written_can_be_read() -> None:
    """As a user without write access, and without an index; begin says what to do."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("needs root and setpriv to become somebody without write access")
    code = (
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[2:]\n"
        "from snapshot_cases import *; from jmreport.errors import JmreportError\n"
        "store = Store.open(Path(sys.argv[1]), summarise=summarise, create=True)\n"
        "assert [e.row.id for e in store.entries()] == ['job-1']; store.record('job-1')\n"
        "try: begun(store)\n"
        "except JmreportError as error: print(error.message, '|', error.hint)\n"
    )
    here = Path(__file__).parent
    nobody = [setpriv, "--reuid", "65534", "--clear-groups", sys.executable]
    paths = [str(here), str(here.parent)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        write_run(root, [record(1)])
        (root / index.NAME).unlink()
        Path(folder).chmod(0o755)
        tried = subprocess.run(  # noqa: S603 - our own program
            [*nobody, "-c", "import jmreport.snapshots"],
            check=False,
            cwd=here.parent,
            capture_output=True,
        )
        if tried.returncode:
            pytest.skip("another user may not read this checkout")
        done = subprocess.run(  # noqa: S603 - our own program
            [*nobody, "-c", code, str(root), *paths], check=False, capture_output=True, text=True
        )
        assert done.stderr == ""
        assert done.stdout.startswith(f"cannot write {root}/lock: Permission denied | check who")
        assert not (root / index.NAME).exists()


def test_a_disk_that_is_full_leaves_the_store_whole(tmp_path: Path) -> None:
    """A real one: what fits is kept, the error names a file, and there is room again."""
    disk = tmp_path / "disk"
    with small_disk(disk, 1):
        write_run(disk / "store", [record(n) for n in range(20)])
        big = [record(n, detail={"noise": os.urandom(50_000).hex()}) for n in range(100, 140)]
        with pytest.raises(JmreportError, match=r"No space left|is full"):
            write_run(disk / "store", big, days=1)
        assert temporaries(disk) == []
        assert kills.damage(disk / "store") == []
        write_run(disk / "store", [record(1, "Failed")], days=2)
        assert check(disk / "store", summarise) == ()


@pytest.mark.parametrize("letter", ["n", "ü", "\n"])
def test_what_ended_a_run_is_known_where_a_full_disk_kept_it_from_saying_so(
    tmp_path: Path, letter: str
) -> None:
    """Somebody else takes what room there was; the reason may be of any length, without secrets."""
    disk, why = tmp_path / "disk", f"{letter * 1000} password=canary-hunter2 No space left"

    def filled(store: Store) -> None:
        with begun(store, days=1) as writer:
            writer.add(record(1))
            with suppress(OSError), (disk / "others").open("wb", buffering=0) as others:
                while others.write(bytes(4096)):
                    pass
            raise JmreportError(why)

    with small_disk(disk, 1):
        write_run(disk / "store", [record(1)])
        with opened(disk / "store") as store:
            with pytest.raises(JmreportError):
                filled(store)
            assert not (disk / "store/runs/20261124T021400Z/run.json").exists()
            (told,) = store.killed()
            (disk / "others").unlink()
            store.settle(NOW)
            kept = store.runs()[-1]
        assert kept.state == told.state == "failed"
        assert kept.reason == told.reason
        assert kept.reason.endswith("No space left")
        assert "canary" not in kept.reason
        assert check(disk / "store", summarise) == ()


def test_what_kept_a_run_from_reading_anything_is_known(tmp_path: Path) -> None:
    """The copy of the index is the first large file of a run."""
    disk = tmp_path / "disk"
    with small_disk(disk, 1):
        write_run(disk / "store", [record(n) for n in range(200)])
        size = os.statvfs(disk)
        (disk / "others").write_bytes(bytes(size.f_bavail * size.f_frsize - 5 * 4096))
        with opened(disk / "store") as store:
            with pytest.raises(JmreportError, match="No space left"):
                begun(store, days=1)
            (told,) = store.killed()
    assert (told.state, told.id) == ("failed", "20261124T021400Z")
    assert told.reason.endswith("No space left on device")


def test_a_run_that_found_no_room_to_begin_is_not_said_to_be_killed(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        (tmp_path / "runs/20261124T021400Z").mkdir()
        (told,) = store.killed()
        assert told.reason == "killed as it began, or the disk had no room for it"


def test_check_names_everything_that_is_wrong(tmp_path: Path) -> None:
    """A changed, a missing and a foreign file, a leftover, a run without its end."""
    write_run(tmp_path, [record(n) for n in range(5)])
    last = write_run(tmp_path, [record(n, "Failed") for n in range(5)], days=1)
    run = tmp_path / "runs" / "20261123T021400Z"
    shard = run / "jobs-0000.jsonl.zst"
    shard.write_bytes(shard.read_bytes()[:-9])
    (run / "query.jsonl.zst").unlink()
    (run / "notes.txt").write_text("hello")
    (run / "x.tmp").write_text("")
    (tmp_path / "runs" / last.id / "run.json").write_text("{")
    (tmp_path / "runs" / "20261130T000000Z").mkdir()
    faults = {fault.what: fault.why for fault in check(tmp_path, summarise)}
    assert set(faults) == {
        "runs/20261123T021400Z/jobs-0000.jsonl.zst",
        "runs/20261123T021400Z/query.jsonl.zst",
        "runs/20261123T021400Z/notes.txt",
        "runs/20261123T021400Z/x.tmp",
        f"runs/{last.id}/run.json",
        "runs/20261130T000000Z",
    }
    assert faults["runs/20261123T021400Z/query.jsonl.zst"] == "is missing"


def test_a_store_without_its_format_is_not_called_empty(tmp_path: Path) -> None:
    write_run(tmp_path, [record(1)])
    (tmp_path / "format.json").unlink()
    with pytest.raises(SnapshotError, match=r"format\.json is missing, beside runs") as found:
        Store.open(tmp_path, summarise=summarise)
    (tmp_path / "format.json").write_text(re.findall(r"{.*?}", found.value.hint)[0])
    assert check(tmp_path, summarise) == ()


def test_check_misses_runs_that_are_gone(tmp_path: Path) -> None:
    """What a later run found unchanged lies in them alone."""
    first = write_run(tmp_path, [record(1), record(2)])
    with opened(tmp_path) as store, begun(store, days=1) as writer:
        for number in (1, 2, 3):
            writer.list_row(row(number))
        writer.add(record(3))
        last = writer.finish(run_of(writer))
    assert check(tmp_path, summarise) == ()
    shutil.rmtree(tmp_path / "runs" / first.id)
    for made_anew in (True, False):
        (fault,) = check(tmp_path, summarise)[-1:]
        assert fault.what == ("index.sqlite" if made_anew else f"runs/{last.id}")
        (tmp_path / index.NAME).unlink(missing_ok=True)
    assert fault.why.startswith("lists 2 jobs of which nothing is stored")
    shutil.rmtree(tmp_path / "runs")
    assert [fault.what for fault in check(tmp_path, summarise)] == ["runs"]
    write_run(tmp_path, [record(1)])
    assert check(tmp_path, summarise) == ()


def test_check_finds_an_index_that_says_something_else(tmp_path: Path) -> None:
    write_run(tmp_path, [record(1)])
    state = index.existing(tmp_path, index.made_by(summarise))
    assert state is not None
    changed = index.copy(tmp_path, state)
    changed.connection.execute("UPDATE entries SET digest = 'x'")
    changed.commit(tmp_path / index.NAME)
    changed.close()
    state.close()
    assert [fault.what for fault in check(tmp_path, summarise)] == ["index.sqlite"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"format": 99}', "made by a newer jmreport (format 99"),
        ("garbage", "cannot read"),
        ('{"format": "one"}', "cannot read"),
        ('{"format": 0}', "names no format"),
    ],
)
def test_a_format_that_is_not_known_is_refused(tmp_path: Path, body: str, said: str) -> None:
    write_run(tmp_path, [record(1)])
    (tmp_path / "format.json").write_text(body)
    with pytest.raises(SnapshotError) as told:
        Store.open(tmp_path, summarise=summarise)
    assert said in told.value.message
    assert told.value.hint
    assert [fault.what for fault in check(tmp_path, summarise)] == ["format.json"]


def test_a_folder_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(SnapshotError, match="no snapshot in"):
        Store.open(tmp_path, summarise=summarise)
    with pytest.raises(JmreportError, match="holds other files"):
        Store.open(tmp_path, summarise=summarise, create=True)
    with pytest.raises(JmreportError, match="is not a folder"):
        Store.open(tmp_path / "thesis.tex", summarise=summarise, create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path, [record(1)])
    shard = tmp_path / "runs" / run.id / "jobs-0000.jsonl.zst"
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    with opened(tmp_path) as store, pytest.raises(SnapshotError, match=r"jobs-0000\.jsonl\.zst"):
        store.record("job-1")


def test_the_lock_is_the_systems(tmp_path: Path) -> None:
    """Whoever only leaves the file behind holds nothing."""
    write_run(tmp_path, [record(1)])
    with (tmp_path / "lock").open() as left:
        fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with opened(tmp_path) as store, pytest.raises(LockedError):
            store.begin(NOW, Redaction())
    write_run(tmp_path, [record(2)], days=1)
