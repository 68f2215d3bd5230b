"""
Which keys each kind of rule needs and which it may have, beside those that all have.

A key that means nothing for a rule's kind is refused: whoever wrote it believes that it does
something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from alertd.config import values
from alertd.config.conditions import selector
from alertd.config.errors import Finding, RefusedError, show
from alertd.config.tables import missing
from alertd.config.units import DAY
from alertd.core.daily import Daily
from alertd.core.detectors.alerts import RULE
from alertd.core.escape import visible
from alertd.core.rules import ON_GRID, STEPS, Condition, Conjunction, Metric, Rule, Step, key_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo

    from alertd.config.schema import RuleTable, StepTable
    from alertd.core.rules import Kind, Selector


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
        resolves: Whether it says by itself when it is over.  Kinds for which that means nothing may
            not have ``resolve`` at all.
    """

    needs: dict[str, object]
    may: frozenset[str] = frozenset()
    read_limit: Callable[[object], object] = _events
    resolves: bool = False


_MATCH: dict[str, object] = {"match": "ERROR"}
_WINDOW: dict[str, object] = {"more_than": 10, "within": "10m"}

_RESOLVE = frozenset({"resolve"})

KEYS_OF: dict[Kind, Keys] = {
    "threshold": Keys({**_MATCH, **_WINDOW}, _RESOLVE),
    "match": Keys(_MATCH),
    "distinct": Keys({"distinct": "user", **_WINDOW}, _RESOLVE | {"match"}),
    "new_value": Keys({"value": "error_code"}, frozenset({"match", "learn", "max_values"})),
    "change": Keys({"value": "version"}, frozenset({"match"})),
    "ratio": Keys(
        {**_MATCH, "more_than": "5%", "within": "5m"},
        _RESOLVE | {"of", "min_total"},
        values.percent,
        resolves=True,
    ),
    "metric": Keys(
        {"metric": "p95", "value": "duration_ms", "within": "5m"},
        _RESOLVE | {"match", "more_than", "less_than", "min_total"},
        values.number,
        resolves=True,
    ),
    "sequence": Keys({"step": [], "within": "10m"}, _RESOLVE),
    "absence": Keys(
        _MATCH, _RESOLVE | {"fewer_than", "within", "by", "timezone", "expect"}, resolves=True
    ),
    "spike": Keys(
        {**_MATCH, "times": 3.0, "min_count": 50, "within": "10m"},
        _RESOLVE | {"baseline"},
        resolves=True,
    ),
    "alerts": Keys({"of": ["fatal-*"], **_WINDOW}, _RESOLVE | {"distinct"}),
}

_STEP = "{ match = 'ERROR' }"
_INSTEAD: dict[tuple[Kind, str], str] = {
    ("sequence", "match"): f"stands in each step of a sequence; write step = [{_STEP}, …]",
    ("sequence", "more_than"): "means nothing for a sequence; write count = 5 in a step of which "
    "five lines are needed",
}
"""What is said of a key that a rule of this kind has no use for, where that is not enough."""

globs_of = values.many(values.text, "fatal-*")
"""Reads the names of the rules that a rule watches."""

_NO_LINES = {
    "source": 'means nothing for kind = "alerts", which sees alerts of the rules in of; remove it',
    "unless": 'means nothing for kind = "alerts", which sees no lines; remove it',
    "test": 'means nothing for kind = "alerts", which sees no lines; test the rules in of',
}

METRICS: tuple[Metric, ...] = get_args(Metric)
SHORTEST_ON_GRID = 1.0
"""Seconds of a window that is cut into slices."""

_DEFAULT_COOLDOWN = 900.0
_DEFAULT_MAX_VALUES = 1_000
# What these say they say once, so nothing is hidden; max_per_hour bounds a flood all the same.
_SAID_ONCE: frozenset[Kind] = frozenset({"new_value", "change"})


def value_key(kind: Kind) -> str:
    """Name the key that names the field whose values are judged."""
    return "distinct" if kind == "distinct" else "value"


def having(field: str) -> Selector:
    """Give what a rule looks for that judges a field and says no more: lines that have it."""
    return (Conjunction((Condition(field, "exists", operand=True),)),) if field else ()


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
        if key not in table.given | table.misspelt:
            text = f"is missing; write step = [{_STEP}, …]" if key == "step" else ""
            yield Finding((*place, key), text or missing(key, example))
    yield from _check_limits(place, table)
    yield from _check_window(place, table)
    if table.kind == "sequence":
        yield from _check_steps((*place, "step"), table.step)
    if table.kind == "absence":
        yield from _check_absence(place, table)
    if table.kind == "alerts":
        yield from _check_alerts(place, table)
    if table.kind == "ratio" and table.of is not None:
        try:
            selector(table.of)
        except RefusedError as error:
            yield from (Finding((*place, "of", *one.place), one.text) for one in error.findings)
    for key in sorted(table.given - keys.needs.keys() - keys.may):
        if text := _meaningless(table.kind, key):
            yield Finding((*place, key), text)


def _meaningless(kind: Kind, key: str) -> str:
    """Say that a key means nothing for a kind; nothing of one that any kind may have."""
    owners = [show(each) for each, its in KEYS_OF.items() if key in its.needs or key in its.may]
    if not owners or (kind, key) in _INSTEAD:
        return _INSTEAD.get((kind, key), "")
    return (
        f"means nothing for kind = {show(kind)}; remove it, or write kind = {' or '.join(owners)}"
    )


def _check_limits(place: tuple[str, ...], table: RuleTable) -> Iterator[Finding]:
    """Read ``more_than`` and ``less_than`` as the kind does; of a metric, insist on one of them."""
    keys = KEYS_OF[table.kind]
    for key, limit in (("more_than", table.more_than), ("less_than", table.less_than)):
        if limit is None or (key not in keys.needs and key not in keys.may):
            continue
        try:
            keys.read_limit(limit)
        except ValueError as error:
            yield Finding((*place, key), str(error))
    if table.kind != "metric":
        return
    if table.more_than is not None and table.less_than is not None:
        yield Finding((*place, "less_than"), "stands beside more_than; write two rules")
    if not (table.given | table.misspelt) & {"more_than", "less_than"}:
        yield Finding(
            (*place, "more_than"), "is missing; write more_than = 1500, or less_than with a number"
        )


def _check_window(place: tuple[str, ...], table: RuleTable) -> Iterator[Finding]:
    """Refuse windows that cannot be cut into slices, or that earlier days cannot be cut into."""
    if table.kind in ON_GRID and table.within is not None and table.within < SHORTEST_ON_GRID:
        yield Finding(
            (*place, "within"),
            f"is too short to be cut into slices for kind = {show(table.kind)}; "
            'write at least "1s"',
        )
    if table.kind == "spike" and table.baseline and (table.within or 0.0) > DAY:
        yield Finding(
            (*place, "within"),
            'is longer than the day to which baseline goes back; write at most "1d", or leave out '
            "baseline to compare with the window before",
        )


def _check_steps(place: tuple[str, ...], steps: Sequence[StepTable]) -> Iterator[Finding]:
    """Insist on something that can come one after another."""
    if len(steps) == 1:
        yield Finding(place, f"has only one; write at least two, step = [{_STEP}, {_STEP}]")
    if len(steps) > len(STEPS):
        yield Finding(place, f"has {len(steps)}; write at most {len(STEPS)}")
    for number, step in enumerate(steps, start=1):
        if step.absent and number < len(steps):
            yield Finding(
                (*place, str(number), "absent"),
                "is only for the last step; put the step there, or leave it out",
            )
        if step.absent and step.count is not None:
            yield Finding(
                (*place, str(number), "count"),
                "means nothing for a step that is absent; remove it",
            )


def _check_absence(place: tuple[str, ...], table: RuleTable) -> Iterator[Finding]:
    """Insist on a time that can be over, and on keys that there can be."""
    if not (table.given | table.misspelt) & {"within", "by"}:
        yield Finding(
            (*place, "within"),
            'is missing; write within = "25h", or by = "02:30" for a time of day',
        )
    if "timezone" in table.given and "by" not in table.given | table.misspelt:
        yield Finding((*place, "timezone"), "means nothing without by; remove it")
    if table.expect is None:
        return
    if not table.group_by:
        yield Finding(
            (*place, "expect"),
            "means nothing without group_by; write group_by = the field in which "
            f"{visible(table.expect[0][0])} stands",
        )
    wrong = [key for key in table.expect if table.group_by and len(key) != len(table.group_by)]
    if wrong:
        values_of = "the value of " if len(table.group_by) == 1 else "a list of the values of "
        yield Finding(
            (*place, "expect"),
            f"{show(list(wrong[0]) if len(wrong[0]) > 1 else wrong[0][0])} is no key of this rule; "
            f"write for each one {values_of}{', '.join(table.group_by)}",
        )
    if "max_keys" in table.given and len(table.expect) > table.max_keys:
        yield Finding(
            (*place, "max_keys"),
            f"is {table.max_keys:,}, but {len(table.expect):,} keys are expected; remove it",
        )


def _check_alerts(place: tuple[str, ...], table: RuleTable) -> Iterator[Finding]:
    """Insist on names, and on what alerts have; which rules these are is found out later."""
    if table.of is not None:
        try:
            globs_of(table.of)
        except ValueError as error:
            yield Finding((*place, "of"), str(error))
    if table.distinct not in {None, RULE}:
        yield Finding(
            (*place, "distinct"),
            f'is {show(table.distinct)}; write distinct = "{RULE}" to count each rule once',
        )
    for key in ("source", "unless", "test"):
        if getattr(table, key):
            yield Finding((*place, key), _NO_LINES[key])


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
    if table.kind == "absence":
        return {"more_than": (table.fewer_than or 1) - 1}
    if table.kind == "ratio":
        return {"more_than": 0, "share": limit or (0, 100)}
    return {"more_than": limit or 0}


def _selected(table: RuleTable) -> Selector:
    try:
        return selector(table.of) if table.of is not None else ()
    except RefusedError:
        return ()  # that has been told


def rule_of(
    name: str,
    table: RuleTable,
    sources: tuple[str, ...],
    recipients: tuple[str, ...],
    zone: tzinfo,
) -> Rule:
    """
    Make a rule, with what stands for the keys that were left out.

    Args:
        name: The rule's name.
        table: What stands there.
        sources: Whose lines it sees.
        recipients: Who is told.
        zone: Where its times of day are meant.
    """
    steps = tuple(
        Step(step.match, step.unless, step.count or 1, step.absent)
        for step in (table.step if table.kind == "sequence" else ())
    )
    value = table.distinct or table.value or ""
    match = tuple(each for step in steps for each in step.match) or table.match or having(value)
    cooldown = table.cooldown
    if cooldown is None:
        within = table.within or 0.0
        # By a time of day each day is told, and none must be taken for a repeat.
        is_said_once = table.kind in _SAID_ONCE or table.by is not None
        cooldown = 0.0 if is_said_once else max(_DEFAULT_COOLDOWN, within)
    expect = tuple(tuple(map(key_value, key)) for key in table.expect or ())
    return Rule(
        name=name,
        sources=sources,
        match=match,
        unless=table.unless,
        group_by=table.group_by,
        kind=table.kind,
        **_limits(table),
        within=table.within or 0.0,
        cooldown=cooldown,
        value=value,
        of=_selected(table) if table.kind == "ratio" else (),
        steps=steps,
        metric=table.metric or "",
        times=table.times or (1, 1),
        baseline=table.baseline or 0,
        min_total=table.min_total or table.min_count or 1,
        by=None if table.by is None else Daily(table.by, zone),
        expect=expect,
        learn=table.learn or 0.0,
        max_values=table.max_values or _DEFAULT_MAX_VALUES,
        # Others than the expected are not even remembered.
        max_keys=len(expect) or table.max_keys,
        recipients=recipients,
        severity=table.severity,
        description=table.description,
        resolve=KEYS_OF[table.kind].resolves if table.resolve is None else table.resolve,
    )
