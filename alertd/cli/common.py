"""What several commands share: the ``--config`` option, and how errors are printed."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from alertd.config import Config
    from alertd.core.events import Alert
    from alertd.replay import Replay

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


class Command(Protocol):
    """A command's function that does it."""

    def __call__(self, arguments: argparse.Namespace) -> int:
        """Do it; return a sysexits code."""
        ...


def add_command(
    commands: Commands, name: str, run: Command, *, summary: str, description: str
) -> argparse.ArgumentParser:
    """
    Add a command to the command line.

    Args:
        commands: Where.
        name: The word that calls it.
        run: What does it.
        summary: For the list of commands.
        description: For its own ``--help``.
    """
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def local(time: float, timespec: str = "auto") -> str:
    """Write a time as people here read it: ``2026-11-24 10:36:29+01:00``."""
    from datetime import datetime  # noqa: PLC0415 - only where a time is shown

    return datetime.fromtimestamp(time).astimezone().isoformat(" ", timespec)


def add_config(command: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    option = command.add_argument(
        "--config",
        "-c",
        type=Path,
        metavar="FILE",
        help="the configuration (default: $ALERTD_CONFIG or /etc/alertd/alertd.toml)",
    )
    option.complete = {"bash": "_shtab_compgen_files", "zsh": "_files"}  # type: ignore[attr-defined]


def load(arguments: argparse.Namespace, *, with_password: bool = False) -> Config | int:
    """
    Load the configuration that the arguments name.

    Args:
        arguments: With ``config``.
        with_password: The mail server's password is needed too.

    Returns:
        The configuration, or after telling what is wrong with it, the exit code.
    """
    from alertd import config  # noqa: PLC0415 - takes a fifth of a second

    path = arguments.config or config.default_path(os.environ)
    try:
        return config.load(path, os.environ, with_password=with_password)
    except config.ConfigError as error:
        complain(error.errors)
        return error.exit_code


def complain(errors: Iterable[str]) -> None:
    """Print errors, each on a line that says whose they are."""
    for error in errors:
        print(f"alertd: error: {error}", file=sys.stderr)  # noqa: T201 - this is a command


def say(text: str = "") -> None:
    """Print a line of a command's answer."""
    print(text)  # noqa: T201 - this is a command


def ask(
    arguments: argparse.Namespace,
    command: str,
    *,
    timeout: float = 10.0,
    more: Mapping[str, str] | None = None,
) -> dict[str, object] | int:
    """
    Ask the running daemon for something.

    Args:
        arguments: With ``config``, which says where its state is.
        command: What is asked for.
        timeout: Seconds to wait for the answer.
        more: What the command needs to know.

    Returns:
        The answer, or after telling what went wrong, the exit code.
    """
    from alertd import config  # noqa: PLC0415 - takes a fifth of a second
    from alertd.control import ControlError, request  # noqa: PLC0415

    path = arguments.config or config.default_path(os.environ)
    try:
        return request(config.state_directory(path, os.environ), command, timeout, more)
    except config.ConfigError as error:
        complain(error.errors)
        return error.exit_code
    except ControlError as error:
        complain(str(error).splitlines())
        return error.exit_code


def add_source(command: argparse.ArgumentParser) -> None:
    """Add ``--source``."""
    command.add_argument("--source", metavar="NAME", help="read as lines of this source")


def add_paths(command: argparse.ArgumentParser) -> None:
    """Add the files to be replayed, and ``--year``."""
    command.add_argument(
        "--year",
        type=_year,
        metavar="YYYY",
        help="the year of dates that have none (default: by each file's time of modification)",
    )
    paths = command.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    paths.complete = {"bash": "_shtab_compgen_files", "zsh": "_files"}  # type: ignore[attr-defined]


def _year(text: str) -> int:
    year = int(text)
    if not 1970 <= year <= 9998:  # noqa: PLR2004 - what the calendar can do
        raise ValueError
    return year


def with_progress(replay: Replay) -> Generator[list[Alert], None, None]:
    """Yield the alerts of each piece; on a terminal, show how far the files have been read."""
    if not sys.stderr.isatty():
        yield from replay.run()
        return
    from tqdm import tqdm  # noqa: PLC0415 - for terminals only

    total = replay.total_bytes
    with tqdm(total=total, unit="B", unit_scale=True, leave=False, file=sys.stderr) as progress:
        for alerts in replay.run():
            progress.update(replay.read_bytes - progress.n)
            if alerts:
                progress.clear()
            yield alerts
