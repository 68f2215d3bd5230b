"""
Rotate a busy log under a reader: what is lost, what comes twice, what piles up.

    python tests/torture/rotate.py                       renamed 10 times a second, 50,000 lines/s
    python tests/torture/rotate.py --how copytruncate    by logrotate, 3 a second, 20,000 lines/s
    python tests/torture/rotate.py --lines 5000 --seconds 1000    10,000 rotations

The writer is a process of its own and makes one ``write`` a line, as loggers do.  What it has
written is compared, line by line, with what the reader was handed, and with what lies in the files
in the end: nothing that lies in one of them may be lost, and nothing at all may come twice.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alertd.core.rules import Source
from alertd.tail import Tailer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO

    from alertd.tail import FileKey, StoredFile

DIGITS: Final = 12
LINE: Final = b"%012d the quick brown fox jumps over the lazy dog and is logged for it\n"
LENGTH: Final = len(LINE % 0)
KEPT: Final = 30
"""Rotations that a renaming writer keeps; what is older is deleted under the reader."""
COMMIT_SECONDS: Final = 0.25
PATIENCE: Final = 5.0
"""Seconds without a new line after which no more are waited for."""


@dataclass(frozen=True, slots=True)
class Load:
    """
    What is done to the log.

    Attributes:
        how: ``rename``, by the writer itself, or ``copytruncate``, by logrotate.
        lines: Written a second.
        per_second: Rotations.
        seconds: For so long.
        glob: What the source means; whether the rotated files are among that.
    """

    how: str = "rename"
    lines: int = 50_000
    per_second: float = 10.0
    seconds: float = 60.0
    glob: str = "a.log"


@dataclass(slots=True)
class Outcome:
    """
    What came of it.

    Attributes:
        written: Lines.
        rotations: How many there were.
        lost: Numbers of lines that the reader was never handed.
        twice: How many came more than once.
        disordered: How many came after a younger one.
        in_neither: Numbers of lines that are in no file any more.
        fragments: How many were handed out that are no line, each the torn end of a copy.
        reported: Bytes that may be lost, as the reader said.
        descriptors: Open before, and when all was read.
        resident: MiB after a second, and in the end.
        seconds: How long the writer took.
    """

    written: int = 0
    rotations: int = 0
    lost: list[int] = field(default_factory=list)
    twice: int = 0
    disordered: int = 0
    in_neither: set[int] = field(default_factory=set)
    fragments: int = 0
    reported: int = 0
    descriptors: tuple[int, int] = (0, 0)
    resident: tuple[float, float] = (0.0, 0.0)
    seconds: float = 0.0

    def __str__(self) -> str:
        lost = len(self.lost) / max(1, self.written)
        return (
            f"{self.written:,} lines at {self.written / self.seconds:,.0f} a second,"
            f" {self.rotations:,} rotations at {self.rotations / self.seconds:.1f} a second\n"
            f"lost {len(self.lost):,} ({lost:.3%}), of which still in some file"
            f" {len(set(self.lost) - self.in_neither):,}; in no file {len(self.in_neither):,}\n"
            f"bytes lost {len(self.lost) * LENGTH:,}, reported {self.reported:,}\n"
            f"twice {self.twice:,}, out of order {self.disordered:,},"
            f" fragments {self.fragments:,}\n"
            f"descriptors {self.descriptors[0]} -> {self.descriptors[1]},"
            f" resident {self.resident[0]:.1f} -> {self.resident[1]:.1f} MiB"
        )


class Reader:
    """
    Follows the log and takes note of every line that it is handed.

    Args:
        glob: What to follow.
    """

    def __init__(self, glob: str) -> None:
        self.tailer = Tailer([Source("app", (glob,), UTC, start_at="beginning")], [])
        self.count = 0
        self.outcome = Outcome()
        self.last_at = time.monotonic()
        self._seen = bytearray()
        self._newest = -1
        self._stored: dict[FileKey, StoredFile] = {}
        self._commit_at = 0.0

    async def run(self) -> None:
        """Read and commit until cancelled."""
        while True:
            await self.tailer.changed(COMMIT_SECONDS)
            for file in self.tailer.readable():
                batch = await self.tailer.read(file)
                if batch is not None:
                    self._take(batch.data)
                    self.tailer.consume(file, batch, len(batch.data))
            if time.monotonic() >= self._commit_at:
                self._commit_at = time.monotonic() + COMMIT_SECONDS
                changed, forgotten = self.tailer.take_changes()
                for key in forgotten:
                    self._stored.pop(key, None)
                self._stored.update((file.key, file) for file in changed)
                problems = self.tailer.take_problems()
                self.outcome.reported += sum(problem.lost for problem in problems)

    def missing(self, written: int) -> list[int]:
        """Return the numbers of lines that never came."""
        seen = self._seen.ljust(written, b"\0")
        return [number for number in range(written) if not seen[number]]

    def _take(self, data: bytes) -> None:
        outcome = self.outcome
        for line in data.removesuffix(b"\n").split(b"\n"):
            if len(line) != LENGTH - 1:
                outcome.fragments += 1
                continue
            number = int(line[:DIGITS])
            if number >= len(self._seen):
                self._seen.extend(bytes(number + 100_000 - len(self._seen)))
            if self._seen[number]:
                outcome.twice += 1
            elif number < self._newest:
                outcome.disordered += 1
            self._seen[number] = 1
            self._newest = max(self._newest, number)
            self.count += 1
        self.last_at = time.monotonic()


async def torture(directory: Path, load: Load) -> Outcome:
    """Write, rotate and read until all that can be read has been."""
    log = directory / "a.log"
    log.touch()
    reader = Reader(str(directory / load.glob))
    outcome = reader.outcome
    await reader.tailer.open()
    before = open_descriptors()
    reading = asyncio.gather(reader.tailer.run(), reader.run())
    writer = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            Path(__file__),
            "--write",
            log,
            f"--how={load.how}",
            f"--lines={load.lines}",
        ),
        *(f"--per-second={load.per_second}", f"--seconds={load.seconds}"),
        stdout=subprocess.PIPE,
    )
    try:
        await asyncio.sleep(min(1.0, load.seconds / 2))
        resident = resident_mib()
        if load.how == "copytruncate":
            outcome.rotations = await _keep_truncating(log, load, writer)
        told, _ = await writer.communicate()
        written, renamed, seconds = told.split()
        outcome.written, outcome.seconds = int(written), float(seconds)
        outcome.rotations += int(renamed)
        await _until_read(reader, outcome.written)
        outcome.resident = (resident, resident_mib())
        outcome.descriptors = (before, open_descriptors())
    finally:
        # It only ends by itself when it fails.
        if not reading.done():
            reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        await reader.tailer.close()
    outcome.lost = reader.missing(outcome.written)
    outcome.in_neither = set(range(outcome.written)) - set(_numbers(directory))
    return outcome


async def _keep_truncating(log: Path, load: Load, writer: asyncio.subprocess.Process) -> int:
    """Have logrotate copy and empty the log until its writer has ended."""
    config = log.with_name("logrotate.conf")
    user = "su root root\n" if os.getuid() == 0 else ""
    config.write_text(f"{log} {{\n{user}rotate 1000\nmissingok\ncopytruncate\n}}\n")
    config.chmod(0o644)
    environment = {**os.environ, "PATH": f"/usr/sbin:/sbin:{os.environ['PATH']}"}
    rotations = 0
    end = asyncio.create_task(writer.wait())
    while not end.done():
        copying = await asyncio.create_subprocess_exec(
            *("logrotate", "--force", "--state", log.with_name("state"), config), env=environment
        )
        if await copying.wait() != 0:
            raise RuntimeError("logrotate failed")
        rotations += 1
        await asyncio.wait([end], timeout=1 / load.per_second)
    return rotations


async def _until_read(reader: Reader, written: int) -> None:
    """Wait until every line has come, or none has for a while in which all could have."""
    while reader.count < written and time.monotonic() - reader.last_at < PATIENCE:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await asyncio.sleep(2 * COMMIT_SECONDS)


def _numbers(directory: Path) -> Iterable[int]:
    for path in directory.glob("a.log*"):
        for line in path.read_bytes().split(b"\n"):
            if len(line) == LENGTH - 1:
                yield int(line[:DIGITS])


def open_descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - nothing but their number


def resident_mib() -> float:
    """Return how much memory this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def write(log: Path, load: Load) -> tuple[int, int, float]:
    """
    Write lines at a steady pace, and rotate by renaming if that is wanted.

    Returns:
        How many lines, how many rotations, and how many seconds that took.
    """
    number = rotations = 0
    pause = 1 / load.per_second
    rotate_at = pause if load.how == "rename" else math.inf
    file: IO[bytes] = log.open("ab", buffering=0)
    began = time.monotonic()
    while (passed := time.monotonic() - began) < load.seconds:
        for _ in range(int(passed * load.lines) - number):
            file.write(LINE % number)
            number += 1
        if passed >= rotate_at:
            # A machine that stood still is not made up for: nobody rotates in a burst, and what is
            # made and deleted between two looks is nobody's to read.
            rotate_at = max(rotate_at + pause, passed + pause / 2)
            rotations += 1
            _shift(log)
            # Whoever renames goes on for a while with the file that is open.
            for _ in range(20):
                file.write(LINE % number)
                number += 1
            file = _reopened(file, log)
        time.sleep(0.001)
    file.close()
    return number, rotations, passed


def _shift(log: Path) -> None:
    for age in range(KEPT, 0, -1):
        old = log.with_name(f"a.log.{age}")
        if old.exists():
            old.rename(log.with_name(f"a.log.{age + 1}"))
    log.with_name(f"a.log.{KEPT + 1}").unlink(missing_ok=True)
    log.rename(log.with_name("a.log.1"))


def _reopened(file: IO[bytes], log: Path) -> IO[bytes]:
    new = log.open("ab", buffering=0)
    file.close()
    return new


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("--how", choices=["rename", "copytruncate"], default="rename")
    parser.add_argument("--lines", type=int, help="a second")
    parser.add_argument("--per-second", type=float, help="rotations")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--glob", default="a.log", help="a.log, or *.log* with what is rotated")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    is_renamed = options.how == "rename"
    load = Load(
        options.how,
        options.lines or (50_000 if is_renamed else 20_000),
        options.per_second or (10.0 if is_renamed else 3.0),
        options.seconds,
        options.glob,
    )
    if options.write is not None:
        sys.stdout.write("{} {} {}\n".format(*write(options.write, load)))
        return
    with tempfile.TemporaryDirectory() as directory:
        sys.stdout.write(f"{asyncio.run(torture(Path(directory), load))}\n")


if __name__ == "__main__":
    main()
