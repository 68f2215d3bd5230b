"""What a batch had for the rules, and what went less than well, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from alertd.core.events import Match


class Counters(msgspec.Struct):
    """
    What went less than well, in numbers of lines.

    Attributes:
        undecided: A regex was stopped; counted once a rule.
        unparsable: Not in the source's format; only candidates are looked at.
        without_key: Matched, but lacks a field that the rule is keyed by; by rule.
        clamped: The time was too far ahead of the clock.
        untimed: Neither the line nor any before it has a time.
        cut: Longer than ``max_line``.
        undecodable: Matched, and contains bytes that are not text.
    """

    undecided: int = 0
    unparsable: int = 0
    without_key: dict[str, int] = msgspec.field(default_factory=dict)
    clamped: int = 0
    untimed: int = 0
    cut: int = 0
    undecodable: int = 0


class Matched(msgspec.Struct):
    """
    What a batch had for the rules.

    Attributes:
        matches: In the order of their lines, then of the rules.
        consumed: Bytes of the batch that are done with; the rest is to be handed over again.
        counters: What went less than well.
    """

    matches: list[Match]
    consumed: int
    counters: Counters
