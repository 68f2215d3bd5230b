"""The steps of a sequence, as its user writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alertd import config
from alertd.core.rules import Pattern, Step

if TYPE_CHECKING:
    from pathlib import Path

FAILED = "{ match = 'Failed from (?P<ip>.*)$', count = 5 }"
ACCEPTED = "{ match = 'Accepted from (?P<ip>.*)$' }"
RULE = f"""
[rule.ssh]
kind = "sequence"
group_by = "ip"
within = "5m"
step = [{FAILED}, {ACCEPTED}]
"""


def loaded(directory: Path, rule: str) -> config.Config:
    """Load a rule for a source of plain lines."""
    path = directory / "alertd.toml"
    path.write_text(
        '[email]\nhost = "smtp.example.com"\nsender = "alertd@example.com"\n'
        'recipients = ["ops@example.com"]\n[source.auth]\npaths = ["/var/log/auth.log"]\n' + rule
    )
    path.chmod(0o600)
    return config.load(path, {})


def test_a_sequence_looks_for_the_lines_of_all_its_steps(tmp_path: Path) -> None:
    """A step needs one line where nothing is said."""
    rule = """
[rule.x]
kind = "sequence"
within = "20m"
unless = "f"
step = [
  { match = ['a', 'b'], unless = 'c' }, { match = 'd', count = 7 }, { match = 'e', absent = true }
]
"""

    (made,) = loaded(tmp_path, rule).rules

    assert (
        Step((Pattern("a"), Pattern("b")), (Pattern("c"),)),
        Step((Pattern("d"),), count=7),
        Step((Pattern("e"),), is_absent=True),
    ) == made.steps
    assert tuple(map(Pattern, "abde")) == made.match
    assert ((Pattern("f"),), 0, 1200.0) == (made.unless, made.more_than, made.cooldown)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (
            "within = ",
            "match = 'x'\nwithin = ",
            "match: stands in each step of a sequence; write step = [{ match = 'ERROR' }, …]",
        ),
        (
            "within = ",
            "more_than = 5\nwithin = ",
            "more_than: means nothing for a sequence; write count = 5 in a step of which five "
            "lines are needed",
        ),
        (
            "within = ",
            "learn = '1d'\nwithin = ",
            'learn: means nothing for kind = "sequence"; remove it, or write kind = "new_value"',
        ),
        (
            'kind = "sequence"',
            "match = 'x'\nmore_than = 1",
            'step: means nothing for kind = "threshold"; remove it, or write kind = "sequence"',
        ),
        ('within = "5m"', "", 'within: is missing; write within = "10m"'),
        (
            f"step = [{FAILED}, {ACCEPTED}]",
            "",
            "step: is missing; write step = [{ match = 'ERROR' }, …]",
        ),
        (
            f", {ACCEPTED}",
            "",
            "step: has only one; write at least two, "
            "step = [{ match = 'ERROR' }, { match = 'ERROR' }]",
        ),
        (ACCEPTED, ", ".join([ACCEPTED] * 9), "step: has 10; write at most 9"),
        (
            "count = 5",
            "absent = true",
            "step 1: absent: is only for the last step; put the step there, or leave it out",
        ),
        (
            "' }]",
            "', absent = true, count = 1 }]",
            "step 2: count: means nothing for a step that is absent; remove it",
        ),
        (
            "count = 5",
            "count = 0",
            "step 1: count: 0 is not between 1 and 100,000; write a number like 5",
        ),
        (
            "count = 5",
            "count = '5'",
            'step 1: count: expected a whole number from 1 to 100,000, got "5"; '
            "write 5 without quotes",
        ),
        (
            "count = 5",
            "absent = 1",
            "step 1: absent: expected true or false, got 1; write it without quotes",
        ),
        (
            "count = 5",
            "more_than = 5",
            'step 1: unknown key "more_than"; the keys here are match, unless, count, absent',
        ),
        (
            "match = 'Failed from (?P<ip>.*)$',",
            "",
            'step 1: match: is missing; write match = "ERROR"',
        ),
        (
            "Accepted from (?P<ip>.*)$",
            "Accepted$",
            'step 2: group_by: no line can have a field "ip"; there are only line '
            "(a regex in its match adds fields by (?P<name>…))",
        ),
        (
            "count = 5",
            "unless = { user = 'x' }",
            'step 1: unless: no line can have a field "user"; there are only ip, line '
            "(a regex in match adds fields by (?P<name>…))",
        ),
        (
            "within = ",
            "unless = { user = 'x' }\nwithin = ",
            'unless: no line can have a field "user"; there are only ip, line '
            "(a regex in match adds fields by (?P<name>…))",
        ),
        (
            "count = 5",
            "unless = '''a\n'''",
            "step 1: unless: 'a\\n' holds a line break, and "
            "no line does; write it on one line, or begin it with (?x)",
        ),
        (
            "step = [",
            "step = 5 # ",
            "step: expected a list of tables, got 5; write [[rule.ssh.step]]",
        ),
        (f"{ACCEPTED}]", "5]", "step 2: expected a table, got 5; write [[rule.ssh.step]]"),
    ],
)
def test_a_sequence_that_cannot_be_meant_is_refused(
    tmp_path: Path, old: str, new: str, what: str
) -> None:
    """One mistake, one line, with the step that it is in."""
    assert old in RULE

    with pytest.raises(config.ConfigError) as caught:
        loaded(tmp_path, RULE.replace(old, new, 1))

    assert (f'{tmp_path}/alertd.toml: rule "ssh": {what}',) == caught.value.errors


def test_the_steps_of_a_sequence_are_looked_at_one_by_one(tmp_path: Path) -> None:
    """For what the log's writer can forge, and for what matches every line."""
    rule = RULE.replace("Accepted from (?P<ip>.*)$", "(?P<ip>x|)|y$")

    warnings = loaded(tmp_path, rule).warnings

    assert [
        "step 2: match: whoever can write text into the line can forge ip",
        "step 2: match: '(?P<ip>x|)|y$' matches every line",
    ] == [
        warning.removeprefix(f'{tmp_path}/alertd.toml: rule "ssh": ')
        .split(", because")[0]
        .split(";")[0]
        for warning in warnings
    ]
