"""Jobs by their labels in the six time frames, and the server's own numbers beside ours."""

from collections import Counter
from datetime import datetime

from msgspec import Struct, field

from jmreport.models import DisplayField
from jmreport.placed import ByValue, nobody
from jmreport.report.counts import StatusSplit


class LabelValue(Struct, frozen=True, kw_only=True, gc=False):
    """One value of a label (None: the jobs without it) and its jobs by status."""

    value: str | None
    split: StatusSplit
    #: The server's own numbers for it, where it was asked and answered.
    server: StatusSplit | None = None


class FrameReport(Struct, frozen=True, kw_only=True):
    """A label's values in one time frame. `covered` is False where less was read than the frame.

    Values with most failures first, then most jobs; the jobs without the label last. Empty where no
    job has it. `read_since` is the instant since which everything was read, None where that is the
    beginning; it is the report's now where pages of the list are missing.
    """

    frame: str
    values: tuple[LabelValue, ...]
    covered: bool = True
    server_asked: bool = False
    read_since: datetime | None = None
    #: The server's number of jobs in this frame beside ours, whatever their labels.
    beside: "FrameDifference | None" = None
    #: Why the server's numbers are not there; "" where they are.
    why_not: str = ""

    @property
    def split(self) -> StatusSplit:
        """The jobs of all its values."""
        counts = Counter[str]()
        for value in self.values:
            counts.update(value.split.counts)
        return StatusSplit(counts=dict(counts))

    @property
    def counted(self) -> bool:
        """Whether the server counts jobs by the label in it: a value of it, at least."""
        return self.server_asked and any(value.server is not None for value in self.values)


class LabelReport(Struct, frozen=True, kw_only=True):
    """The aggregation of one label, or of `name` or `userId`, over the six time frames.

    `jobs` are those that each value of the last frame counts, newest submission first. Those of a
    shorter frame are the first of them.
    """

    key: str
    title: str
    frames: tuple[FrameReport, ...]
    jobs: ByValue = field(default_factory=nobody)
    #: Every job has a value of its own (an id): only there because the server or settings name it.
    distinct: bool = False
    #: What the server says of the label itself, where it names it as a field.
    shown_as: DisplayField | None = None


class ShownLabel(Struct, frozen=True, kw_only=True):
    """The label that an overview tells, in the time frame of its report: its first values.

    It has `number` values in all, whose jobs `split` counts; `counted` says that the server counts
    jobs by it too.
    """

    key: str
    title: str
    frame: str
    values: tuple[LabelValue, ...]
    number: int
    split: StatusSplit
    counted: bool = False


class FrameDifference(Struct, frozen=True, kw_only=True):
    """The server's count of a frame's jobs and ours. `why` says in sentences why they differ.

    "" where they are the same, status by status.
    """

    frame: str
    ours: StatusSplit
    server: StatusSplit
    why: str = ""
