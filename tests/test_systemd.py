from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alertd import systemd

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIT = Path(__file__).parent.parent / "systemd" / "alertd.service"


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The end of the notification socket at which systemd would listen."""
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(address)
        listening.settimeout(5)
        yield listening


def test_each_state_is_the_assignment_that_systemd_knows(supervisor: socket.socket) -> None:
    """READY, STOPPING, STATUS and WATCHDOG are one datagram each."""
    taken = [systemd.ready(), systemd.stopping(), systemd.status("2 files"), systemd.watchdog()]

    assert [True] * 4 == taken
    assert [b"READY=1", b"STOPPING=1", b"STATUS=2 files", b"WATCHDOG=1"] == [
        supervisor.recv(4096) for _ in range(4)
    ]


def test_reloading_carries_the_monotonic_time_at_which_it_began(supervisor: socket.socket) -> None:
    """By that time, in microseconds, systemd tells this reload's READY from an older one (P8)."""
    before = time.monotonic_ns() // 1000
    systemd.reloading()
    after = time.monotonic_ns() // 1000

    first, second = supervisor.recv(4096).decode().split("\n")
    assert "RELOADING=1" == first
    name, _, microseconds = second.partition("=")
    assert "MONOTONIC_USEC" == name
    assert before <= int(microseconds) <= after


def test_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leading @ stands for the NUL of an abstract address."""
    name = f"alertd-test-{os.getpid()}-{time.monotonic_ns()}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")

        systemd.ready()

        assert b"READY=1" == listening.recv(4096)


def test_status_cannot_set_another_variable(supervisor: socket.socket) -> None:
    """A newline in the text, which ends an assignment, is shown as a space."""
    systemd.status("degraded\nMAINPID=1\x1b[31m")

    assert b"STATUS=degraded MAINPID=1 [31m" == supervisor.recv(4096)


def test_long_status_still_arrives(supervisor: socket.socket) -> None:
    """It is cut, not refused."""
    systemd.status("x" * 1_000_000)

    assert b"STATUS=" + b"x" * 1000 == supervisor.recv(4096)


def test_status_with_a_surrogate_still_arrives(supervisor: socket.socket) -> None:
    """A file name that is no text may end up in it."""
    systemd.status("reading \udcff.log")

    assert b"STATUS=reading  .log" == supervisor.recv(4096)


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234", "/no/such/socket"])
def test_no_listener_is_no_error(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Outside of systemd the functions do nothing, and say so."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    assert not systemd.ready()


def test_unset_socket_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon started by hand has no NOTIFY_SOCKET."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)

    assert not systemd.ready()


def test_supervisor_that_does_not_read_blocks_nothing(supervisor: socket.socket) -> None:
    """Once its queue is full, what is said is lost instead of waited for."""
    taken = [systemd.watchdog() for _ in range(10_000)]

    assert taken[0]
    assert not taken[-1]
    assert b"WATCHDOG=1" == supervisor.recv(4096)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "?"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_PID": str(os.getpid())}, None),
    ],
)
def test_watchdog_is_fed_twice_as_often_as_demanded(
    environ: dict[str, str], expected: float | None
) -> None:
    """Half the time limit, if there is one and it is meant for this process."""
    assert expected == systemd.watchdog_interval(environ)


@pytest.mark.needs("systemd-analyze")
def test_unit_is_accepted(tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing to say, once the program is there."""
    unit = tmp_path / "alertd.service"
    text, programs = re.subn(
        r"(?m)^(Exec\w+=)/opt/alertd/bin/alertd ", r"\1/bin/true ", UNIT.read_text()
    )
    unit.write_text(text)

    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )

    assert 2 == programs
    assert (0, "") == (verified.returncode, verified.stderr)


@pytest.mark.needs("systemd-analyze")
def test_unit_leaves_little_exposed() -> None:
    """`systemd-analyze security` scores it at most 1.5 of 10 (S20)."""
    scored = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", UNIT],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == scored.returncode, scored.stdout
    assert "Overall exposure level for alertd.service: 1." in scored.stdout


def test_matching_needs_no_memory_that_is_both_writable_and_executable() -> None:
    """
    The unit's MemoryDenyWriteExecute does not stop Hyperscan, which compiles without a JIT.

    PR_SET_MDWE (Linux 6.3) refuses what systemd's filter refuses, and is inherited by what is
    executed.
    """
    confine = (
        "import ctypes, os, sys\n"
        "if ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0):\n"
        "    sys.exit(77)\n"
        "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])\n"
    )
    scan = (
        "import mmap, hyperscan\n"
        "try:\n"
        "    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
        "except PermissionError:\n"
        "    print('confined')\n"
        "database = hyperscan.Database()\n"
        "database.compile(expressions=[rb'Failed \\w+ for'], ids=[7])\n"
        "database.scan(b'x Failed password for y', lambda id, *_: print('found', id))\n"
    )

    confined = subprocess.run(
        [sys.executable, "-c", confine, scan], capture_output=True, text=True, check=False
    )

    if confined.returncode == 77:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert ("confined\nfound 7\n", "") == (confined.stdout, confined.stderr)
