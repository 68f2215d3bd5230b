"""
When each line happened, in the order of its file.

A line without a timestamp takes the time of the nearest line before it that has one, whether
anything was looking for that line or not.  Most lines never have their time read, so this looks
back, but never past a line whose time is known: no line is looked at twice.

Trap: cutting a file into other chunks must not change any time.  So the time before a chunk is part
of the file's framing, and a local time that happens twice is resolved line by line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from alertd.core.timestamps import Stamp


def resolved(stamp: Stamp, previous: float | None) -> float:
    """
    Choose between the readings of a timestamp.

    Args:
        stamp: With one reading or two.
        previous: The time of the nearest line before, if any.
    """
    if stamp.later is None or previous is None or not stamp.time < previous <= stamp.later:
        return stamp.time
    return stamp.later


class LineTimes:
    """
    The times of the lines of one chunk.

    Attributes:
        last: Of the last line that was resolved and has a time, in the file's order.
        newest: The greatest that was resolved, or None.
    """

    def __init__(
        self,
        previous: float | None,
        position: int,
        stamps_before: Callable[[int, int], Iterable[Stamp | None]],
    ) -> None:
        """
        Begin.

        Args:
            previous: The time before the chunk.
            position: Where the chunk's first line begins.
            stamps_before: Gives the stamps of the lines between two positions, the last line's
                first.
        """
        self.last = previous
        self.newest: float | None = None
        self._position = position
        self._stamps_before = stamps_before

    def resolve(self, stamp: Stamp | None, start: int, end: int) -> float | None:
        """
        Give a line's time; lines are asked for in their order.

        Args:
            stamp: Its own.
            start: Where it begins.
            end: Where the next line begins.

        Returns:
            None if neither it nor any line before has one.
        """
        self._position, position = end, self._position
        if stamp is None:
            self._look_back(position, start)
            return self.last
        time, later = stamp
        if later is None:
            # As nearly always: nothing else needs to be known.
            self.last = time
            if self.newest is None or time > self.newest:
                self.newest = time
            return time
        self._look_back(position, start)
        return self._take(stamp)

    def settle(self, end: int) -> None:
        """Look at as many lines before a position as it takes to know the last time."""
        self._look_back(self._position, end)
        self._position = end

    def _look_back(self, position: int, start: int) -> None:
        pending = []
        for stamp in self._stamps_before(position, start):
            if stamp is not None:
                pending.append(stamp)
                if stamp.later is None:
                    break
        for stamp in reversed(pending):
            self._take(stamp)

    def _take(self, stamp: Stamp) -> float:
        self.last = time = resolved(stamp, self.last)
        if self.newest is None or time > self.newest:
            self.newest = time
        return time
