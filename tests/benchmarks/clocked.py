"""
``alertd replay``, which also says how long it read.

    python clocked.py FILE replay [--config FILE] …

Writes to FILE the seconds from the first read to when the last alert has been printed.  A start of
a third of a second, measured apart and subtracted, would drown in its own noise what is to be
measured.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from alertd import cli
from alertd.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alertd.core.events import Alert

run = Replay.run


def clocked(self: Replay) -> Iterator[list[Alert]]:
    """Read everything, and write down what it took."""
    started = time.perf_counter()
    yield from run(self)
    Path(sys.argv[1]).write_text(str(time.perf_counter() - started))


if __name__ == "__main__":
    Replay.run = clocked  # type: ignore[method-assign]
    sys.exit(cli.main(sys.argv[2:]))
