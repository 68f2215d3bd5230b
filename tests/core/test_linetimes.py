"""When lines happened that say nothing about it, and what finding out may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.linetimes import MOST_AHEAD, LineTimes
from alertd.core.timestamps import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterator


class Lines:
    """A chunk of lines of one byte, only the last of which has a time."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.looked_at = 0
        self.times = LineTimes(None, (0, count), self._before, self._after)

    def _before(self, start: int, end: int) -> Iterator[Stamp | None]:
        for position in reversed(range(start, end)):
            yield self._stamp(position)

    def _after(self, start: int) -> Iterator[Stamp | None]:
        for position in range(start, self._count):
            self.looked_at += 1
            yield self._stamp(position)

    def _stamp(self, position: int) -> Stamp | None:
        return Stamp(7.0, None) if position == self._count - 1 else None


def test_a_line_before_the_first_time_takes_it() -> None:
    """A banner."""
    lines = Lines(10)

    assert 7.0 == lines.times.resolve(None, 0, 1)


def test_the_first_time_is_not_looked_for_in_all_of_a_chunk_nor_twice() -> None:
    """Or a million lines without one would be a million times a million."""
    lines = Lines(2 * MOST_AHEAD)

    assert [None] * 100 == [lines.times.resolve(None, line, line + 1) for line in range(100)]
    assert MOST_AHEAD == lines.looked_at


def test_what_was_not_looked_at_still_tells_the_time_of_what_follows() -> None:
    """Stopping early is not having seen that there is none."""
    lines = Lines(2 * MOST_AHEAD)
    lines.times.resolve(None, 0, 1)
    lines.times.settle(2 * MOST_AHEAD)

    assert (7.0, 7.0) == (lines.times.last, lines.times.newest)
