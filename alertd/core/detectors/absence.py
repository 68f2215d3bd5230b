"""
Fewer than so many events within so long, or by a time of day.

``N`` is ``fewer_than``.  Only the newest ``N`` times are kept: whether there are fewer is all that
is asked.  Counting begins at ``A``: when the rule began to watch (the time of the first line that
its sources gave), or for a key that is not expected, at the key's first event.

With ``within`` alone it rings at the first time ``T`` from ``A + within`` on, and from ``cooldown``
after the alert before, at which fewer than ``N`` events lie in ``(T - within, T]``: mostly when the
``N``-th newest of them leaves the window.  An event at ``T`` itself comes in time.  Then the key is
silent until ``N`` events lie in its window.

With ``by`` it counts at that time of day, ``T``, the events in ``(T', T]``, where ``T'`` is that
time the day before, or with ``within`` too, ``T - within``.  The first ``T`` is that of the first
``T'`` from ``A`` on.  It rings every day with fewer than ``N``, except within the cooldown.  Which
moment a time of day is when clocks are changed, see ``daily``.

A key is expected if the rule names it in ``expect`` (then others do not count at all), or has no
``group_by``.  One that is not expected is forgotten once it has rung and nothing of it lies in its
window: its next event is like its first.  So a machine that is no more rings once.

What was missed is over with the event with which there are ``N`` in the window again; with ``by``,
with the ``N``-th event after the alert.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from msgspec import Struct, msgpack

from alertd.core.detectors.detector import NEW, Detector, Frozen
from alertd.core.escape import shortened, visible
from alertd.core.events import PASSED, Match, Silence
from alertd.core.phrases import lines_of, listed
from alertd.core.windows import TIME_BYTES, Window, exact
from alertd.core.wording import duration, exactly, ordinal, plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alertd.core.daily import Daily
    from alertd.core.events import Alert
    from alertd.core.rules import Rule

_SCHEDULE_BYTES = 4 * 24
"""From when on it counts, what it judged last, what it will judge, and from when on for that."""

_NAMED_KEYS = 5
_SOUGHT_LENGTH = 300
_DAY = 86_400
_NOON = _DAY // 2


class State(Struct, frozen=True, array_like=True):
    """
    What a key remembers beside its newest times.

    Attributes:
        armed: Unix seconds from which on its events count; ``None`` before there are any.
        has_rung: It is silent until there are enough again.
        judged: Unix seconds of the time of day that was judged last.
    """

    armed: float | None = None
    has_rung: bool = False
    judged: float | None = None


class Absence(Detector):
    """Waits for events; time alone makes it ring."""

    __slots__ = ("_armed", "_begin", "_due", "_has_rung", "_is_expected", "_judged", "_window")

    asks_since = True
    ends_in_silence = False

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen = NEW) -> None:
        super().__init__(rule, key, frozen)
        state = msgpack.decode(frozen.state, type=State) if frozen.state else State()
        self._window = Window(rule.more_than, rule.within, frozen.times)
        self._armed = state.armed
        self._has_rung = state.has_rung
        self._judged = state.judged
        self._is_expected = not rule.group_by or bool(rule.expect)
        self._schedule()

    @staticmethod
    def worst_case_bytes(rule: Rule) -> int:
        """Compute what one key remembers at most, beside what all kinds do."""
        return (rule.more_than + 1) * TIME_BYTES + _SCHEDULE_BYTES

    @staticmethod
    def is_timed(rule: Rule) -> bool:
        """Tell that time is all that this is about."""
        del rule
        return True

    @staticmethod
    def awaited(rule: Rule) -> Iterable[tuple[str, ...]]:
        """Name the keys that are expected; without ``group_by`` that is the only one."""
        return rule.expect if rule.group_by else ((),)

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Say when too few have come, with an example."""
        del per
        few, whose = rule.more_than + 1, _whose(rule)
        missing = f"no line {lines}" if few == 1 else f"fewer than {few:,} lines {lines}"
        missing += f" came{whose}"
        if rule.by is not None:
            window = (
                f"in the {exactly(rule.within)} before"
                if rule.within
                else f"since {rule.by.shown} the day before"
            )
            return f"at {rule.by.shown} ({rule.by.zone}) if {missing} {window}"
        span = f"{'for' if few == 1 else 'within'} {exactly(rule.within)}"
        last = "the last one" if few == 1 else f"the {ordinal(few)} last one"
        return f"when {missing} {span}: at {_clock(_NOON + rule.within)} if {last} came at 12:00"

    @staticmethod
    def afterwards(rule: Rule, about: str) -> str:
        """Say what makes it ring again."""
        few = rule.more_than + 1
        if rule.by is not None:
            text = super(Absence, Absence).afterwards(rule, about) if rule.cooldown else ""
            return text or "; and again every day on which that is so"
        again = "one comes" if few == 1 else f"{few:,} come within {exactly(rule.within)}"
        text = f"; then stays quiet{about} until {again} again"
        if rule.cooldown <= (rule.within if few == 1 else 0):
            # One that has come again is not missed before `within` is over.
            return text
        return f"{text}, and for {exactly(rule.cooldown)} at least"

    @staticmethod
    def excess(alert: Alert) -> str:
        """Say that nothing came, or too little, and in which time."""
        silence = _silence(alert)
        few = silence.fewer_than
        if few == 1:
            return (
                f"nothing by {silence.by}"
                if silence.by
                else f"nothing for {duration(alert.within)}"
            )
        window = f"by {silence.by}" if silence.by else f"in {duration(alert.within)}"
        return f"fewer than {plural(few, 'event')} {window}"

    @staticmethod
    def measure(alert: Alert) -> str:
        """Say how many came of what was looked for, and in which time."""
        silence = _silence(alert)
        span = duration(alert.time - alert.since)
        until = f", until {silence.by}" if silence.by else ""
        if silence.fewer_than == 1:
            return f"No line {silence.sought} came for {span}{until}."
        lines = plural(alert.count, "line")
        few = f"at least {silence.fewer_than:,} should"
        return f"{lines} {silence.sought} came in {span}{until}; {few}."

    @property
    def deadline(self) -> float:
        """Unix seconds after which it is known whether too few have come."""
        return self._due

    def watch_from(self, since: float) -> None:
        """Count from then on what is expected."""
        if self._is_expected:
            self._armed = since
            self._schedule()

    def feed(self, match: Match) -> Alert | None:
        """Take one more event."""
        time = match.time
        if self._armed is None or self._is_forgotten(time):
            self._armed, self._has_rung, self._judged = time, False, None
            self._schedule()
        self.since_last += 1
        is_enough = self._window.add(time)
        if is_enough:
            self._has_rung = False
        if self._rule.by is None:
            self._schedule()
        elif self.previous is not None:
            times = self._window.times
            is_enough = len(times) > self._rule.more_than and times[0] > self.previous
        return self._over(time) if is_enough else None

    def expire(self) -> Alert | None:
        """Judge what came by now; return the alert that there is to raise, if any."""
        rule, time, times = self._rule, self._due, self._window.times
        count = sum(each > self._begin for each in times)
        alert = None
        if count <= rule.more_than and not self.is_quiet(time):
            silence = Silence(
                sought=shortened(lines_of(rule.match), _SOUGHT_LENGTH),
                fewer_than=rule.more_than + 1,
                by=rule.by.shown if rule.by is not None else "",
                watched=time if self._armed is None else self._armed,
                last_seen=times[-1] if times else None,
            )
            passed = Match(rule.name, self._key, time, "", PASSED, "")
            alert = self._ring(passed, count=count, since=self._begin, silence=silence)
            # By the day each one rings, but for a key that is not expected the first one only.
            self._has_rung = rule.by is None or not (count or self._is_expected)
        self._judged = time
        self._schedule()
        return alert

    def is_empty(self, now: float) -> bool:
        """Tell whether its next event will be like its first one."""
        return self._is_forgotten(now)

    def _is_forgotten(self, now: float) -> bool:
        is_over = self._rule.by is not None or self._window.is_empty(now)
        return self._has_rung and is_over and not self._is_expected

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        state = State(self._armed, self._has_rung, self._judged)
        return self._frozen(times=tuple(self._window.times), state=msgpack.encode(state))

    def _schedule(self) -> None:
        """Find out when it judges next, and from when on events count for that."""
        self._due = self._begin = math.inf
        if self._armed is not None and not self._has_rung:
            by, within = self._rule.by, self._rule.within
            self._due = (
                self._window_over(self._armed) if by is None else self._day_over(self._armed, by)
            )
            if within:
                self._begin = exact(self._due - within)

    def _window_over(self, armed: float) -> float:
        times, rule = self._window.times, self._rule
        over = (max(armed, times[0]) if len(times) > rule.more_than else armed) + rule.within
        if self.previous is not None:
            over = max(over, self.previous + rule.cooldown)
        return exact(over)

    def _day_over(self, armed: float, by: Daily) -> float:
        if self._rule.within and self._judged is None:
            return by.since(exact(armed + self._rule.within))
        self._begin = by.since(armed) if self._judged is None else self._judged
        return by.after(self._begin)


def _silence(alert: Alert) -> Silence:
    # Every alert of this kind has one.
    return cast("Silence", alert.silence)


def _whose(rule: Rule) -> str:
    """Say for which keys lines must come: `` for host db1 or db2``."""
    if not rule.group_by:
        return ""
    fields = "/".join(visible(field) for field in rule.group_by)
    if not rule.expect:
        return f" for a {fields} that had one before"
    named = ["/".join(visible(value) for value in key) for key in rule.expect]
    if len(named) > _NAMED_KEYS:
        named = [*named[:_NAMED_KEYS], f"one of {len(named) - _NAMED_KEYS} more"]
    return f" for {fields} {listed(named, 'or')}"


def _clock(seconds: float) -> str:
    """Say what a clock shows so many seconds after midnight: ``13:00 the next day``."""
    days, rest = divmod(round(seconds * 1_000_000), _DAY * 1_000_000)
    minutes, micros = divmod(rest, 60_000_000)
    shown = f"{minutes // 60:02}:{minutes % 60:02}"
    if micros:
        shown += f":{micros // 1_000_000:02}" + f"{micros % 1_000_000 / 1e6:.6f}".strip("0").rstrip(
            "."
        )
    if days > 1:
        return f"{shown} {days:,} days later"
    return f"{shown} the next day" if days else shown
