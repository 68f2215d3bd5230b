"""Every kind of rule raises the alerts that looking at all events anew each time finds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, get_args

import pytest
from core.detectors.oracles import ORACLES, Event, Found, with_cooldown
from core.examples import match, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core.detectors import DETECTORS
from alertd.core.engine import Engine, worst_case_bytes
from alertd.core.events import Notice
from alertd.core.render.story import tell
from alertd.core.rules import Kind, Pattern
from alertd.core.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alertd.core.events import Alert
    from alertd.core.rules import Rule


EVENTS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from("ab"), st.sampled_from(["x", "y", "z", "", "é"])),
    max_size=50,
)


def events(gaps: Sequence[tuple[int, str, str]]) -> list[Event]:
    """Put events into time order, from the gaps between them."""
    made, now = [], 0
    for gap, key, value in gaps:
        now += gap
        made.append(Event(now, key, value))
    return made


def raised(by: Rule, happened: Sequence[Event], frozen_after: int) -> list[Alert]:
    """Feed an engine that is frozen and taken up again after so many events."""
    matches = [
        match(
            float(event.time),
            (event.key, event.value) if by.value else (event.key,),
            rule=by.name,
        )
        for event in happened
    ]
    engine = Engine([by])
    alerts = engine.feed(matches[:frozen_after])
    again = Engine([by], {by.name: engine.freeze(by.name)})
    assert again.taken_up == {by.name}
    return alerts + again.feed(matches[frozen_after:])


@pytest.mark.parametrize(
    ("kind", "oracle"),
    [
        (kind, oracle)
        for kind, oracle in ORACLES.items()
        if kind not in {"ratio", "metric", "sequence", "spike"}
    ],
)
@given(
    gaps=EVENTS,
    frozen_after=st.integers(0, 50),
    more_than=st.integers(0, 3),
    within=st.integers(1, 40),
    cooldown=st.integers(0, 60),
    learn=st.integers(0, 30),
)
@settings(max_examples=500)
def test_alerts_are_those_of_brute_force(
    *,
    kind: Kind,
    oracle: Callable[[Rule, Sequence[Event]], Iterator[Found]],
    gaps: list[tuple[int, str, str]],
    frozen_after: int,
    more_than: int,
    within: int,
    cooldown: int,
    learn: int,
) -> None:
    """Whatever the order of keys and values, and across a restart."""
    is_windowed = kind == "distinct"
    by = rule(
        kind=kind,
        group_by=("key",),
        value="" if kind == "match" else "value",
        more_than=more_than if is_windowed else 0,
        within=float(within) if is_windowed else 0.0,
        cooldown=float(cooldown),
        learn=float(learn),
    )
    happened = events(gaps)

    expected = with_cooldown(by.cooldown, oracle(by, happened))

    assert expected == [
        Found(alert.time, dict(alert.key)["key"], alert.count, alert.values)
        for alert in raised(by, happened, frozen_after)
    ]


@pytest.mark.parametrize(
    ("kind", "values", "since_last"),
    [
        ("match", "xxxx", [1, 3]),
        ("distinct", "xyxx", [2, 2]),
        ("new_value", "xyzx", [1, 2]),
        ("change", "xyxx", [1]),
    ],
)
def test_what_a_cooldown_hides_is_counted(kind: Kind, values: str, since_last: list[int]) -> None:
    """Of new and of changed values only those count that would have rung."""
    by = rule(
        kind=kind,
        value="" if kind == "match" else "value",
        group_by=("key",),
        more_than=int(kind == "distinct"),
        within=100.0,
        cooldown=3.0,
    )
    times = (0, 1, 2, 3) if kind != "distinct" else (0, 1, 2, 4)
    if kind == "new_value":
        times = (0, 1, 3, 4)

    alerts = raised(by, [Event(*one) for one in zip(times, "aaaa", values, strict=True)], 2)

    assert since_last == [alert.since_last for alert in alerts]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"kind": "match"},
            "fatal: mails ops@example.com on every line matching 'Fatal'; "
            "then stays quiet for 10 minutes.",
        ),
        (
            {"kind": "distinct", "value": "user", "group_by": ("ip",)},
            "fatal: mails ops@example.com on the line that brings the 3rd different user within "
            "1 minute, of the lines matching 'Fatal', counted per ip; "
            "then stays quiet about that ip for 10 minutes.",
        ),
        (
            {"kind": "new_value", "value": "code", "cooldown": 0.0, "learn": 86_400.0},
            "fatal: mails ops@example.com on a line matching 'Fatal' whose code was never seen "
            "before (what the first 1 day bring is only remembered).",
        ),
        (
            {"kind": "new_value", "value": "code", "group_by": ("app",), "cooldown": 0.0},
            "fatal: mails ops@example.com on a line matching 'Fatal' whose code was never seen "
            "before, remembered per app.",
        ),
        (
            {"kind": "change", "value": "version", "group_by": ("app",), "cooldown": 0.0},
            "fatal: mails ops@example.com on a line matching 'Fatal' whose version is not that of "
            "the one before, compared per app.",
        ),
        (
            {"kind": "ratio", "share": (25, 1000), "cooldown": 0.0},
            "fatal: mails ops@example.com on a line matching 'Fatal' that makes such lines more "
            "than 2.5 % of all lines within 1 minute (in slices of 0.5 seconds); then again on "
            "every further line past that limit.",
        ),
        (
            {
                "kind": "ratio",
                "share": (5, 100),
                "of": (Pattern("GET (?P<host>.*)"),),
                "group_by": ("host",),
                "min_total": 1200,
            },
            "fatal: mails ops@example.com on a line matching 'Fatal' that makes such lines more "
            "than 5 % of the lines matching 'GET (?P<host>.*)' within 1 minute (in slices of 0.5 "
            "seconds), counted per host, once there are 1,200 of those; then stays quiet about "
            "that host for 10 minutes.",
        ),
        (
            {"kind": "metric", "metric": "p95", "value": "ms", "bound": 1500.0},
            "fatal: mails ops@example.com on a line matching 'Fatal' with which the p95 of ms "
            "within 1 minute (in slices of 0.5 seconds) is more than 1,500; then stays quiet for "
            "10 minutes.",
        ),
        (
            {
                "kind": "metric",
                "metric": "avg",
                "value": "ms",
                "bound": 0.25,
                "is_below": True,
                "min_total": 20,
                "group_by": ("key",),
            },
            "fatal: mails ops@example.com on a line matching 'Fatal' with which the avg of ms "
            "within 1 minute (in slices of 0.5 seconds) is less than 0.25, measured per key, once "
            "there are 20 values; then stays quiet about that key for 10 minutes.",
        ),
    ],
)
def test_a_rule_of_each_kind_in_one_sentence(changes: dict[str, Any], expected: str) -> None:
    """It says what rings, and what each key has of its own."""
    changes = {"more_than": 2 if changes["kind"] == "distinct" else 0, **changes}

    assert expected == sentence(rule(**changes))


@pytest.mark.parametrize(
    ("kind", "subject", "measure"),
    [
        ("match", "fatal: key a - an event on web1", "1 event; each one rings."),
        (
            "distinct",
            "fatal: key a - more than 1 different value of value in 1 minute on web1",
            "2 different values of value within 1 second; the limit is 1 in 1 minute. "
            r"The last ones: x, \x1b[31m.",
        ),
        (
            "new_value",
            r"fatal: key a - new value \x1b[31m on web1",
            r"value \x1b[31m was never seen before.",
        ),
        (
            "change",
            r"fatal: key a - value is now \x1b[31m on web1",
            r"value is now \x1b[31m; before it was x.",
        ),
    ],
)
def test_a_mail_says_what_was_found(kind: Kind, subject: str, measure: str) -> None:
    """In the subject and in a sentence; no value is shown as a terminal would obey it."""
    by = rule(
        kind=kind,
        value="" if kind == "match" else "value",
        group_by=("key",),
        more_than=int(kind == "distinct"),
        cooldown=0.0,
    )
    alert = raised(by, [Event(0, "a", "x"), Event(1, "a", "\x1b[31m")], 1)[-1]
    notice = Notice(alert, ("ops@example.com",), "critical", "", 1.0)

    story = tell(notice, host="web1", timezone=UTC, sent_at=2.0, limit=1000)

    assert (subject, measure) == (story.subject, story.measure)


def test_at_its_limit_the_value_seen_longest_ago_is_forgotten() -> None:
    """What is common stays known, and what is forgotten is new again."""
    by = rule(kind="new_value", value="value", group_by=("key",), max_values=2, cooldown=0.0)
    seen = [Event(time, "a", value) for time, value in enumerate("xyxzxy")]

    assert ["x", "y", "z", "y"] == [alert.values[0] for alert in raised(by, seen, 4)]


def test_a_lower_limit_keeps_what_was_seen_last() -> None:
    """A reload does not ring for what is common."""
    before = rule(kind="new_value", value="value", group_by=("key",), cooldown=0.0, max_values=9)
    engine = Engine([before])
    engine.feed([match(0.0, ("a", value)) for value in "xyz"])

    again = Engine([replace(before, max_values=2)], {"fatal": engine.freeze("fatal")})

    assert [] == again.feed([match(1.0, ("a", value)) for value in "yz"])


def test_the_kinds_are_those_of_the_rule_model() -> None:
    """Each has a detector."""
    assert list(get_args(Kind)) == list(DETECTORS)


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_key_has_a_worst_case(kind: Kind) -> None:
    """It grows with what the key may have to remember, and counts once a key."""
    metric = "p95" if kind == "metric" else ""
    one = rule(kind=kind, value="value", metric=metric, more_than=10, max_values=100)
    keyed = replace(one, group_by=("key",))

    assert 500 < worst_case_bytes(one) < 50_000
    assert worst_case_bytes(keyed) > 10_000 * worst_case_bytes(one)
