"""
What only shows when the tables are seen together.

Errors are what cannot work as it was meant; warnings are what works, but perhaps otherwise than
meant.  Both are findings; who calls decides which they are.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from alertd.config.errors import Finding, show, show_regex, suggestion
from alertd.config.kinds import having
from alertd.config.units import spell_size
from alertd.core.engine import EVIDENCE_BYTES, worst_case_bytes
from alertd.core.forgery import forgeable
from alertd.core.patterns import compiled
from alertd.core.rules import Conjunction, Pattern

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator, Sequence

    from alertd.core.rules import Rule, Selector, Source

FEWEST_KEYS = 1_000
"""What every rule may have that leaves ``max_keys`` out, if all fit into memory so."""

_PLAIN_TIMESTAMPS = frozenset({"auto", "none"})
_SYSLOG_FIELDS = frozenset(
    {"line", "time", "host", "program", "pid", "message", "facility", "severity", "msgid"}
)
_USUAL_PORTS = {465: "tls", 587: "starttls"}


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` is this machine, so that nothing leaves it in clear."""
    if host.lower().rstrip(".") in {"localhost", "localhost.localdomain"}:
        return True
    import ipaddress  # noqa: PLC0415 - hardly ever needed

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_source(source: Source, given: frozenset[str]) -> Iterator[Finding]:
    """
    Find settings of a source that contradict each other.

    Args:
        source: The source.
        given: The keys that its table holds.
    """
    place = ("source", source.name)
    if source.format != "csv":
        for key in ("delimiter", "columns", "multiline"):
            if key in given:
                yield Finding(
                    (*place, key),
                    f'is only for format = "csv", and this is {show(source.format)}; '
                    f"remove {key}, or correct format",
                )
    if source.timestamp == "none":
        if source.timestamp_format is not None:
            yield Finding(
                (*place, "timestamp_format"),
                f'{show(source.timestamp_format)} is never used with timestamp = "none"; '
                "remove one of them",
            )
        return
    fields = _fields(source)
    if source.timestamp in _PLAIN_TIMESTAMPS or fields is None:
        return
    if source.format == "plain":
        yield Finding(
            (*place, "timestamp"),
            f"{show(source.timestamp)} is a field, and plain lines have none; "
            'write "auto" to have it found in the line, or "none" for the time of reading',
        )
    elif source.timestamp not in fields - {"line"}:
        yield Finding((*place, "timestamp"), _no_field(source.timestamp, fields - {"line"}))


def check_rule(rule: Rule, sources: Sequence[Source]) -> Iterator[Finding]:
    """
    Find fields that no line can have, and patterns that no line can match.

    Args:
        rule: The rule.
        sources: Its sources, one at least.
    """
    place = ("rule", rule.name)
    if not any(source.multiline for source in sources):
        yield from _broken_lines(rule)
    known = {"line"}
    for source in sources:
        fields = _fields(source)
        if fields is None:
            return
        known |= fields
    if rule.steps:
        yield from _check_steps(rule, known)
        return
    with_groups = _with_groups(rule.match, known)
    # A ratio's lines have the groups of those of which a share is asked.
    grouped = _with_groups(rule.seen, known)
    adding = "of" if rule.kind == "ratio" else "match"
    for key, used, available in (
        # Whoever left match out is told what is wrong with the field that is judged.
        ("match", () if rule.match == having(rule.value) else _demanded(rule.match), known),
        ("of", _demanded(rule.of), known),
        ("unless", _demanded(rule.unless), with_groups),
        ("group_by", rule.group_by, grouped),
        (
            "distinct" if rule.kind == "distinct" else "value",
            rule.keyed_by[len(rule.group_by) :],
            with_groups,
        ),
    ):
        regexes = "" if key in {"match", "of"} else "match" if key == "unless" else adding
        yield from _unknown_fields((*place, key), used, available, regexes)


def _check_steps(rule: Rule, known: set[str]) -> Iterator[Finding]:
    """Find fields that no line of a step can have."""
    place = ("rule", rule.name)
    groups = _with_groups(rule.match, known)
    yield from _unknown_fields((*place, "unless"), _demanded(rule.unless), groups, "match")
    for number, step in enumerate(rule.steps, start=1):
        there = (*place, "step", str(number))
        groups = _with_groups(step.match, known)
        yield from _unknown_fields((*there, "match"), _demanded(step.match), known)
        yield from _unknown_fields((*there, "unless"), _demanded(step.unless), groups, "match")
        # Its lines belong to the same key as those of the others.
        yield from _unknown_fields((*there, "group_by"), rule.group_by, groups, "its match")


def _unknown_fields(
    place: tuple[str, ...], used: Iterable[str], available: set[str], regexes: str = ""
) -> Iterator[Finding]:
    """
    Find fields that no line can have.

    Args:
        place: Where they are asked for.
        used: Their names.
        available: The names of the fields that a line can have.
        regexes: Where a regex would add one.
    """
    for field in dict.fromkeys(used):
        if field not in available:
            adding = f" (a regex in {regexes} adds fields by (?P<name>…))" if regexes else ""
            yield Finding(place, _no_field(field, available) + adding)


def _with_groups(selector: Selector, known: set[str]) -> set[str]:
    """Add the fields that named groups make."""
    return known.union(*(compiled(each).groupindex for each in _regexes(selector)))


def fitted(rules: Sequence[Rule], left_out: Container[str], memory_max: int) -> list[Rule]:
    """
    Give rules that leave ``max_keys`` out fewer, where all together would hold too much.

    A thousand rules on a small machine are a fair wish, and few of them ever see ten thousand keys.

    Args:
        rules: All rules.
        left_out: The names of those that leave it out.
        memory_max: Bytes that they may hold together.

    Returns:
        The rules, with at least 1,000 keys each, whether or not that is few enough.
    """
    fitting = list(rules)
    keys = max(
        (rule.max_keys for rule in rules if rule.name in left_out and not rule.expect), default=0
    )
    while keys > FEWEST_KEYS and _all_bytes(fitting) > memory_max:
        keys = max(FEWEST_KEYS, keys * 19 // 20)
        fitting = [
            replace(rule, max_keys=keys) if rule.name in left_out and not rule.expect else rule
            for rule in rules
        ]
    return fitting


def _all_bytes(rules: Sequence[Rule]) -> int:
    return sum(worst_case_bytes(rule) for rule in rules) + EVIDENCE_BYTES


def check_memory(rules: Sequence[Rule], memory_max: int, share: str) -> Iterator[Finding]:
    """
    Hold the worst case against the limit.

    Args:
        rules: All rules.
        memory_max: Bytes that they may hold together.
        share: What to say about where the limit comes from.
    """
    costs = {rule.name: worst_case_bytes(rule) for rule in rules}
    total = _all_bytes(rules)
    if costs and total > memory_max:
        name = max(costs, key=costs.__getitem__)
        lines = spell_size(EVIDENCE_BYTES)
        yield Finding(
            ("memory_max",),
            f"the rules may come to hold {spell_size(total)}, {spell_size(costs[name])} of it rule "
            f"{show(name)} and {lines} lines for mails, but {spell_size(memory_max)} are allowed"
            f"{share}; raise memory_max, or lower that rule's max_keys or more_than",
        )


def lint_rule(rule: Rule) -> Iterator[Finding]:
    """Find what is allowed but lets the writer of a log line fool the rule."""
    adding = {"of"} if rule.of else {"match"}
    keyed = [
        (place, regex)
        for place, selector in _selectors(rule)
        if place[-1] in adding
        for regex in _regexes(selector)
    ]
    for place, regex in keyed:
        for field in forgeable(regex, rule.group_by):
            yield Finding(
                place,
                f"whoever can write text into the line can forge {field}, because "
                f"{show_regex(regex)} may match anywhere in it; describe the line up to its "
                "end and close the regex with $",
            )
    for place, selector in _selectors(rule):
        if place[-1] == "unless":
            continue
        for regex in filter(_matches_every_line, _patterns(selector)):
            yield Finding(
                place,
                f"{show_regex(regex)} matches every line; write '.*' if that is meant",
            )


def lint_port(port: int, security: str) -> Iterator[Finding]:
    """Find ports on which servers usually speak otherwise."""
    usual = _USUAL_PORTS.get(port)
    if usual and usual != security:
        yield Finding(
            ("email", "port"),
            f'{port} is usually for security = "{usual}", and this is "{security}"; '
            "if mail does not leave, correct one of them",
        )


def _broken_lines(rule: Rule) -> Iterator[Finding]:
    for place, selector in _selectors(rule):
        for regex in _patterns(selector):
            if "\n" in regex and not compiled(regex).flags & re.VERBOSE:
                yield Finding(
                    place,
                    f"{show_regex(regex)} holds a line break, and no line does; write it on one "
                    "line, or begin it with (?x)",
                )


def _selectors(rule: Rule) -> Iterator[tuple[tuple[str, ...], Selector]]:
    """Give all selectors of a rule, each with its place."""
    place = ("rule", rule.name)
    for number, step in enumerate(rule.steps, start=1):
        yield (*place, "step", str(number), "match"), step.match
        yield (*place, "step", str(number), "unless"), step.unless
    if not rule.steps:
        yield (*place, "match"), rule.match
    yield (*place, "of"), rule.of
    yield (*place, "unless"), rule.unless


def _matches_every_line(regex: str) -> bool:
    found = compiled(regex).search("\N{SNOWMAN}")
    return found is not None and found.end() == 0


def _fields(source: Source) -> frozenset[str] | None:
    """Name the fields that a source's lines can have, or None if only they can tell."""
    if source.format == "plain":
        return frozenset({"line"})
    if source.format == "syslog":
        return _SYSLOG_FIELDS
    if source.format == "csv" and source.columns:
        return frozenset({"line", *source.columns})
    return None


def _patterns(selector: Selector) -> list[str]:
    """List the regexes that are searched in the whole line."""
    return [alternative.regex for alternative in selector if isinstance(alternative, Pattern)]


def _regexes(selector: Selector) -> list[str]:
    """List the regexes whose named groups become fields."""
    on_fields = [
        str(condition.operand)
        for alternative in selector
        if isinstance(alternative, Conjunction)
        for condition in alternative.conditions
        if condition.operator == "regex"
    ]
    return _patterns(selector) + on_fields


def _demanded(selector: Selector) -> Iterator[str]:
    """Name the fields that conditions are about."""
    for alternative in selector:
        if isinstance(alternative, Conjunction):
            yield from (condition.field for condition in alternative.conditions)


def _no_field(field: str, known: Collection[str]) -> str:
    listed = ", ".join(show(each)[1:-1] for each in sorted(known))
    close = suggestion(field, sorted(known))
    return f"no line can have a field {show(field)}" + (close or f"; there are only {listed}")
