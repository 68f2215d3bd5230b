"""
Everything that is followed, everything that is remembered, and what of it is to be stored.

A position is stored with its file's framing, and only when the daemon asks: it commits both
together with what the lines before the position did.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Final

from alertd.core.framing import Framing
from alertd.tail.identity import FileKey, StoredFile
from alertd.tail.siblings import directory_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from alertd.tail.followed import FollowedFile

_LEFT_KEPT: Final = 64
"""Files of one name that were read to their end and left, by which copies of them are told."""

_NO_DEVICE: Final = -1
"""A stored "file" on this device remembers that a glob has been in use."""


class Roster:
    """
    The files that are followed, by source and inode.

    Attributes:
        stored: Every position that is remembered, followed or not.
        behind: Files that may be read; a file is taken out lazily.
        looked_at: When the directories were looked at last, Unix seconds.
        undecided: Source and home of files about which the last look could not decide.
    """

    def __init__(self, stored: Iterable[StoredFile]) -> None:
        self.stored: dict[FileKey, StoredFile] = {}
        self.behind: dict[FollowedFile, None] = {}
        self.looked_at = 0.0
        self.undecided: set[tuple[str, str]] = set()
        self._stored_at: dict[tuple[str, str], dict[FileKey, None]] = {}
        self._files: dict[str, dict[tuple[int, int], FollowedFile]] = {}
        self._by_home: dict[tuple[str, str], list[FollowedFile]] = {}
        self._lost: dict[tuple[str, str], dict[FileKey, StoredFile]] = {}
        self._dirty: dict[FileKey, FollowedFile | StoredFile] = {}
        self._forgotten: list[FileKey] = []
        for file in stored:
            self._store(file)
            if not file.is_complete and not is_glob(file):
                self._miss(file)
        self._rank = math.ceil(max((file.rank for file in self.stored.values()), default=0))

    def __iter__(self) -> Iterator[FollowedFile]:
        for files in self._files.values():
            yield from files.values()

    # -- what is followed

    def of(self, source: str) -> dict[tuple[int, int], FollowedFile]:
        """Return a source's files by inode."""
        return self._files.setdefault(source, {})

    def at_home(self, source: str, home: str) -> list[FollowedFile]:
        """Return the files that are, or were, written to under a name."""
        return self._by_home.get((source, home), [])

    def next_rank(self) -> float:
        """Return a rank behind all others."""
        self._rank += 1
        return self._rank

    def rank_after(self, file: FollowedFile) -> float:
        """Return a rank behind a file's, before the next one's of the same name."""
        later = [
            other.rank for other in self.at_home(file.source, file.home) if other.rank > file.rank
        ]
        return (file.rank + min(later)) / 2 if later else self.next_rank()

    def add(self, file: FollowedFile) -> None:
        """Follow a file."""
        self.of(file.source)[file.inode] = file
        self._by_home.setdefault((file.source, file.home), []).append(file)
        self.touch(file)

    def drop(self, file: FollowedFile) -> None:
        """Follow a file no longer; its position stays remembered."""
        if self._files.get(file.source, {}).get(file.inode) is file:
            del self._files[file.source][file.inode]
        at_home = self._by_home.get((file.source, file.home), [])
        if file in at_home:
            at_home.remove(file)
            if not at_home:
                del self._by_home[file.source, file.home]
        self.behind.pop(file, None)

    def is_waiting(self, file: FollowedFile) -> bool:
        """Tell whether an older file of the same name has, or may have, lines that come first."""
        home = (file.source, file.home)
        if home in self.undecided:
            # It is undecided because of what is held, perhaps: that must come to an end.
            return not file.is_held
        return any(
            other.rank < file.rank and other.is_behind for other in self.at_home(*home)
        ) or any(
            # One that had been rotated and was read to its end has most likely nothing more.
            lost.rank < file.rank and (lost.offset < lost.size or lost.path == home[1])
            for lost in self._lost.get(home, {}).values()
        )

    # -- what is remembered

    def homes(self, source: str) -> set[str]:
        """Return the names under which a source's files are, or were, written to."""
        return {
            home
            for homes in (self._by_home, self._stored_at)
            for name, home in homes
            if name == source
        }

    def directories_of(self, source: str, home: str) -> set[str]:
        """Return where the files lie that are, or were, written to under a name."""
        paths = [file.path for file in self.at_home(source, home)]
        paths += [self.stored[key].path for key in self._stored_at.get((source, home), {})]
        return {directory_of(path) for path in (home, *paths)}

    def left_at(self, source: str, home: str) -> list[StoredFile]:
        """Return what is remembered of files that had a name and are followed no longer."""
        followed = {file.key for file in self.at_home(source, home)}
        return [
            self.stored[key]
            for key in self._stored_at.get((source, home), {})
            if key not in followed
        ]

    def last_looks(self) -> dict[tuple[str, str], float]:
        """Return when each home was last looked at, as far as that is remembered."""
        return {
            home: max(self.stored[key].last_seen for key in keys)
            for home, keys in self._stored_at.items()
        }

    def touch(self, file: FollowedFile) -> None:
        """Have a file's position stored with the next changes."""
        self._dirty[file.key] = file

    def remember(self, stored: StoredFile) -> None:
        """Have a position stored that no followed file has."""
        self._store(stored)
        self._dirty[stored.key] = stored

    def forget(self, key: FileKey) -> None:
        """Have a position removed."""
        self.find(key)
        self._unstore(key)
        self._dirty.pop(key, None)
        self._forgotten.append(key)

    def take_changes(self) -> tuple[list[StoredFile], list[FileKey]]:
        """Return what changed since the last call: positions to store, and to remove."""
        changed = {
            key: file if isinstance(file, StoredFile) else file.stored(self.looked_at)
            for key, file in self._dirty.items()
        }
        self._dirty.clear()
        for stored in changed.values():
            self._store(stored)
        for source, home in {
            (file.key.source, file.home) for file in changed.values() if file.is_complete
        }:
            left = [stored for stored in self.left_at(source, home) if stored.is_complete]
            for stored in sorted(left, key=lambda stored: stored.rank)[:-_LEFT_KEPT]:
                changed.pop(stored.key, None)
                self.forget(stored.key)
        forgotten = [key for key in dict.fromkeys(self._forgotten) if key not in changed]
        self._forgotten.clear()
        return list(changed.values()), forgotten

    def _store(self, stored: StoredFile) -> None:
        self._unstore(stored.key)
        self.stored[stored.key] = stored
        if not is_glob(stored):
            self._stored_at.setdefault((stored.key.source, stored.home), {})[stored.key] = None

    def _unstore(self, key: FileKey) -> None:
        before = self.stored.pop(key, None)
        if before is None or is_glob(before):
            return
        home = (key.source, before.home)
        del self._stored_at[home][key]
        if not self._stored_at[home]:
            del self._stored_at[home]

    # -- what is to be found again

    def lost(self) -> list[StoredFile]:
        """Return the positions whose file is to be found again."""
        return [stored for lost in self._lost.values() for stored in lost.values()]

    def lost_of(self, source: str) -> list[StoredFile]:
        """Return those of one source."""
        return [stored for stored in self.lost() if stored.key.source == source]

    def lose(self, file: FollowedFile) -> None:
        """Follow a file no longer that has no name any more; look for it, unless it was left."""
        stored = file.stored(self.looked_at)
        self.drop(file)
        self.remember(stored)
        if not file.is_closed:
            self._miss(stored)

    def find(self, key: FileKey) -> None:
        """Look for a file no longer: it was found, or given up."""
        for home, lost in list(self._lost.items()):
            if lost.pop(key, None) is not None and not lost:
                del self._lost[home]

    def reconsider(self, sources: Iterable[str]) -> None:
        """Look for the files of stored positions again: their globs may be back."""
        followed = {file.key for file in self}
        wanted = set(sources)
        for key, stored in self.stored.items():
            if (
                key.source in wanted
                and key not in followed
                and not stored.is_complete
                and not is_glob(stored)
            ):
                self._miss(stored)

    def _miss(self, stored: StoredFile) -> None:
        self._lost.setdefault((stored.key.source, stored.home), {})[stored.key] = stored

    # -- globs

    def is_glob_known(self, source: str, glob: str) -> bool:
        """Tell whether a glob has been in use before."""
        return _glob_key(source, glob) in self.stored

    def know_glob(self, source: str, glob: str, now: float) -> None:
        """Remember that a glob has been in use: what appears from now on is new."""
        if not self.is_glob_known(source, glob):
            self.remember(
                StoredFile(
                    key=_glob_key(source, glob),
                    path=glob,
                    home=glob,
                    rank=0,
                    offset=0,
                    head=b"",
                    marker=b"",
                    size=0,
                    mtime_ns=0,
                    is_skipping=False,
                    is_complete=True,
                    framing=Framing(),
                    last_seen=now,
                )
            )

    def expire(self, before: float, globs: set[tuple[str, str]]) -> None:
        """
        Forget what has not been seen for long.

        Args:
            before: Unix seconds.
            globs: Source and pattern of those in use.
        """
        followed = {file.key for file in self}
        in_use = {_glob_key(source, glob) for source, glob in globs}
        for key, stored in list(self.stored.items()):
            if stored.last_seen < before and key not in followed and key not in in_use:
                self.forget(key)


def is_glob(stored: StoredFile) -> bool:
    """Tell whether this remembers a glob rather than a file."""
    return stored.key.device == _NO_DEVICE


def _glob_key(source: str, glob: str) -> FileKey:
    name = hashlib.blake2b(glob.encode("utf-8", "surrogateescape"), digest_size=7).digest()
    return FileKey(source, _NO_DEVICE, int.from_bytes(name, "big"))
