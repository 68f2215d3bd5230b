"""Notices for tests that care about their way, not about what they say."""

from __future__ import annotations

from alertd.core.events import Alert, Notice, Sample


def notice(
    number: int,
    *,
    recipients: tuple[str, ...] = ("ops@example.com",),
    rule: str = "ssh",
    time: float = 1_000_000.0,
    raised_at: float | None = None,
) -> Notice:
    """Make the alert ``id-<number>``, raised at the moment of its event unless told otherwise."""
    line = Sample(time, "/var/log/auth.log", number, f"line {number}")
    return Notice(
        alert=Alert(
            id=f"id-{number}",
            rule=rule,
            key=(("ip", f"192.0.2.{number % 256}"),),
            time=time,
            count=6,
            limit=5,
            within=60.0,
            since=time - 30,
            since_last=6,
            previous=None,
            path=line.path,
            offset=number,
            line=line.line,
            first=line,
            last=(line,),
            histogram=(1, 2, 3),
        ),
        recipients=recipients,
        severity="critical",
        description="Look at it.",
        raised_at=time if raised_at is None else raised_at,
    )
