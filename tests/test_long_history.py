"""Many nights of the same work: what is kept of all that lies before the report's window."""

import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest
from held import Held
from msgspec.structs import replace
from snapshot_cases import ASKED, NOW, run_of

from jmreport.analysis import analyse, contexts, summarise
from jmreport.records import Record
from jmreport.settings import ReportSettings
from jmreport.snapshots import Redaction, Store

JOBS, FEW, MANY = 150, 8, 32
#: What one more job from before the window may cost while it is analysed, in bytes: its id and
#: its places in the lists of its labels.
MOST_BYTES = 280


def write_night(root: Path, night: int) -> None:
    """The same work on the same samples, under new ids; a window of one day."""
    now = NOW + timedelta(days=night)
    asked = replace(ASKED, since=now - timedelta(days=1))
    with (
        Store.open(root, summarise=summarise, create=True) as store,
        store.begin(now, Redaction(), asked=asked, version="1") as writer,
    ):
        for number in range(JOBS):
            row = {
                "id": f"{night:04}{number:04}-77aa-4344-b248-13abb73e7a7f",
                "name": f"a_workflow_of_many_{number % 10}",
                "status": "Failed" if (number + night) % 37 == 0 else "Succeeded",
                "submission": (now - timedelta(hours=9)).isoformat(),
                "start": (now - timedelta(hours=8)).isoformat(),
                "end": (now - timedelta(hours=7, seconds=number)).isoformat(),
                "labels": {"sample": f"NA{number:05}", "owner": "ana", "zone": "us-central1-a"},
                "extensions": {"userId": "ana@example.org"},
            }
            detail = {**row, "inputs": {"bam": f"gs://bucket/NA{number:05}.bam"}}
            writer.list_row(row)
            writer.add(Record(id=str(row["id"]), row=row, detail=detail))
        writer.finish(replace(run_of(writer), asked=asked))


def peaks(root: Path) -> tuple[int, int]:
    """Bytes at most while a store is analysed, and while the contexts of its jobs stream by."""
    with Store.open(root, summarise=summarise) as store:
        runs = store.runs()
        tracemalloc.start()
        report = analyse(store, runs, {}, settings=ReportSettings())
        _, analysing = tracemalloc.get_traced_memory()
        assert report.counts.total == JOBS
        del report
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        assert sum(1 for _ in contexts(store, runs)) == store.count()
        _, streaming = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return analysing, streaming - before


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of many nights."""
    root = tmp_path_factory.mktemp("history") / "snapshots"
    for night in range(MANY):
        write_night(root, night)
    return root


def test_a_job_from_before_the_window_costs_little_more_than_its_id(
    history: Path, tmp_path: Path
) -> None:
    """Ninety nights of five thousand jobs are 450 000, and a report counts all of them."""
    for night in range(FEW):
        write_night(tmp_path, night)
    few, few_streamed = peaks(tmp_path)
    many, many_streamed = peaks(history)
    more = (MANY - FEW) * JOBS
    assert (many - few) / more < MOST_BYTES
    # Contexts are worked out on the disk; of each successful run 16 bytes stay in memory, and
    # values that several jobs have.
    assert (many_streamed - few_streamed) / more < 300


def test_a_history_that_is_streamed_is_told_like_one_in_memory(history: Path) -> None:
    """Every number and every context, whichever way the jobs come."""
    with Store.open(history, summarise=summarise) as store:
        runs, held = store.runs(), Held(store.entries())
        of_store = analyse(store, runs, {}, settings=ReportSettings())
        of_memory = analyse(held, runs, {}, settings=ReportSettings())
        assert of_store == of_memory
        assert list(contexts(store, runs)) == list(contexts(held, runs))
        of_all_time = of_store.labels[0].frames[-1].values[0]
        jobs = of_store.labels[0].jobs.jobs(of_all_time.value, of_all_time.split.counts)
        assert len(jobs) == JOBS * MANY // 10


def test_a_key_is_told_by_jobs_from_before_all_that_is_kept(history: Path) -> None:
    """Failing once in 37 nights, each key knows its last success, whichever night that was."""
    with Store.open(history, summarise=summarise) as store:
        report = analyse(store, store.runs(), {}, settings=ReportSettings())
        failing = [job for group in report.attention for job in group.jobs]
        assert failing
        last = {group.last_success for group in report.attention}
        assert None not in last
