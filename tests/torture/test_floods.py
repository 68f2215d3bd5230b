"""Torture, floods: much at once delays nobody else, and every number stays exact."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from living import EACH_ERROR, Alertd, Mailbox, alertd, append, mailbox, text_of
from torture import floods

from alertd.core.pipeline import Pipeline
from alertd.core.rules import Pattern, Rule, Source
from alertd.matchers import compile_matchers
from alertd.state import State
from alertd.tail import Tailer
from alertd.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKLOG_BYTES = 256 << 20
RULES = """
[source.app]
paths = ["{logs}/*.log"]
start_at = "beginning"
timezone = "UTC"

[rule.error]
match = 'ERROR'
more_than = 0
within = "1m"
cooldown = "15m"
"""


@pytest.fixture
def daemon(tmp_path: Path, box: Mailbox) -> Iterator[Alertd]:
    """A daemon that rings on each error, at most every 15 minutes."""
    (tmp_path / "logs").mkdir()
    with alertd(tmp_path, RULES.format(logs=tmp_path / "logs"), box.port) as daemon:
        yield daemon


def peak_mib(pid: int) -> float:
    """Return the most memory that a process has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def test_f1_f7_a_backlog_takes_no_memory_and_delays_no_other_file(
    daemon: Alertd, box: Mailbox, tmp_path: Path
) -> None:
    """While a quarter of a gigabyte is caught up with, a quiet file's alert comes promptly."""
    now = datetime.now(UTC).isoformat()
    block = f"{now} INFO nothing worth a word, but it has to be read\n".encode() * 20_000
    backlog, quiet = tmp_path / "logs" / "backlog.log", tmp_path / "logs" / "quiet.log"
    with backlog.open("wb") as file:
        for _ in range(BACKLOG_BYTES // len(block) + 1):
            file.write(block)
    quiet.touch()
    daemon.start()
    append(quiet, f"{datetime.now(UTC).isoformat()} ERROR quiet")
    began = time.monotonic()
    [mail] = box.wait_for(1)
    waited = time.monotonic() - began
    daemon.wait_until_read(backlog, quiet)

    assert "quiet.log" in text_of(mail)
    assert waited < 5.0
    assert peak_mib(daemon.pid) < 256


def test_f6_when_every_line_matches_the_next_mail_says_exactly_what_was_hidden(
    daemon: Alertd, box: Mailbox, tmp_path: Path
) -> None:
    """100,000 events in 14 minutes are one mail; the one after the cooldown counts them all."""
    log = tmp_path / "logs" / "app.log"
    start = datetime.now(UTC) - timedelta(hours=2)
    lines = [
        f"{(start + timedelta(milliseconds=8 * number)).isoformat()} ERROR {number}"
        for number in range(100_000)
    ]
    log.touch()
    daemon.start()
    append(log, *lines, f"{(start + timedelta(minutes=16)).isoformat()} ERROR last")
    daemon.wait_until_read(log, within=40.0)
    status = daemon.status()
    told = "\n".join(text_of(mail) for mail in box.mails)

    assert 2 == len(status["last_alerts"])
    assert all(alert["id"] in told for alert in status["last_alerts"])
    # The second one is that of the 100,001st line, and the first one's line was told already.
    assert "100,000" in told


def test_f1_a_backlog_is_caught_up_with_across_a_kill(tmp_path: Path) -> None:
    """``floods.py --gigabytes 10`` does it in full; every alert comes, and none of them twice."""
    assert [] == failed(floods.backlog(tmp_path, 100_000_000))


def test_f2_a_flood_of_keys_is_told_once(tmp_path: Path) -> None:
    """``floods.py --keys 1000000``: exactly those beyond `max_keys` are forgotten."""
    assert [] == failed(floods.many_keys(tmp_path, 20_000))


def test_f3_many_files_are_followed_with_few_descriptors(tmp_path: Path) -> None:
    """``floods.py --files 10000``; here more files than a daemon with this limit may open."""
    verdicts = floods.many_files(tmp_path, 600, seconds=1.0, most=256)
    descriptors = int(next(what for what in verdicts if "descriptors" in what).split()[0])

    assert [] == failed(verdicts)
    assert 100 < descriptors < 256


def test_m19_a_thousand_mails_go_in_order_over_one_connection(tmp_path: Path) -> None:
    """``floods.py --mails 10000``, which also says how fast that is."""
    assert [] == failed(floods.many_mails(tmp_path, 1_000))


def failed(verdicts: floods.Verdicts) -> list[str]:
    """Return what is not as it must be, but for what other programs on the machine decide."""
    by_the_clock = ("a second", "while idle", "after")
    return [
        what
        for what, holds in verdicts.items()
        if not holds and not any(words in what for words in by_the_clock)
    ]


BURST = 5_000
"""Lines; the catalogue has 100,000, and a step of the loop is as long with fewer."""
RULES_OF_BURST = 50


def test_f12_a_burst_that_fifty_rules_want_holds_up_no_other_task(tmp_path: Path) -> None:
    """Each line matches every rule; between two steps of the loop others get their turn."""
    log = tmp_path / "app.log"
    now = time.time()
    log.write_bytes(b"ERROR everything at once\n" * BURST)
    source = Source("app", (str(log),), UTC, timestamp="none", start_at="beginning")
    rules = [
        Rule(f"r{number}", ("app",), (Pattern("ERROR"),), 10, 60.0, 900.0, ("a@example.com",))
        for number in range(RULES_OF_BURST)
    ]

    async def run() -> tuple[list[float], int, int]:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [])
        pipeline = Pipeline([source], rules, compile_matchers([source], rules))
        watch = Watch(
            tailer,
            pipeline,
            state,
            {"app": source},
            on_alerts=lambda: None,
            on_trouble=lambda _: None,
            clock=lambda: now,
        )
        await tailer.open()
        [file] = tailer.files()
        lags: list[float] = []

        async def beat() -> None:
            while file.is_behind or pipeline.waiting or pipeline.uncommitted:
                began = time.thread_time()
                await asyncio.sleep(0)
                lags.append(time.thread_time() - began)

        loops = [asyncio.create_task(watch.run()), asyncio.create_task(tailer.run())]
        async with asyncio.timeout(50):
            await beat()
        watch.stop()
        await loops[0]
        loops[1].cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        raised = len(await state.outbox.queued())
        await tailer.close()
        await state.close()
        return sorted(lags), file.offset, raised

    lags, offset, raised = asyncio.run(run())

    assert log.stat().st_size == offset
    assert RULES_OF_BURST == raised
    assert len(lags) > 100
    # In the processor time of this thread, because others may have the processor meanwhile.
    assert lags[len(lags) * 99 // 100] < 0.2


def test_f8_a_storm_that_overflows_inotify_loses_nothing(tmp_path: Path) -> None:
    """Far more renames than the kernel's queue holds: what it dropped is found by looking."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    logs = tmp_path / "logs"
    logs.mkdir()
    log = logs / "app.log"
    log.touch()
    with (
        mailbox() as box,
        alertd(tmp_path, EACH_ERROR.format(logs=logs), box.port, "max_per_hour = 0") as daemon,
    ):
        daemon.start()
        os.kill(daemon.pid, signal.SIGSTOP)
        other = logs / "other"
        other.touch()
        names = (logs / "even", logs / "odd")
        other.rename(names[0])
        for number in range(most // 2 + 100):
            names[number % 2].rename(names[1 - number % 2])
        for number in range(20):
            append(log, f"ERROR {number}")
            log.rename(logs / f"app.log.{number}")
            log.touch()
        append(log, "ERROR 20")
        os.kill(daemon.pid, signal.SIGCONT)
        daemon.wait_until("all told", lambda status: status["rules"]["error"]["keys"] == 21)
        status = daemon.wait_until_read(log)

    assert 21 == status["rules"]["error"]["keys"]
    assert [] == status["problems"]
