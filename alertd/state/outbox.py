"""
Alerts on their way out: from the commit that raised them to the server's 250.

A notice is *queued* for each of its addresses.  A mail is *frozen*: its bytes are stored before
the first attempt and are the bytes of every attempt.  Freezing moves its addresses from the queue
to *copies*, and each copy is judged on its own: pending, sent, or failed for good.

What is frozen under a Message-ID stays: a second mail with the same ID is given the first one's
bytes, so that whoever compares two copies finds them equal.

What is done keeps its id, rule and times, for ``alertd status`` and so that an alert which comes
again is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from alertd.core.events import Notice
from alertd.state.database import seal, unseal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from alertd.core.mailing import Reason

T = TypeVar("T")

KEPT_DONE: Final = 1_000
KEPT_FAILED: Final = 10_000
BRIEF_FROM: Final = 10_000
"""Queued copies from which on alerts are kept without their lines: they will share a mail."""


class Queued(msgspec.Struct, frozen=True, gc=False):
    """
    A notice that is in no mail yet, for some addresses.

    Attributes:
        number: Its place in the order of raising.
        time: Unix seconds of the event.
        raised_at: Unix seconds, by the clock, of the alert.
        addresses: Who is still to be told.
        is_end: It says that what another alert told is over.
    """

    number: int
    time: float
    raised_at: float
    addresses: tuple[str, ...]
    is_end: bool = False


class Copy(msgspec.Struct, frozen=True, gc=False):
    """
    One address's copy of a frozen mail.

    Attributes:
        address: Whose.
        status: Where it stands.
        attempts: How often the server has judged this copy, or left us without a judgement.
        next_attempt: Unix seconds before which it is not tried again.
        is_uncertain: It may have arrived: the connection broke when the server had it all.
        detail: What the server said last.
    """

    address: str
    status: Literal["pending", "sent", "failed"] = "pending"
    attempts: int = 0
    next_attempt: float = 0.0
    is_uncertain: bool = False
    detail: str = ""


class Pending(msgspec.Struct, frozen=True):
    """
    A frozen mail that somebody still waits for.

    Attributes:
        message_id: Its name.
        first: The number of the oldest notice in it.
        frozen_at: Unix seconds of its first attempt.
        copies: Those that are pending.
    """

    message_id: str
    first: int
    frozen_at: float
    copies: tuple[Copy, ...]


class Frozen(msgspec.Struct, frozen=True):
    """To record: a mail's bytes, for these addresses of these notices, before its first attempt."""

    message_id: str
    payload: bytes
    reason: Reason
    notices: tuple[int, ...]
    addresses: tuple[str, ...]
    at: float


class Judged(msgspec.Struct, frozen=True):
    """To record: what became of some copies of a mail."""

    message_id: str
    copies: tuple[Copy, ...]
    at: float


class Retained(msgspec.Struct, frozen=True):
    """
    To record: for these rules only these addresses are still to be told.

    A rule that is not named keeps all of its own.
    """

    recipients: Mapping[str, AbstractSet[str]]


class Cut(msgspec.Struct, frozen=True):
    """To record: a mail has other, fewer bytes from now on, because the server took no more."""

    message_id: str
    payload: bytes


class Retried(msgspec.Struct, frozen=True):
    """
    To record: what has not arrived is tried again as if it were new.

    Attributes:
        which: A Message-ID, with or without what surrounds its digits; the id of an alert; ``all``.
        at: Unix seconds.
    """

    which: str
    at: float


class Dropped(msgspec.Struct, frozen=True):
    """To record: what has not arrived is given up; see ``Retried``."""

    which: str
    at: float


Record: TypeAlias = Frozen | Judged | Retained | Cut | Retried | Dropped


class SentMail(msgspec.Struct, frozen=True, gc=False):
    """A mail to one address within the last hour: when it was frozen, and why."""

    address: str
    at: float
    reason: Reason


class Undelivered(msgspec.Struct, frozen=True):
    """A copy that failed for good."""

    message_id: str
    address: str
    detail: str
    at: float


class Entry(msgspec.Struct, frozen=True):
    """
    Something that has not arrived.

    Attributes:
        id: Of the mail, by which it can be retried or dropped: its Message-ID; of what is in no
            mail yet, the alert's.
        address: For whom.
        status: ``queued`` (in no mail yet), ``pending`` or ``failed``.
        rules: Whose alerts are in it.
        alerts: How many those are.
        since: Unix seconds at which it was first tried; for what is queued, raised.
        attempts: How often the server has said no.
        next_attempt: Unix seconds before which it is not tried again.
        detail: What the server said last.
    """

    id: str
    address: str
    status: Literal["queued", "pending", "failed"]
    rules: tuple[str, ...]
    alerts: int
    since: float
    attempts: int
    next_attempt: float
    detail: str


class PastAlert(msgspec.Struct, frozen=True):
    """
    An alert as it is remembered.

    Attributes:
        done_at: None until everybody has it.
        resolves: The id of the alert that it ends, if it is a resolution.
    """

    id: str
    rule: str
    key: tuple[tuple[str, str], ...]
    time: float
    raised_at: float
    done_at: float | None
    resolves: str = ""


class Counts(msgspec.Struct, frozen=True):
    """
    How full the outbox is.

    Attributes:
        pending: Alerts that somebody still waits for.
        failed: Copies that failed for good.
        oldest: Unix seconds at which the oldest pending alert was raised.
    """

    pending: int
    failed: int
    oldest: float | None


class Worker(Protocol):
    """Whatever runs jobs on the database."""

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``job``."""
        ...

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``job`` in a transaction."""
        ...


class Outbox:
    """
    The delivery's side of the state; all methods raise ``StateError``.

    Notices get in by ``State.commit`` only, together with what made them.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def queued(self, after: int = 0) -> list[Queued]:
        """Return the notices numbered above ``after`` that are queued for anybody, in order."""
        return await self._worker.read(lambda connection: _queued(connection, after))

    async def notices(self, numbers: Sequence[int], *, is_brief: bool = False) -> list[Notice]:
        """
        Return these notices as they were raised, those that are done left out.

        A brief one lacks its lines: thousands of them at a time are for a list.  Of a resolution,
        ``answers`` are the mails that its alert is in by now.

        ``recipients`` are those who were or will be told: without the addresses that a reload has
        taken away since.
        """
        return await self._worker.read(
            lambda connection: _notices(connection, numbers, is_brief=is_brief)
        )

    async def pending(self) -> list[Pending]:
        """Return the frozen mails with pending copies, oldest first."""
        return await self._worker.read(_pending)

    async def payload(self, message_id: str) -> bytes | None:
        """Return the bytes frozen under ``message_id``, unless there are none any more."""
        return await self._worker.read(lambda connection: _payload(connection, message_id))

    async def write(self, records: Sequence[Record]) -> None:
        """Record what happened, in that order, in one transaction; again is no different."""
        await self._worker.write(lambda connection: _record(connection, records))

    async def sent_since(self, time: float) -> list[SentMail]:
        """Return the mails frozen after ``time``, of the last hour at least, by address."""
        return await self._worker.read(lambda connection: _sent_since(connection, time))

    async def failed(self, limit: int = 100) -> list[Undelivered]:
        """Return the newest copies that failed for good, newest first."""
        return await self._worker.read(lambda connection: _failed(connection, limit))

    async def entries(self, limit: int = 1_000) -> list[Entry]:
        """Return what has not arrived: what failed for good, then the rest, each newest first."""
        return await self._worker.read(lambda connection: _entries(connection, limit))

    async def holds(self, which: str) -> int:
        """Count what ``Retried`` or ``Dropped`` with this would be about."""
        return await self._worker.read(
            lambda connection: len(_chosen(connection, which)) + len(_queued_of(connection, which))
        )

    async def last_alerts(self, limit: int = 10) -> list[PastAlert]:
        """Return the alerts raised last, newest first."""
        return await self._worker.read(lambda connection: _last_alerts(connection, limit))

    async def prune(self, before: float) -> None:
        """Forget all but the last done and failed, and the mails frozen since ``before``."""
        await self._worker.write(lambda connection: prune(connection, before))

    async def counts(self) -> Counts:
        """Count what is here."""
        return await self._worker.read(_counts)


def enqueue(connection: sqlite3.Connection, notices: Iterable[Notice]) -> None:
    """
    Queue notices, each for its recipients; one whose alert is already known is left out.

    In a flood that the mail server does not take off, lines are not kept: the outbox stays small.

    Runs inside the transaction of ``State.commit``.
    """
    is_brief = bool(
        connection.execute("SELECT 1 FROM queued LIMIT 1 OFFSET ?", (BRIEF_FROM,)).fetchone()
    )
    for notice in notices:
        alert = notice.alert
        kept = _brief(notice) if is_brief else notice
        added = connection.execute(
            "INSERT OR IGNORE INTO notice (id, rule, key, time, raised_at, value, resolves)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                alert.id,
                alert.rule,
                msgspec.json.encode(alert.key).decode(),
                alert.time,
                notice.raised_at,
                seal(alert.id, msgspec.msgpack.encode(kept)),
                "" if alert.end is None else alert.end.alert,
            ),
        )
        if added.rowcount == 1:
            connection.executemany(
                "INSERT INTO queued VALUES (?, ?)",
                [(added.lastrowid, address) for address in _distinct(notice.recipients)],
            )


def _distinct(addresses: Iterable[str]) -> list[str]:
    """Leave out repeated addresses; the part after the @ is the same in either case."""
    seen: dict[tuple[str, str], str] = {}
    for address in addresses:
        local, _, domain = address.rpartition("@")
        seen.setdefault((local, domain.casefold()), address)
    return list(seen.values())


def _queued(connection: sqlite3.Connection, after: int) -> list[Queued]:
    found: list[Queued] = []
    addresses: list[str] = []
    previous: tuple[int, float, float, bool] | None = None
    for number, time, raised_at, is_end, address in connection.execute(
        "SELECT number, time, raised_at, resolves <> '', address"
        " FROM queued JOIN notice ON number = notice"
        " WHERE notice > ? ORDER BY notice, address",
        (after,),
    ):
        if previous is not None and previous[0] != number:
            found.append(_of_row(previous, addresses))
            addresses.clear()
        previous = (number, time, raised_at, bool(is_end))
        addresses.append(address)
    if previous is not None:
        found.append(_of_row(previous, addresses))
    return found


def _of_row(row: tuple[int, float, float, bool], addresses: Sequence[str]) -> Queued:
    number, time, raised_at, is_end = row
    return Queued(number, time, raised_at, tuple(addresses), is_end)


def _notices(
    connection: sqlite3.Connection, numbers: Sequence[int], *, is_brief: bool
) -> list[Notice]:
    found = []
    for number in numbers:
        row = connection.execute("SELECT value FROM notice WHERE number = ?", (number,)).fetchone()
        if row is None or row[0] is None:
            continue
        notice = msgspec.msgpack.decode(unseal(row[0]), type=Notice)
        told = {
            address
            for (address,) in connection.execute(
                "SELECT address FROM queued WHERE notice = ?1 UNION"
                " SELECT address FROM content JOIN copy USING (mail) WHERE notice = ?1",
                (number,),
            )
        }
        recipients = tuple(a for a in _distinct(notice.recipients) if a in told)
        notice = _brief(notice) if is_brief else notice
        answers = () if notice.alert.end is None else _mailed_as(connection, notice.alert.end.alert)
        found.append(msgspec.structs.replace(notice, recipients=recipients, answers=answers))
    return found


def _mailed_as(connection: sqlite3.Connection, alert: str) -> tuple[str, ...]:
    """Give the Message-IDs under which an alert was mailed: its own, and those of joined mails."""
    rows = connection.execute(
        "SELECT message_id FROM mail JOIN content ON content.mail = mail.number"
        " JOIN notice ON notice.number = content.notice WHERE notice.id = ? ORDER BY mail.number",
        (alert,),
    )
    return tuple(message_id for (message_id,) in rows)


def _brief(notice: Notice) -> Notice:
    """Leave its lines out."""
    first = msgspec.structs.replace(notice.alert.first, line="")
    alert = msgspec.structs.replace(notice.alert, line="", first=first, last=(), histogram=())
    return msgspec.structs.replace(notice, alert=alert)


def _pending(connection: sqlite3.Connection) -> list[Pending]:
    mails = connection.execute(
        "SELECT number, message_id, frozen_at,"
        " (SELECT coalesce(min(notice), 0) FROM content WHERE mail = number) AS first"
        " FROM mail WHERE number IN (SELECT mail FROM copy WHERE status = 'pending')"
        " ORDER BY first, number"
    ).fetchall()
    return [
        Pending(
            message_id,
            first,
            frozen_at,
            tuple(
                Copy(address, status, attempts, next_attempt, bool(is_uncertain), detail)
                for address, status, attempts, next_attempt, is_uncertain, detail in (
                    connection.execute(
                        "SELECT address, status, attempts, next_attempt, is_uncertain, detail"
                        " FROM copy WHERE mail = ? AND status = 'pending' ORDER BY address",
                        (number,),
                    )
                )
            ),
        )
        for number, message_id, frozen_at, first in mails
    ]


def _payload(connection: sqlite3.Connection, message_id: str) -> bytes | None:
    row = connection.execute(
        "SELECT payload FROM mail WHERE message_id = ?", (message_id,)
    ).fetchone()
    return None if row is None or row[0] is None else unseal(row[0])


def _record(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    for record in records:
        match record:
            case Frozen():
                _freeze(connection, record)
            case Judged():
                _judge(connection, record)
            case Retained():
                _retain(connection, record)
            case Cut():
                connection.execute(
                    "UPDATE mail SET payload = ? WHERE message_id = ?",
                    (seal(record.message_id, record.payload), record.message_id),
                )
            case Retried():
                _retry(connection, record)
            case Dropped():
                _drop(connection, record)


def _freeze(connection: sqlite3.Connection, mail: Frozen) -> None:
    connection.execute(
        "INSERT INTO mail (message_id, reason, frozen_at, payload) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (message_id) DO UPDATE SET payload = coalesce(payload, excluded.payload)",
        (mail.message_id, mail.reason, mail.at, seal(mail.message_id, mail.payload)),
    )
    number = _number(connection, mail.message_id)
    connection.executemany(
        "INSERT OR IGNORE INTO content VALUES (?, ?)",
        [(number, notice) for notice in mail.notices],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO copy (mail, address, reason, status, frozen_at)"
        " VALUES (?, ?, ?, 'pending', ?)",
        [(number, address, mail.reason, mail.at) for address in mail.addresses],
    )
    for address in mail.addresses:
        connection.execute(
            "DELETE FROM queued WHERE address = ?"
            " AND notice IN (SELECT notice FROM content WHERE mail = ?)",
            (address, number),
        )


def _judge(connection: sqlite3.Connection, judged: Judged) -> None:
    number = _number(connection, judged.message_id)
    connection.executemany(
        "UPDATE copy SET status = ?, attempts = ?, next_attempt = ?, is_uncertain = ?,"
        " detail = ?, judged_at = ? WHERE mail = ? AND address = ?",
        [
            (
                copy.status,
                copy.attempts,
                copy.next_attempt,
                copy.is_uncertain,
                copy.detail,
                judged.at,
                number,
                copy.address,
            )
            for copy in judged.copies
        ],
    )
    _finish(connection, number, judged.at)


def _finish(connection: sqlite3.Connection, mail: int, at: float) -> None:
    """Let go of what nobody needs any more, once everybody has what is in ``mail``."""
    connection.execute(
        "UPDATE notice SET done_at = ?1, value = NULL"
        " WHERE number IN (SELECT notice FROM content WHERE mail = ?2) AND done_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM queued WHERE queued.notice = notice.number)"
        " AND NOT EXISTS (SELECT 1 FROM content JOIN copy USING (mail)"
        "                 WHERE content.notice = notice.number AND copy.status <> 'sent')",
        (at, mail),
    )
    connection.execute(
        "UPDATE mail SET payload = NULL WHERE number IN"
        " (SELECT mail FROM content WHERE notice IN (SELECT notice FROM content WHERE mail = ?))"
        " AND payload IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM copy WHERE copy.mail = number AND status <> 'sent')"
        " AND NOT EXISTS (SELECT 1 FROM content JOIN notice ON notice.number = content.notice"
        "                 WHERE content.mail = mail.number AND notice.done_at IS NULL)",
        (mail,),
    )


def _retain(connection: sqlite3.Connection, retained: Retained) -> None:
    for rule, addresses in retained.recipients.items():
        for notice, address in connection.execute(
            "SELECT notice, address FROM queued JOIN notice ON number = notice WHERE rule = ?",
            (rule,),
        ).fetchall():
            if address not in addresses:
                connection.execute(
                    "DELETE FROM queued WHERE notice = ? AND address = ?", (notice, address)
                )
    for mail, address in connection.execute(
        "SELECT mail, address FROM copy WHERE status = 'pending'"
    ).fetchall():
        rules = connection.execute(
            "SELECT DISTINCT rule FROM content JOIN notice ON number = notice WHERE mail = ?",
            (mail,),
        ).fetchall()
        if not any(address in retained.recipients.get(rule, (address,)) for (rule,) in rules):
            connection.execute("DELETE FROM copy WHERE mail = ? AND address = ?", (mail, address))
    connection.execute(
        "UPDATE notice SET done_at = raised_at, value = NULL WHERE done_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM queued WHERE queued.notice = notice.number)"
        " AND NOT EXISTS (SELECT 1 FROM content JOIN copy USING (mail)"
        "                 WHERE content.notice = notice.number AND copy.status <> 'sent')"
    )


def _chosen(connection: sqlite3.Connection, which: str) -> list[int]:
    """Return the mails, by number, that have not arrived everywhere and that a person means."""
    rows = connection.execute(
        "SELECT number FROM mail WHERE number IN (SELECT mail FROM copy WHERE status <> 'sent')"
        " AND (?1 = 'all' OR message_id = ?1 OR message_id = '<' || ?1 || '>'"
        "      OR substr(message_id, 2, instr(message_id, '@') - 2) = ?1"
        "      OR number IN (SELECT mail FROM content JOIN notice ON notice.number = notice"
        "                    WHERE id = ?1))",
        (which,),
    )
    return [number for (number,) in rows]


def _queued_of(connection: sqlite3.Connection, which: str) -> list[int]:
    rows = connection.execute(
        "SELECT DISTINCT notice FROM queued JOIN notice ON number = notice"
        " WHERE ?1 = 'all' OR id = ?1",
        (which,),
    )
    return [number for (number,) in rows]


def _retry(connection: sqlite3.Connection, retried: Retried) -> None:
    for mail in _chosen(connection, retried.which):
        connection.execute("UPDATE mail SET frozen_at = ? WHERE number = ?", (retried.at, mail))
        connection.execute(
            "UPDATE copy SET status = 'pending', attempts = 0, next_attempt = 0"
            " WHERE mail = ? AND status <> 'sent'",
            (mail,),
        )


def _drop(connection: sqlite3.Connection, dropped: Dropped) -> None:
    for notice in _queued_of(connection, dropped.which):
        connection.execute("DELETE FROM queued WHERE notice = ?", (notice,))
    for mail in _chosen(connection, dropped.which):
        connection.execute("DELETE FROM copy WHERE mail = ? AND status <> 'sent'", (mail,))
        _finish(connection, mail, dropped.at)
    connection.execute(
        "UPDATE notice SET done_at = ?, value = NULL WHERE done_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM queued WHERE queued.notice = notice.number)"
        " AND NOT EXISTS (SELECT 1 FROM content JOIN copy USING (mail)"
        "                 WHERE content.notice = notice.number AND copy.status <> 'sent')",
        (dropped.at,),
    )


def _entries(connection: sqlite3.Connection, limit: int) -> list[Entry]:
    entries = []
    for message_id, number, address, status, since, attempts, again, detail in connection.execute(
        "SELECT message_id, number, address, status, mail.frozen_at, attempts, next_attempt, detail"
        " FROM copy JOIN mail ON number = mail WHERE status <> 'sent'"
        " ORDER BY status, number DESC, address LIMIT ?",
        (limit,),
    ).fetchall():
        rules = connection.execute(
            "SELECT rule, count(*) FROM content JOIN notice ON number = notice WHERE mail = ?"
            " GROUP BY rule ORDER BY rule",
            (number,),
        ).fetchall()
        entries.append(
            Entry(
                message_id,
                address,
                status,
                tuple(rule for rule, _ in rules),
                sum(count for _, count in rules),
                since,
                attempts,
                again,
                detail,
            )
        )
    entries += [
        Entry(id_, address, "queued", (rule,), 1, raised_at, 0, 0.0, "")
        for id_, address, rule, raised_at in connection.execute(
            "SELECT id, address, rule, raised_at FROM queued JOIN notice ON number = notice"
            " ORDER BY number DESC, address LIMIT ?",
            (limit - len(entries),),
        )
    ]
    return entries


def prune(connection: sqlite3.Connection, before: float) -> None:
    """
    Forget all but the last done and failed; mails frozen since ``before`` stay for the hour limit.

    Runs at the start and now and then, inside a transaction.
    """
    connection.execute(
        "DELETE FROM notice WHERE done_at IS NOT NULL AND number <= coalesce((SELECT number FROM"
        " notice WHERE done_at IS NOT NULL ORDER BY number DESC LIMIT 1 OFFSET ?), 0)",
        (KEPT_DONE,),
    )
    connection.execute(
        "DELETE FROM copy WHERE status = 'failed' AND mail <= coalesce((SELECT mail FROM copy"
        " WHERE status = 'failed' ORDER BY mail DESC LIMIT 1 OFFSET ?), 0)",
        (KEPT_FAILED,),
    )
    connection.execute("DELETE FROM content WHERE notice NOT IN (SELECT number FROM notice)")
    connection.execute(
        "DELETE FROM copy WHERE status = 'sent' AND frozen_at < ?"
        " AND mail NOT IN (SELECT mail FROM content)",
        (before,),
    )
    connection.execute(
        "DELETE FROM mail WHERE number NOT IN (SELECT mail FROM copy)"
        " AND number NOT IN (SELECT mail FROM content)"
    )


def _number(connection: sqlite3.Connection, message_id: str) -> int:
    row = connection.execute(
        "SELECT number FROM mail WHERE message_id = ?", (message_id,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def _sent_since(connection: sqlite3.Connection, time: float) -> list[SentMail]:
    return [
        SentMail(*row)
        for row in connection.execute(
            "SELECT address, frozen_at, reason FROM copy WHERE frozen_at > ? ORDER BY frozen_at",
            (time,),
        )
    ]


def _failed(connection: sqlite3.Connection, limit: int) -> list[Undelivered]:
    return [
        Undelivered(*row)
        for row in connection.execute(
            "SELECT message_id, address, detail, judged_at FROM copy JOIN mail ON number = mail"
            " WHERE status = 'failed' ORDER BY judged_at DESC, mail DESC, address LIMIT ?",
            (limit,),
        )
    ]


def _last_alerts(connection: sqlite3.Connection, limit: int) -> list[PastAlert]:
    return [
        PastAlert(
            id_,
            rule,
            msgspec.json.decode(key, type=tuple[tuple[str, str], ...]),
            time,
            raised_at,
            done_at,
            resolves,
        )
        for id_, rule, key, time, raised_at, done_at, resolves in connection.execute(
            "SELECT id, rule, key, time, raised_at, done_at, resolves FROM notice"
            " ORDER BY number DESC LIMIT ?",
            (limit,),
        )
    ]


def _counts(connection: sqlite3.Connection) -> Counts:
    pending, oldest = connection.execute(
        "SELECT count(*), min(raised_at) FROM notice WHERE number IN"
        " (SELECT notice FROM queued UNION"
        "  SELECT notice FROM content JOIN copy USING (mail) WHERE status = 'pending')"
    ).fetchone()
    (failed,) = connection.execute("SELECT count(*) FROM copy WHERE status = 'failed'").fetchone()
    return Counts(pending, failed, oldest)
