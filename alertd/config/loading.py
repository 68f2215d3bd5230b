"""
From a file and the environment to a ``Config``, or to everything that is wrong with them.

The trap is to stop too early: a person who has mended one mistake and is shown the next feels
teased.  So values that were refused are replaced by harmless ones, and what only shows when the
tables are seen together is looked at all the same.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from alertd.config import checks, machine, values
from alertd.config.environment import PATH_VARIABLE, PREFIX, overrides, variable
from alertd.config.errors import ConfigError, Finding, RefusedError, show, suggestion
from alertd.config.schema import (
    Document,
    EmailTable,
    LogTable,
    RuleTable,
    SourceTable,
    StateTable,
    Table,
)
from alertd.config.settings import Config, Email, Log, State
from alertd.config.units import spell_size
from alertd.core.rules import Rule, Source
from alertd.core.sentences import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from pydantic_core import ErrorDetails

_KEYED = frozenset({"rule", "source"})
DEFAULT_PATH = Path("/etc/alertd/alertd.toml")
CREDENTIAL = "smtp-password"
_DEFAULT_STATE = "/var/lib/alertd"
_DEFAULT_COOLDOWN = 900.0
_DEFAULT_PORTS = {"starttls": 587, "tls": 465, "none": 25}
# Nobody writes more by hand, and /dev/zero has no end.
_LONGEST_FILE = 16 * 2**20
_LONGEST_PASSWORD = 4096
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_MEANT = re.compile(r"unknown key .*; did you mean \"(\w+)\"\?$")
_TOML_REMEDIES = (
    ("Unescaped '\\'", "write regexes in single quotes: '\\d+'"),
    ("twice", "every table and key may stand there once: rename or join them"),
    ("overwrite", "every key may stand there once: remove one of them"),
    ("Duplicate", "every key may stand there once: remove one of them"),
    ("Invalid value", "text stands in quotes"),
    ("Unterminated", "close it on the same line"),
)


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
    text, mode = _read(path)
    return _Loading(path, mode, _parse(path, text), environ, with_password=with_password).config()


class _Loading:
    """
    One configuration on its way.

    Attributes:
        findings: What is wrong so far.
        warnings: What is probably wrong.
    """

    def __init__(
        self,
        path: Path,
        mode: int,
        raw: dict[str, Any],
        environ: Mapping[str, str],
        *,
        with_password: bool,
    ) -> None:
        self._path = path
        self._mode = mode
        self._raw = raw
        self._environ = environ
        self._with_password = with_password
        self.warnings: list[Finding] = []
        self._overrides, self.findings = overrides(environ)
        # Places whose value was refused: what depends on them is not judged.
        self._refused: set[tuple[str, ...]] = set()

    def config(self) -> Config:
        """Go through all of it."""
        document = self._document()
        sources = self._sources(document.source)
        rules = self._rules(document, sources)
        memory_max = self._memory_max(document.memory_max, rules)
        email = self._email(document.email)
        config = Config(
            path=self._path,
            sources=tuple(sources.values()),
            rules=tuple(rules),
            email=email,
            state=State(self._state_directory(document)),
            log=Log(document.log.level, document.log.format),
            memory_max=memory_max,
            warnings=tuple(self._lines(self.warnings)),
        )
        if self.findings:
            raise ConfigError(list(dict.fromkeys(self._lines(self.findings))))
        return config

    def _document(self) -> Document:
        """Validate every table by itself, and mend what is refused."""
        data = _copy(self._raw)
        for section, given in self._overrides.items():
            below = data.get(section, {})
            if isinstance(below, dict):
                data[section] = {**below, **given}
        try:
            return Document.model_validate(data)
        except ValidationError as error:
            details = error.errors(include_url=False)
        findings = [finding for detail in details for finding in _findings(detail)]
        # A key that is misspelt is not missing as well.
        meant = {
            (*finding.place, found[1])
            for finding in findings
            if (found := _MEANT.match(finding.text))
        }
        self.findings += [finding for finding in findings if finding.place not in meant]
        for detail in details:
            place = tuple(str(key) for key in detail["loc"])
            self._refused.add(place)
            _mend(data, place)
        return Document.model_validate(data)

    def _sources(self, tables: Mapping[str, SourceTable]) -> dict[str, Source]:
        """Make the sources, by name."""
        if not tables and not self._is_refused("source"):
            self._refuse(
                ("source",),
                'there is none; add a table [source.app] with paths = ["/var/log/app/*.log"]',
            )
        sources = {}
        for name, table in tables.items():
            self._check_name("source", name)
            source = Source(
                name=name,
                timezone=table.timezone or self._local_timezone(name),
                **table.model_dump(exclude={"timezone"}),
            )
            sources[name] = source
            if not self._is_refused("source", name, "format", "columns", "timestamp"):
                self.findings += checks.check_source(source, frozenset(table.model_fields_set))
        return sources

    def _local_timezone(self, name: str) -> tzinfo:
        try:
            return machine.local_timezone(self._environ)
        except ValueError as error:
            self._refuse(("source", name, "timezone"), str(error))
            return UTC

    def _rules(self, document: Document, sources: Mapping[str, Source]) -> list[Rule]:
        """Make the rules, and hold them against the sources."""
        if not document.rule and not self._is_refused("rule"):
            self._refuse(
                ("rule",),
                "there is none; add a table [rule.errors] with match = 'ERROR', more_than = 10 "
                'and within = "10m"',
            )
        return [
            self._rule(name, table, document.email.recipients, sources)
            for name, table in document.rule.items()
        ]

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
                listed = ", ".join(sources) or "none"
                self._refuse(
                    ("rule", name, "source"),
                    f"there is no source {show(source)}"
                    + (suggestion(source, sources) or f"; choose one of: {listed}"),
                )
        cooldown = max(_DEFAULT_COOLDOWN, table.within)
        rule = Rule(
            name=name,
            sources=table.source or tuple(sources),
            recipients=table.recipients or recipients,
            cooldown=cooldown if table.cooldown is None else table.cooldown,
            **table.model_dump(exclude={"source", "recipients", "cooldown", "match", "unless"}),
            match=table.match,
            unless=table.unless,
        )
        if not (
            rule.recipients
            or self._is_refused("rule", name, "recipients")
            or self._is_refused("email", "recipients")
        ):
            self._refuse(
                ("rule", name, "recipients"),
                'nobody is told; write recipients = ["ops@example.com"] here or under [email]',
            )
        if not self._is_refused("rule", name, "source", "match", "unless", "group_by") and not any(
            self._is_refused("source", each, "format", "columns") for each in rule.sources
        ):
            self.findings += checks.check_rule(rule, sources)
        self.warnings += checks.lint_rule(rule)
        return rule

    def _memory_max(self, given: float, rules: Sequence[Rule]) -> int:
        memory_max, share = int(given), ""
        if isinstance(given, float):
            machine_memory = machine.memory()
            memory_max = int(given * machine_memory)
            share = f" ({given:.0%} of this machine's {spell_size(machine_memory)})"
        self.findings += checks.check_memory(rules, memory_max, share)
        return memory_max

    def _email(self, table: EmailTable) -> Email:
        port = table.port or _DEFAULT_PORTS[table.security]
        if not self._is_refused("email", "port", "security"):
            self.warnings += checks.lint_port(port, table.security)
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

    def _sender(self, table: EmailTable) -> str:
        if table.sender is not None:
            return table.sender
        try:
            # With most providers the login is the address, and they accept no other sender.
            return values.address(table.username or "")
        except ValueError:
            if not self._is_refused("email", "sender", "username"):
                self._refuse(
                    ("email", "sender"),
                    'is missing; write sender = "alertd <alerts@example.com>"',
                )
            return ""

    def _password(self, table: EmailTable) -> str | None:
        """Find the password: from the environment, the file, its password file, or systemd."""
        if self._is_refused("email", "username", "password", "password_file", "host", "security"):
            return None
        password, password_file = self._given_password(table)
        given = "password" if password is not None else "password_file"
        if table.username is None:
            if password is not None or password_file is not None:
                self._refuse(
                    ("email", given), "is given without username; write username, or remove it"
                )
            return None
        if table.security == "none" and not checks.is_loopback(table.host):
            self._refuse(
                ("email", "security"),
                f'"none" would send the password to {show(table.host)} in clear; write "starttls" '
                'or "tls", or remove username',
            )
        if not self._with_password:
            return None
        if password is not None:
            self._check_mode()
            return password
        path = Path(password_file) if password_file is not None else self._credential()
        if path is None:
            self._refuse(
                ("email", "username"),
                'is given without a password; write password_file = "/etc/alertd/smtp-password"',
            )
            return None
        return self._read_password(path)

    def _given_password(self, table: EmailTable) -> tuple[str | None, str | None]:
        """Tell what stands under ``password`` and under ``password_file``; one of them at most."""
        ways = {"password": table.password, "password_file": table.password_file}
        overridden = self._overrides.get("email", {}).keys() & ways.keys()
        if len(overridden) == 1:
            # What the environment says replaces the file's password, whichever way it is given.
            ways = {key: value if key in overridden else None for key, value in ways.items()}
        if None not in ways.values():
            self._refuse(
                ("email", "password"), "stands there beside password_file; remove one of them"
            )
            ways["password_file"] = None
        return ways["password"], ways["password_file"]

    def _check_mode(self) -> None:
        if "password" not in self._overrides.get("email", {}) and self._mode & stat.S_IROTH:
            self._refuse(
                ("email", "password"),
                "stands in a file that everybody on this machine can read; "
                f"chmod 600 {self._path}, or use password_file",
            )

    def _credential(self) -> Path | None:
        """Find the password that systemd's LoadCredential= hands over."""
        directory = self._environ.get("CREDENTIALS_DIRECTORY")
        path = Path(directory) / CREDENTIAL if directory else None
        return path if path is not None and path.exists() else None

    def _read_password(self, path: Path) -> str | None:
        place = ("email", "password_file")
        try:
            # Non-blocking, because a named pipe without a writer would hold us for ever.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise ValueError("is not a regular file; write the password into one")  # noqa: TRY301
                content = file.read(_LONGEST_PASSWORD)
            password = values.secret(content.decode().removesuffix("\n").removesuffix("\r"))
        except OSError as error:
            self._refuse(
                place,
                f"{show(str(path))} cannot be read: {_reason(error)}; "
                "put the password there, readable for the user that runs alertd",
            )
        except UnicodeDecodeError:
            self._refuse(place, f"{show(str(path))} is not UTF-8; write the password as text")
        except ValueError as error:
            self._refuse(place, f"{show(str(path))} {error}")
        else:
            # Only a warning, because containers mount their secrets like that.
            if status.st_mode & stat.S_IROTH:
                self.warnings.append(
                    Finding(
                        place,
                        f"{show(str(path))} can be read by everybody on this machine; "
                        f"chmod 600 {path}",
                    )
                )
            return password
        return None

    def _state_directory(self, document: Document) -> Path:
        # systemd separates several directories by colons; ours is the first.
        given = self._environ.get("STATE_DIRECTORY", "").partition(":")[0]
        return Path(document.state.directory or given or _DEFAULT_STATE)

    def _check_name(self, section: str, name: str) -> None:
        why = values.name(name)
        if why:
            self._refuse((section, name), why)

    def _refuse(self, place: tuple[str, ...], text: str) -> None:
        self.findings.append(Finding(place, text))

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

    def _lines(self, findings: Iterable[Finding]) -> Iterator[str]:
        for finding in findings:
            yield f"{self._where(finding.place)}: {finding.text}"

    def _where(self, place: tuple[str, ...]) -> str:
        """Write a place: ``alertd.toml: rule "ssh": match.user``."""
        match place:
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
                return str(self._path)
        dotted = ".".join(show(key)[1:-1] for key in keys).replace(".item ", " item ")
        return f"{self._path}: {table}" + (f": {dotted}" if dotted else "")


def _read(path: Path) -> tuple[str, int]:
    """
    Read a configuration file.

    Returns:
        Its text, and the mode that its permissions are part of.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LONGEST_FILE + 1)
    except FileNotFoundError:
        raise ConfigError(
            [f"{path}: no such file; create it, or name another one with --config"],
            exit_code=os.EX_NOINPUT,
        ) from None
    except PermissionError:
        raise ConfigError(
            [f"{path}: permission denied; make it readable for the user that runs alertd"],
            exit_code=os.EX_NOPERM,
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            [f"{path}: cannot be read: {_reason(error)}; name a file with --config"],
            exit_code=os.EX_NOINPUT,
        ) from None
    if len(content) > _LONGEST_FILE:
        raise ConfigError([f"{path}: is longer than 16 MiB; is it a configuration file?"])
    try:
        # Editors on Windows put a byte order mark there.
        return content.decode("utf-8-sig"), mode
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise ConfigError(
            [f"{path}:{line}:{column}: is not UTF-8; save the file as UTF-8 in your editor"]
        ) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        place = _TOML_PLACE.search(reason)
        reason = visible(_TOML_PLACE.sub("", reason))
        if place and place[1]:
            where = f"{path}:{place[1]}:{place[2]}"
        else:
            where = f"{path}:{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}"
    except RecursionError:
        where, reason = str(path), "is nested too deeply"
    except ValueError:
        # Python refuses to read integers of thousands of digits.
        where, reason = str(path), "holds a number that is too long"
    remedy = next(
        (remedy for word, remedy in _TOML_REMEDIES if word in reason),
        "correct it: see https://toml.io",
    )
    raise ConfigError([f"{where}: {reason}; {remedy}"])


def _reason(error: Exception) -> str:
    known = error.strerror if isinstance(error, OSError) else None
    return (known or str(error)).lower()


def _table(place: Sequence[str]) -> type[Table] | None:
    """Tell which table a place's last key is in, if it is a key of a table."""
    match place:
        case ("rule", _, _):
            return RuleTable
        case ("source", _, _):
            return SourceTable
        case ("email", _):
            return EmailTable
        case ("state", _):
            return StateTable
        case ("log", _):
            return LogTable
        case (_,):
            return Document
        case _:
            return None


def _findings(detail: ErrorDetails) -> list[Finding]:
    """Put one of pydantic's errors in our words."""
    place = tuple(str(key) for key in detail["loc"])
    table = _table(place)
    known = table.model_fields if table else {}
    match detail["type"]:
        case "extra_forbidden":
            return [Finding(place[:-1], _unknown_key(place, known, detail["input"]))]
        case "missing":
            example = known[place[-1]].examples or [""]
            if isinstance(example[0], dict):
                return [Finding(place, 'is missing; add it, with host = "smtp.example.com"')]
            return [Finding(place, f"is missing; write {place[-1]} = {show(example[0])}")]
        case "value_error":
            error = detail["ctx"]["error"]
            if isinstance(error, RefusedError):
                return [Finding((*place, *inner.place), inner.text) for inner in error.findings]
            return [Finding(place, str(error))]
        case "model_type" | "dict_type":
            header = (
                ".".join(place) if len(place) > 1 or place[0] not in _KEYED else f"{place[0]}.NAME"
            )
            return [
                Finding(place, f"expected a table, got {show(detail['input'])}; write [{header}]")
            ]
        case _:
            return [Finding(place, f"{detail['msg']}; see config.example.toml")]


def _unknown_key(place: tuple[str, ...], known: Iterable[str], value: object) -> str:
    key = place[-1]
    what = f"unknown key {show(key)}"
    close = suggestion(key, known)
    if close:
        return what + close
    if isinstance(value, dict) and place[0] in _KEYED:
        name = show(f"{place[1]}.{key}")
        return f"{what}; a name with a dot stands in quotes: [{place[0]}.{name}]"
    return f"{what}; the keys here are {', '.join(known)}"


def _copy(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the tables, so that mending leaves ``raw`` alone; values are never changed."""
    return {
        key: {
            inner: dict(value) if isinstance(value, dict) else value
            for inner, value in table.items()
        }
        if isinstance(table, dict)
        else table
        for key, table in raw.items()
    }


def _mend(data: dict[str, Any], place: tuple[str, ...]) -> None:
    """Put something harmless where a value was refused."""
    table: Any = data
    for key in place[:-1]:
        table = table[key]
    table.pop(place[-1], None)
    model = _table(place)
    field = model.model_fields.get(place[-1]) if model else None
    if field is not None and field.is_required():
        table[place[-1]] = (field.examples or [None])[0]
