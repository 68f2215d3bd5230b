"""
From when on something has been watched: the time of the first line that was looked at.

Lines before the first one with a time (a banner, the rest of a stack trace) take that time, so it
is looked for in a few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from alertd.core.records import learn_header

if TYPE_CHECKING:
    from alertd.core.events import Batch
    from alertd.core.framing import Framing
    from alertd.core.matching import Matcher

FIRST_LINES = 100
"""Lines in which the first time of a file is looked for."""


def first_time(matcher: Matcher, batch: Batch, framing: Framing) -> float | None:
    """
    Find the first time in a batch's first lines.

    Args:
        matcher: Of the batch's source.
        batch: What has been read of a file first.
        framing: What the file has taught before; it stays as it is.

    Returns:
        Unix seconds, ``None`` if none of them has a time.
    """
    framing = msgspec.structs.replace(framing)
    lines = batch.data.split(b"\n", FIRST_LINES)[:FIRST_LINES]
    if batch.offset == 0:
        learn_header(matcher.source, framing, lines[0])
    times = (matcher.explain(line, framing, batch.read_at).time for line in lines)
    return next((time for time in times if time is not None), None)
