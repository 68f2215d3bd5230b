"""
Which keys each kind of rule needs and which it may have, beside those that all have.

A key that means nothing for a rule's kind is refused: whoever wrote it believes that it does
something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from alertd.config.errors import Finding, show
from alertd.config.tables import missing
from alertd.core.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alertd.config.schema import RuleTable
    from alertd.core.rules import Kind


class Keys(NamedTuple):
    """
    The keys of a kind.

    Attributes:
        needs: Those that must be there, each with an example.
        may: Those that may.
    """

    needs: dict[str, object]
    may: frozenset[str] = frozenset()


_WINDOW: dict[str, object] = {"more_than": 10, "within": "10m"}

KEYS_OF: dict[Kind, Keys] = {
    "threshold": Keys(_WINDOW),
    "match": Keys({}),
    "distinct": Keys({"distinct": "user", **_WINDOW}),
    "new_value": Keys({"value": "error_code"}, frozenset({"learn", "max_values"})),
    "change": Keys({"value": "version"}),
}

_DEFAULT_COOLDOWN = 900.0
_DEFAULT_MAX_VALUES = 1_000
# What these say they say once, so nothing is hidden; max_per_hour bounds a flood all the same.
_SAID_ONCE: frozenset[Kind] = frozenset({"new_value", "change"})


def value_key(kind: Kind) -> str:
    """Name the key that names the field whose values are judged."""
    return "distinct" if kind == "distinct" else "value"


def check_kind(name: str, table: RuleTable) -> Iterator[Finding]:
    """
    Find keys that a rule's kind lacks, and keys that mean nothing for it.

    Args:
        name: The rule's name.
        table: What stands there.
    """
    place = ("rule", name)
    keys = KEYS_OF[table.kind]
    for key, example in keys.needs.items():
        if getattr(table, key) is None and key not in table.misspelt:
            yield Finding((*place, key), missing(key, example))
    for key in sorted(table.given - keys.needs.keys() - keys.may):
        owners = [show(kind) for kind, its in KEYS_OF.items() if key in its.needs or key in its.may]
        if owners:
            yield Finding(
                (*place, key),
                f"means nothing for kind = {show(table.kind)}; remove it, "
                f"or write kind = {' or '.join(owners)}",
            )


def rule_of(
    name: str, table: RuleTable, sources: tuple[str, ...], recipients: tuple[str, ...]
) -> Rule:
    """
    Make a rule, with what stands for the keys that were left out.

    Args:
        name: The rule's name.
        table: What stands there.
        sources: Whose lines it sees.
        recipients: Who is told.
    """
    cooldown = table.cooldown
    if cooldown is None:
        within = table.within or 0.0
        cooldown = 0.0 if table.kind in _SAID_ONCE else max(_DEFAULT_COOLDOWN, within)
    return Rule(
        name=name,
        sources=sources,
        match=table.match,
        unless=table.unless,
        group_by=table.group_by,
        kind=table.kind,
        more_than=table.more_than or 0,
        within=table.within or 0.0,
        cooldown=cooldown,
        value=table.distinct or table.value or "",
        learn=table.learn or 0.0,
        max_values=table.max_values or _DEFAULT_MAX_VALUES,
        max_keys=table.max_keys,
        recipients=recipients,
        severity=table.severity,
        description=table.description,
    )
