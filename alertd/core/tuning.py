"""
How often a rule would have rung at other limits, over other windows.

What the rule was looking for is found once and kept as times and keys; each setting is then judged
by the rule's own detectors, so that every number is that of a replay with a changed configuration.

Bounded: after so many matches nothing more is taken in, and whoever reads the logs is to stop.

Trap: a limit can be searched for by halves only because a higher one never rings more often.  That
holds for kinds that ring whenever something is above a limit, the cooldown aside: of fewer moments,
no more can be so far apart.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import TYPE_CHECKING

from alertd.core.engine import Engine
from alertd.core.events import Match

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.events import Alert
    from alertd.core.rules import Kind, Rule

TUNABLE: tuple[Kind, ...] = ("threshold", "distinct")
"""The kinds that count up to ``more_than`` over ``within``."""

MOST_MATCHES = 200_000
"""Matches that are taken in: judging them takes half a second for each of some 50 settings."""

SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""The limits and windows of the table, as multiples of the rule's own."""

MORE_SHARES = (0.75, 1.5, 3.0, 8.0)
"""Those of the plot, besides."""

PORTION = 1000


class Recorder(Engine):
    """
    Keeps what an engine is given to judge, and judges nothing.

    Args:
        rule: Whose matches come.
        most: How many are kept.

    Attributes:
        times: Unix seconds of each.
        about: The key of each.
    """

    def __init__(self, rule: Rule, most: int) -> None:
        super().__init__([rule])
        self.times = array("d")
        self.about: list[tuple[str, ...]] = []
        self._most = most
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    @property
    def is_full(self) -> bool:
        """No more is kept."""
        return len(self.times) == self._most

    def feed(self, matches: Sequence[Match], trail: list[Match] | None = None) -> list[Alert]:
        """Keep matches, as far as there is room; return no alerts."""
        del trail
        known = self._known.setdefault
        for match in matches[: self._most - len(self.times)]:
            self.times.append(match.time)
            self.about.append(known(match.key, match.key))
        return []


class Tuning:
    """
    Judges what was recorded, setting by setting.

    Args:
        rule: The rule; its cooldown holds for every setting.
        recorder: What it was looking for.
        largest: The greatest limit that a rule may have.
    """

    def __init__(self, rule: Rule, recorder: Recorder, *, largest: int) -> None:
        self._rule = rule
        self._recorder = recorder
        self._largest = largest
        self._alerts: dict[tuple[int, float], int] = {}

    def alerts(self, limit: int, within: float) -> int:
        """
        Count the alerts that the rule would have raised.

        Args:
            limit: Its ``more_than``.
            within: Its window, in seconds.
        """
        setting = (limit, within)
        if setting not in self._alerts:
            self._alerts[setting] = self._judged(
                replace(self._rule, more_than=limit, within=within)
            )
        return self._alerts[setting]

    def limit_for(self, most: float) -> int | None:
        """Find the lowest limit, over the rule's own window, that gives at most so many alerts."""
        within = self._rule.within
        if self.alerts(0, within) <= most:
            return 0
        low, high = 0, min(max(1, self._rule.more_than), self._largest)
        while self.alerts(high, within) > most:
            if high == self._largest:
                return None
            low, high = high, min(2 * high, self._largest)
        while high - low > 1:
            middle = (low + high) // 2
            if self.alerts(middle, within) > most:
                low = middle
            else:
                high = middle
        return high

    def limits(self, shares: Sequence[float]) -> list[int]:
        """Give limits around the rule's own, which is one of them, in ascending order."""
        # Below four the parts of a limit are the same again and again.
        own, scale = self._rule.more_than, max(4, self._rule.more_than)
        around = {min(round(scale * share), self._largest) for share in shares}
        return sorted({*around, own, *([0] if own < scale else [])})

    def windows(self) -> list[float]:
        """Give windows around the rule's own, in ascending order: seconds, whole microseconds."""
        return [max(round(self._rule.within * share, 6), 1e-6) for share in SHARES]

    def _judged(self, rule: Rule) -> int:
        engine, name = Engine([replace(rule, resolve=False)]), rule.name
        times, keys = self._recorder.times, self._recorder.about
        alerts = 0
        for at in range(0, len(times), PORTION):
            portion = zip(times[at : at + PORTION], keys[at : at + PORTION], strict=True)
            alerts += len(engine.feed([Match(name, key, time, "", 0, "") for time, key in portion]))
        return alerts
