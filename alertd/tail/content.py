"""
The bytes of one open file, by offset, plain or compressed.

A compressed file looks like the file it was made from.  It is read forwards in bounded pieces, so
that a bomb costs time in a thread, never memory.

Trap: opening a FIFO blocks until somebody writes to it, hence O_NONBLOCK on everything.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import stat
import zlib
from copy import copy
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from alertd.tail.identity import WITNESS, digest, generation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from alertd.tail.identity import Witness

COMPRESSED: Final = (".gz", ".bz2", ".xz")
_PIECE: Final = 1 << 20
_LAST_PART: Final = 8 << 10
_OPENERS: Final[dict[str, Callable[[IO[bytes]], gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]]] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    ".bz2": lambda file: bz2.BZ2File(file, "rb"),
    ".xz": lambda file: lzma.LZMAFile(file, "rb"),  # noqa: SIM115 - closed with the rest
}


class NotRegularError(Exception):
    """A FIFO, a socket, a device or a directory stands where a log file was expected."""


class Piece(NamedTuple):
    """
    What stands somewhere in a file.

    Attributes:
        data: The bytes.
        is_full: All that were asked for, so that more may follow.
        before: What stands before them.
        head: The file's first kilobyte.
    """

    data: bytes
    is_full: bool
    before: bytes
    head: bytes


class Content:
    """
    An open regular file.

    Attributes:
        fd: Its descriptor.
        device: ``st_dev``.
        inode: ``st_ino``.
        generation: See ``identity.FileKey``.
    """

    def __init__(self, path: str, *, follows_link: bool = True) -> None:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        self.fd = os.open(path, flags if follows_link else flags | os.O_NOFOLLOW)
        try:
            status = os.fstat(self.fd)
            if not stat.S_ISREG(status.st_mode):
                raise NotRegularError(path)  # noqa: TRY301 - the descriptor is closed below
            self.device = status.st_dev
            self.inode = status.st_ino
            self.generation = generation_of(self.fd)
        except BaseException:
            os.close(self.fd)
            raise

    def again(self) -> Content:
        """Return the same file, open once more."""
        other = copy(self)
        other.fd = os.dup(self.fd)
        return other

    def status(self) -> os.stat_result:
        """Return what the file system says about it now."""
        return os.fstat(self.fd)

    def read(self, size: int, offset: int) -> bytes:
        """Return at most ``size`` bytes from ``offset``."""
        return os.pread(self.fd, size, offset)

    def head(self) -> bytes:
        """Return the first kilobyte."""
        return self.read(WITNESS, 0)

    def piece(self, size: int, offset: int, known: int) -> Piece:
        """
        Read about so many bytes, whole lines where that costs nothing.

        Args:
            size: Bytes to read.
            offset: Where they begin.
            known: Bytes before ``offset`` that come with them.
        """
        # Cutting the data at a line's end afterwards would copy all of them.
        size = self.whole_lines(size, offset)
        data = self.read(size, offset)
        # What shows that the content has not been replaced comes last: it must not be older.
        return Piece(data, len(data) == size, self.read(known, offset - known), self.head())

    def data_after(self, offset: int) -> int | None:
        """Return where the next bytes that are not a hole begin; None if only holes follow."""
        try:
            return os.lseek(self.fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return None
            return offset  # a file system that does not know its holes

    def whole_lines(self, size: int, offset: int) -> int:
        """Return how many of so many bytes are whole lines, where that is seen at once."""
        last = min(size, _LAST_PART)
        part = self.read(last, offset + size - last)
        behind = len(part) - 1 - part.rfind(b"\n")
        return size if len(part) < last or behind == len(part) else size - behind

    def raw_position(self, offset: int) -> int:
        """Return how much of what lies on the disk has been read when ``offset`` is reached."""
        return offset

    def close(self) -> None:
        """Close it; more than once does no harm."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Archive(Content):
    """A compressed file, read as what it was before."""

    def __init__(self, path: str, *, follows_link: bool = True) -> None:
        super().__init__(path, follows_link=follows_link)
        self._raw = os.fdopen(os.dup(self.fd), "rb")
        self._suffix = os.path.splitext(path)[1]  # noqa: PTH122 - str paths throughout
        self._stream = _OPENERS[self._suffix](self._raw)
        self._head: bytes | None = None
        self._position = 0
        self._window = b""
        """The last bytes before ``_position``: a marker is read again with what follows it."""

    def read(self, size: int, offset: int) -> bytes:
        """Return at most ``size`` decompressed bytes from ``offset``."""
        if offset < self._position - len(self._window):
            self._rewind()
        while self._position < offset:
            if not self._more(min(_PIECE, offset - self._position)):
                return b""
        pieces = [self._window[len(self._window) - (self._position - offset) :]]
        missing = size - len(pieces[0])
        while missing > 0:
            piece = self._more(min(_PIECE, missing))
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)[:size]

    def head(self) -> bytes:
        """Return the first kilobyte, which does not change."""
        if self._head is None:
            self._head = self.read(WITNESS, 0)
        return self._head

    def piece(self, size: int, offset: int, known: int) -> Piece:
        """Read so many bytes; what stands before them first, since a stream runs forwards."""
        head, before = self.head(), self.read(known, offset - known)
        data = self.read(size, offset)
        return Piece(data, len(data) == size, before, head)

    def data_after(self, offset: int) -> int | None:
        """Return ``offset``: there are no holes in a stream."""
        return offset

    def whole_lines(self, size: int, offset: int) -> int:
        """Return ``size``: a stream is read forwards."""
        del offset
        return size

    def raw_position(self, offset: int) -> int:
        """Return how much of the compressed file has been read."""
        del offset
        return self._raw.tell()

    def close(self) -> None:
        """Close the stream and the file below it."""
        self._stream.close()
        self._raw.close()
        super().close()

    def _rewind(self) -> None:
        self._raw.seek(0)
        self._stream = _OPENERS[self._suffix](self._raw)
        self._position = 0
        self._window = b""

    def _more(self, size: int) -> bytes:
        try:
            piece = self._stream.read(size)
        except (EOFError, OSError, zlib.error, lzma.LZMAError):
            # Cut off or damaged: what could be read is what there is.
            return b""
        self._position += len(piece)
        self._window = (self._window + piece)[-max(size, 2 * WITNESS) :]
        return piece


def open_content(path: str, *, follows_link: bool = True) -> Content:
    """
    Open a file for reading by offset.

    Args:
        path: Its name.
        follows_link: Also if that is a symbolic link; without, whoever turned it into one since it
            was looked at gets nothing read that way.

    Raises:
        NotRegularError: It is none.
        OSError: It cannot be opened.
    """
    kind = Archive if path.endswith(COMPRESSED) else Content
    return kind(path, follows_link=follows_link)


def holds(content: Content, offset: int, head: bytes, marker: bytes) -> bool:
    """Tell whether the bytes before ``offset`` are still, or here too, those that were read."""
    size = min(WITNESS, offset)
    return (
        digest(content.read(size, 0)) == head
        and digest(content.read(size, offset - size)) == marker
    )


def holds_any(content: Content, seen: Iterable[Witness]) -> bool:
    """Tell whether one of these was read here too; a stream is read forwards only once."""
    return any(holds(content, *one) for one in sorted(seen))


def witness(content: Content, offset: int) -> tuple[bytes, bytes]:
    """Return the digest of the head, and the bytes before ``offset``."""
    size = min(WITNESS, offset)
    return digest(content.read(size, 0)), content.read(size, offset - size)


def begins_like(content: Content, other: Content, size: int) -> bool:
    """Tell whether two files' first ``size`` bytes agree, by their first and last kilobyte."""
    part = min(WITNESS, size)
    return all(content.read(part, start) == other.read(part, start) for start in (0, size - part))


def line_start(content: Content, size: int) -> int | None:
    """
    Return where the last line begins that is not ended within ``size`` bytes.

    Returns:
        None if that line is longer than a megabyte.
    """
    start = max(0, size - _PIECE)
    found = content.read(size - start, start).rfind(b"\n")
    if found >= 0:
        return start + found + 1
    return 0 if start == 0 else None
