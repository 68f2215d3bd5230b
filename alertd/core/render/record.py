"""
An alert as one JSON object, for programs.

It refuses to shorten or to escape anything for people: what was in the line is in the object.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alertd.core.events import Alert

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def alert_as_json(alert: Alert) -> str:
    r"""
    Describe an alert on one line, as ``replay --json`` prints it.

    Times are RFC 3339 in UTC, exact to the microsecond; lengths of time are seconds.

    Returns:
        A JSON object, without a line end, in ASCII: whatever the log line holds arrives in the
        program that parses it, lone surrogates included, and a terminal obeys none of it.  Members:

        ``id``, ``rule``, ``key`` (field to value; empty without ``group_by``), ``time`` (of the
        triggering event), ``count`` (events in the window, exact up to ``limit + 1``), ``limit``,
        ``within``, ``since`` (the oldest event counted), ``since_last`` (events since the previous
        alert of this key), ``previous`` (the time of that alert, or null), and ``path``,
        ``offset`` and ``line`` of the triggering line; ``kind`` of the rule, and, where it judges
        the values of a field, ``field`` and ``values``; of kind ratio and metric, ``total`` (of
        how many ``count`` is a part) and ``bound`` (per cent, or a number), and of metric what it
        ``measured`` by which ``metric`` (of a percentile: the per cent of the values beyond the
        bound), and whether being below the bound is too much (``is_below``); of kind sequence, the
        ``steps`` in words; of kind spike, what ``count`` is compared with (``measured``), of how
        many earlier ``days`` that is the mean (0: it is of the window before), and how many times
        as many are allowed (``bound``).
        For kind absence, ``time`` is when time was up, and instead of ``path``, ``offset`` and
        ``line`` there are ``fewer_than``, ``by`` (the time of day, or null), ``watched`` (from when
        on events would have been seen), and ``last_seen`` (the time of the last one, or null).
        A resolution is the alert with which its incident began, without a line, at an ``offset``
        below 0, with an ``id`` and a ``time`` of its own, and with the id of that alert
        (``resolves``), its time (``began``), when it was so at last (``ended``), at how many
        ``events`` in between, how many ``alerts`` that gave, and the ``worst`` that was measured.
        ``event_time`` is there only when the line came too late for its own time to count.
    """
    record: dict[str, object] = {
        "id": alert.id,
        "rule": alert.rule,
        "kind": alert.kind,
        "key": dict(alert.key),
        "time": _rfc3339(alert.time),
        "count": alert.count,
        "limit": alert.limit,
        "within": alert.within,
        "since": _rfc3339(alert.since),
        "since_last": alert.since_last,
        "previous": None if alert.previous is None else _rfc3339(alert.previous),
    }
    silence = alert.silence
    if silence is None:
        record |= {"path": alert.path, "offset": alert.offset, "line": alert.line}
    else:
        seen = silence.last_seen
        record |= {
            "fewer_than": silence.fewer_than,
            "by": silence.by or None,
            "watched": _rfc3339(silence.watched),
            "last_seen": None if seen is None else _rfc3339(seen),
        }
    if alert.field:
        record |= {"field": alert.field, "values": alert.values}
    elif alert.values:
        record["steps"] = alert.values
    if alert.total:
        record |= {"total": alert.total, "bound": alert.bound}
    if alert.metric:
        record |= {
            "metric": alert.metric,
            "measured": alert.measured,
            "is_below": alert.is_below,
        }
    if alert.kind == "spike":
        record |= {"bound": alert.bound, "measured": alert.measured, "days": alert.days}
    if alert.end is not None:
        record |= {
            "resolves": alert.end.alert,
            "began": _rfc3339(alert.end.began),
            "ended": _rfc3339(alert.end.ended),
            "events": alert.end.events,
            "alerts": alert.end.alerts,
            "worst": alert.end.worst,
        }
    if alert.event_time is not None and alert.event_time != alert.time:
        record["event_time"] = _rfc3339(alert.event_time)
    return json.dumps(record).replace("\x7f", r"\u007f")


def _rfc3339(time: float) -> str:
    # Rounded as an integer: a float of seconds is exact to the microsecond, its fraction is not.
    when = _EPOCH + timedelta(microseconds=round(time * 1_000_000))
    if when.microsecond == 0:
        precision = "seconds"
    else:
        precision = "milliseconds" if when.microsecond % 1_000 == 0 else "microseconds"
    return when.isoformat(timespec=precision).replace("+00:00", "Z")
