"""Where the files that we follow are now: what they are called, or that nothing is called that."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from alertd.tail.content import COMPRESSED
from alertd.tail.siblings import directory_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from alertd.core.rules import Source
    from alertd.tail.content import Content
    from alertd.tail.descriptors import Descriptors
    from alertd.tail.followed import FollowedFile
    from alertd.tail.look import Look
    from alertd.tail.roster import Roster


async def locate(
    source: Source,
    look: Look,
    roster: Roster,
    descriptors: Descriptors,
    monotonic: Callable[[], float],
) -> None:
    """
    Find the names that a source's files have now.

    A closed file that has none, or whose inode is another file's by now, is followed no longer;
    its position is to be found again.
    """
    found = look.view.found.get(source.name, {})
    names: dict[tuple[int, int], list[str]] = {}
    for path, one in found.items():
        if not path.endswith(COMPRESSED):
            names.setdefault((one.status.st_dev, one.status.st_ino), []).append(path)
    for file in list(roster.of(source.name).values()):
        paths = names.get(file.inode)
        was_rotated = file.is_rotated
        path = file.path
        if paths:
            if file.path not in paths:
                file.path = file.home if file.home in paths else paths[0]
                roster.touch(file)
            file.target = found[file.path].target
            file.is_wanted = True
            file.unnamed = 0
            file.is_rotated = file.home not in paths
            if not file.is_rotated:
                file.is_deleted = False
        else:
            file.is_wanted = False
            file.is_rotated = True
            _look_beside(file, look, roster)
        if file.content is None and (file.path != path or file.is_suspect or file.is_behind):
            await descriptors.open(file)  # only that shows whose inode it is
        if file.is_lost:
            # What has its inode now has that name, not this file.
            file.path, file.is_rotated = path, was_rotated
            roster.lose(file)
            continue
        if file.is_rotated and not was_rotated:
            file.changed_at = monotonic()


def _look_beside(file: FollowedFile, look: Look, roster: Roster) -> None:
    directories = [directory_of(file.target), directory_of(file.path)]
    path = look.name_of(file.key.inode, file.key.device, directories)
    file.unnamed = file.unnamed + 1 if path is None else 0
    if path is None and file.content is not None:
        path = _elsewhere(file.content, look)
    if path is not None:
        if path not in (file.path, file.target):
            file.path = file.target = path
            roster.touch(file)
    elif file.content is None:
        file.is_lost = True
    else:
        file.is_deleted = file.content.status().st_nlink == 0


def _elsewhere(content: Content, look: Look) -> str | None:
    """Ask the kernel for the name of an open file that was moved to where nobody has looked."""
    try:
        path = os.readlink(f"/proc/self/fd/{content.fd}")  # noqa: PTH115 - a str
        status = os.lstat(path)
    except OSError:
        return None  # no /proc, deleted, or moved again just now
    if (status.st_dev, status.st_ino) != (content.device, content.inode):
        return None
    if directory_of(path) in look.view.listings:
        return None  # then it must have been renamed since: the next look sees all names at once
    return path
