"""Torture, floods: much at once delays nobody else, and every number stays exact."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from living import Alertd, Mailbox, alertd, append, text_of

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
