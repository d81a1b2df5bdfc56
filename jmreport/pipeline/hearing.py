"""Of which runs teams have heard, for machines that share no disk: an object in the mirror.

    gs://team-snapshots/jobs/heard.json

    {"germline": ["20261122T021400Z", "20261123T021400Z"]}

A machine without a disk loses its spool with the task. The next one knows from here what it told,
and what a night that was killed, or whose mail server was away, still owes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jmreport.errors import ChangedError, Exit, JmreportError
from jmreport.pipeline import mirroring
from jmreport.pipeline.values import Outcome
from jmreport.progress import Progress
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.bucket import Bucket

HEARD = "heard.json"
#: How often it is written anew where others write it too.
_TRIES = 5


class Hearing:
    """What a spool and the mirror know of it together. No mail is held back for a mirror that
    cannot be read or written: that is told (exit 5), and the spool's word counts."""

    def __init__(
        self, settings: Settings, spool: Path, environ: Mapping[str, str], progress: Progress
    ) -> None:
        self._settings, self._spool = settings, spool
        self._environ, self._progress = environ, progress
        self._away = Outcome()
        #: What only the mirror knows of, when `known` was asked.
        self.elsewhere: dict[str, tuple[str, ...]] = {}

    def known(self) -> dict[str, tuple[str, ...]]:
        """The last runs of which each team has heard, here or elsewhere. Nothing is written."""
        from jmreport import mail as post

        here = post.heard(self._spool)
        if self._settings.snapshots.mirror is None:
            return here
        try:
            with mirroring.bucket_of(self._settings, self._environ, self._progress) as bucket:
                found = bucket.read(HEARD)
        except JmreportError as error:
            self._away = _lacking("pulled", error)
            return here
        there = post.heard_from(found.data) if found else {}
        self.elsewhere = {team: heard for team, heard in there.items() if team not in here}
        # A spool that knows a team knows whom of it was told.
        return {**there, **here}

    def share(self) -> None:
        """Lets others know. A mirror that could not be read a moment ago is not asked again."""
        from jmreport import mail as post

        if self._settings.snapshots.mirror is None or self._away.summary:
            return
        try:
            with mirroring.bucket_of(self._settings, self._environ, self._progress) as bucket:
                _write(bucket, post.reached(self._spool))
        except JmreportError as error:
            self._away = _lacking("pushed", error)

    def also(self, outcome: Outcome) -> Outcome:
        """The same, and what of the mirror is to be told."""
        return Outcome.of(outcome, self._away, run=outcome.run)


def _write(bucket: Bucket, here: dict[str, tuple[str, ...]]) -> None:
    """Both of what is there and what is known here, also where somebody else writes now."""
    from jmreport import mail as post
    from jmreport.snapshots.mirror import JSON

    for left in reversed(range(_TRIES)):
        found = bucket.read(HEARD)
        there = post.heard_from(found.data) if found else {}
        both = post.together(there, here)
        if both == there:
            return
        try:
            generation = found.generation if found else 0
            bucket.write(HEARD, post.heard_as(both), generation=generation, headers=JSON)
            return
        except ChangedError:
            if not left:
                raise


def _lacking(what: str, error: JmreportError) -> Outcome:
    told = f"mirror: what teams have heard could not be {what}"
    return Outcome.lacking(told, error, code=Exit.NOT_DELIVERED)
