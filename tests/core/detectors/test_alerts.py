"""A rule that watches others counts their alerts, as they are raised."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest
from core.detectors.oracles import Event, Found, different, too_many, with_cooldown
from core.examples import match, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core.engine import Engine
from alertd.core.events import RANG, Notice
from alertd.core.render.story import tell
from alertd.core.sentences import sentence
from alertd.core.timeline import Timeline, Watched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

APP, WEB = ("app",), ("web",)
START = 1_790_000_000.0
STREAM = ("app", "web")


def seen(name: str, **changes: Any) -> Rule:
    """Make a rule that sees lines and rings on each."""
    given_ = {"more_than": 0, "within": 10.0, "cooldown": 0.0, "group_by": ("host",), **changes}
    return rule(name, **given_)


def watching(name: str, watches: tuple[str, ...], **changes: Any) -> Rule:
    """Make a rule that counts alerts of others."""
    given_ = {
        "kind": "alerts",
        "match": (),
        "sources": ("app", "web"),
        "more_than": 1,
        "within": 10.0,
        "cooldown": 0.0,
        **changes,
    }
    return rule(name, watches=watches, **given_)


def found(alerts: Sequence[Alert], name: str) -> list[Found]:
    """Give what an oracle knows of a rule's alerts."""
    return [
        Found(alert.time, dict(alert.key).get("host", ""), alert.count, alert.values)
        for alert in alerts
        if alert.rule == name
    ]


def events_of(alerts: Sequence[Alert], names: Sequence[str], *, by_host: bool) -> list[Event]:
    """Give what rules have raised as events, each no earlier than the one before."""
    events, newest = [], 0.0
    for alert in alerts:
        if alert.rule in names:
            newest = max(newest, alert.time)
            host = dict(alert.key).get("host", "") if by_host else ""
            events.append(Event(newest, host, alert.rule))
    return events


@given(
    gaps=st.lists(
        st.tuples(st.integers(-3, 8), st.sampled_from(["a", "b"]), st.sampled_from("xy")),
        max_size=50,
    ),
    frozen_after=st.dictionaries(
        st.sampled_from(["a", "b", "both", "top"]), st.integers(0, 50), max_size=4
    ),
    killed_after=st.integers(0, 50),
    more_than=st.integers(0, 3),
    within=st.sampled_from([1.0, 7.0, 20.0]),
    cooldowns=st.tuples(*[st.sampled_from([0.0, 3.0, 15.0])] * 3),
    by_host=st.booleans(),
    is_distinct=st.booleans(),
    resolve=st.booleans(),
)
@settings(max_examples=500)
def test_alerts_of_alerts_are_those_of_brute_force(
    *,
    gaps: list[tuple[int, str, str]],
    frozen_after: dict[str, int],
    killed_after: int,
    more_than: int,
    within: float,
    cooldowns: tuple[float, float, float],
    by_host: bool,
    is_distinct: bool,
    resolve: bool,
) -> None:
    """Each rule's state is taken at a time of its own, and what happened since is repeated."""
    a = seen("a", sources=APP, cooldown=cooldowns[0], resolve=resolve)
    b = seen("b", sources=WEB, cooldown=cooldowns[1])
    both = watching(
        "both",
        ("a", "b"),
        more_than=more_than,
        within=within,
        cooldown=cooldowns[2],
        group_by=("host",) if by_host else (),
        value="rule" if is_distinct else "",
        resolve=resolve,
    )
    top = watching("top", ("both", "b"), within=within, cooldown=5.0)
    rules = [top, a, both, b]
    fed: list[Match] = []
    newest: dict[str, float] = {}
    for gap, name, host in gaps:
        # Only among the lines of one rule is none earlier than the one before; but where time
        # passes by itself, it passes for all.
        last = max(newest.values(), default=START) + (abs(gap) if resolve else gap)
        newest[name] = max(last, newest.get(name, START))
        fed.append(match(newest[name], (host,), rule=name))

    engine = Engine(rules)
    shards = {one.name: engine.freeze(one.name) for one in rules}
    trails: dict[str, list[Match]] = {one.name: [] for one in rules}
    alerts: list[Alert] = []
    for number, one in enumerate(fed):
        if number == killed_after:
            engine = Engine(rules, shards)
            assert len(rules) == len(engine.taken_up)
            for trail in trails.values():
                engine.repeat(trail)
        for name, after in frozen_after.items():
            if number == after:
                shards[name], trails[name] = engine.freeze(name), []
        journal: list[Match] = []
        alerts += engine.feed([one], journal)
        for entry in journal:
            trails[entry.rule].append(entry)

    alerts = [alert for alert in alerts if alert.end is None]
    oracle = different if is_distinct else too_many
    its = events_of(alerts, ("a", "b"), by_host=by_host)
    above = events_of(alerts, ("both", "b"), by_host=False)
    alone = Engine([a, b]).feed(fed)
    assert [one.id for one in alone if one.end is None] == [
        one.id for one in alerts if one.rule in {"a", "b"}
    ]
    assert with_cooldown(cooldowns[2], oracle(both, its)) == found(alerts, "both")
    assert with_cooldown(5.0, too_many(top, above)) == found(alerts, "top")


def test_an_alert_is_an_event_at_once_and_through_others() -> None:
    """What it leads to follows it, each before the next line is judged."""
    rules = [
        seen("a"),
        watching("pair", ("a",)),
        watching("any", ("pair",), more_than=0),
    ]
    alerts = Engine(rules).feed([match(at, ("x",), rule="a") for at in (0, 1, 2)])

    assert ["a", "a", "pair", "any", "a", "pair", "any"] == [alert.rule for alert in alerts]


def test_what_a_cooldown_hides_and_what_is_over_is_no_event() -> None:
    """Others hear what people would."""
    rules = [seen("a", cooldown=100.0, resolve=True), watching("each", ("a",), more_than=0)]
    engine = Engine(rules)
    alerts = engine.feed([match(at, ("x",), rule="a") for at in (0, 1, 2)])
    alerts += [alert for some in engine.advance(("app", "web"), 50) for alert in some]

    assert [("a", 0), ("each", 0), ("a", 12)] == [(alert.rule, alert.time) for alert in alerts]


def test_an_event_shows_what_rang_and_its_line() -> None:
    """Its place is that of the line; it takes the time of the event before if that is later."""
    rules = [seen("a", sources=APP), seen("b", sources=WEB), watching("two", ("a", "b"))]
    [_, _, alert] = Engine(rules).feed(
        [match(10, ("x",), rule="a"), match(7, ("y",), rule="b", path="/web.log")]
    )

    assert (10, 7, "/web.log", 7000) == (alert.time, alert.event_time, alert.path, alert.offset)
    assert "b host=y: Fatal at 7" == alert.line
    assert ["a host=x: Fatal at 10", "b host=y: Fatal at 7"] == [one.line for one in alert.last]


def test_what_was_repeated_is_no_later_than_what_follows() -> None:
    """After a crash, too, no event of a rule that watches is earlier than the one before."""
    rules = [seen("a", sources=APP), seen("b", sources=WEB), watching("each", ("a", "b"))]
    before = Engine(rules)
    shards = {one.name: before.freeze(one.name) for one in rules}
    trail: list[Match] = []
    before.feed([match(10, ("x",), rule="a")], trail)
    after = Engine(rules, shards)
    after.repeat(trail)
    [_, alert] = after.feed([match(7, ("y",), rule="b")])

    assert (10, 7) == (alert.time, alert.event_time)


def test_an_alert_without_a_line_is_told_in_words() -> None:
    """Nothing came: there is no line to be shown, and none that it could be taken for."""
    rules = [
        rule("backup", kind="absence", more_than=0, within=10.0, cooldown=0.0),
        watching("each", ("backup",), more_than=0),
    ]
    engine = Engine(rules)
    engine.begun(("app", "web"), 0.0)
    [[missed, alert]] = list(engine.advance(("app", "web"), 11))

    assert ("backup", 10) == (missed.rule, missed.time)
    assert (10, RANG, "backup: nothing for 10 seconds") == (alert.time, alert.offset, alert.line)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            "two: mails ops@example.com on the 2nd alert of the rules a and b within 10 seconds; "
            "then again on every further alert past that limit.",
        ),
        (
            {"more_than": 0, "watches": ("a",), "cooldown": 60.0},
            "two: mails ops@example.com on every alert of the rule a; then stays quiet for "
            "1 minute.",
        ),
        (
            {"value": "rule", "group_by": ("host",), "cooldown": 60.0, "resolve": True},
            "two: mails ops@example.com on the alert with which the 2nd different one of the rules "
            "a and b has rung within 10 seconds, counted per host; then stays quiet about that "
            "host for 1 minute; says when it is over (10 seconds after it was last so).",
        ),
        (
            {"group_by": ("host",), "watches": tuple("abcdefg"), "cooldown": 60.0},
            "two: mails ops@example.com on the 2nd alert of the rules a, b, c, d, e and 2 more "
            "within 10 seconds, counted per host; then stays quiet about that host for 1 minute.",
        ),
    ],
)
def test_it_is_said_in_one_sentence(changes: dict[str, Any], expected: str) -> None:
    """It names whom it watches."""
    assert expected == sentence(replace(watching("two", ("a", "b")), **changes))


@pytest.mark.parametrize(
    ("changes", "subject", "measure"),
    [
        (
            {},
            "two: more than 1 alert in 10 seconds on web1",
            "2 alerts within 3 seconds; the limit is 1 in 10 seconds.",
        ),
        ({"more_than": 0}, "two: an alert on web1", "1 alert; each one rings."),
        (
            {"value": "rule"},
            "two: alerts of more than 1 rule in 10 seconds on web1",
            "Alerts of 2 rules (a, b) within 3 seconds; the limit is 1 in 10 seconds.",
        ),
        (
            {"within": 20.0, "more_than": 2},
            "two: more than 2 alerts in 20 seconds on web1",
            "3 alerts within 3 seconds; the limit is 2 in 20 seconds.",
        ),
    ],
)
def test_a_mail_says_how_many_alerts(changes: dict[str, Any], subject: str, measure: str) -> None:
    """And, where that is counted, of which rules."""
    rules = [seen("a"), seen("b"), watching("two", ("a", "b"), **changes)]
    alerts = Engine(rules).feed(
        [match(0, ("x",), rule="a"), match(3, ("y",), rule="b"), match(3, ("z",), rule="b")]
    )
    alert = next(alert for alert in alerts if alert.rule == "two")
    alert = alerts[-1] if changes.get("more_than") == 2 else alert
    alert = alert if changes.get("more_than") != 0 else alerts[1]
    notice = Notice(alert, ("ops@example.com",), "critical", "", 4.0)

    story = tell(notice, host="web1", timezone=UTC, sent_at=5.0, limit=1000)

    assert (subject, measure) == (story.subject, story.measure)


def test_alerts_at_one_time_are_at_the_same_time() -> None:
    """No length of time is said where there is none."""
    rules = [seen("a"), watching("two", ("a",))]
    alerts = Engine(rules).feed([match(3, (host,), rule="a") for host in "xy"])

    assert (
        "2 alerts at the same time"
        in tell(
            Notice(alerts[-1], ("ops@example.com",), "critical", "", 4.0),
            host="web1",
            timezone=UTC,
            sent_at=5.0,
            limit=1000,
        ).measure
    )


def test_a_timeline_counts_what_it_saw_of_others() -> None:
    """As it counts the lines of a rule that sees lines."""
    rules = [seen("a"), watching("two", ("a",))]
    timeline = Timeline(["a", "two"])
    Watched(rules, timeline).feed([match(at, ("x",), rule="a") for at in (0, 1, 2)])

    assert [("a", 3, 3), ("two", 3, 2)] == [
        (row.rule, row.lines, row.alerts) for row in timeline.rows(0, 3, 10)
    ]


def test_state_is_another_when_others_are_watched() -> None:
    """What was counted are the alerts of others."""
    rules = [seen("a"), seen("b"), watching("two", ("a",))]
    engine = Engine(rules)
    engine.feed([match(0, ("x",), rule="a")])
    changed = [*rules[:2], replace(rules[2], watches=("a", "b"))]
    after = Engine(changed, {name: engine.freeze(name) for name in ("a", "b", "two")})

    assert {"a", "b"} == after.taken_up
