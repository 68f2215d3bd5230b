"""
One rule, one key: matches → alert.

A detector never reads a clock and never looks outside its key.  All its state is plain data
(``freeze``), so that it can be stored, moved to another process, and taken up again there.  Every
kind of rule is one class here; ``DETECTORS`` names them.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Protocol

import msgspec

from alertd.core.events import Alert, Match
from alertd.core.evidence import LAST_LINES, Evidence
from alertd.core.windows import HALF_TICK, Window

if TYPE_CHECKING:
    from alertd.core.rules import Rule

HISTOGRAM_SLICES = 24


class Frozen(msgspec.Struct, frozen=True, array_like=True):
    """
    A detector's state as plain data.

    Attributes:
        times: Unix seconds of the events that its window holds, oldest first.
        since_last: Events since the previous alert, or since the key was first seen.
        previous: Unix seconds of the previous alert.
        ordinal: How many alerts there were at that very time before it.
        lines: Matches kept as evidence, oldest first.
    """

    times: tuple[float, ...]
    since_last: int
    previous: float | None
    ordinal: int
    lines: tuple[Match, ...]


class Detector(Protocol):
    """What the engine asks of every kind of rule."""

    evidence: Evidence

    def feed(self, match: Match) -> Alert | None:
        """Judge one more match; they come in time order."""
        ...

    def is_quiet(self, now: float) -> bool:
        """Tell whether its cooldown holds."""
        ...

    def is_idle(self, now: float) -> bool:
        """Tell whether forgetting it would change no later answer."""
        ...

    def is_spent(self, now: float) -> bool:
        """Tell whether forgetting it could change no later alert, but perhaps a number in one."""
        ...

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        ...


class Threshold:
    """
    More than so many within so long.

    Args:
        rule: What counts as too much.
        key: The ``group_by`` values whose events it sees.
        frozen: State to take up.
    """

    __slots__ = (
        "_cooldown",
        "_key",
        "_ordinal",
        "_rule",
        "evidence",
        "previous",
        "since_last",
        "window",
    )

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen | None = None) -> None:
        self._rule = rule
        self._key = key
        self._cooldown = rule.cooldown - HALF_TICK
        if frozen is None:
            self.window = Window(rule.more_than, rule.within)
            self.evidence = Evidence()
            self.since_last = 0
            self.previous: float | None = None
            self._ordinal = 0
        else:
            self.window = Window(rule.more_than, rule.within, frozen.times)
            self.evidence = Evidence(frozen.lines)
            self.since_last = frozen.since_last
            self.previous = frozen.previous
            self._ordinal = frozen.ordinal

    def feed(self, match: Match) -> Alert | None:
        """Count one more match; return the alert that it raises, if any."""
        time, previous = match.time, self.previous
        window = self.window
        if previous is None and window.is_empty(time):
            # As if it had been forgotten: whether it was must not change a number in a mail.
            self.since_last = 0
        self.since_last += 1
        if not window.add(time) or (previous is not None and time - previous < self._cooldown):
            return None
        return self._alert(match)

    def is_quiet(self, now: float) -> bool:
        """Tell whether its cooldown holds."""
        return self.previous is not None and now - self.previous < self._cooldown

    def is_idle(self, now: float) -> bool:
        """Tell whether forgetting it would change no later answer."""
        return self.is_spent(now) and (self.previous is None or self.since_last == 0)

    def is_spent(self, now: float) -> bool:
        """Tell whether forgetting it could change no later alert, but perhaps a number in one."""
        return self.window.is_empty(now) and not self.is_quiet(now)

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        return Frozen(
            tuple(self.window.times),
            self.since_last,
            self.previous,
            self._ordinal,
            tuple(self.evidence.lines),
        )

    def _alert(self, match: Match) -> Alert:
        rule, time = self._rule, match.time
        self._ordinal = self._ordinal + 1 if self.previous == time else 0
        times = self.window.times
        samples = self.evidence.samples()
        alert = Alert(
            id=alert_id(rule.name, self._key, time, self._ordinal),
            rule=rule.name,
            key=tuple(zip(rule.group_by, self._key, strict=True)),
            time=time,
            count=len(times),
            limit=rule.more_than,
            within=rule.within,
            since=times[0],
            since_last=self.since_last,
            previous=self.previous,
            path=match.path,
            offset=match.offset,
            line=match.line,
            first=samples[0],
            last=samples[-LAST_LINES:],
            histogram=self.window.histogram(time, HISTOGRAM_SLICES),
            event_time=match.event_time,
        )
        self.previous = time
        self.since_last = 0
        return alert


DETECTORS: dict[str, type[Threshold]] = {"threshold": Threshold}


def alert_id(rule: str, key: tuple[str, ...], time: float, ordinal: int) -> str:
    """
    Derive an alert's id from what it is about, so that a repeat can be recognised anywhere.

    Args:
        rule: The rule's name.
        key: The ``group_by`` values.
        time: Unix seconds of the triggering event, exact to the microsecond.
        ordinal: How many alerts this key has had at that very time.

    Returns:
        20 hexadecimal digits.
    """
    about = json.dumps([rule, key, round(time * 1_000_000), ordinal], separators=(",", ":"))
    return hashlib.blake2b(about.encode(), digest_size=10).hexdigest()
