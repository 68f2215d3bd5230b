"""
Where to begin, where to continue, and what to finish first, after each look at the directories.

Every look is settled in this order, and the order is what makes it right: where the files that we
follow are now; which of them were truncated; where files that we followed earlier have gone; which
generations came and went unseen; and only then which files are really new.  A new file read from
its beginning is the last resort, because it may be a copy of what we have read.

Trap: a directory changes while it is listed and a file while it is compared.  A file is believed
only once it is open, and before another one is called new, those that it might be a copy of are
looked at again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from alertd.tail.copies import Copies
from alertd.tail.enrolment import Enrolment
from alertd.tail.look import Look, UndecidedError
from alertd.tail.newcomers import Newcomers
from alertd.tail.resumption import Resumption
from alertd.tail.siblings import directory_of
from alertd.tail.survey import View
from alertd.tail.truncation import Truncation
from alertd.tail.unseen import Unseen
from alertd.tail.whereabouts import locate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from alertd.core.rules import Source
    from alertd.tail.caught import Caught
    from alertd.tail.descriptors import Descriptors
    from alertd.tail.followed import FollowedFile
    from alertd.tail.look import Fresh
    from alertd.tail.roster import Roster
    from alertd.tail.survey import Survey
    from alertd.tail.trouble import Troubles

_AGAIN = 0.02
_AT_ONCE = 100
"""New files that are followed before others have a turn: some milliseconds."""

_UNNAMED_LOOKS: Final = 3
"""
Looks for which a file that is open and has no name is taken as a sign that names were changed
while they were listed; after them it is in a directory that nobody looks into.
"""


class Placement:
    """
    Decides about every file that comes, goes, moves or shrinks.

    Args:
        roster: Where the decisions are kept.
        descriptors: The files that are open.
        caught: Files that were opened when they were named first.
        troubles: Where what cannot be followed is said.
        clock: Unix seconds.
        monotonic: Seconds that no clock adjustment moves.
    """

    def __init__(
        self,
        roster: Roster,
        descriptors: Descriptors,
        caught: Caught,
        troubles: Troubles,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._roster = roster
        self._descriptors = descriptors
        self._caught = caught
        self._clock = clock
        self._monotonic = monotonic
        self._view = View()
        self._waited_for_names: dict[str, int] = {}
        """Looks in a row, by source, that were left to the next one for that reason."""
        self._enrolment = enrolment = Enrolment(roster, descriptors, caught, monotonic)
        self._copies = Copies(roster, descriptors, monotonic)
        self._truncation = Truncation(
            roster, descriptors, caught, enrolment, troubles=troubles, monotonic=monotonic
        )
        self._resumption = Resumption(roster, enrolment, self._truncation, troubles, monotonic)
        self._unseen = Unseen(
            roster,
            descriptors,
            caught,
            enrolment,
            truncation=self._truncation,
            copies=self._copies,
            troubles=troubles,
            clock=clock,
        )
        self._newcomers = Newcomers(
            roster,
            descriptors,
            caught,
            enrolment,
            copies=self._copies,
            troubles=troubles,
            clock=clock,
        )

    async def settle(
        self,
        sources: Sequence[Source],
        survey: Survey,
        view: View,
        see_again: Callable[[Sequence[FollowedFile]], Awaitable[None]],
    ) -> float | None:
        """
        Bring what is followed into line with what was seen.

        Args:
            sources: All of them.
            survey: What their globs mean.
            view: What was seen.
            see_again: Looks at the sizes of files.

        Returns:
            Seconds after which another look is needed, because something was about to change.
        """
        self._view = view
        look = Look(view, survey)
        self._let_go(sources)
        for source in sources:
            await locate(source, look, self._roster, self._descriptors, self._monotonic)
        for file in [file for file in self._roster if file.is_suspect]:
            await self._truncation.verify(file)
        undecided: set[tuple[str, str]] = set()
        for source in sources:
            try:
                await self._settle_source(source, look)
            except UndecidedError as error:
                undecided |= error.homes
        await self._copies.settle(look)
        # What was written before a new file was made comes before its lines, and may have been
        # written since its writer's old file was looked at.
        growing = {file.source for file in self._roster if file.is_unplaced}
        if growing:
            await see_again([file for file in self._roster if file.source in growing])
        self._roster.undecided = undecided
        for file in self._roster:
            file.is_unplaced = False
        if undecided:
            # The next look judges as if this one had not been.
            return _AGAIN
        self._truncation.account(self._enrolment.take_recent())
        for file in self._roster:
            file.was_empty = file.offset == 0
        await self._unseen.note(look)
        return look.again_in

    @property
    def judged(self) -> Mapping[tuple[int, int], int]:
        """Inodes and times of modification of the rotations that need not be followed."""
        return self._unseen.seen

    def _let_go(self, sources: Sequence[Source]) -> None:
        """Do not look for files of sources that are no more; their positions are kept."""
        followed = {source.name for source in sources}
        for stored in self._roster.lost():
            if stored.key.source not in followed:
                self._roster.find(stored.key)

    def directories(self) -> set[str]:
        """Return the directories in which rotated files are looked for."""
        directories = {
            directory_of(name) for file in self._roster for name in (file.target, file.path)
        }
        for source, home in {(file.source, file.home) for file in self._roster}:
            directories |= self._roster.directories_of(source, home)
        for stored in self._roster.lost():
            directories |= self._roster.directories_of(stored.key.source, stored.home)
            # Rotation may put files aside; where, it tells nobody (logrotate: olddir).
            directories.update(self._view.directories_in(directory_of(stored.home)))
        return directories

    async def _settle_source(self, source: Source, look: Look) -> None:
        between_names = {
            (source.name, file.home)
            for file in self._roster.of(source.name).values()
            if 0 < file.unnamed <= _UNNAMED_LOOKS and not file.is_deleted
        }
        waited = self._waited_for_names.pop(source.name, 0)
        if between_names and waited < _UNNAMED_LOOKS:
            self._waited_for_names[source.name] = waited + 1
            raise UndecidedError(between_names)
        fresh = await self._newcomers.open_unknown(source, look)
        try:
            await self._continue(source, look, fresh)
            # What is new may be a copy of a file that was emptied since we looked.
            look.by_target = {(file.source, file.target): file for file in self._roster}
            doubtful = {
                file: None
                for one in fresh
                for file in self._copies.may_be_of(source.name, one.path, look)
            }
            for file in doubtful:
                await self._truncation.verify(file)
            held = [file for file in doubtful if file.is_held]
            if held:
                raise UndecidedError((file.source, file.home) for file in held)
            self._leave_out_followed(source, fresh)
            await self._unseen.follow(source, look, fresh)
            self._leave_out_followed(source, fresh)
            await self._begin(source, look, fresh)
        finally:
            for one in fresh:
                one.content.close()

    async def _continue(self, source: Source, look: Look, fresh: list[Fresh]) -> None:
        """Take out of ``fresh`` what we have read in before."""
        for one in list(fresh):
            stored = self._roster.stored.get(one.key)
            if stored is not None:
                fresh.remove(one)
                await self._resumption.resume(source, stored, one)
        self._leave_out_followed(source, fresh)
        await self._resumption.find_lost(source, look, fresh)
        self._leave_out_followed(source, fresh)
        for file in list(self._roster.of(source.name).values()):
            is_done = file.is_deleted and not file.is_held
            if is_done and await self._resumption.hand_over(file, source, fresh):
                self._descriptors.close(file)

    async def _begin(self, source: Source, look: Look, fresh: list[Fresh]) -> None:
        known = {glob for glob in source.paths if self._roster.is_glob_known(source.name, glob)}
        look.by_target = {(file.source, file.target): file for file in self._roster}
        for number, one in enumerate(sorted(fresh, key=lambda one: (one.mtime_ns, one.path)), 1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if await self._newcomers.begin(source, one, known, look):
                fresh.remove(one)
                look.by_target[source.name, one.target] = self._roster.of(source.name)[
                    one.key.device, one.key.inode
                ]
        for glob in source.paths:
            self._roster.know_glob(source.name, glob, self._clock())

    def _leave_out_followed(self, source: Source, fresh: list[Fresh]) -> None:
        followed = self._roster.of(source.name)
        for one in list(fresh):
            if (one.key.device, one.key.inode) in followed:
                fresh.remove(one)
                one.content.close()
