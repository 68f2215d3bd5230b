"""
One file that one source follows: how far it has been read, and how we would know it again.

The offset only ever stands behind evaluated lines.  The bytes just before it are kept, and each
read fetches them again together with what follows: if they differ, the file was truncated or
rewritten, however long it has become since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from alertd.tail.content import COMPRESSED
from alertd.tail.growth import Growth
from alertd.tail.identity import WITNESS, FileKey, StoredFile, Trail, Witness, digest

if TYPE_CHECKING:
    from alertd.core.events import Batch
    from alertd.core.framing import Framing
    from alertd.tail.content import Content


class FollowedFile:
    """
    A file that is followed.

    Attributes:
        key: Which file, for which source.
        id: Which file; a file that two sources follow has one id.
        source: The source's name.
        path: Its name now.
        home: The name under which it is, or was, written to.
        rank: The order among the files that shared a home.
        framing: What it has taught us; the matcher changes it.
        offset: Bytes of it that took effect.
        size: Bytes that it is known to have; for a compressed file, at least.
        problem: Why it cannot be read, if it cannot.
        is_rotated: Its home belongs, or will belong, to another file.
        is_wanted: A glob means it under its present name.
        is_final: It is at its end for good: what is left, ended or not, is handed out now.
    """

    __slots__ = (
        "_cut_at",
        "_head",
        "_held",
        "_trail",
        "changed_at",
        "checked",
        "content",
        "copy_of",
        "epoch",
        "framing",
        "growth",
        "home",
        "id",
        "is_archive",
        "is_closed",
        "is_deleted",
        "is_final",
        "is_lost",
        "is_rotated",
        "is_skipping",
        "is_suspect",
        "is_unplaced",
        "is_wanted",
        "key",
        "looked_at",
        "max_line",
        "mtime_ns",
        "offset",
        "path",
        "problem",
        "rank",
        "size",
        "source",
        "tail",
        "target",
        "unnamed",
        "verified_ns",
        "was_empty",
    )

    def __init__(
        self, key: FileKey, max_line: int, path: str, framing: Framing, *, home: str, rank: float
    ) -> None:
        self.key = key
        self.id = key.identity
        self.source = key.source
        self.max_line = max_line
        self.path = path
        self.target = path
        self.home = home
        self.rank = rank
        self.framing = framing
        self.offset = 0
        self.size = 0
        self.growth = Growth()
        self.mtime_ns = 0
        self.verified_ns = 0
        """The time of modification at which its content was last seen to be the same."""
        self.tail = b""
        """Its last bytes before the offset, at most WITNESS of them."""
        self.checked = 0
        """Up to here it is known to hold no further line end."""
        self.changed_at = 0.0
        self.looked_at = 0.0
        self.content: Content | None = None
        self.copy_of: FollowedFile | None = None
        """A file that still holds all that this one holds: nothing is read here while it does."""
        self.problem: str | None = None
        self.is_archive = path.endswith(COMPRESSED)
        self.is_wanted = True
        self.is_rotated = False
        self.is_deleted = False
        self.unnamed = 0
        """Looks in a row that saw no name of it: it could not be opened again."""
        self.is_suspect = False
        self.is_unplaced = True
        """A look is finding out where to go on in it, and what comes before it: nobody reads."""
        self.epoch = 0
        """How often it was placed: what was being read meanwhile is from elsewhere."""
        self.is_final = False
        self.is_closed = False
        self.is_lost = False
        """It has no name any more, or its inode is another file's: the next look lets it go."""
        self.is_skipping = False
        self.was_empty = True
        """Nothing had been read of it at the last scan, so its content proves nothing."""
        self._head = digest(b"")
        self._held: Batch | None = None
        self._cut_at = -1
        self._trail = Trail()

    def __repr__(self) -> str:
        return f"<{self.path} {self.offset}/{self.size} {self.id} rank {self.rank}>"

    @property
    def inode(self) -> tuple[int, int]:
        """What a directory knows it by."""
        return (self.key.device, self.key.inode)

    @property
    def is_behind(self) -> bool:
        """It has bytes that may hold a line not read yet."""
        if self.problem is not None or self.copy_of is not None or self.is_lost:
            return False
        return (
            self.size > max(self.checked, self.offset)
            or self.is_suspect
            or self.is_final
            or self._held is not None
        )

    @property
    def is_held(self) -> bool:
        """A batch of it is being evaluated: what it says about the offset must stay true."""
        return self._held is not None

    @property
    def head(self) -> bytes:
        """Digest of the first ``min(1024, offset)`` bytes."""
        return self._head

    @property
    def witnesses(self) -> list[Witness]:
        """What was read is recognised by: at the offset, and at some earlier ones, last first."""
        now = Witness(self.offset, self._head, digest(self.tail))
        return [now, *self._trail.before(self.offset)]

    def has_head(self, head: bytes) -> bool:
        """Tell whether a file that begins so can be this one."""
        return digest(head[: self.offset]) == self._head

    def place(self, offset: int, head: bytes, tail: bytes) -> None:
        """
        Continue from ``offset``.

        Args:
            offset: Bytes before it took effect already, or never will.
            head: Digest of the first ``min(1024, offset)`` bytes.
            tail: The bytes before ``offset``, as many.
        """
        self.epoch += 1
        self.offset = offset
        self.checked = 0
        self.tail = tail
        self._head = head
        self._held = None
        self._trail = Trail()

    def restart(self) -> None:
        """Begin anew: the file has been truncated."""
        self.place(0, digest(b""), b"")
        self.is_skipping = False
        self.is_final = False
        self.growth.begin_anew()
        self.framing.open_record = b""

    def advance(self, data: bytes) -> None:
        """Move past ``data``, which stands at the offset."""
        if self.offset < WITNESS:
            # The tail is still the whole of what came before.
            self._head = digest((self.tail + data[:WITNESS])[:WITNESS])
        if self.offset + len(data) >= self._trail.next_at:
            self._trail.pass_over(self.tail, self.offset, data, self._head)
        self.tail = (self.tail + data)[-WITNESS:] if len(data) < WITNESS else data[-WITNESS:]
        self.offset += len(data)

    def advance_over_nuls(self, count: int) -> None:
        """Move past ``count`` NUL bytes, without making them."""
        if self.offset < WITNESS:
            self._head = digest((self.tail + bytes(min(count, WITNESS)))[:WITNESS])
        self.tail = (self.tail + bytes(min(count, WITNESS)))[-WITNESS:]
        self.offset += count

    def hold(self, batch: Batch, checked: int, *, is_cut: bool) -> None:
        """
        Remember what was handed out.

        Args:
            batch: The lines.
            checked: How far the file was looked at.
            is_cut: The batch is the beginning of one line that is too long.
        """
        self._held = batch
        self.checked = checked
        self._cut_at = batch.offset + len(batch.data) if is_cut else -1

    def release(self) -> None:
        """Forget what was handed out: nothing more of it will be consumed."""
        self._held = None

    def consume(self, batch: Batch, count: int) -> None:
        """Move behind the first ``count`` bytes of ``batch``."""
        if self._held is None:
            raise ValueError(f"{self.path}: this batch is no longer the one being read")
        done = self.offset - batch.offset
        if not 0 <= done <= count <= len(batch.data):
            raise ValueError(
                f"{self.path}: {count} bytes from {batch.offset} do not continue at {self.offset}"
            )
        self.advance(batch.data[done:count])
        held = self._held
        if self.offset == self._cut_at:
            self.is_skipping = True
            self._cut_at = -1
        if self.offset == held.offset + len(held.data):
            self._held = None
            if held.is_final:
                self.is_closed = True
                self.is_final = False

    def stored(self, now: float) -> StoredFile:
        """Return what must be known to continue here after a restart."""
        return StoredFile(
            key=self.key,
            path=self.path,
            home=self.home,
            rank=self.rank,
            offset=self.offset,
            head=self._head,
            marker=digest(self.tail),
            size=self.size,
            mtime_ns=self.mtime_ns,
            is_skipping=self.is_skipping,
            is_complete=self.is_closed,
            framing=msgspec.structs.replace(self.framing),
            last_seen=now,
        )
