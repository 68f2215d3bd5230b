"""The tables of a configuration file, key by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.config import rule_tests, units, values
from alertd.config.conditions import selector
from alertd.config.kinds import KEYS_OF, METRICS, MOST_EVENTS
from alertd.config.tables import Table, listed, named, optional, required, section

if TYPE_CHECKING:
    from datetime import time, tzinfo
    from typing import Literal

    from alertd.config.settings import Level, LogFormat, Security
    from alertd.core.rules import Format, Kind, Metric, Selector, Severity

_globs = values.many(values.glob, "/var/log/app/*.log")
_names = values.many(values.text, "name")
_addresses = values.many(values.address, "ops@example.com")


class EmailTable(Table):
    """``[email]``: how mail leaves."""

    host: str = required(values.host, "smtp.example.com")
    port: int | None = optional(values.whole(1, 65535, example=587), None)
    security: Security = optional(values.choice("starttls", "tls", "none"), "starttls")
    username: str | None = optional(values.text, None)
    password: str | None = optional(values.secret, None)
    password_file: str | None = optional(values.password_file, None)
    sender: str | None = optional(values.sender, None)
    recipients: tuple[str, ...] = optional(_addresses, ())
    join_older_than: float = optional(units.duration, 600.0)
    max_per_hour: int = optional(
        values.whole(0, 1_000_000, example=60, remedy="write 0 for no limit"), 60
    )
    timeout: float = optional(units.positive_duration, 60.0)


class StateTable(Table):
    """``[state]``: what must survive a crash."""

    directory: str | None = optional(values.absolute, None)


class LogTable(Table):
    """``[log]``: what alertd says about itself."""

    level: Level = optional(values.choice("debug", "info", "warning", "error"), "info")
    format: LogFormat = optional(values.choice("auto", "console", "keyvalue", "json"), "auto")


class SourceTable(Table):
    """``[source.NAME]``: files that share a format."""

    paths: tuple[str, ...] = required(_globs, ["/var/log/app/*.log"])
    exclude: tuple[str, ...] = optional(_globs, ())
    format: Format = optional(values.choice("plain", "csv", "json", "logfmt", "syslog"), "plain")
    delimiter: str = optional(values.delimiter, ",")
    columns: tuple[str, ...] = optional(values.columns, ())
    multiline: bool = optional(values.flag, default=False)
    timestamp: str = optional(values.text, "auto")
    timestamp_format: str | None = optional(values.timestamp_format, None)
    timezone: tzinfo | None = optional(values.timezone, None)
    start_at: Literal["end", "beginning"] = optional(values.choice("end", "beginning"), "end")
    max_line: int = optional(values.line_size, 65536)
    max_gz_bytes: int = optional(units.size, 16 << 30)
    encoding: str = optional(values.encoding, "utf-8")
    max_skew: float = optional(units.duration, 60.0)
    lateness: float = optional(units.duration, 0.0)


class RuleTestTable(Table):
    """``[[rule.NAME.test]]``: lines, and the alerts that they should raise."""

    lines: tuple[str, ...] = required(rule_tests.lines, "Mar  1 12:00:01 db-1 app: ERROR")
    alerts: int = required(values.whole(0, MOST_EVENTS, example=1), 1)
    keys: tuple[rule_tests.KeyPairs, ...] | None = optional(rule_tests.keys, None)
    counts: tuple[int, ...] | None = optional(rule_tests.counts, None)
    source: str | None = optional(values.text, None)
    header: str | None = optional(values.text, None)
    every: float = optional(units.duration, 1.0)


class StepTable(Table):
    """``[[rule.NAME.step]]``: one thing after another."""

    match: Selector = required(selector, "ERROR")
    unless: Selector = optional(selector, ())
    count: int | None = optional(values.whole(1, MOST_EVENTS, example=5), None)
    absent: bool = optional(values.flag, default=False)


class RuleTable(Table):
    """``[rule.NAME]``: what to look for, and how much is too much."""

    source: tuple[str, ...] | None = optional(_names, None)
    match: Selector | None = optional(selector, None)
    unless: Selector = optional(selector, ())
    group_by: tuple[str, ...] = optional(_names, ())
    kind: Kind = optional(values.choice(*KEYS_OF), "threshold")
    more_than: object = optional(values.given, None)
    less_than: object = optional(values.given, None)
    within: float | None = optional(units.positive_duration, None)
    distinct: str | None = optional(values.text, None)
    value: str | None = optional(values.text, None)
    of: object = optional(values.given, None)
    metric: Metric | None = optional(values.choice(*METRICS), None)
    min_total: int | None = optional(values.whole(1, 1_000_000_000, example=20), None)
    step: tuple[StepTable, ...] = listed(StepTable)
    fewer_than: int | None = optional(values.whole(1, MOST_EVENTS, example=1), None)
    by: time | None = optional(values.time_of_day, None)
    timezone: tzinfo | None = optional(values.timezone, None)
    expect: tuple[tuple[str, ...], ...] | None = optional(values.keys, None)
    times: tuple[int, int] | None = optional(values.multiple, None)
    min_count: int | None = optional(values.whole(1, 1_000_000_000, example=50), None)
    baseline: int | None = optional(units.days, None)
    learn: float | None = optional(units.duration, None)
    max_values: int | None = optional(values.whole(1, 10_000_000, example=1_000), None)
    cooldown: float | None = optional(units.duration, None)
    max_keys: int = optional(values.whole(1, 10_000_000, example=10_000), 10_000)
    recipients: tuple[str, ...] | None = optional(_addresses, None)
    severity: Severity = optional(values.choice("info", "warning", "critical"), "critical")
    description: str = optional(values.any_text, "")
    resolve: bool | None = optional(values.flag, None)
    test: tuple[RuleTestTable, ...] = listed(RuleTestTable)


class Document(Table):
    """A whole file, with what the environment overrides."""

    memory_max: int | float = optional(values.memory_max, 0.5)
    email: EmailTable = section(EmailTable, {"host": "smtp.example.com"})
    state: StateTable = section(StateTable)
    log: LogTable = section(LogTable)
    source: dict[str, SourceTable] = named(SourceTable)
    rule: dict[str, RuleTable] = named(RuleTable)


SECTIONS: dict[str, type[Table]] = {"email": EmailTable, "state": StateTable, "log": LogTable}
"""
What the environment may override.

Rules and sources are left out: a service whose rules depend on who started it cannot be checked
beforehand.
"""
