"""
When each rule's lines came, and when it rang: a row of characters a rule.

From when to when the logs are is known only at their end, so lines are counted in slots that double
in length whenever there would be too many of them.  A slot is always far shorter than a character
is wide, and whatever is read costs the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from alertd.core.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule
    from alertd.core.streams import Stream

MOST_SLOTS = 4096
"""Slots from the oldest line to the newest; a rule has at most two numbers for each."""

TICKS = 1000
"""The shortest slots in a second."""

DENSITIES = ".:-=+*#"
"""Few lines to many, by a row's fullest character: the last stands only where that is."""

ALERT = "!"


class Row(msgspec.Struct, frozen=True):
    """
    What is shown of one rule.

    Attributes:
        rule: The rule's name.
        drawn: One character for each part of the time, oldest first.
        lines: How many lines it was looking for, in all.
        alerts: How often it rang, in all.
    """

    rule: str
    drawn: str
    lines: int
    alerts: int


class Timeline:
    """
    Counts lines and alerts by rule and time.

    Args:
        rules: The names of all rules, in the order of their rows.
    """

    def __init__(self, rules: Iterable[str]) -> None:
        self._lines: dict[str, dict[int, int]] = {rule: {} for rule in rules}
        self._alerts: dict[str, dict[int, int]] = {rule: {} for rule in self._lines}
        self._shift = 0
        self._span: tuple[int, int] | None = None

    def count(self, matches: Sequence[Match]) -> None:
        """Count lines."""
        if matches:
            times = [match.time for match in matches]
            self._reach(min(times), max(times))
            for match in matches:
                self._add(self._lines[match.rule], match.time)

    def mark(self, alert: Alert) -> None:
        """Count an alert, unless it says that one is over."""
        if alert.end is not None:
            return
        self._reach(alert.time, alert.time)
        self._add(self._alerts[alert.rule], alert.time)

    def span(self) -> tuple[float, float] | None:
        """Give the Unix seconds between which everything lies; None if there is nothing."""
        if self._span is None:
            return None
        return self._span[0] / TICKS, (self._span[1] + 1) / TICKS

    def columns(self, rule: str, begin: float, end: float, width: int) -> list[int]:
        """
        Count one rule's lines in equal parts of the time.

        Args:
            rule: Its name.
            begin: Unix seconds; what is older counts in the first part.
            end: Unix seconds, after ``begin``; what is newer counts in the last part.
            width: How many parts.
        """
        counts = [0] * width
        for slot, number in self._lines[rule].items():
            counts[self._column(slot, begin, end, width)] += number
        return counts

    def rows(self, begin: float, end: float, width: int) -> list[Row]:
        """Draw a row for each rule; the arguments are those of ``columns``."""
        return [self._row(rule, begin, end, width) for rule in self._lines]

    def _row(self, rule: str, begin: float, end: float, width: int) -> Row:
        counts = self.columns(rule, begin, end, width)
        highest = max(counts)
        drawn = [
            DENSITIES[(count * len(DENSITIES) - 1) // highest] if count else " " for count in counts
        ]
        alerts = self._alerts[rule]
        for slot in alerts:
            drawn[self._column(slot, begin, end, width)] = ALERT
        return Row(rule, "".join(drawn), sum(counts), sum(alerts.values()))

    def _column(self, slot: int, begin: float, end: float, width: int) -> int:
        # A slot's middle: its beginning may lie just before the part that it belongs to.
        time = ((slot << self._shift) + (1 << self._shift) / 2) / TICKS
        return min(max(int((time - begin) * width / (end - begin)), 0), width - 1)

    def _add(self, counts: dict[int, int], time: float) -> None:
        slot = int(time * TICKS) >> self._shift
        counts[slot] = counts.get(slot, 0) + 1

    def _reach(self, oldest: float, newest: float) -> None:
        """Make room for times: double the slots until they are few enough."""
        low, high = int(oldest * TICKS), int(newest * TICKS)
        if self._span is not None:
            low, high = min(low, self._span[0]), max(high, self._span[1])
        self._span = low, high
        while (high >> self._shift) - (low >> self._shift) >= MOST_SLOTS:
            self._shift += 1
            for every in (self._lines, self._alerts):
                for rule, counts in every.items():
                    every[rule] = _halved(counts)


def _halved(counts: dict[int, int]) -> dict[int, int]:
    halved: dict[int, int] = {}
    for slot, number in counts.items():
        halved[slot >> 1] = halved.get(slot >> 1, 0) + number
    return halved


class Watched(Engine):
    """
    An engine that also tells a timeline what it judges.

    Args:
        rules: What is too much.
        timeline: Of these rules.
    """

    def __init__(self, rules: Iterable[Rule], timeline: Timeline) -> None:
        super().__init__(rules)
        self._timeline = timeline

    def feed(self, matches: Sequence[Match], trail: list[Match] | None = None) -> list[Alert]:
        """Judge matches as any engine does."""
        self._timeline.count(matches)
        return self._marked(super().feed(matches, trail))

    def advance(
        self, stream: Stream, now: float, trail: list[Match] | None = None
    ) -> Iterator[list[Alert]]:
        """Judge what has not happened as any engine does."""
        return map(self._marked, super().advance(stream, now, trail))

    def _event_of(self, alert: Alert, rule: Rule) -> Match:
        """Count what a rule sees of others, as any line that it was looking for."""
        event = super()._event_of(alert, rule)
        self._timeline.count([event])
        return event

    def _marked(self, alerts: list[Alert]) -> list[Alert]:
        for alert in alerts:
            self._timeline.mark(alert)
        return alerts
