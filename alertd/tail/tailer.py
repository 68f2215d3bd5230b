"""
Follow log files as they grow, rotate and get truncated.

Hands out complete lines, a megabyte at a time, and remembers positions only as far as it is told
that lines took effect.  Never decides what a line means (see ``core.matching``), never writes a
position down (see ``state``).

The scan is the truth, inotify only says when to look: what the kernel forgets to mention, or a
network file system never mentions, is found a second later.

Trap: after rename-and-create the old file may still receive lines from writers that have not
reopened it, so it is read to its end before the new one, and left only when it has been idle.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Final

import structlog

from alertd.core.events import Batch
from alertd.tail.away import away, read_piece
from alertd.tail.caught import Caught
from alertd.tail.descriptors import Descriptors
from alertd.tail.hints import Hints
from alertd.tail.placement import Placement
from alertd.tail.roster import Roster
from alertd.tail.rotation import origins
from alertd.tail.survey import NOTHING, Own, Survey, View
from alertd.tail.trouble import Problem, Troubles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alertd.core.rules import Source
    from alertd.tail.content import Content, Piece
    from alertd.tail.followed import FollowedFile
    from alertd.tail.identity import FileKey, StoredFile

log = structlog.get_logger(__name__)

CHUNK: Final = 1 << 20
"""Bytes read at a time: what is judged in so few milliseconds that a mail that leaves meanwhile,
in several steps, waits for no more than a few of them."""

_SKIPPED_AT_ONCE: Final = 16 << 20
"""Bytes of one endless line skipped before other files have their turn."""

_NUL_RUN: Final = 4096
"""NULs in a row, from which on they are a hole's remains; fewer are left to the matcher."""

_BETWEEN_LOOKS: Final = 0.05
_MOST_LOOKS: Final = 60
"""Looks for files that have no name just now, before the start goes on without them."""

_ACTIVE: Final = 10.0
"""Seconds since its last change during which a file is looked at in each scan."""

_ROTATED_OPEN: Final = 16
"""Rotated, fully read files of one name that stay open; older ones are opened when they grow."""


class Tailer:
    """
    Follows the files of some sources.

    Everything but ``run`` is called from one task.

    Args:
        sources: What to follow.
        stored: Positions from an earlier run.
        own: What alertd itself writes, which is never followed.
        clock: Unix seconds.
        monotonic: Seconds that no adjustment of the clock moves.
        rotate_grace: Seconds that a rotated file must have been idle before it is left.
        scan_interval: Seconds between two scans when nothing hints at a change.
        state_ttl: Seconds for which the position of a file is kept that is gone.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        stored: Sequence[StoredFile],
        *,
        own: Own = NOTHING,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        rotate_grace: float = 60.0,
        scan_interval: float = 1.0,
        state_ttl: float = 7 * 86400.0,
    ) -> None:
        self._sources = tuple(sources)
        self._most_unpacked = {source.name: source.max_gz_bytes for source in sources}
        self._own = own
        self._clock = clock
        self._monotonic = monotonic
        self._rotate_grace = rotate_grace
        self._scan_interval = scan_interval
        self._state_ttl = state_ttl
        self._roster = Roster(stored)
        self._troubles = Troubles()
        self._survey = Survey(self._sources, own)
        self._scan_wanted = asyncio.Event()
        self._descriptors = Descriptors(self._troubles, self._scan_wanted.set)
        self._caught = Caught(self._is_of_interest)
        self._placement = Placement(
            self._roster,
            self._descriptors,
            self._caught,
            self._troubles,
            clock=clock,
            monotonic=monotonic,
        )
        self._by_path: dict[str, list[FollowedFile]] = {}
        self._directories = self._placement.directories()
        self._view = View()
        self._said_empty: set[tuple[str, str]] = set()
        self._scanning = asyncio.Lock()
        self._readable = asyncio.Event()
        self._hints = Hints(self._hint, self._scan_wanted.set, self._caught.catch)

    # -- for the daemon

    async def open(self) -> None:
        """Open and place every file that is there, and find those of earlier positions."""
        await self.scan()
        for _ in range(_MOST_LOOKS):
            if not self._roster.lost():
                break
            await asyncio.sleep(_BETWEEN_LOOKS)
            await self.scan()
        self._roster.expire(
            self._clock() - self._state_ttl,
            {(source.name, glob) for source in self._sources for glob in source.paths},
        )

    async def run(self) -> None:
        """Keep looking until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hints.run())
            tasks.create_task(self._keep_scanning())

    async def changed(self, timeout: float | None) -> bool:  # noqa: ASYNC109 - an ordinary outcome
        """
        Wait until some file can be read.

        Args:
            timeout: Seconds; None waits for as long as it takes.

        Returns:
            Whether there is one.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self.readable():
                    self._readable.clear()
                    await self._readable.wait()
        except TimeoutError:
            return False
        return True

    def files(self) -> Sequence[FollowedFile]:
        """Return every file that is followed."""
        return list(self._roster)

    def problems(self) -> Sequence[Problem]:
        """Return what keeps files from being read now."""
        return self._troubles.current()

    def take_problems(self) -> Sequence[Problem]:
        """Return what began to be wrong, or went wrong, since the last call."""
        return self._troubles.take_new()

    def empty_globs(self) -> Sequence[tuple[str, str]]:
        """Return source and glob of the patterns that mean no file now."""
        return self._view.empty

    def readable(self) -> list[FollowedFile]:
        """
        Return the files that have bytes to read, those of one name in their order.

        A file waits while an older file of the same name has lines; one whose content is in doubt
        waits for a scan.
        """
        ready = []
        for file in list(self._roster.behind):
            if not file.is_behind:
                del self._roster.behind[file]
            elif (not file.is_suspect or file.is_held) and not (
                file.is_unplaced or self._roster.is_waiting(file)
            ):
                ready.append(file)
        return ready

    def waiting_for(self, file: FollowedFile) -> list[FollowedFile]:
        """Return the files of the same name that have lines to read after those of a file."""
        return [
            other
            for other in self._roster.at_home(file.source, file.home)
            if other.rank > file.rank and other.is_behind
        ]

    @property
    def has_unread(self) -> bool:
        """Whether some file has lines to read, if only after another one or another look."""
        return any(file.is_behind for file in self._roster.behind)

    @property
    def unread_sources(self) -> frozenset[str]:
        """The sources that have such files."""
        return frozenset(file.source for file in self._roster.behind if file.is_behind)

    async def read(self, file: FollowedFile, most: int = CHUNK) -> Batch | None:
        """
        Read the next complete lines of a file.

        Args:
            file: Which file.
            most: Bytes that are welcome; a line that is longer comes all the same.

        Returns:
            About a megabyte; None at its end, or when only an unfinished line is left, or when
            something about the file must be found out first.
        """
        file.release()
        try:
            return await self._read(file, most)
        except OSError as error:  # TimeoutError is one
            file.problem = error.strerror or "does not answer"
            self._troubles.cannot_read(file.source, file.path, error)
            self._descriptors.close(file)
            return None

    def consume(self, file: FollowedFile, batch: Batch, count: int) -> None:
        """
        Take note that lines took effect: the position moves behind them.

        Args:
            file: Which file.
            batch: What ``read`` returned for it last, or what is left of that.
            count: Bytes from the batch's beginning, all lines in them evaluated.

        Raises:
            ValueError: This would skip or repeat bytes.
        """
        file.consume(batch, count)
        self._roster.touch(file)
        if file.is_closed:
            self._leave(file)

    def take_changes(self) -> tuple[list[StoredFile], list[FileKey]]:
        """
        Return the positions to store and those to remove since the last call.

        They belong into the transaction that also makes the effects of the lines before them last.
        """
        return self._roster.take_changes()

    def reconfigure(self, sources: Sequence[Source]) -> None:
        """
        Follow other sources from the next scan on.

        Files that a source of the same name still means are followed on; the others' positions are
        kept for a while.
        """
        self._sources = tuple(sources)
        self._most_unpacked = {source.name: source.max_gz_bytes for source in sources}
        self._survey = Survey(self._sources, self._own)
        by_name = {source.name: source for source in sources}
        for file in self.files():
            source = by_name.get(file.source)
            if source is not None and (
                self._survey.means(file.source, file.path)
                or self._survey.means(file.source, file.home)
            ):
                file.max_line = source.max_line
                continue
            self._roster.remember(file.stored(self._roster.looked_at))
            self._roster.drop(file)
            self._descriptors.close(file)
        self._roster.reconsider(by_name)
        self._index()
        self._said_empty.clear()
        self._scan_wanted.set()

    async def close(self) -> None:
        """Close every file; positions not taken yet can still be taken."""
        async with self._scanning:
            for file in self.files():
                self._descriptors.close(file)
            self._caught.close()

    async def scan(self) -> None:
        """Look at every directory and every file now."""
        async with self._scanning:
            await self._scan(is_forced=True)

    # -- reading

    async def _read(self, file: FollowedFile, most: int) -> Batch | None:
        content = await self._descriptors.open(file)
        if content is None:
            return None
        want = max(most, file.max_line + 1)
        if file.is_archive and file.offset >= self._most_unpacked.get(file.source, file.offset + 1):
            self._leave_unpacked(file, content)
            return None
        skipped = 0
        while skipped < _SKIPPED_AT_ONCE:
            offset, epoch = file.offset, file.epoch
            piece = await read_piece(content, want, offset, len(file.tail))
            if (
                file.epoch != epoch
                or file.is_unplaced
                or file.content is not content
                or self._roster.is_waiting(file)
            ):
                return None  # a look found out something while we were reading, or just before
            if piece.before != file.tail or not file.has_head(piece.head):
                self._doubt(file)
                return None
            result = self._take(file, content, piece)
            skipped += file.offset - offset
            if result is not None or file.offset == offset:
                return result
            self._roster.touch(file)
        return None

    def _take(self, file: FollowedFile, content: Content, piece: Piece) -> Batch | None:
        """
        Make a batch of what was read, or move over what no batch is made of.

        Returns:
            None if nothing is to be handed out; then another read is worthwhile if the offset has
            moved.
        """
        chunk, is_full = piece.data, piece.is_full
        end = file.offset + len(chunk)
        if file.is_archive:
            file.size = max(file.size, end + 1) if is_full else end
        elif not is_full:
            status = content.status()
            file.size = max(end, status.st_size)
            file.growth.see(status.st_size, status.st_mtime_ns)
        file.growth.peak = max(file.growth.peak, file.size)
        if file.is_skipping and chunk:
            newline = chunk.find(b"\n")
            file.advance(chunk[: newline + 1] if newline >= 0 else chunk)
            file.is_skipping = newline < 0
            file.checked = file.offset
            return None
        if chunk and chunk[0] == 0 and self._skip_nuls(file, content, piece):
            return None
        length = chunk.rfind(b"\n") + 1
        is_cut = length == 0 and is_full and len(chunk) > file.max_line
        is_final = file.is_final and not is_full and length in (0, len(chunk))
        if is_cut:
            length = file.max_line
        elif is_final:
            length = len(chunk)
        elif length == 0:
            file.checked = end
            return None
        batch = Batch(
            file=file.id,
            source=file.source,
            path=file.path,
            offset=file.offset,
            data=chunk[:length] if length < len(chunk) else chunk,
            read_at=self._clock(),
            is_final=is_final,
        )
        file.hold(batch, file.offset if is_full else end, is_cut=is_cut)
        return batch

    @staticmethod
    def _skip_nuls(file: FollowedFile, content: Content, piece: Piece) -> bool:
        """Move over a hole that a writer without O_APPEND left behind after a truncation."""
        chunk, is_full = piece.data, piece.is_full
        nuls = len(chunk) - len(chunk.lstrip(b"\0"))
        if nuls < _NUL_RUN:
            return False
        if nuls == len(chunk):
            after = content.data_after(file.offset)
            if after is None or (after <= file.offset and not is_full):
                # Nothing but NULs to the end: space that its writer has yet to fill.
                file.checked = file.offset + nuls if after is not None else file.size
                return True
            nuls = max(nuls if is_full and after <= file.offset + nuls else 0, after - file.offset)
        file.advance_over_nuls(nuls)
        return True

    def _leave_unpacked(self, file: FollowedFile, content: Content) -> None:
        """Read no further in an archive that holds more than anyone can want read."""
        rest = max(1, content.status().st_size - content.raw_position(file.offset))
        self._troubles.happen(
            Problem(
                "archive too large",
                file.source,
                file.path,
                f"{file.path}: left after {file.offset} unpacked bytes, up to {rest} packed lost: "
                "raise max_gz_bytes if it is no bomb",
                lost=rest,
            )
        )
        file.is_skipping = False
        file.size = file.checked = file.offset

    def _doubt(self, file: FollowedFile) -> None:
        file.is_suspect = True
        self._roster.behind[file] = None
        self._scan_wanted.set()

    # -- looking

    async def _keep_scanning(self) -> None:
        pause = 0.0
        while True:
            try:
                async with asyncio.timeout(max(self._scan_interval, pause)):
                    await self._scan_wanted.wait()
                    await asyncio.sleep(pause)
            except TimeoutError:
                pass
            is_forced = self._scan_wanted.is_set()
            self._scan_wanted.clear()
            began = time.perf_counter()
            try:
                async with self._scanning:
                    await self._scan(is_forced=is_forced)
            except OSError as error:  # TimeoutError is one
                log.warning("scan failed", reason=error.strerror or "took too long")
            # A storm of hints must not make scanning all that we do.
            pause = min(self._scan_interval, 4 * (time.perf_counter() - began))

    async def _scan(self, *, is_forced: bool) -> None:
        began = self._clock()
        await self._sweep(is_forced=is_forced)
        is_doubtful = any(file.is_suspect for file in self._roster)
        self._caught.begin()
        view = await away(
            self._survey.look,
            self._directories,
            is_forced=is_forced or is_doubtful,
        )
        if view.is_changed:
            self._view = view
            again_in = await self._placement.settle(
                self._sources, self._survey, view, self._see_again
            )
            if again_in is not None:
                asyncio.get_running_loop().call_later(again_in, self._scan_wanted.set)
            self._index()
            self._caught.note(self._roster, self._placement.judged)
            for kind, source, path, detail in view.refused:
                self._troubles.begin(Problem(kind, source, path, detail))
            for source, glob in view.empty:
                if (source, glob) not in self._said_empty:
                    self._said_empty.add((source, glob))
                    log.info("no match yet; watching", glob=glob, source=source)
        if not self._roster.undecided:
            self._roster.looked_at = began
        self._retire()
        self._shut_idle()
        self._hints.watch(self._view)
        if self.readable():
            self._readable.set()

    async def _sweep(self, *, is_forced: bool) -> None:
        """Look at the sizes of files: of those active lately, and now and then of the others."""
        now = self._monotonic()
        due = [
            file
            for file in self._roster
            if is_forced
            or now - file.changed_at < _ACTIVE
            or now - file.looked_at >= _ACTIVE
            or file.problem is not None
        ]
        for file in due:
            file.looked_at = now
            file.problem = None
        await self._see_again(due)

    async def _see_again(self, files: Sequence[FollowedFile]) -> None:
        """Look at the sizes of some files."""
        looks = [
            (file.content.fd if file.content is not None else -1, file.path, file.target)
            for file in files
        ]
        now = self._monotonic()
        for file, (status, is_switched) in zip(files, await away(_stat_all, looks), strict=True):
            if status is None or is_switched:
                self._scan_wanted.set()
            if status is not None and not file.is_archive:
                self._see(file, status, now)

    def _see(self, file: FollowedFile, status: os.stat_result, now: float) -> None:
        if (status.st_dev, status.st_ino) != file.inode:
            self._scan_wanted.set()
            return
        if status.st_size != file.size:
            file.changed_at = now
        if status.st_size < file.size or (
            status.st_mtime_ns not in (file.verified_ns, file.mtime_ns)
            and status.st_size <= max(file.checked, file.offset)
        ):
            # Shorter, or written to without having grown: it may be another content now.
            file.growth.peak = max(file.growth.peak, file.size)
            self._doubt(file)
        if status.st_size > file.size:
            file.is_closed = file.is_final = False
        file.growth.see(status.st_size, status.st_mtime_ns)
        file.size = status.st_size
        file.mtime_ns = status.st_mtime_ns
        if file.is_behind:
            self._roster.behind[file] = None
            self._readable.set()

    def _hint(self, paths: set[str]) -> None:
        """Look at what the kernel says has changed."""
        now = self._monotonic()
        for path in paths:
            files = self._by_path.get(path)
            if files is None:
                if not self._scan_wanted.is_set() and self._is_of_interest(path):
                    self._scan_wanted.set()
                continue
            try:
                status = os.stat(path)  # noqa: PTH116 - on each hint
            except OSError:
                self._scan_wanted.set()
                continue
            for file in files:
                if file.is_archive:
                    continue
                self._see(file, status, now)

    def _is_of_interest(self, path: str) -> bool:
        return (
            self._survey.is_of_interest(path)
            or any(origin in self._by_path for origin in _origins(path))
            or path in self._hints.parents
        )

    def _index(self) -> None:
        by_path: dict[str, list[FollowedFile]] = {}
        for file in self._roster:
            # What is called as a deleted file was is another one.
            for path in () if file.is_deleted else {file.path, file.target}:
                by_path.setdefault(path, []).append(file)
        self._by_path = by_path
        self._directories = self._placement.directories()

    # -- leaving

    def _retire(self) -> None:
        now = self._monotonic()
        for file in self.files():
            if (
                not file.is_rotated
                or file.is_closed
                or file.copy_of is not None
                or file.problem is not None
            ):
                continue
            grace = 0.0 if file.is_archive else self._rotate_grace
            if now - file.changed_at >= grace:
                self._finish(file)

    def _finish(self, file: FollowedFile) -> None:
        if file.size > file.offset or file.framing.open_record:
            # What it ends with unterminated counts now, once.
            file.is_final = True
            self._roster.behind[file] = None
            self._readable.set()
        else:
            file.is_closed = True
            self._leave(file)

    def _leave(self, file: FollowedFile) -> None:
        self._descriptors.close(file)
        self._roster.touch(file)
        if file.is_deleted or not file.is_wanted:
            self._roster.drop(file)

    def _shut_idle(self) -> None:
        """Do not keep open all that many quick rotations leave behind."""
        at_end: dict[tuple[str, str], list[FollowedFile]] = {}
        for file in self._descriptors:
            if file.is_rotated and not file.is_behind and file.copy_of is None:
                at_end.setdefault((file.source, file.home), []).append(file)
        for files in at_end.values():
            for file in sorted(files, key=lambda file: file.rank)[:-_ROTATED_OPEN]:
                if file.is_deleted:
                    self._finish(file)
                elif not file.is_archive and not file.unnamed:
                    self._descriptors.close(file)


def _origins(path: str) -> list[str]:
    directory, _, name = path.rpartition("/")
    return [f"{directory}/{origin}" for origin in origins(name)]


def _stat_all(looks: list[tuple[int, str, str]]) -> list[tuple[os.stat_result | None, bool]]:
    """
    Look at files by descriptor, by name where there is none.

    Returns:
        What was seen, and whether a symbolic link now leads to another file: the directory that
        it lies in may not show that.
    """
    seen: list[tuple[os.stat_result | None, bool]] = []
    for fd, path, target in looks:
        status: os.stat_result | None = None
        is_switched = False
        try:
            if fd >= 0:
                status = os.fstat(fd)
            if fd < 0 or path != target:
                there = os.stat(path)  # noqa: PTH116
                is_switched = status is not None and not os.path.samestat(status, there)
                status = status or there
        except OSError:
            is_switched = path != target
        seen.append((status, is_switched))
    return seen
