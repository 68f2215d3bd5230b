"""
What alertd has to say about itself, and how often.

Whatever makes it blind is told to somebody: at most once an hour for each cause, and what goes on
without end once a day.  What happens in between is gathered and told together, with exact numbers.

Refuses to find out what is wrong (see ``alertd.health``), or whom to tell.

Trap: what was said must be remembered across restarts, or a daemon that is started again and again
says the same thing each time.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from alertd.core.detectors.detector import alert_id
from alertd.core.events import Alert, Notice, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3600.0
DAY = 86_400.0
PREFIX = "alertd/"
"""Before the names of alertd's own alerts; no rule's name can hold a slash."""

SETTLE = 1.0
"""Seconds for which a first trouble waits for others of its cause."""

SHOWN = 20
"""Details that are told in full; the others are counted."""

MOST_HEARD = 20_000


class Trouble(msgspec.Struct, frozen=True):
    """
    Something that makes alertd blind, or has done so.

    Attributes:
        kind: What it is, in a word: ``permission-denied``.  Kind and ``about`` make the cause.
        about: What it is about: the word for that and its name (``source``, ``app``), if anything.
        complaint: What is wrong, in half a sentence.
        detail: What happened, in a sentence.
        remedy: What to do.
        count: How many things that were.
        is_lasting: It goes on; the same ``detail`` is not told again within a day.
    """

    kind: str
    about: tuple[str, str] | None
    complaint: str
    detail: str
    remedy: str
    count: int = 1
    is_lasting: bool = False


class _Case(msgspec.Struct):
    """Troubles of one cause that nobody has been told of."""

    since: float
    count: int
    latest: Trouble
    details: list[str]
    left_out: int = 0


class _Said(msgspec.Struct):
    """What survives: when each cause was told, what lasts, and what is still to be told."""

    causes: list[tuple[str, tuple[str, str] | None, float]] = []
    lasting: dict[str, float] = {}
    cases: list[_Case] = []
    mark: float = 0.0


class Complaints:
    """
    The troubles of which nobody has been told yet, and those of which somebody has.

    Args:
        stored: What ``take_changes`` gave an earlier run.

    Attributes:
        mark: Unix seconds up to which failed mails have been noted.
    """

    def __init__(self, stored: bytes = b"") -> None:
        said = msgspec.msgpack.decode(stored, type=_Said) if stored else _Said()
        self._told = {(kind, about): at for kind, about, at in said.causes}
        self._lasting = dict(said.lasting)
        self._open = {_cause(case.latest): case for case in said.cases}
        self.mark = said.mark
        self._is_changed = False

    def note(self, trouble: Trouble, now: float) -> None:
        """Take a trouble in; one that lasts may be noted again and again."""
        if trouble.is_lasting:
            name = _name(trouble)
            told = self._lasting.get(name)
            # A time from the future was written before somebody set the clock back.
            if told is not None and 0 <= now - told < DAY:
                return
            self._lasting.pop(name, None)
            self._lasting[name] = now
            while len(self._lasting) > MOST_HEARD:
                del self._lasting[next(iter(self._lasting))]
        self._is_changed = True
        case = self._open.get(_cause(trouble))
        if case is None:
            case = self._open[_cause(trouble)] = _Case(now, 0, trouble, [])
        case.count += trouble.count
        case.latest = trouble
        if trouble.detail in case.details:
            return
        if len(case.details) < SHOWN:
            case.details.append(trouble.detail)
        else:
            case.left_out += 1

    def due(
        self, now: float, recipients: Sequence[str], *, is_urgent: bool = False
    ) -> list[Notice]:
        """
        Return what is to be told now; it counts as told.

        Args:
            now: Unix seconds.
            recipients: Who is told.
            is_urgent: Without waiting whether there is more of it.
        """
        notices = []
        for cause, case in list(self._open.items()):
            told = self._told.get(cause)
            if told is not None and 0 <= now - told < HOUR:
                continue
            if not is_urgent and 0 <= now - case.since < SETTLE:
                continue
            del self._open[cause]
            self._told[cause] = now
            self._is_changed = True
            lines = list(case.details)
            if case.left_out:
                lines.append(f"and {case.left_out:,} more")
            notices.append(
                as_notice(
                    case.latest,
                    case.since,
                    now,
                    recipients,
                    "\n".join(lines),
                    count=case.count,
                    previous=told,
                )
            )
        return notices

    def take_changes(self) -> bytes | None:
        """Return what must survive, as bytes, if it has changed since the last call."""
        if not self._is_changed:
            return None
        self._is_changed = False
        newest = max(self._told.values(), default=0.0)
        return msgspec.msgpack.encode(
            _Said(
                [(*cause, at) for cause, at in self._told.items() if newest - at < DAY],
                self._lasting,
                list(self._open.values()),
                self.mark,
            )
        )


def _cause(trouble: Trouble) -> tuple[str, tuple[str, str] | None]:
    return trouble.kind, trouble.about


def _name(trouble: Trouble) -> str:
    text = "\0".join((trouble.kind, *(trouble.about or ()), trouble.detail))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def as_notice(
    trouble: Trouble,
    since: float,
    now: float,
    recipients: Sequence[str],
    text: str = "",
    *,
    count: int = 1,
    previous: float | None = None,
) -> Notice:
    """
    Make a trouble an alert like any other.

    Args:
        trouble: What is wrong.
        since: Unix seconds at which it began.
        now: Unix seconds.
        recipients: Who is told.
        text: What happened, one thing a line; left out, the trouble's ``detail``.
        count: How many things that were.
        previous: Unix seconds of the last alert about it.
    """
    rule = PREFIX + trouble.kind
    return Notice(
        alert=Alert(
            id=alert_id(rule, trouble.about or (), now, 0),
            rule=rule,
            key=() if trouble.about is None else (trouble.about,),
            time=now,
            count=count,
            limit=0,
            within=HOUR,
            since=since,
            since_last=count,
            previous=previous,
            path="",
            offset=0,
            line=text or trouble.detail,
            first=Sample(since, "", 0, ""),
            last=(),
            histogram=(),
        ),
        recipients=tuple(recipients),
        severity="warning",
        description=trouble.remedy,
        raised_at=now,
        complaint=trouble.complaint,
    )
