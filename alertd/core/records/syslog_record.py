"""Messages of syslog, of both its formats."""

from __future__ import annotations

import re

from alertd.core.records.record import PairsRecord


class SyslogRecord(PairsRecord):
    """
    A message of RFC 5424, or of RFC 3164 as it is really written.

    Fields: time, host, program, pid, message; facility and severity where the line begins with a
    priority; msgid for RFC 5424.  Where there is no program, all behind the host is the message.
    """

    __slots__ = ()

    _NEW = re.compile(
        r"<(?P<priority>[0-9]{1,3})>[0-9]{1,2} (?P<time>\S+) (?P<host>\S+) (?P<program>\S+)"
        r" (?P<pid>\S+) (?P<msgid>\S+)"
        r' (?:-|(?:\[(?:[^\]"\\]|\\.|"(?:[^"\\]|\\.)*")*\])+)(?: \ufeff?(?P<message>.*))?',
        re.DOTALL,
    )
    _OLD = re.compile(
        r"(?:<(?P<priority>[0-9]{1,3})>)?"
        r"(?P<time>[A-Z][a-z]{2} [ 0-9]?[0-9] (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
        r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?"
        r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?)"
        r" +(?P<host>\S+) +(?:(?P<program>[^\s\[\]:]+)(?:\[(?P<pid>[^\]\s]*)\])?: ?)?"
        r"(?P<message>.*)",
        re.DOTALL,
    )
    FACILITIES = (
        *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
        *("authpriv", "ftp", "ntp", "audit", "alert", "clock"),
        *(f"local{number}" for number in range(8)),
    )
    SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

    def timestamps(self) -> tuple[str, ...]:
        """Give the header's time."""
        time = self.get("time")
        return (time,) if time else ()

    def _read(self) -> dict[str, str]:
        found = self._NEW.fullmatch(self.text) or self._OLD.fullmatch(self.text)
        self.is_unparsable = found is None
        if found is None:
            return {}
        fields: dict[str, str] = {
            name: value
            for name, value in found.groupdict().items()
            # RFC 5424 writes "-" for what it does not know.
            if value is not None and (value != "-" or name == "message")
        }
        priority = int(fields.pop("priority", "-1"))
        if 0 <= priority < len(self.FACILITIES) * len(self.SEVERITIES):
            fields["facility"] = self.FACILITIES[priority // len(self.SEVERITIES)]
            fields["severity"] = self.SEVERITIES[priority % len(self.SEVERITIES)]
        return fields
