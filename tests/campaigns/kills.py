"""Kill a writer at random moments, many times, and look whether the store stayed whole.

    python -m tests.campaigns.kills [200]

Half of the kills come before the Nth write, for a random N; half after a random time. One store
lives through all of them.
"""

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from snapshot_cases import __file__ as PROGRAM  # noqa: N812 - a program here
from snapshot_cases import a_night, summarise

from jmreport.snapshots import Store, check

HARMLESS = ("left by a run that was killed", "interrupted, or still being written")


def writer(root: Path, *more: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, PROGRAM, str(root), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program


def kill_once(root: Path, chance: random.Random, *, writes: int, seconds: float) -> bool:
    """Kill a writer somewhere. Whether it died; it may have been done before."""
    if chance.random() < 0.5:
        process = writer(root, str(chance.randint(1, writes)))
    else:
        process = writer(root)
        time.sleep(chance.uniform(0, seconds))
        process.kill()
    return process.wait() == -signal.SIGKILL


def damage(root: Path) -> list[str]:
    """What is wrong with a store after a kill; leftovers that the next run removes are not."""
    if not (root / "format.json").exists():
        return []
    faults = [
        f"{f.what}: {f.why}" for f in check(root, summarise) if not f.why.startswith(HARMLESS)
    ]
    with Store.open(root, summarise=summarise) as store:
        jobs = [entry.row.id for entry in store.entries()]
        faults += [f"{job} has another job's record" for job in jobs if store.record(job).id != job]
    return faults


def mended(root: Path) -> list[str]:
    """What is wrong after one more run, which must complete."""
    a_night(root)
    faults = [f"{f.what}: {f.why}" for f in check(root, summarise)]
    with Store.open(root, summarise=summarise) as store:
        known = {entry.row.id for entry in store.entries()}
        if len(known) != 23 or store.runs()[-1].state != "complete":
            faults.append(f"{len(known)} of 23 jobs known, {store.runs()[-1].state}")
    return faults


def main(kills: int) -> int:
    chance = random.Random(kills)  # noqa: S311 - to be repeated, not secret
    died = bad = 0
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        counted = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, PROGRAM, f"{folder}/count"], capture_output=True, check=True
        )
        seconds = time.monotonic() - started
        root = Path(folder) / "store"
        for number in range(kills):
            died += kill_once(root, chance, writes=int(counted.stdout), seconds=seconds)
            faults = damage(root) + (mended(root) if number % 5 == 0 else [])
            bad += bool(faults)
            for fault in faults:
                sys.stdout.write(f"kill {number}: {fault}\n")
    sys.stdout.write(f"{kills} attempts, {died} died, {kills - bad}/{kills} left the store whole\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
