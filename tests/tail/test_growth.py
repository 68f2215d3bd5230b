"""What is lost when a file is emptied: what was in it, and what its writer added unseen."""

# ruff: noqa: ASYNC240 - tests may block

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from tail.reading import Reading, append, expected, numbered, source

from alertd.tail.growth import Growth

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 10**9


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the log file that is written to."""
    return tmp_path / "a.log"


def test_pace_is_that_of_the_last_second_or_the_last_moments() -> None:
    """Whichever is greater; a file that is written to only once has none."""
    growth = Growth()
    paces = []
    for size, mtime in [(1000, 100.0), (1500, 101.0), (1600, 101.05), (1900, 101.2), (1900, 101.2)]:
        growth.see(size, int(mtime * SECOND))
        paces.append(round(growth.pace()))

    assert [0, 500, 500, 2000, 2000] == paces


def test_pace_outlives_an_emptying() -> None:
    """What the writer did before tells what it did meanwhile."""
    growth = Growth()
    growth.see(0, 100 * SECOND)
    growth.see(3000, 100 * SECOND + SECOND // 2)
    growth.begin_anew()
    growth.see(10, 101 * SECOND)

    assert 6000 == growth.pace()
    assert 10 == growth.peak


def test_a_smaller_size_is_no_growth() -> None:
    """It is seen before it is known that the file was emptied."""
    growth = Growth()
    growth.see(5000, 100 * SECOND)
    growth.see(10, 101 * SECOND)

    assert (5000, 100 * SECOND) == (growth.peak, growth.peak_ns)


def at(path: Path, seconds: float) -> None:
    """Let a file have been written to last at a time."""
    os.utime(path, ns=(1, int((1000 + seconds) * SECOND)))


def test_r9_what_was_written_between_copy_and_emptying_is_estimated(log: Path) -> None:
    """R9: so many bytes a second, from the copy's last one to now, less what is there already."""

    async def scenario() -> tuple[list[bytes], list[int]]:
        append(log, numbered(1, 1000))
        at(log, 0)
        reading = Reading(source(log))
        await reading.settle()
        append(log, numbered(1001, 2000))
        at(log, 1)
        await reading.settle()
        append(log, numbered(2001, 2500))
        copy = log.with_name("a.log.1")
        shutil.copyfile(log, copy)
        at(copy, 1.5)
        os.truncate(log, 0)
        append(log, numbered(2701, 2800))  # 200 lines are in neither
        at(log, 1.8)
        await reading.settle()
        return reading.lines, [problem.lost for problem in reading.tailer.take_problems()]

    lines, lost = asyncio.run(scenario())

    assert [*expected(1, 2500), *expected(2701, 2800)] == lines
    # 12,000 bytes a second for 0.3 seconds and the 10 ms to which times are exact.
    assert [12 * 200 + 120] == lost


def test_r8_quiet_file_loses_nothing_in_a_copytruncate(log: Path) -> None:
    """R8: what nobody writes to while it is copied is whole, and nothing is said."""

    async def scenario() -> list[int]:
        append(log, numbered(1, 1000))
        at(log, 0)
        reading = Reading(source(log))
        await reading.settle()
        append(log, numbered(1001, 1010))
        at(log, 3600)
        await reading.settle()
        shutil.copyfile(log, log.with_name("a.log.1"))
        at(log.with_name("a.log.1"), 7200)
        os.truncate(log, 0)
        at(log, 7200)
        await reading.settle()
        return [problem.lost for problem in reading.tailer.take_problems()]

    assert [] == asyncio.run(scenario())


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
@pytest.mark.parametrize("copied", ["never", "seen", "unseen", "compressed"])
def test_r9_emptied_before_anything_was_read(
    tmp_path: Path, log: Path, glob: str, copied: str
) -> None:
    """R9: all of it is lost, and said; unless there is a copy, which is read then."""

    async def scenario() -> tuple[list[bytes], list[int]]:
        log.touch()
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        append(log, numbered(1, 200))
        await reading.tailer.scan()
        copy = log.with_name("a.log.1")
        if copied != "never":
            shutil.copyfile(log, copy)
        if copied == "seen":
            await reading.tailer.scan()
        if copied == "compressed":
            from tail.test_rotation import compress  # noqa: PLC0415

            compress(copy)
        os.truncate(log, 0)
        append(log, numbered(201, 210))
        await reading.settle()
        await reading.idle()
        return reading.lines, [problem.lost for problem in reading.tailer.take_problems()]

    lines, lost = asyncio.run(scenario())

    if copied == "never":
        assert (expected(201, 210), [2400]) == (lines, lost)
    else:
        assert (expected(1, 210), []) == (lines, lost)


def test_cut_short_behind_what_was_read(log: Path) -> None:
    """What was cut off unread is lost; what was read stays so."""

    async def scenario() -> tuple[list[bytes], list[int]]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        append(log, numbered(11, 20))
        await reading.tailer.scan()
        os.truncate(log, len(numbered(1, 15)))
        await reading.settle()
        return reading.lines, [problem.lost for problem in reading.tailer.take_problems()]

    assert (expected(1, 15), [60]) == asyncio.run(scenario())
