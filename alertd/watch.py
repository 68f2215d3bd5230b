"""
Files → alerts → state, one turn after the other.

A turn reads a piece of one file, judges it, and sees to it that what follows from it is committed:
at once when an alert was raised about what has just happened, else within a quarter of a second.
Positions move only together with what their lines have done, so a crash at any moment repeats work
but no effect.

Refuses to read on while the state cannot be written: the log files are the queue.

Trap: an error in here must end the process.  What was judged but not committed is in memory only,
and going on without it would lose or double lines; a restart from the state does neither.
"""

from __future__ import annotations

import asyncio
import gc
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import structlog
from msgspec.msgpack import encode

from alertd.core.events import Notice
from alertd.state import Change, StateError
from alertd.tail import CHUNK
from alertd.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence

    from alertd.core.events import Alert, Batch
    from alertd.core.ordering import File
    from alertd.core.pipeline import Pipeline
    from alertd.core.rules import Rule, Source
    from alertd.core.steps import Result
    from alertd.state import State
    from alertd.tail import FollowedFile, Tailer

COMMIT_SECONDS = 0.25
COMMIT_SHARE = 10
"""Where what waits for other files must be written again, commits are so many times further apart
as that takes, …"""
COMMIT_AT_LEAST = 2.5
"""… but so many seconds at most."""

FRESH_SECONDS = 60.0
"""An alert about something older comes late in any case: its commit need not be at once."""

COURTESY_SECONDS = 0.03
"""After an alert about what has just happened, reading waits so long for its mail to be on its way,
each step of which would else wait for a piece of some backlog.  Half of the time is for reading."""

IDLE_SECONDS = 5.0
"""A turn ends at least this often, so that whoever looks sees that turns end."""

WAITING_MATCHES = 20_000
"""Beyond so many waiting matches only the files are read for which they wait."""

MUCH_BYTES = 16 * 1024 * 1024
"""Having read so much, it says when there is nothing to do."""

DENSE_BYTES = 256 * 1024
"""Read at a time from a file whose lines mostly match."""

JUDGED_MATCHES = 10_000
"""Beyond so many matches that are judged but not committed, a commit is due."""

PORTION_MATCHES = 1000
"""Matches that are judged at once: then other tasks have their turns."""

JOURNAL_BYTES = 8 * 1024 * 1024
"""Beyond so much journal, snapshots of the rules' states are rewritten, the oldest first …"""

SNAPSHOT_SECONDS = 0.01
"""… and for about so long in one commit, because the event loop stands still meanwhile."""

PASSING_SECONDS = 1.0
"""So often, at most, what has not happened is judged: all files must be looked at before."""

RETRY_SECONDS = 1.0
COMPLAINT_SECONDS = 60.0

log = structlog.get_logger(__name__)


async def _nothing() -> None:
    """Wait for nothing."""


class Watch:
    """
    The loop that reads, judges and commits.

    Args:
        tailer: Where lines come from.
        pipeline: What judges them.
        state: Where what follows from them is kept.
        sources: The sources' settings, by name.
        on_alerts: Called after alerts were committed.
        on_rest: Called when there is nothing to do after much was read.
        until_told: Waits until nothing more can be done at the moment about committed alerts.
        on_trouble: Called with a reason while the state cannot be written, with ``None`` after.
        clock: Unix seconds.
        idle_seconds: After so long a turn ends even if there is nothing to do.
    """

    def __init__(
        self,
        tailer: Tailer,
        pipeline: Pipeline,
        state: State,
        sources: Mapping[str, Source],
        *,
        on_alerts: Callable[[], None],
        on_rest: Callable[[], None] = lambda: None,
        until_told: Callable[[], Awaitable[None]] = _nothing,
        on_trouble: Callable[[str | None], None],
        clock: Callable[[], float] = time.time,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.pipeline = pipeline
        self.turns = 0
        self.is_caught_up = False
        self._tailer = tailer
        self._state = state
        self._sources = sources
        self._on_alerts = on_alerts
        self._on_rest = on_rest
        self._until_told = until_told
        self._courtesy_from = 0.0
        self._read_since_rest = 0
        self._on_trouble = on_trouble
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._turn_lock = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._commit_due: float | None = None
        self._commit_seconds = COMMIT_SECONDS
        # What was raised and is not committed, and whether somebody waits for it.
        self._raised: list[Alert] = []
        self._is_urgent = False
        self._shard_ages: dict[str, int] = dict.fromkeys(pipeline.rules, 0)
        self._commits = 0
        self._had_waiting = False
        self._behind: set[tuple[str, File]] = set()
        self._files = Turns()
        self._pass_time_at = 0.0
        self._sources_of: dict[str, list[str]] = {}
        # Files whose lines mostly match: read in smaller pieces, because matches take memory.
        self._dense: set[tuple[str, str]] = set()
        # What is left of batches in which so much matches that others had to have a turn.
        self._unfinished: dict[FollowedFile, Batch] = {}

    async def run(self) -> None:
        """Take turns until ``stop``; then commit what was judged."""
        while not self._stopping.is_set():
            async with self._turn_lock:
                has_more = await self._turn()
            if not has_more:
                await self._rest()
        async with self._turn_lock:
            await self._commit()

    def stop(self) -> None:
        """Let ``run`` end after the turn that it is in."""
        self._stopping.set()

    async def swap(self, pipeline: Pipeline, sources: Mapping[str, Source]) -> None:
        """
        Put new rules to work between two turns.

        Args:
            pipeline: What judges from now on; takes up the state of the one before.
            sources: The sources' settings, by name.
        """
        async with self._turn_lock:
            await self._commit()
            dropped = [name for name in self.pipeline.rules if name not in pipeline.rules]
            pipeline.adopt(self.pipeline)
            self.pipeline = pipeline
            self._sources = sources
            self._sources_of = {}
            self._files.clear()
            # It will be read again: it was framed for the rules before.
            self._unfinished.clear()
            self._tailer.reconfigure(list(sources.values()))
            await self.rewrite(dropped)
        # The rules before lie in cycles, and the collector looks so seldom (see ``memory``) that
        # megabytes of them would pile up.  Who reloads can wait for a moment.
        gc.collect()

    async def rewrite(self, dropped: Sequence[str] = ()) -> None:
        """
        Commit a snapshot of every rule's state, so that all that is stored means these rules.

        Args:
            dropped: Rules that are no more.
        """
        self._commits += 1
        self._shard_ages = dict.fromkeys(self.pipeline.rules, self._commits)
        shards = {name: await self._frozen(name) for name in self.pipeline.rules}
        await self._commit(shards=shards, dropped=dropped)

    async def _turn(self) -> bool:
        """Judge one piece of one file; say whether there is more to read at once."""
        self.turns += 1
        if self._files.is_look_due:
            self._look()
        has_more = len(self._files) > 0
        if has_more:
            await self._read(self._files.take())
        await self._release()
        await self._pass_time()
        if self._is_commit_due() or (self._raised and not has_more):
            await self._commit()
        is_behind = has_more or self._tailer.has_unread or self.pipeline.waiting
        self.is_caught_up = not (is_behind or self._raised)
        return has_more

    def _look(self) -> None:
        """Find out which files are behind, and which of them may take turns."""
        self._files.begin_look()
        readable = self._tailer.readable()
        behind = {(file.source, place(file)): file.framing.newest_time for file in readable}
        for source, file in self._behind - behind.keys():
            self.pipeline.at_end(source, file)
        for (source, file), front in behind.items():
            self.pipeline.behind(source, file, front)
        self._behind = set(behind)
        if self.pipeline.waiting > WAITING_MATCHES:
            slowest, crowded = self.pipeline.slowest(), self.pipeline.waiting_sources()
            readable = [
                file for file in readable if file.source not in crowded or place(file) in slowest
            ] or readable
        self._files.line_up(readable)

    async def _read(self, file: FollowedFile) -> None:
        batch = self._unfinished.pop(file, None)
        if batch is not None:
            # Nothing else is awaited on this way, and other tasks must have their turns too.
            await asyncio.sleep(0)
        if batch is None or not file.is_held or file.offset != batch.offset:
            is_dense = (file.source, file.id) in self._dense
            batch = await self._tailer.read(file, DENSE_BYTES if is_dense else CHUNK)
            if batch is None:
                return
            self._dense.discard((file.source, file.id))
        holders = self._holders(file)
        matched = self.pipeline.take(batch, file.framing, now=self._clock(), holders=holders)
        self._tailer.consume(file, batch, matched.consumed)
        self._read_since_rest += matched.consumed
        self._note_uncommitted()
        if matched.consumed < len(batch.data):
            self._unfinished[file] = batch.rest(matched.consumed)
            self._dense.add((file.source, file.id))
        self._files.ended(file)
        if file.is_behind:
            self.pipeline.behind(file.source, place(file), file.framing.newest_time)
        else:
            # What waited for this one is behind from now on, lest others' matches pass it.
            for later in self._tailer.waiting_for(file):
                self._behind.add((later.source, place(later)))
                self.pipeline.behind(later.source, place(later), later.framing.newest_time)
            self._behind.discard((file.source, place(file)))
            self.pipeline.at_end(file.source, place(file))

    async def _release(self) -> None:
        """Judge what need not wait any longer."""
        await self._raise(self.pipeline.releases(self._clock(), PORTION_MATCHES))

    async def _pass_time(self) -> None:
        """
        Judge what has not happened.

        Only what is not in the files either has not: they are looked at after the clock, or what
        was written while this process stood still would be missed.
        """
        if self._seconds_to_pass() > 0:
            return
        now = self._clock()
        await self._tailer.scan()
        self._look()
        await self._raise(self.pipeline.advance(now, self._tailer.unread_sources))
        self._pass_time_at = time.monotonic() + PASSING_SECONDS
        if self.pipeline.uncommitted:
            self._note_uncommitted()

    def _seconds_to_pass(self) -> float:
        """Give the seconds until there is something to judge that has not happened."""
        seconds = self.pipeline.next_deadline() - self._clock()
        return max(seconds, self._pass_time_at - time.monotonic())

    async def _raise(self, raised: Iterator[list[Alert]]) -> None:
        """Keep alerts for the next commit; others have their turns in between."""
        now = self._clock()
        for alerts in raised:
            self._raised += alerts
            for alert in alerts:
                event = "alert raised" if alert.end is None else "incident resolved"
                log.info(event, rule=alert.rule, id=alert.id, count=alert.count)
                self._note_uncommitted()
                self._is_urgent = self._is_urgent or alert.time > now - FRESH_SECONDS
            await asyncio.sleep(0)

    async def _rest(self) -> None:
        """Wait until there may be something to do."""
        if self._read_since_rest >= MUCH_BYTES:
            self._read_since_rest = 0
            self._on_rest()
        now = self._clock()
        waits = [self._idle_seconds]
        if self._commit_due is not None:
            waits.append(self._commit_due - time.monotonic())
        deadline = self.pipeline.deadline()
        if deadline is not None:
            waits.append(deadline - now)
        waits.append(self._seconds_to_pass())
        news = asyncio.ensure_future(self._tailer.changed(max(0.0, min(waits))))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({news, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            stop.cancel()

    def _holders(self, file: FollowedFile) -> list[str]:
        """Name all sources that follow this very file."""
        holders = self._sources_of.get(file.id, [])
        if file.source not in holders:
            self._sources_of = {}
            for other in self._tailer.files():
                self._sources_of.setdefault(other.id, []).append(other.source)
            self._forget_files()
            holders = self._sources_of.setdefault(file.id, [file.source])
        return holders

    def _forget_files(self) -> None:
        """Forget what is known of files that are no more: rotation makes new ones for ever."""
        followed = {(file.source, file.id) for file in self._tailer.files()}
        self._dense &= followed
        self._files.keep(followed)
        self._unfinished = {file: rest for file, rest in self._unfinished.items() if file.is_held}

    def _note_uncommitted(self) -> None:
        if self._commit_due is None:
            self._commit_due = time.monotonic() + self._commit_seconds

    def _is_commit_due(self) -> bool:
        return self._is_urgent or (
            self._commit_due is not None
            and (time.monotonic() >= self._commit_due or self.pipeline.uncommitted > JUDGED_MATCHES)
        )

    async def _commit(
        self,
        *,
        shards: Mapping[str, bytes] | None = None,
        dropped: Sequence[str] = (),
    ) -> None:
        """Commit positions, what changed in the engine, and alerts, all together."""
        if shards is None:
            shards = await self._snapshots()
        has_waiting = self.pipeline.waiting > 0
        is_order_known = not (self.pipeline.uncommitted or has_waiting or self._had_waiting)
        waiting = None if is_order_known else await self._frozen_waiting()
        moved, forgotten = self._tailer.take_changes()
        journal = self.pipeline.take_journal()
        self._commit_due = None
        alerts, self._raised = self._raised, []
        is_urgent, self._is_urgent = self._is_urgent, False
        if not (moved or forgotten or journal or alerts or shards or dropped) and is_order_known:
            return
        await self._write(
            Change(
                files=[(encode(file.key), encode(file)) for file in moved],
                forgotten=[encode(key) for key in forgotten],
                journal=journal,
                shards=shards,
                dropped_shards=dropped,
                waiting=waiting,
                notices=[self._notice(alert) for alert in alerts],
            )
        )
        self._had_waiting = has_waiting
        if alerts:
            self._on_alerts()
        if is_urgent and self._tailer.has_unread:
            await self._give_way()

    async def _give_way(self) -> None:
        """Let a mail go before more is read, if that does not take long."""
        began = time.monotonic()
        if began < self._courtesy_from:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(COURTESY_SECONDS):
                await self._until_told()
        ended = time.monotonic()
        self._courtesy_from = ended + (ended - began)

    async def _write(self, change: Change) -> None:
        """Commit a change; while that cannot be done, wait, and read nothing more."""
        complained_at = -math.inf
        while True:
            try:
                await self._state.commit(change)
            except StateError as error:
                if not error.is_temporary:
                    raise
                if self._stopping.is_set():
                    log.warning("progress not saved; it will be made again", reason=str(error))
                    return
                if time.monotonic() - complained_at >= COMPLAINT_SECONDS:
                    complained_at = time.monotonic()
                    log.error("state not written; reading paused", reason=str(error))  # noqa: TRY400 - the reason is all there is
                self._on_trouble(f"cannot write the state: {error}")
                self.turns += 1
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if complained_at > 0:
                    log.info("state written again; reading resumed")
                    self._on_trouble(None)
                return

    async def _snapshots(self) -> dict[str, bytes]:
        """Freeze the rules whose snapshots are oldest, if the journal has grown too long."""
        snapshots: dict[str, bytes] = {}
        if self._state.journal_bytes < JOURNAL_BYTES:
            return snapshots
        self._commits += 1
        started = time.monotonic()
        for rule in sorted(self._shard_ages, key=self._shard_ages.__getitem__):
            snapshots[rule] = await self._frozen(rule)
            self._shard_ages[rule] = self._commits
            if time.monotonic() - started >= SNAPSHOT_SECONDS:
                break
        return snapshots

    async def _frozen(self, rule: str) -> bytes:
        """Freeze a rule's state; other tasks have their turns meanwhile, and nothing is judged."""
        return await _done(self.pipeline.engine.freezing(rule))

    async def _frozen_waiting(self) -> bytes:
        """Freeze what waits; the more that is, the less often it is to be done."""
        began = time.monotonic()
        frozen = await _done(self.pipeline.freezing_waiting())
        took = time.monotonic() - began
        self._commit_seconds = min(max(COMMIT_SECONDS, COMMIT_SHARE * took), COMMIT_AT_LEAST)
        return frozen

    def _notice(self, alert: Alert) -> Notice:
        rule: Rule = self.pipeline.rules[alert.rule]
        return Notice(
            alert=alert,
            recipients=rule.recipients,
            severity=rule.severity,
            description=rule.description,
            raised_at=self._clock(),
            is_time_of_reading=all(
                self._sources[source].timestamp == "none" for source in rule.sources
            ),
        )


async def _done(steps: Generator[None, None, Result]) -> Result:
    """Take all steps; other tasks have their turns in between."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast("Result", end.value)
        await asyncio.sleep(0)


def place(file: FollowedFile) -> File:
    """Return where a file stands among those with lines of the same time."""
    return file.path, file.id
