"""What is kept of the records: an index made from it is the one that the records make."""

import ast
import errno
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from doses import dose
from hypothesis import given, settings
from hypothesis import strategies as st
from snapshot_cases import NOW, begun, record, run_of, small_shards, write_run

from jmreport import calltimes
from jmreport.analysis import measure, measures, rows, summarise, trees
from jmreport.bucket.folder import Folder
from jmreport.errors import SnapshotError
from jmreport.gaps import Gap
from jmreport.records import JobRow, Record
from jmreport.snapshots import Store, check, files, filling, index, mirror, summaries
from jmreport.snapshots.summaries import Records, Source

MAKER = index.made_by(summarise, measure)
IDS = (
    "job-0",
    "job-1",
    "job-2",
    "03a7491c-76c1-40f4-93d5-222d0ac2be70",
    "03a7491c-0000-40f4-93d5-222d0ac2be70",
    "../../etc/passwd",
    "a\x00b",
    "'; DROP TABLE entries; --",
    "é\u202e",
)


@contextmanager
def opened(root: Path) -> Iterator[Store]:
    with Store.open(root, summarise=summarise, measure=measure, create=True) as store:
        yield store


def job(name: str, status: str, kind: str) -> Record:
    """A job whose detail came, or did not; or one that no list names."""
    at = f"2026-11-2{len(name) % 9}T01:00:00+00:00"
    row = {"id": name, "name": "wf", "status": status, "submission": at, "start": at, "end": at}
    task = {"name": "Align", "executionStatus": status, "attempts": 1, "start": at, "end": at}
    detail = {**row, "extensions": {"tasks": [task]}}
    if kind == "unread":
        return Record(id=name, row=row, gaps=(Gap(what="job", why="server error 500", job=name),))
    if kind == "sub":
        return Record(id=name, detail=detail, parent="job-0")
    return Record(id=name, row=row, detail=detail)


def dump(source: Source, root: Path) -> list[tuple[object, ...]]:
    made = filling.rebuilt(root, MAKER, source)
    try:
        return [*made.dump()]
    finally:
        made.close()


def from_records(root: Path) -> list[tuple[object, ...]]:
    return dump(Records(summarise, measure), root)


def from_what_is_kept(root: Path) -> list[tuple[object, ...]]:
    return dump(filling.kept_of(root, summarise, measure), root)


def as_it_grew(root: Path) -> list[tuple[object, ...]]:
    with opened(root) as store:
        store.count()
    there = index.existing(root, MAKER)
    assert there is not None
    try:
        return [*there.dump()]
    finally:
        there.close()


def kept(root: Path) -> list[Path]:
    return sorted((root / summaries.NAME).iterdir())


# --- the law ---------------------------------------------------------------------------------

_jobs = st.lists(
    st.tuples(
        st.sampled_from(IDS),
        st.sampled_from(("Running", "Succeeded", "Failed")),
        st.sampled_from(("whole", "whole", "unread", "sub")),
    ),
    max_size=7,
)
_nights = st.lists(
    st.tuples(
        _jobs,
        st.lists(st.sampled_from(IDS), max_size=4),
        st.sampled_from(("complete", "complete", "incomplete", "failed")),
        st.sampled_from(("", "", "", "prune", "no cache", "no index")),
    ),
    min_size=1,
    max_size=7,
)


def written(root: Path, nights: list[Any]) -> None:
    for day, (jobs, seen, state, then) in enumerate(nights):
        with opened(root) as store, begun(store, days=day) as writer:
            for each in jobs:
                one = job(*each)
                if one.row is not None:
                    writer.list_row(one.row)
                writer.add(one)
            for name in seen:
                writer.seen(name)
            writer.finish(run_of(writer, state=state))
        if then == "prune":
            with opened(root) as store:
                before = NOW + timedelta(days=max(day - 1, 0))
                store.prune(before, now=NOW, leaning=lambda _: ("job-1",))
        if then == "no cache":
            shutil.rmtree(root / summaries.NAME, ignore_errors=True)
        if then in ("no cache", "no index"):
            (root / index.NAME).unlink()


@settings(max_examples=dose(80), deadline=None)
@given(nights=_nights, most=st.sampled_from((1, 3, 200_000)))
def test_an_index_made_from_what_is_kept_is_the_one_that_the_records_make(
    nights: list[Any], most: int
) -> None:
    """Law: for any history, with jobs that change, that are unread, in no list, and pruned."""
    usual, filling.MOST_FOUND = filling.MOST_FOUND, most
    try:
        with tempfile.TemporaryDirectory() as folder, small_shards(2):
            root = Path(folder) / "store"
            written(root, nights)
            made = from_records(root)
            assert as_it_grew(root) == made
            assert from_what_is_kept(root) == made
            assert from_what_is_kept(root) == made  # of what was not kept before, too
            assert check(root, summarise, measure) == ()
    finally:
        filling.MOST_FOUND = usual


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nights in several shards, the oldest of which were pruned."""
    root = tmp_path_factory.mktemp("history") / "store"
    states = ("Running", "Failed", "Failed", "Succeeded")
    with small_shards(3):
        written(
            root,
            [
                ([(name, state, "whole") for name in IDS], [], "complete", "")
                for state in states[:3]
            ],
        )
        with opened(root) as store:
            store.prune(NOW + timedelta(days=1), now=NOW, leaning=lambda _: IDS)
        with opened(root) as store, begun(store, days=4) as writer:
            for name in IDS:
                writer.add(job(name, states[3], "whole"))
            writer.finish(run_of(writer))
    assert from_what_is_kept(root) == from_records(root)
    assert [path.name.split(".")[0] for path in kept(root)] == ["pruned", "runs", "runs"]
    return root


@settings(max_examples=dose(120), deadline=None)
@given(
    which=st.integers(0, 2),
    spoil=st.sampled_from(("cut", "flip", "zeros", "foreign", "swapped", "empty", "more")),
    chance=st.randoms(use_true_random=False),
)
def test_what_is_spoilt_changes_no_outcome_and_is_made_anew(
    history: Path, which: int, spoil: str, chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        shutil.copytree(history, root)
        wanted, path = from_records(root), kept(root)[which]
        whole, other = path.read_bytes(), kept(root)[(which + 1) % 3].read_bytes()
        path.write_bytes(_spoilt(spoil, whole, other, chance))
        assert from_what_is_kept(root) == wanted
        (root / index.NAME).unlink()
        assert as_it_grew(root) == wanted
        assert check(root, summarise, measure) == ()
        from_what_is_kept(root)
        # Of a frame's head one bit says nothing to anybody.
        assert _told(path.read_bytes()) == _told(whole) or spoil == "more"


def _spoilt(how: str, whole: bytes, other: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(whole))
    if how == "cut":
        return whole[:at]
    if how == "flip":
        return whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]
    if how == "zeros":
        return whole[:at] + bytes(len(whole) - at)
    if how == "foreign":
        return other
    if how == "swapped":
        return b"".join(reversed(_blocks(whole)))
    if how == "more":
        return whole + other
    return b""


def _told(body: bytes) -> list[bytes | None]:
    return [files.unpacked(block[12:], most=summaries.LARGEST) for block in _blocks(body)]


def _blocks(body: bytes) -> list[bytes]:
    found = []
    while body:
        length = 12 + int.from_bytes(body[8:12], "little")
        found.append(body[:length])
        body = body[length:]
    return found


# --- when it is read, and made ---------------------------------------------------------------


class Counting:
    """A summariser that knows how often it was asked."""

    asked = 0


def counted(one: Record) -> JobRow:
    Counting.asked += 1
    return summarise(one)


def test_an_index_that_is_missing_costs_no_reading_of_records(tmp_path: Path) -> None:
    """Only what is not kept is read, and kept from then on."""
    Counting.asked = 0
    with Store.open(tmp_path, summarise=counted, create=True) as store:
        for day in range(3):
            with begun(store, days=day) as writer:
                for number in range(10 * day, 10 * day + 10):
                    writer.add(record(number))
                writer.finish(run_of(writer))
    assert Counting.asked == 30
    for removed, asked in (("", 0), ("runs.20261124T021400Z.*", 10), ("", 0), ("*", 30)):
        for path in (tmp_path / summaries.NAME).glob(removed or "nothing"):
            path.unlink()
        (tmp_path / index.NAME).unlink()
        Counting.asked = 0
        with Store.open(tmp_path, summarise=counted) as store:
            assert store.count() == 30
        assert Counting.asked == asked
        assert len(kept(tmp_path)) == 3


def test_what_is_kept_can_be_read_with_zstd_and_msgpack_alone(tmp_path: Path) -> None:
    """As the document says; and no secret is in it."""
    write_run(tmp_path, [record(number) for number in range(3)])
    [path] = kept(tmp_path)
    zstd = shutil.which("zstdcat")
    if zstd is None:
        pytest.skip("needs zstdcat (Debian: zstd)")
    body = subprocess.run([zstd, str(path)], check=True, capture_output=True).stdout  # noqa: S603 - our own file
    _, shard, sha256, lines = msgspec.msgpack.decode(body)
    run = tmp_path / "runs/20261123T021400Z"
    assert sha256 == files.sha256(run / shard)
    assert [line[0] for line in lines] == ["job-0", "job-1", "job-2"]
    assert b"hunter2" not in body


@pytest.mark.parametrize("module", [rows, measures, trees, calltimes])
def test_every_module_that_rows_are_made_with_makes_them_another_version(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that it imports, and what they import of ours: a change to one is never forgotten."""
    tree = ast.parse(Path(str(module.__file__)).read_text())
    whole = [
        f"{node.module}.{each.name}" if node.module == "jmreport" else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    ]
    imported = {name for name in whole if name.startswith("jmreport.") and "analysis" not in name}
    assert imported
    for name in sorted(imported):
        changed = tmp_path / "changed.py"
        changed.write_text("another")
        monkeypatch.setattr(sys.modules[name], "__file__", str(changed))
        assert index.made_by(summarise, measure) != MAKER, name
        monkeypatch.undo()
        assert index.made_by(summarise, measure) == MAKER


def test_what_another_version_made_is_replaced(tmp_path: Path) -> None:
    write_run(tmp_path, [record(1)])
    [before] = kept(tmp_path)

    def other(one: Record) -> JobRow:
        return msgspec.structs.replace(summarise(one), status="Paused")

    with Store.open(tmp_path, summarise=other) as store:
        entry = store.entry("job-1")
        assert entry is not None
        assert entry.row.status == "Paused"
    [after] = kept(tmp_path)
    assert after.name != before.name


def test_a_store_from_before_is_read_as_ever_and_kept(tmp_path: Path) -> None:
    """An index of an older form, and nothing beside the runs."""
    run = write_run(tmp_path, [record(number) for number in range(4)])
    shutil.rmtree(tmp_path / summaries.NAME)
    (tmp_path / index.NAME).write_bytes(b"SQLite format 3\x00 of another schema")
    with opened(tmp_path) as store:
        assert [entry.run for entry in store.entries()] == [run.id] * 4
    assert len(kept(tmp_path)) == 1
    assert check(tmp_path, summarise, measure) == ()


def test_a_run_that_was_killed_is_kept_by_whoever_reads_it(tmp_path: Path) -> None:
    """What it had kept so far is removed, and what was salvaged of it is told from its records."""
    with opened(tmp_path) as store, small_shards(2):
        write_run(tmp_path, [record(0)])
        folder = tmp_path / "runs/20261124T021400Z"
        folder.mkdir()
        shard = files.LineFile(folder / "jobs-0000.jsonl.zst")
        for number in range(1, 400):
            shard.write(msgspec.json.encode(record(number)))
        left = tmp_path / summaries.NAME / f"runs.{folder.name}.{MAKER[:16]}.zst.0123abcd.tmp"
        left.write_bytes(b"half")
        faults = {fault.what for fault in check(tmp_path, summarise, measure)}
        assert f"{summaries.NAME}/{left.name}" in faults
        store.settle(NOW)
        known = store.count()
        assert known > 200
    assert not left.exists()
    assert from_what_is_kept(tmp_path) == from_records(tmp_path) == as_it_grew(tmp_path)
    assert any(path.name.startswith(f"runs.{folder.name}.") for path in kept(tmp_path))


def test_a_shard_that_was_changed_is_read_itself(tmp_path: Path) -> None:
    """It is damaged, which nothing beside it may hide."""
    run = write_run(tmp_path, [record(number) for number in range(50)])
    shard = tmp_path / "runs" / run.id / "jobs-0000.jsonl.zst"
    shard.write_bytes(shard.read_bytes()[:-9])
    (tmp_path / index.NAME).unlink()
    with opened(tmp_path) as store, pytest.raises(SnapshotError, match=r"jobs-0000\.jsonl\.zst"):
        store.count()


def test_check_names_what_says_something_else(tmp_path: Path) -> None:
    """Whole, of this version, about this shard, and a lie."""
    run = write_run(tmp_path, [record(number) for number in range(3)])
    with opened(tmp_path) as store:
        store.count()
    path = next(path for path in kept(tmp_path) if MAKER[:16] in path.name)
    folder = tmp_path / "runs" / run.id
    lines = Records(summarise, measure).of(folder / "jobs-0000.jsonl.zst")
    path.unlink()
    lie = summaries.Writing(tmp_path, folder, MAKER)
    sha256 = summaries.manifest(folder)["jobs-0000.jsonl.zst"].sha256
    lie.add("jobs-0000.jsonl.zst", sha256, [line._replace(active=True) for line in lines])
    lie.commit()
    (fault,) = check(tmp_path, summarise, measure)
    assert fault.what == f"{summaries.NAME}/{path.name}"
    assert fault.why == "differs from the runs; delete it, it is only a cache"
    (tmp_path / summaries.NAME / "notes.txt").write_text("hello")
    assert f"{summaries.NAME}/notes.txt" in {
        fault.what for fault in check(tmp_path, summarise, measure)
    }


def test_a_folder_of_that_name_that_is_a_file_hinders_nobody(tmp_path: Path) -> None:
    """Nothing can be kept then, and all else goes on."""
    with opened(tmp_path):
        (tmp_path / summaries.NAME).write_text("no folder")
    run = write_run(tmp_path, [record(1)])
    (tmp_path / index.NAME).unlink()
    with opened(tmp_path) as store:
        assert [one.id for one in store.runs()] == [run.id]


def test_what_cannot_be_read_of_the_index_is_made_anew_from_the_records(tmp_path: Path) -> None:
    """Also where what is kept would say the same nonsense again."""
    run = write_run(tmp_path, [record(1)])
    folder = tmp_path / "runs" / run.id
    with opened(tmp_path) as store:
        store.count()
    lines = Records(summarise, measure).of(folder / "jobs-0000.jsonl.zst")
    lie = summaries.Writing(tmp_path, folder, MAKER)
    sha256 = summaries.manifest(folder)["jobs-0000.jsonl.zst"].sha256
    lie.add("jobs-0000.jsonl.zst", sha256, [line._replace(row=b"\xc1") for line in lines])
    lie.commit()
    (tmp_path / index.NAME).unlink()
    with opened(tmp_path) as store:
        assert [entry.row.id for entry in store.entries()] == ["job-1"]


@pytest.mark.parametrize(
    "lie",
    [{"id": "another"}, {"form": "another"}, {"row": msgspec.msgpack.encode({"id": "another"})}],
    ids=["id", "form", "row"],
)
def test_what_is_at_odds_with_itself_is_passed_over_and_made_anew(
    tmp_path: Path, lie: dict[str, Any]
) -> None:
    """Whoever may write a mirror could else end every night that begins with it."""
    wanted = _lied(tmp_path, lambda line: line._replace(**lie))
    assert from_what_is_kept(tmp_path) == from_records(tmp_path)
    from_what_is_kept(tmp_path)
    assert [path.read_bytes() for path in kept(tmp_path)] == wanted


def test_no_more_is_unpacked_than_a_shard_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small file may be packed from any number of bytes; the records are read instead."""
    monkeypatch.setattr(summaries, "LARGEST", 1_000_000)
    wanted = _lied(tmp_path, lambda line: line._replace(measures=bytes(1_000_000)))
    assert kept(tmp_path)[0].stat().st_size < 10_000
    assert from_what_is_kept(tmp_path) == from_records(tmp_path)
    from_what_is_kept(tmp_path)
    assert [path.read_bytes() for path in kept(tmp_path)] == wanted


def _lied(root: Path, change: Callable[[summaries.Line], summaries.Line]) -> list[bytes]:
    """A store of one run whose kept lines were changed; what was kept before."""
    run = write_run(root, [record(1), record(2)])
    from_what_is_kept(root)
    before = [path.read_bytes() for path in kept(root)]
    folder, name = root / "runs" / run.id, "jobs-0000.jsonl.zst"
    lines = Records(summarise, measure).of(folder / name)
    lie = summaries.Writing(root, folder, MAKER)
    lie.add(name, summaries.manifest(folder)[name].sha256, [change(lines[0]), *lines[1:]])
    lie.commit()
    return before


# --- a night's own copy ----------------------------------------------------------------------


@pytest.mark.parametrize("by_the_system", [True, False])
def test_a_copy_says_what_was_open_whatever_stands_in_its_place_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, by_the_system: bool
) -> None:
    """Another process may have moved in its own, or none is there, or one that is damaged."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    if not by_the_system:
        monkeypatch.setattr(os, "copy_file_range", refuse)
    write_run(tmp_path, [record(number) for number in range(200)])
    with opened(tmp_path) as store:
        store.count()
    place = tmp_path / index.NAME
    there = index.existing(tmp_path, MAKER)
    assert there is not None
    wanted = [*there.dump()]
    for spoil in ("as it was", "newer", "damaged", "missing"):
        if spoil == "newer":
            write_run(tmp_path, [record(300)], days=1)
            with opened(tmp_path) as store:
                assert store.count() == 201
        if spoil == "damaged":
            place.write_bytes(place.read_bytes()[:100] + b"\xff" * 5000)
        if spoil == "missing":
            place.unlink()
        copy = index.copy(tmp_path, there)
        assert [*copy.dump()] == wanted, spoil
        copy.discard()
    there.close()
    assert not list(tmp_path.rglob("*.tmp"))


# --- in a bucket -----------------------------------------------------------------------------


def a_bucket(place: Path) -> Folder:
    place.mkdir(exist_ok=True)
    return Folder(place)


def test_a_machine_without_a_disk_reads_no_record_for_its_index(tmp_path: Path) -> None:
    """What is kept goes along with the runs, is removed with them, and may be spoilt."""
    here, twin = tmp_path / "here", a_bucket(tmp_path / "twin")
    for day in range(3):
        write_run_counted(here, day)
    mirror.push(here, twin, now=NOW)
    assert [path.name for path in kept(here)] == [path.name for path in kept(tmp_path / "twin")]
    nothing = mirror.push(here, twin, now=NOW)
    assert (nothing.files, nothing.bytes) == (0, 0)

    there = pulled(tmp_path / "there", twin)
    assert there == 0
    spoilt = kept(tmp_path / "twin")[0]
    spoilt.write_bytes(spoilt.read_bytes()[:-5])
    there = pulled(tmp_path / "elsewhere", twin)
    assert there == 10

    with Store.open(here, summarise=counted) as store:
        store.prune(NOW + timedelta(days=2), now=NOW, leaning=lambda _: ())
    mirror.push(here, twin, now=NOW)
    left = [path.name for path in kept(tmp_path / "twin")]
    assert [name.split(".")[:2] for name in left if name.startswith("runs")] == [
        ["runs", "20261125T021400Z"]
    ]


def write_run_counted(root: Path, day: int) -> None:
    with (
        Store.open(root, summarise=counted, create=True) as store,
        begun(store, days=day) as writer,
    ):
        for number in range(10 * day, 10 * day + 10):
            writer.add(record(number))
        writer.finish(run_of(writer))


def pulled(root: Path, twin: Folder, now: datetime = NOW) -> int:
    """How many records are read for the index of a store that was pulled."""
    with Store.open(root, summarise=counted, create=True):
        mirror.pull(root, twin, now=now)
    Counting.asked = 0
    with Store.open(root, summarise=counted) as store:
        assert store.count() == 30
    return Counting.asked
