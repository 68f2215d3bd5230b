"""
The tables of a configuration file, key by key.

Every field's first example is shown as the remedy where the key is missing, and stands in for it
while the rest of a broken file is looked at.
"""

# No `from __future__ import annotations`: pydantic reads these annotations at run time.
from datetime import tzinfo
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, SkipValidation

from alertd.config import units, values
from alertd.config.conditions import selector
from alertd.config.settings import Level, LogFormat, Security
from alertd.core.rules import Format, Selector, Severity

Text = Annotated[str, BeforeValidator(values.text)]
Duration = Annotated[float, BeforeValidator(units.duration)]
Size = Annotated[int, BeforeValidator(units.size)]
Flag = Annotated[bool, BeforeValidator(values.flag)]
Path = Annotated[str, BeforeValidator(values.absolute)]
Globs = Annotated[tuple[str, ...], BeforeValidator(values.many(values.glob, "/var/log/app/*.log"))]
Names = Annotated[tuple[str, ...], BeforeValidator(values.many(values.text, "name"))]
Addresses = Annotated[
    tuple[str, ...], BeforeValidator(values.many(values.address, "ops@example.com"))
]
# Its parts are values of the core, which pydantic has no business with.
SelectorValue = Annotated[SkipValidation[Selector], PlainValidator(selector)]

MOST_EVENTS = 100_000


class Table(BaseModel):
    """A table in which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class EmailTable(Table):
    """``[email]``: how mail leaves."""

    host: Annotated[str, BeforeValidator(values.host)] = Field(examples=["smtp.example.com"])
    port: Annotated[int, BeforeValidator(values.whole(1, 65535, example=587))] | None = None
    security: Annotated[Security, BeforeValidator(values.choice("starttls", "tls", "none"))] = (
        "starttls"
    )
    username: Text | None = None
    password: Annotated[str, BeforeValidator(values.secret)] | None = Field(None, repr=False)
    password_file: Annotated[str, BeforeValidator(values.password_file)] | None = None
    sender: Annotated[str, BeforeValidator(values.sender)] | None = None
    recipients: Addresses = ()
    join_older_than: Duration = 600.0
    max_per_hour: Annotated[
        int, BeforeValidator(values.whole(0, 1_000_000, example=60, remedy="write 0 for no limit"))
    ] = 60
    timeout: Annotated[float, BeforeValidator(units.positive_duration)] = 60.0


class StateTable(Table):
    """``[state]``: what must survive a crash."""

    directory: Path | None = None


class LogTable(Table):
    """``[log]``: what alertd says about itself."""

    level: Annotated[Level, BeforeValidator(values.choice("debug", "info", "warning", "error"))] = (
        "info"
    )
    format: Annotated[
        LogFormat, BeforeValidator(values.choice("auto", "console", "keyvalue", "json"))
    ] = "auto"


class SourceTable(Table):
    """``[source.NAME]``: files that share a format."""

    paths: Globs = Field(examples=[["/var/log/app/*.log"]])
    exclude: Globs = ()
    format: Annotated[
        Format, BeforeValidator(values.choice("plain", "csv", "json", "logfmt", "syslog"))
    ] = "plain"
    delimiter: Annotated[str, BeforeValidator(values.delimiter)] = ","
    columns: Annotated[tuple[str, ...], BeforeValidator(values.columns)] = ()
    multiline: Flag = False
    timestamp: Text = "auto"
    timestamp_format: Annotated[str, BeforeValidator(values.timestamp_format)] | None = None
    timezone: Annotated[tzinfo, PlainValidator(values.timezone)] | None = None
    start_at: Annotated[
        Literal["end", "beginning"], BeforeValidator(values.choice("end", "beginning"))
    ] = "end"
    max_line: Annotated[int, BeforeValidator(values.line_size)] = 65536
    encoding: Annotated[str, BeforeValidator(values.encoding)] = "utf-8"
    max_skew: Duration = 60.0
    lateness: Duration = 0.0


class RuleTable(Table):
    """``[rule.NAME]``: what to look for, and how much is too much."""

    source: Names | None = None
    match: SelectorValue = Field(examples=["ERROR"])
    unless: SelectorValue = ()
    group_by: Names = ()
    kind: Annotated[Literal["threshold"], BeforeValidator(values.choice("threshold"))] = "threshold"
    more_than: Annotated[
        int,
        BeforeValidator(
            values.whole(
                0,
                MOST_EVENTS,
                example=10,
                remedy="every key keeps the times of that many events, so that the count is exact; "
                "choose a smaller number and a shorter `within`",
            )
        ),
    ] = Field(examples=[10])
    within: Annotated[float, BeforeValidator(units.positive_duration)] = Field(examples=["10m"])
    cooldown: Duration | None = None
    max_keys: Annotated[int, BeforeValidator(values.whole(1, 10_000_000, example=10_000))] = 10_000
    recipients: Addresses | None = None
    severity: Annotated[Severity, BeforeValidator(values.choice("info", "warning", "critical"))] = (
        "critical"
    )
    description: Annotated[str, BeforeValidator(values.any_text)] = ""


class Document(Table):
    """A whole file, with what the environment overrides."""

    memory_max: Annotated[int | float, BeforeValidator(values.memory_max)] = 0.5
    email: EmailTable = Field(examples=[{"host": "smtp.example.com"}])
    state: StateTable = StateTable()
    log: LogTable = LogTable()
    source: dict[str, SourceTable] = {}
    rule: dict[str, RuleTable] = {}


SECTIONS: dict[str, type[Table]] = {"email": EmailTable, "state": StateTable, "log": LogTable}
"""
What the environment may override.

Rules and sources are left out: a service whose rules depend on who started it cannot be checked
beforehand.
"""
