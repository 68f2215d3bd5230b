"""
The detectors of one rule, by key, bounded.

Whoever writes the log chooses the keys, so their number is limited: at the limit the key seen
longest ago goes.  Its cooldown stays until it ends, or else a flood of new keys could make an old
one ring again.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from alertd.core.detectors import Detector, Frozen, detector_class
from alertd.core.evidence import MOST_LINES
from alertd.core.rules import MISS
from alertd.core.steps import at_once
from alertd.core.windows import HALF_TICK

if TYPE_CHECKING:
    from collections.abc import Generator

    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

Key: TypeAlias = tuple[str, ...]

FROZEN_AT_ONCE = 1_000
"""Keys that are frozen in one step: some milliseconds."""

COOLING_SHARE = 4
"""One in so many of ``max_keys``, at least one, may be a cooldown that outlives its key."""


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """
    A keyspace as plain data.

    Attributes:
        identity: The rule's identity: state is taken up only by a rule that means the same.
        limit: The rule's ``more_than``: a raised limit needs more history than was kept.
        detectors: By key, the one seen longest ago first.
        cooling: Cooldowns of evicted keys, the one evicted longest ago first.
        evictions: Keys that went while they still counted.
        since: Unix seconds from which on the rule has been watching, where its kind asks.
        passed: Unix seconds up to which deadlines have been judged; of a rule that watches others,
            at least of its newest event.
    """

    identity: str
    limit: int
    detectors: tuple[tuple[Key, Frozen], ...]
    cooling: tuple[tuple[Key, Frozen], ...]
    evictions: int
    since: float | None = None
    passed: float = -math.inf

    def is_meant_for(self, rule: Rule) -> bool:
        """Tell whether a rule may continue from here."""
        return self.identity == rule.identity and rule.more_than <= self.limit


class Keyspace:
    """
    Every key of one rule.

    Args:
        rule: Whose keys they are.
        snapshot: State to take up, meant for this rule.

    Attributes:
        evictions: Keys that went while they still counted.
        held: Bytes of evidence, roughly.
        rule: Whose keys they are.
        since: Unix seconds from which on the rule has been watching, where its kind asks; ``None``
            until that is known.
        passed: Unix seconds up to which deadlines have been judged.
    """

    __slots__ = (
        "_cooling",
        "_detector_of",
        "_detectors",
        "_is_marked",
        "_is_value_judged",
        "_kind",
        "_within",
        "evictions",
        "held",
        "passed",
        "rule",
        "since",
    )

    def __init__(self, rule: Rule, snapshot: Snapshot | None = None) -> None:
        self.rule = rule
        self._kind = detector_class(rule)
        self._detectors: OrderedDict[Key, Detector] = OrderedDict()
        self._detector_of = self._detectors.get
        self._is_value_judged = rule.is_judged
        self._is_marked = rule.is_marked
        # Where there is no window, what is older than the line at hand is no evidence; but where a
        # line is missing, those before it are.
        self._within = rule.within or (math.inf if rule.by else HALF_TICK)
        self._cooling: OrderedDict[Key, Frozen] = OrderedDict()
        self.evictions = 0
        self.held = 0
        self.since: float | None = None
        self.passed = -math.inf
        if snapshot is not None:
            self.since = snapshot.since
            self.passed = snapshot.passed
            for key, frozen in snapshot.detectors[-rule.max_keys :]:
                detector = self._detectors[key] = self._made(key, frozen)
                self.held += detector.evidence.weight
            self._cooling.update(snapshot.cooling)
            self.evictions = snapshot.evictions

    def __len__(self) -> int:
        return len(self._detectors)

    def feed(self, match: Match) -> Alert | None:
        """Hand a match to its key's detector; return the alert that it raises, if any."""
        key = match.key[:-1] if self._is_value_judged else match.key
        detector = self._detector_of(key)
        if detector is None:
            if not self._kind.may_begin(match):
                return None
            detector = self._admit(key, match.time)
        else:
            self._detectors.move_to_end(key)
        if self._is_marked:
            if match.key[-1] == MISS:
                # What only makes others a smaller share shows nobody anything.
                return detector.feed(match)
            if self._kind.chooses_evidence:
                held = detector.evidence.weight
                alert = detector.feed(match)
                self.held += detector.evidence.weight - held
                return alert
        evidence, line = detector.evidence, match.line
        lines = evidence.lines
        if (
            len(lines) == MOST_LINES
            and len(line) <= evidence.room
            and line.isascii()
            and not self._is_value_judged
        ):
            # As nearly always: one line takes the place of another (see `Evidence.add`).
            lines.append(match)
            del lines[0 if match.time - lines[0].time >= self._within else 1]
        else:
            self.held += evidence.add(match, self._within)
        return detector.feed(match)

    @property
    def is_beginning(self) -> bool:
        """Whether its rule must still be told from when on it has been watching."""
        return self._kind.asks_since and self.since is None

    def begin(self, time: float) -> bool:
        """
        Take up from when on the rule has been watching; before any match, it may become earlier.

        Args:
            time: Unix seconds of the first line that was looked at, or of when there was none.

        Returns:
            Whether that was news.
        """
        if not self._kind.asks_since or (self.since is not None and time >= self.since):
            return False
        self.since = time
        for key in self._kind.awaited(self.rule):
            if key in self._detectors:
                self._detectors[key].watch_from(time)
            else:
                self._admit(key, time)
        return True

    def shed(self) -> None:
        """Forget half of the evidence, that of the keys that were seen longest ago."""
        enough = self.held // 2
        for detector in self._detectors.values():
            if self.held <= enough:
                break
            self.held -= detector.evidence.clear()

    def freezing(self) -> Generator[None, None, Snapshot]:
        """
        Give its state as plain data, after some steps between which nothing may be fed.

        A million keys take seconds, in which others want their turns.
        """
        detectors = []
        for number, (key, detector) in enumerate(self._detectors.items(), 1):
            detectors.append((key, detector.freeze()))
            if number % FROZEN_AT_ONCE == 0:
                yield
        return Snapshot(
            self.rule.identity,
            self.rule.more_than,
            tuple(detectors),
            tuple(self._cooling.items()),
            self.evictions,
            self.since,
            self.passed,
        )

    def freeze(self) -> Snapshot:
        """Return its state as plain data."""
        return at_once(self.freezing())

    def judges_like(self, rule: Rule) -> bool:
        """Tell whether a rule differs from its own, if at all, in whom it tells and what."""
        return rule == replace(
            self.rule,
            recipients=rule.recipients,
            severity=rule.severity,
            description=rule.description,
        )

    def _admit(self, key: Key, now: float) -> Detector:
        self._forget(now)
        if self.is_beginning:
            self.begin(now)
            if key in self._detectors:
                return self._detectors[key]
        frozen = self._cooling.pop(key, Frozen())
        detector = self._detectors[key] = self._made(key, frozen)
        return detector

    def _made(self, key: Key, frozen: Frozen) -> Detector:
        detector = self._kind(self.rule, key, frozen)
        if self.since is not None:
            detector.watch_from(self.since)
        return detector

    def _forget(self, now: float) -> None:
        """Make room for one more key: idle ones first, else the one seen longest ago."""
        detectors, max_keys = self._detectors, self.rule.max_keys
        while detectors:
            key = next(iter(detectors))
            oldest = detectors[key]
            is_idle = oldest.is_idle(now)
            if len(detectors) < max_keys and not is_idle:
                return
            del detectors[key]
            self.held -= oldest.evidence.weight
            if is_idle:
                continue
            if not oldest.is_spent(now):
                self.evictions += 1
            if oldest.is_quiet(now):
                self._keep_quiet(key, oldest, now)

    def _keep_quiet(self, key: Key, detector: Detector, now: float) -> None:
        cooling = self._cooling
        while cooling:
            oldest, frozen = next(iter(cooling.items()))
            is_over = not self._kind(self.rule, oldest, frozen).is_quiet(now)
            if not is_over and len(cooling) < max(1, self.rule.max_keys // COOLING_SHARE):
                break
            del cooling[oldest]
        frozen = detector.freeze()
        cooling[key] = msgspec.structs.replace(frozen, times=(), lines=(), state=b"", incident=None)
