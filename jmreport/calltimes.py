"""Which times of a task, a shard or an attempt can be believed.

The Cromwell shim fills in its own process's start time wherever a time is lacking: as `start` of
what has not started, and as `end` of attempts that still run, which can lie before their start. Its
word for a bypassed call is Submitted, with an end. So a time counts only where the status allows
it, where it lies within the job's own time, and where something else says that the call ran.
"""

from datetime import datetime, timedelta

from msgspec import Struct

from jmreport.models import ACTIVE_STATUSES, TERMINAL_STATUSES
from jmreport.records import moment

#: Statuses of what has not started, whatever its `start` says.
WAITING_STATUSES = ("Submitted", "OnHold")
#: How far apart the clocks of a server and of its backend may be.
_SLACK = timedelta(minutes=1)
#: Words of a call that ran, whatever else is known of it.
_RAN = ("Succeeded", "Failed", "Running", "Aborting", "Preempted")

Span = tuple[datetime | None, datetime | None]


def listed_start(status: str, start: object, submission: object) -> datetime | None:
    """The start that a list tells of a job; None where it cannot be, since the shim invents one of
    jobs that have not started or never did: of those that wait, and long before the submission."""
    found, submitted = moment(start), moment(submission)
    early = found and submitted and found < submitted - _SLACK
    return None if early or status in WAITING_STATUSES else found


class JobSpan(Struct, frozen=True, gc=False):
    """When the job itself started and ended, as far as that is known."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether something of the job can have happened then."""
        early = self.start is not None and at < self.start - _SLACK
        return not early and not (self.end is not None and at > self.end + _SLACK)


def believed(
    status: str, start: datetime | None, end: datetime | None, *, job: JobSpan, ran: bool
) -> Span:
    """Start and end of a call, each None where it is lacking or not to be believed.

    `ran`: something besides its times says that it ran, such as an event or an operation.
    """
    return (
        start if start and _started(status, start, end, job, ran=ran) else None,
        end if end and _ended(status, end, job) else None,
    )


def _started(
    status: str, start: datetime, end: datetime | None, job: JobSpan, *, ran: bool
) -> bool:
    if not job.holds(start):
        return False
    if status in WAITING_STATUSES:
        return passed_over(status, end, job) and end is not None and start <= end
    return ran or status in _RAN


def _ended(status: str, end: datetime, job: JobSpan) -> bool:
    if not job.holds(end):
        return False
    if status in TERMINAL_STATUSES or passed_over(status, end, job):
        return True
    # A word that no one knows may mean anything; once the job is over, so is all of it.
    return status not in ACTIVE_STATUSES and job.end is not None


def passed_over(status: str, end: datetime | None, job: JobSpan) -> bool:
    """Whether a call waits by its word and has ended all the same: it was bypassed."""
    return status in WAITING_STATUSES and end is not None and job.holds(end) and job.end is not None
