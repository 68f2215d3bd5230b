from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import threading
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

from alertd import control
from alertd.control import ControlError, ControlServer, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from alertd.control import Handler


async def status() -> dict[str, object]:
    return {"running": True, "files": ["/var/log/\udcff.log"]}


@asynccontextmanager
async def serving(
    directory: Path, handlers: Mapping[str, Handler], *, handler_seconds: float = 60
) -> AsyncIterator[ControlServer]:
    server = ControlServer(directory, handlers, handler_seconds=handler_seconds)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def ask(directory: Path, command: str, timeout: float = 10.0) -> dict[str, object]:  # noqa: ASYNC109
    return await asyncio.to_thread(request, directory, command, timeout)


def ask_once(
    directory: Path,
    command: str,
    handlers: Mapping[str, Handler],
    *,
    timeout: float = 10.0,
    handler_seconds: float = 60,
) -> dict[str, object]:
    """Start a server, ask it one thing as another process would, and close it."""

    async def run() -> dict[str, object]:
        async with serving(directory, handlers, handler_seconds=handler_seconds):
            return await ask(directory, command, timeout)

    return asyncio.run(run())


def test_answer_is_what_the_handler_said(tmp_path: Path) -> None:
    """Also a file name that is no text survives the way."""
    answer = ask_once(tmp_path, "status", {"status": status})

    assert {"running": True, "files": ["/var/log/\udcff.log"]} == answer


def test_long_directory_is_no_obstacle(tmp_path: Path) -> None:
    """An address holds 107 bytes; a state directory may have a longer name."""
    directory = tmp_path / ("d" * 200)
    directory.mkdir()

    assert ask_once(directory, "status", {"status": status})["running"] is True


def test_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    """Its mode is the access control, whatever the umask."""
    umask = os.umask(0)

    async def mode() -> int:
        async with serving(tmp_path, {}):
            return (tmp_path / "control.sock").stat().st_mode

    try:
        found = asyncio.run(mode())
    finally:
        os.umask(umask)

    assert stat.S_ISSOCK(found)
    assert 0o600 == stat.S_IMODE(found)


def test_closed_server_leaves_nothing_behind(tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - Path.iterdir opens one as well

    ask_once(tmp_path, "status", {"status": status})

    assert [] == list(tmp_path.iterdir())
    assert before == sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_leftover_of_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as killed:
        killed.bind(str(tmp_path / "control.sock"))

    assert ask_once(tmp_path, "status", {"status": status})["running"] is True


@pytest.mark.parametrize("kind", ["file", "directory", "symlink"])
def test_what_is_no_socket_is_not_removed(tmp_path: Path, kind: str) -> None:
    """Alertd did not put it there."""
    path = tmp_path / "control.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ControlError, match=r"control\.sock: is in the way .* move it") as raised:
        asyncio.run(ControlServer(tmp_path, {}).start())

    assert os.EX_CANTCREAT == raised.value.exit_code
    assert path.is_symlink() or path.exists()


def test_unwritable_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"cannot be made: No such file") as raised:
        asyncio.run(ControlServer(tmp_path / "absent", {}).start())

    assert os.EX_CANTCREAT == raised.value.exit_code


@pytest.mark.parametrize("leftover", [False, True])
def test_no_daemon(tmp_path: Path, *, leftover: bool) -> None:
    """Neither an absent socket nor a dead one is an answer: exit code 69 and how to start it."""
    if leftover:
        with closing(socket.socket(socket.AF_UNIX)) as killed:
            killed.bind(str(tmp_path / "control.sock"))

    with pytest.raises(ControlError) as raised:
        request(tmp_path, "status")

    assert os.EX_UNAVAILABLE == raised.value.exit_code == 69
    assert (
        f"alertd is not running (nothing answers in {tmp_path}); "
        "start it with: systemctl start alertd" == str(raised.value)
    )


def test_directory_that_does_not_exist_means_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="is not running") as raised:
        request(tmp_path / "absent", "status")

    assert 69 == raised.value.exit_code


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_other_user_is_told_whom_to_be(tmp_path: Path) -> None:
    """The state directory is closed to others; that is not the same as no daemon."""
    private = tmp_path / "state"
    private.mkdir(mode=0o700)

    with pytest.raises(ControlError, match="run the command as root or as the user") as raised:
        _as_nobody(private)

    assert os.EX_NOPERM == raised.value.exit_code


def _as_nobody(directory: Path) -> None:
    # The effective user alone decides about files, and root may take it back.
    os.seteuid(65534)
    try:
        request(directory, "status")
    finally:
        os.seteuid(0)


def test_handlers_own_refusal_reaches_the_client(tmp_path: Path) -> None:
    """`alertd reload` fails with the errors that the daemon found, all of them."""

    async def reload() -> dict[str, object]:
        raise ControlError("alertd.toml: line 3: a\nalertd.toml: line 7: b", os.EX_CONFIG)

    with pytest.raises(ControlError) as raised:
        ask_once(tmp_path, "reload", {"reload": reload})

    assert "alertd.toml: line 3: a\nalertd.toml: line 7: b" == str(raised.value)
    assert os.EX_CONFIG == raised.value.exit_code


def test_failing_handler_does_not_take_the_daemon_along(tmp_path: Path) -> None:
    """The client learns that it failed, the next one is served."""

    async def broken() -> dict[str, object]:
        raise ZeroDivisionError

    async def run() -> tuple[str, dict[str, object]]:
        async with serving(tmp_path, {"broken": broken, "status": status}):
            with pytest.raises(ControlError) as raised:
                await ask(tmp_path, "broken")
            return str(raised.value), await ask(tmp_path, "status")

    failure, answer = asyncio.run(run())

    assert "alertd failed to answer; its log says why" == failure
    assert answer["running"] is True


def test_answer_that_json_cannot_hold_is_a_failure(tmp_path: Path) -> None:
    async def odd() -> dict[str, object]:
        return {"odd": object()}

    with pytest.raises(ControlError, match="failed to answer") as raised:
        ask_once(tmp_path, "odd", {"odd": odd})

    assert os.EX_SOFTWARE == raised.value.exit_code


def test_handler_has_a_deadline(tmp_path: Path) -> None:
    async def stuck() -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(ControlError, match=r"reload took longer than 0\.05 s") as raised:
        ask_once(tmp_path, "reload", {"reload": stuck}, handler_seconds=0.05)

    assert os.EX_TEMPFAIL == raised.value.exit_code


def test_client_has_a_deadline(tmp_path: Path) -> None:
    """A daemon that hangs is not a daemon that does not run."""

    async def stuck() -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(ControlError, match="is running, but did not answer status") as raised:
        ask_once(tmp_path, "status", {"status": stuck}, timeout=0.1)

    assert os.EX_TEMPFAIL == raised.value.exit_code


def test_unknown_command_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="unknown command 'halt'; known are: reload, status"):
        ask_once(tmp_path, "halt", {"status": status, "reload": status})


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"status\n",
        b"[]\n",
        b"{}\n",
        b'{"command": 3}\n',
        b"\xff\xfe\n",
        b"[" * 4000 + b"\n",
        b'{"command": "' + b"x" * 100_000 + b'"}\n',
    ],
    ids=["empty", "bare", "list", "nothing", "number", "binary", "deep", "long"],
)
def test_bad_request_is_refused(tmp_path: Path, line: bytes) -> None:
    """Whatever arrives gets an error back, and the daemon goes on."""

    async def run() -> tuple[dict[str, object], dict[str, object]]:
        async with serving(tmp_path, {"status": status}):
            return json.loads(await _exchange(tmp_path, line)), await ask(tmp_path, "status")

    refusal, answer = asyncio.run(run())

    assert 'a request is one line like {"command": "status"}' in str(refusal["error"])
    assert os.EX_PROTOCOL == refusal["exit_code"]
    assert answer["running"] is True


async def _exchange(directory: Path, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(directory / "control.sock")
    writer.write(line)
    async with asyncio.timeout(5):
        answer = await reader.readline()
    writer.close()
    return answer


def test_client_that_says_nothing_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only for so long does the daemon keep a connection for it."""
    monkeypatch.setattr(control, "_READ_SECONDS", 0.05)

    async def run() -> bytes:
        async with serving(tmp_path, {"status": status}):
            return await _exchange(tmp_path, b"")

    assert b"" == asyncio.run(run())


def test_client_that_does_not_read_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large answer waits for its reader, but not for ever."""
    monkeypatch.setattr(control, "_WRITE_SECONDS", 0.05)

    entered = asyncio.Event()

    async def large() -> dict[str, object]:
        entered.set()
        return {"filler": "x" * 5_000_000}

    async def run() -> bytes:
        async with serving(tmp_path, {"large": large}) as server:
            with closing(socket.socket(socket.AF_UNIX)) as lazy:
                lazy.connect(str(tmp_path / "control.sock"))
                lazy.sendall(b'{"command": "large"}\n')
                async with asyncio.timeout(5):
                    await entered.wait()
                    await asyncio.wait(server._connections)
                return await asyncio.to_thread(_drained, lazy)

    assert len(asyncio.run(run())) < 5_000_000


def _drained(connection: socket.socket) -> bytes:
    connection.settimeout(5)
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def test_large_answer_arrives_whole(tmp_path: Path) -> None:
    async def large() -> dict[str, object]:
        return {"filler": "x" * 5_000_000}

    assert {"filler": "x" * 5_000_000} == ask_once(tmp_path, "large", {"large": large})


def test_many_clients_at_once(tmp_path: Path) -> None:
    """More than the kernel queues: those that find no place come again."""

    async def run() -> list[dict[str, object]]:
        answers: list[dict[str, object]] = []
        async with serving(tmp_path, {"status": status}):
            clients = [
                threading.Thread(target=lambda: answers.append(request(tmp_path, "status")))
                for _ in range(150)
            ]
            for client in clients:
                client.start()  # the loop does not run meanwhile, so they pile up
            for client in clients:
                await asyncio.to_thread(client.join)
        return answers

    answers = asyncio.run(run())

    assert 150 == len(answers)
    assert all(answer["running"] is True for answer in answers)


def test_closing_does_not_wait_for_clients(tmp_path: Path) -> None:
    """A command that hangs must not delay the end of the daemon; its client is told."""
    entered = asyncio.Event()

    async def stuck() -> dict[str, object]:
        entered.set()
        await asyncio.Event().wait()
        return {}

    async def run() -> None:
        async with serving(tmp_path, {"reload": stuck}):
            asking = asyncio.create_task(ask(tmp_path, "reload"))
            async with asyncio.timeout(5):
                await entered.wait()
        async with asyncio.timeout(5):
            await asking

    with pytest.raises(ControlError, match="closed the connection before it answered") as raised:
        asyncio.run(run())

    assert os.EX_TEMPFAIL == raised.value.exit_code


@pytest.mark.parametrize("answer", [b"hello\n", b"[]\n", b"{}\n", b'{"answer": 1}\n', b"\xff\n"])
def test_stranger_on_the_socket_is_recognised(tmp_path: Path, answer: bytes) -> None:
    """What does not speak the protocol is said, not shown as a traceback."""

    async def run() -> None:
        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(answer)
            writer.close()

        async with await asyncio.start_unix_server(reply, tmp_path / "control.sock"):
            await ask(tmp_path, "status")

    with pytest.raises(ControlError, match="does not speak alertd's protocol") as raised:
        asyncio.run(run())

    assert os.EX_PROTOCOL == raised.value.exit_code


def test_daemon_that_hangs_up_is_not_a_broken_one(tmp_path: Path) -> None:
    """It may have died between the question and the answer."""

    async def run() -> None:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        async with await asyncio.start_unix_server(hang_up, tmp_path / "control.sock"):
            await ask(tmp_path, "status")

    with pytest.raises(ControlError, match="closed the connection before it answered") as raised:
        asyncio.run(run())

    assert os.EX_TEMPFAIL == raised.value.exit_code


def test_closing_what_was_never_started(tmp_path: Path) -> None:
    """The daemon's way out does not depend on how far it got."""
    asyncio.run(ControlServer(tmp_path, {}).close())

    assert [] == list(tmp_path.iterdir())
