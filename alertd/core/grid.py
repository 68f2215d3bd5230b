"""
A window that slides by slices: sums instead of times, so that it costs the same at any rate.

A span is cut into 120 equal slices that lie fixed on the time line, from the epoch on: a time
belongs to slice ``floor(microseconds * 120 / span in microseconds)``, computed in integers.  The
window of an event in slice *s* holds the slices *s* - 119 to *s*.  So it is at most one slice
shorter than the span, and never longer: two events a span apart are never in one window.

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

_COLUMN_BYTES = 80 + 8 * (SLICES + SLICES // 8 + 8)
"""A column with what an array allocates ahead, by sys.getsizeof on CPython 3.11."""


class Grid:
    """
    Some numbers for each slice of one key's window.

    Args:
        span: Seconds; at least 1.
        types: The columns' types as ``array`` knows them, integers ``q`` or floats ``d``.
        frozen: State to take up, of the same span and types.

    Attributes:
        slices: The numbers of the slices in which something happened, the oldest first.
        columns: What is known of each of these; of a new one zeros.
    """

    __slots__ = ("_span", "_until", "columns", "slices")

    def __init__(self, span: float, types: str, frozen: bytes = b"") -> None:
        self._span = round(span * 1_000_000)
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
        gone = bisect_right(slices, number - SLICES)
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
        return not self.slices or self.slices[-1] <= self.slice_of(now) - SLICES

    def bars(self, column: int) -> tuple[int, ...]:
        """Add up a column of integers over each 24th of the window, the oldest first."""
        bars = [0] * BARS
        first = self.slices[-1] - SLICES + 1
        for number, value in zip(self.slices, self.columns[column], strict=True):
            bars[(number - first) * BARS // SLICES] += int(value)
        return tuple(bars)

    def freeze(self) -> bytes:
        """Return its state as plain data."""
        return msgpack.encode([self.slices.tolist(), *(one.tolist() for one in self.columns)])


def worst_case_bytes(columns: int) -> int:
    """Compute what a grid of so many columns takes at most."""
    return (columns + 1) * _COLUMN_BYTES + 300
