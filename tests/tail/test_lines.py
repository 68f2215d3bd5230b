"""
Lines: what is handed out as one, what is not yet one, and what is too long to be one.

The ids are those of the project's catalogue of faults.
"""

# ruff: noqa: ASYNC240, PTH208 - tests may block

from __future__ import annotations

import asyncio
import gzip
import os
import resource
import tempfile
import time
from pathlib import Path

import pytest
from tail.reading import Reading, append, expected, numbered, resident, source

from alertd.tail import Problem, Tailer
from alertd.tail.hints import Hints
from alertd.tail.survey import Listing, Survey, View
from alertd.tail.trouble import Troubles

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
        return [batch.data for batch in reading.batches], offsets

    batches, offsets = asyncio.run(scenario())

    assert [b"whole\n", b"half line\n"] == batches
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


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def test_l5_text_that_is_written_in_pieces(log: Path, size: int) -> None:
    """L5: wherever a character, or a line's end, is cut: what is handed out are whole lines."""
    lines = [f"zürich {number} 1 € \N{ROCKET}\r" for number in range(9)]
    data = "".join(f"{line}\n" for line in lines).encode()

    async def scenario() -> list[bytes]:
        reading = Reading(source(log))
        for start in range(0, len(data), size):
            append(log, data[start : start + size])
            await reading.tailer.scan()
            await reading.read_all()
        return [batch.data for batch in reading.batches]

    batches = asyncio.run(scenario())

    assert all(batch.endswith(b"\n") for batch in batches)
    assert lines == b"".join(batches).decode().split("\n")[:-1]


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


@pytest.mark.parametrize("record", [b"", b'1,"half of a record'], ids=["", "open record"])
@pytest.mark.parametrize("is_read", [False, True], ids=["unread", "read"])
def test_l12_endless_line_that_a_rotated_file_ends_with(
    log: Path, record: bytes, *, is_read: bool
) -> None:
    """L12, L3: the file is left all the same, lest those after it wait for ever."""

    async def scenario() -> tuple[list[bytes], list[str]]:
        append(log, b"before\n" + b"x" * 3 * MEBIBYTE)
        reading = Reading(source(log, max_line=1000))
        await reading.tailer.scan()
        reading.tailer.files()[0].framing.open_record = record
        if is_read:
            await reading.read_all()
        log.rename(log.with_name("a.log.1"))
        append(log, b"after\n")
        await reading.idle()
        await reading.idle()
        append(log, b"more\n")
        await reading.settle()
        return [line for line in reading.lines if line], [f.path for f in reading.tailer.files()]

    assert ([b"before", b"x" * 1000, b"after", b"more"], [str(log)]) == asyncio.run(scenario())


def test_line_beyond_max_line_within_a_chunk_is_left_to_the_matcher(log: Path) -> None:
    """A long line whose end is in sight is handed out whole."""

    async def scenario() -> list[bytes]:
        append(log, b"y" * 5000 + b"\nnext\n")
        reading = Reading(source(log, max_line=1000))
        await reading.settle()
        return reading.lines

    assert [b"y" * 5000, b"next"] == asyncio.run(scenario())


def test_large_backlog_comes_in_large_batches(log: Path) -> None:
    """A megabyte at a time, cut at a line's end."""

    async def scenario() -> tuple[list[int], int]:
        append(log, numbered(1, 1_000_000))
        reading = Reading(source(log))
        await reading.settle()
        assert expected(1, 1_000_000) == reading.lines
        return [len(batch.data) for batch in reading.batches], log.stat().st_size

    sizes, total = asyncio.run(scenario())

    assert total == sum(sizes)
    assert all(MEBIBYTE - 12 <= size <= MEBIBYTE for size in sizes[:-1])


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


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_r24_unreadable_when_its_glob_is_first_used() -> None:
    """R24: ``start_at = "end"`` means where it ended then, not where it ends by now."""

    async def scenario(directory: Path) -> list[bytes]:
        log = directory / "a.log"
        append(log, numbered(1, 10))
        log.chmod(0o600)
        reading = Reading(source(log, start_at="end"))
        os.seteuid(65534)
        try:
            await reading.settle()
        finally:
            os.seteuid(0)
        append(log, numbered(11, 20))
        await reading.settle()
        return reading.lines

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        assert expected(11, 20) == asyncio.run(scenario(directory))


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


def test_f8_what_the_kernel_never_mentions_is_found_by_looking(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F8: as on network file systems: a file that grows, and one that takes its place."""

    async def silence(_: Hints) -> None:
        await asyncio.Event().wait()

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        reading = Reading(source(log), scan_interval=0.02)
        await reading.tailer.open()
        await reading.read_all()
        running = asyncio.create_task(reading.tailer.run())
        append(log, numbered(11, 20))
        assert await reading.tailer.changed(10)
        await reading.read_all()
        log.rename(log.with_suffix(".log.1"))
        append(log, numbered(21, 30))
        assert await reading.tailer.changed(10)
        await reading.read_all()
        running.cancel()
        await asyncio.wait([running])
        return reading.lines

    monkeypatch.setattr(Hints, "run", silence)
    assert expected(1, 30) == asyncio.run(scenario())


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


@pytest.mark.parametrize("is_bomb", [False, True], ids=["lines", "zeros"])
def test_s19_archive_is_left_when_it_holds_too_much(
    tmp_path: Path, log: Path, *, is_bomb: bool
) -> None:
    """S19: what is beyond ``max_gz_bytes`` is not read; that is said, once, and the log goes on."""

    async def scenario() -> tuple[int, list[bytes], list[str]]:
        append(log, numbered(1, 10))
        reading = Reading(source(log, max_gz_bytes=3 * MEBIBYTE))
        await reading.settle()
        await reading.tailer.close()
        log.unlink()
        beyond = bytes(64 * MEBIBYTE) if is_bomb else b"y" * 99 + b"\n"
        packed = gzip.compress(numbered(1, 20) + beyond * (1 if is_bomb else 200_000))
        (tmp_path / "a.log.1.gz").write_bytes(packed)
        append(log, numbered(21, 30))
        for _ in range(2):
            reading = reading.restart()
            await reading.tailer.open()
            await reading.settle()
            await reading.idle()
        unpacked = sum(len(batch.data) for batch in reading.batches)
        return unpacked, [line for line in reading.lines if line[:4] == b"line"], kinds

    kinds: list[str] = []
    begin = Troubles.happen

    def happen(troubles: Troubles, problem: Problem) -> None:
        kinds.append(problem.kind)
        begin(troubles, problem)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Troubles, "happen", happen)
        unpacked, lines, said = asyncio.run(scenario())

    assert expected(1, 30) == lines
    assert unpacked < 8 * MEBIBYTE
    assert ["archive too large"] == said


def test_l12_endless_line_takes_no_memory(log: Path) -> None:
    """L12: a quarter of a gigabyte without a newline is skipped in pieces, also by a restart."""
    size = 256 * MEBIBYTE

    async def scenario() -> tuple[list[bytes], int]:
        with log.open("wb") as file:
            for _ in range(size // (4 * MEBIBYTE)):
                file.write(b"x" * (4 * MEBIBYTE))
        reading = Reading(source(log))
        await reading.tailer.scan()
        for _ in range(2):
            await reading.read(reading.tailer.readable()[0])
        before, most = resident(), 0
        reading.commit()
        reading = reading.restart()
        await reading.tailer.scan()
        while file_behind := reading.tailer.readable():
            await reading.read(file_behind[0])
            most = max(most, resident() - before)
        append(log, b"x\nafter\n")
        await reading.settle()
        return reading.lines, most

    lines, most = asyncio.run(scenario())

    assert [b"x" * 65536, b"after"] == lines
    assert most < 16 * MEBIBYTE


def test_r13_terabyte_of_nothing_takes_no_memory(log: Path) -> None:
    """R13: a hole is not read; what was written of NULs around it is."""

    async def scenario() -> tuple[list[bytes], int]:
        append(log, numbered(1, 2))
        reading = Reading(source(log))
        await reading.settle()
        before = resident()
        os.truncate(log, 0)
        os.truncate(log, 1 << 40)
        append(log, bytes(100_001) + numbered(3, 4))
        await reading.settle()
        return reading.lines, resident() - before

    lines, grown = asyncio.run(scenario())

    assert expected(1, 4) == [line.lstrip(b"\0") for line in lines]
    assert max(map(len, lines)) < 8192
    assert grown < 16 * MEBIBYTE


def test_header_is_learned_although_reading_starts_at_the_end(tmp_path: Path) -> None:
    """A csv's first line names the fields of what is appended, also after a restart."""

    async def scenario() -> list[tuple[str, ...] | None]:
        log = tmp_path / "a.csv"
        append(log, b"date,severity,message\n2026-03-01,Info,old\n")
        reading = Reading(source(log, start_at="end", format="csv"))
        await reading.settle()
        append(log, b"2026-03-02,Fatal,new\n")
        await reading.settle()
        headers = [reading.tailer.files()[0].framing.header]
        reading = reading.restart()
        await reading.settle()
        return [*headers, reading.tailer.files()[0].framing.header]

    assert [("date", "severity", "message")] * 2 == asyncio.run(scenario())


@pytest.mark.parametrize(("days", "lines"), [(6, expected(1, 20)), (8, expected(11, 20))])
def test_position_of_a_file_without_a_source_is_kept_for_a_week(
    tmp_path: Path, log: Path, days: int, lines: list[bytes]
) -> None:
    """``state_ttl``: after that it is like any file that is there when a glob is first used."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        watched = source(log, start_at="end")
        log.write_bytes(b"")
        reading = Reading(watched, source(tmp_path / "other", name="other"))
        await reading.settle()
        append(log, numbered(1, 10))
        await reading.settle()
        reading.tailer.reconfigure(reading.sources[1:])
        reading.commit()
        append(log, numbered(11, 20))
        if days > 7:
            reading.lines.clear()
        clock = time.time() + days * 86400
        other = Tailer(reading.sources[1:], list(reading.stored.values()), clock=lambda: clock)
        await other.open()
        _, forgotten = other.take_changes()
        for key in forgotten:
            del reading.stored[key]
        reading = reading.restart()
        await reading.settle()
        append(log, b"")
        if days > 7:
            assert [] == reading.lines
            append(log, numbered(11, 20))
            await reading.settle()
        return reading.lines

    assert lines == asyncio.run(scenario())


def test_files_beyond_the_limit_are_closed_and_opened_again(tmp_path: Path) -> None:
    """With room for few descriptors those used longest ago are closed; no line is lost by it."""

    async def scenario() -> tuple[list[bytes], int]:
        logs = [tmp_path / f"{number:02}.log" for number in range(40)]
        for path in logs:
            path.touch()
        reading = Reading(source(tmp_path / "*.log"))
        reading.tailer._descriptors._most = 10
        await reading.settle()
        most = 0
        for first in range(0, 400, 40):
            for number, path in enumerate(logs, first):
                append(path, numbered(number, number))
            await reading.settle()
            most = max(most, len(list(reading.tailer._descriptors)))
        return sorted(reading.lines), most

    lines, most = asyncio.run(scenario())

    assert expected(0, 399) == lines
    assert most <= 10


def test_hints_come_again_after_the_kernel_refused_them(tmp_path: Path) -> None:
    """Without a descriptor for inotify there are only scans; once there is one, hints are back."""

    async def scenario() -> tuple[set[str], bool]:
        came: asyncio.Queue[set[str]] = asyncio.Queue()
        started = asyncio.Event()
        hints = Hints(came.put_nowait, started.set, lambda _: None)
        survey = Survey([source(tmp_path / "*.log")])
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        await asyncio.to_thread(lambda: None)  # the thread has to be there before
        lowest = os.dup(0)  # what is open need not be numbered without gaps
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        running = asyncio.create_task(hints.run())
        try:
            hints.watch(View(listings={str(tmp_path): Listing((0, 0), 0, 0.0, 0, {})}))
            async with asyncio.timeout(10):
                while not hints._is_refused:  # noqa: ASYNC110 - it is not told when it is so
                    await asyncio.sleep(0.005)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert not started.is_set()
        hints.watch(survey.look([], is_forced=True))
        log = tmp_path / "a.log"
        async with asyncio.timeout(10):
            await started.wait()
            append(log, b"x\n")
            paths = await came.get()
        running.cancel()
        await asyncio.wait([running])
        return paths, hints._is_refused

    paths, is_refused = asyncio.run(scenario())

    assert {str(tmp_path / "a.log")} == paths
    assert not is_refused
