"""Which rules are judged in one order of time: those that see the same sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alertd.core.rules import Rule

Stream: TypeAlias = tuple[str, ...]
"""The names of its sources, sorted."""


def streams_of(rules: Iterable[Rule]) -> dict[str, Stream]:
    """
    Find each rule's stream.

    Args:
        rules: All of them.

    Returns:
        By the rule's name the stream in which it is judged.
    """
    return {rule.name: tuple(sorted(rule.sources)) for rule in rules}
