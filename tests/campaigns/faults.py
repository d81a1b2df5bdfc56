"""Build over a wire on which 30 % of all answers fail, and account for everything.

    python -m tests.campaigns.faults [60] [--seed N] [--share 0.3] [--only ROUND]

Each round is a server (after the API, Cromwell or dsub) on real sockets, and three builds over one
store: one that tries each request twice, one that tries it four times, and one on a sound wire.
A build over faults either heals (exit 0, and the pages hold what those of a sound server hold), or
says what it lacks (exit 3, each with its reason, on the quality page), or brings nothing and says
so (exit 4, no page written). The build on the sound wire heals what the others left. What goes
wrong is printed with the round's number, which `--only` repeats.
"""

import argparse
import html
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import accounting
from accounting import Built, Pages
from faulty_server import Faulty

from jmreport.collectors.demo import Demo

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
KINDS = ("cromwell", "spec", "dsub")
#: What a gap may give as its reason on such a wire.
REASONS = re.compile(
    r"too many requests|429|50[023]|reset|closed|cut short|no answer|in time|timed out|not read|"
    r"too busy|unavailable|gateway|never came|not JSON|not HTTP|connection"
)


class Tally:
    """What a campaign saw."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        self.reasons: Counter[str] = Counter()
        self.numbers: Counter[str] = Counter()
        self.faults: list[str] = []


def seen(pages: Pages) -> dict[str, tuple[str, bool]]:
    """What a site says of each job: its status, and whether it could be read."""
    return {
        job: (str(row["status"]), bool(row.get("readable", True)))
        for job, row in pages.rows.items()
    }


def reference(kind: str, jobs: int, folder: Path) -> tuple[int, dict[str, tuple[str, bool]]]:
    """What a build over a sound wire shows."""
    with Faulty(demo(kind, jobs), seed=0, share=0) as server:
        config = accounting.configure(folder, server.url, tries=2, page_size=40)
        built = accounting.build(config, now=NOW.isoformat())
    return built.code, seen(Pages(folder))


def demo(kind: str, jobs: int) -> Demo:
    like: Any = kind
    return Demo(now=NOW, seed=7, jobs=jobs, like=like, shards=20)


def round_of(number: int, kind: str, *, jobs: int, share: float, tally: Tally) -> Iterator[str]:
    """The faults of one round's three builds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sound").mkdir()
        code, whole = reference(kind, jobs, folder / "sound")
        for at, (tries, failing) in enumerate([(2, share), (4, share), (4, 0.0)]):
            with Faulty(demo(kind, jobs), seed=10 * number + at, share=failing) as server:
                config = accounting.configure(
                    folder, server.url, tries=tries, page_size=40, timeout=1, detail_timeout=1
                )
                now = (NOW + timedelta(minutes=at)).isoformat()
                built = accounting.build(config, now=now)
            tally.answers += server.counts
            tally.codes[built.code] += 1
            last = at == 2
            for fault in _judged(built, folder, whole, tally, code if last else None):
                yield f"round {number}.{at} ({kind}): {fault}"


def _judged(
    built: Built,
    folder: Path,
    whole: dict[str, tuple[str, bool]],
    tally: Tally,
    wanted: int | None,
) -> Iterator[str]:
    if built.traceback:
        yield built.traceback
    if wanted is not None and built.code != wanted:
        yield f"exit {built.code} on a sound wire: {built.said[-500:]}"
    if built.code not in accounting.DOCUMENTED:
        yield f"exit {built.code}: {built.said[-500:]}"
        return
    if built.code == 4:
        tally.numbers["builds that brought nothing, and said so"] += 1
        if "jmreport: " not in built.said:
            yield "exit 4 without a word"
        return
    yield from accounting.unsound(folder)
    pages = Pages(folder)
    shown = seen(pages)
    if built.code == 0 or wanted is not None:
        tally.numbers["builds that healed"] += 1
        if shown != whole:
            yield f"it shows {len(shown)} jobs, and a sound wire {len(whole)}, or other ones"
        return
    tally.numbers["builds that said what they lack"] += 1
    yield from _told(pages, shown, whole, tally)


def _told(
    pages: Pages, shown: dict[str, tuple[str, bool]], whole: dict[str, Any], tally: Tally
) -> Iterator[str]:
    """Nothing is lost silently: what is not there is named, with a reason of the wire."""
    if not pages.gaps:
        yield "exit 3, and no gap"
    tally.numbers["gaps told"] += len(pages.gaps)
    for gap in pages.gaps:
        known = REASONS.search(gap["why"])
        tally.reasons[known[0] if known else gap["why"][:60]] += 1
        if not known:
            yield f"{gap['what']}: {gap['why']!r} is no reason of the wire"
    for why in {gap["why"] for gap in pages.gaps[:900]}:
        if html.escape(why[:120], quote=False) not in html.unescape(pages.quality) and (
            why[:120] not in html.unescape(pages.quality)
        ):
            yield f"the quality page does not say {why!r}"
    of_list = any("list" in gap["what"] for gap in pages.gaps)
    for job, (status, readable) in whole.items():
        if job not in shown:
            tally.numbers["jobs of pages that could not be read"] += 1
            if not of_list and not _parent_is_told(pages):
                yield f"job {job} is nowhere, and the list is said to be whole"
        elif readable and not shown[job][1]:
            tally.numbers["jobs told as unreadable"] += 1
            if not any(gap["what"] == "job" for gap in pages.of(job)):
                yield f"job {job} is unreadable, and no gap says why"
        elif readable and shown[job][0] != status:
            yield f"job {job} is {shown[job][0]}, and on a sound wire {status}"
        else:
            tally.numbers["jobs shown whole"] += 1


def _parent_is_told(pages: Pages) -> bool:
    """A sub-workflow is only known from its parent's detail."""
    return any(gap["what"] == "job" for gap in pages.gaps)


def campaign(rounds: int, *, seed: int, jobs: int, share: float, only: int | None = None) -> Tally:
    """So many rounds, the kinds of server in turn; or the one of a number alone."""
    tally = Tally()
    first = 1_000 * seed
    with accounting.hurried():
        for number in range(first, first + rounds) if only is None else (only,):
            kind = KINDS[(number - first) % len(KINDS)]
            tally.faults += round_of(number, kind, jobs=jobs, share=share, tally=tally)
            sys.stderr.write(f"round {number} ({kind}): {len(tally.faults)} faults so far\n")
    return tally


def main(rounds: int, seed: int, jobs: int, share: float, only: int | None) -> int:
    began = time.monotonic()
    tally = campaign(rounds, seed=seed, jobs=jobs, share=share, only=only)
    failed = sum(n for fault, n in tally.answers.items() if fault)
    lines = [*tally.faults[:60], f"{failed} of {tally.answers.total()} answers failed:"]
    lines += [f"{n:>8} {fault}" for fault, n in tally.answers.most_common() if fault]
    lines.append("reasons told:")
    lines += [f"{n:>8} {reason}" for reason, n in tally.reasons.most_common()]
    lines += [f"{n:>8} {what}" for what, n in tally.numbers.items()]
    lines.append("exit codes: " + ", ".join(f"{c}: {n}" for c, n in sorted(tally.codes.items())))
    lines.append(f"faults of ours: {len(tally.faults)}, {time.monotonic() - began:.0f} s")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=120, help="Jobs of a server.")
    parser.add_argument("--share", type=float, default=0.3, help="Of the answers that fail.")
    parser.add_argument("--only", type=int, help="Repeat the round of this number.")
    given = parser.parse_args()
    sys.exit(main(given.rounds, given.seed, given.jobs, given.share, given.only))
