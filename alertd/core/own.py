r"""
What alertd itself leaves in logs: its own messages, and the mail server's lines about its mails.

A rule that matched them would ring about its own ringing, for ever.

Refuses to believe the middle of a line, which whoever logs in or sends mail may choose: a line is
ours by who wrote it, and that stands at its beginning.  So nobody can hide behind our name but
who can write into the log whatever he likes.

Trap: this runs for every match, so most lines are let through by a plain search.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.events import Match

LOOKED_INTO = frozenset({"plain", "syslog"})
"""The formats in which such lines are written; in another one they are somebody else's data."""

_STAMP = (
    r"(?:<\d{1,3}>)?(?:1 )?"
    r"(?:[A-Z][a-z]{2} [ \d]?\d(?: \d{4})? \d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\dT\S+)"
)
_PROGRAM = re.compile(_STAMP + r" \S+ alertd(?:\[\d+\]:|:| (?:\d+|-) )")
_MAIL_PROGRAMS = (
    r"postfix|exim4?|sendmail|sm-mta|sendmail-mta|opensmtpd|smtpd|dovecot|opendkim|rspamd|amavis"
    r"|msmtp|nullmailer|ssmtp|maddy|stalwart|mailer"
)
_MAIL_SERVER = re.compile(
    _STAMP + rf" \S+ (?:{_MAIL_PROGRAMS})[-\w./]*(?:\[\d+\])?[: ]"
    # Exim's own log has neither host nor program, but the id of its queue.
    r"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:\[\d+\] )?"
    r"[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4} "
)


def dot_atom(text: str) -> str:
    """Keep of a text what may stand in a Message-ID without quotes."""
    return re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9_.-]+", "-", text[:100])).strip(".-")


def domain(host: str) -> str:
    """Return what stands behind the @ in the Message-IDs of a machine."""
    return dot_atom(host) or "localhost"


class OwnLines:
    """
    Tells which lines are alertd's own: ``line in own_lines``.

    Args:
        host: The name of this machine.  Without one, no mail is known as ours.
    """

    def __init__(self, host: str) -> None:
        self._at = f"@{domain(host)}" if host else ""
        # An alert's id has 20 digits, that of a joined mail 32.
        self._message_id = re.compile(
            rf"(?<![0-9a-f])(?:[0-9a-f]{{20}}|[0-9a-f]{{32}}){re.escape(self._at)}(?![\w.-])"
        )

    def left_out_of(self, matches: Sequence[Match]) -> list[Match]:
        """Return the matches whose lines are not ours."""
        at = self._at or "alertd"
        return [
            match
            for match in matches
            if not (("alertd" in (line := match.line) or at in line) and line in self)
        ]

    def __contains__(self, line: str) -> bool:
        if "alertd" in line and _PROGRAM.match(line):
            return True
        return bool(
            self._at
            and self._at in line
            and _MAIL_SERVER.match(line)
            and self._message_id.search(line)
        )
