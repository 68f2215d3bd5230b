from __future__ import annotations

import json
import logging
import os
import pty
import re
import socket
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import structlog

from alertd import logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = structlog.get_logger(__name__)


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    """Leave the process's loggers as they were found."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    structlog.reset_defaults()
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)


def fail(text: str) -> None:
    raise ValueError(text)


class Reader:
    """The other end of a descriptor that the log is written to."""

    def __init__(self, reading: int, writing: int) -> None:
        self.descriptor = writing
        self._reading = reading

    def text(self) -> str:
        """What has been written since it was asked last."""
        os.set_blocking(self._reading, False)
        received = bytearray()
        try:
            while chunk := os.read(self._reading, 65536):
                received += chunk
        except BlockingIOError:
            pass
        return received.decode()

    def journal_stream(self) -> dict[str, str]:
        """The environment in which systemd would have connected it to the journal."""
        found = os.fstat(self.descriptor)
        return {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


@pytest.fixture(params=["pipe", "socket"])
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    """A pipe as a shell makes it, or a socket as journald's."""
    if request.param == "pipe":
        reading, writing = os.pipe()
    else:
        reading, writing = (end.detach() for end in socket.socketpair())
    yield Reader(reading, writing)
    os.close(reading)
    os.close(writing)


@pytest.fixture
def terminal() -> Iterator[Reader]:
    reading, writing = pty.openpty()
    yield Reader(reading, writing)
    os.close(reading)
    os.close(writing)


def test_pipe_gets_key_and_value(reader: Reader) -> None:
    """Time, level and event lead; what needs quotes has them."""
    logs.configure("info", "auto", descriptor=reader.descriptor, environ={})

    log.info("alert raised", rule="fatal-burst", key="a b", count=11, previous=None, note="")

    timestamp, _, rest = reader.text().partition(" ")
    assert re.fullmatch(r"timestamp=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", timestamp)
    assert (
        'level=info event="alert raised" rule=fatal-burst key="a b" count=11 '
        'previous=None note=""\n' == rest
    )


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)],
)
def test_journal_gets_priorities_and_no_time(reader: Reader, level: str, priority: int) -> None:
    """The journal takes the level from the line's start and knows the time itself."""
    logs.configure("debug", descriptor=reader.descriptor, environ=reader.journal_stream())

    getattr(log, level)("mail sent", recipients=1)

    assert f'<{priority}>level={level} event="mail sent" recipients=1\n' == reader.text()


def test_another_journal_stream_is_not_ours(reader: Reader) -> None:
    """JOURNAL_STREAM is inherited by programs whose output has long been redirected."""
    logs.configure(descriptor=reader.descriptor, environ={"JOURNAL_STREAM": "8:1234567"})

    log.info("mail sent")

    assert reader.text().startswith("timestamp=")


def test_json_on_request(reader: Reader) -> None:
    """One object a line, values as they are, under journald with the priority before it."""
    logs.configure("info", "json", descriptor=reader.descriptor, environ=reader.journal_stream())

    log.warning("file skipped", path="/var/log/\udcff\u2028.log", size=3, is_open=True)

    line = reader.text()
    assert line.startswith("<4>{")
    assert line.isascii()
    event = json.loads(line.removeprefix("<4>"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event.pop("timestamp"))
    assert {
        "level": "warning",
        "event": "file skipped",
        "path": "/var/log/\udcff\u2028.log",
        "size": 3,
        "is_open": True,
    } == event


def test_terminal_gets_colours(terminal: Reader) -> None:
    """A person reads the level from its colour."""
    logs.configure(descriptor=terminal.descriptor, environ={"TERM": "xterm"})

    log.warning("delivery failed", attempt=3)

    assert re.fullmatch(
        r"\x1b\[2m\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\x1b\[0m \x1b\[33mwarning \x1b\[0m "
        r"\x1b\[1mdelivery failed\x1b\[0m \x1b\[2mattempt\x1b\[0m=3\r\n",
        terminal.text(),
    )


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_terminal_without_colours(terminal: Reader, environ: dict[str, str]) -> None:
    """NO_COLOR and a dumb terminal are respected."""
    logs.configure(descriptor=terminal.descriptor, environ=environ)

    log.info("reload done", rules=3)

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info     reload done rules=3\r\n", terminal.text()
    )


def test_traceback_is_readable_on_a_console(reader: Reader) -> None:
    """Its lines are indented beneath the event, and what the exception says is escaped."""
    logs.configure("info", "console", descriptor=reader.descriptor, environ={})

    try:
        fail("odd \x1b[2J\nsecond line")
    except ValueError:
        log.exception("rule failed", rule="x")

    first, *rest = reader.text().splitlines()
    assert first.endswith(" error    rule failed rule=x")
    assert "    Traceback (most recent call last):" == rest[0]
    assert ["    ValueError: odd \\x1b[2J", "    second line"] == rest[-2:]


def test_traceback_is_one_line_elsewhere(reader: Reader) -> None:
    """A line is an event, for journald and for grep."""
    logs.configure(descriptor=reader.descriptor, environ={})

    try:
        fail("odd")
    except ValueError:
        log.exception("rule failed")

    (line,) = reader.text().splitlines()
    assert 'event="rule failed" exception="Traceback (most recent call last):\\n' in line
    assert line.endswith('\\nValueError: odd"')


@pytest.mark.parametrize("form", ["keyvalue", "console"])
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("\x1b[31m", r'"\x1b[31m"'),
        ("a\nlevel=error", r'"a\nlevel=error"'),
        ("\r\t\0", r'"\r\t\x00"'),
        ("\x85\x9b\u2028\u2029", r'"\x85\x9b\u2028\u2029"'),
        ("\u202egpj.exe", r'"\u202egpj.exe"'),
        ("\udcff", r'"\udcff"'),
        ('say "x"', r'"say \"x\""'),
        (r"C:\new", r'"C:\\new"'),
        ("grün", "grün"),
        (("ip", "\x1b"), "\"('ip', '\\\\x1b')\""),
    ],
)
def test_control_characters_are_shown(
    reader: Reader, form: logs.Format, value: object, shown: str
) -> None:
    """A file name or a server's answer can neither forge a line nor steer a terminal."""
    logs.configure("info", form, descriptor=reader.descriptor, environ={})

    log.info("file opened", value=value)

    (line,) = reader.text().split("\n")[:-1]
    assert line.endswith(f" value={shown}")


def test_event_and_key_are_escaped_too(reader: Reader) -> None:
    logs.configure(descriptor=reader.descriptor, environ={})

    log.info("a\nb", **{"k\n": 1})

    (line,) = reader.text().splitlines()
    assert line.endswith(r'event="a\nb" k\n=1')


def test_level_decides_what_is_shown(reader: Reader) -> None:
    logs.configure("warning", descriptor=reader.descriptor, environ={})

    log.info("mail sent")
    log.warning("mail refused")

    (line,) = reader.text().splitlines()
    assert "mail refused" in line


def test_existing_loggers_follow_a_new_level(reader: Reader) -> None:
    """A reload may change the level; loggers are made once, when a module is imported."""
    logs.configure("error", descriptor=reader.descriptor, environ={})
    log.info("first")
    logs.configure("debug", descriptor=reader.descriptor, environ={})

    log.debug("second")

    (line,) = reader.text().splitlines()
    assert line.endswith("level=debug event=second")


def test_libraries_are_heard_from_warning_on(reader: Reader) -> None:
    """What asyncio or watchfiles has to say arrives in the same form, once."""
    logs.configure("debug", descriptor=reader.descriptor, environ={})
    logs.configure("debug", descriptor=reader.descriptor, environ={})

    logging.getLogger("some.library").info("detail")
    logging.getLogger("some.library").error("%s broke", "it")

    (line,) = reader.text().splitlines()
    assert line.endswith(
        'level=error event="library reported" library=some.library message="it broke"'
    )


def test_library_that_logs_nonsense_is_heard_too(reader: Reader) -> None:
    """Its mistake must not become an exception in the middle of its work."""
    logs.configure(descriptor=reader.descriptor, environ={})

    (handler,) = (h for h in logging.getLogger().handlers if isinstance(h, logs._Libraries))
    # By hand, because a handler of pytest's would raise.
    handler.handle(
        logging.makeLogRecord({"name": "some.library", "levelno": 30, "msg": "%d", "args": ("x",)})
    )

    assert reader.text().endswith("library=some.library message=%d\n")


def test_long_value_is_cut(reader: Reader) -> None:
    logs.configure(descriptor=reader.descriptor, environ={})

    log.info("answer refused", reason="x" * 1_000_000, status=550)

    (line,) = reader.text().splitlines()
    assert line.endswith("reason=" + "x" * 4096 + "… status=550")


def test_long_traceback_keeps_its_end(reader: Reader) -> None:
    """Its last line names the error."""
    logs.configure(descriptor=reader.descriptor, environ={})

    try:
        fail("x" * 10_000 + "the end")
    except ValueError:
        log.exception("rule failed")

    (line,) = reader.text().splitlines()
    assert line.endswith('xthe end"')
    assert len(line) < 5000


def test_full_pipe_delays_nobody(reader: Reader) -> None:
    """
    Lines that find no room are dropped and counted, and the count is logged (P11).

    What is already half written is completed first, so that no line is torn.
    """
    stream = logs.configure(descriptor=reader.descriptor, environ={})

    for number in range(300):
        log.info("line written", number=number, filler="x" * 4000, more="y" * 4000)
    kept = reader.text()
    log.info("reader returned")
    kept += reader.text()

    *written, said, last = kept.splitlines()
    assert 0 < len(written) < 300
    assert 300 == len(written) + stream.dropped
    fillers = f"filler={'x' * 4000} more={'y' * 4000}"
    for number, line in enumerate(written):
        assert line.endswith(f'event="line written" number={number} {fillers}')
    assert said.endswith(f'level=warning event="log lines dropped" lines={stream.dropped}')
    assert last.endswith('event="reader returned"')


def test_closed_pipe_raises_nothing() -> None:
    """When journald is gone, alertd still watches."""
    reading, writing = os.pipe()
    os.close(reading)
    with closing(os.fdopen(writing, "wb")):
        stream = logs.configure(descriptor=writing, environ={})

        log.info("first")
        log.info("second")

        assert stream.dropped >= 2


def test_process_without_standard_error_writes_to_no_other_file(tmp_path: Path) -> None:
    """With ``2>&-`` the next file that is opened becomes number 2; it may be the database."""
    precious = tmp_path / "precious"
    program = (
        "import sys; from alertd import logs; import structlog\n"
        "file = open(sys.argv[1], 'w')\n"
        "assert file.fileno() == 2, file.fileno()\n"
        "logs.configure(); structlog.get_logger().error('here')\n"
    )

    subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" "$2" 2>&-', sys.executable, program, str(precious)],
        check=True,
        timeout=30,
    )

    assert "" == precious.read_text()


def test_descriptor_left_blocking(reader: Reader) -> None:
    """Whoever shares it, the user's shell for instance, would see O_NONBLOCK too."""
    logs.configure(descriptor=reader.descriptor, environ={})

    log.info("mail sent")

    assert os.get_blocking(reader.descriptor)
