"""
What was made of a source's rules, as bytes: made once, and not again at every start.

To find out what a thousand rules must look for, and to compile that, takes a second.

Trap: what is restored for other rules than these would lose lines in silence, so everything that
the plan depends on is in the key.  What it does not know is this code itself, and whether the bytes
have been damaged: that is for who keeps them to say.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

import hyperscan
import msgspec

from alertd.core.matching.plan import Plan  # noqa: TC001 - msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.rules import Rule, Source

# What says nothing about how the bytes of a line are read.
_ELSEWHERE = frozenset({"name", "paths", "exclude", "timezone", "start_at", "max_skew", "lateness"})


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """
    What was made of rules.

    Attributes:
        key: Of these rules and their source.
        plan: What to look for.
        database: What the scanner made of it.
    """

    key: bytes
    plan: Plan
    database: bytes


def key_of(source: Source, rules: Sequence[Rule]) -> bytes:
    """Give a digest of all that a plan depends on."""
    reading = {
        field.name: getattr(source, field.name)
        for field in dataclasses.fields(source)
        if field.name not in _ELSEWHERE
    }
    release: str = hyperscan.__version__  # type: ignore[attr-defined]
    asked = (release, reading, [rule.seen for rule in rules])
    return hashlib.blake2b(msgspec.msgpack.encode(asked), digest_size=16).digest()


def restored(stored: bytes | None, key: bytes) -> Stored | None:
    """Read what was stored, if it was for the same rules."""
    if not stored:
        return None
    try:
        content = msgspec.msgpack.decode(stored, type=Stored)
    except msgspec.MsgspecError:
        return None
    return content if content.key == key else None
