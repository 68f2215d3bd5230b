"""What each kind of rule finds, by looking at all events anew each time."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations, pairwise
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


class Completed(NamedTuple):
    """A sequence; ``first`` is the latest possible time of its first event."""

    at: int
    first: float


def completed(by: Rule, happened: Sequence[Event], key: str, begin: int) -> Completed | None:
    """
    Find the first event that completes a sequence of events of a key from a position on.

    All ways of choosing events are tried.  An event's value has the numbers of the steps for which
    it will do, "21" those of the first two.
    """
    needed = [
        str(number)
        for number, step in enumerate(by.steps, start=1)
        for _ in range(0 if step.is_absent else step.count)
    ]
    for at in range(begin, len(happened)):
        last = happened[at]
        if last.key != key or needed[-1] not in last.value:
            continue
        before = [
            event
            for event in happened[begin:at]
            if event.key == key and last.time - event.time < by.within
        ]
        firsts = [
            (*chosen, last)[0].time
            for chosen in combinations(before, len(needed) - 1)
            if all(number in one.value for number, one in zip(needed[:-1], chosen, strict=True))
        ]
        if firsts:
            return Completed(at, max(firsts))
    return None


def sequences(by: Rule, happened: Sequence[Event]) -> Iterator[tuple[Found, float]]:
    """Every sequence, none with an event of another, with the time of its first event."""
    size = sum(step.count for step in by.steps if not step.is_absent)
    absent = str(len(by.steps)) if by.steps[-1].is_absent else "none"
    for key in sorted({event.key for event in happened}):
        begin = 0
        while (found := completed(by, happened, key, begin)) is not None:
            time = happened[found.at].time
            away = next(
                (
                    at
                    for at in range(begin + 1, len(happened))
                    if happened[at].key == key and absent in happened[at].value
                ),
                len(happened),
            )
            if absent == "none":
                yield Found(time, key, size, ()), found.first
                begin = found.at + 1
            elif away <= found.at:
                # It takes away all before it, but is itself the first of what follows.
                begin = away
            elif away < len(happened) and happened[away].time <= time + by.within:
                begin = away
            else:
                yield Found(time + by.within, key, size, ()), found.first
                later = range(found.at, len(happened))
                begin = next(
                    (at for at in later if happened[at].time > time + by.within), len(happened)
                )


def in_order(by: Rule, happened: Sequence[Event]) -> Iterator[Found]:
    """Every sequence, by time."""
    found = [found for found, _ in sequences(by, happened)]
    yield from sorted(found, key=lambda one: one.time)


def spikes(by: Rule, happened: Sequence[Event], since: float = 0.0) -> Iterator[Found]:
    """Every event that makes so many times as many as before, or as on earlier days."""
    width = Fraction(by.within) / 120

    def is_watched(first: int) -> bool:
        return first * width >= Fraction(since)

    for at, event in enumerate(happened):
        slices = [
            math.floor(Fraction(other.time) / width)
            for other in happened[: at + 1]
            if other.key == event.key
        ]
        last = slices[-1]
        count = sum(one > last - 120 for one in slices)
        others = []
        if not by.baseline and is_watched(last - 239):
            others.append(sum(last - 240 < one <= last - 120 for one in slices))
        for day in range(1, by.baseline + 1):
            step = (last - math.ceil(day * 86_400 / width)) // 5
            if is_watched((step - 23) * 5):
                others.append(sum(step - 24 < one // 5 <= step for one in slices))
        if not others or count < by.min_total:
            continue
        if count > Fraction(sum(others), len(others)) * Fraction(*by.times):
            yield Found(event.time, event.key, count, ())


def silences(by: Rule, happened: Sequence[Event], since: float, end: float) -> list[Found]:
    """
    Every key that is missing, by living through all seconds from one to the other.

    Times are whole seconds, and so is what the rule says.
    """
    expected = [key for key, *_ in by.expect] if by.group_by else [""]
    keys = sorted({event.key for event in happened}) if by.group_by and not expected else expected
    found = [
        one
        for key in keys
        for one in (daily_silences if by.by else window_silences)(
            by, key, [event.time for event in happened if key in ("", event.key)], since, end
        )
    ]
    return sorted(found, key=lambda one: (one.time, one.key))


def window_silences(
    by: Rule, key: str, times: Sequence[float], since: float, end: float
) -> Iterator[Found]:
    """Every second from which on fewer than enough lie in the window, once."""
    is_expected = not by.group_by or bool(by.expect)
    armed = since if is_expected else None
    is_silent, previous = False, -math.inf
    for now in range(int(since), int(end)):
        for number, time in enumerate(times):
            if time != now:
                continue
            before = [one for one in times[:number] if one > now - by.within]
            if armed is None or (is_silent and not is_expected and not before):
                armed, is_silent = now, False
            if len(before) >= by.more_than:
                is_silent = False
        count = sum(now - by.within < one <= now for one in times)
        is_time = armed is not None and now >= max(armed + by.within, previous + by.cooldown)
        if is_time and not is_silent and count <= by.more_than:
            yield Found(now, key, count, ())
            is_silent, previous = True, now


def daily_silences(
    by: Rule, key: str, times: Sequence[float], since: float, end: float
) -> Iterator[Found]:
    """Every day with fewer than enough since the day before, or within the window."""
    assert by.by is not None
    is_expected = not by.group_by or bool(by.expect)
    moments = [by.by.after(since - 3 * 86_400)]
    while moments[-1] < end:
        moments.append(by.by.after(moments[-1]))
    armed = since if is_expected else None
    waiting, previous = list(times), -math.inf
    for before, now in pairwise(moments[:-1]):
        while waiting and waiting[0] <= now:
            armed = waiting[0] if armed is None else armed
            waiting.pop(0)
        begin = now - by.within if by.within else before
        if armed is None or begin < armed:
            continue
        count = sum(begin < time <= now for time in times)
        if count <= by.more_than and now >= previous + by.cooldown:
            yield Found(now, key, count, ())
            previous = now
            if not is_expected and not count:
                armed = None


ORACLES: dict[Kind, Callable[[Rule, Sequence[Event]], Iterator[Found]]] = {
    "match": each,
    "distinct": different,
    "new_value": unseen,
    "change": changed,
    "ratio": shares,
    "metric": numbers,
    "sequence": in_order,
    "spike": spikes,
}


def too_many(by: Rule, happened: Sequence[Event]) -> Iterator[Found]:
    """Every event with more than so many events of its key in its window."""
    for at, event in enumerate(happened):
        window = [
            other
            for other in happened[: at + 1]
            if other.key == event.key and event.time - other.time < by.within
        ]
        if len(window) > by.more_than:
            yield Found(event.time, event.key, by.more_than + 1, ())


class Resolved(NamedTuple):
    """A resolution, as far as an oracle knows it."""

    time: float
    key: str
    began: float
    ended: float
    events: int
    alerts: int


def resolutions(by: Rule, findings: Sequence[Found], end: float) -> list[Resolved]:
    """Find when each key was quiet for long enough, of all that passes the limit, up to a time."""
    over = []
    for key in {found.key for found in findings}:
        times = [found.time for found in findings if found.key == key]
        rang: float | None = None
        began, events, alerts = math.nan, 0, 0
        for at, time in enumerate(times):
            rings = rang is None or time >= rang + by.cooldown
            rang = time if rings else rang
            if events:
                events += 1
                alerts += rings
            elif rings:
                began, events, alerts = time, 1, 1
            following = times[at + 1] if at + 1 < len(times) else math.inf
            quiet_at = round(time + by.within, 6)
            if events and following > quiet_at:
                if quiet_at < end:
                    over.append(Resolved(quiet_at, key, began, time, events, alerts))
                events = 0
    return sorted(over)
