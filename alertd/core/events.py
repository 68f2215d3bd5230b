"""
The values that flow: a batch of bytes, a match, an alert.

They are msgspec structs because that makes one of them in a fifth of a microsecond, which matters
for matches, and turns them into bytes and back, which matters for everything that survives a crash.
"""

from __future__ import annotations

import msgspec


class Batch(msgspec.Struct, frozen=True):
    """
    Some complete lines of one file.

    Attributes:
        file: Which file, for as long as it exists: an identity, not a name.
        source: The name of the source it belongs to.
        path: The name under which it is shown.
        offset: Where ``data`` begins in the (decompressed) file, in bytes.
        data: Lines, each ended by a newline, except that the last one may lack it when it is cut
            at ``max_line`` or ends a file that nobody writes to any more.
        read_at: Unix seconds at which it was read.
        is_final: Nothing will ever follow: an open record is closed at its end.
    """

    file: str
    source: str
    path: str
    offset: int
    data: bytes
    read_at: float
    is_final: bool = False

    def rest(self, consumed: int) -> Batch:
        """Return what is left of it after so many bytes."""
        return msgspec.structs.replace(
            self, offset=self.offset + consumed, data=self.data[consumed:]
        )


BEGUN = -1
"""A match that stands here in its file says that its rule watches from its time on, …"""
PASSED = -2
"""… one that stands here that the time of its key's deadline has passed, …"""
RANG = -3
"""… and one that stands here that another rule rang, and no line made it."""


class Match(msgspec.Struct, frozen=True, array_like=True, gc=False):
    r"""
    One line that one rule was looking for.

    Attributes:
        rule: The rule's name.
        key: Values of the fields that the rule is keyed by, in their order; for a ratio, whether it
            is a hit behind them.  Empty without any.
        time: Unix seconds that count: the line's own, unless it came too late for them.
        path: The file in which the line stands.
        offset: Where the line begins in that file, in bytes; less than 0 for what is no line.
        line: The line (for csv: the record) as text, without its line end.  Bytes that are not
            text stand as ``\xff``.  Empty for what is no hit of a ratio.
        event_time: What the line itself said, where that differs from ``time``.
    """

    rule: str
    key: tuple[str, ...]
    time: float
    path: str
    offset: int
    line: str
    event_time: float | None = None


def retimed(match: Match, time: float) -> Match:
    """Let another time count for a match; what its line said stays known."""
    own = match.time if match.event_time is None else match.event_time
    return Match(match.rule, match.key, time, match.path, match.offset, match.line, own)


class Sample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    A matching line kept as evidence.

    Attributes:
        time: Unix seconds.
        path: The file in which it stands.
        offset: Where it begins there, in bytes.
        line: Its text, perhaps shortened.
        span: The part of ``line`` that matched, as a slice; empty where it cannot be told.
    """

    time: float
    path: str
    offset: int
    line: str
    span: tuple[int, int] = (0, 0)


class Silence(msgspec.Struct, frozen=True, array_like=True):
    """
    What did not come.

    Attributes:
        sought: Which lines should have: ``matching 'x'``.
        fewer_than: The number of which fewer are too few.
        by: The time of day by which they should have; empty if there is none.
        watched: Unix seconds from which on they would have been seen.
        last_seen: Unix seconds of the last one; ``None`` if none has come.
    """

    sought: str
    fewer_than: int
    by: str
    watched: float
    last_seen: float | None


class End(msgspec.Struct, frozen=True):
    """
    What an incident was, once it is over.

    Attributes:
        alert: The id of the alert with which it began.
        what: What that said was too much.
        began: Unix seconds of that alert.
        ended: Unix seconds at which the limit was passed last.
        events: How often it was passed in between, both ends included …
        alerts: … and how often somebody was told.
        worst: The greatest of what was measured, or the least if that is what is too much; 0 where
            nothing is measured.
    """

    alert: str
    what: str
    began: float
    ended: float
    events: int
    alerts: int
    worst: float


class Alert(msgspec.Struct, frozen=True):
    """
    A rule's limit was passed and somebody is to be told; or, with an ``end``, that it is over.

    Attributes:
        id: Derived from rule, key, time and ordinal: the same line gives the same id everywhere.
        rule: The rule's name.
        key: Pairs of ``group_by`` field and value, in the rule's order.
        time: Unix seconds of the triggering event.
        count: Events in the window, exact up to ``limit + 1``.
        limit: The rule's ``more_than``.
        within: The window's length in seconds.
        since: Unix seconds of the oldest event counted.
        since_last: Events of this key since its previous alert, this one included; since it was
            first seen when there was none.
        previous: Unix seconds of the previous alert of this key, if any.
        path: The file of the triggering line.
        offset: Where the triggering line begins there, in bytes.
        line: The triggering line.
        first: The oldest line of the window that is still known.
        last: The last lines, oldest first; the very last is the triggering one.
        histogram: Events per equal slice of the window, oldest first.
        event_time: What the triggering line itself said, where it came too late for that.
        kind: The rule's kind, which says what ``count`` counts: events or different values.
        field: The field whose values were judged; empty for kinds that judge none.
        total: Where ``count`` is a part of others, how many they are all together.
        bound: What was passed where that is no ``limit``: per cent, a number, or how many times as
            much.
        metric: What was measured; empty if nothing was.
        measured: What it came to; of a percentile, the per cent of the values beyond ``bound``; of
            a spike, what ``count`` is compared with.
        is_below: It fell below ``bound``; else it rose above.
        days: Of how many earlier days ``measured`` is the mean; 0 if it is of the window before.
        values: Those that it is about: the different ones, seen last ones last; the new one; or the
            one before and the one that came.
        silence: What did not come, where that is what it is about: then no line rang, ``time`` is
            when time was up, ``count`` how many came since ``since``, ``offset`` is less than 0,
            and ``first`` and ``last`` are the last lines seen, without a path if there are none.
        end: What became of an incident, which makes this its resolution; ``None`` for all others.
    """

    id: str
    rule: str
    key: tuple[tuple[str, str], ...]
    time: float
    count: int
    limit: int
    within: float
    since: float
    since_last: int
    previous: float | None
    path: str
    offset: int
    line: str
    first: Sample
    last: tuple[Sample, ...]
    histogram: tuple[int, ...]
    event_time: float | None = None
    kind: str = "threshold"
    field: str = ""
    values: tuple[str, ...] = ()
    total: int = 0
    bound: float = 0.0
    metric: str = ""
    measured: float = 0.0
    is_below: bool = False
    silence: Silence | None = None
    days: int = 0
    end: End | None = None


class Incident(msgspec.Struct):
    """
    What has been too much and is not over.

    Attributes:
        alert: The one with which it began, without lines and values.
        what: What that said was too much.
        ended: Unix seconds at which the limit was passed last.
        events: How often it was passed, since and with that alert …
        alerts: … and how often somebody was told.
        worst: The greatest of what was measured, or the least if that is what is too much.
    """

    alert: Alert
    what: str
    ended: float
    events: int = 1
    alerts: int = 1
    worst: float = 0.0


class Notice(msgspec.Struct, frozen=True):
    """
    An alert together with what its mail needs to know about the rule that raised it.

    It is stored in the outbox as it is, so a mail says what was true when the alert was raised,
    whatever a reload has changed since.

    Attributes:
        alert: What happened.
        recipients: Who is to be told.
        severity: How urgent it is.
        description: What the person who gets the mail should do; may be empty.
        raised_at: Unix seconds, by the clock, at which the alert was raised.
        is_time_of_reading: The source has no timestamps, so all times are those of reading.
        complaint: What is wrong with alertd itself, in half a sentence.  Such an alert is about no
            line: its rule is a name that no rule can have, its ``line`` holds what happened, one
            thing a line, and its ``first.time`` is when it began.  Empty for all others.
        answers: Of a resolution, the Message-IDs under which the alert that it ends was mailed.
    """

    alert: Alert
    recipients: tuple[str, ...]
    severity: str
    description: str
    raised_at: float
    is_time_of_reading: bool = False
    complaint: str = ""
    answers: tuple[str, ...] = ()
