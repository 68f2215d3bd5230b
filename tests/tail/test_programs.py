"""
Random programs of a writer, a rotation and a reader that crashes, against a simple oracle.

The oracle knows for each line whether it must arrive: it must, unless the only file that held it
was destroyed before the reader had it open.  No line may ever arrive twice, nor out of order.

``ALERTD_PROGRAMS`` sets how many are run on each file system; the seed in a failure's name repeats
it.  Two file systems, because one hands a deleted file's inode to the next file at once, and one
knows no generations of inodes.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tail.reading import Reading, source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alertd.core.events import Batch

PROGRAMS = int(os.environ.get("ALERTD_PROGRAMS", "80"))
GENERATIONS = 8
MEMORY = Path("/dev/shm")  # noqa: S108 - nothing in it is to be trusted


class World:
    """
    A writer, its log, its rotation, and a reader.

    Attributes:
        steps: What was done, for a failure's message.
    """

    def __init__(self, directory: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.log = directory / "a.log"
        self.glob = self.random.choice(["a.log", "*.log", "*.log*"])
        self.number = 0
        self.half = False
        self.may_be_lost: set[int] = set()
        self.deleted = 0
        """The last line of the last file that was deleted."""
        self.newborn: set[int] = set()
        """Inodes of files made since then."""
        self.steps: list[str] = [self.glob]
        self.log.touch()
        self.writer = self.log.open("ab", buffering=0)
        self.reading = Reading(source(directory / self.glob), take=self.take)
        self.is_down = False

    def take(self, batch: Batch) -> int:
        """Evaluate a batch, or only some of its lines."""
        if self.random.random() < 0.2 and not batch.is_final:
            return batch.data.find(b"\n", self.random.randrange(len(batch.data))) + 1
        return len(batch.data)

    def text(self) -> bytes:
        """Make the next line, long or short."""
        self.number += 1
        padding = b"x" * self.random.choice([0, 3, 30, 2000])
        return b"%d %s\n" % (self.number, padding)

    def write(self) -> None:
        """Append some lines, perhaps the last one only in part."""
        for _ in range(self.random.choice([1, 2, 5, 40])):
            if self.half:
                self.writer.write(b" and the rest\n")
                self.half = False
            else:
                self.writer.write(self.text())
        if self.random.random() < 0.2:
            self.writer.write(self.text()[:-1])
            self.half = True

    def complete(self) -> None:
        """End a line that was written in part: what is torn by a truncation is nobody's fault."""
        if self.half:
            self.writer.write(b"\n")
            self.half = False

    def shift(self) -> None:
        """Make room for the next rotated file."""
        for suffix in ("", ".gz"):
            for number in range(GENERATIONS, 0, -1):
                old = self.log.with_name(f"a.log.{number}{suffix}")
                if old.exists():
                    old.rename(self.log.with_name(f"a.log.{number + 1}{suffix}"))

    def rename(self) -> None:
        """Rotate by renaming; the writer may keep the old file for a while."""
        self.shift()
        self.log.rename(self.log.with_name("a.log.1"))
        if self.random.random() < 0.5:
            self.write()
        self.complete()
        self.writer.close()
        self.writer = self.log.open("ab", buffering=0)
        self.newborn.add(self.log.stat().st_ino)

    def copytruncate(self) -> None:
        """Rotate by copying."""
        self.complete()
        self.shift()
        copy = self.log.with_name("a.log.1")
        shutil.copyfile(self.log, copy)
        self.newborn.add(copy.stat().st_ino)
        os.truncate(self.log, 0)

    def recreate(self) -> None:
        """Delete the log and begin a new one; what the reader did not have open is gone."""
        self.complete()
        if self.is_down or self.log.stat().st_ino in self.newborn:
            self.may_be_lost.update(range(1, self.number + 1))
        self.deleted = self.number
        self.log.unlink()
        self.writer.close()
        self.writer = self.log.open("ab", buffering=0)
        self.newborn.add(self.log.stat().st_ino)

    def compress(self) -> None:
        """Compress the newest rotated file."""
        plain = self.log.with_name("a.log.1")
        if plain.exists():
            status = plain.stat()
            packed = plain.with_name("a.log.1.gz")
            packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
            os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
            plain.unlink()
            if status.st_ino in self.newborn and not self.is_down:
                # Made and compressed between two looks: nothing of it was open or known.
                last = max(self.arrived(), default=0)
                self.may_be_lost.update(range(last + 1, self.number + 1))

    async def look(self) -> None:
        """Let the reader look and read everything, or only some of it."""
        if self.is_down:
            self.reading = self.reading.restart()
            self.is_down = False
        if self.random.random() < 0.6:
            await self.reading.settle()
        else:
            await self.reading.tailer.scan()
            for file in self.reading.tailer.readable()[:1]:
                await self.reading.read(file)
            if self.random.random() < 0.5:
                self.reading.commit()
        if not self.reading.tailer._roster.undecided:
            self.newborn.clear()

    async def crash(self) -> None:
        """Kill the reader; what it has not committed it has not done."""
        if not self.is_down:
            # Of a deleted file nothing is left once it is not open any more.
            self.may_be_lost.update(range(1, self.deleted + 1))
            self.reading.commit()
            await self.reading.tailer.close()
            self.is_down = True

    async def wait(self) -> None:
        """Let the grace of rotated files go by."""
        if not self.is_down:
            await self.reading.idle()

    async def run(self, steps: int) -> None:
        """Do random things, and in the end read everything."""
        await self.look()
        actions: list[tuple[Callable[[], object], int]] = [
            (self.write, 8),
            (self.look, 6),
            (self.rename, 2),
            (self.copytruncate, 2),
            (self.compress, 1),
            (self.recreate, 1),
            (self.crash, 1),
            (self.wait, 1),
        ]
        names = [action for action, _ in actions]
        weights = [weight for _, weight in actions]
        for action in self.random.choices(names, weights, k=steps):
            self.steps.append(action.__name__)
            done = action()
            if asyncio.iscoroutine(done):
                await done
        self.complete()
        await self.look()
        await self.reading.settle()
        await self.reading.idle()
        await self.reading.tailer.close()
        self.writer.close()

    def arrived(self) -> list[int]:
        """Return the numbers of the lines that arrived."""
        return [int(line.split()[0]) for line in self.reading.lines if line]


@pytest.fixture(params=["on disk", "in memory"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Return a directory on one of two file systems."""
    if request.param == "on disk":
        yield tmp_path
    elif MEMORY.is_dir():
        with tempfile.TemporaryDirectory(dir=MEMORY) as name:
            yield Path(name)
    else:
        pytest.skip(f"no {MEMORY}")


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_every_line_arrives_once_and_in_order(directory: Path, seed: int) -> None:
    """What could be read is handed out once, in the order in which it was written."""
    world = World(directory, seed)

    asyncio.run(world.run(40))

    arrived = world.arrived()
    assert world.number > 0
    assert [] == sorted(set(range(1, world.number + 1)) - set(arrived) - world.may_be_lost), (
        world.steps
    )
    assert sorted(set(arrived)) == arrived, world.steps
