"""
Files held open from the moment at which the kernel named them, until a look has judged them.

A look takes its time, more of it on a busy machine, and a rotation that keeps five files deletes
the first one half a second after it was begun.  What is open by then can still be read.

Decides nothing: what is caught here and wanted by nobody is closed again.

Trap: names are opened in the thread that hears of them, beside everything else.  A name leads to
whatever has it by then; which file that is, only the open descriptor tells.
"""

from __future__ import annotations

import os
import resource
import stat
import threading
from typing import TYPE_CHECKING, Final, TypeAlias

from alertd.tail.content import COMPRESSED, Content, NotRegularError, open_content
from alertd.tail.rotation import is_rotation_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence

    from alertd.tail.followed import FollowedFile

_MOST: Final = 256
"""Files that are held; a machine that stands still for longer than these last may lose some."""

_LOOKS: Final = 50
"""Looks after which what none of them has followed is let go."""

Inode: TypeAlias = tuple[int, int]
Opened: TypeAlias = "Content | OSError | None"


class Catch:
    """
    One file that is held.

    Attributes:
        path: A name that it had.
        content: The file, open.
    """

    __slots__ = ("content", "followers", "is_older", "looks", "path")

    def __init__(self, path: str, content: Content) -> None:
        self.path = path
        self.content = content
        self.followers: set[str] = set()
        """Sources that follow it, or have: to them it is nothing new."""
        self.looks = 0
        self.is_older = False
        """It was there before the directories were listed last."""

    @property
    def is_deleted(self) -> bool:
        """It has no name any more."""
        return self.content.status().st_nlink == 0


class Caught:
    """
    The files that are held.

    ``catch`` is called from the thread that hears of names; everything else from one task.

    Args:
        is_of_interest: Tells whether a path may be one that is to be read.
    """

    def __init__(self, is_of_interest: Callable[[str], bool]) -> None:
        self._is_of_interest = is_of_interest
        self._lock = threading.Lock()
        self._held: dict[Inode, Catch] = {}
        self._known: Mapping[Inode, int] = {}
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = _MOST if soft == resource.RLIM_INFINITY else min(_MOST, soft // 8)

    def catch(self, paths: Iterable[str]) -> None:
        """Open what has these names now, unless it is known."""
        for path in paths:
            if path.endswith(COMPRESSED) or not self._is_of_interest(path):
                continue
            try:
                status = os.lstat(path)
                if not stat.S_ISREG(status.st_mode) or self._is_known(status):
                    continue
                content = open_content(path, follows_link=False)
            except (OSError, NotRegularError):
                continue  # the look finds out what is wrong, if it is still so
            with self._lock:
                inode = (content.device, content.inode)
                if inode not in self._held and len(self._held) < self._most:
                    self._held[inode] = Catch(path, content)
                    continue
            content.close()

    def content_of(self, inode: Inode) -> Content | None:
        """Return a held file, to be closed by whoever asks."""
        with self._lock:
            catch = self._held.get(inode)
            return None if catch is None else catch.content.again()

    async def open(
        self,
        wanted: Sequence[tuple[str, Inode]],
        open_others: Callable[[list[str]], Awaitable[list[Opened]]],
    ) -> list[Opened]:
        """
        Open files: those that are held whatever their names lead to by now, the others by name.

        Args:
            wanted: Paths, and which files they led to when they were listed.
            open_others: Opens paths.
        """
        held = [self.content_of(inode) for _, inode in wanted]
        pairs = zip(wanted, held, strict=True)
        others = iter(await open_others([path for (path, _), one in pairs if one is None]))
        return [next(others) if content is None else content for content in held]

    def begin(self) -> None:
        """Take note that the directories are going to be listed."""
        with self._lock:
            for catch in self._held.values():
                catch.is_older = True

    def nameless(self, source: str, listed: Container[Inode]) -> list[Catch]:
        """
        Return the files that a source has never followed and that no look will find.

        Args:
            source: Whose.
            listed: The files that have names; one that was there before they were listed and is
                not among them was deleted since, or renamed meanwhile.
        """
        with self._lock:
            held = list(self._held.items())
        return [
            catch
            for inode, catch in held
            if source not in catch.followers
            and (catch.is_deleted or (catch.is_older and inode not in listed))
        ]

    def beside(self, source: str, paths: Iterable[str]) -> list[tuple[str, Content]]:
        """
        Return what lost its name and may have been a copy, to be closed by whoever asks.

        Args:
            source: Whose; what it follows in its own right is no copy.
            paths: Of what.
        """
        origins = tuple(paths)
        return [
            (catch.path, catch.content.again())
            for catch in self.nameless(source, self._held)
            if catch.path.startswith(origins)
            or any(is_rotation_of(catch.path, path) for path in origins)
        ]

    def followed(self, source: str, inode: Inode) -> None:
        """Take note that a source follows a file."""
        catch = self._held.get(inode)
        if catch is not None:
            catch.followers.add(source)

    def note(self, files: Iterable[FollowedFile], judged: Mapping[Inode, int]) -> None:
        """
        Let go of what a look has judged.

        Args:
            files: All that is followed.
            judged: Inodes and times of modification of what lies beside and need not be.
        """
        known = dict(judged)
        is_open = set()
        for file in files:
            known[file.inode] = file.mtime_ns
            if file.content is not None:
                is_open.add(file.inode)  # it cannot have become another file's
        self._known = known
        with self._lock:
            for inode, catch in list(self._held.items()):
                catch.looks += 1
                mtime_ns = catch.content.status().st_mtime_ns
                is_judged = inode in is_open or known.get(inode) == mtime_ns
                if is_judged or catch.looks > _LOOKS:
                    del self._held[inode]
                    catch.content.close()

    def close(self) -> None:
        """Let go of everything."""
        with self._lock:
            for catch in self._held.values():
                catch.content.close()
            self._held.clear()

    def _is_known(self, status: os.stat_result) -> bool:
        inode = (status.st_dev, status.st_ino)
        # An inode alone proves nothing: it becomes another file's as soon as it is let go.
        return inode in self._held or self._known.get(inode) == status.st_mtime_ns
