"""
What a daemon costs while it does nothing, how fast it rings, and what a million keys cost.

    python tests/benchmarks/footprint.py [--seconds 20] [--appends 200] [--keys 1000000]

Needs the extra ``test``.  Prints a table; asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from living import Alertd, Mailbox, alertd, append, mailbox

RULE = """
[source.app]
paths = ["{log}"]

[rule.every]
match = 'number (?P<number>\\d+) rings'
group_by = "number"
more_than = 0
within = "1s"

[rule.keys]
match = 'key (?P<key>\\S+) seen'
group_by = "key"
more_than = 10
within = "1h"
"""
TICKS = os.sysconf("SC_CLK_TCK")


def memory(pid: int | str, name: str) -> float:
    """Return a process's memory in MiB: ``VmRSS`` now, ``VmHWM`` at its highest."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def idle(daemon: Alertd, seconds: float) -> None:
    """Print what it costs to have a daemon."""
    time.sleep(2)
    before = cpu_seconds(daemon.pid)
    time.sleep(seconds)
    used = cpu_seconds(daemon.pid) - before
    print(f"idle memory        {memory(daemon.pid, 'VmRSS'):8.1f} MiB")
    print(f"idle CPU           {100 * used / seconds:8.2f} % of a core, over {seconds:.0f} s")


def latency(log: Path, box: Mailbox, appends: int) -> None:
    """Print how long it takes from the append to the mail that the server has accepted."""
    took = []
    for number in range(appends):
        line = f"{datetime.now(UTC).isoformat()} number {number} rings"
        started = time.perf_counter()
        append(log, line)
        box.wait_for(number + 1)
        took.append(1000 * (time.perf_counter() - started))
        time.sleep(0.02)
    took.sort()
    print(
        f"append to mail     {statistics.median(took):8.1f} ms median, "
        f"{took[len(took) * 99 // 100]:.1f} ms at the 99th percentile of {appends}"
    )


def many_keys(daemon: Alertd, log: Path, keys: int) -> None:
    """Print the most memory that a flood of distinct keys takes, at the default ``max_keys``."""
    started = time.perf_counter()
    for first in range(0, keys, 10_000):
        now = datetime.now(UTC).isoformat()
        append(log, *(f"{now} key {first + n:09} seen" for n in range(min(10_000, keys - first))))
    daemon.wait_until_read(log, within=300)
    took = time.perf_counter() - started
    print(
        f"{keys:,} keys     {memory(daemon.pid, 'VmHWM'):8.1f} MiB at the highest, "
        f"{keys / took:,.0f} lines/s while they are written"
    )


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--appends", type=int, default=200)
    parser.add_argument("--keys", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, mailbox() as box:
        log = Path(directory) / "app.log"
        log.touch()
        with alertd(Path(directory), RULE.format(log=log), box.port, "max_per_hour = 0") as daemon:
            started = time.perf_counter()
            daemon.start()
            print(f"start to ready     {1000 * (time.perf_counter() - started):8.0f} ms")
            idle(daemon, arguments.seconds)
            latency(log, box, arguments.appends)
            many_keys(daemon, log, arguments.keys)


if __name__ == "__main__":
    main()
