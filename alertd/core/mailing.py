"""
Which alerts share a mail, and when a mail may go.

Every address has a lane.  Most alerts pass through theirs one by one, oldest first, and an alert
that is at the head of several lanes goes to all of them in one mail.  Two things hold a lane's
alerts back until they can share a mail: they were late when they were raised (alertd is catching
up), or the address has had its mails of the hour (a digest).  Those that have had to wait for long,
because nobody took mails meanwhile (an outage), share one as well once it is over.

Refuses to know what an alert is or how a mail is sent: it moves numbers.

Trap: a hold must end by the clock alone.  Whatever is held has a time at which it goes, even if
nothing is ever added again.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

Reason: TypeAlias = Literal["alert", "catching up", "outage", "digest"]

HOUR = 3600.0
CATCH_UP_AT_MOST = 60.0
"""Seconds for which a late alert waits for others while alertd is catching up."""
_SETTLE = 0.1
"""Seconds of quiet before late alerts go once nothing is behind: one commit may follow another."""
_LOOK_AGAIN = 0.2
_DIGEST_EVERY = 900.0
MOST_IN_ONE = 10_000
"""Alerts in one mail; what is left goes in the next."""
OUTBOX_MAX = 10_000
"""Alerts that wait for one address, beyond which they share mails whatever the limits say."""


class Mailing(msgspec.Struct, frozen=True):
    """A mail that may go now: these notices, by number, to these addresses."""

    reason: Reason
    notices: tuple[int, ...]
    addresses: tuple[str, ...]


@dataclass(slots=True)
class _Lane:
    """One address's alerts, and what it has had."""

    prompt: deque[tuple[int, float]] = field(default_factory=deque)
    """Numbers, and since when each of them might have gone."""
    late: deque[int] = field(default_factory=deque)
    late_since: float = 0.0
    late_last: float = 0.0
    mails: deque[float] = field(default_factory=deque)
    last_digest: float = -math.inf
    digest_at: float | None = None
    closed_until: float = -math.inf

    def heads(self, count: int) -> tuple[int, ...]:
        return tuple(islice(sorted([*self.late, *(number for number, _ in self.prompt)]), count))

    def stale(self, before: float) -> tuple[int, ...]:
        """Return those that might have gone before that time, as far as they fit in one mail."""
        waited = takewhile(lambda entry: entry[1] < before, self.prompt)
        return tuple(number for number, _ in islice(waited, MOST_IN_ONE))


class Mailings:
    """
    The lanes.

    All times are Unix seconds of one clock that never jumps.

    Args:
        join_older_than: Seconds; an alert on something older than that when it was raised is late,
            and those that have waited longer than that for a server share a mail.  0: none is or
            does.
        max_per_hour: Mails to one address in any hour.  What exceeds it waits for a digest, which
            is counted but goes even so: the first one ``digest_after`` seconds after the limit was
            met, later ones at most every 15 minutes.  0: no limit.
        digest_after: See there.
    """

    def __init__(
        self, *, join_older_than: float, max_per_hour: int, digest_after: float = 60.0
    ) -> None:
        self._join_older_than = join_older_than
        self._max_per_hour = max_per_hour
        self._digest_after = digest_after
        self._lanes: dict[str, _Lane] = {}

    def reconfigure(self, *, join_older_than: float, max_per_hour: int) -> None:
        """Follow other settings: no hold that the old ones began goes on, and every lane opens."""
        self._join_older_than = join_older_than
        self._max_per_hour = max_per_hour
        for lane in self._lanes.values():
            lane.digest_at = None
            lane.closed_until = -math.inf

    def clear(self) -> None:
        """Forget all alerts, but not what each address has had."""
        for lane in self._lanes.values():
            lane.prompt.clear()
            lane.late.clear()

    def count(self, address: str, at: float, *, is_digest: bool = False) -> None:
        """Know of a mail that went to ``address``."""
        lane = self._lane(address)
        lane.mails.append(at)
        if is_digest:
            lane.last_digest = at

    def add(
        self,
        number: int,
        *,
        age: float,
        addresses: Iterable[str],
        now: float,
        since: float | None = None,
        is_end: bool = False,
    ) -> None:
        """
        Take an alert in.

        Args:
            number: Greater than all before.
            age: Seconds from the event to the alert.
            addresses: Who is to be told.
            now: The time.
            since: When it was raised, if that is not now: an earlier run may have left it.
            is_end: It says that an earlier one is over: it never overtakes what is held back.
        """
        since = now if since is None else since
        is_late = 0 < self._join_older_than < age
        for address in addresses:
            lane = self._lane(address)
            if is_late or (is_end and lane.late):
                lane.late_since = lane.late_since if lane.late else now
                lane.late_last = now
                lane.late.append(number)
            else:
                lane.prompt.append((number, since))

    def close(self, address: str, until: float) -> None:
        """Let nothing new go to ``address`` before ``until``: its server asked for patience."""
        self._lane(address).closed_until = until

    def open(self) -> None:
        """Let new alerts go to every address again."""
        for lane in self._lanes.values():
            lane.closed_until = -math.inf

    def next(self, now: float, *, is_caught_up: bool) -> Mailing | float:
        """
        Return the oldest mail that may go, or the time at which to ask again.

        Args:
            now: The time.
            is_caught_up: No file is behind, so no late alert is about to follow.

        Returns:
            A mailing, which stays where it is until ``take``; or a time, infinity if there is
            nothing to wait for.
        """
        ready: list[tuple[str, Mailing]] = []
        again = math.inf
        for address, lane in self._lanes.items():
            if not lane.prompt and not lane.late:
                continue
            found = self._of_lane(address, lane, now, is_caught_up=is_caught_up)
            if isinstance(found, Mailing):
                ready.append((address, found))
            else:
                again = min(again, found)
        if not ready:
            return again
        _, oldest = min(ready, key=lambda entry: entry[1].notices[0])
        return msgspec.structs.replace(
            oldest,
            addresses=tuple(
                address
                for address, mailing in ready
                if (mailing.reason, mailing.notices) == (oldest.reason, oldest.notices)
            ),
        )

    def take(self, mailing: Mailing, now: float) -> None:
        """Let ``mailing``, the last answer of ``next``, go: it is counted."""
        taken = set(mailing.notices)
        for address in mailing.addresses:
            lane = self._lanes[address]
            if mailing.reason == "alert":
                lane.prompt.popleft()
            else:
                lane.late = deque(number for number in lane.late if number not in taken)
                lane.prompt = deque(entry for entry in lane.prompt if entry[0] not in taken)
            is_digest = mailing.reason == "digest"
            if is_digest:
                lane.digest_at = now if lane.prompt or lane.late else None
            self.count(address, now, is_digest=is_digest)

    def held(self) -> int:
        """Count the alerts that wait to share a mail with others, once for each address."""
        return sum(
            len(lane.late) + (len(lane.prompt) if lane.digest_at is not None else 0)
            for lane in self._lanes.values()
        )

    def sent_last_hour(self, now: float) -> int:
        """Count the mails of the last hour, once for each address."""
        return sum(self._recent(lane, now) for lane in self._lanes.values())

    def _lane(self, address: str) -> _Lane:
        return self._lanes.setdefault(address, _Lane())

    def _recent(self, lane: _Lane, now: float) -> int:
        while lane.mails and lane.mails[0] <= now - HOUR:
            lane.mails.popleft()
        return len(lane.mails)

    def _of_lane(
        self, address: str, lane: _Lane, now: float, *, is_caught_up: bool
    ) -> Mailing | float:
        if lane.closed_until > now:
            return lane.closed_until
        is_flooded = len(lane.prompt) + len(lane.late) > OUTBOX_MAX
        is_full = 0 < self._max_per_hour <= self._recent(lane, now)
        if lane.digest_at is None and is_full:
            lane.digest_at = max(now + self._digest_after, lane.last_digest + _DIGEST_EVERY)
        if is_flooded or lane.digest_at is not None:
            if not is_flooded and lane.digest_at is not None and now < lane.digest_at:
                return lane.digest_at
            return Mailing("digest", lane.heads(MOST_IN_ONE), (address,))
        late_at = math.inf
        if lane.late:
            latest = lane.late_since + CATCH_UP_AT_MOST
            late_at = min(latest, lane.late_last + _SETTLE if is_caught_up else latest)
            if late_at <= now:
                numbers = tuple(islice(lane.late, MOST_IN_ONE))
                return Mailing("catching up", numbers, (address,))
        if lane.prompt:
            return self._of_prompt(address, lane, now)
        return late_at if is_caught_up else min(late_at, now + _LOOK_AGAIN)

    def _of_prompt(self, address: str, lane: _Lane, now: float) -> Mailing:
        stale = lane.stale(now - self._join_older_than) if self._join_older_than else ()
        if len(stale) > 1:
            return Mailing("outage", stale, (address,))
        return Mailing("alert", (lane.prompt[0][0],), (address,))
