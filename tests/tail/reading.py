"""
A daemon's part of the bargain, for tests: read, evaluate, consume, commit.

What a line would do is to be remembered here, in the order in which it was handed out.  ``stored``
is the database: ``restart`` forgets everything else.
"""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from alertd.core.rules import Source
from alertd.tail import FileKey, StoredFile, Tailer

if TYPE_CHECKING:
    from collections.abc import Callable

    from alertd.core.events import Batch
    from alertd.tail import FollowedFile


class Clock:
    """
    A clock that only tests move.

    Attributes:
        now: Seconds.
    """

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def source(
    *paths: Path | str, name: str = "app", start_at: str = "beginning", **more: object
) -> Source:
    """Return a source of plain lines."""
    settings = {"start_at": start_at, "timezone": UTC, **more}
    return Source(name=name, paths=tuple(str(path) for path in paths), **settings)  # type: ignore[arg-type]


class Reading:
    """
    Follows some sources and takes what they hand out.

    Attributes:
        lines: By source: every line handed out, without its end.
        batches: Every batch.
        stored: What is in the database.
    """

    def __init__(
        self,
        *sources: Source,
        lines: list[bytes] | None = None,
        stored: dict[FileKey, StoredFile] | None = None,
        take: Callable[[Batch], int] | None = None,
        rotate_grace: float = 60.0,
        scan_interval: float = 1.0,
    ) -> None:
        self.sources = sources
        self.stored: dict[FileKey, StoredFile] = {} if stored is None else stored
        self.lines: list[bytes] = [] if lines is None else lines
        self.batches: list[Batch] = []
        self.monotonic = Clock()
        self.settings = (rotate_grace, scan_interval)
        self.take = take
        self.tailer = Tailer(
            sources,
            list(self.stored.values()),
            monotonic=self.monotonic,
            rotate_grace=rotate_grace,
            scan_interval=scan_interval,
        )

    def restart(self) -> Reading:
        """Return what follows after a crash: nothing but the database is left."""
        rotate_grace, scan_interval = self.settings
        return Reading(
            *self.sources,
            lines=self.lines,
            stored=self.stored,
            take=self.take,
            rotate_grace=rotate_grace,
            scan_interval=scan_interval,
        )

    async def read(self, file: FollowedFile) -> bool:
        """Read and evaluate one batch of a file."""
        batch = await self.tailer.read(file)
        if batch is None:
            return False
        count = len(batch.data) if self.take is None else self.take(batch)
        self.batches.append(batch)
        self.lines += batch.data[:count].removesuffix(b"\n").split(b"\n") if count else []
        self.tailer.consume(file, batch, count)
        return True

    async def read_all(self) -> None:
        """Read whatever can be read without another look at the directories."""
        for _ in range(100_000):
            progress = [await self.read(file) for file in self.tailer.readable()]
            if not any(progress):
                return
        raise AssertionError("reading does not come to an end")

    async def settle(self) -> None:
        """Look and read until there is nothing left, and commit."""
        for _ in range(50):
            self.monotonic.now += 0.1
            await self.tailer.scan()
            before = len(self.batches)
            await self.read_all()
            if before == len(self.batches) and not any(
                file.is_behind for file in self.tailer.files()
            ):
                break
        self.commit()

    async def idle(self, seconds: float = 61.0) -> None:
        """Let time go by without any change, then look and read."""
        self.monotonic.now += seconds
        await self.settle()

    def commit(self) -> None:
        """Store the positions."""
        changed, forgotten = self.tailer.take_changes()
        for key in forgotten:
            self.stored.pop(key, None)
        self.stored.update((file.key, file) for file in changed)


def numbered(first: int, last: int) -> bytes:
    """Return lines ``line <first>`` up to ``line <last>``."""
    return b"".join(b"line %06d\n" % number for number in range(first, last + 1))


def expected(first: int, last: int) -> list[bytes]:
    """Return what ``numbered`` is read as."""
    return numbered(first, last).splitlines()


def append(path: Path, data: bytes) -> None:
    """Append as a logger does."""
    with path.open("ab") as file:
        file.write(data)


def resident() -> int:
    """Return how many bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
