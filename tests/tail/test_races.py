"""
What happens between two steps of a look: names are shifted, a file is emptied, a read is under way.

Each test stops the reader where the fault hits, lets it happen, and goes on.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import threading
from typing import TYPE_CHECKING

import pytest
from tail.racing import before_first
from tail.reading import Reading, append, expected, numbered, source

from alertd.tail import away, copies, siblings, tailer, truncation, unseen

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the log file that is written to."""
    return tmp_path / "a.log"


def rotate(log: Path) -> None:
    """Move ``a.log`` to ``a.log.1``, that to ``a.log.2``, and so on."""
    for number in range(9, 0, -1):
        old = log.with_name(f"a.log.{number}")
        if old.exists():
            old.rename(log.with_name(f"a.log.{number + 1}"))
    log.rename(log.with_name("a.log.1"))


def read_on(reading: Reading) -> None:
    """Tell the reader what the kernel would: a file has grown.  No look follows."""
    reading.tailer._hint({file.path for file in reading.tailer.files()})


@pytest.mark.parametrize("shifts", [1, 2])
def test_r4_names_shifted_between_listing_and_opening(
    monkeypatch: pytest.MonkeyPatch, log: Path, shifts: int
) -> None:
    """R4, R25: the name of an unseen generation leads to the next one by the time it is opened."""

    def shift() -> None:
        for step in range(shifts):
            rotate(log)
            append(log, numbered(31 + 10 * step, 40 + 10 * step))

    async def scenario() -> tuple[list[bytes], list[str]]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        for first in (11, 21):
            rotate(log)
            append(log, numbered(first, first + 9))
        called = before_first(monkeypatch, unseen, "open_all", shift)
        await reading.tailer.scan()
        await reading.read_all()
        await reading.settle()
        return reading.lines, called

    lines, called = asyncio.run(scenario())

    assert ["open_all"] == called
    assert expected(1, 30 + 10 * shifts) == lines


def test_r25_listing_that_lacks_a_file_decides_nothing(log: Path) -> None:
    """R25: a file that is renamed while its directory is listed may be seen under neither name."""

    async def scenario() -> tuple[list[bytes], list[bytes]]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        for first in (11, 21):
            rotate(log)
            append(log, numbered(first, first + 9))
        look = reading.tailer._survey.look

        def without(*args: Any, **kwargs: Any) -> Any:
            view = look(*args, **kwargs)
            for name in ("a.log.1", "a.log.2"):
                del view.listings[str(log.parent)].names[name]
            return view

        reading.tailer._survey.look = without  # type: ignore[method-assign]
        await reading.tailer.scan()
        await reading.read_all()
        early = list(reading.lines)
        reading.tailer._survey.look = look  # type: ignore[method-assign]
        await reading.settle()
        return early, reading.lines

    early, lines = asyncio.run(scenario())

    assert expected(1, 10) == early
    assert expected(1, 30) == lines


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
@pytest.mark.parametrize("is_seen", [False, True], ids=["", "copy seen"])
@pytest.mark.parametrize("is_packed", [False, True], ids=["", "compressed"])
@pytest.mark.parametrize("count", [5, 40, 5000])
def test_r9_copy_ends_before_what_was_read(
    tmp_path: Path, log: Path, glob: str, count: int, *, is_seen: bool, is_packed: bool
) -> None:
    """R9: who reads while the copy is made has read more than it holds; none of it comes twice."""

    async def scenario() -> tuple[list[bytes], list[int]]:
        append(log, numbered(1, count))
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        copy = log.with_name("a.log.1")
        shutil.copyfile(log, copy)
        with copy.open("r+b") as file:
            file.truncate(copy.stat().st_size - 3)  # the copy may end in the middle of a line
        if is_seen:
            await reading.settle()
        append(log, numbered(count + 1, count + 30))
        read_on(reading)
        await reading.read_all()
        os.truncate(log, 0)
        if is_packed:
            log.with_name("a.log.1.gz").write_bytes(gzip.compress(copy.read_bytes()))
            copy.unlink()
        append(log, numbered(count + 31, count + 40))
        await reading.settle()
        await reading.idle()
        reading = reading.restart()
        await reading.settle()
        return reading.lines, [problem.lost for problem in reading.tailer.take_problems()]

    lines, lost = asyncio.run(scenario())

    assert expected(1, count + 40) == lines
    assert [] == lost


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
def test_r9_emptied_while_it_is_compared_with_its_copy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Path, glob: str
) -> None:
    """R9: the copy of a file that is emptied just then is no new file."""

    async def scenario() -> tuple[list[bytes], list[str]]:
        append(log, numbered(1, 500))
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        shutil.copyfile(log, log.with_name("a.log.1"))
        called = before_first(monkeypatch, copies, "begins_like", lambda: os.truncate(log, 0))
        await reading.settle()
        append(log, numbered(501, 510))
        await reading.settle()
        await reading.idle()
        return reading.lines, called

    lines, called = asyncio.run(scenario())

    assert ["begins_like"] == called
    assert expected(1, 510) == lines


def test_r9_nothing_is_read_while_the_copy_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    """R9: what would be read then comes from the copy, too."""
    is_looking, may_go_on = threading.Event(), threading.Event()

    def wait() -> None:
        is_looking.set()
        assert may_go_on.wait(10)

    async def scenario() -> tuple[list[bytes], bool]:
        append(log, numbered(1, 100))
        reading = Reading(source(log))
        await reading.settle()
        append(log, numbered(101, 200))
        shutil.copyfile(log, log.with_name("a.log.1"))
        os.truncate(log, 0)
        append(log, numbered(201, 600))
        before_first(monkeypatch, truncation, "first_that_holds", wait)
        look = asyncio.create_task(reading.tailer.scan())
        await asyncio.to_thread(is_looking.wait, 10)
        (file,) = reading.tailer.files()
        is_read = await reading.read(file)
        may_go_on.set()
        await look
        await reading.settle()
        return reading.lines, is_read

    lines, is_read = asyncio.run(scenario())

    assert not is_read
    assert expected(1, 600) == lines


def test_r9_nothing_is_read_while_a_copy_of_what_was_unread_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    """R9: nothing that was read tells the two apart, and the copy's lines come first."""
    is_looking, may_go_on = threading.Event(), threading.Event()

    def wait() -> None:
        is_looking.set()
        assert may_go_on.wait(10)

    async def scenario() -> tuple[list[bytes], bool]:
        append(log, b"")
        reading = Reading(source(log))
        await reading.settle()
        append(log, numbered(1, 20))
        read_on(reading)
        (file,) = reading.tailer.readable()
        shutil.copyfile(log, log.with_name("a.log.1"))
        os.truncate(log, 0)
        append(log, numbered(21, 30))
        before_first(monkeypatch, unseen, "open_all", wait)
        look = asyncio.create_task(reading.tailer.scan())
        await asyncio.to_thread(is_looking.wait, 10)
        is_read = await reading.read(file)
        may_go_on.set()
        await look
        await reading.settle()
        return reading.lines, is_read

    lines, is_read = asyncio.run(scenario())

    assert not is_read
    assert expected(1, 30) == lines


@pytest.mark.parametrize("read", [0, 100])
def test_r9_what_was_read_before_the_file_was_emptied_is_not_handed_out_after(
    monkeypatch: pytest.MonkeyPatch, log: Path, read: int
) -> None:
    """R9: it comes from the copy, and would come twice."""

    async def scenario() -> tuple[list[bytes], bool]:
        append(log, numbered(1, 100))
        reading = Reading(source(log), take=lambda _: len(numbered(1, read)))
        await reading.tailer.scan()
        (file,) = reading.tailer.files()
        await reading.read(file)
        reading.take = None
        append(log, numbered(101, 200))
        read_on(reading)
        is_read, may_go_on = asyncio.Event(), asyncio.Event()
        piece = away.read_piece

        async def read_late(*args: Any) -> Any:
            found = await piece(*args)
            if not is_read.is_set():
                is_read.set()
                await may_go_on.wait()
            return found

        monkeypatch.setattr(tailer, "read_piece", read_late)
        late = asyncio.create_task(reading.read(file))
        await is_read.wait()
        shutil.copyfile(log, log.with_name("a.log.1"))
        os.truncate(log, 0)
        append(log, numbered(201, 210))
        await reading.tailer.scan()
        may_go_on.set()
        was_handed_out = await late
        await reading.settle()
        return [line for line in reading.lines if line], was_handed_out

    lines, was_handed_out = asyncio.run(scenario())

    assert not was_handed_out
    assert expected(1, 210) == lines


def test_r25_names_that_are_shifted_at_every_look(
    monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    """R25: what could not be opened under any name is not known, however long that takes."""
    left = list(range(8))
    function = siblings.open_all

    def shifted(paths: list[str], **more: Any) -> Any:
        if left:
            rotate(log)
            number = 21 + 10 * (8 - len(left))
            append(log, numbered(number, number + 9))
            left.pop()
        return function(paths, **more)

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        rotate(log)
        append(log, numbered(11, 20))
        rotate(log)
        append(log, b"")
        monkeypatch.setattr(unseen, "open_all", shifted)
        while left:
            await reading.tailer.scan()
            await reading.read_all()
        await reading.settle()
        return reading.lines

    lines = asyncio.run(scenario())

    assert expected(1, 100) == sorted(lines)


def test_a_file_that_grows_while_it_is_compared_has_not_been_cut(
    monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    """Its size was taken before: nothing is lost, and nothing said."""

    async def scenario() -> tuple[list[bytes], list[str]]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        (file,) = reading.tailer.files()
        reading.tailer._doubt(file)
        loop = asyncio.get_running_loop()
        grown = threading.Event()

        def grow() -> None:
            append(log, numbered(11, 20))
            read_on(reading)
            grown.set()

        def wait() -> None:
            loop.call_soon_threadsafe(grow)
            assert grown.wait(10)

        before_first(monkeypatch, truncation, "holds", wait)
        await reading.tailer.scan()
        await reading.settle()
        return reading.lines, [problem.kind for problem in reading.tailer.take_problems()]

    assert (expected(1, 20), []) == asyncio.run(scenario())


def test_r1_what_was_ready_waits_for_what_is_written_to_an_older_file(log: Path) -> None:
    """R1: whoever found out earlier what can be read now finds that it cannot be read yet."""

    async def scenario() -> tuple[list[bytes], bool]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        rotate(log)
        append(log, numbered(21, 30))
        await reading.tailer.scan()
        (new,) = reading.tailer.readable()
        append(log.with_name("a.log.1"), numbered(11, 20))
        read_on(reading)
        is_read = await reading.read(new)
        await reading.settle()
        return reading.lines, is_read

    lines, is_read = asyncio.run(scenario())

    assert not is_read
    assert expected(1, 30) == lines


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
def test_r9_copy_that_is_being_made(tmp_path: Path, log: Path, glob: str) -> None:
    """R9: what it gets while it grows is nothing new, though its original was read that far."""

    async def scenario() -> list[bytes]:
        data = numbered(1, 1000)
        append(log, data)
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        copy = log.with_name("a.log.1")
        for start in range(0, len(data), 4096):
            append(copy, data[start : start + 4096])
            await reading.tailer.scan()
            await reading.read_all()
        os.truncate(log, 0)
        append(log, numbered(1001, 1010))
        await reading.settle()
        await reading.idle()
        return reading.lines

    assert expected(1, 1010) == asyncio.run(scenario())


def test_a_copy_goes_its_own_way(log: Path) -> None:
    """What is written to it later is news; what it had in common with its original is not."""

    async def scenario() -> list[bytes]:
        append(log, numbered(1, 100))
        reading = Reading(source(log.with_name("*.log*")))
        await reading.settle()
        copy = log.with_name("a.log.copy")
        shutil.copyfile(log, copy)
        await reading.settle()
        append(copy, numbered(101, 110))
        await reading.settle()
        await reading.idle()
        append(copy, numbered(111, 120))
        await reading.settle()
        return reading.lines

    assert expected(1, 120) == asyncio.run(scenario())


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
def test_r4_what_was_written_just_before_the_rotation_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Path, glob: str
) -> None:
    """R4: the old file has grown since its size was looked at, and the new one is there already."""

    def rotate_busily() -> None:
        append(log, numbered(11, 20))
        rotate(log)
        append(log, numbered(21, 30))

    async def scenario() -> tuple[list[bytes], list[str]]:
        append(log, numbered(1, 10))
        reading = Reading(source(tmp_path / glob))
        await reading.settle()
        called = before_first(monkeypatch, reading.tailer._survey, "look", rotate_busily)
        await reading.tailer.scan()
        (first,) = reading.tailer.readable()
        await reading.read(first)
        assert expected(1, 20) == reading.lines
        await reading.settle()
        return reading.lines, called

    lines, called = asyncio.run(scenario())

    assert ["look"] == called
    assert expected(1, 30) == lines


def test_a_batch_that_is_held_is_finished_though_its_file_is_undecided(log: Path) -> None:
    """Nothing about the older file can be decided before; each would wait for the other."""

    async def scenario() -> tuple[list[bytes], bool]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        rotate(log)
        append(log, numbered(11, 20))
        reading.take = lambda _: len(numbered(11, 15))
        await reading.tailer.scan()
        (new,) = reading.tailer.readable()
        await reading.read(new)
        append(log.with_name("a.log.1"), numbered(21, 30))
        append(log.with_name("a.log.9"), numbered(31, 40))  # may be a copy of what is held
        await reading.tailer.scan()
        can_go_on = reading.tailer.readable() == [new]
        reading.take = None
        await reading.settle()
        return reading.lines, can_go_on

    lines, can_go_on = asyncio.run(scenario())

    assert can_go_on
    assert expected(1, 40) == sorted(lines)


def test_r25_rotations_that_are_deleted_between_listing_and_opening_are_reported(
    monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    """R25: nobody can tell how large they were; those that were read tell about how much."""
    gone = [log.with_name(f"a.log.{number}") for number in (1, 2)]

    def delete() -> None:
        for path in gone:
            path.unlink()

    async def scenario() -> tuple[list[bytes], list[int]]:
        append(log, numbered(1, 10))
        reading = Reading(source(log))
        await reading.settle()
        for first in (11, 21, 31):
            rotate(log)
            append(log, numbered(first, first + 9))
        before_first(monkeypatch, unseen, "open_all", delete)
        await reading.settle()
        await reading.settle()
        return reading.lines, [problem.lost for problem in reading.tailer.take_problems()]

    lines, lost = asyncio.run(scenario())

    assert [*expected(1, 10), *expected(31, 40)] == lines
    assert [2 * len(numbered(1, 10))] == lost
