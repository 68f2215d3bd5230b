"""What was compiled is kept for the next start, and never used where it does not fit."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import hyperscan
import pytest

import alertd.core
from alertd.core.events import Batch
from alertd.core.framing import Framing
from alertd.core.rules import Alternative, Condition, Conjunction, Pattern, Rule, Source
from alertd.matchers import compile_matchers, sample_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alertd.core.matching import Matcher

SOURCE = Source("app", ("/var/log/app/*.log",), UTC, timestamp="none")
LINES = b"one first\ntwo second\nthree third\n"


def looking_for(*regexes: str) -> list[Rule]:
    """One rule a regex, named after it."""
    return [rule(regex, Pattern(regex)) for regex in regexes]


def rule(name: str, alternative: Alternative) -> Rule:
    return Rule(name, ("app",), (alternative,), 0, 1.0, 0.0, ())


def found(matcher: Matcher) -> list[tuple[str, int]]:
    """Which rules match where in ``LINES``."""
    result = matcher.match(Batch("1", "log", "log", 0, LINES, 0.0, is_final=True), Framing())
    return [(match.rule, match.offset) for match in result.matches]


def compiled(rules: Sequence[Rule], cache: Path, source: Source = SOURCE) -> Matcher:
    return compile_matchers([source], rules, cache=cache)["app"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A directory in which the rule ``first`` is kept."""
    directory = tmp_path / "patterns"
    compiled(looking_for("first"), directory)
    return directory


def kept(cache: Path) -> tuple[int, bytes]:
    """What is kept; the inode tells whether it was written again."""
    (path,) = cache.iterdir()
    return path.stat().st_ino, path.read_bytes()


def test_the_next_start_uses_what_is_kept(cache: Path) -> None:
    """Nothing is written when nothing was made."""
    before = kept(cache)

    matcher = compiled(looking_for("first"), cache)

    assert [("first", 0)] == found(matcher)
    assert before == kept(cache)


def test_what_is_not_about_bytes_leaves_it_valid(cache: Path) -> None:
    """A source that only looks elsewhere for its files has the same patterns."""
    before = kept(cache)
    source = Source("app", ("/elsewhere",), UTC, timestamp="none", start_at="beginning", lateness=9)

    assert [("first", 0)] == found(compiled(looking_for("first"), cache, source))
    assert before == kept(cache)


@pytest.mark.parametrize(
    "rules",
    [
        looking_for("second"),
        looking_for("first", "second"),
        looking_for("second", "first"),
        [rule("x", Conjunction((Condition("line", "contains", "first"),)))],
    ],
)
def test_other_rules_are_compiled_anew(cache: Path, rules: list[Rule], tmp_path: Path) -> None:
    """Also where only their order has changed: an expression stands for a rule by its number."""
    before = kept(cache)

    matcher = compiled(rules, cache)

    assert found(compiled(rules, tmp_path / "fresh")) == found(matcher)
    assert before[1] != kept(cache)[1]


def test_another_encoding_is_compiled_anew(cache: Path) -> None:
    """The same regex is other bytes there."""
    before = kept(cache)

    compiled(looking_for("first"), cache, Source("app", ("/x",), UTC, encoding="cp1252"))

    assert before[1] != kept(cache)[1]


def test_whatever_byte_is_damaged_all_of_it_is_made_anew(cache: Path) -> None:
    """A bit that has flipped in a stored expression would lose lines in silence."""
    (path,) = cache.iterdir()
    whole = path.read_bytes()

    for place in [*range(80), *range(80, len(whole), len(whole) // 40), len(whole) - 1]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])

        assert [("first", 0)] == found(compiled(looking_for("first"), cache))
        assert whole == path.read_bytes()


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 200])
def test_what_is_cut_short_is_made_anew(cache: Path, length: int) -> None:
    """As a full disk or a power cut leaves it."""
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:length])

    assert [("first", 0)] == found(compiled(looking_for("first"), cache))
    assert whole == path.read_bytes()


def another_python(patch: pytest.MonkeyPatch, _: Path) -> None:
    """Its parser may read a regex in another way."""
    patch.setattr(sys, "version", "4.0.0")


def another_machine(patch: pytest.MonkeyPatch, _: Path) -> None:
    """A state directory may be moved."""
    here = os.uname()
    there = os.uname_result((here.sysname, here.nodename, here.release, here.version, "riscv64"))
    patch.setattr(os, "uname", lambda: there)


def another_hyperscan(patch: pytest.MonkeyPatch, _: Path) -> None:
    """Its databases have another layout, and it refuses other expressions."""
    patch.setattr(hyperscan, "__version__", "99.0")


def another_release(patch: pytest.MonkeyPatch, _: Path) -> None:
    patch.setattr(alertd, "__version__", "99.0")


def other_code(patch: pytest.MonkeyPatch, directory: Path) -> None:
    """A mistake in the core that was mended, without another version number."""
    copy = directory / "core"
    shutil.copytree(Path(alertd.core.__file__).parent, copy)
    with (copy / "patterns.py").open("a") as file:
        file.write("\n")
    patch.setattr(alertd.core, "__path__", [str(copy)])


@pytest.mark.parametrize(
    "change", [another_python, another_machine, another_hyperscan, another_release, other_code]
)
def test_what_was_made_elsewhere_is_made_anew(
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch, Path], None],
) -> None:
    """Only the very code that made something knows that it would make the same again."""
    before = kept(cache)

    change(monkeypatch, tmp_path)

    assert [("first", 0)] == found(compiled(looking_for("first"), cache))
    assert before != kept(cache)


def test_a_directory_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    """What is compiled is used all the same."""
    (tmp_path / "patterns").write_text("a file where the directory should be")

    assert [("first", 0)] == found(compiled(looking_for("first"), tmp_path / "patterns"))


def test_a_rule_without_any_text_stays_slow_when_restored(tmp_path: Path) -> None:
    """What is tested on every line, and the reason for it, are restored, too."""
    rules = looking_for(r"\W", "third")
    first = compiled(rules, tmp_path / "patterns")

    again = compiled(rules, tmp_path / "patterns")

    assert first.strategies() == again.strategies()
    assert found(first) == found(again)
    assert ("third", 21) in found(again)


def test_what_is_rare_in_the_files_is_looked_for(tmp_path: Path) -> None:
    """Files that cannot be read, or have no whole line, say nothing."""
    (tmp_path / "1.log").mkdir()
    (tmp_path / "2.log").write_text("no newline")
    (tmp_path / "3.log").write_text("often payments\n" * 9 + "rare\n")
    source = Source("app", (f"{tmp_path}/*.log",), UTC)
    both = (Condition("line", "contains", "payments"), Condition("line", "contains", "rare"))

    matcher = compile_matchers([source], [rule("both", Conjunction(both))])["app"]

    assert ["the text 'rare'"] == [way.description for way in matcher.strategies()]
    assert sample_of(source).endswith(b"rare\n")
    assert b"" == sample_of(SOURCE)
