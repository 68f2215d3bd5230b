"""
Which followed files have a descriptor, and whose is closed when there are too many.

A file at its end can be closed and opened again; a deleted one cannot, nor one whose batch is
being evaluated.

Trap: a name may lead to another file by the time it is opened again.  That is found out here, and
what follows from it is decided by the next look (see ``placement``).  And opening may take long:
while a thread does it, somebody else may open the same file, or give it up.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Final

from alertd.tail.away import away
from alertd.tail.content import NotRegularError, open_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alertd.tail.content import Content
    from alertd.tail.followed import FollowedFile
    from alertd.tail.trouble import Troubles

_MOST: Final = 4096


class Descriptors:
    """
    The open files among those that are followed.

    Args:
        troubles: Where it is said that a file cannot be opened.
        want_look: Called when a name led elsewhere or nowhere.
    """

    def __init__(self, troubles: Troubles, want_look: Callable[[], None]) -> None:
        self._troubles = troubles
        self._want_look = want_look
        self._open: dict[FollowedFile, None] = {}
        """The one used longest ago first."""
        self._opening: set[FollowedFile] = set()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = _MOST if soft == resource.RLIM_INFINITY else min(_MOST, max(8, soft // 2))

    def __iter__(self) -> Iterator[FollowedFile]:
        return iter(self._open)

    async def open(self, file: FollowedFile) -> Content | None:
        """Return a file's content, opened again if need be; None if that cannot be done now."""
        if file.content is not None:
            self._open[file] = self._open.pop(file, None)
            return file.content
        self._opening.add(file)
        try:
            content = await away(open_content, file.path)
        except NotRegularError:
            self._want_look()
            return None
        except OSError as error:
            file.problem = error.strerror or str(error)
            self._troubles.cannot_read(file.source, file.path, error)
            self._want_look()
            return None
        finally:
            is_wanted = file in self._opening
            self._opening.discard(file)
        if not is_wanted:
            # Opened by somebody else meanwhile, or given up.
            content.close()
            return file.content
        if (content.device, content.inode, content.generation) != (
            file.key.device,
            file.key.inode,
            file.key.generation,
        ):
            content.close()
            file.is_lost = True
            self._want_look()
            return None
        self.keep(file, content)
        self._troubles.end(file.source, file.path)
        return content

    def keep(self, file: FollowedFile, content: Content) -> None:
        """Let a file be open."""
        self._opening.discard(file)
        file.content = content
        self._open[file] = None
        if len(self._open) > self._most:
            self._close_some()

    def close(self, file: FollowedFile) -> None:
        """Close a file, if it is open."""
        self._opening.discard(file)
        self._open.pop(file, None)
        if file.content is not None:
            file.content.close()
            file.content = None

    def _close_some(self) -> None:
        """Close the files used longest ago that can be opened again, first those at their end."""
        excess = len(self._open) - self._most + self._most // 16
        for may_be_behind in (False, True):
            for file in list(self._open):
                if excess <= 0:
                    return
                if file.unnamed or file.is_held or (file.is_behind and not may_be_behind):
                    continue
                self.close(file)
                excess -= 1
