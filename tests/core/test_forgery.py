"""Which keys whoever writes text into a line can choose, told from the regex's own parse tree."""

from __future__ import annotations

import re

import pytest

from alertd.core.forgery import forgeable

SAFE = [
    # Settled by the beginning …
    r"^Failed from (?P<ip>\S+)",
    r"\AFailed from (?P<ip>\S+)",
    r"^\S+ \S+ sshd\[\d+\]: bad (?P<ip>\S+)",
    r'^(\S+) - - \[[^\]]+\] "(?P<ip>[A-Z]+)',
    r"^[^:]*?: from (?P<ip>\S+)",
    r"^\s*\w+(?:-|:) from (?P<ip>\S+)",
    r"^(?:a|b)? ?from (?P<ip>\S+)",
    r"(?:^a|^b) from (?P<ip>\S+)",
    r"^(?i:FROM) \d{3} (?P<ip>\S+)",
    r"^(?>from) (?P<ip>\S+)",
    r"^(?>from (?P<ip>\S+))",
    r"^(\w+) (?P<ip>\S+)",
    r"^\w+(?:-\d)? (?P<ip>\S+)",
    r"^x\b(?=y)[^\W_]+ (?P<ip>\S+)",
    r"^[^\d]+\d (?P<ip>\S+)",
    r"^\w+-+a (?P<ip>\S+)",
    # … or by the end.
    r"Failed .* from (?P<ip>\S+) port \d+ ssh2$",
    r"Failed .* from (?P<ip>\S+)( port \d+)? ssh2?$",
    r"(?:Failed .* from (?P<ip>\S+)$)",
    r"Failed .* from (?P<ip>\S+)\Z",
    r"from (?P<ip>\S+)\s*$",
    r"from (?P<ip>\S+)(?: x| yy?)$",
    r"from (?P<ip>\S+)(?: x$| y$)",
    # A name is whatever its owner chose.
    r"for (invalid user )?(?P<ip>.*) from \S+ port \d+ ssh2$",
]
FORGEABLE = [
    r"Failed from (?P<ip>\S+)",
    r"Failed .* from (?P<ip>\S+)",
    r"^Failed .* from (?P<ip>\S+)",
    r"^Failed (?:.*) from (?P<ip>\S+)",
    r"^Failed (.*) from (?P<ip>\S+)",
    r"^.{0,50}from (?P<ip>\S+)",
    r"^\S+from (?P<ip>\S+)",
    r"^[^é]+from (?P<ip>\S+)",
    r"^[^x]+é (?P<ip>\S+)",
    r"^(?:\w+=\S+ )*ip=(?P<ip>\S+)",
    r"^(?:\w+=\S+ ){2}ip=(?P<ip>\S+)",
    r"(?i)^[a-z]+FROM (?P<ip>\S+)",
    r"(?i)^[^a]+B (?P<ip>\S+)",
    r"^\w+(?:a|:) from (?P<ip>\S+)",
    r"^\w+(?:-|) from|^\w+(?:-|)a (?P<ip>\S+)",
    r"^\w+(?:-|)(?P<ip>\S+)",
    r"^\w+a?-(?P<ip>\S+)",
    r"^(a)\w+\1 (?P<ip>\S+)",
    r"^\w+\b(?P<ip>\S+)",
    r"^(?:x.*)? from (?P<ip>\S+)",
    r"^(?:x.*|y) from (?P<ip>\S+)",
    r"^a|from (?P<ip>\S+)",
    r"(?:^a|b) from (?P<ip>\S+)",
    r"(?:^|\s)from (?P<ip>\S+)",
    r"from (?P<ip>\S+)(?: x$| y)",
    r"Failed .* from (?P<ip>\S+) costs \$",
    r"Failed .* from (?P<ip>\S+).*$",
    r"Failed .* from (?P<ip>\S+) port .*$",
    r"Failed .* from (?P<ip>\S+) port [^a]*b$",
    r"(?=from (?P<ip>\S+)$)",
    r"(?:from (?P<ip>\S+) ?)+$",
    r"\b(?P<ip>\S+)",
    r"(?:)(?P<ip>\S+)",
]


@pytest.mark.parametrize("regex", SAFE)
def test_a_group_whose_place_is_settled_is_safe(regex: str) -> None:
    """An anchor, and between it and the group nothing that could swallow an imitation."""
    assert re.compile(regex).groupindex
    assert [] == forgeable(regex, ["ip"])


@pytest.mark.parametrize("regex", FORGEABLE)
def test_a_group_that_can_be_moved_is_not(regex: str) -> None:
    """Who logs in as ``x from 10.1.1.1`` chooses which address is counted."""
    assert re.compile(regex).groupindex
    assert ["ip"] == forgeable(regex, ["ip"])


def test_only_groups_of_this_regex_are_judged() -> None:
    """A rule may group by a field of the line as well, or by a group of another regex."""
    assert [] == forgeable(r"x \(?P<a>", ["a"])
    assert [] == forgeable(r"x", ["a"])
    assert ["b"] == forgeable(r"^(?P<a>\S+) .*(?P<b>\S+)", ["a", "host", "b"])


def test_a_warning_about_a_regex_is_not_ours_to_give() -> None:
    """Python warns of ``[[`` when it parses; whoever compiles the regex hears of that."""
    assert [] == forgeable(r"^[[a](?P<ip>\S+)", ["ip"])


def test_the_forgery_of_cve_2013_2178_is_one() -> None:
    """What the warning is about, with the regexes themselves."""
    line = "Failed password for x from 10.0.0.1 port 1 ssh2 from 192.0.2.7 port 22 ssh2"
    careless, careful = r"Failed .*? from (?P<ip>\S+)", r"Failed .* from (?P<ip>\S+) port \d+ ssh2$"
    found = [re.search(regex, line) for regex in (careless, careful)]

    assert ["10.0.0.1", "192.0.2.7"] == [match["ip"] for match in found if match]
    assert [["ip"], []] == [forgeable(regex, ["ip"]) for regex in (careless, careful)]
