"""``alertd send-test``: does the mail server take our mail?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from alertd.cli.common import Commands, add_command, add_config, complain, load, say

if TYPE_CHECKING:
    import argparse

    from alertd.config import Config

DESCRIPTION = """\
Send one real mail through the configured server, to everybody who gets mails of some rule, and
tell what the server said about each of them.
"""


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "send-test",
        run,
        summary="send one real mail through the configured server",
        description=DESCRIPTION,
    )
    add_config(command)


def run(arguments: argparse.Namespace) -> int:
    """Send the mail."""
    settings = load(arguments, with_password=True)
    if isinstance(settings, int):
        return settings
    import asyncio  # noqa: PLC0415 - slow, and only a right configuration needs it

    return asyncio.run(_send(settings))


async def _send(settings: Config) -> int:
    import socket  # noqa: PLC0415 - likewise
    import time  # noqa: PLC0415 - likewise

    from alertd.config.machine import local_timezone  # noqa: PLC0415 - for the mail
    from alertd.core.render import render_test  # noqa: PLC0415 - likewise
    from alertd.smtp import DeliveryError, notifier  # noqa: PLC0415 - likewise

    email = settings.email
    recipients = list(
        dict.fromkeys(
            [*email.recipients, *(each for rule in settings.rules for each in rule.recipients)]
        )
    )
    mail = render_test(
        host=socket.gethostname(),
        sender=email.sender,
        recipients=recipients,
        timezone=local_timezone(os.environ),
        sent_at=time.time(),
    )
    server = notifier(email)
    place = f"{email.host}:{email.port}"
    try:
        outcomes = await server.send(email.sender, recipients, mail.payload)
    except DeliveryError as error:
        complain([f"{place}: {error}"])
        return os.EX_UNAVAILABLE
    finally:
        await server.close()
    for address, outcome in outcomes.items():
        say(f"{address}: {outcome.status}{f' ({outcome.detail})' if outcome.detail else ''}")
    if all(outcome.status == "sent" for outcome in outcomes.values()):
        say(f"{place} took the mail; look for {mail.message_id} in the mailbox")
        return os.EX_OK
    return os.EX_UNAVAILABLE
