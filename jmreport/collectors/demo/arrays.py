"""How dsub's jobs belong together: array tasks and retries are jobs of their own that share a
`job-id` (backends habit 36)."""

from __future__ import annotations

from msgspec import Struct

from .timeline import SECOND, Timeline

_BLOCK = 8
_GAP = 110_000  # microseconds between the tasks of an array, so that some share a second


class Member(Struct, frozen=True):
    """A job's place in its group: the number of the group's first job, how many jobs the group has,
    and its task and attempt, where it has any."""

    lead: int
    size: int
    task: int | None
    attempt: int | None


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
            return Member(lead, 2, None, place + 1)
        if kind == 3 and place < 3:
            return Member(lead, 3, None, place + 1)
        if kind == 3 and place > 3:
            return Member(lead + 4, 4, place - 3, None)
        return Member(k, 1, None, None)

    def time(self, k: int) -> int:
        member = self.member(k)
        if self._together > 1 or member.task is None:
            return super().time(k)
        first = super().time(member.lead)
        room = super().time(member.lead + member.size) - first
        place = k - member.lead
        return first + min(place * _GAP, room * place // member.size)

    def seconds(self, k: int) -> int:
        """When job `k` was submitted, in whole seconds: all that page tokens can say (habit 1)."""
        return self.time(k) // SECOND
