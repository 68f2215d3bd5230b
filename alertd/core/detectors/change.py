"""A value that is not the one before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import msgpack

from alertd.core.detectors.detector import NEW, Detector, Frozen
from alertd.core.escape import label, visible

if TYPE_CHECKING:
    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

VALUE_BYTES = 76 + 4 * 256
"""A value of 256 characters outside the BMP, by sys.getsizeof on CPython 3.11."""


class Change(Detector):
    """Compares each value of a field with the one before; of the first nothing can be said."""

    __slots__ = ("_value",)

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen = NEW) -> None:
        super().__init__(rule, key, frozen)
        self._value: str | None = None
        if frozen.state:
            self._value = msgpack.decode(frozen.state, type=str | None)

    @staticmethod
    def worst_case_bytes(rule: Rule) -> int:
        """Compute what the value of one key takes at most."""
        del rule
        return VALUE_BYTES

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Name the line with another value."""
        asked = f"on a line {lines} whose {visible(rule.value)} is not that of the one before"
        return f"{asked}, compared{per}" if per else asked

    @staticmethod
    def excess(alert: Alert) -> str:
        """Name the value."""
        return f"{label(alert.field, 60)} is now {label(alert.values[1], 60)}"

    @staticmethod
    def measure(alert: Alert) -> str:
        """Name the value, and the one before."""
        before, now = (label(value, 300) for value in alert.values)
        return f"{label(alert.field, 60)} is now {now}; before it was {before}."

    def feed(self, match: Match) -> Alert | None:
        """Take one more value; return the alert that it raises, if any."""
        before, self._value = self._value, match.key[-1]
        if before is None or before == self._value:
            return None
        self.since_last += 1
        if self.is_quiet(match.time):
            return None
        return self._ring(match, count=1, since=match.time, values=(before, self._value))

    def is_empty(self, now: float) -> bool:
        """Tell that the last value counts for ever."""
        del now
        return False

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        return self._frozen(state=msgpack.encode(self._value))
