"""
Where the password of the mail login comes from: environment, file, password file, or systemd.

It is never shown: not in an error, not in a warning, not in the ``repr`` of anything.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from alertd.config import values
from alertd.config.checks import is_loopback
from alertd.config.errors import reason_of, show
from alertd.core.escape import quoted, visible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from alertd.config.errors import Report
    from alertd.config.schema import EmailTable

CREDENTIAL = "smtp-password"
_LONGEST = 4096


def find_password(
    table: EmailTable, overridden: AbstractSet[str], environ: Mapping[str, str], report: Report
) -> str | None:
    """
    Find the password, and report what is wrong with the way it is given.

    Args:
        table: ``[email]``, with what the environment overrides.
        overridden: The keys of it that come from the environment.
        environ: For the directory in which systemd puts credentials.
        report: Takes what is wrong.

    Returns:
        None without a login, and where something was reported.
    """
    ways = {"password": table.password, "password_file": table.password_file}
    given = {key: value for key, value in ways.items() if value is not None}
    if len(overridden & given.keys()) == 1:
        # What the environment says replaces the file's password, whichever way that is given.
        given = {key: value for key, value in given.items() if key in overridden}
    if len(given) > 1:
        report.refuse(
            ("email", "password"), "stands there beside password_file; remove one of them"
        )
        return None
    if table.username is None:
        for key in given:
            report.refuse(("email", key), "is given without username; write username, or remove it")
        return None
    if table.security == "none" and not is_loopback(table.host):
        report.refuse(
            ("email", "security"),
            f'"none" would send the password to {show(table.host)} in clear; write "starttls" or '
            '"tls", or remove username',
        )
        return None
    if "password" in given:
        return given["password"]
    path = given.get("password_file") or _credential(environ)
    if path is None:
        report.refuse(
            ("email", "username"),
            'is given without a password; write password_file = "/etc/alertd/smtp-password"',
        )
        return None
    return _read(Path(path), report)


def _credential(environ: Mapping[str, str]) -> Path | None:
    """Find what systemd's ``LoadCredential=`` hands over."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / CREDENTIAL if directory else None
    return path if path is not None and path.exists() else None


def _read(path: Path, report: Report) -> str | None:
    place = ("email", "password_file")
    shown = quoted(str(path))
    try:
        # Non-blocking, because a named pipe without a writer would hold us for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            mode = os.fstat(descriptor).st_mode
            content = file.read(_LONGEST) if stat.S_ISREG(mode) else b"\n"
    except OSError as error:
        report.refuse(
            place,
            f"{shown} cannot be read: {reason_of(error)}; put the password there, readable for "
            "the user that runs alertd",
        )
        return None
    if not stat.S_ISREG(mode):
        report.refuse(place, f"{shown} is not a regular file; write the password into one")
        return None
    try:
        password = values.secret(content.decode().removesuffix("\n").removesuffix("\r"))
    except UnicodeDecodeError:
        report.refuse(place, f"{shown} is not UTF-8; write the password as text")
        return None
    except ValueError as error:
        report.refuse(place, f"{shown} {error}")
        return None
    if mode & stat.S_IROTH:
        # No error, because containers mount their secrets like that.
        report.warn(
            place,
            f"{shown} can be read by everybody on this machine; chmod 600 {visible(str(path))}",
        )
    return password
