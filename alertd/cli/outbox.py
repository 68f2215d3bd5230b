"""``alertd outbox``: what has not been delivered, and why?"""

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
List the mails that have not been delivered: those that a server has refused for good, and those
that still wait.  What failed for good is kept until somebody decides:

  --retry ID    try it again now, for another five days
  --drop ID     give it up

ID is a Message-ID or an alert's id, as listed here; `all` means everything in the list.  Only the
running daemon changes its state, so it must be running.
"""


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands, "outbox", run, summary="list what is not delivered", description=DESCRIPTION
    )
    add_config(command)
    action = command.add_mutually_exclusive_group()
    action.add_argument("--retry", metavar="ID", help="try this mail, or all, again now")
    action.add_argument("--drop", metavar="ID", help="give this mail, or all, up")
    command.add_argument("--json", action="store_true", help="for programs: one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Ask the daemon and print its answer."""
    wishes = {"retry": arguments.retry, "drop": arguments.drop}
    more = {name: value for name, value in wishes.items() if value}
    answer = ask(arguments, "outbox", timeout=30.0, more=more)
    if isinstance(answer, int):
        return answer
    if arguments.json:
        say(json.dumps(answer))
    else:
        for line in told(answer, list(more)):
            say(line)
    return os.EX_OK


def told(outbox: dict[str, Any], done: list[str]) -> list[str]:
    """Tell an outbox, as the daemon gave it, to a person."""
    lines = []
    if done:
        what = "tried again" if done == ["retry"] else "given up"
        lines += [f"{outbox['concerned']:,} undelivered: {what}", ""]
    entries = outbox["entries"]
    if not entries:
        return [*lines, "everything has been delivered"]
    lines.append(f"{outbox['failed']:,} failed for good, {outbox['pending']:,} alerts wait")
    for entry in entries:
        rules = ", ".join(entry["rules"]) or "alerts that are known no more"
        alerts = f" ({entry['alerts']:,} alerts)" if entry["alerts"] > 1 else ""
        lines += [
            "",
            f"{entry['id']}",
            f"  to      {visible(entry['address'])}",
            f"  about   {visible(rules)}{alerts}",
            f"  since   {_when(entry['since'])}",
            f"  status  {_status(entry)}",
        ]
        if entry["detail"]:
            lines.append(f"  reason  {visible(entry['detail'])}")
    return lines


def _status(entry: dict[str, Any]) -> str:
    match entry["status"]:
        case "failed":
            return "failed for good; alertd outbox --retry or --drop"
        case "pending":
            return f"waits; tried {entry['attempts']} times"
        case _:
            return "waits for its first attempt"


def _when(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
