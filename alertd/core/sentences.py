"""
What a rule means, in one English sentence.

The sentence is how a person finds out that they wrote something else than they meant, so it is
exact: the eleventh line, not "more than ten"; ``1 hour 30 minutes``, not "about an hour".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.detectors import detector_class
from alertd.core.escape import visible
from alertd.core.phrases import lines_of, listed
from alertd.core.wording import exactly

if TYPE_CHECKING:
    from alertd.core.rules import Rule


def sentence(rule: Rule) -> str:
    """
    Say what ``rule`` does, for somebody who has never seen a configuration of alertd.

    Returns:
        One line, beginning with the rule's name and ended by a full stop.
    """
    fields = tuple(visible(field) for field in rule.group_by)
    lines = lines_of(rule.match) if rule.match else ""
    if rule.unless:
        lines += f" (leaving out lines {lines_of(rule.unless)})"
    per = f" per {listed(fields, 'and')}" if fields else ""
    kind = detector_class(rule)
    afterwards = kind.afterwards(rule, _about(fields))
    if rule.resolve:
        afterwards += "; says when it is over"
        if kind.ends_in_silence:
            afterwards += f" ({exactly(rule.within)} after it was last so)"
    told = listed(rule.recipients, "and")
    return f"{rule.name}: mails {told} {kind.asked(rule, lines, per)}{afterwards}."


def _about(fields: tuple[str, ...]) -> str:
    match fields:
        case ():
            return ""
        case (field,):
            return f" about that {field}"
        case _:
            return f" about that combination of {listed(fields, 'and')}"
