"""
The names that rotated files get.

``a.log`` becomes ``a.log.1``, ``a.log-20260314``, ``a-20260314.log``, ``a.log.old``, and any of
these with ``.gz``.  Names only ever suggest where to look; identity and content decide.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from alertd.tail.content import COMPRESSED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

_TAG: Final = re.compile(r"\d[\dT:._-]*|old|bak|prev")
_TAG_BEFORE_SUFFIX: Final = re.compile(r"(?:\d[\dT:_-]*|old|bak|prev)(\.[A-Za-z]\w*)")
_NUMBER: Final = re.compile(r"[._-](\d{1,4})(?:\.[A-Za-z]\w*)?$")


def uncompressed(name: str) -> str:
    """Return the name without ``.gz`` and the like."""
    for suffix in COMPRESSED:
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name


def origins(name: str) -> Iterator[str]:
    """Find the names of which ``name`` looks like a rotation."""
    bare = uncompressed(name)
    if bare != name:
        yield bare
    for separator in re.finditer(r"[._-]", bare):
        stem, rest = bare[: separator.start()], bare[separator.end() :]
        if not stem:
            continue
        if _TAG.fullmatch(rest):
            yield stem
        elif found := _TAG_BEFORE_SUFFIX.fullmatch(rest):
            yield stem + found[1]


def is_rotation_of(name: str, origin: str) -> bool:
    """Tell whether ``name`` looks like a rotation of ``origin``."""
    return any(found == origin for found in origins(name))


def oldest_first(files: Sequence[tuple[str, int, T]]) -> list[T]:
    """
    Put rotations of one file in the order in which they were written.

    Args:
        files: Name, time of modification, and what is to be ordered.

    Numbers decide where all have one, because a writer may still hold an old file and give it the
    newest time.
    """
    numbers = [_number(name) for name, *_ in files]
    if None not in numbers:
        return [file for *_, file in sorted(files, key=lambda file: -(_number(file[0]) or 0))]
    return [
        file
        for *_, file in sorted(files, key=lambda file: (file[1], -(_number(file[0]) or 0), file[0]))
    ]


def _number(name: str) -> int | None:
    found = _NUMBER.search(uncompressed(name))
    return int(found[1]) if found else None
