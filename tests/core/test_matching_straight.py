"""The straight way through csv and JSON must give what the slow way gives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from core.slow_matching import slow_matches
from core.test_matching import READ_AT, Watch, looking_for, matches, one_batch, source
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from alertd.core.matching import Matcher
from alertd.core.matching.straight import Straight, UnusualError
from alertd.core.rules import Condition, key_value

if TYPE_CHECKING:
    from alertd.core.rules import Format, Rule

NAMES = ("ts", "level", "who", "code")
TIMES = (
    *("2026-11-24T10:00:00.123Z", "2026-11-24T10:00:01.500Z", "2026-11-24T10:00:02Z"),
    *("2026-10-25 02:30:00", "2026-10-25 02:10:00", "1795510000", "never", "", "2026-02-30 01:00"),
)
TEXTS = (
    *("fatal", "fatal", "fatal", "info", "", "7", "7.0", "true", "null", "fätal"),
    *('a"b', "a,b", "a\\b", "a/b", "\ufffd", "\u212a", "a b", "NaN", "fatal "),
)


def rules_of(data: st.DataObject) -> list[Rule]:
    """Draw rules most of which can go the straight way."""
    operand = st.sampled_from((*TEXTS[:8], "a,b", 'a"b'))
    demand = st.one_of(
        operand,
        st.tuples(st.just("any_of"), st.lists(operand, min_size=1, max_size=3).map(tuple)),
        st.sampled_from((7.0, True, ("contains", "fat"), ("exists", True))),
    )
    fields = st.sampled_from(NAMES)
    keys = st.lists(fields, max_size=2, unique=True).map(tuple)
    match = st.dictionaries(fields, demand, min_size=1, max_size=2)
    return [
        looking_for(data.draw(match), name=f"r{number}", group_by=data.draw(keys))
        for number in range(data.draw(st.integers(1, 4)))
    ]


def spelled_in_json(value: str, how: int) -> str:
    """Write a value as JSON does, or as some programs do."""
    if how == 0:
        return "null" if value == "" else value if value in {"7", "7.0", "true", "NaN"} else "8"
    if how == 1:
        return '"' + "".join(f"\\u{ord(one):04x}" for one in value) + '"'
    return json.dumps(value, ensure_ascii=how == 2)


def spelled_in_csv(value: str, how: int) -> str:
    """Write a value as csv does, or nearly so."""
    quoted = value.replace('"', '""')
    if how == 0:
        return f'"{quoted[:2]}"{value[2:]}'
    return f'"{quoted}"' if how == 1 or {*',"'} & {*value} else value


@st.composite
def lines(draw: st.DrawFn, format_: Format) -> bytes:
    """Write a line with some fields."""
    names = [name for name in NAMES if draw(st.integers(0, 9))]
    values = {name: draw(st.sampled_from(TIMES if name == "ts" else TEXTS)) for name in names}
    hows = [draw(st.sampled_from((0, 1, 2, 3, 3, 3, 3))) for _ in names]
    if format_ == "json":
        pairs = [
            f'"{name}":{spelled_in_json(value, how)}'
            for (name, value), how in zip(values.items(), hows, strict=True)
        ]
        text = "{" + ",".join(pairs) + "}" * draw(st.sampled_from((1, 1, 1, 1, 0)))
    else:
        spelled = [spelled_in_csv(one, how) for one, how in zip(values.values(), hows, strict=True)]
        text = ",".join(spelled) + draw(st.sampled_from(("", "", "", ",more", ',"', "\r,x")))
    spoiled = draw(st.sampled_from((b"", b"", b"", b"", b"", b"\xff", b"\0", b'"', b"\r")))
    at = draw(st.integers(0, len(text)))
    return text[:at].encode() + spoiled + text[at:].encode()


@pytest.mark.parametrize("format_", ["csv", "json"])
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
@given(data=st.data())
def test_straight_and_slow_agree(format_: Format, data: st.DataObject) -> None:
    """Whatever the rules, the lines, their spelling, and where the file is cut."""
    is_csv = format_ == "csv"
    of = source(
        format_,
        timestamp="ts",
        multiline=is_csv and data.draw(st.booleans()),
        max_line=data.draw(st.sampled_from((65536, 65536, 65536, 40))),
        columns=NAMES if is_csv and data.draw(st.booleans()) else (),
    )
    rules = rules_of(data)
    ending = data.draw(st.sampled_from((b"\n", b"\n", b"\r\n")))
    header = b"ts,level,who,code" + ending if is_csv else b""
    content = header + ending.join(data.draw(st.lists(lines(format_), max_size=12))) + ending
    cuts = data.draw(st.lists(st.integers(1, 4), max_size=5))

    expected = slow_matches(content, of, rules, READ_AT)
    unseeing = slow_matches(content, of, rules, READ_AT, looks_ahead=False)

    event(f"rules that go straight: {sum(map(goes_straight(of, rules), range(len(rules))))}")
    event(f"matches: {min(len(expected), 5)}")
    assert expected == matches(content, of, rules)
    assert expected == matches(content, of, rules, deadline=Watch())
    for found, *either in zip(
        matches(content, of, rules, cuts=cuts), expected, unseeing, strict=True
    ):
        assert found in either


def goes_straight(of: Any, rules: list[Rule]) -> Any:
    """Tell which rules are tested on rows."""
    tests = Straight(of, rules).tests
    refusing = Straight(of, [looking_for("x")]).tests[0]
    return lambda number: tests[number] is not refusing


SAME_LINE = '{"ts":"2026-11-24T10:00:00.123Z","level":"fatal","who":%s,"code":"7"}\n'


@pytest.mark.parametrize("who", ['"eve"', "7", '"\\u0065ve"', "null", f'"{"x" * 300}"'])
def test_a_line_counts_once_when_one_of_its_rules_is_unusual(who: str) -> None:
    """
    Of two rules one finds the line as usual; for the other it goes the long way, with both.

    What went less than well is counted once, too.
    """
    rules = [
        looking_for({"level": "fatal"}, name="all"),
        looking_for({"level": "fatal"}, name="each", group_by=("who",)),
    ]
    line = (SAME_LINE % who).encode()

    found, counters, _ = one_batch(line, source("json", timestamp="ts"), *rules)

    slow = slow_matches(line, source("json", timestamp="ts"), rules, READ_AT)
    expected = [(one.rule, tuple(map(key_value, one.key))) for one in slow]
    assert expected == [(one.rule, one.key) for one in found]
    assert ({"each": 1} if who == "null" else {}) == counters.without_key


TIMED = "2026-11-24T10:00:00.123Z"
SPELLINGS = [
    *('"fatal","who":"eve"', '"fatal","who":null', '"fatal"', '"info","who":"eve"'),
    *('7,"who":"eve"', 'null,"who":"eve"', '"fatal","who":7', '"fatal" "who":"eve"', "[]"),
]


@pytest.mark.parametrize("group_by", [(), ("who",), ("who", "level")])
@pytest.mark.parametrize("conditions", [{}, {"ts": ("any_of", (TIMED, "x"))}, {"ts": "x"}])
def test_what_is_no_text_in_json_goes_the_long_way(
    conditions: dict[str, Any], group_by: tuple[str, ...]
) -> None:
    """It may equal one all the same, as a number does, or be missing."""
    demand: dict[str, Any] = {"level": ("any_of", ("fatal", "7", "[]"))}
    rules = [looking_for({**conditions, **demand}, group_by=group_by)]
    of = source("json", timestamp="ts")
    content = "".join(f'{{"ts":"{TIMED}","level":{one}}}\n' for one in SPELLINGS).encode()
    right = [slow_matches(line + b"\n", of, rules, READ_AT) for line in content.splitlines()[:-1]]

    found = [matches(line + b"\n", of, rules) for line in content.splitlines()[:-1]]

    assert right == found


@pytest.mark.parametrize(
    "row",
    [
        *(f"{TIMED},fatal,eve", f'{TIMED},"fatal","eve",', f'{TIMED},"fa""tal",eve'),
        *(f'{TIMED},"fatal,",eve', f'{TIMED},"fa"tal,eve', f"{TIMED},fatal", f'{TIMED},fatal,"eve'),
        *(f'{TIMED},5" disk,eve', f'"{TIMED}",fatal,eve,"', f'{TIMED},fatal,eve,"a\rb"'),
    ],
)
def test_quotes_in_a_csv_mean_what_they_mean_to_csv(row: str) -> None:
    """Also in the company of rows that are as usual, and of one that ends within quotes."""
    texts = ("fatal", 'fa"tal', "fatal,", '5" disk')
    rules = [looking_for({"level": ("any_of", texts)}, group_by=("who",))]
    of = source("csv", timestamp="ts", columns=("ts", "level", "who"))
    plain = f"{TIMED},fatal,eve\n"
    for content in (f"{row}\n", f"{plain}{row}\n{plain}", f'{row}\n{TIMED},fatal,"eve\n{plain}'):
        raw = content.encode()

        assert slow_matches(raw, of, rules, READ_AT) == matches(raw, of, rules)


@pytest.mark.parametrize("format_", ["csv", "json"])
def test_what_stands_for_bytes_that_are_no_text_goes_the_long_way(format_: Format) -> None:
    """Only that can tell whether such bytes were there, so it counts one that was written, too."""
    of = source(format_, timestamp="ts", columns=("ts", "level", "who") if format_ == "csv" else ())
    rules = [looking_for({"level": "fatal", "who": who}, name=who) for who in ("\ufffd", "eve")]
    values = [(TIMED, "fatal", who) for who in ("eve", "\ufffd", "eve")]
    content = "".join(
        f"{','.join(one)}\n"
        if format_ == "csv"
        else json.dumps(dict(zip(NAMES, one, strict=False)), ensure_ascii=False) + "\n"
        for one in values
    ).encode()

    found, counters, _ = one_batch(content, of, *rules)

    assert ["eve", "\ufffd", "eve"] == [one.rule for one in found]
    assert slow_matches(content, of, rules, READ_AT) == matches(content, of, rules)
    assert 1 == counters.undecodable


def test_a_text_in_another_field_is_no_match() -> None:
    """The prefilter finds the line all the same."""
    of = source("json", timestamp="ts")
    values = [(TIMED, level, who) for level, who in (("info", "fatal"), ("fatal", "eve"))]
    content = "".join(json.dumps(dict(zip(NAMES, one, strict=False))) + "\n" for one in values)
    rules = [looking_for({"level": "fatal"}, group_by=("who",))]

    found = matches(content.encode(), of, rules)

    assert [("eve",)] == [one.key for one in found]
    assert slow_matches(content.encode(), of, rules, READ_AT) == found


def test_a_turn_may_end_between_two_straight_lines() -> None:
    """What is left is handed over again."""
    of = source("json", timestamp="ts")
    content = (SAME_LINE % '"eve"').encode() * 3
    rules = [looking_for({"level": "fatal"})]

    assert slow_matches(content, of, rules, READ_AT) == matches(
        content, of, rules, deadline=Watch()
    )


def test_a_time_ahead_of_the_clock_is_brought_back() -> None:
    """The straight way knows nothing of clocks."""
    line = (SAME_LINE % '"eve"').encode()
    rules = [looking_for({"level": "fatal"}, group_by=("who",))]

    (found,), counters, _ = one_batch(line, source("json", timestamp="ts"), *rules, now=1e9)

    assert (1e9, 1795514400.123, 1) == (found.time, found.event_time, counters.clamped)


def test_a_long_integer_goes_the_long_way() -> None:
    """Python refuses to read such an integer, wherever it stands in the line."""
    line = f'{{"ts":"2026-11-24T10:00:00Z","level":"fatal","n":{"1" * 5000}}}\n'.encode()

    found, counters, _ = one_batch(
        line, source("json", timestamp="ts"), looking_for({"level": "fatal"})
    )

    assert ([], 1) == (found, counters.unparsable)


def test_a_field_of_a_csv_may_be_too_long_to_be_read() -> None:
    """``csv`` refuses it, so the line has no fields."""
    line = f"ts,level\n2026-11-24T10:00:00Z,fatal,{'x' * 140_000}\n".encode()
    of = source("csv", timestamp="ts", max_line=200_000)

    found, counters, _ = one_batch(line, of, looking_for({"level": "fatal"}))

    assert ([], 1) == (found, counters.unparsable)


def test_one_field_makes_a_row() -> None:
    """A rule may ask for nothing but the field that has the time."""
    rules = [looking_for({"ts": "now"}, group_by=("ts",))]
    json_source, csv_source = source("json", timestamp="ts"), source("csv", timestamp="ts")

    found = [
        *matches(b'{"ts":"now"}\n', json_source, rules),
        *matches(b"ts\nnow\n", csv_source, rules),
    ]

    assert [("now",), ("now",)] == [one.key for one in found]


@pytest.mark.parametrize(
    "changes",
    [
        {"match": "fatal"},
        {"match": {"level": ("contains", "fatal")}},
        {"match": {"level": 7.0}},
        {"match": {"level": ("any_of", ("fatal", 7.0))}},
        {"match": {"line": "fatal"}},
        {"match": {"a.b": "fatal"}},
        {"match": {"é": "fatal"}},
        {"group_by": ("a.b",)},
        {"of": {"format_": "plain"}},
        {"of": {"timestamp": "auto"}},
        {"of": {"encoding": "cp1252"}},
        {"unless": (Condition("who", "equals", "x"),)},
    ],
)
def test_other_rules_are_refused(changes: dict[str, Any]) -> None:
    """What cannot be told from a row of texts goes the long way."""
    settings_ = {"timestamp": "ts", "format_": "json", **changes.get("of", {})}
    of = source(settings_.pop("format_"), **settings_)
    others = {name: value for name, value in changes.items() if name not in {"of", "match"}}
    one = looking_for(changes.get("match", {"level": "fatal"}), **others)
    straight = Straight(of, [one])

    assert not straight.is_able
    with pytest.raises(UnusualError):
        straight.tests[0](("", ""))
    with pytest.raises(UnusualError):
        straight.read([b"{}"], 100)


def test_a_csv_goes_straight_once_its_header_names_all_fields() -> None:
    """Another file of the source may have fewer."""
    matcher = Matcher(source("csv", timestamp="ts"), [looking_for({"level": "fatal"})])
    straight = matcher.straight

    able = []
    last = ("level", "ts", "ts")
    for header in (("ts", "level"), None, ("ts", "who"), last, last):
        matcher.name_fields(header)
        able.append(straight.is_able)

    assert [True, False, False, True, True] == able
    assert (["fatal,now"], [("now", "fatal")]) == straight.read([b"fatal,now"], 100)
