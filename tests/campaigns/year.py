"""A year of nights, then a prune: what it takes, and what stays; each night that stays is compared.

    python -m tests.campaigns.year [365] [90d]

Each night lists the 500 jobs of the last week, most of which are as they were.
"""

import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from jmreport import analysis, pipeline
from jmreport.durations import long as length
from jmreport.night import Night
from jmreport.pipeline.keeping import open_store
from jmreport.progress import SilentProgress
from jmreport.records import Asked, Record, Run, utc_text
from jmreport.settings import Settings, Site, Snapshots
from jmreport.snapshots import Redaction, replay

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
#: Jobs that are new each night: a week of them is 500. And how many workflows they are of.
A_NIGHT = 71
FLOWS = 9


def job(
    number: int, submitted: datetime, now: datetime, a_night: int = A_NIGHT, flows: int = FLOWS
) -> Record:
    """A job of 20 KB as of `now`: it runs for up to nine hours, and fails now and then.

    Two of three are the work of every night, the others are run once.
    """
    chance = random.Random(number)  # noqa: S311 - the same jobs in every run
    start = submitted + timedelta(minutes=chance.randint(1, 40))
    end = start + timedelta(minutes=chance.randint(20, 540))
    sample = number if number % 3 == 0 else number % a_night
    tree: dict[str, Any] = {
        "id": f"{random.Random(f'id {number}').getrandbits(128):032x}",  # noqa: S311
        "name": f"workflow-{sample % flows}",
        "status": "Running",
        "submission": utc_text(submitted),
        "start": utc_text(start),
        "labels": {"sample": f"NA{sample:05}", "owner": ("ana", "li", "omar")[sample % 3]},
    }
    failed = chance.random() < (0.5 if sample < 3 else 0.06)
    if end <= now:
        tree |= {"status": "Failed" if failed else "Succeeded", "end": utc_text(end)}
    noise = chance.randbytes(3_000).hex()
    detail = {**tree, "inputs": {"sample": f"NA{sample:05}"}, "outputs": {"digest": noise}}
    detail["extensions"] = {"tasks": [_task(name, tree) for name in ("Align", "Sort", "Call")]}
    if tree["status"] == "Failed":
        why = ("Java heap space", f"exit code 137 at gs://b/{number}", "no space left")[sample % 3]
        detail["failures"] = [{"failure": why, "taskName": "Align", "timestamp": utc_text(end)}]
    return Record(id=tree["id"], row=tree, detail=detail)


def _task(name: str, tree: dict[str, Any]) -> dict[str, Any]:
    times: dict[str, Any] = {key: tree[key] for key in ("start", "end") if key in tree}
    status = tree["status"] if name == "Align" else "Succeeded"
    return {
        "name": name,
        "executionStatus": status,
        "attempts": 1,
        **times,
        "inputs": {"n": "x" * 3000},
    }


def written(
    settings: Settings, nights: int, a_night: int = A_NIGHT, flows: int = FLOWS, after: int = 0
) -> None:
    """A run a night, up to NOW; or those `after` so many, behind NOW."""
    first = NOW - timedelta(days=(after or nights) - 1)
    for night in range(after, nights):
        now = first + timedelta(days=night)
        asked = Asked(server="http://127.0.0.1", timeframe="DAYS_7", since=now - timedelta(days=7))
        with (
            open_store(settings, create=True) as store,
            store.begin(now, Redaction(), asked=asked) as writer,
        ):
            for number in range(max(0, night - 6) * a_night, (night + 1) * a_night):
                day, minute = divmod(number, a_night)
                at = first + timedelta(days=day - 1, minutes=20 * minute)
                one = job(number, at, now, a_night, flows)
                writer.list_row(one.row)
                writer.add(one)
            writer.finish(Run(id=writer.id, now=now, state="complete", asked=asked))


def told(settings: Settings, wanted: frozenset[str]) -> Iterator[Night]:
    root = Path(settings.snapshots.dir)
    for then in replay(root, summarise=analysis.summarise, measure=analysis.measure, wanted=wanted):
        yield analysis.told(
            then.history, then.runs, {}, settings=settings.report, measures=then.measures
        )


def size(root: Path) -> float:
    """Megabytes of the store without its cache."""
    return sum(p.stat().st_size for p in root.rglob("*") if p.suffix in (".zst", ".json")) / 1e6


def main(nights: int, keep: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            snapshots=Snapshots(dir=f"{folder}/snapshots"), site=Site(dir=f"{folder}/site")
        )
        root = Path(settings.snapshots.dir)
        began = time.monotonic()
        written(settings, nights)
        say(f"{nights} nights written in {time.monotonic() - began:.0f} s: {size(root):.1f} MB")
        with open_store(settings, create=False) as store:
            runs, jobs = [run.id for run in store.runs()], store.count()
        cut = NOW - (length(keep) or timedelta())
        staying = [run for run in runs if run >= f"{cut:%Y%m%dT%H%M%SZ}"]
        some = frozenset((*staying[:9], *staying[9::20]))
        shutil.copytree(root, f"{folder}/before")
        was = Settings(snapshots=Snapshots(dir=f"{folder}/before"), site=settings.site)
        began = time.monotonic()
        done = pipeline.prune(settings, now=NOW, keep=length(keep), progress=SilentProgress())
        took = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say(*done.summary)
        with open_store(settings, create=False) as store:
            say(f"{jobs} jobs were known, {store.count()} are")
        say(f"{took:.1f} s, {peak:.0f} MB of memory at most: {size(root):.1f} MB")
        other = [
            one.summary.run
            for one, then in zip(told(was, some), told(settings, some), strict=True)
            if one != then
        ]
        say(f"{len(some) - len(other)} of {len(some)} nights are told as before")
        faults = pipeline.check(settings)
        say(*(f"{fault.what}: {fault.why}" for fault in faults))
        return 1 if other or faults else 0


def say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(int(given[0]) if given else 365, given[1] if given[1:] else "90d"))
