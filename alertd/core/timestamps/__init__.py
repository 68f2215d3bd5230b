"""
When a line says that it happened.

``forms`` knows how timestamps are spelled, ``layout`` how a user's ``timestamp_format`` is, and
``instants`` which moment such a spelling means; ``reader`` puts them together and makes them fast.
Nothing here reads a clock: what a date without a year means depends on the reference it is given.

Trap: a wrong reading is worse than none.  A line without a usable time takes the time of the line
before it; one with a wrong time moves a window.  So what can be read in two ways is not read.
"""

from __future__ import annotations

from alertd.core.timestamps.forms import is_ambiguous
from alertd.core.timestamps.instants import Stamp
from alertd.core.timestamps.layout import check_format
from alertd.core.timestamps.reader import Time, TimestampReader

__all__ = ["Stamp", "Time", "TimestampReader", "check_format", "is_ambiguous"]
