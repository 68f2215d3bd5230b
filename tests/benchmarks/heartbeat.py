"""
``alertd run``, which also says how long its event loop stood still.

    python heartbeat.py FILE run [--config FILE] …

Beats every few milliseconds from when it is ready, and writes to FILE, whenever it has got worse,
the longest pause between two beats in milliseconds: by the clock, and in computing time of the main
thread.  On a machine that others use as well the former also holds their share; the latter lacks
what the loop waited for itself, in a system call.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from alertd import cli, systemd
from alertd.daemon import Daemon

BEAT_SECONDS = 0.005

run = Daemon.run
ready = systemd.ready


async def beat(report: Path, is_ready: asyncio.Event) -> None:
    """Look at the clocks as often as the loop lets us."""
    await is_ready.wait()
    await asyncio.sleep(0)
    worst = [0.0, 0.0]
    while True:
        before = time.perf_counter(), time.thread_time()
        await asyncio.sleep(BEAT_SECONDS)
        pause = time.perf_counter() - before[0] - BEAT_SECONDS, time.thread_time() - before[1]
        if pause[0] > worst[0] or pause[1] > worst[1]:
            worst = [max(pair) for pair in zip(worst, pause, strict=True)]
            report.write_text(f"{1000 * worst[0]:.1f} {1000 * worst[1]:.1f}")  # noqa: ASYNC240


async def beating(self: Daemon) -> None:
    """Run a daemon beside the heart."""
    is_ready = asyncio.Event()

    def ready_now() -> bool:
        is_ready.set()
        return ready()

    systemd.ready = ready_now
    heart = asyncio.create_task(beat(Path(sys.argv[1]), is_ready))
    try:
        await run(self)
    finally:
        heart.cancel()


if __name__ == "__main__":
    Daemon.run = beating  # type: ignore[method-assign]
    sys.exit(cli.main(sys.argv[2:]))
