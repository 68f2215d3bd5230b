"""
Whether a file still holds what was read of it, and what to do if it does not.

It is read from its beginning then, after the rest of the copy that was made of it before, if there
is one.  What is in neither is counted.

Trap: a file is emptied while its writer goes on.  What that wrote between the end of the copy and
the emptying is nowhere; how much it was can only be said from how fast the file was growing.  And
who reads while the copy is made has soon read more than the copy holds: it is recognised all the
same, by what was read a little earlier, lest all of it be read again.
"""

# ruff: noqa: PTH119 - paths are strings throughout: there are many

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import structlog

from alertd.tail.away import away
from alertd.tail.content import holds, witness
from alertd.tail.siblings import beside, first_that_holds
from alertd.tail.trouble import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from alertd.tail.caught import Caught
    from alertd.tail.descriptors import Descriptors
    from alertd.tail.enrolment import Enrolment
    from alertd.tail.followed import FollowedFile
    from alertd.tail.identity import Witness
    from alertd.tail.roster import Roster
    from alertd.tail.siblings import Copy
    from alertd.tail.trouble import Troubles

log = structlog.get_logger(__name__)

_TICK: Final = 0.01
"""Seconds to which files' times are exact, at worst."""

_SETTLED_NS: Final = 100_000_000
"""Whatever happens in the same tick of the clock leaves a time of modification unchanged."""

_A_LINE: Final = 128
"""Bytes below which an estimate says nothing."""


class Remains(NamedTuple):
    """What an emptied file has become: its size, and when it was last written to."""

    size: int
    mtime_ns: int


class Truncation:
    """
    Verifies files and begins anew with those that were emptied.

    Attributes:
        emptied: The files that were, since the last look that could judge.
    """

    def __init__(
        self,
        roster: Roster,
        descriptors: Descriptors,
        caught: Caught,
        enrolment: Enrolment,
        *,
        troubles: Troubles,
        monotonic: Callable[[], float],
    ) -> None:
        self.emptied: set[FollowedFile] = set()
        self._unread: dict[FollowedFile, tuple[int, list[FollowedFile]]] = {}
        """Those of which nothing had been read: how large they were, and their copies."""
        self._roster = roster
        self._descriptors = descriptors
        self._caught = caught
        self._enrolment = enrolment
        self._troubles = troubles
        self._monotonic = monotonic

    async def verify(self, file: FollowedFile) -> None:
        """Look whether a file still holds what was read of it, and begin anew if it does not."""
        if file.is_held:
            return  # its batch is being evaluated; the next look judges
        content = await self._descriptors.open(file)
        if content is None:
            return
        if file.is_archive:
            file.is_suspect = False  # nobody writes to it
            return
        seen = file.witnesses
        try:
            status = content.status()
            if _is_untouched(file, status):
                return
            is_shorter = status.st_size < file.growth.peak  # it may grow while it is compared
            is_same = status.st_size >= file.offset and await away(holds, content, *seen[0])
        except OSError as error:
            self._troubles.cannot_read(file.source, file.path, error)
            file.problem = str(error)
            return
        if file.is_held or file.offset != seen[0].offset:
            return
        file.is_suspect = False
        file.verified_ns = file.mtime_ns = status.st_mtime_ns
        if not is_same:
            await self.begin_anew(file, seen, Remains(status.st_size, status.st_mtime_ns))
        elif is_shorter:
            self._note_unread(file, status.st_size)
        file.checked = min(file.checked, file.offset)
        file.size = file.growth.peak = status.st_size
        file.growth.see(status.st_size, status.st_mtime_ns)
        self._roster.touch(file)
        self._roster.behind[file] = None

    async def begin_anew(
        self, file: FollowedFile, seen: Sequence[Witness], remains: Remains | None
    ) -> None:
        """
        Read a file from its beginning, after what is left of its copy.

        Args:
            file: What was emptied.
            seen: What it held before: at the offset, and at earlier ones.
            remains: What it has been since it was emptied; None if that happened unwatched.
        """
        file.is_unplaced = True
        end = seen[0].offset
        copied_ns = file.growth.peak_ns
        copy = await self.find_copy(file.source, (file.target, file.home), seen, but=file)
        if copy is not None:
            end = max(end, file.growth.peak if copy.end is None else copy.end)
            copied_ns = max(copied_ns, 0 if copy.end is None else copy.mtime_ns)
            await self._continue_in_copy(file, copy)
            log.info(
                "file truncated and its copy found",
                source=file.source,
                path=file.path,
                copy=copy.path,
                offset=seen[0].offset,
            )
        else:
            log.info("file truncated", source=file.source, path=file.path, offset=seen[0].offset)
        lost = max(0, file.growth.peak - end)
        if remains is not None:
            lost += _unseen(file, copied_ns, remains)
        self._say_lost(file, lost)
        self._restart(file)

    def account(self, recent: Sequence[FollowedFile]) -> None:
        """
        Say what is lost of files that were emptied before anything of them was read.

        Args:
            recent: Files that have been followed only since the last look that could judge: their
                copies are among them, if there are any.
        """
        self.emptied.clear()
        unread, self._unread = self._unread, {}
        for file, (size, copies) in unread.items():
            copies += [one for one in recent if one.home == file.home and one is not file]
            if not any(one.is_archive for one in copies):
                self._say_lost(file, size - max((one.size for one in copies), default=0))

    def _note_unread(self, file: FollowedFile, size: int) -> None:
        """Take note that what was not read yet has been cut off."""
        if file.offset:
            self._say_lost(file, file.growth.peak - size)
            return
        copies = [
            one for one in self._roster.at_home(file.source, file.home) if one.copy_of is file
        ]
        self._unread[file] = (file.growth.peak, copies)
        self._restart(file)

    def _restart(self, file: FollowedFile) -> None:
        file.is_unplaced = True
        file.rank = self._roster.rank_after(file)
        file.restart()
        self.emptied.add(file)

    def _say_lost(self, file: FollowedFile, lost: int) -> None:
        if lost <= 0:
            return
        self._troubles.happen(
            Problem(
                "lines lost in truncation",
                file.source,
                file.path,
                f"{os.path.basename(file.path)}: truncated; up to {lost} bytes lost: "
                "rotate by renaming (logrotate: create) instead of copytruncate",
                lost=lost,
            )
        )

    async def _continue_in_copy(self, file: FollowedFile, copy: Copy) -> None:
        """Follow the copy, or what was taken for a mere copy until now, from where we were."""
        content = copy.content
        known = self._roster.of(file.source).get((content.device, content.inode))
        if known is None:
            known = self._enrolment.follow(
                file.source,
                file.max_line,
                copy.path,
                content,
                msgspec.structs.replace(file.framing),
                home=file.home,
                rank=file.rank,
            )
        else:
            content.close()
            self._roster.drop(known)
            known.copy_of = None
            known.home = file.home
            known.rank = file.rank
            known.framing = msgspec.structs.replace(file.framing)
            self._roster.add(known)
        opened = await self._descriptors.open(known)
        if opened is not None:
            known.place(copy.known, *await away(witness, opened, copy.known))
        known.size = known.growth.peak = copy.known + 1 if copy.end is None else copy.end
        if copy.known == copy.end:
            known.framing.open_record = b""
        known.is_skipping = file.is_skipping
        known.changed_at = self._monotonic()
        self._roster.touch(known)
        self._roster.behind[known] = None

    async def find_copy(
        self,
        source: str,
        paths: Iterable[str],
        seen: Sequence[Witness],
        *,
        but: FollowedFile | None = None,
    ) -> Copy | None:
        """
        Look beside some paths for a file, perhaps compressed, that holds what was read.

        Args:
            source: The source's name; what it follows in its own right is no copy.
            paths: Names that the file had.
            seen: What was read.
            but: Not this one.
        """
        if seen[0].offset == 0:
            return None
        siblings, paths = [], list(paths)
        for path, inode in await away(beside, paths):
            file = self._roster.of(source).get(inode)
            if file is None or (file is not but and file.copy_of is not None):
                siblings.append(path)
        held = self._caught.beside(source, paths)
        return await away(first_that_holds, siblings, seen, held)


def _is_untouched(file: FollowedFile, status: os.stat_result) -> bool:
    """Tell whether a file was not written to since its content was compared last."""
    return (
        not file.is_suspect
        and status.st_mtime_ns == file.verified_ns
        and status.st_size == file.growth.peak
        and time.time_ns() - status.st_mtime_ns > _SETTLED_NS
    )


def _unseen(file: FollowedFile, since_ns: int, remains: Remains) -> int:
    """
    Estimate how much was written after the copy was made and before the file was emptied.

    Args:
        file: As it was before.
        since_ns: When the last byte that we know of was written.
        remains: What has been written since it was emptied, and until when.
    """
    seconds = max(0, remains.mtime_ns - since_ns) / 1e9 + _TICK
    unseen = int(file.growth.pace() * seconds) - remains.size
    return unseen if unseen >= _A_LINE else 0
