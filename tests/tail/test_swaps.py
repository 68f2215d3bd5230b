"""
A name, a directory or a descriptor leads elsewhere from one moment to the next.

What is read then is what the name should lead to, or nothing.
"""

# ruff: noqa: ASYNC240 - tests may block

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from tail.racing import before_first
from tail.reading import Reading, append, expected, numbered, source

from alertd.tail import caught, newcomers, truncation
from alertd.tail.content import Content
from alertd.tail.survey import Survey

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the log file that is written to."""
    return tmp_path / "a.log"


async def look(reading: Reading) -> None:
    """Look and read as when nothing has called for it: what seems unchanged is not listed again."""
    reading.monotonic.now += 1
    await reading.tailer._scan(is_forced=reading.tailer._scan_wanted.is_set())
    await reading.read_all()


def test_r17_symlink_that_leads_over_another_one(tmp_path: Path) -> None:
    """R17: that one is switched, and no directory that is looked into shows anything of it."""
    watched, between, targets = (tmp_path / name for name in ("watched", "between", "targets"))
    current = between / "current"

    def switch(target: str) -> None:
        (between / "next").symlink_to(targets / target)
        (between / "next").rename(current)

    async def scenario() -> list[bytes]:
        for directory in (watched, between, targets):
            directory.mkdir()
        append(targets / "one", numbered(1, 10))
        append(targets / "two", numbered(21, 30))
        (watched / "a.log").symlink_to(current)
        switch("one")
        reading = Reading(source(watched / "a.log"))
        await reading.settle()
        append(targets / "one", numbered(11, 20))
        switch("two")
        for _ in range(10):
            await look(reading)
        return reading.lines

    assert expected(1, 30) == asyncio.run(scenario())


def test_r21_another_directory_with_the_same_time_of_modification(tmp_path: Path) -> None:
    """R21: ``cp -a`` keeps it, so that it does not tell whether a directory must be listed."""
    logs, new = tmp_path / "logs", tmp_path / "new"

    async def scenario() -> list[bytes]:
        for directory, lines in ((logs, numbered(1, 10)), (new, numbered(11, 20))):
            directory.mkdir()
            append(directory / "a.log", lines)
            os.utime(directory, ns=(10**18, 10**18))
        reading = Reading(source(logs / "a.log"))
        await reading.settle()
        logs.rename(tmp_path / "old")
        new.rename(logs)
        for _ in range(10):
            await look(reading)
        return reading.lines

    assert expected(1, 20) == asyncio.run(scenario())


def test_r21_another_directory_with_the_same_files(tmp_path: Path, log: Path) -> None:
    """R21: the kernel's hints are bound to a directory, so it must be known which one it is."""
    logs, new = tmp_path / "logs", tmp_path / "new"
    log.touch()
    for directory in (logs, new):
        directory.mkdir()
        (directory / "a.log").hardlink_to(log)
    survey = Survey([source(logs / "a.log")])
    survey.look([], is_forced=False)
    logs.rename(tmp_path / "old")
    new.rename(logs)

    view = survey.look([], is_forced=False)

    status = logs.stat()
    assert (status.st_dev, status.st_ino) == view.listings[str(logs)].identity


def test_r27_file_that_becomes_a_fifo_before_it_is_opened(
    monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    """R27: it may even have the file's inode; it is called what it is, and nothing waits for it."""

    def replace() -> None:
        log.unlink()
        os.mkfifo(log)

    async def scenario() -> tuple[list[str], list[bytes]]:
        append(log, numbered(1, 10))
        called = before_first(monkeypatch, newcomers, "open_all", replace)
        reading = Reading(source(log))
        await reading.settle()
        await reading.settle()
        log.unlink()
        append(log, numbered(11, 20))
        await reading.settle()
        problems = [problem.kind for problem in reading.tailer.take_problems()]
        return [*called, *problems], reading.lines

    said, lines = asyncio.run(scenario())

    assert ["open_all", "not a regular file"] == said
    assert expected(11, 20) == lines


def test_s11_copy_that_becomes_a_symlink_before_it_is_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Path
) -> None:
    """S11: not even if it begins like the log does; who writes that may know how secrets begin."""
    copy, secret = log.with_name("a.log.1"), tmp_path / "secrets" / "shadow"

    def replace() -> None:
        copy.unlink()
        copy.symlink_to(secret)

    async def scenario() -> tuple[list[str], list[bytes]]:
        secret.parent.mkdir()
        append(secret, numbered(1, 20))
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        copy.write_bytes(log.read_bytes())
        os.truncate(log, 0)
        append(log, numbered(21, 25))
        called = before_first(monkeypatch, truncation, "first_that_holds", replace)
        await reading.settle()
        return called, reading.lines

    called, lines = asyncio.run(scenario())

    assert ["first_that_holds"] == called
    assert [*expected(1, 10), *expected(21, 25)] == lines


def test_s11_name_that_becomes_a_symlink_before_it_is_caught(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Path
) -> None:
    """S11: what the kernel named was a file; what that name leads to now is nobody's business."""
    secret = tmp_path / "shadow"
    append(secret, b"secret\n")
    append(log, b"line\n")

    def replace() -> None:
        log.unlink()
        log.symlink_to(secret)

    called = before_first(monkeypatch, caught, "open_content", replace)
    files = caught.Caught(lambda _: True)
    files.catch([str(log)])
    status = secret.stat()
    content = files.content_of((status.st_dev, status.st_ino))
    files.close()

    assert ["open_content"] == called
    assert content is None


def test_file_that_is_closed_while_it_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Path
) -> None:
    """Its descriptor is another file's at once: what is read from that is thrown away."""
    other = tmp_path / "other"
    read = Content.read

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        append(other, numbered(90, 99))
        reading = Reading(source(log))
        await reading.tailer.scan()
        (file,) = reading.tailer.files()
        opened: list[int] = []

        def read_late(content: Content, size: int, offset: int) -> bytes:
            number = content.fd
            if not opened:
                reading.tailer._descriptors.close(file)
                opened.append(os.open(other, os.O_RDONLY))
                content.fd = number
                assert [number] == opened
            return read(content, size, offset)

        monkeypatch.setattr(Content, "read", read_late)
        assert not await reading.read(file)
        os.close(opened[0])
        await reading.settle()
        return reading.lines

    assert expected(1, 10) == asyncio.run(scenario())
