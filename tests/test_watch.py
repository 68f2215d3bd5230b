"""What the watch remembers of files goes when they do: rotation makes new ones for ever."""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import TYPE_CHECKING

from alertd.core.matching import Matcher
from alertd.core.pipeline import Pipeline
from alertd.core.rules import Pattern, Rule, Source
from alertd.state import State
from alertd.tail import Tailer
from alertd.watch import Watch

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_remembered_of_files_does_not_grow_with_rotations(tmp_path: Path) -> None:
    """Whatever table it is in: after 60 rotations, all of them read and left, it is still small."""
    log = tmp_path / "a.log"
    source = Source("app", (str(log),), UTC, timestamp="none", start_at="beginning")
    rule = Rule(
        name="error",
        sources=("app",),
        match=(Pattern("ERROR"),),
        more_than=1000,
        within=60.0,
        cooldown=0.0,
        recipients=("ops@example.com",),
    )

    def remembered(watch: Watch) -> int:
        tables = (value for value in vars(watch).values() if isinstance(value, (dict, set)))
        return sum(len(table) for table in tables)

    async def scenario() -> tuple[int, int, int]:
        state = await State.open(tmp_path / "state")
        await state.load()
        tailer = Tailer([source], [], rotate_grace=0.0)
        pipeline = Pipeline([source], [rule], {"app": Matcher(source, [rule])})
        watch = Watch(
            tailer,
            pipeline,
            state,
            {"app": source},
            on_alerts=lambda: None,
            on_trouble=lambda _: None,
        )
        sizes = []
        for number in range(61):
            log.write_text(f"ERROR {number}\n")
            await tailer.scan()
            while await watch._turn():
                pass
            watch._look_again_at = 0.0
            sizes.append(remembered(watch))
            log.rename(tmp_path / f"a.log.{number}")
            await tailer.scan()
        await tailer.close()
        await state.close()
        return sizes[5], sizes[-1], watch.turns

    early, late, turns = asyncio.run(scenario())

    assert turns > 61
    assert late <= early + 3
