"""Files that a glob means and nobody has followed yet: opened, and begun at one of their ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from alertd.core.framing import Framing
from alertd.tail.away import away
from alertd.tail.content import COMPRESSED, line_start, witness
from alertd.tail.identity import FileKey
from alertd.tail.look import Fresh
from alertd.tail.siblings import open_all
from alertd.tail.trouble import EXHAUSTED, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from alertd.core.rules import Source
    from alertd.tail.caught import Caught
    from alertd.tail.content import Content
    from alertd.tail.copies import Copies
    from alertd.tail.descriptors import Descriptors
    from alertd.tail.enrolment import Enrolment
    from alertd.tail.followed import FollowedFile
    from alertd.tail.look import Look
    from alertd.tail.roster import Roster
    from alertd.tail.survey import Found
    from alertd.tail.trouble import Troubles

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 256
"""Files opened in one go."""

_AGAIN: Final = 0.02

_NEWBORN: Final = 2.0
"""Seconds after which a file that is still empty is no copy being made."""


class Newcomers:
    """Opens new files and begins with them."""

    def __init__(
        self,
        roster: Roster,
        descriptors: Descriptors,
        caught: Caught,
        enrolment: Enrolment,
        *,
        copies: Copies,
        troubles: Troubles,
        clock: Callable[[], float],
    ) -> None:
        self._roster = roster
        self._descriptors = descriptors
        self._caught = caught
        self._enrolment = enrolment
        self._copies = copies
        self._troubles = troubles
        self._clock = clock
        self._sizes_at_first: dict[tuple[str, str], int] = {}
        """Files that were there, unreadable, when their glob was first used."""

    async def open_unknown(self, source: Source, look: Look) -> list[Fresh]:
        """Open what the globs mean and nobody follows."""
        fresh: list[Fresh] = []
        is_exhausted = False
        waiting = list(self._unknown(source, look).items())
        for start in range(0, len(waiting), _AT_ONCE):
            part = waiting[start : start + _AT_ONCE]
            # Their links have been judged, and they must lead to what was judged.
            opened = await self._caught.open(
                [(one.path, inode) for inode, one in part],
                lambda paths: away(open_all, paths, follows_links=True),
            )
            for (inode, one), content in zip(part, opened, strict=True):
                if isinstance(content, OSError):
                    self._could_not_open(source, one, content)
                    is_exhausted = is_exhausted or content.errno in EXHAUSTED
                    continue
                if content is None or (content.device, content.inode) != inode:
                    # The name has changed hands since it was looked at.
                    look.want_again(_AGAIN)
                    if content is not None:
                        content.close()
                    continue
                self._troubles.end(source.name, one.path)
                status = content.status()
                key = FileKey(source.name, *inode, content.generation)
                fresh.append(
                    Fresh(
                        one.path,
                        one.target,
                        one.globs,
                        key,
                        content,
                        status.st_size,
                        status.st_mtime_ns,
                    )
                )
        if fresh and is_exhausted:
            # Some of these will be closed once they are followed, and make room for others.
            look.want_again(_AGAIN)
        elif fresh:
            self._troubles.end(source.name, "")
        return fresh

    async def begin(self, source: Source, one: Fresh, known: set[str], look: Look) -> bool:
        """
        Follow a new file.

        Args:
            source: Whose.
            one: The file.
            known: Globs that have been in use before.
            look: What else there is.

        Returns:
            Whether it is followed now; it may have to wait for the next look.
        """
        if (
            one.size == 0
            and self._clock() - one.mtime_ns / 1e9 < _NEWBORN
            and self._copies.may_be_of(source.name, one.path, look)
        ):
            # A copy that is about to be filled, perhaps: wait for its first bytes.
            look.want_again(_AGAIN)
            return False
        original = await self._copies.original_of(source.name, one, look)
        file = self._enrolment.follow(
            source.name,
            source.max_line,
            one.path,
            one.content,
            Framing(),
            home=one.path if original is None else original.home,
        )
        file.target = one.target
        file.is_wanted = bool(one.globs)
        file.copy_of = original
        if original is not None:
            original.rank = self._roster.next_rank()
        elif (
            one.globs
            and source.start_at == "end"
            and (
                not known.intersection(one.globs) or (source.name, one.path) in self._sizes_at_first
            )
        ):
            await self._start_at_end(source, file)
        return True

    def _unknown(self, source: Source, look: Look) -> dict[tuple[int, int], Found]:
        followed = self._roster.of(source.name)
        unknown: dict[tuple[int, int], Found] = {}
        for path, one in look.view.found.get(source.name, {}).items():
            inode = (one.status.st_dev, one.status.st_ino)
            if inode in followed or path.endswith(COMPRESSED):
                continue
            if one.is_regular:
                unknown.setdefault(inode, one)
            else:
                self._troubles.begin(
                    Problem(
                        "not a regular file",
                        source.name,
                        path,
                        f"{path}: not a regular file, skipped: narrow the glob or exclude it",
                    )
                )
        return unknown

    def _could_not_open(self, source: Source, one: Found, error: OSError) -> None:
        if any(not self._roster.is_glob_known(source.name, glob) for glob in one.globs):
            self._sizes_at_first.setdefault((source.name, one.path), one.status.st_size)
        self._troubles.cannot_read(source.name, one.path, error)

    async def _start_at_end(self, source: Source, file: FollowedFile) -> None:
        content = file.content
        if content is None:
            return
        size = min(file.size, self._sizes_at_first.pop((source.name, file.path), file.size))
        start = await away(line_start, content, size)
        file.is_skipping = start is None
        start = size if start is None else start
        file.place(start, *await away(witness, content, start))
        if start and source.format == "csv" and not source.columns:
            await _learn_header(source, file, content)
        if start:
            log.info("starting at the end", source=source.name, path=file.path, skipped_bytes=start)


async def _learn_header(source: Source, file: FollowedFile, content: Content) -> None:
    """Read the names of a csv's fields although we begin in its middle."""
    from alertd.core.records import learn_header  # noqa: PLC0415 - only csv needs it

    line, newline, _ = (await away(content.read, source.max_line, 0)).partition(b"\n")
    if newline:
        learn_header(source, file.framing, line)
