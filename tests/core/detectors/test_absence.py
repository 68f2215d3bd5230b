"""A rule that waits rings at the time at which too little has come, and says what it waited for."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, time
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from core.detectors.oracles import Event, Found, silences
from core.examples import match, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core.daily import Daily
from alertd.core.engine import Engine, worst_case_bytes
from alertd.core.events import PASSED, Notice
from alertd.core.render import alert_as_json, render_fallback
from alertd.core.render.story import Excerpt, tell
from alertd.core.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alertd.core.events import Alert, Match
    from alertd.core.render.story import Story
    from alertd.core.rules import Rule

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = 3600, 86_400
STREAM = ("app",)
SPRING = datetime(2026, 3, 25, 12, tzinfo=UTC).timestamp()
"""Four days before clocks are put forward."""
AUTUMN = datetime(2026, 10, 21, 12, tzinfo=UTC).timestamp()
"""Four days before they are put back."""


def absence(**changes: Any) -> Rule:
    """Make a rule that rings after 10 seconds without an event, and then may again."""
    given_ = {"kind": "absence", "more_than": 0, "within": 10.0, "cooldown": 0.0, **changes}
    return rule(**given_)


def event(by: Rule, one: Event, unit: float = 1.0) -> Match:
    """Make the match of an event."""
    when = round(one.time * unit * 1_000_000) / 1_000_000
    return match(when, (one.key,) if by.group_by else ())


def rang(
    by: Rule, times: Iterable[float], end: float, since: float = 0.0, key: tuple[str, ...] = ()
) -> list[Alert]:
    """Let a rule watch from a time to an end, with events of one key in between."""
    engine = Engine([by])
    engine.begun(STREAM, since)
    return [
        *engine.feed([match(each, key) for each in times]),
        *(alert for alerts in engine.advance(STREAM, end) for alert in alerts),
    ]


def lived(
    by: Rule,
    happened: Sequence[Event],
    since: float,
    end: float,
    *,
    unit: float = 1.0,
    frozen_after: int = 0,
    killed_after: int = 0,
) -> list[Found]:
    """
    Feed an engine one by one; time passes by itself before every second event.

    State is taken after some events and, once it was killed, taken up again with what happened
    since.
    """
    engine = Engine([by])
    trail: list[Match] = []
    shard = None
    alerts: list[Alert] = []
    engine.begin(STREAM, (since + 1) * unit, trail)
    engine.begin(STREAM, since * unit, trail)
    for number, one in enumerate(happened):
        if number == frozen_after:
            shard, trail = engine.freeze(by.name), []
        if number == max(killed_after, frozen_after) and shard is not None:
            engine = Engine([by], {by.name: shard})
            assert {by.name} == engine.taken_up
            engine.repeat(trail)
        its = event(by, one, unit)
        if number % 2:
            for passed in engine.advance(STREAM, its.time, trail):
                alerts += passed
        alerts += engine.feed([its], trail)
    for passed in engine.advance(STREAM, end * unit, trail):
        alerts += passed
    return [
        Found(
            round(alert.time / unit, 6),
            dict(alert.key).get("key", ""),
            alert.count,
            () if alert.end is None else OVER,
        )
        for alert in alerts
    ]


def ends(by: Rule, happened: Sequence[Event], rang: Sequence[Found]) -> list[tuple[float, str]]:
    """Find when there was enough again, after what rang."""
    found = []
    for key in {alert.key for alert in rang}:
        came = [(event.time, False) for event in happened if key in {event.key, ""}]
        missed: float | None = None
        times: list[float] = []
        alerts = [(one.time, True) for one in rang if one.key == key]
        # What comes at that very time comes before it rings.
        for when, is_alert in sorted([*came, *alerts]):
            if is_alert:
                missed = when
                continue
            times.append(when)
            if missed is None:
                continue
            since = when - by.within if by.by is None else missed
            if sum(one > since for one in times) > by.more_than:
                found.append((when, key))
                missed = None
    return sorted(found)


OVER = ("over",)
GAPS = st.lists(st.tuples(st.integers(0, 14), st.sampled_from("abc")), max_size=40)


def events(gaps: Sequence[tuple[int, str]], since: float, step: int = 1) -> list[Event]:
    """Put events into time order, from the gaps between them."""
    made, now = [], int(since)
    for gap, key in gaps:
        now += gap * step
        made.append(Event(now, key, ""))
    return made


@given(
    gaps=GAPS,
    fewer_than=st.integers(1, 4),
    within=st.integers(1, 30),
    cooldown=st.integers(0, 40),
    group=st.sampled_from(["", "any", "expected"]),
    unit=st.sampled_from([1.0, 0.1, 0.000_003, 3600.0]),
    frozen_after=st.integers(0, 40),
    killed_after=st.integers(0, 40),
    resolve=st.booleans(),
)
@settings(max_examples=500)
def test_it_rings_when_brute_force_misses_something(
    *,
    gaps: list[tuple[int, str]],
    fewer_than: int,
    within: int,
    cooldown: int,
    group: str,
    unit: float,
    frozen_after: int,
    killed_after: int,
    resolve: bool,
) -> None:
    """Whatever comes when, in seconds or microseconds, and across a crash."""

    def scaled(unit: float) -> Rule:
        return absence(
            more_than=fewer_than - 1,
            within=within * unit,
            cooldown=cooldown * unit,
            group_by=("key",) if group else (),
            expect=(("a",), ("b",)) if group == "expected" else (),
            resolve=resolve,
        )

    since = 1_790_000_000
    happened = events(gaps, since + 3)
    end = (happened[-1].time if happened else since) + 80

    raised = lived(
        scaled(unit),
        happened,
        since,
        end,
        unit=unit,
        frozen_after=frozen_after,
        killed_after=killed_after,
    )
    found = [one for one in raised if one.values != OVER]
    over = sorted((one.time, one.key) for one in raised if one.values == OVER)

    assert silences(scaled(1.0), happened, since, end) == sorted(found, key=lambda one: one[:2])
    assert [one.time for one in raised] == sorted(one.time for one in raised)
    assert over == (ends(scaled(1.0), happened, found) if resolve else [])


@given(
    gaps=GAPS,
    fewer_than=st.integers(1, 3),
    within=st.sampled_from([0, 6 * HOUR, 30 * HOUR]),
    cooldown=st.sampled_from([0, 0, 30 * HOUR]),
    hour=st.integers(0, 23),
    since=st.sampled_from([SPRING, AUTUMN]),
    zone=st.sampled_from([UTC, BERLIN]),
    group=st.sampled_from(["", "any", "expected"]),
    frozen_after=st.integers(0, 40),
    killed_after=st.integers(0, 40),
    resolve=st.booleans(),
)
@settings(max_examples=500)
def test_it_rings_by_a_time_of_day_when_brute_force_misses_something(
    *,
    gaps: list[tuple[int, str]],
    fewer_than: int,
    within: int,
    cooldown: int,
    hour: int,
    since: float,
    zone: ZoneInfo,
    group: str,
    frozen_after: int,
    killed_after: int,
    resolve: bool,
) -> None:
    """Also where clocks are changed, and when an event comes at that very second."""
    by = absence(
        more_than=fewer_than - 1,
        within=float(within),
        cooldown=float(cooldown),
        by=Daily(time(hour), zone),
        group_by=("key",) if group else (),
        expect=(("a",), ("b",)) if group == "expected" else (),
        resolve=resolve,
    )
    happened = events(gaps, since, HOUR)
    end = (happened[-1].time if happened else since) + 3 * DAY

    raised = lived(by, happened, since, end, frozen_after=frozen_after, killed_after=killed_after)
    found = [one for one in raised if one.values != OVER]
    over = sorted((one.time, one.key) for one in raised if one.values == OVER)

    assert silences(by, happened, since, end) == sorted(found, key=lambda one: one[:2])
    assert over == (ends(by, happened, found) if resolve else [])


def test_an_event_at_the_deadline_comes_in_time() -> None:
    """
    A window is open at its old end, and time is up only when it has passed.

        0         10        20
        x---------x---------!
    """
    assert [20.0] == [alert.time for alert in rang(absence(), [0, 10], end=20.1)]
    assert [] == rang(absence(), [0, 10], end=20.0)


def test_an_event_at_the_deadline_comes_in_time_to_the_microsecond() -> None:
    """Floats add up to a quarter of one less here."""
    begin, within, due = 1790000100.780963, 8.184877, 1790000108.96584
    by = absence(within=within)

    assert begin + within < due
    assert [] == rang(by, [begin, due], since=begin, end=due + 1)


def test_it_rings_once_until_enough_came_again() -> None:
    """
    Whoever was told knows; what is told anew is another silence.

        0         10        20        30        40
        ----------!----x----x---------!---------
    """
    by = absence(more_than=1)

    assert [10.0, 25.0] == [alert.time for alert in rang(by, [15, 20], end=100)]


def test_what_begins_within_the_cooldown_is_told_after_it_if_it_still_lasts() -> None:
    """A silence that is never told is what the rule is there to prevent."""
    by = absence(cooldown=25.0)

    assert [10.0, 35.0] == [alert.time for alert in rang(by, [12], end=100)]
    assert [10.0, 44.0] == [alert.time for alert in rang(by, [12, 34], end=100)]


def test_a_key_that_is_no_more_rings_once_and_is_forgotten() -> None:
    """Machines come and go; what comes again is watched again."""
    by = absence(group_by=("host",), more_than=1)

    alerts = rang(by, [5, 30, 31, 32], end=100, key=("old",))

    assert [15.0, 41.0] == [alert.time for alert in alerts]
    assert [0, 1] == [alert.count for alert in alerts]


def test_what_is_expected_rings_though_it_never_came() -> None:
    """From when the rule began to watch; and what is not expected is not watched."""
    by = absence(group_by=("host",), expect=(("db1",), ("db2",)))

    alerts = rang(by, [1, 9], end=19, key=("db2",)) + rang(by, [1], end=11, key=("db3",))

    assert [("db1", 10.0), ("db1", 10.0), ("db2", 10.0)] == [
        (dict(alert.key)["host"], alert.time) for alert in alerts
    ]


def test_a_flood_of_other_keys_does_not_push_out_what_is_expected() -> None:
    """Whoever writes the log chooses the keys, but not which are expected."""
    by = absence(group_by=("host",), expect=(("db1",),), max_keys=1)
    engine = Engine([by])
    engine.begun(STREAM, 0)

    engine.feed([match(number / 1000, (f"flood-{number}",)) for number in range(5000)])

    assert {"fatal": 1} == engine.keys()
    assert {"fatal": 0} == engine.evictions()
    assert [("db1",)] == [
        tuple(dict(alert.key).values()) for alerts in engine.advance(STREAM, 11) for alert in alerts
    ]


def test_a_key_that_waits_is_not_forgotten_as_idle() -> None:
    """It has something to say; only at max_keys it goes, and that is counted."""
    by = absence(group_by=("host",), max_keys=2)
    engine = Engine([by])
    engine.begun(STREAM, 0)

    alerts = engine.feed([match(0, ("a",)), match(1, ("b",)), match(2, ("c",)), match(50, ("c",))])

    assert {"fatal": 1} == engine.evictions()
    assert ["b", "c"] == [dict(alert.key)["host"] for alert in alerts]
    assert {"fatal": 2} == engine.keys()


def test_keys_that_rang_and_are_no_more_make_room() -> None:
    """They cost nobody's place, and nobody is told that they were forgotten."""
    by = absence(group_by=("host",), max_keys=2)

    engine = Engine([by])
    for number in range(50):
        engine.feed([match(number * 30, (f"host-{number}",))])

    assert {"fatal": 0} == engine.evictions()


@pytest.mark.parametrize(
    ("day", "shown"),
    [
        (datetime(2026, 3, 28, 12, tzinfo=BERLIN), "2026-03-29 03:30 +0200"),
        (datetime(2026, 3, 29, 12, tzinfo=BERLIN), "2026-03-30 02:30 +0200"),
        (datetime(2026, 10, 24, 12, tzinfo=BERLIN), "2026-10-25 02:30 +0200"),
        (datetime(2026, 10, 25, 12, tzinfo=BERLIN), "2026-10-26 02:30 +0100"),
    ],
)
def test_half_past_two_where_clocks_are_changed(day: datetime, shown: str) -> None:
    """Where it is not there, it is an hour later; where it is there twice, the first one."""
    moment = Daily(time(2, 30), BERLIN).after(day.timestamp())

    assert shown == f"{datetime.fromtimestamp(moment, BERLIN):%Y-%m-%d %H:%M %z}"


def test_a_time_that_is_put_forward_over_midnight_is_still_to_come_after_it() -> None:
    """On 4 May 2018, clocks in Pyongyang showed midnight at half past eleven."""
    pyongyang = ZoneInfo("Asia/Pyongyang")
    midnight = datetime(2018, 5, 5, 0, 0, tzinfo=pyongyang).timestamp()

    assert midnight + 900 == Daily(time(23, 45), pyongyang).after(midnight)


def test_a_time_of_day_comes_once_a_day_for_years() -> None:
    """In zones that skipped a day, too: Samoa had no 30 December 2011."""
    by = Daily(time(2, 30), ZoneInfo("Pacific/Apia"))
    moments = [datetime(2011, 12, 1, tzinfo=UTC).timestamp()]
    for _ in range(60):
        moments.append(by.after(moments[-1]))

    days = [datetime.fromtimestamp(one, by.zone).date().isoformat() for one in moments[1:]]

    assert 60 == len(set(days))
    assert "2011-12-30" not in days
    assert moments[1] == by.since(moments[1])
    assert all(0 < later - earlier <= 1.1 * DAY for earlier, later in pairwise(moments))


def test_it_is_judged_by_a_time_of_day_once_a_whole_day_was_watched() -> None:
    """Who begins at noon does not know what came in the night before."""
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
    by = absence(within=0.0, by=Daily(time(2, 30), UTC))

    alerts = rang(by, [], since=noon, end=noon + 3 * DAY)

    assert ["06-03 02:30", "06-04 02:30"] == [
        f"{datetime.fromtimestamp(alert.time, UTC):%m-%d %H:%M}" for alert in alerts
    ]


def test_an_alert_says_what_did_not_come() -> None:
    """There is no line that rang: what is known are the last ones, and since when it waits."""
    by = absence(more_than=2, within=20.0)
    (alert,) = rang(by, [1, 2, 3, 15], end=30)

    assert (22.0, 2, 2.0, "", "", PASSED) == (
        alert.time,
        alert.count,
        alert.since,
        alert.path,
        alert.line,
        alert.offset,
    )
    assert ["Fatal at 2", "Fatal at 3", "Fatal at 15"] == [one.line for one in alert.last]
    silence = alert.silence
    assert silence is not None
    assert ("matching 'Fatal'", 3, "", 0.0, 15.0) == (
        silence.sought,
        silence.fewer_than,
        silence.by,
        silence.watched,
        silence.last_seen,
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"within": 25.0 * HOUR, "cooldown": 25.0 * HOUR},
            "fatal: mails ops@example.com when no line matching 'Fatal' came for 1 day 1 hour: "
            "at 13:00 the next day if the last one came at 12:00; then stays quiet until one "
            "comes again.",
        ),
        (
            {"within": 90.5, "cooldown": 900.0, "more_than": 2, "group_by": ("host",)},
            "fatal: mails ops@example.com when fewer than 3 lines matching 'Fatal' came for a host "
            "that had one before within 1 minute 30.5 seconds: at 12:01:30.5 if the 3rd last one "
            "came at 12:00; then stays quiet about that host until 3 come within 1 minute "
            "30.5 seconds again, and for 15 minutes at least.",
        ),
        (
            {
                "within": 3.0 * DAY,
                "group_by": ("host", "job"),
                "expect": tuple((f"db{number}", "full") for number in range(7)),
            },
            "fatal: mails ops@example.com when no line matching 'Fatal' came for host/job db0/full,"
            " db1/full, db2/full, db3/full, db4/full or one of 2 more for 3 days: at 12:00 3 days "
            "later if the last one came at 12:00; then stays quiet about that combination of host "
            "and job until one comes again.",
        ),
        (
            {"within": 60.0, "group_by": ("host",), "expect": (("a",), ("b",))},
            "fatal: mails ops@example.com when no line matching 'Fatal' came for host a or b for "
            "1 minute: at 12:01 if the last one came at 12:00; then stays quiet about that host "
            "until one comes again.",
        ),
        (
            {"within": 0.0, "by": Daily(time(2, 30), BERLIN)},
            "fatal: mails ops@example.com at 02:30 (Europe/Berlin) if no line matching 'Fatal' "
            "came since 02:30 the day before; and again every day on which that is so.",
        ),
        (
            {"within": 6.0 * HOUR, "by": Daily(time(2, 30, 5), UTC), "cooldown": 2.0 * DAY},
            "fatal: mails ops@example.com at 02:30:05 (UTC) if no line matching 'Fatal' came in "
            "the 6 hours before; then stays quiet for 2 days.",
        ),
    ],
)
def test_check_says_when_with_an_example(changes: dict[str, Any], expected: str) -> None:
    """So that whoever reads it can tell whether that is what they meant."""
    assert expected == sentence(absence(**changes))


@pytest.mark.parametrize(("more_than", "within", "by"), [(0, 10.0, None), (100, 60.0, None)])
def test_many_keys_take_no_more_than_their_worst_case(
    more_than: int, within: float, by: Daily | None
) -> None:
    """All that hangs on the rule's keyspace but the lines, after twice as many were pushed out."""
    by_ = absence(more_than=more_than, within=within, by=by, group_by=("host",), max_keys=300)
    engine = Engine([by_])
    for number in range(900):
        key = (f"{number:04}" + "\U0001f642" * 252,)
        engine.feed([match(1e9 + each / 1e3, key, line="") for each in range(more_than + 3)])
    keyspace = engine._keyspaces["fatal"]
    for detector in keyspace._detectors.values():
        detector.evidence.clear()

    taken = size_of(keyspace, set(), {id(by_), id(Engine), id(type(keyspace))})

    assert taken < worst_case_bytes(by_)


def size_of(what: object, seen: set[int], but: set[int]) -> int:
    """Add up the sizes of all that can be reached from something."""
    if id(what) in seen or id(what) in but or isinstance(what, type):
        return 0
    seen.add(id(what))
    below: list[object] = []
    if isinstance(what, dict):
        below = [each for pair in what.items() for each in pair]
    elif isinstance(what, (list, tuple, set)) or type(what).__name__ == "deque":
        below = list(what)  # type: ignore[call-overload]
    for kind in type(what).__mro__:
        names = getattr(kind, "__slots__", ())
        below += [getattr(what, name) for name in names if hasattr(what, name)]
    return sys.getsizeof(what) + sum(size_of(each, seen, but) for each in below)


def story(alert: Alert, *, sent_after: float = 5.0) -> Story:
    """Tell the mail about an alert."""
    notice = Notice(alert, ("ops@example.com",), "critical", "", raised_at=alert.time + sent_after)
    return tell(notice, host="db-1", timezone=BERLIN, sent_at=alert.time + sent_after, limit=1000)


NOON = datetime(2026, 6, 1, 12, tzinfo=BERLIN).timestamp()


def test_the_mail_shows_what_came_last_and_when_time_was_up() -> None:
    """No line rang, so none is shown as if it had, and there is no file to look into."""
    alert, *_ = rang(absence(within=90_000.0), [NOON + 60], since=NOON, end=NOON + DAY * 3)
    told = story(alert)

    assert "fatal: nothing for 1 day 1 hour on db-1" == told.subject
    assert "fatal: nothing for 1 day 1 hour" == told.headline
    assert "No line matching 'Fatal' came for 1 day 1 hour." == told.measure
    assert ("", "", None) == (told.hidden, told.delay, told.chart)
    assert (
        ("Last one", "Mon 1 Jun 2026, 12:01:00 CEST (1 day 1 hour ago)"),
        ("Time was up", "Tue 2 Jun 2026, 13:01:00 CEST (5 seconds ago)"),
        ("Watched since", "Mon 1 Jun 2026, 12:00:00 CEST (1 day 1 hour ago)"),
        ("Host", "db-1"),
        ("Severity", "critical"),
    ) == told.facts
    assert [
        Excerpt(
            "Mon 1 Jun 2026, 12:01:00 in /var/log/app.log, the last one",
            f"Fatal at {NOON + 60}",
            "",
            "",
        )
    ] == list(told.excerpts)
    assert "(fewer_than, within, by, cooldown, recipients)" in told.footer[0]


def test_the_mail_about_a_time_of_day_says_which_and_since_when() -> None:
    """What never came has no line to show; what came late to be told says so."""
    by = absence(within=0.0, by=Daily(time(2, 30), BERLIN), more_than=2)
    first, second, *_ = rang(by, [NOON + DAY], since=NOON, end=NOON + DAY * 4)

    assert "fatal: fewer than 3 by 02:30 on db-1" == story(first).subject
    assert "1 line matching 'Fatal' came in 1 day, until 02:30; at least 3 should." == (
        story(first).measure
    )
    assert (
        "0 events since the last alert, which was at Wed 3 Jun 2026, 02:30:00, 1 day before."
        == (story(second).hidden)
    )
    assert (
        "Delayed: this happened 1 hour ago. alertd had read what came until then at 03:30:00."
    ) == story(second, sent_after=3600).delay
    (never, *_) = rang(absence(), [], end=11)
    assert ("Last one", "none yet") == story(never).facts[0]
    assert () == story(never).excerpts


def test_a_program_is_told_what_did_not_come() -> None:
    """Without path, offset and line: there are none."""
    (alert, *_) = rang(absence(more_than=1), [3.5], end=11)
    (daily, *_) = rang(absence(by=Daily(time(0), UTC)), [], since=1.0, end=DAY * 2 + 1)

    record = json.loads(alert_as_json(alert))

    assert {
        "kind": "absence",
        "count": 1,
        "time": "1970-01-01T00:00:10Z",
        "since": "1970-01-01T00:00:00Z",
        "fewer_than": 2,
        "by": None,
        "watched": "1970-01-01T00:00:00Z",
        "last_seen": "1970-01-01T00:00:03.500Z",
    } == {
        key: record[key]
        for key in ("kind", "count", "time", "since", "fewer_than", "by", "watched", "last_seen")
    }
    assert not {"path", "offset", "line"} & record.keys()
    assert ("00:00", None) == tuple(
        json.loads(alert_as_json(daily))[key] for key in ("by", "last_seen")
    )


def test_if_all_else_fails_the_mail_says_that_it_was_too_few() -> None:
    """Not too many."""
    (alert, *_) = rang(absence(), [], end=11)
    notice = Notice(alert, ("ops@example.com",), "critical", "", raised_at=alert.time)

    mail = render_fallback(notice, "why", host="h", sender="a@example.com", sent_at=alert.time)

    assert b"fatal: 0 events, fewer than 1 in 10 seconds" in mail.payload
