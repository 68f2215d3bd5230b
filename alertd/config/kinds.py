"""
Which keys each kind of rule needs and which it may have, beside those that all have.

A key that means nothing for a rule's kind is refused: whoever wrote it believes that it does
something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from alertd.config import values
from alertd.config.errors import Finding, show
from alertd.config.tables import missing
from alertd.core.rules import Metric, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alertd.config.schema import RuleTable
    from alertd.core.rules import Kind


MOST_EVENTS = 100_000

_events = values.whole(
    0,
    MOST_EVENTS,
    example=10,
    remedy="every key keeps the times of that many events, so that the count is exact; "
    "choose a smaller number and a shorter `within`",
)


class Keys(NamedTuple):
    """
    The keys of a kind.

    Attributes:
        needs: Those that must be there, each with an example.
        may: Those that may.
        read_limit: Reads ``more_than``.
    """

    needs: dict[str, object]
    may: frozenset[str] = frozenset()
    read_limit: Callable[[object], object] = _events


_WINDOW: dict[str, object] = {"more_than": 10, "within": "10m"}

KEYS_OF: dict[Kind, Keys] = {
    "threshold": Keys(_WINDOW),
    "match": Keys({}),
    "distinct": Keys({"distinct": "user", **_WINDOW}),
    "new_value": Keys({"value": "error_code"}, frozenset({"learn", "max_values"})),
    "change": Keys({"value": "version"}),
    "ratio": Keys(
        {"more_than": "5%", "within": "5m"}, frozenset({"of", "min_total"}), values.percent
    ),
    "metric": Keys(
        {"metric": "p95", "value": "duration_ms", "within": "5m"},
        frozenset({"more_than", "less_than", "min_total"}),
        values.number,
    ),
}

METRICS: tuple[Metric, ...] = get_args(Metric)
SHORTEST_ON_GRID = 1.0
"""Seconds of a window that is cut into slices."""

_DEFAULT_COOLDOWN = 900.0
_DEFAULT_MAX_VALUES = 1_000
_ON_GRID: frozenset[Kind] = frozenset({"ratio", "metric"})
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
    for key, limit in (("more_than", table.more_than), ("less_than", table.less_than)):
        if limit is None or (key not in keys.needs and key not in keys.may):
            continue
        try:
            keys.read_limit(limit)
        except ValueError as error:
            yield Finding((*place, key), str(error))
    if table.kind in _ON_GRID and table.within is not None and table.within < SHORTEST_ON_GRID:
        yield Finding(
            (*place, "within"),
            f"is too short to be cut into slices for kind = {show(table.kind)}; "
            'write at least "1s"',
        )
    if table.kind == "metric":
        yield from _check_bounds(place, table)
    for key in sorted(table.given - keys.needs.keys() - keys.may):
        owners = [show(kind) for kind, its in KEYS_OF.items() if key in its.needs or key in its.may]
        if owners:
            yield Finding(
                (*place, key),
                f"means nothing for kind = {show(table.kind)}; remove it, "
                f"or write kind = {' or '.join(owners)}",
            )


def _check_bounds(place: tuple[str, ...], table: RuleTable) -> Iterator[Finding]:
    """Insist on one of the two bounds."""
    if table.more_than is not None and table.less_than is not None:
        yield Finding((*place, "less_than"), "stands beside more_than; write two rules")
    if not (table.given | table.misspelt) & {"more_than", "less_than"}:
        yield Finding(
            (*place, "more_than"), "is missing; write more_than = 1500, or less_than with a number"
        )


def _limits(table: RuleTable) -> dict[str, Any]:
    """Give what a rule of this kind makes of ``more_than`` and ``less_than``."""
    is_below = table.kind == "metric" and table.more_than is None
    try:
        limit: Any = KEYS_OF[table.kind].read_limit(
            table.less_than if is_below else table.more_than
        )
    except ValueError:
        # It is not there, or has been refused.
        limit = None
    if table.kind == "metric":
        return {"more_than": 0, "bound": limit or 0.0, "is_below": is_below}
    if table.kind == "ratio":
        return {"more_than": 0, "share": limit or (0, 100)}
    return {"more_than": limit or 0}


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
        **_limits(table),
        within=table.within or 0.0,
        cooldown=cooldown,
        value=table.distinct or table.value or "",
        of=table.of or (),
        metric=table.metric or "",
        min_total=table.min_total or 1,
        learn=table.learn or 0.0,
        max_values=table.max_values or _DEFAULT_MAX_VALUES,
        max_keys=table.max_keys,
        recipients=recipients,
        severity=table.severity,
        description=table.description,
    )
