"""
From a file and the environment to a ``Config``, or to everything that is wrong with them.

The trap is to stop too early: a person who has mended one mistake and is shown the next feels
teased.  So values that were refused are replaced by harmless ones, and what only shows when the
tables are seen together is looked at all the same.
"""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from alertd.config import checks, machine, values
from alertd.config.environment import PATH_VARIABLE, PREFIX, overrides, variable
from alertd.config.errors import ConfigError, Report, show, suggestion
from alertd.config.kinds import check_kind, rule_of
from alertd.config.password import find_password
from alertd.config.reading import read
from alertd.config.rule_tests import rule_test
from alertd.config.schema import Document, EmailTable
from alertd.config.settings import Config, Email, Log, State
from alertd.config.tables import Reading
from alertd.config.units import spell_size
from alertd.config.watching import check_watching, watched_by, with_watched
from alertd.core.phrases import listed
from alertd.core.rules import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import tzinfo

    from alertd.config.errors import Finding
    from alertd.config.reading import File
    from alertd.config.schema import RuleTable, SourceTable
    from alertd.core.rules import Rule, RuleTest

DEFAULT_PATH = Path("/etc/alertd/alertd.toml")
_DEFAULT_STATE = "/var/lib/alertd"
_DEFAULT_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def default_path(environ: Mapping[str, str]) -> Path:
    """Tell where the configuration is when nobody says so: $ALERTD_CONFIG, or in /etc."""
    return Path(environ.get(PATH_VARIABLE) or DEFAULT_PATH)


def load(path: Path, environ: Mapping[str, str], *, with_password: bool = True) -> Config:
    """
    Read and validate a configuration.

    Args:
        path: A TOML file.
        environ: The environment: overrides ``ALERTD_EMAIL__…`` and the like, ``TZ``, and what
            systemd says about directories.
        with_password: Also read the password and hold its files' modes against it.  Who sends no
            mail needs none, and may not be allowed to read it.

    Raises:
        ConfigError: With all that is wrong.
    """
    return _Loading(read(path), environ, with_password=with_password).config()


def state_directory(path: Path, environ: Mapping[str, str]) -> Path:
    """
    Tell where the state is, as far as a configuration says so, whatever else is wrong with it.

    Who asks a running daemon needs no more than that, least of all while its file is being edited.

    Raises:
        ConfigError: It is no TOML, or not there.
    """
    overridden, _ = overrides(environ)
    given = {**_table(read(path).tables, "state"), **overridden.get("state", {})}
    return _state_directory(given.get("directory"), environ)


def _table(tables: Mapping[str, object], name: str) -> Mapping[str, object]:
    table = tables.get(name)
    return table if isinstance(table, dict) else {}


def _state_directory(configured: object, environ: Mapping[str, str]) -> Path:
    # systemd separates several directories by colons; ours is the first.
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(str(configured or given or _DEFAULT_STATE))


class _Loading:
    """One configuration on its way."""

    def __init__(self, file: File, environ: Mapping[str, str], *, with_password: bool) -> None:
        self._file = file
        self._environ = environ
        self._with_password = with_password
        self._overrides, unknown = overrides(environ)
        self._report = Report(errors=unknown)
        email = file.tables.get("email")
        self._has_password = isinstance(email, dict) and "password" in email
        # Places whose value was refused: what depends on them is not judged.
        self._refused: set[tuple[str, ...]] = set()
        self._tests: list[RuleTest] = []

    def config(self) -> Config:
        """Go through all of it."""
        document = self._document()
        sources = self._sources(document.source)
        rules = self._rules(document, sources)
        memory_max = self._memory_max(document, rules)
        config = Config(
            path=self._file.path,
            sources=tuple(sources.values()),
            rules=tuple(rules),
            email=self._email(document.email),
            state=State(_state_directory(document.state.directory, self._environ)),
            log=Log(document.log.level, document.log.format),
            memory_max=memory_max,
            warnings=self._lines(self._report.warnings),
            tests=tuple(self._tests),
        )
        if self._report.errors:
            raise ConfigError(self._lines(self._report.errors))
        return config

    def _document(self) -> Document:
        """Read every table by itself, and put something harmless for what is refused."""
        tables = self._file.tables
        for section, given in self._overrides.items():
            below = tables.get(section, {})
            if isinstance(below, dict):
                tables[section] = {**below, **given}
        reading = Reading()
        document = reading.table(Document, tables, ())
        self._report.errors += reading.findings
        self._refused = reading.refused
        return document

    def _sources(self, tables: Mapping[str, SourceTable]) -> dict[str, Source]:
        """Make the sources, by name."""
        if not tables and not self._is_refused("source"):
            self._report.refuse(
                ("source",),
                'there is none; add a table [source.app] with paths = ["/var/log/app/*.log"]',
            )
        sources = {}
        for name, table in tables.items():
            self._check_name("source", name)
            source = Source(
                name=name,
                timezone=table.timezone or self._local_timezone(name),
                **table.values(without={"timezone"}),
            )
            sources[name] = source
            if not self._is_refused("source", name, "format", "columns", "timestamp"):
                self._report.errors += checks.check_source(source, table.given)
        return sources

    def _local_timezone(self, name: str) -> tzinfo:
        try:
            return machine.local_timezone(self._environ)
        except ValueError as error:
            self._report.refuse(("source", name, "timezone"), str(error))
            return UTC

    def _rules(self, document: Document, sources: Mapping[str, Source]) -> list[Rule]:
        """Make the rules, and hold them against the sources."""
        if not document.rule and not self._is_refused("rule"):
            self._report.refuse(
                ("rule",),
                "there is none; add a table [rule.errors] with match = 'ERROR', more_than = 10 "
                'and within = "10m"',
            )
        rules = [
            self._rule(name, table, document.email.recipients, sources)
            for name, table in document.rule.items()
        ]
        watched = watched_by(document.rule)
        self._report.errors += check_watching(document.rule, watched)
        return with_watched(rules, watched)

    def _rule(
        self,
        name: str,
        table: RuleTable,
        recipients: tuple[str, ...],
        sources: Mapping[str, Source],
    ) -> Rule:
        self._check_name("rule", name)
        for source in table.source or ():
            if source not in sources and not self._is_refused("source", source):
                listed = ", ".join(show(each)[1:-1] for each in sources) or "none"
                self._report.refuse(
                    ("rule", name, "source"),
                    f"there is no source {show(source)}"
                    + (suggestion(source, sources) or f"; choose one of: {listed}"),
                )
        if not self._is_refused("rule", name, "kind"):
            found = [one for one in check_kind(name, table) if not self._is_refused(*one.place)]
            self._report.errors += found
            self._refused.update(
                one.place for one in found if one.place[2] in {"match", "step", "of"}
            )
        rule = rule_of(
            name,
            table,
            table.source or tuple(sources),
            table.recipients or recipients,
            self._zone(name, table, sources),
        )
        if not (
            rule.recipients
            or self._is_refused("rule", name, "recipients")
            or self._is_refused("email", "recipients")
        ):
            self._report.refuse(
                ("rule", name, "recipients"),
                'nobody is told; write recipients = ["ops@example.com"] here or under [email]',
            )
        its_sources = [sources[each] for each in rule.sources if each in sources]
        is_doubtful = (
            table.kind == "alerts"
            or not its_sources
            or len(its_sources) < len(rule.sources)
            or self._is_refused("rule", name, "source", "match", "of", "step", "unless", "group_by")
            or any(
                self._is_refused("source", each.name, "format", "columns", "multiline")
                for each in its_sources
            )
        )
        if not is_doubtful:
            self._report.errors += checks.check_rule(rule, its_sources)
            self._read_tests(rule, table, its_sources)
        self._report.warnings += checks.lint_rule(rule)
        return rule

    def _zone(self, name: str, table: RuleTable, sources: Mapping[str, Source]) -> tzinfo:
        """Find out in which time zone a rule means times of day: in that of its sources."""
        if table.timezone is not None:
            return table.timezone
        zones = {
            str(sources[each].timezone): sources[each].timezone
            for each in table.source or sources
            if each in sources
        }
        is_doubtful = any(self._is_refused("source", each, "timezone") for each in sources)
        if table.by is not None and len(zones) > 1 and not is_doubtful:
            self._report.refuse(
                ("rule", name, "timezone"),
                f"is missing, and its sources' lines are of {listed(sorted(zones), 'and')}; "
                f"write timezone = {show(min(zones))} or another one",
            )
        return next(iter(zones.values()), UTC)

    def _read_tests(self, rule: Rule, table: RuleTable, sources: list[Source]) -> None:
        """Make the tests of a rule, but for those that were refused."""
        for number, its in enumerate(table.test, start=1):
            place = ("rule", rule.name, "test", str(number))
            if any(refused[: len(place)] == place for refused in self._refused):
                continue
            made = rule_test(rule, number, its, sources)
            if isinstance(made, list):
                self._report.errors += made
            else:
                self._tests.append(made)

    def _memory_max(self, document: Document, rules: list[Rule]) -> int:
        """Find out what the rules may hold; where nobody said, fit them into it."""
        given = document.memory_max
        memory_max, share = int(given), ""
        if isinstance(given, float):
            machine_memory = machine.memory()
            memory_max = int(given * machine_memory)
            share = f" ({given:.0%} of this machine's {spell_size(machine_memory)})"
        if "memory_max" not in document.given:
            left_out = {
                name for name, table in document.rule.items() if "max_keys" not in table.given
            }
            rules[:] = checks.fitted(rules, left_out, memory_max)
        self._report.errors += checks.check_memory(rules, memory_max, share)
        return memory_max

    def _email(self, table: EmailTable) -> Email:
        port = table.port or _DEFAULT_PORTS[table.security]
        if not self._is_refused("email", "port", "security"):
            self._report.warnings += checks.lint_port(port, table.security)
        return Email(
            host=table.host,
            port=port,
            security=table.security,
            sender=self._sender(table),
            recipients=table.recipients,
            username=table.username,
            password=self._password(table),
            join_older_than=table.join_older_than,
            max_per_hour=table.max_per_hour,
            timeout=table.timeout,
        )

    def _password(self, table: EmailTable) -> str | None:
        if not self._with_password or self._is_refused("email", *EmailTable.known):
            return None
        if self._file.is_public and self._has_password:
            self._report.refuse(
                ("email", "password"),
                "stands in a file that everybody on this machine can read; "
                f"chmod 600 {self._file.shown}, or use password_file",
            )
        overridden = self._overrides.get("email", {}).keys()
        return find_password(table, overridden, self._environ, self._report)

    def _sender(self, table: EmailTable) -> str:
        if table.sender is not None:
            return table.sender
        try:
            # With most providers the login is the address, and they accept no other sender.
            return values.address(table.username or "")
        except ValueError:
            if not self._is_refused("email", "sender", "username"):
                self._report.refuse(
                    ("email", "sender"),
                    'is missing; write sender = "alertd <alerts@example.com>"',
                )
            return ""

    def _check_name(self, section: str, name: str) -> None:
        why = values.name(name)
        if why:
            self._report.refuse((section, name), why)

    def _is_refused(self, *place: str) -> bool:
        """
        Tell whether something was refused on which a judgement would rest.

        Args:
            place: A section, for a rule or source its name, then the keys of which any counts.
        """
        depth = 2 if place[0] in {"rule", "source"} else 1
        above, keys = place[:depth], place[depth:]
        return any(
            refused == above[: len(refused)]
            or (refused[:depth] == above and refused[depth : depth + 1] in [(key,) for key in keys])
            for refused in self._refused
        )

    def _lines(self, found: Iterable[Finding]) -> tuple[str, ...]:
        lines = (f"{self._where(finding.place)}: {finding.text}" for finding in found)
        return tuple(dict.fromkeys(lines))

    def _where(self, place: tuple[str, ...]) -> str:
        """Write a place: ``alertd.toml: rule "ssh": match.user``."""
        match place:
            case ("rule", name, ("test" | "step") as part, number, *keys):
                table = f"rule {show(name)}: {part} {number}"
            case ("rule" | "source" as kind, name, *keys):
                table = f"{kind} {show(name)}"
            case (section, key, *keys) if key in self._overrides.get(section, {}):
                return f"environment: {variable(section, key)}"
            case ("email" | "state" | "log" as section, *keys):
                table = f"[{section}]"
            case (name, *keys) if name.startswith(PREFIX):
                return f"environment: {show(name)[1:-1]}"
            case (name, *keys):
                table = show(name)[1:-1]
            case _:
                return self._file.shown
        dotted = ".".join(show(key)[1:-1] for key in keys).replace(".item ", " item ")
        return f"{self._file.shown}: {table}" + (f": {dotted}" if dotted else "")
