"""
Copies of files that are still there: nothing is read in them while their originals hold it.

A copy becomes a file of its own once its original has been read that far, or is emptied.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from alertd.tail.away import away
from alertd.tail.content import begins_like, holds, witness
from alertd.tail.look import UndecidedError
from alertd.tail.rotation import origins
from alertd.tail.siblings import join

if TYPE_CHECKING:
    from collections.abc import Callable

    from alertd.tail.content import Content
    from alertd.tail.descriptors import Descriptors
    from alertd.tail.followed import FollowedFile
    from alertd.tail.look import Fresh, Look
    from alertd.tail.roster import Roster

_QUIET: Final = 2.0
"""Seconds for which a copy must not have grown before it is a file of its own."""


class Copies:
    """Tells copies from originals."""

    def __init__(
        self, roster: Roster, descriptors: Descriptors, monotonic: Callable[[], float]
    ) -> None:
        self._roster = roster
        self._descriptors = descriptors
        self._monotonic = monotonic

    @staticmethod
    def may_be_of(source: str, path: str, look: Look) -> list[FollowedFile]:
        """Find the followed files that ``path`` looks like a copy of, by its name."""
        directory, name = os.path.split(path)
        names = dict.fromkeys(name[:length] for length in range(1, len(name)))
        names.update(dict.fromkeys(origins(name)))
        found = (look.by_target.get((source, join(directory, other))) for other in names)
        return [file for file in found if file is not None]

    async def original_of(self, source: str, one: Fresh, look: Look) -> FollowedFile | None:
        """
        Find the followed file that still holds what a new file holds.

        Raises:
            UndecidedError: A file that it may be a copy of has been emptied during this look.
        """
        for file in self.may_be_of(source, one.path, look):
            content = await self._descriptors.open(file)
            if content is None:
                continue
            if await _agree(one.content, content):
                return file
            seen = file.witnesses[0]
            size = content.status().st_size
            is_same = size >= max(file.growth.peak, seen.offset) and await away(
                holds, content, *seen
            )
            if not is_same and not file.is_archive:
                file.is_suspect = True
                raise UndecidedError([(source, file.home)])
        return None

    async def settle(self, look: Look) -> None:
        """Let copies become files of their own once their originals have been read that far."""
        for file in [file for file in self._roster if file.copy_of is not None]:
            original = file.copy_of
            content = await self._descriptors.open(file)
            if content is None or original is None:
                continue
            size = content.status().st_size
            if size != file.size:
                file.size, file.changed_at = size, self._monotonic()
            theirs = None if original.is_closed else original.content
            is_alike = theirs is not None and await away(begins_like, content, theirs, size)
            seen = original.witnesses[0]
            if is_alike:
                offset = min(size, seen.offset)
            else:
                # From here on it is no copy any more; what they had in common has been read.
                is_held = await away(holds, content, *seen)
                offset = max(file.offset, seen.offset if is_held else 0)
            if file.copy_of is not original:
                continue
            if offset != file.offset:
                file.place(offset, *await away(witness, content, offset))
            is_quiet = self._monotonic() - file.changed_at >= _QUIET
            if is_alike and not (offset == size and is_quiet):
                # It may be a copy that is still being made: what it gets is no news.
                look.want_again(_QUIET)
                continue
            file.copy_of = None
            file.framing = msgspec.structs.replace(original.framing, open_record=b"")
            self._roster.touch(file)
            self._roster.behind[file] = None


async def _agree(content: Content, other: Content) -> bool:
    size = min(content.status().st_size, other.status().st_size)
    return size > 0 and await away(begins_like, content, other, size)
