"""Values that many rows have, kept once: names, runs, labels, digests of inputs.

A store of months holds each piece of work a hundred times, and a report looks at all of its rows.
What belongs to the work and not to one run of it then costs nothing more: a row of another night is
its id, its times and its digests.
"""

from collections.abc import Hashable
from typing import TypeVar

from msgspec.structs import replace

from jmreport.records import Entry, JobRow

T = TypeVar("T", bound=Hashable)
#: Values that are kept; with more of them most are not met again soon.
MOST = 50_000
#: Sets of labels that are kept: each takes the room of some values.
MOST_LABELS = 10_000


class Sharing:
    """The values met lately. Rows are not changed: others that say the same are given back.

    Much may be streamed through it, so it forgets: else it would hold all that is different.
    """

    def __init__(self) -> None:
        self._values: dict[Hashable, Hashable] = {}
        self._labels: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[str, str]] = {}

    def one(self, value: T) -> T:
        """The first value that was equal to this."""
        if len(self._values) >= MOST:
            self._values.clear()
        return self._values.setdefault(value, value)  # type: ignore[return-value]  # equal values of one type: texts, tuples of them, and numbers of lines

    def entry(self, entry: Entry) -> Entry:
        """The same entry, made of shared values."""
        return replace(
            entry,
            row=self.row(entry.row),
            run=self.one(entry.run),
            shard=self.one(entry.shard),
            line=self.one(entry.line),
            first_run=self.one(entry.first_run),
            last_run=self.one(entry.last_run),
            told_run=self.one(entry.told_run),
            ended_run=self.one(entry.ended_run),
        )

    def row(self, row: JobRow) -> JobRow:
        """The same row, made of shared values."""
        return replace(
            row,
            name=self.one(row.name),
            status=self.one(row.status),
            # dsub starts a job as it submits it.
            start=row.submission if row.start == row.submission else row.start,
            labels=self._texts(row.labels),
            extra=self._texts(row.extra),
            user=self.one(row.user),
            key=self.one(row.key),
            unknown_fields=self.one(row.unknown_fields),
            unknown_words=self.one(row.unknown_words),
            failed_tasks=self.one(row.failed_tasks),
            where=self.one(row.where),
        )

    def _texts(self, texts: dict[str, str]) -> dict[str, str]:
        if len(self._labels) >= MOST_LABELS:
            self._labels.clear()
        # By two tuples, of which the first is nearly always the same: what a memory of pairs takes
        # is not given back when it is let go, for what is kept was put between.
        keys = self.one(tuple(texts))
        known = self._labels.get((keys, tuple(texts.values())))
        if known is None:
            # Where one label is another for each job, the others are still a few words.
            known = {key: self.one(texts[key]) for key in keys}
            self._labels[keys, tuple(known.values())] = known
        return known
