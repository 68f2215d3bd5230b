"""
``[[rule.NAME.test]]``: what is expected of a rule, read and held against what it can do.

Whether the rule does it is not known here: see ``alertd.core.rule_tests``.
"""

# All that is wrong with a value is a ValueError, which is what `tables` collects.
# ruff: noqa: TRY004

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from alertd.config.errors import Finding, show
from alertd.config.tables import missing
from alertd.core.rules import RuleTest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alertd.config.schema import RuleTestTable
    from alertd.core.rules import Rule, Source

KeyPairs: TypeAlias = tuple[tuple[str, str], ...]

_LINE = "Mar  1 12:00:01 db-1 app: ERROR"


def lines(value: object) -> tuple[str, ...]:
    """Read the lines of a log; one alone may stand without brackets."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise ValueError(
            f"expected a list of log lines, got {show(value)}; write [{show(_LINE)}, …]"
        )
    if not items:
        raise ValueError(f"[] is empty; write at least one line, like [{show(_LINE)}]")
    for item in items:
        if not isinstance(item, str):
            raise ValueError(f"expected a log line, got {show(item)}; write it in quotes")
    return tuple(items)


def counts(value: object) -> tuple[int, ...]:
    """Read the counts of alerts."""
    if not isinstance(value, list):
        raise ValueError(f"expected a list of numbers, got {show(value)}; write it like [6, 6]")
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int):
            raise ValueError(f"expected a whole number, got {show(item)}; write it like [6, 6]")
    return tuple(value)


def keys(value: object) -> tuple[KeyPairs, ...]:
    """Read what alerts are about: a table for each."""
    example = '[{ ip = "203.0.113.9" }]'
    if not isinstance(value, list):
        raise ValueError(f"expected a list of tables, got {show(value)}; write it like {example}")
    for item in value:
        if not isinstance(item, dict):
            raise ValueError(f"expected a table, got {show(item)}; write it like {example}")
        for field, text in item.items():
            if not isinstance(text, str):
                raise ValueError(
                    f"expected text for {show(field)}, got {show(text)}; write it in quotes"
                )
    return tuple(tuple(item.items()) for item in value)


def rule_test(
    rule: Rule, number: int, table: RuleTestTable, sources: Sequence[Source]
) -> RuleTest | list[Finding]:
    """
    Make a test, or find what is wrong with it.

    Args:
        rule: Whose test it is.
        number: Its position, from 1.
        table: What stands there.
        sources: Those of the rule, one at least.
    """
    place = ("rule", rule.name, "test", str(number))
    names = [source.name for source in sources]
    if table.source is None and len(sources) > 1:
        text = f"{missing('source', names[0])}, or another one of {', '.join(names)}"
        return [Finding((*place, "source"), text)]
    source = next((each for each in sources if each.name == table.source), None)
    if table.source is not None and source is None:
        text = f"{show(table.source)} is no source of this rule; write one of {', '.join(names)}"
        return [Finding((*place, "source"), text)]
    source = source or sources[0]
    test = RuleTest(
        rule=rule.name,
        number=number,
        source=source.name,
        lines=table.lines,
        alerts=table.alerts,
        keys=table.keys or (),
        counts=table.counts or (),
        header=table.header or "",
        every=table.every,
    )
    found = [
        *_wrong_header(source, table.header),
        *_impossible_lines(source, test),
        *_wrong_expectations(rule, table),
    ]
    return [Finding((*place, *each.place), each.text) for each in found] or test


def _wrong_header(source: Source, header: str | None) -> Iterator[Finding]:
    has_one = source.format == "csv" and not source.columns
    if header is None and has_one:
        yield Finding(("header",), missing("header", "date,severity,message"))
    if header is not None and not has_one:
        yield Finding(
            ("header",),
            f"means nothing for source {show(source.name)}, whose files have none; remove it",
        )


def _impossible_lines(source: Source, test: RuleTest) -> Iterator[Finding]:
    for key, texts in (("header", [test.header]), ("lines", test.lines)):
        for number, text in enumerate(texts, start=1):
            where = (key,) if key == "header" else (key, f"item {number}")
            if "\n" in text and not source.multiline:
                yield Finding(
                    where, f"{show(text)} holds a line break; write each line as a text of its own"
                )
            try:
                text.encode(source.encoding)
            except UnicodeEncodeError:
                yield Finding(
                    where,
                    f"{show(text)} cannot be written in {source.encoding}; correct it, or the "
                    f"encoding of source {show(source.name)}",
                )


def _wrong_expectations(rule: Rule, table: RuleTestTable) -> Iterator[Finding]:
    expected: dict[str, Sequence[object] | None] = {"keys": table.keys, "counts": table.counts}
    for key, listed in expected.items():
        if listed is not None and len(listed) != table.alerts:
            yield Finding(
                (key,),
                f"has {len(listed)} for alerts = {table.alerts}; write one for each alert",
            )
    if table.keys is None:
        return
    if not rule.group_by:
        yield Finding(("keys",), "means nothing for a rule without group_by; remove it")
        return
    for number, pairs in enumerate(table.keys, start=1):
        if sorted(rule.group_by) != sorted(field for field, _ in pairs):
            yield Finding(
                ("keys", f"item {number}"),
                f"must name what the rule groups by; write {' and '.join(rule.group_by)}",
            )
