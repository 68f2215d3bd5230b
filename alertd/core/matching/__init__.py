"""
A batch of bytes → the lines in it that rules are looking for.

All the speed is here.  Hyperscan points at the lines that may match; only those are decoded, split
into fields and tested exactly, and only those that match have their time read.  There is no state
but the file's framing, and however the bytes of a file are cut into batches, the matches are the
same.

``plan`` says what is looked for, ``turn`` takes a batch through, ``rows`` knows what of a csv is
more than a line, ``confirming`` holds the exact tests, and ``matcher`` ties them to a source.

Trap: whatever is skipped to be fast must be skipped for a reason that holds for every line.  The
tests hold this package against a slow one that tests every rule on every line.
"""

from __future__ import annotations

from alertd.core.matching.explaining import Explanation, Verdict
from alertd.core.matching.matcher import Matcher
from alertd.core.matching.outcome import Counters, Matched
from alertd.core.matching.plan import Strategy
from alertd.core.matching.turn import MOST_HITS

__all__ = [
    "MOST_HITS",
    "Counters",
    "Explanation",
    "Matched",
    "Matcher",
    "Strategy",
    "Verdict",
]
