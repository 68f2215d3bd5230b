"""The loop: who is read next, when it commits, and that what it remembers stays bounded."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from alertd.core.matching import Matcher
from alertd.core.pipeline import Pipeline
from alertd.core.rules import Pattern, Rule, Source
from alertd.core.timestamps.reader import TimestampReader
from alertd.state import State
from alertd.tail import StoredFile, Tailer
from alertd.watch import MUCH_BYTES, Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path


def error_rule() -> Rule:
    """Return a rule that never rings here."""
    return Rule(
        name="error",
        sources=("app",),
        match=(Pattern("ERROR"),),
        more_than=1000,
        within=60.0,
        cooldown=0.0,
        recipients=("ops@example.com",),
    )


def pipeline_of(source: Source, rule: Rule) -> Pipeline:
    """Put the one to work on the other."""
    return Pipeline([source], [rule], {"app": Matcher(source, [rule])})


def watch_over(
    tailer: Tailer,
    source: Source,
    rule: Rule,
    state: State,
    *,
    on_rest: Callable[[], None] = lambda: None,
    until_told: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0),
) -> Watch:
    """Return a watch that tells nobody."""
    return Watch(
        tailer,
        pipeline_of(source, rule),
        state,
        {"app": source},
        on_alerts=lambda: None,
        on_rest=on_rest,
        until_told=until_told,
        on_trouble=lambda _: None,
    )


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Let the garbage collector look only when it is told to."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_nothing_of_earlier_rules_is_kept_after_a_reload(tmp_path: Path) -> None:
    """They lie in cycles; as many readers of times are there after five reloads as after one."""
    source = Source("app", (str(tmp_path / "a.log"),), UTC, start_at="beginning")
    rule = error_rule()

    def readers() -> int:
        return sum(isinstance(one, TimestampReader) for one in gc.get_objects())

    async def scenario() -> list[int]:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [])
        watch = watch_over(tailer, source, rule, state)
        counts = []
        for number in range(5):
            with (tmp_path / "a.log").open("a") as log:
                log.write(f"2026-03-14T12:00:0{number}Z ERROR\n")
            await tailer.scan()
            await watch._turn()
            await watch.swap(pipeline_of(source, rule), {"app": source})
            counts.append(readers())
        await tailer.close()
        await state.close()
        return counts

    counts = asyncio.run(scenario())

    assert counts[0] == counts[-1] > 0


def test_what_is_remembered_of_files_does_not_grow_with_rotations(tmp_path: Path) -> None:
    """Whatever table it is in: after 60 rotations, all of them read and left, it is still small."""
    log = tmp_path / "a.log"
    source = Source("app", (str(log),), UTC, timestamp="none", start_at="beginning")
    rule = error_rule()

    def remembered(watch: Watch) -> int:
        values = [*vars(watch).values(), *vars(watch._files).values()]
        tables = (value for value in values if isinstance(value, (dict, set)))
        return sum(len(table) for table in tables)

    async def scenario() -> tuple[int, int, int]:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [], rotate_grace=0.0)
        watch = watch_over(tailer, source, rule, state)
        sizes = []
        for number in range(61):
            log.write_text(f"ERROR {number}\n")
            await tailer.scan()
            while await watch._turn():
                pass
            watch._files.clear()
            sizes.append(remembered(watch))
            log.rename(tmp_path / f"a.log.{number}")
            await tailer.scan()
        await tailer.close()
        await state.close()
        return sizes[5], sizes[-1], watch.turns

    early, late, turns = asyncio.run(scenario())

    assert turns > 61
    assert late <= early + 3


def test_matches_wait_for_the_file_that_comes_after_the_one_just_read(tmp_path: Path) -> None:
    """A rotated file is read to its end; its successor's line is older than another file's."""
    source = Source("app", (str(tmp_path / "*.log"),), UTC, start_at="beginning")
    first, other = tmp_path / "a.log", tmp_path / "b.log"

    def write(log: Path, second: int) -> None:
        with log.open("a") as file:
            file.write(f"2026-03-14T12:00:{second:02}Z ERROR\n")

    async def scenario() -> tuple[int, int]:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [])
        watch = watch_over(tailer, source, error_rule(), state)
        write(first, 0)
        write(other, 0)
        await tailer.scan()
        while await watch._turn():
            pass
        write(first, 8)
        first.rename(tmp_path / "a.log.1")
        write(first, 9)
        write(other, 10)
        await tailer.scan()
        watch._files.clear()
        while await watch._turn():
            pass
        await tailer.close()
        await state.close()
        return watch.pipeline.late, watch.turns

    late, turns = asyncio.run(scenario())

    assert turns >= 5
    assert 0 == late


def test_after_much_work_memory_is_given_back_once(tmp_path: Path) -> None:
    """When nothing is left to do; after little work it is not worth the time."""
    log = tmp_path / "a.log"
    log.write_bytes(b"nothing\n" * (MUCH_BYTES // 8))
    source = Source("app", (str(log),), UTC, timestamp="none", start_at="beginning")

    async def scenario() -> list[int]:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [], rotate_grace=0.0)
        given_back: list[int] = []
        watch = watch_over(
            tailer, source, error_rule(), state, on_rest=lambda: given_back.append(watch.turns)
        )
        watch.stop()
        counts = []
        for _ in range(2):
            await tailer.scan()
            while await watch._turn():
                pass
            await watch._rest()
            counts.append(len(given_back))
            with log.open("ab") as file:
                file.write(b"a little more\n")
        await tailer.close()
        await state.close()
        return counts

    assert [1, 1] == asyncio.run(scenario())


def alert_about(age: float, tmp_path: Path, told: Callable[[], None] = lambda: None) -> int:
    """Read a line of some age that rings, with more to read behind it; return what is committed."""

    async def never_told() -> None:
        told()
        await asyncio.get_running_loop().create_future()

    log = tmp_path / "a.log"
    now = datetime.now(UTC)
    lines = [f"{(now - timedelta(seconds=age)).isoformat()} ERROR"]
    lines += [f"{now.isoformat()} nothing"] * 50_000
    log.write_text("\n".join(lines) + "\n")
    source = Source("app", (str(log),), UTC, start_at="beginning")

    async def scenario() -> int:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [], rotate_grace=0.0)
        ringing = replace(error_rule(), more_than=0)
        watch = watch_over(tailer, source, ringing, state, until_told=never_told)
        await tailer.scan()
        assert await watch._turn()
        pending = (await state.outbox.counts()).pending
        await watch._commit()
        await tailer.close()
        await state.close()
        return pending

    return asyncio.run(scenario())


@pytest.mark.parametrize(("age", "committed"), [(1, 1), (600, 0)])
def test_only_an_alert_about_what_just_happened_is_committed_at_once(
    tmp_path: Path, age: float, committed: int
) -> None:
    """One that comes late anyway waits for the next commit, a quarter of a second later."""
    assert committed == alert_about(age, tmp_path)


def test_what_was_read_is_committed_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1, P2: whoever stops does not wait for the next commit, and nothing is read twice."""
    monkeypatch.setattr("alertd.watch.COMMIT_SECONDS", 3600.0)
    log = tmp_path / "a.log"
    log.write_text("2026-03-14T12:00:00Z ERROR\n" * 3)
    source = Source("app", (str(log),), UTC, start_at="beginning")

    async def scenario() -> list[int]:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [])
        watch = watch_over(tailer, source, error_rule(), state)
        await tailer.open()
        running = asyncio.create_task(watch.run())
        async with asyncio.timeout(10):
            while not watch.is_caught_up:  # noqa: ASYNC110 - it is not told when it is so
                await asyncio.sleep(0.005)
        (file,) = tailer.files()
        assert log.stat().st_size == file.offset
        assert not (await state.load()).journal
        watch.stop()
        await running
        await tailer.close()
        loaded = await state.load()
        await state.close()
        return [len(loaded.journal)] + [
            msgspec.msgpack.decode(stored.blob, type=StoredFile).offset for stored in loaded.files
        ]

    assert [1, log.stat().st_size] == [n for n in asyncio.run(scenario()) if n]


@pytest.mark.parametrize(("age", "expected"), [(1, 1), (600, 0)])
def test_reading_waits_a_moment_for_the_mail_about_what_just_happened(
    tmp_path: Path, age: float, expected: int
) -> None:
    """No longer, though: this mail server never answers, and the turn ends all the same."""
    waits = []
    alert_about(age, tmp_path, lambda: waits.append(age))

    assert expected == len(waits)


def test_half_of_the_time_is_for_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of alerts does not keep it from the lines: it waits, then reads for as long."""
    now = 100.0
    monkeypatch.setattr("alertd.watch.time.monotonic", lambda: now)
    waits = []

    async def told() -> None:
        nonlocal now
        waits.append(now)
        now += 0.02

    async def scenario() -> None:
        nonlocal now
        source = Source("app", (str(tmp_path / "a.log"),), UTC)
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [])
        watch = watch_over(tailer, source, error_rule(), state, until_told=told)
        for _ in range(4):
            await watch._give_way()
            now += 0.01
        await tailer.close()
        await state.close()

    asyncio.run(scenario())

    assert pytest.approx([100.0, 100.04]) == waits


def test_f7_files_take_turns(tmp_path: Path) -> None:
    """A quiet file's line waits for one piece of a busy file, not for the rest of it."""
    quiet, busy = tmp_path / "quiet.log", tmp_path / "busy.log"
    busy.write_bytes(b"INFO nothing worth a word\n" * 1_000_000)
    quiet.touch()
    source = Source("app", (str(tmp_path / "*.log"),), UTC, timestamp="none", start_at="beginning")

    async def scenario() -> tuple[int, bool]:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [])
        watch = watch_over(tailer, source, error_rule(), state)
        await tailer.open()
        one, other = (
            next(f for f in tailer.files() if f.path == str(path)) for path in (quiet, busy)
        )
        while other.offset == 0:
            await watch._turn()
        with quiet.open("a") as log:
            log.write("ERROR\n")
        tailer._hint({str(quiet)})
        turns = 0
        while one.is_behind:
            await watch._turn()
            turns += 1
        await tailer.close()
        await state.close()
        return turns, other.is_behind

    assert (1, True) == asyncio.run(scenario())


def test_while_a_source_has_lines_to_read_time_stands_still_and_nobody_spins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether nothing came is known once that is read; what holds it up may last for days."""
    log = tmp_path / "a.log"
    log.write_text(f"{datetime.now(UTC).isoformat()} ERROR\n")
    source = Source("app", (str(log),), UTC, start_at="beginning")
    waiting = replace(error_rule(), kind="absence", more_than=0, within=1.0)

    async def scenario() -> tuple[int, int, int]:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [], rotate_grace=0.0)
        rang = asyncio.Event()
        watch = Watch(
            tailer,
            pipeline_of(source, waiting),
            state,
            {"app": source},
            on_alerts=rang.set,
            on_trouble=lambda _: None,
            clock=lambda: datetime.now(UTC).timestamp() + 60,
        )
        running = asyncio.ensure_future(watch.run())
        with monkeypatch.context() as held_up:
            held_up.setattr(Tailer, "unread_sources", frozenset({"app"}))
            await asyncio.sleep(1.5)
            turns, early = watch.turns, (await state.outbox.counts()).pending
        await asyncio.wait_for(rang.wait(), 10)
        watch.stop()
        await running
        pending = (await state.outbox.counts()).pending
        await tailer.close()
        await state.close()
        return turns, early, pending

    turns, early, pending = asyncio.run(scenario())

    assert 0 < turns <= 15
    assert (0, 1) == (early, pending)


def test_who_waits_for_a_file_does_not_keep_others_from_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond some matches that wait, of their own source only that file is read."""
    monkeypatch.setattr("alertd.watch.WAITING_MATCHES", 0)
    names = ("first", "second", "other")
    for number, name in enumerate(names):
        log = tmp_path / f"{name}.log"
        log.write_text("2026-03-14T12:00:00Z ERROR\n")
        os.utime(log, (number, number))
    busy = Source(
        "app",
        (str(tmp_path / "first.log"), str(tmp_path / "second.log")),
        UTC,
        start_at="beginning",
    )
    quiet = Source("quiet", (str(tmp_path / "other.log"),), UTC, start_at="beginning")
    rules = [error_rule(), replace(error_rule(), name="quiet", sources=("quiet",))]
    matchers = {"app": Matcher(busy, rules[:1]), "quiet": Matcher(quiet, rules[1:])}

    async def scenario() -> list[str]:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([busy, quiet], [], rotate_grace=0.0)
        pipeline = Pipeline([busy, quiet], rules, matchers)
        watch = Watch(
            tailer,
            pipeline,
            state,
            {"app": busy, "quiet": quiet},
            on_alerts=lambda: None,
            on_trouble=lambda _: None,
        )
        await tailer.scan()
        assert await watch._turn()
        assert 1 == pipeline.waiting
        watch._look()
        waiting = []
        while len(watch._files):
            waiting.append(watch._files.take().path)
        await tailer.close()
        await state.close()
        return waiting

    waiting = asyncio.run(scenario())

    assert [str(tmp_path / f"{name}.log") for name in names[1:]] == sorted(waiting, reverse=True)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.25), (1e9, 2.5)])
def test_where_much_waits_commits_are_further_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, expected: float
) -> None:
    """So many times as far as it takes to write down what waits, within bounds."""
    monkeypatch.setattr("alertd.watch.COMMIT_SHARE", share)
    log = tmp_path / "a.log"
    source = Source("app", (str(log),), UTC, start_at="beginning")

    async def scenario() -> float:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [], rotate_grace=0.0)
        watch = watch_over(tailer, source, error_rule(), state)
        log.write_text("2026-03-14T12:00:00Z ERROR\n")
        await tailer.scan()
        await watch._turn()
        await watch._commit()
        before = time.monotonic()
        watch._note_uncommitted()
        assert watch._commit_due is not None
        due = watch._commit_due - before
        await tailer.close()
        await state.close()
        return due

    assert expected == pytest.approx(asyncio.run(scenario()), abs=0.1)
