"""
Rotation: whatever happens to a file's name, each line is handed out once, in the writer's order.

The ids are those of the project's catalogue of faults.
"""

# ruff: noqa: ASYNC240, PTH208 - tests may block

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import socket
from typing import TYPE_CHECKING

import pytest
import structlog.testing
from tail.reading import Reading, append, expected, numbered, resident, source

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


def test_r1_old_file_comes_first_whichever_is_noticed_first(log: Path) -> None:
    """R1: what both have to read is handed out in the order of the files."""

    async def scenario() -> list[bytes]:
        with log.open("ab", buffering=0) as old:
            old.write(numbered(1, 10))
            reading = Reading(source(log))
            await reading.settle()
            log.rename(log.with_suffix(".log.1"))
            append(log, numbered(11, 20))
            await reading.settle()
            append(log, numbered(31, 40))
            reading.tailer._hint({str(log)})
            old.write(numbered(21, 30))
            reading.tailer._hint({f"{log}.1"})
            await reading.read_all()
        return reading.lines

    assert expected(1, 40) == asyncio.run(scenario())


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


def rotate(log: Path, generations: int = 5) -> None:
    """Move ``a.log`` to ``a.log.1``, that to ``a.log.2``, and so on, as logrotate does."""
    for number in range(generations, 0, -1):
        old = log.with_name(f"{log.name}.{number}")
        if old.exists():
            if number == generations:
                old.unlink()
            else:
                old.rename(log.with_name(f"{log.name}.{number + 1}"))
    log.rename(log.with_name(f"{log.name}.1"))


def compress(path: Path, *, keeps_time: bool = True) -> None:
    """Replace a file by ``.gz``, with its time of modification, as gzip does."""
    status = path.stat()
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    if keeps_time:
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()


def test_r2_create_delayed(log: Path) -> None:
    """R2: until there is a new file the old one is read on, said once; then the new one from 0."""

    async def scenario() -> list[bytes]:
        with log.open("ab", buffering=0) as old:
            old.write(numbered(1, 10))
            reading = Reading(source(log))
            await reading.settle()
            log.rename(log.with_suffix(".log.1"))
            await reading.settle()
            old.write(numbered(11, 20))
            await reading.idle(30)
        append(log, numbered(21, 30))
        await reading.settle()
        return reading.lines

    with structlog.testing.capture_logs() as said:
        lines = asyncio.run(scenario())

    assert expected(1, 30) == lines
    assert [("info", "no match yet; watching")] == [
        (entry["log_level"], entry["event"]) for entry in said
    ]


def test_r3_writer_keeps_the_renamed_file(log: Path) -> None:
    """R3: a renamed file is left only when it was idle for the grace, not while it grows."""

    async def scenario() -> tuple[list[bytes], list[int]]:
        followed = []
        with log.open("ab", buffering=0) as old:
            old.write(numbered(1, 10))
            reading = Reading(source(log))
            await reading.settle()
            log.rename(log.with_suffix(".log.1"))
            append(log, numbered(11, 20))
            await reading.settle()
            for step in range(10):
                old.write(numbered(21 + step, 21 + step))
                await reading.idle(59)
                followed.append(len(reading.tailer.files()))
            await reading.idle()
            followed.append(len(reading.tailer.files()))
        return reading.lines, followed

    lines, followed = asyncio.run(scenario())

    assert expected(1, 30) == lines
    assert [2] * 10 + [1] == followed


def test_r3_never_left_with_unread_bytes(log: Path) -> None:
    """R3: a reader that is slower than the grace still reads the old file to its end."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        append(log, numbered(11, 20))
        rotate(log)
        append(log, numbered(21, 30))
        for _ in range(5):
            reading.monotonic.now += 100
            await reading.tailer.scan()
        await reading.settle()
        return reading.lines

    assert expected(1, 30) == asyncio.run(scenario())


@pytest.mark.parametrize("glob", ["a.log", "*.log", "*.log*"])
def test_r4_two_renames_between_two_looks(tmp_path: Path, log: Path, glob: str) -> None:
    """R4: the generation that came and went unseen is found in the directory, in its order."""

    async def scenario() -> list[bytes]:
        append(tmp_path / "a.log.2", b"ancient\n")
        append(log, numbered(1, 10))
        reading = Reading(source(tmp_path / glob, start_at="end"))
        await reading.settle()
        append(log, numbered(11, 20))
        rotate(log)
        append(log, numbered(21, 30))
        rotate(log)
        append(log, numbered(31, 40))
        await reading.settle()
        rotate(log)
        append(log, numbered(41, 50))
        await reading.settle()
        return reading.lines

    assert expected(11, 50) == asyncio.run(scenario())


def test_r4_reused_inode_of_a_deleted_generation(log: Path) -> None:
    """R4: the unseen generation may have the inode of the one that rotation has just deleted."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 1))
        reading = Reading(source(log))
        await reading.settle()
        for first in range(2, 80, 3):
            append(log, numbered(first, first))
            rotate(log, 2)
            append(log, numbered(first + 1, first + 1))
            rotate(log, 3)
            append(log, numbered(first + 2, first + 2))
            await reading.settle()
        return reading.lines

    assert expected(1, 79) == asyncio.run(scenario())


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
def test_r5_rotated_twice_while_down(tmp_path: Path, log: Path, glob: str) -> None:
    """R5: the file is found as ``.2``, read on from its offset; then ``.1``; then the live one."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 100))
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        append(log, numbered(101, 200))
        rotate(log)
        append(log, numbered(201, 300))
        rotate(log)
        append(log, numbered(301, 400))
        reading = reading.restart()
        await reading.settle()
        append(log, numbered(401, 410))
        await reading.settle()
        return reading.lines

    assert expected(1, 410) == asyncio.run(scenario())


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
@pytest.mark.parametrize("rotations", [1, 2, 3])
def test_r6_rotated_and_compressed_while_down(
    tmp_path: Path, log: Path, rotations: int, glob: str
) -> None:
    """R6: what was compressed meanwhile is unpacked and read on from the offset."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 500))
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        append(log, numbered(501, 600))
        for number in range(rotations):
            rotate(log)
            append(log, numbered(601 + 100 * number, 700 + 100 * number))
        for number in range(1, rotations + 1):
            compress(log.with_name(f"a.log.{number}"))
        reading = reading.restart()
        await reading.settle()
        reading = reading.restart()
        await reading.settle()
        return reading.lines

    assert expected(1, 600 + 100 * rotations) == asyncio.run(scenario())


def test_r6_gone_while_down_is_said(log: Path) -> None:
    """R6: what nobody can read any more is reported with the bytes that it may have cost."""

    async def scenario() -> tuple[list[bytes], list[str]]:
        append(log, numbered(1, 100))
        reading = Reading(source(log), take=lambda batch: batch.data.find(b"line 000051"))
        await reading.tailer.scan()
        await reading.read(reading.tailer.readable()[0])
        reading.commit()
        log.unlink()
        append(log, numbered(101, 110))
        reading.take = None
        reading = reading.restart()
        await reading.settle()
        return reading.lines, [problem.detail for problem in reading.tailer.take_problems()]

    lines, problems = asyncio.run(scenario())

    assert [*expected(1, 50), *expected(101, 110)] == [line for line in lines if line]
    assert ["a.log: rotated file gone; up to 600 bytes lost"] == problems


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
@pytest.mark.parametrize("keeps_time", [False, True], ids=["", "with its time"])
def test_r7_compressed_with_a_backlog(
    tmp_path: Path, log: Path, glob: str, *, keeps_time: bool
) -> None:
    """R7: what is unread when the file is compressed comes from the open file, not from ``.gz``."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        append(log, numbered(11, 200))
        rotate(log)
        append(log, numbered(201, 300))
        compress(log.with_name("a.log.1"), keeps_time=keeps_time)
        await reading.settle()
        await reading.idle()
        return reading.lines

    assert expected(1, 300) == asyncio.run(scenario())


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
@pytest.mark.parametrize("keeps_time", [False, True], ids=["", "with its time"])
@pytest.mark.parametrize("is_down", [False, True])
def test_r7_compressed_after_it_was_left(
    tmp_path: Path, log: Path, glob: str, *, keeps_time: bool, is_down: bool
) -> None:
    """R7: nothing of a file that was read and closed is read again in its archive."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 100))
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        rotate(log)
        append(log, numbered(101, 200))
        await reading.settle()
        await reading.idle()
        if is_down:
            await reading.tailer.close()
        compress(log.with_name("a.log.1"), keeps_time=keeps_time)
        append(log, numbered(201, 210))
        if is_down:
            reading = reading.restart()
        await reading.settle()
        await reading.idle()
        return reading.lines

    assert expected(1, 210) == asyncio.run(scenario())


def copytruncate(log: Path, name: str = "a.log.1") -> None:
    """Copy the file and empty it, as logrotate does for writers that cannot reopen."""
    shutil.copyfile(log, log.with_name(name))
    os.truncate(log, 0)


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
@pytest.mark.parametrize("looks", ["never", "after the copy", "after the truncation"])
def test_r8_r9_copytruncate(tmp_path: Path, log: Path, glob: str, looks: str) -> None:
    """R8, R9: the copy is read on from the old offset, never from 0; then the file from 0."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 100))
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        append(log, numbered(101, 200))
        shutil.copyfile(log, log.with_name("a.log.1"))
        if looks == "after the copy":
            await reading.settle()
        os.truncate(log, 0)
        if looks == "after the truncation":
            await reading.settle()
        append(log, numbered(201, 900))
        await reading.settle()
        await reading.idle()
        (tmp_path / "a.log.1").rename(tmp_path / "a.log.2")
        copytruncate(log)
        append(log, numbered(901, 910))
        await reading.settle()
        return reading.lines

    assert expected(1, 910) == asyncio.run(scenario())


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
def test_r9_copytruncate_while_down(tmp_path: Path, log: Path, glob: str) -> None:
    """R9: after a restart as well, even if the file is longer than it was."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 100))
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        append(log, numbered(101, 200))
        copytruncate(log)
        append(log, numbered(201, 900))
        reading = reading.restart()
        await reading.settle()
        return reading.lines

    assert expected(1, 900) == asyncio.run(scenario())


def test_r9_truncated_without_a_copy_is_counted(log: Path) -> None:
    """R9: what was in the file, unread, when it was emptied is reported."""

    async def scenario() -> list[int]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        append(log, numbered(11, 20))
        await reading.tailer.scan()
        os.truncate(log, 0)
        append(log, numbered(21, 22))
        await reading.settle()
        assert [*expected(1, 10), *expected(21, 22)] == reading.lines
        return [problem.lost for problem in reading.tailer.take_problems()]

    assert [120] == asyncio.run(scenario())


def test_r11_rewritten_at_the_same_size(log: Path) -> None:
    """R11: other content of the same length is read from 0."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 100))
        reading = Reading(source(log))
        await reading.settle()
        log.write_bytes(numbered(101, 200))
        os.utime(log, ns=(1, 10**18))
        await reading.settle()
        return reading.lines

    assert expected(1, 200) == asyncio.run(scenario())


def test_r13_hole_after_a_truncation(log: Path) -> None:
    """R13: a writer without O_APPEND leaves a hole; the next line comes out clean."""

    async def scenario() -> list[bytes]:
        with log.open("wb", buffering=0) as writer:
            writer.write(numbered(1, 100_000 // 12))
            reading = Reading(source(log))
            await reading.settle()
            os.truncate(log, 0)
            writer.write(numbered(100_000, 100_010))
            await reading.settle()
            writer.seek(1 << 40)
            writer.write(numbered(100_011, 100_020))
            await reading.settle()
        return reading.lines[100_000 // 12 :]

    lines = asyncio.run(scenario())

    assert expected(100_000, 100_020) == [line.lstrip(b"\0") for line in lines]
    assert max(map(len, lines)) < 8192


@pytest.mark.parametrize("grows", [5, 50])
@pytest.mark.parametrize("is_down", [False, True])
def test_r14_r15_deleted_and_recreated(log: Path, grows: int, *, is_down: bool) -> None:
    """R14, R15: a new file with the old inode is read from 0, be it shorter or longer."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        if is_down:
            await reading.tailer.close()
        log.unlink()
        append(log, numbered(11, 10 + grows))
        if is_down:
            reading = reading.restart()
        await reading.settle()
        return reading.lines

    assert expected(1, 10 + grows) == asyncio.run(scenario())


def test_r16_deleted_with_a_backlog(log: Path) -> None:
    """R16: an open file that was deleted is read to its end and then closed."""

    async def scenario() -> tuple[list[bytes], int, int]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        before = len(os.listdir("/proc/self/fd"))
        await reading.settle()
        append(log, numbered(11, 500))
        log.unlink()
        await reading.settle()
        await reading.idle()
        return reading.lines, before, len(os.listdir("/proc/self/fd"))

    lines, before, after = asyncio.run(scenario())

    assert expected(1, 500) == lines
    assert before == after


def test_r17_symlink_switched(tmp_path: Path) -> None:
    """R17: the link's old target is read to its end, then the new one from 0."""

    async def scenario() -> list[bytes]:
        targets = tmp_path / "targets"
        targets.mkdir()
        link = tmp_path / "current.log"
        append(targets / "one", numbered(1, 10))
        link.symlink_to(targets / "one")
        reading = Reading(source(link))
        await reading.settle()
        append(targets / "one", numbered(11, 20))
        append(targets / "two", numbered(21, 30))
        (tmp_path / "next").symlink_to(targets / "two")
        (tmp_path / "next").rename(link)
        await reading.settle()
        append(targets / "two", numbered(31, 40))
        await reading.settle()
        return reading.lines

    assert expected(1, 40) == asyncio.run(scenario())


def test_r18_two_hard_links(tmp_path: Path, log: Path) -> None:
    """R18: one file under two names is read once."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        (tmp_path / "b.log").hardlink_to(log)
        reading = Reading(source(tmp_path / "*.log"))
        await reading.settle()
        append(log, numbered(11, 20))
        await reading.settle()
        return reading.lines

    assert expected(1, 20) == asyncio.run(scenario())


def test_r19_one_file_under_two_globs_and_two_sources(tmp_path: Path, log: Path) -> None:
    """R19: two globs of one source make one reader; each source sees each line once."""

    async def scenario() -> list[tuple[str, bytes]]:
        append(log, numbered(1, 3))
        reading = Reading(
            source(tmp_path / "*.log", log, name="one"), source(tmp_path / "a.*", name="two")
        )
        await reading.settle()
        return sorted((batch.source, batch.data) for batch in reading.batches)

    assert [("one", numbered(1, 3)), ("two", numbered(1, 3))] == asyncio.run(scenario())


def test_r20_directory_absent_at_start(tmp_path: Path) -> None:
    """R20: it is said once, and a file that appears with it is read from its beginning."""

    async def scenario() -> list[bytes]:
        later = tmp_path / "later" / "x.log"
        reading = Reading(source(tmp_path / "later" / "*.log", start_at="end"))
        await reading.tailer.open()
        await reading.settle()
        later.parent.mkdir()
        append(later, numbered(1, 10))
        await reading.settle()
        return reading.lines

    with structlog.testing.capture_logs() as said:
        lines = asyncio.run(scenario())

    assert expected(1, 10) == lines
    assert [{"glob": f"{tmp_path}/later/*.log", "source": "app"}] == [
        {"glob": entry["glob"], "source": entry["source"]}
        for entry in said
        if entry["event"] == "no match yet; watching"
    ]


def test_r21_directory_removed_and_recreated(tmp_path: Path) -> None:
    """R21: the same for a directory that comes back."""

    async def scenario() -> list[bytes]:
        log = tmp_path / "logs" / "x.log"
        log.parent.mkdir()
        append(log, numbered(1, 10))
        reading = Reading(source(tmp_path / "logs" / "*.log"))
        await reading.settle()
        shutil.rmtree(log.parent)
        await reading.settle()
        log.parent.mkdir()
        append(log, numbered(11, 20))
        await reading.settle()
        return reading.lines

    assert expected(1, 20) == asyncio.run(scenario())


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (numbered(1, 20), expected(1, 20)),
        (numbered(1, 10), expected(1, 10)),
        (numbered(101, 105), [*expected(1, 10), *expected(101, 105)]),
        (numbered(101, 150), [*expected(1, 10), *expected(101, 150)]),
    ],
    ids=["longer", "same", "other and shorter", "other and longer"],
)
@pytest.mark.parametrize("is_down", [False, True])
def test_r23_replaced_by_another_file(
    tmp_path: Path, log: Path, content: bytes, lines: list[bytes], *, is_down: bool
) -> None:
    """R23: what an editor or rsync puts in a file's place continues if its content does."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        (tmp_path / "new").write_bytes(content)
        (tmp_path / "new").rename(log)
        if is_down:
            await reading.tailer.close()
            reading = reading.restart()
        await reading.settle()
        return reading.lines

    assert lines == asyncio.run(scenario())


def test_r25_many_rotations(log: Path) -> None:
    """R25: hundreds of quick rotations lose nothing, and descriptors do not pile up."""

    async def scenario() -> tuple[list[bytes], int]:
        log.touch()
        reading = Reading(source(log))
        await reading.settle()
        before = len(os.listdir("/proc/self/fd"))
        most = 0
        for step in range(300):
            with log.open("ab", buffering=0) as writer:
                writer.write(numbered(2 * step, 2 * step))
                if step % 3:
                    await reading.settle()
                rotate(log)
                writer.write(numbered(2 * step + 1, 2 * step + 1))
            most = max(most, len(os.listdir("/proc/self/fd")) - before)
        await reading.settle()
        await reading.idle()
        return reading.lines, most

    lines, most = asyncio.run(scenario())

    assert expected(0, 599) == lines
    assert most < 24


def test_r27_what_is_no_regular_file_is_skipped(tmp_path: Path, log: Path) -> None:
    """R27: a FIFO, a socket and a directory are named once and never opened for good."""

    async def scenario() -> tuple[list[bytes], list[tuple[str, str]]]:
        os.mkfifo(tmp_path / "b.log")
        (tmp_path / "c.log").mkdir()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "d.log"))
        append(log, numbered(1, 3))
        reading = Reading(source(tmp_path / "*.log"))
        await reading.settle()
        await reading.settle()
        problems = reading.tailer.take_problems()
        return reading.lines, [(problem.kind, problem.path) for problem in problems]

    lines, problems = asyncio.run(scenario())

    assert expected(1, 3) == lines
    assert [
        ("not a regular file", str(tmp_path / "b.log")),
        ("not a regular file", str(tmp_path / "c.log")),
        ("not a regular file", str(tmp_path / "d.log")),
    ] == problems


def test_what_is_remembered_does_not_grow_with_rotations(log: Path) -> None:
    """Positions of files that were read and left are kept for a bounded number of them."""

    async def scenario() -> tuple[list[bytes], int, int, int]:
        append(log, numbered(0, 0))
        reading = Reading(source(log))
        await reading.settle()
        early, before = 0, len(os.listdir("/proc/self/fd"))
        for step in range(1, 1001):
            if step == 500:
                early = resident()
            rotate(log, 3)
            append(log, numbered(step, step))
            reading.monotonic.now += 61.0
            await reading.tailer.scan()
            await reading.read_all()
            reading.commit()
        await reading.settle()
        grown = resident() - early
        opened = len(os.listdir("/proc/self/fd")) - before
        return reading.lines, len(reading.stored), opened, grown

    lines, stored, opened, grown = asyncio.run(scenario())

    assert expected(0, 1000) == lines
    assert stored < 80
    assert opened < 8
    assert grown < 4 << 20


@pytest.mark.parametrize("is_down", [False, True])
def test_r6_made_and_compressed_between_two_looks(log: Path, *, is_down: bool) -> None:
    """R6: an archive of what nobody had open is read; one of what was read is not."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        if is_down:
            await reading.tailer.close()
        rotate(log)
        append(log, numbered(11, 20))
        rotate(log)
        compress(log.with_name("a.log.2"))
        compress(log.with_name("a.log.1"))
        append(log, numbered(21, 30))
        if is_down:
            reading = reading.restart()
        await reading.settle()
        await reading.idle()
        reading = reading.restart()
        await reading.settle()
        return reading.lines

    assert expected(1, 30) == asyncio.run(scenario())


@pytest.mark.parametrize("is_packed", [False, True])
def test_r6_rotated_while_down_before_anything_was_read(log: Path, *, is_packed: bool) -> None:
    """R6: it was seen, long after it was written, and killed at once: nothing else tells it."""

    async def scenario() -> tuple[list[bytes], list[str]]:
        append(log.with_name("a.log.7"), b"from another time\n")
        os.utime(log.with_name("a.log.7"), (1e9, 1e9))
        append(log, numbered(1, 10))
        os.utime(log, (1.1e9, 1.1e9))
        reading = Reading(source(log))
        await reading.tailer.scan()
        reading.commit()
        await reading.tailer.close()
        rotate(log)
        if is_packed:
            compress(log.with_name("a.log.1"))
        append(log, numbered(11, 20))
        reading = reading.restart()
        await reading.tailer.open()
        await reading.settle()
        await reading.idle()
        return reading.lines, [problem.detail for problem in reading.tailer.take_problems()]

    assert (expected(1, 20), []) == asyncio.run(scenario())


def test_younger_files_wait_for_one_that_has_no_name_just_now(tmp_path: Path, log: Path) -> None:
    """A file that cannot be found after a restart is looked for before it is given up."""

    async def scenario() -> tuple[list[bytes], list[str]]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        await reading.tailer.close()
        append(log, numbered(11, 20))
        elsewhere = tmp_path / "where nobody" / "looks"
        elsewhere.mkdir(parents=True)
        log.rename(elsewhere / "a.log")
        append(log, numbered(21, 30))
        reading = reading.restart()
        await reading.tailer.scan()
        await reading.read_all()
        assert expected(1, 10) == reading.lines
        (elsewhere / "a.log").rename(tmp_path / "a.log.1")
        await reading.settle()
        return reading.lines, [problem.kind for problem in reading.tailer.take_problems()]

    lines, problems = asyncio.run(scenario())

    assert expected(1, 30) == lines
    assert [] == problems


def rotate_aside(log: Path, aside: Path) -> None:
    """Move ``a.log`` to ``a.log.1`` in another directory, and so on, as with logrotate's olddir."""
    for number in (4, 3, 2, 1):
        for old in aside.glob(f"a.log.{number}*"):
            old.rename(aside / old.name.replace(f".{number}", f".{number + 1}"))
    log.rename(aside / "a.log.1")


@pytest.mark.parametrize("is_known", [False, True], ids=["", "known from before"])
@pytest.mark.parametrize(
    ("is_down", "is_packed", "rotations"),
    [
        (False, False, 1),
        (False, False, 2),
        (False, True, 1),
        (True, False, 1),
        (True, False, 2),
        (True, True, 1),
        (True, True, 2),
    ],
)
def test_r5_r6_rotated_into_another_directory(
    tmp_path: Path, log: Path, rotations: int, *, is_down: bool, is_packed: bool, is_known: bool
) -> None:
    """R5, R6: rotation may put files aside (``olddir``); they are found there, also while down."""
    aside = tmp_path / "old"

    async def scenario() -> tuple[list[bytes], list[str]]:
        aside.mkdir()
        append(aside / "a.log.3", b"from another time\n")
        os.utime(aside / "a.log.3", ns=(1, 10**18))
        (tmp_path / "other").mkdir()
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        append(log, numbered(11, 20))
        if is_known:
            rotate_aside(log, aside)
            append(log, numbered(21, 30))
            await reading.settle()
        else:
            append(log, numbered(21, 30))
        if is_down:
            await reading.tailer.close()
        append(log, numbered(31, 40))
        append(tmp_path / "other" / "a.log.1", b"of another program\n")
        for step in range(rotations):
            rotate_aside(log, aside)
            append(log, numbered(41 + 10 * step, 50 + 10 * step))
        for path in sorted(aside.glob("a.log.[12]")) if is_packed else ():
            compress(path)
        if is_down:
            reading = reading.restart()
            await reading.tailer.open()
        await reading.settle()
        await reading.idle()
        return reading.lines, [problem.detail for problem in reading.tailer.take_problems()]

    lines, problems = asyncio.run(scenario())

    assert expected(1, 40 + 10 * rotations) == lines
    assert [] == problems


def test_r5_unread_file_put_aside_while_down_is_known_by_its_inode(
    tmp_path: Path, log: Path
) -> None:
    """R5: nothing was read of it, so there is no content by which it could be known."""

    async def scenario() -> list[bytes]:
        (tmp_path / "old").mkdir()
        log.touch()
        reading = Reading(source(log))
        await reading.settle()
        await reading.tailer.close()
        append(log, numbered(1, 10))
        rotate_aside(log, tmp_path / "old")
        append(log, numbered(11, 20))
        reading = reading.restart()
        await reading.tailer.open()
        await reading.settle()
        return reading.lines

    assert expected(1, 20) == asyncio.run(scenario())


@pytest.mark.parametrize(("at_once", "turns"), [(1, 3), (2, 1), (100, 0)])
def test_many_new_files_are_followed_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, turns: int
) -> None:
    """Ten thousand at once would keep everything else from its turn."""
    monkeypatch.setattr("alertd.tail.placement._AT_ONCE", at_once)
    given = []

    async def sleep(seconds: float) -> None:
        given.append(seconds)

    async def scenario() -> list[bytes]:
        for number in range(3):
            append(tmp_path / f"{number}.log", numbered(number, number))
        reading = Reading(source(tmp_path / "*.log"))
        with monkeypatch.context() as patched:
            patched.setattr("alertd.tail.placement.asyncio.sleep", sleep)
            await reading.tailer.scan()
        await reading.settle()
        return reading.lines

    lines = asyncio.run(scenario())

    assert [0] * turns == given
    assert expected(0, 2) == sorted(lines)
