"""What lies beside a file: its rotations, and copies of it, found by name and told by content."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from alertd.tail.content import (
    COMPRESSED,
    Archive,
    Content,
    NotRegularError,
    holds,
    open_content,
)
from alertd.tail.identity import FileKey, Witness
from alertd.tail.rotation import is_rotation_of, origins

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alertd.tail.followed import FollowedFile
    from alertd.tail.identity import StoredFile
    from alertd.tail.survey import View

_PIECE: Final = 1 << 20

_SEARCHED: Final = 64
"""Files, the newest first, in which a lost position is looked for."""


class Copy(NamedTuple):
    """
    A file that holds what was read elsewhere, if perhaps not all of it.

    Attributes:
        path: Its name.
        content: The file, open.
        mtime_ns: When its last byte was copied.
        known: Bytes of it that were read elsewhere.
        end: Where it ends; None for an archive of which more than that is there.
    """

    path: str
    content: Content
    mtime_ns: int
    known: int
    end: int | None


def witness_of(file: FollowedFile) -> Witness:
    """Return what a followed file's content is recognised by."""
    return file.witnesses[0]


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


def open_all(paths: list[str], *, follows_links: bool = False) -> list[Content | OSError | None]:
    """Open files; None stands for one that is no regular file any more."""
    opened: list[Content | OSError | None] = []
    for path in paths:
        try:
            opened.append(open_content(path, follows_link=follows_links))
        except NotRegularError:
            opened.append(None)
        except OSError as error:
            opened.append(error)
    return opened


def beside(paths: Iterable[str]) -> list[tuple[str, tuple[int, int]]]:
    """
    List the files, and their inodes, that may be copies of some paths by their names.

    Directories are listed anew: what a look has seen may be older than the copy.
    """
    found: dict[str, tuple[int, int]] = {}
    for path in dict.fromkeys(paths):
        directory, _, name = path.rpartition("/")
        try:
            device = os.stat(directory or "/").st_dev  # noqa: PTH116 - a str
            with os.scandir(directory or "/") as entries:
                for entry in entries:
                    is_like = entry.name.startswith(name) or is_rotation_of(entry.name, name)
                    if is_like and entry.is_file(follow_symlinks=False):
                        found[join(directory, entry.name)] = (device, entry.inode())
        except OSError:
            continue
    return list(found.items())


def first_that_holds(
    paths: list[str], seen: Sequence[Witness], held: Sequence[tuple[str, Content]] = ()
) -> Copy | None:
    """
    Open the newest file that holds what was read, uncompressed ones first.

    Args:
        paths: Where to look.
        held: And where then: files that are open; those that are not returned are closed.
        seen: Up to where was read, and some earlier positions, the last one first: who reads while
            the copy is made may have read more than it got.
    """
    dated = []
    for path in paths:
        try:
            dated.append((not path.endswith(COMPRESSED), os.stat(path).st_mtime_ns, path))  # noqa: PTH116 - many
        except OSError:
            continue
    found = None
    for _, mtime_ns, path in sorted(dated, reverse=True)[:_SEARCHED]:
        with suppress(OSError, NotRegularError):
            found = _as_copy(path, open_content(path, follows_link=False), mtime_ns, seen)
        if found is not None:
            break
    for path, content in held:
        if found is None:
            found = _as_copy(path, content, content.status().st_mtime_ns, seen)
        else:
            content.close()
    return found


def _as_copy(path: str, content: Content, mtime_ns: int, seen: Sequence[Witness]) -> Copy | None:
    """Tell how far a file holds what was read; it is closed if it does not."""
    try:
        for witness in seen:
            if not holds(content, *witness):
                continue
            if witness is seen[0]:
                return Copy(path, content, mtime_ns, witness.offset, _end(content))
            end = _end_within(content, witness.offset, seen[0].offset)
            if end is not None:
                return Copy(path, content, mtime_ns, end, end)
            break
    except OSError:
        pass  # unreadable is as good as absent
    content.close()
    return None


def _end(content: Content) -> int | None:
    return None if isinstance(content, Archive) else content.status().st_size


def _end_within(content: Content, start: int, most: int) -> int | None:
    """Return where a content ends, if that is not behind ``most``."""
    if not isinstance(content, Archive):
        size = content.status().st_size
        return size if size <= most else None
    while start <= most:
        piece = len(content.read(_PIECE, start))
        start += piece
        if piece < _PIECE:
            return start if start <= most else None
    return None
