"""
Many rules together on many lines: none of them may hide a line from another.

What looks for them all at once is a large program that is known to have lost lines: where scanned
bytes end, behind two-byte texts, in anchored patterns next to others.  So chance puts together what
regexes are made of, and lines that match, nearly match and stand next to those that do.
"""

from __future__ import annotations

import random
import re
from datetime import UTC

import pytest
from core.examples import rule

from alertd.core.events import Batch
from alertd.core.framing import Framing
from alertd.core.matching import Matcher
from alertd.core.rules import Pattern, Source
from alertd.core.scanning import Scanner

SOURCE = Source("log", ("/x",), UTC, timestamp="none")
WORDS = (
    "a",
    "ab",
    "foo",
    "bar",
    "k",
    "S",
    "é",
    "İ",
    "22",
    "::",
    ".",
    "[",
    "]",
    " ",
    "\t",
    "=",
    '"',
)
CLASSES = {
    r"\d": "07",
    r"\s": " \t\xa0\r",
    r"\S": "aé1:",
    r"\w": "bé_1",
    ".": "b é:\r",
    "[a-c]": "abc",
    "[^a]": "bé\r",
    r"[^\s:]": "abé",
    "[ks]": "ks",
}
REPEATS = {"?": (0, 1), "*": (0, 3), "+": (1, 3), "{2}": (2, 2), "{,3}": (0, 3), "{1,9}": (1, 9)}
STARTS = ("", "", "^", r"\A", r"(?:^|\s)", r"^\s*", r"^(?:\[\w*\])? ?", "(?i)", r"\b", "(?<!a)")
ENDS = ("", "", "$", r"\Z", r"\s*$", r"(?:\s|$)", ".*$", r"\b", "(?!x)")
NOTHING = (b"", b"", b"\0", b"\r", b" ", b"\xff")

# A regex, and a text that it was made with.
Part = tuple[str, str]


def piece(chance: random.Random, depth: int) -> Part:
    """Make a word, a class, a repeat or a choice."""
    kind = chance.random()
    if depth and kind < 0.3:
        parts = [sequence(chance, depth - 1) for _ in range(chance.randint(1, 4))]
        return "(?:" + "|".join(one for one, _ in parts) + ")", chance.choice(parts)[1]
    if kind < 0.6:
        word = "".join(chance.choices(WORDS, k=chance.randint(1, 3)))
        return re.escape(word), word
    written, members = chance.choice([*CLASSES.items(), ("(?:foo)", ("foo",)), ("(?:b.)", ("bx",))])
    if kind < 0.8:
        return written, chance.choice(members)
    repeat, (low, high) = chance.choice([*REPEATS.items()])
    text = "".join(chance.choices(members, k=chance.randint(low, high)))
    return written + repeat, text


def sequence(chance: random.Random, depth: int) -> Part:
    """Make several pieces in a row."""
    parts = [piece(chance, depth) for _ in range(chance.randint(1, 4))]
    return "".join(one for one, _ in parts), "".join(text for _, text in parts)


def spoiled(chance: random.Random, text: str) -> str:
    """Leave a text as it is, or change one of its characters."""
    at = chance.randint(0, 2 * len(text))
    return text[:at] + chance.choice(("", *WORDS)) + text[at + 1 :] if at < len(text) else text


def a_line(chance: random.Random, texts: list[str]) -> bytes:
    """Make a line out of what regexes were made with."""
    if chance.random() < 0.2:
        return chance.choice(NOTHING)
    line = "".join(spoiled(chance, text) for text in chance.sample(texts, chance.choice((1, 1, 2))))
    return b"\0" * chance.choice((0, 0, 0, 1, 3)) + line.encode()


def expected_in(data: bytes, regexes: list[str]) -> set[tuple[str, int]]:
    """Hold every regex against every line."""
    patterns = [(str(number), re.compile(regex)) for number, regex in enumerate(regexes)]
    found = set()
    offset = 0
    for line in data.split(b"\n"):
        text = line.removesuffix(b"\r").lstrip(b"\0").decode("utf-8", "replace")
        if offset < len(data):
            found |= {(name, offset) for name, pattern in patterns if pattern.search(text)}
        offset += len(line) + 1
    return found


def found_in(data: bytes, matcher: Matcher) -> set[tuple[str, int]]:
    """Let a matcher look for its rules."""
    matched = matcher.match(Batch("1", "log", "/x", 0, data, 0.0), Framing())
    assert len(data) == matched.consumed
    return {(match.rule, match.offset) for match in matched.matches}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 20, 31, 40])
def test_a_set_of_rules_finds_what_each_would(count: int) -> None:
    """As ``re`` finds it, line by line, wherever the data end."""
    chance = random.Random(count)
    lines = 0
    for _ in range(6):
        shared = sequence(chance, 1)
        parts = []
        for _ in range(count):
            regex, text = sequence(chance, 2)
            if chance.random() < 0.4:
                regex, text = shared[0] + regex, shared[1] + text
            parts.append((f"{chance.choice(STARTS)}(?:{regex}){chance.choice(ENDS)}", text))
        regexes, texts = [one for one, _ in parts], [text for _, text in parts] + ["x", ""]
        matcher = Matcher(
            SOURCE, [rule(str(n), match=(Pattern(regex),)) for n, regex in enumerate(regexes)]
        )
        for _ in range(8):
            ending = chance.choice((b"\n", b"\n", b"\r\n"))
            data = ending.join(a_line(chance, texts) for _ in range(chance.randint(1, 30)))
            data += chance.choice((b"", ending))

            found = found_in(data, matcher)

            expected = expected_in(data, regexes)
            assert expected == found
            lines += len(expected)
    assert lines


@pytest.mark.parametrize(
    ("regex", "line"),
    [
        # A short text among other beginnings of a pattern.
        (
            r"(?:::\b|sshd|(?:\]xuser|\r==22error|\r::\t)(?:éİ\t))(?:abé){2}\S{1,3}[^\s:]\".*$",
            '::abéabéax:a"',
        ),
        (r"\A\[(?::)?(?:fail\[){,3}=\.İKİ", "[=.İKİ"),
        (r"^(?:\[\w*\])? ?:{2,} {2}\](?:sshd\[éb|b )?s(?:sshd){1,3}", ":::  ]ssshd"),
        (r"curl.*\|\s*python", "curl http://xxxx:8000/ 2>&1 | python"),
    ],
)
@pytest.mark.parametrize("before", ["", "x" * 17 + "\n", "x" * 200 + "\n"])
@pytest.mark.parametrize("after", ["", "\n", "\nabc\n", "\n" + "y" * 100])
def test_what_was_lost_once_is_found(regex: str, line: str, before: str, after: str) -> None:
    """Whatever stands before the line and behind it."""
    matcher = Matcher(SOURCE, [rule("0", match=(Pattern(regex),))])

    found = found_in((before + line + after).encode(), matcher)

    assert {("0", len(before))} == found


@pytest.mark.parametrize("length", [0, 14, 15, 33, 68, 1000, 4093, 4094, 4095, 9000])
@pytest.mark.parametrize("text", [b"\xc4\xb0", b"\nS", b"\n=", b"\nab"])
def test_what_ends_where_the_data_end_is_found(length: int, text: bytes) -> None:
    """A short text at the very end, with a newline behind it or without, is found, and once."""
    scanner = Scanner([b"(?:%s)[^\\n]*$" % text.removeprefix(b"\n")])

    for data in (b"x" * length + text, b"x" * length + text + b"\n", b"x" * length + text + b"\r"):
        hits = scanner.scan(data, 8, 9)

        assert [len(data.removesuffix(b"\n")) << 8] == hits
