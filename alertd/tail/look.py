"""One look at the directories, as the steps that judge it pass it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from alertd.tail.siblings import directory_of, join, rotations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alertd.tail.content import Content
    from alertd.tail.followed import FollowedFile
    from alertd.tail.identity import FileKey
    from alertd.tail.survey import Survey, View


class UndecidedError(Exception):
    """
    This look cannot judge some files; the next one will.

    A batch of one of them is being evaluated, or their names were changed while they were listed.

    Attributes:
        homes: Source and home of those files.
    """

    def __init__(self, homes: Iterable[tuple[str, str]]) -> None:
        super().__init__()
        self.homes = frozenset(homes)


class Fresh(NamedTuple):
    """
    A file that is not followed yet, opened.

    Attributes:
        path: Its name, or the last one that it had.
        target: Where that leads, if it is a symbolic link.
        globs: What means it; nothing if it was only found beside what is meant.
        key: Which file.
        content: Its bytes.
        size: How many they were.
        mtime_ns: When it was last written to.
        is_nameless: It has no name any more, or none that is known.
    """

    path: str
    target: str
    globs: tuple[str, ...]
    key: FileKey
    content: Content
    size: int
    mtime_ns: int
    is_nameless: bool = False

    @property
    def name(self) -> str:
        """What it is called; nothing if that is another file's name by now."""
        return "" if self.is_nameless else self.path.rpartition("/")[2]


@dataclass(slots=True)
class Look:
    """
    What was seen, and what was found out about it so far.

    Attributes:
        view: The names.
        survey: What the globs mean.
        inodes: What has any name.
        rotations: By path, the names beside it that look like a rotation of it.
        by_target: Followed files by source and name, symbolic links followed.
        again_in: Seconds after which another look is wanted, because something is about to change.
    """

    view: View
    survey: Survey
    rotations: dict[str, list[str]] = field(init=False)
    inodes: frozenset[tuple[int, int]] = field(init=False)
    by_target: dict[tuple[str, str], FollowedFile] = field(default_factory=dict)
    again_in: float | None = None

    def __post_init__(self) -> None:
        self.rotations = rotations(self.view)
        self.inodes = frozenset(
            (listing.device, entry.inode)
            for listing in self.view.listings.values()
            for entry in listing.names.values()
        )

    def want_again(self, seconds: float) -> None:
        """Have another look soon."""
        self.again_in = seconds if self.again_in is None else min(self.again_in, seconds)

    def rotations_of(self, home: str) -> list[str]:
        """Return the paths that look like rotations of one, beside it."""
        return self.rotations_in(directory_of(home), home)

    def rotations_in(self, directory: str, home: str) -> list[str]:
        """Return the paths in some directory that look like rotations of a path."""
        like = join(directory, home.rpartition("/")[2])
        return [join(directory, name) for name in self.rotations.get(like, ())]

    def inode_of(self, path: str) -> tuple[int, int]:
        """Return what a path that was listed stands for."""
        directory, _, name = path.rpartition("/")
        listing = self.view.listings[directory or "/"]
        return (listing.device, listing.names[name].inode)

    def name_of(self, inode: int, device: int, directories: list[str]) -> str | None:
        """Find the name that an inode has now in the directories where it was."""
        for directory in dict.fromkeys(directories):
            listing = self.view.listings.get(directory)
            if listing is None or listing.device != device:
                continue
            for name, entry in listing.names.items():
                if entry.inode == inode and not entry.is_link:
                    return join(directory, name)
        return None
