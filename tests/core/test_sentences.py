"""What ``alertd check`` says about a rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.escape import quoted
from alertd.core.rules import Condition, Conjunction, Pattern, Rule, Selector
from alertd.core.sentences import sentence
from alertd.core.wording import exactly, ordinal

FATAL = (Conjunction((Condition("severity", "equals", "Fatal"),)),)


def rule(
    match: Selector = FATAL,
    *,
    unless: Selector = (),
    group_by: tuple[str, ...] = (),
    more_than: int = 10,
    cooldown: float = 900.0,
    recipients: tuple[str, ...] = ("ops@example.com",),
) -> Rule:
    return Rule(
        name="fatal",
        sources=("mobile",),
        match=match,
        unless=unless,
        group_by=group_by,
        more_than=more_than,
        within=60.0,
        cooldown=cooldown,
        recipients=recipients,
    )


def test_a_sentence_names_recipients_limit_window_and_cooldown() -> None:
    """The limit is said as the line that passes it, not as the number that does not."""
    expected = (
        'fatal: mails ops@example.com on the 11th line with severity = "Fatal" within 1 minute; '
        "then stays quiet for 15 minutes."
    )

    assert expected == sentence(rule())


def test_a_group_is_counted_and_kept_quiet_by_itself() -> None:
    """``group_by`` means a window and a cooldown per value."""
    expected = (
        'fatal: mails a@example.com and b@example.com on the 11th line with severity = "Fatal" '
        "within 1 minute, counted per bundle_id; then stays quiet about that bundle_id for "
        "15 minutes."
    )
    grouped = rule(group_by=("bundle_id",), recipients=("a@example.com", "b@example.com"))

    assert expected == sentence(grouped)


def test_a_compound_group_is_a_combination() -> None:
    """Several fields make one key."""
    expected = (
        'fatal: mails ops@example.com on the 11th line with severity = "Fatal" within 1 minute, '
        "counted per host, user and ip; then stays quiet about that combination of host, user and "
        "ip for 15 minutes."
    )

    assert expected == sentence(rule(group_by=("host", "user", "ip")))


def test_a_limit_of_zero_is_every_line() -> None:
    """With ``more_than = 0`` the window does not matter, so it is not mentioned."""
    expected = (
        'fatal: mails ops@example.com on every line with severity = "Fatal"; then stays quiet '
        "about that ip for 15 minutes."
    )

    assert expected == sentence(rule(more_than=0, group_by=("ip",)))


def test_without_cooldown_every_further_line_mails() -> None:
    """``cooldown = "0s"`` never hides anything."""
    expected = (
        'fatal: mails ops@example.com on the 2nd line with severity = "Fatal" within 1 minute; '
        "then again on every further line past that limit."
    )

    assert expected == sentence(rule(more_than=1, cooldown=0.0))


def test_a_limit_of_zero_without_cooldown_needs_no_more_words() -> None:
    """Every line mails, and that is all."""
    expected = 'fatal: mails ops@example.com on every line with severity = "Fatal".'

    assert expected == sentence(rule(more_than=0, cooldown=0.0))


def test_alternatives_and_exceptions_are_said() -> None:
    """A list means any of, ``unless`` leaves out."""
    match = (Pattern(r"ERROR \d+"), Pattern("FATAL\t"), *FATAL)
    unless = (Conjunction((Condition("line", "contains", 'a "test"'),)),)
    expected = (
        "fatal: mails ops@example.com on the 11th line matching 'ERROR \\d+', matching 'FATAL\\t' "
        'or with severity = "Fatal" (leaving out lines with its whole text containing '
        '"a \\"test\\"") within 1 minute; then stays quiet for 15 minutes.'
    )

    assert expected == sentence(rule(match, unless=unless))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition("a", "equals", 500.0), "a = 500"),
        (Condition("a", "equals", 0.5), "a = 0.5"),
        (Condition("a", "equals", True), "a = true"),  # noqa: FBT003 - an operand
        (Condition("a", "equals", False), "a = false"),  # noqa: FBT003 - an operand
        (Condition("a", "any_of", ("x",)), 'a = "x"'),
        (Condition("a", "any_of", ("x", 2.0, True)), 'a = "x", 2 or true'),
        (Condition("a", "regex", r"^10\."), r"a matching '^10\.'"),
        (Condition("a", "contains", "x"), 'a containing "x"'),
        (Condition("a", "at_least", 5.0), "a at least 5"),
        (Condition("a", "at_most", 5.0), "a at most 5"),
        (Condition("a", "more_than", 5.0), "a more than 5"),
        (Condition("a", "less_than", 5.0), "a less than 5"),
        (Condition("a", "exists", True), "a present"),  # noqa: FBT003 - an operand
        (Condition("a", "exists", False), "a missing"),  # noqa: FBT003 - an operand
        (Condition("a", "not", (Condition("a", "equals", "x"),)), 'not (a = "x")'),
        (
            Condition(
                "a", "not", (Condition("a", "at_least", 5.0), Condition("a", "at_most", 7.0))
            ),
            "not (a at least 5 and a at most 7)",
        ),
    ],
)
def test_every_operator_has_words(condition: Condition, expected: str) -> None:
    """A condition reads as what it demands."""
    spelled = sentence(rule((Conjunction((condition, Condition("b", "equals", "y"))),)))

    assert f'on the 11th line with {expected} and b = "y" within' in spelled


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0 seconds"),
        (1.0, "1 second"),
        (0.5, "0.5 seconds"),
        (0.000001, "0.000001 seconds"),
        (59.0, "59 seconds"),
        (60.0, "1 minute"),
        (90.0, "1 minute 30 seconds"),
        (5400.0, "1 hour 30 minutes"),
        (3601.25, "1 hour 1.25 seconds"),
        (86400.0, "1 day"),
        (172800.0, "2 days"),
        (1209600.0, "14 days"),
        (59.9999999, "1 minute"),
    ],
)
def test_a_duration_is_spelled_out_exactly(seconds: float, expected: str) -> None:
    """Nothing is rounded that a configuration can say, and units that are zero are left out."""
    assert expected == exactly(seconds)


@given(st.integers(min_value=0, max_value=10**14))
def test_a_duration_can_be_read_back(microseconds: int) -> None:
    """What is spelled out adds up to what was meant, to the microsecond."""
    sizes = {"day": 86400e6, "hour": 3600e6, "minute": 60e6, "second": 1e6}
    words = exactly(microseconds / 1e6).split(" ")

    total = sum(
        round(float(number) * sizes[unit.removesuffix("s")])
        for number, unit in zip(words[::2], words[1::2], strict=True)
    )

    assert microseconds == total


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (101, "101st"),
        (111, "111th"),
        (1022, "1,022nd"),
        (100001, "100,001st"),
    ],
)
def test_ordinals_are_written_as_people_say_them(number: int, expected: str) -> None:
    """Eleven to thirteen are the exception, in every hundred."""
    assert expected == ordinal(number)


def test_what_a_terminal_would_obey_is_made_visible() -> None:
    """A value from a file cannot colour, move or break the line that shows it."""
    assert r'"a\x1b[31m\n\u2028\"\\ é"' == quoted('a\x1b[31m\n\u2028"\\ é')
