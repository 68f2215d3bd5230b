"""
How large a file has been, and how fast it grows.

That is all there is to tell what was lost of a file that was emptied: what was in it, and what its
writer has most likely added unseen.

Trap: files are written to in bursts, and a measure over too short a time says anything at all.
"""

from __future__ import annotations

from typing import Final

_OVER_NS: Final = 1_000_000_000
"""It is measured over so long …"""

_OVER_AT_LEAST_NS: Final = 100_000_000
"""… or this, where a file does not live longer."""


class Growth:
    """
    The growth of one file.

    Attributes:
        peak: The greatest size that it is known to have had since it was last empty.
        peak_ns: When it was last written to when it was seen to have that.
    """

    __slots__ = ("_measured_at", "_pace", "peak", "peak_ns")

    def __init__(self) -> None:
        self.peak = 0
        self.peak_ns = 0
        self._pace = 0.0
        self._measured_at = (0, 0)
        """Size, and time of modification."""

    def see(self, size: int, mtime_ns: int) -> None:
        """
        Take note of a size.

        Args:
            size: One that is smaller than the peak is of a file that was emptied, and no growth.
            mtime_ns: When the file was last written to.
        """
        if size < self.peak:
            return
        self.peak, self.peak_ns = size, mtime_ns
        _, since = self._measured_at
        if not since:
            self._measured_at = (size, mtime_ns)
        elif mtime_ns - since >= _OVER_NS:
            self._measure()

    def begin_anew(self) -> None:
        """Forget the peak: the file has been emptied."""
        self._measure()
        self.peak = self.peak_ns = 0
        self._measured_at = (0, 0)

    def pace(self) -> float:
        """Return by how many bytes a second it has been growing lately, rather more than less."""
        before = self._pace
        self._measure()
        return max(before, self._pace)

    def _measure(self) -> None:
        size, since = self._measured_at
        if since and self.peak_ns - since >= _OVER_AT_LEAST_NS:
            self._pace = (self.peak - size) * 1e9 / (self.peak_ns - since)
            self._measured_at = (self.peak, self.peak_ns)
