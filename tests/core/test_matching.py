"""Finding lines: fast must mean the same as slow."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

import pytest
from core.examples import rule
from core.logfiles import file
from core.slow_matching import Found, slow_matches
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from alertd.core.events import Batch
from alertd.core.framing import Framing
from alertd.core.matching import MOST_HITS, Counters, Matcher, Verdict
from alertd.core.records import learn_header, record
from alertd.core.rules import Condition, Conjunction, Pattern, Source, key_value
from alertd.deadline import TICKS_OF_A_TURN, Deadline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from alertd.core.rules import Format, Rule, Selector

BERLIN = ZoneInfo("Europe/Berlin")
READ_AT = 1795510000.0


def source(format_: Format = "plain", **changes: Any) -> Source:
    """Make a source."""
    settings_: dict[str, Any] = {"name": "app", "paths": ("/x",), "timezone": BERLIN}
    return Source(**{**settings_, "format": format_, **changes})


def looking_for(*match: str | dict[str, Any], **changes: Any) -> Rule:
    """Make a rule from what its user writes."""
    return rule(match=tuple(map(alternative, match)), **changes)


def alternative(written: str | dict[str, Any]) -> Pattern | Conjunction:
    """Make an alternative from a regex or a table of operands or pairs of operator and operand."""
    if isinstance(written, str):
        return Pattern(written)
    return Conjunction(
        tuple(
            Condition(field, *demand)
            if isinstance(demand, tuple)
            else Condition(field, "equals", demand)
            for field, demand in written.items()
        )
    )


class Watch:
    """Stops nothing, but always says that the turn has been long enough."""

    step: int | None = None
    is_due = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self.step is None


def matches(
    content: bytes,
    of: Source,
    rules: Sequence[Rule],
    *,
    cuts: Sequence[int] = (),
    database: bytes | None = None,
    deadline: Watch | None = None,
) -> list[Found]:
    """Match a whole file, cut into batches of so many lines each."""
    matcher = Matcher(of, rules, database=database, deadline=deadline)
    framing = Framing()
    found = []
    for offset, data in batches(content, cuts):
        is_final = offset + len(data) == len(content)
        at, rest = offset, data
        while rest:
            batch = Batch("1", of.name, "/x", at, rest, READ_AT, is_final)
            matched = matcher.match(batch, framing)
            found += [Found(m.rule, m.key, m.time, m.offset, m.line) for m in matched.matches]
            at += matched.consumed
            rest = rest[matched.consumed :]
    return found


def batches(content: bytes, cuts: Sequence[int]) -> list[tuple[int, bytes]]:
    """Cut a file after so many lines each time; what is left is one batch."""
    found = []
    start = 0
    for lines in cuts:
        end = start
        for _ in range(lines):
            end = content.find(b"\n", end) + 1 or len(content)
        if end > start:
            found.append((start, content[start:end]))
        start = end
    return [*found, (start, content[start:])] if start < len(content) else found


def one_batch(
    content: bytes,
    of: Source,
    *rules: Rule,
    framing: Framing | None = None,
    now: float | None = None,
    offset: int = 0,
    is_final: bool = False,
) -> tuple[list[Any], Counters, Framing]:
    """Match one batch, and give all of what comes of it."""
    framing = framing or Framing()
    batch = Batch("1", of.name, "/x", offset, content, READ_AT, is_final)
    matched = Matcher(of, rules).match(batch, framing, now=now)
    assert len(content) == matched.consumed
    return matched.matches, matched.counters, framing


# --- the same as the slow way ---------------------------------------------------------------------

OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "max_line": st.sampled_from([65536, 65536, 65536, 12, 40]),
    "encoding": st.sampled_from(["utf-8", "utf-8", "utf-8", "cp1252", "latin-1", "shift_jis"]),
    "timestamp": st.sampled_from(["auto", "auto", "none"]),
}


@pytest.mark.parametrize("format_", ["plain", "csv", "json", "logfmt", "syslog"])
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=25)
@given(data=st.data())
def test_chunks_give_what_line_by_line_gives(format_: Format, data: st.DataObject) -> None:
    """
    Whatever the rules, the lines, and the places where the file is cut.

    The one exception: lines before the first that has a time see no further than their batch.
    """
    is_csv = format_ == "csv"
    of = source(
        format_,
        **data.draw(st.fixed_dictionaries(OPTIONS)),
        multiline=is_csv and data.draw(st.booleans()),
        columns=data.draw(st.sampled_from([(), ("f", "g", "h")])) if is_csv else (),
        delimiter=data.draw(st.sampled_from(",,;")) if is_csv else ",",
    )
    chance = data.draw(st.randoms(use_true_random=True))
    count = data.draw(st.integers(1, 5))
    rules, content = file(chance, of, rules=count, lines=4 * count)
    cuts = data.draw(st.lists(st.integers(1, 4), max_size=10))

    expected = slow_matches(content, of, rules, READ_AT)
    unseeing = slow_matches(content, of, rules, READ_AT, looks_ahead=False)

    event(f"rules that find something: {len({one.rule for one in expected})} of {len(rules)}")
    for found, *either in zip(
        matches(content, of, rules, cuts=cuts), expected, unseeing, strict=True
    ):
        assert found in either
    assert expected == matches(content, of, rules)
    assert expected == matches(content, of, rules, deadline=Watch())
    assert expected == matches(content, of, rules, database=Matcher(of, rules).dump())


@pytest.mark.parametrize("format_", ["plain", "csv", "json", "logfmt", "syslog"])
def test_large_files_give_what_line_by_line_gives(format_: Format) -> None:
    """Of files with many rules and lines, of which many match; the same ones each time."""
    rules_with_matches = rules_in_all = 0
    for seed in range(4):
        chance = random.Random(f"{format_}{seed}")
        is_csv = format_ == "csv"
        of = source(
            format_,
            encoding=chance.choice(("utf-8", "utf-8", "latin-1")),
            multiline=is_csv and chance.random() < 0.5,
            columns=chance.choice(((), ("f", "g", "h"))) if is_csv else (),
        )
        rules, content = file(chance, of, rules=24, lines=60)

        found = matches(content, of, rules, cuts=[chance.randint(1, 9) for _ in range(20)])

        expected = slow_matches(content, of, rules, READ_AT)
        places = [(one.rule, one.key, one.offset, one.line) for one in expected]
        assert places == [(one.rule, one.key, one.offset, one.line) for one in found]
        rules_with_matches += len({one.rule for one in expected})
        rules_in_all += len(rules)
    assert rules_with_matches > rules_in_all / 3


# --- fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format_", "demand", "line"),
    [
        ("json", {"level": "fatal"}, r'{"level":"\u0066atal"}'),
        ("json", {"level": "a/b"}, r'{"level":"a\/b"}'),
        ("json", {"level": "é"}, r'{"level":"\u00E9"}'),
        ("json", {"level": 'say "x"'}, r'{"level":"say \"x\""}'),
        ("json", {"level": "500"}, '{"level":500}'),
        ("json", {"level": "12.50"}, '{"level":12.50}'),
        ("json", {"level": "-0"}, '{"level":-0}'),
        ("json", {"level": "true"}, '{"level":true}'),
        ("json", {"level": True}, '{"level":"true"}'),
        ("json", {"level": False}, '{"level": false}'),
        ("json", {"level": 500.0}, '{"level":5e2}'),
        ("json", {"level": 500.0}, '{"level":"\\u0035\\u0030\\u0030"}'),
        ("json", {"level": 500.0}, '{"level":" 500.0\\t"}'),
        ("json", {"level": 0.5}, '{"level":.5, "x":1}'.replace(":.5", ":0.50")),
        ("json", {"level": 1e20}, '{"level":100000000000000000000}'),
        ("json", {"level": 1e-9}, '{"level":0.000000001}'),
        ("json", {"level": ("more_than", 1e300)}, '{"level":1' + "0" * 400 + "}"),
        ("json", {"level": ("less_than", -1e300)}, '{"level":-1' + "0" * 350 + ',"x":NaN}'),
        ("json", {"level": ("more_than", 1e300)}, '{"level":1e999}'),
        ("json", {"level": ("at_least", 5.0)}, '{"level":"5"}'),
        ("json", {"level": ("exists", False)}, '{"level":null}'),
        ("json", {"level": ("not", (Condition("level", "equals", "x"),))}, "no json"),
        ("json", {"a.b": "x"}, '{"a.b":"x","a":{"b":"y"}}'),
        ("json", {"a.b": "x"}, '{"a":{"b":"x"}}'),
        ("json", {"a.1.b": "x"}, '{"a":[0,{"b":"x"}]}'),
        ("json", {"a.1": "2.0"}, '{"a":[0, 2.0]}'),
        ("json", {"a.7": ("exists", False)}, '{"a":[0,{"b":"x"}]}'),
        ("json", {"a.x": ("exists", False)}, '{"a":7}'),
        ("json", {"a": '{"b": [1, 2]}'}, '{"a":{"b": [1, 2]}}'),
        ("json", {"a": ("contains", '"b"')}, '{"a":{"b":1}}'),
        ("json", {"a": "[]"}, '{"a":[]}'),
        ("json", {"a": "{}"}, '{"a" : {} }'),
        ("json", {"a": ("contains", "b\tc")}, r'{"a":"b\tc"}'),
        ("json", {"a": "x"}, '{"a":"y","a":"x"}'),
        ("json", {"a": "x"}, '{"n":NaN,"a":"x"}'),
        ("json", {"a": "NaN"}, '{"a":NaN}'),
        ("json", {"a": "\ufffdx"}, r'{"a":"\ud800x"}'),
        ("json", {"a": "\ufffd"}, r'{"b":NaN,"a":"\ud800"}'),
        ("json", {"a": ("regex", "(?i)k+x")}, r'{"a":"\u212aKx"}'),
        ("json", {"a": ("regex", "err(or)?")}, r'{"a":"an \u0065rror"}'),
        ("json", {"a": ("any_of", ("x", 5.0, True))}, '{"a":"5.0"}'),
        ("json", {"line": ("regex", '"a"')}, '{"a":1}'),
        ("json", {"line": ("contains", "[1")}, "[1]"),
        ("json", {"line": "5"}, "5"),
        ("csv", {"a": "x"}, "x"),
        ("csv", {"a": 'x"y'}, '"x""y"'),
        ("csv", {"a": "xyz"}, '"xy"z'),
        ("csv", {"a": "x,y"}, '"x,"y'),
        ("csv", {"a": "x,y"}, '"x,y"'),
        ("csv", {"a": 'xy"'}, '"xy"""'),
        ("csv", {"a": ("contains", "yz")}, '"xy"z'),
        ("csv", {"a": ("regex", "x+yz+")}, '"xy"z'),
        ("csv", {"a": 500.0}, '"5"00'),
        ("csv", {"a": 500.0}, "5e2"),
        ("csv", {"a": ""}, '"",b'),
        ("csv", {"b": ("exists", False)}, "a"),
        ("csv", {"line": ("contains", '"')}, '"x"'),
        ("logfmt", {"a": "x y"}, 'a="x y"'),
        ("logfmt", {"a": 'x"y'}, r'a="x\"y"'),
        ("logfmt", {"a": "xé"}, r'a="x\u00e9"'),
        ("logfmt", {"a": "x\ny"}, r'a="x\ny"'),
        ("logfmt", {"a": ""}, "b=1 a c=2"),
        ("logfmt", {"a": "2"}, "a=1 a=2"),
        ("logfmt", {"a": ("at_most", 2.0)}, "a=1e0"),
        ("logfmt", {"a": '"un'}, 'a="un'),
        ("syslog", {"program": "sshd"}, "Nov 24 10:00:01 host sshd[7]: hi"),
        ("syslog", {"pid": 7.0}, "<34>Nov  4 10:00:01 host sshd[7]: hi"),
        ("syslog", {"message": "hi"}, "2026-11-24T10:00:01.5+01:00 host sshd: hi"),
        ("syslog", {"message": "last message repeated"}, "Nov 4 10:00:01 h last message repeated"),
        ("syslog", {"severity": "crit"}, "<34>Nov  4 10:00:01 host sshd[7]: hi"),
        ("syslog", {"facility": "auth"}, "<34>1 2026-11-24T10:00:01Z h a 7 ID - \ufeffhi"),
        ("syslog", {"msgid": "ID"}, r'<34>1 2026-11-24T10:00:01Z h a - ID [x y="\"]"][z] hi'),
        ("syslog", {"pid": ("exists", False)}, "<34>1 2026-11-24T10:00:01Z h a - ID - hi"),
        ("syslog", {"severity": ("exists", False)}, "<999>Nov  4 10:00:01 host sshd[7]: hi"),
        ("syslog", {"message": ("regex", "(?i)HI")}, "Nov  4 10:00:01 host a: Hi"),
        ("syslog", {"program": ("exists", False)}, "no syslog"),
        ("json", {"line": 5.0}, "5"),
        ("plain", {"line": ("contains", "x")}, "axb"),
        ("plain", {"line": 5.0}, "5.0"),
        ("plain", {"line": ""}, ""),
        ("plain", {"line": ("regex", "a"), "x": ("exists", False)}, "a"),
        ("plain", {"line": ("regex", "a*"), "x": ("exists", False)}, "b"),
        ("plain", {"x": ("exists", False)}, ""),
    ],
)
def test_a_field_is_what_its_format_says(
    format_: Format, demand: dict[str, Any], line: str
) -> None:
    """However the line spells it: each of these lines fulfils the demand beside it."""
    of = source(format_, columns=("a", "b") if format_ == "csv" else (), timestamp="none")

    found, _, _ = one_batch(line.encode() + b"\n", of, looking_for(demand))

    assert [line] == [match.line for match in found]


@pytest.mark.parametrize(
    ("demand", "line"),
    [
        ({"a": "x"}, '{"a":"xy"}'),
        ({"a": 5.0}, '{"a":"0x5"}'),
        ({"a": 5.0}, '{"a":"5_0"}'),
        ({"a": ("at_least", 0.0)}, '{"a":"inf"}'),
        ({"a": ("at_least", 0.0)}, '{"a":Infinity}'),
        ({"a": ("at_least", 0.0)}, '{"a":true}'),
        ({"a": ("at_least", 0.0)}, '{"a":null}'),
        ({"a": ("exists", True)}, '{"a":null}'),
        ({"a": ("exists", True)}, '["a"]'),
        ({"a": "1", "b": "2"}, '{"a":"1"}'),
        ({"a": True}, '{"a":1}'),
        ({"a": ("regex", "x")}, '{"b":"x"}'),
        ({"a": ("contains", "x")}, '{"b":"x"}'),
        ({"a": ("not", (Condition("a", "equals", "x"),))}, '{"a":"x"}'),
        ({"a": "x"}, '{"a":"x"'),
        ({"a.99999999999": "x"}, '{"a":["x"]}'),
        ({"a": ("regex", "x"), "b": "y"}, '{"a":"x"}'),
        ({"a": "x"}, "[" * 100_000 + '"x"'),
    ],
)
def test_a_field_is_no_more_than_that(demand: dict[str, Any], line: str) -> None:
    """Missing fields fulfil only ``not`` and ``exists = false``; a number is decimal."""
    found, _, _ = one_batch(line.encode() + b"\n", source("json"), looking_for(demand))

    assert [] == found


def test_named_groups_become_fields() -> None:
    """Those of the alternative that holds; ``unless`` and ``group_by`` see them, too."""
    one = looking_for(
        r"Failed for (?P<user>\w+) from (?P<ip>\S+)( port (?P<port>\d+))?",
        {"user": ("regex", "^(?P<ip>x)")},
        unless=(alternative({"ip": ("regex", r"^10\.")}),),
        group_by=("ip", "user"),
    )
    content = b"Failed for root from 1.2.3.4\nFailed for root from 10.0.0.1\n"

    found, _, _ = one_batch(content, source(), one)

    assert [("1.2.3.4", "root")] == [match.key for match in found]


@pytest.mark.parametrize("n", ["6", "5", "x", ""])
def test_a_named_group_can_be_compared_as_a_number(n: str) -> None:
    """One that took no part, or is no number, fulfils nothing."""
    one = looking_for("took (?P<n>.)?", unless=(alternative({"n": ("at_most", 5.0)}),))

    found, _, _ = one_batch(f"took {n}\n".encode(), source(), one)

    assert (n != "5") == bool(found)


@pytest.mark.parametrize("fields", [("a",), ("a", "b")])
def test_a_candidate_that_python_does_not_find_is_none(fields: tuple[str, ...]) -> None:
    """Hyperscan cannot look ahead."""
    one = looking_for("(?P<a>x)(?P<b>y)(?=z)", group_by=fields)

    found, _, _ = one_batch(b"xy\nxyz\n", source(), one)

    assert ["xyz"] == [match.line for match in found]


@pytest.mark.parametrize("fields", [("port",), ("port", "user")])
@pytest.mark.parametrize("unless", [(), (Pattern("never"),)])
def test_a_line_without_its_key_is_counted(fields: tuple[str, ...], unless: Selector) -> None:
    """A group that took no part is missing; it is not empty."""
    one = looking_for(r"for (?P<user>\w+)(:(?P<port>\d*))?", group_by=fields, unless=unless)

    found, counters, _ = one_batch(b"for x:\nfor y\nto z\n", source(), one)

    assert ["for x:"] == [match.line for match in found]
    assert {"fatal": 1} == counters.without_key


def test_a_long_key_is_shortened_and_stays_itself() -> None:
    """At 256 characters it is whole; beyond, a digest keeps apart what begins alike."""
    assert "x" * 256 == key_value("x" * 256)
    assert 217 == len(key_value("x" * 257))
    assert key_value("x" * 257) != key_value("x" * 258)
    one = looking_for("(?P<a>x+)", group_by=("a",))
    found, _, _ = one_batch(b"x" * 257 + b"\n", source(), one)
    assert [(key_value("x" * 257),)] == [match.key for match in found]


# --- lines ----------------------------------------------------------------------------------------


def test_only_newlines_end_a_line() -> None:
    """Neither ``str.splitlines``'s other ends nor carriage returns do."""
    content = "a\x0b\x0c\x1c\x85\u2028\rFatal\r\r\nx\n".encode()

    found, _, _ = one_batch(content, source(), looking_for("^a.*Fatal"))

    assert ["a\x0b\x0c\x1c\x85\u2028\rFatal\r"] == [match.line for match in found]


def test_only_newlines_end_a_line_where_every_line_is_tested() -> None:
    """Or its field is: also where no text is looked for (L13)."""
    plain = "a\x0b\x0c\x1c\x85\u2028\rb\nc\n".encode()
    fields = b'{"n": 1}\r\n{"n": 7}\n'

    every, _, _ = one_batch(plain, source(timestamp="none"), looking_for(""))
    some, _, _ = one_batch(
        fields,
        source("json", timestamp="none"),
        looking_for({"n": ("more_than", 5)}),
    )

    assert [0, len(plain) - 2] == [match.offset for match in every]
    assert [fields.index(b"\n") + 1] == [match.offset for match in some]


def test_lines_without_any_digit_are_passed_over_for_the_first_time_that_follows() -> None:
    """However many there are (L14); those with one are looked at, some thousands of them."""
    content = b"Fatal\n" + b"\nno time\n" * 3000 + b"2026-03-01T12:00:00Z x\n"

    found, _, _ = one_batch(content, source(), looking_for("Fatal"))

    assert [datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()] == [match.time for match in found]


def test_what_is_no_text_is_shown_as_bytes() -> None:
    """It matches as U+FFFD, is counted, and its bytes can be read in the mail."""
    found, counters, _ = one_batch(b"Fatal \xff\n", source(), looking_for("Fatal \ufffd$"))

    assert [r"Fatal \xff"] == [match.line for match in found]
    assert 1 == counters.undecodable


def test_a_line_is_cut_at_max_line() -> None:
    """What stands behind is not seen, the line's end is the cut, and it is counted once."""
    content = b"x\n" + b"a" * 9 + b"bFatal\r\n" + b"\0" * 20 + b"aaab\nab\n" + b"c" * 99
    rules = [looking_for("b$"), looking_for("Fatal", name="late"), looking_for("", name="all")]

    found, counters, _ = one_batch(content, source(max_line=10), *rules)

    lines = ["a" * 9 + "b", "aaab", "ab"]
    assert lines == [match.line for match in found if match.rule == "fatal"]
    assert [] == [match for match in found if match.rule == "late"]
    assert [0, 2, 19, 44, 47] == [match.offset for match in found if match.rule == "all"]
    assert 2 == counters.cut


def test_a_byte_order_mark_is_no_text_at_the_start_of_a_file_only() -> None:
    """There ``^`` matches behind it, and no offset moves."""
    content = b"\xef\xbb\xbfFatal\n\xef\xbb\xbfFatal\nFatal\n"

    found, _, _ = one_batch(content, source(), looking_for("^Fatal"))

    later, _, _ = one_batch(content, source(), looking_for("^Fatal"), offset=1000)

    assert [0, 18] == [match.offset for match in found]
    assert [1018] == [match.offset for match in later]


@pytest.mark.parametrize("regex", ["x", "x*", "^"])
def test_a_batch_that_matches_everywhere_is_taken_in_turns(regex: str) -> None:
    """Some thousand hits a turn; nothing is lost or found twice between turns."""
    content = b"x\n" * 3 * MOST_HITS
    rules = [looking_for(regex, name=f"r{number}") for number in range(3)]
    matcher = Matcher(source(timestamp="none"), rules)

    matched = matcher.match(Batch("1", "app", "/x", 0, content, READ_AT), Framing())

    assert 0 < matched.consumed < len(content)
    assert matched.consumed // 2 * 3 == len(matched.matches)
    assert len(content) // 2 * 3 == len(matches(content, source(), rules))


def test_a_turn_is_no_longer_for_rules_that_look_for_the_same_text() -> None:
    """A hundred rules make a hundred candidates of each line that has it."""
    rules = [looking_for("x", name=f"r{n}") for n in range(100)]
    content = b"x\n" * MOST_HITS

    matched = Matcher(source(), rules).match(Batch("1", "app", "/x", 0, content, 0.0), Framing())

    assert 100 <= len(matched.matches) <= 2 * MOST_HITS
    assert len(matched.matches) == 100 * matched.consumed // 2


def test_many_rules_share_a_scan() -> None:
    """Each finds its own lines, in the order of the lines and then of the rules."""
    rules = [looking_for(f"Fatal {number}$", name=f"r{number}") for number in range(40)]
    rules += [looking_for("7$", name="seven"), looking_for("7$", name="again")]
    content = b"".join(b"Fatal %d\n" % number for number in range(40))

    found, _, _ = one_batch(content, source(), *rules)

    expected = [(f"r{n}", n) for n in range(40)]
    expected += [(name, n) for n in (7, 17, 27, 37) for name in ("seven", "again")]
    assert sorted(expected) == sorted((m.rule, int(m.line[6:])) for m in found)
    assert [m.offset for m in found] == sorted(m.offset for m in found)


@pytest.mark.parametrize("database", [b"", b"junk", Matcher(source(), [looking_for("x")]).dump()])
def test_a_stored_database_that_does_not_fit_is_made_anew(database: bytes) -> None:
    """Whatever is in it: it only saves time."""
    assert 1 == len(matches(b"Fatal\n", source(), [looking_for("Fatal")], database=database))


def test_a_damaged_database_is_made_anew() -> None:
    """Its key may be right and its content not."""
    stored = Matcher(source(), [looking_for("Fatal")]).dump()
    damaged = stored[:40] + bytes(60) + stored[100:]

    assert 1 == len(matches(b"Fatal\n", source(), [looking_for("Fatal")], database=damaged))


def test_check_can_say_how_lines_are_found() -> None:
    """A rule that is tested on every line is said to be."""
    rules = [looking_for("Fatal"), looking_for({"n": ("at_least", 5.0)}, name="slow")]
    rules.append(looking_for({"level": ("any_of", ("fatal", "panic"))}, name="text"))
    rules.append(looking_for(r"(?:\w{1,300}x){1,300}(?:\w{1,300}y){1,300}z", name="loose"))

    ways = Matcher(source("json"), rules).strategies()

    assert [False, True, False, False] == [way.is_slow for way in ways]
    assert "the text 'Fatal'" == ways[0].description
    assert ways[1].description.startswith(
        "slow, the fields of every line are looked at: no text is in"
    )
    assert "the text 'fatal' or the text 'panic'" == ways[2].description
    assert "the text 'x'" == ways[3].description


def test_check_says_why_a_rule_is_slow() -> None:
    """And what to do about it."""
    in_japanese = Matcher(source(encoding="shift_jis"), [looking_for("x")]).strategies()[0]
    anything = Matcher(source(), [looking_for(".*")]).strategies()[0]
    too_large = Matcher(source(), [looking_for("a" * 20_000)]).strategies()[0]
    blank = Matcher(source(), [looking_for("[ab] [cd]")]).strategies()[0]

    assert in_japanese.description.startswith(
        "slow, every line is tested: in shift_jis no text can be"
    )
    assert anything.description.startswith(
        "slow, every line is tested: no text is in all matching lines"
    )
    assert too_large.description.startswith("slow, every line is tested: its regex is too large")
    assert "a pattern without a telling text" == blank.description


@pytest.mark.parametrize(
    ("regex", "way"),
    [
        ("Failed password", "the text 'Failed password'"),
        ("(?i)out of memory", "the text 'out of memory' in any case"),
        ("panic|oops|BUG:", "the text 'panic', 'oops' or 'BUG:'"),
        ("a1|b1|c1|d1|e1|f1", "the text 'a1', 'b1', 'c1', 'd1' or others"),
        (r"of user \d+ failed$", "a pattern from 'of user ' on"),
        (r"(?:cat|dog)s? on the mat", "the text ' on the mat'"),
        (r"^\S+ \d{3} ", "a pattern without a telling text"),
        (r"(?:[ab]|x)[cd]", "a pattern without a telling text"),
        (r"\n", "nothing, as no line can match its regex"),
    ],
)
def test_check_names_the_text_that_is_looked_for(regex: str, way: str) -> None:
    """That with which the expression begins that is really used, not the longest one."""
    (strategy,) = Matcher(source(), [looking_for(regex)]).strategies()

    assert (way, False) == (strategy.description, strategy.is_slow)


# --- rules that must see every line --------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "is_match"),
    [
        ('{"n":5}', True),
        ('{"n":4.9}', False),
        ('{"n":"5"}', True),
        ('{"\\u006e":7}', True),
        ('{"n":1,"n":7}', True),
        ('{"n":7,"n":1}', False),
        ('{"n":true}', False),
        ('{"n":null}', False),
        ('{"n":1e999}', True),
        ('{"n":NaN}', False),
        ('{"n":9007199254740993}', True),
        ('{"n":-9007199254740993}', False),
        ('{"n":7} {"n":7}', False),
        ('{"n":7', False),
        ("[7]", False),
        ("", False),
    ],
)
def test_a_look_at_a_field_misses_nothing(line: str, is_match: bool) -> None:  # noqa: FBT001
    """Whatever stands beside the line, and however the number is spelled."""
    numeric = looking_for(
        {"n": ("at_least", 5.0)}, {"n": ("more_than", 6.0), "m": ("exists", True)}
    )
    content = f'{{"n":1}}\n{line}\n{{"n":6}}\n'.encode()

    found = matches(content, source("json"), [numeric])

    assert [line] * is_match + ['{"n":6}'] == [one.line for one in found]


@pytest.mark.parametrize(
    ("line", "is_match"),
    [
        ('{"a":{"b":5}}', True),
        ('{"a":{"b":4}}', False),
        ('{"a.b":5,"a":{"b":4}}', True),
        ('{"a.b":4,"a":{"b":5}}', False),
        ('{"a":{"c":5}}', False),
        ('{"a":[{"b":5}]}', False),
        ('{"a":[{"b":5}],"a":{"b":5}}', True),
        ('{"a":{"b":5},"a":null}', False),
        ('{"a":null,"a":{"b":5}}', True),
        ('{"a":{"b":4,"b":"5"}}', True),
        ('{"a":{"\\u0062":5}}', True),
        ('{"a":{"b":9007199254740993}}', True),
        ('{"a":{"b":1e999}}', True),
        ('{"a":1e999,"a":{"b":5}}', True),
        ('{"a":5}', False),
        ('{"a":"b"}', False),
        ('{"a":null}', False),
        ("{}", False),
    ],
)
def test_a_look_at_a_field_follows_its_path(line: str, is_match: bool) -> None:  # noqa: FBT001
    """A key that contains the dots itself comes first."""
    rules = [looking_for({"a.b": ("at_least", 5.0)})]

    found = matches(line.encode() + b"\n", source("json"), rules)

    assert is_match == bool(found)


@pytest.mark.parametrize("field", ["a", "a.b", "a.b.c", "a..b", "a.1", "é.ü"])
@pytest.mark.parametrize(
    "line",
    [
        '{"a":5}',
        '{"a":{"b":5}}',
        '{"a":{"b":{"c":5}}}',
        '{"a":{"b.c":5}}',
        '{"a":{"":{"b":5}}}',
        '{"a":{"1":5}}',
        '{"a":[0,5]}',
        '{"é":{"ü":5}}',
    ],
)
def test_a_look_at_many_fields_is_one_at_each(field: str, line: str) -> None:
    """Fields may lie inside one another; each rule sees its own."""
    names = ("a", "a.b", "a.b.c", "a..b", "a.1", "é.ü")
    rules = [looking_for({name: ("at_least", 5.0)}, name=name) for name in names]
    whole = record(source("json"))
    whole.take(line)

    found = matches(line.encode(), source("json"), rules)

    assert (whole.number(field) == 5) == (field in {one.rule for one in found})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,5\nb,4\nc\nd,x\n", [b"a,5"]),
        (b'"a,1",5\n"b,1",4\r\n"c,1",6\r\n', [b'"a,1",5', b'"c,1",6']),
        (b'"a,5\nb,6\n', [b"b,6"]),
        (b'a"b,5\n\0\0c,6\n', [b'a"b,5', b"c,6"]),
        (b'a\rb,5\n"c",6\n', [b'"c",6']),
        (b'"x"a\rb,5\nc,6\n', [b"c,6"]),
    ],
)
def test_a_look_at_a_column_misses_nothing(content: bytes, expected: list[bytes]) -> None:
    """Whatever quotes and line ends stand around it."""
    of = source("csv", columns=("k", "n"))

    found = matches(content, of, [looking_for({"n": ("at_least", 5.0)})])

    assert [line.decode() for line in expected] == [one.line for one in found]


def test_a_look_at_a_column_forgets_what_it_has_seen_too_often() -> None:
    """Numbers that never come again are not kept for ever; a column without a name has none."""
    content = b"".join(b"a,%d\n" % number for number in range(5000))
    of = source("csv", columns=("k", "n"))

    found = matches(content, of, [looking_for({"n": ("at_least", 4998.0)})])

    assert ["a,4998", "a,4999"] == [one.line for one in found]
    assert [] == matches(content, of, [looking_for({"m": ("at_least", 0.0)})])


@pytest.mark.parametrize(
    ("regex", "is_slow"),
    [("(?:a|b(?:c|d(?:e|f.{400}){16}){16}){16}z", False), ("a" * 20_000, True)],
)
def test_what_hyperscan_refuses_is_found_all_the_same(regex: str, is_slow: bool) -> None:  # noqa: FBT001
    """Without its bounded repeats, or by testing every line."""
    matcher = Matcher(source(max_line=1 << 16), [looking_for(regex), looking_for("x", name="x")])
    line = b"a" * 20_000 if is_slow else b"a" * 16 + b"z"

    matched = matcher.match(Batch("1", "app", "/x", 0, b"x\n" + line + b"\n", READ_AT), Framing())

    assert ["x", "fatal"] == [match.rule for match in matched.matches]
    assert [is_slow, False] == [way.is_slow for way in matcher.strategies()]


def test_no_lines_are_no_matches() -> None:
    """An empty batch changes nothing."""
    assert ([], Counters(), Framing()) == one_batch(b"", source(), looking_for("x"))


# --- csv ------------------------------------------------------------------------------------------

FATAL = looking_for({"severity": "Fatal"}, group_by=("id",))


def test_the_first_line_names_the_fields() -> None:
    """It is no record itself; of equal names the first counts, and empty ones name nothing."""
    content = b"\xef\xbb\xbfid, severity ,severity,\r\nx,Fatal,no,Fatal\ny,no,Fatal,\n"
    everything = looking_for("", name="all")

    found, _, framing = one_batch(content, source("csv"), FATAL, everything)

    assert [("x",)] == [match.key for match in found if match.rule == "fatal"]
    assert 2 == len([match for match in found if match.rule == "all"])
    assert ("id", "severity", "severity", "") == framing.header
    assert b"id, severity ,severity," == framing.header_line


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (b"id,severity\nx,Fatal\n", [("x",)]),
        (b"y,Fatal\nx,Fatal\n", [("y",), ("x",)]),
    ],
)
def test_after_a_truncation_only_the_same_header_is_one(
    content: bytes, keys: list[tuple[str, ...]]
) -> None:
    """A writer that appends without writing it again still means the same fields."""
    framing = Framing(header=("id", "severity"), header_line=b"id,severity")

    found, _, _ = one_batch(content, source("csv"), FATAL, framing=framing)

    assert keys == [match.key for match in found]


@pytest.mark.parametrize("header", [b"", b'"id",severity\r\n'])
def test_named_columns_need_no_header(header: bytes) -> None:
    """One that is there all the same is no record."""
    of = source("csv", columns=("id", "severity"))
    rules = [FATAL, looking_for("", name="all")]

    found, _, framing = one_batch(header + b"x,Fatal\n", of, *rules)

    assert ["fatal", "all"] == [match.rule for match in found]
    assert ("id", "severity") == framing.header


def test_named_columns_hold_in_the_middle_of_a_file() -> None:
    """There no line is a header."""
    of = source("csv", columns=("id", "severity"))

    found, _, _ = one_batch(b"x,Fatal\n", of, FATAL, offset=77)

    assert [77] == [match.offset for match in found]


def test_the_header_may_be_learned_before_the_lines() -> None:
    """That is how a file is read from its end."""
    framing = Framing()
    learn_header(source("csv"), framing, b"\xef\xbb\xbfid,severity\r\n")
    learn_header(source(), framing, b"else")

    found, _, _ = one_batch(b"x,Fatal\n", source("csv"), FATAL, framing=framing, offset=77)

    assert [("x",)] == [match.key for match in found]


def test_blank_lines_before_the_header_name_nothing() -> None:
    """In whatever batch the first other line comes."""
    of = source("csv")
    content = b"\n  \nid,severity\nx,Fatal\n"

    assert [Found("fatal", ("x",), READ_AT, 16, "x,Fatal")] == matches(content, of, [FATAL])
    assert matches(content, of, [FATAL]) == matches(content, of, [FATAL], cuts=[1, 1, 1])


def test_a_row_that_is_no_csv_is_counted() -> None:
    """Once, however many rules ask for its fields; its text can be searched."""
    rules = [FATAL, looking_for({"id": ("contains", "a")}), looking_for("Fatal", name="text")]

    found, counters, _ = one_batch(b"id,severity\na\rb,Fatal\n", source("csv"), *rules)

    assert ["text"] == [match.rule for match in found]
    assert 1 == counters.unparsable


def test_a_header_that_is_no_csv_names_nothing() -> None:
    """It still is the header: no later line is taken for one."""
    _, _, framing = one_batch(b"a\rb\nx,Fatal\n", source("csv"), FATAL)

    assert () == framing.header


MULTILINE = source("csv", multiline=True, columns=("id", "severity"))


def records_of(content: bytes, **changes: Any) -> list[str]:
    """Give the records of several batches of one line each."""
    found = matches(content, MULTILINE, [looking_for("", **changes)], cuts=[1] * 300)
    assert found == matches(content, MULTILINE, [looking_for("", **changes)])
    return [one.line for one in found]


def test_a_quoted_field_goes_on_over_lines() -> None:
    """The record begins where its first line does."""
    content = b'a,Fatal\n"b\n\n""c""\nFatal",Fatal\r\nd,Fatal\n'

    found = matches(content, MULTILINE, [FATAL], cuts=[1] * 9)

    assert [("a",), ('b\n\n"c"\nFatal',), ("d",)] == [one.key for one in found]
    assert [0, 8, 32] == [one.offset for one in found]
    assert found == matches(content, MULTILINE, [FATAL])


def test_an_unfinished_record_waits_for_its_end() -> None:
    """Its bytes are part of the framing until then."""
    framing = Framing()
    found, _, _ = one_batch(b'a,x\n"b\n', MULTILINE, FATAL, framing=framing)
    assert ([], b'"b\n') == (found, framing.open_record)

    found, _, _ = one_batch(b'c",Fatal\n', MULTILINE, FATAL, framing=framing, offset=7)

    assert [("b\nc",)] == [match.key for match in found]
    assert (4, b"") == (found[0].offset, framing.open_record)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'5" disk,x\n6" disk,x\n', ['5" disk,x', '6" disk,x']),
        (b'"a\nb\nc\n', ['"a', "b", "c"]),
        (b'a"b,"c\nd\n', ['a"b,"c', "d"]),
        (b'"a\nb"x,y"z\nd\n', ['"a\nb"x,y"z', "d"]),
        (b'"a\n' + b"b\n" * 98 + b'c"\n', ['"a\n' + "b\n" * 98 + 'c"']),
        (b'"a\n' + b"b\n" * 99 + b'c"\nd\n', ['"a', *"b" * 99, 'c"', "d"]),
        (b'"a\n' + b"b\n" * 99 + b'"c\nd"\n', ['"a', *"b" * 99, '"c\nd"']),
        (
            b'"a\n' + b"b" * 40000 + b"\n" + b"c" * 40000 + b"\n",
            ['"a', "b" * 40000, "c" * 40000],
        ),
        (b'"a\n' + b"b" * 70000 + b'\nc"\n', ['"a', "b" * 65536, 'c"']),
        (b'"a\nb"', ['"a\nb"']),
    ],
)
def test_one_stray_quote_blinds_no_rule(content: bytes, expected: list[str]) -> None:
    """Beyond 100 lines or 64 KiB, and at the end, each line of an open record is taken alone."""
    assert expected == records_of(content)


def test_a_record_may_be_longer_than_a_turn() -> None:
    """What is scanned at once is no part of what a line means."""
    content = b'"a\nb",Fatal\n' * 5000

    found = matches(content, MULTILINE, [FATAL, looking_for("$", name="all")])

    assert 10000 == len(found)
    assert {'"a\nb",Fatal'} == {one.line for one in found}


# --- time -----------------------------------------------------------------------------------------

TEN = 1795510800.0  # 2026-11-24 10:00:00 in Berlin


def times(content: str, of: Source | None = None, **options: Any) -> list[float]:
    """Give the times of the lines with an x."""
    found, _, _ = one_batch(content.encode(), of or source(), looking_for("x"), **options)
    return [match.time for match in found]


def test_a_line_without_a_time_takes_that_of_the_line_before() -> None:
    """Whether anything was looking for that line or not; also across batches."""
    framing = Framing()
    content = (
        "2026-11-24 10:00:00 a\n x\n2026-11-24 10:00:05 a\nb\n x\n x\n2026-11-24 10:00:07 a\nb\n"
    )

    assert [TEN, TEN + 5, TEN + 5] == times(content, framing=framing)
    assert (TEN + 7, TEN + 7) == (framing.last_time, framing.newest_time)
    assert [TEN + 7] == times("x\n", framing=framing, offset=999)


def test_lines_before_the_first_time_take_it() -> None:
    """The time of reading would put an old file's banner after all that follows it."""
    content = "x one\nb\nx two\n2026-11-24 10:00:05 a\n2026-11-24 10:00:07 x\nx\n"
    framing = Framing()

    assert [TEN + 5, TEN + 5, TEN + 7, TEN + 7] == times(content, framing=framing)
    assert TEN + 7 == framing.newest_time
    found = matches(content.encode(), source(), [looking_for("x")], deadline=Watch())
    assert [TEN + 5, TEN + 5, TEN + 7, TEN + 7] == [one.time for one in found]


def test_the_first_time_is_that_of_a_record_not_of_a_line_in_it() -> None:
    """And a record that is still open has none yet."""
    of = source("csv", multiline=True, columns=("k", "when"), timestamp="when")
    content = b'x,\n"a\nb,2026-11-24 10:00:09",2026-11-24 10:00:05\n'

    found, counters, _ = one_batch(content, of, looking_for("^x"))
    alone, untimed, _ = one_batch(content[:8], of, looking_for("^x"))

    assert ([TEN + 5], 0) == ([one.time for one in found], counters.untimed)
    assert ([READ_AT], 1) == ([one.time for one in alone], untimed.untimed)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("length", [11, 12, 13, 14])
def test_a_line_about_as_long_as_may_be_is_cut_at_the_same_place_everywhere(
    ending: bytes, length: int
) -> None:
    """Its line end is no part of its length; what follows is a line of its own."""
    content = b"x1" + ending + b"x" * length + ending + b"x2" + ending
    of = source(max_line=12)

    for cuts in ([], [1, 1], [2], [1]):
        found = matches(content, of, [looking_for("x")], cuts=cuts)
        assert ["x1", "x" * min(length, 12), "x2"] == [one.line for one in found]
    _, counters, _ = one_batch(content, of, looking_for("x"))
    assert (length > 12) == counters.cut


def test_what_is_found_can_always_be_stored() -> None:
    """Neither a path, nor a line, nor a key holds half a character."""
    of, rules = source(encoding="utf-7"), [looking_for("x(?P<f>.*)", group_by=("f",))]
    batch = Batch("1", "app", "/\udcff", 0, b"x+2AA-\n", READ_AT)

    (match,) = Matcher(of, rules).match(batch, Framing()).matches

    assert ("/\\udcff", "x\ufffd", ("\ufffd",)) == (match.path, match.line, match.key)
    named = Matcher(source("json"), []).explain('{"\\ud800":1}', Framing(), READ_AT)
    assert {"\ufffd": "1"} == named.fields


def test_without_any_time_that_of_reading_counts() -> None:
    """And it is counted."""
    _, counters, framing = one_batch(b"x\nx\n", source(), looking_for("x"))

    assert [READ_AT] == times("x\n")
    assert 2 == counters.untimed
    assert framing.last_time is None


def test_a_source_without_timestamps_has_those_of_reading() -> None:
    """Nothing in its lines is taken for one."""
    framing = Framing()

    assert [READ_AT] == times("2026-11-24 10:00:00 x\n", source(timestamp="none"), framing=framing)
    assert READ_AT == framing.newest_time


@pytest.mark.parametrize(
    ("format_", "line", "options"),
    [
        ("json", '{"ts":"2026-11-24T09:00:00Z","x":"2001-01-01T00:00:00Z"}', {}),
        ("json", '{"when":"2026-11-24T09:00:00Z","ts":"x"}', {}),
        ("json", '{"ts":"2001-01-01T00:00:00Z","x":1795510800}', {"timestamp": "x"}),
        ("logfmt", "time=2026-11-24T09:00:00Z x=2001-01-01T00:00:00Z", {}),
        ("syslog", "Nov 24 10:00:00 host x: 2001-01-01T00:00:00Z", {}),
        ("syslog", "x 2026-11-24T09:00:00Z", {}),
        ("csv", "x,2026-11-24 10:00:00", {"columns": ("a", "b"), "timestamp": "b"}),
        ("csv", "x,2026-11-24 10:00:00", {"columns": ("a", "b")}),
    ],
)
def test_the_time_is_read_where_it_stands(
    format_: Format, line: str, options: dict[str, Any]
) -> None:
    """In the field that the source names, in one that is known for it, or in the text."""
    assert [TEN] == times(line + "\n", source(format_, **options))


def test_a_field_that_holds_no_time_is_none() -> None:
    """Missing or unreadable, the line takes the time before."""
    of = source("json", timestamp="t")

    assert [TEN, TEN] == times('{"t":1795510800}\n{"t":"x"}\n{"a":"x"}\n', of)


def test_times_ahead_of_the_clock_are_brought_back() -> None:
    """Beyond ``max_skew`` the clock's counts and the line's own is kept; in replay nothing is."""
    content = b"2026-11-24 10:01:00 x\n2026-11-24 10:01:01 x\n"

    found, counters, framing = one_batch(content, source(), looking_for("x"), now=TEN)

    assert [(TEN + 60, None), (TEN, TEN + 61)] == [(m.time, m.event_time) for m in found]
    assert 1 == counters.clamped
    assert (TEN + 61, TEN) == (framing.last_time, framing.newest_time)
    assert [TEN + 60, TEN + 61] == times(content.decode())


def test_the_newest_time_never_goes_back() -> None:
    """The last one may."""
    framing = Framing(newest_time=TEN + 9, last_time=TEN + 9)

    times("2026-11-24 10:00:00 x\n", framing=framing)

    assert (TEN, TEN + 9) == (framing.last_time, framing.newest_time)


@pytest.mark.parametrize("cuts", [(), (1, 1, 1, 1, 1, 1), (2, 1, 2)])
def test_an_hour_that_happens_twice_keeps_the_order_of_the_file(cuts: tuple[int, ...]) -> None:
    """On 25 October 2026, 02:30 comes at 00:30 and at 01:30 UTC."""
    minutes = [(10, ""), (50, ""), (10, "x"), (50, ""), (55, "x")]
    content = "".join(f"2026-10-25 02:{minute}:00 {what}\n" for minute, what in minutes)
    content += "x\n2026-10-25 03:10:00 x\n"

    found = matches(content.encode(), source(), [looking_for("x")], cuts=cuts)

    start = 1792886400.0  # 00:00 UTC
    assert [70, 115, 115, 130] == [(one.time - start) / 60 for one in found]


def test_the_time_before_a_record_of_several_lines_is_that_of_its_first() -> None:
    """Looking back goes from record to record, not into one."""
    content = b'2026-11-24 10:00:00,"a\n2026-11-24 11:00:00 b"\nx\n'

    found = matches(content, MULTILINE, [looking_for("^x")])

    assert [TEN] == [one.time for one in found]
    assert found == matches(content, MULTILINE, [looking_for("^x")], cuts=[1, 1, 1])


# --- slow regexes ---------------------------------------------------------------------------------

HOSTILE = "a" * 40 + "!"
SLOW = looking_for("(a+)+(?=$)", name="slow")


def test_a_regex_that_takes_too_long_is_stopped() -> None:
    """Its line is undecided for this rule and counted; all else goes on."""
    content = f"{HOSTILE}\naaa\n{HOSTILE}\n".encode()
    matcher = Matcher(source(), [SLOW, looking_for("^a", name="other")], deadline=Deadline(0.004))
    began = time.process_time()

    matched = matcher.match(Batch("1", "app", "/x", 0, content, READ_AT), Framing())

    assert ["other", "slow", "other", "other"] == [match.rule for match in matched.matches]
    assert 2 == matched.counters.undecided
    assert time.process_time() - began < 5
    assert (0, 0) == matcher.highlight("slow", HOSTILE)
    verdict = matcher.explain(HOSTILE, Framing(), READ_AT).verdicts[0]
    assert "undecided: its regex takes too long on this line" == verdict.reason


@pytest.mark.parametrize(
    ("regex", "line"),
    [
        ("(a+)+$", HOSTILE),
        (r"([a-z]+)*\d", HOSTILE),
        ("(a|aa)+$", "a" * 60 + "!"),
        ("(a|a?)+$", HOSTILE),
        ("(a?){30}a{30}$", "a" * 30 + "!"),
        ("(.*a){20}$", "a" * 60 + "!"),
        (r"\s+$", " " * 65_000 + "x"),
        (r"\S*\.\S*$", "." * 65_000 + " "),
        (".*?=.*?;$", "=" * 65_000),
        (".*,.*,.*,.*,x$", "," * 5_000 + "x" + "," * 60_000 + ",x!"),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 60),
        ("(?i:(k+)+)$", "k" * 40 + "!"),
        (r"(\w+\s?)*: failed", "word " * 30 + "! : failed"),
        (r"<(?:[^<>]+|<[^<>]*>)*>$", "<" + "a" * 40 + "<"),
    ],
)
def test_no_known_evil_holds_a_turn(regex: str, line: str) -> None:
    """What cannot be decided within two ticks of computing time is counted as undecided."""
    deadline = Deadline()
    rules = [looking_for(regex, name="evil"), looking_for("^", name="other")]
    matcher = Matcher(source(timestamp="none"), rules, deadline=deadline)
    content = f"{line}\n{line}\ngood\n".encode()
    framing, undecided, ticks, others, at = Framing(), 0, [], 0, 0

    while at < len(content):
        matched = matcher.match(Batch("1", "app", "/x", at, content[at:], READ_AT), framing)
        at += matched.consumed
        undecided += matched.counters.undecided
        others += sum(match.rule == "other" for match in matched.matches)
        ticks.append(deadline._ticks)

    assert (2, 3) == (undecided, others)
    # A turn that is due ends with its line, for which a regex has two ticks.
    assert max(ticks) < TICKS_OF_A_TURN + 2


def test_a_turn_that_takes_too_long_is_ended_between_two_lines() -> None:
    """However few matches it had: a hostile file must not hold up the others."""
    content = b"x\n" * 9
    matcher = Matcher(source(), [looking_for("x")], deadline=Watch())

    matched = matcher.match(Batch("1", "app", "/x", 0, content, READ_AT), Framing())

    assert (2, 1) == (matched.consumed, len(matched.matches))
    assert 9 == len(matches(content, source(), [looking_for("x")], deadline=Watch()))


def test_a_watch_sees_no_step_when_it_is_left() -> None:
    """So nothing is stopped that is no regex."""
    matcher = Matcher(source(), [looking_for("x", group_by=("f",))], deadline=Watch())

    matched = matcher.match(Batch("1", "app", "/x", 0, b"x\n", READ_AT), Framing())

    assert {"fatal": 1} == matched.counters.without_key


# --- for people -----------------------------------------------------------------------------------


def verdicts(line: str | bytes, of: Source, *rules: Rule) -> list[str]:
    """Give the reasons why rules do not count a line."""
    framing = Framing(header=("id", "severity"))
    explained = Matcher(of, rules).explain(line, framing, READ_AT)
    return [verdict.reason for verdict in explained.verdicts]


def test_explain_says_how_a_line_is_parsed() -> None:
    """Its text, its fields by name, its time, and what each rule makes of it."""
    explained = Matcher(source("csv"), [FATAL]).explain(
        b"x,Fatal,2026-11-24 10:00:00\r\n", Framing(header=("id", "severity", "at")), READ_AT
    )

    assert "x,Fatal,2026-11-24 10:00:00" == explained.text
    assert {"id": "x", "severity": "Fatal", "at": "2026-11-24 10:00:00"} == explained.fields
    assert (TEN, False) == (explained.time, explained.is_unparsable)
    assert (Verdict("fatal", is_match=True, key=(("id", "x"),), reason=""),) == explained.verdicts


def test_explain_says_why_a_rule_does_not_count_a_line() -> None:
    """The condition that failed, the exception that held, or the field that is missing."""
    assert ['field severity is "x", which is not what is asked for'] == verdicts(
        "a,x", source("csv"), FATAL
    )
    two = looking_for({"id": "a", "severity": "Fatal"})
    assert ['field severity is "x", which is not what is asked for'] == verdicts(
        "a,x", source("csv"), two
    )
    assert ["field severity is missing"] == verdicts("a", source("csv"), FATAL)
    assert ["field line is its whole text, which is not what is asked for"] == verdicts(
        "a", source(), looking_for({"line": ("contains", "x")})
    )
    assert ["'x' is not in it; 'y' is not in it"] == verdicts("a", source(), looking_for("x", "y"))
    assert ["it matches, but unless leaves it out"] == verdicts(
        "xy", source(), looking_for("x", unless=(Pattern("y"),))
    )
    assert ['it matches, but lacks the field "port"'] == verdicts(
        "x", source(), looking_for("x(?P<port>y)?", group_by=("port",))
    )


@pytest.mark.parametrize(
    ("format_", "line", "fields"),
    [
        ("json", '{"a":{"b":1,"c":null},"d":[1, 2]}', {"a.b": "1", "d": "[1, 2]"}),
        ("logfmt", "a=1 b", {"a": "1", "b": ""}),
        (
            "syslog",
            "Nov 24 10:00:00 h p: m",
            {"time": "Nov 24 10:00:00", "host": "h"} | {"program": "p", "message": "m"},
        ),
        ("plain", "a=1", {}),
        ("csv", "a", {"id": "a"}),
        ("json", "x", {}),
    ],
)
def test_explain_shows_the_fields(format_: Format, line: str, fields: dict[str, str]) -> None:
    """Those that a rule can ask for."""
    of = source(format_, timestamp="none")

    explained = Matcher(of, []).explain(line, Framing(header=("id", "severity")), READ_AT)

    assert fields == explained.fields
    assert explained.time is None


@pytest.mark.parametrize(
    ("format_", "match", "line", "part"),
    [
        ("plain", "x+", "axxb", "xx"),
        ("plain", "y", "axxb", ""),
        ("plain", {"line": ("contains", "xb")}, "axxb", "xb"),
        ("json", {"n": 5.0}, '{"id":15,"n":5}', "5"),
        ("json", {"n": 'a/"b'}, r'{"n":"a/\"b"}', r"a/\"b"),
        ("json", {"n": ("regex", "b+")}, '{"n":"abb"}', "bb"),
        ("json", {"n": "é"}, r'{"n":"\u00e9"}', ""),
        ("json", {"n": "x", "m": "y"}, '{"m":"y"}', "y"),
        ("csv", {"b": ("more_than", 5.0)}, "7,77,7", "77"),
        ("csv", {"b": 'x"y'}, 'x,"x""y"', 'x""y'),
        ("csv", {"b": ("exists", False)}, "x", ""),
    ],
)
def test_the_matched_part_is_shown(
    format_: Format, match: str | dict[str, Any], line: str, part: str
) -> None:
    """For a table, the value of the first field that fulfils its condition."""
    of = source(format_, columns=("a", "b") if format_ == "csv" else ())
    matcher = Matcher(of, [looking_for(match)])
    matcher.match(Batch("1", "app", "/x", 0, b"1\n", READ_AT), Framing())

    start, end = matcher.highlight("fatal", line)

    assert part == line[start:end]


@pytest.mark.parametrize(
    ("demand", "value"),
    [
        (("regex", "(?i)fatal"), "FATAL"),
        (("regex", "(?i)fatal"), '"fa"tal'),
        (("contains", "at\nal"), '"fat\nal"'),
        ("", ""),
    ],
)
def test_a_csv_field_is_found_however_it_is_written(demand: object, value: str) -> None:
    """In either case, with a quote in the middle, on two lines, or without any text."""
    content = f"level,n\ninfo,1\n{value},2\n".encode()
    of = source("csv", timestamp="none", multiline=True)

    found = matches(content, of, [looking_for({"level": demand})])

    assert [f"{value},2"] == [one.line for one in found]


@pytest.mark.parametrize("format_", ["plain", "csv", "json", "logfmt", "syslog"])
@pytest.mark.parametrize("spelled", ["500", "5e2", "5.000E+02", " 5e2", "\t5e2 ", "500.0"])
def test_a_whole_line_may_be_a_number(format_: Format, spelled: str) -> None:
    """However it is spelled, and wherever the line stands."""
    of = source(format_, columns=("f", "g") if format_ == "csv" else ())
    rules = [looking_for({"line": 500.0})]
    for content in (spelled, f"{spelled}\n", f"before\n{spelled}\nafter\n"):
        expected = slow_matches(content.encode(), of, rules, READ_AT)

        assert 1 == len(expected)
        assert expected == matches(content.encode(), of, rules)


def test_a_stray_quote_hides_no_number() -> None:
    """Where quotes make one row of several lines, each line is tested."""
    content = b'n,a\n7,"x\n8,y"\n9,z\n'
    of = source("csv", timestamp="none", multiline=False)

    found = matches(content, of, [looking_for({"n": ("at_least", 7.0)})])

    assert ['7,"x', '8,y"', "9,z"] == [one.line for one in found]
