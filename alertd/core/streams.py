"""
Which rules are judged in one order of time: those that see the same sources.

A rule that watches others must see their alerts in one order, whatever files these come from.  So
it and they are judged together, and see the sources of all of them.
"""

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
    rules = tuple(rules)
    sources = {rule.name: set(rule.sources) for rule in rules}
    groups = {name: [name] for name in sources}
    for rule in rules:
        for watched in rule.watches:
            joined, other = groups[rule.name], groups[watched]
            if joined is not other:
                joined += other
                groups.update(dict.fromkeys(other, joined))
    return {
        name: tuple(sorted(set().union(*(sources[each] for each in group))))
        for name, group in groups.items()
    }
