"""A daemon that waits for lines: what did not come rings, and what it could not see does not."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from core.detectors.oracles import Event, silences
from living import alertd, append, mailbox

from alertd import config
from alertd.cli import main
from alertd.core.detectors.detector import alert_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TICKS = 100
"""In a second: lines are written at full ones, as brute force lives through them."""

EVERY_MAIL = 'join_older_than = "0s"\nmax_per_hour = 0'
RULES = """
[source.app]
paths = ["{log}"]
timezone = "UTC"
start_at = "beginning"

[rule.any]
kind = "absence"
match = ' beat '
within = "{within}"
cooldown = "1s"

[rule.each]
kind = "absence"
match = ' beat (?P<key>\\w+)'
group_by = "key"
fewer_than = 2
within = "{within}"
cooldown = "0s"

[rule.expected]
kind = "absence"
match = ' beat (?P<key>\\w+)'
group_by = "key"
expect = ["x", "y", "never"]
within = "{within}"
cooldown = "0s"
"""


def now() -> int:
    """Tell the time in ticks."""
    return int(time.time() * TICKS)


def write(log: Path, ticks: float, what: str) -> None:
    """Append a line of a time."""
    append(log, f"{datetime.fromtimestamp(ticks / TICKS, UTC).isoformat()} {what}")


def pause(seconds: float) -> None:
    """Be a program that has nothing to log."""
    threading.Event().wait(seconds)


def wait_for(what: str, holds: Callable[[], bool], within: float = 30.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"never so: {what}"
        pause(0.02)


@pytest.mark.timeout(120)
def test_live_with_kills_and_replayed_it_misses_what_brute_force_misses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In real time: the clock lets deadlines pass, and kill -9 while nothing comes."""
    chance = random.Random(11)
    log = tmp_path / "app.log"
    since = now()
    write(log, since, "start")
    happened = []
    with (
        mailbox() as box,
        alertd(tmp_path, RULES.format(log=log, within="500ms"), box.port, EVERY_MAIL) as daemon,
    ):
        daemon.start()
        for number in range(30):
            pause(chance.choice((0.0, 0.1, 0.1, 0.3, 0.8)))
            event = Event(now(), chance.choice("xyz"), "")
            write(log, event.time, f"beat {event.key}")
            happened.append(event)
            if number % 10 == 9:
                daemon.kill()
                daemon.start()
        end = now() + 1
        write(log, end, "end")
        capsys.readouterr()
        assert 0 == main(["replay", "--config", str(daemon.config), "--json"])
        records = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
        replayed = {record["id"] for record in records if "resolves" not in record}
        ended = {record["resolves"] for record in records if "resolves" in record}
        wait_for("all mailed", lambda: replayed <= box.alerts())
        wait_for("all ends mailed", lambda: ended <= box.resolutions().keys())
        daemon.stop()
        live = box.alerts()

        def missed(until: int) -> set[str]:
            """List the alerts that brute force finds before a time."""
            found = set()
            for rule in config.load(daemon.config, {}).rules:
                within, cooldown = round(rule.within * TICKS), round(rule.cooldown * TICKS)
                its = replace(rule, within=within, cooldown=cooldown)
                for one in silences(its, happened, since, until):
                    key = (one.key,) if rule.group_by else ()
                    found.add(alert_id(rule.name, key, one.time / TICKS, 0))
            return found

        assert missed(end) == replayed
        assert len(replayed) > 15
        # Live, time passes beyond the last line.
        assert live <= missed(now() + 100 * TICKS)


@pytest.mark.timeout(120)
def test_what_was_written_while_it_stood_still_is_not_missed(tmp_path: Path) -> None:
    """A process that is stopped, a machine that sleeps: it reads before it judges."""
    log = tmp_path / "app.log"
    beats = []

    def beat(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            beats.append(now())
            write(log, beats[-1], "beat x")
            pause(0.1)

    write(log, now(), "beat x")
    settings = RULES.format(log=log, within="3s").partition("[rule.each]")[0]
    with mailbox() as box, alertd(tmp_path, settings, box.port, EVERY_MAIL) as daemon:
        daemon.start()
        beat(0.5)
        os.kill(daemon.pid, signal.SIGSTOP)
        beat(6.5)
        os.kill(daemon.pid, signal.SIGCONT)
        beat(1.5)
        wait_for("a mail", lambda: bool(box.alerts()))
        daemon.stop()

        assert {alert_id("any", (), beats[-1] / TICKS + 3.0, 0)} == box.alerts()


@pytest.mark.timeout(120)
def test_what_was_written_while_it_was_down_is_not_missed(tmp_path: Path) -> None:
    """Downtime is no silence; a silence that went on all the while rings, at its own time."""
    log = tmp_path / "app.log"
    write(log, now(), "beat x")
    settings = RULES.format(log=log, within="2s").partition("[rule.each]")[0]
    with mailbox() as box, alertd(tmp_path, settings, box.port, EVERY_MAIL) as daemon:
        daemon.start()
        daemon.wait_until_read(log)
        daemon.kill()
        for _ in range(25):
            last = now()
            write(log, last, "beat x")
            pause(0.2)
        daemon.start()
        daemon.wait_until_read(log)
        daemon.kill()
        pause(2.5)
        daemon.start()
        wait_for("a mail", lambda: bool(box.alerts()))
        daemon.stop()

        assert {alert_id("any", (), last / TICKS + 2.0, 0)} == box.alerts()
