"""From bytes to alerts: matchers, orderings and the engine in a row, for any driver."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from core.examples import rule

from alertd.core.events import Batch
from alertd.core.framing import Framing
from alertd.core.matching import Matcher
from alertd.core.pipeline import Pipeline, Stored
from alertd.core.rules import Condition, Conjunction, Pattern, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alertd.core.rules import Rule

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()
A, B = ("/a.log", "1"), ("/b.log", "2")


def source(name: str = "app", **changes: Any) -> Source:
    """Make a source of plain lines in UTC."""
    settings: dict[str, Any] = {"name": name, "paths": ("/*.log",), "timezone": UTC}
    return Source(**{**settings, **changes})


def pipeline(
    *rules: Rule, sources: Sequence[Source] = (), stored: Stored | None = None
) -> Pipeline:
    """Make a pipeline with real matchers."""
    sources = sources or [source()]
    matchers = {
        each.name: Matcher(
            each, [own for own in rules if each.name in own.sources and not own.watches]
        )
        for each in sources
    }
    return Pipeline(sources, rules, matchers, stored)


def batch(
    *seconds: float, file: tuple[str, str] = A, name: str = "app", text: str = "Fatal"
) -> Batch:
    """Make a batch with a line at each of these seconds."""
    lines = [
        f"{datetime.fromtimestamp(START + second, UTC).isoformat()} {text}\n" for second in seconds
    ]
    return Batch(file[1], name, file[0], 0, "".join(lines).encode(), START + 1000)


def times(alerts: Sequence[Any]) -> list[float]:
    """Return the seconds of alerts."""
    return [alert.time - START for alert in alerts]


def test_lines_become_alerts_with_their_matching_part_marked() -> None:
    """The third of three within a minute rings; the mail can show why."""
    subject = pipeline(rule())
    matched = subject.take(batch(0, 10, 20), Framing(), now=None)
    [alert] = subject.release()

    assert len(batch(0, 10, 20).data) == matched.consumed
    assert 20 == alert.time - START
    for sample in (alert.first, *alert.last):
        assert "Fatal" == sample.line[slice(*sample.span)]


def test_a_file_that_is_behind_holds_back_the_others_of_its_rule() -> None:
    """But not those of rules that never see it."""
    sources = [source("one"), source("two"), source("three")]
    rules = [
        rule("both", sources=("one", "two"), more_than=0, cooldown=0),
        rule("alone", sources=("three",), more_than=0, cooldown=0),
    ]
    subject = pipeline(*rules, sources=sources)
    subject.behind("two", B, None)
    subject.take(batch(10, name="one"), Framing(), now=None)
    subject.take(batch(11, name="three", file=("/c.log", "3")), Framing(), now=None)

    assert ["alone"] == [alert.rule for alert in subject.release()]
    assert (1, {B}) == (subject.waiting, subject.slowest())
    assert {"one", "two"} == subject.waiting_sources()

    subject.take(batch(5, name="two", file=B), Framing(), now=None)
    subject.at_end("two", B)
    assert [5, 10] == times(subject.release())
    assert set() == subject.slowest()


def test_rules_on_different_sources_of_one_file_share_it() -> None:
    """A source whose rules are in several orderings gives each its own matches."""
    sources = [source("one"), source("two")]
    rules = [
        rule("both", sources=("one", "two"), more_than=0),
        rule("first", sources=("one",), more_than=0),
    ]
    subject = pipeline(*rules, sources=sources)
    subject.take(batch(1, name="one"), Framing(), now=None)

    assert ["both", "first"] == sorted(alert.rule for alert in subject.release())


def test_a_rule_sees_a_file_of_two_sources_once() -> None:
    """Torture R19: through the first of its sources that has it."""
    sources = [source("one"), source("two")]
    rules = [
        rule("both", sources=("two", "one"), more_than=0, cooldown=0),
        rule("only", sources=("one",), more_than=0, cooldown=0),
    ]
    subject = pipeline(*rules, sources=sources)
    holders = ("one", "two")
    subject.take(batch(1, name="one"), Framing(), now=None, holders=holders)
    subject.take(batch(1, name="two"), Framing(), now=None, holders=holders)

    assert ["both", "only"] == sorted(alert.rule for alert in subject.release())


def test_a_source_that_no_rule_watches_has_nothing_to_wait_for() -> None:
    """Its files may be behind for ever."""
    subject = pipeline(rule())
    subject.behind("other", B, None)
    subject.at_end("other", B)
    subject.take(batch(0, 1, 2), Framing(), now=None)

    assert [2] == times(subject.release())


def test_what_was_judged_is_judged_again_after_a_crash() -> None:
    """A snapshot, and the journal since: as if nothing had happened."""
    first = pipeline(rule(cooldown=0))
    shards = {"fatal": (4, first.engine.freeze("fatal"))}
    assert first.take_journal() is None
    first.take(batch(0, 1), Framing(), now=None)
    first.release()
    assert 2 == first.uncommitted
    journal = first.take_journal()
    assert 0 == first.uncommitted
    assert journal is not None
    stored = Stored(shards, [(4, journal), (5, journal)], first.freeze_waiting())

    second = pipeline(rule(cooldown=0), stored=stored)
    second.take(batch(2), Framing(), now=None)
    [alert] = second.release()
    # What the shard includes already is not counted again.
    assert (2, 3) == (alert.time - START, alert.since_last)


def test_the_journal_of_a_rule_that_changed_its_meaning_is_left_out() -> None:
    """What it looked for is not what it looks for now."""
    first = pipeline(rule())
    shards = {"fatal": (0, first.engine.freeze("fatal"))}
    first.take(batch(0, 1, text="x" * 1000 + "Fatal"), Framing(), now=None)
    first.release()
    journal = first.take_journal()
    assert journal is not None
    assert len(journal) < 2000

    second = pipeline(rule(match=(Pattern("F"),)), stored=Stored(shards, [(1, journal)]))
    second.take(batch(2), Framing(), now=None)
    assert [] == second.release()


def test_what_waits_survives_a_crash() -> None:
    """With the files for which it waits still behind."""
    sources = [source(lateness=10)]
    first = pipeline(rule(more_than=0), sources=sources)
    first.take(batch(5), Framing(), now=None)
    assert [] == first.release(now=START + 1000)
    assert START + 1010 == first.deadline()

    stored = Stored({"fatal": (0, first.engine.freeze("fatal"))}, [], first.freeze_waiting())
    second = pipeline(rule(more_than=0), sources=sources, stored=stored)
    assert [5] == times(second.release(now=START + 1010))
    assert second.deadline() is None


def test_what_waits_for_a_rule_that_is_gone_is_forgotten() -> None:
    """Its matches mean nothing any more."""
    sources = [source(lateness=10)]
    first = pipeline(rule(more_than=0), sources=sources)
    first.take(batch(5), Framing(), now=None)
    second = pipeline(
        rule("other", more_than=0), sources=sources, stored=Stored(waiting=first.freeze_waiting())
    )

    assert [] == second.flush()


def test_flush_judges_all_that_waits() -> None:
    """At the end of a replay."""
    subject = pipeline(rule(more_than=0), sources=[source(lateness=10)])
    subject.take(batch(5), Framing(), now=None)

    assert [5] == times(subject.flush())


def test_a_replay_keeps_no_journal() -> None:
    """Nobody would ever take it."""
    sources, rules = [source()], [rule()]
    matchers = {"app": Matcher(sources[0], rules)}
    subject = Pipeline(sources, rules, matchers, is_journaled=False)
    subject.take(batch(0, 1, 2), Framing(), now=None)

    assert [2] == times(subject.release())
    assert subject.take_journal() is None


def test_a_reload_keeps_what_waits_and_what_was_counted() -> None:
    """For rules that mean the same; late matches stay counted."""
    old = pipeline(rule(cooldown=0), rule("changed"), sources=[source()])
    framing = Framing()
    old.take(batch(0, 10, 4), framing, now=None)
    old.release()
    assert 2 == old.late
    old.behind("app", B, None)
    old.take(batch(11), framing, now=None)
    new = pipeline(rule(cooldown=0), rule("changed", match=(Pattern("Never"),)))
    new.adopt(old)

    assert 1 == new.waiting
    assert 2 == new.late
    [alert] = new.flush()
    assert (11, 1) == (alert.time - START, alert.since_last)
    assert new.take_journal() is not None


def test_what_went_less_than_well_is_counted() -> None:
    """Over all batches, by rule where it is a rule's matter."""
    condition = Conjunction((Condition("line", "contains", "Fatal"),))
    subject = pipeline(rule(match=(condition,), group_by=("ip",)))
    for _ in range(2):
        subject.take(batch(0, 1), Framing(), now=None)

    assert {"fatal": 4} == subject.counters.without_key
    assert 0 == subject.counters.undecided


OWN = "Nov 24 11:36:52 web1 alertd[123]: Fatal"


def test_alertd_never_rings_about_itself() -> None:
    """Its own lines in a system log, which a rule may well match, are left out and counted."""
    subject = pipeline(rule(more_than=0))
    framing = Framing()
    text = f"{OWN}\nNov 24 11:36:53 web1 app[1]: Fatal\n".encode()
    subject.take(Batch("1", "app", "/a.log", 0, text, START), framing, now=START)
    other = pipeline(rule(more_than=0))
    other.adopt(subject)

    [alert] = subject.flush()
    assert "app[1]" in alert.line
    assert 1 == subject.own == other.own


def test_a_format_that_no_syslog_writes_has_no_lines_of_ours() -> None:
    """In a csv such a text is some program's data."""
    subject = pipeline(
        rule(more_than=0), sources=[source(format="csv", columns=("a",), timestamp="none")]
    )
    subject.take(Batch("1", "app", "/a.log", 0, f"{OWN}\n".encode(), START), Framing(), now=START)

    assert 1 == len(subject.flush())
    assert 0 == subject.own


def test_what_goes_less_than_well_is_counted_by_source() -> None:
    """Whoever is told of it wants to know where."""
    subject = pipeline(
        rule(sources=("app", "other"), match=(Conjunction((Condition("a", "equals", "Fatal"),)),)),
        sources=[source(format="json"), source("other", format="json")],
    )
    for name, lines in (("app", 2), ("other", 1)):
        text = b'{"a": "Fatal", and no JSON\n' * lines
        subject.take(Batch(name, name, "/a.log", 0, text, START), Framing(), now=START)

    assert {"app": 2, "other": 1} == {
        name: counters.unparsable for name, counters in subject.counters_of.items()
    }
    assert 3 == subject.counters.unparsable


def waiting(name: str = "fatal", **changes: Any) -> Rule:
    """Make a rule that rings after 10 seconds without a fatal line."""
    settings = {"kind": "absence", "more_than": 0, "within": 10.0, "cooldown": 0.0}
    return rule(name, **{**settings, **changes})


def advanced(subject: Pipeline, second: float, unread: Sequence[str] = ()) -> list[float]:
    """Let the clock show a time; return when it rang."""
    passed = subject.advance(START + second, unread)
    return times([alert for alerts in passed for alert in alerts])


def test_time_that_has_passed_rings_once_all_was_read() -> None:
    """Two seconds later, because a line may lie in its writer's buffer for so long."""
    subject = pipeline(waiting())
    subject.take(batch(0, 5), Framing(), now=START)
    subject.release()

    assert START + 17 == subject.next_deadline()
    assert [] == advanced(subject, 17)
    assert [15] == advanced(subject, 17.5)
    assert float("inf") == subject.next_deadline()


def test_while_a_file_of_its_stream_is_behind_time_stands_still() -> None:
    """And while a source has lines that nobody has even begun to read; others' do not matter."""
    sources = [source("one"), source("two")]
    rules = [waiting("mine", sources=("one",)), waiting("other", sources=("two",))]
    subject = pipeline(*rules, sources=sources)
    for name, file in (("one", A), ("two", B)):
        subject.take(batch(0, file=file, name=name), Framing(), now=START)
    subject.release()
    subject.behind("one", A, START)

    assert [10] == advanced(subject, 100)
    subject.at_end("one", A)
    assert [] == advanced(subject, 100, ["one"])
    assert [10] == advanced(subject, 100)


def test_a_rule_watches_from_the_first_line_of_any_of_its_files() -> None:
    """Also where nothing of what it waits for is in them."""
    subject = pipeline(waiting())
    subject.behind("app", B, None)
    subject.take(batch(5, 30, text="fine"), Framing(), now=START)
    subject.release()
    subject.take(batch(3, 28, file=B, text="fine"), Framing(), now=START)
    subject.at_end("app", B)
    subject.release()

    assert [13] == advanced(subject, 40)


def test_a_rule_without_any_line_watches_from_when_that_was_known() -> None:
    """There is nothing to read: it begins now, less what may be on its way."""
    subject = pipeline(waiting())

    assert float("-inf") == subject.next_deadline()
    assert [] == advanced(subject, 2)
    assert START + 12 == subject.next_deadline()
    assert [10] == advanced(subject, 12.5)


def test_lateness_holds_up_what_came_since_and_nothing_older() -> None:
    """A stream in which something always waits is not deaf for ever."""
    sources = [source(lateness=60.0)]
    rules = [waiting(), rule("every", match=(Pattern("fine"),), more_than=1000)]
    subject = pipeline(*rules, sources=sources)
    subject.take(batch(0), Framing(), now=START)
    subject.take(batch(72, text="fine"), Framing(), now=START + 72)
    subject.release(START + 72)

    assert [] == advanced(subject, 72)
    assert [10] == advanced(subject, 72.5)
    assert 1 == subject.waiting


def test_what_waits_is_judged_before_what_has_not_happened_since() -> None:
    """A line that came late, but no later than allowed, was in time."""
    sources = [source(lateness=60.0)]
    subject = pipeline(waiting(), sources=sources)
    subject.take(batch(0), Framing(), now=START)
    late = msgspec.structs.replace(batch(8), read_at=START + 65)
    subject.release(START + 65)
    subject.take(late, Framing(), now=START + 65)

    assert [] == advanced(subject, 79)
    subject.release(START + 130)
    assert [18] == advanced(subject, 130)


@pytest.mark.parametrize("killed_after", [1, 2, 3, 4])
def test_a_crash_at_any_moment_changes_nothing_about_time(killed_after: int) -> None:
    """The beginning is known from the first line on, and what has passed, has passed."""
    subject = pipeline(waiting())
    shard = (0, subject.engine.freeze("fatal"))
    journal = []
    rang: list[float] = []

    def take(its: Batch) -> list[float]:
        subject.take(its, Framing(), now=START)
        return []

    steps: list[Callable[[], list[float]]] = [
        lambda: take(batch(3, text="fine")),
        lambda: advanced(subject, 20),
        lambda: take(batch(16, 17)),
        lambda: times(subject.release()),
        lambda: advanced(subject, 40),
    ]
    for number, step in enumerate(steps, start=1):
        rang += step()
        journal.append((number, subject.take_journal() or b"\x90"))
        if number == killed_after:
            stored = Stored({"fatal": shard}, journal, subject.freeze_waiting())
            subject = pipeline(waiting(), stored=stored)

    assert [13, 27] == rang


def test_a_replay_ends_with_the_newest_line() -> None:
    """What comes after it nobody knows."""
    subject = pipeline(waiting())
    subject.take(batch(0, text="fine"), Framing(), now=None)
    subject.take(batch(0), Framing(), now=None)

    assert [] == times(subject.flush(START + 10))
    assert [10] == times(subject.flush(START + 11))
    assert [] == times(subject.flush(None))


def test_a_rule_that_a_reload_adds_watches_from_the_next_line() -> None:
    """It has not seen those before, so it must not miss what was in them."""
    old = pipeline(waiting("old"))
    old.take(batch(0), Framing(), now=START)
    old.release()
    subject = pipeline(waiting("old"), waiting("new"))
    subject.adopt(old)
    subject.take(batch(8, text="fine"), Framing(), now=START)
    subject.release()

    assert [10, 18] == advanced(subject, 30)


def test_a_file_without_times_says_nothing_about_the_beginning() -> None:
    """Then it is when that file was read to its end."""
    subject = pipeline(waiting())
    untimed = msgspec.structs.replace(batch(0), data=b"no time at all\n")
    subject.take(untimed, Framing(), now=START)

    assert [] == advanced(subject, 5)
    assert [13] == advanced(subject, 20)


WATCHED = [
    rule("one", sources=("one",), more_than=0, cooldown=0),
    rule("two", sources=("two",), more_than=0, cooldown=0),
]
WATCHER = rule(
    "pair", kind="alerts", match=(), sources=("one", "two"), watches=("one", "two"), more_than=1
)


def test_rules_that_another_watches_are_judged_in_one_order() -> None:
    """Nothing passes a file that is behind, though only another of them sees it."""
    sources = [source("one"), source("two")]
    subject = pipeline(*WATCHED, WATCHER, sources=sources)
    subject.behind("two", B, None)
    subject.take(batch(10, name="one"), Framing(), now=None)

    assert [] == subject.release()

    subject.take(batch(5, name="two", file=B), Framing(), now=None)
    subject.at_end("two", B)
    alerts = subject.release()

    assert ["two", "one", "pair"] == [alert.rule for alert in alerts]
    assert (0, 0) == alerts[-1].last[-1].span


@pytest.mark.parametrize("way", ["reload", "and back", "restart"])
def test_what_waits_is_kept_when_rules_are_watched_from_now_on(way: str) -> None:
    """They are put into another order, with what they have seen."""
    sources = [source("one"), source("two")]
    subject = pipeline(*WATCHED, sources=sources)
    subject.take(batch(20, name="two", file=B), Framing(), now=None)
    assert [20] == times(subject.release())
    subject.behind("one", ("/c.log", "3"), None)
    subject.take(batch(10, 30, name="one"), Framing(), now=None)
    assert [] == subject.release()

    if way == "restart":
        shards = {each.name: (0, subject.engine.freeze(each.name)) for each in WATCHED}
        stored = Stored(shards=shards, waiting=subject.freeze_waiting())
        subject = pipeline(*WATCHED, WATCHER, sources=sources, stored=stored)
    else:
        apart, subject = subject, pipeline(*WATCHED, WATCHER, sources=sources)
        subject.adopt(apart)
    if way == "and back":
        together, subject = subject, pipeline(*WATCHED, sources=sources)
        subject.adopt(together)
    subject.take(batch(15, name="two", file=B), Framing(), now=None)
    alerts = [alert for alert in subject.release() if alert.rule != "pair"]

    assert [("one", 10), ("one", 30), ("two", 20)] == sorted(
        (alert.rule, alert.time - START) for alert in alerts
    )


def test_a_rule_that_is_no_more_leaves_nothing_waiting() -> None:
    """What waited for it goes with it."""
    sources = [source("one"), source("two")]
    before = pipeline(*WATCHED, WATCHER, sources=sources)
    before.behind("two", B, None)
    before.take(batch(10, name="one"), Framing(), now=None)
    after = pipeline(WATCHED[1], sources=sources)
    after.adopt(before)

    assert (1, 0) == (before.waiting, after.waiting)


def test_events_of_others_are_repeated_from_the_journal() -> None:
    """They are written down as they were made, so that none is counted twice."""
    sources = [source("one"), source("two")]
    before = pipeline(*WATCHED, WATCHER, sources=sources)
    shards = {each.name: (0, before.engine.freeze(each.name)) for each in (*WATCHED, WATCHER)}
    before.take(batch(10, name="one"), Framing(), now=None)
    before.release()
    journal = before.take_journal()
    assert journal is not None
    after = pipeline(
        *WATCHED,
        WATCHER,
        sources=sources,
        stored=Stored(shards=shards, journal=[(1, journal)]),
    )
    after.take(batch(20, name="two", file=B), Framing(), now=None)
    alerts = after.release()

    assert [("two", 1), ("pair", 2)] == [(alert.rule, alert.count) for alert in alerts]
    assert [f"{name}: " for name in ("one", "two")] == [
        sample.line[:5] for sample in alerts[1].last
    ]
