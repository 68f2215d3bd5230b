"""From TOML and environment to settings, or to everything that is wrong with them."""

from __future__ import annotations

import os
import string
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alertd.config import (
    DEFAULT_PATH,
    Config,
    ConfigError,
    Log,
    State,
    default_path,
    load,
    machine,
)
from alertd.config.schema import (
    Document,
    EmailTable,
    LogTable,
    RuleTable,
    RuleTestTable,
    SourceTable,
    StateTable,
    StepTable,
)
from alertd.config.units import duration, size, spell_size
from alertd.core.escape import visible
from alertd.core.rules import Condition, Conjunction, Pattern, Rule, RuleTest, Source

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"

EMAIL = """
[email]
host = "smtp.example.com"
sender = "alertd@example.com"
recipients = ["ops@example.com"]
"""
SOURCE = """
[source.auth]
paths = ["/var/log/auth.log"]
"""
RULE = """
[rule.ssh]
match = 'Failed'
more_than = 5
within = "10m"
"""
PLACES = {EMAIL: "[email]", SOURCE: 'source "auth"', RULE: 'rule "ssh"'}


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors begin with the path as it was given, so a short one makes them readable."""
    monkeypatch.chdir(tmp_path)


def load_text(*parts: str, environ: dict[str, str] | None = None, mode: int = 0o600) -> Config:
    path = Path("alertd.toml")
    path.write_text("\n".join(parts), encoding="utf-8")
    path.chmod(mode)
    return load(path, environ or {})


def errors_of(*parts: str, environ: dict[str, str] | None = None, mode: int = 0o600) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_text(*parts, environ=environ, mode=mode)
    return list(caught.value.errors)


def with_keys(table: str, keys: str) -> str:
    """Put ``keys`` into ``table`` instead of those that it has by the same names."""
    names = {line.partition(" = ")[0] for line in keys.splitlines()}
    kept = [line for line in table.splitlines() if line.partition(" = ")[0] not in names]
    return "\n".join([*kept, keys, ""])


def rule_of(keys: str, source: str = SOURCE) -> Rule:
    (rule,) = load_text(EMAIL, source, with_keys(RULE, keys)).rules
    return rule


def source_of(keys: str) -> Source:
    (source,) = load_text(EMAIL, with_keys(SOURCE, keys), RULE).sources
    return source


WRONG = [
    (RULE, "more_then = 5", 'unknown key "more_then"', 'did you mean "more_than"?'),
    (RULE, 'match = ""', 'match: "" matches every line', "write '.*' if that is meant"),
    (
        RULE,
        "match = '[abc'",
        "match: '[abc' is not a regex: unterminated character set at position 0",
        "write \\[ for the character [ itself",
    ),
    (
        RULE,
        "match = '(abc'",
        "match: '(abc' is not a regex: missing ), unterminated subpattern at position 0",
        "write \\( for the character ( itself",
    ),
    (
        RULE,
        "match = 'a**'",
        "match: 'a**' is not a regex: multiple repeat at position 2",
        "write \\* for the character * itself",
    ),
    (
        RULE,
        "match = '[[:digit:]]'",
        "match: '[[:digit:]]' is not a regex: possible nested set at position 1",
        "write \\[ for the character [ itself; Python has no [:classes:]",
    ),
    (
        RULE,
        "match = 5",
        "match: expected a regex or a table of conditions, got 5",
        "write it like 'ERROR' or { severity = \"Fatal\" }",
    ),
    (RULE, "match = []", "match: [] is empty", "write a regex or a table, like ['ERROR', 'FATAL']"),
    (RULE, "match = {}", "match: {} is empty", 'write a condition, like { severity = "Fatal" }'),
    (
        RULE,
        "match = [[]]",
        "match item 1: expected a regex or a table of conditions, got []",
        "write it like 'ERROR' or { severity = \"Fatal\" }",
    ),
    (
        RULE,
        'match = { line = { reegx = "a" } }',
        'match.line: unknown operator "reegx"',
        'did you mean "regex"?',
    ),
    (
        RULE,
        'match = { line = { equals = "a" } }',
        'match.line: unknown operator "equals"',
        "write the value itself: line = …",
    ),
    (
        RULE,
        "match = { line = {} }",
        "match.line: {} is empty",
        "write an operator, like { at_least = 500 }",
    ),
    (
        RULE,
        "match = { line = [] }",
        "match.line: [] is empty",
        'write at least one value, like ["a", "b"]',
    ),
    (
        RULE,
        'match = { line = { at_least = "5" } }',
        'match.line.at_least: expected a number, got "5"',
        "write it without quotes, like 500",
    ),
    (
        RULE,
        'match = { line = { exists = "yes" } }',
        'match.line.exists: expected true or false, got "yes"',
        "write exists = true",
    ),
    (
        RULE,
        'match = { line = { contains = "" } }',
        'match.line.contains: expected text, got ""',
        "write it in quotes",
    ),
    (
        RULE,
        "match = { line = { regex = '(' } }",
        "match.line.regex: '(' is not a regex: missing ), unterminated subpattern at position 0",
        "write \\( for the character ( itself",
    ),
    (
        RULE,
        "match = { line = 2026-01-01 }",
        "match.line: expected text, a number, true or false, got 2026-01-01",
        "write it in quotes",
    ),
    (
        RULE,
        "match = { line = nan }",
        "match.line: nan cannot be compared exactly",
        "write it in quotes, as text",
    ),
    (
        RULE,
        "match = { line = 9007199254740993 }",
        "match.line: 9007199254740993 cannot be compared exactly",
        "write it in quotes, as text",
    ),
    (RULE, 'match = { "" = "a" }', 'match: "" is no field', 'write "line" for the whole line'),
    (
        RULE,
        "match = { http = { status = 500 } }",
        'match.http: unknown operator "status"',
        'write a nested field in quotes, "http.status" = …, or choose one of regex, '
        "contains, at_least, at_most, more_than, less_than, not, exists",
    ),
    (
        RULE,
        "match = { severity = 'Fatal' }",
        'match: no line can have a field "severity"',
        "there are only line",
    ),
    (
        RULE,
        'match = "a\\nb"',
        "match: 'a\\nb' holds a line break, and no line does",
        "write it on one line, or begin it with (?x)",
    ),
    (
        RULE,
        "unless = { usr = 'x' }",
        'unless: no line can have a field "usr"',
        "there are only line (a regex in match adds fields by (?P<name>…))",
    ),
    (
        RULE,
        'group_by = "ip"',
        'group_by: no line can have a field "ip"',
        "there are only line (a regex in match adds fields by (?P<name>…))",
    ),
    (RULE, "group_by = []", "group_by: [] is empty", 'write at least one, like ["name"]'),
    (RULE, "group_by = [5]", "group_by: expected text, got 5", "write it in quotes"),
    (
        RULE,
        "more_than = true",
        "more_than: expected a whole number from 0 to 100,000, got true",
        "write a number like 10",
    ),
    (
        RULE,
        'more_than = "5"',
        'more_than: expected a whole number from 0 to 100,000, got "5"',
        "write 5 without quotes",
    ),
    (
        RULE,
        "more_than = -1",
        "more_than: -1 is not between 0 and 100,000",
        "every key keeps the times of that many events, so that the count is exact; "
        "choose a smaller number and a shorter `within`",
    ),
    (
        RULE,
        "more_than = 1000000",
        "more_than: 1000000 is not between 0 and 100,000",
        "every key keeps the times of that many events, so that the count is exact; "
        "choose a smaller number and a shorter `within`",
    ),
    (
        RULE,
        "more_than = 5.5",
        "more_than: expected a whole number from 0 to 100,000, got 5.5",
        "write a number like 10",
    ),
    (RULE, "within = 5", "within: 5 has no unit", 'write "5s" or "10m"'),
    (RULE, 'within = "0s"', 'within: "0s" is no time at all', 'write a length of time like "10m"'),
    (RULE, 'within = "-5m"', 'within: "-5m" is negative', 'write a length of time like "10m"'),
    (
        RULE,
        'within = "5 minutes"',
        'within: "5 minutes" is not a length of time',
        'did you mean "5m"?',
    ),
    (
        RULE,
        'within = "5m1h"',
        'within: "5m1h" is not a length of time',
        'write each unit once, the longest first: "1h30m"',
    ),
    (
        RULE,
        'within = "fast"',
        'within: "fast" is not a length of time',
        'write numbers with the units ms, s, m, h, d, w, like "90s" or "1h30m"',
    ),
    (RULE, 'within = "9999d"', 'within: "9999d" is longer than ten years', 'write at most "3650d"'),
    (RULE, "within = true", "within: expected a length of time, got true", 'write it like "10m"'),
    (RULE, "cooldown = -1", "cooldown: -1 has no unit", 'write "1s" or "10m"'),
    (RULE, 'source = "auht"', 'source: there is no source "auht"', 'did you mean "auth"?'),
    (RULE, "source = []", "source: [] is empty", 'write at least one, like ["name"]'),
    (
        RULE,
        "recipients = []",
        "recipients: [] is empty",
        'write at least one, like ["ops@example.com"]',
    ),
    (
        RULE,
        'recipients = ["ops"]',
        'recipients: "ops" is not a mail address',
        'write it like "ops@example.com"',
    ),
    (
        RULE,
        'recipients = ["Ops <ops@example.com>"]',
        'recipients: "Ops <ops@example.com>" has a name',
        'write only "ops@example.com"',
    ),
    (
        RULE,
        'recipients = ["a@b.c\\r\\nBcc: x@y.z"]',
        'recipients: "a@b.c\\r\\nBcc: x@y.z" is not a mail address',
        'write it like "ops@example.com"',
    ),
    (
        RULE,
        'severity = "fatal"',
        'severity: "fatal" is none of "info", "warning", "critical"',
        "choose one of them",
    ),
    (
        RULE,
        'kind = "rate"',
        'kind: "rate" is none of "threshold", "match", "distinct", "new_value", "change", "ratio", '
        '"metric", "sequence", "absence", "spike", "alerts"',
        'did you mean "ratio"?',
    ),
    (RULE, 'kind = "distinct"', "distinct: is missing", 'write distinct = "user"'),
    (
        RULE,
        'learn = "1d"',
        'learn: means nothing for kind = "threshold"',
        'remove it, or write kind = "new_value"',
    ),
    (
        RULE,
        'resolve = "no"',
        'resolve: expected true or false, got "no"',
        "write it without quotes",
    ),
    (
        RULE,
        "max_keys = 0",
        "max_keys: 0 is not between 1 and 10,000,000",
        "write a number like 10000",
    ),
    (RULE, "description = 5", "description: expected text, got 5", "write it in quotes"),
    (SOURCE, "paths = []", "paths: [] is empty", 'write at least one, like ["/var/log/app/*.log"]'),
    (
        SOURCE,
        'paths = "auth.log"',
        'paths: "auth.log" is not an absolute path',
        'write it like "/var/log/auth.log"',
    ),
    (
        SOURCE,
        'paths = "log/auth.log"',
        'paths: "log/auth.log" is not an absolute path',
        'write it from "/" on',
    ),
    (SOURCE, 'paths = ["/var/log/../x"]', 'paths: "/var/log/../x" holds ..', 'write "/var/x"'),
    (
        SOURCE,
        'paths = ["/var/log/"]',
        'paths: "/var/log/" is a directory',
        'write "/var/log/*" for its files',
    ),
    (
        SOURCE,
        "paths = 5",
        "paths: expected text or a list of texts, got 5",
        'write ["/var/log/app/*.log"]',
    ),
    (
        SOURCE,
        "exclude = []",
        "exclude: [] is empty",
        'write at least one, like ["/var/log/app/*.log"]',
    ),
    (
        SOURCE,
        'format = "cvs"',
        'format: "cvs" is none of "plain", "csv", "json", "logfmt", "syslog"',
        'did you mean "csv"?',
    ),
    (
        SOURCE,
        'delimiter = ";"',
        'delimiter: is only for format = "csv", and this is "plain"',
        "remove delimiter, or correct format",
    ),
    (
        SOURCE,
        'columns = ["a"]',
        'columns: is only for format = "csv", and this is "plain"',
        "remove columns, or correct format",
    ),
    (
        SOURCE,
        "multiline = true",
        'multiline: is only for format = "csv", and this is "plain"',
        "remove multiline, or correct format",
    ),
    (
        SOURCE,
        'format = "csv"\ndelimiter = "tab"',
        'delimiter: "tab" is not one character',
        'write "\\t" in double quotes',
    ),
    (
        SOURCE,
        'format = "csv"\ndelimiter = ",,"',
        'delimiter: expected one ASCII character, got ",,"',
        'write it like ";"',
    ),
    (
        SOURCE,
        'format = "csv"\ncolumns = ["a", "a"]',
        'columns: "a" stands there twice',
        "give every column a name of its own",
    ),
    (
        SOURCE,
        'format = "csv"\ncolumns = []',
        "columns: expected a list of names, got []",
        'write it like ["date", "severity"]',
    ),
    (
        SOURCE,
        'format = "csv"\nmultiline = "yes"',
        'multiline: expected true or false, got "yes"',
        "write it without quotes",
    ),
    (
        SOURCE,
        'timestamp = "date"',
        'timestamp: "date" is a field, and plain lines have none',
        'write "auto" to have it found in the line, or "none" for the time of reading',
    ),
    (
        SOURCE,
        'format = "csv"\ncolumns = ["date"]\ntimestamp = "dat"',
        'timestamp: no line can have a field "dat"',
        'did you mean "date"?',
    ),
    (
        SOURCE,
        'timestamp = "none"\ntimestamp_format = "%H:%M"',
        'timestamp_format: "%H:%M" is never used with timestamp = "none"',
        "remove one of them",
    ),
    (
        SOURCE,
        'timezone = "Europe/Berln"',
        'timezone: "Europe/Berln" is not a time zone',
        'did you mean "Europe/Berlin"?',
    ),
    (
        SOURCE,
        'timezone = "../etc/passwd"',
        'timezone: "../etc/passwd" is not a time zone',
        'write it like "Europe/Berlin" or "UTC"',
    ),
    (
        SOURCE,
        'timezone = "America"',
        'timezone: "America" is not a time zone',
        'did you mean "America/Nuuk"?',
    ),
    (
        SOURCE,
        'start_at = "beginnning"',
        'start_at: "beginnning" is none of "end", "beginning"',
        'did you mean "beginning"?',
    ),
    (
        SOURCE,
        'max_line = "1GiB"',
        'max_line: "1GiB" is not between 1 KiB and 1 MiB',
        'write it like "64KiB": the rest of a longer line is skipped',
    ),
    (
        SOURCE,
        'max_line = "big"',
        'max_line: "big" is not a size',
        'write it like "512KiB" or "1GiB"',
    ),
    (
        SOURCE,
        'encoding = "utf-16"',
        'encoding: "utf-16" cannot be followed line by line, because its line ends or'
        " letters are not single ASCII bytes",
        "have the file converted: iconv -f utf-16 -t UTF-8",
    ),
    (
        SOURCE,
        'encoding = "utf-7"',
        'encoding: "utf-7" cannot be followed line by line, because its line ends or '
        "letters are not single ASCII bytes",
        "have the file converted: iconv -f utf-7 -t UTF-8",
    ),
    (
        SOURCE,
        'encoding = "cp037"',
        'encoding: "cp037" cannot be followed line by line, because its line ends or '
        "letters are not single ASCII bytes",
        "have the file converted: iconv -f cp037 -t UTF-8",
    ),
    (
        SOURCE,
        'encoding = "latin-99"',
        'encoding: "latin-99" is not an encoding',
        'write "utf-8", or another name that Python knows',
    ),
    (
        SOURCE,
        'encoding = "rot13"',
        'encoding: "rot13" is not an encoding',
        'write "utf-8", or another name that Python knows',
    ),
    (SOURCE, "max_skew = -1", "max_skew: -1 has no unit", 'write "1s" or "10m"'),
    (
        SOURCE,
        'lateness = "soon"',
        'lateness: "soon" is not a length of time',
        'write numbers with the units ms, s, m, h, d, w, like "90s" or "1h30m"',
    ),
    (EMAIL, 'host = ""', 'host: "" is empty', "write a text"),
    (
        EMAIL,
        'host = "smtp://u:secret@h"',
        "host: is not a bare name",
        "write it without scheme, user and path",
    ),
    (
        EMAIL,
        'host = "smtp.example.com:587"',
        'host: "smtp.example.com:587" has a port',
        'write host = "smtp.example.com" and port = 587',
    ),
    (EMAIL, "port = 70000", "port: 70000 is not between 1 and 65,535", "write a number like 587"),
    (
        EMAIL,
        'port = "587"',
        'port: expected a whole number from 1 to 65,535, got "587"',
        "write 587 without quotes",
    ),
    (
        EMAIL,
        'security = "ssl"',
        'security: "ssl" is none of "starttls", "tls", "none"',
        "choose one of them",
    ),
    (
        EMAIL,
        'sender = "alertd"',
        'sender: "alertd" is not a mail address',
        'write it like "alertd <alerts@example.com>"',
    ),
    (
        EMAIL,
        'sender = "a@b.c\\nBcc: x@y.z"',
        'sender: "a@b.c\\nBcc: x@y.z" is not a mail address',
        'write it like "alertd <alerts@example.com>"',
    ),
    (
        EMAIL,
        "recipients = []",
        "recipients: [] is empty",
        'write at least one, like ["ops@example.com"]',
    ),
    (
        EMAIL,
        'username = "u"',
        "username: is given without a password",
        'write password_file = "/etc/alertd/smtp-password"',
    ),
    (
        EMAIL,
        'password = "secret"',
        "password: is given without username",
        "write username, or remove it",
    ),
    (
        EMAIL,
        'username = "u"\npassword = "secret"\npassword_file = "/x"',
        "password: stands there beside password_file",
        "remove one of them",
    ),
    (
        EMAIL,
        'username = "u"\npassword_file = "/no/such"',
        'password_file: "/no/such" cannot be read: no such file or directory',
        "put the password there, readable for the user that runs alertd",
    ),
    (
        EMAIL,
        'username = "u"\npassword_file = "secret"',
        "password_file: is not an absolute path",
        'write password_file = "/etc/alertd/smtp-password", and the password into that file',
    ),
    (
        EMAIL,
        'username = "u"\npassword = "secret"\nsecurity = "none"',
        'security: "none" would send the password to "smtp.example.com" in clear',
        'write "starttls" or "tls", or remove username',
    ),
    (EMAIL, "password = 5", "password: is not text", "write it in quotes"),
    (
        EMAIL,
        "max_per_hour = -1",
        "max_per_hour: -1 is not between 0 and 1,000,000",
        "write 0 for no limit",
    ),
    (EMAIL, "join_older_than = 10", "join_older_than: 10 has no unit", 'write "10s" or "10m"'),
    (
        EMAIL,
        'timeout = "0s"',
        'timeout: "0s" is no time at all',
        'write a length of time like "10m"',
    ),
    (EMAIL, 'pasword = "secret"', 'unknown key "pasword"', 'did you mean "password"?'),
    (
        RULE,
        'match = "foo\\\\"',
        "match: 'foo\\' is not a regex: bad escape (end of pattern) at position 3",
        "write \\\\ for the character \\ itself",
    ),
    (
        RULE,
        "match = '(?<=a+)b'",
        "match: '(?<=a+)b' is not a regex: look-behind requires fixed-width pattern",
        "give every alternative in (?<=…) the same length",
    ),
    (
        RULE,
        "match = 'a)'",
        "match: 'a)' is not a regex: unbalanced parenthesis at position 1",
        "write \\) for the character ) itself",
    ),
    (
        RULE,
        "match = '\\y'",
        "match: '\\y' is not a regex: bad escape \\y at position 0",
        "write \\\\ for the character \\ itself",
    ),
    (
        RULE,
        "match = { a = { not = {} } }",
        "match.a.not: {} is empty",
        "write an operator, like { at_least = 500 }",
    ),
    (
        EMAIL,
        'username = "u"\nsecurity = "none"',
        'security: "none" would send the password to "smtp.example.com" in clear',
        'write "starttls" or "tls", or remove username',
    ),
    (EMAIL, 'host = "a b"', 'host: "a b" is not a server name', 'write it like "smtp.example.com"'),
    (
        SOURCE,
        'paths = ["/a\\u0000b"]',
        'paths: "/a\\x00b" holds a NUL, which no path can',
        "remove it",
    ),
    (
        SOURCE,
        'encoding = "idna"',
        'encoding: "idna" is not an encoding',
        'write "utf-8", or another name that Python knows',
    ),
    (
        SOURCE,
        'format = "syslog"\ntimestamp = "datum"',
        'timestamp: no line can have a field "datum"',
        "there are only facility, host, message, msgid, pid, program, severity, time",
    ),
    (
        SOURCE,
        'columns = "a"',
        'columns: expected a list of names, got "a"',
        'write it like ["date", "severity"]',
    ),
    (EMAIL, "sender = 5", "sender: expected text, got 5", "write it in quotes"),
    (EMAIL, "host = 5", "host: expected text, got 5", "write it in quotes"),
]


def test_what_means_nothing_for_a_kind_is_refused_key_by_key() -> None:
    """With the kinds for which it does."""
    remedy = 'remove it, or write kind = "threshold" or "distinct" or "ratio" or "metric"'
    more = ' or "sequence" or "absence" or "spike" or "alerts"'
    others = {"more_than": ' or "alerts"', "resolve": more, "within": more}

    assert [
        f'alertd.toml: rule "ssh": {key}: means nothing for kind = "match"; {remedy}{other}'
        for key, other in others.items()
    ] == errors_of(EMAIL, SOURCE, RULE + 'kind = "match"\nresolve = true\n')


WATCHER = """
[rule.burns]
kind = "alerts"
of = ["ssh*"]
more_than = 3
within = "10m"
"""


def test_a_rule_may_watch_others_and_those_others_still() -> None:
    """Names are globs; it sees the sources of whom it watches, and never itself."""
    web = '[source.web]\npaths = ["/web.log"]\n'
    other = with_keys(RULE, 'source = "web"').replace("rule.ssh", "rule.ssh-web")
    top = WATCHER.replace("rule.burns", "rule.top").replace("ssh*", "*")
    rules = load_text(EMAIL, SOURCE, web, with_keys(RULE, 'source = "auth"'), other, WATCHER, top)
    watched = {rule.name: (rule.watches, rule.sources) for rule in rules.rules}

    assert (("ssh", "ssh-web"), ("auth", "web")) == watched["burns"]
    assert (("ssh", "ssh-web", "burns"), ("auth", "web")) == watched["top"]
    assert ((), ("auth",)) == watched["ssh"]
    assert () == rules.rules[2].match


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            'of = ["sh-*", "web"]',
            [
                'of: no other rule is called "sh-*"; choose of: ssh',
                'of: no other rule is called "web"; choose of: ssh',
            ],
        ),
        ('of = "shs"', ['of: no other rule is called "shs"; did you mean "ssh"?']),
        ("of = []", ['of: [] is empty; write at least one, like ["fatal-*"]']),
        ("of = 5", ['of: expected text or a list of texts, got 5; write ["fatal-*"]']),
        (
            'group_by = "ip"',
            [
                'group_by: "ip" is no field of the alerts of rule "ssh"; write it in the group_by '
                'of that, too, or "rule" here for the rule that rang'
            ],
        ),
        (
            'distinct = "user"',
            ['distinct: is "user"; write distinct = "rule" to count each rule once'],
        ),
        (
            'source = "auth"',
            [
                'source: means nothing for kind = "alerts", which sees alerts of the rules in of; '
                "remove it"
            ],
        ),
        (
            "unless = 'x'",
            ['unless: means nothing for kind = "alerts", which sees no lines; remove it'],
        ),
        (
            "test = [{ lines = ['x'], alerts = 1 }]",
            ['test: means nothing for kind = "alerts", which sees no lines; test the rules in of'],
        ),
    ],
)
def test_what_a_rule_cannot_watch_is_refused(keys: str, expected: list[str]) -> None:
    """By name, with what to do."""
    assert [f'alertd.toml: rule "burns": {one}' for one in expected] == errors_of(
        EMAIL, SOURCE, RULE, with_keys(WATCHER, keys)
    )


def test_match_and_of_mean_what_they_mean_for_their_kind() -> None:
    """A rule that watches sees no lines; the lines of which a ratio is a share are a selector."""
    errors = errors_of(EMAIL, SOURCE, RULE, with_keys(WATCHER, "match = 'x'"))
    ratio = 'kind = "ratio"\nmore_than = "5%"\nof = ["(", { "a" = [] }]'

    assert errors[0].startswith(
        'alertd.toml: rule "burns": match: means nothing for kind = "alerts"'
    )
    assert 1 == len(errors)
    assert ["of item 1", "of item 2.a"] == [
        error.split(": ")[2] for error in errors_of(EMAIL, SOURCE, with_keys(RULE, ratio))
    ]


def test_rules_that_watch_each_other_in_a_circle_are_refused() -> None:
    """Once, with the way round, of the rule that stands first; who looks on is told nothing."""
    rules = [
        WATCHER.replace("burns", name).replace("ssh*", of)
        for name, of in (("a", "b"), ("b", "c"), ("c", "[ad]"), ("d", "ssh"), ("e", "a"))
    ]

    assert [
        'alertd.toml: rule "a": of: goes round in a circle: a → b → c → a; leave one out'
    ] == errors_of(EMAIL, SOURCE, RULE, *rules)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('kind = "match"', {"more_than": 0, "within": 0.0, "cooldown": 900.0}),
        (
            'kind = "distinct"\ndistinct = "user"\nmore_than = 5\nwithin = "1h"',
            {"value": "user", "more_than": 5, "within": 3600.0, "cooldown": 3600.0},
        ),
        (
            'kind = "new_value"\nvalue = "user"\nlearn = "1d"\nmax_values = 7',
            {"value": "user", "learn": 86400.0, "max_values": 7, "cooldown": 0.0},
        ),
        ('kind = "new_value"\nvalue = "user"', {"learn": 0.0, "max_values": 1000}),
        ('kind = "change"\nvalue = "user"', {"value": "user", "cooldown": 0.0}),
    ],
)
def test_each_kind_has_keys_and_defaults_of_its_own(keys: str, expected: dict[str, object]) -> None:
    """What rings once for each value keeps nothing back."""
    rule = f"[rule.ssh]\nmatch = 'Failed (?P<user>.*)$'\n{keys}\n"

    (made,) = load_text(EMAIL, SOURCE, rule).rules

    assert expected == {name: getattr(made, name) for name in expected}


RATIO = 'kind = "ratio"\nwithin = "5m"\n'
SPIKE = 'kind = "spike"\ntimes = 3.0\nmin_count = 50\nwithin = "10m"\n'
METRIC = 'kind = "metric"\nmetric = "p95"\nvalue = "line"\nwithin = "5m"\n'


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            RATIO + 'more_than = "5%"',
            {"share": (5, 100), "of": (), "min_total": 1, "more_than": 0, "cooldown": 900.0},
        ),
        (RATIO + 'more_than = "0.25 %"\nmin_total = 200', {"share": (25, 10000), "min_total": 200}),
        (RATIO + 'more_than = "99.9"', {"share": (999, 1000)}),
        (RATIO + "more_than = \"0%\"\nof = 'sshd'", {"share": (0, 100), "of": (Pattern("sshd"),)}),
        (
            METRIC + "more_than = 1500",
            {"metric": "p95", "value": "line", "bound": 1500.0, "is_below": False, "more_than": 0},
        ),
        (METRIC + "less_than = -0.5\nmin_total = 20", {"bound": -0.5, "is_below": True}),
        (METRIC + "less_than = 0", {"bound": 0.0, "is_below": True, "min_total": 1}),
        (METRIC + "more_than = 0", {"bound": 0.0, "is_below": False}),
        (SPIKE, {"times": (3, 1), "min_total": 50, "baseline": 0, "within": 600.0}),
        (SPIKE.replace("3.0", "1.1") + 'baseline = "1w"', {"times": (11, 10), "baseline": 7}),
        (SPIKE.replace("3.0", "1000000") + 'baseline = "31d"', {"times": (1_000_000, 1)}),
        (SPIKE.replace("10m", "24h") + 'baseline = "24h"', {"within": 86400.0, "baseline": 1}),
    ],
)
def test_what_slides_over_a_grid_has_limits_of_its_own(
    keys: str, expected: dict[str, object]
) -> None:
    """A share is kept exactly as it is written; a number is a double."""
    (made,) = load_text(EMAIL, SOURCE, f"[rule.ssh]\nmatch = 'Failed'\n{keys}\n").rules

    assert expected == {name: getattr(made, name) for name in expected}


SHARE = 'expected a share as text, got {}; write it like "{}"'
NO_SHARE = '"{}" is not a share; write it like "5%" or "0.25%"'
ALL = '"{}" is not below 100%, and no share is more than all; write it like "5%" or "0.25%"'


@pytest.mark.parametrize(
    ("keys", "key", "what"),
    [
        (RATIO, "more_than", 'is missing; write more_than = "5%"'),
        (RATIO + "more_than = 5", "more_than", SHARE.format("5", "5%")),
        (RATIO + "more_than = 0.5", "more_than", SHARE.format("0.5", "0.5%")),
        (RATIO + "more_than = true", "more_than", SHARE.format("true", "5%")),
        (RATIO + "more_than = 250", "more_than", SHARE.format("250", "5%")),
        (RATIO + 'more_than = "-1%"', "more_than", NO_SHARE.format("-1%")),
        (RATIO + 'more_than = "many"', "more_than", NO_SHARE.format("many")),
        (RATIO + 'more_than = "101%"', "more_than", ALL.format("101%")),
        (RATIO + 'more_than = "100%"', "more_than", ALL.format("100%")),
        (
            RATIO.replace("5m", "500ms") + 'more_than = "5%"',
            "within",
            'is too short to be cut into slices for kind = "ratio"; write at least "1s"',
        ),
        (
            RATIO + 'more_than = "5%"\nless_than = 5',
            "less_than",
            'means nothing for kind = "ratio"; remove it, or write kind = "metric"',
        ),
        (
            RATIO + 'more_than = "5%"\nmin_total = 0',
            "min_total",
            "0 is not between 1 and 1,000,000,000; write a number like 20",
        ),
        (
            RATIO + 'more_than = "5%"\ngroup_by = "ip"',
            "group_by",
            'no line can have a field "ip"; there are only line '
            "(a regex in of adds fields by (?P<name>…))",
        ),
        (
            RATIO + 'more_than = "5%"\nof = { ip = "::1" }',
            "of",
            'no line can have a field "ip"; there are only line',
        ),
        (
            METRIC,
            "more_than",
            "is missing; write more_than = 1500, or less_than with a number",
        ),
        (
            METRIC + "more_than = 5\nless_than = 3",
            "less_than",
            "stands beside more_than; write two rules",
        ),
        (
            METRIC + 'less_than = "5"',
            "less_than",
            'expected a number, got "5"; write it like 1500',
        ),
        (
            METRIC + "more_than = true",
            "more_than",
            "expected a number, got true; write it like 1500",
        ),
        (
            METRIC + "more_than = inf",
            "more_than",
            "inf cannot be compared exactly; write a number like 1500",
        ),
        (
            METRIC + f"more_than = {2**53 + 1}",
            "more_than",
            f"{2**53 + 1} cannot be compared exactly; write a number like 1500",
        ),
        (
            METRIC + f"more_than = 1{'0' * 400}",
            "more_than",
            "a huge number cannot be compared exactly; write a number like 1500",
        ),
        (
            METRIC.replace('metric = "p95"\n', "") + "more_than = 5",
            "metric",
            'is missing; write metric = "p95"',
        ),
        (
            METRIC.replace("p95", "variance") + "more_than = 5",
            "metric",
            '"variance" is none of "min", "max", "avg", "sum", "count", "p50", "p90", "p95", '
            '"p99"; choose one of them',
        ),
        (
            METRIC.replace('value = "line"\n', "") + "more_than = 5",
            "value",
            'is missing; write value = "duration_ms"',
        ),
        (SPIKE.replace("min_count = 50", ""), "min_count", "is missing; write min_count = 50"),
        (
            SPIKE.replace("3.0", "0.5"),
            "times",
            "0.5 times as much is less, and this kind looks for more; write it like 3 or 2.5, or "
            'use kind = "absence", or "metric" with less_than',
        ),
        (
            SPIKE.replace("3.0", "nan"),
            "times",
            "nan is not between 1 and 1,000,000; write it like 3 or 2.5",
        ),
        (
            SPIKE.replace("3.0", "-3"),
            "times",
            "-3 is not between 1 and 1,000,000; write it like 3 or 2.5",
        ),
        (
            SPIKE.replace("3.0", "true"),
            "times",
            "expected a number, got true; write it like 3 or 2.5",
        ),
        *(
            (
                SPIKE + f'baseline = "{days}"',
                "baseline",
                f'"{days}" is not a number of whole days from "1d" to "31d"; write it like "7d"',
            )
            for days in ("12h", "7d1h", "32d", "0s")
        ),
        (
            SPIKE.replace("10m", "25h") + 'baseline = "7d"',
            "within",
            'is longer than the day to which baseline goes back; write at most "1d", or leave out '
            "baseline to compare with the window before",
        ),
        (
            SPIKE.replace("10m", "500ms"),
            "within",
            'is too short to be cut into slices for kind = "spike"; write at least "1s"',
        ),
    ],
)
def test_a_ratio_or_metric_that_cannot_be_meant_is_refused(keys: str, key: str, what: str) -> None:
    """One mistake, one line, with what to write instead."""
    rule = f"[rule.ssh]\nmatch = 'Failed (?P<ip>.*)$'\n{keys}\n"

    assert [f'alertd.toml: rule "ssh": {key}: {what}'] == errors_of(EMAIL, SOURCE, rule)


def test_the_lines_of_which_a_share_is_asked_are_warned_about_like_others() -> None:
    """Whoever can forge what they are grouped by can fool the rule."""
    of = "of = ['', 'login (?P<user>.*) from (?P<ip>.*) port']"
    rule = f"[rule.ssh]\nmatch = 'Failed'\n{RATIO}more_than = \"5%\"\n{of}\ngroup_by = 'ip'\n"

    (refusal,) = errors_of(EMAIL, SOURCE, rule)
    (warning,) = load_text(EMAIL, SOURCE, rule.replace("'', ", "")).warnings

    assert 'alertd.toml: rule "ssh": of item 1: "" matches every line' in refusal
    assert (
        'alertd.toml: rule "ssh": of: whoever can write text into the line can forge ip' in warning
    )


def test_a_judged_field_that_no_line_has_is_refused() -> None:
    """Like one in ``group_by``, under the name of the key that stands there."""
    keys = {"distinct": 'more_than = 5\nwithin = "1h"\n', "change": ""}
    for kind, others in keys.items():
        key = "distinct" if kind == "distinct" else "value"
        rule = f'[rule.ssh]\nmatch = \'Failed\'\nkind = "{kind}"\n{key} = "user"\n{others}'

        assert [
            f'alertd.toml: rule "ssh": {key}: no line can have a field "user"; there are only line '
            "(a regex in match adds fields by (?P<name>…))"
        ] == errors_of(EMAIL, SOURCE, rule)


@pytest.mark.parametrize(
    "keys",
    [
        'kind = "distinct"\ndistinct = "user"\nmore_than = 5\nwithin = "1h"',
        'kind = "new_value"\nvalue = "user"',
        'kind = "change"\nvalue = "user"',
        'kind = "metric"\nmetric = "sum"\nvalue = "user"\nwithin = "1h"\nmore_than = 5',
    ],
)
def test_what_judges_a_field_needs_no_match(keys: str) -> None:
    """It looks for the lines that have the field; where none can, only that is said."""
    json = SOURCE + 'format = "json"\n'

    (rule,) = load_text(EMAIL, json, f"[rule.ssh]\n{keys}").rules
    assert (Conjunction((Condition("user", "exists", operand=True),)),) == rule.match

    (refusal,) = errors_of(EMAIL, SOURCE, f"[rule.ssh]\n{keys}")
    assert 'no line can have a field "user"' in refusal
    assert "(a regex in match adds fields by (?P<name>…))" in refusal


RULE_TEST = """
[[rule.ssh.test]]
lines = ["Failed"]
alerts = 0
"""
TWO_SOURCES = (
    SOURCE
    + """
[source.app]
paths = ["/var/log/app.log"]
format = "csv"
"""
)


def rule_tests_of(*tests: str, rule: str = RULE, source: str = SOURCE) -> tuple[RuleTest, ...]:
    return load_text(EMAIL, source, rule, *tests).tests


def test_a_rule_may_have_tests() -> None:
    """Numbered in their order; what is left out has a default."""
    rule = with_keys(RULE, "match = 'from (?P<ip>.*)$'\ngroup_by = \"ip\"")
    more = """
keys = [{ ip = "a" }, { ip = "" }]
counts = [6, 7]
every = "500ms"
source = "auth"
"""

    assert (
        RuleTest("ssh", 1, "auth", ("Failed",), 0),
        RuleTest(
            "ssh",
            2,
            "auth",
            (" Failed twice ", " Failed twice "),
            2,
            keys=((("ip", "a"),), (("ip", ""),)),
            counts=(6, 7),
            every=0.5,
        ),
    ) == rule_tests_of(
        RULE_TEST.replace('["Failed"]', '"Failed"'),
        "[[rule.ssh.test]]\nlines = [' Failed twice ', ' Failed twice ']\nalerts = 2" + more,
        rule=rule,
    )


def test_a_test_names_one_of_several_sources() -> None:
    """And gives a csv the header that its columns are named by."""
    more = 'source = "app"\nheader = "a,b"'

    (test,) = rule_tests_of(RULE_TEST + more, source=TWO_SOURCES)

    assert ("app", "a,b") == (test.source, test.header)


@pytest.mark.parametrize(
    ("keys", "where", "what"),
    [
        ("lines = 5", ": lines", 'expected a list of log lines, got 5; write ["Mar  1 '),
        ("lines = []", ": lines", '[] is empty; write at least one line, like ["Mar  1 '),
        ("lines = [5]", ": lines", "expected a log line, got 5; write it in quotes"),
        (
            'lines = ["a", "b\\nc"]',
            ": lines item 2",
            '"b\\nc" holds a line break; write each line as a text of its own',
        ),
        ("alerts = -1", ": alerts", "-1 is not between 0 and 100,000; write a number like 1"),
        ('alerts = "1"', ": alerts", "expected a whole number from 0 to 100,000, got "),
        ("counts = 5", ": counts", "expected a list of numbers, got 5; write it like [6, 6]"),
        ("counts = [true]", ": counts", "expected a whole number, got true; write it like"),
        ("counts = [5]", ": counts", "has 1 for alerts = 0; write one for each alert"),
        ('keys = "a"', ": keys", 'expected a list of tables, got "a"; write it like [{ ip = '),
        ("keys = [5]", ": keys", "expected a table, got 5; write it like [{ ip = "),
        ("keys = [{ a = 5 }]", ": keys", 'expected text for "a", got 5; write it in quotes'),
        ("keys = []", ": keys", "means nothing for a rule without group_by; remove it"),
        ('every = "x"', ": every", '"x" is not a length of time; '),
        ('source = "app"', ": source", '"app" is no source of this rule; write one of auth'),
        ('header = "a"', ": header", 'means nothing for source "auth", whose files have none; '),
        ("line = 5", "", 'unknown key "line"; did you mean "lines"?'),
        ("x = { a = 5 }", "", 'unknown key "x"; the keys here are lines, alerts, keys, counts, '),
    ],
)
def test_a_mistake_in_a_test_is_refused_with_its_number(keys: str, where: str, what: str) -> None:
    """The first of these two is right."""
    (error,) = errors_of(EMAIL, SOURCE, RULE, RULE_TEST, with_keys(RULE_TEST, keys))

    assert error.startswith(f'alertd.toml: rule "ssh": test 2{where}: {what}')


def test_what_a_test_lacks_is_said() -> None:
    """With an example."""
    assert [
        'alertd.toml: rule "ssh": test 1: lines: is missing; write lines = '
        '"Mar  1 12:00:01 db-1 app: ERROR"',
        'alertd.toml: rule "ssh": test 1: alerts: is missing; write alerts = 1',
    ] == errors_of(EMAIL, SOURCE, RULE, "[[rule.ssh.test]]")


def test_a_test_that_is_no_list_of_tables_is_refused() -> None:
    """With the header to write."""
    assert [
        'alertd.toml: rule "ssh": test: expected a list of tables, got a table; '
        "write [[rule.ssh.test]]"
    ] == errors_of(EMAIL, SOURCE, RULE, RULE_TEST.replace("[[", "[").replace("]]", "]"))
    assert [
        'alertd.toml: rule "ssh": test 1: expected a table, got 5; write [[rule.ssh.test]]'
    ] == errors_of(EMAIL, SOURCE, RULE + "test = [5]\n")


def test_a_test_of_a_rule_of_several_sources_must_say_which() -> None:
    """Nothing tells whose lines these are; a csv among them needs its header."""
    assert [
        'alertd.toml: rule "ssh": test 1: source: is missing; write source = "auth", '
        "or another one of auth, app",
        'alertd.toml: rule "ssh": test 2: header: is missing; '
        'write header = "date,severity,message"',
    ] == errors_of(EMAIL, TWO_SOURCES, RULE, RULE_TEST, RULE_TEST + 'source = "app"')


def test_keys_name_what_the_rule_groups_by() -> None:
    """All of it, and nothing else."""
    rule = with_keys(RULE, 'match = \'(?P<ip>.*) (?P<user>.*)$\'\ngroup_by = ["ip", "user"]')
    test = with_keys(RULE_TEST, 'alerts = 1\nkeys = [{ ip = "a" }]')

    assert [
        'alertd.toml: rule "ssh": test 1: keys item 1: must name what the rule groups by; '
        "write ip and user"
    ] == errors_of(EMAIL, SOURCE, rule, test)


def test_a_line_that_its_source_cannot_hold_is_refused() -> None:
    """It could come from no file."""
    source = with_keys(SOURCE, 'encoding = "latin-1"')

    (error,) = errors_of(EMAIL, source, RULE, with_keys(RULE_TEST, 'lines = "\u2603"'))

    assert 'rule "ssh": test 1: lines item 1: "\u2603" cannot be written in ' in error
    assert 'correct it, or the encoding of source "auth"' in error


@pytest.mark.parametrize(("table", "keys", "what", "remedy"), WRONG)
def test_a_mistake_is_refused_with_place_value_and_remedy(
    table: str, keys: str, what: str, remedy: str
) -> None:
    """One mistake gives one line, which says where, what, and what to do."""
    tables = [each if each != table else with_keys(each, keys) for each in PLACES]

    assert [f"alertd.toml: {PLACES[table]}: {what}; {remedy}"] == errors_of(*tables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "",
            [
                'alertd.toml: [email]: is missing; add it, with host = "smtp.example.com"',
                "alertd.toml: source: there is none; add a table [source.app] with "
                'paths = ["/var/log/app/*.log"]',
                "alertd.toml: rule: there is none; add a table [rule.errors] with "
                "match = 'ERROR', more_than = 10 and within = \"10m\"",
            ],
        ),
        (
            EMAIL.replace("recipients", "# ") + SOURCE + RULE,
            [
                'alertd.toml: rule "ssh": recipients: nobody is told; write '
                'recipients = ["ops@example.com"] here or under [email]'
            ],
        ),
        (
            EMAIL.replace("host", "# ") + SOURCE + RULE,
            ['alertd.toml: [email]: host: is missing; write host = "smtp.example.com"'],
        ),
        (
            EMAIL.replace("sender", "# ") + SOURCE + RULE,
            [
                "alertd.toml: [email]: sender: is missing; "
                'write sender = "alertd <alerts@example.com>"'
            ],
        ),
        (
            EMAIL + "[source.auth]\n[rule.ssh]",
            [
                'alertd.toml: source "auth": paths: is missing; '
                'write paths = ["/var/log/app/*.log"]',
                'alertd.toml: rule "ssh": match: is missing; write match = "ERROR"',
                'alertd.toml: rule "ssh": more_than: is missing; write more_than = 10',
                'alertd.toml: rule "ssh": within: is missing; write within = "10m"',
            ],
        ),
        (
            "memory_max = '500%'" + EMAIL + SOURCE + RULE,
            ['alertd.toml: memory_max: "500%" is not between 0% and 100%; write it like "50%"'],
        ),
        (
            "memory_max = 'lots'\nmemry_max = 5" + EMAIL + SOURCE + RULE,
            [
                'alertd.toml: memory_max: "lots" is not a size; write it like "512KiB" or "1GiB"',
                'alertd.toml: unknown key "memry_max"; did you mean "memory_max"?',
            ],
        ),
        (
            EMAIL + SOURCE + RULE.replace("[rule.ssh]", "[[rule]]"),
            ["alertd.toml: rule: expected a table, got [a table]; write [rule.NAME]"],
        ),
        (
            EMAIL + SOURCE + RULE + "[rule.web.errors]\nmatch = 'x'",
            [
                'alertd.toml: rule "web": unknown key "errors"; '
                'a name with a dot stands in quotes: [rule."web.errors"]',
                'alertd.toml: rule "web": match: is missing; write match = "ERROR"',
                'alertd.toml: rule "web": more_than: is missing; write more_than = 10',
                'alertd.toml: rule "web": within: is missing; write within = "10m"',
            ],
        ),
        (
            EMAIL + SOURCE + RULE.replace("ssh", '"a b"'),
            [
                'alertd.toml: rule "a b": "a b" cannot be a name; use 1 to 64 of the letters '
                'a to z, digits, "-", "_" and "."'
            ],
        ),
        (
            "state = 5\nlog = 'loud'\nrule = []" + EMAIL + SOURCE,
            [
                "alertd.toml: [state]: expected a table, got 5; write [state]",
                'alertd.toml: [log]: expected a table, got "loud"; write [log]',
                "alertd.toml: rule: expected a table, got []; write [rule.NAME]",
            ],
        ),
        (
            EMAIL + SOURCE + RULE + "[state]\ndirectory = 'here'\n[log]\nlevel = 'warn'\nfmt = 1",
            [
                'alertd.toml: [state]: directory: "here" is not an absolute path; '
                'write it from "/" on',
                'alertd.toml: [log]: level: "warn" is none of "debug", "info", "warning", '
                '"error"; did you mean "warning"?',
                'alertd.toml: [log]: unknown key "fmt"; did you mean "format"?',
            ],
        ),
        (
            EMAIL + SOURCE + RULE + RULE,
            [
                "alertd.toml:15:10: Cannot declare [rule.ssh] twice; every table and key may "
                "stand there once: rename or join them"
            ],
        ),
        (
            EMAIL + SOURCE + RULE + 'within = "5m"',
            [
                "alertd.toml:14:14: Cannot overwrite a value; every key may stand there once: "
                "remove one of them"
            ],
        ),
        (
            EMAIL + SOURCE + RULE + 'unless = "\\d"',
            [
                "alertd.toml:14:13: Unescaped '\\' in a string; "
                "write regexes in single quotes: '\\d+'"
            ],
        ),
        (
            EMAIL + SOURCE + RULE + "severity = info",
            [
                "alertd.toml:14:15: Expected newline or end of document after a statement; "
                "a line holds one key and its value, and text stands in quotes"
            ],
        ),
        (
            EMAIL + SOURCE + RULE + "unless",
            [
                "alertd.toml:14:7: Expected '=' after a key in a key/value pair; "
                "correct it: see https://toml.io"
            ],
        ),
        (
            EMAIL + SOURCE + RULE + "unless =",
            ["alertd.toml:14:9: Invalid value; text stands in quotes"],
        ),
        (
            "x = " + "[" * 5000,
            ["alertd.toml: is nested too deeply; correct it: see https://toml.io"],
        ),
        (
            "x = " + "9" * 5000,
            ["alertd.toml: holds a number that is too long; correct it: see https://toml.io"],
        ),
        (
            EMAIL + SOURCE + RULE.replace("match = 'Failed'", f"match.a.{'not.' * 3000}b = 1"),
            [
                'alertd.toml: rule "ssh": match.a.not: is nested too deeply; '
                "write it as several rules"
            ],
        ),
    ],
)
def test_a_mistake_in_the_whole_is_refused(text: str, expected: list[str]) -> None:
    """What is missing, misplaced or no TOML is said like anything else."""
    assert expected == errors_of(text)


def test_more_memory_than_allowed_is_refused() -> None:
    """The worst case counts, and the rule that costs most is named."""
    keys = "more_than = 1000\nmax_keys = 100_000\ngroup_by = 'line'"

    (error,) = errors_of("memory_max = '1GiB'", EMAIL, SOURCE, with_keys(RULE, keys))

    assert error.startswith("alertd.toml: memory_max: the rules may come to hold ")
    assert 'of it rule "ssh" and' in error
    assert error.endswith(
        "but 1 GiB are allowed; raise memory_max, or lower that rule's max_keys or more_than"
    )


def test_a_thousand_rules_share_the_memory_that_there_is() -> None:
    """Where neither ``memory_max`` nor ``max_keys`` is given, every rule may have fewer keys."""
    rules = [
        f"[rule.r{number}]\nmatch = 'x(?P<k>.)$'\ngroup_by = 'k'\nmore_than = 9\nwithin = '1h'"
        for number in range(1000)
    ]
    given = rules[0] + "\nmax_keys = 20000"
    config = load_text(EMAIL, SOURCE, given, *rules[1:])

    assert 20_000 == config.rules[0].max_keys
    [shared] = {rule.max_keys for rule in config.rules[1:]}
    assert 1000 <= shared <= 10_000
    assert {10_000} == {rule.max_keys for rule in load_text(EMAIL, SOURCE, *rules[:2]).rules}
    assert errors_of("memory_max = '1GiB'", EMAIL, SOURCE, *rules)


def test_a_share_of_the_memory_is_said_in_bytes() -> None:
    """A percentage alone would not say why the same file passes elsewhere."""
    keys = "more_than = 100_000\nmax_keys = 10_000_000\ngroup_by = 'line'"

    (error,) = errors_of(EMAIL, SOURCE, with_keys(RULE, keys))

    assert f"(50% of this machine's {spell_size(machine.memory())}); raise memory_max" in error


def test_all_errors_are_said_at_once() -> None:
    """A mistake in one place hides none in another, not even where the two meet."""
    expected = [
        "environment: ALERTD_EMAIL__PASWORD: unknown variable; "
        "did you mean ALERTD_EMAIL__PASSWORD?",
        'environment: ALERTD_EMAIL__PORT: expected a whole number from 1 to 65,535, got "many"; '
        "write a number like 587",
        'alertd.toml: source "auth": max_line: "big" is not a size; '
        'write it like "512KiB" or "1GiB"',
        'alertd.toml: rule "ssh": match item 1.line: unknown operator "is"; '
        "write the value itself: line = …",
        "alertd.toml: rule \"ssh\": match item 2: '(' is not a regex: "
        "missing ), unterminated subpattern at position 0; write \\( for the character ( itself",
        'alertd.toml: rule "ssh": within: 5 has no unit; write "5s" or "10m"',
        'alertd.toml: rule "other": unknown key "more_then"; did you mean "more_than"?',
        'alertd.toml: rule "ssh": source: there is no source "auht"; did you mean "auth"?',
        'alertd.toml: rule "other": group_by: no line can have a field "ipp"; '
        'did you mean "ip"? (a regex in match adds fields by (?P<name>…))',
    ]

    assert expected == errors_of(
        EMAIL,
        with_keys(SOURCE, 'max_line = "big"'),
        with_keys(
            RULE,
            "match = [{ line = { is = 'x' } }, '(']\nwithin = 5\nsource = ['auht', 'auth']",
        ),
        "[rule.other]\nmatch = '(?P<ip>x)$'\nmore_then = 5\nwithin = '1m'\ngroup_by = 'ipp'",
        environ={"ALERTD_EMAIL__PASWORD": "x", "ALERTD_EMAIL__PORT": "many"},
    )


def test_defaults_are_those_of_the_documentation() -> None:
    """The shortest configuration is a whole one."""
    config = load_text(EMAIL, SOURCE, RULE, environ={"TZ": "UTC"})

    assert config == Config(
        path=Path("alertd.toml"),
        sources=(Source(name="auth", paths=("/var/log/auth.log",), timezone=UTC),),
        rules=(
            Rule(
                name="ssh",
                sources=("auth",),
                match=(Pattern("Failed"),),
                more_than=5,
                within=600.0,
                cooldown=900.0,
                recipients=("ops@example.com",),
            ),
        ),
        email=config.email,
        state=State(Path("/var/lib/alertd")),
        log=Log("info", "auto"),
        memory_max=machine.memory() // 2,
    )
    assert (587, "starttls") == (config.email.port, config.email.security)
    assert (600.0, 60, 60.0) == (
        config.email.join_older_than,
        config.email.max_per_hour,
        config.email.timeout,
    )


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_follows_the_security(security: str, port: int) -> None:
    """Each way of talking to a mail server has its usual port."""
    config = load_text(with_keys(EMAIL, f'security = "{security}"'), SOURCE, RULE)

    assert port == config.email.port


def test_the_cooldown_is_the_longer_of_a_quarter_of_an_hour_and_the_window() -> None:
    """A window that is still full would otherwise ring again while it is the same incident."""
    assert 900.0 == rule_of('within = "1m"').cooldown
    assert 7200.0 == rule_of('within = "2h"').cooldown
    assert 0.0 == rule_of('cooldown = "0s"').cooldown


def test_a_selector_is_a_regex_a_table_or_a_list_of_them() -> None:
    """Scalars mean equal, lists any of, tables operators; numbers become floats."""
    match = (
        """match = ['^a', { line = "x", b = [1, "2", true], c = { at_least = 5, not = "d" } }]"""
    )
    json_source = with_keys(SOURCE, 'format = "json"')

    assert (
        Pattern("^a"),
        Conjunction(
            (
                Condition("line", "equals", "x"),
                Condition("b", "any_of", (1.0, "2", True)),
                Condition("c", "at_least", 5.0),
                Condition("c", "not", (Condition("c", "equals", "d"),)),
            )
        ),
    ) == rule_of(match, json_source).match


def test_every_operator_is_read() -> None:
    """A table of one field may hold several; all must hold."""
    match = (
        "match = { a = { regex = 'r', contains = 'c', at_most = 1, more_than = 2, "
        "less_than = 3.5, exists = true, not = { any = 1 } } }"
    ).replace("any = 1", "regex = 'n'")

    assert (
        Conjunction(
            (
                Condition("a", "regex", "r"),
                Condition("a", "contains", "c"),
                Condition("a", "at_most", 1.0),
                Condition("a", "more_than", 2.0),
                Condition("a", "less_than", 3.5),
                Condition("a", "exists", True),  # noqa: FBT003 - an operand
                Condition("a", "not", (Condition("a", "regex", "n"),)),
            )
        ),
    ) == rule_of(match, with_keys(SOURCE, 'format = "logfmt"')).match


def test_a_rule_sees_every_source_unless_it_names_some() -> None:
    """Without ``source``, in the file's order."""
    other = SOURCE.replace("auth]", "web]")

    both, one = load_text(
        EMAIL, SOURCE, other, RULE, with_keys(RULE.replace("ssh", "b"), 'source = "web"')
    ).rules

    assert (("auth", "web"), ("web",)) == (both.sources, one.sources)


def test_recipients_are_told_once() -> None:
    """The same address twice is one."""
    rule = rule_of('recipients = ["a@b.c", "d@b.c", "a@b.c"]')

    assert ("a@b.c", "d@b.c") == rule.recipients


def test_one_text_may_stand_for_a_list() -> None:
    """``paths = "…"`` is a list of one."""
    assert ("/a/*.log",) == source_of('paths = "/a/*.log"').paths


def test_source_settings_reach_the_core() -> None:
    """Every key of a source ends in the value that the core reads."""
    source = source_of(
        'paths = "/a"\nexclude = "/b"\nformat = "csv"\ndelimiter = "\\t"\ncolumns = ["d", "m"]\n'
        'multiline = true\ntimestamp = "d"\ntimestamp_format = "%Y-%m-%d %H:%M:%S"\n'
        'timezone = "Europe/Berlin"\nstart_at = "beginning"\nmax_line = "128KiB"\n'
        'max_gz_bytes = "1GiB"\n'
        'encoding = "latin1"\nmax_skew = "2m"\nlateness = "500ms"'
    )

    assert source == Source(
        name="auth",
        paths=("/a",),
        exclude=("/b",),
        format="csv",
        delimiter="\t",
        columns=("d", "m"),
        multiline=True,
        timestamp="d",
        timestamp_format="%Y-%m-%d %H:%M:%S",
        timezone=ZoneInfo("Europe/Berlin"),
        start_at="beginning",
        max_line=131072,
        max_gz_bytes=1 << 30,
        encoding="iso8859-1",
        max_skew=120.0,
        lateness=0.5,
    )


@pytest.mark.parametrize(
    "keys",
    [
        "match = 'from (?P<ip>x)$'\nunless = { ip = '10.0.0.1' }\ngroup_by = 'ip'",
        "match = { line = { regex = '(?P<ip>x)' } }\ngroup_by = 'ip'",
        "match = ['a', '(?P<ip>x)$']\ngroup_by = ['ip', 'line']",
    ],
)
def test_named_groups_are_fields(keys: str) -> None:
    """On plain lines they are the only ones, apart from ``line``."""
    assert "ip" in rule_of(keys).group_by


def test_a_field_of_any_source_is_enough() -> None:
    """A rule over several sources may use what only some of them have."""
    json_source = SOURCE.replace("auth]", "app]") + 'format = "json"'

    config = load_text(EMAIL, SOURCE, json_source, with_keys(RULE, "match = { level = 'e' }"))

    assert ("auth", "app") == config.rules[0].sources


# --- environment and passwords


def test_the_environment_overrides_email_state_and_log() -> None:
    """Text from there is read as the key's type; lists are a,b or JSON."""
    config = load_text(
        EMAIL,
        SOURCE,
        RULE,
        environ={
            "ALERTD_CONFIG": "/else/where.toml",
            "ALERTD_EMAIL__HOST": "localhost",
            "ALERTD_EMAIL__PORT": "2525",
            "ALERTD_EMAIL__RECIPIENTS": "a@b.c, d@e.f",
            "ALERTD_EMAIL__TIMEOUT": "5s",
            "ALERTD_STATE__DIRECTORY": "/srv/alertd",
            "ALERTD_LOG__LEVEL": "debug",
            "STATE_DIRECTORY": "/ignored",
        },
    )

    assert ("localhost", 2525, 5.0) == (
        config.email.host,
        config.email.port,
        config.email.timeout,
    )
    assert ("a@b.c", "d@e.f") == config.email.recipients
    assert (Path("/srv/alertd"), "debug") == (config.state.directory, config.log.level)


def test_a_list_in_the_environment_may_be_json() -> None:
    """Whoever generates the environment has JSON at hand."""
    environ = {"ALERTD_EMAIL__RECIPIENTS": '["a@b.c"]'}

    assert ("a@b.c",) == load_text(EMAIL, SOURCE, RULE, environ=environ).email.recipients
    assert [
        'environment: ALERTD_EMAIL__RECIPIENTS: "[a" is not a JSON list; write ["a", "b"] or a,b'
    ] == errors_of(EMAIL, SOURCE, RULE, environ={"ALERTD_EMAIL__RECIPIENTS": "[a"})


def test_rules_are_not_taken_from_the_environment() -> None:
    """What a daemon rings about stands in one file that can be checked."""
    assert [
        "environment: ALERTD_RULE__SSH__MORE_THAN: unknown variable; "
        "only [email], [state] and [log] are set here, like ALERTD_EMAIL__PASSWORD"
    ] == errors_of(EMAIL, SOURCE, RULE, environ={"ALERTD_RULE__SSH__MORE_THAN": "1"})


def test_systemd_names_the_state_directory() -> None:
    """``StateDirectory=`` is the default where the file says nothing."""
    config = load_text(EMAIL, SOURCE, RULE, environ={"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"})

    assert Path("/var/lib/a") == config.state.directory


LOGIN = with_keys(EMAIL, 'username = "alerts@example.com"')


def test_the_password_comes_from_the_environment_first() -> None:
    """It replaces what the file says, whichever way the file says it."""
    environ = {"ALERTD_EMAIL__PASSWORD": "from environment"}

    for keys in ("", 'password = "inline"', 'password_file = "/no/such/file"'):
        config = load_text(with_keys(LOGIN, keys), SOURCE, RULE, environ=environ)

        assert "from environment" == config.email.password


def test_the_password_comes_from_its_file_without_the_newline(tmp_path: Path) -> None:
    """Editors end files with a newline; other blanks may belong to the password."""
    secret = tmp_path / "secret"
    secret.write_text(" pass word \r\n")
    secret.chmod(0o600)

    config = load_text(with_keys(LOGIN, f'password_file = "{secret}"'), SOURCE, RULE)

    assert " pass word " == config.email.password
    assert () == config.warnings


def test_the_password_comes_from_systemd(tmp_path: Path) -> None:
    """``LoadCredential=smtp-password:…`` needs no word in the file."""
    (tmp_path / "smtp-password").write_text("credential")
    (tmp_path / "smtp-password").chmod(0o400)

    config = load_text(LOGIN, SOURCE, RULE, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert "credential" == config.email.password


def test_a_login_without_any_password_is_refused(tmp_path: Path) -> None:
    """Also where systemd hands over other credentials."""
    expected = [
        "alertd.toml: [email]: username: is given without a password; "
        'write password_file = "/etc/alertd/smtp-password"'
    ]

    assert expected == errors_of(LOGIN, SOURCE, RULE)
    assert expected == errors_of(
        LOGIN, SOURCE, RULE, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}
    )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty; write the password there"),
        (b"\n", "is empty; write the password there"),
        (b"a\nb\n", "holds more than one line; write only the password there"),
        (b"\xff", "is not UTF-8; write the password as text"),
    ],
)
def test_a_password_file_without_a_password_is_refused(
    tmp_path: Path, content: bytes, what: str
) -> None:
    """A login that cannot work is better found now than at the first alert."""
    secret = tmp_path / "secret"
    secret.write_bytes(content)

    assert [f'alertd.toml: [email]: password_file: "{secret}" {what}'] == errors_of(
        with_keys(LOGIN, f'password_file = "{secret}"'), SOURCE, RULE
    )


def test_a_password_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A named pipe without a writer would hold the daemon for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    assert [
        f'alertd.toml: [email]: password_file: "{pipe}" is not a regular file; '
        "write the password into one"
    ] == errors_of(with_keys(LOGIN, f'password_file = "{pipe}"'), SOURCE, RULE)


def test_a_password_file_for_everybody_is_a_warning(tmp_path: Path) -> None:
    """Containers mount secrets like that, so it is no error."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)

    config = load_text(with_keys(LOGIN, f'password_file = "{secret}"'), SOURCE, RULE)

    assert (
        f'alertd.toml: [email]: password_file: "{secret}" can be read by everybody on this '
        f"machine; chmod 600 {secret}",
    ) == config.warnings


def test_a_password_in_a_file_for_everybody_is_refused() -> None:
    """Its group may read it, because that is how a service's user gets at it."""
    inline = with_keys(LOGIN, 'password = "hunter2"')

    assert [
        "alertd.toml: [email]: password: stands in a file that everybody on this machine can "
        "read; chmod 600 alertd.toml, or use password_file"
    ] == errors_of(inline, SOURCE, RULE, mode=0o644)
    assert "hunter2" == load_text(inline, SOURCE, RULE, mode=0o640).email.password


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_password_may_go_in_clear_to_this_machine(host: str) -> None:
    """Nothing leaves it."""
    email = with_keys(LOGIN, f'host = "{host}"\nsecurity = "none"\npassword = "x"')

    assert "x" == load_text(email, SOURCE, RULE).email.password


def test_who_sends_no_mail_needs_no_password() -> None:
    """``replay`` and ``status`` are for people who may not read it."""
    Path("alertd.toml").write_text(
        with_keys(LOGIN, 'password_file = "/no/such/file"') + SOURCE + RULE, encoding="utf-8"
    )

    config = load(Path("alertd.toml"), {}, with_password=False)

    assert config.email.password is None


def test_the_sender_is_the_login_where_that_is_an_address() -> None:
    """Most providers accept no other."""
    email = with_keys(LOGIN, 'password = "x"').replace("sender", "# ")

    assert "alerts@example.com" == load_text(email, SOURCE, RULE).email.sender


@pytest.mark.parametrize(
    "keys",
    [
        'password = "hunter2"',
        'password = ["hunter2"]',
        'username = "u"\npassword = "hunter2"\npassword_file = "/x"',
        'username = "u"\npassword = "hunter2\\n"',
        'username = "u"\npassword_file = "hunter2"',
        'pasword = "hunter2"',
        'host = "smtp://u:hunter2@example.com"',
        'username = "u"\npassword = "hunter2"\nport = "x"',
    ],
)
def test_no_error_shows_the_password(keys: str) -> None:
    """Errors go to terminals, journals and tickets."""
    with pytest.raises(ConfigError) as caught:
        load_text(with_keys(EMAIL, keys), SOURCE, RULE, mode=0o644)

    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__} {caught.value.__context__}"


def test_no_configuration_shows_the_password() -> None:
    """Nor does what a traceback or a debugger prints."""
    config = load_text(with_keys(LOGIN, 'password = "hunter2"'), SOURCE, RULE)

    assert "hunter2" not in repr(config)


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\x1b"])
def test_what_cannot_be_seen_is_no_part_of_an_address(hidden: str) -> None:
    """An address that looks like another is a trap, and a terminal must not obey it."""
    email = EMAIL.replace("ops@", f"o{ascii_toml(hidden)}ps@")

    (error,) = errors_of(email, SOURCE, RULE)

    assert "is not a mail address" in error
    assert error.isprintable()


def ascii_toml(character: str) -> str:
    return f"\\u{ord(character):04x}"


# --- warnings


@pytest.mark.parametrize(
    ("regex", "is_forgeable"),
    [
        (r"Failed .* from (?P<ip>\S+)", True),
        (r"Failed from (?P<ip>\S+)", True),
        (r"^Failed .* from (?P<ip>\S+)", True),
        (r"^Failed from (?P<ip>\S+)", False),
        (r"Failed .* from (?P<ip>\S+) port \d+ ssh2$", False),
        (r"(?:Failed .* from (?P<ip>\S+)$)", False),
        (r"Failed .* from (?P<ip>\S+)\Z", False),
        (r"Failed .* from (?P<ip>\S+) costs \$", True),
    ],
)
def test_a_key_that_a_log_line_can_choose_is_a_warning(
    regex: str,
    is_forgeable: bool,  # noqa: FBT001 - the table's verdict
) -> None:
    """Who logs in as ``x from 10.1.1.1`` must not choose which address is counted."""
    config = load_text(EMAIL, SOURCE, with_keys(RULE, f"match = '{regex}'\ngroup_by = 'ip'"))

    expected = (
        'alertd.toml: rule "ssh": match: whoever can write text into the line can forge ip, '
        f"because '{regex}' may match anywhere in it; describe the line up to its end and close "
        "the regex with $",
    )
    assert (expected if is_forgeable else ()) == config.warnings


def test_a_regex_that_matches_every_line_is_a_warning() -> None:
    """An alternative that was left empty makes every line an event."""
    config = load_text(EMAIL, SOURCE, with_keys(RULE, "match = 'ERROR|'"))

    assert (
        "alertd.toml: rule \"ssh\": match: 'ERROR|' matches every line; "
        "write '.*' if that is meant",
    ) == config.warnings


def test_a_port_of_another_security_is_a_warning() -> None:
    """A server that speaks first in TLS hangs a client that waits for its greeting."""
    config = load_text(with_keys(EMAIL, "port = 465"), SOURCE, RULE)

    assert (
        'alertd.toml: [email]: port: 465 is usually for security = "tls", and this is '
        '"starttls"; if mail does not leave, correct one of them',
    ) == config.warnings


# --- files


def test_a_file_that_is_not_there_is_said_with_its_exit_code() -> None:
    """66 is EX_NOINPUT."""
    with pytest.raises(ConfigError) as caught:
        load(Path("none.toml"), {})

    assert (
        "none.toml: no such file; create it, or name another one with --config",
    ) == caught.value.errors
    assert os.EX_NOINPUT == caught.value.exit_code


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    """Neither is a file name that no file system takes."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})
    with pytest.raises(ConfigError, match="file name too long"):
        load(Path("x" * 5000), {})

    assert "is a directory; name a file with --config" in caught.value.errors[0]
    assert os.EX_NOINPUT == caught.value.exit_code


def test_a_file_that_may_not_be_read_is_said_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """77 is EX_NOPERM.  The refusal is simulated, because root may read everything."""

    def refuse(*_args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError) as caught:
        load(Path("alertd.toml"), {})

    assert os.EX_NOPERM == caught.value.exit_code
    assert (
        "alertd.toml: permission denied; make it readable for the user that runs alertd",
    ) == caught.value.errors


def test_a_file_that_is_not_utf8_is_said_with_line_and_column() -> None:
    """So that an editor can go there."""
    Path("alertd.toml").write_bytes(b"# ok\n# \xe9\n")
    with pytest.raises(ConfigError) as caught:
        load(Path("alertd.toml"), {})

    assert (
        "alertd.toml:2:3: is not UTF-8; save the file as UTF-8 in your editor",
    ) == caught.value.errors
    assert os.EX_CONFIG == caught.value.exit_code


def test_a_byte_order_mark_is_ignored() -> None:
    """Editors on Windows write one."""
    assert ("ssh",) == tuple(rule.name for rule in load_text("\ufeff", EMAIL, SOURCE, RULE).rules)


def test_a_file_without_end_is_refused() -> None:
    """A slip of the hand must not fill the memory."""
    with pytest.raises(ConfigError, match="is longer than 16 MiB"):
        load(Path("/dev/zero"), {})


def test_the_default_path_is_in_etc_or_in_the_environment() -> None:
    """An empty variable is none."""
    assert Path("/etc/alertd/alertd.toml") == DEFAULT_PATH
    assert DEFAULT_PATH == default_path({"ALERTD_CONFIG": ""})
    assert Path("/x.toml") == default_path({"ALERTD_CONFIG": "/x.toml"})


# --- the machine


def test_the_memory_is_that_of_the_tightest_control_group(tmp_path: Path) -> None:
    """A group above ours may leave less; ``max`` is no limit."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/system.slice/alertd.service\n")
    group = tmp_path / "sys/fs/cgroup/system.slice/alertd.service"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")

    unlimited = machine.memory(tmp_path)
    (group.parent / "memory.max").write_text("1048576\n")

    assert machine.memory(tmp_path / "none") == unlimited
    assert 1048576 == machine.memory(tmp_path)


def test_the_memory_of_older_control_groups_counts(tmp_path: Path) -> None:
    """Version 1 names its controllers."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("9:cpu:/a\n8:memory:/a\n")
    (tmp_path / "sys/fs/cgroup/memory/a").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory/a/memory.limit_in_bytes").write_text("4096\n")

    assert 4096 == machine.memory(tmp_path)


def test_the_timezone_is_that_of_the_environment_or_the_machine(tmp_path: Path) -> None:
    """``TZ`` first, then /etc/localtime, by its name where it has one."""
    localtime = tmp_path / "localtime"
    localtime.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    copied = tmp_path / "copied"
    copied.write_bytes(Path("/usr/share/zoneinfo/Asia/Tokyo").read_bytes())

    assert ZoneInfo("Europe/Berlin") == machine.local_timezone({"TZ": ":Europe/Berlin"}, localtime)
    assert UTC == machine.local_timezone({"TZ": ""}, localtime)
    assert ZoneInfo("Asia/Tokyo") == machine.local_timezone({}, localtime)
    assert "localtime" == getattr(machine.local_timezone({}, copied), "key", None)
    assert UTC == machine.local_timezone({}, tmp_path / "none")


def test_a_tz_that_names_no_zone_asks_for_one() -> None:
    """POSIX rules are not read; only sources without a zone of their own care."""
    assert [
        'alertd.toml: source "auth": timezone: is missing, and TZ="CET-1CEST" is not the name of '
        'a time zone; write it like "Europe/Berlin" or "UTC"'
    ] == errors_of(EMAIL, SOURCE, RULE, environ={"TZ": "CET-1CEST"})


# --- units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("2d", 172800.0),
        ("500ms", 0.5),
        ("1w", 604800.0),
        ("1.5h", 5400.0),
        ("0s", 0.0),
        ("1m500ms", 60.5),
    ],
)
def test_durations_are_read_exactly(text: str, expected: float) -> None:
    """To the microsecond, from the longest unit to the shortest."""
    assert expected == duration(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("512MiB", 2**29),
        ("1GiB", 2**30),
        ("1.5 KiB", 1536),
        ("10MB", 10**7),
        ("64K", 65536),
        ("100", 100),
        (4096, 4096),
    ],
)
def test_sizes_are_read_in_powers_of_two_and_ten(value: object, expected: int) -> None:
    """As the units say; a bare number is bytes."""
    assert expected == size(value)


def test_sizes_are_spelled_for_people() -> None:
    """With one decimal, where there is one."""
    assert ["1 GiB", "1.5 MiB", "2 KiB", "5 bytes"] == [
        spell_size(number) for number in (2**30, 3 * 2**19, 2048, 5)
    ]


# --- the example


TABLES = (
    Document,
    EmailTable,
    StateTable,
    LogTable,
    SourceTable,
    RuleTable,
    RuleTestTable,
    StepTable,
)


def example_environment() -> dict[str, str]:
    return {"ALERTD_EMAIL__PASSWORD": "x"}


def test_the_example_is_valid_as_it_is() -> None:
    """Whoever begins with it begins with something that works, and without warnings."""
    config = load(EXAMPLE, example_environment())

    assert (
        "fatal-burst",
        "fatal-per-bundle",
        "ssh-bruteforce",
        "password-spraying",
        "session-of-root",
        "new-app",
        "login-from-elsewhere",
        "error-share",
        "slow-checkout",
        "few-frames",
        "break-in",
        "forgotten-session",
        "backup-missing",
        "report-missing",
        "error-spike",
        "everything-burns",
    ) == tuple(rule.name for rule in config.rules)
    assert () == config.warnings


def test_the_example_names_every_key() -> None:
    """A key that is not in it does not exist for most people."""
    lines = [line.removeprefix("# ") for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]
    keys = {key for table in TABLES for key in table.known} - {
        "email",
        "state",
        "log",
        "source",
        "rule",
        "test",
        "step",
    }

    missing = {key for key in keys if not any(line.startswith(f"{key} = ") for line in lines)}

    assert set() == missing


def test_the_defaults_in_the_example_are_the_defaults() -> None:
    """What is commented out changes nothing when it is not."""
    text = EXAMPLE.read_text(encoding="utf-8")
    known = "|".join(key for table in TABLES for key in table.known).split("|")
    lines = [
        line.removeprefix("# ")
        if line.startswith("# ") and line[2:].partition(" = ")[0] in known and "…" not in line
        else line
        for line in text.splitlines()
    ]

    as_it_is = load_text(text, environ=example_environment())
    spelled_out = load_text("\n".join(lines), environ=example_environment())

    assert text.splitlines() != lines
    assert as_it_is == spelled_out


# --- anything at all

KEYS = st.sampled_from(
    [
        *Document.known,
        *EmailTable.known,
        *SourceTable.known,
        *RuleTable.known,
        *RuleTestTable.known,
        "a.b",
        "",
        "not",
        "regex",
        "at_least",
    ]
) | st.text(max_size=5)
VALUES = st.recursive(
    st.none().map(lambda _: "1979-05-27T07:32:00Z")
    | st.booleans().map(lambda value: "true" if value else "false")
    | st.integers().map(str)
    | st.floats().map(lambda value: repr(value) if value == value else "nan")  # noqa: PLR0124
    | st.text(alphabet=string.printable, max_size=12).map(
        lambda text: '"' + "".join(f"\\u{ord(character):04x}" for character in text) + '"'
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(KEYS, inner, max_size=3).map(
            lambda table: "{" + ", ".join(f"{quote(k)} = {v}" for k, v in table.items()) + "}"
        )
    ),
    max_leaves=6,
)


def quote(key: str) -> str:
    return '"' + "".join(f"\\U{ord(character):08x}" for character in key) + '"'


@pytest.fixture(scope="module")
def garbage_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("garbage") / "alertd.toml"


def outcome(path: Path, content: str, environ: dict[str, str]) -> Config | ConfigError:
    path.write_text(content, encoding="utf-8", newline="")
    path.chmod(0o600)
    try:
        return load(path, environ)
    except ConfigError as error:
        return error


def is_explained(path: Path, found: Config | ConfigError) -> bool:
    if isinstance(found, Config):
        return bool(found.rules and found.sources)
    return bool(found.errors) and all(
        line.startswith((f"{path}:", "environment: ALERTD_")) and line == visible(line)
        for line in found.errors
    )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    top=st.dictionaries(KEYS, VALUES, max_size=2),
    email=st.dictionaries(KEYS, VALUES, max_size=3),
    source=st.dictionaries(KEYS, VALUES, max_size=3),
    rule=st.dictionaries(KEYS, VALUES, max_size=3),
    variable=st.sampled_from(["HOST", "PORT", "RECIPIENTS", "SECURITY", "X"]),
    text=st.text(alphabet=string.printable, max_size=8),
)
def test_garbage_is_refused_in_words(  # noqa: PLR0917 - one per table
    garbage_path: Path,
    top: dict[str, str],
    email: dict[str, str],
    source: dict[str, str],
    rule: dict[str, str],
    variable: str,
    text: str,
) -> None:
    """Whatever TOML holds, it loads or is explained line by line, without a traceback."""
    tables = {"": top, "[email]": email, "[source.a]": source, "[rule.a]": rule}
    content = "\n".join(
        "\n".join([header, *(f"{quote(key)} = {value}" for key, value in table.items())])
        for header, table in tables.items()
    )

    found = outcome(garbage_path, content, {f"ALERTD_EMAIL__{variable}": text})

    assert is_explained(garbage_path, found), found


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=string.printable + "é\x00\u2028", max_size=80))
def test_what_is_no_toml_is_refused_in_words(garbage_path: Path, content: str) -> None:
    """Neither do bytes that are no TOML end in a traceback."""
    found = outcome(garbage_path, content, {})

    assert isinstance(found, ConfigError)
    assert is_explained(garbage_path, found), found
