"""
An alertd that kills itself at a point of its own work, as ``kill -9`` would.

    python tests/torture/crashing.py POINT TIMES run --config alertd.toml

Ends when it passes ``POINT`` (see ``points``) for the TIMES-th time; what follows are alertd's own
arguments.  If a mail has been given to the server then, and is not marked as sent, it says
``IN_THE_BALANCE`` before it ends.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from torture.points import POINTS, passing

from alertd.cli import main

IN_THE_BALANCE = "killed while a mail was in the balance"


def run(point: str, times: int, arguments: list[str]) -> int:
    """Run alertd up to that point."""
    left = times
    is_given = False

    def reached(name: str) -> None:
        nonlocal left, is_given
        if name in {"after_dot", "after_sent_commit"}:
            is_given = name == "after_dot"
        if name == point:
            left -= 1
            if left == 0:
                if is_given:
                    os.write(2, f"{IN_THE_BALANCE}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)

    assert point in POINTS, point
    with passing(reached):
        return main(arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
