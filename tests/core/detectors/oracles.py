"""What each kind of rule finds, by looking at all events anew each time."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alertd.core.rules import Kind, Rule


class Event(NamedTuple):
    """What one line says that takes part; times are exact to the microsecond."""

    time: float
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
        last: dict[str, float] = {}
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


def in_window(by: Rule, happened: Sequence[Event], at: int) -> list[Event]:
    """Give the events of the same key in the window of one, which is made of 120 slices."""

    def slice_of(event: Event) -> int:
        return math.floor(Fraction(event.time) * 120 / Fraction(by.within))

    last = happened[at]
    return [
        event
        for event in happened[: at + 1]
        if event.key == last.key and slice_of(event) > slice_of(last) - 120
    ]


def shares(by: Rule, happened: Sequence[Event]) -> Iterator[Found]:
    """Every hit with which hits are more than the share of all; a hit's value is x."""
    for at, event in enumerate(happened):
        window = in_window(by, happened, at)
        hits = [one for one in window if one.value == "x"]
        is_too_much = Fraction(len(hits), len(window)) > Fraction(*by.share)
        if event.value == "x" and is_too_much and len(window) >= by.min_total:
            yield Found(event.time, event.key, len(hits), ())


def measured(by: Rule, window: Sequence[Event]) -> float:
    """Measure the values of a window in their order."""
    values = [float(event.value) for event in window]
    if by.metric == "count":
        return len(values)
    if by.metric in {"min", "max"}:
        return min(values) if by.metric == "min" else max(values)
    if by.metric.startswith("p"):
        least = Fraction(int(by.metric[1:]), 100) * len(values)
        return next(v for v in sorted(values) if sum(other <= v for other in values) >= least)
    sums: dict[int, float] = {}
    for event in window:
        number = math.floor(Fraction(event.time) * 120 / Fraction(by.within))
        sums[number] = sums.get(number, 0.0) + float(event.value)
    total = math.fsum(sums.values())
    return total / len(values) if by.metric == "avg" else total


def numbers(by: Rule, happened: Sequence[Event]) -> Iterator[Found]:
    """Every value with which what is measured of the window passes the bound."""
    for at, event in enumerate(happened):
        window = in_window(by, happened, at)
        number = measured(by, window)
        is_passed = number < by.bound if by.is_below else number > by.bound
        if is_passed and len(window) >= by.min_total:
            yield Found(event.time, event.key, len(window), ())


ORACLES: dict[Kind, Callable[[Rule, Sequence[Event]], Iterator[Found]]] = {
    "match": each,
    "distinct": different,
    "new_value": unseen,
    "change": changed,
    "ratio": shares,
    "metric": numbers,
}
