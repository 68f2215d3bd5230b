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

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from alertd.tail.followed import FollowedFile

_NO_DEVICE: Final = -1
"""A stored "file" on this device remembers that a glob has been in use."""


class Roster:
    """
    The files that are followed, by source and inode.

    Attributes:
        stored: Every position that is remembered, followed or not.
        behind: Files that may be read; a file is taken out lazily.
    """

    def __init__(self, stored: Iterable[StoredFile]) -> None:
        self.stored: dict[FileKey, StoredFile] = {file.key: file for file in stored}
        self.behind: dict[FollowedFile, None] = {}
        self._files: dict[str, dict[tuple[int, int], FollowedFile]] = {}
        self._by_home: dict[tuple[str, str], list[FollowedFile]] = {}
        self._dirty: dict[FileKey, FollowedFile | StoredFile] = {}
        self._forgotten: list[FileKey] = []
        self._rank = math.ceil(max((file.rank for file in self.stored.values()), default=0))

    def __iter__(self) -> Iterator[FollowedFile]:
        for files in self._files.values():
            yield from files.values()

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

    def touch(self, file: FollowedFile) -> None:
        """Have a file's position stored with the next changes."""
        self._dirty[file.key] = file

    def remember(self, stored: StoredFile) -> None:
        """Have a position stored that no followed file has."""
        self.stored[stored.key] = stored
        self._dirty[stored.key] = stored

    def forget(self, key: FileKey) -> None:
        """Have a position removed."""
        self.stored.pop(key, None)
        self._dirty.pop(key, None)
        self._forgotten.append(key)

    def is_waiting(self, file: FollowedFile) -> bool:
        """Tell whether an older file of the same name has lines that come first."""
        return any(
            other.rank < file.rank and other.is_behind
            for other in self.at_home(file.source, file.home)
        )

    def take_changes(self, now: float) -> tuple[list[StoredFile], list[FileKey]]:
        """Return what changed since the last call: positions to store, and to remove."""
        changed = [
            file if isinstance(file, StoredFile) else file.stored(now)
            for file in self._dirty.values()
        ]
        self.stored.update((file.key, file) for file in changed)
        forgotten = [key for key in dict.fromkeys(self._forgotten) if key not in self._dirty]
        self._dirty.clear()
        self._forgotten.clear()
        return changed, forgotten

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
