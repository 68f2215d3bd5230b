"""
What is too much, in each of the ways in which a rule can say it: one class a kind.

To add a kind, write its module, enter it here, and give the rule model (``rules``, and the tables
of the configuration) what it needs to be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.detectors.absence import Absence
from alertd.core.detectors.alerts import Alerts, DifferentRules
from alertd.core.detectors.change import Change
from alertd.core.detectors.detector import Detector, Frozen
from alertd.core.detectors.distinct import Distinct
from alertd.core.detectors.incident import resolving
from alertd.core.detectors.match import Each
from alertd.core.detectors.metric import Metric
from alertd.core.detectors.new_value import NewValue
from alertd.core.detectors.ratio import Ratio
from alertd.core.detectors.sequence import InOrder
from alertd.core.detectors.spike import Spike
from alertd.core.detectors.threshold import Threshold

if TYPE_CHECKING:
    from alertd.core.rules import Rule

__all__ = ["DETECTORS", "Detector", "Frozen", "detector_class"]

DETECTORS: dict[str, type[Detector]] = {
    "threshold": Threshold,
    "match": Each,
    "distinct": Distinct,
    "new_value": NewValue,
    "change": Change,
    "ratio": Ratio,
    "metric": Metric,
    "sequence": InOrder,
    "absence": Absence,
    "spike": Spike,
    "alerts": Alerts,
}

RESOLVING: dict[str, type[Detector]] = {name: resolving(kind) for name, kind in DETECTORS.items()}
_DIFFERENT_RULES: dict[bool, type[Detector]] = {
    False: DifferentRules,
    True: resolving(DifferentRules),
}


def detector_class(rule: Rule) -> type[Detector]:
    """Give the class of a rule's detectors."""
    if rule.watches and rule.value:
        return _DIFFERENT_RULES[rule.resolve]
    return (RESOLVING if rule.resolve else DETECTORS)[rule.kind]
