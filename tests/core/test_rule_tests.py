"""A rule held against lines whose alerts are known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from core.examples import rule

from alertd.core.matching import Matcher
from alertd.core.rule_tests import START, run_test, run_tests
from alertd.core.rules import Condition, Conjunction, Pattern, RuleTest, Source

if TYPE_CHECKING:
    from alertd.core.rule_tests import Result
    from alertd.core.rules import Rule

FATAL = (Conjunction((Condition("severity", "equals", "Fatal"),)),)
SSH = (Pattern(r"Failed for (?P<ip>\S+)$"),)


def source(name: str = "app", **changes: Any) -> Source:
    """Make a source of plain lines in UTC."""
    settings: dict[str, Any] = {"name": name, "paths": ("/*.log",), "timezone": UTC}
    return Source(**{**settings, **changes})


def case(*lines: str, alerts: int, **changes: Any) -> RuleTest:
    """Make a test of the rule "fatal"."""
    settings: dict[str, Any] = {"rule": "fatal", "number": 1, "source": "app"}
    return RuleTest(**{**settings, "lines": lines, "alerts": alerts, **changes})


def run(test: RuleTest, tested: Rule, *sources: Source, others: tuple[Rule, ...] = ()) -> Result:
    """Run one test, beside rules that are not tested."""
    sources = sources or (source(),)
    matchers = {
        each.name: Matcher(each, [own for own in (*others, tested) if each.name in own.sources])
        for each in sources
    }
    return run_test(test, tested, sources, matchers)


def test_what_is_as_expected_is_no_problem() -> None:
    """The third of three within a minute, by the times that stand in the lines."""
    lines = [f"2026-03-01T12:00:{second}Z Fatal" for second in ("00", "30", "59")]

    result = run(case(*lines, alerts=1, counts=(3,)), rule())

    assert ("", ()) == (result.problem, result.lines)
    assert 'rule "fatal": test 1' == result.name


def test_a_window_is_open_at_its_old_end_here_too() -> None:
    """The same rule, the same engine: 60 seconds later the first line does not count."""
    lines = [f"2026-03-01T12:{minute}Z Fatal" for minute in ("00:00", "00:30", "01:00")]

    assert "" == run(case(*lines, alerts=0), rule()).problem


@pytest.mark.parametrize("timestamp", ["none", "auto"])
@pytest.mark.parametrize(("every", "alerts"), [(29.0, 1), (30.0, 0)])
def test_lines_without_a_time_are_so_far_apart(timestamp: str, every: float, alerts: int) -> None:
    """From one instant on, whatever the clock says."""
    test = case("Fatal", "Fatal", "Fatal", alerts=alerts, every=every)
    wrong = case("Fatal", "Fatal", "Fatal", alerts=7, every=0.0)

    assert "" == run(test, rule(), source(timestamp=timestamp)).problem
    *_, last = run(wrong, rule(), source(timestamp=timestamp)).lines
    assert [START] == [alert.time for alert in last.alerts]


def test_a_line_without_a_time_takes_that_of_its_neighbour() -> None:
    """As in a file: of the line before, and a banner that of the line behind it."""
    lines = ("Fatal", "2026-03-01T12:00:00Z Fatal", "Fatal")

    *_, last = run(case(*lines, alerts=0), rule()).lines

    assert [datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()] == [a.time for a in last.alerts]


def test_a_date_without_a_year_may_be_a_leap_day_and_cross_new_year() -> None:
    """The year before July 2024."""
    sources = source(format="syslog")
    leap = [f"Feb 29 12:00:0{n} db-1 app: Fatal" for n in range(3)]
    turn = [f"{when} db-1 app: Fatal" for when in ("Dec 31 23:59:50", "Jan  1 00:00:01")]

    assert "" == run(case(*leap, alerts=1), rule(), sources).problem
    assert "" == run(case(*turn, alerts=1, counts=(2,)), rule(more_than=1), sources).problem


def test_a_csv_has_its_header_before_its_lines() -> None:
    """Which is none of them: what is said of line 1 is said of the first record."""
    csv = source(format="csv", timestamp="at")
    lines = ("2026-03-01T12:00:00Z,Fatal", "2026-03-01T12:00:01Z,Error")
    tested = rule(match=FATAL, more_than=0)

    assert "" == run(case(*lines, alerts=1, header="at,severity"), tested, csv).problem
    result = run(case(*lines, alerts=0, header="at,severity"), tested, csv)
    assert "expected 0 alerts, got 1: rang at line 1" == result.problem


def test_lines_without_times_know_the_header_too() -> None:
    """They are read one by one, the header with the first."""
    csv = source(format="csv", timestamp="none")
    test = case("Fatal,x", "Error,x", "Fatal,x", alerts=0, header="severity,text")

    result = run(test, rule(match=FATAL, more_than=1, within=2.5), csv)

    assert "expected 0 alerts, got 1: rang at line 3" == result.problem


def test_columns_stand_for_a_header() -> None:
    """The first line is a record."""
    csv = source(format="csv", columns=("severity",))

    assert "" == run(case("Fatal", alerts=1), rule(match=FATAL, more_than=0), csv).problem


def test_a_record_of_several_lines_is_one() -> None:
    """Where the source has such."""
    csv = source(format="csv", columns=("severity", "text"), multiline=True)
    test = case('Fatal,"a\nb"', 'Fatal,"a', 'b"', alerts=0)

    result = run(test, rule(match=FATAL, more_than=1, within=10.0), csv)

    assert "expected 0 alerts, got 1: rang at line 2" == result.problem


def test_other_rules_of_the_source_take_no_part() -> None:
    """The matchers are those of all rules; what they find for others is left out."""
    noisy = rule("noisy", more_than=0)

    assert "" == run(case("Fatal", alerts=0), rule(), others=(noisy,)).problem


def test_a_rule_of_several_sources_sees_the_lines_of_the_one_that_is_named() -> None:
    """Nothing waits for the other source's files."""
    sources = (source(), source("db", format="json"))
    tested = rule(sources=("app", "db"), match=FATAL, more_than=0)

    assert "" == run(case('{"severity": "Fatal"}', alerts=1, source="db"), tested, *sources).problem
    assert "" == run(case('{"severity": "Fatal"}', alerts=0), tested, *sources).problem


def test_late_lines_count_as_they_do_at_work() -> None:
    """Within lateness at their own time; what waits at the end is judged."""
    lines = [f"2026-03-01T12:{at}Z Fatal" for at in ("01:00", "00:30", "01:05")]

    assert "" == run(case(*lines, alerts=1), rule(), source(lateness=60.0)).problem


def test_too_few_alerts_say_which_line_does_not_count_and_why() -> None:
    """The first of them."""
    test = case("Fatal", "Error", "Fatal", "Fat", alerts=1)

    result = run(test, rule())

    assert (
        "expected 1 alert, got 0: 2 of 4 lines counted; line 2 does not: 'Fatal' is not in it"
        == result.problem
    )
    assert [True, False, True, False] == [line.key is not None for line in result.lines]
    assert ["", "'Fatal' is not in it"] * 2 == [line.reason for line in result.lines]
    assert (
        'rule "fatal": test 1: expected 1 alert, got 0: 2 of 4 lines counted; line 2 does not: '
        "'Fatal' is not in it; see what it makes of each line: alertd test" == result.refusal
    )


def test_too_few_alerts_although_every_line_counts() -> None:
    """The limit is higher than thought."""
    assert (
        "expected 1 alert, got 0: 2 lines counted"
        == run(case("Fatal", "Fatal", alerts=1), rule()).problem
    )


def test_no_line_that_counts() -> None:
    """Said in words."""
    assert run(case("Error", alerts=1), rule()).problem.startswith(
        "expected 1 alert, got 0: none of 1 line counted; line 1 does not: "
    )


def test_too_many_alerts_say_which_lines_rang() -> None:
    """The first few of them."""
    tested = rule(more_than=0, cooldown=0.0)

    assert (
        "expected 1 alert, got 3: rang at line 1, 2, 3"
        == run(case(*["Fatal"] * 3, alerts=1), tested).problem
    )
    assert (
        "expected 1 alert, got 6: rang at line 1, 2, 3, 4, 5, …"
        == run(case(*["Fatal"] * 6, alerts=1), tested).problem
    )


def test_an_alert_about_something_else_is_a_problem() -> None:
    """Keys are compared alert by alert; the order of the fields does not matter."""
    tested = rule(match=SSH, group_by=("ip", "line"), more_than=0)
    lines = ("Failed for 1.1.1.1", "Failed for 2.2.2.2")
    right = [(("line", line), ("ip", line[-7:])) for line in lines]

    assert "" == run(case(*lines, alerts=2, keys=tuple(right)), tested).problem
    assert (
        "alert 1, at line 1: expected line = Failed for 2.2.2.2, ip = 2.2.2.2, "
        "got ip = 1.1.1.1, line = Failed for 1.1.1.1"
        == run(case(*lines, alerts=2, keys=tuple(reversed(right))), tested).problem
    )


def test_another_count_is_a_problem() -> None:
    """Alert by alert; those before it may be right."""
    tested = rule(match=SSH, group_by=("ip",), more_than=0, cooldown=0.0)
    lines = ("Failed for 1.1.1.1", "Failed for 1.1.1.1")
    keys = ((("ip", "1.1.1.1"),),) * 2

    assert (
        "alert 2, at line 2: expected a count of 2, got 1"
        == run(case(*lines, alerts=2, keys=keys, counts=(1, 2)), tested).problem
    )


def test_a_line_of_alertd_s_own_does_not_count() -> None:
    """As at work, and it is said."""
    own = "Mar  1 12:00:00 db-1 alertd[7]: Fatal"

    result = run(case(own, alerts=1), rule(more_than=0))

    assert result.problem.endswith("line 1 does not: alertd wrote it, or seems to")


def test_more_than_fits_in_one_turn_is_read_to_its_end() -> None:
    """As many lines as it takes."""
    test = case(*["2026-03-01T12:00:00Z Fatal"] * 20_000, alerts=20_000)

    assert "" == run(test, rule(more_than=0, cooldown=0.0)).problem


def test_each_test_is_alone() -> None:
    """What one counted the next does not know."""
    tested = rule(more_than=1)
    tests = [case("Fatal", alerts=0, number=number) for number in (1, 2, 3)]
    matchers = {"app": Matcher(source(), [tested])}

    results = list(run_tests(tests, [tested], [source()], matchers))

    assert [("", 1), ("", 2), ("", 3)] == [(each.problem, each.test.number) for each in results]
