"""
A window that slides by slices: sums instead of times, so that it costs the same at any rate.

A span is cut into 120 equal slices that lie fixed on the time line, from the epoch on: a time
belongs to slice ``floor(microseconds * 120 / span in microseconds)``, computed in integers.  The
window of an event in slice *s* holds the slices *s* - 119 to *s*.  So it is at most one slice
shorter than the span, and never longer: two events a span apart are never in one window.  The
windows before it, as far as they are kept, follow without a gap: *s* - 239 to *s* - 120.

Refuses to round: which slice an event is in depends on nothing but its time and the span.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right

from msgspec import msgpack

SLICES = 120
BARS = 24
"""Slices are drawn five to a bar."""


class Grid:
    """
    Some numbers for each slice of one key's window, and perhaps of windows before it.

    Args:
        span: Seconds; at least 1.
        types: The columns' types as ``array`` knows them, integers ``q`` or floats ``d``.
        frozen: State to take up, of the same span, types and windows.
        windows: How many windows are kept, the one at hand included.

    Attributes:
        slices: The numbers of the slices in which something happened, the oldest first.
        columns: What is known of each of these; of a new one zeros.
    """

    __slots__ = ("_kept", "_span", "_until", "columns", "slices")

    def __init__(self, span: float, types: str, frozen: bytes = b"", *, windows: int = 1) -> None:
        self._span = round(span * 1_000_000)
        self._kept = SLICES * windows
        # The last slice ends before this time, which spares most events a division.
        self._until = -math.inf
        slices, *columns = (
            msgpack.decode(frozen, type=list[list[float]]) if frozen else [[], *([] for _ in types)]
        )
        self.slices = array("q", map(int, slices))
        self.columns = tuple(
            array(kind, map(int, column) if kind == "q" else column)
            for kind, column in zip(types, columns, strict=True)
        )

    def slice_of(self, time: float) -> int:
        """Compute the number of the slice that holds a time."""
        return round(time * 1_000_000) * SLICES // self._span

    def first_from(self, time: float) -> int:
        """Compute the number of the first slice that begins at a time or later."""
        return -(-round(time * 1_000_000) * SLICES // self._span)

    def enter(self, time: float) -> bool:
        """
        Let the window end with the slice of an event.

        Args:
            time: Unix seconds, not earlier than the one before.

        Returns:
            Whether a new slice has begun, which may have pushed old ones out.
        """
        if time < self._until:
            return False
        number = self.slice_of(time)
        first_behind = -(-(number + 1) * self._span // SLICES)
        self._until = (first_behind - 0.5) / 1_000_000
        slices = self.slices
        if slices and slices[-1] == number:
            return False
        gone = bisect_right(slices, number - self._kept)
        if gone:
            del slices[:gone]
            for column in self.columns:
                del column[:gone]
        slices.append(number)
        for column in self.columns:
            column.append(0)
        return True

    def is_empty(self, now: float) -> bool:
        """Tell whether nothing that happened up to now can still count."""
        return not self.slices or self.slices[-1] <= self.slice_of(now) - self._kept

    def begin(self) -> int:
        """Find the place of the first slice of the window at hand; before it are earlier ones."""
        return bisect_right(self.slices, self.slices[-1] - SLICES) if self.slices else 0

    def bars(self, column: int) -> tuple[int, ...]:
        """Add up a column of integers over each 24th of the window, the oldest first."""
        bars = [0] * BARS
        begin, first = self.begin(), self.slices[-1] - SLICES + 1
        values = self.columns[column][begin:]
        for number, value in zip(self.slices[begin:], values, strict=True):
            bars[(number - first) * BARS // SLICES] += int(value)
        return tuple(bars)

    def freeze(self) -> bytes:
        """Return its state as plain data."""
        return msgpack.encode([self.slices.tolist(), *(one.tolist() for one in self.columns)])


def worst_case_bytes(columns: int, windows: int = 1) -> int:
    """Compute what a grid of so many columns takes at most, by sys.getsizeof on CPython 3.11."""
    slices = SLICES * windows
    # An array allocates ahead.
    return (columns + 1) * (80 + 8 * (slices + slices // 8 + 8)) + 300
