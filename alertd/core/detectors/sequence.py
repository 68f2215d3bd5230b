"""
First this, then that: steps that happen one after another.

The events of a key are the lines that will do for a step and have that key, in the order in which
they are fed.  A sequence of steps of *c1*, *c2* … events is complete with an event *e* of the last
step if there are *c1* events of the first step, after them *c2* events of the second, and so on,
*e* being the last of the last step, and if *e* is less than ``within`` after the first of them.
They need not be neighbours: what comes in between is no obstacle.  One line may do for several
steps, but is one event of any sequence.

A sequence takes what is up to its last event with it: the events up to *e*, *e* included, are in no
later one, whether it rang or the cooldown hid it.

If the last step is absent, the steps before it make the sequence.  When it is complete, at *t*, it
waits, and rings at *t* + ``within`` if no event of the last step came up to that very time; what
else comes meanwhile is in no sequence.  An event of the last step takes away what waits, and all
that was before it.  So the first event is less than twice ``within`` before the alert.

To know all of this, a step needs no more than for each of its last *c* events the time at which a
sequence that has got there began at the latest: of two that have got equally far, the one that
began later can do whatever the other can.  These times ascend, so they are a window's: each event
of a step adds the oldest of the step before it, if that is full, and pushes its own oldest out.

Trap: a line that will do for several steps must be tried as the latest of them first, or it would
follow itself.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, cast

import msgspec
from msgspec import msgpack

from alertd.core.detectors.detector import NEW, Detector, Frozen
from alertd.core.escape import label
from alertd.core.events import Match  # noqa: TC001 - msgspec reads the annotation
from alertd.core.evidence import LINE_CHARS, EvidenceOfSteps, shortened
from alertd.core.phrases import step_of
from alertd.core.rules import STEPS
from alertd.core.windows import HALF_TICK, SHORT, TIME_BYTES, exact
from alertd.core.wording import duration, exactly

if TYPE_CHECKING:
    from alertd.core.events import Alert
    from alertd.core.rules import Rule, Step

_WORDS = 200
"""Characters of a step's description that an alert keeps."""

# By sys.getsizeof on CPython 3.11: what holds the steps of a key, a step's list or deque with its
# place there, and the line behind which a step is to be absent, of characters outside the BMP.
BASE_BYTES = 150
LIST_BYTES = 140
DEQUE_BYTES = 770
LINE_BYTES = 1_000 + 4 * LINE_CHARS


class _Waiting(msgspec.Struct, frozen=True, array_like=True):
    """
    A sequence whose last step is to be absent.

    Attributes:
        deadline: Unix seconds up to which it must be.
        since: Unix seconds of the first event.
        last: The last one.
    """

    deadline: float
    since: float
    last: Match


class _State(msgspec.Struct, frozen=True, array_like=True):
    """
    What is remembered of a key.

    Attributes:
        starts: For each step that must happen, when sequences that have got there began.
        waiting: What waits, if something does.
    """

    starts: list[list[float]]
    waiting: _Waiting | None = None


class InOrder(Detector):
    """Follows the steps of a sequence."""

    __slots__ = ("_absent", "_reach", "_starts", "_waiting")

    chooses_evidence = True
    noun = "sequence"
    evidence: EvidenceOfSteps

    def __init__(self, rule: Rule, key: tuple[str, ...], frozen: Frozen = NEW) -> None:
        super().__init__(rule, key, frozen)
        self.evidence = EvidenceOfSteps(frozen.lines)
        self._reach = rule.within - HALF_TICK
        self._absent = STEPS[len(rule.steps) - 1] if rule.steps[-1].is_absent else ""
        # As in a window: a deque takes half a kilobyte even for one time.
        self._starts: list[list[float] | deque[float]] = [
            [] if step.count < SHORT else deque() for step in rule.steps if not step.is_absent
        ]
        self._waiting: _Waiting | None = None
        if frozen.state:
            state = msgpack.decode(frozen.state, type=_State)
            for starts, known in zip(self._starts, state.starts, strict=True):
                starts.extend(known)
            self._waiting = state.waiting

    @staticmethod
    def worst_case_bytes(rule: Rule) -> int:
        """Compute what the steps of one key take at most, and the line that waits."""
        most = BASE_BYTES + LINE_BYTES * InOrder.is_timed(rule)
        for step in present(rule):
            most += LIST_BYTES if step.count < SHORT else DEQUE_BYTES
            most += step.count * TIME_BYTES
        return most

    @staticmethod
    def is_timed(rule: Rule) -> bool:
        """Tell whether a step is to be absent."""
        return len(present(rule)) < len(rule.steps)

    @staticmethod
    def may_begin(match: Match) -> bool:
        """Tell whether a match will do for the first step; the latest one stands first."""
        return match.key[-1][-1] == STEPS[0]

    @staticmethod
    def asked(rule: Rule, lines: str, per: str) -> str:
        """Name the steps."""
        del lines
        happens = present(rule)
        asked = "when " + ", then ".join(step_of(step, rule.unless) for step in happens) + " came"
        within = exactly(rule.within)
        if sum(step.count for step in happens) > 1:
            asked += f" within {within}"
        if InOrder.is_timed(rule):
            asked += f", and in the {within} after that {step_of(rule.steps[-1], rule.unless)}"
        return asked + (f", counted{per}" if per else "")

    @staticmethod
    def excess(alert: Alert) -> str:
        """Say that all steps came, or which did not."""
        steps = len(alert.values)
        if _is_missing(alert):
            return f"step {steps} missing for {duration(alert.within)}"
        return f"a sequence of {steps} steps in {duration(alert.within)}"

    @staticmethod
    def measure(alert: Alert) -> str:
        """Name the steps, and within how long they came."""
        steps = [label(step, _WORDS) for step in alert.values]
        within = duration(alert.within)
        if _is_missing(alert):
            last = steps.pop()
            said = f"{', then '.join(steps)} came, and in the {within} after that {last}."
        else:
            span = duration(alert.time - alert.since)
            said = f"{', then '.join(steps)} came within {span}; the limit is {within}."
        return said[0].upper() + said[1:]

    def feed(self, match: Match) -> Alert | None:
        """Take one more event; return the alert that it raises, if any."""
        steps = match.key[-1]
        if steps[0] == self._absent:
            self._forget()
            steps = steps[1:]
        if self._waiting is not None:
            return None
        # The latest first: what this line adds to a step must not lead it on to the next.
        reached = [self._reaches(int(step) - 1, match.time) for step in steps]
        if not any(reached):
            return None
        self.evidence.add(match, self._rule.within)
        since = self._oldest(len(self._starts) - 1)
        if int(steps[0]) < len(self._starts) or match.time - since >= self._reach:
            return None
        if not self._absent:
            return self._complete(match, since)
        self._waiting = _Waiting(exact(match.time + self._rule.within), since, shortened(match))
        return None

    @property
    def deadline(self) -> float:
        """Unix seconds after which it rings, unless the last step comes first."""
        return self._waiting.deadline if self._waiting else math.inf

    def expire(self) -> Alert | None:
        """Ring: the last step was absent for long enough."""
        waiting = cast("_Waiting", self._waiting)
        if not self.evidence.lines:
            # They were too many.
            self.evidence.add(waiting.last, self._rule.within)
        last = msgspec.structs.replace(waiting.last, time=waiting.deadline, event_time=None)
        return self._complete(last, waiting.since)

    def is_empty(self, now: float) -> bool:
        """Tell whether no sequence has begun that could still be completed."""
        first = self._starts[0]
        return self._waiting is None and (not first or now - first[-1] >= self._reach)

    def freeze(self) -> Frozen:
        """Return its state as plain data."""
        starts = [list(each) for each in self._starts]
        return self._frozen(state=msgpack.encode(_State(starts, self._waiting)))

    def _reaches(self, step: int, time: float) -> bool:
        """Let an event do for a step, if a sequence has got that far that it can still lead on."""
        start = self._oldest(step - 1) if step else time
        if time - start >= self._reach:
            return False
        starts = self._starts[step]
        starts.append(start)
        if len(starts) > self._rule.steps[step].count:
            del starts[0]
        return True

    def _oldest(self, step: int) -> float:
        """Tell when the sequence began that got past a step at last; never if none has."""
        starts = self._starts[step]
        return starts[0] if len(starts) == self._rule.steps[step].count else -math.inf

    def _complete(self, match: Match, since: float) -> Alert | None:
        """Ring, unless the cooldown hides it, and forget what the sequence takes with it."""
        self.since_last += 1
        alert = None
        if not self.is_hidden(match.time):
            self.evidence.begin(since)
            rule = self._rule
            alert = self._ring(
                match,
                count=sum(step.count for step in present(rule)),
                since=since,
                values=tuple(label(step_of(step, rule.unless), _WORDS) for step in rule.steps),
            )
        self._forget()
        return alert

    def _forget(self) -> None:
        """Begin anew."""
        for starts in self._starts:
            starts.clear()
        self.evidence.clear()
        self._waiting = None


def present(rule: Rule) -> tuple[Step, ...]:
    """Give the steps that must happen."""
    return tuple(step for step in rule.steps if not step.is_absent)


def _is_missing(alert: Alert) -> bool:
    return alert.values[-1].startswith("no line ")
