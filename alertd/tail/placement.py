"""
Where to begin, where to continue, and what to finish first, after each look at the directories.

Every scan settles in this order, and the order is what makes it right: where the files that we
follow are now; which of them were truncated; where files that we followed earlier have gone; and
only then which files are really new.  A new file read from its beginning is the last resort,
because it may be a copy of what we have read.

Trap: a directory changes while it is listed and a file while it is compared.  A file is believed
only once it is open, and before another one is called new, those that it might be a copy of are
looked at again.
"""

# ruff: noqa: PTH119 - paths are strings throughout: there are many

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import structlog

from alertd.core.framing import Framing
from alertd.tail.away import away
from alertd.tail.content import (
    COMPRESSED,
    Archive,
    Content,
    NotRegularError,
    begins_like,
    holds,
    line_start,
    open_content,
    witness,
)
from alertd.tail.followed import FollowedFile
from alertd.tail.identity import WITNESS, FileKey, StoredFile, digest
from alertd.tail.roster import is_glob
from alertd.tail.rotation import is_newer, is_rotation_of, oldest_first, origins
from alertd.tail.trouble import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from alertd.core.rules import Source
    from alertd.tail.roster import Roster
    from alertd.tail.survey import Found, Survey, View
    from alertd.tail.trouble import Troubles

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 256
"""Files opened in one go."""

_SIBLINGS: Final = 64
"""Files, the newest first, in which a lost position is looked for."""

_DENIED: Final = frozenset({errno.EACCES, errno.EPERM})
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE})


class Witness(NamedTuple):
    """What a content that was read up to an offset is recognised by."""

    offset: int
    head: bytes
    marker: bytes


class Fresh(NamedTuple):
    """A file that a glob means and that we do not follow yet, opened."""

    path: str
    target: str
    globs: tuple[str, ...]
    key: FileKey
    content: Content
    size: int
    mtime_ns: int


class Copy(NamedTuple):
    """A file that holds what was read elsewhere."""

    path: str
    content: Content
    mtime_ns: int


class Placement:
    """
    Decides about every file that comes, goes, moves or shrinks.

    Args:
        roster: Where the decisions are kept.
        troubles: Where what cannot be followed is said.
        clock: Unix seconds.
        monotonic: Seconds that no clock adjustment moves.
        open_file: Opens a followed file again, if it is closed.
        keep_open: Told about each descriptor that a followed file has now.
    """

    def __init__(
        self,
        roster: Roster,
        troubles: Troubles,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        open_file: Callable[[FollowedFile], Content | None],
        keep_open: Callable[[FollowedFile, Content], None],
    ) -> None:
        self._roster = roster
        self._troubles = troubles
        self._clock = clock
        self._monotonic = monotonic
        self._open_file = open_file
        self._keep_open = keep_open
        self._since: dict[tuple[str, str], float] = {}
        """By source and home: when a position was last stored by the run before this one."""
        for file in roster.stored.values():
            home = (file.key.source, file.home)
            self._since[home] = max(file.last_seen, self._since.get(home, 0.0))
        self._seen: dict[tuple[int, int], int] | None = None
        """Rotated siblings at the last scan, with their times of modification."""
        self._lost: dict[FileKey, None] = {
            key: None
            for key, file in roster.stored.items()
            if not file.is_complete and not is_glob(file)
        }
        """Positions whose file is to be found again."""
        self._moved: set[tuple[str, str]] = set()
        """Source and home of files that lost their name, or their content, in this scan."""
        self._truncated: set[FollowedFile] = set()
        """Files that were emptied since the last scan."""
        self._by_target: dict[tuple[str, str], FollowedFile] = {}
        """By source and name, symbolic links followed."""
        self._rotations: dict[str, list[str]] = {}
        """By name: what lies beside it and looks like a rotation of it."""
        self._sizes_at_first: dict[tuple[str, str], int] = {}
        """Files that were there, unreadable, when their glob was first used."""
        self._is_unfinished = False
        """Something was about to change: look again soon."""
        self._is_postponed = False
        """A batch was being evaluated: look again, as if this look had not been."""

    async def settle(self, sources: Sequence[Source], survey: Survey, view: View) -> bool:
        """
        Bring what is followed into line with what was seen.

        Returns:
            Whether another look is needed soon, because something was about to change.
        """
        self._is_unfinished = False
        if not self._is_postponed:
            self._moved = set()
            self._truncated = set()
        self._is_postponed = False
        for source in sources:
            self._locate(source, view)
        for file in [file for file in self._roster if file.is_suspect]:
            await self.verify(file, view)
        self._by_target = {(file.source, file.target): file for file in self._roster}
        self._rotations = _rotations(view)
        for source in sources:
            await self._settle_source(source, survey, view)
        await self._settle_copies()
        if self._is_postponed:
            return True
        for file in self._roster:
            file.was_empty = file.offset == 0
        self._seen = await away(self._rotated_siblings, view)
        return self._is_unfinished

    def directories(self) -> set[str]:
        """Return the directories in which rotated files are looked for."""
        names = {name for file in self._roster for name in (file.target, file.path, file.home)}
        names.update(self._roster.stored[key].home for key in self._lost)
        return {_directory(name) for name in names}

    def reconsider(self, sources: Iterable[str]) -> None:
        """Look for the files of stored positions again: their globs may be back."""
        followed = {file.key for file in self._roster}
        wanted = set(sources)
        for key, stored in self._roster.stored.items():
            if (
                key.source in wanted
                and key not in followed
                and not stored.is_complete
                and not is_glob(stored)
            ):
                self._lost[key] = None

    # -- where the files that we follow are now

    def _locate(self, source: Source, view: View) -> None:
        found = view.found.get(source.name, {})
        names: dict[tuple[int, int], list[str]] = {}
        for path, one in found.items():
            if not path.endswith(COMPRESSED):
                names.setdefault((one.status.st_dev, one.status.st_ino), []).append(path)
        for file in list(self._roster.of(source.name).values()):
            paths = names.get(file.inode)
            was_rotated = file.is_rotated
            if paths:
                if file.path not in paths:
                    file.path = file.home if file.home in paths else paths[0]
                    self._roster.touch(file)
                file.target = found[file.path].target
                file.is_wanted = True
                file.is_rotated = file.home not in paths
                if not file.is_rotated:
                    file.is_deleted = False
            else:
                file.is_wanted = False
                file.is_rotated = True
                self._look_beside(file, view)
            if file.is_rotated and not was_rotated:
                file.changed_at = self._monotonic()
                self._moved.add((source.name, file.home))

    def _look_beside(self, file: FollowedFile, view: View) -> None:
        for directory in dict.fromkeys((_directory(file.target), _directory(file.path))):
            listing = view.listings.get(directory)
            if listing is None or listing.device != file.key.device:
                continue
            for name, entry in listing.names.items():
                if entry.inode == file.key.inode and not entry.is_link:
                    path = _join(directory, name)
                    if path not in (file.path, file.target):
                        file.path = file.target = path
                        self._roster.touch(file)
                    return
        if file.content is None:
            # It was closed, so it was read to its end, and nobody can open it again.
            self._lose(file)
        else:
            file.is_deleted = file.content.status().st_nlink == 0

    def _lose(self, file: FollowedFile) -> None:
        stored = file.stored(self._clock())
        self._roster.drop(file)
        if file.is_closed:
            self._roster.forget(file.key)
            return
        self._roster.remember(stored)
        self._lost[file.key] = None
        self._moved.add((file.source, file.home))

    def replaced(self, file: FollowedFile) -> None:
        """Take note that the inode of a closed file belongs to another file by now."""
        self._lose(file)

    # -- what was truncated

    async def verify(self, file: FollowedFile, view: View) -> None:
        """Look whether a file still holds what was read of it, and begin anew if it does not."""
        if file.is_held:
            return  # its batch is being evaluated; the next scan looks again
        content = self._open_file(file)
        if content is None:
            return
        if file.is_archive:
            file.is_suspect = False  # nobody writes to it
            return
        seen = Witness(file.offset, file.head, digest(file.tail))
        try:
            status = content.status()
            is_same = status.st_size >= file.offset and await away(holds, content, *seen)
        except OSError as error:
            self.cannot_read(file.source, file.path, error)
            file.problem = str(error)
            return
        if file.is_held or file.offset != seen.offset:
            return
        file.is_suspect = False
        file.verified_ns = file.mtime_ns = status.st_mtime_ns
        if is_same:
            file.size = file.peak = status.st_size
            file.checked = min(file.checked, file.offset)
        else:
            await self._begin_anew(file, seen, view)
            file.size = file.peak = status.st_size
        self._roster.touch(file)
        self._roster.behind[file] = None

    async def _begin_anew(self, file: FollowedFile, seen: Witness, view: View) -> None:
        rest = file.peak - seen.offset
        copy = await self._find_copy(file.source, (file.target, file.home), seen, view, but=file)
        if copy is not None:
            status = copy.content.status()
            known = self._roster.of(file.source).get((copy.content.device, copy.content.inode))
            if known is None:
                known = self._follow_copy(file, copy)
            else:
                copy.content.close()
                known.copy_of = None
                known.home = file.home
                known.framing = msgspec.structs.replace(file.framing)
                self._roster.drop(known)
                self._roster.add(known)
            content = known.content or self._open_file(known)
            if content is not None:
                known.place(seen.offset, *await away(witness, content, seen.offset))
            known.rank = file.rank
            known.is_skipping = file.is_skipping
            known.size = known.peak = max(status.st_size, seen.offset + 1)
            if not known.is_archive:
                known.size = known.peak = status.st_size
                rest = file.peak - status.st_size
            else:
                rest = 0
            known.changed_at = self._monotonic()
            self._roster.touch(known)
            self._roster.behind[known] = None
            log.info(
                "file truncated and its copy found",
                source=file.source,
                path=file.path,
                copy=known.path,
                offset=seen.offset,
            )
        else:
            log.info("file truncated", source=file.source, path=file.path, offset=seen.offset)
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
        self._truncated.add(file)
        # Emptied twice since we looked: the younger copy holds only what we have not seen.
        self._moved.add((file.source, file.home))

    def _follow_copy(self, file: FollowedFile, copy: Copy) -> FollowedFile:
        known = self._make(
            file.source,
            file.max_line,
            copy.path,
            copy.content,
            msgspec.structs.replace(file.framing),
            home=file.home,
        )
        known.is_wanted = False
        known.is_rotated = True
        return known

    async def _find_copy(
        self,
        source: str,
        paths: Iterable[str],
        seen: Witness,
        view: View,
        *,
        but: FollowedFile | None = None,
    ) -> Copy | None:
        """Look beside ``paths`` for a file, perhaps compressed, that holds what was read."""
        if seen.offset == 0:
            return None
        followed = self._roster.of(source)
        siblings: dict[str, None] = {}
        for path in paths:
            directory, name = os.path.split(path)
            listing = view.listings.get(directory or "/")
            for other, entry in listing.names.items() if listing else ():
                if entry.is_directory or entry.is_link or listing is None:
                    continue
                file = followed.get((listing.device, entry.inode))
                if (other.startswith(name) or is_rotation_of(other, name)) and (
                    file is None or (file is not but and file.copy_of is not None)
                ):
                    siblings[_join(directory, other)] = None
        return await away(_first_that_holds, list(siblings), seen)

    # -- what is new

    async def _settle_source(self, source: Source, survey: Survey, view: View) -> None:
        fresh = await self._open_unknown(source, view)
        try:
            lost = [key for key in self._lost if key.source == source.name]
            for key in lost:
                stored = self._roster.stored.get(key)
                if stored is None or not survey.means(source.name, stored.home):
                    self._lost.pop(key, None)
                    continue  # kept for the day on which its glob is back
                self._lost.pop(key, None)
                await self._find_again(source, stored, fresh, view)
            self._leave_out_followed(source, fresh)
            for file in list(self._roster.of(source.name).values()):
                if file.is_deleted and not file.is_held:
                    await self._hand_over(source, file, fresh)
            if not await self._recheck(source, fresh, view):
                self._is_postponed = True
                return
            self._leave_out_followed(source, fresh)
            homes = {home for name, home in self._moved if name == source.name}
            homes.update(one.path for one in fresh if self._roster.at_home(source.name, one.path))
            # An empty file may have been filled and emptied since we looked, its copy unseen.
            homes.update(
                file.home for file in self._roster.of(source.name).values() if file.was_empty
            )
            # And what is new beside a file may be its copy, made before it was emptied.
            homes.update(self._homes_with_new_siblings(source, view))
            for home in sorted(homes):
                await self._follow_between(source, home, fresh, view)
            is_first = {
                glob for glob in source.paths if not self._roster.is_glob_known(source.name, glob)
            }
            for one in sorted(fresh, key=lambda one: (one.mtime_ns, one.path)):
                await self._follow_new(source, one, is_first)
            fresh.clear()
            for glob in is_first:
                self._roster.know_glob(source.name, glob, self._clock())
        finally:
            for one in fresh:
                one.content.close()

    async def _open_unknown(self, source: Source, view: View) -> list[Fresh]:
        found = view.found.get(source.name, {})
        followed = self._roster.of(source.name)
        unknown: dict[tuple[int, int], Found] = {}
        for path, one in found.items():
            inode = (one.status.st_dev, one.status.st_ino)
            if inode in followed or path.endswith(COMPRESSED):
                continue
            if not one.is_regular:
                self._troubles.begin(
                    Problem(
                        "not a regular file",
                        source.name,
                        path,
                        f"{path}: not a regular file, skipped: narrow the glob or exclude it",
                    )
                )
                continue
            unknown.setdefault(inode, one)
        fresh: list[Fresh] = []
        waiting = list(unknown.items())
        for start in range(0, len(waiting), _AT_ONCE):
            part = waiting[start : start + _AT_ONCE]
            opened = await away(_open_all, [one.path for _, one in part])
            for (inode, one), content in zip(part, opened, strict=True):
                if isinstance(content, OSError):
                    self._could_not_open(source, one, content)
                    continue
                if content is None or (content.device, content.inode) != inode:
                    # The name has changed hands since it was looked at.
                    self._is_unfinished = True
                    if content is not None:
                        content.close()
                    continue
                self._troubles.end(source.name, one.path)
                status = content.status()
                key = FileKey(source.name, *inode, content.generation)
                new = Fresh(
                    one.path,
                    one.target,
                    one.globs,
                    key,
                    content,
                    status.st_size,
                    status.st_mtime_ns,
                )
                stored = self._roster.stored.get(key)
                if stored is None:
                    fresh.append(new)
                else:
                    await self._resume(source, stored, new, view)
        return fresh

    def _could_not_open(self, source: Source, one: Found, error: OSError) -> None:
        if any(not self._roster.is_glob_known(source.name, glob) for glob in one.globs):
            self._sizes_at_first.setdefault((source.name, one.path), one.status.st_size)
        self.cannot_read(source.name, one.path, error)

    def cannot_read(self, source: str, path: str, error: OSError) -> None:
        """Say why a file cannot be read and what to do about it."""
        if error.errno in _DENIED:
            kind = "permission denied; retrying"
            remedy = "let alertd's user read it, for example through its group"
        elif error.errno in _EXHAUSTED:
            kind = "too many open files; retrying"
            remedy = "raise LimitNOFILE"
            path = ""
        elif error.errno == errno.ENOENT:
            return
        else:
            kind = "file cannot be read; retrying"
            remedy = "see the reason"
        reason = error.strerror or type(error).__name__
        self._troubles.begin(
            Problem(kind, source, path, f"{path or source}: {reason}; retrying: {remedy}")
        )

    async def _resume(self, source: Source, stored: StoredFile, one: Fresh, view: View) -> None:
        file = self._make(
            source.name,
            source.max_line,
            one.path,
            one.content,
            _copied(stored),
            home=stored.home,
            rank=stored.rank,
        )
        file.target = one.target
        file.is_rotated = stored.home != one.path
        if file.is_rotated:
            self._moved.add((source.name, stored.home))
        await self._continue(file, stored, view)

    async def _continue(self, file: FollowedFile, stored: StoredFile, view: View) -> None:
        """Go on where the last process stopped, if the file still holds what that one read."""
        self._lost.pop(stored.key, None)
        if file.content is None:
            return
        head, tail = await away(witness, file.content, stored.offset)
        file.place(stored.offset, head, tail)
        file.is_skipping = stored.is_skipping
        file.was_empty = stored.offset == 0
        if head != stored.head or digest(tail) != stored.marker:
            size, file.peak = file.size, max(stored.size, file.size)
            seen = Witness(stored.offset, stored.head, stored.marker)
            await self._begin_anew(file, seen, view)
            file.size = file.peak = size
        self._roster.behind[file] = None

    def _leave_out_followed(self, source: Source, fresh: list[Fresh]) -> None:
        followed = self._roster.of(source.name)
        for one in list(fresh):
            if (one.key.device, one.key.inode) in followed:
                fresh.remove(one)
                one.content.close()

    async def _find_again(
        self, source: Source, stored: StoredFile, fresh: list[Fresh], view: View
    ) -> None:
        """Find the file, or a copy of it, that a position belongs to."""
        home = (source.name, stored.home)
        path = _name_of(stored, view)
        if path is not None:
            content = await self._open_beside(path)
            if content is not None and _key(source.name, content) == stored.key:
                file = self._make(
                    source.name,
                    source.max_line,
                    path,
                    content,
                    _copied(stored),
                    home=stored.home,
                    rank=stored.rank,
                )
                file.is_wanted = False
                file.is_rotated = path != stored.home
                self._moved.add(home)
                await self._continue(file, stored, view)
                return
            if content is not None:
                content.close()
        seen = Witness(stored.offset, stored.head, stored.marker)
        self._roster.forget(stored.key)
        # The same name first: an editor, rsync or a restored backup put it there.
        for one in sorted(fresh, key=lambda one: one.path != stored.home):
            if (one.path == stored.home or stored.offset >= WITNESS) and await self._is_same(
                one, seen
            ):
                fresh.remove(one)
                file = self._follow(source, one, _copied(stored), home=one.path)
                await self._continue(file, stored, view)
                log.info("file replaced by its copy", source=source.name, path=one.path)
                return
        copy = await self._find_copy(source.name, (stored.home,), seen, view)
        if copy is not None:
            file = self._make(
                source.name,
                source.max_line,
                copy.path,
                copy.content,
                _copied(stored),
                home=stored.home,
                rank=stored.rank,
            )
            file.is_wanted = False
            file.is_rotated = True
            if isinstance(copy.content, Archive):
                file.size = stored.offset + 1
            self._moved.add(home)
            await self._continue(file, stored, view)
            log.info("rotated file found", source=source.name, path=stored.home, rotated=copy.path)
            return
        self._moved.add(home)
        if stored.size == 0:
            return
        rest = max(0, stored.size - stored.offset)
        self._troubles.happen(
            Problem(
                "rotated file gone",
                source.name,
                stored.home,
                f"{os.path.basename(stored.home)}: rotated file gone; up to {rest} bytes lost",
                lost=rest,
            )
        )

    async def _hand_over(self, source: Source, file: FollowedFile, fresh: list[Fresh]) -> None:
        """Let a file that replaced one with the same content continue where that one was."""
        seen = Witness(file.offset, file.head, digest(file.tail))
        for one in fresh:
            if one.path == file.home and await self._is_same(one, seen):
                fresh.remove(one)
                self._roster.drop(file)
                self._roster.forget(file.key)
                if file.content is not None:
                    file.content.close()
                new = self._follow(source, one, file.framing, home=one.path)
                new.place(file.offset, file.head, file.tail)
                new.is_skipping = file.is_skipping
                self._moved.discard((source.name, file.home))
                log.info("file replaced by its copy", source=source.name, path=one.path)
                return

    @staticmethod
    async def _is_same(one: Fresh, seen: Witness) -> bool:
        return 0 < seen.offset <= one.size and await away(holds, one.content, *seen)

    async def _recheck(self, source: Source, fresh: list[Fresh], view: View) -> bool:
        """
        Look again at the files that new ones might be copies of: they may be truncated by now.

        Returns:
            Whether that was possible: a batch of one may be being evaluated.
        """
        doubtful = {file: None for one in fresh for file in self._originals(source, one.path)}
        for file in doubtful:
            await self.verify(file, view)
        return not any(file.is_held for file in doubtful)

    def _originals(self, source: Source, path: str) -> list[FollowedFile]:
        """Find the files that ``path`` looks like a copy of, by its name."""
        directory, name = os.path.split(path)
        names = dict.fromkeys(name[:length] for length in range(1, len(name)))
        names.update(dict.fromkeys(origins(name)))
        found = (self._by_target.get((source.name, _join(directory, other))) for other in names)
        return [file for file in found if file is not None]

    async def _follow_between(
        self, source: Source, home: str, fresh: list[Fresh], view: View
    ) -> None:
        """Follow the generations between the file that had a name and the one that has it now."""
        listing = view.listings.get(_directory(home))
        if listing is None or not self._may_have_missed(source, home):
            return
        followed = self._roster.of(source.name)
        names = [
            name
            for name in self._rotations.get(home, ())
            if (listing.device, listing.names[name].inode) not in followed
        ]
        if not names:
            return
        # They may be copies of a file that has been truncated since.
        for file in self._roster.at_home(source.name, home).copy():
            if file.is_held:
                self._is_postponed = True
                return
            await self.verify(file, view)
        self._leave_out_followed(source, fresh)
        if self._seen is not None and not (
            (source.name, home) in self._moved
            or any(file.was_empty for file in self._at(source, home))
        ):
            return
        followed = self._roster.of(source.name)
        paths = {_join(_directory(home), name) for name in names}
        between = [one for one in fresh if one.path in paths]
        known = {one.key.inode for one in between} | {inode for _, inode in followed}
        between += await self._open_between(
            source, home, [name for name in names if listing.names[name].inode not in known]
        )
        for one in between:
            if one in fresh:
                fresh.remove(one)
        await self._put_in_order(source, home, between)

    def _homes_with_new_siblings(self, source: Source, view: View) -> set[str]:
        homes = {file.home for file in self._roster.of(source.name).values()}
        seen = self._seen or {}
        return {
            home
            for home in homes
            if (listing := view.listings.get(_directory(home))) is not None
            and any(
                (listing.device, listing.names[name].inode) not in seen
                for name in self._rotations.get(home, ())
            )
        }

    def _may_have_missed(self, source: Source, home: str) -> bool:
        """Tell whether generations may have come and gone unseen."""
        if self._seen is not None:
            return True
        if (source.name, home) not in self._since:
            return False
        # A file that is where it was when we stopped was not rotated, and nothing came after it.
        return not any(
            file.offset and not file.is_rotated and file not in self._truncated
            for file in self._roster.at_home(source.name, home)
        )

    async def _open_between(self, source: Source, home: str, names: list[str]) -> list[Fresh]:
        """Open those of the rotated files beside ``home`` that nobody has read."""
        older = [file for file in self._roster.at_home(source.name, home) if file.is_rotated]
        is_moved = len(older) == len(self._roster.at_home(source.name, home))
        last = max(older, key=lambda file: file.rank, default=None)
        if not is_moved and not self._truncated.intersection(older + self._at(source, home)):
            last = None
        paths = [_join(_directory(home), name) for name in names]
        opened = []
        for path, content in zip(paths, await away(_open_all, paths), strict=True):
            if content is None or isinstance(content, OSError):
                continue
            status = content.status()
            key = _key(source.name, content)
            if (
                key in self._roster.stored
                or not self._is_between(path, status, last, self._since.get((source.name, home)))
                or await self._is_known_content(content, older)
            ):
                content.close()
                continue
            opened.append(Fresh(path, path, (), key, content, status.st_size, status.st_mtime_ns))
        return opened

    def _at(self, source: Source, home: str) -> list[FollowedFile]:
        return self._roster.at_home(source.name, home)

    async def _put_in_order(self, source: Source, home: str, between: list[Fresh]) -> None:
        """Follow files in the order in which they were written."""
        if not between:
            return
        order: list[tuple[str, int, Fresh | FollowedFile]] = [
            (os.path.basename(one.path), one.mtime_ns, one) for one in between
        ]
        # Among them belong files that have been emptied, after or before these were made.
        for file in self._at(source, home):
            is_changed = file.was_empty or file in self._truncated
            if file.is_rotated and file.is_behind and is_changed:
                name = "" if file.is_deleted else os.path.basename(file.path)
                order.append((name, self._mtime(file), file))
        for one in oldest_first(order):
            if isinstance(one, FollowedFile):
                one.rank = self._roster.next_rank()
                self._roster.touch(one)
                continue
            original = await self._original_of(source, one)
            file = self._follow(source, one, Framing(), home=home)
            file.is_rotated = True
            file.copy_of = original
            if file.is_archive:
                file.size = 1
            log.info("rotated file found", source=source.name, path=home, rotated=one.path)
        for file in self._at(source, home):
            if not file.is_rotated:
                file.rank = self._roster.next_rank()
                self._roster.touch(file)

    @staticmethod
    def _mtime(file: FollowedFile) -> int:
        return file.mtime_ns if file.content is None else file.content.status().st_mtime_ns

    def _is_between(
        self, path: str, status: os.stat_result, last: FollowedFile | None, since: float | None
    ) -> bool:
        """Tell whether a rotated file was begun after the one that we were reading."""
        if self._seen is not None:
            # It was not here at the last scan, or its inode belonged to another file.
            is_new = self._seen.get((status.st_dev, status.st_ino)) != status.st_mtime_ns
            return is_new and not path.endswith(COMPRESSED)
        if last is not None and is_newer(path, status.st_mtime_ns, last.path, last.mtime_ns):
            return True
        # Written since a position was stored, and yet not known: nobody was looking.
        return since is not None and status.st_mtime_ns >= since * 1e9

    @staticmethod
    async def _is_known_content(content: Content, files: list[FollowedFile]) -> bool:
        """Tell whether this is what is left of, or a copy of, what we have followed."""
        for file in files:
            if file.offset and await away(
                holds, content, file.offset, file.head, digest(file.tail)
            ):
                return True
        return False

    async def _follow_new(self, source: Source, one: Fresh, is_first: set[str]) -> None:
        if one.size == 0 and self._originals(source, one.path):
            # A copy that is about to be filled, perhaps: wait for its first bytes.
            self._is_unfinished = True
            one.content.close()
            return
        original = await self._original_of(source, one)
        home = one.path if original is None else original.home
        file = self._follow(source, one, Framing(), home=home)
        file.copy_of = original
        if original is not None:
            file.is_rotated = True
            original.rank = self._roster.next_rank()
        elif one.globs and is_first.issuperset(one.globs) and source.start_at == "end":
            await self._start_at_end(source, file)

    async def _original_of(self, source: Source, one: Fresh) -> FollowedFile | None:
        for file in self._originals(source, one.path):
            content = self._open_file(file)
            if content is None:
                continue
            size = min(one.size, content.status().st_size)
            if size and await away(begins_like, one.content, content, size):
                return file
        return None

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

    async def _settle_copies(self) -> None:
        """Let copies become files of their own once their originals have been read that far."""
        for file in [file for file in self._roster if file.copy_of is not None]:
            original = file.copy_of
            content = self._open_file(file)
            if content is None or original is None:
                continue
            size = content.status().st_size
            theirs = None if original.is_closed else original.content
            if theirs is not None and await away(begins_like, content, theirs, size):
                if original.offset < size:
                    continue  # the original is still to be read that far
                offset = size
            else:
                seen = Witness(original.offset, original.head, digest(original.tail))
                offset = seen.offset if await away(holds, content, *seen) else 0
            file.copy_of = None
            file.place(offset, *await away(witness, content, offset))
            file.framing = msgspec.structs.replace(original.framing, open_record=b"")
            self._roster.touch(file)
            self._roster.behind[file] = None

    # -- what all of that is made of

    def _follow(self, source: Source, one: Fresh, framing: Framing, *, home: str) -> FollowedFile:
        file = self._make(source.name, source.max_line, one.path, one.content, framing, home=home)
        file.target = one.target
        file.is_wanted = bool(one.globs)
        return file

    def _make(
        self,
        source: str,
        max_line: int,
        path: str,
        content: Content,
        framing: Framing,
        *,
        home: str,
        rank: float | None = None,
    ) -> FollowedFile:
        file = FollowedFile(
            _key(source, content),
            max_line,
            path,
            framing,
            home=home,
            rank=self._roster.next_rank() if rank is None else rank,
        )
        status = content.status()
        file.size = file.peak = 0 if isinstance(content, Archive) else status.st_size
        file.mtime_ns = file.verified_ns = status.st_mtime_ns
        file.changed_at = file.looked_at = self._monotonic()
        self._keep_open(file, content)
        self._by_target[source, path] = file
        self._roster.add(file)
        self._roster.behind[file] = None
        return file

    @staticmethod
    async def _open_beside(path: str) -> Content | None:
        (content,) = await away(_open_all, [path])
        return None if isinstance(content, OSError) else content

    def _rotated_siblings(self, view: View) -> dict[tuple[int, int], int]:
        """Note the rotated files beside those that we follow, to tell new ones from old ones."""
        homes: dict[str, set[str]] = {}
        for file in list(self._roster):
            homes.setdefault(_directory(file.home), set()).add(os.path.basename(file.home))
        seen = {}
        for directory, names in homes.items():
            listing = view.listings.get(directory)
            for name in listing.names if listing else ():
                if any(origin in names for origin in origins(name)):
                    try:
                        status = os.stat(_join(directory, name))  # noqa: PTH116
                    except OSError:
                        continue
                    seen[status.st_dev, status.st_ino] = status.st_mtime_ns
        return seen


async def _learn_header(source: Source, file: FollowedFile, content: Content) -> None:
    """Read the names of a csv's fields although we begin in its middle."""
    from alertd.core.records import learn_header  # noqa: PLC0415 - only csv needs it

    line, newline, _ = (await away(content.read, source.max_line, 0)).partition(b"\n")
    if newline:
        learn_header(source, file.framing, line)


def _rotations(view: View) -> dict[str, list[str]]:
    """Find, for each name, what lies beside it and looks like a rotation of it."""
    found: dict[str, list[str]] = {}
    for directory, listing in view.listings.items():
        for name, entry in listing.names.items():
            if not entry.is_directory and not entry.is_link:
                for origin in origins(name):
                    found.setdefault(_join(directory, origin), []).append(name)
    return found


def _directory(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _join(directory: str, name: str) -> str:
    return f"{directory.rstrip('/')}/{name}"


def _copied(stored: StoredFile) -> Framing:
    return msgspec.structs.replace(stored.framing)


def _key(source: str, content: Content) -> FileKey:
    return FileKey(source, content.device, content.inode, content.generation)


def _name_of(stored: StoredFile, view: View) -> str | None:
    """Find the name that an inode has now in the directories where it was."""
    for directory in dict.fromkeys((_directory(stored.path), _directory(stored.home))):
        listing = view.listings.get(directory)
        for name, entry in listing.names.items() if listing else ():
            if entry.inode == stored.key.inode and not entry.is_link:
                return _join(directory, name)
    return None


def _open_all(paths: list[str]) -> list[Content | OSError | None]:
    """Open files; None stands for one that is no regular file any more."""
    opened: list[Content | OSError | None] = []
    for path in paths:
        try:
            opened.append(open_content(path))
        except NotRegularError:
            opened.append(None)
        except OSError as error:
            opened.append(error)
    return opened


def _first_that_holds(paths: list[str], seen: Witness) -> Copy | None:
    """Find the newest file that holds what was read, uncompressed ones first."""
    dated = []
    for path in paths:
        try:
            dated.append((not path.endswith(COMPRESSED), os.stat(path).st_mtime_ns, path))  # noqa: PTH116
        except OSError:
            continue
    for _, mtime_ns, path in sorted(dated, reverse=True)[:_SIBLINGS]:
        try:
            content = open_content(path)
        except (OSError, NotRegularError):
            continue
        try:
            if holds(content, *seen):
                return Copy(path, content, mtime_ns)
        except OSError:
            pass  # unreadable is as good as absent
        content.close()
    return None
