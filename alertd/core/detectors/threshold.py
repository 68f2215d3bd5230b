"""More than so many events within so long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.detectors.detector import NEW, Detector, Frozen
from alertd.core.windows import TIME_BYTES, Window
from alertd.core.wording import duration, exactly, ordinal, plural

if TYPE_CHECKING:
    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

HISTOGRAM_SLICES = 24


class Threshold(Detector):
    """Counts events; see ``windows`` for what it costs."""

    __slots__ = ("window",)

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen = NEW) -> None:
        super().__init__(rule, key, frozen)
        self.window = Window(rule.more_than, rule.within, frozen.times)

    @staticmethod
    def worst_case_bytes(rule: Rule) -> int:
        """Compute what the window of one key takes at most."""
        return (rule.more_than + 1) * TIME_BYTES

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Name the line that is one too many."""
        if rule.more_than == 0:
            return f"on every line {lines}"
        which = f"on the {ordinal(rule.more_than + 1)} line {lines} within {exactly(rule.within)}"
        return f"{which}, counted{per}" if per else which

    @staticmethod
    def excess(alert: Alert) -> str:
        """Name the limit."""
        if alert.limit == 0:
            return "an event"
        return f"more than {plural(alert.limit, 'event')} in {duration(alert.within)}"

    @staticmethod
    def measure(alert: Alert) -> str:
        """Say how many events came within how long."""
        if alert.limit == 0:
            return f"{plural(alert.count, 'event')}; each one rings."
        span = duration(alert.time - alert.since)
        together = "at the same time" if alert.time == alert.since else f"within {span}"
        most = f"{alert.limit:,} in {duration(alert.within)}"
        return f"{plural(alert.count, 'event')} {together}; the limit is {most}."

    def feed(self, match: Match) -> Alert | None:
        """Count one more match; return the alert that it raises, if any."""
        time = match.time
        window = self.window
        if self.previous is None and window.is_empty(time):
            # As if it had been forgotten: whether it was must not change a number in a mail.
            self.since_last = 0
        self.since_last += 1
        if not window.add(time) or self.is_hidden(time):
            return None
        times = window.times
        return self._ring(
            match,
            count=len(times),
            since=times[0],
            histogram=window.histogram(time, HISTOGRAM_SLICES),
        )

    def is_empty(self, now: float) -> bool:
        """Tell whether no event is in its window."""
        return self.window.is_empty(now)

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        return self._frozen(times=tuple(self.window.times))
