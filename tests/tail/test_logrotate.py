"""The real logrotate at work under a writer, and a reader that only looks now and then."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tail.reading import Reading, append, expected, numbered, source

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("logrotate") is None and "CI" not in os.environ,
    reason="logrotate is not installed (apt install logrotate)",
)


def logrotate(directory: Path, options: str) -> None:
    """Rotate ``a.log`` at once."""
    config = directory / "logrotate.conf"
    config.write_text(
        f"{directory}/a.log {{\n  su root root\n  rotate 5\n  missingok\n  {options}\n}}\n"
        if os.getuid() == 0
        else f"{directory}/a.log {{\n  rotate 5\n  missingok\n  {options}\n}}\n"
    )
    config.chmod(0o644)
    subprocess.run(
        ["logrotate", "--force", "--state", str(directory / "state"), str(config)],
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": f"/usr/sbin:/sbin:{os.environ['PATH']}"},
    )


@pytest.mark.parametrize("options", ["copytruncate", "create", "create\n  compress"])
@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
@pytest.mark.parametrize("is_down", [False, True])
def test_r8_r9_ten_rotations(tmp_path: Path, options: str, glob: str, *, is_down: bool) -> None:
    """R6, R8, R9: ten rotations, each with unread lines, lose nothing and repeat nothing."""

    async def scenario() -> list[bytes]:
        logs = tmp_path / "logs"
        logs.mkdir(mode=0o755)
        log = logs / "a.log"
        log.touch()
        reading = Reading(source(logs / glob))
        await reading.settle()
        for step in range(10):
            append(log, numbered(300 * step + 1, 300 * step + 100))
            await reading.settle()
            append(log, numbered(300 * step + 101, 300 * step + 200))
            if is_down:
                await reading.tailer.close()
            logrotate(logs, options)
            append(log, numbered(300 * step + 201, 300 * step + 300))
            if is_down:
                reading = reading.restart()
            await reading.settle()
        await reading.idle()
        return reading.lines

    assert expected(1, 3000) == asyncio.run(scenario())
