"""What stands behind a match's key where a rule judges more than that a line matches."""

from __future__ import annotations

import json
import re
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest
from core.examples import rule
from core.slow_matching import keys_of
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core.events import Batch
from alertd.core.framing import Framing
from alertd.core.matching import Matcher
from alertd.core.rules import HIT, MISS, Condition, Conjunction, Pattern, Source, Step

if TYPE_CHECKING:
    from alertd.core.matching import Counters
    from alertd.core.rules import Rule

STATUS = st.sampled_from(["200", "404", "500", "503", '"500"', "null"])
PATHS = st.sampled_from(["/checkout", "/cart", "/checkout/2"])
HOSTS = st.sampled_from(["a", "b", None])
SERVER_ERROR = (Conjunction((Condition("status", "at_least", 500.0),)),)
CHECKOUT = (Conjunction((Condition("path", "equals", "/checkout"),)),)


def source(**changes: Any) -> Source:
    """Make a source of JSON lines without times."""
    settings: dict[str, Any] = {"format": "json", "timestamp": "none", "timezone": UTC}
    return Source("app", ("/var/log/app",), **{**settings, **changes})


def found(by: Rule, lines: list[str], **changes: Any) -> tuple[list[tuple[Any, ...]], Counters]:
    """Match lines; give the number of the line, the key and the text of each match."""
    data = "".join(f"{line}\n" for line in lines).encode()
    batch = Batch("1", "app", "/var/log/app", 0, data, 1.0)
    matched = Matcher(source(**changes), [by]).match(batch, Framing())
    assert len(data) == matched.consumed
    return [
        (data.count(b"\n", 0, match.offset), match.key, match.line) for match in matched.matches
    ], matched.counters


@given(rows=st.lists(st.tuples(STATUS, PATHS, HOSTS), min_size=1, max_size=30))
@pytest.mark.parametrize("is_grouped", [False, True])
@pytest.mark.parametrize("is_of", [False, True])
@pytest.mark.parametrize("leaves_out", [False, True])
def test_a_share_is_asked_of_all_lines_or_of_those_that_of_finds(
    *,
    rows: list[tuple[str, str, str | None]],
    is_grouped: bool,
    is_of: bool,
    leaves_out: bool,
) -> None:
    """Each such line counts; those that match are hits, unless they are left out."""
    by = rule(
        kind="ratio",
        match=SERVER_ERROR,
        of=CHECKOUT if is_of else (),
        unless=(Pattern("503"),) if leaves_out else (),
        group_by=("host",) if is_grouped else (),
    )
    lines = [
        f'{{"status": {status}, "path": "{path}", "host": {json.dumps(host)}}}'
        if host
        else f'{{"status": {status}, "path": "{path}"}}'
        for status, path, host in rows
    ]
    expected: list[tuple[Any, ...]] = []
    lacking = 0
    for number, (status, path, host) in enumerate(rows):
        if is_of and path != "/checkout":
            continue
        if is_grouped and host is None:
            lacking += 1
            continue
        is_hit = status.strip('"') in {"500", "503"} and not (leaves_out and status == "503")
        key = (*([host] if is_grouped else []), HIT if is_hit else MISS)
        expected.append((number, key, lines[number] if is_hit else ""))

    matches, counters = found(by, lines)

    assert expected == matches
    assert ({"fatal": lacking} if lacking else {}) == counters.without_key


@given(lines=st.lists(st.sampled_from(["x ERROR", "ok", "", "ERROR", "é"]), min_size=1))
def test_a_share_of_all_lines_counts_empty_ones_too(lines: list[str]) -> None:
    """A line is a line."""
    matches, _ = found(rule(kind="ratio", match=(Pattern("ERROR"),)), lines, format="plain")

    assert [
        (number, (HIT,), line) if "ERROR" in line else (number, (MISS,), "")
        for number, line in enumerate(lines)
    ] == matches


def test_beside_other_rules_a_share_of_all_lines_keeps_the_order() -> None:
    """Of the lines, then of the rules."""
    rules = [
        rule("share", kind="ratio", match=(Pattern("b"),)),
        rule("other", match=(Pattern("b"),)),
    ]
    batch = Batch("1", "app", "/var/log/app", 0, b"a\nb\nc", 1.0, is_final=True)

    matches = Matcher(source(format="plain"), rules).match(batch, Framing()).matches

    assert [("share", 0), ("share", 2), ("other", 2), ("share", 4)] == [
        (match.rule, match.offset) for match in matches
    ]


def test_the_groups_of_a_ratio_are_those_of_the_lines_of_which_a_share_is_asked() -> None:
    """A line that is no hit has no others."""
    by = rule(
        kind="ratio",
        match=(Pattern("failed"),),
        of=(Pattern(r"login (?P<user>\w+)"),),
        group_by=("user",),
    )

    matches, _ = found(by, ["login ann failed", "failed", "login bob"], format="plain")

    assert [(0, ("ann", HIT), "login ann failed"), (2, ("bob", MISS), "")] == matches


@given(
    values=st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.sampled_from(["", "12", " 3 ", "1e201", "-1e201", "1e200", "1e999", "12ms", "nan"]),
            st.integers(250, 260).map(lambda length: "0" * (length - 1) + "1"),
        ),
        min_size=1,
    )
)
def test_a_metric_takes_what_is_a_number_as_it_is_spelled(values: list[str]) -> None:
    """Others lack the field, and so do numbers so large that their sum could be none."""
    by = rule(kind="metric", metric="avg", value="ms", match=(Pattern("ms"),))
    pattern = re.compile(r"\s*[-+]?\d+\.?\d*(e[-+]?\d+)?\s*")
    taken = [
        (number, (value,))
        for number, value in enumerate(values)
        if pattern.fullmatch(value) and abs(float(value)) <= 1e200 and len(value) <= 256
    ]

    matches, counters = found(by, [json.dumps({"ms": value}) for value in values])

    assert taken == [(number, key) for number, key, _ in matches]
    assert len(values) - len(taken) == counters.without_key.get("fatal", 0)


def following(*steps: Step, **changes: Any) -> Rule:
    """Make a sequence by address."""
    match = tuple(alternative for step in steps for alternative in step.match)
    return rule(kind="sequence", steps=steps, match=match, **{"group_by": ("ip",), **changes})


PATTERNS = st.sampled_from(
    [
        Pattern(r"from (?P<ip>\w)"),
        Pattern(r"to (?P<ip>\w)"),
        Pattern(r"from (?P<ip>\w) to|denied"),
        Pattern(r"denied"),
        Pattern(r"(?P<ip>x)?"),
    ]
)
SELECTORS = st.lists(PATTERNS, min_size=1, max_size=2).map(tuple)
LINES = (
    "from a",
    "from a to a",
    "from a to b",
    "to b from a",
    "denied",
    "denied from x",
    "to a secret",
    "other",
    "",
)


@given(
    steps=st.lists(
        st.builds(Step, SELECTORS, st.one_of(st.just(()), SELECTORS)), min_size=2, max_size=4
    ),
    unless=st.sampled_from([(), (Pattern("secret"),)]),
    lines=st.lists(st.sampled_from(LINES), min_size=1),
)
@settings(max_examples=300)
def test_a_line_counts_for_every_step_that_finds_it(
    steps: list[Step], unless: tuple[Pattern, ...], lines: list[str]
) -> None:
    """By the key that it has there, the latest step first."""
    by = following(*steps, unless=unless)
    expected = [
        (number, key, line)
        for number, line in enumerate(lines)
        for key in keys_of(by, line, {"line": line})
    ]

    matches, _ = found(by, lines, format="plain")

    assert expected == matches


def test_a_line_that_has_no_key_in_any_step_lacks_the_field() -> None:
    """Where it has one in some, it counts there."""
    by = following(
        Step((Pattern(r"failed( from (?P<ip>\w))?"),)), Step((Pattern(r"login (?P<ip>\w)"),))
    )

    matches, counters = found(by, ["failed", "failed login b", "ok"], format="plain")

    assert [(1, ("b", "2"), "failed login b")] == matches
    assert {"fatal": 1} == counters.without_key


def test_what_a_step_leaves_out_may_be_told_by_a_field_of_its_own() -> None:
    """It is read although nothing else asks for it."""
    by = following(
        Step(SERVER_ERROR, (Conjunction((Condition("client.host", "equals", "a"),)),)),
        Step(CHECKOUT),
        group_by=(),
    )

    matches, _ = found(
        by, ['{"status": 500, "client": {"host": "a"}}', '{"status": 500, "client": {"host": "b"}}']
    )

    assert [(1, ("1",))] == [(number, key) for number, key, _ in matches]


def test_it_is_explained_for_which_steps_a_line_will_do() -> None:
    """And for which it will not, and why."""
    by = following(
        Step((Pattern(r"from (?P<ip>\w)"),)),
        Step((Pattern(r"to (?P<ip>\w)"),), (Pattern("never"),)),
        Step((Pattern(r"from (?P<ip>\w) .*end"),), is_absent=True),
    )

    assert (True, "as step 1") == explained(by, "from a")
    assert (True, "as step 3 or 1") == explained(by, "from a to never end")
    assert (True, "as step 3 or 1; also for ip = b as step 2") == explained(by, "from a to b end")
    assert (
        False,
        "step 1: 'from (?P<ip>\\w)' is not in it; step 2: it matches, but unless leaves it out; "
        "step 3: 'from (?P<ip>\\w) .*end' is not in it",
    ) == explained(by, "to never")


def explained(by: Rule, line: str) -> tuple[bool, str]:
    """Give what a rule makes of a line."""
    (verdict,) = Matcher(source(), [by]).explain(line, Framing(), 1.0).verdicts
    return verdict.is_match, verdict.reason


def test_what_a_rule_makes_of_a_line_is_explained() -> None:
    """Whether it is a hit, or only one of all; and that a number is missing."""
    share = rule(kind="ratio", match=SERVER_ERROR, of=CHECKOUT)
    metric = rule(kind="metric", metric="avg", value="ms", match=CHECKOUT)

    assert (True, "as one of all; a hit") == explained(
        share, '{"path": "/checkout", "status": 500}'
    )
    assert (
        True,
        'as one of all; no hit: field status is "200", which is not what is asked for',
    ) == explained(share, '{"path": "/checkout", "status": 200}')
    assert (False, 'field path is "/", which is not what is asked for') == explained(
        share, '{"path": "/", "status": 500}'
    )
    assert (False, 'it matches, but lacks a number in the field "ms"') == explained(
        metric, '{"path": "/checkout", "ms": "fast"}'
    )
    assert (False, 'field path is "/", which is not what is asked for') == explained(
        metric, '{"path": "/", "ms": 5}'
    )


def test_a_share_of_all_lines_is_said_to_need_every_line() -> None:
    """So that nobody wonders why it takes time; with ``of`` it is found like any other."""
    share = rule(kind="ratio", match=SERVER_ERROR)
    of = rule("of", kind="ratio", match=SERVER_ERROR, of=CHECKOUT)

    slow, fast = Matcher(source(), [share, of]).strategies()

    assert (
        "slow, every line is tested: it asks for a share of them all; write `of` if some are meant"
        == slow.description
    )
    assert not fast.is_slow
