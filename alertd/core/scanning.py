"""
Many expressions, one chunk of bytes: which of them match in which line.

Everything about Hyperscan is here: how its databases are laid out, compiled, stored and restored.

Where an expression needs a text that most chunks lack, looking for its first byte is a tenth of the
work, so such expressions stand apart.

Traps: a set of 2 to 50 expressions is scanned at a half to a quarter of the speed of 100, so small
sets are filled up; a callback that returns anything true ends the scan with an exception; the
databases of one Scanner must not be used by two threads at once; what ends where the scanned bytes
end may be overlooked (by a database of one short text), so the last line is scanned with more
behind it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import hyperscan
import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Up to so many expressions each have a database of their own; up to FEW they are filled up.
SINGLES = 2
FEW = 60
PADDING = tuple(
    "".join(
        f"\\x{byte:02x}"
        for byte in b"\xff\xfe" + hashlib.blake2b(str(number).encode(), digest_size=6).digest()
    ).encode()
    for number in range(90)
)
# A byte that is found once in so many is no help in looking for a text that begins with it.
OFTEN = 4096
# Put behind the last line; and what is copied for it rather than scanned twice, in bytes.
GUARD = b"\n\n"
COPIED = 4096


class Refused(Exception):  # noqa: N818 - what Hyperscan did, as the caller reads it
    """
    Hyperscan cannot compile an expression.

    Attributes:
        expressions: Those that it refuses.
    """

    def __init__(self, expressions: frozenset[bytes]) -> None:
        super().__init__(f"{len(expressions)} expressions")
        self.expressions = expressions


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    key: bytes
    databases: list[tuple[bytes, bytes]]


class Scanner:
    """Finds the lines in which expressions match, each of which does so once a line, at its end."""

    def __init__(
        self,
        expressions: Sequence[bytes],
        stored: bytes | None = None,
        *,
        needs: Mapping[int, bytes] | None = None,
    ) -> None:
        """
        Compile, or restore.

        Args:
            expressions: For MULTILINE mode.
            stored: What ``dump`` gave for the same arguments; anything else is ignored.
            needs: A text without which an expression cannot match, by the expression's number.

        Raises:
            Refused: Some expressions cannot be compiled.
        """
        needs = needs or {}
        self._key = _key(expressions, needs)
        self._databases = self._restored(stored) or [
            (database, text)
            for text, numbered in _layout(expressions, needs)
            for database in _compiled(numbered)
        ]

    def _restored(self, stored: bytes | None) -> list[tuple[hyperscan.Database, bytes]] | None:
        if stored is None:
            return None
        try:
            content = msgspec.msgpack.decode(stored, type=_Stored)
            if content.key != self._key:
                return None
            return [(_loaded(database), text) for database, text in content.databases]
        except (msgspec.MsgspecError, hyperscan.error):
            return None

    def dump(self) -> bytes:
        """Give the compiled form, which this version of Hyperscan can restore at once."""
        databases = [(hyperscan.dumpb(database), text) for database, text in self._databases]
        return msgspec.msgpack.encode(_Stored(self._key, databases))

    def scan(
        self, data: bytes, shift: int, most: int, span: tuple[int, int] | None = None
    ) -> list[int] | None:
        """
        Find all matches.

        Args:
            data: Whole lines.
            shift: Bits by which the end of a line is shifted in the result.
            most: Matches after which to give up.
            span: Which part of ``data``, if not all of it.

        Returns:
            ``end << shift | index`` of each expression that matches in a line that ends there,
            the newline not counted, in no order; None if there are more than ``most``.  Ends are
            counted from where the part begins.
        """
        start, stop = span or (0, len(data))
        databases = [
            database
            for database, text in self._databases
            if not text or _may_contain(data, text, start, stop)
        ]

        def found_in(part: bytes | memoryview) -> list[int]:
            hits: list[int] = []
            append = hits.append

            def on_match(index: int, _start: int, end: int, _flags: int, _context: object) -> bool:
                append(end << shift | index)
                return len(hits) > most

            for database in databases:
                database.scan(part, match_event_handler=on_match)  # type: ignore[type-var]
            return hits

        try:
            if stop - start <= COPIED:
                return found_in(data[start:stop] + GUARD)
            hits = found_in(data if stop - start == len(data) else memoryview(data)[start:stop])
            last = data.rfind(b"\n", start, stop - 1) + 1 or start
            in_last = found_in(data[last:stop] + GUARD)
        except hyperscan.ScanTerminated:
            return None
        if in_last:
            # What was not overlooked in the last line was found twice.
            ahead = last - start << shift
            hits = [*dict.fromkeys([*hits, *(hit + ahead for hit in in_last)])]
        return hits if len(hits) <= most else None


def _may_contain(data: bytes, text: bytes, start: int, stop: int) -> bool:
    """Look for a text whose first byte is rare; where that is not, say yes."""
    first = text[:1]
    at = start
    for _ in range((stop - start) // OFTEN + 1):
        at = data.find(first, at, stop)
        if at < 0:
            return False
        if data.startswith(text, at):
            return True
        at += 1
    return True


def _layout(
    expressions: Sequence[bytes], needs: Mapping[int, bytes]
) -> list[tuple[bytes, list[tuple[int, bytes]]]]:
    """Say which expressions share a database, and which text it needs, if it does."""
    numbered = [one for one in enumerate(expressions) if one[0] not in needs]
    apart = [(text, [(number, expressions[number])]) for number, text in needs.items()]
    if len(numbered) <= SINGLES:
        return [*((b"", [one]) for one in numbered), *apart]
    if len(numbered) <= FEW:
        numbered += [(len(expressions), padding) for padding in PADDING]
    return [(b"", numbered), *apart]


def _key(expressions: Sequence[bytes], needs: Mapping[int, bytes]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    release = hyperscan.__version__.encode()  # type: ignore[attr-defined]
    layout = (needs.get(number, b"") for number in range(len(expressions)))
    for part in (release, *expressions, *layout):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _loaded(stored: bytes) -> hyperscan.Database:
    database = hyperscan.loadb(stored, mode=hyperscan.HS_MODE_BLOCK)
    database.scratch = hyperscan.Scratch(database)
    return database


def _compiled(numbered: list[tuple[int, bytes]]) -> list[hyperscan.Database]:
    try:
        return [_attempt(numbered)]
    except hyperscan.error:
        # The error does not say which expression it is about.
        refused = frozenset(one for _, one in numbered if not is_accepted(one))
        if refused:
            raise Refused(refused) from None
        # Together they are too much.
        half = len(numbered) // 2
        return [*_compiled(numbered[:half]), *_compiled(numbered[half:])]


def is_accepted(expression: bytes) -> bool:
    """Tell whether Hyperscan can compile an expression."""
    try:
        _attempt([(0, expression)])
    except hyperscan.error:
        return False
    return True


def _attempt(numbered: list[tuple[int, bytes]]) -> hyperscan.Database:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[expression for _, expression in numbered],
        ids=[number for number, _ in numbered],
        elements=len(numbered),
        flags=[hyperscan.HS_FLAG_MULTILINE] * len(numbered),
    )
    return database
