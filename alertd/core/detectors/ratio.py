"""
More than such a share of the lines.

The lines of which a share is asked are those that ``of`` finds, all if there is none; a hit is one
of them that ``match`` finds and ``unless`` does not.  At each hit the window (see ``grid``) holds
``total`` lines, this one included, of which ``hits`` are hits; there are too many exactly when
``hits`` is more than the share of ``total``, in integers, and ``total`` at least ``min_total``.

Trap: nearly all that comes here is no hit.  Such a match is counted and not kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.detectors.detector import NEW, Detector, Frozen
from alertd.core.grid import SLICES, Grid, worst_case_bytes
from alertd.core.phrases import lines_of
from alertd.core.rules import HIT
from alertd.core.wording import duration, exactly, figure, plural

if TYPE_CHECKING:
    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

_HITS, _LINES, _FIRST_HIT = range(3)
_COLUMNS = "qqd"


class Ratio(Detector):
    """Counts lines, and those of them that are hits."""

    __slots__ = ("_grid", "_hits", "_lines", "_lines_of_slice")

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen = NEW) -> None:
        super().__init__(rule, key, frozen)
        self._grid = Grid(rule.within, _COLUMNS, frozen.state)
        self._lines_of_slice = self._grid.columns[_LINES]
        self._add_up()

    @staticmethod
    def worst_case_bytes(rule: Rule) -> int:
        """Compute what the slices of one key take at most."""
        del rule
        return worst_case_bytes(len(_COLUMNS))

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Name the line that makes the share too large, and of what it is one."""
        those = f"the lines {lines_of(rule.of)}" if rule.of else "all lines"
        asked = (
            f"on a line {lines} that makes such lines more than {figure(_percent(rule))} % of "
            f"{those} within {exactly(rule.within)} (in slices of {exactly(rule.within / SLICES)})"
        )
        asked += f", counted{per}" if per else ""
        if rule.min_total > 1:
            asked += f", once there are {rule.min_total:,} of those"
        return asked

    @staticmethod
    def excess(alert: Alert) -> str:
        """Name the limit."""
        return f"more than {figure(alert.bound)} % in {duration(alert.within)}"

    @staticmethod
    def measure(alert: Alert) -> str:
        """Say how many of how many, and which share is allowed."""
        return (
            f"{alert.count:,} of {plural(alert.total, 'line')}, "
            f"{100 * alert.count / alert.total:.4g} %; "
            f"the limit is {figure(alert.bound)} % in {duration(alert.within)}."
        )

    @staticmethod
    def worst(alert: Alert, measured: float) -> str:
        """Name the greatest share."""
        del alert
        return f"the share was {measured:.4g} %"

    def feed(self, match: Match) -> Alert | None:
        """Count one more line; return the alert that it raises, if any."""
        time, grid = match.time, self._grid
        if grid.enter(time):
            self._add_up()
            if self.previous is None and not self._lines:
                # As if it had been forgotten (see ``Threshold``).
                self.since_last = 0
        self._lines += 1
        self._lines_of_slice[-1] += 1
        if match.key[-1] != HIT:
            return None
        self._hits += 1
        self.since_last += 1
        hits, firsts = grid.columns[_HITS], grid.columns[_FIRST_HIT]
        if not hits[-1]:
            firsts[-1] = time
        hits[-1] += 1
        rule = self._rule
        part, whole = rule.share
        is_too_much = self._hits * whole > self._lines * part and self._lines >= rule.min_total
        if not is_too_much:
            return None
        measured = 100 * self._hits / self._lines
        if self.is_hidden(time, measured):
            return None
        return self._ring(
            match,
            count=self._hits,
            since=next(first for first, some in zip(firsts, hits, strict=True) if some),
            histogram=grid.bars(_HITS),
            total=self._lines,
            bound=_percent(rule),
            measured=measured,
        )

    def is_empty(self, now: float) -> bool:
        """Tell whether no line is in its window."""
        return self._grid.is_empty(now)

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        return self._frozen(state=self._grid.freeze())

    def _add_up(self) -> None:
        self._hits = int(sum(self._grid.columns[_HITS]))
        self._lines = int(sum(self._lines_of_slice))


def _percent(rule: Rule) -> float:
    part, whole = rule.share
    return 100 * part / whole
