"""
A log, who writes it, and who rotates it in every way there is; for ``model``.

The writer knows for each line whether it must be read: it must, unless the only file that held it
went before the reader could have it open.
"""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from pathlib import Path

EPOCH: Final = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
GENERATIONS: Final = 8


class Clock:
    """
    Two clocks that only a program moves.

    Attributes:
        mono: Seconds that never jump.
        skew: By how much the other one is ahead of the time at which lines are written.
    """

    def __init__(self) -> None:
        self.mono = 0.0
        self.skew = 0.0

    def monotonic(self) -> float:
        """Tell the time that never jumps."""
        return self.mono

    def wall(self) -> float:
        """Tell the time by the machine's clock."""
        return EPOCH + self.mono + self.skew


@dataclass
class Line:
    """What was written as one line."""

    time: float
    key: str


class Writer:
    """
    A log, who writes it, and who rotates it.

    Attributes:
        lines: What has been written, by number from 1.
        may_be_lost: The lines of which the last copy went before the reader could have it open.
    """

    def __init__(self, directory: Path, chance: random.Random, clock: Clock) -> None:
        self.lines: dict[int, Line] = {}
        self.may_be_lost: set[int] = set()
        self.is_watched = False
        self._chance = chance
        self._clock = clock
        self._is_half = False
        self._deleted = 0
        """The last line of the last file that was deleted."""
        self._newborn: set[int] = set()
        """Inodes of files that the reader has not looked at."""
        self._targets = 0
        self.is_link = chance.random() < 0.2
        self.log = directory / "a.log"
        if self.is_link:
            (directory / "data.0").touch()
            self.log.symlink_to("data.0")
        self.log.touch()
        self._file = self.log.open("ab", buffering=0)

    def looked(self) -> None:
        """Note that the reader knows every file there is."""
        self._newborn.clear()

    def died(self) -> None:
        """Note that the reader has no file open any more: what was deleted is gone."""
        self.may_be_lost.update(range(1, self._deleted + 1))

    def close(self) -> None:
        """Stop writing."""
        self._file.close()

    def write(self) -> None:
        """Append some lines, perhaps the last one only in part."""
        for _ in range(self._chance.choice((1, 1, 2, 4))):
            if self._is_half:
                self._file.write(b" and the rest\n")
                self._is_half = False
            else:
                self._file.write(self._text())
        if self._chance.random() < 0.2:
            self.complete()
            self._file.write(self._text()[:-1])
            self._is_half = True

    def complete(self) -> None:
        """End a line that was written in part: what a truncation tears is nobody's fault."""
        if self._is_half:
            self._file.write(b"\n")
            self._is_half = False

    def rename(self) -> None:
        """Rotate by renaming; the writer may keep the old file for a while."""
        self._shift()
        self.log.rename(self.log.with_name("a.log.1"))
        if self._chance.random() < 0.5:
            self.write()
        self._begin()

    def copytruncate(self) -> None:
        """Rotate by copying."""
        self.complete()
        self._shift()
        copy = self.log.with_name("a.log.1")
        shutil.copyfile(self.log, copy)
        self._newborn.add(copy.stat().st_ino)
        os.truncate(self.log, 0)

    def recreate(self) -> None:
        """Delete the log and begin a new one; what the reader did not have open is gone."""
        if not self.is_watched or self.log.stat().st_ino in self._newborn:
            self.may_be_lost.update(self.lines)
        self._deleted = max(self.lines, default=0)
        self.log.unlink()
        self._begin()

    def compress(self) -> None:
        """Compress the newest rotated file."""
        plain = self.log.with_name("a.log.1")
        if not plain.exists():
            return
        status = plain.stat()
        packed = plain.with_name("a.log.1.gz")
        packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        plain.unlink()
        if status.st_ino in self._newborn and self.is_watched:
            # Made and compressed between two looks: nothing of it was open or known.
            self.may_be_lost.update(self.lines)

    def switch(self) -> None:
        """Let the symbolic link lead to a new file."""
        if not self.is_watched or self.log.stat().st_ino in self._newborn:
            # Nothing leads to the old one any more.
            self.may_be_lost.update(self.lines)
        self.complete()
        self._deleted = max(self.lines, default=0)
        self._targets += 1
        target = self.log.with_name(f"data.{self._targets}")
        target.touch()
        link = self.log.with_name("link")
        link.symlink_to(target.name)
        link.rename(self.log)
        self._begin()

    def _begin(self) -> None:
        self.complete()
        self._file.close()
        self._file = self.log.open("ab", buffering=0)
        self._newborn.add(self.log.stat().st_ino)

    def _shift(self) -> None:
        """Make room for the next rotated file."""
        for suffix in ("", ".gz"):
            for number in range(GENERATIONS, 0, -1):
                old = self.log.with_name(f"a.log.{number}{suffix}")
                if old.exists():
                    old.rename(self.log.with_name(f"a.log.{number + 1}{suffix}"))

    def _text(self) -> bytes:
        self._clock.mono += self._chance.choice((0.0, 0.01, 1.0, 20.0))
        line = Line(round(EPOCH + self._clock.mono, 6), self._chance.choice("abc"))
        number = len(self.lines) + 1
        self.lines[number] = line
        stamp = datetime.fromtimestamp(line.time, UTC).isoformat(timespec="microseconds")
        padding = "x" * self._chance.choice((0, 3, 30, 2000))
        return f"{stamp} n={number} k={line.key} {padding}\n".encode()
