"""Every event, or the first one and then nothing for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.detectors.detector import Detector, Frozen
from alertd.core.wording import plural

if TYPE_CHECKING:
    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule


class Each(Detector):
    """Rings for each event, as far as its cooldown lets it; no window, and no state of its own."""

    __slots__ = ()

    @staticmethod
    def worst_case_bytes(rule: Rule) -> int:
        """Compute what one key remembers: nothing."""
        del rule
        return 0

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Name every line."""
        del rule, per
        return f"on every line {lines}"

    @staticmethod
    def excess(alert: Alert) -> str:
        """Name the event."""
        del alert
        return "an event"

    @staticmethod
    def measure(alert: Alert) -> str:
        """Say that one is enough."""
        return f"{plural(alert.count, 'event')}; each one rings."

    def feed(self, match: Match) -> Alert | None:
        """Ring, or count what the cooldown hides."""
        self.since_last += 1
        return None if self.is_quiet(match.time) else self._ring(match, count=1, since=match.time)

    def is_empty(self, now: float) -> bool:
        """Tell that no event before this one counts."""
        del now
        return True

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        return self._frozen()
