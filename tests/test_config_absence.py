"""What a rule waits for, as its user writes it."""

from __future__ import annotations

from datetime import UTC, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from alertd import config
from alertd.core.daily import Daily
from alertd.core.rule_tests import run_tests
from alertd.matchers import compile_matchers

if TYPE_CHECKING:
    from pathlib import Path

    from alertd.core.rules import Rule

BERLIN = ZoneInfo("Europe/Berlin")
GROUPED = 'within = "1h"\ngroup_by = "db"\n'


def loaded(directory: Path, keys: str, *, zones: tuple[str, ...] = ("UTC",)) -> config.Config:
    """Load a rule that waits for lines of some sources."""
    path = directory / "alertd.toml"
    sources = "".join(
        f'[source.s{number}]\npaths = ["/var/log/{number}.log"]\ntimezone = "{zone}"\n'
        for number, zone in enumerate(zones)
    )
    path.write_text(
        '[email]\nhost = "smtp.example.com"\nsender = "alertd@example.com"\n'
        f'recipients = ["ops@example.com"]\n{sources}[rule.x]\nkind = "absence"\n'
        f"match = 'done (?P<db>\\w+) (?P<job>\\w+)$'\n{keys}\n"
    )
    path.chmod(0o600)
    return config.load(path, {})


def refused(directory: Path, keys: str, **more: tuple[str, ...]) -> list[str]:
    """Return what is wrong with a rule."""
    with pytest.raises(config.ConfigError) as caught:
        loaded(directory, keys, **more)
    return list(caught.value.errors)


def made(directory: Path, keys: str, **more: tuple[str, ...]) -> Rule:
    """Return the rule."""
    (rule,) = loaded(directory, keys, **more).rules
    return rule


def test_one_line_is_enough_where_nothing_is_said(tmp_path: Path) -> None:
    """Fewer than one is none."""
    rule = made(tmp_path, 'within = "25h"')

    assert (0, 90_000.0, 90_000.0, None, ()) == (
        rule.more_than,
        rule.within,
        rule.cooldown,
        rule.by,
        rule.expect,
    )
    assert 2 == made(tmp_path, 'fewer_than = 3\nwithin = "1h"').more_than


@pytest.mark.parametrize("by", ['"02:30"', '"2:30"', '"02:30:00"', "02:30:00"])
def test_a_time_of_day_is_that_of_the_sources_and_no_day_is_a_repeat(
    tmp_path: Path, by: str
) -> None:
    """In quotes or as TOML has it; by default there is no cooldown."""
    rule = made(tmp_path, f"by = {by}", zones=("Europe/Berlin", "Europe/Berlin"))

    assert (Daily(time(2, 30), BERLIN), 0.0, 0.0) == (rule.by, rule.within, rule.cooldown)


def test_a_rule_may_have_a_time_zone_of_its_own(tmp_path: Path) -> None:
    """And a window that ends at that time of day."""
    rule = made(
        tmp_path,
        'by = "02:30"\ntimezone = "UTC"\nwithin = "26h"\ncooldown = "1h"',
        zones=("Europe/Berlin", "Asia/Tokyo"),
    )

    assert (Daily(time(2, 30), UTC), 93_600.0, 3600.0) == (rule.by, rule.within, rule.cooldown)


def test_only_what_is_expected_is_remembered(tmp_path: Path) -> None:
    """A value that is too long for a key is shortened as that of a line is."""
    rule = made(
        tmp_path, f'within = "1h"\ngroup_by = "db"\nexpect = ["a", "b", "a", "{"x" * 300}"]'
    )

    assert (("a",), ("b",)) == rule.expect[:2]
    assert [1, 1, 217] == [len(db) for (db,) in rule.expect]
    assert 3 == rule.max_keys


def test_several_fields_are_expected_together(tmp_path: Path) -> None:
    """A list for each key, in the order of group_by."""
    rule = made(
        tmp_path,
        'within = "1h"\ngroup_by = ["db", "job"]\nexpect = [["a", "full"], ["b", "log"]]',
    )

    assert (("a", "full"), ("b", "log")) == rule.expect


EXPECT = 'write it like ["db1", "db2"], or [["db1", "backup"], ["db2", "backup"]] for two fields'


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ("", 'within: is missing; write within = "25h", or by = "02:30" for a time of day'),
        ('by = "25:00"', 'by: "25:00" is not a time of day; write it like "02:30"'),
        ('by = "noon"', 'by: "noon" is not a time of day; write it like "02:30"'),
        ("by = 02:30:00.5", 'by: 02:30:00.500000 is not a time of day; write it like "02:30"'),
        (
            'within = "1h"\ntimezone = "UTC"',
            "timezone: means nothing without by; remove it",
        ),
        (
            'within = "1h"\nfewer_than = 0',
            "fewer_than: 0 is not between 1 and 100,000; write a number like 1",
        ),
        (
            'within = "1h"\nexpect = ["a"]',
            "expect: means nothing without group_by; write group_by = the field in which a stands",
        ),
        (f"{GROUPED}expect = []", f"expect: expected a list of texts, got []; {EXPECT}"),
        (f'{GROUPED}expect = "a"', f'expect: expected a list of texts, got "a"; {EXPECT}'),
        (f"{GROUPED}expect = [5]", f"expect: expected text, got 5; {EXPECT}"),
        (
            f'{GROUPED}expect = [["a", "b"]]',
            'expect: ["a", "b"] is no key of this rule; write for each one the value of db',
        ),
        (
            'within = "1h"\ngroup_by = ["db", "job"]\nexpect = ["a"]',
            'expect: "a" is no key of this rule; write for each one a list of the values of db, '
            "job",
        ),
        (
            f'{GROUPED}max_keys = 1\nexpect = ["a", "b"]',
            "max_keys: is 1, but 2 keys are expected; remove it",
        ),
        (
            'within = "1h"\nmore_than = 5',
            'more_than: means nothing for kind = "absence"; remove it, or write kind = "threshold" '
            'or "distinct" or "ratio" or "metric" or "alerts"',
        ),
    ],
)
def test_a_mistake_is_refused_with_value_and_remedy(tmp_path: Path, keys: str, what: str) -> None:
    """One mistake, one line."""
    assert [f'alertd.toml: rule "x": {what}'] == [
        error.replace(f"{tmp_path}/", "") for error in refused(tmp_path, keys)
    ]


def test_sources_of_different_zones_do_not_say_what_time_it_is(tmp_path: Path) -> None:
    """Half past two is then two times."""
    (error,) = refused(tmp_path, 'by = "02:30"', zones=("Europe/Berlin", "Asia/Tokyo"))

    assert error.endswith(
        'rule "x": timezone: is missing, and its sources\' lines are of Asia/Tokyo and '
        'Europe/Berlin; write timezone = "Asia/Tokyo" or another one'
    )


def test_a_rule_that_waits_can_be_tested(tmp_path: Path) -> None:
    """Time passes up to the last line; what rang is told with the line after which it did."""
    settings = loaded(
        tmp_path,
        """within = "1h"
[[rule.x.test]]
lines = ["2026-03-01 12:00:00 done a b", "2026-03-01 13:00:01 other"]
alerts = 1
counts = [0]
[[rule.x.test]]
lines = ["2026-03-01 12:00:00 done a b", "2026-03-01 13:00:00 other"]
alerts = 0
[[rule.x.test]]
lines = ["2026-03-01 12:00:00 x", "2026-03-01 12:30:00 done a b", "2026-03-01 13:30:01 other"]
alerts = 0
[[rule.x.test]]
lines = ["2026-03-01 12:00:00 x", "2026-03-01 13:30:01 other"]
alerts = 1
counts = [1]
""",
    )
    matchers = compile_matchers(settings.sources, settings.rules)

    assert [
        "",
        "",
        "expected 0 alerts, got 1: rang after line 2",
        "alert 1, after line 0: expected a count of 1, got 0",
    ] == [
        result.problem
        for result in run_tests(settings.tests, settings.rules, settings.sources, matchers)
    ]
