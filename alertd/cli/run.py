"""``alertd run``: the daemon, in the foreground."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from alertd.cli.common import Commands, add_command, add_config, complain, load

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Watch the logs and send mails, until SIGTERM or SIGINT.

SIGHUP reloads the configuration (`alertd reload` does the same and tells the result).  Where the
daemon has got to is kept in the state directory, so it can be stopped, or killed, at any moment.
"""


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands, "run", run, summary="watch the logs and send mails", description=DESCRIPTION
    )
    add_config(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the daemon."""
    # Until the daemon handles it, it would end this process.  Blocked, it is kept.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    settings = load(arguments, with_password=True)
    if isinstance(settings, int):
        return settings
    import asyncio  # noqa: PLC0415 - a refused configuration needs none of these

    import structlog  # noqa: PLC0415 - likewise

    from alertd import logs, memory  # noqa: PLC0415 - likewise
    from alertd.config import ConfigError  # noqa: PLC0415
    from alertd.control import ControlError  # noqa: PLC0415
    from alertd.daemon import Daemon  # noqa: PLC0415
    from alertd.state import StateError  # noqa: PLC0415

    logs.configure(settings.log.level, settings.log.format)
    log = structlog.get_logger(__name__)
    memory.economise()
    memory.collect_seldom()
    try:
        asyncio.run(Daemon(settings, os.environ).run())
    except Exception as error:
        cause = first_cause(error)
        if isinstance(cause, ConfigError):
            complain(cause.errors)
            return cause.exit_code
        if isinstance(cause, StateError | ControlError):
            complain([str(cause)])
            return cause.exit_code
        log.exception("ended by an error; everything committed is safe")
        return os.EX_SOFTWARE
    return os.EX_OK


def first_cause(error: BaseException) -> BaseException:
    """Return the error inside the groups that task groups wrap around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
