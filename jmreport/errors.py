"""Everything that can go wrong in a way the user can act on, and the exit code of each.

    JmreportError                     1   a failed write, or a bug
    ├── DamagedError                      what a site remembers cannot be read, and was mended
    ├── UsageError                    2   flags and settings
    ├── IncompleteError               3   built, but something could not be read
    ├── NothingUsableError            4   nothing usable came; the old site is untouched
    │   ├── ServerError                   the server does not answer, or not as a Job Manager
    │   ├── RefusedError                  the server refuses the token
    │   └── SnapshotError                 no snapshot, or one that cannot be read
    ├── DeliveryError                 5   a bucket or a mailbox did not take it
    │   └── ChangedError                  an object is another than the one that was read
    ├── LockedError                   7   another run holds the lock
    ├── ActionError                   8   the server refused an action, or its outcome is unknown
    └── StoppedError                130   Ctrl-C or SIGTERM; what was read until then is kept

A message says what failed and on what; a hint says what to do next. A limit that is exceeded (6) is
no error: the report was written, and says so.
"""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command (docs/exit-codes.md)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    NOTHING_USABLE = 4
    NOT_DELIVERED = 5
    GATE = 6
    LOCKED = 7
    REFUSED = 8
    INTERRUPTED = 130


#: Where several hold in one run, the first of these is the exit code.
PRECEDENCE = (
    Exit.FAILED,
    Exit.USAGE,
    Exit.LOCKED,
    Exit.NOTHING_USABLE,
    Exit.NOT_DELIVERED,
    Exit.GATE,
    Exit.INCOMPLETE,
    Exit.REFUSED,
)


def first(*codes: Exit) -> Exit:
    """The one exit code that stands for several."""
    return next((code for code in PRECEDENCE if code in codes), Exit.DONE)


class JmreportError(Exception):
    """What failed and on what, with a hint on what to do next."""

    code = Exit.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class DamagedError(JmreportError):
    """What a site remembers of its pages could not be read; it was mended, so that it is now."""


class UsageError(JmreportError):
    """A flag or a setting is wrong or missing."""

    code = Exit.USAGE


class IncompleteError(JmreportError):
    """Something asked for could not be read; the rest was."""

    code = Exit.INCOMPLETE


class NothingUsableError(JmreportError):
    """Nothing usable came: the old site is untouched."""

    code = Exit.NOTHING_USABLE


class ServerError(NothingUsableError):
    """The server does not answer, or does not answer as a Job Manager does."""


class RefusedError(NothingUsableError):
    """The server refuses the token, or asks for one."""


class SnapshotError(NothingUsableError):
    """There is no snapshot, or it cannot be read."""


class DeliveryError(JmreportError):
    """A bucket or a mailbox did not take the report."""

    code = Exit.NOT_DELIVERED


class ChangedError(DeliveryError):
    """An object in a bucket is another than the one that was read: somebody else wrote it."""


class LockedError(JmreportError):
    """Another run holds the lock."""

    code = Exit.LOCKED


class ActionError(JmreportError):
    """The server refused an action, or its outcome is unknown.

    `status` is what the server answered, None where no whole answer came; `why` says so in words.
    """

    code = Exit.REFUSED

    def __init__(
        self, message: str, *, hint: str = "", status: int | None = None, why: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.why = why


class StoppedError(JmreportError):
    """Somebody stopped the command: what it had read until then is kept."""

    code = Exit.INTERRUPTED


class UnreadableError(IncompleteError):
    """One thing could not be read; becomes a Gap, and the rest goes on. `message` is the why."""

    def __init__(self, message: str, *, status: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class NotOfferedError(UnreadableError):
    """The server does not offer this operation: noted on the quality page, and no Gap."""
