"""A history is read as it is asked for: the store's ways of reading it, and memory's."""

from pathlib import Path

import pytest
from held import Held
from snapshot_cases import NOW, record, write_run

from jmreport.analysis import summarise
from jmreport.errors import JmreportError
from jmreport.history import History
from jmreport.records import Entry, JobRow, Record
from jmreport.snapshots import Store
from jmreport.spill import Spill


def opened(root: Path) -> Store:
    return Store.open(root, summarise=summarise)


def below(number: int, parent: str) -> Record:
    one = record(number)
    return Record(id=one.id, detail=one.detail, parent=parent)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_run(tmp_path, [record(number) for number in range(6)])
    write_run(tmp_path, [below(7, "job-1"), below(8, "job-7"), record(2, "Failed")], days=1)
    return tmp_path


def by_id(found: History) -> list[str]:
    return [entry.row.id for entry in found.by_run()]


def test_the_newest_run_comes_first_and_the_oldest_in_the_order_of_the_files(root: Path) -> None:
    with opened(root) as store:
        newest = by_id(store)
        assert set(newest[:3]) == {"job-2", "job-7", "job-8"}
        oldest = [entry.row.id for entry in store.by_run(oldest_first=True)]
        assert oldest == newest[::-1]
        places = [(entry.run, entry.shard, entry.line) for entry in store.by_run(oldest_first=True)]
        assert places == sorted(places)


def test_what_lies_below_jobs_is_found_by_its_parent(root: Path) -> None:
    with opened(root) as store:
        held = Held(store.entries())
        for history in (store, held):
            assert [one.row.id for one in history.below(["job-1"])] == ["job-7"]
            assert [one.row.id for one in history.below(["job-7", "job-7"])] == ["job-8"]
            assert list(history.below(["job-3", "job-nobody"])) == []


def test_jobs_are_found_by_their_ids_and_others_are_left_out(root: Path) -> None:
    with opened(root) as store:
        held = Held(store.entries())
        assert store.of(["job-2", "job-nobody"]) == held.of(["job-2", "job-nobody"])
        assert store.of(["job-2"])["job-2"].row.status == "Failed"


def test_ids_are_told_apart_from_all_that_are_known(tmp_path: Path) -> None:
    """Also from those that nobody asked about."""
    same = [f"03a7491c-76c1-40f4-93d5-{number:012}" for number in range(3)]
    other = "4ba7491c-76c1-40f4-93d5-000000000000"
    records = [Record(id=one, row={**(record(1).row or {}), "id": one}) for one in (*same, other)]
    write_run(tmp_path, records)
    with opened(tmp_path) as store:
        held = Held(store.entries())
        for history in (store, held):
            assert history.short_ids([same[0], other, "unknown"]) == {
                same[0]: same[0],
                other: "4ba7491c",
            }


def test_a_damaged_index_is_made_anew_in_the_middle_of_a_reading(tmp_path: Path) -> None:
    """No job is given twice and none is left out."""
    write_run(tmp_path, [record(number) for number in range(3_000)])
    with opened(tmp_path) as store:
        wanted = by_id(store)
    with opened(tmp_path) as store:
        reading = store.by_run()
        found = [next(reading).row.id for _ in range(5)]
        path = tmp_path / "index.sqlite"
        size = path.stat().st_size
        with path.open("r+b") as file:
            for place in range(64 * 1024, size, 4096):
                file.seek(place)
                file.write(b"\xff" * 4096)
        found += [entry.row.id for entry in reading]
    assert found == wanted


def test_jobs_without_a_submission_come_last() -> None:
    def entry(job: str, **row: object) -> Entry:
        return Entry(
            row=JobRow(id=job, name="wf", status="Succeeded", **row),  # type: ignore[arg-type]
            run="r",
            shard="",
            line=0,
            digest="",
            row_digest="",
            first_run="r",
            last_run="r",
        )

    held = Held([entry("b"), entry("a", submission=NOW), entry("c", submission=NOW)])
    assert [one.row.id for one in held.by_submission()] == ["b", "c", "a"]


def test_what_memory_cannot_hold_comes_back_by_its_place() -> None:
    with Spill() as spill:
        for number in (3, 1, 2):
            spill.add("told", ("a", float(number)), str(number).encode())
        spill.add("other", ("a", 0.0), b"no")
        assert list(spill.ordered("told")) == [b"1", b"2", b"3"]
        assert list(spill.ordered("told")) == [b"1", b"2", b"3"]
        spill.put("of job", "x", b"one")
        spill.put("of job", "x", b"two")
        assert spill.get("of job", ("x", "y")) == {"x": b"two"}
        assert spill.get("of job", ()) == {}


def test_no_room_for_it_is_one_line() -> None:
    spill = Spill()
    with spill:
        pass
    with pytest.raises(JmreportError, match="no room for what memory cannot hold"):
        spill.get("of job", ("x",))
