"""The daemon keeps its loops going, and knows when to give up."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from alertd import daemon
from alertd.daemon import Daemon, RepeatedFailureError, supervised
from alertd.state import StateError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a failed loop again at once."""
    monkeypatch.setattr(daemon, "FIRST_PAUSE_SECONDS", 0.0)


class Loop:
    """A loop that fails so many times and then ends."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.starts = 0

    async def run(self) -> None:
        """Fail, or end."""
        self.starts += 1
        if self.starts <= self.failures:
            raise ValueError(f"failure {self.starts}")


def test_a_failed_loop_is_started_again() -> None:
    """Its siblings never notice."""
    loop = Loop(failures=4)
    asyncio.run(supervised("loop", loop.run))

    assert 5 == loop.starts


def test_a_loop_that_fails_again_and_again_ends_the_process() -> None:
    """Torture P9: five times within a minute; a new process may do better."""
    loop = Loop(failures=100)

    with pytest.raises(RepeatedFailureError, match="the loop failed 5 times in a minute"):
        asyncio.run(supervised("loop", loop.run))
    assert 5 == loop.starts


def test_a_state_that_is_gone_ends_the_process_at_once() -> None:
    """Torture C14: starting the loop again would not bring it back, and 74 says what is wrong."""

    async def run() -> None:
        raise StateError("state removed", exit_code=os.EX_IOERR)

    with pytest.raises(StateError, match="state removed"):
        asyncio.run(supervised("loop", run))


@pytest.mark.parametrize(
    ("moves", "is_stuck", "feeds"), [(1, False, True), (0, False, False), (1, True, False)]
)
def test_p7_the_watchdog_is_fed_only_while_watch_and_delivery_get_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int, *, is_stuck: bool, feeds: bool
) -> None:
    """A reader or a committer whose turns do not end, or a stuck sender: systemd may kill."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    subject = Daemon(SimpleNamespace(rules=()), {"WATCHDOG_USEC": "2000"})  # type: ignore[arg-type]
    watch = SimpleNamespace(turns=0)
    subject._parts = SimpleNamespace(  # type: ignore[assignment]
        watch=watch,
        delivery=SimpleNamespace(is_stuck=is_stuck),
        tailer=SimpleNamespace(files=list),
    )

    async def run(listening: socket.socket) -> list[str]:
        reporting = asyncio.create_task(subject._report())
        said: list[str] = []
        while said.count("STATUS") < 10:
            message = await asyncio.wait_for(
                asyncio.get_running_loop().sock_recv(listening, 4096), 5
            )
            said.append(message.decode().partition("=")[0])
            watch.turns += moves
        reporting.cancel()
        return said

    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(0)
        said = asyncio.run(run(listening))

    # The first turn has ended before anything hangs.
    assert feeds == (said.count("WATCHDOG") > 1)


def test_a_reload_that_hangs_is_given_up_and_the_next_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every await on the outside world has a deadline, a configuration on a dead disk too."""
    monkeypatch.setattr(daemon, "RELOAD_AT_MOST", 0.01)
    monkeypatch.setattr(daemon, "RELOAD_SECONDS", 0.0)
    subject = Daemon(SimpleNamespace(rules=()), {})  # type: ignore[arg-type]
    begun: asyncio.Queue[str] = asyncio.Queue()
    ways = iter(("hangs", "works"))

    async def reload() -> dict[str, object]:
        way = next(ways)
        await begun.put(way)
        if way == "hangs":
            await asyncio.Event().wait()
        return {}

    async def run() -> list[str]:
        monkeypatch.setattr(subject, "_reload", reload)
        asking = asyncio.create_task(subject._reload_when_asked())
        seen = []
        async with asyncio.timeout(5):
            for _ in range(2):
                subject._reload_asked.set()
                seen.append(await begun.get())
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return seen

    with capture_logs() as logs:
        assert ["hangs", "works"] == asyncio.run(run())
    assert ["reload given up"] == [entry["event"] for entry in logs]
