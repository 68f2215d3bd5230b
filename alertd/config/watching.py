"""
Which rules a rule of kind ``alerts`` watches: found by their names, in an order that has an end.

Refuses circles: rules that ring because the other rang would do so for ever.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from alertd.config.errors import Finding, show, suggestion
from alertd.config.kinds import globs_of
from alertd.core.detectors.alerts import RULE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from alertd.config.schema import RuleTable
    from alertd.core.rules import Rule


def watched_by(tables: Mapping[str, RuleTable]) -> dict[str, tuple[str, ...]]:
    """
    Find the rules that are watched.

    Args:
        tables: All rules' tables, by name.

    Returns:
        For each rule of kind ``alerts``, the others that its globs match, in their order.
    """
    found = {}
    for name, table in tables.items():
        if table.kind != "alerts":
            continue
        globs = _globs(table)
        found[name] = tuple(
            other
            for other in tables
            if other != name and any(fnmatchcase(other, glob) for glob in globs)
        )
    return found


def check_watching(
    tables: Mapping[str, RuleTable], watched: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    """Find names that no rule has, circles, and fields that not all alerts have."""
    for name, others in watched.items():
        place = ("rule", name)
        for glob in _globs(tables[name]):
            if not any(fnmatchcase(other, glob) for other in tables if other != name):
                rest = [other for other in tables if other != name]
                yield Finding(
                    (*place, "of"),
                    f"no other rule is called {show(glob)}"
                    + (suggestion(glob, rest) or f"; choose of: {', '.join(rest) or 'none'}"),
                )
        circle = _circle(name, watched)
        if circle:
            yield Finding(
                (*place, "of"), f"goes round in a circle: {' → '.join(circle)}; leave one out"
            )
        for field in tables[name].group_by:
            lacking = [other for other in others if field not in {*tables[other].group_by, RULE}]
            if lacking:
                yield Finding(
                    (*place, "group_by"),
                    f"{show(field)} is no field of the alerts of rule {show(lacking[0])}; write it "
                    f'in the group_by of that, too, or "{RULE}" here for the rule that rang',
                )


def _globs(table: RuleTable) -> tuple[str, ...]:
    """Read the names that a rule watches; none if they are refused, which has been said."""
    try:
        return globs_of(table.of)
    except ValueError:
        return ()


def _circle(name: str, watched: Mapping[str, Sequence[str]]) -> list[str]:
    """Give a way from a rule to itself, if it is the first on it; empty if there is none."""
    ways = [[name]]
    seen = set()
    while ways:
        way = ways.pop()
        for other in watched.get(way[-1], ()):
            if other == name:
                # Said once, of the rule that stands first.
                first = min(way, key=list(watched).index)
                return [*way, name] if first == name else []
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    return []


def with_watched(rules: Sequence[Rule], watched: Mapping[str, Sequence[str]]) -> list[Rule]:
    """Tell rules whom they watch, and let them see the sources of these, through others, too."""
    by_name = {rule.name: rule for rule in rules}

    def sources(name: str, above: tuple[str, ...] = ()) -> list[str]:
        if name not in watched:
            return list(by_name[name].sources)
        return [
            source
            for other in watched[name]
            if other not in above
            for source in sources(other, (*above, name))
        ]

    return [
        replace(
            rule,
            watches=tuple(watched[rule.name]),
            sources=tuple(dict.fromkeys(sources(rule.name))) or rule.sources,
        )
        if rule.name in watched
        else rule
        for rule in rules
    ]
