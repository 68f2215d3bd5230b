"""A record gives the same fields whether all of its line is read or only what is asked for."""

from __future__ import annotations

import csv
from datetime import UTC
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.records import CsvRecord, record
from alertd.core.rules import Source

if TYPE_CHECKING:
    from alertd.core.records import Record
    from alertd.core.rules import Format

NAMES = ("a", "b", "c", "a.b", "a.1", "é", "d")
KEYS = [*NAMES, "x", "", "\\u0061", "b\\q", "\\ud800", "\\u00e9"]
VALUES = st.sampled_from(['"x"', "1", "12.50", "true", '{"b":"x"}', "[0, 2.0]"]) | st.sampled_from(
    [
        *('"x"', '"é"', '"\\u0061"', '"\\q"', '"\\ud800"', '"\\ud83d\\ude00"', '"\t"', '"\\u12"'),
        *("1", "-0", "01", "1.", ".5", "12.50", "1e999", "1E+", "1" * 30, "NaN", "-Infinity"),
        *("true", "tru", "null", "{}", "[]", "[1,", "[,]", "x", '"', "", "[0, 2.0]", "\ufeff"),
        *('{"b":1}', '{"b":null}', '{"b":01}', '{"b":"\\u0061"}', '{"b":1,"b":"x"}'),
    ]
)
MEMBERS = st.tuples(st.sampled_from(KEYS), st.sampled_from([":"] * 9 + [" : ", "="]), VALUES).map(
    lambda drawn: f'"{drawn[0]}"{drawn[1]}{drawn[2]}'
)
OBJECTS = st.tuples(
    st.sampled_from(["{"] * 9 + [" {", "\ufeff{", "[", ""]),
    st.lists(MEMBERS, max_size=4).map(",".join),
    st.sampled_from(["}"] * 9 + ["} ", "}}", "} {}", "]", ""]),
).map("".join)
ROWS = st.lists(
    st.sampled_from(["a", "é", "", '"', '""', ",", ";", " ", "\r", "\n", "\0", "x,y", '"z"']),
    max_size=12,
).map("".join)


def readers(format_: Format, names: set[str], **changes: str) -> tuple[Record, Record]:
    """Make a record that knows what will be asked for, and one that reads everything."""
    of = Source("app", ("/x",), UTC, format=format_, timestamp="b", **changes)  # type: ignore[arg-type]
    knowing, other = record(of, names), record(of)
    for one in (knowing, other):
        if isinstance(one, CsvRecord):
            one.name(NAMES)
    return knowing, other


def all_of(one: Record, names: tuple[str, ...]) -> list[object]:
    """Ask for everything there is."""
    asked = [(one.get(name), one.number(name)) for name in names]
    return [*asked, [*one.timestamps()], one.is_unparsable, one.fields()]


@given(
    names=st.sets(st.sampled_from(NAMES)),
    asked=st.permutations([*NAMES, "x", "line"]),
    lines=st.lists(OBJECTS, min_size=1, max_size=3),
)
def test_an_object_is_the_same_however_much_of_it_is_read(
    names: set[str], asked: list[str], lines: list[str]
) -> None:
    """Whatever is asked for was known beforehand or not, and whatever the line is."""
    knowing, whole = readers("json", names)

    for line in lines:
        knowing.take(line)
        whole.take(line)

        assert all_of(whole, tuple(asked)) == all_of(knowing, tuple(asked))


@pytest.mark.parametrize("digits", [4299, 4300, 4301])
@pytest.mark.parametrize("key", ["a", "x"])
def test_an_integer_may_be_too_long_for_anybody(key: str, digits: int) -> None:
    """A line with such a number has no fields, wherever in it the number stands."""
    knowing, whole = readers("json", {"a", "b"})
    for one in (knowing, whole):
        one.take(f'{{"b":"x","{key}":{"1" * digits}}}')

    assert whole.get("b") == knowing.get("b")
    assert whole.is_unparsable == knowing.is_unparsable == (digits > 4300)


@given(
    names=st.sets(st.sampled_from(NAMES)),
    asked=st.permutations([*NAMES, "x", "line"]),
    rows=st.lists(ROWS, min_size=1, max_size=3),
    delimiter=st.sampled_from([",", ";", " ", "x"]),
)
def test_a_row_is_what_csv_makes_of_it(
    names: set[str], asked: list[str], rows: list[str], delimiter: str
) -> None:
    """However much of it is read, and whatever was asked for of the row before."""
    knowing, whole = readers("csv", names, delimiter=delimiter)

    for text in rows:
        knowing.take(text)
        whole.take(text)
        try:
            values = next(csv.reader([text], delimiter=delimiter), [])
        except csv.Error:
            values = []
        fields = dict(zip(NAMES, values, strict=False)) | {"line": text}

        assert [fields.get(name) for name in asked] == [knowing.get(name) for name in asked]
        assert all_of(whole, tuple(asked)) == all_of(knowing, tuple(asked))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x,y,z,v", ["x", "y", "z", "v"]),
        ('x,"q ""z""",1,2,3,4', ["x", 'q "z"', "1", "2"]),
        ('x,"q ""z,1,2,3', ["x", 'q "z,1,2,3', None, None]),
        ('"z",a,b', ["z", "a", "b", None]),
        ('x,y,z"z,"v,w",u', ["x", "y", 'z"z', "v,w"]),
        ('x,y,z,v,"w', ["x", "y", "z", "v"]),
        ('x,y,z,"v"w', ["x", "y", "z", "vw"]),
        ('"x""', ['x"', None, None, None]),
        ("x,y\r", ["x", "y", None, None]),
        ("x\ry,z", [None, None, None, None]),
        ("", [None, None, None, None]),
    ],
)
def test_quotes_hold_wherever_they_stand(text: str, expected: list[str | None]) -> None:
    """Before, in and behind the last column that is asked for, closed or not."""
    knowing, _ = readers("csv", {"a", "a.b"})
    knowing.take(text)

    assert expected == [knowing.get(name) for name in NAMES[:4]]


def test_a_field_may_be_too_long_for_csv() -> None:
    """Such a row has no fields, wherever in it the field stands."""
    knowing, _ = readers("csv", {"a"})
    knowing.take("x," + "y" * 131073)

    assert (None, True) == (knowing.get("a"), knowing.is_unparsable)
