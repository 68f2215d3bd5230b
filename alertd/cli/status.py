"""``alertd status``: what is the daemon doing?"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

from alertd.cli.common import Commands, add_command, add_config, ask, say
from alertd.core.escape import visible

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Ask the running daemon what it is doing: which files it follows and how far it has read them, what
its rules remember, what waits to be mailed, and the last alerts.
"""


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands, "status", run, summary="tell what the daemon is doing", description=DESCRIPTION
    )
    add_config(command)
    command.add_argument("--json", action="store_true", help="for programs: one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Ask for the status and print it."""
    answer = ask(arguments, "status")
    if isinstance(answer, int):
        return answer
    if arguments.json:
        say(json.dumps(answer))
    else:
        for line in told(answer):
            say(line)
    return os.EX_OK


def told(status: dict[str, Any]) -> list[str]:
    """Tell a status, as the daemon gave it, to a person."""
    lines = [
        f"alertd {status['version']} runs since {_when(status['started_at'])}, "
        f"pid {status['pid']}, {status['config']}",
    ]
    if status["trouble"]:
        lines.append(f"TROUBLE: {status['trouble']}")
    lines += [f"PROBLEM: {visible(problem['detail'])}" for problem in status["problems"]]
    if status["reload_failures"]:
        lines.append(f"{status['reload_failures']} reloads refused; try: alertd check")
    for name, source in status["sources"].items():
        files = source["files"]
        lines += ["", f"source {name}: {_count(len(files), 'file')}"]
        if source["lag_seconds"] >= 1:
            lines[-1] += f", behind for {source['lag_seconds']:,.0f} s"
        for file in files:
            behind = file["size"] - file["offset"]
            place = "at its end" if not file["is_behind"] else f"{behind:,} bytes behind"
            lines.append(f"  {visible(file['path'])}  {file['problem'] or place}")
    lines.append("")
    for name, rule in status["rules"].items():
        evicted = f", {rule['evictions']:,} forgotten at max_keys" if rule["evictions"] else ""
        passed = f", passes {_count(rule['tests'], 'test')}" if rule["tests"] else ""
        lines.append(f"rule {name}: remembers {_count(rule['keys'], 'key')}{evicted}{passed}")
    if status["own_lines"]:
        lines.append(f"{_count(status['own_lines'], 'line')} of alertd's own left out")
    if status["waiting_matches"]:
        lines.append(f"{_count(status['waiting_matches'], 'match', 'matches')} wait for their turn")
    lines += ["", *_outbox(status["outbox"])]
    if status["last_alerts"]:
        lines += ["", "last alerts:"]
        lines += [
            f"  {_when(alert['time'])}  {alert['rule']}  {alert['id']}"
            + (f", the end of {alert['resolves']}" if alert["resolves"] else "")
            for alert in status["last_alerts"]
        ]
    return lines


def _outbox(outbox: dict[str, Any]) -> list[str]:
    lines = [f"outbox: {_count(outbox['pending'], 'alert')} to be mailed"]
    if outbox["oldest"] is not None and outbox["pending"]:
        lines[0] += f", the oldest raised at {_when(outbox['oldest'])}"
    if outbox["held"]:
        lines.append(f"  {outbox['held']:,} of them wait to share a mail")
    if outbox["failed"]:
        lines.append(f"  {_count(outbox['failed'], 'mail')} could not be delivered: alertd outbox")
    if outbox["last_error"]:
        lines.append(f"  last error: {outbox['last_error']}")
    if outbox["next_attempt_in"] is not None:
        lines.append(f"  the mail server is tried again in {outbox['next_attempt_in']:.0f} s")
    return lines


def _when(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
