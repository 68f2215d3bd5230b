"""
Who is left alone, and until when: the mail server, and addresses that it does not serve now.

Refuses to know mails.  Trouble is said once when it begins or changes, and once when it is over,
however many attempts lie between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

SOON: Final = 5.0
"""Seconds until the second attempt where no server was reached, or none answered."""
LATER: Final = 60.0
"""Seconds until the second attempt where a server said: not now."""
AT_MOST: Final = 900.0
"""Seconds between attempts that have kept failing."""
_JITTER: Final = 0.1


def retry_delay(failures: int, first: float, jitter: float) -> float:
    """
    Return the seconds to wait after so many failures in a row.

    Args:
        failures: At least 1.
        first: Seconds after the first one; they double each time, up to 15 minutes.
        jitter: Between 0 and 1; spreads those who wait for the same server by up to a tenth.
    """
    return min(first * 2.0 ** min(failures - 1, 10), AT_MOST) * (1 + _JITTER * jitter)


@dataclass(slots=True)
class _Trouble:
    """How often in a row something has failed, and how."""

    failures: int = 0
    until: float = -math.inf
    kind: str = ""
    detail: str = ""


class Patience:
    """
    The troubles that last.

    Args:
        now: Seconds of a clock that never jumps.
        jitter: A random number between 0 and 1.
    """

    def __init__(self, now: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._now = now
        self._jitter = jitter
        self._server = _Trouble()
        self._addresses: dict[str, _Trouble] = {}

    @property
    def until(self) -> float:
        """When the server may be tried again; a time in the past if it may be now."""
        return self._server.until

    @property
    def last_error(self) -> str | None:
        """What is wrong with the server, or else with the address that was refused last."""
        if self._server.failures:
            return f"{self._server.kind}: {self._server.detail}"
        for address, trouble in reversed(self._addresses.items()):
            return f"{address} {trouble.kind}: {trouble.detail}"
        return None

    def forget(self) -> None:
        """Try everything at once, as after a reload."""
        self._server = _Trouble()
        self._addresses.clear()

    def delay(self, failures: int, first: float) -> float:
        """Return the seconds to wait after so many failures in a row, spread by chance."""
        return retry_delay(failures, first, self._jitter())

    def leave_server_alone(self, kind: str, detail: str, first: float) -> None:
        """
        Let nobody try the server for a while.

        Args:
            kind: What failed, in a word; another word is news.
            detail: Why.
            first: Seconds after the first failure; see ``retry_delay``.
        """
        trouble = self._server
        trouble.failures += 1
        trouble.detail = detail
        delay = self.delay(trouble.failures, first)
        trouble.until = self._now() + delay
        if trouble.kind != kind:
            trouble.kind = kind
            log.warning("delivery failing", kind=kind, reason=detail, retry_in_s=round(delay))

    def forgive_server(self) -> None:
        """Take note that the server serves."""
        if self._server.failures:
            log.info("delivery recovered", failures=self._server.failures)
            self._server = _Trouble()

    def refused(self, address: str, detail: str) -> None:
        """Take note that the server will never take a mail for an address."""
        self._complain(address, "refused", detail)

    def deferred(self, address: str, detail: str) -> float:
        """Take note that the server takes nothing for an address now; say until when."""
        trouble = self._complain(address, "deferred", detail)
        trouble.failures += 1
        return self._now() + self.delay(trouble.failures, LATER)

    def welcome(self, address: str) -> bool:
        """Take note that an address got a mail; say whether it was in trouble."""
        if self._addresses.pop(address, None) is None:
            return False
        log.info("recipient accepts mail again", recipient=address)
        return True

    def _complain(self, address: str, kind: str, detail: str) -> _Trouble:
        trouble = self._addresses.pop(address, None) or _Trouble()
        self._addresses[address] = trouble
        trouble.detail = detail
        if trouble.kind != kind:
            trouble.kind = kind
            log.warning("recipient not reached", recipient=address, kind=kind, reason=detail)
        return trouble
