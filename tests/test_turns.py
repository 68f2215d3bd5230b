"""Nobody waits for long: the order in which files that are behind are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from alertd import turns
from alertd.turns import Turns

if TYPE_CHECKING:
    import pytest

    from alertd.tail import FollowedFile


class Stub:
    """A file, as far as its turn is concerned."""

    def __init__(self, name: str, *, is_behind: bool = True) -> None:
        self.source = "app"
        self.id = name
        self.is_behind = is_behind


def file(name: str, *, is_behind: bool = True) -> FollowedFile:
    """Return a file of this name."""
    return cast("FollowedFile", Stub(name, is_behind=is_behind))


def order(subject: Turns, *files: FollowedFile) -> str:
    """Line files up; return their names in the order of their turns."""
    subject.line_up(files)
    names = ""
    while len(subject):
        taken = subject.take()
        names += taken.id
        subject.ended(taken)
    return names


def test_the_file_that_has_waited_longest_comes_first() -> None:
    """One that is always behind gets no more than its share."""
    subject, a, b, c = Turns(), file("a"), file("b"), file("c")

    assert "ab" == order(subject, a, b)
    assert "cab" == order(subject, a, b, c)


def test_every_other_turn_is_for_files_that_are_kept_up_with() -> None:
    """Ten thousand new files come between its lines, not before them."""
    subject, quiet = Turns(), file("q", is_behind=False)
    order(subject, quiet)

    assert "qabc" == order(subject, file("a"), file("b"), file("c"), quiet)


def test_a_file_that_falls_behind_waits_like_the_others() -> None:
    """Else two floods would take all turns but every other one from the rest."""
    subject, quiet = Turns(), Stub("q", is_behind=False)
    order(subject, cast("FollowedFile", quiet))
    quiet.is_behind = True
    order(subject, cast("FollowedFile", quiet))

    assert "abq" == order(subject, file("a"), file("b"), cast("FollowedFile", quiet))


def test_files_that_are_gone_are_forgotten() -> None:
    """What is not followed any more begins anew if it ever comes again."""
    subject, a, b = Turns(), file("a", is_behind=False), file("b")
    order(subject, a, b)
    subject.keep([("app", "b")])

    assert "ab" == order(subject, b, a)
    assert {("app", "b"), ("app", "a")} == subject._last.keys()


def test_a_look_serves_for_several_turns_and_longer_if_it_took_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With ten thousand files a look takes as long as many turns."""
    now = 100.0
    monkeypatch.setattr("alertd.turns.time.monotonic", lambda: now)
    subject = Turns()
    assert subject.is_look_due

    subject.begin_look()
    subject.line_up([file("a"), file("b")])
    assert not subject.is_look_due
    now += turns.LOOK_SECONDS
    assert subject.is_look_due

    subject.begin_look()
    now += 1.0
    subject.line_up([file("a"), file("b")])
    now += turns.LOOK_SHARE - 0.01
    assert not subject.is_look_due
    subject.clear()
    assert subject.is_look_due
