"""What lies beside a file: its rotations, and copies of it, found by name and told by content."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from alertd.tail.content import COMPRESSED, Content, NotRegularError, holds, open_content
from alertd.tail.identity import FileKey, digest
from alertd.tail.rotation import origins

if TYPE_CHECKING:
    from alertd.tail.followed import FollowedFile
    from alertd.tail.identity import StoredFile
    from alertd.tail.survey import View

_SEARCHED: Final = 64
"""Files, the newest first, in which a lost position is looked for."""


class Witness(NamedTuple):
    """What a content that was read up to an offset is recognised by."""

    offset: int
    head: bytes
    marker: bytes


class Copy(NamedTuple):
    """A file that holds what was read elsewhere."""

    path: str
    content: Content
    mtime_ns: int


def witness_of(file: FollowedFile) -> Witness:
    """Return what a followed file's content is recognised by."""
    return Witness(file.offset, file.head, digest(file.tail))


def stored_witness(stored: StoredFile) -> Witness:
    """Return what the content of a remembered file is recognised by."""
    return Witness(stored.offset, stored.head, stored.marker)


def key_of(source: str, content: Content) -> FileKey:
    """Return which file an open one is."""
    return FileKey(source, content.device, content.inode, content.generation)


def directory_of(path: str) -> str:
    """Return the directory that a path lies in."""
    return path.rpartition("/")[0] or "/"


def join(directory: str, name: str) -> str:
    """Return the path of a name in a directory."""
    return f"{directory.rstrip('/')}/{name}"


def rotations(view: View) -> dict[str, list[str]]:
    """Find, for each path, the names beside it that look like a rotation of it."""
    found: dict[str, list[str]] = {}
    for directory, listing in view.listings.items():
        for name, entry in listing.names.items():
            if not entry.is_directory and not entry.is_link:
                for origin in origins(name):
                    found.setdefault(join(directory, origin), []).append(name)
    return found


def open_all(paths: list[str]) -> list[Content | OSError | None]:
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


def first_that_holds(paths: list[str], seen: Witness) -> Copy | None:
    """Open the newest file that holds what was read, uncompressed ones first."""
    dated = []
    for path in paths:
        try:
            dated.append((not path.endswith(COMPRESSED), os.stat(path).st_mtime_ns, path))  # noqa: PTH116 - many
        except OSError:
            continue
    for _, mtime_ns, path in sorted(dated, reverse=True)[:_SEARCHED]:
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
