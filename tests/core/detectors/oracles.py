"""What each kind of rule finds, by looking at all events anew each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alertd.core.rules import Kind, Rule


class Event(NamedTuple):
    """What one matching line says; times are whole seconds."""

    time: int
    key: str
    value: str


class Found(NamedTuple):
    """An alert, as far as an oracle knows it."""

    time: float
    key: str
    size: int
    values: tuple[str, ...]


def with_cooldown(cooldown: float, findings: Iterator[Found]) -> list[Found]:
    """Leave out what comes too early after an alert of its key."""
    last: dict[str, float] = {}
    told = []
    for found in findings:
        if found.key not in last or found.time >= last[found.key] + cooldown:
            last[found.key] = found.time
            told.append(found)
    return told


def each(by: Rule, happened: Sequence[Event]) -> Iterator[Found]:
    """Every event."""
    del by
    for event in happened:
        yield Found(event.time, event.key, 1, ())


def different(by: Rule, happened: Sequence[Event]) -> Iterator[Found]:
    """Every event with more than so many different values of its key in its window."""
    for at, event in enumerate(happened):
        last: dict[str, int] = {}
        for other in happened[: at + 1]:
            if other.key == event.key and event.time - other.time < by.within:
                last.pop(other.value, None)
                last[other.value] = other.time
        if len(last) > by.more_than:
            values = tuple(last)[-by.more_than - 1 :]
            yield Found(event.time, event.key, len(values), values)


def unseen(by: Rule, happened: Sequence[Event]) -> Iterator[Found]:
    """Every event whose value no event of its key had before, once that key has learned."""
    for at, event in enumerate(happened):
        before = [other for other in happened[:at] if other.key == event.key]
        began = before[0].time if before else event.time
        if event.value not in {other.value for other in before} and event.time - began >= by.learn:
            yield Found(event.time, event.key, 1, (event.value,))


def changed(by: Rule, happened: Sequence[Event]) -> Iterator[Found]:
    """Every event whose value is not that of the event of its key before."""
    del by
    for at, event in enumerate(happened):
        before = [other.value for other in happened[:at] if other.key == event.key]
        if before and before[-1] != event.value:
            yield Found(event.time, event.key, 1, (before[-1], event.value))


ORACLES: dict[Kind, Callable[[Rule, Sequence[Event]], Iterator[Found]]] = {
    "match": each,
    "distinct": different,
    "new_value": unseen,
    "change": changed,
}
