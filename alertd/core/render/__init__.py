"""
Alerts as people and programs read them: mails, and JSON.

``mails`` has what others call; it tells a ``story`` (the facts, in words, once), has it laid out by
``text`` and ``html``, and packs it with ``message``.  All that a log line says passes
``core.escape``.

It refuses to trust anybody: a log line is written by whoever can reach the service that logs, and
the interpreter's ``email`` package serialises header injections on some patch levels and dies of a
surrogate on others (CVE-2024-6923).  So headers are encoded here, and read back before they leave.

Trap: an alert that cannot be rendered is an attacker's way to silence it.  Whatever goes wrong,
``render_alert`` returns a mail.
"""

from __future__ import annotations

from alertd.core.render.mails import render_alert, render_fallback, render_joined, render_test
from alertd.core.render.message import Mail, cut_mail
from alertd.core.render.record import alert_as_json

__all__ = [
    "Mail",
    "alert_as_json",
    "cut_mail",
    "render_alert",
    "render_fallback",
    "render_joined",
    "render_test",
]
