"""
Which key's time is up next.

A deadline moves with nearly every event of its key, mostly to later.  So a key stands in the queue
once, at the earliest time that it has had since it was looked at; whether that still holds is asked
when its turn comes, by ``settle``.

Trap: its turn may be a day away, and whoever writes the log chooses the keys.  So what does not
hold any more is thrown out whenever it has become a quarter of what does.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Key: TypeAlias = tuple[str, ...]

DEADLINE_BYTES = 320
"""What a key costs here at most: an entry in a heap and one in a dictionary, and a quarter more."""

STALE_SHARE = 4
"""One in so many keys may be here beside those that have a deadline …"""

_STALE = 16
"""… and so many at least."""

NEVER = math.inf


class Deadlines:
    """
    The deadlines of one rule's keys.

    Args:
        deadline_of: Gives a key's deadline in Unix seconds; ``NEVER`` if it has none, or is gone.

    Attributes:
        due: The earliest one, or ``NEVER``; until ``settle`` it may be one that was earlier.
    """

    __slots__ = ("_deadline_of", "_heap", "_most", "_queued", "due")

    def __init__(self, deadline_of: Callable[[Key], float]) -> None:
        self._deadline_of = deadline_of
        self._heap: list[tuple[float, Key]] = []
        self._queued: dict[Key, float] = {}
        self._most = _STALE
        self.due = NEVER

    def note(self, key: Key) -> None:
        """Take up that a key's deadline may have changed."""
        deadline = self._deadline_of(key)
        if deadline < self._queued.get(key, NEVER):
            self._queued[key] = deadline
            heapq.heappush(self._heap, (deadline, key))
            self.due = min(self.due, deadline)
            if len(self._heap) > self._most:
                self._clean()

    def first(self) -> Key:
        """Return the key whose deadline is ``due``, of equal ones the least, once it is settled."""
        return self._heap[0][1]

    def _clean(self) -> None:
        """Throw out what does not hold any more."""
        actual = ((key, self._deadline_of(key)) for key in self._queued)
        self._queued = {key: deadline for key, deadline in actual if deadline != NEVER}
        self._heap = [(deadline, key) for key, deadline in self._queued.items()]
        heapq.heapify(self._heap)
        self._most = len(self._heap) + max(len(self._heap) // STALE_SHARE, _STALE)

    def settle(self) -> None:
        """Bring to the top what holds."""
        heap, queued = self._heap, self._queued
        while heap:
            deadline, key = heap[0]
            if queued.get(key) != deadline:
                # It was brought forward since, and stands above.
                heapq.heappop(heap)
                continue
            actual = self._deadline_of(key)
            if actual == deadline:
                break
            del queued[key]
            if actual == NEVER:
                heapq.heappop(heap)
            else:
                queued[key] = actual
                heapq.heapreplace(heap, (actual, key))
        self.due = heap[0][0] if heap else NEVER
