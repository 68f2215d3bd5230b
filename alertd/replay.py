"""
The same rules over files that exist already, in event-time order.

A replay is a daemon that is behind with everything and never catches up with a writer: the same
matchers, the same order, the same engine, so the same alerts with the same ids.  It keeps no state
and sends nothing.

Trap: of all files that are behind, the one whose lines are oldest is read next.  Any other choice
gives the same alerts, but makes matches of whole files wait in memory.
"""

from __future__ import annotations

import heapq
import os
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from alertd.ahead import Ahead
from alertd.core.beginning import first_time
from alertd.core.events import Batch
from alertd.core.framing import Framing
from alertd.core.pipeline import Pipeline
from alertd.files import files_of
from alertd.matchers import watched
from alertd.tail.content import Content, NotRegularError, open_content
from alertd.tail.globs import Glob, excludes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from alertd.core.events import Alert
    from alertd.core.matching import Matcher
    from alertd.core.ordering import File
    from alertd.core.rules import Rule, Source

FIRST_BYTES = 64 * 1024
CHUNK_BYTES = 1024 * 1024
OPEN_FILES = 256


@dataclass(frozen=True, slots=True)
class Recording:
    """
    One file to be replayed.

    Attributes:
        source: The name of the source as which it is read.
        path: Where it is; ``.gz``, ``.bz2`` and ``.xz`` are decompressed.
    """

    source: str
    path: Path


class UnreadableError(Exception):
    """
    A file could not be read to its end; the message says which, why, and what to do.

    Attributes:
        exit_code: The sysexits code for a program that ends because of this.
    """

    def __init__(self, path: Path, reason: str, exit_code: int) -> None:
        super().__init__(f"{path}: {reason}")
        self.exit_code = exit_code


def recordings(
    sources: Sequence[Source], rules: Iterable[Rule], name: str | None, paths: Sequence[Path]
) -> list[Recording]:
    """
    Find out what is to be replayed, and as what.

    Args:
        sources: All of them.
        rules: All of them.
        name: The source that was asked for, if one was.
        paths: The files that were asked for; none means all that the sources' globs match.

    Raises:
        ValueError: There is no such source, no rule watches it, or a path belongs to none or to
            several; the message says what to do.
    """
    names = ", ".join(source.name for source in sources)
    watching = watched(sources, rules)
    if name is not None:
        if name not in {source.name for source in sources}:
            raise ValueError(f"--source {name}: there is no such source; there are {names}")
        watching = [source for source in watching if source.name == name]
        if not watching:
            raise ValueError(f"--source {name}: no rule watches this source")
    if not paths:
        return [Recording(source.name, path) for source in watching for path in files_of(source)]
    found = []
    for path in paths:
        owners = watching if len(watching) == 1 else [s for s in watching if _means(s, path)]
        if not owners:
            raise ValueError(
                f"{path}: no source's paths match it; say whose lines it holds with --source, "
                f"one of {names}"
            )
        found += [Recording(source.name, path) for source in owners]
    return found


def _means(source: Source, path: Path) -> bool:
    absolute = str(path.absolute())
    return not excludes(source.exclude)(absolute) and any(
        Glob(pattern).matches(absolute) for pattern in source.paths
    )


class Replay:
    """
    Reads recordings from the oldest line to the newest.

    Args:
        sources: How lines are read.
        rules: What is too much.
        matchers: One a source, by its name.
        recordings: What to read.
        year: The year of dates that have none; by default they are dated from the time at which
            their file was last written to.

    Attributes:
        begin: Unix seconds of the oldest of the files' first lines that have been read and have a
            time; ``None`` if there is none.
        end: Unix seconds of the newest line that has been read and has a time.
        total_bytes: The sizes of all files, as they lie on the disk.
        read_bytes: How much of that has been read.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        rules: Iterable[Rule],
        matchers: Mapping[str, Matcher],
        recordings: Sequence[Recording],
        *,
        year: int | None = None,
    ) -> None:
        self.pipeline = Pipeline(
            sources, rules, matchers, is_journaled=False, host=socket.gethostname()
        )
        self.begin: float | None = None
        self.end: float | None = None
        by_name = {source.name: source for source in sources}
        # Without timestamps the time of reading is one instant.
        now = time.time()
        self._reels = [
            _Reel(recording, by_name[recording.source], now=now, year=year)
            for recording in recordings
        ]
        self._ahead: Ahead[_Piece] = Ahead()
        self._holders: dict[str, list[str]] = {}
        for reel in self._reels:
            self._holders.setdefault(reel.file[1], []).append(reel.source.name)
        self.total_bytes = sum(reel.size for reel in self._reels)

    @property
    def read_bytes(self) -> int:
        """How much of ``total_bytes`` has been read."""
        return sum(reel.done for reel in self._reels)

    def run(self) -> Iterator[list[Alert]]:
        """
        Read everything; yield the alerts after every piece, often none.

        Raises:
            UnreadableError: A file is not there, may not be read, or is damaged.
        """
        try:
            yield from self._run()
        finally:
            # Whoever asks may have seen enough.
            self._ahead.close()
            for reel in self._reels:
                reel.close()

    def _run(self) -> Iterator[list[Alert]]:
        pipeline = self.pipeline
        for reel in self._reels:
            pipeline.behind(reel.source.name, reel.file, None)
        unread = [(reel.front, reel.place, reel) for reel in self._reels]
        heapq.heapify(unread)
        previous: _Reel | None = None
        while unread:
            _, _, reel = unread[0]
            # What is read twice in a row most often goes on; of files that take turns nothing is
            # read ahead, since it might be dropped.
            goes_on = reel is previous and len(unread) <= OPEN_FILES
            previous = reel
            size = FIRST_BYTES if reel.offset == 0 else CHUNK_BYTES
            batch = reel.read(size, self._ahead, goes_on=goes_on)
            if batch is None:
                heapq.heappop(unread)
                pipeline.at_end(reel.source.name, reel.file)
                yield pipeline.release()
                continue
            if batch.offset == 0:
                matcher = pipeline.matchers[reel.source.name]
                self._begin_at(first_time(matcher, batch, reel.framing))
            yield from self._take(batch, reel)
            heapq.heapreplace(unread, (reel.front, reel.place, reel))
            if len(unread) > OPEN_FILES:
                reel.close()
        yield pipeline.flush(self.end)

    def _begin_at(self, time: float | None) -> None:
        if time is not None:
            self.begin = time if self.begin is None else min(self.begin, time)

    def _take(self, batch: Batch, reel: _Reel) -> Iterator[list[Alert]]:
        framing, pipeline = reel.framing, self.pipeline
        holders = self._holders[reel.file[1]]
        is_done = False
        while not is_done:
            matched = pipeline.take(batch, framing, now=None, holders=holders)
            reel.front = framing.newest_time or reel.front
            if framing.newest_time is not None:
                self.end = max(self.end or framing.newest_time, framing.newest_time)
            pipeline.behind(reel.source.name, reel.file, framing.newest_time)
            yield pipeline.release()
            is_done = matched.consumed == len(batch.data)
            batch = batch.rest(matched.consumed)


class _Piece(NamedTuple):
    """
    Some bytes of a file.

    Attributes:
        data: The bytes.
        is_last: There are no more behind them.
        position: How much of what lies on the disk has been read with them.
    """

    data: bytes
    is_last: bool
    position: int


class _Reel:
    """A recording and how far it has been read."""

    def __init__(
        self, recording: Recording, source: Source, *, now: float, year: int | None
    ) -> None:
        self.source = source
        self._path = recording.path
        self._content: Content | None = None
        try:
            status = self._path.stat()
        except OSError as error:
            raise unreadable(self._path, error) from error
        self.file: File = (str(self._path), f"{status.st_dev}:{status.st_ino}")
        self.place = (*self.file, source.name)
        self.size = status.st_size
        self.done = 0
        self.offset = 0
        self.framing = Framing()
        self.front = 0.0
        self._is_skipping = False
        if source.timestamp == "none":
            self._reference = now
        elif year is None:
            self._reference = status.st_mtime
        else:
            # A date without a year is at most a day later than the reference.
            self._reference = datetime(year + 1, 1, 1, tzinfo=UTC).timestamp() - 86_400 - 1

    def read(self, size: int, ahead: Ahead[_Piece], *, goes_on: bool) -> Batch | None:
        """
        Read about so many bytes of complete lines; at the end of the file, what is left.

        Args:
            size: How many.
            ahead: What reads on meanwhile.
            goes_on: The next piece will most likely be of this file.

        Returns:
            ``None`` when nothing is left.

        Raises:
            UnreadableError: It cannot be read.
        """
        max_line = self.source.max_line
        size = max(size, max_line + 1)
        try:
            piece = ahead.take((self.place, self.offset))
            content = self._open()
            if piece is None:
                self._skip(content)
                piece = _read(content, size, self.offset)
        except OSError as error:
            raise unreadable(self._path, error) from error
        data, is_last, position = piece
        self.done = min(self.size, position)
        if not data and not self.framing.open_record:
            self.close()
            self.done = self.size
            return None
        end = len(data) if is_last else data.rfind(b"\n") + 1
        if end == 0 and not is_last:
            # Not one line end in a chunk: what is looked at of that line is its beginning.
            self._is_skipping = True
            end = max_line + 1
        batch = Batch(
            file=self.file[1],
            source=self.source.name,
            path=self.file[0],
            offset=self.offset,
            data=data[:end],
            read_at=self._reference,
            is_final=is_last,
        )
        self.offset += end
        if goes_on and not is_last and not self._is_skipping:
            ahead.begin((self.place, self.offset), partial(_read, content, size, self.offset))
        return batch

    def close(self) -> None:
        """Let go of the file; the next read opens it again."""
        if self._content is not None:
            self._content.close()
            self._content = None

    def _open(self) -> Content:
        if self._content is None:
            try:
                self._content = open_content(str(self._path))
            except NotRegularError as error:
                raise UnreadableError(self._path, "not a regular file", os.EX_NOINPUT) from error
        return self._content

    def _skip(self, content: Content) -> None:
        """Go to the end of an over-long line."""
        while self._is_skipping:
            data = content.read(CHUNK_BYTES, self.offset)
            end = data.find(b"\n") + 1
            self.offset += end or len(data)
            self._is_skipping = end == 0 and len(data) > 0


def _read(content: Content, size: int, offset: int) -> _Piece:
    # Cutting the chunk at a line's end afterwards would copy all of it.
    size = content.whole_lines(size, offset)
    data = content.read(size, offset)
    return _Piece(data, len(data) < size, content.raw_position(offset + len(data)))


def unreadable(path: Path, error: OSError) -> UnreadableError:
    """Say what is wrong with a file."""
    if isinstance(error, FileNotFoundError):
        return UnreadableError(path, "there is no such file", os.EX_NOINPUT)
    if isinstance(error, PermissionError):
        return UnreadableError(
            path, "permission denied; run this as a user who may read it", os.EX_NOPERM
        )
    return UnreadableError(path, str(error.strerror or error), os.EX_IOERR)
