"""
Every rule's detectors: matches in, alerts out.

``feed`` takes the matches of one stream in the order in which they count (see ``ordering``).  What
time alone does happens before the first match that is later, to whichever rule of the stream; and
in ``advance``, whose clock is the driver's: live, once the sources have been read to their end; in
``replay``, up to the last line.

Trap: state is stored rule by rule, so which deadlines have passed, and from when on a rule has been
watching, cannot be told from other rules' matches when a crash is made up for.  Both are written
down among the matches (``BEGUN``, ``PASSED``), and ``repeat`` does what stands there, no more.

An alert is an event for the rules that watch its rule, at once.  These events are written down,
too: ``repeat`` does not make them again of the alerts that it gives.

State is one keyspace a rule, frozen to plain data under the rule's name, so that it can be stored
piece by piece, and split over as many processes as there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from alertd.core.deadlines import DEADLINE_BYTES, NEVER, STALE_SHARE
from alertd.core.detectors import DETECTORS, detector_class
from alertd.core.detectors.alerts import event
from alertd.core.detectors.incident import incident_bytes
from alertd.core.events import BEGUN, PASSED, Match
from alertd.core.keyspace import COOLING_SHARE, Keyspace, Snapshot
from alertd.core.steps import at_once
from alertd.core.streams import streams_of
from alertd.core.timed import TimedKeyspace

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Generator,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from alertd.core.events import Alert
    from alertd.core.rules import Rule
    from alertd.core.streams import Stream

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
        rules = tuple(rules)
        self._keyspaces = {rule.name: _keyspace(rule) for rule in rules}
        self._stream_of = streams_of(rules)
        # Of each rule, those that watch it.
        self._watchers: dict[str, list[Rule]] = {}
        for rule in rules:
            for watched in rule.watches:
                self._watchers.setdefault(watched, []).append(rule)
        self._feeds: dict[str, Callable[[Match], Alert | None]] = {}
        # Of each stream, the rules for which time alone counts, and those that ask since when.
        self._timed: dict[Stream, dict[str, TimedKeyspace]] = {}
        self._beginning: dict[Stream, list[Keyspace]] = {}
        self._fed = 0
        snapshots = {
            name: msgspec.msgpack.decode(shard, type=Snapshot)
            for name, shard in (shards or {}).items()
        }
        self.taken_up = self._take_up(snapshots)

    def feed(self, matches: Sequence[Match], trail: list[Match] | None = None) -> list[Alert]:
        """
        Judge matches of one stream, which come in the order in which they count.

        Args:
            matches: What is to be judged.
            trail: What ``repeat`` needs to do the same again is appended here.

        Returns:
            The alerts that they raise, in the same order.
        """
        timed = self._timed.get(self._stream_of[matches[0].rule]) if matches else None
        if timed:
            alerts = self._feed_in_time(timed, matches, trail)
        else:
            alerts = []
            feeds = self._feeds
            for match in matches:
                alert = feeds[match.rule](match)
                if alert is not None:
                    alerts += self._with_watchers(alert, trail)
            if trail is not None:
                trail += matches
        self._fed += len(matches)
        if self._fed >= EVIDENCE_CHECK:
            self._fed = 0
            self._bound_evidence()
        return alerts

    def _feed_in_time(
        self,
        timed: Mapping[str, TimedKeyspace],
        matches: Sequence[Match],
        trail: list[Match] | None,
    ) -> list[Alert]:
        """Judge matches, and before each of them the deadlines that have passed."""
        alerts = []
        feeds = self._feeds
        restless = {name for name, keyspace in timed.items() if not keyspace.awaits_ends_only}
        # No deadline is earlier; without an alert, only one of the rule at hand can come to be.
        due = _earliest(timed)
        for match in matches:
            if due < match.time:
                for passed in self._expired(timed.values(), match.time, trail):
                    alerts += passed
                due = _earliest(timed)
            alert = feeds[match.rule](match)
            if alert is not None:
                alerts += self._with_watchers(alert, trail)
                due = _earliest(timed)
            elif match.rule in restless:
                due = min(due, timed[match.rule].due)
            if trail is not None:
                trail.append(match)
        return alerts

    def begin(self, stream: Stream, time: float, trail: list[Match] | None = None) -> None:
        """
        Tell a stream's rules from when on they have been watching, at the latest.

        Args:
            stream: Which one.
            time: Unix seconds of the first line of a file.
            trail: See ``feed``.
        """
        for keyspace in self._beginning.get(stream, ()):
            self._begin(keyspace, time, trail)

    def begun(self, stream: Stream, time: float, trail: list[Match] | None = None) -> None:
        """
        Tell a stream's rules that no earlier line will come.

        Args:
            stream: Which one.
            time: Unix seconds from which on those have been watching that know of no line.
            trail: See ``feed``.
        """
        for keyspace in self._beginning.pop(stream, ()):
            if keyspace.is_beginning:
                self._begin(keyspace, time, trail)

    @staticmethod
    def _begin(keyspace: Keyspace, time: float, trail: list[Match] | None) -> None:
        if keyspace.begin(time) and trail is not None:
            trail.append(Match(keyspace.rule.name, (), time, "", BEGUN, ""))

    def has_begun(self, stream: Stream) -> bool:
        """Tell whether no rule of a stream asks from when on it has been watching."""
        return stream not in self._beginning

    def advance(
        self, stream: Stream, now: float, trail: list[Match] | None = None
    ) -> Iterator[list[Alert]]:
        """
        Judge what has not happened before a time.

        Args:
            stream: Whose rules are asked.
            now: Unix seconds; deadlines at it have not passed.
            trail: See ``feed``.

        Yields:
            The alerts that each passed deadline raises, often none; others may have their turns in
            between, but nothing may be fed.
        """
        return self._expired(self._timed.get(stream, {}).values(), now, trail)

    def next_deadline(self, stream: Stream) -> float:
        """Return the Unix seconds after which ``advance`` has something to do; else infinity."""
        timed = self._timed.get(stream, {})
        return min((keyspace.settled() for keyspace in timed.values()), default=NEVER)

    def repeat(self, trail: Iterable[Match]) -> None:
        """Do again what was done before a crash, with the alerts that came of it."""
        for match in trail:
            keyspace = self._keyspaces[match.rule]
            if match.offset == BEGUN:
                keyspace.begin(match.time)
            elif match.offset == PASSED:
                # Time may be none of the rule's business any more: it was told not to resolve.
                if isinstance(keyspace, TimedKeyspace):
                    keyspace.expire(match)
            elif keyspace.rule.watches:
                # Which alerts it saw stands here, too: theirs may be older than what was stored.
                self._feed_watcher(match)
            else:
                keyspace.feed(match)
        self._connect()

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
                self._keyspaces[name] = _keyspace(keyspace.rule, snapshot)
                taken_up.add(name)
        self._connect()
        return frozenset(taken_up)

    def _connect(self) -> None:
        """Find what is asked of each rule's keys."""
        self._feeds = {}
        self._timed = {}
        self._beginning = {}
        for name, keyspace in self._keyspaces.items():
            stream = self._stream_of[name]
            self._feeds[name] = keyspace.feed
            if isinstance(keyspace, TimedKeyspace):
                self._timed.setdefault(stream, {})[name] = keyspace
            if keyspace.is_beginning:
                self._beginning.setdefault(stream, []).append(keyspace)

    def _expired(
        self, timed: Collection[TimedKeyspace], time: float, trail: list[Match] | None
    ) -> Iterator[list[Alert]]:
        """Judge, one by one, the deadlines before a time, the earliest first."""
        while True:
            earliest = min(timed, key=_due, default=None)
            if earliest is None or earliest.due >= time:
                return
            if earliest.due != earliest.settled():
                continue
            passing = earliest.passing()
            alert = earliest.expire(passing)
            if trail is not None:
                trail.append(passing)
            yield [] if alert is None else self._with_watchers(alert, trail)

    def _with_watchers(self, alert: Alert, trail: list[Match] | None) -> list[Alert]:
        """Hand an alert to the rules that watch its rule; give it, and what came of that."""
        raised = [alert]
        # Whoever watches sees alerts in this order, too: what came of one after that one.
        for each in raised:
            for rule in self._watchers.get(each.rule, ()) if each.end is None else ():
                event = self._event_of(each, rule)
                if trail is not None:
                    trail.append(event)
                further = self._feed_watcher(event)
                if further is not None:
                    raised.append(further)
        return raised

    def _event_of(self, alert: Alert, rule: Rule) -> Match:
        """Make an event of an alert, for a rule that watches its rule."""
        what = DETECTORS[alert.kind].excess(alert)
        return event(alert, rule, what, self._keyspaces[rule.name].passed)

    def _feed_watcher(self, event: Match) -> Alert | None:
        """Hand an event to the rule that watches; none that comes later is earlier."""
        keyspace = self._keyspaces[event.rule]
        keyspace.passed = event.time
        return keyspace.feed(event)

    def _bound_evidence(self) -> None:
        while sum(keyspace.held for keyspace in self._keyspaces.values()) > EVIDENCE_BYTES:
            max(self._keyspaces.values(), key=lambda keyspace: keyspace.held).shed()


def _earliest(timed: Mapping[str, TimedKeyspace]) -> float:
    return min((keyspace.due for keyspace in timed.values()), default=NEVER)


def _due(keyspace: TimedKeyspace) -> float:
    return keyspace.due


def _keyspace(rule: Rule, snapshot: Snapshot | None = None) -> Keyspace:
    is_timed = detector_class(rule).is_timed(rule)
    return TimedKeyspace(rule, snapshot) if is_timed else Keyspace(rule, snapshot)


def worst_case_bytes(rule: Rule) -> int:
    """Compute the memory that a rule's keys take at most, without the lines kept for mails."""
    values = len(rule.group_by) * VALUE_BYTES
    keys = rule.max_keys if rule.group_by else 1
    kind = detector_class(rule)
    key = KEY_BYTES + values + kind.worst_case_bytes(rule)
    if rule.resolve:
        key += incident_bytes(rule)
    if kind.is_timed(rule):
        key += DEADLINE_BYTES + values // STALE_SHARE
    return keys * key + keys // COOLING_SHARE * (COOLING_BYTES + values)
