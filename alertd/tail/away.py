"""
Work that may block, done in a thread and waited for only so long.

A thread that a dead network file system holds cannot be ended.  It is left behind, and the file
that it was about is tried again later; the others go on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from aiofiles.os import wrap

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from alertd.tail.content import Content, Piece

T = TypeVar("T")
P = ParamSpec("P")

PATIENCE: Final = 60.0
"""Seconds; decompressing a gigabyte takes ten."""


def _piece(content: Content, size: int, offset: int, known: int) -> Piece:
    return content.piece(size, offset, known)


_piece_away: Callable[[Content, int, int, int], Awaitable[Piece]] = wrap(_piece)


async def away(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """
    Do ``work`` in a thread.

    Raises:
        TimeoutError: It took too long; an OSError like any other that it may raise.
    """
    async with asyncio.timeout(PATIENCE):
        return await asyncio.to_thread(work, *args, **kwargs)


async def read_piece(content: Content, size: int, offset: int, known: int) -> Piece:
    """
    Read about so many bytes from ``offset``, and ``known`` bytes before it (see ``Content.piece``).

    Raises:
        OSError: It cannot be read; TimeoutError if that took too long to say.
    """
    async with asyncio.timeout(PATIENCE):
        return await _piece_away(content, size, offset, known)
