"""What alertd says about itself: all of it, exactly, and no more often than a person can bear."""

from __future__ import annotations

from typing import Any

import pytest

from alertd.core import complaints
from alertd.core.complaints import DAY, HOUR, SETTLE, SHOWN, Complaints, Trouble, as_notice

ADMIN = ("admin@example.com",)
NOW = 1_000_000.0


def trouble(detail: str = "/a.log: Permission denied", **changes: Any) -> Trouble:
    settings: dict[str, Any] = {
        "kind": "permission-denied",
        "about": ("source", "app"),
        "complaint": "files may not be read",
        "detail": detail,
        "remedy": "Let it.",
    }
    return Trouble(**{**settings, **changes})


def told(subject: Complaints, now: float) -> list[tuple[str, int]]:
    return [(notice.alert.line, notice.alert.count) for notice in subject.due(now, ADMIN)]


def test_troubles_of_one_cause_that_come_together_are_told_together() -> None:
    """A second is waited for more; then one alert has all of them, with a name no rule can have."""
    subject = Complaints()
    subject.note(trouble("a"), NOW)
    subject.note(trouble("b"), NOW + 0.5)
    subject.note(trouble("c", about=("source", "other")), NOW)

    assert [] == subject.due(NOW + 0.9, ADMIN)
    first, second = subject.due(NOW + SETTLE, ADMIN)
    assert [] == subject.due(NOW + 2 * SETTLE, ADMIN)
    assert ("alertd/permission-denied", (("source", "app"),), 2, "a\nb", NOW) == (
        first.alert.rule,
        first.alert.key,
        first.alert.count,
        first.alert.line,
        first.alert.since,
    )
    assert (ADMIN, "files may not be read", "Let it.", None) == (
        first.recipients,
        first.complaint,
        first.description,
        first.alert.previous,
    )
    assert (("source", "other"),) == second.alert.key
    assert first.alert.id != second.alert.id


def test_a_cause_is_told_once_an_hour_and_nothing_is_forgotten() -> None:
    """What happens within the hour is told after it, with exact numbers."""
    subject = Complaints()
    subject.note(trouble("a"), NOW)
    assert [("a", 1)] == told(subject, NOW + 1)
    subject.note(trouble("b", count=3), NOW + 10)
    subject.note(trouble("b", count=4), NOW + 20)

    assert [] == told(subject, NOW + HOUR)
    [notice] = subject.due(NOW + HOUR + 1, ADMIN)
    assert ("b", 7, NOW + 1) == (notice.alert.line, notice.alert.count, notice.alert.previous)


def test_what_lasts_is_told_once_a_day() -> None:
    """However often it is noted."""
    subject = Complaints()
    times = [NOW + hours * HOUR for hours in range(49)]
    spoken = []
    for now in times:
        subject.note(trouble(is_lasting=True), now)
        spoken += [now for _ in told(subject, now + 1)]

    assert [NOW, NOW + DAY, NOW + 2 * DAY] == spoken


@pytest.mark.parametrize("is_told", [True, False])
def test_a_restart_changes_nothing(*, is_told: bool) -> None:
    """What was told is not told again, and what was not yet, is."""
    subject = Complaints()
    subject.note(trouble(is_lasting=True), NOW)
    subject.mark = 5.0
    if is_told:
        assert [(trouble().detail, 1)] == told(subject, NOW + 1)
    stored = subject.take_changes()
    assert stored is not None
    assert subject.take_changes() is None
    after = Complaints(stored)
    after.note(trouble(is_lasting=True), NOW + 2)

    assert ([] if is_told else [(trouble().detail, 1)]) == told(after, NOW + 10)
    assert 5.0 == after.mark


def test_a_clock_that_was_set_back_silences_nothing() -> None:
    """A time from the future was written before somebody set the clock."""
    subject = Complaints()
    subject.note(trouble(is_lasting=True), NOW)
    assert [(trouble().detail, 1)] == told(subject, NOW + 1)
    subject.note(trouble(is_lasting=True), NOW - DAY)

    assert [(trouble().detail, 1)] == told(subject, NOW - DAY + 1)


def test_what_is_urgent_waits_for_nothing() -> None:
    """That the state was lost must be on disk before anything else is."""
    subject = Complaints()
    subject.note(trouble("a"), NOW)

    assert 1 == len(subject.due(NOW, ADMIN, is_urgent=True))


def test_many_details_are_shown_in_part_and_counted_in_full() -> None:
    """Ten thousand unreadable files make one mail that can be read."""
    subject = Complaints()
    for number in range(SHOWN + 5):
        subject.note(trouble(f"file {number}"), NOW)
    [(text, count)] = told(subject, NOW + 1)

    assert SHOWN + 5 == count
    assert [*(f"file {number}" for number in range(SHOWN)), "and 5 more"] == text.split("\n")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what lasts, the oldest is forgotten; it would be told again."""
    monkeypatch.setattr(complaints, "MOST_HEARD", 2)
    subject = Complaints()
    for detail in "abc":
        subject.note(trouble(detail, is_lasting=True), NOW)
    told(subject, NOW + 1)
    for detail in "bca":
        subject.note(trouble(detail, is_lasting=True), NOW + 2)

    assert [("a", 1)] == told(subject, NOW + HOUR + 1)


def test_a_trouble_about_nothing_in_particular_has_no_key() -> None:
    """The state is one."""
    notice = as_notice(trouble(about=None), NOW, NOW + 1, ADMIN)

    assert ((), trouble().detail) == (notice.alert.key, notice.alert.line)
