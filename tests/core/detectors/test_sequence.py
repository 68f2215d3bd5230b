"""A sequence is found when trying every way of choosing events finds it."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from core.detectors.oracles import Event, Found, sequences, with_cooldown
from core.examples import match, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core.detectors.sequence import InOrder
from alertd.core.engine import Engine, worst_case_bytes
from alertd.core.events import Notice
from alertd.core.render import alert_as_json
from alertd.core.render.story import tell
from alertd.core.rules import Pattern, Step
from alertd.core.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

A, B, C = ((Pattern(regex),) for regex in ("A", "B", "C"))


def steps(*counts: int, absent: bool = False) -> tuple[Step, ...]:
    """Make steps that need so many lines; perhaps one more, that is to be absent."""
    made = [Step(selector, count=count) for selector, count in zip((A, B, C), counts, strict=False)]
    return (*made, Step((Pattern("Z"),), is_absent=True)) if absent else tuple(made)


def following(*of: Step, **changes: Any) -> Rule:
    """Make a rule that looks for steps within a minute and says each sequence."""
    settings: dict[str, Any] = {"more_than": 0, "cooldown": 0.0, "group_by": ("key",)}
    matches = tuple(alternative for step in of for alternative in step.match)
    return rule(kind="sequence", steps=of, match=matches, **{**settings, **changes})


BREAK_IN = following(*steps(5, 1))
FORGOTTEN = following(*steps(1, absent=True))


def lines(text: str, key: str = "a", gap: float = 1.0) -> list[Event]:
    """Make events, some seconds apart, each of which will do for one step."""
    return [Event(number * gap, key, step) for number, step in enumerate(text)]


def as_match(by: Rule, event: Event) -> Match:
    """Make a match that will do for steps, the latest first."""
    return match(event.time, (event.key, "".join(sorted(event.value, reverse=True))), rule=by.name)


def raised(by: Rule, happened: Sequence[Event], frozen_after: int = 0) -> list[Alert]:
    """Feed an engine that is frozen and taken up again after so many events; let time pass."""
    matches = [as_match(by, event) for event in happened]
    engine = Engine([by])
    alerts = engine.feed(matches[:frozen_after])
    again = Engine([by], {by.name: engine.freeze(by.name)})
    assert again.taken_up == {by.name}
    alerts += again.feed(matches[frozen_after:])
    return alerts + [alert for passed in again.advance(("app",), math.inf) for alert in passed]


def told(alerts: Sequence[Alert]) -> list[tuple[Found, float]]:
    """Give what an oracle knows of alerts."""
    return [
        (Found(alert.time, dict(alert.key)["key"], alert.count, ()), alert.since)
        for alert in alerts
    ]


def expected_of(by: Rule, happened: Sequence[Event]) -> list[tuple[Found, float]]:
    """Give what the oracle finds, by time, but for what a cooldown hides."""
    began = {(found.time, found.key): first for found, first in sequences(by, happened)}
    found = sorted((found for found, _ in sequences(by, happened)), key=lambda one: one.time)
    return [(one, began[one.time, one.key]) for one in with_cooldown(by.cooldown, iter(found))]


@given(
    gaps=st.lists(
        st.tuples(
            st.integers(0, 12),
            st.sampled_from("aaab"),
            st.sampled_from(["1", "1", "2", "3", "12", "23", "123"]),
        ),
        max_size=24,
    ),
    frozen_after=st.integers(0, 24),
    counts=st.sampled_from(
        [(1, 1), (2, 1), (1, 2), (3, 1), (2, 2), (1, 1, 1), (2, 1, 1), (1, 2, 1)]
    ),
    within=st.integers(1, 60),
    cooldown=st.sampled_from([0.0, 15.0]),
)
@settings(max_examples=500)
def test_a_sequence_is_found_when_brute_force_finds_it(
    *,
    gaps: list[tuple[int, str, str]],
    frozen_after: int,
    counts: tuple[int, ...],
    within: int,
    cooldown: float,
) -> None:
    """With the latest first event that it can have, whatever comes in between or at once."""
    by = following(*steps(*counts), within=float(within), cooldown=cooldown)
    happened, now = [], 1_790_000_000.0
    for gap, key, value in gaps:
        now += gap / 2
        fitting = "".join(step for step in value if int(step) <= len(counts))
        happened += [Event(now, key, fitting)] if fitting else []

    alerts = raised(by, happened, frozen_after)

    # Of one time, keys come in the order of their lines.
    assert sorted(expected_of(by, happened)) == sorted(told(alerts))


@given(
    gaps=st.lists(
        st.tuples(
            st.one_of(st.integers(0, 6), st.integers(0, 60)),
            st.sampled_from("aaab"),
            st.sampled_from(["1", "1", "2", "3", "12", "13", "23"]),
        ),
        max_size=24,
    ),
    frozen_after=st.integers(0, 24),
    counts=st.sampled_from([(1,), (2,), (3,), (1, 1), (2, 1)]),
    within=st.integers(1, 60),
    cooldown=st.sampled_from([0.0, 15.0, 60.0]),
)
@settings(max_examples=500)
def test_a_missing_step_is_found_when_brute_force_finds_it(
    *,
    gaps: list[tuple[int, str, str]],
    frozen_after: int,
    counts: tuple[int, ...],
    within: int,
    cooldown: float,
) -> None:
    """At the time up to which it was absent."""
    by = following(*steps(*counts, absent=True), within=float(within), cooldown=cooldown)
    happened, now = [], 1_790_000_000.0
    for gap, key, value in gaps:
        now += gap / 2
        fitting = "".join(step for step in value if int(step) <= len(by.steps))
        happened += [Event(now, key, fitting)] if fitting else []

    alerts = raised(by, happened, frozen_after)

    assert sorted(expected_of(by, happened)) == sorted(told(alerts))


@pytest.mark.parametrize(
    ("happened", "times"),
    [
        (lines("111112"), [5.0]),
        (lines("211111"), []),
        (lines("11112"), []),
        (lines("1111212"), [6.0]),
        (lines("1111112222"), [6.0]),
        (lines("111112111112"), [5.0, 11.0]),
        # Of equal times the order counts in which they are fed.
        (lines("111112", gap=0.0), [0.0]),
        (lines("111112", gap=11.75), [58.75]),
        (lines("111112", gap=12.0), []),
        # A first event that is too old is made up for by a later one.
        ([Event(-30.0, "a", "1"), *lines("111112", gap=7.0)], [35.0]),
        ([*lines("11111"), Event(5.0, "b", "2")], []),
    ],
)
def test_five_and_then_one(happened: list[Event], times: list[float]) -> None:
    """In this order, of one key, less than a minute apart, and each line counts once."""
    assert times == [alert.time for alert in raised(BREAK_IN, happened)]


@pytest.mark.parametrize(("last", "times"), [(59.999999, [59.999999]), (60.0, [])])
def test_the_first_line_of_all_must_be_in_the_window(last: float, times: list[float]) -> None:
    """Not only that of the line at hand, which may have begun anew."""
    by = following(*steps(1, 2))
    happened = [Event(0.0, "a", "1"), Event(30.0, "a", "2"), Event(40.0, "a", "1")]

    assert times == [alert.time for alert in raised(by, [*happened, Event(last, "a", "2")])]


def test_a_line_that_will_do_for_several_steps_follows_no_line_but_others() -> None:
    """Nor does the line that rings begin the next sequence."""
    twice = following(Step(A), Step(A))

    assert [1.0, 3.0] == [
        alert.time for alert in raised(twice, [Event(float(time), "a", "12") for time in range(5)])
    ]


def test_what_the_cooldown_hides_is_counted_and_taken_all_the_same() -> None:
    """It changes which sequences are said, not which there are."""
    by = replace(following(*steps(1, 1)), cooldown=5.0)

    alerts = raised(by, lines("12121122"), 3)

    assert [(1.0, 1), (6.0, 2)] == [(alert.time, alert.since_last) for alert in alerts]


@pytest.mark.parametrize(
    ("happened", "times"),
    [
        (lines("1"), [60.0]),
        (lines("12"), []),
        (lines("21"), [61.0]),
        # The first of several counts, and they are one alert.
        (lines("111"), [60.0]),
        (lines("1121"), [63.0]),
        # At the very time it is not missing; later it is.
        ([Event(0.0, "a", "1"), Event(60.0, "a", "2")], []),
        ([Event(0.0, "a", "1"), Event(60.000001, "a", "2")], [60.0]),
        ([Event(0.1, "a", "1"), Event(0.2, "b", "2")], [60.1]),
        # A line that does away with what was before may be the first of what follows.
        ([Event(0.0, "a", "1"), Event(5.0, "a", "12")], [65.0]),
    ],
)
def test_one_without_the_other(happened: list[Event], times: list[float]) -> None:
    """It rings a window after the last step that came, if nothing did away with it."""
    assert times == [alert.time for alert in raised(FORGOTTEN, happened)]


@pytest.mark.parametrize(
    ("by", "text", "until"),
    [(BREAK_IN, "1", 60.0), (BREAK_IN, "1111", 63.0), (FORGOTTEN, "1", None)],
)
def test_a_detector_is_empty_once_nothing_can_be_completed(
    by: Rule, text: str, until: float | None
) -> None:
    """What waits for a step to be absent is never empty."""
    one = InOrder(by, ("a",))
    was_empty = one.is_empty(0.0)
    for event in lines(text):
        one.feed(as_match(by, event))
    times = (until - 0.001, until) if until else (10.0, 1e9)

    assert [True, False, until is not None] == [was_empty, *map(one.is_empty, times)]


def test_lines_with_which_nothing_can_begin_make_no_key() -> None:
    """A flood of logins pushes nobody out who failed before."""
    by = following(*steps(5, 1), max_keys=1)
    engine = Engine([by])

    engine.feed([as_match(by, event) for event in lines("1111")])
    engine.feed([as_match(by, Event(4.0, f"b{number}", "2")) for number in range(9)])
    alerts = engine.feed(
        [as_match(by, event) for event in (Event(5, "a", "1"), Event(6, "a", "2"))]
    )

    assert {"fatal": 0} == engine.evictions()
    assert [("a", 6)] == [(dict(alert.key)["key"], alert.time) for alert in alerts]


def shown(alert: Alert) -> list[float]:
    """Give the times of the lines that a mail shows."""
    return sorted({alert.first.time, *(sample.time for sample in alert.last)})


def test_a_mail_shows_lines_of_each_step() -> None:
    """All, or however many there were of one, some of each; and none that was before them."""
    by = following(*steps(1, 1, 1))

    (three,) = raised(by, lines("22111121111111111113"), 7)
    (five,) = raised(BREAK_IN, lines("1111111111111112"))
    (_, last) = raised(BREAK_IN, lines("1111121111112"))

    assert (5.0, [5.0, 6.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0]) == (
        three.since,
        shown(three),
    )
    assert (10.0, [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]) == (five.since, shown(five))
    assert [7.0, 8.0, 9.0, 10.0, 11.0, 12.0] == shown(last)


def test_lines_kept_for_a_mail_are_few_whatever_comes() -> None:
    """Steps may alternate for ever, and lines may be long."""
    by = following(*steps(1, 20, 9), within=500.0)
    one = InOrder(by, ("a",))

    for event in lines("12" * 100 + "3" * 8):
        one.feed(msgspec.structs.replace(as_match(by, event), line="x" * 9_999))
    kept = [len(line.line) for line in one.evidence.lines]
    one.feed(as_match(by, Event(300.0, "a", "3")))

    assert [500] * 10 == kept
    assert 0 == one.evidence.weight


def test_what_is_missing_is_told_without_the_lines_kept_for_mails() -> None:
    """They may have been too many; which line came last is known all the same."""
    engine = Engine([FORGOTTEN])
    engine.feed([as_match(FORGOTTEN, event) for event in lines("1")])
    (keyspace,) = engine._keyspaces.values()
    keyspace.shed()

    ((alert,),) = engine.advance(("app",), 100.0)

    assert (60.0, "Fatal at 0.0", 0) == (alert.time, alert.first.line, keyspace.held)
    assert (0, None) == (alert.offset, alert.event_time)


@pytest.mark.parametrize(("by", "text"), [(BREAK_IN, "111112"), (FORGOTTEN, "1")])
def test_with_a_sequence_its_lines_go(by: Rule, text: str) -> None:
    """And what they weighed."""
    engine = Engine([by])
    alerts = engine.feed([as_match(by, event) for event in lines(text)])
    alerts += [alert for passed in engine.advance(("app",), 100.0) for alert in passed]

    assert [1, 0] == [len(alerts), *(keyspace.held for keyspace in engine._keyspaces.values())]


def test_a_late_line_is_told_as_any_that_time_alone_makes_an_alert() -> None:
    """The alert is about a later time than any line's own."""
    one = InOrder(FORGOTTEN, ("a",))
    one.feed(match(5.0, ("a", "1"), event_time=3.0))

    alert = one.expire()

    assert alert is not None
    assert (65.0, None) == (alert.time, alert.event_time)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": steps(4, 1)},
        {"steps": steps(5, 1, absent=True)},
        {"group_by": ()},
        {"unless": A},
    ],
)
def test_other_steps_begin_anew(changes: dict[str, Any]) -> None:
    """What was counted for them means something else."""
    engine = Engine([BREAK_IN])

    again = Engine([replace(BREAK_IN, **changes)], {"fatal": engine.freeze("fatal")})

    assert frozenset() == again.taken_up


def test_another_window_takes_up_what_was_there() -> None:
    """A longer one may complete what the shorter one would not have."""
    engine = Engine([BREAK_IN])
    engine.feed([as_match(BREAK_IN, event) for event in lines("11111", gap=20.0)])
    longer = replace(BREAK_IN, within=200.0)

    again = Engine([longer], {"fatal": engine.freeze("fatal")})

    assert [100.0] == [
        alert.time for alert in again.feed([as_match(longer, Event(100.0, "a", "2"))])
    ]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (
            following(Step(A, count=5), Step(B), group_by=("ip",)),
            "fatal: mails ops@example.com when 5 lines matching 'A', then a line matching 'B' came "
            "within 1 minute, counted per ip.",
        ),
        (
            following(Step(A, C), Step(B), Step(C), group_by=(), unless=A, cooldown=60.0),
            "fatal: mails ops@example.com when a line matching 'A' (leaving out lines matching 'C' "
            "or matching 'A'), then a line matching 'B' (leaving out lines matching 'A'), then a "
            "line matching 'C' (leaving out lines matching 'A') came within 1 minute; then stays "
            "quiet for 1 minute.",
        ),
        (
            following(Step(A), Step(B, is_absent=True), group_by=("job",)),
            "fatal: mails ops@example.com when a line matching 'A' came, and in the 1 minute after "
            "that no line matching 'B', counted per job.",
        ),
        (
            following(Step(A, count=1200), Step(B, is_absent=True), group_by=()),
            "fatal: mails ops@example.com when 1,200 lines matching 'A' came within 1 minute, and "
            "in the 1 minute after that no line matching 'B'.",
        ),
    ],
)
def test_a_sequence_in_one_sentence(by: Rule, expected: str) -> None:
    """With what each step needs, and within how long."""
    assert expected == sentence(by)


@pytest.mark.parametrize(
    ("by", "text", "subject", "measure", "hidden", "last"),
    [
        (
            replace(BREAK_IN, cooldown=8.0),
            "111112" * 3,
            "fatal: key a - a sequence of 2 steps in 1 minute on web1",
            "5 lines matching 'A', then a line matching 'B' came within 5 seconds; "
            "the limit is 1 minute.",
            "2 sequences since the last alert, which was at 00:00:05, 12 seconds before.",
            "00:00:17, the line that rang",
        ),
        (
            following(Step(A), Step(B), Step(C, is_absent=True)),
            "12",
            "fatal: key a - step 3 missing for 1 minute on web1",
            "A line matching 'A', then a line matching 'B' came, and in the 1 minute after that "
            "no line matching 'C'.",
            "",
            "00:00:01, the last before that",
        ),
    ],
)
def test_a_mail_says_what_came_and_what_did_not(  # noqa: PLR0917 - one mail
    by: Rule, text: str, subject: str, measure: str, hidden: str, last: str
) -> None:
    """In the subject and in a sentence, with what the reader needs to verify it."""
    alert = raised(by, lines(text))[-1]
    notice = Notice(alert, ("ops@example.com",), "critical", "", 1.0)

    story = tell(notice, host="web1", timezone=UTC, sent_at=2.0, limit=1000)

    titles = [excerpt.title for excerpt in story.excerpts if not isinstance(excerpt, str)]
    assert (subject, measure, hidden, last) == (
        story.subject,
        story.measure,
        story.hidden,
        titles[-1],
    )


def test_a_mail_about_what_is_missing_says_that_its_time_was_up() -> None:
    """And, where it comes late, when that could be known: no line was read then."""
    (alert,) = raised(FORGOTTEN, lines("1"))
    notice = Notice(alert, ("ops@example.com",), "critical", "", 3_600.0)

    story = tell(notice, host="web1", timezone=UTC, sent_at=3_600.0, limit=1000)

    assert [
        ("Time was up", "Thu 1 Jan 1970, 00:01:00 UTC (59 minutes ago)"),
        ("First", "Thu 1 Jan 1970, 00:00:00 UTC (1 hour ago)"),
    ] == list(story.facts[1:3])
    assert (
        "Delayed: this happened 59 minutes ago. alertd had read what came until then at 01:00:00."
    ) == story.delay


def test_programs_are_told_the_steps() -> None:
    """Beside what every alert has."""
    (alert,) = raised(BREAK_IN, lines("111112"))

    assert '"steps": ["5 lines matching \'A\'", "a line matching \'B\'"]}' in alert_as_json(alert)


@pytest.mark.parametrize(
    "by",
    [
        following(*steps(9, 9, 9)),
        following(*steps(64, 70)),
        following(*steps(1, 1, absent=True), within=10_000.0),
    ],
    ids=["short", "long", "absent"],
)
def test_a_hundred_keys_take_no_more_than_their_worst_case(by: Rule) -> None:
    """What check says is what a process comes to hold, lines for mails apart."""
    by = replace(by, max_keys=100)
    happens = [step for step in by.steps if not step.is_absent]
    # All that is needed but for the very last, of which there is one too few; then once more.
    text = "".join(str(n) * step.count for n, step in enumerate(happens, 1)) * 2
    text = text if by.steps[-1].is_absent else text[: len(text) // 2 - 1]
    line = "\N{SNOWMAN}\N{SMILING FACE WITH OPEN MOUTH}" * 300
    tracemalloc.start()
    try:
        keys = [f"{number:0255}\N{SMILING FACE WITH OPEN MOUTH}" for number in range(100)]
        engine = Engine([by])
        for at, step in enumerate(text):
            for key in keys:
                engine.feed([match(at / 100, (key, step), line=line, path="")])
        for _ in range(20):
            for keyspace in engine._keyspaces.values():
                keyspace.shed()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert {by.name: 100} == engine.keys()
    assert worst_case_bytes(by) / 2 < held < worst_case_bytes(by)
