"""Torture, lifecycle: signals at bad moments lose nothing and stop it in time."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from living import EACH_ERROR, WITHIN, Alertd, Mailbox, alertd, append

from alertd.daemon import RELOAD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def daemon(tmp_path: Path, box: Mailbox) -> Iterator[Alertd]:
    """A daemon that tells every error once."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "app.log").touch()
    with alertd(
        tmp_path, EACH_ERROR.format(logs=tmp_path / "logs"), box.port, "max_per_hour = 20"
    ) as daemon:
        yield daemon


def settled(daemon: Alertd, log: Path, alerts: int) -> int:
    """Wait until all is read; return how many alerts have been raised."""
    size = log.stat().st_size
    status = daemon.wait_until(
        "all read",
        lambda status: (
            status["is_caught_up"]
            and [size] == [file["offset"] for file in status["sources"]["app"]["files"]]
        ),
    )
    keys: int = status["rules"]["error"]["keys"]
    assert alerts == keys
    return keys


def test_p2_sigterm_under_load_stops_in_time_and_loses_nothing(
    daemon: Alertd, tmp_path: Path
) -> None:
    """What was read is committed, what was not is read by the next."""
    log = tmp_path / "logs" / "app.log"
    daemon.start()
    ended = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not ended.is_set():
            append(log, *(f"ERROR {number}" for number in range(written, written + 50)))
            written += 50
            ended.wait(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    daemon.wait_until("at work", lambda status: status["rules"]["error"]["keys"] > 200)
    began = time.monotonic()
    code = daemon.stop()
    took = time.monotonic() - began
    ended.set()
    writer.join()
    daemon.start()

    assert 0 == code
    assert took < 15
    assert written > 200
    assert settled(daemon, log, written) == written


def test_p4_a_second_sigterm_ends_it_at_once(daemon: Alertd, tmp_path: Path) -> None:
    """Whatever the first one waits for; what was committed is there again."""
    log = tmp_path / "logs" / "app.log"
    append(log, "ERROR 1", "ERROR 2")
    daemon.start()
    settled(daemon, log, 2)
    # The delivery will wait for a server that never greets.
    assert daemon._process is not None
    os.kill(daemon.pid, signal.SIGSTOP)
    os.kill(daemon.pid, signal.SIGTERM)
    os.kill(daemon.pid, signal.SIGINT)
    os.kill(daemon.pid, signal.SIGCONT)
    began = time.monotonic()
    code = daemon._process.wait(WITHIN)
    took = time.monotonic() - began
    daemon.start()

    assert 128 + signal.SIGTERM == code
    assert took < 2
    settled(daemon, log, 2)


def test_p5_a_thousand_hang_ups_are_few_reloads(daemon: Alertd, tmp_path: Path) -> None:
    """Those that come within a second are one more; no line is lost or told twice."""
    log = tmp_path / "logs" / "app.log"
    daemon.start()
    deadline = time.monotonic() + WITHIN
    sent = 0
    while len(reloads(daemon)) < 3 and time.monotonic() < deadline:
        if sent % 100 == 0:
            append(log, f"ERROR {sent}")
        daemon.hang_up()
        sent += 1
        threading.Event().wait(0.001)
    settled(daemon, log, (sent + 99) // 100)
    descriptors = len(os.listdir(f"/proc/{daemon.pid}/fd"))  # noqa: PTH208
    count = len(reloads(daemon))
    daemon.hang_up()
    daemon.wait_until("reloaded", lambda _: len(reloads(daemon)) > count)
    times = reloads(daemon)

    assert len(times) > 3
    assert all(later - earlier >= RELOAD_SECONDS for earlier, later in pairwise(times))
    assert sent > 100
    assert len(os.listdir(f"/proc/{daemon.pid}/fd")) <= descriptors + 3  # noqa: PTH208


def reloads(daemon: Alertd) -> list[float]:
    """Return when the daemon said that it has reloaded."""
    said = re.findall(r"timestamp=(\S+) \S+ event=reloaded", daemon.log)
    return [datetime.fromisoformat(time).timestamp() for time in said]


def test_p6_a_hang_up_while_it_starts_does_not_end_it(daemon: Alertd, tmp_path: Path) -> None:
    """From the first thing that it does on: it is kept until there is somebody to reload."""
    log = tmp_path / "logs" / "app.log"
    append(log, "ERROR 1")
    hang_up = 1 << signal.SIGHUP - 1
    is_kept = False
    for _ in range(5):  # on a busy machine the moment may be over before anybody looks
        daemon.start(wait=False)
        deadline = time.monotonic() + WITHIN
        # Alone, because for an instant a process blocks all signals whenever it starts a thread.
        while not (is_kept := mask(daemon.pid, "SigBlk") == hang_up):
            assert time.monotonic() < deadline
            if mask(daemon.pid, "SigCgt") & hang_up:
                break
            threading.Event().wait(0.0005)
        if is_kept:
            break
        daemon.kill()
    assert is_kept
    daemon.hang_up()
    daemon.notified("READY=1")
    daemon.wait_until("reloaded", lambda _: bool(reloads(daemon)))

    settled(daemon, log, 1)
    assert "stopped" not in daemon.log


def mask(pid: int, name: str) -> int:
    """Return one of a process's signal masks."""
    found = re.search(rf"{name}:\s+([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1], 16)
