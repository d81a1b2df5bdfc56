"""How dsub's jobs belong together: array tasks and retries are jobs of their own that share a
`job-id` (backends habit 36)."""

from __future__ import annotations

from msgspec import Struct

from .timeline import SECOND, Timeline

_BLOCK = 8
_GAP = 110_000  # microseconds between the tasks of an array, so that some share a second
#: An array that was told to retry, in the order of submissions: the task and attempt of each job.
_RETRYING = ((1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (2, 2), (4, 2), (4, 3))
#: How many of them are first attempts, which come at once.
_AT_ONCE = sum(attempt == 1 for _, attempt in _RETRYING)


class Member(Struct, frozen=True):
    """A job's place in its group: the number of the group's first job, how many jobs the group has,
    its task and attempt, where it has any, and the job that is the next attempt."""

    lead: int
    size: int
    task: int | None
    attempt: int | None
    following: int | None = None


class ArrayTimeline(Timeline):
    """A timeline on which the tasks of an array are submitted within a second or so."""

    def member(self, k: int) -> Member:
        """The group that job `k` belongs to."""
        place = k % _BLOCK
        lead = k - place
        kind = ((lead * 0x9E37_79B9_7F4A_7C15 + self._mix) >> 33) & 15
        if kind == 0:
            return Member(lead, _BLOCK, place + 1, None)
        if kind in (1, 2) and place < 2:
            return Member(lead, 2, None, place + 1, None if place else k + 1)
        if kind == 3 and place < 3:
            return Member(lead, 3, None, place + 1, k + 1 if place < 2 else None)
        if kind == 3 and place > 3:
            return Member(lead + 4, 4, place - 3, None)
        if kind == 4:
            task, attempt = _RETRYING[place]
            again = (task, attempt + 1)
            following = lead + _RETRYING.index(again) if again in _RETRYING else None
            return Member(lead, _BLOCK, task, attempt, following)
        return Member(k, 1, None, None)

    def time(self, k: int) -> int:
        member = self.member(k)
        if self._together > 1 or member.task is None or (member.attempt or 1) > 1:
            return super().time(k)
        first = super().time(member.lead)
        together = member.size if member.attempt is None else _AT_ONCE
        room = super().time(member.lead + together) - first
        place = k - member.lead
        return first + min(place * _GAP, room * place // together)

    def seconds(self, k: int) -> int:
        """When job `k` was submitted, in whole seconds: all that page tokens can say (habit 1)."""
        return self.time(k) // SECOND
