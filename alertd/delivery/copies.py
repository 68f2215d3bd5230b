"""
Frozen mails that somebody still waits for: which is tried next, and what an answer means for each.

Every address's copy is judged on its own.  Refuses to send, and to write: what has changed is
handed to the ``ledger``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from alertd.core.render import cut_mail
from alertd.delivery.patience import AT_MOST, LATER, SOON
from alertd.smtp import Outcome
from alertd.state import Copy, Cut, Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from alertd.core.mailing import Mailing, Mailings
    from alertd.delivery.ledger import Ledger
    from alertd.delivery.patience import Patience
    from alertd.smtp import DeliveryError
    from alertd.state import Pending

log = structlog.get_logger(__name__)

GIVE_UP_AFTER: Final = 5 * 86_400.0
_TRY_AT_LEAST: Final = 3600.0
"""Seconds for which even the oldest mail is tried after a start: the network may come up late."""
_TOO_LARGE: Final = re.compile(r"(?:^|: )552\b")


@dataclass(slots=True)
class Waiting:
    """A frozen mail and its pending copies; ``payload`` is kept only while it is not stored."""

    message_id: str
    first: int
    frozen_at: float
    copies: dict[str, Copy]
    payload: bytes | None = None

    def due(self, now: float) -> list[Copy]:
        """Return the copies that may be tried."""
        return [copy for copy in self.copies.values() if copy.next_attempt <= now]


class Copies:
    """
    What waits.

    Args:
        ledger: Where it is noted what became of copies.
        patience: Who is left alone, and until when.
        mailings: Whose lanes are closed while an address takes nothing.
        now: Seconds of a clock that never jumps.
    """

    def __init__(
        self,
        ledger: Ledger,
        patience: Patience,
        mailings: Mailings,
        now: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._patience = patience
        self._mailings = mailings
        self._now = now
        self._started_at = now()
        self._waiting: dict[str, Waiting] = {}

    def load(self, stored: Iterable[Pending]) -> None:
        """Know what is stored, and nothing else."""
        now = self._now()
        self._waiting = {
            pending.message_id: Waiting(
                pending.message_id,
                pending.first,
                min(pending.frozen_at, now),
                {
                    copy.address: msgspec.structs.replace(
                        copy, next_attempt=min(copy.next_attempt, now + AT_MOST)
                    )
                    for copy in pending.copies
                },
            )
            for pending in stored
        }

    def add(self, message_id: str, mailing: Mailing, now: float) -> Waiting:
        """Take in a mail that is being frozen, perhaps for more addresses than before."""
        mail = self._waiting.setdefault(
            message_id, Waiting(message_id, mailing.notices[0], now, {})
        )
        for address in mailing.addresses:
            mail.copies.setdefault(address, Copy(address))
        return mail

    def hurry(self) -> None:
        """Let everything be tried at once."""
        for mail in self._waiting.values():
            mail.copies = {
                address: msgspec.structs.replace(copy, next_attempt=0.0)
                for address, copy in mail.copies.items()
            }

    def next(self, now: float) -> tuple[Waiting | None, tuple[float, float]]:
        """
        Find what has failed least often, and of that the oldest.

        Returns:
            A mail of which something is due, with how often that has failed and its place; or none,
            with the time at which to ask again.
        """
        best: Waiting | None = None
        rank = (math.inf, math.inf)
        again = math.inf
        for mail in self._waiting.values():
            due = mail.due(now)
            if not due:
                again = min(again, *(copy.next_attempt for copy in mail.copies.values()))
            elif (own := (max(copy.attempts for copy in due), mail.first)) < rank:
                best, rank = mail, own
        return best, (again, math.inf) if best is None else rank

    def earlier(self, mail: Waiting, message_ids: Iterable[str], now: float) -> Waiting:
        """Return the first of these mails if it may go to whom the other mail goes; else that."""
        for message_id in message_ids:
            other = self._waiting.get(message_id)
            if other is not None and any(copy.address in mail.copies for copy in other.due(now)):
                return other
        return mail

    def _cut_to_fit(self, mail: Waiting, payload: bytes, detail: str) -> bool:
        """Make a mail shorter if the server finds it too large; say whether that has been done."""
        cut = cut_mail(payload) if _TOO_LARGE.search(detail) else None
        if cut is None:
            return False
        log.warning("mail too large; trying a shorter one", message_id=mail.message_id)
        self._ledger.add(Cut(mail.message_id, cut))
        mail.payload = cut
        return True

    def answer(self, mail: Waiting, payload: bytes, outcomes: Mapping[str, Outcome]) -> None:
        """Note what the server said for each recipient; who finds it too large gets less."""
        refused = [outcome for outcome in outcomes.values() if outcome.status == "refused"]
        if any(self._cut_to_fit(mail, payload, outcome.detail) for outcome in refused):
            # They get another chance, with less.
            outcomes = {
                address: outcome
                for address, outcome in outcomes.items()
                if not _TOO_LARGE.search(outcome.detail)
            }
        self.judge(mail, outcomes)

    def fail(
        self, mail: Waiting, payload: bytes, addresses: Sequence[str], error: DeliveryError
    ) -> None:
        """Nobody got it: leave the server alone, unless it is this mail that it refuses."""
        if not error.retryable and self._cut_to_fit(mail, payload, error.detail):
            return
        if not error.retryable:
            self.judge(mail, {a: Outcome("refused", error.detail) for a in addresses})
            return
        is_about_server = error.kind in {"connect", "tls", "login"}
        first = SOON if error.kind in {"connect", "tls"} else LATER
        self._patience.leave_server_alone(error.kind, error.detail, first)
        now = self._now()
        # Another mail would have fared no better, so this one does not lose its turn.
        changed = [
            self._postponed(mail, copy, error.detail, first, counts=not is_about_server)
            for copy in map(mail.copies.__getitem__, addresses)
            if not is_about_server or self._is_over(mail, now)
        ]
        self._settle(mail, changed, now)

    def judge(self, mail: Waiting, outcomes: Mapping[str, Outcome]) -> None:
        """Note what the server said for each recipient."""
        now = self._now()
        changed = []
        is_uncertain = False
        for address, outcome in outcomes.items():
            copy = mail.copies[address]
            match outcome.status:
                case "sent":
                    changed.append(
                        msgspec.structs.replace(
                            copy, status="sent", attempts=copy.attempts + 1, detail=outcome.detail
                        )
                    )
                    if self._patience.welcome(address):
                        # Deferred copies keep their own time: it may have been their own fault.
                        self._mailings.close(address, -math.inf)
                case "refused":
                    changed.append(
                        msgspec.structs.replace(
                            copy, status="failed", attempts=copy.attempts + 1, detail=outcome.detail
                        )
                    )
                    self._patience.refused(address, outcome.detail)
                case "deferred":
                    changed.append(self._postponed(mail, copy, outcome.detail, LATER))
                    self._mailings.close(address, self._patience.deferred(address, outcome.detail))
                case "uncertain":
                    is_uncertain = True
                    copy = self._postponed(mail, copy, outcome.detail, SOON)
                    changed.append(msgspec.structs.replace(copy, is_uncertain=True))
        if is_uncertain:
            detail = next(iter(outcomes.values())).detail
            self._patience.leave_server_alone("uncertain", detail, SOON)
        else:
            self._patience.forgive_server()
        sent = sum(copy.status == "sent" for copy in changed)
        if sent:
            log.info("mail sent", message_id=mail.message_id, recipients=sent)
        self._settle(mail, changed, now)

    def _postponed(
        self, mail: Waiting, copy: Copy, detail: str, first: float, *, counts: bool = True
    ) -> Copy:
        now = self._now()
        attempts = copy.attempts + counts
        if self._is_over(mail, now):
            return msgspec.structs.replace(
                copy, status="failed", attempts=attempts, detail=f"given up: {detail}"[:200]
            )
        delay = self._patience.delay(max(attempts, 1), first)
        return msgspec.structs.replace(
            copy, attempts=attempts, next_attempt=now + delay, detail=detail
        )

    def _is_over(self, mail: Waiting, now: float) -> bool:
        return now >= max(mail.frozen_at + GIVE_UP_AFTER, self._started_at + _TRY_AT_LEAST)

    def _settle(self, mail: Waiting, changed: Sequence[Copy], now: float) -> None:
        if not changed:
            return
        for copy in changed:
            if copy.status == "pending":
                mail.copies[copy.address] = copy
            else:
                del mail.copies[copy.address]
            if copy.status == "failed":
                log.warning(
                    "mail failed for good",
                    message_id=mail.message_id,
                    recipient=copy.address,
                    reason=copy.detail,
                )
        if not mail.copies:
            del self._waiting[mail.message_id]
        self._ledger.add(Judged(mail.message_id, tuple(changed), now))
