"""What was read is kept for whoever asks next, as far as there is room.

    room  a b c d     full, and e is asked for
          e b c d     f takes e's place, unless e was asked for again
          c d f g     of every fourth the place is the last one

Jobs that belong together are asked for in turns as often as one after the other. The longest unused
is what is asked for next then: would each that comes drive one out, none were ever found.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: Of so many that come while there is no room one stays without being asked for again.
_STAYS = 4


class AtHand(Generic[K, V]):
    """Values by their keys, which weigh at most `room` together, or one that weighs more alone."""

    def __init__(self, room: int) -> None:
        self._room = room
        #: From what goes first to what goes last.
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0
        self._came = 0

    def get(self, key: K) -> V | None:
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def keep(self, key: K, value: V, weight: int) -> None:
        """Keep what was read of a key of which nothing is kept."""
        crowded = False
        while self._values and self._weight + weight > self._room:
            self._weight -= self._values.popitem(last=False)[1][1]
            crowded = True
        self._values[key] = value, weight
        self._weight += weight
        if crowded:
            self._came += 1
            self._values.move_to_end(key, last=self._came % _STAYS == 0)

    def forget(self) -> None:
        """All of it."""
        self._values.clear()
        self._weight = 0
