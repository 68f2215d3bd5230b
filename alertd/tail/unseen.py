"""
Generations of a log that came and went between two looks, found among the rotations beside it.

What lies there is unread if it was not there at the last look, or, after a restart, was written to
since then, and if it does not hold what we have read elsewhere: a rotation may be copied, or
compressed, after it was read.

Trap: what nobody has read a byte of has no content to be recognised by.  So every rotation that
was judged is remembered by inode, and archives also by the time of modification that they keep.
Only what was judged: while names are shifted a listing names files that nobody can open under that
name any more, and what is remembered unread is never read.
"""

# ruff: noqa: PTH119 - paths are strings throughout: there are many

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

import structlog

from alertd.core.framing import Framing
from alertd.tail.away import away
from alertd.tail.content import COMPRESSED, Archive, Content, begins_like, holds_any
from alertd.tail.identity import WITNESS
from alertd.tail.look import Fresh, UndecidedError
from alertd.tail.rotation import is_rotation_of, oldest_first, uncompressed
from alertd.tail.siblings import (
    directory_of,
    key_of,
    open_all,
    stored_witness,
    witness_of,
)
from alertd.tail.trouble import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from alertd.core.rules import Source
    from alertd.tail.caught import Catch, Caught
    from alertd.tail.copies import Copies
    from alertd.tail.descriptors import Descriptors
    from alertd.tail.enrolment import Enrolment
    from alertd.tail.followed import FollowedFile
    from alertd.tail.identity import FileKey, StoredFile
    from alertd.tail.look import Look
    from alertd.tail.roster import Roster
    from alertd.tail.trouble import Troubles
    from alertd.tail.truncation import Truncation

log = structlog.get_logger(__name__)

_SLACK: Final = 3.0
"""Seconds before the last look whose files it may have missed: they were just being renamed."""

_AGAIN: Final = 0.1

_SHIFTED_LOOKS: Final = 5
"""Looks in a row that are left to the next one because names were being changed."""

_YOUNG: Final = 2.0
"""Seconds after which an archive beside what it was made of is no longer being written."""


class Unseen:
    """Follows the generations that nobody saw being written."""

    def __init__(
        self,
        roster: Roster,
        descriptors: Descriptors,
        caught: Caught,
        enrolment: Enrolment,
        *,
        truncation: Truncation,
        copies: Copies,
        troubles: Troubles,
        clock: Callable[[], float],
    ) -> None:
        self._roster = roster
        self._descriptors = descriptors
        self._caught = caught
        self._enrolment = enrolment
        self._truncation = truncation
        self._copies = copies
        self._troubles = troubles
        self._clock = clock
        self._last_look = roster.last_looks()
        """By source and home: when the run before this one last looked."""
        self._seen: dict[tuple[int, int], int] | None = None
        """Rotations at the last look, by inode, with their times of modification."""
        self._listed: set[str] = set()
        """Directories that the last look saw."""
        self._judged: dict[tuple[int, int], int] = {}
        """Rotations that were decided about since then, likewise."""
        self._unopened: dict[tuple[str, str], set[tuple[int, int]]] = {}
        """Rotations, by source and home, that were listed and could not be opened."""
        self._shifted: dict[tuple[str, str], int] = {}
        """Looks in a row, by source and home, that found a name leading elsewhere."""

    @property
    def seen(self) -> Mapping[tuple[int, int], int]:
        """Inodes and times of modification of the rotations that have been judged."""
        return self._seen or {}

    async def follow(self, source: Source, look: Look, fresh: list[Fresh]) -> None:
        """
        Follow what is unread beside a source's files.

        Args:
            source: Which.
            look: What there is.
            fresh: New files that the globs mean; those among the rotations are taken out.

        Raises:
            UndecidedError: A file is being read that one of them may be a copy of, or one of them
                could not be opened under the name that it had a moment ago.
        """
        nameless = self._caught.nameless(source.name, look.inodes)
        for home in sorted(self._roster.homes(source.name)):
            self._say_unopened(source, home, look, nameless)
            paths = self._new_paths(source, home, look)
            gone = [one for one in nameless if self._was_of(source, home, one)]
            if not (paths or gone) or not self._may_have_missed(source, home):
                continue
            # They may be copies of a file that has been truncated since.
            for file in self._roster.at_home(source.name, home).copy():
                if file.is_held:
                    raise UndecidedError([(source.name, home)])
                await self._truncation.verify(file)
            paths = self._new_paths(source, home, look)
            between = await self._open_unread(source, home, paths, look, fresh)
            taken = {one.key for one in (*between, *fresh)}
            between += await self._take_nameless(source, home, gone, taken)
            if between:
                self._say_gone(source, home, between)
                await self._put_in_order(source, home, between, look)
                # A lost file of which nothing was read is read from its beginning, like these.
                for stored, _ in zip(self._unread(source, home), between, strict=False):
                    self._roster.forget(stored.key)

    async def note(self, look: Look) -> None:
        """Remember what lies beside the files that are followed, to tell new from old."""
        paths = [
            path
            for source in look.view.found
            for home in self._roster.homes(source)
            for path in self._rotations(source, home, look)
        ]
        before, judged, self._judged = self._seen, self._judged, {}
        # The inode of a file that we do not have open may be another one's by now.
        followed = {
            file.inode: None if file.content is not None else file.mtime_ns for file in self._roster
        }
        known = dict.fromkeys(look.inodes) if before is None else judged
        self._seen = {
            inode: judged.get(inode, time)
            for inode, time in (await away(_times, paths)).items()
            if inode in known
            or followed.get(inode, 0) in (None, time)
            or (before is not None and before.get(inode) == time)
        }
        self._listed = set(look.view.listings)

    def _since(self, source: Source, home: str) -> float | None:
        """Return when those rotations of a home were last written to that may be unread."""
        if self._seen is not None:
            return self._roster.looked_at
        since = self._last_look.get((source.name, home))
        if since is None:
            return None
        # What was there at the last look, and of which nothing was read, is as good as unseen.
        return min([since, *(stored.mtime_ns / 1e9 for stored in self._unread(source, home))])

    def _unread(self, source: Source, home: str) -> list[StoredFile]:
        """Return the lost positions of a home that stand at a beginning."""
        return [
            stored
            for stored in self._roster.lost_of(source.name)
            if stored.home == home and stored.offset == 0
        ]

    def _rotations(self, source: str, home: str, look: Look) -> list[str]:
        """Return what looks like a rotation of a home wherever one of its files has been found."""
        return [
            path
            for directory in sorted(self._roster.directories_of(source, home))
            for path in look.rotations_in(directory, home)
        ]

    def _new_paths(self, source: Source, home: str, look: Look) -> list[str]:
        followed = self._roster.of(source.name)
        seen = self._seen or {}
        paths = []
        for path in self._rotations(source.name, home, look):
            inode = look.inode_of(path)
            if inode in followed:
                continue
            if inode in seen and path.endswith(COMPRESSED):
                continue  # nobody writes to it
            paths.append(path)
        return paths

    def _may_have_missed(self, source: Source, home: str) -> bool:
        """Tell whether generations may have come and gone unseen."""
        if self._seen is not None:
            return True
        if (source.name, home) not in self._last_look:
            return False
        # A file that is where it was when we stopped was not rotated, and nothing came after it.
        return not any(
            file.offset and not file.is_rotated and file not in self._truncation.emptied
            for file in self._roster.at_home(source.name, home)
        )

    async def _open_unread(
        self, source: Source, home: str, paths: list[str], look: Look, fresh: list[Fresh]
    ) -> list[Fresh]:
        """
        Open those of some rotations that nobody has read.

        Raises:
            UndecidedError: One of them has another name by now.
        """
        unread = []
        already = _as_listed(paths, look, fresh)
        inodes = {path: look.inode_of(path)[1] for path in paths}
        there = {
            (listing.device, entry.inode)
            for directory in {directory_of(path) for path in (home, *paths)}
            for listing in [look.view.listings.get(directory)]
            if listing is not None
            for entry in listing.names.values()
        }
        # What one of these became keeps its time of modification.
        gone = {time for inode, time in (self._seen or {}).items() if inode not in there}
        paths = await away(self._changed, inodes, self._since(source, home), gone)
        new = [path for path in paths if path not in already]
        opening = self._caught.open(
            [(path, look.inode_of(path)) for path in new], lambda paths: away(open_all, paths)
        )
        opened = dict(zip(new, await opening, strict=True))
        self._unopened[source.name, home] = {
            look.inode_of(path)
            for path, content in opened.items()
            if isinstance(content, FileNotFoundError)
            or (isinstance(content, Content) and content.inode != inodes[path])
        }
        self._see_shifted(source, home, inodes, opened)
        for path in paths:
            if path in already:
                one = already[path]
            else:
                content = opened[path]
                if content is None or isinstance(content, OSError):
                    continue
                status = content.status()
                key = key_of(source.name, content)
                one = Fresh(path, path, (), key, content, status.st_size, status.st_mtime_ns)
            self._judged[one.key.device, one.key.inode] = one.mtime_ns
            if one.key in self._roster.stored:
                is_unread = False
            elif one.path.endswith(COMPRESSED) and await away(self._is_being_made, one):
                del self._judged[one.key.device, one.key.inode]
                look.want_again(_AGAIN)
                is_unread = False
            else:
                is_unread = one in fresh or not await self._is_known(source, home, one.content)
            if is_unread:
                unread.append(one)
                if one in fresh:
                    fresh.remove(one)
            elif one not in fresh:
                one.content.close()
        return unread

    def _was_of(self, source: Source, home: str, one: Catch) -> bool:
        """Tell whether a file that was caught had a home's name, or a rotation's."""
        directory, name = os.path.split(one.path)
        return directory in self._roster.directories_of(source.name, home) and (
            one.path == home or is_rotation_of(name, os.path.basename(home))
        )

    async def _take_nameless(
        self, source: Source, home: str, gone: list[Catch], taken: set[FileKey]
    ) -> list[Fresh]:
        """Return what lost its name since it was caught, and nobody has read elsewhere."""
        unread = []
        for one in gone:
            content = one.content.again()
            status = content.status()
            key = key_of(source.name, content)
            is_followed = (key.device, key.inode) in self._roster.of(source.name)
            if (
                status.st_size == 0
                or is_followed
                or key in taken
                or key in self._roster.stored
                or await self._is_known(source, home, content)
            ):
                content.close()
                continue
            unread.append(
                Fresh(
                    one.path,
                    one.path,
                    (),
                    key,
                    content,
                    status.st_size,
                    status.st_mtime_ns,
                    is_nameless=True,
                )
            )
        return unread

    def _see_shifted(
        self,
        source: Source,
        home: str,
        inodes: dict[str, int],
        opened: dict[str, Content | OSError | None],
    ) -> None:
        """Leave it to the next look if a name led elsewhere: it may find two names for one file."""
        shifted = []
        for path, content in opened.items():
            if isinstance(content, FileNotFoundError):
                shifted.append(path)
            elif isinstance(content, Content) and content.inode != inodes[path]:
                content.close()
                opened[path] = None
                shifted.append(path)
        count = self._shifted.pop((source.name, home), 0)
        if not shifted or count >= _SHIFTED_LOOKS:
            return
        self._shifted[source.name, home] = count + 1
        for content in opened.values():
            if isinstance(content, Content):
                content.close()
        raise UndecidedError([(source.name, home)])

    def _changed(self, inodes: dict[str, int], since: float | None, gone: set[int]) -> list[str]:
        """
        Return the paths of files that were not there at the last look, or not like this.

        Args:
            inodes: Of rotations, by path, as they were listed.
            since: When they were last written to at the earliest, where the last look did not look.
            gone: Times of modification of rotations that were there at the last look.
        """
        changed = []
        for path, inode in inodes.items():
            try:
                status = os.stat(path)  # noqa: PTH116 - many
            except OSError:
                changed.append(path)
                continue
            if status.st_ino != inode:
                is_new = True
            elif self._seen is None or directory_of(path) not in self._listed:
                is_new = since is not None and status.st_mtime_ns >= (since - _SLACK) * 1e9
            elif path.endswith(COMPRESSED):
                with contextlib.suppress(OSError):
                    gone.add(os.stat(uncompressed(path)).st_mtime_ns)  # noqa: PTH116 - many
                is_new = status.st_mtime_ns not in gone
            else:
                is_new = self._seen.get((status.st_dev, status.st_ino)) != status.st_mtime_ns
            if is_new:
                changed.append(path)
            else:
                self._judged[status.st_dev, status.st_ino] = status.st_mtime_ns
        return changed

    def _is_being_made(self, one: Fresh) -> bool:
        """Tell whether an archive is still being written."""
        is_young = self._clock() - one.mtime_ns / 1e9 < _YOUNG
        return is_young and os.path.exists(uncompressed(one.path))  # noqa: PTH110 - a str

    async def _is_known(self, source: Source, home: str, content: Content) -> bool:
        """Tell whether this is what is left of, or a copy of, what we have read or are reading."""
        is_archive = isinstance(content, Archive)
        # A short beginning that two files share proves nothing, unless it was compressed since.
        least = 1 if is_archive else WITNESS
        read = [
            *(
                witness_of(file)
                for file in self._roster.at_home(source.name, home)
                if file.offset > 0 and (is_archive or file.is_rotated)
            ),
            *(
                stored_witness(stored)
                for stored in self._roster.left_at(source.name, home)
                if stored.offset >= least
            ),
        ]
        if await away(holds_any, content, read):
            return True
        if is_archive:
            for file in self._roster.at_home(source.name, home).copy():
                if file.size and not file.is_archive:
                    theirs = await self._descriptors.open(file)
                    if theirs is not None and await away(begins_like, content, theirs, file.size):
                        return True
        return False

    def _say_unopened(self, source: Source, home: str, look: Look, nameless: list[Catch]) -> None:
        """Say how much was most likely in rotations that were listed, not opened, and are gone."""
        unopened = self._unopened.pop((source.name, home), None)
        if not unopened:
            return  # as nearly always, and there may be ten thousand homes
        followed = self._roster.of(source.name)
        gone = {one for one in unopened if one not in look.inodes and one not in followed}
        gone -= {(one.content.device, one.content.inode) for one in nameless}
        sizes = [file.size for file in self._roster.at_home(source.name, home) if file.is_rotated]
        if gone and sizes:
            self._say_lost(source, home, len(gone) * sum(sizes) // len(sizes))

    def _say_gone(self, source: Source, home: str, between: list[Fresh]) -> None:
        """Say how much was most likely deleted that was written after all that we know of."""
        files = self._roster.at_home(source.name, home)
        last = max(files, key=lambda file: file.rank, default=None)
        if last is None or not last.is_deleted:
            return  # what is younger than a file that is there has not been deleted
        named = sorted((one.mtime_ns, one.size) for one in between if not one.is_nameless)
        if not named or named[0][0] == named[-1][0]:
            return
        first_ns, first = named[0]
        size = sum(size for _, size in named) - first
        expected = size * (first_ns - _mtime(last)) // (named[-1][0] - first_ns)
        lost = expected - first - sum(one.size for one in between if one.is_nameless)
        # Nobody writes at an even pace: of many files that came and went, a few prove nothing.
        if lost >= max(size / len(named) / 2, expected / 4):
            self._say_lost(source, home, lost)

    def _say_lost(self, source: Source, home: str, lost: int) -> None:
        self._troubles.happen(
            Problem(
                "rotated files gone",
                source.name,
                home,
                f"{os.path.basename(home)}: deleted before they could be opened; about {lost} "
                "bytes lost: rotate less often, or keep more rotations",
                lost=lost,
            )
        )

    async def _put_in_order(
        self, source: Source, home: str, between: list[Fresh], look: Look
    ) -> None:
        """
        Follow files in the order in which they were written.

        Raises:
            UndecidedError: A file that one of them may be a copy of has been emptied just now.
        """
        originals = {}
        try:
            for new in between:
                originals[new.key] = await self._copies.original_of(source.name, new, look)
        except BaseException:
            for new in between:
                new.content.close()
            raise
        order: list[tuple[str, int, Fresh | FollowedFile]] = [
            (one.name, one.mtime_ns, one) for one in between
        ]
        # Among them belong files that have been emptied, after or before these were made.
        for file in self._roster.at_home(source.name, home):
            is_changed = file.was_empty or file in self._truncation.emptied
            if file.is_rotated and file.is_behind and is_changed:
                name = "" if file.is_deleted else os.path.basename(file.path)
                order.append((name, _mtime(file), file))
        for one in oldest_first(order):
            if isinstance(one, Fresh):
                file = self._enrolment.follow(
                    source.name, source.max_line, one.path, one.content, Framing(), home=home
                )
                file.target = one.target
                file.is_wanted = bool(one.globs)
                file.is_deleted = one.is_nameless and one.content.status().st_nlink == 0
                file.is_rotated = one.is_nameless or file.is_rotated
                file.copy_of = originals[one.key]
                log.info("rotated file found", source=source.name, path=home, rotated=one.path)
            else:
                one.rank = self._roster.next_rank()
                self._roster.touch(one)
        for file in self._roster.at_home(source.name, home):
            if not file.is_rotated:
                file.rank = self._roster.next_rank()
                self._roster.touch(file)


def _as_listed(paths: list[str], look: Look, fresh: list[Fresh]) -> dict[str, Fresh]:
    """Give new files the names that were listed; they may have been shifted since."""
    names = {look.inode_of(path): path for path in paths}
    listed = {}
    for place, one in enumerate(fresh):
        path = names.get((one.key.device, one.key.inode))
        if path is not None:
            fresh[place] = listed[path] = one._replace(path=path, target=path)
    return listed


def _mtime(file: FollowedFile) -> int:
    return file.mtime_ns if file.content is None else file.content.status().st_mtime_ns


def _times(paths: list[str]) -> dict[tuple[int, int], int]:
    """Return inodes and times of modification."""
    seen = {}
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - many
        except OSError:
            continue
        seen[status.st_dev, status.st_ino] = status.st_mtime_ns
    return seen
