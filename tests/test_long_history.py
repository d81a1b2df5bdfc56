"""Many nights of the same work: what a row of another night costs."""

import tracemalloc
from datetime import timedelta
from pathlib import Path

from snapshot_cases import ASKED, NOW, run_of

from jmreport.analysis import summarise
from jmreport.records import Entry, Record
from jmreport.snapshots import Redaction, Store

JOBS, NIGHTS = 200, 8
#: What one more night may cost for each of its jobs, in bytes.
MOST_BYTES = 1_100


def write_night(root: Path, night: int) -> None:
    """The same work on the same samples, under new ids."""
    now = NOW + timedelta(days=night)
    with (
        Store.open(root, summarise=summarise, create=True) as store,
        store.begin(now, Redaction(), asked=ASKED, version="1") as writer,
    ):
        for number in range(JOBS):
            row = {
                "id": f"{night:04}{number:04}-77aa-4344-b248-13abb73e7a7f",
                "name": f"a_workflow_of_many_{number % 10}",
                "status": "Succeeded",
                "submission": (now - timedelta(hours=9)).isoformat(),
                "start": (now - timedelta(hours=8)).isoformat(),
                "end": (now - timedelta(hours=7, seconds=number)).isoformat(),
                "labels": {"sample": f"NA{number:05}", "owner": "ana", "zone": "us-central1-a"},
                "extensions": {"userId": "ana@example.org"},
            }
            detail = {**row, "inputs": {"bam": f"gs://bucket/NA{number:05}.bam"}}
            writer.list_row(row)
            writer.add(Record(id=str(row["id"]), row=row, detail=detail))
        writer.finish(run_of(writer))


def held(root: Path) -> tuple[int, tuple[Entry, ...]]:
    """Bytes that all entries of a store take, and the entries."""
    with Store.open(root, summarise=summarise) as store:
        store.count()
        tracemalloc.start()
        entries = tuple(store.entries())
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return taken, entries


def test_a_row_of_another_night_costs_its_id_its_times_and_its_digests(tmp_path: Path) -> None:
    """Ninety nights of five thousand jobs are 450 000 rows, and a report looks at all of them."""
    write_night(tmp_path, 0)
    one, _ = held(tmp_path)
    for night in range(1, NIGHTS):
        write_night(tmp_path, night)
    all_of_them, entries = held(tmp_path)
    assert len(entries) == JOBS * NIGHTS
    assert (all_of_them - one) / (JOBS * (NIGHTS - 1)) < MOST_BYTES
    # Shared, and still its own: another sample has other labels.
    labels = {entry.row.labels["sample"] for entry in entries}
    assert labels == {f"NA{number:05}" for number in range(JOBS)}
    assert len({id(entry.row.labels) for entry in entries}) == JOBS
