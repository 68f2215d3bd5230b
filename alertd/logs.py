"""
Say what alertd does, in the form that whoever reads it can use.

Coloured lines on a terminal, ``key=value`` with syslog priorities under journald, JSON on request;
always on standard error, and always one line an event, except for tracebacks on a terminal.

It refuses to wait: a reader that is stuck costs log lines, never the daemon's time.  Lines that
found no room are counted, and the count is logged as soon as there is room again.

Traps: values come from file names, mail servers and exceptions, so control characters are shown
escaped.  And O_NONBLOCK on standard error would be seen by everyone who shares it, a login shell
for instance; so a write is preceded by the question whether there is room for it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import select
import sys
import threading
from typing import TYPE_CHECKING, Literal, TypeAlias

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from structlog.typing import EventDict, Processor, WrappedLogger

log = structlog.get_logger(__name__)

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Format: TypeAlias = Literal["auto", "console", "keyvalue", "json"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# What syslog calls them; journald reads the number from the start of a line.
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_DIM, _BOLD = 2, 1  # as terminals number them
_COLOURS = {"debug": _DIM, "info": 32, "warning": 33, "error": 31, "critical": 31}

# Where poll reports room in a pipe or a socket, there is room for this much (PIPE_BUF).
_CHUNK_BYTES = 4096
# journald breaks a line of more than 48 KiB into several; escaping makes this at most 24 KiB.
_MAX_VALUE_CHARACTERS = 4096

# C0, DEL, C1, line and paragraph separators, marks that reorder what is read, surrogates.
_UNSAFE = re.compile(r"[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_NEEDS_QUOTES = re.compile(r'[\s"=\\]|^$')


def configure(
    level: Level = "info",
    format: Format = "auto",  # noqa: A002 - so is the setting called
    *,
    descriptor: int = 2,
    environ: Mapping[str, str] = os.environ,
) -> Stream:
    """
    Make every logger of the process write there, in that form.

    May be called again, after a reload: loggers that exist already follow.  What libraries log
    is let through from ``warning`` on, whatever the level.

    Args:
        level: The least urgent level that is shown.
        format: ``auto`` is ``console`` on a terminal and ``keyvalue`` elsewhere.
        descriptor: Where to write, if not to standard error.
        environ: The process's environment.

    Returns:
        The stream written to, which knows how many lines it had to drop.
    """
    stream = Stream(descriptor)
    structlog.configure(
        processors=_processors(format, descriptor, environ),
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: stream,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    if not any(isinstance(handler, _Libraries) for handler in root.handlers):
        root.addHandler(_Libraries(logging.WARNING))
    return stream


class Stream:
    """
    Lines to a descriptor, as long as there is room for them.

    Attributes:
        dropped: Lines that were lost since the start, because there was no room or no reader.
    """

    def __init__(self, descriptor: int) -> None:
        # A process started without standard error may by now have a database open as number 2.
        self._is_closed = descriptor == 2 and sys.stderr is None  # noqa: PLR2004
        self._descriptor = descriptor
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        # Reentrant, because `write` logs what was dropped.
        self._lock = threading.RLock()
        self._unsent = b""
        self._unsaid = 0
        self.dropped = 0

    def write(self, line: str) -> None:
        """Write the line, or drop it; never wait."""
        with self._lock:
            if self._unsaid and self._is_free():
                lines, self._unsaid = self._unsaid, 0
                log.warning("log lines dropped", lines=lines)
            if self._is_free():
                self._unsent = line.encode(errors="backslashreplace") + b"\n"
                self._flush()
            else:
                self._drop()

    # What structlog calls, by the name of the level.
    debug = info = warning = error = critical = write

    def _is_free(self) -> bool:
        self._flush()
        return not self._is_closed and not self._unsent and self._has_room()

    def _has_room(self) -> bool:
        return bool(self._room.poll(0))

    def _flush(self) -> None:
        """Write what there is room for; the rest goes before the next line, so that none tears."""
        while self._unsent and self._has_room():
            try:
                written = os.write(self._descriptor, self._unsent[:_CHUNK_BYTES])
            except OSError:  # nobody reads any more, or the disk is full
                self._unsent = b""
                self._drop()
            else:
                self._unsent = self._unsent[written:]

    def _drop(self) -> None:
        self.dropped += 1
        self._unsaid += 1


class _Libraries(logging.Handler):
    """Passes what libraries log on to where everything goes."""

    def emit(self, record: logging.LogRecord) -> None:
        level = max((n for n in _LEVELS.values() if n <= record.levelno), default=logging.DEBUG)
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # its arguments do not fit; no reason for us to fail
            message = str(record.msg)
        log.log(
            level,
            "library reported",
            library=record.name,
            message=message,
            exc_info=record.exc_info,
        )


def _processors(
    format: Format,  # noqa: A002
    descriptor: int,
    environ: Mapping[str, str],
) -> list[Processor]:
    is_terminal = os.isatty(descriptor)
    is_journal = _is_journal(descriptor, environ)
    if format == "auto":
        format = "console" if is_terminal else "keyvalue"  # noqa: A001
    timestamp: list[Processor] = [structlog.processors.TimeStamper(fmt="iso", utc=True)]
    render = _as_keyvalue
    if format == "console":
        timestamp = [structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False)]
        render = _as_console
        if is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb":
            render = _as_coloured_console
    elif format == "json":
        render = _as_json
    elif is_journal:
        timestamp = []  # the journal has its own

    def finish(_: WrappedLogger, level: str, event: EventDict) -> str:
        line = render({name: _capped(name, value) for name, value in event.items()})
        return f"<{_PRIORITIES[level]}>{line}" if is_journal else line

    return [
        structlog.processors.add_log_level,
        *timestamp,
        structlog.processors.format_exc_info,
        finish,
    ]


def _is_journal(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Tell whether the descriptor is the stream that systemd connected to the journal."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _capped(name: str, value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else str(value)
    if len(text) <= _MAX_VALUE_CHARACTERS:
        return text
    if name == "exception":  # its end says what happened
        return "…" + text[-_MAX_VALUE_CHARACTERS:]
    return text[:_MAX_VALUE_CHARACTERS] + "…"


def _as_json(event: dict[str, object]) -> str:
    return json.dumps(_leading(event, "timestamp", "level", "event"))


def _as_keyvalue(event: dict[str, object]) -> str:
    return " ".join(
        f"{_escaped(name)}={_quoted(value)}"
        for name, value in _leading(event, "timestamp", "level", "event").items()
    )


def _as_console(
    event: dict[str, object], paint: Callable[[str, int], str] = lambda text, _: text
) -> str:
    event = dict(event)
    timestamp, level, name = (str(event.pop(key, "")) for key in ("timestamp", "level", "event"))
    exception = event.pop("exception", None)
    parts = [
        paint(timestamp, _DIM),
        paint(f"{level:<8}", _COLOURS[level]),
        paint(_escaped(name), _BOLD),
        *(f"{paint(_escaped(key), _DIM)}={_quoted(value)}" for key, value in event.items()),
    ]
    lines = str(exception).splitlines() if exception else []
    return "\n".join([" ".join(parts), *(f"    {_escaped(line)}" for line in lines)])


def _as_coloured_console(event: dict[str, object]) -> str:
    return _as_console(event, lambda text, code: f"\x1b[{code}m{text}\x1b[0m")


def _leading(event: dict[str, object], *names: str) -> dict[str, object]:
    return {name: event[name] for name in names if name in event} | event


def _quoted(value: object) -> str:
    text = str(value)
    if _NEEDS_QUOTES.search(text) or _UNSAFE.search(text):
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _escaped(text)


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda match: repr(match.group())[1:-1], text)
