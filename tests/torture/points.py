"""
The points between reading a line and the end of its mail, at which a test lets things happen.

The product knows nothing of them: a driver wraps its collaborators from outside.  Whatever is
called at a point may end the process, raise or wait; at those inside a transaction it runs in the
thread that uses the database.

Trap: what is wrapped is named here.  If a name goes, ``passing`` fails; if a name stays but is not
called any more, its point is never passed, so a driver must see to it that each of them was.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from unittest.mock import patch

from aiosmtplib.protocol import SMTPProtocol

from alertd import smtp, state
from alertd.core.pipeline import Pipeline
from alertd.smtp import SmtpNotifier
from alertd.state import Frozen, Judged, Outbox, State
from alertd.state.outbox import enqueue
from alertd.tail import Tailer
from alertd.tail.away import read_piece
from alertd.tail.descriptors import Descriptors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from alertd.state import Record

POINTS: Final = (
    "after_open",
    "after_read",
    "after_split",
    "after_match",
    "before_begin",
    "in_txn",
    "before_commit",
    "after_commit",
    "before_freeze",
    "after_freeze",
    "before_connect",
    "after_mail",
    "after_rcpt",
    "mid_data",
    "after_dot",
    "after_250",
    "before_sent_commit",
    "after_sent_commit",
)
"""The sixteen of the catalogue, and the two around the storing of a mail's bytes; in order."""

UNCERTAIN: Final = ("after_dot", "after_250", "before_sent_commit")
"""Whoever ends here does not know whether the server has the mail."""

_END: Final = b"\r\n.\r\n"

Reached: TypeAlias = "Callable[[str], None]"


@contextmanager
def passing(reached: Reached) -> Iterator[None]:
    """
    Have each point's name told as it is passed.

    Args:
        reached: Is told.
    """
    with ExitStack() as stack:
        for owner, name, wrapped in (
            *_reading(reached),
            *_committing(reached),
            *_recording(reached),
            *_sending(reached),
        ):
            if isinstance(owner, str):
                stack.enter_context(patch(f"{owner}.{name}", wrapped))
            else:
                stack.enter_context(patch.object(owner, name, wrapped))
        yield


Wrapped: TypeAlias = "tuple[type | str, str, Callable[..., Any]]"
"""An attribute of a class or of a module, and what takes its place."""


def _reading(reached: Reached) -> Sequence[Wrapped]:
    return (
        (Descriptors, "keep", _after(reached, "after_open", Descriptors.keep)),
        (
            "alertd.tail.tailer",
            "read_piece",
            _awaited(reached, "after_read", read_piece),
        ),
        (
            Tailer,
            "read",
            _awaited(reached, "after_split", Tailer.read, lambda batch: batch is not None),
        ),
        (Pipeline, "take", _after(reached, "after_match", Pipeline.take)),
    )


def _committing(reached: Reached) -> Sequence[Wrapped]:
    begun = _before(reached, "before_begin", State.commit)
    return (
        (State, "commit", _awaited(reached, "after_commit", begun)),
        ("alertd.state", "enqueue", _before(reached, "in_txn", enqueue)),
        ("alertd.state", "_commit", _after(reached, "before_commit", state._commit)),
    )


def _recording(reached: Reached) -> Sequence[Wrapped]:
    write = Outbox.write

    async def recorded(self: Outbox, records: Sequence[Record]) -> None:
        freezes = any(isinstance(record, Frozen) for record in records)
        sends = any(
            isinstance(record, Judged) and any(copy.status == "sent" for copy in record.copies)
            for record in records
        )
        if freezes:
            reached("before_freeze")
        if sends:
            reached("before_sent_commit")
        await write(self, records)
        if freezes:
            reached("after_freeze")
        if sends:
            reached("after_sent_commit")

    return [(Outbox, "write", recorded)]


def _sending(reached: Reached) -> Sequence[Wrapped]:
    write = SMTPProtocol.write
    client = smtp._Client

    def written(self: SMTPProtocol, data: bytes) -> None:
        if not data.endswith(_END):
            write(self, data)
            return
        half = len(data) // 2
        write(self, data[:half])
        reached("mid_data")
        write(self, data[half:])
        reached("after_dot")

    def is_sent(outcomes: dict[str, smtp.Outcome]) -> bool:
        return any(outcome.status == "sent" for outcome in outcomes.values())

    return (
        (SmtpNotifier, "_ready", _before(reached, "before_connect", SmtpNotifier._ready)),
        (client, "mail", _awaited(reached, "after_mail", client.mail)),
        (client, "rcpt", _awaited(reached, "after_rcpt", client.rcpt)),
        (SMTPProtocol, "write", written),
        (SmtpNotifier, "send", _awaited(reached, "after_250", SmtpNotifier.send, is_sent)),
    )


def _before(reached: Reached, point: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        reached(point)
        return original(*args, **kwargs)

    return wrapped


def _after(reached: Reached, point: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        reached(point)
        return result

    return wrapped


def _awaited(
    reached: Reached,
    point: str,
    original: Callable[..., Awaitable[Any]],
    holds: Callable[[Any], bool] = lambda _: True,
) -> Callable[..., Awaitable[Any]]:
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        if holds(result):
            reached(point)
        return result

    return wrapped
