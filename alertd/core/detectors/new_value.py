"""
A value that was never seen before.

What a key teaches from its first event on for as long as ``learn`` says is only remembered.  Values
are remembered by their digests, ``max_values`` of them; beyond it the one seen longest ago goes, so
that what is common stays known whatever somebody writes into the log.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

from msgspec import msgpack

from alertd.core.detectors.detector import NEW, Detector, Frozen
from alertd.core.escape import label, visible
from alertd.core.windows import HALF_TICK
from alertd.core.wording import exactly

if TYPE_CHECKING:
    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

_DIGEST_BYTES = 16

SEEN_BYTES = 33 + _DIGEST_BYTES + 135
"""A digest with its place in an ordered dictionary, by sys.getsizeof on CPython 3.11."""


class NewValue(Detector):
    """Knows which values of a field there have been."""

    __slots__ = ("_began", "_learning", "_seen")

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen = NEW) -> None:
        super().__init__(rule, key, frozen)
        self._learning = rule.learn - HALF_TICK
        self._began: float | None = None
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        if frozen.state:
            self._began, seen = msgpack.decode(frozen.state, type=tuple[float | None, list[bytes]])
            self._seen.update(dict.fromkeys(seen[-rule.max_values :]))

    @staticmethod
    def worst_case_bytes(rule: Rule) -> int:
        """Compute what the values of one key take at most."""
        return rule.max_values * SEEN_BYTES

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Name the line with a value that is new, and how long nothing is."""
        asked = f"on a line {lines} whose {visible(rule.value)} was never seen before"
        asked += f", remembered{per}" if per else ""
        if rule.learn:
            asked += f" (what the first {exactly(rule.learn)} bring is only remembered)"
        return asked

    @staticmethod
    def excess(alert: Alert) -> str:
        """Name the value."""
        return f"new {label(alert.field, 60)} {label(alert.values[0], 60)}"

    @staticmethod
    def measure(alert: Alert) -> str:
        """Name the value, whole."""
        return f"{label(alert.field, 60)} {label(alert.values[0], 300)} was never seen before."

    def feed(self, match: Match) -> Alert | None:
        """Take one more value; return the alert that it raises, if any."""
        value, seen = match.key[-1], self._seen
        if self._began is None:
            self._began = match.time
        digest = hashlib.blake2b(value.encode(), digest_size=_DIGEST_BYTES).digest()
        if digest in seen:
            seen.move_to_end(digest)
            return None
        seen[digest] = None
        if len(seen) > self._rule.max_values:
            seen.popitem(last=False)
        if match.time - self._began < self._learning:
            return None
        self.since_last += 1
        if self.is_quiet(match.time):
            return None
        return self._ring(match, count=1, since=match.time, values=(value,))

    def is_empty(self, now: float) -> bool:
        """Tell that what was seen counts for ever."""
        del now
        return False

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        return self._frozen(state=msgpack.encode((self._began, list(self._seen))))
