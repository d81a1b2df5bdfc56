"""What is told of all listed jobs, whatever their age: the parts that grow with a history.

The newest runs and the usual time of each workflow, what jobs failed of, and when the first ended.
"""

from datetime import datetime

from jmreport.analysis.nights import Nights
from jmreport.analysis.seen import Failures
from jmreport.analysis.usual import Lately
from jmreport.analysis.workflows import Newest
from jmreport.records import Entry


class Overall:
    """Told while jobs stream by, in any order."""

    def __init__(self, nights: Nights) -> None:
        self.lately = Lately(nights.now)
        self.newest = Newest()
        self.failures = Failures(nights)
        #: When the first of them ended.
        self.first_end: datetime | None = None

    def take(self, entry: Entry, ended: datetime | None) -> None:
        """One more listed job; `ended` is None for one that has not."""
        row = entry.row
        self.lately.take(row)
        self.newest.take(entry)
        self.failures.take(row, ended)
        if row.end is not None and (self.first_end is None or row.end < self.first_end):
            self.first_end = row.end
