"""
How much happened in the same window on earlier days.

What is long past is kept in steps of five slices (see ``grid``), a 24th of the window: a step is
``slice // 5``.  The window of an event in slice *s*, *k* days earlier, is the 24 whole steps that
end with the one that holds slice *s* - *k* · *D*.  *D* is the number of slices in 24 hours, and
*k* · *D* is rounded up where the span does not go into it.  So an earlier window may begin and end
up to four slices later than exactly so many days before, and up to one slice earlier.

A day is 24 hours, whatever clocks are set to: on two days a year local time compares with one
another hour, and an average over a week hardly notices.

Refuses to forget by rules of its own: every step between the oldest and the newest has its place,
so it costs the same at any rate, and what it costs at most is known beforehand.
"""

from __future__ import annotations

from array import array

from msgspec import msgpack

from alertd.core.grid import BARS, SLICES

STEP = SLICES // BARS
"""Slices of a step."""

_DAY = 86_400 * 1_000_000
_STEP_BYTES = 4
_ORDER = array("I", [1]).tobytes()
"""How this machine writes numbers."""


class Days:
    """
    The events of one key, by the step.

    Args:
        span: The window's length in seconds; no longer than a day.
        days: How many earlier days are asked for.
        frozen: State to take up, of the same span and number of days.
    """

    __slots__ = ("_first", "_shifts", "_steps")

    def __init__(self, span: float, days: int, frozen: bytes = b"") -> None:
        self._shifts = _shifts(span, days)
        self._first = 0
        self._steps = array("I")
        if frozen:
            order, self._first, steps = msgpack.decode(frozen, type=tuple[bytes, int, bytes])
            self._steps.frombytes(steps)
            if order != _ORDER:
                self._steps.byteswap()

    def add(self, number: int) -> None:
        """
        Count one more event.

        Args:
            number: Its slice, none before that of the event before.
        """
        missing = number // STEP - (self._first + len(self._steps)) + 1
        if missing > 0 or not self._steps:
            self._extend(missing)
        self._steps[-1] += 1

    def earlier(self, number: int, watched_from: float) -> tuple[int, int]:
        """
        Add up the same window on earlier days.

        Args:
            number: The last slice of the window of today.
            watched_from: The first slice of which everything was seen: a day whose window begins
                before it is left out.

        Returns:
            The events in all of these windows, and how many days there are.
        """
        total = days = 0
        for shift in self._shifts:
            behind = (number - shift) // STEP + 1
            first = behind - BARS
            if first * STEP < watched_from:
                break
            days += 1
            if behind > self._first:
                steps = self._steps[max(0, first - self._first) : behind - self._first]
                total += sum(steps)
        return total, days

    def is_empty(self, number: int) -> bool:
        """Tell whether nothing of it can count for an event in a slice, or later."""
        oldest = (number - self._shifts[-1]) // STEP - BARS + 1
        return not self._steps or self._first + len(self._steps) <= oldest

    def freeze(self) -> bytes:
        """Return its state as plain data."""
        # As bytes: numbers one by one would take milliseconds for each of many keys.
        return msgpack.encode((_ORDER, self._first, self._steps.tobytes()))

    def _extend(self, missing: int) -> None:
        """Make room for so many more steps, and forget those that nothing asks for any more."""
        kept = _kept(self._shifts)
        last = self._first + len(self._steps) + missing - 1
        if not self._steps or missing >= kept:
            self._first, self._steps = last, array("I", [0])
            return
        self._steps.frombytes(bytes(missing * _STEP_BYTES))
        gone = len(self._steps) - kept
        if gone > 0:
            del self._steps[:gone]
            self._first += gone


def _shifts(span: float, days: int) -> tuple[int, ...]:
    """Give how many slices each of the earlier days is away, yesterday first."""
    width = round(span * 1_000_000)
    return tuple(-(-day * _DAY * SLICES // width) for day in range(1, days + 1))


def _kept(shifts: tuple[int, ...]) -> int:
    return -(-shifts[-1] // STEP) + BARS


def worst_case_bytes(span: float, days: int) -> int:
    """Compute what the steps of one key take at most, by sys.getsizeof on CPython 3.11."""
    steps = _kept(_shifts(span, days))
    return 400 + _STEP_BYTES * (steps + steps // 8 + 8) + days * 40
