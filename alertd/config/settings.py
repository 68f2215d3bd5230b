"""
The validated configuration, as plain frozen values.

What rules and sources are is the core's business; the rest is known to the shells only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    from alertd.core.rules import Rule, RuleTest, Source

Security: TypeAlias = Literal["starttls", "tls", "none"]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]
LogFormat: TypeAlias = Literal["auto", "console", "keyvalue", "json"]


@dataclass(frozen=True, slots=True)
class Email:
    """
    How mail leaves.

    Attributes:
        host: The mail server's name or address.
        port: Its TCP port.
        security: How the connection is encrypted.
        sender: An address, perhaps with a name: ``alertd <alerts@example.com>``.
        recipients: Addresses for rules that name none of their own; may be empty then.
        username: For the login; there is none without.
        password: For the login.  Never shown, logged or stored.
        join_older_than: Seconds; alerts older than this when raised share a mail.  0 turns it off.
        max_per_hour: Mails an hour, beyond which alerts share a digest.  0 turns it off.
        timeout: Seconds that the server may take for one answer.
    """

    host: str
    port: int
    security: Security
    sender: str
    recipients: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    join_older_than: float = 600.0
    max_per_hour: int = 60
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class State:
    """Where alertd keeps what must survive a crash: an absolute ``directory``."""

    directory: Path


@dataclass(frozen=True, slots=True)
class Log:
    """What alertd says about itself: from which ``level`` on, and in which ``format``."""

    level: Level = "info"
    format: LogFormat = "auto"


@dataclass(frozen=True, slots=True)
class Config:
    """
    Everything that a configuration file and the environment say.

    Attributes:
        path: The file it was read from.
        sources: In the file's order.
        rules: In the file's order.
        email: How mail leaves.
        state: Where state is kept.
        log: How alertd speaks about itself.
        memory_max: Bytes that all rules together may hold.
        warnings: What is allowed but probably not meant, written like an error.
        tests: What the rules should do, in the file's order.
    """

    path: Path
    sources: tuple[Source, ...]
    rules: tuple[Rule, ...]
    email: Email
    state: State
    log: Log
    memory_max: int
    warnings: tuple[str, ...] = ()
    tests: tuple[RuleTest, ...] = ()
