"""
Rotation: whatever happens to a file's name, each line is handed out once, in the writer's order.

The ids are those of the project's catalogue of faults.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from tail.reading import Reading, append, expected, numbered, source

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the log file that is written to."""
    return tmp_path / "a.log"


def test_appended_lines_are_read_once(log: Path) -> None:
    """What is appended between two looks is handed out by the second one, and nothing twice."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 3))
        reading = Reading(source(log))
        await reading.settle()
        append(log, numbered(4, 7))
        await reading.settle()
        await reading.settle()
        return reading.lines

    assert expected(1, 7) == asyncio.run(scenario())


def test_restart_resumes_where_lines_took_effect(log: Path) -> None:
    """After a restart reading continues behind the last line that was committed."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 500))
        reading = Reading(source(log))
        await reading.settle()
        append(log, numbered(501, 900))
        reading = reading.restart()
        await reading.settle()
        return reading.lines

    assert expected(1, 900) == asyncio.run(scenario())


def test_r1_old_file_is_drained_before_the_new_one(log: Path) -> None:
    """R1: after rename and create both files are written; the old one is read first, to its end."""

    async def scenario() -> list[bytes]:
        with log.open("ab", buffering=0) as old:
            old.write(numbered(1, 100))
            reading = Reading(source(log))
            await reading.settle()
            old.write(numbered(101, 200))
            log.rename(log.with_suffix(".log.1"))
            append(log, numbered(301, 400))
            old.write(numbered(201, 300))
            await reading.settle()
            old.write(numbered(401, 410))
            await reading.settle()
            append(log, numbered(411, 420))
            await reading.settle()
        return reading.lines

    assert expected(1, 420) == asyncio.run(scenario())


def test_r10_truncated_and_grown_past_the_offset(log: Path) -> None:
    """R10: a file that was truncated and is longer than ever is read from its beginning."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 300))
        reading = Reading(source(log))
        await reading.settle()
        os.truncate(log, 0)
        append(log, numbered(301, 1000))
        await reading.settle()
        return reading.lines

    assert expected(1, 1000) == asyncio.run(scenario())
