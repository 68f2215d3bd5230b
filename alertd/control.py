"""
Ask the running daemon, or answer as one: the socket behind ``alertd status`` and ``alertd reload``.

A client connects to ``control.sock`` in the state directory, sends one line of JSON
(``{"command": "status"}``, perhaps with ``"arguments"``, texts by name), gets one line back and is
done.  The answer is ``{"answer": {...}}``,
or ``{"error": TEXT, "exit_code": N}``.  Who may connect is decided by the file's mode (0600) alone.

It refuses to know what the commands do: they are handlers, and one that changes something must
itself see to it that it does not run twice at a time.

Trap: the address of a unix socket holds at most 107 bytes, a path may be far longer.  So both ends
name the socket through ``/proc/self/fd/N``, where N is the opened directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import time
from typing import TYPE_CHECKING, cast

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path
    from typing import TypeAlias

    Handler: TypeAlias = Callable[..., Awaitable[Mapping[str, object]]]

log = structlog.get_logger(__name__)

SOCKET_NAME = "control.sock"

_MAX_REQUEST_BYTES = 4096
# A status that lists 10,000 files has some MiB; whatever is larger does not come from alertd.
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_READ_SECONDS = 5.0
_WRITE_SECONDS = 10.0
_CLOSE_SECONDS = 1.0


class ControlError(Exception):
    """
    The daemon could not be asked, or would not do it.

    Attributes:
        exit_code: What a command that ends with it should exit with, from sysexits.h.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ControlServer:
    """
    The daemon's end of the socket.

    Args:
        directory: The state directory.  Its lock must be held from before ``start`` until after
            ``close``: a socket found there is taken for the leftover of a daemon that died.
        handlers: What each command does, its arguments by keyword.  Its answer must be what JSON
            can hold; a ``ControlError`` it raises reaches the client as it is, anything else is
            logged here.
        handler_seconds: How long one handler may take before its client is told so.
    """

    def __init__(
        self,
        directory: Path,
        handlers: Mapping[str, Handler],
        *,
        handler_seconds: float = 120.0,
    ) -> None:
        self._directory = directory
        self._handlers = handlers
        self._handler_seconds = handler_seconds
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """
        Begin to answer.

        Raises:
            ControlError: The socket cannot be made.
        """
        self._server = await asyncio.start_unix_server(
            self._accept,
            sock=_listening(self._directory),
            limit=_MAX_REQUEST_BYTES,
        )

    async def close(self) -> None:
        """Stop answering, drop the clients still connected, and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        with contextlib.suppress(OSError):  # what stays behind is replaced at the next start
            (self._directory / SOCKET_NAME).unlink()
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=_CLOSE_SECONDS)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                request = await _received(reader)
            writer.write(await self._respond(request) + b"\n")
            async with asyncio.timeout(_WRITE_SECONDS):
                await writer.drain()
        except (TimeoutError, OSError) as error:
            # A client that went away, or that neither asks nor reads: its own affair.
            log.debug("control client dropped", reason=str(error) or type(error).__name__)
            writer.transport.abort()
        finally:
            writer.close()

    async def _respond(self, request: bytes) -> bytes:
        try:
            return json.dumps({"answer": await self._answer(request)}).encode()
        except ControlError as error:
            text, exit_code = str(error), error.exit_code
        except Exception:
            # A question that fails must not take the daemon along.
            log.exception("control command failed")
            text, exit_code = "alertd failed to answer; its log says why", os.EX_SOFTWARE
        return json.dumps({"error": text, "exit_code": exit_code}).encode()

    async def _answer(self, request: bytes) -> Mapping[str, object]:
        command, arguments = _command(request)
        handler = self._handlers.get(command)
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            raise ControlError(f"unknown command {command!r}; known are: {known}", os.EX_USAGE)
        try:
            async with asyncio.timeout(self._handler_seconds):
                return await handler(**arguments)
        except TimeoutError:
            log.warning("control command timed out", command=command)
            raise ControlError(
                f"{command} took longer than {self._handler_seconds:g} s; see alertd's log",
                os.EX_TEMPFAIL,
            ) from None


def request(
    directory: Path,
    command: str,
    timeout: float = 10.0,
    arguments: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """
    Have the running daemon do one command.

    Args:
        directory: The state directory of that daemon.
        command: Its name.
        timeout: Seconds until the whole answer must be there.
        arguments: For the command's handler, by name.

    Returns:
        What the daemon's handler answered.

    Raises:
        ControlError: No daemon runs there (exit code 69), this user may not ask it (77), it did
            not answer in time (75), or it refused.
    """
    deadline = time.monotonic() + timeout
    try:
        with _connected(directory, deadline) as connection:
            question = {"command": command, **({"arguments": dict(arguments)} if arguments else {})}
            received = _exchanged(connection, question, deadline)
    except PermissionError:
        raise ControlError(
            f"this user may not talk to the alertd that uses {directory}; "
            "run the command as root or as the user alertd runs as",
            os.EX_NOPERM,
        ) from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise ControlError(
            f"alertd is not running (nothing answers in {directory}); "
            "start it with: systemctl start alertd",
            os.EX_UNAVAILABLE,
        ) from None
    except TimeoutError:
        raise ControlError(
            f"alertd is running, but did not answer {command} within {timeout:g} s; "
            "its log may say why",
            os.EX_TEMPFAIL,
        ) from None
    except OSError as error:
        raise ControlError(
            f"{directory / SOCKET_NAME}: {error.strerror or error}", os.EX_IOERR
        ) from error
    return _parsed_answer(received)


async def _received(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:  # the line exceeds the reader's limit
        return b""


def _command(request: bytes) -> tuple[str, dict[str, str]]:
    try:
        question = json.loads(request)
        command, arguments = question["command"], question.get("arguments", {})
        if isinstance(command, str) and all(isinstance(each, str) for each in arguments.values()):
            return command, dict(arguments)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # told below
    raise ControlError(
        f'a request is one line like {{"command": "status"}}, up to {_MAX_REQUEST_BYTES} bytes',
        os.EX_PROTOCOL,
    )


def _parsed_answer(received: bytes) -> dict[str, object]:
    if not received.endswith(b"\n"):
        raise ControlError(
            "alertd closed the connection before it answered; it may be stopping", os.EX_TEMPFAIL
        )
    try:
        response = json.loads(received)
        if "error" in response:
            raise ControlError(str(response["error"]), int(response["exit_code"]))
        return cast("dict[str, object]", dict(response["answer"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ControlError(
            "what answered does not speak alertd's protocol; is it of the same version?",
            os.EX_PROTOCOL,
        ) from error


@contextlib.contextmanager
def _address(directory: Path) -> Iterator[tuple[int, str]]:
    """Open the directory and give its descriptor and the socket's address through it."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor, f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


def _listening(directory: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _address(directory) as (descriptor, address):
            _remove_leftover(directory, descriptor)
            # Before bind, so that there is no moment in which others may connect; on Linux the
            # file takes its mode from the socket.
            os.fchmod(listener.fileno(), 0o600)
            listener.bind(address)
    except OSError as error:
        listener.close()
        raise ControlError(
            f"{directory / SOCKET_NAME}: cannot be made: {error.strerror or error}; "
            "alertd must be allowed to write in its state directory",
            os.EX_CANTCREAT,
        ) from error
    except ControlError:
        listener.close()
        raise
    return listener


def _remove_leftover(directory: Path, descriptor: int) -> None:
    try:
        found = os.stat(SOCKET_NAME, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ControlError(
            f"{directory / SOCKET_NAME}: is in the way and no socket; move it elsewhere",
            os.EX_CANTCREAT,
        )
    os.unlink(SOCKET_NAME, dir_fd=descriptor)


@contextlib.contextmanager
def _connected(directory: Path, deadline: float) -> Iterator[socket.socket]:
    with (
        socket.socket(socket.AF_UNIX) as connection,
        _address(directory) as (_, address),
    ):
        while True:
            connection.settimeout(_remaining(deadline))
            try:
                connection.connect(address)
                break
            except BlockingIOError:
                # Too many clients wait already.  A unix socket with a timeout says so at once
                # instead of waiting its turn.
                time.sleep(0.01)
        yield connection


def _exchanged(connection: socket.socket, question: Mapping[str, object], deadline: float) -> bytes:
    received = bytearray()
    try:
        connection.sendall(json.dumps(question).encode() + b"\n")
        while len(received) <= _MAX_ANSWER_BYTES:
            connection.settimeout(_remaining(deadline))
            chunk = connection.recv(65536)
            if not chunk:
                break
            received += chunk
    except (BrokenPipeError, ConnectionResetError):
        pass  # the daemon went away; what came before that tells whether it had answered
    return bytes(received)


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining
