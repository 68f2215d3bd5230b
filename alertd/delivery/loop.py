"""
One mail at a time: freeze its bytes, send them, record each recipient's outcome, next.

Only after the server's 250 is a recipient marked sent, so whatever dies in between leads to a
repeat that is byte-identical, never to a loss.

Refuses to give up early, to try in a hurry, and to let one mail, recipient or rule hold up others:
a server in trouble is left alone for a while, and so is an address; what has failed most often
comes last.

Traps:

- Waiting goes by the monotonic clock: somebody may set the other one while we wait.
- When the state cannot be written, mails whose alerts were committed go all the same, and what
  became of them is recorded later, in order (a full disk must not silence a burning house).
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import structlog

from alertd.core.mailing import Mailing, Mailings
from alertd.core.render import Mail, cut_mail, render_alert, render_joined
from alertd.delivery.ledger import Ledger
from alertd.delivery.patience import AT_MOST, LATER, SOON, Patience
from alertd.smtp import DeliveryError, Outcome
from alertd.state import Copy, Cut, Dropped, Frozen, Judged, Retained, Retried, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import tzinfo

    from alertd.core.events import Notice
    from alertd.state import Outbox, Record

log = structlog.get_logger(__name__)

GIVE_UP_AFTER: Final = 5 * 86_400.0
_TRY_AT_LEAST: Final = 3600.0
"""Seconds for which even the oldest mail is tried after a start: the network may come up late."""
_SEND_AT_MOST: Final = 900.0
"""Seconds, whatever ``timeout`` is: RFC 5321 lets a server take ten minutes for the final dot."""
_IDLE: Final = 10.0
_CLOSE_AT_MOST: Final = 5.0
_RECORD_AGAIN: Final = 1.0
_PRUNE_EVERY: Final = 500
_HOUR: Final = 3600.0
_STUCK_AFTER: Final = _SEND_AT_MOST + 60.0
"""Seconds after which one step has outlasted every deadline in it."""
_TOO_LARGE: Final = re.compile(r"(?:^|: )552\b")


class EmailSettings(Protocol):
    """What delivery reads of ``[email]``."""

    @property
    def sender(self) -> str:
        """For ``From`` and the envelope."""
        ...

    @property
    def join_older_than(self) -> float:
        """Seconds; 0 for never."""
        ...

    @property
    def max_per_hour(self) -> int:
        """Mails to one address; 0 for any number."""
        ...


class Notifier(Protocol):
    """Whatever hands a mail to a server (see ``smtp``)."""

    async def send(
        self, sender: str, recipients: Sequence[str], payload: bytes
    ) -> dict[str, Outcome]:
        """Send to all, or raise ``DeliveryError`` where no recipient could be judged."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(slots=True)
class _Waiting:
    """A frozen mail and its pending copies; ``payload`` is kept only while it is not stored."""

    message_id: str
    first: int
    frozen_at: float
    copies: dict[str, Copy]
    payload: bytes | None = None

    def due(self, now: float) -> list[Copy]:
        return [copy for copy in self.copies.values() if copy.next_attempt <= now]


class Delivery:
    """
    The way out.

    Args:
        outbox: Where notices and mails are kept.
        notifier: Sends one mail.
        email: The settings.
        host: The name of this machine, for the mails.
        timezone: For the times that people read.
        is_caught_up: Whether no file is behind; late alerts are joined until then.
        clock: Unix seconds, for the date of a mail.
        monotonic: Seconds of a clock that never jumps.
        jitter: A random number between 0 and 1.
        digest_after: Seconds from meeting the hour's limit to the first digest.
    """

    def __init__(
        self,
        outbox: Outbox,
        notifier: Notifier,
        email: EmailSettings,
        *,
        host: str,
        timezone: tzinfo,
        is_caught_up: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        digest_after: float = 60.0,
    ) -> None:
        self._busy_since: float | None = None
        self._outbox = outbox
        self._notifier = notifier
        self._email = email
        self._host = host
        self._timezone = timezone
        self._is_caught_up = is_caught_up
        self._clock = clock
        self._monotonic = monotonic
        self._mailings = Mailings(
            join_older_than=email.join_older_than,
            max_per_hour=email.max_per_hour,
            digest_after=digest_after,
        )
        # Unix seconds that never jump: right when we start, and as good as the machine's clock
        # for comparing with what an earlier run has stored.
        self._epoch = clock() - monotonic()
        self._started_at = self._now()
        self._waiting: dict[str, _Waiting] = {}
        self._ledger = Ledger(outbox)
        self._patience = Patience(self._now, jitter)
        self._last_number = 0
        self._is_loaded = False
        self._has_news = True
        self._knows_history = False
        self._retired: list[Notifier] = []
        self._since_prune = 0
        self._is_connected = False
        self._is_draining = False
        self._turn = asyncio.Lock()
        self._awake = asyncio.Event()
        self._awake.set()
        self._resting = asyncio.Event()

    @property
    def failures(self) -> int:
        """How many copies are known to have failed for good since the start."""
        return self._ledger.failures

    @property
    def is_stuck(self) -> bool:
        """Something in here has outlasted its own deadline: only a new process may help."""
        since = self._busy_since
        return since is not None and self._monotonic() - since > _STUCK_AFTER

    def wake(self) -> None:
        """Look at the outbox now: something was committed, or the daemon has caught up."""
        self._resting.clear()
        self._awake.set()

    async def rest(self) -> None:
        """Wait until all that can be done at the moment has been done."""
        await self._resting.wait()

    async def run(self) -> None:
        """
        Send until drained or cancelled, which may happen anywhere.

        Raises:
            StateError: The state cannot be used any more.
        """
        self._is_loaded = False
        while not self._is_draining:
            try:
                seconds = await self.step()
            except StateError as error:
                if not error.is_temporary:
                    raise
                # Reading failed, so what we know may be incomplete.
                self._is_loaded = False
                seconds = _RECORD_AGAIN
            if seconds > 0 and not self._is_draining:
                await self._pause(seconds)

    async def step(self) -> float:
        """
        Do the next thing that is due: at most one mail.

        Returns:
            Seconds after which there is more to do if nothing wakes us: 0 for at once, infinity
            for never.
        """
        async with self._turn:
            self._busy_since = self._monotonic()
            try:
                return await self._step()
            finally:
                self._busy_since = None

    async def _step(self) -> float:
        if self._awake.is_set():
            self._awake.clear()
            self._has_news = True
        await self._close_retired()
        if not await self._ledger.write() and (
            not self._is_loaded or self._ledger.is_recipient_unsettled
        ):
            # Whom to tell is not settled until it is on disk.
            return _RECORD_AGAIN
        await self._take_in()
        now = self._now()
        chosen = self._patience.until if self._patience.until > now else self._choose(now)
        if isinstance(chosen, float):
            if not self._ledger.is_empty:
                return min(chosen - now, _RECORD_AGAIN)
            await self._prune_now_and_then()
            return max(chosen - now, 0.0)
        if isinstance(chosen, Mailing):
            chosen = await self._freeze(chosen, now)
        await self._attempt(chosen)
        return 0.0

    async def drain(self, deadline: float) -> None:
        """
        Let the mail in flight arrive, and leave the rest for the next start.

        Args:
            deadline: Seconds for it.  A mail that takes longer stays pending; cancel ``run`` then.
        """
        self._is_draining = True
        self.wake()
        try:
            async with asyncio.timeout(deadline), self._turn:
                await self._ledger.write()
                await self._close_retired()
                await self._close(self._notifier)
        except TimeoutError:
            log.warning("mail in flight left for the next start")

    def reconfigure(self, email: EmailSettings, notifier: Notifier) -> None:
        """
        Follow a reload: what waits is tried at once, with these settings and through this server.

        A mail in flight ends on the connection that it began on.
        """
        if notifier is not self._notifier:
            self._retired.append(self._notifier)
            self._notifier = notifier
        self._email = email
        self._mailings.reconfigure(
            join_older_than=email.join_older_than, max_per_hour=email.max_per_hour
        )
        self._patience.forget()
        for mail in self._waiting.values():
            mail.copies = {
                address: msgspec.structs.replace(copy, next_attempt=0.0)
                for address, copy in mail.copies.items()
            }
        self.wake()

    async def retain_recipients(
        self, recipients: Mapping[str, Collection[str]], *, within: float = 10.0
    ) -> None:
        """
        Tell nobody any more who has been taken off a rule; who was added hears of new alerts only.

        Args:
            recipients: For each rule of the new configuration, who is told.  Of a rule that is
                missing, everything still goes out.
            within: Seconds to wait for a mail in flight, so that the promise holds on return.
        """
        kept = Retained({rule: frozenset(told) for rule, told in recipients.items()})
        if not await self._record_now(kept, within):
            log.warning("mail in flight outlasts the reload")
        self.wake()

    async def retry(self, which: str) -> None:
        """
        Try mails again at once, also those that had failed for good.

        Args:
            which: A Message-ID, the id of an alert in it, or ``all``.
        """
        await self._record_now(Retried(which, self._now()))
        self._patience.forget()
        self._mailings.open()
        self.wake()

    async def drop(self, which: str) -> None:
        """
        Give mails up that have not arrived.

        Args:
            which: As for ``retry``.
        """
        await self._record_now(Dropped(which, self._now()))
        self.wake()

    async def announce(self, notice: Notice) -> bool:
        """
        Mail something at once that the outbox cannot hold, and try it only once.

        Returns:
            Whether everybody has it.
        """
        mail = self._rendered([notice], Mailing("alert", (0,), notice.recipients))
        try:
            async with asyncio.timeout(_SEND_AT_MOST), self._turn:
                self._is_connected = True
                outcomes = await self._notifier.send(
                    self._email.sender, notice.recipients, mail.payload
                )
        except (DeliveryError, TimeoutError):
            return False
        return all(outcome.status == "sent" for outcome in outcomes.values())

    async def _record_now(self, record: Record, within: float = 10.0) -> bool:
        """Record what changes whom to tell; say whether no mail in flight was in the way."""
        try:
            async with asyncio.timeout(within):
                await self._turn.acquire()
        except TimeoutError:
            self._ledger.add(record)
            self._is_loaded = False
            return False
        try:
            self._ledger.add(record)
            self._is_loaded = False
            await self._ledger.write()
        finally:
            self._turn.release()
        return True

    async def status(self) -> dict[str, object]:
        """
        Say how things stand.

        Returns:
            ``pending`` (alerts), ``oldest`` (Unix seconds, when the oldest of them was raised),
            ``held`` (alerts that wait to share a mail, once for each address), ``failed`` (copies,
            for good), ``sent_last_hour`` (mails, once for each address), ``last_error``, and
            ``next_attempt_in`` (seconds; None unless the server is being left alone).
        """
        counts = await self._outbox.counts()
        now = self._now()
        return {
            "pending": counts.pending,
            "oldest": counts.oldest,
            "held": self._mailings.held(),
            "failed": counts.failed,
            "sent_last_hour": self._mailings.sent_last_hour(now),
            "last_error": self._patience.last_error,
            "next_attempt_in": until - now if (until := self._patience.until) > now else None,
        }

    def _now(self) -> float:
        return self._epoch + self._monotonic()

    async def _pause(self, seconds: float) -> None:
        idle = _IDLE if self._is_connected else math.inf
        limit = min(seconds, idle)
        if not self._awake.is_set():
            self._resting.set()
        try:
            async with asyncio.timeout(None if limit == math.inf else limit):
                await self._awake.wait()
        except TimeoutError:
            if idle <= seconds:
                self._is_connected = False
                await self._close(self._notifier)

    async def _close_retired(self) -> None:
        while self._retired:
            await self._close(self._retired.pop())

    async def _close(self, notifier: Notifier) -> None:
        try:
            async with asyncio.timeout(_CLOSE_AT_MOST):
                await notifier.close()
        except TimeoutError:
            pass  # nothing depends on a goodbye

    # What is known.

    async def _take_in(self) -> None:
        if not self._is_loaded:
            await self._load()
        if not self._has_news:
            return
        now = self._now()
        for queued in await self._outbox.queued(self._last_number):
            self._last_number = queued.number
            self._mailings.add(
                queued.number,
                age=queued.raised_at - queued.time,
                addresses=queued.addresses,
                now=now,
                # By the same clock: it may have been set since, and ours never is.
                since=now - max(0.0, self._clock() - queued.raised_at),
            )
        self._has_news = False

    async def _load(self) -> None:
        """Read everything, as after a start; what each address has had is read only once."""
        now = self._now()
        if not self._knows_history:
            self._knows_history = True
            for mail in await self._outbox.sent_since(now - _HOUR):
                # A time from the future was written before somebody set the clock back.
                if mail.at <= now:
                    self._mailings.count(mail.address, mail.at, is_digest=mail.reason == "digest")
        self._waiting = {
            pending.message_id: _Waiting(
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
            for pending in await self._outbox.pending()
        }
        self._mailings.clear()
        self._last_number = 0
        self._is_loaded = True
        self._has_news = True

    async def _prune_now_and_then(self) -> None:
        if self._since_prune < _PRUNE_EVERY:
            return
        self._since_prune = 0
        await self._outbox.prune(self._now() - _HOUR)

    # One mail.

    def _choose(self, now: float) -> _Waiting | Mailing | float:
        """Return what is to be tried: what has failed least often, then what is oldest."""
        following = self._mailings.next(now, is_caught_up=self._is_caught_up())
        best: _Waiting | Mailing | None = None
        rank = (math.inf, math.inf)
        again = math.inf
        if isinstance(following, Mailing):
            best, rank = following, (0, following.notices[0])
        else:
            again = following
        for mail in self._waiting.values():
            due = mail.due(now)
            if not due:
                again = min(again, *(copy.next_attempt for copy in mail.copies.values()))
            elif (own := (max(copy.attempts for copy in due), mail.first)) < rank:
                best, rank = mail, own
        return again if best is None else best

    async def _freeze(self, mailing: Mailing, now: float) -> _Waiting:
        """Make a mail's bytes, for good."""
        is_single = len(mailing.notices) == 1
        notices = await self._outbox.notices(mailing.notices, is_brief=not is_single)
        if is_single:
            mail = self._rendered(notices, mailing)
        else:
            # Thousands of alerts take a second, in which other tasks want to run.
            mail = await asyncio.to_thread(self._rendered, notices, mailing)
        self._ledger.add(
            Frozen(
                message_id=mail.message_id,
                payload=mail.payload,
                reason=mailing.reason,
                notices=mailing.notices,
                addresses=mailing.addresses,
                at=now,
            )
        )
        is_stored = await self._ledger.write()
        self._mailings.take(mailing, now)
        self._since_prune += 1
        waiting = self._waiting.setdefault(
            mail.message_id, _Waiting(mail.message_id, mailing.notices[0], now, {})
        )
        for address in mailing.addresses:
            waiting.copies.setdefault(address, Copy(address))
        # Whoever got this mail before got the bytes that are stored: everybody does.
        if is_stored:
            waiting.payload = None
        elif waiting.payload is None:
            waiting.payload = await self._outbox.payload(mail.message_id) or mail.payload
        return waiting

    def _rendered(self, notices: Sequence[Notice], mailing: Mailing) -> Mail:
        sent_at = self._clock()
        if len(notices) == 1:
            return render_alert(
                notices[0],
                host=self._host,
                sender=self._email.sender,
                timezone=self._timezone,
                sent_at=sent_at,
            )
        return render_joined(
            notices,
            reason="catching up" if mailing.reason == "alert" else mailing.reason,
            host=self._host,
            sender=self._email.sender,
            timezone=self._timezone,
            sent_at=sent_at,
            recipients=mailing.addresses,
        )

    async def _attempt(self, mail: _Waiting) -> None:
        due = mail.due(self._now())
        payload = mail.payload or await self._outbox.payload(mail.message_id)
        if payload is None:
            # Only a person with a database tool can bring this about.
            self._judge(
                mail, {copy.address: Outcome("refused", "its bytes are gone") for copy in due}
            )
            await self._ledger.write()
            return
        addresses = [copy.address for copy in due]
        self._is_connected = True
        try:
            async with asyncio.timeout(_SEND_AT_MOST):
                outcomes = await self._notifier.send(self._email.sender, addresses, payload)
        except DeliveryError as error:
            is_cut = not error.retryable and self._cut_to_fit(mail, payload, error.detail)
            if not is_cut:
                self._fail(mail, addresses, error)
        except TimeoutError:
            self._fail(mail, addresses, DeliveryError("temporary", "took longer than any mail may"))
        except Exception as error:  # noqa: BLE001 - one mail that cannot be sent stops no other
            detail = f"{type(error).__name__}: {error}"[:200]
            self._fail(mail, addresses, DeliveryError("temporary", detail))
        else:
            silent = Outcome("deferred", "not mentioned")
            judged = {a: outcomes.get(a, silent) for a in addresses}
            refused = [a for a, outcome in judged.items() if outcome.status == "refused"]
            if any(self._cut_to_fit(mail, payload, judged[a].detail) for a in refused):
                # They get another chance, with less.
                judged = {
                    address: outcome
                    for address, outcome in judged.items()
                    if not _TOO_LARGE.search(outcome.detail)
                }
            self._judge(mail, judged)
        await self._ledger.write()

    def _cut_to_fit(self, mail: _Waiting, payload: bytes, detail: str) -> bool:
        """Make a mail shorter if the server finds it too large; say whether that has been done."""
        cut = cut_mail(payload) if _TOO_LARGE.search(detail) else None
        if cut is None:
            return False
        log.warning("mail too large; trying a shorter one", message_id=mail.message_id)
        self._ledger.add(Cut(mail.message_id, cut))
        mail.payload = cut
        return True

    def _fail(self, mail: _Waiting, addresses: Sequence[str], error: DeliveryError) -> None:
        """Nobody got it: leave the server alone, unless it is this mail that it refuses."""
        if not error.retryable:
            self._judge(mail, {a: Outcome("refused", error.detail) for a in addresses})
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

    def _judge(self, mail: _Waiting, outcomes: Mapping[str, Outcome]) -> None:
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
        self, mail: _Waiting, copy: Copy, detail: str, first: float, *, counts: bool = True
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

    def _is_over(self, mail: _Waiting, now: float) -> bool:
        return now >= max(mail.frozen_at + GIVE_UP_AFTER, self._started_at + _TRY_AT_LEAST)

    def _settle(self, mail: _Waiting, changed: Sequence[Copy], now: float) -> None:
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
