"""
The few lines of a key that a mail will show, bounded.

The oldest line that still counts and the last few: whoever is woken wants to see how it began and
where it stands.  Lines are cut, because a log may hold lines of any length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.events import Match, Sample
from alertd.core.rules import STEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

LAST_LINES = 3
MOST_LINES = LAST_LINES + 1
LINE_CHARS = 500
LINE_OVERHEAD = 350
"""What a kept line costs beside its characters: the match, its numbers, and the texts' headers."""


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


def weigh(match: Match) -> int:
    """Compute the bytes that a kept match takes at most: it has a copy of its key, too."""
    weight = LINE_OVERHEAD
    for text in (match.line, *match.key):
        # As CPython holds it: one character that is not ASCII may make all of them wide.
        weight += len(text) if text.isascii() else 4 * len(text)
    return weight


class Evidence:
    """
    The first and the last lines of one key's window.

    Args:
        lines: Those that it holds already, oldest first.

    Attributes:
        lines: The first, if it still counts, then the last ones, oldest first.
        weight: Bytes that they take at most: as if all were as heavy as the heaviest so far.
        room: A line of so many characters that are ASCII weighs no more than that.
    """

    __slots__ = ("heaviest", "lines", "room", "weight")

    shown = LAST_LINES
    """How many of the last lines an alert has."""

    def __init__(self, lines: Sequence[Match] = ()) -> None:
        self.lines = list(lines)
        self.heaviest = max(map(weigh, self.lines), default=0)
        self.room = min((len(match.line) for match in self.lines), default=0)
        self.weight = len(self.lines) * self.heaviest

    def add(self, match: Match, span: float) -> int:
        """
        Keep one more line.

        Args:
            match: The line that is being counted.
            span: Seconds after which a line is no longer the window's first.

        Returns:
            By how much ``weight`` has grown.
        """
        before, lines = self.weight, self.lines
        if len(match.line) > LINE_CHARS:
            match = shortened(match)
        lines.append(match)
        if match.time - lines[0].time >= span:
            del lines[0]
        elif len(lines) > MOST_LINES:
            del lines[1]
        weight = weigh(match)
        if weight > self.heaviest:
            self.heaviest = weight
            self.room = len(match.line)
        self.weight = len(lines) * self.heaviest
        return self.weight - before

    def clear(self) -> int:
        """Forget every line; return the weight that this takes off."""
        freed, self.weight = self.weight, 0
        self.heaviest = self.room = 0
        self.lines.clear()
        return freed

    def samples(self) -> tuple[Sample, ...]:
        """Return the lines as an alert shows them."""
        return tuple(
            Sample(match.time, match.path, match.offset, match.line) for match in self.lines
        )


class EvidenceOfSteps(Evidence):
    """
    The lines of a key's sequence; where they are too many, not those in the middle of a step.

    Behind the key of a match stands for which steps it will do, the latest of them first: that is
    the one it is shown for.
    """

    __slots__ = ()

    shown = len(STEPS) + 1

    def add(self, match: Match, span: float) -> int:
        """Keep one more line, like any evidence."""
        before, lines = self.weight, self.lines
        lines.append(shortened(match))
        if match.time - lines[0].time >= span:
            del lines[0]
        if len(lines) > self.shown:
            steps = [line.key[-1][0] for line in lines]
            inner = (at for at in range(1, len(steps) - 1) if steps[at] == steps[at + 1])
            del lines[next(inner, 1)]
        self.weight = sum(map(weigh, lines))
        return self.weight - before

    def begin(self, time: float) -> None:
        """Forget what was before a time."""
        self.lines = [line for line in self.lines if line.time >= time]
        self.weight = sum(map(weigh, self.lines))
