"""
Lines: what is handed out as one, what is not yet one, and what is too long to be one.

The ids are those of the project's catalogue of faults.
"""

# ruff: noqa: ASYNC240, PTH208 - tests may block

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
from pathlib import Path

import pytest
from tail.reading import Reading, append, expected, numbered, source

MEBIBYTE = 1 << 20


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the log file that is written to."""
    return tmp_path / "a.log"


def test_l1_unfinished_line_waits(log: Path) -> None:
    """L1: a line counts when its newline is there; until then the offset stays at its beginning."""

    async def scenario() -> tuple[list[bytes], list[int]]:
        append(log, b"whole\nhal")
        reading = Reading(source(log))
        await reading.settle()
        (file,) = reading.tailer.files()
        offsets = [file.offset]
        assert not file.is_behind
        append(log, b"f")
        await reading.settle()
        offsets.append(file.offset)
        append(log, b" line\n")
        await reading.settle()
        offsets.append(file.offset)
        return reading.lines, offsets

    lines, offsets = asyncio.run(scenario())

    assert [b"whole", b"half line"] == lines
    assert [6, 6, 16] == offsets


def test_l1_unfinished_line_at_the_end_where_reading_starts(log: Path) -> None:
    """Starting at the end means behind the last newline: a line that is being written counts."""

    async def scenario() -> list[bytes]:
        append(log, b"old\nunfin")
        reading = Reading(source(log, start_at="end"))
        await reading.settle()
        append(log, b"ished\nnew\n")
        await reading.settle()
        return reading.lines

    assert [b"unfinished", b"new"] == asyncio.run(scenario())


def test_l2_line_is_whole_after_a_restart_between_its_halves(log: Path) -> None:
    """L2: the half that was there before the crash is read again with the other half."""

    async def scenario() -> list[bytes]:
        append(log, b"one\ntw")
        reading = Reading(source(log))
        await reading.settle()
        append(log, b"o\n")
        reading = reading.restart()
        await reading.settle()
        return reading.lines

    assert [b"one", b"two"] == asyncio.run(scenario())


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
def test_l3_last_line_never_ended(tmp_path: Path, log: Path, glob: str) -> None:
    """L3: what a rotated file ends with counts once, when the file has been idle for the grace."""

    async def scenario() -> tuple[list[bytes], list[bytes]]:
        append(log, b"one\ntwo")
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        log.rename(tmp_path / "a.log.1")
        append(log, b"three\n")
        await reading.settle()
        await reading.idle(59)
        assert [b"one", b"three"] == reading.lines
        await reading.idle()
        final = [batch.data for batch in reading.batches if batch.is_final]
        reading = reading.restart()
        await reading.idle()
        return reading.lines, final

    lines, final = asyncio.run(scenario())

    assert [b"one", b"three", b"two"] == lines
    assert [b"two"] == final


@pytest.mark.parametrize("size", [3 * MEBIBYTE, 40 * MEBIBYTE])
@pytest.mark.parametrize("crashes", [False, True])
def test_l12_endless_line(log: Path, size: int, *, crashes: bool) -> None:
    """L12: it is cut at ``max_line``, handed out once, and the rest skipped, also by a restart."""

    async def scenario() -> list[bytes]:
        append(log, b"before\n" + b"x" * size)
        reading = Reading(source(log, max_line=1000))
        await reading.tailer.scan()
        for _ in range(3):
            for file in reading.tailer.readable():
                await reading.read(file)
        if crashes:
            reading.commit()
            reading = reading.restart()
        append(log, b"x\nafter\n")
        await reading.settle()
        return reading.lines

    assert [b"before", b"x" * 1000, b"after"] == asyncio.run(scenario())


def test_line_beyond_max_line_within_a_chunk_is_left_to_the_matcher(log: Path) -> None:
    """A long line whose end is in sight is handed out whole."""

    async def scenario() -> list[bytes]:
        append(log, b"y" * 5000 + b"\nnext\n")
        reading = Reading(source(log, max_line=1000))
        await reading.settle()
        return reading.lines

    assert [b"y" * 5000, b"next"] == asyncio.run(scenario())


def test_large_backlog_comes_in_large_batches(log: Path) -> None:
    """Four megabytes at a time when far behind, one when nearly there, cut at line ends."""

    async def scenario() -> tuple[list[int], int]:
        append(log, numbered(1, 1_000_000))
        reading = Reading(source(log))
        await reading.settle()
        assert expected(1, 1_000_000) == reading.lines
        return [len(batch.data) for batch in reading.batches], log.stat().st_size

    sizes, total = asyncio.run(scenario())

    assert total == sum(sizes)
    assert 4 * MEBIBYTE - 12 <= sizes[0] <= 4 * MEBIBYTE
    assert max(sizes[-2:]) <= MEBIBYTE


def test_position_never_passes_a_line_that_was_not_evaluated(log: Path) -> None:
    """A batch may be evaluated in part; the rest is handed out again, also after a crash."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        reading = Reading(source(log), take=lambda batch: min(24, len(batch.data)))
        await reading.tailer.scan()
        await reading.read(reading.tailer.readable()[0])
        await reading.read(reading.tailer.readable()[0])
        reading.commit()
        reading = reading.restart()
        await reading.settle()
        return reading.lines

    assert expected(1, 10) == asyncio.run(scenario())


def test_consuming_what_does_not_follow_is_refused(log: Path) -> None:
    """A position that would skip or repeat bytes is an error, not a guess."""

    async def scenario() -> None:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.tailer.scan()
        (file,) = reading.tailer.readable()
        batch = await reading.tailer.read(file)
        assert batch is not None
        reading.tailer.consume(file, batch, 24)
        with pytest.raises(ValueError, match="do not continue at 24"):
            reading.tailer.consume(file, batch, 12)

    asyncio.run(scenario())


def test_first_start_begins_at_the_end_and_later_files_at_their_beginning(tmp_path: Path) -> None:
    """``start_at`` is about the files that are there when a glob is first used, not later ones."""

    async def scenario() -> list[bytes]:
        append(tmp_path / "old.log", b"old\n")
        reading = Reading(source(tmp_path / "*.log", start_at="end"))
        await reading.settle()
        append(tmp_path / "old.log", b"appended\n")
        append(tmp_path / "second.log", b"second\n")
        await reading.settle()
        reading = reading.restart()
        append(tmp_path / "third.log", b"third\n")
        await reading.settle()
        return sorted(reading.lines)

    assert [b"appended", b"second", b"third"] == asyncio.run(scenario())


def test_g11_glob_removed_and_added_again(tmp_path: Path, log: Path) -> None:
    """G11: the position of a file outlives its glob for a while; reading continues there."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        reading = Reading(source(log), source(tmp_path / "other", name="other"))
        await reading.settle()
        reading.tailer.reconfigure(reading.sources[1:])
        append(log, numbered(11, 20))
        await reading.settle()
        assert expected(1, 10) == reading.lines
        reading.tailer.reconfigure(reading.sources)
        await reading.settle()
        return reading.lines

    assert expected(1, 20) == asyncio.run(scenario())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_r24_unreadable_at_first() -> None:
    """R24: one warning, and when it may be read it is, from its beginning."""

    async def scenario(directory: Path) -> tuple[list[bytes], list[str]]:
        log = directory / "a.log"
        reading = Reading(source(log, start_at="end"))
        await reading.settle()
        append(log, numbered(1, 10))
        log.chmod(0o600)
        os.seteuid(65534)
        try:
            await reading.settle()
            await reading.settle()
            assert [] == reading.lines
            os.seteuid(0)
            log.chmod(0o644)
            os.seteuid(65534)
            await reading.settle()
        finally:
            os.seteuid(0)
        return reading.lines, [problem.kind for problem in reading.tailer.take_problems()]

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        lines, problems = asyncio.run(scenario(directory))

    assert expected(1, 10) == lines
    assert ["permission denied; retrying"] == problems


def test_excluded_paths_and_compressed_files_are_left_alone(tmp_path: Path) -> None:
    """``exclude`` takes paths out of a glob, ``**`` descends, and ``.gz`` is no log."""

    async def scenario() -> list[bytes]:
        for name in ("a.log", "deep/er/b.log", "deep/noise.log", "c.log.gz", ".hidden/d.log"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            append(tmp_path / name, name.encode() + b"\n")
        reading = Reading(
            source(tmp_path / "**" / "*.log*", exclude=(str(tmp_path / "**" / "noise.*"),))
        )
        await reading.settle()
        return sorted(reading.lines)

    assert [b"a.log", b"deep/er/b.log"] == asyncio.run(scenario())


def test_changes_are_noticed_while_running(log: Path) -> None:
    """A change wakes whoever waits for it, and without one the wait ends when it should."""

    async def scenario() -> tuple[list[bytes], bool]:
        log.touch()
        reading = Reading(source(log), scan_interval=0.2)
        await reading.tailer.open()
        running = asyncio.create_task(reading.tailer.run())
        is_early = await reading.tailer.changed(0.01)
        append(log, numbered(1, 10))
        assert await reading.tailer.changed(10)
        await reading.read_all()
        log.rename(log.with_suffix(".log.1"))
        append(log, numbered(11, 20))
        assert await reading.tailer.changed(10)
        await reading.read_all()
        running.cancel()
        await asyncio.wait([running])
        await reading.tailer.close()
        return reading.lines, is_early

    lines, is_early = asyncio.run(scenario())

    assert expected(1, 20) == lines
    assert not is_early


def test_f4_too_few_descriptors(tmp_path: Path) -> None:
    """F4: with fewer descriptors than files one warning is given, and every line still comes."""

    async def scenario() -> tuple[list[bytes], list[str]]:
        for number in range(100):
            append(tmp_path / f"{number:03}.log", b"%03d\n" % number)
        reading = Reading(source(tmp_path / "*.log"))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40, hard))
        try:
            await reading.tailer.scan()
            await reading.read_all()
            kinds = [problem.kind for problem in reading.tailer.take_problems()]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await reading.settle()
        return sorted(reading.lines), kinds

    lines, kinds = asyncio.run(scenario())

    assert [b"%03d" % number for number in range(100)] == lines
    assert ["too many open files; retrying"] == kinds
