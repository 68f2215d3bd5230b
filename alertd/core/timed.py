"""
The keys of a rule for which time alone counts, too: silence, or the end of what was too much.

What comes after a deadline has been judged cannot undo it: a match that is older than that takes
its time, as one does that is older than its rule's newest event (see ``ordering``).

Where only the end of an incident is awaited, deadlines come with alerts, and nothing else need be
looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.deadlines import NEVER, Deadlines
from alertd.core.detectors import DETECTORS
from alertd.core.events import PASSED, Match, retimed
from alertd.core.keyspace import Key, Keyspace, Snapshot

if TYPE_CHECKING:
    from alertd.core.events import Alert
    from alertd.core.rules import Rule


class TimedKeyspace(Keyspace):
    """
    Every key of one rule whose detectors have deadlines; see ``Keyspace``.

    Attributes:
        awaits_ends_only: Deadlines come to be with alerts only.
    """

    __slots__ = ("_awaited", "_deadlines", "awaits_ends_only")

    def __init__(self, rule: Rule, snapshot: Snapshot | None = None) -> None:
        super().__init__(rule, snapshot)
        self._awaited = frozenset(self._kind.awaited(rule))
        self.awaits_ends_only = not DETECTORS[rule.kind].is_timed(rule)
        self._deadlines = Deadlines(self._deadline_of)
        for key in self._detectors:
            self._deadlines.note(key)

    @property
    def due(self) -> float:
        """Unix seconds of the earliest deadline, or infinity; exact once it is ``settled``."""
        return self._deadlines.due

    def settled(self) -> float:
        """Make sure of ``due``, and return it."""
        self._deadlines.settle()
        return self._deadlines.due

    def begin(self, time: float) -> bool:
        """Take up from when on the rule has been watching; see ``Keyspace``."""
        is_news = super().begin(time)
        for key in self._detectors:
            self._deadlines.note(key)
        return is_news

    def feed(self, match: Match) -> Alert | None:
        """Hand a match to its key's detector; return the alert that it raises, if any."""
        if match.time < self.passed:
            match = retimed(match, self.passed)
        if self.awaits_ends_only:
            alert = Keyspace.feed(self, match)
            if alert is not None:
                self._deadlines.note(self._key_of(match))
            return alert
        key = self._key_of(match)
        if self._awaited and key not in self._awaited:
            return None
        alert = Keyspace.feed(self, match)
        self._deadlines.note(key)
        return alert

    def _key_of(self, match: Match) -> Key:
        return match.key[:-1] if self._is_value_judged else match.key

    def passing(self) -> Match:
        """Say, as a match, that the time of the earliest deadline has passed."""
        return Match(self.rule.name, self._deadlines.first(), self.due, "", PASSED, "")

    def expire(self, passing: Match) -> Alert | None:
        """Judge that; return the alert that it raises, if any."""
        self.passed = max(self.passed, passing.time)
        detector = self._detectors.get(passing.key)
        alert = None
        if detector is not None and detector.deadline <= passing.time:
            held = detector.evidence.weight
            alert = detector.expire()
            self.held += detector.evidence.weight - held
        self._deadlines.note(passing.key)
        return alert

    def _deadline_of(self, key: Key) -> float:
        detector = self._detectors.get(key)
        return NEVER if detector is None else detector.deadline
