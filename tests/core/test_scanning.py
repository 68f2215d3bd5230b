"""Databases of expressions: their layout, and what becomes of those that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hyperscan
import pytest

from alertd.core import scanning
from alertd.core.scanning import OFTEN, Refused, Scanner

if TYPE_CHECKING:
    from collections.abc import Callable

LITERALS = [b"(?:Fatal %d;)[^\\n]*$" % number for number in range(50)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 30, 31, 50])
def test_every_layout_finds_the_same(count: int) -> None:
    """One, a few, or many: each expression under its own number, at the end of its lines."""
    data = b"".join(b"Fatal %d;\n" % number for number in range(count))
    ends = [at for at, byte in enumerate(data) if byte == ord("\n")]

    hits = Scanner(LITERALS[:count]).scan(data, 8, 100)

    assert hits is not None
    assert [end << 8 | number for number, end in enumerate(ends)] == sorted(hits)


def test_a_scan_gives_up_beyond_the_most_hits() -> None:
    """Exactly so many are still given."""
    scanner = Scanner(LITERALS[:1])

    assert 3 == len(scanner.scan(b"Fatal 0;\n" * 3, 8, 3) or ())
    assert scanner.scan(b"Fatal 0;\n" * 4, 8, 3) is None


def test_a_stored_scanner_finds_the_same() -> None:
    """Without compiling anything."""
    stored = Scanner(LITERALS).dump()

    assert [8 << 8] == Scanner(LITERALS, stored).scan(b"Fatal 0;", 8, 9)


def test_refused_expressions_are_named() -> None:
    """Hyperscan itself does not say which of many it was."""
    refused = b"(a)" * 9000

    with pytest.raises(Refused) as refusal:
        Scanner([*LITERALS[:9], refused])

    assert {refused} == refusal.value.expressions
    assert "1 expressions" == str(refusal.value)


def test_what_is_too_much_together_is_compiled_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set may be refused none of whose expressions is."""
    attempt = scanning._attempt

    def limited(numbered: list[tuple[int, bytes]]) -> hyperscan.Database:
        if len(numbered) > 9:
            raise hyperscan.error("Pattern set is too large.")
        return attempt(numbered)

    monkeypatch.setattr(scanning, "_attempt", limited)
    scanner = Scanner(LITERALS)

    assert [8 << 8] == scanner.scan(b"Fatal 0;", 8, 9)
    assert [9 << 8 | 49] == Scanner(LITERALS, scanner.dump()).scan(b"Fatal 49;", 8, 9)


def test_what_needs_a_text_stands_apart() -> None:
    """Only where the text is; the part of the data that is asked for is all that counts."""
    scanner = Scanner(LITERALS[:3], needs={1: b"\\"})
    restored = Scanner(LITERALS[:3], scanner.dump(), needs={1: b"\\"})
    data = b"\\\nFatal 1;\nFatal 2;\n\\Fatal 1;\n"

    for one in (scanner, restored):
        assert [8 << 8 | 1, 17 << 8 | 2, 27 << 8 | 1] == sorted(one.scan(data, 8, 9, (2, 30)) or ())
        assert [17 << 8 | 2] == one.scan(data, 8, 9, (2, 20))


@pytest.mark.parametrize("backslashes", [0, 1, 2, 3, 100])
def test_a_needed_text_is_found_however_often_it_begins(backslashes: int) -> None:
    """Looking for it is left to Hyperscan where its first byte is everywhere."""
    scanner = Scanner([rb"(?:\\u00)[^\n]*$"], needs={0: b"\\u"})
    others = b"\\n" * backslashes + b"x\n" * OFTEN

    assert [] == scanner.scan(others + b"\n", 8, 9)
    assert [len(others) + 6 << 8] == scanner.scan(others + b"\\u0041\n", 8, 9)


@pytest.mark.parametrize(
    "damage", [lambda stored: stored[:9], lambda stored: stored[:-20] + b"\0" * 20]
)
def test_a_damaged_scanner_is_made_anew(damage: Callable[[bytes], bytes]) -> None:
    """Whether it cannot be taken apart, or Hyperscan does not know its own work again."""
    stored = damage(Scanner(LITERALS[:2]).dump())

    assert [8 << 8 | 1] == Scanner(LITERALS[:2], stored).scan(b"Fatal 1;", 8, 9)


def test_a_stored_scanner_with_other_needs_is_ignored() -> None:
    """Its databases are others."""
    stored = Scanner(LITERALS[:2], needs={1: b"\\"}).dump()

    assert 1 == len(Scanner(LITERALS[:2], stored).scan(b"Fatal 1;", 8, 9) or ())
