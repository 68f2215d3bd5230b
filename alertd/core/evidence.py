"""
The few lines of a key that a mail will show, bounded.

The oldest line that still counts and the last few: whoever is woken wants to see how it began and
where it stands.  Lines are cut, because a log may hold lines of any length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.events import Match, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

LAST_LINES = 3
MOST_LINES = LAST_LINES + 1
LINE_CHARS = 500
# What a kept line costs beside its text: the match, its numbers, and its place in a list.
LINE_OVERHEAD = 250


def shortened(match: Match) -> Match:
    """Cut a match's line to what is kept of it."""
    line = match.line
    if len(line) <= LINE_CHARS:
        return match
    return Match(
        match.rule,
        match.key,
        match.time,
        match.path,
        match.offset,
        line[: LINE_CHARS - 1] + "…",
        match.event_time,
    )


class Evidence:
    """
    The first and the last lines of one key's window.

    Args:
        lines: Those that it holds already, oldest first.

    Attributes:
        lines: The first, if it still counts, then the last ones, oldest first.
        weight: Bytes that they take, roughly: as they did when there were fewer.
    """

    __slots__ = ("lines", "weight")

    def __init__(self, lines: Sequence[Match] = ()) -> None:
        self.lines = list(lines)
        self.weight = sum(len(match.line) + LINE_OVERHEAD for match in self.lines)

    def add(self, match: Match, span: float) -> int:
        """
        Keep one more line.

        Args:
            match: The line that is being counted.
            span: Seconds after which a line is no longer the window's first.

        Returns:
            By how much ``weight`` has grown.
        """
        lines = self.lines
        if len(match.line) > LINE_CHARS:
            match = shortened(match)
        lines.append(match)
        if match.time - lines[0].time >= span:
            del lines[0]
        elif len(lines) > MOST_LINES:
            del lines[1]
        else:
            grown = len(match.line) + LINE_OVERHEAD
            self.weight += grown
            return grown
        return 0

    def clear(self) -> int:
        """Forget every line; return the weight that this takes off."""
        freed, self.weight = self.weight, 0
        self.lines.clear()
        return freed

    def samples(self) -> tuple[Sample, ...]:
        """Return the lines as an alert shows them."""
        return tuple(
            Sample(match.time, match.path, match.offset, match.line) for match in self.lines
        )
