"""
One rule, one key: matches → alert.

A detector never reads a clock and never looks outside its key.  All its state is plain data
(``freeze``), so that it can be stored, moved to another process, and taken up again there.  What
all kinds have in common is here: the cooldown, what it hides, the lines that a mail shows, and
an alert's id.

A kind also brings its words: what it is asked, for ``check``, and what it found, for a mail.  They
are said from the rule, or from a stored alert, without any detector.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import msgspec

from alertd.core.events import Alert, Incident, Match, Sample, Silence
from alertd.core.evidence import Evidence
from alertd.core.windows import HALF_TICK
from alertd.core.wording import exactly

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alertd.core.rules import Rule


class Frozen(msgspec.Struct, frozen=True, array_like=True):
    """
    A detector's state as plain data.

    Attributes:
        times: Unix seconds of the events that its window holds, oldest first.
        since_last: Events since the previous alert, or since the key was first seen.
        previous: Unix seconds of the previous alert.
        ordinal: How many alerts there were at that very time before it.
        lines: Matches kept as evidence, oldest first.
        state: What else its kind remembers, in a form of its own.
        incident: What has been too much and is not over, if its rule is to say when it is.
    """

    times: tuple[float, ...] = ()
    since_last: int = 0
    previous: float | None = None
    ordinal: int = 0
    lines: tuple[Match, ...] = ()
    state: bytes = b""
    incident: Incident | None = None


NEW = Frozen()


class Detector(ABC):
    """
    What the engine asks of every kind of rule.

    Args:
        rule: What counts as too much.
        key: The ``group_by`` values whose events it sees.
        frozen: State to take up.

    Attributes:
        evidence: The lines that an alert will show; who feeds matches adds them there first.
        since_last: Events that counted since the previous alert.
        previous: Unix seconds of the previous alert.
    """

    __slots__ = ("_cooldown", "_key", "_ordinal", "_rule", "evidence", "previous", "since_last")

    asks_since: ClassVar[bool] = False
    """Whether detectors of this kind must know from when on their rule has been watching."""

    chooses_evidence: ClassVar[bool] = False
    """Whether only they know which lines they will show; else who feeds matches keeps each line."""

    noun: ClassVar[str] = "event"
    """What ``since_last`` counts."""

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen = NEW) -> None:
        self._rule = rule
        self._key = key
        self._cooldown = rule.cooldown - HALF_TICK
        self.evidence = Evidence(frozen.lines)
        self.since_last = frozen.since_last
        self.previous = frozen.previous
        self._ordinal = frozen.ordinal

    ends_in_silence: ClassVar[bool] = True
    """Whether what was too much is over when it has not been for long enough; see ``incident``."""

    @staticmethod
    @abstractmethod
    def worst_case_bytes(rule: Rule) -> int:
        """Compute what one key of a rule remembers at most, beside what all kinds do."""

    @staticmethod
    def is_timed(rule: Rule) -> bool:
        """Tell whether time alone can change what a detector of this rule has to say."""
        del rule
        return False

    @staticmethod
    def may_begin(match: Match) -> bool:
        """Tell whether a key can begin with a match; one that cannot would only push others out."""
        del match
        return True

    @staticmethod
    def awaited(rule: Rule) -> Iterable[tuple[str, ...]]:
        """Name the keys that a rule of this kind expects before any event of theirs."""
        del rule
        return ()

    @staticmethod
    @abstractmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """
        Say on what a rule of this kind mails.

        Args:
            rule: The rule.
            lines: Which lines it sees: ``matching 'x'``.
            per: Behind a word for what happens to each key: `` per ip``; empty without keys.

        Returns:
            What follows "mails somebody", exactly: ``on the 11th line matching 'x'``.
        """

    @staticmethod
    def afterwards(rule: Rule, about: str) -> str:
        """
        Say what happens after a mail.

        Args:
            rule: The rule.
            about: Behind a word for what concerns one key: `` about that ip``; empty without keys.

        Returns:
            What follows ``asked``, exactly: ``; then stays quiet for 10 minutes``; may be empty.
        """
        if rule.cooldown:
            return f"; then stays quiet{about} for {exactly(rule.cooldown)}"
        if rule.more_than or rule.is_on_grid:
            return f"; then again on every further {rule.counted} past that limit"
        return ""

    @staticmethod
    @abstractmethod
    def excess(alert: Alert) -> str:
        """Say what happened, as a headline has it; the rule's name stands before it."""

    @staticmethod
    @abstractmethod
    def measure(alert: Alert) -> str:
        """Say how much of what happened, against which limit, in a sentence."""

    @staticmethod
    def worst(alert: Alert, measured: float) -> str:
        """Say how bad it was, as half a sentence; empty for kinds that measure nothing."""
        del alert, measured
        return ""

    @abstractmethod
    def feed(self, match: Match) -> Alert | None:
        """Judge one more match; they come in time order."""

    @property
    def deadline(self) -> float:
        """Unix seconds after which ``expire`` has something to say, unless an event comes first."""
        return math.inf

    def expire(self) -> Alert | None:
        """Judge that time has passed the deadline, which moves or is none any more by that."""
        raise AssertionError("there is no deadline")  # pragma: no cover - then nobody asks

    def watch_from(self, since: float) -> None:
        """Take up from when on its rule has been watching; before it is fed that may move back."""
        raise AssertionError(f"nobody asked: {since}")  # pragma: no cover - only who asks is told

    @abstractmethod
    def is_empty(self, now: float) -> bool:
        """Tell whether nothing that it remembers can count any more."""

    @abstractmethod
    def freeze(self) -> Frozen:
        """Return its state as plain data."""

    def is_quiet(self, now: float) -> bool:
        """Tell whether its cooldown holds."""
        return self.previous is not None and now - self.previous < self._cooldown

    def is_moot(self, now: float) -> bool:
        """
        Tell whether it is of no consequence if the limit is passed now.

        For kinds that take long to find that out.
        """
        return self.is_quiet(now)

    def is_hidden(self, now: float, measured: float = 0.0) -> bool:
        """
        Take up that the limit is passed now; tell whether the cooldown hides it.

        Args:
            now: Unix seconds.
            measured: What an alert would say was measured.
        """
        del measured
        return self.previous is not None and now - self.previous < self._cooldown

    def is_spent(self, now: float) -> bool:
        """Tell whether forgetting it could change no later alert, but perhaps a number in one."""
        return self.is_empty(now) and not self.is_quiet(now)

    def is_idle(self, now: float) -> bool:
        """Tell whether forgetting it would change no later answer."""
        return self.is_spent(now) and (self.previous is None or self.since_last == 0)

    def _frozen(self, *, times: tuple[float, ...] = (), state: bytes = b"") -> Frozen:
        lines = tuple(self.evidence.lines)
        return Frozen(times, self.since_last, self.previous, self._ordinal, lines, state)

    def _ring(
        self,
        match: Match,
        *,
        count: int,
        since: float,
        histogram: tuple[int, ...] = (),
        values: tuple[str, ...] = (),
        total: int = 0,
        bound: float = 0.0,
        measured: float = 0.0,
        silence: Silence | None = None,
        days: int = 0,
    ) -> Alert:
        """Raise an alert; what was hidden before it is counted anew from here."""
        rule, time = self._rule, match.time
        self._ordinal = self._ordinal + 1 if self.previous == time else 0
        # Where nothing is what it is about, there may be no line.
        samples = self.evidence.samples() or (Sample(time, match.path, match.offset, match.line),)
        alert = Alert(
            id=alert_id(rule.name, self._key, time, self._ordinal),
            rule=rule.name,
            key=tuple(zip(rule.group_by, self._key, strict=True)),
            time=time,
            count=count,
            limit=rule.more_than,
            within=rule.within,
            since=since,
            since_last=self.since_last,
            previous=self.previous,
            path=match.path,
            offset=match.offset,
            line=match.line,
            first=samples[0],
            last=samples[-self.evidence.shown :],
            histogram=histogram,
            event_time=match.event_time,
            kind=rule.kind,
            field=rule.value,
            values=values,
            total=total,
            bound=bound,
            metric=rule.metric,
            measured=measured,
            is_below=rule.is_below,
            silence=silence,
            days=days,
        )
        self.previous = time
        self.since_last = 0
        self._rang(alert)
        return alert

    def _rang(self, alert: Alert) -> None:
        """Take up that an alert was raised."""
        del alert

    def _over(self, time: float) -> Alert | None:
        """
        Take up that what was too much is over, and always say so: most rules do not care.

        Returns:
            The resolution, if there was an incident and its end is to be told.
        """
        del time
        return None


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
