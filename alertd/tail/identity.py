"""
What makes a file the same file: device, inode, generation; and the content before our offset.

A name proves nothing, because rotation moves names about.  An inode alone proves little, because
ext4 hands it to the next file at once; where the file system counts generations we ask for them.
The content can only veto an identity, or hand a position over to a copy: two files that begin
alike are not the same file.

Trap: files with nothing read yet have no content to compare.  They are never equal to each other.
"""

from __future__ import annotations

import array
import errno
import fcntl
import hashlib
from collections import deque
from typing import Final, NamedTuple

import msgspec

from alertd.core.framing import Framing  # noqa: TC001 - msgspec reads the annotation

WITNESS = 1024
"""Bytes at the head, and before the offset, by which a file's content is recognised."""

_PASSED: Final = 8
"""Positions that are remembered besides the last one …"""

_WITHIN: Final = (0.5, 0.75, 0.875, 0.9375, 1.0)
"""… and how far into what was read at once they lie."""

_FS_IOC_GETVERSION = 0x80087601
_WITHOUT_GENERATIONS = frozenset(
    {errno.ENOTTY, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
)


class FileKey(msgspec.Struct, frozen=True, order=True):
    """
    One file as one source sees it.

    Attributes:
        source: The source's name.
        device: ``st_dev``.
        inode: ``st_ino``.
        generation: Told apart from an earlier file with this inode; None where that is unknown.
    """

    source: str
    device: int
    inode: int
    generation: int | None = None

    @property
    def identity(self) -> str:
        """The file itself, whichever source looks at it."""
        known = "" if self.generation is None else f"{self.generation:x}"
        return f"{self.device:x}:{self.inode:x}:{known}"

    def __str__(self) -> str:
        return f"{self.source}|{self.identity}"


class StoredFile(msgspec.Struct, frozen=True):
    """
    How far a file has been read, as it is stored.

    Attributes:
        key: Which file.
        path: Its name when it was last seen.
        home: The name under which it was written to; differs from ``path`` once it is rotated.
        rank: The order among the files that shared a home: the lower is the older.
        offset: Bytes of it that took effect.
        head: Digest of its first ``min(1024, offset)`` bytes.
        marker: Digest of the ``min(1024, offset)`` bytes before ``offset``.
        size: Its size when it was last seen.
        mtime_ns: Its time of modification then.
        is_skipping: ``offset`` lies inside a line that is too long and whose rest is skipped.
        is_complete: It was rotated, read to its end and left.
        framing: What it has taught us.
        last_seen: Unix seconds.
    """

    key: FileKey
    path: str
    home: str
    rank: float
    offset: int
    head: bytes
    marker: bytes
    size: int
    mtime_ns: int
    is_skipping: bool
    is_complete: bool
    framing: Framing
    last_seen: float


class Witness(NamedTuple):
    """What a content that was read up to an offset is recognised by."""

    offset: int
    head: bytes
    marker: bytes


class Trail:
    """
    Some of the positions that were passed lately in one file.

    A copy that ends somewhere before the last one holds what is before an earlier one.

    Attributes:
        next_at: From this offset on the next one is worth remembering.
    """

    __slots__ = ("_passed", "next_at")

    def __init__(self) -> None:
        self._passed: deque[Witness] = deque(maxlen=_PASSED)
        self.next_at = 0

    def pass_over(self, tail: bytes, offset: int, data: bytes, head: bytes) -> None:
        """
        Remember some positions in what is being passed.

        Args:
            tail: What is before it: a kilobyte, or all there is.
            offset: Where it begins.
            data: What it is.
            head: Digest of the file's first kilobyte, as far as that is known then.
        """
        for part in _WITHIN:
            size = int(part * len(data))
            at = offset + size
            if at < max(self.next_at, 1):
                continue
            before = data[max(0, size - WITNESS) : size]
            marker = digest((tail + before)[-min(WITNESS, at) :])
            self._passed.append(Witness(at, marker if at < WITNESS else head, marker))
            self.next_at = at + 1 + (at >> 4)

    def before(self, offset: int) -> list[Witness]:
        """Return the positions before one, the last first."""
        return [witness for witness in reversed(self._passed) if witness.offset < offset]


def digest(data: bytes) -> bytes:
    """Return what stands for ``data`` where it is compared later."""
    return hashlib.blake2b(data, digest_size=16).digest()


def generation_of(fd: int) -> int | None:
    """
    Ask the file system which incarnation of its inode this is.

    Returns:
        None where the file system does not know.
    """
    answer = array.array("l", [0])
    try:
        fcntl.ioctl(fd, _FS_IOC_GETVERSION, answer)
    except OSError as error:
        if error.errno in _WITHOUT_GENERATIONS:
            return None
        raise
    # The kernel writes an int into the space of a long.
    return answer[0] & 0xFFFFFFFF
