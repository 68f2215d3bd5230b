"""
When each line happened, in the order of its file.

A line without a timestamp takes the time of the nearest line before it that has one, whether
anything was looking for that line or not.  Most lines never have their time read, so this looks
back, but never past a line whose time is known: no line is looked at twice.

Where a file begins with lines that have none (a banner, the rest of a stack trace), they take the
first time that follows: the time of reading would put an old file's first lines after all others.

Trap: cutting a file into other chunks must not change any time.  So the time before a chunk is part
of the file's framing, and a local time that happens twice is resolved line by line.  The one
exception: those first lines see no further than their chunk, since no line can wait for another,
and no further than some thousands of lines, since a million without any time are no banner.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from alertd.core.timestamps import Stamp

MOST_AHEAD = 4096
"""Lines that are looked at for the first time that follows."""


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
        newest: The greatest that was resolved, or minus infinity.
        position: Where the first line begins that was not.
    """

    __slots__ = (
        "_ahead",
        "_end",
        "_has_looked",
        "_stamps_after",
        "_stamps_before",
        "last",
        "newest",
        "position",
    )

    def __init__(
        self,
        previous: float | None,
        span: tuple[int, int],
        stamps_before: Callable[[int, int], Iterable[Stamp | None]],
        stamps_after: Callable[[int], Iterable[Stamp | None]],
    ) -> None:
        """
        Begin.

        Args:
            previous: The time before the chunk.
            span: Where the chunk's first line begins, and where its last one ends.
            stamps_before: Gives the stamps of the lines between two positions, the last line's
                first.
            stamps_after: Gives the stamps of the lines from a position on, the next line's first.
        """
        self.last = previous
        self.newest = -math.inf
        self.position, self._end = span
        self._stamps_before = stamps_before
        self._stamps_after = stamps_after
        # The first time in the chunk, if lines were found that have none and none before them.
        self._ahead: float | None = None
        self._has_looked = False

    def resolve(self, stamp: Stamp | None, start: int, end: int) -> float | None:
        """
        Give a line's time; lines are asked for in their order.

        Args:
            stamp: Its own.
            start: Where it begins.
            end: Where the next line begins.

        Returns:
            None if neither it nor any line before has one, nor one after it in the chunk.
        """
        position = self.position
        self.position = max(end, position)
        if position < start:
            self._look_back(position, start)
        if stamp is not None:
            return self._take(stamp)
        return self.last if self.last is not None else self._look_ahead(end)

    def settle(self, end: int) -> None:
        """Look at as many lines before a position as it takes to know the last time."""
        if self.position < end:
            self._look_back(self.position, end)
            self.position = end

    def _look_back(self, position: int, start: int) -> None:
        pending = []
        for stamp in self._stamps_before(position, start):
            if stamp is not None:
                pending.append(stamp)
                if stamp.later is None:
                    break
        for stamp in reversed(pending):
            self._take(stamp)

    def _look_ahead(self, start: int) -> float | None:
        """Give the first time behind a line that has none before it."""
        if not self._has_looked and self.position < self._end:
            self._has_looked = True
            for looked_at, stamp in enumerate(self._stamps_after(start), 1):
                if stamp is not None:
                    self._ahead = resolved(stamp, None)
                    break
                if looked_at == MOST_AHEAD:
                    break
            else:
                # Nothing in the chunk has a time, and nothing need be looked at again.
                self.position = self._end
        return self._ahead

    def _take(self, stamp: Stamp) -> float:
        self.last = time = resolved(stamp, self.last)
        self.newest = max(self.newest, time)
        return time
