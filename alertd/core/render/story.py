"""
What a mail about one alert says, in words, before anybody lays it out.

The text and the HTML part are two layouts of one story, so they cannot disagree.  Every string in
it is already visible (see ``escape``); only HTML's own characters are left to escape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alertd.core.detectors import DETECTORS
from alertd.core.escape import label, shortened, visible
from alertd.core.events import Sample
from alertd.core.wording import duration, moment, moment_near, plural

if TYPE_CHECKING:
    from datetime import tzinfo

    from alertd.core.events import Alert, Notice

SUBJECT_LENGTH = 150
_RULE_LENGTH = 60
_HOST_LENGTH = 60
LATE_AFTER = 600
"""Seconds; a mail that comes later than that says so before anything else is believed of it."""
_MOST_BARS = 60
_HINT = (
    "To change when or whom this rings, edit rule {rule} in alertd's configuration on {machine}"
    " ({keys}, cooldown, recipients), then run: alertd reload"
)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """One line from a log, with the part of it that matched."""

    title: str
    before: str
    match: str
    after: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Events over the window: one bar for each equal slice, oldest first."""

    bars: tuple[int, ...]
    begin: str
    end: str
    caption: str


@dataclass(frozen=True, slots=True)
class Story:
    """
    A mail's content.

    Attributes:
        rule: The rule's name.
        severity: How urgent it is, in a word.
        subject: The same for each mail about this rule and key, so that clients thread them.
        headline: What happened.
        measure: How many in how long, against which limit.
        hidden: What the cooldown kept back since the last alert; may be empty.
        delay: Why this mail comes late; empty when it does not.
        advice: What to do, by line.
        facts: Names and values.
        chart: Events over time, if known.
        excerpts: Lines from the log, oldest first; a string stands for lines left out.
        footer: What this mail is, and where to change it.
    """

    rule: str
    severity: str
    subject: str
    headline: str
    measure: str
    hidden: str
    delay: str
    advice: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    chart: Chart | None
    excerpts: tuple[Excerpt | str, ...]
    footer: tuple[str, ...]


def tell(notice: Notice, *, host: str, timezone: tzinfo, sent_at: float, limit: int) -> Story:
    """
    Put an alert into words.

    Args:
        notice: The alert and what its mail says besides.
        host: The machine whose logs these are.
        timezone: For the times.
        sent_at: Unix seconds at which the mail is made.
        limit: Characters that are shown of a line, and of other long text in proportion.
    """
    alert = notice.alert
    rule = label(alert.rule, _RULE_LENGTH)
    machine = label(host, _HOST_LENGTH)
    if notice.complaint:
        return _complaint(notice, rule, machine, timezone, limit)
    kind = DETECTORS[alert.kind]
    what = kind.excess(alert)
    return Story(
        rule=rule,
        severity=visible(shortened(notice.severity, _RULE_LENGTH)),
        subject=subject(alert, what, rule, machine),
        headline=f"{rule}: {what}" + (f" for {key_text(alert, limit)}" if alert.key else ""),
        measure=kind.measure(alert),
        hidden=_hidden(alert, timezone),
        delay=_delay(notice, timezone, sent_at),
        advice=_advice(notice, limit),
        facts=tuple(_facts(notice, machine, timezone, sent_at, limit)),
        chart=_chart(alert, timezone),
        excerpts=tuple(excerpts(alert, timezone, limit)),
        footer=(
            _HINT.format(
                rule=rule,
                machine=machine,
                keys="more_than, within" if alert.silence is None else "fewer_than, within, by",
            ),
            f"alert {visible(shortened(alert.id, _RULE_LENGTH))}",
        ),
    )


def _complaint(notice: Notice, rule: str, machine: str, timezone: tzinfo, limit: int) -> Story:
    """Tell what is wrong with alertd itself."""
    alert = notice.alert
    what = label(notice.complaint, SUBJECT_LENGTH)
    if alert.key:
        what = f"{key_text(alert, _RULE_LENGTH)}: {what}"
    hidden = ""
    if alert.previous is not None:
        hidden = f"The last mail about this was of {moment(alert.previous, timezone)}."
    happened = shortened(alert.line, 20 * limit).split("\n")
    return Story(
        rule=rule,
        severity=visible(shortened(notice.severity, _RULE_LENGTH)),
        subject=shortened(f"{rule}: {what} on {machine}", SUBJECT_LENGTH),
        headline=f"{rule}: {what}",
        measure=f"Since {moment(alert.since, timezone)}.",
        hidden=hidden,
        delay="",
        advice=_advice(notice, limit),
        facts=(
            *(("What", visible(shortened(line, limit))) for line in happened),
            ("Host", machine),
            ("Severity", visible(shortened(notice.severity, _RULE_LENGTH))),
        ),
        chart=None,
        excerpts=(),
        footer=(
            "alertd says this about itself, at most once an hour for each cause.",
            f"alert {visible(shortened(alert.id, _RULE_LENGTH))}",
        ),
    )


def _advice(notice: Notice, limit: int) -> tuple[str, ...]:
    lines = shortened(notice.description, 4 * limit).split("\n")
    return tuple(visible(line) for line in lines if line)


def key_text(alert: Alert, limit: int) -> str:
    """``ip 203.0.113.9, user root``."""
    pairs = (f"{label(name, limit)} {label(value, limit)}" for name, value in alert.key)
    return shortened(", ".join(pairs), 2 * limit)


def subject(alert: Alert, what: str, rule: str, machine: str) -> str:
    """``fatal: ip 203.0.113.9 - more than 10 in 1 minute on web1``."""
    what = what.replace(" events ", " ").replace(" event ", " ")
    tail = f"{what} on {machine}"
    if not alert.key:
        return shortened(f"{rule}: {tail}", SUBJECT_LENGTH)
    # The key comes first, because a phone shows some forty characters.
    room = max(SUBJECT_LENGTH - len(f"{rule}:  - {tail}"), 20)
    return shortened(f"{rule}: {shortened(key_text(alert, room), room)} - {tail}", SUBJECT_LENGTH)


def _hidden(alert: Alert, timezone: tzinfo) -> str:
    noun = DETECTORS[alert.kind].noun
    if alert.previous is not None:
        last = moment_near(alert.previous, alert.time, timezone)
        return (
            f"{plural(alert.since_last, noun)} since the last alert, which was at {last},"
            f" {duration(alert.time - alert.previous)} before."
        )
    if alert.since_last > alert.count and alert.silence is None:
        return f"{plural(alert.since_last, noun)} since the first one was seen."
    return ""


def _delay(notice: Notice, timezone: tzinfo, sent_at: float) -> str:
    happened = notice.alert.time
    if not sent_at - happened > LATE_AFTER:
        return ""
    late = f"Delayed: this happened {duration(sent_at - happened)} ago."
    if notice.raised_at - happened > LATE_AFTER:
        if notice.alert.silence is not None or _is_by_time(notice.alert):
            known = moment_near(notice.raised_at, happened, timezone)
            return f"{late} alertd had read what came until then at {known}."
        return (
            f"{late} alertd read the line at {moment_near(notice.raised_at, happened, timezone)}."
        )
    return f"{late} alertd knew it then, but the mail could not be sent before."


def _facts(
    notice: Notice, machine: str, timezone: tzinfo, sent_at: float, limit: int
) -> list[tuple[str, str]]:
    alert = notice.alert
    facts = [(label(name, _RULE_LENGTH), label(value, limit)) for name, value in alert.key]

    def when(time: float) -> str:
        return f"{moment(time, timezone)} ({duration(sent_at - time)} ago)"

    silence = alert.silence
    if silence is None:
        last = "Time was up" if _is_by_time(alert) else "Last"
        facts += [(last, when(alert.time)), ("First", when(alert.since))]
    else:
        seen = "none yet" if silence.last_seen is None else when(silence.last_seen)
        facts += [
            ("Last one", seen),
            ("Time was up", when(alert.time)),
            ("Watched since", when(silence.watched)),
        ]
    facts.append(("Host", machine))
    if silence is None and alert.path:
        facts.append(("File", f"{visible(shortened(alert.path, limit))}, byte {alert.offset:,}"))
    facts.append(("Severity", visible(shortened(notice.severity, _RULE_LENGTH))))
    if alert.event_time is not None and alert.event_time != alert.time:
        facts.append(
            ("Line's time", f"{moment(alert.event_time, timezone)}, too late to count there")
        )
    if notice.is_time_of_reading:
        facts.append(("Times", "are those of reading: these lines have no timestamp"))
    return facts


def _chart(alert: Alert, timezone: tzinfo) -> Chart | None:
    if not any(alert.histogram):
        return None
    step = -(-len(alert.histogram) // _MOST_BARS)
    bars = tuple(
        sum(alert.histogram[at : at + step]) for at in range(0, len(alert.histogram), step)
    )
    each = duration(alert.within * step / len(alert.histogram))
    return Chart(
        bars=bars,
        begin=moment_near(alert.time - alert.within, alert.time, timezone),
        end=moment_near(alert.time, alert.time, timezone),
        caption=f"Each bar is {each}; the highest has {plural(max(bars), 'event')}.",
    )


def excerpts(alert: Alert, timezone: tzinfo, limit: int) -> list[Excerpt | str]:
    """Show the lines that an alert has kept."""
    if alert.silence is not None:
        return _last_seen(alert, timezone, limit)
    last = alert.last or (Sample(alert.time, alert.path, alert.offset, alert.line),)
    places = {(sample.path, sample.offset) for sample in last}
    is_apart = (alert.first.path, alert.first.offset) not in places
    shown = (alert.first, *last) if is_apart else last
    is_one_file = len({sample.path for sample in shown}) == 1
    shown_as: list[Excerpt | str] = []
    for sample in shown:
        title = moment_near(sample.time, alert.time, timezone)
        if not is_one_file:
            title += f" in {visible(shortened(sample.path, limit))}"
        if (sample.path, sample.offset) == (alert.path, alert.offset):
            title += ", the last before that" if _is_by_time(alert) else ", the line that rang"
        shown_as.append(_excerpt(sample, title, limit))
    left_out = alert.count - sum(sample.time >= alert.since for sample in shown)
    if is_apart and left_out > 0:
        shown_as.insert(1, f"{plural(left_out, 'line')} in between")
    return shown_as


def _last_seen(alert: Alert, timezone: tzinfo, limit: int) -> list[Excerpt | str]:
    """Show the last lines that came before there were too few."""
    shown = [sample for sample in alert.last if sample.offset >= 0]
    excerpts: list[Excerpt | str] = []
    for sample in shown:
        title = f"{moment_near(sample.time, alert.time, timezone)} in {visible(sample.path)}"
        title += ", the last one" if sample is shown[-1] else ""
        excerpts.append(_excerpt(sample, title, limit))
    return excerpts


def _is_by_time(alert: Alert) -> bool:
    """Tell whether time alone raised it, later than any line."""
    return bool(alert.last) and alert.time > alert.last[-1].time


def _excerpt(sample: Sample, title: str, limit: int) -> Excerpt:
    line = sample.line
    start = min(max(sample.span[0], 0), len(line))
    end = min(max(sample.span[1], start), len(line))
    # A mark around everything marks nothing.
    if start == end or (start, end) == (0, len(line)):
        return Excerpt(title, _head(line, limit), "", "")
    if len(line) <= limit:
        return Excerpt(title, *map(visible, (line[:start], line[start:end], line[end:])))
    match = _head(line[start:end], limit // 2)
    room = (limit - min(end - start, limit // 2)) // 2
    return Excerpt(title, _middle(line[:start], room), match, _head(line[end:], room))


def _head(text: str, limit: int) -> str:
    if len(text) <= limit:
        return visible(text)
    return f"{visible(text[:limit])}… ({len(text) - limit:,} more characters)"


def _middle(text: str, limit: int) -> str:
    """Leave out the middle: a line's beginning has its time, its end leads up to the match."""
    if len(text) <= limit:
        return visible(text)
    half = limit // 2
    left_out = len(text) - 2 * half
    return f"{visible(text[:half])}… ({left_out:,} characters) …{visible(text[-half:])}"
