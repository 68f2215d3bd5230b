"""Rules that must be judged in one order of time are found."""

from __future__ import annotations

from core.examples import rule

from alertd.core.streams import streams_of


def test_rules_that_see_the_same_sources_are_judged_together() -> None:
    """In whichever order they name them."""
    both, one = ("x", "y"), ("x",)
    rules = [rule("a", sources=both), rule("b", sources=both[::-1]), rule("c", sources=one)]

    assert {"a": ("x", "y"), "b": ("x", "y"), "c": ("x",)} == streams_of(rules)


def test_who_watches_and_who_is_watched_are_judged_together() -> None:
    """Through others, too; who has nothing to do with them stays alone."""
    rules = [
        rule("pair", sources=("x",), watches=("a",)),
        rule("top", sources=("x", "y"), watches=("pair", "b")),
        rule("a", sources=("x",)),
        rule("b", sources=("y",)),
        rule("c", sources=("z",)),
        rule("d", sources=("x",)),
        rule("e", sources=("z",), watches=("c",)),
    ]

    assert {
        **dict.fromkeys(("top", "a", "pair", "b"), ("x", "y")),
        "c": ("z",),
        "d": ("x",),
        "e": ("z",),
    } == streams_of(iter(rules))
