"""What a site tells, and as of which state: what a writing of it begins with."""

from collections.abc import Sequence

from msgspec import Struct

from jmreport.guidance import Guidance
from jmreport.history import History
from jmreport.night import Night
from jmreport.remembered import After, Contexts, StoreState
from jmreport.render.making import ReadRecords
from jmreport.report import Report


class AsOf(Struct, frozen=True, array_like=True):
    """A state that something was told as of: `made_of` changes with the code and the settings."""

    made_of: str
    store: StoreState

    def since(self, before: "AsOf") -> frozenset[str] | None:
        """The runs that came behind a former state; None where anything else changed."""
        return self.store.since(before.store) if self.made_of == before.made_of else None


class Telling(Struct, frozen=True, kw_only=True):
    """What a site tells.

    `contexts` are those of every known job of `history`; `read_records` must be picklable, for it
    reads in other processes. `nights` are those that the site does not remember, and the newest.
    By `as_of` few jobs are looked at after one more night (render/looking.py), and without it each
    is; with it what was counted of `settled` jobs is remembered.
    """

    report: Report
    contexts: Contexts
    history: History
    read_records: ReadRecords
    nights: Sequence[Night] = ()
    guidance: Guidance = Guidance()
    as_of: AsOf | None = None
    settled: After | None = None
