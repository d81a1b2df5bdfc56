"""Secrets taken out of JSON trees and texts, before anything is written.

    {"inputs": {"wf.db_password": "hunter2"}}  ->  {"inputs": {"wf.db_password": "[taken out]"}}

By whole words in the names of keys (`[redact] keys`, `keep`, `hash`), and by shapes inside any text
(`[redact] patterns`). Only texts, and texts inside containers, are taken out; numbers, structure
and the ids of jobs stay. What comes out can always be written as JSON, whatever came in.
"""

from typing import Any, Self

from msgspec.structs import replace

from jmreport.records import Asked, Record, Run
from jmreport.settings import Redact
from jmreport.snapshots.cleaning import Cleaning
from jmreport.snapshots.hashing import elsewhere, in_gaps
from jmreport.snapshots.rules import Rules, whole

__all__ = ["Redaction", "whole"]


class Redaction:
    """What is taken out, as the settings say. Safe to share among threads.

    `salt` keys the hashes of `[redact] hash`, so that they are stable within a store and tell
    nothing outside of it. Raises UsageError for a pattern that is no regular expression.
    """

    def __init__(self, settings: Redact | None = None, *, salt: bytes = b"") -> None:
        self.settings = settings or Redact()
        self._rules = Rules(self.settings, salt=salt)

    @classmethod
    def of(cls, settings: Redact) -> Self:
        """The redaction that the settings ask for."""
        return cls(settings)

    @property
    def hashes(self) -> bool:
        """Whether values are hashed, for which a salt is needed."""
        return self._rules.hashes

    def salted(self, salt: bytes) -> "Redaction":
        """The same redaction with a store's salt."""
        return type(self)(self.settings, salt=salt)

    def record(self, record: Record) -> Record:
        """The record without secrets; `taken_out` counts them. Its id stays as it is.

        Names of tasks, logs and operations are names, not keys: only shapes apply to them. A value
        that is hashed is hashed in the record's other texts too; its row is as `row` makes it, so
        that it can be compared with the next list's.
        """
        cleaning = Cleaning(self._rules)
        clean = Record(
            id=whole(record.id),
            row=self._row(record.row, cleaning),
            detail=cleaning.tree(record.detail),
            parent=record.parent,
            attempts=cleaning.named(record.attempts, cleaning.tree),
            shard_attempts=cleaning.named(
                record.shard_attempts, lambda shards: cleaning.named(shards, cleaning.tree)
            ),
            logs=cleaning.named(record.logs, cleaning.tree),
            operations=cleaning.named(record.operations, cleaning.tree),
            gaps=cleaning.gaps(record.gaps),
            notes=cleaning.gaps(record.notes),
            taken_out=record.taken_out + cleaning.count,
            detail_from=record.detail_from,
        )
        if cleaning.hashes:
            clean = _hashed_elsewhere(clean, cleaning.hashes)
        return replace(clean, detail=_identified(clean.detail, record.detail))

    def row(self, row: Any) -> Any:
        """A list row without secrets; its id stays as it is."""
        return self._row(row, Cleaning(self._rules))

    def _row(self, row: Any, cleaning: Cleaning) -> Any:
        clean = cleaning.tree(row)
        return _identified(elsewhere(clean, cleaning.hashes), row)

    def asked(self, asked: Asked) -> Asked:
        """What was asked for, without secrets; to be compared with what is kept."""
        cleaning, filters = Cleaning(self._rules), asked.filters
        named = cleaning.tree({"name": filters.name, "userId": filters.user_id})
        return replace(
            asked,
            server=cleaning.text(asked.server),
            filters=replace(
                filters,
                labels=cleaning.tree(filters.labels),
                name=named["name"],
                user_id=named["userId"],
            ),
        )

    def run(self, run: Run) -> Run:
        """A run without secrets: in what the server said of itself, in errors, in its address."""
        cleaning = Cleaning(self._rules)
        return replace(
            run,
            asked=self.asked(run.asked),
            reason=cleaning.text(run.reason),
            health=cleaning.text(run.health),
            capabilities=cleaning.tree(run.capabilities),
            own_fields=cleaning.tree(run.own_fields),
            operations=tuple(replace(one, why=cleaning.text(one.why)) for one in run.operations),
            gaps=cleaning.gaps(run.gaps),
            notes=tuple(map(cleaning.text, run.notes)),
        )

    def tree(self, tree: Any) -> tuple[Any, int]:
        """A JSON tree without secrets, and how many were taken out. Never raises."""
        cleaning = Cleaning(self._rules)
        return cleaning.tree(tree), cleaning.count

    def text(self, text: str) -> tuple[str, int]:
        """A text without secrets, and how many were taken out."""
        cleaning = Cleaning(self._rules)
        return cleaning.text(text), cleaning.count


class Nothing(Redaction):
    """Takes nothing out: for what was taken in from a store, whose secrets are out already.

    A value that was hashed would be hashed once more.
    """

    @property
    def hashes(self) -> bool:
        """It makes none."""
        return False

    def salted(self, salt: bytes) -> "Redaction":  # noqa: ARG002 (there is nothing to hash)
        """The same."""
        return self

    def record(self, record: Record) -> Record:
        """The record as it is."""
        return record

    def row(self, row: Any) -> Any:
        """The row as it is."""
        return row

    def asked(self, asked: Asked) -> Asked:
        """What was asked for as it is."""
        return asked

    def run(self, run: Run) -> Run:
        """The run as it is."""
        return run

    def tree(self, tree: Any) -> tuple[Any, int]:
        """The tree as it is."""
        return tree, 0


def _hashed_elsewhere(record: Record, hashes: dict[str, str]) -> Record:
    return replace(
        record,
        detail=elsewhere(record.detail, hashes),
        attempts=elsewhere(record.attempts, hashes, names=1),
        shard_attempts=elsewhere(record.shard_attempts, hashes, names=2),
        logs=elsewhere(record.logs, hashes, names=1),
        operations=elsewhere(record.operations, hashes, names=1),
        gaps=in_gaps(record.gaps, hashes),
        notes=in_gaps(record.notes, hashes),
    )


def _identified(clean: Any, raw: Any) -> Any:
    """A job keeps its id, whatever it looks like: everything else hangs on it."""
    identified = isinstance(raw, dict) and isinstance(raw.get("id"), str)
    if identified and isinstance(clean, dict) and clean.get("id") != raw["id"]:
        clean["id"] = whole(raw["id"])
    return clean
