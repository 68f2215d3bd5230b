"""
Tell systemd how the service is doing.

sd_notify is one datagram to the socket that ``NOTIFY_SOCKET`` names, so it is spoken here by hand.
Where there is no such socket nobody is listening, and every function does nothing.

Nothing here raises or blocks: a supervisor that does not listen must not stop what it supervises.

Trap: an assignment ends at a newline, so a status text that held one could set any variable.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# systemd reads at most one page; what is longer would be cut or refused.
_MAX_STATUS_CHARACTERS = 1000


def ready() -> bool:
    """
    Say that the service does its work, after a start or after a reload.

    Returns:
        Whether systemd took it, as for all that follow.
    """
    return _notify("READY=1")


def reloading() -> bool:
    """Say that a reload has begun; ``ready`` ends it, whether it succeeded or not."""
    return _notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> bool:
    """Say that the service is about to end."""
    return _notify("STOPPING=1")


def status(text: str) -> bool:
    """
    Set the sentence that ``systemctl status`` shows.

    Args:
        text: One line; control characters are shown as spaces, and what exceeds 1,000 characters
            is left out.
    """
    line = "".join(character if character.isprintable() else " " for character in text)
    return _notify(f"STATUS={line[:_MAX_STATUS_CHARACTERS]}")


def watchdog() -> bool:
    """Say that the service is alive."""
    return _notify("WATCHDOG=1")


def watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """
    Tell how often ``watchdog`` is to be called.

    Args:
        environ: The process's environment.

    Returns:
        Seconds, half of what systemd waits before it kills; None if it does not watch this
        process.
    """
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # inherited from a parent, who is the one being watched
    try:
        microseconds = int(environ["WATCHDOG_USEC"])
    except (KeyError, ValueError):
        return None
    return microseconds / 2_000_000 if microseconds > 0 else None


def _notify(message: str) -> bool:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract socket
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as outbound:
            outbound.sendto(message.encode(errors="replace"), address)
    except OSError:
        return False
    return True
