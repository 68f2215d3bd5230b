"""
So many times as much as before, or as on earlier days.

At each event in slice *s* (see ``grid``) ``count`` events are in the window, slices *s* - 119 to
*s*, up to this one, itself included.  They are compared with the ``reference``:

- without ``baseline``, the events in the window before: slices *s* - 239 to *s* - 120;
- with it, the mean of the events in the same window on each of so many earlier days (see ``days``),
  zeros included.  Days whose window began before the rule was watching are left out.

It is too much exactly when ``count`` is at least ``min_count`` and more than ``times`` · reference,
in integers: exactly so many times as much is not yet too much, and any ``count`` is more than any
multiple of none.  Nothing is judged while there is no reference, which is until the rule, not the
key, has watched the whole window before, or the window of yesterday.  So a key that is new to a
rule that has long been watching is compared with none.

Refuses to find too little: what stops is a question about time, not about an event.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from msgspec import msgpack

from alertd.core import days, grid
from alertd.core.days import STEP, Days
from alertd.core.detectors.detector import NEW, Detector, Frozen
from alertd.core.grid import SLICES, Grid
from alertd.core.wording import duration, exactly, figure, plural

if TYPE_CHECKING:
    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

_COUNT, _FIRST = range(2)
_COLUMNS = "qd"


def _windows(rule: Rule) -> int:
    """Give how many windows are kept in full."""
    return 1 if rule.baseline else 2


def _days_before(days: int) -> str:
    return "the day before" if days == 1 else f"the {days} days before"


class Spike(Detector):
    """Counts events, and remembers how many there were."""

    __slots__ = ("_begin", "_count", "_days", "_grid", "_reference", "_watched_from")

    asks_since: ClassVar[bool] = True

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen = NEW) -> None:
        super().__init__(rule, key, frozen)
        near, far = (
            msgpack.decode(frozen.state, type=tuple[bytes, bytes]) if frozen.state else (b"", b"")
        )
        self._grid = Grid(rule.within, _COLUMNS, near, windows=_windows(rule))
        self._days = Days(rule.within, rule.baseline, far) if rule.baseline else None
        self._watched_from = -math.inf
        self._add_up()

    @staticmethod
    def worst_case_bytes(rule: Rule) -> int:
        """Compute what the slices of one key take at most, and its steps of earlier days."""
        near = grid.worst_case_bytes(len(_COLUMNS), _windows(rule))
        return near + (days.worst_case_bytes(rule.within, rule.baseline) if rule.baseline else 0)

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Name the line that makes too many, what they are compared with, and an example."""
        part, whole = rule.times
        within, least = exactly(rule.within), rule.min_total
        few = (least * whole - 1) // part
        slices = f"in slices of {exactly(rule.within / SLICES)}"
        after, those = "after", f"those of the {within} before"
        watched = f"these {exactly(2 * rule.within)}"
        if rule.baseline:
            slices += f", earlier days in steps of {exactly(rule.within * STEP / SLICES)}"
            after = "after a mean of"
            those = f"the mean of the same {within} of {_days_before(rule.baseline)}"
            watched = f"the same {within} of the day before"
        asked = (
            f"on a line {lines} that makes such lines within {within} ({slices}) at least "
            f"{least:,} and more than {figure(part / whole)} times {those} (so {least:,} are too "
            f"many {after} {few:,}, but not {after} {few + 1:,})"
        )
        asked += f", counted{per}" if per else ""
        return f"{asked}, once it has watched {watched}"

    @staticmethod
    def excess(alert: Alert) -> str:
        """Name the limit."""
        times = f"more than {figure(alert.bound)} times as many in {duration(alert.within)}"
        return f"{times} as {'on earlier days' if alert.days else 'before'}"

    @staticmethod
    def measure(alert: Alert) -> str:
        """Say how many there were, how many before, and how many times as many are allowed."""
        within, before = duration(alert.within), alert.measured
        those = f"the {within} before"
        if alert.days:
            those = f"the same {within} of {_days_before(alert.days)}"
        counted = f"{plural(alert.count, 'event')} in {within}, "
        if before:
            times = figure(round(alert.count / before, 2))
            counted += f"{times} times the {figure(round(before, 2))} of {those}"
            counted += " on average" if alert.days > 1 else ""
        else:
            counted += f"and none in {those}"
        return f"{counted}; the limit is {figure(alert.bound)} times as many."

    def feed(self, match: Match) -> Alert | None:
        """Count one more event; return the alert that it raises, if any."""
        time, slices, rule = match.time, self._grid, self._rule
        if slices.enter(time):
            self._add_up()
            if self.previous is None and self._is_alone():
                # As if it had been forgotten (see ``Threshold``).
                self.since_last = 0
        self.since_last += 1
        self._count += 1
        counts, firsts = slices.columns
        if not counts[-1]:
            firsts[-1] = time
        counts[-1] += 1
        if self._days is not None:
            self._days.add(slices.slices[-1])
        if self._count < rule.min_total or self.is_moot(time):
            return None
        before, windows = self._compared()
        part, whole = rule.times
        if not windows or self._count * whole * windows <= before * part or self.is_hidden(time):
            return None
        return self._ring(
            match,
            count=self._count,
            since=firsts[self._begin],
            histogram=slices.bars(_COUNT),
            bound=part / whole,
            measured=before / windows,
            days=windows if rule.baseline else 0,
        )

    def watch_from(self, since: float) -> None:
        """Take up from when on its rule has been watching, once, before anything is fed."""
        self._watched_from = self._grid.first_from(since)

    def is_empty(self, now: float) -> bool:
        """Tell whether no event is in its window, nor in one that it may be compared with."""
        if self._days is None:
            return self._grid.is_empty(now)
        return self._days.is_empty(self._grid.slice_of(now))

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        far = b"" if self._days is None else self._days.freeze()
        return self._frozen(state=msgpack.encode((self._grid.freeze(), far)))

    def _is_alone(self) -> bool:
        """Tell whether the newest slice is all that can count."""
        slices = self._grid.slices
        return len(slices) == 1 and (self._days is None or self._days.is_empty(slices[-1]))

    def _add_up(self) -> None:
        """Begin with what the window holds now; what it is compared with is computed if asked."""
        self._begin = self._grid.begin()
        self._count = int(sum(self._grid.columns[_COUNT][self._begin :]))
        self._reference: tuple[int, int] | None = None

    def _compared(self) -> tuple[int, int]:
        """Give how many events were in the other windows, and how many such windows there are."""
        if self._reference is None:
            last = self._grid.slices[-1]
            if self._days is not None:
                self._reference = self._days.earlier(last, self._watched_from)
            else:
                before = int(sum(self._grid.columns[_COUNT][: self._begin]))
                is_watched = last - 2 * SLICES + 1 >= self._watched_from
                self._reference = before, int(is_watched)
        return self._reference
