"""What the bytes of a csv's line must contain that a rule matches, however it is quoted."""

from __future__ import annotations

import csv
import itertools
import random
import re
from datetime import UTC

import pytest
from core.examples import rule

from alertd.core.matching import Matcher
from alertd.core.patterns import Encoding, spelled
from alertd.core.prefilters import Prefilters
from alertd.core.rules import Condition, Conjunction, Pattern, Source
from alertd.core.scanning import Scanner

LONGEST = 7


def prefilters(delimiter: str = ",") -> Prefilters:
    """Make what writes expressions for a csv."""
    return Prefilters(Source("log", ("*.csv",), UTC, format="csv", delimiter=delimiter))


def strings(alphabet: str, longest: int) -> list[str]:
    """List every string of these characters up to a length."""
    return [
        "".join(characters)
        for length in range(1, longest + 1)
        for characters in itertools.product(alphabet, repeat=length)
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "^"])
def test_a_line_that_is_not_oddly_quoted_holds_what_its_fields_hold(delimiter: str) -> None:
    """Every line of up to seven characters: each field's every part is found as it is spelled."""
    writer = prefilters(delimiter)
    is_odd = re.compile(writer.odd_quoting).search
    alphabet = f'ab"{delimiter}'
    found = {}
    for part in strings(alphabet, 2):
        written = writer.selector((Conjunction((Condition("x", "contains", part),)),))
        assert written is not None
        found[part] = re.compile(written.expressions[0]).search

    looked_at = 0
    for line in strings(alphabet, LONGEST):
        if '"' not in line or is_odd(line.encode()):
            continue
        for value in next(csv.reader((line,), delimiter=delimiter)):
            for part in {value[at : at + size] for at in range(len(value)) for size in (1, 2)}:
                looked_at += 1
                assert found[part](line.encode()), (line, part)
    assert looked_at > 10_000


@pytest.mark.parametrize(
    ("line", "is_odd"),
    [
        ('"Fa"tal', True),
        ('x,"Fa"tal,y', True),
        ('"F"atal"', True),
        ('"open', True),
        ('a",""",a"b"', True),
        ('"a","b"', False),
        ('1,"iPhone14,5",2', False),
        ('"say ""hi"" there",2', False),
        ('""', False),
        ('"a","b"\r', False),
        ('"a"\rb', True),
    ],
)
def test_quotes_that_do_more_than_enclose_a_field_are_odd(line: str, *, is_odd: bool) -> None:
    """Doubled quotes, delimiters in quotes and CRLF are nothing out of the ordinary."""
    scanner = Scanner([prefilters().odd_quoting])

    assert is_odd == bool(scanner.scan(f"x\n{line}\ny\n".encode(), 8, 9))


def test_hyperscan_finds_oddly_quoted_lines_as_python_does() -> None:
    """Whatever the bytes are, and wherever a line stands."""
    chance = random.Random(7)
    expression = prefilters().odd_quoting
    scanner, pattern = Scanner([expression]), re.compile(expression)
    odd = 0
    for _ in range(300):
        alphabet = chance.choice(
            [b'a",', b'a",\r ', b'abc,,,"', b'",', b'a\xff",\0x', b'aaaaaaaaa",']
        )
        lines = [
            bytes(chance.choices(alphabet, k=chance.choice([0, 1, 2, 3, 5, 8, 13, 100])))
            for _ in range(chance.randrange(1, 40))
        ]
        ends = list(itertools.accumulate((len(line) + 1 for line in lines), initial=-1))[1:]

        expected = [end << 8 for end, line in zip(ends, lines, strict=True) if pattern.search(line)]

        found = scanner.scan(b"\n".join(lines) + b"\n", 8, 1000)
        assert found is not None
        assert expected == sorted(found)
        odd += len(expected)
    assert odd > 1000


def test_a_text_of_other_bytes_is_spelled_in_its_encoding() -> None:
    """The delimiter of a csv may stand in a text, where a quote may follow it."""
    written = prefilters().selector((Conjunction((Condition("x", "equals", "é,ü"),)),))

    assert written is not None
    utf8 = Encoding("utf-8")
    assert (
        f"(?:{spelled('é', utf8)}{spelled(',', utf8)}\\x22?{spelled('ü', utf8)})[^\\n]*$".encode()
        == written.expressions[0]
    )


def test_of_two_texts_the_one_that_fewer_lines_have_is_looked_for() -> None:
    """The longer one, as far as nothing is known of the lines."""
    source = Source("log", ("*.json",), UTC, format="json")
    both = Conjunction(
        (Condition("level", "equals", "fatal"), Condition("service", "equals", "payments"))
    )
    sample = b'{"level":"info","service":"payments"}\n' * 9 + b'{"level":"fatal"}\n'

    blind = Prefilters(source).selector((both,))
    seeing = Prefilters(source, sample).selector((both,))

    assert blind is not None
    assert seeing is not None
    assert ("the text 'payments'", "the text 'fatal'") == (blind.summary, seeing.summary)


@pytest.mark.parametrize(
    ("regex", "way"),
    [
        (r"of user .* failed$", "the text ' failed'"),
        (r"(?i)OF USER .* Failed$", "the text ' Failed' in any case"),
        (r"^(?:GET of|served) .* failed", "the text ' failed'"),
        (r"of user \d+ (?:.*refused|.* failed)", "the text 'refused' or ' failed'"),
        (r"[ab]\d* of user", "the text ' of user'"),
    ],
)
def test_of_the_texts_of_a_regex_the_rarest_is_looked_for(regex: str, way: str) -> None:
    """However long another is that most lines have."""
    sample = b"request of user 7 was served\n" * 9 + b"request of user 8 has failed\n"
    source = Source("log", ("*.log",), UTC)

    superset = Prefilters(source, sample).selector((Pattern(regex),))

    assert superset is not None
    assert way == superset.summary


def test_a_condition_in_an_encoding_whose_bytes_are_not_its_text_is_looked_for_nowhere() -> None:
    """As for a regex, every line is a candidate."""
    source = Source("log", ("*.log",), UTC, format="json", encoding="shift_jis")

    assert Prefilters(source).selector((Conjunction((Condition("a", "equals", "x"),)),)) is None


def test_a_regex_without_any_text_finds_its_field_nowhere() -> None:
    """Only the field itself can tell."""
    source = Source("log", ("*.json",), UTC, format="json")
    digits = Condition("a", "regex", r"\d+")

    assert Prefilters(source).selector((Conjunction((digits,)),)) is None


def test_a_caseless_regex_on_a_json_field_is_looked_for_behind_any_escape() -> None:
    r"""``\u212a`` is a k to it; of a sample, a filter that two rules share is counted once."""
    source = Source("log", ("*.json",), UTC, format="json")
    both = Conjunction(
        (Condition("a", "regex", "(?i)kiss"), Condition("b", "equals", "fatal")),
    )
    prefilters = Prefilters(source, b'{"a":"Kiss"}\n{"b":"fatal"}\n{"b":"fatal"}\n')

    found = [prefilters.selector((both,)) for _ in range(2)]

    assert found[0] == found[1]
    assert found[0] is not None
    assert "the text 'kiss'" == found[0].summary
    assert rb"(?:\\u)[^\n]*$" in found[0].expressions


def test_a_strategy_says_which_share_of_a_sample_is_tested_exactly() -> None:
    """Whether or not the rule matches those lines."""
    matcher = Matcher(
        Source("log", ("*.log",), UTC),
        [rule("root", match=(Pattern("failed .* root"),)), rule("disk", match=(Pattern("disk"),))],
    )

    ways = matcher.strategies(b"failed for root\nfailed for me\nnone\ndisk failed \n")

    assert [0.75, 0.25] == [way.share for way in ways]
    assert [None, None] == [way.share for way in matcher.strategies()]
