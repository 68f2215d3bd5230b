"""Files that come and go between two looks: what the kernel named is open, and is read."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from tail.reading import Reading, append, expected, numbered, source

from alertd.tail.caught import Caught

if TYPE_CHECKING:
    from pathlib import Path

    from alertd.tail import FollowedFile


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the log file that is written to."""
    return tmp_path / "a.log"


def name(reading: Reading, *paths: Path) -> None:
    """Do what the thread does to which the kernel names new files."""
    reading.tailer._caught.catch([str(path) for path in paths])


def caught(*paths: Path) -> Caught:
    """Catch files that are all of interest."""
    files = Caught(lambda _: True)
    files.catch([str(path) for path in paths])
    return files


def rotate(log: Path) -> None:
    """Keep one rotation: the one before it is deleted."""
    log.rename(log.with_name("a.log.1"))


def inode(path: Path) -> tuple[int, int]:
    """Return what a directory knows a file by."""
    status = path.stat()
    return (status.st_dev, status.st_ino)


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
@pytest.mark.parametrize("is_named_late", [False, True], ids=["as a.log", "as a.log.1"])
def test_r25_generations_that_are_deleted_before_the_next_look(
    tmp_path: Path, log: Path, glob: str, *, is_named_late: bool
) -> None:
    """R25: each was named once, under one name or another; all are read, in their order."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        append(log, numbered(11, 20))
        for first in (21, 31, 41):
            rotate(log)
            append(log, numbered(first, first + 9))
            os.utime(log, (first, first))  # a tick of the clock may be longer than this takes
            name(reading, tmp_path / "a.log.1" if is_named_late else log)
        os.utime(tmp_path / "a.log.1", (31, 31))
        name(reading, log)
        await reading.settle()
        await reading.idle()
        return reading.lines

    assert expected(1, 50) == asyncio.run(scenario())


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
@pytest.mark.parametrize("passed", [3, 10])
def test_generations_that_nobody_named_in_time_are_reported(
    tmp_path: Path, log: Path, glob: str, passed: int
) -> None:
    """R25: one a second, three kept; as many bytes as they wrote in the time that is missing."""

    async def scenario() -> tuple[list[bytes], list[int]]:
        append(log, numbered(1, 10))
        os.utime(log, (100, 100))
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        for second in range(1, passed + 1):
            for age in (2, 1):
                if log.with_name(f"a.log.{age}").exists():
                    log.with_name(f"a.log.{age}").rename(log.with_name(f"a.log.{age + 1}"))
            rotate(log)
            append(log, numbered(10 * second + 1, 10 * second + 10))
            os.utime(log, (100 + second, 100 + second))
        if passed == 3:
            log.with_name("a.log.3").unlink()  # it has been read
        await reading.settle()
        return reading.lines, [problem.lost for problem in reading.tailer.take_problems()]

    lines, lost = asyncio.run(scenario())

    missing = passed - 4
    assert [*expected(1, 10), *expected(10 * max(0, missing) + 11, 10 * passed + 10)] == lines
    assert ([missing * len(numbered(1, 10))] if missing > 0 else []) == lost


def test_generations_that_took_a_little_longer_are_not_taken_for_lost_ones(
    tmp_path: Path, log: Path
) -> None:
    """R25: nobody writes at an even pace; eight that were caught took ten per cent longer."""

    async def scenario() -> tuple[list[bytes], list[int]]:
        append(log, numbered(1, 10))
        os.utime(log, (100, 100))
        reading = Reading(source(tmp_path / "*.log*"))
        await reading.settle()
        at = 100.0
        for step in range(1, 13):
            for age in (2, 1):
                if log.with_name(f"a.log.{age}").exists():
                    log.with_name(f"a.log.{age}").rename(log.with_name(f"a.log.{age + 1}"))
            rotate(log)
            append(log, numbered(10 * step + 1, 10 * step + 10))
            at += 1.1 if step <= 8 else 1.0
            os.utime(log, (at, at))
            name(reading, log)
        await reading.settle()
        return reading.lines, [problem.lost for problem in reading.tailer.take_problems()]

    assert (expected(1, 130), []) == asyncio.run(scenario())


def test_what_was_caught_is_read_once_by_each_source(tmp_path: Path, log: Path) -> None:
    """Two sources follow it; a crash follows, and the file is still held open by its writer."""
    sources = [source(log), source(tmp_path / "*.log", name="other")]

    async def scenario() -> tuple[list[bytes], list[bytes]]:
        append(log, numbered(1, 10))
        reading = Reading(*sources)
        await reading.settle()
        for first in (11, 21):
            rotate(log)
            append(log, numbered(first, first + 9))
            name(reading, log)
        await reading.settle()
        await reading.settle()
        before = list(reading.lines)
        reading = reading.restart()
        await reading.settle()
        return before, reading.lines

    before, after = asyncio.run(scenario())

    assert sorted(2 * expected(1, 30)) == sorted(before)
    assert before == after


def test_a_copy_that_was_caught_and_deleted_holds_nothing_new(tmp_path: Path, log: Path) -> None:
    """Its lines have been read in its original."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 500))
        reading = Reading(source(log))
        await reading.settle()
        copy = tmp_path / "a.log.1"
        shutil.copyfile(log, copy)
        name(reading, copy)
        os.truncate(log, 0)
        append(log, numbered(501, 510))
        copy.unlink()
        await reading.settle()
        return reading.lines

    assert expected(1, 510) == asyncio.run(scenario())


def test_an_inode_that_has_become_another_files_is_caught(log: Path) -> None:
    """File systems hand it to the next file at once; only the time of modification differs."""
    append(log, b"a line\n")
    files = caught()
    status = log.stat()

    files.note([], {inode(log): status.st_mtime_ns})
    files.catch([str(log)])
    is_known = files.content_of(inode(log)) is None
    files.note([], {inode(log): status.st_mtime_ns - 1})
    files.catch([str(log)])
    content = files.content_of(inode(log))

    assert is_known
    assert content is not None
    assert b"a line\n" == content.read(100, 0)
    content.close()
    files.close()


def test_what_nobody_follows_is_let_go(tmp_path: Path, log: Path) -> None:
    """It is not held for ever, and neither is what cannot be a log."""
    append(log, b"a line\n")
    (tmp_path / "link").symlink_to(log)
    os.mkfifo(tmp_path / "fifo")
    packed = tmp_path / "a.log.1.gz"
    packed.touch()
    gone = tmp_path / "gone"
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - nothing but their number
    files = caught(log, log, tmp_path / "link", tmp_path / "fifo", tmp_path, packed, gone)
    nothing: list[FollowedFile] = []

    held = len(os.listdir("/proc/self/fd")) - before  # noqa: PTH208
    for _ in range(60):
        files.note(nothing, {})

    assert 1 == held
    assert before == len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_files_are_caught_while_everybody_else_is_busy(log: Path) -> None:
    """R25: the loop stands still while a generation is written, renamed and deleted."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        following = asyncio.create_task(reading.tailer.run())
        append(log, numbered(11, 20))
        async with asyncio.timeout(20):
            await reading.tailer.changed(None)  # the kernel is heard of from now on
        await reading.read_all()
        deadline = time.monotonic() + 20
        for first in (21, 31):
            rotate(log)
            append(log, numbered(first, first + 9))
            while (caught := reading.tailer._caught.content_of(inode(log))) is None:
                assert time.monotonic() < deadline
                time.sleep(0.01)  # noqa: ASYNC251 - that nothing else runs is the point
            caught.close()
        async with asyncio.timeout(20):
            while len(reading.lines) < 40:
                await asyncio.sleep(0.01)
                await reading.read_all()
        following.cancel()
        await asyncio.wait([following])
        await reading.tailer.close()
        return reading.lines

    assert expected(1, 40) == asyncio.run(scenario())
