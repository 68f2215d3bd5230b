"""
What became of mails, written down in the order in which it happened.

Refuses to lose anything of it, and to hold up the sending: while the state cannot be written, what
has happened stays here and is written once that is possible.

Trap: nothing here may overtake.  A mail whose bytes are not on disk yet has no row that its outcome
could be noted in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from alertd.state import Judged, Retained, StateError

if TYPE_CHECKING:
    from alertd.state import Outbox, Record

log = structlog.get_logger(__name__)


class Ledger:
    """
    The way from what happened to the disk.

    Args:
        outbox: Where it is kept.

    Attributes:
        failures: Copies that are known to have failed for good since the start.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.failures = 0
        self._outbox = outbox
        self._unwritten: list[Record] = []
        self._cannot_write = False

    @property
    def is_empty(self) -> bool:
        """All of it is on disk."""
        return not self._unwritten

    @property
    def is_recipient_unsettled(self) -> bool:
        """Whom to tell has changed, and that is not on disk yet."""
        return any(isinstance(record, Retained) for record in self._unwritten)

    def add(self, record: Record) -> None:
        """Note something, to be written with the next ``write``."""
        self._unwritten.append(record)

    async def write(self) -> bool:
        """
        Write down what has happened; say whether all of it is on disk.

        Raises:
            StateError: The state cannot be used any more.
        """
        if not self._unwritten:
            return True
        records = tuple(self._unwritten)
        try:
            await self._outbox.write(records)
        except StateError as error:
            if not error.is_temporary:
                raise
            if not self._cannot_write:
                self._cannot_write = True
                log.error("outcome not recorded", reason=str(error))  # noqa: TRY400
            return False
        del self._unwritten[: len(records)]
        self.failures += sum(
            copy.status == "failed"
            for record in records
            if isinstance(record, Judged)
            for copy in record.copies
        )
        if self._cannot_write:
            self._cannot_write = False
            log.info("outcomes recorded", records=len(records))
        return True
