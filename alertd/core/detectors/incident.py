"""
The end of what was too much, for any kind of rule.

An incident begins with an alert that was raised.  It goes on with each event at which the limit is
passed, whether that rings or the cooldown hides it, so later alerts of its key may belong to it.
It is over once the limit has not been passed for a whole ``within``: that long after the last such
event, to the microsecond, a resolution is raised.  An event at that very time comes first, and if
it passes the limit the incident goes on.

A resolution is the alert with which the incident began once more, under an id of its own and
without lines of its own, with what became of it in ``end``.  The cooldown goes on as if there were
none: what passes the limit again while it holds is hidden, and begins no incident.

A kind that knows better when it is over (absence: when there is enough again) sets
``ends_in_silence`` to False and calls ``_over``; what its cooldown hides is no event then.  Any
other calls ``is_hidden`` whenever the limit is passed.

A key that has to be forgotten at ``max_keys`` takes its incident with it: of that no end is told.

Refuses to cost anything where nobody asked for it: the class of such a detector is another one.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, cast

import msgspec

from alertd.core.detectors.detector import NEW, Detector, Frozen
from alertd.core.events import PASSED, Alert, End, Incident
from alertd.core.windows import exact

if TYPE_CHECKING:
    from alertd.core.rules import Rule

INCIDENT_BYTES = 2_400
"""What an open incident takes at most, by sys.getsizeof on CPython 3.11, …"""
KEY_FIELD_BYTES = 80
"""… and for each field of its key."""


_NO_SLOTS: tuple[str, ...] = ()


class Resolving(Detector):
    """What a detector does besides, if its rule is to say what is over; see ``resolving``."""

    # Of two bases only one may have slots: who is made of this and a kind has this one.
    __slots__ = _NO_SLOTS
    _incident: Incident | None

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen = NEW) -> None:
        super().__init__(rule, key, frozen)
        self._incident = None if frozen.incident is None else _copied(frozen.incident)

    @staticmethod
    def is_timed(rule: Rule) -> bool:
        """Tell that time alone ends incidents."""
        del rule
        return True

    @property
    def deadline(self) -> float:
        """Unix seconds at which the incident is over, or at which its kind has something to say."""
        incident = self._incident
        if incident is None or not self.ends_in_silence:
            return super().deadline
        return min(super().deadline, self._over_at(incident))

    def expire(self) -> Alert | None:
        """Raise the resolution, unless it is the kind's own time that has come."""
        incident = self._incident
        if incident is None or not self.ends_in_silence:
            return super().expire()
        time = self._over_at(incident)
        return self._over(time) if time < super().deadline else super().expire()

    def is_moot(self, now: float) -> bool:
        """Tell whether it is of no consequence if the limit is passed now."""
        return self._incident is None and self.is_quiet(now)

    def is_hidden(self, now: float, measured: float = 0.0) -> bool:
        """Take up that the limit is passed now; tell whether the cooldown hides it."""
        incident = self._incident
        if incident is not None:
            incident.ended = now
            incident.events += 1
            if measured != incident.worst:
                further = min if self._rule.is_least_worst else max
                incident.worst = further(incident.worst, measured)
        # As in the detector that it hides: most of all lines may come by here.
        return self.previous is not None and now - self.previous < self._cooldown

    def is_empty(self, now: float) -> bool:
        """Tell whether nothing that it remembers can count any more."""
        return self._incident is None and super().is_empty(now)  # type: ignore[safe-super]  # a kind comes next

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        frozen = super().freeze()  # type: ignore[safe-super]  # likewise
        if self._incident is None:
            return frozen
        return msgspec.structs.replace(frozen, incident=_copied(self._incident))

    def _rang(self, alert: Alert) -> None:
        incident = self._incident
        if incident is not None:
            incident.alerts += 1
            incident.events = max(incident.events, incident.alerts)
            return
        # Lines are kept as evidence only, where their number is bounded.
        first = msgspec.structs.replace(alert.first, line="")
        bare = msgspec.structs.replace(
            alert, line="", first=first, last=(), histogram=(), values=()
        )
        self._incident = Incident(bare, self.excess(alert), alert.time, worst=alert.measured)

    def _over(self, time: float) -> Alert | None:
        incident, self._incident = self._incident, None
        if incident is None:
            return None
        began = incident.alert
        lines = self.evidence.samples()[-self.evidence.shown :]
        return msgspec.structs.replace(
            began,
            id=resolution_id(began.id),
            time=time,
            since_last=self.since_last,
            previous=self.previous,
            offset=PASSED,
            first=lines[0] if lines else began.first,
            last=lines,
            event_time=None,
            end=End(
                alert=began.id,
                what=incident.what,
                began=began.time,
                ended=incident.ended if self.ends_in_silence else time,
                events=incident.events,
                alerts=incident.alerts,
                worst=incident.worst,
            ),
        )

    def _over_at(self, incident: Incident) -> float:
        """Give the first moment that is a whole ``within`` later."""
        return exact(incident.ended + self._rule.within)


def _copied(incident: Incident) -> Incident:
    return msgspec.structs.replace(incident)


def resolving(kind: type[Detector]) -> type[Detector]:
    """Make the class of a kind's detectors that also say when it is over."""
    name = f"Resolving{kind.__name__}"
    made = type(name, (Resolving, kind), {"__slots__": ("_incident",), "__doc__": kind.__doc__})
    return cast("type[Detector]", made)


def incident_bytes(rule: Rule) -> int:
    """Compute what one key's open incident takes at most."""
    return INCIDENT_BYTES + len(rule.group_by) * KEY_FIELD_BYTES


def resolution_id(alert: str) -> str:
    """
    Derive a resolution's id from that of the alert with which its incident began.

    Returns:
        20 hexadecimal digits.
    """
    about = json.dumps(["resolved", alert], separators=(",", ":"))
    return hashlib.blake2b(about.encode(), digest_size=10).hexdigest()
