"""
What a mail says when something is over, in words.

It is short: whoever gets it has had the alert's mail, in whose thread it comes, and wants to know
that it may go back to sleep, and how bad it has been.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.detectors import DETECTORS
from alertd.core.escape import label, shortened, visible
from alertd.core.render.story import LATE_AFTER, Story, excerpts, key_text, subject
from alertd.core.wording import duration, moment, moment_near, plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from alertd.core.events import Alert, End, Notice

RESOLVED = "Resolved: "
"""Before the alert's subject; most clients thread by headers, some by what stands behind it."""

_NAME_LENGTH = 60


def tell_end(
    notice: Notice, end: End, *, host: str, timezone: tzinfo, sent_at: float, limit: int
) -> Story:
    """
    Put into words that something is over.

    Args:
        notice: The resolution, and what its mail says besides.
        end: What became of the incident.
        host: The machine whose logs these are.
        timezone: For the times.
        sent_at: Unix seconds at which the mail is made.
        limit: Characters that are shown of a line, and of other long text in proportion.
    """
    alert = notice.alert
    rule, machine = label(alert.rule, _NAME_LENGTH), label(host, _NAME_LENGTH)
    delay = ""
    if sent_at - alert.time > LATE_AFTER:
        delay = f"Delayed: this ended {duration(sent_at - alert.time)} ago."
    about = f" for {key_text(alert, limit)}" if alert.key else ""
    return Story(
        rule=rule,
        severity="resolved",
        subject=RESOLVED + subject(alert, end.what, rule, machine),
        headline=f"{rule}: resolved: {end.what}{about}",
        measure=_lasted(alert, end, timezone),
        hidden=" ".join(_passed(alert, end)),
        delay=delay,
        advice=(),
        facts=tuple(_facts(notice, end, machine, timezone, limit)),
        chart=None,
        excerpts=tuple(excerpts(alert, timezone, limit)) if alert.last else (),
        footer=(
            f"To hear no more of such ends, write resolve = false in rule {rule} in alertd's"
            f" configuration on {machine}, then run: alertd reload",
            f"resolution {label(alert.id, _NAME_LENGTH)} of alert {label(end.alert, _NAME_LENGTH)}",
        ),
    )


def _lasted(alert: Alert, end: End, timezone: tzinfo) -> str:
    began = moment(end.began, timezone)
    ended = moment_near(end.ended, end.began, timezone)
    if end.ended == end.began:
        lasted = f"It happened at {began}, once."
    else:
        lasted = f"It lasted {duration(end.ended - end.began)}, from {began} to {ended}."
    if end.ended < alert.time:
        lasted += f" Nothing like it in the {duration(alert.time - end.ended)} since."
    return lasted


def _passed(alert: Alert, end: End) -> Iterator[str]:
    """Say how often, how often that rang, and how bad it was."""
    if end.events > 1:
        hidden = end.events - end.alerts
        said = f"It was so at {plural(end.events, 'event')}: {plural(end.alerts, 'alert')}"
        yield said + (f", {hidden:,} hidden by the cooldown." if hidden else ".")
    worst = DETECTORS[alert.kind].worst(alert, end.worst)
    if worst:
        yield f"At worst, {worst}."


def _facts(
    notice: Notice, end: End, machine: str, timezone: tzinfo, limit: int
) -> Iterator[tuple[str, str]]:
    alert = notice.alert
    yield from ((label(name, _NAME_LENGTH), label(value, limit)) for name, value in alert.key)
    yield "Began", moment(end.began, timezone)
    yield "Last", moment(end.ended, timezone)
    yield "Resolved", moment(alert.time, timezone)
    yield "Host", machine
    yield "Severity", visible(shortened(notice.severity, _NAME_LENGTH))
    if notice.is_time_of_reading:
        yield "Times", "are those of reading: these lines have no timestamp"
