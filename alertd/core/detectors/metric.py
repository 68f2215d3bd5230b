"""
A number that is measured of a field's values: their greatest, their sum, their 95th percentile.

At each line with a number the window (see ``grid``) holds the values up to it, this one included;
too much is when there are at least ``min_total`` and the metric is more (or less) than the bound.
Of each slice only these are kept:

- ``min``, ``max``: the smallest or greatest value.
- ``sum``, ``avg``: the sum of its values in doubles, one after the other; over the slices
  ``math.fsum`` adds these up without another error.  ``avg`` divides that by the number of values.
- ``count``: the number of values.
- ``p50`` … ``p99``, by nearest rank: the smallest value such that at least so many per cent of the
  values are not greater.  It is above the bound exactly when fewer than so many per cent are not
  above the bound, and below it exactly when at least so many are below.  So it is exact, and yet
  never computed: what is counted is how many values are on either side.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from alertd.core.detectors.detector import NEW, Detector, Frozen
from alertd.core.escape import label, visible
from alertd.core.grid import SLICES, Grid, worst_case_bytes
from alertd.core.records import number
from alertd.core.wording import duration, exactly, figure, plural

if TYPE_CHECKING:
    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

_COUNT, _FIRST, _SUM = range(3)
# Its third column is the number of values above the bound, or for `less_than` of those not below.
_EXTREMES = {"min": min, "max": max}


def _rank(metric: str) -> int:
    """Give the per cent of a percentile; 0 for what is none."""
    return int(metric[1:]) if metric.startswith("p") else 0


def _columns(metric: str) -> str:
    if metric == "count":
        return "qd"
    return "qdq" if _rank(metric) else "qdd"


class Metric(Detector):
    """Measures the values of a field."""

    __slots__ = ("_count", "_grid", "_rank")

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen = NEW) -> None:
        super().__init__(rule, key, frozen)
        self._rank = _rank(rule.metric)
        self._grid = Grid(rule.within, _columns(rule.metric), frozen.state)
        self._count = int(sum(self._grid.columns[_COUNT]))

    @staticmethod
    def worst_case_bytes(rule: Rule) -> int:
        """Compute what the slices of one key take at most."""
        return worst_case_bytes(len(_columns(rule.metric)))

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Name the line with which the number is too great, or too small."""
        beyond = "less" if rule.is_below else "more"
        asked = (
            f"on a line {lines} with which the {rule.metric} of {visible(rule.value)} within "
            f"{exactly(rule.within)} (in slices of {exactly(rule.within / SLICES)}) is {beyond} "
            f"than {figure(rule.bound)}"
        )
        asked += f", measured{per}" if per else ""
        if rule.min_total > 1:
            asked += f", once there are {rule.min_total:,} values"
        return asked

    @staticmethod
    def excess(alert: Alert) -> str:
        """Name the metric and its bound."""
        side = "below" if alert.is_below else "above"
        what = f"{alert.metric} of {label(alert.field, 60)}"
        return f"{what} {side} {figure(alert.bound)} in {duration(alert.within)}"

    @staticmethod
    def measure(alert: Alert) -> str:
        """Say what was measured; of a percentile, how many values are beyond the bound."""
        values = f"{plural(alert.count, 'value')} of {label(alert.field, 60)}"
        values += f" in {duration(alert.within)}"
        bound, rank = figure(alert.bound), _rank(alert.metric)
        if not rank:
            return (
                f"The {alert.metric} of {values} is {figure(alert.measured)}; the limit is {bound}."
            )
        share = f"{alert.measured:.4g} % of {values} are"
        if alert.is_below:
            return f"{share} below {bound}; at {alert.metric} fewer than {rank} % may be."
        return f"{share} above {bound}; at {alert.metric} {100 - rank} % may be."

    @staticmethod
    def worst(alert: Alert, measured: float) -> str:
        """Name the greatest or the least value; of a percentile, the share beyond the bound."""
        if _rank(alert.metric):
            beyond = "below" if alert.is_below else "above"
            return f"{measured:.4g} % of the values were {beyond} {figure(alert.bound)}"
        return f"the {alert.metric} was {figure(measured)}"

    def feed(self, match: Match) -> Alert | None:
        """Measure one more value; return the alert that it raises, if any."""
        time, grid, rule = match.time, self._grid, self._rule
        is_new = grid.enter(time)
        counts, firsts = grid.columns[:_SUM]
        if is_new:
            self._count = int(sum(counts))
            firsts[-1] = time
            if self.previous is None and not self._count:
                # As if it had been forgotten (see ``Threshold``).
                self.since_last = 0
        self.since_last += 1
        self._count += 1
        counts[-1] += 1
        # Who feeds matches has seen to it that it is one.
        self._take(cast("float", number(match.key[-1])), is_new=is_new)
        if self._count < rule.min_total or self.is_moot(time):
            return None
        measured = self._measured()
        if self._rank:
            # In integers: how many values are beyond the bound, and of how many.
            beyond = self._beyond()
            over = beyond * 100 - self._count * (self._rank if rule.is_below else 100 - self._rank)
            is_passed = over >= 0 if rule.is_below else over > 0
        else:
            is_passed = measured < rule.bound if rule.is_below else measured > rule.bound
        if not is_passed or self.is_hidden(time, measured):
            return None
        return self._ring(
            match,
            count=self._count,
            since=firsts[0],
            histogram=grid.bars(_COUNT),
            total=self._count,
            bound=rule.bound,
            measured=measured,
        )

    def is_empty(self, now: float) -> bool:
        """Tell whether no value is in its window."""
        return self._grid.is_empty(now)

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        return self._frozen(state=self._grid.freeze())

    def _take(self, value: float, *, is_new: bool) -> None:
        """Bring the sums of the last slice up to date."""
        metric, bound = self._rule.metric, self._rule.bound
        if metric == "count":
            return
        sums = self._grid.columns[_SUM]
        if self._rank:
            sums[-1] += value >= bound if self._rule.is_below else value > bound
        elif metric in _EXTREMES:
            sums[-1] = value if is_new else _EXTREMES[metric](sums[-1], value)
        else:
            sums[-1] += value

    def _beyond(self) -> int:
        """Count the values beyond the bound: for ``less_than`` those below, else those above."""
        counted = int(sum(self._grid.columns[_SUM]))
        return self._count - counted if self._rule.is_below else counted

    def _measured(self) -> float:
        metric = self._rule.metric
        if metric == "count":
            return float(self._count)
        if self._rank:
            return 100 * self._beyond() / self._count
        sums = self._grid.columns[_SUM]
        if metric in _EXTREMES:
            return _EXTREMES[metric](sums)
        total = math.fsum(sums)
        return total / self._count if metric == "avg" else total
