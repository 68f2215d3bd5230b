"""How a file comes to be followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.tail.content import Archive
from alertd.tail.followed import FollowedFile
from alertd.tail.siblings import key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from alertd.core.framing import Framing
    from alertd.tail.caught import Caught
    from alertd.tail.content import Content
    from alertd.tail.descriptors import Descriptors
    from alertd.tail.roster import Roster


class Enrolment:
    """
    Makes followed files of open ones.

    Args:
        roster: Where they are kept.
        descriptors: Where they are open.
        caught: Told what is followed.
        monotonic: Seconds that no clock adjustment moves.
    """

    def __init__(
        self,
        roster: Roster,
        descriptors: Descriptors,
        caught: Caught,
        monotonic: Callable[[], float],
    ) -> None:
        self._roster = roster
        self._descriptors = descriptors
        self._caught = caught
        self._monotonic = monotonic
        self._recent: list[FollowedFile] = []

    def take_recent(self) -> list[FollowedFile]:
        """Return the files that have come to be followed since the last call."""
        recent, self._recent = self._recent, []
        return recent

    def follow(
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
        """
        Follow a file from its beginning.

        Args:
            source: The source's name.
            max_line: The source's setting.
            path: Its name now.
            content: The file, open.
            framing: What is known about its lines.
            home: The name under which it is, or was, written to.
            rank: Its place among the files of that home; behind all others if None.
        """
        file = FollowedFile(
            key_of(source, content),
            max_line,
            path,
            framing,
            home=home,
            rank=self._roster.next_rank() if rank is None else rank,
        )
        status = content.status()
        # How much an archive holds only shows when it is read.
        file.size = 1 if isinstance(content, Archive) else status.st_size
        file.growth.see(file.size, status.st_mtime_ns)
        file.mtime_ns = file.verified_ns = status.st_mtime_ns
        file.changed_at = file.looked_at = self._monotonic()
        file.is_rotated = path != home
        file.is_wanted = not file.is_rotated
        self._descriptors.keep(file, content)
        self._roster.add(file)
        self._caught.followed(source, file.inode)
        self._recent.append(file)
        self._roster.behind[file] = None
        return file
