"""
What only shows when the tables are seen together.

Errors are what cannot work as it was meant; warnings are what works, but perhaps otherwise than
meant.  Both are findings; who calls decides which they are.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from alertd.config.errors import Finding, show, suggestion
from alertd.config.units import spell_size
from alertd.core.rules import Conjunction, Pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from alertd.core.rules import Rule, Selector, Source

_PLAIN_TIMESTAMPS = frozenset({"auto", "none"})
_USUAL_PORTS = {465: "tls", 587: "starttls"}
# What may stand between the last thing that is matched and the end of a pattern.
_END_ANCHOR = re.compile(r"(?:(?<!\\)(?:\\\\)*\$|\\Z)[)\s]*\Z")
_START_ANCHOR = re.compile(r"[(?:\s]*(?:\^|\\A)")
_WILDCARD = re.compile(r"(?<!\\)\.[*+]|\\[SDW][*+]|\[\^[^]]*\][*+]")


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` is this machine, so that nothing leaves it in clear."""
    if host.lower().rstrip(".") in {"localhost", "localhost.localdomain"}:
        return True
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


def check_rule(rule: Rule, sources: Mapping[str, Source]) -> Iterator[Finding]:
    """Find fields that no line can have, and patterns that no line can match."""
    place = ("rule", rule.name)
    its_sources = [sources[name] for name in rule.sources if name in sources]
    if not its_sources:
        return
    known: set[str] = {"line"}
    for source in its_sources:
        fields = _fields(source)
        if fields is None:
            return
        known |= fields
    for field in dict.fromkeys(_demanded(rule.match)):
        if field not in known:
            yield Finding((*place, "match"), _no_field(field, known))
    groups = {
        group
        for alternative in rule.match
        if isinstance(alternative, Pattern)
        for group in re.compile(alternative.regex).groupindex
    }
    for field in dict.fromkeys(_demanded(rule.unless)):
        if field not in known | groups:
            yield Finding((*place, "unless"), _no_field(field, known | groups))
    for field in rule.group_by:
        if field not in known | groups:
            yield Finding((*place, "group_by"), _no_field(field, known | groups))


def check_memory(rules: Sequence[Rule], memory_max: int, share: str) -> Iterator[Finding]:
    """
    Hold the worst case against the limit.

    Args:
        rules: All rules.
        memory_max: Bytes that they may hold together.
        share: What to say about where the limit comes from.
    """
    from alertd.core.engine import worst_case_bytes  # noqa: PLC0415 - of no use to the schema

    costs = {rule.name: worst_case_bytes(rule) for rule in rules}
    total = sum(costs.values())
    if total > memory_max:
        name = max(costs, key=costs.__getitem__)
        yield Finding(
            ("memory_max",),
            f"the rules may come to hold {spell_size(total)}, {spell_size(costs[name])} of it rule "
            f"{show(name)}, and {spell_size(memory_max)} are allowed{share}; lower its max_keys or "
            "more_than, or raise memory_max",
        )


def lint_rule(rule: Rule) -> Iterator[Finding]:
    """Find what is allowed but lets the writer of a log line fool the rule."""
    place = ("rule", rule.name, "match")
    for alternative in rule.match:
        if not isinstance(alternative, Pattern):
            continue
        regex = alternative.regex
        for field in rule.group_by:
            group = regex.find(f"(?P<{field}>")
            if group >= 0 and not _END_ANCHOR.search(regex) and _is_movable(regex[:group]):
                yield Finding(
                    place,
                    f"whoever can write text into the line can forge {field}, because "
                    f"{show(regex)} may match anywhere in it; describe the line up to its end "
                    "and close the regex with $",
                )
        if _matches_every_line(regex):
            yield Finding(place, f"{show(regex)} matches every line; write '.*' if that is meant")


def lint_port(port: int, security: str) -> Iterator[Finding]:
    """Find ports on which servers usually speak otherwise."""
    usual = _USUAL_PORTS.get(port)
    if usual and usual != security:
        yield Finding(
            ("email", "port"),
            f'{port} is usually for security = "{usual}", and this is "{security}"; '
            "if mail does not leave, correct one of them",
        )


def _is_movable(before: str) -> bool:
    return not _START_ANCHOR.match(before) or bool(_WILDCARD.search(before))


def _matches_every_line(regex: str) -> bool:
    found = re.search(regex, "\N{SNOWMAN}")
    return found is not None and found.end() == 0


def _fields(source: Source) -> frozenset[str] | None:
    """Name the fields that a source's lines can have, or None if only they can tell."""
    if source.format == "plain":
        return frozenset({"line"})
    if source.format == "csv" and source.columns:
        return frozenset({"line", *source.columns})
    return None


def _demanded(selector: Selector) -> Iterator[str]:
    for alternative in selector:
        if isinstance(alternative, Conjunction):
            yield from (condition.field for condition in alternative.conditions)


def _no_field(field: str, known: frozenset[str] | set[str]) -> str:
    listed = ", ".join(sorted(known))
    close = suggestion(field, sorted(known))
    return f"no line can have a field {show(field)}" + (
        close or f"; the fields are {listed}, and a regex adds one with (?P<name>…)"
    )
