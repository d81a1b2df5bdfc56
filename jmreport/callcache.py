"""Which attempts took their result from the call cache, where no server says so.

The Cromwell shim does not say it of shards, whose attempts are read only where one was tried again
(backends.md, 29). One rule for all: analysis leaves them out of how long tasks take, and pages call
them cached.
"""

from collections.abc import Collection, Iterable, Mapping

#: What Cromwell itself does with a call. All names that its backends tell beside them are of a run.
_OWN_STEPS = frozenset(
    (
        *("Pending", "RequestingExecutionToken", "CheckingJobStore", "WaitingForValueStore"),
        *("PreparingJob", "CallCacheReading", "UpdatingCallCache", "UpdatingJobStore"),
        # Before Cromwell told all that it does with its cache as one.
        *("CheckingCallCache", "FetchingCachedOutputsFromDatabase", "InvalidatingCacheEntry"),
        *("BackendIsCopyingCachedOutputs", "CheckingCacheEntryExistence"),
    )
)
_READING = frozenset(("CallCacheReading", "BackendIsCopyingCachedOutputs"))

#: Shard -> its attempts that by their events read the call cache and did not run.
Read = Mapping[int | None, Collection[int]]


def read(events: Iterable[tuple[int | None, int, str | None]]) -> Read:
    """Shard -> its attempts whose events are all Cromwell's own, the cache's among them.

    Of each event its shard, its attempt and its name.

    >>> read([(0, 1, "CallCacheReading"), (1, 1, "CallCacheReading"), (1, 1, "RunningJob")])
    {0: {1}}
    """
    looked: set[tuple[int | None, int]] = set()
    ran: set[tuple[int | None, int]] = set()
    for shard, number, name in events:
        if name in _READING:
            looked.add((shard, number))
        elif name not in _OWN_STEPS:
            ran.add((shard, number))
    found: dict[int | None, set[int]] = {}
    for shard, number in looked - ran:
        found.setdefault(shard, set()).add(number)
    return found


def cached(said: object, status: str | None, *, was_read: bool, operation: object) -> bool:
    """Whether an attempt's result came from the call cache; events tell where nothing else does.

    `said` is what the server says of it, if anything. What has an operation did run, be it that
    Cromwell was started again and tells of no run.
    """
    if isinstance(said, bool):
        return said
    return was_read and status == "Succeeded" and not operation
