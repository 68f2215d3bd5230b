"""
Where to continue: positions from an earlier run, and those whose file lost its name meanwhile.

A file is looked for under its old name, then by its inode, then by its content in what was put in
its place, in its rotations and in their archives.

Trap: a directory is never listed in one instant.  A file that is being renamed or compressed just
now may be seen under no name at all, so it is given up only after it was missing for a while, and
files of its name that are younger wait for it as long.
"""

# ruff: noqa: PTH119 - paths are strings throughout: there are many

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from alertd.tail.away import away
from alertd.tail.content import holds, witness
from alertd.tail.identity import WITNESS, Witness, digest
from alertd.tail.siblings import directory_of, join, key_of, open_all, stored_witness
from alertd.tail.trouble import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from alertd.core.framing import Framing
    from alertd.core.rules import Source
    from alertd.tail.content import Content
    from alertd.tail.enrolment import Enrolment
    from alertd.tail.followed import FollowedFile
    from alertd.tail.identity import FileKey, StoredFile
    from alertd.tail.look import Fresh, Look
    from alertd.tail.roster import Roster
    from alertd.tail.trouble import Troubles
    from alertd.tail.truncation import Truncation

log = structlog.get_logger(__name__)

_GRACE: Final = 2.0
"""Seconds for which a file may be without a name before it is given up."""

_AGAIN: Final = 0.05


class Resumption:
    """Finds the files that positions belong to."""

    def __init__(
        self,
        roster: Roster,
        enrolment: Enrolment,
        truncation: Truncation,
        troubles: Troubles,
        monotonic: Callable[[], float],
    ) -> None:
        self._roster = roster
        self._enrolment = enrolment
        self._truncation = truncation
        self._troubles = troubles
        self._monotonic = monotonic
        self._missing_since: dict[FileKey, float] = {}

    async def find_lost(self, source: Source, look: Look, fresh: list[Fresh]) -> None:
        """
        Look for the files of a source's lost positions.

        Args:
            source: Which.
            look: What there is.
            fresh: New files; those that turn out to be old ones are taken out.
        """
        for stored in self._roster.lost_of(source.name):
            if not look.survey.means(source.name, stored.home):
                self._roster.find(stored.key)  # kept for the day on which its glob is back
                continue
            if await self._find(source, stored, fresh, look):
                self._missing_since.pop(stored.key, None)
                continue
            now = self._monotonic()
            if now - self._missing_since.setdefault(stored.key, now) < _GRACE:
                look.want_again(_AGAIN)
            else:
                self._give_up(stored)

    async def resume(self, source: Source, stored: StoredFile, one: Fresh) -> None:
        """Continue in the very file that a position belongs to."""
        file = self._follow(source, stored, one.path, one.content)
        file.target = one.target
        file.is_wanted = True
        await self._continue(file, stored)

    async def hand_over(self, file: FollowedFile, source: Source, fresh: list[Fresh]) -> bool:
        """
        Let a file that replaced a deleted one, with the same content, continue where that one was.

        Returns:
            Whether there is one; the deleted file is followed no longer then.
        """
        seen = Witness(file.offset, file.head, digest(file.tail))
        for one in fresh:
            if one.path == file.home and await _is_same(one, seen) and not file.is_held:
                fresh.remove(one)
                self._roster.drop(file)
                self._roster.forget(file.key)
                new = self._replace(source, one, file.framing)
                new.place(file.offset, file.head, file.tail)
                new.is_skipping = file.is_skipping
                return True
        return False

    async def _find(
        self, source: Source, stored: StoredFile, fresh: list[Fresh], look: Look
    ) -> bool:
        """Find the file, or a copy of it, that a position belongs to."""
        key = stored.key
        directories = [directory_of(stored.path), directory_of(stored.home)]
        path = look.name_of(key.inode, key.device, [*directories, *look.view.listings])
        if path is not None:
            (content,) = await away(open_all, [path])
            if content is not None and not isinstance(content, OSError):
                if key_of(source.name, content) == key:
                    file = self._follow(source, stored, path, content)
                    await self._continue(file, stored)
                    return True
                content.close()
        seen = stored_witness(stored)
        # The same name first: an editor, rsync or a restored backup put it there.
        for one in sorted(fresh, key=lambda one: one.path != stored.home):
            if (one.path == stored.home or stored.offset >= WITNESS) and await _is_same(one, seen):
                fresh.remove(one)
                self._roster.forget(key)
                if one.path in look.rotations_of(stored.home):
                    file = self._follow(source, stored, one.path, one.content)
                    file.target = one.target
                    file.is_wanted = True
                else:
                    file = self._replace(source, one, _copied(stored))
                await self._continue(file, stored)
                return True
        name = os.path.basename(stored.home)
        aside = look.view.directories_in(directory_of(stored.home))
        paths = [join(directory, name) for directory in (*directories, *aside)]
        copy = await self._truncation.find_copy(source.name, [stored.home, *paths], [seen])
        if copy is None:
            return False
        self._roster.forget(key)
        file = self._follow(source, stored, copy.path, copy.content)
        await self._continue(file, stored)
        log.info("rotated file found", source=source.name, path=stored.home, rotated=copy.path)
        return True

    def _give_up(self, stored: StoredFile) -> None:
        """Say what is lost, and know the content if it turns up again."""
        self._missing_since.pop(stored.key, None)
        self._roster.find(stored.key)
        self._roster.remember(msgspec.structs.replace(stored, is_complete=True))
        rest = max(0, stored.size - stored.offset)
        if rest == 0 and (stored.path != stored.home or stored.size == 0):
            return  # it was read to its end, or never held anything
        self._troubles.happen(
            Problem(
                "rotated file gone",
                stored.key.source,
                stored.home,
                f"{os.path.basename(stored.home)}: rotated file gone; up to {rest} bytes lost",
                lost=rest,
            )
        )

    def _follow(
        self, source: Source, stored: StoredFile, path: str, content: Content
    ) -> FollowedFile:
        return self._enrolment.follow(
            source.name,
            source.max_line,
            path,
            content,
            _copied(stored),
            home=stored.home,
            rank=stored.rank,
        )

    def _replace(self, source: Source, one: Fresh, framing: Framing) -> FollowedFile:
        log.info("file replaced by its copy", source=source.name, path=one.path)
        file = self._enrolment.follow(
            source.name, source.max_line, one.path, one.content, framing, home=one.path
        )
        file.target = one.target
        return file

    async def _continue(self, file: FollowedFile, stored: StoredFile) -> None:
        """Go on where the position is, if the file still holds what was read before it."""
        self._roster.find(stored.key)
        if file.content is None:
            return
        head, tail = await away(witness, file.content, stored.offset)
        file.place(stored.offset, head, tail)
        file.is_skipping = stored.is_skipping
        file.was_empty = stored.offset == 0
        if file.is_archive:
            file.size = stored.offset + 1
        if head == stored.head and digest(tail) == stored.marker:
            pass
        elif stored.is_complete:
            # Nothing was left to read of the file that had this inode before.
            file.restart()
            file.rank = self._roster.next_rank()
        else:
            size, file.growth.peak = file.size, max(stored.size, stored.offset)
            await self._truncation.begin_anew(file, [stored_witness(stored)], None)
            file.size = file.growth.peak = size
        self._roster.behind[file] = None


async def _is_same(one: Fresh, seen: Witness) -> bool:
    return 0 < seen.offset <= one.size and await away(holds, one.content, *seen)


def _copied(stored: StoredFile) -> Framing:
    return msgspec.structs.replace(stored.framing)
