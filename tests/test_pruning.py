"""Old runs go; what later ones lean on stays known, as it was, wherever a prune is stopped."""

import errno
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from campaigns import kills
from doses import dose, each
from hypothesis import example, given, settings
from hypothesis import strategies as st
from snapshot_cases import (
    NOW,
    a_prune,
    before_each_write,
    begun,
    count_writes,
    killed_at,
    nights_to_prune,
    opened,
    record,
    row,
    run_of,
    small_shards,
    summarise,
    temporaries,
    write_run,
)

from jmreport.errors import Exit, JmreportError, LockedError, SnapshotError
from jmreport.records import Entry, Record, Run
from jmreport.snapshots import (
    carried,
    check,
    files,
    index,
    pruning,
    replay,
    runs,
    summaries,
)
from jmreport.snapshots.export import name_of

HARMLESS = "left by a prune that was killed"


def no_more(_: tuple[Run, ...]) -> Iterable[str]:
    """Nothing but what the store itself knows to be needed."""
    return ()


def pruned(
    root: Path, *, days: int, now: int = 30, leaning: pruning.Leaning = no_more
) -> pruning.Pruned:
    """The runs from before so many days after the first go, `now` days after it."""
    with opened(root) as store:
        return store.prune(
            NOW + timedelta(days=days), now=NOW + timedelta(days=now), leaning=leaning
        )


class Known(NamedTuple):
    """What a store says of a job."""

    record: Record
    entry: Entry


def known(root: Path) -> dict[str, Known]:
    with opened(root) as store:
        return {
            entry.row.id: Known(
                store.record(entry.row.id), msgspec.structs.replace(entry, shard="", line=0)
            )
            for entry in store.entries()
        }


def after_each_run(root: Path) -> dict[str, dict[str, Entry]]:
    """What was known after each run that is there, but for where it lies."""
    with opened(root) as store:
        there = frozenset(run.id for run in store.runs())
    return {
        then.runs[-1].id: {
            entry.row.id: msgspec.structs.replace(entry, shard="", line=0)
            for entry in then.history.by_submission()
        }
        for then in replay(root, summarise=summarise, wanted=there)
    }


def test_what_a_run_without_a_report_had_read_is_told_as_before_when_it_went(
    tmp_path: Path,
) -> None:
    """Attempt 1 failed before the report that knew of attempt 2, and 3 before that of 4."""
    attempts = [f"+align--ana--261101-200000-000001++{number}" for number in (1, 2, 3, 4)]
    states: tuple[Any, ...] = ("refreshed", "complete", "complete", "complete", "complete")
    for day, (state, job) in enumerate(zip(states, [*attempts, "other"], strict=True)):
        with opened(tmp_path) as store, begun(store, days=day) as writer:
            one = record(day, "Failed", id=job)
            writer.list_row({**row(day, "Failed"), "id": job})
            writer.add(one)
            writer.finish(run_of(writer, state=state))
    before = retried(tmp_path)
    assert before == {attempts[0]: attempts[1]}
    pruned(tmp_path, days=3, leaning=lambda _: attempts)
    assert retried(tmp_path) == before
    (tmp_path / index.NAME).unlink()
    assert retried(tmp_path) == before


def retried(root: Path) -> dict[str, str]:
    """The attempts that were retried, and by which."""
    found = known(root).values()
    return {one.entry.row.id: by for one in found if (by := one.entry.row.retried_by)}


# --- the law ---------------------------------------------------------------------------------

_jobs = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.sampled_from(("Succeeded", "Failed", "Running")),
        st.sampled_from((None, None, 0, 3)),
    ),
    max_size=5,
)
_nights = st.lists(
    st.tuples(_jobs, st.lists(st.integers(0, 7), max_size=3), st.sampled_from("ccccif")),
    min_size=1,
    max_size=7,
)
_STATES: dict[str, Any] = {"c": "complete", "i": "incomplete", "f": "failed"}


def written(root: Path, nights: list[Any]) -> None:
    """A run a night: jobs that are read, jobs that are only seen, and how it ended."""
    for day, (jobs, seen, state) in enumerate(nights):
        with opened(root) as store, begun(store, days=day) as writer:
            for number, status, parent in jobs:
                more = {"parent": f"job-{parent}"} if parent is not None else {}
                one = record(number, status, **more)
                writer.list_row(one.row)
                writer.add(one)
            for number in seen:
                writer.seen(f"job-{number}")
            writer.finish(run_of(writer, state=_STATES[state]))


def tree_of(entries: Iterable[Entry], wanted: set[str]) -> set[str]:
    """The jobs above and below these, and so on: by asking again until nothing is added."""
    pairs = [(entry.row.id, entry.row.parent) for entry in entries if entry.row.parent]
    while True:
        more = {one for pair in pairs if wanted & set(pair) for one in pair if one}
        if more <= wanted:
            return wanted
        wanted |= more


#: Read by two runs that go, and then by one that failed: last seen by the second.
_READ_AGAIN_BY_A_FAILED_RUN: list[Any] = [
    ([(0, "Succeeded", None)], [], "c"),
    ([(0, "Failed", None)], [], "c"),
    ([], [], "c"),
    ([(0, "Succeeded", None)], [], "f"),
]


@settings(max_examples=dose(60), deadline=None)
@example(nights=_READ_AGAIN_BY_A_FAILED_RUN, cuts=[2], leant_on=set(), cached=False)
@given(
    nights=_nights,
    cuts=st.lists(st.integers(0, 8), min_size=1, max_size=3),
    leant_on=st.sets(st.integers(0, 7), max_size=2),
    cached=st.booleans(),
)
def test_what_a_run_that_stays_knew_is_known_with_the_same_record_and_no_more_is_kept(
    nights: list[Any], cuts: list[int], leant_on: set[int], cached: bool
) -> None:
    """Law: for any history and any prunes one after another; the store is whole, and doing it
    again changes nothing."""
    leaning = {f"job-{number}" for number in leant_on}
    with tempfile.TemporaryDirectory() as folder, small_shards(2):
        root = Path(folder) / "store"
        written(root, nights)
        for days in sorted(cuts):
            before, then = known(root), after_each_run(root)
            with opened(root) as store:
                all_runs = [run.id for run in store.runs()]
                usable = [run.id for run in store.runs() if run.usable]
                weighed = store.would_prune(
                    NOW + timedelta(days=days), now=NOW, leaning=lambda _: leaning
                )
            if not cached:
                (root / index.NAME).unlink()
            done = pruned(root, days=days, leaning=lambda _: leaning)
            assert done == weighed
            with opened(root) as store:
                staying = {run.id for run in store.runs()}
                assert [run.id for run in store.pruned()][-len(done.runs) :] == list(
                    done.runs
                ) or not done.runs
            assert set(all_runs) == staying | set(done.runs)
            assert not usable or usable[-1] in staying
            after = known(root)
            if done.runs:
                entries = [each.entry for each in before.values()]
                told = {
                    entry.row.id
                    for entry in entries
                    if entry.run in staying or entry.last_run in staying or entry.row.active
                }
                needed = tree_of(entries, told | leaning) & before.keys()
                assert after == {job: before[job] for job in needed}
                assert done.dropped == before.keys() - needed
                for run, jobs in after_each_run(root).items():
                    assert jobs == {
                        job: jobs_then for job, jobs_then in then[run].items() if job in needed
                    }
            else:
                assert after == before
            assert check(root, summarise) == ()
            assert pruned(root, days=days, leaning=lambda _: leaning) == pruning.Pruned()


# --- stopped anywhere ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that was pruned before and can be pruned again."""
    root = tmp_path_factory.mktemp("store") / "snapshots"
    nights_to_prune(root)
    return root


def faults(root: Path) -> list[str]:
    return [
        f"{fault.what}: {fault.why}"
        for fault in check(root, summarise)
        if not fault.why.startswith((HARMLESS, *kills.HARMLESS))
    ]


def copied(store: Path, tmp_path: Path) -> Path:
    root = tmp_path / "snapshots"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(store, root)
    return root


def whole(root: Path) -> dict[str, bytes]:
    """Every file but the caches and whom to name when two want to write; when it was pruned too."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and path.name not in (index.NAME, "lock")
        and path.parent.name != summaries.NAME
    }


def test_killed_before_any_write_a_prune_loses_nothing_and_the_next_completes(
    store: Path, tmp_path: Path
) -> None:
    """SIGKILL at any write: what stays was never gone, what goes may be half gone.

    At each third of them, or at all in a whole dose; of the others the tests below are.
    """
    done = copied(store, tmp_path)
    writes = count_writes(done, a_prune)
    assert writes > 40
    end, before = whole(done), known(store)
    after = known(done)
    assert {*before} - {*after} == {f"job-{number}" for number in range(106, 116)}
    for at, wanted in enumerate(each(writes)):
        root = copied(store, tmp_path)
        assert killed_at(wanted, a_prune, root) == -signal.SIGKILL
        assert faults(root) == []
        there = known(root)
        assert there in (before, after)
        if at % 3 == 2:  # the next run, too, removes what is left
            write_run(root, [record(1)], days=9)
            assert check(root, summarise) == ()
            continue
        a_prune(root)
        assert whole(root) == end
        assert known(root) == after
        assert check(root, summarise) == ()


@pytest.mark.parametrize("stays_full", [False, True])
def test_every_write_of_a_prune_may_fail_and_the_store_stays_whole(
    store: Path, tmp_path: Path, *, stays_full: bool
) -> None:
    """The Nth fails: an error that names a file, or only the cache was concerned.

    Each third N, of which each of both has others, or every N in a whole dose.
    """
    done = copied(store, tmp_path)
    writes = count_writes(done, a_prune)
    end, before, after = whole(done), known(store), known(done)
    for wanted in each(writes, first=3 if stays_full else 2):
        root = copied(store, tmp_path)

        def full(number: int, name: str, wanted: int = wanted) -> None:
            due = number >= wanted if stays_full else number == wanted
            if due and name not in ("unlink", "rmdir"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        error = failure_of(root, full)
        if error is not None:
            assert error.code is Exit.FAILED
            assert str(root) in error.message
            assert "free some space" in error.hint
        assert faults(root) == []
        assert temporaries(root) == []
        assert known(root) in (before, after)
        a_prune(root)
        assert whole(root) == end
        assert check(root, summarise) == ()


def failure_of(root: Path, act: Callable[[int, str], None]) -> JmreportError | None:
    """What a prune says when writes fail."""
    try:
        with before_each_write(act):
            a_prune(root)
    except JmreportError as error:
        return error
    return None


# --- beside others, and what readers are told ------------------------------------------------


def test_a_prune_and_a_run_never_write_together(store: Path, tmp_path: Path) -> None:
    root = copied(store, tmp_path)
    with opened(root) as first, begun(first, days=9), pytest.raises(LockedError):
        pruned(root, days=2)
    pruned(root, days=2)
    write_run(root, [record(1)], days=9)
    assert check(root, summarise) == ()


def test_who_reads_on_while_runs_go_is_told_to_begin_again(store: Path, tmp_path: Path) -> None:
    """What it had listed it still lists; a record that went is an error with what to do."""
    root = copied(store, tmp_path)
    with opened(root) as reader:
        jobs = [entry.row.id for entry in reader.entries()]
        pruned(root, days=2)
        assert [entry.row.id for entry in reader.entries()] == jobs
        with pytest.raises(SnapshotError) as told:
            reader.record("job-106")
        assert "if `jmreport prune` ran meanwhile, run this again" in told.value.hint
    with opened(root) as reader, pytest.raises(SnapshotError, match="no job job-106"):
        reader.record("job-106")


def test_carried_records_lie_there_as_they_were_stored(tmp_path: Path) -> None:
    """The same bytes of each line, and the run that stored it is still named."""
    root = tmp_path / "snapshots"
    first = write_run(root, [record(1), record(2)])
    write_run(root, [record(3)], days=1)
    line = next(iter(runs_lines(root / "runs" / first.id)))
    done = pruned(root, days=1, leaning=lambda _: ("job-1",))
    assert (done.runs, done.dropped, done.carried) == ((first.id,), frozenset({"job-2"}), 1)
    assert list(runs_lines(root / "pruned" / first.id)) == [line]
    with opened(root) as there:
        entry = there.entry("job-1")
        assert entry is not None
        assert (entry.run, entry.first_run, entry.last_run) == (first.id, first.id, first.id)
        assert entry.shard == f"pruned/{first.id}/jobs-0000.jsonl.zst"
        assert [run for run, _ in there.states("job-1")] == [first.id]
        [gone] = there.pruned()
        assert (gone.id, gone.now, gone.asked, gone.pruned) == (
            first.id,
            first.now,
            first.asked,
            True,
        )


def runs_lines(folder: Path) -> Iterable[bytes]:
    for shard in runs.shards(folder):
        yield from files.lines(shard)


def test_the_newest_usable_run_stays_however_old_it_is(tmp_path: Path) -> None:
    """With it the runs behind it, which brought nothing; a store without a usable run stays."""
    root = tmp_path / "snapshots"
    with opened(root) as store, begun(store) as writer:
        writer.fail(run_of(writer, state="failed"))
    assert pruned(root, days=999) == pruning.Pruned()
    good = write_run(root, [record(1)], days=1)
    with opened(root) as store, begun(store, days=2) as writer:
        last = writer.fail(run_of(writer, state="failed"))
    assert len(pruned(root, days=999).runs) == 1
    with opened(root) as store:
        assert [run.id for run in store.runs()] == [good.id, last.id]


def test_a_run_is_as_old_as_its_own_now_and_stays_behind_one_that_stays(tmp_path: Path) -> None:
    """Where a clock went back: nothing that is old is kept for ever, nothing young ever goes."""
    root = tmp_path / "snapshots"
    for day in (0, 5, 1, 6):
        write_run(root, [record(day)], days=day)
    assert len(pruned(root, days=3).runs) == 1
    with opened(root) as store:
        assert [run.now - NOW for run in store.runs()] == [timedelta(days=d) for d in (5, 1, 6)]
    assert len(pruned(root, days=6).runs) == 2


def test_a_run_from_the_future_keeps_nothing_behind_it(tmp_path: Path) -> None:
    """A clock was ahead for a night: the run goes with the first old one behind it, not before."""
    root = tmp_path / "snapshots"
    for day in (0, 365, 1, 2, 3):
        write_run(root, [record(day)], days=day)
    assert len(pruned(root, days=1, now=3).runs) == 1
    assert len(pruned(root, days=2, now=3).runs) == 2
    with opened(root) as store:
        assert [run.now - NOW for run in store.runs()] == [timedelta(days=d) for d in (2, 3)]
    assert check(root, summarise) == ()


def test_what_differs_from_what_is_carried_is_named(store: Path, tmp_path: Path) -> None:
    """Bytes, lines beside other records, strangers, a missing file; a folder of another run."""
    root = copied(store, tmp_path)
    [folder] = (root / "pruned").iterdir()
    (folder / "more.txt").write_text("x")
    assert "no file of a snapshot store" in faults(root)[0]
    (folder / "more.txt").unlink()
    origins = folder / carried.ORIGINS
    body = origins.read_bytes()
    origins.write_bytes(body[:-3])
    assert any("changed" in fault or "cannot read" in fault for fault in faults(root))
    origins.unlink()
    assert any("is missing" in fault for fault in faults(root))
    origins.write_bytes(body)
    about = folder / runs.PRUNE
    text = about.read_text()
    about.write_text(text.replace(f'"upto": "{folder.name}"', '"upto": "20200101T000000Z"'))
    assert any("is of run 20200101T000000Z" in fault for fault in faults(root))
    about.write_text(text.replace('"format": 1', '"format": 9'))
    assert any("newer jmreport" in fault for fault in faults(root))


def test_an_export_holds_what_is_carried_and_says_which_runs_went(tmp_path: Path) -> None:
    root = tmp_path / "snapshots"
    first = write_run(root, [record(1), record(2)])
    write_run(root, [record(1, "Failed")], days=1)
    pruned(root, days=1, leaning=lambda _: ("job-2",))
    with opened(root) as store:
        made = store.export(tmp_path / "out", history=True)
    assert (made.jobs, made.states) == (2, 1)
    assert len(list((tmp_path / "out" / "history" / first.id).rglob("*.json"))) == 1
    [line] = (tmp_path / "out" / "pruned.ndjson").read_bytes().splitlines()
    assert msgspec.json.decode(line)["id"] == first.id


def test_an_export_goes_on_telling_of_jobs_that_were_pruned_since(tmp_path: Path) -> None:
    """Their files stand, so its list leads to them, however often it is brought up to date."""
    root, out = tmp_path / "snapshots", tmp_path / "out"
    write_run(root, [record(1), record(2)])
    write_run(root, [record(3)], days=1)
    with opened(root) as store:
        assert store.export(out).pruned == 0
    (out / "jobs" / name_of("job-2")).unlink()
    pruned(root, days=1)
    for _ in range(2):
        with opened(root) as store:
            made = store.export(out)
        assert (made.jobs, made.pruned) == (1, 1)
        lines = [json.loads(line) for line in (out / "index.ndjson").read_bytes().splitlines()]
        assert {line["id"]: line.get("pruned") for line in lines} == {"job-3": None, "job-1": True}
        assert (out / lines[1]["file"]).is_file()
        about = json.loads((out / "export.json").read_bytes())
        assert (about["whole"], about["jobs"], about["pruned"]) == (True, 1, 1)


def test_a_year_in_which_little_changes_shrinks_to_what_is_needed(tmp_path: Path) -> None:
    """Fifty nights that list the same jobs: one record a job stays, and the nights that stay."""
    root = tmp_path / "snapshots"
    for day in range(50):
        with opened(root) as store, begun(store, days=day) as writer:
            for number in range(40):
                writer.list_row(row(number))
                writer.add(record(number, logs={"gs://b/log": "x" * (day if number == 7 else 9)}))
            writer.finish(run_of(writer))
    before = sum(path.stat().st_size for path in root.rglob("runs/*/*"))
    done = pruned(root, days=40)
    assert (len(done.runs), done.carried, done.dropped) == (40, 40, frozenset())
    now = sum(path.stat().st_size for path in root.rglob("*/*/*"))
    assert before - now == pytest.approx(done.freed, abs=2_000)
    assert 0 < now < before / 3
