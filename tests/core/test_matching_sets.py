"""
Many rules together on many lines: none of them may hide a line from another.

What looks for them all at once is a large program that is known to have lost lines: where scanned
bytes end, behind two-byte texts, in anchored patterns next to others.  So chance puts regexes
together, and lines that match, nearly match and stand next to those that do.
"""

from __future__ import annotations

import random
import re
from datetime import UTC

import pytest
from core.examples import rule
from core.regexes import spoiled, written

from alertd.core.events import Batch
from alertd.core.framing import Framing
from alertd.core.matching import Matcher
from alertd.core.rules import Pattern, Source
from alertd.core.scanning import Scanner

SOURCE = Source("log", ("/x",), UTC, timestamp="none")
NOTHING = (b"", b"", b"\0", b"\r", b" ", b"\xff", b"\xe2\x82")


def a_line(chance: random.Random, texts: list[str]) -> bytes:
    """Make a line out of what regexes were made with."""
    if chance.random() < 0.1:
        return chance.choice(NOTHING)
    texts = chance.sample(texts, chance.choice((1, 1, 2)))
    line = "".join(spoiled(chance, text) for text in texts).replace("\n", "")
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


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 20, 31, 40, 61, 101])
def test_a_set_of_rules_finds_what_each_would(count: int) -> None:
    """As ``re`` finds it, line by line, wherever the data end."""
    chance = random.Random(count)
    sets = max(1, 30 // count)
    found_by = set()
    for number in range(sets):
        parts = [written(chance)[0] for _ in range(count)]
        regexes, texts = [one.regex for one in parts], [one.text for one in parts] + ["x", ""]
        matcher = Matcher(
            SOURCE, [rule(str(n), match=(Pattern(regex),)) for n, regex in enumerate(regexes)]
        )
        for _ in range(6):
            ending = chance.choice((b"\n", b"\n", b"\r\n"))
            data = ending.join(a_line(chance, texts) for _ in range(chance.randint(1, 20 + count)))
            data += chance.choice((b"", ending))

            found = found_in(data, matcher)

            expected = expected_in(data, regexes)
            assert expected == found
            found_by |= {(number, name) for name, _ in expected}
    # It is worth what it finds: most of the rules have found something.
    assert len(found_by) > sets * count / 2


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
