"""
Whether a file still holds what was read of it, and what to do if it does not.

It is read from its beginning then, after the rest of the copy that was made of it before, if there
is one.  What is in neither is counted.

Trap: a file is emptied while its writer goes on.  What that wrote between the end of the copy and
the emptying is nowhere; how much it was can only be said from how fast the file was growing.
"""

# ruff: noqa: PTH119 - paths are strings throughout: there are many

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import structlog

from alertd.tail.away import away
from alertd.tail.content import holds, witness
from alertd.tail.rotation import is_rotation_of
from alertd.tail.siblings import Copy, Witness, first_that_holds, join, witness_of
from alertd.tail.trouble import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from alertd.tail.descriptors import Descriptors
    from alertd.tail.enrolment import Enrolment
    from alertd.tail.followed import FollowedFile
    from alertd.tail.look import Look
    from alertd.tail.roster import Roster
    from alertd.tail.trouble import Troubles

log = structlog.get_logger(__name__)


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
        enrolment: Enrolment,
        troubles: Troubles,
        monotonic: Callable[[], float],
    ) -> None:
        self.emptied: set[FollowedFile] = set()
        self._roster = roster
        self._descriptors = descriptors
        self._enrolment = enrolment
        self._troubles = troubles
        self._monotonic = monotonic

    async def verify(self, file: FollowedFile, look: Look) -> None:
        """Look whether a file still holds what was read of it, and begin anew if it does not."""
        if file.is_held:
            return  # its batch is being evaluated; the next look judges
        content = self._descriptors.open(file)
        if content is None:
            return
        if file.is_archive:
            file.is_suspect = False  # nobody writes to it
            return
        seen = witness_of(file)
        try:
            status = content.status()
            is_same = status.st_size >= file.offset and await away(holds, content, *seen)
        except OSError as error:
            self._troubles.cannot_read(file.source, file.path, error)
            file.problem = str(error)
            return
        if file.is_held or file.offset != seen.offset:
            return
        file.is_suspect = False
        file.verified_ns = file.mtime_ns = status.st_mtime_ns
        if is_same:
            file.checked = min(file.checked, file.offset)
        else:
            await self.begin_anew(file, seen, look)
        file.size = file.peak = status.st_size
        self._roster.touch(file)
        self._roster.behind[file] = None

    async def begin_anew(self, file: FollowedFile, seen: Witness, look: Look) -> None:
        """
        Read a file from its beginning, after what is left of its copy.

        Args:
            file: What was emptied.
            seen: What it held before.
            look: Where its copy may be.
        """
        end = seen.offset
        copy = await self.find_copy(file.source, (file.target, file.home), seen, look, but=file)
        if copy is not None:
            known = await self._continue_in_copy(file, copy, seen)
            end = file.peak if known.is_archive else known.size
            log.info(
                "file truncated and its copy found",
                source=file.source,
                path=file.path,
                copy=known.path,
                offset=seen.offset,
            )
        else:
            log.info("file truncated", source=file.source, path=file.path, offset=seen.offset)
        rest = file.peak - end
        if rest > 0:
            self._troubles.happen(
                Problem(
                    "lines lost in truncation",
                    file.source,
                    file.path,
                    f"{os.path.basename(file.path)}: truncated; up to {rest} bytes lost: "
                    "rotate by renaming (logrotate: create) instead of copytruncate",
                    lost=rest,
                )
            )
        file.rank = self._roster.rank_after(file)
        file.restart()
        self.emptied.add(file)

    async def _continue_in_copy(
        self, file: FollowedFile, copy: Copy, seen: Witness
    ) -> FollowedFile:
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
        opened = self._descriptors.open(known)
        if opened is not None:
            known.place(seen.offset, *await away(witness, opened, seen.offset))
            if known.is_archive:
                known.size = known.peak = seen.offset + 1
            else:
                known.size = known.peak = opened.status().st_size
        known.is_skipping = file.is_skipping
        known.changed_at = self._monotonic()
        self._roster.touch(known)
        self._roster.behind[known] = None
        return known

    async def find_copy(
        self,
        source: str,
        paths: Iterable[str],
        seen: Witness,
        look: Look,
        *,
        but: FollowedFile | None = None,
    ) -> Copy | None:
        """
        Look beside some paths for a file, perhaps compressed, that holds what was read.

        Args:
            source: The source's name; what it follows in its own right is no copy.
            paths: Names that the file had.
            seen: What was read.
            look: What lies there.
            but: Not this one.
        """
        if seen.offset == 0:
            return None
        followed = self._roster.of(source)
        siblings: dict[str, None] = {}
        for path in paths:
            directory, name = os.path.split(path)
            listing = look.view.listings.get(directory or "/")
            for other, entry in listing.names.items() if listing else ():
                if entry.is_directory or entry.is_link or listing is None:
                    continue
                file = followed.get((listing.device, entry.inode))
                if (other.startswith(name) or is_rotation_of(other, name)) and (
                    file is None or (file is not but and file.copy_of is not None)
                ):
                    siblings[join(directory, other)] = None
        return await away(first_that_holds, list(siblings), seen)
