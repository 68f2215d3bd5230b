"""kill -9 at any moment, under a writer that rotates: nothing is lost, repeats are recognisable."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest
from living import alertd
from torture.crashing import IN_THE_BALANCE
from torture.kills import Fall
from torture.load import EVERY_LINE, ONE_BY_ONE, Told, Writer, post
from torture.points import POINTS, UNCERTAIN

CRASHING = Path(__file__).parent / "torture" / "crashing.py"
KILLS = 20


@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", POINTS)
def test_c2_a_kill_at_each_point_loses_nothing(tmp_path: Path, logs: Path, point: str) -> None:
    """
    Under load, in the middle of the work: every line is told, each as one alert.

    A mail is repeated, byte by byte, after a kill between its final dot and the mark, only then.
    """
    log = logs / "app.log"
    log.touch()
    writer = Writer(log, random.Random(point), pause=0.05, rotations=0.1)
    with (
        post() as server,
        alertd(tmp_path, EVERY_LINE.format(log=log), server.port, ONE_BY_ONE) as daemon,
    ):
        # What is rotated away before alertd has ever seen the log is not its business.
        daemon.start()
        daemon.kill()
        writer.start()
        daemon.start(wait=False, program=(CRASHING, point, "3"))
        code = daemon.wait()
        writer.limit = writer.written + 20
        daemon.start()
        writer.end()
        daemon.wait_until_read(*(path for path in [log] if path.exists()), within=120.0)
        told = Told(server.copies)

    assert -signal.SIGKILL == code
    assert writer.written > 10
    assert [] == told.lost(writer.written)
    assert [] == told.twice()
    assert {} == told.versions
    assert told.repeats <= daemon.log.count(IN_THE_BALANCE)
    assert (1 if point in UNCERTAIN else 0) <= told.repeats


@pytest.mark.timeout(180)
def test_c1_no_alert_is_lost_by_twenty_kills(tmp_path: Path) -> None:
    """Every line is told, as one alert, and a repeat is the very same mail."""
    with Fall(tmp_path, seed=20) as fall:
        for _ in range(KILLS):
            fall.round()
        told = fall.settle()

    assert fall.written > 50
    assert [] == told.lost(fall.written)
    assert [] == told.twice()
    assert {} == told.versions
    assert told.repeats <= fall.uncertain
