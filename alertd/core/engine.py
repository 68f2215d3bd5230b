"""
Every rule's detectors: matches in, alerts out.

``feed`` takes matches in the order in which they count (see ``ordering``).  What time alone does
(nothing yet for counting rules) happens in ``advance``, whose clock is the driver's: live, once the
sources have been read to their end; in ``replay``, up to the last event.

State is one keyspace a rule, frozen to plain data under the rule's name, so that it can be stored
piece by piece, and split over as many processes as there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from alertd.core.detectors import DETECTORS
from alertd.core.keyspace import COOLING_SHARE, Keyspace, Snapshot, at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

EVIDENCE_BYTES = 32 * 1024 * 1024
"""All lines kept for mails together; beyond it those of the keys seen longest ago go."""

EVIDENCE_CHECK = 1000
"""Matches after which that is looked at: the more there are, the more is to be done at once."""

# What a key costs at most, by sys.getsizeof on CPython 3.11: its detector with its place in an
# ordered dictionary; a value of 256 characters outside the BMP; a cooldown that outlived its key.
KEY_BYTES = 750
VALUE_BYTES = 76 + 4 * 256
COOLING_BYTES = 450


class Engine:
    """
    Judges the matches of every rule.

    Args:
        rules: What is too much.
        shards: State to take up, by rule name, as ``freeze`` gave it.

    Attributes:
        taken_up: The rules that continue from such state; the others mean something new.
    """

    def __init__(self, rules: Iterable[Rule], shards: Mapping[str, bytes] | None = None) -> None:
        self._keyspaces = {rule.name: Keyspace(rule) for rule in rules}
        self._feeds: dict[str, Callable[[Match], Alert | None]] = {}
        self._fed = 0
        snapshots = {
            name: msgspec.msgpack.decode(shard, type=Snapshot)
            for name, shard in (shards or {}).items()
        }
        self.taken_up = self._take_up(snapshots)

    def feed(self, matches: Sequence[Match]) -> list[Alert]:
        """
        Judge matches, which come in the order in which they count.

        Returns:
            The alerts that they raise, in the same order.
        """
        alerts = []
        feeds = self._feeds
        for match in matches:
            alert = feeds[match.rule](match)
            if alert is not None:
                alerts.append(alert)
        self._fed += len(matches)
        if self._fed >= EVIDENCE_CHECK:
            self._fed = 0
            self._bound_evidence()
        return alerts

    def advance(self, now: float) -> list[Alert]:
        """Return the alerts that the mere passing of time up to ``now`` raises: none, so far."""
        del now
        return []

    def next_deadline(self) -> float | None:
        """Return the Unix seconds at which ``advance`` may have something to say: never, so far."""
        return None

    def freezing(self, rule: str) -> Generator[None, None, bytes]:
        """Give one rule's state as bytes, after some steps between which nothing may be fed."""
        return msgspec.msgpack.encode((yield from self._keyspaces[rule].freezing()))

    def freeze(self, rule: str) -> bytes:
        """Return one rule's state as bytes."""
        return at_once(self.freezing(rule))

    def adopt(self, old: Engine) -> None:
        """
        Take up the state of the engine before a reload, as far as it still means the same.

        What judges as before goes on as it is, so the old engine must not be used any more.
        """
        snapshots = {}
        unchanged = set()
        for name, keyspace in old._keyspaces.items():
            own = self._keyspaces.get(name)
            if own is not None and keyspace.judges_like(own.rule):
                keyspace.rule = own.rule
                self._keyspaces[name] = keyspace
                unchanged.add(name)
            elif own is not None:
                snapshots[name] = keyspace.freeze()
        self.taken_up = self._take_up(snapshots) | unchanged

    def keys(self) -> dict[str, int]:
        """Count the keys that each rule remembers."""
        return {name: len(keyspace) for name, keyspace in self._keyspaces.items()}

    def evictions(self) -> dict[str, int]:
        """Count the keys that each rule has had to forget although they still counted."""
        return {name: keyspace.evictions for name, keyspace in self._keyspaces.items()}

    def _take_up(self, snapshots: Mapping[str, Snapshot]) -> frozenset[str]:
        """Continue from these where they still mean the same; return the rules that do."""
        taken_up = set()
        for name, snapshot in snapshots.items():
            keyspace = self._keyspaces.get(name)
            if keyspace is not None and snapshot.is_meant_for(keyspace.rule):
                self._keyspaces[name] = Keyspace(keyspace.rule, snapshot)
                taken_up.add(name)
        self._feeds = {name: keyspace.feed for name, keyspace in self._keyspaces.items()}
        return frozenset(taken_up)

    def _bound_evidence(self) -> None:
        while sum(keyspace.held for keyspace in self._keyspaces.values()) > EVIDENCE_BYTES:
            max(self._keyspaces.values(), key=lambda keyspace: keyspace.held).shed()


def worst_case_bytes(rule: Rule) -> int:
    """Compute the memory that a rule's keys take at most, without the lines kept for mails."""
    values = len(rule.group_by) * VALUE_BYTES
    keys = rule.max_keys if rule.group_by else 1
    key = KEY_BYTES + values + DETECTORS[rule.kind].worst_case_bytes(rule)
    return keys * key + keys // COOLING_SHARE * (COOLING_BYTES + values)
