"""
The mails that alertd writes: one alert, many joined, a test, and the one for when all else fails.

Trap: bytes are frozen before the first attempt, and a repeat must be recognised by its Message-ID,
so an id is derived from what the mail is about, never drawn.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Literal, TypeAlias

from alertd.core.escape import label, shortened, visible
from alertd.core.own import domain, dot_atom
from alertd.core.render import html
from alertd.core.render.message import Mail, build, mailboxes, phrase, words
from alertd.core.render.resolution import RESOLVED, tell_end
from alertd.core.render.story import SUBJECT_LENGTH, key_text, tell
from alertd.core.render.text import text_part
from alertd.core.wording import duration, mail_date, moment, plural, stamp, zone_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from alertd.core.events import Notice

Reason: TypeAlias = Literal["catching up", "outage", "digest"]

MAX_BYTES = 65_536
"""Of a mail about one alert, headers and all."""
_LINE_LIMITS = (1_000, 300, 80)
"""Characters shown of a log line: fewer if the mail would become too large."""
_SEVERITIES = ("critical", "warning")
_WHY: dict[Reason, str] = {
    "catching up": "while alertd was not reading",
    "outage": "while no mail could be sent",
    "digest": "beyond the hourly limit of mails",
}
_BECAUSE: dict[Reason, str] = {
    "catching up": "alertd read these lines late, so their alerts come in one mail.",
    "outage": "Delayed: no server took mails about them before, so they come in one.",
    "digest": "They exceed max_per_hour, so they come in one mail.",
}
_MANY = 100
"""Alerts from which on a joined mail is plain text only: nobody scrolls such a table."""


def render_alert(
    notice: Notice, *, host: str, sender: str, timezone: tzinfo, sent_at: float
) -> Mail:
    """
    Write the mail about one alert.

    Args:
        notice: The alert, and what its mail says besides.
        host: The name of this machine.
        sender: For ``From``, as configured.
        timezone: For the times that people read.
        sent_at: Unix seconds at which the mail is made.

    Returns:
        A mail of at most 64 KiB, whatever the log lines hold.  This function does not raise: if
        the alert cannot be laid out, the mail is that of ``render_fallback``.
    """
    try:
        for limit in _LINE_LIMITS:
            mail = _alert_mail(
                notice, host=host, sender=sender, timezone=timezone, sent_at=sent_at, limit=limit
            )
            if len(mail.payload) <= MAX_BYTES:
                break
    except Exception as error:  # noqa: BLE001 - an alert that nobody hears of is the worst of all
        reason = f"{type(error).__name__}: {error}"
        mail = render_fallback(notice, reason, host=host, sender=sender, sent_at=sent_at)
    return mail


def _alert_mail(
    notice: Notice, *, host: str, sender: str, timezone: tzinfo, sent_at: float, limit: int
) -> Mail:
    alert = notice.alert
    if alert.end is None:
        story = tell(notice, host=host, timezone=timezone, sent_at=sent_at, limit=limit)
    else:
        story = tell_end(
            notice, alert.end, host=host, timezone=timezone, sent_at=sent_at, limit=limit
        )
    headers = _headers(
        sender=sender,
        recipients=notice.recipients,
        subject=story.subject,
        date=mail_date(sent_at, timezone),
        id=alert.id,
        thread=_digest([alert.rule, *(text for pair in alert.key for text in pair)]),
        rule=alert.rule,
        host=host,
        answers=notice.answers,
        resolves="" if alert.end is None else alert.end.alert,
    )
    return build(headers, notice.recipients, text=text_part(story), html=html.html_part(story))


def render_joined(
    notices: Sequence[Notice],
    *,
    reason: Reason,
    host: str,
    sender: str,
    timezone: tzinfo,
    sent_at: float,
    recipients: Sequence[str],
) -> Mail:
    """
    Write one mail about many alerts: exact numbers, and every id.

    Args:
        notices: At least one, in any order.
        reason: ``"catching up"`` for what happened while alertd was not reading, ``"outage"`` for
            what had to wait for a mail server, ``"digest"`` for what exceeded the mails of an hour.
        host: The name of this machine.
        sender: For ``From``, as configured.
        timezone: For the times that people read.
        sent_at: Unix seconds at which the mail is made.
        recipients: Who gets it.

    Returns:
        A mail of some 100 bytes an alert.  Its Message-ID depends on the ids alone.  This function
        does not raise: if the alerts cannot be laid out, their rules, numbers and ids remain.
    """
    ordered = sorted(notices, key=lambda notice: (notice.alert.time, notice.alert.id))
    rules = Counter(notice.alert.rule for notice in ordered)
    machine = label(host, 60)
    what = f"{_how_many(ordered)} {_WHY[reason]}"
    busiest = label(rules.most_common(1)[0][0], 60)
    others = f" and {plural(len(rules) - 1, 'other rule')}" if len(rules) > 1 else ""
    headers = _headers(
        sender=sender,
        recipients=recipients,
        subject=shortened(f"{busiest}{others}: {what} on {machine}", SUBJECT_LENGTH),
        date=mail_date(sent_at, timezone),
        id=_digest(sorted(notice.alert.id for notice in ordered)),
        thread=_digest([reason]),
        rule=ordered[0].alert.rule if len(rules) == 1 else "joined",
        host=host,
    )
    try:
        summary = list(_summary(ordered, rules, reason, timezone))
        rows = list(_rows(ordered, timezone))
        text = _joined_text(f"{what} on {machine}", summary, rows)
        page = None
        if len(ordered) <= _MANY:
            entries = [
                (f"{rule}: {key}", f"{time}, {count} events {since_last}, {id_}")
                for time, rule, key, count, since_last, id_ in rows
            ]
            page = html.list_page(what, _worst(ordered), f"on {machine}", summary, entries)
    except Exception as error:  # noqa: BLE001 - as in render_alert
        text, page = _joined_fallback(ordered, error), None
    return build(headers, recipients, text=text, html=page)


def _how_many(notices: Sequence[Notice]) -> str:
    """``3 alerts and 2 resolutions``."""
    ends = sum(notice.alert.end is not None for notice in notices)
    alerts = plural(len(notices) - ends, "alert")
    if not ends:
        return alerts
    resolutions = plural(ends, "resolution")
    return resolutions if ends == len(notices) else f"{alerts} and {resolutions}"


def _summary(
    ordered: Sequence[Notice], rules: Counter[str], reason: Reason, timezone: tzinfo
) -> Iterable[str]:
    first, last = ordered[0].alert.time, ordered[-1].alert.time
    yield f"From {moment(first, timezone)} to {moment(last, timezone)}. {_BECAUSE[reason]}"
    of_rule: dict[str, list[Notice]] = {rule: [] for rule, _ in rules.most_common()}
    for notice in ordered:
        of_rule[notice.alert.rule].append(notice)
    for rule, its in of_rule.items():
        events = sum(each.alert.since_last for each in its if each.alert.end is None)
        yield f"{label(rule, 60)}: {_how_many(its)}, {plural(events, 'event')}"
    advice = {notice.alert.rule: notice.description for notice in ordered if notice.description}
    for rule, description in advice.items():
        paragraph = " ".join(shortened(description, 1_000).split())
        yield f"{label(rule, 60)}, what to do: {visible(paragraph)}"
    yield (
        f"Every alert, oldest first, in {zone_name(first, timezone)}:"
        " time, rule, key, events in its window (since its key's last alert), id"
    )


def _rows(ordered: Sequence[Notice], timezone: tzinfo) -> Iterable[tuple[str, ...]]:
    room = 80 if len(ordered) <= _MANY else 40
    for notice in ordered:
        alert = notice.alert
        yield (
            stamp(alert.time, timezone),
            label(alert.rule, 60) + (" (resolved)" if alert.end else ""),
            shortened(key_text(alert, room), room) or "-",
            f"{alert.count:,}",
            f"({alert.since_last:,})",
            label(alert.id, 60),
        )


def _joined_text(headline: str, summary: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [headline, *(f"\n{paragraph}" for paragraph in summary), ""]
    return "\n".join([*lines, *("  ".join(row) for row in rows), ""])


def _joined_fallback(ordered: Iterable[Notice], error: Exception) -> str:
    lines = ["These alerts could not be laid out:", _ascii(repr(error), 500), ""]
    for notice in ordered:
        alert = notice.alert
        names = f"{_ascii(alert.rule, 60)}  {_ascii(alert.id, 60)}"
        lines.append(f"{alert.time}  {alert.count}  ({alert.since_last})  {names}")
    return "\n".join([*lines, ""])


def _worst(ordered: Iterable[Notice]) -> str:
    names = {notice.severity for notice in ordered}
    return next((name for name in _SEVERITIES if name in names), "info")


def render_test(
    *, host: str, sender: str, recipients: Sequence[str], timezone: tzinfo, sent_at: float
) -> Mail:
    """Write the mail of ``alertd send-test``."""
    machine = label(host, 60)
    headline = f"alertd on {machine} can send mail"
    lines = [
        "This is a test. Nothing has happened.",
        "It was sent through the same server, in the same way, as alerts will be.",
        f"Made at {moment(sent_at, timezone)}.",
    ]
    headers = _headers(
        sender=sender,
        recipients=recipients,
        subject=headline,
        date=mail_date(sent_at, timezone),
        id=_digest(["test", repr(sent_at), *recipients]),
        thread=_digest(["test"]),
        rule="test",
        host=host,
    )
    page = html.list_page(headline, "test", "", lines, [])
    return build(headers, recipients, text="\n".join([headline, "", *lines, ""]), html=page)


def render_fallback(notice: Notice, reason: str, *, host: str, sender: str, sent_at: float) -> Mail:
    """
    Write the mail for an alert that could not be laid out: which it is, and why it looks so.

    It shows nothing but the rule's name and numbers, and only in characters that cannot fail.
    """
    from datetime import UTC  # noqa: PLC0415

    alert = notice.alert
    rule = _ascii(alert.rule, 60)
    limit = f"more than {alert.limit}"
    if alert.silence is not None:
        limit = f"fewer than {alert.silence.fewer_than}"
    headers = _headers(
        sender=_ascii(sender, 200),
        recipients=[_ascii(recipient, 200) for recipient in notice.recipients],
        subject=f"{RESOLVED if alert.end else ''}{rule}: an alert that could not be laid out",
        date=mail_date(sent_at, UTC),
        id=alert.id,
        thread=_digest([alert.rule]),
        rule=rule,
        host=host,
        answers=notice.answers,
        resolves="" if alert.end is None else alert.end.alert,
    )
    text = "\n".join(
        [
            f"{rule}: {alert.count} events, {limit} in {duration(alert.within)}",
            "",
            f"Host: {_ascii(host, 200)}",
            f"Time: {alert.time} (Unix seconds)",
            f"Alert: {_ascii(alert.id, 200)}",
            f"File: {_ascii(alert.path, 1_000)}, byte {alert.offset}",
            "",
            "The mail about this alert could not be laid out, so its lines are not shown:",
            _ascii(reason, 500),
            "",
        ]
    )
    return build(headers, notice.recipients, text=text)


def _headers(
    *,
    sender: str,
    recipients: Sequence[str],
    subject: str,
    date: str,
    id: str,  # noqa: A002 - that is what it is
    thread: str,
    rule: str,
    host: str,
    answers: Sequence[str] = (),
    resolves: str = "",
) -> list[tuple[str, str]]:
    """
    Make every header that a mail of ours has, besides those of MIME.

    The Message-ID is derived from ``id``; ``thread`` names a mail that never existed, to which all
    mails of a thread are replies.  ``answers`` are mails that did exist and to which this one is a
    reply besides, ``resolves`` the id of the alert that it ends.
    """
    at = domain(host)
    root = f"<{thread}@{at}>"
    list_label = dot_atom(rule.replace(".", "-")) or "rule"
    return [
        ("From", mailboxes([sender])),
        ("To", mailboxes(recipients)),
        ("Subject", words(subject)),
        ("Date", date),
        ("Message-ID", f"<{dot_atom(id) or _digest([id])}@{at}>"),
        ("In-Reply-To", "\r\n ".join(answers) or root),
        ("References", "\r\n ".join([root, *answers])),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("List-Id", f"{phrase(f'alertd on {label(host, 60)}')} <{list_label}.alertd.{at}>"),
        ("X-Alertd-Rule", words(label(rule, SUBJECT_LENGTH))),
        *([("X-Alertd-Resolves", dot_atom(resolves))] if resolves else []),
    ]


def _digest(texts: Iterable[str]) -> str:
    data = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _ascii(text: str, limit: int) -> str:
    return label(text[:limit].encode("ascii", "backslashreplace").decode("ascii"), limit)
