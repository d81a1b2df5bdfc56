"""Work that cannot be told apart from night to night, and labels that would tell it apart.

Without identity labels a piece of work is a workflow with its inputs. Where these hold a date or
the folder of a run, no work ever comes back: each failure is new, and none is fixed or missing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, islice, takewhile

from jmreport import attempts
from jmreport.analysis.keys import Key, key_of
from jmreport.analysis.nights import Nights
from jmreport.history import History
from jmreport.records import Entry, JobRow, Run, run_order
from jmreport.report.quality import Unrepeated

#: Nights and jobs of a workflow of which anything can be said.
LEAST_NIGHTS, LEAST_JOBS = 3, 6
#: Jobs that are looked at, the newest first.
_MOST_JOBS = 100_000
#: Labels that are tried together.
_MOST_LABELS = 8
#: Shares of a workflow's jobs: with inputs that came back at most; and of a label that is
#: proposed: with the label, with a value that came back, and with one of their own in their night.
_SELDOM, _HAVE, _OFTEN, _APART = 0.1, 0.9, 0.5, 0.8

_Ran = Sequence[tuple[int, JobRow]]


def unrepeated(jobs: Iterable[Entry], nights: Nights) -> Unrepeated | None:
    """The labels that tell most of this work apart; None where inputs do, or nothing does.

    `jobs` are listed ones, the newest first.
    """
    newest = [entry for entry in islice(jobs, _MOST_JOBS) if entry.row.key]
    # Nearly all work comes back by its inputs, and to look for its nights takes ten times as long.
    doubtful = _hardly_back(newest)
    ran: defaultdict[str, list[tuple[int, JobRow]]] = defaultdict(list)
    for entry in newest:
        if entry.row.name in doubtful and (at := nights.ended(entry)) is not None:
            ran[entry.row.name].append((nights.index(at), entry.row))
    votes: Counter[tuple[str, ...]] = Counter()
    for_flows: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, some in sorted(ran.items()):
        known = len(some) >= LEAST_JOBS and len({night for night, _ in some}) >= LEAST_NIGHTS
        if known and _comes_back(some, lambda row: row.key) <= _SELDOM and (best := _best(some)):
            votes[best] += len(some)
            for_flows[best].append(name)
    for labels in sorted(votes, key=lambda each: (-votes[each], each)):
        if _keeps_apart(newest, labels, nights):
            return Unrepeated(labels=labels, workflows=tuple(for_flows[labels]))
    return None


def _keeps_apart(entries: Sequence[Entry], labels: Sequence[str], nights: Nights) -> bool:
    """Whether labels tell each workflow's jobs of a night apart about as well as inputs do.

    They are asked of all: an owner would make one piece of work of another workflow's samples, of
    which the newest success would hide each failure.
    """
    by_inputs: defaultdict[str, set[tuple[int, Key]]] = defaultdict(set)
    by_labels: defaultdict[str, set[tuple[int, Key]]] = defaultdict(set)
    for entry in entries:
        at = nights.ended(entry)
        if at is not None:
            night, name = nights.index(at), entry.row.name
            by_inputs[name].add((night, key_of(entry.row, ())))
            by_labels[name].add((night, key_of(entry.row, labels)))
    return all(len(by_labels[name]) >= _APART * len(each) for name, each in by_inputs.items())


def _hardly_back(entries: Sequence[Entry]) -> frozenset[str]:
    """Workflows of whose jobs hardly any has inputs that jobs of another run had."""
    jobs: Counter[str] = Counter(entry.row.name for entry in entries)
    runs: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for entry in entries:
        runs[entry.row.name, entry.row.key].add(entry.run)
    back = Counter(
        entry.row.name for entry in entries if len(runs[entry.row.name, entry.row.key]) > 1
    )
    return frozenset(name for name in jobs if back[name] <= _SELDOM * jobs[name])


def of_report(jobs: Sequence[Entry], history: History, nights: Nights) -> Unrepeated | None:
    """The same of a report; of the nights before too where its own jobs are of too few.

    A window of a day holds no work that ran in another night.
    """
    if not _tells(jobs, nights) and len(nights.runs) >= LEAST_NIGHTS:
        oldest = run_order(nights.runs[-LEAST_NIGHTS].id)
        lately = takewhile(lambda entry: run_order(entry.run) >= oldest, history.by_run())
        return unrepeated((entry for entry in lately if entry.row.listed), nights)
    return unrepeated(jobs, nights)


def _tells(jobs: Iterable[Entry], nights: Nights) -> bool:
    """Whether jobs ended in as many nights as anything can be said of."""
    of: set[int] = set()
    for entry in jobs:
        if (at := nights.ended(entry)) is not None:
            of.add(nights.index(at))
            if len(of) >= LEAST_NIGHTS:
                return True
    return False


def known_unrepeated(history: History, runs: Sequence[Run]) -> Unrepeated | None:
    """The same of all that is known, without a report; None where no run is usable."""
    if not any(run.usable for run in runs):
        return None
    nights = Nights(runs)
    return unrepeated((entry for entry in history.by_run() if entry.row.listed), nights)


def _best(ran: _Ran) -> tuple[str, ...]:
    """The fewest labels that tell a workflow's jobs apart; () where none do."""
    having = Counter(label for _, row in ran for label in row.labels if not _numbers(row, label))
    back = {
        label: share
        for label in sorted(having)
        if having[label] >= _HAVE * len(ran)
        and (share := _comes_back(ran, _reading((label,)))) >= _OFTEN
    }
    tried = sorted(back, key=lambda label: (-_apart(ran, _reading((label,))), label))[:_MOST_LABELS]
    for many in (1, 2):
        found = {
            some: apart
            for some in combinations(sorted(tried), many)
            if (apart := _apart(ran, _reading(some))) >= _APART
            and _comes_back(ran, _reading(some)) >= _OFTEN
        }
        if found:
            return min(found, key=lambda some: (-found[some], -_values(ran, some), some))
    return ()


def _numbers(row: JobRow, label: str) -> bool:
    """Whether a label is dsub's own number of a job: task 3 of another night is other work."""
    return label in attempts.LABELS and attempts.place(row.id) is not None


def _reading(labels: Sequence[str]) -> Callable[[JobRow], object]:
    def read(row: JobRow) -> object:
        values: Mapping[str, str] = row.labels
        found = tuple(values.get(label) for label in labels)
        return None if None in found else found

    return read


def _comes_back(ran: _Ran, read: Callable[[JobRow], object]) -> float:
    """The share of jobs whose value stands for a job of another night too."""
    seen: defaultdict[object, set[int]] = defaultdict(set)
    for night, row in ran:
        seen[read(row)].add(night)
    return sum(len(seen[value]) > 1 for _, row in ran if (value := read(row)) is not None) / len(
        ran
    )


def _apart(ran: _Ran, read: Callable[[JobRow], object]) -> float:
    """How many values jobs have in their nights, to how many jobs there are."""
    return len({(night, value) for night, row in ran if (value := read(row)) is not None}) / len(
        ran
    )


def _values(ran: _Ran, labels: Sequence[str]) -> int:
    read = _reading(labels)
    return len({read(row) for _, row in ran})
