"""
Regexes as tools against break-ins write them: what must be accepted, and agree with ``re``.

They are put together from parts in the manner of such tools: an optional prefix, a host in many
spellings, lookarounds, references, conditionals, anchors on both sides.  Each part brings texts.
"""

from __future__ import annotations

import itertools
import re
from datetime import UTC

import pytest
from core.examples import rule

from alertd.core.events import Batch
from alertd.core.framing import Framing
from alertd.core.matching import Matcher
from alertd.core.rules import Pattern, Source

# A regex's part, and texts that it was written for and some that it was not.
Part = tuple[str, tuple[str, ...]]

HOST = (
    r"(?:\[?(?:(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})|(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}"
    r"(?:[0-9a-fA-F]{1,4}|(?<=:):)))\]?|(?P<dns>[\w\-.^_]*\w))"
)
PREFIXES: tuple[Part, ...] = (
    (r"^", ("",)),
    (
        r"^\s*(?:\S+\s+)?(?:kernel:\s?\[ *\d+\.\d+\]:?\s+)?(?:@vserver_\S+\s+)?",
        (" kernel: [1.5] ",),
    ),
    (r"^(?P<level>\[(?:error|warn)\])? ?", ("[error] ", "[info] ")),
    (
        r"(?i)^(?:\[\])?\s*(?:<[^.]+\.[^.]+>\s+)?(?:daemon(?:\[\d+\])?:\s+)",
        ("DAEMON[7]: ", "other: "),
    ),
    (r"(?<!not )\b", ("not ", "but ")),
    (r"^(?=.*(?:refused|denied))", ("",)),
)
BODIES: tuple[Part, ...] = (
    (r"(?:login|auth(?:entication)?) (?:refused|denied)[:,]?", ("login refused:", "auth denied,")),
    (
        r"(?P<q>['\"]?)user(?P=q) (?>\w++ )?denied",
        ("'user' x denied", "\"user' denied", "user denied"),
    ),
    (r"[iI](?:llegal|nvalid) user(?: .*?)?", ("Invalid user", "illegal user Zoë", "invalid user")),
    (r"(?:(<)?bad\s+request(?(1)>|!))", ("<bad request>", "bad\trequest!", "bad request>")),
    (r"\d{1,3}(?:,\d{3})* (?:tries|attempts?)(?! left)", ("1,000 tries", "3 attempts left")),
    (r"[^\W_]+(?:[^\n]{,3})=\S*[[:]+", ("key=a[", "ké  =::", "=")),
)
SUFFIXES: tuple[Part, ...] = (
    (r" from <HOST>(?: port \d*)?(?: ssh\d*)?$", (" from 192.0.2.7 port 22 ssh2", " from ::1")),
    (r"\s+(?:from|by) <HOST>(?:\s|$)", ("  by host.example.org x", " by [2001:db8::1]")),
    (r".*\brhost=<HOST>(?:\s+user=.*)?\s*$", (" tty= rhost=192.0.2.7  user=a", " rhost= ")),
    (r"(?:, client: <HOST>)?[^\]]*\Z", (", client: 192.0.2.7\xa0", "]", "\u2028")),
)


def combined(parts: tuple[Part, Part, Part]) -> tuple[str, list[str]]:
    """Put a regex and its lines together."""
    regex = "".join(written for written, _ in parts).replace("<HOST>", HOST)
    lines = ["".join(texts) for texts in itertools.product(*(texts for _, texts in parts))]
    return regex, lines


CASES = [combined(parts) for parts in itertools.product(PREFIXES, BODIES, SUFFIXES)]
LINES = sorted({line for _, lines in CASES for line in lines})


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_all_of_them_together_agree_with_re(ending: str) -> None:
    """As one set of rules on all lines, each finds what ``re`` finds, line by line."""
    source = Source("log", ("/x",), UTC, timestamp="none")
    patterns = {str(number): regex for number, (regex, _) in enumerate(CASES)}
    matcher = Matcher(
        source, [rule(name, match=(Pattern(regex),)) for name, regex in patterns.items()]
    )
    expected = {
        (name, line)
        for name, regex in patterns.items()
        for line in filter(re.compile(regex).search, LINES)
    }

    found = set()
    framing, batch = Framing(), Batch("1", "log", "/x", 0, ending.join([*LINES, ""]).encode(), 0.0)
    while batch.data:
        matched = matcher.match(batch, framing)
        found |= {(match.rule, match.line) for match in matched.matches}
        batch = batch.rest(matched.consumed)

    assert len(expected) > len(CASES)
    assert expected == found


def test_none_of_them_is_slow() -> None:
    """Each contains something that can be looked for in whole chunks."""
    source = Source("log", ("/x",), UTC)
    rules = [rule(str(number), match=(Pattern(regex),)) for number, (regex, _) in enumerate(CASES)]

    assert [] == [way for way in Matcher(source, rules).strategies() if way.is_slow]
