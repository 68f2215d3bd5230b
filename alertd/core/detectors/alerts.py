"""
More than so many alerts of other rules: composition, and escalation.

The events are the alerts of the rules that it watches, as people hear of them: what a cooldown
hides is none, and neither is a resolution.  Each is counted at its time and at once, like a line;
with ``distinct = "rule"`` it is the rules that are counted, each once however often it rang.

An event has the fields of its alert's key, and ``rule``.  None is earlier than the one before: all
files are judged in one order, but a line that is late for one rule may be in time for another.

Who feeds these events is the engine; a match is made of an alert here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.detectors.distinct import Distinct
from alertd.core.detectors.threshold import Threshold
from alertd.core.escape import label, visible
from alertd.core.events import RANG, Match
from alertd.core.phrases import listed
from alertd.core.wording import duration, exactly, ordinal, plural

if TYPE_CHECKING:
    from alertd.core.events import Alert
    from alertd.core.rules import Rule

RULE = "rule"
"""The field that holds the name of the rule that rang."""

_NAMED_RULES = 5


class Alerts(Threshold):
    """Counts alerts."""

    __slots__ = ()

    noun = "alert"

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Name the alert that is one too many."""
        del lines
        of = _of(rule)
        if rule.more_than == 0:
            return f"on every alert {of}"
        within = exactly(rule.within)
        which = f"on the {ordinal(rule.more_than + 1)} alert {of} within {within}"
        return f"{which}, counted{per}" if per else which

    @staticmethod
    def excess(alert: Alert) -> str:
        """Name the limit."""
        if alert.field:
            return f"alerts of {_more_than(alert, 'rule')}"
        return "an alert" if alert.limit == 0 else _more_than(alert, "alert")

    @staticmethod
    def measure(alert: Alert) -> str:
        """Say how many alerts there were, or of how many rules, within how long."""
        if not alert.field and alert.limit == 0:
            return "1 alert; each one rings."
        what = plural(alert.count, "alert")
        if alert.field:
            rules = ", ".join(label(value, 60) for value in alert.values)
            what = f"Alerts of {plural(alert.count, 'rule')} ({rules})"
        span = duration(alert.time - alert.since)
        together = "at the same time" if alert.time == alert.since else f"within {span}"
        return f"{what} {together}; the limit is {alert.limit:,} in {duration(alert.within)}."


class DifferentRules(Distinct):
    """Counts the rules that rang; its alerts are said in the words of ``Alerts``."""

    __slots__ = ()

    noun = "alert"

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Name the rule that is one too many."""
        del lines
        which = (
            f"on the alert with which the {ordinal(rule.more_than + 1)} different one {_of(rule)} "
            f"has rung within {exactly(rule.within)}"
        )
        return f"{which}, counted{per}" if per else which


def event(alert: Alert, rule: Rule, what: str, earliest: float) -> Match:
    """
    Make an event of an alert.

    Args:
        alert: The alert.
        rule: The rule that watches its rule.
        what: What the alert says happened; shown where no line rang.
        earliest: Unix seconds of the newest event of that rule.
    """
    fields = {**dict(alert.key), RULE: alert.rule}
    about = "".join(f" {name}={value}" for name, value in alert.key)
    time = max(alert.time, earliest)
    is_line = alert.offset >= 0
    return Match(
        rule.name,
        tuple(fields[name] for name in rule.keyed_by),
        time,
        alert.path,
        alert.offset if is_line else RANG,
        f"{alert.rule}{about}: {alert.line if is_line else what}",
        alert.time if time != alert.time else alert.event_time,
    )


def _more_than(alert: Alert, noun: str) -> str:
    return f"more than {plural(alert.limit, noun)} in {duration(alert.within)}"


def _of(rule: Rule) -> str:
    named = [visible(name) for name in rule.watches]
    if len(named) > _NAMED_RULES:
        named = [*named[:_NAMED_RULES], f"{len(named) - _NAMED_RULES} more"]
    return f"of {'the rule' if len(named) == 1 else 'the rules'} {listed(named, 'and')}"
