"""What the store keeps, and how it is found again: docs/snapshots.md as a specification."""

import os
import pickle
import re
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doses import dose
from hypothesis import given, settings
from hypothesis import strategies as st
from snapshot_cases import (
    NOW,
    a_night,
    begun,
    opened,
    record,
    row,
    run_of,
    summarise,
    write_run,
)

from jmreport.errors import SnapshotError
from jmreport.gaps import Gap
from jmreport.records import Entry, Record
from jmreport.snapshots import check, files, filling, index, read_records, runs
from jmreport.snapshots.check import INCOMING, OF_ROOT, same
from jmreport.snapshots.summaries import Records

GAP = Gap(what="job", why="server error 500", job="job-1")


def only(root: Path, job: str = "job-1") -> Entry:
    with opened(root) as store:
        entry = store.entry(job)
    assert entry is not None
    return entry


def kept(root: Path, job: str = "job-1") -> Record:
    with opened(root) as store:
        return store.record(job)


def test_a_store_is_laid_out_as_documented(tmp_path: Path) -> None:
    """Every file of a run, its shards full but for the last, and nothing besides."""
    a_night(tmp_path)
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    run = "runs/20261123T021400Z"
    assert found == [
        "format.json",
        "index.sqlite",
        f"{run}/aggregations.json",
        *(f"{run}/jobs-000{number}.jsonl.zst" for number in range(5)),
        f"{run}/query.jsonl.zst",
        f"{run}/run.json",
        f"{run}/seen.jsonl.zst",
        f"summaries/runs.20261123T021400Z.{index.made_by(summarise)[:16]}.zst",
    ]
    assert len(list(files.lines(tmp_path / run / "jobs-0000.jsonl.zst"))) == 5
    assert list(files.lines(tmp_path / run / "seen.jsonl.zst")) == [b'"job-of-nobody"\n']
    about = msgspec.json.decode((tmp_path / run / "run.json").read_bytes())
    assert about["counts"]["stored"] == about["files"]["query.jsonl.zst"]["lines"] == 23


def test_which_runs_ended_is_seen_while_a_store_is_open(tmp_path: Path) -> None:
    """Not those that go on, and no folder of somebody's own; another run.json is another store."""
    first = write_run(tmp_path, [record(1)])
    shutil.copytree(tmp_path / "runs" / first.id, tmp_path / "runs/copy")
    with opened(tmp_path) as store:
        before = store.ended()
        assert [*before] == [first.id]
        with opened(tmp_path) as other, begun(other, days=1) as writer:
            assert store.ended() == before
            run = writer.finish(run_of(writer))
        assert [*store.ended()] == [first.id, run.id]
        about = tmp_path / "runs" / first.id / "run.json"
        about.write_bytes(about.read_bytes() + b"\n")
        assert store.ended()[first.id] != before[first.id]


def test_an_unchanged_job_is_not_stored_again(tmp_path: Path) -> None:
    """It is seen by the later run, and its record is the earlier's."""
    first = write_run(tmp_path, [record(1)])
    second = write_run(tmp_path, [record(1)], days=1)
    entry = only(tmp_path)
    assert (entry.run, entry.first_run, entry.last_run) == (first.id, first.id, second.id)
    assert second.counts.stored == 0
    assert not list((tmp_path / "runs" / second.id).glob("jobs-*"))


def test_a_changed_job_is_stored_again_and_the_older_record_stays(tmp_path: Path) -> None:
    first = write_run(tmp_path, [record(1, "Running")])
    second = write_run(tmp_path, [record(1, "Failed")], days=1)
    entry = only(tmp_path)
    assert (entry.row.status, entry.run, entry.first_run) == ("Failed", second.id, first.id)
    old = next(read_records(tmp_path, f"runs/{first.id}/jobs-0000.jsonl.zst", (0,)))
    assert old.row["status"] == "Running"


@pytest.mark.parametrize(
    "unknown", [record(1, "Running"), record(1, detail=None, gaps=(GAP,))], ids=["runs", "unread"]
)
def test_a_job_tells_since_which_run_its_outcome_is_known(unknown: Record, tmp_path: Path) -> None:
    """Not while it runs, nor while its detail cannot be read; labels that change leave it alone."""
    relabelled = record(1, row={**row(1), "labels": {"a": "b"}})
    made = []
    for day, of_night in enumerate([unknown, record(1), relabelled]):
        made.append(write_run(tmp_path, [of_night], days=day).id)
        assert only(tmp_path).told_run == made[min(day, 1)]
    assert only(tmp_path).run == made[2]


def test_a_job_tells_which_run_found_it_ended_that_others_had_found_active(tmp_path: Path) -> None:
    """That it could not be read then, or is read again later, changes nothing."""
    unread = record(1, detail=None, gaps=(GAP,))
    made = []
    for day, of_night in enumerate([record(1, "Running"), unread, record(1), record(1, "Running")]):
        made.append(write_run(tmp_path, [of_night, record(2)], days=day).id)
        for _ in ("the index that grew", "one that is made anew"):
            assert only(tmp_path).ended_run == (made[1] if day in (1, 2) else "")
            assert only(tmp_path, "job-2").ended_run == ""
            (tmp_path / index.NAME).unlink()


def test_a_list_row_is_recognised_by_its_digest(tmp_path: Path) -> None:
    """The order of keys does not count, nor do secrets; a change of the row does."""
    write_run(tmp_path, [record(1, row={**row(1), "token": "canary"})])
    with opened(tmp_path) as store, begun(store, days=1) as writer:
        backwards = dict(reversed([*row(1).items(), ("token", "another")]))
        assert store.row_digest(backwards) == only(tmp_path).row_digest
        assert writer.list_row(backwards) == writer.row_digest(backwards)
        assert store.row_digest(row(1, "Failed")) != only(tmp_path).row_digest


def test_active_jobs_are_found_without_reading_all(tmp_path: Path) -> None:
    write_run(tmp_path, [record(1, "Running"), record(2), record(3, "Paused")])
    with opened(tmp_path) as store:
        assert [entry.row.id for entry in store.active()] == ["job-1", "job-3"]


def test_a_job_that_cannot_be_read_any_more_keeps_what_was_read(tmp_path: Path) -> None:
    """Its row is the new one, its detail the old one, and it says which run read that."""
    logs = {"gs://b/stderr": {"contents": "killed"}}
    first = write_run(tmp_path, [record(1, "Running", logs=logs, operations={"op": {"id": "x"}})])
    gap = record(1, "Failed", detail=None, gaps=(GAP,))
    write_run(tmp_path, [gap], days=1)
    third = write_run(tmp_path, [gap], days=2)
    found = kept(tmp_path)
    assert found.row["status"] == "Failed"
    assert found.detail["status"] == "Running"
    assert found.detail_from == first.id
    assert (found.logs, found.operations, found.gaps) == (logs, {"op": {"id": "x"}}, (GAP,))
    assert third.counts.stored == 0
    write_run(tmp_path, [record(1, "Failed")], days=3)
    again = kept(tmp_path)
    assert (again.detail["status"], again.detail_from, again.gaps) == ("Failed", "", ())
    assert again.logs == logs


def test_a_server_that_answers_nonsense_does_not_replace_what_was_read(tmp_path: Path) -> None:
    """A proxy's page in the place of a detail is kept only where nothing better is."""
    write_run(tmp_path, [record(1)])
    write_run(
        tmp_path, [record(1, detail="<html>", gaps=(GAP,)), record(2, detail="<html>")], days=1
    )
    assert isinstance(kept(tmp_path).detail, dict)
    assert kept(tmp_path, "job-2").detail == "<html>"


def test_attempts_are_kept_task_by_task_and_shard_by_shard(tmp_path: Path) -> None:
    write_run(
        tmp_path,
        [record(1, attempts={"A": 1, "B": 1}, shard_attempts={"S": {"0": 1, "1": 1}}, parent="p")],
    )
    newer = record(1, row=None, attempts={"A": 2}, shard_attempts={"S": {"1": 2}})
    write_run(tmp_path, [newer], days=1)
    found = kept(tmp_path)
    assert (found.attempts, found.shard_attempts) == ({"A": 2, "B": 1}, {"S": {"0": 1, "1": 2}})
    assert (found.parent, found.row) == ("p", row(1))


def test_a_job_that_comes_twice_in_a_run_is_one(tmp_path: Path) -> None:
    """The second record takes up the first, which lies in a shard that is still open."""
    write_run(tmp_path, [record(1), record(1, detail=None, gaps=(GAP,))])
    assert kept(tmp_path).detail is not None
    with opened(tmp_path) as store:
        assert len(list(store.entries())) == 1
        assert store.check() == ()


def test_only_what_was_found_is_seen(tmp_path: Path) -> None:
    """A followed job that the server knows no more keeps the run that last found it."""
    first = write_run(tmp_path, [record(1), record(2), record(3)])
    with opened(tmp_path) as store, begun(store, days=1) as writer:
        writer.add(Record(id="job-1", gaps=(GAP,)))
        writer.seen("job-2")
        second = writer.finish(run_of(writer, state="incomplete"))
    with opened(tmp_path) as store:
        last = {entry.row.id: entry.last_run for entry in store.entries()}
    assert last == {"job-1": first.id, "job-2": second.id, "job-3": first.id}


def test_a_failed_run_is_kept_with_its_reason_and_moves_nothing(tmp_path: Path) -> None:
    """It lists a job, yet only usable runs say where a job was last seen."""
    first = write_run(tmp_path, [record(1)])
    with opened(tmp_path) as store, begun(store, days=1) as writer:
        writer.list_row(row(1))
        told = msgspec.structs.replace(run_of(writer), reason="Bearer canary-token refused")
        writer.fail(told)
        assert [(run.state, run.usable) for run in store.runs()] == [
            ("complete", True),
            ("failed", False),
        ]
        assert store.runs()[1].reason == "Bearer [taken out] refused"
    assert only(tmp_path).last_run == first.id


def test_a_run_tells_its_true_now_and_ids_sort_as_runs_were_made(tmp_path: Path) -> None:
    """The same now again, and a clock that went back, get ids behind those that are there."""
    ids = [write_run(tmp_path, [record(1)], days=days).id for days in (0, 0, -3, 1)]
    assert ids == [
        "20261123T021400Z",
        "20261123T021400Z-0002",
        "20261123T021400Z-0003",
        "20261124T021400Z",
    ]
    with opened(tmp_path) as store:
        assert [run.id for run in store.runs()] == ids
        assert store.runs()[2].now == NOW - timedelta(days=3)


def test_aggregations_are_kept_by_time_frame(tmp_path: Path) -> None:
    a_night(tmp_path)
    with opened(tmp_path) as store:
        (run,) = store.runs()
        assert store.aggregations(run.id) == {"DAYS_7": {"summary": {"counts": []}}}
        assert store.aggregations("never") == {}


def test_records_are_read_by_line_from_another_process(tmp_path: Path) -> None:
    """Only the wanted lines, in the order of the file; a line that is not there is an error."""
    run = write_run(tmp_path, [record(n) for n in range(10)])
    shard = f"runs/{run.id}/jobs-0000.jsonl.zst"
    reader = pickle.loads(pickle.dumps(partial(read_records, tmp_path)))  # noqa: S301 - our own
    assert [one.id for one in reader(shard, [7, 2])] == ["job-2", "job-7"]
    assert list(reader(shard, [])) == []
    with pytest.raises(SnapshotError, match="has no line 11"):
        list(reader(shard, [10]))


def test_a_job_nobody_knows_is_said_so(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert store.entry("\ud800 nobody") is None
        with pytest.raises(SnapshotError, match="no job nobody"):
            store.record("nobody")


def test_a_store_that_was_copied_needs_no_new_index(tmp_path: Path) -> None:
    """Times of files differ in the copy; contents decide."""
    write_run(tmp_path, [record(1)])
    (run_json,) = tmp_path.glob("runs/*/run.json")
    before = (tmp_path / index.NAME).stat()
    body = run_json.read_bytes()
    run_json.unlink()
    run_json.write_bytes(body)
    with opened(tmp_path) as store:
        assert store.entry("job-1") is not None
    assert (tmp_path / index.NAME).stat().st_ino == before.st_ino


def test_a_run_that_was_taken_away_is_out_of_the_index(tmp_path: Path) -> None:
    write_run(tmp_path, [record(1)])
    last = write_run(tmp_path, [record(1, "Failed"), record(2)], days=1)
    for path in sorted((tmp_path / "runs" / last.id).iterdir()):
        path.unlink()
    (tmp_path / "runs" / last.id).rmdir()
    with opened(tmp_path) as store:
        assert [(e.row.id, e.row.status) for e in store.entries()] == [("job-1", "Succeeded")]


def test_the_document_names_every_file_of_a_store(tmp_path: Path) -> None:
    a_night(tmp_path)
    text = (Path(__file__).parents[1] / "docs" / "snapshots.md").read_text()
    for path in tmp_path.rglob("*.*"):
        name = re.sub(r"jobs-\d+", "jobs-0000", path.name)
        assert re.sub(r"[0-9a-f]{16}\.zst", "3f9c01d2a4b5c6d7.zst", name) in text, path.name
    for name in OF_ROOT - {INCOMING}:
        assert name in text, name
    for name in (*Record.__struct_fields__, *runs.StoredRun.__struct_fields__):
        assert f"`{name}`" in text, name


@pytest.mark.skipif(shutil.which("zstdcat") is None, reason="there is no zstdcat here")
def test_the_newest_record_is_found_with_the_documents_own_command(tmp_path: Path) -> None:
    """Behind what is left of pruned runs, and in the second run of one second."""
    text = (Path(__file__).parents[1] / "docs" / "snapshots.md").read_text()
    (command,) = re.findall(r"^    (for run in .*)$", text, re.MULTILINE)
    for status in ("Submitted", "Running", "Failed"):
        write_run(tmp_path, [record(1, status)])
    first, second, third = sorted(path.name for path in (tmp_path / "runs").iterdir())
    (tmp_path / "pruned").mkdir()
    (tmp_path / "runs" / first).rename(tmp_path / "pruned" / first)
    for left, status in (([second, third], "Failed"), ([second], "Running"), ([], "Submitted")):
        for path in (tmp_path / "runs").iterdir():
            if path.name not in left:
                shutil.rmtree(path)
        found = subprocess.run(  # noqa: S603 - the document's own line
            ["/bin/sh", "-c", command.replace("a1b2c3d4", "job-1")],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert f'"{status}"' in found.stdout
        assert found.stdout.count("\n") == 1


#: No letters of which a secret's name could be made.
_key = st.text('xyz é\x00"\\·', max_size=6)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _finite | st.text('xyz é\x00\n"\\·'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_key, inner, max_size=3),
    max_leaves=8,
)
_records = st.builds(
    lambda number, **fields: Record(id=f"job-{number}", **fields),
    number=st.integers(0, 4),
    row=st.none() | st.dictionaries(_key, _json, max_size=3),
    detail=_json,
    parent=st.none() | st.just("job-0"),
    attempts=st.dictionaries(st.text(max_size=3), _json, max_size=2),
    logs=st.dictionaries(st.text(max_size=3), _json, max_size=2),
    gaps=st.just(()) | st.just((GAP,)),
)


@settings(max_examples=dose(40), deadline=None)
@given(nights=st.lists(st.lists(_records, max_size=6), min_size=1, max_size=4))
def test_an_index_made_anew_equals_the_one_that_grew(nights: list[list[Record]]) -> None:
    """Law: whatever was written in whatever order, and the store is whole."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for day, night in enumerate(nights):
            write_run(root, night, days=day)
        maker = index.made_by(summarise)
        grown, made = index.existing(root, maker), filling.rebuilt(root, maker, Records(summarise))
        assert grown is not None
        assert same(grown, made)
        grown.close()
        made.close()
        assert check(root, summarise) == ()


@settings(max_examples=dose(60), deadline=None)
@given(detail=st.dictionaries(_key, _json, max_size=4))
def test_a_tree_without_secrets_comes_back_as_it_was(detail: dict[str, Any]) -> None:
    """Law: a round trip through the store changes nothing, unknown fields included."""
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder), [Record(id="x", detail=detail)])
        found = kept(Path(folder), "x")
        assert msgspec.json.encode(found.detail) == msgspec.json.encode(detail)
        assert datetime.fromisoformat(run.now.isoformat()).tzinfo is UTC


@pytest.mark.parametrize("lost", [1, 9, 3_000])
def test_of_a_file_that_breaks_off_every_line_before_the_last_block_is_read(
    tmp_path: Path, lost: int
) -> None:
    """A kill takes a block of text away, and no more: however much a reader asks for at a time."""
    lines = [os.urandom(1_000).hex().encode() for _ in range(100)]
    path = tmp_path / "jobs-0000.jsonl.zst"
    written = files.LineFile(path)
    for line in lines:
        written.write(line)
    written.commit()
    path.write_bytes(path.read_bytes()[:-lost])
    found = [*files.readable_lines(path)]
    assert [line.rstrip() for line in found] == lines[: len(found)]
    assert len(found) >= len(lines) - 2 * files.BLOCK // 2_001 - lost // 1_000
