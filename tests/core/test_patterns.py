"""
What Hyperscan is given must find every line that Python's ``re`` finds.

The table has what the two dialects read differently, and what only one of them knows.
"""

from __future__ import annotations

import random
import re
import warnings
from datetime import UTC

import pytest
from core.regexes import spoiled, written
from hypothesis import event, given, settings
from hypothesis import strategies as st

from alertd.core.patterns import Encoding, required, superset
from alertd.core.rules import Source
from alertd.core.scanning import Scanner

UTF8 = Encoding("utf-8")


def finds(regex: str, text: str, encoding: str = "utf-8") -> bool:
    """Tell whether a line is a candidate, in any of the shapes that its bytes may have."""
    written = superset(regex, Encoding(encoding))
    if written is None:
        return True
    if not written.expressions:
        return False
    scanner = Scanner(written.expressions)
    line = text.encode(encoding)
    shapes = (line, line + b"\r", b"\0\0" + line, b"before\n" + line + b"\nafter\n")
    return all(scanner.scan(shape, 8, 1000) for shape in shapes)


@pytest.mark.parametrize(
    ("regex", "matching", "other"),
    [
        # What Hyperscan refuses.
        ("(?=.*root)Failed", ["xFailed root", "Failed root"], []),
        ("Failed(?! for)", ["Failed", "Failed to"], ["nothing"]),
        ("(?<=user )root", ["user root"], ["user admin"]),
        ("(?<!user )root", ["the root"], ["user admin"]),
        (r"(\w+) \1 failed", ["disk disk failed"], ["disk disk"]),
        (r"(?P<q>['\"])x(?P=q)", ["'x'", '"x"'], ["y"]),
        ("(?>a+)b", ["aab"], ["aac"]),
        ("a++b", ["aab"], ["aac"]),
        ("a*+b", ["b", "aab"], ["c"]),
        (r"x(?:(?=.)a)+b", ["xaab"], ["xb"]),
        (r"user \S+ failed", ["user é1 failed"], ["user  failed"]),
        ("a?+b", ["b", "ab"], ["c"]),
        ("x{2,3}+y", ["xxy"], ["xy"]),
        ("(<)?x(?(1)>|!)", ["<x>", "x!"], ["x"]),
        ("(<)?x(?(1)>)y", ["<x>y", "xy"], ["x>"]),
        # What it reads otherwise.
        ("a{,3}b", ["b", "aaab"], ["c"]),
        ("xa{,2}y", ["xy", "xaay"], ["xaaay"]),
        ("a{x}", ["a{x}"], ["a"]),
        ("[[:alpha:]]", [":]", "a]"], ["b"]),
        ("[]a]b", ["]b", "ab"], ["cb"]),
        (r"\Aab", ["abc"], ["xab"]),
        (r"ab\Z", ["xab"], ["abx"]),
        ("ab$", ["xab"], ["abx"]),
        ("(?m)ab$", ["xab"], ["abx"]),
        ("(?m)^ab", ["abx"], ["xab"]),
        ("(ab$|cd)e?", ["ab", "cde"], ["x"]),
        ("a$b|c", ["c"], ["x"]),
        ("^a|b$", ["ax", "xb"], ["xc"]),
        ("(^|[^0-9])17", ["17", "x17"], ["18"]),
        ("x(^a)?y", ["xy"], ["xa"]),
        (r"a\s+b", ["a b", "a\t\u00a0b", "a\x1cb", "a\u2003b", "a\x85b"], ["ab"]),
        (r"a\Sb", ["axb", "aéb", "a😀b"], ["a b"]),
        ("a[^x]b", ["a\u2028b", "a\x0bb", "aéb"], ["axb"]),
        (r"a\Wb", ["a b", "a€b"], ["axb"]),
        (r"a\wb", ["aéb", "aßb", "a一b"], ["a b"]),
        (r"a\db", ["a1b", "a٣b"], ["axb"]),
        (r"a\Db", ["axb", "aéb"], ["a1b"]),
        (r"(?a)a\wb", ["axb"], ["a-b"]),
        (r"(?a)a\Wb", ["aéb", "a b"], ["axb"]),
        (r"(?a:\d)x", ["1x"], ["yx"]),
        ("a.b", ["aéb", "a😀b", "a\rb", "a\ufffdb"], ["ab"]),
        ("(?s)a.b", ["aéb", "a\x85b"], ["ab"]),
        ("^.{3}$", ["é😀x"], []),
        ("[é-ü]{2}x", ["éüx"], ["abx"]),
        ("[^é]{2}x", ["abx", "üax"], ["x"]),
        ("é+x", ["ééx"], ["x"]),
        ("(?:é){2}x", ["ééx"], ["éx"]),
        # Case.
        ("(?i)kiss", ["KISS", "\u212ai\u017fs", "K\u0130SS", "k\u0131ss"], ["kill"]),
        ("(?i)[k]x", ["\u212ax", "Kx"], ["jx"]),
        ("(?i)[\u212a]x", ["kx", "Kx", "\u212ax"], ["jx"]),
        ("(?i)straße", ["STRAßE", "STRA\u1e9eE"], ["strasse"]),
        ("(?i)é", ["É", "é"], ["e"]),
        ("(?i:f)atal", ["Fatal", "fatal"], ["FATAL"]),
        ("(?i)(?-i:F)atal", ["FATAL"], ["fatal"]),
        ("(?i)[^k]x", ["ax"], ["kx"]),
        ("(?i)[a-c]x", ["Bx"], ["dx"]),
        # Word boundaries.
        (r"\bcat\b", ["a cat", "cat"], ["concatenate"]),
        (r"é\bx?", ["é "], []),
        (r"x\b", ["x", "x€"], ["xy"]),
        (r"\bé", ["é", " é"], ["e"]),
        (r"(?i)k\b", ["\u212a "], ["kx"]),
        (r"\b(?:cat)+\b", ["cat", "catcat"], ["cats"]),
        (r"\b(?:cat|dog)", ["dog"], ["horse"]),
        (r"\b(cat)\b", ["cat"], ["cats"]),
        (r"(?:(?=a)){2}a", ["a"], ["b"]),
        (r"\b[a-c]{2}\b", ["ab"], ["abc"]),
        (r"a\Bb", ["ab"], ["a b"]),
        # Newlines, which no line has.
        ("a\n", [], ["a"]),
        (r"[\n]", [], ["a"]),
        (r"[\n]+", [], ["a"]),
        (r"a[\n]*b", ["ab"], ["a"]),
        (r"a(?:\n)*b", ["ab"], ["a"]),
        (r"(?:\n|x)y", ["xy"], ["y"]),
        (r"(?:\n|\r\n)", [], ["y"]),
        ("a|(?!)b", ["a"], ["c"]),
        ("(?!)", [], ["b"]),
        # Comments, verbosity, escapes.
        ("(?x) a b # comment", ["ab"], ["a b"]),
        ("a(?#comment)b", ["ab"], ["a"]),
        (r"\x41\u0042\103", ["ABC"], ["ABD"]),
        (r"\N{EURO SIGN}x", ["€x"], ["x"]),
        (r"a\.b\\\[", ["a.b\\["], ["axb"]),
        ("\x00x", [], []),
        # What matches everywhere, or is too much for Hyperscan.
        ("a*", ["", "a", "b"], []),
        (r"^\s*$", ["", "  "], []),
        ("(?=a)", ["a"], []),
        ("(?:|)x(?:|)", ["x"], ["y"]),
        ("(?:)", ["", "a"], []),
        ("a{2,40000}b", ["aab"], ["b"]),
        (r"(?:\w{1,300}x){1,300}y", ["axy"], ["y"]),
        ("(?:(?:a.){9}b){9}c", [("axaxaxaxaxaxaxaxaxb" * 9) + "c"], ["c"]),
        ("\ufffdx", ["\ufffdx"], ["x"]),
        ("(?:(?=x))y|z", ["z"], ["x"]),
        ("([\ud800])x|z", ["z"], ["y"]),
        ("\ud800|z", ["z"], ["y"]),
    ],
)
def test_every_construct_finds_what_python_finds(
    regex: str, matching: list[str], other: list[str]
) -> None:
    """A line that matches is a candidate; one that cannot match is none, as far as can be told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pattern = re.compile(regex)
    for text in matching:
        assert pattern.search(text), text
        assert finds(regex, text), text
    assert [] == [text for text in other if pattern.search(text)]


@pytest.mark.parametrize(
    ("regex", "text"),
    [
        ("Failed password", "Accepted password"),
        ("a{,3}bc", "aaac"),
        ("(?i)fatal", "fata"),
        (r"sshd\[\d+\]: Failed", "sshd[1]: Accepted"),
        (r"[cd]: \d{2,4}x", "c: 1x"),
        ("(?:cat|dog)s?", "a horse"),
        ("ab{3}", "abb"),
        (r"of user \d+ failed$", "of user 7 served"),
    ],
)
def test_a_line_without_a_match_is_seldom_a_candidate(regex: str, text: str) -> None:
    """What Hyperscan can express exactly costs no test in Python."""
    assert not finds(regex, text)


@pytest.mark.parametrize(
    "regex",
    [
        "a\n",
        r"[\n]",
        r"[\n]+",
        r"(?:\n)+",
        r"(?:a\n)+",
        r"[\n]{2}",
        "(?:\n|\r\n)",
        r"(?i)\n",
    ],
)
def test_what_no_line_can_match_is_not_looked_for(regex: str) -> None:
    """It can match a csv record of several lines, and those are tested without being looked for."""
    written = superset(regex, UTF8)

    assert written is not None
    assert () == written.expressions


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "koi8-r", "utf-8"])
def test_characters_outside_ascii_are_found_in_their_encoding(encoding: str) -> None:
    """A codec that has a byte for each character needs no other pattern."""
    text = "ж" if encoding == "koi8-r" else "é"

    assert finds(f"a{text}b", f"a{text}b", encoding)
    assert finds(f"(?i)a{text}b", f"A{text}B", encoding)


@pytest.mark.parametrize("encoding", ["utf-16", "shift_jis", "cp037", "utf-7", "gbk", "no such"])
def test_encodings_whose_bytes_are_not_their_text_are_not_searched(encoding: str) -> None:
    """Every line is a candidate where an ASCII byte may be something else."""
    assert superset("a", Encoding(encoding)) is None


@pytest.mark.parametrize(
    ("regex", "run"),
    [
        ("abc", ("abc", False)),
        ("a.bcd.e", ("bcd", False)),
        ("x(abc)y", ("abc", False)),
        ("x(?i:abc)y", ("abc", True)),
        ("(?i)ab", ("ab", True)),
        ("(?>abc)d", ("abc", False)),
        ("(?:abc)+d", ("abc", False)),
        ("(?:abc)*d", ("d", False)),
        ("abc|abd", ("ab", False)),
        (r"\d", None),
        ("ab-cd", ("ab", False)),
    ],
)
def test_the_longest_required_run_is_found(regex: str, run: tuple[str, bool] | None) -> None:
    """Each match contains it; characters that are not plain end it."""
    found = required(regex, str.isalpha)

    assert run == (None if found is None else tuple(found))


@settings(deadline=None)
@given(st.randoms(use_true_random=True))
def test_no_line_is_missed(chance: random.Random) -> None:
    """Whatever the pattern: of the lines that it was made with, and of others much like them."""
    part, pattern = written(chance)
    text = spoiled(chance, part.text).replace("\n", "")

    is_match = pattern.search(text) is not None

    event(f"matches: {is_match}, every line is a candidate: {superset(part.regex, UTF8) is None}")
    assert finds(part.regex, text) or not is_match


def test_most_regexes_of_chance_find_their_text_and_are_looked_for() -> None:
    """Else the test above would be worth little."""
    chance = random.Random(1)
    made = [written(chance) for _ in range(300)]

    matching = [part for part, pattern in made if pattern.search(part.text)]
    telling = [part for part in matching if superset(part.regex, UTF8) is not None]

    assert len(matching) > 200
    assert len(telling) > 150


def test_source_encoding_default_is_searchable() -> None:
    """The default is UTF-8, which is."""
    assert Encoding(Source("s", (), UTC).encoding).is_transparent
