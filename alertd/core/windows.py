"""
How many within a span.

A window slides with every event: an event at *t* counts those in ``(t - span, t]``, itself
included.  To know whether there are more than *limit* of them, only the last ``limit + 1`` times
are needed: they are too many exactly when the oldest of those is inside the span.  So a window
costs the same however many events pass through it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Times are exact to the microsecond but held as floats, whose grid near today's dates is a quarter
# of that.  Half a microsecond of slack makes "exactly one span apart" come out exactly.
HALF_TICK = 5e-7

TIME_BYTES = 24 + 9
"""A time with its place in a window, by sys.getsizeof on CPython 3.11."""

SHORT = 64
"""Limits below which a window's times are held in a list."""


def exact(time: float) -> float:
    """Round a computed time to the microsecond, so that it equals the same time of an event."""
    return round(time * 1_000_000) / 1_000_000


class Window:
    """
    The last ``limit + 1`` times of one key.

    Times must be added in order; equal ones are fine.

    Args:
        limit: The greatest number of events that is not yet too much; 0 or more.
        span: Seconds; more than 0.
        times: Unix seconds that it holds already, oldest first.

    Attributes:
        reach: Two times belong to one window while they are less than this apart.
    """

    __slots__ = ("_kept", "limit", "reach", "span", "times")

    def __init__(self, limit: int, span: float, times: Iterable[float] = ()) -> None:
        self.limit = limit
        self.span = span
        self._kept = limit + 1
        # A deque takes half a kilobyte even for one time; a short list drops its first as fast.
        kept = list(times)[-self._kept :]
        self.times: list[float] | deque[float] = kept if limit < SHORT else deque(kept)
        self.reach = span - HALF_TICK

    def add(self, time: float) -> bool:
        """
        Count one more event.

        Args:
            time: Unix seconds, from the log line, not earlier than the one before.

        Returns:
            Whether more than ``limit`` events lie in ``(time - span, time]``, this one included.
        """
        times = self.times
        times.append(time)
        if len(times) <= self.limit:
            return False
        if len(times) > self._kept:
            del times[0]
        return time - times[0] < self.reach

    def inside(self, now: float) -> list[float]:
        """List the times in ``(now - span, now]`` that are still known, oldest first."""
        return [time for time in self.times if now - time < self.reach]

    def is_empty(self, now: float) -> bool:
        """Tell whether nothing that happened up to now can still count."""
        return not self.times or now - self.times[-1] >= self.reach

    def histogram(self, now: float, slices: int) -> tuple[int, ...]:
        """
        Count the known events per equal slice of ``(now - span, now]``.

        Args:
            now: Unix seconds of the window's end.
            slices: How many; the oldest comes first.
        """
        counts = [0] * slices
        for time in self.inside(now):
            counts[max(0, slices - 1 - int((now - time) / self.span * slices))] += 1
        return tuple(counts)
