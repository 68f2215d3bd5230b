"""Torture that is held nowhere else: single cases, each with the parts that it is about."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from living import alertd, append, mailbox, text_of
from notices import notice
from tail.reading import Reading

from alertd.core.events import Batch, Match
from alertd.core.framing import Framing
from alertd.core.keyspace import Keyspace
from alertd.core.matching import Matcher
from alertd.core.pipeline import Pipeline
from alertd.core.render import render_alert
from alertd.core.rules import Pattern, Rule, Source
from alertd.delivery import Delivery
from alertd.smtp import DeliveryError, Outcome
from alertd.state import Change, State
from alertd.tail import Tailer
from alertd.tail.content import open_content

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()


def source(**changes: Any) -> Source:
    """Make a source of plain lines."""
    settings: dict[str, Any] = {"name": "app", "paths": ("/*.log",), "timezone": UTC}
    return Source(**{**settings, **changes})


def rule(**changes: Any) -> Rule:
    """Make a rule that rings on each error."""
    settings: dict[str, Any] = {
        "name": "error",
        "sources": ("app",),
        "match": (Pattern("ERROR"),),
        "more_than": 0,
        "within": 60.0,
        "cooldown": 0.0,
        "recipients": ("ops@example.com",),
    }
    return Rule(**{**settings, **changes})


class Recorder:
    """A server that takes everything and keeps it, unless it is away."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_away = False

    async def send(
        self, sender: str, recipients: Sequence[str], payload: bytes
    ) -> dict[str, Outcome]:
        """Take a mail."""
        assert sender
        if self.is_away:
            raise DeliveryError("connect", "Connection refused")
        self.sent.append(payload)
        return {recipient: Outcome("sent", "250") for recipient in recipients}

    async def close(self) -> None:
        """Let nothing go."""


def matches(data: bytes, **changes: Any) -> list[Match]:
    """Return what the rule finds in a whole file."""
    matcher = Matcher(source(**changes), [rule()])
    batch = Batch("1", "app", "/a.log", 0, data, START)
    return matcher.match(batch, Framing(), now=START).matches


@given(st.integers(0, 3), st.text(st.characters(exclude_characters="\r\n", max_codepoint=126)))
def test_l6_exactly_one_carriage_return_is_no_part_of_a_line(returns: int, text: str) -> None:
    r"""A line may end in ``\r\n``; what stands before that is its own."""
    data = f"ERROR {text}".encode() + b"\r" * returns + b"\n"
    [found] = matches(data, timestamp="none")

    assert f"ERROR {text}" + "\r" * max(0, returns - 1) == found.line


def test_l7_a_progress_bar_is_one_line_and_shown_escaped() -> None:
    r"""A lone ``\r`` ends nothing: whoever draws bars writes one line."""
    [found] = matches(b"1%\r50%\r100% ERROR\n", timestamp="none")
    alert = msgspec.structs.replace(notice(1).alert, line=found.line, last=())
    shown = render_alert(
        msgspec.structs.replace(notice(1), alert=alert),
        host="web1",
        sender="a@example.com",
        timezone=UTC,
        sent_at=START,
    )

    assert "1%\r50%\r100% ERROR" == found.line
    assert rb"1%\r50%\r100% ERROR" in shown.payload


def test_l14_millions_of_empty_lines_are_over_at_once() -> None:
    """Neither their matches nor a last time is looked for in each; the one before them stays."""
    matcher = Matcher(source(), [rule()])
    data = b"\n" * (1 << 20)
    framing = Framing()
    first = b"2026-03-01T11:00:00Z first\n"
    matcher.match(Batch("1", "app", "/a.log", 0, first, START), framing, now=START)
    slowest = 0.0
    for number in range(10):
        batch = Batch("1", "app", "/a.log", len(first) + (number << 20), data, START)
        began = time.process_time()
        matched = matcher.match(batch, framing, now=START)
        slowest = max(slowest, time.process_time() - began)
        assert len(data) == matched.consumed
    last = Batch("1", "app", "/a.log", len(first) + (10 << 20), b"ERROR\n", START)
    [found] = matcher.match(last, framing, now=START).matches

    assert START - 3600 == found.time
    assert slowest < 0.1


def test_t6_a_backlog_is_judged_by_the_time_of_its_events() -> None:
    """Five events over 50 minutes, read at once, are no burst; five within one minute were."""

    def alerts(seconds: list[float]) -> list[float]:
        own = rule(more_than=4)
        subject = Pipeline([source()], [own], {"app": Matcher(source(), [own])})
        lines = [f"{datetime.fromtimestamp(START + s, UTC).isoformat()} ERROR" for s in seconds]
        data = "".join(f"{line}\n" for line in lines).encode()
        subject.take(Batch("1", "app", "/a.log", 0, data, START + 9e5), Framing(), now=START + 9e5)
        return [alert.time for alert in subject.release(START + 9e5)]

    assert [] == alerts([0, 600, 1200, 1800, 3000])
    assert [START + 40] == alerts([0, 10, 20, 30, 40])


def test_f2_a_flood_of_keys_takes_no_more_than_the_worst_case() -> None:
    """At `max_keys` the oldest goes and is counted; the rest of memory stays as it was."""
    keys = 100
    space = Keyspace(rule(group_by=("k",), max_keys=keys, more_than=3, within=1e9))

    def feed(numbers: range) -> None:
        for number in numbers:
            text = f"{number}"
            space.feed(Match("error", (text,), START + number, "/a", number, text))

    feed(range(20_000))
    tracemalloc.start()
    try:
        feed(range(20_000, 40_000))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 40_000 - keys == space.evictions
    assert grown < 1_000_000


@pytest.mark.parametrize("is_frozen", [False, True])
def test_g8_a_mail_of_a_rule_that_is_gone_is_still_sent(tmp_path: Path, *, is_frozen: bool) -> None:
    """It was raised while the rule was there, tried or not; a reload takes back only addresses."""

    async def run() -> list[bytes]:
        state = await State.open(tmp_path / "state")
        await state.load()
        recorder = Recorder()
        email = SimpleNamespace(sender="a@example.com", join_older_than=0.0, max_per_hour=0)
        delivery = Delivery(state.outbox, recorder, email, host="web1", timezone=UTC)
        await state.commit(Change(notices=[notice(1, rule="gone")]))
        if is_frozen:
            recorder.is_away = True
            await delivery.step()
            recorder.is_away = False
        frozen = await state.outbox.payload("<id-1@web1>")
        delivery.reconfigure(email, recorder)
        await delivery.retain_recipients({"other": ["ops@example.com"]})
        while not await delivery.step():
            pass
        await state.close()
        assert is_frozen == (frozen is not None)
        return recorder.sent

    [payload] = asyncio.run(run())
    assert b"id-1" in payload


def test_g11_a_position_not_committed_yet_outlives_its_glob(tmp_path: Path) -> None:
    """Whoever comes back before the next commit goes on where it was."""
    log = tmp_path / "a.log"
    append(log, "one", "two")
    reading = Reading(source(paths=(str(log),), start_at="beginning"), source(name="other"))

    async def run() -> list[bytes]:
        await reading.tailer.scan()
        await reading.read_all()
        reading.tailer.reconfigure(reading.sources[1:])
        append(log, "three")
        reading.tailer.reconfigure(reading.sources)
        await reading.settle()
        await reading.tailer.close()
        return reading.lines

    assert [b"one", b"two", b"three"] == asyncio.run(run())


def test_s12_a_loop_of_symlinks_ends(tmp_path: Path) -> None:
    """`**` goes into no link, and a link to itself is no file."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "back").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self.log").symlink_to("self.log")
    append(tmp_path / "a" / "b" / "real.log", "x")

    async def run() -> list[str]:
        tailer = Tailer([source(paths=(f"{tmp_path}/**/*.log",))], [])
        await tailer.open()
        paths = [file.path for file in tailer.files()]
        await tailer.close()
        return paths

    assert [f"{tmp_path}/a/b/real.log"] == asyncio.run(run())


def test_s12_nobody_descends_for_ever(tmp_path: Path) -> None:
    """`**` goes 32 levels deep: a mount may lead back to where it is mounted."""
    deep = tmp_path / "/".join("x" * 40)
    deep.mkdir(parents=True)
    for directory in (tmp_path / "x" / "x", deep):
        append(directory / "a.log", "x")

    async def run() -> list[str]:
        tailer = Tailer([source(paths=(f"{tmp_path}/**/*.log",))], [])
        await tailer.open()
        paths = [file.path for file in tailer.files()]
        await tailer.close()
        return paths

    assert [f"{tmp_path}/x/x/a.log"] == asyncio.run(run())


def test_s19_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    """A gigabyte of zeros in a megabyte is read in pieces, as far as anybody asks."""
    bomb = tmp_path / "app.log.1.gz"
    piece = gzip.compress(bytes(16 << 20))
    bomb.write_bytes(piece * 16)
    content = open_content(str(bomb))
    tracemalloc.start()
    try:
        data = content.read(1024, 200 << 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        content.close()

    assert bytes(1024) == data
    assert peak < 16 << 20


def test_c18_a_restart_inside_the_cooldown_goes_on_counting(tmp_path: Path) -> None:
    """What happens after a kill -9 is hidden and counted as if nothing had been."""
    settings = f"""
[source.app]
paths = ["{tmp_path}/app.log"]
start_at = "beginning"
timezone = "UTC"

[rule.error]
match = 'ERROR'
more_than = 0
within = "1m"
cooldown = "1h"
"""
    log = tmp_path / "app.log"

    def line(seconds: float) -> str:
        return f"{datetime.fromtimestamp(base + seconds, UTC).isoformat()} ERROR"

    base = time.time() - 4000
    with mailbox() as box, alertd(tmp_path, settings, box.port, 'join_older_than = "0s"') as daemon:
        append(log, line(0), line(1))
        daemon.start()
        box.wait_for(1)
        daemon.wait_until_read(log)
        daemon.kill()
        append(log, *(line(second) for second in range(2, 12)))
        daemon.start()
        daemon.wait_until_read(log)
        assert 1 == len(box.mails)
        append(log, line(3601))
        second = box.wait_for(2)[1]

    assert "12 events since the last alert" in " ".join(text_of(second).split())
