"""
More than so many different values within so long.

To know whether there are more than *limit* of them, only the ``limit + 1`` values seen last are
needed: there are too many exactly when the one among them that was seen longest ago is inside the
span.  So it costs the same however many values there are.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from msgspec import msgpack

from alertd.core.detectors.detector import NEW, Detector, Frozen
from alertd.core.escape import label, visible
from alertd.core.windows import HALF_TICK
from alertd.core.wording import duration, exactly, ordinal, plural

if TYPE_CHECKING:
    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

SHOWN_VALUES = 20

VALUE_BYTES = 76 + 4 * 256 + 24 + 120
"""A value of 256 characters outside the BMP, its time, and its place in an ordered dictionary."""


class Distinct(Detector):
    """Counts the different values of a field."""

    __slots__ = ("_reach", "_seen")

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen = NEW) -> None:
        super().__init__(rule, key, frozen)
        self._reach = rule.within - HALF_TICK
        # When each was seen last, the one seen longest ago first.
        self._seen: OrderedDict[str, float] = OrderedDict()
        if frozen.state:
            seen = msgpack.decode(frozen.state, type=list[tuple[str, float]])
            self._seen.update(seen[-(rule.more_than + 1) :])

    @staticmethod
    def worst_case_bytes(rule: Rule) -> int:
        """Compute what the values of one key take at most."""
        return (rule.more_than + 1) * VALUE_BYTES

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Name the value that is one too many."""
        value = f"{ordinal(rule.more_than + 1)} different {visible(rule.value)}"
        which = f"on the line that brings the {value} within {exactly(rule.within)}"
        return f"{which}, of the lines {lines}" + (f", counted{per}" if per else "")

    @staticmethod
    def excess(alert: Alert) -> str:
        """Name the limit."""
        values = f"{plural(alert.limit, 'different value')} of {label(alert.field, 60)}"
        return f"more than {values} in {duration(alert.within)}"

    @staticmethod
    def measure(alert: Alert) -> str:
        """Say how many values came within how long, and which came last."""
        span = duration(alert.time - alert.since)
        values = f"{plural(alert.count, 'different value')} of {label(alert.field, 60)}"
        most = f"{alert.limit:,} in {duration(alert.within)}"
        shown = ", ".join(label(value, 60) for value in alert.values)
        return f"{values} within {span}; the limit is {most}. The last ones: {shown}."

    def feed(self, match: Match) -> Alert | None:
        """Take one more value; return the alert that it raises, if any."""
        time, limit, seen = match.time, self._rule.more_than, self._seen
        if self.previous is None and self.is_empty(time):
            # As if it had been forgotten (see ``Threshold``).
            self.since_last = 0
        self.since_last += 1
        value = match.key[-1]
        seen[value] = time
        seen.move_to_end(value)
        if len(seen) > limit + 1:
            seen.popitem(last=False)
        if len(seen) <= limit:
            return None
        oldest = next(iter(seen.values()))
        if time - oldest >= self._reach or self.is_hidden(time):
            return None
        shown = tuple(seen)[-SHOWN_VALUES:]
        return self._ring(match, count=len(seen), since=oldest, values=shown)

    def is_empty(self, now: float) -> bool:
        """Tell whether no value was seen within the span."""
        return not self._seen or now - next(reversed(self._seen.values())) >= self._reach

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        return self._frozen(state=msgpack.encode(list(self._seen.items())))
