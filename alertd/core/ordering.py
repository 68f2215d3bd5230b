"""
Matches of many files → one stream in time order.

A rule must see its events in time order across all its files, or a backlog in one of them would
be judged against the present of another.  So while any file is behind, matches wait until every
file that is behind has been read past their time; when all are at their end nothing waits.

Refuses to read a clock, and to drop a match: one that comes later than it may takes the newest
time that its rule has seen, keeps its own as ``event_time``, and is counted.

Trap: within one file the order of the lines counts, not that of their timestamps (as far as
``lateness`` does not say otherwise).  Live, a line is judged when it is read; sorting a backlog by
timestamps alone would judge it differently, and the answer would depend on when alertd was down.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from alertd.core.events import Match, retimed
from alertd.core.steps import at_once

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

File: TypeAlias = tuple[str, str]
"""A file's path and identity; files with equal times come in this order."""

Place: TypeAlias = tuple[float, File]
"""A place in the order: a time, and among equal times a file."""

EVERYTHING: Place = (math.inf, ("", ""))
LAST_FILE: File = (chr(0x10FFFF), "")

NO_LIMIT = 1 << 62
"""Matches in a portion that holds all of them."""

FROZEN_AT_ONCE = 1_000
"""Matches that are frozen in one step: a few milliseconds."""

_STALE = 64
"""Entries of ``_by_front`` beside twice those that hold, before the others are thrown away."""


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """
    An ordering as plain data.

    Attributes:
        waiting: Matches that wait, as they came, each with its file; some at a time, encoded.
        arrivals: When they were read, and up to which time, both in Unix seconds.
        newest: The newest time that each rule has seen.
        late: How many matches came too late for their own time.
    """

    waiting: tuple[msgspec.Raw, ...] = ()
    arrivals: tuple[tuple[float, float], ...] = ()
    newest: dict[str, float] = {}
    late: int = 0

    def entries(self) -> Iterator[tuple[File, Match]]:
        """Give the matches that wait, each with its file."""
        for portion in self.waiting:
            yield from msgspec.msgpack.decode(portion, type=list[tuple[File, Match]])


def rearranged(
    snapshots: Mapping[str, Snapshot], stream_of: Mapping[str, str]
) -> dict[str, Snapshot]:
    """
    Give each ordering what concerns its rules, whichever had them before.

    A rule is judged together with others when there is one that watches it.

    Args:
        snapshots: By the names of the streams as they were.
        stream_of: By rule, the name of its stream now; what concerns no other rule is left out.
    """
    waiting: dict[str, list[tuple[File, Match]]] = {name: [] for name in stream_of.values()}
    newest: dict[str, dict[str, float]] = {name: {} for name in waiting}
    arrivals: dict[str, set[tuple[float, float]]] = {name: set() for name in waiting}
    for snapshot in snapshots.values():
        for file, match in snapshot.entries():
            if match.rule in stream_of:
                name = stream_of[match.rule]
                waiting[name].append((file, match))
                arrivals[name].update(snapshot.arrivals)
        for rule, time in snapshot.newest.items():
            if rule in stream_of:
                newest[stream_of[rule]][rule] = time
    return {
        name: Snapshot(
            (_encoded(waiting[name]),),
            tuple(sorted(arrivals[name])),
            newest[name],
            snapshots[name].late if name in snapshots else 0,
        )
        for name in waiting
    }


class Ordering:
    """
    One stream for the rules that share a set of sources.

    Args:
        lateness: Seconds by which a line may come later than a newer one.
        snapshot: State to take up.
    """

    def __init__(self, lateness: float, snapshot: Snapshot | None = None) -> None:
        self.lateness = lateness
        self.late = 0
        self._newest: dict[str, float] = {}
        # The last number tells apart what stood at one offset before and after a truncation.
        self._heap: list[tuple[float, File, int, str, int, Match]] = []
        self._pushed = 0
        # A batch that nothing waits before: most often it can pass without being sorted.
        self._fresh: tuple[File, Sequence[Match]] | None = None
        # The greatest time so far of each file and rule that have matches in the heap.
        self._floors: dict[tuple[File, str], float] = {}
        # Files that are behind, and the time past which each has been read.  The heap has them by
        # that time, and also what held of them earlier, so that ten thousand cost little.
        self._fronts: dict[File, float] = {}
        self._by_front: list[tuple[float, File]] = []
        # For `lateness` only: the newest time read from any file, and when matches were read.
        self._newest_read = -math.inf
        self._arrivals: deque[tuple[float, float]] = deque()
        if snapshot is not None:
            self.late = snapshot.late
            self._newest.update(snapshot.newest)
            self._arrivals.extend(snapshot.arrivals)
            for file, match in snapshot.entries():
                self._push(file, match)

    @property
    def waiting(self) -> int:
        """How many matches wait."""
        return len(self._heap) + (len(self._fresh[1]) if self._fresh else 0)

    def behind(self, file: File, front: float | None) -> None:
        """
        Note that a file has lines that have not been read.

        Args:
            file: Its path and identity.
            front: Unix seconds of the newest line that has been read from it; ``None`` when
                nothing has, so that nothing may pass.
        """
        known = -math.inf if front is None else front
        if self._fronts.get(file) != known:
            self._fronts[file] = known
            heapq.heappush(self._by_front, (known, file))
            # What held earlier goes when it comes up, and nobody asks while nothing waits.
            if len(self._by_front) > 2 * len(self._fronts) + _STALE:
                self._by_front = [(front, file) for file, front in self._fronts.items()]
                heapq.heapify(self._by_front)

    def at_end(self, file: File) -> None:
        """Note that a file has been read to its end, or cannot be read, or is gone."""
        self._fronts.pop(file, None)

    def slowest(self) -> set[File]:
        """Return the files for which the others wait: of new ones there may be ten thousand."""
        first = self._first_front()
        if first is None:
            return set()
        return {file for file, front in self._fronts.items() if front == first[0]}

    def add(self, file: File, matches: Sequence[Match], *, front: float, read_at: float) -> None:
        """
        Take the matches of a batch.

        Args:
            file: The file in which they stand.
            matches: In the order of their offsets.
            front: Unix seconds of the newest line in the file up to the end of the batch.
            read_at: Unix seconds by the clock, from which ``lateness`` is measured.
        """
        if self.lateness:
            self._newest_read = max(self._newest_read, front)
            if matches:
                if self._arrivals and self._arrivals[-1][0] > read_at:
                    # The clock was set back: what came before was not read later than this.
                    self._arrivals = deque((min(at, read_at), to) for at, to in self._arrivals)
                self._arrivals.append((read_at, max(match.time for match in matches)))
        self._sort_fresh()
        if self._heap or self.lateness:
            for match in matches:
                self._push(file, match)
        elif matches:
            self._fresh = file, matches

    def release(self, now: float | None = None) -> list[Match]:
        """
        Return the matches that need not wait any longer, in order.

        Args:
            now: Unix seconds by the clock, if there is one: what has waited for ``lateness``
                by it waits no longer.
        """
        return [match for portion in self.releases(now, NO_LIMIT) for match in portion]

    def releases(self, now: float | None, most: int) -> Iterator[list[Match]]:
        """
        Yield like ``release``, in portions.

        Args:
            now: See there.
            most: Matches in a portion.  Until the last one nothing may be added.
        """
        if self._fresh is not None:
            file, matches = self._fresh
            if not self._fronts or (len(self._fronts) == 1 and file in self._fronts):
                self._fresh = None
                for start in range(0, len(matches), most):
                    yield self._stamped(matches[start : start + most])
            else:
                self._sort_fresh()
        if self._heap:
            # What may pass is found out once: what has waited long enough is forgotten by that.
            passing = self._pop(self._limit(now))
            while portion := list(islice(passing, most)):
                yield portion

    def flush(self) -> list[Match]:
        """Return all that waits, in order: nothing more will come."""
        self._fronts.clear()
        self._sort_fresh()
        return list(self._pop(EVERYTHING))

    @property
    def settled(self) -> float:
        """
        Unix seconds before which nothing is left that has been written.

        Infinity when all files have been read to their ends and nothing waits.
        """
        if self._fronts:
            return -math.inf
        self._sort_fresh()
        return self._heap[0][0] if self._heap else math.inf

    def deadline(self) -> float | None:
        """Return the Unix seconds by the clock at which something will have waited enough."""
        if self._fronts or not self._arrivals:
            return None
        return self._arrivals[0][0] + self.lateness

    def freezing(self) -> Generator[None, None, Snapshot]:
        """
        Give its state as plain data, after some steps between which nothing may be added.

        A hundred thousand matches take a tenth of a second, in which others want their turns.
        """
        self._sort_fresh()
        waiting = sorted(self._heap, key=_number)
        portions = []
        for start in range(0, len(waiting), FROZEN_AT_ONCE):
            some = waiting[start : start + FROZEN_AT_ONCE]
            portions.append(_encoded([(file, match) for _, file, *_, match in some]))
            yield
        return Snapshot(tuple(portions), tuple(self._arrivals), dict(self._newest), self.late)

    def freeze(self) -> Snapshot:
        """Return its state as plain data."""
        return at_once(self.freezing())

    def _sort_fresh(self) -> None:
        if self._fresh is not None:
            file, matches = self._fresh
            self._fresh = None
            for match in matches:
                self._push(file, match)

    def _push(self, file: File, match: Match) -> None:
        time = match.time
        if not self.lateness:
            time = max(time, self._floors.get((file, match.rule), time))
            self._floors[file, match.rule] = time
        self._pushed += 1
        heapq.heappush(self._heap, (time, file, match.offset, match.rule, self._pushed, match))

    def _first_front(self) -> Place | None:
        """Return the file that is furthest behind, and how far it has been read."""
        queue = self._by_front
        while queue:
            front, file = queue[0]
            if self._fronts.get(file) == front:
                return front, file
            heapq.heappop(queue)
        return None

    def _limit(self, now: float | None) -> Place:
        """Return the place in the order before which nothing can come any more."""
        first = self._first_front()
        if first is not None:
            return first[0] - self.lateness, first[1]
        if not self.lateness:
            return EVERYTHING
        if now is not None and self._arrivals and self._arrivals[0][0] > now:
            # The clock was set back: nothing waits longer than from now on.
            self._arrivals = deque((min(read, now), newest) for read, newest in self._arrivals)
        limit = self._newest_read - self.lateness
        while now is not None and self._arrivals and self._arrivals[0][0] + self.lateness <= now:
            limit = max(limit, self._arrivals.popleft()[1])
        return limit, LAST_FILE

    def _pop(self, limit: Place) -> Iterator[Match]:
        heap = self._heap
        while heap and heap[0][:2] <= limit:
            time, *_, match = heapq.heappop(heap)
            if not heap:
                # What has been released is remembered in `_newest`.
                self._floors.clear()
                self._arrivals.clear()
            yield self._stamp(match, time)

    def _stamped(self, matches: Sequence[Match]) -> list[Match]:
        """Give matches of one file the times that count: almost always their own."""
        newest = self._newest
        stamped = list(matches)
        rule = matches[0].rule
        latest = newest.get(rule, -math.inf)
        for index, match in enumerate(matches):
            # Most often the next match is of the same rule.
            if match.rule is not rule:
                newest[rule] = latest
                rule = match.rule
                latest = newest.get(rule, -math.inf)
            time = match.time
            if time >= latest:
                latest = time
            else:
                stamped[index] = self._stamp(match, latest)
        newest[rule] = latest
        return stamped

    def _stamp(self, match: Match, time: float) -> Match:
        """Give a match the time that counts: its own, unless its rule has seen a later one."""
        time = max(time, self._newest.get(match.rule, time))
        self._newest[match.rule] = time
        if time == match.time:
            return match
        self.late += 1
        return retimed(match, time)


def _number(entry: tuple[float, File, int, str, int, Match]) -> int:
    return entry[4]


def _encoded(entries: Sequence[tuple[File, Match]]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(entries))
