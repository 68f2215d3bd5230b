"""
Run a program and see what it took.

Trap: the kernel's figure for a child's peak memory begins with that of the process that forked it,
so a small one, ``time``, forks where it is installed.  And a wait with a deadline polls, in steps
of up to 50 ms: here a timer kills, and the wait just waits.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LONGEST = 300.0
ENVIRONMENT = {**os.environ, "LC_ALL": "C", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True)
class Done:
    """
    What a program took.

    Attributes:
        seconds: From its start to its end.
        peak_mib: Its memory at the highest.
        output: What it printed.
    """

    seconds: float
    peak_mib: float
    output: bytes


def timed(command: Sequence[str | Path], directory: Path, *, given: bytes = b"") -> Done:
    """
    Run a program to its end.

    Args:
        command: The program and its arguments.
        directory: Where it runs and may write.
        given: What it reads on its standard input.

    Raises:
        RuntimeError: It took longer than ``LONGEST``, or failed.
    """
    peak, output, errors, standard_input = (
        directory / name for name in ("peak", "output", "errors", "input")
    )
    standard_input.write_bytes(given)
    launcher = shutil.which("time")
    wrapped = [launcher, "-q", "-f", "%M", "-o", peak, *command] if launcher else [*command]
    with (
        standard_input.open("rb") as source,
        output.open("wb") as sink,
        errors.open("wb") as complaints,
    ):
        started = time.perf_counter()
        process = subprocess.Popen(
            wrapped,
            stdin=source,
            stdout=sink,
            stderr=complaints,
            cwd=directory,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        killer = threading.Timer(LONGEST, os.killpg, (process.pid, signal.SIGKILL))
        killer.start()
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - started
        killer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    # 1 is what grep and its kind say when nothing matches.
    if process.returncode not in {0, 1}:
        said = errors.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{command[0]} failed after {took:.0f} s:\n{said}")
    kib = int(peak.read_text().split()[-1]) if launcher else usage.ru_maxrss
    return Done(took, kib / 1024, output.read_bytes())
