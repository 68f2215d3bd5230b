"""What is said when something is over, for people and for programs."""

from __future__ import annotations

import email
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from core.examples import match, rule
from notices import notice

from alertd.core.engine import Engine
from alertd.core.events import Alert, Notice
from alertd.core.render import alert_as_json, render_alert, render_fallback, render_joined
from alertd.core.render.resolution import tell_end
from alertd.core.render.story import tell
from alertd.core.rules import HIT
from alertd.core.sentences import sentence
from alertd.core.timeline import Timeline, Watched

if TYPE_CHECKING:
    from alertd.core.render.story import Story
    from alertd.core.rules import Rule

START = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
METRIC: dict[str, Any] = {"kind": "metric", "value": "ms", "more_than": 0}


def ended(by: Rule, *values: str, every: float = 1.0) -> list[Alert]:
    """Judge values, and let time pass until it is over."""
    engine = Engine([by])
    behind = [(value,) if by.is_judged else () for value in values]
    alerts = engine.feed([match(START + at * every, key) for at, key in enumerate(behind)])
    return alerts + [one for some in engine.advance(("app",), START + 1e5) for one in some]


def told(alert: Alert, *, late: float = 0.0, **changes: Any) -> Story:
    """Put a resolution into words."""
    assert alert.end is not None
    its = Notice(alert, ("ops@example.com",), "warning", "Look at it.", alert.time, **changes)
    return tell_end(
        its, alert.end, host="web1", timezone=UTC, sent_at=alert.time + late, limit=1000
    )


@pytest.mark.parametrize(
    ("changes", "values", "measure", "hidden"),
    [
        (
            {"more_than": 0},
            "x",
            "It happened at Sun 1 Mar 2026, 12:00:00 UTC, once. Nothing like it in the 1 minute "
            "since.",
            "",
        ),
        (
            {"more_than": 0, "cooldown": 0.0},
            "xxx",
            "It lasted 2 seconds, from Sun 1 Mar 2026, 12:00:00 UTC to 12:00:02. Nothing like it "
            "in the 1 minute since.",
            "It was so at 3 events: 3 alerts.",
        ),
        (
            {"kind": "ratio", "share": (50, 100), "more_than": 0},
            "1101",
            "It lasted 3 seconds, from Sun 1 Mar 2026, 12:00:00 UTC to 12:00:03. Nothing like it "
            "in the 1 minute since.",
            "It was so at 3 events: 1 alert, 2 hidden by the cooldown. "
            "At worst, the share was 100 %.",
        ),
        (
            {**METRIC, "metric": "max", "bound": 3.0},
            "4",
            "It happened at Sun 1 Mar 2026, 12:00:00 UTC, once. Nothing like it in the 1 minute "
            "since.",
            "At worst, the max was 4.",
        ),
        (
            {**METRIC, "metric": "p90", "bound": 3.0},
            "4",
            "It happened at Sun 1 Mar 2026, 12:00:00 UTC, once. Nothing like it in the 1 minute "
            "since.",
            "At worst, 100 % of the values were above 3.",
        ),
        (
            {**METRIC, "metric": "p50", "bound": 3.0, "is_below": True},
            "2",
            "It happened at Sun 1 Mar 2026, 12:00:00 UTC, once. Nothing like it in the 1 minute "
            "since.",
            "At worst, 100 % of the values were below 3.",
        ),
    ],
)
def test_a_mail_says_how_long_it_was_so_and_how_bad(
    changes: dict[str, Any], values: str, measure: str, hidden: str
) -> None:
    """In plain words; nothing is said of what cannot be measured."""
    story = told(ended(rule(resolve=True, **changes), *values)[-1])

    assert (measure, hidden, "") == (story.measure, story.hidden, story.delay)


def test_what_was_missed_is_over_at_the_very_moment() -> None:
    """Nothing is to be waited for; the line that came is shown."""
    by = rule(kind="absence", more_than=0, within=10.0, cooldown=0.0, resolve=True)
    engine = Engine([by])
    engine.begun(("app",), START)
    [[missed]] = list(engine.advance(("app",), START + 20))
    [over] = engine.feed([match(START + 3600)])
    story = told(over)

    assert missed.end is None
    assert (
        "It lasted 59 minutes 50 seconds, from Sun 1 Mar 2026, 12:00:10 UTC to 13:00:00."
        == story.measure
    )
    assert "fatal: resolved: nothing for 10 seconds" == story.headline
    assert [f"Fatal at {START + 3600}"] == [one.before for one in story.excerpts]  # type: ignore[union-attr]


def test_the_subject_is_that_of_the_alert_behind_a_word() -> None:
    """So whatever a mail client threads by, the two come together."""
    first, last = ended(rule(more_than=0, resolve=True), "x")
    its = Notice(first, ("ops@example.com",), "warning", "", START)
    alert = tell(its, host="web1", timezone=UTC, sent_at=START, limit=1000)
    story = told(last, late=3600.0, is_time_of_reading=True)

    assert f"Resolved: {alert.subject}" == story.subject
    assert "Delayed: this ended 1 hour ago." == story.delay
    assert ("Times", "are those of reading: these lines have no timestamp") == story.facts[-1]
    assert () == told(msgspec.structs.replace(last, last=())).excerpts


def test_its_mail_answers_those_of_its_alert() -> None:
    """In the thread that all mails about the rule and key are in; it is no more urgent for that."""
    first, last = ended(rule(more_than=0, resolve=True), "x")
    answers = ("<1@web1>", "<2@web1>")
    its = [
        Notice(one, ("ops@example.com",), "critical", "Look.", START, answers=answers * at)
        for at, one in enumerate((first, last))
    ]
    alert, end, fallback = (
        email.message_from_bytes(mail.payload)
        for mail in (
            *(
                render_alert(one, host="web1", sender="a@example.com", timezone=UTC, sent_at=START)
                for one in its
            ),
            render_fallback(its[1], "broken", host="web1", sender="a@example.com", sent_at=START),
        )
    )

    assert answers == tuple(end["In-Reply-To"].split()) == tuple(fallback["In-Reply-To"].split())
    assert [alert["References"], *answers] == end["References"].split()
    assert (first.id, None) == (end["X-Alertd-Resolves"], alert["X-Alertd-Resolves"])
    assert "Resolved: fatal: an alert that could not be laid out" == fallback["Subject"]
    assert not {"priority", "x-priority", "importance"} & {name.lower() for name in end}


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1, 2, 3), "2 alerts and 1 resolution"),
        ((1, 3), "1 alert and 1 resolution"),
        ((1, 2), "2 alerts"),
        ((3,), "1 resolution"),
    ],
)
def test_a_joined_mail_counts_them_apart(numbers: tuple[int, ...], expected: str) -> None:
    """And marks their lines."""
    [_, last] = ended(rule(more_than=0, resolve=True), "x")
    its = [notice(number) for number in numbers]
    its = [
        one
        if one.alert.id != "id-3"
        else msgspec.structs.replace(one, alert=msgspec.structs.replace(one.alert, end=last.end))
        for one in its
    ]
    mail = render_joined(
        its,
        reason="digest",
        host="web1",
        sender="a@example.com",
        timezone=UTC,
        sent_at=START,
        recipients=("ops@example.com",),
    )
    parsed = email.message_from_bytes(mail.payload)
    part = next(part for part in parsed.walk() if part.get_content_type() == "text/plain")
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)

    assert f"ssh: {expected} beyond the hourly limit of mails on web1" == mail.subject
    assert f"ssh: {expected}, {6 * len(set(numbers) - {3})} events" in payload.decode()
    assert (3 in numbers) == ("ssh (resolved)" in payload.decode())


def test_programs_are_told_which_alert_is_over() -> None:
    """What an alert says of a line is not said, what became of it is."""
    by = rule(kind="ratio", share=(50, 100), more_than=0, resolve=True)
    first, last = map(json.loads, map(alert_as_json, ended(by, HIT, HIT)))

    assert "resolves" not in first
    assert {
        "resolves": first["id"],
        "began": "2026-03-01T12:00:00Z",
        "ended": "2026-03-01T12:00:01Z",
        "time": "2026-03-01T12:01:01Z",
        "events": 2,
        "alerts": 1,
        "worst": 100.0,
        "line": "",
        "offset": -2,
        "kind": "ratio",
    }.items() <= last.items()


def test_a_timeline_shows_no_ends() -> None:
    """Neither as alerts nor as lines."""
    timeline = Timeline(["fatal"])
    watched = Watched([rule(more_than=0, resolve=True)], timeline)
    watched.feed([match(START)])
    over = [one for some in watched.advance(("app",), START + 100) for one in some]
    [row] = timeline.rows(START, START + 100, 10)

    assert 1 == len(over)
    assert (1, 1) == (row.lines, row.alerts)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "; says when it is over (1 minute after it was last so)."),
        ({"kind": "absence"}, "; says when it is over."),
    ],
)
def test_check_says_that_it_says_so(changes: dict[str, Any], expected: str) -> None:
    """And when."""
    said = sentence(rule(resolve=True, **changes))

    assert expected == said[said.rindex("; says") :]
