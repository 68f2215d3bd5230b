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
LINE_CHARS = 500
# What a kept line costs beside its text: the sample, its numbers, and its place in a list.
SAMPLE_OVERHEAD = 250


def shorten(line: str) -> str:
    """Cut a line to what is kept of it."""
    return line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "…"


class Evidence:
    """
    The first and the last lines of one key's window.

    Args:
        samples: Lines that it holds already, oldest first.
    """

    __slots__ = ("samples",)

    def __init__(self, samples: Sequence[Sample] = ()) -> None:
        self.samples = list(samples)

    def add(self, match: Match, span: float) -> int:
        """
        Keep one more line.

        Args:
            match: The line that has just been counted.
            span: Seconds after which a line is no longer the window's first.

        Returns:
            By how many bytes, roughly, more (or fewer) are held now.
        """
        samples = self.samples
        line = match.line
        if len(line) > LINE_CHARS:
            line = shorten(line)
        samples.append(Sample(match.time, match.path, match.offset, line))
        grown = len(line) + SAMPLE_OVERHEAD
        if len(samples) > 1 and match.time - samples[0].time >= span:
            grown -= len(samples.pop(0).line) + SAMPLE_OVERHEAD
        if len(samples) > LAST_LINES + 1:
            grown -= len(samples.pop(1).line) + SAMPLE_OVERHEAD
        return grown

    def clear(self) -> int:
        """Forget every line; return how many bytes, roughly, that frees."""
        freed = self.size
        self.samples.clear()
        return freed

    @property
    def size(self) -> int:
        """Bytes that it holds, roughly."""
        return sum(len(sample.line) + SAMPLE_OVERHEAD for sample in self.samples)
