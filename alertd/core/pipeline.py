"""
A batch of lines in, alerts out: the order of the core's steps, for every driver.

The daemon and ``replay`` differ in where batches come from and in what becomes of alerts; what lies
between is here, once.  A driver says which files are behind, hands over batches, and asks what may
be released.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from alertd.core.beginning import first_time
from alertd.core.engine import Engine
from alertd.core.events import Alert, Match, Sample
from alertd.core.evidence import LINE_CHARS, shortened
from alertd.core.matching import Counters
from alertd.core.ordering import NO_LIMIT, File, Ordering, Snapshot, rearranged
from alertd.core.own import LOOKED_INTO, OwnLines
from alertd.core.steps import at_once
from alertd.core.streams import Stream, streams_of

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence

    from alertd.core.events import Batch
    from alertd.core.framing import Framing
    from alertd.core.matching import Matched, Matcher
    from alertd.core.rules import Rule, Source


GRACE_SECONDS = 2.0
"""Lines may lie in their writer's buffer for so long, or say only in which second they happened."""


class Stored(msgspec.Struct, frozen=True):
    """
    What a pipeline continues from.

    Attributes:
        shards: The engine's state by rule, each with the number of the last journal entry in it.
        journal: Matches that were released since, as ``take_journal`` gave them, by number.
        waiting: Matches that were not released yet, as ``freeze_waiting`` gave them.
    """

    shards: Mapping[str, tuple[int, bytes]] = {}
    journal: Sequence[tuple[int, bytes]] = ()
    waiting: bytes = b""


class Pipeline:
    """
    Matchers, orderings and the engine in a row.

    Args:
        sources: Where lines come from.
        rules: What is too much.
        matchers: One a source, by its name.  What they find for other rules is left out.
        stored: What to continue from.
        is_journaled: Whether ``take_journal`` will be called; what was judged is kept for it.
        host: The name of this machine, by which alertd's own mails are known in a mail log.

    Attributes:
        rules: By name.
        matchers: By the name of their source.
        engine: What judges.
        counters: What went less than well with the lines that were looked at.
        counters_of: The same by source, since the start.
        own: Matches that were left out because alertd itself wrote their lines.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        rules: Iterable[Rule],
        matchers: Mapping[str, Matcher],
        stored: Stored | None = None,
        *,
        is_journaled: bool = True,
        host: str = "",
    ) -> None:
        stored = stored or Stored()
        self._is_journaled = is_journaled
        self.rules = {rule.name: rule for rule in rules}
        self.matchers = matchers
        self.engine = Engine(
            self.rules.values(), {name: shard for name, (_, shard) in stored.shards.items()}
        )
        sources = tuple(sources)
        self._lateness = {source.name: source.lateness for source in sources}
        self._own = {
            source.name: OwnLines(host) for source in sources if source.format in LOOKED_INTO
        }
        self._has_others = any(
            name not in self.rules
            for source in sources
            if source.name in matchers
            for name in matchers[source.name].names
        )
        self.own = 0
        self.counters = Counters()
        self.counters_of: dict[str, Counters] = {}
        # Every match that was judged since the journal was taken, and what else `repeat` needs.
        self._released: list[Match] = []
        # Files whose first time has been looked for, where rules ask from when on they watch.
        self._first_looked: set[tuple[Stream, File]] = set()
        self._reapply(stored)
        waiting = {}
        if stored.waiting:
            waiting = msgspec.msgpack.decode(stored.waiting, type=dict[str, Snapshot])
        self._arrange(waiting, self.engine.taken_up)

    @property
    def waiting(self) -> int:
        """How many matches wait for files that are behind, or for ``lateness`` to pass."""
        return sum(ordering.waiting for ordering in self._orderings.values())

    @property
    def uncommitted(self) -> int:
        """How many matches were judged since ``take_journal`` was called."""
        return len(self._released)

    @property
    def late(self) -> int:
        """How many matches came too late for their own time."""
        return sum(ordering.late for ordering in self._orderings.values())

    def behind(self, source: str, file: File, front: float | None) -> None:
        """
        Note that a file of a source has lines that have not been read.

        Args:
            source: The source's name.
            file: The file's path and identity.
            front: Unix seconds of the newest line read from it, ``None`` when there is none.
        """
        for ordering in self._orderings_of.get(source, {}).values():
            ordering.behind(file, front)

    def at_end(self, source: str, file: File) -> None:
        """Note that a file of a source has been read to its end, or cannot be read."""
        for ordering in self._orderings_of.get(source, {}).values():
            ordering.at_end(file)

    def slowest(self) -> set[File]:
        """Return the files for which others wait."""
        return {
            file
            for ordering in self._orderings.values()
            if ordering.waiting
            for file in ordering.slowest()
        }

    def waiting_sources(self) -> set[str]:
        """Name the sources whose files may have matches that wait."""
        return {
            source
            for stream, ordering in self._orderings.items()
            if ordering.waiting
            for source in stream
        }

    def take(
        self,
        batch: Batch,
        framing: Framing,
        *,
        now: float | None,
        holders: Sequence[str] = (),
    ) -> Matched:
        """
        Match a batch and put what matches in its place in the order.

        Args:
            batch: Lines of one file, following those that ``framing`` knows.
            framing: What the file has taught so far; brought up to date.
            now: Unix seconds by the clock; ``None`` when there is none.
            holders: All sources that follow this very file, when there are several: a rule sees
                its lines through the first of its sources only.

        Returns:
            What was matched; ``consumed`` says how far.
        """
        self._note_beginning(batch, framing)
        matched = self.matchers[batch.source].match(batch, framing, now=now)
        self._count(self.counters, matched.counters)
        self._count(self.counters_of.setdefault(batch.source, Counters()), matched.counters)
        matches = matched.matches
        if self._has_others:
            matches = [match for match in matches if match.rule in self.rules]
        own = self._own.get(batch.source)
        if matches and own is not None:
            found = len(matches)
            matches = own.left_out_of(matches)
            self.own += found - len(matches)
        if len(holders) > 1:
            matches = [match for match in matches if self._sees(match.rule, batch.source, holders)]
        front = -math.inf if framing.newest_time is None else framing.newest_time
        file = (batch.path, batch.file)
        orderings = self._orderings_of[batch.source].values()
        for ordering in orderings:
            its = (
                matches
                if len(orderings) == 1
                else [match for match in matches if self._ordering_by_rule[match.rule] is ordering]
            )
            ordering.add(file, its, front=front, read_at=batch.read_at)
        return matched

    def release(self, now: float | None = None) -> list[Alert]:
        """
        Judge the matches that need not wait any longer.

        Args:
            now: Unix seconds by the clock, if there is one.

        Returns:
            The alerts that they raise.
        """
        return [alert for alerts in self.releases(now, NO_LIMIT) for alert in alerts]

    def releases(self, now: float | None, most: int) -> Iterator[list[Alert]]:
        """
        Judge like ``release``, in portions.

        Args:
            now: Unix seconds by the clock, if there is one.
            most: Matches that are judged at once.

        Yields:
            The alerts of each portion, often none; until the last one nothing else may be asked
            of this pipeline.
        """
        for stream, ordering in self._orderings.items():
            for matches in ordering.releases(now, most):
                yield self._judge(stream, matches)

    def flush(self, end: float | None = None) -> list[Alert]:
        """
        Judge all that waits: nothing more will come.

        Args:
            end: Unix seconds of the newest line, up to which time has passed; ``None`` where no
                line has one.
        """
        alerts = []
        for stream, ordering in self._orderings.items():
            alerts += self._judge(stream, ordering.flush())
            if end is not None:
                for passed in self._pass_time(stream, end):
                    alerts += passed
        return alerts

    def deadline(self) -> float | None:
        """Return the Unix seconds by the clock at which ``release`` may have something to say."""
        deadlines = [ordering.deadline() for ordering in self._orderings.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def advance(self, now: float, unread: Collection[str]) -> Iterator[list[Alert]]:
        """
        Judge what has not happened, as far as that can be known by now.

        Args:
            now: Unix seconds by the clock, read before all files were last looked at.
            unread: The sources that had lines to read after that look: their rules' time stands
                still.

        Yields:
            Alerts, often none; others may have their turns in between, but until the last ones
            nothing else may be asked of this pipeline.
        """
        for stream, ordering in self._orderings.items():
            time = min(now - ordering.lateness - GRACE_SECONDS, ordering.settled)
            if time > -math.inf and not any(source in unread for source in stream):
                yield from self._pass_time(stream, time)

    def next_deadline(self) -> float:
        """Return the Unix seconds by the clock at which ``advance`` has something to do."""
        return min(
            (
                self.engine.next_deadline(stream) + ordering.lateness + GRACE_SECONDS
                if self.engine.has_begun(stream)
                else -math.inf
                for stream, ordering in self._orderings.items()
            ),
            default=math.inf,
        )

    def take_journal(self) -> bytes | None:
        """Return what was judged since the last call, as bytes; ``None`` if that is nothing."""
        if not self._released:
            return None
        journal = msgspec.msgpack.encode(
            [
                match if len(match.line) <= LINE_CHARS else shortened(match)
                for match in self._released
            ]
        )
        self._released = []
        return journal

    def freezing_waiting(self) -> Generator[None, None, bytes]:
        """
        Give what waits, and what is known of the order so far, as bytes to be stored.

        It takes some steps, between which nothing may be taken or released.
        """
        snapshots = {}
        for stream, ordering in self._orderings.items():
            snapshots[_stored(stream)] = yield from ordering.freezing()
        return msgspec.msgpack.encode(snapshots)

    def freeze_waiting(self) -> bytes:
        """Return that at once."""
        return at_once(self.freezing_waiting())

    def adopt(self, old: Pipeline) -> None:
        """Take up the state of the pipeline before a reload, as far as it still means the same."""
        self.engine.adopt(old.engine)
        same = {
            name
            for name, rule in self.rules.items()
            if name in old.rules and old.rules[name].identity == rule.identity
        }
        frozen = {_stored(stream): ordering.freeze() for stream, ordering in old._orderings.items()}
        self._arrange(frozen, same)
        self._released = old._released
        self.counters = old.counters
        self.counters_of = old.counters_of
        self.own = old.own

    @staticmethod
    def _count(total: Counters, counters: Counters) -> None:
        """Add to ``total`` what went less than well in one more batch."""
        for rule, lines in counters.without_key.items():
            total.without_key[rule] = total.without_key.get(rule, 0) + lines
        total.undecided += counters.undecided
        total.unparsable += counters.unparsable
        total.clamped += counters.clamped
        total.untimed += counters.untimed
        total.cut += counters.cut
        total.undecodable += counters.undecodable

    def _arrange(self, snapshots: Mapping[str, Snapshot], taken_up: Collection[str]) -> None:
        """Make one ordering for every stream; take up what concerns rules that mean the same."""
        self._orderings: dict[Stream, Ordering] = {}
        self._ordering_by_rule: dict[str, Ordering] = {}
        self._orderings_of: dict[str, dict[Stream, Ordering]] = {
            name: {} for name in self._lateness
        }
        streams = streams_of(self.rules.values())
        kept = rearranged(
            snapshots, {rule: _stored(streams[rule]) for rule in self.rules if rule in taken_up}
        )
        for rule, stream in streams.items():
            if stream not in self._orderings:
                lateness = max(self._lateness[source] for source in stream)
                ordering = Ordering(lateness, kept.get(_stored(stream)))
                self._orderings[stream] = ordering
                for source in stream:
                    self._orderings_of[source][stream] = ordering
            self._ordering_by_rule[rule] = self._orderings[stream]

    def _reapply(self, stored: Stored) -> None:
        """Judge again what was judged after each shard was stored; its alerts are stored too."""
        taken_up = self.engine.taken_up
        for number, journal in stored.journal:
            trail = msgspec.msgpack.decode(journal, type=list[Match])
            self.engine.repeat(
                match
                for match in trail
                if match.rule in taken_up and number > stored.shards[match.rule][0]
            )

    def _sees(self, rule: str, source: str, holders: Sequence[str]) -> bool:
        return source == next(name for name in self.rules[rule].sources if name in holders)

    def _judge(self, stream: Stream, matches: list[Match]) -> list[Alert]:
        if not matches:
            return []
        self._end_beginning(stream, matches[0].time)
        return [self._highlight(alert) for alert in self.engine.feed(matches, self._trail)]

    @property
    def _trail(self) -> list[Match] | None:
        return self._released if self._is_journaled else None

    def _pass_time(self, stream: Stream, time: float) -> Iterator[list[Alert]]:
        """Let time pass for a stream whose lines up to then have all been read."""
        self._end_beginning(stream, time)
        for alerts in self.engine.advance(stream, time, self._trail):
            yield [self._highlight(alert) for alert in alerts]

    def _end_beginning(self, stream: Stream, time: float) -> None:
        """Let a stream's rules that ask know that they have watched from some time on."""
        if not self.engine.has_begun(stream):
            self.engine.begun(stream, time, self._trail)
            self._first_looked = {looked for looked in self._first_looked if looked[0] != stream}

    def _note_beginning(self, batch: Batch, framing: Framing) -> None:
        """Find the time of the first line of a file, as long as some rule asks for it."""
        for stream in self._orderings_of[batch.source]:
            looked = stream, (batch.path, batch.file)
            if self.engine.has_begun(stream) or looked in self._first_looked:
                continue
            self._first_looked.add(looked)
            time = first_time(self.matchers[batch.source], batch, framing)
            if time is not None:
                self.engine.begin(stream, time, self._trail)

    def _highlight(self, alert: Alert) -> Alert:
        """Mark in an alert's lines what matched: left until now because few matches are shown."""
        if self.rules[alert.rule].watches:
            return alert
        matcher = self.matchers[self.rules[alert.rule].sources[0]]

        def marked(sample: Sample) -> Sample:
            span = matcher.highlight(alert.rule, sample.line)
            return msgspec.structs.replace(sample, span=span)

        return msgspec.structs.replace(
            alert, first=marked(alert.first), last=tuple(marked(sample) for sample in alert.last)
        )


def _stored(stream: Stream) -> str:
    """Name a stream as it is stored."""
    return "\n".join(stream)
